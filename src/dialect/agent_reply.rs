//! Writes what an agent says in a run: its messages and its calls.
//!
//! Servers name texts, thoughts and calls apart; a person sees messages, each with its reasoning first, then its text,
//! then its calls. A message is started with the first thing that it says, so an empty one is never seen. Repetitions
//! and reasoning between tags are handled as in every dialect. Which piece belongs to which message is the dialect's to
//! know.

use std::borrow::Cow;

use super::agent_calls::{AgentCallStart, AgentCalls};
use super::finish_reason::is_worth_showing;
use super::text_assembler::{ChannelAssembler, SegmentKind, TextAssembler};
use crate::event::{
    Annotation, CallId, ExecutedBy, FinishReason, Json, LastContent, MessageId, NoticeCode, NoticeLevel, ReplyEvent,
    ReplyTarget, Role, TextKind, Usage, UsageScope,
};

/// Open messages; a stream that opens more has the oldest closed.
const MAX_OPEN_MESSAGES: usize = 64;
/// Bytes of JSON kept in one annotation.
const MAX_ANNOTATION_BYTES: usize = 64 * 1024;

/// Names a message while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MessageHandle(u64);

#[derive(Debug)]
struct AgentMessage {
    handle: MessageHandle,
    /// None until it says something.
    id: Option<MessageId>,
    /// The call whose subagent speaks.
    parent: Option<CallId>,
    has_text: bool,
    has_calls: bool,
    assembler: TextAssembler,
    reasoning: ChannelAssembler,
}

/// The messages and calls of a run.
#[derive(Debug, Default)]
pub(super) struct AgentReply {
    open: Vec<AgentMessage>,
    handle_count: u64,
    message_count: u64,
    /// What the next prompt must name to belong to the same conversation.
    follow_up: Option<Json>,
    pub(super) calls: AgentCalls,
}

impl AgentReply {
    /// Begins a message; `parent` is the call whose subagent speaks.
    pub(super) fn begin(&mut self, parent: Option<CallId>, out: &mut Vec<ReplyEvent>) -> MessageHandle {
        if self.open.len() >= MAX_OPEN_MESSAGES {
            self.close_at(0, None, out);
        }
        self.handle_count += 1;
        let handle = MessageHandle(self.handle_count);
        self.open.push(AgentMessage {
            handle,
            id: None,
            parent,
            has_text: false,
            has_calls: false,
            assembler: TextAssembler::default(),
            reasoning: ChannelAssembler::default(),
        });
        handle
    }

    /// Keeps with every message what the next prompt must name to belong to the same conversation.
    pub(super) fn set_follow_up(&mut self, names: Json) {
        self.follow_up = Some(names);
    }

    pub(super) fn is_open(&self, handle: MessageHandle) -> bool {
        self.find(handle).is_some()
    }

    /// Returns whether the message has text or calls, so that reasoning or another text would be another message.
    pub(super) fn has_spoken(&self, handle: MessageHandle) -> bool {
        self.message(handle).is_some_and(|message| message.has_text || message.has_calls)
    }

    pub(super) fn has_calls(&self, handle: MessageHandle) -> bool {
        self.message(handle).is_some_and(|message| message.has_calls)
    }

    /// Returns whether any message has said something.
    pub(super) fn has_said_any(&self) -> bool {
        self.message_count > 0
    }

    /// Appends a piece of text.
    pub(super) fn push_text(
        &mut self,
        handle: MessageHandle,
        piece: Cow<'_, str>,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        self.assemble(handle, out, |assembler, split| assembler.push(piece, false, marked, split));
    }

    /// Takes the whole text so far: only what is missing is added, and a text that differs replaces what was streamed.
    pub(super) fn set_text(&mut self, handle: MessageHandle, whole: &str, out: &mut Vec<ReplyEvent>) {
        self.assemble(handle, out, |assembler, split| {
            if !assembler.reconcile(whole, split) {
                assembler.set_correction(whole);
            }
        });
    }

    /// Replaces the text at once. What was shown of another text is taken back.
    pub(super) fn replace_text(&mut self, handle: MessageHandle, whole: &str, out: &mut Vec<ReplyEvent>) {
        let mut is_continued = true;
        self.assemble(handle, out, |assembler, split| is_continued = assembler.reconcile(whole, split));
        if is_continued {
            return;
        }
        let Some(message) = self.message_mut(handle) else { return };
        message.assembler = TextAssembler::default();
        message.has_text = false;
        if let Some(id) = message.id.take() {
            out.push(message_finished(id, FinishReason::End, Some(String::new())));
        }
        self.assemble(handle, out, |assembler, split| assembler.push_new(whole, split));
    }

