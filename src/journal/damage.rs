//! PURE. Damage in a log: counted while reading, and described for people.
//!
//! Nothing here repairs anything: `read` reads what can be read, and this describes the rest.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::event::NoticeCode;

/// Counts of what could not be read as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Damage {
    /// Parts of lines that are no envelopes.
    pub unreadable: u64,
    /// Events of an unknown kind, or whose fields can't be parsed.
    pub unknown: u64,
    /// Lines whose number or time can't be right; it was inferred from the neighboring lines.
    pub renumbered: u64,
    /// Lines that were skipped because their number had occurred before.
    pub repeated: u64,
    /// Numbers that no line has.
    pub missing: u64,
    /// Events that are illegal at their position, for example of a message that was never started.
    pub misplaced: u64,
    /// Bytes of an unfinished last line.
    pub torn: Option<u64>,
    /// The header line is missing.
    pub headerless: bool,
}

impl Damage {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the notices to show, each with a stable code: `torn_line`, `unreadable_lines`, `wrong_numbers`,
    /// `unknown_events`, `no_header`.
    pub fn notices(&self) -> Vec<(NoticeCode, String)> {
        let mut notices = Vec::new();
        if let Some(bytes) = self.torn {
            notices.push((
                NoticeCode::TornLine,
                format!("the log ends in an unfinished line of {bytes} bytes, which is skipped"),
            ));
        }
        if self.unreadable > 0 {
            notices.push((NoticeCode::UnreadableLines, format!("{} of the log can't be read", lines(self.unreadable))));
        }
        let mut wrong = Vec::new();
        if self.renumbered > 0 {
            let text = lines(self.renumbered);
            wrong.push(format!("{text} had a wrong number or time and {} placed by position", were(self.renumbered)));
        }
        if self.repeated > 0 {
            wrong.push(format!("{} {} skipped for duplicate numbers", lines(self.repeated), were(self.repeated)));
        }
        // The unreadable lines had numbers too.
        if let Some(missing @ 1..) = self.missing.checked_sub(self.unreadable) {
            wrong.push(format!("{} {} missing", events(missing), if missing == 1 { "is" } else { "are" }));
        }
        if self.misplaced > 0 {
            let fit = if self.misplaced == 1 { "does" } else { "do" };
            wrong.push(format!("{} {fit} not fit what precedes", events(self.misplaced)));
        }
        if !wrong.is_empty() {
            notices.push((NoticeCode::WrongNumbers, format!("the log is damaged: {}", wrong.join("; "))));
        }
        if self.unknown > 0 {
            let text = format!(
                "{} of the log can't be parsed: damaged, or from a newer version of jarvis-tui",
                events(self.unknown)
            );
            notices.push((NoticeCode::UnknownEvents, text));
        }
        if self.headerless {
            let text = "the log has no header; its session and start time are taken from its events";
            notices.push((NoticeCode::NoHeader, text.to_owned()));
        }
        notices
    }
}

impl AddAssign for Damage {
    fn add_assign(&mut self, more: Self) {
        self.unreadable += more.unreadable;
        self.unknown += more.unknown;
        self.renumbered += more.renumbered;
        self.repeated += more.repeated;
        self.missing = self.missing.saturating_add(more.missing);
        self.misplaced += more.misplaced;
        self.torn = more.torn;
        self.headerless |= more.headerless;
    }
}

fn lines(count: u64) -> String {
    if count == 1 { "1 line".to_owned() } else { format!("{count} lines") }
}

fn events(count: u64) -> String {
    if count == 1 { "1 event".to_owned() } else { format!("{count} events") }
}

fn were(count: u64) -> &'static str {
    if count == 1 { "was" } else { "were" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_log_has_nothing_to_tell() {
        assert!(Damage::default().is_none());
        assert_eq!(Damage::default().notices(), []);
    }

    #[test]
    fn what_was_lost_is_told_once() {
        let torn_apart = Damage { unreadable: 2, missing: 1, ..Damage::default() };
        assert_eq!(
            torn_apart.notices(),
            [(NoticeCode::UnreadableLines, "2 lines of the log can't be read".to_owned())]
        );
        let notices = Damage { missing: 3, renumbered: 1, repeated: 2, ..Damage::default() }.notices();
        assert_eq!(notices.len(), 1);
        assert_eq!(
            notices[0].1,
            "the log is damaged: 1 line had a wrong number or time and was placed by position; 2 lines were \
             skipped for duplicate numbers; 3 events are missing"
        );
    }
}
