//! PURE. The turns of an earlier run: where they are in the log and how large they are, not what they say.

use std::io;
use std::sync::Arc;

use super::History;
use super::compactions::split_turns;
use crate::engine::HistoryMessage;
use crate::event::branches::BranchPath;
use crate::event::{AgentEvent, Envelope, Seq, TurnOutcome};

/// Calls a function with every event of the log between two numbers, both included.
pub type ReadLog = Arc<dyn Fn(Seq, Seq, &mut dyn FnMut(&Envelope)) -> io::Result<()> + Send + Sync>;

/// Reads the past of a branch that goes on after an event.
pub type ReadBranch = Arc<dyn Fn(Seq) -> io::Result<BranchPast> + Send + Sync>;

/// What was said on the way to an event.
#[derive(Clone, Debug)]
pub struct BranchPast {
    pub history: History,
    /// The last `SessionOpened` on the way.
    pub opened: Option<AgentEvent>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct LoggedTurns {
    /// The branch that they are on.
    path: BranchPath,
    turns: Vec<LoggedTurn>,
    /// Where the turn after them begins, which is not only in the log.
    end: Seq,
    /// Provider metadata before this number is of another model.
    metadata_from: Seq,
}

#[derive(Clone, Copy, Debug)]
struct LoggedTurn {
    from: Seq,
    size: TurnSize,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TurnSize {
    /// An estimate.
    pub(super) tokens: u64,
    /// Likewise, of its record for a summary.
    pub(super) record_tokens: u64,
    /// It has no messages.
    pub(super) is_empty: bool,
}

/// Turns to read back from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadTurns {
    path: BranchPath,
    from: Seq,
    through: Seq,
    metadata_from: Seq,
}

/// Turns that were read back.
#[derive(Debug)]
pub struct RestoredTurns {
    pub(super) from: Seq,
    pub(super) turns: History,
}

impl LoggedTurns {
    pub(super) fn on_path(path: BranchPath) -> Self {
        Self { path, ..Self::default() }
    }

    pub(super) fn path(&self) -> &BranchPath {
        &self.path
    }

    /// Leaves the turn before this number in the log.
    pub(super) fn push(&mut self, size: TurnSize, end: Seq) {
        self.turns.push(LoggedTurn { from: self.end, size });
        self.end = end;
    }

    /// The turn that is not only in the log begins here.
    pub(super) fn begin(&mut self, seq: Seq) {
        self.end = seq;
    }

    pub(super) fn len(&self) -> usize {
        self.turns.len()
    }

    /// Returns the sizes, the newest first.
    pub(super) fn sizes(&self) -> impl Iterator<Item = TurnSize> {
        self.turns.iter().rev().map(|turn| turn.size)
    }

    /// Another model answers from this number on.
    pub(super) fn forget_metadata(&mut self, from: Seq) {
        self.metadata_from = from;
    }

    /// Forgets the turns from this number on.
    pub(super) fn forget_from(&mut self, from: Seq) {
        self.turns.retain(|turn| turn.from < from);
        self.end = from;
    }

    /// Returns the last `count` turns.
    pub(super) fn last(&self, count: usize) -> Option<UnreadTurns> {
        self.before(0, count)
    }

    /// Returns the last `count` turns before the `newest` ones.
    pub(super) fn before(&self, newest: usize, count: usize) -> Option<UnreadTurns> {
        let end = self.turns.len().checked_sub(newest)?;
        let from = self.turns.get(end.checked_sub(count)?)?.from;
        let next = self.turns.get(end).map_or(self.end, |turn| turn.from);
        Some(UnreadTurns {
            path: self.path.clone(),
            from,
            through: Seq(next.0.saturating_sub(1)),
            metadata_from: self.metadata_from,
        })
    }
}

impl UnreadTurns {
    /// Reads what was said in them. O(their part of the log).
    pub fn read_messages(self, log: &ReadLog) -> io::Result<Vec<Vec<HistoryMessage>>> {
        Ok(split_turns(self.read(log)?.turns))
    }

    /// Reads them. O(their part of the log).
    pub fn read(self, log: &ReadLog) -> io::Result<RestoredTurns> {
        let mut turns = History::new();
        let mut has_metadata = true;
        log(self.from, self.through, &mut |envelope| {
            if !self.path.contains(envelope.seq) {
                return;
            }
            if has_metadata && envelope.seq >= self.metadata_from {
                turns.forget_metadata();
                has_metadata = false;
            }
            if !matches!(envelope.event, AgentEvent::SessionOpened { .. }) {
                turns.observe(&envelope.event);
            }
        })?;
        if has_metadata {
            turns.forget_metadata();
        }
        turns.finish_turn(&TurnOutcome::Interrupted);
        Ok(RestoredTurns { from: self.from, turns })
    }
}
