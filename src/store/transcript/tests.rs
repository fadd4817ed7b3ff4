use super::*;
use crate::event::{Fault, FaultKind, NoticeCode, Usage};
use crate::store::tool_calls::ToolCalls;
use crate::testkit::events::{
    call_started, message_finished, message_started as message, text_delta as text, turn_finished, turn_started,
};

fn fold(events: &[(u64, AgentEvent)]) -> Transcript {
    let mut transcript = Transcript::default();
    let (mut meters, mut calls) = (UsageStats::default(), ToolCalls::default());
    for (at, event) in events {
        meters.on_event(Millis(*at), event);
        let item = event.call().and_then(|call| calls.get(call)).map(|call| call.item);
        transcript.on_event(Millis(*at), event, item, &meters);
        calls.on_event(Millis(*at), event, &transcript);
    }
    transcript
}

fn kinds(transcript: &Transcript) -> Vec<ItemKind<'_>> {
    transcript.items().iter().map(|item| item.kind).collect()
}

fn thought(message: &str, text: &str) -> AgentEvent {
    AgentEvent::ReasoningDelta { message: message.into(), text: text.into() }
}

fn finished(message: &str, full: Option<&str>) -> AgentEvent {
    AgentEvent::MessageFinished {
        message: message.into(),
        finish_reason: FinishReason::End,
        full_text: full.map(Into::into),
        provider_metadata: None,
    }
}

fn call(call: &str, message: &str) -> AgentEvent {
    call_started(call, message, None)
}

fn answer(text: &str, open: bool, stop: Option<FinishReason>) -> ItemKind<'_> {
    ItemKind::Answer { text, is_refusal: false, open, finish_reason: stop }
}

#[test]
fn runs_of_one_voice_become_items() {
    let transcript = fold(&[
        (0, message("m")),
        (10, thought("m", "let me ")),
        (20, thought("m", "see")),
        (30, text("m", "It ")),
        (40, text("m", "is")),
        (50, call("c", "m")),
        (60, text("m", "so")),
        (70, finished("m", None)),
    ]);
    assert_eq!(
        kinds(&transcript),
        [
            ItemKind::Thinking { text: "let me see", open: false, duration: Some(Millis(20)) },
            answer("It is", false, None),
            ItemKind::Call { call: &"c".into() },
            answer("so", false, Some(FinishReason::End)),
        ]
    );
}

#[test]
fn a_notice_does_not_cut_a_run() {
    let notice = AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Retry, text: "again".into() };
    let transcript = fold(&[(0, message("m")), (0, text("m", "a")), (0, notice), (0, text("m", "b"))]);
    assert_eq!(kinds(&transcript)[0], answer("ab", true, None));
}

#[test]
fn every_delta_grows_the_revision_and_keeps_the_id() {
    let mut events = vec![(0, message("m")), (0, text("m", "a"))];
    let transcript = fold(&events);
    let before = transcript.items().first().unwrap();
    events.push((0, text("m", "b")));
    let transcript = fold(&events);
    let after = transcript.items().first().unwrap();
    assert_eq!((after.id, after.rev), (before.id, before.rev + 1));
}

#[test]
fn empty_deltas_make_no_item() {
    assert_eq!(kinds(&fold(&[(0, message("m")), (0, text("m", "")), (0, finished("m", None))])), []);
}

#[test]
fn a_repeated_full_text_is_reconciled_and_never_appended() {
    let warn = ItemKind::Notice {
        level: NoticeLevel::Warn,
        code: &NoticeCode::Rewritten,
        text: "the final text differs from the streamed one; the final one is shown",
        count: 1,
    };
    let done = |text| answer(text, false, Some(FinishReason::End));
    let cases = [
        (vec!["ab", "c"], "abc", vec![done("abc")]),
        (vec![], "abc", vec![done("abc")]),
        (vec!["ab"], "abc", vec![done("abc")]),
        (vec!["abc"], "xyz", vec![done("xyz"), warn]),
        // It was reasoning, and is told as that.
        (vec!["abc"], "", vec![done("")]),
    ];
    for (streamed, full, expected) in cases {
        let mut events = vec![(0, message("m"))];
        events.extend(streamed.iter().map(|piece| (0, text("m", piece))));
        events.push((0, finished("m", Some(full))));
        assert_eq!(kinds(&fold(&events)), expected, "{streamed:?} then {full}");
    }
}

