//! PURE. The table of all settings: key, expected value, and where the value is stored.
//!
//! Reading, unknown keys, `config show` and the test of the default file all walk this table.

mod read;

use std::path::PathBuf;

use self::read::{boolean, duration, integer, price, string, strings};
use super::value::{SettingValue, dotted};
use super::{Config, EngineConfig, ImageChoice, RemoteConfig, ThemeChoice, suggestion};
use crate::engine::remote::RequestKind;
use crate::engine::{find_spec, openai};
use crate::event::ApprovalMode;
use crate::store::Timestamps;

pub(super) struct SettingSpec {
    /// Dotted; `*` stands for a name chosen by the person.
    pub key: &'static str,
    /// Completes "expected …".
    pub expected: &'static str,
    /// Returns `None` and changes nothing if the value isn't as expected.
    pub set: fn(&mut Config, &[String], &SettingValue) -> Option<()>,
}

pub(super) const SETTINGS: &[SettingSpec] = &[
    SettingSpec { key: "version", expected: "1, the only version", set: |_, _, value| integer(value, 1, 1).map(drop) },
    SettingSpec {
        key: "model",
        expected: "a string such as \"openai/gpt-4o\" or \"offline\"",
        set: |config, _, value| {
            config.model = Some(string(value).filter(|text| !text.starts_with('/'))?);
            Some(())
        },
    },
    SettingSpec {
        key: "engines.*.kind",
        expected: "\"offline\", \"openai\", \"openai-responses\", \"anthropic\" or \"ollama\"",
        set: |config, path, value| {
            let kind = find_spec(&string(value)?)?;
            engine(config, path)?.kind = kind;
            Some(())
        },
    },
    SettingSpec {
        key: "engines.*.base_url",
        expected: "an address such as \"http://127.0.0.1:8080/v1\", or \"env:NAME\"",
        set: |config, path, value| {
            let url = string(value)?;
            engine(config, path)?.base_url = Some(url);
            Some(())
        },
    },
    SettingSpec {
        key: "engines.*.api_key",
        expected: "\"env:NAME\", \"cmd:COMMAND\" or the key",
        set: |config, path, value| {
            let key = string(value)?;
            engine(config, path)?.api_key = Some(key);
            Some(())
        },
    },
    SettingSpec {
        key: "engines.*.first_byte_timeout",
        expected: "a duration such as \"90s\" or \"15m\"",
        set: |config, path, value| {
            let span = duration(value)?;
            engine(config, path)?.first_byte_timeout = span;
            Some(())
        },
    },
    SettingSpec {
        key: "engines.*.idle_timeout",
        expected: "a duration such as \"90s\" or \"15m\"",
        set: |config, path, value| {
            let span = duration(value)?;
            engine(config, path)?.idle_timeout = span;
            Some(())
        },
    },
    SettingSpec {
        key: "engines.*.no_output_timeout",
        expected: "a duration such as \"90s\" or \"15m\"",
        set: |config, path, value| {
            let span = duration(value)?;
            engine(config, path)?.no_output_timeout = span;
            Some(())
        },
    },
    SettingSpec {
        key: "engines.*.retries",
        expected: "a whole number from 0 to 20",
        set: |config, path, value| {
            let retries = u32::try_from(integer(value, 0, 20)?).ok()?;
            engine(config, path)?.retries = retries;
            Some(())
        },
    },
    SettingSpec {
        key: "remotes.*.url",
        expected: "an address such as \"http://127.0.0.1:8000\"",
        set: |config, path, value| {
            let url = string(value)?;
            remote(config, path)?.url = url;
            Some(())
        },
    },
    SettingSpec {
        key: "remotes.*.dialect",
        expected: "the name of a dialect such as \"openjarvis\", or \"auto\"",
        set: |config, path, value| {
            let name = string(value)?;
            remote(config, path)?.dialect = Some(name).filter(|name| name != "auto");
            Some(())
        },
    },
    SettingSpec {
        key: "remotes.*.request",
        expected: "a request format such as \"chat\", \"responses\", \"ag-ui\" or \"get\"",
        set: |config, path, value| {
            let kind = RequestKind::find(&string(value)?)?;
            remote(config, path)?.request = Some(kind);
            Some(())
        },
    },
    SettingSpec {
        key: "remotes.*.token",
        expected: "\"env:NAME\", \"cmd:COMMAND\" or the token",
        set: |config, path, value| {
            let token = string(value)?;
            remote(config, path)?.token = Some(token);
            Some(())
        },
    },
    SettingSpec {
        key: "remotes.*.headers.*",
        expected: "\"env:NAME\", \"cmd:COMMAND\" or the header's value",
        set: |config, path, value| {
            let header = string(value)?;
            let name = path.get(3)?.clone();
            remote(config, path)?.headers.insert(name, header);
            Some(())
        },
    },
    SettingSpec {
        key: "remotes.*.model",
        expected: "the name of a model",
        set: |config, path, value| {
            let model = string(value)?;
            remote(config, path)?.model = Some(model);
            Some(())
        },
    },
    SettingSpec {
        key: "remotes.*.local_tools",
        expected: "true or false",
        set: |config, path, value| {
            let local = boolean(value);
            assign(&mut remote(config, path)?.local_tools, local)
        },
    },
    SettingSpec {
        key: "remotes.*.idle_timeout",
        expected: "a duration such as \"90s\" or \"15m\"",
        set: |config, path, value| {
            let span = duration(value)?;
            remote(config, path)?.idle_timeout = Some(span);
            Some(())
        },
    },
    SettingSpec {
        key: "ui.theme",
        expected: "\"auto\", \"dark\", \"light\" or \"mono\"",
        set: |config, _, value| {
            config.ui.theme = ThemeChoice::parse(&string(value)?)?;
            Some(())
        },
    },
    SettingSpec {
        key: "ui.max_fps",
        expected: "a whole number from 1 to 240",
        set: |config, _, value| {
            config.ui.max_fps = u16::try_from(integer(value, 1, 240)?).ok()?;
            Some(())
        },
    },
    SettingSpec {
        key: "ui.fold_thinking",
        expected: "true or false",
        set: |config, _, value| assign(&mut config.ui.fold_thinking, boolean(value)),
    },
    SettingSpec {
        key: "ui.fold_output",
        expected: "true or false",
        set: |config, _, value| assign(&mut config.ui.fold_output, boolean(value)),
    },
    SettingSpec {
        key: "ui.mouse",
        expected: "true or false",
        set: |config, _, value| assign(&mut config.ui.mouse, boolean(value)),
    },
    SettingSpec {
        key: "ui.tool_panel",
        expected: "true or false",
        set: |config, _, value| assign(&mut config.ui.tool_panel, boolean(value)),
    },
    SettingSpec {
        key: "ui.timestamps",
        expected: "\"off\", \"relative\" or \"clock\"",
        set: |config, _, value| {
            config.ui.timestamps = Timestamps::parse(&string(value)?)?;
            Some(())
        },
    },
    SettingSpec {
        key: "ui.images",
        expected: "\"auto\", \"blocks\", \"kitty\" or \"off\"",
        set: |config, _, value| assign(&mut config.ui.images, ImageChoice::parse(&string(value)?)),
    },
    SettingSpec {
        key: "approvals.mode",
        expected: "\"ask\", \"auto-edit\", \"plan\" or \"full\"",
        set: |config, _, value| assign(&mut config.approvals.mode, ApprovalMode::parse(&string(value)?)),
    },
    SettingSpec {
        key: ALLOW_KEY,
        expected: "a list of strings such as [\"read_file\", \"shell(git status*)\"]",
        set: |config, _, value| assign(&mut config.approvals.allow, strings(value)),
    },
    SettingSpec {
        key: DENY_KEY,
        expected: "a list of strings such as [\"shell(rm *)\"]",
        set: |config, _, value| {
            for pattern in strings(value)? {
                if !config.approvals.deny.contains(&pattern) {
                    config.approvals.deny.push(pattern);
                }
            }
            Some(())
        },
    },
    SettingSpec {
        key: "tools.folders",
        expected: "a list of folders such as [\"~/notes\"]",
        set: |config, _, value| {
            config.tools.folders = strings(value)?.into_iter().map(PathBuf::from).collect();
            Some(())
        },
    },
    SettingSpec {
        key: "tools.timeout",
        expected: "a duration such as \"90s\" or \"15m\"",
        set: |config, _, value| assign(&mut config.tools.timeout, duration(value)),
    },
    SettingSpec {
        key: "tools.shell_timeout",
        expected: "a duration such as \"90s\" or \"15m\"",
        set: |config, _, value| assign(&mut config.tools.shell_timeout, duration(value)),
    },
    SettingSpec {
        key: "limits.max_rounds",
        expected: "a whole number from 1 to 1000",
        set: |config, _, value| assign(&mut config.limits.max_rounds, u32::try_from(integer(value, 1, 1000)?).ok()),
    },
    SettingSpec {
        key: "limits.tool_output",
        expected: "a whole number of bytes from 1024 to 1048576",
        set: |config, _, value| {
            assign(&mut config.limits.max_tool_output_bytes, usize::try_from(integer(value, 1024, 1_048_576)?).ok())
        },
    },
    SettingSpec {
        key: "server.host",
        expected: "an address or a name such as \"127.0.0.1\"",
        set: |config, _, value| assign(&mut config.server.host, string(value)),
    },
    SettingSpec {
        key: "server.port",
        expected: "a whole number from 0 to 65535",
        set: |config, _, value| assign(&mut config.server.port, u16::try_from(integer(value, 0, 65_535)?).ok()),
    },
    SettingSpec {
        key: "server.token",
        expected: "\"env:NAME\", \"cmd:COMMAND\" or the token",
        set: |config, _, value| assign(&mut config.server.token, string(value)),
    },
    SettingSpec {
        key: "server.read_token",
        expected: "\"env:NAME\", \"cmd:COMMAND\" or the token",
        set: |config, _, value| assign(&mut config.server.read_token, string(value)),
    },
    SettingSpec {
        key: "server.origins",
        expected: "a list of origins such as [\"https://app.example\"]",
        set: |config, _, value| assign(&mut config.server.origins, strings(value)),
    },
    SettingSpec {
        key: "server.clients",
        expected: "a whole number from 1 to 100000",
        set: |config, _, value| {
            assign(&mut config.server.max_clients, usize::try_from(integer(value, 1, 100_000)?).ok())
        },
    },
    SettingSpec {
        key: "server.sessions",
        expected: "a whole number from 1 to 10000",
        set: |config, _, value| {
            assign(&mut config.server.max_sessions, usize::try_from(integer(value, 1, 10_000)?).ok())
        },
    },
    SettingSpec {
        key: "server.body",
        expected: "a whole number from 1024 to 1073741824",
        set: |config, _, value| {
            assign(&mut config.server.max_body_bytes, usize::try_from(integer(value, 1024, 1 << 30)?).ok())
        },
    },
    SettingSpec {
        key: "server.message",
        expected: "a whole number from 1024 to 1073741824",
        set: |config, _, value| {
            assign(&mut config.server.max_prompt_bytes, usize::try_from(integer(value, 1024, 1 << 30)?).ok())
        },
    },
    SettingSpec {
        key: "server.ask_timeout",
        expected: "a duration such as \"10m\"",
        set: |config, _, value| assign(&mut config.server.approval_timeout, duration(value)),
    },
    SettingSpec {
        key: "prices.*",
        expected: "dollars per million tokens such as { input = 2.5, output = 10.0 }",
        set: |config, path, value| {
            let price = price(value)?;
            config.prices.insert(path.get(1)?.clone(), price);
            Some(())
        },
    },
    SettingSpec {
        key: "windows.*",
        expected: "a whole number of tokens",
        set: |config, path, value| {
            let window = u64::try_from(integer(value, 1, 1_000_000_000)?).ok()?;
            config.windows.insert(path.get(1)?.clone(), window);
            Some(())
        },
    },
    SettingSpec {
        key: "keys.*.*",
        expected: "the name of an action, or \"none\"",
        set: |config, path, value| {
            let action = string(value)?;
            config.keys.entry(path.get(1)?.clone()).or_default().insert(path.get(2)?.clone(), action);
            Some(())
        },
    },
];

