//! PURE. Finds the calls in what a model writes. Models write them in several ways: between tags, behind a mark, in a
//! fence, or as a message that is only JSON. What turns out to be none stays text.

use serde_json::{Value, json};

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    Text(String),
    Call { name: String, args: Value },
}

/// How a call begins and ends; one without an end takes the rest of the message.
struct Bracket {
    begin: &'static str,
    end: Option<&'static str>,
    /// Only at the start of a message.
    only_first: bool,
}

const BRACKETS: &[Bracket] = &[
    Bracket { begin: "<tool_call>", end: Some("</tool_call>"), only_first: false },
    Bracket { begin: "<|tool_call|>", end: Some("<|/tool_call|>"), only_first: false },
    Bracket { begin: "<|python_tag|>", end: None, only_first: false },
    Bracket { begin: "<function_call>", end: Some("</function_call>"), only_first: false },
    Bracket { begin: "[TOOL_CALLS]", end: None, only_first: false },
    Bracket { begin: "functools[", end: None, only_first: false },
    Bracket { begin: "```tool_code\n", end: Some("```"), only_first: false },
    Bracket { begin: "```tool_call\n", end: Some("```"), only_first: false },
    Bracket { begin: "```json\n", end: Some("```"), only_first: true },
    Bracket { begin: "{", end: None, only_first: true },
    Bracket { begin: "[{", end: None, only_first: true },
];
/// A text in a bracket that is longer is no call.
const MAX_CALL_BYTES: usize = 256 * 1024;

/// Reads the pieces of one message.
pub(super) struct CallReader {
    names: Vec<String>,
    /// What may still become the begin of a bracket, or is inside one.
    held: String,
    inside: Option<&'static Bracket>,
    is_at_start: bool,
}

impl CallReader {
    /// Reads calls of these tools; without any, everything is text.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names, held: String::new(), inside: None, is_at_start: true }
    }

    pub(super) fn push(&mut self, piece: &str, out: &mut Vec<Written>) {
        if self.names.is_empty() {
            push_text(piece, out);
            return;
        }
        self.held.push_str(piece);
        while self.advance(out) {}
    }

    /// Ends the message.
    pub(super) fn finish(&mut self, out: &mut Vec<Written>) {
        if let Some(bracket) = self.inside.take() {
            let body = std::mem::take(&mut self.held);
            self.close(bracket, &body, "", out);
        }
        push_text(&std::mem::take(&mut self.held), out);
    }

    /// Takes a step; returns whether there may be another.
    fn advance(&mut self, out: &mut Vec<Written>) -> bool {
        if let Some(bracket) = self.inside {
            let found = bracket.end.and_then(|end| Some((self.held.find(end)?, end)));
            if let Some((at, end)) = found {
                let rest = self.held.split_off(at + end.len());
                let mut body = std::mem::replace(&mut self.held, rest);
                body.truncate(at);
                self.inside = None;
                self.close(bracket, &body, end, out);
                return true;
            }
            if self.held.len() > MAX_CALL_BYTES {
                self.inside = None;
                push_text(bracket.begin, out);
                push_text(&std::mem::take(&mut self.held), out);
            }
            return false;
        }
        if self.is_at_start {
            let blank = self.held.len() - self.held.trim_start().len();
            if blank == self.held.len() {
                return false;
            }
            // Blanks before a call are nobody's text; before words they stay.
            if let Some(bracket) = BRACKETS.iter().find(|bracket| self.held.trim_start().starts_with(bracket.begin)) {
                self.held.drain(..blank + bracket.begin.len());
                self.inside = Some(bracket);
                self.is_at_start = false;
                return true;
            }
            if BRACKETS.iter().any(|bracket| bracket.begin.starts_with(self.held.trim_start())) {
                return false;
            }
            self.is_at_start = false;
        }
        let usable = || BRACKETS.iter().filter(|bracket| !bracket.only_first);
        let first = usable().filter_map(|bracket| Some((self.held.find(bracket.begin)?, bracket))).min_by_key(|f| f.0);
        if let Some((at, bracket)) = first {
            let rest = self.held.split_off(at + bracket.begin.len());
            let mut text = std::mem::replace(&mut self.held, rest);
            text.truncate(at);
            push_text(&text, out);
            self.inside = Some(bracket);
            return true;
        }
        let is_begin = |at: &usize| {
            let rest = self.held.get(*at..).unwrap_or_default();
            usable().any(|bracket| bracket.begin.starts_with(rest))
        };
        let keep = self.held.char_indices().rev().take(16).map(|(at, _)| at).filter(is_begin).last();
        let rest = self.held.split_off(keep.unwrap_or(self.held.len()));
        push_text(&std::mem::replace(&mut self.held, rest), out);
        false
    }

    fn close(&self, bracket: &Bracket, body: &str, end: &str, out: &mut Vec<Written>) {
        let whole = match bracket.begin {
            "{" | "[{" => format!("{}{body}", bracket.begin),
            "functools[" => format!("[{body}"),
            _ => body.to_owned(),
        };
        let calls = self.calls_in(whole.trim());
        if calls.is_empty() {
            push_text(&format!("{}{body}{end}", bracket.begin), out);
        }
        out.extend(calls);
    }

    /// Returns the calls, if the text is nothing but calls of known tools.
    fn calls_in(&self, text: &str) -> Vec<Written> {
        let text = text.trim_end_matches(';').trim();
        let mut values = Vec::new();
        let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let mut end = 0;
        while let Some(Ok(value)) = stream.next() {
            end = stream.byte_offset();
            match value {
                Value::Array(list) => values.extend(list),
                value => values.push(value),
            }
            if text.get(end..).unwrap_or_default().trim_start().starts_with(';') {
                break;
            }
        }
        let rest = text.get(end..).unwrap_or_default().trim_start_matches([';', ' ', '\n', '}']);
        if values.is_empty() {
            return python_call(text, &self.names).into_iter().collect();
        }
        let mut calls: Vec<Written> = Vec::new();
        for value in &values {
            match self.call_of(value) {
                Some(call) => calls.push(call),
                None => return Vec::new(),
            }
        }
        if !rest.is_empty() {
            let more = self.calls_in(rest);
            if more.is_empty() {
                return Vec::new();
            }
            calls.extend(more);
        }
        calls
    }

    fn call_of(&self, value: &Value) -> Option<Written> {
        let function = value.get("function").filter(|function| function.is_object()).unwrap_or(value);
        let name = function.get("name").or_else(|| function.get("function"))?.as_str()?;
        let args = ["arguments", "parameters", "args"].iter().find_map(|key| function.get(*key));
        let args = match args {
            Some(Value::String(text)) => serde_json::from_str(text).ok()?,
            Some(args) => args.clone(),
            None => json!({}),
        };
        // A name that no tool has is the model's mistake, which it is told; a person's JSON has no arguments.
        let is_call = self.names.iter().any(|known| known == name) || function.get("arguments").is_some();
        (is_call && args.is_object()).then(|| Written::Call { name: name.to_owned(), args })
    }
}

