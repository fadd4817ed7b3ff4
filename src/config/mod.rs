//! Settings: read, merged in layers, each value with its origin.
//!
//! PURE: this file holds the values and their defaults, [`merge`] combines texts, only [`mod@load`] and [`paths`]
//! access the disk, and only [`environment`] the process. `assets/config.toml` has the same defaults in readable form;
//! a test keeps the two equal. Secrets never appear in `Debug`, `Display` or `config show`.

mod address;
pub mod environment;
pub mod instructions;
mod json_schema;
pub mod key_status;
pub mod keys;
mod limited_file;
pub mod load;
pub mod mcp;
pub mod mcp_file;
pub mod merge;
pub mod models;
pub mod notify;
pub mod paths;
pub mod problem;
pub mod remote;
mod schema;
pub mod secret;
mod setting;
pub mod show;
pub mod skills;
pub mod theme_file;
pub mod themes;
pub mod trust;
pub mod units;
pub mod user_commands;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use self::keys::{Bindings, KeyPreset};
use crate::engine::{ENGINES, EngineSpec, openai};
use crate::event::{ApprovalMode, Effort};
use crate::store::Timestamps;
use crate::store::command_argument::THEMES;
use crate::store::limits::{SpendLimit, SpendLimits};
use crate::store::output_view::{OutputView, OutputViews};
use crate::store::pane::PanelSide;
use crate::store::status_parts::StatusParts;

pub use json_schema::json_schema;
pub use load::{ConfigFiles, ConfigSources, SettingsSource, load};
pub use mcp::McpConfig;
pub use merge::{LoadedConfig, Overrides};
use notify::NotifyConfig;
pub use paths::Paths;
pub use problem::{ConfigError, Origin, Problem};
pub use remote::{AgentProgramConfig, RemoteConfig};
use setting::{
    address, ambiguous_width, boolean, choice, duration, duration_or_zero, folders, microdollars, optional, secret,
    secret_shapes, settings, status_parts, text, texts, theme_choice, whole,
};
use theme_file::is_theme_name;

/// Every setting with its default, as documentation.
pub const DEFAULT_FILE: &str = include_str!("../../assets/config.toml");

/// Looks up an environment variable; a parameter, so that tests need no environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Every setting, merged. The embedded `assets/config.toml` documents each and has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Written `engine/model` or just `engine`; `None` searches for a server.
    pub model: Option<String>,
    /// Which table below `[profiles]` holds as well.
    pub profile: Option<String>,
    /// How much a model is to think that takes that; `None` leaves it to the model.
    pub effort: Option<Effort>,
    pub engines: BTreeMap<String, EngineConfig>,
    /// Remote agents by name, for `attach`.
    pub remotes: BTreeMap<String, RemoteConfig>,
    /// Agent programs by name, for `attach acp:NAME`.
    pub agents: BTreeMap<String, AgentProgramConfig>,
    /// Servers with tools by name.
    pub mcp: BTreeMap<String, McpConfig>,
    pub ui: UiConfig,
    pub approvals: ApprovalConfig,
    pub tools: ToolConfig,
    pub sandbox: SandboxConfig,
    pub limits: LimitConfig,
    pub server: ServerConfig,
    pub notify: NotifyConfig,
    pub telemetry: TelemetryConfig,
    pub redact: RedactConfig,
    pub hooks: HookConfig,
    /// US dollars per million tokens (input, output) by model name; overrides the built-in table.
    pub prices: BTreeMap<String, (f64, f64)>,
    /// Context windows in tokens by model name; overrides the built-in table.
    pub windows: BTreeMap<String, u64>,
    pub editor: EditorConfig,
    pub keys: KeyConfig,
}

settings! {
    /// An engine by the person's name for it.
    pub struct EngineConfig {
        kind: &'static EngineSpec = &openai::SPEC, choice(ENGINES, |spec| spec.name);
        /// Literal or `env:NAME`.
        base_url: Option<String> = None,
            optional(address("an address such as \"http://127.0.0.1:8080/v1\", or \"env:NAME\""));
        api_key: Option<String> = None, optional(secret("the key"));
        /// From the request to the first byte; a server may load a model and process the prompt in silence.
        first_byte_timeout: Duration = Duration::from_mins(5), duration();
        /// Every byte resets it.
        idle_timeout: Duration = Duration::from_secs(90), duration();
        /// Bytes arrive, but nothing usable.
        no_output_timeout: Duration = Duration::from_mins(15), duration();
        retries: u32 = 4, whole(0..=20);
        /// For models that run here: how many likely tokens are picked from; 0 means all.
        top_k: Option<u32> = None, optional(whole(0..=1_000_000));
        /// For models that run here: the same number gives the same answer.
        seed: Option<u32> = None, optional(whole(0..=4_294_967_295));
    }
}

