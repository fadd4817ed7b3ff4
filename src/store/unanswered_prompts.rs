//! Prompts that were sent from here, until something came of them: one that came to nothing goes back to who wrote it.
//!
//! Another screen of the same session may send prompts as well; those are none of ours. Invariant: a prompt is given
//! back once at most, and never one that something was answered to.

use std::collections::VecDeque;

use crate::event::{AgentEvent, PromptContext, PromptContextKind, TurnOutcome};

/// Prompts that are followed; more never wait.
const MAX_PROMPTS: usize = 256;

/// A prompt and what went with it that can't be had again from its text, as what it mentions can.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SentPrompt {
    pub text: String,
    /// Outputs of the person's commands.
    pub outputs: Vec<PromptContext>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct UnansweredPrompts {
    /// On their way, the next one first.
    in_flight: VecDeque<SentPrompt>,
    /// The running turn's prompt, as long as nothing came of it.
    current: Option<SentPrompt>,
}

impl UnansweredPrompts {
    /// Notes a prompt that is sent.
    pub(super) fn on_sent(&mut self, text: &str, context: &[PromptContext]) {
        if self.in_flight.len() >= MAX_PROMPTS {
            self.in_flight.pop_front();
        }
        let outputs = context.iter().filter(|part| part.kind == PromptContextKind::Command).cloned().collect();
        self.in_flight.push_back(SentPrompt { text: text.to_owned(), outputs });
    }

    /// Notes a prompt that waits since an earlier run: it goes by itself some time.
    pub(super) fn on_queued(&mut self, text: &str) {
        if !self.in_flight.iter().any(|known| known.text == text) {
            self.on_sent(text, &[]);
        }
    }

    /// The person has that prompt again; returns the outputs that went with it.
    pub(super) fn take_back(&mut self, text: &str) -> Vec<PromptContext> {
        let at = self.in_flight.iter().rposition(|known| known.text == text);
        at.and_then(|at| self.in_flight.remove(at)).map(|prompt| prompt.outputs).unwrap_or_default()
    }

    /// Sees a fact; returns the prompt of a turn that failed or broke off before anything was answered.
    pub(super) fn on_event(&mut self, event: &AgentEvent) -> Option<SentPrompt> {
        match event {
            AgentEvent::TurnStarted { .. } => self.current = None,
            AgentEvent::UserMessage { text, .. } => {
                let at = self.in_flight.iter().position(|known| &known.text == text);
                self.current = at.and_then(|at| self.in_flight.remove(at));
            }
            AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::ToolCallStarted { .. }
            | AgentEvent::ToolCallReady { .. } => self.current = None,
            AgentEvent::TurnFinished { outcome: TurnOutcome::Failed(_) | TurnOutcome::Interrupted, .. } => {
                return self.current.take();
            }
            AgentEvent::TurnFinished { .. } => self.current = None,
            AgentEvent::SessionOpened { .. }
            | AgentEvent::MessageStarted { .. }
            | AgentEvent::MessageFinished { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::ToolCallFinished { .. }
            | AgentEvent::Annotation { .. }
            | AgentEvent::UsageReported { .. }
            | AgentEvent::Compacted(_)
            | AgentEvent::CompactionUndone { .. }
            | AgentEvent::Notice { .. }
            | AgentEvent::BranchStarted { .. }
            | AgentEvent::Unknown(_) => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Fault, FaultKind};
    use crate::testkit::events::{text_delta, turn_finished, user_message};

    fn asked(text: &str) -> AgentEvent {
        user_message("u", text)
    }

    fn over(end: TurnOutcome) -> AgentEvent {
        turn_finished("t", end)
    }

    fn failed() -> AgentEvent {
        over(TurnOutcome::Failed(Fault::new(FaultKind::BadRequest, "no")))
    }

    fn word() -> AgentEvent {
        text_delta("m", "x")
    }

    fn back(prompts: &mut UnansweredPrompts, events: &[AgentEvent]) -> Vec<String> {
        events.iter().filter_map(|event| prompts.on_event(event)).map(|prompt| prompt.text).collect()
    }

    #[test]
    fn a_prompt_comes_back_only_where_nothing_came_of_it() {
        let cases = [
            (vec![asked("a"), failed()], vec!["a"]),
            (vec![asked("a"), word(), failed()], vec![]),
            (vec![asked("a"), over(TurnOutcome::Interrupted)], vec!["a"]),
            (vec![asked("a"), word(), over(TurnOutcome::Interrupted)], vec![]),
            (vec![asked("a"), over(TurnOutcome::Completed)], vec![]),
            (vec![asked("a"), over(TurnOutcome::Cancelled)], vec![]),
            (vec![asked("a"), over(TurnOutcome::Completed), failed()], vec![]),
            (vec![asked("a"), failed(), failed()], vec!["a"]),
        ];
        for (events, expected) in cases {
            let mut prompts = UnansweredPrompts::default();
            prompts.on_sent("a", &[]);
            assert_eq!(back(&mut prompts, &events), expected, "{events:?}");
        }
    }

    #[test]
    fn what_another_screen_sent_or_the_past_holds_is_not_ours() {
        let mut prompts = UnansweredPrompts::default();
        assert_eq!(back(&mut prompts, &[asked("a"), failed()]), Vec::<String>::new());
        prompts.on_sent("mine", &[]);
        assert_eq!(back(&mut prompts, &[asked("theirs"), failed(), asked("mine"), failed()]), ["mine"]);
    }

    #[test]
    fn what_the_person_has_again_comes_back_no_second_time() {
        let mut prompts = UnansweredPrompts::default();
        prompts.on_sent("a", &[]);
        prompts.take_back("a");
        assert_eq!(back(&mut prompts, &[asked("a"), failed()]), Vec::<String>::new());
    }

    #[test]
    fn a_prompt_that_waits_is_noted_once() {
        let mut prompts = UnansweredPrompts::default();
        prompts.on_queued("a");
        prompts.on_queued("a");
        assert_eq!(back(&mut prompts, &[asked("a"), failed(), asked("a"), failed()]), ["a"]);
    }
}
