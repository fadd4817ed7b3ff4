//! PURE. opencode's server: a session that is made first, its bus of events, and prompts that are sent once the bus has
//! greeted. What the server asks meanwhile is answered at once, at the address of the request.
//!
//! Source: the routes of the npm package `@opencode-ai/sdk`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::json;

use super::probe::{ProbeAnswers, ProbedServer, is_path_segment};
use super::protocol::Protocol;
use super::request_kind::{ModelListPath, RequestKind};
use super::server_thread::{ServerThread, ThreadStep};
use super::{AnnouncingDetector, RemoteTarget};
use crate::dialect::SseFrame;
use crate::engine::discover::ModelInfo;
use crate::engine::{ModelRequest, ReplyPlan};
use crate::event::{Decision, Json};
use crate::net::request::{HttpMethod, HttpRequest, SideChannel};
use crate::text::address::with_scheme;

const SESSION_PATH: &str = "/session";

pub(super) static PROMPT: RequestKind = RequestKind {
    name: "opencode",
    default_path: SESSION_PATH,
    is_at: |path, _| path == SESSION_PATH,
    model_list: Some(ModelListPath {
        replaces: SESSION_PATH,
        path: "/config/providers",
        body: None,
        parse: parse_models,
    }),
    protocol: Some(|_| Box::<OpencodeProtocol>::default()),
    ..RequestKind::NEW
};

/// Returns the models of all providers, each as `provider/model`.
fn parse_models(answers: &[Option<&Json>]) -> Option<Vec<ModelInfo>> {
    let mut models = Vec::new();
    for provider in answers.first().copied().flatten()?.get("providers")?.as_array()? {
        let Some(id) = provider.get("id").and_then(Json::as_str) else { continue };
        let known = provider.get("models").and_then(Json::as_object).into_iter().flatten();
        models.extend(known.map(|(model, about)| ModelInfo {
            id: format!("{id}/{model}"),
            remark: about.get("name").and_then(Json::as_str).unwrap_or_default().to_owned(),
            context_window: about.pointer("/limit/context").and_then(Json::as_u64),
        }));
    }
    Some(models)
}

/// Identifies a server by what it says of its health.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let health = answers.get("/global/health").filter(|health| health.get("healthy") == Some(&Json::Bool(true)))?;
    let version = health.get("version").and_then(Json::as_str)?;
    Some(ProbedServer {
        description: format!("opencode {version}"),
        evidence: "/global/health tells its version".into(),
        ..answers.server(&PROMPT, SESSION_PATH)
    })
}

#[derive(Default)]
struct OpencodeProtocol {
    thread: ServerThread,
    /// The answers so far to requests with several questions.
    answers: Mutex<HashMap<String, Vec<Option<Json>>>>,
}

impl Protocol for OpencodeProtocol {
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        mut decode: AnnouncingDetector,
    ) -> Option<ReplyPlan> {
        let create = || target.post(Vec::new(), &json!({}));
        Some(match self.thread.next(request, &["id"], create) {
            ThreadStep::Begin(plan) => plan,
            ThreadStep::Say { id, text } => {
                decode.set_session(&id);
                let mut body = json!({"parts": [{"type": "text", "text": text}]});
                if let Some((provider, model)) = request.model.split_once('/') {
                    body["model"] = json!({"providerID": provider, "modelID": model});
                }
                let url = format!("{}{SESSION_PATH}/{id}/prompt_async", base(target));
                let prompt = HttpRequest { url, ..target.post(Vec::new(), &body) };
                let url = format!("{}/event", base(target));
                let events = HttpRequest { method: HttpMethod::Get, url, body: None, ..prompt.clone() };
                let side_channel: Box<dyn SideChannel> = Box::new(OpencodePrompt(Some(prompt)));
                ReplyPlan::Http { request: events, decode: Box::new(decode), side_channel: Some(side_channel) }
            }
        })
    }

    fn cancel_request(&self, target: &RemoteTarget) -> Option<HttpRequest> {
        let id = self.thread.current()?;
        let url = format!("{}{SESSION_PATH}/{id}/abort", base(target));
        Some(HttpRequest { url, ..target.post(Vec::new(), &json!({})) })
    }

    fn answer_request(&self, target: &RemoteTarget, asked: &Json, decision: &Decision) -> Option<HttpRequest> {
        let word = |key: &str| asked.get(key).and_then(Json::as_str).filter(|id| is_path_segment(id));
        let (id, session, kind) = (word("id")?, word("sessionID")?, word("ask")?);
        let (path, body) = if kind.starts_with("question.") {
            self.answer_question(kind, session, id, asked, decision)?
        } else {
            permission_reply(kind, session, id, decision)
        };
        Some(HttpRequest { url: format!("{}{path}", base(target)), ..target.post(Vec::new(), &body) })
    }
}

