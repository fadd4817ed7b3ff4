//! enclava's `/responses`: six flat events that borrow the names of OpenAI's. The server runs the tools.
//!
//! `output_item.added` comes after the item's deltas and means "finished"; argument deltas know only the call id, the
//! tool's name comes with the item. One message a round: text and calls, then the outputs of its calls, then the next
//! round. `response.completed` repeats everything and so tells only what was missing. A call id that has its output is
//! free again: seen once more, it is another call. There is no usage, and no sign of life between frames.

pub mod encode;
mod outcome;
mod round;

use serde::Deserialize;

use self::outcome::{fault, result, usage};
use self::round::Round;
use super::lax::{Args, Obj, Text};
use super::objects;
use super::odd::Odd;
use super::stop::{self, Reason};
use super::surrogate::{self, Halves};
use super::{Decode, Dialect, SseFrame, error};
use crate::event::{AgentEvent, CallId, Fault, Json, Outcome, Output, RanBy, Scope, Stop, Subject, TurnEnd, Usage};

/// Calls and messages of one answer that are followed.
const MOST: usize = 512;
/// Items of the closing frame that are read.
const MOST_ITEMS: usize = 4096;
/// Bytes of arguments that are kept for all calls.
const MOST_ARGS: usize = 16 * 1024 * 1024;

/// As `--dialect enclava`.
pub const DIALECT: Dialect = Dialect {
    name: "enclava",
    decode: |_| Box::new(Enclava::new()),
    loses: "usage, durations, and why a tool failed that did not raise: the wire has none of them",
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Piece<'a> {
    #[serde(borrow)]
    delta: Text<'a>,
    #[serde(borrow)]
    item_id: Text<'a>,
    #[serde(borrow)]
    call_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    call_id: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Args<'a>,
    #[serde(borrow)]
    content: Text<'a>,
    output: Option<Json>,
    #[serde(borrow)]
    status: Text<'a>,
}

#[derive(Debug)]
struct Call {
    wire_id: String,
    told: CallId,
    args: String,
    /// Where pieces of them begin that may say all again.
    starts: Vec<usize>,
    halves: Halves,
    is_ready: bool,
    has_output: bool,
    /// The server says the call itself is done, which it only does where nobody runs it.
    is_left: bool,
}

/// The decoder of one answer.
#[derive(Debug, Default)]
pub struct Enclava {
    messages: usize,
    open: Option<Round>,
    /// Wire ids of the messages that are closed.
    closed: Vec<String>,
    calls: Vec<Call>,
    args_size: usize,
    named: bool,
    usage: Option<Usage>,
    completed: bool,
    /// Why an answer that was completed is not whole, as our own server says it.
    cut_short: Option<Stop>,
    fault: Option<Fault>,
    odd: Odd,
}

impl Enclava {
    pub fn new() -> Self {
        Self::default()
    }

