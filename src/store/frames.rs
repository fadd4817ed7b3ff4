//! The raw frames of the streams, while somebody looks at them: rows, a filter, a place.
//!
//! Not facts and never logged. Bounded in rows and bytes; the oldest go first, and how many went is known. Empty while
//! nobody looks.

use std::collections::VecDeque;

use super::action::ScrollStep;
use crate::event::Millis;

/// Rows that are kept.
const MAX_ROWS: usize = 5_000;
/// Bytes of them.
const MAX_ROW_BYTES: usize = 4 * 1024 * 1024;

/// One thing of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRow {
    /// Since the program's start.
    pub at: Millis,
    /// Since its answer began.
    pub since_start: Millis,
    pub kind: FrameKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// An answer began: what was asked, and how it was answered.
    Began(String),
    Frame {
        /// The event's name, or, where it has none, the `type` in its data.
        name: String,
        id: Option<String>,
        data: String,
    },
    Ended(String),
}

impl FrameRow {
    fn size(&self) -> usize {
        size_of::<Self>()
            + match &self.kind {
                FrameKind::Began(text) | FrameKind::Ended(text) => text.len(),
                FrameKind::Frame { name, id, data } => name.len() + id.as_ref().map_or(0, String::len) + data.len(),
            }
    }

    /// Returns whether every word is in its name, or, if it begins with a slash, in its data.
    fn matches(&self, words: &[String]) -> bool {
        let FrameKind::Frame { name, data, .. } = &self.kind else { return words.is_empty() };
        words.iter().all(|word| match word.strip_prefix('/') {
            Some(word) => data.contains(word),
            None => name.to_lowercase().contains(&word.to_lowercase()),
        })
    }
}

/// What is shown of the streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameList {
    rows: VecDeque<FrameRow>,
    /// Number of the first row that is left.
    first_number: u64,
    size: usize,
    /// Bytes that fell out before they could be looked at.
    pub dropped_bytes: u64,
    /// Nothing moves, though more may have come.
    pub is_paused: bool,
    /// The newest row there was when it was paused.
    paused_at: u64,
    pub query: String,
    /// The row that is looked at; the newest while there is none.
    selected: Option<u64>,
    /// The selected row is shown whole, scrolled so far.
    pub opened_scroll: Option<usize>,
}

impl FrameList {
    pub(super) fn add(&mut self, rows: Vec<FrameRow>, fallen: u64) {
        self.dropped_bytes = fallen;
        for row in rows {
            self.size += row.size();
            self.rows.push_back(row);
        }
        while self.rows.len() > MAX_ROWS || self.size > MAX_ROW_BYTES {
            let Some(oldest) = self.rows.pop_front() else { break };
            self.size = self.size.saturating_sub(oldest.size());
            self.first_number += 1;
        }
    }

    /// Returns how many rows fell out.
    pub fn dropped_rows(&self) -> u64 {
        self.first_number
    }

    /// Returns the number behind the newest row that is shown.
    fn end(&self) -> u64 {
        let end = self.first_number + self.rows.len() as u64;
        if self.is_paused { end.min(self.paused_at) } else { end }
    }

    /// Returns how many rows came since it was paused.
    pub fn rows_while_paused(&self) -> u64 {
        self.first_number + self.rows.len() as u64 - self.end().max(self.first_number)
    }

    pub fn row(&self, number: u64) -> Option<&FrameRow> {
        self.rows.get(usize::try_from(number.checked_sub(self.first_number)?).ok()?)
    }

    /// Returns the time between a row and the one before it.
    pub fn gap(&self, number: u64) -> Option<Millis> {
        let before = self.row(number.checked_sub(1)?)?;
        Some(self.row(number)?.at.since(before.at))
    }

    /// Returns the numbers of the rows that pass the filter, oldest first.
    pub fn visible_rows(&self) -> Vec<u64> {
        let words: Vec<String> = self.query.split_whitespace().map(str::to_owned).collect();
        let rows = (self.first_number..self.end()).zip(&self.rows);
        rows.filter(|(_, row)| row.matches(&words)).map(|(number, _)| number).collect()
    }

    /// Returns the place of the row that is looked at among those shown.
    pub fn selected_index(&self, shown: &[u64]) -> usize {
        let last = shown.len().saturating_sub(1);
        match self.selected {
            None => last,
            Some(number) => shown.partition_point(|shown| *shown < number).min(last),
        }
    }

    /// Returns whether the newest row is looked at, whichever that is.
    pub fn is_following(&self) -> bool {
        self.selected.is_none() && !self.is_paused
    }

