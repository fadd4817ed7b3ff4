//! The chat in the terminal's own text: what is finished is printed once and belongs to the terminal, and a small live part
//! below it is wiped and drawn again.
//!
//! ```text
//! finished rows …            the terminal's, up into its scrollback
//! ┌ the live part: its first row is where a frame begins
//! │ what is being written
//! │ composer, status         each row shorter than the window, and with nothing that wraps
//! └
//! ```
//!
//! A window that changes has its rows broken anew before anybody hears of it, so nothing here relies on where a row is:
//! a frame begins at the cursor, which rests on the first row of the live part while text comes, and everything below is
//! erased. Only where the cursor stands in the composer are the rows above it counted, as the terminal has broken them.
//!
//! Not here: which rows are finished (`ui/panes/transcript/printed.rs`). Invariants: a finished row is written once; what is
//! erased is only ever below the first row of the live part; the alternate screen is used for what fills the screen only.

use std::io::{self, Write};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::screen::write_loose_row;
use crate::store::Store;
use crate::store::overlay::OverlayExtent;
use crate::store::pane::Pane;
use crate::ui::Ui;
use crate::ui::inline::{LivePart, draw_live, draw_rows};
use crate::ui::panes::transcript::PrintedPlace;

const BEGIN_FRAME: &[u8] = b"\x1b[?2026h\x1b[?25l";
const END_FRAME: &[u8] = b"\x1b[?2026l";
const SHOW_CURSOR: &[u8] = b"\x1b[?25h";
const ERASE_BELOW: &[u8] = b"\r\x1b[J";
const ERASE_REST_OF_ROW: &[u8] = b"\x1b[K";
/// A row of the live part never goes on in the next.
const WRAP_OFF: &[u8] = b"\x1b[?7l";
const WRAP_ON: &[u8] = b"\x1b[?7h";
const ENTER_FULL: &[u8] = b"\x1b[?1049h\x1b[2J";
const LEAVE_FULL: &[u8] = b"\x1b[?1049l";

/// What the terminal shows below the printed text.
pub(super) struct InlineScreen {
    columns: u16,
    rows: u16,
    /// The terminal breaks rows anew when its window becomes narrower; others cut them.
    reflows: bool,
    printed: PrintedPlace,
    /// The cells of each row of the live part, as it was drawn.
    widths: Vec<u16>,
    shown: Option<Buffer>,
    /// Where the cursor rests in it.
    cursor: (u16, u16),
    /// The alternate screen shows something that fills it.
    pub(super) is_full: bool,
}

impl InlineScreen {
    pub(super) fn new((columns, rows): (u16, u16), reflows: bool) -> Self {
        Self {
            columns,
            rows,
            reflows,
            printed: PrintedPlace::default(),
            widths: Vec::new(),
            shown: None,
            cursor: (0, 0),
            is_full: false,
        }
    }

    pub(super) fn resize(&mut self, columns: u16, rows: u16) {
        (self.columns, self.rows) = (columns, rows);
        self.invalidate();
    }

    /// Draws the whole live part again.
    pub(super) fn invalidate(&mut self) {
        self.shown = None;
    }

    /// The terminal was given away: what it shows is none of ours any more.
    pub(super) fn forget(&mut self) {
        self.shown = None;
        self.widths.clear();
        self.cursor = (0, 0);
    }

    /// Returns how far the session was printed.
    pub(super) fn place(&self) -> PrintedPlace {
        self.printed
    }

    /// Another session is shown, which was printed so far.
    pub(super) fn set_place(&mut self, place: PrintedPlace) {
        self.printed = place;
        self.invalidate();
    }

    /// What an earlier run said was read: only its end is printed.
    pub(super) fn on_backlog(&mut self, store: &Store) {
        self.printed.skip_past(store);
    }

    /// Draws a frame.
    pub(super) fn draw(&mut self, store: &Store, ui: &mut Ui, out: &mut impl Write) -> io::Result<()> {
        let finished = ui.panes.transcript.take_finished(store, self.columns, &mut self.printed);
        let LivePart { mut buffer, cursor, has_tail } = draw_live(store, ui, self.printed, (self.columns, self.rows));
        let cursor = cursor.filter(|_| !has_tail || !ui.panes.composer.is_empty());
        let mut bytes = BEGIN_FRAME.to_vec();
        let frame = bytes.len();
        let same_shape = self.shown.as_ref().is_some_and(|shown| shown.area == buffer.area);
        if finished.is_empty() && same_shape {
            self.write_changed_rows(&mut buffer, &mut bytes);
        } else {
            self.go_to_first_row(&mut bytes);
            bytes.extend_from_slice(ERASE_BELOW);
            self.widths.clear();
            let height = u16::try_from(finished.len()).unwrap_or(u16::MAX);
            let mut page = Buffer::empty(Rect::new(0, 0, self.columns, height));
            draw_rows(&finished, ui, &mut page);
            for row in rows_of(&mut page) {
                write_loose_row(row, None, &mut bytes);
                bytes.extend_from_slice(b"\r\n");
            }
            // What is finished is, whatever becomes of the window. The live part is counted back over from its end, so
            // it goes out as one piece: between two the window may change, and with it what a row is.
            if !finished.is_empty() {
                out.write_all(&bytes)?;
                out.flush()?;
                bytes.clear();
            }
            self.write_live_rows(&mut buffer, &mut bytes);
        }
        self.rest_cursor(cursor, &mut bytes);
        let is_shown = cursor.is_some();
        if bytes.len() == frame && self.shown.is_some() {
            return Ok(());
        }
        bytes.extend_from_slice(END_FRAME);
        if is_shown {
            bytes.extend_from_slice(SHOW_CURSOR);
        }
        self.shown = Some(buffer);
        out.write_all(&bytes)?;
        out.flush()
    }

