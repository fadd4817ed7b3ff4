//! The branches of the session: a row for each prompt, lines where they part, and where the session stands.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::branches::TurnNode;
use crate::store::Store;
use crate::store::overlay::branch_tree::BranchTree;
use crate::text::human::age;
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::filter_list::first_shown;

pub fn draw(tree: &BranchTree, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let branches = screen.store.branches.tree();
    let tips = branches.tips().len();
    let title = if tips == 1 { "1 branch".to_owned() } else { format!("{tips} branches") };
    let footer = format!("● here · {} goes on after it · {} closes", labels.accept, labels.close);
    let height = (tree.rows.len() + 2).min(usize::from(area.height)) as u16;
    let place = centered(area, area.width.saturating_sub(2).min(100), height);
    let inner = draw_box(&title, &footer, Role::BorderFocused, theme, place, buf);
    let shown = usize::from(inner.height).max(1);
    let first = first_shown(tree.selected, shown);
    for (row, (nth, entry)) in tree.rows.iter().enumerate().skip(first).take(shown).enumerate() {
        let Some(turn) = branches.turns().get(entry.turn) else { continue };
        let line = Rect { y: inner.y + row as u16, height: 1, ..inner };
        let remark = remark(turn, screen.store);
        let width = str_width(&remark);
        RowWriter::at_right(buf, line, 0, width).write(&remark, theme.style(Role::Dim));
        let (sign, role) = match (entry.is_head, entry.is_on_path) {
            (true, _) => ("● ", Role::Accent),
            (false, true) => ("○ ", Role::Accent),
            (false, false) => ("· ", Role::Dim),
        };
        let mut pen = RowWriter::new(buf, line, 0);
        pen.write(&entry.lines, theme.style(Role::Dim));
        pen.write(sign, theme.style(role));
        let room = pen.room().saturating_sub(width + 1);
        let prompt = if turn.prompt.is_empty() { "(went on)" } else { &turn.prompt };
        let role = if entry.is_on_path { Role::User } else { Role::Text };
        pen.write(&one_line(prompt, room), theme.style(role));
        if nth == tree.selected {
            select_row(line, theme, buf);
        }
    }
    DrawnOverlay::default()
}

/// Says how many calls were made in a turn, and how long ago it began.
pub(super) fn remark(turn: &TurnNode, store: &Store) -> String {
    let age = age(Duration::from(store.session.now.since(turn.at)));
    match turn.calls {
        0 => age,
        1 => format!("1 call · {age}"),
        calls => format!("{calls} calls · {age}"),
    }
}