    /// Goes on or back in the list, and behind the last row follows again; or scrolls the row that is shown whole, which
    /// ends at `end`.
    pub(super) fn move_selection(&mut self, step: ScrollStep, end: usize) {
        if let Some(scroll) = &mut self.opened_scroll {
            *scroll = step.from(*scroll, end);
            return;
        }
        let shown = self.visible_rows();
        let last = shown.len().saturating_sub(1);
        let to = step.from(self.selected_index(&shown), last);
        let follows = to >= last && matches!(step, ScrollStep::Forward(_));
        self.selected = if follows { None } else { shown.get(to).copied() };
    }

    pub(super) fn pause(&mut self) {
        if self.is_paused || self.selected.is_some() {
            (self.is_paused, self.selected, self.opened_scroll) = (false, None, None);
        } else {
            self.paused_at = self.end();
            self.is_paused = true;
        }
    }

    /// Shows the selected row whole, or the list again.
    pub(super) fn toggle_opened(&mut self) {
        if self.opened_scroll.take().is_some() {
            return;
        }
        let shown = self.visible_rows();
        self.selected = shown.get(self.selected_index(&shown)).copied();
        self.opened_scroll = self.selected.map(|_| 0);
    }

    /// Returns the row that is shown whole.
    pub fn opened_row(&self) -> Option<(u64, &FrameRow)> {
        self.opened_scroll?;
        let number = self.selected?;
        Some((number, self.row(number)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(at: u64, name: &str, data: &str) -> FrameRow {
        let what = FrameKind::Frame { name: name.into(), id: None, data: data.into() };
        FrameRow { at: Millis(at), since_start: Millis(at), kind: what }
    }

    fn filled(count: u64) -> FrameList {
        let mut frames = FrameList::default();
        frames.add((0..count).map(|n| frame(n * 10, if n % 2 == 0 { "delta" } else { "ping" }, "{}")).collect(), 0);
        frames
    }

    #[test]
    fn it_follows_until_one_goes_back_and_again_at_the_end() {
        let mut frames = filled(10);
        let place = |frames: &FrameList| frames.selected_index(&frames.visible_rows());
        assert_eq!((place(&frames), frames.is_following()), (9, true));
        frames.move_selection(ScrollStep::Back(2), 0);
        frames.add(vec![frame(200, "delta", "{}")], 0);
        assert_eq!((place(&frames), frames.is_following()), (7, false));
        frames.move_selection(ScrollStep::Forward(100), 0);
        assert_eq!((place(&frames), frames.is_following()), (10, true));
    }

    #[test]
    fn paused_it_stands_still_and_counts_what_waits() {
        let mut frames = filled(10);
        frames.pause();
        frames.add(vec![frame(200, "delta", "{}")], 0);
        assert_eq!((frames.visible_rows().len(), frames.rows_while_paused(), frames.is_following()), (10, 1, false));
        frames.pause();
        assert_eq!((frames.visible_rows().len(), frames.rows_while_paused(), frames.is_following()), (11, 0, true));
    }

    #[test]
    fn the_filter_is_of_names_and_behind_a_slash_of_data() {
        let mut frames = filled(10);
        frames.add(vec![frame(200, "delta", "{\"x\":\"needle\"}")], 0);
        frames.query = "DEL".into();
        assert_eq!(frames.visible_rows().len(), 6);
        frames.query = "del /needle".into();
        assert_eq!(frames.visible_rows(), [10]);
        frames.query = "nothing".into();
        assert_eq!((frames.visible_rows().len(), frames.selected_index(&[])), (0, 0));
        frames.toggle_opened();
        assert_eq!(frames.opened_row(), None);
    }

    #[test]
    fn rows_and_bytes_are_bounded_and_what_fell_out_is_counted() {
        let mut frames = filled(6_000);
        assert_eq!((frames.visible_rows().len(), frames.dropped_rows()), (5_000, 1_000));
        frames.move_selection(ScrollStep::Back(4_999), 0);
        frames.toggle_opened();
        assert_eq!(frames.opened_row().map(|(number, _)| number), Some(1_000));
        frames.add((0..10).map(|n| frame(n, "big", &"x".repeat(1_000_000))).collect(), 7);
        assert!(frames.rows.len() <= 4 && frames.dropped_bytes == 7);
        assert_eq!(frames.opened_row(), None, "it fell out");
    }

    #[test]
    fn gaps_are_between_neighbours_whatever_the_filter() {
        let frames = filled(3);
        assert_eq!((frames.gap(0), frames.gap(2)), (None, Some(Millis(10))));
    }
}
