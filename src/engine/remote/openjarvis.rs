//! PURE. What an OpenJarvis server offers besides its chat: a feed of events, traces, totals.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::RemoteTarget;
use super::probe::get_request;
use crate::engine::server_approvals::{ServerApproval, ServerApprovals};
use crate::event::{Json, Risk};
use crate::net::request::{HttpHeaderValue, HttpMethod, HttpRequest, SideChannel};

/// Approvals that are read.
const MAX_PENDING_APPROVALS: usize = 100;
/// The path of its chat.
const CHAT_COMPLETIONS_PATH: &str = "/v1/chat/completions";

/// Returns the requests for a turn's tool events, and for its records in the order that the decoder expects.
pub(super) fn side_channel(target: &RemoteTarget, has_reported_feed: Arc<AtomicBool>) -> Option<SideChannel> {
    let base = base_url(&target.url)?;
    let get = |path: &str| get_request(format!("{base}{path}"), &target.headers);
    Some(SideChannel {
        feed: get("/v1/agents/events"),
        records: ["/v1/traces?limit=8", "/v1/savings", "/v1/telemetry/energy"].map(get).to_vec(),
        has_reported_failure: has_reported_feed,
    })
}

/// Requests all paths of a server that calls itself an OpenJarvis.
pub fn openapi_request(origin: &str, headers: &[(String, HttpHeaderValue)]) -> HttpRequest {
    get_request(format!("{}/openapi.json", origin.trim_end_matches('/')), headers)
}

/// Returns whether these are the paths of a version after 1.0.2: there, an agent answers a chat without tools of the
/// client, and its tool events are not in the stream.
pub fn is_newer_than_1_0_2(paths: &Json) -> bool {
    paths.pointer("/paths/~1v1~1tools~1{tool_name}~1credentials~1{key}").is_some()
}

/// The approvals of autonomous agents on the server. Tools of a chat never need one.
pub(super) struct OpenJarvisApprovals {
    base: String,
    headers: Vec<(String, HttpHeaderValue)>,
}

impl OpenJarvisApprovals {
    pub(super) fn for_target(target: &RemoteTarget) -> Option<Self> {
        Some(Self { base: base_url(&target.url)?.to_owned(), headers: target.headers.clone() })
    }
}

impl ServerApprovals for OpenJarvisApprovals {
    fn list_request(&self) -> HttpRequest {
        get_request(format!("{}/v1/approvals/pending", self.base), &self.headers)
    }

    fn parse_list(&self, answer: &Json) -> Option<Vec<ServerApproval>> {
        Some(answer.get("actions")?.as_array()?.iter().take(MAX_PENDING_APPROVALS).filter_map(parse_approval).collect())
    }

    fn decide_request(&self, approval: &ServerApproval, allow: bool) -> HttpRequest {
        let word = if allow { "approve" } else { "deny" };
        let url = format!("{}/v1/approvals/{}/{word}", self.base, approval.id);
        HttpRequest { method: HttpMethod::Post, ..get_request(url, &self.headers) }
    }
}

fn parse_approval(action: &Json) -> Option<ServerApproval> {
    let text = |key: &str| action.get(key).and_then(Json::as_str).unwrap_or_default();
    // The id becomes a part of a URL.
    let id = text("id");
    let is_plain = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let is_open = matches!(text("status"), "" | "pending");
    if !is_plain || id.starts_with('.') || !is_open {
        return None;
    }
    let payload = action.get("payload").filter(|payload| !payload.is_null());
    let mut detail = payload.and_then(|payload| serde_json::to_string_pretty(payload).ok()).unwrap_or_default();
    for (key, name) in [("permission_key", "permission"), ("tier", "tier")] {
        if !text(key).is_empty() {
            let gap = if detail.is_empty() { "" } else { "\n" };
            // Writing to a string doesn't fail.
            let _ = write!(detail, "{gap}{name}: {}", text(key));
        }
    }
    let tool = Some(text("action_type")).filter(|tool| !tool.is_empty()).unwrap_or("action");
    Some(ServerApproval {
        id: id.to_owned(),
        tool: tool.to_owned(),
        // The action runs on the server; the detail says how far it reaches.
        risk: if text("tier") == "trivial" { Risk::ReadOnly } else { Risk::Network },
        subject: text("description").to_owned(),
        detail,
        args: payload.map_or_else(|| "{}".to_owned(), Json::to_string),
    })
}

fn base_url(url: &str) -> Option<&str> {
    url.split(['?', '#']).next()?.trim_end_matches('/').strip_suffix(CHAT_COMPLETIONS_PATH)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn target(url: &str) -> RemoteTarget {
        RemoteTarget {
            name: "office".into(),
            url: url.into(),
            request_kind: super::super::RequestKind::Chat,
            headers: vec![("authorization".into(), HttpHeaderValue::Plain("Bearer k".into()))],
            dialect: None,
            thread_id: "t".into(),
            explains_every_turn: false,
            has_event_feed: true,
        }
    }

    #[test]
    fn feed_and_records_stand_beside_the_chat_and_get_its_headers() {
        let channel = side_channel(&target("http://h:1/oj/v1/chat/completions?x=1"), Arc::default()).unwrap();
        assert_eq!(channel.feed.url, "http://h:1/oj/v1/agents/events");
        let urls: Vec<&str> = channel.records.iter().map(|call| call.url.as_str()).collect();
        let expected = ["/v1/traces?limit=8", "/v1/savings", "/v1/telemetry/energy"];
        assert_eq!(urls, expected.map(|path| format!("http://h:1/oj{path}")));
        assert!(channel.records.iter().all(|call| call.headers.len() == 1) && channel.feed.headers.len() == 1);
        assert!(side_channel(&target("http://h:1/elsewhere"), Arc::default()).is_none());
    }

    #[test]
    fn an_approval_is_read_and_answered() {
        let approvals = OpenJarvisApprovals::for_target(&target("http://h:1/v1/chat/completions")).unwrap();
        let answer = json!({"count": 4, "actions": [
            {"id": "a1", "action_type": "send_email", "description": "Send the report", "payload": {"to": "x"},
             "permission_key": "email.send", "tier": "high", "status": "pending"},
            {"id": "../../../health", "action_type": "odd"},
            {"id": "a2", "status": "approved"},
            7,
        ]});
        let read = approvals.parse_list(&answer).unwrap();
        assert_eq!(read.len(), 1, "{read:?}");
        assert_eq!(
            (read[0].tool.as_str(), read[0].risk, read[0].subject.as_str()),
            ("send_email", Risk::Network, "Send the report")
        );
        assert!(
            read[0].detail.contains("\"to\": \"x\"") && read[0].detail.ends_with("tier: high"),
            "{}",
            read[0].detail
        );
        assert_eq!(approvals.decide_request(&read[0], true).url, "http://h:1/v1/approvals/a1/approve");
        assert_eq!(approvals.decide_request(&read[0], false).url, "http://h:1/v1/approvals/a1/deny");
        assert_eq!(approvals.parse_list(&json!({"detail": "Not Found"})), None);
    }
}
