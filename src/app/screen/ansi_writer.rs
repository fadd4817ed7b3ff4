//! PURE. Cells become bytes, as few as will do: the pen knows where the terminal's cursor stands and how it writes.
//!
//! Not here: which cells (`screen.rs`). Invariants: what is not certain is said again, such as the cursor's place
//! behind a character whose width terminals disagree about; such a one is written over blanks, for some show less of
//! it, and never where it could go on in the next row, for some show more; nothing is erased but by a plain pen, for
//! some terminals erase in the colour of the pen and some don't.

use std::io::Write;

use ratatui::buffer::Cell;
use ratatui::style::Modifier;

use super::widths::{certain_width, max_width};
use crate::text::width::{grapheme_width, is_ambiguous_wide, narrow_stand_in};
use crate::ui::text_layout::ScreenLinks;
use crate::ui::theme::{TermColor, link_of};

/// Blanks up to the end of a row are erased from this number on, others from the second on.
const MIN_ERASE_TO_END_CELLS: usize = 5;
const MIN_ERASE_CELLS: usize = 12;
/// So many unchanged characters are written again rather than stepped over.
const MAX_REWRITTEN_CELLS: u16 = 3;
/// Line feeds up to this number go down.
const MAX_LINE_FEEDS: u16 = 4;

/// How characters look. A link is none of it: it is no attribute but a mark in the text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CellStyle {
    fg: TermColor,
    bg: TermColor,
    modifier: Modifier,
}

impl CellStyle {
    fn of(cell: &Cell) -> Self {
        Self { fg: cell.fg.into(), bg: cell.bg.into(), modifier: cell.modifier }
    }

    /// Writes what turns another look into this one.
    fn write(self, from: Self, codes: &mut SgrCodes) {
        let gone = from.modifier - self.modifier;
        let mut kept = from.modifier & self.modifier;
        for (modifiers, off) in MODIFIERS_OFF {
            if gone.intersects(modifiers) {
                codes.push(off);
                // One code ends two of them.
                kept -= modifiers;
            }
        }
        for (modifier, on) in MODIFIERS_ON {
            if (self.modifier - kept).contains(modifier) {
                codes.push(on);
            }
        }
        let (bold, was_bold) = (self.is_bold(), from.is_bold());
        if self.fg != from.fg || bold != was_bold && matches!(self.fg, TermColor::Index(0..8)) {
            push_color(self.fg, 0, bold, codes);
        }
        if self.bg != from.bg {
            push_color(self.bg, 10, false, codes);
        }
    }

    fn is_bold(self) -> bool {
        self.modifier.contains(Modifier::BOLD)
    }
}

/// Writes the colour of text, or that behind it, which is 10 more. Some terminals make the first eight colours bright
/// for bold text, but only if they are written short.
fn push_color(ink: TermColor, behind: u8, bold: bool, codes: &mut SgrCodes) {
    match ink {
        TermColor::Default => codes.push(39 + behind),
        TermColor::Index(index @ 0..8) if !bold => codes.push(30 + behind + index),
        TermColor::Index(index @ 8..16) => codes.push(82 + behind + index),
        TermColor::Index(index) => [38 + behind, 5, index].into_iter().for_each(|code| codes.push(code)),
        TermColor::TrueColor(r, g, b) => [38 + behind, 2, r, g, b].into_iter().for_each(|code| codes.push(code)),
    }
}

const MODIFIERS_ON: [(Modifier, u8); 9] = [
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::SLOW_BLINK, 5),
    (Modifier::RAPID_BLINK, 6),
    (Modifier::REVERSED, 7),
    (Modifier::HIDDEN, 8),
    (Modifier::CROSSED_OUT, 9),
];
const MODIFIERS_OFF: [(Modifier, u8); 7] = [
    (Modifier::BOLD.union(Modifier::DIM), 22),
    (Modifier::ITALIC, 23),
    (Modifier::UNDERLINED, 24),
    (Modifier::SLOW_BLINK.union(Modifier::RAPID_BLINK), 25),
    (Modifier::REVERSED, 27),
    (Modifier::HIDDEN, 28),
    (Modifier::CROSSED_OUT, 29),
];

