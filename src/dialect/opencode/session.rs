//! The sessions, messages and parts that a bus tells of.

use super::super::agent_reply::{AgentReply, MessageHandle};
use super::super::finish_reason::WireFinishReason;
use crate::event::{CallId, ExecutedBy, FinishReason, Json, ReplyEvent};

/// Sessions, messages and parts that are remembered, of each.
const MAX_KNOWN: usize = 4096;

#[derive(Debug)]
struct BusMessage {
    id: String,
    session: String,
    is_assistant: bool,
    /// The word for how it ended.
    finish: String,
    /// Where its next text or call goes.
    current: Option<MessageHandle>,
}

#[derive(Debug)]
struct BusPart {
    id: String,
    message: MessageHandle,
    is_text: bool,
    /// All of its text so far.
    text: String,
}

#[derive(Debug)]
struct BusSession {
    id: String,
    has_parent: bool,
    /// The call that the session is the work of.
    call: Option<CallId>,
    is_busy: bool,
    /// Used by its requests so far.
    tokens: u64,
}

#[derive(Debug, Default)]
pub(super) struct BusState {
    pub(super) reply: AgentReply,
    sessions: Vec<BusSession>,
    messages: Vec<BusMessage>,
    parts: Vec<BusPart>,
    /// Parts that were counted.
    counted_parts: Vec<String>,
}

impl BusState {
    pub(super) fn note_session(&mut self, info: &Json) {
        let word = |key: &str| info.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let (Some(id), has_parent) = (word("id"), word("parentID").is_some()) else { return };
        self.update_session(id, |session| session.has_parent |= has_parent);
    }

    /// Changes what is known of a session.
    fn update_session(&mut self, id: &str, change: impl FnOnce(&mut BusSession)) {
        if self.sessions.iter().all(|session| session.id != id) {
            forget_oldest(&mut self.sessions);
            self.sessions.push(BusSession {
                id: id.to_owned(),
                has_parent: false,
                call: None,
                is_busy: false,
                tokens: 0,
            });
        }
        if let Some(session) = self.sessions.iter_mut().find(|session| session.id == id) {
            change(session);
        }
    }

    pub(super) fn note_busy(&mut self, id: &str, is_busy: bool) {
        self.update_session(id, |session| session.is_busy = is_busy);
    }

    /// Returns whether a session is nobody's subagent.
    pub(super) fn is_root(&self, id: &str) -> bool {
        self.sessions.iter().find(|session| session.id == id).is_none_or(|session| !session.has_parent)
    }

    pub(super) fn is_any_root_busy(&self) -> bool {
        self.sessions.iter().any(|session| session.is_busy && !session.has_parent)
    }

    /// Adds what a request of a subagent used. Returns its call and the sum; none for a session that is nobody's work.
    pub(super) fn add_tokens(&mut self, id: &str, tokens: u64) -> Option<(CallId, u64)> {
        let session = self.sessions.iter_mut().find(|session| session.id == id && session.has_parent)?;
        session.tokens = session.tokens.saturating_add(tokens);
        Some((session.call.clone()?, session.tokens))
    }

    /// A call runs a session of its own.
    pub(super) fn note_child(&mut self, session: &str, call: &str) {
        let call = self.reply.calls.id(call);
        self.update_session(session, |known| {
            known.has_parent = true;
            known.call = call;
        });
    }

    pub(super) fn note_message(&mut self, id: &str, session: &str, is_assistant: bool) {
        if let Some(known) = self.messages.iter_mut().find(|known| known.id == id) {
            known.is_assistant = is_assistant;
        } else if !id.is_empty() {
            forget_oldest(&mut self.messages);
            let (id, session) = (id.to_owned(), session.to_owned());
            self.messages.push(BusMessage { id, session, is_assistant, finish: String::new(), current: None });
        }
    }

    pub(super) fn note_finish(&mut self, id: &str, word: &str) {
        if let Some(known) = self.messages.iter_mut().find(|known| known.id == id && !word.is_empty()) {
            word.clone_into(&mut known.finish);
        }
    }

    /// Remembers a message of the assistant's that was never told.
    pub(super) fn note_part_of(&mut self, message: &str, session: &str) {
        if self.messages.iter().all(|known| known.id != message) {
            self.note_message(message, session, true);
        }
    }

    /// Returns whether a part is the assistant's. Of an unknown message only parts that take time are.
    pub(super) fn is_assistant(&self, message: &str, part: &Json) -> bool {
        if let Some(known) = self.messages.iter().find(|known| known.id == message) {
            return known.is_assistant;
        }
        let kind = part.get("type").and_then(Json::as_str).unwrap_or_default();
        kind != "text" || part.pointer("/time/start").is_some()
    }

    /// Returns whether an assistant has said anything.
    pub(super) fn has_answer(&self) -> bool {
        self.messages.iter().any(|message| message.is_assistant)
    }