settings! {
    pub struct UiConfig {
        /// How the chat uses the terminal.
        screen: ScreenChoice = ScreenChoice::Auto, choice(&ScreenChoice::ALL, ScreenChoice::name);
        theme: ThemeChoice = ThemeChoice::Auto, theme_choice();
        max_fps: u16 = 60, whole(1..=240);
        /// Reasoning starts folded.
        fold_thinking: bool = true, boolean();
        /// Tool output starts folded.
        fold_output: bool = true, boolean();
        mouse: bool = true, boolean();
        /// Show the tool panel if there is room.
        tool_panel: bool = true, boolean();
        timestamps: Timestamps = Timestamps::Off, choice(&Timestamps::ALL, Timestamps::name);
        /// Most columns of prose; code, tables and output use the whole width.
        text_columns: u16 = 100, whole(20..=1000);
        /// Where the tool panel stands.
        panel_side: PanelSide = PanelSide::Right, choice(&PanelSide::ALL, PanelSide::name);
        /// What the two lowest rows tell, beside what is always told.
        statusline: StatusParts = StatusParts::all(), status_parts();
        /// Cells of characters that are narrow or wide depending on the terminal (East Asian Ambiguous of UAX #11).
        ambiguous_width: AmbiguousWidth = AmbiguousWidth::Narrow, ambiguous_width();
        images: ImageChoice = ImageChoice::Auto, choice(&ImageChoice::ALL, ImageChoice::name);
        /// Nothing spins, and running times count whole seconds.
        reduced_motion: bool = false, boolean();
        /// Print the last answer to the shell when the chat is left.
        print_on_exit: bool = false, boolean();
    }
    with {
        /// How much of a tool's output is shown at first, by a pattern over calls.
        tool_output_by_tool: BTreeMap<String, OutputView>,
    }
}

impl UiConfig {
    /// Returns how much of which output is shown at first.
    pub fn output_views(&self) -> OutputViews {
        OutputViews::new(self.tool_output_by_tool.iter().map(|(pattern, view)| (pattern.as_str(), *view)))
    }
}

settings! {
    pub struct ApprovalConfig {
        mode: ApprovalMode = ApprovalMode::Ask, choice(&ApprovalMode::ALL, ApprovalMode::name);
        /// Patterns such as `read_file` or `shell(git status*)`.
        allow: Vec<String> = Vec::new(), texts("a list of strings such as [\"read_file\", \"shell(git status*)\"]");
        /// The same for denying.
        deny: Vec<String> = Vec::new(), texts("a list of strings such as [\"shell(rm *)\"]").accumulating();
    }
}

settings! {
    pub struct ToolConfig {
        /// Extra folders that file tools may use.
        folders: Vec<PathBuf> = Vec::new(), folders("a list of folders such as [\"~/notes\"]");
        timeout: Duration = Duration::from_mins(1), duration();
        shell_timeout: Duration = Duration::from_mins(2), duration();
    }
}

settings! {
    /// What commands are kept from.
    pub struct SandboxConfig {
        enabled: bool = true, boolean();
        network: bool = false, boolean();
        /// Further places that commands write.
        write: Vec<PathBuf> = Vec::new(), folders("a list of folders such as [\"~/.cargo/registry\"]");
        /// Variables that they get although they look like secrets.
        env: Vec<String> = Vec::new(), texts("a list of variables such as [\"NPM_TOKEN\"]");
        /// Of each process; 0 is three quarters of the machine's.
        memory_mib as "memory": u64 = 0, whole(0..=1 << 24).expecting("a whole number of MiB");
        processes: u64 = 512, whole(0..=1_000_000);
    }
}

