//! The sub-agents as a list, two rows each, and what one of them said and called, which is followed while it works.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::CallId;
use crate::store::Store;
use crate::store::action::{ScrollStep, UiAction};
use crate::store::overlay::agents::{AgentList, AgentTranscript};
use crate::store::search::Search;
use crate::store::sub_agents::{SubAgent, label, state_word};
use crate::store::tool_calls::{CallState, ToolCall};
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::format::running_duration;
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen, PaneView as _};
use crate::ui::theme::Role;

use super::filter_list::first_shown;
use super::search_bar;
use super::subject::work_done;
use super::tool_panel::outcome_mark;
use super::transcript::{self, TranscriptView};

const ENTRY_ROWS: usize = 2;
/// Cells by which a sub-agent stands behind the one that started it.
const INDENT_CELLS: usize = 2;
const MAX_TITLE_CELLS: usize = 80;

/// Where the transcript of a sub-agent is scrolled to, and what was laid out of it.
#[derive(Default)]
pub struct AgentView {
    call: Option<CallId>,
    view: TranscriptView,
}

impl AgentView {
    /// Scrolls it as overlays are.
    pub fn scroll(&mut self, store: &Store, shown: &AgentTranscript, step: ScrollStep, page: usize) {
        let Some(agent) = store.sub_agents.find(&shown.call) else { return };
        let action = match step {
            ScrollStep::Back(usize::MAX) => UiAction::ScrollStart,
            ScrollStep::Forward(usize::MAX) => UiAction::ScrollEnd,
            ScrollStep::Back(rows) if rows == page => UiAction::PageUp,
            ScrollStep::Forward(rows) if rows == page => UiAction::PageDown,
            ScrollStep::Back(rows) => return self.view.scroll(-i32::try_from(rows).unwrap_or(i32::MAX)),
            ScrollStep::Forward(rows) => return self.view.scroll(i32::try_from(rows).unwrap_or(i32::MAX)),
        };
        self.view.handle(&agent.store, action);
    }
}

/// Says what a sub-agent did so far: calls, tokens, time.
fn figures(agent: &SubAgent, call: Option<&ToolCall>, store: &Store) -> String {
    let mut parts = vec![work_done(agent)];
    if let Some(time) = call.and_then(|call| call.running_time(store.session.now)) {
        parts.push(running_duration(time));
    }
    parts.join(" · ")
}

pub fn draw_list(list: &AgentList, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let agents = store.sub_agents.all();
    let footer = format!("{} shows it · {} closes", labels.accept, labels.close);
    let height = (agents.len().max(1) * ENTRY_ROWS + 2).min(usize::from(area.height)) as u16;
    let place = centered(area, area.width.saturating_sub(2).min(100), height);
    let inner = draw_box("Sub-agents", &footer, Role::BorderFocused, theme, place, buf);
    let selected = list.selected.min(agents.len().saturating_sub(1));
    let shown = (usize::from(inner.height) / ENTRY_ROWS).max(1);
    let first = first_shown(selected, shown);
    for (row, (nth, (depth, agent))) in agents.iter().enumerate().skip(first).take(shown).enumerate() {
        let top = (row * ENTRY_ROWS) as u16;
        let height = (ENTRY_ROWS as u16).min(inner.height.saturating_sub(top));
        let part = Rect { y: inner.y + top, height, ..inner };
        draw_entry(*depth, agent, screen, part, buf);
        if nth == selected {
            select_row(part, theme, buf);
        }
    }
    DrawnOverlay::default()
}

