//! PURE. Prompts that wait for their turn, and those already sent that are not yet in the log.
//!
//! A queue of an earlier run is held: nothing in it is sent before the person sends a prompt or releases it.

use std::collections::VecDeque;

use crate::event::QueuedPrompt;

/// Limits of the queue: the number of prompts, and their total size.
pub(super) const MAX_QUEUED_PROMPTS: usize = 100;
const MAX_QUEUED_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct PromptQueue {
    waiting: VecDeque<QueuedPrompt>,
    /// Sent to the source; the log has them once the message comes back.
    in_flight: VecDeque<String>,
    last_id: u64,
    held: bool,
}

impl PromptQueue {
    /// Restores the prompts of an earlier run, held.
    pub(super) fn restore_held(texts: Vec<String>) -> Self {
        let mut queue = Self::default();
        // Prompts that were in flight join those that waited, so there can be more than the limit.
        for text in texts {
            queue.last_id += 1;
            queue.waiting.push_back(QueuedPrompt { id: queue.last_id, text });
        }
        queue.held = !queue.waiting.is_empty();
        queue
    }

    /// Adds a prompt. The error is the reason why it was rejected.
    pub(super) fn push(&mut self, text: String) -> Result<(), String> {
        let bytes: usize = self.waiting.iter().map(|queued| queued.text.len()).sum();
        if self.waiting.len() >= MAX_QUEUED_PROMPTS || bytes + text.len() > MAX_QUEUED_BYTES {
            let begin: String = text.chars().take(40).collect();
            return Err(format!(
                "the queue is full ({} prompts), so this one was rejected: {begin}",
                self.waiting.len()
            ));
        }
        self.last_id += 1;
        self.waiting.push_back(QueuedPrompt { id: self.last_id, text });
        Ok(())
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.waiting.retain(|queued| queued.id != id);
        self.held &= !self.waiting.is_empty();
    }

    /// Takes out the next prompt. The queue is no longer held.
    pub(super) fn pop_next(&mut self) -> Option<String> {
        self.held = false;
        self.waiting.pop_front().map(|queued| queued.text)
    }

    /// Returns whether a new prompt has to wait behind the queued ones.
    pub(super) fn blocks_new_prompts(&self) -> bool {
        !self.held && !self.waiting.is_empty()
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Records a prompt as sent.
    pub(super) fn mark_in_flight(&mut self, text: String) {
        self.in_flight.push_back(text);
    }

    /// Records that a user message was logged. Returns whether it was a prompt in flight.
    pub(super) fn mark_logged(&mut self) -> bool {
        self.in_flight.pop_front().is_some()
    }

    pub(super) fn waiting(&self) -> Vec<QueuedPrompt> {
        self.waiting.iter().cloned().collect()
    }

    /// Returns all prompts that are not in the log, the next one first.
    pub(super) fn unlogged_prompts(&self) -> Vec<&str> {
        let waiting = self.waiting.iter().map(|queued| queued.text.as_str());
        self.in_flight.iter().map(String::as_str).chain(waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_kept_until_the_log_has_it() {
        let mut queue = PromptQueue::default();
        queue.push("a".into()).unwrap();
        queue.push("b".into()).unwrap();
        let next = queue.pop_next().unwrap();
        queue.mark_in_flight(next);
        assert_eq!(queue.unlogged_prompts(), ["a", "b"]);
        assert!(queue.mark_logged());
        assert_eq!(queue.unlogged_prompts(), ["b"]);
        assert!(!queue.mark_logged());
    }

    #[test]
    fn a_queue_of_an_earlier_run_lets_new_prompts_pass() {
        let mut queue = PromptQueue::restore_held(vec!["old".into()]);
        assert!(queue.is_held() && !queue.blocks_new_prompts());
        assert_eq!(queue.pop_next().as_deref(), Some("old"));
        assert!(!queue.is_held());
        let mut queue = PromptQueue::restore_held(vec!["old".into()]);
        queue.remove(1);
        assert!(!queue.is_held() && queue.unlogged_prompts().is_empty());
    }

    #[test]
    fn no_prompt_that_was_saved_is_dropped() {
        let mut queue = PromptQueue::default();
        queue.mark_in_flight("on its way".into());
        for nth in 0..MAX_QUEUED_PROMPTS {
            queue.push(nth.to_string()).unwrap();
        }
        let saved: Vec<String> = queue.unlogged_prompts().into_iter().map(str::to_owned).collect();
        assert_eq!(PromptQueue::restore_held(saved.clone()).unlogged_prompts(), saved);
    }
}
