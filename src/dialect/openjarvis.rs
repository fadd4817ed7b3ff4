//! OpenJarvis: chat completion chunks with named events of its agent between them, in all its variants.
//!
//! | stream | how it differs |
//! | --- | --- |
//! | agent bridge | events of the agent, `tool_results`, usage with the last chunk; seconds |
//! | agent, direct, client tools | chunks only; telemetry and complexity with the last one |
//! | managed agent | tool events without a bus, chunks without `created`; milliseconds |
//! | deep research | no chunks: frames with a `type`, see `openjarvis/research.rs` |
//!
//! Errors come as prose in a chunk that also carries the finish reason: `openjarvis/error_prose.rs`. The bridge's
//! events come from a bus that all clients of the server share, so a call is shown at once only while no foreign events
//! were seen; otherwise it waits for `tool_results`, which lists only ours. Calls and their pairing:
//! `openjarvis/calls.rs`. Newer servers send no tool events in the stream of a chat: `openjarvis/feed.rs` takes them
//! from the feed and the traces. A superset of `chat`: a stream without any of this gives exactly the events that
//! `chat` gives.

mod calls;
pub mod encode;
mod error_prose;
mod evidence;
mod feed;
mod research;

use serde_json::json;

use self::calls::{OpenJarvisCalls, ReconciledCalls, ToolCallEnd, ToolCallStart};
use self::evidence::{BUS_EVENTS, OpenJarvisEvidence};
use super::chat::{self, ChatDecoder};
use super::surrogate;
use super::unknown_frames::UnknownFrames;
use super::{Decode, DecodeContext, DecodeExtension, Dialect, Evidence, Extension, FirstFrame, SseFrame};
use crate::event::{Annotation, Json, NoticeCode, NoticeLevel, ReplyEvent, ReplyTarget, UsageScope};

/// Also `--dialect openjarvis`.
pub const DIALECT: Dialect = Dialect {
    name: "openjarvis",
    title: "OpenJarvis",
    decode: |context| Box::new(OpenJarvisDecoder::new(context)),
    evidence,
    extends: Some(Extension {
        base: chat::DIALECT.name,
        decode: |context| Box::new(OpenJarvisDecoder::tentative(context)),
    }),
    limitations: "which tools ran, on servers from 1.0.3 on; which message a call belongs to",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let found = if BUS_EVENTS.contains(&first.name()) {
        Evidence::named(first)
    } else if research::is_research_kind(first) {
        Evidence::shape(format!("a frame has the type {}, as in a deep research", first.kind()))
    } else {
        return None;
    };
    Some(found.sharing_errors(first))
}

/// Decodes one answer.
#[derive(Debug)]
pub struct OpenJarvisDecoder {
    chat: ChatDecoder,
    calls: OpenJarvisCalls,
    evidence: OpenJarvisEvidence,
    bus: BusState,
    /// A frame of a deep research was seen.
    is_research: bool,
    unknown_frames: UnknownFrames,
}

/// Which agents the events on the bus come from.
#[derive(Debug)]
struct BusState {
    prompt: Option<String>,
    /// Our own agent has started.
    has_own_agent: bool,
    /// Foreign events were seen: from then on, events can't be attributed.
    has_foreign_events: bool,
    /// Requests to a model that started and have not ended.
    open_inferences: u32,
    /// It is the server's feed, on which agents start without an event.
    is_feed: bool,
}

impl BusState {
    /// Returns whether an event may be taken for ours.
    fn is_ours(&self) -> bool {
        !self.has_foreign_events && (self.has_own_agent || self.is_feed || self.prompt.is_none())
    }
}

impl OpenJarvisDecoder {
    /// Decodes a stream that is known to be OpenJarvis's.
    pub fn new(context: &DecodeContext) -> Self {
        Self { evidence: OpenJarvisEvidence::certain(context), ..Self::tentative(context) }
    }

