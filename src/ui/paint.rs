//! Small strokes that all panes use: a row written from left to right, a framed box, a row of segments that fit.
//!
//! Texts must have passed `text::clean` or come from this program. Nothing here writes outside the area it was given.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::store::Store;
use crate::text::width::{str_width, truncate_with_ellipsis};

use super::text_layout::laid_out::draw_text;
use super::theme::{Role, Theme};

const SPINNER_FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
/// How long one picture of the spinner stands.
const SPINNER_FRAME_MS: u64 = 100;
/// What stands where one would turn.
const STILL_SPINNER: &str = "•";

/// Writes one row from left to right and stops at its end.
pub struct RowWriter<'a> {
    buf: &'a mut Buffer,
    x: u16,
    y: u16,
    end: u16,
}

impl<'a> RowWriter<'a> {
    /// Begins at the left end of a row of the area; a row outside takes nothing.
    pub fn new(buf: &'a mut Buffer, area: Rect, row: u16) -> Self {
        let area = area.intersection(buf.area);
        let inside = row < area.height;
        let (x, y) = (area.x, area.y.saturating_add(row));
        Self { buf, x, y, end: if inside { area.right() } else { x } }
    }

    /// Begins so that a text of that width ends at the right end.
    pub fn at_right(buf: &'a mut Buffer, area: Rect, row: u16, width: usize) -> Self {
        let mut pen = Self::new(buf, area, row);
        let skip = pen.room().saturating_sub(width);
        pen.skip(skip);
        pen
    }

    pub fn room(&self) -> usize {
        usize::from(self.end.saturating_sub(self.x))
    }

    pub fn column(&self) -> u16 {
        self.x
    }

    pub fn skip(&mut self, cells: usize) -> &mut Self {
        self.x += cells.min(self.room()) as u16;
        self
    }

    /// Writes what fits.
    pub fn write(&mut self, text: &str, style: Style) -> &mut Self {
        if self.room() > 0 {
            self.x = draw_text(text, self.x, self.y, self.end, style, self.buf);
        }
        self
    }

    /// Writes the text, with an ellipsis when it doesn't fit into the row less `keep` cells.
    pub fn write_truncated(&mut self, text: &str, keep: usize, style: Style) -> &mut Self {
        let room = self.room().saturating_sub(keep);
        self.write(&truncate_with_ellipsis(text, room), style)
    }

    /// Fills the rest of the row.
    pub fn fill(&mut self, symbol: &str, style: Style) {
        while self.room() > 0 {
            let before = self.x;
            self.write(symbol, style);
            if self.x == before {
                return;
            }
        }
    }
}

/// Returns the spinner's picture at the time of the store; one that stands still where nothing is to move.
pub fn spinner(store: &Store) -> &'static str {
    if store.reduced_motion {
        return STILL_SPINNER;
    }
    SPINNER_FRAMES[(store.session.now.0 / SPINNER_FRAME_MS) as usize % SPINNER_FRAMES.len()]
}

/// Empties an area, and the left half of a wide character that reached into it.
pub fn clear(area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    for y in area.top()..area.bottom() {
        if area.x > buf.area.x
            && let Some(left) = buf.cell_mut((area.x - 1, y))
            && str_width(left.symbol()) > 1
        {
            left.set_symbol(" ");
        }
        for x in area.left()..area.right() {
            if let Some(cell) = buf.cell_mut((x, y)) {
                cell.reset();
            }
        }
    }
}

/// Lays a style over cells that are written already.
pub fn restyle(area: Rect, style: Style, buf: &mut Buffer) {
    buf.set_style(area.intersection(buf.area), style);
}

/// Gives a whole row one background, whatever colours its words have.
pub fn select_row(area: Rect, theme: Theme, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    for position in area.positions() {
        if let Some(cell) = buf.cell_mut(position) {
            cell.set_style(Style::reset().patch(theme.style(Role::Selection)));
        }
    }
}

/// Draws an empty box with a title and a footer in its border, and returns what is inside.
pub fn draw_box(title: &str, footer: &str, role: Role, theme: Theme, area: Rect, buf: &mut Buffer) -> Rect {
    clear(area, buf);
    if area.width < 4 || area.height < 3 {
        return area;
    }
    let border = theme.style(role);
    let last = area.height - 1;
    for row in 1..last {
        RowWriter::new(buf, area, row).write("│", border);
        RowWriter::at_right(buf, area, row, 1).write("│", border);
    }
    for (row, left, right) in [(0, "╭", "╮"), (last, "╰", "╯")] {
        RowWriter::new(buf, area, row).write(left, border).fill("─", border);
        RowWriter::at_right(buf, area, row, 1).write(right, border);
    }
    let room = usize::from(area.width).saturating_sub(6);
    if !title.is_empty() && room > 0 {
        let title = truncate_with_ellipsis(title, room);
        RowWriter::new(buf, area, 0).skip(2).write(" ", border).write(&title, theme.style(role)).write(" ", border);
    }
    if !footer.is_empty() && room > 0 {
        let footer = truncate_with_ellipsis(footer, room);
        let width = str_width(&footer) + 4;
        let mut pen = RowWriter::at_right(buf, area, last, width);
        pen.write(" ", border).write(&footer, theme.style(Role::Dim)).write(" ", border);
    }
    Rect { x: area.x + 2, y: area.y + 1, width: area.width - 4, height: area.height - 2 }
}

