//! The prompts to go back to, a row each, the newest at the bottom.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::overlay::rewind::RewindList;
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::branch_tree::remark;
use super::filter_list::first_shown;

pub fn draw(list: &RewindList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let store: &Store = screen.store;
    let footer = format!("{} edits it and goes on from there · {} closes", labels.accept, labels.close);
    let height = (list.turns.len() + 2).min(usize::from(area.height)) as u16;
    let place = centered(area, area.width.saturating_sub(2).min(100), height);
    let inner = draw_box("Go back to a prompt", &footer, Role::BorderFocused, theme, place, buf);
    let shown = usize::from(inner.height).max(1);
    let first = first_shown(list.selected, shown);
    for (row, nth) in (first..list.turns.len()).take(shown).enumerate() {
        let Some(turn) = list.turn(nth, store) else { continue };
        let line = Rect { y: inner.y + row as u16, height: 1, ..inner };
        let remark = remark(turn, store);
        let width = str_width(&remark);
        RowWriter::at_right(buf, line, 0, width).write(&remark, theme.style(Role::Dim));
        let mut pen = RowWriter::new(buf, line, 0);
        pen.write("› ", theme.style(Role::User));
        let room = pen.room().saturating_sub(width + 1);
        pen.write(&one_line(&turn.prompt, room), theme.style(Role::User));
        if nth == list.selected {
            select_row(line, theme, buf);
        }
    }
    DrawnOverlay::default()
}
