//! One request to the model, as the bridge tells of it when it is over.

use std::collections::HashSet;

use serde_json::json;

use super::Call;
use crate::event::{Json, MessageId, Millis, Stop, Usage};

/// A request to the model whose end was not told.
#[derive(Debug)]
pub(super) struct Inference {
    began: Millis,
    first: Option<Millis>,
    last: Option<Millis>,
    pieces: u64,
    pub(super) messages: HashSet<MessageId>,
    pub(super) content: String,
    pub(super) stop: Stop,
    pub(super) ended: Option<Millis>,
    pub(super) usage: Usage,
}

impl Inference {
    pub(super) fn new(at: Millis) -> Self {
        Self {
            began: at,
            first: None,
            last: None,
            pieces: 0,
            messages: HashSet::new(),
            content: String::new(),
            stop: Stop::End,
            ended: None,
            usage: Usage::default(),
        }
    }

    pub(super) fn heard(&mut self, at: Millis) {
        self.first.get_or_insert(at);
        self.last = Some(at);
        self.pieces += 1;
    }

    /// Returns what was measured. There are no monitors of energy here, so those are 0 as with a server without.
    pub(super) fn tell(&self, model: &str, calls: &[Call]) -> Json {
        let latency = self.ended.unwrap_or(self.began).since(self.began).as_secs_f64();
        let ttft = self.first.map_or(0.0, |first| first.since(self.began).as_secs_f64());
        let decode = self.last.unwrap_or_default().since(self.first.unwrap_or_default());
        let Usage { input_tokens, output_tokens, cached_tokens, .. } = self.usage;
        let rate = if latency > 0.0 { output_tokens as f64 / latency } else { 0.0 };
        let between = if self.pieces > 1 { decode.0 as f64 / (self.pieces - 1) as f64 } else { 0.0 };
        let asked = |call: &&Call| self.messages.contains(&call.message);
        let calls: Vec<Json> = calls
            .iter()
            .filter(asked)
            .map(|call| json!({"id": call.id, "name": call.name, "arguments": call.args}))
            .collect();
        let finish_reason = match self.stop {
            Stop::Length => "length",
            Stop::Refused => "content_filter",
            _ if !calls.is_empty() => "tool_calls",
            _ => "stop",
        };
        json!({
            "model": model,
            "latency": latency,
            "usage": {
                "prompt_tokens": input_tokens,
                "prompt_tokens_evaluated": input_tokens.saturating_sub(cached_tokens),
                "completion_tokens": output_tokens,
                "total_tokens": self.usage.total(),
            },
            "ttft": ttft,
            "throughput_tok_per_sec": rate,
            "energy_per_output_token_joules": 0.0,
            "throughput_per_watt": 0.0,
            "energy_joules": 0.0,
            "power_watts": 0.0,
            "gpu_utilization_pct": 0.0,
            "gpu_memory_used_gb": 0.0,
            "gpu_temperature_c": 0.0,
            "prefill_latency_seconds": ttft,
            "decode_latency_seconds": decode.as_secs_f64(),
            "prefill_energy_joules": 0.0,
            "decode_energy_joules": 0.0,
            "mean_itl_ms": between,
            "energy_method": "",
            "energy_vendor": "",
            "content": self.content,
            "tool_calls": calls,
            "tool_results": [],
            "content_blocks": [],
            "finish_reason": finish_reason,
        })
    }
}
