//! PURE. The prompts that wait for their turn, and those on their way that the log has not yet.
//!
//! A queue of an earlier run is held: nothing in it is sent before the person has said something, or said so.

use std::collections::VecDeque;

use crate::event::Queued;

/// Prompts that may wait for the running turn, and what they may weigh together.
pub(super) const MOST: usize = 100;
const MOST_BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Queued>,
    /// Handed to the source; the log has them with the message that comes back.
    on_their_way: VecDeque<String>,
    numbers: u64,
    held: bool,
}

impl Queue {
    /// Takes the prompts of an earlier run.
    pub(super) fn held(texts: Vec<String>) -> Self {
        let mut queue = Self::default();
        // What was on its way comes to those that may wait, so there can be more than may be added.
        for text in texts {
            queue.numbers += 1;
            queue.waiting.push_back(Queued { id: queue.numbers, text });
        }
        queue.held = !queue.waiting.is_empty();
        queue
    }

    /// Adds a prompt; the error says why it was not taken.
    pub(super) fn add(&mut self, text: String) -> Result<(), String> {
        let bytes: usize = self.waiting.iter().map(|queued| queued.text.len()).sum();
        if self.waiting.len() >= MOST || bytes + text.len() > MOST_BYTES {
            let begin: String = text.chars().take(40).collect();
            return Err(format!("{} prompts are waiting, so this one was not taken: {begin}", self.waiting.len()));
        }
        self.numbers += 1;
        self.waiting.push_back(Queued { id: self.numbers, text });
        Ok(())
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.waiting.retain(|queued| queued.id != id);
        self.held &= !self.waiting.is_empty();
    }

    /// Takes out the prompt that comes next. The queue is no longer held.
    pub(super) fn next(&mut self) -> Option<String> {
        self.held = false;
        self.waiting.pop_front().map(|queued| queued.text)
    }

    /// Whether a new prompt has to wait behind those that are there.
    pub(super) fn goes_first(&self) -> bool {
        !self.held && !self.waiting.is_empty()
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Notes a prompt that was handed on.
    pub(super) fn sent(&mut self, text: String) {
        self.on_their_way.push_back(text);
    }

    /// The log got a message of the person; returns whether it was one that was on its way.
    pub(super) fn logged(&mut self) -> bool {
        self.on_their_way.pop_front().is_some()
    }

    pub(super) fn waiting(&self) -> Vec<Queued> {
        self.waiting.iter().cloned().collect()
    }

    /// Returns all that the log has not, the next one first.
    pub(super) fn texts(&self) -> Vec<&str> {
        let waiting = self.waiting.iter().map(|queued| queued.text.as_str());
        self.on_their_way.iter().map(String::as_str).chain(waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_kept_until_the_log_has_it() {
        let mut queue = Queue::default();
        queue.add("a".into()).unwrap();
        queue.add("b".into()).unwrap();
        let next = queue.next().unwrap();
        queue.sent(next);
        assert_eq!(queue.texts(), ["a", "b"]);
        assert!(queue.logged());
        assert_eq!(queue.texts(), ["b"]);
        assert!(!queue.logged());
    }

    #[test]
    fn a_queue_of_an_earlier_run_lets_new_prompts_pass() {
        let mut queue = Queue::held(vec!["old".into()]);
        assert!(queue.is_held() && !queue.goes_first());
        assert_eq!(queue.next().as_deref(), Some("old"));
        assert!(!queue.is_held());
        let mut queue = Queue::held(vec!["old".into()]);
        queue.remove(1);
        assert!(!queue.is_held() && queue.texts().is_empty());
    }

    #[test]
    fn no_prompt_that_was_saved_is_dropped() {
        let mut queue = Queue::default();
        queue.sent("on its way".into());
        for nth in 0..MOST {
            queue.add(nth.to_string()).unwrap();
        }
        let saved: Vec<String> = queue.texts().into_iter().map(str::to_owned).collect();
        assert_eq!(Queue::held(saved.clone()).texts(), saved);
    }
}
