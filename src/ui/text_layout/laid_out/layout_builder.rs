//! Flows laid out below each other at a width.

use crate::text::width::str_width;
use crate::text::wrap::{WrappedRow, wrap, wrap_hard};
#[cfg(feature = "images")]
use crate::ui::image::ImageBlock;
use crate::ui::theme::{Role, TextStyle};

use super::{LaidOut, StyledText};

/// What stands left of the rows of a block: once in front of its first row, then on all others.
#[derive(Clone, Debug)]
struct RowPrefix {
    first: Option<(String, TextStyle)>,
    rest: (String, TextStyle),
    width: usize,
}

/// Lays flows out below each other, inside nested indents and bars.
#[derive(Debug)]
pub struct LayoutBuilder {
    laid: LaidOut,
    width: usize,
    /// Most columns of what is wrapped at words.
    prose_columns: usize,
    prefixes: Vec<RowPrefix>,
}

/// No indent or bar may leave less room than this for the text itself.
const MIN_ROOM_CELLS: usize = 6;

impl LayoutBuilder {
    pub fn new(width: u16) -> Self {
        Self {
            laid: LaidOut::default(),
            width: usize::from(width).max(1),
            prose_columns: usize::MAX,
            prefixes: Vec::new(),
        }
    }

    /// Wraps at words no later than at this column.
    pub fn limit_prose(&mut self, columns: Option<u16>) {
        self.prose_columns = columns.map_or(usize::MAX, usize::from);
    }

    /// Returns the cells that are left for text.
    pub fn room(&self) -> usize {
        let used: usize = self.prefixes.iter().map(|prefix| prefix.width).sum();
        self.width.saturating_sub(used).max(1)
    }

    /// Indents what follows, with `marker` in front of its first row. Returns false, and indents nothing, where too
    /// little room would be left; then the caller puts the marker into the text.
    pub fn indent(&mut self, marker: &str, face: TextStyle) -> bool {
        let width = str_width(marker);
        let fits = width == 0 || self.room() >= width + MIN_ROOM_CELLS;
        let (first, rest, width) =
            if fits { (Some((marker.to_owned(), face)), " ".repeat(width), width) } else { (None, String::new(), 0) };
        self.prefixes.push(RowPrefix { first, rest: (rest, TextStyle::default()), width });
        fits
    }

    /// Puts another marker of the same width in front of the first row. Returns false where it is too late for that or
    /// where it has another width.
    pub fn replace_marker(&mut self, marker: &str, face: TextStyle) -> bool {
        match self.prefixes.last_mut() {
            Some(RowPrefix { first: Some(first), width, .. }) if str_width(marker) == *width => {
                *first = (marker.to_owned(), face);
                true
            }
            _ => false,
        }
    }

    /// Puts `bar` in front of every row that follows, where there is room.
    pub fn bar(&mut self, bar: &str, face: TextStyle) {
        let width = str_width(bar);
        let (bar, width) = if self.room() >= width + MIN_ROOM_CELLS { (bar, width) } else { ("", 0) };
        self.prefixes.push(RowPrefix { first: None, rest: (bar.to_owned(), face), width });
    }

    /// Ends the innermost indent or bar. A marker without any text still gets its row.
    pub fn outdent(&mut self) {
        if self.prefixes.last().is_some_and(|prefix| prefix.first.is_some()) {
            self.push_row(|_| {});
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
            self.laid.push_text(&prefix.rest.0, prefix.rest.1);
        }
        self.laid.end_row();
    }

    /// Wraps a flow at words.
    pub fn add_wrapped(&mut self, flow: &StyledText) {
        let beyond = self.width.saturating_sub(self.prose_columns);
        let rows = wrap(&flow.text, self.room().saturating_sub(beyond).max(1));
        self.push_rows(flow, &rows);
    }

    /// Returns the cells that [`Self::add_edged`] leaves for text.
    pub fn edged_room(&self, edge: (&str, &str)) -> usize {
        let (room, width) = (self.room(), str_width(edge.0));
        if room >= width + MIN_ROOM_CELLS { room - width } else { room }
    }

    /// Lays out code or program output: `edge` stands before each line and before what is left of a long one; `fill`
    /// puts a line into an empty flow.
    pub fn add_edged(
        &mut self,
        text: &str,
        edge: (&str, &str),
        edge_face: TextStyle,
        mut fill: impl FnMut(&str, &mut StyledText),
    ) {
        let room = self.edged_room(edge);
        let edge = if room < self.room() { edge } else { ("", "") };
        let mut flow = StyledText::default();
        for line in text.split('\n') {
            flow.clear();
            fill(line, &mut flow);
            let base = self.laid.append_targets(&flow);
            let mut span = 0;
            for (index, row) in wrap_hard(line, room).into_iter().enumerate() {
                if index > 0 {
                    self.laid.mark_continued();
                }
                self.push_row(|laid| {
                    laid.push_text(if index == 0 { edge.0 } else { edge.1 }, edge_face);
                    flow.append_row(row, &mut span, base, laid);
                });
            }
        }
    }

