//! The commands that run in the background, as a list; and what one of them printed, to which Enter goes and Esc back from.
//!
//! Nothing is told while nobody looks: each key asks anew.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::{Millis, NoticeLevel};
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::effect::Effect;
use crate::store::update::support::open;

/// A command in the background; raw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskRow {
    pub id: String,
    pub command: String,
    pub is_running: bool,
    /// Since its start.
    pub age: Millis,
    /// How it ended; empty while it runs.
    pub end: String,
    /// The end of what it printed.
    pub output: String,
}

/// All of the session, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskList {
    pub selected: usize,
    pub rows: Vec<TaskRow>,
}

/// What one printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskOutputText {
    pub row: TaskRow,
    /// Rows scrolled up from the end.
    pub scroll: usize,
}

impl TaskList {
    fn selected_row(&self) -> Option<&TaskRow> {
        self.rows.get(self.selected)
    }

    fn stop_selected(&self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match self.selected_row() {
            Some(row) if row.is_running => fx.push(Effect::StopTask(row.id.clone())),
            _ => store.toast = Some((NoticeLevel::Info, "it runs no longer".into())),
        }
        OverlayOutcome::Stay
    }
}

impl OverlayState for TaskList {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Command(false)
    }

    fn backspace(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.stop_selected(store, fx)
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        self.selected = step.from(self.selected, self.rows.len().saturating_sub(1));
    }

    fn rows(&self, _store: &Store) -> Option<Vec<String>> {
        let state = |row: &TaskRow| if row.is_running { "running".to_owned() } else { row.end.clone() };
        Some(self.rows.iter().map(|row| format!("{}: {}, {}", row.id, row.command, state(row))).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        let Some(row) = self.selected_row().cloned() else { return OverlayOutcome::Close };
        open(store, TaskOutputText { row, scroll: 0 });
        OverlayOutcome::Stay
    }

    fn act(&mut self, action: &Action, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match action {
            Action::RevokeGrant => self.stop_selected(store, fx),
            _ => OverlayOutcome::Stay,
        }
    }

    fn ask(&mut self, fx: &mut Vec<Effect>) {
        fx.push(Effect::ListTasks);
    }
}

impl OverlayState for TaskOutputText {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        // What is new stands at the end, where reading begins.
        let from_top = end.saturating_sub(self.scroll);
        self.scroll = end.saturating_sub(step.from(from_top, end));
    }

    fn ask(&mut self, fx: &mut Vec<Effect>) {
        fx.push(Effect::ListTasks);
    }
}

/// Shows how they are; lists that are open are brought up to date.
pub(in crate::store) fn show_tasks(store: &mut Store, rows: Vec<TaskRow>, is_wanted: bool) {
    if let Some(shown) = store.focus.find_mut::<TaskOutputText>()
        && let Some(row) = rows.iter().find(|row| row.id == shown.row.id)
    {
        shown.row = row.clone();
    }
    if let Some(list) = store.focus.find_mut::<TaskList>() {
        list.selected = list.selected.min(rows.len().saturating_sub(1));
        list.rows = rows;
    } else if is_wanted && rows.is_empty() {
        store.toast = Some((NoticeLevel::Info, "no command has run in the background of this session".into()));
    } else if is_wanted {
        open(store, TaskList { selected: 0, rows });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::msg::{Msg, Report};

    fn told(store: &mut Store, rows: &[TaskRow], is_wanted: bool) {
        store.update(Msg::Report(Report::Tasks { rows: rows.to_vec(), is_wanted }), &mut Vec::new());
    }

    #[test]
    fn they_are_listed_read_and_stopped() {
        let row = |id: &str, output: &str| TaskRow {
            id: id.into(),
            is_running: output.is_empty(),
            output: output.into(),
            ..TaskRow::default()
        };
        let mut store = Store::default();
        told(&mut store, &[], true);
        assert!(store.toast.take().is_some() && store.focus.top_as::<TaskList>().is_none());
        told(&mut store, &[row("2", ""), row("1", "x")], true);
        let mut fx = Vec::new();
        store.update(Msg::Action(Action::RevokeGrant), &mut fx);
        assert!(fx.contains(&Effect::StopTask("2".into())), "{fx:?}");
        store.update(Msg::Action(Action::OverlayAccept), &mut Vec::new());
        told(&mut store, &[row("2", "more"), row("1", "x")], false);
        let shown = store.focus.top_as::<TaskOutputText>().map(|shown| shown.row.output.clone());
        assert_eq!(shown.as_deref(), Some("more"));
    }
}
