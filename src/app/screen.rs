//! A small terminal over ratatui's buffer: what changed since the last frame becomes bytes, and nothing else does.
//!
//! Not here: raw mode and signals (`term.rs`). Invariants: a frame is one write inside a synchronised update; a frame
//! that changes nothing writes nothing; rows that did not change are compared and no more.

use std::io;
use std::io::Write;

use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::ui::lines::Links;
use crate::ui::theme::link_of;

const BEGIN: &[u8] = b"\x1b[?2026h\x1b[?25l";
const CLEAR: &[u8] = b"\x1b[0m\x1b[2J";
const END: &[u8] = b"\x1b[?2026l";
/// Most characters that one cell sends.
const LONGEST: usize = 24;

/// Work done so far, for tests and the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames painted, and those of them that wrote anything.
    pub frames: u64,
    pub written: u64,
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
    bytes: Vec<u8>,
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
            bytes: Vec::new(),
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

        self.bytes.clear();
        self.bytes.extend_from_slice(BEGIN);
        if self.stale {
            self.bytes.extend_from_slice(CLEAR);
            self.front.reset();
        }
        let changes = changes(&self.front, &mut self.back);
        if changes.is_empty() && !self.stale && cursor == self.cursor {
            return Ok(());
        }
        if !changes.is_empty() {
            write_cells(&changes, links, &mut self.bytes)?;
        }
        if let Some((x, y)) = cursor {
            write!(self.bytes, "\x1b[{};{}H\x1b[?25h", y + 1, x + 1)?;
        }
        self.bytes.extend_from_slice(END);
        self.counts.written += 1;
        self.counts.cells += changes.len() as u64;
        self.counts.bytes += self.bytes.len() as u64;

        // Until the write has succeeded nobody knows what the terminal shows.
        self.stale = true;
        self.out.write_all(&self.bytes)?;
        self.out.flush()?;
        self.stale = false;
        self.cursor = cursor;
        std::mem::swap(&mut self.front, &mut self.back);
        Ok(())
    }

    /// Writes what is no cell, such as a question to the terminal.
    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }
}

/// Writes cells, those of a link between the marks of one (OSC 8). The id says which pieces belong together.
fn write_cells(changes: &[(u16, u16, &Cell)], links: Option<&Links>, bytes: &mut Vec<u8>) -> io::Result<()> {
    for run in changes.chunk_by(|(_, _, one), (_, _, next)| one.underline_color == next.underline_color) {
        let Some(number) = run.first().and_then(|(_, _, cell)| link_of(cell.underline_color)) else {
            CrosstermBackend::new(&mut *bytes).draw(run.iter().copied())?;
            continue;
        };
        let bare: Vec<(u16, u16, Cell)> = run.iter().map(|(x, y, cell)| (*x, *y, without_link(cell))).collect();
        let target = links.and_then(|links| links.get(number));
        if let Some(target) = target {
            write!(bytes, "\x1b]8;id={number:x};{target}\x1b\\")?;
        }
        CrosstermBackend::new(&mut *bytes).draw(bare.iter().map(|(x, y, cell)| (*x, *y, cell)))?;
        if target.is_some() {
            bytes.extend_from_slice(b"\x1b]8;;\x1b\\");
        }
    }
    Ok(())
}

fn without_link(cell: &Cell) -> Cell {
    let mut cell = cell.clone();
    cell.underline_color = Cell::EMPTY.underline_color;
    cell
}

/// Returns the cells to write, with their places. O(cells) to compare, O(changed rows) to work out.
fn changes<'a>(front: &Buffer, back: &'a mut Buffer) -> Vec<(u16, u16, &'a Cell)> {
    let width = usize::from(back.area.width);
    let mut changes = Vec::new();
    if width == 0 {
        return changes;
    }
    for ((y, old), new) in (0_u16..).zip(front.content.chunks_exact(width)).zip(back.content.chunks_exact_mut(width)) {
        if old != new {
            for cell in &mut *new {
                harden(cell);
            }
            row_changes(y, old, new, &mut changes);
        }
    }
    changes
}

