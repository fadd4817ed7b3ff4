//! A turn as chat completion chunks, or as one completion.
//!
//! | fact | frame |
//! | --- | --- |
//! | the start | a chunk with the role |
//! | text, refusal, reasoning | `content`, `refusal`, `reasoning_content` |
//! | a call of one of the client's tools | `tool_calls`: index, id, type and name first, pieces of the arguments after |
//! | the end | a chunk with the finish reason and the token counts, or `{"error": …}` |
//!
//! Calls that are run here, sub-agents, notices and annotations are not told; the texts of all rounds are, with a blank
//! line between. Nothing is named and nothing has an id: the official client takes any named frame for a chunk.
//! Arguments that the model left empty are told as `{}`, for clients that read them as JSON.

use serde::Serialize;
use serde_json::json;

use super::chunk::{self, Counts, Head, Tokens};
use super::spoken::{self, Piece, Spoken};
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::{AgentEvent, CallId, Envelope, FaultKind, Json, Millis, RanBy, Stop, TurnEnd};

/// What the client wants beside the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// The counts come in a chunk of their own, and all other chunks have `"usage": null`.
    pub include_usage: bool,
    /// The tools are the client's: it runs the calls.
    pub calls: bool,
}

/// The encoder of one answer.
#[derive(Debug)]
pub struct Chunks {
    head: Head,
    wants: Wants,
    /// Guess of the tokens of the prompt, in case that nobody counts.
    prompt: u64,
    spoken: Spoken,
    calls: Vec<Call>,
    /// The first chunk was told.
    began: bool,
    pause: Option<Millis>,
}

#[derive(Debug)]
struct Call {
    id: CallId,
    /// Told with the first fragment, which waits for it.
    name: Option<String>,
    args: String,
}

#[derive(Default, Serialize)]
struct Delta<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'d str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Fragment<'d>; 1]>,
}

#[derive(Serialize)]
struct Fragment<'d> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'d str>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    function: Function<'d>,
}

#[derive(Serialize)]
struct Function<'d> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'d str>,
    arguments: &'d str,
}

impl Chunks {
    /// What the head does not say, the session does.
    pub fn new(head: Head, wants: Wants, prompt: u64) -> Self {
        Self { head, wants, prompt, spoken: Spoken::default(), calls: Vec::new(), began: false, pause: None }
    }

    fn begin_answer(&mut self, out: &mut Vec<SseFrame>) {
        if !std::mem::replace(&mut self.began, true) {
            self.delta(&Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, out);
        }
    }

    fn delta(&self, delta: &Delta<'_>, out: &mut Vec<SseFrame>) {
        self.chunk(delta, None, out);
    }

    fn chunk(&self, delta: &Delta<'_>, finish_reason: Option<&'static str>, out: &mut Vec<SseFrame>) {
        let usage = if self.wants.include_usage { Counts::Null } else { Counts::Absent };
        out.push(SseFrame::data(self.head.chunk(delta, finish_reason, usage)));
    }

    fn piece(&mut self, piece: &Piece, first: bool, out: &mut Vec<SseFrame>) {
        match piece {
            Piece::Text(text) => {
                let words = if first { spoken::words(text) } else { vec![text.as_str()] };
                self.pause = (words.len() > 1).then_some(Millis(spoken::PAUSE));
                for word in words {
                    self.delta(&Delta { content: Some(word), ..Delta::default() }, out);
                }
            }
            Piece::Refusal(text) => self.delta(&Delta { refusal: Some(text), ..Delta::default() }, out),
            Piece::Reasoning(text) => self.delta(&Delta { reasoning_content: Some(text), ..Delta::default() }, out),
        }
    }

    fn call(&mut self, fact: &AgentEvent, out: &mut Vec<SseFrame>) {
        match fact {
            AgentEvent::ToolCallStarted { call, name, parent: None, ran_by: RanBy::Us, message }
                if self.spoken.is_open(message) =>
            {
                self.calls.push(Call { id: call.clone(), name: None, args: String::new() });
                if let Some(name) = name {
                    self.begin(self.calls.len() - 1, name, out);
                }
            }
            AgentEvent::ToolArgsDelta { call, json } => {
                let Some(at) = self.at(call) else { return };
                if let Some(call) = self.calls.get_mut(at) {
                    call.args.push_str(json);
                    if call.name.is_some() {
                        self.args(at, json, out);
                    }
                }
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                let Some(at) = self.at(call) else { return };
                let args = if args.trim().is_empty() { "{}" } else { args };
                let Some(call) = self.calls.get_mut(at) else { return };
                let rest = if call.name.is_some() { args.strip_prefix(call.args.as_str()) } else { Some(args) };
                let begun = call.name.is_some();
                args.clone_into(&mut call.args);
                if !begun {
                    self.begin(at, name, out);
                }
                if let Some(rest) = rest.filter(|rest| !rest.is_empty()) {
                    self.args(at, rest, out);
                }
            }
            _ => {}
        }
    }

