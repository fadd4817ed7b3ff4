//! The session picker: a filter and the saved sessions, the newest or the best first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::overlay::sessions::SessionPicker;
use crate::store::sessions::SessionChoice;
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::paint::{RowWriter, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::{Role, Theme};

use super::filter_list::{FilterList, first_shown, tail};

/// Rows of one session: its title, and below it where and with whom.
const ENTRY_ROWS: u16 = 2;

pub fn draw(picker: &SessionPicker, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, .. } = *screen;
    let (found, total) = (picker.found().len(), picker.total());
    let count = if found == total { total.to_string() } else { format!("{found} of {total}") };
    let folders = if picker.all_folders { "this folder only" } else { "all folders" };
    let footer = format!(
        "{count} · {} resumes · {} {folders} · {} deletes · {} closes",
        labels.accept, labels.all_folders, labels.delete_session, labels.close
    );
    let (list, drawn) = FilterList {
        title: if picker.all_folders { "Sessions of all folders" } else { "Sessions of this folder" },
        footer: &footer,
        query: &picker.query,
        placeholder: "type to find: title, folder, model, age",
        rows: found * usize::from(ENTRY_ROWS),
        max_width: 100,
        max_height: screen.stage.height.saturating_sub(2).max(6),
    }
    .draw(screen, buf);
    if found == 0 {
        let text = match (picker.is_loading(), total, picker.all_folders) {
            (true, ..) => "looking for sessions…".to_owned(),
            (_, 0, true) => "no saved sessions yet".to_owned(),
            (_, 0, false) => format!("no saved sessions in this folder; {} lists those of all", labels.all_folders),
            _ => "no matching session".to_owned(),
        };
        RowWriter::new(buf, list, 0).write_truncated(&text, 0, theme.style(Role::Dim));
        return drawn;
    }
    let shown = usize::from(list.height / ENTRY_ROWS).max(1);
    let first = first_shown(picker.selected, shown);
    for (row, (nth, session)) in (0..).zip(picker.found().enumerate().skip(first).take(shown)) {
        let top = row * ENTRY_ROWS;
        let part = Rect { y: list.y + top, height: ENTRY_ROWS.min(list.height.saturating_sub(top)), ..list };
        draw_session(session, picker.all_folders, theme, part, buf);
        if nth == picker.selected {
            select_row(part, theme, buf);
        }
    }
    drawn
}

fn draw_session(session: &SessionChoice, with_folder: bool, theme: Theme, area: Rect, buf: &mut Buffer) {
    let age_width = str_width(&session.age);
    RowWriter::at_right(buf, area, 0, age_width).write(&session.age, theme.style(Role::Dim));
    let mut pen = RowWriter::new(buf, area, 0);
    let room = pen.room().saturating_sub(age_width + 2);
    match &session.title {
        Some(title) => pen.write(&one_line(title, room), theme.style(Role::Text)),
        None => pen.write(&one_line("(no prompt)", room), theme.style(Role::Dim)),
    };
    if area.height < 2 {
        return;
    }
    let mut pen = RowWriter::new(buf, area, 1);
    pen.skip(2);
    let about = one_line(&format!("{} · {}", session.engine, session.id), pen.room());
    pen.write(&about, theme.style(Role::Dim));
    let room = pen.room().saturating_sub(3);
    if with_folder && room > 8 {
        // The end of a path says most.
        let folder = one_line(&session.folder, usize::MAX);
        let shown = tail(&folder, room);
        pen.write(" · ", theme.style(Role::Dim)).write(shown, theme.style(Role::Dim));
    }
}
