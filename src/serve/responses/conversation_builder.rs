//! PURE. Builds a conversation from items: the history as events, and the prompt.
//!
//! Items are messages, calls and their outputs; earlier responses are added as their events. Consecutive items of one
//! answer form one message: `function_call` items are calls of the text before them. Reasoning is left out: only its
//! model could read it. What isn't supported (files, unknown tools, images of others than the user) is an error that
//! names it, because an answer that ignored it would be wrong.

use std::collections::{HashMap, HashSet};

use super::super::error::ApiError;
use super::super::fields::{self, Fields, field_path, wrong_type};
use super::super::image_parts::{ClientPrompt, push_image};
use super::super::request::{HistoryBuilder, OneShotRequest};
use crate::dialect::responses::call_error_text;
use crate::event::{AgentEvent, CallOutcome, Json, PromptContext, PromptImage};

/// Limit of items in one request.
const MAX_REQUEST_ITEMS: usize = 10_000;

/// Collects a conversation.
#[derive(Debug, Default)]
pub(in crate::serve) struct ConversationBuilder {
    history: HistoryBuilder,
    system: Vec<String>,
    /// The last user message, as long as no answer follows it.
    prompt: Option<ClientPrompt>,
    /// The assistant's current answer, while more of it may come.
    pending_answer: Option<PendingAnswer>,
    /// Maps the client's call ids to ours, which are unique.
    call_ids: HashMap<String, String>,
    used_ids: HashSet<String>,
    /// The names of the calls, by our ids.
    call_names: Vec<(String, String)>,
    prompt_tokens: u64,
}

#[derive(Debug, Default)]
struct PendingAnswer {
    text: String,
    calls: Vec<(String, String, String)>,
    /// Of calls that ran elsewhere.
    results: Vec<(String, String, CallOutcome)>,
}

/// A complete conversation.
#[derive(Debug, Default)]
pub(in crate::serve) struct BuiltConversation {
    pub(in crate::serve) history: Vec<AgentEvent>,
    /// `None` if the model continues from the history.
    pub(in crate::serve) prompt: Option<String>,
    /// What goes with the prompt.
    pub(in crate::serve) images: Vec<PromptContext>,
    pub(in crate::serve) system_prompt: Option<String>,
    /// An estimate: one token per four characters of each text, at least one each.
    pub(in crate::serve) prompt_tokens: u64,
}

impl BuiltConversation {
    /// Returns the request with this conversation, and nothing else of it.
    pub(in crate::serve) fn into_request(self) -> OneShotRequest {
        let Self { history, prompt, images, system_prompt, prompt_tokens: _ } = self;
        OneShotRequest { history, prompt, images, system_prompt, ..OneShotRequest::default() }
    }
}

