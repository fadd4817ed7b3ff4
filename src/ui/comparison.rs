//! Two sessions in two panes, with what differs coloured: the screen of `compare`.
//!
//! The invariant: both panes scroll as one, and what belongs together is on one row.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{RowWriter, clear};
use super::theme::{Role, Theme};
use crate::compare::side_by_side::{ComparedLine, LinePart, SideBySide};
use crate::text::clean::{clean, one_line};
use crate::text::width::{expand_tabs, str_width};
use crate::text::wrap::wrap;

/// Rows of the titles above the panes and of the keys below them.
const FRAME_ROWS: u16 = 2;
/// Cells of a line's sign and the space behind it.
const SIGN_CELLS: u16 = 2;
/// Rows that stay in sight before a difference that is gone to.
const ROWS_BEFORE: usize = 3;
/// Cells between tab stops.
const TAB_STOP: usize = 4;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparisonMove {
    /// Rows down; negative is up.
    Rows(isize),
    /// The same in screens.
    Pages(isize),
    Start,
    End,
    NextDifference,
    PreviousDifference,
    /// Another session beside the first.
    NextSession,
}

pub struct ComparisonView {
    pairs: Vec<SideBySide>,
    shown: usize,
    /// The first row that is shown.
    top: usize,
    /// Which of the differences was gone to.
    current: Option<usize>,
    /// Laid out for this width.
    width: u16,
    rows: Vec<PaneRow>,
    /// The row at which each line begins.
    row_of_line: Vec<usize>,
    height: usize,
}

/// One row of both panes.
struct PaneRow {
    line: usize,
    /// It is the first of its line.
    is_first: bool,
    sides: [Option<String>; 2],
}

impl ComparisonView {
    /// Begins at the first place where they part.
    pub fn new(pairs: Vec<SideBySide>) -> Self {
        Self { pairs, shown: 0, top: 0, current: None, width: 0, rows: Vec::new(), row_of_line: Vec::new(), height: 0 }
    }

    fn page(&self) -> Option<&SideBySide> {
        self.pairs.get(self.shown)
    }

    pub fn apply(&mut self, asked: ComparisonMove) {
        let page_rows = isize::try_from(self.height.saturating_sub(1).max(1)).unwrap_or(isize::MAX);
        match asked {
            ComparisonMove::Rows(rows) => self.top = self.top.saturating_add_signed(rows),
            ComparisonMove::Pages(pages) => self.top = self.top.saturating_add_signed(pages.saturating_mul(page_rows)),
            ComparisonMove::Start => self.top = 0,
            ComparisonMove::End => self.top = usize::MAX,
            ComparisonMove::NextDifference => self.go_to(self.current.map_or(0, |at| at + 1)),
            ComparisonMove::PreviousDifference => self.go_to(self.current.map_or(0, |at| at.saturating_sub(1))),
            ComparisonMove::NextSession if self.pairs.len() > 1 => {
                self.shown = (self.shown + 1) % self.pairs.len();
                (self.top, self.current, self.width) = (0, None, 0);
                self.rows.clear();
            }
            ComparisonMove::NextSession => {}
        }
        self.top = self.top.min(self.rows.len().saturating_sub(self.height));
    }

    fn go_to(&mut self, nth: usize) {
        let Some(line) = self.page().and_then(|page| page.differences.get(nth).copied()) else { return };
        self.current = Some(nth);
        let row = self.row_of_line.get(line).copied().unwrap_or_default();
        self.top = row.saturating_sub(ROWS_BEFORE);
    }

