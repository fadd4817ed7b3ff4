//! What a call is about beyond its headline, from its arguments: a diff, a script, a file's text. And JSON that was
//! returned, laid out.
//!
//! Not for asks, which bring a detail of their own. The invariant: what is shown is what the arguments say, bounded in
//! bytes, and numbers and strings stay as they are written.

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::event::CallOutcome;
use crate::store::tool_calls::{CallState, ToolCall};
use crate::ui::markdown::syntax::Syntax;

/// Arguments and outputs that are longer are not looked into.
const MAX_PARSED_BYTES: usize = 128 * 1024;
/// Longer texts are compared by nobody: what went and what came stand below each other.
const MAX_DIFFED_BYTES: usize = 16 * 1024;

const COMMAND_KEYS: [&str; 4] = ["command", "cmd", "script", "code"];
const OLD_TEXT_KEYS: [&str; 4] = ["old_string", "old_str", "old_text", "old"];
const NEW_TEXT_KEYS: [&str; 4] = ["new_string", "new_str", "new_text", "new"];
const PATCH_KEYS: [&str; 3] = ["patch", "diff", "unified_diff"];
const CONTENT_KEYS: [&str; 5] = ["content", "contents", "file_text", "new_content", "text"];
const PATH_KEYS: [&str; 5] = ["path", "file_path", "file", "filename", "target_file"];

/// Text, and what it is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ui::panes) struct CallPreview {
    pub(in crate::ui::panes) text: String,
    pub(in crate::ui::panes) syntax: Syntax,
}

/// Returns what to show of a call's arguments below its headline, where that many cells are free.
pub(in crate::ui::panes) fn call_preview(call: &ToolCall, room: usize) -> Option<CallPreview> {
    if call.state == CallState::Writing || call.args.len() > MAX_PARSED_BYTES {
        return None;
    }
    let Ok(Value::Object(args)) = serde_json::from_str::<Value>(&call.args) else { return None };
    let text = |names: &[&str]| names.iter().find_map(|name| args.get(*name).and_then(Value::as_str));
    let of = |text: String, label: &str| Some(CallPreview { text, syntax: Syntax::named(label) });
    if let Some(patch) = text(&PATCH_KEYS) {
        return of(patch.to_owned(), "diff");
    }
    if let Some(diff) = edit_diff(&args) {
        return of(diff, "diff");
    }
    if let Some(Value::Array(edits)) = args.get("edits") {
        let changes: Vec<String> = edits.iter().filter_map(|edit| edit_diff(edit.as_object()?)).collect();
        if !changes.is_empty() {
            return of(changes.join("\n"), "diff");
        }
    }
    if let Some(command) = text(&COMMAND_KEYS)
        && command.trim_end().contains('\n')
    {
        let label = if call.name.contains("python") || args.contains_key("code") { "python" } else { "sh" };
        return of(command.to_owned(), label);
    }
    let path = text(&PATH_KEYS);
    if let (Some(path), Some(content)) = (path, text(&CONTENT_KEYS)) {
        return of(content.to_owned(), path.rsplit(['/', '\\']).next().unwrap_or(path));
    }
    let nested = args.values().any(|value| value.is_object() || value.as_array().is_some_and(|all| !all.is_empty()));
    let told = super::super::subject::has_subject_argument(&args);
    (nested && !told).then(|| CallPreview { text: pretty_json(&call.args, room), syntax: Syntax::named("json") })
}

/// A change of a file that a call made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::ui::panes) struct FileChange {
    /// As the agent names it.
    pub(in crate::ui::panes) path: String,
    /// Lines of a unified diff.
    pub(in crate::ui::panes) diff: String,
}

