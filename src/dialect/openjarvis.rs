//! OpenJarvis: chat completion chunks with named events of its agent between them, in all its accents.
//!
//! | stream | how it differs |
//! | --- | --- |
//! | agent bridge | events of the agent, `tool_results`, usage with the last chunk; seconds |
//! | agent, direct, client tools | chunks only; telemetry and complexity with the last one |
//! | managed agent | tool events without a bus, chunks without `created`; milliseconds |
//! | deep research | no chunks: frames with a `type`, see `openjarvis/research.rs` |
//!
//! Errors come as prose in a chunk that also carries the finish reason: `openjarvis/prose.rs`. The bridge's events come
//! from a bus that all clients of the server share, so a call is shown at once only while nobody else's events were
//! seen; otherwise it waits for `tool_results`, which lists only ours. Calls and their pairing: `openjarvis/calls.rs`.
//! Newer servers say nothing of tools in the stream of a chat: `openjarvis/feed.rs` takes them from elsewhere.
//! A superset of `chat`: a stream without any of this gives exactly the events that `chat` gives.

mod calls;
pub mod encode;
mod feed;
mod prose;
mod research;
mod signs;

use serde_json::json;

use self::calls::{Calls, End, Settled, Start};
pub(super) use self::signs::EVENTS;
use self::signs::Signs;
use super::chat::Chat;
use super::odd::Odd;
use super::surrogate;
use super::{Context, Decode, SseFrame};
use crate::event::{AgentEvent, Json, Level, Scope, Subject};

/// The decoder of one answer.
#[derive(Debug)]
pub struct OpenJarvis {
    chat: Chat,
    calls: Calls,
    signs: Signs,
    bus: Bus,
    /// A frame of a deep research was seen.
    researches: bool,
    odd: Odd,
}

/// Whose events the bus brings.
#[derive(Debug)]
struct Bus {
    prompt: Option<String>,
    /// Our own agent has begun.
    ours: bool,
    /// Somebody else's events were seen: nothing says which is whose any more.
    mixed: bool,
    /// Requests to a model that were begun and not ended.
    inferences: u32,
    /// It is the server's feed, on which agents begin without a word.
    fed: bool,
}

impl Bus {
    /// Returns whether an event may be taken for ours.
    fn is_ours(&self) -> bool {
        !self.mixed && (self.ours || self.fed || self.prompt.is_none())
    }
}

impl OpenJarvis {
    /// Decodes what is known to come from OpenJarvis.
    pub fn new(context: &Context) -> Self {
        Self { signs: Signs::sure(context), ..Self::maybe(context) }
    }

    /// Decodes what looks like chat completions and may turn out to be OpenJarvis.
    pub fn maybe(context: &Context) -> Self {
        let prompt = context.prompt.as_deref().map(str::trim).filter(|prompt| !prompt.is_empty());
        Self {
            chat: Chat::new(),
            calls: Calls::default(),
            signs: Signs::of(context),
            bus: Bus { prompt: prompt.map(ToOwned::to_owned), ours: false, mixed: false, inferences: 0, fed: false },
            researches: false,
            odd: Odd::default(),
        }
    }

    /// Returns why this is OpenJarvis, as a clause; none while it may be any server.
    pub fn evidence(&self) -> Option<&str> {
        self.signs.evidence()
    }

    fn event(&mut self, name: &str, json: &Json, out: &mut Vec<AgentEvent>) {
        self.signs.event(name);
        let managed = self.signs.is_managed();
        if !managed {
            // Our agent's own start comes before all its other events.
            self.bus.mixed |= name != "agent_turn_start" && name != "tool_results" && !self.bus.is_ours();
        }
        match name {
            "agent_turn_start" => self.turn_start(json, out),
            "inference_start" => {
                self.bus.inferences = self.bus.inferences.saturating_add(1);
                self.bus.mixed |= self.bus.inferences > 1;
                if self.bus.is_ours() {
                    out.push(progress(json!({"step": name, "model": json.get("model"), "label": "thinking"})));
                }
            }
            "inference_end" => self.inference_end(json, out),
            "tool_call_start" => {
                if managed {
                    // What was said so far is a round of its own.
                    self.chat.new_round(out);
                }
                let shown = managed || self.bus.is_ours();
                if shown {
                    self.chat.begin(out);
                }
                if self.calls.start(Start::read(json), shown, &mut self.chat, out).is_err() {
                    self.odd.met("more tool calls than are followed", out);
                }
            }
            "tool_call_end" => {
                let known = self.calls.end(End::read(json, managed), managed, &mut self.chat, out);
                // An end without its start is of a call that was begun before we listened.
                self.bus.mixed |= !known && !managed;
            }
            "tool_results" => {
                let list = json.get("results").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
                let settled = self.calls.settle(list, &mut self.chat, out);
                tell_foreign(&settled, out);
            }
            _ => {}
        }
    }