/// Takes out of a cell what would act beyond it, though no text that was cleaned should hold more than a joiner.
fn harden(cell: &mut Cell) {
    let symbol = cell.symbol();
    if let [b' '..=b'~'] = symbol.as_bytes() {
        return;
    }
    if symbol.contains(char::is_control) {
        cell.set_symbol(" ");
        return;
    }
    // A joiner at the end would join whatever is written next, wherever that is. And a thousand accents on one letter
    // are no letter.
    let end = symbol.char_indices().nth(LONGEST).map_or(symbol.len(), |(at, _)| at);
    let safe = symbol[..end].trim_end_matches('\u{200d}');
    if safe.len() < symbol.len() {
        let safe = safe.to_owned();
        cell.set_symbol(&safe);
    }
}

/// A wide character covers the cells behind it: those are not written, and where one was, all that it covered is.
fn row_changes<'a>(y: u16, old: &[Cell], new: &'a [Cell], changes: &mut Vec<(u16, u16, &'a Cell)>) {
    let mut covered = 0_usize;
    let mut uncovered = 0_usize;
    for ((x, old), new) in (0_u16..).zip(old).zip(new) {
        let (was, is) = (old.symbol().width(), new.symbol().width());
        if covered == 0 && (old != new || uncovered > 0) {
            changes.push((x, y, new));
        }
        covered = if covered > 0 { covered - 1 } else { is.saturating_sub(1) };
        uncovered = uncovered.max(was).max(is).saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use ratatui::style::{Modifier, Style};

    use super::*;

    struct Rig {
        screen: Screen<Vec<u8>>,
        terminal: vt100::Parser,
    }

    fn size(cells: u16) -> NonZero<u16> {
        NonZero::new(cells).unwrap()
    }

    impl Rig {
        fn new(columns: u16, rows: u16) -> Self {
            Self {
                screen: Screen::new(Vec::new(), columns, rows),
                terminal: vt100::Parser::new(size(rows), size(columns), 0),
            }
        }

        /// Draws these rows and returns the bytes it took.
        fn draw(&mut self, rows: &[&str], cursor: Option<(u16, u16)>) -> Vec<u8> {
            let paint = |_: Rect, buf: &mut Buffer| {
                for (y, row) in (0..).zip(rows) {
                    buf.set_string(0, y, row, Style::default());
                }
                cursor
            };
            self.screen.draw(paint).unwrap();
            let bytes = std::mem::take(&mut self.screen.out);
            self.terminal.process(&bytes);
            bytes
        }

        fn shows(&self) -> String {
            self.terminal.screen().contents()
        }
    }

    #[test]
    fn a_frame_shows_up_and_the_same_again_writes_nothing() {
        let mut rig = Rig::new(10, 3);
        let bytes = rig.draw(&["one", "two"], Some((3, 1)));
        assert!(bytes.starts_with(b"\x1b[?2026h") && bytes.ends_with(b"\x1b[?2026l"));
        assert_eq!(rig.shows(), "one\ntwo");
        assert_eq!(rig.terminal.screen().cursor_position(), (1, 3));
        assert!(!rig.terminal.screen().hide_cursor());
        assert_eq!(rig.draw(&["one", "two"], Some((3, 1))), b"");
        assert_eq!(rig.screen.counts.written, 1);
        assert_eq!(rig.screen.counts.frames, 2);
    }

    #[test]
    fn only_changed_cells_are_written() {
        let mut rig = Rig::new(10, 3);
        rig.draw(&["one", "two"], None);
        let before = rig.screen.counts.cells;
        rig.draw(&["one", "twx"], None);
        assert_eq!(rig.screen.counts.cells - before, 1);
        assert_eq!(rig.shows(), "one\ntwx");
        assert!(rig.terminal.screen().hide_cursor());
    }

    #[test]
    fn the_cursor_alone_can_move() {
        let mut rig = Rig::new(10, 3);
        rig.draw(&["one"], Some((0, 0)));
        let before = rig.screen.counts.cells;
        assert_ne!(rig.draw(&["one"], Some((2, 0))), b"");
        assert_eq!(rig.screen.counts.cells, before);
        assert_eq!(rig.terminal.screen().cursor_position(), (0, 2));
    }

    #[test]
    fn wide_characters_come_and_go_whole() {
        let mut rig = Rig::new(8, 1);
        for row in ["日本語", "a本語", "ab語x", "日b", "abcdef", "x日本", ""] {
            rig.draw(&[row], None);
            assert_eq!(rig.shows().trim_end(), row, "{row}");
        }
    }

    #[test]
    fn no_cell_acts_beyond_itself() {
        let mut rig = Rig::new(8, 2);
        let zalgo = format!("z{}x", "\u{301}".repeat(5000));
        let bytes = rig.draw(&["h\u{200d} i", &zalgo], None);
        let sent = String::from_utf8(bytes).unwrap();
        assert!(!sent.contains('\u{200d}') && sent.len() < 200, "{sent:?}");
        assert!(rig.draw(&["h\u{200d} i", &zalgo], None).is_empty());
        let family = "👩\u{200d}👩\u{200d}👧";
        let sent = String::from_utf8(rig.draw(&[family], None)).unwrap();
        assert!(sent.contains(family));
        let paint = |_: Rect, buf: &mut Buffer| {
            buf[(0, 0)].set_symbol("\u{9b}2J");
            buf[(1, 0)].set_symbol("\x1b");
            None
        };
        rig.screen.draw(paint).unwrap();
        let sent = String::from_utf8(std::mem::take(&mut rig.screen.out)).unwrap();
        assert!(!sent.contains('\u{9b}') && !sent.contains("\x1b\x1b"), "{sent:?}");
    }

    #[test]
    fn a_new_size_clears_once() {
        let mut rig = Rig::new(10, 2);
        rig.draw(&["one"], None);
        rig.screen.resize(10, 2);
        assert_eq!(rig.draw(&["one"], None), b"");
        rig.screen.resize(5, 2);
        rig.terminal.screen_mut().set_size(size(2), size(5));
        let clears = |bytes: &[u8]| bytes.windows(4).filter(|part| part == b"\x1b[2J").count();
        assert_eq!(clears(&rig.draw(&["two"], None)), 1);
        assert_eq!(clears(&rig.draw(&["six"], None)), 0);
        assert_eq!(rig.shows(), "six");
    }

    #[test]
    fn a_redraw_writes_everything_again() {
        let mut rig = Rig::new(10, 2);
        rig.draw(&["one"], None);
        rig.terminal.process(b"\x1b[Hgarbage");
        rig.screen.invalidate();
        rig.draw(&["one"], None);
        assert_eq!(rig.shows(), "one");
    }

    #[test]
    fn a_change_of_style_is_a_change() {
        let mut rig = Rig::new(10, 1);
        let mut paint = |style: Style| {
            rig.screen
                .draw(|_, buf| {
                    buf.set_string(0, 0, "x", style);
                    None
                })
                .unwrap();
        };
        paint(Style::default());
        paint(Style::default().add_modifier(Modifier::BOLD));
        assert_eq!(rig.screen.counts.cells, 2);
    }

    #[test]
    fn no_cells_are_no_panic_and_a_cursor_outside_is_hidden() {
        let mut rig = Rig::new(10, 1);
        rig.draw(&["x"], Some((10, 0)));
        assert!(rig.terminal.screen().hide_cursor());
        rig.screen.resize(0, 0);
        rig.screen.draw(|_, _| Some((0, 0))).unwrap();
    }

    #[test]
    fn a_link_is_written_between_its_marks_and_only_where_it_is_known() {
        let mut rig = Rig::new(20, 2);
        let url: std::rc::Rc<str> = "https://x.y/".into();
        let mut links = Links::default();
        links.note(&url);
        let number = crate::ui::lines::links::number(&url);
        let style = crate::ui::theme::with_link(Style::default(), number);
        let paint = |links: Option<&Links>, screen: &mut Screen<Vec<u8>>| {
            screen
                .draw_linked(|_, buf| {
                    buf.set_string(0, 0, "a ", Style::default());
                    buf.set_string(2, 0, "link", style);
                    (None, links)
                })
                .unwrap();
            String::from_utf8(std::mem::take(&mut screen.out)).unwrap()
        };
        let sent = paint(Some(&links), &mut rig.screen);
        assert!(sent.contains(&format!("\x1b]8;id={number:x};https://x.y/\x1b\\")), "{sent:?}");
        assert!(sent.contains("link") && sent.contains("\x1b]8;;\x1b\\"), "{sent:?}");
        assert!(!sent.contains("58;2"), "the number is no colour: {sent:?}");
        assert_eq!(paint(Some(&links), &mut rig.screen), "");
        rig.screen.invalidate();
        let sent = paint(None, &mut rig.screen);
        assert!(sent.contains("link") && !sent.contains("]8;"), "{sent:?}");
    }
}