pub(super) const ALLOW_KEY: &str = "approvals.allow";
/// The only list that accumulates over the layers.
pub(super) const DENY_KEY: &str = "approvals.deny";

impl SettingSpec {
    pub(super) fn matches(&self, path: &[String]) -> bool {
        self.parts().count() == path.len() && self.starts_with(path)
    }

    /// Returns the key's first part.
    pub(super) fn table(&self) -> &'static str {
        self.parts().next().unwrap_or_default()
    }

    /// Returns whether values of this key must never be displayed.
    pub(super) fn is_secret(&self) -> bool {
        matches!(
            self.key,
            "engines.*.api_key" | "remotes.*.token" | "remotes.*.headers.*" | "server.token" | "server.read_token"
        )
    }

    /// Returns whether an untrusted project may set it.
    pub(super) fn is_harmless(&self) -> bool {
        self.key == "model" || self.key.starts_with("ui.") || self.key == "version"
    }

    fn parts(&self) -> impl Iterator<Item = &'static str> {
        self.key.split('.')
    }

    fn starts_with(&self, path: &[String]) -> bool {
        self.parts().count() >= path.len() && self.parts().zip(path).all(|(part, name)| part == "*" || part == name)
    }
}

pub(super) fn find(path: &[String]) -> Option<&'static SettingSpec> {
    SETTINGS.iter().find(|row| row.matches(path))
}

