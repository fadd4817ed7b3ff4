//! The raw frames of the streams, while somebody looks at them: rows, a filter, a place.
//!
//! Not facts and never logged. Bounded in rows and bytes; the oldest go first, and how many went is known. Empty while
//! nobody looks.

use std::collections::VecDeque;

use crate::event::Millis;

/// Rows that are kept.
const MOST: usize = 5_000;
/// Bytes of them.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Longest filter, in bytes.
const LONGEST_QUERY: usize = 200;

/// One thing of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Since the program's start.
    pub at: Millis,
    /// Since its answer began.
    pub since: Millis,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
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

impl Row {
    fn size(&self) -> usize {
        size_of::<Self>()
            + match &self.what {
                What::Began(text) | What::Ended(text) => text.len(),
                What::Frame { name, id, data } => name.len() + id.as_ref().map_or(0, String::len) + data.len(),
            }
    }

    /// Returns whether every word is in its name, or, if it begins with a slash, in its data.
    fn fits(&self, words: &[String]) -> bool {
        let What::Frame { name, data, .. } = &self.what else { return words.is_empty() };
        words.iter().all(|word| match word.strip_prefix('/') {
            Some(word) => data.contains(word),
            None => name.to_lowercase().contains(&word.to_lowercase()),
        })
    }
}

/// What is shown of the streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    rows: VecDeque<Row>,
    /// Number of the first row that is left.
    first: u64,
    size: usize,
    /// Bytes that fell out before they could be looked at.
    pub fallen: u64,
    /// Nothing moves, though more may have come.
    pub paused: bool,
    /// The newest row there was when it was paused.
    until: u64,
    pub query: String,
    /// The row that is looked at; the newest while there is none.
    selected: Option<u64>,
    /// The selected row is shown whole, scrolled so far.
    pub opened: Option<usize>,
}

impl Frames {
    pub(super) fn add(&mut self, rows: Vec<Row>, fallen: u64) {
        self.fallen = fallen;
        for row in rows {
            self.size += row.size();
            self.rows.push_back(row);
        }
        while self.rows.len() > MOST || self.size > MOST_BYTES {
            let Some(oldest) = self.rows.pop_front() else { break };
            self.size = self.size.saturating_sub(oldest.size());
            self.first += 1;
        }
    }

    /// Returns how many rows fell out.
    pub fn lost(&self) -> u64 {
        self.first
    }

    /// Returns the number behind the newest row that is shown.
    fn end(&self) -> u64 {
        let end = self.first + self.rows.len() as u64;
        if self.paused { end.min(self.until) } else { end }
    }

    /// Returns how many rows came since it was paused.
    pub fn waiting(&self) -> u64 {
        self.first + self.rows.len() as u64 - self.end().max(self.first)
    }

