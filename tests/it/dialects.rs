//! Every dialect against its recorded streams: cut into frames, detected, decoded, and folded to what a person should
//! see.
//!
//! To add a case: put `NAME.sse` (or `NAME.ndjson`, or `NAME.body` for one JSON value in place of a stream) and `NAME.json` into `tests/golden/<dialect>/`, where `<dialect>`
//! is the name of a row in `dialect::DIALECTS` (the folder `chat` is `openai-chat`). The JSON holds
//! `request.path`, `request.body`, `response.content_type` and `response.headers`, from which the decoder's context is made, and `expect`,
//! of which every key is compared: see [`ShownTurn::compare`]. A key that it does not know fails the test. Cases
//! written by hand may use `events` as well: the exact events, compared as JSON.
//!
//! Each case must give the same events however it is cut, survive damage, obey the grammar, be detected as the dialect
//! of its folder, and give the same result if that dialect is named explicitly.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jarvis_tui::dialect::detect::Detector;
use jarvis_tui::dialect::{DIALECTS, DecodeContext, ResponseHead, SseFrame, TEXT_PIECE_NAME};
use jarvis_tui::engine::remote::REQUEST_KINDS;
use jarvis_tui::event::grammar::{self, Sealer};
use jarvis_tui::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, FinishReason, MessageId, NoticeCode, TurnOutcome,
    Usage, UsageScope,
};
use jarvis_tui::net::request::Framing;
use jarvis_tui::net::sse::FrameSplitter;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::replies::decode_reply;
use crate::testkit::events::{Opened, turn_started};

pub(super) struct GoldenCase {
    pub(super) name: String,
    dialect: String,
    framing: Framing,
    stream: Vec<u8>,
    context: DecodeContext,
    /// What a program printed, rather than the answer of a server.
    is_program: bool,
    expect: Value,
}

pub(super) fn cases() -> Vec<GoldenCase> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut streams: Vec<PathBuf> = fs::read_dir(golden)
        .unwrap()
        .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "sse" || ext == "ndjson" || ext == "body"))
        .filter(|path| path.with_extension("json").exists())
        .collect();
    streams.sort();
    streams.iter().map(|path| GoldenCase::read(path)).collect()
}

impl GoldenCase {
    fn read(path: &Path) -> Self {
        let about: Value = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let content_type = about["response"]["content_type"].as_str().unwrap_or("text/event-stream");
        let own = about["response"]["headers"].as_object().into_iter().flatten();
        let headers = own
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap().to_owned()))
            .chain([("content-type", content_type.to_owned())]);
        let path_of = about["request"]["path"].as_str().unwrap_or_default();
        let is_program = about["program"].is_string();
        Self {
            name: format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap()),
            dialect: if folder == "chat" { "openai-chat".into() } else { folder.to_owned() },
            framing: match path.extension().and_then(|ext| ext.to_str()) {
                Some("sse") => Framing::Sse,
                Some("body") => Framing::Any,
                _ => Framing::Ndjson,
            },
            stream: fs::read(path).unwrap(),
            context: DecodeContext {
                prompt: prompt(&about["request"]["body"]),
                path: path_of.split('?').next().unwrap().to_owned(),
                response: if is_program { ResponseHead::default() } else { ResponseHead::new(200, headers) },
            },
            is_program,
            expect: about["expect"].clone(),
        }
    }

    fn detector(&self) -> Detector {
        Detector::new(self.context.clone())
    }

    fn events<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<AgentEvent> {
        decode_reply(&mut self.detector(), &self.frames(chunks).0)
    }

    fn joined_events<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<AgentEvent> {
        joined_deltas(self.events(chunks), &self.dialect)
    }

    pub(super) fn whole(&self) -> Vec<AgentEvent> {
        self.events([&self.stream[..]])
    }

    fn frames<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<SseFrame>, FrameSplitter) {
        let (mut frames, mut out) =
            (FrameSplitter::for_content_type(self.framing, self.context.response.content_type()), Vec::new());
        for chunk in chunks {
            // Damage may be an error; what came before it counts.
            if frames.push(chunk, &mut out).is_err() {
                return (out, frames);
            }
        }
        frames.finish(&mut out);
        (out, frames)
    }
}

