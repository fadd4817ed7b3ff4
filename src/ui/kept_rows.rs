//! Rows that need not be drawn again, since the buffer still holds them from the frame before.
//!
//! Most of a frame is what the last one was: while an answer streams, a row or two change. A row is kept where it shows
//! the same text in the same styles at the same place. The invariant: a buffer that was drawn with kept rows is the same
//! as one that was drawn whole.

use std::ops::Range;
use std::rc::Rc;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;

use super::text_layout::laid_out::LaidOut;
use super::theme::Theme;

/// What a row shows.
#[derive(Clone, Debug, Default)]
pub struct RowContent {
    /// A row of a text, at a column; none is a blank row.
    pub text: Option<(Rc<LaidOut>, u32, u16)>,
    /// The mark of a selected item stands at its left.
    pub is_marked: bool,
    /// The handle of the scroll bar stands at its right.
    pub has_bar: bool,
}

/// The rows of one area, as the buffer holds them.
#[derive(Debug, Default)]
pub struct KeptRows {
    area: Rect,
    theme: Option<Theme>,
    /// One per row of the area; none is a row that is not known.
    rows: Vec<Option<RowContent>>,
    /// One per row of the area: this frame left it as it was.
    unchanged: Vec<bool>,
    holds_last_frame: bool,
}

impl RowContent {
    fn is_same(&self, other: &Self) -> bool {
        let is_same_text = match (&self.text, &other.text) {
            (None, None) => true,
            (Some((old, old_row, old_x)), Some((new, row, x))) => {
                let is_same_row = Rc::ptr_eq(old, new) && old_row == row;
                old_x == x && (is_same_row || old.is_same_row(*old_row, new, *row))
            }
            _ => false,
        };
        is_same_text && self.is_marked == other.is_marked && self.has_bar == other.has_bar
    }
}

impl KeptRows {
    /// Begins a frame. `holds_last_frame` says whether the buffer holds what was drawn last; else it is empty.
    pub fn begin(&mut self, area: Rect, theme: Theme, holds_last_frame: bool) {
        self.holds_last_frame = holds_last_frame;
        if !holds_last_frame || self.area != area || self.theme != Some(theme) {
            self.forget();
            self.area = area;
            self.theme = Some(theme);
            self.rows.resize_with(usize::from(area.height), || None);
        }
        self.unchanged.clear();
        self.unchanged.resize(usize::from(area.height), false);
    }

    /// Makes the next frame draw every row: something was drawn above them.
    pub fn forget(&mut self) {
        self.rows.iter_mut().for_each(|row| *row = None);
        self.unchanged.fill(false);
    }

    /// Makes the next frame draw this row: it shows more than its content.
    pub fn forget_row(&mut self, y: u16) {
        let index = usize::from(y.wrapping_sub(self.area.y));
        if let (Some(row), Some(unchanged)) = (self.rows.get_mut(index), self.unchanged.get_mut(index)) {
            *row = None;
            *unchanged = false;
        }
    }

    /// Returns whether the buffer holds this row already. Otherwise clears it there, to be drawn.
    pub fn keep(&mut self, y: u16, content: RowContent, buf: &mut Buffer) -> bool {
        let index = usize::from(y.wrapping_sub(self.area.y));
        let Some(row) = self.rows.get_mut(index) else { return false };
        let is_same = row.as_ref().is_some_and(|old| old.is_same(&content));
        *row = Some(content);
        if let Some(unchanged) = self.unchanged.get_mut(index) {
            *unchanged = is_same;
        }
        if !is_same {
            self.clear(y, buf);
        }
        is_same
    }

    /// Clears a row that is to be drawn in every frame.
    pub fn renew(&mut self, y: u16, buf: &mut Buffer) {
        self.forget_row(y);
        self.clear(y, buf);
    }

    fn clear(&self, y: u16, buf: &mut Buffer) {
        if self.holds_last_frame {
            clear_cells(buf, Rect { y, height: 1, ..self.area });
        }
    }

    /// Returns which rows of a screen this frame left as they were, and in which columns.
    pub fn unchanged_rows(&self, screen_rows: u16) -> (Range<u16>, Vec<bool>) {
        let mut rows = vec![false; usize::from(screen_rows)];
        let within = rows.iter_mut().skip(usize::from(self.area.y));
        within.zip(&self.unchanged).for_each(|(row, unchanged)| *row = *unchanged);
        (self.area.left()..self.area.right(), rows)
    }
}

/// Empties cells of the buffer.
pub fn clear_cells(buf: &mut Buffer, area: Rect) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    for y in area.top()..area.bottom() {
        let start = buf.index_of(area.x, y);
        if let Some(row) = buf.content.get_mut(start..start + usize::from(area.width)) {
            row.iter_mut().for_each(Cell::reset);
        }
    }
}
