//! A turn as the agent bridge of OpenJarvis tells it (version 1.0.2): chat completion chunks with named events of the
//! agent between them.
//!
//! | fact | frame |
//! | --- | --- |
//! | the prompt | `agent_turn_start`, `inference_start` |
//! | text | a chunk with `content`, as it comes: the original waits until its agent is done |
//! | the end of a reply, with its token counts | `inference_end` |
//! | a call runs; a call ended | `tool_call_start`; `tool_call_end`, and `inference_start` after the last one |
//! | the end of the turn | `tool_results`, if there were any, and the chunk with `stop` and the counts |
//! | a turn that failed | one chunk with `stop` and prose: `openjarvis/prose.rs` |
//!
//! Calls that were refused before they ran are only in the results. Durations are seconds, except `latency_ms` and
//! `mean_itl_ms`. Not told: reasoning, sub-agents, how a call is approved, notices, annotations. A log that doesn't say
//! when its calls began to run (older ones) has start and end together.

mod inference;

use serde::Serialize;
use serde_json::json;

use self::inference::Inference;
use super::prose;
use crate::dialect::chat::chunk::{self, Counts, Head};
use crate::dialect::chat::spoken::{self, Piece, Spoken};
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::{AgentEvent, CallId, Envelope, Json, MessageId, Millis, Outcome, RanBy, Stop, Subject};

/// The agent's name in `agent_turn_start`.
const AGENT: &str = "jarvis-tui";
/// Characters of a result in `tool_call_end`.
const RESULT: usize = 10_240;

/// The encoder of one answer.
#[derive(Debug)]
pub struct Bridge {
    head: Head,
    /// Guess of the tokens of the prompt, in case that nobody counts.
    prompt: u64,
    /// Messages that the model is sent with the next request.
    messages: u64,
    spoken: Spoken,
    /// The first chunk was told.
    answering: bool,
    /// The agent's start was told.
    began: bool,
    inference: Option<Inference>,
    /// The reply is over; its token counts may follow.
    replied: bool,
    /// In the order in which the model asked for them.
    calls: Vec<Call>,
    pause: Option<Millis>,
}

#[derive(Debug)]
struct Call {
    id: CallId,
    message: MessageId,
    name: String,
    args: String,
    server: bool,
    /// When its start was told.
    began: Option<Millis>,
    /// Its end was told, or it is known never to run.
    over: bool,
    result: Option<Ended>,
}

#[derive(Debug)]
struct Ended {
    success: bool,
    output: String,
    /// In seconds; none where it never ran.
    latency: Option<f64>,
}

#[derive(Serialize)]
struct Delta<'d> {
    role: Option<&'static str>,
    content: Option<&'d str>,
}

impl Call {
    /// The arguments as an object, or as they are written where they are none.
    fn arguments(&self) -> Json {
        match self.args.trim() {
            "" => json!({}),
            args => serde_json::from_str(args).unwrap_or_else(|_| self.args.clone().into()),
        }
    }
}

impl Bridge {
    /// `messages` counts what the model is sent first, the system prompt included. What the head does not say,
    /// the session does.
    pub fn new(head: Head, prompt: u64, messages: u64) -> Self {
        Self {
            head,
            prompt,
            messages,
            spoken: Spoken::default(),
            answering: false,
            began: false,
            inference: None,
            replied: false,
            calls: Vec::new(),
            pause: None,
        }
    }

    fn chunk(&self, role: Option<&'static str>, content: Option<&str>, out: &mut Vec<SseFrame>) {
        out.push(SseFrame::data(self.head.chunk(&Delta { role, content }, None, Counts::Absent)));
    }

    fn begin_answer(&mut self, out: &mut Vec<SseFrame>) {
        if !std::mem::replace(&mut self.answering, true) {
            self.chunk(Some("assistant"), None, out);
        }
    }

    fn begin(&mut self, input: &str, at: Millis, out: &mut Vec<SseFrame>) {
        if !std::mem::replace(&mut self.began, true) {
            out.push(named("agent_turn_start", &json!({"agent": AGENT, "input": input})));
        }
        self.infer(at, out);
    }

    fn infer(&mut self, at: Millis, out: &mut Vec<SseFrame>) {
        if self.inference.is_none() {
            self.inference = Some(Inference::new(at));
            let start = json!({"model": self.head.model, "message_count": self.messages});
            out.push(named("inference_start", &start));
        }
    }

    /// Tells the end of a reply that is over.
    fn infer_no_more(&mut self, out: &mut Vec<SseFrame>) {
        if std::mem::take(&mut self.replied)
            && let Some(inference) = self.inference.take()
        {
            out.push(named("inference_end", &inference.tell(&self.head.model, &self.calls)));
        }
    }

