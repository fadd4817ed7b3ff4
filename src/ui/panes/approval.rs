//! An ask, with what a person needs to see before they say yes, and the answers there are.
//!
//! It stands above the composer, at most half the screen high, so that what was said about it can be read beside it.
//! Nothing hides here: control and invisible characters are shown as what they are, and what has no room is told and
//! shown by `draw_full`. The last row says what Enter would do.

mod content;
mod hunks;

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::{AnswerKind, ApprovalRequest, Millis, OfferedAnswer, Pattern, Risk};
use crate::store::Store;
use crate::store::action::Action;
use crate::store::approval::{ApprovalChoice, asked_parts, parse_patterns};
use crate::store::overlay::approval::{ApprovalDialog, ApprovalInput};
use crate::store::permissions::allowing_patterns;
use crate::text::width::{str_width, truncate_with_ellipsis};
use crate::text::wrap::wrap;
use crate::text::{one_line, visible, visible_line};
use crate::ui::format;
use crate::ui::key_hints::KeyHints;
use crate::ui::layout::{Place, inset};
use crate::ui::paint::{RowWriter, clear, draw_box, select_row};
use crate::ui::pane::{DrawnOverlay, OverlayScreen, PaneScreen, PaneView};
use crate::ui::theme::{Role, Theme};

use super::filter_list::tail;
use content::{ApprovalContent, content};
use hunks::draw_hunks;

/// Most cells for a tool's name.
const MAX_TOOL_NAME_CELLS: usize = 24;
/// Most cells for an answer in the agent's words.
const MAX_ANSWER_LABEL_CELLS: usize = 40;
/// From so many rows on there is room for a gap and for the folder.
const MIN_AIRY_ROWS: u16 = 10;
/// From so many cells on the answers stand in one row, and what Enter does as well.
const MIN_BROAD_COLUMNS: usize = 75;

/// The ask that is open, in its rows.
#[derive(Default)]
pub struct ApprovalPane {
    docked: Option<DockedApproval>,
    area: Rect,
}

impl ApprovalPane {
    /// Returns whether its answers were on the last frame.
    pub fn is_visible(&self) -> bool {
        self.docked.is_some() && self.area.height > 1
    }
}

impl PaneView for ApprovalPane {
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        let PaneScreen { store, key_hints, area, .. } = *screen;
        let room = Rect { height: area.height / 2, ..area };
        let ask = store.focus.find::<ApprovalDialog>();
        self.docked = ask.and_then(|ask| lay_out(store, ask, key_hints, room));
        Place::Rows(self.docked.as_ref().map_or(0, DockedApproval::rows).min(room.height))
    }

    /// It is drawn with the overlays, in the order of their stack.
    fn draw(&mut self, _screen: &PaneScreen<'_>, area: Rect, _buf: &mut Buffer) -> Option<(u16, u16)> {
        self.area = area;
        None
    }

    /// Selects the answer, as a letter does: a click may only have brought the window to the front.
    fn click(&self, store: &Store, at: (u16, u16)) -> Option<Action> {
        store.focus.docked_approval()?;
        let answers = self.docked.as_ref()?.answer_areas(self.area);
        let choice = answers.into_iter().find(|(_, area)| area.contains(at.into())).map(|(choice, _)| choice)?;
        Some(Action::Choose(choice))
    }
}

/// An ask laid out to stand above the composer.
struct DockedApproval {
    title: String,
    right: String,
    border: Role,
    content: ApprovalContent,
    gap: u16,
    answers: Vec<Vec<ApprovalOption>>,
    /// The field's name and what is in it.
    field: Option<(String, String)>,
    enter_effect: Vec<String>,
    enter_effect_role: Role,
    /// Rows below the content; the same whatever is selected.
    rows_below: u16,
    is_guarded: bool,
}

/// A choice as it is written: key and words.
struct ApprovalOption {
    choice: ApprovalChoice,
    key: String,
    label: Cow<'static, str>,
    selected: bool,
}

impl ApprovalOption {
    fn width(&self) -> usize {
        let key = if self.key.is_empty() { 0 } else { str_width(&self.key) + 1 };
        key + str_width(&self.label) + 2
    }
}

