//! The encoders of both Responses dialects: their output is well-formed, and our decoders get the original events back
//! from it, minus what the dialects can't express.
//!
//! The events come from every golden stream, from the recorded demo, and from random turns.

mod dice;

use std::path::Path;

use jarvis_tui::dialect::enclava::{self, EnclavaDecoder};
use jarvis_tui::dialect::responses::object::ResponseHead;
use jarvis_tui::dialect::responses::{self, ResponsesDecoder};
use jarvis_tui::dialect::{Decode, Encode, SseFrame};
use jarvis_tui::event::grammar::{self, Sealer};
use jarvis_tui::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, CallOutput, Envelope, ExecutedBy, Fault, FaultKind,
    FinishReason, MessageId, Millis, NoticeCode, NoticeLevel, OutputStream, Role, Seq, TextKind, TurnOutcome, Usage,
    UsageScope,
};
use jarvis_tui::net::request::Framing;
use jarvis_tui::net::sse::FrameSplitter;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::dialects::{cases, published};

use crate::replies::decode_reply;
use crate::testkit::events::turn_finished;
use dice::{Dice, WORDS};

fn heading(client_tools: bool) -> ResponseHead {
    let (id, model) = ("resp_20261120195114_7bbb".into(), Some("engine/model".into()));
    ResponseHead { id, model, client_tools, prompt_tokens: 7, ..ResponseHead::default() }
}

fn encode(encoder: &mut dyn Encode, events: &[AgentEvent]) -> Vec<SseFrame> {
    let mut frames = Vec::new();
    encoder.start(&mut frames);
    for (at, event) in events.iter().enumerate() {
        let (seq, at) = (Seq(at as u64 + 1), Millis(at as u64 * 10));
        encoder.encode_event(&Envelope { seq, at, event: event.clone() }, &mut frames);
    }
    encoder.finish(&mut frames);
    frames
}

fn official(events: &[AgentEvent], client_tools: bool) -> Vec<SseFrame> {
    encode(&mut responses::encode::ResponsesEncoder::new(heading(client_tools)), events)
}

fn flat(events: &[AgentEvent]) -> Vec<SseFrame> {
    encode(&mut enclava::encode::EnclavaEncoder::new(heading(false), Some(5)), events)
}

fn decode(mut decoder: impl Decode, frames: &[SseFrame]) -> Vec<AgentEvent> {
    published(&decode_reply(&mut decoder, frames))
}

#[derive(Debug, Default, PartialEq)]
struct GistCall {
    name: String,
    args: String,
    is_ready: bool,
    /// Its message ended before its arguments did.
    is_cut: bool,
    ran_by: ExecutedBy,
    outcome: Option<CallOutcome>,
    output: String,
}

/// What is left of a turn without ids and the order of its parts.
#[derive(Debug, Default, PartialEq)]
struct Gist {
    texts: Vec<String>,
    reasoning: String,
    calls: Vec<GistCall>,
    end: String,
    length: bool,
    /// It ended with a refusal without text.
    is_declined: bool,
    usage: Usage,
}

