//! OpenAI Responses, the official format and what servers make of it: events name an item by id and position, text and
//! arguments come in pieces and then again as a whole, and the closing event repeats the entire answer.
//!
//! Every repetition tells only what was missing. Functions are the client's to run; the other tools are the server's.
//! Sequence numbers are not needed, and missing ids, positions, or a missing `response` around an object do no harm.

mod carry;
pub mod encode;
mod items;
mod tell;
mod tools;
mod whole;
mod wire;

use std::borrow::Cow;

use serde::Deserialize;

use self::items::{Kind, Voice};
use self::tell::{Tell, streams};
use self::wire::{Event, list_at, text_at};
use super::lax::Obj;
use super::odd::Odd;
use super::stop::{self, Reason};
use super::surrogate;
use super::{Decode, Dialect, SseFrame, error, usage};
use crate::event::{AgentEvent, Fault, FaultKind, Json, Level, Outcome, RanBy, Scope, Stop, Subject, TurnEnd, Usage};

/// Items and parts of one list that are read.
const MOST_LISTED: usize = 4096;

/// As `--dialect openai-responses`.
pub const DIALECT: Dialect = Dialect {
    name: "openai-responses",
    decode: |_| Box::new(Responses::new()),
    loses: "pictures and sound, log probabilities; durations of the server's tools, which the wire does not have",
};

/// How the answer ended, as the wire says.
#[derive(Debug)]
enum End {
    Completed,
    Length,
    Filtered,
    Cut,
    Failed(Fault),
}

/// The decoder of one answer.
#[derive(Debug, Default)]
pub struct Responses {
    tell: Tell,
    named: bool,
    /// The model that was asked, else the one that the wire says.
    model: Option<String>,
    usage: Option<Usage>,
    end: Option<End>,
    odd: Odd,
}

impl Responses {
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a decoder whose carry names the model as it was asked for, so that another model is not sent it.
    pub fn of(model: &str) -> Self {
        Self { model: Some(model.to_owned()), ..Self::default() }
    }

    fn event(&mut self, frame: &SseFrame, mut event: Event<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        if marked {
            event.mend();
        }
        let kind = event.kind.some().unwrap_or_default();
        // enclava's `type` is a short name; the name of the frame is then the better one.
        let is_name = |name: &str| name.starts_with("response.") || name == "error";
        let name = if is_name(&frame.event) || !is_name(kind) { frame.event.as_str() } else { kind };
        match name.strip_prefix("response.") {
            Some(short) => self.response_event(short, &event, &frame.data, marked, out),
            None if name == "error" => self.fail(&error::said(&frame.data)),
            None if matches!(name, "ping" | "keepalive") || matches!(kind, "ping" | "keepalive") => {}
            None if event.object.as_ref().and_then(Json::as_str) == Some("response") => {
                // A whole answer in place of a stream.
                self.lifecycle("", &event, &frame.data, out);
            }
            None => match error::reported(frame) {
                Some(said) => self.fail(&said),
                None if name.is_empty() && kind.is_empty() => self.odd.met("an object without a type", out),
                None => self.odd.met(if name.is_empty() { kind } else { name }, out),
            },
        }
    }

