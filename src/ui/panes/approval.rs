//! An ask, with what a person needs to see before they say yes, and the answers there are.
//!
//! It stands above the composer, at most half the screen high, so that what was said about it can be read beside it.
//! Nothing hides here: control and invisible characters are shown as what they are, and what has no room is told and
//! shown by [`whole`]. The last row says what Enter would do.

mod content;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::{Ask, Millis, Risk};
use crate::store::Store;
use crate::store::approval::{Approval, ApprovalInput, Choice, fitting};
use crate::text::width::{ellipsis, str_width};
use crate::text::wrap::wrap;
use crate::text::{one_line, visible, visible_line};
use crate::ui::format;
use crate::ui::labels::Labels;
use crate::ui::layout::inset;
use crate::ui::paint::{Pen, clear, frame, restyle};
use crate::ui::theme::{Role, Theme};

use super::models::tail;
use content::{Content, content};

/// Most cells for a tool's name.
const SHORT: usize = 24;
/// From so many rows on there is room for a gap and for the folder.
const AIRY: u16 = 10;
/// From so many cells on the answers stand in one row, and what Enter does as well.
const BROAD: usize = 75;

/// An ask laid out to stand above the composer.
pub struct Docked {
    title: String,
    right: String,
    border: Role,
    content: Content,
    gap: u16,
    answers: Vec<Vec<Answer>>,
    /// The field's name and what is in it.
    field: Option<(String, String)>,
    effect: Vec<String>,
    effect_role: Role,
    /// Rows below the content; the same whatever is selected.
    below: u16,
    guarded: bool,
}

/// A choice as it is written: key and words.
struct Answer {
    choice: Choice,
    key: String,
    words: &'static str,
    selected: bool,
}

impl Answer {
    fn width(&self) -> usize {
        let key = if self.key.is_empty() { 0 } else { str_width(&self.key) + 1 };
        key + str_width(self.words) + 2
    }
}

/// Lays an ask out for so many columns and at most so many rows.
pub fn lay(store: &Store, approval: &Approval, labels: &Labels, room: Rect) -> Option<Docked> {
    let ask = store.tools.get(&approval.call)?.ask.as_ref()?;
    let width = usize::from(inset(room).width).max(1);
    let answers = answers(approval, ask, labels, width);
    let effect_rows = if width >= BROAD { 1 } else { 2 };
    let below = (answers.len() + effect_rows) as u16;
    let (text, effect_role) = effect(approval, ask, labels, width < BROAD);
    let effect = wrap(&text, width).iter().map(|row| row.slice(&text).to_owned()).collect();
    let gap = u16::from(room.height >= AIRY);
    let rows = usize::from(room.height.saturating_sub(1 + below + gap));
    let view = if labels.view.is_empty() { "…".to_owned() } else { format!("… {}:", labels.view) };
    let field = match approval.input {
        ApprovalInput::Choosing => None,
        ApprovalInput::Reason => Some(("why not?".to_owned(), visible_line(&approval.reason).into_owned())),
        ApprovalInput::Pattern => Some(("allow".to_owned(), visible_line(&approval.pattern).into_owned())),
    };
    Some(Docked {
        title: title(ask),
        right: right(store, ask),
        border: border(ask.risk),
        content: content(ask, width, rows, room.height >= AIRY, &view),
        gap,
        answers,
        field,
        effect,
        effect_role,
        below,
        guarded: store.is_guarded(),
    })
}

impl Docked {
    /// Returns how many rows it takes.
    pub fn rows(&self) -> u16 {
        1 + self.content.rows.len() as u16 + self.gap + self.below
    }

