//! The legal order of events, stated once.
//!
//! ```text
//! session ─ turn ─┬─ user message
//!                 ├─ message: started, deltas …, finished
//!                 ├─ call:    started, args …, ready, (asked, resolved), output …, finished (at most twice)
//!                 └─ finished, when no message, call or ask is open
//!         └ branch: between turns
//! ```
//!
//! [`check`] is for tests and debug builds; [`Sealer`] closes what a source left open, so that no consumer ever has
//! to handle "the stream just stopped".

use std::collections::HashMap;

use super::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, CallOutput, DecidedBy, Decision, ExecutedBy,
    MessageId, TurnId, TurnOutcome,
};

/// An event that isn't legal at its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Index in the checked slice.
    pub index: usize,
    pub message: String,
}

/// Returns every event that isn't legal at its position, and what is still open at the end.
pub fn check(events: &[AgentEvent]) -> Vec<Violation> {
    let mut sealer = Sealer::new();
    let mut violations = Vec::new();
    for (index, event) in events.iter().enumerate() {
        if let Err(text) = sealer.observe(event) {
            violations.push(Violation { index, message: text });
        }
    }
    if let Some(turn) = &sealer.open_turn {
        violations.push(Violation { index: events.len(), message: format!("turn {turn} is open at the end") });
    }
    violations
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OpenCallState {
    Writing,
    Ready,
    AwaitingApproval,
    Finished,
    FinishedTwice,
}

#[derive(Clone, Copy, Debug)]
struct OpenCall {
    state: OpenCallState,
    executed_by: ExecutedBy,
    /// It was approved or produced output, so it did run.
    has_run: bool,
    /// The server runs it only once its person allows it.
    needs_approval: bool,
}

/// Follows a stream of events and knows what is open.
#[derive(Clone, Debug, Default)]
pub struct Sealer {
    session_opened: bool,
    open_turn: Option<TurnId>,
    /// Messages of this turn in order, each with whether it is still open.
    messages: Vec<(MessageId, bool)>,
    /// Calls of this turn in order.
    calls: Vec<CallId>,
    open_calls: HashMap<CallId, OpenCall>,
}

impl Sealer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the open turn, if there is one.
    pub fn open_turn(&self) -> Option<&TurnId> {
        self.open_turn.as_ref()
    }

    /// Records an event. The error says why it isn't legal here; it is still recorded where that is useful.
    pub fn observe(&mut self, event: &AgentEvent) -> Result<(), String> {
        if !self.session_opened && !matches!(event, AgentEvent::SessionOpened { .. } | AgentEvent::Unknown(_)) {
            self.session_opened = true;
            let _ = self.observe(event);
            return Err("the first event must open the session".into());
        }
        match event {
            AgentEvent::SessionOpened { .. } => {
                self.session_opened = true;
                Ok(())
            }
            AgentEvent::TurnStarted { turn, .. } => self.start_turn(turn),
            AgentEvent::UserMessage { message, .. } => {
                self.require_turn("a user message")?;
                self.require_new_message(message)?;
                self.messages.push((message.clone(), false));
                Ok(())
            }
            AgentEvent::MessageStarted { message, parent, .. } => {
                self.note_sub_agent(parent.as_ref());
                let in_turn = self.require_turn("a message");
                let fresh = self.require_new_message(message);
                self.messages.push((message.clone(), true));
                in_turn.and(fresh)
            }
            AgentEvent::TextDelta { message, .. } | AgentEvent::ReasoningDelta { message, .. } => {
                self.require_open_message(message)
            }
            AgentEvent::MessageFinished { message, .. } => {
                self.require_open_message(message)?;
                for entry in &mut self.messages {
                    if entry.0 == *message {
                        entry.1 = false;
                    }
                }
                Ok(())
            }
            AgentEvent::ToolCallStarted { call, executed_by: ran_by, parent, .. } => {
                self.note_sub_agent(parent.as_ref());
                let in_turn = self.require_turn("a call");
                let track = OpenCall {
                    state: OpenCallState::Writing,
                    executed_by: *ran_by,
                    has_run: *ran_by == ExecutedBy::Server,
                    needs_approval: false,
                };
                if self.open_calls.insert(call.clone(), track).is_some() {
                    return Err(format!("call {call} was started before"));
                }
                self.calls.push(call.clone());
                in_turn
            }
            AgentEvent::ToolArgsDelta { call, .. } => {
                self.advance_call(call, &[OpenCallState::Writing], OpenCallState::Writing)
            }
            AgentEvent::ToolCallReady { call, .. } => {
                self.advance_call(call, &[OpenCallState::Writing], OpenCallState::Ready)
            }
            AgentEvent::ApprovalRequested { call, .. } => {
                self.advance_call(call, &[OpenCallState::Ready], OpenCallState::AwaitingApproval)
            }
            AgentEvent::ApprovalResolved { call, decision, .. } => {
                self.advance_call(call, &[OpenCallState::AwaitingApproval], OpenCallState::Ready)?;
                self.mark_run(call, decision.allows());
                Ok(())
            }
            AgentEvent::ToolOutput { call, .. } => {
                self.advance_call(call, &[OpenCallState::Ready], OpenCallState::Ready)?;
                self.mark_run(call, true);
                Ok(())
            }
            AgentEvent::ToolCallFinished { call, .. } => self.finish_call(call),
            AgentEvent::UsageReported { .. } => self.require_turn("a usage report"),
            AgentEvent::TurnFinished { turn, .. } => self.finish_turn(turn),
            AgentEvent::BranchStarted { .. } => match &self.open_turn {
                Some(turn) => Err(format!("a branch starts inside turn {turn}")),
                None => Ok(()),
            },
            AgentEvent::Annotation {
                on: AnnotationTarget::Call(call),
                annotation: Annotation::NeedsApproval { .. },
            } => {
                if let Some(track) = self.open_calls.get_mut(call) {
                    track.needs_approval = true;
                    track.has_run = false;
                }
                Ok(())
            }
            AgentEvent::Annotation { .. }
            | AgentEvent::Notice { .. }
            | AgentEvent::Compacted(_)
            | AgentEvent::CompactionUndone { .. }
            | AgentEvent::Unknown(_) => Ok(()),
        }
    }

    /// Returns the events that close everything inside the open turn, but not the turn itself.
    pub fn close_contents(&self, end: &TurnOutcome) -> Vec<AgentEvent> {
        let mut out = Vec::new();
        for call in &self.calls {
            let Some(track) = self.open_calls.get(call) else { continue };
            if track.state == OpenCallState::AwaitingApproval {
                out.push(AgentEvent::ApprovalResolved {
                    call: call.clone(),
                    decision: Decision::Deny(None),
                    by: DecidedBy::Cancelled,
                });
            }
        }
        let (completed, cancelled) = (*end == TurnOutcome::Completed, *end == TurnOutcome::Cancelled);
        let replying = self.messages.iter().any(|(_, open)| *open);
        for (message, open) in &self.messages {
            if *open {
                out.push(AgentEvent::MessageFinished {
                    message: message.clone(),
                    finish_reason: end.finish_reason(),
                    full_text: None,
                    provider_metadata: None,
                });
            }
        }
        for call in &self.calls {
            let Some(track) = self.open_calls.get(call) else { continue };
            let outcome = match track.state {
                OpenCallState::Finished | OpenCallState::FinishedTwice => continue,
                _ if cancelled => CallOutcome::Cancelled,
                // Calls run once the response is complete: if the turn was cut after that, this one may have run
                // without an event.
                OpenCallState::Ready
                    if (replying || completed) && !track.has_run && track.executed_by == ExecutedBy::Client =>
                {
                    CallOutcome::Requested
                }
                OpenCallState::Ready if track.needs_approval && !track.has_run => CallOutcome::Requested,
                OpenCallState::AwaitingApproval => CallOutcome::Requested,
                OpenCallState::Writing | OpenCallState::Ready => CallOutcome::Unknown,
            };
            out.push(AgentEvent::ToolCallFinished {
                call: call.clone(),
                outcome,
                output: CallOutput::default(),
                duration: None,
            });
        }
        out
    }

    /// Returns the events that close everything that is open, the turn included; empty if no turn is open.
    pub fn seal(&self, end: TurnOutcome) -> Vec<AgentEvent> {
        let Some(turn) = self.open_turn.clone() else { return Vec::new() };
        let mut out = self.close_contents(&end);
        out.push(AgentEvent::TurnFinished { turn, outcome: end });
        out
    }

    fn start_turn(&mut self, turn: &TurnId) -> Result<(), String> {
        let before = self.open_turn.replace(turn.clone());
        self.messages.clear();
        self.calls.clear();
        self.open_calls.clear();
        match before {
            Some(open) => Err(format!("turn {turn} starts inside turn {open}")),
            None => Ok(()),
        }
    }

    fn finish_turn(&mut self, turn: &TurnId) -> Result<(), String> {
        let left = self.close_contents(&TurnOutcome::Completed).len();
        match self.open_turn.take() {
            None => Err(format!("turn {turn} finishes but was not started")),
            Some(open) if open != *turn => Err(format!("turn {turn} finishes inside turn {open}")),
            Some(_) if left > 0 => Err(format!("turn {turn} finishes with {left} things open")),
            Some(_) => Ok(()),
        }
    }

    fn finish_call(&mut self, call: &CallId) -> Result<(), String> {
        let Some(track) = self.open_calls.get_mut(call) else {
            return Err(format!("call {call} finishes but was not started"));
        };
        let (next, fine) = match track.state {
            OpenCallState::Writing | OpenCallState::Ready => (OpenCallState::Finished, true),
            OpenCallState::Finished => (OpenCallState::FinishedTwice, true),
            OpenCallState::AwaitingApproval => (OpenCallState::Finished, false),
            OpenCallState::FinishedTwice => (OpenCallState::FinishedTwice, false),
        };
        let before = std::mem::replace(&mut track.state, next);
        if fine { Ok(()) } else { Err(format!("call {call} finishes while {before:?}")) }
    }

    fn advance_call(&mut self, call: &CallId, from: &[OpenCallState], to: OpenCallState) -> Result<(), String> {
        let Some(track) = self.open_calls.get_mut(call) else {
            return Err(format!("call {call} was not started"));
        };
        if !from.contains(&track.state) {
            return Err(format!("call {call} is {:?} and can't become {to:?}", track.state));
        }
        track.state = to;
        Ok(())
    }

    fn mark_run(&mut self, call: &CallId, ran: bool) {
        if let Some(track) = self.open_calls.get_mut(call) {
            track.has_run |= ran;
        }
    }

    /// A call for which a sub-agent works runs.
    fn note_sub_agent(&mut self, parent: Option<&CallId>) {
        if let Some(parent) = parent {
            self.mark_run(parent, true);
        }
    }

    fn require_turn(&self, what: &str) -> Result<(), String> {
        if self.open_turn.is_some() { Ok(()) } else { Err(format!("{what} outside a turn")) }
    }

    fn require_new_message(&self, message: &MessageId) -> Result<(), String> {
        if self.messages.iter().any(|(id, _)| id == message) {
            return Err(format!("message {message} was started before"));
        }
        Ok(())
    }

    fn require_open_message(&self, message: &MessageId) -> Result<(), String> {
        // The newest message is nearly always the one that is meant.
        if self.messages.iter().rev().any(|(id, open)| *open && id == message) {
            Ok(())
        } else {
            Err(format!("message {message} is not open"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FinishReason, Json};
    use crate::testkit::events::{
        call_finished, call_ready, call_started, message_finished, message_started, opened, shell_approval, text_delta,
        turn_finished, turn_started, user_message,
    };

    fn turn() -> Vec<AgentEvent> {
        vec![
            opened(),
            turn_started("t1"),
            user_message("m1", "hi"),
            message_started("m2"),
            text_delta("m2", "so"),
            call_started("c1", "m2", Some("clock")),
            AgentEvent::ToolArgsDelta { call: "c1".into(), json: "{}".into() },
            call_ready("c1", "clock", "{}"),
            message_finished("m2", FinishReason::ToolCalls),
            call_finished("c1", CallOutcome::Ok, "noon"),
            turn_finished("t1", TurnOutcome::Completed),
        ]
    }

    #[test]
    fn a_whole_turn_has_no_breach() {
        assert_eq!(check(&turn()), []);
    }

    #[test]
    fn every_prefix_is_made_whole_by_its_seal() {
        let whole = turn();
        for end in [TurnOutcome::Completed, TurnOutcome::Cancelled, TurnOutcome::Interrupted] {
            for cut in 1..=whole.len() {
                let mut events = whole[..cut].to_vec();
                let mut sealer = Sealer::new();
                for event in &events {
                    sealer.observe(event).unwrap();
                }
                events.extend(sealer.seal(end.clone()));
                assert_eq!(check(&events), [], "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_call_nobody_ran_is_requested_and_one_that_may_have_run_is_unknown() {
        let whole = turn();
        let outcomes = |cut: usize| {
            let mut sealer = Sealer::new();
            for event in &whole[..cut] {
                sealer.observe(event).unwrap();
            }
            sealer
                .seal(TurnOutcome::Interrupted)
                .into_iter()
                .find_map(|event| match event {
                    AgentEvent::ToolCallFinished { outcome, .. } => Some(outcome),
                    _ => None,
                })
                .unwrap()
        };
        assert_eq!(outcomes(7), CallOutcome::Unknown);
        assert_eq!(outcomes(8), CallOutcome::Requested);
        assert_eq!(outcomes(9), CallOutcome::Unknown);
    }

    #[test]
    fn a_call_of_the_server_that_needs_approval_was_only_requested_until_it_is_allowed() {
        let needs_approval = AgentEvent::Annotation {
            on: AnnotationTarget::Call("c1".into()),
            annotation: Annotation::NeedsApproval { request: Json::Null, reason: None },
        };
        let asked = AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("date") };
        let allowed =
            AgentEvent::ApprovalResolved { call: "c1".into(), decision: Decision::Once, by: DecidedBy::Person };
        let mut events = turn()[..9].to_vec();
        for event in &mut events {
            if let AgentEvent::ToolCallStarted { executed_by, .. } = event {
                *executed_by = ExecutedBy::Server;
            }
        }
        let outcome = |events: &[AgentEvent]| {
            let mut sealer = Sealer::new();
            for event in events {
                sealer.observe(event).unwrap();
            }
            sealer.close_contents(&TurnOutcome::Interrupted).iter().find_map(|event| match event {
                AgentEvent::ToolCallFinished { outcome, .. } => Some(*outcome),
                _ => None,
            })
        };
        assert_eq!(outcome(&events), Some(CallOutcome::Unknown));
        events.push(needs_approval);
        assert_eq!(outcome(&events), Some(CallOutcome::Requested));
        events.extend([asked, allowed]);
        assert_eq!(outcome(&events), Some(CallOutcome::Unknown));
    }

    #[test]
    fn what_stands_wrong_is_named() {
        let events = vec![opened(), text_delta("m9", "x"), call_ready("c9", "x", ""), turn_started("t1")];
        let texts: Vec<String> = check(&events).into_iter().map(|violation| violation.message).collect();
        assert_eq!(texts, ["message m9 is not open", "call c9 was not started", "turn t1 is open at the end"]);
    }
}