settings! {
    pub struct LimitConfig {
        /// Limit of requests to the model in one turn.
        max_rounds: u32 = 25, whole(1..=1000);
        /// Sum earlier turns up before a request that would not fit into the model's window.
        auto_compact: bool = true, boolean();
        /// Bytes of a call's output that the model gets.
        max_tool_output_bytes as "tool_output": usize = 32_768,
            whole(1024..=1_048_576).expecting("a whole number of bytes from 1024 to 1048576");
        /// Bytes of AGENTS.md and the like that the model is told; 0 reads none.
        max_instruction_bytes as "instructions": usize = 32_768,
            whole(0..=1_048_576).expecting("a whole number of bytes from 0 to 1048576");
        /// After so much a prompt is asked about; 0 is no limit.
        session_turns: u64 = 0, whole(0..=1_000_000);
        session_tokens: u64 = 0, whole(0..=1_000_000_000_000);
        /// Millionths of a US dollar, as is the other cost.
        session_microdollars as "session_cost": u64 = 0, microdollars();
        /// Of turns, from their start to their end; zero is no limit.
        session_time: Duration = Duration::ZERO, duration_or_zero();
        /// The same for all sessions of a day.
        day_turns: u64 = 0, whole(0..=1_000_000);
        day_tokens: u64 = 0, whole(0..=1_000_000_000_000);
        day_microdollars as "day_cost": u64 = 0, microdollars();
        day_time: Duration = Duration::ZERO, duration_or_zero();
    }
}

impl LimitConfig {
    /// Returns where to warn and ask.
    pub fn spending(&self) -> SpendLimits {
        SpendLimits {
            session: SpendLimit {
                turns: self.session_turns,
                tokens: self.session_tokens,
                cost: self.session_microdollars as f64 / 1e6,
                time: self.session_time.into(),
            },
            day: SpendLimit {
                turns: self.day_turns,
                tokens: self.day_tokens,
                cost: self.day_microdollars as f64 / 1e6,
                time: self.day_time.into(),
            },
        }
    }
}

settings! {
    /// Defaults for `serve`.
    pub struct ServerConfig {
        host: String = "127.0.0.1".to_owned(), text("an address or a name such as \"127.0.0.1\"");
        /// 0 picks a free port.
        port: u16 = 0, whole(0..=65_535);
        token: String = "env:JARVIS_TUI_SERVER_TOKEN".to_owned(), secret("the token");
        /// Only permits watching.
        read_token: String = "env:JARVIS_TUI_READ_TOKEN".to_owned(), secret("the token");
        /// Where logs are that several servers share; none are without it.
        store: String = "env:JARVIS_TUI_STORE".to_owned(), secret("the address of the store");
        /// Where a proxy offers the server.
        public_url: Option<String> = None, optional(address("an address such as \"https://chat.example\""));
        /// How long a link is good that shows one session; none are made without.
        read_link_lifetime: Duration = Duration::ZERO, duration_or_zero();
        /// Allowed origins of web pages.
        origins: Vec<String> = Vec::new(), texts("a list of origins such as [\"https://app.example\"]");
        /// Limit of connections.
        max_clients as "clients": usize = 512, whole(1..=100_000);
        /// Limit of running sessions.
        max_sessions as "sessions": usize = 64, whole(1..=10_000);
        /// Limit of a request's body.
        max_body_bytes as "body": usize = 8 << 20, whole(1024..=1 << 30);
        /// Limit of a prompt.
        max_prompt_bytes as "message": usize = 1 << 20, whole(1024..=1 << 30);
        /// Whether the server's own model answers for models that nobody has.
        any_model: bool = true, boolean();
        /// A program that gets a one-time link for each approval, on its standard input; none are made without one.
        approval_link_command: Vec<String> = Vec::new(), texts("a program and its arguments such as [\"notify\", \"me\"]");
        /// How long such a link is good.
        approval_link_lifetime: Duration = Duration::from_mins(10),
            duration().expecting("a duration such as \"10m\"");
        /// How long an approval waits for a decision.
        approval_timeout as "ask_timeout": Duration = Duration::from_mins(10),
            duration().expecting("a duration such as \"10m\"");
    }
}

settings! {
    /// Traces for OpenTelemetry.
    pub struct TelemetryConfig {
        /// Whether they are sent.
        export: bool = false, boolean();
        /// Of the collector; `/v1/traces` is added.
        endpoint: String = "env:OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(),
            address("an address such as \"http://127.0.0.1:4318\", or \"env:NAME\"");
        /// Headers for it, as `name=value,name=value`.
        headers: String = "env:OTEL_EXPORTER_OTLP_HEADERS".to_owned(), secret("the headers");
        /// Whether prompts, answers, arguments and results are told.
        content: bool = false, boolean();
    }
}

