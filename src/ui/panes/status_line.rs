//! The last row: the mode, which is never cut, who answers, where (folder, and branch or host), what stands against a
//! quiet mind, and keys. Nothing ever covers it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::{AgentOption, ApprovalMode, LinkState, Millis};
use crate::store::Store;
use crate::store::overlay::efforts::EffortList;
use crate::store::pane::Pane;
use crate::store::permissions::grants;
use crate::store::status_parts::StatusPart;
use crate::text::{one_line, short_path, width::str_width};
use crate::ui::format;
use crate::ui::key_hints::KeyHint;
use crate::ui::layout::Place;
use crate::ui::paint::{RowWriter, Segment, draw_segments};
use crate::ui::pane::{PaneScreen, PaneView};
use crate::ui::theme::{Role, Theme};

use super::PanePart;

/// Longest foreign text shown here, in cells.
const MAX_FOREIGN_TEXT_CELLS: usize = 60;
/// The folder gets this part of the row, and at least so many cells.
const FOLDER_SHARE: usize = 5;
const MIN_FOLDER_CELLS: usize = 16;
const MAX_EFFORT_CELLS: usize = 12;
const MAX_BRANCH_CELLS: usize = 24;
/// No path is longer (`PATH_MAX` of Linux).
const MAX_FOLDER_CELLS: usize = 4096;

#[derive(Clone, Debug, Default)]
pub struct StatusLine {
    /// The mode of the composer, where it has modes.
    pub vim: String,
    /// Something is written there, and no list of completions takes its keys.
    pub has_draft: bool,
}

impl PaneView for StatusLine {
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        Place::Rows(u16::from(screen.area.height >= 3))
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        if area.width >= 3 && area.height > 0 {
            let PaneScreen { store, theme, .. } = *screen;
            // The activity row says what the turn does.
            let told_above = !PanePart::Activity.area(screen.layout).is_empty();
            let inner = Rect { x: area.x + 1, width: area.width - 2, ..area };
            let mut segments = state(store, told_above, usize::from(inner.width));
            if !self.vim.is_empty() {
                segments.insert(1.min(segments.len()), Segment::new(0, self.vim.clone(), Role::Accent));
            }
            let used = draw_segments(segments, theme, inner, buf);
            let steer = steer_hint(screen, self.has_draft);
            let hints = screen.key_hints.hints(store).iter();
            let hints: Vec<&KeyHint> = steer.iter().chain(hints).collect();
            if store.status_parts.has(StatusPart::Keys) {
                keys(&hints, used, theme, inner, buf);
            }
        }
        None
    }
}

/// Returns the key that puts the draft into the running turn, while it does.
fn steer_hint(screen: &PaneScreen<'_>, has_draft: bool) -> Option<KeyHint> {
    let session = &screen.store.session;
    let can_steer = has_draft && !session.phase.is_idle() && session.capabilities().steer;
    let key = match screen.key_hints.keys_of("turn.steer") {
        "" => screen.key_hints.keys_of("composer.complete"),
        own => own,
    };
    (can_steer && screen.has_keys(Pane::Composer) && !key.is_empty()).then(|| (key.to_owned(), "steer"))
}

