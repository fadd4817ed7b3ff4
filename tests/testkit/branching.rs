//! Sessions that go back and forth, with what is to be seen of them at every place.

use proptest::prelude::*;

use jarvis_tui::event::branches::BranchPath;
use jarvis_tui::event::{AgentEvent, Envelope, FinishReason, Millis, Seq, TurnOutcome, Usage, UsageScope};

use super::events::{
    call_finished, call_started, message_finished, message_started, opened, text_delta, turn_finished, turn_started,
    user_message,
};

/// What a person does to a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BranchingStep {
    /// A prompt, answered with that many calls.
    Prompt(usize),
    /// What happens between turns.
    Note,
    /// Goes on after one of the places between turns, counted from the end.
    Branch(usize),
    Redo,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<BranchingStep>> {
    let step = prop_oneof![
        4 => (0_usize..3).prop_map(BranchingStep::Prompt),
        1 => Just(BranchingStep::Note),
        3 => (0_usize..40).prop_map(BranchingStep::Branch),
        2 => Just(BranchingStep::Redo),
    ];
    prop::collection::vec(step, 0..40)
}

/// A log, and for every place between turns what the conversation is there.
#[derive(Default)]
pub(crate) struct BranchingSession {
    pub(crate) log: Vec<AgentEvent>,
    pub(crate) conversation: Vec<String>,
    /// Number of the event, and the prompts before it.
    pub(crate) states: Vec<(Seq, Vec<String>)>,
    /// The places that were left and not gone back to.
    pub(crate) left: Vec<(Seq, Vec<String>)>,
    pub(crate) turns: usize,
}

impl BranchingSession {
    pub(crate) fn of(steps: &[BranchingStep]) -> Self {
        let mut session = Self::default();
        session.log.push(opened());
        session.settle();
        for step in steps {
            session.step(*step);
        }
        session
    }

    pub(crate) fn last(&self) -> Seq {
        Seq(self.log.len() as u64)
    }

    pub(crate) fn envelopes(&self) -> impl Iterator<Item = Envelope> {
        (1..).zip(&self.log).map(|(seq, event)| Envelope { seq: Seq(seq), at: Millis(seq), event: event.clone() })
    }

    fn settle(&mut self) {
        self.states.push((self.last(), self.conversation.clone()));
    }

    pub(crate) fn step(&mut self, step: BranchingStep) {
        match step {
            BranchingStep::Prompt(calls) => self.turn(calls),
            BranchingStep::Note => self.log.push(opened()),
            BranchingStep::Branch(back) => {
                let (after, there) = self.states[self.states.len() - 1 - back % self.states.len()].clone();
                self.go_to(after, there);
            }
            BranchingStep::Redo => {
                let Some((after, there)) = self.left.last().cloned() else { return };
                self.go_to(after, there);
            }
        }
        self.settle();
    }

    fn turn(&mut self, calls: usize) {
        self.turns += 1;
        let (turn, prompt) = (format!("t{}", self.turns), format!("prompt {}", self.turns));
        let message = format!("a{}", self.turns);
        self.log.extend([turn_started(&turn), user_message(&format!("m{}", self.turns), &prompt)]);
        self.log.extend([message_started(&message), text_delta(&message, &format!("answer {}", self.turns))]);
        let calls: Vec<String> = (0..calls).map(|call| format!("c{call}{turn}")).collect();
        self.log.extend(calls.iter().map(|call| call_started(call, &message, Some("shell"))));
        self.log.push(message_finished(&message, FinishReason::End));
        self.log.extend(calls.iter().map(|call| call_finished(call, jarvis_tui::event::CallOutcome::Ok, "done")));
        let usage = Usage { input_tokens: 100 + self.turns as u64, output_tokens: 10, ..Usage::default() };
        self.log.push(AgentEvent::UsageReported { scope: UsageScope::Request(1), usage });
        self.log.push(turn_finished(&turn, TurnOutcome::Completed));
        self.conversation.push(prompt);
    }

    fn go_to(&mut self, after: Seq, there: Vec<String>) {
        let here = (self.last(), self.conversation.clone());
        if self.left.last().is_some_and(|(left, _)| *left == after) {
            self.left.pop();
        } else {
            self.left.push(here);
        }
        self.log.push(AgentEvent::BranchStarted { after });
        self.conversation = there;
    }

    /// Returns the prompts on a path.
    pub(crate) fn prompts_on(&self, path: &BranchPath) -> Vec<String> {
        let prompts = (1..).zip(&self.log).filter_map(|(seq, event)| match event {
            AgentEvent::UserMessage { text, .. } if path.contains(Seq(seq)) => Some(text.clone()),
            _ => None,
        });
        prompts.collect()
    }
}
