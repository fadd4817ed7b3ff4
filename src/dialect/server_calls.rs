//! Calls that the server runs, reported by state: `{id, function: {name, arguments}, status, output?, latency_ms?}`, as
//! our own Poe and Warp streams have them. A call without a `status` is for the client.

use std::collections::HashMap;

use crate::event::{CallId, CallOutcome, CallOutput, ExecutedBy, Json, MessageId, Millis, ReplyEvent};

const MAX_CALLS: usize = 512;

#[derive(Debug, Default)]
pub(super) struct ServerCalls {
    known: HashMap<String, (CallId, ServerCallStage)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ServerCallStage {
    Started,
    Ready,
    Finished,
    Corrected,
}

/// Returns whether this is the state of a call that the server runs.
pub(super) fn is_server_call(call: &Json) -> bool {
    call.get("status").is_some_and(Json::is_string) && call.get("id").is_some_and(Json::is_string)
}

impl ServerCalls {
    pub(super) fn is_known(&self, call: &Json) -> bool {
        call.get("id").and_then(Json::as_str).is_some_and(|id| self.known.contains_key(id))
    }

    /// Handles a state; a new call belongs to this message. Fails with the notice text where the state is invalid.
    pub(super) fn observe(
        &mut self,
        call: &Json,
        message: &MessageId,
        unique: impl FnOnce(&str) -> CallId,
        out: &mut Vec<ReplyEvent>,
    ) -> Result<(), &'static str> {
        let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(ToOwned::to_owned);
        let (Some(wire), Some(status)) = (text(call, "id"), text(call, "status")) else { return Ok(()) };
        let function = call.get("function").unwrap_or(call);
        let name = text(function, "name").unwrap_or_default();
        if !self.known.contains_key(&wire) {
            if self.known.len() >= MAX_CALLS {
                return Err("too many tool calls");
            }
            let id = unique(&wire);
            out.push(ReplyEvent::ToolCallStarted {
                call: id.clone(),
                message: message.clone(),
                name: Some(name.clone()).filter(|name| !name.is_empty()),
                parent: None,
                executed_by: ExecutedBy::Server,
            });
            self.known.insert(wire.clone(), (id, ServerCallStage::Started));
        }
        let Some((id, stage)) = self.known.get_mut(&wire) else { return Ok(()) };
        if *stage == ServerCallStage::Started && status != "started" {
            *stage = ServerCallStage::Ready;
            let args = text(function, "arguments").unwrap_or_default();
            out.push(ReplyEvent::ToolCallReady { call: id.clone(), name, args, provider_metadata: None });
        }
        let Some(outcome) = parse_outcome(&status) else { return Ok(()) };
        *stage = match *stage {
            ServerCallStage::Corrected => return Ok(()),
            ServerCallStage::Finished => ServerCallStage::Corrected,
            ServerCallStage::Started | ServerCallStage::Ready => ServerCallStage::Finished,
        };
        let output = CallOutput::from_text(text(call, "output").unwrap_or_default());
        let took = call.get("latency_ms").and_then(Json::as_u64).map(Millis);
        out.push(ReplyEvent::ToolCallFinished { call: id.clone(), outcome, output, duration: took });
        Ok(())
    }
}

fn parse_outcome(status: &str) -> Option<CallOutcome> {
    Some(match status {
        "completed" => CallOutcome::Ok,
        "failed" => CallOutcome::Failed,
        "denied" => CallOutcome::Denied,
        "cancelled" => CallOutcome::Cancelled,
        "requested" => CallOutcome::Requested,
        "unknown" => CallOutcome::Unknown,
        _ => return None,
    })
}