/// Lays an ask out for so many columns and at most so many rows.
fn lay_out(store: &Store, approval: &ApprovalDialog, labels: &KeyHints, room: Rect) -> Option<DockedApproval> {
    let ask = store.tool_calls.get(&approval.call)?.approval_request()?;
    let width = usize::from(inset(room).width).max(1);
    let answers = answers(approval, ask, labels, width);
    let effect_rows = if width >= MIN_BROAD_COLUMNS { 1 } else { 2 };
    let below = (answers.len() + effect_rows) as u16;
    let allowing = allowing_patterns(store);
    let (text, effect_role) = enter_effect(approval, ask, &allowing, labels, width < MIN_BROAD_COLUMNS);
    let effect = wrap(&text, width).iter().map(|row| row.slice(&text).to_owned()).collect();
    let gap = u16::from(room.height >= MIN_AIRY_ROWS);
    let rows = usize::from(room.height.saturating_sub(1 + below + gap));
    let view = if labels.show_all.is_empty() { "…".to_owned() } else { format!("… {}:", labels.show_all) };
    let field = match approval.input {
        ApprovalInput::Choosing | ApprovalInput::Hunks | ApprovalInput::Note => None,
        ApprovalInput::Reason => {
            Some(("reason (sent to the model):".to_owned(), visible_line(&approval.reason).into_owned()))
        }
        ApprovalInput::Written => Some(("answer:".to_owned(), visible_line(&approval.reason).into_owned())),
        ApprovalInput::Pattern => Some(("allow".to_owned(), visible_line(&approval.pattern).into_owned())),
    };
    Some(DockedApproval {
        title: title(ask),
        right: right_title(store, ask),
        border: border(ask.risk),
        content: content(ask, &asked_parts(ask, &allowing), width, rows, room.height >= MIN_AIRY_ROWS, &view),
        gap,
        answers,
        field,
        enter_effect: effect,
        enter_effect_role: effect_role,
        rows_below: below,
        is_guarded: store.is_guarded(),
    })
}

impl DockedApproval {
    /// Returns how many rows it takes.
    fn rows(&self) -> u16 {
        1 + self.content.rows.len() as u16 + self.gap + self.rows_below
    }

    /// Draws it and returns where the cursor is.
    fn draw(&self, theme: Theme, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        if area.is_empty() {
            return None;
        }
        clear(area, buf);
        let border = theme.style(self.border);
        RowWriter::new(buf, area, 0).fill("─", border);
        let room = usize::from(area.width).saturating_sub(4);
        let right = truncate_with_ellipsis(&self.right, room / 2).into_owned();
        let mut pen = RowWriter::new(buf, area, 0);
        pen.write("─ ", border).write(&truncate_with_ellipsis(&self.title, room), border).write(" ", border);
        if !right.is_empty() && pen.room() > str_width(&right) + 4 {
            let mut pen = RowWriter::at_right(buf, area, 0, str_width(&right) + 3);
            pen.write(" ", border).write(&right, theme.style(Role::Dim)).write(" ", border);
        }
        let (upper, below) = self.parts(area);
        let rows = usize::from(upper.height);
        let last = self.content.rows.len().min(rows).saturating_sub(1);
        for (nth, content) in self.content.rows.iter().take(rows).enumerate() {
            let notice = if nth == last { self.content.left_out.as_deref() } else { None };
            let keep = notice.map_or(0, |notice| str_width(notice) + 1);
            let row = nth as u16;
            content.draw(theme, upper, row, keep, buf);
            if let Some(notice) = notice {
                RowWriter::at_right(buf, upper, row, str_width(notice)).write(notice, theme.style(Role::Warn));
            }
        }
        self.draw_below(theme, below, buf)
    }

    /// Returns where each answer stands in this area; none while a field has the keys.
    fn answer_areas(&self, area: Rect) -> Vec<(ApprovalChoice, Rect)> {
        if self.field.is_some() || area.is_empty() {
            return Vec::new();
        }
        let below = self.parts(area).1;
        let placed = self.answers.iter().enumerate().flat_map(|(row, line)| {
            let mut x = below.x;
            line.iter().map(move |answer| {
                let width = answer.width() as u16;
                let place = Rect { x, y: below.y.saturating_add(row as u16), width, height: 1 };
                x = x.saturating_add(width + 1);
                (answer.choice, place.intersection(below))
            })
        });
        placed.filter(|(_, place)| !place.is_empty()).collect()
    }