settings! {
    /// What is kept out of logs, recordings, exports and crash messages.
    pub struct RedactConfig {
        /// Whether anything is.
        enabled: bool = true, boolean();
        /// Names besides the usual ones whose values are secrets.
        names: Vec<String> = Vec::new(), texts("a list of names such as [\"license_code\"]");
        /// Variables of the environment besides those that are named as secrets are.
        variables: Vec<String> = Vec::new(), texts("a list of variables such as [\"DATABASE_URL\"]");
        /// Shapes of keys besides the usual ones.
        shapes: Vec<String> = Vec::new(), secret_shapes();
        /// What begins so is no secret.
        allow: Vec<String> = Vec::new(), texts("a list of beginnings such as [\"sk_test_\"]");
    }
}

settings! {
    /// Command lines of the person's that are told of calls and turns.
    pub struct HookConfig {
        before_call: Vec<String> = Vec::new(), texts("a list of command lines such as [\"~/bin/check-call\"]");
        after_call: Vec<String> = Vec::new(), texts("a list of command lines such as [\"cargo fmt\"]");
        turn_end: Vec<String> = Vec::new(), texts("a list of command lines such as [\"!notify-send done\"]");
        /// One that still runs then is stopped.
        timeout: Duration = Duration::from_secs(30), duration();
    }
}

settings! {
    /// How the composer edits.
    pub struct EditorConfig {
        /// It has the modes of vim.
        vim: bool = false, boolean();
        /// The mode that it begins in.
        vim_start: VimStart = VimStart::Insert, choice(&VimStart::ALL, VimStart::name);
    }
}

settings! {
    /// Which keys do what.
    pub struct KeyConfig {
        /// The keys that hold where the person bound none.
        preset: KeyPreset = KeyPreset::Default, choice(&KeyPreset::ALL, KeyPreset::name);
    }
    with {
        /// The person's own: context → keys → action name, or `none`.
        bindings: Bindings,
    }
}

/// The mode that vim's modes begin in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VimStart {
    Insert,
    Normal,
}

impl VimStart {
    pub const ALL: [Self; 2] = [Self::Insert, Self::Normal];

    pub fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Normal => "normal",
        }
    }
}

/// How wide characters are that are narrow in some terminals and wide in others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AmbiguousWidth {
    Narrow,
    Wide,
    /// As the locale and the terminal say.
    Auto,
}

impl AmbiguousWidth {
    /// Returns whether they take two cells: where nothing is set, in a locale with an encoding of East Asia older than
    /// Unicode, and where the terminal says so (`VTE_CJK_WIDTH`).
    pub fn is_wide(self, env: Env<'_>) -> bool {
        match self {
            Self::Narrow => false,
            Self::Wide => true,
            Self::Auto => {
                let named = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(env).find(|name| !name.is_empty());
                let locale = named.unwrap_or_default().to_lowercase();
                let (_, encoding) = locale.split_once('.').unwrap_or_default();
                let is_east_asian = ["euc", "gb", "big5", "sjis", "shift", "cp949", "uhc"]
                    .iter()
                    .any(|name| encoding.starts_with(name));
                is_east_asian || env("VTE_CJK_WIDTH").is_some_and(|width| matches!(width.as_str(), "wide" | "2"))
            }
        }
    }
}

/// How images are drawn, in builds that support images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageChoice {
    /// The best way that the terminal supports.
    Auto,
    /// As half blocks.
    Blocks,
    /// With the kitty graphics protocol.
    Kitty,
    /// Not drawn; only named.
    Off,
}

/// How the chat uses the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScreenChoice {
    /// The whole screen, or lines where the terminal can't be painted.
    Auto,
    /// The alternate screen, which leaves the terminal's own text alone.
    Alternate,
    /// The terminal's own text, with a small live part below it.
    Inline,
    /// Labelled lines, a paragraph at a time, for screen readers.
    Linear,
}

/// The theme that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThemeChoice {
    /// The terminal's own colors, for the ground that it has.
    Auto,
    Dark,
    Light,
    /// No colors.
    Mono,
    /// One that is a file, built in or the person's.
    Named(String),
    /// One for each ground that the terminal may have.
    Pair {
        dark: String,
        light: String,
    },
}

