//! The calls of the session, newest last, a row each: what runs, what waits, what failed. What came of a call stands in
//! the transcript; here it is shown of the one that the person unfolds.
//!
//! Costs O(rows on screen): drawing begins at the end, or at the selected call, and walks until the rows are filled.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::{CallId, CallOutcome, Json};
use crate::store::Store;
use crate::store::action::{Action, UiAction};
use crate::store::pane::Pane;
use crate::store::tool_calls::{CallState, ToolCall};
use crate::store::transcript::{ItemId, ItemKind};
use crate::text::width::{expand_tabs, str_width};
use crate::text::wrap::wrap_hard;
use crate::text::{clean, one_line, size};
use crate::ui::format;
use crate::ui::layout::{Place, SidePlace};
use crate::ui::paint::{RowWriter, Segment, draw_segments, select_row, spinner};
use crate::ui::pane::{PaneResponse, PaneScreen, PaneView};
use crate::ui::theme::{Role, Theme};

use super::subject::short_subject;
use super::terminal_output::final_output;

/// Rows of live output shown of a folded call that runs.
const MAX_LIVE_ROWS: usize = 4;
/// Most rows shown of an unfolded call; `PageDown` goes through them.
const MAX_UNFOLDED_ROWS: usize = 2000;
/// Bytes of output looked at, from its end: what doesn't fit on a screen need not be laid out.
const MAX_OUTPUT_BYTES: usize = 48 * 1024;

/// What only the view knows about the panel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolPanelView {
    /// Index of the selected call; none follows the newest.
    pub selected: Option<usize>,
    /// Rows scrolled into the selected call.
    pub scroll: usize,
    /// How far that can go, as drawn last.
    scroll_end: usize,
    /// It stands beside the transcript where there is room.
    pub is_default: bool,
    /// The call that the person unfolded.
    unfolded: Option<CallId>,
    /// Rows of its last frame.
    height: u16,
    /// The calls whose first rows that showed, by row.
    rows: Vec<Option<ItemId>>,
    area: Rect,
    /// How many calls that showed, and whether it had the keys.
    seen: (usize, bool),
}

impl PaneView for ToolPanelView {
    fn pane(&self) -> Option<Pane> {
        Some(Pane::ToolPanel)
    }

    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        // Without a call it takes no room.
        if screen.store.tool_calls.calls().is_empty() {
            return Place::Side(SidePlace::default());
        }
        screen.beside(Pane::ToolPanel, self.is_default)
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        draw(screen.store, self, screen.has_keys(Pane::ToolPanel), screen.theme, area, buf);
        None
    }

    fn handle(&mut self, store: &Store, action: UiAction) -> PaneResponse {
        let page = usize::from(self.height).saturating_sub(2).max(1);
        // Until one is selected, the last call is what is looked at.
        let item = || self.call(store).or(store.tool_calls.calls().last()).map(|call| call.item.0);
        match action {
            UiAction::PageUp => self.scroll_up(page),
            UiAction::PageDown => self.scroll_down(page),
            UiAction::ScrollStart => self.select_first(store),
            UiAction::ScrollEnd => self.follow(),
            UiAction::SelectUp => self.select_up(store),
            UiAction::SelectDown => self.select_down(store),
            UiAction::FoldSelected => self.toggle_selected(store),
            UiAction::CopySelected => return item().map(Action::CopyItem).into(),
            _ => return PaneResponse::Ignored,
        }
        PaneResponse::Done
    }

    fn has_effect(&self, store: &Store, action: UiAction) -> bool {
        action != UiAction::CopySelected || self.call(store).is_some()
    }

    /// A click on a call unfolds it, or folds it again.
    fn release(&mut self, store: &Store, at: (u16, u16)) -> Option<Action> {
        let row = at.1.checked_sub(self.area.y).filter(|_| self.area.contains(at.into()))?;
        let item = store.transcript.item((*self.rows.get(usize::from(row))?)?)?;
        if let ItemKind::Call { call } = item.kind {
            self.unfolded = Some(call.clone()).filter(|call| self.unfolded.as_ref() != Some(call));
        }
        None
    }

    /// Goes through a long call first, then on to its neighbour.
    fn wheel(&mut self, store: &Store, rows: i32) -> bool {
        let step = rows.unsigned_abs() as usize;
        match rows {
            0 => {}
            ..0 if self.scroll > 0 => self.scroll_up(step),
            ..0 => self.select_up(store),
            _ if self.selected.is_some() && self.scroll < self.scroll_end => self.scroll_down(step),
            _ => self.select_down(store),
        }
        true
    }
}

