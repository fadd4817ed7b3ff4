//! PURE. How long a word to the person stands: as long as it takes to read, longer for what went wrong.

use std::time::{Duration, Instant};

use crate::event::Level;

/// To notice it, and to read a character.
const NOTICE: Duration = Duration::from_secs(4);
const READ: Duration = Duration::from_millis(50);
/// The longest that anything stands.
const LONGEST: Duration = Duration::from_secs(30);

type Hint = Option<(Level, String)>;

/// What stands, and until when.
#[derive(Debug, Default)]
pub(super) struct Message {
    shown: Hint,
    until: Option<Instant>,
}

impl Message {
    /// Sees what stands now; other words begin their time.
    pub(super) fn follow(&mut self, hint: &Hint, now: Instant) {
        if self.shown != *hint {
            self.shown.clone_from(hint);
            self.until = hint.as_ref().map(|(level, text)| now + lasting(*level, text));
        }
    }

    /// The same words said again are new.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }
}

fn lasting(level: Level, text: &str) -> Duration {
    let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let time = NOTICE.saturating_add(READ.saturating_mul(characters));
    let time = match level {
        Level::Info => time,
        Level::Warn | Level::Error => time.saturating_mul(2),
    };
    time.min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_as_long_as_they_take_to_read() {
        let seconds = |level, text: &str| lasting(level, text).as_secs();
        assert_eq!(seconds(Level::Info, ""), 4);
        assert_eq!(seconds(Level::Info, &"x".repeat(60)), 7);
        assert_eq!(seconds(Level::Error, &"x".repeat(60)), 14);
        assert_eq!(seconds(Level::Error, &"x".repeat(10_000)), 30);
    }

    #[test]
    fn the_same_words_stand_no_longer_and_other_words_begin_anew() {
        let now = Instant::now();
        let later = now + Duration::from_secs(3);
        let said = |text: &str| Some((Level::Info, text.to_owned()));
        let mut message = Message::default();
        message.follow(&said("one"), now);
        message.follow(&said("one"), later);
        assert_eq!(message.until(), Some(now + lasting(Level::Info, "one")));
        message.follow(&said("two"), later);
        assert_eq!(message.until(), Some(later + lasting(Level::Info, "two")));
        message.follow(&None, later);
        assert_eq!(message.until(), None);
    }
}
