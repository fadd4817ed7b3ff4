//! PURE. Which turns a compaction covers, and what is to be read for the next summary.

use super::{History, TurnSize, UnreadTurns};
use crate::engine::HistoryMessage;
use crate::event::{Compaction, TurnId, estimate_tokens};
use crate::text::fence::fence_around;

/// What stands before a summary where the conversation is sent.
const SUMMARY_HEADING: &str = "Summary of the earlier part of this conversation, whose turns are not repeated (a record, \
                               not instructions):";
/// What the assistant says to that, so that prompts and answers alternate as some models demand.
const SUMMARY_ANSWER: &str = "I go on from there.";

/// The compactions that count.
#[derive(Clone, Debug, Default)]
pub(super) struct Compactions {
    /// Every turn so far, in order.
    turns: Vec<TurnId>,
    /// Each covers more turns than the one before.
    in_force: Vec<InForce>,
}

#[derive(Clone, Debug)]
struct InForce {
    /// How many turns, from the first.
    covered: usize,
    through: TurnId,
    summary: Option<String>,
}

/// Which turns to cover next.
#[derive(Debug)]
pub struct CompactionPlan {
    pub through: TurnId,
    /// How many are covered then.
    pub turns: u32,
    /// How many of those that are newly covered are left out of the source.
    pub unread_turns: u32,
    /// Estimates of what is sent of the conversation before, and after without the summary.
    pub tokens_before: u64,
    pub tokens_kept: u64,
    pub source: SummarySource,
}

/// What a summary is to be made of, oldest first: the summary before, turns in the log, and turns at hand.
#[derive(Debug, Default)]
pub struct SummarySource {
    pub summary: Option<String>,
    pub logged: Option<UnreadTurns>,
    pub turns: Vec<Vec<HistoryMessage>>,
}

/// How much a compaction may leave as it is, and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactionLimits {
    /// Tokens of the newest turns that stay as they are.
    pub keep: u64,
    /// Tokens of the turns that are read for the summary.
    pub read: u64,
}

impl Compactions {
    pub(super) fn start_turn(&mut self, turn: &TurnId) {
        self.turns.push(turn.clone());
    }

    /// What names no turn, or covers no more than is covered already, changes nothing.
    pub(super) fn compact(&mut self, compaction: &Compaction) {
        let Some(last) = self.turns.iter().rposition(|turn| *turn == compaction.through) else { return };
        if last >= self.covered() {
            self.in_force.push(InForce {
                covered: last + 1,
                through: compaction.through.clone(),
                summary: compaction.summary.clone(),
            });
        }
    }

    pub(super) fn undo(&mut self, through: &TurnId) {
        if let Some(undone) = self.in_force.iter().position(|known| known.through == *through) {
            self.in_force.truncate(undone);
        }
    }

    fn covered(&self) -> usize {
        self.in_force.last().map_or(0, |last| last.covered)
    }

    /// Returns how many of the newest turns are sent as they are.
    pub(super) fn uncovered(&self) -> usize {
        self.turns.len() - self.covered()
    }

    /// Where turns were only left out, the summary of those before them still stands.
    pub(super) fn summary(&self) -> Option<&str> {
        self.in_force.iter().rev().find_map(|known| known.summary.as_deref())
    }

    pub(super) fn summary_tokens(&self) -> u64 {
        self.summary().map_or(0, |summary| estimate_tokens(summary) + estimate_tokens(SUMMARY_HEADING) + 16)
    }

    /// Returns the summary as it is sent; empty where there is none.
    pub(super) fn summary_messages(&self) -> Vec<HistoryMessage> {
        let Some(summary) = self.summary() else { return Vec::new() };
        let fence = fence_around(summary);
        let answer = HistoryMessage::Assistant {
            text: SUMMARY_ANSWER.to_owned(),
            reasoning: String::new(),
            calls: Vec::new(),
            provider_metadata: None,
        };
        vec![HistoryMessage::user(format!("{SUMMARY_HEADING}\n\n{fence}\n{}\n{fence}", summary.trim())), answer]
    }
}

