//! The palette: a filter and the actions, each with its keys and its command.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::overlay::palette::{Palette, PaletteEntry};
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::paint::{RowWriter, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::filter_list::{FilterList, first_shown};

/// Most cells for the key of an action, at the end of its row.
const MAX_KEY_CELLS: usize = 16;
/// Cells for its command, before them.
const COMMAND_CELLS: usize = 14;

pub fn draw(palette: &Palette, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, .. } = *screen;
    let found = palette.found().len();
    let footer = format!("{found} · {} does it · {} closes", labels.accept, labels.close);
    let (list, drawn) = FilterList {
        title: "Actions",
        footer: &footer,
        query: &palette.query,
        placeholder: "type what you want to do",
        rows: found,
        max_width: 84,
        max_height: 22,
    }
    .draw(screen, buf);
    if found == 0 {
        RowWriter::new(buf, list, 0).write_truncated("no matching action", 0, theme.style(Role::Dim));
        return drawn;
    }
    let height = usize::from(list.height);
    let first = first_shown(palette.selected, height);
    let shown = || palette.found().skip(first).take(height);
    let keys_of = |entry: &PaletteEntry| entry.action().map_or("", |action| labels.keys_of(action.name));
    let key_cells = shown().map(|entry| str_width(keys_of(entry))).max().unwrap_or_default();
    let key_cells = key_cells.min(MAX_KEY_CELLS);
    for (row, (nth, entry)) in (0..).zip((first..).zip(shown())) {
        let line = Rect { y: list.y + row, height: 1, ..list };
        let keys = one_line(keys_of(entry), key_cells);
        RowWriter::at_right(buf, line, 0, str_width(&keys)).write(&keys, theme.style(Role::Key));
        let mut room = usize::from(line.width).saturating_sub(key_cells + 1);
        if let Some(command) = entry.command().filter(|_| room > 3 * COMMAND_CELLS) {
            room -= COMMAND_CELLS + 1;
            let command = one_line(&format!("/{command}"), COMMAND_CELLS);
            RowWriter::at_right(buf, line, 0, COMMAND_CELLS + key_cells + 1).write(&command, theme.style(Role::Dim));
        }
        RowWriter::new(buf, line, 0).write(&one_line(entry.about(), room), theme.style(Role::Text));
        if nth == palette.selected {
            select_row(line, theme, buf);
        }
    }
    drawn
}
