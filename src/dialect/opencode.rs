//! The event bus of an opencode server (`/event`, and `/global/event`, which wraps each event): everything that happens
//! there, of all sessions, told to everybody, without end. A turn ends when its session is idle.
//!
//! Messages are parts; a part is told whole each time, text and reasoning also in deltas between. Whose a part is stands
//! in its message, so a part whose message was never told counts as the person's, unless only an assistant's has such
//! a part. A session with a parent is a subagent, shown under the call that began it. What else the bus tells (files,
//! plugins, projects) is not of an answer.
//!
//! Source: the event types of the npm package `@opencode-ai/sdk`, and recordings of a server.

mod requests;
mod session;

use super::agent_reply::{report_usage, result_text};
use super::plan::{self, PlanTracker};
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, error, surrogate, usage};
use crate::event::{
    Annotation, CallOutcome, ExecutedBy, Fault, Json, Millis, NoticeCode, NoticeLevel, ReplyEvent, ReplyTarget,
    TurnOutcome, Usage,
};
use requests::{AskedPermission, WaitingPermission};
use session::BusState;

/// Also `--dialect opencode`.
pub const DIALECT: Dialect = Dialect {
    name: "opencode",
    title: "opencode's event bus",
    decode: |context| Box::new(OpencodeDecoder::new(context)),
    evidence,
    extends: None,
    limitations: "what the person says, files and everything else that is not of an answer",
};

/// The first words of its types.
const TYPE_PREFIXES: &[&str] = &["server.", "session.", "message.", "permission.", "question."];

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let event = unwrapped(first.object()?);
    let kind = event.get("type").and_then(Json::as_str)?;
    let is_one = event.get("properties").is_some_and(Json::is_object)
        && TYPE_PREFIXES.iter().any(|prefix| kind.starts_with(prefix));
    is_one.then(|| Evidence::shape(format!("an event of type {kind} has properties")))
}

/// Returns the event inside of what the bus of all projects wraps.
fn unwrapped(json: &Json) -> &Json {
    json.get("payload").filter(|payload| payload.get("type").is_some()).unwrap_or(json)
}

/// Decodes one turn.
#[derive(Debug, Default)]
pub struct OpencodeDecoder {
    bus: BusState,
    /// The session that is ours, where one is; others are not told.
    session: Option<String>,
    /// The sessions that work for it.
    children: Vec<String>,
    asked: Vec<AskedPermission>,
    waiting: Vec<WaitingPermission>,
    /// Open questions: the request, and the call that stands for the question.
    questions: Vec<(String, String)>,
    plan: PlanTracker,
    usage: Option<Usage>,
    fault: Option<Fault>,
    is_aborted: bool,
    is_done: bool,
}

/// Sessions that work for ours.
const MAX_CHILDREN: usize = 256;

impl OpencodeDecoder {
    fn new(context: &DecodeContext) -> Self {
        Self { session: context.session.clone(), ..Self::default() }
    }

    /// Returns whether an event is of our session, or all count.
    fn is_ours(&mut self, properties: &Json) -> bool {
        let Some(ours) = &self.session else { return true };
        let word = |pointer: &str| properties.pointer(pointer).and_then(Json::as_str);
        let belongs = |id: &str| id == ours || self.children.iter().any(|child| child == id);
        let session = ["/sessionID", "/part/sessionID", "/info/sessionID"].iter().find_map(|at| word(at));
        let Some(id) = session.or_else(|| word("/info/id")) else { return true };
        if belongs(id) {
            return true;
        }
        let is_child = word("/info/parentID").is_some_and(belongs) && self.children.len() < MAX_CHILDREN;
        if is_child {
            let id = id.to_owned();
            self.children.push(id);
        }
        is_child
    }

