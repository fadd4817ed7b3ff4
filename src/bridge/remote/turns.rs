//! PURE. A decoder's events as turns of a session: named, begun, and closed.

use crate::agent::names::Names;
use crate::event::{AgentEvent, CallId, MessageId, Outcome, Output, RanBy, Stop, TurnEnd, TurnId};

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Writing,
    /// Nobody here will run it.
    Requested,
    Over,
}

/// Makes turns of what is heard. Every answer is one; there are no prompts.
#[derive(Debug, Default)]
pub(super) struct Turns {
    names: Names,
    turn: Option<TurnId>,
    messages: Vec<MessageId>,
    calls: Vec<(CallId, RanBy, Stage)>,
}

impl Turns {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn is_open(&self) -> bool {
        self.turn.is_some()
    }

    /// Begins a turn unless one runs.
    pub(super) fn begin(&mut self, out: &mut Vec<AgentEvent>) -> TurnId {
        if let Some(turn) = &self.turn {
            return turn.clone();
        }
        let turn = self.names.turn();
        self.names.new_reply();
        self.turn = Some(turn.clone());
        out.push(AgentEvent::TurnStarted { turn: turn.clone(), parent: None });
        turn
    }

    pub(super) fn hear(&mut self, event: AgentEvent, out: &mut Vec<AgentEvent>) {
        match event {
            AgentEvent::Noticed { .. } | AgentEvent::Unknown(_) => return out.push(event),
            // A decoder can't say these.
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. } => return,
            _ => {}
        }
        let turn = self.begin(out);
        if let AgentEvent::TurnFinished { end, .. } = event {
            return self.finish(turn, end, out);
        }
        let event = self.names.own(event, &turn);
        match &event {
            AgentEvent::MessageStarted { message, .. } => self.messages.push(message.clone()),
            AgentEvent::MessageFinished { message, .. } => self.messages.retain(|open| open != message),
            AgentEvent::ToolCallStarted { call, ran_by, .. } => {
                self.calls.push((call.clone(), *ran_by, Stage::Writing));
            }
            AgentEvent::ToolCallReady { call, .. } => {
                for entry in &mut self.calls {
                    if entry.0 == *call && entry.1 == RanBy::Us && entry.2 == Stage::Writing {
                        entry.2 = Stage::Requested;
                    }
                }
            }
            AgentEvent::ToolCallFinished { call, .. } => {
                for entry in &mut self.calls {
                    if entry.0 == *call {
                        entry.2 = Stage::Over;
                    }
                }
            }
            _ => {}
        }
        out.push(event);
    }

    fn finish(&mut self, turn: TurnId, end: TurnEnd, out: &mut Vec<AgentEvent>) {
        let stop = match &end {
            TurnEnd::Completed => Stop::End,
            TurnEnd::Cancelled => Stop::Cancelled,
            TurnEnd::Interrupted => Stop::Interrupted,
            TurnEnd::Failed(_) => Stop::Failed,
        };
        for message in self.messages.drain(..) {
            out.push(AgentEvent::MessageFinished { message, stop, full: None, carry: None });
        }
        for (call, _, stage) in self.calls.drain(..) {
            let outcome = match stage {
                Stage::Over => continue,
                Stage::Requested => Outcome::Requested,
                Stage::Writing => Outcome::Unknown,
            };
            out.push(AgentEvent::ToolCallFinished { call, outcome, output: Output::default(), took: None });
        }
        self.turn = None;
        out.push(AgentEvent::TurnFinished { turn, end });
    }
}
