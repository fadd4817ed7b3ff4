//! Where the reader is: a place in the transcript, never a row number, so that growth and corrections elsewhere can't
//! move the text under their eyes.
//!
//! Not for drawing and not for layout: heights are asked from [`RowSource`] as the walk needs them. The invariant: a
//! walk touches only blocks between where it starts and where it ends.

use crate::store::transcript::ItemId;

/// What the first row on screen is tied to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// The last row is at the bottom and stays there: following.
    #[default]
    Bottom,
    /// This row of this block of this item is the first on screen.
    At { item: ItemId, block: u32, row: u32 },
}

/// A block by position: item index and block number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockPlace {
    pub index: usize,
    pub block: u32,
}

/// What a walk needs to know. Asking for a height may lay the block out.
pub trait RowSource {
    fn last(&mut self) -> Option<BlockPlace>;
    fn before(&mut self, place: BlockPlace) -> Option<BlockPlace>;
    fn after(&mut self, place: BlockPlace) -> Option<BlockPlace>;
    fn rows(&mut self, place: BlockPlace) -> u32;
}

/// Returns the place of the first row when the last row is at the bottom of a screen of `height` rows.
pub fn top_at_bottom(rows: &mut impl RowSource, height: u32) -> Option<(BlockPlace, u32)> {
    let last = rows.last()?;
    Some(up_from_end(rows, last, height))
}

/// Returns the place of the first row when the last row of `place` is at the bottom.
pub fn up_from_end(rows: &mut impl RowSource, place: BlockPlace, height: u32) -> (BlockPlace, u32) {
    let end = rows.rows(place);
    walk_up(rows, place, end, height)
}

/// Goes back by that many rows from just before `row` of `place`; stops at the start.
pub fn walk_up(rows: &mut impl RowSource, place: BlockPlace, row: u32, by: u32) -> (BlockPlace, u32) {
    let (mut place, mut row, mut by) = (place, row, by);
    while by > row {
        let Some(before) = rows.before(place) else { return (place, 0) };
        by -= row;
        place = before;
        row = rows.rows(place);
    }
    (place, row - by)
}

/// Goes on by that many rows; stops at the last row of all.
pub fn walk_down(rows: &mut impl RowSource, place: BlockPlace, row: u32, by: u32) -> (BlockPlace, u32) {
    let (mut place, mut row) = (place, row.saturating_add(by));
    loop {
        let height = rows.rows(place);
        if row < height {
            return (place, row);
        }
        let Some(after) = rows.after(place) else { return (place, height.saturating_sub(1)) };
        row -= height;
        place = after;
    }
}

/// Returns whether at least `height` rows stand from `row` of `place` to the end, counting no further than needed.
pub fn has_rows_below(rows: &mut impl RowSource, place: BlockPlace, row: u32, height: u32) -> bool {
    let mut have = rows.rows(place).saturating_sub(row);
    let mut place = place;
    while have < height {
        let Some(after) = rows.after(place) else { return false };
        place = after;
        have = have.saturating_add(rows.rows(place));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items of blocks of rows; counts what was asked.
    struct PlainRows(Vec<Vec<u32>>, usize);

    impl RowSource for PlainRows {
        fn last(&mut self) -> Option<BlockPlace> {
            let index = self.0.len().checked_sub(1)?;
            Some(BlockPlace { index, block: self.0[index].len() as u32 - 1 })
        }

        fn before(&mut self, place: BlockPlace) -> Option<BlockPlace> {
            if place.block > 0 {
                return Some(BlockPlace { block: place.block - 1, ..place });
            }
            let index = place.index.checked_sub(1)?;
            Some(BlockPlace { index, block: self.0[index].len() as u32 - 1 })
        }

        fn after(&mut self, place: BlockPlace) -> Option<BlockPlace> {
            if (place.block as usize) + 1 < self.0[place.index].len() {
                return Some(BlockPlace { block: place.block + 1, ..place });
            }
            (place.index + 1 < self.0.len()).then_some(BlockPlace { index: place.index + 1, block: 0 })
        }

        fn rows(&mut self, place: BlockPlace) -> u32 {
            self.1 += 1;
            self.0[place.index][place.block as usize]
        }
    }

    fn at(index: usize, block: u32) -> BlockPlace {
        BlockPlace { index, block }
    }

    #[test]
    fn the_bottom_shows_the_last_rows() {
        let mut rows = PlainRows(vec![vec![3], vec![2, 4], vec![1]], 0);
        assert_eq!(top_at_bottom(&mut rows, 1), Some((at(2, 0), 0)));
        assert_eq!(top_at_bottom(&mut rows, 4), Some((at(1, 1), 1)));
        assert_eq!(top_at_bottom(&mut rows, 5), Some((at(1, 1), 0)));
        assert_eq!(top_at_bottom(&mut rows, 99), Some((at(0, 0), 0)));
        assert_eq!(top_at_bottom(&mut PlainRows(vec![], 0), 5), None);
    }

    #[test]
    fn up_and_down_are_opposites() {
        let mut rows = PlainRows(vec![vec![3], vec![2, 0, 4], vec![1, 6]], 0);
        let mut every = Vec::new();
        let mut here = (at(0, 0), 0);
        loop {
            every.push(here);
            let next = walk_down(&mut rows, here.0, here.1, 1);
            if next == here {
                break;
            }
            here = next;
        }
        assert_eq!(every.len(), 16);
        for (from, &start) in every.iter().enumerate() {
            for (to, &end) in every.iter().enumerate().skip(from) {
                let by = (to - from) as u32;
                assert_eq!(walk_down(&mut rows, start.0, start.1, by), end);
                assert_eq!(walk_up(&mut rows, end.0, end.1, by), start);
            }
        }
    }

    #[test]
    fn a_walk_touches_only_what_it_passes() {
        let mut rows = PlainRows(vec![vec![5]; 100_000], 0);
        top_at_bottom(&mut rows, 50);
        assert!(rows.1 <= 11, "{}", rows.1);
        rows.1 = 0;
        assert!(has_rows_below(&mut rows, at(50_000, 0), 2, 40));
        assert!(!has_rows_below(&mut rows, at(99_999, 0), 2, 4));
        assert!(rows.1 <= 11, "{}", rows.1);
    }
}
