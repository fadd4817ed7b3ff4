//! A terminal to test against, stricter than any: it panics where terminals differ.

use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthChar;

use crate::text::width::{grapheme_width_in, is_ambiguous_wide, narrow_stand_in};
use crate::ui::theme::TermColor;

/// What a cell shows, its modifiers as a set; none where a wide character covers it.
type ShownCell = Option<(String, Color, Color, Modifier, Option<String>)>;

const PLAIN: (Color, Color, Modifier) = (Color::Reset, Color::Reset, Modifier::empty());

/// How a terminal counts columns where they disagree. All but the strict one take what they are given for what it is to
/// them, and only what all agree about has to stand where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Widths {
    /// Panics where a place is used that terminals disagree about.
    Strict,
    /// By whole signs, as this program does.
    Clusters,
    /// U+FE0F adds nothing, skin tones stand beside; what a joiner joins is one sign.
    Joined,
    /// As the sum of its parts.
    Parts,
    /// Characters newer than its tables are dropped and take no column.
    Old,
    /// One column for a picture.
    Narrow,
    /// Marks that have a width take a column.
    Broad,
}

impl Widths {
    pub(super) const LOOSE: [Self; 6] =
        [Self::Clusters, Self::Joined, Self::Parts, Self::Old, Self::Narrow, Self::Broad];

    fn of(self, c: char) -> usize {
        match (self, c) {
            (Self::Narrow, '\u{1f000}'..) => 1,
            (Self::Broad, '\u{1d165}'..='\u{1d172}' | '\u{103a}') => 1,
            (Self::Strict, c) if is_ambiguous_wide() => grapheme_width_in(&c.to_string(), true),
            _ => c.width().unwrap_or(0),
        }
    }

    fn drops(self, c: char) -> bool {
        self == Self::Old && is_new(c)
    }
}

fn is_new(c: char) -> bool {
    matches!(c, '\u{1c89}' | '\u{20c1}' | '\u{2b96}' | '\u{2ffc}' | '\u{1fa70}'..)
}

/// Tells whether all terminals agree about a symbol.
fn agreed(symbol: &str) -> bool {
    let mut chars = symbol.chars();
    chars.next().is_some_and(|c| !is_new(c) && c < '\u{1d000}') && chars.next().is_none()
}

pub(super) struct Terminal {
    parser: vte::Parser,
    grid: Grid,
}

struct Grid {
    columns: usize,
    rows: Vec<Vec<ShownCell>>,
    x: usize,
    y: usize,
    /// The cursor stands behind the last column.
    pending: bool,
    /// Terminals agree on where the cursor stands.
    certain: bool,
    joins: bool,
    widths: Widths,
    region: (usize, usize),
    pen: (Color, Color, Modifier),
    link: Option<String>,
    hidden: bool,
    updating: bool,
    /// The lines that were taken out and put in.
    moved: usize,
}

#[expect(clippy::unnecessary_wraps)]
fn blank() -> ShownCell {
    let (fg, bg, modifier) = PLAIN;
    Some((" ".into(), fg, bg, modifier, None))
}

/// The same colour, by number.
pub(super) fn number(color: Color) -> Color {
    if let TermColor::Index(index) = color.into() { Color::Indexed(index) } else { color }
}

impl Terminal {
    pub(super) fn new(columns: u16, rows: u16) -> Self {
        Self::counting(Widths::Strict, columns, rows)
    }

    pub(super) fn counting(widths: Widths, columns: u16, rows: u16) -> Self {
        let (columns, rows) = (usize::from(columns), usize::from(rows));
        let grid = Grid {
            columns,
            rows: vec![vec![blank(); columns]; rows],
            x: 0,
            y: 0,
            pending: false,
            certain: false,
            joins: false,
            widths,
            region: (0, rows.saturating_sub(1)),
            pen: PLAIN,
            link: None,
            hidden: true,
            updating: false,
            moved: 0,
        };
        Self { parser: vte::Parser::new(), grid }
    }

    pub(super) fn process(&mut self, bytes: &[u8]) {
        self.parser.advance(&mut self.grid, bytes);
        assert!(!self.grid.updating, "the update is over");
        assert_eq!(self.grid.pen, PLAIN, "the pen is left plain");
        assert_eq!(self.grid.link, None);
        assert_eq!(self.grid.region, (0, self.grid.rows.len().saturating_sub(1)), "all rows scroll again");
    }

    /// What a row shows.
    pub(super) fn row(&self, y: usize) -> String {
        self.grid.rows[y].iter().flatten().map(|shown| shown.0.as_str()).collect()
    }

    pub(super) fn moved(&self) -> usize {
        self.grid.moved
    }

