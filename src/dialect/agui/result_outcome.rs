//! How a call really ended, where a server says so only in the value that it wants back with the result.
//!
//! Source: recordings of Pydantic AI, whose value is JSON: `{"pydantic_ai": {"outcome": "retried", …}}`.

use crate::event::{CallOutcome, Json};

/// The newest result.
#[derive(Debug, Default)]
pub(super) struct NewestResult {
    pub(super) message_id: String,
    pub(super) call: String,
    pub(super) text: String,
}

impl NewestResult {
    /// Returns the outcome that a value tells of this result; none where it is another's, or tells no failure.
    pub(super) fn outcome_in(&self, event: &Json) -> Option<CallOutcome> {
        let word = |key: &str| event.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        word("entityId").filter(|id| *id == self.message_id || *id == self.call)?;
        let value: Json = serde_json::from_str(word("encryptedValue")?).ok()?;
        let outcome = value.as_object()?.values().find_map(|vendor| vendor.get("outcome")?.as_str())?;
        match outcome {
            "retried" | "failed" => Some(CallOutcome::Failed),
            "denied" => Some(CallOutcome::Denied),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_outcome_is_told_of_its_own_result_only() {
        let newest = NewestResult { message_id: "m".into(), call: "c".into(), text: String::new() };
        let outcome = |id: &str, value: &str| newest.outcome_in(&json!({"entityId": id, "encryptedValue": value}));
        let retried = r#"{"pydantic_ai": {"outcome": "retried"}}"#;
        assert_eq!(outcome("m", retried), Some(CallOutcome::Failed));
        assert_eq!(outcome("other", retried), None);
        assert_eq!(outcome("m", r#"{"pydantic_ai": {"outcome": "success"}}"#), None);
        assert_eq!(outcome("m", "b3BhcXVl"), None);
    }
}
