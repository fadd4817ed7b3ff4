//! PURE. Merges layers of settings text into settings, origins and problems.
//!
//! Order: built in, the person's file, the project's file, environment, flags; later layers win. An untrusted project
//! file may set only appearance and the model, and can't keep the program from starting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::keys::Keymap;
use super::problem::{ConfigError, Origin, Problem, ProblemKind};
use super::schema::{self, ALLOW_KEY, DENY_KEY, SettingSpec};
use super::value::{self, Setting, SettingValue, dotted};
use super::{Config, DEFAULT_FILE, Env, ScreenChoice, ThemeChoice};
use crate::engine::ENGINES;
use crate::event::{ApprovalMode, Effort, RuleKind};

/// How many ignored keys one warning lists.
const MAX_LISTED_KEYS: usize = 8;
/// Longest value that a message quotes.
const MAX_QUOTED_CHARS: usize = 60;

/// The layers to merge.
pub struct ConfigLayers<'a> {
    pub user: Option<SettingsText<'a>>,
    pub project: Option<ProjectText<'a>>,
    pub env: Env<'a>,
    pub flags: &'a Overrides,
}

/// The name of a settings file, for messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct SettingsText<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub struct ProjectText<'a> {
    pub text: SettingsText<'a>,
    /// The person trusts this folder with exactly this text.
    pub trusted: bool,
}

/// Settings from flags. Dedicated flags win over `-o`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    pub model: Option<String>,
    /// Which table below `[profiles]` holds, whatever the settings say.
    pub profile: Option<String>,
    pub theme: Option<ThemeChoice>,
    pub mode: Option<ApprovalMode>,
    pub effort: Option<Effort>,
    pub mouse: Option<bool>,
    pub print_on_exit: Option<bool>,
    /// With the flag that says so.
    pub screen: Option<(&'static str, ScreenChoice)>,
    pub max_rounds: Option<u32>,
    /// US dollars of a session.
    pub max_cost: Option<f64>,
    /// Tokens of a session.
    pub max_tokens: Option<u64>,
    /// `key=value`, with the value as TOML or plain text.
    pub assignments: Vec<String>,
}

/// Settings and their origins.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    pub config: Config,
    /// What was set, by dotted key; [`all_entries`](Self::all_entries) has the defaults too.
    pub entries: BTreeMap<String, SettingEntry>,
    /// Where each denying pattern was first written: they accumulate over the layers.
    pub denied_in: BTreeMap<String, Origin>,
    /// Shown at start; errors for `config check`.
    pub warnings: Vec<Problem>,
}

/// The effective value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingEntry {
    /// As TOML, secrets masked.
    pub display: String,
    pub origin: Origin,
}

impl LoadedConfig {
    /// Returns where an allowing or denying pattern was written, such as `config.toml:12`.
    pub fn rule_origin(&self, kind: RuleKind, pattern: &str) -> String {
        let origin = match kind {
            RuleKind::Allow => self.entries.get(ALLOW_KEY).map(|entry| &entry.origin),
            RuleKind::Deny => self.denied_in.get(pattern),
        };
        origin.map(ToString::to_string).unwrap_or_default()
    }

    /// Returns what `config show` prints: the defaults, and over them what was set.
    pub fn all_entries(&self) -> BTreeMap<String, SettingEntry> {
        let mut all = default_entries();
        for name in self.config.engines.keys() {
            for row in schema::SETTINGS.iter() {
                if let (Some(field), Some(value)) = (row.key.strip_prefix("engines.*."), &row.default) {
                    let key = dotted(&["engines".to_owned(), name.clone(), field.to_owned()]);
                    let entry = SettingEntry { display: value.to_toml(), origin: Origin::Default };
                    all.entry(key).or_insert(entry);
                }
            }
        }
        all.extend(self.entries.iter().map(|(key, entry)| (key.clone(), entry.clone())));
        all
    }

    /// Returns what the keys do, and what is wrong with those of the person, such as `config.toml:12: keys.global: …`.
    pub fn keymap(&self) -> (Keymap, Vec<String>) {
        let (keymap, problems) = Keymap::new(&self.config.keys);
        let told = problems.iter().map(|problem| {
            let key = dotted(&["keys".to_owned(), problem.context.clone(), problem.keys.clone()]);
            match self.entries.get(&key) {
                Some(entry) => format!("{}: {problem}", entry.origin),
                None => problem.to_string(),
            }
        });
        let told = told.collect();
        (keymap, told)
    }
}