/// The numbers of one change of looks, as text: `1;38;5;214`. More than fit are never asked for.
struct SgrCodes {
    text: [u8; 96],
    len: usize,
}

impl SgrCodes {
    fn new() -> Self {
        Self { text: [0; 96], len: 0 }
    }

    fn push(&mut self, code: u8) {
        if self.len > 0 {
            self.byte(b';');
        }
        for unit in [100, 10] {
            if code >= unit {
                self.byte(b'0' + code / unit % 10);
            }
        }
        self.byte(b'0' + code % 10);
    }

    fn byte(&mut self, byte: u8) {
        if let Some(place) = self.text.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }
}

/// What is to be done about a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellWrite {
    Skip,
    Write,
    /// Written, and the terminal may show anything there.
    Rewrite,
}

/// Writes to a buffer for a terminal of that many columns.
pub(super) struct AnsiWriter {
    pub(super) bytes: Vec<u8>,
    pub(super) columns: u16,
    /// Cells written.
    pub(super) cells: u64,
    /// Where the cursor stands, if that is certain. Behind the last column it stands on it, and the next character
    /// would go to the next row.
    cursor: Option<(u16, u16)>,
    style: CellStyle,
    /// The open link.
    link: Option<u32>,
    /// What is to be done about the cells of a row; kept for its room.
    cell_writes: Vec<CellWrite>,
}

impl AnsiWriter {
    pub(super) fn new(columns: u16) -> Self {
        Self {
            bytes: Vec::new(),
            columns,
            cells: 0,
            cursor: None,
            style: CellStyle::default(),
            link: None,
            cell_writes: Vec::new(),
        }
    }

    /// Forgets where the cursor stands.
    pub(super) fn forget_cursor(&mut self) {
        self.cursor = None;
    }

    /// Writes as characters look that nobody coloured. Every frame ends so.
    pub(super) fn reset_style(&mut self) {
        if self.link.take().is_some() {
            self.bytes.extend_from_slice(b"\x1b]8;;\x1b\\");
        }
        if self.style != CellStyle::default() {
            self.style = CellStyle::default();
            self.bytes.extend_from_slice(b"\x1b[m");
        }
    }

    /// Moves the cursor, the shortest way.
    pub(super) fn move_to(&mut self, x: u16, y: u16) {
        if self.cursor == Some((x, y)) {
            return;
        }
        let straight = match (x, y) {
            (0, 0) => 3,
            (0, y) => 3 + digits(y + 1),
            (x, y) => 4 + digits(y + 1) + digits(x + 1),
        };
        match self.cursor {
            Some(from) if self.relative_move_len(from, (x, y)).is_some_and(|len| len < straight) => {
                self.move_relative(from, (x, y));
            }
            _ => {
                // Writing to memory can't fail.
                _ = match (x, y) {
                    (0, 0) => write!(self.bytes, "\x1b[H"),
                    (0, y) => write!(self.bytes, "\x1b[{}H", y + 1),
                    (x, y) => write!(self.bytes, "\x1b[{};{}H", y + 1, x + 1),
                };
            }
        }
        self.cursor = Some((x, y));
    }

    /// Returns how long the way by steps is, if there is one.
    fn relative_move_len(&self, from: (u16, u16), to: (u16, u16)) -> Option<usize> {
        let down = match to.1.checked_sub(from.1) {
            Some(rows @ 0..=MAX_LINE_FEEDS) => usize::from(rows),
            _ => step_len(from.1.abs_diff(to.1)),
        };
        let across = if self.starts_with_return(from, to.0) {
            1 + step_len(to.0)
        } else {
            backspaces(from.0, to.0).unwrap_or(step_len(from.0.abs_diff(to.0)))
        };
        // What terminals make of a step from behind the last column is their own affair.
        (from.0 < self.columns || self.starts_with_return(from, to.0)).then_some(down + across)
    }

