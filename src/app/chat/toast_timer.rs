//! PURE. How long a word to the person stands: as long as it takes to read, longer for what went wrong.

use std::time::{Duration, Instant};

use crate::event::NoticeLevel;

/// To notice it, and to read a character.
const BASE_TOAST_DURATION: Duration = Duration::from_secs(4);
const READING_TIME_PER_CHAR: Duration = Duration::from_millis(50);
/// The longest that anything stands.
const MAX_TOAST_DURATION: Duration = Duration::from_secs(30);

type Toast = Option<(NoticeLevel, String)>;

/// What stands, and until when.
#[derive(Debug, Default)]
pub(super) struct ToastTimer {
    shown: Toast,
    expires_at: Option<Instant>,
}

impl ToastTimer {
    /// Sees what stands now; other words begin their time.
    pub(super) fn track(&mut self, hint: &Toast, now: Instant) {
        if self.shown != *hint {
            self.shown.clone_from(hint);
            self.expires_at = hint.as_ref().map(|(level, text)| now + toast_duration(*level, text));
        }
    }

    /// The same words said again are new.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    pub(super) fn expires_at(&self) -> Option<Instant> {
        self.expires_at
    }
}

fn toast_duration(level: NoticeLevel, text: &str) -> Duration {
    let characters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let time = BASE_TOAST_DURATION.saturating_add(READING_TIME_PER_CHAR.saturating_mul(characters));
    let time = match level {
        NoticeLevel::Info => time,
        NoticeLevel::Warn | NoticeLevel::Error => time.saturating_mul(2),
    };
    time.min(MAX_TOAST_DURATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_as_long_as_they_take_to_read() {
        let seconds = |level, text: &str| toast_duration(level, text).as_secs();
        assert_eq!(seconds(NoticeLevel::Info, ""), 4);
        assert_eq!(seconds(NoticeLevel::Info, &"x".repeat(60)), 7);
        assert_eq!(seconds(NoticeLevel::Error, &"x".repeat(60)), 14);
        assert_eq!(seconds(NoticeLevel::Error, &"x".repeat(10_000)), 30);
    }

    #[test]
    fn the_same_words_stand_no_longer_and_other_words_begin_anew() {
        let now = Instant::now();
        let later = now + Duration::from_secs(3);
        let said = |text: &str| Some((NoticeLevel::Info, text.to_owned()));
        let mut message = ToastTimer::default();
        message.track(&said("one"), now);
        message.track(&said("one"), later);
        assert_eq!(message.expires_at(), Some(now + toast_duration(NoticeLevel::Info, "one")));
        message.track(&said("two"), later);
        assert_eq!(message.expires_at(), Some(later + toast_duration(NoticeLevel::Info, "two")));
        message.track(&None, later);
        assert_eq!(message.expires_at(), None);
    }
}
