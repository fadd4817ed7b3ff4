use super::super::usage::Meters;
use super::*;
use crate::event::{Output, OutputStream, Risk, TurnEnd};

fn fold(events: &[(u64, AgentEvent)]) -> ToolBoard {
    let (mut board, mut transcript) = (ToolBoard::default(), Transcript::default());
    for (at, event) in events {
        transcript.on(Millis(*at), event, &Meters::default());
        board.on(Millis(*at), event, &transcript);
    }
    board
}

fn started() -> AgentEvent {
    AgentEvent::ToolCallStarted {
        call: "c".into(),
        message: "m".into(),
        name: Some("shell".into()),
        parent: None,
        ran_by: RanBy::Us,
    }
}

fn ready() -> AgentEvent {
    AgentEvent::ToolCallReady { call: "c".into(), name: "shell".into(), args: "{\"a\":1}".into(), carry: None }
}

fn ask() -> Ask {
    Ask {
        tool: "shell".into(),
        risk: Risk::Execute,
        subject: "ls".into(),
        folder: "/".into(),
        detail: String::new(),
        pattern: None,
        expires: None,
    }
}

fn output(text: &str) -> AgentEvent {
    AgentEvent::ToolOutput { call: "c".into(), stream: OutputStream::Stdout, text: text.into() }
}

fn finished(outcome: Outcome, output: Output, took: Option<u64>) -> AgentEvent {
    AgentEvent::ToolCallFinished { call: "c".into(), outcome, output, took: took.map(Millis) }
}

#[test]
fn a_call_goes_from_writing_to_done() {
    let mut events = vec![
        (10, started()),
        (20, AgentEvent::ToolArgsDelta { call: "c".into(), json: "{\"a\"".into() }),
        (30, ready()),
        (31, AgentEvent::ApprovalRequested { call: "c".into(), ask: ask() }),
        (90, AgentEvent::ApprovalResolved { call: "c".into(), decision: Decision::Once, by: DecidedBy::Person }),
        (95, output("live")),
        (100, finished(Outcome::Ok, Output::of("final"), None)),
    ];
    let states: Vec<_> = (1..=events.len()).map(|n| fold(&events[..n]).calls()[0].state).collect();
    assert_eq!(
        states,
        [
            CallState::Writing,
            CallState::Writing,
            CallState::Running,
            CallState::Waiting,
            CallState::Running,
            CallState::Running,
            CallState::Done(Outcome::Ok)
        ]
    );
    let expected = Call {
        id: "c".into(),
        item: ItemId(0),
        name: "shell".into(),
        args: "{\"a\":1}".into(),
        args_rev: 3,
        state: CallState::Done(Outcome::Ok),
        ran_by: RanBy::Us,
        ask: Some(ask()),
        decision: Some((Decision::Once, DecidedBy::Person)),
        output: "final".into(),
        output_bytes: 5,
        output_file: None,
        output_kept: None,
        at: Millis(10),
        ran_at: Some(Millis(90)),
        took: Some(Millis(10)),
        foreign: false,
        sources: Vec::new(),
    };
    assert_eq!(fold(&events).calls(), [expected]);
    assert_eq!(fold(&events[..4]).pending().count(), 1);
    events.push((200, finished(Outcome::Failed, Output::of("later"), Some(7))));
    let later = fold(&events);
    assert_eq!(
        (later.calls()[0].state, later.calls()[0].output.as_str(), later.calls()[0].took),
        (CallState::Done(Outcome::Failed), "later", Some(Millis(7)))
    );
}

#[test]
fn what_was_seen_live_stays_when_the_end_brings_no_text() {
    let board =
        fold(&[(0, ready()), (1, output("so far")), (2, finished(Outcome::Cancelled, Output::default(), None))]);
    assert_eq!((board.calls()[0].output.as_str(), board.calls()[0].output_bytes), ("so far", 6));
}

#[test]
fn calls_left_open_by_a_turn_are_unknown() {
    let end = AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Interrupted };
    let board = fold(&[(5, ready()), (9, end)]);
    assert_eq!((board.calls()[0].state, board.calls()[0].took), (CallState::Done(Outcome::Unknown), Some(Millis(4))));
    assert_eq!(board.open().count(), 0);
}

#[test]
fn long_output_keeps_head_and_tail() {
    let line = "0123456789abcde\n";
    let mut events = vec![(0, ready()), (0, output("FIRST"))];
    events.extend(std::iter::repeat_n((1, output(line)), 60_000));
    events.push((1, output("LAST")));
    let board = fold(&events);
    let call = &board.calls()[0];
    assert!(call.output.len() <= OUTPUT_CAP * 5 / 4 + 64, "{}", call.output.len());
    assert!(call.output.starts_with("FIRST") && call.output.ends_with("LAST"));
    assert_eq!(call.output.matches("bytes left out").count(), 1);
    assert_eq!(call.output_bytes, 9 + 60_000 * 16);
}

#[test]
fn cutting_never_splits_a_character() {
    let board = fold(&[(0, ready()), (0, output(&"é漢x".repeat(40_000)))]);
    assert!(board.calls()[0].output.contains("bytes left out"));
}
