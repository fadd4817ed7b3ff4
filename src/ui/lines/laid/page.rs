//! Flows laid out below each other at a width.

use crate::text::width::str_width;
use crate::text::wrap::{Row, chop, wrap};
#[cfg(feature = "images")]
use crate::ui::image::Shown;
use crate::ui::theme::{Face, Role};

use super::{Flow, Laid};

/// What stands left of the rows of a block: once in front of its first row, then on all others.
#[derive(Clone, Debug)]
struct Prefix {
    first: Option<(String, Face)>,
    rest: (String, Face),
    width: usize,
}

/// Lays flows out below each other, inside nested indents and bars.
#[derive(Debug)]
pub struct Page {
    laid: Laid,
    width: usize,
    prefixes: Vec<Prefix>,
}

/// No indent or bar may leave less room than this for the text itself.
const LEAST_ROOM: usize = 6;

impl Page {
    pub fn new(width: u16) -> Self {
        Self { laid: Laid::default(), width: usize::from(width).max(1), prefixes: Vec::new() }
    }

    /// Returns the cells that are left for text.
    pub fn room(&self) -> usize {
        let used: usize = self.prefixes.iter().map(|prefix| prefix.width).sum();
        self.width.saturating_sub(used).max(1)
    }

    /// Indents what follows, with `marker` in front of its first row. Returns false, and indents nothing, where too
    /// little room would be left; then the caller puts the marker into the text.
    pub fn indent(&mut self, marker: &str, face: Face) -> bool {
        let width = str_width(marker);
        let fits = width == 0 || self.room() >= width + LEAST_ROOM;
        let (first, rest, width) =
            if fits { (Some((marker.to_owned(), face)), " ".repeat(width), width) } else { (None, String::new(), 0) };
        self.prefixes.push(Prefix { first, rest: (rest, Face::default()), width });
        fits
    }

    /// Puts another marker of the same width in front of the first row. Returns false where it is too late for that or
    /// where it has another width.
    pub fn replace_marker(&mut self, marker: &str, face: Face) -> bool {
        match self.prefixes.last_mut() {
            Some(Prefix { first: Some(first), width, .. }) if str_width(marker) == *width => {
                *first = (marker.to_owned(), face);
                true
            }
            _ => false,
        }
    }

    /// Puts `bar` in front of every row that follows, where there is room.
    pub fn bar(&mut self, bar: &str, face: Face) {
        let width = str_width(bar);
        let (bar, width) = if self.room() >= width + LEAST_ROOM { (bar, width) } else { ("", 0) };
        self.prefixes.push(Prefix { first: None, rest: (bar.to_owned(), face), width });
    }

    /// Ends the innermost indent or bar. A marker without any text still gets its row.
    pub fn outdent(&mut self) {
        if self.prefixes.last().is_some_and(|prefix| prefix.first.is_some()) {
            self.row(|_| {});
        }
        self.prefixes.pop();
    }

    /// Adds an empty row; bars go on.
    pub fn gap(&mut self) {
        let mut end = self.prefixes.len();
        // A bar is visible, an indent isn't: no blanks at the end of a row.
        while end > 0 && self.prefixes.get(end - 1).is_some_and(|prefix| prefix.rest.0.trim().is_empty()) {
            end -= 1;
        }
        for prefix in self.prefixes.iter().take(end) {
            self.laid.put(&prefix.rest.0, prefix.rest.1);
        }
        self.laid.end_row();
    }

    /// Wraps a flow at words.
    pub fn flow(&mut self, flow: &Flow) {
        let rows = wrap(&flow.text, self.room());
        self.put_rows(flow, &rows);
    }

    /// Returns the cells that [`Self::edged`] leaves for text.
    pub fn edged_room(&self, edge: (&str, &str)) -> usize {
        let (room, width) = (self.room(), str_width(edge.0));
        if room >= width + LEAST_ROOM { room - width } else { room }
    }