    fn event(&mut self, name: &str, data: &str, marked: bool, out: &mut Vec<AgentEvent>) {
        match name {
            "response.output_text.delta" | "response.function_call_arguments.delta" => {
                let Ok(Obj(Some(delta))) = serde_json::from_str::<Obj<Piece<'_>>>(data) else {
                    return self.odd.met("data that is not a JSON object", out);
                };
                if name == "response.output_text.delta" {
                    self.text(&delta, marked, out);
                } else {
                    self.args(&delta, marked, out);
                }
            }
            _ => {
                let Ok(mut json) = serde_json::from_str::<Json>(data) else {
                    if let Some(said) = error::unread(&SseFrame::named(name, data)) {
                        self.fault = Some(fault(&said));
                        return;
                    }
                    return self.odd.met("data that is not a JSON object", out);
                };
                if marked {
                    surrogate::settle(&mut json, true);
                }
                self.whole_event(name, &json, out);
            }
        }
    }

    fn whole_event(&mut self, name: &str, json: &Json, out: &mut Vec<AgentEvent>) {
        match name {
            "response.created" | "response.in_progress" => self.name(json, out),
            // The second name is what OpenAI would say.
            "response.output_item.added" | "response.output_item.done" => match json.get("item") {
                Some(item) if item.is_object() => self.item(item, out),
                _ => self.odd.met("an item without content", out),
            },
            // The second name is what OpenAI would say.
            "response.completed" | "response.incomplete" => self.complete(json, out),
            "response.failed" => self.fail(json),
            // Without an end of its own, the answer is one that was broken off.
            "response.cancelled" => {}
            // A whole answer in place of a stream.
            "" if json.get("object").and_then(Json::as_str) == Some("response") => {
                self.name(json, out);
                self.usage = usage(json);
                match json.get("status").and_then(Json::as_str) {
                    Some("failed") => self.fail(json),
                    _ => self.complete(json, out),
                }
            }
            "" | "message" | "error" => match error::reported(&SseFrame::named(name, json.to_string())) {
                Some(said) => self.fault = Some(fault(&said)),
                None => {
                    self.odd.met(json.get("type").and_then(Json::as_str).unwrap_or("an object without a name"), out);
                }
            },
            _ => self.odd.met(name, out),
        }
    }

    /// Tells once what the server calls the answer.
    fn name(&mut self, json: &Json, out: &mut Vec<AgentEvent>) {
        let pick =
            |key: &str| json.get(key).filter(|value| value.is_string()).map(|value| (key.to_owned(), value.clone()));
        let data: serde_json::Map<String, Json> = ["id", "model"].into_iter().filter_map(pick).collect();
        if !data.is_empty() && !std::mem::replace(&mut self.named, true) {
            let (on, data) = (Subject::Turn("t".into()), Json::Object(data));
            out.push(AgentEvent::Annotated { on, kind: "served_by".into(), data });
        }
    }

    fn text(&mut self, delta: &Piece<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        let Some(piece) = &delta.delta.0 else { return };
        self.message(delta.item_id.some(), out);
        if let Some(open) = &mut self.open {
            open.take(piece.as_ref().into(), marked, &mut self.messages, out);
        }
    }

    fn args(&mut self, delta: &Piece<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        let piece = delta.delta.0.as_deref().unwrap_or_default();
        let Some(at) = self.call_at(delta.call_id.some().unwrap_or_default(), None, out) else { return };
        let Some(call) = self.calls.get_mut(at).filter(|call| !call.is_ready) else { return };
        let piece = call.halves.join(piece.into(), marked);
        if piece.is_empty() {
            return;
        }
        self.args_size = self.args_size.saturating_add(piece.len());
        if self.args_size > MOST_ARGS {
            return self.odd.met("tool arguments that are too large", out);
        }
        objects::note_start(&mut call.starts, call.args.len(), &piece);
        call.args.push_str(&piece);
        out.push(AgentEvent::ToolArgsDelta { call: call.told.clone(), json: piece.into_owned() });
    }

    fn item(&mut self, json: &Json, out: &mut Vec<AgentEvent>) {
        let Ok(item) = Item::deserialize(json) else { return self.odd.met("an item of another shape", out) };
        let call_id = item.call_id.some().or(item.id.some()).unwrap_or_default();
        match item.kind.some() {
            Some("message") => self.message_item(&item, out),
            Some("function_call") => {
                if let Some(at) = self.call_at(call_id, item.name.some(), out) {
                    self.ready(at, &item, out);
                }
            }
            Some("function_call_output") => {
                // Outputs come in the order of the calls.
                let waiting = self.calls.iter().position(|call| call.wire_id == call_id && !call.has_output);
                let at = match waiting {
                    Some(at) => Some(at),
                    None if self.calls.iter().any(|call| call.wire_id == call_id) => None,
                    None => self.call_at(call_id, None, out),
                };
                if let Some(at) = at {
                    self.output(at, &item, out);
                }
            }
            kind => self.odd.met(kind.unwrap_or("an item without a type"), out),
        }
    }

    fn message_item(&mut self, item: &Item<'_>, out: &mut Vec<AgentEvent>) {
        let Some(text) = &item.content.0 else { return };
        if item.id.some().is_some_and(|id| self.closed.iter().any(|closed| closed == id)) {
            return;
        }
        // Said again after the calls of its round, it is the same message.
        let is_known = item.id.some().is_some() && self.open.as_ref().and_then(Round::wire_id) == item.id.some();
        if !is_known {
            self.message(item.id.some(), out);
        }
        if let Some(open) = &mut self.open {
            open.whole(text, &mut self.messages, out);
        }
    }

    /// Returns the position of the call with this id that has no output yet; there is one from now on.
    fn call_at(&mut self, wire_id: &str, name: Option<&str>, out: &mut Vec<AgentEvent>) -> Option<usize> {
        if let Some(at) = self.calls.iter().rposition(|call| call.wire_id == wire_id && !call.has_output) {
            return Some(at);
        }
        if self.calls.len() >= MOST {
            self.odd.met("more tool calls than are followed", out);
            return None;
        }
        let told = self.unique(wire_id);
        let open = self.message(None, out)?;
        open.has_calls = true;
        out.push(AgentEvent::ToolCallStarted {
            call: told.clone(),
            message: open.message.clone(),
            name: name.map(Into::into),
            parent: None,
            ran_by: RanBy::Server,
        });
        self.calls.push(Call {
            wire_id: wire_id.to_owned(),
            told,
            args: String::new(),
            starts: Vec::new(),
            halves: Halves::default(),
            is_ready: false,
            has_output: false,
            is_left: false,
        });
        Some(self.calls.len() - 1)
    }

    fn unique(&self, wire_id: &str) -> CallId {
        let base = if wire_id.is_empty() { "call" } else { wire_id };
        let copies = self.calls.iter().filter(|call| call.wire_id == wire_id).count();
        let mut id = if copies == 0 { base.to_owned() } else { format!("{base}_{}", copies + 1) };
        while self.calls.iter().any(|call| call.told.as_str() == id) {
            id.push('_');
        }
        CallId::new(id)
    }

    fn ready(&mut self, at: usize, item: &Item<'_>, out: &mut Vec<AgentEvent>) {
        let Some(call) = self.calls.get_mut(at) else { return };
        call.is_left |= item.status.some() == Some("completed");
        if std::mem::replace(&mut call.is_ready, true) {
            return;
        }
        let streamed = objects::settled_from(std::mem::take(&mut call.args), std::mem::take(&mut call.starts));
        let streamed = streamed.into_iter().next().unwrap_or_default();
        let args = item.arguments.0.as_deref().map_or(streamed, ToOwned::to_owned);
        let name = item.name.some().unwrap_or_default().to_owned();
        out.push(AgentEvent::ToolCallReady { call: call.told.clone(), name, args, carry: None });
    }

    fn output(&mut self, at: usize, item: &Item<'_>, out: &mut Vec<AgentEvent>) {
        let Some(call) = self.calls.get_mut(at) else { return };
        call.has_output = true;
        // Too late for a name that was lost.
        call.is_ready = true;
        let (outcome, text) = result(item.output.as_ref(), item.status.some());
        let output = Output::of(text);
        out.push(AgentEvent::ToolCallFinished { call: call.told.clone(), outcome, output, took: None });
        if let Some(open) = &mut self.open {
            open.is_over = true;
        }
    }

    /// Returns the message that this content belongs to, and opens it where it is another than the last.
    fn message(&mut self, wire_id: Option<&str>, out: &mut Vec<AgentEvent>) -> Option<&mut Round> {
        let fits = self.open.as_ref().is_some_and(|open| {
            let same = wire_id.is_none() || open.wire_id().is_none() || open.wire_id() == wire_id;
            same && !open.is_over
        });
        if !fits {
            self.close(None, out);
            self.open = Some(Round::begin(&mut self.messages, out));
        }
        let open = self.open.as_mut()?;
        open.named(wire_id);
        Some(open)
    }

    /// Closes the open message, as its round ended or as told.
    fn close(&mut self, stop: Option<Stop>, out: &mut Vec<AgentEvent>) {
        let Some(open) = self.open.take() else { return };
        let wire_id = open.close(stop, &mut self.messages, out);
        if self.closed.len() < MOST {
            self.closed.extend(wire_id);
        }
    }

    /// The closing frame repeats all items: the n-th call of an id is the n-th that was seen.
    fn complete(&mut self, json: &Json, out: &mut Vec<AgentEvent>) {
        self.completed = true;
        self.usage = usage(json).or(self.usage);
        let why = json.pointer("/incomplete_details/reason").and_then(Json::as_str);
        self.cut_short = match why.map(Reason::of) {
            Some(Reason::Filtered | Reason::Refused) => Some(Stop::Refused),
            Some(_) => Some(Stop::Length),
            None if json.get("status").and_then(Json::as_str) == Some("incomplete") => Some(Stop::Length),
            None => None,
        };
        let items = json.get("output").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut seen: Vec<(String, bool)> = Vec::new();
        for value in items.iter().take(MOST_ITEMS) {
            let Ok(item) = Item::deserialize(value) else { continue };
            let is_output = item.kind.some() == Some("function_call_output");
            if !is_output && item.kind.some() != Some("function_call") {
                self.item(value, out);
                continue;
            }
            let wire_id = item.call_id.some().or(item.id.some()).unwrap_or_default();
            let nth = seen.iter().filter(|(id, output)| id == wire_id && *output == is_output).count();
            seen.push((wire_id.to_owned(), is_output));
            let known = self.calls.iter().enumerate().filter(|(_, call)| call.wire_id == wire_id).nth(nth);
            match known.map(|(at, call)| (at, call.has_output)) {
                Some((_, true)) if is_output => {}
                Some((at, false)) if is_output => self.output(at, &item, out),
                Some((at, _)) => self.ready(at, &item, out),
                None => self.item(value, out),
            }
        }
        let text = json.get("output_text").and_then(Json::as_str).unwrap_or_default();
        if self.messages == 0 && !text.is_empty() {
            self.message(None, out);
            if let Some(open) = &mut self.open {
                open.take(text.into(), false, &mut self.messages, out);
            }
        }
    }

    fn fail(&mut self, json: &Json) {
        let said = json.get("error").and_then(error::inner).or_else(|| error::read(json));
        let said = said.unwrap_or_else(|| error::Said { message: "no reason given".into(), ..error::Said::default() });
        self.fault = Some(fault(&said));
    }
}