    /// Panics unless the terminal shows this frame.
    pub(super) fn assert_shows(
        &self,
        buf: &Buffer,
        cursor: Option<(u16, u16)>,
        link: impl Fn(&Cell) -> Option<String>,
    ) {
        let Rect { width, height, .. } = buf.area;
        for y in 0..height {
            let (mut covered, mut doubtful) = (0, 0);
            for x in 0..width {
                let cell = &buf[(x, y)];
                let shown = &self.grid.rows[usize::from(y)][usize::from(x)];
                if doubtful > 0 {
                    doubtful -= 1;
                    continue;
                }
                if covered == 0 && self.grid.widths != Widths::Strict && !agreed(cell.symbol()) {
                    doubtful = super::super::symbol_cells(cell.symbol()) - 1;
                    for x in usize::from(x)..=usize::from(x) + doubtful {
                        let shown = &self.grid.rows[usize::from(y)][x];
                        let own = |c: char| cell.symbol().contains(c);
                        let fine = |text: &str| text == " " || text.chars().next().is_some_and(own);
                        assert!(shown.as_ref().is_none_or(|shown| fine(&shown.0)), "{x} {y}: {shown:?} for {cell:?}");
                    }
                    continue;
                }
                if covered > 0 {
                    covered -= 1;
                    assert_eq!(*shown, None, "{x} {y} is covered");
                    continue;
                }
                covered = super::super::symbol_cells(cell.symbol()) - 1;
                let (fg, bg) = (number(cell.fg), number(cell.bg));
                let mut symbol = cell.symbol();
                if is_ambiguous_wide() {
                    symbol = narrow_stand_in(symbol).unwrap_or(symbol);
                }
                // Of what might not fit beside each other only the beginning is shown.
                let apart: usize = symbol.chars().map(|c| c.width().unwrap_or(0)).sum();
                if usize::from(x) + apart > usize::from(width)
                    && let Some((text, ..)) = shown
                    && !text.is_empty()
                    && symbol.starts_with(text.as_str())
                {
                    symbol = text;
                }
                let want = Some((symbol.to_owned(), fg, bg, cell.modifier, link(cell)));
                assert_eq!(*shown, want, "{x} {y}");
            }
        }
        assert_eq!(self.grid.hidden, cursor.is_none());
        if let Some((x, y)) = cursor {
            assert!((self.grid.certain || self.grid.widths != Widths::Strict) && !self.grid.pending);
            assert_eq!((self.grid.x, self.grid.y), (usize::from(x), usize::from(y)));
        }
    }
}

impl Grid {
    /// Blanks the cells of this row from one to before another, and the characters cut by either.
    fn clear(&mut self, from: usize, to: usize) {
        assert_eq!(self.pen, PLAIN, "some erase in the colour of the pen");
        assert_eq!(self.link, None, "some erase with links");
        self.cut(from);
        self.cut(to);
        self.rows[self.y][from..to].fill(blank());
    }

    /// Blanks the character that lies across the left edge of a column.
    fn cut(&mut self, x: usize) {
        let row = &mut self.rows[self.y];
        if row.get(x).is_some_and(Option::is_none) {
            let first = (0..x).rev().find(|x| row[*x].is_some()).unwrap_or(0);
            let end = (x..row.len()).find(|x| row[*x].is_some()).unwrap_or(row.len());
            row[first..end].fill(blank());
        }
    }

    fn steady(&self) {
        let certain = self.certain || self.widths != Widths::Strict;
        assert!(certain && !self.pending, "a step from a place that terminals differ about");
    }

    /// Adds a character to the one before the cursor, which may become wider by that.
    fn join(&mut self, c: char) {
        let before = if self.pending { self.columns } else { self.x };
        let Some(at) = (0..before).rev().find(|x| self.rows[self.y][*x].is_some()) else { return };
        let Some(shown) = &mut self.rows[self.y][at] else { return };
        shown.0.push(c);
        self.certain = false;
        let grows = self.widths == Widths::Clusters && c == '\u{fe0f}' && at + 1 == before && before < self.columns;
        if grows {
            self.cut(before + 1);
            self.rows[self.y][before] = None;
            (self.x, self.pending) = (before + 1, false);
            if self.x == self.columns {
                (self.x, self.pending) = (self.columns - 1, true);
            }
        }
    }
}

impl vte::Perform for Grid {
    fn print(&mut self, c: char) {
        if self.widths.drops(c) {
            return;
        }
        let width = self.widths.of(c);
        let apart = self.widths == Widths::Parts;
        let tone = self.widths == Widths::Clusters && matches!(c, '\u{1f3fb}'..='\u{1f3ff}');
        if width == 0 || tone || (self.joins && !apart) {
            self.joins = c == '\u{200d}';
            self.join(c);
            return;
        }
        self.joins = false;
        self.steady();
        assert!(self.x + width <= self.columns, "nothing wraps");
        let (x, y) = (self.x, self.y);
        self.cut(x);
        self.cut(x + width);
        let (fg, bg, modifier) = self.pen;
        self.rows[y][x] = Some((c.into(), fg, bg, modifier, self.link.clone()));
        self.rows[y][x + 1..x + width].fill(None);
        self.x += width;
        if self.x == self.columns {
            self.x -= 1;
            self.pending = true;
        }
        let symbol = c.to_string();
        let is_doubtful = is_ambiguous_wide() && grapheme_width_in(&symbol, true) != grapheme_width_in(&symbol, false);
        self.certain = !('\u{1f000}'..).contains(&c) && !is_doubtful;
    }

