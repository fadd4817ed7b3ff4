//! Checks every request: authentication, host name, origin and body size.
//!
//! Closed by default. A rejected request gets an error in the format of the surface that its path belongs to, before
//! any of its body is read. A browser that is signed in has a cookie in place of a token: what it sends comes from a
//! page of ours, or is rejected. A request that a proxy passed on may come from anywhere and needs a token.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, State as Shared};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, ORIGIN,
    VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use axum::middleware::Next;
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use super::connection_slots::ConnectionSlot;
use super::error::ApiError;
use super::error_format_for;
use super::logins::LoginKind;
use super::read_links::OnlySession;
use super::state::{ServerState, Settings};

/// What a request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Full,
    /// Watch and list.
    Read,
}

impl Access {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Read => "read",
        }
    }
}

/// Which token a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Full,
    Read,
}

/// Where a browser signs in and out.
pub(super) const LOGIN_PATH: &str = "/v1/login";
/// Where one-time links are: who has one needs no token.
pub(super) const LINK_PATH: &str = "/approve";
/// What says nothing about sessions and takes nothing: needs no token. The files of the page are below the last.
const OPEN_PATHS: [&str; 5] = ["/health", "/healthz", "/readyz", "/", "/page/"];
/// Headers of proxies, and the beginning of theirs that have no standard.
const PROXY_HEADERS: [&str; 3] = ["forwarded", "via", "x-real-ip"];
const PROXY_HEADER_PREFIX: &str = "x-forwarded-";

/// A request's body, within the size limit.
pub(super) struct BodyBytes(pub(super) Bytes);

/// Maximum pause between two pieces of a body.
const BODY_CHUNK_TIMEOUT: Duration = Duration::from_secs(10);
/// After this time the average rate must be at least [`MIN_BODY_BYTES_PER_SECOND`].
const SLOW_BODY_GRACE_DURATION: Duration = Duration::from_secs(30);
/// Far below the slowest connection.
const MIN_BODY_BYTES_PER_SECOND: u64 = 1024;

impl FromRequest<ServerState> for BodyBytes {
    type Rejection = Response<Body>;

