//! PURE. Parses a request to Anthropic Messages, field by field.
//!
//! Unknown fields are ignored. Thinking in the history is left out, since only its model could read it. Content that
//! the model can't be given (documents, images at addresses) is an error that names it.

use super::super::client_tools::{self, ClientTools};
use super::super::error::ApiError;
use super::super::fields::{
    self, Fields, field_path, get_array, get_object, get_required_string, get_string, get_value, missing_field,
    wrong_type,
};
use super::super::output_formats;
use super::super::responses::conversation_builder::ConversationBuilder;
use super::super::vendor::{MessageParts, VendorRequest, object, unsupported_content};
use crate::event::{CallOutcome, Effort, Json};

/// The code by which clients know that they have to send the whole conversation.
pub(super) const THREAD_UNSUPPORTED_CODE: &str = "thread_unsupported_request";

/// Parses a request.
pub(super) fn parse(fields: &Fields) -> Result<VendorRequest, ApiError> {
    // Whoever heeds it not gets only the new messages from the second request on.
    if get_value(fields, "thread").is_some() {
        let text = "conversations are not kept here; send all messages, without thread";
        return Err(ApiError::new(400, THREAD_UNSUPPORTED_CODE, text).with_param("thread"));
    }
    let mut builder = ConversationBuilder::default();
    if let Some(system) = get_value(fields, "system") {
        builder.add_system(&system_text(system, "system")?);
    }
    let messages = match get_value(fields, "messages") {
        Some(Json::Array(list)) if !list.is_empty() => list,
        Some(_) => return Err(wrong_type("messages", "an array of at least one message")),
        None => return Err(missing_field("messages")),
    };
    for (n, message) in messages.iter().enumerate() {
        let at = format!("messages[{n}]");
        add_message(&mut builder, object(message, &at)?, &at)?;
    }
    let mut sampling = fields::get_sampling_params(fields, &["max_tokens"])?;
    let thinking = get_object(fields, "thinking")?.and_then(|thinking| thinking.get("type")?.as_str());
    let sends_thoughts = matches!(thinking, Some("enabled" | "adaptive"));
    let level = get_object(fields, "output_config")?.and_then(|config| config.get("effort")?.as_str());
    sampling.effort = match thinking {
        Some("disabled") => Some(Effort::None),
        Some(_) => level.and_then(Effort::parse).or(Some(Effort::On)),
        None => level.and_then(Effort::parse),
    };
    let request = VendorRequest::build(builder, "messages", parse_tools(fields)?, sampling)?;
    let mut request = request.with_model(get_string(fields, "model", "")?);
    request.one_shot.output_format = output_formats::of_messages(fields)?;
    Ok(VendorRequest { stream: fields::get_bool(fields, "stream")?.unwrap_or(false), sends_thoughts, ..request })
}

/// Returns the text of instructions: a string or blocks.
fn system_text(content: &Json, at: &str) -> Result<String, ApiError> {
    match content {
        Json::String(text) => Ok(text.clone()),
        Json::Array(blocks) => {
            let texts = blocks.iter().enumerate().map(|(n, block)| {
                let at = format!("{at}[{n}]");
                get_required_string(object(block, &at)?, "text", &at)
            });
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n\n"))
        }
        _ => Err(wrong_type(at, "a string or an array of text blocks")),
    }
}

fn add_message(builder: &mut ConversationBuilder, message: &Fields, at: &str) -> Result<(), ApiError> {
    let role = get_required_string(message, "role", at)?;
    let content = get_value(message, "content").ok_or_else(|| missing_field(&field_path(at, "content")))?;
    let at = field_path(at, "content");
    match (role, content) {
        ("system", _) => builder.add_system(&system_text(content, &at)?),
        ("assistant", Json::String(text)) => builder.add_assistant(text),
        ("assistant", Json::Array(blocks)) => {
            for (n, block) in blocks.iter().enumerate() {
                let at = format!("{at}[{n}]");
                add_assistant_block(builder, object(block, &at)?, &at)?;
            }
        }
        ("user", Json::String(text)) => builder.add_user(text.as_str().into()),
        ("user", Json::Array(blocks)) => {
            let mut parts = MessageParts::default();
            for (n, block) in blocks.iter().enumerate() {
                let at = format!("{at}[{n}]");
                add_user_block(builder, object(block, &at)?, &at, &mut parts)?;
            }
            if let Some(prompt) = parts.into_prompt() {
                builder.add_user(prompt);
            }
        }
        ("user" | "assistant", _) => return Err(wrong_type(&at, "a string or an array of blocks")),
        _ => return Err(wrong_type("role", "\"user\", \"assistant\" or \"system\"")),
    }
    Ok(())
}

