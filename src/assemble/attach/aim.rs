//! What `attach` was given, with the settings of a named remote filled in: an address or a file, and how it is asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Wrong;
use crate::cli;
use crate::config::{Config, RemoteConfig};
use crate::engine::remote::Style;
use crate::net::call::Method;
use crate::text::address::{host_and_port, with_scheme};

/// Where to attach and how. Flags count more than settings.
#[derive(Clone)]
pub(super) struct Aim {
    /// The remote's own name, or its host.
    pub name: String,
    /// Empty for a file.
    pub url: String,
    pub file: Option<PathBuf>,
    pub style: Option<Style>,
    pub method: Option<Method>,
    pub dialect: Option<String>,
    pub model: Option<String>,
    /// As in the settings.
    pub token: Option<String>,
    /// Likewise.
    pub headers: BTreeMap<String, String>,
    pub typed_headers: Vec<(String, String)>,
    pub local_tools: bool,
    /// Zero is no limit.
    pub idle: Duration,
}

impl Aim {
    pub(super) fn at(typed: &cli::Attach, config: &Config) -> Result<Self, Wrong> {
        let named = config.remotes.get(&typed.target);
        let file = named.is_none().then(|| file(&typed.target)).flatten();
        let unnamed = RemoteConfig::default();
        let remote = named.unwrap_or(&unnamed);
        let url = match (&file, named) {
            (Some(_), _) => String::new(),
            (None, Some(remote)) if remote.url.is_empty() => {
                return Err(Wrong(format!("the remote {:?} has no url; set remotes.{0}.url", typed.target)));
            }
            (None, Some(remote)) => with_scheme(&remote.url),
            (None, None) => address(&typed.target, config)?,
        };
        let name = match (&file, named) {
            (Some(path), _) => {
                path.file_name().map_or_else(|| "file".to_owned(), |name| name.to_string_lossy().into_owned())
            }
            (None, Some(_)) => typed.target.clone(),
            (None, None) => host_and_port(&url).to_owned(),
        };
        let mut style = typed.request.as_deref().or(remote.request.as_deref()).and_then(Style::parse);
        let method = typed.method.map(|method| match method {
            cli::Method::Get => Method::Get,
            cli::Method::Post => Method::Post,
        });
        match (method, style) {
            (Some(Method::Get), None) => style = Some(Style::Get),
            (Some(Method::Get), Some(asked)) if asked != Style::Get => {
                return Err(Wrong(format!("--request {} is sent by POST", asked.name())));
            }
            (Some(Method::Post), None) if Style::of_url(&url).is_none() && file.is_none() => {
                style = Some(Style::Chat);
            }
            _ => {}
        }
        let dialect = typed.dialect.clone().or_else(|| remote.dialect.clone()).filter(|name| name != "auto");
        let typed_headers = typed.header.iter().map(|text| header(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            name,
            url,
            file,
            style,
            method,
            dialect,
            model: typed.model.clone().or_else(|| remote.model.clone()),
            token: remote.token.clone(),
            headers: remote.headers.clone(),
            typed_headers,
            local_tools: typed.local_tools || remote.local_tools,
            idle: typed.idle_timeout.or(remote.idle_timeout).unwrap_or_default(),
        })
    }
}

/// Returns where a server of this kind is asked, when only the server was named.
pub(super) fn usual_path(style: Style) -> &'static str {
    match style {
        Style::Chat | Style::OpenJarvisBridge => "/v1/chat/completions",
        Style::OpenJarvisResearch => "/api/research",
        Style::Responses => "/v1/responses",
        Style::Enclava => "/api/v1/responses",
        Style::Anthropic => "/v1/messages",
        Style::Ollama => "/api/chat",
        Style::Poe => "/v1/stream",
        Style::OpenJarvisManaged | Style::AgUi | Style::A2a | Style::A2aOne | Style::Get => "/",
    }
}

fn file(target: &str) -> Option<PathBuf> {
    let path = Path::new(target);
    (!target.contains("://") && path.is_file()).then(|| path.to_owned())
}