/// Merges the layers, or returns all errors in them.
pub fn merge(layers: &ConfigLayers<'_>) -> Result<LoadedConfig, ConfigError> {
    // What a file says of profiles is read with the file, so a flag that names one counts from the first.
    let assigned = layers.flags.assignments.iter().rev().find_map(|text| text.strip_prefix("profile="));
    let assigned = assigned.map(|name| name.trim().trim_matches('"').to_owned());
    let mut merge = Merger { flag_profile: layers.flags.profile.clone().or(assigned), ..Merger::default() };
    // What is built in stands in `Config::default()` too: its file is read where somebody asks for it.
    merge.denied_in.extend(merge.config.approvals.deny.iter().map(|pattern| (pattern.clone(), Origin::Default)));
    if let Some(text) = layers.user {
        merge.add_file(text, |file, line| Origin::User { file, line });
    }
    match layers.project {
        Some(ProjectText { text, trusted: true }) => merge.add_file(text, |file, line| Origin::Project { file, line }),
        Some(ProjectText { text, trusted: false }) => merge.add_untrusted(text),
        None => {}
    }
    merge.add_environment(layers.env);
    merge.add_flags(layers.flags);
    merge.finish(layers.env)
}

/// Reads the built-in file, by dotted key.
fn default_entries() -> BTreeMap<String, SettingEntry> {
    let mut merge = Merger::default();
    merge.add_file(SettingsText { file: "built-in defaults", text: DEFAULT_FILE }, |_, _| Origin::Default);
    merge.entries
}

#[derive(Default)]
struct Merger {
    config: Config,
    entries: BTreeMap<String, SettingEntry>,
    denied_in: BTreeMap<String, Origin>,
    warnings: Vec<Problem>,
    errors: Vec<Problem>,
    flag_profile: Option<String>,
    /// The names of those that there are.
    profiles: BTreeSet<String>,
}

impl Merger {
    fn add_file(&mut self, text: SettingsText<'_>, origin: impl Fn(String, usize) -> Origin) {
        let origin = |line| origin(text.file.to_owned(), line);
        match value::parse(text.text, &schema::is_branch) {
            Ok(settings) => {
                let (of_profiles, plain): (Vec<_>, Vec<_>) =
                    settings.into_iter().partition(|setting| schema::split_profile(&setting.path).is_some());
                for setting in plain {
                    self.add_setting(&setting, origin(setting.line));
                }
                for setting in of_profiles {
                    self.add_profile_setting(&setting, origin(setting.line));
                }
            }
            Err(error) => self.errors.push(Problem::new(origin(error.line), ProblemKind::Syntax(error.message))),
        }
    }

    /// Applies a setting of the profile that holds; of another it is only looked at whether it is one.
    fn add_profile_setting(&mut self, setting: &Setting, origin: Origin) {
        let Some((name, path)) = schema::split_profile(&setting.path) else { return };
        let holds = self.profile() == Some(name);
        let inner = Setting { path: path.to_vec(), value: setting.value.clone(), line: setting.line };
        self.profiles.insert(name.to_owned());
        // A profile holds no other.
        if schema::find(&inner.path).is_none() || inner.path == ["profile"] {
            self.reject(setting, origin);
        } else if holds {
            self.add_setting(&inner, origin);
        }
    }

    fn profile(&self) -> Option<&str> {
        self.flag_profile.as_deref().or(self.config.profile.as_deref())
    }

    /// A profile that isn't there is as good as none, but for a flag, which was typed just now.
    fn check_profile(&mut self) {
        let Some(name) = self.profile().filter(|name| !self.profiles.contains(*name)).map(str::to_owned) else {
            return;
        };
        let known = self.profiles.iter().map(|name| value::printable(name)).collect();
        let is_flag = self.flag_profile.is_some();
        let origin = if is_flag {
            Origin::Flag("--profile")
        } else {
            self.entries.get("profile").map_or(Origin::Default, |entry| entry.origin.clone())
        };
        let problem = Problem::new(origin, ProblemKind::NoProfile { name: truncate(&value::printable(&name)), known });
        let list = if is_flag { &mut self.errors } else { &mut self.warnings };
        list.push(problem);
    }

    fn add_setting(&mut self, setting: &Setting, origin: Origin) {
        let Some(row) = schema::find(&setting.path) else {
            self.reject(setting, origin);
            return;
        };
        let command = matches!(&setting.value, SettingValue::String(text) if text.starts_with("cmd:"));
        if row.is_secret() && command && matches!(origin, Origin::Project { .. }) {
            self.warnings.push(Problem::new(origin, ProblemKind::ProjectCommand { key: dotted(&setting.path) }));
            return;
        }
        let is_personal = row.is_for_person_alone() || row.loosens_sandbox(&setting.value);
        if is_personal && matches!(origin, Origin::Project { .. }) {
            self.warnings.push(Problem::new(origin, ProblemKind::ProjectPersonal { key: dotted(&setting.path) }));
            return;
        }
        if row.starts_programs() && matches!(origin, Origin::Project { .. }) {
            self.warnings.push(Problem::new(origin, ProblemKind::ProjectProgram { key: dotted(&setting.path) }));
            return;
        }
        if let Err(what) = self.apply(row, &setting.path, &setting.value, origin.clone()) {
            self.errors.push(Problem::new(origin, what));
        }
    }

