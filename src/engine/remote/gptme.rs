//! PURE. gptme's server, which keeps conversations. A turn is a message that is added, the stream of events, and a step
//! that is asked for once the stream has greeted. What was decided about its tools goes to a route of their own; what
//! nobody has decided is answered by the next prompt.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::json;

use super::probe::{ProbeAnswers, ProbedServer, is_path_segment};
use super::protocol::{Protocol, last_prompt};
use super::request_kind::RequestKind;
use super::server_thread::{ServerThread, ThreadStep};
use super::{AnnouncingDetector, RemoteTarget};
use crate::dialect::SseFrame;
use crate::engine::{HistoryMessage, ModelRequest, Preparation, ReplyPlan, ScriptedEvent};
use crate::event::{CallOutcome, Decision, Fault, Json, Millis, ReplyEvent, TurnOutcome};
use crate::net::request::{Framing, HttpMethod, HttpRequest, SideChannel};
use crate::text::address::with_scheme;

const CONVERSATIONS_PATH: &str = "/api/v2/conversations";
/// What a person says to let a call run.
const YES_WORDS: [&str; 5] = ["yes", "y", "ok", "confirm", "run it"];

pub(super) static STEP: RequestKind = RequestKind {
    name: "gptme",
    default_path: CONVERSATIONS_PATH,
    is_at: |path, _| path.ends_with(CONVERSATIONS_PATH),
    protocol: Some(|_| Box::<GptmeProtocol>::default()),
    ..RequestKind::NEW
};

/// Identifies a server by what its API says of itself.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let about = answers.get("/api/v2")?;
    about.get("message").and_then(Json::as_str).filter(|message| message.starts_with("gptme"))?;
    let version = about.get("version").and_then(Json::as_str).unwrap_or_default();
    Some(ProbedServer {
        description: format!("gptme {version}").trim_end().to_owned(),
        evidence: "/api/v2 says so".into(),
        ..answers.server(&STEP, CONVERSATIONS_PATH)
    })
}

#[derive(Default)]
struct GptmeProtocol {
    thread: ServerThread,
    /// Conversations that were asked for.
    count: AtomicUsize,
    /// The conversation that has got the prompt, or why it has not.
    told: Arc<Mutex<Option<Result<String, Fault>>>>,
    running: RunningStep,
}

/// The address of the conversation and the session whose step runs, as far as its stream told.
type RunningStep = Arc<Mutex<Option<(String, String)>>>;

impl Protocol for GptmeProtocol {
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        decode: AnnouncingDetector,
    ) -> Option<ReplyPlan> {
        if let Some(request) = self.cancel_request(target) {
            // Where there is nothing to interrupt, that is well.
            return Some(ReplyPlan::Prepare(Preparation { request, handle: Box::new(|_| None) }));
        }
        let decided = decided_actions(request);
        if !decided.is_empty()
            && let Some(id) = self.thread.current()
        {
            return Some(self.listen(target, decided, &id, decode));
        }
        let answers = || {
            let action = if is_approval(request) { "confirm" } else { "skip" };
            waiting_calls(request).into_iter().map(|call| (call, action)).collect()
        };
        let told = lock(&self.told).take();
        match told {
            Some(Ok(id)) => return Some(self.listen(target, answers(), &id, decode)),
            Some(Err(fault)) => {
                let event = ReplyEvent::End { outcome: TurnOutcome::Failed(fault) };
                return Some(ReplyPlan::Scripted(vec![ScriptedEvent { delay: Millis(0), event }]));
            }
            None => {}
        }
        let create = || {
            // The name of a conversation is ours to give.
            let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
            let url = format!("{}/jarvis-{}-{number}", base(target), target.thread_id);
            let call = target.post(Vec::new(), &json!({ "messages": [] }));
            HttpRequest { method: HttpMethod::Put, url, framing: Framing::Ndjson, ..call }
        };
        Some(match self.thread.next(request, &["conversation_id"], create) {
            ThreadStep::Begin(plan) => plan,
            ThreadStep::Say { id, .. } if is_approval(request) => self.listen(target, answers(), &id, decode),
            ThreadStep::Say { id, text } => {
                let call = target.post(Vec::new(), &json!({ "role": "user", "content": text }));
                let url = format!("{}/{id}", base(target));
                let request = HttpRequest { url, framing: Framing::Ndjson, ..call };
                let told = self.told.clone();
                let handle = Box::new(move |answer: Result<Json, Fault>| {
                    *lock(&told) = Some(answer.map(|_| id));
                    None
                });
                ReplyPlan::Prepare(Preparation { request, handle })
            }
        })
    }

    fn cancel_request(&self, target: &RemoteTarget) -> Option<HttpRequest> {
        let (conversation, session) = lock(&self.running).take()?;
        let call = target.post(Vec::new(), &json!({ "session_id": session }));
        Some(HttpRequest { url: format!("{conversation}/interrupt"), framing: Framing::Ndjson, ..call })
    }
}

