//! PURE. What a chat completion request asks, field by field.
//!
//! Kind to everything that can be understood: fields that nobody here knows are ignored, null is "not said", and a role
//! that nobody knows is the user's. A field of the wrong type is refused by name. What can't be taken (images, audio,
//! files) is refused too: an answer that silently ignored them would be wrong.

use std::collections::{HashMap, HashSet};

use super::super::ask::{Ask, Told};
use super::super::refuse::Refused;
use crate::event::{Json, Outcome, Risk, ToolSpec};

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

type Fields = serde_json::Map<String, Json>;

/// Reads a request's body. `tools` decides by whether the client sent any.
pub(in crate::serve) fn read(body: &[u8], tools: impl FnOnce(bool) -> Tools) -> Result<Wanted, Refused> {
    let json: Json = serde_json::from_slice(body)
        .map_err(|error| Refused::bad(format!("the body of the request is not JSON: {error}")))?;
    let Json::Object(fields) = &json else { return Err(Refused::bad("the body of the request must be a JSON object")) };
    let mut wanted = messages(fields)?;
    wanted.ask.model = text(fields, "model", "model")?.map(str::trim).filter(|model| !model.is_empty()).map(Into::into);
    wanted.ask.max_output = max_output(fields)?;
    wanted.stream = flag(fields, "stream", "stream")?;
    wanted.include_usage = match said(fields, "stream_options") {
        None => false,
        Some(Json::Object(options)) => flag(options, "include_usage", "stream_options.include_usage")?,
        Some(_) => return Err(wrong("stream_options", "an object")),
    };
    let list = list(fields, "tools")?;
    wanted.has_tools = !list.is_empty();
    if wanted.has_tools && tools(true) == Tools::Clients {
        wanted.ask.client_tools = Some(chosen(specs(list)?, fields)?);
    }
    Ok(wanted)
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
        Some(Json::Array(_)) => return Err(Refused::bad("messages must hold at least one message").about("messages")),
        Some(_) => return Err(wrong("messages", "an array of messages")),
        None => return Err(Refused::bad("messages is missing").about("messages")),
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
        let role = text(message, "role", &format!("{at}.role"))?.unwrap_or_default();
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
            let id = text(call, "id", &format!("{at}.id"))?;
            let function = match said(call, "function") {
                Some(Json::Object(function)) => function,
                Some(_) => return Err(wrong(&format!("{at}.function"), "an object")),
                None => return Err(Refused::bad(format!("{at}.function is missing")).about(format!("{at}.function"))),
            };
            calls.push(self.call(id, function, &format!("{at}.function"))?);
        }
        // The name that calls had before there could be several.
        if let Some(Json::Object(function)) = said(message, "function_call") {
            calls.push(self.call(None, function, &format!("{at}.function_call"))?);
        }
        Ok(calls)
    }

    fn call(&mut self, id: Option<&str>, function: &Fields, at: &str) -> Result<(String, String, String), Refused> {
        let name = text(function, "name", &format!("{at}.name"))?.filter(|name| !name.is_empty());
        let name =
            name.ok_or_else(|| Refused::bad(format!("{at}.name is missing")).about(format!("{at}.name")))?.to_owned();
        let args = match said(function, "arguments") {
            None => "{}".to_owned(),
            Some(Json::String(args)) => args.clone(),
            // Some clients keep them as they read them.
            Some(args @ Json::Object(_)) => args.to_string(),
            Some(_) => return Err(wrong(&format!("{at}.arguments"), "a string of JSON")),
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
        let param = format!("{at}.tool_call_id");
        let given = text(message, "tool_call_id", &param)?;
        let id = match given {
            Some(id) => self.ids.get(id).cloned(),
            // Without an id it belongs to the call that has waited longest.
            None => self.told.waiting().map(|call| call.as_str().to_owned()),
        };
        if id.is_some_and(|id| self.told.result(&id, words, Outcome::Ok)) {
            return Ok(());
        }
        let call = given.map_or_else(String::new, |id| format!(" {id:?}"));
        Err(Refused::bad(format!("{at} is the result of a call{call} that no message before it makes")).about(param))
    }
}

