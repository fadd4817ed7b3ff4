//! What is used and why: the model and the reason for it, versions, places, permissions. Nothing is cut, a long value
//! wraps.

use ratatui::buffer::Buffer;

use crate::event::{AgentOption, AgentOptionKind};
use crate::store::Store;
use crate::store::overlay::status::StatusText;
use crate::store::permissions::{grants, mode_description};
use crate::text::width::str_width;
use crate::text::wrap::wrap;
use crate::text::{one_line, visible_line};
use crate::ui::format;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

const MAX_WIDTH: u16 = 100;
/// Longest value, in cells.
const MAX_VALUE_CELLS: usize = 2000;

pub fn draw(text: &StatusText, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    draw_facts("Status", &facts(screen.store), text.scroll, screen, buf)
}

/// Draws facts, each with its name, scrolled down by so many rows.
pub(super) fn draw_facts(
    title: &str,
    facts: &[(impl AsRef<str>, String)],
    scroll: usize,
    screen: &OverlayScreen<'_>,
    buf: &mut Buffer,
) -> DrawnOverlay {
    draw_facts_with(title, "", facts, scroll, screen, buf)
}

/// The same with what a key does there.
pub(super) fn draw_facts_with(
    title: &str,
    hint: &str,
    facts: &[(impl AsRef<str>, String)],
    scroll: usize,
    screen: &OverlayScreen<'_>,
    buf: &mut Buffer,
) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, stage: area, .. } = *screen;
    let names = facts.iter().map(|(name, _)| str_width(name.as_ref())).max().unwrap_or_default();
    let width = area.width.saturating_sub(2).min(MAX_WIDTH);
    let room = usize::from(width.saturating_sub(4)).saturating_sub(names + 2).max(1);
    let mut rows: Vec<(&str, String)> = Vec::new();
    for (name, value) in facts {
        for (nth, row) in wrap(value, room).into_iter().enumerate() {
            rows.push((if nth == 0 { name.as_ref() } else { "" }, row.slice(value).to_owned()));
        }
    }
    let place = centered(area, width, (rows.len() + 2).min(usize::from(area.height)) as u16);
    let shown = usize::from(place.height.saturating_sub(2));
    let most = rows.len().saturating_sub(shown);
    let first = scroll.min(most);
    let hint = if hint.is_empty() { String::new() } else { format!("{hint} · ") };
    let footer = match most {
        0 => format!("{hint}{} closes", labels.close),
        _ => format!("{hint}{}–{} of {} · ↑↓ · {} closes", first + 1, first + shown, rows.len(), labels.close),
    };
    let inner = draw_box(title, &footer, Role::BorderFocused, theme, place, buf);
    for (row, (name, value)) in (0..).zip(rows.iter().skip(first).take(shown)) {
        let mut pen = RowWriter::new(buf, inner, row);
        pen.write(name, theme.style(Role::Dim)).skip((names + 2).saturating_sub(str_width(name)));
        pen.write(value, theme.style(Role::Text));
    }
    DrawnOverlay::with_scroll_end(most)
}

/// Returns what there is to tell, each with its name.
fn facts(store: &Store) -> Vec<(&'static str, String)> {
    let (session, place) = (&store.session, &store.workplace);
    let mut facts = Vec::new();
    let mut tell = |name, value: String| {
        let value = one_line(&visible_line(&value), MAX_VALUE_CELLS);
        if !value.is_empty() {
            facts.push((name, value));
        }
    };
    tell("jarvis-tui", format!("{} {}", env!("CARGO_PKG_VERSION"), place.platform));
    if let Some(opened) = &session.opened {
        tell("Model", opened.name());
        tell("Chosen by", opened.reason.clone());
        if let Some(window) = store.usage.context_window() {
            tell("Context", format!("{} tokens", format::count(window)));
        }
        tell("Mode", format!("{}: {}", opened.mode.name(), mode_description(opened.mode)));
        match grants(store).len() {
            0 => {}
            1 => tell("Allowed", "1 grant of this session; /permissions lists it".into()),
            more => tell("Allowed", format!("{more} grants of this session; /permissions lists them")),
        }
        tell("Folder", place.display_path(&opened.folder));
    }
    tell("Branch", place.branch.clone().unwrap_or_default());
    tell("Attached to", place.host.clone().unwrap_or_default());
    for option in session.status.options.iter().filter(|option| option.kind != AgentOptionKind::Model) {
        match option.kind {
            AgentOptionKind::Effort => tell("Effort", option.current.clone()),
            AgentOptionKind::System if option.current == AgentOption::DEFAULT_VALUE => {}
            AgentOptionKind::System => tell("System prompt", option.current.clone()),
            _ => tell("Agent's setting", format!("{}: {}", option.name, option.current)),
        }
    }
    tell("Session", place.session.clone());
    tell("Session log", place.session_log.as_deref().map(|path| place.display_path(path)).unwrap_or_default());
    if let Some(why) = &session.status.save_error {
        tell("Not saved", why.clone());
    }
    tell("Program log", place.display_path(&place.program_log));
    tell("Settings", place.display_path(&place.config_file));
    facts
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;
    use crate::store::workplace::Workplace;
    use crate::ui::key_hints::KeyHints;
    use crate::ui::theme::Theme;

    #[test]
    fn every_word_is_there_at_any_width_and_nothing_hostile() {
        let mut store = Store::default();
        store.workplace = Workplace {
            branch: Some("main\u{1b}[31m".into()),
            program_log: format!("/home/me/{}log", "deep/".repeat(30)),
            home: "/home/me".into(),
            ..Workplace::default()
        };
        for width in [40, 80, 140] {
            let area = Rect::new(0, 0, width, 60);
            let mut buf = Buffer::empty(area);
            let labels = KeyHints::default();
            let screen =
                OverlayScreen { store: &store, key_hints: &labels, theme: Theme::default(), stage: area, input: area };
            draw(&StatusText::default(), &screen, &mut buf);
            let text: String = buf.content().iter().map(ratatui::buffer::Cell::symbol).collect();
            let letters: String = text.chars().filter(|c| c.is_alphanumeric() || "/~".contains(*c)).collect();
            assert!(letters.contains("~/deep/deep") && letters.contains("main"), "{width}: {text}");
            assert_eq!(letters.matches("deep").count(), 30, "{width}");
            assert!(!text.contains('\u{1b}'));
        }
    }
}
