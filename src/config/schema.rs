//! PURE. The one table of settings: its key, what it takes, and where the value goes.
//!
//! Reading, unknown keys, `config show` and the test of the default file all walk this table.

mod read;

use std::path::PathBuf;

use self::read::{flag, price, span, text, texts, whole};
use super::remote::REQUESTS;
use super::value::{Value, dotted};
use super::{Config, EngineConfig, EngineKind, ImageChoice, RemoteConfig, ThemeChoice, nearest};
use crate::event::Mode;
use crate::store::Timestamps;

pub(super) struct Row {
    /// Dotted; `*` stands for a name that the person chooses.
    pub key: &'static str,
    /// Completes "expected …".
    pub expects: &'static str,
    /// Returns none if the value is not what is expected, and then changes nothing.
    pub set: fn(&mut Config, &[String], &Value) -> Option<()>,
}

pub(super) const ROWS: &[Row] = &[
    Row { key: "version", expects: "1, the only version there is", set: |_, _, value| whole(value, 1, 1).map(drop) },
    Row {
        key: "model",
        expects: "a text such as \"openai/gpt-4o\" or \"offline\"",
        set: |config, _, value| {
            config.model = Some(text(value).filter(|text| !text.starts_with('/'))?);
            Some(())
        },
    },
    Row {
        key: "engines.*.kind",
        expects: "\"offline\", \"openai\", \"openai-responses\", \"anthropic\" or \"ollama\"",
        set: |config, path, value| {
            let kind = EngineKind::parse(&text(value)?)?;
            engine(config, path)?.kind = kind;
            Some(())
        },
    },
    Row {
        key: "engines.*.base_url",
        expects: "an address such as \"http://127.0.0.1:8080/v1\", or \"env:NAME\"",
        set: |config, path, value| {
            let url = text(value)?;
            engine(config, path)?.base_url = Some(url);
            Some(())
        },
    },
    Row {
        key: "engines.*.api_key",
        expects: "\"env:NAME\", \"cmd:COMMAND\" or the key",
        set: |config, path, value| {
            let key = text(value)?;
            engine(config, path)?.api_key = Some(key);
            Some(())
        },
    },
    Row {
        key: "engines.*.first_byte_timeout",
        expects: "a span such as \"90s\" or \"15m\"",
        set: |config, path, value| {
            let span = span(value)?;
            engine(config, path)?.first_byte_timeout = span;
            Some(())
        },
    },
    Row {
        key: "engines.*.idle_timeout",
        expects: "a span such as \"90s\" or \"15m\"",
        set: |config, path, value| {
            let span = span(value)?;
            engine(config, path)?.idle_timeout = span;
            Some(())
        },
    },
    Row {
        key: "engines.*.no_output_timeout",
        expects: "a span such as \"90s\" or \"15m\"",
        set: |config, path, value| {
            let span = span(value)?;
            engine(config, path)?.no_output_timeout = span;
            Some(())
        },
    },
    Row {
        key: "engines.*.retries",
        expects: "a whole number from 0 to 20",
        set: |config, path, value| {
            let retries = u32::try_from(whole(value, 0, 20)?).ok()?;
            engine(config, path)?.retries = retries;
            Some(())
        },
    },
    Row {
        key: "remotes.*.url",
        expects: "an address such as \"http://127.0.0.1:8000\"",
        set: |config, path, value| {
            let url = text(value)?;
            remote(config, path)?.url = url;
            Some(())
        },
    },
    Row {
        key: "remotes.*.dialect",
        expects: "the name of a dialect such as \"openjarvis\", or \"auto\"",
        set: |config, path, value| {
            let name = text(value)?;
            remote(config, path)?.dialect = Some(name).filter(|name| name != "auto");
            Some(())
        },
    },
    Row {
        key: "remotes.*.request",
        expects: "how it is asked, such as \"chat\", \"responses\", \"ag-ui\" or \"get\"",
        set: |config, path, value| {
            let name = text(value).filter(|name| REQUESTS.contains(&name.as_str()))?;
            remote(config, path)?.request = Some(name);
            Some(())
        },
    },
    Row {
        key: "remotes.*.token",
        expects: "\"env:NAME\", \"cmd:COMMAND\" or the token",
        set: |config, path, value| {
            let token = text(value)?;
            remote(config, path)?.token = Some(token);
            Some(())
        },
    },
    Row {
        key: "remotes.*.headers.*",
        expects: "\"env:NAME\", \"cmd:COMMAND\" or the header's value",
        set: |config, path, value| {
            let header = text(value)?;
            let name = path.get(3)?.clone();
            remote(config, path)?.headers.insert(name, header);
            Some(())
        },
    },
    Row {
        key: "remotes.*.model",
        expects: "the name of a model",
        set: |config, path, value| {
            let model = text(value)?;
            remote(config, path)?.model = Some(model);
            Some(())
        },
    },
    Row {
        key: "remotes.*.local_tools",
        expects: "true or false",
        set: |config, path, value| {
            let local = flag(value);
            put(&mut remote(config, path)?.local_tools, local)
        },
    },
    Row {
        key: "remotes.*.idle_timeout",
        expects: "a span such as \"90s\" or \"15m\"",
        set: |config, path, value| {
            let span = span(value)?;
            remote(config, path)?.idle_timeout = Some(span);
            Some(())
        },
    },
    Row {
        key: "ui.theme",
        expects: "\"auto\", \"dark\", \"light\" or \"mono\"",
        set: |config, _, value| {
            config.ui.theme = ThemeChoice::parse(&text(value)?)?;
            Some(())
        },
    },
    Row {
        key: "ui.max_fps",
        expects: "a whole number from 1 to 240",
        set: |config, _, value| {
            config.ui.max_fps = u16::try_from(whole(value, 1, 240)?).ok()?;
            Some(())
        },
    },
    Row {
        key: "ui.fold_thinking",
        expects: "true or false",
        set: |config, _, value| put(&mut config.ui.fold_thinking, flag(value)),
    },
    Row {
        key: "ui.fold_output",
        expects: "true or false",
        set: |config, _, value| put(&mut config.ui.fold_output, flag(value)),
    },
    Row { key: "ui.mouse", expects: "true or false", set: |config, _, value| put(&mut config.ui.mouse, flag(value)) },
    Row {
        key: "ui.tool_panel",
        expects: "true or false",
        set: |config, _, value| put(&mut config.ui.tool_panel, flag(value)),
    },
    Row {
        key: "ui.timestamps",
        expects: "\"off\", \"relative\" or \"clock\"",
        set: |config, _, value| {
            config.ui.timestamps = Timestamps::parse(&text(value)?)?;
            Some(())
        },
    },
    Row {
        key: "ui.images",
        expects: "\"auto\", \"blocks\", \"kitty\" or \"off\"",
        set: |config, _, value| put(&mut config.ui.images, ImageChoice::parse(&text(value)?)),
    },
    Row {
        key: "approvals.mode",
        expects: "\"ask\", \"auto-edit\", \"plan\" or \"full\"",
        set: |config, _, value| put(&mut config.approvals.mode, Mode::parse(&text(value)?)),
    },
    Row {
        key: ALLOW,
        expects: "a list of texts such as [\"read_file\", \"shell(git status*)\"]",
        set: |config, _, value| put(&mut config.approvals.allow, texts(value)),
    },
    Row {
        key: DENY,
        expects: "a list of texts such as [\"shell(rm *)\"]",
        set: |config, _, value| {
            for pattern in texts(value)? {
                if !config.approvals.deny.contains(&pattern) {
                    config.approvals.deny.push(pattern);
                }
            }
            Some(())
        },
    },
    Row {
        key: "tools.folders",
        expects: "a list of folders such as [\"~/notes\"]",
        set: |config, _, value| {
            config.tools.folders = texts(value)?.into_iter().map(PathBuf::from).collect();
            Some(())
        },
    },
    Row {
        key: "tools.timeout",
        expects: "a span such as \"90s\" or \"15m\"",
        set: |config, _, value| put(&mut config.tools.timeout, span(value)),
    },
    Row {
        key: "tools.shell_timeout",
        expects: "a span such as \"90s\" or \"15m\"",
        set: |config, _, value| put(&mut config.tools.shell_timeout, span(value)),
    },
    Row {
        key: "limits.max_rounds",
        expects: "a whole number from 1 to 1000",
        set: |config, _, value| put(&mut config.limits.max_rounds, u32::try_from(whole(value, 1, 1000)?).ok()),
    },
    Row {
        key: "limits.tool_output",
        expects: "a whole number of bytes from 1024 to 1048576",
        set: |config, _, value| {
            put(&mut config.limits.tool_output, usize::try_from(whole(value, 1024, 1_048_576)?).ok())
        },
    },
    Row {
        key: "server.host",
        expects: "an address or a name such as \"127.0.0.1\"",
        set: |config, _, value| put(&mut config.server.host, text(value)),
    },
    Row {
        key: "server.port",
        expects: "a whole number from 0 to 65535",
        set: |config, _, value| put(&mut config.server.port, u16::try_from(whole(value, 0, 65_535)?).ok()),
    },
    Row {
        key: "server.token",
        expects: "\"env:NAME\", \"cmd:COMMAND\" or the token",
        set: |config, _, value| put(&mut config.server.token, text(value)),
    },
    Row {
        key: "server.read_token",
        expects: "\"env:NAME\", \"cmd:COMMAND\" or the token",
        set: |config, _, value| put(&mut config.server.read_token, text(value)),
    },
    Row {
        key: "server.origins",
        expects: "a list of origins such as [\"https://app.example\"]",
        set: |config, _, value| put(&mut config.server.origins, texts(value)),
    },
    Row {
        key: "server.clients",
        expects: "a whole number from 1 to 100000",
        set: |config, _, value| put(&mut config.server.clients, usize::try_from(whole(value, 1, 100_000)?).ok()),
    },
    Row {
        key: "server.sessions",
        expects: "a whole number from 1 to 10000",
        set: |config, _, value| put(&mut config.server.sessions, usize::try_from(whole(value, 1, 10_000)?).ok()),
    },
    Row {
        key: "server.body",
        expects: "a whole number from 1024 to 1073741824",
        set: |config, _, value| put(&mut config.server.body, usize::try_from(whole(value, 1024, 1 << 30)?).ok()),
    },
    Row {
        key: "server.message",
        expects: "a whole number from 1024 to 1073741824",
        set: |config, _, value| put(&mut config.server.message, usize::try_from(whole(value, 1024, 1 << 30)?).ok()),
    },
    Row {
        key: "server.ask_timeout",
        expects: "a span such as \"10m\"",
        set: |config, _, value| put(&mut config.server.ask_timeout, span(value)),
    },
    Row {
        key: "prices.*",
        expects: "dollars per million tokens such as { input = 2.5, output = 10.0 }",
        set: |config, path, value| {
            let price = price(value)?;
            config.prices.insert(path.get(1)?.clone(), price);
            Some(())
        },
    },
    Row {
        key: "windows.*",
        expects: "a whole number of tokens",
        set: |config, path, value| {
            let window = u64::try_from(whole(value, 1, 1_000_000_000)?).ok()?;
            config.windows.insert(path.get(1)?.clone(), window);
            Some(())
        },
    },
    Row {
        key: "keys.*.*",
        expects: "the name of an action, or \"none\"",
        set: |config, path, value| {
            let action = text(value)?;
            config.keys.entry(path.get(1)?.clone()).or_default().insert(path.get(2)?.clone(), action);
            Some(())
        },
    },
];