fn gist(events: &[AgentEvent]) -> Gist {
    let mut whole_turn = None;
    let mut gist = Gist::default();
    let mut texts: Vec<(MessageId, String)> = Vec::new();
    let mut calls: Vec<(CallId, GistCall)> = Vec::new();
    let mut cut_messages: Vec<MessageId> = Vec::new();
    let mut homes: Vec<MessageId> = Vec::new();
    let mut is_explained = false;
    for event in events {
        match event {
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent: None } => {
                texts.push((message.clone(), String::new()));
            }
            AgentEvent::TextDelta { message, text, kind } => {
                if let Some((_, known_text)) = texts.iter_mut().find(|(id, _)| id == message) {
                    is_explained |= *kind == TextKind::Refusal && !text.is_empty();
                    known_text.push_str(text);
                }
            }
            AgentEvent::ReasoningDelta { message, text } if texts.iter().any(|(id, _)| id == message) => {
                gist.reasoning.extend(text.split_whitespace());
            }
            AgentEvent::MessageFinished { message, full_text: full, finish_reason: stop, .. } => {
                if !matches!(stop, FinishReason::End | FinishReason::ToolCalls) {
                    cut_messages.push(message.clone());
                }
                // The finish reason of a sub-agent's message is not the answer's.
                let Some((_, known_text)) = texts.iter_mut().find(|(id, _)| id == message) else { continue };
                gist.length = *stop == FinishReason::Length;
                gist.is_declined = *stop == FinishReason::Refused && !is_explained;
                // Neither format can revoke a whole text, for example if it turned out to be reasoning: an empty text
                // in a closing frame means that the server left it out.
                if let Some(full) = full.as_ref().filter(|full| !full.is_empty()) {
                    known_text.clone_from(full);
                }
            }
            AgentEvent::ToolCallStarted { call, message, name, executed_by: ran_by, .. } => {
                let name = name.clone().unwrap_or_default();
                homes.push(message.clone());
                calls.push((call.clone(), GistCall { name, ran_by: *ran_by, ..GistCall::default() }));
            }
            AgentEvent::ToolArgsDelta { call, json } => {
                calls.iter_mut().filter(|(id, _)| id == call).for_each(|(_, call)| call.args.push_str(json));
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                for (_, call) in calls.iter_mut().filter(|(id, _)| id == call) {
                    (call.name, call.args, call.is_ready) = (name.clone(), args.clone(), true);
                }
            }
            AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
                for (_, call) in
                    calls.iter_mut().filter(|(id, _)| id == call).filter(|(_, call)| call.outcome.is_none())
                {
                    (call.outcome, call.output) = (Some(*outcome), output.text.clone());
                }
            }
            // What is said of the whole turn is in place of its requests.
            AgentEvent::UsageReported { scope: UsageScope::Turn, usage } => whole_turn = Some(*usage),
            AgentEvent::UsageReported { usage, .. } => gist.usage = gist.usage.plus(*usage),
            AgentEvent::TurnFinished { outcome: end, .. } => {
                gist.end = match end {
                    TurnOutcome::Failed(fault) => format!("failed {:?}", fault.kind),
                    other => format!("{other:?}"),
                };
            }
            _ => {}
        }
    }
    gist.usage = whole_turn.unwrap_or(gist.usage);
    gist.texts = texts.into_iter().map(|(_, text)| text).filter(|text| !text.is_empty()).collect();
    for ((_, call), home) in calls.iter_mut().zip(&homes) {
        let is_whole = call.args.trim().is_empty() || serde_json::from_str::<Value>(&call.args).is_ok();
        call.is_cut = !is_whole && cut_messages.contains(home);
    }
    gist.calls = calls.into_iter().map(|(_, call)| call).collect();
    gist
}

/// Like [`gist`], for decoded events, where a call that was cut is not ready and a declined answer has failed.
fn decoded_gist(events: &[AgentEvent]) -> Gist {
    let mut gist = gist(events);
    gist.calls.iter_mut().for_each(|call| call.is_cut = false);
    gist.is_declined = false;
    gist
}

