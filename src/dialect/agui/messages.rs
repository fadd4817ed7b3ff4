//! The messages of a run. The format has separate messages for text and for reasoning, and none for calls without text;
//! here they become the messages that a person sees: the agent's reasoning, text and calls up to the next result.
//!
//! A message without an id of its own (reasoning, calls without text) takes the id of the text or call that follows it.
//! Every message that is started is finished once.

use std::borrow::Cow;

use super::super::text_assembler::{ChannelAssembler, SegmentKind, TextAssembler};
use crate::event::{CallId, FinishReason, Json, MessageId, ReplyEvent, Role, TextKind};

/// Messages remembered; a stream may be watched for days.
const MAX_MESSAGES: usize = 4096;
/// Bytes of text remembered, to recognize messages in a snapshot.
const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;

/// The author of a message: the agent or one of its subagents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Speaker {
    pub(super) run_id: Option<String>,
    /// The call that represents the subagent.
    pub(super) parent: Option<CallId>,
}

#[derive(Debug)]
pub(super) struct AgUiMessage {
    /// Its id in the stream, once known.
    wire_id: Option<String>,
    id: MessageId,
    speaker: Speaker,
    open: bool,
    /// An end event will come, since a start event came.
    expects_end: bool,
    /// Streamed in chunks, which have no end event.
    chunked: bool,
    /// An echo of the user's message, not emitted.
    hidden: bool,
    /// Has the id of a finished message and so far repeats its text: not emitted either.
    again: Option<Again>,
    has_calls: bool,
    pub(super) text: String,
    has_text: bool,
    /// The id of its reasoning.
    reasoning_id: Option<String>,
    assembler: TextAssembler,
    reasoning: ChannelAssembler,
    pub(super) full_text: Option<String>,
    /// Values that must go back with the next request.
    encrypted_values: Vec<Json>,
}

/// A message that may repeat a finished one.
#[derive(Debug)]
struct Again {
    of: MessageId,
    role: Role,
    text: String,
}

#[derive(Debug, Default)]
pub(super) struct AgUiMessages {
    list: Vec<AgUiMessage>,
    message_count: u64,
    /// All messages before this index are closed.
    open_from: usize,
    kept_bytes: usize,
    /// A message is streaming in chunks.
    has_open_chunks: bool,
}

impl AgUiMessages {
    pub(super) fn get(&mut self, at: usize) -> Option<&mut AgUiMessage> {
        self.list.get_mut(at)
    }

    pub(super) fn id(&self, at: usize) -> Option<MessageId> {
        self.list.get(at).map(|message| message.id.clone())
    }

    pub(super) fn is_open(&self, at: usize) -> bool {
        self.list.get(at).is_some_and(|message| message.open)
    }

    pub(super) fn find_by_wire_id(&self, wire: &str) -> Option<usize> {
        self.list.iter().rposition(|message| message.wire_id.as_deref() == Some(wire))
    }

    /// Finds a message by its whole text: some servers change the ids of messages when they list them.
    pub(super) fn find_by_text(&self, text: &str) -> Option<usize> {
        self.list.iter().rposition(|message| !text.is_empty() && !message.hidden && message.text == text)
    }

    /// Returns the newest message of a speaker.
    pub(super) fn newest(&self, speaker: &Speaker) -> Option<usize> {
        self.list.iter().rposition(|message| message.speaker == *speaker && !message.hidden)
    }

    pub(super) fn has_open_reasoning(&self) -> bool {
        self.list.iter().any(|message| message.reasoning_id.is_some())
    }

    /// Starts a text message.
    pub(super) fn start(
        &mut self,
        wire: Option<&str>,
        role: Role,
        hidden: bool,
        speaker: &Speaker,
        out: &mut Vec<ReplyEvent>,
    ) {
        let at = if hidden { self.add_hidden(wire, speaker) } else { self.open_for_text(wire, role, speaker, out) };
        if let Some(message) = self.list.get_mut(at) {
            message.expects_end = true;
        }
    }