/// Joins the pieces of a text, which come as they are cut.
fn joined_frames(frames: Vec<SseFrame>) -> Vec<SseFrame> {
    let mut joined: Vec<SseFrame> = Vec::new();
    for frame in frames {
        match joined.last_mut() {
            Some(last) if frame.event == TEXT_PIECE_NAME && last.event == frame.event => {
                last.data.push_str(&frame.data);
            }
            _ => joined.push(frame),
        }
    }
    joined
}

/// Joins the deltas of a text, likewise. In every other dialect a frame's deltas are its own.
fn joined_deltas(events: Vec<AgentEvent>, dialect: &str) -> Vec<AgentEvent> {
    let mut joined: Vec<AgentEvent> = Vec::new();
    for event in events {
        match (joined.last_mut(), &event) {
            (Some(AgentEvent::TextDelta { text, .. }), AgentEvent::TextDelta { text: more, .. })
                if dialect == "text" =>
            {
                text.push_str(more);
            }
            _ => joined.push(event),
        }
    }
    joined
}

/// Finds the prompt in any request body.
fn prompt(body: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let parts = |message: &Value| text(&message["content"]).or_else(|| text(&message["parts"][0]["text"]));
    let last = body["messages"].as_array().and_then(|messages| messages.last()).and_then(parts);
    last.or_else(|| ["content", "input", "query", "prompt"].iter().find_map(|key| text(&body[*key])))
        .or_else(|| parts(&body["params"]["message"]))
        .or_else(|| parts(&body["message"]))
}

/// Returns the events as a session publishes them: opened, in a turn, sealed.
pub(super) fn published(events: &[AgentEvent]) -> Vec<AgentEvent> {
    let mut run = vec![Opened { engine: "remote", model: "m", ..Opened::default() }.event(), turn_started("t")];
    let (last, before) = events.split_last().expect("a turn ends");
    run.extend_from_slice(before);
    let mut sealer = Sealer::new();
    for event in &run {
        // `grammar::check` reports violations.
        let _ = sealer.observe(event);
    }
    let AgentEvent::TurnFinished { turn, outcome: end } = last else { panic!("the last event is {last:?}") };
    assert_eq!(turn.as_str(), "t");
    run.extend(sealer.close_contents(end));
    run.push(last.clone());
    run
}

/// What a person sees at the end.
#[derive(Debug, Default)]
struct ShownTurn {
    end: Option<TurnOutcome>,
    /// The texts of sub-agents are not the answer.
    hides_sub_agents: bool,
    /// Usage is the sum over the requests, unless that is told.
    sums_requests: bool,
    requests: BTreeMap<u32, Usage>,
    sub_agent_messages: Vec<MessageId>,
    messages: Vec<(MessageId, String)>,
    stops: Vec<FinishReason>,
    reasoning: String,
    calls: Vec<ShownCall>,
    usage: Option<Usage>,
    notices: Vec<(NoticeCode, String)>,
    annotations: Vec<(String, Value)>,
}

#[derive(Debug)]
struct ShownCall {
    id: CallId,
    /// The call whose sub-agent makes this one.
    parent: Option<CallId>,
    name: String,
    args: String,
    outcome: Option<CallOutcome>,
    output: String,
    took: Option<u64>,
}

impl ShownTurn {
    fn of(run: &[AgentEvent], case: &GoldenCase) -> Self {
        let mut shown = Self { hides_sub_agents: case.is_program, sums_requests: case.is_program, ..Self::default() };
        for event in run {
            shown.take(event);
        }
        shown
    }

