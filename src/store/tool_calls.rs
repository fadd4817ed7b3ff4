//! The call board: every tool call with its arguments, approval, output, outcome and timing.

use std::collections::HashMap;

use crate::event::{
    AgentEvent, AnnotationTarget, ApprovalRequest, CallId, CallOutcome, DecidedBy, Decision, ExecutedBy, Json, Millis,
};

use super::agent_status;
use super::transcript::{ItemId, Transcript};

#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    pub id: CallId,
    /// The transcript item that shows it.
    pub item: ItemId,
    pub name: String,
    /// The arguments so far, as the model writes them.
    pub args: String,
    /// Grows with each change of name or arguments: what was made of them is good for as long as this is the same.
    pub args_rev: u32,
    pub state: CallState,
    pub executed_by: ExecutedBy,
    /// The ask, once there was one; kept after the answer.
    pub approval_request: Option<ApprovalRequest>,
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
    pub running_since: Option<Millis>,
    pub duration: Option<Millis>,
    /// It turned out to belong to another client of the same server.
    pub is_foreign: bool,
    /// What its result rests on.
    pub sources: Vec<String>,
}

impl ToolCall {
    /// A call that the model begins to write.
    fn new(id: CallId, item: ItemId, at: Millis) -> Self {
        Self {
            id,
            item,
            name: String::new(),
            args: String::new(),
            args_rev: 0,
            state: CallState::Writing,
            executed_by: ExecutedBy::Client,
            approval_request: None,
            decision: None,
            output: String::new(),
            output_bytes: 0,
            output_file: None,
            output_kept: None,
            at,
            running_since: None,
            duration: None,
            is_foreign: false,
            sources: Vec::new(),
        }
    }

    /// A call of ours that runs, for tests.
    #[cfg(test)]
    pub(crate) fn running(name: &str, args: &str) -> Self {
        let begun = Self::new("c1".into(), ItemId(0), Millis(0));
        Self { name: name.into(), args: args.into(), state: CallState::Running, ..begun }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallState {
    /// The model is still writing the arguments.
    Writing,
    /// A person has to decide.
    AwaitingApproval,
    Running,
    Done(CallOutcome),
}

/// Bytes of output kept of one call. The log has the rest.
pub const MAX_OUTPUT_BYTES: usize = 64 * 1024;
/// Bytes of arguments kept of one call.
const MAX_ARGS_BYTES: usize = 256 * 1024;
/// Sources kept of one call.
const MAX_SOURCES: usize = 50;

/// All calls of the session, in the order in which the model began to write them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolCalls {
    calls: Vec<ToolCall>,
    index: HashMap<CallId, usize>,
    /// How much of each open call's output was cut out of its middle.
    cuts: HashMap<CallId, MiddleCut>,
    /// Open calls, so that the end of a turn need not look at all.
    open: Vec<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct MiddleCut {
    /// Bytes of the head that stays.
    head: usize,
    /// Bytes of the line that stands for what is missing.
    marker: usize,
    missing: u64,
}

impl CallState {
    pub fn is_open(self) -> bool {
        match self {
            Self::Writing | Self::AwaitingApproval | Self::Running => true,
            Self::Done(_) => false,
        }
    }
}

impl ToolCall {
    /// Returns how long it runs or ran; none before it began to.
    pub fn running_time(&self, now: Millis) -> Option<Millis> {
        match self.state {
            CallState::Running => self.running_since.map(|began| now.since(began)),
            CallState::Done(_) => self.duration,
            CallState::Writing | CallState::AwaitingApproval => None,
        }
    }
}

impl ToolCalls {
    pub fn get(&self, call: &CallId) -> Option<&ToolCall> {
        self.calls.get(*self.index.get(call)?)
    }

    pub fn calls(&self) -> &[ToolCall] {
        &self.calls
    }

    /// Returns the calls a person has to decide about, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &ToolCall> {
        self.open().filter(|call| call.state == CallState::AwaitingApproval)
    }

    fn on_annotation(&mut self, on: &AnnotationTarget, kind: &str, data: &Json) {
        let AnnotationTarget::Call(call) = on else { return };
        let Some(call) = self.index.get(call).and_then(|index| self.calls.get_mut(*index)) else { return };
        match kind {
            "foreign" => call.is_foreign = *data == Json::Bool(true),
            "sources" | "citation" => {
                let list = data.as_array().map_or(std::slice::from_ref(data), Vec::as_slice);
                let room = MAX_SOURCES.saturating_sub(call.sources.len());
                call.sources.extend(list.iter().filter_map(agent_status::source_label).take(room));
            }
            _ => {}
        }
    }

    /// Returns the calls without an end so far, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &ToolCall> {
        self.open.iter().filter_map(|index| self.calls.get(*index))
    }

    pub fn is_pending(&self, call: &CallId) -> bool {
        self.get(call).is_some_and(|call| call.state == CallState::AwaitingApproval)
    }

    /// The ids of all items grew.
    pub(super) fn shift_item_ids(&mut self, by: u64) {
        for call in &mut self.calls {
            call.item.0 += by;
        }
    }

