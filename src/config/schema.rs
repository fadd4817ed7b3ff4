//! PURE. The table of all settings: those of each table of [`Config`], under its path.
//!
//! Reading, unknown keys, `config show` and the test of the default file all walk this table.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::notify::NotifyConfig;
use super::setting::{Field, SettingType, Shown, ValueKind, choice, secret, text, whole};
use super::value::{SettingValue, dotted};
use super::{
    AgentProgramConfig, ApprovalConfig, Config, EditorConfig, EngineConfig, HookConfig, KeyConfig, LimitConfig,
    McpConfig, RedactConfig, RemoteConfig, SandboxConfig, ServerConfig, TelemetryConfig, ToolConfig, UiConfig,
};
use crate::event::{Effort, Pattern};
use crate::store::output_view::OutputView;
use crate::text::suggestion::suggest;

pub(super) struct SettingSpec {
    /// Dotted; `*` stands for a name chosen by the person.
    pub key: String,
    /// Completes "expected …".
    pub expected: Cow<'static, str>,
    pub kind: ValueKind,
    pub shown: Shown,
    pub default: Option<SettingValue>,
    /// Returns `None` and changes nothing if the value isn't as expected.
    pub set: Set,
}

type Set = Box<dyn Fn(&mut Config, &[String], &SettingValue) -> Option<()> + Send + Sync>;

pub(super) static SETTINGS: LazyLock<Vec<SettingSpec>> = LazyLock::new(|| {
    let version =
        SettingType::new("1, the only version", |value| (*value == SettingValue::Int(1)).then_some(()), |()| None);
    let model = SettingType::new(
        "a string such as \"openai/gpt-4o\" or \"offline\"",
        |value| value.as_text().filter(|text| !text.starts_with('/')).map(str::to_owned),
        |_| None,
    );
    let mut rows = vec![
        row("version", version, |_, _, ()| Some(())),
        row("model", model, |config, _, model| {
            config.model = Some(model);
            Some(())
        }),
        row("profile", text("the name of a table below [profiles]"), |config, _, profile| {
            config.profile = Some(profile);
            Some(())
        }),
        row("effort", choice(&Effort::ALL, Effort::name), |config, _, effort| {
            config.effort = Some(effort);
            Some(())
        }),
    ];
    rows.extend(table("engines.*", EngineConfig::fields(), |config, path| {
        // It may be new; the merge checks later whether it has a kind.
        Some(config.engines.entry(path.get(1)?.clone()).or_default())
    }));
    rows.extend(table("remotes.*", RemoteConfig::fields(), remote));
    rows.push(row("remotes.*.headers.*", secret("the header's value"), |config, path, header| {
        let name = path.get(3)?.clone();
        remote(config, path)?.headers.insert(name, header);
        Some(())
    }));
    rows.extend(table("agents.*", AgentProgramConfig::fields(), |config, path| {
        Some(config.agents.entry(path.get(1)?.clone()).or_default())
    }));
    rows.extend(table("ui", UiConfig::fields(), |config, _| Some(&mut config.ui)));
    let view = choice(&OutputView::ALL, OutputView::name)
        .expecting("\"hidden\", \"preview\" or \"full\", by a tool's name or a pattern such as \"shell(git *)\"");
    rows.push(row("ui.tool_output_by_tool.*", view, |config, path, view| {
        let pattern = Pattern::parse(path.get(2)?).ok()?.to_string();
        config.ui.tool_output_by_tool.insert(pattern, view);
        Some(())
    }));
    rows.extend(table("approvals", ApprovalConfig::fields(), |config, _| Some(&mut config.approvals)));
    rows.extend(table("tools", ToolConfig::fields(), |config, _| Some(&mut config.tools)));
    rows.extend(table("mcp.*", McpConfig::fields(), mcp_server));
    rows.push(row("mcp.*.env.*", secret("the variable's value"), |config, path, value| {
        let name = path.get(3)?.clone();
        mcp_server(config, path)?.env.insert(name, value);
        Some(())
    }));
    rows.push(row("mcp.*.headers.*", secret("the header's value"), |config, path, header| {
        let name = path.get(3)?.clone();
        mcp_server(config, path)?.headers.insert(name, header);
        Some(())
    }));
    rows.extend(table("sandbox", SandboxConfig::fields(), |config, _| Some(&mut config.sandbox)));
    rows.extend(table("limits", LimitConfig::fields(), |config, _| Some(&mut config.limits)));
    rows.extend(table("server", ServerConfig::fields(), |config, _| Some(&mut config.server)));
    rows.extend(table("notify", NotifyConfig::fields(), |config, _| Some(&mut config.notify)));
    rows.extend(table("telemetry", TelemetryConfig::fields(), |config, _| Some(&mut config.telemetry)));
    rows.extend(table("hooks", HookConfig::fields(), |config, _| Some(&mut config.hooks)));
    rows.extend(table("redact", RedactConfig::fields(), |config, _| Some(&mut config.redact)));
    let price = SettingType::new("dollars per million tokens such as { input = 2.5, output = 10.0 }", price, |_| None);
    rows.push(row("prices.*", price, |config, path, price| {
        config.prices.insert(path.get(1)?.clone(), price);
        Some(())
    }));
    let window = whole::<u64>(1..=1_000_000_000).expecting("a whole number of tokens");
    rows.push(row("windows.*", window, |config, path, window| {
        config.windows.insert(path.get(1)?.clone(), window);
        Some(())
    }));
    rows.extend(table("editor", EditorConfig::fields(), |config, _| Some(&mut config.editor)));
    rows.extend(table("keys", KeyConfig::fields(), |config, _| Some(&mut config.keys)));
    rows.push(row("keys.*.*", text("the name of an action, or \"none\""), |config, path, action| {
        config.keys.bindings.entry(path.get(1)?.clone()).or_default().insert(path.get(2)?.clone(), action);
        Some(())
    }));
    rows
});

