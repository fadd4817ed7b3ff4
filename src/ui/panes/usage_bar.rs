//! One row of meters: context fill, tokens, cost, time to first token, decode rate, elapsed time.
//!
//! A guess is marked `~`; what is not known says so and is never shown as zero. Sums of a session whose earlier turns
//! are still being read are marked `≥`.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::status_parts::StatusPart;
use crate::ui::format;
use crate::ui::layout::Place;
use crate::ui::paint::{Segment, draw_segments};
use crate::ui::pane::{PaneScreen, PaneView};
use crate::ui::theme::Role;

/// From this fill on the gauge warns, and from the second on it is red.
const HIGH_FILL: f64 = 0.75;
const CRITICAL_FILL: f64 = 0.92;
/// Where none of these is wanted there is no such row.
const METERS: [StatusPart; 6] = [
    StatusPart::Context,
    StatusPart::Tokens,
    StatusPart::Cost,
    StatusPart::FirstToken,
    StatusPart::Rate,
    StatusPart::Time,
];
/// Below this width words are short.
const NARROW_COLUMNS: u16 = 50;

#[derive(Clone, Copy, Debug, Default)]
pub struct UsageBar;

impl PaneView for UsageBar {
    fn place(&mut self, screen: &PaneScreen<'_>) -> Place {
        let has_any = METERS.into_iter().any(|part| screen.store.status_parts.has(part));
        Place::Rows(u16::from(screen.area.height >= 8 && has_any))
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        if area.width >= 3 && area.height > 0 {
            let inner = Rect { x: area.x + 1, width: area.width - 2, ..area };
            draw_segments(meters(screen.store, area.width), screen.theme, inner, buf);
        }
        None
    }
}

fn meters(store: &Store, width: u16) -> Vec<Segment> {
    let (usage, parts) = (&store.usage, store.status_parts);
    let mut all = Vec::new();
    if parts.has(StatusPart::Context) {
        all.push(context(store, width));
    }
    let session = usage.session();
    let mark = match (store.history_progress, session.estimated) {
        (Some(_), _) => "≥",
        (None, true) => "~",
        (None, false) => "",
    };
    // Something came out, so something went in, and nobody has said yet how much.
    let unsaid = session.input_tokens == 0 && session.output_tokens > 0;
    let input = if unsaid { "–".into() } else { format!("{mark}{}", format::count(session.input_tokens)) };
    if parts.has(StatusPart::Tokens) {
        all.push(Segment {
            drop_rank: 1,
            parts: vec![
                ("↑".into(), Role::Dim),
                (input, Role::Text),
                (" ↓".into(), Role::Dim),
                (format!("{mark}{}", format::count(session.output_tokens)), Role::Text),
            ],
        });
    }
    if parts.has(StatusPart::Cost) {
        all.push(match usage.cost() {
            Some(0.0) => Segment::new(3, format::money(0.0), Role::Text),
            Some(cost) => Segment::new(3, format!("{mark}{}", format::money(cost)), Role::Text),
            None => Segment::new(3, if width < NARROW_COLUMNS { "$?" } else { "cost unknown" }, Role::Dim),
        });
    }
    if let Some(saved) = usage.saved_cost().filter(|_| parts.has(StatusPart::Cost)) {
        // By the server, for all its clients: who runs it wants to know.
        all.push(Segment {
            drop_rank: 7,
            parts: vec![("server saved ".into(), Role::Dim), (format::money(saved), Role::Text)],
        });
    }
    if let Some(first) = usage.first_token().filter(|_| parts.has(StatusPart::FirstToken)) {
        all.push(Segment {
            drop_rank: 6,
            parts: vec![("first ".into(), Role::Dim), (format::duration(first), Role::Text)],
        });
    }
    if let Some(rate) = usage.rate().filter(|_| parts.has(StatusPart::Rate)) {
        let mark = if usage.turn().estimated { "~" } else { "" };
        all.push(Segment {
            drop_rank: 5,
            parts: vec![
                (format!("{mark}{}", format::count(rate.round() as u64)), Role::Text),
                (" tok/s".into(), Role::Dim),
            ],
        });
    }
    // A clock that stands is not shown.
    let elapsed = usage.elapsed(store.session.now).filter(|_| parts.has(StatusPart::Time));
    if let Some(elapsed) = elapsed.filter(|_| !store.waits_only_for_user()) {
        let idle = store.session.phase.is_idle();
        let text = if idle { format::duration(elapsed) } else { format::running_duration(elapsed) };
        all.push(Segment { drop_rank: 2, parts: vec![(text, if idle { Role::Dim } else { Role::Accent })] });
    }
    all
}

