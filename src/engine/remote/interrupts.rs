//! PURE. Answers to what a remote agent waits for: decisions about calls, and prompts that answer a question.

use serde_json::json;

use crate::dialect::yes_no::{YES_NO_KEYS, YES_WORDS, YesNoForm};
use crate::engine::{HistoryMessage, INTERRUPTS_KEY, ModelRequest};
use crate::event::Json;

/// A prompt that answers what the agent asked in its last turn.
pub(super) struct InterruptAnswer<'a> {
    pub(super) interrupts: &'a [Json],
    pub(super) text: &'a str,
}

/// Returns what the newest prompt answers; none where the agent asked nothing, or the turn goes on already.
pub(super) fn answered_interrupts(request: &ModelRequest) -> Option<InterruptAnswer<'_>> {
    let (HistoryMessage::User { text, .. }, past) = request.history.split_last()? else { return None };
    let asked = past.iter().rev().find(|past| !matches!(past, HistoryMessage::Tool { .. }))?;
    let HistoryMessage::Assistant { provider_metadata: Some(metadata), .. } = asked else { return None };
    let interrupts = metadata.get(INTERRUPTS_KEY)?.as_array().filter(|list| !list.is_empty())?;
    Some(InterruptAnswer { interrupts, text })
}

/// Returns a decision in the form that a schema asks for.
pub(super) fn decision_payload(schema: Option<&Json>, is_allowed: bool, reason: Option<&str>) -> Json {
    let form = schema.and_then(YesNoForm::of_schema);
    let value = match &form {
        Some(form) if is_allowed => form.yes.clone(),
        Some(form) => form.no.clone(),
        None => is_allowed.into(),
    };
    let is_bare = schema.is_some_and(|schema| has_type(schema, "boolean"));
    if is_bare || form.as_ref().is_some_and(|form| form.key.is_none()) {
        return value;
    }
    let properties = schema.and_then(|schema| schema.get("properties")?.as_object());
    let key = YES_NO_KEYS.iter().find(|key| properties.is_none_or(|known| known.contains_key(**key)));
    let mut payload = json!({});
    let own = form.as_ref().and_then(|form| form.key.as_deref());
    payload[own.or(key.copied()).unwrap_or("approved")] = value;
    if let Some(reason) = reason {
        payload["reason"] = reason.into();
    }
    payload
}

/// Returns what a person wrote in the form that a schema asks for.
pub(super) fn text_payload(schema: Option<&Json>, text: &str) -> Json {
    if let Ok(written @ (Json::Object(_) | Json::Array(_))) = serde_json::from_str(text) {
        return written;
    }
    let Some(schema) = schema else { return text.into() };
    if let Some(value) = scalar(schema, text) {
        return value;
    }
    let Some(properties) = schema.get("properties").and_then(Json::as_object) else { return text.into() };
    let required = schema.get("required").and_then(Json::as_array).and_then(|names| names.first()?.as_str());
    let Some(key) = required.or_else(|| properties.keys().next().map(String::as_str)) else { return text.into() };
    let value = properties.get(key).and_then(|property| scalar(property, text));
    json!({ key: value.unwrap_or_else(|| text.into()) })
}

/// Reads a text as the value that a schema names; none where it names no simple one.
fn scalar(schema: &Json, text: &str) -> Option<Json> {
    let word = text.trim().trim_end_matches(['.', '!']).to_lowercase();
    if has_type(schema, "boolean") {
        return Some(YES_WORDS.contains(&word.as_str()).into());
    }
    if has_type(schema, "number") || has_type(schema, "integer") {
        return Some(serde_json::from_str::<serde_json::Number>(&word).map_or_else(|_| text.into(), Json::Number));
    }
    has_type(schema, "string").then(|| text.into())
}

fn has_type(schema: &Json, name: &str) -> bool {
    match schema.get("type") {
        Some(Json::String(kind)) => kind == name,
        Some(Json::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_put_as_the_schema_says() {
        let pydantic = json!({"type": "object", "properties": {"approved": {"type": "boolean"}, "reason": {}}});
        let confirmed = json!({"type": "object", "properties": {"confirmed": {"type": "boolean"}}});
        let plain = json!({"type": "boolean"});
        let other = json!({"properties": {"go_on": {"type": "string", "enum": ["yes", "no"]}}});
        for (schema, expected) in [
            (None, json!({"approved": false, "reason": "no"})),
            (Some(&pydantic), json!({"approved": false, "reason": "no"})),
            (Some(&confirmed), json!({"confirmed": false, "reason": "no"})),
            (Some(&plain), json!(false)),
            (Some(&other), json!({"go_on": "no", "reason": "no"})),
        ] {
            assert_eq!(decision_payload(schema, false, Some("no")), expected);
        }
        assert_eq!(decision_payload(None, true, None), json!({"approved": true}));
    }

    #[test]
    fn what_a_person_wrote_is_put_as_the_schema_says() {
        let named = |kind: &str| json!({"properties": {"x": {"type": kind}, "y": {}}, "required": ["x"]});
        for (schema, text, expected) in [
            (None, "Paris", json!("Paris")),
            (None, r#"{"a":1}"#, json!({"a": 1})),
            (Some(json!({"type": "boolean"})), "Yes!", json!(true)),
            (Some(json!({"type": "boolean"})), "rather not", json!(false)),
            (Some(named("string")), "Paris", json!({"x": "Paris"})),
            (Some(named("integer")), "4", json!({"x": 4})),
            (Some(named("integer")), "four", json!({"x": "four"})),
            (Some(named("boolean")), "no", json!({"x": false})),
            (Some(json!({"type": "object"})), "Paris", json!("Paris")),
        ] {
            assert_eq!(text_payload(schema.as_ref(), text), expected, "{schema:?}");
        }
    }
}