    fn take(&mut self, event: &AgentEvent) {
        let call = |shown: &mut Self, id: &CallId| shown.calls.iter().position(|call| call.id == *id).unwrap();
        match event.clone() {
            AgentEvent::MessageStarted { message, parent, .. } => {
                if parent.is_some_and(|_| self.hides_sub_agents) {
                    self.sub_agent_messages.push(message.clone());
                }
                self.messages.push((message, String::new()));
            }
            AgentEvent::TextDelta { message, text, .. } => self.text(&message).push_str(&text),
            AgentEvent::ReasoningDelta { text, .. } => self.reasoning.push_str(&text),
            AgentEvent::MessageFinished { message, finish_reason: stop, full_text: full, .. } => {
                self.stops.push(stop);
                if let Some(full) = full {
                    *self.text(&message) = full;
                }
            }
            AgentEvent::ToolCallStarted { call, name, parent, .. } => self.calls.push(ShownCall {
                id: call,
                parent,
                name: name.unwrap_or_default(),
                args: String::new(),
                outcome: None,
                output: String::new(),
                took: None,
            }),
            AgentEvent::ToolCallReady { call: id, name, args, .. } => {
                let at = call(self, &id);
                self.calls[at].name = name;
                self.calls[at].args = args;
            }
            AgentEvent::ToolCallFinished { call: id, outcome, output, duration: took } => {
                let at = call(self, &id);
                let known = &mut self.calls[at];
                known.outcome = Some(outcome);
                known.output = output.text;
                known.took = took.map(|took| took.0).or(known.took);
            }
            AgentEvent::Annotation { on: AnnotationTarget::Call(call), annotation: Annotation::Foreign(true) } => {
                self.calls.retain(|known| known.id != call);
            }
            AgentEvent::Annotation { annotation, .. } => {
                let mut json = serde_json::to_value(annotation).unwrap();
                self.annotations.push((json["kind"].as_str().unwrap().to_owned(), json["data"].take()));
            }
            AgentEvent::UsageReported { scope: UsageScope::Request(number), usage } if self.sums_requests => {
                self.requests.insert(number, usage);
                self.usage = Some(self.requests.values().fold(Usage::default(), |sum, usage| sum.plus(*usage)));
            }
            AgentEvent::UsageReported { usage, .. } => self.usage = Some(usage),
            AgentEvent::Notice { code, text, .. } => self.notices.push((code, text)),
            AgentEvent::TurnFinished { outcome: end, .. } => self.end = Some(end),
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::Unknown(_) => {}
        }
    }

    fn text(&mut self, message: &MessageId) -> &mut String {
        &mut self.messages.iter_mut().find(|(id, _)| id == message).expect("text in a message that was started").1
    }

    fn texts(&self) -> Vec<&str> {
        let own = self.messages.iter().filter(|(id, _)| !self.sub_agent_messages.contains(id));
        own.map(|(_, text)| text.as_str()).filter(|text| !text.is_empty()).collect()
    }

    fn annotation(&self, kind: &str) -> Option<&Value> {
        self.annotations.iter().rev().find(|(known, _)| known == kind).map(|(_, data)| data)
    }

