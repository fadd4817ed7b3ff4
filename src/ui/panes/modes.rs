//! The list of modes, with what each allows; the one that never asks is confirmed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::{AgentOption, AgentOptionValue, ApprovalMode};
use crate::store::overlay::modes::{FULL_MODE_WARNING, ModeList};
use crate::store::permissions::mode_description;
use crate::text::one_line;
use crate::text::width::str_width;
use crate::text::wrap::wrap;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

/// Cells for a mark and the longest name of ours.
const NAME_CELLS: usize = 13;
/// Cells for the name of an agent's mode.
const MAX_NAME_CELLS: usize = 28;
/// Cells of what is said about it.
const MAX_WORDS_CELLS: usize = 300;

pub fn draw(list: &ModeList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let ModeList { selected, full_mode_confirm: sure } = *list;
    let current = store.session.mode();
    let pending = store.tool_calls.pending().count();
    let footer = format!("{} chooses · {} closes", labels.accept, labels.close);
    let mark = |is_current: bool| if is_current { "●" } else { " " };
    let rows: Vec<(String, String)> = match sure {
        None => ApprovalMode::ALL
            .into_iter()
            .map(|mode| (format!("{} {}", mark(mode == current), mode.name()), mode_description(mode).to_owned()))
            .chain(store.session.agent_modes().map(|(option, value)| {
                let name = format!("{} {}", mark(value.value == option.current), one_line(&value.name, MAX_NAME_CELLS));
                (name, agent_mode_words(option, value))
            }))
            .collect(),
        Some(_) => vec![
            (format!("  {}", current.name()), "keep this mode".into()),
            ("  full".into(), FULL_MODE_WARNING.into()),
        ],
    };
    let chosen = sure.map_or(selected, usize::from).min(rows.len() - 1);
    let width = area.width.saturating_sub(2).min(100);
    let name_cells = rows.iter().map(|(name, _)| str_width(name) + 2).max().unwrap_or_default().max(NAME_CELLS);
    let room = usize::from(width).saturating_sub(4 + name_cells).max(8);
    let rows: Vec<(&str, Vec<&str>)> = rows
        .iter()
        .map(|(name, words)| (name.as_str(), wrap(words, room).iter().map(|row| row.slice(words)).collect()))
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
            RowWriter::new(buf, part, at).skip(name_cells).write(words, theme.style(Role::Text));
        }
        if nth == chosen {
            select_row(part, theme, buf);
        }
        row += tall;
    }
    DrawnOverlay::default()
}

/// What a mode of the agent is: whose it is, and its own description.
fn agent_mode_words(option: &AgentOption, value: &AgentOptionValue) -> String {
    let about = one_line(&value.description, MAX_WORDS_CELLS);
    let whose = format!("the agent's {}", one_line(&option.name, MAX_NAME_CELLS).to_lowercase());
    if about.is_empty() { whose } else { format!("{whose}: {about}") }
}
