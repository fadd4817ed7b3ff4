//! One request to the model, as the bridge reports it at its end.

use std::collections::HashSet;

use serde_json::json;

use super::EncodedOpenJarvisCall;
use crate::event::{FinishReason, Json, MessageId, Millis, Usage};

/// A request to the model whose end was not sent.
#[derive(Debug)]
pub(super) struct Inference {
    started_at: Millis,
    first_token_at: Option<Millis>,
    last_token_at: Option<Millis>,
    chunks: u64,
    pub(super) messages: HashSet<MessageId>,
    pub(super) content: String,
    pub(super) finish_reason: FinishReason,
    pub(super) ended_at: Option<Millis>,
    pub(super) usage: Usage,
}

impl Inference {
    pub(super) fn new(at: Millis) -> Self {
        Self {
            started_at: at,
            first_token_at: None,
            last_token_at: None,
            chunks: 0,
            messages: HashSet::new(),
            content: String::new(),
            finish_reason: FinishReason::End,
            ended_at: None,
            usage: Usage::default(),
        }
    }

    pub(super) fn record_token(&mut self, at: Millis) {
        self.first_token_at.get_or_insert(at);
        self.last_token_at = Some(at);
        self.chunks += 1;
    }

    /// Returns the measurements. There are no energy monitors here, so theirs are 0, as on a server without any.
    pub(super) fn to_json(&self, model: &str, calls: &[EncodedOpenJarvisCall]) -> Json {
        let latency = self.ended_at.unwrap_or(self.started_at).since(self.started_at).as_secs_f64();
        let ttft = self.first_token_at.map_or(0.0, |first| first.since(self.started_at).as_secs_f64());
        let decode = self.last_token_at.unwrap_or_default().since(self.first_token_at.unwrap_or_default());
        let Usage { input_tokens, output_tokens, cached_tokens, .. } = self.usage;
        let rate = if latency > 0.0 { output_tokens as f64 / latency } else { 0.0 };
        let between = if self.chunks > 1 { decode.0 as f64 / (self.chunks - 1) as f64 } else { 0.0 };
        let is_requested = |call: &&EncodedOpenJarvisCall| self.messages.contains(&call.message);
        let calls: Vec<Json> = calls
            .iter()
            .filter(is_requested)
            .map(|call| json!({"id": call.id, "name": call.name, "arguments": call.args}))
            .collect();
        let finish_reason = match self.finish_reason {
            FinishReason::Length => "length",
            FinishReason::Refused => "content_filter",
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
