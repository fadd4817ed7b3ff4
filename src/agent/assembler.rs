//! PURE. Makes events of a turn out of a reply: names what the reply names, and closes what it leaves open.

use std::collections::HashMap;

use super::ids::IdAllocator;
use crate::event::incomplete_call::{DECLINED_CALL_OUTPUT, TRUNCATED_CALL_OUTPUT, are_args_complete};
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, CallOutput, ExecutedBy, FinishReason, MessageId,
    ReplyEvent, ReplyTarget, TurnId, TurnOutcome,
};

/// What became of an event of a reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Assembled {
    Event(AgentEvent),
    /// It repeats what an earlier reply of the turn said.
    Repeated,
    /// The reply is over; [`ReplyAssembler::close`] follows.
    End(TurnOutcome),
}

/// A call that its reply did not finish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedCall {
    pub call: CallId,
    pub name: String,
    /// The arguments as far as they have arrived.
    pub args: String,
    /// Whether the reply said that the arguments are complete.
    pub is_ready: bool,
    /// Why its server asks before it runs it, if it said so.
    pub approval_reason: Option<String>,
    pub state: UnfinishedState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnfinishedState {
    /// Requested of the client in full.
    Requested,
    /// Its server runs it once that is allowed.
    NeedsApproval,
    /// Its server was told not to run it, and told no outcome.
    Denied,
    /// Cut off by the output limit.
    Truncated,
    /// The model or a filter declined to finish its message.
    Declined,
    /// Not written to its end, or run by a server that never told the outcome.
    Unknown,
}

impl UnfinishedCall {
    /// Returns the event that finishes it where nobody runs it.
    pub fn finished(&self) -> AgentEvent {
        let (outcome, text) = match self.state {
            UnfinishedState::Requested | UnfinishedState::NeedsApproval => (CallOutcome::Requested, ""),
            UnfinishedState::Denied => (CallOutcome::Denied, "denied by the user"),
            UnfinishedState::Truncated => (CallOutcome::Failed, TRUNCATED_CALL_OUTPUT),
            UnfinishedState::Declined => (CallOutcome::Cancelled, DECLINED_CALL_OUTPUT),
            UnfinishedState::Unknown => (CallOutcome::Unknown, ""),
        };
        let (call, output) = (self.call.clone(), CallOutput::from_text(text));
        AgentEvent::ToolCallFinished { call, outcome, output, duration: None }
    }
}

#[derive(Clone, Debug)]
struct ReplyCall {
    id: CallId,
    message: MessageId,
    executed_by: ExecutedBy,
    name: String,
    args: String,
    is_ready: bool,
    is_finished: bool,
    approval: ServerApprovalState,
}

/// What is known of the approval of a call that its server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ServerApprovalState {
    None,
    Asked(Option<String>),
    /// The call is of an earlier reply of the turn and was decided since.
    Decided {
        is_allowed: bool,
    },
}

/// Follows one reply.
#[derive(Clone, Debug, Default)]
pub struct ReplyAssembler {
    /// The reply's ids, and ours for them.
    message_ids: HashMap<MessageId, MessageId>,
    call_ids: HashMap<CallId, CallId>,
    open_messages: Vec<MessageId>,
    /// Finish reasons of messages that are incomplete.
    finish_reasons: Vec<(MessageId, FinishReason)>,
    calls: Vec<ReplyCall>,
}

impl ReplyAssembler {
    /// Returns the assembler of the next reply of the turn. Its server may tell the results of calls of this one, which
    /// were decided: whether each may run.
    #[must_use]
    pub fn following(self, decided: &[(UnfinishedCall, bool)]) -> Self {
        let call_ids = self.call_ids.into_iter().filter(|(_, ours)| decided.iter().any(|(call, _)| call.call == *ours));
        let calls = decided.iter().map(|(call, is_allowed)| ReplyCall {
            id: call.call.clone(),
            message: MessageId::new(""),
            executed_by: ExecutedBy::Server,
            name: call.name.clone(),
            args: call.args.clone(),
            is_ready: true,
            is_finished: false,
            approval: ServerApprovalState::Decided { is_allowed: *is_allowed },
        });
        Self { call_ids: call_ids.collect(), calls: calls.collect(), ..Self::default() }
    }

