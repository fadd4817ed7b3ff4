//! Schemas that ask for nothing but yes or no: a boolean, two words of which one means yes and one no, or an object with
//! one such property and nothing else that is required.

use crate::event::Json;

/// Names of a property by which a schema asks for yes or no, the likeliest first.
pub const YES_NO_KEYS: &[&str] = &["approved", "approve", "accepted", "confirmed", "confirm", "allowed", "allow"];
/// Words that mean yes.
pub const YES_WORDS: &[&str] =
    &["yes", "y", "ok", "okay", "true", "sure", "approve", "approved", "accept", "allow", "confirm", "1"];
/// Words that mean no.
pub const NO_WORDS: &[&str] =
    &["no", "n", "false", "deny", "denied", "reject", "rejected", "decline", "cancel", "refuse", "disallow", "0"];

/// How yes and no are written.
#[derive(Clone, Debug, PartialEq)]
pub struct YesNoForm {
    /// The property of the object that holds it; none where it stands for itself.
    pub key: Option<String>,
    pub yes: Json,
    pub no: Json,
}

impl YesNoForm {
    /// Returns the form that a schema asks for; none where it asks for something else.
    pub fn of_schema(schema: &Json) -> Option<Self> {
        if let Some((yes, no)) = values(schema) {
            return Some(Self { key: None, yes, no });
        }
        let properties = schema.get("properties")?.as_object()?;
        let fits = |key: &str| values(properties.get(key)?).map(|values| (key.to_owned(), values));
        let mut forms = properties.keys().filter_map(|key| fits(key));
        let known = YES_NO_KEYS.iter().find_map(|key| fits(key));
        let (key, (yes, no)) = match known {
            Some(known) => known,
            None => forms.next().filter(|_| forms.next().is_none())?,
        };
        let required = schema.get("required").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let is_alone = required.iter().all(|name| *name == key.as_str());
        is_alone.then_some(Self { key: Some(key), yes, no })
    }
}

/// Returns how yes and no are written as a simple value.
fn values(schema: &Json) -> Option<(Json, Json)> {
    if schema.get("type").and_then(Json::as_str) == Some("boolean") {
        return Some((true.into(), false.into()));
    }
    let [first, second] = schema.get("enum")?.as_array()?.as_slice() else { return None };
    let is_in = |word: &Json, words: &[&str]| word.as_str().is_some_and(|word| words.contains(&&*word.to_lowercase()));
    match (is_in(first, YES_WORDS), is_in(second, YES_WORDS)) {
        (true, false) if is_in(second, NO_WORDS) => Some((first.clone(), second.clone())),
        (false, true) if is_in(first, NO_WORDS) => Some((second.clone(), first.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_of_one_yes_or_no_is_told_from_others() {
        let form = |schema: &Json| YesNoForm::of_schema(schema).map(|form| (form.key, form.yes, form.no));
        let boolean = json!({"type": "boolean"});
        let named = |key: &str| Some((Some(key.to_owned()), json!(true), json!(false)));
        assert_eq!(form(&boolean), Some((None, json!(true), json!(false))));
        let words = json!({"type": "string", "enum": ["Reject", "approve"]});
        assert_eq!(form(&words), Some((None, json!("approve"), json!("Reject"))));
        assert_eq!(form(&json!({"properties": {"go": boolean, "why": {}}, "required": ["go"]})), named("go"));
        assert_eq!(form(&json!({"properties": {"all": boolean, "approved": boolean}})), named("approved"));
        for other in [
            json!({"type": "string"}),
            json!({"type": "string", "enum": ["red", "blue"]}),
            json!({"type": "string", "enum": ["yes", "no", "later"]}),
            json!({"properties": {"a": boolean, "b": boolean}}),
            json!({"properties": {"go": boolean, "why": {}}, "required": ["go", "why"]}),
            json!({"properties": {"city": {"type": "string"}}}),
            json!("boolean"),
        ] {
            assert_eq!(form(&other), None, "{other}");
        }
    }
}
