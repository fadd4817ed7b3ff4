//! Laid-out text: rows of cells with faces, packed into three allocations whatever the number of rows.
//!
//! [`Flow`] is styled text that has no width yet, [`Page`] lays flows out below each other with indents and bars, and
//! [`Laid`] is the result. Not for deciding what is shown. The invariant: no row of a [`Laid`] is wider than its page
//! where the page is at least two cells wide, and its text holds no control characters.

use std::ops::Range;
use std::rc::Rc;

use ratatui::buffer::{Buffer, Cell as BufferCell};
use ratatui::style::Style;

use crate::text::width::{PLACEHOLDER, cells, str_width};
use crate::text::wrap::{Row, chop, wrap};
#[cfg(feature = "images")]
use crate::ui::image::Shown;
use crate::ui::theme::{Face, Role, Theme, with_link};

use super::links::{Links, number};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    end: u32,
    face: Face,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct RowEnd {
    text: u32,
    span: u32,
    /// Nothing stands between this row and the next: a word or a line of code goes on.
    goes_on: bool,
}

/// Rows of text with faces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Laid {
    text: String,
    spans: Vec<Span>,
    rows: Vec<RowEnd>,
    /// Where its links go.
    targets: Vec<Rc<str>>,
    /// Pictures that stand alone.
    #[cfg(feature = "images")]
    shown: Vec<Shown>,
}

impl Laid {
    pub fn rows(&self) -> u32 {
        self.rows.len() as u32
    }

    /// Returns about how much memory this holds.
    pub fn bytes(&self) -> usize {
        #[cfg(feature = "images")]
        let shown = self.shown.iter().map(Shown::bytes).sum::<usize>();
        #[cfg(not(feature = "images"))]
        let shown = 0;
        size_of::<Self>()
            + shown
            + self.text.capacity()
            + self.spans.capacity() * size_of::<Span>()
            + self.rows.capacity() * size_of::<RowEnd>()
            + self.targets.iter().map(|target| target.len() + 32).sum::<usize>()
    }

    /// Returns a row's text; empty past the end.
    pub fn row_text(&self, row: u32) -> &str {
        let (from, to) = self.bounds(row).map_or((0, 0), |(from, to)| (from.text, to.text));
        self.text.get(from as usize..to as usize).unwrap_or("")
    }

    /// Returns whether a word, or a line of code, goes on in the next row.
    pub fn goes_on(&self, row: u32) -> bool {
        self.rows.get(row as usize).is_some_and(|row| row.goes_on)
    }

    /// Iterates over a row's pieces.
    pub fn row(&self, row: u32) -> impl Iterator<Item = (&str, Face)> {
        let (from, to) = self.bounds(row).unwrap_or_default();
        let spans = self.spans.get(from.span as usize..to.span as usize).unwrap_or(&[]);
        let mut start = from.text as usize;
        spans.iter().map(move |span| {
            let piece = self.text.get(start..span.end as usize).unwrap_or("");
            start = span.end as usize;
            (piece, span.face)
        })
    }

    /// Returns all rows as strings: for tests and copies.
    pub fn to_strings(&self) -> Vec<String> {
        (0..self.rows()).map(|row| self.row_text(row).to_owned()).collect()
    }

    /// Writes a row into the buffer, at most `max` cells. Returns the first column after it.
    pub fn draw_row(&self, row: u32, x: u16, y: u16, max: u16, theme: Theme, buf: &mut Buffer) -> u16 {
        let end = x.saturating_add(max).min(buf.area.right());
        let mut at = x;
        for (text, face) in self.row(row) {
            let style = match face.link().and_then(|row| self.targets.get(row)) {
                Some(target) => with_link(theme.face(face), number(target)),
                None => theme.face(face),
            };
            at = draw_text(text, at, y, end, style, buf);
        }
        #[cfg(feature = "images")]
        for shown in &self.shown {
            shown.draw(row, x, y, end, buf);
        }
        at
    }

    /// The pictures among its rows, also those that have none so far.
    #[cfg(feature = "images")]
    pub fn images(&self) -> &[Shown] {
        &self.shown
    }

    /// Notes where the links of some rows go.
    pub fn note_links(&self, rows: Range<u32>, links: &mut Links) {
        let faces = rows.flat_map(|row| self.row(row)).map(|(_, face)| face);
        for target in faces.filter_map(|face| self.targets.get(face.link()?)) {
            links.note(target);
        }
    }

