//! Every encoder's output is understood by its decoder: for the demo session, the recordings, and any legal turn.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub(crate) mod made_turns;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jarvis_tui::dialect::poe::encode::PoeEncoder as Poe;
use jarvis_tui::dialect::warp::encode::WarpEncoder as Warp;
use jarvis_tui::dialect::{DIALECTS, DecodeContext, Encode, KeepAlive, SseFrame};
use jarvis_tui::event::grammar::{Sealer, check};
use jarvis_tui::event::{
    AgentEvent, CallId, CallOutcome, CallOutput, Envelope, ExecutedBy, Fault, FaultKind, FinishReason, MessageId,
    Millis, NoticeCode, NoticeLevel, OutputStream, Role, Seq, TextKind, TurnOutcome, Usage, UsageScope,
};
use jarvis_tui::net::request::Framing;
use jarvis_tui::net::sse::FrameSplitter;
use proptest::prelude::*;
use serde_json::Value;

use crate::replies::decode_reply;
use crate::testkit::events::{Opened, turn_finished, turn_started};
use made_turns::{acts, ends, says_all_again, turn};

/// An encoder, and what its dialect can't express.
struct EncoderCase {
    name: &'static str,
    decoder: &'static str,
    framing: Framing,
    encode: fn() -> Box<dyn Encode>,
    client_tools: bool,
    reasoning: bool,
    /// Refusals are distinguished from other text.
    refusals: bool,
}

const ENCODERS: &[EncoderCase] = &[
    EncoderCase {
        name: "poe",
        decoder: "poe",
        framing: Framing::Sse,
        encode: || Box::new(Poe::new("20261120-195114-7bbb", true, false)),
        client_tools: false,
        reasoning: true,
        refusals: true,
    },
    EncoderCase {
        name: "poe without its end",
        decoder: "poe",
        framing: Framing::Sse,
        encode: || Box::new(Poe::new("20261120-195114-7bbb", false, false)),
        client_tools: false,
        reasoning: true,
        refusals: true,
    },
    EncoderCase {
        name: "poe with the client's tools",
        decoder: "poe",
        framing: Framing::Sse,
        encode: || Box::new(Poe::new("20261120-195114-7bbb", true, true)),
        client_tools: true,
        reasoning: true,
        refusals: true,
    },
    EncoderCase {
        name: "warp",
        decoder: "warp",
        framing: Framing::Ndjson,
        encode: || Box::new(Warp::new(false)),
        client_tools: false,
        reasoning: false,
        refusals: false,
    },
    EncoderCase {
        name: "warp with the client's tools",
        decoder: "warp",
        framing: Framing::Ndjson,
        encode: || Box::new(Warp::new(true)),
        client_tools: true,
        reasoning: false,
        refusals: false,
    },
];

fn frames(encoder: &mut dyn Encode, events: &[AgentEvent]) -> Vec<SseFrame> {
    let mut out = Vec::new();
    encoder.start(&mut out);
    encoder.encode_event(&Envelope { seq: Seq(0), at: Millis(0), event: opened() }, &mut out);
    for (index, event) in events.iter().enumerate() {
        let seq = Seq(index as u64 + 1);
        encoder.encode_event(&Envelope { seq, at: Millis(seq.0 * 10), event: event.clone() }, &mut out);
    }
    encoder.finish(&mut out);
    out
}

fn bytes(frames: &[SseFrame], framing: Framing) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        match framing {
            Framing::Ndjson => frame.write_ndjson(&mut out),
            _ => frame.write_sse(&mut out),
        }
    }
    out
}

fn decode<'b>(spoken: &EncoderCase, chunks: impl IntoIterator<Item = &'b [u8]>) -> Vec<AgentEvent> {
    let (mut cutter, mut cut) = (FrameSplitter::new(spoken.framing), Vec::new());
    for chunk in chunks {
        cutter.push(chunk, &mut cut).expect("no frame of ours is refused");
    }
    cutter.finish(&mut cut);
    let dialect = DIALECTS.iter().find(|dialect| dialect.name == spoken.decoder).unwrap();
    decode_reply(&mut *(dialect.decode)(&DecodeContext::default()), &cut)
}