    /// Reports a key that isn't a setting: it is unknown, or holds a value in place of a table.
    fn reject(&mut self, setting: &Setting, origin: Origin) {
        let key = dotted(&setting.path);
        if schema::is_branch(&setting.path) {
            let found = setting.value.kind().to_owned();
            let what = ProblemKind::WrongValue { key, expected: "a table".into(), found };
            self.errors.push(Problem::new(origin, what));
            return;
        }
        let what = ProblemKind::UnknownKey { key, suggestion: schema::suggest_key(&setting.path) };
        // A flag was typed just now, for this start only; stopping loses nothing.
        let list = if matches!(origin, Origin::Flag(_)) { &mut self.errors } else { &mut self.warnings };
        list.push(Problem::new(origin, what));
    }

    fn apply(
        &mut self,
        row: &SettingSpec,
        path: &[String],
        value: &SettingValue,
        origin: Origin,
    ) -> Result<(), ProblemKind> {
        let key = dotted(path);
        let wrong =
            |expected: &str, found| ProblemKind::WrongValue { key: key.clone(), expected: expected.into(), found };
        if let Some(expected) = schema::name_problem(path) {
            return Err(wrong(expected, "another".into()));
        }
        if (row.set)(&mut self.config, path, value).is_none() {
            return Err(wrong(&row.expected, quote_value(row, value)));
        }
        if row.key == DENY_KEY {
            for pattern in &self.config.approvals.deny {
                self.denied_in.entry(pattern.clone()).or_insert_with(|| origin.clone());
            }
        }
        let shown = if row.key == DENY_KEY {
            SettingValue::strings(&self.config.approvals.deny).to_toml()
        } else {
            row.shown.display(value)
        };
        self.entries.insert(key, SettingEntry { display: shown, origin });
        Ok(())
    }

    fn add_untrusted(&mut self, text: SettingsText<'_>) {
        let origin = |line| Origin::Project { file: text.file.to_owned(), line };
        let settings = match value::parse(text.text, &schema::is_branch) {
            Ok(settings) => settings,
            Err(error) => {
                self.warnings.push(Problem::new(origin(error.line), ProblemKind::UntrustedBroken(error.message)));
                return;
            }
        };
        let mut ignored: Vec<&Setting> = Vec::new();
        for setting in &settings {
            let Some(row) = schema::find(&setting.path).filter(|row| row.is_harmless()) else {
                ignored.push(setting);
                continue;
            };
            let here = origin(setting.line);
            if let ("model", SettingValue::String(model)) = (row.key.as_str(), &setting.value)
                && !self.config.engines.contains_key(Config::model_parts(model).0)
            {
                let what = ProblemKind::UntrustedModel { model: truncate(&value::printable(model)) };
                self.warnings.push(Problem::new(here, what));
                continue;
            }
            if let Err(what) = self.apply(row, &setting.path, &setting.value, here.clone()) {
                self.warnings.push(Problem::new(here, what));
            }
        }
        if let Some(first) = ignored.first() {
            let keys = ignored.iter().take(MAX_LISTED_KEYS).map(|setting| truncate(&dotted(&setting.path))).collect();
            let more = ignored.len().saturating_sub(MAX_LISTED_KEYS);
            self.warnings.push(Problem::new(origin(first.line), ProblemKind::Untrusted { keys, more }));
        }
    }