fn draw_entry(depth: usize, agent: &SubAgent, screen: &OverlayScreen<'_>, area: Rect, buf: &mut Buffer) {
    let OverlayScreen { store, theme, .. } = *screen;
    let call = store.tool_calls.get(&agent.call);
    let (mark, role) = match call.map(|call| call.state) {
        Some(CallState::Done(outcome)) => outcome_mark(outcome),
        Some(CallState::AwaitingApproval) => ("?", Role::Warn),
        _ => ("◌", Role::Accent),
    };
    let state = call.map_or("", state_word);
    let indent = depth * INDENT_CELLS;
    RowWriter::at_right(buf, area, 0, str_width(state)).write(state, theme.style(role));
    let mut pen = RowWriter::new(buf, area, 0);
    pen.skip(indent).write(mark, theme.style(role)).skip(1);
    let room = pen.room().saturating_sub(str_width(state) + 2);
    pen.write(&one_line(&call.map(label).unwrap_or_default(), room), theme.style(Role::Text));
    let mut pen = RowWriter::new(buf, area, 1);
    pen.skip(indent + 2).write_truncated(&figures(agent, call, store), 0, theme.style(Role::Dim));
    if let Some(doing) = agent.activity().filter(|_| call.is_some_and(|call| call.state == CallState::Running)) {
        let room = pen.room().saturating_sub(3);
        pen.write(" · ", theme.style(Role::Dim)).write(&one_line(doing, room), theme.style(Role::Dim));
    }
}

