//! The open sessions, or what waits in them: two rows each, its name above what it does or asks.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::overlay::tabs::TabList;
use crate::store::tabs::TabListSubject;
use crate::text::width::str_width;
use crate::text::{one_line, visible_line};
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::filter_list::first_shown;
use super::tab_row::{mark, role};

const ENTRY_ROWS: usize = 2;
/// Cells of the name of a tool.
const MAX_TOOL_CELLS: usize = 30;

/// What is said of an entry.
struct TabEntry {
    head: String,
    role: Role,
    title: String,
    /// At the right of the first row.
    remark: String,
    below: String,
}

pub fn draw(list: &TabList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let entries = entries(list, screen);
    let title = match list.subject {
        TabListSubject::Sessions => "Open sessions",
        TabListSubject::Asks => "Waiting for you",
    };
    let footer = format!("{} goes there · {} closes", labels.accept, labels.close);
    let height = (entries.len().max(1) * ENTRY_ROWS + 2).min(usize::from(area.height)) as u16;
    let place = centered(area, area.width.saturating_sub(2).min(100), height);
    let inner = draw_box(title, &footer, Role::BorderFocused, theme, place, buf);
    let selected = list.selected.min(entries.len().saturating_sub(1));
    let shown = (usize::from(inner.height) / ENTRY_ROWS).max(1);
    let first = first_shown(selected, shown);
    for (row, (nth, entry)) in entries.iter().enumerate().skip(first).take(shown).enumerate() {
        let top = (row * ENTRY_ROWS) as u16;
        let part =
            Rect { y: inner.y + top, height: (ENTRY_ROWS as u16).min(inner.height.saturating_sub(top)), ..inner };
        let remark_width = str_width(&entry.remark);
        RowWriter::at_right(buf, part, 0, remark_width).write(&entry.remark, theme.style(entry.role));
        let mut pen = RowWriter::new(buf, part, 0);
        pen.write(&entry.head, theme.style(entry.role));
        pen.write_truncated(&entry.title, remark_width + 2, theme.style(Role::Text));
        let indent = str_width(&entry.head);
        RowWriter::new(buf, part, 1).skip(indent).write_truncated(&entry.below, 0, theme.style(Role::Dim));
        if nth == selected {
            select_row(part, theme, buf);
        }
    }
    DrawnOverlay::default()
}

fn entries(list: &TabList, screen: &OverlayScreen<'_>) -> Vec<TabEntry> {
    let open = &screen.store.tabs;
    let named = |title: &str| if title.is_empty() { "new session".to_owned() } else { title.to_owned() };
    match list.subject {
        TabListSubject::Sessions => (1..)
            .zip(&open.tabs)
            .map(|(number, tab)| TabEntry {
                head: format!("{number} {} ", if mark(tab.state).is_empty() { " " } else { mark(tab.state) }),
                role: role(tab.state),
                title: named(&tab.title),
                remark: tab.state.name().to_owned(),
                below: tab.session.to_string(),
            })
            .collect(),
        TabListSubject::Asks => open
            .asks
            .iter()
            .map(|ask| TabEntry {
                head: if open.tabs.is_empty() { String::new() } else { format!("{} ", ask.number) },
                role: Role::Warn,
                title: named(&ask.title),
                remark: format!("since {}", ask.since),
                below: format!("{} {}", one_line(&ask.tool, MAX_TOOL_CELLS), visible_line(&ask.subject)),
            })
            .collect(),
    }
}