    /// Folds one fact; `items` has seen it already and names the item of each call.
    pub fn on_event(&mut self, at: Millis, event: &AgentEvent, items: &Transcript) {
        match event {
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
            | AgentEvent::MessageStarted { .. }
            | AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::MessageFinished { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::Notice { .. }
            | AgentEvent::Unknown(_) => {}
            AgentEvent::Annotation { on, kind, data } => self.on_annotation(on, kind, data),
            AgentEvent::ToolCallStarted { call, name, executed_by: ran_by, message: _, parent: _ } => {
                let call = self.entry(at, call, items);
                call.executed_by = *ran_by;
                if let Some(name) = name {
                    call.name.clone_from(name);
                    call.args_rev = call.args_rev.wrapping_add(1);
                }
            }
            AgentEvent::ToolArgsDelta { call, json } => {
                let call = self.entry(at, call, items);
                let room = MAX_ARGS_BYTES.saturating_sub(call.args.len());
                call.args.push_str(&json[..json.floor_char_boundary(room)]);
                call.args_rev = call.args_rev.wrapping_add(1);
            }
            AgentEvent::ToolCallReady { call, name, args, provider_metadata: _ } => {
                let call = self.entry(at, call, items);
                call.name.clone_from(name);
                args[..args.floor_char_boundary(MAX_ARGS_BYTES)].clone_into(&mut call.args);
                call.args_rev = call.args_rev.wrapping_add(1);
                if call.state == CallState::Writing {
                    call.state = CallState::Running;
                    call.running_since = Some(at);
                }
            }
            AgentEvent::ApprovalRequested { call, request: ask } => {
                let call = self.entry(at, call, items);
                call.approval_request = Some(ask.clone());
                if call.state.is_open() {
                    call.state = CallState::AwaitingApproval;
                    call.running_since = None;
                }
            }
            AgentEvent::ApprovalResolved { call, decision, by } => {
                let call = self.entry(at, call, items);
                call.decision = Some((decision.clone(), *by));
                if call.state.is_open() {
                    if decision.allows() {
                        call.state = CallState::Running;
                        call.running_since = Some(at);
                    } else {
                        call.state = CallState::Done(CallOutcome::Denied);
                    }
                }
            }
            AgentEvent::ToolOutput { call, text, stream: _ } => self.output(at, call, text, items),
            AgentEvent::ToolCallFinished { call, outcome, output, duration: took } => {
                self.cuts.remove(call);
                let call = self.entry(at, call, items);
                call.duration = took.or(call.duration).or_else(|| call.running_since.map(|began| at.since(began)));
                call.state = CallState::Done(*outcome);
                // A call that was cut short may end without a text of its own: then what was seen live stays.
                if !output.text.is_empty() || call.output.is_empty() {
                    let mut cut = MiddleCut::default();
                    call.output.clone_from(&output.text);
                    cut.apply(&mut call.output, MAX_OUTPUT_BYTES);
                    call.output_bytes = output.total_bytes.unwrap_or(output.text.len() as u64);
                }
                call.output_file.clone_from(&output.file);
                call.output_kept = output.kept_bytes;
            }
            AgentEvent::TurnFinished { .. } => {
                for index in std::mem::take(&mut self.open) {
                    if let Some(call) = self.calls.get_mut(index)
                        && call.state.is_open()
                    {
                        call.state = CallState::Done(CallOutcome::Unknown);
                        call.duration = call.running_since.map(|began| at.since(began));
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
            call.running_since = Some(at);
        }
        call.output.push_str(text);
        call.output_bytes = call.output_bytes.saturating_add(text.len() as u64);
        // A quarter more than the cap before cutting, so that cutting costs O(1) per byte.
        if call.output.len() > MAX_OUTPUT_BYTES + MAX_OUTPUT_BYTES / 4 {
            cut.apply(&mut call.output, MAX_OUTPUT_BYTES);
            self.cuts.insert(id.clone(), cut);
        }
    }

    fn entry(&mut self, at: Millis, id: &CallId, items: &Transcript) -> &mut ToolCall {
        let next = self.calls.len();
        let index = *self.index.entry(id.clone()).or_insert(next);
        if index == next {
            let item = items.item_of(id).unwrap_or(ItemId(0));
            self.calls.push(ToolCall::new(id.clone(), item, at));
            self.open.push(index);
        }
        &mut self.calls[index]
    }
}

impl MiddleCut {
    /// Cuts the middle out of a text longer than `cap`, once more if it was cut before.
    fn apply(&mut self, text: &mut String, cap: usize) {
        if text.len() <= cap {
            return;
        }
        if self.marker == 0 {
            self.head = text.floor_char_boundary(cap / 2);
        }
        let from = self.head + self.marker;
        let to = text.ceil_char_boundary(text.len().saturating_sub(cap / 2)).max(from);
        self.missing = self.missing.saturating_add((to - from) as u64);
        let line = format!("\n… {} bytes left out …\n", self.missing);
        text.replace_range(self.head..to, &line);
        self.marker = line.len();
    }
}

#[cfg(test)]
mod tests;
