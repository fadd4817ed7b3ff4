//! What every request must pass: who asks, by which name, from which page, and how much.
//!
//! Closed by default. A request is refused in the shape of the surface that its path belongs to, before any of its
//! body is read.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request, State as Shared};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AUTHORIZATION, CONTENT_LENGTH, HOST, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use axum::middleware::Next;
use secrecy::{ExposeSecret, SecretString};

use super::refuse::Refused;
use super::shape_of;
use super::state::{Settings, State};

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Full,
    /// Watch and list.
    Read,
}

/// A request's body, no longer than the limit.
pub(super) struct Whole(pub(super) Bytes);

impl FromRequest<State> for Whole {
    type Rejection = Response<Body>;

    async fn from_request(request: Request, state: &State) -> Result<Self, Self::Rejection> {
        let shape = shape_of(request.uri().path());
        let most = state.settings().limits.body;
        // A body is read whole or not at all, so the only other reason is a client that went away.
        to_bytes(request.into_body(), most).await.map(Self).map_err(|error| {
            let long =
                std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("length limit"));
            let refused = if long { too_long(most) } else { Refused::bad("the body did not come whole") };
            refused.response(shape)
        })
    }
}

/// Lets a request through or answers it with the reason.
pub(super) async fn check(Shared(state): Shared<State>, mut request: Request, next: Next) -> Response<Body> {
    let shape = shape_of(request.uri().path());
    let settings = state.settings();
    let origin = match page(settings, request.headers()) {
        Ok(origin) => origin,
        Err(refused) => return refused.response(shape),
    };
    let mut response = if origin.is_some() && request.method() == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        match admit(&state, &request) {
            Ok(access) => {
                request.extensions_mut().insert(access);
                next.run(request).await
            }
            Err(refused) => refused.response(shape),
        }
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(VARY, HeaderValue::from_static("origin"));
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
        let allowed = "authorization, content-type, last-event-id, x-api-key, x-jarvis-events, x-jarvis-stay";
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("x-jarvis-session, retry-after"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}

pub(super) async fn nowhere(request: Request) -> Response<Body> {
    let path = request.uri().path();
    Refused::not_found(format!("there is nothing at {path}")).response(shape_of(path))
}

pub(super) async fn not_so(request: Request) -> Response<Body> {
    let path = request.uri().path();
    let text = format!("{path} does not take {}", request.method());
    Refused::new(405, "method_not_allowed", text).response(shape_of(path))
}

fn admit(state: &State, request: &Request) -> Result<Access, Refused> {
    let settings = state.settings();
    let headers = request.headers();
    named(settings, headers)?;
    let open = request.uri().path() == "/health";
    let access = access(settings, headers, open)?;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if access == Access::Read && !reads {
        let text = if settings.read_only { "this server is only watched" } else { "this token may only watch" };
        return Err(Refused::new(403, "read_only", text));
    }
    let most = settings.limits.body;
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) {
        return Err(too_long(most));
    }
    Ok(access)
}

/// A name that another's server answers for must not lead a web page here: browsers hold what comes of it for that
/// server's own. On other addresses than this machine's a token is asked for, which such a page has not.
fn named(settings: &Settings, headers: &HeaderMap) -> Result<(), Refused> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !settings.loopback || is_here(host_name(host)) {
        return Ok(());
    }
    Err(Refused::new(403, "wrong_host", "this server answers as localhost, 127.0.0.1 or [::1] only"))
}

fn is_here(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns the name in `name:port`, brackets of an address taken off.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Returns the origin of the web page that asks, where it may. Programs that are no browsers name none.
fn page(settings: &Settings, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refused> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(None) };
    let text = origin.to_str().unwrap_or_default();
    let allowed = settings.origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(text));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = text.split_once("://").is_some_and(|(_, authority)| !host.is_empty() && authority == host);
    if allowed || own {
        return Ok(Some(origin.clone()));
    }
    let text = "pages of this origin may not ask; start the server with --allow-origin to let them";
    Err(Refused::new(403, "wrong_origin", text))
}

