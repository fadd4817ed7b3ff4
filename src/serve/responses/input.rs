//! PURE. Converts a request's events back to items, and pages lists of items.

use super::super::error::ApiError;
use super::super::fields;
use super::super::request::is_history_turn;
use crate::dialect::responses::object;
use crate::event::{AgentEvent, CallId, CallOutcome, Json};

/// Returns a request's own events as items: everything up to its answer. Ids begin with `key`.
pub(in crate::serve) fn request_items<'a>(events: impl Iterator<Item = &'a AgentEvent>, key: &str) -> Vec<Json> {
    let mut items: Vec<Json> = Vec::new();
    let mut text = String::new();
    // Name and arguments of the calls of a message.
    let mut calls: Vec<(CallId, String, String)> = Vec::new();
    let mut answers = false;
    for event in events {
        let id = |prefix: &str| format!("{prefix}_{key}_in{}", items.len());
        match event {
            AgentEvent::TurnStarted { turn, .. } => answers = !is_history_turn(turn),
            AgentEvent::UserMessage { text, .. } => {
                items.push(object::message_item(&id("msg"), "completed", "user", &[object::input_text(text)]));
            }
            AgentEvent::MessageStarted { .. } if answers => break,
            AgentEvent::TextDelta { text: piece, .. } => text.push_str(piece),
            AgentEvent::MessageFinished { .. } if !text.is_empty() => {
                let part = object::output_text(&std::mem::take(&mut text), &[]);
                items.push(object::message_item(&id("msg"), "completed", "assistant", &[part]));
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                calls.push((call.clone(), name.clone(), args.clone()));
            }
            _ => {}
        }
        // A call comes after the text of its message.
        if let AgentEvent::MessageFinished { .. } = event {
            for (call, name, args) in calls.drain(..) {
                let id = format!("fc_{key}_in{}", items.len());
                items.push(object::function_call_item(&id, "completed", call.as_str(), &name, &args));
            }
        }
        if let AgentEvent::ToolCallFinished { call, outcome, output, .. } = event
            && *outcome != CallOutcome::Requested
        {
            let id = format!("fco_{key}_in{}", items.len());
            items.push(object::function_call_output_item(&id, call.as_str(), &output.text));
        }
    }
    items
}

/// Which part of a list is requested.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::serve) struct ItemPage {
    after: Option<String>,
    limit: Option<usize>,
    ascending: bool,
}

impl ItemPage {
    /// Parses it from a query.
    pub(in crate::serve) fn read(query: &[(String, String)]) -> Result<Self, ApiError> {
        let mut page = Self::default();
        for (name, value) in query {
            match name.as_str() {
                "after" => page.after = Some(value.clone()),
                "limit" => match value.parse() {
                    Ok(limit @ 1..=100) => page.limit = Some(limit),
                    _ => return Err(fields::wrong_type("limit", "a number from 1 to 100")),
                },
                "order" => match value.as_str() {
                    "asc" | "desc" => page.ascending = value == "asc",
                    _ => return Err(fields::wrong_type("order", "asc or desc")),
                },
                _ => {}
            }
        }
        Ok(page)
    }

    /// Builds the list object; `items` are oldest first.
    pub(in crate::serve) fn list_object(&self, mut items: Vec<Json>) -> Json {
        if !self.ascending {
            items.reverse();
        }
        let id = |item: &Json| item.get("id").and_then(Json::as_str).unwrap_or_default().to_owned();
        let from = self.after.as_ref().and_then(|after| items.iter().position(|item| id(item) == *after));
        let mut items: Vec<Json> = items.into_iter().skip(from.map_or(0, |at| at + 1)).collect();
        let limit = self.limit.unwrap_or(20);
        let has_more = items.len() > limit;
        items.truncate(limit);
        object::list_object(&items, has_more)
    }
}
