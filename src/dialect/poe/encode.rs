//! The Poe stream as we say it: the proxy's frames with its faults mended.
//!
//! Every stream counts from 0 and aggregates for itself. Numbered are the deltas, our `tool_call`s and `complete`; what
//! is not the answer (`init`, errors, pings) has no number. Calls that we run are told in `tool_call` frames, as OpenAI
//! has them and with how far they are; those of the client's own tools are fragments in deltas, for the client to run.
//! The client learns of tries before the first token by `error` frames that are `recoverable`; of an end that is not a
//! good one by the one that isn't.

use serde_json::json;

use super::super::gather::{Gathered, News, trouble};
use super::super::{Encode, KeepAlive, SseFrame};
use crate::event::{AgentEvent, Envelope, Json, TextKind, TurnEnd};

/// Milliseconds that a client waits before it connects again.
const RETRY: u64 = 3000;
/// Tries that the proxy's clients are told of; its fourth error is the last.
const MOST_ATTEMPTS: u32 = 3;

/// The encoder of one answer.
#[derive(Debug)]
pub struct Encoder {
    /// Names the stream, for those who come back.
    id: String,
    model: String,
    /// In seconds since 1970.
    created: u64,
    /// Whether the end repeats the whole answer.
    aggregates: bool,
    /// Whether calls are the client's to run.
    client_tools: bool,
    next: u64,
    gathered: Gathered,
}

impl Encoder {
    pub fn new(id: impl Into<String>, aggregates: bool, client_tools: bool) -> Self {
        Self {
            id: id.into(),
            model: String::new(),
            created: 0,
            aggregates,
            client_tools,
            next: 0,
            gathered: Gathered::default(),
        }
    }

    fn numbered(&mut self, event: &str, data: &Json, out: &mut Vec<SseFrame>) {
        let id = Some(self.next.to_string());
        self.next += 1;
        out.push(SseFrame { event: event.into(), id, retry: None, data: data.to_string() });
    }

    fn chunk(&self, choices: &Json) -> Json {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": choices,
        })
    }

    fn delta(&mut self, delta: &Json, finish: Option<&str>, out: &mut Vec<SseFrame>) {
        let chunk = self.chunk(&json!([{"index": 0, "delta": delta, "finish_reason": finish}]));
        self.numbered("delta", &chunk, out);
    }

    fn fragment(&mut self, fragment: &Json, out: &mut Vec<SseFrame>) {
        self.delta(&json!({"content": null, "tool_calls": [fragment]}), None, out);
    }

    /// Says where one of our calls is, once it has a name.
    fn state(&mut self, at: usize, out: &mut Vec<SseFrame>) {
        let Some(call) = self.gathered.calls.get(at).filter(|call| !call.name.is_empty()) else { return };
        let mut state = call.wire_state();
        state["index"] = at.into();
        self.numbered("tool_call", &state, out);
    }

    fn news(&mut self, news: News, out: &mut Vec<SseFrame>) {
        match news {
            News::Nothing => {}
            News::Text(text, TextKind::Text) => {
                self.delta(&json!({"content": text, "tool_calls": null}), None, out);
            }
            News::Text(text, TextKind::Refusal) => {
                self.delta(&json!({"content": null, "refusal": text, "tool_calls": null}), None, out);
            }
            News::Reasoning(text) => {
                self.delta(&json!({"content": null, "reasoning_content": text, "tool_calls": null}), None, out);
            }
            News::Called(at) if self.client_tools => {
                let Some(call) = self.gathered.calls.get(at) else { return };
                let mut fragment = call.wire();
                fragment["index"] = at.into();
                self.fragment(&fragment, out);
            }
            News::Args(at, piece) if self.client_tools => {
                self.fragment(&json!({"index": at, "function": {"arguments": piece}}), out);
            }
            News::Ready(at, missing) if self.client_tools => {
                let Some(call) = self.gathered.calls.get(at) else { return };
                if call.was_nameless {
                    let function = json!({"name": call.name, "arguments": missing});
                    self.fragment(&json!({"index": at, "function": function}), out);
                } else if !missing.is_empty() {
                    self.fragment(&json!({"index": at, "function": {"arguments": missing}}), out);
                }
                self.gathered.told(at);
            }
            News::Called(at) | News::Finished(at) if !self.client_tools => self.state(at, out),
            News::Ready(at, _) => {
                self.state(at, out);
                self.gathered.told(at);
            }
            News::Called(_) | News::Args(..) | News::Finished(_) => {}
            News::Retry(attempt, why) => {
                if attempt <= MOST_ATTEMPTS {
                    let data = json!({"error": why, "recoverable": true, "attempt": attempt});
                    out.push(SseFrame::named("error", data.to_string()));
                }
            }
            News::End(end) => self.end(&end, out),
        }
    }

    fn end(&mut self, end: &TurnEnd, out: &mut Vec<SseFrame>) {
        if let Some((why, code)) = trouble(end) {
            let data = json!({"error": why, "recoverable": false, "code": code});
            out.push(SseFrame::named("error", data.to_string()));
        } else {
            let reason = self.gathered.finish_reason(self.client_tools);
            self.delta(&json!({"content": null, "tool_calls": null}), Some(reason), out);
        }
        if let Some(usage) = self.gathered.usage() {
            let mut chunk = self.chunk(&json!([]));
            chunk["usage"] = usage;
            self.numbered("delta", &chunk, out);
        }
    }

    /// The answer as the proxy's aggregator has it, its calls merged.
    fn whole(&self) -> Json {
        let calls: Vec<Json> = self
            .gathered
            .calls
            .iter()
            .enumerate()
            .map(|(at, call)| {
                let mut wire = call.wire();
                wire["index"] = at.into();
                if !self.client_tools {
                    wire["status"] = call.status().into();
                }
                wire
            })
            .collect();
        let metadata = json!({"id": self.id, "model": self.model});
        let mut whole = json!({"content": self.gathered.text, "tool_calls": calls, "metadata": metadata});
        if self.gathered.truncated {
            whole["truncated"] = true.into();
        }
        if let Some(reason) = self.gathered.cut_short() {
            whole["finish_reason"] = reason.into();
        }
        whole
    }
}

impl Encode for Encoder {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        let data = json!({"type": "init", "retry": RETRY, "id": self.id});
        out.push(SseFrame { retry: Some(RETRY), ..SseFrame::data(data.to_string()) });
    }

    fn fact(&mut self, told: &Envelope, out: &mut Vec<SseFrame>) {
        if let AgentEvent::SessionOpened { wall, model, .. } = &told.event {
            model.clone_into(&mut self.model);
            self.created = wall / 1000;
        } else if self.gathered.end.is_none() {
            let news = self.gathered.take(&told.event);
            self.news(news, out);
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        if self.gathered.end.is_none() {
            self.gathered.end = Some(TurnEnd::Interrupted);
            self.end(&TurnEnd::Interrupted, out);
        }
        if self.aggregates {
            let whole = self.whole();
            self.numbered("complete", &whole, out);
        }
    }

    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Frame(SseFrame::named("ping", r#"{"type":"ping"}"#))
    }

    fn answer(&mut self) -> (u16, Json) {
        let mut whole = self.whole();
        if let Some(usage) = self.gathered.usage() {
            whole["usage"] = usage;
        }
        let Some((why, code)) = self.gathered.end.as_ref().and_then(trouble) else { return (200, whole) };
        whole["error"] = why.into();
        whole["code"] = code.into();
        (502, whole)
    }
}