/// Returns the text of a message: a string, nothing, or parts of text put together.
fn content(message: &Fields, at: &str) -> Result<String, Refused> {
    let parts = match said(message, "content") {
        None => return Ok(text(message, "refusal", &format!("{at}.refusal"))?.unwrap_or_default().to_owned()),
        Some(Json::String(text)) => return Ok(text.clone()),
        Some(Json::Array(parts)) => parts,
        Some(_) => return Err(wrong(&format!("{at}.content"), "a string, null or an array of parts")),
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
    let kind = text(part, "type", &format!("{at}.type"))?.unwrap_or("text");
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
    let field = format!("{at}.{name}");
    text(part, name, &field)?.ok_or_else(|| Refused::bad(format!("{field} is missing")).about(field))
}

/// Reads what the model is told of the client's tools.
fn specs(list: &[Json]) -> Result<Vec<ToolSpec>, Refused> {
    let mut specs: Vec<ToolSpec> = Vec::with_capacity(list.len());
    let mut names = HashSet::new();
    for (n, tool) in list.iter().enumerate() {
        let at = format!("tools[{n}]");
        let Json::Object(tool) = tool else { return Err(wrong(&at, "an object")) };
        let kind = text(tool, "type", &format!("{at}.type"))?.unwrap_or("function");
        if kind != "function" {
            let words = format!("{at}: tools of type {kind:?} are not known here, only functions");
            return Err(Refused::new(400, "unsupported_tool", words).about(format!("{at}.type")));
        }
        let at = format!("{at}.function");
        let function = match said(tool, "function") {
            Some(Json::Object(function)) => function,
            Some(_) => return Err(wrong(&at, "an object")),
            None => return Err(Refused::bad(format!("{at} is missing")).about(at)),
        };
        let field = format!("{at}.name");
        let name = text(function, "name", &field)?.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Refused::bad(format!("{field} is missing")).about(field.clone()))?;
        if !names.insert(name) {
            return Err(Refused::bad(format!("two tools are named {name:?}")).about(field));
        }
        let parameters = match said(function, "parameters") {
            None => serde_json::json!({"type": "object", "properties": {}}),
            Some(schema @ Json::Object(_)) => schema.clone(),
            Some(_) => return Err(wrong(&format!("{at}.parameters"), "an object")),
        };
        let description = text(function, "description", &format!("{at}.description"))?.unwrap_or_default().to_owned();
        // We never run it, so there is nothing to ask anybody.
        specs.push(ToolSpec { name: name.to_owned(), description, parameters, risk: Risk::ReadOnly });
    }
    Ok(specs)
}

/// Leaves the tools that the model may choose from. That it must call one can't be said to every engine.
fn chosen(specs: Vec<ToolSpec>, fields: &Fields) -> Result<Vec<ToolSpec>, Refused> {
    let name = match said(fields, "tool_choice") {
        Some(Json::String(choice)) if choice == "none" => return Ok(Vec::new()),
        None | Some(Json::String(_)) => return Ok(specs),
        Some(Json::Object(choice)) => match said(choice, "function") {
            Some(Json::Object(function)) => text(function, "name", "tool_choice.function.name")?,
            Some(_) => return Err(wrong("tool_choice.function", "an object")),
            None => None,
        },
        Some(_) => return Err(wrong("tool_choice", "a string or an object")),
    };
    let Some(name) = name else { return Ok(specs) };
    let one: Vec<ToolSpec> = specs.into_iter().filter(|spec| spec.name == name).collect();
    if one.is_empty() {
        return Err(Refused::bad(format!("tool_choice names {name:?}, and tools has none of that name"))
            .about("tool_choice.function.name"));
    }
    Ok(one)
}

fn max_output(fields: &Fields) -> Result<Option<u32>, Refused> {
    for name in ["max_completion_tokens", "max_tokens"] {
        match said(fields, name) {
            None => {}
            Some(Json::Number(n)) if n.as_u64().is_some_and(|n| n > 0) => {
                return Ok(n.as_u64().map(|n| u32::try_from(n).unwrap_or(u32::MAX)));
            }
            Some(_) => return Err(wrong(name, "a positive whole number")),
        }
    }
    Ok(None)
}

/// Returns a field that is there and not null.
fn said<'f>(fields: &'f Fields, name: &str) -> Option<&'f Json> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text<'f>(fields: &'f Fields, name: &str, at: &str) -> Result<Option<&'f str>, Refused> {
    match said(fields, name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(at, "a string")),
    }
}

fn flag(fields: &Fields, name: &str, at: &str) -> Result<bool, Refused> {
    match said(fields, name) {
        None => Ok(false),
        Some(Json::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong(at, "true or false")),
    }
}

fn list<'f>(fields: &'f Fields, name: &str) -> Result<&'f [Json], Refused> {
    match said(fields, name) {
        None => Ok(&[]),
        Some(Json::Array(list)) => Ok(list),
        Some(_) => Err(wrong(name, "an array")),
    }
}

fn wrong(at: &str, wanted: &str) -> Refused {
    Refused::bad(format!("{at} must be {wanted}")).about(at)
}

#[cfg(test)]
mod tests;
