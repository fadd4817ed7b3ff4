//! The target of `attach`, completed with the settings of a named remote: an address and the request format, or what is
//! on this machine.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{UsageError, known_agents};
use crate::cli;
use crate::config::{Config, RemoteConfig};
use crate::engine::remote::{ACP, CHAT, GET, RequestKind};
use crate::net::request::HttpMethod;
use crate::text::address::{host_and_port, is_websocket, with_scheme};

/// Begins the name of an agent program.
const AGENT_PREFIX: &str = "acp:";

/// A stream that needs no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LocalTarget {
    File(PathBuf),
    Stdin,
    /// A program with its arguments.
    Program(OsString, Vec<OsString>),
    /// A program with which a conversation is held.
    Peer(PeerCommand),
}

/// An agent program and how it is spoken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PeerCommand {
    pub program: OsString,
    pub args: Vec<OsString>,
    pub request: &'static RequestKind,
    /// The name in `acp:NAME`.
    name: Option<String>,
}

impl PeerCommand {
    pub(super) fn new(program: OsString, args: Vec<OsString>, request: &'static RequestKind) -> Self {
        Self { program, args, request, name: None }
    }

    /// Finds what `acp:NAME` names; none for anything else.
    pub(super) fn find(target: &str, config: &Config) -> Result<Option<Self>, UsageError> {
        let Some(name) = target.strip_prefix(AGENT_PREFIX) else { return Ok(None) };
        let Some((program, args, request)) = known_agents::find(name, config) else {
            let known = known_agents::known_names(config).join(", ");
            let text = format!("unknown agent {name:?}; known are {known}; start any other with `-- COMMAND`");
            return Err(UsageError(text));
        };
        Ok(Some(Self { name: Some(name.to_owned()), ..Self::new(program, args, request) }))
    }
}

/// Where to attach and how. Flags win over settings.
#[derive(Clone)]
pub(super) struct AttachTarget {
    /// The remote's name, or its host.
    pub name: String,
    /// Empty for what is on this machine.
    pub url: String,
    pub local: Option<LocalTarget>,
    pub request_kind: Option<&'static RequestKind>,
    pub method: Option<HttpMethod>,
    pub dialect: Option<String>,
    pub model: Option<String>,
    /// In the form of the settings.
    pub token: Option<String>,
    /// In the form of the settings.
    pub headers: BTreeMap<String, String>,
    pub flag_headers: Vec<(String, String)>,
    pub local_tools: bool,
    /// Zero means no limit.
    pub idle_timeout: Duration,
}

impl AttachTarget {
    pub(super) fn resolve(typed: &cli::AttachArgs, config: &Config) -> Result<Self, UsageError> {
        let text = typed.target.as_deref().unwrap_or_default();
        let named = config.remotes.get(text);
        let local = LocalTarget::find(typed, named.is_some(), config)?;
        if let (Some(LocalTarget::Stdin | LocalTarget::Program(..)), [flag, ..]) = (&local, &*typed.request_flags()) {
            return Err(UsageError(format!("a pipe or a program is only watched: remove {flag}")));
        }
        let misfit = typed.conversation_misfit().or_else(|| typed.program_misfit());
        if let (Some(LocalTarget::Peer(_)), Some(flag)) = (&local, misfit) {
            return Err(UsageError(format!("an agent program is started here: remove {flag}")));
        }
        let unnamed = RemoteConfig::default();
        let remote = named.unwrap_or(&unnamed);
        let url = match (&local, named) {
            (Some(_), _) => String::new(),
            (None, Some(remote)) if remote.url.is_empty() => {
                return Err(UsageError(format!("the remote {text:?} has no url; set remotes.{text}.url")));
            }
            (None, Some(remote)) => with_scheme(&remote.url),
            (None, None) => parse_address(text, config)?,
        };
        let name = match (&local, named) {
            (Some(local), _) => local.name(),
            (None, Some(_)) => text.to_owned(),
            (None, None) => host_and_port(&url).to_owned(),
        };
        let mut style = typed.request.as_deref().and_then(RequestKind::find).or(remote.request);
        if style.is_none() && is_websocket(&url) {
            style = Some(RequestKind::from_url(&url).unwrap_or(&ACP));
        }
        let method = typed.method.map(|method| match method {
            cli::Method::Get => HttpMethod::Get,
            cli::Method::Post => HttpMethod::Post,
        });
        match (method, style) {
            (Some(HttpMethod::Get), None) => style = Some(&GET),
            (Some(HttpMethod::Get), Some(asked)) if *asked != GET => {
                return Err(UsageError(format!("--request {} is sent by POST", asked.name)));
            }
            (Some(HttpMethod::Post), None) if RequestKind::from_url(&url).is_none() && local.is_none() => {
                style = Some(&CHAT);
            }
            _ => {}
        }
        let dialect = typed.dialect.clone().or_else(|| remote.dialect.clone()).filter(|name| name != "auto");
        let typed_headers = typed.header.iter().map(|text| parse_header(text)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            name,
            url,
            local,
            request_kind: style,
            method,
            dialect,
            model: typed.model.clone().or_else(|| remote.model.clone()),
            token: remote.token.clone(),
            headers: remote.headers.clone(),
            flag_headers: typed_headers,
            local_tools: typed.local_tools || remote.local_tools,
            idle_timeout: typed.idle_timeout.or(remote.idle_timeout).unwrap_or_default(),
        })
    }
}

