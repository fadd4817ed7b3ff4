//! PURE. A decoder's events as turns of a session: named, begun, and closed.

use crate::agent::names::Names;
use crate::event::cut::{CUT_OFF, DECLINED, is_whole};
use crate::event::{AgentEvent, CallId, MessageId, Outcome, Output, RanBy, Stop, TurnEnd, TurnId};

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Writing,
    /// Nobody here will run it.
    Requested,
    Over,
}

/// A call that was heard of.
#[derive(Debug)]
struct Call {
    id: CallId,
    message: MessageId,
    ran_by: RanBy,
    stage: Stage,
    /// As far as they came.
    args: String,
}

/// Makes turns of what is heard. Every answer is one; there are no prompts.
#[derive(Debug, Default)]
pub(super) struct Turns {
    names: Names,
    turn: Option<TurnId>,
    messages: Vec<MessageId>,
    calls: Vec<Call>,
    /// How messages stopped that are not whole.
    stops: Vec<(MessageId, Stop)>,
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
            AgentEvent::MessageFinished { message, stop, .. } => {
                self.messages.retain(|open| open != message);
                if matches!(stop, Stop::Length | Stop::Refused) {
                    self.stops.push((message.clone(), *stop));
                }
            }
            AgentEvent::ToolCallStarted { call, message, ran_by, .. } => self.calls.push(Call {
                id: call.clone(),
                message: message.clone(),
                ran_by: *ran_by,
                stage: Stage::Writing,
                args: String::new(),
            }),
            AgentEvent::ToolArgsDelta { call, json } => {
                if let Some(call) = self.call(call) {
                    call.args.push_str(json);
                }
            }
            AgentEvent::ToolCallReady { call, args, .. } => {
                if let Some(call) = self.call(call).filter(|call| call.stage == Stage::Writing) {
                    args.clone_into(&mut call.args);
                    if call.ran_by == RanBy::Us {
                        call.stage = Stage::Requested;
                    }
                }
            }
            AgentEvent::ToolCallFinished { call, .. } => {
                if let Some(call) = self.call(call) {
                    call.stage = Stage::Over;
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
        let calls = std::mem::take(&mut self.calls);
        for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.stage != Stage::Over) {
            let is_ours = call.ran_by == RanBy::Us;
            let is_last = || calls.iter().skip(at + 1).all(|later| later.message != call.message);
            let stopped = self.stops.iter().find(|(message, _)| *message == call.message).filter(|_| is_ours);
            let (outcome, text) = match (stopped.map(|(_, stop)| *stop), call.stage) {
                (Some(Stop::Refused), _) => (Outcome::Cancelled, DECLINED),
                (Some(Stop::Length), stage) if !is_whole(&call.args, is_last(), stage == Stage::Requested) => {
                    (Outcome::Failed, CUT_OFF)
                }
                (_, Stage::Requested) => (Outcome::Requested, ""),
                (_, Stage::Writing | Stage::Over) => (Outcome::Unknown, ""),
            };
            let (call, output) = (call.id.clone(), Output::of(text));
            out.push(AgentEvent::ToolCallFinished { call, outcome, output, took: None });
        }
        self.stops.clear();
        self.turn = None;
        out.push(AgentEvent::TurnFinished { turn, end });
    }

    fn call(&mut self, id: &CallId) -> Option<&mut Call> {
        self.calls.iter_mut().rev().find(|call| call.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Role;

    fn ends(stop: Stop, args: &[&str]) -> Vec<(Outcome, String)> {
        let (mut turns, mut out) = (Turns::new(), Vec::new());
        let (message, name) = (MessageId::from("m1"), "write_file".to_owned());
        turns.hear(
            AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None },
            &mut out,
        );
        for (nth, args) in args.iter().enumerate() {
            let (call, message, args) = (CallId::new(format!("c{nth}")), message.clone(), (*args).to_owned());
            let (parent, ran_by, started) = (None, RanBy::Us, Some(name.clone()));
            turns.hear(
                AgentEvent::ToolCallStarted { call: call.clone(), message, name: started, parent, ran_by },
                &mut out,
            );
            turns.hear(AgentEvent::ToolCallReady { call, name: name.clone(), args, carry: None }, &mut out);
        }
        turns.hear(AgentEvent::MessageFinished { message, stop, full: None, carry: None }, &mut out);
        turns.hear(AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Completed }, &mut out);
        let ends = out.into_iter().filter_map(|event| match event {
            AgentEvent::ToolCallFinished { outcome, output, .. } => Some((outcome, output.text)),
            _ => None,
        });
        ends.collect()
    }

    #[test]
    fn a_call_that_the_limit_cut_off_is_told_from_one_that_nobody_here_runs() {
        let (whole, cut) = (r#"{"path":"a"}"#, r#"{"path":"a","content":"on"#);
        let requested = (Outcome::Requested, String::new());
        assert_eq!(ends(Stop::ToolCalls, &[whole, "{}"]), [requested.clone(), requested.clone()]);
        assert_eq!(ends(Stop::Length, &[whole, cut]), [requested, (Outcome::Failed, CUT_OFF.into())]);
        assert_eq!(ends(Stop::Length, &["{}"]), [(Outcome::Failed, CUT_OFF.into())]);
        assert_eq!(ends(Stop::Refused, &[whole]), [(Outcome::Cancelled, DECLINED.into())]);
    }
}
