//! Warp blocks, one JSON object a line. While it streams, a text block is a piece and a tool block the whole state of
//! its call so far; the last line repeats everything whole, and replaces. Kinds of blocks that are not text are shown as
//! what they are: code as code, the rest laid out. Why the answer ended stands beside the blocks, as `finish_reason`,
//! and only where it is not whole.
//!
//! Nobody runs the calls: they are the model's wishes. From our own server they come with a `status`, and it runs them:
//! what is said after them is another message.

mod blocks;
mod call;
pub mod encode;

use self::blocks::{kind, shown, stand_apart, text_of};
use self::call::Call;
use super::gather::APART;
use super::objects::{self, begins_object};
use super::odd::Odd;
use super::ran::{self, Ran};
use super::speech::{Kind, Speech, words};
use super::stop::{self, Verdict};
use super::stray::Stray;
use super::tree::Tree;
use super::{Decode, SseFrame, error, surrogate, usage};
use crate::event::{
    AgentEvent, CallId, Fault, FaultKind, Json, Level, MessageId, Role, Scope, Stop, TextKind, TurnEnd, Usage,
};

/// Calls that are followed.
const MOST_CALLS: usize = 128;
/// Bytes of text, and of arguments, that are kept to be compared with the last line.
const KEPT: usize = 16 * 1024 * 1024;

/// Where a line says why the answer ended.
const REASONS: &[&str] = &["finish_reason", "stop_reason", "done_reason"];

/// The decoder of one answer.
#[derive(Debug)]
pub struct Warp {
    message: MessageId,
    /// Messages that were closed before the end.
    closed: u32,
    /// One of them said something that the last line says again.
    several: bool,
    /// The server ran calls since the text before.
    after_calls: bool,
    ran: Ran,
    open: bool,
    speech: Speech,
    /// The text so far, and whether it is all of it.
    text: String,
    cut: bool,
    /// The block before was not text, so the next one stands apart.
    apart: bool,
    /// There were blocks that are not text.
    mixed: bool,
    calls: Vec<Call>,
    full: Option<String>,
    verdict: Verdict,
    usage: Option<Usage>,
    fault: Option<Fault>,
    stray: Stray,
    /// The server says that it did not fail, it only came to no end.
    unended: Option<TurnEnd>,
    done: bool,
    odd: Odd,
}

impl Default for Warp {
    fn default() -> Self {
        Self::new()
    }
}

impl Warp {
    pub fn new() -> Self {
        Self {
            message: "m1".into(),
            closed: 0,
            several: false,
            after_calls: false,
            ran: Ran::default(),
            open: false,
            speech: Speech::default(),
            text: String::new(),
            cut: false,
            apart: false,
            mixed: false,
            calls: Vec::new(),
            full: None,
            verdict: Verdict::default(),
            usage: None,
            fault: None,
            stray: Stray::default(),
            unended: None,
            done: false,
            odd: Odd::default(),
        }
    }

    fn line(&mut self, event: &str, line: &Tree<'_>, out: &mut Vec<AgentEvent>) {
        let Some(Tree::List(blocks)) = line.get("blocks") else {
            match error::reported(&SseFrame::named(event, line.to_json().to_string())) {
                Some(said) => self.fault = Some(error::fault(&said)),
                None => self.odd.met("a line without blocks", out),
            }
            return;
        };
        let flag = |key: &str| line.get(key).and_then(Tree::as_bool);
        let is_last = flag("complete") == Some(true) || flag("streaming") != Some(true);
        self.usage = usage::later(self.usage, line.get("usage").and_then(|wire| usage::read(&wire.to_json())));
        if let Some(word) = REASONS.iter().find_map(|key| reason(line.get(key))) {
            self.verdict.take(word, out);
        }
        if line.get("actions").is_some_and(|actions| !actions.list().is_empty()) {
            self.odd.met("actions beside the blocks", out);
        }
        let mut nth = 0;
        let mut tools = Vec::new();
        let mut whole = String::new();
        for block in blocks {
            match kind(block) {
                "tool_call" => {
                    let tool = block.get("tool").unwrap_or(block);
                    let told = tool.to_json();
                    if ran::is_one(&told) {
                        // The last line tells them all again, and before it the text: nothing new is left of those.
                        if !is_last || !self.ran.knows(&told) {
                            tools.push(told);
                        }
                    } else {
                        self.call(tool, nth, out);
                        nth += 1;
                    }
                }
                "error" => self.error(&block.to_json(), out),
                "text" if is_last => whole.push_str(text_of(block)),
                "text" => self.piece(text_of(block), out),
                _ if is_last => {
                    stand_apart(&mut whole);
                    whole.push_str(&shown(block));
                    whole.push_str("\n\n");
                }
                _ => {
                    let block = shown(block);
                    self.block(&block, out);
                }
            }
        }
        if is_last {
            self.last(&whole, flag("truncated") != Some(true), out);
        }
        for tool in tools {
            self.ran(&tool, out);
        }
    }

