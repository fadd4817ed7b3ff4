//! Settings: read, merged in layers, each value with its origin.
//!
//! PURE: this file holds the values and their defaults, [`merge`] combines texts, only [`mod@load`] and [`paths`]
//! access the disk, and only [`environment`] the process. `assets/config.toml` has the same defaults in readable form;
//! a test keeps the two equal. Secrets never appear in `Debug`, `Display` or `config show`.

mod address;
pub mod environment;
pub mod keys;
pub mod load;
pub mod merge;
pub mod models;
pub mod paths;
pub mod problem;
pub mod remote;
mod schema;
pub mod secret;
pub mod show;
pub mod suggestion;
pub mod trust;
pub mod units;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::engine::{ENGINES, EngineSpec};
use crate::event::ApprovalMode;
use crate::store::Timestamps;
use crate::text::address::redact_login;

pub use load::{ConfigFiles, ConfigSources, load};
pub use merge::{LoadedConfig, Overrides};
pub use paths::Paths;
pub use problem::{ConfigError, Origin, Problem};
pub use remote::RemoteConfig;

/// Every setting with its default, as documentation.
pub const DEFAULT_FILE: &str = include_str!("../../assets/config.toml");

/// Looks up an environment variable; a parameter, so that tests need no environment.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Every setting, merged. The embedded `assets/config.toml` documents each and has the defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Written `engine/model` or just `engine`; `None` searches for a server.
    pub model: Option<String>,
    pub engines: BTreeMap<String, EngineConfig>,
    /// Remote agents by name, for `attach`.
    pub remotes: BTreeMap<String, RemoteConfig>,
    pub ui: UiConfig,
    pub approvals: ApprovalConfig,
    pub tools: ToolConfig,
    pub limits: LimitConfig,
    pub server: ServerConfig,
    /// US dollars per million tokens (input, output) by model name; overrides the built-in table.
    pub prices: BTreeMap<String, (f64, f64)>,
    /// Context windows in tokens by model name; overrides the built-in table.
    pub windows: BTreeMap<String, u64>,
    /// Rebound keys: context → chord → action name, or `none`.
    pub keys: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct EngineConfig {
    pub kind: &'static EngineSpec,
    /// Literal or `env:NAME`.
    pub base_url: Option<String>,
    /// `env:NAME`, `cmd:COMMAND`, or (discouraged) the key itself.
    pub api_key: Option<String>,
    /// From the request to the first byte; a server may load a model and process the prompt in silence.
    pub first_byte_timeout: Duration,
    /// Every byte resets it.
    pub idle_timeout: Duration,
    /// Bytes arrive, but nothing usable.
    pub no_output_timeout: Duration,
    pub retries: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UiConfig {
    pub theme: ThemeChoice,
    pub max_fps: u16,
    /// Reasoning starts folded.
    pub fold_thinking: bool,
    /// Tool output starts folded.
    pub fold_output: bool,
    pub mouse: bool,
    /// Show the tool panel if there is room.
    pub tool_panel: bool,
    pub timestamps: Timestamps,
    pub images: ImageChoice,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThemeChoice {
    Auto,
    Dark,
    Light,
    Mono,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalConfig {
    pub mode: ApprovalMode,
    /// Patterns such as `read_file` or `shell(git status*)`.
    pub allow: Vec<String>,
    /// The same for denying. Accumulates over the layers: no layer can remove a pattern of another.
    pub deny: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolConfig {
    /// Extra folders that file tools may use.
    pub folders: Vec<PathBuf>,
    pub timeout: Duration,
    pub shell_timeout: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitConfig {
    /// Limit of requests to the model in one turn.
    pub max_rounds: u32,
    /// Bytes of a call's output that the model gets.
    pub max_tool_output_bytes: usize,
}

/// Defaults for `serve`.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerConfig {
    pub host: String,
    /// 0 picks a free port.
    pub port: u16,
    /// `env:NAME`, `cmd:COMMAND` or the token itself.
    pub token: String,
    /// The same for the token that only permits watching.
    pub read_token: String,
    /// Allowed origins of web pages.
    pub origins: Vec<String>,
    /// Limit of connections.
    pub max_clients: usize,
    /// Limit of running sessions.
    pub max_sessions: usize,
    /// Limit of a request's body.
    pub max_body_bytes: usize,
    /// Limit of a prompt.
    pub max_prompt_bytes: usize,
    /// How long an approval waits for a decision.
    pub approval_timeout: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 0,
            token: "env:JARVIS_TUI_SERVER_TOKEN".to_owned(),
            read_token: "env:JARVIS_TUI_READ_TOKEN".to_owned(),
            origins: Vec::new(),
            max_clients: 512,
            max_sessions: 64,
            max_body_bytes: 8 << 20,
            max_prompt_bytes: 1 << 20,
            approval_timeout: Duration::from_mins(10),
        }
    }
}

/// Hides the tokens, because debug output ends up in logs.
impl fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerConfig")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("token", &secret::mask(&self.token))
            .field("read_token", &secret::mask(&self.read_token))
            .field("origins", &self.origins)
            .field("clients", &self.max_clients)
            .field("sessions", &self.max_sessions)
            .field("body", &self.max_body_bytes)
            .field("message", &self.max_prompt_bytes)
            .field("ask_timeout", &self.approval_timeout)
            .finish()
    }
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
            engines: ENGINES.iter().map(|spec| (spec.name.to_owned(), EngineConfig::from_environment(spec))).collect(),
            remotes: BTreeMap::new(),
            ui: UiConfig {
                theme: ThemeChoice::Auto,
                max_fps: 60,
                fold_thinking: true,
                fold_output: true,
                mouse: true,
                tool_panel: true,
                timestamps: Timestamps::Off,
                images: ImageChoice::Auto,
            },
            approvals: ApprovalConfig { mode: ApprovalMode::Ask, allow: Vec::new(), deny: Vec::new() },
            tools: ToolConfig {
                folders: Vec::new(),
                timeout: Duration::from_mins(1),
                shell_timeout: Duration::from_mins(2),
            },
            limits: LimitConfig { max_rounds: 25, max_tool_output_bytes: 32_768 },
            server: ServerConfig::default(),
            prices: BTreeMap::new(),
            windows: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }
}