    fn handle_event(&mut self, kind: &str, properties: &Json, marked: bool, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| properties.get(key).and_then(Json::as_str).unwrap_or_default();
        match kind {
            "message.part.delta" => {
                self.bus.push_delta(word("messageID"), word("partID"), word("field"), word("delta"), marked, out);
            }
            "message.part.updated" => {
                if let Some(part) = properties.get("part") {
                    self.handle_part(part, out);
                }
            }
            "message.part.removed" => self.bus.remove_part(word("partID"), out),
            "message.updated" => {
                if let Some(info) = properties.get("info") {
                    self.handle_message(info);
                }
            }
            // A sub-agent's is its own.
            "todo.updated" if self.bus.is_root(word("sessionID")) => {
                let list = properties.get("todos").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
                self.plan.tell(plan::entries(list), out);
            }
            "session.created" | "session.updated" => {
                let info = properties.get("info").unwrap_or(properties);
                self.bus.note_session(info);
            }
            "session.status" => self.handle_status(word("sessionID"), properties.get("status"), out),
            "session.idle" => self.handle_idle(word("sessionID")),
            "session.error" => self.note_error(properties.get("error")),
            "permission.asked" | "permission.updated" | "permission.v2.asked" => {
                self.handle_permission(kind, properties, out);
            }
            "permission.replied" | "permission.v2.replied" => self.handle_permission_reply(properties, out),
            "server.heartbeat" => self.ask_waiting(None, out),
            "question.asked" | "question.v2.asked" => self.handle_question(kind, properties, out),
            "question.replied" | "question.rejected" | "question.v2.replied" | "question.v2.rejected" => {
                self.handle_question_reply(properties, out);
            }
            // Everything else that happens there.
            _ => {}
        }
    }

    fn handle_message(&mut self, info: &Json) {
        let word = |key: &str| info.get(key).and_then(Json::as_str).unwrap_or_default();
        self.bus.note_message(word("id"), word("sessionID"), word("role") == "assistant");
        if word("role") == "assistant" {
            self.bus.note_finish(word("id"), word("finish"));
            if self.bus.is_root(word("sessionID")) {
                self.note_error(info.get("error"));
            }
        }
    }

    fn note_error(&mut self, error: Option<&Json>) {
        let Some(error) = error.filter(|error| error.is_object()) else { return };
        let name = error.get("name").and_then(Json::as_str).unwrap_or_default();
        if name == "MessageAbortedError" {
            self.is_aborted = true;
        } else if name != "MessageOutputLengthError" {
            let words = error.pointer("/data/message").or_else(|| error.get("message")).and_then(Json::as_str);
            let status = error.pointer("/data/statusCode").and_then(Json::as_u64);
            let server_error = error::ServerError {
                message: error::to_single_line(words.unwrap_or(name)),
                code: name.to_owned(),
                status: status.and_then(|status| u16::try_from(status).ok()).filter(|status| *status >= 100),
            };
            self.fault.get_or_insert_with(|| error::to_fault(&server_error));
        }
    }

