//! The content blocks of a message while they stream, and what of them goes back to the server.
//!
//! Thinking is signed and results of the server's own tools are partly encrypted; both are accepted back only verbatim
//! and in order. Such a message keeps all its blocks; any other can be rebuilt from its text and calls.

use serde_json::{Map, json};

use super::super::arguments::ArgumentsAssembler;
use super::super::surrogate::SurrogateJoiner;
use super::super::text_assembler::{ChannelAssembler, TextAssembler};
use crate::event::{CallId, Json};

const MAX_BLOCKS: usize = 2048;
/// Bytes kept to be sent back; a larger message is rebuilt from its text.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of arguments kept for all calls of a message.
const MAX_ARGS_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, Default)]
pub(super) struct ContentBlock {
    index: u64,
    /// The block as its start event had it.
    wire: Map<String, Json>,
    pub(super) kind: ContentBlockKind,
    pub(super) open: bool,
    /// Joins surrogate halves in the arguments.
    pub(super) surrogates: SurrogateJoiner,
    pub(super) assembler: TextAssembler,
    pub(super) thinking: ChannelAssembler,
    /// Text of the deltas: text, thinking or a compaction.
    text: String,
    signature: String,
    pub(super) args: ArgumentsAssembler,
    raw_args: String,
    citations: Vec<Json>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum ContentBlockKind {
    Text,
    Thinking,
    /// A call for the client to run.
    Call(CallId),
    /// A call with the id of another one: a repetition if its arguments are the same.
    DuplicateCall,
    /// A call that the server runs.
    ServerCall(CallId),
    Result,
    /// Redacted thinking, compactions, and unknown kinds.
    #[default]
    Other,
}

impl ContentBlock {
    fn str_field(&self, key: &str) -> &str {
        self.wire.get(key).and_then(Json::as_str).unwrap_or_default()
    }

    pub(super) fn wire_id(&self) -> &str {
        self.str_field("id")
    }

    pub(super) fn name(&self) -> &str {
        self.str_field("name")
    }

    /// Returns the arguments: those of the deltas, else those of the start event. The list holds the arguments of
    /// further calls.
    pub(super) fn take_args(&mut self, is_cut: bool) -> (String, Vec<String>) {
        let mut all = self.args.take_calls(is_cut).into_iter();
        let mut args = all.next().unwrap_or_default();
        if args.trim().is_empty() {
            args = match self.wire.get("input") {
                Some(input @ Json::Object(_)) => input.to_string(),
                Some(Json::String(input)) if !input.trim().is_empty() => input.clone(),
                _ => "{}".to_owned(),
            };
        }
        // The input of a server call goes back with its block, so it stays.
        if let ContentBlockKind::ServerCall(_) = self.kind {
            self.raw_args.clone_from(&args);
        }
        (args, all.collect())
    }
}

/// The blocks of one message, in order.
#[derive(Debug, Default)]
pub(super) struct ContentBlocks {
    list: Vec<ContentBlock>,
    kept_bytes: usize,
    args_bytes: usize,
}

impl ContentBlocks {
    /// Adds a block; none when there are too many.
    pub(super) fn add(
        &mut self,
        index: Option<u64>,
        wire: Map<String, Json>,
        kind: ContentBlockKind,
    ) -> Option<&mut ContentBlock> {
        if self.list.len() >= MAX_BLOCKS {
            return None;
        }
        let index = index.unwrap_or(self.list.len() as u64);
        self.list.push(ContentBlock { index, wire, kind, open: true, ..ContentBlock::default() });
        self.list.last_mut()
    }

    /// Finds an open block; without an index, the newest.
    pub(super) fn open(&mut self, index: Option<u64>) -> Option<&mut ContentBlock> {
        self.list.iter_mut().rev().find(|block| block.open && index.is_none_or(|index| block.index == index))
    }

    /// Returns name and arguments of a server call that is still streaming.
    pub(super) fn partial_call(&mut self, call: &CallId) -> Option<(String, String)> {
        let is_it = |block: &&mut ContentBlock| {
            block.open && matches!(&block.kind, ContentBlockKind::ServerCall(id) if id == call)
        };
        let block = self.list.iter_mut().rev().find(is_it)?;
        Some((block.name().to_owned(), block.take_args(false).0))
    }

    pub(super) fn has_call(&self) -> bool {
        self.list.iter().any(|block| matches!(block.kind, ContentBlockKind::Call(_)))
    }

    /// Counts the bytes of a start event.
    pub(super) fn count_announced(&mut self, wire: &Json) {
        self.kept_bytes = self.kept_bytes.saturating_add(json_bytes(wire));
    }

    /// Appends text, thinking or a compaction to an open block.
    pub(super) fn append_text(&mut self, index: Option<u64>, piece: &str) {
        self.kept_bytes = self.kept_bytes.saturating_add(piece.len());
        if self.kept_bytes <= MAX_KEPT_BYTES
            && let Some(block) = self.open(index)
        {
            block.text.push_str(piece);
        }
    }

