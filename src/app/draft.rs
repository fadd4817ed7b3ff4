//! The draft: what stands in the composer, kept for the next run when the person pauses.
//!
//! Not here: what the text is (`ui/composer.rs`) and how it is saved (`journal`). Invariants: no write per key, none
//! without a change, and no wake-up once the text is saved.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::assemble::{Claim, Part, SessionState};
use crate::event::{Queued, SessionId};

/// Without a key for so long the text is saved.
const PAUSE: Duration = Duration::from_secs(1);
/// Whoever types on and on has it saved after this.
const LATEST: Duration = Duration::from_secs(5);
/// After a prompt was sent: the session keeps it by then.
const SENT: Duration = Duration::from_millis(50);

/// Knows when the draft is to be saved, and whether it must be.
pub struct Draft {
    /// The folder for the state of sessions, and the name there.
    place: Option<(PathBuf, Claim)>,
    saved: String,
    /// Prompts that wait on this side of a line: they are part of it.
    waiting: usize,
    since: Option<Instant>,
    due: Option<Instant>,
}

/// A text on its way to its file; an empty one removes it.
pub struct Save {
    state: SessionState,
    text: String,
}

impl Draft {
    /// `dir` is the folder for the state of sessions; `saved` is what is there already.
    pub fn new(dir: PathBuf, claim: Claim, saved: String) -> Self {
        Self { place: Some((dir, claim)), saved, waiting: 0, since: None, due: None }
    }

    /// Keeps nothing.
    pub fn none() -> Self {
        Self { place: None, saved: String::new(), waiting: 0, since: None, due: None }
    }

    /// Goes on with another session of this program, which has no draft yet.
    pub fn follow(&mut self, session: &SessionId) {
        if let Some((_, claim)) = &mut self.place {
            *claim = Claim::sole(session.clone());
        }
        self.saved = String::new();
        (self.since, self.due) = (None, None);
    }

    /// Notes an input that may have changed the text; one that emptied it is a prompt that was sent.
    pub fn touched(&mut self, now: Instant, is_empty: bool) {
        if self.place.is_none() {
            return;
        }
        let since = *self.since.get_or_insert(now);
        self.due = Some(if is_empty { now + SENT } else { (now + PAUSE).min(since + LATEST) });
    }

    /// Sees which prompts wait now.
    pub fn waits(&mut self, queue: &[Queued], now: Instant) {
        let waiting = queue.iter().filter(|queued| queued.is_here()).count();
        if std::mem::replace(&mut self.waiting, waiting) != waiting {
            self.touched(now, true);
        }
    }

    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Returns what must be saved of the text as it is now.
    pub fn settle(&mut self, text: String) -> Option<Save> {
        (self.since, self.due) = (None, None);
        let (dir, claim) = self.place.as_ref()?;
        if text == self.saved {
            return None;
        }
        self.saved.clone_from(&text);
        Some(Save { state: SessionState::new(dir, claim.session()), text })
    }
}

/// Returns what has to be kept: the prompts that wait here, each a paragraph, and the text in the composer.
///
/// A queue of this program's own session is kept by that session.
pub fn unsent(queue: &[Queued], draft: String) -> String {
    let here = queue.iter().filter(|queued| queued.is_here());
    let mut texts: Vec<&str> = here.map(|queued| queued.text.as_str()).collect();
    if texts.is_empty() {
        return draft;
    }
    if !draft.is_empty() {
        texts.push(&draft);
    }
    texts.join("\n\n")
}

impl Save {
    /// Whether both go to the same file.
    pub fn is_of_same(&self, other: &Self) -> bool {
        self.state.path(Part::Draft) == other.state.path(Part::Draft)
    }

    /// Writes the file; the error says where.
    pub fn run(self) -> Result<(), String> {
        let saved =
            if self.text.is_empty() { self.state.clear(Part::Draft) } else { self.state.save(Part::Draft, &self.text) };
        saved.map_err(|error| format!("{}: {error}", self.state.path(Part::Draft).display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_saved_in_a_pause_and_not_for_every_key() {
        let dir = tempfile::tempdir().unwrap();
        let mut draft = Draft::new(dir.path().to_owned(), Claim::sole("s1".into()), String::new());
        let start = Instant::now();
        draft.touched(start, false);
        assert_eq!(draft.due(), Some(start + PAUSE));
        draft.touched(start + PAUSE / 2, false);
        assert_eq!(draft.due(), Some(start + PAUSE / 2 + PAUSE));
        draft.touched(start + Duration::from_millis(4_500), false);
        assert_eq!(draft.due(), Some(start + LATEST), "whoever types on");
        draft.settle("half a".into()).unwrap().run().unwrap();
        assert_eq!(draft.due(), None);
        let state = SessionState::new(dir.path(), &"s1".into());
        assert_eq!(state.load::<String>(Part::Draft).unwrap().as_deref(), Some("half a"));
        draft.touched(start, false);
        assert!(draft.settle("half a".into()).is_none(), "nothing changed");
        draft.touched(start, true);
        assert_eq!(draft.due(), Some(start + SENT));
        draft.settle(String::new()).unwrap().run().unwrap();
        assert!(!state.has(Part::Draft));
    }

    #[test]
    fn a_prompt_that_waits_for_the_line_is_kept_with_the_draft() {
        let queued = |id, text: &str| Queued { id, text: text.into() };
        let queue = [queued(1, "theirs"), queued(Queued::HERE, "one"), queued(Queued::HERE + 1, "two")];
        assert_eq!(unsent(&queue, "half a".into()), "one\n\ntwo\n\nhalf a");
        assert_eq!(unsent(&queue, String::new()), "one\n\ntwo");
        assert_eq!(unsent(&queue[..1], " half a".into()), " half a");
        let dir = tempfile::tempdir().unwrap();
        let mut draft = Draft::new(dir.path().to_owned(), Claim::sole("s1".into()), String::new());
        let now = Instant::now();
        draft.waits(&queue[..1], now);
        assert_eq!(draft.due(), None, "the session elsewhere keeps its own");
        draft.waits(&queue, now);
        assert_eq!(draft.due(), Some(now + SENT));
    }

    #[test]
    fn each_session_has_a_draft_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut draft = Draft::new(dir.path().to_owned(), Claim::sole("s1".into()), "one".into());
        draft.follow(&"s2".into());
        draft.settle("two".into()).unwrap().run().unwrap();
        assert!(!SessionState::new(dir.path(), &"s1".into()).has(Part::Draft));
        assert!(SessionState::new(dir.path(), &"s2".into()).has(Part::Draft));
    }

    #[test]
    fn where_nothing_is_kept_nothing_wakes_up() {
        let mut draft = Draft::none();
        draft.touched(Instant::now(), false);
        assert_eq!(draft.due(), None);
        assert!(draft.settle("x".into()).is_none());
    }
}