    /// Returns whether the newest answer came to an end of its own.
    pub(super) fn is_finished(&self) -> bool {
        let is_root = |message: &&BusMessage| message.is_assistant && self.is_root(&message.session);
        self.messages.iter().rfind(is_root).is_some_and(|message| !message.finish.is_empty())
    }

    pub(super) fn early_reason(&self) -> Option<FinishReason> {
        let last = self.messages.iter().rfind(|message| message.is_assistant)?;
        let reason = WireFinishReason::parse(&last.finish).to_finish_reason();
        matches!(reason, FinishReason::Length | FinishReason::Refused).then_some(reason)
    }

    /// Begins a step of a message: what it says next is another one for the person.
    pub(super) fn start_step(&mut self, message: &str, out: &mut Vec<ReplyEvent>) {
        let Some(known) = self.messages.iter_mut().find(|known| known.id == message) else { return };
        if let Some(last) = known.current.take() {
            self.reply.close(last, None, out);
        }
    }

    fn current(&mut self, message: &str, out: &mut Vec<ReplyEvent>) -> Option<MessageHandle> {
        let known = self.messages.iter().position(|known| known.id == message)?;
        let (open, session) = self.messages.get(known).map(|known| (known.current, known.session.clone()))?;
        if let Some(open) = open.filter(|open| self.reply.is_open(*open)) {
            return Some(open);
        }
        let parent = self.sessions.iter().find(|known| known.id == session).and_then(|known| known.call.clone());
        let handle = self.reply.begin(parent, out);
        self.messages.get_mut(known)?.current = Some(handle);
        Some(handle)
    }

    /// Returns the index of a part, which begins with what a person sees as its message.
    fn part(&mut self, message: &str, id: &str, is_text: bool, out: &mut Vec<ReplyEvent>) -> Option<usize> {
        if let Some(at) = self.parts.iter().position(|part| part.id == id) {
            return Some(at);
        }
        let mut handle = self.current(message, out)?;
        if self.reply.has_spoken(handle) {
            self.start_step(message, out);
            handle = self.current(message, out)?;
        }
        forget_oldest(&mut self.parts);
        self.parts.push(BusPart { id: id.to_owned(), message: handle, is_text, text: String::new() });
        Some(self.parts.len() - 1)
    }

    /// Takes the whole text of a part.
    pub(super) fn set_text(&mut self, message: &str, id: &str, is_text: bool, whole: &str, out: &mut Vec<ReplyEvent>) {
        let Some(at) = self.part(message, id, is_text, out) else { return };
        let Some(part) = self.parts.get_mut(at) else { return };
        if part.text == whole {
            return;
        }
        whole.clone_into(&mut part.text);
        if part.is_text {
            self.reply.set_text(part.message, whole, out);
        } else {
            self.reply.set_reasoning(part.message, whole, out);
        }
    }

    pub(super) fn push_delta(
        &mut self,
        message: &str,
        id: &str,
        field: &str,
        delta: &str,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        if field != "text" && field != "reasoning" {
            return;
        }
        let is_known = self.messages.iter().any(|known| known.id == message && known.is_assistant);
        if !is_known {
            return;
        }
        let Some(at) = self.part(message, id, field == "text", out) else { return };
        let Some(part) = self.parts.get_mut(at) else { return };
        if !marked {
            part.text.push_str(delta);
        }
        if part.is_text {
            self.reply.push_text(part.message, delta.into(), marked, out);
        } else {
            self.reply.push_reasoning(part.message, delta.into(), marked, out);
        }
    }

    pub(super) fn remove_part(&mut self, id: &str, out: &mut Vec<ReplyEvent>) {
        if let Some(at) = self.parts.iter().position(|part| part.id == id) {
            let part = self.parts.remove(at);
            if part.is_text && !self.reply.has_calls(part.message) {
                self.reply.discard(part.message, out);
            }
        }
    }

    /// Returns whether a part comes for the first time.
    pub(super) fn is_new_part(&mut self, id: &str) -> bool {
        let is_new = !self.counted_parts.iter().any(|known| known == id);
        if is_new {
            forget_oldest(&mut self.counted_parts);
            self.counted_parts.push(id.to_owned());
        }
        is_new
    }

    /// Starts a call unless it has been.
    pub(super) fn start_call(
        &mut self,
        message: &str,
        key: &str,
        wire: &str,
        name: Option<&str>,
        ran_by: ExecutedBy,
        out: &mut Vec<ReplyEvent>,
    ) {
        if self.reply.calls.is_known(key) {
            return;
        }
        if let Some(handle) = self.current(message, out) {
            self.reply.start_call_as(handle, key, wire, name, ran_by, out);
        }
    }
}

fn forget_oldest<T>(list: &mut Vec<T>) {
    if list.len() >= MAX_KNOWN {
        list.drain(..MAX_KNOWN / 4);
    }
}
