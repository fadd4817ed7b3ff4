//! PURE. The prompt of this run: whether its turn has started, and how to stop it.
//!
//! In a session with other clients a turn may be theirs. Ours is the one that begins with our prompt; before that
//! nothing is cancelled, and a queued prompt is removed from the queue. Invariant: turns of other clients continue.

use crate::event::{AgentEvent, Command, QueuedPrompt};

/// The next step of a run that is being stopped.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stop {
    Send(Command),
    /// Nothing here is ours to stop any more.
    Leave,
    /// More events are needed to decide.
    Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waits,
    Runs,
    Over,
}

pub(super) struct Asked {
    stage: Stage,
    /// The prompt that identifies our turn; `None` if every turn is ours.
    text: Option<String>,
    /// Prompts that were queued before ours was sent.
    others: Vec<u64>,
    taken_back: Option<u64>,
    cancelled: bool,
}

impl Asked {
    /// Without a prompt: every event counts, and no turn ends the run.
    pub(super) fn nothing() -> Self {
        Self { stage: Stage::Runs, ..Self::alone() }
    }

    /// Without other clients. A resumed session may first close what its last run left open; that is not our turn.
    pub(super) fn alone() -> Self {
        Self { stage: Stage::Waits, text: None, others: Vec::new(), taken_back: None, cancelled: false }
    }

    /// With other clients; `queue` holds the prompts queued before ours is sent.
    pub(super) fn among_others(text: &str, queue: &[QueuedPrompt]) -> Self {
        let others = queue.iter().map(|queued| queued.id).collect();
        Self { text: Some(text.to_owned()), others, ..Self::alone() }
    }

    pub(super) fn began(&self) -> bool {
        self.stage != Stage::Waits
    }

    pub(super) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Returns whether the next events may belong to another client's turn.
    pub(super) fn is_behind_others(&self) -> bool {
        self.text.is_some() && !self.began()
    }

    /// Returns whether our prompt was removed from the queue.
    pub(super) fn is_taken_back(&self) -> bool {
        self.taken_back.is_some()
    }

    pub(super) fn observe(&mut self, event: &AgentEvent) {
        self.stage = match (self.stage, event, &self.text) {
            (Stage::Waits, AgentEvent::TurnStarted { .. }, None) => Stage::Runs,
            (Stage::Waits, AgentEvent::UserMessage { text, .. }, Some(ours)) if text == ours => Stage::Runs,
            (Stage::Runs, AgentEvent::TurnFinished { .. }, _) => Stage::Over,
            (stage, ..) => stage,
        };
    }

    /// Returns the next step of stopping, given the current queue. Nothing is sent twice.
    pub(super) fn stop(&mut self, queue: &[QueuedPrompt]) -> Stop {
        if let Some(id) = self.taken_back {
            return if queue.iter().any(|queued| queued.id == id) { Stop::Wait } else { Stop::Leave };
        }
        let is_ours =
            |queued: &&QueuedPrompt| Some(&queued.text) == self.text.as_ref() && !self.others.contains(&queued.id);
        // Checked first: another client may have sent the same prompt.
        if let Some(ours) = queue.iter().find(is_ours) {
            self.taken_back = Some(ours.id);
            return Stop::Send(Command::DequeuePrompt { id: ours.id });
        }
        if self.is_behind_others() || std::mem::replace(&mut self.cancelled, true) {
            return Stop::Wait;
        }
        Stop::Send(Command::Cancel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::TurnOutcome;
    use crate::testkit::events::{turn_finished, turn_started, user_message};

    fn turn(asked: &mut Asked, text: &str) {
        asked.observe(&turn_started("t"));
        asked.observe(&user_message("u", text));
    }

    fn end(asked: &mut Asked) {
        asked.observe(&turn_finished("t", TurnOutcome::Completed));
    }

    fn queue(waiting: &[(u64, &str)]) -> Vec<QueuedPrompt> {
        waiting.iter().map(|(id, text)| QueuedPrompt::new(*id, *text)).collect()
    }

    #[test]
    fn a_turn_that_is_not_ours_is_never_cancelled_and_our_prompt_is_taken_back() {
        let mut asked = Asked::among_others("ours", &queue(&[(4, "theirs")]));
        turn(&mut asked, "somebody's");
        assert!(!asked.began());
        assert_eq!(asked.stop(&[]), Stop::Wait, "it is on its way");
        let waiting = queue(&[(4, "theirs"), (5, "ours")]);
        assert_eq!(asked.stop(&waiting), Stop::Send(Command::DequeuePrompt { id: 5 }));
        assert_eq!(asked.stop(&waiting), Stop::Wait, "asked for once");
        assert_eq!(asked.stop(&waiting[..1]), Stop::Leave);
        end(&mut asked);
        assert!(!asked.is_over());
    }

    #[test]
    fn our_own_turn_is_cancelled_once() {
        for mut asked in [Asked::among_others("ours", &[]), Asked::alone()] {
            turn(&mut asked, "ours");
            assert_eq!(asked.stop(&queue(&[(5, "theirs")])), Stop::Send(Command::Cancel));
            assert_eq!(asked.stop(&[]), Stop::Wait);
            end(&mut asked);
            assert!(asked.is_over());
        }
    }

    #[test]
    fn the_same_words_of_somebody_else_are_not_ours() {
        // Sent before ours.
        let mut asked = Asked::among_others("go on", &queue(&[(4, "go on")]));
        assert_eq!(asked.stop(&queue(&[(4, "go on")])), Stop::Wait);
        // Their turn looks like ours, but ours is still queued.
        turn(&mut asked, "go on");
        assert_eq!(asked.stop(&queue(&[(5, "go on")])), Stop::Send(Command::DequeuePrompt { id: 5 }));
        assert_eq!(asked.stop(&[]), Stop::Leave);
    }

    #[test]
    fn a_session_of_our_own_is_cancelled_before_its_turn_has_begun() {
        let mut asked = Asked::alone();
        end(&mut asked);
        assert!(!asked.began() && !asked.is_over(), "the last run's end is not ours");
        assert_eq!(asked.stop(&[]), Stop::Send(Command::Cancel));
    }
}