impl ToolPanelView {
    pub fn select_up(&mut self, store: &Store) {
        let count = store.tool_calls.calls().len();
        let from = self.selected.unwrap_or(count);
        self.select((count > 0).then(|| from.min(count).saturating_sub(1)));
    }

    /// Goes on to the next call; past the newest it follows again.
    pub fn select_down(&mut self, store: &Store) {
        let next = self.selected.map(|index| index + 1);
        self.select(next.filter(|index| *index < store.tool_calls.calls().len()));
    }

    pub fn select_first(&mut self, store: &Store) {
        self.select((!store.tool_calls.calls().is_empty()).then_some(0));
    }

    pub fn follow(&mut self) {
        self.select(None);
    }

    fn select(&mut self, call: Option<usize>) {
        (self.selected, self.scroll, self.scroll_end) = (call, 0, 0);
    }

    fn toggle_selected(&mut self, store: &Store) {
        let call = self.call(store).or(store.tool_calls.calls().last()).map(|call| call.id.clone());
        self.unfolded = call.filter(|call| self.unfolded.as_ref() != Some(call));
        self.scroll = 0;
    }

    /// Lets go of a call once another one begins or the keys are elsewhere: what happens now is more important.
    fn follow_news(&mut self, store: &Store, focused: bool) {
        let seen = std::mem::replace(&mut self.seen, (store.tool_calls.calls().len(), focused));
        if !focused && (seen.1 || self.seen.0 > seen.0) {
            self.follow();
        }
    }

    /// Goes on through a call longer than the panel; drawing stops it at the end.
    pub fn scroll_down(&mut self, rows: usize) {
        self.scroll = self.scroll.saturating_add(rows);
    }

    pub fn scroll_up(&mut self, rows: usize) {
        self.scroll = self.scroll.saturating_sub(rows);
    }

    /// So many calls were put before those that were known.
    pub fn shift_indexes(&mut self, by: usize) {
        self.selected = self.selected.map(|index| index + by);
        self.seen.0 += by;
    }

    /// Returns the selected call.
    pub fn call<'a>(&self, store: &'a Store) -> Option<&'a ToolCall> {
        store.tool_calls.calls().get(self.selected?)
    }
}

/// One row: a mark in the first cells, a text, and something at the right end.
struct ToolRow {
    parts: Vec<(String, Role)>,
    right: Option<(String, Role)>,
    /// Of a call's first row.
    item: Option<ItemId>,
}

impl ToolRow {
    fn of(indent: &str, text: String, role: Role) -> Self {
        Self { parts: vec![(indent.to_owned(), Role::Border), (text, role)], right: None, item: None }
    }
}

pub fn draw(store: &Store, view: &mut ToolPanelView, focused: bool, theme: Theme, area: Rect, buf: &mut Buffer) {
    view.height = area.height;
    view.follow_news(store, focused);
    if area.width < 4 || area.height == 0 {
        return;
    }
    let border = theme.style(if focused { Role::BorderFocused } else { Role::Border });
    for row in 0..area.height {
        RowWriter::new(buf, area, row).write("│", border);
    }
    let inner = Rect { x: area.x + 2, width: area.width - 3, ..area };
    draw_segments(title(store, focused), theme, inner, buf);
    let list = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
    if list.height == 0 {
        return;
    }
    let (rows, selected) = visible_rows(store, view, usize::from(list.width), usize::from(list.height));
    view.area = list;
    view.rows.clear();
    view.rows.extend(rows.iter().map(|row| row.item));
    for (index, row) in rows.iter().enumerate() {
        draw_row(row, index as u16, theme, list, buf);
    }
    if focused && let Some(row) = selected {
        select_row(Rect { y: list.y + row as u16, height: 1, ..list }, theme, buf);
    }
}