    fn add_environment(&mut self, env: Env<'_>) {
        let mut variable = |name: &'static str, path: &[&str], value: fn(String) -> SettingValue| {
            if let Some(text) = env(name).filter(|text| !text.trim().is_empty()) {
                self.add_value(path, &value(text), Origin::Environment(name));
            }
        };
        variable("JARVIS_TUI_MODEL", &["model"], SettingValue::String);
        variable("JARVIS_TUI_NO_ALT_SCREEN", &["ui", "screen"], |_| SettingValue::string(ScreenChoice::Inline.name()));
        variable("JARVIS_TUI_SCREEN_READER", &["ui", "screen"], |_| SettingValue::string(ScreenChoice::Linear.name()));
        variable("NO_COLOR", &["ui", "theme"], |_| SettingValue::string(ThemeChoice::Mono.name()));
    }

    fn add_flags(&mut self, flags: &Overrides) {
        for text in &flags.assignments {
            self.add_assignment(text);
        }
        let mut flag = |name, path: &[&str], value: Option<SettingValue>| {
            if let Some(value) = value {
                self.add_value(path, &value, Origin::Flag(name));
            }
        };
        flag("--model", &["model"], flags.model.as_ref().map(SettingValue::string));
        flag("--theme", &["ui", "theme"], flags.theme.as_ref().map(|theme| SettingValue::string(theme.name())));
        flag("--approval-mode", &["approvals", "mode"], flags.mode.map(|mode| SettingValue::string(mode.name())));
        flag("--effort", &["effort"], flags.effort.map(|effort| SettingValue::string(effort.name())));
        flag("--no-mouse", &["ui", "mouse"], flags.mouse.map(SettingValue::Bool));
        if let Some((name, screen)) = flags.screen {
            flag(name, &["ui", "screen"], Some(SettingValue::string(screen.name())));
        }
        flag("--print-on-exit", &["ui", "print_on_exit"], flags.print_on_exit.map(SettingValue::Bool));
        flag(
            "--max-rounds",
            &["limits", "max_rounds"],
            flags.max_rounds.map(|rounds| SettingValue::Int(rounds.into())),
        );
        flag("--max-budget-usd", &["limits", "session_cost"], flags.max_cost.map(SettingValue::Float));
        let tokens = flags.max_tokens.and_then(|tokens| i64::try_from(tokens).ok());
        flag("--max-tokens", &["limits", "session_tokens"], tokens.map(SettingValue::Int));
    }

    fn add_value(&mut self, path: &[&str], value: &SettingValue, origin: Origin) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.add_setting(&Setting { path, value: value.clone(), line: 0 }, origin);
    }

    /// Parses `-o key=value`. Shells remove quotes, so an unsuitable value is retried as a string.
    fn add_assignment(&mut self, text: &str) {
        let origin = Origin::Flag("-o");
        let parts = text.split_once('=').and_then(|(key, value)| Some((value::parse_key(key.trim())?, value.trim())));
        let Some((path, given)) = parts else {
            // Only the key: the rest may be a secret.
            let key = text.split('=').next().unwrap_or_default();
            let what = ProblemKind::NotAnAssignment(truncate(&value::printable(key)));
            self.errors.push(Problem::new(origin, what));
            return;
        };
        let parsed = SettingValue::parse(given);
        let as_text = SettingValue::string(given);
        if let (Some(row), Some(value)) = (schema::find(&path), &parsed)
            && self.apply(row, &path, value, origin.clone()).is_ok()
        {
            return;
        }
        let value = match (schema::find(&path), parsed) {
            (Some(row), Some(_)) if self.apply(row, &path, &as_text, origin.clone()).is_ok() => return,
            (_, Some(parsed)) => parsed,
            (_, None) => as_text,
        };
        self.add_setting(&Setting { path, value, line: 0 }, origin);
    }

    fn finish(mut self, env: Env<'_>) -> Result<LoadedConfig, ConfigError> {
        self.check_profile();
        self.check_engines();
        if !self.errors.is_empty() {
            return Err(ConfigError(self.errors));
        }
        if let Some(home) = env("HOME").map(PathBuf::from).filter(|home| home.is_absolute()) {
            let of_servers = self.config.mcp.values_mut().filter_map(|server| server.write.as_mut()).flatten();
            let folders = self.config.tools.folders.iter_mut().chain(&mut self.config.sandbox.write).chain(of_servers);
            for folder in folders {
                if let Ok(rest) = folder.strip_prefix("~") {
                    *folder = if rest.as_os_str().is_empty() { home.clone() } else { home.join(rest) };
                }
            }
        }
        if self.flag_profile.is_some() {
            self.config.profile.clone_from(&self.flag_profile);
        }
        let Self { config, entries, denied_in, warnings, .. } = self;
        Ok(LoadedConfig { config, entries, denied_in, warnings })
    }

    /// Every engine that is not built in needs an explicit kind.
    fn check_engines(&mut self) {
        let built_in = |name: &str| ENGINES.iter().any(|spec| spec.name == name);
        for name in self.config.engines.keys().filter(|name| !built_in(name)) {
            let below = format!("{}.", dotted(&["engines".to_owned(), name.clone()]));
            if !self.entries.contains_key(&format!("{below}kind")) {
                let first = self.entries.iter().find(|(key, _)| key.starts_with(&below));
                let origin = first.map_or(Origin::Default, |(_, entry)| entry.origin.clone());
                self.errors.push(Problem::new(origin, ProblemKind::NoKind { engine: name.clone() }));
            }
        }
    }
}

/// Quotes a wrong value only if it is short and can't be a secret.
fn quote_value(row: &SettingSpec, value: &SettingValue) -> String {
    match value {
        _ if row.is_secret() => value.kind().to_owned(),
        SettingValue::List(_) | SettingValue::Table(_) | SettingValue::Other(_) => value.kind().to_owned(),
        value => truncate(&row.shown.display(value)),
    }
}

fn truncate(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
