//! What is found in all saved sessions: a field, and a row for each text, with its session before it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::overlay::found_texts::{FoundText, FoundTextList, SessionsSearch};
use crate::text::one_line;
use crate::ui::paint::{RowWriter, restyle};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::{Role, Theme};

use super::filter_list::{FilterList, first_shown};

/// Cells of a session's age, and of its title.
const AGE_CELLS: usize = 5;
const MAX_TITLE_CELLS: usize = 24;

pub fn draw(search: &SessionsSearch, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { key_hints: labels, theme, .. } = *screen;
    let none = FoundTextList::default();
    let (list, told) = match search.found() {
        None => (&none, "looking for it …"),
        Some(Err(why)) => (&none, why.as_str()),
        Some(Ok(list)) if search.query.is_empty() => (list, "prompts, answers, calls and outputs are looked through"),
        Some(Ok(list)) => (list, "nothing found"),
    };
    let count = match (list.texts.len(), list.total) {
        (0, _) => String::new(),
        (shown, total) if shown < total => format!("{shown} of {total} · "),
        (_, total) => format!("{total} · "),
    };
    let does = if search.is_current() { "opens it there" } else { "looks for it" };
    let footer = format!("{count}{} {does} · {} closes", labels.accept, labels.close);
    let (place, drawn) = FilterList {
        title: "Search in all sessions",
        footer: &footer,
        query: &search.query,
        placeholder: "words, or /an expression/",
        rows: list.texts.len(),
        max_width: 140,
        max_height: screen.stage.height.saturating_sub(2).max(6),
    }
    .draw(screen, buf);
    if list.texts.is_empty() {
        RowWriter::new(buf, place, 0).write_truncated(&one_line(told, 200), 0, theme.style(Role::Dim));
        return drawn;
    }
    let shown = usize::from(place.height);
    let first = first_shown(search.selected, shown);
    for (row, (nth, text)) in (0..).zip(list.texts.iter().enumerate().skip(first).take(shown)) {
        let line = Rect { y: place.y + row, height: 1, ..place };
        draw_text(text, &theme, line, buf);
        if nth == search.selected {
            restyle(line, theme.style(Role::Selection), buf);
        }
    }
    drawn
}

fn draw_text(text: &FoundText, theme: &Theme, line: Rect, buf: &mut Buffer) {
    let mut pen = RowWriter::new(buf, line, 0);
    let title = one_line(&text.title, (pen.room() / 4).min(MAX_TITLE_CELLS));
    pen.write(&format!("{:>AGE_CELLS$}  ", text.age), theme.style(Role::Dim));
    pen.write(&title, theme.style(Role::Accent)).write(&format!("  {}  ", text.kind), theme.style(Role::Dim));
    let part = |range: std::ops::Range<usize>| text.line.get(range).unwrap_or_default();
    let (before, found) = (part(0..text.range.start), part(text.range.clone()));
    let behind = part(text.range.end..text.line.len());
    for (piece, role) in [(before.trim_start(), Role::Text), (found, Role::Match), (behind, Role::Text)] {
        let room = pen.room();
        pen.write(&kept_spaces(piece, room), theme.style(role));
    }
}

/// Returns a piece of a line as it can be shown, with the spaces at its ends.
fn kept_spaces(piece: &str, room: usize) -> String {
    let (start, end) = (piece.starts_with(char::is_whitespace), piece.ends_with(char::is_whitespace));
    let told = one_line(piece, room);
    let space = |is_there: bool| if is_there && !told.is_empty() { " " } else { "" };
    format!("{}{}{}", space(start && !told.starts_with(' ')), told, space(end && !told.ends_with(' ')))
}
