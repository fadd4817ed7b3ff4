//! The legal order of events, stated once.
//!
//! ```text
//! session ─ turn ─┬─ user message
//!                 ├─ message: started, deltas …, finished
//!                 ├─ call:    started, args …, ready, (asked, resolved), output …, finished (at most twice)
//!                 └─ finished, when no message, call or ask is open
//! ```
//!
//! [`check`] is for tests and debug builds; [`Sealer`] closes what a source left open, so that no consumer ever has
//! to handle "the stream just stopped".

use std::collections::HashMap;

use super::{AgentEvent, CallId, DecidedBy, Decision, MessageId, Outcome, Output, RanBy, Stop, TurnEnd, TurnId};

/// An event that may not stand where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Index in the checked slice.
    pub index: usize,
    pub text: String,
}

/// Returns every event that stands where it may not, and what is still open at the end.
pub fn check(events: &[AgentEvent]) -> Vec<Breach> {
    let mut sealer = Sealer::new();
    let mut breaches = Vec::new();
    for (index, event) in events.iter().enumerate() {
        if let Err(text) = sealer.observe(event) {
            breaches.push(Breach { index, text });
        }
    }
    if let Some(turn) = &sealer.turn {
        breaches.push(Breach { index: events.len(), text: format!("turn {turn} is open at the end") });
    }
    breaches
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallStage {
    Writing,
    Ready,
    Asked,
    Finished,
    Settled,
}

#[derive(Clone, Copy, Debug)]
struct CallTrack {
    stage: CallStage,
    ran_by: RanBy,
    /// It was allowed or gave output, so it did run.
    ran: bool,
}

/// Follows a stream of events and knows what is open.
#[derive(Clone, Debug, Default)]
pub struct Sealer {
    opened: bool,
    turn: Option<TurnId>,
    /// Messages of this turn in order, and whether each is still open.
    messages: Vec<(MessageId, bool)>,
    /// Calls of this turn in order.
    calls: Vec<CallId>,
    tracks: HashMap<CallId, CallTrack>,
}

impl Sealer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the open turn, if there is one.
    pub fn open_turn(&self) -> Option<&TurnId> {
        self.turn.as_ref()
    }

    /// Takes note of an event. An error says why it may not stand here; it is noted all the same where that helps.
    pub fn observe(&mut self, event: &AgentEvent) -> Result<(), String> {
        if !self.opened && !matches!(event, AgentEvent::SessionOpened { .. } | AgentEvent::Unknown(_)) {
            self.opened = true;
            let _ = self.observe(event);
            return Err("the first event must open the session".into());
        }
        match event {
            AgentEvent::SessionOpened { .. } => {
                self.opened = true;
                Ok(())
            }
            AgentEvent::TurnStarted { turn, .. } => self.start_turn(turn),
            AgentEvent::UserMessage { message, .. } => {
                self.need_turn("a user message")?;
                self.fresh_message(message)?;
                self.messages.push((message.clone(), false));
                Ok(())
            }
            AgentEvent::MessageStarted { message, .. } => {
                let in_turn = self.need_turn("a message");
                let fresh = self.fresh_message(message);
                self.messages.push((message.clone(), true));
                in_turn.and(fresh)
            }
            AgentEvent::TextDelta { message, .. } | AgentEvent::ReasoningDelta { message, .. } => {
                self.need_open_message(message)
            }
            AgentEvent::MessageFinished { message, .. } => {
                self.need_open_message(message)?;
                for entry in &mut self.messages {
                    if entry.0 == *message {
                        entry.1 = false;
                    }
                }
                Ok(())
            }
            AgentEvent::ToolCallStarted { call, ran_by, .. } => {
                let in_turn = self.need_turn("a call");
                let track = CallTrack { stage: CallStage::Writing, ran_by: *ran_by, ran: *ran_by == RanBy::Server };
                if self.tracks.insert(call.clone(), track).is_some() {
                    return Err(format!("call {call} was started before"));
                }
                self.calls.push(call.clone());
                in_turn
            }
            AgentEvent::ToolArgsDelta { call, .. } => self.step(call, &[CallStage::Writing], CallStage::Writing),
            AgentEvent::ToolCallReady { call, .. } => self.step(call, &[CallStage::Writing], CallStage::Ready),
            AgentEvent::ApprovalRequested { call, .. } => self.step(call, &[CallStage::Ready], CallStage::Asked),
            AgentEvent::ApprovalResolved { call, decision, .. } => {
                self.step(call, &[CallStage::Asked], CallStage::Ready)?;
                self.mark_ran(call, decision.allows());
                Ok(())
            }
            AgentEvent::ToolOutput { call, .. } => {
                self.step(call, &[CallStage::Ready], CallStage::Ready)?;
                self.mark_ran(call, true);
                Ok(())
            }
            AgentEvent::ToolCallFinished { call, .. } => self.finish_call(call),
            AgentEvent::UsageReported { .. } => self.need_turn("a usage report"),
            AgentEvent::TurnFinished { turn, .. } => self.finish_turn(turn),
            AgentEvent::Annotated { .. } | AgentEvent::Noticed { .. } | AgentEvent::Unknown(_) => Ok(()),
        }
    }

    /// Returns what closes everything inside the open turn, but not the turn itself.
    pub fn close(&self, end: &TurnEnd) -> Vec<AgentEvent> {
        let mut out = Vec::new();
        for call in &self.calls {
            let Some(track) = self.tracks.get(call) else { continue };
            if track.stage == CallStage::Asked {
                out.push(AgentEvent::ApprovalResolved {
                    call: call.clone(),
                    decision: Decision::Deny(None),
                    by: DecidedBy::Cancelled,
                });
            }
        }
        let (stop, cancelled) = match end {
            TurnEnd::Completed => (Stop::End, false),
            TurnEnd::Cancelled => (Stop::Cancelled, true),
            TurnEnd::Interrupted => (Stop::Interrupted, false),
            TurnEnd::Failed(_) => (Stop::Failed, false),
        };
        let completed = *end == TurnEnd::Completed;
        let replying = self.messages.iter().any(|(_, open)| *open);
        for (message, open) in &self.messages {
            if *open {
                out.push(AgentEvent::MessageFinished { message: message.clone(), stop, full: None, carry: None });
            }
        }
        for call in &self.calls {
            let Some(track) = self.tracks.get(call) else { continue };
            let outcome = match track.stage {
                CallStage::Finished | CallStage::Settled => continue,
                _ if cancelled => Outcome::Cancelled,
                // Calls are run once the reply is over: where a turn was cut after that, this one may have run
                // without a word.
                CallStage::Ready if (replying || completed) && !track.ran && track.ran_by == RanBy::Us => {
                    Outcome::Requested
                }
                CallStage::Asked => Outcome::Requested,
                CallStage::Writing | CallStage::Ready => Outcome::Unknown,
            };
            out.push(AgentEvent::ToolCallFinished {
                call: call.clone(),
                outcome,
                output: Output::default(),
                took: None,
            });
        }
        out
    }

    /// Returns what closes everything that is open, the turn included; nothing when no turn is open.
    pub fn seal(&self, end: TurnEnd) -> Vec<AgentEvent> {
        let Some(turn) = self.turn.clone() else { return Vec::new() };
        let mut out = self.close(&end);
        out.push(AgentEvent::TurnFinished { turn, end });
        out
    }

    fn start_turn(&mut self, turn: &TurnId) -> Result<(), String> {
        let before = self.turn.replace(turn.clone());
        self.messages.clear();
        self.calls.clear();
        self.tracks.clear();
        match before {
            Some(open) => Err(format!("turn {turn} starts inside turn {open}")),
            None => Ok(()),
        }
    }

    fn finish_turn(&mut self, turn: &TurnId) -> Result<(), String> {
        let left = self.close(&TurnEnd::Completed).len();
        match self.turn.take() {
            None => Err(format!("turn {turn} finishes but was not started")),
            Some(open) if open != *turn => Err(format!("turn {turn} finishes inside turn {open}")),
            Some(_) if left > 0 => Err(format!("turn {turn} finishes with {left} things open")),
            Some(_) => Ok(()),
        }
    }

    fn finish_call(&mut self, call: &CallId) -> Result<(), String> {
        let Some(track) = self.tracks.get_mut(call) else {
            return Err(format!("call {call} finishes but was not started"));
        };
        let (next, fine) = match track.stage {
            CallStage::Writing | CallStage::Ready => (CallStage::Finished, true),
            CallStage::Finished => (CallStage::Settled, true),
            CallStage::Asked => (CallStage::Finished, false),
            CallStage::Settled => (CallStage::Settled, false),
        };
        let before = std::mem::replace(&mut track.stage, next);
        if fine { Ok(()) } else { Err(format!("call {call} finishes while {before:?}")) }
    }

    fn step(&mut self, call: &CallId, from: &[CallStage], to: CallStage) -> Result<(), String> {
        let Some(track) = self.tracks.get_mut(call) else {
            return Err(format!("call {call} was not started"));
        };
        if !from.contains(&track.stage) {
            return Err(format!("call {call} is {:?} and can't become {to:?}", track.stage));
        }
        track.stage = to;
        Ok(())
    }

    fn mark_ran(&mut self, call: &CallId, ran: bool) {
        if let Some(track) = self.tracks.get_mut(call) {
            track.ran |= ran;
        }
    }

    fn need_turn(&self, what: &str) -> Result<(), String> {
        if self.turn.is_some() { Ok(()) } else { Err(format!("{what} outside a turn")) }
    }

    fn fresh_message(&self, message: &MessageId) -> Result<(), String> {
        if self.messages.iter().any(|(id, _)| id == message) {
            return Err(format!("message {message} was started before"));
        }
        Ok(())
    }

    fn need_open_message(&self, message: &MessageId) -> Result<(), String> {
        // The newest message is nearly always the one meant.
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
    use crate::event::{Caps, Mode, Role, TextKind};

    pub(super) fn opened() -> AgentEvent {
        AgentEvent::SessionOpened {
            wall: 0,
            engine: "offline".into(),
            model: "guide".into(),
            why: String::new(),
            mode: Mode::Ask,
            folder: "/".into(),
            version: "0".into(),
            caps: Caps::default(),
            window: None,
            price: None,
        }
    }

    fn turn() -> Vec<AgentEvent> {
        vec![
            opened(),
            AgentEvent::TurnStarted { turn: "t1".into(), parent: None },
            AgentEvent::UserMessage { message: "m1".into(), text: "hi".into() },
            AgentEvent::MessageStarted { message: "m2".into(), role: Role::Assistant, parent: None },
            AgentEvent::TextDelta { message: "m2".into(), text: "so".into(), kind: TextKind::Text },
            AgentEvent::ToolCallStarted {
                call: "c1".into(),
                message: "m2".into(),
                name: Some("clock".into()),
                parent: None,
                ran_by: RanBy::Us,
            },
            AgentEvent::ToolArgsDelta { call: "c1".into(), json: "{}".into() },
            AgentEvent::ToolCallReady { call: "c1".into(), name: "clock".into(), args: "{}".into(), carry: None },
            AgentEvent::MessageFinished { message: "m2".into(), stop: Stop::ToolCalls, full: None, carry: None },
            AgentEvent::ToolCallFinished {
                call: "c1".into(),
                outcome: Outcome::Ok,
                output: Output::of("noon"),
                took: None,
            },
            AgentEvent::TurnFinished { turn: "t1".into(), end: TurnEnd::Completed },
        ]
    }

    #[test]
    fn a_whole_turn_has_no_breach() {
        assert_eq!(check(&turn()), []);
    }

    #[test]
    fn every_prefix_is_made_whole_by_its_seal() {
        let whole = turn();
        for end in [TurnEnd::Completed, TurnEnd::Cancelled, TurnEnd::Interrupted] {
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
                .seal(TurnEnd::Interrupted)
                .into_iter()
                .find_map(|event| match event {
                    AgentEvent::ToolCallFinished { outcome, .. } => Some(outcome),
                    _ => None,
                })
                .unwrap()
        };
        assert_eq!(outcomes(7), Outcome::Unknown);
        assert_eq!(outcomes(8), Outcome::Requested);
        assert_eq!(outcomes(9), Outcome::Unknown);
    }

    #[test]
    fn what_stands_wrong_is_named() {
        let events = vec![
            opened(),
            AgentEvent::TextDelta { message: "m9".into(), text: "x".into(), kind: TextKind::Text },
            AgentEvent::ToolCallReady { call: "c9".into(), name: "x".into(), args: String::new(), carry: None },
            AgentEvent::TurnStarted { turn: "t1".into(), parent: None },
        ];
        let texts: Vec<String> = check(&events).into_iter().map(|breach| breach.text).collect();
        assert_eq!(texts, ["message m9 is not open", "call c9 was not started", "turn t1 is open at the end"]);
    }
}