#[test]
fn a_full_text_over_several_runs_changes_only_what_differs() {
    let transcript = fold(&[
        (0, message("m")),
        (0, text("m", "one ")),
        (0, call("c", "m")),
        (0, text("m", "tw")),
        (0, finished("m", Some("one two"))),
    ]);
    let call = ItemKind::Call { call: &"c".into() };
    assert_eq!(kinds(&transcript), [answer("one ", false, None), call, answer("two", false, Some(FinishReason::End))]);
}

#[test]
fn a_call_has_one_item_whose_revision_follows_it() {
    let output =
        AgentEvent::ToolOutput { call: "c".into(), stream: crate::event::OutputStream::Stdout, text: "x".into() };
    let transcript = fold(&[(0, call("c", "m")), (1, output.clone()), (2, output)]);
    assert_eq!(transcript.items().len(), 1);
    let item = transcript.items().first().unwrap();
    assert_eq!(item.rev, 2);
    assert_eq!(item.kind, ItemKind::Call { call: &"c".into() });
}

#[test]
fn the_end_of_a_turn_says_what_it_took_and_closes_what_was_open() {
    let fault = Fault::new(FaultKind::Network, "the line broke");
    let transcript = fold(&[
        (100, turn_started("t")),
        (100, message("m")),
        (300, text("m", "12345678")),
        (900, turn_finished("t", TurnOutcome::Failed(fault.clone()))),
    ]);
    let usage = Usage { output_tokens: 2, estimated: true, ..Usage::default() };
    assert_eq!(
        kinds(&transcript),
        [
            answer("12345678", false, None),
            ItemKind::TurnSummary {
                outcome: &TurnOutcome::Failed(fault),
                duration: Millis(800),
                usage: Some(usage),
                first_token: Some(Millis(200)),
                cost: None,
            }
        ]
    );
}

#[test]
fn an_item_is_found_by_its_id() {
    let transcript = fold(&[(0, call("a", "m")), (0, call("b", "m"))]);
    for (index, item) in transcript.items().iter().enumerate() {
        assert_eq!(transcript.index_of(item.id), Some(index));
    }
    assert_eq!(transcript.index_of(ItemId(99)), None);
}

#[test]
fn a_message_that_was_cut_off_says_so_below_what_came_last_of_it() {
    let length = || message_finished("m", FinishReason::Length);
    let thought = AgentEvent::ReasoningDelta { message: "m".into(), text: "hm".into() };
    let told = |events: &[AgentEvent]| {
        let mut all = vec![(0, message("m"))];
        all.extend(events.iter().map(|event| (0, event.clone())));
        all.push((0, length()));
        match kinds(&fold(&all)).pop() {
            Some(ItemKind::Notice { text, .. }) => text.to_owned(),
            Some(ItemKind::Answer { finish_reason: stop, .. }) => format!("{stop:?}"),
            other => format!("{other:?}"),
        }
    };
    assert_eq!(told(&[text("m", "half")]), "Some(Length)", "the answer itself shows it");
    assert!(told(&[text("m", "now:"), call("c", "m")]).starts_with("a call was cut off"));
    assert!(told(&[thought]).contains("while thinking"));
    assert!(told(&[]).starts_with("no answer"));
}

#[test]
fn an_answer_that_was_declined_is_told_once() {
    let refused = message_finished("m", FinishReason::Refused);
    let notice = AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Refused, text: "because".into() };
    let texts = |transcript: &Transcript| -> Vec<String> {
        let text = |item: TranscriptItem<'_>| match item.kind {
            ItemKind::Notice { text, count, .. } => Some(format!("{text} {count}")),
            _ => None,
        };
        transcript.items().iter().filter_map(text).collect()
    };
    assert_eq!(texts(&fold(&[(0, message("m")), (0, notice), (0, refused.clone())])), ["because 1"]);
    assert_eq!(
        texts(&fold(&[(0, message("m")), (0, refused)])),
        ["no answer: the model or a filter declined to give one 1"]
    );
}
