//! What is said to the person just now, in rows of its own: it comes, is read and leaves.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::text::one_line;
use crate::text::wrap::wrap;
use crate::ui::layout::Place;
use crate::ui::paint::{RowWriter, clear};
use crate::ui::pane::{PaneScreen, PaneView};
use crate::ui::theme::{Role, Theme};

#[derive(Clone, Copy, Debug, Default)]
pub struct ToastRows;

impl PaneView for ToastRows {
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        let PaneScreen { store, area, .. } = *screen;
        Place::Rows(if screen.is_boxed() { 0 } else { row_count(store, area.width, max_rows(area.height)) })
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        draw(screen.store, screen.theme, area, buf);
        None
    }
}

/// Returns the most rows that the message may have at this height.
pub fn max_rows(height: u16) -> u16 {
    if height < 16 { 1 } else { 3 }
}

/// Returns the rows that the message takes at this width, at most `most`; none without a message.
pub fn row_count(store: &Store, width: u16, most: u16) -> u16 {
    lines(store, width, most).len() as u16
}

/// Draws it into rows that may hold something else.
pub fn draw(store: &Store, theme: Theme, area: Rect, buf: &mut Buffer) {
    let Some((level, _)) = &store.toast else { return };
    if area.is_empty() {
        return;
    }
    clear(area, buf);
    let style = theme.style(Role::from(*level));
    let margin = usize::from(area.width > 8);
    for (row, line) in (0..).zip(lines(store, area.width, area.height)) {
        RowWriter::new(buf, area, row).skip(margin).write_truncated(&line, 0, style);
    }
}

fn lines(store: &Store, width: u16, most: u16) -> Vec<String> {
    let Some((_, text)) = &store.toast else { return Vec::new() };
    let width = usize::from(if width > 8 { width - 2 } else { width }).max(1);
    let text = one_line(text, width * usize::from(most).max(1));
    let mut lines: Vec<String> = wrap(&text, width).iter().map(|row| row.slice(&text).trim().to_owned()).collect();
    // Words that don't fit leave room at the ends of rows, and so a row too much.
    if lines.len() > usize::from(most.max(1)) {
        lines.truncate(usize::from(most.max(1)));
        if let Some(last) = lines.last_mut() {
            last.push('…');
        }
    }
    lines
}