    /// Appends a piece of reasoning.
    pub(super) fn push_reasoning(
        &mut self,
        handle: MessageHandle,
        piece: Cow<'_, str>,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        self.emit_reasoning(handle, out, |reasoning| reasoning.push(piece, marked).into_owned());
    }

    /// Takes the whole reasoning so far: only what is missing is added.
    pub(super) fn set_reasoning(&mut self, handle: MessageHandle, whole: &str, out: &mut Vec<ReplyEvent>) {
        self.emit_reasoning(handle, out, |reasoning| reasoning.reconcile(whole.into(), true, false));
    }

    /// Starts a call of a message, under an id of the stream.
    pub(super) fn start_call(
        &mut self,
        handle: MessageHandle,
        wire_id: &str,
        name: Option<&str>,
        ran_by: ExecutedBy,
        out: &mut Vec<ReplyEvent>,
    ) {
        self.start_call_as(handle, wire_id, wire_id, name, ran_by, out);
    }

    /// The same for a call whose id in the stream holds more than `id`, by which people and programs know it.
    pub(super) fn start_call_as(
        &mut self,
        handle: MessageHandle,
        wire_id: &str,
        id: &str,
        name: Option<&str>,
        ran_by: ExecutedBy,
        out: &mut Vec<ReplyEvent>,
    ) {
        let Some(message) = self.ensure_started(handle, out) else { return };
        let Some(owner) = self.message_mut(handle) else { return };
        owner.has_calls = true;
        let parent = owner.parent.clone();
        self.calls.start_as(AgentCallStart { wire_id, name, message, parent, ran_by }, id, out);
    }

    /// Closes a message. Its handle names nothing any more.
    pub(super) fn close(
        &mut self,
        handle: MessageHandle,
        finish_reason: Option<FinishReason>,
        out: &mut Vec<ReplyEvent>,
    ) {
        if let Some(at) = self.find(handle) {
            self.close_at(at, finish_reason, out);
        }
    }

    /// Takes a message back, with its calls: the server began it anew.
    pub(super) fn discard(&mut self, handle: MessageHandle, out: &mut Vec<ReplyEvent>) {
        let Some(at) = self.find(handle) else { return };
        let Some(id) = self.open.remove(at).id else { return };
        for call in self.calls.discard(&id, out) {
            let (on, annotation) = (ReplyTarget::Call(call), Annotation::Foreign(true));
            out.push(ReplyEvent::Annotation { on, annotation });
        }
        out.push(message_finished(id, FinishReason::End, Some(String::new())));
    }