/// Says what runs, what waits for a person and what failed.
fn title(store: &Store, focused: bool) -> Vec<Segment> {
    let calls = &store.tool_calls;
    let count = calls.calls().len();
    let (mut running, mut waiting) = (0, 0);
    for call in calls.open() {
        match call.state {
            CallState::Running => running += 1,
            CallState::AwaitingApproval => waiting += 1,
            CallState::Writing | CallState::Done(_) => {}
        }
    }
    let mut all = vec![Segment::new(0, "Tools", if focused { Role::BorderFocused } else { Role::Heading })];
    all.push(Segment::new(3, if count == 1 { "1 call".into() } else { format!("{count} calls") }, Role::Dim));
    for (rank, number, what, role) in [
        (1, running, "running", Role::Accent),
        (1, waiting, "waiting", Role::Warn),
        (2, calls.failed_count(), "failed", Role::Error),
    ] {
        if number > 0 {
            all.push(Segment::new(rank, format!("{number} {what}"), role));
        }
    }
    all
}

/// Returns at most `height` rows, and which of them is the head of the selected call.
fn visible_rows(store: &Store, view: &mut ToolPanelView, width: usize, height: usize) -> (Vec<ToolRow>, Option<usize>) {
    let calls = store.tool_calls.calls();
    let Some(selected) = view.selected.filter(|index| *index < calls.len()) else {
        return (newest(store, view, width, height), None);
    };
    let mut rows = Vec::new();
    for (index, call) in (selected..).zip(calls.range(selected..calls.len())) {
        rows.extend(call_rows(store, view, call, width));
        if index == selected {
            // A call longer than the panel is scrolled through, but never out of.
            view.scroll_end = rows.len().saturating_sub(height);
            view.scroll = view.scroll.min(view.scroll_end);
            rows.drain(..view.scroll);
        }
        if rows.len() >= height {
            break;
        }
    }
    if view.scroll > 0 {
        rows.truncate(height);
        return (rows, None);
    }
    // What room is left, or a third of it, goes to what came before.
    let before = height.saturating_sub(rows.len()).max(height / 3);
    let mut all = join(tail(store, view, selected, width, before), before);
    let head = all.len();
    all.extend(rows);
    all.truncate(height);
    (all, Some(head))
}

/// Returns the newest calls, and above them what of the older ones is still open.
fn newest(store: &Store, view: &ToolPanelView, width: usize, height: usize) -> Vec<ToolRow> {
    let blocks = tail(store, view, store.tool_calls.calls().len(), width, height);
    let is_shown = |call: &ToolCall| blocks.iter().any(|(shown, _)| *shown == call.id);
    let older = store.tool_calls.open().filter(|call| !is_shown(call));
    let mut rows: Vec<ToolRow> = older.take(height / 2).map(|call| head(store, call, width)).collect();
    let left = height.saturating_sub(rows.len());
    rows.extend(join(blocks, left));
    rows
}

/// Returns the last rows of blocks.
fn join(blocks: Vec<(CallId, Vec<ToolRow>)>, height: usize) -> Vec<ToolRow> {
    let rows: Vec<ToolRow> = blocks.into_iter().flat_map(|(_, rows)| rows).collect();
    let skip = rows.len().saturating_sub(height);
    rows.into_iter().skip(skip).collect()
}

/// Returns the last of the first `length` calls, as many as fill the rows.
fn tail(
    store: &Store,
    view: &ToolPanelView,
    length: usize,
    width: usize,
    height: usize,
) -> Vec<(CallId, Vec<ToolRow>)> {
    let mut blocks = Vec::new();
    let mut count = 0;
    for call in store.tool_calls.calls().range(0..length).rev() {
        if count >= height {
            break;
        }
        let rows = call_rows(store, view, call, width);
        count += rows.len();
        blocks.push((call.id.clone(), rows));
    }
    blocks.reverse();
    blocks
}

