//! Where the tokens went, and what fills the context: labelled figures, one a row.
//!
//! A guess is marked `~`; what is not known is said to be unknown and is never shown as zero.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::event::{Millis, Usage};
use crate::store::Store;
use crate::store::limits::{LimitUnit, LimitUse, limit_uses};
use crate::store::overlay::usage::{UsageReport, UsageSubject};
use crate::store::usage_ledger::{ToolTally, TurnRecord};
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::format::{count, duration, money};
use crate::ui::layout::centered;
use crate::ui::paint::{RowWriter, draw_box};
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::theme::Role;

/// Bytes of text that are taken for one token.
const BYTES_PER_TOKEN: u64 = 4;
/// Turns shown, the newest.
const MAX_SHOWN_TURNS: usize = 100;

/// One row: what it is, and its figures at the end.
struct ReportRow {
    label: String,
    figures: String,
    role: Role,
}

pub fn draw(report: &UsageReport, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let (title, rows) = match report.subject {
        UsageSubject::Session => ("Usage of this session", session_rows(store)),
        UsageSubject::Context => ("Context", context_rows(store)),
    };
    let width = area.width.saturating_sub(2).min(96);
    let place = centered(area, width, (rows.len() + 2).min(usize::from(area.height)) as u16);
    let shown = usize::from(place.height.saturating_sub(2));
    let end = rows.len().saturating_sub(shown);
    let scroll = report.scroll.min(end);
    let footer = match end {
        0 => format!("{} closes", labels.close),
        _ => format!("{}–{} of {} · ↑↓ · {} closes", scroll + 1, scroll + shown, rows.len(), labels.close),
    };
    let inner = draw_box(title, &footer, Role::BorderFocused, theme, place, buf);
    for (nth, row) in (0..).zip(rows.iter().skip(scroll).take(shown)) {
        let line = Rect { y: inner.y + nth, height: 1, ..inner };
        let figures = one_line(&row.figures, usize::from(line.width));
        let room = usize::from(line.width).saturating_sub(str_width(&figures) + 2);
        RowWriter::new(buf, line, 0).write(&one_line(&row.label, room), theme.style(row.role));
        RowWriter::at_right(buf, line, 0, str_width(&figures)).write(&figures, theme.style(Role::Text));
    }
    DrawnOverlay::with_scroll_end(end)
}

fn row(label: impl Into<String>, figures: impl Into<String>) -> ReportRow {
    ReportRow { label: label.into(), figures: figures.into(), role: Role::Text }
}

fn heading(label: &str, figures: &str) -> ReportRow {
    ReportRow { label: label.into(), figures: figures.into(), role: Role::Heading }
}

fn remark(label: &str) -> ReportRow {
    ReportRow { label: label.into(), figures: String::new(), role: Role::Dim }
}

fn session_rows(store: &Store) -> Vec<ReportRow> {
    let (usage, ledger) = (store.usage.session(), &store.usage_ledger);
    let mut rows = vec![heading("Session", "")];
    if store.history_progress.is_some() {
        rows.push(remark("Earlier turns are still being read: these are the least figures."));
    }
    rows.push(row("turns", store.usage.turns().to_string()));
    rows.push(row("input", input(usage)));
    let known_cache = if usage.cached_tokens > 0 { tokens(usage.cached_tokens, false) } else { "none reported".into() };
    rows.push(row("of it from the server's cache", known_cache));
    rows.push(row("output", tokens(usage.output_tokens, usage.estimated)));
    let reasoning =
        if usage.reasoning_tokens > 0 { tokens(usage.reasoning_tokens, false) } else { "none reported".into() };
    rows.push(row("of it reasoning", reasoning));
    rows.push(row("cost", cost(store.usage.cost())));
    let limits = limit_uses(store);
    if !limits.is_empty() {
        rows.extend([remark(""), heading("Limits", "used of")]);
        rows.extend(limits.iter().map(|limit| row(limit.what, limit_figures(limit))));
    }
    let turns: Vec<&TurnRecord> = ledger.turns().collect();
    if !turns.is_empty() {
        rows.push(remark(""));
        rows.push(heading("By turn, the newest first", "in · cached · out · cost"));
        let numbered = turns.iter().enumerate().rev().take(MAX_SHOWN_TURNS);
        rows.extend(numbered.map(|(nth, turn)| turn_row(nth + 1, turn)));
    }
    rows.extend(tally_rows(
        "By tool, by the length of what went through",
        "calls · written · returned",
        &ledger.tools(),
    ));
    rows.extend(tally_rows("By sub-agent, by the length of what it said", "messages · said", &ledger.sub_agents()));
    if usage.estimated || !ledger.tools().is_empty() {
        rows.push(remark(""));
        rows.push(remark("~ is a guess from the length of the text, where nobody reports tokens."));
    }
    rows
}