/// What a person would see of an answer.
#[derive(Clone, Debug, Default, PartialEq)]
struct SeenTurn {
    texts: Vec<String>,
    refusal: String,
    reasoning: String,
    calls: Vec<SeenCall>,
    tokens: Option<(u64, u64, u64, u64)>,
    retries: usize,
    stop: Option<FinishReason>,
    end: Option<TurnOutcome>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct SeenCall {
    name: String,
    args: String,
    outcome: Option<CallOutcome>,
    output: String,
    took: Option<u64>,
}

impl SeenTurn {
    fn of(events: &[AgentEvent]) -> Self {
        let mut seen = Self::default();
        let mut texts: Vec<(MessageId, String)> = Vec::new();
        let mut calls: Vec<(CallId, SeenCall)> = Vec::new();
        let mut others = Vec::new();
        let mut requests: Vec<(UsageScope, Usage)> = Vec::new();
        for event in events {
            match event.clone() {
                AgentEvent::MessageStarted { message, role, parent } => {
                    if role != Role::Assistant || parent.is_some() {
                        others.push(message);
                    } else {
                        texts.push((message, String::new()));
                    }
                }
                AgentEvent::TextDelta { message, text, kind } if !others.contains(&message) => {
                    if kind == TextKind::Refusal {
                        seen.refusal.push_str(&text);
                    }
                    texts.iter_mut().find(|(id, _)| *id == message).unwrap().1.push_str(&text);
                }
                AgentEvent::ReasoningDelta { message, text } if !others.contains(&message) => {
                    seen.reasoning.push_str(&text);
                }
                AgentEvent::MessageFinished { message, finish_reason: stop, full_text: full, .. }
                    if !others.contains(&message) =>
                {
                    seen.stop = Some(stop);
                    if let Some(full) = full {
                        texts.iter_mut().find(|(id, _)| *id == message).unwrap().1 = full;
                    }
                }
                AgentEvent::ToolCallStarted { call, name, .. } => {
                    calls.push((call, SeenCall { name: name.unwrap_or_default(), ..SeenCall::default() }));
                }
                AgentEvent::ToolArgsDelta { call, json } => {
                    calls.iter_mut().find(|(id, _)| *id == call).unwrap().1.args.push_str(&json);
                }
                AgentEvent::ToolCallReady { call, name, args, .. } => {
                    let known = &mut calls.iter_mut().find(|(id, _)| *id == call).unwrap().1;
                    (known.name, known.args) = (name, args);
                }
                AgentEvent::ToolCallFinished { call, outcome, output, duration: took } => {
                    let known = &mut calls.iter_mut().find(|(id, _)| *id == call).unwrap().1;
                    known.outcome = Some(outcome);
                    known.output = output.text;
                    known.took = took.map(|took| took.0).or(known.took);
                }
                // For one request the latest report counts.
                AgentEvent::UsageReported { scope, usage } => {
                    requests.retain(|(known, _)| *known != scope);
                    requests.push((scope, usage));
                }
                AgentEvent::Notice { code: NoticeCode::Retry | NoticeCode::Recoverable, .. } => {
                    seen.retries += 1;
                }
                AgentEvent::Notice { code, text, .. } => {
                    assert!(!matches!(code, NoticeCode::UnknownFrame | NoticeCode::Truncated), "{text}");
                }
                AgentEvent::TurnFinished { outcome: end, .. } => seen.end = Some(end),
                _ => {}
            }
        }
        seen.texts = texts.into_iter().map(|(_, text)| text).filter(|text| !text.is_empty()).collect();
        seen.calls = calls.into_iter().map(|(_, call)| call).collect();
        let sum = requests.into_iter().map(|(_, usage)| usage).reduce(Usage::plus).filter(|sum| sum.total() > 0);
        seen.tokens = sum.map(|sum| (sum.input_tokens, sum.output_tokens, sum.cached_tokens, sum.reasoning_tokens));
        seen
    }

