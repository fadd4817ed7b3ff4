//! OpenAI chat completions, as a stream of chunks or as one object. Spoken by most servers, each with its own accent:
//! every field may be missing, null or of another type, and nothing here fails on a word it does not know.
//!
//! A message opens with its first content, not with the empty role chunk; it closes when the stream ends, since usage
//! and even text may follow the finish reason. Call ids are the wire's; where it has none they are `call_1`, ….

mod calls;
mod carry;
pub mod chunk;
pub mod encode;
pub(super) mod spoken;
pub(super) mod wire;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use self::calls::Calls;
use self::carry::Carry;
use self::wire::{Chunk, Delta, Fragment, Timings, UsageWire};
use super::lax::{Num, Obj};
use super::odd::Odd;
use super::surrogate::{self, Halves};
use super::think::{Kind, Think};
use super::{Decode, SseFrame, error};
use crate::event::{
    AgentEvent, CallId, Fault, FaultKind, Json, Level, MessageId, Scope, Stop, Subject, TextKind, TurnEnd, Usage,
};

/// The decoder of one answer.
#[derive(Debug)]
pub struct Chat {
    message: MessageId,
    /// Messages that were closed before the end.
    closed: u32,
    open: bool,
    think: Think,
    text: Halves,
    reasoning: Halves,
    calls: Calls,
    refused: bool,
    /// The finish reason, once there was one.
    stop: Option<Stop>,
    filtered: bool,
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
            think: Think::default(),
            text: Halves::default(),
            reasoning: Halves::default(),
            calls: Calls::default(),
            refused: false,
            stop: None,
            filtered: false,
            usage: None,
            timings: None,
            carry: Carry::default(),
            fault: None,
            done: false,
            odd: Odd::default(),
            split: Vec::new(),
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        let mut known = false;
        for (position, choice) in chunk.choices.0.into_iter().enumerate() {
            known = true;
            if choice.index.0.unwrap_or(position as u64) != 0 {
                self.odd.met("a second choice", out);
                continue;
            }
            for delta in [choice.delta.0, choice.message.0].into_iter().flatten() {
                self.delta(delta, marked, out);
            }
            self.say(choice.text.0, marked, out);
            if let Some(reason) = choice.finish_reason.some() {
                self.finish_reason(reason);
            }
            if let Some(said) = choice.error.as_ref().and_then(error::inner) {
                self.fail(&said);
            }
        }
        let groq = chunk.x_groq.0.and_then(|groq| groq.usage.0);
        if let Some(usage) = chunk.usage.0.or(groq) {
            known = true;
            self.usage = usage.read().or(self.usage);
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
        // A chunk without choices is a usage-only chunk or a keep-alive of a router.
        if !known && chunk.object.some() != Some("chat.completion.chunk") {
            self.odd.met(chunk.object.some().or(chunk.kind.some()).unwrap_or("an object without choices"), out);
        }
    }

