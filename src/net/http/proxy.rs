//! Which proxy stands between us and a server, by the same variables and rules that the client goes by, and what is
//! said where it is in the way.

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;

use super::display_origin;
use crate::event::FaultKind;
use crate::net::failure::RequestFailure;
use crate::text::address::{host_and_port, is_loopback_url};
use crate::text::display_url::redact_login;

/// The proxy variables of the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    http: Option<ProxyVariable>,
    https: Option<ProxyVariable>,
    no_proxy: String,
}

#[derive(Clone, Debug)]
struct ProxyVariable {
    name: &'static str,
    value: String,
}

/// The way to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Direct,
    Proxy(Proxy),
}

/// A proxy, and the variable that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    /// Without a login.
    pub(super) address: String,
    pub(super) variable: &'static str,
    pub(super) is_https: bool,
}

impl Proxies {
    pub(super) fn from_env() -> Self {
        Self::read(&|name| std::env::var(name).ok())
    }

    fn read(env: &dyn Fn(&str) -> Option<String>) -> Self {
        // The first that is set counts, as in the client, also where it is empty.
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some(ProxyVariable { name, value: env(name)?.trim().to_owned() }))
        };
        let set = |names| first(names).filter(|variable| !variable.value.is_empty());
        if env("REQUEST_METHOD").is_some() {
            return Self::default();
        }
        let all = set(["ALL_PROXY", "all_proxy"]);
        Self {
            http: set(["HTTP_PROXY", "http_proxy"]).or_else(|| all.clone()),
            https: set(["HTTPS_PROXY", "https_proxy"]).or(all),
            no_proxy: first(["NO_PROXY", "no_proxy"]).map(|variable| variable.value).unwrap_or_default(),
        }
    }

    /// Says which way a request goes, or why its proxy can't be used.
    pub(super) fn route(&self, url: &Url) -> Result<Route, RequestFailure> {
        let variable = if url.scheme() == "https" { &self.https } else { &self.http };
        let Some(ProxyVariable { name, value }) = variable else { return Ok(Route::Direct) };
        if is_loopback_url(url) || self.is_exempt(url) {
            return Ok(Route::Direct);
        }
        let shown = redact_login(value);
        let instead = || {
            let host = url.host_str().unwrap_or_default();
            format!("only http:// and https:// proxies can be used; change or unset {name}, or list {host} in NO_PROXY")
        };
        let scheme = value.split_once("://").map_or("http", |(scheme, _)| scheme);
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            let text = format!("the proxy {shown} in {name} is of an unsupported kind: {}", instead());
            return Err(RequestFailure::permanent(FaultKind::Network, text));
        }
        if intercept(&Matcher::builder().all(value.clone()).build(), url).is_none() {
            let text = format!("the proxy {shown} in {name} is not a valid address: {}", instead());
            return Err(RequestFailure::permanent(FaultKind::Network, text));
        }
        Ok(Route::Proxy(Proxy { address: shown, variable: name, is_https: scheme.eq_ignore_ascii_case("https") }))
    }

    fn is_exempt(&self, url: &Url) -> bool {
        let any = Matcher::builder().all("http://proxy.invalid").no(self.no_proxy.clone()).build();
        intercept(&any, url).is_none()
    }
}

fn intercept(matcher: &Matcher, url: &Url) -> Option<()> {
    matcher.intercept(&display_origin(url).parse().ok()?).map(drop)
}