fn state(store: &Store, told_above: bool, room: usize) -> Vec<Segment> {
    let (session, parts) = (&store.session, store.status_parts);
    let mut all = Vec::new();
    if let Some(opened) = &session.opened {
        let role = match opened.mode {
            ApprovalMode::Ask => Role::Status,
            ApprovalMode::AutoEdit | ApprovalMode::Plan => Role::Info,
            ApprovalMode::Full => Role::Warn,
        };
        all.push(Segment::new(0, opened.mode.name(), role));
        // It is cut before the mode would be.
        let left = room.saturating_sub(str_width(opened.mode.name()) + 3);
        if parts.has(StatusPart::Model) {
            let name = one_line(&opened.name(), MAX_FOREIGN_TEXT_CELLS.min(left));
            all.push(Segment::new(2, name, Role::Status));
        }
        let effort = EffortList::option(store).filter(|_| parts.has(StatusPart::Effort));
        let effort = effort.map(|option| one_line(&option.current, MAX_EFFORT_CELLS));
        if let Some(effort) = effort.filter(|effort| !effort.is_empty() && effort != AgentOption::DEFAULT_VALUE) {
            all.push(Segment::new(3, format!("effort {effort}"), Role::Status));
        }
        all.extend(place(store, &opened.folder, room));
    } else {
        all.push(Segment::new(2, "starting…", Role::Dim));
    }
    if let Some(why) = &session.status.save_error {
        all.push(Segment::new(0, format!("not saved: {}", one_line(why, MAX_FOREIGN_TEXT_CELLS)), Role::Error));
    }
    if session.cancelling && !told_above {
        all.push(Segment::new(1, "stopping…", Role::Warn));
    }
    if let Some((text, role)) = link(&session.status.link, session.now) {
        all.push(Segment::new(1, text, role));
    }
    if let Some(percent) = store.history_progress {
        all.push(Segment::new(2, format!("earlier turns {percent} %"), Role::Info));
    }
    let asks = store.hidden_approval_count();
    if asks > 0 && !told_above && store.visible_approval().is_none() {
        let text = if asks == 1 { "1 approval pending".into() } else { format!("{asks} approvals pending") };
        all.push(Segment::new(1, text, Role::Warn));
    }
    match store.tabs.asks_elsewhere().count() {
        0 => {}
        1 => all.push(Segment::new(1, "1 waits in another session", Role::Warn)),
        more => all.push(Segment::new(1, format!("{more} wait in other sessions"), Role::Warn)),
    }
    match grants(store).len() {
        0 => {}
        _ if !parts.has(StatusPart::Grants) => {}
        1 => all.push(Segment::new(4, "1 grant", Role::Info)),
        more => all.push(Segment::new(4, format!("{more} grants"), Role::Info)),
    }
    let queued = session.queue().len();
    if queued > 0 && parts.has(StatusPart::Queue) {
        all.push(Segment::new(4, format!("{queued} queued"), Role::Info));
    }
    // One of them is this screen.
    if let watchers @ 2.. = session.status.watchers.len() {
        all.push(Segment::new(5, format!("{watchers} watch"), Role::Info));
    }
    all
}

/// Returns the folder, of which the name stays, and the branch, or the host of what answers elsewhere.
fn place(store: &Store, folder: &str, room: usize) -> Vec<Segment> {
    let place = &store.workplace;
    let mut all = Vec::new();
    let folder = one_line(&place.display_path(folder), MAX_FOLDER_CELLS);
    let shown = short_path(&folder, (room / FOLDER_SHARE).max(MIN_FOLDER_CELLS));
    if !shown.is_empty() && store.status_parts.has(StatusPart::Folder) {
        all.push(Segment::new(3, shown, Role::Dim));
    }
    match (&place.host, &place.branch) {
        _ if !store.status_parts.has(StatusPart::Branch) => {}
        (Some(host), _) => all.push(Segment::new(3, one_line(host, MAX_FOREIGN_TEXT_CELLS), Role::Dim)),
        (None, Some(branch)) => all.push(Segment::new(4, one_line(branch, MAX_BRANCH_CELLS), Role::Dim)),
        (None, None) => {}
    }
    all
}

/// Returns the state of the line in words, where there is something to say.
pub fn link(link: &LinkState, now: Millis) -> Option<(String, Role)> {
    let cut = |limit: &Option<Millis>| {
        limit.map_or(String::new(), |limit| format!(" (cut at {})", format::running_duration(limit)))
    };
    Some(match link {
        LinkState::Idle => return None,
        LinkState::Connecting => ("connecting…".into(), Role::Info),
        LinkState::Live => ("live".into(), Role::Ok),
        LinkState::Waiting { since, limit } => {
            let time = format::running_duration(now.since(*since));
            (format!("waiting for the server's first byte (or queued) {time}{}", cut(limit)), Role::Info)
        }
        LinkState::Loading { since, limit } => (
            format!("the server is loading its model {}{}", format::running_duration(now.since(*since)), cut(limit)),
            Role::Info,
        ),
        LinkState::Silent { since, limit } => {
            (format!("no data for {}{}", format::running_duration(now.since(*since)), cut(limit)), Role::Warn)
        }
        LinkState::Unproductive { since, limit } => {
            let time = format::running_duration(now.since(*since));
            (format!("keep-alives only, no content for {time}{}", cut(limit)), Role::Warn)
        }
        LinkState::Retrying { attempt, at } => {
            // Rounded up, so that it says 1 s until it happens.
            let left = Millis(at.since(now).0.saturating_add(999));
            (format!("retrying: attempt {attempt} in {}", format::running_duration(left)), Role::Warn)
        }
        LinkState::Lost(None) => ("connection lost".into(), Role::Error),
        LinkState::Lost(Some(fault)) => {
            (format!("lost: {}", one_line(&fault.message, MAX_FOREIGN_TEXT_CELLS)), Role::Error)
        }
    })
}