    /// Decodes chat completions that may turn out to be OpenJarvis's.
    pub fn tentative(context: &DecodeContext) -> Self {
        let prompt = context.prompt.as_deref().map(str::trim).filter(|prompt| !prompt.is_empty());
        Self {
            chat: ChatDecoder::new(),
            calls: OpenJarvisCalls::default(),
            evidence: OpenJarvisEvidence::from_context(context),
            bus: BusState {
                prompt: prompt.map(ToOwned::to_owned),
                has_own_agent: false,
                has_foreign_events: false,
                open_inferences: 0,
                is_feed: false,
            },
            is_research: false,
            unknown_frames: UnknownFrames::default(),
        }
    }

    fn handle_event(&mut self, name: &str, json: &Json, out: &mut Vec<ReplyEvent>) {
        self.evidence.observe_event(name);
        let managed = self.evidence.is_managed();
        if !managed {
            // The start of our own agent precedes all its other events.
            self.bus.has_foreign_events |= name != "agent_turn_start" && name != "tool_results" && !self.bus.is_ours();
        }
        match name {
            "agent_turn_start" => self.handle_turn_start(json, out),
            "inference_start" => {
                self.bus.open_inferences = self.bus.open_inferences.saturating_add(1);
                self.bus.has_foreign_events |= self.bus.open_inferences > 1;
                if self.bus.is_ours() {
                    out.push(progress_event(json!({"step": name, "model": json.get("model"), "label": "thinking"})));
                }
            }
            "inference_end" => self.handle_inference_end(json, out),
            "tool_call_start" => {
                if managed {
                    // The text so far is a round of its own.
                    self.chat.start_round(out);
                }
                let shown = managed || self.bus.is_ours();
                if shown {
                    self.chat.begin_message(out);
                }
                if self.calls.start(ToolCallStart::parse(json), shown, &mut self.chat, out).is_err() {
                    self.unknown_frames.report("too many tool calls", out);
                }
            }
            "tool_call_end" => {
                let known = self.calls.finish(ToolCallEnd::parse(json, managed), managed, &mut self.chat, out);
                // An end without a start belongs to a call that started before we connected.
                self.bus.has_foreign_events |= !known && !managed;
            }
            "tool_results" => {
                let list = json.get("results").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
                let reconciled = self.calls.reconcile_results(list, &mut self.chat, out);
                report_foreign_calls(&reconciled, out);
            }
            _ => {}
        }
    }

    /// Handles the start of an agent. An input other than our prompt is another client's, or that of an agent inside a
    /// tool; `message` instead of `input` is always the latter.
    fn handle_turn_start(&mut self, json: &Json, out: &mut Vec<ReplyEvent>) {
        let Some(input) = json.get("input").and_then(Json::as_str) else { return };
        let ours = self.bus.prompt.as_deref().is_none_or(|prompt| prompt == input.trim());
        if self.bus.has_own_agent || !ours {
            self.bus.has_foreign_events = true;
            return;
        }
        self.bus.has_own_agent = true;
        if self.bus.is_ours() {
            let label = "the agent started";
            out.push(progress_event(json!({"step": "agent_turn_start", "agent": json.get("agent"), "label": label})));
        }
    }

    fn handle_inference_end(&mut self, json: &Json, out: &mut Vec<ReplyEvent>) {
        // Also of other agents: the results show which of them are ours.
        for call in json.get("tool_calls").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default() {
            self.calls.add_request(call);
        }
        self.bus.has_foreign_events |= self.bus.open_inferences == 0 && (self.bus.prompt.is_some() || self.bus.is_feed);
        self.bus.open_inferences = self.bus.open_inferences.saturating_sub(1);
        if self.bus.is_ours()
            && let Some(data) = inference_data(json)
        {
            out.push(about_turn(Annotation::Inference(data)));
        }
    }

    fn handle_chunk(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let Self { chat, evidence: signs, .. } = self;
        chat.decode_with_hook(frame, out, &mut |chunk, out| signs.inspect_chunk(chunk, &frame.data, out));
    }
}