/// Draws the transcript of a sub-agent over everything; it is followed until somebody scrolls up.
pub fn draw_transcript(
    shown: &AgentTranscript,
    view: &mut AgentView,
    screen: &OverlayScreen<'_>,
    buf: &mut Buffer,
) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    if view.call.as_ref() != Some(&shown.call) {
        *view = AgentView { call: Some(shown.call.clone()), ..AgentView::default() };
        view.view.set_fold_key(labels.keys_of("output.toggle"));
    }
    let call = store.tool_calls.get(&shown.call);
    let agent = store.sub_agents.find(&shown.call);
    let title = call.map(|call| format!("{} · {}", one_line(&label(call), MAX_TITLE_CELLS), state_word(call)));
    let figures = agent.map(|agent| figures(agent, call, store)).unwrap_or_default();
    let footer = format!("{figures} · ↑↓ · / finds · {} back", labels.close);
    let mut inner = draw_box(&title.unwrap_or_default(), &footer, Role::BorderFocused, theme, area, buf);
    let mut drawn = DrawnOverlay::default();
    if let Some(agent) = agent {
        if let Some(search) = agent.store.focus.find::<Search>().filter(|_| inner.height > 1) {
            inner.height -= 1;
            let input = Rect { y: inner.bottom(), height: 1, ..inner };
            drawn = search_bar::draw(search, &OverlayScreen { store: &agent.store, input, ..*screen }, buf);
        }
        view.view.forget_rows();
        transcript::draw(&agent.store, &mut view.view, &theme, false, inner, buf);
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentEvent, CallOutcome, Envelope, Millis, Role as Speaker};
    use crate::store::action::{Action, PAGE_ROWS};
    use crate::store::msg::Msg;
    use crate::store::{Store, StoreOptions};
    use crate::testkit::events::{call_finished, call_ready, call_started, message_started, text_delta, turn_started};
    use crate::testkit::ui::dark_ui;
    use crate::ui::Ui;

    fn fold(store: &mut Store, events: impl IntoIterator<Item = AgentEvent>) {
        for event in events {
            let seq = store.last_seq().next();
            store.update(Msg::Event(Envelope { seq, at: Millis(seq.0 * 1000), event }), &mut Vec::new());
        }
    }

    fn screen(store: &Store, ui: &mut Ui, width: u16, height: u16) -> String {
        let area = Rect::new(0, 0, width, height);
        let mut buf = Buffer::empty(area);
        crate::ui::draw(store, ui, area, &mut buf);
        let row = |y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| row(y).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    fn delegated(lines: usize) -> Store {
        let mut store = Store::new(StoreOptions::default());
        let args = r#"{"description":"Read \u001b[31mnotes"}"#;
        fold(&mut store, [turn_started("t1"), message_started("m1"), call_started("a", "m1", Some("Task"))]);
        let nested =
            AgentEvent::MessageStarted { message: "n1".into(), role: Speaker::Assistant, parent: Some("a".into()) };
        let text = (1..=lines).map(|line| format!("said {line}\n\n")).collect::<Vec<_>>().concat();
        fold(&mut store, [call_ready("a", "Task", args), nested, text_delta("n1", &text)]);
        store
    }

    #[test]
    fn the_card_of_a_sub_agent_is_one_line_with_its_state_and_tokens() {
        let mut store = delegated(4);
        let mut ui = dark_ui();
        let shown = screen(&store, &mut ui, 90, 24);
        assert!(shown.contains("Task description: Read notes  0 calls · ~8 tokens"), "{shown}");
        assert!(!shown.contains("said"), "{shown}");
        fold(&mut store, [call_finished("a", CallOutcome::Ok, "report")]);
        let shown = screen(&store, &mut ui, 90, 24);
        assert!(shown.contains("✓ Task description: Read notes  0 calls · ~8 tokens"), "{shown}");
    }

    #[test]
    fn its_transcript_follows_what_it_says_until_somebody_scrolls_up() {
        let mut store = delegated(60);
        let mut ui = dark_ui();
        let act = |store: &mut Store, action| store.update(Msg::Action(action), &mut Vec::new());
        act(&mut store, Action::OpenAgents);
        let shown = screen(&store, &mut ui, 80, 24);
        assert!(shown.contains("Sub-agents") && shown.contains("Read notes") && shown.contains("running"), "{shown}");
        act(&mut store, Action::OverlayAccept);
        assert!(screen(&store, &mut ui, 80, 24).contains("said 60"));
        fold(&mut store, [text_delta("n1", "said last\n")]);
        assert!(screen(&store, &mut ui, 80, 24).contains("said last"));
        ui.apply(&store, UiAction::ScrollOverlay(ScrollStep::Back(PAGE_ROWS)));
        fold(&mut store, [text_delta("n1", "\nsaid more\n")]);
        assert!(!screen(&store, &mut ui, 80, 24).contains("said more"));
        ui.apply(&store, UiAction::ScrollOverlay(ScrollStep::Back(usize::MAX)));
        assert!(
            screen(&store, &mut ui, 80, 24).contains("said 1\n") || screen(&store, &mut ui, 80, 24).contains("said 1 ")
        );
        ui.apply(&store, UiAction::ScrollOverlay(ScrollStep::Forward(usize::MAX)));
        assert!(screen(&store, &mut ui, 80, 24).contains("said more"));
        for (width, height) in [(1, 1), (4, 3), (20, 8), (200, 60)] {
            screen(&store, &mut ui, width, height);
        }
    }

    #[test]
    fn what_a_sub_agent_said_is_found_in_its_transcript() {
        let mut store = delegated(60);
        let mut ui = dark_ui();
        let act = |store: &mut Store, action| store.update(Msg::Action(action), &mut Vec::new());
        act(&mut store, Action::OpenAgents);
        act(&mut store, Action::OverlayAccept);
        screen(&store, &mut ui, 80, 24);
        for c in "/said 7".chars() {
            act(&mut store, Action::OverlayChar(c));
        }
        let shown = screen(&store, &mut ui, 80, 24);
        assert!(shown.contains("find: said 7") && shown.contains("1/1"), "{shown}");
        assert!(!shown.contains("said 60"), "the match is shown: {shown}");
        act(&mut store, Action::OverlayBackspace);
        act(&mut store, Action::OverlayChar('1'));
        act(&mut store, Action::OverlayAccept);
        act(&mut store, Action::SearchOlder);
        let shown = screen(&store, &mut ui, 80, 24);
        assert!(shown.contains("2/11") && store.focus.find::<Search>().is_none(), "{shown}");
        act(&mut store, Action::CloseOverlay);
        let shown = screen(&store, &mut ui, 80, 24);
        assert!(!shown.contains("find:") && shown.contains("/ finds"), "the search first: {shown}");
        act(&mut store, Action::CloseOverlay);
        assert!(screen(&store, &mut ui, 80, 24).contains("Sub-agents"));
    }
}
