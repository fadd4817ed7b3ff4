//! PURE. Decides the number and time of a line that doesn't follow the previous one.
//!
//! A single line is never trusted against its neighbors: a number that jumps ahead counts only if the next line
//! continues from it, and one that goes back is replaced by the number missing between its neighbors. A decision
//! depends only on one line before and one after, so it stays the same while the log grows.

use crate::event::{Millis, Seq};
use crate::journal::line::LineHead;

/// The line read last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PrecedingLine {
    pub(super) seq: Seq,
    pub(super) at: Millis,
    /// Whether its own number was trusted.
    pub(super) is_reliable: bool,
}

/// Returns the correct number of a line; `None` if another line has it. `next` is the line after it.
pub(super) fn resolve_seq(seen: PrecedingLine, head: LineHead, next: Option<LineHead>) -> Option<Seq> {
    let (before, own) = (seen.seq, head.seq);
    if own == before.next() {
        return Some(own);
    }
    let Some(next) = next else {
        // At the end of a log, a repeated line has the old time too.
        let goes_on = own > before || (seen.is_reliable && own < before && head.at > seen.at);
        return goes_on.then(|| own.max(before.next()));
    };
    // Of two lines with the same number, the first may be the one missing before them.
    let is_hole = next.seq > own || (next.seq == own && own.0 - 1 > before.next().0);
    if own > before && (next.seq <= before || is_hole) {
        return Some(own);
    }
    let free = Seq(next.seq.0.saturating_sub(1));
    (free > before && (own > before || free == before.next())).then_some(free)
}

/// Returns the correct time of a line: times only grow. `next` and `later` are the lines after it.
pub(super) fn resolve_time(
    seen: PrecedingLine,
    at: Millis,
    next: Option<LineHead>,
    later: impl FnOnce() -> Option<LineHead>,
) -> Millis {
    let at = at.max(seen.at);
    match next {
        Some(next) if next.at < at && next.at >= seen.at && later().is_none_or(|later| later.at < at) => next.at,
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(seq: u64, at: u64) -> LineHead {
        LineHead { seq: Seq(seq), at: Millis(at) }
    }

    fn placed(before: u64, own: u64, next: Option<u64>) -> Option<u64> {
        let seen = PrecedingLine { seq: Seq(before), at: Millis(before * 10), is_reliable: true };
        resolve_seq(seen, head(own, (before + 1) * 10), next.map(|next| head(next, (before + 2) * 10))).map(|seq| seq.0)
    }

    #[test]
    fn a_number_that_is_wrong_is_known_by_its_neighbours() {
        assert_eq!(placed(9, 10, Some(11)), Some(10));
        assert_eq!(placed(9, 90, Some(11)), Some(10), "too great");
        assert_eq!(placed(9, 2, Some(11)), Some(10), "too small");
        assert_eq!(placed(9, 9, Some(11)), Some(10), "the same as before");
        assert_eq!(placed(9, 11, Some(11)), Some(10), "the same as behind");
        assert_eq!(placed(9, 90, Some(14)), Some(13), "others are missing too");
    }

    #[test]
    fn a_hole_is_a_hole() {
        assert_eq!(placed(9, 12, Some(13)), Some(12));
        assert_eq!(placed(9, 12, Some(40)), Some(12));
        assert_eq!(placed(9, 12, None), Some(12));
        assert_eq!(placed(9, 12, Some(3)), Some(12), "the next one is wrong");
    }

    #[test]
    fn what_comes_again_has_no_place() {
        assert_eq!(placed(9, 9, Some(10)), None);
        assert_eq!(placed(9, 3, Some(4)), None);
        assert_eq!(placed(9, 90, Some(10)), None, "no number is free");
        assert_eq!(placed(9, 9, None), None);
    }

    #[test]
    fn the_last_line_is_known_by_its_time() {
        assert_eq!(placed(9, 2, None), Some(10));
        let seen = PrecedingLine { seq: Seq(9), at: Millis(90), is_reliable: true };
        assert_eq!(resolve_seq(seen, head(2, 20), None), None);
        assert_eq!(resolve_seq(PrecedingLine { is_reliable: false, ..seen }, head(2, 100), None), None);
    }

    /// New lines are numbered after those read before, and must be read unchanged.
    #[test]
    fn what_was_decided_at_the_end_holds_when_the_log_grows() {
        for before in 0..12 {
            for own in 0..14 {
                for at in [0, before * 10, before * 10 + 5] {
                    let seen = PrecedingLine { seq: Seq(before), at: Millis(before * 10), is_reliable: true };
                    let line = head(own, at);
                    let at_end = resolve_seq(seen, line, None);
                    let last = at_end.unwrap_or(Seq(before));
                    let grown = resolve_seq(seen, line, Some(head(last.0 + 1, 1_000)));
                    assert_eq!(grown, at_end, "{before} {own} {at}");
                }
            }
        }
    }

    #[test]
    fn times_only_grow() {
        let seen = PrecedingLine { seq: Seq(9), at: Millis(90), is_reliable: true };
        let time = |at, next: u64, later: u64| {
            resolve_time(seen, Millis(at), Some(head(11, next)), || Some(head(12, later))).0
        };
        assert_eq!(time(100, 110, 120), 100);
        assert_eq!(time(90_000, 110, 120), 110, "too late");
        assert_eq!(time(3, 110, 120), 90, "too early");
        assert_eq!(time(100, 95, 120), 100, "the next one is wrong");
    }
}