impl ConversationBuilder {
    /// Copies the events of an earlier response.
    pub(in crate::serve) fn replay<'a>(&mut self, events: impl IntoIterator<Item = &'a AgentEvent>, carries: bool) {
        self.commit_prompt();
        self.flush_answer();
        let events: Vec<&AgentEvent> = events.into_iter().collect();
        for event in &events {
            match event {
                AgentEvent::ToolCallStarted { call, .. } => {
                    self.used_ids.insert(call.as_str().to_owned());
                    self.call_ids.insert(call.as_str().to_owned(), call.as_str().to_owned());
                }
                AgentEvent::UserMessage { text, .. } | AgentEvent::TextDelta { text, .. } => self.count_tokens(text),
                _ => {}
            }
        }
        self.history.replay(events, carries);
    }

    /// Returns the number of events so far: later ones belong to this request.
    pub(in crate::serve) fn flush_and_count(&mut self) -> usize {
        self.commit_prompt();
        self.flush_answer();
        self.history.event_count()
    }

    /// Adds the `input` of a request: a string or items.
    pub(in crate::serve) fn add_input(&mut self, input: &Json, at: &str) -> Result<(), ApiError> {
        match input {
            Json::String(text) => {
                self.add_user(ClientPrompt::from(text.as_str()));
                Ok(())
            }
            Json::Array(items) if items.len() <= MAX_REQUEST_ITEMS => {
                items.iter().enumerate().try_for_each(|(n, item)| self.add_item(item, &format!("{at}[{n}]")))
            }
            Json::Array(_) => Err(wrong_type(at, "at most 10000 items")),
            _ => Err(wrong_type(at, "a string or an array of items")),
        }
    }

    /// Adds one item.
    pub(in crate::serve) fn add_item(&mut self, item: &Json, at: &str) -> Result<(), ApiError> {
        let Json::Object(item) = item else { return Err(wrong_type(at, "an object")) };
        match fields::get_string(item, "type", at)?.unwrap_or("message") {
            "message" => self.add_message(item, at),
            "function_call" => {
                let id = fields::get_string(item, "call_id", at)?
                    .or(fields::get_string(item, "id", at)?)
                    .unwrap_or_default();
                if self.history.is_call_open(self.call_ids.get(id).map_or(id, |ours| ours)) {
                    // The response that made it was referenced as well.
                    return Ok(());
                }
                self.add_call(item, id, at).map(|_| ())
            }
            "function_call_output" => self.add_output(item, at),
            "mcp_call" => {
                let id = self.add_call(item, fields::get_string(item, "id", at)?.unwrap_or_default(), at)?;
                let output = fields::get_string(item, "output", at)?;
                let error = item.get("error").filter(|error| !error.is_null()).map(call_error_text);
                let outcome = if error.is_some() { CallOutcome::Failed } else { CallOutcome::Ok };
                let text = error.or(output.map(ToOwned::to_owned)).unwrap_or_default();
                self.pending_answer.get_or_insert_default().results.push((id, text, outcome));
                Ok(())
            }
            "reasoning" => Ok(()),
            "item_reference" => {
                let text = format!("{at}: single items are not stored; use previous_response_id");
                Err(ApiError::new(400, "unsupported_item", text).with_param(at))
            }
            other => {
                let text = format!("{at}: items of type {other:?} are not supported");
                Err(ApiError::new(400, "unsupported_item", text).with_param(field_path(at, "type")))
            }
        }
    }

    pub(in crate::serve) fn add_user(&mut self, said: ClientPrompt) {
        self.flush_answer();
        self.count_tokens(&said.text);
        let images = said.images.iter().filter_map(PromptContext::image);
        self.prompt_tokens += images.map(PromptImage::estimate_tokens).sum::<u64>();
        match &mut self.prompt {
            Some(prompt) => {
                prompt.text.push_str("\n\n");
                prompt.text.push_str(&said.text);
                prompt.images.extend(said.images);
            }
            None => self.prompt = Some(said),
        }
    }

    /// Instructions apply from the start, wherever they occur.
    pub(in crate::serve) fn add_system(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.count_tokens(text);
            self.system.push(text.to_owned());
        }
    }

    /// Returns the conversation; an error if it contains no prompt.
    pub(in crate::serve) fn build(mut self, at: &str) -> Result<BuiltConversation, ApiError> {
        self.flush_answer();
        let Self { history, system, prompt, prompt_tokens: tokens, .. } = self;
        let past = history.into_events();
        if past.is_empty() && prompt.is_none() {
            return Err(ApiError::bad_request(format!("{at} contains no message")).with_param(at));
        }
        let system = (!system.is_empty()).then(|| system.join("\n\n"));
        let (prompt, images) = prompt.map(|prompt| (prompt.text, prompt.images)).unzip();
        let images = images.unwrap_or_default();
        Ok(BuiltConversation { history: past, prompt, images, system_prompt: system, prompt_tokens: tokens })
    }

    fn add_message(&mut self, item: &Fields, at: &str) -> Result<(), ApiError> {
        let role = fields::get_string(item, "role", at)?.unwrap_or("user");
        let mut images = Vec::new();
        let takes_images = !matches!(role, "system" | "developer" | "assistant");
        let text = content_text(item, at, takes_images.then_some(&mut images))?;
        match role {
            "system" | "developer" => self.add_system(&text),
            "assistant" => self.add_assistant(&text),
            // An unknown role counts as the user's.
            _ => self.add_user(ClientPrompt { text, images }),
        }
        Ok(())
    }

    /// Adds text of the assistant.
    pub(in crate::serve) fn add_assistant(&mut self, text: &str) {
        self.commit_prompt();
        self.count_tokens(text);
        // Calls that ran elsewhere have their results, and this text came after them.
        if self.pending_answer.as_ref().is_some_and(|saying| !saying.results.is_empty()) {
            self.flush_answer();
        }
        let saying = self.pending_answer.get_or_insert_default();
        if !saying.text.is_empty() {
            saying.text.push_str("\n\n");
        }
        saying.text.push_str(text);
    }

    fn add_call(&mut self, item: &Fields, id: &str, at: &str) -> Result<String, ApiError> {
        let name = fields::get_required_string(item, "name", at)?.to_owned();
        let args = match fields::get_value(item, "arguments") {
            None => "{}".to_owned(),
            Some(Json::String(args)) => args.clone(),
            Some(args @ Json::Object(_)) => args.to_string(),
            Some(_) => return Err(wrong_type(&field_path(at, "arguments"), "a string of JSON")),
        };
        Ok(self.add_function_call(id, name, args))
    }

    /// Adds a call of a client's tool, and returns its id here. `args` are JSON.
    pub(in crate::serve) fn add_function_call(&mut self, id: &str, name: String, args: String) -> String {
        self.commit_prompt();
        self.count_tokens(&args);
        let given = if id.is_empty() { "call" } else { id };
        let mut ours = given.to_owned();
        // Servers restart their call ids with each response.
        let mut copy = 2;
        while !self.used_ids.insert(ours.clone()) {
            ours = format!("{given}_{copy}");
            copy += 1;
        }
        self.call_ids.insert(given.to_owned(), ours.clone());
        self.call_names.push((ours.clone(), name.clone()));
        self.pending_answer.get_or_insert_default().calls.push((ours.clone(), name, args));
        ours
    }

    /// Returns whether a call has this id of the client's.
    pub(in crate::serve) fn has_call(&self, id: &str) -> bool {
        self.call_ids.contains_key(id)
    }

    /// Adds the result of a call. Returns false if no such call waits for one.
    pub(in crate::serve) fn add_function_result(&mut self, id: &str, text: String, outcome: CallOutcome) -> bool {
        self.commit_prompt();
        self.flush_answer();
        self.count_tokens(&text);
        let ours = self.call_ids.get(id).map_or(id, |ours| ours);
        self.history.add_tool_result(ours, text, outcome)
    }

    /// The same where only the name of the tool is known, or not even that: it is of the call that has waited longest.
    pub(in crate::serve) fn add_result_by_name(&mut self, name: Option<&str>, text: String) -> bool {
        self.commit_prompt();
        self.flush_answer();
        let is_it = |(id, of): &&(String, String)| self.history.is_call_open(id) && name.is_none_or(|name| name == of);
        let Some((id, _)) = self.call_names.iter().find(is_it).cloned() else { return false };
        self.count_tokens(&text);
        self.history.add_tool_result(&id, text, CallOutcome::Ok)
    }

    fn add_output(&mut self, item: &Fields, at: &str) -> Result<(), ApiError> {
        let id = fields::get_required_string(item, "call_id", at)?;
        let text = match fields::get_value(item, "output") {
            None => String::new(),
            Some(Json::String(text)) => text.clone(),
            Some(Json::Array(parts)) => parts_text(parts, &field_path(at, "output"), None)?,
            Some(other) => other.to_string(),
        };
        let failed = fields::get_string(item, "status", at)? == Some("failed");
        let outcome = if failed { CallOutcome::Failed } else { CallOutcome::Ok };
        if self.add_function_result(id, text, outcome) {
            return Ok(());
        }
        let text = format!("no tool call found for function call output with call_id {id:?}");
        Err(ApiError::bad_request(text).with_param(field_path(at, "call_id")))
    }

    fn count_tokens(&mut self, text: &str) {
        self.prompt_tokens += (text.chars().count() as u64 / 4).max(1);
    }

    /// Moves the prompt so far into the history, because more follows.
    fn commit_prompt(&mut self) {
        if let Some(prompt) = self.prompt.take() {
            self.history.add_prompt(prompt);
        }
    }

    /// Completes the assistant's current answer.
    fn flush_answer(&mut self) {
        let Some(saying) = self.pending_answer.take() else { return };
        self.history.add_assistant_message(&saying.text, saying.calls);
        for (id, text, outcome) in saying.results {
            self.history.add_tool_result(&id, text, outcome);
        }
    }
}

