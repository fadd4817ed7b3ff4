//! PURE. OpenJarvis: the requests that only it takes, and what it offers besides its chat: a feed of events, traces,
//! totals, approvals.

use std::any::Any;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::model_apis::{CHAT, CHAT_MODEL_LIST, chat_protocol, replace_null_content};
use super::probe::{FollowUp, ProbeAnswers, ProbedServer, get_request};
use super::protocol::{JsonProtocol, last_prompt};
use super::request_kind::RequestKind;
use super::server_extras::ServerExtras;
use super::{AnnouncingDetector, RemoteTarget};
use crate::dialect::openjarvis::{DIALECT, OpenJarvisDecoder};
use crate::dialect::{Decode, SseFrame};
use crate::engine::ModelRequest;
use crate::engine::server_approvals::{ServerApproval, ServerApprovals};
use crate::event::{Json, ReplyEvent, Risk};
use crate::net::request::{HttpHeaderValue, HttpMethod, HttpRequest, SideChannel};

/// Approvals that are read.
const MAX_PENDING_APPROVALS: usize = 100;
/// The path of its chat.
const CHAT_COMPLETIONS_PATH: &str = "/v1/chat/completions";

/// Chat completions with a tool that does nothing: OpenJarvis up to 1.0.2 then streams the events of its agent.
pub(super) static BRIDGE: RequestKind = RequestKind {
    name: "openjarvis-bridge",
    default_path: CHAT_COMPLETIONS_PATH,
    needs_model: true,
    model_list: Some(CHAT_MODEL_LIST),
    protocol: Some(|target| {
        chat_protocol(target, |body| {
            replace_null_content(body);
            add_dummy_tool(body);
        })
    }),
    ..RequestKind::NEW
};

/// A managed agent, which keeps the conversation itself.
pub(super) static MANAGED: RequestKind = RequestKind {
    name: "openjarvis-managed",
    is_at: |path, _| path.contains("/managed-agents/") && path.ends_with("/messages"),
    protocol: Some(|_| JsonProtocol::boxed(managed_body)),
    ..RequestKind::NEW
};

/// One question for its deep research.
pub(super) static RESEARCH: RequestKind = RequestKind {
    name: "openjarvis-research",
    default_path: "/api/research",
    is_at: |path, _| path.ends_with("/api/research"),
    protocol: Some(|_| JsonProtocol::boxed(research_body)),
    ..RequestKind::NEW
};

/// The contents don't matter, only that there is a tool.
fn add_dummy_tool(body: &mut Json) {
    let parameters = json!({"type": "object", "properties": {}});
    let function = json!({"name": "show_events", "description": "Does nothing.", "parameters": parameters});
    body["tools"] = json!([{"type": "function", "function": function}]);
}

fn managed_body(_: &RemoteTarget, request: &ModelRequest) -> Json {
    json!({"content": last_prompt(request).unwrap_or_default(), "mode": "immediate", "stream": true})
}

fn research_body(_: &RemoteTarget, request: &ModelRequest) -> Json {
    let mut body = json!({"query": last_prompt(request).unwrap_or_default()});
    if !request.model.is_empty() {
        body["model"] = Json::from(request.model.as_str());
    }
    body
}

/// Identifies an OpenJarvis. Its paths tell the version.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let info = answers.get("/v1/info").filter(|info| info.get("engine").is_some() && info.get("agent").is_some())?;
    let has_agent = info.get("agent").is_some_and(Json::is_string);
    let model = info.get("model").and_then(Json::as_str).filter(|model| !model.is_empty());
    Some(ProbedServer {
        description: "OpenJarvis".into(),
        evidence: "/v1/info names a model, an agent and an engine".into(),
        models: answers.models("/v1/models").unwrap_or_default(),
        model: model.map(str::to_owned),
        follow_up: has_agent.then_some(FollowUp { path: "/openapi.json", conclude: note_version }),
        ..answers.server(&CHAT, CHAT_COMPLETIONS_PATH)
    })
}

/// Completes what is known of a server with an agent by the paths that it has.
fn note_version(found: &mut ProbedServer, paths: Option<&Json>) {
    if paths.is_some_and(is_newer_than_1_0_2) {
        found.description = "OpenJarvis, newer than 1.0.2,".into();
        found.extras = Some(OpenJarvisExtras::for_target);
    } else {
        found.evidence.push_str("; if no tools appear and it is 1.0.2 or older, use --request openjarvis-bridge");
    }
}

/// Returns whether these are the paths of a version after 1.0.2: there, an agent answers a chat without tools of the
/// client, and its tool events are not in the stream.
fn is_newer_than_1_0_2(paths: &Json) -> bool {
    paths.pointer("/paths/~1v1~1tools~1{tool_name}~1credentials~1{key}").is_some()
}

/// A server newer than 1.0.2: its feed, traces and totals complete the answers of its chat.
#[derive(Debug)]
struct OpenJarvisExtras {
    base: String,
    headers: Vec<(String, HttpHeaderValue)>,
    /// The stream is, or may turn out to be, its own.
    is_its_chat: bool,
    /// The unavailable feed has been reported.
    has_reported_feed: Arc<AtomicBool>,
}

