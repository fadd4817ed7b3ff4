//! Calls that the server ran, told state by state: `{id, function: {name, arguments}, status, output?, latency_ms?}`, as
//! our own Poe and Warp streams have them. A call without a `status` is none of these: it is the model's wish.

use std::collections::HashMap;

use crate::event::{AgentEvent, CallId, Json, MessageId, Millis, Outcome, Output, RanBy};

/// Calls that are followed.
const MOST: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Ran {
    known: HashMap<String, (CallId, Stage)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Started,
    Ready,
    Finished,
    Settled,
}

/// Returns whether this is the state of a call that the server runs.
pub(super) fn is_one(call: &Json) -> bool {
    call.get("status").is_some_and(Json::is_string) && call.get("id").is_some_and(Json::is_string)
}

impl Ran {
    pub(super) fn knows(&self, call: &Json) -> bool {
        call.get("id").and_then(Json::as_str).is_some_and(|id| self.known.contains_key(id))
    }

    /// Takes a state, of a call of this message where it is new. Fails with what is odd about it.
    pub(super) fn take(
        &mut self,
        call: &Json,
        message: &MessageId,
        unique: impl FnOnce(&str) -> CallId,
        out: &mut Vec<AgentEvent>,
    ) -> Result<(), &'static str> {
        let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).map(ToOwned::to_owned);
        let (Some(wire), Some(status)) = (text(call, "id"), text(call, "status")) else { return Ok(()) };
        let function = call.get("function").unwrap_or(call);
        let name = text(function, "name").unwrap_or_default();
        if !self.known.contains_key(&wire) {
            if self.known.len() >= MOST {
                return Err("more tool calls than are followed");
            }
            let id = unique(&wire);
            out.push(AgentEvent::ToolCallStarted {
                call: id.clone(),
                message: message.clone(),
                name: Some(name.clone()).filter(|name| !name.is_empty()),
                parent: None,
                ran_by: RanBy::Server,
            });
            self.known.insert(wire.clone(), (id, Stage::Started));
        }
        let Some((id, stage)) = self.known.get_mut(&wire) else { return Ok(()) };
        if *stage == Stage::Started && status != "started" {
            *stage = Stage::Ready;
            let args = text(function, "arguments").unwrap_or_default();
            out.push(AgentEvent::ToolCallReady { call: id.clone(), name, args, carry: None });
        }
        let Some(outcome) = outcome(&status) else { return Ok(()) };
        *stage = match *stage {
            Stage::Settled => return Ok(()),
            Stage::Finished => Stage::Settled,
            Stage::Started | Stage::Ready => Stage::Finished,
        };
        let output = Output::of(text(call, "output").unwrap_or_default());
        let took = call.get("latency_ms").and_then(Json::as_u64).map(Millis);
        out.push(AgentEvent::ToolCallFinished { call: id.clone(), outcome, output, took });
        Ok(())
    }
}

fn outcome(status: &str) -> Option<Outcome> {
    Some(match status {
        "completed" => Outcome::Ok,
        "failed" => Outcome::Failed,
        "denied" => Outcome::Denied,
        "cancelled" => Outcome::Cancelled,
        "requested" => Outcome::Requested,
        "unknown" => Outcome::Unknown,
        _ => return None,
    })
}