    /// Compares one key of `expect`; data that is in the frames but not in events is compared with the frames.
    fn compare(&self, key: &str, wanted: &Value, case: &GoldenCase) {
        let at = format!("{}: {key}", case.name);
        match key {
            "outcome" => {
                let outcome = match self.end.as_ref().unwrap() {
                    TurnOutcome::Completed => "completed",
                    TurnOutcome::Cancelled => "cancelled",
                    TurnOutcome::Interrupted => "interrupted",
                    TurnOutcome::Failed(_) => "failed",
                };
                assert_eq!(outcome, wanted, "{at}\n{self:#?}");
            }
            // The text of a failed turn may contain its error message: then `partial_text` is the answer.
            "text" if case.expect.get("partial_text").is_some() => {}
            "text" if case.is_program => {
                let also = list(&case.expect["text_also_ok"]).iter().chain([wanted]);
                assert!(
                    also.clone().any(|text| *text == self.texts().join("\n\n")),
                    "{at}: {:?} {wanted}",
                    self.texts()
                );
            }
            "text" | "partial_text" => assert_eq!(self.texts().join("\n\n"), wanted.as_str().unwrap(), "{at}"),
            "messages" => {
                let text =
                    |message: &'_ Value| message.as_str().or_else(|| message["text"].as_str()).unwrap().to_owned();
                assert_eq!(self.texts(), list(wanted).iter().map(text).collect::<Vec<_>>(), "{at}");
            }
            "reasoning" => assert_eq!(self.reasoning, wanted.as_str().unwrap_or_default(), "{at}"),
            "tool_calls" => {
                // Some recordings list calls that nobody ran separately.
                let ran = |call: &&ShownCall| {
                    case.expect.get("requested_tool_calls").is_none() || call.outcome != Some(CallOutcome::Requested)
                };
                compare_calls(&self.calls.iter().filter(ran).collect::<Vec<_>>(), list(wanted), &at);
            }
            "requested_tool_calls" => {
                let asked: Vec<&ShownCall> =
                    self.calls.iter().filter(|call| call.outcome == Some(CallOutcome::Requested)).collect();
                compare_calls(&asked, list(wanted), &at);
            }
            "awaiting_input" => {
                let asks = |(code, _): &(NoticeCode, String)| *code == NoticeCode::InputRequired;
                assert!(self.notices.iter().any(asks), "{at}: {:?}", self.notices);
            }
            // Of a bus that tells everybody everything.
            "user_text" => assert!(!self.texts().contains(&wanted.as_str().unwrap()), "{at}"),
            "usage" => self.compare_usage(wanted, case.expect["usage_input_includes_cached"] == json!(false), &at),
            "thinking" => {
                let thoughts = list(wanted).iter().map(|thought| thought.as_str().unwrap()).collect::<String>();
                assert_eq!(squeezed(&self.reasoning).replace(' ', ""), squeezed(&thoughts).replace(' ', ""), "{at}");
            }
            "cost_usd" => {
                let told = self.annotation("cost").map(|cost| cost["usd"].as_f64().unwrap());
                let difference = wanted.as_f64().zip(told).map(|(wanted, told)| (wanted - told).abs());
                assert!(
                    difference.map_or(wanted.is_null() && told.is_none(), |by| by < 1e-9),
                    "{at}: {told:?} {wanted}"
                );
            }
            "session_id" => assert_eq!(self.annotation("served_by").map(|by| &by["id"]), Some(wanted), "{at}"),
            "warnings" | "transient_errors" => {
                for warning in list(wanted) {
                    let words = squeezed(warning.as_str().unwrap());
                    assert!(self.notices.iter().any(|(_, text)| squeezed(text).contains(&words)), "{at}: {words}");
                }
            }
            "error" => self.compare_error(wanted, &at),
            "errors" => {
                for error in list(wanted) {
                    let words = error["error"].as_str().unwrap();
                    let is_reported = self.notices.iter().any(|(_, text)| squeezed(text).contains(&squeezed(words)));
                    let fatal = matches!(&self.end, Some(TurnOutcome::Failed(fault)) if squeezed(&fault.message).contains(&squeezed(words)));
                    assert!(is_reported || fatal, "{at}: {words} is not among {:?}", self.notices);
                }
            }
            "finish_reason" => {
                let wanted = match wanted.as_str() {
                    _ if case.expect["outcome"] != "completed" => return,
                    None => return,
                    Some("tool_calls" | "function_call" | "tool_use") => FinishReason::ToolCalls,
                    Some("length" | "max_tokens") => FinishReason::Length,
                    Some("content_filter" | "refusal") => FinishReason::Refused,
                    Some(_) => FinishReason::End,
                };
                assert_eq!(self.stops.last().copied().unwrap_or(FinishReason::End), wanted, "{at}");
            }
            "complexity" | "telemetry" | "sources" => assert_eq!(self.annotation(key), Some(wanted), "{at}"),
            "tokens_per_second" => {
                assert_eq!(self.annotation("timing").unwrap()["tokens_per_second"], *wanted, "{at}");
            }
            "notices" => {
                let codes = self.notices.iter().map(|(code, _)| code).filter(|code| **code != NoticeCode::Dialect);
                let codes: Vec<&NoticeCode> = codes.collect();
                assert_eq!(json!(codes), *wanted, "{at}: {:?}", self.notices);
            }
            "inference_calls" => assert_eq!(self.progress("inference_start").len() as u64, *wanted, "{at}"),
            "agent_turns" => {
                let agents: Vec<&Value> = self.progress("agent_turn_start").iter().map(|data| &data["agent"]).collect();
                assert_eq!(json!(agents), *wanted, "{at}");
            }
            "event_order" => {
                let frames = case.frames([&case.stream[..]]).0;
                let unnamed = if list(wanted).contains(&json!("message")) { "message" } else { "chunk" };
                let name = |frame: &SseFrame| match frame.event.as_str() {
                    "" if frame.data == "[DONE]" => "[DONE]".to_owned(),
                    "" => unnamed.to_owned(),
                    name => name.to_owned(),
                };
                assert_eq!(json!(frames.iter().map(name).collect::<Vec<_>>()), *wanted, "{at}");
            }
            "ids" => {
                let frames = case.frames([&case.stream[..]]).0;
                let ids: Vec<&str> = frames.iter().filter_map(|frame| frame.id.as_deref()).collect();
                assert_eq!(json!(ids), *wanted, "{at}");
            }
            "last_event_id" => assert_eq!(json!(case.frames([&case.stream[..]]).1.last_event_id()), *wanted, "{at}"),
            "retry_ms" => assert_eq!(json!(case.frames([&case.stream[..]]).1.retry_millis()), *wanted, "{at}"),
            "events" => {
                let events = serde_json::to_value(case.whole()).unwrap();
                assert_eq!(events, *wanted, "{at}");
            }
            // Details of the recording that no client shows, or that another key covers.
            "ended"
            | "model"
            | "chunk_id"
            | "response_id"
            | "content_deltas"
            | "tool_results_event"
            | "output_text"
            | "output_items"
            | "complete"
            | "status"
            | "inference_open_at_end"
            | "session_id_present"
            | "exit_code"
            | "usage_input_includes_cached"
            | "text_also_ok"
            | "notes" => {}
            _ => panic!("{at}: this key is not compared; teach `ShownTurn::compare` to"),
        }
    }