pub(super) const ALLOW: &str = "approvals.allow";
/// The one list that grows from layer to layer.
pub(super) const DENY: &str = "approvals.deny";

impl Row {
    pub(super) fn matches(&self, path: &[String]) -> bool {
        self.parts().count() == path.len() && self.starts_with(path)
    }

    /// Returns the key's first part.
    pub(super) fn table(&self) -> &'static str {
        self.parts().next().unwrap_or_default()
    }

    /// Returns whether values of this key are kept from every screen.
    pub(super) fn is_secret(&self) -> bool {
        matches!(
            self.key,
            "engines.*.api_key" | "remotes.*.token" | "remotes.*.headers.*" | "server.token" | "server.read_token"
        )
    }

    /// Returns whether a project that nobody vouched for may set it.
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

pub(super) fn find(path: &[String]) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.matches(path))
}

/// Returns whether settings live below this path.
pub(super) fn is_branch(path: &[String]) -> bool {
    ROWS.iter().any(|row| row.starts_with(path) && !row.matches(path))
}

/// Returns the known key that an unknown one was probably meant to be.
pub(super) fn suggest(path: &[String]) -> Option<String> {
    let known: Vec<String> = ROWS.iter().filter_map(|row| named_like(row, path)).collect();
    if let Some(key) = nearest::nearest(&dotted(path), known.iter().map(String::as_str)) {
        return Some(key.to_owned());
    }
    // About the right name in the wrong table.
    let leaf = |row: &'static Row| row.parts().last().filter(|name| *name != "*");
    let name = nearest::nearest(path.last()?, ROWS.iter().filter_map(leaf))?;
    ROWS.iter().find(|row| leaf(row) == Some(name)).map(|row| row.key.replace('*', "NAME"))
}