fn turn_row(nth: usize, turn: &TurnRecord) -> ReportRow {
    let name = match (turn.count, turn.prompt.as_str()) {
        (2.., _) => format!("the first {} turns", turn.count),
        (_, "") => format!("{nth}  (no prompt)"),
        (_, prompt) => format!("{nth}  {prompt}"),
    };
    let usage = turn.usage;
    let cached = if usage.cached_tokens > 0 { count(usage.cached_tokens) } else { "–".into() };
    let parts = [input(usage), cached, tokens(usage.output_tokens, usage.estimated), cost(turn.cost)];
    row(name, parts.join(" · "))
}

fn tally_rows(title: &str, columns: &str, tallies: &[(&str, ToolTally)]) -> Vec<ReportRow> {
    if tallies.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![remark(""), heading(title, columns)];
    rows.extend(tallies.iter().map(|(name, tally)| {
        let mut parts = vec![tally.calls.to_string(), guess(tally.written_bytes)];
        if columns.contains("returned") {
            parts.push(guess(tally.output_bytes));
        }
        row(*name, parts.join(" · "))
    }));
    rows
}

fn context_rows(store: &Store) -> Vec<ReportRow> {
    let (usage, ledger) = (&store.usage, &store.usage_ledger);
    let window = usage.context_window().filter(|window| *window > 0);
    let used = usage.context();
    let mut rows = vec![heading("Context window of the model", "")];
    rows.push(row("size", window.map_or("unknown".into(), |window| tokens(window, false))));
    let estimated = usage.is_context_estimated();
    rows.push(row("the last request, with its answer", used.map_or("unknown".into(), |used| tokens(used, estimated))));
    if let (Some(window), Some(used)) = (window, used) {
        let percent = (used as f64 / window as f64 * 100.0).floor();
        rows.push(row("free", format!("{} ({:.0}% used)", tokens(window.saturating_sub(used), estimated), percent)));
    }
    rows.push(remark(""));
    rows.push(heading("What was said in this session, by its length", ""));
    if store.history_progress.is_some() {
        rows.push(remark("Earlier turns are still being read: these are the least figures."));
    }
    rows.push(row("your prompts", guess(ledger.prompt_bytes)));
    rows.push(row("answers and thinking", guess(ledger.answer_bytes)));
    let sum = |part: fn(&ToolTally) -> u64| ledger.tools().iter().map(|(_, tally)| part(tally)).sum::<u64>();
    rows.push(row("arguments of calls", guess(sum(|tally| tally.written_bytes))));
    rows.push(row("what calls returned", guess(sum(|tally| tally.output_bytes))));
    rows.push(remark(""));
    rows.push(remark("Instructions and tools come on top; what no longer fits is left out."));
    rows
}

fn limit_figures(limit: &LimitUse) -> String {
    let figure = |amount: f64| match limit.unit {
        LimitUnit::Number => count(amount as u64),
        LimitUnit::Dollars => money(amount),
        LimitUnit::Milliseconds => duration(Millis(amount as u64)),
    };
    let unknown = if limit.is_partly_unknown { ", some prices unknown" } else { "" };
    format!("{}{unknown} of {}", figure(limit.used), figure(limit.limit))
}

fn input(usage: Usage) -> String {
    // Something came out, so something went in, and nobody has said how much.
    if usage.input_tokens == 0 && usage.output_tokens > 0 {
        return "unknown".into();
    }
    tokens(usage.input_tokens, usage.estimated)
}

fn tokens(tokens: u64, is_guess: bool) -> String {
    format!("{}{}", if is_guess { "~" } else { "" }, count(tokens))
}

fn guess(bytes: u64) -> String {
    if bytes == 0 { "0".into() } else { tokens(bytes.div_ceil(BYTES_PER_TOKEN), true) }
}

fn cost(cost: Option<f64>) -> String {
    cost.map_or("price unknown".into(), money)
}
