//! The events of an answer in order: which message an item is told in, and every piece of it once.
//!
//! A message holds one text and the calls beside it. The next text, and whatever follows a call that the server ran, is
//! the next message; but calls that wait for the client stay in the message that ends the answer.

use std::borrow::Cow;

use super::super::objects;
use super::super::surrogate::Halves;
use super::super::think::Kind as Part;
use super::super::thoughts::{By, Thoughts};
use super::carry::Carry;
use super::items::{Items, Kind, Voice};
use super::tools;
use super::wire::text_at;
use crate::event::{AgentEvent, Json, MessageId, Outcome, Output, OutputStream, RanBy, Role, Stop, Subject, TextKind};

/// Bytes of arguments that are kept for all calls.
const MOST_ARGS: usize = 16 * 1024 * 1024;
/// Citations that are told of one answer.
const MOST_CITATIONS: usize = 512;

#[derive(Debug)]
struct Open {
    id: MessageId,
    /// Its items, in the order they were told.
    items: Vec<usize>,
    texts: usize,
    has_ours: bool,
    has_theirs: bool,
    is_refusal: bool,
    /// A call of the server's has ended: what follows is another message.
    is_over: bool,
    /// The last thing told was reasoning.
    reasons: bool,
}

#[derive(Debug, Default)]
pub(super) struct Tell {
    pub(super) items: Items,
    pub(super) carry: Carry,
    thoughts: Thoughts,
    open: Option<Open>,
    messages: usize,
    args_size: usize,
    citations: usize,
}

impl Tell {
    /// Tells a piece of one of an item's texts.
    pub(super) fn piece(
        &mut self,
        at: usize,
        voice: Voice,
        index: u64,
        piece: Cow<'_, str>,
        marked: bool,
        out: &mut Vec<AgentEvent>,
    ) {
        let Some(part) = self.items.get(at).and_then(|item| item.part(voice, index)) else { return };
        let piece = part.halves.join(piece, marked);
        let piece = part.pieces.take(piece);
        self.say(at, voice, index, &piece, out);
    }

    /// Takes one of an item's texts as a whole and tells what was not told yet.
    pub(super) fn whole(&mut self, at: usize, voice: Voice, index: u64, whole: &str, out: &mut Vec<AgentEvent>) {
        let Some(item) = self.items.get(at) else { return };
        // Some servers stream reasoning under one name and repeat it under the other.
        let is_elsewhere = item.parts.iter().any(|part| part.voice != voice && part.told.is(whole));
        if whole.is_empty() || is_elsewhere {
            return;
        }
        let Some(part) = item.part(voice, index) else { return };
        // The whole knows both halves of a pair.
        let _ = part.halves.rest();
        part.pieces.forget_held();
        let rest = part.told.whole(whole).to_owned();
        self.say(at, voice, index, &rest, out);
    }

    fn say(&mut self, at: usize, voice: Voice, index: u64, text: &str, out: &mut Vec<AgentEvent>) {
        if text.is_empty() || self.attach(at, out).is_none() {
            return;
        }
        if voice == Voice::Text {
            return self.say_text(at, index, text, out);
        }
        let Some(part) = self.items.get(at).and_then(|item| item.part(voice, index)) else { return };
        let is_first = part.told.is_empty();
        part.told.add(text);
        let Some(open) = &mut self.open else { return };
        let message = open.id.clone();
        let is_reasoning = matches!(voice, Voice::Summary | Voice::Thought);
        let gap = if is_first && is_reasoning && open.reasons { "\n\n" } else { "" };
        open.reasons = is_reasoning;
        open.is_refusal |= voice == Voice::Refusal;
        let text = format!("{gap}{text}");
        let text = if is_reasoning { self.thoughts.take(By::Field, &text) } else { text };
        if text.is_empty() {
            return;
        }
        out.push(match voice {
            Voice::Refusal => AgentEvent::TextDelta { message, text, kind: TextKind::Refusal },
            Voice::Text | Voice::Summary | Voice::Thought => AgentEvent::ReasoningDelta { message, text },
        });
    }

    /// Tells text, which may have reasoning between tags in it.
    fn say_text(&mut self, at: usize, index: u64, text: &str, out: &mut Vec<AgentEvent>) {
        let Some(part) = self.items.get(at).and_then(|item| item.part(Voice::Text, index)) else { return };
        part.told.add(text);
        let mut split = Vec::new();
        part.think.feed(text, &mut split);
        self.tell_split(at, index, split, out);
    }