    fn delta(&mut self, delta: Delta<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        self.reason(&delta, marked, out);
        self.say(delta.content.0, marked, out);
        if let Some(refusal) = delta.refusal.0 {
            let text = self.text.join(refusal, marked);
            if !text.is_empty() {
                self.refused = true;
                // What may have been the beginning of a tag is not: it comes before this.
                let mut split = std::mem::take(&mut self.split);
                self.think.finish(&mut split);
                self.emit_split(&mut split, out);
                self.split = split;
                self.emit_text(text.into_owned(), TextKind::Refusal, out);
            }
        }
        for (position, fragment) in delta.tool_calls.0.into_iter().enumerate() {
            self.fragment(&fragment, position, marked, out);
        }
        if let Some(function) = delta.function_call.0 {
            let (index, function) = (Num(Some(0)), Obj(Some(function)));
            self.fragment(&Fragment { index, function, ..Fragment::default() }, 0, marked, out);
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

    /// Servers that write reasoning under two names write the same text twice, so the first name wins.
    fn reason(&mut self, delta: &Delta<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        let names = [&delta.reasoning_content, &delta.reasoning, &delta.thinking];
        let text = match names.into_iter().find_map(|text| text.some()) {
            Some(text) => Cow::Borrowed(text),
            None => delta.reasoning_details.0.iter().filter_map(wire::detail_text).collect::<String>().into(),
        };
        if delta.reasoning_content.some().is_some() {
            self.carry.reasoning(&text);
        }
        for detail in &delta.reasoning_details.0 {
            self.carry.detail(detail);
        }
        let text = self.reasoning.join(text, marked);
        if !text.is_empty() {
            self.emit_reasoning(text.into_owned(), out);
        }
    }

    fn say(&mut self, content: Option<Cow<'_, str>>, marked: bool, out: &mut Vec<AgentEvent>) {
        let text = self.text.join(content.unwrap_or_default(), marked);
        if text.is_empty() {
            return;
        }
        if self.think.is_over() {
            return self.emit_text(text.into_owned(), TextKind::Text, out);
        }
        let mut split = std::mem::take(&mut self.split);
        self.think.feed(&text, &mut split);
        self.emit_split(&mut split, out);
        self.split = split;
    }

    fn emit_split(&mut self, split: &mut Vec<(Kind, String)>, out: &mut Vec<AgentEvent>) {
        for (kind, text) in split.drain(..) {
            match kind {
                Kind::Reasoning => self.emit_reasoning(text, out),
                Kind::Text => self.emit_text(text, TextKind::Text, out),
            }
        }
    }

    fn emit_text(&mut self, text: String, kind: TextKind, out: &mut Vec<AgentEvent>) {
        self.begin(out);
        out.push(AgentEvent::TextDelta { message: self.message.clone(), text, kind });
    }

    fn emit_reasoning(&mut self, text: String, out: &mut Vec<AgentEvent>) {
        self.begin(out);
        out.push(AgentEvent::ReasoningDelta { message: self.message.clone(), text });
    }

    pub(super) fn begin(&mut self, out: &mut Vec<AgentEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let role = crate::event::Role::Assistant;
            out.push(AgentEvent::MessageStarted { message: self.message.clone(), role, parent: None });
        }
    }

    fn finish_reason(&mut self, reason: &str) {
        self.stop = Some(match reason.to_ascii_lowercase().as_str() {
            "length" | "max_tokens" | "max_output_tokens" | "model_length" => Stop::Length,
            "tool_calls" | "function_call" | "tool_use" => Stop::ToolCalls,
            "content_filter" | "content-filter" | "safety" | "recitation" => {
                self.filtered = true;
                Stop::Refused
            }
            "abort" | "cancelled" | "canceled" => Stop::Interrupted,
            "error" => Stop::Failed,
            // `stop`, and what servers invent: `eos`, `stop_sequence`, `end_turn` …
            _ => Stop::End,
        });
    }

    fn fail(&mut self, said: &error::Said) {
        self.fault.get_or_insert_with(|| error::fault(said));
        self.done = true;
    }

    /// Tells what was held back: no more text is to come, or none that could make a tag or a character of it.
    pub(super) fn close_text(&mut self, out: &mut Vec<AgentEvent>) {
        let mut split = std::mem::take(&mut self.split);
        if let Some(half) = self.text.rest() {
            self.think.feed(half.encode_utf8(&mut [0; 4]), &mut split);
        }
        self.think.finish(&mut split);
        self.emit_split(&mut split, out);
        if let Some(half) = self.reasoning.rest() {
            self.emit_reasoning(half.into(), out);
        }
    }
}

/// What others wrote into chunks: looks at one before it is taken, may take something out of it, and returns the fault
/// that it means.
pub(super) type Look<'l> = dyn FnMut(&mut Chunk<'_>, &mut Vec<AgentEvent>) -> Option<Fault> + 'l;