    /// Takes the state of a call that the server runs.
    fn ran(&mut self, tool: &Json, out: &mut Vec<AgentEvent>) {
        self.begin(out);
        let (message, taken) = (self.message.clone(), &self.calls);
        let unique = |id: &str| {
            let mut id = id.to_owned();
            while taken.iter().any(|call| call.id.as_str() == id) {
                id.push_str("_2");
            }
            CallId::new(id)
        };
        if let Err(odd) = self.ran.take(tool, &message, unique, out) {
            self.odd.met(odd, out);
        }
        self.after_calls = true;
    }

    fn error(&mut self, block: &Json, out: &mut Vec<AgentEvent>) {
        let said = error::inner(block).or_else(|| block.get("text").and_then(error::inner));
        let message = said.map_or_else(|| block.to_string(), |said| said.message);
        if block.get("recoverable").and_then(Json::as_bool) == Some(true) {
            let text = format!("the server had trouble and goes on: {message}");
            out.push(AgentEvent::Noticed { level: Level::Warn, code: "recoverable".into(), text });
            return;
        }
        let code = block.get("code").and_then(Json::as_str).unwrap_or_default();
        match code {
            "cancelled" => self.unended = Some(TurnEnd::Cancelled),
            "interrupted" => self.unended = Some(TurnEnd::Interrupted),
            _ => {}
        }
        let kind = serde_json::from_value(code.into()).unwrap_or(FaultKind::Upstream);
        self.fault.get_or_insert(Fault::new(kind, message));
    }

    fn piece(&mut self, text: &str, out: &mut Vec<AgentEvent>) {
        let text = if std::mem::take(&mut self.after_calls) { self.next_message(text, out) } else { text };
        if text.is_empty() {
            return;
        }
        if std::mem::take(&mut self.apart) {
            self.emit("\n\n", out);
        }
        let mut split = Vec::new();
        self.speech.take(text.into(), false, false, &mut split);
        self.emit_split(split, out);
    }

