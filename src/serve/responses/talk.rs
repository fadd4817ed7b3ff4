//! PURE. A conversation as items tell it: what was said before, as facts, and the prompt.
//!
//! Items are messages, calls and their outputs; what an earlier answer said comes in as its facts. What stands one
//! after another and belongs to one answer is one message: `function_call` items are calls of the text before them.
//! Reasoning is left out: only its model could read it. What can't be taken (images, files, tools that nobody here has)
//! is refused by name, for an answer that ignored it would be wrong.

use std::collections::{HashMap, HashSet};

use super::super::ask::Told;
use super::super::fields::{self, Fields, of, wrong};
use super::super::refuse::Refused;
use crate::event::{AgentEvent, Json, Outcome};

/// Items of one request.
const MOST_ITEMS: usize = 10_000;

/// Collects a conversation.
#[derive(Debug, Default)]
pub(in crate::serve) struct Talk {
    told: Told,
    system: Vec<String>,
    /// The last words of the user, as long as nobody has answered.
    prompt: Option<String>,
    /// What the assistant said last, while more of it may come.
    saying: Option<Saying>,
    /// The ids that the client gave its calls, and what they are here, where none repeats.
    ids: HashMap<String, String>,
    taken: HashSet<String>,
    tokens: u64,
}

#[derive(Debug, Default)]
struct Saying {
    text: String,
    calls: Vec<(String, String, String)>,
    /// Of calls that others ran.
    results: Vec<(String, String, Outcome)>,
}

/// A conversation that is complete.
#[derive(Debug, Default)]
pub(in crate::serve) struct Talked {
    pub(in crate::serve) past: Vec<AgentEvent>,
    /// None where the model goes on from the past.
    pub(in crate::serve) prompt: Option<String>,
    pub(in crate::serve) system: Option<String>,
    /// A guess: of each text four characters, and one at least.
    pub(in crate::serve) tokens: u64,
}

