//! A small terminal over ratatui's buffer: what changed since the last frame becomes bytes, and nothing else does.
//!
//! Not here: raw mode and signals (`term.rs`). Invariants: a frame is one write, inside a synchronised update unless it is
//! so small that no terminal sees half of it; a frame that changes nothing writes nothing; rows that did not change are
//! compared and no more, and those that only moved are moved by the terminal where that is cheaper.

mod ansi_writer;
mod shift;
mod widths;

use std::io;
use std::io::Write;
use std::ops::Range;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;

use self::ansi_writer::{AnsiWriter, rows_look_equal, symbol_cells};
use self::shift::RowShift;
use crate::ui::text_layout::ScreenLinks;

const BEGIN_SYNC: &[u8] = b"\x1b[?2026h";
const END_SYNC: &[u8] = b"\x1b[?2026l";
const HIDE_CURSOR: &[u8] = b"\x1b[?25l";
const SHOW_CURSOR: &[u8] = b"\x1b[?25h";
/// With all rows again in the part that scrolls: nobody knows where a write broke off.
const CLEAR_SCREEN: &[u8] = b"\x1b[m\x1b[r\x1b[2J";
/// A frame up to this size comes out of a pty in one piece: the kernel takes 2 KiB at once.
const MAX_UNSYNCED_BYTES: usize = 1024;
/// Most characters that one cell sends.
const MAX_CELL_CHARS: usize = 24;

/// Work done so far, for tests and the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScreenCounters {
    /// Frames painted, and those of them that wrote anything.
    pub frames: u64,
    pub written: u64,
    /// Frames that had the terminal move rows.
    pub shifts: u64,
    pub cells: u64,
    pub bytes: u64,
}

/// A painted frame.
#[derive(Default)]
pub struct Painted<'l> {
    /// Where the cursor belongs.
    pub cursor: Option<(u16, u16)>,
    /// Where links go.
    pub links: Option<&'l ScreenLinks>,
    /// In these columns the rows that are marked were left as the last frame made them.
    pub unchanged: (Range<u16>, Vec<bool>),
    /// Where anything was drawn over the last frame; none is everywhere.
    pub drawn: Option<Rect>,
}

/// Two frames and where they go.
pub struct Screen<W: Write> {
    out: W,
    /// What the terminal shows.
    front: Buffer,
    /// What was painted last.
    back: Buffer,
    /// Something was painted since the size changed.
    is_painted: bool,
    cursor: Option<(u16, u16)>,
    /// The terminal may show something else: clear before the next frame.
    needs_clear: bool,
    writer: AnsiWriter,
    /// The rows that differ between the two; kept for its room.
    changed: Vec<bool>,
    /// What a row is made of that the terminal made blank.
    blank: Vec<Cell>,
    pub counters: ScreenCounters,
}

impl<W: Write> Screen<W> {
    /// Takes the columns and rows of a cleared terminal whose cursor is hidden.
    pub fn new(out: W, columns: u16, rows: u16) -> Self {
        let area = Rect::new(0, 0, columns, rows);
        Self {
            out,
            front: Buffer::empty(area),
            back: Buffer::empty(area),
            is_painted: false,
            cursor: None,
            needs_clear: false,
            writer: AnsiWriter::new(columns),
            changed: Vec::new(),
            blank: vec![Cell::EMPTY; usize::from(columns)],
            counters: ScreenCounters::default(),
        }
    }

    pub fn area(&self) -> Rect {
        self.back.area
    }

