//! Why a request got no answer: refused, sent elsewhere, never connected, cut off.

use futures_util::StreamExt;
use reqwest::Url;
use reqwest::header::{DATE, LOCATION, RETRY_AFTER};
use std::error::Error as _;

use super::{REFUSAL, REFUSAL_TIME, is_loopback, place};
use crate::event::FaultKind;
use crate::net::call::{HttpCall, Method};
use crate::net::redact::Redactor;
use crate::net::status::{Failure, Refusal, Whose, retry_after};

/// Says why an answer is none.
pub(super) async fn refusal(call: &HttpCall, url: &Url, response: reqwest::Response, whose: Whose) -> Failure {
    let redactor = Redactor::of(call);
    let place = place(url);
    let mut failure = if response.status().is_redirection() {
        let to = super::header(&response, &LOCATION)
            .and_then(|to| url.join(to).ok())
            .map(|to| format!("{}{}", super::place(&to), to.path()));
        let to = to.unwrap_or_else(|| "somewhere else".into());
        Failure::last(FaultKind::BadRequest, format!("{place}{} redirects to {to}; {}", url.path(), whose.elsewhere()))
    } else {
        refused(call, url, response, &redactor, whose).await
    };
    redactor.blank(&mut failure.fault.message);
    failure
}

async fn refused(
    call: &HttpCall,
    url: &Url,
    response: reqwest::Response,
    redactor: &Redactor,
    whose: Whose,
) -> Failure {
    let text = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let wait = retry_after(text("retry-after-ms"), text(RETRY_AFTER.as_str()), text(DATE.as_str()));
    let status = response.status().as_u16();
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    let read = async {
        while let Some(Ok(chunk)) = chunks.next().await {
            body.extend_from_slice(&chunk);
            if body.len() >= REFUSAL {
                break;
            }
        }
    };
    // What came in time has to do.
    let _ = tokio::time::timeout(REFUSAL_TIME, read).await;
    body.truncate(REFUSAL);
    let mut body = String::from_utf8_lossy(&body).into_owned();
    // Before the body is shortened, so that no half of a key is left.
    redactor.blank_cut(&mut body);
    let credentials = ["authorization", "x-api-key", "cookie"];
    let has_key = call.headers.iter().any(|(name, _)| credentials.iter().any(|known| name.eq_ignore_ascii_case(known)));
    let posts = call.method == Method::Post;
    let place = place(url);
    Refusal { place: &place, path: url.path(), status, retry_after: wait, body: &body, whose, has_key, posts }.failure()
}

pub(super) fn unsent(place: &str, url: &Url, error: reqwest::Error, whose: Whose) -> Failure {
    let error = error.without_url();
    let why = root(&error);
    if error.is_timeout() {
        let text = format!("{place} did not answer a connection in time; is the address right?");
        return Failure { unsent: error.is_connect(), ..Failure::passing(FaultKind::TimedOut, text) };
    }
    if error.is_builder() {
        return Failure::last(FaultKind::BadRequest, format!("the request to {place} cannot be made: {why}"));
    }
    if !error.is_connect() {
        return Failure::passing(
            FaultKind::Network,
            format!("the connection to {place} broke before an answer: {why}"),
        );
    }
    let lower = why.to_lowercase();
    if lower.contains("certificate") || lower.contains("tls") || lower.contains("handshake") {
        let text = format!("cannot trust {place}: {why}; check the address, or http in place of https");
        return Failure::last(FaultKind::Network, text);
    }
    if is_loopback(url) {
        // Nobody starts a server in the seconds that retries take.
        let text = format!("nothing answers at {place}: {why}; {}", whose.nobody());
        return Failure { unsent: true, ..Failure::last(FaultKind::Network, text) };
    }
    let text = format!("cannot reach {place}: {why}; check the address and the network");
    Failure { unsent: true, ..Failure::passing(FaultKind::Network, text) }
}

pub(super) fn cut(place: &str, error: reqwest::Error) -> Failure {
    let error = error.without_url();
    Failure::passing(FaultKind::Network, format!("the connection to {place} broke: {}", root(&error)))
}

/// The innermost cause, which says most.
pub(super) fn root(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    crate::dialect::error::tidy(&text)
}
