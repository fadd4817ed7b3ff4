//! What is allowed and denied without asking: grants of the session first, which can be taken back, then rules.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::overlay::permissions::PermissionList;
use crate::store::permissions::{PermissionEntry, entries, grants};
use crate::text::short_path::short_path;
use crate::text::width::str_width;
use crate::text::{one_line, visible, visible_line};
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::{Role, Theme};

use super::filter_list::first_shown;

/// Cells of the word that begins a row.
const VERB_CELLS: usize = 8;
/// Cells at the end that say how often it was used.
const USES_CELLS: usize = 18;

pub fn draw(list: &PermissionList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let selected = list.selected;
    let (all, granted) = (entries(store), grants(store).len());
    let width = area.width.saturating_sub(2).min(110);
    // Narrow screens put where it comes from below what it is.
    let tall = if width >= 100 { 1 } else { 2 };
    let place = centered(area, width, (all.len().max(1) * tall + 2).min(usize::from(area.height)) as u16);
    let can_revoke = selected < granted && store.session.capabilities().decide;
    let footer = if can_revoke {
        format!("{} takes it back · {} closes", labels.revoke, labels.close)
    } else {
        format!("{} closes", labels.close)
    };
    let inner = draw_box("Permissions", &footer, Role::BorderFocused, theme, place, buf);
    if all.is_empty() {
        let text = "permissions are unknown: this source doesn't report them";
        RowWriter::new(buf, inner, 0).write_truncated(text, 0, theme.style(Role::Dim));
        return DrawnOverlay::default();
    }
    let selected = selected.min(all.len() - 1);
    let shown = (usize::from(inner.height) / tall).max(1);
    let first = first_shown(selected, shown);
    for (row, (nth, entry)) in all.iter().enumerate().skip(first).take(shown).enumerate() {
        let top = (row * tall) as u16;
        let part = Rect { y: inner.y + top, height: (tall as u16).min(inner.height.saturating_sub(top)), ..inner };
        draw_entry(entry, theme, part, buf);
        if nth == selected {
            select_row(part, theme, buf);
        }
    }
    DrawnOverlay::default()
}

fn draw_entry(entry: &PermissionEntry, theme: Theme, area: Rect, buf: &mut Buffer) {
    if usize::from(area.width) < VERB_CELLS + USES_CELLS {
        return;
    }
    let (verb, role) = if entry.is_allowed { ("allowed", Role::Ok) } else { ("denied", Role::Error) };
    let uses = match entry.uses {
        None => String::new(),
        Some(0) => "not used yet".into(),
        Some(1) => "used once".into(),
        Some(times) => format!("used {times} times"),
    };
    let origin = visible(&entry.origin).into_owned();
    let mut about = |area: Rect, room: usize| {
        let mut text = entry.scope.to_owned();
        let left = room.saturating_sub(str_width(&text) + 3);
        let shown = short_path(&origin, left);
        if !shown.is_empty() {
            text = format!("{text} · {shown}");
        }
        let text = one_line(&text, room);
        if area.height < 2 {
            RowWriter::at_right(buf, area, 0, str_width(&text) + USES_CELLS).write(&text, theme.style(Role::Dim));
        } else {
            RowWriter::new(buf, area, 1).skip(2).write(&text, theme.style(Role::Dim));
        }
        str_width(&text)
    };
    let width = usize::from(area.width);
    let keep = if area.height < 2 {
        about(area, (width - VERB_CELLS - USES_CELLS) * 7 / 10) + USES_CELLS
    } else {
        about(area, width - 2);
        str_width(&uses)
    };
    RowWriter::at_right(buf, area, 0, str_width(&uses)).write(&uses, theme.style(Role::Dim));
    let mut pen = RowWriter::new(buf, area, 0);
    pen.write(verb, theme.style(role)).skip(VERB_CELLS - verb.len());
    let room = pen.room().saturating_sub(keep + 2);
    pen.write(&one_line(&visible_line(&entry.subject), room), theme.style(Role::Tool));
}
