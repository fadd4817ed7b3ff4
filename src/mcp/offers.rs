//! What a server offers besides its tools: resources, which a person mentions, and prompts, which are commands.
//!
//! All of it is text from outside. What is read is bounded, and cleaned where it becomes a part of a prompt.

use rmcp::model::{
    ContentBlock, GetPromptResult, JsonObject, Prompt, Resource, ResourceContents, ResourceTemplate, Role,
};

use super::content::{block_text, resource_text};
use crate::event::{
    MAX_PROMPT_CONTEXT_BYTES, McpPrompt, McpPromptArgument, PromptContext, PromptContextKind, PromptImage,
};
use crate::text::clean;
use crate::text::one_line;
use crate::text::words::split_words;

const MAX_WORD_CELLS: usize = 200;

/// The lists of a server.
#[derive(Clone, Debug, Default)]
pub struct McpOffers {
    pub(super) prompts: Vec<Prompt>,
    pub(super) resources: Vec<Resource>,
    pub(super) templates: Vec<ResourceTemplate>,
}

impl McpOffers {
    /// Returns the addresses of its resources; of those with a part to fill in what stands before that.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        let templates = self.templates.iter().map(|template| {
            let text = template.uri_template.as_str();
            text.split_once('{').map_or(text, |(begin, _)| begin)
        });
        let all = self.resources.iter().map(|resource| resource.uri.as_str()).chain(templates);
        // What a terminal would obey, or what ends a mention, can't be typed.
        all.filter(|uri| !uri.contains(|c: char| c.is_control() || c == '"')).map(str::to_owned)
    }

    pub fn prompts(&self) -> impl Iterator<Item = McpPrompt> {
        self.prompts.iter().map(|prompt| McpPrompt {
            name: prompt.name.clone(),
            about: one_line(
                prompt.description.as_deref().or(prompt.title.as_deref()).unwrap_or_default(),
                MAX_WORD_CELLS,
            ),
            arguments: prompt
                .arguments
                .iter()
                .flatten()
                .map(|argument| McpPromptArgument {
                    name: argument.name.clone(),
                    is_required: argument.required == Some(true),
                })
                .collect(),
        })
    }
}

