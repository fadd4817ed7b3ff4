//! A session as a recording of the screen: asciicast v3, as asciinema plays it.
//!
//! The frames are drawn by the screen itself, at the size that is asked for, with the session's own timing. Prompts and
//! calls are markers. Source of the format: docs.asciinema.org/manual/asciicast/v3.

use std::collections::HashSet;
use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Style;
use serde_json::json;

use super::SessionFacts;
use crate::event::{AgentEvent, Envelope, Millis};
use crate::headless::screen_dump::{SavedScreen, rows};
use crate::text::one_line;
use crate::text::width::str_width;
use crate::ui::theme;

/// Frames are no nearer to each other, as on the screen.
const FRAME_INTERVAL: Millis = Millis(33);
/// What moves with the clock moves so often while nothing else happens.
const TICK_INTERVAL: Millis = Millis(1_000);
/// Of a longer pause only the beginning moves.
const MAX_TICKS: u64 = 120;
/// The longest pause before a run of the program, however long it really was.
const MAX_GAP_BETWEEN_RUNS: Millis = Millis(2_000);
/// Players shorten longer pauses to this, if they are left to themselves.
const IDLE_LIMIT_SECONDS: f64 = 2.0;
/// What precedes a run of the program closes the run before, at the same time.
const MAX_RUN_START: Millis = Millis(1_000);

/// Returns the recording. O(events + frames · cells).
pub(super) fn write(
    facts: &SessionFacts,
    title: Option<&str>,
    events: &[&Envelope],
    screen: SavedScreen,
    max_gap: Option<Millis>,
) -> String {
    let mut recorder = Recorder::new(screen, max_gap);
    recorder.head(facts, title);
    let run_starts = run_starts(events);
    for (index, envelope) in events.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| events.get(before)).map_or(envelope.at, |before| before.at);
        let mut gap = recorder.shorten(envelope.at.since(before));
        if run_starts.contains(&index) {
            gap = gap.min(MAX_GAP_BETWEEN_RUNS);
        }
        recorder.wait(before, gap);
        recorder.fold(envelope);
        let is_last = index + 1 == events.len();
        let next = events.get(index + 1).map_or(FRAME_INTERVAL, |next| recorder.shorten(next.at.since(envelope.at)));
        recorder.draw_if_due(next, is_last);
    }
    recorder.finish()
}

struct Recorder {
    screen: SavedScreen,
    max_gap: Option<Millis>,
    out: String,
    /// On the recording's clock.
    now: Millis,
    /// When the last line of the recording was.
    written: Millis,
    /// When the last frame was drawn.
    drawn: Option<Millis>,
    last: Buffer,
    prompts: u32,
}

impl Recorder {
    fn new(mut screen: SavedScreen, max_gap: Option<Millis>) -> Self {
        let last = Buffer::empty(screen.draw().area);
        let zero = Millis(0);
        Self { screen, max_gap, out: String::new(), now: zero, written: zero, drawn: None, last, prompts: 0 }
    }

    fn head(&mut self, facts: &SessionFacts, title: Option<&str>) {
        let area = self.last.area;
        let (back, ink) = self.screen.ground();
        let palette = theme::palette(self.screen.is_light()).map(hex).join(":");
        let mut header = json!({
            "version": 3,
            "term": {
                "cols": area.width,
                "rows": area.height,
                "type": "xterm-256color",
                "theme": { "fg": hex(ink), "bg": hex(back), "palette": palette },
            },
            "idle_time_limit": IDLE_LIMIT_SECONDS,
        });
        if facts.started_at > 0 {
            header["timestamp"] = (facts.started_at / 1000).into();
        }
        if let Some(title) = title {
            header["title"] = one_line(title, 200).into();
        }
        let _ = writeln!(self.out, "{header}");
        self.line("o", "\u{1b}[?25l\u{1b}[0m\u{1b}[H\u{1b}[2J");
    }

    fn shorten(&self, gap: Millis) -> Millis {
        self.max_gap.map_or(gap, |most| gap.min(most))
    }

