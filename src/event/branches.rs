//! Branches: which events of a log follow each other.
//!
//! ```text
//!   1 ─ 2 ── turn ── 5 ─ 6 ── turn ── 12         13 branch_started { after: 5 }
//!                    └─ 13 ── turn ── 19         20 branch_started { after: 12 }
//!                                    └12 ─ 20 ─ 21 …
//! ```
//!
//! A log is one row of numbers without gaps, and nothing of it is ever taken away. [`AgentEvent::BranchStarted`] says
//! that what follows it goes on after an earlier event, so what stands between them is another branch. A
//! [`BranchPath`] is what belongs together: every fold of a session (the screen, the model's history, a list, an
//! export) goes along one path and leaves the rest out. [`Branches`] is the whole tree, turn by turn.
//!
//! A log may be somebody else's: a start that names itself or what comes later is no branch. One that names the middle
//! of a turn leaves that turn without its end, as in a log that was cut there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{AgentEvent, MessageId, Millis, Seq};

/// Characters kept of a prompt, for lists of turns.
const MAX_PROMPT_CHARS: usize = 100;
/// Bytes kept of an answer, for the same.
const MAX_ANSWER_BYTES: usize = 200;

/// The events of one branch from the first on: ranges of numbers in ascending order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchPath {
    /// First and last number of each, both included.
    ranges: Vec<(Seq, Seq)>,
}

impl Default for BranchPath {
    /// Everything: a log without branches.
    fn default() -> Self {
        Self { ranges: vec![(Seq(0), Seq(u64::MAX))] }
    }
}

impl BranchPath {
    /// Returns whether an event is on the path. O(log n) in the places where branches part.
    pub fn contains(&self, seq: Seq) -> bool {
        let after = self.ranges.partition_point(|(first, _)| *first <= seq);
        after.checked_sub(1).and_then(|at| self.ranges.get(at)).is_some_and(|(_, last)| seq <= *last)
    }

    /// Returns the ranges, first and last number of each; the last of an active path is open (`u64::MAX`).
    pub fn ranges(&self) -> &[(Seq, Seq)] {
        &self.ranges
    }

    /// Returns whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        self.ranges.len() == 1 && self.ranges.first().is_some_and(|(_, last)| last.0 == u64::MAX)
    }

    /// Returns whether a consumer that goes along the path heeds this event: what is on it, and what is said of the
    /// session as a whole wherever that was said (its title, marks).
    pub fn tells(&self, seq: Seq, event: &AgentEvent) -> bool {
        self.contains(seq) || event.is_of_whole_session()
    }
}

/// Where branches begin: all that is needed for a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchStarts {
    /// Number of the start, and what it goes on after.
    starts: Vec<(Seq, Seq)>,
}

impl BranchStarts {
    /// Notes a start. Returns false if it was known or is none.
    pub fn add(&mut self, seq: Seq, after: Seq) -> bool {
        let is_new = after < seq && self.starts.last().is_none_or(|(last, _)| *last < seq);
        if is_new {
            self.starts.push((seq, after));
        }
        is_new
    }

    /// Notes an event if it is a start. Returns whether it is a new one.
    pub fn observe(&mut self, seq: Seq, event: &AgentEvent) -> bool {
        matches!(event, AgentEvent::BranchStarted { after } if self.add(seq, *after))
    }

    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Returns the path that ends with an event. O(branches).
    pub fn path_to(&self, tip: Seq) -> BranchPath {
        let mut ranges = Vec::new();
        let mut last = tip;
        loop {
            let after = self.starts.partition_point(|(start, _)| *start <= last);
            let Some((first, before)) = after.checked_sub(1).and_then(|at| self.starts.get(at)) else {
                if last > Seq(0) {
                    ranges.push((Seq(1), last));
                }
                break;
            };
            ranges.push((*first, last));
            last = *before;
        }
        ranges.reverse();
        BranchPath { ranges }
    }

    /// Returns the path of the newest branch; what is yet to come is on it.
    pub fn active_path(&self) -> BranchPath {
        if self.is_empty() { BranchPath::default() } else { self.path_to(Seq(u64::MAX)) }
    }
}

