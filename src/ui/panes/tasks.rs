//! The commands in the background, a row each, and what one of them printed.

use ratatui::buffer::Buffer;

use super::filter_list::first_shown;
use crate::store::overlay::tasks::{TaskList, TaskOutputText, TaskRow};
use crate::text::width::str_width;
use crate::text::{clean, one_line, visible_line};
use crate::ui::format::duration;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::text_layout::laid_out::lay_out_plain;
use crate::ui::theme::Role;

const MAX_WIDTH: u16 = 110;
/// Cells of a title.
const MAX_TITLE_CELLS: usize = 60;

pub fn draw_list(list: &TaskList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let width = area.width.saturating_sub(2).min(MAX_WIDTH);
    let place = centered(area, width, (list.rows.len().max(1) + 2).min(usize::from(area.height)) as u16);
    let is_running = list.rows.get(list.selected).is_some_and(|row| row.is_running);
    let stop = if is_running { format!(" · {} stops it", labels.revoke) } else { String::new() };
    let footer = format!("{} shows its output{stop} · {} closes", labels.accept, labels.close);
    let inner = draw_box("Commands in the background", &footer, Role::BorderFocused, theme, place, buf);
    let shown = usize::from(inner.height).max(1);
    let first = first_shown(list.selected, shown);
    for (y, (nth, row)) in (0..).zip(list.rows.iter().enumerate().skip(first).take(shown)) {
        let (state, role) = state(row);
        let room = usize::from(inner.width).saturating_sub(str_width(&state) + 3);
        let about = one_line(&visible_line(&format!("{} {}", row.id, row.command)), room);
        RowWriter::new(buf, inner, y).write(&about, theme.style(Role::Text));
        RowWriter::at_right(buf, inner, y, str_width(&state)).write(&state, theme.style(role));
        if nth == list.selected {
            let row = ratatui::layout::Rect { y: inner.y + y, height: 1, ..inner };
            select_row(row, theme, buf);
        }
    }
    DrawnOverlay::default()
}

pub fn draw_output(shown: &TaskOutputText, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let TaskOutputText { row, scroll } = shown;
    let width = area.width.saturating_sub(2).min(MAX_WIDTH);
    let text = if row.output.is_empty() { "nothing was printed so far" } else { row.output.as_str() };
    let page = lay_out_plain(clean(text).trim_end(), Role::Text, width.saturating_sub(4));
    let rows = page.rows() as usize;
    let place = centered(area, width, (rows + 2).min(usize::from(area.height)) as u16);
    let height = usize::from(place.height.saturating_sub(2));
    let most = rows.saturating_sub(height);
    let first = most.saturating_sub(*scroll);
    let footer = match most {
        0 => format!("{} · {} goes back", state(row).0, labels.close),
        _ => format!("{} · {}–{} of {rows} · {} goes back", state(row).0, first + 1, first + height, labels.close),
    };
    let title = one_line(&visible_line(&row.command), MAX_TITLE_CELLS);
    let inner = draw_box(&title, &footer, Role::BorderFocused, theme, place, buf);
    for (y, row) in (0..inner.height).zip(first..rows) {
        page.draw_row(row as u32, inner.x, inner.y + y, inner.width, theme, buf);
    }
    DrawnOverlay::with_scroll_end(most)
}

fn state(row: &TaskRow) -> (String, Role) {
    match row.end.as_str() {
        _ if row.is_running => (format!("running {}", duration(row.age)), Role::Ok),
        "exit status 0" => ("done".into(), Role::Dim),
        end => (end.to_owned(), Role::Error),
    }
}
