//! What a server asks the person while a call runs: each field of its form becomes a question. One with a few possible
//! values has these as answers, another is written.
//!
//! Nothing is ever filled in that the person didn't see, but a default of the server itself. A list of values can't be
//! shown: where it is required and has no default, the server is told no.

use rmcp::model::{ElicitRequestParams, ElicitResult, ElicitationAction};
use serde_json::{Map, Value};

use crate::event::{AnswerKind, OfferedAnswer};
use crate::text::one_line;
use crate::tool::{AskPerson, ToolQuestion};

const MAX_FIELDS: usize = 20;
const MAX_ANSWERS: usize = 20;
const MAX_LABEL_CELLS: usize = 100;
const MAX_MESSAGE_BYTES: usize = 4096;
/// How often a field is asked about that was written wrong.
const MAX_TRIES: usize = 5;
const DECLINE: &str = "decline";
const LEAVE_OUT: &str = "leave-out";
const ACCEPT: &str = "accept";

/// A field of a form.
struct Field {
    name: String,
    title: String,
    is_required: bool,
    kind: FieldKind,
    default: Option<Value>,
}

enum FieldKind {
    /// Each with its label.
    Values(Vec<(Value, String)>),
    Text {
        least: usize,
        most: usize,
    },
    Number {
        is_whole: bool,
        least: f64,
        most: f64,
    },
}

/// Asks the person, and returns the server's answer.
pub(super) async fn answer_elicitation(
    params: &ElicitRequestParams,
    server: &str,
    ask: Option<&AskPerson>,
) -> ElicitResult {
    let declined = ElicitResult::new(ElicitationAction::Decline);
    let Some(ask) = ask else { return declined };
    let (message, schema) = match params {
        ElicitRequestParams::FormElicitationParams { message, requested_schema, .. } => {
            (message.clone(), serde_json::to_value(requested_schema).unwrap_or_default())
        }
        ElicitRequestParams::UrlElicitationParams { message, url, .. } => {
            let text = format!("{message}\nOpen this address, and do there what it asks: {url}");
            (text, serde_json::json!({"properties": {}}))
        }
        _ => return declined,
    };
    let message = &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)];
    let asked = format!("the server {server} asks: {message}");
    let Some((fields, mut content)) = read_form(&schema) else { return declined };
    if fields.is_empty() {
        let answers = vec![offered(ACCEPT, "accept"), decline()];
        let question = ToolQuestion { subject: one_line(&asked, MAX_LABEL_CELLS), detail: asked.clone(), answers };
        if ask(question).await.as_deref() != Some(ACCEPT) {
            return declined;
        }
    }
    for field in fields {
        match field.ask(&asked, ask).await {
            Some(Some(value)) => {
                content.insert(field.name, value);
            }
            Some(None) => {}
            None => return declined,
        }
    }
    let result = ElicitResult::new(ElicitationAction::Accept);
    if matches!(params, ElicitRequestParams::FormElicitationParams { .. }) {
        return result.with_content(Value::Object(content));
    }
    result
}

impl Field {
    /// Asks for its value; the inner `None` leaves it out, the outer one declines all.
    async fn ask(&self, asked: &str, ask: &AskPerson) -> Option<Option<Value>> {
        let mut wrong = String::new();
        for _ in 0..MAX_TRIES {
            let mut answers: Vec<OfferedAnswer> = match &self.kind {
                FieldKind::Values(values) => {
                    let named = values.iter().enumerate();
                    named.map(|(nth, (_, label))| offered(&format!("value-{nth}"), label)).collect()
                }
                FieldKind::Text { .. } | FieldKind::Number { .. } => {
                    vec![offered(OfferedAnswer::WRITTEN, "write it")]
                }
            };
            match &self.default {
                Some(default) => answers.push(offered(LEAVE_OUT, &format!("leave it at {}", label(default)))),
                None if !self.is_required => answers.push(offered(LEAVE_OUT, "leave this out")),
                None => {}
            }
            answers.push(decline());
            let question = ToolQuestion {
                subject: one_line(&format!("{wrong}{}", self.title), MAX_LABEL_CELLS),
                detail: asked.to_owned(),
                answers,
            };
            let chosen = ask(question).await?;
            if chosen == LEAVE_OUT {
                return Some(self.default.clone());
            }
            if let (FieldKind::Values(values), Some(nth)) = (&self.kind, chosen.strip_prefix("value-")) {
                let nth: usize = nth.parse().ok()?;
                return Some(Some(values.get(nth)?.0.clone()));
            }
            match self.read(chosen.strip_prefix(OfferedAnswer::WRITTEN)?) {
                Ok(value) => return Some(Some(value)),
                Err(why) => wrong = format!("{why}: "),
            }
        }
        None
    }

