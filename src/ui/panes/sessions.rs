//! The session picker: a filter and the saved sessions, the newest or the best first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::overlay::sessions::SessionPicker;
use crate::store::sessions::{PreviewMessage, SessionChoice};
use crate::text::short_path::short_path;
use crate::text::width::str_width;
use crate::text::wrap::wrap;
use crate::text::{clean, one_line};
use crate::ui::paint::{RowWriter, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::{Role, Theme};

use super::filter_list::{FilterList, first_shown};
use super::tab_row::role;

/// Rows of one session: its title, and below it where and with whom.
const ENTRY_ROWS: u16 = 2;

/// From this width on the preview stands beside the list.
const BESIDE_WIDTH: u16 = 96;
/// Rows of the preview where it stands below the list, with the line between them.
const BELOW_ROWS: u16 = 6;
/// Rows that the list keeps then.
const MIN_LIST_ROWS: u16 = 2 * ENTRY_ROWS;

pub fn draw(picker: &SessionPicker, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, .. } = *screen;
    let found = picker.found().len();
    let width = screen.stage.width.saturating_sub(2).min(140);
    let is_beside = width >= BESIDE_WIDTH;
    let preview_rows = if is_beside { 16 } else { usize::from(BELOW_ROWS) };
    let entry_rows = found * usize::from(ENTRY_ROWS);
    let (list, drawn) = FilterList {
        title: &title(picker),
        footer: &footer(picker, screen),
        query: &picker.query,
        placeholder: "type to find: title, folder, model, age",
        rows: match (found, is_beside) {
            (0, _) => 0,
            (_, true) => entry_rows.max(preview_rows),
            (_, false) => entry_rows.max(usize::from(MIN_LIST_ROWS)) + preview_rows,
        },
        max_width: width,
        max_height: screen.stage.height.saturating_sub(2).max(6),
    }
    .draw(screen, buf);
    if found == 0 {
        let text = match (picker.is_loading(), picker.total(), picker.all_folders) {
            (true, ..) => "looking for sessions…".to_owned(),
            (_, 0, _) if picker.archived => "no archived sessions".to_owned(),
            (_, 0, true) => "no saved sessions yet".to_owned(),
            (_, 0, false) => format!("no saved sessions in this folder; {} lists those of all", labels.all_folders),
            _ => "no matching session".to_owned(),
        };
        RowWriter::new(buf, list, 0).write_truncated(&text, 0, theme.style(Role::Dim));
        return drawn;
    }
    let (list, preview) = split(list, is_beside, theme, buf);
    if let (Some(area), Some(messages)) = (preview, picker.preview()) {
        draw_preview(messages, theme, area, buf);
    }
    let shown = usize::from(list.height / ENTRY_ROWS).max(1);
    let first = first_shown(picker.selected, shown);
    for (row, (nth, session)) in (0..).zip(picker.found().enumerate().skip(first).take(shown)) {
        let top = row * ENTRY_ROWS;
        let part = Rect { y: list.y + top, height: ENTRY_ROWS.min(list.height.saturating_sub(top)), ..list };
        draw_session(session, picker.all_folders, screen, part, buf);
        if nth == picker.selected {
            select_row(part, theme, buf);
        }
    }
    drawn
}

fn title(picker: &SessionPicker) -> String {
    let what = if picker.archived { "Archived sessions" } else { "Sessions" };
    format!("{what} of {}", if picker.all_folders { "all folders" } else { "this folder" })
}

