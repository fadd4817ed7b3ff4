//! PURE. A decoder's events as turns of a session: named, begun, and closed.

use crate::agent::names::Names;
use crate::event::{AgentEvent, CallId, MessageId, Outcome, Output, RanBy, Stop, Subject, TurnEnd, TurnId};

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
        let event = match event {
            event @ (AgentEvent::Noticed { .. } | AgentEvent::Unknown(_)) => return out.push(event),
            // A decoder can't say these.
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. } => return,
            event => event,
        };
        let turn = self.begin(out);
        let names = &mut self.names;
        let event = match event {
            AgentEvent::TurnFinished { end, .. } => return self.finish(turn, end, out),
            AgentEvent::UserMessage { message, text } => {
                AgentEvent::UserMessage { message: names.reply_message(&message), text }
            }
            AgentEvent::MessageStarted { message, role, parent } => {
                let message = names.reply_message(&message);
                self.messages.push(message.clone());
                AgentEvent::MessageStarted { message, role, parent: parent.map(|call| names.reply_call(&call)) }
            }
            AgentEvent::TextDelta { message, text, kind } => {
                AgentEvent::TextDelta { message: names.reply_message(&message), text, kind }
            }
            AgentEvent::ReasoningDelta { message, text } => {
                AgentEvent::ReasoningDelta { message: names.reply_message(&message), text }
            }
            AgentEvent::MessageFinished { message, stop, full, carry } => {
                let message = names.reply_message(&message);
                self.messages.retain(|open| *open != message);
                AgentEvent::MessageFinished { message, stop, full, carry }
            }
            AgentEvent::ToolCallStarted { call, message, name, parent, ran_by } => {
                let call = names.reply_call(&call);
                self.calls.push((call.clone(), ran_by, Stage::Writing));
                let parent = parent.map(|parent| names.reply_call(&parent));
                AgentEvent::ToolCallStarted { call, message: names.reply_message(&message), name, parent, ran_by }
            }
            AgentEvent::ToolArgsDelta { call, json } => {
                AgentEvent::ToolArgsDelta { call: names.reply_call(&call), json }
            }
            AgentEvent::ToolCallReady { call, name, args, carry } => {
                let call = names.reply_call(&call);
                for entry in &mut self.calls {
                    if entry.0 == call && entry.1 == RanBy::Us && entry.2 == Stage::Writing {
                        entry.2 = Stage::Requested;
                    }
                }
                AgentEvent::ToolCallReady { call, name, args, carry }
            }
            AgentEvent::ToolOutput { call, stream, text } => {
                AgentEvent::ToolOutput { call: names.reply_call(&call), stream, text }
            }
            AgentEvent::ToolCallFinished { call, outcome, output, took } => {
                let call = names.reply_call(&call);
                for entry in &mut self.calls {
                    if entry.0 == call {
                        entry.2 = Stage::Over;
                    }
                }
                AgentEvent::ToolCallFinished { call, outcome, output, took }
            }
            AgentEvent::Annotated { on, kind, data } => {
                let on = match on {
                    Subject::Turn(_) => Subject::Turn(turn),
                    Subject::Message(message) => Subject::Message(names.reply_message(&message)),
                    Subject::Call(call) => Subject::Call(names.reply_call(&call)),
                };
                AgentEvent::Annotated { on, kind, data }
            }
            other => other,
        };
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
