//! How a server is just now and what it offers, for display.

use super::Json;
use crate::text::words::split_words;

/// A server with its state and its tools. Text from outside, cleaned where it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpServerStatus {
    pub name: String,
    /// The program or the address.
    pub place: String,
    /// What the program is kept from, as far as that is known.
    pub access: String,
    pub state: McpServerState,
    /// The revision of the protocol that both speak.
    pub protocol: Option<String>,
    /// What the server calls itself, with its version.
    pub software: Option<String>,
    pub tools: Vec<McpToolSummary>,
    /// Names.
    pub prompts: Vec<String>,
    /// Addresses.
    pub resources: Vec<String>,
    /// The end of what it wrote to standard error.
    pub stderr: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum McpServerState {
    /// Nobody needed it so far.
    #[default]
    Idle,
    Starting,
    /// The person has to open that address and log in.
    Login(String),
    Ready,
    /// Why, and what to try.
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpToolSummary {
    /// Its own name.
    pub name: String,
    pub description: String,
    /// Whether the server says that it changes nothing.
    pub claims_read_only: bool,
}

/// A prompt that a server writes. Raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpPrompt {
    pub name: String,
    pub about: String,
    pub arguments: Vec<McpPromptArgument>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpPromptArgument {
    pub name: String,
    pub is_required: bool,
}

impl McpServerStatus {
    /// Says in a line how it is; not cleaned.
    pub fn summary(&self) -> String {
        match &self.state {
            McpServerState::Idle => "starts with the first request that could use it".to_owned(),
            McpServerState::Starting => "is starting".to_owned(),
            McpServerState::Login(_) => "waits for your login".to_owned(),
            McpServerState::Failed(why) => format!("failed: {why}"),
            McpServerState::Ready => match self.tools.len() {
                1 => "ready, 1 tool".to_owned(),
                count => format!("ready, {count} tools"),
            },
        }
    }
}

impl McpPrompt {
    /// Reads the words behind a command as its arguments: in their order, the last one the rest, or as `name=value`.
    ///
    /// # Errors
    ///
    /// Fails if one is missing that it needs.
    pub fn read_arguments(&self, words: &str) -> Result<serde_json::Map<String, Json>, String> {
        let mut given = serde_json::Map::new();
        let mut left = Vec::new();
        for word in split_words(words) {
            match word.split_once('=') {
                Some((name, value)) if self.arguments.iter().any(|argument| argument.name == name) => {
                    given.insert(name.to_owned(), value.into());
                }
                _ => left.push(word),
            }
        }
        let open: Vec<&McpPromptArgument> =
            self.arguments.iter().filter(|argument| !given.contains_key(&argument.name)).collect();
        let mut left = left.into_iter();
        for (nth, argument) in open.iter().enumerate() {
            let value = match left.next() {
                Some(word) if nth + 1 == open.len() => left.by_ref().fold(word, |all, word| format!("{all} {word}")),
                Some(word) => word,
                None if argument.is_required => {
                    return Err(format!("it needs {}: {}", argument.name, self.hint()));
                }
                None => break,
            };
            given.insert(argument.name.clone(), value.into());
        }
        match left.next() {
            Some(word) => Err(format!("it takes no {word}")),
            None => Ok(given),
        }
    }

    /// Returns what may follow it.
    pub fn hint(&self) -> String {
        let word = |argument: &McpPromptArgument| match argument.is_required {
            true => argument.name.clone(),
            false => format!("[{}]", argument.name),
        };
        self.arguments.iter().map(word).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_become_arguments_by_place_or_by_name() {
        let argument = |name: &str, is_required| McpPromptArgument { name: name.into(), is_required };
        let arguments = vec![argument("city", true), argument("style", false)];
        let prompt = McpPrompt { name: "p".into(), about: String::new(), arguments };
        let read = |words: &str| prompt.read_arguments(words).map(Json::Object);
        assert_eq!(read("Bern"), Ok(json!({"city": "Bern"})));
        assert_eq!(read("'New York' very short"), Ok(json!({"city": "New York", "style": "very short"})));
        assert_eq!(read("style=long Bern"), Ok(json!({"style": "long", "city": "Bern"})));
        assert_eq!(read(""), Err("it needs city: city [style]".into()));
        assert!(McpPrompt { arguments: Vec::new(), ..prompt }.read_arguments("x").is_err());
    }
}
