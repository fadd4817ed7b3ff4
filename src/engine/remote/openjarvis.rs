//! PURE. What an OpenJarvis server has beside its chat: a feed of events, traces, totals.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Target;
use super::probe::get;
use crate::event::Json;
use crate::net::call::{Beside, HttpCall, Value};

/// Where a chat is asked.
const CHAT: &str = "/v1/chat/completions";

/// Says how to hear of a turn's tools, in the order that its decoder wants the records.
pub(super) fn beside(target: &Target, told: Arc<AtomicBool>) -> Option<Beside> {
    let base = base(&target.url)?;
    let ask = |path: &str| get(format!("{base}{path}"), &target.headers);
    Some(Beside {
        feed: ask("/v1/agents/events"),
        records: ["/v1/traces?limit=8", "/v1/savings", "/v1/telemetry/energy"].map(ask).to_vec(),
        told,
    })
}

/// Asks a server that says it is an OpenJarvis for all its paths.
pub fn which(origin: &str, headers: &[(String, Value)]) -> HttpCall {
    get(format!("{}/openapi.json", origin.trim_end_matches('/')), headers)
}

/// Returns whether these are the paths of one that is newer than 1.0.2: there, an agent answers a chat that brings no
/// tools, and says nothing of its own.
pub fn is_newer(paths: &Json) -> bool {
    paths.pointer("/paths/~1v1~1tools~1{tool_name}~1credentials~1{key}").is_some()
}

fn base(url: &str) -> Option<&str> {
    url.split(['?', '#']).next()?.trim_end_matches('/').strip_suffix(CHAT)
}