/// A piece of a one-row bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub parts: Vec<(String, Role)>,
    /// The highest goes first when there is no room.
    pub drop_rank: u8,
}

impl Segment {
    pub fn new(rank: u8, text: impl Into<String>, role: Role) -> Self {
        Self { parts: vec![(text.into(), role)], drop_rank: rank }
    }

    pub fn width(&self) -> usize {
        self.parts.iter().map(|(text, _)| str_width(text)).sum()
    }
}

/// Writes as many segments as fit, dots between them, and returns the cells used.
pub fn draw_segments(mut segments: Vec<Segment>, theme: Theme, area: Rect, buf: &mut Buffer) -> usize {
    const SEPARATOR: &str = " · ";
    let room = usize::from(area.width);
    let total = |all: &[Segment]| all.iter().map(|one| one.width() + 3).sum::<usize>().saturating_sub(3);
    while segments.len() > 1 && total(&segments) > room {
        let Some((last, _)) = segments.iter().enumerate().max_by_key(|(index, one)| (one.drop_rank, *index)) else {
            break;
        };
        segments.remove(last);
    }
    let mut pen = RowWriter::new(buf, area, 0);
    for (index, segment) in segments.iter().enumerate() {
        if index > 0 {
            pen.write(SEPARATOR, theme.style(Role::Dim));
        }
        for (text, role) in &segment.parts {
            pen.write_truncated(text, 0, theme.style(*role));
        }
    }
    total(&segments).min(room)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::event::Millis;
    use crate::store::StoreOptions;

    fn row(buf: &Buffer, y: u16) -> String {
        (0..buf.area.width).map(|x| buf[(x, y)].symbol()).collect()
    }

    #[test]
    fn a_spinner_turns_unless_nothing_is_to_move() {
        let pictures = |reduced_motion| {
            let mut store = Store::new(StoreOptions { reduced_motion, ..StoreOptions::default() });
            let later = (0..SPINNER_FRAMES.len() as u64).map(|nth| {
                store.session.now = Millis(nth * SPINNER_FRAME_MS);
                spinner(&store)
            });
            later.collect::<HashSet<_>>().len()
        };
        assert_eq!((pictures(false), pictures(true)), (SPINNER_FRAMES.len(), 1));
    }

    #[test]
    fn a_pen_stops_at_the_end_of_its_row() {
        let area = Rect::new(0, 0, 6, 1);
        let mut buf = Buffer::empty(area);
        RowWriter::new(&mut buf, area, 0).write("ab", Style::new()).write_truncated("cdefgh", 0, Style::new());
        assert_eq!(row(&buf, 0), "abcde…");
        RowWriter::new(&mut buf, area, 7).write("never", Style::new());
        RowWriter::new(&mut buf, Rect::new(50, 50, 4, 4), 0).write("never", Style::new());
    }

    #[test]
    fn a_wide_character_under_the_edge_of_a_box_is_cleared() {
        let area = Rect::new(0, 0, 6, 1);
        let mut buf = Buffer::empty(area);
        RowWriter::new(&mut buf, area, 0).write("漢字漢", Style::new());
        clear(Rect::new(1, 0, 2, 1), &mut buf);
        assert_eq!(buf[(0, 0)].symbol(), " ");
    }

    #[test]
    fn a_selected_row_has_one_look_from_end_to_end() {
        let area = Rect::new(0, 0, 12, 2);
        for kind in crate::ui::theme::ThemeKind::ALL {
            let theme = Theme::new(kind);
            let mut buf = Buffer::empty(area);
            let mut pen = RowWriter::new(&mut buf, area, 1);
            pen.write("a", theme.style(Role::Key)).skip(2).write("b", theme.style(Role::Dim));
            select_row(Rect { y: 1, height: 1, ..area }, theme, &mut buf);
            let looks: Vec<_> = (0..12).map(|x| (buf[(x, 1)].fg, buf[(x, 1)].bg, buf[(x, 1)].modifier)).collect();
            assert!(looks.iter().all(|look| *look == looks[0]), "{kind:?} {looks:?}");
            assert!(buf[(0, 1)].modifier.contains(ratatui::style::Modifier::REVERSED));
            assert_eq!(row(&buf, 1), "a  b        ");
        }
    }

    #[test]
    fn segments_go_by_rank() {
        let all = || {
            vec![
                Segment::new(0, "first", Role::Text),
                Segment::new(2, "second", Role::Text),
                Segment::new(1, "third", Role::Text),
            ]
        };
        for (width, expected) in [(30, "first · second · third"), (18, "first · third"), (8, "first"), (3, "fi…")]
        {
            let area = Rect::new(0, 0, width, 1);
            let mut buf = Buffer::empty(area);
            draw_segments(all(), Theme::default(), area, &mut buf);
            assert_eq!(row(&buf, 0).trim_end(), expected);
        }
    }
}