    fn tell_split(&mut self, at: usize, index: u64, split: Vec<(Part, String)>, out: &mut Vec<AgentEvent>) {
        let Some(part) = self.items.get(at).and_then(|item| item.part(Voice::Text, index)) else { return };
        let Some(open) = &mut self.open else { return };
        for (kind, text) in split {
            let message = open.id.clone();
            open.reasons = kind != Part::Text;
            match kind {
                Part::Text => {
                    part.spoken += text.len();
                    out.push(AgentEvent::TextDelta { message, text, kind: TextKind::Text });
                }
                Part::Reasoning => {
                    let text = self.thoughts.take(By::Tags, &text);
                    out.extend((!text.is_empty()).then_some(AgentEvent::ReasoningDelta { message, text }));
                }
                Part::Late => {
                    // The end of the message says what of it is text.
                    let said = part.told.said().get(..part.spoken).unwrap_or_default();
                    if !said.is_empty() && (!self.thoughts.has_field() || self.thoughts.knows(said)) {
                        let text = self.thoughts.take(By::Tags, said);
                        part.is_late = true;
                        out.extend((!text.is_empty()).then_some(AgentEvent::ReasoningDelta { message, text }));
                    }
                }
            }
        }
    }

    pub(super) fn cite(&mut self, at: usize, annotation: &Json, out: &mut Vec<AgentEvent>) {
        self.citations += 1;
        if !annotation.is_object() || self.citations > MOST_CITATIONS {
            return;
        }
        let Some(message) = self.attach(at, out) else { return };
        let (on, data) = (Subject::Message(message), annotation.clone());
        out.push(AgentEvent::Annotated { on, kind: "citation".into(), data });
    }

    /// Returns the message that the item is told in, and opens it where it is another than the last.
    fn attach(&mut self, at: usize, out: &mut Vec<AgentEvent>) -> Option<MessageId> {
        let item = self.items.get(at)?;
        if let Some(open) = self.open.as_ref().filter(|open| item.message.as_ref() == Some(&open.id)) {
            return Some(open.id.clone());
        }
        let is_message = item.kind == Kind::Message;
        let is_next = |open: &Open| !open.has_ours && (open.is_over || (is_message && open.texts > 0));
        if self.open.as_ref().is_some_and(is_next) {
            self.close(None, None, out);
        }
        let id = self.begin(out);
        if let Some(item) = self.items.get(at) {
            item.message = Some(id.clone());
        }
        self.carry.claim(&id);
        let open = self.open.as_mut()?;
        open.items.push(at);
        if is_message {
            open.texts += 1;
            if open.texts > 1 {
                let (message, text) = (id.clone(), "\n\n".to_owned());
                out.push(AgentEvent::TextDelta { message, text, kind: TextKind::Text });
            }
        }
        Some(id)
    }

    /// Returns the open message, which there is from now on.
    pub(super) fn begin(&mut self, out: &mut Vec<AgentEvent>) -> MessageId {
        if let Some(open) = &self.open {
            return open.id.clone();
        }
        self.messages += 1;
        let id = MessageId::new(format!("m{}", self.messages));
        out.push(AgentEvent::MessageStarted { message: id.clone(), role: Role::Assistant, parent: None });
        self.open = Some(Open {
            id: id.clone(),
            items: Vec::new(),
            texts: 0,
            has_ours: false,
            has_theirs: false,
            is_refusal: false,
            is_over: false,
            reasons: false,
        });
        id
    }

    /// Whether anything was told.
    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Returns how the open message stops if nothing is wrong.
    pub(super) fn stop(&self) -> Stop {
        match &self.open {
            Some(open) if open.has_ours => Stop::ToolCalls,
            Some(open) if open.is_refusal => Stop::Refused,
            _ => Stop::End,
        }
    }

    /// Closes the open message: because another begins, or as told.
    pub(super) fn close(&mut self, stop: Option<Stop>, model: Option<&str>, out: &mut Vec<AgentEvent>) {
        self.flush(out);
        let Some(open) = self.open.take() else { return };
        let between = if open.has_theirs { Stop::ToolCalls } else { Stop::End };
        let is_last = stop.is_some();
        let stop = stop.unwrap_or(between);
        let mut texts =
            open.items.iter().filter_map(|at| self.items.list.get(*at)).filter(|item| item.kind == Kind::Message);
        let full = match (texts.next(), texts.next()) {
            (Some(only), None) => only.full().filter(|full| !full.is_empty()),
            _ => None,
        };
        let is_whole = !matches!(stop, Stop::Interrupted | Stop::Failed | Stop::Length | Stop::Refused);
        // What the server's own tools did in between is not told back, and reasoning about it would hang in the air.
        let carry = if is_whole && !open.has_theirs {
            if is_last {
                self.carry.claim(&open.id);
            }
            self.carry.take(&open.id, model)
        } else {
            None
        };
        out.push(AgentEvent::MessageFinished { message: open.id, stop, full, carry });
    }