/// Returns what a call changed in a file, once it did: as its result says, else as it was asked about, else as its
/// arguments say. A command changes what nobody can tell.
pub(in crate::ui::panes) fn file_change(call: &ToolCall) -> Option<FileChange> {
    if call.state != CallState::Done(CallOutcome::Ok) || call.args.len() > MAX_PARSED_BYTES {
        return None;
    }
    let args = serde_json::from_str::<Value>(&call.args).ok();
    let empty = Map::new();
    let args = args.as_ref().and_then(Value::as_object).unwrap_or(&empty);
    let text = |names: &[&str]| names.iter().find_map(|name| args.get(*name).and_then(Value::as_str));
    if text(&COMMAND_KEYS).is_some() {
        return None;
    }
    let asked = call.approval_request().filter(|ask| is_unified(&ask.detail));
    let path = text(&PATH_KEYS).or(asked.map(|ask| ask.subject.as_str()));
    let diff = diff_in(&call.output).map(str::to_owned);
    let diff = diff.or_else(|| asked.map(|ask| ask.detail.clone())).or_else(|| {
        let preview = call_preview(call, usize::MAX)?;
        if preview.syntax == Syntax::named("diff") {
            return Some(preview.text);
        }
        // A whole file that was written: all of it is new to whoever has no other text of it.
        let content = text(&CONTENT_KEYS)?;
        let begin = format!("@@ -0,0 +1,{} @@\n", content.lines().count());
        Some(content.lines().fold(begin, |diff, line| diff + "+" + line + "\n"))
    })?;
    let named = diff.lines().find_map(|line| line.strip_prefix("+++ ")).map(|name| name.trim_start_matches("b/"));
    let path = path.or(named)?.to_owned();
    Some(FileChange { path, diff })
}

fn is_unified(text: &str) -> bool {
    text.starts_with("@@ ") || text.contains("\n@@ ")
}

/// Returns the diff of what was done in a result: of one that was taken in part, that part.
fn diff_in(output: &str) -> Option<&str> {
    let (done, _) = output.split_once("\nnot applied:").unwrap_or((output, ""));
    let begins = |line: &str| line.starts_with("--- ") || line.starts_with("diff --git") || line.starts_with("@@ ");
    let mut at = 0;
    for line in done.split_inclusive('\n') {
        if begins(line) {
            return done.get(at..).filter(|diff| is_unified(diff));
        }
        at += line.len();
    }
    None
}

/// Returns what an edit changes as a diff.
fn edit_diff(args: &Map<String, Value>) -> Option<String> {
    let text = |names: &[&str]| names.iter().find_map(|name| args.get(*name).and_then(Value::as_str));
    let (before, after) = (text(&OLD_TEXT_KEYS)?, text(&NEW_TEXT_KEYS)?);
    if before.len() + after.len() > MAX_DIFFED_BYTES {
        let marked = |mark: &str, text: &str| -> String { text.lines().flat_map(|line| [mark, line, "\n"]).collect() };
        return Some(marked("-", before) + &marked("+", after));
    }
    let diff = similar::TextDiff::from_lines(before, after);
    let mut out = String::new();
    for (nth, group) in diff.grouped_ops(3).iter().enumerate() {
        if nth > 0 {
            out.push_str("@@\n");
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let mark = match change.tag() {
                similar::ChangeTag::Delete => '-',
                similar::ChangeTag::Insert => '+',
                similar::ChangeTag::Equal => ' ',
            };
            out.push(mark);
            out.push_str(change.value().trim_end_matches('\n'));
            out.push('\n');
        }
    }
    Some(out)
}

/// Returns whether an output is JSON worth laying out.
pub(in crate::ui::panes) fn is_json(output: &str) -> bool {
    let output = output.trim();
    let looks =
        (output.starts_with('{') && output.ends_with('}')) || (output.starts_with('[') && output.ends_with(']'));
    // What has lines of its own is laid out already.
    looks
        && output.len() <= MAX_PARSED_BYTES
        && !output.contains('\n')
        && serde_json::from_str::<IgnoredAny>(output).is_ok()
}

/// Lists and objects that take no more than this stand on one line, where there is room.
const MAX_ONE_LINE_CELLS: usize = 60;

