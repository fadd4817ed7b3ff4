//! The call board: every tool call with its arguments, approval, output, outcome and timing.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, ApprovalRequest, CallId, CallOutcome, DecidedBy, Decision, ExecutedBy,
    Millis,
};

use super::agent_status;
use super::chunks::ChunkedVec;
use super::output_view::{OutputView, OutputViews};
use super::transcript::{ItemId, ItemKind, Transcript, TranscriptItem};

#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    pub id: CallId,
    /// The transcript item that shows it.
    pub item: ItemId,
    /// Shared by all calls of the tool.
    pub name: Arc<str>,
    /// The arguments so far, as the model writes them.
    pub args: String,
    /// Grows with each change of name or arguments: what was made of them is good for as long as this is the same.
    pub args_rev: u32,
    pub state: CallState,
    pub executed_by: ExecutedBy,
    /// Live output, then the final one; head and tail when long (the log has all of it).
    pub output: String,
    /// Bytes of the whole output.
    pub output_bytes: u64,
    /// When the model began to write it.
    pub at: Millis,
    /// When its running began.
    pub running_since: Option<Millis>,
    pub duration: Option<Millis>,
    /// It turned out to belong to another client of the same server.
    pub is_foreign: bool,
    /// How much of its output is shown by default, where that is set for it.
    pub output_view: Option<OutputView>,
    rare: Option<Box<RareParts>>,
}

/// What many calls have nothing of.
#[derive(Clone, Debug, Default, PartialEq)]
struct RareParts {
    approval_request: Option<ApprovalRequest>,
    /// The ask with its secrets, while it waits.
    unredacted_ask: Option<Box<ApprovalRequest>>,
    decision: Option<(Decision, DecidedBy)>,
    output_file: Option<String>,
    output_kept: Option<u64>,
    sources: Vec<String>,
}