/// What the official dialect can express.
fn as_official(mut gist: Gist, client_tools: bool) -> Gist {
    for call in &mut gist.calls {
        let is_theirs = client_tools && call.ran_by == ExecutedBy::Client;
        let is_cut = std::mem::take(&mut call.is_cut);
        if is_theirs {
            call.output.clear();
            // A call that was cut off can't be run by the client.
            call.is_ready &= !is_cut;
            // If the turn was cut, the decoder's sealer guesses.
            call.outcome = (gist.end == "Completed" && call.is_ready).then_some(CallOutcome::Requested);
            continue;
        }
        call.ran_by = ExecutedBy::Server;
        // In this format an empty text is the same as none.
        let or = |text: &str, otherwise: &str| if text.is_empty() { otherwise.to_owned() } else { text.to_owned() };
        (call.outcome, call.output) = match call.outcome.unwrap() {
            CallOutcome::Ok => (Some(CallOutcome::Ok), call.output.clone()),
            CallOutcome::Failed => {
                (Some(CallOutcome::Failed), or(&call.output, "the tool failed without an error message"))
            }
            CallOutcome::Denied => (Some(CallOutcome::Failed), or(&call.output, "denied")),
            CallOutcome::Requested => (Some(CallOutcome::Requested), String::new()),
            CallOutcome::Cancelled | CallOutcome::Unknown => (Some(CallOutcome::Unknown), call.output.clone()),
        };
        if call.name.is_empty() {
            call.name = "unknown".into();
        }
        call.is_ready = true;
    }
    gist.length &= gist.end == "Completed";
    if std::mem::take(&mut gist.is_declined) && gist.end == "Completed" {
        gist.end = "failed Refused".into();
    }
    gist.usage.estimated = false;
    gist.end = match gist.end.as_str() {
        "Completed" | "failed RateLimited" | "failed ContextTooLong" | "failed Refused" => gist.end,
        "Cancelled" => "Interrupted".into(),
        _ => "failed".into(),
    };
    gist
}

/// Checks every rule of the event list.
fn orderly(frames: &[SseFrame]) {
    let events: Vec<Value> = frames.iter().map(|frame| serde_json::from_str(&frame.data).unwrap()).collect();
    let dump = || frames.iter().map(|frame| frame.data.as_str()).collect::<Vec<_>>().join("\n");
    let mut items: Vec<OutputItem> = Vec::new();
    for (at, (event, frame)) in events.iter().zip(frames).enumerate() {
        let kind = event["type"].as_str().unwrap();
        assert_eq!(frame.event, kind);
        assert_eq!((&frame.id, frame.retry), (&None, None), "the official client counts empty events");
        assert_eq!(event["sequence_number"], at, "numbers have no holes");
        match at {
            0 => assert_eq!(kind, "response.created"),
            1 => assert_eq!(kind, "response.in_progress"),
            _ => assert!(!matches!(kind, "response.created" | "response.in_progress"), "{}", dump()),
        }
        let is_last = matches!(kind, "response.completed" | "response.incomplete" | "response.failed");
        assert_eq!(is_last, at + 1 == events.len(), "one closing event, and nothing after it: {}", dump());
        if event.get("output_index").is_some() {
            item_event(&mut items, event, kind);
        }
    }
    let response = &events.last().unwrap()["response"];
    let output = response["output"].as_array().unwrap();
    assert_eq!(output.len(), items.len());
    for (item, listed) in items.iter().zip(output) {
        let done = item.done.as_ref().unwrap_or_else(|| panic!("an item was never done: {}", dump()));
        let same = ["id", "type", "name", "arguments", "content", "summary", "call_id"];
        assert!(same.iter().all(|key| done.get(key) == listed.get(key)), "{done} {listed}");
    }
    let usage = &response["usage"];
    assert_eq!(
        usage["total_tokens"],
        usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap()
    );
}

#[derive(Debug, Default)]
struct OutputItem {
    id: String,
    /// The text of every part, and whether it is done.
    parts: Vec<(String, bool)>,
    args: String,
    args_done: Option<String>,
    done: Option<Value>,
}

