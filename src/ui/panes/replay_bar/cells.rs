//! Which cell of a row is which time.

use crate::event::Millis;
use crate::event::timeline::{Moment, MomentKind, Timeline};

/// Fewer cells are no bar.
const MIN_CELLS: usize = 3;

/// A row of cells that stands for a whole length of time, first and last cell included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimelineCells {
    count: usize,
    length: Millis,
}

/// What a cell shows: the last of these that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CellMoment {
    Turn,
    Call,
    Mark,
    Error,
}

impl CellMoment {
    fn of(kind: MomentKind) -> Option<Self> {
        Some(match kind {
            MomentKind::Turn => Self::Turn,
            MomentKind::Call => Self::Call,
            MomentKind::Mark => Self::Mark,
            MomentKind::Error => Self::Error,
            MomentKind::Wait { .. } => return None,
        })
    }
}

impl TimelineCells {
    pub(super) fn new(count: usize, length: Millis) -> Option<Self> {
        (count >= MIN_CELLS).then_some(Self { count, length })
    }

    pub(super) fn cell(self, at: Millis) -> usize {
        let part = if self.length.0 == 0 { 1.0 } else { at.0 as f64 / self.length.0 as f64 };
        ((part.min(1.0) * (self.count - 1) as f64) as usize).min(self.count - 1)
    }

    /// Returns what a cell stands for, in hundredths of a percent.
    pub(super) fn fraction(self, cell: usize) -> u16 {
        let last = self.count - 1;
        u16::try_from((cell.min(last) * 10_000).div_ceil(last)).unwrap_or(10_000)
    }

    /// Returns the most telling moment of each cell. O(moments).
    pub(super) fn moments(self, timeline: &Timeline) -> Vec<Option<CellMoment>> {
        let mut cells = vec![None; self.count];
        for moment in timeline.moments() {
            if let Some(cell) = cells.get_mut(self.cell(moment.at)) {
                *cell = (*cell).max(CellMoment::of(moment.kind));
            }
        }
        cells
    }

    /// Returns the first of the most telling moments of a cell.
    pub(super) fn moment_at(self, timeline: &Timeline, cell: usize) -> Option<Moment> {
        let shown = timeline.moments().iter().filter(|moment| self.cell(moment.at) == cell);
        let told = shown.filter_map(|moment| Some((CellMoment::of(moment.kind)?, *moment)));
        told.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, moment)| moment)
    }

    /// Returns which cells have nothing but a wait.
    pub(super) fn waits(self, timeline: &Timeline) -> Vec<bool> {
        let mut cells = vec![false; self.count];
        for moment in timeline.moments() {
            let MomentKind::Wait { until } = moment.kind else { continue };
            let inside = self.cell(moment.at) + 1..self.cell(until);
            if let Some(cells) = cells.get_mut(inside) {
                cells.fill(true);
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::timeline::TimelineBuilder;
    use crate::event::{CallOutcome, Envelope, Seq};
    use crate::testkit::events::{call_finished, call_ready, text_delta, turn_started};

    fn timeline() -> Timeline {
        let events = [
            (0, turn_started("t1")),
            (10, call_ready("c1", "run", "{}")),
            (1_000, call_finished("c1", CallOutcome::Failed, "")),
            (60_000, text_delta("m", "later")),
            (100_000, text_delta("m", "end")),
        ];
        let mut builder = TimelineBuilder::default();
        for (seq, (at, event)) in (1..).zip(events) {
            builder.pass(Seq(seq), Millis(at));
            builder.observe(&Envelope { seq: Seq(seq), at: Millis(at), event });
        }
        builder.finish(|_| None)
    }

    #[test]
    fn the_first_and_the_last_cell_are_the_ends() {
        let cells = TimelineCells::new(11, Millis(100_000)).unwrap();
        let found = [0, 9_999, 10_000, 99_999, 100_000, 200_000].map(|at| cells.cell(Millis(at)));
        assert_eq!(found, [0, 0, 1, 9, 10, 10]);
        assert_eq!([0, 1, 10, 99].map(|cell| cells.fraction(cell)), [0, 1_000, 10_000, 10_000]);
        assert_eq!(TimelineCells::new(2, Millis(1)), None);
        assert_eq!(TimelineCells::new(3, Millis(0)).map(|cells| cells.cell(Millis(0))), Some(2));
    }

    /// Who clicks on a cell gets to a time that is shown there.
    #[test]
    fn every_cell_stands_for_a_time_that_it_shows() {
        for count in [3, 7, 64, 133] {
            let length = Millis(100_000);
            let cells = TimelineCells::new(count, length).unwrap();
            for cell in 0..count {
                let at = length.0 * u64::from(cells.fraction(cell)) / 10_000;
                assert_eq!(cells.cell(Millis(at)), cell, "of {count}");
            }
        }
    }

    #[test]
    fn a_cell_shows_what_tells_most_and_a_wait_only_what_is_all_of_it() {
        let cells = TimelineCells::new(11, Millis(100_000)).unwrap();
        let timeline = timeline();
        let shown = cells.moments(&timeline);
        assert_eq!((shown[0], shown[1]), (Some(CellMoment::Error), None));
        assert_eq!(cells.moment_at(&timeline, 0).map(|moment| moment.seq), Some(Seq(3)));
        assert_eq!(cells.moment_at(&timeline, 4), None);
        let waits: Vec<usize> =
            cells.waits(&timeline).iter().enumerate().filter(|(_, is)| **is).map(|(at, _)| at).collect();
        assert_eq!(waits, [1, 2, 3, 4, 5, 7, 8, 9]);
    }
}