    /// Returns the open message for a piece of text, starting one where needed.
    pub(super) fn open_for_text(
        &mut self,
        wire: Option<&str>,
        role: Role,
        speaker: &Speaker,
        out: &mut Vec<ReplyEvent>,
    ) -> usize {
        let known = match wire {
            Some(wire) => self.find_by_wire_id(wire).filter(|at| self.is_open(*at)),
            None => self.list.iter().rposition(|message| message.open && message.speaker == *speaker),
        };
        if let Some(at) = known {
            return at;
        }
        if let Some(of) = wire.and_then(|wire| self.ended(wire, speaker)) {
            let at = self.add_hidden(wire, speaker);
            if let Some(message) = self.list.get_mut(at) {
                message.again = Some(Again { of, role, text: String::new() });
            }
            return at;
        }
        let nameless = |message: &AgUiMessage| message.open && message.wire_id.is_none() && message.speaker == *speaker;
        if let Some(at) = self.list.iter().rposition(nameless) {
            match self.list.get_mut(at) {
                Some(message) if !message.has_calls && !message.has_text && role == Role::Assistant => {
                    message.wire_id = wire.map(str::to_owned);
                    return at;
                }
                _ => self.close(at, None, out),
            }
        }
        self.add(wire, role, speaker, out)
    }

    /// Appends a piece of a message's text.
    pub(super) fn push_text(&mut self, at: usize, piece: Cow<'_, str>, marked: bool, out: &mut Vec<ReplyEvent>) {
        if !marked && self.says_again(at, &piece) {
            return;
        }
        self.tell_after_all(at, out);
        self.assemble(at, out, |text_assembler, split| text_assembler.push(piece, false, marked, split));
    }

    /// Returns the emitted, finished message with this id, if it had text.
    fn ended(&self, wire: &str, speaker: &Speaker) -> Option<MessageId> {
        let finished = self.list.iter().rfind(|message| message.wire_id.as_deref() == Some(wire) && !message.hidden)?;
        (!finished.open && !finished.text.is_empty() && finished.speaker == *speaker).then(|| finished.id.clone())
    }

    /// Takes a piece of a message that so far repeats a finished one. Returns whether it still does.
    fn says_again(&mut self, at: usize, piece: &str) -> bool {
        let Some(again) = self.list.get(at).and_then(|message| message.again.as_ref()) else { return false };
        let finished = self.list.iter().rfind(|message| message.id == again.of);
        let same = finished
            .and_then(|finished| finished.text.get(again.text.len()..))
            .is_some_and(|rest| rest.starts_with(piece));
        if same && let Some(again) = self.list.get_mut(at).and_then(|message| message.again.as_mut()) {
            again.text.push_str(piece);
        }
        same
    }

    /// Emits a message that turned out to differ from the finished one with its id.
    fn tell_after_all(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        let Some(message) = self.list.get_mut(at) else { return };
        let Some(again) = message.again.take() else { return };
        self.message_count += 1;
        message.hidden = false;
        message.id = MessageId::new(format!("m{}", self.message_count));
        let (id, parent) = (message.id.clone(), message.speaker.parent.clone());
        out.push(ReplyEvent::MessageStarted { message: id, role: again.role, parent });
        self.assemble(at, out, |text_assembler, split| text_assembler.push(again.text.into(), false, false, split));
    }

    /// Returns whether a repeated message ends short of the text of the finished one, but not empty.
    fn is_shorter(&self, at: usize) -> bool {
        let Some(again) = self.list.get(at).and_then(|message| message.again.as_ref()) else { return false };
        let finished = self.list.iter().rfind(|message| message.id == again.of);
        !again.text.is_empty() && finished.is_some_and(|finished| finished.text.len() > again.text.len())
    }

    /// Appends text of a message that only a snapshot has.
    pub(super) fn add_text(&mut self, at: usize, text: &str, out: &mut Vec<ReplyEvent>) {
        self.assemble(at, out, |text_assembler, split| text_assembler.push_new(text, split));
    }

    fn assemble(
        &mut self,
        at: usize,
        out: &mut Vec<ReplyEvent>,
        how: impl FnOnce(&mut TextAssembler, &mut Vec<(SegmentKind, String)>),
    ) {
        let Some(message) = self.list.get_mut(at).filter(|message| message.open && !message.hidden) else { return };
        let (before, mut split) = (message.assembler.raw_text().len(), Vec::new());
        how(&mut message.assembler, &mut split);
        let new = message.assembler.raw_text().get(before..).unwrap_or_default();
        self.kept_bytes = self.kept_bytes.saturating_add(new.len());
        if self.kept_bytes <= MAX_TEXT_BYTES {
            message.text.push_str(new);
        }
        message.has_text |= !split.is_empty();
        for (kind, text) in split {
            let id = message.id.clone();
            match kind {
                SegmentKind::Text => out.push(ReplyEvent::TextDelta { message: id, text, kind: TextKind::Text }),
                SegmentKind::Reasoning => out.push(ReplyEvent::ReasoningDelta { message: id, text }),
                SegmentKind::LateReasoning if message.has_calls => {}
                // The text emitted so far was reasoning; the answer is another message.
                SegmentKind::LateReasoning => {
                    if !text.is_empty() {
                        out.push(ReplyEvent::ReasoningDelta { message: id.clone(), text });
                    }
                    let (finish_reason, full) = (FinishReason::End, Some(String::new()));
                    out.push(ReplyEvent::MessageFinished {
                        message: id,
                        finish_reason,
                        full_text: full,
                        provider_metadata: None,
                    });
                    self.message_count += 1;
                    message.id = MessageId::new(format!("m{}", self.message_count));
                    let (id, parent) = (message.id.clone(), message.speaker.parent.clone());
                    out.push(ReplyEvent::MessageStarted { message: id, role: Role::Assistant, parent });
                }
            }
        }
    }

