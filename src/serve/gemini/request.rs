//! PURE. Parses a request to the Gemini API, field by field, each with the name it has in JSON or in Python.
//!
//! Unknown fields are ignored. Thoughts in the history are left out, since only their model could read them. What the
//! model can't be given or asked for (files, other candidates) is an error that names it.

use super::super::client_tools::{self, ClientTools};
use super::super::error::ApiError;
use super::super::fields::{self, Fields, field_path, missing_field, wrong_type};
use super::super::request::WantedFormat;
use super::super::responses::conversation_builder::ConversationBuilder;
use super::super::vendor::{MessageParts, VendorRequest, object, unsupported_content};
use crate::event::{CallOutcome, Effort, Json, OutputFormat, OutputSchema, SamplingParams, ToolSpec};

/// Parses a request; the model is named elsewhere.
pub(super) fn parse(fields: &Fields) -> Result<VendorRequest, ApiError> {
    let mut builder = ConversationBuilder::default();
    if let Some(system) = get(fields, "systemInstruction") {
        builder.add_system(&system_text(system)?);
    }
    let contents = match get(fields, "contents") {
        Some(Json::Array(list)) if !list.is_empty() => list,
        Some(_) => return Err(wrong_type("contents", "an array of at least one content")),
        None => return Err(missing_field("contents")),
    };
    for (n, content) in contents.iter().enumerate() {
        let at = format!("contents[{n}]");
        add_content(&mut builder, object(content, &at)?, &at)?;
    }
    let none = Fields::new();
    let config = get_object(fields, "generationConfig", "")?.unwrap_or(&none);
    let thinking = get_object(config, "thinkingConfig", "generationConfig")?.unwrap_or(&none);
    let sampling = SamplingParams { effort: effort(thinking), ..sampling(config)? };
    let mut request = VendorRequest::build(builder, "contents", parse_tools(fields)?, sampling)?;
    request.one_shot.output_format = output_format(config)?;
    let sends_thoughts = get(thinking, "includeThoughts") == Some(&Json::Bool(true));
    Ok(VendorRequest { sends_thoughts, ..request })
}

/// Estimates the tokens of a request, which may be a field of its own.
pub(super) fn count_tokens(fields: &Fields) -> Result<u64, ApiError> {
    let whole = get_object(fields, "generateContentRequest", "")?.unwrap_or(fields);
    Ok(parse(whole)?.prompt_tokens)
}

/// Returns a field under the name it has in JSON, or in Python.
fn get<'f>(fields: &'f Fields, name: &str) -> Option<&'f Json> {
    fields::get_value(fields, name).or_else(|| fields::get_value(fields, &snake_case(name)))
}

fn get_object<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<Option<&'f Fields>, ApiError> {
    match get(fields, name) {
        None => Ok(None),
        Some(Json::Object(object)) => Ok(Some(object)),
        Some(_) => Err(wrong_type(&field_path(at, name), "an object")),
    }
}

fn get_list<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<&'f [Json], ApiError> {
    match get(fields, name) {
        None => Ok(&[]),
        Some(Json::Array(list)) => Ok(list),
        Some(_) => Err(wrong_type(&field_path(at, name), "an array")),
    }
}

fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

fn system_text(system: &Json) -> Result<String, ApiError> {
    let at = "systemInstruction";
    let parts = match system {
        Json::String(text) => return Ok(text.clone()),
        Json::Object(content) => get_list(content, "parts", at)?,
        _ => return Err(wrong_type(at, "a content")),
    };
    let texts = parts.iter().enumerate().map(|(n, part)| {
        let at = format!("{at}.parts[{n}]");
        fields::get_required_string(object(part, &at)?, "text", &at)
    });
    Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n\n"))
}

fn add_content(builder: &mut ConversationBuilder, content: &Fields, at: &str) -> Result<(), ApiError> {
    let is_model = fields::get_string(content, "role", at)? == Some("model");
    let mut said = MessageParts::default();
    for (n, part) in get_list(content, "parts", at)?.iter().enumerate() {
        let at = format!("{at}.parts[{n}]");
        let part = object(part, &at)?;
        if is_model {
            add_model_part(builder, part, &at)?;
        } else {
            add_user_part(builder, part, &at, &mut said)?;
        }
    }
    if let Some(prompt) = said.into_prompt() {
        builder.add_user(prompt);
    }
    Ok(())
}

