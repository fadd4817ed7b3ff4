//! The list of themes, over the screen that shows the one under the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::filter_list::first_shown;
use crate::store::overlay::themes::ThemePicker;
use crate::text::one_line;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

/// Columns with the frame, and those of a mark and a name.
const BOX_COLUMNS: u16 = 56;
const NAME_CELLS: usize = 20;
/// Rows of the frame.
const FRAME_ROWS: u16 = 2;
const MAX_ROWS: u16 = 18;

pub fn draw(picker: &ThemePicker, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let rows: Vec<(&str, &str)> = store.themes.rows().collect();
    let footer = format!("{} keeps it · {} goes back", labels.accept, labels.close);
    // At the right, so that there is something left to look at.
    let width = area.width.saturating_sub(2).min(BOX_COLUMNS);
    let height = (rows.len() as u16).saturating_add(FRAME_ROWS).min(MAX_ROWS).min(area.height);
    let place = Rect { x: area.right().saturating_sub(width + 1), y: area.y, width, height };
    let inner = draw_box("Themes", &footer, Role::BorderFocused, theme, place, buf);
    let selected = picker.selected.min(rows.len().saturating_sub(1));
    let first = first_shown(selected, usize::from(inner.height));
    for (y, (name, about)) in (0..inner.height).zip(rows.iter().skip(first)) {
        let row = Rect { y: inner.y + y, height: 1, ..inner };
        let mark = if *name == store.themes.current { "● " } else { "  " };
        let mut pen = RowWriter::new(buf, row, 0);
        pen.write(mark, theme.style(Role::Ok));
        let room = pen.room();
        pen.write(&one_line(name, room), theme.style(Role::Text));
        let words = one_line(about, usize::from(row.width).saturating_sub(NAME_CELLS));
        RowWriter::new(buf, row, 0).skip(NAME_CELLS).write(&words, theme.style(Role::Dim));
        if first + usize::from(y) == selected {
            select_row(row, theme, buf);
        }
    }
    DrawnOverlay::default()
}
