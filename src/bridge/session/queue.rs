//! PURE. Prompts that wait for their turn, and those already sent that are not yet in the log.
//!
//! A queue of an earlier run is held, and so is one whose turn was interrupted: nothing in it is sent before the person
//! sends a prompt or releases it. What steers a turn and was not taken along before its end is the next prompt.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::event::{PromptContext, QueuedPrompt};

/// Limits of the queue: the number of prompts, and their total size.
pub(super) const MAX_QUEUED_PROMPTS: usize = 100;
const MAX_QUEUED_BYTES: usize = 16 << 20;

/// A prompt that is not in the log, as it is saved: most are a text alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum UnsentPrompt {
    Text(String),
    WithContext {
        text: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        context: Vec<PromptContext>,
        #[serde(rename = "from", default, skip_serializing_if = "Option::is_none")]
        author: Option<String>,
    },
}

impl UnsentPrompt {
    pub fn new(text: String, context: Vec<PromptContext>) -> Self {
        Self::of(text, context, None)
    }

    /// Returns the prompt of an author, if that is known.
    pub fn of(text: String, context: Vec<PromptContext>, author: Option<String>) -> Self {
        if context.is_empty() && author.is_none() {
            Self::Text(text)
        } else {
            Self::WithContext { text, context, author }
        }
    }

    pub fn author(&self) -> Option<&str> {
        match self {
            Self::Text(_) => None,
            Self::WithContext { author, .. } => author.as_deref(),
        }
    }

    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::WithContext { text, .. } => text,
        }
    }

    pub fn context(&self) -> &[PromptContext] {
        match self {
            Self::Text(_) => &[],
            Self::WithContext { context, .. } => context,
        }
    }

    /// Returns the text and what goes with it.
    pub fn into_parts(self) -> (String, Vec<PromptContext>) {
        match self {
            Self::Text(text) => (text, Vec::new()),
            Self::WithContext { text, context, .. } => (text, context),
        }
    }

    fn bytes(&self) -> usize {
        self.text().len() + PromptContext::stored_bytes(self.context())
    }
}

impl From<&str> for UnsentPrompt {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

#[derive(Debug)]
struct WaitingPrompt {
    id: u64,
    prompt: UnsentPrompt,
}

#[derive(Debug)]
struct InFlightPrompt {
    prompt: UnsentPrompt,
    /// It goes into the running turn.
    steers: bool,
}

#[derive(Debug, Default)]
pub(super) struct PromptQueue {
    waiting: VecDeque<WaitingPrompt>,
    /// Sent to the source; the log has them once the message comes back.
    in_flight: VecDeque<InFlightPrompt>,
    last_id: u64,
    held: bool,
}

impl PromptQueue {
    /// Restores the prompts of an earlier run, held.
    pub(super) fn restore_held(prompts: Vec<UnsentPrompt>) -> Self {
        let mut queue = Self::default();
        // Prompts that were in flight join those that waited, so there can be more than the limit.
        for prompt in prompts {
            queue.last_id += 1;
            queue.waiting.push_back(WaitingPrompt { id: queue.last_id, prompt });
        }
        queue.held = !queue.waiting.is_empty();
        queue
    }

    /// Adds a prompt. The error is the reason why it was rejected.
    pub(super) fn push(&mut self, prompt: UnsentPrompt) -> Result<(), String> {
        let bytes: usize = self.waiting.iter().map(|queued| queued.prompt.bytes()).sum();
        if self.waiting.len() >= MAX_QUEUED_PROMPTS || bytes + prompt.bytes() > MAX_QUEUED_BYTES {
            let begin: String = prompt.text().chars().take(40).collect();
            return Err(format!(
                "the queue is full ({} prompts), so this one was rejected: {begin}",
                self.waiting.len()
            ));
        }
        self.last_id += 1;
        self.waiting.push_back(WaitingPrompt { id: self.last_id, prompt });
        Ok(())
    }

    pub(super) fn remove(&mut self, id: u64) {
        self.waiting.retain(|queued| queued.id != id);
        self.held &= !self.waiting.is_empty();
    }

    /// Takes out the next prompt. The queue is no longer held.
    pub(super) fn pop_next(&mut self) -> Option<UnsentPrompt> {
        self.held = false;
        self.waiting.pop_front().map(|queued| queued.prompt)
    }

    /// Returns whether a new prompt has to wait behind the queued ones.
    pub(super) fn blocks_new_prompts(&self) -> bool {
        !self.held && !self.waiting.is_empty()
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// Holds what waits.
    pub(super) fn hold(&mut self) {
        self.held = !self.waiting.is_empty();
    }

    /// Records a prompt as sent.
    pub(super) fn mark_in_flight(&mut self, prompt: UnsentPrompt) {
        self.in_flight.push_back(InFlightPrompt { prompt, steers: false });
    }

    /// Records what steers the running turn as sent.
    pub(super) fn mark_steering(&mut self, prompt: UnsentPrompt) {
        self.in_flight.push_back(InFlightPrompt { prompt, steers: true });
    }

    /// The turn is over: what was to steer it and was not taken along waits in front of all others.
    pub(super) fn return_steers(&mut self) {
        let (late, others): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.in_flight).into_iter().partition(|sent| sent.steers);
        self.in_flight = others;
        for InFlightPrompt { prompt, .. } in late.into_iter().rev() {
            self.last_id += 1;
            self.waiting.push_front(WaitingPrompt { id: self.last_id, prompt });
        }
    }

