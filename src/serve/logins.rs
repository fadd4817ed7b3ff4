//! Browsers that showed a token once: each has a cookie with a name of its own in place of the token.
//!
//! Kept in memory: after a restart a browser asks for the token again. The value of a cookie says nothing about the
//! token.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::error::ApiError;
use super::link_table::SecretHash;
use crate::bridge::new_uuid;

/// How long a browser stays signed in.
const LOGIN_LIFETIME: Duration = Duration::from_hours(7 * 24);
/// Browsers that are signed in at once; the oldest makes room.
const MAX_LOGINS: usize = 256;
/// Begins the name of a cookie that may travel without encryption. The port follows: browsers give cookies to every
/// port of a host.
const PLAIN_COOKIE_PREFIX: &str = "jarvis-tui-";
/// The name of one that may not. Browsers keep such a name from other hosts.
const SECURE_COOKIE_NAME: &str = "__Host-jarvis-tui";

/// What a browser that is signed in may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) kind: LoginKind,
    since: Instant,
}

/// With what a browser signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoginKind {
    FullToken,
    ReadToken,
    /// A link that shows one session.
    Link(SecretHash),
}

/// The browsers that are signed in.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<HashMap<String, Login>>);

impl Logins {
    /// Signs a browser in and returns the value of its cookie: 148 random bits, and the time.
    pub(super) fn sign_in(&self, kind: LoginKind) -> String {
        let value = format!("{}{}", new_uuid().simple(), new_uuid().simple());
        let mut logins = self.lock();
        if logins.len() >= MAX_LOGINS {
            let oldest = logins.iter().min_by_key(|(_, login)| login.since).map(|(value, _)| value.clone());
            oldest.and_then(|oldest| logins.remove(&oldest));
        }
        logins.insert(value.clone(), Login { kind, since: Instant::now() });
        value
    }

    /// Returns the login whose cookie a request has.
    pub(super) fn find(&self, headers: &HeaderMap) -> Option<Login> {
        let mut logins = self.lock();
        logins.retain(|_, login| login.since.elapsed() < LOGIN_LIFETIME);
        values(headers).find_map(|value| logins.get(value).copied())
    }

    pub(super) fn sign_out(&self, headers: &HeaderMap) {
        let mut logins = self.lock();
        for value in values(headers) {
            logins.remove(value);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Login>> {
        // Every change is one step, so the data behind a poisoned lock is intact.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the header that gives a browser its cookie; without a value, the one that takes it back.
pub(super) fn set_cookie(value: Option<&str>, host: &str, is_secure: bool) -> Result<HeaderValue, ApiError> {
    let name = if is_secure { SECURE_COOKIE_NAME.to_owned() } else { format!("{PLAIN_COOKIE_PREFIX}{}", port(host)) };
    let seconds = if value.is_some() { LOGIN_LIFETIME.as_secs() } else { 0 };
    let secure = if is_secure { "; Secure" } else { "" };
    let value = value.unwrap_or_default();
    HeaderValue::from_str(&format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"))
        .map_err(|_| ApiError::internal("the cookie can't be set"))
}

/// Returns the values of our cookies.
fn values(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok()).flat_map(|header| {
        header.split(';').filter_map(|pair| {
            let (name, value) = pair.trim().split_once('=')?;
            let is_ours = name == SECURE_COOKIE_NAME || name.starts_with(PLAIN_COOKIE_PREFIX);
            (is_ours && !value.is_empty()).then_some(value)
        })
    })
}

/// Returns the port that a Host header names.
fn port(host: &str) -> &str {
    let digits = host.rsplit(':').next().unwrap_or_default();
    if digits.len() < host.len() && digits.bytes().all(|byte| byte.is_ascii_digit()) { digits } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_cookies(cookies: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, cookies.parse().unwrap())])
    }

    #[tokio::test(start_paused = true)]
    async fn a_cookie_holds_for_its_browser_until_it_signs_out_or_a_week_is_over() {
        let logins = Logins::default();
        let (full, read) = (logins.sign_in(LoginKind::FullToken), logins.sign_in(LoginKind::ReadToken));
        let may = |value: &str| {
            let login = logins.find(&with_cookies(&format!("a=1; jarvis-tui-8000={value}")));
            login.map(|login| login.kind == LoginKind::FullToken)
        };
        assert_eq!((may(&full), may(&read), may("x"), may("")), (Some(true), Some(false), None, None));
        assert_eq!(logins.find(&with_cookies(&format!("other={full}"))), None);
        logins.sign_out(&with_cookies(&format!("jarvis-tui-8000={full}")));
        assert_eq!((may(&full), may(&read)), (None, Some(false)));
        tokio::time::advance(LOGIN_LIFETIME).await;
        assert_eq!(may(&read), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_browser_that_signed_in_first_makes_room() {
        let logins = Logins::default();
        let first = logins.sign_in(LoginKind::FullToken);
        let mut last = String::new();
        for _ in 0..MAX_LOGINS {
            tokio::time::advance(Duration::from_secs(1)).await;
            last = logins.sign_in(LoginKind::FullToken);
        }
        assert_eq!(logins.find(&with_cookies(&format!("jarvis-tui-={first}"))), None);
        assert!(logins.find(&with_cookies(&format!("jarvis-tui-={last}"))).is_some());
    }

    #[test]
    fn scripts_and_other_sites_never_get_a_cookie() {
        let header = |value, host, is_secure| set_cookie(value, host, is_secure).unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            header(Some("v"), "127.0.0.1:8000", false),
            "jarvis-tui-8000=v; Path=/; Max-Age=604800; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            header(None, "[::1]", true),
            "__Host-jarvis-tui=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure"
        );
        assert!(header(Some("v"), "[::1]", false).starts_with("jarvis-tui-=v;"));
    }
}
