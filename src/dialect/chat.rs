//! OpenAI chat completions, as a stream of chunks or as one object. Spoken by most servers, each with its own accent:
//! every field may be missing, null or of another type, and nothing here fails on a word it does not know.
//!
//! A message opens with its first content, not with the empty role chunk; it closes when the stream ends, since usage
//! and even text may follow the finish reason. Call ids are the wire's; where it has none they are `call_1`, ….
//!
//! A `message` is a whole: of what it repeats only the missing part is told. Beside deltas, or as the last word, it is
//! right where the two differ; alone in each chunk, it may also be a piece under the wrong name.

mod calls;
mod carry;
pub mod chunk;
mod embed;
pub mod encode;
pub(super) mod spoken;
mod timings;
pub(super) mod wire;

use std::borrow::Cow;

use serde_json::json;

use self::calls::Calls;
use self::carry::Carry;
use self::wire::{Chunk, Delta, Fragment, Timings};
use super::lax::{Num, Obj};
use super::odd::Odd;
use super::speech::{Kind, Speech, Voice};
use super::stop::{self, Verdict};
use super::surrogate;
use super::{Decode, SseFrame, error, usage};
use crate::event::{AgentEvent, Fault, FaultKind, MessageId, Scope, Stop, Subject, TextKind, TurnEnd, Usage};

/// The decoder of one answer.
#[derive(Debug)]
pub struct Chat {
    message: MessageId,
    /// Messages that were closed before the end.
    closed: u32,
    open: bool,
    text: Speech,
    reasoning: Voice,
    refusal: Voice,
    calls: Calls,
    /// Calls come under their old name as well, with the same content.
    calls_twice: bool,
    /// Something was said, and something was thought.
    spoke: bool,
    thought: bool,
    /// Deltas came, so a message repeats them.
    has_deltas: bool,
    /// What the finish reasons say.
    verdict: Verdict,
    usage: Option<Usage>,
    timings: Option<Timings>,
    carry: Carry,
    fault: Option<Fault>,
    done: bool,
    odd: Odd,
    split: Vec<(Kind, String)>,
}

impl Default for Chat {
    fn default() -> Self {
        Self::new()
    }
}

impl Chat {
    pub fn new() -> Self {
        Self {
            message: "m1".into(),
            closed: 0,
            open: false,
            text: Speech::default(),
            reasoning: Voice::default(),
            refusal: Voice::default(),
            calls: Calls::default(),
            calls_twice: false,
            spoke: false,
            thought: false,
            has_deltas: false,
            verdict: Verdict::default(),
            usage: None,
            timings: None,
            carry: Carry::default(),
            fault: None,
            done: false,
            odd: Odd::default(),
            split: Vec::new(),
        }
    }

    /// Takes a chunk. Returns false where it is nothing that is known.
    fn chunk(&mut self, chunk: Chunk<'_>, marked: bool, out: &mut Vec<AgentEvent>) -> bool {
        // A chunk without choices is a usage-only chunk or a keep-alive of a router.
        let mut known = chunk.object.some() == Some("chat.completion.chunk");
        for (position, choice) in chunk.choices.0.into_iter().enumerate() {
            known = true;
            if choice.index.0.unwrap_or(position as u64) != 0 {
                self.odd.met("a second choice", out);
                continue;
            }
            let is_last = choice.finish_reason.some().is_some();
            let within = [choice.delta.0.as_ref(), choice.message.0.as_ref()];
            let within = within.into_iter().flatten().find_map(|part| usage::read(part.usage.as_ref()?));
            self.usage = usage::later(self.usage, within);
            if let Some(delta) = choice.delta.0 {
                self.delta(delta, is_last, marked, out);
            }
            if let Some(message) = choice.message.0 {
                let is_whole = self.has_deltas || chunk.object.some() == Some("chat.completion") || is_last;
                self.whole(message, is_whole, marked, out);
            }
            self.say(choice.text.0, is_last, marked, out);
            if let Some(reason) = choice.finish_reason.some() {
                self.verdict.take(reason, out);
            }
            self.usage = usage::later(self.usage, choice.usage.as_ref().and_then(usage::read));
            if let Some(said) = choice.error.as_ref().and_then(error::inner) {
                self.fail(&said);
            }
        }
        let groq = chunk.x_groq.0.and_then(|groq| groq.usage);
        if let Some(wire) = chunk.usage.or(groq).or(chunk.usage_metadata) {
            known = true;
            self.usage = usage::later(self.usage, usage::read(&wire));
        }
        if let Some(timings) = chunk.timings.0 {
            known = true;
            self.timings = Some(timings);
        }
        // vLLM once wrote its errors without an `error` around them.
        let bare = (chunk.object.some() == Some("error"))
            .then(|| json!({"message": chunk.message.some(), "type": chunk.kind.some()}));
        if let Some(said) = chunk.error.as_ref().or(bare.as_ref()).and_then(error::inner) {
            known = true;
            self.fail(&said);
        }
        known
    }

