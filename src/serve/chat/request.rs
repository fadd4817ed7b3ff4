//! PURE. What a chat completion request asks, field by field.
//!
//! Kind to everything that can be understood: fields that nobody here knows are ignored, null is "not said", and a role
//! that nobody knows is the user's. A field of the wrong type is refused by name. What can't be taken (images, audio,
//! files) is refused too: an answer that silently ignored them would be wrong.

use std::collections::{HashMap, HashSet};

use super::super::ask::{Ask, Told};
use super::super::fields::{self, Fields, list, missing, of, said, text, wrong};
use super::super::offered::{self, Form};
use super::super::refuse::Refused;
use crate::event::{Json, Outcome};

/// A request, understood.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::serve) struct Wanted {
    pub(in crate::serve) ask: Ask,
    pub(in crate::serve) stream: bool,
    pub(in crate::serve) include_usage: bool,
    /// The client sent tools, whatever they are.
    pub(in crate::serve) has_tools: bool,
    /// Messages that the model is sent, a system prompt included.
    pub(in crate::serve) messages: u64,
    /// Guess of the prompt's tokens: of each message four characters, and one at least.
    pub(in crate::serve) tokens: u64,
}

/// Whose tools the model is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Tools {
    /// Those of our agent: what the client sends is only a switch.
    Ours,
    /// Those of the client, where it sends any.
    Clients,
}

/// Calls that one message may make.
const MOST_CALLS: usize = 1024;

/// Reads a request's body. `tools` decides by whether the client sent any.
pub(in crate::serve) fn read(body: &[u8], tools: impl FnOnce(bool) -> Tools) -> Result<Wanted, Refused> {
    let fields = &fields::object(body)?;
    let mut wanted = messages(fields)?;
    only_one_text(fields)?;
    wanted.ask.model = text(fields, "model", "")?.map(str::trim).filter(|model| !model.is_empty()).map(Into::into);
    wanted.ask.tuning = fields::tuning(fields, &["max_completion_tokens", "max_tokens"])?;
    wanted.stream = fields::flag(fields, "stream")?.unwrap_or(false);
    if let Some(options) = fields::map(fields, "stream_options")? {
        wanted.include_usage = fields::flag_at(options, "include_usage", "stream_options")?.unwrap_or(false);
    }
    wanted.has_tools = !list(fields, "tools", "")?.is_empty();
    if tools(wanted.has_tools) == Tools::Clients {
        let offered = offered::read(fields, Form::Nested)?;
        wanted.ask.client_tools = offered.chosen;
        wanted.ask.tuning.must_call = offered.must_call;
    }
    Ok(wanted)
}

/// Refuses what changes the shape of the answer and can't be had.
fn only_one_text(fields: &Fields) -> Result<(), Refused> {
    let unsupported = |name: &str, text: String| Err(Refused::new(400, "unsupported_parameter", text).about(name));
    if fields::count(fields, "n")?.is_some_and(|n| n > 1) {
        return unsupported("n", "one answer is all that can be had here; leave n out".into());
    }
    let format = fields::map(fields, "response_format")?.and_then(|format| format.get("type")?.as_str());
    match format.filter(|format| *format != "text") {
        Some(format) => {
            unsupported("response_format", format!("answers of format {format:?} can't be had here, only text"))
        }
        None => Ok(()),
    }
}

/// Collects the conversation: what was said before as facts, and the prompt.
#[derive(Default)]
struct Conversation {
    told: Told,
    system: Vec<String>,
    /// The last words of the user, as long as nobody has answered.
    prompt: Option<String>,
    /// The ids that the client gave its calls, and what they are here, where none repeats.
    ids: HashMap<String, String>,
    taken: HashSet<String>,
    calls: usize,
    tokens: u64,
}

fn messages(fields: &Fields) -> Result<Wanted, Refused> {
    let list = match said(fields, "messages") {
        Some(Json::Array(list)) if !list.is_empty() => list,
        Some(_) => return Err(wrong("messages", "an array of at least one message")),
        None => return Err(missing("messages")),
    };
    let mut talk = Conversation::default();
    for (n, message) in list.iter().enumerate() {
        let at = format!("messages[{n}]");
        match message {
            Json::Object(message) => talk.message(message, &at)?,
            _ => return Err(wrong(&at, "an object")),
        }
    }
    let count = list.len() as u64;
    let Conversation { told, mut system, mut prompt, tokens, .. } = talk;
    let past = told.facts();
    if past.is_empty() && prompt.is_none() {
        // Nothing but instructions: they are what is asked.
        prompt = system.pop();
    }
    // A model has a system prompt in any case: ours where the client has none.
    let messages = count.saturating_sub(system.len() as u64) + 1;
    let system = (!system.is_empty()).then(|| system.join("\n\n"));
    let ask = Ask { past, prompt, system, ..Ask::default() };
    Ok(Wanted { ask, messages, tokens, ..Wanted::default() })
}

