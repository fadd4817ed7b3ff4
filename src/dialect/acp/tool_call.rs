//! What an agent says of a call: fields that come in pieces, each in place of what was said before.

use super::client_work::ClientTerminals;
use super::diff::unified_diff;
use crate::dialect::program_reply::word;
use crate::event::{Json, Risk, ToolKind};

/// Bytes of what a call is about, in one line.
const MAX_SUBJECT_BYTES: usize = 16 * 1024;
/// Bytes of arguments that are shown to who decides.
const MAX_DETAIL_BYTES: usize = 256 * 1024;
/// Bytes of output that is told piece by piece.
const MAX_TOLD_OUTPUT_BYTES: usize = 4 * 1024 * 1024;
/// Keys of arguments that hold a command.
const COMMAND_KEYS: [&str; 2] = ["command", "cmd"];
/// Keys of arguments that hold a path.
const PATH_KEYS: [&str; 4] = ["file_path", "filePath", "filepath", "path"];

/// All that is known of a call.
#[derive(Clone, Debug, Default)]
pub(super) struct ToolCallFields {
    pub(super) name: String,
    title: String,
    kind: String,
    input: Option<Json>,
    locations: Vec<String>,
    content: Option<Json>,
    /// What it printed, where that is told piece by piece.
    told_output: String,
    pub(super) was_rejected: bool,
    /// It runs, or somebody was asked whether it may.
    pub(super) may_run: bool,
}

impl ToolCallFields {
    /// Takes over what an update says; what it doesn't say stays.
    pub(super) fn merge(&mut self, update: &Json) {
        let names = ["/_meta/claudeCode/toolName", "/_meta/toolName"];
        let named = names.iter().find_map(|place| update.pointer(place)?.as_str()).unwrap_or_default();
        let (title, kind) = (word(update, "title"), word(update, "kind"));
        let named = if named.is_empty() { word(update, "name") } else { named };
        if self.name.is_empty() {
            self.name = first_name(named, title, kind);
        }
        if !title.is_empty() {
            title.clone_into(&mut self.title);
        }
        if !kind.is_empty() {
            kind.clone_into(&mut self.kind);
        }
        if let Some(input) = update.get("rawInput").filter(|input| !is_empty(input)) {
            self.input = Some(input.clone());
        }
        if let Some(locations) = update.get("locations").and_then(Json::as_array).filter(|list| !list.is_empty()) {
            self.locations = locations.iter().map(|place| word(place, "path").to_owned()).collect();
        }
        // An empty list says that there is nothing any more.
        if let Some(content) = update.get("content").filter(|content| content.is_array()) {
            self.content = Some(content.clone());
        }
    }

    /// The arguments, or what is known in their place.
    pub(super) fn args(&self) -> Json {
        if let Some(input) = &self.input {
            return input.clone();
        }
        let mut args = serde_json::Map::new();
        if !self.title.is_empty() && self.title != self.name {
            args.insert("title".to_owned(), self.title.as_str().into());
        }
        if let Some(path) = self.locations.first().filter(|path| !path.is_empty()) {
            args.insert("path".to_owned(), path.as_str().into());
        }
        Json::Object(args)
    }

    pub(super) fn tool_kind(&self) -> ToolKind {
        match self.kind.as_str() {
            "read" => ToolKind::Read,
            "edit" | "delete" | "move" => ToolKind::Edit,
            "execute" => ToolKind::Execute,
            "fetch" => ToolKind::Fetch,
            "search" => ToolKind::Search,
            _ => ToolKind::Other,
        }
    }

    /// What is of an unknown kind may do anything.
    pub(super) fn risk(&self) -> Risk {
        match self.kind.as_str() {
            "read" | "search" | "think" => Risk::ReadOnly,
            "fetch" => Risk::Network,
            "edit" | "delete" | "move" => Risk::Write,
            _ => Risk::Execute,
        }
    }

    /// The command, path or address that the call is about.
    pub(super) fn subject(&self) -> String {
        let keys: &[&str] = match self.tool_kind() {
            ToolKind::Execute => &COMMAND_KEYS,
            ToolKind::Fetch => &["url"],
            ToolKind::Read | ToolKind::Edit => &PATH_KEYS,
            ToolKind::Search | ToolKind::Other => &[],
        };
        let input = self.input.as_ref();
        let of_input = keys.iter().find_map(|key| plain_text(input?.get(*key)?));
        let of_place = || self.locations.first().filter(|_| keys == PATH_KEYS).cloned();
        let mut subject = of_input.or_else(of_place).unwrap_or_else(|| self.title.clone());
        if subject.trim().is_empty() {
            subject.clone_from(&self.name);
        }
        subject.truncate(subject.floor_char_boundary(MAX_SUBJECT_BYTES));
        subject
    }

    /// Everything else that is known before the call runs.
    pub(super) fn detail(&self, terminals: &ClientTerminals) -> String {
        let mut parts = Vec::new();
        let subject = self.subject();
        if self.title.trim() != subject.trim() && self.title != self.name {
            parts.push(self.title.clone());
        }
        let content = self.content_text(terminals);
        let has_diff = content.contains("\n@@ ");
        parts.push(content);
        if let Some(input) = self.input.as_ref().filter(|_| !has_diff) {
            match input.get("diff").and_then(Json::as_str) {
                Some(diff) => parts.push(diff.to_owned()),
                None if says_more(input, &subject) => {
                    parts.push(serde_json::to_string_pretty(input).unwrap_or_default());
                }
                None => {}
            }
        }
        let mut detail = parts.into_iter().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("\n");
        if detail.len() > MAX_DETAIL_BYTES {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
            detail.push_str("\n[… cut]");
        }
        detail
    }