    /// Drops what the dialect can't express.
    fn told_in(mut self, spoken: &EncoderCase) -> Self {
        let one = |texts: Vec<String>| if texts.is_empty() { texts } else { vec![texts.concat()] };
        // Messages are separated by the calls between them, others by an empty line. An answer does not begin with
        // white space.
        let glued = |text: String| text.split_whitespace().collect();
        self.texts = one(self.texts).into_iter().map(glued).filter(|text: &String| !text.is_empty()).collect();
        self.refusal = self.refusal.split_whitespace().collect();
        self.reasoning = self.reasoning.split_whitespace().collect();
        if !spoken.reasoning {
            self.reasoning.clear();
        }
        if !spoken.refusals {
            self.refusal.clear();
        }
        // A call without a name can't be encoded.
        self.calls.retain(|call| !call.name.is_empty());
        // Calls that got their name late come late.
        self.calls.sort_by(|a, b| a.name.cmp(&b.name));
        if spoken.client_tools {
            for call in &mut self.calls {
                *call = SeenCall { name: call.name.clone(), args: call.args.clone(), ..SeenCall::default() };
            }
        }
        // Only the last message's finish reason is encoded, and only a normal one; that message may be empty.
        self.stop = None;
        self.retries = self.retries.min(3);
        if let Some(TurnOutcome::Failed(fault)) = &mut self.end {
            // The decoder adds the source of the message, and cuts and trims it.
            fault.message.clear();
            fault.retry_after = None;
        }
        self
    }
}

fn assert_told(spoken: &EncoderCase, input: &[AgentEvent], events: &[AgentEvent], at: &str) {
    let (expected, understood) = (SeenTurn::of(input).told_in(spoken), SeenTurn::of(events).told_in(spoken));
    assert_eq!(expected, understood, "{at} in {}\n{input:#?}", spoken.name);
}

pub(crate) fn published(events: &[AgentEvent]) -> Vec<AgentEvent> {
    let mut run = vec![opened(), turn_started("t")];
    let (last, before) = events.split_last().expect("a turn ends");
    let AgentEvent::TurnFinished { outcome: end, .. } = last else { panic!("the last event is {last:?}") };
    run.extend_from_slice(before);
    let mut sealer = Sealer::new();
    for event in &run {
        let _ = sealer.observe(event);
    }
    run.extend(sealer.close_contents(end));
    run.push(last.clone());
    run
}

fn opened() -> AgentEvent {
    Opened { wall_ms: 1_795_204_274_400, ..Opened::default() }.event()
}

/// The turns of the demo session.
fn demo() -> Vec<Vec<AgentEvent>> {
    let log = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.jsonl")).unwrap();
    let mut turns: Vec<Vec<AgentEvent>> = Vec::new();
    for line in log.lines().skip(1) {
        let event = serde_json::from_str::<Envelope>(line).unwrap().event;
        if matches!(event, AgentEvent::TurnStarted { .. }) {
            turns.push(Vec::new());
        }
        if let Some(turn) = turns.last_mut() {
            turn.push(event);
        }
    }
    assert!(turns.len() > 5);
    turns
}

#[test]
fn the_demo_session_comes_through() {
    for spoken in ENCODERS.iter().filter(|spoken| !spoken.client_tools) {
        for (number, turn) in demo().iter().enumerate() {
            let wire = bytes(&frames(&mut *(spoken.encode)(), turn), spoken.framing);
            let events = decode(spoken, [&wire[..]]);
            assert_eq!(check(&published(&events)), [], "{number} in {}", spoken.name);
            assert_told(spoken, turn, &events, &format!("turn {number}"));
            let texts = |events: &[AgentEvent]| SeenTurn::of(events).texts;
            assert_eq!(texts(turn), texts(&events), "{number} in {}: message by message", spoken.name);
        }
    }
}

#[test]
fn it_does_not_matter_where_the_bytes_are_cut() {
    for spoken in ENCODERS.iter().filter(|spoken| !spoken.client_tools) {
        let turn = &demo()[0];
        let wire = bytes(&frames(&mut *(spoken.encode)(), turn), spoken.framing);
        let cut = |chunks: &mut dyn Iterator<Item = &[u8]>| {
            let (mut frames, mut out) = (FrameSplitter::new(spoken.framing), Vec::new());
            for chunk in chunks {
                frames.push(chunk, &mut out).unwrap();
            }
            frames.finish(&mut out);
            out
        };
        let whole = cut(&mut [&wire[..]].into_iter());
        assert_eq!(cut(&mut wire.chunks(1)), whole, "byte by byte in {}", spoken.name);
        for at in 0..wire.len() {
            let (head, tail) = wire.split_at(at);
            assert_eq!(cut(&mut [head, tail].into_iter()), whole, "cut at {at} in {}", spoken.name);
        }
    }
}

#[test]
fn who_comes_back_misses_nothing() {
    // Poe numbers its frames; frames without a number contain nothing that the answer needs.
    let turn = &demo()[2];
    let spoken = &ENCODERS[0];
    let all = frames(&mut *(spoken.encode)(), turn);
    let whole = SeenTurn::of(&decode_reply(
        &mut *(DIALECTS.iter().find(|d| d.name == "poe").unwrap().decode)(&DecodeContext::default()),
        &all,
    ));
    for cut in 0..all.len() {
        let mut decoder = (DIALECTS.iter().find(|d| d.name == "poe").unwrap().decode)(&DecodeContext::default());
        let mut decoded: Vec<SseFrame> = all[..cut].to_vec();
        let last = decoded.iter().rev().find_map(|frame| frame.id.clone());
        let again = frames(&mut *(spoken.encode)(), turn);
        let from = last.map_or(0, |last| again.iter().position(|frame| frame.id.as_ref() == Some(&last)).unwrap() + 1);
        decoded.extend_from_slice(&again[from..]);
        assert_eq!(SeenTurn::of(&decode_reply(&mut *decoder, &decoded)), whole, "cut at {cut}");
    }
}

#[test]
fn recordings_are_said_again() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut seen = 0;
    for (spoken, folder, ext) in [(&ENCODERS[0], "poe", "sse"), (&ENCODERS[3], "warp", "ndjson")] {
        for file in fs::read_dir(golden.join(folder)).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_none_or(|known| known != ext) {
                continue;
            }
            seen += 1;
            let recorded = decode(spoken, [&fs::read(&path).unwrap()[..]]);
            let events = published(&recorded)[2..].to_vec();
            // Only a format whose end replaces everything before it can revoke text.
            let takes_back = |event: &AgentEvent| matches!(event, AgentEvent::MessageFinished { full_text: Some(full), .. } if full.is_empty());
            if folder == "poe" && events.iter().any(takes_back) {
                continue;
            }
            // The model's requested calls are for the client's tools.
            let calls = events
                .iter()
                .any(|event| matches!(event, AgentEvent::ToolCallStarted { executed_by: ExecutedBy::Client, .. }));
            let spoken = if calls { &ENCODERS[if folder == "poe" { 2 } else { 4 }] } else { spoken };
            let wire = bytes(&frames(&mut *(spoken.encode)(), &events), spoken.framing);
            assert_told(spoken, &events, &decode(spoken, [&wire[..]]), &path.display().to_string());
        }
    }
    assert!(seen > 10, "the recordings were found");
}