    /// Tells whether the way begins at the left end of the row.
    fn starts_with_return(&self, from: (u16, u16), x: u16) -> bool {
        from.0 >= self.columns || step_len(x) < backspaces(from.0, x).unwrap_or(step_len(from.0.abs_diff(x)))
    }

    fn move_relative(&mut self, from: (u16, u16), to: (u16, u16)) {
        let mut x = from.0;
        if self.starts_with_return(from, to.0) {
            self.bytes.push(b'\r');
            x = 0;
        }
        match to.1.checked_sub(from.1) {
            // Never from the last row, where it would scroll: the way leads to a row below.
            Some(rows @ 0..=MAX_LINE_FEEDS) => self.bytes.extend((0..rows).map(|_| b'\n')),
            Some(rows) => self.csi(rows, b'B'),
            None => self.csi(from.1 - to.1, b'A'),
        }
        match (backspaces(x, to.0), to.0.checked_sub(x)) {
            (Some(columns), _) => self.bytes.extend((0..columns).map(|_| 0x08)),
            (None, Some(0)) => {}
            (None, Some(columns)) => self.csi(columns, b'C'),
            (None, None) => self.csi(x - to.0, b'D'),
        }
    }

    fn csi(&mut self, count: u16, letter: u8) {
        self.bytes.extend_from_slice(b"\x1b[");
        if count != 1 {
            _ = write!(self.bytes, "{count}");
        }
        self.bytes.push(letter);
    }

    /// Moves rows up or down inside a band of rows; those that come in are blank.
    pub(super) fn scroll_rows(&mut self, band: (u16, u16), rows: i32) {
        self.reset_style();
        let (top, bottom) = band;
        if top == 0 {
            _ = write!(self.bytes, "\x1b[;{}r", bottom + 1);
        } else {
            _ = write!(self.bytes, "\x1b[{};{}r\x1b[{}H", top + 1, bottom + 1, top + 1);
        }
        // Lines taken out and put in: what every terminal since the VT102 knows.
        self.csi(rows.unsigned_abs() as u16, if rows > 0 { b'M' } else { b'L' });
        self.bytes.extend_from_slice(b"\x1b[r");
        self.cursor = Some((0, 0));
    }

    /// Writes what differs in a row.
    pub(super) fn write_row(&mut self, y: u16, old: &[Cell], new: &[Cell], links: Option<&ScreenLinks>) {
        let mut wanted = std::mem::take(&mut self.cell_writes);
        mark_cells(old, new, &mut wanted);
        let mut x = 0;
        while let Some(skip) = wanted[x..].iter().position(|wanted| *wanted != CellWrite::Skip) {
            x += skip;
            if let Some(end) = self.erase((x, y), new, &wanted) {
                x = end;
                continue;
            }
            self.rewrite_over(x as u16, y, new);
            self.move_to(x as u16, y);
            self.write_cell(&new[x], links, wanted[x] == CellWrite::Rewrite);
            self.cells += 1;
            x += 1;
        }
        self.cell_writes = wanted;
    }

    /// Erases blanks where that is shorter than writing them; returns where they end.
    fn erase(&mut self, at: (usize, u16), new: &[Cell], wanted: &[CellWrite]) -> Option<usize> {
        let (x, y) = at;
        let blanks = new[x..].iter().take_while(|cell| cells_look_equal(cell, &Cell::EMPTY)).count();
        // Those of them up to the last that changed.
        let run = wanted[x..x + blanks].iter().rposition(|wanted| *wanted != CellWrite::Skip)? + 1;
        let to_end = x + blanks == new.len();
        if run < if to_end { MIN_ERASE_TO_END_CELLS } else { MIN_ERASE_CELLS } {
            return None;
        }
        self.move_to(x as u16, y);
        self.reset_style();
        if to_end {
            self.bytes.extend_from_slice(b"\x1b[K");
        } else {
            self.csi(run as u16, b'X');
        }
        self.cells += run as u64;
        Some(x + run)
    }

