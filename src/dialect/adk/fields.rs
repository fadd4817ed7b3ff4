//! Reads the fields of events and their parts, under the names of both cases.

use serde_json::json;

use super::super::agent_reply::result_text;
use crate::event::{CallOutcome, Json};

/// Returns a value that is not null, by its name in camel case or the same in snake case.
pub(super) fn field<'j>(json: &'j Json, camel: &str) -> Option<&'j Json> {
    let value = json.get(camel).or_else(|| json.get(to_snake_case(camel)));
    value.filter(|value| !value.is_null())
}

/// Returns a string that is not empty, likewise.
pub(super) fn text_field<'j>(json: &'j Json, camel: &str) -> Option<&'j str> {
    field(json, camel).and_then(Json::as_str).filter(|text| !text.is_empty())
}

fn to_snake_case(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 4);
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

pub(super) fn is_partial(event: &Json) -> bool {
    event.get("partial") == Some(&Json::Bool(true))
}

/// Returns the text of a part, and whether it is a thought.
pub(super) fn part_text(part: &Json) -> Option<(&str, bool)> {
    let text = part.get("text").and_then(Json::as_str).filter(|text| !text.is_empty())?;
    Some((text, part.get("thought") == Some(&Json::Bool(true))))
}

/// Returns a result as text. One that is no object was wrapped for the model.
pub(super) fn response_text(response: &Json) -> String {
    match response.as_object() {
        Some(fields) if fields.len() == 1 => {
            let wrapped = fields.get("result").or_else(|| fields.get("error"));
            wrapped.map_or_else(|| response.to_string(), result_text)
        }
        _ => result_text(response),
    }
}

/// Returns the outcome of a call: tools report their failures in their results.
pub(super) fn outcome_of(response: &Json) -> CallOutcome {
    let has_failed = match response.get("error") {
        None | Some(Json::Null | Json::Bool(false)) => false,
        Some(Json::String(text)) => !text.is_empty(),
        Some(_) => true,
    };
    if has_failed { CallOutcome::Failed } else { CallOutcome::Ok }
}

/// Returns code that the model runs as the arguments of a call.
pub(super) fn code_call(code: &Json) -> String {
    json!({ "language": code.get("language"), "code": code.get("code") }).to_string()
}
