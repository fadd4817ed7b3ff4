//! The prompts of all sessions: a filter and a prompt a row.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::overlay::prompt_history::PromptHistory;
use crate::text::one_line;
use crate::ui::paint::{RowWriter, restyle};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::filter_list::{FilterList, first_shown};

pub fn draw(history: &PromptHistory, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, .. } = *screen;
    let (found, total) = (history.found().len(), history.total());
    let count = if found == total { total.to_string() } else { format!("{found} of {total}") };
    let footer = format!("{count} · {} takes it · {} closes", labels.accept, labels.close);
    let (list, drawn) = FilterList {
        title: "Prompts of all sessions",
        footer: &footer,
        query: &history.query,
        placeholder: "type to find a prompt",
        rows: found,
        max_width: 120,
        max_height: screen.stage.height.saturating_sub(2).max(6),
    }
    .draw(screen, buf);
    if found == 0 {
        let text = if total == 0 { "no prompts yet" } else { "no matching prompt" };
        RowWriter::new(buf, list, 0).write_truncated(text, 0, theme.style(Role::Dim));
        return drawn;
    }
    let shown = usize::from(list.height);
    let first = first_shown(history.selected, shown);
    for (row, (nth, prompt)) in (0..).zip(history.found().enumerate().skip(first).take(shown)) {
        let line = Rect { y: list.y + row, height: 1, ..list };
        let more = prompt.trim_end().lines().count().saturating_sub(1);
        let lines = match more {
            0 => String::new(),
            1 => " +1 line".to_owned(),
            _ => format!(" +{more} lines"),
        };
        let mut pen = RowWriter::new(buf, line, 0);
        let room = pen.room().saturating_sub(lines.len());
        let beginning = prompt.trim_start().lines().next().unwrap_or_default();
        pen.write(&one_line(beginning, room), theme.style(Role::Text)).write(&lines, theme.style(Role::Dim));
        if nth == history.selected {
            restyle(line, theme.style(Role::Selection), buf);
        }
    }
    drawn
}