    /// Returns where bytes go out as they are given, each time at once: a line is not sent before the next.
    pub(super) fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Takes the new size; what the terminal made of the old frame is not worth knowing.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let area = Rect::new(0, 0, columns, rows);
        if area != self.area() {
            self.front = Buffer::empty(area);
            self.back = Buffer::empty(area);
            self.is_painted = false;
            self.writer = AnsiWriter::new(columns);
            self.blank = vec![Cell::EMPTY; usize::from(columns)];
            self.needs_clear = true;
        }
    }

    /// Makes the next frame write every cell.
    pub fn invalidate(&mut self) {
        self.needs_clear = true;
    }

    /// Makes the next frame begin with an empty buffer: somebody else paints it.
    pub fn begin_anew(&mut self) {
        self.back.reset();
        self.is_painted = false;
    }

    /// Paints a frame without links.
    pub fn draw(&mut self, paint: impl FnOnce(Rect, &mut Buffer) -> Option<(u16, u16)>) -> io::Result<()> {
        self.draw_linked(|area, buf| Painted { cursor: paint(area, buf), ..Painted::default() })
    }

    /// Paints a frame into an empty buffer.
    pub fn draw_linked<'l>(&mut self, paint: impl FnOnce(Rect, &mut Buffer) -> Painted<'l>) -> io::Result<()> {
        self.redraw(|area, buf, is_last_frame| {
            if is_last_frame {
                buf.reset();
            }
            paint(area, buf)
        })
    }

    /// Paints a frame: `paint` gets a buffer and whether that holds what was painted last; else it is empty.
    pub fn redraw<'l>(&mut self, paint: impl FnOnce(Rect, &mut Buffer, bool) -> Painted<'l>) -> io::Result<()> {
        let area = self.area();
        let Painted { cursor, links, unchanged, drawn } = paint(area, &mut self.back, self.is_painted);
        self.is_painted = true;
        let cursor = cursor.filter(|(x, y)| area.contains((*x, *y).into()));
        self.counters.frames += 1;

        // The brackets come first, and are left out if it turns out that nobody needs them.
        let was_shown = self.cursor.is_some();
        self.writer.bytes.clear();
        self.writer.bytes.extend_from_slice(BEGIN_SYNC);
        if was_shown || self.needs_clear {
            self.writer.bytes.extend_from_slice(HIDE_CURSOR);
        }
        let brackets = self.writer.bytes.len();
        if self.needs_clear {
            self.writer.bytes.extend_from_slice(CLEAR_SCREEN);
            self.writer.forget_cursor();
            self.front.reset();
        }
        let before = self.writer.cells;
        let shifted = self.write_changed_rows(links, &unchanged, drawn);
        self.writer.reset_style();
        if self.writer.bytes.len() == brackets && cursor == self.cursor {
            return Ok(());
        }
        let whole = self.needs_clear || shifted || self.writer.bytes.len() - brackets > MAX_UNSYNCED_BYTES;
        if let Some((x, y)) = cursor {
            self.writer.move_to(x, y);
        }
        match cursor {
            Some(_) if whole || !was_shown => self.writer.bytes.extend_from_slice(SHOW_CURSOR),
            None if !whole && was_shown => self.writer.bytes.extend_from_slice(HIDE_CURSOR),
            _ => {}
        }
        if whole {
            self.writer.bytes.extend_from_slice(END_SYNC);
        }
        let bytes = if whole { &self.writer.bytes[..] } else { &self.writer.bytes[brackets..] };
        self.counters.written += 1;
        self.counters.shifts += u64::from(shifted);
        self.counters.cells += self.writer.cells - before;
        self.counters.bytes += bytes.len() as u64;

        // Until the write has succeeded nobody knows what the terminal shows.
        self.needs_clear = true;
        self.out.write_all(bytes)?;
        self.out.flush()?;
        self.needs_clear = false;
        self.cursor = cursor;
        let width = usize::from(area.width).max(1);
        let rows = self.front.content.chunks_exact_mut(width).zip(self.back.content.chunks_exact(width));
        for ((front, back), changed) in rows.zip(&self.changed) {
            if *changed {
                front.clone_from_slice(back);
            }
        }
        Ok(())
    }

    /// Puts what changed into the buffer; returns whether the terminal moved rows. O(cells) to compare, O(changed rows) to
    /// work out.
    fn write_changed_rows(
        &mut self,
        links: Option<&ScreenLinks>,
        (columns, unchanged): &(Range<u16>, Vec<bool>),
        drawn: Option<Rect>,
    ) -> bool {
        let width = usize::from(self.back.area.width);
        if width == 0 {
            return false;
        }
        self.changed.clear();
        let rows = self.front.content.chunks_exact(width).zip(self.back.content.chunks_exact_mut(width));
        let columns = usize::from(columns.start).min(width)..usize::from(columns.end).min(width);
        let is_known = |y: usize| !self.needs_clear && unchanged.get(y).is_some_and(|unchanged| *unchanged);
        let drawn = drawn.filter(|_| !self.needs_clear);
        let is_untouched =
            |y: usize| drawn.is_some_and(|drawn| is_known(y) || !(drawn.top()..drawn.bottom()).contains(&(y as u16)));
        self.changed.extend(rows.enumerate().map(|(y, (old, new))| {
            let is_same = if is_untouched(y) {
                true
            } else if is_known(y) {
                rows_look_equal(&old[..columns.start], &new[..columns.start])
                    && rows_look_equal(&old[columns.end..], &new[columns.end..])
            } else {
                rows_look_equal(old, new)
            };
            let changed = !is_same;
            if changed {
                sanitize_row(new);
            }
            changed
        }));
        let shift = if self.needs_clear { None } else { RowShift::find(&self.front, &self.back, &self.changed) };
        if let Some(shift) = shift {
            self.writer.scroll_rows(shift.band, shift.rows);
        }
        for (y, new) in self.back.content.chunks_exact(width).enumerate() {
            let source = shift.map_or(Some(y), |shift| shift.source(y));
            if source == Some(y) && !self.changed[y] {
                continue;
            }
            let old = source.map_or(&self.blank[..], |y| &self.front.content[y * width..(y + 1) * width]);
            if !rows_look_equal(old, new) {
                self.writer.write_row(y as u16, old, new, links);
            }
        }
        shift.is_some()
    }

    /// Writes what is no cell, such as a question to the terminal.
    pub fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.forget_cursor();
        self.out.write_all(bytes)?;
        self.out.flush()
    }
}

/// Writes a row of an empty page from where the cursor stands, without the blanks at its end; returns its cells.
pub(super) fn write_loose_row(row: &mut [Cell], links: Option<&ScreenLinks>, out: &mut Vec<u8>) -> u16 {
    sanitize_row(row);
    ansi_writer::write_loose_row(row, links, out)
}

/// Takes out of the cells of a row what would act beyond them, though no text that was cleaned should hold more than a
/// joiner.
fn sanitize_row(row: &mut [Cell]) {
    let width = row.len();
    for (x, cell) in row.iter_mut().enumerate() {
        let symbol = cell.symbol();
        if let [b' '..=b'~'] = symbol.as_bytes() {
            continue;
        }
        // What takes no cell would go to the one before, and what takes more than are left to the next row.
        if symbol.contains(char::is_control) || !(1..=width - x).contains(&symbol_cells(symbol)) {
            cell.set_symbol(" ");
            continue;
        }
        // A joiner at the end would join whatever is written next, wherever that is. And a thousand accents on one
        // letter are no letter.
        let end = symbol.char_indices().nth(MAX_CELL_CHARS).map_or(symbol.len(), |(at, _)| at);
        let safe = symbol[..end].trim_end_matches('\u{200d}');
        if safe.len() < symbol.len() {
            let safe = safe.to_owned();
            cell.set_symbol(&safe);
        }
    }
}

#[cfg(test)]
mod tests;
