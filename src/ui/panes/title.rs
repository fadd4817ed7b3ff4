//! The field for the title of a session.

use ratatui::buffer::Buffer;

use crate::store::overlay::title::TitleField;
use crate::ui::paint::RowWriter;
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::filter_list::FilterList;

pub fn draw(field: &TitleField, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, .. } = *screen;
    let footer = format!("{} names it · {} closes", labels.accept, labels.close);
    let (list, drawn) = FilterList {
        title: "Title of the session",
        footer: &footer,
        query: &field.text,
        placeholder: "type a title",
        rows: 1,
        max_width: 72,
        max_height: 7,
    }
    .draw(screen, buf);
    let hint = "Without one it is named after its first prompt.";
    RowWriter::new(buf, list, 0).write_truncated(hint, 0, theme.style(Role::Dim));
    drawn
}
