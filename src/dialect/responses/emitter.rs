//! Emits the events of an answer in order: assigns items to messages, and emits every piece of them once.
//!
//! A message holds one text and the calls next to it. The next text, and whatever follows a server call, is the next
//! message; but calls that wait for the client stay in the message that ends the answer. Where texts stream at once, a
//! message whose text goes on is set aside until it does.

mod calls;

use std::borrow::Cow;

use super::super::OpenCall;
use super::super::reasoning_dedup::{ReasoningDedup, ReasoningSource};
use super::super::surrogate::SurrogateJoiner;
use super::super::think_tags::SegmentKind as Part;
use super::items::{ResponsesItem, ResponsesItemKind, ResponsesItems, ResponsesProviderMetadata, TextChannel};
use super::text_at;
use crate::event::{Annotation, FinishReason, Json, MessageId, OutputStream, ReplyEvent, ReplyTarget, Role, TextKind};

/// Citations emitted for one answer.
const MAX_CITATIONS: usize = 512;
/// Messages that are set aside.
const MAX_SET_ASIDE: usize = 64;

#[derive(Debug)]
struct ResponsesOpenMessage {
    id: MessageId,
    /// Its items, in the order they were emitted.
    items: Vec<usize>,
    texts: usize,
    has_client_calls: bool,
    has_server_calls: bool,
    is_refusal: bool,
    /// A server call has ended: what follows is another message.
    is_over: bool,
    /// The last piece emitted was reasoning.
    ends_with_reasoning: bool,
}

#[derive(Debug, Default)]
pub(super) struct ResponsesEmitter {
    pub(super) items: ResponsesItems,
    pub(super) provider_metadata: ResponsesProviderMetadata,
    reasoning_dedup: ReasoningDedup,
    open: Option<ResponsesOpenMessage>,
    /// Messages whose text goes on after that of the open one.
    set_aside: Vec<ResponsesOpenMessage>,
    message_count: usize,
    args_bytes: usize,
    citations: usize,
    /// Requests for approval of earlier replies that were granted or refused since.
    approved: Vec<String>,
}

impl ResponsesEmitter {
    /// Takes the calls of earlier replies that were decided since.
    pub(super) fn adopt(&mut self, open_calls: &[OpenCall]) {
        self.approved = open_calls.iter().map(|call| call.wire_id.clone()).collect();
    }

    /// Emits a delta of one of an item's texts.
    pub(super) fn push_delta(
        &mut self,
        at: usize,
        channel: TextChannel,
        index: u64,
        piece: Cow<'_, str>,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        let Some(part) = self.items.get(at).and_then(|item| item.part(channel, index)) else { return };
        let piece = part.surrogates.push(piece, marked);
        let piece = part.dedup.push(piece);
        self.emit_channel(at, channel, index, &piece, out);
    }

    /// Takes one of an item's texts as a whole and emits the rest.
    pub(super) fn reconcile_text(
        &mut self,
        at: usize,
        channel: TextChannel,
        index: u64,
        whole: &str,
        out: &mut Vec<ReplyEvent>,
    ) {
        let Some(item) = self.items.get(at) else { return };
        // Some servers stream reasoning under one name and repeat it under the other.
        let is_elsewhere = item.parts.iter().any(|part| part.channel != channel && part.streamed.equals(whole));
        if whole.is_empty() || is_elsewhere {
            return;
        }
        let Some(part) = item.part(channel, index) else { return };
        // The whole text knows both halves of a pair.
        let _ = part.surrogates.take_unpaired();
        part.dedup.discard_held();
        let rest = part.streamed.reconcile(whole).to_owned();
        self.emit_channel(at, channel, index, &rest, out);
    }

    fn emit_channel(&mut self, at: usize, channel: TextChannel, index: u64, text: &str, out: &mut Vec<ReplyEvent>) {
        if text.is_empty() || self.assign_message(at, out).is_none() {
            return;
        }
        if channel == TextChannel::Text {
            return self.emit_text(at, index, text, out);
        }
        let Some(part) = self.items.get(at).and_then(|item| item.part(channel, index)) else { return };
        let is_first = part.streamed.is_empty();
        part.streamed.push(text);
        let Some(open) = &mut self.open else { return };
        let message = open.id.clone();
        let is_reasoning = matches!(channel, TextChannel::Summary | TextChannel::Reasoning);
        let gap = if is_first && is_reasoning && open.ends_with_reasoning { "\n\n" } else { "" };
        open.ends_with_reasoning = is_reasoning;
        open.is_refusal |= channel == TextChannel::Refusal;
        let text = format!("{gap}{text}");
        let text = if is_reasoning { self.reasoning_dedup.push(ReasoningSource::Field, &text) } else { text };
        if text.is_empty() {
            return;
        }
        out.push(match channel {
            TextChannel::Refusal => ReplyEvent::TextDelta { message, text, kind: TextKind::Refusal },
            TextChannel::Text | TextChannel::Summary | TextChannel::Reasoning => {
                ReplyEvent::ReasoningDelta { message, text }
            }
        });
    }

