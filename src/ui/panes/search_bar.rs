//! The field of the search and what it found so far, in the place of the composer.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::search::Search;
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::format::count;
use crate::ui::layout::inset;
use crate::ui::paint::{RowWriter, clear};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::filter_list::tail;

/// The least cells for the query itself.
const MIN_QUERY_CELLS: usize = 10;

/// Draws the bar; the cursor is in it while the query is being written.
pub fn draw(search: &Search, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, theme, .. } = *screen;
    let area = inset(screen.input);
    if area.is_empty() {
        return DrawnOverlay::default();
    }
    clear(Rect { x: area.x.saturating_sub(1), width: area.width.saturating_add(2), ..area }, buf);
    let area = Rect { height: 1, ..area };
    let name = if search.is_regex { "find regex: " } else { "find: " };
    let (told, role) = match_summary(store, search);
    let room = usize::from(area.width);
    let told = one_line(&told, room.saturating_sub(str_width(name) + MIN_QUERY_CELLS).max(room / 3));
    let mut pen = RowWriter::new(buf, area, 0);
    pen.write(name, theme.style(Role::Accent));
    let field = pen.room().saturating_sub(str_width(&told) + 2);
    pen.write(tail(&search.query, field.saturating_sub(1)), theme.style(Role::Text));
    let cursor = (pen.column().min(area.right().saturating_sub(1)), area.y);
    if search.query.is_empty() {
        pen.write_truncated(" words, or /expression/", str_width(&told) + 2, theme.style(Role::Dim));
    }
    RowWriter::at_right(buf, area, 0, str_width(&told)).write(&told, theme.style(role));
    DrawnOverlay { cursor: search.is_typing.then_some(cursor), scroll_end: 0 }
}

/// Returns what is to be said about the matches.
fn match_summary(store: &Store, search: &Search) -> (String, Role) {
    if let Some(wrong) = &search.error {
        return (wrong.clone(), Role::Warn);
    }
    if search.matcher().is_none() {
        return (String::new(), Role::Dim);
    }
    let done = search.is_done(&store.transcript);
    let looking = if done || search.progress() >= 100 { String::new() } else { format!(" · {} %", search.progress()) };
    match (search.number(), search.total()) {
        (Some(number), total) => (format!("{}/{}{looking}", count_all(number), count_all(total)), Role::Status),
        (None, 0) if done => ("no matches".into(), Role::Warn),
        (None, _) => (format!("looking{looking}"), Role::Dim),
    }
}

/// Small numbers as they are.
fn count_all(number: u64) -> String {
    if number < 100_000 { number.to_string() } else { count(number) }
}