    fn response_event(&mut self, short: &str, event: &Event<'_>, data: &str, marked: bool, out: &mut Vec<AgentEvent>) {
        let (content, summary) = (event.content_index.0.unwrap_or(0), event.summary_index.0.unwrap_or(0));
        let text = || event.text.some().unwrap_or_default();
        match short {
            "output_text.delta" | "audio.transcript.delta" => self.delta(event, Voice::Text, content, marked, out),
            "output_text.done" => self.whole(event, Voice::Text, content, text(), out),
            "refusal.delta" => self.delta(event, Voice::Refusal, content, marked, out),
            "refusal.done" => self.whole(event, Voice::Refusal, content, event.refusal.some().unwrap_or(text()), out),
            "reasoning_text.delta" | "reasoning.delta" => self.delta(event, Voice::Thought, content, marked, out),
            "reasoning_text.done" | "reasoning.done" => self.whole(event, Voice::Thought, content, text(), out),
            "reasoning_summary_text.delta" | "reasoning_summary.delta" => {
                self.delta(event, Voice::Summary, summary, marked, out);
            }
            "reasoning_summary_text.done" | "reasoning_summary.done" => {
                self.whole(event, Voice::Summary, summary, text(), out);
            }
            "content_part.done" | "reasoning_summary_part.done" | "reasoning_part.done" => self.part(short, event, out),
            "function_call_arguments.delta" => self.args(event, "function_call", marked, out),
            "mcp_call_arguments.delta" | "mcp_call.arguments.delta" => self.args(event, "mcp_call", marked, out),
            "custom_tool_call_input.delta" => self.args(event, "custom_tool_call", marked, out),
            "code_interpreter_call_code.delta" | "code_interpreter_call.code.delta" => {
                self.args(event, "code_interpreter_call", marked, out);
            }
            "function_call_arguments.done" => self.args_whole(event, "function_call", out),
            "mcp_call_arguments.done" | "mcp_call.arguments.done" => self.args_whole(event, "mcp_call", out),
            "custom_tool_call_input.done" => self.args_whole(event, "custom_tool_call", out),
            "code_interpreter_call_code.done" | "code_interpreter_call.code.done" => {
                self.args_whole(event, "code_interpreter_call", out);
            }
            "shell_call_output_content.delta" => self.shell_output(event, marked, out),
            "output_item.added" | "output_item.done" => match &event.item {
                Some(item) => whole::item(
                    &mut self.tell,
                    &mut self.odd,
                    item,
                    event.output_index.0,
                    short == "output_item.done",
                    None,
                    out,
                ),
                None => self.odd.met("an item without content", out),
            },
            "output_text.annotation.added" => self.annotation(event, content, out),
            "created" | "queued" | "in_progress" | "completed" | "done" | "incomplete" | "failed" | "cancelled" => {
                self.lifecycle(short, event, data, out);
            }
            "compaction.compacting" => {
                let text = "the server shortens the conversation to go on".to_owned();
                out.push(AgentEvent::Noticed { level: Level::Info, code: "compacting".into(), text });
            }
            "error" => self.fail(&error::said(data)),
            "audio.delta" => self.odd.met("sound", out),
            // Announcements without content of their own.
            "content_part.added" | "reasoning_summary_part.added" | "reasoning_part.added" => {}
            "audio.done" | "audio.transcript.done" => {}
            "shell_call_command.added" | "shell_call_command.delta" | "shell_call_command.done" => {}
            "shell_call_output_content.done" => {}
            _ => self.progress(short, event, out),
        }
    }

    /// Steps of the server's tools, such as `web_search_call.searching`.
    fn progress(&mut self, short: &str, event: &Event<'_>, out: &mut Vec<AgentEvent>) {
        let Some((tool, step)) = short.rsplit_once('.') else { return self.odd.met(&format!("response.{short}"), out) };
        let steps = ["in_progress", "searching", "generating", "interpreting", "partial_image", "completed", "failed"];
        if Kind::of(tool) != Some(Kind::Call) || !steps.contains(&step) {
            return self.odd.met(&format!("response.{short}"), out);
        }
        let ended = match step {
            "completed" => Some(true),
            "failed" => Some(false),
            _ => return,
        };
        let at = self.tell.items.find(event.item_id.some(), event.output_index.0, Kind::Call);
        if let Some(call) = at.and_then(|at| self.tell.items.call(at)).filter(|call| call.tool == tool) {
            call.ended = ended;
        }
    }

    /// Finds the item that an event is about. It is made up where its announcement was lost.
    fn about(&mut self, event: &Event<'_>, kind: Kind, tool: &str, out: &mut Vec<AgentEvent>) -> Option<usize> {
        let (id, index) = (event.item_id.some(), event.output_index.0);
        let items = &mut self.tell.items;
        let by_call = if kind == Kind::Call { event.call_id.some().and_then(|id| items.find_call(id)) } else { None };
        if let Some(at) = by_call.or_else(|| items.find(id, index, kind)) {
            return Some(at);
        }
        let added = items.add(id, index, kind, tool);
        match added.and_then(|at| items.call(at)) {
            Some(call) => call.wire_id = event.call_id.some().map(Into::into),
            None if added.is_none() => self.odd.met("more output items than are followed", out),
            None => {}
        }
        added
    }

    fn delta(&mut self, event: &Event<'_>, voice: Voice, index: u64, marked: bool, out: &mut Vec<AgentEvent>) {
        let Some(piece) = event.delta.0.as_deref().filter(|piece| !piece.is_empty()) else { return };
        if let Some(at) = self.about(event, kind_of(voice), "", out) {
            self.tell.piece(at, voice, index, Cow::Borrowed(piece), marked, out);
        }
    }

    fn whole(&mut self, event: &Event<'_>, voice: Voice, index: u64, text: &str, out: &mut Vec<AgentEvent>) {
        if text.is_empty() {
            return;
        }
        if let Some(at) = self.about(event, kind_of(voice), "", out) {
            self.tell.whole(at, voice, index, text, out);
        }
    }