    fn piece(&mut self, piece: &Piece, first: bool, at: Millis, out: &mut Vec<SseFrame>) {
        if let Some(inference) = &mut self.inference {
            inference.heard(at);
        }
        let (Piece::Text(text) | Piece::Refusal(text)) = piece else { return };
        let words = if first { spoken::words(text) } else { vec![text.as_str()] };
        self.pause = (words.len() > 1).then_some(Millis(spoken::PAUSE));
        for word in words {
            self.chunk(None, Some(word), out);
        }
    }

    fn message(&mut self, fact: &AgentEvent, at: Millis, out: &mut Vec<SseFrame>) {
        match fact {
            AgentEvent::UserMessage { text, .. } => self.begin(text, at, out),
            AgentEvent::MessageStarted { message, .. } if self.spoken.is_open(message) => {
                self.infer_no_more(out);
                self.begin("", at, out);
                self.messages += 1;
                if let Some(inference) = &mut self.inference {
                    inference.messages.insert(message.clone());
                }
            }
            // Beside the text that is told, with its gaps, stands the text as the model wrote it.
            AgentEvent::TextDelta { message, text, .. } => {
                if let Some(inference) =
                    self.inference.as_mut().filter(|inference| inference.messages.contains(message))
                {
                    inference.content.push_str(text);
                }
            }
            // A request that went wrong has no end, as with the original.
            AgentEvent::MessageFinished { stop: Stop::Cancelled | Stop::Interrupted | Stop::Failed, .. } => {}
            AgentEvent::MessageFinished { message, stop, full, .. } => {
                if let Some(inference) =
                    self.inference.as_mut().filter(|inference| inference.messages.contains(message))
                {
                    inference.stop = *stop;
                    inference.ended = Some(at);
                    self.replied = true;
                    if let Some(full) = full {
                        inference.content.clone_from(full);
                    }
                }
            }
            AgentEvent::UsageReported { usage, .. } => {
                if let Some(inference) = &mut self.inference {
                    inference.usage = *usage;
                }
                self.infer_no_more(out);
            }
            _ => {}
        }
    }

    fn call(&mut self, fact: &AgentEvent, at: Millis, out: &mut Vec<SseFrame>) {
        match fact {
            AgentEvent::ToolCallStarted { call, message, name, parent: None, ran_by } => {
                if !self.spoken.is_open(message) {
                    return;
                }
                if let Some(inference) = &mut self.inference {
                    inference.heard(at);
                }
                self.calls.push(Call {
                    id: call.clone(),
                    message: message.clone(),
                    name: name.clone().unwrap_or_default(),
                    args: String::new(),
                    server: *ran_by == RanBy::Server,
                    began: None,
                    over: false,
                    result: None,
                });
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                let Some(call) = self.find(call) else { return };
                name.clone_into(&mut call.name);
                args.clone_into(&mut call.args);
                if call.server {
                    let id = call.id.clone();
                    self.run(&id, at, out);
                }
            }
            AgentEvent::ApprovalResolved { call, decision, .. } if decision.allows() => self.run(call, at, out),
            AgentEvent::ToolOutput { call, .. } => self.run(call, at, out),
            AgentEvent::Annotated { on: Subject::Call(call), kind, .. } if kind == "running" => self.run(call, at, out),
            AgentEvent::ToolCallFinished { call, outcome, output, took } => {
                let ran = took.is_some() || self.find(call).is_some_and(|call| call.began.is_some());
                if ran {
                    self.run(call, at, out);
                }
                self.infer_no_more(out);
                self.finish_call(call, *outcome, &output.text, *took, at, out);
            }
            _ => {}
        }
    }

    fn run(&mut self, call: &CallId, at: Millis, out: &mut Vec<SseFrame>) {
        self.infer_no_more(out);
        let Some(call) = self.find(call).filter(|call| call.began.is_none() && !call.over) else { return };
        call.began = Some(at);
        let start = json!({"tool": call.name, "arguments": call.arguments()});
        out.push(named("tool_call_start", &start));
    }