fn add_model_part(builder: &mut ConversationBuilder, part: &Fields, at: &str) -> Result<(), ApiError> {
    let is_thought = part.get("thought") == Some(&Json::Bool(true));
    if let Some(call) = get_object(part, "functionCall", at)? {
        let at = field_path(at, "functionCall");
        let name = fields::get_required_string(call, "name", &at)?.to_owned();
        let id = fields::get_string(call, "id", &at)?.unwrap_or_default();
        let args = fields::get_value(call, "args").map_or_else(|| "{}".to_owned(), Json::to_string);
        builder.add_function_call(id, name, args);
    } else if let Some(text) = fields::get_string(part, "text", at)?.filter(|text| !is_thought && !text.is_empty()) {
        builder.add_assistant(text);
    }
    Ok(())
}

fn add_user_part(
    builder: &mut ConversationBuilder,
    part: &Fields,
    at: &str,
    said: &mut MessageParts,
) -> Result<(), ApiError> {
    if let Some(text) = fields::get_string(part, "text", at)? {
        said.push_text(text);
    } else if let Some(data) = get_object(part, "inlineData", at)? {
        push_image(data, &field_path(at, "inlineData"), said)?;
    } else if let Some(result) = get_object(part, "functionResponse", at)? {
        add_result(builder, result, &field_path(at, "functionResponse"), said)?;
    } else {
        let kind = part.keys().next().map_or("", String::as_str);
        return Err(unsupported_content(at, &format!("parts with {kind:?} are not supported here")));
    }
    Ok(())
}

fn push_image(data: &Fields, at: &str, said: &mut MessageParts) -> Result<(), ApiError> {
    said.push_base64_image(fields::get_required_string(data, "data", at)?, at)
}

fn add_result(
    builder: &mut ConversationBuilder,
    result: &Fields,
    at: &str,
    said: &mut MessageParts,
) -> Result<(), ApiError> {
    let id = fields::get_string(result, "id", at)?.filter(|id| !id.is_empty());
    let name = fields::get_string(result, "name", at)?;
    let (text, outcome) = result_text(result.get("response").unwrap_or(&Json::Null));
    if let Some(id) = id.filter(|id| builder.has_call(id)) {
        if !builder.add_function_result(id, text, outcome) {
            // Gemini CLI sends its results twice after it has loaded a conversation.
            return Ok(());
        }
    } else if !builder.add_result_by_name(name, text) {
        let text = format!("{at} is the result of a call that no earlier content makes");
        return Err(ApiError::bad_request(text).with_param(at));
    }
    for (n, part) in get_list(result, "parts", at)?.iter().enumerate() {
        let at = format!("{at}.parts[{n}]");
        if let Some(data) = get_object(object(part, &at)?, "inlineData", &at)? {
            push_image(data, &at, said)?;
        }
    }
    Ok(())
}

/// Returns the text of a result: its only value where the format says what that is, else its JSON.
fn result_text(response: &Json) -> (String, CallOutcome) {
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let only = response.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.iter().next());
    match only {
        Some((key, value)) if matches!(key.as_str(), "output" | "result") => (text(value), CallOutcome::Ok),
        Some((key, value)) if key == "error" => (text(value), CallOutcome::Failed),
        _ => (text(response), CallOutcome::Ok),
    }
}

/// Returns the format of the answer: JSON, of a schema in the vendor's words or in the standard's.
fn output_format(config: &Fields) -> Result<Option<WantedFormat>, ApiError> {
    let param = "generationConfig.responseMimeType";
    match get(config, "responseMimeType").and_then(Json::as_str) {
        None | Some("text/plain") => return Ok(None),
        Some("application/json") => {}
        Some(kind) => {
            let text = format!("answers of type {kind:?} are not supported; application/json and text/plain are");
            return Err(ApiError::new(400, "unsupported_parameter", text).with_param(param));
        }
    }
    let schema = match get_object(config, "responseJsonSchema", "generationConfig")? {
        Some(schema) => Some(Json::Object(schema.clone())),
        None => get_object(config, "responseSchema", "generationConfig")?
            .map(|schema| to_json_schema(Json::Object(schema.clone()))),
    };
    let format = schema.map_or(OutputFormat::Json, |schema| OutputFormat::Schema(OutputSchema::new(schema)));
    Ok(Some(WantedFormat { format, param }))
}

