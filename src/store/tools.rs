//! The call board: every tool call with its arguments, approval, output, outcome and timing.

use std::collections::HashMap;

use crate::event::{AgentEvent, Ask, CallId, DecidedBy, Decision, Json, Millis, Outcome, RanBy, Subject};

use super::notes;
use super::transcript::{ItemId, Transcript};

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: CallId,
    /// The transcript item that shows it.
    pub item: ItemId,
    pub name: String,
    /// The arguments so far, as the model writes them.
    pub args: String,
    /// Grows with each change of name or arguments: what was made of them is good for as long as this is the same.
    pub args_rev: u32,
    pub state: CallState,
    pub ran_by: RanBy,
    /// The ask, once there was one; kept after the answer.
    pub ask: Option<Ask>,
    pub decision: Option<(Decision, DecidedBy)>,
    /// Live output, then the final one; head and tail when long (the log has all of it).
    pub output: String,
    /// Bytes of the whole output.
    pub output_bytes: u64,
    /// File beside the log with all of it, if any.
    pub output_file: Option<String>,
    /// Bytes of it that were kept, where that is not all.
    pub output_kept: Option<u64>,
    /// When the model began to write it.
    pub at: Millis,
    /// When its running began.
    pub ran_at: Option<Millis>,
    pub took: Option<Millis>,
    /// It turned out to belong to another client of the same server.
    pub foreign: bool,
    /// What its result rests on.
    pub sources: Vec<String>,
}

impl Call {
    /// A call that the model begins to write.
    fn begun(id: CallId, item: ItemId, at: Millis) -> Self {
        Self {
            id,
            item,
            name: String::new(),
            args: String::new(),
            args_rev: 0,
            state: CallState::Writing,
            ran_by: RanBy::Us,
            ask: None,
            decision: None,
            output: String::new(),
            output_bytes: 0,
            output_file: None,
            output_kept: None,
            at,
            ran_at: None,
            took: None,
            foreign: false,
            sources: Vec::new(),
        }
    }

    /// A call of ours that runs, for tests.
    #[cfg(test)]
    pub(crate) fn running(name: &str, args: &str) -> Self {
        let begun = Self::begun("c1".into(), ItemId(0), Millis(0));
        Self { name: name.into(), args: args.into(), state: CallState::Running, ..begun }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// The model is still writing the arguments.
    Writing,
    /// A person has to decide.
    Waiting,
    Running,
    Done(Outcome),
}

/// Bytes of output kept of one call. The log has the rest.
pub const OUTPUT_CAP: usize = 64 * 1024;
/// Bytes of arguments kept of one call.
const ARGS_CAP: usize = 256 * 1024;
/// Sources kept of one call.
const SOURCES: usize = 50;

/// All calls of the session, in the order in which the model began to write them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolBoard {
    calls: Vec<Call>,
    index: HashMap<CallId, usize>,
    /// How much of each open call's output was cut out of its middle.
    cuts: HashMap<CallId, Cut>,
    /// Open calls, so that the end of a turn need not look at all.
    open: Vec<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cut {
    /// Bytes of the head that stays.
    head: usize,
    /// Bytes of the line that stands for what is missing.
    line: usize,
    missing: u64,
}

impl CallState {
    pub fn is_open(self) -> bool {
        match self {
            Self::Writing | Self::Waiting | Self::Running => true,
            Self::Done(_) => false,
        }
    }
}

impl Call {
    /// Returns how long it runs or ran; none before it began to.
    pub fn running_time(&self, now: Millis) -> Option<Millis> {
        match self.state {
            CallState::Running => self.ran_at.map(|began| now.since(began)),
            CallState::Done(_) => self.took,
            CallState::Writing | CallState::Waiting => None,
        }
    }
}

impl ToolBoard {
    pub fn get(&self, call: &CallId) -> Option<&Call> {
        self.calls.get(*self.index.get(call)?)
    }

    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Returns the calls a person has to decide about, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &Call> {
        self.open().filter(|call| call.state == CallState::Waiting)
    }

    fn annotated(&mut self, on: &Subject, kind: &str, data: &Json) {
        let Subject::Call(call) = on else { return };
        let Some(call) = self.index.get(call).and_then(|index| self.calls.get_mut(*index)) else { return };
        match kind {
            "foreign" => call.foreign = *data == Json::Bool(true),
            "sources" | "citation" => {
                let list = data.as_array().map_or(std::slice::from_ref(data), Vec::as_slice);
                let room = SOURCES.saturating_sub(call.sources.len());
                call.sources.extend(list.iter().filter_map(notes::source).take(room));
            }
            _ => {}
        }
    }

    /// Returns the calls without an end so far, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &Call> {
        self.open.iter().filter_map(|index| self.calls.get(*index))
    }

    pub fn is_pending(&self, call: &CallId) -> bool {
        self.get(call).is_some_and(|call| call.state == CallState::Waiting)
    }

    /// The ids of all items grew.
    pub(super) fn renumber(&mut self, by: u64) {
        for call in &mut self.calls {
            call.item.0 += by;
        }
    }