/// Writes as many keys as fit at the right end.
fn keys(hints: &[&KeyHint], used: usize, theme: Theme, area: Rect, buf: &mut Buffer) {
    let room = usize::from(area.width).saturating_sub(used + 2);
    let (mut shown, mut width) = (0, 0);
    for (key, what) in hints {
        let next = width + str_width(key) + str_width(what) + if shown == 0 { 1 } else { 3 };
        if next > room {
            break;
        }
        (shown, width) = (shown + 1, next);
    }
    let mut pen = RowWriter::at_right(buf, area, 0, width);
    for (index, (key, what)) in hints.iter().take(shown).enumerate() {
        if index > 0 {
            pen.skip(2);
        }
        pen.write(key, theme.style(Role::Key)).skip(1).write(what, theme.style(Role::Dim));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Fault, FaultKind};

    #[test]
    fn the_mode_is_never_cut_and_the_folder_keeps_its_name() {
        use crate::event::Envelope;
        use crate::store::msg::Msg;
        use crate::testkit::events::Opened;
        let mut store = Store::default();
        let event = Opened {
            engine: "openai",
            model: "a-very-long-name-of-a-model-that-nobody-can-remember",
            engine_reason: "flag --model",
            folder: "/home/me/code/deep/down/project",
            ..Opened::default()
        }
        .event();
        store.update(Msg::Event(Envelope { seq: crate::event::Seq(1), at: Millis(0), event }), &mut Vec::new());
        store.workplace.home = "/home/me".into();
        store.workplace.branch = Some("feature/x".into());
        let row = |store: &Store, width: u16| {
            let area = Rect::new(0, 0, width, 1);
            let mut buf = Buffer::empty(area);
            draw_segments(state(store, true, usize::from(width)), Theme::default(), area, &mut buf);
            (0..width).map(|x| buf[(x, 0)].symbol()).collect::<String>().trim_end().to_owned()
        };
        let name = "openai/a-very-long-name-of-a-model-that-nobody-can-remember";
        assert_eq!(row(&store, 120), format!("ask · {name} · ~/code/deep/down/project · feature/x"));
        assert_eq!(row(&store, 85), format!("ask · {name} · …/down/project"));
        assert_eq!(row(&store, 20), "ask · openai/a-very…");
        assert_eq!(row(&store, 3), "ask");
        let without = |part| {
            let mut store = store.clone();
            store.status_parts = store.status_parts.toggled(part);
            row(&store, 120)
        };
        assert_eq!(without(StatusPart::Model), "ask · ~/code/deep/down/project · feature/x");
        assert_eq!(without(StatusPart::Folder), format!("ask · {name} · feature/x"));
        assert_eq!(without(StatusPart::Branch), format!("ask · {name} · ~/code/deep/down/project"));
        store.workplace.host = Some("10.0.0.7:8000".into());
        assert!(row(&store, 120).ends_with("project · 10.0.0.7:8000"), "{}", row(&store, 120));
    }

    #[test]
    fn the_line_is_described_in_words() {
        let fault = Fault::new(FaultKind::Network, "host not found");
        let cases = [
            (LinkState::Idle, None),
            (LinkState::Connecting, Some("connecting…")),
            (LinkState::Live, Some("live")),
            (
                LinkState::Waiting { since: Millis(1000), limit: None },
                Some("waiting for the server's first byte (or queued) 12s"),
            ),
            (
                LinkState::Loading { since: Millis(1000), limit: Some(Millis(300_000)) },
                Some("the server is loading its model 12s (cut at 5m00s)"),
            ),
            (
                LinkState::Silent { since: Millis(1000), limit: Some(Millis(90_000)) },
                Some("no data for 12s (cut at 1m30s)"),
            ),
            (LinkState::Unproductive { since: Millis(8000), limit: None }, Some("keep-alives only, no content for 5s")),
            (LinkState::Retrying { attempt: 2, at: Millis(15_500) }, Some("retrying: attempt 2 in 3s")),
            (LinkState::Lost(Some(fault)), Some("lost: host not found")),
        ];
        for (state, expected) in cases {
            let told = link(&state, Millis(13_000)).map(|(text, _)| text);
            assert_eq!(told.as_deref(), expected);
        }
    }
}