impl OpenJarvisExtras {
    fn for_target(target: &RemoteTarget) -> Option<Box<dyn ServerExtras>> {
        Some(Box::new(Self {
            base: base_url(&target.url)?.to_owned(),
            headers: target.headers.clone(),
            is_its_chat: *target.request_kind == CHAT
                && target.dialect.as_deref().is_none_or(|name| name == DIALECT.name),
            has_reported_feed: Arc::default(),
        }))
    }
}

impl ServerExtras for OpenJarvisExtras {
    fn side_channel(&self, request: &ModelRequest) -> Option<Box<dyn SideChannel>> {
        // With tools of ours, the server's are unused and the stream is complete.
        if !self.is_its_chat || !request.tools.is_empty() {
            return None;
        }
        let get = |path: &str| get_request(format!("{}{path}", self.base), &self.headers);
        Some(Box::new(OpenJarvisSideChannel {
            feed: get("/v1/agents/events"),
            records: ["/v1/traces?limit=8", "/v1/savings", "/v1/telemetry/energy"].map(get),
            has_reported_feed: self.has_reported_feed.clone(),
        }))
    }

    fn approvals(&self) -> Option<Arc<dyn ServerApprovals>> {
        Some(Arc::new(OpenJarvisApprovals { base: self.base.clone(), headers: self.headers.clone() }))
    }
}

/// A turn's tool events, and its records in the order that the decoder expects.
struct OpenJarvisSideChannel {
    feed: HttpRequest,
    records: [HttpRequest; 3],
    has_reported_feed: Arc<AtomicBool>,
}

impl SideChannel for OpenJarvisSideChannel {
    fn feed(&self) -> Option<&HttpRequest> {
        Some(&self.feed)
    }

    fn records(&self) -> &[HttpRequest] {
        &self.records
    }

    fn decode_feed(&mut self, frame: &SseFrame, decode: &mut (dyn Decode + 'static), out: &mut Vec<ReplyEvent>) {
        let Some(detector) = detector(decode) else { return };
        detector.assume(&DIALECT, "its server sends an agent's events on a feed", out);
        detector.with_decoder(out, |decoder: &mut OpenJarvisDecoder, out| decoder.decode_feed(frame, out));
    }

    fn decode_records(
        &mut self,
        records: &[Option<&Json>],
        decode: &mut (dyn Decode + 'static),
        out: &mut Vec<ReplyEvent>,
    ) -> bool {
        let reconcile =
            |decoder: &mut OpenJarvisDecoder, out: &mut Vec<_>| decoder.reconcile_from_records(records, out);
        detector(decode).and_then(|detector| detector.with_decoder(out, reconcile)).unwrap_or(true)
    }

    fn report_unavailable(&mut self, why: &str) -> Option<String> {
        let is_first = !self.has_reported_feed.swap(true, Ordering::Relaxed);
        is_first.then(|| format!("this server's tools are shown after the turn, not while they run: {why}"))
    }
}

/// Returns the decoder of an answer as the one that this engine gave out.
fn detector<'d>(decode: &'d mut (dyn Decode + 'static)) -> Option<&'d mut AnnouncingDetector> {
    (decode as &mut dyn Any).downcast_mut()
}

/// The approvals of autonomous agents on the server. Tools of a chat never need one.
struct OpenJarvisApprovals {
    base: String,
    headers: Vec<(String, HttpHeaderValue)>,
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
    use super::*;

    fn extras(url: &str) -> Option<Box<dyn ServerExtras>> {
        let headers = vec![("authorization".into(), HttpHeaderValue::Plain("Bearer k".into()))];
        OpenJarvisExtras::for_target(&RemoteTarget { headers, ..RemoteTarget::new("office", url, &CHAT) })
    }

    #[test]
    fn feed_and_records_stand_beside_the_chat_and_get_its_headers() {
        let extras = extras("http://h:1/oj/v1/chat/completions?x=1").unwrap();
        let channel = extras.side_channel(&ModelRequest::default()).unwrap();
        assert_eq!(channel.feed().unwrap().url, "http://h:1/oj/v1/agents/events");
        let urls: Vec<&str> = channel.records().iter().map(|call| call.url.as_str()).collect();
        let expected = ["/v1/traces?limit=8", "/v1/savings", "/v1/telemetry/energy"];
        assert_eq!(urls, expected.map(|path| format!("http://h:1/oj{path}")));
        assert!(
            channel.records().iter().all(|call| call.headers.len() == 1) && channel.feed().unwrap().headers.len() == 1
        );
        assert!(OpenJarvisExtras::for_target(&RemoteTarget::new("office", "http://h:1/elsewhere", &CHAT)).is_none());
    }

    #[test]
    fn a_missing_feed_is_reported_once_in_a_conversation() {
        let extras = extras("http://h:1/v1/chat/completions").unwrap();
        let mut channels = [(); 2].map(|()| extras.side_channel(&ModelRequest::default()).unwrap());
        let told = channels.each_mut().map(|channel| channel.report_unavailable("404").is_some());
        assert_eq!(told, [true, false]);
    }

    #[test]
    fn an_approval_is_read_and_answered() {
        let approvals = extras("http://h:1/v1/chat/completions").unwrap().approvals().unwrap();
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