    fn delta(&mut self, delta: Delta<'_>, is_last: bool, marked: bool, out: &mut Vec<AgentEvent>) {
        self.reason(&delta, marked, out);
        self.has_deltas |= delta.content.some().is_some();
        // What one voice held back was said before the other spoke.
        if delta.content.some().is_some_and(|text| !text.is_empty()) {
            let rest = self.refusal.settle();
            self.refuse(rest, out);
        }
        self.say(delta.content.text, is_last, marked, out);
        let refusals = [delta.refusal.0, delta.content.refusal];
        if let Some(refusal) = refusals.into_iter().flatten().find(|text| !text.is_empty()) {
            self.settle_text(out);
            let text = self.refusal.take(refusal, marked).into_owned();
            self.refuse(text, out);
        }
        let fragments = delta.tool_calls.0;
        self.has_deltas |= !fragments.is_empty();
        self.calls_twice |= !fragments.is_empty() && delta.function_call.0.is_some();
        for (position, fragment) in fragments.into_iter().enumerate() {
            self.fragment(&fragment, position, marked, out);
        }
        // Some servers write a call under its old name too.
        if let Some(function) = delta.function_call.0.filter(|_| !self.calls_twice) {
            let (index, function) = (Num(Some(0)), Obj(Some(function)));
            self.fragment(&Fragment { index, function, ..Fragment::default() }, 0, marked, out);
        }
    }

    /// Takes a message, which says all that was said and maybe more.
    fn whole(&mut self, message: Delta<'_>, is_whole: bool, marked: bool, out: &mut Vec<AgentEvent>) {
        let reasoning = reasoning(&message);
        for detail in message.reasoning_details.0.iter().filter(|_| self.reasoning.is_empty()) {
            self.carry.detail(detail);
        }
        if !reasoning.is_empty() {
            let rest = self.reasoning.whole(reasoning, is_whole, marked);
            if message.reasoning_content.some().is_some() {
                self.carry.reasoning(&rest);
            }
            let rest = self.text.thought(&rest);
            self.emit_reasoning(rest, out);
        }
        if let Some(text) = message.content.text.filter(|text| !text.is_empty()) {
            let text = surrogate::settled(text, marked);
            let mut split = std::mem::take(&mut self.split);
            if !self.text.whole(&text, &mut split) {
                if is_whole {
                    self.text.correct(&text);
                } else {
                    self.text.take(text, false, false, &mut split);
                }
            }
            self.emit_split(&mut split, out);
            self.split = split;
        }
        let refusals = [message.refusal.0, message.content.refusal];
        if let Some(refusal) = refusals.into_iter().flatten().find(|text| !text.is_empty()) {
            let text = self.refusal.whole(refusal, is_whole, marked);
            self.refuse(text, out);
        }
        let mut fragments = message.tool_calls.0;
        if let Some(function) = message.function_call.0.filter(|_| fragments.is_empty()) {
            fragments.push(Fragment { function: Obj(Some(function)), ..Fragment::default() });
        }
        for (position, fragment) in fragments.into_iter().enumerate().filter(|(_, it)| it.function.0.is_some()) {
            self.begin(out);
            let taken = if is_whole {
                self.calls.whole(&fragment, position, marked, &self.message, out)
            } else {
                self.calls.take(&fragment, position, marked, &self.message, out)
            };
            if let Err(odd) = taken {
                self.odd.met(odd, out);
            }
        }
    }

    fn fragment(&mut self, fragment: &Fragment<'_>, position: usize, marked: bool, out: &mut Vec<AgentEvent>) {
        if fragment.function.0.is_none() {
            return;
        }
        self.begin(out);
        if let Err(odd) = self.calls.take(fragment, position, marked, &self.message, out) {
            self.odd.met(odd, out);
        }
    }

    fn reason(&mut self, delta: &Delta<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        for detail in &delta.reasoning_details.0 {
            self.carry.detail(detail);
        }
        let text = reasoning(delta);
        if text.is_empty() {
            return;
        }
        let text = self.reasoning.take(text, marked);
        if delta.reasoning_content.some().is_some() {
            self.carry.reasoning(&text);
        }
        let text = self.text.thought(&text);
        self.emit_reasoning(text, out);
    }

    fn refuse(&mut self, text: String, out: &mut Vec<AgentEvent>) {
        if !text.is_empty() {
            self.verdict.refuse();
            // What may have been the beginning of a tag is not: it comes before this.
            self.settle_text(out);
            self.emit_text(text, TextKind::Refusal, out);
        }
    }

    fn say(&mut self, content: Option<Cow<'_, str>>, is_last: bool, marked: bool, out: &mut Vec<AgentEvent>) {
        let Some(content) = content.filter(|content| !content.is_empty()) else { return };
        let mut split = std::mem::take(&mut self.split);
        self.text.take(content, is_last, marked, &mut split);
        self.emit_split(&mut split, out);
        self.split = split;
    }

    fn emit_split(&mut self, split: &mut Vec<(Kind, String)>, out: &mut Vec<AgentEvent>) {
        for (kind, text) in split.drain(..) {
            match kind {
                Kind::Reasoning => self.emit_reasoning(text, out),
                Kind::Text => self.emit_text(text, TextKind::Text, out),
                Kind::Late => self.was_reasoning(text, out),
            }
        }
    }

