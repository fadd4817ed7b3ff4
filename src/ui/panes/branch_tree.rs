//! The branches of the session: a row for each prompt, lines where they part, and where the session stands; below them
//! what the branch under the cursor is about.

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

/// A rule, and three rows of text.
const PREVIEW_ROWS: u16 = 4;
/// Rows of the list that are not given up for a preview.
const MIN_LIST_ROWS: u16 = 4;
const LABEL_CELLS: usize = 11;

pub fn draw(tree: &BranchTree, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let branches = screen.store.branches.tree();
    let tips = branches.tips().len();
    let title = if tips == 1 { "1 branch".to_owned() } else { format!("{tips} branches") };
    let footer = format!("● here · {} goes on after it · {} closes", labels.accept, labels.close);
    // Without room for both the list comes first.
    let preview_rows = if area.height >= MIN_LIST_ROWS + PREVIEW_ROWS + 2 { PREVIEW_ROWS } else { 0 };
    let height = (tree.rows.len() + 2 + usize::from(preview_rows)).min(usize::from(area.height)) as u16;
    let place = centered(area, area.width.saturating_sub(2).min(100), height);
    let inner = draw_box(&title, &footer, Role::BorderFocused, theme, place, buf);
    let below = Rect { y: inner.bottom().saturating_sub(preview_rows), height: preview_rows, ..inner };
    let inner = Rect { height: inner.height.saturating_sub(preview_rows), ..inner };
    if preview_rows > 0 {
        draw_preview(tree, screen, below, buf);
    }
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

/// Shows with which prompt a branch parts from the others, how it ends, how long it is and how old.
fn draw_preview(tree: &BranchTree, screen: &OverlayScreen<'_>, place: Rect, buf: &mut Buffer) {
    let OverlayScreen { theme, store, .. } = *screen;
    let branches = store.branches.tree();
    let Some(preview) = tree.preview(branches) else { return };
    let Some(tip) = branches.turns().get(preview.tip) else { return };
    let row = |nth: u16| Rect { y: place.y + nth, height: 1, ..place };
    RowWriter::new(buf, row(0), 0).fill("─", theme.style(Role::Dim));
    let parting = preview.parting.and_then(|turn| branches.turns().get(turn));
    let (label, prompt) = parting.map_or(("ends with", &tip.prompt), |turn| ("parts at", &turn.prompt));
    let turns = if preview.turns == 1 { "1 turn".to_owned() } else { format!("{} turns", preview.turns) };
    let length = format!("{turns}, the last {}", age(Duration::from(store.session.now.since(tip.at))));
    let or = |text: &str, other: &str| if text.trim().is_empty() { other.to_owned() } else { text.to_owned() };
    let told = [
        (label, or(prompt, "(went on)"), Role::User),
        ("answer", or(&tip.answer, "(none)"), Role::Text),
        ("length", length, Role::Text),
    ];
    for (nth, (label, text, role)) in (1..).zip(told) {
        let mut pen = RowWriter::new(buf, row(nth), 0);
        pen.write(&format!("{label:<LABEL_CELLS$}"), theme.style(Role::Dim));
        let room = pen.room();
        pen.write(&one_line(&text, room), theme.style(role));
    }
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