    /// Reads what was written.
    fn read(&self, text: &str) -> Result<Value, String> {
        match &self.kind {
            FieldKind::Text { least, most } => {
                let letters = text.chars().count();
                if letters < *least || (letters == 0 && self.is_required) {
                    return Err(format!("at least {} characters", (*least).max(1)));
                }
                if letters > *most {
                    return Err(format!("at most {most} characters"));
                }
                Ok(text.into())
            }
            FieldKind::Number { is_whole, least, most } => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                let number = number.ok_or_else(|| "not a number".to_owned())?;
                if *is_whole && number.fract() != 0.0 {
                    return Err("not a whole number".to_owned());
                }
                if number < *least || number > *most {
                    return Err(format!("not from {least} to {most}"));
                }
                match text.parse::<i64>() {
                    Ok(whole) => Ok(whole.into()),
                    Err(_) => Ok(number.into()),
                }
            }
            FieldKind::Values(_) => Err("choose one".to_owned()),
        }
    }
}

fn offered(id: &str, label: &str) -> OfferedAnswer {
    OfferedAnswer { id: id.to_owned(), label: one_line(label, MAX_LABEL_CELLS), kind: AnswerKind::AllowOnce }
}

fn decline() -> OfferedAnswer {
    OfferedAnswer { kind: AnswerKind::RejectOnce, ..offered(DECLINE, "decline") }
}

fn label(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns the fields to ask about and the values that need no question; `None` if the form can't be shown.
fn read_form(schema: &Value) -> Option<(Vec<Field>, Map<String, Value>)> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let (mut fields, mut content) = (Vec::new(), Map::new());
    for (name, property) in schema["properties"].as_object()? {
        let is_required = required.contains(&name.as_str());
        let default = property.get("default").filter(|default| !default.is_null()).cloned();
        match field_kind(property) {
            Some(kind) => {
                let title = property["title"].as_str().unwrap_or(name);
                let about = property["description"].as_str().map(|about| format!(": {about}")).unwrap_or_default();
                let title = one_line(&format!("{title}{about}"), MAX_LABEL_CELLS);
                fields.push(Field { name: name.clone(), title, is_required, kind, default });
            }
            None => match default {
                Some(default) => {
                    content.insert(name.clone(), default);
                }
                None if is_required => return None,
                None => {}
            },
        }
    }
    (fields.len() <= MAX_FIELDS).then_some((fields, content))
}

fn field_kind(property: &Value) -> Option<FieldKind> {
    if let Some(values) = possible_values(property) {
        return Some(FieldKind::Values(values));
    }
    let bound = |name: &str, other: f64| property[name].as_f64().unwrap_or(other);
    let length = |name: &str, other: usize| property[name].as_u64().and_then(|n| n.try_into().ok()).unwrap_or(other);
    match property["type"].as_str()? {
        "string" => Some(FieldKind::Text { least: length("minLength", 0), most: length("maxLength", usize::MAX) }),
        kind @ ("number" | "integer") => Some(FieldKind::Number {
            is_whole: kind == "integer",
            least: bound("minimum", f64::NEG_INFINITY),
            most: bound("maximum", f64::INFINITY),
        }),
        _ => None,
    }
}

fn possible_values(property: &Value) -> Option<Vec<(Value, String)>> {
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
            let mut offered = question.answers.into_iter();
            let answer = match label.strip_prefix("write ") {
                Some(text) => offered.find(OfferedAnswer::is_written).map(|answer| answer.id + text),
                None => offered.find(|answer| answer.label == label).map(|answer| answer.id),
            };
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
            "e": {"type": "array", "items": {"type": "string", "enum": ["x"]}, "default": []},
        }, "required": ["a", "d"]});
        let (result, subjects) = ask(schema, &["yes", "Yak", "leave this out", "leave it at 3"]).await;
        assert_eq!(result, json!({"action": "accept", "content": {"a": true, "b": "y", "d": 3, "e": []}}));
        assert_eq!(subjects, ["Window seat", "b", "c", "d"]);
    }

    #[tokio::test]
    async fn what_is_written_is_asked_for_again_until_it_fits() {
        let schema = json!({"type": "object", "properties": {
            "n": {"type": "integer", "minimum": 1, "maximum": 9}, "s": {"type": "string", "maxLength": 3},
        }, "required": ["n", "s"]});
        let (result, subjects) = ask(schema, &["write ten", "write 10", "write 9", "write ", "write abc"]).await;
        assert_eq!(result, json!({"action": "accept", "content": {"n": 9, "s": "abc"}}));
        assert_eq!(subjects[1], "not a number: n");
        let any = json!({"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]});
        let (result, subjects) = ask(any, &["write NaN", "write inf", "write 1.5"]).await;
        assert_eq!(result, json!({"action": "accept", "content": {"x": 1.5}}));
        assert_eq!(subjects, ["x", "not a number: x", "not a number: x"]);
    }

    #[tokio::test]
    async fn a_no_a_silence_and_a_form_that_can_not_be_shown_decline() {
        let choice = json!({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]});
        for answer in ["decline", "something else"] {
            assert_eq!(ask(choice.clone(), &[answer]).await.0, json!({"action": "decline"}));
        }
        let list = json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string", "enum": ["x"]}}}, "required": ["a"]});
        assert_eq!(ask(list, &[]).await, (json!({"action": "decline"}), Vec::new()));
        let params = json!({"mode": "form", "message": "?", "requestedSchema": choice});
        let nobody = answer_elicitation(&serde_json::from_value(params).unwrap(), "s", None).await;
        assert_eq!(nobody.action, ElicitationAction::Decline);
    }
}
