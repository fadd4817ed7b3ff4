//! The list of how much the model may think.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::filter_list::first_shown;
use crate::store::overlay::efforts::EffortList;
use crate::text::one_line;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

const BOX_COLUMNS: u16 = 60;
const NAME_CELLS: usize = 14;
/// Rows of the frame.
const FRAME_ROWS: usize = 2;

pub fn draw(list: EffortList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    // The model may have changed meanwhile.
    let option = EffortList::option(store);
    let values = option.map_or(&[][..], |option| option.values.as_slice());
    let footer = format!("{} chooses · {} closes", labels.accept, labels.close);
    let height = (values.len().max(1) + FRAME_ROWS).min(usize::from(area.height)) as u16;
    let place = centered(area, area.width.saturating_sub(2).min(BOX_COLUMNS), height);
    let inner = draw_box("Effort", &footer, Role::BorderFocused, theme, place, buf);
    if values.is_empty() {
        RowWriter::new(buf, inner, 0).write_truncated("this model takes none", 0, theme.style(Role::Dim));
    }
    let selected = list.selected.min(values.len().saturating_sub(1));
    let first = first_shown(selected, usize::from(inner.height));
    for (y, value) in (0..inner.height).zip(values.iter().skip(first)) {
        let row = Rect { y: inner.y + y, height: 1, ..inner };
        let is_current = option.is_some_and(|option| option.current == value.value);
        let mut pen = RowWriter::new(buf, row, 0);
        pen.write(if is_current { "● " } else { "  " }, theme.style(Role::Ok));
        pen.write(&one_line(&value.name, NAME_CELLS - 3), theme.style(Role::Text));
        let words = one_line(&value.description, usize::from(row.width).saturating_sub(NAME_CELLS));
        RowWriter::new(buf, row, 0).skip(NAME_CELLS).write(&words, theme.style(Role::Dim));
        if first + usize::from(y) == selected {
            select_row(row, theme, buf);
        }
    }
    DrawnOverlay::default()
}
