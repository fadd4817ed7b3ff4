//! The tools of a chat whose stream has no tool events: taken from the server's feed while they run, completed from its
//! traces afterwards.
//!
//! Nothing on the feed names a request, and all clients of the server share it. So, as on the bridge, a call is shown
//! at once only while there is no sign of a second agent; otherwise it waits. The trace of our turn is identified by
//! the prompt, by the time at which its answer started and by the measured durations of the calls on the feed; it lists
//! our calls only, and an end on the feed is found in it by its duration. A trace also holds the requests of the model:
//! a requested call without a step of its own was denied before it ran.

use serde_json::json;

use super::super::SseFrame;
use super::calls::{ToolCallEnd, ToolCallStart};
use super::{OpenJarvisDecoder, parse_json};
use crate::event::{Annotation, Json, NoticeCode, NoticeLevel, ReplyEvent, ReplyTarget};

/// Events of the feed that concern a chat.
const FEED_EVENTS: &[&str] =
    &["agent_turn_start", "inference_start", "inference_end", "tool_call_start", "tool_call_end"];

/// Traces that are read.
const MAX_TRACES: usize = 64;
/// Steps of a trace that are read.
const MAX_STEPS: usize = 1024;

impl OpenJarvisDecoder {
    /// Handles an event of the server's feed, which has the events of all its clients.
    pub fn decode_feed(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        self.bus.is_feed = true;
        // Other events are those of autonomous agents.
        if let Some(json) = FEED_EVENTS.contains(&frame.event.as_str()).then(|| parse_json(&frame.data)).flatten() {
            self.handle_event(&frame.event, &json, out);
        }
    }

    /// Takes traces, savings and energy totals, each of which may be missing, once the answer is complete and before
    /// it is finished. Returns false while the turn is missing in the traces.
    pub fn reconcile_from_records(&mut self, records: &[Option<&Json>], out: &mut Vec<ReplyEvent>) -> bool {
        let record = |at: usize| records.get(at).copied().flatten();
        let traces = record(0).and_then(|answer| answer.get("traces")?.as_array());
        // A server without traces is not asked again.
        let known = traces.is_none_or(Vec::is_empty) || self.reconcile_from_traces(traces.into_iter().flatten(), out);
        if known && let Some(data) = server_totals(record(1), record(2)) {
            out.push(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation: Annotation::Totals(data) });
        }
        known
    }

    fn reconcile_from_traces<'a>(&mut self, traces: impl Iterator<Item = &'a Json>, out: &mut Vec<ReplyEvent>) -> bool {
        let Some(prompt) = self.bus.prompt.clone() else { return true };
        let started_at = self.evidence.answer_started_at();
        let ours = traces
            .take(MAX_TRACES)
            .filter(|trace| {
                let query = trace.get("query").and_then(Json::as_str).unwrap_or_default();
                let ended = trace.get("ended_at").and_then(Json::as_f64);
                let in_time = started_at.zip(ended).is_none_or(|(started_at, ended)| ended >= started_at);
                query.trim() == prompt && in_time
            })
            .map(|trace| {
                let trace = Trace::parse(trace);
                (self.calls.count_known(&trace.ends), trace)
            })
            // Of equals the first, which is the newest.
            .reduce(|best, next| if next.0 > best.0 { next } else { best });
        let Some((_, trace)) = ours else { return false };
        let refused = trace.refused();
        let reconciled = self.calls.reconcile(trace.ends, &mut self.chat, out);
        for call in reconciled.foreign {
            out.push(ReplyEvent::Annotation { on: ReplyTarget::Call(call), annotation: Annotation::Foreign(true) });
        }
        for start in refused {
            self.calls.show_unrun_request(start, &mut self.chat, out);
        }
        true
    }
}

/// What a trace holds of calls.
struct Trace {
    ends: Vec<ToolCallEnd>,
    requested: Vec<ToolCallStart>,
}

impl Trace {
    fn parse(trace: &Json) -> Self {
        let steps = || trace.get("steps").and_then(Json::as_array).into_iter().flatten().take(MAX_STEPS);
        let kind = |step: &&Json, wanted: &str| step.get("step_type").and_then(Json::as_str) == Some(wanted);
        let requested_calls = |step: &'_ Json| step.pointer("/output/tool_calls").and_then(Json::as_array).cloned();
        Self {
            ends: steps().filter(|step| kind(step, "tool_call")).map(ToolCallEnd::from_trace_step).collect(),
            requested: steps()
                .filter(|step| kind(step, "generate"))
                .filter_map(requested_calls)
                .flatten()
                .take(MAX_STEPS)
                .map(|call| ToolCallStart::from_request(&call))
                .collect(),
        }
    }

    /// Returns the requested calls that never ran.
    fn refused(&self) -> Vec<ToolCallStart> {
        let mut taken = vec![false; self.ends.len()];
        let mut refused = Vec::new();
        for start in &self.requested {
            let end = self.ends.iter().zip(&mut taken).find(|(end, taken)| !**taken && end.is_end_of(start));
            match end {
                Some((_, taken)) => *taken = true,
                None => refused.push(start.clone()),
            }
        }
        // The server parses arguments more leniently than we do: a call that it ran under the name was not denied.
        let left: Vec<&ToolCallEnd> =
            self.ends.iter().zip(&taken).filter(|(_, taken)| !**taken).map(|(end, _)| end).collect();
        for end in left {
            if let Some(at) = refused.iter().position(|start| end.has_name_of(start)) {
                refused.remove(at);
            }
        }
        refused
    }
}

/// Reports calls that could not be attributed, since no trace came.
pub(super) fn report_unattributed(calls: usize, out: &mut Vec<ReplyEvent>) {
    let calls = if calls == 1 { "1 tool call".to_owned() } else { format!("{calls} tool calls") };
    let text = format!(
        "{calls} of this server, ours or another client's, can't be attributed and are hidden: it has no trace of this turn"
    );
    out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::ForeignCalls, text });
}

/// The server's totals since its start.
fn server_totals(savings: Option<&Json>, energy: Option<&Json>) -> Option<Json> {
    let savings = savings?;
    let mut data = serde_json::Map::new();
    for (key, wire) in [("requests", "total_calls"), ("tokens", "total_tokens")] {
        data.insert(key.into(), json!(savings.get(wire)?.as_u64()?));
    }
    let providers = savings.get("per_provider").and_then(Json::as_array).into_iter().flatten().take(MAX_TRACES);
    let cost = |provider: &Json| provider.get("total_cost").and_then(Json::as_f64).filter(|cost| cost.is_finite());
    let most_expensive =
        providers.filter_map(|provider| Some((cost(provider)?, provider))).max_by(|a, b| a.0.total_cmp(&b.0));
    if let Some((cost, provider)) = most_expensive.filter(|(cost, _)| *cost > 0.0) {
        data.insert("saved_usd".into(), json!(cost));
        let label = provider.get("label").or_else(|| provider.get("provider"));
        data.extend(label.filter(|label| label.is_string()).map(|label| ("against".to_owned(), label.clone())));
    }
    for (key, wire) in [("energy_j", "total_energy_j"), ("power_w", "avg_power_w")] {
        let number = energy.and_then(|energy| energy.get(wire)?.as_f64()).filter(|number| *number > 0.0);
        data.extend(number.map(|number| (key.to_owned(), json!(number))));
    }
    Some(Json::Object(data))
}

#[cfg(test)]
mod tests;