fn item_event(items: &mut Vec<OutputItem>, event: &Value, kind: &str) {
    let index = usize::try_from(event["output_index"].as_u64().unwrap()).unwrap();
    if kind == "response.output_item.added" {
        assert_eq!(index, items.len(), "items are added in order");
        let id = event["item"]["id"].as_str().unwrap().to_owned();
        assert!(items.iter().all(|item| item.id != id), "{id} twice");
        assert_eq!(event["item"]["status"], "in_progress");
        items.push(OutputItem { id, ..OutputItem::default() });
        return;
    }
    let item = items.get_mut(index).expect("an item is added before anything is said of it");
    assert!(item.done.is_none(), "nothing is said of an item that is done: {event}");
    if kind == "response.output_item.done" {
        assert_eq!(event["item"]["id"], item.id);
        assert!(item.parts.iter().all(|(_, done)| *done), "{event}");
        let parts = event["item"]["content"].as_array().or(event["item"]["summary"].as_array());
        if let Some(parts) = parts {
            let text = |part: &Value| part["text"].as_str().or(part["refusal"].as_str()).unwrap().to_owned();
            let texts: Vec<String> = item.parts.iter().map(|(text, _)| text.clone()).collect();
            assert_eq!(parts.iter().map(text).collect::<Vec<_>>(), texts);
        }
        if let Some(args) = event["item"]["arguments"].as_str() {
            let whole = item.args_done.as_deref();
            let is_cut = event["item"]["status"] == "incomplete" && event["item"]["type"] == "function_call";
            assert_eq!(args, whole.unwrap_or_else(|| if is_cut { &item.args } else { panic!("{event}") }));
        }
        item.done = Some(event["item"].clone());
        return;
    }
    assert_eq!(event["item_id"], item.id, "{event}");
    let part =
        event["content_index"].as_u64().or(event["summary_index"].as_u64()).map(|at| usize::try_from(at).unwrap());
    match kind.strip_prefix("response.").unwrap() {
        "content_part.added" | "reasoning_summary_part.added" => {
            assert_eq!(part, Some(item.parts.len()));
            assert!(item.parts.iter().all(|(_, done)| *done), "one part is open at a time");
            item.parts.push((String::new(), false));
        }
        "output_text.delta" | "refusal.delta" | "reasoning_summary_text.delta" => {
            let (text, done) = &mut item.parts[part.unwrap()];
            assert!(!*done);
            text.push_str(event["delta"].as_str().unwrap());
        }
        name @ ("output_text.done" | "refusal.done" | "reasoning_summary_text.done") => {
            let whole = event[if name == "refusal.done" { "refusal" } else { "text" }].as_str().unwrap();
            let (text, done) = &mut item.parts[part.unwrap()];
            assert!(!*done);
            // The whole text corrects the pieces.
            whole.clone_into(text);
        }
        "content_part.done" | "reasoning_summary_part.done" => {
            let (text, done) = &mut item.parts[part.unwrap()];
            assert!(!std::mem::replace(done, true));
            assert_eq!(event["part"]["text"].as_str().or(event["part"]["refusal"].as_str()).unwrap(), text);
        }
        "function_call_arguments.delta" | "mcp_call_arguments.delta" => {
            assert!(item.args_done.is_none());
            item.args.push_str(event["delta"].as_str().unwrap());
        }
        "function_call_arguments.done" | "mcp_call_arguments.done" => {
            assert!(item.args_done.is_none());
            item.args_done = Some(event["arguments"].as_str().unwrap().to_owned());
        }
        "output_text.annotation.added" => assert!(!item.parts[part.unwrap()].1),
        "mcp_call.in_progress" => assert!(item.args_done.is_none() && item.args.is_empty()),
        "mcp_call.completed" | "mcp_call.failed" => assert!(item.args_done.is_some()),
        other => panic!("{other} is not said"),
    }
}