    /// A part that is complete says the same once more.
    fn part(&mut self, short: &str, event: &Event<'_>, out: &mut Vec<AgentEvent>) {
        let Some(part) = &event.part else { return };
        let is_summary = short == "reasoning_summary_part.done";
        let index = if is_summary { event.summary_index.0 } else { event.content_index.0 };
        if let Some((voice, text)) = whole::part_text(part, is_summary) {
            self.whole(event, voice, index.unwrap_or(0), text, out);
        }
    }

    fn args(&mut self, event: &Event<'_>, tool: &str, marked: bool, out: &mut Vec<AgentEvent>) {
        let Some(piece) = event.delta.0.as_deref().filter(|piece| !piece.is_empty()) else { return };
        let Some(at) = self.about(event, Kind::Call, tool, out) else { return };
        if self.tell.args(at, Cow::Borrowed(piece), marked, out).is_err() {
            self.odd.met("tool arguments that are too large", out);
        }
    }

    /// The arguments are whole, but only the item says whether the call is.
    fn args_whole(&mut self, event: &Event<'_>, tool: &str, out: &mut Vec<AgentEvent>) {
        let Some(at) = self.about(event, Kind::Call, tool, out) else { return };
        let text = event.input.some().or(event.code.some());
        let whole = match tools::text_key(tool) {
            Some(key) => text.map(|text| serde_json::json!({ key: text }).to_string()),
            None => event.arguments.0.as_deref().filter(|args| !args.is_empty()).map(Into::into),
        };
        if let Some(whole) = whole {
            self.tell.args_whole(at, whole, out);
        }
        if let Some((call, name)) = self.tell.items.call(at).zip(event.name.some())
            && call.name.is_empty()
        {
            name.clone_into(&mut call.name);
        }
    }

    fn shell_output(&mut self, event: &Event<'_>, marked: bool, out: &mut Vec<AgentEvent>) {
        let at = self.tell.items.find(event.item_id.some(), event.output_index.0, Kind::Output);
        let target = at.and_then(|at| self.tell.items.get(at)?.target);
        let Some((target, delta)) = target.zip(event.delta.0.as_deref()) else { return };
        for (stream, text) in streams(delta, marked) {
            self.tell.output(target, stream, &text, out);
        }
    }

    fn annotation(&mut self, event: &Event<'_>, content: u64, out: &mut Vec<AgentEvent>) {
        let Some(annotation) = &event.annotation else { return };
        let Some(at) = self.about(event, Kind::Message, "", out) else { return };
        if let Some(part) = self.tell.items.get(at).and_then(|item| item.part(Voice::Text, content)) {
            part.is_cited = true;
        }
        self.tell.cite(at, annotation, out);
    }

    fn lifecycle(&mut self, short: &str, event: &Event<'_>, data: &str, out: &mut Vec<AgentEvent>) {
        let flat: Option<Json> = match &event.response {
            Some(Json::Object(_)) => None,
            _ => surrogate::mark(data).map_or_else(
                || serde_json::from_str(data).ok(),
                |mended| {
                    let mut json = serde_json::from_str(&mended).ok()?;
                    surrogate::settle(&mut json, true);
                    Some(json)
                },
            ),
        };
        let Some(response) = flat.as_ref().or(event.response.as_ref()) else { return };
        self.name(response, out);
        self.usage = usage::later(self.usage, response.get("usage").and_then(usage::read));
        let status = text_at(response, "status").unwrap_or_default();
        let word = match (short, status) {
            ("created" | "queued" | "in_progress", _) => return,
            ("" | "done", "") => "completed",
            ("" | "done", status) => status,
            // The word of the object counts where the two differ.
            ("completed", "incomplete" | "failed" | "cancelled") | ("incomplete", "cancelled") => status,
            (short, _) => short,
        };
        let items = list_at(response, "output");
        let mut kinds: Vec<Kind> = Vec::new();
        for (position, item) in items.iter().enumerate().take(MOST_LISTED) {
            let kind = text_at(item, "type").and_then(Kind::of);
            let nth = kind.map(|kind| kinds.iter().filter(|known| **known == kind).count());
            kinds.extend(kind);
            // A failed answer lists what it had begun as well.
            let done = word != "failed" || text_at(item, "status") == Some("completed");
            whole::item(&mut self.tell, &mut self.odd, item, Some(position as u64), done, nth, out);
        }
        self.end = Some(match word {
            "failed" => End::Failed(failure(response)),
            "cancelled" => End::Cut,
            "incomplete" => match response.pointer("/incomplete_details/reason").and_then(Json::as_str) {
                None => End::Length,
                Some(word) => match Reason::of(word) {
                    Reason::Filtered | Reason::Refused => End::Filtered,
                    Reason::Length => End::Length,
                    _ if word.contains("max") || word.contains("length") => End::Length,
                    _ => End::Cut,
                },
            },
            "in_progress" | "queued" => End::Cut,
            _ => End::Completed,
        });
    }