fn draw_row(row: &ToolRow, index: u16, theme: Theme, area: Rect, buf: &mut Buffer) {
    let keep = row.right.as_ref().map_or(0, |(text, _)| str_width(text) + 1);
    let mut pen = RowWriter::new(buf, area, index);
    for (text, role) in &row.parts {
        pen.write_truncated(text, keep, theme.style(*role));
    }
    if let Some((text, role)) = &row.right {
        RowWriter::at_right(buf, area, index, str_width(text)).write(text, theme.style(*role));
    }
}

fn call_rows(store: &Store, view: &ToolPanelView, call: &ToolCall, width: usize) -> Vec<ToolRow> {
    let mut rows = vec![head(store, call, width)];
    if view.unfolded.as_ref() == Some(&call.id) {
        unfolded(call, width, &mut rows);
    } else if call.state == CallState::Running && !call.output.is_empty() {
        let lines = output(&call.output, width.saturating_sub(4), MAX_LIVE_ROWS);
        rows.extend(lines.into_iter().map(|line| ToolRow::of("  │ ", line, Role::Dim)));
    }
    rows
}

fn head(store: &Store, call: &ToolCall, width: usize) -> ToolRow {
    let now = store.session.now;
    let (mark, role) = match call.state {
        CallState::Writing => ("…", Role::Dim),
        CallState::AwaitingApproval => ("?", Role::Warn),
        CallState::Running => (spinner(store), Role::Accent),
        CallState::Done(outcome) => outcome_mark(outcome),
    };
    let name = if call.name.is_empty() { "call".into() } else { one_line(&call.name, width) };
    let right = match call.state {
        CallState::Writing => None,
        CallState::AwaitingApproval => Some(("waits".into(), Role::Warn)),
        CallState::Running => call.running_time(now).map(|time| (format::running_duration(time), Role::Accent)),
        CallState::Done(CallOutcome::Ok) => call.duration.map(|time| (format::duration(time), Role::Dim)),
        CallState::Done(outcome) => Some((outcome.name().into(), role)),
    };
    let taken = str_width(&name) + 3 + right.as_ref().map_or(0, |(text, _): &(String, Role)| str_width(text) + 1);
    let about = short_subject(call, width.saturating_sub(taken));
    ToolRow {
        parts: vec![
            (format!("{mark} "), role),
            (name, if call.is_foreign { Role::Dim } else { Role::Tool }),
            (format!(" {about}"), if call.is_foreign { Role::Dim } else { Role::Text }),
        ],
        right,
        item: Some(call.item),
    }
}

/// Returns the mark of an outcome.
pub fn outcome_mark(outcome: CallOutcome) -> (&'static str, Role) {
    match outcome {
        CallOutcome::Ok => ("✓", Role::Ok),
        CallOutcome::Failed => ("✗", Role::Error),
        CallOutcome::Denied => ("⊘", Role::Warn),
        CallOutcome::Cancelled => ("■", Role::Warn),
        CallOutcome::Requested => ("→", Role::Info),
        CallOutcome::Unknown => ("?", Role::Dim),
    }
}

