//! An ask, with everything a person needs to see before they say yes, and the answers there are.
//!
//! Nothing hides here: control and invisible characters are shown as what they are, and a long detail scrolls. While
//! the guard stands (see `store::focus`) the answers are dim.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::{Ask, Millis, Risk};
use crate::store::Store;
use crate::store::focus::{Approval, ApprovalInput};
use crate::text::width::{expand_tabs, str_width};
use crate::text::wrap::{chop, wrap};
use crate::text::{one_line, visible};
use crate::ui::format;
use crate::ui::labels::Labels;
use crate::ui::layout::centered;
use crate::ui::paint::{Pen, frame};
use crate::ui::theme::{Role, Theme};

use super::models::tail;

/// Bytes of a detail that are laid out; what is beyond is told, not hidden.
const LOOK: usize = 256 * 1024;

/// Most cells for a tool's name.
const SHORT: usize = 24;
/// From this height on there is room for gaps and for the folder.
const AIRY: u16 = 14;

/// What the view found out while drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    pub cursor: Option<(u16, u16)>,
    /// How many rows one can scroll down.
    pub scroll_max: usize,
}

/// A row of text with its role.
type Line = (String, Role);

pub fn draw(store: &Store, approval: &Approval, labels: &Labels, theme: Theme, area: Rect, buf: &mut Buffer) -> Drawn {
    let Some(ask) = store.tools.get(&approval.call).and_then(|call| call.ask.as_ref()) else {
        return Drawn::default();
    };
    let width = area.width.saturating_sub(if area.width >= 60 { 4 } else { 0 }).min(110);
    let inside = usize::from(width.saturating_sub(4)).max(1);
    let (head, detail) = content(ask, inside, usize::from(area.height));
    let answers = answers(approval, ask, labels, inside);

    // Border, head, gap, detail, gap, answers, border. Where rows are dear, no gaps.
    let gap = usize::from(area.height >= AIRY);
    let gaps = gap * (usize::from(!detail.is_empty() && !head.is_empty()) + 1);
    let needed = 2 + head.len() + gaps + detail.len() + answers.len();
    let place = centered(area, width, needed.min(usize::from(area.height)) as u16);
    let shown = usize::from(place.height).saturating_sub(needed - detail.len());
    let scroll_max = detail.len().saturating_sub(shown);
    let scroll = approval.scroll.min(scroll_max);

    let title = format!("{} wants to {}", one_line(&visible(&ask.tool), SHORT), deed(ask.risk));
    let footer = footer(store, ask, (scroll, shown, detail.len()));
    let inner = frame(&title, &footer, border(ask.risk), theme, place, buf);

    let mut row = 0;
    for (text, role) in &head {
        Pen::new(buf, inner, row).write_cut(text, 0, theme.style(*role));
        row += 1;
    }
    if !detail.is_empty() && shown > 0 {
        row += if head.is_empty() { 0 } else { gap as u16 };
        for (text, role) in detail.iter().skip(scroll).take(shown) {
            Pen::new(buf, inner, row).write(text, theme.style(*role));
            row += 1;
        }
    }
    // The answers hold the bottom, whatever else had to go.
    let top = inner.height.saturating_sub(answers.len() as u16).max(row.min(inner.height));
    let top = top.min(inner.height.saturating_sub(1));
    let guarded = approval.is_guarded(store.session.now);
    let mut cursor = None;
    for (nth, answer) in answers.iter().enumerate() {
        let mut pen = Pen::new(buf, inner, top.saturating_add(nth as u16));
        for (text, role) in &answer.parts {
            pen.write(text, theme.style(if guarded { Role::Dim } else { *role }));
        }
        if answer.cursor {
            cursor = Some((pen.column().min(inner.right().saturating_sub(1)), inner.y + top + nth as u16));
        }
    }
    Drawn { cursor, scroll_max }
}

fn deed(risk: Risk) -> &'static str {
    match risk {
        Risk::ReadOnly => "read",
        Risk::Network => "reach another host",
        Risk::Write => "change a file",
        Risk::Execute => "run a program",
    }
}

fn border(risk: Risk) -> Role {
    match risk {
        Risk::ReadOnly | Risk::Network => Role::Info,
        Risk::Write | Risk::Execute => Role::Warn,
    }
}

/// Returns what stands still and what scrolls. Nothing is cut: a subject too long to stand still scrolls.
fn content(ask: &Ask, width: usize, height: usize) -> (Vec<Line>, Vec<Line>) {
    let subject = visible(ask.subject.trim_end());
    let mut subject = rows(&subject, wrap_rows(&subject, width), Role::Tool);
    let mut folder = Vec::new();
    if height >= usize::from(AIRY) && !ask.folder.is_empty() {
        folder.push((format!("in {}", one_line(&visible(&ask.folder), width.saturating_sub(3))), Role::Dim));
    }
    let repeated = ask.detail.trim() == ask.subject.trim();
    let mut detail = if repeated { Vec::new() } else { detail(ask, width) };
    if subject.len() > (height / 4).max(1) {
        subject.append(&mut detail);
        return (folder, subject);
    }
    subject.append(&mut folder);
    (subject, detail)
}