/// Returns the rows of a table below a path. `place` finds the table for the person's names in a path.
fn table<S: Default + 'static>(
    path: &'static str,
    fields: Vec<Field<S>>,
    place: for<'a> fn(&'a mut Config, &[String]) -> Option<&'a mut S>,
) -> impl Iterator<Item = SettingSpec> {
    let defaults = S::default();
    fields.into_iter().map(move |Field { key, expected, kind, shown, read, written }| SettingSpec {
        key: format!("{path}.{key}"),
        expected,
        kind,
        shown,
        default: written(&defaults),
        set: Box::new(move |config, path, value| {
            let assign = read(value)?;
            assign(place(config, path)?);
            Some(())
        }),
    })
}

fn row<T: 'static>(
    key: &str,
    setting: SettingType<T>,
    assign: fn(&mut Config, &[String], T) -> Option<()>,
) -> SettingSpec {
    SettingSpec {
        key: key.to_owned(),
        expected: setting.expected.clone(),
        kind: setting.kind.clone(),
        shown: setting.shown,
        default: None,
        set: Box::new(move |config, path, value| assign(config, path, (setting.read)(value)?)),
    }
}

/// Returns the remote of this path, which may be new.
fn remote<'a>(config: &'a mut Config, path: &[String]) -> Option<&'a mut RemoteConfig> {
    Some(config.remotes.entry(path.get(1)?.clone()).or_default())
}

/// Returns the MCP server of this path, which may be new.
fn mcp_server<'a>(config: &'a mut Config, path: &[String]) -> Option<&'a mut McpConfig> {
    Some(config.mcp.entry(path.get(1)?.clone()).or_default())
}

fn price(value: &SettingValue) -> Option<(f64, f64)> {
    let SettingValue::Table(table) = value else { return None };
    let dollars = |table: &BTreeMap<String, SettingValue>, name| {
        let dollars = match table.get(name)? {
            SettingValue::Int(number) => *number as f64,
            SettingValue::Float(number) => *number,
            _ => return None,
        };
        (dollars.is_finite() && dollars >= 0.0).then_some(dollars)
    };
    (table.len() == 2).then_some((dollars(table, "input")?, dollars(table, "output")?))
}

pub(super) const ALLOW_KEY: &str = "approvals.allow";
/// The only list that accumulates over the layers.
pub(super) const DENY_KEY: &str = "approvals.deny";

impl SettingSpec {
    pub(super) fn matches(&self, path: &[String]) -> bool {
        let mut parts = self.parts();
        is_path(&mut parts, path) && parts.next().is_none()
    }

    /// Returns the key's first part.
    pub(super) fn table(&self) -> &str {
        self.parts().next().unwrap_or_default()
    }

    /// Returns whether values of this key must never be displayed.
    pub(super) fn is_secret(&self) -> bool {
        self.shown == Shown::Secret
    }

    /// Returns whether it names a program that is started: no project may set that.
    pub(super) fn starts_programs(&self) -> bool {
        matches!(self.table(), "agents" | "hooks") || self.key == "notify.command"
    }

    /// Returns whether it decides what is kept of the person's secrets: no project may.
    pub(super) fn is_for_person_alone(&self) -> bool {
        self.table() == "redact"
    }

