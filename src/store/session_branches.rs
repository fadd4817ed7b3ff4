//! Which branch of the session is shown, and the tree that it is part of.
//!
//! Events come in the order of the log. Those that are not on the path count for what the whole session used, and nothing
//! else. Where a branch begins that leaves out what was shown, nothing is taken back from the screen's state: the whole
//! session is folded anew, along the new path. Not here: where branches are to begin (`update/branching.rs`).

use crate::event::branches::{BranchPath, BranchStarts, Branches};
use crate::event::file_change::{changes_between, restore_steps};
use crate::event::{AgentEvent, Annotation, Envelope, FileChange, RestoreStep, Seq};

use super::update::branching::BranchWish;
use super::usage::PathMeters;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionBranches {
    /// Those that are known, which may be more than were folded so far.
    starts: BranchStarts,
    path: BranchPath,
    /// The path was chosen: it doesn't follow the newest branch.
    is_chosen: bool,
    /// All turns that were folded so far.
    tree: Branches,
    /// What was shown is not the path any more.
    is_outdated: bool,
    /// What calls changed in files, on whichever branch.
    changes: Vec<(Seq, FileChange)>,
    /// Where the person wants to go once files were looked at, or put back.
    pub(super) wish: Option<BranchWish>,
    /// What the meters said where the path was left; none while on it.
    pub(super) left_meters: Option<PathMeters>,
}

impl SessionBranches {
    /// Says where branches begin in what will be folded, and which path is chosen, if not the newest.
    pub(super) fn expect(&mut self, starts: BranchStarts, chosen: Option<BranchPath>) {
        *self = Self::default();
        self.is_chosen = chosen.is_some();
        self.path = chosen.unwrap_or_else(|| starts.active_path());
        self.starts = starts;
    }

    /// Returns the same of which nothing was folded.
    #[must_use]
    pub fn unfolded(&self) -> Self {
        let mut same = self.clone();
        same.restart();
        same
    }

    /// Forgets what was folded.
    pub(super) fn restart(&mut self) {
        self.tree = Branches::default();
        self.changes.clear();
        self.is_outdated = false;
        self.left_meters = None;
    }

    /// Folds a fact.
    pub(super) fn observe(&mut self, Envelope { seq, at, event }: &Envelope) {
        self.tree.observe(*seq, *at, event);
        if let AgentEvent::Annotation { annotation: Annotation::FileChange(change), .. } = event {
            self.changes.push((*seq, change.clone()));
        }
        if self.starts.observe(*seq, event) && !self.is_chosen {
            let path = self.starts.active_path();
            self.is_outdated |= !path.contains(Seq(seq.0.saturating_sub(1)));
            self.path = path;
        }
    }

    /// Takes the tree of the whole session, of which this had the end.
    pub(super) fn adopt(&mut self, whole: Self) {
        self.tree = whole.tree;
        self.changes = whole.changes;
    }

    /// Returns what to do with files so that they are as they were after an event.
    pub(super) fn restore_steps(&self, after: Seq) -> Vec<RestoreStep> {
        let there = self.starts.path_to(after);
        let (undone, redone) = changes_between(&self.changes, &self.path, &there);
        restore_steps(undone, redone)
    }

    pub fn path(&self) -> &BranchPath {
        &self.path
    }

    pub fn tree(&self) -> &Branches {
        &self.tree
    }

    /// Returns whether the session has to be folded anew, for what is shown is on another branch.
    pub fn is_outdated(&self) -> bool {
        self.is_outdated
    }

    /// Returns which of how many branches a prompt begins, where branches part: the first prompt of a turn that is not the
    /// only one after the turn before it.
    pub fn parting(&self, prompt: Seq) -> Option<Parting> {
        let turn = self.tree.turn_at(prompt)?;
        if self.tree.turns().get(turn)?.prompted != Some(prompt) {
            return None;
        }
        let others = self.tree.forks(turn)?;
        let number = others.iter().position(|other| *other == turn)? + 1;
        Some(Parting { turn, number, count: others.len() })
    }
}

/// Where branches part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parting {
    pub turn: usize,
    /// Which of the branches this is, from 1.
    pub number: usize,
    pub count: usize,
}

#[cfg(test)]
mod tests;
