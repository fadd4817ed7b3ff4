//! PURE. Where an engine listens: its configured address resolved, and whether that is this machine.

use std::net::IpAddr;

use super::{EngineConfig, EngineKind, Env};

impl EngineConfig {
    /// Returns the address without a slash at its end: configured, from the environment, or the usual one of its kind.
    pub fn resolved_base_url(&self, env: Env<'_>) -> Option<String> {
        let given = self.base_url.as_deref().and_then(|url| match url.strip_prefix("env:") {
            Some(name) => variable(name.trim(), env),
            None => Some(url.to_owned()),
        });
        match self.kind {
            EngineKind::Offline => None,
            EngineKind::OpenAi | EngineKind::OpenAiResponses => {
                Some(given.map_or("https://api.openai.com/v1".into(), |url| with_scheme(&url)))
            }
            EngineKind::Anthropic => Some(given.map_or("https://api.anthropic.com".into(), |url| with_scheme(&url))),
            EngineKind::Ollama => Some(given.map_or("http://127.0.0.1:11434".into(), |url| ollama(&url))),
        }
    }
}

/// Returns whether an address is on this machine.
pub fn is_loopback(url: &str) -> bool {
    let host = host(url);
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Returns the address with user name and password as dots.
pub fn without_password(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let (head, rest) = url.split_at(start);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{head}••••@{host}{tail}"),
        None => url.to_owned(),
    }
}

/// An empty variable is as good as none. Older programs spell one name differently.
fn variable(name: &str, env: Env<'_>) -> Option<String> {
    let get = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    get(name).or_else(|| if name == "OPENAI_BASE_URL" { get("OPENAI_API_BASE") } else { None })
}

fn with_scheme(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}

/// Reads `OLLAMA_HOST` as Ollama does: a scheme or port may be missing, and "any address" means this machine.
fn ollama(url: &str) -> String {
    let bare = !url.contains("://");
    let url = with_scheme(url);
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", &url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, address) = match authority.rsplit_once('@') {
        Some((user, address)) => (format!("{user}@"), address),
        None => (String::new(), authority),
    };
    let (host, port) = split_port(address);
    let host = match host {
        "0.0.0.0" | "" => "127.0.0.1",
        "::" | "[::]" => "[::1]",
        other => other,
    };
    let port = match port {
        Some(port) => format!(":{port}"),
        None if bare => ":11434".to_owned(),
        None => String::new(),
    };
    format!("{scheme}://{user}{host}{port}{path}")
}

fn split_port(address: &str) -> (&str, Option<&str>) {
    let bracket = address.rfind(']').map_or(0, |at| at + 1);
    match address.rfind(':') {
        // More than one colon without brackets is a bare IPv6 address.
        Some(at) if at >= bracket && (bracket > 0 || address.find(':') == Some(at)) => {
            (&address[..at], address.get(at + 1..).filter(|port| !port.is_empty()))
        }
        _ => (address, None),
    }
}

fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    let (host, _) = split_port(address);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(kind: EngineKind, base_url: Option<&str>, value: Option<&str>) -> Option<String> {
        let engine = EngineConfig { base_url: base_url.map(str::to_owned), ..EngineConfig::new(kind) };
        engine.resolved_base_url(&|name| (name == "ADDRESS").then(|| value.map(str::to_owned)).flatten())
    }

    #[test]
    fn an_address_is_configured_or_from_the_environment_or_the_usual_one() {
        use EngineKind::{Offline, Ollama, OpenAi};
        for (kind, base_url, value, expected) in [
            (Offline, Some("http://x"), None, None),
            (OpenAi, None, None, Some("https://api.openai.com/v1")),
            (OpenAi, Some("env:ADDRESS"), None, Some("https://api.openai.com/v1")),
            (OpenAi, Some("env:ADDRESS"), Some("  "), Some("https://api.openai.com/v1")),
            (OpenAi, Some("env:ADDRESS"), Some("http://h:1/v1/"), Some("http://h:1/v1")),
            (OpenAi, Some("127.0.0.1:8080/v1"), None, Some("http://127.0.0.1:8080/v1")),
            (Ollama, None, None, Some("http://127.0.0.1:11434")),
            (Ollama, Some("env:ADDRESS"), Some("0.0.0.0"), Some("http://127.0.0.1:11434")),
            (Ollama, Some("env:ADDRESS"), Some(":5000"), Some("http://127.0.0.1:5000")),
            (Ollama, Some("env:ADDRESS"), Some("box"), Some("http://box:11434")),
            (Ollama, Some("env:ADDRESS"), Some("[::]:99"), Some("http://[::1]:99")),
            (Ollama, Some("https://gpu.example/ollama/"), None, Some("https://gpu.example/ollama")),
        ] {
            assert_eq!(url(kind, base_url, value).as_deref(), expected, "{kind:?} {base_url:?} {value:?}");
        }
    }

    #[test]
    fn the_older_name_counts() {
        let env = |name: &str| (name == "OPENAI_API_BASE").then(|| "http://old/v1".to_owned());
        let engine = &crate::config::Config::default().engines["openai"];
        assert_eq!(engine.resolved_base_url(&env).as_deref(), Some("http://old/v1"));
    }

    #[test]
    fn this_machine_is_known() {
        for (url, expected) in [
            ("http://127.0.0.1:11434", true),
            ("http://localhost", true),
            ("http://LOCALHOST.:1/", true),
            ("http://[::1]:8080/v1", true),
            ("http://127.9.9.9/", true),
            ("http://user@127.0.0.1@evil.example/", false),
            ("http://127.0.0.1.evil.example/", false),
            ("http://example.com/?x=@127.0.0.1", false),
            ("https://api.openai.com/v1", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(url), expected, "{url}");
        }
    }

    #[test]
    fn passwords_become_dots() {
        assert_eq!(without_password("https://me:pw@host/v1"), "https://••••@host/v1");
        assert_eq!(without_password("https://host/@x"), "https://host/@x");
        assert_eq!(without_password("env:NAME"), "env:NAME");
    }
}
