//! What a call is about, in a few words: for its line in the transcript and in the tool panel.
//!
//! Comes from the ask, or from the arguments by name, and is never raw JSON where that can be helped. Not cleaned, for
//! whoever draws it does that; but while a person has to decide, hidden characters are made visible here.

use serde_json::Value;

use crate::store::sub_agents::SubAgent;
use crate::store::tool_calls::{CallState, ToolCall};
use crate::text::width::truncate_with_ellipsis;
use crate::text::{one_line, short_path, visible_line};
use crate::ui::format::count;

/// Names of arguments that say what a call is about, the most telling first.
const SUBJECT_KEYS: [&str; 14] = [
    "command",
    "cmd",
    "pattern",
    "query",
    "path",
    "file_path",
    "file",
    "filename",
    "url",
    "expression",
    "prompt",
    "text",
    "name",
    "input",
];
/// How much of unfinished or huge arguments is searched for a subject.
const MAX_PEEK_BYTES: usize = 4096;

/// Returns the subject of a call; not cleaned, and cut where no screen could show it.
pub(super) fn subject(call: &ToolCall) -> String {
    let mut text = raw(call);
    text.truncate(text.floor_char_boundary(MAX_PEEK_BYTES));
    if call.state == CallState::AwaitingApproval { visible_line(&text).into_owned() } else { text }
}

/// Returns the subject of a call on one line of at most `max` cells, cleaned; of a path the name stays.
pub fn short_subject(call: &ToolCall, max: usize) -> String {
    let line = one_line(&subject(call), MAX_PEEK_BYTES);
    let is_path = line.contains('/') && !line.contains("://") && !line.contains(char::is_whitespace);
    if is_path { short_path(&line, max).into_owned() } else { truncate_with_ellipsis(&line, max).into_owned() }
}

/// Says what a sub-agent did so far: calls and tokens.
pub(super) fn work_done(agent: &SubAgent) -> String {
    let tokens = agent.tokens();
    let about = if tokens.is_estimated { "~" } else { "" };
    let calls = match agent.call_count {
        1 => "1 call".to_owned(),
        calls => format!("{} calls", count(u64::from(calls))),
    };
    format!("{calls} · {about}{} tokens", count(tokens.count))
}

fn raw(call: &ToolCall) -> String {
    if let Some(ask) = call.approval_request()
        && !ask.subject.is_empty()
    {
        return ask.subject.clone();
    }
    let parsed =
        if call.args.len() <= MAX_PEEK_BYTES * 16 { serde_json::from_str::<Value>(&call.args).ok() } else { None };
    let Some(Value::Object(args)) = parsed else {
        let head = call.args.get(..call.args.floor_char_boundary(MAX_PEEK_BYTES)).unwrap_or("");
        return SUBJECT_KEYS.iter().find_map(|name| peek(head, name)).unwrap_or_default();
    };
    let text = |name: &str| args.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let found = SUBJECT_KEYS.iter().find_map(|name| Some((*name, text(name)?)));
    match found {
        Some(("pattern" | "query", what)) => match text("path") {
            Some(path) if path != "." => format!("{what} in {path}"),
            _ => what.to_owned(),
        },
        Some((_, what)) => what.to_owned(),
        None => args
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) => format!("{name}: {text}"),
                Value::Object(fields) => {
                    let names: Vec<&str> = fields.keys().take(8).map(String::as_str).collect();
                    format!("{name}: {{{}}}", names.join(", "))
                }
                Value::Array(all) if !all.is_empty() => format!("{name}: [{}]", all.len()),
                other => format!("{name}: {other}"),
            })
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// Returns whether the subject is one argument that says it all.
pub(super) fn has_subject_argument(args: &serde_json::Map<String, Value>) -> bool {
    SUBJECT_KEYS.iter().any(|name| args.get(*name).and_then(Value::as_str).is_some_and(|text| !text.is_empty()))
}

/// Finds a string argument in JSON that isn't complete yet.
fn peek(json: &str, name: &str) -> Option<String> {
    let after = json.split_once(&format!("\"{name}\""))?.1.trim_start().strip_prefix(':')?.trim_start();
    let mut chars = after.strip_prefix('"')?.chars();
    let mut found = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next()? {
                'n' | 't' | 'r' => found.push(' '),
                other => found.push(other),
            },
            c => found.push(c),
        }
    }
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(args: &str) -> ToolCall {
        ToolCall::running("shell", args)
    }

    #[test]
    fn the_subject_is_taken_from_the_arguments() {
        let cases = [
            (r#"{"command":"ls -la"}"#, "ls -la"),
            (r#"{"path":"src","pattern":"fn main"}"#, "fn main in src"),
            (r#"{"path":"a.txt","content":"long"}"#, "a.txt"),
            (r#"{"timezone":"UTC","n":3}"#, "timezone: UTC, n: 3"),
            (r#"{"where":{"city":"x","at":1},"days":[1,2]}"#, "where: {city, at}, days: [2]"),
            (r#"{"path": "src/ma"#, "src/ma"),
            (r#"{"command":"say \"hi"#, "say \"hi"),
            ("{}", ""),
            ("not json", ""),
            ("", ""),
        ];
        for (args, expected) in cases {
            assert_eq!(subject(&call(args)), expected, "{args}");
        }
    }

    #[test]
    fn nothing_is_hidden_while_a_person_decides() {
        let mut call = call("{\"command\":\"rm \\u202e\\u001b[8m-rf\\u200b /\"}");
        call.state = CallState::AwaitingApproval;
        assert_eq!(subject(&call), "rm \\u{202e}␛[8m-rf\\u{200b} /");
    }
}
