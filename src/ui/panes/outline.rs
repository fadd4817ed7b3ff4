//! The outline: a filter and the list of prompts and headings, oldest at the top.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::outline::Outline;
use crate::text::one_line;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, restyle};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::models::tail;

pub fn draw(outline: &Outline, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let rows = (outline.len().max(3) + 4).min(usize::from(area.height.saturating_sub(2)).max(6));
    let place = centered(area, area.width.saturating_sub(2).min(100), rows as u16);
    let more = if outline.is_done() { "" } else { " and more" };
    let footer = format!("{}{more} · {} goes there · {} closes", outline.len(), labels.accept, labels.close);
    let inner = draw_box("Outline", &footer, Role::BorderFocused, theme, place, buf);

    let mut pen = RowWriter::new(buf, inner, 0);
    pen.write("› ", theme.style(Role::Accent));
    let room = pen.room().saturating_sub(1);
    pen.write(tail(&outline.query, room), theme.style(Role::Text));
    let cursor = (pen.column().min(inner.right().saturating_sub(1)), inner.y);
    if outline.query.is_empty() {
        pen.write_truncated("type to filter", 0, theme.style(Role::Dim));
    }

    let list = Rect { y: inner.y.saturating_add(2), height: inner.height.saturating_sub(2), ..inner };
    if outline.is_empty() {
        let text = if outline.is_done() { "no matches" } else { "looking…" };
        RowWriter::new(buf, list, 0).write_truncated(text, 0, theme.style(Role::Dim));
        return DrawnOverlay::with_cursor(cursor);
    }
    // The newest is number 0 and stands at the bottom; the selected one has some rows on either side.
    let height = usize::from(list.height);
    let selected = outline.selected.min(outline.len() - 1);
    let bottom = selected.saturating_sub(height / 2).min(outline.len().saturating_sub(height));
    for row in 0..height.min(outline.len()) {
        let nth = bottom + height.min(outline.len()) - 1 - row;
        let Some(entry) = outline.entry(nth) else { continue };
        let line = Rect { y: list.y + row as u16, height: 1, ..list };
        let mut pen = RowWriter::new(buf, line, 0);
        let role = if entry.level == 0 {
            pen.write("› ", theme.style(Role::User));
            Role::User
        } else {
            pen.skip(2 * usize::from(entry.level.min(4)));
            Role::Heading
        };
        let room = pen.room();
        pen.write(&one_line(&entry.text, room), theme.style(role));
        if nth == selected {
            restyle(line, theme.style(Role::Selection), buf);
        }
    }
    DrawnOverlay::with_cursor(cursor)
}
