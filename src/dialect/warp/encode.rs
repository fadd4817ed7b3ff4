//! Warp blocks as we say them, one JSON object a line.
//!
//! A text block is a piece of the text, a tool block the state of one call so far; calls that ended are told again only
//! in the last line, which holds everything whole and takes the place of all before. Calls that we run say how far they
//! are (`status`, `output`); those of the client's own tools don't. An error stands in a block of its own: in a line
//! between where the model is asked once more, in the last line where the answer did not end well.
//!
//! Lines are numbered from 0 for those who come back, though the numbers are not in them. Reasoning is left out.

use serde_json::json;

use super::super::gather::{Gathered, News, trouble};
use super::super::{Encode, KeepAlive, SseFrame};
use crate::event::{Envelope, Json, TurnEnd};

/// Bytes of open calls that are told again with each change.
const MUCH: usize = 16 * 1024;

/// The encoder of one answer.
#[derive(Debug, Default)]
pub struct Encoder {
    client_tools: bool,
    next: u64,
    gathered: Gathered,
    /// Bytes of arguments when their call was told last, by its place.
    told: Vec<usize>,
}

impl Encoder {
    pub fn new(client_tools: bool) -> Self {
        Self { client_tools, ..Self::default() }
    }

    fn line(&mut self, line: &Json, out: &mut Vec<SseFrame>) {
        let id = Some(self.next.to_string());
        self.next += 1;
        out.push(SseFrame { id, ..SseFrame::data(line.to_string()) });
    }

    fn tool(&self, at: usize, streaming: bool) -> Option<Json> {
        let call = self.gathered.calls.get(at).filter(|call| !call.name.is_empty())?;
        let tool = if self.client_tools { call.wire() } else { call.wire_state() };
        Some(json!({"type": "tool_call", "tool": tool, "streaming": streaming}))
    }

    /// Says where the call is that something happened to, and where those are that did not end, unless that is much.
    fn state(&mut self, changed: usize, out: &mut Vec<SseFrame>) {
        if let Some(call) = self.gathered.calls.get(changed) {
            self.told.resize(self.told.len().max(changed + 1), 0);
            if let Some(told) = self.told.get_mut(changed) {
                *told = call.args.len();
            }
        }
        let open = |at: &usize| self.gathered.calls.get(*at).is_some_and(|call| call.outcome.is_none());
        let size = |at: usize| self.gathered.calls.get(at).map_or(0, |call| call.args.len() + 128);
        let is_much = (0..self.gathered.calls.len()).filter(open).map(size).sum::<usize>() > MUCH;
        let open = |at: &usize| !is_much && open(at);
        let blocks: Vec<Json> = (0..self.gathered.calls.len())
            .filter(|at| *at == changed || open(at))
            .filter_map(|at| self.tool(at, true))
            .collect();
        if !blocks.is_empty() {
            self.line(&json!({"blocks": blocks, "streaming": true}), out);
        }
    }

    /// Arguments are told again and again from their beginning: so only when there is a good deal more of them.
    fn has_grown(&self, at: usize) -> bool {
        let told = self.told.get(at).copied().unwrap_or_default();
        self.gathered.calls.get(at).is_some_and(|call| call.args.len() > told + told / 2 + 16)
    }

    fn last(&mut self, end: &TurnEnd, out: &mut Vec<SseFrame>) {
        let line = self.whole(end);
        self.line(&line, out);
    }

    fn whole(&self, end: &TurnEnd) -> Json {
        let mut blocks = vec![json!({"type": "text", "text": self.gathered.text, "streaming": false})];
        blocks.extend((0..self.gathered.calls.len()).filter_map(|at| self.tool(at, false)));
        if let Some((why, code)) = trouble(end) {
            blocks.push(json!({"type": "error", "error": why, "code": code, "streaming": false}));
        }
        let mut line = json!({"blocks": blocks, "streaming": false, "complete": true});
        if self.gathered.truncated {
            line["truncated"] = true.into();
        }
        if let Some(reason) = self.gathered.cut_short() {
            line["finish_reason"] = reason.into();
        }
        if let Some(usage) = self.gathered.usage() {
            line["usage"] = usage;
        }
        line
    }
}

impl Encode for Encoder {
    fn start(&mut self, _out: &mut Vec<SseFrame>) {}

    fn fact(&mut self, told: &Envelope, out: &mut Vec<SseFrame>) {
        if self.gathered.end.is_some() {
            return;
        }
        match self.gathered.take(&told.event) {
            News::Text(text, _) => {
                let block = json!({"type": "text", "text": text, "streaming": true});
                self.line(&json!({"blocks": [block], "streaming": true}), out);
            }
            News::Called(at) | News::Finished(at) => self.state(at, out),
            News::Args(at, _) if self.has_grown(at) => self.state(at, out),
            News::Ready(at, _) => {
                self.state(at, out);
                self.gathered.told(at);
            }
            News::Retry(attempt, why) => {
                let block =
                    json!({"type": "error", "error": why, "recoverable": true, "attempt": attempt, "streaming": true});
                self.line(&json!({"blocks": [block], "streaming": true}), out);
            }
            News::Nothing | News::Args(..) | News::Reasoning(_) | News::End(_) => {}
        }
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        let end = self.gathered.end.get_or_insert(TurnEnd::Interrupted).clone();
        self.last(&end, out);
    }

    /// A line without blocks: a blank one is no JSON.
    fn keep_alive(&self) -> KeepAlive {
        KeepAlive::Frame(SseFrame::data(r#"{"blocks":[],"streaming":true}"#))
    }

    fn answer(&mut self) -> (u16, Json) {
        let end = self.gathered.end.clone().unwrap_or(TurnEnd::Interrupted);
        (if end == TurnEnd::Completed { 200 } else { 502 }, self.whole(&end))
    }
}
