//! PURE. Results of tools, reported in Markdown.
//!
//! Long output is shortened here: the tool panel has all of it. Output is quoted in code or in a block quote, so that
//! nothing in it can pass for the engine's own words. An outcome other than ok comes first and with its reason.

use std::fmt::Write as _;

use crate::event::{CallOutcome, Json};

/// Limits for the quote of one output.
const MAX_QUOTED_LINES: usize = 40;
const MAX_QUOTED_BYTES: usize = 6000;

/// A call and its result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FinishedCall {
    pub(super) tool: String,
    pub(super) args: Json,
    pub(super) output: String,
    pub(super) outcome: CallOutcome,
}

impl FinishedCall {
    fn arg(&self, name: &str) -> &str {
        self.args.get(name).and_then(Json::as_str).unwrap_or_default()
    }
}

/// Reports calls in the order in which they were made.
pub(super) fn report(calls: &[FinishedCall]) -> String {
    match calls {
        [] => String::new(),
        [one] => report_one(one),
        all if all
            .iter()
            .all(|one| one.tool == "calculator" && one.outcome == CallOutcome::Ok && is_line(&one.output)) =>
        {
            let mut table = "| expression | result |\n| --- | --- |\n".to_owned();
            for one in all {
                let _ = writeln!(
                    table,
                    "| {} | **{}** |",
                    cell(&inline_code(one.arg("expression"))),
                    cell(&escape_markdown(&one.output))
                );
            }
            table
        }
        all => all
            .iter()
            .enumerate()
            .map(|(at, one)| {
                let (title, body) = (subject(&one.tool, &one.args), report_one(one));
                // The title need not appear twice.
                let body = body.strip_prefix(&format!("{title}:\n\n")).unwrap_or(&body);
                format!("**{}. {title}**\n\n{}", at + 1, body.trim_end())
            })
            .collect::<Vec<_>>()
            .join("\n\n"),
    }
}

/// Returns the subject of a call, in a few words.
pub(super) fn subject(tool: &str, args: &Json) -> String {
    let arg = |name: &str| args.get(name).and_then(Json::as_str).unwrap_or_default();
    let path = || if arg("path").is_empty() { "this folder".to_owned() } else { inline_code(arg("path")) };
    match tool {
        "calculator" => inline_code(arg("expression")),
        "read_file" => format!("{}{}", path(), line_range(args)),
        "list_dir" => format!("Files in {}", path()),
        "search" => format!("Search for {}{}", searched_pattern(args), searched_place(args)),
        "write_file" => format!("Write {}", path()),
        "edit_file" => format!("Edit {}", path()),
        "shell" => inline_code(arg("command")),
        "fetch" => inline_code(arg("url")),
        "clock" if arg("zone").is_empty() => "Time".to_owned(),
        "clock" => format!("Time in {}", escape_markdown(arg("zone"))),
        other => inline_code(other),
    }
}

fn line_range(args: &Json) -> String {
    let number = |name: &str| args.get(name).and_then(Json::as_u64);
    match (number("offset"), number("limit")) {
        (Some(first), Some(1)) => format!(", line {first}"),
        (Some(first), Some(count)) => format!(", lines {first}–{}", first.saturating_add(count).saturating_sub(1)),
        (Some(first), None) => format!(", from line {first}"),
        (None, _) => String::new(),
    }
}

fn searched_pattern(args: &Json) -> String {
    inline_code(args.get("pattern").and_then(Json::as_str).unwrap_or_default())
}

fn searched_place(args: &Json) -> String {
    let arg = |name: &str| args.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    match (arg("path"), arg("glob")) {
        (Some(path), _) => format!(" in {}", inline_code(path)),
        (None, Some(glob)) => format!(" in {}", inline_code(glob)),
        (None, None) => String::new(),
    }
}

fn report_one(call: &FinishedCall) -> String {
    let subject = lowercase_first(&subject(&call.tool, &call.args));
    let tool = inline_code(&call.tool);
    let with = |sentence: String, lead: &str| match call.output.trim() {
        "" => format!("{sentence}.\n"),
        reason if is_line(reason) => format!("{sentence}{lead}\n\n> {}\n", escape_markdown_except_code(reason)),
        _ => format!("{sentence}{lead}\n\n{}", fenced("text", &call.output)),
    };
    match call.outcome {
        CallOutcome::Ok => report_success(call),
        CallOutcome::Failed if call.tool == "shell" => with(format!("{subject} **failed**"), ":"),
        CallOutcome::Failed => with(format!("{tool} **failed** on {subject}"), ":"),
        CallOutcome::Denied => {
            with(format!("**Denied**: {tool} on {subject} was not allowed, so it was not run"), ". The reason:")
        }
        CallOutcome::Cancelled => {
            with(format!("**Cancelled**: {tool} on {subject} was stopped before it finished"), ". Its output so far:")
        }
        CallOutcome::Requested => format!("{tool} on {subject} was requested, but **not run**.\n"),
        CallOutcome::Unknown => format!("**No result** came back from {tool} on {subject}.\n"),
    }
}

