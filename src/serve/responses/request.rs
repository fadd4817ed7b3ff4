//! PURE. What a Responses request asks, field by field.
//!
//! Fields that nobody here knows are ignored. What changes the answer's shape and can't be had is refused: other
//! formats than text, prompt templates, hosted tools.

use serde_json::{Map, json};

use super::super::fields::{self, flag, list, map, missing, said, wrong};
use super::super::offered::{self, Form};
use super::super::refuse::Refused;
use crate::event::{Json, ToolSpec, Tuning};

/// A request, understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub(super) input: Json,
    pub(super) instructions: Option<String>,
    pub(super) model: Option<String>,
    pub(super) client_tools: Option<Vec<ToolSpec>>,
    pub(super) previous: Option<String>,
    pub(super) conversation: Option<String>,
    pub(super) tuning: Tuning,
    pub(super) max_calls: Option<u32>,
    pub(super) stream: bool,
    pub(super) background: bool,
    pub(super) store: bool,
    /// What the response repeats.
    pub(super) echo: Map<String, Json>,
}

/// Fields that the response repeats as they were sent.
const REPEATED: &[&str] = &[
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "temperature",
    "text",
    "tool_choice",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Reads a request's body.
pub(super) fn read(body: &[u8]) -> Result<Wanted, Refused> {
    let fields = &fields::object(body)?;
    let text = |name: &str| fields::text(fields, name, "");
    let conversation = match said(fields, "conversation") {
        Some(Json::Object(conversation)) => Some(fields::needed(conversation, "id", "conversation")?),
        _ => text("conversation")?,
    };
    let previous = text("previous_response_id")?;
    if conversation.is_some() && previous.is_some() {
        let text = "conversation and previous_response_id can't be given together: each of them says what came before";
        return Err(Refused::bad(text).about("previous_response_id"));
    }
    if said(fields, "prompt").is_some() {
        let text = "prompt templates are not kept here; send instructions and input";
        return Err(Refused::new(400, "unsupported_parameter", text).about("prompt"));
    }
    let format = map(fields, "text")?.and_then(|text| text.get("format")?.get("type")?.as_str());
    if let Some(format) = format.filter(|format| *format != "text") {
        let text = format!("answers of format {format:?} can't be had here, only text");
        return Err(Refused::new(400, "unsupported_parameter", text).about("text.format"));
    }
    let metadata = map(fields, "metadata")?;
    if metadata.is_some_and(|metadata| !metadata.values().all(Json::is_string)) {
        return Err(wrong("metadata", "an object of strings"));
    }
    let input = said(fields, "input").cloned().ok_or_else(|| missing("input"))?;
    let tools = list(fields, "tools", "")?;
    let (stream, background, store) = (flag(fields, "stream")?, flag(fields, "background")?, flag(fields, "store")?);
    let (stream, background, store) = (stream.unwrap_or(false), background.unwrap_or(false), store.unwrap_or(true));
    if background && !store {
        return Err(
            Refused::bad("a response in the background must be stored, or nobody could ask for it").about("store")
        );
    }
    let offered = offered::read(fields, Form::Flat)?;
    let mut echo: Map<String, Json> =
        REPEATED.iter().filter_map(|name| Some(((*name).to_owned(), said(fields, name)?.clone()))).collect();
    echo.insert("tools".into(), offered.specs.iter().zip(tools).map(|(spec, sent)| tool(spec, sent)).collect());
    echo.insert("store".into(), store.into());
    echo.insert("background".into(), background.into());
    if let Some(id) = conversation {
        echo.insert("conversation".into(), json!({ "id": id }));
    }
    Ok(Wanted {
        input,
        instructions: text("instructions")?.map(Into::into),
        model: text("model")?.map(str::trim).filter(|model| !model.is_empty()).map(Into::into),
        client_tools: offered.chosen,
        previous: previous.map(Into::into),
        conversation: conversation.map(Into::into),
        tuning: Tuning { must_call: offered.must_call, ..fields::tuning(fields, &["max_output_tokens"])? },
        max_calls: fields::count(fields, "max_tool_calls")?,
        stream,
        background,
        store,
        echo,
    })
}

/// A tool as the response repeats it.
fn tool(spec: &ToolSpec, sent: &Json) -> Json {
    let strict = sent.get("strict").and_then(Json::as_bool).unwrap_or(false);
    json!({"type": "function", "name": spec.name, "description": spec.description, "parameters": spec.parameters,
        "strict": strict})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(body: &str) -> String {
        read(body.as_bytes()).unwrap_err().param.unwrap_or_default()
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        let wanted = read(br#"{"input": "hi", "model": null, "tools": [], "stream": null, "later": 1}"#).unwrap();
        assert_eq!((wanted.input, wanted.model, wanted.client_tools, wanted.stream), (json!("hi"), None, None, false));
        assert!(wanted.store && !wanted.background);
    }

    #[test]
    fn what_can_not_be_had_is_refused_by_name() {
        for (body, named) in [
            ("{}", "input"),
            (r#"{"input":"x","stream":"yes"}"#, "stream"),
            (r#"{"input":"x","tools":[{"type":"web_search"}]}"#, "tools[0].type"),
            (r#"{"input":"x","tools":[{"type":"function"}]}"#, "tools[0].name"),
            (r#"{"input":"x","text":{"format":{"type":"json_schema"}}}"#, "text.format"),
            (r#"{"input":"x","prompt":{"id":"p"}}"#, "prompt"),
            (r#"{"input":"x","background":true,"store":false}"#, "store"),
            (r#"{"input":"x","max_output_tokens":0}"#, "max_output_tokens"),
            (r#"{"input":"x","temperature":"hot"}"#, "temperature"),
            (r#"{"input":"x","metadata":{"a":1}}"#, "metadata"),
            (r#"{"input":"x","previous_response_id":"a","conversation":"b"}"#, "previous_response_id"),
            (r#"{"input":"x","conversation":{}}"#, "conversation.id"),
            ("[]", ""),
            ("{", ""),
        ] {
            assert_eq!(param(body), named, "{body}");
        }
    }
}
