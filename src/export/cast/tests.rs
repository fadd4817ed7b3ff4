use serde_json::Value;

use super::*;
use crate::cli::FrameFormat;
use crate::config::Config;
use crate::config::themes::ThemeFolder;
use crate::event::{CallOutcome, FinishReason, Seq, TurnOutcome};
use crate::testkit::events::{
    call_finished, call_ready, call_started, message_finished, message_started, opened, text_delta, turn_finished,
    turn_started, user_message,
};

const SIZE: (u16, u16) = (60, 16);

fn screen() -> SavedScreen {
    SavedScreen::new(&Config::default(), &ThemeFolder("/nonexistent".into()), SIZE)
}

fn facts() -> SessionFacts {
    SessionFacts { id: "s".into(), folder: "/".into(), started_at: 1_795_204_274_395, title: None }
}

fn turn(at: u64, wide: &str) -> Vec<Envelope> {
    let events = [
        opened(),
        turn_started("t1"),
        user_message("u1", "Say 漢字 \u{1b}]0;x\u{7}\u{1b}[2J please"),
        message_started("m1"),
        text_delta("m1", &format!("Wide: 漢字, {wide} and *slanted*.")),
        text_delta("m1", "\n\n```rust\nfn main() {}\n```\n"),
        call_started("c1", "m1", Some("list_dir")),
        call_ready("c1", "list_dir", "{}"),
        message_finished("m1", FinishReason::ToolCalls),
        call_finished("c1", CallOutcome::Ok, "a\nb"),
        turn_finished("t1", TurnOutcome::Completed),
    ];
    let envelope = |(event, nth): (AgentEvent, u64)| Envelope { seq: Seq(nth), at: Millis(at + nth * 400), event };
    events.into_iter().zip(1..).map(envelope).collect()
}

fn recorded(events: &[Envelope], max_gap: Option<Millis>) -> Vec<Value> {
    let events: Vec<&Envelope> = events.iter().collect();
    let text = write(&facts(), Some("A \u{1b}[31mtitle"), &events, screen(), max_gap);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn seconds(lines: &[Value]) -> f64 {
    lines.iter().skip(1).map(|line| line[0].as_f64().unwrap()).sum()
}

/// Returns what a screen shows in the end, as it is drawn.
fn drawn(events: &[Envelope]) -> String {
    let mut last = screen();
    for event in events {
        last.fold(event);
        last.offer_approval();
    }
    last.to_text(FrameFormat::Text).trim_end().to_owned()
}

fn output(lines: &[Value]) -> impl Iterator<Item = &str> {
    lines.iter().skip(1).filter(|line| line[1] == "o").map(|line| line[2].as_str().unwrap())
}

#[test]
fn a_terminal_that_plays_it_shows_the_last_screen() {
    let events = turn(0, "🚀");
    let lines = recorded(&events, None);
    let cells = |count| std::num::NonZero::new(count).unwrap();
    let mut terminal = vt100::Parser::new(cells(SIZE.1), cells(SIZE.0), 0);
    output(&lines).for_each(|text| terminal.process(text.as_bytes()));
    let shown: Vec<String> = terminal.screen().rows(0, SIZE.0).map(|row| row.trim_end().to_owned()).collect();
    assert_eq!(shown.join("\n").trim_end(), drawn(&events));
    assert!(drawn(&events).contains("漢字"));
}

/// The terminal of asciinema's own players. It keeps one character a cell.
#[test]
fn asciinemas_terminal_shows_the_last_screen() {
    let events = turn(0, "漢");
    let lines = recorded(&events, None);
    let mut terminal = avt::Terminal::new(SIZE.0.into(), SIZE.1.into()).unwrap();
    output(&lines).for_each(|text| terminal.feed(text));
    let shown: Vec<String> = terminal.screen().visible_lines().map(|line| line.text().trim_end().to_owned()).collect();
    assert_eq!(shown.join("\n").trim_end(), drawn(&events));
}

#[test]
fn the_header_and_the_markers_are_those_of_the_format() {
    let lines = recorded(&turn(0, ""), None);
    let header = &lines[0];
    assert_eq!(
        (&header["version"], &header["term"]["cols"], &header["term"]["rows"]),
        (&3.into(), &60.into(), &16.into())
    );
    assert_eq!((&header["title"], &header["timestamp"]), (&"A title".into(), &1_795_204_274_u64.into()));
    assert_eq!(header["term"]["theme"]["palette"].as_str().unwrap().split(':').count(), 16);
    let markers: Vec<&Value> = lines.iter().filter(|line| line[1] == "m").map(|line| &line[2]).collect();
    assert_eq!(markers, ["Prompt 1: Say 漢字 please", "Call: list_dir"]);
    assert_eq!(lines.last().unwrap()[1], "x");
}

#[test]
fn pauses_are_the_sessions_own_unless_they_are_shortened_or_nobody_was_there() {
    let mut events = turn(0, "");
    assert!((seconds(&recorded(&events, None)) - 4.0).abs() < 1e-6);
    assert!((seconds(&recorded(&events, Some(Millis(100)))) - 1.0).abs() < 1e-6);
    let later = turn(86_400_000, "").into_iter().map(|event| Envelope { seq: Seq(event.seq.0 + 11), ..event });
    events.extend(later);
    assert!((seconds(&recorded(&events, None)) - 10.0).abs() < 1e-6, "a day is two seconds");
}
