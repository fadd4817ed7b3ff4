//! Events encoded as chat completions and for the agent bridge, and decoded again by our own decoders.
//!
//! The decoded events are the original ones, minus what these dialects can't express:
//!
//! | lost | in chat completions | on the bridge |
//! | --- | --- | --- |
//! | which message of a turn has which text | separated by a blank line | the same |
//! | reasoning | kept | omitted |
//! | calls that are run here | omitted | kept, without argument deltas and live output |
//! | calls of the client | kept; arguments left empty become `{}` | there are none |
//! | outcomes of calls | known to the client | success or not |
//! | the order of parallel calls | kept | that of their starts; the results have the other |
//! | finish reason of an answer | stop, length, calls, filter | always stop |
//! | kind of a fault | as far as HTTP can express it | too long, or not |
//! | usage of each request | the sum | the sum |
//! | notices, annotations, approvals, sub-agents | omitted | omitted |
//!
//! `UPDATE_GOLDEN=1` rewrites the expected bytes in `tests/golden/encoded`; look at the difference before you commit it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use jarvis_tui::dialect::chat::ChatDecoder;
use jarvis_tui::dialect::chat::chunk::ChunkHead;
use jarvis_tui::dialect::chat::encode::{ChatEncoder, ChatEncoderOptions};
use jarvis_tui::dialect::openjarvis::OpenJarvisDecoder;
use jarvis_tui::dialect::openjarvis::encode::OpenJarvisEncoder;
use jarvis_tui::dialect::{Decode, DecodeContext, Encode, SseFrame};
use jarvis_tui::event::grammar::check;
use jarvis_tui::event::{
    AgentEvent, CallOutcome, Envelope, ExecutedBy, FaultKind, FinishReason, Millis, NoticeCode, Seq, TextKind,
    TurnOutcome, Usage,
};
use jarvis_tui::net::request::Framing;
use jarvis_tui::net::sse::FrameSplitter;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::encoders::made_turns::{acts, ends, says_all_again, turn as made};
use crate::encoders::published;
use crate::replies::decode_reply;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn head() -> ChunkHead {
    ChunkHead { id: "chatcmpl-0a1b2c3d4e5f".into(), created: 1_795_000_000, model: "m".into() }
}

fn chunks() -> ChatEncoder {
    ChatEncoder::new(head(), ChatEncoderOptions { include_usage: false, client_tools: true }, 1)
}

fn bridge() -> OpenJarvisEncoder {
    OpenJarvisEncoder::new(head(), 1, 2)
}

fn cut(bytes: &[u8], pieces: &[usize]) -> Vec<SseFrame> {
    let (mut frames, mut out, mut from) = (FrameSplitter::new(Framing::Sse), Vec::new(), 0);
    for at in pieces.iter().copied().chain([bytes.len()]) {
        frames.push(&bytes[from..at], &mut out).unwrap();
        from = at;
    }
    frames.finish(&mut out);
    out
}

fn encode(encoder: &mut dyn Encode, events: &[Envelope]) -> Vec<u8> {
    let mut frames = Vec::new();
    encoder.start(&mut frames);
    for event in events {
        encoder.encode_event(event, &mut frames);
    }
    encoder.finish(&mut frames);
    let mut bytes = Vec::new();
    for frame in &frames {
        frame.write_sse(&mut bytes);
    }
    bytes
}

/// Numbers a decoder's events as a session would.
fn numbered(events: Vec<AgentEvent>) -> Vec<Envelope> {
    let prompt = AgentEvent::UserMessage { message: "u".into(), text: PROMPT.into() };
    let events = std::iter::once(prompt).chain(events);
    events.enumerate().map(|(n, event)| Envelope { seq: Seq(n as u64 + 1), at: Millis(n as u64 * 10), event }).collect()
}

const PROMPT: &str = "what was asked";

/// Returns the recordings of a folder as events.
fn recorded(folder: &str, decoder: impl Fn(&Path) -> Box<dyn Decode>) -> Vec<(String, Vec<Envelope>)> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(golden().join(folder)).unwrap().map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "sse"));
    paths.sort();
    let events = |path: &PathBuf| {
        let name = format!("{folder}/{}", path.file_stem().unwrap().to_str().unwrap());
        let frames = cut(&fs::read(path).unwrap(), &[]);
        (name, numbered(decode_reply(&mut *decoder(path), &frames)))
    };
    paths.iter().map(events).collect()
}

