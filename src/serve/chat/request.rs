//! PURE. Parses a chat completion request, field by field.
//!
//! Lenient wherever the meaning is clear: unknown fields are ignored, null means absent, and an unknown role counts as
//! the user's. A field of the wrong type is an error that names it. Content that isn't supported (audio, files, images
//! of others than the user) is an error too: an answer that silently ignored it would be wrong.

use std::collections::{HashMap, HashSet};

use super::super::client_tools::{self, ToolFormat};
use super::super::error::ApiError;
use super::super::fields::{self, Fields, field_path, get_array, get_string, get_value, missing_field, wrong_type};
use super::super::image_parts::{ClientPrompt, push_image};
use super::super::output_formats;
use super::super::request::{HistoryBuilder, OneShotRequest};
use crate::event::{CallOutcome, Json, PromptContext, PromptImage};

/// A parsed request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::serve) struct ChatRequest {
    pub(in crate::serve) one_shot: OneShotRequest,
    pub(in crate::serve) stream: bool,
    pub(in crate::serve) include_usage: bool,
    /// Whether the client sent any tools.
    pub(in crate::serve) has_tools: bool,
    /// How many messages the model gets, a system prompt included.
    pub(in crate::serve) message_count: u64,
    /// Estimated tokens of the prompt: one per four characters of each message, at least one each.
    pub(in crate::serve) prompt_tokens: u64,
}

/// Whose tools the model is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum ToolOwner {
    /// Our agent's: the client's tools only act as a switch.
    Server,
    /// The client's, if it sends any.
    Client,
}

/// Limit of calls in one message.
const MAX_CALLS_PER_MESSAGE: usize = 1024;

/// Parses a request's body. `tools` chooses the owner by whether the client sent any.
pub(in crate::serve) fn parse(body: &[u8], tools: impl FnOnce(bool) -> ToolOwner) -> Result<ChatRequest, ApiError> {
    let fields = &fields::parse_object(body)?;
    let mut wanted = parse_messages(fields)?;
    check_choices(fields)?;
    wanted.one_shot.output_format = output_formats::of_chat(fields)?;
    wanted.one_shot.model =
        get_string(fields, "model", "")?.map(str::trim).filter(|model| !model.is_empty()).map(Into::into);
    wanted.one_shot.sampling = fields::get_sampling_params(fields, &["max_completion_tokens", "max_tokens"])?;
    wanted.stream = fields::get_bool(fields, "stream")?.unwrap_or(false);
    if let Some(options) = fields::get_object(fields, "stream_options")? {
        wanted.include_usage = fields::get_bool_at(options, "include_usage", "stream_options")?.unwrap_or(false);
    }
    wanted.has_tools = !get_array(fields, "tools", "")?.is_empty();
    if tools(wanted.has_tools) == ToolOwner::Client {
        let offered = client_tools::parse(fields, ToolFormat::Nested)?;
        wanted.one_shot.client_tools = offered.allowed;
        wanted.one_shot.left_out = offered.left_out;
        wanted.one_shot.sampling.tool_choice_required = offered.tool_choice_required;
    }
    Ok(wanted)
}

/// Rejects several answers to one request.
fn check_choices(fields: &Fields) -> Result<(), ApiError> {
    if fields::get_positive(fields, "n")?.is_some_and(|n| n > 1) {
        let text = "only one choice is supported; leave n out";
        return Err(ApiError::new(400, "unsupported_parameter", text).with_param("n"));
    }
    Ok(())
}

/// Collects the conversation: the history as events, and the prompt.
#[derive(Default)]
struct MessagesParser {
    history: HistoryBuilder,
    system: Vec<String>,
    /// The last user message, as long as no answer follows it.
    prompt: Option<ClientPrompt>,
    /// Maps the client's call ids to ours, which are unique.
    call_ids: HashMap<String, String>,
    used_ids: HashSet<String>,
    call_count: usize,
    prompt_tokens: u64,
}