impl Config {
    /// Splits `engine/model`; the model's name may contain further slashes.
    pub fn model_parts(text: &str) -> (&str, Option<&str>) {
        match text.split_once('/') {
            Some((engine, model)) => (engine, Some(model).filter(|model| !model.is_empty())),
            None => (text, None),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            model: None,
            profile: None,
            effort: None,
            engines: ENGINES.iter().map(|spec| (spec.name.to_owned(), EngineConfig::from_environment(spec))).collect(),
            remotes: BTreeMap::new(),
            agents: BTreeMap::new(),
            mcp: BTreeMap::new(),
            ui: UiConfig::default(),
            approvals: ApprovalConfig::default(),
            tools: ToolConfig::default(),
            sandbox: SandboxConfig::default(),
            limits: LimitConfig::default(),
            server: ServerConfig::default(),
            notify: NotifyConfig::default(),
            telemetry: TelemetryConfig::default(),
            redact: RedactConfig::default(),
            hooks: HookConfig::default(),
            prices: BTreeMap::new(),
            windows: BTreeMap::new(),
            editor: EditorConfig::default(),
            keys: KeyConfig::default(),
        }
    }
}

impl EngineConfig {
    /// Returns an engine of this kind with default limits and no address or key.
    pub fn new(kind: &'static EngineSpec) -> Self {
        Self { kind, ..Self::default() }
    }

    /// Returns an engine of this kind whose address and key are in the usual variables.
    fn from_environment(kind: &'static EngineSpec) -> Self {
        let from = |variable: &str| format!("env:{variable}");
        Self {
            base_url: kind.address_variables.first().copied().map(from),
            api_key: kind.key_variable.map(from),
            ..Self::new(kind)
        }
    }
}

impl ImageChoice {
    pub const ALL: [Self; 4] = [Self::Auto, Self::Blocks, Self::Kitty, Self::Off];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Blocks => "blocks",
            Self::Kitty => "kitty",
            Self::Off => "off",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

impl ScreenChoice {
    pub const ALL: [Self; 4] = [Self::Auto, Self::Alternate, Self::Inline, Self::Linear];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Alternate => "alternate",
            Self::Inline => "inline",
            Self::Linear => "linear",
        }
    }
}

impl ThemeChoice {
    /// Returns what it is called; a pair by the theme for a dark ground.
    pub fn name(&self) -> &str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
            Self::Named(name) | Self::Pair { dark: name, .. } => name,
        }
    }

    /// Returns the choice of that name; none where nothing may be called so.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "auto" => Self::Auto,
            "dark" => Self::Dark,
            "light" => Self::Light,
            "mono" => Self::Mono,
            name if is_theme_name(name) => Self::Named(name.to_owned()),
            _ => return None,
        })
    }

    /// Returns the names of the themes that are built in.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        THEMES.iter().map(|(name, _)| *name)
    }

    /// Returns whether the terminal's ground says which theme it is.
    pub fn follows_terminal(&self) -> bool {
        matches!(self, Self::Auto | Self::Pair { .. })
    }

    /// Returns the name of the theme for a ground.
    pub fn name_on(&self, is_light: bool) -> &str {
        match (self, is_light) {
            (Self::Auto, false) => "dark",
            (Self::Auto, true) => "light",
            (Self::Pair { light, .. }, true) => light,
            _ => self.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_hold_slashes() {
        assert_eq!(Config::model_parts("router/openai/gpt-4o"), ("router", Some("openai/gpt-4o")));
        assert_eq!(Config::model_parts("offline"), ("offline", None));
        assert_eq!(Config::model_parts("ollama/"), ("ollama", None));
    }

    #[test]
    fn names_read_back() {
        assert!(ImageChoice::ALL.into_iter().all(|choice| ImageChoice::parse(choice.name()) == Some(choice)));
        for (name, _) in THEMES {
            assert_eq!(ThemeChoice::parse(name).unwrap().name(), *name);
        }
        assert_eq!(ThemeChoice::parse("../x"), None);
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut engine = EngineConfig::new(&openai::SPEC);
        engine.api_key = Some("sk-very-secret".into());
        engine.base_url = Some("https://user:hunter2@host/v1".into());
        let text = format!("{engine:?}");
        assert!(!text.contains("very-secret") && !text.contains("hunter2"), "{text}");
    }
}