    fn execute(&mut self, byte: u8) {
        assert!(self.certain || self.widths != Widths::Strict);
        match byte {
            b'\r' => (self.x, self.pending) = (0, false),
            b'\n' => {
                self.steady();
                assert!(self.y + 1 < self.rows.len(), "nothing scrolls by itself");
                self.y += 1;
            }
            8 => {
                self.steady();
                self.x = self.x.checked_sub(1).expect("a column to go back to");
            }
            other => panic!("control {other}"),
        }
    }

    fn csi_dispatch(&mut self, params: &vte::Params, intermediates: &[u8], _: bool, action: char) {
        let numbers: Vec<usize> = params.iter().map(|param| usize::from(param[0])).collect();
        let first = numbers.first().copied().unwrap_or(0);
        let count = first.max(1);
        let band = (self.region.0..=self.region.1).contains(&self.y);
        match (intermediates, action) {
            (b"", 'H') => {
                self.y = count - 1;
                self.x = numbers.get(1).copied().unwrap_or(0).max(1) - 1;
                assert!(self.x < self.columns && self.y < self.rows.len());
                (self.certain, self.pending) = (true, false);
            }
            (b"", 'A' | 'B' | 'C' | 'D') => {
                self.steady();
                let (x, y) = match action {
                    'A' => (Some(self.x), self.y.checked_sub(count)),
                    'B' => (Some(self.x), Some(self.y + count)),
                    'C' => (Some(self.x + count), Some(self.y)),
                    _ => (self.x.checked_sub(count), Some(self.y)),
                };
                (self.x, self.y) = (x.unwrap(), y.unwrap());
                assert!(self.x < self.columns && self.y < self.rows.len(), "a step out of the screen");
            }
            (b"", 'r') => {
                let bottom = numbers.get(1).copied().filter(|bottom| *bottom > 0).unwrap_or(self.rows.len());
                assert!(first == 0 || count < bottom, "a region has two rows at least");
                assert!(bottom <= self.rows.len());
                self.region = (count - 1, bottom - 1);
                (self.x, self.y, self.certain, self.pending) = (0, 0, true, false);
            }
            (b"", 'M' | 'L') => {
                assert!(band && self.updating, "rows move inside a region and a synchronised update");
                let bottom = self.region.1;
                assert_eq!(self.pen, PLAIN);
                for _ in 0..count {
                    let (from, to) = if action == 'M' { (self.y, bottom) } else { (bottom, self.y) };
                    self.rows.remove(from);
                    self.rows.insert(to, vec![blank(); self.columns]);
                }
                self.moved += count;
                self.certain = false;
            }
            (b"", 'K') => self.clear(self.x, self.columns),
            (b"", 'X') => self.clear(self.x, (self.x + count).min(self.columns)),
            (b"", 'J') => {
                assert_eq!(first, 2);
                for row in &mut self.rows {
                    row.fill(blank());
                }
            }
            (b"", 'm') => self.set_color(&numbers),
            (b"?", 'h' | 'l') => match first {
                25 => self.hidden = action == 'l',
                2026 => self.updating = action == 'h',
                other => panic!("mode {other}"),
            },
            _ => panic!("{intermediates:?} {params:?} {action}"),
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        let [b"8", _, target @ ..] = params else { panic!("{params:?}") };
        let target = String::from_utf8(target.join(&b';')).unwrap();
        self.link = (!target.is_empty()).then_some(target);
    }
}

impl Grid {
    fn set_color(&mut self, numbers: &[usize]) {
        let mut rest = numbers.iter().map(|number| *number as u8);
        if numbers.is_empty() {
            self.pen = PLAIN;
        }
        let (fg, bg, modifier) = &mut self.pen;
        while let Some(code) = rest.next() {
            let mut more = |code| match (code, rest.next()) {
                (_, Some(5)) => Color::Indexed(rest.next().unwrap()),
                (_, Some(2)) => Color::Rgb(rest.next().unwrap(), rest.next().unwrap(), rest.next().unwrap()),
                other => panic!("{other:?}"),
            };
            match code {
                0 => (*fg, *bg, *modifier) = PLAIN,
                1..=9 => *modifier |= Modifier::from_bits_truncate(1 << (code - 1)),
                22 => modifier.remove(Modifier::BOLD | Modifier::DIM),
                23 => modifier.remove(Modifier::ITALIC),
                24 => modifier.remove(Modifier::UNDERLINED),
                25 => modifier.remove(Modifier::SLOW_BLINK | Modifier::RAPID_BLINK),
                27 => modifier.remove(Modifier::REVERSED),
                28 => modifier.remove(Modifier::HIDDEN),
                29 => modifier.remove(Modifier::CROSSED_OUT),
                30..=37 => *fg = Color::Indexed(code - 30),
                38 => *fg = more(code),
                39 => *fg = Color::Reset,
                40..=47 => *bg = Color::Indexed(code - 40),
                48 => *bg = more(code),
                49 => *bg = Color::Reset,
                90..=97 => *fg = Color::Indexed(code - 82),
                100..=107 => *bg = Color::Indexed(code - 92),
                other => panic!("colour {other}"),
            }
        }
    }
}