    /// Writes a few characters again where that is shorter than stepping over them.
    fn rewrite_over(&mut self, x: u16, y: u16, new: &[Cell]) {
        let Some((from, row)) = self.cursor else { return };
        if row != y || from >= x || x - from > MAX_REWRITTEN_CELLS {
            return;
        }
        let between = &new[usize::from(from)..usize::from(x)];
        let same = |cell: &Cell| {
            matches!(cell.symbol().as_bytes(), [b' '..=b'~'])
                && CellStyle::of(cell) == self.style
                && link_of(cell.underline_color) == self.link
        };
        // The cell before must be none that the next one belongs to.
        if from > 0 && symbol_cells(new[usize::from(from) - 1].symbol()) > 1 || !between.iter().all(same) {
            return;
        }
        for cell in between {
            self.bytes.extend_from_slice(cell.symbol().as_bytes());
        }
        self.cursor = Some((x, y));
    }

    /// Writes a cell where the cursor stands; `anew` if the terminal may show something there.
    fn write_cell(&mut self, cell: &Cell, links: Option<&ScreenLinks>, anew: bool) {
        let link = link_of(cell.underline_color).and_then(|number| Some((number, links?.get(number)?)));
        if link.map(|(number, _)| number) != self.link {
            // The id says which pieces belong together.
            _ = match link {
                Some((number, target)) => write!(self.bytes, "\x1b]8;id={number:x};{target}\x1b\\"),
                None => write!(self.bytes, "\x1b]8;;\x1b\\"),
            };
            self.link = link.map(|(number, _)| number);
        }
        let look = CellStyle::of(cell);
        if look == CellStyle::default() && self.style != look {
            self.bytes.extend_from_slice(b"\x1b[m");
        } else if look != self.style {
            let (mut change, mut anew) = (SgrCodes::new(), SgrCodes::new());
            look.write(self.style, &mut change);
            anew.push(0);
            look.write(CellStyle::default(), &mut anew);
            let codes = if anew.len < change.len { &anew } else { &change };
            self.bytes.extend_from_slice(b"\x1b[");
            self.bytes.extend_from_slice(codes.as_bytes());
            self.bytes.push(b'm');
        }
        self.style = look;
        let is_wide = is_ambiguous_wide();
        let stand_in = if is_wide { narrow_stand_in(cell.symbol()) } else { None };
        let symbol = stand_in.unwrap_or(cell.symbol());
        match (certain_width(symbol, is_wide), self.cursor) {
            (None, Some(at)) => self.write_ambiguous(symbol, at, anew),
            (certain, at) => {
                self.bytes.extend_from_slice(symbol.as_bytes());
                self.cursor = at.and_then(|(x, y)| Some((x + certain?, y)));
            }
        }
    }

    /// Writes a symbol that some terminals show less of, and some more.
    fn write_ambiguous(&mut self, symbol: &str, (x, y): (u16, u16), anew: bool) {
        let width = symbol_cells(symbol);
        if anew {
            // In the colours of the symbol, as no sequence erases everywhere.
            self.bytes.extend((0..width).map(|_| b' '));
            self.cursor = Some((x + width as u16, y));
            self.move_to(x, y);
        }
        let room = usize::from(self.columns - x);
        let mut shown = symbol;
        while max_width(shown, 0) > room {
            // Less of it, for what does not fit goes on in the next row where joined signs stand side by side. Not all
            // terminals can be told to leave that.
            let Some((at, _)) = shown.char_indices().next_back().filter(|(at, _)| *at > 0) else { break };
            shown = &shown[..at];
        }
        self.bytes.extend_from_slice(shown.trim_end_matches('\u{200d}').as_bytes());
        self.cursor = None;
    }
}

