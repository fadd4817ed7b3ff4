//! PURE. Events that a running tool reports: annotations of its call, and the messages and calls of a sub-agent.
//!
//! A tool can't report anything else: the turn, its other calls and their approvals are the machine's. Ids are the tool's
//! own and are made unique; what a sub-agent left open is closed with the call.

use crate::agent::ids::IdAllocator;
use crate::event::{
    AgentEvent, AnnotationTarget, CallId, CallOutcome, CallOutput, DecidedBy, Decision, ExecutedBy, FinishReason,
    MessageId,
};

use super::{CallStage, TurnEffect, TurnMachine};

/// A message or call of a sub-agent that is still open.
#[derive(Debug, PartialEq)]
pub(super) struct OpenNested {
    parent: CallId,
    item: NestedItem,
}

#[derive(Clone, Debug, PartialEq)]
enum NestedItem {
    Message(MessageId),
    Call(CallId),
    Ask(CallId),
}

impl TurnMachine {
    pub(super) fn handle_tool_event(
        &mut self,
        call: &CallId,
        event: AgentEvent,
        names: &mut IdAllocator,
        steps: &mut Vec<TurnEffect>,
    ) {
        let is_running = self.slot(call).is_some_and(|slot| slot.stage == CallStage::Running);
        if is_running && let Some(event) = self.nest(call, event, names) {
            steps.push(TurnEffect::Emit(event));
        }
    }

    /// Puts an event of a call's tool below the call; `None` if it has no place there.
    fn nest(&mut self, parent: &CallId, mut event: AgentEvent, names: &mut IdAllocator) -> Option<AgentEvent> {
        match &mut event {
            AgentEvent::Notice { .. } => {}
            AgentEvent::Annotation { on, .. } => {
                let on_message = match on {
                    AnnotationTarget::Message(message) => Some(self.our_message(parent, message, names)),
                    AnnotationTarget::Session | AnnotationTarget::Turn(_) | AnnotationTarget::Call(_) => None,
                };
                *on = match on_message.filter(|ours| self.is_open(parent, &NestedItem::Message(ours.clone()))) {
                    Some(ours) => AnnotationTarget::Message(ours),
                    None => AnnotationTarget::Call(parent.clone()),
                };
            }
            AgentEvent::MessageStarted { message, parent: nested_in, .. } => {
                *message = self.our_message(parent, message, names);
                *nested_in = Some(parent.clone());
                self.open(parent, NestedItem::Message(message.clone()))?;
            }
            AgentEvent::TextDelta { message, .. } | AgentEvent::ReasoningDelta { message, .. } => {
                *message = self.our_message(parent, message, names);
                self.is_open(parent, &NestedItem::Message(message.clone())).then_some(())?;
            }
            AgentEvent::MessageFinished { message, .. } => {
                *message = self.our_message(parent, message, names);
                self.close(parent, &NestedItem::Message(message.clone()))?;
            }
            AgentEvent::ToolCallStarted { call, message, parent: nested_in, executed_by, .. } => {
                *message = self.our_message(parent, message, names);
                *call = self.our_call(parent, call, names);
                *nested_in = Some(parent.clone());
                *executed_by = ExecutedBy::Server;
                self.open(parent, NestedItem::Call(call.clone()))?;
            }
            AgentEvent::ToolArgsDelta { call, .. }
            | AgentEvent::ToolCallReady { call, .. }
            | AgentEvent::ToolOutput { call, .. } => {
                *call = self.our_call(parent, call, names);
                self.is_open(parent, &NestedItem::Call(call.clone())).then_some(())?;
            }
            AgentEvent::ToolCallFinished { call, .. } => {
                *call = self.our_call(parent, call, names);
                self.close(parent, &NestedItem::Call(call.clone()))?;
            }
            AgentEvent::ApprovalRequested { call, .. } => {
                *call = self.our_call(parent, call, names);
                self.is_open(parent, &NestedItem::Call(call.clone())).then_some(())?;
                self.open(parent, NestedItem::Ask(call.clone()))?;
            }
            AgentEvent::ApprovalResolved { call, .. } => {
                *call = self.our_call(parent, call, names);
                self.close(parent, &NestedItem::Ask(call.clone()))?;
            }
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::TurnFinished { .. }
            | AgentEvent::BranchStarted { .. }
            | AgentEvent::Compacted(_)
            | AgentEvent::CompactionUndone { .. }
            | AgentEvent::Unknown(_) => return None,
        }
        Some(event)
    }

    /// Closes what a sub-agent left open, since its call is over.
    pub(super) fn close_nested(&mut self, parent: &CallId, outcome: CallOutcome, steps: &mut Vec<TurnEffect>) {
        let (mut left, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.open_nested).into_iter().partition(|open| open.parent == *parent);
        // A call ends only once what it asked is resolved.
        left.sort_by_key(|open| !matches!(open.item, NestedItem::Ask(_)));
        self.open_nested = others;
        let cancelled = outcome == CallOutcome::Cancelled;
        for OpenNested { item, .. } in left {
            steps.push(TurnEffect::Emit(match item {
                NestedItem::Message(message) => AgentEvent::MessageFinished {
                    message,
                    finish_reason: if cancelled { FinishReason::Cancelled } else { FinishReason::Interrupted },
                    full_text: None,
                    provider_metadata: None,
                },
                NestedItem::Ask(call) => {
                    AgentEvent::ApprovalResolved { call, decision: Decision::Deny(None), by: DecidedBy::Cancelled }
                }
                NestedItem::Call(call) => AgentEvent::ToolCallFinished {
                    call,
                    outcome: if cancelled { CallOutcome::Cancelled } else { CallOutcome::Unknown },
                    output: CallOutput::default(),
                    duration: None,
                },
            }));
        }
    }

    /// Opens an item; `None` if it is open already.
    fn open(&mut self, parent: &CallId, item: NestedItem) -> Option<()> {
        (!self.is_open(parent, &item)).then(|| self.open_nested.push(OpenNested { parent: parent.clone(), item }))
    }

    fn is_open(&self, parent: &CallId, item: &NestedItem) -> bool {
        self.open_nested.iter().any(|open| open.parent == *parent && open.item == *item)
    }

    /// Closes an item; `None` if it isn't open.
    fn close(&mut self, parent: &CallId, item: &NestedItem) -> Option<()> {
        let at = self.open_nested.iter().position(|open| open.parent == *parent && open.item == *item)?;
        self.open_nested.remove(at);
        Some(())
    }

    fn our_message(&mut self, parent: &CallId, theirs: &MessageId, names: &mut IdAllocator) -> MessageId {
        self.reply.map_message(MessageId::new(format!("{parent}/{theirs}")), names)
    }

    fn our_call(&mut self, parent: &CallId, theirs: &CallId, names: &mut IdAllocator) -> CallId {
        self.reply.map_call(CallId::new(format!("{parent}/{theirs}")), names)
    }
}
