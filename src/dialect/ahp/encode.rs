//! What happens in a session of ours as actions of the protocol, on the channel of its session and on that of its chat.
//!
//! | event | action |
//! | --- | --- |
//! | a prompt | `chat/turnStarted`; one that comes in the middle of a turn is a notification among the parts |
//! | text, reasoning | `chat/responsePart` with its beginning, then `chat/delta`, `chat/reasoning` |
//! | a call | `chat/toolCallStart`, `…Delta`, and `…Ready`, with which it runs |
//! | an approval | `chat/toolCallReady` again, with options and without that it runs; `chat/toolCallConfirmed` |
//! | output, the end of a call | `chat/toolCallContentChanged`, `chat/toolCallComplete` |
//! | usage | `chat/usage`, of the turn so far |
//! | the end of a turn | `chat/turnComplete`, `chat/turnCancelled`, `chat/error` |
//! | a title, what a session waits for | `session/titleChanged`, `session/inputNeededSet`, `session/chatUpdated` |
//!
//! The actions of a log are always the same ones, so that a number of one can be found again. Sub-agents are left out;
//! text that was corrected at the end is said again, since nothing that was sent can be withdrawn.

mod calls;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use serde_json::json;

use self::calls::ToldCall;
use super::super::answer::failure_message;
use super::super::wall_time::rfc3339;
use crate::event::answer::{Answer, AnswerDelta, AnswerLimits};
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, Envelope, Json, MessageId, Millis, TurnId, TurnOutcome, Usage,
};

/// Bits of the status of a chat and of a session.
pub const IDLE_STATUS: u32 = 1;
const ERROR_STATUS: u32 = 2;
const BUSY_STATUS: u32 = 8;
const INPUT_NEEDED_STATUS: u32 = 24;

/// The channel that an action belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AhpChannel {
    Session,
    Chat,
}

/// What a client dispatched, and an event confirms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AhpOrigin {
    pub client: String,
    pub client_seq: i64,
    /// What the client calls the turn.
    pub turn: Option<String>,
    /// The message that waited for this turn.
    pub queued_message: Option<String>,
    /// The option that was chosen.
    pub option: Option<String>,
}

/// An action on a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct AhpAction {
    pub channel: AhpChannel,
    pub action: Json,
    /// Who dispatched it, and its number there.
    pub origin: Option<(String, i64)>,
}

/// The turn that runs.
#[derive(Debug)]
struct OpenTurn {
    our: TurnId,
    id: String,
    started_at: Millis,
    /// `chat/turnStarted` was said.
    is_told: bool,
    part_count: u32,
    /// The part that more text goes to.
    part: Option<OpenPart>,
}

#[derive(Debug)]
struct OpenPart {
    message: MessageId,
    is_text: bool,
    id: String,
}

/// Encodes a session, from its first event.
#[derive(Debug)]
pub struct AhpEncoder {
    chat: String,
    /// Wall time of the session's clock at 0.
    epoch_ms: u64,
    folder: String,
    model: String,
    title: String,
    status: u32,
    modified_ms: u64,
    turn: Option<OpenTurn>,
    calls: HashMap<CallId, ToldCall>,
    sub_agent_messages: HashSet<MessageId>,
    answer: Answer,
    usage: Option<Usage>,
}

impl AhpEncoder {
    /// Creates the encoder of a session whose chat has this URI.
    pub fn new(chat: String) -> Self {
        Self {
            chat,
            epoch_ms: 0,
            folder: String::new(),
            model: String::new(),
            title: String::new(),
            status: IDLE_STATUS,
            modified_ms: 0,
            turn: None,
            calls: HashMap::new(),
            sub_agent_messages: HashSet::new(),
            answer: Answer::new(AnswerLimits::ONE_FRAME),
            usage: None,
        }
    }

    /// The folder that the session works in.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// `engine/model`, as far as known.
    pub fn model(&self) -> &str {
        &self.model
    }

    pub fn title(&self) -> &str {
        &self.title
    }

    pub fn status(&self) -> u32 {
        self.status
    }

    /// When the session changed last.
    pub fn modified_at(&self) -> String {
        rfc3339(self.modified_ms)
    }