impl Decode for Enclava {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let data = frame.data.trim();
        // Outputs may follow the end where somebody else runs the calls.
        if self.fault.is_some() || data == "[DONE]" || frame.event == "ping" {
            return;
        }
        if data.is_empty() || frame.event == "error" {
            if frame.event == "error" {
                self.fault = Some(fault(&error::said(data)));
            }
            return;
        }
        match surrogate::mark(data) {
            Some(mended) => self.event(&frame.event, &mended, true, out),
            None => self.event(&frame.event, data, false, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        let fault = self.fault.take();
        let stop = match (&fault, self.completed) {
            (Some(_), _) => Some(Stop::Failed),
            (None, false) => Some(Stop::Interrupted),
            (None, true) => self.cut_short,
        };
        if self.completed && fault.is_none() && self.messages == 0 {
            out.push(stop::empty());
        }
        // What was cut off before its first word is an answer too: its message says how it ended.
        if stop.is_some_and(|stop| self.cut_short == Some(stop)) && self.open.is_none() {
            self.message(None, out);
        }
        self.close(stop, out);
        for call in self.calls.iter().filter(|call| self.completed && call.is_left && !call.has_output) {
            let (call, outcome, output) = (call.told.clone(), Outcome::Requested, Output::default());
            out.push(AgentEvent::ToolCallFinished { call, outcome, output, took: None });
        }
        if let Some(usage) = self.usage.take() {
            out.push(AgentEvent::UsageReported { scope: Scope::Turn, usage });
        }
        let end = match (fault, self.completed) {
            (Some(fault), _) => TurnEnd::Failed(fault),
            (None, true) => TurnEnd::Completed,
            (None, false) => TurnEnd::Interrupted,
        };
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.fault.is_some() || (self.completed && self.calls.iter().all(|call| call.has_output))
    }

    fn is_settled(&self) -> bool {
        self.fault.is_some() || self.completed
    }
}

#[cfg(test)]
mod tests;