/// The turns of the demo session.
fn demo() -> Vec<(String, Vec<Envelope>)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo.jsonl")).unwrap();
    let events: Vec<Envelope> = text.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut turns: Vec<(String, Vec<Envelope>)> = Vec::new();
    for event in events {
        if matches!(event.event, AgentEvent::TurnStarted { .. }) {
            turns.push((format!("demo/{}", turns.len() + 1), Vec::new()));
        }
        if let Some((_, turn)) = turns.last_mut() {
            turn.push(event);
        }
    }
    assert_eq!(turns.len(), 7);
    turns
}

/// What a person would see of a turn, as far as both dialects can express it.
#[derive(Debug, Default, PartialEq)]
struct ShownChat {
    text: String,
    refusal: String,
    reasoning: String,
    /// Name and arguments; for calls that ran, also success and output.
    calls: Vec<ShownChatCall>,
    stop: Option<FinishReason>,
    usage: Option<Usage>,
    end: Option<TurnOutcome>,
}

#[derive(Debug, PartialEq)]
struct ShownChatCall {
    id: String,
    name: String,
    args: String,
    result: Option<(bool, String, Option<Millis>)>,
}

impl ShownChat {
    fn of<'e>(events: impl IntoIterator<Item = &'e AgentEvent>) -> Self {
        let mut shown = Self::default();
        let mut messages: Vec<(String, [String; 3])> = Vec::new();
        let (mut hidden, mut theirs) = (Vec::new(), Vec::new());
        let mut requests = std::collections::BTreeMap::new();
        for event in events {
            let at = |message: &jarvis_tui::event::MessageId, messages: &mut Vec<(String, [String; 3])>| {
                messages.iter().position(|(id, _)| id == message.as_str()).unwrap()
            };
            match event {
                // A sub-agent's message.
                AgentEvent::MessageStarted { message, parent: Some(_), .. } => hidden.push(message.clone()),
                AgentEvent::TextDelta { message, .. }
                | AgentEvent::ReasoningDelta { message, .. }
                | AgentEvent::MessageFinished { message, .. }
                | AgentEvent::ToolCallStarted { message, .. }
                    if hidden.contains(message) =>
                {
                    if let AgentEvent::ToolCallStarted { call, .. } = event {
                        theirs.push(call.clone());
                    }
                }
                AgentEvent::ToolCallReady { call, .. } if theirs.contains(call) => {}
                AgentEvent::MessageStarted { message, .. } => messages.push((message.to_string(), Default::default())),
                AgentEvent::TextDelta { message, text, kind } => {
                    let at = at(message, &mut messages);
                    messages[at].1[usize::from(*kind == TextKind::Refusal)].push_str(text);
                }
                AgentEvent::ReasoningDelta { message, text } => {
                    let at = at(message, &mut messages);
                    messages[at].1[2].push_str(text);
                }
                AgentEvent::MessageFinished { finish_reason: stop, .. } => shown.stop = Some(*stop),
                AgentEvent::ToolCallReady { call, name, args, .. } => shown.calls.push(ShownChatCall {
                    id: call.to_string(),
                    name: name.clone(),
                    args: if args.trim().is_empty() { "{}".into() } else { args.clone() },
                    result: None,
                }),
                // Nobody ran it, or its outcome is unknown.
                AgentEvent::ToolCallFinished { outcome: CallOutcome::Requested | CallOutcome::Unknown, .. } => {}
                AgentEvent::ToolCallFinished { call, outcome, output, duration: took } => {
                    let known = shown.calls.iter_mut().rfind(|known| known.id == call.as_str());
                    if let Some(known) = known {
                        known.result = Some((*outcome == CallOutcome::Ok, output.text.clone(), *took));
                    }
                }
                AgentEvent::UsageReported { scope, usage } => {
                    requests.insert(format!("{scope:?}"), *usage);
                }
                AgentEvent::TurnFinished { outcome: end, .. } => shown.end = Some(end.clone()),
                _ => {}
            }
        }
        let joined = |n: usize| {
            messages.iter().map(|(_, texts)| texts[n].as_str()).filter(|text| !text.is_empty()).fold(
                String::new(),
                |mut whole, text| {
                    while !whole.is_empty() && !whole.ends_with("\n\n") {
                        whole.push('\n');
                    }
                    whole.push_str(text);
                    whole
                },
            )
        };
        (shown.text, shown.refusal, shown.reasoning) = (joined(0), joined(1), joined(2));
        shown.usage = requests.into_values().reduce(Usage::plus).map(|usage| Usage { estimated: false, ..usage });
        shown
    }

    /// What chat completions preserve.
    fn in_chunks(mut self) -> Self {
        // The outcome of a client's call is not sent.
        for call in &mut self.calls {
            call.result = None;
        }
        let had_stop = self.stop.is_some();
        let filtered =
            matches!(&self.end, Some(TurnOutcome::Failed(fault)) if fault.kind == FaultKind::Refused) && had_stop;
        match self.end {
            Some(TurnOutcome::Completed) => {
                self.stop = Some(match self.stop {
                    Some(FinishReason::Length) => FinishReason::Length,
                    Some(FinishReason::Refused) => FinishReason::Refused,
                    _ if !self.calls.is_empty() => FinishReason::ToolCalls,
                    _ => FinishReason::End,
                });
                // Our decoder starts a message with its first text.
                if self.stop == Some(FinishReason::End)
                    && [&self.text, &self.reasoning].into_iter().all(String::is_empty)
                {
                    self.stop = None;
                }
            }
            _ if filtered => self.stop = Some(FinishReason::Refused),
            // An incomplete call is not reported to its client.
            _ => {
                self.stop = None;
                self.calls.clear();
                self.usage = None;
            }
        }
        self
    }

    /// What the bridge preserves.
    fn on_the_bridge(mut self) -> Self {
        self.text = [&self.text, &self.refusal].into_iter().map(String::as_str).collect();
        self.refusal.clear();
        self.reasoning.clear();
        self.stop = None;
        // Calls that nobody ran are omitted.
        self.calls.retain(|call| call.result.is_some());
        for call in &mut self.calls {
            call.id.clear();
            call.args = serde_json::from_str::<Value>(&call.args).map_or(call.args.clone(), |args| args.to_string());
        }
        // Parallel calls come in the order in which they began.
        self.calls.sort_by(|a, b| (&a.name, &a.args).cmp(&(&b.name, &b.args)));
        if self.end != Some(TurnOutcome::Completed) {
            self.usage = None;
        }
        self
    }
}

