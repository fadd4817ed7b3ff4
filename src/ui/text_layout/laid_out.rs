//! Laid-out text: rows of cells with faces, packed into three allocations whatever the number of rows.
//!
//! [`StyledText`] is styled text that has no width yet, [`LayoutBuilder`] lays flows out below each other with indents
//! and bars, and [`LaidOut`] is the result. Not for deciding what is shown. The invariant: no row of a [`LaidOut`] is
//! wider than its page where the page is at least two cells wide, and its text holds no control characters.

use std::ops::Range;
use std::rc::Rc;

use ratatui::buffer::{Buffer, Cell as BufferCell};
use ratatui::style::Style;

use crate::text::width::graphemes;
#[cfg(feature = "images")]
use crate::ui::image::ImageBlock;
use crate::ui::theme::{TextStyle, Theme, with_link};

use super::links::{ScreenLinks, link_number};

mod layout_builder;
mod styled_text;

pub(in crate::ui) use layout_builder::{CellAlign, TableCell};
pub use layout_builder::{LayoutBuilder, lay_out, lay_out_plain};
pub use styled_text::StyledText;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StyleSpan {
    end: u32,
    style: TextStyle,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RowEnd {
    text: u32,
    span: u32,
    /// Nothing stands between this row and the next: a word or a line of code goes on.
    is_continued: bool,
}

/// Rows of text with faces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LaidOut {
    text: String,
    spans: Vec<StyleSpan>,
    rows: Vec<RowEnd>,
    /// Where its links go.
    targets: Vec<Rc<str>>,
    /// Pictures that stand alone.
    #[cfg(feature = "images")]
    images: Vec<ImageBlock>,
}

impl LaidOut {
    pub fn rows(&self) -> u32 {
        self.rows.len() as u32
    }

    /// Returns about how much memory this holds.
    pub fn bytes(&self) -> usize {
        #[cfg(feature = "images")]
        let shown = self.images.iter().map(ImageBlock::bytes).sum::<usize>();
        #[cfg(not(feature = "images"))]
        let shown = 0;
        size_of::<Self>()
            + shown
            + self.text.capacity()
            + self.spans.capacity() * size_of::<StyleSpan>()
            + self.rows.capacity() * size_of::<RowEnd>()
            + self.targets.iter().map(|target| target.len() + 32).sum::<usize>()
    }

    /// Returns a row's text; empty past the end.
    pub fn row_text(&self, row: u32) -> &str {
        let (from, to) = self.bounds(row).map_or((0, 0), |(from, to)| (from.text, to.text));
        self.text.get(from as usize..to as usize).unwrap_or("")
    }

    /// Returns whether a word, or a line of code, goes on in the next row.
    pub fn is_continued(&self, row: u32) -> bool {
        self.rows.get(row as usize).is_some_and(|row| row.is_continued)
    }

    /// Iterates over a row's pieces.
    pub fn row(&self, row: u32) -> impl Iterator<Item = (&str, TextStyle)> {
        let (from, to) = self.bounds(row).unwrap_or_default();
        let spans = self.spans.get(from.span as usize..to.span as usize).unwrap_or(&[]);
        let mut start = from.text as usize;
        spans.iter().map(move |span| {
            let piece = self.text.get(start..span.end as usize).unwrap_or("");
            start = span.end as usize;
            (piece, span.style)
        })
    }

    /// Returns whether a row looks like a row of another text. Those with links or images never do.
    pub fn is_same_row(&self, row: u32, other: &Self, other_row: u32) -> bool {
        #[cfg(feature = "images")]
        if !self.images.is_empty() || !other.images.is_empty() {
            return false;
        }
        self.row_text(row) == other.row_text(other_row)
            && self.row(row).eq(other.row(other_row))
            && self.row(row).all(|(_, style)| style.link().is_none())
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
                Some(target) => with_link(theme.text_style(face), link_number(target)),
                None => theme.text_style(face),
            };
            at = draw_text(text, at, y, end, style, buf);
        }
        #[cfg(feature = "images")]
        for shown in &self.images {
            shown.draw(row, x, y, end, buf);
        }
        at
    }

    /// The pictures among its rows, also those that have none so far.
    #[cfg(feature = "images")]
    pub fn images(&self) -> &[ImageBlock] {
        &self.images
    }

    /// Notes where the links of some rows go.
    pub fn note_links(&self, rows: Range<u32>, links: &mut ScreenLinks) {
        let faces = rows.flat_map(|row| self.row(row)).map(|(_, face)| face);
        for target in faces.filter_map(|face| self.targets.get(face.link()?)) {
            links.add(target);
        }
    }

    /// Takes a flow's targets and returns the row of the first.
    fn append_targets(&mut self, flow: &StyledText) -> usize {
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

    fn push_text(&mut self, text: &str, face: TextStyle) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        let row_start = self.rows.last().map_or(0, |row| row.span) as usize;
        let end = self.text.len() as u32;
        let has_span = self.spans.len() > row_start;
        match self.spans.last_mut() {
            Some(last) if has_span && last.style == face => last.end = end,
            _ => self.spans.push(StyleSpan { end, style: face }),
        }
    }

    fn end_row(&mut self) {
        self.rows.push(RowEnd { text: self.text.len() as u32, span: self.spans.len() as u32, is_continued: false });
    }

    /// The last row ends inside of something.
    fn mark_continued(&mut self) {
        if let Some(last) = self.rows.last_mut() {
            last.is_continued = true;
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
    for cell in graphemes(text) {
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