impl Proxy {
    /// Reads why the proxy did not open the way to a server. `why` is the error's own chain of words.
    pub(super) fn connect_failure(&self, url: &Url, why: &str, root: &str) -> Option<RequestFailure> {
        let Self { address: proxy, variable, .. } = self;
        let target = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
        let host = url.host_str().unwrap_or_default();
        if why.contains("proxy authorization required") {
            return Some(self.login_failure());
        }
        let text = if why.contains("failed to create underlying connection") || url.scheme() == "http" {
            let text = format!(
                "the proxy {proxy} can't be reached: {root}; start it, correct or unset {variable}, or list {host} in NO_PROXY"
            );
            return Some(RequestFailure { is_unsent: true, ..RequestFailure::permanent(FaultKind::Network, text) });
        } else if why.contains("unsuccessful") {
            format!(
                "the proxy {proxy} refused to connect to {target}; ask its administrator, or list {host} in NO_PROXY to bypass it"
            )
        } else if why.contains("tunnel error") {
            format!("the proxy {proxy} does not behave like one ({root}); check {variable}")
        } else {
            return None;
        };
        Some(RequestFailure::permanent(FaultKind::Network, text))
    }

    /// What is said where the proxy asks who we are.
    pub(super) fn login_failure(&self) -> RequestFailure {
        let Self { address: proxy, variable, .. } = self;
        let host = host_and_port(proxy);
        let text = format!(
            "the proxy {proxy} rejected the login (407): write NAME:PASSWORD@ in front of {host} in {variable}"
        );
        RequestFailure::permanent(FaultKind::Network, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(variables: &[(&str, &str)], url: &str) -> Result<Route, String> {
        let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Proxies::read(&env).route(&Url::parse(url).unwrap()).map_err(|failure| {
            assert!(!failure.is_retryable, "trying again can't help");
            failure.fault.message
        })
    }

    fn through(place: &str, variable: &'static str) -> Route {
        Route::Proxy(Proxy { address: place.into(), variable, is_https: false })
    }

    #[test]
    fn a_request_goes_through_the_proxy_of_its_scheme_unless_its_host_is_exempt_or_here() {
        let all = [("HTTPS_PROXY", "http://me:pw@p:1"), ("all_proxy", "q:2"), ("NO_PROXY", "near.example")];
        assert_eq!(route(&all, "https://far.example"), Ok(through("http://••••@p:1", "HTTPS_PROXY")));
        assert_eq!(route(&all, "http://far.example"), Ok(through("q:2", "all_proxy")));
        for direct in ["https://near.example/v1", "https://a.near.example", "https://127.0.0.1:1", "http://localhost"] {
            assert_eq!(route(&all, direct), Ok(Route::Direct), "{direct}");
        }
        assert_eq!(route(&[("HTTPS_PROXY", "")], "https://far.example"), Ok(Route::Direct));
    }

    #[test]
    fn a_proxy_that_cant_be_used_is_told_with_its_variable_before_anything_is_sent() {
        for (value, words) in [
            ("socks5://me:pw@p:1", "unsupported kind"),
            ("http://", "not a valid address"),
            ("ftp://p", "unsupported kind"),
        ] {
            let told = route(&[("ALL_PROXY", value)], "https://far.example").unwrap_err();
            assert!(
                told.contains(words) && told.contains("unset ALL_PROXY") && told.contains("far.example in NO_PROXY"),
                "{told}"
            );
            assert!(!told.contains("pw"), "{told}");
        }
    }

    #[test]
    fn what_a_proxy_does_is_not_blamed_on_the_server() {
        let proxy = Proxy { address: "http://p:1".into(), variable: "HTTPS_PROXY", is_https: false };
        let url = Url::parse("https://far.example/v1").unwrap();
        for (why, words) in [
            ("tunnel error: proxy authorization required", "NAME:PASSWORD@ in front of p:1 in HTTPS_PROXY"),
            ("tunnel error: unsuccessful", "refused to connect to far.example:443"),
            ("tunnel error: failed to create underlying connection", "unset HTTPS_PROXY"),
            ("tunnel error: unexpected end of file", "does not behave like one"),
        ] {
            let failure = proxy.connect_failure(&url, why, "refused").unwrap();
            assert!(failure.fault.message.contains(words) && !failure.is_retryable, "{failure:?}");
        }
        assert_eq!(proxy.connect_failure(&url, "invalid peer certificate", ""), None);
    }
}