    /// Takes the live part away and leaves the cursor on a row of its own.
    pub(super) fn wipe(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut bytes = Vec::new();
        if self.is_full {
            self.is_full = false;
            bytes.extend_from_slice(LEAVE_FULL);
        } else {
            self.go_to_first_row(&mut bytes);
            bytes.extend_from_slice(ERASE_BELOW);
        }
        bytes.extend_from_slice(SHOW_CURSOR);
        self.forget();
        out.write_all(&bytes)?;
        out.flush()
    }

    /// Goes over to the alternate screen, or back.
    pub(super) fn set_full(&mut self, is_full: bool, out: &mut impl Write) -> io::Result<()> {
        if self.is_full == is_full {
            return Ok(());
        }
        if is_full {
            self.wipe(out)?;
            out.write_all(ENTER_FULL)?;
        } else {
            out.write_all(LEAVE_FULL)?;
            self.forget();
        }
        self.is_full = is_full;
        out.flush()
    }

    fn write_live_rows(&mut self, buffer: &mut Buffer, bytes: &mut Vec<u8>) {
        self.widths.clear();
        bytes.extend_from_slice(WRAP_OFF);
        for (nth, row) in rows_of(buffer).enumerate() {
            if nth > 0 {
                bytes.extend_from_slice(b"\r\n");
            }
            let width = write_loose_row(row, None, bytes);
            self.widths.push(width);
        }
        bytes.extend_from_slice(WRAP_ON);
        self.cursor = (self.widths.last().copied().unwrap_or(0), (self.widths.len() as u16).saturating_sub(1));
    }

    /// Writes the rows that differ from those that are shown.
    fn write_changed_rows(&mut self, buffer: &mut Buffer, bytes: &mut Vec<u8>) {
        let Some(shown) = self.shown.take() else { return };
        let columns = usize::from(self.columns).max(1);
        let changed: Vec<usize> = (shown.content.chunks(columns).zip(buffer.content.chunks(columns)).enumerate())
            .filter(|(_, (old, new))| old != new)
            .map(|(nth, _)| nth)
            .collect();
        for nth in changed {
            move_rows(self.cursor.1, nth as u16, bytes);
            bytes.push(b'\r');
            bytes.extend_from_slice(WRAP_OFF);
            let Some(row) = rows_of(buffer).nth(nth) else { continue };
            let width = write_loose_row(row, None, bytes);
            if usize::from(width) < columns {
                bytes.extend_from_slice(ERASE_REST_OF_ROW);
            }
            bytes.extend_from_slice(WRAP_ON);
            if let Some(known) = self.widths.get_mut(nth) {
                *known = width;
            }
            self.cursor = (width, nth as u16);
        }
        self.shown = Some(shown);
    }

    /// Puts the cursor where it belongs; while text comes and nothing is typed, that is the first row.
    fn rest_cursor(&mut self, wanted: Option<(u16, u16)>, bytes: &mut Vec<u8>) {
        let wanted = wanted.unwrap_or((0, 0));
        if wanted == self.cursor {
            return;
        }
        move_rows(self.cursor.1, wanted.1, bytes);
        bytes.push(b'\r');
        if wanted.0 > 0 {
            bytes.extend_from_slice(format!("\x1b[{}C", wanted.0).as_bytes());
        }
        self.cursor = wanted;
    }

    /// Goes up to the first row of the live part, over what the window makes of the rows above the cursor.
    fn go_to_first_row(&mut self, bytes: &mut Vec<u8>) {
        let columns = if self.reflows { self.columns.max(1) } else { u16::MAX };
        let (x, y) = self.cursor;
        let above = self.widths.iter().take(usize::from(y)).map(|width| width.div_ceil(columns).max(1));
        let rows = above.sum::<u16>() + x / columns;
        move_rows(rows, 0, bytes);
        self.cursor = (0, 0);
    }
}

/// Returns whether what is to be seen takes the whole screen.
pub(super) fn wants_full_screen(store: &Store, ui: &Ui) -> bool {
    matches!(store.focus.extent(), Some(OverlayExtent::Box | OverlayExtent::InputRow))
        || store.focus.is_debug_shown
        || store.focus.pane != Pane::Composer
        || !ui.panes.transcript.is_following()
}

fn move_rows(from: u16, to: u16, bytes: &mut Vec<u8>) {
    match (from.checked_sub(to), to.checked_sub(from)) {
        (Some(0), _) => {}
        (Some(up), _) => bytes.extend_from_slice(format!("\x1b[{up}A").as_bytes()),
        (None, Some(down)) => bytes.extend_from_slice(format!("\x1b[{down}B").as_bytes()),
        (None, None) => {}
    }
}

fn rows_of(buffer: &mut Buffer) -> impl Iterator<Item = &mut [ratatui::buffer::Cell]> {
    let columns = usize::from(buffer.area.width).max(1);
    buffer.content.chunks_mut(columns)
}

#[cfg(test)]
mod tests;
