//! What an item was made of: the text that is searched, copied and shown raw, never what a screen made of it.
//!
//! Not cleaned; whoever shows it does that. The invariant: a field of an item is a function of the item and its call.

use std::borrow::Cow;

use serde_json::Value;

use super::tool_calls::{ToolCall, ToolCalls};
use super::transcript::{ItemKind, TranscriptItem};

/// A text of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemField {
    /// What was said; of a call its name and the words of its arguments.
    #[default]
    Text,
    /// What a call asked for, where that is more than a line.
    Detail,
    /// What a call gave.
    Output,
}

impl ItemField {
    pub const ALL: [Self; 3] = [Self::Text, Self::Detail, Self::Output];
}

/// An argument longer than this is content, which the detail shows, and no word about the call.
const MAX_WORD_BYTES: usize = 500;

/// Returns a text of an item; empty where it has none.
pub fn field_text<'a>(item: TranscriptItem<'a>, tools: &'a ToolCalls, field: ItemField) -> Cow<'a, str> {
    match (item.kind, field) {
        (ItemKind::Call { call }, _) => tools.get(call).map_or(Cow::Borrowed(""), |call| match field {
            ItemField::Text => Cow::Owned(headline(call)),
            ItemField::Detail => Cow::Borrowed(detail(call)),
            ItemField::Output => Cow::Borrowed(&call.output),
        }),
        (kind, ItemField::Text) => Cow::Borrowed(kind.text()),
        (_, ItemField::Detail | ItemField::Output) => Cow::Borrowed(""),
    }
}

/// Returns the whole source of an item, as it is copied and shown raw.
pub fn full_text<'a>(item: TranscriptItem<'a>, tools: &'a ToolCalls) -> Cow<'a, str> {
    let ItemKind::Call { call } = item.kind else { return field_text(item, tools, ItemField::Text) };
    let Some(call) = tools.get(call) else { return Cow::Borrowed("") };
    let mut text = format!("{} {}\n", call.name, call.args);
    for part in [detail(call), &call.output] {
        if !part.is_empty() {
            text.push('\n');
            text.push_str(part);
            if !part.ends_with('\n') {
                text.push('\n');
            }
        }
    }
    Cow::Owned(text)
}

/// Returns the bytes of an item's source without making it.
pub fn byte_len(item: TranscriptItem<'_>, tools: &ToolCalls) -> usize {
    match item.kind {
        ItemKind::Call { call } => {
            tools.get(call).map_or(0, |call| call.args.len() + detail(call).len() + call.output.len())
        }
        _ => field_text(item, tools, ItemField::Text).len(),
    }
}

/// One line is in the headline already.
fn detail(call: &ToolCall) -> &str {
    let detail = call.approval_request().map_or("", |ask| ask.detail.as_str());
    if detail.trim_end().contains('\n') { detail } else { "" }
}

fn headline(call: &ToolCall) -> String {
    let mut text = call.name.to_string();
    if let Ok(value) = serde_json::from_str::<Value>(&call.args) {
        collect_words(&value, &mut text);
    } else {
        // Still being written, or none at all.
        text.push(' ');
        text.push_str(&call.args[..call.args.floor_char_boundary(MAX_WORD_BYTES)]);
    }
    text
}

fn collect_words(value: &Value, out: &mut String) {
    match value {
        Value::String(word) if word.len() <= MAX_WORD_BYTES => {
            out.push('\n');
            out.push_str(word);
        }
        Value::Array(values) => values.iter().for_each(|value| collect_words(value, out)),
        Value::Object(values) => values.values().for_each(|value| collect_words(value, out)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