/// Compares how a turn ended: the decoded error message contains the original one, and its kind is the nearest
/// possible.
fn same_end(name: &str, expected: &mut ShownChat, decoded: &mut ShownChat) {
    match (expected.end.take(), decoded.end.take()) {
        (Some(TurnOutcome::Failed(expected)), Some(TurnOutcome::Failed(decoded))) => {
            let words = expected.message.split_whitespace().take(12).collect::<Vec<_>>().join(" ");
            let filter = decoded.kind == FaultKind::Refused;
            let too_long = decoded.kind == FaultKind::ContextTooLong;
            assert!(filter || too_long || decoded.message.contains(&words), "{name}: {expected:?} became {decoded:?}");
        }
        (Some(TurnOutcome::Cancelled | TurnOutcome::Interrupted), Some(TurnOutcome::Failed(_))) => {}
        (expected, decoded) => assert_eq!(expected, decoded, "{name}"),
    }
}

#[test]
fn chat_completions_say_what_our_decoder_understands() {
    let chat = |_: &Path| -> Box<dyn Decode> { Box::new(ChatDecoder::new()) };
    let mut seen = 0;
    for (name, events) in recorded("chat", chat).into_iter().chain(demo()) {
        seen += 1;
        let bytes = encode(&mut chunks(), &events);
        let decoded = decode_reply(&mut ChatDecoder::new(), &cut(&bytes, &[]));
        let mut expected = ShownChat::of(events.iter().map(|event| &event.event)).in_chunks();
        let mut decoded = ShownChat::of(&decoded);
        if expected.usage.is_none() {
            decoded.usage = None;
        }
        if decoded.stop == Some(FinishReason::Failed) {
            decoded.stop = None;
            decoded.calls.clear();
        }
        same_end(&name, &mut expected, &mut decoded);
        assert_eq!(expected, decoded, "{name}:\n{}", String::from_utf8_lossy(&bytes));
        // Encodes and decodes again: nothing is lost the second time.
        let again = numbered(decode_reply(&mut ChatDecoder::new(), &cut(&bytes, &[])));
        let twice = encode(&mut chunks(), &again);
        let (mut once, mut more) = (
            ShownChat::of(again.iter().map(|event| &event.event)),
            ShownChat::of(&decode_reply(&mut ChatDecoder::new(), &cut(&twice, &[]))),
        );
        same_end(&name, &mut once, &mut more);
        assert_eq!((once.text, once.calls, once.usage), (more.text, more.calls, more.usage), "{name}");
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn the_bridge_says_what_our_decoder_understands() {
    let context = |prompt: &str| DecodeContext {
        prompt: Some(prompt.to_owned()),
        path: "/v1/chat/completions".into(),
        ..DecodeContext::default()
    };
    let decoder = |path: &Path| -> Box<dyn Decode> {
        let about = fs::read(path.with_extension("json")).unwrap();
        let about: Value = serde_json::from_slice(&about).unwrap();
        let prompt = about["request"]["body"]["messages"].as_array().and_then(|all| all.last()?["content"].as_str());
        let path = about["request"]["path"].as_str().unwrap_or_default().to_owned();
        Box::new(OpenJarvisDecoder::new(&DecodeContext {
            path,
            prompt: prompt.map(ToOwned::to_owned),
            ..DecodeContext::default()
        }))
    };
    let mut seen = 0;
    for (name, events) in recorded("openjarvis", decoder).into_iter().chain(demo()) {
        seen += 1;
        let prompt = events.iter().find_map(|logged| match &logged.event {
            AgentEvent::UserMessage { text, .. } => Some(text.clone()),
            _ => None,
        });
        let bytes = encode(&mut bridge(), &events);
        let decoded = decode_reply(&mut OpenJarvisDecoder::new(&context(&prompt.unwrap())), &cut(&bytes, &[]));
        let foreign = |event: &AgentEvent| matches!(event, AgentEvent::Notice { code: NoticeCode::ForeignCalls, .. });
        assert!(!decoded.iter().any(foreign), "{name}: nothing in it is another client's: {decoded:?}");
        let mut expected = ShownChat::of(events.iter().map(|logged| &logged.event)).on_the_bridge();
        let mut decoded = ShownChat::of(&decoded).on_the_bridge();
        if expected.usage.is_none() {
            decoded.usage = None;
        }
        // If the duration of a call is unknown, the bridge has measured it.
        for (expected, decoded) in expected.calls.iter().zip(&mut decoded.calls) {
            if let (Some((_, _, None)), Some((_, _, took))) = (&expected.result, &mut decoded.result) {
                *took = None;
            }
        }
        let failed = expected.end != Some(TurnOutcome::Completed);
        same_end(&name, &mut expected, &mut decoded);
        if failed {
            // The text comes last, and no results came.
            assert!(decoded.text.starts_with(&expected.text), "{name}: {}", decoded.text);
            continue;
        }
        assert_eq!(expected, decoded, "{name}:\n{}", String::from_utf8_lossy(&bytes));
    }
    assert!(seen > 20, "{seen}");
}

/// Returns the order and the fields of a bridge stream, without the values.
fn structure(frames: &[SseFrame]) -> Vec<String> {
    let shape = |frame: &SseFrame| {
        let Ok(json) = serde_json::from_str::<Value>(&frame.data) else { return frame.data.clone() };
        let fields = |json: &Value| json.as_object().map(|json| json.keys().cloned().collect::<Vec<_>>().join(" "));
        let mut shape = format!("{}: {}", frame.event, fields(&json).unwrap());
        if let Some(choice) = json["choices"].get(0) {
            let delta = &choice["delta"];
            let _ = write!(
                shape,
                " | {} | {} {} {}",
                fields(choice).unwrap(),
                fields(delta).unwrap(),
                if delta["content"].is_null() { "null" } else { "text" },
                choice["finish_reason"]
            );
        }
        for inner in ["usage", "metadata"] {
            shape += &fields(&json[inner]).map(|fields| format!(" | {fields}")).unwrap_or_default();
        }
        for list in ["tool_calls", "results"] {
            shape += &json[list].get(0).and_then(fields).map(|fields| format!(" | {fields}")).unwrap_or_default();
        }
        shape
    };
    let mut shapes: Vec<String> = frames.iter().map(shape).collect();
    shapes.dedup();
    shapes
}

/// The recorded streams of the original, encoded again from their events, have the same frames with the same fields in
/// the same order. Text is the exception: ours comes while the model writes it, theirs after everything else.
#[test]
fn our_bridge_has_the_frames_of_the_original() {
    for (name, calls) in [("bridge102_calc", true), ("bridge102_engine_500", false)] {
        let theirs = cut(&fs::read(golden().join(format!("openjarvis/{name}.sse"))).unwrap(), &[]);
        let prompt = theirs
            .iter()
            .find(|frame| frame.event == "agent_turn_start")
            .map(|frame| serde_json::from_str::<Value>(&frame.data).unwrap()["input"].as_str().unwrap().to_owned());
        let events = turn(&prompt.unwrap(), calls);
        let ours = cut(&encode(&mut bridge(), &events), &[]);
        let (mut theirs, mut ours) = (structure(&theirs), structure(&ours));
        let is_text = |shape: &String| shape.contains("text null");
        assert_eq!(theirs.iter().any(is_text), ours.iter().any(is_text), "{name}");
        theirs.retain(|shape| !is_text(shape));
        ours.retain(|shape| !is_text(shape));
        // The fields of items in an empty list are unknown.
        for shapes in [&mut theirs, &mut ours] {
            shapes.dedup();
        }
        assert_eq!(ours, theirs, "{name}");
    }
}

/// A turn as a session publishes it: a round with a call and one with text, or an engine that fails at once.
fn turn(prompt: &str, calls: bool) -> Vec<Envelope> {
    let event = |json: Value| serde_json::from_value::<AgentEvent>(json).unwrap();
    let mut events = vec![
        event(json!({"type": "turn_started", "turn": "t1"})),
        event(json!({"type": "user_message", "message": "m1", "text": prompt})),
    ];
    let usage = |n: u32| json!({"type": "usage_reported", "scope": {"request": n}, "usage": {"input_tokens": 50, "output_tokens": 4}});
    let rest = if calls {
        vec![
            json!({"type": "message_started", "message": "m2", "role": "assistant"}),
            json!({"type": "tool_call_started", "call": "c", "message": "m2", "name": "calculator"}),
            json!({"type": "tool_call_ready", "call": "c", "name": "calculator", "args": "{\"expression\":\"12*34+5\"}"}),
            json!({"type": "message_finished", "message": "m2", "stop": "tool_calls"}),
            usage(1),
            json!({"type": "tool_call_finished", "call": "c", "outcome": "ok", "output": {"text": "413"}, "took": 1}),
            json!({"type": "message_started", "message": "m3", "role": "assistant"}),
            json!({"type": "text_delta", "message": "m3", "text": "It comes to "}),
            json!({"type": "text_delta", "message": "m3", "text": "413."}),
            json!({"type": "message_finished", "message": "m3", "stop": "end"}),
            usage(2),
            json!({"type": "turn_finished", "turn": "t1", "end": "completed"}),
        ]
    } else {
        let fault = json!({"kind": "upstream", "message": "the server answered 500"});
        vec![json!({"type": "turn_finished", "turn": "t1", "end": {"failed": fault}})]
    };
    events.extend(rest.into_iter().map(event));
    let at = |n: usize| Millis(n as u64 * 10);
    events.into_iter().enumerate().map(|(n, event)| Envelope { seq: Seq(n as u64 + 1), at: at(n), event }).collect()
}

#[test]
fn the_bytes_are_what_they_were() {
    for (name, events) in demo().into_iter().chain([("turn/calls".into(), turn("12*34+5?", true))]) {
        let mut encoders: [(&str, Box<dyn Encode>); 2] = [("chat", Box::new(chunks())), ("bridge", Box::new(bridge()))];
        for (dialect, encoder) in &mut encoders {
            let bytes = encode(&mut **encoder, &events);
            let path = golden().join("encoded").join(format!("{dialect}_{}.sse", name.replace('/', "_")));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &bytes).unwrap();
            }
            let expected = fs::read(&path).unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&expected), "{name} as {dialect}");
        }
    }
}