    /// Takes a piece of reasoning, or just its start. It belongs to the text that follows.
    pub(super) fn push_reasoning(
        &mut self,
        wire: Option<&str>,
        piece: Cow<'_, str>,
        marked: bool,
        speaker: &Speaker,
        out: &mut Vec<ReplyEvent>,
    ) {
        let newest = self.list.iter().rposition(|message| message.open && message.speaker == *speaker);
        let at = match newest.and_then(|at| Some((at, self.list.get(at)?))) {
            // Another block of reasoning is a paragraph of its own.
            Some((at, message))
                if message.wire_id.is_none()
                    && wire.is_some()
                    && message.reasoning_id.as_deref().is_some_and(|id| Some(id) != wire) =>
            {
                self.close(at, None, out);
                self.add(None, Role::Assistant, speaker, out)
            }
            Some((at, message)) if !message.hidden => at,
            _ => self.add(None, Role::Assistant, speaker, out),
        };
        let Some(message) = self.list.get_mut(at) else { return };
        message.reasoning_id = Some(wire.or(message.reasoning_id.as_deref()).unwrap_or_default().to_owned());
        let piece = message.assembler.push_reasoning(&message.reasoning.push(piece, marked));
        if !piece.is_empty() {
            out.push(ReplyEvent::ReasoningDelta { message: message.id.clone(), text: piece });
        }
    }

    /// Returns the message that a call belongs to.
    pub(super) fn open_for_call(
        &mut self,
        parent: Option<&str>,
        speaker: &Speaker,
        out: &mut Vec<ReplyEvent>,
    ) -> MessageId {
        let is_named = |message: &AgUiMessage| message.wire_id.as_deref() == parent && !message.hidden;
        let named = parent.and_then(|_| self.list.iter().rposition(is_named));
        let at = named.or_else(|| {
            let at = self.newest(speaker)?;
            let message = self.list.get(at)?;
            // After a finished message, only a call that names no parent belongs to it.
            let fits = if parent.is_some() { message.open && message.wire_id.is_none() } else { message.open };
            fits.then_some(at)
        });
        let at = at.unwrap_or_else(|| self.add(parent, Role::Assistant, speaker, out));
        let Some(message) = self.list.get_mut(at) else { return "m1".into() };
        if message.open && message.wire_id.is_none() {
            message.wire_id = parent.map(str::to_owned);
        }
        message.has_calls = true;
        message.id.clone()
    }

    /// Handles the end event of a message.
    pub(super) fn mark_ended(&mut self, wire: Option<&str>, out: &mut Vec<ReplyEvent>) {
        let at = match wire {
            Some(wire) => self.find_by_wire_id(wire),
            None => self.list.iter().rposition(|message| message.open && message.expects_end),
        };
        if let Some(at) = at {
            self.close(at, None, out);
        }
    }

    /// Ends a round at a result: the next text is another message.
    pub(super) fn end_round(&mut self, speaker: &Speaker, out: &mut Vec<ReplyEvent>) {
        self.close_where(|message| !message.expects_end && message.speaker == *speaker, None, out);
    }

    /// Ends chunked messages, since something else begins.
    pub(super) fn close_chunks(&mut self, keep: Option<usize>, out: &mut Vec<ReplyEvent>) {
        if !std::mem::replace(&mut self.has_open_chunks, keep.is_some()) {
            return;
        }
        let keep = keep.and_then(|at| self.id(at));
        self.close_where(|message| message.chunked && Some(&message.id) != keep.as_ref(), None, out);
    }

    pub(super) fn mark_chunked(&mut self, at: usize) {
        if let Some(message) = self.list.get_mut(at) {
            message.chunked |= !message.expects_end;
            self.has_open_chunks |= message.chunked;
        }
    }

    /// Returns the message that a chunk without an id continues.
    pub(super) fn chunked_message(&self, speaker: &Speaker) -> Option<usize> {
        self.list.iter().rposition(|message| message.open && message.chunked && message.speaker == *speaker)
    }

