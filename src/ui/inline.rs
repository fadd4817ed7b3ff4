//! What stands below the printed text where the terminal keeps the text itself: the end of what is being written, and the
//! parts around the composer. No wider than need be, for the terminal breaks rows anew when its window changes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::layout::{Layout, Place};
use super::pane::PaneScreen;
use super::panes::PanePart;
use super::panes::transcript::{LooseRow, PrintedPlace};
use super::{Ui, draw};
use crate::store::Store;

/// Rows for a list of completions.
const POPUP_ROWS: u16 = 8;
/// What is kept of a rule.
const RULE_COLUMNS: u16 = 6;

/// A frame of the live part.
pub struct LivePart {
    pub buffer: Buffer,
    /// Where the cursor belongs.
    pub cursor: Option<(u16, u16)>,
    /// The first rows are of a text that is not finished.
    pub has_tail: bool,
}

/// Draws the live part for a terminal of that size.
pub fn draw_live(store: &Store, ui: &mut Ui, printed: PrintedPlace, (columns, rows): (u16, u16)) -> LivePart {
    let room = rows.saturating_sub(1).max(1);
    if store.focus.top().is_none() {
        ui.panes.composer.update_completion(store);
    }
    let popup = if ui.panes.composer.completion.is_open() { POPUP_ROWS } else { 0 };
    let below = (fixed_rows(store, ui, columns, rows) + popup).clamp(1, room);
    // However narrow the window becomes, its first row has to stay on the screen.
    let most = (rows / 3).saturating_sub(below).max(1).min(room - below);
    let tail = ui.panes.transcript.unfinished_rows(store, columns, printed, usize::from(most));
    let tail_rows = tail.len() as u16;
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, tail_rows + below));
    draw_rows(&tail, ui, &mut buffer);
    let part = Rect { y: tail_rows, height: below, ..buffer.area };
    ui.inline_rows = Some(rows);
    let cursor = draw(store, ui, part, &mut buffer);
    ui.inline_rows = None;
    for y in tail_rows..buffer.area.height {
        shorten_rule(y, &mut buffer);
    }
    LivePart { buffer, cursor, has_tail: tail_rows > 0 }
}

/// Draws rows from the top of a page.
pub fn draw_rows(rows: &[LooseRow], ui: &Ui, page: &mut Buffer) {
    for (y, row) in (0..).zip(rows) {
        row.draw(y, ui.theme, page);
    }
}

/// Returns the rows of everything but the text.
fn fixed_rows(store: &Store, ui: &mut Ui, columns: u16, rows: u16) -> u16 {
    let nowhere = Layout::default();
    let Ui { panes, theme, key_hints, .. } = ui;
    let area = Rect::new(0, 0, columns, rows);
    let screen = PaneScreen { store, key_hints, theme: *theme, area, layout: &nowhere };
    let places = PanePart::ALL.iter().map(|part| match panes.get_mut(*part).place(&screen) {
        Place::Rows(rows) | Place::TopRows(rows) => rows,
        Place::Side(_) | Place::Main => 0,
    });
    places.sum()
}

/// Ends a row that goes on as a rule soon after its words.
fn shorten_rule(y: u16, buffer: &mut Buffer) {
    let is_rule = |x: u16, buffer: &Buffer| buffer.cell((x, y)).is_some_and(|cell| cell.symbol() == "─");
    let width = buffer.area.width;
    let from = (0..width).rev().find(|x| !is_rule(*x, buffer)).map_or(0, |last| last + 1);
    for x in from.saturating_add(RULE_COLUMNS)..width {
        if let Some(cell) = buffer.cell_mut((x, y)) {
            cell.reset();
        }
    }
}