    /// The files that it names.
    pub(super) fn paths(&self) -> Vec<String> {
        let diffs = self.content.as_ref().and_then(Json::as_array).into_iter().flatten();
        let of_diffs = diffs.filter(|block| word(block, "type") == "diff").map(|block| word(block, "path").to_owned());
        self.locations.iter().cloned().chain(of_diffs).filter(|path| !path.is_empty()).collect()
    }

    /// Returns whether it names this file: as it is, or by its end.
    pub(super) fn names_path(&self, path: &str) -> bool {
        let of_input = PATH_KEYS.iter().filter_map(|key| self.input.as_ref()?.get(*key)?.as_str().map(str::to_owned));
        self.paths()
            .into_iter()
            .chain(of_input)
            .any(|named| path == named || path.strip_suffix(named.as_str()).is_some_and(|folder| folder.ends_with('/')))
    }

    /// The files whose new text it shows, with that.
    pub(super) fn new_texts(&self) -> Vec<(String, String)> {
        let blocks = self.content.as_ref().and_then(Json::as_array).into_iter().flatten();
        let diffs = blocks.filter(|block| word(block, "type") == "diff");
        diffs.map(|block| (word(block, "path").to_owned(), word(block, "newText").to_owned())).collect()
    }

    pub(super) fn has_failed_terminal(&self, terminals: &ClientTerminals) -> bool {
        let mut blocks = self.content.as_ref().and_then(Json::as_array).into_iter().flatten();
        blocks.any(|block| word(block, "type") == "terminal" && terminals.has_failed(word(block, "terminalId")))
    }

    /// What the call gave, or shows, as text.
    pub(super) fn content_text(&self, terminals: &ClientTerminals) -> String {
        let blocks = self.content.as_ref().and_then(Json::as_array).into_iter().flatten();
        let texts = blocks.map(|block| match word(block, "type") {
            "content" => block.get("content").map(block_text).unwrap_or_default(),
            "diff" => unified_diff(word(block, "path"), word(block, "oldText"), word(block, "newText")),
            "terminal" => {
                let terminal = word(block, "terminalId");
                terminals.output(terminal).map_or_else(|| format!("[terminal {terminal}]"), str::to_owned)
            }
            other => format!("[{other}]"),
        });
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
    }

    /// Adds to what it printed.
    pub(super) fn push_told_output(&mut self, piece: &str) {
        let room = MAX_TOLD_OUTPUT_BYTES.saturating_sub(self.told_output.len());
        self.told_output.push_str(piece.get(..piece.floor_char_boundary(room)).unwrap_or_default());
    }

    /// The output at the end of the call: its content, or the raw output where there is none.
    pub(super) fn output(&self, raw: Option<&Json>, terminals: &ClientTerminals) -> String {
        let text = self.content_text(terminals);
        if !text.is_empty() {
            return text;
        }
        if !self.told_output.is_empty() {
            return self.told_output.clone();
        }
        let Some(raw) = raw else { return text };
        let of_key = |key: &str| raw.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        match raw.as_str().or_else(|| ["output", "error", "message"].into_iter().find_map(of_key)) {
            Some(text) => text.to_owned(),
            None if is_empty(raw) => String::new(),
            None => raw.to_string(),
        }
    }
}

/// A block of content as text; what is no text is named.
pub(super) fn block_text(block: &Json) -> String {
    match word(block, "type") {
        "text" => word(block, "text").to_owned(),
        "resource_link" => format!("[{}]({})", word(block, "name"), word(block, "uri")),
        "resource" => {
            let resource = block.get("resource").unwrap_or(&Json::Null);
            match word(resource, "text") {
                "" => format!("[resource {}]", word(resource, "uri")),
                text => text.to_owned(),
            }
        }
        other => format!("[{other}]"),
    }
}

/// The name of the tool: some say it apart, some as the first title; else its kind has to do.
fn first_name(named: &str, title: &str, kind: &str) -> String {
    let is_name = |text: &&str| {
        !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
    };
    let name = [named, title, kind].into_iter().find(is_name);
    name.unwrap_or("tool").to_owned()
}

fn is_empty(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Object(object) => object.is_empty(),
        Json::Array(list) => list.is_empty(),
        Json::String(text) => text.is_empty(),
        Json::Bool(_) | Json::Number(_) => false,
    }
}

/// Returns whether arguments hold more than the subject.
fn says_more(input: &Json, subject: &str) -> bool {
    let Some(object) = input.as_object() else { return true };
    object.values().any(|value| plain_text(value).is_none_or(|text| text != subject))
}

/// A string, or a list of words as a command line.
fn plain_text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) if !text.is_empty() => Some(text.clone()),
        Json::Array(words) => {
            let words: Option<Vec<&str>> = words.iter().map(Json::as_str).collect();
            words.filter(|words| !words.is_empty()).map(|words| words.join(" "))
        }
        _ => None,
    }
}
