//! `/metrics`: numbers for monitoring, in OpenMetrics.
//!
//! Like everything about sessions they need the token, if there is one; the read-only one will do. What happens in
//! sessions is counted from their events when somebody asks, so that nobody pays who doesn't.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State as Shared};
use axum::http::Response;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::middleware::Next;
use axum::routing::get;

use super::Surface;
use super::error;
use super::session_counts::SessionCounts;
use super::state::ServerState;

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &[], error_format: error::native_error_body };

const CONTENT_FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Stands for every path that there isn't.
const OTHER_ROUTE: &str = "other";

fn routes() -> Router<ServerState> {
    Router::new().route("/metrics", get(metrics))
}

/// Counts a request when its response begins.
pub(super) async fn count_requests(Shared(state): Shared<ServerState>, request: Request, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().map_or(OTHER_ROUTE, MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    state.request_counts().add(route, response.status().as_u16());
    response
}

async fn metrics(Shared(state): Shared<ServerState>) -> Response<Body> {
    let text = exposition(&state.session_counts(), &state.request_counts().all(), &gauges(&state));
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_FORMAT));
    response
}

/// What is true just now.
struct Gauges {
    sessions: usize,
    max_sessions: usize,
    busy: usize,
    approvals: usize,
    watchers: usize,
}

fn gauges(state: &ServerState) -> Gauges {
    let sessions = state.running_sessions();
    let snapshots: Vec<_> = sessions.iter().map(|session| session.snapshot()).collect();
    Gauges {
        sessions: sessions.len(),
        max_sessions: state.settings().limits.max_sessions,
        busy: snapshots.iter().filter(|now| now.turn.is_some()).count(),
        approvals: snapshots.iter().map(|now| now.pending_approvals.len()).sum(),
        watchers: state.reader_count(),
    }
}

/// Writes all of it. Values of labels are names of ours and need no escaping.
fn exposition(counts: &SessionCounts, requests: &BTreeMap<(String, u16), u64>, now: &Gauges) -> String {
    let mut out = String::new();
    family(&mut out, "build", "info", "The version of the program.");
    line(&mut out, "build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    for (name, help, value) in [
        ("sessions", "Sessions that are open.", now.sessions),
        ("sessions_limit", "Sessions that may be open at once.", now.max_sessions),
        ("sessions_busy", "Sessions in which a turn runs.", now.busy),
        ("approvals_pending", "Calls that wait for a decision.", now.approvals),
        ("watchers", "Clients that follow a session.", now.watchers),
    ] {
        family(&mut out, name, "gauge", help);
        line(&mut out, name, &[], value as u64);
    }
    family(&mut out, "events", "counter", "Events of sessions.");
    line(&mut out, "events_total", &[], counts.events);
    family(&mut out, "turns", "counter", "Turns that ended, by how.");
    for outcome in ["completed", "cancelled", "interrupted", "failed"] {
        let count = counts.turns.get(outcome).copied().unwrap_or_default();
        line(&mut out, "turns_total", &[("outcome", outcome)], count);
    }
    family(&mut out, "turn_failures", "counter", "Turns that failed, by the kind of fault.");
    for (kind, count) in &counts.failures {
        line(&mut out, "turn_failures_total", &[("kind", kind)], *count);
    }
    let tokens = counts.tokens;
    for (name, help, value) in [
        ("input_tokens", "Tokens that went to models, by their count or an estimate.", tokens.input_tokens),
        ("cached_input_tokens", "The part of them that models had in their caches.", tokens.cached_tokens),
        ("output_tokens", "Tokens that models wrote.", tokens.output_tokens),
        ("reasoning_tokens", "The part of them that was reasoning.", tokens.reasoning_tokens),
    ] {
        family(&mut out, name, "counter", help);
        line(&mut out, &format!("{name}_total"), &[], value);
    }
    family(&mut out, "http_requests", "counter", "Requests by route and status.");
    for ((route, status), count) in requests {
        line(&mut out, "http_requests_total", &[("route", route), ("status", &status.to_string())], *count);
    }
    let name = "time_to_first_token_seconds";
    family(&mut out, name, "histogram", "Time from the start of a turn to the first token of its answer.");
    let _ = writeln!(out, "# UNIT jarvis_tui_{name} seconds");
    for (end, count) in counts.first_token.cumulative() {
        let end = if end.is_finite() { format!("{end:?}") } else { "+Inf".to_owned() };
        line(&mut out, &format!("{name}_bucket"), &[("le", &end)], count);
    }
    let all = counts.first_token.cumulative().last().map_or(0, |(_, count)| count);
    line(&mut out, &format!("{name}_count"), &[], all);
    let _ = writeln!(out, "jarvis_tui_{name}_sum {:?}", counts.first_token.sum_seconds);
    out.push_str("# EOF\n");
    out
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# TYPE jarvis_tui_{name} {kind}\n# HELP jarvis_tui_{name} {help}");
}

fn line(out: &mut String, name: &str, labels: &[(&str, &str)], value: u64) {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let _ = writeln!(out, "jarvis_tui_{name}{labels} {value}");
}
