//! What became of the logs of sessions, for the exit code of whatever ran them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::bridge::session::{Kept, Trouble};
use crate::event::SessionId;
use crate::text::one_line;

use super::NOT_SAVED;
use super::output::complain;

/// Hears what becomes of logs. Clones hear the same.
#[derive(Clone, Default)]
pub struct Unsaved(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// Sessions whose log has not everything, and why.
    unsaved: BTreeMap<String, String>,
    /// The last log that was removed under the program, in words.
    removed: Option<String>,
}

impl Unsaved {
    /// Returns who is told of trouble. `aloud`: it is said on standard error as it comes; else whoever shows the session
    /// says it.
    pub fn hear(&self, aloud: bool) -> Trouble {
        let known = self.clone();
        Arc::new(move |session, what| {
            if aloud {
                complain(&one_line(&in_words(session, what), 400));
            }
            known.take(session, what);
        })
    }

    /// Returns what is still wrong, or was lost for a while: nothing where every log has everything.
    pub fn why(&self) -> Option<String> {
        let known = self.lock();
        let unsaved = known.unsaved.values().next().map(|why| format!("this session is not saved: {why}"));
        unsaved.or_else(|| known.removed.clone())
    }

    /// Makes of a code that says all is well one that says that something is not saved.
    pub fn exit_code(&self, code: u8) -> u8 {
        not_saved(code, self.why().is_some())
    }

    fn take(&self, session: &SessionId, what: Kept<'_>) {
        let mut known = self.lock();
        match what {
            Kept::Not(why) => _ = known.unsaved.insert(session.to_string(), why.to_owned()),
            Kept::Again => _ = known.unsaved.remove(session.as_str()),
            Kept::Anew(text) => known.removed = Some(text.to_owned()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns [`NOT_SAVED`] where all went well but for the log; a denied call counts as well.
pub fn not_saved(code: u8, unsaved: bool) -> u8 {
    if unsaved && (code == 0 || code == 7) { NOT_SAVED } else { code }
}

fn in_words(session: &SessionId, what: Kept<'_>) -> String {
    match what {
        Kept::Not(why) => format!("session {session} is not saved: {why}"),
        Kept::Again => format!("session {session} is saved again"),
        Kept::Anew(text) => format!("session {session}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(what: &[Kept<'_>]) -> Unsaved {
        let unsaved = Unsaved::default();
        let hear = unsaved.hear(false);
        for what in what {
            hear(&"s1".into(), *what);
        }
        unsaved
    }

    #[test]
    fn a_log_that_has_not_everything_or_was_removed_is_no_plain_success() {
        let cases = [
            (&[][..], 0),
            (&[Kept::Not("disk full")], 8),
            (&[Kept::Not("disk full"), Kept::Again], 0),
            (&[Kept::Not("disk full"), Kept::Again, Kept::Not("disk full")], 8),
            (&[Kept::Anew("it was removed")], 8),
            (&[Kept::Anew("it was removed"), Kept::Not("disk full"), Kept::Again], 8),
        ];
        for (what, code) in cases {
            assert_eq!(after(what).exit_code(0), code, "{what:?}");
            assert_eq!(after(what).why().is_some(), code == 8, "{what:?}");
        }
    }

    #[test]
    fn what_went_wrong_otherwise_keeps_its_code() {
        let unsaved = after(&[Kept::Not("disk full")]);
        let codes: Vec<u8> = [0, 1, 3, 4, 5, 6, 7, 130, 143].map(|code| unsaved.exit_code(code)).to_vec();
        assert_eq!(codes, [8, 1, 3, 4, 5, 6, 8, 130, 143]);
        assert_eq!(unsaved.why().as_deref(), Some("this session is not saved: disk full"));
    }

    #[test]
    fn one_session_that_is_saved_again_says_nothing_of_another() {
        let unsaved = after(&[Kept::Not("disk full")]);
        unsaved.hear(false)(&"s2".into(), Kept::Again);
        assert_eq!(unsaved.exit_code(0), 8);
    }
}