    /// Lets time pass, in which only what has a clock moves.
    fn wait(&mut self, from: Millis, gap: Millis) {
        let until = self.now.plus(gap);
        for nth in 1..=(gap.0 / TICK_INTERVAL.0).min(MAX_TICKS) {
            let passed = Millis(nth * TICK_INTERVAL.0);
            if passed >= gap {
                break;
            }
            if self.screen.tick(from.plus(passed)) {
                self.now = until.since(gap).plus(passed);
                self.draw();
            }
        }
        self.now = until;
    }

    fn fold(&mut self, envelope: &Envelope) {
        self.screen.fold(envelope);
        self.screen.offer_approval();
        match &envelope.event {
            AgentEvent::UserMessage { text, .. } => {
                self.prompts += 1;
                self.line("m", &format!("Prompt {}: {}", self.prompts, one_line(text, 60)));
            }
            AgentEvent::ToolCallReady { name, .. } => self.line("m", &format!("Call: {}", one_line(name, 60))),
            _ => {}
        }
    }

    /// Draws a frame, unless the next is so near that it would not be seen.
    fn draw_if_due(&mut self, next: Millis, is_last: bool) {
        let is_old = self.drawn.is_none_or(|drawn| self.now.since(drawn) >= FRAME_INTERVAL);
        if is_last || is_old || next >= FRAME_INTERVAL {
            self.draw();
        }
    }

    fn draw(&mut self) {
        self.drawn = Some(self.now);
        let frame = self.screen.draw().clone();
        let changes = changes(&self.last, &frame);
        if !changes.is_empty() {
            self.line("o", &changes);
            self.last = frame;
        }
    }

    /// Writes a line: how long after the one before, its kind, its data.
    fn line(&mut self, kind: &str, data: &str) {
        let interval = self.now.since(std::mem::replace(&mut self.written, self.now)).as_secs_f64();
        let _ = writeln!(self.out, "[{interval:.3}, \"{kind}\", {}]", json!(data));
    }

    fn finish(mut self) -> String {
        self.line("o", "\u{1b}[?25h");
        self.line("x", "0");
        self.out
    }
}

/// Returns which events begin a run of the program, after those that close what a cut left open.
fn run_starts(events: &[&Envelope]) -> HashSet<usize> {
    let mut starts = HashSet::new();
    for (index, envelope) in events.iter().enumerate() {
        if matches!(envelope.event, AgentEvent::SessionOpened { .. }) {
            let is_near = |event: &&&Envelope| event.at.plus(MAX_RUN_START) >= envelope.at;
            let before = events.iter().take(index).rev().take_while(is_near).count();
            starts.insert(index - before);
        }
    }
    starts
}

/// Returns what a terminal is told to make a frame of the one before.
fn changes(last: &Buffer, frame: &Buffer) -> String {
    let mut out = String::new();
    for (y, (old, new)) in rows(last).zip(rows(frame)).enumerate() {
        let Some((from, until)) = changed_cells(&old, &new) else { continue };
        let mut style = Style::default();
        let mut column = None;
        for (x, cell) in new.get(from..until).unwrap_or_default() {
            if column != Some(*x) {
                let _ = write!(out, "\u{1b}[{};{}H", y + 1, x + 1);
            }
            if cell.style() != style {
                style = cell.style();
                let _ = write!(out, "\u{1b}[0{}m", theme::escape_codes(style));
            }
            out.push_str(cell.symbol());
            // How far others move for a wide one is not sure.
            column = (str_width(cell.symbol()) == 1).then_some(x + 1);
        }
        if style != Style::default() {
            out.push_str("\u{1b}[0m");
        }
    }
    out
}

/// Returns which cells of a row are to be written: all where any is wide, for halves of those would stay.
fn changed_cells(old: &[(u16, &Cell)], new: &[(u16, &Cell)]) -> Option<(usize, usize)> {
    if old == new {
        return None;
    }
    let is_wide = |row: &[(u16, &Cell)]| row.iter().any(|(_, cell)| str_width(cell.symbol()) != 1);
    if is_wide(old) || is_wide(new) {
        return Some((0, new.len()));
    }
    let differs = |(old, new): (&(u16, &Cell), &(u16, &Cell))| old != new;
    let from = old.iter().zip(new).position(differs)?;
    let until = new.len() - old.iter().rev().zip(new.iter().rev()).position(differs)?;
    Some((from, until))
}

fn hex((r, g, b): (u8, u8, u8)) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

#[cfg(test)]
mod tests;