fn check_official(name: &str, events: &[AgentEvent]) {
    for client_tools in [false, true] {
        let frames = official(events, client_tools);
        orderly(&frames);
        assert_eq!(frames, official(events, client_tools), "the same events give the same frames");
        let mut expected = as_official(gist(events), client_tools);
        let mut read = decoded_gist(&decode(ResponsesDecoder::new(), &frames));
        // A server's own call ends the item that contains it.
        if expected.calls.iter().any(|call| call.ran_by == ExecutedBy::Server) {
            expected.texts = vec![expected.texts.concat()];
            read.texts = vec![read.texts.concat()];
        }
        // No text follows a call that the client runs; recordings of agents continue, and that is one message.
        for gist in [&mut expected, &mut read].into_iter().filter(|_| client_tools) {
            gist.texts = vec![gist.texts.join("\n\n")];
            let guessed = gist.end != "Completed";
            let ours = gist.calls.iter_mut().filter(|call| call.ran_by == ExecutedBy::Client);
            ours.filter(|call| guessed || !call.is_ready).for_each(|call| call.outcome = None);
        }
        if gist(events).usage == Usage::default() {
            read.usage = Usage::default();
        }
        if expected.end == "failed" {
            read.end = read.end.split(' ').next().unwrap().into();
        }
        assert_eq!(read, expected, "{name}, client tools: {client_tools}");
    }
}

/// What enclava's dialect can express.
fn as_flat(mut gist: Gist) -> Gist {
    let is_completed = gist.end == "Completed";
    for call in &mut gist.calls {
        (call.ran_by, call.is_cut) = (ExecutedBy::Server, false);
        let failed = |text: &str, otherwise: &str| {
            let text = if text.is_empty() { otherwise } else { text };
            (Some(CallOutcome::Failed), json!({ "error": text }).to_string())
        };
        let was_ready = std::mem::replace(&mut call.is_ready, true);
        let outcome = call.outcome.unwrap();
        if !was_ready && !matches!(outcome, CallOutcome::Ok | CallOutcome::Failed) {
            (call.outcome, call.output, call.is_ready) = (Some(CallOutcome::Unknown), String::new(), false);
            call.name.clear();
            continue;
        }
        if call.name.is_empty() {
            call.name = "unknown".into();
        }
        (call.outcome, call.output) = match outcome {
            CallOutcome::Ok => (Some(CallOutcome::Ok), call.output.clone()),
            CallOutcome::Failed => failed(&call.output, "the tool failed without an error message"),
            CallOutcome::Denied => failed(&call.output, "denied"),
            CallOutcome::Cancelled => failed(&call.output, "cancelled"),
            CallOutcome::Unknown => failed(&call.output, "the call never finished"),
            CallOutcome::Requested if is_completed => (Some(CallOutcome::Requested), String::new()),
            CallOutcome::Requested => (Some(CallOutcome::Unknown), String::new()),
        };
    }
    gist.texts = vec![gist.texts.concat()];
    gist.reasoning.clear();
    gist.length &= is_completed;
    gist.is_declined = false;
    gist.usage = Usage::default();
    if !is_completed {
        gist.end = "failed".into();
    }
    gist
}

fn check_flat(name: &str, events: &[AgentEvent]) {
    let frames = flat(events);
    assert_eq!(frames, flat(events), "the same events give the same frames");
    assert!(frames.iter().all(|frame| frame.data.is_ascii() && frame.id.is_none() && frame.retry.is_none()));
    assert_eq!(frames[0].event, "response.created");
    let names = [
        "response.created",
        "response.output_text.delta",
        "response.function_call_arguments.delta",
        "response.output_item.added",
        "response.completed",
        "response.failed",
    ];
    assert!(frames.iter().all(|frame| names.contains(&frame.event.as_str())));
    let mut read = decoded_gist(&decode(EnclavaDecoder::new(), &frames));
    read.end = read.end.split(' ').next().unwrap().into();
    read.texts = vec![read.texts.concat()];
    // A reason is shown as encoded on the wire, where all JSON is ASCII.
    for call in read.calls.iter_mut().filter(|call| call.outcome == Some(CallOutcome::Failed)) {
        call.output = serde_json::from_str::<Value>(&call.output).unwrap().to_string();
    }
    assert_eq!(
        read,
        as_flat(gist(events)),
        "{name}\n{}",
        frames.iter().map(|f| f.data.clone()).collect::<Vec<_>>().join("\n")
    );
}