impl Talk {
    /// Takes over what was said in an earlier answer.
    pub(in crate::serve) fn again<'a>(&mut self, facts: impl IntoIterator<Item = &'a AgentEvent>, carries: bool) {
        self.said();
        self.flush();
        let facts: Vec<&AgentEvent> = facts.into_iter().collect();
        for fact in &facts {
            match fact {
                AgentEvent::ToolCallStarted { call, .. } => {
                    self.taken.insert(call.as_str().to_owned());
                    self.ids.insert(call.as_str().to_owned(), call.as_str().to_owned());
                }
                AgentEvent::UserMessage { text, .. } | AgentEvent::TextDelta { text, .. } => self.count(text),
                _ => {}
            }
        }
        self.told.again(facts, carries);
    }

    /// Says how many facts there are so far: what follows is of this request.
    pub(in crate::serve) fn mark(&mut self) -> usize {
        self.said();
        self.flush();
        self.told.count()
    }

    /// Takes the `input` of a request: a text or items.
    pub(in crate::serve) fn input(&mut self, input: &Json, at: &str) -> Result<(), Refused> {
        match input {
            Json::String(text) => {
                self.user(text);
                Ok(())
            }
            Json::Array(items) if items.len() <= MOST_ITEMS => {
                items.iter().enumerate().try_for_each(|(n, item)| self.item(item, &format!("{at}[{n}]")))
            }
            Json::Array(_) => Err(wrong(at, "at most 10000 items")),
            _ => Err(wrong(at, "a string or an array of items")),
        }
    }

    /// Takes one item.
    pub(in crate::serve) fn item(&mut self, item: &Json, at: &str) -> Result<(), Refused> {
        let Json::Object(item) = item else { return Err(wrong(at, "an object")) };
        match fields::text(item, "type", at)?.unwrap_or("message") {
            "message" => self.message(item, at),
            "function_call" => {
                let id = fields::text(item, "call_id", at)?.or(fields::text(item, "id", at)?).unwrap_or_default();
                if self.told.is_open(self.ids.get(id).map_or(id, |ours| ours)) {
                    // The answer that made it was named as well.
                    return Ok(());
                }
                self.call(item, id, at).map(|_| ())
            }
            "function_call_output" => self.output(item, at),
            "mcp_call" => {
                let id = self.call(item, fields::text(item, "id", at)?.unwrap_or_default(), at)?;
                let (output, error) = (fields::text(item, "output", at)?, fields::text(item, "error", at)?);
                let outcome = if error.is_some() { Outcome::Failed } else { Outcome::Ok };
                let text = error.or(output).unwrap_or_default().to_owned();
                self.saying.get_or_insert_default().results.push((id, text, outcome));
                Ok(())
            }
            "reasoning" => Ok(()),
            "item_reference" => {
                let text = format!("{at}: items are not kept by themselves; name the answer in previous_response_id");
                Err(Refused::new(400, "unsupported_item", text).about(at))
            }
            other => {
                let text = format!("{at}: items of type {other:?} are not taken here");
                Err(Refused::new(400, "unsupported_item", text).about(of(at, "type")))
            }
        }
    }

    pub(in crate::serve) fn user(&mut self, text: &str) {
        self.flush();
        self.count(text);
        match &mut self.prompt {
            Some(prompt) => {
                prompt.push_str("\n\n");
                prompt.push_str(text);
            }
            None => self.prompt = Some(text.to_owned()),
        }
    }

    /// Instructions hold from the start, wherever they stand.
    pub(in crate::serve) fn system(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.count(text);
            self.system.push(text.to_owned());
        }
    }

    /// Returns the conversation; refuses one in which nobody is asked anything.
    pub(in crate::serve) fn done(mut self, at: &str) -> Result<Talked, Refused> {
        self.flush();
        let Self { told, system, prompt, tokens, .. } = self;
        let past = told.facts();
        if past.is_empty() && prompt.is_none() {
            return Err(Refused::bad(format!("{at} holds no message")).about(at));
        }
        let system = (!system.is_empty()).then(|| system.join("\n\n"));
        Ok(Talked { past, prompt, system, tokens })
    }

    fn message(&mut self, item: &Fields, at: &str) -> Result<(), Refused> {
        let text = content(item, at)?;
        match fields::text(item, "role", at)?.unwrap_or("user") {
            "system" | "developer" => self.system(&text),
            "assistant" => {
                self.said();
                self.count(&text);
                // What others ran has its results, and this was said after them.
                if self.saying.as_ref().is_some_and(|saying| !saying.results.is_empty()) {
                    self.flush();
                }
                let saying = self.saying.get_or_insert_default();
                if !saying.text.is_empty() {
                    saying.text.push_str("\n\n");
                }
                saying.text.push_str(&text);
            }
            // A role that nobody knows is the user's.
            _ => self.user(&text),
        }
        Ok(())
    }

    fn call(&mut self, item: &Fields, id: &str, at: &str) -> Result<String, Refused> {
        let name = fields::needed(item, "name", at)?.to_owned();
        let args = match fields::said(item, "arguments") {
            None => "{}".to_owned(),
            Some(Json::String(args)) => args.clone(),
            Some(args @ Json::Object(_)) => args.to_string(),
            Some(_) => return Err(wrong(&of(at, "arguments"), "a string of JSON")),
        };
        self.said();
        self.count(&args);
        let given = if id.is_empty() { "call" } else { id };
        let mut ours = given.to_owned();
        // Servers count their calls anew with each answer.
        let mut copy = 2;
        while !self.taken.insert(ours.clone()) {
            ours = format!("{given}_{copy}");
            copy += 1;
        }
        self.ids.insert(given.to_owned(), ours.clone());
        self.saying.get_or_insert_default().calls.push((ours.clone(), name, args));
        Ok(ours)
    }

    fn output(&mut self, item: &Fields, at: &str) -> Result<(), Refused> {
        let id = fields::needed(item, "call_id", at)?;
        let text = match fields::said(item, "output") {
            None => String::new(),
            Some(Json::String(text)) => text.clone(),
            Some(Json::Array(parts)) => parts_text(parts, &of(at, "output"))?,
            Some(other) => other.to_string(),
        };
        let failed = fields::text(item, "status", at)? == Some("failed");
        self.said();
        self.flush();
        self.count(&text);
        let ours = self.ids.get(id).map_or(id, |ours| ours);
        let outcome = if failed { Outcome::Failed } else { Outcome::Ok };
        if self.told.result(ours, text, outcome) {
            return Ok(());
        }
        let text = format!("no tool call found for function call output with call_id {id:?}");
        Err(Refused::bad(text).about(of(at, "call_id")))
    }

    fn count(&mut self, text: &str) {
        self.tokens += (text.chars().count() as u64 / 4).max(1);
    }

    /// The prompt so far was not the last word.
    fn said(&mut self) {
        if let Some(prompt) = self.prompt.take() {
            self.told.user(prompt);
        }
    }

    /// What the assistant was saying is complete.
    fn flush(&mut self) {
        let Some(saying) = self.saying.take() else { return };
        self.told.assistant(&saying.text, saying.calls);
        for (id, text, outcome) in saying.results {
            self.told.result(&id, text, outcome);
        }
    }
}

/// Returns the text of a message: a string, nothing, or parts of text put together.
fn content(item: &Fields, at: &str) -> Result<String, Refused> {
    match fields::said(item, "content") {
        None => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(Json::Array(parts)) => parts_text(parts, &of(at, "content")),
        Some(_) => Err(wrong(&of(at, "content"), "a string or an array of parts")),
    }
}

fn parts_text(parts: &[Json], at: &str) -> Result<String, Refused> {
    let mut whole = String::new();
    for (n, part) in parts.iter().enumerate() {
        let at = format!("{at}[{n}]");
        let part = match part {
            Json::String(text) => {
                whole.push_str(text);
                continue;
            }
            Json::Object(part) => part,
            _ => return Err(wrong(&at, "an object")),
        };
        let kind = fields::text(part, "type", &at)?.unwrap_or("text");
        let field = match kind {
            "text" | "input_text" | "output_text" | "summary_text" | "reasoning_text" => "text",
            "refusal" => "refusal",
            _ => {
                let what = match kind {
                    "input_image" | "image_url" => "images are".to_owned(),
                    "input_audio" => "audio is".to_owned(),
                    "input_file" => "files are".to_owned(),
                    other => format!("parts of type {other:?} are"),
                };
                let text = format!("{at}: {what} not taken here; send text");
                return Err(Refused::new(400, "unsupported_content", text).about(at));
            }
        };
        whole.push_str(fields::needed(part, field, &at)?);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests;