fn lowercase_first(subject: &str) -> String {
    let mut chars = subject.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}

fn report_success(call: &FinishedCall) -> String {
    let output = call.output.trim_end();
    match call.tool.as_str() {
        "calculator" if is_line(output) => {
            format!("{} = **{}**\n", inline_code(call.arg("expression")), escape_markdown(output))
        }
        "clock" => clock(output),
        "list_dir" => listing(call, output),
        "read_file" => file(call, output),
        "search" => matches(call, output),
        "write_file" if is_line(output) => {
            format!("Done: {}.\n", escape_markdown_except_code(output.trim_end_matches('.')))
        }
        "edit_file" => edited(output),
        "shell" => command(call, output),
        "fetch" => page(call, output),
        _ if output.trim().is_empty() => format!("{} finished without output.\n", inline_code(&call.tool)),
        _ => fenced("text", output),
    }
}

/// Lines such as `local: 2025-01-31 12:00:00 +01:00 (Friday, Europe/Berlin)`.
fn clock(output: &str) -> String {
    let fields: Vec<(&str, &str)> = output.lines().filter_map(|line| line.split_once(": ")).collect();
    if fields.len() < output.lines().count() || fields.is_empty() {
        return if is_line(output) {
            format!("It is **{}**.\n", escape_markdown(output))
        } else {
            fenced("text", output)
        };
    }
    let mut list = String::new();
    for (at, (zone, time)) in fields.iter().enumerate() {
        let (zone, time) = (escape_markdown(zone), escape_markdown(time));
        let _ = if at == 0 { writeln!(list, "- {zone}: **{time}**") } else { writeln!(list, "- {zone}: {time}") };
    }
    list
}

fn listing(call: &FinishedCall, output: &str) -> String {
    let at = if call.arg("path").is_empty() { "This folder".to_owned() } else { inline_code(call.arg("path")) };
    let entries: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    if entries.is_empty() || entries == ["(nothing here)"] {
        return format!("{at} is empty.\n");
    }
    let entry = |line: &&str| !line.starts_with('[');
    let folders = entries.iter().filter(|line| entry(line) && line.trim_end().ends_with('/')).count();
    let files = entries.iter().filter(|line| entry(line)).count() - folders;
    format!("{at} has {} and {}:\n\n{}", pluralize(folders, "folder"), pluralize(files, "file"), fenced("text", output))
}