    /// What was said so far is a message of its own. Returns the text without what keeps it apart.
    fn next_message<'t>(&mut self, text: &'t str, out: &mut Vec<AgentEvent>) -> &'t str {
        self.settle(out);
        self.speech = Speech::default();
        self.several |= self.open;
        self.close(Stop::ToolCalls, None, out);
        let rest = text.strip_prefix(APART).filter(|_| !self.text.is_empty());
        if rest.is_some() {
            self.keep(APART);
        }
        rest.unwrap_or(text)
    }

    /// Tells what was held back: no more of this text is to come.
    fn settle(&mut self, out: &mut Vec<AgentEvent>) {
        let mut split = Vec::new();
        self.speech.settle(&mut split);
        self.emit_split(split, out);
    }

    /// Closes the open message before the end; what follows is another one.
    fn close(&mut self, stop: Stop, full: Option<String>, out: &mut Vec<AgentEvent>) {
        if std::mem::take(&mut self.open) {
            self.closed += 1;
            let next = MessageId::new(format!("m{}", self.closed + 1));
            let message = std::mem::replace(&mut self.message, next);
            out.push(AgentEvent::MessageFinished { message, stop, full, carry: None });
        }
    }

    fn block(&mut self, text: &str, out: &mut Vec<AgentEvent>) {
        self.settle(out);
        self.speech = Speech::default();
        self.mixed = true;
        if !self.text.is_empty() {
            self.emit("\n\n", out);
        }
        self.emit(text, out);
        self.apart = true;
    }

    fn emit_split(&mut self, split: Vec<(Kind, String)>, out: &mut Vec<AgentEvent>) {
        for (kind, text) in split {
            match kind {
                Kind::Text => self.emit(&text, out),
                Kind::Late if !self.open || self.mixed || !self.calls.is_empty() => {}
                Kind::Reasoning | Kind::Late => {
                    self.begin(out);
                    if !text.is_empty() {
                        out.push(AgentEvent::ReasoningDelta { message: self.message.clone(), text });
                    }
                    // What was told as text was reasoning; the answer is another message.
                    if kind == Kind::Late {
                        self.text = String::new();
                        self.close(Stop::End, Some(String::new()), out);
                    }
                }
            }
        }
    }

    fn emit(&mut self, text: &str, out: &mut Vec<AgentEvent>) {
        self.begin(out);
        self.keep(text);
        out.push(AgentEvent::TextDelta { message: self.message.clone(), text: text.to_owned(), kind: TextKind::Text });
    }

    fn keep(&mut self, text: &str) {
        if self.text.len().saturating_add(text.len()) <= KEPT {
            self.text.push_str(text);
        } else {
            self.cut = true;
        }
    }

    fn begin(&mut self, out: &mut Vec<AgentEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let role = Role::Assistant;
            out.push(AgentEvent::MessageStarted { message: self.message.clone(), role, parent: None });
        }
    }

    /// The whole answer once more. What was not streamed before is told now.
    fn last(&mut self, whole: &str, is_all: bool, out: &mut Vec<AgentEvent>) {
        self.done = true;
        let whole = whole.trim_end_matches('\n');
        let is_first = self.text.is_empty() && !self.cut && !self.several;
        if is_first || (is_all && !self.mixed && !self.several && !self.cut) {
            let mut split = Vec::new();
            let is_known = self.speech.whole(whole, &mut split);
            self.emit_split(split, out);
            if is_known {
                return self.settle(out);
            }
        }
        self.settle(out);
        let answer = words(whole);
        let differs = || self.cut || answer.trim_end() != self.text.trim_end();
        if !answer.is_empty() && is_all && !self.several && differs() {
            self.full = Some(answer);
        }
    }

    /// Takes the state of the n-th call of a line.
    fn call(&mut self, tool: &Tree<'_>, nth: usize, out: &mut Vec<AgentEvent>) {
        let text = |json: &Tree<'_>, key: &str| json.get(key).and_then(Tree::as_str).unwrap_or_default().to_owned();
        let function = tool.get("function").unwrap_or(tool);
        let (wire_id, name) = (text(tool, "id"), text(function, "name"));
        let args = match function.get("arguments") {
            None | Some(Tree::Null) => String::new(),
            Some(Tree::Text(text)) => text.clone().into_owned(),
            Some(args) => args.to_json().to_string(),
        };
        let by_id = self.calls.iter().position(|call| !wire_id.is_empty() && call.wire_id == wire_id);
        // A call may get its id later than its first state.
        let by_place = || self.calls.get(nth).filter(|call| wire_id.is_empty() || call.wire_id.is_empty()).map(|_| nth);
        let at = match by_id.or_else(by_place) {
            Some(at) => at,
            None if self.calls.len() < MOST_CALLS => self.add(wire_id),
            None => return self.odd.met("more tool calls than are followed", out),
        };
        self.begin(out);
        let Some(call) = self.calls.get_mut(at) else { return };
        if args.len() > KEPT / MOST_CALLS {
            return self.odd.met("tool arguments that are too large", out);
        }
        if call.name.is_empty() {
            call.name = name;
        }
        if !call.started && !call.name.is_empty() {
            call.start(&self.message, out);
        }
        let is_piece = !args.starts_with(&call.args) && !call.args.is_empty() && !begins_object(&args);
        let args = if is_piece && call.is_open() { format!("{}{args}", call.args) } else { args };
        if args.len() >= call.args.len() {
            if call.started
                && let Some(more) = args.strip_prefix(call.args.as_str()).filter(|more| !more.is_empty())
            {
                out.push(AgentEvent::ToolArgsDelta { call: call.id.clone(), json: more.to_owned() });
            }
            call.args = args;
        }
    }

    fn add(&mut self, wire_id: String) -> usize {
        let at = self.calls.len();
        let mut id = if wire_id.is_empty() { format!("call_{}", at + 1) } else { wire_id.clone() };
        while self.calls.iter().any(|call| call.id.as_str() == id) {
            id.push_str("_2");
        }
        let (name, args) = (String::new(), String::new());
        self.calls.push(Call { wire_id, id: CallId::new(id), name, args, started: false });
        at
    }
}