/// Returns JSON laid out: what is short on one line, of the rest each value on its own. Only white space between values
/// is touched.
pub(in crate::ui::panes) fn pretty_json(json: &str, room: usize) -> String {
    let json = json.trim();
    let mut lengths = compact_lengths(json).into_iter();
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0usize;
    // Inside how many brackets of a line that holds them all.
    let mut inline = 0usize;
    let (mut quoted, mut escaped) = (false, false);
    let mut start = 0;
    let line = |out: &mut String, start: &mut usize, depth: usize| {
        out.push('\n');
        *start = out.len();
        out.extend(std::iter::repeat_n("  ", depth.min(40)));
    };
    for c in json.chars() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            continue;
        }
        match c {
            '"' => {
                quoted = true;
                out.push(c);
            }
            '{' | '[' => {
                let length = lengths.next().unwrap_or(0);
                out.push(c);
                let fits = length <= MAX_ONE_LINE_CELLS && out.len() - start + length <= room;
                if inline > 0 || length <= 2 || fits {
                    inline += 1;
                } else {
                    depth += 1;
                    line(&mut out, &mut start, depth);
                }
            }
            '}' | ']' => {
                if inline > 0 {
                    inline -= 1;
                } else {
                    depth = depth.saturating_sub(1);
                    line(&mut out, &mut start, depth);
                }
                out.push(c);
            }
            ',' if inline > 0 => out.push_str(", "),
            ',' => {
                out.push(c);
                line(&mut out, &mut start, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// Returns for each opening bracket, in order, how long it is on one line up to its closing one.
fn compact_lengths(json: &str) -> Vec<usize> {
    let (mut lengths, mut open) = (Vec::new(), Vec::new());
    let (mut quoted, mut escaped) = (false, false);
    let mut at = 0usize;
    for c in json.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
            at += 1;
            continue;
        }
        match c {
            c if c.is_whitespace() => continue,
            '"' => quoted = true,
            '{' | '[' => {
                open.push((lengths.len(), at));
                lengths.push(usize::MAX / 2);
            }
            '}' | ']' => {
                if let Some((nth, start)) = open.pop()
                    && let Some(length) = lengths.get_mut(nth)
                {
                    *length = at + 1 - start;
                }
            }
            ',' | ':' => at += 1,
            _ => {}
        }
        at += 1;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, args: &str) -> ToolCall {
        ToolCall::running(name, args)
    }

    #[test]
    fn arguments_tell_what_a_call_is_about() {
        let cases = [
            ("edit", r#"{"path":"a.rs","old_string":"a\nb\n","new_string":"a\nc\n"}"#, Some((" a\n-b\n+c\n", "diff"))),
            ("edit", r#"{"path":"a","edits":[{"old":"x","new":"y"}]}"#, Some(("-x\n+y\n", "diff"))),
            ("write_file", r#"{"path":"src/a.rs","content":"fn a() {}\n"}"#, Some(("fn a() {}\n", "rust"))),
            ("shell", r#"{"command":"cd x\nls"}"#, Some(("cd x\nls", "sh"))),
            ("python", r#"{"code":"a = 1\nb"}"#, Some(("a = 1\nb", "python"))),
            ("shell", r#"{"command":"ls"}"#, None),
            ("apply_patch", r#"{"patch":"@@\n-a\n"}"#, Some(("@@\n-a\n", "diff"))),
            ("plan", r#"{"steps":[{"a":1}]}"#, Some(("{\"steps\": [{\"a\": 1}]}", "json"))),
            ("find", r#"{"query":"x","filters":["a"]}"#, None),
            ("x", "not json", None),
            ("x", "{}", None),
        ];
        for (name, args, expected) in cases {
            let expected =
                expected.map(|(text, label)| CallPreview { text: text.to_owned(), syntax: Syntax::named(label) });
            assert_eq!(call_preview(&call(name, args), 80), expected, "{name} {args}");
        }
        let mut writing = call("shell", r#"{"command":"cd x\nls"}"#);
        writing.state = CallState::Writing;
        assert_eq!(call_preview(&writing, 80), None);
    }

    #[test]
    fn json_is_laid_out_and_nothing_in_it_changes() {
        assert_eq!(
            pretty_json(r#"{"a":[1.0,12345678901234567890123,"x, \"y\": {"],"b":{},"c":[ ]}"#, 80),
            "{\n  \"a\": [1.0, 12345678901234567890123, \"x, \\\"y\\\": {\"],\n  \"b\": {},\n  \"c\": []\n}"
        );
        assert!(is_json("[1, 2]\n") && !is_json("[x]") && !is_json("{\n}") && !is_json("12") && !is_json(""));
        let nested = pretty_json(
            &format!("[{},{{\"a\":1}}]", "\"long enough for a line\",".repeat(3).trim_end_matches(',')),
            80,
        );
        assert!(nested.ends_with("line\",\n  {\"a\": 1}\n]"), "{nested}");
        assert_eq!(pretty_json(r#"{"a":[1,2]}"#, 8), "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
        pretty_json(&"[".repeat(100_000), 80);
    }
}