fn file(call: &FinishedCall, output: &str) -> String {
    let path = call.arg("path");
    let title = format!("{}{}", inline_code(path), line_range(&call.args));
    if output.trim().is_empty() || output == "(the file is empty)" {
        return format!("{title} is empty.\n");
    }
    // The tool numbers the lines for models; a person reads them without.
    let (mut text, mut notes) = (String::new(), Vec::new());
    let numbered = output.lines().next().is_some_and(|line| strip_line_number(line).is_some());
    for line in output.lines() {
        match strip_line_number(line) {
            Some(line) if numbered => {
                text.push_str(line);
                text.push('\n');
            }
            _ if numbered && line.starts_with('[') => notes.push(escape_markdown(line.trim_matches(['[', ']']))),
            _ => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    let note = if notes.is_empty() { String::new() } else { format!("\n*{}*\n", notes.join("; ")) };
    format!("{title}:\n\n{}{note}", fenced(language(path), &text))
}

fn strip_line_number(line: &str) -> Option<&str> {
    let (number, text) = line.split_once('\t')?;
    let number = number.trim();
    (!number.is_empty() && number.chars().all(|c| c.is_ascii_digit())).then_some(text)
}

fn matches(call: &FinishedCall, output: &str) -> String {
    let what = format!("{}{}", searched_pattern(&call.args), searched_place(&call.args));
    let found = output
        .lines()
        .filter(|line| {
            line.split_once(": ").is_some_and(|(at, _)| !at.is_empty() && at.chars().all(|c| c.is_ascii_digit()))
        })
        .count();
    if output.trim().is_empty() || (found == 0 && output.starts_with("no matches")) {
        return format!("Nothing found for {what}.\n");
    }
    let head =
        if found > 0 { format!("{} for {what}:", pluralize(found, "match")) } else { format!("Found for {what}:") };
    format!("{head}\n\n{}", fenced("text", output))
}

fn edited(output: &str) -> String {
    match output.split_once('\n') {
        Some((summary, diff)) if !diff.trim().is_empty() => {
            format!("Done: {}.\n\n{}", escape_markdown_except_code(summary), fenced("diff", diff))
        }
        _ => format!("Done: {}.\n", escape_markdown_except_code(output.trim())),
    }
}

fn command(call: &FinishedCall, output: &str) -> String {
    let command = inline_code(call.arg("command"));
    if output.trim().is_empty() || output == "(no output)" {
        return format!("{command} ran and printed nothing.\n");
    }
    format!("{command} printed:\n\n{}", fenced("text", output))
}

/// A page is Markdown already; a block quote keeps it apart and closes whatever it leaves open.
fn page(call: &FinishedCall, output: &str) -> String {
    let (shown, left) = shorten_lines(output);
    if shown.trim().is_empty() {
        return format!("{} returned nothing.\n", inline_code(call.arg("url")));
    }
    let mut out = format!("From {}:\n\n", inline_code(call.arg("url")));
    for line in shown.lines() {
        let _ = writeln!(out, "> {line}");
    }
    out.push_str(&omitted_note(left));
    out
}

/// Puts a text into a code fence that its content can't close, shortened where it is long.
fn fenced(language: &str, text: &str) -> String {
    let (shown, left) = shorten_lines(text.trim_end());
    let longest = shown.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}{language}\n{shown}\n{fence}\n{}", omitted_note(left))
}

fn omitted_note(left: usize) -> String {
    match left {
        0 => String::new(),
        _ => format!("\n*… {} left out here; the tool panel has all of it.*\n", pluralize(left, "line")),
    }
}

/// Returns the start of a text and how many lines were left out.
fn shorten_lines(text: &str) -> (String, usize) {
    let total = text.lines().count();
    let (mut shown, mut lines) = (String::new(), 0);
    for line in text.lines() {
        if lines == MAX_QUOTED_LINES || (lines > 0 && shown.len() + line.len() > MAX_QUOTED_BYTES) {
            break;
        }
        if lines > 0 {
            shown.push('\n');
        }
        shown.push_str(truncate(line, MAX_QUOTED_BYTES));
        lines += 1;
    }
    (shown, total - lines)
}

fn truncate(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

fn language(path: &str) -> &'static str {
    match path.rsplit(['.', '/']).next().unwrap_or_default() {
        "rs" => "rust",
        "py" => "python",
        "js" | "mjs" => "javascript",
        "ts" => "typescript",
        "sh" | "bash" => "sh",
        "toml" => "toml",
        "json" | "jsonl" => "json",
        "yaml" | "yml" => "yaml",
        "md" => "markdown",
        "html" => "html",
        "css" => "css",
        "c" | "h" => "c",
        "cpp" | "cc" | "hpp" => "cpp",
        "go" => "go",
        "java" => "java",
        "sql" => "sql",
        "diff" | "patch" => "diff",
        _ => "text",
    }
}

fn is_line(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && !text.contains('\n') && text.len() <= 400
}

/// Returns a text as inline code: one line, not too long, in backticks that its content can't close.
pub(super) fn inline_code(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short =
        if line.chars().count() > 100 { format!("{}…", line.chars().take(99).collect::<String>()) } else { line };
    if short.is_empty() {
        return "(nothing)".to_owned();
    }
    let longest = short.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let ticks = "`".repeat(longest + 1);
    let space = if short.starts_with('`') || short.ends_with('`') { " " } else { "" };
    format!("{ticks}{space}{short}{space}{ticks}")
}

/// Returns a text as one line with its Markdown escaped.
fn escape_markdown(text: &str) -> String {
    escape_chars(text, r"\`*_[]<>#|~")
}

/// The tools' own sentences contain paths in backticks; those stay.
fn escape_markdown_except_code(text: &str) -> String {
    escape_chars(text, r"\*[]<>#|~")
}

fn escape_chars(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.trim().chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(if c.is_control() { ' ' } else { c });
    }
    out
}

fn cell(text: &str) -> String {
    text.replace("\\|", "|").replace('|', "\\|")
}

