//! Prompts that were sent from here, until something came of them: one that came to nothing goes back to who wrote it.
//!
//! Another screen of the same session may send prompts as well; those are none of ours. Invariant: a prompt is given
//! back once at most, and never one that something was answered to.

use std::collections::VecDeque;

use crate::event::{AgentEvent, TurnEnd};

/// Prompts that are followed; more never wait.
const MOST: usize = 256;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Unanswered {
    /// On their way, the next one first.
    sent: VecDeque<String>,
    /// The running turn's prompt, as long as nothing came of it.
    asked: Option<String>,
}

impl Unanswered {
    /// Notes a prompt that is sent.
    pub(super) fn sent(&mut self, text: &str) {
        if self.sent.len() >= MOST {
            self.sent.pop_front();
        }
        self.sent.push_back(text.to_owned());
    }

    /// Notes a prompt that waits since an earlier run: it goes by itself some time.
    pub(super) fn waits(&mut self, text: &str) {
        if !self.sent.iter().any(|known| known == text) {
            self.sent(text);
        }
    }

    /// The person has that prompt again.
    pub(super) fn given_back(&mut self, text: &str) {
        if let Some(at) = self.sent.iter().rposition(|known| known == text) {
            self.sent.remove(at);
        }
    }

    /// Sees a fact; returns the prompt of a turn that failed or broke off before anything was answered.
    pub(super) fn on(&mut self, event: &AgentEvent) -> Option<String> {
        match event {
            AgentEvent::TurnStarted { .. } => self.asked = None,
            AgentEvent::UserMessage { text, .. } => {
                let at = self.sent.iter().position(|known| known == text);
                self.asked = at.and_then(|at| self.sent.remove(at));
            }
            AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::ToolCallStarted { .. }
            | AgentEvent::ToolCallReady { .. } => self.asked = None,
            AgentEvent::TurnFinished { end: TurnEnd::Failed(_) | TurnEnd::Interrupted, .. } => {
                return self.asked.take();
            }
            AgentEvent::TurnFinished { .. } => self.asked = None,
            AgentEvent::SessionOpened { .. }
            | AgentEvent::MessageStarted { .. }
            | AgentEvent::MessageFinished { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::ToolCallFinished { .. }
            | AgentEvent::Annotated { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::Noticed { .. }
            | AgentEvent::Unknown(_) => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Fault, FaultKind, TextKind};

    fn asked(text: &str) -> AgentEvent {
        AgentEvent::UserMessage { message: "u".into(), text: text.into() }
    }

    fn over(end: TurnEnd) -> AgentEvent {
        AgentEvent::TurnFinished { turn: "t".into(), end }
    }

    fn failed() -> AgentEvent {
        over(TurnEnd::Failed(Fault::new(FaultKind::BadRequest, "no")))
    }

    fn word() -> AgentEvent {
        AgentEvent::TextDelta { message: "m".into(), text: "x".into(), kind: TextKind::Text }
    }

    fn back(prompts: &mut Unanswered, events: &[AgentEvent]) -> Vec<String> {
        events.iter().filter_map(|event| prompts.on(event)).collect()
    }

    #[test]
    fn a_prompt_comes_back_only_where_nothing_came_of_it() {
        let cases = [
            (vec![asked("a"), failed()], vec!["a"]),
            (vec![asked("a"), word(), failed()], vec![]),
            (vec![asked("a"), over(TurnEnd::Interrupted)], vec!["a"]),
            (vec![asked("a"), word(), over(TurnEnd::Interrupted)], vec![]),
            (vec![asked("a"), over(TurnEnd::Completed)], vec![]),
            (vec![asked("a"), over(TurnEnd::Cancelled)], vec![]),
            (vec![asked("a"), over(TurnEnd::Completed), failed()], vec![]),
            (vec![asked("a"), failed(), failed()], vec!["a"]),
        ];
        for (events, expected) in cases {
            let mut prompts = Unanswered::default();
            prompts.sent("a");
            assert_eq!(back(&mut prompts, &events), expected, "{events:?}");
        }
    }

    #[test]
    fn what_another_screen_sent_or_the_past_holds_is_not_ours() {
        let mut prompts = Unanswered::default();
        assert_eq!(back(&mut prompts, &[asked("a"), failed()]), Vec::<String>::new());
        prompts.sent("mine");
        assert_eq!(back(&mut prompts, &[asked("theirs"), failed(), asked("mine"), failed()]), ["mine"]);
    }

    #[test]
    fn what_the_person_has_again_comes_back_no_second_time() {
        let mut prompts = Unanswered::default();
        prompts.sent("a");
        prompts.given_back("a");
        assert_eq!(back(&mut prompts, &[asked("a"), failed()]), Vec::<String>::new());
    }

    #[test]
    fn a_prompt_that_waits_is_noted_once() {
        let mut prompts = Unanswered::default();
        prompts.waits("a");
        prompts.waits("a");
        assert_eq!(back(&mut prompts, &[asked("a"), failed(), asked("a"), failed()]), ["a"]);
    }
}