    pub fn row(&self, number: u64) -> Option<&Row> {
        self.rows.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// Returns the time between a row and the one before it.
    pub fn gap(&self, number: u64) -> Option<Millis> {
        let before = self.row(number.checked_sub(1)?)?;
        Some(self.row(number)?.at.since(before.at))
    }

    /// Returns the numbers of the rows that pass the filter, oldest first.
    pub fn shown(&self) -> Vec<u64> {
        let words: Vec<String> = self.query.split_whitespace().map(str::to_owned).collect();
        let rows = (self.first..self.end()).zip(&self.rows);
        rows.filter(|(_, row)| row.fits(&words)).map(|(number, _)| number).collect()
    }

    /// Returns the place of the row that is looked at among those shown.
    pub fn place(&self, shown: &[u64]) -> usize {
        let last = shown.len().saturating_sub(1);
        match self.selected {
            None => last,
            Some(number) => shown.partition_point(|shown| *shown < number).min(last),
        }
    }

    /// Returns whether the newest row is looked at, whichever that is.
    pub fn follows(&self) -> bool {
        self.selected.is_none() && !self.paused
    }

    /// Goes on or back by so many rows; behind the last one it follows again.
    pub(super) fn go(&mut self, rows: isize) {
        if let Some(scroll) = &mut self.opened {
            *scroll = scroll.saturating_add_signed(rows);
            return;
        }
        let shown = self.shown();
        let to = self.place(&shown).saturating_add_signed(rows);
        let is_last = to + 1 >= shown.len() && rows > 0;
        self.selected = if is_last { None } else { shown.get(to).copied() };
    }

    pub(super) fn pause(&mut self) {
        if self.paused || self.selected.is_some() {
            (self.paused, self.selected, self.opened) = (false, None, None);
        } else {
            self.until = self.end();
            self.paused = true;
        }
    }

    /// Shows the selected row whole, or the list again.
    pub(super) fn open(&mut self) {
        if self.opened.take().is_some() {
            return;
        }
        let shown = self.shown();
        self.selected = shown.get(self.place(&shown)).copied();
        self.opened = self.selected.map(|_| 0);
    }

    /// Returns the row that is shown whole.
    pub fn whole(&self) -> Option<(u64, &Row)> {
        self.opened?;
        let number = self.selected?;
        Some((number, self.row(number)?))
    }

    pub(super) fn type_char(&mut self, c: char) {
        if !c.is_control() && self.opened.is_none() && self.query.len() < LONGEST_QUERY {
            self.query.push(c);
        }
    }

    pub(super) fn backspace(&mut self) {
        if self.opened.is_none() {
            self.query.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(at: u64, name: &str, data: &str) -> Row {
        let what = What::Frame { name: name.into(), id: None, data: data.into() };
        Row { at: Millis(at), since: Millis(at), what }
    }

    fn filled(count: u64) -> Frames {
        let mut frames = Frames::default();
        frames.add((0..count).map(|n| frame(n * 10, if n % 2 == 0 { "delta" } else { "ping" }, "{}")).collect(), 0);
        frames
    }

    #[test]
    fn it_follows_until_one_goes_back_and_again_at_the_end() {
        let mut frames = filled(10);
        let place = |frames: &Frames| frames.place(&frames.shown());
        assert_eq!((place(&frames), frames.follows()), (9, true));
        frames.go(-2);
        frames.add(vec![frame(200, "delta", "{}")], 0);
        assert_eq!((place(&frames), frames.follows()), (7, false));
        frames.go(100);
        assert_eq!((place(&frames), frames.follows()), (10, true));
    }

    #[test]
    fn paused_it_stands_still_and_counts_what_waits() {
        let mut frames = filled(10);
        frames.pause();
        frames.add(vec![frame(200, "delta", "{}")], 0);
        assert_eq!((frames.shown().len(), frames.waiting(), frames.follows()), (10, 1, false));
        frames.pause();
        assert_eq!((frames.shown().len(), frames.waiting(), frames.follows()), (11, 0, true));
    }

    #[test]
    fn the_filter_is_of_names_and_behind_a_slash_of_data() {
        let mut frames = filled(10);
        frames.add(vec![frame(200, "delta", "{\"x\":\"needle\"}")], 0);
        frames.query = "DEL".into();
        assert_eq!(frames.shown().len(), 6);
        frames.query = "del /needle".into();
        assert_eq!(frames.shown(), [10]);
        frames.query = "nothing".into();
        assert_eq!((frames.shown().len(), frames.place(&[])), (0, 0));
        frames.open();
        assert_eq!(frames.whole(), None);
    }

    #[test]
    fn rows_and_bytes_are_bounded_and_what_fell_out_is_counted() {
        let mut frames = filled(6_000);
        assert_eq!((frames.shown().len(), frames.lost()), (5_000, 1_000));
        frames.go(-4_999);
        frames.open();
        assert_eq!(frames.whole().map(|(number, _)| number), Some(1_000));
        frames.add((0..10).map(|n| frame(n, "big", &"x".repeat(1_000_000))).collect(), 7);
        assert!(frames.rows.len() <= 4 && frames.fallen == 7);
        assert_eq!(frames.whole(), None, "it fell out");
    }

    #[test]
    fn gaps_are_between_neighbours_whatever_the_filter() {
        let frames = filled(3);
        assert_eq!((frames.gap(0), frames.gap(2)), (None, Some(Millis(10))));
    }
}
