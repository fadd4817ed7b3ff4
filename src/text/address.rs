//! Addresses of servers as people write them, read in one place: which scheme is meant, which host, which
//! path. What may be shown of them is in [`super::display_url`].
//!
//! The rule for a scheme that was left out: `http` for this machine and for the literal addresses of a private network,
//! `https` for everything else, so that a key never travels in clear text by default. Hosts are read by the parser that
//! the HTTP client uses; an address it can't read is neither on this machine nor private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Where Ollama listens.
const OLLAMA_PORT: u16 = 11434;

/// Returns the address with the scheme that is meant where none was written; quotes around it are dropped.
pub fn with_scheme(text: &str) -> String {
    let text = strip_quotes(text);
    if text.contains("://") {
        return text.to_owned();
    }
    let text = bracket_ipv6(text.trim_start_matches('/'));
    let scheme = if is_local_network(&text) { "http" } else { "https" };
    format!("{scheme}://{text}")
}

/// Reads `OLLAMA_HOST` as Ollama does: without a scheme it is plain HTTP, without a port 11434, and "any address" means
/// this machine. With a login in it, the scheme is that of [`with_scheme`]. `/api` and `/v1` at the end are dropped.
pub fn ollama_base_url(text: &str) -> String {
    let text = strip_quotes(text);
    let (scheme, rest, port) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest, 80),
        Some((scheme, rest)) => (scheme, rest, 443),
        None if text == "ollama.com" || text.starts_with("ollama.com/") => ("https", text, 443),
        None if authority_of(text).contains('@') && !is_local_network(text) => ("https", text, 443),
        None => ("http", text, OLLAMA_PORT),
    };
    let rest = bracket_ipv6(rest);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (login, address) = match authority.rsplit_once('@') {
        Some((login, address)) => (format!("{login}@"), address),
        None => (String::new(), authority),
    };
    let (host, given) = split_port(address);
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix("/api").or_else(|| path.strip_suffix("/v1")).unwrap_or(path);
    let port = given.and_then(|port| port.parse().ok()).unwrap_or(port);
    format!("{scheme}://{login}{host}:{port}{path}")
}

/// Cuts a base URL in any form people use (with or without scheme, `/v1`, a slash at the end, or the endpoint itself)
/// into what stands before `endpoint`, and the query with its mark.
pub fn base_and_query(base_url: &str, endpoint: &str) -> (String, String) {
    let url = with_scheme(base_url);
    let (path, query) = match url.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (url.as_str(), String::new()),
    };
    let path = path.trim_end_matches('/');
    let base = match path.strip_suffix(endpoint) {
        Some(base) => base.to_owned(),
        None if path.split_once("://").is_some_and(|(_, rest)| rest.contains('/')) => path.to_owned(),
        None => format!("{path}/v1"),
    };
    (base, query)
}

/// Returns whether an address is on this machine.
pub fn is_loopback(url: &str) -> bool {
    parse_lenient(url).is_some_and(|url| is_loopback_url(&url))
}

/// Likewise of an address that was read already.
pub fn is_loopback_url(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_localhost(name),
        Some(Host::Ipv4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Some(Host::Ipv6(ip)) => match ip.to_ipv4_mapped() {
            Some(ip) => ip.is_loopback(),
            None => ip.is_loopback() || ip.is_unspecified(),
        },
        None => false,
    }
}