    async fn from_request(request: Request, state: &ServerState) -> Result<Self, Self::Rejection> {
        let shape = error_format_for(request.uri().path());
        let most = state.settings().limits.max_body_bytes;
        let slot = request.extensions().get::<Arc<ConnectionSlot>>().cloned();
        let read = read_body(request.into_body(), most, slot.as_deref()).await;
        if let Some(slot) = slot {
            slot.set_answering();
        }
        read.map(Self).map_err(|refused| {
            let mut response = refused.to_response(shape);
            // The rest of the body would be parsed as the next request.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        })
    }
}

/// Reads a whole body, as long as it keeps coming.
async fn read_body(body: Body, most: usize, slot: Option<&ConnectionSlot>) -> Result<Bytes, ApiError> {
    let begun = Instant::now();
    let mut pieces = body.into_data_stream();
    let mut read = Vec::new();
    loop {
        if let Some(slot) = slot {
            slot.set_reading_body(read.len() as u64);
        }
        let owed = SLOW_BODY_GRACE_DURATION + Duration::from_secs(read.len() as u64 / MIN_BODY_BYTES_PER_SECOND);
        let until = (Instant::now() + BODY_CHUNK_TIMEOUT).min(begun + owed);
        match timeout_at(until, pieces.next()).await {
            Ok(None) => return Ok(Bytes::from(read)),
            Ok(Some(Ok(piece))) if read.len() + piece.len() > most => return Err(body_too_large(most)),
            Ok(Some(Ok(piece))) => read.extend_from_slice(&piece),
            Ok(Some(Err(_))) => return Err(ApiError::bad_request("the body is incomplete")),
            Err(_) => {
                let text = format!("the body timed out: {} bytes in {} s", read.len(), begun.elapsed().as_secs());
                return Err(ApiError::new(408, "too_slow", text));
            }
        }
    }
}

/// Passes a request on or responds with the error.
pub(super) async fn check(Shared(state): Shared<ServerState>, mut request: Request, next: Next) -> Response<Body> {
    let shape = error_format_for(request.uri().path());
    let settings = state.settings();
    let origin = match check_single_host(request.uri(), request.headers()).and_then(|()| {
        // The link is all that counts; browsers name no origin for a form of a page without referrer.
        if is_link(request.uri().path()) { Ok(None) } else { allowed_origin(settings, request.headers()) }
    }) {
        Ok(origin) => origin,
        Err(refused) => return refused.to_response(shape),
    };
    let mut response = if origin.is_some() && request.method() == Method::OPTIONS {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    } else {
        match authorize(&state, &request) {
            Ok((access, only)) => {
                request.extensions_mut().insert(access);
                only.map(|only| request.extensions_mut().insert(only));
                next.run(request).await
            }
            Err(refused) => refused.to_response(shape),
        }
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(VARY, HeaderValue::from_static("origin"));
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, DELETE"));
        let allowed = "authorization, content-type, last-event-id, if-none-match, x-api-key, x-goog-api-key, \
                       anthropic-version, anthropic-beta, anthropic-dangerous-direct-browser-access, a2a-version, \
                       acp-connection-id, acp-session-id, x-jarvis-client, x-jarvis-events, x-jarvis-stay";
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
        let exposed = "x-jarvis-session, x-jarvis-queued, acp-connection-id, retry-after, etag, stream-next-offset, \
                       stream-up-to-date, stream-cursor, stream-closed";
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}

pub(super) async fn not_found(request: Request) -> Response<Body> {
    let path = request.uri().path();
    ApiError::not_found(format!("unknown path {path}")).to_response(error_format_for(path))
}

pub(super) async fn method_not_allowed(request: Request) -> Response<Body> {
    let path = request.uri().path();
    let text = format!("{path} does not support {}", request.method());
    ApiError::new(405, "method_not_allowed", text).to_response(error_format_for(path))
}

fn authorize(state: &ServerState, request: &Request) -> Result<(Access, Option<OnlySession>), ApiError> {
    let settings = state.settings();
    let headers = request.headers();
    let path = request.uri().path();
    check_host_name(settings, headers)?;
    if is_link(path) {
        check_length(settings, headers)?;
        return Ok((Access::Read, None));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let signs_in = path == LOGIN_PATH && !reads;
    let login = state.logins().find(headers).filter(|_| given_token(headers).is_none());
    // A cookie goes along with what any page of this host sends.
    if (signs_in || login.is_some() && !reads) && !is_own_origin(settings, headers) {
        let text = "only a page of this server may do this with a cookie";
        return Err(ApiError::new(403, "wrong_origin", text));
    }
    let most = if settings.read_only { Access::Read } else { Access::Full };
    let needs_none = signs_in || reads && (is_open(path) || path == LOGIN_PATH);
    let link = given_token(headers).and_then(|token| state.read_links().find(token));
    let (access, link) = match (login.map(|login| login.kind), link) {
        (Some(LoginKind::FullToken), _) => (most, None),
        (Some(LoginKind::ReadToken), _) => (Access::Read, None),
        (Some(LoginKind::Link(link)), _) | (None, Some(link)) => (Access::Read, Some(link)),
        (None, None) => (access_of_token(settings, headers, signs_in || reads && is_open(path))?, None),
    };
    let only = match link.map(|link| state.read_links().session_of(&link)) {
        Some(None) if !needs_none => return Err(ApiError::new(401, "unauthorized", "this link is over")),
        only => only.flatten(),
    };
    if only.as_ref().is_some_and(|only| !(needs_none || reads && only.may_read(path))) {
        return Err(ApiError::new(403, "one_session", "this link shows one session and nothing else"));
    }
    if access == Access::Read && !reads && !signs_in {
        let text = if settings.read_only { "this server is read-only" } else { "this token is read-only" };
        return Err(ApiError::new(403, "read_only", text));
    }
    check_length(settings, headers)?;
    Ok((access, only))
}

fn is_link(path: &str) -> bool {
    path.strip_prefix(LINK_PATH).is_some_and(|rest| rest.starts_with('/'))
}

fn check_length(settings: &Settings, headers: &HeaderMap) -> Result<(), ApiError> {
    let most = settings.limits.max_body_bytes;
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) { Err(body_too_large(most)) } else { Ok(()) }
}

/// Returns whether a path needs no token.
fn is_open(path: &str) -> bool {
    OPEN_PATHS.iter().any(|open| match open.strip_suffix('/') {
        Some(folder) if !folder.is_empty() => path.starts_with(open),
        _ => path == *open,
    })
}

/// Requires one host and one origin: with two of each, intermediaries may pick different ones.
fn check_single_host(target: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    for (name, shown) in [(HOST, "Host"), (ORIGIN, "Origin")] {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(ApiError::bad_request(format!("the request has two {shown} headers")));
        }
    }
    let named = headers.get(HOST).map_or(Some(""), |host| host.to_str().ok()).filter(|host| is_one_host(host));
    let Some(named) = named else {
        return Err(ApiError::bad_request("the Host header must be one host with an optional port"));
    };
    match target.authority() {
        Some(authority) if !authority.as_str().eq_ignore_ascii_case(named) => {
            Err(ApiError::bad_request("the request's address and Host header name different hosts"))
        }
        _ => Ok(()),
    }
}

/// Returns whether a Host header is a name or an address, and at most a port (RFC 9112, 3.2): intermediaries interpret
/// anything else differently. It may be empty.
fn is_one_host(host: &str) -> bool {
    let (is_name, port) = match host.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, port))) => (address.parse::<std::net::Ipv6Addr>().is_ok(), port),
        Some(None) => return false,
        None => {
            let end = host.find(':').unwrap_or(host.len());
            let (name, port) = host.split_at(end);
            (name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(&byte)), port)
        }
    };
    let digits = if port.is_empty() { Some("") } else { port.strip_prefix(':') };
    is_name
        && digits.is_some_and(|digits| {
            digits.is_empty() || digits.parse::<u16>().is_ok_and(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
        })
}