    fn finish_call(
        &mut self,
        call: &CallId,
        outcome: Outcome,
        output: &str,
        took: Option<Millis>,
        at: Millis,
        out: &mut Vec<SseFrame>,
    ) {
        // What nobody ran and nobody refused has no result.
        let untold = |call: &&mut Call| match outcome {
            Outcome::Requested => true,
            Outcome::Unknown => call.began.is_none(),
            Outcome::Ok | Outcome::Failed | Outcome::Denied | Outcome::Cancelled => false,
        };
        let Some(call) = self.find(call).filter(|call| !untold(call)) else { return };
        let first = call.result.is_none();
        let latency = call.began.map(|began| took.unwrap_or(at.since(began)).as_secs_f64());
        let success = outcome == Outcome::Ok;
        if !std::mem::replace(&mut call.over, true)
            && let Some(latency) = latency
        {
            let end = json!({
                "tool": call.name,
                "success": success,
                "latency": latency,
                "result": output.chars().take(RESULT).collect::<String>(),
                "metadata": {"arguments": call.arguments()},
            });
            out.push(named("tool_call_end", &end));
        }
        let told = call.result.take().and_then(|before| before.latency);
        call.result = Some(Ended { success, output: output.to_owned(), latency: told.or(latency) });
        if first {
            self.messages += 1;
        }
        // The turn goes on only after calls that came to an end.
        let ended = matches!(outcome, Outcome::Ok | Outcome::Failed | Outcome::Denied);
        if first && ended && self.inference.is_none() && self.calls.iter().all(|call| call.over) {
            self.infer(at, out);
        }
    }

    fn find(&mut self, id: &CallId) -> Option<&mut Call> {
        self.calls.iter_mut().rfind(|call| call.id == *id)
    }

    fn finish_reason(&self) -> &'static str {
        match self.spoken.stop {
            Some(Stop::Length) => "length",
            Some(Stop::Refused) if self.spoken.refusal.is_empty() => "content_filter",
            _ => "stop",
        }
    }

    fn end(&mut self, out: &mut Vec<SseFrame>) {
        self.infer_no_more(out);
        if let Some(fault) = self.spoken.fault() {
            let gap = if self.spoken.text.is_empty() { "" } else { "\n\n" };
            let prose = format!("{gap}{}", prose::of(&fault));
            let delta = Delta { role: None, content: Some(&prose) };
            return out.push(SseFrame::data(self.head.chunk(&delta, Some("stop"), Counts::Absent)));
        }
        let results: Vec<Json> = self
            .calls
            .iter()
            .filter_map(|call| Some((call, call.result.as_ref()?)))
            .map(|(call, ended)| {
                // Of what never ran the original says a whole 0.
                let latency = ended.latency.map_or(json!(0), |latency| json!(latency * 1000.0));
                json!({
                    "tool_name": call.name,
                    "success": ended.success,
                    "output": ended.output,
                    "latency_ms": latency,
                })
            })
            .collect();
        if !results.is_empty() {
            out.push(named("tool_results", &json!({"results": results})));
        }
        let usage = self.spoken.usage().unwrap_or_else(|| chunk::guess(self.prompt, &self.spoken.text));
        let delta = Delta { role: None, content: None };
        out.push(SseFrame::data(self.head.chunk(&delta, Some(self.finish_reason()), Counts::Are(usage.into()))));
    }
}

impl Encode for Bridge {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        if self.head.is_known() {
            self.begin_answer(out);
        }
    }

    fn fact(&mut self, told: &Envelope, out: &mut Vec<SseFrame>) {
        self.pause = None;
        if self.spoken.end.is_some() {
            return;
        }
        let (at, fact) = (told.at, &told.event);
        self.head.learn(fact);
        self.begin_answer(out);
        if let Some((piece, first)) = self.spoken.take(fact) {
            self.piece(&piece, first, at, out);
        }
        self.message(fact, at, out);
        self.call(fact, at, out);
        if self.spoken.end.is_some() {
            self.end(out);
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.begin_answer(out);
        if self.spoken.is_cut() {
            self.end(out);
        }
        out.push(SseFrame::data("[DONE]"));
    }

    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Comment
    }

    fn pause(&self) -> Option<Millis> {
        self.pause
    }

    /// The servers that speak this say errors as `detail`; ours say them both ways.
    fn answer(&mut self) -> (u16, Json) {
        if let Some(fault) = self.spoken.fault() {
            let (status, mut body) = chunk::refusal(&fault);
            if let Some(fields) = body.as_object_mut() {
                fields.insert("detail".into(), fault.message.into());
            }
            return (status, body);
        }
        let usage = self.spoken.usage().unwrap_or_else(|| chunk::guess(self.prompt, &self.spoken.text));
        let text = format!("{}{}", self.spoken.text, self.spoken.refusal);
        let message = json!({"role": "assistant", "content": text, "tool_calls": null, "audio": null});
        let mut whole = self.head.whole(&message, self.finish_reason(), usage.into());
        if let Some(fields) = whole.as_object_mut() {
            fields.insert("complexity".into(), Json::Null);
        }
        (200, whole)
    }
}

fn named(event: &str, data: &Json) -> SseFrame {
    SseFrame::named(event, data.to_string())
}

#[cfg(test)]
mod tests;
