//! PURE. Layers of texts in; settings, origins and complaints out.
//!
//! Order: built in, the person's file, the project's file, environment, flags; what comes later counts. A project's
//! file that nobody vouched for may set only looks and the model, and can't keep the program from starting.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::problem::{Error, Origin, Problem, What};
use super::schema::{self, ALLOW, DENY, Row};
use super::value::{self, Setting, Value, dotted};
use super::{Config, DEFAULT_FILE, Env, ThemeChoice, secret, units};
use crate::event::{Mode, RuleKind};
use crate::text::address::without_password;

/// Ignored keys that one warning lists.
const LISTED: usize = 8;
/// Longest value that a message repeats.
const REPEATED: usize = 60;

/// What settings are made of.
pub struct Layers<'a> {
    pub user: Option<Text<'a>>,
    pub project: Option<ProjectText<'a>>,
    pub env: Env<'a>,
    pub flags: &'a Overrides,
}

/// A settings file's name for messages, and its text.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

#[derive(Clone, Copy, Debug)]
pub struct ProjectText<'a> {
    pub text: Text<'a>,
    /// The person accepted this folder with exactly this text.
    pub trusted: bool,
}

/// What flags say. Dedicated flags count more than `-o`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    pub model: Option<String>,
    pub theme: Option<ThemeChoice>,
    pub mode: Option<Mode>,
    pub mouse: Option<bool>,
    pub max_rounds: Option<u32>,
    /// `key=value`, value as TOML or bare text.
    pub set: Vec<String>,
}

/// Settings and how they came about.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// By dotted key; what `config show` prints.
    pub entries: BTreeMap<String, Entry>,
    /// Where each denying pattern was first written: they add up over the layers.
    pub denied_in: BTreeMap<String, Origin>,
    /// To be shown at start; errors to `config check`.
    pub warnings: Vec<Problem>,
}

/// The last value given for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As TOML, secrets as dots.
    pub shown: String,
    pub origin: Origin,
}

impl Loaded {
    /// Returns where an allowing or denying pattern was written, such as `config.toml:12`.
    pub fn rule_origin(&self, kind: RuleKind, pattern: &str) -> String {
        let origin = match kind {
            RuleKind::Allow => self.entries.get(ALLOW).map(|entry| &entry.origin),
            RuleKind::Deny => self.denied_in.get(pattern),
        };
        origin.map(ToString::to_string).unwrap_or_default()
    }
}

/// Merges the layers, or says everything that is broken in them.
pub fn merge(layers: &Layers<'_>) -> Result<Loaded, Error> {
    let mut merge = Merge::default();
    merge.file(Text { file: "built-in defaults", text: DEFAULT_FILE }, |_, _| Origin::Default);
    if let Some(text) = layers.user {
        merge.file(text, |file, line| Origin::User { file, line });
    }
    match layers.project {
        Some(ProjectText { text, trusted: true }) => merge.file(text, |file, line| Origin::Project { file, line }),
        Some(ProjectText { text, trusted: false }) => merge.untrusted(text),
        None => {}
    }
    merge.environment(layers.env);
    merge.flags(layers.flags);
    merge.finish(layers.env)
}

#[derive(Default)]
struct Merge {
    config: Config,
    entries: BTreeMap<String, Entry>,
    denied_in: BTreeMap<String, Origin>,
    warnings: Vec<Problem>,
    errors: Vec<Problem>,
}

impl Merge {
    fn file(&mut self, text: Text<'_>, origin: impl Fn(String, usize) -> Origin) {
        let origin = |line| origin(text.file.to_owned(), line);
        match value::parse(text.text, &schema::is_branch) {
            Ok(settings) => {
                for setting in settings {
                    self.setting(&setting, origin(setting.line));
                }
            }
            Err(error) => self.errors.push(Problem::new(origin(error.line), What::Syntax(error.message))),
        }
    }