/// Returns whether a host to listen on, without brackets, is reached from this machine only.
pub fn listens_locally(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Returns whether what is sent there can be read on the way: plain HTTP to another machine.
pub fn is_cleartext_remote(url: &str) -> bool {
    parse_lenient(url).is_some_and(|url| url.scheme() == "http" && !is_loopback_url(&url))
}

/// Returns whether an address names this host, in whatever case and with whatever port.
pub fn has_host(url: &str, name: &str) -> bool {
    parse_lenient(url).is_some_and(|url| url.host_str() == Some(name))
}

/// Returns whether both are the same port of the same machine; names of this machine are one.
pub fn is_same_server(one: &str, other: &str) -> bool {
    let server = |url: &str| {
        let url = parse_lenient(url)?;
        let host = if is_loopback_url(&url) { "localhost".to_owned() } else { url.host_str()?.to_owned() };
        Some((host, url.port_or_known_default()))
    };
    server(one).is_some_and(|one| Some(one) == server(other))
}

/// Returns host and port, without a login.
pub fn host_and_port(url: &str) -> &str {
    let authority = authority_of(url.split_once("://").map_or(url, |(_, rest)| rest));
    authority.rsplit('@').next().unwrap_or_default()
}

/// Returns the path and the query of a URL, neither with its mark.
pub fn path_and_query(url: &str) -> (&str, &str) {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.find(['/', '?']).and_then(|at| rest.get(at..)).unwrap_or_default();
    rest.split_once('?').unwrap_or((rest, ""))
}

/// Reads an address, or says what is wrong with it. It must have a scheme.
pub fn parse_http_url(url: &str) -> Result<Url, String> {
    let parsed = Url::parse(url).map_err(|error| error.to_string())?;
    match parsed.scheme() {
        "http" | "https" if parsed.has_host() => Ok(parsed),
        scheme => Err(format!("it begins with {scheme}: in place of http: or https:")),
    }
}

/// Returns whether an address names a WebSocket.
pub fn is_websocket(url: &str) -> bool {
    websocket_rest(url).is_some()
}

/// Returns the address by which HTTP asks for the same: `ws` is `http` there, `wss` is `https`.
pub fn http_form(url: &str) -> String {
    match websocket_rest(url) {
        Some((true, rest)) => format!("https://{rest}"),
        Some((false, rest)) => format!("http://{rest}"),
        None => url.to_owned(),
    }
}

/// Returns whether a WebSocket is secure, and what follows the scheme.
fn websocket_rest(url: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let is_secure = scheme.eq_ignore_ascii_case("wss");
    (is_secure || scheme.eq_ignore_ascii_case("ws")).then_some((is_secure, rest))
}

fn parse_lenient(url: &str) -> Option<Url> {
    parse_http_url(&http_form(&with_scheme(url))).ok()
}

fn strip_quotes(text: &str) -> &str {
    text.trim().trim_matches(['"', '\'']).trim()
}

/// Returns the part of an address without scheme that names the server.
pub(super) fn authority_of(rest: &str) -> &str {
    rest.split(['/', '\\', '?', '#']).next().unwrap_or_default()
}

/// Puts the brackets around an IPv6 address that stands alone.
fn bracket_ipv6(rest: &str) -> String {
    let authority = authority_of(rest);
    match authority.parse::<Ipv6Addr>() {
        Ok(_) => format!("[{authority}]{}", rest.get(authority.len()..).unwrap_or_default()),
        Err(_) => rest.to_owned(),
    }
}

pub fn is_local_network(rest: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{}", authority_of(rest))) else { return false };
    is_loopback_url(&url)
        || match url.host() {
            Some(Host::Ipv4(ip)) => is_private_v4(ip),
            Some(Host::Ipv6(ip)) => match ip.to_ipv4_mapped() {
                Some(ip) => is_private_v4(ip),
                None => ip.is_unique_local() || ip.is_unicast_link_local(),
            },
            Some(Host::Domain(_)) | None => false,
        }
}

/// Private, link-local, and the range that carriers and private overlays share.
fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [first, second, ..] = ip.octets();
    ip.is_private() || ip.is_link_local() || (first == 100 && second & 0b1100_0000 == 64)
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// An IPv6 address has colons of its own and stands in brackets when a port follows.
fn split_port(address: &str) -> (&str, Option<&str>) {
    let bracket = address.rfind(']').map_or(0, |at| at + 1);
    match address.rfind(':') {
        Some(at) if at >= bracket => {
            (address.get(..at).unwrap_or_default(), address.get(at + 1..).filter(|port| !port.is_empty()))
        }
        _ => (address, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheme_that_was_left_out_is_http_here_and_in_private_networks_and_https_everywhere_else() {
        for (given, expected) in [
            ("gateway.example.com/v1", "https://gateway.example.com/v1"),
            ("gateway.example.com:8443", "https://gateway.example.com:8443"),
            ("GATEWAY.example.com", "https://GATEWAY.example.com"),
            ("me:pw@gateway.example.com/v1/", "https://me:pw@gateway.example.com/v1/"),
            ("127.0.0.1@evil.example/v1", "https://127.0.0.1@evil.example/v1"),
            ("127.0.0.1.nip.io", "https://127.0.0.1.nip.io"),
            ("localhost.example.org", "https://localhost.example.org"),
            ("evil.example\\@127.0.0.1", "https://evil.example\\@127.0.0.1"),
            ("evil.example?@127.0.0.1", "https://evil.example?@127.0.0.1"),
            ("evil.example#@127.0.0.1", "https://evil.example#@127.0.0.1"),
            ("gpubox", "https://gpubox"),
            ("gpubox.local:8000", "https://gpubox.local:8000"),
            ("8.8.8.8:80", "https://8.8.8.8:80"),
            ("[2001:db8::1]:8000/v1", "https://[2001:db8::1]:8000/v1"),
            ("2001:db8::1", "https://[2001:db8::1]"),
            ("172.32.0.1", "https://172.32.0.1"),
            ("localhost", "http://localhost"),
            ("LOCALHOST.:8080/v1", "http://LOCALHOST.:8080/v1"),
            ("app.localhost:1", "http://app.localhost:1"),
            ("127.9.9.9:8080", "http://127.9.9.9:8080"),
            ("me:pw@127.0.0.1:1", "http://me:pw@127.0.0.1:1"),
            ("0.0.0.0:8000", "http://0.0.0.0:8000"),
            ("10.1.2.3/v1", "http://10.1.2.3/v1"),
            ("172.16.0.9:1", "http://172.16.0.9:1"),
            ("192.168.1.20:11434", "http://192.168.1.20:11434"),
            ("169.254.1.1", "http://169.254.1.1"),
            ("100.64.0.1:8000", "http://100.64.0.1:8000"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("::1", "http://[::1]"),
            ("[fd00::1]:8080", "http://[fd00::1]:8080"),
            ("[fe80::1]", "http://[fe80::1]"),
            ("[::ffff:127.0.0.1]:1", "http://[::ffff:127.0.0.1]:1"),
            ("//gateway.example.com/v1", "https://gateway.example.com/v1"),
            (" \"gateway.example.com/v1\" ", "https://gateway.example.com/v1"),
            ("http://gateway.example.com/v1", "http://gateway.example.com/v1"),
            ("https://127.0.0.1:8443/", "https://127.0.0.1:8443/"),
        ] {
            assert_eq!(with_scheme(given), expected, "{given}");
        }
    }

    #[test]
    fn a_host_is_read_like_ollamas_own_variable() {
        for (given, expected) in [
            ("", "http://127.0.0.1:11434"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("0.0.0.0:5000", "http://127.0.0.1:5000"),
            (":5000", "http://127.0.0.1:5000"),
            ("localhost", "http://localhost:11434"),
            ("box", "http://box:11434"),
            ("box.lan:80", "http://box.lan:80"),
            ("gpu.example.com", "http://gpu.example.com:11434"),
            ("me:pw@gpu.example.com", "https://me:pw@gpu.example.com:443"),
            ("me:pw@10.0.0.1", "http://me:pw@10.0.0.1:11434"),
            ("ollama.com", "https://ollama.com:443"),
            ("http://box", "http://box:80"),
            ("http://box:11434/", "http://box:11434"),
            ("http://box:11434/v1", "http://box:11434"),
            ("https://box/ollama/", "https://box:443/ollama"),
            ("[::1]:7", "http://[::1]:7"),
            ("::1", "http://[::1]:11434"),
            ("::", "http://[::1]:11434"),
            ("[::]:99", "http://[::1]:99"),
            ("\"127.0.0.1\"", "http://127.0.0.1:11434"),
        ] {
            assert_eq!(ollama_base_url(given), expected, "{given}");
        }
    }

    #[test]
    fn this_machine_is_known() {
        for (url, expected) in [
            ("http://127.0.0.1:11434", true),
            ("http://localhost", true),
            ("http://LOCALHOST.:1/", true),
            ("http://a.localhost", true),
            ("http://[::1]:8080/v1", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://127.9.9.9/", true),
            ("http://0.0.0.0:3", true),
            ("http://2130706433/", true),
            ("http://user@127.0.0.1@evil.example/", false),
            ("http://evil.example\\@127.0.0.1/", false),
            ("http://127.0.0.1.evil.example/", false),
            ("http://example.com/?x=@127.0.0.1", false),
            ("https://10.0.0.1", false),
            ("https://api.openai.com/v1", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(url), expected, "{url}");
        }
    }

    #[test]
    fn what_can_be_read_on_the_way_is_known() {
        assert!(
            is_cleartext_remote("http://gateway.example.com/v1")
                && is_cleartext_remote("http://10.0.0.1")
                && is_cleartext_remote("10.0.0.1")
                && is_cleartext_remote("WS://gateway.example.com/acp")
        );
        assert!(
            !is_cleartext_remote("https://gateway.example.com")
                && !is_cleartext_remote("wss://gateway.example.com")
                && !is_cleartext_remote("ws://localhost:1")
                && !is_cleartext_remote("http://localhost:1")
                && !is_cleartext_remote("")
        );
    }

    #[test]
    fn one_server_is_one_under_all_its_names() {
        assert!(is_same_server("http://localhost:8080/v1", "http://127.0.0.1:8080"));
        assert!(is_same_server("https://h/v1", "https://H:443"));
        assert!(!is_same_server("http://localhost:8080", "http://localhost:8081"));
        assert!(!is_same_server("", ""));
        assert!(has_host("https://API.openai.com:443/v1", "api.openai.com"));
        assert!(!has_host("https://api.openai.com.example.org", "api.openai.com"));
        assert!(!has_host("https://api.openai.com@example.org", "api.openai.com"));
    }

    #[test]
    fn the_parts_of_an_address_are_without_its_login() {
        assert_eq!(host_and_port("https://me:secret@h:1/x"), "h:1");
        assert_eq!(path_and_query("https://me:secret@h:1/x?a=b#c"), ("/x", "a=b"));
        assert_eq!(path_and_query("https://h?a"), ("", "a"));
    }

    #[test]
    fn a_websocket_is_asked_for_by_http() {
        for (given, expected) in [
            ("ws://h:1/acp?x=1", "http://h:1/acp?x=1"),
            ("WSS://me:pw@h/acp", "https://me:pw@h/acp"),
            ("http://h/ws://x", "http://h/ws://x"),
            ("h:1", "h:1"),
        ] {
            assert_eq!(http_form(given), expected);
            assert_eq!(is_websocket(given), given != expected);
        }
    }

    #[test]
    fn other_schemes_are_named() {
        for url in ["ftp://x/", "file:///etc/passwd", "ws://x"] {
            assert!(parse_http_url(url).unwrap_err().contains("in place of http: or https:"), "{url}");
        }
        assert!(parse_http_url("nonsense").is_err() && parse_http_url("http://").is_err());
    }
}
