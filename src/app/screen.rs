//! A small terminal over ratatui's buffer: what changed since the last frame becomes bytes, and nothing else does.
//!
//! Not here: raw mode and signals (`term.rs`). Invariants: a frame is one write, inside a synchronised update unless it is
//! so small that no terminal sees half of it; a frame that changes nothing writes nothing; rows that did not change are
//! compared and no more, and those that only moved are moved by the terminal where that is cheaper.

mod pen;
mod shift;
mod widths;

use std::io;
use std::io::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;

use self::pen::{Pen, alike, cells};
use self::shift::Shift;
use crate::ui::lines::Links;

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";
const HIDE: &[u8] = b"\x1b[?25l";
const SHOW: &[u8] = b"\x1b[?25h";
/// With all rows again in the part that scrolls: nobody knows where a write broke off.
const CLEAR: &[u8] = b"\x1b[m\x1b[r\x1b[2J";
/// A frame up to this size comes out of a pty in one piece: the kernel takes 2 KiB at once.
const ONE_PIECE: usize = 1024;
/// Most characters that one cell sends.
const LONGEST: usize = 24;

/// Work done so far, for tests and the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames painted, and those of them that wrote anything.
    pub frames: u64,
    pub written: u64,
    /// Frames that had the terminal move rows.
    pub shifts: u64,
    pub cells: u64,
    pub bytes: u64,
}

/// Two frames and where they go.
pub struct Screen<W: Write> {
    out: W,
    /// What the terminal shows.
    front: Buffer,
    back: Buffer,
    cursor: Option<(u16, u16)>,
    /// The terminal may show something else: clear before the next frame.
    stale: bool,
    pen: Pen,
    /// The rows that differ between the two; kept for its room.
    changed: Vec<bool>,
    /// What a row is made of that the terminal made blank.
    blank: Vec<Cell>,
    pub counts: Counts,
}

impl<W: Write> Screen<W> {
    /// Takes the columns and rows of a cleared terminal whose cursor is hidden.
    pub fn new(out: W, columns: u16, rows: u16) -> Self {
        let area = Rect::new(0, 0, columns, rows);
        Self {
            out,
            front: Buffer::empty(area),
            back: Buffer::empty(area),
            cursor: None,
            stale: false,
            pen: Pen::new(columns),
            changed: Vec::new(),
            blank: vec![Cell::EMPTY; usize::from(columns)],
            counts: Counts::default(),
        }
    }

    pub fn area(&self) -> Rect {
        self.back.area
    }