    /// Draws it and returns where the cursor is.
    pub fn draw(&self, theme: Theme, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        if area.is_empty() {
            return None;
        }
        clear(area, buf);
        let border = theme.style(self.border);
        Pen::new(buf, area, 0).fill("─", border);
        let room = usize::from(area.width).saturating_sub(4);
        let right = ellipsis(&self.right, room / 2).into_owned();
        let mut pen = Pen::new(buf, area, 0);
        pen.write("─ ", border).write(&ellipsis(&self.title, room), border).write(" ", border);
        if !right.is_empty() && pen.room() > str_width(&right) + 4 {
            let mut pen = Pen::at_right(buf, area, 0, str_width(&right) + 3);
            pen.write(" ", border).write(&right, theme.style(Role::Dim)).write(" ", border);
        }
        let (upper, below) = self.parts(area);
        let rows = usize::from(upper.height);
        let last = self.content.rows.len().min(rows).saturating_sub(1);
        for (nth, (text, role)) in self.content.rows.iter().take(rows).enumerate() {
            let notice = if nth == last { self.content.left_out.as_deref() } else { None };
            let keep = notice.map_or(0, |notice| str_width(notice) + 1);
            let row = nth as u16;
            Pen::new(buf, upper, row).write_cut(text, keep, theme.style(*role));
            if let Some(notice) = notice {
                Pen::at_right(buf, upper, row, str_width(notice)).write(notice, theme.style(Role::Warn));
            }
        }
        self.draw_below(theme, below, buf)
    }

    /// Returns where each answer stands in this area; none while a field has the keys.
    pub fn places(&self, area: Rect) -> Vec<(Choice, Rect)> {
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
        let below = self.below.min(inner.height);
        (Rect { height: inner.height - below, ..inner }, Rect { y: inner.bottom() - below, height: below, ..inner })
    }

    fn draw_below(&self, theme: Theme, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let mut cursor = None;
        let mut row = 0;
        if let Some((name, text)) = &self.field {
            let mut pen = Pen::new(buf, area, 0);
            pen.write(name, theme.style(Role::Dim)).skip(1);
            let room = pen.room().saturating_sub(1);
            pen.write(tail(text, room), theme.style(Role::Text));
            cursor = Some((pen.column().min(area.right().saturating_sub(1)), area.y));
            row = 1;
        } else {
            for line in &self.answers {
                let mut pen = Pen::new(buf, area, row);
                let mut chosen = None;
                for (nth, answer) in line.iter().enumerate() {
                    pen.skip(usize::from(nth > 0));
                    let from = pen.column();
                    pen.skip(1).write(&answer.key, theme.style(Role::Key));
                    pen.skip(usize::from(!answer.key.is_empty())).write(answer.words, theme.style(Role::Text)).skip(1);
                    if answer.selected {
                        chosen = Some((from, pen.column()));
                    }
                }
                if let Some((from, to)) = chosen {
                    let place = Rect { x: from, y: area.y + row, width: to - from, height: 1 };
                    restyle(place.intersection(area), theme.style(Role::Selection), buf);
                }
                row += 1;
            }
        }
        let role = if self.guarded && self.effect_role == Role::Text { Role::Dim } else { self.effect_role };
        for text in &self.effect {
            Pen::new(buf, area, row).write_cut(text, 0, theme.style(role));
            row += 1;
        }
        cursor
    }
}

/// Shows the whole of an ask over everything, and returns how many rows one can scroll down.
pub fn whole(
    store: &Store,
    approval: &Approval,
    scroll: usize,
    labels: &Labels,
    theme: Theme,
    area: Rect,
    buf: &mut Buffer,
) -> usize {
    let Some(ask) = store.tools.get(&approval.call).and_then(|call| call.ask.as_ref()) else { return 0 };
    let width = usize::from(area.width.saturating_sub(4)).max(1);
    let all = content(ask, width, usize::MAX, true, "").rows;
    let height = usize::from(area.height.saturating_sub(2));
    let most = all.len().saturating_sub(height);
    let first = scroll.min(most);
    let last = (first + height).min(all.len());
    let footer = format!("{}–{last} of {} rows · ↑↓ · {} back", (first + 1).min(last), all.len(), labels.close);
    let inner = frame(&title(ask), &footer, border(ask.risk), theme, area, buf);
    for (row, (text, role)) in all.iter().skip(first).take(usize::from(inner.height)).enumerate() {
        Pen::new(buf, inner, row as u16).write(text, theme.style(*role));
    }
    most
}

fn title(ask: &Ask) -> String {
    let deed = match ask.risk {
        Risk::ReadOnly => "read",
        Risk::Network => "reach another host",
        Risk::Write => "change a file",
        Risk::Execute => "run a program",
    };
    format!("{} wants to {deed}", tool(ask))
}

