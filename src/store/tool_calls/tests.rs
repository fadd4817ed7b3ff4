use super::super::usage::UsageStats;
use super::*;
use crate::event::{CallOutput, OutputStream, TurnOutcome};
use crate::testkit::events::{call_ready, call_started, shell_approval, turn_finished};

fn fold(events: &[(u64, AgentEvent)]) -> ToolCalls {
    let (mut board, mut transcript) = (ToolCalls::default(), Transcript::default());
    for (at, event) in events {
        let item = event.call().and_then(|call| board.get(call)).map(|call| call.item);
        transcript.on_event(Millis(*at), event, item, &UsageStats::default());
        board.on_event(Millis(*at), event, &transcript);
    }
    board
}

fn started() -> AgentEvent {
    call_started("c", "m", Some("shell"))
}

fn ready() -> AgentEvent {
    call_ready("c", "shell", "{\"a\":1}")
}

fn ask() -> ApprovalRequest {
    shell_approval("ls")
}

fn output(text: &str) -> AgentEvent {
    AgentEvent::ToolOutput { call: "c".into(), stream: OutputStream::Stdout, text: text.into() }
}

fn finished(outcome: CallOutcome, output: CallOutput, took: Option<u64>) -> AgentEvent {
    AgentEvent::ToolCallFinished { call: "c".into(), outcome, output, duration: took.map(Millis) }
}

#[test]
fn a_long_session_pays_for_a_call_what_every_call_needs() {
    assert!(size_of::<ToolCall>() <= 152, "{}", size_of::<ToolCall>());
}

#[test]
fn a_call_goes_from_writing_to_done() {
    let mut events = vec![
        (10, started()),
        (20, AgentEvent::ToolArgsDelta { call: "c".into(), json: "{\"a\"".into() }),
        (30, ready()),
        (31, AgentEvent::ApprovalRequested { call: "c".into(), request: ask() }),
        (90, AgentEvent::ApprovalResolved { call: "c".into(), decision: Decision::Once, by: DecidedBy::Person }),
        (95, output("live")),
        (100, finished(CallOutcome::Ok, CallOutput::from_text("final"), None)),
    ];
    let states: Vec<_> = (1..=events.len()).map(|n| fold(&events[..n]).calls()[0].state).collect();
    assert_eq!(
        states,
        [
            CallState::Writing,
            CallState::Writing,
            CallState::Running,
            CallState::AwaitingApproval,
            CallState::Running,
            CallState::Running,
            CallState::Done(CallOutcome::Ok)
        ]
    );
    let expected = ToolCall {
        id: "c".into(),
        item: ItemId(0),
        name: "shell".into(),
        args: "{\"a\":1}".into(),
        args_rev: 3,
        state: CallState::Done(CallOutcome::Ok),
        executed_by: ExecutedBy::Client,
        output: "final".into(),
        output_bytes: 5,
        at: Millis(10),
        running_since: Some(Millis(90)),
        duration: Some(Millis(10)),
        is_foreign: false,
        output_view: None,
        rare: Some(Box::new(RareParts {
            approval_request: Some(ask()),
            decision: Some((Decision::Once, DecidedBy::Person)),
            ..RareParts::default()
        })),
    };
    assert_eq!(fold(&events).calls().iter().collect::<Vec<_>>(), [&expected]);
    assert_eq!(fold(&events[..4]).pending().count(), 1);
    events.push((200, finished(CallOutcome::Failed, CallOutput::from_text("later"), Some(7))));
    let later = fold(&events);
    assert_eq!(
        (later.calls()[0].state, later.calls()[0].output.as_str(), later.calls()[0].duration),
        (CallState::Done(CallOutcome::Failed), "later", Some(Millis(7)))
    );
}

#[test]
fn what_was_seen_live_stays_when_the_end_brings_no_text() {
    let board = fold(&[
        (0, ready()),
        (1, output("so far")),
        (2, finished(CallOutcome::Cancelled, CallOutput::default(), None)),
    ]);
    assert_eq!((board.calls()[0].output.as_str(), board.calls()[0].output_bytes), ("so far", 6));
}

#[test]
fn calls_left_open_by_a_turn_are_unknown() {
    let end = turn_finished("t", TurnOutcome::Interrupted);
    let board = fold(&[(5, ready()), (9, end)]);
    assert_eq!(
        (board.calls()[0].state, board.calls()[0].duration),
        (CallState::Done(CallOutcome::Unknown), Some(Millis(4)))
    );
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
    assert!(call.output.len() <= MAX_OUTPUT_BYTES * 5 / 4 + 64, "{}", call.output.len());
    assert!(call.output.starts_with("FIRST") && call.output.ends_with("LAST"));
    assert_eq!(call.output.matches("bytes left out").count(), 1);
    assert_eq!(call.output_bytes, 9 + 60_000 * 16);
}

#[test]
fn cutting_never_splits_a_character() {
    let board = fold(&[(0, ready()), (0, output(&"é漢x".repeat(40_000)))]);
    assert!(board.calls()[0].output.contains("bytes left out"));
}
