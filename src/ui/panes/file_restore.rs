//! What becomes of files when the session goes to another place: two ways, the files, and what can't be taken back.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::FileState;
use crate::store::overlay::file_restore::{CHOICE_ROWS, FileRestore, FileRow};
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::{Role, Theme};

use super::filter_list::first_shown;

/// Rows of a diff that are shown below the list.
const MAX_DIFF_ROWS: usize = 12;
/// Calls that are named.
const MAX_NAMED_CALLS: usize = 3;

pub fn draw(asked: &FileRestore, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let below = rows_below(asked);
    let rows = asked.files.len() + CHOICE_ROWS + below.len();
    let footer = format!("{} does it, or takes a file out or in · {} leaves", labels.accept, labels.close);
    let height = (rows + 2).min(usize::from(area.height)) as u16;
    let place = centered(area, area.width.saturating_sub(2).min(100), height);
    let inner = draw_box("Files that the agent changed", &footer, Role::BorderFocused, theme, place, buf);
    // What stands below gives way first.
    let list_rows = (asked.files.len() + CHOICE_ROWS).min(usize::from(inner.height));
    let first = first_shown(asked.selected, list_rows);
    for (row, nth) in (first..asked.files.len() + CHOICE_ROWS).take(list_rows).enumerate() {
        let line = Rect { y: inner.y + row as u16, height: 1, ..inner };
        if let Some(file) = nth.checked_sub(CHOICE_ROWS).and_then(|nth| asked.files.get(nth)) {
            draw_file(file, line, theme, buf);
        } else {
            let text = asked.choices().get(nth).cloned().unwrap_or_default();
            RowWriter::new(buf, line, 0).write_truncated(&text, 0, theme.style(Role::Text));
        }
        if nth == asked.selected {
            select_row(line, theme, buf);
        }
    }
    for (row, (text, role)) in (list_rows..usize::from(inner.height)).zip(below) {
        let line = Rect { y: inner.y + row as u16, height: 1, ..inner };
        RowWriter::new(buf, line, 0).write_truncated(&text, 0, theme.style(role));
    }
    DrawnOverlay::default()
}

fn draw_file(file: &FileRow, line: Rect, theme: Theme, buf: &mut Buffer) {
    let remark = one_line(&file.remark(), usize::from(line.width) / 2);
    let width = str_width(&remark);
    let role = match file.check.state {
        FileState::AsExpected | FileState::AlreadyThere => Role::Dim,
        FileState::Changed { .. } | FileState::Blocked(_) => Role::Warn,
    };
    RowWriter::at_right(buf, line, 0, width).write(&remark, theme.style(role));
    let mut pen = RowWriter::new(buf, line, 0);
    pen.write(if file.is_taken { "  ✓ " } else { "    " }, theme.style(Role::Accent));
    let room = pen.room().saturating_sub(width + 1);
    pen.write(&one_line(&file.check.shown, room), theme.style(Role::Text));
}

/// Returns what can't be taken back, and what putting the selected file back would change in what somebody made of it.
fn rows_below(asked: &FileRestore) -> Vec<(String, Role)> {
    let mut rows = Vec::new();
    for call in asked.irrevocable.iter().take(MAX_NAMED_CALLS) {
        rows.push((format!("can't be taken back: {}", one_line(call, 80)), Role::Warn));
    }
    if let more @ 1.. = asked.irrevocable.len().saturating_sub(MAX_NAMED_CALLS) {
        rows.push((format!("and {more} more calls"), Role::Warn));
    }
    if let Some(FileState::Changed { diff }) = asked.selected_file().map(|file| &file.check.state) {
        let lines = diff.as_deref().unwrap_or("the versions are no texts").lines();
        rows.extend(lines.take(MAX_DIFF_ROWS).map(|line| {
            let role = match line.as_bytes().first() {
                Some(b'+') => Role::Added,
                Some(b'-') => Role::Removed,
                _ => Role::Dim,
            };
            (one_line(line, 400), role)
        }));
    }
    rows
}