fn access(settings: &Settings, headers: &HeaderMap, open: bool) -> Result<Access, Refused> {
    let most = if settings.read_only { Access::Read } else { Access::Full };
    let tokens = &settings.tokens;
    if tokens.full.is_none() && tokens.read.is_none() {
        return Ok(most);
    }
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let given = bearer.or_else(|| headers.get("x-api-key").and_then(|value| value.to_str().ok()));
    let is = |token: &Option<SecretString>| {
        token.as_ref().zip(given).is_some_and(|(token, given)| same(token.expose_secret(), given))
    };
    // Both are compared, whichever fits.
    match (is(&tokens.full), is(&tokens.read)) {
        (true, _) => Ok(most),
        (false, true) => Ok(Access::Read),
        // With a token for reading alone, this machine's own address is open for the rest.
        (false, false) if tokens.full.is_none() && given.is_none() && settings.loopback => Ok(most),
        (false, false) if open => Ok(Access::Read),
        (false, false) => {
            let text = if given.is_some() { "this token is not known here" } else { "a token is needed" };
            Err(Refused::new(401, "unauthorized", text))
        }
    }
}

/// Compares in a time that does not tell how much of it was right.
fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let longest = one.len().max(other.len());
    let byte = |text: &[u8], at: usize| text.get(at).copied().unwrap_or(0);
    let differs = (0..longest).fold(0, |differs, at| std::hint::black_box(differs | (byte(one, at) ^ byte(other, at))));
    differs == 0 && one.len() == other.len()
}

fn too_long(most: usize) -> Refused {
    Refused::too_large(format!("the request is too long; {most} bytes are taken"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        of.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_names_of_this_machine_lead_to_its_own_address() {
        let settings = Settings { loopback: true, ..Settings::default() };
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:7777", "[::1]:7777", "127.8.8.8", "app.localhost:1"] {
            assert_eq!(named(&settings, &headers(&[("host", host)])), Ok(()), "{host}");
        }
        for host in ["evil.example", "evil.example:7777", "127.0.0.1.evil.example", "", "[::ffff:1.2.3.4]", "10.0.0.1"]
        {
            assert_eq!(named(&settings, &headers(&[("host", host)])).unwrap_err().status, 403, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_origin_may_not_ask() {
        let mut settings = Settings::default();
        let asked = |settings: &Settings, origin: &str| {
            page(settings, &headers(&[("host", "127.0.0.1:7777"), ("origin", origin)]))
        };
        assert_eq!(page(&settings, &headers(&[])), Ok(None));
        assert!(asked(&settings, "http://127.0.0.1:7777").unwrap().is_some(), "its own");
        for origin in ["http://evil.example", "null", "http://127.0.0.1:8888", "http://127.0.0.1:7777.evil.example"] {
            assert_eq!(asked(&settings, origin).unwrap_err().status, 403, "{origin}");
        }
        settings.origins = vec!["https://app.example".into()];
        assert!(asked(&settings, "https://app.example").unwrap().is_some());
    }

    #[test]
    fn a_token_says_what_may_be_done() {
        let full: Option<SecretString> = Some("full".to_owned().into());
        let read: Option<SecretString> = Some("read".to_owned().into());
        let settings = |full: &Option<SecretString>, read: &Option<SecretString>| Settings {
            tokens: super::super::Tokens { full: full.clone(), read: read.clone() },
            loopback: true,
            ..Settings::default()
        };
        let both = settings(&full, &read);
        let asked = |settings: &Settings, value: &str| {
            access(settings, &headers(&[("authorization", value)]), false).map_err(|refused| refused.status)
        };
        assert_eq!(asked(&both, "Bearer full"), Ok(Access::Full));
        assert_eq!(asked(&both, "bearer  read"), Ok(Access::Read));
        for wrong in ["Bearer ful", "Bearer full1", "Bearer", "full", "Basic full", "Bearer "] {
            assert_eq!(asked(&both, wrong), Err(401), "{wrong}");
        }
        assert_eq!(access(&both, &headers(&[("x-api-key", "full")]), false), Ok(Access::Full));
        assert_eq!(access(&settings(&None, &None), &headers(&[]), false), Ok(Access::Full));
        assert_eq!(asked(&settings(&None, &read), "Bearer wrong"), Err(401));
        let watched = Settings { read_only: true, ..both };
        assert_eq!(asked(&watched, "Bearer full"), Ok(Access::Read));
        assert!(!format!("{watched:?}").contains("full\""));
    }
}
