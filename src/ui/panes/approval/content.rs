//! What an ask is about, in rows: as many as there is room for, and how much is left out.

use std::rc::Rc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::ApprovalRequest;
use crate::store::approval::AskedPart;
use crate::text::width::expand_tabs;
use crate::text::wrap::{wrap, wrap_hard};
use crate::text::{one_line, visible, visible_line};
use crate::ui::diff::{DiffView, lay_diff};
use crate::ui::paint::RowWriter;
use crate::ui::text_layout::laid_out::{LaidOut, LayoutBuilder};
use crate::ui::theme::{Role, Theme};

/// Bytes of a detail that are laid out; what is beyond is told, not hidden.
const MAX_DETAIL_BYTES: usize = 256 * 1024;

/// Stands before each part of a command line.
const PART_INDENT: &str = "  ";

/// A row of the content.
pub(super) enum ContentRow {
    Text(String, Role),
    /// A row of the diff.
    Diff(Rc<LaidOut>, u32),
}

impl ContentRow {
    /// Draws it, with so many cells left free at its end.
    pub(super) fn draw(&self, theme: Theme, area: Rect, row: u16, keep: usize, buf: &mut Buffer) {
        match self {
            Self::Text(text, role) => {
                RowWriter::new(buf, area, row).write_truncated(text, keep, theme.style(*role));
            }
            Self::Diff(laid, nth) => {
                let room = area.width.saturating_sub(keep as u16);
                laid.draw_row(*nth, area.x, area.y + row, room, theme, buf);
            }
        }
    }
}

pub(super) struct ApprovalContent {
    pub rows: Vec<ContentRow>,
    /// Says that there is more, for the end of the last row.
    pub left_out: Option<String>,
}

/// Lays out at most so many rows. `more` begins the notice that some are missing. Only these are laid out, however long
/// the text.
pub(super) fn content(
    ask: &ApprovalRequest,
    (parts, unread): &(Vec<AskedPart>, Option<String>),
    width: usize,
    most: usize,
    airy: bool,
    more: &str,
) -> ApprovalContent {
    let mut rows = ContentRows { rows: Vec::new(), max_rows: most.saturating_add(1) };
    let subject = ask.subject.trim_end();
    // Not `lines`: a carriage return is shown, too.
    for line in subject.split('\n') {
        rows.add(line, width, Role::Tool, false);
    }
    if airy {
        rows.add_parts(parts, unread.as_deref(), width);
    }
    if airy && !ask.folder.is_empty() {
        let folder = format!("in {}", one_line(&visible_line(&ask.folder), width.saturating_sub(3)));
        rows.rows.push(ContentRow::Text(folder, Role::Dim));
    }
    if let Some(note) = &ask.sandbox {
        let role = if note.leaves { Role::Error } else { Role::Dim };
        rows.add(&format!("sandbox: {}", note.text), width, role, false);
    }
    let repeated = ask.detail.trim() == ask.subject.trim();
    let detail = if repeated { "" } else { ask.detail.trim_end() };
    // The names of the file say again what the subject says.
    let names = format!("--- a/{0}\n+++ b/{0}\n", ask.subject);
    let whole = detail.strip_prefix(names.as_str()).unwrap_or(detail);
    let looked = &whole[..whole.floor_char_boundary(MAX_DETAIL_BYTES)];
    let is_diff = looked.lines().any(|line| line.starts_with("@@"));
    if airy && !looked.is_empty() {
        rows.rows.push(ContentRow::Text(String::new(), Role::Text));
    }
    if is_diff {
        rows.add_diff(looked, &ask.subject, width);
    } else {
        for line in looked.split('\n').filter(|_| !looked.is_empty()) {
            rows.add(line, width, Role::Code, true);
            if rows.is_full() {
                break;
            }
        }
    }
    if looked.len() < whole.len() {
        let text = format!("… {} more bytes are not shown", whole.len() - looked.len());
        rows.rows.push(ContentRow::Text(text, Role::Error));
    }
    let mut rows = rows.rows;
    let lines = |text: &str| memchr::memchr_iter(b'\n', text.as_bytes()).count() + usize::from(!text.is_empty());
    let left_out = (rows.len() > most).then(|| match lines(subject) + lines(whole) {
        0 | 1 => format!("{more} show all"),
        lines => format!("{more} all {lines} lines"),
    });
    rows.truncate(most);
    ApprovalContent { rows, left_out }
}

struct ContentRows {
    rows: Vec<ContentRow>,
    max_rows: usize,
}

impl ContentRows {
    fn is_full(&self) -> bool {
        self.rows.len() >= self.max_rows
    }

    /// Adds what a command line runs, part by part, and which of it a rule allows already.
    fn add_parts(&mut self, parts: &[AskedPart], unread: Option<&str>, width: usize) {
        for part in parts {
            let text = one_line(&visible_line(&part.text), width.saturating_sub(PART_INDENT.len()) / 2);
            let (note, role) = match &part.allowed_by {
                Some(pattern) => (format!("allowed by {}", visible_line(pattern)), Role::Dim),
                None => ("asks".to_owned(), Role::Warn),
            };
            self.rows.push(ContentRow::Text(format!("{PART_INDENT}{text} · {note}"), role));
        }
        if let Some(why) = unread {
            self.add(&format!("{PART_INDENT}it may run more: {why}"), width, Role::Warn, false);
        }
    }

    /// Adds a diff, as many lines of it as there is room for.
    fn add_diff(&mut self, diff: &str, path: &str, width: usize) {
        let left = self.max_rows.saturating_sub(self.rows.len());
        // Every line has a row, but for those that begin a place.
        let lines = left.saturating_mul(2).saturating_add(4);
        let end = memchr::memchr_iter(b'\n', diff.as_bytes()).nth(lines).unwrap_or(diff.len());
        let head = &diff[..end];
        let peek = head.floor_char_boundary(left.saturating_mul(width).saturating_mul(32).min(head.len()));
        let mut page = LayoutBuilder::new(width.min(usize::from(u16::MAX)) as u16);
        let view = DiffView { path, before: "", rows: usize::MAX, is_all: true };
        lay_diff(&mut page, &visible(&head[..peek]), view);
        let laid = Rc::new(page.finish());
        self.rows.extend((0..laid.rows()).take(left).map(|row| ContentRow::Diff(laid.clone(), row)));
    }

    /// Adds the rows of a line, hidden characters made visible. Code is cut where the row ends, words are wrapped.
    fn add(&mut self, line: &str, width: usize, role: Role, code: bool) {
        // A row has no more bytes than this, however long the line.
        let peek = self.max_rows.saturating_sub(self.rows.len()).saturating_mul(width).saturating_mul(32);
        let line = &line[..line.floor_char_boundary(peek.min(line.len()))];
        let line = if code { visible(line) } else { visible_line(line) }.into_owned();
        let ranges: Vec<(usize, usize)>;
        let text = if code {
            let text = expand_tabs(&line, 4).to_string();
            ranges = wrap_hard(&text, width).into_iter().map(|row| (row.start, row.end)).collect();
            text
        } else {
            ranges = wrap(&line, width).into_iter().map(|row| (row.start, row.end)).collect();
            line
        };
        for (start, end) in ranges {
            if self.is_full() {
                return;
            }
            self.rows.push(ContentRow::Text(text.get(start..end).unwrap_or_default().to_owned(), role));
        }
    }
}