    /// Takes a flow's targets and returns the row of the first.
    fn adopt(&mut self, flow: &Flow) -> usize {
        let base = self.targets.len();
        self.targets.extend(flow.targets.iter().cloned());
        base
    }

    fn bounds(&self, row: u32) -> Option<(RowEnd, RowEnd)> {
        let to = *self.rows.get(row as usize)?;
        let from = match row.checked_sub(1) {
            Some(before) => *self.rows.get(before as usize)?,
            None => RowEnd::default(),
        };
        Some((from, to))
    }

    fn put(&mut self, text: &str, face: Face) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        let row_start = self.rows.last().map_or(0, |row| row.span) as usize;
        let end = self.text.len() as u32;
        let has_span = self.spans.len() > row_start;
        match self.spans.last_mut() {
            Some(last) if has_span && last.face == face => last.end = end,
            _ => self.spans.push(Span { end, face }),
        }
    }

    fn end_row(&mut self) {
        self.rows.push(RowEnd { text: self.text.len() as u32, span: self.spans.len() as u32, goes_on: false });
    }

    /// The last row ends inside of something.
    fn go_on(&mut self) {
        if let Some(last) = self.rows.last_mut() {
            last.goes_on = true;
        }
    }
}

/// Writes cleaned text on one row up to column `end`. Returns the first column after it.
pub fn draw_text(text: &str, x: u16, y: u16, end: u16, style: Style, buf: &mut Buffer) -> u16 {
    let area = buf.area;
    let end = end.min(area.right());
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= end {
        return x;
    }
    let from = buf.index_of(x, y);
    let row = &mut buf.content[from..from + usize::from(end - x)];
    let mut at = 0;
    for cell in cells(text) {
        if cell.width == 0 {
            continue;
        }
        let Some((target, hidden)) = row.get_mut(at..at + cell.width).and_then(<[_]>::split_first_mut) else { break };
        target.set_symbol(cell.text).set_style(style);
        hidden.iter_mut().for_each(BufferCell::reset);
        at += cell.width;
    }
    x + at as u16
}

/// Text with faces, not yet wrapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    pub text: String,
    spans: Vec<(usize, Face)>,
    targets: Vec<Rc<str>>,
}

impl Flow {
    pub fn push(&mut self, text: &str, face: Face) {
        if text.is_empty() {
            return;
        }
        self.text.push_str(text);
        match self.spans.last_mut() {
            Some((end, last)) if *last == face => *end = self.text.len(),
            _ => self.spans.push((self.text.len(), face)),
        }
    }

    pub fn of(text: &str, face: Face) -> Self {
        let mut flow = Self::default();
        flow.push(text, face);
        flow
    }

    /// Adds a target and returns the row of it for [`Face::linked`].
    pub fn add_target(&mut self, target: &str) -> usize {
        self.targets.push(target.into());
        self.targets.len() - 1
    }

    /// Makes the text from `start` on part of a link.
    pub fn link_from(&mut self, start: usize, target: &str) {
        self.link(start..self.text.len(), target);
    }

    /// Makes a range of the text part of a link. Costs the range.
    pub fn link(&mut self, range: Range<usize>, target: &str) {
        let row = self.add_target(target);
        let first = self.spans.partition_point(|(end, _)| *end <= range.start);
        let last = (self.spans.partition_point(|(end, _)| *end < range.end) + 1).min(self.spans.len());
        let mut at = first.checked_sub(1).and_then(|before| self.spans.get(before)).map_or(0, |(end, _)| *end);
        let mut linked_spans = Vec::new();
        for &(end, face) in self.spans.get(first..last).unwrap_or(&[]) {
            // What of the span is before the range, in it and after it.
            for (until, linked) in [(range.start, false), (range.end, true), (end, false)] {
                let until = until.min(end);
                if until > at {
                    let face = if linked { face.as_link().linked(Some(row)) } else { face };
                    linked_spans.push((until, face));
                    at = until;
                }
            }
        }
        self.spans.splice(first..last.max(first), linked_spans);
    }

    /// Returns whether any of a range is part of a link or of code.
    pub fn is_taken(&self, range: &Range<usize>) -> bool {
        let first = self.spans.partition_point(|(end, _)| *end <= range.start);
        let mut start = first.checked_sub(1).and_then(|before| self.spans.get(before)).map_or(0, |(end, _)| *end);
        self.spans
            .iter()
            .skip(first)
            .take_while(|&&(end, _)| std::mem::replace(&mut start, end) < range.end)
            .any(|(_, face)| face.link().is_some() || matches!(face.role, Role::Code | Role::Math))
    }