/// Names the keys, the most useful first: what doesn't fit is cut off.
fn footer(picker: &SessionPicker, screen: &OverlayScreen<'_>) -> String {
    let labels = screen.key_hints;
    let (found, total) = (picker.found().len(), picker.total());
    let count = if found == total { total.to_string() } else { format!("{found} of {total}") };
    let folders = if picker.all_folders { "this folder" } else { "all folders" };
    let (archive, other) = if picker.archived { ("takes it back", "the others") } else { ("archives", "archive") };
    let keys = [
        (&labels.accept, "resumes"),
        (&labels.close, "closes"),
        (&labels.all_folders, folders),
        (&labels.rename_session, "renames"),
        (&labels.archive_session, archive),
        (&labels.delete_session, "deletes"),
        (&labels.archived_sessions, other),
    ];
    let keys = keys.iter().filter(|(key, _)| !key.is_empty()).map(|(key, what)| format!(" · {key} {what}"));
    count + &keys.collect::<String>()
}

/// Divides the place between the list and the preview, where there is room for both.
fn split(place: Rect, is_beside: bool, theme: Theme, buf: &mut Buffer) -> (Rect, Option<Rect>) {
    if is_beside {
        let width = place.width / 2;
        for row in 0..place.height {
            RowWriter::new(buf, Rect { x: place.x + width, ..place }, row).write("│", theme.style(Role::Border));
        }
        let x = place.x + width + 2;
        let list = Rect { width: width.saturating_sub(1), ..place };
        return (list, Some(Rect { x, width: place.right().saturating_sub(x), ..place }));
    }
    if place.height < BELOW_ROWS + MIN_LIST_ROWS {
        return (place, None);
    }
    let height = place.height - BELOW_ROWS;
    RowWriter::new(buf, place, height).fill("─", theme.style(Role::Border));
    let preview = Rect { y: place.y + height + 1, height: BELOW_ROWS - 1, ..place };
    (Rect { height, ..place }, Some(preview))
}

/// Draws the end of what was said, the newest last.
fn draw_preview(messages: &[PreviewMessage], theme: Theme, area: Rect, buf: &mut Buffer) {
    let width = usize::from(area.width).saturating_sub(2);
    let mut rows: Vec<(String, Role)> = Vec::new();
    for message in messages {
        let (mark, role) = if message.is_prompt { ("› ", Role::Text) } else { ("  ", Role::Dim) };
        let text = clean(&message.text);
        let wrapped = wrap(&text, width);
        let lines = wrapped.iter().map(|row| row.slice(&text)).filter(|line| !line.trim().is_empty());
        rows.extend(
            lines.enumerate().map(|(nth, line)| (format!("{}{line}", if nth == 0 { mark } else { "  " }), role)),
        );
    }
    let first = rows.len().saturating_sub(usize::from(area.height));
    for (row, (line, role)) in (0..).zip(&rows[first..]) {
        RowWriter::new(buf, area, row).write(line, theme.style(*role));
    }
    if rows.is_empty() {
        RowWriter::new(buf, area, 0).write_truncated("(nothing was said)", 0, theme.style(Role::Dim));
    }
}

fn draw_session(session: &SessionChoice, with_folder: bool, screen: &OverlayScreen<'_>, area: Rect, buf: &mut Buffer) {
    let OverlayScreen { store, theme, .. } = *screen;
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
    let turns = match session.turns {
        Some(1) => " · 1 turn".to_owned(),
        Some(turns) => format!(" · {turns} turns"),
        None => String::new(),
    };
    if let Some(open) =
        store.tabs.position(&session.id).and_then(|index| Some((index + 1, store.tabs.tabs.get(index)?)))
    {
        let (number, tab) = open;
        let state = if tab.state.name().is_empty() { String::new() } else { format!(", {}", tab.state.name()) };
        pen.write(&format!("open as {number}{state}"), theme.style(role(tab.state)))
            .write(" · ", theme.style(Role::Dim));
    }
    let about = one_line(&format!("{}{turns} · {}", session.engine, session.id), pen.room());
    pen.write(&about, theme.style(Role::Dim));
    let room = pen.room().saturating_sub(3);
    if with_folder && room > 8 {
        let folder = one_line(&session.folder, usize::MAX);
        pen.write(" · ", theme.style(Role::Dim)).write(&short_path(&folder, room), theme.style(Role::Dim));
    }
}