/// Reads `name(key="value", other=3)`, as Gemma and Llama's `python_tag` write a call.
fn python_call(text: &str, names: &[String]) -> Option<Written> {
    let text = text.trim().trim_start_matches("print(default_api.").trim_start_matches("default_api.");
    let (name, rest) = text.split_once('(')?;
    let name = name.trim().trim_end_matches(".call");
    if !names.iter().any(|known| known == name) {
        return None;
    }
    let inner = rest.trim_end().trim_end_matches(')');
    let mut args = serde_json::Map::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=')?;
        let (value, after) = python_value(value.trim_start())?;
        args.insert(key.trim().to_owned(), value);
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    Some(Written::Call { name: name.to_owned(), args: Value::Object(args) })
}

/// Reads a value as Python writes it, and returns it with what stands behind it.
fn python_value(text: &str) -> Option<(Value, &str)> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        return python_string(text, quote);
    }
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    if let Some(Ok(read)) = stream.next() {
        return Some((read, text.get(stream.byte_offset()..)?));
    }
    let (word, after) = text.split_at(text.find(',').unwrap_or(text.len()));
    let value = match word.trim() {
        "True" => Value::Bool(true),
        "False" => Value::Bool(false),
        "None" => Value::Null,
        _ => return None,
    };
    Some((value, after))
}

fn python_string(text: &str, quote: char) -> Option<(Value, &str)> {
    let mut read = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next()?.1 {
                'n' => read.push('\n'),
                't' => read.push('\t'),
                escaped @ ('\\' | '\'' | '"') => read.push(escaped),
                other => read.extend(['\\', other]),
            },
            c if c == quote => return Some((Value::String(read), text.get(at + 1..)?)),
            c => read.push(c),
        }
    }
    None
}

fn push_text(text: &str, out: &mut Vec<Written>) {
    match out.last_mut() {
        _ if text.is_empty() => {}
        Some(Written::Text(last)) => last.push_str(text),
        _ => out.push(Written::Text(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