#[test]
fn the_bytes_are_as_they_were() {
    let turn = &demo()[0];
    for (at, name) in [(0, "poe"), (3, "warp")] {
        let spoken = &ENCODERS[at];
        let wire = bytes(&frames(&mut *(spoken.encode)(), turn), spoken.framing);
        insta::assert_snapshot!(name, String::from_utf8(wire).unwrap());
    }
}

#[test]
fn a_poe_stream_counts_from_0_and_signs_of_life_have_no_number() {
    for _ in 0..2 {
        let all = frames(&mut *(ENCODERS[0].encode)(), &demo()[2]);
        let ids: Vec<u64> = all.iter().filter_map(|frame| frame.id.as_ref()?.parse().ok()).collect();
        assert_eq!(ids, (0..ids.len() as u64).collect::<Vec<_>>());
        assert_eq!((all[0].id.as_deref(), all[0].retry), (None, Some(3000)));
        assert_eq!(all.last().unwrap().event, "complete");
    }
    let KeepAlive::Frame(ping) = (ENCODERS[0].encode)().keep_alive() else { panic!("a ping is an event") };
    assert_eq!((ping.event.as_str(), ping.id), ("ping", None));
}

#[test]
fn engine_retries_are_recoverable_errors_and_the_end_is_one_that_is_not() {
    let retry =
        |n: u32| AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Retry, text: format!("no luck {n}") };
    let fault = Fault::new(FaultKind::RateLimited, "the model is busy");
    let mut events: Vec<AgentEvent> = (1..=5).map(retry).collect();
    events.push(turn_finished("t1", TurnOutcome::Failed(fault)));
    let all = frames(&mut *(ENCODERS[0].encode)(), &events);
    let errors: Vec<Value> = all
        .iter()
        .filter(|frame| frame.event == "error")
        .map(|frame| serde_json::from_str(&frame.data).unwrap())
        .collect();
    assert_eq!(errors.len(), 4, "the proxy's clients know three tries and an end");
    for (at, error) in errors[..3].iter().enumerate() {
        assert_eq!((error["recoverable"].as_bool(), error["attempt"].as_u64()), (Some(true), Some(at as u64 + 1)));
    }
    assert_eq!(errors[3]["recoverable"], false);
    assert_eq!(errors[3]["error"], "the model is busy");
    assert!(all.iter().all(|frame| frame.event != "error" || frame.id.is_none()));
    let (status, body) = {
        let mut encoder = (ENCODERS[0].encode)();
        let _ = frames(&mut *encoder, &events);
        encoder.full_response()
    };
    assert_eq!((status, body["error"].as_str()), (502, Some("the model is busy")));
}