    fn setting(&mut self, setting: &Setting, origin: Origin) {
        let Some(row) = schema::find(&setting.path) else {
            self.unfit(setting, origin);
            return;
        };
        let command = matches!(&setting.value, Value::Text(text) if text.starts_with("cmd:"));
        if row.is_secret() && command && matches!(origin, Origin::Project { .. }) {
            self.warnings.push(Problem::new(origin, What::ProjectCommand { key: dotted(&setting.path) }));
            return;
        }
        if let Err(what) = self.set(row, &setting.path, &setting.value, origin.clone()) {
            self.errors.push(Problem::new(origin, what));
        }
    }

    /// No setting has this key: it is unknown, or a value where a table belongs.
    fn unfit(&mut self, setting: &Setting, origin: Origin) {
        let key = dotted(&setting.path);
        if schema::is_branch(&setting.path) {
            let found = setting.value.kind().to_owned();
            let what = What::WrongValue { key, expected: "a table".into(), found };
            self.errors.push(Problem::new(origin, what));
            return;
        }
        let what = What::UnknownKey { key, nearest: schema::suggest(&setting.path) };
        // A flag was typed just now, for this start; nothing is lost by asking again.
        let list = if matches!(origin, Origin::Flag(_)) { &mut self.errors } else { &mut self.warnings };
        list.push(Problem::new(origin, what));
    }

    fn set(&mut self, row: &Row, path: &[String], value: &Value, origin: Origin) -> Result<(), What> {
        let key = dotted(path);
        let wrong = |expected: &str, found| What::WrongValue { key: key.clone(), expected: expected.into(), found };
        if let Some(expected) = schema::wrong_name(path) {
            return Err(wrong(expected, "another".into()));
        }
        if (row.set)(&mut self.config, path, value).is_none() {
            return Err(wrong(row.expects, found(row, value)));
        }
        if row.key == DENY {
            for pattern in &self.config.approvals.deny {
                self.denied_in.entry(pattern.clone()).or_insert_with(|| origin.clone());
            }
        }
        let shown = if row.key == DENY { Value::texts(&self.config.approvals.deny).show() } else { shown(row, value) };
        self.entries.insert(key, Entry { shown, origin });
        Ok(())
    }

    fn untrusted(&mut self, text: Text<'_>) {
        let origin = |line| Origin::Project { file: text.file.to_owned(), line };
        let settings = match value::parse(text.text, &schema::is_branch) {
            Ok(settings) => settings,
            Err(error) => {
                self.warnings.push(Problem::new(origin(error.line), What::UntrustedBroken(error.message)));
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
            if let ("model", Value::Text(model)) = (row.key, &setting.value)
                && !self.config.engines.contains_key(Config::model_parts(model).0)
            {
                let what = What::UntrustedModel { model: shorten(&value::printable(model)) };
                self.warnings.push(Problem::new(here, what));
                continue;
            }
            if let Err(what) = self.set(row, &setting.path, &setting.value, here.clone()) {
                self.warnings.push(Problem::new(here, what));
            }
        }
        if let Some(first) = ignored.first() {
            let keys = ignored.iter().take(LISTED).map(|setting| shorten(&dotted(&setting.path))).collect();
            let more = ignored.len().saturating_sub(LISTED);
            self.warnings.push(Problem::new(origin(first.line), What::Untrusted { keys, more }));
        }
    }

    fn environment(&mut self, env: Env<'_>) {
        let mut variable = |name: &'static str, path: &[&str], value: fn(String) -> Value| {
            if let Some(text) = env(name).filter(|text| !text.trim().is_empty()) {
                self.given(path, &value(text), Origin::Environment(name));
            }
        };
        variable("JARVIS_TUI_MODEL", &["model"], Value::Text);
        variable("NO_COLOR", &["ui", "theme"], |_| Value::text(ThemeChoice::Mono.name()));
    }

    fn flags(&mut self, flags: &Overrides) {
        for text in &flags.set {
            self.assignment(text);
        }
        let mut flag = |name, path: &[&str], value: Option<Value>| {
            if let Some(value) = value {
                self.given(path, &value, Origin::Flag(name));
            }
        };
        flag("--model", &["model"], flags.model.as_ref().map(Value::text));
        flag("--theme", &["ui", "theme"], flags.theme.map(|theme| Value::text(theme.name())));
        flag("--approval-mode", &["approvals", "mode"], flags.mode.map(|mode| Value::text(mode.name())));
        flag("--no-mouse", &["ui", "mouse"], flags.mouse.map(Value::Bool));
        flag("--max-rounds", &["limits", "max_rounds"], flags.max_rounds.map(|rounds| Value::Int(rounds.into())));
    }

