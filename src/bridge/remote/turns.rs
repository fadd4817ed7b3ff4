//! PURE. Turns a decoder's events into turns of a session: with ids, a beginning and an end.

use crate::agent::ids::IdAllocator;
use crate::event::incomplete_call::{DECLINED_CALL_OUTPUT, TRUNCATED_CALL_OUTPUT, are_args_complete};
use crate::event::{
    AgentEvent, CallId, CallOutcome, CallOutput, ExecutedBy, FinishReason, MessageId, TurnId, TurnOutcome,
};

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RemoteCallStage {
    Writing,
    /// Finished as requested: nothing here runs it.
    Requested,
    Finished,
}

/// A call that appeared in the stream.
#[derive(Debug)]
struct RemoteCall {
    id: CallId,
    message: MessageId,
    executed_by: ExecutedBy,
    stage: RemoteCallStage,
    /// The arguments as far as they have arrived.
    args: String,
}

/// Groups decoded events into turns. Every response is a turn; there are no prompts.
#[derive(Debug, Default)]
pub(super) struct RemoteTurns {
    ids: IdAllocator,
    turn: Option<TurnId>,
    messages: Vec<MessageId>,
    calls: Vec<RemoteCall>,
    /// Finish reasons of messages that are incomplete.
    finish_reasons: Vec<(MessageId, FinishReason)>,
}

impl RemoteTurns {
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
        let turn = self.ids.new_turn();
        self.ids.begin_response();
        self.turn = Some(turn.clone());
        out.push(AgentEvent::TurnStarted { turn: turn.clone(), parent: None });
        turn
    }

    pub(super) fn handle_event(&mut self, event: AgentEvent, out: &mut Vec<AgentEvent>) {
        match event {
            AgentEvent::Notice { .. } | AgentEvent::Unknown(_) => return out.push(event),
            // Decoders don't emit these.
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. } => return,
            _ => {}
        }
        let turn = self.begin(out);
        if let AgentEvent::TurnFinished { outcome: end, .. } = event {
            return self.finish(turn, end, out);
        }
        let event = self.ids.map_event(event, &turn);
        match &event {
            AgentEvent::MessageStarted { message, .. } => self.messages.push(message.clone()),
            AgentEvent::MessageFinished { message, finish_reason: stop, .. } => {
                self.messages.retain(|open| open != message);
                if matches!(stop, FinishReason::Length | FinishReason::Refused) {
                    self.finish_reasons.push((message.clone(), *stop));
                }
            }
            AgentEvent::ToolCallStarted { call, message, executed_by: ran_by, .. } => self.calls.push(RemoteCall {
                id: call.clone(),
                message: message.clone(),
                executed_by: *ran_by,
                stage: RemoteCallStage::Writing,
                args: String::new(),
            }),
            AgentEvent::ToolArgsDelta { call, json } => {
                if let Some(call) = self.call(call) {
                    call.args.push_str(json);
                }
            }
            AgentEvent::ToolCallReady { call, args, .. } => {
                if let Some(call) = self.call(call).filter(|call| call.stage == RemoteCallStage::Writing) {
                    args.clone_into(&mut call.args);
                    if call.executed_by == ExecutedBy::Client {
                        call.stage = RemoteCallStage::Requested;
                    }
                }
            }
            AgentEvent::ToolCallFinished { call, .. } => {
                if let Some(call) = self.call(call) {
                    call.stage = RemoteCallStage::Finished;
                }
            }
            _ => {}
        }
        out.push(event);
    }

    fn finish(&mut self, turn: TurnId, end: TurnOutcome, out: &mut Vec<AgentEvent>) {
        for message in self.messages.drain(..) {
            out.push(AgentEvent::MessageFinished {
                message,
                finish_reason: end.finish_reason(),
                full_text: None,
                provider_metadata: None,
            });
        }
        let calls = std::mem::take(&mut self.calls);
        for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.stage != RemoteCallStage::Finished) {
            let is_ours = call.executed_by == ExecutedBy::Client;
            let is_last = || calls.iter().skip(at + 1).all(|later| later.message != call.message);
            let stopped = self.finish_reasons.iter().find(|(message, _)| *message == call.message).filter(|_| is_ours);
            let (outcome, text) = match (stopped.map(|(_, stop)| *stop), call.stage) {
                (Some(FinishReason::Refused), _) => (CallOutcome::Cancelled, DECLINED_CALL_OUTPUT),
                (Some(FinishReason::Length), stage)
                    if !are_args_complete(&call.args, is_last(), stage == RemoteCallStage::Requested) =>
                {
                    (CallOutcome::Failed, TRUNCATED_CALL_OUTPUT)
                }
                (_, RemoteCallStage::Requested) => (CallOutcome::Requested, ""),
                (_, RemoteCallStage::Writing | RemoteCallStage::Finished) => (CallOutcome::Unknown, ""),
            };
            let (call, output) = (call.id.clone(), CallOutput::from_text(text));
            out.push(AgentEvent::ToolCallFinished { call, outcome, output, duration: None });
        }
        self.finish_reasons.clear();
        self.turn = None;
        out.push(AgentEvent::TurnFinished { turn, outcome: end });
    }

    fn call(&mut self, id: &CallId) -> Option<&mut RemoteCall> {
        self.calls.iter_mut().rev().find(|call| call.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Role;

    fn ends(stop: FinishReason, args: &[&str]) -> Vec<(CallOutcome, String)> {
        let (mut turns, mut out) = (RemoteTurns::new(), Vec::new());
        let (message, name) = (MessageId::from("m1"), "write_file".to_owned());
        turns.handle_event(
            AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None },
            &mut out,
        );
        for (nth, args) in args.iter().enumerate() {
            let (call, message, args) = (CallId::new(format!("c{nth}")), message.clone(), (*args).to_owned());
            let (parent, ran_by, started) = (None, ExecutedBy::Client, Some(name.clone()));
            turns.handle_event(
                AgentEvent::ToolCallStarted { call: call.clone(), message, name: started, parent, executed_by: ran_by },
                &mut out,
            );
            turns.handle_event(
                AgentEvent::ToolCallReady { call, name: name.clone(), args, provider_metadata: None },
                &mut out,
            );
        }
        turns.handle_event(
            AgentEvent::MessageFinished { message, finish_reason: stop, full_text: None, provider_metadata: None },
            &mut out,
        );
        turns.handle_event(AgentEvent::TurnFinished { turn: "t".into(), outcome: TurnOutcome::Completed }, &mut out);
        let ends = out.into_iter().filter_map(|event| match event {
            AgentEvent::ToolCallFinished { outcome, output, .. } => Some((outcome, output.text)),
            _ => None,
        });
        ends.collect()
    }

    #[test]
    fn a_call_that_the_limit_cut_off_is_told_from_one_that_nobody_here_runs() {
        let (whole, cut) = (r#"{"path":"a"}"#, r#"{"path":"a","content":"on"#);
        let requested = (CallOutcome::Requested, String::new());
        assert_eq!(ends(FinishReason::ToolCalls, &[whole, "{}"]), [requested.clone(), requested.clone()]);
        assert_eq!(
            ends(FinishReason::Length, &[whole, cut]),
            [requested, (CallOutcome::Failed, TRUNCATED_CALL_OUTPUT.into())]
        );
        assert_eq!(ends(FinishReason::Length, &["{}"]), [(CallOutcome::Failed, TRUNCATED_CALL_OUTPUT.into())]);
        assert_eq!(ends(FinishReason::Refused, &[whole]), [(CallOutcome::Cancelled, DECLINED_CALL_OUTPUT.into())]);
    }
}