/// Returns the text of a message: a string, empty if absent, or joined text parts. Images go to `images`, where the
/// message may have some.
fn content_text(item: &Fields, at: &str, images: Option<&mut Vec<PromptContext>>) -> Result<String, ApiError> {
    match fields::get_value(item, "content") {
        None => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(Json::Array(parts)) => parts_text(parts, &field_path(at, "content"), images),
        Some(_) => Err(wrong_type(&field_path(at, "content"), "a string or an array of parts")),
    }
}

fn parts_text(parts: &[Json], at: &str, mut images: Option<&mut Vec<PromptContext>>) -> Result<String, ApiError> {
    let mut whole = String::new();
    for (n, part) in parts.iter().enumerate() {
        let at = format!("{at}[{n}]");
        let part = match part {
            Json::String(text) => {
                whole.push_str(text);
                continue;
            }
            Json::Object(part) => part,
            _ => return Err(wrong_type(&at, "an object")),
        };
        if let Some(images) = &mut images
            && push_image(part, &at, images)?
        {
            continue;
        }
        let kind = fields::get_string(part, "type", &at)?.unwrap_or("text");
        let field = match kind {
            "text" | "input_text" | "output_text" | "summary_text" | "reasoning_text" => "text",
            "refusal" => "refusal",
            _ => {
                let what = match kind {
                    "input_image" | "image_url" => "images here are".to_owned(),
                    "input_audio" => "audio is".to_owned(),
                    "input_file" => "files are".to_owned(),
                    other => format!("parts of type {other:?} are"),
                };
                let text = format!("{at}: {what} not supported; send text");
                return Err(ApiError::new(400, "unsupported_content", text).with_param(at));
            }
        };
        whole.push_str(fields::get_required_string(part, field, &at)?);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