    /// Returns what is to steer the running turn and was not taken along so far.
    pub(super) fn steering(&self) -> Vec<String> {
        self.in_flight.iter().filter(|sent| sent.steers).map(|sent| sent.prompt.text().to_owned()).collect()
    }

    /// Records that a user message was logged. Returns the prompt, if it was one in flight.
    pub(super) fn mark_logged(&mut self) -> Option<UnsentPrompt> {
        self.in_flight.pop_front().map(|sent| sent.prompt)
    }

    pub(super) fn waiting(&self) -> Vec<QueuedPrompt> {
        let shown = |queued: &WaitingPrompt| QueuedPrompt {
            id: queued.id,
            text: queued.prompt.text().to_owned(),
            author: queued.prompt.author().map(str::to_owned),
        };
        self.waiting.iter().map(shown).collect()
    }

    /// Returns all prompts that are not in the log, the next one first.
    pub(super) fn unlogged_prompts(&self) -> Vec<&UnsentPrompt> {
        let in_flight = self.in_flight.iter().map(|sent| &sent.prompt);
        in_flight.chain(self.waiting.iter().map(|queued| &queued.prompt)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::PromptContextKind;

    fn attached() -> PromptContext {
        PromptContext { kind: PromptContextKind::File, name: "a.rs".into(), text: "fn a() {}".into() }
    }

    #[test]
    fn a_prompt_is_kept_until_the_log_has_it() {
        let mut queue = PromptQueue::default();
        queue.push("a".into()).unwrap();
        queue.push("b".into()).unwrap();
        let next = queue.pop_next().unwrap();
        queue.mark_in_flight(next);
        assert_eq!(queue.unlogged_prompts(), [&"a".into(), &UnsentPrompt::from("b")]);
        assert!(queue.mark_logged().is_some());
        assert_eq!(queue.unlogged_prompts(), [&UnsentPrompt::from("b")]);
        assert!(queue.mark_logged().is_none());
    }

    #[test]
    fn a_queue_of_an_earlier_run_lets_new_prompts_pass() {
        let mut queue = PromptQueue::restore_held(vec!["old".into()]);
        assert!(queue.is_held() && !queue.blocks_new_prompts());
        assert_eq!(queue.pop_next(), Some("old".into()));
        assert!(!queue.is_held());
        let mut queue = PromptQueue::restore_held(vec!["old".into()]);
        queue.remove(1);
        assert!(!queue.is_held() && queue.unlogged_prompts().is_empty());
    }

    #[test]
    fn images_count_for_the_size_of_the_queue() {
        let image =
            crate::event::PromptImage::new(&[crate::testkit::images::PNG_2X3, &vec![0; 4_900_000]].concat()).unwrap();
        let prompt = || UnsentPrompt::new("see".into(), vec![PromptContext::from_image("a.png".into(), image.clone())]);
        let mut queue = PromptQueue::default();
        let taken = (0..5).take_while(|_| queue.push(prompt()).is_ok()).count();
        assert_eq!(taken, 2);
        let saved = serde_json::to_string(&queue.unlogged_prompts()).unwrap();
        let read: Vec<UnsentPrompt> = serde_json::from_str(&saved).unwrap();
        assert_eq!(PromptQueue::restore_held(read).unlogged_prompts(), [&prompt(), &prompt()]);
    }

    #[test]
    fn what_came_too_late_to_steer_is_the_next_prompt() {
        let mut queue = PromptQueue::default();
        queue.push("waits".into()).unwrap();
        for text in ["first", "second"] {
            queue.mark_steering(text.into());
        }
        assert!(queue.mark_logged().is_some(), "the first was taken along");
        assert_eq!(queue.steering(), ["second"]);
        queue.return_steers();
        let texts: Vec<String> = queue.waiting().into_iter().map(|queued| queued.text).collect();
        assert_eq!((queue.steering(), texts), (Vec::<String>::new(), vec!["second".to_owned(), "waits".to_owned()]));
        queue.hold();
        assert!(queue.is_held() && !queue.blocks_new_prompts());
    }

    #[test]
    fn no_prompt_that_was_saved_is_dropped() {
        let mut queue = PromptQueue::default();
        queue.mark_in_flight("on its way".into());
        for nth in 0..MAX_QUEUED_PROMPTS {
            let (text, context) = (nth.to_string(), vec![attached()]);
            queue.push(UnsentPrompt::new(text, context)).unwrap();
        }
        let saved = serde_json::to_string(&queue.unlogged_prompts()).unwrap();
        assert!(saved.starts_with("[\"on its way\",{"), "a text alone is one: {saved}");
        let read: Vec<UnsentPrompt> = serde_json::from_str(&saved).unwrap();
        assert_eq!(PromptQueue::restore_held(read).unlogged_prompts(), queue.unlogged_prompts());
    }
}