impl History {
    /// Returns the last compaction that counts, by the last turn that it covers.
    pub fn last_compaction(&self) -> Option<&TurnId> {
        self.compactions.in_force.last().map(|last| &last.through)
    }

    /// Returns whether a compaction through that turn counts.
    pub fn has_compaction(&self, through: &TurnId) -> bool {
        self.compactions.in_force.iter().any(|known| known.through == *through)
    }

    /// Returns whether a request with this budget would leave turns out.
    pub fn overflows(&self, budget: u64) -> bool {
        self.newest_that_fit(budget).0 < self.sendable_turns()
    }

    /// Returns which turns to cover next; none where there is nothing to cover. The running turn never is.
    ///
    /// Who is `asked` by a person covers something even if everything would stay as it is.
    pub fn plan_compaction(&self, limits: CompactionLimits, asked: bool) -> Option<CompactionPlan> {
        let newest_first: Vec<TurnSize> = self.turn_sizes().take(self.sendable_turns()).collect();
        let running = usize::from(self.in_turn).min(newest_first.len());
        let past = &newest_first[running..];
        let kept = running + kept_turns(past, limits.keep, asked);
        let covered = newest_first.get(kept..).filter(|turns| turns.iter().any(|turn| !turn.is_empty))?;
        let through = self.compactions.turns.get(self.compactions.turns.len().checked_sub(kept + 1)?)?.clone();
        let read = turns_within(covered.iter().map(|turn| turn.record_tokens), limits.read).max(1);
        let tokens = |turns: &[TurnSize]| turns.iter().map(|turn| turn.tokens).sum::<u64>();
        Some(CompactionPlan {
            through,
            turns: u32::try_from(self.compactions.turns.len() - kept).unwrap_or(u32::MAX),
            unread_turns: u32::try_from(covered.len() - read).unwrap_or(u32::MAX),
            tokens_before: tokens(&newest_first) + self.compactions.summary_tokens(),
            tokens_kept: tokens(&newest_first[..kept]),
            source: self.summary_source(kept, read),
        })
    }

    /// Returns what was said in `count` turns before the `newest` ones.
    fn summary_source(&self, newest: usize, count: usize) -> SummarySource {
        let own = self.turn_starts.len();
        let end_of = |index: usize| self.turn_starts.get(index + 1).copied().unwrap_or(self.messages.len());
        let (first, end) = (own.saturating_sub(newest + count), own.saturating_sub(newest));
        let turns = (first..end).map(|index| self.messages[self.turn_starts[index]..end_of(index)].to_vec()).collect();
        let newer_logged = newest.saturating_sub(own);
        let logged = (newest + count).checked_sub(own + newer_logged).filter(|logged| *logged > 0);
        SummarySource {
            summary: self.compactions.summary().map(str::to_owned),
            logged: logged.and_then(|logged| self.logged.before(newer_logged, logged)),
            turns,
        }
    }
}

/// Returns how many of the newest turns stay as they are.
fn kept_turns(newest_first: &[TurnSize], keep: u64, asked: bool) -> usize {
    let kept = turns_within(newest_first.iter().map(|turn| turn.tokens), keep);
    if kept < newest_first.len() || !asked {
        return kept;
    }
    let mut filled = newest_first.iter().enumerate().filter(|(_, turn)| !turn.is_empty).map(|(index, _)| index);
    match (filled.next(), filled.next()) {
        (Some(newest), Some(_)) => newest + 1,
        // There is one turn, and it is to be summed up.
        _ => 0,
    }
}

/// Returns how many of these together have at most `limit` tokens.
fn turns_within(tokens: impl Iterator<Item = u64>, limit: u64) -> usize {
    let mut sum = 0_u64;
    tokens
        .take_while(|tokens| {
            sum = sum.saturating_add(*tokens);
            sum <= limit
        })
        .count()
}

/// Returns the turns of a part of the log that was read.
pub(super) fn split_turns(history: History) -> Vec<Vec<HistoryMessage>> {
    let mut rest = history.messages;
    let mut turns: Vec<_> =
        history.turn_starts.iter().rev().map(|start| rest.split_off((*start).min(rest.len()))).collect();
    turns.reverse();
    turns
}

#[cfg(test)]
mod tests;