    pub fn draw(&mut self, theme: Theme, area: Rect, buf: &mut Buffer) {
        clear(area, buf);
        if area.width < 12 || area.height < 4 {
            return;
        }
        self.height = usize::from(area.height - FRAME_ROWS);
        let pane = (area.width - 1) / 2;
        self.lay_out(pane);
        self.top = self.top.min(self.rows.len().saturating_sub(self.height));
        let Some(page) = self.pairs.get(self.shown) else { return };
        let columns = [area.x, area.x + pane + 1];
        let part = |index: usize, y: u16| Rect { x: columns[index], y, width: pane, height: 1 };
        for (index, title) in page.titles.iter().enumerate() {
            let title = format!("{} {}", ["A", "B"][index], one_line(title, usize::from(pane)));
            RowWriter::new(buf, part(index, area.y), 0).write(&title, theme.style(Role::Heading));
        }
        let border = theme.style(Role::Border);
        for row in 0..area.height - 1 {
            RowWriter::new(buf, Rect { x: area.x + pane, width: 1, ..area }, row).write("│", border);
        }
        let first = page.differences.first().copied();
        for (offset, row) in self.rows.iter().skip(self.top).take(self.height).enumerate() {
            let Some(line) = page.lines.get(row.line) else { continue };
            let y = area.y + 1 + offset as u16;
            let is_current = self.current.and_then(|at| page.differences.get(at)) == Some(&row.line);
            for (index, text) in row.sides.iter().enumerate() {
                let (sign, style) = look(line, index, theme);
                let sign = if first == Some(row.line) && row.is_first { "▶" } else { sign };
                let sign_style = if is_current { theme.style(Role::Accent) } else { style };
                let mut pen = RowWriter::new(buf, part(index, y), 0);
                let has_sign = text.is_some() || row.is_first && line.sides[index].is_some();
                pen.write(if has_sign { sign } else { " " }, sign_style).skip(1);
                if let Some(text) = text {
                    pen.write(text, style);
                }
            }
        }
        self.draw_footer(theme, area, buf);
    }

    fn draw_footer(&self, theme: Theme, area: Rect, buf: &mut Buffer) {
        let Some(page) = self.page() else { return };
        let count = page.differences.len();
        let told = match (count, self.current) {
            (0, _) => "they say and do the same".to_owned(),
            (1, _) => "1 difference".to_owned(),
            (_, None) => format!("{count} differences"),
            (_, Some(at)) => format!("difference {} of {count}", at + 1),
        };
        let mut pen = RowWriter::new(buf, area, area.height - 1);
        pen.write(&told, theme.style(Role::Status));
        let mut keys = vec![("n", "next"), ("p", "previous"), ("↑↓", "scroll")];
        keys.extend((self.pairs.len() > 1).then_some(("Tab", "other session")));
        keys.push(("q", "quit"));
        for (key, what) in keys {
            if pen.room() < 2 + str_width(key) + 1 + what.len() {
                break;
            }
            pen.skip(2).write(key, theme.style(Role::Key)).skip(1).write(what, theme.style(Role::Dim));
        }
    }

    /// Lays out what is shown, unless it was for this width.
    fn lay_out(&mut self, pane: u16) {
        if self.width == pane {
            return;
        }
        let Some(page) = self.pairs.get(self.shown) else { return };
        let is_first = self.rows.is_empty();
        let place = self.rows.get(self.top).map(|row| row.line);
        let room = usize::from(pane.saturating_sub(SIGN_CELLS)).max(1);
        (self.width, self.rows, self.row_of_line) = (pane, Vec::new(), Vec::new());
        for (index, line) in page.lines.iter().enumerate() {
            self.row_of_line.push(self.rows.len());
            let texts = line.sides.each_ref().map(|side| side.as_deref().map(|side| wrapped(side, room)));
            let height = texts.iter().flatten().map(Vec::len).max().unwrap_or(1).max(1);
            let mut sides = texts.map(|rows| rows.unwrap_or_default().into_iter());
            for nth in 0..height {
                let sides = [sides[0].next(), sides[1].next()];
                self.rows.push(PaneRow { line: index, is_first: nth == 0, sides });
            }
        }
        match place {
            // The same lines in another width.
            Some(line) if !is_first && self.current.is_none() => {
                self.top = self.row_of_line.get(line).copied().unwrap_or_default();
            }
            _ => self.go_to(self.current.unwrap_or(0)),
        }
    }
}