impl GptmeProtocol {
    /// Returns the plan to listen to a conversation and to have it go on.
    fn listen(
        &self,
        target: &RemoteTarget,
        actions: Vec<(String, &'static str)>,
        id: &str,
        decode: AnnouncingDetector,
    ) -> ReplyPlan {
        let base = format!("{}/{id}", base(target));
        let call = target.post(Vec::new(), &Json::Null);
        let events = HttpRequest { method: HttpMethod::Get, url: format!("{base}/events"), body: None, ..call.clone() };
        let confirm = |(call_id, action): (String, &str)| {
            let body = json!({ "tool_id": call_id, "action": action });
            HttpRequest {
                url: format!("{base}/tool/confirm"),
                body: Some(Bytes::from(body.to_string())),
                ..call.clone()
            }
        };
        let answers: Vec<HttpRequest> = actions.into_iter().map(confirm).collect();
        let step = HttpRequest { url: format!("{base}/step"), ..call };
        ReplyPlan::Http {
            request: events,
            decode: Box::new(decode),
            side_channel: Some(Box::new(GptmeStep {
                base,
                step,
                answers,
                has_greeted: false,
                running: self.running.clone(),
            })),
        }
    }
}

/// Returns the address of the conversations.
fn base(target: &RemoteTarget) -> String {
    let url = with_scheme(&target.url);
    url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned()
}

/// Returns what was decided about the tools that the running turn waits with.
fn decided_actions(request: &ModelRequest) -> Vec<(String, &'static str)> {
    let action = |decision: &Decision| if decision.allows() { "confirm" } else { "skip" };
    let decided = request.decided_calls().filter_map(|(_, approval, decision)| {
        Some((approval.request.get("tool_id")?.as_str()?.to_owned(), action(decision)))
    });
    decided.collect()
}

/// Returns the calls that the agent's last message waits with.
fn waiting_calls(request: &ModelRequest) -> Vec<String> {
    let last = request.history.iter().rev().find_map(|past| match past {
        HistoryMessage::Assistant { provider_metadata, .. } => Some(provider_metadata.as_ref()),
        _ => None,
    });
    let calls = last.flatten().and_then(|kept| kept.get("pending_tools")?.as_array());
    let is_over = |id: &str| {
        let is_it = |past: &HistoryMessage| match past {
            HistoryMessage::Tool { call, outcome, .. } => {
                call.as_str() == id && !matches!(outcome, CallOutcome::Requested | CallOutcome::Cancelled)
            }
            HistoryMessage::User { .. } | HistoryMessage::Assistant { .. } => false,
        };
        request.history.iter().any(is_it)
    };
    calls.into_iter().flatten().filter_map(Json::as_str).filter(|id| !is_over(id)).map(str::to_owned).collect()
}

/// Returns whether the prompt lets what waits go on.
fn is_approval(request: &ModelRequest) -> bool {
    let said = last_prompt(request).unwrap_or_default().trim().trim_end_matches(['.', '!']).to_ascii_lowercase();
    YES_WORDS.contains(&said.as_str()) && !waiting_calls(request).is_empty()
}

/// Asks for the answer once its stream listens.
struct GptmeStep {
    /// The address of the conversation.
    base: String,
    /// Without its body.
    step: HttpRequest,
    /// To be sent in its place: what waits goes on, and then the agent by itself.
    answers: Vec<HttpRequest>,
    has_greeted: bool,
    running: RunningStep,
}

impl SideChannel for GptmeStep {
    fn answer_frame(&mut self, frame: &SseFrame) -> Vec<HttpRequest> {
        let greeting = serde_json::from_str::<Json>(&frame.data).unwrap_or_default();
        if matches!(greeting.get("type").and_then(Json::as_str), Some("step_complete" | "interrupted" | "error")) {
            *lock(&self.running) = None;
        }
        let session = greeting.get("session_id").and_then(Json::as_str).filter(|id| is_path_segment(id));
        let Some(session) = session.filter(|_| !std::mem::replace(&mut self.has_greeted, true)) else {
            return Vec::new();
        };
        *lock(&self.running) = Some((self.base.clone(), session.to_owned()));
        if !self.answers.is_empty() {
            return std::mem::take(&mut self.answers);
        }
        let body = json!({ "session_id": session, "stream": true, "auto_confirm": false });
        vec![HttpRequest { body: Some(Bytes::from(body.to_string())), ..self.step.clone() }]
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
