//! Ollama's `/api/chat`: one JSON object a line. Arguments are objects, calls arrive whole and have ids only in newer
//! versions, durations are nanoseconds. A stream without its `done` line was cut.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use super::lax::{Args, List, Num, Obj, Text};
use super::odd::Odd;
use super::surrogate::{self, Halves};
use super::think::{Kind, Think};
use super::{Decode, SseFrame, error};
use crate::event::{
    AgentEvent, CallId, Fault, Json, Level, MessageId, RanBy, Role, Scope, Stop, Subject, TextKind, TurnEnd, Usage,
};

/// Calls of one message that are followed.
const MOST_CALLS: usize = 128;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line<'a> {
    #[serde(borrow)]
    message: Obj<Message<'a>>,
    done: Option<bool>,
    #[serde(borrow)]
    done_reason: Text<'a>,
    error: Option<Json>,
    load_duration: Num,
    prompt_eval_count: Num,
    prompt_eval_duration: Num,
    eval_count: Num,
    eval_duration: Num,
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

/// The decoder of one answer.
#[derive(Debug)]
pub struct Ollama {
    message: MessageId,
    open: bool,
    think: Think,
    text: Halves,
    reasoning: Halves,
    calls: Vec<CallId>,
    stop: Option<Stop>,
    usage: Option<Usage>,
    timing: Option<Json>,
    fault: Option<Fault>,
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
            think: Think::default(),
            text: Halves::default(),
            reasoning: Halves::default(),
            calls: Vec::new(),
            stop: None,
            usage: None,
            timing: None,
            fault: None,
            odd: Odd::default(),
        }
    }

    fn line(&mut self, line: Line<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        if let Some(said) = line.error.as_ref().and_then(error::inner) {
            self.fault = Some(error::fault(&said));
            return;
        }
        let is_done = line.done == Some(true);
        let known = is_done || line.message.0.is_some();
        if let Some(message) = line.message.0 {
            let thinking = self.reasoning.join(message.thinking.0.unwrap_or_default(), marked);
            self.emit(Kind::Reasoning, thinking, out);
            let content = self.text.join(message.content.0.unwrap_or_default(), marked);
            self.say(content, out);
            for call in message.tool_calls.0 {
                let Some(function) = call.function.0 else { continue };
                self.call(call.id.some(), &function, out);
            }
        }
        if is_done {
            self.stop = Some(match line.done_reason.some() {
                Some("length") => Stop::Length,
                _ if !self.calls.is_empty() => Stop::ToolCalls,
                _ => Stop::End,
            });
            self.usage = usage(line.prompt_eval_count.0, line.eval_count.0);
            self.timing =
                timing(line.load_duration.0, line.prompt_eval_duration.0, line.eval_duration.0, line.eval_count.0);
        } else if !known {
            self.odd.met("a line without a message", out);
        }
    }

    /// Old versions leave the tags of reasoning in the text.
    fn say(&mut self, content: Cow<'_, str>, out: &mut Vec<AgentEvent>) {
        if content.is_empty() || self.think.is_over() {
            return self.emit(Kind::Text, content, out);
        }
        let mut split = Vec::new();
        self.think.feed(&content, &mut split);
        for (kind, text) in split {
            self.emit(kind, text.into(), out);
        }
    }

    fn emit(&mut self, kind: Kind, text: Cow<'_, str>, out: &mut Vec<AgentEvent>) {
        if text.is_empty() {
            return;
        }
        self.begin(out);
        let (message, text) = (self.message.clone(), text.into_owned());
        out.push(match kind {
            Kind::Reasoning => AgentEvent::ReasoningDelta { message, text },
            Kind::Text => AgentEvent::TextDelta { message, text, kind: TextKind::Text },
        });
    }

    fn begin(&mut self, out: &mut Vec<AgentEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let role = Role::Assistant;
            out.push(AgentEvent::MessageStarted { message: self.message.clone(), role, parent: None });
        }
    }

    fn call(&mut self, id: Option<&str>, function: &FunctionWire<'_>, out: &mut Vec<AgentEvent>) {
        if self.calls.len() >= MOST_CALLS {
            return self.odd.met("more tool calls than are followed", out);
        }
        let mut unique = id.map_or_else(|| format!("call_{}", self.calls.len() + 1), ToOwned::to_owned);
        while self.calls.iter().any(|call| call.as_str() == unique) {
            unique.push_str("_2");
        }
        let call = CallId::new(unique);
        self.begin(out);
        self.calls.push(call.clone());
        let name = function.name.some().unwrap_or_default().to_owned();
        out.push(AgentEvent::ToolCallStarted {
            call: call.clone(),
            message: self.message.clone(),
            name: Some(name.clone()).filter(|name| !name.is_empty()),
            parent: None,
            ran_by: RanBy::Us,
        });
        let args = function.arguments.0.as_deref().unwrap_or("{}").to_owned();
        out.push(AgentEvent::ToolCallReady { call, name, args, carry: None });
    }

    fn close_text(&mut self, out: &mut Vec<AgentEvent>) {
        let mut split = Vec::new();
        if let Some(half) = self.text.rest() {
            self.think.feed(half.encode_utf8(&mut [0; 4]), &mut split);
        }
        self.think.finish(&mut split);
        for (kind, text) in split {
            self.emit(kind, text.into(), out);
        }
        if let Some(half) = self.reasoning.rest() {
            self.emit(Kind::Reasoning, String::from(half).into(), out);
        }
    }
}

impl Decode for Ollama {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        if self.is_done() {
            return;
        }
        if let Ok(Obj(Some(line))) = serde_json::from_str(&frame.data) {
            return self.line(line, false, out);
        }
        let mended = surrogate::mark(&frame.data);
        match mended.as_deref().and_then(|json| serde_json::from_str(json).ok()) {
            Some(Obj(Some(line))) => self.line(line, true, out),
            _ => self.odd.met("a line that is not a JSON object", out),
        }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        self.close_text(out);
        let stop = match (&self.fault, self.stop) {
            (Some(_), _) => Stop::Failed,
            (None, Some(stop)) => stop,
            (None, None) => Stop::Interrupted,
        };
        if let Some(data) = self.timing.take() {
            let on = if self.open { Subject::Message(self.message.clone()) } else { Subject::Turn("t".into()) };
            out.push(AgentEvent::Annotated { on, kind: "timing".into(), data });
        }
        if self.open {
            out.push(AgentEvent::MessageFinished { message: self.message.clone(), stop, full: None, carry: None });
        } else if matches!(stop, Stop::End | Stop::Length) {
            let text = "the model ended its answer without saying anything".to_owned();
            out.push(AgentEvent::Noticed { level: Level::Warn, code: "empty_answer".into(), text });
        }
        if let Some(usage) = self.usage.take() {
            out.push(AgentEvent::UsageReported { scope: Scope::Request(1), usage });
        }
        let end = match (self.fault.take(), stop) {
            (Some(fault), _) => TurnEnd::Failed(fault),
            (None, Stop::Interrupted) => TurnEnd::Interrupted,
            (None, _) => TurnEnd::Completed,
        };
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end });
    }

    fn is_done(&self) -> bool {
        self.fault.is_some() || self.stop.is_some()
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