/// For the dialects that are chat completions and more.
impl Chat {
    /// Takes a frame whose chunk somebody wants to see first.
    pub(super) fn frame_seen(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>, look: &mut Look<'_>) {
        if self.done {
            return;
        }
        let data = frame.data.trim();
        if data == "[DONE]" {
            self.done = true;
            return;
        }
        let named = !matches!(frame.event.as_str(), "" | "message" | "error" | "data" | "completion" | "chunk");
        if named && !data.contains("\"choices\"") {
            if frame.event != "ping" {
                self.odd.met(&frame.event, out);
            }
            return;
        }
        if frame.event == "error" {
            let said =
                serde_json::from_str(data).ok().and_then(|json| error::read(&json).or_else(|| error::inner(&json)));
            return self
                .fail(&said.unwrap_or_else(|| error::Said { message: error::tidy(data), ..error::Said::default() }));
        }
        if let Ok(Obj(Some(chunk))) = serde_json::from_str(data) {
            return self.seen_chunk(chunk, false, out, look);
        }
        // The slow way forgives lone surrogates and repeated keys.
        let mended = surrogate::mark(data);
        let json: Option<Json> = serde_json::from_str(mended.as_deref().unwrap_or(data)).ok();
        let chunk = json.as_ref().filter(|json| json.is_object()).and_then(|json| Chunk::deserialize(json).ok());
        match (chunk, json.as_ref().and_then(error::read)) {
            (Some(chunk), _) => self.seen_chunk(chunk, mended.is_some(), out, look),
            (None, Some(said)) => self.fail(&said),
            (None, None) => self.odd.met("data that is not a JSON object", out),
        }
    }

    fn seen_chunk(&mut self, mut chunk: Chunk<'_>, marked: bool, out: &mut Vec<AgentEvent>, look: &mut Look<'_>) {
        let fault = look(&mut chunk, out);
        self.chunk(chunk, marked, out);
        if let Some(fault) = fault {
            self.fault.get_or_insert(fault);
        }
    }

    pub(super) fn message(&self) -> &MessageId {
        &self.message
    }

    /// Takes a piece of text that came otherwise than in a chunk.
    pub(super) fn text(&mut self, text: &str, out: &mut Vec<AgentEvent>) {
        self.say(Some(text.into()), false, out);
    }

    /// The model begins to speak anew: what it says may begin with reasoning again.
    pub(super) fn new_round(&mut self, out: &mut Vec<AgentEvent>) {
        self.close_text(out);
        self.think = Think::default();
    }

    /// What was said so far is a message of its own, and the server ran its calls. Returns whether there was any.
    pub(super) fn next_message(&mut self, out: &mut Vec<AgentEvent>) -> bool {
        self.new_round(out);
        if !std::mem::take(&mut self.open) {
            return false;
        }
        self.closed += 1;
        let next = MessageId::new(format!("m{}", self.closed + 1));
        let message = std::mem::replace(&mut self.message, next);
        self.carry = Carry::default();
        out.push(AgentEvent::MessageFinished { message, stop: Stop::ToolCalls, full: None, carry: None });
        true
    }

    /// Returns an id for a call that is not in the chunks; none of theirs will be the same.
    pub(super) fn reserve(&mut self, wanted: &str) -> CallId {
        self.calls.reserve(wanted)
    }

    /// Returns whether the answer came to its end and is no error.
    pub(super) fn is_well(&self) -> bool {
        self.stop.is_some() && self.fault.is_none()
    }

