//! What a server offers besides its tools: resources, which a person mentions, and prompts, which are commands.
//!
//! All of it is text from outside. What is read is bounded, and cleaned where it becomes a part of a prompt.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    ContentBlock, GetPromptRequestParams, GetPromptResult, JsonObject, Prompt, ReadResourceRequestParams, Resource,
    ResourceContents, ResourceTemplate, Role,
};
use rmcp::service::ServiceError;

use super::connection::failure;
use super::content::{block_text, resource_text};
use super::server::McpServer;
use crate::event::{
    MAX_PROMPT_CONTEXT_BYTES, McpPrompt, McpPromptArgument, PromptContext, PromptContextKind, PromptImage,
};
use crate::text::clean;
use crate::text::one_line;

/// Of each kind.
const MAX_LISTED: usize = 1000;
const MAX_WORD_CELLS: usize = 200;
const MAX_REASON_CELLS: usize = 300;
/// How long a list may take.
const LIST_TIMEOUT: Duration = Duration::from_secs(20);

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

impl McpServer {
    /// Returns what it offers, as it was listed last.
    pub fn known_offers(&self) -> Option<Arc<McpOffers>> {
        self.shared.offers.borrow().clone()
    }

    /// Lists what it offers, starting it if need be.
    ///
    /// # Errors
    ///
    /// Fails with the reason if it can't be started or lists nothing.
    pub async fn list_offers(&self) -> Result<Arc<McpOffers>, String> {
        let connection = self.connection().await?;
        if let Some(known) = self.known_offers() {
            return Ok(known);
        }
        let peer = connection.service.peer_info();
        let has = |what: fn(&rmcp::model::ServerCapabilities) -> bool| {
            peer.as_ref().is_some_and(|peer| what(&peer.capabilities))
        };
        let mut offers = McpOffers::default();
        let listing = async {
            if has(|all| all.prompts.is_some()) {
                offers.prompts = connection.service.list_all_prompts().await?;
            }
            if has(|all| all.resources.is_some()) {
                offers.resources = connection.service.list_all_resources().await?;
                // Many servers have resources and know no templates.
                offers.templates = connection.service.list_all_resource_templates().await.unwrap_or_default();
            }
            Ok(())
        };
        let listed: Result<Result<(), ServiceError>, _> = tokio::time::timeout(LIST_TIMEOUT, Box::pin(listing)).await;
        listed
            .map_err(|_| "it did not list what it offers".to_owned())?
            .map_err(|error| one_line(&failure(&error), MAX_REASON_CELLS))?;
        offers.prompts.truncate(MAX_LISTED);
        offers.resources.truncate(MAX_LISTED);
        offers.templates.truncate(MAX_LISTED);
        let offers = Arc::new(offers);
        self.shared.offers.send_replace(Some(Arc::clone(&offers)));
        Ok(offers)
    }

    /// Reads a resource, as parts of a prompt under that name.
    ///
    /// # Errors
    ///
    /// Fails with the reason, for the person.
    pub async fn read_resource(&self, uri: &str, name: &str) -> Result<Vec<PromptContext>, String> {
        let connection = self.connection().await?;
        let reading = connection.service.read_resource(ReadResourceRequestParams::new(uri));
        let read = tokio::time::timeout(self.spec().call_timeout, Box::pin(reading)).await;
        let read = read
            .map_err(|_| "the server did not answer".to_owned())?
            .map_err(|error| one_line(&failure(&error), MAX_REASON_CELLS))?;
        if read.contents.is_empty() {
            return Err("there is nothing in it".to_owned());
        }
        read.contents.iter().map(|part| part_of(part, name)).collect()
    }

    /// Has a prompt written: its text, and what goes with it.
    ///
    /// # Errors
    ///
    /// Fails with the reason, for the person.
    pub async fn write_prompt(
        &self,
        prompt: &str,
        arguments: JsonObject,
    ) -> Result<(String, Vec<PromptContext>), String> {
        let connection = self.connection().await?;
        let mut params = GetPromptRequestParams::new(prompt);
        params.arguments = Some(arguments).filter(|arguments| !arguments.is_empty());
        let asking = connection.service.get_prompt(params);
        let written = tokio::time::timeout(self.spec().call_timeout, Box::pin(asking)).await;
        let written = written
            .map_err(|_| "the server did not answer".to_owned())?
            .map_err(|error| one_line(&failure(&error), MAX_REASON_CELLS))?;
        prompt_parts(written, self.name())
    }
}

fn prompt_parts(written: GetPromptResult, server: &str) -> Result<(String, Vec<PromptContext>), String> {
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
fn part_of(resource: &ResourceContents, name: &str) -> Result<PromptContext, String> {
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
}
