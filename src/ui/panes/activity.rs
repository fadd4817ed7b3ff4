//! The rule above the composer, which says what is going on: the one thing that moves while a turn runs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::pane::Pane;
use crate::store::session::Phase;
use crate::store::tool_calls::CallState;
use crate::store::transcript::ItemKind;
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::format;
use crate::ui::key_hints::KeyHints;
use crate::ui::layout::Place;
use crate::ui::paint::{RowWriter, spinner};
use crate::ui::pane::{PaneScreen, PaneView};
use crate::ui::theme::Role;

#[derive(Clone, Copy, Debug, Default)]
pub struct ActivityRule;

impl PaneView for ActivityRule {
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        Place::Rows(u16::from(screen.area.height >= 6))
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        if !area.is_empty() {
            rule(screen, area, buf);
        }
        None
    }
}

fn rule(screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) {
    let theme = screen.theme;
    let border = theme.style(if screen.has_keys(Pane::Composer) { Role::BorderFocused } else { Role::Border });
    RowWriter::new(buf, area, 0).fill("─", border);
    let words = activity_text(screen.store, screen.key_hints);
    // Said in the rule too, for a draft hides what the empty composer says.
    if let Some(away) = screen.keyboard_elsewhere() {
        let told = format!(" keyboard: {away} ");
        let room = words.as_ref().map_or(0, |(_, text, _, _)| str_width(text) + 6) + str_width(&told) + 2;
        if room <= usize::from(area.width) {
            let mut pen = RowWriter::at_right(buf, area, 0, str_width(&told) + 2);
            pen.write(&told, theme.style(Role::BorderFocused));
        }
    }
    let Some((mark, text, key, role)) = words else { return };
    let mut pen = RowWriter::new(buf, area, 0);
    pen.write("─ ", border).write(mark, theme.style(role)).write(" ", border);
    pen.write_truncated(&text, 2, theme.style(role));
    if let Some((key, what)) = key
        && pen.room() >= str_width(&key) + str_width(what) + 5
    {
        pen.write(" · ", theme.style(Role::Dim)).write(&key, theme.style(Role::Key));
        pen.write(" ", border).write(what, theme.style(Role::Dim));
    }
    pen.write(" ", border);
}

type ActivityText = (&'static str, String, Option<(String, &'static str)>, Role);

fn activity_text(store: &Store, labels: &KeyHints) -> Option<ActivityText> {
    let session = &store.session;
    let asks = store.hidden_approval_count();
    // An ask on the screen says itself how many more there are.
    if asks > 0 && store.visible_approval().is_none() {
        let text = if asks == 1 { "1 approval pending".into() } else { format!("{asks} approvals pending") };
        return Some(("●", text, Some((labels.open_approval.clone(), "opens it")), Role::Warn));
    }
    let since = match &session.phase {
        Phase::Idle => {
            let (command, since) = store.person_runs.running()?;
            let elapsed = format::running_duration(session.now.since(since));
            let text = format!("your command {} {elapsed}", one_line(command, 30));
            let stop = store.focus.top().is_none().then(|| (labels.cancel.clone(), "stops"));
            return Some((spinner(store), text, stop, Role::Accent));
        }
        Phase::Working { since, .. } | Phase::WaitingApproval { since, .. } => *since,
    };
    let elapsed = format::running_duration(session.now.since(since));
    if session.cancelling {
        return Some((spinner(store), "stopping…".into(), None, Role::Warn));
    }
    // Over an overlay the key means something else.
    let stop = (session.capabilities().cancel && store.focus.top().is_none()).then(|| (labels.cancel.clone(), "stops"));
    if store.waits_only_for_user() {
        return Some(("●", "waiting for approval".into(), stop, Role::Warn));
    }
    let running = store.tool_calls.open().filter(|call| call.state == CallState::Running).last();
    let doing = if matches!(session.phase, Phase::WaitingApproval { .. }) {
        "waiting for approval".into()
    } else if let Some(call) = running {
        format!("running {}", one_line(&call.name, 30))
    } else {
        match store.transcript.items().last().map(|item| item.kind) {
            Some(ItemKind::Thinking { open: true, .. }) => "thinking".into(),
            Some(ItemKind::Answer { open: true, .. }) => "answering".into(),
            _ if let Some(doing) = store.agent_status.current_activity().or_else(|| store.plan.current_text()) => {
                one_line(doing, 60)
            }
            Some(ItemKind::Call { .. }) if store.tool_calls.open().next().is_some() => "preparing a call".into(),
            _ => "waiting for the model".into(),
        }
    };
    Some((spinner(store), format!("{doing} {elapsed}"), stop, Role::Accent))
}