fn unfolded(call: &ToolCall, width: usize, rows: &mut Vec<ToolRow>) {
    let room = width.saturating_sub(4).max(1);
    let args: Option<Json> =
        if call.args.len() <= MAX_OUTPUT_BYTES { serde_json::from_str(&call.args).ok() } else { None };
    match args.as_ref().and_then(Json::as_object) {
        Some(args) => {
            for (name, value) in args {
                let value = match value {
                    Json::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let mut lines = value_rows(&value, room.saturating_sub(str_width(name) + 1).max(8), 12).into_iter();
                let name = one_line(name, room / 2);
                rows.push(ToolRow {
                    parts: vec![
                        ("  ".into(), Role::Border),
                        (format!("{name} "), Role::Dim),
                        (lines.next().unwrap_or_default(), Role::Code),
                    ],
                    right: None,
                    item: None,
                });
                let indent = " ".repeat(str_width(&name) + 3);
                rows.extend(lines.map(|line| ToolRow::of(&indent, line, Role::Code)));
            }
        }
        None => {
            rows.extend(value_rows(&call.args, room, 12).into_iter().map(|line| ToolRow::of("  ", line, Role::Code)));
        }
    }
    if call.is_foreign {
        rows.push(ToolRow::of("  ", "made by another client of this server".into(), Role::Warn));
    }
    if let Some((decision, by)) = call.decision() {
        rows.push(ToolRow::of("  ", decision_label(decision, *by), Role::Dim));
    }
    let role = if call.state == CallState::Done(CallOutcome::Failed) { Role::Error } else { Role::Text };
    for line in output(&call.output, room, MAX_UNFOLDED_ROWS) {
        rows.push(ToolRow::of("  │ ", line, role));
    }
    for source in call.sources() {
        rows.push(ToolRow::of("  ◦ ", one_line(source, room), Role::Link));
    }
    if let Some(all) = full_output_hint(call) {
        rows.extend(value_rows(&all, room, 4).into_iter().map(|line| ToolRow::of("  └ ", line, Role::Dim)));
    }
}

/// Returns how much a call printed and where that is, if not all of it is shown.
pub(in crate::ui::panes) fn full_output_hint(call: &ToolCall) -> Option<String> {
    if call.state.is_open() || call.output_bytes <= call.output.len() as u64 {
        return None;
    }
    let all = size(call.output_bytes);
    let file = call.output_file().map(|file| one_line(file, 80));
    Some(match (call.output_kept(), file) {
        (None, Some(file)) => format!("{all} in total, saved in {file}"),
        (None, None) => format!("{all} in total"),
        (Some(kept), Some(file)) => {
            format!("{all} in total; the first and last {} saved in {file}", size(kept))
        }
        (Some(_), None) => format!("{all} in total, not saved"),
    })
}

fn decision_label(decision: &crate::event::Decision, by: crate::event::DecidedBy) -> String {
    use crate::event::{DecidedBy, Decision};
    let by = match by {
        DecidedBy::Person => "by you",
        DecidedBy::Policy => "by the rules",
        DecidedBy::TimedOut => "because it was unanswered",
        DecidedBy::Remote => "by another client",
        DecidedBy::Link => "by a link",
        DecidedBy::Cancelled => "because the turn was cancelled",
    };
    match decision {
        Decision::Offered { id, allows: true } => format!("allowed {by}: {}", one_line(id, 40)),
        Decision::Offered { id, allows: false } => format!("denied {by}: {}", one_line(id, 40)),
        Decision::Hunks(hunks) => {
            let taken: Vec<String> = hunks.taken.iter().map(u32::to_string).collect();
            format!("hunks {} allowed {by}", one_line(&taken.join(", "), 40))
        }
        Decision::Once => format!("allowed once {by}"),
        Decision::Session => format!("allowed for the session {by}"),
        Decision::Pattern(pattern) => format!("allowed {} {by}", one_line(pattern, 40)),
        Decision::Deny(None) => format!("denied {by}"),
        Decision::Deny(Some(reason)) => format!("denied {by}: {}", one_line(reason, 60)),
    }
}

/// Returns the last rows of what a program printed.
fn output(text: &str, width: usize, most: usize) -> Vec<String> {
    last_rows(&final_output(tail_of(text)), width, most)
}

/// Returns the last rows of a value, of which nothing may be hidden by what looks like a redrawn line.
fn value_rows(text: &str, width: usize, most: usize) -> Vec<String> {
    last_rows(&clean(tail_of(text)), width, most)
}

fn tail_of(text: &str) -> &str {
    text[text.ceil_char_boundary(text.len().saturating_sub(MAX_OUTPUT_BYTES))..].trim_end()
}

/// Returns the last rows of a cleaned text.
fn last_rows(cleaned: &str, width: usize, most: usize) -> Vec<String> {
    if cleaned.is_empty() {
        return Vec::new();
    }
    let cleaned = expand_tabs(cleaned, 4);
    let rows = wrap_hard(&cleaned, width.max(1));
    let skip = rows.len().saturating_sub(most);
    let line = |start: usize, end: usize| cleaned.get(start..end).unwrap_or_default().to_owned();
    rows.into_iter().skip(skip).map(|row| line(row.start, row.end)).collect()
}

#[cfg(test)]
mod tests;
