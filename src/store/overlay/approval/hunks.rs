//! The hunks of an ask, decided one by one: which is on the screen, and what was said of each.
//!
//! A hunk is taken only where somebody said so: Enter decides nothing while one is open.

use super::{ANSWER_GUARD_TIME, ApprovalDialog, ApprovalInput};
use crate::event::{HunkDecision, HunkNote};
use crate::store::Store;
use crate::store::approval::HunkStep;
use crate::store::effect::Effect;
use crate::store::overlay::OverlayOutcome;

/// What was said of the hunks of a diff so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HunkReview {
    marks: Vec<HunkMark>,
    at: usize,
    /// Rows of the hunk on the screen that are scrolled away.
    pub scroll: usize,
}

/// What was said of a hunk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HunkMark {
    /// None while it is open.
    pub is_taken: Option<bool>,
    pub note: String,
}

impl HunkReview {
    pub(super) fn new(hunks: u32) -> Self {
        Self { marks: vec![HunkMark::default(); hunks as usize], at: 0, scroll: 0 }
    }

    pub fn marks(&self) -> &[HunkMark] {
        &self.marks
    }

    /// Returns which hunk is on the screen, from 0.
    pub fn current(&self) -> usize {
        self.at
    }

    /// Returns how many are taken, left out and open.
    pub fn counts(&self) -> (usize, usize, usize) {
        let count = |state| self.marks.iter().filter(|mark| mark.is_taken == state).count();
        (count(Some(true)), count(Some(false)), count(None))
    }

    /// Returns what was decided; the error says what is missing.
    pub fn decision(&self) -> Result<HunkDecision, String> {
        match self.counts().2 {
            0 => {}
            1 => return Err("one hunk is still open: take it or leave it out first".into()),
            open => return Err(format!("{open} hunks are still open: take each or leave it out first")),
        }
        let numbered = || (1..).zip(&self.marks);
        let taken = numbered().filter(|(_, mark)| mark.is_taken == Some(true)).map(|(hunk, _)| hunk).collect();
        let noted = numbered().filter(|(_, mark)| !mark.note.trim().is_empty());
        let notes = noted.map(|(hunk, mark)| HunkNote { hunk, text: mark.note.trim().to_owned() }).collect();
        Ok(HunkDecision { taken, notes })
    }

    pub(super) fn note_mut(&mut self) -> &mut String {
        // A review is made for two hunks or more.
        let last = self.marks.len() - 1;
        &mut self.marks[self.at.min(last)].note
    }

    pub(super) fn into_notes(self) -> String {
        let notes: Vec<String> = self.marks.into_iter().map(|mark| mark.note).filter(|note| !note.is_empty()).collect();
        notes.join("\n")
    }

    fn show(&mut self, at: usize) {
        (self.at, self.scroll) = (at.min(self.marks.len().saturating_sub(1)), 0);
    }

    /// Marks the one on the screen and shows the next that is open, if there is one.
    fn mark(&mut self, is_taken: bool) {
        if let Some(mark) = self.marks.get_mut(self.at) {
            mark.is_taken = Some(is_taken);
        }
        let after = (self.at..self.marks.len()).chain(0..self.at);
        if let Some(open) = after.into_iter().find(|at| self.marks[*at].is_taken.is_none()) {
            self.show(open);
        }
    }

    fn mark_rest(&mut self, is_taken: bool) {
        for mark in self.marks.iter_mut().filter(|mark| mark.is_taken.is_none()) {
            mark.is_taken = Some(is_taken);
        }
    }
}

impl ApprovalDialog {
    /// Shows the hunks one by one, as they were left. What was typed to get there may still turn out to be a text.
    pub(super) fn open_hunks(&mut self, store: &Store) {
        let Some(hunks) = self.request(store).map(|ask| ask.hunks).filter(|hunks| *hunks > 1) else { return };
        if self.review.as_ref().is_none_or(|review| review.marks.len() != hunks as usize) {
            self.review = Some(HunkReview::new(hunks));
        }
        (self.selected, self.feedback) = (None, None);
        self.input = ApprovalInput::Hunks;
        self.shown_at = None;
    }

    pub(super) fn take_step(&mut self, step: HunkStep) {
        let Some(review) = self.review.as_mut().filter(|_| self.input == ApprovalInput::Hunks) else { return };
        self.feedback = None;
        match step {
            HunkStep::Next => review.show(review.at + 1),
            HunkStep::Previous => review.show(review.at.saturating_sub(1)),
            HunkStep::Take => review.mark(true),
            HunkStep::Leave => review.mark(false),
            HunkStep::TakeRest => review.mark_rest(true),
            HunkStep::LeaveRest => review.mark_rest(false),
            HunkStep::Note => self.set_input(ApprovalInput::Note),
        }
    }

    /// Returns whether it stands on the screen long enough to have been seen.
    pub(super) fn is_seen(&self, store: &Store) -> bool {
        self.shown_at.is_some_and(|shown| store.session.now.since(shown) >= ANSWER_GUARD_TIME)
    }

    /// A character was typed over the hunks. Before anybody can have seen them it is text, and so is what opened them.
    pub(super) fn type_over_hunks(
        &mut self,
        c: char,
        step: Option<HunkStep>,
        store: &mut Store,
        fx: &mut Vec<Effect>,
    ) -> OverlayOutcome {
        let writes = store.session.capabilities().prompt;
        let is_seen = self.is_seen(store);
        match step {
            Some(step) if is_seen || !writes => {
                self.typed.clear();
                self.take_step(step);
                OverlayOutcome::Stay
            }
            _ if writes => {
                if is_seen {
                    self.typed.clear();
                }
                self.hide(Some(c), store, fx)
            }
            _ => OverlayOutcome::Stay,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_names_what_was_taken_once_nothing_is_open() {
        let mut review = HunkReview::new(3);
        review.mark(true);
        assert_eq!((review.current(), review.counts()), (1, (1, 0, 2)));
        review.show(2);
        review.mark(false);
        assert_eq!(review.current(), 1, "the one that is open");
        review.note_mut().push_str(" why? ");
        assert!(review.decision().is_err_and(|told| told.starts_with("one hunk is still open")));
        review.mark_rest(true);
        let notes = vec![HunkNote { hunk: 2, text: "why?".into() }];
        assert_eq!(review.decision(), Ok(HunkDecision { taken: vec![1, 2], notes }));
    }
}