impl AttachTarget {
    /// Returns the protocol of an agent at an address, as far as the address or the person says.
    pub(super) fn conversation(&self) -> Option<&'static RequestKind> {
        let kind = self.request_kind.or_else(|| RequestKind::from_url(&self.url))?;
        (self.local.is_none() && kind.is_conversation).then_some(kind)
    }

    /// Returns whether it is on this machine and only followed.
    pub(super) fn is_watched_here(&self) -> bool {
        self.local.as_ref().is_some_and(LocalTarget::is_watched)
    }
}

impl LocalTarget {
    fn find(typed: &cli::AttachArgs, is_named: bool, config: &Config) -> Result<Option<Self>, UsageError> {
        let wanted = typed.request.as_deref().and_then(RequestKind::find).filter(|kind| kind.is_conversation);
        if let Some((program, args)) = typed.command.split_first() {
            let (program, args) = (program.clone(), args.to_vec());
            let request = wanted.or_else(|| known_agents::recognize(&program, &args));
            return Ok(Some(match request {
                Some(request) => Self::Peer(PeerCommand::new(program, args, request)),
                None => Self::Program(program, args),
            }));
        }
        let Some(target) = typed.target.as_deref() else { return Ok(None) };
        if let Some(command) = PeerCommand::find(target, config)? {
            let request = wanted.unwrap_or(command.request);
            return Ok(Some(Self::Peer(PeerCommand { request, ..command })));
        }
        Ok(match target {
            "-" => Some(Self::Stdin),
            target => (!is_named).then(|| existing_file(target)).flatten().map(Self::File),
        })
    }

    /// Returns whether it is only followed.
    pub(super) fn is_watched(&self) -> bool {
        !matches!(self, Self::Peer(_))
    }

    /// Returns what messages call it: never more of a command than the program, whose arguments may hold anything.
    pub(super) fn name(&self) -> String {
        let last = |path: &OsStr| Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
        match self {
            Self::File(path) => last(path.as_os_str()).unwrap_or_else(|| "file".to_owned()),
            Self::Stdin => "standard input".to_owned(),
            Self::Peer(PeerCommand { name: Some(name), .. }) => name.clone(),
            Self::Program(program, _) | Self::Peer(PeerCommand { program, .. }) => {
                last(program).unwrap_or_else(|| "program".to_owned())
            }
        }
    }
}

/// Why a program did not start.
pub(super) fn start_failure(program: &OsStr, error: &io::Error) -> UsageError {
    let program = program.to_string_lossy();
    UsageError(match error.kind() {
        io::ErrorKind::NotFound => {
            let source = known_agents::source(OsStr::new(&*program)).map(|source| format!(" {source}"));
            format!(
                "can't start {program}: there is no such program in PATH; is it installed?{}",
                source.unwrap_or_default()
            )
        }
        _ => format!("can't start {program}: {error}"),
    })
}

fn existing_file(target: &str) -> Option<PathBuf> {
    let path = Path::new(target);
    (!target.contains("://") && path.is_file()).then(|| path.to_owned())
}

/// Parses an address: a URL, or a host with a port or a dot in it.
fn parse_address(target: &str, config: &Config) -> Result<String, UsageError> {
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
    let known =
        if known.is_empty() { "none configured".to_owned() } else { format!("configured: {}", known.join(", ")) };
    Err(UsageError(format!(
        "{target:?} is not a URL, a file or a configured remote ({known}; see [remotes] in the settings)"
    )))
}