    fn given(&mut self, path: &[&str], value: &Value, origin: Origin) {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        self.setting(&Setting { path, value: value.clone(), line: 0 }, origin);
    }

    /// Reads `-o key=value`. Shells eat quotes, so a value that isn't what the key takes is tried again as text.
    fn assignment(&mut self, text: &str) {
        let origin = Origin::Flag("-o");
        let parts = text.split_once('=').and_then(|(key, value)| Some((value::parse_key(key.trim())?, value.trim())));
        let Some((path, given)) = parts else {
            // Only the key: the rest may be a secret.
            let key = text.split('=').next().unwrap_or_default();
            let what = What::NotAnAssignment(shorten(&value::printable(key)));
            self.errors.push(Problem::new(origin, what));
            return;
        };
        let parsed = Value::parse(given);
        let as_text = Value::text(given);
        if let (Some(row), Some(value)) = (schema::find(&path), &parsed)
            && self.set(row, &path, value, origin.clone()).is_ok()
        {
            return;
        }
        let value = match (schema::find(&path), parsed) {
            (Some(row), Some(_)) if self.set(row, &path, &as_text, origin.clone()).is_ok() => return,
            (_, Some(parsed)) => parsed,
            (_, None) => as_text,
        };
        self.setting(&Setting { path, value, line: 0 }, origin);
    }

    fn finish(mut self, env: Env<'_>) -> Result<Loaded, Error> {
        self.engines();
        if !self.errors.is_empty() {
            return Err(Error(self.errors));
        }
        if let Some(home) = env("HOME").map(PathBuf::from).filter(|home| home.is_absolute()) {
            for folder in &mut self.config.tools.folders {
                if let Ok(rest) = folder.strip_prefix("~") {
                    *folder = if rest.as_os_str().is_empty() { home.clone() } else { home.join(rest) };
                }
            }
        }
        let Self { config, entries, denied_in, warnings, errors: _ } = self;
        Ok(Loaded { config, entries, denied_in, warnings })
    }

    /// Every engine needs a kind that somebody wrote; its limits have defaults.
    fn engines(&mut self) {
        for (name, engine) in &self.config.engines {
            let key = |field: &str| dotted(&["engines".to_owned(), name.clone(), field.to_owned()]);
            if !self.entries.contains_key(&key("kind")) {
                let below = format!("{}.", dotted(&["engines".to_owned(), name.clone()]));
                let first = self.entries.iter().find(|(key, _)| key.starts_with(&below));
                let origin = first.map_or(Origin::Default, |(_, entry)| entry.origin.clone());
                self.errors.push(Problem::new(origin, What::NoKind { engine: name.clone() }));
            }
            for (field, value) in [
                ("first_byte_timeout", Value::text(units::show_duration(engine.first_byte_timeout))),
                ("idle_timeout", Value::text(units::show_duration(engine.idle_timeout))),
                ("no_output_timeout", Value::text(units::show_duration(engine.no_output_timeout))),
                ("retries", Value::Int(engine.retries.into())),
            ] {
                let entry = Entry { shown: value.show(), origin: Origin::Default };
                self.entries.entry(key(field)).or_insert(entry);
            }
        }
    }
}

fn shown(row: &Row, value: &Value) -> String {
    match value {
        Value::Text(text) if row.is_secret() => Value::text(secret::masked(text)).show(),
        Value::Text(text) if matches!(row.key, "engines.*.base_url" | "remotes.*.url") => {
            Value::text(without_password(text)).show()
        }
        other => other.show(),
    }
}

/// Repeats a wrong value only where it can't be a secret or long.
fn found(row: &Row, value: &Value) -> String {
    match value {
        _ if row.is_secret() => value.kind().to_owned(),
        Value::List(_) | Value::Table(_) | Value::Other(_) => value.kind().to_owned(),
        value => shorten(&shown(row, value)),
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(REPEATED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