fn parse_messages(fields: &Fields) -> Result<ChatRequest, ApiError> {
    let list = match get_value(fields, "messages") {
        Some(Json::Array(list)) if !list.is_empty() => list,
        Some(_) => return Err(wrong_type("messages", "an array of at least one message")),
        None => return Err(missing_field("messages")),
    };
    let mut builder = MessagesParser::default();
    for (n, message) in list.iter().enumerate() {
        let at = format!("messages[{n}]");
        match message {
            Json::Object(message) => builder.add_message(message, &at)?,
            _ => return Err(wrong_type(&at, "an object")),
        }
    }
    let count = list.len() as u64;
    let MessagesParser { history, mut system, mut prompt, prompt_tokens: tokens, .. } = builder;
    let past = history.into_events();
    if past.is_empty() && prompt.is_none() {
        // If there are only instructions, they are the prompt.
        prompt = system.pop().as_deref().map(ClientPrompt::from);
    }
    // The model always gets a system prompt: ours if the client sends none.
    let messages = count.saturating_sub(system.len() as u64) + 1;
    let system = (!system.is_empty()).then(|| system.join("\n\n"));
    let (prompt, images) = prompt.map(|prompt| (prompt.text, prompt.images)).unzip();
    let images = images.unwrap_or_default();
    let request = OneShotRequest { history: past, prompt, images, system_prompt: system, ..OneShotRequest::default() };
    Ok(ChatRequest { one_shot: request, message_count: messages, prompt_tokens: tokens, ..ChatRequest::default() })
}

impl MessagesParser {
    fn add_message(&mut self, message: &Fields, at: &str) -> Result<(), ApiError> {
        let role = get_string(message, "role", at)?.unwrap_or_default();
        let mut images = Vec::new();
        let takes_images = !matches!(role, "system" | "developer" | "assistant" | "tool" | "function");
        let text = content_text(message, at, takes_images.then_some(&mut images))?;
        self.prompt_tokens +=
            images.iter().filter_map(PromptContext::image).map(PromptImage::estimate_tokens).sum::<u64>();
        self.prompt_tokens += (text.chars().count() as u64 / 4).max(1);
        match role {
            // Instructions apply from the start, wherever they occur.
            "system" | "developer" => self.system.extend(Some(text).filter(|text| !text.trim().is_empty())),
            "assistant" => {
                self.commit_prompt();
                let calls = self.parse_calls(message, at)?;
                self.history.add_assistant_message(&text, calls);
            }
            "tool" | "function" => {
                self.commit_prompt();
                self.add_tool_result(message, text, at)?;
            }
            _ => {
                self.commit_prompt();
                self.prompt = Some(ClientPrompt { text, images });
            }
        }
        Ok(())
    }

    /// Moves the prompt so far into the history, because more follows.
    fn commit_prompt(&mut self) {
        if let Some(prompt) = self.prompt.take() {
            self.history.add_prompt(prompt);
        }
    }

    /// Parses the calls of a message: id, name and arguments.
    fn parse_calls(&mut self, message: &Fields, at: &str) -> Result<Vec<(String, String, String)>, ApiError> {
        let mut calls = Vec::new();
        let list = match get_value(message, "tool_calls") {
            None => &[][..],
            Some(Json::Array(list)) if list.len() <= MAX_CALLS_PER_MESSAGE => list.as_slice(),
            Some(_) => return Err(wrong_type(&format!("{at}.tool_calls"), "an array of at most 1024 calls")),
        };
        for (n, call) in list.iter().enumerate() {
            let at = format!("{at}.tool_calls[{n}]");
            let Json::Object(call) = call else { return Err(wrong_type(&at, "an object")) };
            let id = get_string(call, "id", &at)?;
            let function = fields::get_object_at(call, "function", &at)?;
            let at = field_path(&at, "function");
            calls.push(self.parse_call(id, function.ok_or_else(|| missing_field(&at))?, &at)?);
        }
        // The field for a single call, from before there could be several.
        if let Some(Json::Object(function)) = get_value(message, "function_call") {
            calls.push(self.parse_call(None, function, &format!("{at}.function_call"))?);
        }
        Ok(calls)
    }