    pub(super) fn append_signature(&mut self, index: Option<u64>, piece: &str) {
        self.kept_bytes = self.kept_bytes.saturating_add(piece.len());
        if self.kept_bytes <= MAX_KEPT_BYTES
            && let Some(block) = self.open(index)
        {
            block.signature.push_str(piece);
        }
    }

    pub(super) fn append_citation(&mut self, index: Option<u64>, citation: Json) {
        self.kept_bytes = self.kept_bytes.saturating_add(json_bytes(&citation));
        if self.kept_bytes <= MAX_KEPT_BYTES
            && let Some(block) = self.open(index)
        {
            block.citations.push(citation);
        }
    }

    /// Appends arguments and returns the part to emit; none past the limit.
    pub(super) fn append_args(&mut self, index: Option<u64>, piece: &str) -> Option<String> {
        self.args_bytes = self.args_bytes.saturating_add(piece.len());
        if self.args_bytes > MAX_ARGS_BYTES {
            return None;
        }
        if let Some(block) = self.open(index) {
            return Some(block.args.push(piece).to_owned());
        }
        Some(String::new())
    }

    /// Finds the n-th text block.
    pub(super) fn nth_text(&mut self, nth: usize) -> Option<&mut ContentBlock> {
        self.list.iter_mut().filter(|block| block.kind == ContentBlockKind::Text).nth(nth)
    }

    /// Returns whether a client call has this id.
    pub(super) fn has_call_id(&self, id: &str) -> bool {
        let is_call = |block: &ContentBlock| {
            matches!(
                block.kind,
                ContentBlockKind::Call(_) | ContentBlockKind::DuplicateCall | ContentBlockKind::ServerCall(_)
            )
        };
        !id.is_empty() && self.list.iter().any(|block| is_call(block) && block.wire_id() == id)
    }

    /// Returns the blocks that must go back verbatim. Client calls stand in them without input, which the conversation
    /// has.
    pub(super) fn provider_metadata(self) -> Option<Json> {
        let plain = |block: &ContentBlock| match block.kind {
            ContentBlockKind::Text => block.citations.is_empty() && !block.wire.contains_key("citations"),
            ContentBlockKind::Call(_) => {
                block.wire.keys().all(|key| matches!(key.as_str(), "type" | "id" | "name" | "input"))
            }
            ContentBlockKind::DuplicateCall => true,
            ContentBlockKind::Thinking
            | ContentBlockKind::ServerCall(_)
            | ContentBlockKind::Result
            | ContentBlockKind::Other => false,
        };
        if self.kept_bytes > MAX_KEPT_BYTES || self.list.iter().all(plain) {
            return None;
        }
        let content: Vec<Json> = self.list.into_iter().filter_map(ContentBlock::into_wire).collect();
        Some(json!({ "content": content }))
    }
}

impl ContentBlock {
    fn into_wire(mut self) -> Option<Json> {
        let announced = |block: &Self, key: &str| block.str_field(key).to_owned();
        match self.kind {
            ContentBlockKind::Text => {
                let text = announced(&self, "text") + &self.text;
                self.wire.insert("text".into(), text.into());
                let mut citations = match self.wire.remove("citations") {
                    Some(Json::Array(citations)) => citations,
                    _ => Vec::new(),
                };
                citations.append(&mut self.citations);
                if !citations.is_empty() {
                    self.wire.insert("citations".into(), citations.into());
                }
            }
            ContentBlockKind::Thinking => {
                let signature = announced(&self, "signature") + &self.signature;
                // Without its signature it would be rejected.
                if signature.is_empty() {
                    return None;
                }
                let thinking = announced(&self, "thinking") + &self.text;
                self.wire.insert("thinking".into(), thinking.into());
                self.wire.insert("signature".into(), signature.into());
            }
            ContentBlockKind::Call(_) => {
                self.wire.remove("input");
            }
            ContentBlockKind::DuplicateCall => return None,
            ContentBlockKind::ServerCall(_) => {
                let input = serde_json::from_str(&self.raw_args).ok().filter(Json::is_object);
                if let Some(input) = input {
                    self.wire.insert("input".into(), input);
                }
            }
            ContentBlockKind::Result => {}
            ContentBlockKind::Other if self.text.is_empty() => {}
            ContentBlockKind::Other => {
                let content = announced(&self, "content") + &self.text;
                self.wire.insert("content".into(), content.into());
            }
        }
        Some(Json::Object(self.wire))
    }
}

fn json_bytes(json: &Json) -> usize {
    match json {
        Json::String(text) => text.len() + 2,
        Json::Array(list) => list.iter().map(json_bytes).sum::<usize>() + 2,
        Json::Object(object) => object.iter().map(|(key, value)| key.len() + 4 + json_bytes(value)).sum::<usize>() + 2,
        Json::Null | Json::Bool(_) | Json::Number(_) => 8,
    }
}
