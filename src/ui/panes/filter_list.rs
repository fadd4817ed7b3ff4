//! A box with a field above a list: what models, sessions and actions are chosen from.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::text::width::str_width;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

/// The rows of the box that are not the list: its frame, the field and the gap below it.
const FIXED_ROWS: usize = 4;
/// Rows for a word where the list is empty.
const MIN_LIST_ROWS: usize = 3;

pub(super) struct FilterList<'a> {
    pub title: &'a str,
    pub footer: &'a str,
    pub query: &'a str,
    /// Shown in the empty field.
    pub placeholder: &'a str,
    /// Rows of the list, if there is room.
    pub rows: usize,
    pub max_width: u16,
    pub max_height: u16,
}

impl FilterList<'_> {
    /// Draws the box and the field; returns the place for the list.
    pub(super) fn draw(&self, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> (Rect, DrawnOverlay) {
        let (theme, area) = (screen.theme, screen.stage);
        let most = usize::from(area.height.min(self.max_height));
        let height = (self.rows.max(MIN_LIST_ROWS) + FIXED_ROWS).min(most) as u16;
        let place = centered(area, area.width.saturating_sub(2).min(self.max_width), height);
        let inner = draw_box(self.title, self.footer, Role::BorderFocused, theme, place, buf);
        let mut pen = RowWriter::new(buf, inner, 0);
        pen.write("› ", theme.style(Role::Accent));
        let room = pen.room().saturating_sub(1);
        pen.write(tail(self.query, room), theme.style(Role::Text));
        let cursor = (pen.column().min(inner.right().saturating_sub(1)), inner.y);
        if self.query.is_empty() {
            pen.write_truncated(self.placeholder, 0, theme.style(Role::Dim));
        }
        let list = Rect { y: inner.y.saturating_add(2), height: inner.height.saturating_sub(2), ..inner };
        (list, DrawnOverlay::with_cursor(cursor))
    }
}

/// Returns the first row to show of a list, so that the selected one is among those shown.
pub(super) fn first_shown(selected: usize, shown: usize) -> usize {
    (selected + 1).saturating_sub(shown)
}

/// Returns the end of a text that fits: what was typed last stays in view.
pub(super) fn tail(text: &str, room: usize) -> &str {
    let mut rest = text;
    while str_width(rest) > room {
        let mut chars = rest.chars();
        chars.next();
        rest = chars.as_str();
    }
    rest
}
