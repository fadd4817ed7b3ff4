//! The output items of an answer, how an event refers to one (by id, by position, or not at all), and what of them goes
//! back with the next request.
//!
//! Nothing is stored at the server, so encrypted reasoning and its place in the answer are sent back. A message's
//! metadata is `{"responses": {"model"?, "items": […]}}`. Reasoning is verbatim except for its id: with an id, the
//! server would look for an item that it never stored. Messages and calls are only referred to, their content is in the
//! conversation.

use serde_json::{Map, json};

use super::super::dedup::{DeltaDedup, StreamedText};
use super::super::surrogate::SurrogateJoiner;
use super::super::text_assembler;
use super::super::think_tags::ThinkTagSplitter;
use super::{list_at, text_at};
use crate::event::{CallId, ExecutedBy, Json, MessageId};

/// Items of one answer. Bounds the allocation that a hostile index could cause.
const MAX_ITEMS: usize = 512;
/// Parts of one item, likewise.
const MAX_PARTS: usize = 256;
const MAX_METADATA_BYTES: usize = 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponsesItemKind {
    Message,
    Reasoning,
    Call,
    /// The output of a call, as an item of its own.
    Output,
}

impl ResponsesItemKind {
    /// Parses an item's type.
    pub(super) fn parse(item_type: &str) -> Option<Self> {
        match item_type {
            "message" => Some(Self::Message),
            "reasoning" => Some(Self::Reasoning),
            "mcp_list_tools" | "mcp_approval_request" | "program" => Some(Self::Call),
            "tool_search_output" | "program_output" => Some(Self::Output),
            _ if item_type.ends_with("_call") => Some(Self::Call),
            _ if item_type.ends_with("_call_output") => Some(Self::Output),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextChannel {
    Text,
    Refusal,
    Summary,
    Reasoning,
}

#[derive(Debug)]
pub(super) struct OutputItemPart {
    pub(super) channel: TextChannel,
    pub(super) index: u64,
    pub(super) streamed: StreamedText,
    pub(super) surrogates: SurrogateJoiner,
    pub(super) dedup: DeltaDedup,
    /// Splits reasoning from text.
    pub(super) tag_splitter: ThinkTagSplitter,
    /// Bytes that were emitted as text.
    pub(super) text_bytes: usize,
    /// The emitted text turned out to be reasoning.
    pub(super) is_late_reasoning: bool,
    pub(super) is_cited: bool,
}

#[derive(Debug)]
pub(super) struct ResponsesCall {
    /// `call_…`, which its output refers to; not the item's id.
    pub(super) wire_id: Option<String>,
    /// The item's type.
    pub(super) tool: String,
    pub(super) name: String,
    pub(super) args: String,
    /// Where pieces of the arguments start that may repeat everything before them.
    pub(super) restart_offsets: Vec<usize>,
    pub(super) surrogates: SurrogateJoiner,
    /// Set once its start was emitted.
    pub(super) id: Option<CallId>,
    pub(super) is_ready: bool,
    pub(super) is_finished: bool,
    /// The complete arguments as they were emitted.
    pub(super) emitted_args: String,
    /// The outcome that the server reported ahead of the item.
    pub(super) reported_success: Option<bool>,
}

impl ResponsesCall {
    pub(super) fn ran_by(&self) -> ExecutedBy {
        ran_by(&self.tool)
    }
}

#[derive(Debug)]
pub(super) struct ResponsesItem {
    pub(super) id: Option<String>,
    pub(super) index: Option<u64>,
    pub(super) kind: ResponsesItemKind,
    pub(super) parts: Vec<OutputItemPart>,
    pub(super) call: Option<ResponsesCall>,
    /// The call that this is the output of.
    pub(super) output_of: Option<usize>,
    /// The message it was emitted in.
    pub(super) message: Option<MessageId>,
    pub(super) is_done: bool,
}

#[derive(Debug, Default)]
pub(super) struct ResponsesItems {
    pub(super) list: Vec<ResponsesItem>,
    /// Ids of items that are no part of the answer and were told.
    told_ids: Vec<String>,
}

impl ResponsesItems {
    pub(super) fn get(&mut self, at: usize) -> Option<&mut ResponsesItem> {
        self.list.get_mut(at)
    }

    pub(super) fn call(&mut self, at: usize) -> Option<&mut ResponsesCall> {
        self.list.get_mut(at)?.call.as_mut()
    }

    pub(super) fn find_id(&self, id: &str, kind: ResponsesItemKind) -> Option<usize> {
        self.list.iter().rposition(|item| item.kind == kind && item.id.as_deref() == Some(id))
    }

    /// Returns whether an item may be at that position, as far as is known.
    pub(super) fn may_be_at(&self, at: usize, index: Option<u64>) -> bool {
        let place = self.list.get(at).and_then(|item| item.index);
        place.is_none() || index.is_none() || place == index
    }

    /// Finds the item that an event refers to. Some servers change an item's id in each event, so the position counts
    /// where the id is unknown; without both it is the newest of its kind.
    pub(super) fn find(&self, id: Option<&str>, index: Option<u64>, kind: ResponsesItemKind) -> Option<usize> {
        let newest =
            |fits: &dyn Fn(&ResponsesItem) -> bool| self.list.iter().rposition(|item| item.kind == kind && fits(item));
        if let Some(at) = id.and_then(|id| self.find_id(id, kind)) {
            return Some(at);
        }
        match index {
            Some(_) => newest(&|item| item.index == index),
            None => {
                newest(&|_| true).filter(|at| self.list.get(*at).is_some_and(|item| id.is_none() || item.id.is_none()))
            }
        }
    }

    /// Finds the item that an announcement refers to: an unknown id is another item, unless the one at its position has
    /// none.
    pub(super) fn find_announced(
        &self,
        id: Option<&str>,
        index: Option<u64>,
        kind: ResponsesItemKind,
    ) -> Option<usize> {
        let at = self.find(id, index, kind)?;
        let item = self.list.get(at)?;
        let is_same = id.is_some() && item.id.as_deref() == id;
        (is_same || (item.id.is_none() && (index.is_none() || item.index == index))).then_some(at)
    }

    pub(super) fn find_call(&self, wire_id: &str) -> Option<usize> {
        self.list
            .iter()
            .rposition(|item| item.call.as_ref().is_some_and(|call| call.wire_id.as_deref() == Some(wire_id)))
    }

    /// Returns whether an item that is no part of the answer was told before; it is from now on.
    pub(super) fn was_told(&mut self, id: Option<&str>) -> bool {
        let Some(id) = id else { return false };
        let was_told = self.told_ids.iter().any(|known| known == id);
        if !was_told && self.told_ids.len() < MAX_ITEMS {
            self.told_ids.push(id.to_owned());
        }
        was_told
    }

    /// Finds the newest call of a type.
    pub(super) fn newest_call(&self, tool: &str) -> Option<usize> {
        self.list.iter().rposition(|item| item.call.as_ref().is_some_and(|call| call.tool == tool))
    }

    /// Adds an item. Fails past the limit.
    pub(super) fn add(
        &mut self,
        id: Option<&str>,
        index: Option<u64>,
        kind: ResponsesItemKind,
        tool: &str,
    ) -> Option<usize> {
        if self.list.len() >= MAX_ITEMS {
            return None;
        }
        let call = (kind == ResponsesItemKind::Call).then(|| ResponsesCall {
            wire_id: None,
            tool: tool.to_owned(),
            name: String::new(),
            args: String::new(),
            restart_offsets: Vec::new(),
            surrogates: SurrogateJoiner::default(),
            id: None,
            is_ready: false,
            is_finished: false,
            emitted_args: String::new(),
            reported_success: None,
        });
        let id = id.map(Into::into);
        let (parts, message, target) = (Vec::new(), None, None);
        self.list.push(ResponsesItem { id, index, kind, parts, call, output_of: target, message, is_done: false });
        Some(self.list.len() - 1)
    }

    /// Returns the id, with a suffix where another call already has it.
    pub(super) fn unique_id(&self, wire_id: &str) -> CallId {
        let calls = || self.list.iter().filter_map(|item| item.call.as_ref()?.id.as_ref());
        let mut id = wire_id.to_owned();
        while id.is_empty() || calls().any(|known| known.as_str() == id) {
            id = if wire_id.is_empty() { format!("call_{}", calls().count() + 1) } else { format!("{id}_2") };
            if wire_id.is_empty() && calls().any(|known| known.as_str() == id) {
                id.push('_');
            }
        }
        CallId::new(id)
    }
}

impl ResponsesItem {
    /// Returns the part, added where needed. Fails past the limit.
    pub(super) fn part(&mut self, channel: TextChannel, index: u64) -> Option<&mut OutputItemPart> {
        let known = self.parts.iter().rposition(|part| part.channel == channel && part.index == index);
        let at = match known {
            Some(at) => at,
            None if self.parts.len() < MAX_PARTS => {
                self.parts.push(OutputItemPart {
                    channel,
                    index,
                    streamed: StreamedText::default(),
                    surrogates: SurrogateJoiner::default(),
                    dedup: DeltaDedup::default(),
                    tag_splitter: ThinkTagSplitter::default(),
                    text_bytes: 0,
                    is_late_reasoning: false,
                    is_cited: false,
                });
                self.parts.len() - 1
            }
            None => return None,
        };
        self.parts.get_mut(at)
    }

    /// Returns the index of the n-th part of that channel: closing frames leave out parts without content.
    pub(super) fn nth_index(&self, channel: TextChannel, nth: usize) -> u64 {
        let mut of_channel = self.parts.iter().filter(|part| part.channel == channel);
        match of_channel.clone().nth(nth) {
            Some(part) => part.index,
            None => of_channel.next_back().map_or(0, |last| last.index.saturating_add(1)),
        }
    }

    /// Returns whether more of a message's text may come.
    pub(super) fn is_streaming(&self) -> bool {
        let is_known = |part: &OutputItemPart| part.streamed.full_text().is_some();
        self.kind == ResponsesItemKind::Message && !self.is_done && !self.parts.iter().all(is_known)
    }

    /// Returns the full text where the server repeated all of it, or where not all of what was emitted is text.
    pub(super) fn full_text(&self) -> Option<String> {
        self.parts
            .iter()
            .filter(|part| matches!(part.channel, TextChannel::Text | TextChannel::Refusal))
            .map(|part| {
                let full =
                    part.streamed.full_text().or_else(|| part.is_late_reasoning.then(|| part.streamed.text()))?;
                Some(if part.channel == TextChannel::Text {
                    text_assembler::strip_reasoning(full)
                } else {
                    full.to_owned()
                })
            })
            .collect()
    }
}

/// Returns who runs calls of this type: the client runs functions and whatever acts on its own machine.
pub(super) fn ran_by(item_type: &str) -> ExecutedBy {
    match item_type {
        "function_call" | "custom_tool_call" | "computer_call" | "local_shell_call" | "apply_patch_call" => {
            ExecutedBy::Client
        }
        _ => ExecutedBy::Server,
    }
}

/// The key for the text of a tool that takes plain text, in our arguments and in the server's item.
pub(super) fn text_key(item_type: &str) -> Option<&'static str> {
    match item_type {
        "code_interpreter_call" | "program" => Some("code"),
        "custom_tool_call" => Some("input"),
        _ => None,
    }
}

#[derive(Debug)]
struct MetadataEntry {
    item: usize,
    message: Option<MessageId>,
    json: Json,
}

#[derive(Debug, Default)]
pub(super) struct ResponsesProviderMetadata {
    entries: Vec<MetadataEntry>,
    kept_bytes: usize,
    /// It has content that must be sent back.
    is_needed: bool,
}

impl ResponsesProviderMetadata {
    /// Records a complete item.
    pub(super) fn record_item(
        &mut self,
        item: usize,
        kind: Option<ResponsesItemKind>,
        message: Option<&MessageId>,
        json: &Json,
    ) {
        let mut entry = Map::new();
        let mut keep = |key: &str| {
            if let Some(value) = json.get(key).filter(|value| !value.is_null()) {
                entry.insert(key.to_owned(), value.clone());
            }
        };
        keep("type");
        match kind {
            Some(ResponsesItemKind::Message) => {
                keep("phase");
                self.is_needed |= json.get("phase").is_some_and(Json::is_string);
            }
            Some(ResponsesItemKind::Call) => keep("id"),
            // Encrypted reasoning, or the server's compaction of a long conversation.
            Some(ResponsesItemKind::Reasoning) | None if text_at(json, "encrypted_content").is_some() => {
                self.is_needed = true;
                keep("summary");
                keep("content");
                keep("encrypted_content");
            }
            // Servers that run open models send their reasoning in plain text, and need the id.
            Some(ResponsesItemKind::Reasoning) if !list_at(json, "content").is_empty() => {
                self.is_needed = true;
                keep("id");
                keep("summary");
                keep("content");
            }
            Some(ResponsesItemKind::Reasoning | ResponsesItemKind::Output) | None => return,
        }
        let json = Json::Object(entry);
        self.kept_bytes = self.kept_bytes.saturating_add(json.to_string().len());
        if self.kept_bytes <= MAX_METADATA_BYTES {
            self.entries.push(MetadataEntry { item, message: message.cloned(), json });
        }
    }

    /// Returns whether calls must carry the ids of their items.
    pub(super) fn is_needed(&self) -> bool {
        self.is_needed
    }

    /// Assigns the items before a message's content to that message.
    pub(super) fn assign_message(&mut self, message: &MessageId) {
        for entry in self.entries.iter_mut().filter(|entry| entry.message.is_none()) {
            entry.message = Some(message.clone());
        }
    }

    /// Takes the metadata of a message.
    pub(super) fn take_for(&mut self, message: &MessageId, model: Option<&str>) -> Option<Json> {
        if !self.is_needed || self.kept_bytes > MAX_METADATA_BYTES {
            return None;
        }
        let mut mine: Vec<&MetadataEntry> =
            self.entries.iter().filter(|entry| entry.message.as_ref() == Some(message)).collect();
        mine.sort_by_key(|entry| entry.item);
        if !mine.iter().any(|entry| {
            entry.json.as_object().is_some_and(|object| object.keys().any(|key| key != "type" && key != "id"))
        }) {
            return None;
        }
        let items: Vec<&Json> = mine.into_iter().map(|entry| &entry.json).collect();
        let mut metadata = json!({ "items": items });
        if let Some(model) = model {
            metadata["model"] = model.into();
        }
        Some(json!({ "responses": metadata }))
    }
}