impl EngineConfig {
    /// Returns an engine of this kind with default limits and no address or key.
    pub fn new(kind: &'static EngineSpec) -> Self {
        Self {
            kind,
            base_url: None,
            api_key: None,
            first_byte_timeout: Duration::from_mins(5),
            idle_timeout: Duration::from_secs(90),
            no_output_timeout: Duration::from_mins(15),
            retries: 4,
        }
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

/// Hides the key and passwords in the address, because debug output ends up in logs.
impl fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineConfig")
            .field("kind", &self.kind)
            .field("base_url", &self.base_url.as_deref().map(redact_login))
            .field("api_key", &self.api_key.as_deref().map(secret::mask))
            .field("first_byte_timeout", &self.first_byte_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("no_output_timeout", &self.no_output_timeout)
            .field("retries", &self.retries)
            .finish()
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

impl ThemeChoice {
    pub const ALL: [Self; 4] = [Self::Auto, Self::Dark, Self::Light, Self::Mono];

    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Mono => "mono",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.name() == name)
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
        assert!(ThemeChoice::ALL.into_iter().all(|theme| ThemeChoice::parse(theme.name()) == Some(theme)));
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut engine = EngineConfig::new(&crate::engine::openai::SPEC);
        engine.api_key = Some("sk-very-secret".into());
        engine.base_url = Some("https://user:hunter2@host/v1".into());
        let text = format!("{engine:?}");
        assert!(!text.contains("very-secret") && !text.contains("hunter2"), "{text}");
    }
}