/// Reads the words behind a command as its arguments: in their order, the last one the rest, or as `name=value`.
///
/// # Errors
///
/// Fails if one is missing that it needs.
pub fn read_prompt_arguments(prompt: &McpPrompt, words: &str) -> Result<JsonObject, String> {
    let mut given = JsonObject::new();
    let mut left = Vec::new();
    for word in split_words(words) {
        match word.split_once('=') {
            Some((name, value)) if prompt.arguments.iter().any(|argument| argument.name == name) => {
                given.insert(name.to_owned(), value.into());
            }
            _ => left.push(word),
        }
    }
    let open: Vec<&McpPromptArgument> =
        prompt.arguments.iter().filter(|argument| !given.contains_key(&argument.name)).collect();
    let mut left = left.into_iter();
    for (nth, argument) in open.iter().enumerate() {
        let value = match left.next() {
            Some(word) if nth + 1 == open.len() => left.by_ref().fold(word, |all, word| format!("{all} {word}")),
            Some(word) => word,
            None if argument.is_required => {
                return Err(format!("it needs {}: {}", argument.name, prompt.hint()));
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

/// Returns what a prompt that a server wrote becomes: its text, and what goes with it.
pub(super) fn prompt_parts(written: GetPromptResult, server: &str) -> Result<(String, Vec<PromptContext>), String> {
    let (mut text, mut context) = (String::new(), Vec::new());
    let has_answers = written.messages.iter().any(|message| message.role == Role::Assistant);
    for message in written.messages {
        let piece = match &message.content {
            ContentBlock::Image(image) => {
                let image = PromptImage::from_base64(&image.data)?;
                context.push(PromptContext::from_image(format!("{server}: an image"), image));
                continue;
            }
            ContentBlock::Resource(embedded) => {
                context.push(part_of(&embedded.resource, &format!("{server}: {}", address(&embedded.resource)))?);
                continue;
            }
            block => block_text(block),
        };
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        if has_answers {
            text.push_str(if message.role == Role::Assistant { "Assistant: " } else { "User: " });
        }
        text.push_str(&clean(&piece));
        if text.len() > MAX_PROMPT_CONTEXT_BYTES {
            return Err("what the server wrote is too long for a prompt".to_owned());
        }
    }
    if text.trim().is_empty() && context.is_empty() {
        Err("the server wrote nothing".to_owned())
    } else {
        Ok((text, context))
    }
}

fn address(resource: &ResourceContents) -> String {
    match resource {
        ResourceContents::TextResourceContents { uri, .. } | ResourceContents::BlobResourceContents { uri, .. } => {
            one_line(uri, MAX_WORD_CELLS)
        }
        _ => "a resource".to_owned(),
    }
}

/// Returns a part of a prompt; the error says why it can't be one.
pub(super) fn part_of(resource: &ResourceContents, name: &str) -> Result<PromptContext, String> {
    match resource {
        ResourceContents::TextResourceContents { text, .. } if text.len() > MAX_PROMPT_CONTEXT_BYTES => {
            Err(format!("too large, {} of at most {MAX_PROMPT_CONTEXT_BYTES} bytes", text.len()))
        }
        ResourceContents::TextResourceContents { text, .. } => {
            Ok(PromptContext { kind: PromptContextKind::File, name: name.to_owned(), text: clean(text).into_owned() })
        }
        ResourceContents::BlobResourceContents { blob, .. } => match PromptImage::from_base64(blob) {
            Ok(image) => Ok(PromptContext::from_image(name.to_owned(), image)),
            Err(_) => Err(format!("neither text nor an image: {}", resource_text(resource))),
        },
        _ => Err("a resource of a kind that is not known here".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_prompt_of_a_server_is_text_with_parts() {
        let written = json!({"messages": [
            {"role": "user", "content": {"type": "text", "text": "Read\u{1b}[31m this"}},
            {"role": "user", "content": {"type": "resource", "resource": {"uri": "a://b", "text": "inside"}}},
        ]});
        let (text, context) = prompt_parts(serde_json::from_value(written).unwrap(), "s").unwrap();
        assert_eq!(
            (text.as_str(), context[0].name.as_str(), context[0].text.as_str()),
            ("Read this", "s: a://b", "inside")
        );
        let both = json!({"messages": [
            {"role": "user", "content": {"type": "text", "text": "a"}},
            {"role": "assistant", "content": {"type": "text", "text": "b"}},
        ]});
        assert_eq!(prompt_parts(serde_json::from_value(both).unwrap(), "s").unwrap().0, "User: a\n\nAssistant: b");
        assert!(prompt_parts(serde_json::from_value(json!({"messages": []})).unwrap(), "s").is_err());
    }

    #[test]
    fn a_resource_is_text_or_an_image_and_no_more_than_a_prompt_holds() {
        let part = |data| part_of(&serde_json::from_value(data).unwrap(), "s:a://b");
        assert_eq!(part(json!({"uri": "a://b", "text": "x\u{7}y"})).unwrap().text, "xy");
        assert!(part(json!({"uri": "a://b", "text": "x".repeat(MAX_PROMPT_CONTEXT_BYTES + 1)})).is_err());
        assert!(part(json!({"uri": "a://b", "blob": "AAAA", "mimeType": "image/png"})).is_err(), "it is none");
    }

    #[test]
    fn what_is_to_be_filled_in_is_left_to_the_person() {
        let offers = McpOffers {
            resources: vec![Resource::new("a://b", "b"), Resource::new("a://\u{1b}", "c")],
            templates: vec![ResourceTemplate::new("a://d/{id}/e", "d")],
            ..McpOffers::default()
        };
        assert_eq!(offers.addresses().collect::<Vec<_>>(), ["a://b", "a://d/"]);
    }

    #[test]
    fn words_become_arguments_by_place_or_by_name() {
        let argument = |name: &str, is_required| McpPromptArgument { name: name.into(), is_required };
        let arguments = vec![argument("city", true), argument("style", false)];
        let prompt = McpPrompt { name: "p".into(), about: String::new(), arguments };
        let read = |words: &str| read_prompt_arguments(&prompt, words).map(serde_json::Value::Object);
        assert_eq!(read("Bern"), Ok(json!({"city": "Bern"})));
        assert_eq!(read("'New York' very short"), Ok(json!({"city": "New York", "style": "very short"})));
        assert_eq!(read("style=long Bern"), Ok(json!({"style": "long", "city": "Bern"})));
        assert_eq!(read(""), Err("it needs city: city [style]".into()));
        assert!(read_prompt_arguments(&McpPrompt { arguments: Vec::new(), ..prompt }, "x").is_err());
    }
}
