//! PURE. Parses a Responses request, field by field.
//!
//! Unknown fields are ignored. Unsupported ones that change the response are errors, such as prompt templates.

use serde_json::{Map, json};

use super::super::client_tools::{self, ToolFormat};
use super::super::error::ApiError;
use super::super::fields::{self, get_array, get_bool, get_object, get_value, missing_field, wrong_type};
use super::super::output_formats;
use super::super::request::WantedFormat;
use crate::event::{Json, SamplingParams, ToolSpec};

/// A parsed request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ResponsesRequest {
    pub(super) input: Json,
    pub(super) instructions: Option<String>,
    pub(super) model: Option<String>,
    pub(super) client_tools: Option<Vec<ToolSpec>>,
    /// Tools that can't be had.
    pub(super) left_out: Vec<String>,
    pub(super) previous_response: Option<String>,
    pub(super) conversation: Option<String>,
    pub(super) sampling: SamplingParams,
    pub(super) output_format: Option<WantedFormat>,
    pub(super) max_calls: Option<u32>,
    pub(super) stream: bool,
    pub(super) background: bool,
    pub(super) store: bool,
    /// Fields that the response repeats.
    pub(super) echo: Map<String, Json>,
}

/// Fields that the response repeats as they were sent.
const ECHOED_FIELDS: &[&str] = &[
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

/// Parses a request's body.
pub(super) fn parse(body: &[u8]) -> Result<ResponsesRequest, ApiError> {
    let fields = &fields::parse_object(body)?;
    let text = |name: &str| fields::get_string(fields, name, "");
    let conversation = match get_value(fields, "conversation") {
        Some(Json::Object(conversation)) => Some(fields::get_required_string(conversation, "id", "conversation")?),
        _ => text("conversation")?,
    };
    let previous = text("previous_response_id")?;
    if conversation.is_some() && previous.is_some() {
        let text = "conversation and previous_response_id can't be combined: both give the history";
        return Err(ApiError::bad_request(text).with_param("previous_response_id"));
    }
    if get_value(fields, "prompt").is_some() {
        let text = "prompt templates are not supported; send instructions and input";
        return Err(ApiError::new(400, "unsupported_parameter", text).with_param("prompt"));
    }
    let output_format = output_formats::of_responses(fields)?;
    let metadata = get_object(fields, "metadata")?;
    if metadata.is_some_and(|metadata| !metadata.values().all(Json::is_string)) {
        return Err(wrong_type("metadata", "an object of strings"));
    }
    let input = get_value(fields, "input").cloned().ok_or_else(|| missing_field("input"))?;
    let tools = get_array(fields, "tools", "")?;
    let (stream, background, store) =
        (get_bool(fields, "stream")?, get_bool(fields, "background")?, get_bool(fields, "store")?);
    let (stream, background, store) = (stream.unwrap_or(false), background.unwrap_or(false), store.unwrap_or(true));
    if background && !store {
        return Err(ApiError::bad_request("a background response must be stored, or it could not be retrieved")
            .with_param("store"));
    }
    let offered = client_tools::parse(fields, ToolFormat::Flat)?;
    let mut echo: Map<String, Json> =
        ECHOED_FIELDS.iter().filter_map(|name| Some(((*name).to_owned(), get_value(fields, name)?.clone()))).collect();
    echo.insert("tools".into(), offered.specs.iter().map(|spec| echoed_tool(spec, tools)).collect());
    echo.insert("store".into(), store.into());
    echo.insert("background".into(), background.into());
    if let Some(id) = conversation {
        echo.insert("conversation".into(), json!({ "id": id }));
    }
    Ok(ResponsesRequest {
        input,
        output_format,
        instructions: text("instructions")?.map(Into::into),
        model: text("model")?.map(str::trim).filter(|model| !model.is_empty()).map(Into::into),
        client_tools: offered.allowed,
        left_out: offered.left_out,
        previous_response: previous.map(Into::into),
        conversation: conversation.map(Into::into),
        sampling: SamplingParams {
            tool_choice_required: offered.tool_choice_required,
            ..fields::get_sampling_params(fields, &["max_output_tokens"])?
        },
        max_calls: fields::get_positive(fields, "max_tool_calls")?,
        stream,
        background,
        store,
        echo,
    })
}

/// A tool as the response repeats it.
fn echoed_tool(spec: &ToolSpec, sent: &[Json]) -> Json {
    let is_it = |tool: &&Json| tool.get("name").and_then(Json::as_str) == Some(&spec.name);
    let strict = sent.iter().find(is_it).and_then(|tool| tool.get("strict")?.as_bool()).unwrap_or(false);
    json!({"type": "function", "name": spec.name, "description": spec.description, "parameters": spec.parameters,
        "strict": strict})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(body: &str) -> String {
        parse(body.as_bytes()).unwrap_err().param.unwrap_or_default()
    }

    #[test]
    fn what_is_not_said_is_as_usual() {
        let wanted = parse(br#"{"input": "hi", "model": null, "tools": [], "stream": null, "later": 1}"#).unwrap();
        assert_eq!(
            (wanted.input, wanted.model, wanted.client_tools, wanted.stream),
            (json!("hi"), None, Some(vec![]), false)
        );
        assert!(wanted.store && !wanted.background);
    }

    #[test]
    fn what_can_not_be_had_is_refused_by_name() {
        for (body, named) in [
            ("{}", "input"),
            (r#"{"input":"x","stream":"yes"}"#, "stream"),
            (r#"{"input":"x","tools":[{"type":"function"}]}"#, "tools[0].name"),
            (r#"{"input":"x","text":{"format":{"type":"json_schema"}}}"#, "text.format.schema"),
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