    /// Another input than our prompt is another client's, or that of an agent inside a tool; `message` in place of
    /// `input` is always the latter.
    fn turn_start(&mut self, json: &Json, out: &mut Vec<AgentEvent>) {
        let Some(input) = json.get("input").and_then(Json::as_str) else { return };
        let ours = self.bus.prompt.as_deref().is_none_or(|prompt| prompt == input.trim());
        if self.bus.ours || !ours {
            self.bus.mixed = true;
            return;
        }
        self.bus.ours = true;
        if self.bus.is_ours() {
            let label = "the agent began";
            out.push(progress(json!({"step": "agent_turn_start", "agent": json.get("agent"), "label": label})));
        }
    }

    fn inference_end(&mut self, json: &Json, out: &mut Vec<AgentEvent>) {
        // Also of others: what of it is ours comes out with the results.
        for call in json.get("tool_calls").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default() {
            self.calls.asked(call);
        }
        self.bus.mixed |= self.bus.inferences == 0 && (self.bus.prompt.is_some() || self.bus.fed);
        self.bus.inferences = self.bus.inferences.saturating_sub(1);
        if self.bus.is_ours()
            && let Some(data) = inference(json)
        {
            out.push(AgentEvent::Annotated { on: Subject::Turn("t".into()), kind: "inference".into(), data });
        }
    }

    fn chunk(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let Self { chat, signs, .. } = self;
        chat.frame_seen(frame, out, &mut |chunk, out| signs.look(chunk, &frame.data, out));
    }
}

impl Decode for OpenJarvis {
    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        if self.chat.is_done() {
            return;
        }
        if EVENTS.contains(&frame.event.as_str()) {
            return match read(&frame.data) {
                Some(json) => self.event(&frame.event, &json, out),
                None => self.odd.met(&frame.event, out),
            };
        }
        let bare = frame.event.is_empty() && (self.researches || research::may_be(&frame.data));
        match bare.then(|| read(&frame.data)).flatten() {
            Some(json) if research::is_one(&json) => {
                self.researches = true;
                self.signs.research();
                research::take(&json, &mut self.chat, &mut self.calls, out);
            }
            _ => self.chunk(frame, out),
        }
    }

    fn beside(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        self.bus.fed = true;
        // The others are of agents that work by themselves.
        if let Some(json) = feed::EVENTS.contains(&frame.event.as_str()).then(|| read(&frame.data)).flatten() {
            self.event(&frame.event, &json, out);
        }
    }

    fn settle(&mut self, records: &[Option<&Json>], out: &mut Vec<AgentEvent>) -> bool {
        self.settle_from(records, out)
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        // Our agent's start comes before all else. Was there none, then the server gave it another input than our
        // prompt; and where a turn went wrong, no results come to say whose the calls were.
        if !self.bus.ours && !self.bus.fed && !self.chat.is_well() {
            self.calls.reveal(&mut self.chat, out);
        }
        let settled = self.calls.forget_hidden();
        if !self.bus.fed {
            tell_foreign(&settled, out);
        } else if settled.left_out > 0 {
            feed::tell_lost(settled.left_out, out);
        }
        let from = out.len();
        self.chat.finish(out);
        if self.signs.evidence().is_none() {
            return;
        }
        // Its agents report the sum of all their requests.
        for event in out.iter_mut().skip(from) {
            if let AgentEvent::UsageReported { scope, .. } = event {
                *scope = Scope::Turn;
            }
        }
    }

    fn has_failed(&self) -> bool {
        self.chat.has_failed()
    }

    fn is_done(&self) -> bool {
        self.chat.is_done()
    }

    fn is_settled(&self) -> bool {
        self.chat.is_settled()
    }
}

fn read(data: &str) -> Option<Json> {
    surrogate::json(data).filter(Json::is_object)
}

fn progress(mut data: Json) -> AgentEvent {
    if let Some(data) = data.as_object_mut() {
        data.retain(|_, value| !value.is_null());
    }
    AgentEvent::Annotated { on: Subject::Turn("t".into()), kind: "progress".into(), data }
}

fn tell_foreign(settled: &Settled, out: &mut Vec<AgentEvent>) {
    for call in &settled.foreign {
        let on = Subject::Call(call.clone());
        out.push(AgentEvent::Annotated { on, kind: "foreign".into(), data: Json::Bool(true) });
    }
    let notice = |text: String| AgentEvent::Noticed { level: Level::Info, code: "foreign_calls".into(), text };
    match settled.left_out {
        0 => {}
        1 => out.push(notice("1 tool call that is not in the results of this turn was left out".into())),
        n => out.push(notice(format!("{n} tool calls that are not in the results of this turn were left out"))),
    }
    if !settled.foreign.is_empty() {
        out.push(notice(
            "some tool calls above are not in the results of this turn; they may be another client's".into(),
        ));
    }
}

/// What the server measured of one request to a model, without the zeros of monitors that it does not have.
fn inference(json: &Json) -> Option<Json> {
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