    fn at(&self, id: &CallId) -> Option<usize> {
        self.calls.iter().rposition(|call| call.id == *id)
    }

    fn begin(&mut self, at: usize, name: &str, out: &mut Vec<SseFrame>) {
        let Some(call) = self.calls.get_mut(at) else { return };
        call.name = Some(name.to_owned());
        let id = call.id.clone();
        let function = Function { name: Some(name), arguments: "" };
        let fragment = Fragment { index: at, id: Some(id.as_str()), kind: Some("function"), function };
        self.delta(&Delta { tool_calls: Some([fragment]), ..Delta::default() }, out);
    }

    fn args(&self, at: usize, arguments: &str, out: &mut Vec<SseFrame>) {
        let function = Function { name: None, arguments };
        let fragment = Fragment { index: at, id: None, kind: None, function };
        self.delta(&Delta { tool_calls: Some([fragment]), ..Delta::default() }, out);
    }

    /// One that never got its name was never told.
    fn told_calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.name.is_some())
    }

    fn tokens(&self) -> Tokens {
        self.spoken.usage().unwrap_or_else(|| chunk::guess(self.prompt, &self.spoken.text)).into()
    }

    /// Returns the finish reason; none where the turn failed. A filter that stopped the answer is a reason and no
    /// failure.
    fn finish_reason(&self) -> Option<&'static str> {
        let filtered = matches!(&self.spoken.end, Some(TurnEnd::Failed(fault)) if fault.kind == FaultKind::Refused)
            && self.spoken.stop.is_some();
        if filtered {
            return Some("content_filter");
        }
        (self.spoken.end == Some(TurnEnd::Completed)).then_some(match self.spoken.stop {
            Some(Stop::Length) => "length",
            Some(Stop::Refused) if self.spoken.refusal.is_empty() => "content_filter",
            _ if self.told_calls().next().is_some() => "tool_calls",
            _ => "stop",
        })
    }

    fn end(&self, out: &mut Vec<SseFrame>) {
        match (self.finish_reason(), self.spoken.fault()) {
            (Some(reason), _) if self.wants.include_usage => {
                self.chunk(&Delta::default(), Some(reason), out);
                out.push(SseFrame::data(self.head.counts(self.tokens())));
            }
            (Some(reason), _) => {
                let usage = Counts::Are(self.tokens());
                out.push(SseFrame::data(self.head.chunk(&Delta::default(), Some(reason), usage)));
            }
            (None, fault) => {
                let error = fault.map(|fault| chunk::refusal(&fault).1);
                out.push(SseFrame::data(error.unwrap_or_default().to_string()));
            }
        }
    }
}

impl Encode for Chunks {
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
        self.head.learn(&told.event);
        self.begin_answer(out);
        if let Some((piece, first)) = self.spoken.take(&told.event) {
            self.piece(&piece, first, out);
        }
        if self.wants.calls {
            self.call(&told.event, out);
        }
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

    fn answer(&mut self) -> (u16, Json) {
        let Some(finish_reason) = self.finish_reason() else {
            return self.spoken.fault().map_or((500, Json::Null), |fault| chunk::refusal(&fault));
        };
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let Spoken { text, refusal, reasoning, .. } = &self.spoken;
        let call = |call: &Call| {
            let function = json!({"name": call.name, "arguments": call.args});
            json!({"id": call.id, "type": "function", "function": function})
        };
        let calls: Vec<Json> = self.told_calls().map(call).collect();
        let content = some(text).or_else(|| (calls.is_empty() && refusal.is_empty()).then(String::new));
        let mut message = json!({"role": "assistant", "content": content, "refusal": some(refusal)});
        if let Some(fields) = message.as_object_mut() {
            fields.extend(some(reasoning).map(|reasoning| ("reasoning_content".to_owned(), reasoning.into())));
            if !calls.is_empty() {
                fields.insert("tool_calls".into(), calls.into());
            }
        }
        (200, self.head.whole(&message, finish_reason, self.tokens()))
    }
}

#[cfg(test)]
mod tests;