    /// Returns whether the reply has called nothing and each of its messages is whole.
    pub fn is_plain(&self) -> bool {
        self.calls.is_empty() && self.finish_reasons.is_empty()
    }

    /// Handles the next event of the reply; `turn` is the turn that it answers.
    pub fn assemble(&mut self, event: ReplyEvent, turn: &TurnId, ids: &mut IdAllocator) -> Assembled {
        Assembled::Event(match event {
            ReplyEvent::End { outcome } => return Assembled::End(outcome),
            ReplyEvent::MessageStarted { message, role, parent } => {
                let message = self.map_message(message, ids);
                self.open_messages.push(message.clone());
                AgentEvent::MessageStarted { message, role, parent: parent.map(|call| self.map_call(call, ids)) }
            }
            ReplyEvent::TextDelta { message, text, kind } => {
                AgentEvent::TextDelta { message: self.map_message(message, ids), text, kind }
            }
            ReplyEvent::ReasoningDelta { message, text } => {
                AgentEvent::ReasoningDelta { message: self.map_message(message, ids), text }
            }
            ReplyEvent::MessageFinished { message, finish_reason, full_text, provider_metadata } => {
                let message = self.map_message(message, ids);
                self.open_messages.retain(|open| *open != message);
                if matches!(finish_reason, FinishReason::Length | FinishReason::Refused) {
                    self.finish_reasons.push((message.clone(), finish_reason));
                }
                AgentEvent::MessageFinished { message, finish_reason, full_text, provider_metadata }
            }
            ReplyEvent::ToolCallStarted { call, message, name, parent, executed_by } => {
                let (call, message) = (self.map_call(call, ids), self.map_message(message, ids));
                if self.is_decided(&call) {
                    return Assembled::Repeated;
                }
                let parent = parent.map(|call| self.map_call(call, ids));
                self.calls.push(ReplyCall {
                    id: call.clone(),
                    message: message.clone(),
                    executed_by,
                    name: name.clone().unwrap_or_default(),
                    args: String::new(),
                    is_ready: false,
                    is_finished: false,
                    approval: ServerApprovalState::None,
                });
                AgentEvent::ToolCallStarted { call, message, name, parent, executed_by }
            }
            ReplyEvent::ToolArgsDelta { call, json } => {
                let call = self.map_call(call, ids);
                if self.is_decided(&call) {
                    return Assembled::Repeated;
                }
                if let Some(known) = self.call(&call).filter(|known| !known.is_ready) {
                    known.args.push_str(&json);
                }
                AgentEvent::ToolArgsDelta { call, json }
            }
            ReplyEvent::ToolCallReady { call, name, args, provider_metadata } => {
                let call = self.map_call(call, ids);
                if self.is_decided(&call) {
                    return Assembled::Repeated;
                }
                if let Some(known) = self.call(&call) {
                    known.name.clone_from(&name);
                    known.args.clone_from(&args);
                    known.is_ready = true;
                }
                AgentEvent::ToolCallReady { call, name, args, provider_metadata }
            }
            ReplyEvent::ToolOutput { call, stream, text } => {
                AgentEvent::ToolOutput { call: self.map_call(call, ids), stream, text }
            }
            // May occur twice; the later one counts.
            ReplyEvent::ToolCallFinished { call, mut outcome, output, duration } => {
                let call = self.map_call(call, ids);
                if let Some(known) = self.call(&call) {
                    known.is_finished = true;
                    if known.approval == (ServerApprovalState::Decided { is_allowed: false }) {
                        outcome = CallOutcome::Denied;
                    }
                }
                AgentEvent::ToolCallFinished { call, outcome, output, duration }
            }
            ReplyEvent::Annotation { on, annotation } => {
                let on = match on {
                    ReplyTarget::Reply => AnnotationTarget::Turn(turn.clone()),
                    ReplyTarget::Message(message) => AnnotationTarget::Message(self.map_message(message, ids)),
                    ReplyTarget::Call(call) => AnnotationTarget::Call(self.map_call(call, ids)),
                };
                if let (AnnotationTarget::Call(call), Annotation::NeedsApproval { reason, .. }) = (&on, &annotation)
                    && let Some(known) = self.call(call)
                {
                    known.approval = ServerApprovalState::Asked(reason.clone());
                }
                AgentEvent::Annotation { on, annotation }
            }
            ReplyEvent::UsageReported { scope, usage } => AgentEvent::UsageReported { scope, usage },
            ReplyEvent::Notice { level, code, text } => AgentEvent::Notice { level, code, text },
            ReplyEvent::Unknown(json) => AgentEvent::Unknown(json),
        })
    }

