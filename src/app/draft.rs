//! The draft: what stands in the composer, kept for the next run when the person pauses.
//!
//! Not here: what the text is (`ui/composer.rs`) and how it is saved (`journal`). Invariants: no write per key, none
//! without a change, and no wake-up once the text is saved.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::event::{QueuedPrompt, SessionId};
use crate::runtime::{NameClaim, StatePart, StateStore};

/// Without a key for so long the text is saved.
const SAVE_DELAY: Duration = Duration::from_secs(1);
/// Whoever types on and on has it saved after this.
const MAX_SAVE_DELAY: Duration = Duration::from_secs(5);
/// After a prompt was sent: the session keeps it by then.
const SENT_SAVE_DELAY: Duration = Duration::from_millis(50);

/// Knows when the draft is to be saved, and whether it must be.
pub struct DraftSaver {
    /// The folder for the state of sessions, and the name there.
    location: Option<(PathBuf, NameClaim)>,
    saved: String,
    /// Prompts that wait on this side of a line: they are part of it.
    queued_count: usize,
    unsaved_since: Option<Instant>,
    deadline: Option<Instant>,
}

/// A text on its way to its file; an empty one removes it.
pub struct DraftSave {
    state: StateStore,
    text: String,
}

impl DraftSaver {
    /// `dir` is the folder for the state of sessions; `saved` is what is there already.
    pub fn new(dir: PathBuf, claim: NameClaim, saved: String) -> Self {
        Self { location: Some((dir, claim)), saved, queued_count: 0, unsaved_since: None, deadline: None }
    }

    /// Keeps nothing.
    pub fn disabled() -> Self {
        Self { location: None, saved: String::new(), queued_count: 0, unsaved_since: None, deadline: None }
    }

    /// Returns what keeps the draft of another session in the same folder; `saved` is what is there already.
    #[must_use]
    pub fn for_session(&self, session: &SessionId, saved: String) -> Self {
        match &self.location {
            Some((dir, _)) => Self::new(dir.clone(), NameClaim::exclusive(session.clone()), saved),
            None => Self::disabled(),
        }
    }

    /// Goes on with another session, of which `saved` is kept already.
    pub fn switch_session(&mut self, session: &SessionId, saved: String) {
        if let Some((_, claim)) = &mut self.location {
            *claim = NameClaim::exclusive(session.clone());
        }
        self.saved = saved;
        (self.unsaved_since, self.deadline) = (None, None);
    }

    /// Notes an input that may have changed the text; one that emptied it is a prompt that was sent.
    pub fn on_edit(&mut self, now: Instant, is_empty: bool) {
        if self.location.is_none() {
            return;
        }
        let since = *self.unsaved_since.get_or_insert(now);
        self.deadline =
            Some(if is_empty { now + SENT_SAVE_DELAY } else { (now + SAVE_DELAY).min(since + MAX_SAVE_DELAY) });
    }

    /// Sees which prompts wait now.
    pub fn track_queue(&mut self, queue: &[QueuedPrompt], now: Instant) {
        let waiting = queue.iter().filter(|queued| queued.is_local()).count();
        if std::mem::replace(&mut self.queued_count, waiting) != waiting {
            self.on_edit(now, true);
        }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns what must be saved of the text as it is now.
    pub fn take_save(&mut self, text: String) -> Option<DraftSave> {
        (self.unsaved_since, self.deadline) = (None, None);
        let (dir, claim) = self.location.as_ref()?;
        if text == self.saved {
            return None;
        }
        self.saved.clone_from(&text);
        Some(DraftSave { state: StateStore::new(dir, claim.session()), text })
    }
}

/// Returns what has to be kept: the prompts that wait here, each a paragraph, and the text in the composer.
///
/// A queue of this program's own session is kept by that session.
pub fn unsent_text(queue: &[QueuedPrompt], draft: String) -> String {
    let here = queue.iter().filter(|queued| queued.is_local());
    let mut texts: Vec<&str> = here.map(|queued| queued.text.as_str()).collect();
    if texts.is_empty() {
        return draft;
    }
    if !draft.is_empty() {
        texts.push(&draft);
    }
    texts.join("\n\n")
}

impl DraftSave {
    /// Whether both go to the same file.
    pub fn is_of_same(&self, other: &Self) -> bool {
        self.state.path(StatePart::Draft) == other.state.path(StatePart::Draft)
    }

