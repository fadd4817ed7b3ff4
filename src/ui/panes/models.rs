//! The model picker: a filter and a list.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::models::ModelFacts;
use crate::store::overlay::models::ModelPicker;
use crate::store::session::OpenedSession;
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::format;
use crate::ui::paint::{RowWriter, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

use super::filter_list::{FilterList, first_shown};

/// What is said about the chosen model, and the gap above it.
const FACT_ROWS: u16 = 4;
/// With fewer rows of the list left there is none of it.
const MIN_LISTED_ROWS: u16 = 3;
const MAX_FACT_CELLS: usize = 200;

pub fn draw(picker: &ModelPicker, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, .. } = *screen;
    let (models, query) = (store.session.models.as_deref(), picker.query.as_str());
    let found = picker.matching(store);
    let footer = format!("{} uses it · {} closes", labels.accept, labels.close);
    let (list, drawn) = FilterList {
        title: "Models",
        footer: &footer,
        query,
        placeholder: "type to filter, or engine/model",
        rows: found.len() + usize::from(FACT_ROWS),
        max_width: 84,
        max_height: 26,
    }
    .draw(screen, buf);
    let (list, about) = split(list);
    if found.is_empty() {
        let text = match models {
            None => "looking for models…",
            Some([]) => "no models found; type engine/model",
            Some(_) if query.contains('/') => "not in the list; used as typed",
            Some(_) => "no matching model",
        };
        RowWriter::new(buf, list, 0).write_truncated(text, 0, theme.style(Role::Dim));
        return drawn;
    }
    let current = store.session.opened.as_ref().map(OpenedSession::name);
    let selected = picker.selected.min(found.len() - 1);
    let first = first_shown(selected, usize::from(list.height));
    for (row, model) in found.iter().skip(first).take(usize::from(list.height)).enumerate() {
        let is_current = model.is_current || current.as_deref() == Some(&model.name);
        let mark = if is_current { "● " } else { "  " };
        let row_area = Rect { y: list.y + row as u16, height: 1, ..list };
        let mut pen = RowWriter::new(buf, row_area, 0);
        pen.write(mark, theme.style(Role::Ok));
        let room = pen.room();
        let name = one_line(&model.name, room);
        pen.write(&name, theme.style(Role::Text));
        let left = room.saturating_sub(str_width(&name) + 2);
        if left >= 4 {
            let remark = one_line(&model.remark, left);
            let role = if model.facts.trouble.is_empty() { Role::Dim } else { Role::Warn };
            RowWriter::at_right(buf, row_area, 0, str_width(&remark)).write(&remark, theme.style(role));
        }
        if first + row == selected {
            select_row(row_area, theme, buf);
        }
    }
    if let (Some(about), Some(model)) = (about, found.get(selected)) {
        for (y, (text, role)) in (1..).zip(facts(&model.facts)) {
            RowWriter::new(buf, about, y).write_truncated(&text, 0, theme.style(role));
        }
    }
    drawn
}

/// Takes what is said about the chosen model off the end of the list, if enough of that is left.
fn split(list: Rect) -> (Rect, Option<Rect>) {
    match list.height.checked_sub(FACT_ROWS) {
        Some(height @ MIN_LISTED_ROWS..) => {
            let about = Rect { y: list.y + height, height: FACT_ROWS, ..list };
            (Rect { height, ..list }, Some(about))
        }
        _ => (list, None),
    }
}

/// Returns what is known of a model, a line each.
fn facts(facts: &ModelFacts) -> Vec<(String, Role)> {
    if !facts.trouble.is_empty() {
        let why = one_line(&facts.trouble, MAX_FACT_CELLS);
        return vec![(format!("no answer: {why}"), Role::Warn), (one_line(&facts.origin, MAX_FACT_CELLS), Role::Dim)];
    }
    if *facts == ModelFacts::default() {
        return vec![("nothing more is known of it".into(), Role::Dim)];
    }
    let window = facts.window.map_or("window not known".into(), |tokens| format!("{} tokens", format::count(tokens)));
    let price = match facts.price {
        None => "price not known".into(),
        Some((0.0, 0.0)) => "free".into(),
        Some((input, output)) => {
            format!("{} in, {} out per million tokens", format::money(input), format::money(output))
        }
    };
    let abilities = facts.abilities.join(", ");
    let efforts = match facts.efforts.join(", ") {
        levels if levels.is_empty() => levels,
        levels => format!("effort {levels}"),
    };
    let abilities = [abilities, efforts].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ");
    vec![
        (format!("{window} · {price}"), Role::Text),
        (abilities, Role::Text),
        (one_line(&facts.origin, MAX_FACT_CELLS), Role::Dim),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_model_is_said_in_words() {
        let said = |known: ModelFacts| facts(&known).into_iter().map(|(text, _)| text).collect::<Vec<_>>();
        let known = ModelFacts {
            window: Some(128_000),
            price: Some((2.5, 10.0)),
            origin: "https://api.openai.com".into(),
            abilities: vec!["tools".into(), "vision".into()],
            efforts: vec!["low".into(), "high".into()],
            trouble: String::new(),
        };
        assert_eq!(
            said(known),
            [
                "128k tokens · $2.50 in, $10.00 out per million tokens",
                "tools, vision · effort low, high",
                "https://api.openai.com"
            ]
        );
        let local = ModelFacts { price: Some((0.0, 0.0)), origin: "here".into(), ..ModelFacts::default() };
        assert_eq!(said(local), ["window not known · free", "", "here"]);
        let lost = ModelFacts { trouble: "refused\n".into(), origin: "http://h".into(), ..ModelFacts::default() };
        assert!(said(lost)[0].starts_with("no answer: refused"));
        assert_eq!(said(ModelFacts::default()).len(), 1);
    }
}