    /// Ends the reply: finishes its open messages and returns its unfinished calls, in their order.
    pub fn close(&mut self, outcome: &TurnOutcome, out: &mut Vec<AgentEvent>) -> Vec<UnfinishedCall> {
        out.extend(self.open_messages.drain(..).map(|message| AgentEvent::MessageFinished {
            message,
            finish_reason: outcome.finish_reason(),
            full_text: None,
            provider_metadata: None,
        }));
        let calls = std::mem::take(&mut self.calls);
        let unfinished = calls.iter().enumerate().filter(|(_, call)| !call.is_finished).map(|(at, call)| {
            let is_last = calls.iter().skip(at + 1).all(|later| later.message != call.message);
            let state = self.state(call, is_last);
            let (name, args) = (call.name.clone(), call.args.clone());
            let approval_reason = match &call.approval {
                ServerApprovalState::Asked(reason) => reason.clone(),
                ServerApprovalState::None | ServerApprovalState::Decided { .. } => None,
            };
            UnfinishedCall { call: call.id.clone(), name, args, is_ready: call.is_ready, approval_reason, state }
        });
        unfinished.collect()
    }

    fn state(&self, call: &ReplyCall, is_last: bool) -> UnfinishedState {
        match call.approval {
            ServerApprovalState::Asked(_) if call.is_ready => return UnfinishedState::NeedsApproval,
            ServerApprovalState::Decided { is_allowed: false } => return UnfinishedState::Denied,
            _ => {}
        }
        if call.executed_by == ExecutedBy::Server {
            return UnfinishedState::Unknown;
        }
        let ended_with = |reason| self.finish_reasons.contains(&(call.message.clone(), reason));
        if ended_with(FinishReason::Refused) {
            UnfinishedState::Declined
        } else if ended_with(FinishReason::Length) && !are_args_complete(&call.args, is_last, call.is_ready) {
            UnfinishedState::Truncated
        } else if call.is_ready {
            UnfinishedState::Requested
        } else {
            UnfinishedState::Unknown
        }
    }

    /// Returns our id for a message that the reply, or a tool that it called, names so.
    pub(super) fn map_message(&mut self, theirs: MessageId, ids: &mut IdAllocator) -> MessageId {
        self.message_ids.entry(theirs).or_insert_with(|| ids.new_message()).clone()
    }

    /// Returns our id for a call that the reply, or a tool that it called, names so.
    pub fn map_call(&mut self, theirs: CallId, ids: &mut IdAllocator) -> CallId {
        if let Some(ours) = self.call_ids.get(&theirs) {
            return ours.clone();
        }
        let ours = ids.new_call(&theirs);
        self.call_ids.insert(theirs, ours.clone());
        ours
    }

    /// Returns a call of the reply that is not finished, as far as it is known.
    pub fn open_call(&self, id: &CallId) -> Option<UnfinishedCall> {
        let call = self.calls.iter().rev().find(|call| call.id == *id && !call.is_finished)?;
        let (name, args, is_ready) = (call.name.clone(), call.args.clone(), call.is_ready);
        let (approval_reason, state) = (None, UnfinishedState::NeedsApproval);
        Some(UnfinishedCall { call: call.id.clone(), name, args, is_ready, approval_reason, state })
    }

    fn is_decided(&self, id: &CallId) -> bool {
        let is_decided = |call: &ReplyCall| matches!(call.approval, ServerApprovalState::Decided { .. });
        self.calls.iter().any(|call| call.id == *id && is_decided(call))
    }