    /// Returns whether it takes something from commands; a project may do no more than that to the sandbox.
    pub(super) fn loosens_sandbox(&self, value: &SettingValue) -> bool {
        let narrows = match self.key.as_str() {
            "sandbox.enabled" => *value == SettingValue::Bool(true),
            "sandbox.network" | "mcp.*.network" => *value == SettingValue::Bool(false),
            "mcp.*.sandbox" => *value == SettingValue::Bool(true),
            "mcp.*.write" => *value == SettingValue::List(Vec::new()),
            _ => false,
        };
        let is_about_it =
            self.table() == "sandbox" || matches!(self.key.as_str(), "mcp.*.network" | "mcp.*.sandbox" | "mcp.*.write");
        is_about_it && !narrows
    }

    /// Returns whether an untrusted project may set it.
    pub(super) fn is_harmless(&self) -> bool {
        self.key == "model" || self.key.starts_with("ui.") || self.key == "version"
    }

    fn parts(&self) -> impl Iterator<Item = &str> {
        self.key.split('.')
    }

    fn starts_with(&self, path: &[String]) -> bool {
        is_path(&mut self.parts(), path)
    }
}

/// Returns whether a key begins with this path.
fn is_path<'a>(parts: &mut impl Iterator<Item = &'a str>, path: &[String]) -> bool {
    path.iter().all(|name| parts.next().is_some_and(|part| part == "*" || part == name))
}

pub(super) fn find(path: &[String]) -> Option<&'static SettingSpec> {
    SETTINGS.iter().find(|row| row.matches(path))
}

/// Begins the path of a profile: a name follows, then the path of a setting.
pub(super) const PROFILES_TABLE: &str = "profiles";

/// Splits the path of a setting of a profile into the profile's name and the setting's path.
pub(super) fn split_profile(path: &[String]) -> Option<(&str, &[String])> {
    match path {
        [table, name, rest @ ..] if table == PROFILES_TABLE && !rest.is_empty() => Some((name, rest)),
        _ => None,
    }
}

/// Returns whether there are settings below this path.
pub(super) fn is_branch(path: &[String]) -> bool {
    if path.first().is_some_and(|table| table == PROFILES_TABLE) {
        return path.len() <= 2 || is_branch(&path[2..]);
    }
    SETTINGS.iter().any(|row| row.starts_with(path) && !row.matches(path))
}

/// Names that other programs, and people, have for settings of ours.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("approval_mode", "approvals.mode"),
    ("editor.vim_mode", "editor.vim"),
    ("limits.daily_usd", "limits.day_cost"),
    ("limits.max_turns", "limits.session_turns"),
    ("limits.prices", "prices"),
    ("limits.session_usd", "limits.session_cost"),
    ("notify.channels", "notify.via"),
    ("notify.turn_end", "notify.turn"),
    ("reasoning_effort", "effort"),
    ("sandbox.folders", "tools.folders"),
    ("server.approval_timeout", "server.ask_timeout"),
    ("ui.alternate_screen", "ui.screen"),
    ("ui.animations", "ui.reduced_motion"),
    ("ui.fps", "ui.max_fps"),
    ("ui.layout", "ui.panel_side"),
    ("ui.thinking", "ui.fold_thinking"),
    ("ui.title", "notify.title"),
    ("ui.tool_output", "ui.fold_output"),
];

/// Returns the known key that an unknown one was probably meant to be.
pub(super) fn suggest_key(path: &[String]) -> Option<String> {
    let wanted = dotted(path);
    if let Some((_, ours)) = OTHER_NAMES.iter().find(|(theirs, _)| *theirs == wanted) {
        return Some((*ours).to_owned());
    }
    let known: Vec<String> = SETTINGS.iter().filter_map(|row| fill_in_names(row, path)).collect();
    if let Some(key) = suggest(&wanted, known.iter().map(String::as_str)) {
        return Some(key.to_owned());
    }
    // A nearly correct name in the wrong table.
    let leaf = |row: &'static SettingSpec| row.parts().last().filter(|name| *name != "*");
    let name = suggest(path.last()?, SETTINGS.iter().filter_map(leaf))?;
    SETTINGS.iter().find(|row| leaf(row) == Some(name)).map(|row| row.key.replace('*', "NAME"))
}

/// Returns the row's key to the path's depth, with the person's names in place of the stars.
fn fill_in_names(row: &SettingSpec, path: &[String]) -> Option<String> {
    if row.parts().count() < path.len() {
        return None;
    }
    let parts: Vec<String> =
        row.parts().zip(path).map(|(part, name)| if part == "*" { name.clone() } else { part.to_owned() }).collect();
    Some(dotted(&parts))
}

