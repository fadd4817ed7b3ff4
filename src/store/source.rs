//! What an item was made of: the text that is searched, copied and shown raw, never what a screen made of it.
//!
//! Not cleaned; whoever shows it does that. The invariant: a field of an item is a function of the item and its call.

use std::borrow::Cow;

use serde_json::Value;

use super::tools::{Call, ToolBoard};
use super::transcript::{Item, Kind};

/// A text of an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// What was said; of a call its name and the words of its arguments.
    #[default]
    Text,
    /// What a call asked for, where that is more than a line.
    Detail,
    /// What a call gave.
    Output,
}

impl Field {
    pub const ALL: [Self; 3] = [Self::Text, Self::Detail, Self::Output];
}

/// An argument longer than this is content, which the detail shows, and no word about the call.
const WORD: usize = 500;

/// Returns a text of an item; empty where it has none.
pub fn field<'a>(item: &'a Item, tools: &'a ToolBoard, field: Field) -> Cow<'a, str> {
    match (&item.kind, field) {
        (
            Kind::Prompt { text } | Kind::Answer { text, .. } | Kind::Thinking { text, .. } | Kind::Notice { text, .. },
            Field::Text,
        ) => Cow::Borrowed(text),
        (Kind::Call { call }, _) => tools.get(call).map_or(Cow::Borrowed(""), |call| match field {
            Field::Text => Cow::Owned(headline(call)),
            Field::Detail => Cow::Borrowed(detail(call)),
            Field::Output => Cow::Borrowed(&call.output),
        }),
        _ => Cow::Borrowed(""),
    }
}

/// Returns the whole source of an item, as it is copied and shown raw.
pub fn whole<'a>(item: &'a Item, tools: &'a ToolBoard) -> Cow<'a, str> {
    let Kind::Call { call } = &item.kind else { return field(item, tools, Field::Text) };
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
pub fn bytes(item: &Item, tools: &ToolBoard) -> usize {
    match &item.kind {
        Kind::Call { call } => {
            tools.get(call).map_or(0, |call| call.args.len() + detail(call).len() + call.output.len())
        }
        _ => field(item, tools, Field::Text).len(),
    }
}

/// One line is in the headline already.
fn detail(call: &Call) -> &str {
    let detail = call.ask.as_ref().map_or("", |ask| ask.detail.as_str());
    if detail.trim_end().contains('\n') { detail } else { "" }
}

fn headline(call: &Call) -> String {
    let mut text = call.name.clone();
    if let Ok(value) = serde_json::from_str::<Value>(&call.args) {
        words(&value, &mut text);
    } else {
        // Still being written, or none at all.
        text.push(' ');
        text.push_str(&call.args[..call.args.floor_char_boundary(WORD)]);
    }
    text
}

fn words(value: &Value, out: &mut String) {
    match value {
        Value::String(word) if word.len() <= WORD => {
            out.push('\n');
            out.push_str(word);
        }
        Value::Array(values) => values.iter().for_each(|value| words(value, out)),
        Value::Object(values) => values.values().for_each(|value| words(value, out)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