    fn handle_status(&mut self, session: &str, status: Option<&Json>, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| status.and_then(|status| status.get(key)?.as_str()).unwrap_or_default();
        self.bus.note_busy(session, word("type") != "idle");
        if word("type") == "retry" {
            let attempt = status.and_then(|status| status.get("attempt")?.as_u64()).unwrap_or(1);
            let text =
                format!("the server tries again (attempt {attempt}): {}", error::to_single_line(word("message")));
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Recoverable, text });
        }
    }

    /// Ends the turn, if it is the idle session's and anything was said.
    fn handle_idle(&mut self, session: &str) {
        self.bus.note_busy(session, false);
        let has_content = self.bus.has_answer() || self.fault.is_some() || self.is_aborted;
        self.is_done = has_content && self.bus.is_root(session) && !self.bus.is_any_root_busy();
    }

    fn handle_part(&mut self, part: &Json, out: &mut Vec<ReplyEvent>) {
        let word = |key: &str| part.get(key).and_then(Json::as_str).unwrap_or_default();
        let (message, id) = (word("messageID"), word("id"));
        let is_theirs = self.bus.is_assistant(message, part);
        if !is_theirs {
            return;
        }
        self.bus.note_part_of(message, word("sessionID"));
        match word("type") {
            "text" | "reasoning" => self.bus.set_text(message, id, word("type") == "text", word("text"), out),
            "tool" => self.handle_tool(message, part, out),
            "step-start" => self.bus.start_step(message, out),
            "step-finish" => {
                if let Some(more) = part.get("tokens").and_then(usage::parse)
                    && self.bus.is_new_part(id)
                {
                    self.usage = Some(self.usage.map_or(more, |sum| sum.plus(more)));
                    if let Some((call, tokens)) = self.bus.add_tokens(word("sessionID"), more.total()) {
                        let annotation = Annotation::SubAgent { tokens: Some(tokens), doing: None };
                        out.push(ReplyEvent::Annotation { on: ReplyTarget::Call(call), annotation });
                    }
                }
            }
            _ => {}
        }
    }

    fn handle_tool(&mut self, message: &str, part: &Json, out: &mut Vec<ReplyEvent>) {
        let wire = part.get("callID").or_else(|| part.get("id")).and_then(Json::as_str).unwrap_or_default();
        let name = part.get("tool").and_then(Json::as_str);
        let state = part.get("state").unwrap_or(&Json::Null);
        let status = state.get("status").and_then(Json::as_str).unwrap_or_default();
        // The same call comes again with each of its states, and its id may come again in another message.
        let key = format!("{message}/{wire}");
        self.bus.start_call(message, &key, wire, name, ExecutedBy::Server, out);
        if let Some(session) = state.pointer("/metadata/sessionId").and_then(Json::as_str) {
            self.bus.note_child(session, &key);
        }
        if status == "pending" {
            return;
        }
        let input = state.get("input").filter(|input| !input.is_null()).map(result_text).unwrap_or_default();
        self.bus.reply.calls.complete(&key, name, &input, out);
        self.ask_waiting(Some(&key), out);
        let outcome = match status {
            "completed" => CallOutcome::Ok,
            "error" if self.is_rejected(&key) => CallOutcome::Denied,
            "error" => CallOutcome::Failed,
            _ => return,
        };
        let time = |key: &str| state.pointer(key).and_then(Json::as_u64);
        let duration = time("/time/end").and_then(|end| end.checked_sub(time("/time/start")?)).map(Millis);
        let text = state.get("output").or_else(|| state.get("error")).map(result_text).unwrap_or_default();
        if self.bus.reply.calls.is_running(&key) {
            self.bus.reply.calls.finish_after(&key, outcome, text, duration, out);
        }
    }
}

impl Decode for OpencodeDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        if self.is_done || data.is_empty() {
            return;
        }
        let repaired = surrogate::mark_if_lone(data);
        let Ok(json) = serde_json::from_str::<Json>(repaired.as_deref().unwrap_or(data)) else { return };
        let mut event = unwrapped(&json).clone();
        let kind = event.get("type").and_then(Json::as_str).unwrap_or_default().to_owned();
        let mut properties = event.get_mut("properties").map(Json::take).unwrap_or_default();
        if kind != "message.part.delta" {
            surrogate::resolve_marks_in_json(&mut properties, repaired.is_some());
        }
        if self.is_ours(&properties) {
            self.handle_event(&kind, &properties, repaired.is_some(), out);
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let outcome = match self.fault.take() {
            Some(fault) => TurnOutcome::Failed(fault),
            // A message without an end was stopped, which nothing else tells.
            None if self.is_done && !self.is_aborted && self.bus.is_finished() => TurnOutcome::Completed,
            None => TurnOutcome::Interrupted,
        };
        let reason = match outcome {
            TurnOutcome::Completed => self.bus.early_reason(),
            _ => Some(outcome.finish_reason()),
        };
        self.bus.reply.close_all(reason, out);
        report_usage(self.usage.take(), out);
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    /// The bus goes on between turns.
    fn begins_next(&self, frame: &SseFrame) -> bool {
        let Ok(json) = serde_json::from_str::<Json>(frame.data.trim()) else { return false };
        let event = unwrapped(&json);
        match event.get("type").and_then(Json::as_str).unwrap_or_default() {
            "message.part.updated" | "message.part.delta" | "permission.asked" | "question.asked" => true,
            "session.status" => event.pointer("/properties/status/type").and_then(Json::as_str) != Some("idle"),
            _ => false,
        }
    }
}