/// Returns whether there are settings below this path.
pub(super) fn is_branch(path: &[String]) -> bool {
    SETTINGS.iter().any(|row| row.starts_with(path) && !row.matches(path))
}

/// Returns the known key that an unknown one was probably meant to be.
pub(super) fn suggest_key(path: &[String]) -> Option<String> {
    let known: Vec<String> = SETTINGS.iter().filter_map(|row| fill_in_names(row, path)).collect();
    if let Some(key) = suggestion::suggest(&dotted(path), known.iter().map(String::as_str)) {
        return Some(key.to_owned());
    }
    // A nearly correct name in the wrong table.
    let leaf = |row: &'static SettingSpec| row.parts().last().filter(|name| *name != "*");
    let name = suggestion::suggest(path.last()?, SETTINGS.iter().filter_map(leaf))?;
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
        "remotes" if !plain => Some("a remote's name of letters, digits, `-`, `_` and `.`"),
        _ => None,
    }
}

/// Returns the engine of this path, which may be new; the merge checks later whether it has a kind.
fn engine<'a>(config: &'a mut Config, path: &[String]) -> Option<&'a mut EngineConfig> {
    let name = path.get(1)?.clone();
    Some(config.engines.entry(name).or_insert_with(|| EngineConfig::new(&openai::SPEC)))
}

/// Returns the remote of this path, which may be new.
fn remote<'a>(config: &'a mut Config, path: &[String]) -> Option<&'a mut RemoteConfig> {
    Some(config.remotes.entry(path.get(1)?.clone()).or_default())
}

fn assign<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
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
            ("telemetry", None),
        ] {
            assert_eq!(suggest_key(&path(key)).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn tables_end_where_values_begin() {
        assert!(is_branch(&path("ui")) && is_branch(&path("engines.x")) && is_branch(&path("keys.global")));
        assert!(!is_branch(&path("prices.x")) && !is_branch(&path("ui.theme")) && !is_branch(&path("other")));
        assert!(find(&path("engines.x.kind")).is_some() && find(&path("engines.x")).is_none());
    }
}