    pub fn append(&mut self, other: &Self) {
        let base = self.targets.len();
        self.targets.extend(other.targets.iter().cloned());
        let mut start = 0;
        for &(end, face) in &other.spans {
            let face = face.linked(face.link().map(|row| row + base));
            self.push(other.text.get(start..end).unwrap_or(""), face);
            start = end;
        }
    }

    /// Empties it; what it took is kept for what comes.
    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
        self.targets.clear();
    }

    /// Forgets what is behind that many bytes.
    pub fn truncate(&mut self, length: usize) {
        self.text.truncate(self.text.floor_char_boundary(length));
        let length = self.text.len();
        let whole = self.spans.partition_point(|(end, _)| *end < length);
        self.spans.truncate(whole + 1);
        if let Some((end, _)) = self.spans.last_mut() {
            *end = length.min(*end);
        }
    }

    pub fn trim_end(&mut self) {
        self.text.truncate(self.text.trim_end().len());
        for (end, _) in &mut self.spans {
            *end = self.text.len().min(*end);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Puts the row's text into the open row; `span` is where the row before stopped in the list of faces.
    fn put_row(&self, row: Row, span: &mut usize, base: usize, laid: &mut Laid) {
        let mut start = row.start;
        while start < row.end {
            let Some(&(end, face)) = self.spans.get(*span) else { break };
            if end <= start {
                *span += 1;
                continue;
            }
            let stop = end.min(row.end);
            let face = face.linked(face.link().map(|row| row + base));
            if row.too_wide {
                laid.put(PLACEHOLDER, face);
                return;
            }
            laid.put(&self.text[start..stop], face);
            start = stop;
        }
    }
}

/// What stands left of the rows of a block: once in front of its first row, then on all others.
#[derive(Clone, Debug)]
struct Prefix {
    first: Option<(String, Face)>,
    rest: (String, Face),
    width: usize,
}

/// Lays flows out below each other, inside nested indents and bars.
#[derive(Debug)]
pub struct Page {
    laid: Laid,
    width: usize,
    prefixes: Vec<Prefix>,
}

/// No indent or bar may leave less room than this for the text itself.
const LEAST_ROOM: usize = 6;

impl Page {
    pub fn new(width: u16) -> Self {
        Self { laid: Laid::default(), width: usize::from(width).max(1), prefixes: Vec::new() }
    }

    /// Returns the cells that are left for text.
    pub fn room(&self) -> usize {
        let used: usize = self.prefixes.iter().map(|prefix| prefix.width).sum();
        self.width.saturating_sub(used).max(1)
    }

    /// Indents what follows, with `marker` in front of its first row. Returns false, and indents nothing, where too
    /// little room would be left; then the caller puts the marker into the text.
    pub fn indent(&mut self, marker: &str, face: Face) -> bool {
        let width = str_width(marker);
        let fits = width == 0 || self.room() >= width + LEAST_ROOM;
        let (first, rest, width) =
            if fits { (Some((marker.to_owned(), face)), " ".repeat(width), width) } else { (None, String::new(), 0) };
        self.prefixes.push(Prefix { first, rest: (rest, Face::default()), width });
        fits
    }

    /// Puts another marker of the same width in front of the first row. Returns false where it is too late for that or
    /// where it has another width.
    pub fn replace_marker(&mut self, marker: &str, face: Face) -> bool {
        match self.prefixes.last_mut() {
            Some(Prefix { first: Some(first), width, .. }) if str_width(marker) == *width => {
                *first = (marker.to_owned(), face);
                true
            }
            _ => false,
        }
    }

    /// Puts `bar` in front of every row that follows, where there is room.
    pub fn bar(&mut self, bar: &str, face: Face) {
        let width = str_width(bar);
        let (bar, width) = if self.room() >= width + LEAST_ROOM { (bar, width) } else { ("", 0) };
        self.prefixes.push(Prefix { first: None, rest: (bar.to_owned(), face), width });
    }

    /// Ends the innermost indent or bar. A marker without any text still gets its row.
    pub fn outdent(&mut self) {
        if self.prefixes.last().is_some_and(|prefix| prefix.first.is_some()) {
            self.row(|_| {});
        }
        self.prefixes.pop();
    }

    /// Adds an empty row; bars go on.
    pub fn gap(&mut self) {
        let mut end = self.prefixes.len();
        // A bar is visible, an indent isn't: no blanks at the end of a row.
        while end > 0 && self.prefixes.get(end - 1).is_some_and(|prefix| prefix.rest.0.trim().is_empty()) {
            end -= 1;
        }
        for prefix in self.prefixes.iter().take(end) {
            self.laid.put(&prefix.rest.0, prefix.rest.1);
        }
        self.laid.end_row();
    }

    /// Wraps a flow at words.
    pub fn flow(&mut self, flow: &Flow) {
        let rows = wrap(&flow.text, self.room());
        self.put_rows(flow, &rows);
    }

    /// Returns the cells that [`Self::edged`] leaves for text.
    pub fn edged_room(&self, edge: (&str, &str)) -> usize {
        let (room, width) = (self.room(), str_width(edge.0));
        if room >= width + LEAST_ROOM { room - width } else { room }
    }

    /// Lays out code or program output: `edge` stands before each line and before what is left of a long one; `fill`
    /// puts a line into an empty flow.
    pub fn edged(&mut self, text: &str, edge: (&str, &str), edge_face: Face, mut fill: impl FnMut(&str, &mut Flow)) {
        let room = self.edged_room(edge);
        let edge = if room < self.room() { edge } else { ("", "") };
        let mut flow = Flow::default();
        for line in text.split('\n') {
            flow.clear();
            fill(line, &mut flow);
            let base = self.laid.adopt(&flow);
            let mut span = 0;
            for (index, row) in chop(line, room).into_iter().enumerate() {
                if index > 0 {
                    self.laid.go_on();
                }
                self.row(|laid| {
                    laid.put(if index == 0 { edge.0 } else { edge.1 }, edge_face);
                    flow.put_row(row, &mut span, base, laid);
                });
            }
        }
    }

    /// Adds one row that is known to fit.
    pub fn pieces<'a>(&mut self, pieces: impl IntoIterator<Item = (&'a str, Face)>) {
        self.row(|laid| {
            for (text, face) in pieces {
                laid.put(text, face);
            }
        });
    }

    /// Adds rows in which several flows stand side by side.
    pub(in crate::ui) fn columns(&mut self, cells: &[Column<'_>], separator: (&str, Face)) {
        let mut spans: Vec<(usize, usize)> = cells.iter().map(|cell| (0, self.laid.adopt(cell.flow))).collect();
        let height = cells.iter().map(|cell| cell.rows.len()).max().unwrap_or(0);
        for index in 0..height {
            self.row(|laid| {
                for (at, (cell, span)) in cells.iter().zip(&mut spans).enumerate() {
                    if at > 0 {
                        laid.put(separator.0, separator.1);
                    }
                    let row = cell.rows.get(index);
                    let free = cell.width.saturating_sub(row.map_or(0, |row| row.width));
                    let left = match cell.side {
                        Side::Left => 0,
                        Side::Centre => free / 2,
                        Side::Right => free,
                    };
                    laid.put(&" ".repeat(left), Face::default());
                    if let Some(row) = row {
                        cell.flow.put_row(*row, &mut span.0, span.1, laid);
                    }
                    if at + 1 < cells.len() {
                        laid.put(&" ".repeat(free - left), Face::default());
                    }
                }
            });
        }
    }

    /// Adds the rows of a picture.
    #[cfg(feature = "images")]
    pub(in crate::ui) fn image(&mut self, mut shown: Shown) {
        shown.first = self.laid.rows();
        for row in 0..shown.grid.as_ref().map_or(0, |grid| grid.rows) {
            self.row(|_| {});
            if row == 0 {
                shown.left = str_width(self.laid.row_text(shown.first)) as u16;
            }
        }
        self.laid.shown.push(shown);
    }

    pub fn rows(&self) -> u32 {
        self.laid.rows()
    }

    pub fn finish(mut self) -> Laid {
        self.laid.text.shrink_to_fit();
        self.laid.spans.shrink_to_fit();
        self.laid.rows.shrink_to_fit();
        self.laid
    }

    fn put_rows(&mut self, flow: &Flow, rows: &[Row]) {
        let mut span = 0;
        let base = self.laid.adopt(flow);
        let mut end = None;
        for row in rows {
            if end == Some(row.start) {
                self.laid.go_on();
            }
            end = Some(row.end);
            self.row(|laid| flow.put_row(*row, &mut span, base, laid));
        }
    }

    fn row(&mut self, fill: impl FnOnce(&mut Laid)) {
        for prefix in &mut self.prefixes {
            match prefix.first.take() {
                Some((marker, face)) => self.laid.put(&marker, face),
                None => self.laid.put(&prefix.rest.0, prefix.rest.1),
            }
        }
        fill(&mut self.laid);
        self.laid.end_row();
    }
}