    /// The name of the turn that runs.
    pub fn running_turn(&self) -> Option<&str> {
        self.turn.as_ref().map(|turn| turn.id.as_str())
    }

    /// Encodes an event, with what a client dispatched to cause it.
    pub fn encode(&mut self, envelope: &Envelope, origin: Option<&AhpOrigin>) -> Vec<AhpAction> {
        let mut out = Vec::new();
        self.encode_event(envelope, origin, &mut out);
        out
    }

    fn encode_event(&mut self, envelope: &Envelope, origin: Option<&AhpOrigin>, out: &mut Vec<AhpAction>) {
        let at = envelope.at;
        match &envelope.event {
            AgentEvent::SessionOpened { wall_ms, engine, model, folder, .. } => {
                self.epoch_ms = wall_ms.saturating_sub(at.0);
                folder.clone_into(&mut self.folder);
                self.model = format!("{engine}/{model}");
                self.modified_ms = self.modified_ms.max(*wall_ms);
            }
            AgentEvent::TurnStarted { turn, .. } => {
                self.answer = Answer::new(AnswerLimits::ONE_FRAME);
                (self.usage, self.sub_agent_messages) = (None, HashSet::new());
                self.calls.clear();
                self.turn = Some(OpenTurn {
                    our: turn.clone(),
                    id: turn.to_string(),
                    started_at: at,
                    is_told: false,
                    part_count: 0,
                    part: None,
                });
            }
            AgentEvent::UserMessage { text, .. } => self.encode_prompt(text, origin, out),
            AgentEvent::MessageStarted { message, parent: Some(_), .. } => {
                self.sub_agent_messages.insert(message.clone());
            }
            AgentEvent::ToolCallStarted { message, .. } if self.sub_agent_messages.contains(message) => {}
            AgentEvent::ToolCallStarted { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ToolCallReady { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::ToolCallFinished { .. } => self.encode_call_event(&envelope.event, at, origin, out),
            AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: Annotation::Title(title) } => {
                title.clone_into(&mut self.title);
                out.push(session_action(json!({"type": "session/titleChanged", "title": title}), origin));
                out.push(self.chat_update(&json!({ "title": title })));
            }
            AgentEvent::TurnFinished { turn, outcome } if self.turn.as_ref().is_some_and(|open| open.our == *turn) => {
                self.encode_end(outcome, at, origin, out);
            }
            _ => {}
        }
        self.encode_text(&envelope.event, out);
    }

    fn encode_prompt(&mut self, text: &str, origin: Option<&AhpOrigin>, out: &mut Vec<AhpAction>) {
        if self.turn.as_ref().is_some_and(|turn| turn.is_told) {
            let part = json!({"kind": "systemNotification", "content": format!("Meanwhile: {text}")});
            self.push_part(&part, out);
            return;
        }
        if let (Some(turn), Some(name)) = (&mut self.turn, origin.and_then(|origin| origin.turn.as_ref())) {
            name.clone_into(&mut turn.id);
        }
        self.tell_turn(text, origin, out);
    }

    /// Tells that the turn has begun, if that was not said.
    fn tell_turn(&mut self, text: &str, origin: Option<&AhpOrigin>, out: &mut Vec<AhpAction>) {
        let Some(turn) = self.turn.as_mut().filter(|turn| !turn.is_told) else { return };
        turn.is_told = true;
        let started_ms = self.epoch_ms + turn.started_at.0;
        let mut action = json!({
            "type": "chat/turnStarted", "turnId": turn.id, "startedAt": rfc3339(started_ms),
            "message": {"text": text, "origin": {"kind": "user"}, "model": {"id": self.model}},
        });
        let queued = origin.and_then(|origin| origin.queued_message.as_ref());
        if let Some(queued) = queued {
            action["queuedMessageId"] = queued.as_str().into();
        }
        // What the client dispatched was the message that waited, and that was said already.
        let origin = origin.filter(|_| queued.is_none());
        self.modified_ms = self.modified_ms.max(started_ms);
        out.push(chat_action(action, origin));
        self.set_status(BUSY_STATUS, out);
    }

    fn encode_text(&mut self, event: &AgentEvent, out: &mut Vec<AhpAction>) {
        let (message, text, is_text, is_new) = match self.answer.observe(event) {
            AnswerDelta::Text { message, text, .. } => (message, text, true, false),
            AnswerDelta::Corrected { message, text } if !text.is_empty() => (message, text, true, true),
            AnswerDelta::Reasoning { message, text } => (message, text, false, false),
            _ => return self.encode_usage(out),
        };
        self.tell_turn("", None, out);
        let Some(turn) = &mut self.turn else { return };
        let open = turn.part.as_ref().filter(|part| !is_new && part.message == *message && part.is_text == is_text);
        if let Some(part) = open {
            let kind = if is_text { "chat/delta" } else { "chat/reasoning" };
            let action = json!({"type": kind, "turnId": turn.id, "partId": part.id, "content": text});
            return out.push(chat_action(action, None));
        }
        turn.part_count += 1;
        let id = format!("{}-part{}", turn.our, turn.part_count);
        let kind = if is_text { "markdown" } else { "reasoning" };
        let part = json!({"kind": kind, "id": id, "content": text});
        turn.part = Some(OpenPart { message: message.clone(), is_text, id });
        let action = json!({"type": "chat/responsePart", "turnId": turn.id, "part": part});
        out.push(chat_action(action, None));
    }

    fn encode_usage(&mut self, out: &mut Vec<AhpAction>) {
        let usage = self.answer.usage();
        if usage == self.usage {
            return;
        }
        self.usage = usage;
        let (Some(turn), Some(usage)) = (self.turn.as_ref().filter(|turn| turn.is_told), usage) else { return };
        let usage = json!({
            "inputTokens": usage.input_tokens, "outputTokens": usage.output_tokens,
            "cacheReadTokens": usage.cached_tokens, "model": self.model,
        });
        out.push(chat_action(json!({"type": "chat/usage", "turnId": turn.id, "usage": usage}), None));
    }

    fn push_part(&mut self, part: &Json, out: &mut Vec<AhpAction>) {
        let Some(turn) = &mut self.turn else { return };
        turn.part = None;
        out.push(chat_action(json!({"type": "chat/responsePart", "turnId": turn.id, "part": part}), None));
    }

    fn encode_end(&mut self, outcome: &TurnOutcome, at: Millis, origin: Option<&AhpOrigin>, out: &mut Vec<AhpAction>) {
        self.tell_turn("", None, out);
        for call in self.take_asked_calls() {
            out.push(session_action(json!({"type": "session/inputNeededRemoved", "id": call}), None));
        }
        let Some(turn) = self.turn.take() else { return };
        let duration = at.0.saturating_sub(turn.started_at.0);
        self.modified_ms = self.modified_ms.max(self.epoch_ms + at.0);
        let mut action = json!({"type": "chat/turnComplete", "turnId": turn.id, "duration": duration});
        let mut status = IDLE_STATUS;
        match outcome {
            TurnOutcome::Completed => {}
            TurnOutcome::Cancelled => action["type"] = "chat/turnCancelled".into(),
            failed => {
                let (message, code) = failure_message(failed).unwrap_or_default();
                action["type"] = "chat/error".into();
                action["part"] = json!({"kind": "error", "error": {"errorType": code, "message": message}});
                status = ERROR_STATUS;
            }
        }
        out.push(chat_action(action, origin));
        self.set_status(status, out);
    }

    /// Tells the status where it changes.
    fn set_status(&mut self, status: u32, out: &mut Vec<AhpAction>) {
        if std::mem::replace(&mut self.status, status) != status {
            out.push(self.chat_update(&json!({"status": status, "modifiedAt": self.modified_at()})));
        }
    }

    fn chat_update(&self, changes: &Json) -> AhpAction {
        session_action(json!({"type": "session/chatUpdated", "chat": self.chat, "changes": changes}), None)
    }
}

fn chat_action(action: Json, origin: Option<&AhpOrigin>) -> AhpAction {
    AhpAction { channel: AhpChannel::Chat, action, origin: origin.map(named) }
}

fn session_action(action: Json, origin: Option<&AhpOrigin>) -> AhpAction {
    AhpAction { channel: AhpChannel::Session, action, origin: origin.map(named) }
}

fn named(origin: &AhpOrigin) -> (String, i64) {
    (origin.client.clone(), origin.client_seq)
}