    /// Tells what was held back: repetitions that were none, pieces of tags, halves of characters.
    fn flush(&mut self, out: &mut Vec<AgentEvent>) {
        let items = self.open.as_ref().map(|open| open.items.clone()).unwrap_or_default();
        for at in items {
            let Some(item) = self.items.get(at) else { continue };
            let rest: Vec<(Voice, u64, String)> = item
                .parts
                .iter_mut()
                .map(|part| {
                    let half = part.halves.rest().map(String::from).unwrap_or_default();
                    (part.voice, part.index, part.pieces.settle() + &half)
                })
                .collect();
            for (voice, index, rest) in rest {
                self.say(at, voice, index, &rest, out);
                if voice == Voice::Text
                    && let Some(part) = self.items.get(at).and_then(|item| item.part(voice, index))
                {
                    let mut split = Vec::new();
                    part.think.finish(&mut split);
                    self.tell_split(at, index, split, out);
                }
            }
        }
    }

    /// Tells that a call begins, once it is known which tool is called and that it is none that was told already.
    pub(super) fn start(&mut self, at: usize, out: &mut Vec<AgentEvent>) {
        if !self.is_doubtful(at) {
            self.start_certain(at, out);
        }
    }

    fn start_certain(&mut self, at: usize, out: &mut Vec<AgentEvent>) {
        let Some(item) = self.items.get(at) else { return };
        let item_id = item.id.clone();
        let Some(call) = item.call.as_mut().filter(|call| call.told.is_none()) else { return };
        let (name, ran_by) = (call.name.clone(), call.ran_by());
        let wire_id = call.wire_id.clone().or(item_id).unwrap_or_default();
        let id = self.items.unique(&wire_id);
        let Some(message) = self.attach(at, out) else { return };
        if let Some(open) = &mut self.open {
            open.has_ours |= ran_by == RanBy::Us;
            open.has_theirs |= ran_by == RanBy::Server;
            open.reasons = false;
        }
        let Some(call) = self.items.call(at) else { return };
        call.told = Some(id.clone());
        let name = Some(name).filter(|name| !name.is_empty());
        out.push(AgentEvent::ToolCallStarted { call: id.clone(), message, name, parent: None, ran_by });
        if !call.args.is_empty() {
            out.push(AgentEvent::ToolArgsDelta { call: id, json: call.args.clone() });
        }
    }

    /// Takes a piece of a call's arguments. Fails when there are too many to be kept.
    pub(super) fn args(
        &mut self,
        at: usize,
        piece: Cow<'_, str>,
        marked: bool,
        out: &mut Vec<AgentEvent>,
    ) -> Result<(), ()> {
        let Some(call) = self.items.call(at).filter(|call| !call.is_ready) else { return Ok(()) };
        let piece = call.halves.join(piece, marked);
        if piece.is_empty() {
            return Ok(());
        }
        let piece = match tools::text_key(&call.tool) {
            // Plain text is told as the JSON it will be; the end of it comes with the whole.
            Some(key) => {
                let quoted = Json::from(piece.as_ref()).to_string();
                let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
                if call.args.is_empty() { format!("{{\"{key}\":\"{inner}") } else { inner.to_owned() }
            }
            None => piece.into_owned(),
        };
        self.args_size = self.args_size.saturating_add(piece.len());
        if self.args_size > MOST_ARGS {
            return Err(());
        }
        let Some(call) = self.items.call(at) else { return Ok(()) };
        objects::note_start(&mut call.starts, call.args.len(), &piece);
        call.args.push_str(&piece);
        if let Some(id) = &call.told {
            out.push(AgentEvent::ToolArgsDelta { call: id.clone(), json: piece });
        }
        Ok(())
    }

    /// Takes a call's arguments as a whole. The same JSON with other blanks is a repetition and corrects nothing.
    pub(super) fn args_whole(&mut self, at: usize, whole: String, out: &mut Vec<AgentEvent>) {
        let Some(call) = self.items.call(at).filter(|call| !call.is_ready) else { return };
        let _ = call.halves.rest();
        if !call.args.is_empty() && objects::is_same(&call.args, &whole) {
            return;
        }
        let rest = whole.strip_prefix(call.args.as_str()).unwrap_or_default().to_owned();
        let is_streamed = !call.args.is_empty();
        if let Some(id) = call.told.clone().filter(|_| is_streamed && !rest.is_empty()) {
            out.push(AgentEvent::ToolArgsDelta { call: id, json: rest });
        }
        call.args = whole;
        call.starts.clear();
    }