    /// All that was said turned out to be reasoning: it is told as that, and what follows is another message.
    fn was_reasoning(&mut self, text: String, out: &mut Vec<AgentEvent>) {
        if !self.open || !self.calls.is_empty() {
            return;
        }
        self.emit_reasoning(text, out);
        (self.open, self.spoke) = (false, false);
        let message = self.following();
        out.push(AgentEvent::MessageFinished { message, stop: Stop::End, full: Some(String::new()), carry: None });
    }

    /// Returns the message that is over; the next one has another id.
    fn following(&mut self) -> MessageId {
        self.closed += 1;
        std::mem::replace(&mut self.message, MessageId::new(format!("m{}", self.closed + 1)))
    }

    fn emit_text(&mut self, text: String, kind: TextKind, out: &mut Vec<AgentEvent>) {
        self.begin(out);
        self.spoke |= !text.trim().is_empty();
        out.push(AgentEvent::TextDelta { message: self.message.clone(), text, kind });
    }

    fn emit_reasoning(&mut self, text: String, out: &mut Vec<AgentEvent>) {
        if text.is_empty() {
            return;
        }
        self.begin(out);
        self.thought = true;
        out.push(AgentEvent::ReasoningDelta { message: self.message.clone(), text });
    }

    pub(super) fn begin(&mut self, out: &mut Vec<AgentEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let role = crate::event::Role::Assistant;
            out.push(AgentEvent::MessageStarted { message: self.message.clone(), role, parent: None });
        }
    }

    fn fail(&mut self, said: &error::Said) {
        self.fault.get_or_insert_with(|| error::fault(said));
        self.done = true;
    }

    /// Tells what was held back: no more text is to come, or none that could make a tag or a character of it.
    pub(super) fn close_text(&mut self, out: &mut Vec<AgentEvent>) {
        let rest = self.text.thought(&self.reasoning.settle());
        self.emit_reasoning(rest, out);
        self.settle_text(out);
        let rest = self.refusal.settle();
        self.refuse(rest, out);
    }

    fn settle_text(&mut self, out: &mut Vec<AgentEvent>) {
        let mut split = std::mem::take(&mut self.split);
        self.text.settle(&mut split);
        self.emit_split(&mut split, out);
        self.split = split;
    }
}

/// Returns what a delta says of reasoning. Servers that write it under two names write the same text twice, so the
/// first name wins.
fn reasoning<'a>(delta: &'a Delta<'_>) -> Cow<'a, str> {
    let names = [&delta.reasoning_content, &delta.reasoning, &delta.reasoning_text, &delta.thinking, &delta.thought];
    if let Some(text) = names.into_iter().find_map(|text| text.some()).or(delta.content.thought.as_deref()) {
        return Cow::Borrowed(text);
    }
    let details: String = delta.reasoning_details.0.iter().filter_map(wire::detail_text).collect();
    if details.is_empty() { delta.thinking_blocks.some().unwrap_or_default().into() } else { details.into() }
}

impl Decode for Chat {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        self.frame_seen(frame, out, &mut |_, _| None);
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        self.close_text(out);
        let reported = self.verdict.stop().is_some() || self.done;
        self.fault = self.fault.take().or_else(|| self.verdict.fault());
        let has_calls = !self.calls.is_empty();
        let stop = match &self.fault {
            Some(_) => Stop::Failed,
            None if !reported => Stop::Interrupted,
            None => self.verdict.stop_with(has_calls),
        };
        if stop::is_told(stop) {
            self.begin(out);
        }
        if let Some(timings) = self.timings.take() {
            let on = if self.open { Subject::Message(self.message.clone()) } else { Subject::Turn("t".into()) };
            self.usage = timings.complete(self.usage);
            out.extend(timings.data().map(|data| AgentEvent::Annotated { on, kind: "timing".into(), data }));
        }
        // It thought, and that was all.
        if stop == Stop::End && self.thought && !self.spoke {
            out.push(stop::empty());
        }
        if self.open {
            if !matches!(stop, Stop::Interrupted | Stop::Failed) {
                self.calls.close(stop == Stop::Length, &self.message, out);
            }
            let carry = self.carry.take(has_calls);
            let full = self.text.full().filter(|_| self.closed == 0);
            out.push(AgentEvent::MessageFinished { message: self.message.clone(), stop, full, carry });
        } else if stop == Stop::End && self.closed == 0 && !self.thought {
            out.push(stop::empty());
        }
        if let Some(usage) = self.usage.take() {
            out.push(AgentEvent::UsageReported { scope: Scope::Request(1), usage });
        }
        let end = match (self.fault.take(), stop) {
            (Some(fault), _) => TurnEnd::Failed(fault),
            (None, Stop::Interrupted) => TurnEnd::Interrupted,
            (None, _) if self.verdict.is_filtered() => TurnEnd::Failed(Fault::new(FaultKind::Refused, stop::FILTERED)),
            _ => TurnEnd::Completed,
        };
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_settled(&self) -> bool {
        self.done || self.verdict.stop().is_some()
    }
}
