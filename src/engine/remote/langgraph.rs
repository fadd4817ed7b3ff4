//! PURE. A LangGraph Agent Server: a thread that is made first, and runs in it, one of which may answer what the one
//! before waits for. An assistant stands for the model.

use serde_json::json;

use super::interrupts::{InterruptAnswer, answered_interrupts, text_payload};
use super::probe::{ProbeAnswers, ProbedServer};
use super::protocol::Protocol;
use super::request_kind::{ModelListPath, RequestKind};
use super::server_thread::{ServerThread, ThreadStep};
use super::{AnnouncingDetector, RemoteTarget};
use crate::engine::discover::ModelInfo;
use crate::engine::{HistoryApproval, ModelRequest, ReplyPlan};
use crate::event::{Decision, Json};
use crate::net::request::{Framing, HttpRequest};
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
            let input = resume_command(request).unwrap_or_else(|| prompt_input(text));
            return Some(ReplyPlan::http(target.post(Vec::new(), &body(request, &input)), decode));
        }
        let known = self.0.current();
        let run = |id: &str, input: &Json| HttpRequest {
            url: format!("{base}/threads/{id}{RUN_PATH}"),
            ..target.post(Vec::new(), &body(request, input))
        };
        let resume = known.as_ref().and_then(|_| resume_command(request));
        if let (Some(id), Some(command)) = (&known, &resume)
            && request.decided_calls().next().is_some()
        {
            return Some(ReplyPlan::http(run(id, command), decode));
        }
        let create = || HttpRequest::post(format!("{base}/threads"), target.headers.clone(), "{}", Framing::Ndjson);
        Some(match self.0.next(request, &["thread_id"], create) {
            ThreadStep::Begin(plan) => plan,
            ThreadStep::Say { id, text } => {
                // Another thread waits for nothing.
                let command = resume.filter(|_| known.as_ref() == Some(&id));
                ReplyPlan::http(run(&id, &command.unwrap_or_else(|| prompt_input(&text))), decode)
            }
        })
    }
}

/// Deltas as they come, and what only whole updates tell: interrupts, and messages that no model wrote. By default a run
/// goes on when nobody listens, and the next prompt waits for it.
fn body(request: &ModelRequest, input: &Json) -> Json {
    let mut body = json!({
        "assistant_id": request.model, "stream_mode": ["messages-tuple", "updates"], "on_disconnect": "cancel",
    });
    for (key, value) in input.as_object().into_iter().flatten() {
        body[key] = value.clone();
    }
    body
}

fn prompt_input(text: &str) -> Json {
    json!({"input": {"messages": [{"role": "user", "content": text}]}})
}

/// Returns the answers to what the graph waits for; none where it waits for nothing.
fn resume_command(request: &ModelRequest) -> Option<Json> {
    let decided: Vec<_> = request.decided_calls().collect();
    let mut answers: Vec<(Json, Json)> = Vec::new();
    for (_, HistoryApproval { request: asked, .. }, decision) in &decided {
        let (id, form) = (asked.get("interruptId")?.clone(), asked.get("form").and_then(Json::as_str)?);
        let answer = decision_answer(form, decision);
        match answers.iter_mut().find(|(known, _)| *known == id) {
            Some((_, Json::Array(list))) => list.push(answer),
            Some((_, value)) => value.get_mut("decisions")?.as_array_mut()?.push(answer),
            None => answers.push((
                id,
                match form {
                    "decisions" => json!({"decisions": [answer]}),
                    "human" => json!([answer]),
                    _ => answer,
                },
            )),
        }
    }
    if decided.is_empty() {
        let InterruptAnswer { interrupts, text } = answered_interrupts(request)?;
        answers.extend(interrupts.iter().map(|interrupt| {
            let id = interrupt.get("id").or_else(|| interrupt.get("interrupt_id")).cloned().unwrap_or_default();
            (id, text_payload(interrupt.get("response_schema"), text))
        }));
    }
    let resume = match answers.as_slice() {
        [(_, only)] => only.clone(),
        several => several.iter().filter_map(|(id, value)| Some((id.as_str()?.to_owned(), value.clone()))).collect(),
    };
    Some(json!({"command": {"resume": resume}}))
}

fn decision_answer(form: &str, decision: &Decision) -> Json {
    match (form, decision) {
        ("human", Decision::Deny(Some(reason))) => json!({"type": "response", "args": reason}),
        ("human", Decision::Deny(None)) => json!({"type": "ignore", "args": null}),
        ("human", _) => json!({"type": "accept", "args": null}),
        (_, Decision::Deny(Some(reason))) => json!({"type": "reject", "message": reason}),
        (_, Decision::Deny(None)) => json!({"type": "reject"}),
        _ => json!({"type": "approve"}),
    }
}