/// Returns the sign and the look of one side of a line.
fn look(line: &ComparedLine, side: usize, theme: Theme) -> (&'static str, Style) {
    let role = match (line.differs, line.part) {
        (true, _) => [Role::Removed, Role::Added][side.min(1)],
        (false, LinePart::Turn) => Role::Dim,
        (false, LinePart::Prompt) => Role::User,
        (false, LinePart::Call) => Role::Tool,
        (false, LinePart::Answer | LinePart::Gap) => Role::Text,
    };
    let sign = match (line.differs, line.part) {
        (true, _) => ["-", "+"][side.min(1)],
        (false, LinePart::Prompt) => "›",
        (false, LinePart::Call) => "•",
        (false, LinePart::Turn | LinePart::Answer | LinePart::Gap) => " ",
    };
    (sign, theme.style(role))
}

fn wrapped(text: &str, room: usize) -> Vec<String> {
    let cleaned = clean(text);
    let text: Cow<'_, str> = expand_tabs(&cleaned, TAB_STOP);
    wrap(&text, room).iter().map(|row| row.slice(&text).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(part: LinePart, a: Option<&str>, b: Option<&str>, differs: bool) -> ComparedLine {
        ComparedLine { part, sides: [a.map(str::to_owned), b.map(str::to_owned)], differs }
    }

    fn pair() -> SideBySide {
        let mut lines = vec![
            line(LinePart::Turn, Some("1. 2.0s"), Some("1. 3.0s"), false),
            line(LinePart::Prompt, Some("list the files"), Some("list the files"), false),
            line(LinePart::Call, Some("shell ls"), Some("shell ls -la"), true),
            line(LinePart::Answer, Some("there are\u{1b}[2J three files and a folder here"), Some("none"), true),
        ];
        lines.extend((0..20).map(|_| line(LinePart::Answer, Some("same"), Some("same"), false)));
        lines.push(line(LinePart::Answer, None, Some("only here"), true));
        SideBySide { titles: ["one · m".into(), "two".into()], lines, differences: vec![2, 3, 24] }
    }

    fn frame(view: &mut ComparisonView, width: u16, height: u16) -> String {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        view.draw(Theme::default(), area, &mut buf);
        let row = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned() + "\n";
        (0..height).map(row).collect()
    }

    #[test]
    fn both_stand_on_one_row_and_the_first_parting_is_marked() {
        let mut view = ComparisonView::new(vec![pair()]);
        let rows = [
            ("A one · m", "B two"),
            ("  1. 2.0s", "  1. 3.0s"),
            ("› list the files", "› list the files"),
            ("▶ shell ls", "▶ shell ls -la"),
            ("- there are three files", "+ none"),
            ("- and a folder here", ""),
            ("  same", "  same"),
            ("  same", "  same"),
        ];
        let rows: Vec<String> = rows.iter().map(|(a, b)| format!("{a:<24}│{b}\n")).collect();
        let keys = "difference 1 of 3  n next  p previous  ↑↓ scroll\n";
        assert_eq!(frame(&mut view, 49, 9), rows.concat() + keys);
    }

    #[test]
    fn keys_go_from_difference_to_difference_and_stay_inside() {
        let mut view = ComparisonView::new(vec![pair(), SideBySide::default()]);
        frame(&mut view, 80, 10);
        view.apply(ComparisonMove::NextDifference);
        view.apply(ComparisonMove::NextDifference);
        let shown = frame(&mut view, 80, 10);
        assert!(shown.contains("+ only here") && shown.contains("difference 3 of 3"), "{shown}");
        view.apply(ComparisonMove::NextDifference);
        view.apply(ComparisonMove::Pages(5));
        view.apply(ComparisonMove::Rows(isize::MAX));
        assert_eq!(frame(&mut view, 80, 10), shown, "there is nothing behind the last");
        view.apply(ComparisonMove::Start);
        assert!(frame(&mut view, 80, 10).contains("1. 2.0s"));
        view.apply(ComparisonMove::PreviousDifference);
        view.apply(ComparisonMove::NextSession);
        assert!(frame(&mut view, 80, 10).contains("they say and do the same"));
        for (width, height) in [(0, 0), (11, 3), (12, 4), (13, 5), (400, 100)] {
            view.apply(ComparisonMove::NextSession);
            frame(&mut view, width, height);
            view.apply(ComparisonMove::End);
            frame(&mut view, width, height);
        }
    }
}