fn pluralize(n: usize, what: &str) -> String {
    let plural = if what.ends_with("ch") { "es" } else { "s" };
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}{plural}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(tool: &str, args: Json, output: &str, outcome: CallOutcome) -> FinishedCall {
        FinishedCall { tool: tool.into(), args, output: output.into(), outcome }
    }

    #[test]
    fn results_read_as_they_should() {
        let ok = CallOutcome::Ok;
        let cases = [
            (call("calculator", json!({"expression": "17% of 4200"}), "714", ok), "`17% of 4200` = **714**\n"),
            (
                call("clock", json!({}), "local: 2025-01-31 12:00:00 +00:00 (Friday)\nUTC: 2025-01-31 12:00:00", ok),
                "- local: **2025-01-31 12:00:00 +00:00 (Friday)**\n- UTC: 2025-01-31 12:00:00\n",
            ),
            (
                call("list_dir", json!({"path": "src"}), "deep/\nmain.rs  1 byte\n", ok),
                "`src` has 1 folder and 1 file:\n\n```text\ndeep/\nmain.rs  1 byte\n```\n",
            ),
            (call("list_dir", json!({}), "(nothing here)", ok), "This folder is empty.\n"),
            (
                call(
                    "read_file",
                    json!({"path": "a.rs", "offset": 2, "limit": 1}),
                    "     2\tfn a() {}\n[lines 2 to 2 of 3]",
                    ok,
                ),
                "`a.rs`, line 2:\n\n```rust\nfn a() {}\n```\n\n*lines 2 to 2 of 3*\n",
            ),
            (
                call("search", json!({"pattern": "fn"}), "a.rs\n1: fn a\n2: fn b\n", ok),
                "2 matches for `fn`:\n\n```text\na.rs\n1: fn a\n2: fn b\n```\n",
            ),
            (
                call("search", json!({"pattern": "x", "path": "src"}), "no matches for `x` in `src`", ok),
                "Nothing found for `x` in `src`.\n",
            ),
            (
                call("clock", json!({"zone": "Nowhere"}), "not a zone", CallOutcome::Failed),
                "`clock` **failed** on time in Nowhere:\n\n> not a zone\n",
            ),
            (
                call("write_file", json!({"path": "a"}), "created `a`: 5 bytes, 1 lines", ok),
                "Done: created `a`: 5 bytes, 1 lines.\n",
            ),
            (
                call("edit_file", json!({"path": "a"}), "replaced once in `a`\n-x\n+y\n", ok),
                "Done: replaced once in `a`.\n\n```diff\n-x\n+y\n```\n",
            ),
            (call("shell", json!({"command": "true"}), "(no output)", ok), "`true` ran and printed nothing.\n"),
            (call("shell", json!({"command": "echo a"}), "a\n", ok), "`echo a` printed:\n\n```text\na\n```\n"),
            (
                call("fetch", json!({"url": "http://x/"}), "# Title\ntext", ok),
                "From `http://x/`:\n\n> # Title\n> text\n",
            ),
            (
                call("read_file", json!({"path": "no"}), "`no`: no such file", CallOutcome::Failed),
                "`read_file` **failed** on `no`:\n\n> `no`: no such file\n",
            ),
            (
                call("shell", json!({"command": "make"}), "oops\n[exit status 2]", CallOutcome::Failed),
                "`make` **failed**:\n\n```text\noops\n[exit status 2]\n```\n",
            ),
            (
                call("shell", json!({"command": "rm x"}), "plan mode is read-only", CallOutcome::Denied),
                "**Denied**: `shell` on `rm x` was not allowed, so it was not run. The reason:\n\n> plan mode is read-only\n",
            ),
            (
                call("shell", json!({"command": "sleep 9"}), "", CallOutcome::Cancelled),
                "**Cancelled**: `shell` on `sleep 9` was stopped before it finished.\n",
            ),
        ];
        for (call, expected) in cases {
            assert_eq!(report(&[call]), expected);
        }
    }

    #[test]
    fn several_sums_make_a_table() {
        let sum = |e: &str, r: &str| call("calculator", json!({ "expression": e }), r, CallOutcome::Ok);
        assert_eq!(
            report(&[sum("1 + 1", "2"), sum("5 | 2", "7")]),
            "| expression | result |\n| --- | --- |\n| `1 + 1` | **2** |\n| `5 \\| 2` | **7** |\n"
        );
    }

    #[test]
    fn output_cannot_leave_its_fence() {
        let text = report(&[call("shell", json!({"command": "cat x"}), "```\n# not mine\n````", CallOutcome::Ok)]);
        assert_eq!(text, "`cat x` printed:\n\n`````text\n```\n# not mine\n````\n`````\n");
    }

    #[test]
    fn long_output_is_shortened_and_says_so() {
        let text = report(&[call("shell", json!({"command": "seq 100"}), &"line\n".repeat(100), CallOutcome::Ok)]);
        assert!(text.ends_with("\n*… 60 lines left out here; the tool panel has all of it.*\n"), "{text}");
        let text = report(&[call("shell", json!({"command": "x"}), &"é".repeat(100_000), CallOutcome::Ok)]);
        assert!(text.len() < 7000);
    }
}