impl Conversation {
    fn message(&mut self, message: &Fields, at: &str) -> Result<(), Refused> {
        let role = text(message, "role", at)?.unwrap_or_default();
        let words = content(message, at)?;
        self.tokens += (words.chars().count() as u64 / 4).max(1);
        match role {
            // Instructions hold from the start, wherever they stand.
            "system" | "developer" => self.system.extend(Some(words).filter(|words| !words.trim().is_empty())),
            "assistant" => {
                self.said();
                let calls = self.calls_of(message, at)?;
                self.told.assistant(&words, calls);
            }
            "tool" | "function" => {
                self.said();
                self.result(message, words, at)?;
            }
            _ => {
                self.said();
                self.prompt = Some(words);
            }
        }
        Ok(())
    }

    /// The prompt so far was not the last word.
    fn said(&mut self) {
        if let Some(prompt) = self.prompt.take() {
            self.told.user(prompt);
        }
    }

    /// Reads the calls of a message: id, name and arguments.
    fn calls_of(&mut self, message: &Fields, at: &str) -> Result<Vec<(String, String, String)>, Refused> {
        let mut calls = Vec::new();
        let list = match said(message, "tool_calls") {
            None => &[][..],
            Some(Json::Array(list)) if list.len() <= MOST_CALLS => list.as_slice(),
            Some(_) => return Err(wrong(&format!("{at}.tool_calls"), "an array of at most 1024 calls")),
        };
        for (n, call) in list.iter().enumerate() {
            let at = format!("{at}.tool_calls[{n}]");
            let Json::Object(call) = call else { return Err(wrong(&at, "an object")) };
            let id = text(call, "id", &at)?;
            let function = fields::map_at(call, "function", &at)?;
            let at = of(&at, "function");
            calls.push(self.call(id, function.ok_or_else(|| missing(&at))?, &at)?);
        }
        // The name that calls had before there could be several.
        if let Some(Json::Object(function)) = said(message, "function_call") {
            calls.push(self.call(None, function, &format!("{at}.function_call"))?);
        }
        Ok(calls)
    }

    fn call(&mut self, id: Option<&str>, function: &Fields, at: &str) -> Result<(String, String, String), Refused> {
        let name = text(function, "name", at)?.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| missing(&of(at, "name")))?.to_owned();
        let args = match said(function, "arguments") {
            None => "{}".to_owned(),
            Some(Json::String(args)) => args.clone(),
            // Some clients keep them as they read them.
            Some(args @ Json::Object(_)) => args.to_string(),
            Some(_) => return Err(wrong(&of(at, "arguments"), "a string of JSON")),
        };
        self.tokens += args.chars().count() as u64 / 4;
        self.calls += 1;
        let id = id.map_or_else(|| format!("call_{}", self.calls), ToOwned::to_owned);
        let mut ours = id.clone();
        // Servers count their calls anew with each answer.
        while !self.taken.insert(ours.clone()) {
            ours = format!("{id}_{}", self.calls);
            self.calls += 1;
        }
        self.ids.insert(id, ours.clone());
        Ok((ours, name, args))
    }

    fn result(&mut self, message: &Fields, words: String, at: &str) -> Result<(), Refused> {
        let given = text(message, "tool_call_id", at)?;
        let id = match given {
            Some(id) => self.ids.get(id).cloned(),
            // Without an id it belongs to the call that has waited longest.
            None => self.told.waiting().map(|call| call.as_str().to_owned()),
        };
        if id.is_some_and(|id| self.told.result(&id, words, Outcome::Ok)) {
            return Ok(());
        }
        let call = given.map_or_else(String::new, |id| format!(" {id:?}"));
        Err(Refused::bad(format!("{at} is the result of a call{call} that no message before it makes"))
            .about(of(at, "tool_call_id")))
    }
}

/// Returns the text of a message: a string, nothing, or parts of text put together.
fn content(message: &Fields, at: &str) -> Result<String, Refused> {
    let parts = match said(message, "content") {
        None => return Ok(text(message, "refusal", at)?.unwrap_or_default().to_owned()),
        Some(Json::String(text)) => return Ok(text.clone()),
        Some(Json::Array(parts)) => parts,
        Some(_) => return Err(wrong(&of(at, "content"), "a string, null or an array of parts")),
    };
    let mut whole = String::new();
    for (n, part) in parts.iter().enumerate() {
        let at = format!("{at}.content[{n}]");
        match part {
            Json::String(words) => whole.push_str(words),
            Json::Object(part) => whole.push_str(part_text(part, &at)?),
            _ => return Err(wrong(&at, "an object")),
        }
    }
    Ok(whole)
}

fn part_text<'p>(part: &'p Fields, at: &str) -> Result<&'p str, Refused> {
    let kind = text(part, "type", at)?.unwrap_or("text");
    let name = match kind {
        "text" | "input_text" | "output_text" => "text",
        "refusal" => "refusal",
        _ => {
            let what = match kind {
                "image_url" | "input_image" | "image" => "images are".to_owned(),
                "input_audio" | "audio" => "audio is".to_owned(),
                "file" | "input_file" => "files are".to_owned(),
                other => format!("parts of type {other:?} are"),
            };
            let words = format!("{at}: {what} not taken here; send text");
            return Err(Refused::new(400, "unsupported_content", words).about(at));
        }
    };
    fields::needed(part, name, at)
}

#[cfg(test)]
mod tests;