/// A host name of another server must not lead a web page here, because the browser would treat the response as that
/// server's own (DNS rebinding). Non-loopback addresses require a token, which such a page doesn't have.
fn check_host_name(settings: &Settings, headers: &HeaderMap) -> Result<(), ApiError> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let public = public_authority(settings);
    if !settings.loopback
        || is_local_name(host_name(host))
        || public.is_some_and(|public| public.eq_ignore_ascii_case(host))
    {
        return Ok(());
    }
    Err(ApiError::new(403, "wrong_host", "this server is available as localhost, 127.0.0.1 or [::1] only"))
}

fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns the name in `name:port`, without the brackets of an IPv6 address.
fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Returns the origin of the requesting web page if it is allowed; `None` for clients that are not browsers and send
/// none.
fn allowed_origin(settings: &Settings, headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
    let Some(origin) = headers.get(ORIGIN) else { return Ok(None) };
    let text = origin.to_str().unwrap_or_default();
    let allowed = settings.origins.iter().any(|allowed| allowed == "*" || allowed.eq_ignore_ascii_case(text));
    if allowed || is_own_origin(settings, headers) {
        return Ok(Some(origin.clone()));
    }
    let text = "requests from this origin are not allowed; start the server with --allow-origin to allow them";
    Err(ApiError::new(403, "wrong_origin", text))
}

/// Returns whether the requesting web page is of this server, under its own address or under that of its proxy.
fn is_own_origin(settings: &Settings, headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    settings.public_origin.as_deref() == Some(origin)
        || origin.split_once("://").is_some_and(|(_, authority)| !host.is_empty() && authority == host)
}

fn public_authority(settings: &Settings) -> Option<&str> {
    settings.public_origin.as_deref()?.split_once("://").map(|(_, authority)| authority)
}

/// Returns whether a proxy passed the request on.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        PROXY_HEADERS.contains(&name) || name.starts_with(PROXY_HEADER_PREFIX)
    })
}

impl TokenKind {
    /// Returns which of the server's tokens this is, if any.
    pub(super) fn of(settings: &Settings, given: &str) -> Option<Self> {
        let is = |token: &Option<SecretString>| {
            token.as_ref().is_some_and(|token| constant_time_eq(token.expose_secret(), given))
        };
        // Both are always compared, for constant time.
        match (is(&settings.tokens.full), is(&settings.tokens.read)) {
            (true, _) => Some(Self::Full),
            (false, true) => Some(Self::Read),
            (false, false) => None,
        }
    }
}

/// Returns the token that a request names, right or wrong.
fn given_token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let named = |header: &str| headers.get(header).and_then(|value| value.to_str().ok());
    bearer.or_else(|| named("x-api-key")).or_else(|| named("x-goog-api-key"))
}

fn access_of_token(settings: &Settings, headers: &HeaderMap, open: bool) -> Result<Access, ApiError> {
    let most = if settings.read_only { Access::Read } else { Access::Full };
    let (tokens, forwarded) = (&settings.tokens, is_forwarded(headers));
    if !tokens.are_set() {
        if forwarded {
            let text = "this request came through a proxy, so anybody may have sent it: start the server with a token \
                        (--token-env) and the address of the proxy (--public-url)";
            return Err(ApiError::new(403, "forwarded", text));
        }
        return Ok(most);
    }
    let given = given_token(headers);
    match given.and_then(|given| TokenKind::of(settings, given)) {
        Some(TokenKind::Full) => Ok(most),
        Some(TokenKind::Read) => Ok(Access::Read),
        // If only a read token is configured, loopback clients without a token keep full access.
        None if tokens.full.is_none() && given.is_none() && settings.loopback && !forwarded => Ok(most),
        None if open => Ok(Access::Read),
        None => {
            let text = if given.is_some() { "unknown token" } else { "a token is required" };
            Err(ApiError::new(401, "unauthorized", text))
        }
    }
}

/// Compares in a time that doesn't depend on where the values differ.
fn constant_time_eq(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let longest = one.len().max(other.len());
    let byte = |text: &[u8], at: usize| text.get(at).copied().unwrap_or(0);
    let differs = (0..longest).fold(0, |differs, at| std::hint::black_box(differs | (byte(one, at) ^ byte(other, at))));
    differs == 0 && one.len() == other.len()
}

fn body_too_large(most: usize) -> ApiError {
    ApiError::too_large(format!("the request is too large; at most {most} bytes are accepted"))
}

#[cfg(test)]
mod tests;
