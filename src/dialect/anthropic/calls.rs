//! The calls of a message: each is started, marked ready once, and finished at most twice.

use serde_json::json;

use super::super::arguments;
use crate::event::{CallId, CallOutcome, CallOutput, ExecutedBy, Json, MessageId, ReplyEvent};

const MAX_CALLS: usize = 256;

#[derive(Debug)]
struct AnthropicCall {
    id: CallId,
    by_server: bool,
    ready: bool,
    finish_count: u8,
    /// Its id in the stream, and its arguments once they are complete.
    wire_id: String,
    args: String,
}

#[derive(Debug, Default)]
pub(super) struct AnthropicCalls {
    list: Vec<AnthropicCall>,
}

impl AnthropicCalls {
    /// Starts a call under an id that is unique in this message; none when there are too many.
    pub(super) fn start(
        &mut self,
        wire: &Json,
        by_server: bool,
        message: &MessageId,
        out: &mut Vec<ReplyEvent>,
    ) -> Option<CallId> {
        if self.list.len() >= MAX_CALLS {
            return None;
        }
        let word = |key: &str| wire.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let mut unique = word("id").map_or_else(|| format!("call_{}", self.list.len() + 1), str::to_owned);
        while self.list.iter().any(|call| call.id.as_str() == unique) {
            unique.push_str("_2");
        }
        let id = CallId::new(unique);
        let wire_id = word("id").unwrap_or_default().to_owned();
        self.list.push(AnthropicCall {
            id: id.clone(),
            by_server,
            ready: false,
            finish_count: 0,
            wire_id,
            args: String::new(),
        });
        out.push(ReplyEvent::ToolCallStarted {
            call: id.clone(),
            message: message.clone(),
            name: word("name").map(str::to_owned),
            parent: None,
            executed_by: if by_server { ExecutedBy::Server } else { ExecutedBy::Client },
        });
        Some(id)
    }

    /// Finds a server call by its id in the stream.
    pub(super) fn server_call(&self, id: &str) -> Option<CallId> {
        self.list.iter().rev().find(|call| call.by_server && call.id.as_str() == id).map(|call| call.id.clone())
    }

    /// Returns whether the call with this id in the stream has these arguments.
    pub(super) fn has_call(&self, wire_id: &str, args: &str) -> bool {
        let mut of_id = self.list.iter().filter(|call| call.wire_id == wire_id);
        of_id.any(|call| call.ready && arguments::is_same_json(&call.args, args))
    }

    pub(super) fn is_ready(&self, call: &CallId) -> bool {
        self.list.iter().any(|known| known.id == *call && known.ready)
    }

    /// Marks the arguments as complete: the block stopped, or the result came.
    pub(super) fn mark_ready(
        &mut self,
        call: &CallId,
        name: String,
        args: String,
        wire_id: &str,
        out: &mut Vec<ReplyEvent>,
    ) {
        let Some(known) = self.list.iter_mut().rev().find(|known| known.id == *call && !known.ready) else { return };
        known.ready = true;
        known.args.clone_from(&args);
        let metadata = Some(if known.by_server { json!({ "server": true }) } else { json!({ "id": wire_id }) });
        out.push(ReplyEvent::ToolCallReady { call: call.clone(), name, args, provider_metadata: metadata });
    }

    pub(super) fn finish(&mut self, call: &CallId, outcome: CallOutcome, text: String, out: &mut Vec<ReplyEvent>) {
        let known = self.list.iter_mut().rev().find(|known| known.id == *call && known.finish_count < 2);
        let Some(known) = known else { return };
        known.finish_count += 1;
        let (call, output) = (call.clone(), CallOutput::from_text(text));
        out.push(ReplyEvent::ToolCallFinished { call, outcome, output, duration: None });
    }

    /// Finishes the calls that a pause interrupted; they are emitted again with their results.
    pub(super) fn finish_paused(&mut self, out: &mut Vec<ReplyEvent>) {
        for call in self.list.iter_mut().filter(|call| call.by_server && call.finish_count == 0) {
            call.finish_count += 1;
            out.push(ReplyEvent::ToolCallFinished {
                call: call.id.clone(),
                outcome: CallOutcome::Unknown,
                output: CallOutput::from_text("the server continues this call in its next message"),
                duration: None,
            });
        }
    }
}