impl OpencodeProtocol {
    /// Returns the path and body that answer a request with questions, once each of them has an answer.
    fn answer_question(
        &self,
        kind: &str,
        session: &str,
        id: &str,
        asked: &Json,
        decision: &Decision,
    ) -> Option<(String, Json)> {
        let number = |key: &str| asked.get(key).and_then(Json::as_u64).and_then(|number| usize::try_from(number).ok());
        let (index, count) = (number("index")?, number("count")?);
        let base = if kind.contains(".v2.") {
            format!("/api/session/{session}/question/{id}")
        } else {
            format!("/question/{id}")
        };
        let mut all = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match decision {
            Decision::Offered { id, allows: true } => Some(json!([id])),
            // What a person says in place of an offered answer is one, too.
            Decision::Deny(Some(text)) => Some(json!([text])),
            Decision::Once | Decision::Session | Decision::Pattern(_) => Some(json!([])),
            Decision::Deny(None) | Decision::Hunks(_) | Decision::Offered { .. } => None,
        };
        let Some(answer) = answer else {
            all.remove(id);
            return Some((format!("{base}/reject"), json!({})));
        };
        let answers = all.entry(id.to_owned()).or_default();
        answers.resize(count.min(64), None);
        *answers.get_mut(index)? = Some(answer);
        let complete: Vec<Json> = answers.iter().cloned().collect::<Option<_>>()?;
        all.remove(id);
        Some((format!("{base}/reply"), json!({ "answers": complete })))
    }
}

/// Returns the path and body of a reply to a permission request, in the generation that asked.
fn permission_reply(kind: &str, session: &str, id: &str, decision: &Decision) -> (String, Json) {
    let word = if decision.allows() { "once" } else { "reject" };
    if kind == "permission.updated" {
        return (format!("{SESSION_PATH}/{session}/permissions/{id}"), json!({ "response": word }));
    }
    let mut body = json!({ "reply": word });
    if let Decision::Deny(Some(reason)) = decision {
        body["message"] = reason.as_str().into();
    }
    let path = if kind.contains(".v2.") {
        format!("/api/session/{session}/permission/{id}/reply")
    } else {
        format!("/permission/{id}/reply")
    };
    (path, body)
}

/// Returns the address of the server.
fn base(target: &RemoteTarget) -> String {
    let url = with_scheme(&target.url);
    let url = url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    url.strip_suffix(SESSION_PATH).unwrap_or(url).to_owned()
}

/// Sends the prompt once the bus listens.
struct OpencodePrompt(Option<HttpRequest>);

impl SideChannel for OpencodePrompt {
    fn answer_frame(&mut self, frame: &SseFrame) -> Vec<HttpRequest> {
        let event = serde_json::from_str::<Json>(&frame.data).unwrap_or_default();
        let has_greeted = event.get("type").and_then(Json::as_str) == Some("server.connected");
        self.0.take_if(|_| has_greeted).into_iter().collect()
    }
}