    /// Takes the new size; what the terminal made of the old frame is not worth knowing.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let area = Rect::new(0, 0, columns, rows);
        if area != self.area() {
            self.front = Buffer::empty(area);
            self.back = Buffer::empty(area);
            self.pen = Pen::new(columns);
            self.blank = vec![Cell::EMPTY; usize::from(columns)];
            self.stale = true;
        }
    }

    /// Makes the next frame write every cell.
    pub fn invalidate(&mut self) {
        self.stale = true;
    }

    /// Paints a frame without links.
    pub fn draw(&mut self, paint: impl FnOnce(Rect, &mut Buffer) -> Option<(u16, u16)>) -> io::Result<()> {
        self.draw_linked(|area, buf| (paint(area, buf), None))
    }

    /// Paints a frame: `paint` gets an empty buffer and returns where the cursor belongs and where links go.
    pub fn draw_linked<'l>(
        &mut self,
        paint: impl FnOnce(Rect, &mut Buffer) -> (Option<(u16, u16)>, Option<&'l Links>),
    ) -> io::Result<()> {
        let area = self.area();
        self.back.reset();
        let (cursor, links) = paint(area, &mut self.back);
        let cursor = cursor.filter(|(x, y)| area.contains((*x, *y).into()));
        self.counts.frames += 1;

        // The brackets come first, and are left out if it turns out that nobody needs them.
        let was_shown = self.cursor.is_some();
        self.pen.bytes.clear();
        self.pen.bytes.extend_from_slice(BEGIN);
        if was_shown || self.stale {
            self.pen.bytes.extend_from_slice(HIDE);
        }
        let brackets = self.pen.bytes.len();
        if self.stale {
            self.pen.bytes.extend_from_slice(CLEAR);
            self.pen.lose();
            self.front.reset();
        }
        let before = self.pen.cells;
        let shifted = self.rows(links);
        self.pen.plain();
        if self.pen.bytes.len() == brackets && cursor == self.cursor {
            return Ok(());
        }
        let whole = self.stale || shifted || self.pen.bytes.len() - brackets > ONE_PIECE;
        if let Some((x, y)) = cursor {
            self.pen.go(x, y);
        }
        match cursor {
            Some(_) if whole || !was_shown => self.pen.bytes.extend_from_slice(SHOW),
            None if !whole && was_shown => self.pen.bytes.extend_from_slice(HIDE),
            _ => {}
        }
        if whole {
            self.pen.bytes.extend_from_slice(END);
        }
        let bytes = if whole { &self.pen.bytes[..] } else { &self.pen.bytes[brackets..] };
        self.counts.written += 1;
        self.counts.shifts += u64::from(shifted);
        self.counts.cells += self.pen.cells - before;
        self.counts.bytes += bytes.len() as u64;

        // Until the write has succeeded nobody knows what the terminal shows.
        self.stale = true;
        self.out.write_all(bytes)?;
        self.out.flush()?;
        self.stale = false;
        self.cursor = cursor;
        std::mem::swap(&mut self.front, &mut self.back);
        Ok(())
    }

    /// Puts what changed into the buffer; returns whether the terminal moved rows. O(cells) to compare, O(changed rows) to
    /// work out.
    fn rows(&mut self, links: Option<&Links>) -> bool {
        let width = usize::from(self.back.area.width);
        if width == 0 {
            return false;
        }
        self.changed.clear();
        let rows = self.front.content.chunks_exact(width).zip(self.back.content.chunks_exact_mut(width));
        self.changed.extend(rows.map(|(old, new)| {
            let changed = !alike(old, new);
            if changed {
                harden(new);
            }
            changed
        }));
        let shift = if self.stale { None } else { Shift::find(&self.front, &self.back, &self.changed) };
        if let Some(shift) = shift {
            self.pen.shift(shift.band, shift.rows);
        }
        for (y, new) in self.back.content.chunks_exact(width).enumerate() {
            let source = shift.map_or(Some(y), |shift| shift.source(y));
            if source == Some(y) && !self.changed[y] {
                continue;
            }
            let old = source.map_or(&self.blank[..], |y| &self.front.content[y * width..(y + 1) * width]);
            if !alike(old, new) {
                self.pen.row(y as u16, old, new, links);
            }
        }
        shift.is_some()
    }

    /// Writes what is no cell, such as a question to the terminal.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pen.lose();
        self.out.write_all(bytes)?;
        self.out.flush()
    }
}

/// Takes out of the cells of a row what would act beyond them, though no text that was cleaned should hold more than a
/// joiner.
fn harden(row: &mut [Cell]) {
    let width = row.len();
    for (x, cell) in row.iter_mut().enumerate() {
        let symbol = cell.symbol();
        if let [b' '..=b'~'] = symbol.as_bytes() {
            continue;
        }
        // What takes no cell would go to the one before, and what takes more than are left to the next row.
        if symbol.contains(char::is_control) || !(1..=width - x).contains(&cells(symbol)) {
            cell.set_symbol(" ");
            continue;
        }
        // A joiner at the end would join whatever is written next, wherever that is. And a thousand accents on one
        // letter are no letter.
        let end = symbol.char_indices().nth(LONGEST).map_or(symbol.len(), |(at, _)| at);
        let safe = symbol[..end].trim_end_matches('\u{200d}');
        if safe.len() < symbol.len() {
            let safe = safe.to_owned();
            cell.set_symbol(&safe);
        }
    }
}

#[cfg(test)]
mod tests;
