//! OpenAI chat completions, as a stream of chunks or as one object. Spoken by most servers, each with its own accent:
//! every field may be missing, null or of another type, and nothing here fails on a word it does not know.
//!
//! A message opens with its first content, not with the empty role chunk; it closes when the stream ends, since usage
//! and even text may follow the finish reason. Call ids are the wire's; where it has none they are `call_1`, ….

mod wire;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use self::wire::{Chunk, Delta, FunctionWire, Timings, UsageWire};
use super::lax::Obj;
use super::odd::Odd;
use super::surrogate::{self, Halves};
use super::think::{Kind, Think};
use super::{Decode, SseFrame, error};
use crate::event::{
    AgentEvent, CallId, Fault, FaultKind, Json, Level, MessageId, RanBy, Scope, Stop, Subject, TextKind, TurnEnd, Usage,
};

/// Calls of one message that are followed. A hostile index must not make us allocate.
const MOST_CALLS: usize = 128;
/// Bytes of arguments that are kept for all calls of a message.
const MOST_ARGS: usize = 16 * 1024 * 1024;
/// Bytes that are kept to be sent back.
const MOST_CARRY: usize = 1024 * 1024;

/// The decoder of one answer.
#[derive(Debug)]
pub struct Chat {
    message: MessageId,
    open: bool,
    think: Think,
    text: Halves,
    reasoning: Halves,
    calls: Vec<Call>,
    args: usize,
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

#[derive(Debug)]
struct Call {
    index: Option<u64>,
    /// The wire's id, where it gave one.
    wire_id: Option<String>,
    told_id: CallId,
    name: String,
    args: String,
    halves: Halves,
    /// Whether its start was told, which waits for the name.
    started: bool,
    carry: Option<Json>,
}

/// What some servers want back with the next request, or they lose their train of thought.
#[derive(Debug, Default)]
struct Carry {
    reasoning_content: String,
    details: Vec<Json>,
    size: usize,
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
            open: false,
            think: Think::default(),
            text: Halves::default(),
            reasoning: Halves::default(),
            calls: Vec::new(),
            args: 0,
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
                self.emit_text(text.into_owned(), TextKind::Refusal, out);
            }
        }
        for (position, fragment) in delta.tool_calls.0.into_iter().enumerate() {
            let carry = fragment.extra_content.filter(Json::is_object).map(|extra| json!({"extra_content": extra}));
            let Some(function) = fragment.function.0 else { continue };
            self.fragment(fragment.index.0, fragment.id.some(), position, function, carry, marked, out);
        }
        if let Some(function) = delta.function_call.0 {
            self.fragment(Some(0), None, 0, function, None, marked, out);
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

    fn begin(&mut self, out: &mut Vec<AgentEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let role = crate::event::Role::Assistant;
            out.push(AgentEvent::MessageStarted { message: self.message.clone(), role, parent: None });
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn fragment(
        &mut self,
        index: Option<u64>,
        id: Option<&str>,
        position: usize,
        function: FunctionWire<'_>,
        carry: Option<Json>,
        marked: bool,
        out: &mut Vec<AgentEvent>,
    ) {
        let name = function.name.some();
        let at = match self.find(index, id, position, name) {
            Some(at) => at,
            None if self.calls.len() < MOST_CALLS => self.add(index, id),
            None => return self.odd.met("more tool calls than are followed", out),
        };
        self.begin(out);
        let Some(call) = self.calls.get_mut(at) else { return };
        if let Some(id) = id.filter(|_| call.wire_id.is_none() && !call.started) {
            call.wire_id = Some(id.to_owned());
            call.told_id = CallId::new(id);
        }
        if call.name.is_empty() {
            call.name.push_str(name.unwrap_or_default());
        }
        call.carry = carry.or(call.carry.take());
        let piece = call.halves.join(function.arguments.0.unwrap_or_default(), marked);
        if self.args.saturating_add(piece.len()) > MOST_ARGS {
            return self.odd.met("tool arguments beyond all measure", out);
        }
        self.args += piece.len();
        call.args.push_str(&piece);
        if call.started {
            if !piece.is_empty() {
                out.push(AgentEvent::ToolArgsDelta { call: call.told_id.clone(), json: piece.into_owned() });
            }
        } else if !call.name.is_empty() {
            call.start(&self.message, out);
        }
    }

    /// Finds the call that a fragment belongs to, by index, else by id, else by position.
    fn find(&self, index: Option<u64>, id: Option<&str>, position: usize, name: Option<&str>) -> Option<usize> {
        let by_id = |id: &str| self.calls.iter().rposition(|call| call.wire_id.as_deref() == Some(id));
        // A fragment that brings a name of its own, to a call that has one, begins another call.
        let is_new = |call: &Call| name.is_some() && !call.name.is_empty();
        if let Some(index) = index {
            let at = self.calls.iter().rposition(|call| call.index == Some(index))?;
            let call = self.calls.get(at)?;
            let other_id = id.is_some() && call.wire_id.is_some() && call.wire_id.as_deref() != id;
            return if other_id && is_new(call) { id.and_then(by_id) } else { Some(at) };
        }
        if let Some(at) = id.and_then(by_id) {
            return Some(at);
        }
        let at = if position > 0 { position } else { self.calls.len().checked_sub(1)? };
        self.calls.get(at).filter(|call| id.is_none() && !is_new(call)).map(|_| at)
    }

    fn add(&mut self, index: Option<u64>, id: Option<&str>) -> usize {
        let at = self.calls.len();
        let taken = |id: &str| self.calls.iter().any(|call| call.told_id.as_str() == id);
        let told_id = match id {
            Some(id) if !taken(id) => CallId::new(id),
            Some(id) => CallId::new(format!("{id}_{}", at + 1)),
            None => CallId::new(format!("call_{}", at + 1)),
        };
        self.calls.push(Call {
            index,
            wire_id: id.map(Into::into),
            told_id,
            name: String::new(),
            args: String::new(),
            halves: Halves::default(),
            started: false,
            carry: None,
        });
        at
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

    fn close_text(&mut self, out: &mut Vec<AgentEvent>) {
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

    fn close_calls(&mut self, out: &mut Vec<AgentEvent>) {
        for call in &mut self.calls {
            if !call.started {
                call.start(&self.message, out);
            }
            call.args.extend(call.halves.rest());
            out.push(AgentEvent::ToolCallReady {
                call: call.told_id.clone(),
                name: std::mem::take(&mut call.name),
                args: std::mem::take(&mut call.args),
                carry: call.carry.take(),
            });
        }
    }
}

impl Call {
    fn start(&mut self, message: &MessageId, out: &mut Vec<AgentEvent>) {
        self.started = true;
        out.push(AgentEvent::ToolCallStarted {
            call: self.told_id.clone(),
            message: message.clone(),
            name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            parent: None,
            ran_by: RanBy::Us,
        });
        if !self.args.is_empty() {
            out.push(AgentEvent::ToolArgsDelta { call: self.told_id.clone(), json: self.args.clone() });
        }
    }
}

impl Carry {
    fn reasoning(&mut self, text: &str) {
        self.size = self.size.saturating_add(text.len());
        if self.size <= MOST_CARRY {
            self.reasoning_content.push_str(text);
        }
    }

    /// Details come in pieces too: those of one index and type are one.
    fn detail(&mut self, detail: &Json) {
        self.size = self.size.saturating_add(detail.to_string().len());
        if self.size > MOST_CARRY {
            return;
        }
        let same = |last: &Json| ["index", "type"].into_iter().all(|key| last.get(key) == detail.get(key));
        let last = self.details.last_mut().filter(|last| detail.get("index").is_some() && same(last));
        let (Some(Json::Object(last)), Json::Object(more)) = (last, detail) else {
            return self.details.push(detail.clone());
        };
        for (key, value) in more {
            match (last.get_mut(key), value) {
                (Some(Json::String(text)), Json::String(more))
                    if matches!(key.as_str(), "text" | "summary" | "data") =>
                {
                    text.push_str(more);
                }
                (Some(_), Json::Null) => {}
                _ => {
                    last.insert(key.clone(), value.clone());
                }
            }
        }
    }

    /// `reasoning_content` is only wanted back inside a tool loop; elsewhere some servers refuse it.
    fn take(&mut self, has_calls: bool) -> Option<Json> {
        if self.size > MOST_CARRY {
            return None;
        }
        if !self.details.is_empty() {
            return Some(json!({"reasoning_details": std::mem::take(&mut self.details)}));
        }
        let text = std::mem::take(&mut self.reasoning_content);
        (has_calls && !text.is_empty()).then(|| json!({"reasoning_content": text}))
    }
}

impl Decode for Chat {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
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
            return self.chunk(chunk, false, out);
        }
        // The slow way forgives lone surrogates and repeated keys.
        let mended = surrogate::mark(data);
        let json: Option<Json> = serde_json::from_str(mended.as_deref().unwrap_or(data)).ok();
        let chunk = json.as_ref().filter(|json| json.is_object()).and_then(|json| Chunk::deserialize(json).ok());
        match (chunk, json.as_ref().and_then(error::read)) {
            (Some(chunk), _) => self.chunk(chunk, mended.is_some(), out),
            (None, Some(said)) => self.fail(&said),
            (None, None) => self.odd.met("data that is not a JSON object", out),
        }
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
                self.close_calls(out);
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
    fn read(&self) -> Option<Usage> {
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
