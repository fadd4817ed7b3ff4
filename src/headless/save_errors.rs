//! Tracks save errors of sessions, for the exit code.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bridge::session::{SaveEvent, SaveListener};
use crate::event::SessionId;
use crate::text::one_line;

use super::EXIT_NOT_SAVED;
use super::output::print_error;

/// Collects changes in how logs are saved. Clones share the state.
#[derive(Clone, Default)]
pub struct SaveErrors(Arc<Mutex<SaveErrorState>>);

#[derive(Default)]
struct SaveErrorState {
    /// Sessions whose log is incomplete, and why.
    unsaved: BTreeMap<String, String>,
    /// The last log that was removed while in use, as text.
    removed: Option<String>,
}

impl SaveErrors {
    /// Returns a listener for save events. With `aloud`, errors are printed to standard error at once; otherwise the
    /// session's client shows them.
    pub fn listener(&self, aloud: bool) -> SaveListener {
        let known = self.clone();
        Arc::new(move |session, what| {
            if aloud {
                print_error(&one_line(&describe_change(session, what), 400));
            }
            known.record(session, what);
        })
    }

    /// Describes what is still wrong, or was lost for a while; `None` if every log is complete.
    pub fn describe(&self) -> Option<String> {
        let known = self.lock();
        let unsaved = known.unsaved.values().next().map(|why| format!("this session is not saved: {why}"));
        unsaved.or_else(|| known.removed.clone())
    }

    /// Turns a success code into [`EXIT_NOT_SAVED`] if something was not saved.
    pub fn exit_code(&self, code: u8) -> u8 {
        exit_code_for(code, self.describe().is_some())
    }

    fn record(&self, session: &SessionId, what: SaveEvent<'_>) {
        let mut known = self.lock();
        match what {
            SaveEvent::Failed(why) => _ = known.unsaved.insert(session.to_string(), why.to_owned()),
            SaveEvent::Recovered => _ = known.unsaved.remove(session.as_str()),
            SaveEvent::Rewritten(text) => known.removed = Some(text.to_owned()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, SaveErrorState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns [`EXIT_NOT_SAVED`] if everything went well except saving; a denied call also counts as going well.
pub fn exit_code_for(code: u8, unsaved: bool) -> u8 {
    if unsaved && (code == 0 || code == 7) { EXIT_NOT_SAVED } else { code }
}

fn describe_change(session: &SessionId, what: SaveEvent<'_>) -> String {
    match what {
        SaveEvent::Failed(why) => format!("session {session} is not saved: {why}"),
        SaveEvent::Recovered => format!("session {session} is saved again"),
        SaveEvent::Rewritten(text) => format!("session {session}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(what: &[SaveEvent<'_>]) -> SaveErrors {
        let unsaved = SaveErrors::default();
        let hear = unsaved.listener(false);
        for what in what {
            hear(&"s1".into(), *what);
        }
        unsaved
    }

    #[test]
    fn a_log_that_has_not_everything_or_was_removed_is_no_plain_success() {
        let cases = [
            (&[][..], 0),
            (&[SaveEvent::Failed("disk full")], 8),
            (&[SaveEvent::Failed("disk full"), SaveEvent::Recovered], 0),
            (&[SaveEvent::Failed("disk full"), SaveEvent::Recovered, SaveEvent::Failed("disk full")], 8),
            (&[SaveEvent::Rewritten("it was removed")], 8),
            (&[SaveEvent::Rewritten("it was removed"), SaveEvent::Failed("disk full"), SaveEvent::Recovered], 8),
        ];
        for (what, code) in cases {
            assert_eq!(after(what).exit_code(0), code, "{what:?}");
            assert_eq!(after(what).describe().is_some(), code == 8, "{what:?}");
        }
    }

    #[test]
    fn what_went_wrong_otherwise_keeps_its_code() {
        let unsaved = after(&[SaveEvent::Failed("disk full")]);
        let codes: Vec<u8> = [0, 1, 3, 4, 5, 6, 7, 130, 143].map(|code| unsaved.exit_code(code)).to_vec();
        assert_eq!(codes, [8, 1, 3, 4, 5, 6, 8, 130, 143]);
        assert_eq!(unsaved.describe().as_deref(), Some("this session is not saved: disk full"));
    }

    #[test]
    fn one_session_that_is_saved_again_says_nothing_of_another() {
        let unsaved = after(&[SaveEvent::Failed("disk full")]);
        unsaved.listener(false)(&"s2".into(), SaveEvent::Recovered);
        assert_eq!(unsaved.exit_code(0), 8);
    }
}
