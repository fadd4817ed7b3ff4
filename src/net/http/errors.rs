//! Why a request got no answer: refused, sent elsewhere, never connected, cut off.

use std::error::Error as _;

use futures_util::StreamExt;
use reqwest::header::{DATE, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Url};

use super::proxy::Route;
use super::{MAX_REFUSAL_BYTES, REFUSAL_BODY_TIMEOUT, display_origin, tls_errors};
use crate::event::FaultKind;
use crate::net::error_text::{error_chain, root_cause};
use crate::net::failure::{HintAudience, HttpRefusal, RequestFailure, retry_after};
use crate::net::redact::Redactor;
use crate::net::request::{HttpHeaderValue, HttpMethod, HttpRequest};
use crate::text::address::is_loopback_url;

/// Says why an answer is none.
pub(super) async fn refusal_failure(
    call: &HttpRequest,
    url: &Url,
    response: reqwest::Response,
    route: &Route,
    whose: HintAudience,
) -> RequestFailure {
    let redactor = Redactor::for_request(call);
    let mut place = display_origin(url);
    // Over HTTPS it only carries bytes and can't have answered.
    if let Route::Proxy(proxy) = route
        && url.scheme() == "http"
    {
        if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
            return proxy.login_failure();
        }
        place = format!("{place} (through the proxy {})", proxy.address);
    }
    let mut failure = if response.status().is_redirection() {
        let to = super::header_text(&response, &LOCATION)
            .and_then(|to| url.join(to).ok())
            .map(|to| format!("{}{}", display_origin(&to), to.path()));
        let to = to.unwrap_or_else(|| "somewhere else".into());
        RequestFailure::permanent(
            FaultKind::BadRequest,
            format!("{place}{} redirects to {to}; {}", url.path(), whose.redirect_hint()),
        )
    } else {
        read_refusal(call, &place, url, response, &redactor, whose).await
    };
    redactor.redact(&mut failure.fault.message);
    failure
}

async fn read_refusal(
    call: &HttpRequest,
    place: &str,
    url: &Url,
    response: reqwest::Response,
    redactor: &Redactor,
    whose: HintAudience,
) -> RequestFailure {
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let wait = retry_after(text("retry-after-ms"), text(RETRY_AFTER.as_str()), text(DATE.as_str()));
    let status = response.status().as_u16();
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    let read = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            body.extend_from_slice(&chunk);
            if body.len() >= MAX_REFUSAL_BYTES {
                break;
            }
        }
    };
    // What came in time has to do.
    let _ = tokio::time::timeout(REFUSAL_BODY_TIMEOUT, read).await;
    body.truncate(MAX_REFUSAL_BYTES);
    let mut body = String::from_utf8_lossy(&body).into_owned();
    // Before the body is shortened, so that no half of a key is left.
    redactor.redact_truncated(&mut body);
    let credentials = ["authorization", "x-api-key", "cookie"];
    let is_key = |name: &str| credentials.iter().any(|known| name.eq_ignore_ascii_case(known));
    let has_key = call.headers.iter().any(|(name, value)| is_key(name) && !matches!(value, HttpHeaderValue::Unset(_)));
    let unset = call.headers.iter().find_map(|(_, value)| match value {
        HttpHeaderValue::Unset(setting) => Some(setting.as_str()),
        _ => None,
    });
    let posts = call.method == HttpMethod::Post;
    HttpRefusal {
        origin: place,
        path: url.path(),
        status,
        retry_after: wait,
        body: &body,
        audience: whose,
        has_key,
        unset_key_setting: unset,
        is_post: posts,
    }
    .failure()
}

/// Says why a request was not answered at all.
pub(super) fn send_failure(url: &Url, error: reqwest::Error, route: &Route, whose: HintAudience) -> RequestFailure {
    let place = display_origin(url);
    let error = error.without_url();
    let why = root_cause(&error);
    if let Route::Proxy(proxy) = route
        && error.is_connect()
        && !error.is_timeout()
        && let Some(failure) = proxy.connect_failure(url, &error_chain(&error), &why)
    {
        return failure;
    }
    if error.is_timeout() {
        let text = format!("{place} did not accept a connection in time; check the address");
        return RequestFailure {
            is_unsent: error.is_connect(),
            ..RequestFailure::transient(FaultKind::TimedOut, text)
        };
    }
    if error.is_builder() {
        return RequestFailure::permanent(
            FaultKind::BadRequest,
            format!("the request to {place} cannot be made: {why}"),
        );
    }
    if let Some(error) = tls_error(&error) {
        return tls_errors::tls_failure(&place, url, error, whose);
    }
    if !error.is_connect() {
        return RequestFailure::transient(
            FaultKind::Network,
            format!("the connection to {place} was lost before a response: {why}"),
        );
    }
    if why.contains("handshake eof") {
        let text = format!(
            "{place} closed the connection during the TLS handshake; it may speak only an old version of TLS (1.2 or 1.3 \
             is needed), or not HTTPS at all: check its TLS settings, or write http:// {}",
            whose.address_setting()
        );
        return RequestFailure::permanent(FaultKind::Network, text);
    }
    if is_loopback_url(url) {
        // Nobody starts a server in the seconds that retries take.
        let text = format!("no server at {place}: {why}; {}", whose.no_listener_hint());
        return RequestFailure { is_unsent: true, ..RequestFailure::permanent(FaultKind::Network, text) };
    }
    let text = format!("cannot reach {place}: {why}; check the address and the network");
    RequestFailure { is_unsent: true, ..RequestFailure::transient(FaultKind::Network, text) }
}

/// Says that a server speaks the other scheme than the one it was asked by.
pub(super) fn wrong_scheme_failure(url: &Url, other: &Url, whose: HintAudience) -> RequestFailure {
    let (speaks, not) = if other.scheme() == "https" { ("HTTPS", "plain HTTP") } else { ("plain HTTP", "HTTPS") };
    let (to, place) = (display_origin(other), display_origin(url));
    let at = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
    let text = format!("{at} speaks {speaks}, not {not} (tried {place}); write {to} {}", whose.address_setting());
    RequestFailure { is_unsent: other.scheme() == "http", ..RequestFailure::permanent(FaultKind::Network, text) }
}

/// Finds the TLS library's own error, which the layers above wrap.
pub(super) fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        // An IO error hides what it was made of from the chain.
        if let Some(found) = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            if let Some(found) = found.downcast_ref() {
                return Some(found);
            }
            let inner = found.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if let Some(found) = inner.and_then(|inner| inner.downcast_ref()) {
                return Some(found);
            }
        }
        source = cause.source();
    }
    None
}

pub(super) fn broken_connection_failure(place: &str, error: reqwest::Error) -> RequestFailure {
    let error = error.without_url();
    RequestFailure::transient(FaultKind::Network, format!("the connection to {place} was lost: {}", root_cause(&error)))
}