    fn parse_call(
        &mut self,
        id: Option<&str>,
        function: &Fields,
        at: &str,
    ) -> Result<(String, String, String), ApiError> {
        let name = get_string(function, "name", at)?.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| missing_field(&field_path(at, "name")))?.to_owned();
        let args = match get_value(function, "arguments") {
            None => "{}".to_owned(),
            Some(Json::String(args)) => args.clone(),
            // Some clients send the arguments parsed.
            Some(args @ Json::Object(_)) => args.to_string(),
            Some(_) => return Err(wrong_type(&field_path(at, "arguments"), "a string of JSON")),
        };
        self.prompt_tokens += args.chars().count() as u64 / 4;
        self.call_count += 1;
        let id = id.map_or_else(|| format!("call_{}", self.call_count), ToOwned::to_owned);
        let mut ours = id.clone();
        // Servers restart their call ids with each response.
        while !self.used_ids.insert(ours.clone()) {
            ours = format!("{id}_{}", self.call_count);
            self.call_count += 1;
        }
        self.call_ids.insert(id, ours.clone());
        Ok((ours, name, args))
    }

    fn add_tool_result(&mut self, message: &Fields, text: String, at: &str) -> Result<(), ApiError> {
        let given = get_string(message, "tool_call_id", at)?;
        let id = match given {
            Some(id) => self.call_ids.get(id).cloned(),
            // A result without an id belongs to the call that has waited longest.
            None => self.history.oldest_open_call().map(|call| call.as_str().to_owned()),
        };
        if id.is_some_and(|id| self.history.add_tool_result(&id, text, CallOutcome::Ok)) {
            return Ok(());
        }
        let call = given.map_or_else(String::new, |id| format!(" {id:?}"));
        Err(ApiError::bad_request(format!("{at} is the result of a call{call} that no earlier message makes"))
            .with_param(field_path(at, "tool_call_id")))
    }
}

/// Returns the text of a message: a string, empty if absent, or joined text parts. Images go to `images`, where the
/// message may have some.
fn content_text(message: &Fields, at: &str, mut images: Option<&mut Vec<PromptContext>>) -> Result<String, ApiError> {
    let parts = match get_value(message, "content") {
        None => return Ok(get_string(message, "refusal", at)?.unwrap_or_default().to_owned()),
        Some(Json::String(text)) => return Ok(text.clone()),
        Some(Json::Array(parts)) => parts,
        Some(_) => return Err(wrong_type(&field_path(at, "content"), "a string, null or an array of parts")),
    };
    let mut whole = String::new();
    for (n, part) in parts.iter().enumerate() {
        let at = format!("{at}.content[{n}]");
        match part {
            Json::String(content) => whole.push_str(content),
            Json::Object(part) => {
                let is_image = match &mut images {
                    Some(images) => push_image(part, &at, images)?,
                    None => false,
                };
                if !is_image {
                    whole.push_str(part_text(part, &at)?);
                }
            }
            _ => return Err(wrong_type(&at, "an object")),
        }
    }
    Ok(whole)
}

fn part_text<'p>(part: &'p Fields, at: &str) -> Result<&'p str, ApiError> {
    let kind = get_string(part, "type", at)?.unwrap_or("text");
    let name = match kind {
        "text" | "input_text" | "output_text" => "text",
        "refusal" => "refusal",
        _ => {
            let what = match kind {
                "image_url" | "input_image" | "image" => "images here are".to_owned(),
                "input_audio" | "audio" => "audio is".to_owned(),
                "file" | "input_file" => "files are".to_owned(),
                other => format!("parts of type {other:?} are"),
            };
            let text = format!("{at}: {what} not supported; send text");
            return Err(ApiError::new(400, "unsupported_content", text).with_param(at));
        }
    };
    fields::get_required_string(part, name, at)
}

#[cfg(test)]
mod tests;
