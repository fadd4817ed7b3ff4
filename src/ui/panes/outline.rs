//! The outline: a filter and the list of prompts and headings, oldest at the top.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::outline::{Outline, OutlineEntry, OutlineSubject};
use crate::text::one_line;
use crate::ui::paint::{RowWriter, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::filter_list::FilterList;

pub fn draw(outline: &Outline, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let more = if outline.is_done() { "" } else { " and more" };
    let footer = format!("{}{more} · {} goes there · {} closes", outline.len(), labels.accept, labels.close);
    let (list, drawn) = FilterList {
        title: match outline.subject {
            OutlineSubject::Everything => "Outline",
            OutlineSubject::Marks => "Marks and notes",
        },
        footer: &footer,
        query: &outline.query,
        placeholder: "type to filter",
        rows: outline.len(),
        max_width: 100,
        max_height: area.height.saturating_sub(2).max(6),
    }
    .draw(screen, buf);
    if outline.is_empty() {
        let text = if outline.is_done() { "no matches" } else { "looking…" };
        RowWriter::new(buf, list, 0).write_truncated(text, 0, theme.style(Role::Dim));
        return drawn;
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
        let role = if entry.level == OutlineEntry::NOTE_LEVEL {
            pen.write("# ", theme.style(Role::Accent));
            Role::Text
        } else if entry.level == OutlineEntry::MARK_LEVEL {
            pen.write("◆ ", theme.style(Role::Accent));
            Role::Text
        } else if entry.level == 0 {
            pen.write("› ", theme.style(Role::User));
            Role::User
        } else {
            pen.skip(2 * usize::from(entry.level.min(4)));
            Role::Heading
        };
        let room = pen.room();
        pen.write(&one_line(&entry.text, room), theme.style(role));
        if nth == selected {
            select_row(line, theme, buf);
        }
    }
    drawn
}
