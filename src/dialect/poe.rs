//! The stream of the Poe proxy: OpenAI chunks in frames named `delta`, each with a number, between an unnamed `init`
//! and a `complete` that repeats the whole answer.
//!
//! The proxy has one streamer for all its streams. Its numbers go on from stream to stream and its `complete` holds
//! what all of them said, so the repeated text never replaces the streamed one blindly: it only adds what is missing
//! behind a text that began with number 0, or stands in for an answer of which nothing was heard after a resume. An
//! error that the proxy calls recoverable is a notice; one that is not ends the answer, whatever `complete` says. Its
//! `tool_call`s, which the proxy declares and never sends, are states of calls that the server runs where they have a
//! `status`, as from our own server: what is said after them is another message. Without, they are the model's wishes.
//! Reconnecting by number and dropping frames already seen are the transport's.

pub mod encode;

use serde::Deserialize;
use serde_json::json;

use super::chat::Chat;
use super::gather::APART;
use super::lax::{List, Num, Obj, Text};
use super::odd::Odd;
use super::ran::{self, Ran};
use super::surrogate;
use super::{Context, Decode, Dialect, SseFrame, error};
use crate::event::{AgentEvent, Fault, Json, Level, Stop, Subject, TurnEnd};

pub const DIALECT: Dialect = Dialect {
    name: "poe",
    decode: |_: &Context| Box::new(Poe::new()),
    loses: "usage, results and times of calls, except from our own server",
};

/// Bytes of streamed text that are compared with the repeated one.
const MOST_COMPARED: usize = 16 * 1024 * 1024;

/// What frames other than deltas hold.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    error: Option<Json>,
    recoverable: Option<Json>,
    attempt: Num,
    #[serde(borrow)]
    code: Text<'a>,
    truncated: Option<Json>,
    #[serde(borrow)]
    content: Text<'a>,
    tool_calls: List<Json>,
    #[serde(borrow)]
    finish_reason: Text<'a>,
    usage: Option<Json>,
    metadata: Option<Json>,
}

/// The decoder of one answer.
#[derive(Debug, Default)]
pub struct Poe {
    chat: Chat,
    /// The first frame was seen, so nothing was missed before it.
    began: bool,
    /// The number of the first frame that had one.
    first: Option<u64>,
    heard: String,
    has_calls: bool,
    ran: Ran,
    /// The server ran calls since the text before.
    apart: Apart,
    /// There is more than one message.
    several: bool,
    /// The whole text, where `complete` confirmed or completed what was streamed.
    full: Option<String>,
    fault: Option<Fault>,
    /// The server says that it did not fail, it only came to no end.
    unended: Option<TurnEnd>,
    complete: bool,
    odd: Odd,
}

/// What is to be done before the next words are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Apart {
    #[default]
    No,
    /// They are another message.
    Message,
    /// They begin with what keeps messages apart.
    Text,
}

impl Poe {
    pub fn new() -> Self {
        Self::default()
    }

    fn delta(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        if self.apart != Apart::No
            && let Some(chunk) = surrogate::json(&frame.data)
        {
            return self.first_after_calls(chunk, out);
        }
        let from = out.len();
        if frame.data.trim_start().starts_with('{') {
            self.chat.frame(frame, out);
        } else if let Ok(text) = serde_json::from_str::<String>(&frame.data) {
            self.chat.piece(&text, out);
        } else {
            // The proxy passes chunks that are bare strings on as they are.
            self.chat.piece(&frame.data, out);
        }
        self.listen(from, out);
    }

    /// Takes a chunk that may be the first one after calls that the server ran.
    fn first_after_calls(&mut self, mut chunk: Json, out: &mut Vec<AgentEvent>) {
        let delta = chunk.pointer_mut("/choices/0/delta").and_then(Json::as_object_mut);
        let says = delta.as_ref().is_some_and(|delta| {
            ["content", "refusal", "reasoning_content"]
                .iter()
                .any(|key| delta.get(*key).and_then(Json::as_str).is_some_and(|text| !text.is_empty()))
        });
        if says && self.apart == Apart::Message {
            let held = out.len();
            self.several |= self.chat.next_message(out);
            self.listen(held, out);
            self.apart = Apart::Text;
        }
        for key in ["content", "refusal"] {
            let Some(Json::String(text)) = delta.as_ref().and_then(|delta| delta.get(key)) else { continue };
            if text.is_empty() {
                continue;
            }
            self.apart = Apart::No;
            let rest = text.strip_prefix(APART).filter(|_| !self.heard.is_empty()).map(ToOwned::to_owned);
            if let (Some(rest), Some(delta)) = (rest, delta) {
                self.heard.push_str(APART);
                delta.insert(key.into(), rest.into());
            }
            break;
        }
        let from = out.len();
        self.chat.frame(&SseFrame::data(chunk.to_string()), out);
        self.listen(from, out);
    }