    /// Writes the file; the error says where.
    pub fn write(self) -> Result<(), String> {
        let saved = if self.text.is_empty() {
            self.state.clear(StatePart::Draft)
        } else {
            self.state.save(StatePart::Draft, &self.text)
        };
        saved.map_err(|error| format!("{}: {error}", self.state.path(StatePart::Draft).display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_saved_in_a_pause_and_not_for_every_key() {
        let dir = tempfile::tempdir().unwrap();
        let mut draft = DraftSaver::new(dir.path().to_owned(), NameClaim::exclusive("s1".into()), String::new());
        let start = Instant::now();
        draft.on_edit(start, false);
        assert_eq!(draft.deadline(), Some(start + SAVE_DELAY));
        draft.on_edit(start + SAVE_DELAY / 2, false);
        assert_eq!(draft.deadline(), Some(start + SAVE_DELAY / 2 + SAVE_DELAY));
        draft.on_edit(start + Duration::from_millis(4_500), false);
        assert_eq!(draft.deadline(), Some(start + MAX_SAVE_DELAY), "whoever types on");
        draft.take_save("half a".into()).unwrap().write().unwrap();
        assert_eq!(draft.deadline(), None);
        let state = StateStore::new(dir.path(), &"s1".into());
        assert_eq!(state.load::<String>(StatePart::Draft).unwrap().as_deref(), Some("half a"));
        draft.on_edit(start, false);
        assert!(draft.take_save("half a".into()).is_none(), "nothing changed");
        draft.on_edit(start, true);
        assert_eq!(draft.deadline(), Some(start + SENT_SAVE_DELAY));
        draft.take_save(String::new()).unwrap().write().unwrap();
        assert!(!state.has(StatePart::Draft));
    }

    #[test]
    fn a_prompt_that_waits_for_the_line_is_kept_with_the_draft() {
        let queued = |id, text: &str| QueuedPrompt::new(id, text);
        let queue = [
            queued(1, "theirs"),
            queued(QueuedPrompt::FIRST_LOCAL_ID, "one"),
            queued(QueuedPrompt::FIRST_LOCAL_ID + 1, "two"),
        ];
        assert_eq!(unsent_text(&queue, "half a".into()), "one\n\ntwo\n\nhalf a");
        assert_eq!(unsent_text(&queue, String::new()), "one\n\ntwo");
        assert_eq!(unsent_text(&queue[..1], " half a".into()), " half a");
        let dir = tempfile::tempdir().unwrap();
        let mut draft = DraftSaver::new(dir.path().to_owned(), NameClaim::exclusive("s1".into()), String::new());
        let now = Instant::now();
        draft.track_queue(&queue[..1], now);
        assert_eq!(draft.deadline(), None, "the session elsewhere keeps its own");
        draft.track_queue(&queue, now);
        assert_eq!(draft.deadline(), Some(now + SENT_SAVE_DELAY));
    }

    #[test]
    fn each_session_has_a_draft_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut draft = DraftSaver::new(dir.path().to_owned(), NameClaim::exclusive("s1".into()), "one".into());
        draft.switch_session(&"s2".into(), String::new());
        draft.take_save("two".into()).unwrap().write().unwrap();
        assert!(!StateStore::new(dir.path(), &"s1".into()).has(StatePart::Draft));
        assert!(StateStore::new(dir.path(), &"s2".into()).has(StatePart::Draft));
    }

    #[test]
    fn where_nothing_is_kept_nothing_wakes_up() {
        let mut draft = DraftSaver::disabled();
        draft.on_edit(Instant::now(), false);
        assert_eq!(draft.deadline(), None);
        assert!(draft.take_save("x".into()).is_none());
    }
}