fn detail(ask: &Ask, width: usize) -> Vec<Line> {
    let whole = ask.detail.trim_end();
    let detail = visible(&whole[..whole.floor_char_boundary(LOOK)]);
    if detail.is_empty() {
        return Vec::new();
    }
    let is_diff = detail.lines().any(|line| line.starts_with("@@"));
    // The names of the file say again what the subject says.
    let names = format!("--- a/{0}\n+++ b/{0}\n", ask.subject);
    let mut lines = Vec::new();
    for line in detail.strip_prefix(names.as_str()).unwrap_or(&detail).lines() {
        let role = if is_diff { diff_role(line) } else { Role::Code };
        let line = expand_tabs(line, 4);
        lines.extend(rows(&line, chop_rows(&line, width), role));
    }
    if whole.len() > LOOK {
        lines.push((format!("… {} more bytes are not shown", whole.len() - LOOK), Role::Error));
    }
    lines
}

fn diff_role(line: &str) -> Role {
    match line.as_bytes().first() {
        Some(b'+') if !line.starts_with("+++") => Role::Added,
        Some(b'-') if !line.starts_with("---") => Role::Removed,
        Some(b'@') => Role::Info,
        Some(b'+' | b'-') => Role::Dim,
        _ => Role::Text,
    }
}

fn wrap_rows(text: &str, width: usize) -> Vec<(usize, usize)> {
    wrap(text, width).into_iter().map(|row| (row.start, row.end)).collect()
}

fn chop_rows(text: &str, width: usize) -> Vec<(usize, usize)> {
    chop(text, width).into_iter().map(|row| (row.start, row.end)).collect()
}

fn rows(text: &str, ranges: Vec<(usize, usize)>, role: Role) -> Vec<Line> {
    ranges.into_iter().map(|(start, end)| (text.get(start..end).unwrap_or_default().to_owned(), role)).collect()
}

#[derive(Default)]
struct Answer {
    parts: Vec<Line>,
    /// The cursor stands at its end.
    cursor: bool,
}

impl Answer {
    fn width(&self) -> usize {
        self.parts.iter().map(|(text, _)| str_width(text)).sum()
    }
}

fn answers(approval: &Approval, ask: &Ask, labels: &Labels, width: usize) -> Vec<Answer> {
    let typing = |what: &str, text: &str, send: &str| {
        let prompt = format!("{what} ");
        let room = width.saturating_sub(str_width(&prompt) + 1);
        let field = Answer {
            parts: vec![(prompt, Role::Dim), (tail(&visible(text), room).to_owned(), Role::Text)],
            cursor: true,
        };
        let keys = vec![
            (labels.accept.clone(), Role::Key),
            (format!(" {send}   "), Role::Dim),
            (labels.close.clone(), Role::Key),
            (" back".into(), Role::Dim),
        ];
        vec![field, Answer { parts: keys, cursor: false }]
    };
    match &approval.input {
        ApprovalInput::Reason(reason) => typing("why not?", reason, "denies"),
        ApprovalInput::Pattern(pattern) => typing("allow", pattern, "allows what matches"),
        ApprovalInput::Choosing => {
            let choice = |key: &str, what: &str| Answer {
                parts: vec![(key.to_owned(), Role::Key), (format!(" {what}"), Role::Text)],
                cursor: false,
            };
            let always = |what: &str, most| format!("{} this session", one_line(&visible(what), most));
            let mut allow =
                vec![choice(&labels.once, "allow once"), choice(&labels.session, &always(&ask.tool, SHORT))];
            if let Some(pattern) = &ask.pattern {
                allow.push(choice(&labels.pattern, &always(pattern, width.saturating_sub(16).min(40))));
            }
            let deny = vec![choice(&labels.deny, "deny"), choice(&labels.reason, "deny and say why")];
            let mut lines = flow(allow, width);
            lines.extend(flow(deny, width));
            lines
        }
    }
}

/// Puts choices side by side, as many as fit into a row.
fn flow(choices: Vec<Answer>, width: usize) -> Vec<Answer> {
    let mut lines: Vec<Answer> = Vec::new();
    for choice in choices {
        match lines.last_mut() {
            Some(line) if line.width() + 3 + choice.width() <= width => {
                line.parts.push(("   ".into(), Role::Text));
                line.parts.extend(choice.parts);
            }
            _ => lines.push(choice),
        }
    }
    lines
}

fn footer(store: &Store, ask: &Ask, (scroll, shown, rows): (usize, usize, usize)) -> String {
    let mut parts = Vec::new();
    if rows > shown && shown > 0 {
        parts.push(format!("{}–{} of {rows} ↑↓", scroll + 1, scroll + shown));
    }
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