    /// Takes note of what was told.
    fn listen(&mut self, from: usize, out: &[AgentEvent]) {
        for event in out.iter().skip(from) {
            match event {
                AgentEvent::TextDelta { text, .. } if self.heard.len() <= MOST_COMPARED => self.heard.push_str(text),
                AgentEvent::ToolCallStarted { .. } => self.has_calls = true,
                _ => {}
            }
        }
    }

    fn error(&mut self, data: &Data<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        let mut error = data.error.clone().unwrap_or_else(|| "no reason given".into());
        surrogate::settle(&mut error, marked);
        let said = error::inner(&error)
            .unwrap_or_else(|| error::Said { message: error::tidy(&error.to_string()), ..error::Said::default() });
        if data.recoverable == Some(Json::Bool(true)) {
            let attempt = data.attempt.0.map_or_else(String::new, |n| format!(" (attempt {n})"));
            let text = format!("the server had trouble{attempt} and goes on: {}", said.message);
            out.push(AgentEvent::Noticed { level: Level::Warn, code: "recoverable".into(), text });
            return;
        }
        let mut fault = error::fault(&said);
        match data.code.some() {
            Some("cancelled") => self.unended = Some(TurnEnd::Cancelled),
            Some("interrupted") => self.unended = Some(TurnEnd::Interrupted),
            Some(code) => fault.kind = serde_json::from_value(code.into()).unwrap_or(fault.kind),
            None => {}
        }
        self.fault.get_or_insert(fault);
    }

    fn complete(&mut self, data: Data<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        self.complete = true;
        let metadata = data.metadata.as_ref();
        let told = || metadata.and_then(|metadata| metadata.get("finish_reason")?.as_str());
        if let Some(word) = data.finish_reason.some().or_else(told) {
            self.chat.ended_for(word, out);
        }
        let usage = data.usage.as_ref().or_else(|| metadata?.get("usage")).cloned();
        let content = surrogate::settled(data.content.0.unwrap_or_default(), marked);
        let held = out.len();
        self.chat.close_text(out);
        self.listen(held, out);
        let from = out.len();
        let is_ours = self.first.is_none_or(|first| first == 0);
        let may_add = is_ours || (!self.began && self.heard.is_empty());
        let is_whole = data.truncated != Some(Json::Bool(true));
        let missing = content
            .strip_prefix(self.heard.as_str())
            .filter(|_| self.heard.len() <= MOST_COMPARED && (is_whole || self.heard.is_empty()));
        if let Some(missing) = missing.filter(|missing| may_add || missing.is_empty()) {
            if !missing.is_empty() {
                self.chat.text(missing, out);
                self.listen(from, out);
            }
            self.full = Some(content.to_string()).filter(|full| !full.is_empty() && is_whole && !self.several);
        }
        if !is_whole && may_add && self.heard.len() <= content.len() {
            let text = "the answer was too long for the server to repeat it whole; a part of it is missing".to_owned();
            out.push(AgentEvent::Noticed { level: Level::Warn, code: "truncated".into(), text });
        }
        if may_add && !self.has_calls && !data.tool_calls.0.is_empty() {
            let (ran, wished): (Vec<_>, Vec<_>) = data.tool_calls.0.into_iter().partition(ran::is_one);
            for call in ran.iter().filter(|call| !self.ran.knows(call)).collect::<Vec<_>>() {
                self.ran(call, out);
            }
            if !wished.is_empty() {
                self.fragments(&wished, out);
            }
        }
        self.chat.end(usage.as_ref());
        let mut about = serde_json::Map::new();
        for key in ["id", "model"] {
            if let Some(word) = data.metadata.as_ref().and_then(|metadata| metadata.get(key)?.as_str()) {
                about.insert(key.into(), surrogate::settled(word.into(), marked).into());
            }
        }
        if !about.is_empty() {
            let data = Json::Object(about);
            out.push(AgentEvent::Annotated { on: Subject::Turn("t".into()), kind: "served_by".into(), data });
        }
    }