#[test]
fn what_is_too_long_to_repeat_is_said_to_be() {
    let message = MessageId::from("m1");
    let mut events = vec![AgentEvent::MessageStarted { message: message.clone(), role: Role::Assistant, parent: None }];
    let piece = "ä".repeat(10_000);
    for _ in 0..200 {
        let (message, text) = (message.clone(), piece.clone());
        events.push(AgentEvent::TextDelta { message, text, kind: TextKind::Text });
    }
    events.push(AgentEvent::MessageFinished {
        message,
        finish_reason: FinishReason::End,
        full_text: None,
        provider_metadata: None,
    });
    events.push(turn_finished("t", TurnOutcome::Completed));
    for spoken in ENCODERS {
        let all = frames(&mut *(spoken.encode)(), &events);
        if spoken.name != "poe without its end" {
            let last: Value = serde_json::from_str(&all.last().unwrap().data).unwrap();
            assert_eq!(last["truncated"], true, "{}", spoken.name);
            assert!(all.last().unwrap().data.len() < 2 << 20);
        }
        let wire = bytes(&all, spoken.framing);
        assert_told(spoken, &events, &decode(spoken, [&wire[..]]), "a long answer");
    }
}

// ---------------------------------------------------------------------------------------------- any legal turn

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_legal_turn_is_understood(acts in acts(), end in ends()) {
        let input = turn(acts, end.as_ref());
        prop_assume!(!says_all_again(&input));
        for spoken in ENCODERS {
            let wire = bytes(&frames(&mut *(spoken.encode)(), &input), spoken.framing);
            let events = decode(spoken, [&wire[..]]);
            prop_assert_eq!(check(&published(&events)), vec![], "{}: {:#?}", spoken.name, &events);
            let (mut expected, mut decoded) = (SeenTurn::of(&input).told_in(spoken), SeenTurn::of(&events).told_in(spoken));
            if end.is_none() {
                expected.end = Some(TurnOutcome::Interrupted);
            }
            // A call whose arguments never came is omitted if the client runs it, or sent without them.
            if end.is_none() || end != Some(TurnOutcome::Completed) {
                expected.calls.clear();
                decoded.calls.clear();
            }
            prop_assert_eq!(expected, decoded, "{}\n{:#?}\n{}", spoken.name, &input, String::from_utf8_lossy(&wire));
        }
    }
}