    /// Lays out a line of code behind a gutter, which its first row and the others have in their own way; `fill` is what
    /// the rest of each row looks like. At most so many rows.
    pub fn add_guttered(
        &mut self,
        flow: &StyledText,
        first: [(&str, TextStyle); 2],
        others: [(&str, TextStyle); 2],
        fill: Option<TextStyle>,
        most: usize,
    ) {
        let gutter: usize = first.iter().map(|(text, _)| str_width(text)).sum();
        let room = self.room().saturating_sub(gutter).max(1);
        let (mut span, base) = (0, self.laid.append_targets(flow));
        for (index, row) in wrap_hard(&flow.text, room).into_iter().take(most).enumerate() {
            if index > 0 {
                self.laid.mark_continued();
            }
            self.push_row(|laid| {
                for (text, face) in if index == 0 { first } else { others } {
                    laid.push_text(text, face);
                }
                flow.append_row(row, &mut span, base, laid);
                if let Some(fill) = fill {
                    laid.push_text(&" ".repeat(room.saturating_sub(row.width)), fill);
                }
            });
        }
    }

    /// Adds one row that is known to fit.
    pub fn add_row<'a>(&mut self, pieces: impl IntoIterator<Item = (&'a str, TextStyle)>) {
        self.push_row(|laid| {
            for (text, face) in pieces {
                laid.push_text(text, face);
            }
        });
    }

    /// Adds rows in which several flows stand side by side.
    pub(in crate::ui) fn add_columns(&mut self, cells: &[TableCell<'_>], separator: (&str, TextStyle)) {
        let mut spans: Vec<(usize, usize)> =
            cells.iter().map(|cell| (0, self.laid.append_targets(cell.content))).collect();
        let height = cells.iter().map(|cell| cell.rows.len()).max().unwrap_or(0);
        for index in 0..height {
            self.push_row(|laid| {
                for (at, (cell, span)) in cells.iter().zip(&mut spans).enumerate() {
                    if at > 0 {
                        laid.push_text(separator.0, separator.1);
                    }
                    let row = cell.rows.get(index);
                    let free = cell.width.saturating_sub(row.map_or(0, |row| row.width));
                    let left = match cell.side {
                        CellAlign::Left => 0,
                        CellAlign::Center => free / 2,
                        CellAlign::Right => free,
                    };
                    laid.push_text(&" ".repeat(left), TextStyle::default());
                    if let Some(row) = row {
                        cell.content.append_row(*row, &mut span.0, span.1, laid);
                    }
                    if at + 1 < cells.len() {
                        laid.push_text(&" ".repeat(free - left), TextStyle::default());
                    }
                }
            });
        }
    }

    /// Adds the rows of a picture.
    #[cfg(feature = "images")]
    pub(in crate::ui) fn add_image(&mut self, mut shown: ImageBlock) {
        shown.first_row = self.laid.rows();
        for row in 0..shown.grid.as_ref().map_or(0, |grid| grid.rows) {
            self.push_row(|_| {});
            if row == 0 {
                shown.indent = str_width(self.laid.row_text(shown.first_row)) as u16;
            }
        }
        self.laid.images.push(shown);
    }

    pub fn rows(&self) -> u32 {
        self.laid.rows()
    }

    pub fn finish(mut self) -> LaidOut {
        self.laid.text.shrink_to_fit();
        self.laid.spans.shrink_to_fit();
        self.laid.rows.shrink_to_fit();
        self.laid
    }

    fn push_rows(&mut self, flow: &StyledText, rows: &[WrappedRow]) {
        let mut span = 0;
        let base = self.laid.append_targets(flow);
        let mut end = None;
        for row in rows {
            if end == Some(row.start) {
                self.laid.mark_continued();
            }
            end = Some(row.end);
            self.push_row(|laid| flow.append_row(*row, &mut span, base, laid));
        }
    }

    fn push_row(&mut self, fill: impl FnOnce(&mut LaidOut)) {
        for prefix in &mut self.prefixes {
            match prefix.first.take() {
                Some((marker, face)) => self.laid.push_text(&marker, face),
                None => self.laid.push_text(&prefix.rest.0, prefix.rest.1),
            }
        }
        fill(&mut self.laid);
        self.laid.end_row();
    }
}

/// One cell of a table's row.
#[derive(Debug)]
pub(in crate::ui) struct TableCell<'a> {
    pub(in crate::ui) content: &'a StyledText,
    pub(in crate::ui) rows: Vec<WrappedRow>,
    pub(in crate::ui) width: usize,
    pub(in crate::ui) side: CellAlign,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum CellAlign {
    Left,
    Center,
    Right,
}

/// Lays out one flow at a width.
pub fn lay_out(flow: &StyledText, width: u16) -> LaidOut {
    let mut page = LayoutBuilder::new(width);
    page.add_wrapped(flow);
    page.finish()
}

/// Lays out text without any Markdown.
pub fn lay_out_plain(text: &str, role: Role, width: u16) -> LaidOut {
    lay_out(&StyledText::of(text, role.into()), width)
}
