//! The model picker: a filter and a list.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::overlay::models::ModelPicker;
use crate::store::session::OpenedSession;
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::paint::{RowWriter, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::filter_list::{FilterList, first_shown};

pub fn draw(picker: &ModelPicker, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, .. } = *screen;
    let (models, query) = (store.session.models.as_deref(), picker.query.as_str());
    let found = picker.matching(store);
    let footer = format!("{} uses it · {} closes", labels.accept, labels.close);
    let (list, drawn) = FilterList {
        title: "Models",
        footer: &footer,
        query,
        placeholder: "type to filter, or engine/model",
        rows: found.len(),
        max_width: 84,
        max_height: 22,
    }
    .draw(screen, buf);
    if found.is_empty() {
        let text = match models {
            None => "looking for models…",
            Some([]) => "no models found; type engine/model",
            Some(_) if query.contains('/') => "not in the list; used as typed",
            Some(_) => "no matching model",
        };
        RowWriter::new(buf, list, 0).write_truncated(text, 0, theme.style(Role::Dim));
        return drawn;
    }
    let current = store.session.opened.as_ref().map(OpenedSession::name);
    let selected = picker.selected.min(found.len() - 1);
    let first = first_shown(selected, usize::from(list.height));
    for (row, model) in found.iter().skip(first).take(usize::from(list.height)).enumerate() {
        let is_current = model.is_current || current.as_deref() == Some(&model.name);
        let mark = if is_current { "● " } else { "  " };
        let row_area = Rect { y: list.y + row as u16, height: 1, ..list };
        let mut pen = RowWriter::new(buf, row_area, 0);
        pen.write(mark, theme.style(Role::Ok));
        let room = pen.room();
        let name = one_line(&model.name, room);
        pen.write(&name, theme.style(Role::Text));
        let left = room.saturating_sub(str_width(&name) + 2);
        if left >= 4 {
            let remark = one_line(&model.remark, left);
            RowWriter::at_right(buf, row_area, 0, str_width(&remark)).write(&remark, theme.style(Role::Dim));
        }
        if first + row == selected {
            select_row(row_area, theme, buf);
        }
    }
    drawn
}
