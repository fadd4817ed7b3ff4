//! PURE. Rows that only moved: which of them the terminal is to move itself, and whether that pays.
//!
//! Any answer is right, for the screen's record is moved like the terminal and what differs then is written; a bad one
//! only costs bytes. O(cells), and only where many rows changed.

use ratatui::buffer::{Buffer, Cell};

use super::ansi_writer::cells_look_equal;

/// Fewer changed rows than these are written and no more.
const MIN_CHANGED_ROWS: usize = 6;
/// What a shift costs in bytes, with the brackets of the frame.
const SHIFT_COST_BYTES: i64 = 40;
/// What it costs to begin writing somewhere: the move and the colours.
const WRITE_START_COST_BYTES: u32 = 8;

/// A band of rows, first to last, that moves up by so many rows, or down if they are negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowShift {
    pub(super) band: (u16, u16),
    pub(super) rows: i32,
}

impl RowShift {
    /// Returns the row that stands at `y` once the band has moved; none for a blank one.
    pub(super) fn source(self, y: usize) -> Option<usize> {
        let (top, bottom) = (usize::from(self.band.0), usize::from(self.band.1));
        if !(top..=bottom).contains(&y) {
            return Some(y);
        }
        y.checked_add_signed(self.rows as isize).filter(|from| (top..=bottom).contains(from))
    }

    /// Finds the band that saves most. Takes which rows differ.
    pub(super) fn find(front: &Buffer, back: &Buffer, changed: &[bool]) -> Option<Self> {
        let width = usize::from(back.area.width);
        if width == 0 || changed.iter().filter(|changed| **changed).count() < MIN_CHANGED_ROWS {
            return None;
        }
        let old: Vec<&[Cell]> = front.content.chunks_exact(width).collect();
        let new: Vec<&[Cell]> = back.content.chunks_exact(width).collect();
        let rows = most_common_offset(&old, &new, changed)?;
        let down = rows < 0;
        // A shift down is one up, seen upside down.
        let at = |y: usize| if down { new.len() - 1 - y } else { y };
        let by = rows.unsigned_abs() as usize;
        let blank = vec![Cell::EMPTY; width];
        let (top, bottom) = best_band(new.len(), by, |y| {
            let (is, was) = (new[at(y)], old[at(y)]);
            let stays = if changed[at(y)] { rewrite_cost(was, is) } else { 0 };
            let moves = if y + by < new.len() { rewrite_cost(old[at(y + by)], is) } else { u32::MAX };
            (i64::from(stays) - i64::from(moves), i64::from(stays) - i64::from(rewrite_cost(&blank, is)))
        })?;
        let (one, other) = (at(top) as u16, at(bottom) as u16);
        Some(Self { band: (one.min(other), one.max(other)), rows })
    }
}

/// Returns by how many rows most of the rows moved that are to be found in both frames.
fn most_common_offset(old: &[&[Cell]], new: &[&[Cell]], changed: &[bool]) -> Option<i32> {
    let mut known: Vec<(u64, usize)> = (0..old.len()).filter_map(|y| Some((half_row_hash(old[y])?, y))).collect();
    known.sort_unstable();
    let mut votes: Vec<i32> = Vec::with_capacity(2 * changed.len());
    for y in (0..new.len()).filter(|y| changed[*y]) {
        let Some(print) = half_row_hash(new[y]) else { continue };
        // Of rows that are there many times, the nearest on either side.
        let next = known.partition_point(|known| *known < (print, y));
        let near = known[next.saturating_sub(1)..].iter().take(1 + usize::from(next > 0));
        votes.extend(
            near.filter(|(known, _)| *known == print).map(|(_, from)| i32::from(*from as u16) - i32::from(y as u16)),
        );
    }
    votes.sort_unstable_by_key(|rows| (rows.unsigned_abs(), *rows));
    let same = votes.chunk_by(PartialEq::eq).filter(|same| same[0] != 0);
    // The last of the longest wins, and that is to be the one that moves least.
    let most = same.rev().max_by_key(|same| same.len())?;
    // A few rows among many that are new save less than it costs to find the band.
    let changed_rows = changed.iter().filter(|changed| **changed).count();
    (most.len() > 1 && most.len() * 4 >= changed_rows).then_some(most[0])
}

/// Returns a hash of the left half of a row, beside which another pane may stand; none of a blank one.
fn half_row_hash(row: &[Cell]) -> Option<u64> {
    let (mut hash, mut blank) = (0xcbf2_9ce4_8422_2325_u64, true);
    for cell in &row[..row.len().div_ceil(2)] {
        let symbol = cell.symbol();
        blank &= symbol == " ";
        hash = symbol.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    }
    (!blank).then_some(hash)
}

/// Returns about how many bytes it takes to make one row of another.
fn rewrite_cost(old: &[Cell], new: &[Cell]) -> u32 {
    let (mut cost, mut writing) = (0, false);
    for (old, new) in old.iter().zip(new) {
        let differs = !cells_look_equal(old, new);
        if differs {
            cost += if writing { 1 } else { WRITE_START_COST_BYTES };
        }
        writing = differs;
    }
    cost
}

/// Returns the first and last row of the band that saves most when it moves up by `by`. `saved` tells what a row saves
/// that gets the one `by` below it, and what one saves that becomes blank first. O(rows).
fn best_band(rows: usize, by: usize, saved: impl Fn(usize) -> (i64, i64)) -> Option<(usize, usize)> {
    // Sums of what all rows above save.
    let (mut moved, mut blank) = (vec![0_i64], vec![0_i64]);
    for y in 0..rows {
        let (shifted, anew) = saved(y);
        moved.push(moved[y] + shifted);
        blank.push(blank[y] + anew);
    }
    let mut most = (SHIFT_COST_BYTES, None);
    let mut top = 0;
    for bottom in by..rows {
        let kept = bottom + 1 - by;
        if moved[kept - 1] < moved[top] {
            top = kept - 1;
        }
        let saves = moved[kept] - moved[top] + blank[bottom + 1] - blank[kept];
        if saves > most.0 {
            most = (saves, Some((top, bottom)));
        }
    }
    most.1
}
