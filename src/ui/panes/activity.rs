//! The rule above the composer, which says what is going on: the one thing that moves while a turn runs.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::session::Phase;
use crate::store::tools::CallState;
use crate::store::transcript::Kind;
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::format;
use crate::ui::labels::Labels;
use crate::ui::paint::{Pen, spinner};
use crate::ui::theme::{Role, Theme};

/// `focused`: the keyboard is below the rule; `away` names where it is when it was taken elsewhere.
pub fn draw(
    store: &Store,
    labels: &Labels,
    (focused, away): (bool, Option<&str>),
    theme: Theme,
    area: Rect,
    buf: &mut Buffer,
) {
    if area.is_empty() {
        return;
    }
    let border = theme.style(if focused { Role::BorderFocused } else { Role::Border });
    Pen::new(buf, area, 0).fill("─", border);
    let words = words(store, labels);
    // Said in the rule too, for a draft hides what the empty composer says.
    if let Some(away) = away {
        let told = format!(" keyboard: {away} ");
        let room = words.as_ref().map_or(0, |(_, text, _, _)| str_width(text) + 6) + str_width(&told) + 2;
        if room <= usize::from(area.width) {
            let mut pen = Pen::at_right(buf, area, 0, str_width(&told) + 2);
            pen.write(&told, theme.style(Role::BorderFocused));
        }
    }
    let Some((mark, text, key, role)) = words else { return };
    let mut pen = Pen::new(buf, area, 0);
    pen.write("─ ", border).write(mark, theme.style(role)).write(" ", border);
    pen.write_cut(&text, 2, theme.style(role));
    if let Some((key, what)) = key
        && pen.room() >= str_width(&key) + str_width(what) + 5
    {
        pen.write(" · ", theme.style(Role::Dim)).write(&key, theme.style(Role::Key));
        pen.write(" ", border).write(what, theme.style(Role::Dim));
    }
    pen.write(" ", border);
}

type Words = (&'static str, String, Option<(String, &'static str)>, Role);

fn words(store: &Store, labels: &Labels) -> Option<Words> {
    let session = &store.session;
    let asks = store.hidden_asks();
    // An ask on the screen says itself how many more there are.
    if asks > 0 && store.shown_ask().is_none() {
        let text = if asks == 1 { "a call waits for you".into() } else { format!("{asks} calls wait for you") };
        return Some(("●", text, Some((labels.open_approval.clone(), "opens it")), Role::Warn));
    }
    let since = match &session.phase {
        Phase::Idle => return None,
        Phase::Working { since, .. } | Phase::WaitingApproval { since, .. } => *since,
    };
    let elapsed = format::running(session.now.since(since));
    if session.cancelling {
        return Some((spinner(session.now), "stopping…".into(), None, Role::Warn));
    }
    // Over an overlay the key means something else.
    let stop = (session.caps().cancel && store.focus.top().is_none()).then(|| (labels.cancel.clone(), "stops"));
    if store.stands_still() {
        return Some(("●", "waiting for a decision".into(), stop, Role::Warn));
    }
    let running = store.tools.open().filter(|call| call.state == CallState::Running).last();
    let doing = if matches!(session.phase, Phase::WaitingApproval { .. }) {
        "waiting for a decision".into()
    } else if let Some(call) = running {
        format!("running {}", one_line(&call.name, 30))
    } else {
        match store.transcript.items().last().map(|item| &item.kind) {
            Some(Kind::Thinking { open: true, .. }) => "thinking".into(),
            Some(Kind::Answer { open: true, .. }) => "answering".into(),
            _ if let Some(doing) = store.notes.doing() => one_line(doing, 60),
            Some(Kind::Call { .. }) if store.tools.open().next().is_some() => "preparing a call".into(),
            _ => "waiting for the model".into(),
        }
    };
    Some((spinner(session.now), format!("{doing} {elapsed}"), stop, Role::Accent))
}