    /// Takes pieces of calls that stand outside a chunk.
    fn fragments(&mut self, calls: &[Json], out: &mut Vec<AgentEvent>) {
        let chunk = json!({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]});
        let from = out.len();
        self.chat.frame(&SseFrame::data(chunk.to_string()), out);
        self.listen(from, out);
    }

    fn other(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let data = frame.data.trim();
        let mended = surrogate::lone(data);
        let marked = mended.is_some();
        // The slow way forgives repeated keys.
        let json: Option<Json> = serde_json::from_str(mended.as_deref().unwrap_or(data)).ok();
        let read = json.as_ref().and_then(|json| Obj::<Data<'_>>::deserialize(json).ok()?.0);
        match (frame.event.as_str(), read) {
            ("error", Some(read)) => self.error(&read, marked, out),
            ("error", None) => {
                let said = error::Said { message: error::tidy(data), ..error::Said::default() };
                self.fault.get_or_insert_with(|| error::fault(&said));
            }
            ("complete", Some(read)) => self.complete(read, marked, out),
            ("complete", None) => self.complete = true,
            ("ping", _) => {}
            ("tool_call", Some(_)) => self.tool_call(json.as_ref(), out),
            ("" | "message", Some(read)) if read.kind.some() == Some("init") => self.began = true,
            (_, Some(_)) if data.contains("\"choices\"") => self.delta(frame, out),
            ("" | "message", Some(read)) => self.odd.met(read.kind.some().unwrap_or("a frame without a name"), out),
            ("" | "message", None) => self.odd.met("data that is not a JSON object", out),
            (name, _) => self.odd.met(name, out),
        }
    }

    /// Takes the state of a call that the server runs.
    fn ran(&mut self, call: &Json, out: &mut Vec<AgentEvent>) {
        self.chat.begin(out);
        let message = self.chat.message().clone();
        if let Err(odd) = self.ran.take(call, &message, |id| self.chat.reserve(id), out) {
            self.odd.met(odd, out);
        }
        self.apart = Apart::Message;
    }

    /// A name the proxy declares and never sends: a state, a piece of a call as in a chunk, or a flat one.
    fn tool_call(&mut self, json: Option<&Json>, out: &mut Vec<AgentEvent>) {
        let Some(json) = json else { return };
        if ran::is_one(json) {
            return self.ran(json, out);
        }
        if json.get("function").is_some_and(Json::is_object) {
            return self.fragments(std::slice::from_ref(json), out);
        }
        let arguments = json.get("arguments").or_else(|| json.get("input"));
        let call = json!({
            "id": json.get("id"),
            "function": {"name": json.get("name"), "arguments": arguments},
        });
        self.fragments(&[call], out);
    }
}

impl Decode for Poe {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        if self.complete {
            return;
        }
        let number = frame.id.as_deref().and_then(|id| id.trim().parse().ok());
        self.first = self.first.or(number);
        if frame.event == "delta" { self.delta(frame, out) } else { self.other(frame, out) }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        if let Some(fault) = self.fault.take() {
            self.chat.break_off(fault);
        }
        if self.complete {
            self.chat.end(None);
        }
        let from = out.len();
        self.chat.finish(out);
        for event in out.iter_mut().skip(from) {
            match (event, &self.unended) {
                (AgentEvent::MessageFinished { full, stop, .. }, unended) => {
                    *full = self.full.take();
                    match unended {
                        Some(TurnEnd::Cancelled) => *stop = Stop::Cancelled,
                        Some(_) => *stop = Stop::Interrupted,
                        None => {}
                    }
                }
                (AgentEvent::TurnFinished { end, .. }, Some(unended)) => *end = unended.clone(),
                _ => {}
            }
        }
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.complete
    }

    fn is_settled(&self) -> bool {
        self.complete || self.fault.is_some() || self.chat.is_settled()
    }
}

#[cfg(test)]
mod tests;