/// Reads an address: a URL, or a host with a port or a dot in it.
fn address(target: &str, config: &Config) -> Result<String, Wrong> {
    let looks_like_one = |text: &str| {
        let host = text.split(['/', '?']).next().unwrap_or_default();
        host.contains([':', '.']) || host == "localhost"
    };
    if target.contains("://")
        || looks_like_one(target) && !Path::new(target).is_dir() && !target.starts_with(['.', '/'])
    {
        return Ok(with_scheme(target));
    }
    let known: Vec<&str> = config.remotes.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none is set up".to_owned() } else { format!("there are {}", known.join(", ")) };
    Err(Wrong(format!(
        "{target:?} is not a URL, a file or the name of a remote ({known}; see [remotes] in the settings)"
    )))
}

fn header(text: &str) -> Result<(String, String), Wrong> {
    let (name, value) = text
        .split_once(':')
        .filter(|(name, _)| !name.trim().is_empty())
        .ok_or_else(|| Wrong("a header is written NAME: VALUE".to_owned()))?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    fn aim(line: &[&str], config: &Config) -> Result<Aim, Wrong> {
        let cli = Cli::read(["jarvis-tui", "attach"].iter().chain(line)).unwrap();
        let Some(cli::Command::Attach(typed)) = cli.command else { panic!("{line:?}") };
        Aim::at(&typed, config)
    }

    #[test]
    fn a_target_is_a_url_a_name_or_a_file() {
        let mut config = Config::default();
        let office = RemoteConfig {
            url: "host.example:8000".into(),
            request: Some("ag-ui".into()),
            model: Some("m".into()),
            idle_timeout: Some(Duration::from_secs(9)),
            ..RemoteConfig::default()
        };
        config.remotes.insert("office".into(), office);
        for (typed, url, name) in [
            ("http://u:p@h:1/x", "http://u:p@h:1/x", "h:1"),
            ("localhost:8000", "http://localhost:8000", "localhost:8000"),
            ("127.0.0.1:1/v1", "http://127.0.0.1:1/v1", "127.0.0.1:1"),
            ("agents.example.org/a", "https://agents.example.org/a", "agents.example.org"),
            ("office", "https://host.example:8000", "office"),
        ] {
            let aim = aim(&[typed], &config).unwrap();
            assert_eq!((aim.url.as_str(), aim.name.as_str()), (url, name));
        }
        let named = aim(&["office"], &config).unwrap();
        assert_eq!((named.style, named.idle), (Some(Style::AgUi), Duration::from_secs(9)));
        let flagged = aim(&["office", "--request", "chat", "-m", "x", "--idle-timeout", "2s"], &config).unwrap();
        assert_eq!((flagged.style, flagged.model.as_deref()), (Some(Style::Chat), Some("x")));
        assert_eq!(flagged.idle, Duration::from_secs(2));
        let here = file!();
        assert!(aim(&[here], &config).is_ok_and(|aim| aim.file.is_some()) || !Path::new(here).is_file());
        let wrong = aim(&["offce"], &config).err().unwrap();
        assert!(wrong.0.contains("office"), "{wrong}");
    }

    #[test]
    fn a_method_says_whether_it_is_watched() {
        let config = Config::default();
        assert_eq!(aim(&["http://h/x", "--method", "get"], &config).unwrap().style, Some(Style::Get));
        assert_eq!(aim(&["http://h/x", "--method", "post"], &config).unwrap().style, Some(Style::Chat));
        assert_eq!(aim(&["http://h/v1/messages", "--method", "post"], &config).unwrap().style, None);
        assert!(aim(&["http://h/x", "--method", "get", "--request", "chat"], &config).is_err());
    }

    #[test]
    fn headers_are_names_and_values() {
        assert_eq!(header("X-Team: a:b").unwrap(), ("x-team".into(), "a:b".into()));
        assert!(header("nonsense").is_err() && header(": x").is_err());
    }

    #[test]
    fn every_request_of_the_settings_is_a_style() {
        let names: Vec<&str> = Style::ALL.into_iter().map(Style::name).collect();
        assert_eq!(names, crate::config::remote::REQUESTS);
    }
}
