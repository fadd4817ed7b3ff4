//! Calls of the agent, which A2A has no place for: servers put them into metadata of a status, or into parts of data.
//!
//! Source: recordings of Agno's and LangGraph's servers.

use super::super::agent_calls::AgentCallStart;
use super::super::borrowed_json::BorrowedJson;
use super::A2aDecoder;
use super::wire::non_empty_str;
use crate::event::{CallOutcome, ExecutedBy, Json, MessageId, ReplyEvent};

impl A2aDecoder {
    /// Takes the call that a status of Agno's server is about.
    pub(super) fn note_call(&mut self, update: &BorrowedJson<'_>, out: &mut Vec<ReplyEvent>) {
        let Some(metadata) = update.get("metadata") else { return };
        let word = |key: &str| non_empty_str(metadata, key).filter(|text| !text.is_empty());
        let kind = word("agno_event_type").unwrap_or_default();
        let Some(wire) = word("tool_call_id").filter(|_| kind.starts_with("tool_call_")) else { return };
        self.start_call(wire, word("tool_name"), out);
        if let Some(args) = word("tool_args") {
            self.calls.complete(wire, None, args, out);
        }
        let outcome = match kind {
            "tool_call_completed" => CallOutcome::Ok,
            "tool_call_error" => CallOutcome::Failed,
            _ => return,
        };
        if self.calls.is_running(wire) {
            let text = word("tool_result").or_else(|| word("error")).unwrap_or_default().to_owned();
            self.calls.finish(wire, outcome, text, out);
        }
    }

    /// Takes the calls in a part of data, as our server writes them, or the results, as LangGraph's does too. Returns
    /// whether they are that.
    pub(super) fn take_calls(&mut self, part: &Json, out: &mut Vec<ReplyEvent>) -> bool {
        if let Some(calls) = part.pointer("/data/tool_calls").and_then(Json::as_array) {
            for call in calls {
                let word = |key: &str| call.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
                let Some(wire) = word("toolCallId") else { continue };
                self.start_call(wire, word("name"), out);
                if let Some(args) = call.get("args") {
                    self.calls.complete(wire, None, &args.to_string(), out);
                }
            }
            return true;
        }
        let Some(results) = part.pointer("/data/tool_results").and_then(Json::as_array) else { return false };
        for result in results {
            let word = |key: &str| result.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
            let Some(wire) = word("toolCallId") else { continue };
            self.start_call(wire, word("name"), out);
            if self.calls.is_running(wire) {
                let failed = word("status") == Some("error");
                let outcome = if failed { CallOutcome::Failed } else { CallOutcome::Ok };
                let text = result.get("content").map(super::super::agent_reply::result_text).unwrap_or_default();
                self.calls.finish(wire, outcome, text, out);
            }
        }
        true
    }

    fn start_call(&mut self, wire: &str, name: Option<&str>, out: &mut Vec<ReplyEvent>) {
        if self.calls.is_known(wire) {
            return;
        }
        let message = MessageId::new(format!("m{}", self.message_count.max(1)));
        let (parent, ran_by) = (None, ExecutedBy::Server);
        self.calls.start(AgentCallStart { wire_id: wire, name, message, parent, ran_by }, out);
    }
}