/// One cell of a table's row.
#[derive(Debug)]
pub(in crate::ui) struct Column<'a> {
    pub(in crate::ui) flow: &'a Flow,
    pub(in crate::ui) rows: Vec<Row>,
    pub(in crate::ui) width: usize,
    pub(in crate::ui) side: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum Side {
    Left,
    Centre,
    Right,
}

/// Lays out one flow at a width.
pub fn lay(flow: &Flow, width: u16) -> Laid {
    let mut page = Page::new(width);
    page.flow(flow);
    page.finish()
}

/// Lays out text without any Markdown.
pub fn lay_plain(text: &str, role: Role, width: u16) -> Laid {
    lay(&Flow::of(text, role.into()), width)
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    #[test]
    fn an_indent_hangs_below_its_marker() {
        let mut page = Page::new(14);
        assert!(page.indent("› ", Role::User.into()));
        page.flow(&Flow::of("one two three", Role::Text.into()));
        page.gap();
        page.flow(&Flow::of("four", Role::Text.into()));
        page.outdent();
        assert_eq!(page.finish().to_strings(), ["› one two", "  three", "", "  four"]);
    }

    #[test]
    fn without_room_there_is_no_indent() {
        let mut page = Page::new(5);
        assert!(!page.indent("10. ", Role::Text.into()));
        page.flow(&Flow::of("abcdef", Role::Text.into()));
        page.outdent();
        assert_eq!(page.finish().to_strings(), ["abcde", "f"]);
    }

    #[test]
    fn a_marker_without_text_is_still_shown() {
        let mut page = Page::new(20);
        page.indent("• ", Role::Text.into());
        page.outdent();
        assert_eq!(page.finish().to_strings(), ["• "]);
    }

    #[test]
    fn faces_follow_the_text_over_rows() {
        let mut flow = Flow::default();
        flow.push("plain ", Role::Text.into());
        flow.push("code here", Role::Code.into());
        let laid = lay(&flow, 10);
        let rows: Vec<Vec<(&str, Role)>> =
            (0..laid.rows()).map(|row| laid.row(row).map(|(text, face)| (text, face.role)).collect()).collect();
        assert_eq!(rows, [vec![("plain ", Role::Text), ("code", Role::Code)], vec![("here", Role::Code)]]);
    }

    #[test]
    fn links_of_rows_that_are_not_shown_are_not_looked_at() {
        let mut flow = Flow::default();
        let urls: Vec<String> = (0..100).map(|nth| format!("http://a.b/{nth}")).collect();
        for url in &urls {
            let start = flow.text.len();
            flow.push("x", Role::Text.into());
            flow.link_from(start, url);
            flow.push("\n", Role::Text.into());
        }
        let mut links = Links::default();
        lay(&flow, 10).note_links(10..12, &mut links);
        let noted: Vec<&String> = urls.iter().filter(|url| links.get(number(url)).is_some()).collect();
        assert_eq!(noted, [&urls[10], &urls[11]]);
    }

    #[test]
    fn a_link_in_the_middle_changes_no_other_face() {
        let mut flow = Flow::default();
        for (text, role) in [("one ", Role::Text), ("two ", Role::Code), ("three", Role::Text)] {
            flow.push(text, role.into());
        }
        flow.link(2..6, "http://a.b");
        let laid = lay(&flow, 20);
        let faces: Vec<(&str, bool)> = laid.row(0).map(|(text, face)| (text, face.link().is_some())).collect();
        assert_eq!(faces, [("on", false), ("e ", true), ("tw", true), ("o ", false), ("three", false)]);
    }

    #[test]
    fn drawing_stops_at_the_edge() {
        let laid = lay_plain("ab漢字", Role::Text, 10);
        let mut buf = Buffer::empty(Rect::new(0, 0, 6, 1));
        assert_eq!(laid.draw_row(0, 1, 0, 4, Theme::default(), &mut buf), 5);
        let row: String = (0..6).map(|x| buf[(x, 0)].symbol().to_owned()).collect();
        assert_eq!(row, " ab漢  ");
        laid.draw_row(0, 0, 9, 4, Theme::default(), &mut buf);
    }
}