/// A turn, as a place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnNode {
    /// Number of the event that started it.
    pub first: Seq,
    /// The last event that belongs to it: its end, or what was said between it and the next turn or branch. A branch
    /// that starts after it keeps the turn.
    pub last: Seq,
    /// Its place on the session's clock.
    pub at: Millis,
    /// The turn before it on its branch, as an index into [`Branches::turns`].
    pub parent: Option<usize>,
    /// The beginning of its first prompt, one line, raw; empty if it continues without one.
    pub prompt: String,
    /// Number of that prompt.
    pub prompted: Option<Seq>,
    /// The beginning of its last answer, raw.
    pub answer: String,
    /// How many calls were made in it, those of sub-agents included.
    pub calls: u32,
    /// The event that ended it; none while it runs.
    end: Option<Seq>,
}

impl TurnNode {
    /// Returns what a branch goes on after that takes this turn's place.
    pub fn before(&self) -> Seq {
        Seq(self.first.0.saturating_sub(1))
    }
}

/// The tree of a session's turns. Memory: about 100 bytes and the beginnings of its prompt and its answer for each turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branches {
    starts: BranchStarts,
    /// For each start, the turn that it goes on after.
    bases: Vec<Option<usize>>,
    turns: Vec<TurnNode>,
    /// For each turn that was continued, the first that did; and all where there are several.
    first_children: BTreeMap<Option<usize>, usize>,
    forks: BTreeMap<Option<usize>, Vec<usize>>,
    /// Where the session stands: the last turn on the active path.
    head: Option<usize>,
    /// The turn that is running.
    open: Option<usize>,
    /// The last message of the agent in it.
    answering: Option<MessageId>,
    /// It said something.
    has_answered: bool,
    /// The ends of the branches that were left and not gone back to, the newest last.
    left: Vec<Seq>,
    last: Seq,
}

impl Branches {
    /// Folds in the next event. Numbers that are not newer are ignored.
    pub fn observe(&mut self, seq: Seq, at: Millis, event: &AgentEvent) {
        if seq <= self.last {
            return;
        }
        match event {
            AgentEvent::BranchStarted { after } if *after < seq => self.start_branch(seq, *after),
            AgentEvent::TurnStarted { .. } => {
                self.answering = None;
                // A log that was cut may lack the end of a turn.
                self.close_turn(self.last);
                let turn = TurnNode {
                    first: seq,
                    last: seq,
                    at,
                    parent: self.head,
                    prompt: String::new(),
                    prompted: None,
                    answer: String::new(),
                    calls: 0,
                    end: None,
                };
                self.note_child(self.head, self.turns.len());
                self.head = Some(self.turns.len());
                self.open = self.head;
                self.turns.push(turn);
            }
            AgentEvent::UserMessage { text, .. } => {
                if let Some(turn) = self.open_turn()
                    && turn.prompted.is_none()
                {
                    turn.prompted = Some(seq);
                    turn.prompt = first_words(text);
                }
            }
            AgentEvent::MessageStarted { message, parent: None, .. } => {
                (self.answering, self.has_answered) = (Some(message.clone()), false);
            }
            AgentEvent::TextDelta { message, text, .. } => self.note_answer(message, text, false),
            AgentEvent::MessageFinished { message, full_text: Some(text), .. } => self.note_answer(message, text, true),
            AgentEvent::ToolCallStarted { .. } => {
                if let Some(turn) = self.open_turn() {
                    turn.calls = turn.calls.saturating_add(1);
                }
            }
            AgentEvent::TurnFinished { .. } => self.close_turn(seq),
            _ => {}
        }
        self.last = seq;
        // What follows a branch's start belongs to no turn until one begins.
        let start = self.starts.starts.last().map_or(Seq(0), |(start, _)| *start);
        if let Some(turn) = self.head.and_then(|head| self.turns.get_mut(head))
            && turn.first > start
        {
            turn.last = seq;
        }
    }

    fn open_turn(&mut self) -> Option<&mut TurnNode> {
        self.turns.get_mut(self.open?)
    }

    /// Keeps the beginning of what the agent says last; a message that says nothing leaves what was said before it.
    fn note_answer(&mut self, message: &MessageId, text: &str, is_whole: bool) {
        if self.answering.as_ref() != Some(message) {
            return;
        }
        let (is_first, text) = (!self.has_answered, if self.has_answered { text } else { text.trim_start() });
        if text.is_empty() {
            return;
        }
        self.has_answered = true;
        let Some(turn) = self.open_turn() else { return };
        if is_first || is_whole {
            turn.answer.clear();
        }
        let room = MAX_ANSWER_BYTES.saturating_sub(turn.answer.len());
        turn.answer.push_str(text.get(..text.floor_char_boundary(room)).unwrap_or_default());
    }

