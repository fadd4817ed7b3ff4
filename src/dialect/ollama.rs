//! Ollama's `/api/chat`: one JSON object a line. Arguments are objects, calls arrive whole and have ids only in newer
//! versions, durations are nanoseconds. A stream without its `done` line was cut. `/api/generate` has its words beside
//! the rest of a line.
//!
//! A call is told again if it comes with its id and its arguments once more, or in the last line with both name and
//! arguments of an earlier one.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use super::lax::{Args, List, Num, Obj, Text};
use super::objects::{self, Objects};
use super::odd::Odd;
use super::speech::{Kind, Speech, Voice};
use super::stop::{self, Verdict};
use super::stray::Stray;
use super::surrogate;
use super::{Decode, SseFrame, error};
use crate::event::{
    AgentEvent, CallId, Fault, FaultKind, Json, MessageId, RanBy, Role, Scope, Stop, Subject, TextKind, TurnEnd, Usage,
};

/// Calls of one message that are followed.
const MOST_CALLS: usize = 128;
/// What is told of a line of something else.
const NO_OBJECT: &str = "a line that is not a JSON object";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    message: Obj<Message<'a>>,
    #[serde(borrow)]
    response: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    done: Option<bool>,
    #[serde(borrow)]
    done_reason: Text<'a>,
    error: Option<Json>,
    load_duration: Num,
    prompt_eval_count: Num,
    prompt_eval_duration: Num,
    eval_count: Num,
    eval_duration: Num,
    /// As OpenAI has it, on servers that only resemble this one.
    usage: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    content: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    tool_calls: List<CallWire<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CallWire<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    function: Obj<FunctionWire<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FunctionWire<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Args<'a>,
}

#[derive(Debug)]
struct Call {
    wire_id: Option<String>,
    id: CallId,
    name: String,
    args: String,
}

/// The decoder of one answer.
#[derive(Debug)]
pub struct Ollama {
    message: MessageId,
    open: bool,
    closed: bool,
    text: Speech,
    reasoning: Voice,
    calls: Vec<Call>,
    /// Why it ended, once it did.
    verdict: Option<Verdict>,
    /// Something was said, and something was thought.
    spoke: bool,
    thought: bool,
    usage: Option<Usage>,
    timing: Option<Json>,
    fault: Option<Fault>,
    stray: Stray,
    odd: Odd,
}

impl Default for Ollama {
    fn default() -> Self {
        Self::new()
    }
}

impl Ollama {
    pub fn new() -> Self {
        Self {
            message: "m1".into(),
            open: false,
            closed: false,
            text: Speech::default(),
            reasoning: Voice::default(),
            calls: Vec::new(),
            verdict: None,
            spoke: false,
            thought: false,
            usage: None,
            timing: None,
            fault: None,
            stray: Stray::default(),
            odd: Odd::default(),
        }
    }

    /// Takes a line. Returns false where it is nothing that is known.
    fn line(&mut self, line: Line<'_>, marked: bool, out: &mut Vec<AgentEvent>) -> bool {
        let is_done = line.done == Some(true);
        let mut known = is_done || line.message.0.is_some();
        if line.response.0.is_some() || line.thinking.0.is_some() {
            known = true;
            self.think(line.thinking.0, marked, out);
            self.say(line.response.0, is_done, marked, out);
        }
        if let Some(message) = line.message.0 {
            self.think(message.thinking.0, marked, out);
            self.say(message.content.0, is_done, marked, out);
            for call in message.tool_calls.0 {
                let Some(function) = call.function.0 else { continue };
                self.call(call.id.some(), &function, is_done, out);
            }
        }
        if let Some(said) = line.error.as_ref().and_then(error::inner) {
            self.fault = Some(error::fault(&said));
            return true;
        }
        if is_done {
            let verdict = self.verdict.insert(Verdict::default());
            if let Some(word) = line.done_reason.some() {
                verdict.take(word, out);
            }
            self.fault = verdict.fault();
            let told = line.usage.as_ref().and_then(super::usage::read);
            self.usage = usage(line.prompt_eval_count.0, line.eval_count.0).or(told);
            self.timing =
                timing(line.load_duration.0, line.prompt_eval_duration.0, line.eval_duration.0, line.eval_count.0);
        }
        known
    }