    /// The answers hold the bottom, whatever else had to go.
    fn parts(&self, area: Rect) -> (Rect, Rect) {
        let inner = inset(Rect { y: area.y + 1, height: area.height - 1, ..area });
        let below = self.rows_below.min(inner.height);
        (Rect { height: inner.height - below, ..inner }, Rect { y: inner.bottom() - below, height: below, ..inner })
    }

    fn draw_below(&self, theme: Theme, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let mut cursor = None;
        let mut row = 0;
        if let Some((name, text)) = &self.field {
            let mut pen = RowWriter::new(buf, area, 0);
            pen.write(name, theme.style(Role::Dim)).skip(1);
            let room = pen.room().saturating_sub(1);
            pen.write(tail(text, room), theme.style(Role::Text));
            cursor = Some((pen.column().min(area.right().saturating_sub(1)), area.y));
            row = 1;
        } else {
            for line in &self.answers {
                let mut pen = RowWriter::new(buf, area, row);
                let mut chosen = None;
                for (nth, answer) in line.iter().enumerate() {
                    pen.skip(usize::from(nth > 0));
                    let from = pen.column();
                    pen.skip(1).write(&answer.key, theme.style(Role::Key));
                    pen.skip(usize::from(!answer.key.is_empty())).write(&answer.label, theme.style(Role::Text)).skip(1);
                    if answer.selected {
                        chosen = Some((from, pen.column()));
                    }
                }
                if let Some((from, to)) = chosen {
                    let place = Rect { x: from, y: area.y + row, width: to - from, height: 1 };
                    select_row(place.intersection(area), theme, buf);
                }
                row += 1;
            }
        }
        let role =
            if self.is_guarded && self.enter_effect_role == Role::Text { Role::Dim } else { self.enter_effect_role };
        for text in &self.enter_effect {
            RowWriter::new(buf, area, row).write_truncated(text, 0, theme.style(role));
            row += 1;
        }
        cursor
    }
}

/// Draws an ask in its rows above the composer, or the whole of it over everything.
pub fn draw(
    approval: &ApprovalDialog,
    screen: &OverlayScreen<'_>,
    pane: &ApprovalPane,
    buf: &mut Buffer,
) -> DrawnOverlay {
    let cursor = pane.docked.as_ref().and_then(|docked| docked.draw(screen.theme, pane.area, buf));
    match approval.full_scroll {
        None if approval.is_reviewing() => draw_hunks(approval, screen, buf),
        Some(scroll) => DrawnOverlay::with_scroll_end(draw_full(approval, scroll, screen, buf)),
        None => DrawnOverlay { cursor, scroll_end: 0 },
    }
}