fn add_assistant_block(builder: &mut ConversationBuilder, block: &Fields, at: &str) -> Result<(), ApiError> {
    match get_required_string(block, "type", at)? {
        "text" => builder.add_assistant(get_required_string(block, "text", at)?),
        "tool_use" => {
            let (id, name) = (get_required_string(block, "id", at)?, get_required_string(block, "name", at)?);
            let input = get_value(block, "input").map_or_else(|| "{}".to_owned(), Json::to_string);
            builder.add_function_call(id, name.to_owned(), input);
        }
        // Thinking, and what servers of others did.
        _ => {}
    }
    Ok(())
}

fn add_user_block(
    builder: &mut ConversationBuilder,
    block: &Fields,
    at: &str,
    parts: &mut MessageParts,
) -> Result<(), ApiError> {
    match get_required_string(block, "type", at)? {
        "text" => parts.push_text(get_required_string(block, "text", at)?),
        "image" => push_image(block, at, parts)?,
        "tool_result" => {
            let id = get_required_string(block, "tool_use_id", at)?;
            let text = result_text(block, at, parts)?;
            let is_error = fields::get_bool_at(block, "is_error", at)?.unwrap_or(false);
            let outcome = if is_error { CallOutcome::Failed } else { CallOutcome::Ok };
            if !builder.add_function_result(id, text, outcome) {
                let text = format!("{at}: unexpected tool_use_id {id:?}: no tool_use of an earlier message has it");
                return Err(ApiError::bad_request(text).with_param(field_path(at, "tool_use_id")));
            }
        }
        other => return Err(unsupported_content(at, &format!("blocks of type {other:?} are not supported here"))),
    }
    Ok(())
}

/// Returns the text of a result. Its images go with what the user says.
fn result_text(block: &Fields, at: &str, parts: &mut MessageParts) -> Result<String, ApiError> {
    let at = field_path(at, "content");
    let blocks = match get_value(block, "content") {
        None => return Ok(String::new()),
        Some(Json::String(text)) => return Ok(text.clone()),
        Some(Json::Array(blocks)) => blocks,
        Some(_) => return Err(wrong_type(&at, "a string or an array of blocks")),
    };
    let mut texts = Vec::new();
    for (n, block) in blocks.iter().enumerate() {
        let at = format!("{at}[{n}]");
        let fields = object(block, &at)?;
        match get_required_string(fields, "type", &at)? {
            "text" => texts.push(get_required_string(fields, "text", &at)?.to_owned()),
            "image" => {
                push_image(fields, &at, parts)?;
                texts.push("(an image, which follows)".to_owned());
            }
            // Its JSON says what it is.
            _ => texts.push(block.to_string()),
        }
    }
    Ok(texts.join("\n\n"))
}

fn push_image(block: &Fields, at: &str, parts: &mut MessageParts) -> Result<(), ApiError> {
    let source = fields::get_object_at(block, "source", at)?.ok_or_else(|| missing_field(&field_path(at, "source")))?;
    match source.get("data").and_then(Json::as_str) {
        Some(data) => parts.push_base64_image(data, at),
        None => Err(unsupported_content(at, "images at addresses and in files are not fetched; send base64")),
    }
}

fn parse_tools(fields: &Fields) -> Result<ClientTools, ApiError> {
    let mut tools = ClientTools::default();
    for (n, tool) in get_array(fields, "tools", "")?.iter().enumerate() {
        let at = format!("tools[{n}]");
        let tool = object(tool, &at)?;
        // What the vendor runs, or knows without a schema.
        let kind = get_string(tool, "type", &at)?.unwrap_or("custom");
        if kind != "custom" {
            client_tools::leave_out(kind, &mut tools.left_out);
            continue;
        }
        let name = get_required_string(tool, "name", &at)?;
        let description = get_string(tool, "description", &at)?.unwrap_or_default();
        let schema = fields::get_object_at(tool, "input_schema", &at)?.cloned().map(Json::Object);
        tools.specs.push(client_tools::tool_spec(name, description, schema));
    }
    tools.allowed = get_value(fields, "tools").map(|_| tools.specs.clone());
    let Some(choice) = get_object(fields, "tool_choice")? else { return Ok(tools) };
    match get_required_string(choice, "type", "tool_choice")? {
        "auto" => {}
        "none" => tools.allowed = Some(Vec::new()),
        "any" => tools.tool_choice_required = true,
        "tool" => {
            let name = get_required_string(choice, "name", "tool_choice")?;
            tools.choose(&[name], "tool_choice.name")?;
        }
        _ => return Err(wrong_type("tool_choice.type", "\"auto\", \"any\", \"tool\" or \"none\"")),
    }
    Ok(tools)
}

#[cfg(test)]
mod tests;
