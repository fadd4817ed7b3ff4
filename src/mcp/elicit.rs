//! What a server asks the person while a call runs: each field of its form with a few possible values becomes a question
//! with these answers.
//!
//! A field to type into can't be shown: where it is required and has no default, the server is told no. Nothing is ever
//! filled in that the person didn't see, but a default of the server itself.

use rmcp::model::{ElicitRequestParams, ElicitResult, ElicitationAction};
use serde_json::{Map, Value};

use crate::event::{AnswerKind, OfferedAnswer};
use crate::text::one_line;
use crate::tool::{AskPerson, ToolQuestion};

const MAX_FIELDS: usize = 12;
const MAX_ANSWERS: usize = 20;
const MAX_LABEL_CELLS: usize = 100;
const MAX_MESSAGE_BYTES: usize = 4096;
const DECLINE: &str = "decline";
const LEAVE_OUT: &str = "leave-out";

/// A field with the values that it may have.
struct Field {
    name: String,
    title: String,
    is_required: bool,
    /// Each with its label.
    values: Vec<(Value, String)>,
}

/// Asks the person, and returns the server's answer.
pub(super) async fn answer_elicitation(
    params: &ElicitRequestParams,
    server: &str,
    ask: Option<&AskPerson>,
) -> ElicitResult {
    let (Some(ask), ElicitRequestParams::FormElicitationParams { message, requested_schema, .. }) = (ask, params)
    else {
        return ElicitResult::new(ElicitationAction::Decline);
    };
    let schema = serde_json::to_value(requested_schema).unwrap_or_default();
    let Some((fields, mut content)) = read_form(&schema) else {
        return ElicitResult::new(ElicitationAction::Decline);
    };
    let message = &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)];
    let asked = format!("the server {server} asks: {message}");
    if fields.is_empty() {
        let answers = vec![offered("accept", "accept", AnswerKind::AllowOnce), decline()];
        let question = ToolQuestion { subject: one_line(&asked, MAX_LABEL_CELLS), detail: asked.clone(), answers };
        if ask(question).await.as_deref() != Some("accept") {
            return ElicitResult::new(ElicitationAction::Decline);
        }
    }
    for field in fields {
        let mut answers: Vec<OfferedAnswer> = field
            .values
            .iter()
            .enumerate()
            .map(|(nth, (_, label))| offered(&format!("value-{nth}"), label, AnswerKind::AllowOnce))
            .collect();
        if !field.is_required {
            answers.push(offered(LEAVE_OUT, "leave this out", AnswerKind::AllowOnce));
        }
        answers.push(decline());
        let question = ToolQuestion {
            subject: one_line(&format!("{} — {message}", field.title), MAX_LABEL_CELLS),
            detail: format!("{asked}\n\n{}", field.title),
            answers,
        };
        let chosen = ask(question).await;
        let nth = chosen.as_deref().and_then(|id| id.strip_prefix("value-")).and_then(|nth| nth.parse::<usize>().ok());
        match (nth.and_then(|nth| field.values.into_iter().nth(nth)), chosen.as_deref()) {
            (Some((value, _)), _) => {
                content.insert(field.name, value);
            }
            (None, Some(LEAVE_OUT)) => {}
            (None, _) => return ElicitResult::new(ElicitationAction::Decline),
        }
    }
    ElicitResult::new(ElicitationAction::Accept).with_content(Value::Object(content))
}

fn offered(id: &str, label: &str, kind: AnswerKind) -> OfferedAnswer {
    OfferedAnswer { id: id.to_owned(), label: one_line(label, MAX_LABEL_CELLS), kind }
}

fn decline() -> OfferedAnswer {
    offered(DECLINE, "decline", AnswerKind::RejectOnce)
}