    /// Closes all open messages for this reason, which is explained where no message is left to have it.
    pub(super) fn close_all(&mut self, finish_reason: Option<FinishReason>, out: &mut Vec<ReplyEvent>) {
        let mut is_told = false;
        while let Some(last) = self.open.len().checked_sub(1) {
            // Only the newest message was cut off.
            let reason = finish_reason.filter(|reason| !is_told || !is_worth_showing(*reason));
            is_told |= self.open.get(last).is_some_and(|message| message.id.is_some());
            self.close_at(last, reason, out);
        }
        if let Some((code, text)) = finish_reason.and_then(|reason| reason.explanation(self.last_content()))
            && !is_told
        {
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code, text: text.into() });
        }
    }

    fn last_content(&self) -> LastContent {
        if self.has_said_any() { LastContent::Text } else { LastContent::Nothing }
    }

    fn close_at(&mut self, at: usize, finish_reason: Option<FinishReason>, out: &mut Vec<ReplyEvent>) {
        let Some(handle) = self.open.get(at).map(|message| message.handle) else { return };
        self.emit_reasoning(handle, out, ChannelAssembler::flush);
        self.assemble(handle, out, TextAssembler::flush);
        let Some(message) = self.find(handle).map(|at| self.open.remove(at)) else { return };
        let Some(id) = message.id else { return };
        let own = if message.has_calls { FinishReason::ToolCalls } else { FinishReason::End };
        let finish_reason = finish_reason.unwrap_or(own);
        let (full_text, provider_metadata) = (message.assembler.corrected_text(), self.follow_up.clone());
        out.push(ReplyEvent::MessageFinished { message: id, finish_reason, full_text, provider_metadata });
    }

    fn emit_reasoning(
        &mut self,
        handle: MessageHandle,
        out: &mut Vec<ReplyEvent>,
        how: impl FnOnce(&mut ChannelAssembler) -> String,
    ) {
        let Some(message) = self.message_mut(handle) else { return };
        let piece = how(&mut message.reasoning);
        let text = message.assembler.push_reasoning(&piece);
        if !text.is_empty()
            && let Some(message) = self.ensure_started(handle, out)
        {
            out.push(ReplyEvent::ReasoningDelta { message, text });
        }
    }

    fn assemble(
        &mut self,
        handle: MessageHandle,
        out: &mut Vec<ReplyEvent>,
        how: impl FnOnce(&mut TextAssembler, &mut Vec<(SegmentKind, String)>),
    ) {
        let mut split = Vec::new();
        match self.message_mut(handle) {
            Some(message) => how(&mut message.assembler, &mut split),
            None => return,
        }
        for (kind, text) in split {
            let Some(message) = self.ensure_started(handle, out) else { return };
            match kind {
                SegmentKind::Text => {
                    if let Some(message) = self.message_mut(handle) {
                        message.has_text = true;
                    }
                    out.push(ReplyEvent::TextDelta { message, text, kind: TextKind::Text });
                }
                SegmentKind::Reasoning => out.push(ReplyEvent::ReasoningDelta { message, text }),
                SegmentKind::LateReasoning if self.has_calls(handle) => {}
                // The text emitted so far was reasoning; the answer is another message.
                SegmentKind::LateReasoning => {
                    if !text.is_empty() {
                        out.push(ReplyEvent::ReasoningDelta { message: message.clone(), text });
                    }
                    out.push(message_finished(message, FinishReason::End, Some(String::new())));
                    if let Some(message) = self.message_mut(handle) {
                        message.id = None;
                        message.has_text = false;
                    }
                }
            }
        }
    }

    /// Returns the id of an open message, which is started where that has not been done.
    fn ensure_started(&mut self, handle: MessageHandle, out: &mut Vec<ReplyEvent>) -> Option<MessageId> {
        let next = self.message_count + 1;
        let message = self.message_mut(handle)?;
        if let Some(id) = &message.id {
            return Some(id.clone());
        }
        let id = MessageId::new(format!("m{next}"));
        message.id = Some(id.clone());
        out.push(ReplyEvent::MessageStarted {
            message: id.clone(),
            role: Role::Assistant,
            parent: message.parent.clone(),
        });
        self.message_count = next;
        Some(id)
    }

    fn find(&self, handle: MessageHandle) -> Option<usize> {
        self.open.iter().rposition(|message| message.handle == handle)
    }

    fn message(&self, handle: MessageHandle) -> Option<&AgentMessage> {
        self.find(handle).and_then(|at| self.open.get(at))
    }

    fn message_mut(&mut self, handle: MessageHandle) -> Option<&mut AgentMessage> {
        self.find(handle).and_then(|at| self.open.get_mut(at))
    }
}

fn message_finished(message: MessageId, finish_reason: FinishReason, full_text: Option<String>) -> ReplyEvent {
    ReplyEvent::MessageFinished { message, finish_reason, full_text, provider_metadata: None }
}

/// Adds an annotation of the whole reply.
pub(super) fn annotate(annotation: Annotation, out: &mut Vec<ReplyEvent>) {
    out.push(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation });
}

/// Returns a value for an annotation; of one that is too large, only the size.
pub(super) fn capped(value: &Json) -> Json {
    let size = value.to_string().len();
    if size <= MAX_ANNOTATION_BYTES { value.clone() } else { serde_json::json!({ "left_out_bytes": size }) }
}

/// Reports that the agent waits for its person: these are the requests, and what each is about.
pub(super) fn ask_person(requests: &[Json], about: &[String], out: &mut Vec<ReplyEvent>) {
    let about: Vec<String> = about.iter().map(|text| super::error::to_single_line(text)).collect();
    let about = if about.is_empty() { "no reason given".to_owned() } else { about.join("; ") };
    let text = format!("the agent needs an answer before it continues: {about}");
    out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::InputRequired, text });
    annotate(Annotation::Interrupt { interrupts: capped(&requests.into()) }, out);
}

/// Reports the usage of the whole run, where there is any.
pub(super) fn report_usage(usage: Option<Usage>, out: &mut Vec<ReplyEvent>) {
    if let Some(usage) = usage {
        out.push(ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
    }
}

/// Returns content as text: that of its parts, where it is a list of parts with text, or a result.
pub(super) fn content_text(content: &Json) -> String {
    let text = |part: &'_ Json| part.get("text").and_then(Json::as_str).map(str::to_owned);
    let parts: Option<Vec<String>> = content.as_array().and_then(|parts| parts.iter().map(text).collect());
    parts.map_or_else(|| result_text(content), |parts| parts.join("\n"))
}

/// Returns a result as text: a string as it is, nothing for null, other values as JSON.
pub(super) fn result_text(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        value => value.to_string(),
    }
}