/// Returns how many rows one can scroll down.
fn draw_full(approval: &ApprovalDialog, scroll: usize, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> usize {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let Some(ask) = store.tool_calls.get(&approval.call).and_then(|call| call.approval_request()) else {
        return 0;
    };
    let width = usize::from(area.width.saturating_sub(4)).max(1);
    let parts = asked_parts(ask, &allowing_patterns(store));
    let all = content(ask, &parts, width, usize::MAX, true, "").rows;
    let height = usize::from(area.height.saturating_sub(2));
    let most = all.len().saturating_sub(height);
    let first = scroll.min(most);
    let last = (first + height).min(all.len());
    let footer = format!("{}–{last} of {} rows · ↑↓ · {} back", (first + 1).min(last), all.len(), labels.close);
    let inner = draw_box(&title(ask), &footer, border(ask.risk), theme, area, buf);
    for (row, content) in all.iter().skip(first).take(usize::from(inner.height)).enumerate() {
        content.draw(theme, inner, row as u16, 0, buf);
    }
    most
}

/// Says what is asked for, in one line.
pub fn title(ask: &ApprovalRequest) -> String {
    if ask.is_question() {
        return format!("{} asks you", tool_name(ask));
    }
    let deed = match ask.risk {
        Risk::ReadOnly => "read",
        Risk::Network => "contact another host",
        Risk::Write => "change a file",
        // A program here has a folder.
        Risk::Execute if ask.folder.is_empty() => "run on its server",
        Risk::Execute => "run a program",
    };
    format!("{} wants to {deed}", tool_name(ask))
}

fn tool_name(ask: &ApprovalRequest) -> String {
    one_line(&visible_line(&ask.tool), MAX_TOOL_NAME_CELLS)
}

fn border(risk: Risk) -> Role {
    match risk {
        Risk::ReadOnly | Risk::Network => Role::Info,
        Risk::Write | Risk::Execute => Role::Warn,
    }
}

/// Says what else there is to know: how many more wait, when it denies itself.
fn right_title(store: &Store, ask: &ApprovalRequest) -> String {
    let mut parts = Vec::new();
    let more = store.tool_calls.pending().count().saturating_sub(1);
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    if let Some(expires) = ask.expires_at {
        let left: Millis = expires.since(store.session.now);
        parts.push(format!("denied in {}", format::running_duration(left)));
    }
    parts.join(" · ")
}

/// Puts the choices side by side, as many as fit into a row.
fn answers(
    approval: &ApprovalDialog,
    ask: &ApprovalRequest,
    labels: &KeyHints,
    width: usize,
) -> Vec<Vec<ApprovalOption>> {
    let broad = width >= MIN_BROAD_COLUMNS;
    let mut lines: Vec<Vec<ApprovalOption>> = Vec::new();
    let mut used = 0;
    for choice in ApprovalChoice::all_for(ask) {
        let (key, words) = match choice {
            ApprovalChoice::Offered(at) => {
                let answer = ask.answers.get(at);
                let label = answer.map(|answer| answer_label(&answer.label)).unwrap_or_default();
                (offered_key(choice, ask, labels), Cow::Owned(label))
            }
            ApprovalChoice::Once => (labels.once.as_str(), "once".into()),
            ApprovalChoice::Session => (labels.session.as_str(), "session".into()),
            ApprovalChoice::Pattern => (labels.pattern.as_str(), "pattern".into()),
            ApprovalChoice::Deny => (labels.deny.as_str(), "deny".into()),
            ApprovalChoice::DenyWithReason if broad => (labels.reason.as_str(), "deny with a reason".into()),
            ApprovalChoice::DenyWithReason => (labels.reason.as_str(), "reason".into()),
            ApprovalChoice::Hunks => (labels.hunks.as_str(), "hunks".into()),
            ApprovalChoice::ShowAll if broad => (labels.show_all.as_str(), "show all".into()),
            ApprovalChoice::ShowAll => (labels.show_all.as_str(), "all".into()),
        };
        let answer =
            ApprovalOption { choice, key: key.to_owned(), label: words, selected: approval.selected == Some(choice) };
        match lines.last_mut() {
            Some(line) if used + 1 + answer.width() <= width => {
                used += 1 + answer.width();
                line.push(answer);
            }
            _ => {
                used = answer.width();
                lines.push(vec![answer]);
            }
        }
    }
    lines
}

/// The key that selects an offered answer: the first of each kind has one.
fn offered_key<'a>(choice: ApprovalChoice, ask: &ApprovalRequest, labels: &'a KeyHints) -> &'a str {
    let keys = [
        (ApprovalChoice::Once, &labels.once),
        (ApprovalChoice::Session, &labels.session),
        (ApprovalChoice::Deny, &labels.deny),
        (ApprovalChoice::DenyWithReason, &labels.reason),
    ];
    let of_this = keys.into_iter().find(|(key, _)| key.find_in(ask) == Some(choice));
    of_this.map_or("", |(_, label)| label.as_str())
}

fn answer_label(label: &str) -> String {
    one_line(&visible_line(label), MAX_ANSWER_LABEL_CELLS)
}