    /// Tells once what the server calls the answer.
    fn name(&mut self, response: &Json, out: &mut Vec<AgentEvent>) {
        let pick = |key: &str| Some((key.to_owned(), Json::from(text_at(response, key)?)));
        let data: serde_json::Map<String, Json> = ["id", "model"].into_iter().filter_map(pick).collect();
        self.model = self.model.take().or_else(|| text_at(response, "model").map(Into::into));
        if !data.is_empty() && !std::mem::replace(&mut self.named, true) {
            let (on, data) = (Subject::Turn("t".into()), Json::Object(data));
            out.push(AgentEvent::Annotated { on, kind: "served_by".into(), data });
        }
    }

    fn fail(&mut self, said: &error::Said) {
        self.end = Some(End::Failed(error::fault(said)));
    }

    /// Ends the calls that the wire left open, where the answer ended well.
    fn settle(&mut self, out: &mut Vec<AgentEvent>) {
        for at in 0..self.tell.items.list.len() {
            let Some(call) = self.tell.items.call(at).filter(|call| !call.is_finished) else { continue };
            let (ran_by, ended, is_ready, is_shell) =
                (call.ran_by(), call.ended, call.is_ready, call.tool == "shell_call");
            let is_done = self.tell.items.get(at).is_some_and(|item| item.is_done);
            if ran_by == RanBy::Us {
                // Its item never came; the closing event says that the answer is whole all the same.
                if !is_done && matches!(self.end, Some(End::Completed)) {
                    self.tell.ready(at, None, out);
                }
            } else if let Some(ended) = ended {
                self.tell.finish_call(at, if ended { Outcome::Ok } else { Outcome::Failed }, String::new(), out);
            } else if is_shell && is_ready {
                // A shell at the client's side, which this program does not offer.
                self.tell.finish_call(at, Outcome::Requested, String::new(), out);
            }
        }
    }
}

impl Decode for Responses {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        if self.end.is_some() {
            return;
        }
        let data = frame.data.trim();
        if data == "[DONE]" {
            self.end = Some(End::Completed);
            return;
        }
        if let Ok(Obj(Some(event))) = serde_json::from_str(data) {
            return self.event(frame, event, false, out);
        }
        // The slow way forgives lone surrogates and repeated keys.
        let mended = surrogate::mark(data);
        let json: Option<Json> = serde_json::from_str(mended.as_deref().unwrap_or(data)).ok();
        match json.as_ref().filter(|json| json.is_object()).and_then(|json| Event::deserialize(json).ok()) {
            Some(event) => self.event(frame, event, mended.is_some(), out),
            None if frame.event == "error" => self.fail(&error::said(data)),
            None if data.is_empty() => {}
            None => match error::unread(frame) {
                Some(said) => self.fail(&said),
                None => self.odd.met("data that is not a JSON object", out),
            },
        }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        if matches!(self.end, Some(End::Completed | End::Length)) {
            self.settle(out);
        }
        let (stop, end) = match self.end.take() {
            Some(End::Completed) => (self.tell.stop(), TurnEnd::Completed),
            Some(End::Length) => (Stop::Length, TurnEnd::Completed),
            Some(End::Filtered) => (Stop::Refused, TurnEnd::Failed(Fault::new(FaultKind::Refused, stop::FILTERED))),
            Some(End::Failed(fault)) => (Stop::Failed, TurnEnd::Failed(fault)),
            Some(End::Cut) | None => (Stop::Interrupted, TurnEnd::Interrupted),
        };
        if self.tell.is_empty() && stop == Stop::End {
            out.push(stop::empty());
        }
        // An answer that ends otherwise than well is a message even if it is empty.
        if self.tell.is_empty() && matches!(stop, Stop::Length | Stop::Refused) {
            self.tell.begin(out);
        }
        self.tell.close(Some(stop), self.model.as_deref(), out);
        if let Some(usage) = self.usage.take() {
            out.push(AgentEvent::UsageReported { scope: Scope::Request(1), usage });
        }
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end });
    }

    fn has_failed(&self) -> bool {
        matches!(self.end, Some(End::Failed(_)))
    }

    fn is_done(&self) -> bool {
        self.end.is_some()
    }
}

fn kind_of(voice: Voice) -> Kind {
    match voice {
        Voice::Text | Voice::Refusal => Kind::Message,
        Voice::Summary | Voice::Thought => Kind::Reasoning,
    }
}

fn failure(response: &Json) -> Fault {
    match response.get("error").and_then(error::inner) {
        Some(said) => error::fault(&said),
        None => Fault::new(FaultKind::Upstream, "the server gave up on its answer and did not say why; try again"),
    }
}

#[cfg(test)]
mod tests;