impl Decode for OpenJarvisDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if self.chat.is_done() {
            return;
        }
        if BUS_EVENTS.contains(&frame.event.as_str()) {
            return match parse_json(&frame.data) {
                Some(json) => self.handle_event(&frame.event, &json, out),
                None => self.unknown_frames.report(&frame.event, out),
            };
        }
        let bare = frame.event.is_empty() && (self.is_research || research::may_be_research(&frame.data));
        match bare.then(|| parse_json(&frame.data)).flatten() {
            Some(json) if research::is_research_frame(&json) => {
                self.is_research = true;
                self.evidence.observe_research();
                research::decode(&json, &mut self.chat, &mut self.calls, out);
            }
            _ => self.handle_chunk(frame, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        // Our agent's start precedes everything else. Without one, the server gave it another input than our prompt;
        // and where a turn failed, no results follow to attribute the calls.
        if !self.bus.has_own_agent && !self.bus.is_feed && !self.chat.is_successful() {
            self.calls.show_hidden(&mut self.chat, out);
        }
        let reconciled = self.calls.drop_hidden();
        if !self.bus.is_feed {
            report_foreign_calls(&reconciled, out);
        } else if reconciled.hidden_count > 0 {
            feed::report_unattributed(reconciled.hidden_count, out);
        }
        let from = out.len();
        self.chat.finish(out);
        if self.evidence.evidence().is_none() {
            return;
        }
        // Its agents report the sum of all their requests.
        for event in out.iter_mut().skip(from) {
            if let ReplyEvent::UsageReported { scope, .. } = event {
                *scope = UsageScope::Turn;
            }
        }
    }

    fn has_failed(&self) -> bool {
        self.chat.has_failed()
    }

    fn is_done(&self) -> bool {
        self.chat.is_done()
    }

    fn is_complete(&self) -> bool {
        self.chat.is_complete()
    }
}

impl DecodeExtension for OpenJarvisDecoder {
    fn evidence(&self) -> Option<&str> {
        self.evidence.evidence()
    }
}

fn parse_json(data: &str) -> Option<Json> {
    surrogate::parse_json(data).filter(Json::is_object)
}

fn progress_event(mut data: Json) -> ReplyEvent {
    if let Some(data) = data.as_object_mut() {
        data.retain(|_, value| !value.is_null());
    }
    about_turn(Annotation::Progress(data))
}

fn about_turn(annotation: Annotation) -> ReplyEvent {
    ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation }
}

fn report_foreign_calls(reconciled: &ReconciledCalls, out: &mut Vec<ReplyEvent>) {
    for call in &reconciled.foreign {
        let on = ReplyTarget::Call(call.clone());
        out.push(ReplyEvent::Annotation { on, annotation: Annotation::Foreign(true) });
    }
    let notice = |text: String| ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::ForeignCalls, text };
    match reconciled.hidden_count {
        0 => {}
        1 => out.push(notice("1 tool call missing from this turn's results was left out".into())),
        n => out.push(notice(format!("{n} tool calls missing from this turn's results were left out"))),
    }
    if !reconciled.foreign.is_empty() {
        out.push(notice(
            "some tool calls above are missing from this turn's results; they may be another client's".into(),
        ));
    }
}

/// The server's measurements of one request to a model, without the zeros of monitors that it lacks.
fn inference_data(json: &Json) -> Option<Json> {
    let number = |json: &Json, key: &str| json.get(key).and_then(Json::as_f64).filter(|n| *n > 0.0);
    let rounded = |n: f64| json!((n * 1000.0).round() / 1000.0);
    let mut data = serde_json::Map::new();
    let pairs = [
        ("latency_ms", number(json, "latency").map(|seconds| seconds * 1000.0)),
        ("first_token_ms", number(json, "ttft").map(|seconds| seconds * 1000.0)),
        ("tokens_per_second", number(json, "throughput_tok_per_sec")),
        ("energy_j", number(json, "energy_joules")),
        ("power_w", number(json, "power_watts")),
    ];
    data.extend(pairs.into_iter().filter_map(|(key, n)| Some((key.to_owned(), rounded(n?)))));
    let usage = json.get("usage");
    for (key, wire) in [("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")] {
        if let Some(n) = usage.and_then(|usage| usage.get(wire)).and_then(Json::as_u64) {
            data.insert(key.into(), json!(n));
        }
    }
    if let Some(model) = json.get("model").filter(|model| model.is_string()) {
        data.insert("model".into(), model.clone());
    }
    (!data.is_empty()).then_some(Json::Object(data))
}

#[cfg(test)]
mod tests;