fn context(store: &Store, width: u16) -> Segment {
    let tokens = store.usage.context();
    let mark = if store.usage.is_context_estimated() { "~" } else { "" };
    let Some(window) = store.usage.context_window().filter(|window| *window > 0) else {
        let name = if width < NARROW_COLUMNS { "ctx" } else { "context" };
        let tokens = tokens.map_or("–".into(), |tokens| format!("{mark}{}", format::count(tokens)));
        let text = format!("{name} {tokens}");
        return Segment::new(0, text, Role::Dim);
    };
    let fill = tokens.unwrap_or(0) as f64 / window as f64;
    let role = match fill {
        fill if fill >= CRITICAL_FILL => Role::Error,
        fill if fill >= HIGH_FILL => Role::Warn,
        _ => Role::Filled,
    };
    let cells = match width {
        0..NARROW_COLUMNS => 5,
        NARROW_COLUMNS..100 => 8,
        _ => 12,
    };
    // Anything at all shows as one cell, and only a full window fills all.
    let filled = ((fill * f64::from(cells)).floor() as u16).min(cells).max(u16::from(fill > 0.0));
    let bar = |n: u16, symbol: &str| symbol.repeat(usize::from(n));
    let percent =
        if fill > 0.0 && fill < 0.01 { "<1%".into() } else { format!("{mark}{:.0}%", (fill * 100.0).floor()) };
    let mut parts = vec![
        (bar(filled, "━"), role),
        (bar(cells - filled, "─"), Role::Border),
        (format!(" {percent}"), if role == Role::Filled { Role::Text } else { role }),
    ];
    if width >= 70 {
        parts.push((format!(" of {}", format::count(window)), Role::Dim));
    }
    Segment { drop_rank: 0, parts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentEvent, Envelope, Millis, Role as Speaker, Seq, TurnOutcome, Usage, UsageScope};
    use crate::store::msg::Msg;
    use crate::testkit::events::{turn_finished, turn_started};
    use crate::ui::key_hints::KeyHints;
    use crate::ui::layout::Layout;
    use crate::ui::theme::Theme;

    fn bar(width: u16) -> String {
        let mut store = Store::default();
        let usage = Usage { input_tokens: 81_234, output_tokens: 12_345, estimated: true, ..Usage::default() };
        let events = [
            turn_started("t1"),
            AgentEvent::MessageStarted { message: "m1".into(), role: Speaker::Assistant, parent: None },
            AgentEvent::UsageReported { scope: UsageScope::Turn, usage },
            turn_finished("t1", TurnOutcome::Completed),
        ];
        for (seq, event) in (1..).zip(events) {
            let envelope = Envelope { seq: Seq(seq), at: Millis(seq * 8_000), event };
            store.update(Msg::Event(envelope), &mut Vec::new());
        }
        row(&store, width)
    }

    fn row(store: &Store, width: u16) -> String {
        let area = Rect::new(0, 0, width, 1);
        let mut buf = Buffer::empty(area);
        let (key_hints, layout) = (KeyHints::default(), Layout::default());
        let screen = PaneScreen { store, key_hints: &key_hints, theme: Theme::default(), area, layout: &layout };
        UsageBar.draw(&screen, area, &mut buf);
        (0..width).map(|x| buf[(x, 0)].symbol()).collect::<String>().trim().to_owned()
    }

    #[test]
    fn what_a_server_saved_is_told_where_there_is_room() {
        let mut store = Store::default();
        let data = serde_json::json!({"requests": 6, "tokens": 637, "saved_usd": 0.5, "against": "B"});
        let on = crate::event::AnnotationTarget::Turn("t1".into());
        let event = AgentEvent::Annotation { on, annotation: crate::event::Annotation::Totals(data) };
        store.update(Msg::Event(Envelope { seq: Seq(1), at: Millis(1), event }), &mut Vec::new());
        assert!(row(&store, 100).contains("server saved $0.50"), "{}", row(&store, 100));
        assert!(!row(&store, 40).contains("saved"), "{}", row(&store, 40));
    }

    #[test]
    fn sums_are_marked_while_earlier_turns_are_being_read() {
        let mut store = Store::default();
        store.start_at(Seq(100));
        let usage = Usage { input_tokens: 81_234, output_tokens: 12_345, ..Usage::default() };
        for (seq, event) in (101..).zip([
            turn_started("t1"),
            AgentEvent::UsageReported { scope: UsageScope::Turn, usage },
            turn_finished("t1", TurnOutcome::Completed),
        ]) {
            store.update(Msg::Event(Envelope { seq: Seq(seq), at: Millis(seq), event }), &mut Vec::new());
        }
        assert!(row(&store, 80).contains("↑≥81k ↓≥12k"), "{}", row(&store, 80));
        store.history_progress = None;
        assert!(row(&store, 80).contains("↑81k ↓12k"), "{}", row(&store, 80));
    }

    #[test]
    fn a_guess_is_marked_and_an_unknown_cost_said_at_any_width() {
        assert_eq!(bar(80), "context ~93k · ↑~81k ↓~12k · cost unknown · 24s");
        assert_eq!(bar(40), "ctx ~93k · ↑~81k ↓~12k · $? · 24s");
    }
}