    fn close_turn(&mut self, end: Seq) {
        if let Some(turn) = self.open_turn() {
            turn.end = Some(end);
        }
        self.open = None;
    }

    fn start_branch(&mut self, seq: Seq, after: Seq) {
        self.close_turn(self.last);
        let left = Seq(seq.0 - 1);
        if self.left.last() == Some(&after) {
            self.left.pop();
        } else {
            self.left.push(left);
        }
        self.head = self.turn_at(after);
        self.starts.add(seq, after);
        self.bases.push(self.head);
    }

    /// Returns the last turn in the log that began with that event or before, on whichever branch.
    fn last_begun(&self, seq: Seq) -> Option<usize> {
        self.turns.partition_point(|turn| turn.first <= seq).checked_sub(1)
    }

    /// Returns whether a branch may go on after that event now: it exists, and neither it nor the running turn is in
    /// the middle of a turn.
    pub fn is_boundary(&self, seq: Seq) -> bool {
        let begun = self.last_begun(seq).and_then(|index| self.turns.get(index));
        seq <= self.last && self.open.is_none() && begun.is_none_or(|turn| turn.end.is_none_or(|end| seq >= end))
    }

    /// Returns all turns of all branches, in the order of the log.
    pub fn turns(&self) -> &[TurnNode] {
        &self.turns
    }

    /// Returns the last turn on the path to an event.
    pub fn turn_at(&self, seq: Seq) -> Option<usize> {
        let segment = self.starts.starts.partition_point(|(start, _)| *start <= seq).checked_sub(1);
        let start = segment.and_then(|at| self.starts.starts.get(at)).map_or(Seq(0), |(start, _)| *start);
        let own = self.last_begun(seq).filter(|index| self.turns.get(*index).is_some_and(|turn| turn.first > start));
        own.or_else(|| self.bases.get(segment?).copied().flatten())
    }

    /// Returns the last turn of the active path; none before the first.
    pub fn head(&self) -> Option<usize> {
        self.head
    }

    /// Returns a turn and those before it on its branch, the last first.
    pub fn line_of(&self, turn: Option<usize>) -> impl Iterator<Item = usize> {
        // A turn's parent stands before it, so this ends.
        std::iter::successors(turn, |index| self.turns.get(*index)?.parent)
    }

    /// Returns the turns that continue the same turn as this one, itself included, the oldest first; none if it is the
    /// only one.
    pub fn forks(&self, turn: usize) -> Option<&[usize]> {
        let parent = self.turns.get(turn)?.parent;
        self.forks.get(&parent).map(Vec::as_slice)
    }

    /// Returns the turns that continue a turn, or that begin the session; the oldest first.
    pub fn children(&self, turn: Option<usize>) -> &[usize] {
        let only = || self.first_children.get(&turn).map(std::slice::from_ref);
        self.forks.get(&turn).map(Vec::as_slice).or_else(only).unwrap_or_default()
    }

    fn note_child(&mut self, parent: Option<usize>, turn: usize) {
        match self.first_children.entry(parent) {
            Entry::Vacant(only) => {
                only.insert(turn);
            }
            Entry::Occupied(first) => self.forks.entry(parent).or_insert_with(|| vec![*first.get()]).push(turn),
        }
    }

    /// Returns the last turn of every branch, in the order of the log.
    pub fn tips(&self) -> Vec<usize> {
        (0..self.turns.len()).filter(|turn| !self.first_children.contains_key(&Some(*turn))).collect()
    }

    /// Returns what to go on after to be back on the branch that was left last.
    pub fn redo_target(&self) -> Option<Seq> {
        self.left.last().copied()
    }

    pub fn starts(&self) -> &BranchStarts {
        &self.starts
    }

    /// Returns the path of the newest branch; what is yet to come is on it.
    pub fn active_path(&self) -> BranchPath {
        self.starts.active_path()
    }

    /// Returns the path that ends with an event.
    pub fn path_to(&self, seq: Seq) -> BranchPath {
        self.starts.path_to(seq)
    }

    /// Number of the newest event folded in.
    pub fn last_seq(&self) -> Seq {
        self.last
    }
}

/// Returns the first line of a prompt that says something, cut.
fn first_words(prompt: &str) -> String {
    let line = prompt.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().take(MAX_PROMPT_CHARS).collect()
}

#[cfg(test)]
mod tests;