/// Says what an offered answer does: its words are the agent's, its effect is told by its kind.
fn offered_effect(ask: &ApprovalRequest, answer: &OfferedAnswer) -> String {
    if ask.is_question() {
        return if answer.is_written() {
            "write the answer".to_owned()
        } else {
            format!("answer: {}", answer_label(&answer.label))
        };
    }
    let effect = match answer.kind {
        AnswerKind::AllowOnce => "allow this one call",
        AnswerKind::AllowAlways => "allow, and the agent need not ask again",
        AnswerKind::RejectOnce => "deny this one call",
        AnswerKind::RejectAlways => "deny, and the agent remembers it",
    };
    format!("{effect} (its answer: {})", answer_label(&answer.label))
}

/// Says what Enter would do, exactly.
fn enter_effect(
    approval: &ApprovalDialog,
    ask: &ApprovalRequest,
    allowing: &[Pattern],
    labels: &KeyHints,
    narrow: bool,
) -> (String, Role) {
    if let Some(told) = &approval.feedback {
        return (one_line(&visible(told), 300), Role::Error);
    }
    let (enter, esc) = (&labels.answer, &labels.close);
    let text = match (approval.input, approval.selected) {
        (ApprovalInput::Written, _) => format!("{enter}: send this answer · {esc} back"),
        (ApprovalInput::Reason, _) => format!("{enter}: deny, and send the model this reason · {esc} back"),
        // What was typed comes last: it stands in the field as well, should there be no room for it.
        (ApprovalInput::Pattern, _) => match parse_patterns(ask, allowing, &approval.pattern) {
            Ok(patterns) => {
                let globs: Option<Vec<&str>> = patterns.iter().map(|pattern| pattern.glob.as_deref()).collect();
                let scope = match globs {
                    None => rule_description(ask),
                    Some(globs) => {
                        let globs = one_line(&visible_line(&globs.join(" or ")), 120);
                        format!("every {} that matches {globs}", subject_noun(ask))
                    }
                };
                format!("{enter}: allow for this session without asking: {scope} · {esc} back")
            }
            Err(wrong) => return (one_line(&visible(&wrong), 300), Role::Warn),
        },
        // The box over it says so.
        (ApprovalInput::Hunks | ApprovalInput::Note, _) => return (String::new(), Role::Dim),
        (ApprovalInput::Choosing, None) => {
            let text = format!("↑↓ or a letter selects, {enter} answers, {esc} denies; typing goes to your prompt");
            return (text, Role::Dim);
        }
        (ApprovalInput::Choosing, Some(ApprovalChoice::Session)) if narrow => {
            format!(
                "{enter}: {} this session without asking: {}",
                one_line(&tool_name(ask), MAX_TOOL_NAME_CELLS / 2),
                rule_description(ask)
            )
        }
        (ApprovalInput::Choosing, Some(choice)) => match choice_effect(ask, choice) {
            effect if effect.is_empty() => return (effect, Role::Dim),
            effect => format!("{enter}: {effect}"),
        },
    };
    (text, Role::Text)
}

/// Says what an answer does; nothing of one that the ask doesn't offer.
pub fn choice_effect(ask: &ApprovalRequest, choice: ApprovalChoice) -> String {
    match choice {
        ApprovalChoice::Once => "allow this one call".into(),
        ApprovalChoice::Session => {
            format!("allow {} this session without asking: {}", tool_name(ask), rule_description(ask))
        }
        ApprovalChoice::Pattern => {
            let pattern = one_line(&visible_line(ask.pattern.as_deref().unwrap_or_default()), 60);
            format!("edit, then allow for this session without asking: {pattern}")
        }
        ApprovalChoice::Deny => "deny; the model sees the denial".into(),
        ApprovalChoice::Offered(at) => {
            ask.answers.get(at).map(|answer| offered_effect(ask, answer)).unwrap_or_default()
        }
        ApprovalChoice::DenyWithReason => "enter a reason for the model".into(),
        ApprovalChoice::Hunks => format!("decide about each of the {} hunks", ask.hunks),
        ApprovalChoice::ShowAll => "show it in full".into(),
    }
}

fn rule_description(ask: &ApprovalRequest) -> String {
    format!("every {}", subject_noun(ask))
}

/// What a call of the tool is about.
fn subject_noun(ask: &ApprovalRequest) -> &'static str {
    match ask.risk {
        Risk::Execute => "command",
        Risk::Write => "change to a file",
        Risk::Network => "address",
        Risk::ReadOnly => "call",
    }
}