fn sampling(config: &Fields) -> Result<SamplingParams, ApiError> {
    let at = |name: &str| field_path("generationConfig", name);
    let unsupported =
        |name: &str, text: String| Err(ApiError::new(400, "unsupported_parameter", text).with_param(at(name)));
    if get(config, "candidateCount").and_then(Json::as_u64).is_some_and(|count| count > 1) {
        return unsupported("candidateCount", "only one candidate is supported".into());
    }
    let named = [("temperature", "temperature"), ("topP", "top_p"), ("maxOutputTokens", "max_output_tokens")];
    let known = named.into_iter().filter_map(|(theirs, ours)| Some((ours.to_owned(), get(config, theirs)?.clone())));
    fields::get_sampling_params(&known.collect(), &["max_output_tokens"])
}

fn effort(thinking: &Fields) -> Option<Effort> {
    let level = get(thinking, "thinkingLevel").and_then(Json::as_str);
    let budget = get(thinking, "thinkingBudget").and_then(Json::as_i64);
    let level = level.and_then(|level| Effort::parse(&level.to_ascii_lowercase()));
    level.or(budget.map(|budget| if budget == 0 { Effort::None } else { Effort::On }))
}

fn parse_tools(fields: &Fields) -> Result<ClientTools, ApiError> {
    let mut tools = ClientTools::default();
    for (n, tool) in get_list(fields, "tools", "")?.iter().enumerate() {
        let at = format!("tools[{n}]");
        let tool = object(tool, &at)?;
        for (n, declared) in get_list(tool, "functionDeclarations", &at)?.iter().enumerate() {
            let at = format!("{at}.functionDeclarations[{n}]");
            tools.specs.push(tool_spec(object(declared, &at)?, &at)?);
        }
        let is_declared = |key: &str| matches!(key, "functionDeclarations" | "function_declarations");
        for kind in tool.keys().filter(|key| !is_declared(key)) {
            client_tools::leave_out(kind, &mut tools.left_out);
        }
    }
    tools.allowed = get(fields, "tools").map(|_| tools.specs.clone());
    let Some(config) = get_object(fields, "toolConfig", "")? else { return Ok(tools) };
    let Some(config) = get_object(config, "functionCallingConfig", "toolConfig")? else { return Ok(tools) };
    let at = "toolConfig.functionCallingConfig";
    match fields::get_string(config, "mode", at)?.unwrap_or("AUTO").to_ascii_uppercase().as_str() {
        "NONE" => tools.allowed = Some(Vec::new()),
        "ANY" => {
            let names: Vec<&str> =
                get_list(config, "allowedFunctionNames", at)?.iter().filter_map(Json::as_str).collect();
            tools.tool_choice_required = true;
            if !names.is_empty() {
                tools.choose(&names, &field_path(at, "allowedFunctionNames"))?;
            }
        }
        _ => {}
    }
    Ok(tools)
}

fn tool_spec(declared: &Fields, at: &str) -> Result<ToolSpec, ApiError> {
    let name = fields::get_required_string(declared, "name", at)?;
    let description = fields::get_string(declared, "description", at)?.unwrap_or_default();
    let schema = get_object(declared, "parametersJsonSchema", at)?.cloned().map(Json::Object);
    let schema = match schema {
        Some(schema) => Some(schema),
        None => get_object(declared, "parameters", at)?.cloned().map(|schema| to_json_schema(Json::Object(schema))),
    };
    Ok(client_tools::tool_spec(name, description, schema))
}

/// Turns the vendor's schemas, whose types are in capitals, into JSON schemas.
fn to_json_schema(schema: Json) -> Json {
    match schema {
        Json::Object(fields) => {
            let field = |(key, value): (String, Json)| {
                let value = match (key.as_str(), value) {
                    ("type", Json::String(kind)) => Json::String(kind.to_ascii_lowercase()),
                    ("default" | "example" | "enum", value) => value,
                    (_, value) => to_json_schema(value),
                };
                (key, value)
            };
            Json::Object(fields.into_iter().map(field).collect())
        }
        Json::Array(list) => Json::Array(list.into_iter().map(to_json_schema).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