/// Writes the row's key to the path's depth, with the person's own names in place of the stars.
fn named_like(row: &Row, path: &[String]) -> Option<String> {
    if row.parts().count() < path.len() {
        return None;
    }
    let parts: Vec<String> =
        row.parts().zip(path).map(|(part, name)| if part == "*" { name.clone() } else { part.to_owned() }).collect();
    Some(dotted(&parts))
}

/// Returns what is wrong with the names in a path, for names are not free everywhere.
pub(super) fn wrong_name(path: &[String]) -> Option<&'static str> {
    let [table, name, ..] = path else { return None };
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match table.as_str() {
        "engines" if !plain => Some("an engine's name of letters, digits, `-`, `_` and `.`"),
        "remotes" if !plain => Some("a remote's name of letters, digits, `-`, `_` and `.`"),
        _ => None,
    }
}

/// Returns the engine of this path, which may be new; the merge asks later whether it was given a kind.
fn engine<'a>(config: &'a mut Config, path: &[String]) -> Option<&'a mut EngineConfig> {
    let name = path.get(1)?.clone();
    Some(config.engines.entry(name).or_insert_with(|| EngineConfig::new(EngineKind::OpenAi)))
}

/// Returns the remote of this path, which may be new.
fn remote<'a>(config: &'a mut Config, path: &[String]) -> Option<&'a mut RemoteConfig> {
    Some(config.remotes.entry(path.get(1)?.clone()).or_default())
}

fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
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
            assert_eq!(suggest(&path(key)).as_deref(), expected, "{key}");
        }
    }

    #[test]
    fn tables_end_where_values_begin() {
        assert!(is_branch(&path("ui")) && is_branch(&path("engines.x")) && is_branch(&path("keys.global")));
        assert!(!is_branch(&path("prices.x")) && !is_branch(&path("ui.theme")) && !is_branch(&path("other")));
        assert!(find(&path("engines.x.kind")).is_some() && find(&path("engines.x")).is_none());
    }
}