    /// The answer failed; extras may follow.
    pub(super) fn break_off(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// The end mark came, though not as this format has it.
    pub(super) fn end(&mut self, usage: Option<&UsageWire>) {
        self.usage = usage.and_then(UsageWire::read).or(self.usage);
        self.done = true;
    }
}

impl Decode for Chat {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        self.frame_seen(frame, out, &mut |_, _| None);
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        self.close_text(out);
        let reported = self.stop.is_some() || self.done;
        if self.stop == Some(Stop::Failed) && self.fault.is_none() {
            self.fault =
                Some(Fault::new(FaultKind::Upstream, "the server gave up in the middle of its answer; try again"));
        }
        let has_calls = !self.calls.is_empty();
        let stop = match (self.stop, &self.fault) {
            (_, Some(_)) => Stop::Failed,
            _ if !reported => Stop::Interrupted,
            (Some(Stop::End) | None, None) if has_calls => Stop::ToolCalls,
            (Some(Stop::End) | None, None) if self.refused => Stop::Refused,
            (Some(Stop::ToolCalls), None) if !has_calls => Stop::End,
            (Some(stop), None) => stop,
            (None, None) => Stop::End,
        };
        // An answer that ends otherwise than well is a message even if it is empty.
        if !matches!(stop, Stop::End | Stop::Interrupted | Stop::Failed) {
            self.begin(out);
        }
        if let Some(timings) = self.timings.take() {
            let on = if self.open { Subject::Message(self.message.clone()) } else { Subject::Turn("t".into()) };
            self.usage = self.usage.or_else(|| timings.usage());
            out.extend(timings.data().map(|data| AgentEvent::Annotated { on, kind: "timing".into(), data }));
        }
        if self.open {
            if !matches!(stop, Stop::Interrupted | Stop::Failed) {
                self.calls.close(&self.message, out);
            }
            let carry = self.carry.take(has_calls);
            out.push(AgentEvent::MessageFinished { message: self.message.clone(), stop, full: None, carry });
        } else if stop == Stop::End {
            let text = "the model ended its answer without saying anything".to_owned();
            out.push(AgentEvent::Noticed { level: Level::Warn, code: "empty_answer".into(), text });
        }
        if let Some(usage) = self.usage.take() {
            out.push(AgentEvent::UsageReported { scope: Scope::Request(1), usage });
        }
        let end = match (self.fault.take(), stop) {
            (Some(fault), _) => TurnEnd::Failed(fault),
            (None, Stop::Interrupted) => TurnEnd::Interrupted,
            (None, _) if self.filtered => {
                let text = "the provider's content filter stopped this answer; try to say it in another way";
                TurnEnd::Failed(Fault::new(FaultKind::Refused, text))
            }
            _ => TurnEnd::Completed,
        };
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end });
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_settled(&self) -> bool {
        self.done || self.stop.is_some()
    }
}

impl UsageWire {
    pub(super) fn read(&self) -> Option<Usage> {
        let usage = Usage {
            input_tokens: self.prompt_tokens.0.or(self.input_tokens.0).unwrap_or(0),
            output_tokens: self.completion_tokens.0.or(self.output_tokens.0).unwrap_or(0),
            cached_tokens: self
                .prompt_tokens_details
                .0
                .as_ref()
                .and_then(|details| details.cached_tokens.0)
                .or(self.prompt_cache_hit_tokens.0)
                .unwrap_or(0),
            reasoning_tokens: self
                .completion_tokens_details
                .0
                .as_ref()
                .and_then(|details| details.reasoning_tokens.0)
                .unwrap_or(0),
            estimated: false,
        };
        (usage.total() > 0).then_some(usage)
    }
}

impl Timings {
    fn usage(&self) -> Option<Usage> {
        let input = self.prompt_n.0.unwrap_or(0).saturating_add(self.cache_n.0.unwrap_or(0));
        let output = self.predicted_n.0?;
        Some(Usage {
            input_tokens: input,
            output_tokens: output,
            cached_tokens: self.cache_n.0.unwrap_or(0),
            ..Usage::default()
        })
    }

    fn data(&self) -> Option<Json> {
        let pairs = [
            ("prompt_ms", self.prompt_ms.0),
            ("decode_ms", self.predicted_ms.0),
            ("tokens_per_second", self.predicted_per_second.0),
        ];
        let data: serde_json::Map<String, Json> = pairs
            .into_iter()
            .filter_map(|(key, n)| Some((key.to_owned(), json!((n? * 100.0).round() / 100.0))))
            .collect();
        (!data.is_empty()).then_some(Json::Object(data))
    }
}