    fn call(&mut self, id: &CallId) -> Option<&mut ReplyCall> {
        self.calls.iter_mut().rev().find(|call| call.id == *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Annotation, Role, TextKind, Usage, UsageScope};
    use crate::testkit::events::{call_started, message_started, text_delta};

    fn assemble(reply: Vec<ReplyEvent>, ids: &mut IdAllocator) -> Vec<AgentEvent> {
        let (mut assembler, mut out, turn) = (ReplyAssembler::default(), Vec::new(), TurnId::from("t7"));
        for event in reply {
            match assembler.assemble(event, &turn, ids) {
                Assembled::Event(event) => out.push(event),
                Assembled::Repeated => {}
                Assembled::End(outcome) => {
                    let calls = assembler.close(&outcome, &mut out);
                    out.extend(calls.iter().map(UnfinishedCall::finished));
                }
            }
        }
        out
    }

    fn started() -> ReplyEvent {
        ReplyEvent::MessageStarted { message: "x".into(), role: Role::Assistant, parent: None }
    }

    fn call(id: &str, executed_by: ExecutedBy) -> ReplyEvent {
        ReplyEvent::ToolCallStarted { call: id.into(), message: "x".into(), name: None, parent: None, executed_by }
    }

    fn ready(id: &str, args: &str) -> ReplyEvent {
        ReplyEvent::ToolCallReady {
            call: id.into(),
            name: "write_file".into(),
            args: args.into(),
            provider_metadata: None,
        }
    }

    #[test]
    fn what_a_reply_names_is_named_uniquely_in_the_session() {
        let mut ids = IdAllocator::default();
        let reply = || {
            vec![
                started(),
                ReplyEvent::TextDelta { message: "x".into(), text: "a".into(), kind: TextKind::Text },
                call("c", ExecutedBy::Client),
                ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation: Annotation::Paused {} },
                ReplyEvent::Annotation { on: ReplyTarget::Call("c".into()), annotation: Annotation::Foreign(true) },
                ReplyEvent::UsageReported { scope: UsageScope::Turn, usage: Usage::default() },
            ]
        };
        assemble(reply(), &mut ids);
        let expected = [
            message_started("m2"),
            text_delta("m2", "a"),
            call_started("c_2", "m2", None),
            AgentEvent::Annotation { on: AnnotationTarget::Turn("t7".into()), annotation: Annotation::Paused {} },
            AgentEvent::Annotation { on: AnnotationTarget::Call("c_2".into()), annotation: Annotation::Foreign(true) },
            AgentEvent::UsageReported { scope: UsageScope::Turn, usage: Usage::default() },
        ];
        assert_eq!(assemble(reply(), &mut ids), expected);
    }

    #[test]
    fn what_a_reply_leaves_open_is_finished_at_its_end() {
        for (outcome, finish_reason) in [
            (TurnOutcome::Completed, FinishReason::End),
            (TurnOutcome::Cancelled, FinishReason::Cancelled),
            (TurnOutcome::Interrupted, FinishReason::Interrupted),
        ] {
            let reply = vec![
                started(),
                call("a", ExecutedBy::Client),
                ready("a", "{}"),
                call("b", ExecutedBy::Server),
                ready("b", "{}"),
                call("c", ExecutedBy::Client),
                ReplyEvent::End { outcome },
            ];
            let events = assemble(reply, &mut IdAllocator::default());
            let ends: Vec<_> = events
                .iter()
                .filter_map(|event| match event {
                    AgentEvent::MessageFinished { finish_reason, .. } => Some(Err(*finish_reason)),
                    AgentEvent::ToolCallFinished { outcome, .. } => Some(Ok(*outcome)),
                    _ => None,
                })
                .collect();
            let unknown = Ok(CallOutcome::Unknown);
            assert_eq!(ends, [Err(finish_reason), Ok(CallOutcome::Requested), unknown, unknown]);
        }
    }

    /// How these calls end, in a message with this finish reason.
    fn ends(finish_reason: FinishReason, args: &[&str]) -> Vec<(CallOutcome, String)> {
        let mut reply = vec![started()];
        for (nth, args) in args.iter().enumerate() {
            let id = format!("c{nth}");
            reply.extend([call(&id, ExecutedBy::Client), ready(&id, args)]);
        }
        let (message, full_text, provider_metadata) = ("x".into(), None, None);
        reply.push(ReplyEvent::MessageFinished { message, finish_reason, full_text, provider_metadata });
        reply.push(ReplyEvent::End { outcome: TurnOutcome::Completed });
        let ends = assemble(reply, &mut IdAllocator::default()).into_iter().filter_map(|event| match event {
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
