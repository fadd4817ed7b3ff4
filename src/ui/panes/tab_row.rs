//! The sessions that are open beside each other, in a row: number, what it does, title. Only while there is more than one.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::action::Action;
use crate::store::tabs::{TabState, TabSummary, TabTarget};
use crate::text::width::str_width;
use crate::ui::layout::Place;
use crate::ui::paint::{RowWriter, select_row};
use crate::ui::pane::{PaneScreen, PaneView};
use crate::ui::theme::Role;

/// Cells of a title: fewer tell nothing, more are no help.
const MIN_TITLE_CELLS: usize = 4;
const MAX_TITLE_CELLS: usize = 28;

#[derive(Clone, Debug, Default)]
pub struct TabRow {
    /// The columns of each that is shown, with its number.
    columns: Vec<(Range<u16>, usize)>,
}

impl PaneView for TabRow {
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        Place::TopRows(u16::from(screen.store.tabs.tabs.len() > 1 && screen.area.height >= 6))
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        self.columns.clear();
        let (open, theme) = (&screen.store.tabs, screen.theme);
        if area.is_empty() || open.tabs.is_empty() {
            return None;
        }
        let heads: Vec<String> = (1..).zip(&open.tabs).map(|(number, tab)| head(number, tab)).collect();
        let titles = title_cells(&heads, usize::from(area.width));
        let mut x = area.x;
        for (index, (head, tab)) in
            heads.iter().zip(&open.tabs).enumerate().skip(first_shown(&heads, titles, open.active, area))
        {
            let part = Rect { x, width: area.right().saturating_sub(x), ..area };
            let is_active = index == open.active;
            let mut pen = RowWriter::new(buf, part, 0);
            pen.write(head, theme.style(role(tab.state)));
            if titles > 0 {
                let title = if tab.title.is_empty() { "new session" } else { &tab.title };
                let keep = pen.room().saturating_sub(titles);
                pen.write_truncated(title, keep, theme.style(if is_active { Role::Text } else { Role::Dim }));
                pen.skip(1);
            }
            let end = pen.column();
            if is_active {
                select_row(Rect { width: end - x, ..part }, theme, buf);
            }
            self.columns.push((x..end, index + 1));
            x = end;
        }
        None
    }

    fn click(&self, _store: &Store, at: (u16, u16)) -> Option<Action> {
        let (_, number) = self.columns.iter().find(|(columns, _)| columns.contains(&at.0))?;
        Some(Action::SwitchTab(TabTarget::Number(*number)))
    }
}

/// Returns the number of a tab and its mark.
fn head(number: usize, tab: &TabSummary) -> String {
    match mark(tab.state) {
        "" => format!(" {number} "),
        mark => format!(" {number} {mark} "),
    }
}

/// Returns what stands for a state, also where there are no colors.
pub(super) fn mark(state: TabState) -> &'static str {
    match state {
        TabState::Idle => "",
        TabState::Working => "●",
        TabState::AwaitingApproval => "?",
        TabState::Unread => "✓",
        TabState::Failed => "✗",
    }
}

pub(super) fn role(state: TabState) -> Role {
    match state {
        TabState::Idle => Role::Dim,
        TabState::Working => Role::Accent,
        TabState::AwaitingApproval => Role::Warn,
        TabState::Unread => Role::Ok,
        TabState::Failed => Role::Error,
    }
}

/// Returns the cells that each title may take; none where they would be too short.
fn title_cells(heads: &[String], width: usize) -> usize {
    let used: usize = heads.iter().map(|head| str_width(head) + 1).sum();
    let each = width.saturating_sub(used) / heads.len().max(1);
    if each < MIN_TITLE_CELLS { 0 } else { each.min(MAX_TITLE_CELLS) }
}

/// Returns the first tab that is shown, so that the active one is.
fn first_shown(heads: &[String], titles: usize, active: usize, area: Rect) -> usize {
    let cells = |head: &String| str_width(head) + if titles > 0 { titles + 1 } else { 0 };
    let mut room = usize::from(area.width);
    let before = heads.get(..=active).unwrap_or_default().iter().rev();
    let fits = before.take_while(|head| {
        let fits = cells(head) <= room;
        room = room.saturating_sub(cells(head));
        fits
    });
    (active + 1).saturating_sub(fits.count().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::msg::Msg;
    use crate::store::tabs::OpenTabs;
    use crate::ui::key_hints::KeyHints;
    use crate::ui::layout::Layout;
    use crate::ui::theme::Theme;

    fn store(states: &[(&str, TabState)], active: usize) -> Store {
        let tabs = states.iter().enumerate().map(|(nth, (title, state))| TabSummary {
            session: format!("s{nth}").as_str().into(),
            title: (*title).to_owned(),
            state: *state,
        });
        let mut store = Store::default();
        store.update(Msg::Tabs(OpenTabs { tabs: tabs.collect(), active, asks: Vec::new() }), &mut Vec::new());
        store
    }

    fn row(store: &Store, width: u16) -> (String, TabRow) {
        let (area, hints, layout) = (Rect::new(0, 0, width, 1), KeyHints::default(), Layout::default());
        let (mut buf, mut row) = (Buffer::empty(area), TabRow::default());
        let screen = PaneScreen { store, key_hints: &hints, theme: Theme::default(), area, layout: &layout };
        row.draw(&screen, area, &mut buf);
        let text: String = (0..width).map(|x| buf[(x, 0)].symbol()).collect();
        (text.trim_end().to_owned(), row)
    }

    #[test]
    fn a_row_says_number_state_and_title_and_a_click_goes_there() {
        let three = [
            ("Mend the parser", TabState::Working),
            ("", TabState::Idle),
            ("Write the documentation of all that there is", TabState::AwaitingApproval),
        ];
        let (text, tabs) = row(&store(&three, 1), 80);
        assert_eq!(text, " 1 ● Mend the parser  2 new session  3 ? Write the documentat…");
        let at = |needle: &str| text.chars().take(text[..text.find(needle).unwrap()].chars().count()).count() as u16;
        for (needle, number) in [("Mend", 1), ("new", 2), ("Write", 3)] {
            let told = tabs.click(&Store::default(), (at(needle), 0));
            assert_eq!(told, Some(Action::SwitchTab(TabTarget::Number(number))));
        }
        assert_eq!(tabs.click(&Store::default(), (79, 0)), None);
    }

    #[test]
    fn where_it_is_narrow_the_shown_one_and_the_marks_stay() {
        let many: Vec<_> = (0..9).map(|_| ("A title", TabState::Failed)).collect();
        assert_eq!(row(&store(&many, 0), 45).0, " 1 ✗  2 ✗  3 ✗  4 ✗  5 ✗  6 ✗  7 ✗  8 ✗  9 ✗");
        let (text, _) = row(&store(&many, 8), 20);
        assert!(text.ends_with("9 ✗") && text.starts_with(" 6 ✗"), "{text}");
        assert_eq!(row(&store(&many, 4), 3).0, " 5");
    }
}