    /// Tells that a call's arguments are complete.
    pub(super) fn ready(&mut self, at: usize, item_id: Option<&str>, out: &mut Vec<AgentEvent>) {
        if self.is_doubtful(at) && self.is_again(at) {
            return;
        }
        self.start_certain(at, out);
        let is_worth = self.carry.is_worth();
        let Some(call) = self.items.call(at).filter(|call| !call.is_ready && !call.is_finished) else { return };
        let Some(id) = call.told.clone() else { return };
        call.is_ready = true;
        let mut carry = serde_json::Map::new();
        if let Some(item_id) = item_id.filter(|_| is_worth && call.ran_by() == RanBy::Us) {
            carry.insert("item_id".into(), item_id.into());
        }
        if call.tool == "custom_tool_call" {
            carry.insert("custom".into(), true.into());
        }
        let carry = (!carry.is_empty()).then(|| Json::Object(carry));
        let (name, tool) = (call.name.clone(), call.tool.clone());
        let mut all =
            objects::settled_from(std::mem::take(&mut call.args), std::mem::take(&mut call.starts)).into_iter();
        let args = all.next().unwrap_or_default();
        call.told_args.clone_from(&args);
        out.push(AgentEvent::ToolCallReady { call: id, name: name.clone(), args, carry });
        // Arguments of several calls in one.
        for args in all {
            let Some(more) = self.items.add(None, None, Kind::Call, &tool) else { return };
            if let Some(item) = self.items.get(more) {
                item.is_done = true;
            }
            if let Some(call) = self.items.call(more) {
                call.name.clone_from(&name);
                call.args = args;
            }
            self.ready(more, None, out);
        }
    }

    /// Whether a call has the id, the name and the arguments of another: an item that was told twice.
    fn is_again(&mut self, at: usize) -> bool {
        let Some(call) = self.items.call(at) else { return false };
        let (Some(id), name, args) = (call.wire_id.clone(), call.name.clone(), call.args.clone()) else { return false };
        self.items.list.iter().enumerate().filter(|(other, _)| *other != at).any(|(_, item)| {
            item.call.as_ref().is_some_and(|call| {
                let is_it = call.wire_id.as_ref() == Some(&id) && call.name == name && call.is_ready;
                is_it && (args.trim().is_empty() || objects::is_same(&call.told_args, &args))
            })
        })
    }

    /// Whether another call has the id of this one, so that its arguments must tell whether it is another at all.
    fn is_doubtful(&mut self, at: usize) -> bool {
        let Some(id) = self.items.call(at).and_then(|call| call.wire_id.clone()) else { return false };
        let mut others = self.items.list.iter().enumerate().filter(|(other, _)| *other != at);
        others.any(|(_, item)| {
            item.call.as_ref().is_some_and(|call| call.told.is_some() && call.wire_id.as_ref() == Some(&id))
        })
    }

    pub(super) fn output(&mut self, at: usize, stream: OutputStream, text: &str, out: &mut Vec<AgentEvent>) {
        let Some(call) = self.items.call(at).filter(|call| call.is_ready && !call.is_finished) else { return };
        if let Some(id) = call.told.clone().filter(|_| !text.is_empty()) {
            out.push(AgentEvent::ToolOutput { call: id, stream, text: text.to_owned() });
        }
    }

    pub(super) fn finish_call(&mut self, at: usize, outcome: Outcome, text: String, out: &mut Vec<AgentEvent>) {
        if self.is_doubtful(at) && self.is_again(at) {
            return;
        }
        self.start_certain(at, out);
        let Some(call) = self.items.call(at).filter(|call| !call.is_finished) else { return };
        let Some(id) = call.told.clone() else { return };
        call.is_finished = true;
        out.push(AgentEvent::ToolCallFinished { call: id, outcome, output: Output::of(text), took: None });
        if let Some(open) = &mut self.open {
            open.is_over = true;
        }
    }
}

/// The texts of a piece of a shell's output.
pub(super) fn streams(delta: &str, marked: bool) -> Vec<(OutputStream, String)> {
    let Ok(json) = serde_json::from_str::<Json>(delta) else { return Vec::new() };
    let mut halves = Halves::default();
    [(OutputStream::Stdout, "stdout"), (OutputStream::Stderr, "stderr")]
        .into_iter()
        .filter_map(|(stream, key)| Some((stream, halves.join(text_at(&json, key)?.into(), marked).into_owned())))
        .collect()
}