    fn progress(&self, step: &str) -> Vec<&Value> {
        let of = |(kind, data): &'_ &(String, Value)| kind == "progress" && data["step"] == step;
        self.annotations.iter().filter(of).map(|(_, data)| data).collect()
    }

    /// Compares counts; where the input excludes what was cached, that is added to it.
    fn compare_usage(&self, wanted: &Value, excludes_cached: bool, at: &str) {
        if wanted.is_null() {
            return assert_eq!(self.usage, None, "{at}");
        }
        let usage = self.usage.unwrap_or_else(|| panic!("{at}: none was told"));
        let actual = json!({
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.total(),
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_tokens": usage.cached_tokens,
            "cached_input_tokens": usage.cached_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "reasoning_output_tokens": usage.reasoning_tokens,
        });
        let cached = wanted["cached_input_tokens"].as_u64().filter(|_| excludes_cached).unwrap_or(0);
        for (key, wanted) in wanted.as_object().unwrap() {
            let more = if key == "input_tokens" { cached } else { 0 };
            assert_eq!(actual[key], json!(wanted.as_u64().unwrap() + more), "{at}.{key}");
        }
    }

    fn compare_error(&self, wanted: &Value, at: &str) {
        let words = wanted.as_str().or_else(|| wanted["message"].as_str());
        match (words, self.end.as_ref().unwrap()) {
            (None, TurnOutcome::Failed(fault)) => panic!("{at}: {fault}"),
            (None, _) => {}
            (Some(words), TurnOutcome::Failed(fault)) => {
                let kept = squeezed(&fault.message).contains(squeezed(words).trim_end_matches('.'));
                assert!(kept, "{at}: {words:?} is not in {:?}", fault.message);
            }
            (Some(words), end) => panic!("{at}: {words:?} is an error, not {end:?}"),
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Arguments are compared as JSON if they are JSON; a time may be rounded to its millisecond.
fn compare_calls(calls: &[&ShownCall], wanted: &[Value], at: &str) {
    assert_eq!(calls.len(), wanted.len(), "{at}: {calls:#?}");
    for (call, wanted) in calls.iter().zip(wanted) {
        for (key, value) in wanted.as_object().unwrap() {
            match key.as_str() {
                "id" => assert_eq!(json!(call.id), *value, "{at}"),
                "name" => assert_eq!(call.name, *value, "{at}"),
                "arguments" | "arguments_json" => {
                    let read = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| json!(text));
                    let wanted = value.as_str().map_or_else(|| value.clone(), read);
                    assert_eq!(read(&call.args), wanted, "{at}");
                }
                "output" | "partial_output" => assert_eq!(call.output, value.as_str().unwrap_or_default(), "{at}"),
                "success" => {
                    let outcome = match value.as_bool() {
                        Some(true) => &[CallOutcome::Ok][..],
                        Some(false) => &[CallOutcome::Failed, CallOutcome::Denied],
                        None => &[CallOutcome::Unknown, CallOutcome::Requested],
                    };
                    assert!(outcome.contains(&call.outcome.unwrap()), "{at}: {call:?} against {value}");
                }
                "status" => {
                    let outcomes = match value.as_str().unwrap() {
                        "done" | "completed" => &[CallOutcome::Ok, CallOutcome::Failed, CallOutcome::Denied][..],
                        "ok" => &[CallOutcome::Ok],
                        "failed" | "error" => &[CallOutcome::Failed, CallOutcome::Denied],
                        "refused" | "denied" => &[CallOutcome::Failed, CallOutcome::Denied],
                        "requested" => &[CallOutcome::Requested],
                        "unknown" | "running" | "open" | "unfinished" => &[CallOutcome::Unknown],
                        other => panic!("{at}: what is {other}?"),
                    };
                    assert!(outcomes.contains(&call.outcome.unwrap()), "{at}: {call:?} is not {value}");
                }
                "latency_ms" | "duration_ms" => {
                    let near = value.as_f64().map(|ms| call.took.is_some_and(|took| (took as f64 - ms).abs() <= 1.0));
                    assert!(near.unwrap_or(call.took.is_none()), "{at}: {call:?} against {value}");
                }
                "parent" => assert_eq!(json!(call.parent), *value, "{at}"),
                "index" | "started" | "exit_code" => {}
                other => panic!("{at}: {other} of a call is not compared"),
            }
        }
    }
}

fn is_dialect_notice(event: &AgentEvent) -> bool {
    matches!(event, AgentEvent::Notice { code: NoticeCode::Dialect, .. })
}

#[test]
fn every_recording_shows_what_it_should() {
    let cases = cases();
    assert!(!cases.is_empty());
    for case in &cases {
        let shown = ShownTurn::of(&published(&case.whole()), case);
        for (key, wanted) in case.expect.as_object().unwrap() {
            shown.compare(key, wanted, case);
        }
    }
}

#[test]
fn every_recording_is_recognised_and_the_reason_is_told_once() {
    for case in cases() {
        let mut detector = case.detector();
        let events = decode_reply(&mut detector, &case.frames([&case.stream[..]]).0);
        assert_eq!(detector.name(), case.dialect, "{}: {:?}", case.name, events.first());
        let notice_count = events.iter().filter(|event| is_dialect_notice(event)).count();
        let fails_at_once = events.len() == 1;
        assert!(notice_count == 1 || fails_at_once, "{}: {notice_count} reasons", case.name);
    }
}

#[test]
fn a_dialect_that_is_named_decodes_as_one_that_is_recognised() {
    for case in cases() {
        let frames = case.frames([&case.stream[..]]).0;
        let mut pinned = Detector::with_dialect(&case.dialect, case.context.clone())
            .unwrap_or_else(|| panic!("{} has no row in DIALECTS", case.dialect));
        let mut recognised = case.whole();
        recognised.retain(|event| !is_dialect_notice(event));
        let mut named = decode_reply(&mut pinned, &frames);
        named.retain(|event| !is_dialect_notice(event));
        assert_eq!(named, recognised, "{}", case.name);
        let row = DIALECTS.iter().find(|row| row.name == case.dialect).unwrap();
        assert_eq!(decode_reply(&mut *(row.decode)(&case.context), &frames), recognised, "{}", case.name);
    }
}

#[test]
fn every_recording_cut_at_any_byte_is_the_same() {
    for case in cases() {
        // A decoder sees only frames, so the same frames give the same events.
        let whole = joined_frames(case.frames([&case.stream[..]]).0);
        for size in [1, 2, 3, 7] {
            let cut = joined_frames(case.frames(case.stream.chunks(size)).0);
            assert_eq!(cut, whole, "{} in pieces of {size}", case.name);
        }
        // Quadratic, so only the short ones; a program's lines are cut one by one.
        let cuts = if !case.is_program && case.stream.len() <= 2560 { 0..=case.stream.len() } else { 0..=0 };
        for at in cuts {
            let (left, right) = case.stream.split_at(at);
            assert_eq!(joined_frames(case.frames([left, right]).0), whole, "{} at {at}", case.name);
        }
        let mut end = 0;
        for line in case.stream.split_inclusive(|byte| *byte == b'\n').filter(|_| case.is_program) {
            let alone = case.frames([line]).0;
            let cuts = if end < 8 * 1024 { 0..=line.len().min(8 * 1024) } else { 0..=0 };
            for at in cuts {
                let (left, right) = line.split_at(at);
                assert_eq!(case.frames([left, right]).0, alone, "{} at {}", case.name, end + at);
            }
            end += line.len();
            let (left, right) = case.stream.split_at(end);
            assert_eq!(case.frames([left, right]).0, whole, "{} at the line that ends at {end}", case.name);
        }
        assert_eq!(case.joined_events(case.stream.chunks(1)), case.whole(), "{} byte by byte", case.name);
    }
}

/// The events of chat completions must not depend on whether they might be OpenJarvis's.
#[test]
fn chat_completions_that_are_recognised_are_those_of_the_chat_decoder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat");
    let mut seen = 0;
    for path in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        if path.extension().is_none_or(|ext| ext != "sse") {
            continue;
        }
        let (mut frames, mut cut) = (FrameSplitter::new(Framing::Sse), Vec::new());
        frames.push(&fs::read(&path).unwrap(), &mut cut).unwrap();
        frames.finish(&mut cut);
        let mut detector = Detector::new(DecodeContext::default());
        let mut events = decode_reply(&mut detector, &cut);
        let notice_count = events.iter().filter(|event| is_dialect_notice(event)).count();
        events.retain(|event| !is_dialect_notice(event));
        if detector.name() == "plain" {
            // An error or nothing at all came in place of an answer.
            let completed =
                matches!(events.last(), Some(AgentEvent::TurnFinished { outcome: TurnOutcome::Completed, .. }));
            assert!(!completed, "{}: {events:?}", path.display());
            continue;
        }
        seen += 1;
        assert_eq!((detector.name(), notice_count), ("openai-chat", 1), "{}", path.display());
        let mut chat =
            (DIALECTS.iter().find(|row| row.name == "openai-chat").unwrap().decode)(&DecodeContext::default());
        assert_eq!(events, decode_reply(&mut *chat, &cut), "{}", path.display());
    }
    assert!(seen > 20, "{seen} goldens");
}