/// Writes a row from where the cursor stands at a left end, without the blanks at its own end, and returns how many cells
/// that takes. Nothing in it depends on which row that is.
pub(super) fn write_loose_row(row: &[Cell], links: Option<&ScreenLinks>, out: &mut Vec<u8>) -> u16 {
    let end = row.iter().rposition(|cell| cell.symbol() != " ").map_or(0, |last| last + 1);
    let mut writer = AnsiWriter::new(row.len() as u16);
    let (mut x, mut width) = (0, 0);
    while let Some(cell) = row[..end].get(x) {
        writer.write_cell(cell, links, false);
        x += symbol_cells(cell.symbol()).max(1);
        width = x;
        let is_wide = is_ambiguous_wide();
        let is_replaced = is_wide && narrow_stand_in(cell.symbol()).is_some();
        if !is_replaced && certain_width(cell.symbol(), is_wide).is_none() && x < end {
            // Whatever the terminal made of it.
            _ = write!(writer.bytes, "\x1b[{}G", x + 1);
        }
    }
    writer.reset_style();
    out.append(&mut writer.bytes);
    width as u16
}

/// Marks the cells of a row to write. A wide character covers the cells behind it: those are not written, and where one
/// was, all that it covered is, or may have covered.
fn mark_cells(old: &[Cell], new: &[Cell], wanted: &mut Vec<CellWrite>) {
    let mut covered = 0_usize;
    let mut uncovered = 0_usize;
    wanted.clear();
    wanted.extend(old.iter().zip(new).enumerate().map(|(x, (was, is))| {
        let (old_cells, new_cells) = (symbol_cells(was.symbol()), symbol_cells(is.symbol()));
        let write = match covered == 0 && (uncovered > 0 || !cells_look_equal(was, is)) {
            false => CellWrite::Skip,
            true if is.symbol().len() > 1 && (uncovered > 0 || !is_blank(&old[x..], new_cells, is)) => {
                CellWrite::Rewrite
            }
            true => CellWrite::Write,
        };
        covered = if covered > 0 { covered - 1 } else { new_cells.saturating_sub(1) };
        uncovered =
            uncovered.max(max_width(was.symbol(), old_cells)).max(max_width(is.symbol(), new_cells)).saturating_sub(1);
        write
    }));
}

/// Tells whether so many cells are blank, and on the ground of another one.
fn is_blank(row: &[Cell], cells: usize, like: &Cell) -> bool {
    row.iter().take(cells).all(|cell| cell.symbol() == " " && cell.bg == like.bg && cell.modifier == like.modifier)
}

/// Tells whether two rows look alike.
pub(super) fn rows_look_equal(old: &[Cell], new: &[Cell]) -> bool {
    old.len() == new.len() && old.iter().zip(new).all(|(old, new)| cells_look_equal(old, new))
}

/// Tells whether two cells look alike. `==` took a third of a frame: it compares even one letter by a call.
#[inline]
pub(super) fn cells_look_equal(old: &Cell, new: &Cell) -> bool {
    let text = match (old.symbol().as_bytes(), new.symbol().as_bytes()) {
        ([old], [new]) => old == new,
        (old, new) => old == new,
    };
    text && old.fg == new.fg
        && old.bg == new.bg
        && old.modifier == new.modifier
        && old.underline_color == new.underline_color
}

/// Returns how many cells a symbol takes.
pub(super) fn symbol_cells(symbol: &str) -> usize {
    match symbol.as_bytes() {
        [_] => 1,
        _ => grapheme_width(symbol),
    }
}

fn digits(n: u16) -> usize {
    match n {
        0..10 => 1,
        10..100 => 2,
        100..1000 => 3,
        1000..10_000 => 4,
        _ => 5,
    }
}

/// Returns how long the sequence for so many steps is.
fn step_len(count: u16) -> usize {
    match count {
        0 => 0,
        1 => 3,
        _ => 3 + digits(count),
    }
}

/// Returns the backspaces that lead from a column to another, where they are the shortest way.
fn backspaces(from: u16, to: u16) -> Option<usize> {
    from.checked_sub(to).filter(|columns| (1..=3).contains(columns)).map(usize::from)
}