    /// Emits text, which may have reasoning between tags in it.
    fn emit_text(&mut self, at: usize, index: u64, text: &str, out: &mut Vec<ReplyEvent>) {
        let Some(part) = self.items.get(at).and_then(|item| item.part(TextChannel::Text, index)) else { return };
        part.streamed.push(text);
        let mut split = Vec::new();
        part.tag_splitter.push(text, &mut split);
        self.emit_segments(at, index, split, out);
    }

    fn emit_segments(&mut self, at: usize, index: u64, split: Vec<(Part, String)>, out: &mut Vec<ReplyEvent>) {
        let Some(part) = self.items.get(at).and_then(|item| item.part(TextChannel::Text, index)) else { return };
        let Some(open) = &mut self.open else { return };
        for (kind, text) in split {
            let message = open.id.clone();
            open.ends_with_reasoning = kind != Part::Text;
            match kind {
                Part::Text => {
                    part.text_bytes += text.len();
                    out.push(ReplyEvent::TextDelta { message, text, kind: TextKind::Text });
                }
                Part::Reasoning => {
                    let text = self.reasoning_dedup.push(ReasoningSource::Tags, &text);
                    out.extend((!text.is_empty()).then_some(ReplyEvent::ReasoningDelta { message, text }));
                }
                Part::LateReasoning => {
                    // The end of the message carries the text without the reasoning.
                    let emitted = part.streamed.text().get(..part.text_bytes).unwrap_or_default();
                    if !emitted.is_empty()
                        && (!self.reasoning_dedup.has_field() || self.reasoning_dedup.matches(emitted))
                    {
                        let text = self.reasoning_dedup.push(ReasoningSource::Tags, emitted);
                        part.is_late_reasoning = true;
                        out.extend((!text.is_empty()).then_some(ReplyEvent::ReasoningDelta { message, text }));
                    }
                }
            }
        }
    }

    pub(super) fn emit_citation(&mut self, at: usize, annotation: &Json, out: &mut Vec<ReplyEvent>) {
        self.citations += 1;
        if !annotation.is_object() || self.citations > MAX_CITATIONS {
            return;
        }
        let Some(message) = self.assign_message(at, out) else { return };
        let (on, annotation) = (ReplyTarget::Message(message), Annotation::Citation(annotation.clone()));
        out.push(ReplyEvent::Annotation { on, annotation });
    }

    /// Returns the message of the item, starting one where it is not the current one.
    fn assign_message(&mut self, at: usize, out: &mut Vec<ReplyEvent>) -> Option<MessageId> {
        let item = self.items.get(at)?;
        if let Some(open) = self.open.as_ref().filter(|open| item.message.as_ref() == Some(&open.id)) {
            return Some(open.id.clone());
        }
        let of_item = item.message.clone();
        if let Some(back) = self.set_aside.iter().position(|message| of_item.as_ref() == Some(&message.id)) {
            let message = self.set_aside.remove(back);
            self.leave_open(out);
            let id = message.id.clone();
            self.open = Some(message);
            return Some(id);
        }
        let item = self.items.get(at)?;
        let is_message = item.kind == ResponsesItemKind::Message;
        let is_next =
            |open: &ResponsesOpenMessage| !open.has_client_calls && (open.is_over || (is_message && open.texts > 0));
        if self.open.as_ref().is_some_and(is_next) {
            self.leave_open(out);
        }
        let id = self.begin_message(out);
        if let Some(item) = self.items.get(at) {
            item.message = Some(id.clone());
        }
        self.provider_metadata.assign_message(&id);
        let open = self.open.as_mut()?;
        open.items.push(at);
        if is_message {
            open.texts += 1;
            if open.texts > 1 {
                let (message, text) = (id.clone(), "\n\n".to_owned());
                out.push(ReplyEvent::TextDelta { message, text, kind: TextKind::Text });
            }
        }
        Some(id)
    }

    /// Closes the open message, or sets it aside where it is not over.
    fn leave_open(&mut self, out: &mut Vec<ReplyEvent>) {
        let Some(open) = &self.open else { return };
        let goes_on = open.items.iter().filter_map(|at| self.items.list.get(*at)).any(ResponsesItem::is_streaming);
        if !goes_on && !open.has_client_calls {
            return self.close(None, None, out);
        }
        if self.set_aside.len() >= MAX_SET_ASIDE {
            let oldest = self.set_aside.remove(0);
            self.close_set_aside(oldest, out);
        }
        self.set_aside.extend(self.open.take());
    }

    fn close_set_aside(&mut self, message: ResponsesOpenMessage, out: &mut Vec<ReplyEvent>) {
        let open = self.open.replace(message);
        self.close(None, None, out);
        self.open = open;
    }

    /// Closes a message that is set aside once its item is over.
    pub(super) fn note_item_over(&mut self, at: usize, out: &mut Vec<ReplyEvent>) {
        let is_its = |message: &ResponsesOpenMessage| message.items.contains(&at) && !message.has_client_calls;
        if let Some(aside) = self.set_aside.iter().position(is_its) {
            let message = self.set_aside.remove(aside);
            self.close_set_aside(message, out);
        }
    }