    pub(super) fn close_speaker(&mut self, speaker: &Speaker, out: &mut Vec<ReplyEvent>) {
        self.close_where(|message| message.speaker == *speaker, None, out);
    }

    /// Keeps a value that the agent needs back.
    pub(super) fn keep_encrypted(&mut self, value: Json) {
        if let Some(message) = self.list.iter_mut().rev().find(|message| message.open && !message.hidden)
            && message.encrypted_values.len() < 64
        {
            message.encrypted_values.push(value);
        }
    }

    /// Closes all open messages; `stop` outranks their own finish reasons. Returns whether any was open.
    pub(super) fn close_all(&mut self, finish_reason: Option<FinishReason>, out: &mut Vec<ReplyEvent>) -> bool {
        let has_open = self.list.iter().any(|message| message.open && !message.hidden);
        self.close_where(|_| true, finish_reason, out);
        has_open
    }

    fn close_where(
        &mut self,
        is_selected: impl Fn(&AgUiMessage) -> bool,
        finish_reason: Option<FinishReason>,
        out: &mut Vec<ReplyEvent>,
    ) {
        while self.list.get(self.open_from).is_some_and(|message| !message.open) {
            self.open_from += 1;
        }
        for at in self.open_from..self.list.len() {
            if self.list.get(at).is_some_and(|message| message.open && is_selected(message)) {
                self.close(at, finish_reason, out);
            }
        }
    }

    pub(super) fn close(&mut self, at: usize, finish_reason: Option<FinishReason>, out: &mut Vec<ReplyEvent>) {
        // The interrupted part of a repetition was already emitted.
        if finish_reason.is_none() && self.is_shorter(at) {
            self.tell_after_all(at, out);
        }
        let settle = |message: &mut AgUiMessage| message.assembler.push_reasoning(&message.reasoning.flush());
        let rest = self.list.get_mut(at).filter(|message| message.open).map(settle);
        self.assemble(at, out, TextAssembler::flush);
        let Some(message) = self.list.get_mut(at) else { return };
        if message.again.take().is_some() {
            // Its id belongs to the message that was emitted.
            message.wire_id = None;
        }
        if !std::mem::replace(&mut message.open, false) || message.hidden {
            return;
        }
        message.assembler = TextAssembler::default();
        if let Some(text) = rest.filter(|rest| !rest.is_empty()) {
            out.push(ReplyEvent::ReasoningDelta { message: message.id.clone(), text });
        }
        let own = if message.has_calls { FinishReason::ToolCalls } else { FinishReason::End };
        let encrypted = std::mem::take(&mut message.encrypted_values);
        out.push(ReplyEvent::MessageFinished {
            message: message.id.clone(),
            finish_reason: finish_reason.unwrap_or(own),
            full_text: message.full_text.take(),
            provider_metadata: (!encrypted.is_empty()).then(|| serde_json::json!({ "encrypted_values": encrypted })),
        });
    }

    fn add(&mut self, wire: Option<&str>, role: Role, speaker: &Speaker, out: &mut Vec<ReplyEvent>) -> usize {
        self.message_count += 1;
        let id = MessageId::new(format!("m{}", self.message_count));
        out.push(ReplyEvent::MessageStarted { message: id.clone(), role, parent: speaker.parent.clone() });
        self.push(id, wire, speaker, false)
    }

    fn add_hidden(&mut self, wire: Option<&str>, speaker: &Speaker) -> usize {
        self.push("hidden".into(), wire, speaker, true)
    }

    fn push(&mut self, id: MessageId, wire: Option<&str>, speaker: &Speaker, hidden: bool) -> usize {
        // Only finished messages are forgotten, so none stays open; the hub ends a stream with too many open ones.
        if self.list.len() >= MAX_MESSAGES {
            let mut left = MAX_MESSAGES / 4;
            let kept = &mut self.kept_bytes;
            self.list.retain(|message| {
                let forget = left > 0 && !message.open;
                if forget {
                    left -= 1;
                    *kept = kept.saturating_sub(message.text.len());
                }
                !forget
            });
            self.open_from = 0;
        }
        self.list.push(AgUiMessage {
            wire_id: wire.map(str::to_owned),
            id,
            speaker: speaker.clone(),
            open: true,
            expects_end: false,
            chunked: false,
            hidden,
            again: None,
            has_calls: false,
            text: String::new(),
            has_text: false,
            reasoning_id: None,
            assembler: TextAssembler::default(),
            reasoning: ChannelAssembler::default(),
            full_text: None,
            encrypted_values: Vec::new(),
        });
        self.list.len() - 1
    }
}