    fn think(&mut self, thinking: Option<Cow<'_, str>>, marked: bool, out: &mut Vec<AgentEvent>) {
        let Some(thinking) = thinking.filter(|text| !text.is_empty()) else { return };
        let thinking = self.text.thought(&self.reasoning.take(thinking, marked));
        self.emit(Kind::Reasoning, thinking, out);
    }

    /// Old versions leave the tags of reasoning in the text.
    fn say(&mut self, content: Option<Cow<'_, str>>, is_last: bool, marked: bool, out: &mut Vec<AgentEvent>) {
        let Some(content) = content.filter(|text| !text.is_empty()) else { return };
        let mut split = Vec::new();
        self.text.take(content, is_last, marked, &mut split);
        for (kind, text) in split {
            self.emit(kind, text, out);
        }
    }

    fn emit(&mut self, kind: Kind, text: String, out: &mut Vec<AgentEvent>) {
        let is_late = kind == Kind::Late;
        if (text.is_empty() && !is_late) || (is_late && (!self.open || !self.calls.is_empty())) {
            return;
        }
        self.begin(out);
        let is_text = kind == Kind::Text;
        self.spoke = (self.spoke && !is_late) || (is_text && !text.trim().is_empty());
        self.thought |= !is_text;
        let message = self.message.clone();
        match kind {
            Kind::Text => out.push(AgentEvent::TextDelta { message, text, kind: TextKind::Text }),
            Kind::Reasoning | Kind::Late if text.is_empty() => {}
            Kind::Reasoning | Kind::Late => out.push(AgentEvent::ReasoningDelta { message, text }),
        }
        if is_late {
            // What was told as text was reasoning; the answer is another message.
            (self.open, self.closed) = (false, true);
            let message = std::mem::replace(&mut self.message, "m2".into());
            out.push(AgentEvent::MessageFinished { message, stop: Stop::End, full: Some(String::new()), carry: None });
        }
    }

    fn begin(&mut self, out: &mut Vec<AgentEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let role = Role::Assistant;
            out.push(AgentEvent::MessageStarted { message: self.message.clone(), role, parent: None });
        }
    }

    fn call(&mut self, id: Option<&str>, function: &FunctionWire<'_>, is_last: bool, out: &mut Vec<AgentEvent>) {
        let name = function.name.some().unwrap_or_default();
        let mut objects = Objects::default();
        objects.push(function.arguments.0.as_deref().unwrap_or("{}"));
        for args in objects.take(false) {
            let is_again = self.calls.iter().any(|call| {
                let is_known = (is_last && id.is_none()) || (id.is_some() && call.wire_id.as_deref() == id);
                is_known && call.name == name && objects::is_same(&call.args, &args)
            });
            if is_again {
                continue;
            }
            if self.calls.len() >= MOST_CALLS {
                return self.odd.met("more tool calls than are followed", out);
            }
            let mut unique = id.map_or_else(|| format!("call_{}", self.calls.len() + 1), ToOwned::to_owned);
            while self.calls.iter().any(|call| call.id.as_str() == unique) {
                unique.push_str("_2");
            }
            let call = CallId::new(unique);
            self.begin(out);
            let (wire_id, name) = (id.map(ToOwned::to_owned), name.to_owned());
            self.calls.push(Call { wire_id, id: call.clone(), name: name.clone(), args: args.clone() });
            out.push(AgentEvent::ToolCallStarted {
                call: call.clone(),
                message: self.message.clone(),
                name: Some(name.clone()).filter(|name| !name.is_empty()),
                parent: None,
                ran_by: RanBy::Us,
            });
            out.push(AgentEvent::ToolCallReady { call, name, args, carry: None });
        }
    }

    fn close_text(&mut self, out: &mut Vec<AgentEvent>) {
        let rest = self.text.thought(&self.reasoning.settle());
        self.emit(Kind::Reasoning, rest, out);
        let mut split = Vec::new();
        self.text.settle(&mut split);
        for (kind, text) in split {
            self.emit(kind, text, out);
        }
    }
}