#[test]
fn a_stream_is_the_same_however_it_is_cut() {
    let events = turn("12*34+5?", true);
    for mut encoder in [Box::new(chunks()) as Box<dyn Encode>, Box::new(bridge())] {
        let bytes = encode(&mut *encoder, &events);
        let whole = cut(&bytes, &[]);
        for at in 0..=bytes.len() {
            assert_eq!(cut(&bytes, &[at]), whole, "cut at {at}");
        }
        assert_eq!(cut(&bytes, &(0..bytes.len()).collect::<Vec<_>>()), whole, "byte by byte");
    }
}

/// The frames of a prefix are a prefix of the frames: so a stream can be resumed, and sent frames are never revoked.
#[test]
fn what_was_said_does_not_depend_on_what_comes() {
    for (name, events) in demo() {
        for make in [|| Box::new(chunks()) as Box<dyn Encode>, || Box::new(bridge()) as Box<dyn Encode>] {
            let mut whole = Vec::new();
            let mut encoder = make();
            encoder.start(&mut whole);
            let mut sizes = Vec::new();
            for event in &events {
                encoder.encode_event(event, &mut whole);
                sizes.push(whole.len());
            }
            for (n, size) in sizes.iter().enumerate().step_by(7) {
                let (mut encoder, mut out) = (make(), Vec::new());
                encoder.start(&mut out);
                for event in &events[..=n] {
                    encoder.encode_event(event, &mut out);
                }
                assert_eq!(out, whole[..*size], "{name} up to {n}");
            }
        }
    }
}

