//! How turns begin, what is told in them, and how they end.

use std::collections::VecDeque;

use super::questions::decided_call;
use super::{MAX_HELD_EVENTS, PeerLink, PeerMachine, PeerStage, PeerTask, PeerTurn};
use crate::agent::assembler::{Assembled, ReplyAssembler, UnfinishedCall};
use crate::event::{AgentEvent, CallId, DecidedBy, Decision, ReplyEvent, TurnOutcome};

impl PeerMachine {
    pub(super) fn begin_turn(&mut self, is_prompted: bool) {
        if self.turn.is_some() {
            self.finish_turn(TurnOutcome::Completed);
        }
        let id = self.ids.new_turn();
        self.emit(AgentEvent::TurnStarted { turn: id.clone(), parent: None });
        self.turn = Some(PeerTurn {
            id,
            reply: ReplyAssembler::default(),
            is_prompted,
            is_cancelled: false,
            questions: Vec::new(),
            held: Vec::new(),
            allowed: Vec::new(),
            steers: VecDeque::new(),
        });
    }

    /// Ends the turn by the decoder's own end, whatever the agent says.
    pub(super) fn abandon(&mut self, outcome: TurnOutcome) {
        if outcome != TurnOutcome::Completed {
            self.out.tasks.push(PeerTask::StopTerminals);
        }
        let own = outcome.clone();
        self.with_protocol(|protocol, steps| protocol.abandon(own, steps));
        self.finish_turn(outcome);
    }

    pub(super) fn finish_turn(&mut self, outcome: TurnOutcome) {
        let Some(turn) = &self.turn else { return };
        for call in turn.questions.iter().map(|question| question.call.clone()).collect::<Vec<_>>() {
            self.resolve(&call, Decision::Deny(None), DecidedBy::Cancelled, None);
        }
        let Some(mut turn) = self.turn.take() else { return };
        let calls = turn.reply.close(&outcome, &mut self.out.events);
        self.out.events.extend(calls.iter().map(UnfinishedCall::finished));
        self.emit(AgentEvent::TurnFinished { turn: turn.id, outcome });
        self.out.link = Some(PeerLink::Idle);
    }

    pub(super) fn handle_reply_event(&mut self, event: ReplyEvent) {
        let event = match event {
            // These may come between turns.
            ReplyEvent::Notice { level, code, text } => return self.emit(AgentEvent::Notice { level, code, text }),
            ReplyEvent::Unknown(json) => return self.emit(AgentEvent::Unknown(json)),
            ReplyEvent::End { outcome } => return self.handle_end(outcome),
            ReplyEvent::UsageReported { .. } | ReplyEvent::Annotation { .. } if self.turn.is_none() => return,
            event => event,
        };
        if self.turn.is_none() {
            self.begin_turn(false);
        }
        if let Some(call) = decided_call(&event).filter(|call| self.is_decided_about(call)).cloned() {
            let is_over = matches!(event, ReplyEvent::ToolCallFinished { .. });
            if let Some(turn) = &mut self.turn
                && turn.held.len() < MAX_HELD_EVENTS
            {
                turn.held.push(event);
            }
            if is_over {
                // It did not wait for the answer.
                let ours = self.questions().iter().find(|question| question.theirs == call);
                if let Some(ours) = ours.map(|question| question.call.clone()) {
                    self.resolve(&ours, Decision::Deny(None), DecidedBy::Cancelled, None);
                }
            }
            return;
        }
        self.assemble(event);
    }

    pub(super) fn assemble(&mut self, event: ReplyEvent) {
        let Some(turn) = &mut self.turn else { return };
        if let Assembled::Event(event) = turn.reply.assemble(event, &turn.id, &mut self.ids) {
            self.out.link = Some(PeerLink::Live);
            self.emit(event);
        }
    }

    fn handle_end(&mut self, outcome: TurnOutcome) {
        let Some(turn) = &self.turn else { return };
        let outcome = match outcome {
            // Some report being stopped as an error.
            TurnOutcome::Failed(_) | TurnOutcome::Interrupted if turn.is_cancelled => TurnOutcome::Cancelled,
            outcome => outcome,
        };
        self.finish_turn(outcome);
    }

    pub(super) fn cancel(&mut self) {
        if self.take_waiting_prompt().is_some() {
            // It was never sent.
            return self.finish_turn(TurnOutcome::Cancelled);
        }
        let Some(turn) = &mut self.turn else { return };
        let is_again = std::mem::replace(&mut turn.is_cancelled, true);
        let is_prompted = turn.is_prompted;
        let questions: Vec<CallId> = turn.questions.iter().map(|question| question.call.clone()).collect();
        for call in questions {
            self.resolve(&call, Decision::Deny(None), DecidedBy::Cancelled, None);
        }
        self.refuse_undecided();
        match &self.stage {
            PeerStage::Ready if is_prompted && !is_again => {
                self.with_protocol(|protocol, steps| protocol.cancel(steps));
            }
            PeerStage::Ready if is_prompted && self.setup.hosting.is_some() => {
                self.abandon(TurnOutcome::Cancelled);
                self.end_program();
            }
            // It doesn't listen, or was not asked for anything.
            PeerStage::Opening(_) | PeerStage::Ready | PeerStage::Gone { .. } => self.abandon(TurnOutcome::Cancelled),
        }
    }
}
