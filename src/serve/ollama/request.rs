//! PURE. Parses requests to Ollama's `/api/chat` and `/api/generate`, field by field.
//!
//! Unknown fields are ignored, and of `options` all but those that every model takes. What changes the answer and can't
//! be had (text behind the answer) is an error.

use super::super::client_tools::{self, ClientTools, ToolFormat};
use super::super::error::ApiError;
use super::super::fields::{
    self, Fields, field_path, get_array, get_required_string, get_string, get_value, missing_field, wrong_type,
};
use super::super::output_formats;
use super::super::responses::conversation_builder::ConversationBuilder;
use super::super::vendor::{MessageParts, VendorRequest, object};
use crate::event::{CallOutcome, Effort, Json, SamplingParams};

/// A parsed request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum OllamaRequest {
    /// It asks nothing: the model is to be loaded or unloaded.
    Load {
        model: String,
    },
    Ask(Box<VendorRequest>),
}

/// Parses a request to `/api/chat`.
pub(super) fn parse_chat(fields: &Fields) -> Result<OllamaRequest, ApiError> {
    let messages = get_array(fields, "messages", "")?;
    if messages.is_empty() {
        return load(fields);
    }
    let mut builder = ConversationBuilder::default();
    for (n, message) in messages.iter().enumerate() {
        let at = format!("messages[{n}]");
        add_message(&mut builder, object(message, &at)?, &at)?;
    }
    finish(fields, builder, "messages", client_tools::parse(fields, ToolFormat::Nested)?)
}

/// Parses a request to `/api/generate`.
pub(super) fn parse_generate(fields: &Fields) -> Result<OllamaRequest, ApiError> {
    let prompt = get_string(fields, "prompt", "")?.unwrap_or_default();
    if prompt.is_empty() && get_array(fields, "images", "")?.is_empty() {
        return load(fields);
    }
    if get_string(fields, "suffix", "")?.is_some_and(|suffix| !suffix.is_empty()) {
        return Err(unsupported("suffix", "text behind the answer is not supported; leave suffix out".into()));
    }
    let mut builder = ConversationBuilder::default();
    builder.add_system(get_string(fields, "system", "")?.unwrap_or_default());
    add_user(&mut builder, prompt, fields, "")?;
    finish(fields, builder, "prompt", ClientTools::default())
}

fn load(fields: &Fields) -> Result<OllamaRequest, ApiError> {
    Ok(OllamaRequest::Load { model: get_string(fields, "model", "")?.unwrap_or_default().to_owned() })
}

fn finish(
    fields: &Fields,
    builder: ConversationBuilder,
    at: &str,
    tools: ClientTools,
) -> Result<OllamaRequest, ApiError> {
    let output_format = output_formats::of_ollama(fields)?;
    let think = get_value(fields, "think");
    let effort = match think {
        None => None,
        Some(Json::Bool(thinks)) => Some(if *thinks { Effort::On } else { Effort::None }),
        Some(Json::String(level)) => Some(Effort::parse(level).unwrap_or(Effort::On)),
        Some(_) => return Err(wrong_type("think", "true, false or a level")),
    };
    let sampling = SamplingParams { effort, ..sampling(fields)? };
    let mut request = VendorRequest::build(builder, at, tools, sampling)?.with_model(get_string(fields, "model", "")?);
    request.one_shot.output_format = output_format;
    Ok(OllamaRequest::Ask(Box::new(VendorRequest {
        stream: fields::get_bool(fields, "stream")?.unwrap_or(true),
        sends_thoughts: effort != Some(Effort::None),
        ..request
    })))
}

fn sampling(fields: &Fields) -> Result<SamplingParams, ApiError> {
    let Some(options) = fields::get_object(fields, "options")? else { return Ok(SamplingParams::default()) };
    let mut options = options.clone();
    // -1 is without a limit, -2 as far as the window goes.
    if options.get("num_predict").and_then(Json::as_i64).is_some_and(|limit| limit <= 0) {
        options.remove("num_predict");
    }
    fields::get_sampling_params(&options, &["num_predict"])
}

fn add_message(builder: &mut ConversationBuilder, message: &Fields, at: &str) -> Result<(), ApiError> {
    let text = get_string(message, "content", at)?.unwrap_or_default();
    match get_string(message, "role", at)?.unwrap_or("user") {
        "system" => builder.add_system(text),
        "assistant" => {
            builder.add_assistant(text);
            for (n, call) in get_array(message, "tool_calls", at)?.iter().enumerate() {
                let at = format!("{at}.tool_calls[{n}]");
                add_call(builder, object(call, &at)?, &at)?;
            }
        }
        "tool" => {
            let id = get_string(message, "tool_call_id", at)?.filter(|id| !id.is_empty());
            let name = get_string(message, "tool_name", at)?.or(get_string(message, "name", at)?);
            let name = name.filter(|name| !name.is_empty());
            let is_known = id.is_some_and(|id| builder.add_function_result(id, text.to_owned(), CallOutcome::Ok))
                || builder.add_result_by_name(name, text.to_owned());
            if !is_known {
                let text = format!("{at} is the result of a call that no earlier message makes");
                return Err(ApiError::bad_request(text).with_param(at));
            }
        }
        _ => add_user(builder, text, message, at)?,
    }
    Ok(())
}

fn add_user(builder: &mut ConversationBuilder, text: &str, fields: &Fields, at: &str) -> Result<(), ApiError> {
    let mut parts = MessageParts::default();
    parts.push_text(text);
    for (n, image) in get_array(fields, "images", at)?.iter().enumerate() {
        let at = format!("{}[{n}]", field_path(at, "images"));
        let data = image.as_str().ok_or_else(|| wrong_type(&at, "a string of base64"))?;
        parts.push_base64_image(data, &at)?;
    }
    builder.add_user(parts.into_prompt().unwrap_or_default());
    Ok(())
}

fn add_call(builder: &mut ConversationBuilder, call: &Fields, at: &str) -> Result<(), ApiError> {
    let function = fields::get_object_at(call, "function", at)?;
    let function = function.ok_or_else(|| missing_field(&field_path(at, "function")))?;
    let name = get_required_string(function, "name", &field_path(at, "function"))?;
    let args = match get_value(function, "arguments") {
        None => "{}".to_owned(),
        Some(Json::String(args)) => args.clone(),
        Some(args) => args.to_string(),
    };
    builder.add_function_call(get_string(call, "id", at)?.unwrap_or_default(), name.to_owned(), args);
    Ok(())
}

fn unsupported(field: &str, text: String) -> ApiError {
    ApiError::new(400, "unsupported_parameter", text).with_param(field)
}

#[cfg(test)]
mod tests;