fn parse_header(text: &str) -> Result<(String, String), UsageError> {
    let (name, value) = text
        .split_once(':')
        .filter(|(name, _)| !name.trim().is_empty())
        .ok_or_else(|| UsageError("expected a header as NAME: VALUE".to_owned()))?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;

    fn target(line: &[&str], config: &Config) -> Result<AttachTarget, UsageError> {
        let cli = Cli::parse_args(["jarvis-tui", "attach"].iter().chain(line)).unwrap();
        let Some(cli::CliCommand::Attach(typed)) = cli.command else { panic!("{line:?}") };
        AttachTarget::resolve(&typed, config)
    }

    #[test]
    fn an_agent_at_an_address_is_known_by_its_scheme_its_path_or_its_name() {
        let config = Config::default();
        let kind = |line: &[&str]| target(line, &config).unwrap().conversation().map(|kind| kind.name);
        for (line, expected) in [
            (&["ws://h:1/acp"][..], Some("acp")),
            (&["wss://h/agent"], Some("acp")),
            (&["WS://h"], Some("acp")),
            (&["http://h:1/acp"], Some("acp")),
            (&["http://h:1/other", "--request", "acp"], Some("acp")),
            (&["ws://h:1", "--request", "codex-app-server"], Some("codex-app-server")),
            (&["http://h:1/v1/responses"], None),
            (&["http://h:1"], None),
        ] {
            assert_eq!(kind(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_target_is_a_url_a_name_or_a_file() {
        let mut config = Config::default();
        let office = RemoteConfig {
            url: "host.example:8000".into(),
            request: RequestKind::find("ag-ui"),
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
            let target = target(&[typed], &config).unwrap();
            assert_eq!((target.url.as_str(), target.name.as_str()), (url, name));
        }
        let named = target(&["office"], &config).unwrap();
        assert_eq!((named.request_kind, named.idle_timeout), (RequestKind::find("ag-ui"), Duration::from_secs(9)));
        let flagged = target(&["office", "--request", "chat", "-m", "x", "--idle-timeout", "2s"], &config).unwrap();
        assert_eq!((flagged.request_kind, flagged.model.as_deref()), (Some(&CHAT), Some("x")));
        assert_eq!(flagged.idle_timeout, Duration::from_secs(2));
        let here = file!();
        assert!(target(&[here], &config).is_ok_and(|target| target.local.is_some()) || !Path::new(here).is_file());
        let wrong = target(&["offce"], &config).err().unwrap();
        assert!(wrong.0.contains("office"), "{wrong}");
    }

    #[test]
    fn a_pipe_and_a_program_are_only_watched() {
        let config = Config::default();
        assert_eq!(target(&["-"], &config).unwrap().local, Some(LocalTarget::Stdin));
        let run = target(&["--json", "--", "/usr/bin/claude", "-p", "hi", "--model", "x"], &config).unwrap();
        assert_eq!(run.name, "claude");
        assert!(matches!(run.local, Some(LocalTarget::Program(_, args)) if args.len() == 4));
        for line in [&["-", "--request", "chat"][..], &["-m", "x", "--", "claude"]] {
            let error = target(line, &config).err().unwrap();
            assert!(error.0.contains("only watched"), "{error}");
        }
        for line in [&["attach"][..], &["attach", "-", "--", "claude"], &["attach", "http://h", "--", "claude"]] {
            assert!(Cli::parse_args(["jarvis-tui"].iter().chain(line)).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_method_says_whether_it_is_watched() {
        let config = Config::default();
        assert_eq!(target(&["http://h/x", "--method", "get"], &config).unwrap().request_kind, Some(&GET));
        assert_eq!(target(&["http://h/x", "--method", "post"], &config).unwrap().request_kind, Some(&CHAT));
        assert_eq!(target(&["http://h/v1/messages", "--method", "post"], &config).unwrap().request_kind, None);
        assert!(target(&["http://h/x", "--method", "get", "--request", "chat"], &config).is_err());
    }

    #[test]
    fn headers_are_names_and_values() {
        assert_eq!(parse_header("X-Team: a:b").unwrap(), ("x-team".into(), "a:b".into()));
        assert!(parse_header("nonsense").is_err() && parse_header(": x").is_err());
    }
}
