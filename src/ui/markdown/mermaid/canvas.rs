//! A grid of cells: lines that join where they meet, and text over them.

use super::DrawnRow;
use crate::text::width::graphemes;
use crate::ui::theme::{Role, TextStyle};

/// Cells of the largest drawing, and its rows.
const MAX_CELLS: usize = 60_000;
const MAX_ROWS: usize = 200;

/// The ways that a line leaves a cell.
pub(super) const LINE_UP: u8 = 1;
pub(super) const LINE_RIGHT: u8 = 2;
pub(super) const LINE_DOWN: u8 = 4;
pub(super) const LINE_LEFT: u8 = 8;

/// What joins in a cell, by the ways that lines leave it.
const JOINTS: [&str; 16] = [" ", "╵", "╶", "└", "╷", "│", "┌", "├", "╴", "┘", "─", "┴", "┐", "┤", "┬", "┼"];

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum CanvasCell {
    #[default]
    Blank,
    Line(u8),
    /// A line without joints, such as a dotted one.
    Dash(&'static str),
    /// What stands in the cell, and how it looks.
    Sign(String, Role),
    /// The rest of a wide sign.
    Covered,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Canvas {
    width: usize,
    cells: Vec<CanvasCell>,
}

impl Canvas {
    /// None if it would be larger than anybody looks at.
    pub(super) fn new(width: usize, height: usize) -> Option<Self> {
        let cells =
            width.checked_mul(height).filter(|cells| *cells <= MAX_CELLS && height <= MAX_ROWS && *cells > 0)?;
        Some(Self { width, cells: vec![CanvasCell::Blank; cells] })
    }

    fn cell(&mut self, x: usize, y: usize) -> Option<&mut CanvasCell> {
        if x >= self.width { None } else { self.cells.get_mut(y * self.width + x) }
    }

    /// Lets a line leave a cell in these ways, besides those in which one does already.
    pub(super) fn join(&mut self, x: usize, y: usize, ways: u8) {
        if let Some(cell) = self.cell(x, y) {
            match cell {
                CanvasCell::Line(known) => *known |= ways,
                CanvasCell::Dash(dash) => {
                    let known = if *dash == DOTTED.1 { LINE_UP | LINE_DOWN } else { LINE_LEFT | LINE_RIGHT };
                    *cell = CanvasCell::Line(known | ways);
                }
                CanvasCell::Blank => *cell = CanvasCell::Line(ways),
                CanvasCell::Sign(..) | CanvasCell::Covered => {}
            }
        }
    }

    /// Draws a line across, both ends included.
    pub(super) fn across(&mut self, y: usize, from: usize, to: usize) {
        let (from, to) = (from.min(to), from.max(to));
        for x in from..=to {
            let ways = if x > from { LINE_LEFT } else { 0 } | if x < to { LINE_RIGHT } else { 0 };
            self.join(x, y, ways);
        }
    }

    /// Draws a line down, both ends included.
    pub(super) fn down(&mut self, x: usize, from: usize, to: usize) {
        let (from, to) = (from.min(to), from.max(to));
        for y in from..=to {
            let ways = if y > from { LINE_UP } else { 0 } | if y < to { LINE_DOWN } else { 0 };
            self.join(x, y, ways);
        }
    }

    /// Makes a piece of a line dotted where nothing joins it.
    pub(super) fn dot(&mut self, x: usize, y: usize) {
        if let Some(cell) = self.cell(x, y) {
            match cell {
                CanvasCell::Line(ways) if *ways == LINE_LEFT | LINE_RIGHT => *cell = CanvasCell::Dash(DOTTED.0),
                CanvasCell::Line(ways) if *ways == LINE_UP | LINE_DOWN => *cell = CanvasCell::Dash(DOTTED.1),
                _ => {}
            }
        }
    }

    /// Draws a frame, corners included; `corners` are those of the top and of the bottom.
    pub(super) fn frame(&mut self, at: (usize, usize), size: (usize, usize), corners: [&str; 4], role: Role) {
        let ((left, top), (right, bottom)) = (at, (at.0 + size.0 - 1, at.1 + size.1 - 1));
        for y in top..=bottom {
            for x in left..=right {
                let sign = match (x == left || x == right, y == top || y == bottom) {
                    (true, true) => corners[usize::from(y == bottom) * 2 + usize::from(x == right)],
                    (false, true) => "─",
                    (true, false) => "│",
                    (false, false) => " ",
                };
                self.sign(x, y, sign, role);
            }
        }
    }

    /// Puts a sign of one cell over whatever is there.
    pub(super) fn sign(&mut self, x: usize, y: usize, sign: &str, role: Role) {
        if let Some(cell) = self.cell(x, y) {
            *cell = CanvasCell::Sign(sign.to_owned(), role);
        }
    }

    /// Writes a clean text from there on; what has no room is left out.
    pub(super) fn write(&mut self, mut x: usize, y: usize, text: &str, role: Role) {
        for grapheme in graphemes(text) {
            let (grapheme, width) = (grapheme.text, grapheme.width);
            if width == 0 || x + width > self.width {
                continue;
            }
            self.sign(x, y, grapheme, role);
            for covered in x + 1..x + width {
                if let Some(cell) = self.cell(covered, y) {
                    *cell = CanvasCell::Covered;
                }
            }
            x += width;
        }
    }

    /// Returns the rows without the blanks at their ends.
    pub(super) fn into_rows(self) -> Vec<DrawnRow> {
        let mut rows: Vec<DrawnRow> = self.cells.chunks(self.width.max(1)).map(row).collect();
        while rows.last().is_some_and(Vec::is_empty) {
            rows.pop();
        }
        rows
    }
}

/// Dotted lines, across and down.
const DOTTED: (&str, &str) = ("┄", "┆");

fn row(cells: &[CanvasCell]) -> DrawnRow {
    let end = cells.iter().rposition(|cell| *cell != CanvasCell::Blank).map_or(0, |last| last + 1);
    let mut pieces: DrawnRow = Vec::new();
    for cell in &cells[..end] {
        let (text, role) = match cell {
            CanvasCell::Blank => (" ", Role::Border),
            CanvasCell::Line(ways) => (JOINTS[usize::from(*ways & 15)], Role::Border),
            CanvasCell::Dash(dash) => (*dash, Role::Border),
            CanvasCell::Sign(sign, role) => (sign.as_str(), *role),
            CanvasCell::Covered => continue,
        };
        match pieces.last_mut() {
            Some((piece, style)) if *style == TextStyle::new(role) => piece.push_str(text),
            _ => pieces.push((text.to_owned(), TextStyle::new(role))),
        }
    }
    pieces
}
