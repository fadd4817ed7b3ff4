//! Interrupts that ask whether calls may run, in the three forms that LangChain has for it: one request for a call, one
//! for all calls of a message, and the older one of its inbox.
//!
//! Source: `HumanInTheLoopMiddleware` of the Python package `langchain`, and `HumanInterrupt` of `langgraph-prebuilt`.

use serde_json::json;

use super::LangGraphDecoder;
use crate::event::{Json, ReplyEvent};

/// Calls that one interrupt asks about.
const MAX_ACTIONS: usize = 64;

/// A call that an interrupt asks about.
struct AskedAction<'a> {
    wire: String,
    /// How the answer is written.
    form: &'static str,
    description: Option<&'a str>,
}

impl LangGraphDecoder {
    /// Asks about the calls of an interrupt, if that is what it is for.
    pub(super) fn ask_approvals(&mut self, id: Option<&str>, value: &Json, out: &mut Vec<ReplyEvent>) {
        let Some(actions) = self.asked_actions(value) else { return };
        let count = actions.len();
        for (index, AskedAction { wire, form, description }) in actions.into_iter().enumerate() {
            let request = json!({"interruptId": id, "form": form, "index": index, "count": count, "toolCallId": wire});
            self.messages.reply.calls.ask_approval(&wire, request, description.map(str::to_owned), out);
        }
    }

    /// Returns the calls that an interrupt is about; none where it asks for something else than yes or no.
    fn asked_actions<'a>(&self, value: &'a Json) -> Option<Vec<AskedAction<'a>>> {
        let word = |json: &'a Json, key: &str| json.get(key).and_then(Json::as_str);
        if word(value, "type") == Some("tool_approval") {
            let wire = word(value, "tool_call_id").filter(|wire| self.messages.reply.calls.is_running(wire))?;
            let description = word(value, "description");
            return Some(vec![AskedAction { wire: wire.to_owned(), form: "decision", description }]);
        }
        let (form, list) = match value.get("action_requests").and_then(Json::as_array) {
            Some(list) => ("decisions", list.as_slice()),
            None => match value {
                Json::Array(list) => ("human", list.as_slice()),
                one => ("human", std::slice::from_ref(one)),
            },
        };
        let mut actions: Vec<AskedAction<'a>> = Vec::new();
        for action in list.iter().take(MAX_ACTIONS) {
            let name = match form {
                "decisions" => word(action, "name").or_else(|| word(action, "action"))?,
                _ => word(action.get("action_request")?, "action")?,
            };
            if !may_be_approved(value, action, name) {
                return None;
            }
            let taken: Vec<&str> = actions.iter().map(|action| action.wire.as_str()).collect();
            let wire = self.messages.reply.calls.running_named(name, &taken)?.to_owned();
            actions.push(AskedAction { wire, form, description: word(action, "description") });
        }
        Some(actions).filter(|actions| !actions.is_empty() && list.len() <= MAX_ACTIONS)
    }
}

/// Returns whether plain approval is one of the answers to an action.
fn may_be_approved(value: &Json, action: &Json, name: &str) -> bool {
    let configs = value.get("review_configs").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let config = configs.iter().find(|config| config.get("action_name").and_then(Json::as_str) == Some(name));
    let decisions = config.and_then(|config| config.get("allowed_decisions")?.as_array());
    let accepts = action.pointer("/config/allow_accept").and_then(Json::as_bool);
    decisions.is_none_or(|list| list.iter().any(|word| word == "approve")) && accepts != Some(false)
}
