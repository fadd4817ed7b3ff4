//! PURE. A prompt in the Agent Client Protocol: blocks of content. Text stays where it stands; an embedded file goes with
//! the prompt and is named where it stood; a link is named, and the agent reads it if it needs to.

use std::fmt::Write as _;

use crate::event::{Json, MAX_PROMPT_CONTEXT_BYTES, PromptContext, PromptContextKind, PromptImage, check_images};

/// A prompt and what goes with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BlockPrompt {
    pub(super) text: String,
    pub(super) context: Vec<PromptContext>,
}

impl BlockPrompt {
    /// Reads the blocks. The error says which block can't be taken, and why.
    pub(super) fn parse(blocks: &Json, folder: &str) -> Result<Self, String> {
        let blocks = blocks.as_array().ok_or("prompt: a list of content blocks is expected")?;
        let mut prompt = Self::default();
        for (nth, block) in blocks.iter().enumerate() {
            prompt.push_block(block, folder).map_err(|why| format!("prompt[{nth}]: {why}"))?;
        }
        check_images(&prompt.context)?;
        if PromptContext::total_bytes(&prompt.context) > MAX_PROMPT_CONTEXT_BYTES {
            return Err(format!("at most {MAX_PROMPT_CONTEXT_BYTES} bytes of files go with a prompt"));
        }
        if prompt.text.trim().is_empty() {
            return Err("the prompt has no text".to_owned());
        }
        Ok(prompt)
    }

    pub(super) fn has_images(&self) -> bool {
        self.context.iter().any(|part| part.image().is_some())
    }

    fn push_block(&mut self, block: &Json, folder: &str) -> Result<(), String> {
        let word = |key: &str| block.get(key).and_then(Json::as_str).unwrap_or_default();
        match word("type") {
            "text" => self.text.push_str(word("text")),
            "image" => self.push_image(word("data"))?,
            "resource_link" => {
                let place = shown_place(word("uri"), folder);
                self.name_place(word("name"), &place);
            }
            "resource" => self.push_resource(block.get("resource").unwrap_or(&Json::Null), folder)?,
            "" => return Err("a block without a type".to_owned()),
            other => return Err(format!("blocks of type {other} are not taken")),
        }
        Ok(())
    }

    fn push_image(&mut self, data: &str) -> Result<(), String> {
        let image = PromptImage::from_base64(data)?;
        let name = format!("image {}", self.context.iter().filter(|part| part.image().is_some()).count() + 1);
        if self.text.trim().is_empty() {
            let _ = write!(self.text, "[{name}] ");
        }
        self.context.push(PromptContext::from_image(name, image));
        Ok(())
    }

    fn push_resource(&mut self, resource: &Json, folder: &str) -> Result<(), String> {
        let word = |key: &str| resource.get(key).and_then(Json::as_str).unwrap_or_default();
        let place = shown_place(word("uri"), folder);
        if let Some(text) = resource.get("text").and_then(Json::as_str) {
            self.name_place("", &place);
            let part = PromptContext { kind: PromptContextKind::File, name: place, text: text.to_owned() };
            self.context.push(part);
            return Ok(());
        }
        if word("mimeType").starts_with("image/") {
            return self.push_image(word("blob"));
        }
        Err("a resource is taken as text or as an image".to_owned())
    }

    /// Writes where something is, as a link if it has a name of its own.
    fn name_place(&mut self, name: &str, place: &str) {
        let name = name.trim();
        // Writing to a string doesn't fail.
        if name.is_empty() || name == place {
            let _ = write!(self.text, "`{place}`");
        } else {
            let _ = write!(self.text, "[{name}]({place})");
        }
    }
}

/// Returns the path of a file, below the folder without it, or the URI of anything else.
fn shown_place(uri: &str, folder: &str) -> String {
    let Some(path) = uri.strip_prefix("file://").map(percent_decoded) else { return uri.to_owned() };
    let below = path.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    below.filter(|rest| !rest.is_empty()).unwrap_or(&path).to_owned()
}

/// Decodes a part of a URI (RFC 3986); what is no UTF-8 stays as it is.
fn percent_decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testkit::images::PNG_2X3;

    fn parse(blocks: &Json) -> Result<BlockPrompt, String> {
        BlockPrompt::parse(blocks, "/work/a b")
    }

    #[test]
    fn blocks_become_one_text_and_what_goes_with_it() {
        let image = PromptImage::new(PNG_2X3).unwrap();
        let prompt = parse(&json!([
            {"type": "text", "text": "compare "},
            {"type": "resource", "resource": {"uri": "file:///work/a%20b/x.rs", "text": "fn x() {}"}},
            {"type": "text", "text": " with "},
            {"type": "resource_link", "name": "notes", "uri": "file:///tmp/n%C3%A9.txt"},
            {"type": "text", "text": " and "},
            {"type": "resource_link", "name": "page", "uri": "https://h/a"},
            {"type": "image", "data": image.base64(), "mimeType": "image/png"},
        ]))
        .unwrap();
        assert_eq!(prompt.text, "compare `x.rs` with [notes](/tmp/né.txt) and [page](https://h/a)");
        let file = PromptContext { kind: PromptContextKind::File, name: "x.rs".into(), text: "fn x() {}".into() };
        assert_eq!(prompt.context, [file, PromptContext::from_image("image 1".into(), image)]);
        assert!(prompt.has_images());
    }

    #[test]
    fn an_image_alone_is_a_prompt_that_names_it() {
        let image = PromptImage::new(PNG_2X3).unwrap();
        let prompt = parse(&json!([{"type": "image", "data": image.base64(), "mimeType": "image/png"}])).unwrap();
        assert_eq!((prompt.text.as_str(), prompt.context.len()), ("[image 1] ", 1));
        let blob =
            json!([{"type": "resource", "resource": {"uri": "x:", "blob": image.base64(), "mimeType": "image/png"}}]);
        assert_eq!(parse(&blob).unwrap().context.len(), 1);
    }

    #[test]
    fn what_can_not_be_taken_is_named() {
        let long = "x".repeat(MAX_PROMPT_CONTEXT_BYTES + 1);
        for (blocks, why) in [
            (json!("hi"), "prompt: a list of content blocks"),
            (json!([]), "the prompt has no text"),
            (json!([{"type": "text", "text": " \n"}]), "the prompt has no text"),
            (json!([{"type": "text", "text": "a"}, {"type": "audio"}]), "prompt[1]: blocks of type audio"),
            (json!([7]), "prompt[0]: a block without a type"),
            (json!([{"type": "image", "data": "aGk="}]), "prompt[0]: not a PNG, JPEG"),
            (json!([{"type": "resource", "resource": {"uri": "x:", "blob": "aGk="}}]), "prompt[0]: a resource is"),
            (json!([{"type": "resource", "resource": {"uri": "x:", "text": long}}]), "at most 256000 bytes"),
        ] {
            let error = parse(&blocks).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn a_broken_escape_stays_as_it_is() {
        assert_eq!(shown_place("file:///a%2", "/w"), "/a%2");
        assert_eq!(shown_place("file:///a%zz%41", "/w"), "/a%zzA");
        assert_eq!(shown_place("file:///a%FF", "/w"), "/a%FF");
    }
}