    /// Folds one fact; `items` has seen it already and names the item of each call.
    pub fn on(&mut self, at: Millis, event: &AgentEvent, items: &Transcript) {
        match event {
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
            | AgentEvent::MessageStarted { .. }
            | AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::MessageFinished { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::Noticed { .. }
            | AgentEvent::Unknown(_) => {}
            AgentEvent::Annotated { on, kind, data } => self.annotated(on, kind, data),
            AgentEvent::ToolCallStarted { call, name, ran_by, message: _, parent: _ } => {
                let call = self.entry(at, call, items);
                call.ran_by = *ran_by;
                if let Some(name) = name {
                    call.name.clone_from(name);
                    call.args_rev = call.args_rev.wrapping_add(1);
                }
            }
            AgentEvent::ToolArgsDelta { call, json } => {
                let call = self.entry(at, call, items);
                let room = ARGS_CAP.saturating_sub(call.args.len());
                call.args.push_str(&json[..json.floor_char_boundary(room)]);
                call.args_rev = call.args_rev.wrapping_add(1);
            }
            AgentEvent::ToolCallReady { call, name, args, carry: _ } => {
                let call = self.entry(at, call, items);
                call.name.clone_from(name);
                args[..args.floor_char_boundary(ARGS_CAP)].clone_into(&mut call.args);
                call.args_rev = call.args_rev.wrapping_add(1);
                if call.state == CallState::Writing {
                    call.state = CallState::Running;
                    call.ran_at = Some(at);
                }
            }
            AgentEvent::ApprovalRequested { call, ask } => {
                let call = self.entry(at, call, items);
                call.ask = Some(ask.clone());
                if call.state.is_open() {
                    call.state = CallState::Waiting;
                    call.ran_at = None;
                }
            }
            AgentEvent::ApprovalResolved { call, decision, by } => {
                let call = self.entry(at, call, items);
                call.decision = Some((decision.clone(), *by));
                if call.state.is_open() {
                    if decision.allows() {
                        call.state = CallState::Running;
                        call.ran_at = Some(at);
                    } else {
                        call.state = CallState::Done(Outcome::Denied);
                    }
                }
            }
            AgentEvent::ToolOutput { call, text, stream: _ } => self.output(at, call, text, items),
            AgentEvent::ToolCallFinished { call, outcome, output, took } => {
                self.cuts.remove(call);
                let call = self.entry(at, call, items);
                call.took = took.or(call.took).or_else(|| call.ran_at.map(|began| at.since(began)));
                call.state = CallState::Done(*outcome);
                // A call that was cut short may end without a text of its own: then what was seen live stays.
                if !output.text.is_empty() || call.output.is_empty() {
                    let mut cut = Cut::default();
                    call.output.clone_from(&output.text);
                    cut.apply(&mut call.output, OUTPUT_CAP);
                    call.output_bytes = output.bytes.unwrap_or(output.text.len() as u64);
                }
                call.output_file.clone_from(&output.file);
                call.output_kept = output.kept;
            }
            AgentEvent::TurnFinished { .. } => {
                for index in std::mem::take(&mut self.open) {
                    if let Some(call) = self.calls.get_mut(index)
                        && call.state.is_open()
                    {
                        call.state = CallState::Done(Outcome::Unknown);
                        call.took = call.ran_at.map(|began| at.since(began));
                    }
                }
                self.cuts.clear();
            }
        }
        self.open.retain(|index| self.calls.get(*index).is_some_and(|call| call.state.is_open()));
    }

    fn output(&mut self, at: Millis, id: &CallId, text: &str, items: &Transcript) {
        let mut cut = self.cuts.get(id).copied().unwrap_or_default();
        let call = self.entry(at, id, items);
        if call.state == CallState::Writing {
            call.state = CallState::Running;
            call.ran_at = Some(at);
        }
        call.output.push_str(text);
        call.output_bytes = call.output_bytes.saturating_add(text.len() as u64);
        // A quarter more than the cap before cutting, so that cutting costs O(1) per byte.
        if call.output.len() > OUTPUT_CAP + OUTPUT_CAP / 4 {
            cut.apply(&mut call.output, OUTPUT_CAP);
            self.cuts.insert(id.clone(), cut);
        }
    }

    fn entry(&mut self, at: Millis, id: &CallId, items: &Transcript) -> &mut Call {
        let next = self.calls.len();
        let index = *self.index.entry(id.clone()).or_insert(next);
        if index == next {
            let item = items.item_of(id).unwrap_or(ItemId(0));
            self.calls.push(Call::begun(id.clone(), item, at));
            self.open.push(index);
        }
        &mut self.calls[index]
    }
}

impl Cut {
    /// Cuts the middle out of a text longer than `cap`, once more if it was cut before.
    fn apply(&mut self, text: &mut String, cap: usize) {
        if text.len() <= cap {
            return;
        }
        if self.line == 0 {
            self.head = text.floor_char_boundary(cap / 2);
        }
        let from = self.head + self.line;
        let to = text.ceil_char_boundary(text.len().saturating_sub(cap / 2)).max(from);
        self.missing = self.missing.saturating_add((to - from) as u64);
        let line = format!("\n… {} bytes left out …\n", self.missing);
        text.replace_range(self.head..to, &line);
        self.line = line.len();
    }
}

#[cfg(test)]
mod tests;
