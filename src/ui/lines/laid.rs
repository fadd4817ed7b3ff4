//! Laid-out text: rows of cells with faces, packed into three allocations whatever the number of rows.
//!
//! [`Flow`] is styled text that has no width yet, [`Page`] lays flows out below each other with indents and bars, and
//! [`Laid`] is the result. Not for deciding what is shown. The invariant: no row of a [`Laid`] is wider than its page
//! where the page is at least two cells wide, and its text holds no control characters.

use std::ops::Range;
use std::rc::Rc;

use ratatui::buffer::{Buffer, Cell as BufferCell};
use ratatui::style::Style;

use crate::text::width::cells;
#[cfg(feature = "images")]
use crate::ui::image::Shown;
use crate::ui::theme::{Face, Theme, with_link};

use super::links::{Links, number};

mod flow;
mod page;

pub use flow::Flow;
pub(in crate::ui) use page::{Column, Side};
pub use page::{Page, lay, lay_plain};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    end: u32,
    face: Face,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RowEnd {
    text: u32,
    span: u32,
    /// Nothing stands between this row and the next: a word or a line of code goes on.
    goes_on: bool,
}

/// Rows of text with faces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Laid {
    text: String,
    spans: Vec<Span>,
    rows: Vec<RowEnd>,
    /// Where its links go.
    targets: Vec<Rc<str>>,
    /// Pictures that stand alone.
    #[cfg(feature = "images")]
    shown: Vec<Shown>,
}

impl Laid {
    pub fn rows(&self) -> u32 {
        self.rows.len() as u32
    }

    /// Returns about how much memory this holds.
    pub fn bytes(&self) -> usize {
        #[cfg(feature = "images")]
        let shown = self.shown.iter().map(Shown::bytes).sum::<usize>();
        #[cfg(not(feature = "images"))]
        let shown = 0;
        size_of::<Self>()
            + shown
            + self.text.capacity()
            + self.spans.capacity() * size_of::<Span>()
            + self.rows.capacity() * size_of::<RowEnd>()
            + self.targets.iter().map(|target| target.len() + 32).sum::<usize>()
    }

    /// Returns a row's text; empty past the end.
    pub fn row_text(&self, row: u32) -> &str {
        let (from, to) = self.bounds(row).map_or((0, 0), |(from, to)| (from.text, to.text));
        self.text.get(from as usize..to as usize).unwrap_or("")
    }

    /// Returns whether a word, or a line of code, goes on in the next row.
    pub fn goes_on(&self, row: u32) -> bool {
        self.rows.get(row as usize).is_some_and(|row| row.goes_on)
    }

    /// Iterates over a row's pieces.
    pub fn row(&self, row: u32) -> impl Iterator<Item = (&str, Face)> {
        let (from, to) = self.bounds(row).unwrap_or_default();
        let spans = self.spans.get(from.span as usize..to.span as usize).unwrap_or(&[]);
        let mut start = from.text as usize;
        spans.iter().map(move |span| {
            let piece = self.text.get(start..span.end as usize).unwrap_or("");
            start = span.end as usize;
            (piece, span.face)
        })
    }

    /// Returns all rows as strings: for tests and copies.
    pub fn to_strings(&self) -> Vec<String> {
        (0..self.rows()).map(|row| self.row_text(row).to_owned()).collect()
    }

    /// Writes a row into the buffer, at most `max` cells. Returns the first column after it.
    pub fn draw_row(&self, row: u32, x: u16, y: u16, max: u16, theme: Theme, buf: &mut Buffer) -> u16 {
        let end = x.saturating_add(max).min(buf.area.right());
        let mut at = x;
        for (text, face) in self.row(row) {
            let style = match face.link().and_then(|row| self.targets.get(row)) {
                Some(target) => with_link(theme.face(face), number(target)),
                None => theme.face(face),
            };
            at = draw_text(text, at, y, end, style, buf);
        }
        #[cfg(feature = "images")]
        for shown in &self.shown {
            shown.draw(row, x, y, end, buf);
        }
        at
    }

    /// The pictures among its rows, also those that have none so far.
    #[cfg(feature = "images")]
    pub fn images(&self) -> &[Shown] {
        &self.shown
    }

    /// Notes where the links of some rows go.
    pub fn note_links(&self, rows: Range<u32>, links: &mut Links) {
        let faces = rows.flat_map(|row| self.row(row)).map(|(_, face)| face);
        for target in faces.filter_map(|face| self.targets.get(face.link()?)) {
            links.note(target);
        }
    }

    /// Takes a flow's targets and returns the row of the first.
    fn adopt(&mut self, flow: &Flow) -> usize {
        let base = self.targets.len();
        self.targets.extend(flow.targets.iter().cloned());
        base
    }

    fn bounds(&self, row: u32) -> Option<(RowEnd, RowEnd)> {
        let to = *self.rows.get(row as usize)?;
        let from = match row.checked_sub(1) {
            Some(before) => *self.rows.get(before as usize)?,
            None => RowEnd::default(),
        };
        Some((from, to))
    }

    fn put(&mut self, text: &str, face: Face) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        let row_start = self.rows.last().map_or(0, |row| row.span) as usize;
        let end = self.text.len() as u32;
        let has_span = self.spans.len() > row_start;
        match self.spans.last_mut() {
            Some(last) if has_span && last.face == face => last.end = end,
            _ => self.spans.push(Span { end, face }),
        }
    }

    fn end_row(&mut self) {
        self.rows.push(RowEnd { text: self.text.len() as u32, span: self.spans.len() as u32, goes_on: false });
    }

    /// The last row ends inside of something.
    fn go_on(&mut self) {
        if let Some(last) = self.rows.last_mut() {
            last.goes_on = true;
        }
    }
}

/// Writes cleaned text on one row up to column `end`. Returns the first column after it.
pub fn draw_text(text: &str, x: u16, y: u16, end: u16, style: Style, buf: &mut Buffer) -> u16 {
    let area = buf.area;
    let end = end.min(area.right());
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= end {
        return x;
    }
    let from = buf.index_of(x, y);
    let row = &mut buf.content[from..from + usize::from(end - x)];
    let mut at = 0;
    for cell in cells(text) {
        if cell.width == 0 {
            continue;
        }
        let Some((target, hidden)) = row.get_mut(at..at + cell.width).and_then(<[_]>::split_first_mut) else { break };
        target.set_symbol(cell.text).set_style(style);
        hidden.iter_mut().for_each(BufferCell::reset);
        at += cell.width;
    }
    x + at as u16
}

#[cfg(test)]
mod tests;