impl Decode for Warp {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        if self.is_done() {
            return;
        }
        let Some(frame) = self.stray.line(frame) else { return };
        if frame.data.trim() == "[DONE]" {
            self.done = true;
            return;
        }
        let mended = surrogate::replaced(&frame.data);
        match serde_json::from_str::<Tree<'_>>(mended.as_deref().unwrap_or(&frame.data)) {
            Ok(line) if line.is_object() => {
                self.stray.goes_on();
                self.line(&frame.event, &line, out);
            }
            _ => {
                if let Some(said) = error::unread(&frame) {
                    self.fault = Some(error::fault(&said));
                } else {
                    self.stray.met(&frame.data);
                    self.odd.met("a line that is not a JSON object", out);
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        self.settle(out);
        self.fault = self.fault.take().or_else(|| self.verdict.fault());
        let reported = self.done || self.verdict.stop().is_some();
        if !reported && self.unended.is_none() {
            self.fault = self.fault.take().or_else(|| self.stray.fault());
        }
        let stop = match (&self.unended, &self.fault) {
            (Some(TurnEnd::Cancelled), _) => Stop::Cancelled,
            (Some(_), _) => Stop::Interrupted,
            (None, Some(_)) => Stop::Failed,
            (None, None) if !reported => Stop::Interrupted,
            (None, None) => self.verdict.stop_with(!self.calls.is_empty()),
        };
        if stop::is_told(stop) && self.unended.is_none() {
            self.begin(out);
        }
        if !matches!(stop, Stop::Interrupted | Stop::Failed | Stop::Cancelled) {
            for call in &mut self.calls {
                if !call.started {
                    call.start(&self.message, out);
                }
                let (name, args) = (std::mem::take(&mut call.name), std::mem::take(&mut call.args));
                // Some servers say them twice.
                let args = objects::settled(args).into_iter().next().unwrap_or_default();
                out.push(AgentEvent::ToolCallReady { call: call.id.clone(), name, args, carry: None });
            }
        }
        if self.open {
            let (message, full) = (self.message.clone(), self.full.take());
            out.push(AgentEvent::MessageFinished { message, stop, full, carry: None });
        } else if stop == Stop::End && self.closed == 0 {
            out.push(stop::empty());
        }
        if let Some(usage) = self.usage.take() {
            out.push(AgentEvent::UsageReported { scope: Scope::Request(1), usage });
        }
        let end = match (self.unended.take(), self.fault.take(), stop) {
            (Some(end), ..) => end,
            (None, Some(fault), _) => TurnEnd::Failed(fault),
            (None, None, Stop::Interrupted) => TurnEnd::Interrupted,
            (None, None, _) => TurnEnd::Completed,
        };
        out.push(AgentEvent::TurnFinished { turn: "t".into(), end });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.done || self.fault.is_some()
    }
}

/// Reads a word for the end.
fn reason<'a>(word: Option<&'a Tree<'_>>) -> Option<&'a str> {
    word.and_then(Tree::as_str).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests;