impl ToolCall {
    /// A call that the model begins to write.
    fn new(id: CallId, item: ItemId, at: Millis) -> Self {
        Self {
            id,
            item,
            name: Arc::default(),
            args: String::new(),
            args_rev: 0,
            state: CallState::Writing,
            executed_by: ExecutedBy::Client,
            output: String::new(),
            output_bytes: 0,
            at,
            running_since: None,
            duration: None,
            is_foreign: false,
            output_view: None,
            rare: None,
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
    calls: ChunkedVec<ToolCall>,
    names: HashSet<Arc<str>>,
    index: HashMap<CallId, usize>,
    /// How much of each open call's output was cut out of its middle.
    cuts: HashMap<CallId, MiddleCut>,
    /// Open calls, so that the end of a turn need not look at all.
    open: Vec<usize>,
    failed: usize,
    /// How much of which output is shown.
    output_views: OutputViews,
    /// Asks that wait, with their secrets.
    unredacted_asks: Vec<(CallId, ApprovalRequest)>,
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
    /// Returns the ask, once there was one; kept after the answer. While it waits it is what would run, with secrets;
    /// after that it is what the log says.
    pub fn approval_request(&self) -> Option<&ApprovalRequest> {
        let rare = self.rare.as_ref()?;
        let waits = self.state == CallState::AwaitingApproval;
        let unredacted = rare.unredacted_ask.as_deref().filter(|_| waits);
        unredacted.or(rare.approval_request.as_ref())
    }

    /// Returns whether the ask is shown with secrets that the log has not got.
    pub fn shows_secrets(&self) -> bool {
        self.state == CallState::AwaitingApproval
            && self.rare.as_ref().is_some_and(|rare| rare.unredacted_ask.is_some())
    }

    pub fn decision(&self) -> Option<&(Decision, DecidedBy)> {
        self.rare.as_ref()?.decision.as_ref()
    }

    /// Returns the file beside the log with the whole output, if there is one.
    pub fn output_file(&self) -> Option<&str> {
        self.rare.as_ref()?.output_file.as_deref()
    }

    /// Returns the bytes of the output that were kept, where that is not all.
    pub fn output_kept(&self) -> Option<u64> {
        self.rare.as_ref()?.output_kept
    }

    /// Returns what its result rests on.
    pub fn sources(&self) -> &[String] {
        self.rare.as_ref().map_or(&[], |rare| &rare.sources)
    }

    fn rare(&mut self) -> &mut RareParts {
        self.rare.get_or_insert_default()
    }

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
    /// Returns an empty board on which as much of each output is shown as on this one.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self { output_views: self.output_views.clone(), ..Self::default() }
    }

    /// Sets how much of which output is shown, of the calls that there are as well. O(calls).
    pub(super) fn set_output_views(&mut self, views: OutputViews) {
        self.output_views = views;
        for call in self.calls.iter_mut() {
            let asked = call.approval_request().map(|ask| ask.subject.as_str());
            call.output_view = self.output_views.find(&call.name, asked, &call.args);
        }
    }

    /// Takes the asks that wait with their secrets; returns those that are shown otherwise now.
    pub(super) fn set_unredacted_asks(&mut self, asks: &[(CallId, ApprovalRequest)]) -> Vec<CallId> {
        self.unredacted_asks = asks.to_vec();
        let mut changed = Vec::new();
        for (id, _) in asks {
            let ask = self.unredacted_ask(id);
            let Some(call) = self.index.get(id).and_then(|index| self.calls.get_mut(*index)) else { continue };
            if call.state == CallState::AwaitingApproval && call.rare().unredacted_ask != ask {
                call.rare().unredacted_ask = ask;
                changed.push(id.clone());
            }
        }
        changed
    }

    fn unredacted_ask(&self, call: &CallId) -> Option<Box<ApprovalRequest>> {
        self.unredacted_asks.iter().find(|(asked, _)| asked == call).map(|(_, ask)| Box::new(ask.clone()))
    }

    pub fn get(&self, call: &CallId) -> Option<&ToolCall> {
        self.calls.get(*self.index.get(call)?)
    }

    pub fn calls(&self) -> &ChunkedVec<ToolCall> {
        &self.calls
    }

    /// Returns the calls a person has to decide about, oldest first.
    pub fn pending(&self) -> impl Iterator<Item = &ToolCall> {
        self.open().filter(|call| call.state == CallState::AwaitingApproval)
    }

    /// Returns how many calls of the session failed.
    pub fn failed_count(&self) -> usize {
        self.failed
    }

    fn on_annotation(&mut self, at: Millis, on: &AnnotationTarget, annotation: &Annotation) {
        let AnnotationTarget::Call(call) = on else { return };
        let Some(call) = self.index.get(call).and_then(|index| self.calls.get_mut(*index)) else { return };
        match annotation {
            Annotation::Foreign(is_foreign) => call.is_foreign = *is_foreign,
            // Until now it waited.
            Annotation::Running {} if call.state == CallState::Running && call.output.is_empty() => {
                call.running_since = Some(at);
            }
            Annotation::Queued {} if call.state == CallState::Running => call.running_since = None,
            Annotation::Sources(data) | Annotation::Citation(data) => {
                let list = data.as_array().map_or(std::slice::from_ref(data), Vec::as_slice);
                let room = MAX_SOURCES.saturating_sub(call.sources().len());
                call.rare().sources.extend(list.iter().filter_map(agent_status::source_label).take(room));
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
        for call in self.calls.iter_mut() {
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
            | AgentEvent::Compacted(_)
            | AgentEvent::CompactionUndone { .. }
            | AgentEvent::Notice { .. }
            | AgentEvent::BranchStarted { .. }
            | AgentEvent::Unknown(_) => {}
            AgentEvent::Annotation { on, annotation } => self.on_annotation(at, on, annotation),
            AgentEvent::ToolCallStarted { call, name, executed_by: ran_by, message: _, parent: _ } => {
                let name = name.as_ref().map(|name| self.shared_name(name));
                let call = self.entry(at, call, items);
                call.executed_by = *ran_by;
                if let Some(name) = name {
                    call.name = name;
                    call.args_rev = call.args_rev.wrapping_add(1);
                }
            }
            AgentEvent::ToolArgsDelta { call, json } => {
                let call = self.entry(at, call, items);
                let room = MAX_ARGS_BYTES.saturating_sub(call.args.len());
                call.args.push_str(&json[..json.floor_char_boundary(room)]);
                call.args_rev = call.args_rev.wrapping_add(1);
            }
            AgentEvent::ToolCallReady { call: id, name, args, provider_metadata: _ } => {
                let name = self.shared_name(name);
                let call = self.entry(at, id, items);
                call.name = name;
                args[..args.floor_char_boundary(MAX_ARGS_BYTES)].clone_into(&mut call.args);
                // It grew by doubling, and is kept for as long as the session.
                call.args.shrink_to_fit();
                call.args_rev = call.args_rev.wrapping_add(1);
                if call.state == CallState::Writing {
                    call.state = CallState::Running;
                    call.running_since = Some(at);
                }
                self.look_up_view(id);
            }
            AgentEvent::ApprovalRequested { call: id, request: ask } => {
                let unredacted = self.unredacted_ask(id);
                let call = self.entry(at, id, items);
                call.rare().approval_request = Some(ask.clone());
                call.rare().unredacted_ask = unredacted;
                if call.state.is_open() {
                    call.state = CallState::AwaitingApproval;
                    call.running_since = None;
                }
                self.look_up_view(id);
            }
            AgentEvent::ApprovalResolved { call, decision, by } => {
                let call = self.entry(at, call, items);
                call.rare().unredacted_ask = None;
                call.rare().decision = Some((decision.clone(), *by));
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
                let before = std::mem::replace(&mut call.state, CallState::Done(*outcome));
                // A call that was cut short may end without a text of its own: then what was seen live stays.
                if !output.text.is_empty() || call.output.is_empty() {
                    let mut cut = MiddleCut::default();
                    call.output.clone_from(&output.text);
                    cut.apply(&mut call.output, MAX_OUTPUT_BYTES);
                    call.output_bytes = output.total_bytes.unwrap_or(output.text.len() as u64);
                }
                call.output.shrink_to_fit();
                if (output.file.as_deref(), output.kept_bytes) != (call.output_file(), call.output_kept()) {
                    let rare = call.rare();
                    rare.output_file.clone_from(&output.file);
                    rare.output_kept = output.kept_bytes;
                }
                let is_failed = |state| usize::from(state == CallState::Done(CallOutcome::Failed));
                self.failed = self.failed + is_failed(CallState::Done(*outcome)) - is_failed(before);
            }
            AgentEvent::TurnFinished { .. } => {
                for index in self.open.clone() {
                    if let Some(call) = self.calls.get_mut(index)
                        && call.state.is_open()
                        && !call.id.is_person_run()
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

    /// Has a call stand on another item.
    pub(super) fn set_item(&mut self, call: &CallId, item: ItemId) {
        if let Some(call) = self.index.get(call).and_then(|index| self.calls.get_mut(*index)) {
            call.item = item;
        }
    }

    fn look_up_view(&mut self, id: &CallId) {
        if let Some(call) = self.index.get(id).and_then(|index| self.calls.get_mut(*index)) {
            let asked = call.approval_request().map(|ask| ask.subject.as_str());
            call.output_view = self.output_views.find(&call.name, asked, &call.args);
        }
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
            let shows = |item: &TranscriptItem<'_>| matches!(item.kind, ItemKind::Call { call } if call == id);
            let item = items.items().last().filter(shows).map_or(ItemId(0), |item| item.id);
            self.calls.push(ToolCall::new(id.clone(), item, at));
            self.open.push(index);
        }
        &mut self.calls[index]
    }

    fn shared_name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
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