/// White space at the start of an answer, and between messages, doesn't count.
fn bare(text: &str) -> String {
    text.split_whitespace().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_legal_turn_is_understood(acts in acts(), end in ends()) {
        let mut input = made(acts, end.as_ref());
        prop_assume!(!says_all_again(&input));
        // On the bridge, a call that ends twice looks like another call.
        let mut over = HashSet::new();
        input.retain(|event| !matches!(event, AgentEvent::ToolCallFinished { call, .. } if !over.insert(call.clone())));
        let input = numbered(input);
        let expected = ShownChat::of(input.iter().map(|event| &event.event));
        let completed = end == Some(TurnOutcome::Completed);

        let bytes = encode(&mut chunks(), &input);
        let frames = cut(&bytes, &[]);
        prop_assert!(frames.iter().all(|frame| frame.event.is_empty() && frame.id.is_none()));
        prop_assert_eq!(frames.iter().filter(|frame| frame.data == "[DONE]").count(), 1);
        let events = decode_reply(&mut ChatDecoder::new(), &frames);
        prop_assert_eq!(check(&published(&events)), vec![]);
        let decoded = ShownChat::of(&events);
        prop_assert_eq!(bare(&decoded.text), bare(&expected.text));
        prop_assert_eq!(bare(&decoded.refusal), bare(&expected.refusal));
        prop_assert_eq!(bare(&decoded.reasoning), bare(&expected.reasoning));
        prop_assert_eq!(decoded.end == Some(TurnOutcome::Completed), completed);
        if completed {
            let calls = |shown: &ShownChat, ours: &dyn Fn(&str) -> bool| -> Vec<(String, String)> {
                let calls = shown.calls.iter().filter(|call| ours(&call.id));
                let mut calls: Vec<_> = calls.map(|call| (call.name.clone(), call.args.clone())).collect();
                calls.sort();
                calls
            };
            let ours = |id: &str| input.iter().any(|event| matches!(&event.event,
                AgentEvent::ToolCallStarted { call, executed_by: ExecutedBy::Client, .. } if call.as_str() == id));
            // A call that never became complete may have been started.
            let whole = |id: &str| expected.calls.iter().any(|call| call.id == id);
            prop_assert_eq!(calls(&decoded, &whole), calls(&expected, &ours), "{}", String::from_utf8_lossy(&bytes));
        }

        let bytes = encode(&mut bridge(), &input);
        let path = "/v1/chat/completions".to_owned();
        let context = DecodeContext { prompt: Some(PROMPT.into()), path, ..DecodeContext::default() };
        let events = decode_reply(&mut OpenJarvisDecoder::new(&context), &cut(&bytes, &[]));
        prop_assert_eq!(check(&published(&events)), vec![]);
        let decoded = ShownChat::of(&events);
        prop_assert_eq!(decoded.end == Some(TurnOutcome::Completed), completed);
        if completed {
            let results = |shown: &ShownChat| {
                // A call that was never complete may still have a result.
                let whole =
                    |call: &&ShownChatCall| expected.calls.iter().any(|known| known.name == call.name && known.result.is_some());
                let calls = shown.calls.iter().filter(whole);
                let ran = calls.filter_map(|call| Some((call.name.clone(), call.result.clone()?)));
                let mut ran: Vec<_> = ran.map(|(name, (well, output, _))| (name, well, output)).collect();
                ran.sort();
                ran
            };
            prop_assert_eq!(results(&decoded), results(&expected), "{}", String::from_utf8_lossy(&bytes));
        }
    }
}
