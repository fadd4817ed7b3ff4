//! PURE. A LangGraph Agent Server: a thread that is made first, and runs in it. An assistant stands for the model.

use bytes::Bytes;
use serde_json::json;

use super::probe::{ProbeAnswers, ProbedServer};
use super::protocol::Protocol;
use super::request_kind::{ModelListPath, RequestKind};
use super::server_thread::{ServerThread, ThreadStep};
use super::{AnnouncingDetector, RemoteTarget};
use crate::engine::discover::ModelInfo;
use crate::engine::{ModelRequest, ReplyPlan};
use crate::event::Json;
use crate::net::request::{Framing, HttpMethod, HttpRequest};
use crate::text::address::path_and_query;

/// The path of its answers, also behind the path of a thread.
const RUN_PATH: &str = "/runs/stream";

pub(super) static RUN: RequestKind = RequestKind {
    name: "langgraph",
    default_path: RUN_PATH,
    is_at: |path, _| path.ends_with(RUN_PATH),
    needs_model: true,
    token_header: Some("x-api-key"),
    model_list: Some(ModelListPath {
        replaces: RUN_PATH,
        path: "/assistants/search",
        body: Some("{}"),
        parse: parse_assistants,
    }),
    protocol: Some(|_| Box::<LangGraphProtocol>::default()),
    ..RequestKind::NEW
};

/// Every graph has an assistant of its name, so that the names of graphs say enough.
fn parse_assistants(answers: &[Option<&Json>]) -> Option<Vec<ModelInfo>> {
    let mut models: Vec<ModelInfo> = Vec::new();
    for assistant in answers.first().copied().flatten()?.as_array()? {
        let word = |key: &str| assistant.get(key).and_then(Json::as_str);
        let Some(graph) = word("graph_id") else { continue };
        let is_own = word("name").is_none_or(|name| name == graph);
        let id = if is_own { graph } else { word("assistant_id").unwrap_or(graph) };
        if models.iter().all(|known| known.id != id) {
            let remark = if is_own { "" } else { word("name").unwrap_or_default() };
            models.push(ModelInfo { id: id.to_owned(), remark: remark.to_owned(), context_window: None });
        }
    }
    Some(models)
}

/// Identifies a server by what it says of itself.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    answers.get("/info").filter(|info| info.pointer("/flags/assistants").is_some_and(Json::is_boolean))?;
    Some(ProbedServer {
        description: "LangGraph".into(),
        evidence: "/info tells that it has assistants".into(),
        ..answers.server(&RUN, RUN_PATH)
    })
}

#[derive(Default)]
struct LangGraphProtocol(ServerThread);

impl Protocol for LangGraphProtocol {
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        decode: AnnouncingDetector,
    ) -> Option<ReplyPlan> {
        let url = target.url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let base = url.strip_suffix(RUN_PATH).unwrap_or(url);
        if path_and_query(base).0.contains("/threads/") {
            // The person named the thread.
            let text = super::protocol::last_prompt(request).unwrap_or_default();
            return Some(ReplyPlan::http(target.post(Vec::new(), &body(request, text)), decode));
        }
        let create = || HttpRequest {
            method: HttpMethod::Post,
            url: format!("{base}/threads"),
            headers: target.headers.clone(),
            body: Some(Bytes::from_static(b"{}")),
            framing: Framing::Ndjson,
        };
        Some(match self.0.next(request, &["thread_id"], create) {
            ThreadStep::Begin(plan) => plan,
            ThreadStep::Say { id, text } => {
                let call = target.post(Vec::new(), &body(request, &text));
                ReplyPlan::http(HttpRequest { url: format!("{base}/threads/{id}{RUN_PATH}"), ..call }, decode)
            }
        })
    }
}

/// Deltas as they come, and what only whole updates tell: interrupts, and messages that no model wrote. By default a run
/// goes on when nobody listens, and the next prompt waits for it.
fn body(request: &ModelRequest, text: &str) -> Json {
    json!({
        "assistant_id": request.model, "input": {"messages": [{"role": "user", "content": text}]},
        "stream_mode": ["messages-tuple", "updates"], "on_disconnect": "cancel",
    })
}
