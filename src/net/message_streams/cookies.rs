//! PURE. The cookies of one conversation with one server: that its load balancer finds the same machine again.
//!
//! They are told to the same address only and forgotten with the conversation, so of what a server says of one only
//! whether it is taken back counts.

use secrecy::{ExposeSecret, SecretString};

use crate::net::request::HttpHeaderValue;

/// Cookies that are kept; more are ignored.
const MAX_COOKIES: usize = 50;
const COOKIE_HEADER: &str = "cookie";

#[derive(Debug, Default)]
pub(super) struct CookieJar {
    /// Names and values; without a value it is taken back.
    cookies: Vec<(String, Option<SecretString>)>,
}

impl CookieJar {
    /// Reads the `set-cookie` headers of an answer.
    pub(super) fn of(headers: &[SecretString]) -> Self {
        Self { cookies: headers.iter().filter_map(|header| parse(header.expose_secret())).collect() }
    }

    /// Takes in what a later answer sets.
    pub(super) fn merge(&mut self, later: Self) {
        for (name, value) in later.cookies {
            self.cookies.retain(|(known, _)| *known != name);
            if value.is_some() && self.cookies.len() < MAX_COOKIES {
                self.cookies.push((name, value));
            }
        }
    }

    /// Returns the header that tells them, unless there are none or the person sets that header.
    pub(super) fn header(&self, headers: &[(String, HttpHeaderValue)]) -> Option<(String, HttpHeaderValue)> {
        if self.cookies.is_empty() || headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(COOKIE_HEADER)) {
            return None;
        }
        let pairs = self.cookies.iter().filter_map(|(name, value)| {
            let value = value.as_ref()?.expose_secret();
            Some(format!("{name}={value}"))
        });
        let all = pairs.collect::<Vec<_>>().join("; ");
        Some((COOKIE_HEADER.to_owned(), HttpHeaderValue::Secret(all.into())))
    }
}

fn parse(header: &str) -> Option<(String, Option<SecretString>)> {
    let mut parts = header.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let is_over = parts.any(|part| {
        part.split_once('=').is_some_and(|(key, value)| {
            key.trim().eq_ignore_ascii_case("max-age") && value.trim().parse::<i64>().is_ok_and(|seconds| seconds <= 0)
        })
    });
    let name = name.trim();
    (!name.is_empty()).then(|| (name.to_owned(), (!is_over).then(|| value.trim().into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(jar: &CookieJar) -> Option<String> {
        match jar.header(&[])?.1 {
            HttpHeaderValue::Secret(all) => Some(all.expose_secret().to_owned()),
            HttpHeaderValue::Plain(_) | HttpHeaderValue::Unset(_) => None,
        }
    }

    #[test]
    fn a_cookie_is_told_until_it_is_taken_back() {
        let mut jar = CookieJar::default();
        assert_eq!(told(&jar), None);
        jar.merge(CookieJar::of(&["node=a1; Path=/; HttpOnly".into(), "b = 2".into(), "nonsense".into(), "=x".into()]));
        assert_eq!(told(&jar).as_deref(), Some("node=a1; b=2"));
        jar.merge(CookieJar::of(&["node=c; Max-Age=60".into(), "b=; max-age=0".into()]));
        assert_eq!(told(&jar).as_deref(), Some("node=c"));
        let own = [("Cookie".to_owned(), HttpHeaderValue::Plain("mine=1".into()))];
        assert!(jar.header(&own).is_none(), "what the person sets is left alone");
    }

    #[test]
    fn a_flood_of_cookies_is_bounded() {
        let mut jar = CookieJar::default();
        let many: Vec<SecretString> = (0..500).map(|nth| format!("c{nth}=1").into()).collect();
        jar.merge(CookieJar::of(&many));
        assert_eq!(told(&jar).unwrap().split(';').count(), MAX_COOKIES);
    }
}
