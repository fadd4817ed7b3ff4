//! The agent's plan above the composer: how much is done, and the entries around the one it is at.
//!
//! ```text
//!  plan · 3 of 7 done                    Alt+K all
//!   ✓ read the tests
//!   ▸ change the parser
//!     write the manual
//! ```
//!
//! Without a plan it takes no rows.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::{PlanEntry, PlanState};
use crate::store::plan::{Plan, PlanView};
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::layout::Place;
use crate::ui::paint::RowWriter;
use crate::ui::pane::{PaneScreen, PaneView};
use crate::ui::theme::{Role, Theme};

/// Most entries that are shown unasked.
const MAX_COMPACT_ENTRIES: usize = 3;
/// With fewer rows on the screen, the current entry stands behind the count; with still fewer there is nothing.
const MIN_LIST_ROWS: u16 = 20;
const MIN_HEAD_ROWS: u16 = 10;

#[derive(Clone, Copy, Debug, Default)]
pub struct PlanPane;

impl PaneView for PlanPane {
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        let (plan, height) = (&screen.store.plan, screen.area.height);
        let count = plan.entries().len();
        let entries = match plan.view() {
            _ if count == 0 || height < MIN_HEAD_ROWS => return Place::Rows(0),
            PlanView::Hidden => return Place::Rows(0),
            PlanView::Whole => count.min(usize::from(height / 2)),
            // What is done needs no rows but the count.
            PlanView::Compact if height < MIN_LIST_ROWS || plan.current().is_none() => 0,
            PlanView::Compact => count.min(MAX_COMPACT_ENTRIES),
        };
        Place::Rows(1 + entries as u16)
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        if area.is_empty() {
            return None;
        }
        let plan = &screen.store.plan;
        let rows = usize::from(area.height) - 1;
        draw_head(plan, rows, screen, area, buf);
        for (row, at) in window(plan, rows).enumerate() {
            if let Some(entry) = plan.entries().get(at) {
                draw_entry(entry, plan.current() == Some(at), screen.theme, area, 1 + row as u16, buf);
            }
        }
        None
    }
}

/// Returns which entries are shown in so many rows: those around the one that the agent is at.
fn window(plan: &Plan, rows: usize) -> std::ops::Range<usize> {
    let count = plan.entries().len();
    let rows = rows.min(count);
    let first = plan.current().unwrap_or(count).saturating_sub(rows / 2).min(count - rows);
    first..first + rows
}

fn draw_head(plan: &Plan, rows: usize, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) {
    let theme = screen.theme;
    let count = plan.entries().len();
    let mut pen = RowWriter::new(buf, area, 0);
    pen.write(" plan", theme.style(Role::Accent));
    pen.write(&format!(" · {} of {count} done", plan.done_count()), theme.style(Role::Dim));
    if rows == 0
        && let Some(entry) = plan.current().and_then(|at| plan.entries().get(at))
    {
        pen.write(" · ", theme.style(Role::Dim));
        let room = pen.room().saturating_sub(1);
        pen.write(&one_line(&entry.text, room), theme.style(Role::Text));
        return;
    }
    let key = screen.key_hints.keys_of("todos.cycle");
    let what = if plan.view() == PlanView::Whole { "hides it" } else { "all" };
    let is_needed = plan.view() == PlanView::Whole || rows < count;
    let width = str_width(key) + str_width(what) + 2;
    if is_needed && !key.is_empty() && pen.room() > width + 2 {
        let mut pen = RowWriter::at_right(buf, area, 0, width);
        pen.write(key, theme.style(Role::Key)).write(" ", theme.style(Role::Dim)).write(what, theme.style(Role::Dim));
    }
}

fn draw_entry(entry: &PlanEntry, is_current: bool, theme: Theme, area: Rect, row: u16, buf: &mut Buffer) {
    let (glyph, role, text_role) = match entry.state {
        PlanState::Done => ("✓", Role::Ok, Role::Dim),
        PlanState::InProgress => ("▸", Role::Accent, Role::Text),
        PlanState::Pending if is_current => ("▹", Role::Accent, Role::Text),
        PlanState::Pending => (" ", Role::Dim, Role::Dim),
    };
    let mut pen = RowWriter::new(buf, area, row);
    pen.write("  ", theme.style(Role::Dim)).write(glyph, theme.style(role)).write(" ", theme.style(Role::Dim));
    let room = pen.room().saturating_sub(1);
    pen.write(&one_line(&entry.text, room), theme.style(text_role));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentEvent, Annotation, AnnotationTarget, Envelope, Millis, Seq};
    use crate::store::action::Action;
    use crate::store::msg::Msg;
    use crate::store::{Store, StoreOptions};
    use crate::testkit::ui::dark_ui;

    fn screen(store: &Store, width: u16, height: u16) -> Vec<String> {
        let (area, mut ui) = (Rect::new(0, 0, width, height), dark_ui());
        let mut buf = Buffer::empty(area);
        crate::ui::draw(store, &mut ui, area, &mut buf);
        let row = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    fn tell(store: &mut Store, texts: &[&str], done: usize) {
        let state = |at| match at {
            at if at < done => PlanState::Done,
            at if at == done => PlanState::InProgress,
            _ => PlanState::Pending,
        };
        let entry = |(at, text): (usize, &&str)| PlanEntry { text: (*text).into(), state: state(at) };
        let annotation = Annotation::Plan(texts.iter().enumerate().map(entry).collect());
        let event = AgentEvent::Annotation { on: AnnotationTarget::Turn("t".into()), annotation };
        let seq = Seq(store.last_seq().0 + 1);
        store.update(Msg::Event(Envelope { seq, at: Millis(0), event }), &mut Vec::new());
    }

    #[test]
    fn a_plan_takes_a_few_rows_all_or_none_and_none_without_one() {
        let mut store = Store::new(StoreOptions::default());
        let has = |store: &Store, text: &str| screen(store, 80, 24).iter().any(|row| row.contains(text));
        assert!(!has(&store, "plan"));
        tell(&mut store, &["one", "two", "three\u{1b}[31m", "four", "five"], 2);
        let rows = screen(&store, 80, 24);
        let at = rows.iter().position(|row| row.starts_with(" plan · 2 of 5 done")).unwrap();
        assert!(rows[at].ends_with("Alt+K all"), "{}", rows[at]);
        assert_eq!(rows[at + 1..at + 4], ["  ✓ two", "  ▸ three", "    four"]);
        store.update(Msg::Action(Action::CycleTodos), &mut Vec::new());
        assert!(has(&store, "  ✓ one") && has(&store, "    five"));
        store.update(Msg::Action(Action::CycleTodos), &mut Vec::new());
        assert!(!has(&store, "plan"));
        store.update(Msg::Action(Action::CycleTodos), &mut Vec::new());
        assert!(screen(&store, 80, 14).iter().any(|row| row == " plan · 2 of 5 done · three"));
        tell(&mut store, &["one", "two"], 2);
        assert!(has(&store, "plan · 2 of 2 done") && !has(&store, "two"));
        for (width, height) in [(1, 1), (3, 30), (20, 10), (200, 60)] {
            screen(&store, width, height);
        }
    }
}