    /// Closes all messages but the one that ends the answer: the one with calls for the client, else the open one.
    pub(super) fn close_others(&mut self, out: &mut Vec<ReplyEvent>) {
        if self.open.as_ref().is_none_or(|open| !open.has_client_calls)
            && let Some(last) = self.set_aside.iter().rposition(|message| message.has_client_calls)
        {
            let last = self.set_aside.remove(last);
            self.set_aside.extend(self.open.replace(last));
        }
        for message in std::mem::take(&mut self.set_aside) {
            self.close_set_aside(message, out);
        }
    }

    /// Returns the open message, starting one where needed.
    pub(super) fn begin_message(&mut self, out: &mut Vec<ReplyEvent>) -> MessageId {
        if let Some(open) = &self.open {
            return open.id.clone();
        }
        self.message_count += 1;
        let id = MessageId::new(format!("m{}", self.message_count));
        out.push(ReplyEvent::MessageStarted { message: id.clone(), role: Role::Assistant, parent: None });
        self.open = Some(ResponsesOpenMessage {
            id: id.clone(),
            items: Vec::new(),
            texts: 0,
            has_client_calls: false,
            has_server_calls: false,
            is_refusal: false,
            is_over: false,
            ends_with_reasoning: false,
        });
        id
    }

    /// Returns whether no message was started.
    pub(super) fn is_empty(&self) -> bool {
        self.message_count == 0
    }

    /// Returns the finish reason of the open message if nothing is wrong.
    pub(super) fn finish_reason(&self) -> FinishReason {
        match &self.open {
            Some(open) if open.has_client_calls => FinishReason::ToolCalls,
            Some(open) if open.is_refusal => FinishReason::Refused,
            _ => FinishReason::End,
        }
    }

    /// Closes the open message, with the given finish reason or since another one starts.
    pub(super) fn close(
        &mut self,
        finish_reason: Option<FinishReason>,
        model: Option<&str>,
        out: &mut Vec<ReplyEvent>,
    ) {
        self.flush(out);
        let Some(open) = self.open.take() else { return };
        let between = if open.has_server_calls { FinishReason::ToolCalls } else { FinishReason::End };
        let is_last = finish_reason.is_some();
        let finish_reason = finish_reason.unwrap_or(between);
        let mut texts = open
            .items
            .iter()
            .filter_map(|at| self.items.list.get(*at))
            .filter(|item| item.kind == ResponsesItemKind::Message);
        let full = match (texts.next(), texts.next()) {
            (Some(only), None) => only.full_text().filter(|full| !full.is_empty()),
            _ => None,
        };
        let is_whole = !matches!(
            finish_reason,
            FinishReason::Interrupted | FinishReason::Failed | FinishReason::Length | FinishReason::Refused
        );
        // What the server's own tools did in between is not sent back, and reasoning about it would lack its context.
        let metadata = if is_whole && !open.has_server_calls {
            if is_last {
                self.provider_metadata.assign_message(&open.id);
            }
            self.provider_metadata.take_for(&open.id, model)
        } else {
            None
        };
        out.push(ReplyEvent::MessageFinished {
            message: open.id,
            finish_reason,
            full_text: full,
            provider_metadata: metadata,
        });
    }

    /// Emits what was held back: apparent repetitions, partial tags, halves of characters.
    fn flush(&mut self, out: &mut Vec<ReplyEvent>) {
        let items = self.open.as_ref().map(|open| open.items.clone()).unwrap_or_default();
        for at in items {
            let Some(item) = self.items.get(at) else { continue };
            let rest: Vec<(TextChannel, u64, String)> = item
                .parts
                .iter_mut()
                .map(|part| {
                    let half = part.surrogates.take_unpaired().map(String::from).unwrap_or_default();
                    (part.channel, part.index, part.dedup.flush() + &half)
                })
                .collect();
            for (channel, index, rest) in rest {
                self.emit_channel(at, channel, index, &rest, out);
                if channel == TextChannel::Text
                    && let Some(part) = self.items.get(at).and_then(|item| item.part(channel, index))
                {
                    let mut split = Vec::new();
                    part.tag_splitter.flush(&mut split);
                    self.emit_segments(at, index, split, out);
                }
            }
        }
    }
}

/// Returns the texts of a chunk of a shell's output.
pub(super) fn parse_shell_delta(delta: &str, marked: bool) -> Vec<(OutputStream, String)> {
    let Ok(json) = serde_json::from_str::<Json>(delta) else { return Vec::new() };
    let mut halves = SurrogateJoiner::default();
    [(OutputStream::Stdout, "stdout"), (OutputStream::Stderr, "stderr")]
        .into_iter()
        .filter_map(|(stream, key)| Some((stream, halves.push(text_at(&json, key)?.into(), marked).into_owned())))
        .collect()
}
