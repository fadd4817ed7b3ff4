//! The list of modes, with what each allows; the one that never asks is confirmed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::ApprovalMode;
use crate::store::overlay::modes::ModeList;
use crate::store::permissions::mode_description;
use crate::text::wrap::wrap;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, restyle};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

/// Cells for a mark and the longest name.
const NAME_CELLS: usize = 13;

pub fn draw(list: &ModeList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let ModeList { selected, full_mode_confirm: sure } = *list;
    let current = store.session.mode();
    let pending = store.tool_calls.pending().count();
    let footer = format!("{} chooses · {} closes", labels.accept, labels.close);
    let rows: Vec<(String, &str)> = match sure {
        None => ApprovalMode::ALL
            .into_iter()
            .map(|mode| {
                let mark = if mode == current { "●" } else { " " };
                (format!("{mark} {}", mode.name()), mode_description(mode))
            })
            .collect(),
        Some(_) => vec![
            (format!("  {}", current.name()), "keep this mode"),
            ("  full".into(), "yes: this session runs programs and changes files without asking from now on"),
        ],
    };
    let chosen = sure.map_or(selected, usize::from).min(rows.len() - 1);
    let width = area.width.saturating_sub(2).min(100);
    let room = usize::from(width).saturating_sub(4 + NAME_CELLS).max(8);
    let rows: Vec<(String, Vec<&str>)> = rows
        .into_iter()
        .map(|(name, words)| (name, wrap(words, room).iter().map(|row| row.slice(words)).collect()))
        .collect();
    let warning = match pending {
        0 => None,
        1 => Some("1 approval is pending: a mode that allows the call runs it.".to_owned()),
        more => Some(format!("{more} approvals are pending: a mode that allows a call runs it.")),
    };
    let height = rows.iter().map(|(_, words)| words.len().max(1)).sum::<usize>() + 2 * usize::from(warning.is_some());
    let place = centered(area, width, (height + 2).min(usize::from(area.height)) as u16);
    let title = if sure.is_some() { "Never ask?" } else { "Modes" };
    let role = if sure.is_some() { Role::Warn } else { Role::BorderFocused };
    let inner = draw_box(title, &footer, role, theme, place, buf);
    let mut row: u16 = 0;
    if let Some(warning) = warning {
        RowWriter::new(buf, inner, 0).write_truncated(&warning, 0, theme.style(Role::Warn));
        row = 2;
    }
    // Where rows are dear, the chosen one is on the screen.
    let heights = rows.iter().map(|(_, words)| words.len().max(1) as u16);
    let before: u16 = heights.clone().take(chosen + 1).sum();
    let mut skip = before.saturating_sub(inner.height.saturating_sub(row));
    for (nth, (name, words)) in rows.iter().enumerate() {
        let tall = words.len().max(1) as u16;
        if skip > 0 {
            skip = skip.saturating_sub(tall);
            continue;
        }
        let part = Rect { y: inner.y + row, height: tall.min(inner.height.saturating_sub(row)), ..inner };
        if part.is_empty() {
            break;
        }
        let name_role = if name.ends_with(ApprovalMode::Full.name()) { Role::Warn } else { Role::Key };
        RowWriter::new(buf, part, 0).write_truncated(name, 0, theme.style(name_role));
        for (at, words) in (0..part.height).zip(words) {
            RowWriter::new(buf, part, at).skip(NAME_CELLS).write(words, theme.style(Role::Text));
        }
        if nth == chosen {
            restyle(part, theme.style(Role::Selection), buf);
        }
        row += tall;
    }
    DrawnOverlay::default()
}