impl Decode for Ollama {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        if self.is_done() {
            return;
        }
        let Some(frame) = self.stray.line(frame) else { return };
        let odd = if let Ok(Obj(Some(line))) = serde_json::from_str(&frame.data) {
            self.stray.goes_on();
            (!self.line(line, false, out)).then_some("a line without a message")
        } else {
            let mended = surrogate::mark(&frame.data);
            match mended.as_deref().and_then(|json| serde_json::from_str(json).ok()) {
                Some(Obj(Some(line))) => {
                    self.stray.goes_on();
                    (!self.line(line, true, out)).then_some("a line without a message")
                }
                _ => Some(NO_OBJECT),
            }
        };
        let Some(odd) = odd else { return };
        match error::unread(&frame) {
            Some(said) => self.fault = Some(error::fault(&said)),
            None if matches!(frame.data.trim(), "" | "[DONE]") => {}
            None => {
                if odd == NO_OBJECT {
                    self.stray.met(&frame.data);
                }
                self.odd.met(odd, out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        self.close_text(out);
        if !self.is_done() {
            self.fault = self.stray.fault();
        }
        let stop = match (&self.fault, &self.verdict) {
            (Some(_), _) => Stop::Failed,
            (None, Some(verdict)) => verdict.stop_with(!self.calls.is_empty()),
            (None, None) => Stop::Interrupted,
        };
        if stop::is_told(stop) {
            self.begin(out);
        }
        if let Some(data) = self.timing.take() {
            let on = if self.open { Subject::Message(self.message.clone()) } else { Subject::Turn("t".into()) };
            out.push(AgentEvent::Annotated { on, kind: "timing".into(), data });
        }
        // It thought, and that was all.
        if stop == Stop::End && self.thought && !self.spoke {
            out.push(stop::empty());
        }
        if self.open {
            out.push(AgentEvent::MessageFinished { message: self.message.clone(), stop, full: None, carry: None });
        } else if stop == Stop::End && !self.closed && !self.thought {
            out.push(stop::empty());
        }
        if let Some(usage) = self.usage.take() {
            out.push(AgentEvent::UsageReported { scope: Scope::Request(1), usage });
        }
        let end = match (self.fault.take(), stop) {
            (Some(fault), _) => TurnEnd::Failed(fault),
            (None, Stop::Interrupted) => TurnEnd::Interrupted,
            (None, _) if self.verdict.as_ref().is_some_and(Verdict::is_filtered) => {
                TurnEnd::Failed(Fault::new(FaultKind::Refused, stop::FILTERED))
            }
            (None, _) => TurnEnd::Completed,
        };
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.fault.is_some() || self.verdict.is_some()
    }
}

/// The prompt's count is missing when all of it was cached; then the sum is only a guess.
fn usage(prompt: Option<u64>, answer: Option<u64>) -> Option<Usage> {
    let (input_tokens, output_tokens) = (prompt.unwrap_or(0), answer.unwrap_or(0));
    let estimated = prompt.is_none() || answer.is_none();
    (input_tokens.saturating_add(output_tokens) > 0).then(|| Usage {
        input_tokens,
        output_tokens,
        estimated,
        ..Usage::default()
    })
}

fn timing(load: Option<u64>, prompt: Option<u64>, decode: Option<u64>, tokens: Option<u64>) -> Option<Json> {
    let mut data = serde_json::Map::new();
    let round = |n: f64| (n * 100.0).round() / 100.0;
    for (key, nanos) in [("load_ms", load), ("prompt_ms", prompt), ("decode_ms", decode)] {
        if let Some(nanos) = nanos {
            data.insert(key.into(), json!(round(nanos as f64 / 1e6)));
        }
    }
    if let (Some(tokens), Some(nanos @ 1..)) = (tokens, decode) {
        data.insert("tokens_per_second".into(), json!(round(tokens as f64 / nanos as f64 * 1e9)));
    }
    (!data.is_empty()).then_some(Json::Object(data))
}