/// Returns the fields to ask about and the values that need no question; `None` if the form can't be shown.
fn read_form(schema: &Value) -> Option<(Vec<Field>, Map<String, Value>)> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (mut fields, mut content) = (Vec::new(), Map::new());
    for (name, property) in schema["properties"].as_object()? {
        let is_required = required.contains(&name.as_str());
        match possible_values(property) {
            Some(values) => {
                let title = property["title"].as_str().unwrap_or(name);
                let about = property["description"].as_str().map(|about| format!(": {about}")).unwrap_or_default();
                let title = one_line(&format!("{title}{about}"), MAX_LABEL_CELLS);
                fields.push(Field { name: name.clone(), title, is_required, values });
            }
            None if !is_required => {}
            None => {
                content.insert(name.clone(), property.get("default")?.clone());
            }
        }
    }
    (fields.len() <= MAX_FIELDS).then_some((fields, content))
}

fn possible_values(property: &Value) -> Option<Vec<(Value, String)>> {
    let label = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let values: Vec<(Value, String)> = if property["type"] == "boolean" {
        vec![(true.into(), "yes".to_owned()), (false.into(), "no".to_owned())]
    } else if let Some(values) = property["enum"].as_array() {
        let names = property["enumNames"].as_array();
        let name = |nth: usize| names.and_then(|names| names.get(nth)).and_then(Value::as_str);
        let named =
            |(nth, value): (usize, &Value)| (value.clone(), name(nth).map_or_else(|| label(value), str::to_owned));
        values.iter().enumerate().map(named).collect()
    } else {
        let options = property["oneOf"].as_array()?;
        let option = |option: &Value| {
            let value = option.get("const")?;
            Some((value.clone(), option["title"].as_str().map_or_else(|| label(value), str::to_owned)))
        };
        options.iter().map(option).collect::<Option<_>>()?
    };
    (1..=MAX_ANSWERS).contains(&values.len()).then_some(values)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::FutureExt as _;
    use serde_json::json;

    use super::*;

    /// Answers the questions in turn with what has this label.
    async fn ask(schema: Value, labels: &[&'static str]) -> (Value, Vec<String>) {
        let params = json!({"mode": "form", "message": "Book?\u{1b}[2J", "requestedSchema": schema});
        let params: ElicitRequestParams = serde_json::from_value(params).unwrap();
        let subjects = Arc::new(Mutex::new(Vec::new()));
        let (told, labels) = (Arc::clone(&subjects), Mutex::new(labels.to_vec()));
        labels.lock().unwrap().reverse();
        let person: AskPerson = Arc::new(move |question| {
            told.lock().unwrap().push(question.subject);
            let label = labels.lock().unwrap().pop().expect("no more questions");
            let answer = question.answers.into_iter().find(|answer| answer.label == label).map(|answer| answer.id);
            async move { answer }.boxed()
        });
        let result = answer_elicitation(&params, "travel", Some(&person)).await;
        let subjects = subjects.lock().unwrap().clone();
        (serde_json::to_value(result).unwrap(), subjects)
    }

    #[tokio::test]
    async fn each_field_with_few_values_is_a_question() {
        let schema = json!({"type": "object", "properties": {
            "a": {"type": "boolean", "title": "Window seat"},
            "b": {"type": "string", "enum": ["x", "y"], "enumNames": ["Xylo", "Yak"]},
            "c": {"type": "string"},
            "d": {"type": "integer", "default": 3},
        }, "required": ["a", "d"]});
        let (result, subjects) = ask(schema, &["yes", "Yak"]).await;
        assert_eq!(result, json!({"action": "accept", "content": {"a": true, "b": "y", "d": 3}}));
        assert_eq!(subjects, ["Window seat — Book?", "b — Book?"]);
    }

    #[tokio::test]
    async fn a_no_a_silence_and_a_form_to_type_into_decline() {
        let choice = json!({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]});
        for answer in ["decline", "something else"] {
            assert_eq!(ask(choice.clone(), &[answer]).await.0, json!({"action": "decline"}));
        }
        let typed = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
        assert_eq!(ask(typed, &[]).await, (json!({"action": "decline"}), Vec::new()));
        let params = json!({"mode": "form", "message": "?", "requestedSchema": choice});
        let nobody = answer_elicitation(&serde_json::from_value(params).unwrap(), "s", None).await;
        assert_eq!(nobody.action, ElicitationAction::Decline);
    }
}