#[test]
fn every_recording_obeys_the_grammar_wherever_it_ends() {
    for case in cases() {
        let step = case.stream.len().div_ceil(200).max(1);
        let edges = case.stream.iter().enumerate().filter(|(_, byte)| case.is_program && **byte == b'\n');
        let edges: Vec<usize> = edges.flat_map(|(at, _)| [at, at + 1]).collect();
        for end in (0..case.stream.len()).step_by(step).chain([case.stream.len()]).chain(edges) {
            let events = case.events([&case.stream[..end]]);
            let ends = events.iter().filter(|event| matches!(event, AgentEvent::TurnFinished { .. })).count();
            assert_eq!(ends, 1, "{} up to {end}", case.name);
            let run = published(&events);
            assert_eq!(grammar::check(&run), [], "{} up to {end}: {run:#?}", case.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_recording_may_be_cut_often(cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..24)) {
        for case in cases() {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(case.stream.len() + 1)).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([case.stream.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let chunks = starts.zip(ends).map(|(from, to)| &case.stream[from..to]);
            prop_assert_eq!(case.joined_events(chunks), case.whole(), "{}", case.name);
        }
    }

    #[test]
    fn a_damaged_recording_obeys_the_grammar(
        at in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..6),
        cut in 0_usize..40,
    ) {
        for case in cases() {
            let at = at.index(case.stream.len());
            let mut stream = case.stream.clone();
            stream.splice(at..(at + cut).min(case.stream.len()), junk.iter().copied());
            let run = published(&case.events([&stream[..]]));
            prop_assert_eq!(grammar::check(&run), [], "{}: {:#?}", case.name, run);
        }
    }

    #[test]
    fn frames_lost_or_doubled_or_moved_obey_the_grammar(
        at in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        what in 0..3,
    ) {
        for case in cases() {
            let mut frames = case.frames([&case.stream[..]]).0;
            let (at, to) = (at.index(frames.len()), to.index(frames.len()));
            match what {
                0 => drop(frames.remove(at)),
                1 => frames.insert(to, frames[at].clone()),
                _ => frames.swap(at, to),
            }
            let run = published(&decode_reply(&mut case.detector(), &frames));
            prop_assert_eq!(grammar::check(&run), [], "{}: {:#?}", case.name, run);
        }
    }

    #[test]
    fn every_decoder_survives_frames_of_any_other(at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let cases = cases();
        let (one, two) = (&cases[at.index(cases.len())], &cases[other.index(cases.len())]);
        let mut frames = one.frames([&one.stream[..]]).0;
        frames.truncate(frames.len() / 2);
        frames.extend(two.frames([&two.stream[..]]).0);
        for row in DIALECTS {
            let run = published(&decode_reply(&mut *(row.decode)(&one.context), &frames));
            prop_assert_eq!(grammar::check(&run), [], "{} and {} as {}: {:#?}", one.name, two.name, row.name, run);
        }
    }
}

#[test]
fn every_dialect_has_a_name_of_its_own_and_recordings() {
    let recorded: Vec<String> = cases().into_iter().map(|case| case.dialect).collect();
    for row in DIALECTS {
        assert_eq!(DIALECTS.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
        assert_eq!(DIALECTS.iter().filter(|other| other.title == row.title).count(), 1, "{}", row.title);
        assert!(recorded.iter().any(|name| name == row.name), "{} has no recording", row.name);
        let base = row.extends.map_or(row.name, |extension| extension.base);
        assert!(DIALECTS.iter().any(|other| other.name == base), "{} extends {base}", row.name);
    }
}

#[test]
fn readme_manual_and_settings_name_every_dialect_and_request() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    for path in ["README.md", "assets/manual/attaching.md"] {
        let text = read(path);
        for name in DIALECTS.iter().map(|row| row.name).chain(REQUEST_KINDS.map(|kind| kind.name)) {
            assert!(text.contains(&format!("`{name}`")), "{path} does not name {name}");
        }
    }
    let settings = read("assets/config.toml");
    for kind in REQUEST_KINDS {
        assert!(settings.contains(&format!("\"{}\"", kind.name)), "the settings do not name {}", kind.name);
    }
}

#[test]
fn every_request_has_a_name_of_its_own() {
    for kind in REQUEST_KINDS {
        assert_eq!(REQUEST_KINDS.iter().filter(|other| other.name == kind.name).count(), 1, "{}", kind.name);
    }
}