fn tool(ask: &Ask) -> String {
    one_line(&visible_line(&ask.tool), SHORT)
}

fn border(risk: Risk) -> Role {
    match risk {
        Risk::ReadOnly | Risk::Network => Role::Info,
        Risk::Write | Risk::Execute => Role::Warn,
    }
}

/// Says what else there is to know: how many more wait, when it denies itself.
fn right(store: &Store, ask: &Ask) -> String {
    let mut parts = Vec::new();
    let more = store.tools.pending().count().saturating_sub(1);
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    if let Some(expires) = ask.expires {
        let left: Millis = expires.since(store.session.now);
        parts.push(format!("denied in {}", format::running(left)));
    }
    parts.join(" · ")
}

/// Puts the choices side by side, as many as fit into a row.
fn answers(approval: &Approval, ask: &Ask, labels: &Labels, width: usize) -> Vec<Vec<Answer>> {
    let broad = width >= BROAD;
    let mut lines: Vec<Vec<Answer>> = Vec::new();
    let mut used = 0;
    for choice in Choice::ALL.into_iter().filter(|choice| choice.is_offered(ask)) {
        let (key, words) = match choice {
            Choice::Once => (&labels.once, "once"),
            Choice::Session => (&labels.session, "session"),
            Choice::Pattern => (&labels.pattern, "pattern"),
            Choice::Deny => (&labels.deny, "deny"),
            Choice::DenyWithReason if broad => (&labels.reason, "deny and say why"),
            Choice::DenyWithReason => (&labels.reason, "say why"),
            Choice::Look if broad => (&labels.view, "show all"),
            Choice::Look => (&labels.view, "all"),
        };
        let answer = Answer { choice, key: key.clone(), words, selected: approval.selected == Some(choice) };
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

/// Says what Enter would do, exactly.
fn effect(approval: &Approval, ask: &Ask, labels: &Labels, narrow: bool) -> (String, Role) {
    if let Some(told) = &approval.told {
        return (one_line(&visible(told), 300), Role::Error);
    }
    let (enter, esc) = (&labels.answer, &labels.close);
    let text = match (approval.input, approval.selected) {
        (ApprovalInput::Reason, _) => format!("{enter}: deny, and tell the model that · {esc} back"),
        // What was typed comes last: it stands in the field as well, should there be no room for it.
        (ApprovalInput::Pattern, _) => match fitting(ask, &approval.pattern) {
            Ok(pattern) => {
                let scope = match &pattern.glob {
                    None => everything(ask),
                    Some(glob) => format!("every {} that matches {}", thing(ask), one_line(&visible_line(glob), 120)),
                };
                format!("{enter}: allow for this session, unasked: {scope} · {esc} back")
            }
            Err(wrong) => return (one_line(&visible(&wrong), 300), Role::Warn),
        },
        (ApprovalInput::Choosing, None) => {
            let text = format!("↑↓ or a letter selects, {enter} answers, {esc} denies; typing goes to your prompt");
            return (text, Role::Dim);
        }
        (ApprovalInput::Choosing, Some(choice)) => match choice {
            Choice::Once => format!("{enter}: allow this one call"),
            Choice::Session if narrow => {
                format!("{enter}: {} this session: {}, unasked", one_line(&tool(ask), SHORT / 2), everything(ask))
            }
            Choice::Session => format!("{enter}: allow {} for this session: {}, unasked", tool(ask), everything(ask)),
            Choice::Pattern => {
                let pattern = one_line(&visible_line(ask.pattern.as_deref().unwrap_or_default()), 60);
                format!("{enter}: edit, then allow for this session, unasked: {pattern}")
            }
            Choice::Deny => format!("{enter}: deny; the model is told so"),
            Choice::DenyWithReason => format!("{enter}: write why not; the model is told"),
            Choice::Look => format!("{enter}: show the whole of it"),
        },
    };
    (text, Role::Text)
}

fn everything(ask: &Ask) -> String {
    format!("every {}", thing(ask))
}

/// What a call of the tool is about.
fn thing(ask: &Ask) -> &'static str {
    match ask.risk {
        Risk::Execute => "command",
        Risk::Write => "change to a file",
        Risk::Network => "address",
        Risk::ReadOnly => "call",
    }
}