/// Returns the expected form of the name in a path if it contains other characters.
pub(super) fn name_problem(path: &[String]) -> Option<&'static str> {
    let [table, name, ..] = path else { return None };
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match table.as_str() {
        "engines" if !plain => Some("an engine's name of letters, digits, `-`, `_` and `.`"),
        "agents" if !plain => Some("an agent's name of letters, digits, `-`, `_` and `.`"),
        "mcp" if !plain => Some("a server's name of letters, digits, `-`, `_` and `.`"),
        "remotes" if !plain => Some("a remote's name of letters, digits, `-`, `_` and `.`"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    #[test]
    fn unknown_keys_suggest_the_nearest() {
        for (key, expected) in [
            ("ui.them", Some("ui.theme")),
            ("approval.mode", Some("approvals.mode")),
            ("approval", Some("approvals")),
            ("engines.groq.base_uri", Some("engines.groq.base_url")),
            ("engines.groq.timeout", Some("engines.groq.idle_timeout")),
            ("engines.groq.session.timeout", Some("tools.timeout")),
            ("theme", Some("ui.theme")),
            ("them", Some("ui.theme")),
            ("api_key", Some("engines.NAME.api_key")),
            ("weather", None),
        ] {
            assert_eq!(suggest_key(&path(key)).as_deref(), expected, "{key}");
        }
    }

    /// What a configuration of a terminal client is expected to hold, and the key that it has here.
    const EXPECTED_SETTINGS: &[(&str, &str)] = &[
        ("version", "version"),
        ("model", "model"),
        ("profile", "profile"),
        ("effort", "effort"),
        ("an engine's kind", "engines.x.kind"),
        ("its address", "engines.x.base_url"),
        ("its key", "engines.x.api_key"),
        ("silence within an answer", "engines.x.idle_timeout"),
        ("time without content", "engines.x.no_output_timeout"),
        ("time to the first byte", "engines.x.first_byte_timeout"),
        ("retries", "engines.x.retries"),
        ("a remote's address", "remotes.x.url"),
        ("its dialect", "remotes.x.dialect"),
        ("its token", "remotes.x.token"),
        ("its headers", "remotes.x.headers"),
        ("an agent's command", "agents.x.command"),
        ("screen", "ui.screen"),
        ("where panes stand", "ui.panel_side"),
        ("the tool panel", "ui.tool_panel"),
        ("theme", "ui.theme"),
        ("frames per second", "ui.max_fps"),
        ("mouse", "ui.mouse"),
        ("times of messages", "ui.timestamps"),
        ("reasoning", "ui.fold_thinking"),
        ("output of tools", "ui.fold_output"),
        ("the same by tool", "ui.tool_output_by_tool"),
        ("images", "ui.images"),
        ("ambiguous width", "ui.ambiguous_width"),
        ("reduced motion", "ui.reduced_motion"),
        ("parts of the status line", "ui.statusline"),
        ("the window's title", "notify.title"),
        ("vim", "editor.vim"),
        ("vim's first mode", "editor.vim_start"),
        ("approval mode", "approvals.mode"),
        ("what is allowed", "approvals.allow"),
        ("what is denied", "approvals.deny"),
        ("money of a session", "limits.session_cost"),
        ("money of a day", "limits.day_cost"),
        ("turns", "limits.session_turns"),
        ("rounds of a turn", "limits.max_rounds"),
        ("prices", "prices.x"),
        ("windows", "windows.x"),
        ("the server's host", "server.host"),
        ("its port", "server.port"),
        ("its token", "server.token"),
        ("when to call", "notify.when"),
        ("by what", "notify.via"),
        ("for an approval", "notify.approval"),
        ("for the end of a turn", "notify.turn"),
        ("for an error", "notify.error"),
        ("a command", "notify.command"),
        ("the preset of keys", "keys.preset"),
        ("keys that hold everywhere", "keys.global"),
        ("keys of the composer", "keys.composer"),
    ];

    #[test]
    fn what_people_expect_to_set_can_be_set() {
        let is_known = |key: &str| find(&path(key)).is_some() || is_branch(&path(key));
        let missing: Vec<_> = EXPECTED_SETTINGS.iter().filter(|(_, key)| !is_known(key)).collect();
        assert_eq!(missing, [] as [&(&str, &str); 0]);
    }

    #[test]
    fn names_of_other_programs_lead_to_settings_of_ours() {
        for (theirs, ours) in OTHER_NAMES {
            assert!(find(&path(theirs)).is_none(), "{theirs} is a setting itself");
            assert!(find(&path(ours)).is_some() || is_branch(&path(ours)), "{ours} is none");
            assert_eq!(suggest_key(&path(theirs)).as_deref(), Some(*ours));
        }
    }

    #[test]
    fn tables_end_where_values_begin() {
        assert!(is_branch(&path("ui")) && is_branch(&path("engines.x")) && is_branch(&path("keys.global")));
        assert!(!is_branch(&path("prices.x")) && !is_branch(&path("ui.theme")) && !is_branch(&path("other")));
        assert!(find(&path("engines.x.kind")).is_some() && find(&path("engines.x")).is_none());
    }
}
