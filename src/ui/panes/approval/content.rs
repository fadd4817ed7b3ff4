//! What an ask is about, in rows: as many as there is room for, and how much is left out.

use crate::event::ApprovalRequest;
use crate::text::width::expand_tabs;
use crate::text::wrap::{wrap, wrap_hard};
use crate::text::{one_line, visible, visible_line};
use crate::ui::theme::Role;

/// Bytes of a detail that are laid out; what is beyond is told, not hidden.
const MAX_DETAIL_BYTES: usize = 256 * 1024;

/// Rows of text with their roles.
pub(super) struct ApprovalContent {
    pub rows: Vec<(String, Role)>,
    /// Says that there is more, for the end of the last row.
    pub left_out: Option<String>,
}

/// Lays out at most so many rows. `more` begins the notice that some are missing. Only these are laid out, however long
/// the text.
pub(super) fn content(ask: &ApprovalRequest, width: usize, most: usize, airy: bool, more: &str) -> ApprovalContent {
    let mut rows = ContentRows { rows: Vec::new(), max_rows: most.saturating_add(1) };
    let subject = ask.subject.trim_end();
    // Not `lines`: a carriage return is shown, too.
    for line in subject.split('\n') {
        rows.add(line, width, Role::Tool, false);
    }
    if airy && !ask.folder.is_empty() {
        let folder = format!("in {}", one_line(&visible_line(&ask.folder), width.saturating_sub(3)));
        rows.rows.push((folder, Role::Dim));
    }
    let repeated = ask.detail.trim() == ask.subject.trim();
    let detail = if repeated { "" } else { ask.detail.trim_end() };
    // The names of the file say again what the subject says.
    let names = format!("--- a/{0}\n+++ b/{0}\n", ask.subject);
    let whole = detail.strip_prefix(names.as_str()).unwrap_or(detail);
    let looked = &whole[..whole.floor_char_boundary(MAX_DETAIL_BYTES)];
    let is_diff = looked.lines().any(|line| line.starts_with("@@"));
    if airy && !looked.is_empty() {
        rows.rows.push((String::new(), Role::Text));
    }
    for line in looked.split('\n').filter(|_| !looked.is_empty()) {
        rows.add(line, width, if is_diff { diff_role(line) } else { Role::Code }, true);
        if rows.is_full() {
            break;
        }
    }
    if looked.len() < whole.len() {
        let text = format!("… {} more bytes are not shown", whole.len() - looked.len());
        rows.rows.push((text, Role::Error));
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
    rows: Vec<(String, Role)>,
    max_rows: usize,
}

impl ContentRows {
    fn is_full(&self) -> bool {
        self.rows.len() >= self.max_rows
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
            self.rows.push((text.get(start..end).unwrap_or_default().to_owned(), role));
        }
    }
}

fn diff_role(line: &str) -> Role {
    match line.as_bytes().first() {
        Some(b'+') if !line.starts_with("+++") => Role::Added,
        Some(b'-') if !line.starts_with("---") => Role::Removed,
        Some(b'@') => Role::Info,
        Some(b'+' | b'-') => Role::Dim,
        _ => Role::Text,
    }
}