/// The turns of the recorded demo.
fn demo() -> Vec<Vec<AgentEvent>> {
    let log = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.jsonl")).unwrap();
    let mut turns = vec![Vec::new()];
    for line in log.lines().skip(1) {
        let event = serde_json::from_str::<Envelope>(line).unwrap().event;
        let is_over = matches!(event, AgentEvent::TurnFinished { .. });
        turns.last_mut().unwrap().push(event);
        if is_over {
            turns.push(Vec::new());
        }
    }
    turns.retain(|turn| turn.iter().any(|event| matches!(event, AgentEvent::TurnFinished { .. })));
    turns
}

#[test]
fn every_golden_stream_is_said_again_and_read_back() {
    for case in cases() {
        let events = published(&case.whole());
        check_official(&case.name, &events);
        check_flat(&case.name, &events);
    }
}

#[test]
fn the_recorded_demo_is_said_and_read_back() {
    let turns = demo();
    assert!(turns.len() > 3);
    for events in turns {
        check_official("demo", &events);
        check_flat("demo", &events);
    }
}

#[test]
fn bytes_may_be_cut_anywhere() {
    let calls = |events: &[AgentEvent]| events.iter().any(|event| matches!(event, AgentEvent::ToolCallReady { .. }));
    let events = demo().into_iter().filter(|events| calls(events)).min_by_key(Vec::len).unwrap();
    for frames in [official(&events, false), flat(&events)] {
        let mut bytes = Vec::new();
        for frame in &frames {
            frame.write_sse(&mut bytes);
        }
        for cut in 0..=bytes.len() {
            let (mut cutter, mut read) = (FrameSplitter::new(Framing::Sse), Vec::new());
            cutter.push(&bytes[..cut], &mut read).unwrap();
            cutter.push(&bytes[cut..], &mut read).unwrap();
            cutter.finish(&mut read);
            assert!(read == frames, "cut at {cut}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_events_are_in_order(rolls in proptest::collection::vec(any::<u16>(), 0..160)) {
        let events = Dice::turn(&rolls, 2);
        for client_tools in [false, true] {
            orderly(&official(&events, client_tools));
        }
        prop_assert_eq!(flat(&events).len(), flat(&events).len());
        let events = Dice::turn(&rolls, 1);
        check_flat("by chance", &events);
        // For events that stop anywhere, the encoder must still write an end.
        for cut in (0..events.len()).step_by(1 + rolls.len() / 7) {
            orderly(&official(&events[..cut], false));
            let last = flat(&events[..cut]).pop().unwrap();
            prop_assert_eq!(last.event, "response.failed");
        }
    }

    #[test]
    fn texts_that_stream_at_once_are_told_apart(pieces in proptest::collection::vec((0usize..4, 0..WORDS.len()), 1..40)) {
        let id = |at: usize| MessageId::new(format!("m{at}"));
        let mut events = published(&[turn_finished("t", TurnOutcome::Completed)])[..2].to_vec();
        let role = Role::Assistant;
        events.extend((0..4).map(|at| AgentEvent::MessageStarted { message: id(at), role, parent: None }));
        let mut said: Vec<(usize, String)> = Vec::new();
        for (at, word) in pieces {
            let word = WORDS[word];
            events.push(AgentEvent::TextDelta { message: id(at), text: word.to_owned(), kind: TextKind::Text });
            if let Some((_, text)) = said.iter_mut().find(|(known, _)| *known == at) {
                text.push_str(word);
            } else if !word.is_empty() {
                said.push((at, word.to_owned()));
            }
        }
        let mut sealer = Sealer::new();
        for event in &events {
            sealer.observe(event).unwrap();
        }
        events.extend(sealer.seal(TurnOutcome::Completed));
        let read = decode(ResponsesDecoder::new(), &official(&events, false));
        let wanted: Vec<String> = said.into_iter().map(|(_, text)| text).collect();
        prop_assert_eq!(gist(&read).texts, wanted);
    }
}