    /// Lays out code or program output: `edge` stands before each line and before what is left of a long one; `fill`
    /// puts a line into an empty flow.
    pub fn edged(&mut self, text: &str, edge: (&str, &str), edge_face: Face, mut fill: impl FnMut(&str, &mut Flow)) {
        let room = self.edged_room(edge);
        let edge = if room < self.room() { edge } else { ("", "") };
        let mut flow = Flow::default();
        for line in text.split('\n') {
            flow.clear();
            fill(line, &mut flow);
            let base = self.laid.adopt(&flow);
            let mut span = 0;
            for (index, row) in chop(line, room).into_iter().enumerate() {
                if index > 0 {
                    self.laid.go_on();
                }
                self.row(|laid| {
                    laid.put(if index == 0 { edge.0 } else { edge.1 }, edge_face);
                    flow.put_row(row, &mut span, base, laid);
                });
            }
        }
    }

    /// Adds one row that is known to fit.
    pub fn pieces<'a>(&mut self, pieces: impl IntoIterator<Item = (&'a str, Face)>) {
        self.row(|laid| {
            for (text, face) in pieces {
                laid.put(text, face);
            }
        });
    }

    /// Adds rows in which several flows stand side by side.
    pub(in crate::ui) fn columns(&mut self, cells: &[Column<'_>], separator: (&str, Face)) {
        let mut spans: Vec<(usize, usize)> = cells.iter().map(|cell| (0, self.laid.adopt(cell.flow))).collect();
        let height = cells.iter().map(|cell| cell.rows.len()).max().unwrap_or(0);
        for index in 0..height {
            self.row(|laid| {
                for (at, (cell, span)) in cells.iter().zip(&mut spans).enumerate() {
                    if at > 0 {
                        laid.put(separator.0, separator.1);
                    }
                    let row = cell.rows.get(index);
                    let free = cell.width.saturating_sub(row.map_or(0, |row| row.width));
                    let left = match cell.side {
                        Side::Left => 0,
                        Side::Centre => free / 2,
                        Side::Right => free,
                    };
                    laid.put(&" ".repeat(left), Face::default());
                    if let Some(row) = row {
                        cell.flow.put_row(*row, &mut span.0, span.1, laid);
                    }
                    if at + 1 < cells.len() {
                        laid.put(&" ".repeat(free - left), Face::default());
                    }
                }
            });
        }
    }

    /// Adds the rows of a picture.
    #[cfg(feature = "images")]
    pub(in crate::ui) fn image(&mut self, mut shown: Shown) {
        shown.first = self.laid.rows();
        for row in 0..shown.grid.as_ref().map_or(0, |grid| grid.rows) {
            self.row(|_| {});
            if row == 0 {
                shown.left = str_width(self.laid.row_text(shown.first)) as u16;
            }
        }
        self.laid.shown.push(shown);
    }

    pub fn rows(&self) -> u32 {
        self.laid.rows()
    }

    pub fn finish(mut self) -> Laid {
        self.laid.text.shrink_to_fit();
        self.laid.spans.shrink_to_fit();
        self.laid.rows.shrink_to_fit();
        self.laid
    }

    fn put_rows(&mut self, flow: &Flow, rows: &[Row]) {
        let mut span = 0;
        let base = self.laid.adopt(flow);
        let mut end = None;
        for row in rows {
            if end == Some(row.start) {
                self.laid.go_on();
            }
            end = Some(row.end);
            self.row(|laid| flow.put_row(*row, &mut span, base, laid));
        }
    }

    fn row(&mut self, fill: impl FnOnce(&mut Laid)) {
        for prefix in &mut self.prefixes {
            match prefix.first.take() {
                Some((marker, face)) => self.laid.put(&marker, face),
                None => self.laid.put(&prefix.rest.0, prefix.rest.1),
            }
        }
        fill(&mut self.laid);
        self.laid.end_row();
    }
}

/// One cell of a table's row.
#[derive(Debug)]
pub(in crate::ui) struct Column<'a> {
    pub(in crate::ui) flow: &'a Flow,
    pub(in crate::ui) rows: Vec<Row>,
    pub(in crate::ui) width: usize,
    pub(in crate::ui) side: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum Side {
    Left,
    Centre,
    Right,
}

/// Lays out one flow at a width.
pub fn lay(flow: &Flow, width: u16) -> Laid {
    let mut page = Page::new(width);
    page.flow(flow);
    page.finish()
}

/// Lays out text without any Markdown.
pub fn lay_plain(text: &str, role: Role, width: u16) -> Laid {
    lay(&Flow::of(text, role.into()), width)
}
