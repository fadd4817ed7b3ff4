//! PURE. What follows the verb of each form, as arguments of its tool; `None` if it isn't of that form.

use serde_json::json;

use super::phrase::{Phrase, split};
use crate::event::Json;

/// Headings of the manual: "list sessions" is a question about the program.
pub(super) const PROGRAM_NOUNS: &[&str] =
    &["approvals", "commands", "engines", "keys", "modes", "models", "sessions", "settings", "shortcuts", "tools"];
/// What begins no command: "run the tests" doesn't say which.
const ARTICLES: &[&str] = &["a", "all", "an", "it", "my", "some", "that", "the", "these", "this", "your"];

/// `EXPRESSION`, which begins with a number, a bracket or a function.
pub(super) fn expression(rest: Phrase<'_>) -> Option<Json> {
    let text = tidy_expression(rest);
    let digit_first = text.starts_with(|c: char| c.is_ascii_digit() || "(-.".contains(c));
    let function_first = text.split_once('(').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric()));
    let has_number = text.contains(|c: char| c.is_ascii_digit());
    ((digit_first || function_first) && has_number).then(|| json!({ "expression": text }))
}

/// Numbers and operators, and nothing else.
pub(super) fn bare_expression(line: Phrase<'_>) -> Option<Json> {
    let text = tidy_expression(line);
    let symbols = |c: char| c.is_ascii_digit() || c.is_whitespace() || "+-*/^%().!".contains(c);
    let numbers = text.split(|c: char| !c.is_ascii_digit() && c != '.').filter(|part| !part.is_empty()).count();
    let is_date = text.split('-').map(str::len).eq([4, 2, 2]);
    (text.chars().all(symbols) && numbers >= 2 && !is_date && text.contains(['+', '-', '*', '/', '^', '%']))
        .then(|| json!({ "expression": text }))
}

/// Returns an expression without quotes, thousands separators and the end of a question.
fn tidy_expression(phrase: Phrase<'_>) -> String {
    let text = match phrase.words() {
        [one] if one.is_quoted => one.text,
        _ => phrase.raw(),
    };
    let text = text.trim_end_matches(['?', '=', '.', ' ']).replace(['×', '·'], "*").replace('÷', "/").replace('−', "-");
    let chars: Vec<char> = text.chars().collect();
    let digit = |at: usize| chars.get(at).is_some_and(char::is_ascii_digit);
    let separates = |at: usize| at > 0 && digit(at - 1) && (1..=3).all(|n| digit(at + n)) && !digit(at + 4);
    chars.iter().enumerate().filter(|(at, c)| **c != ',' || !separates(*at)).map(|(_, c)| *c).collect()
}

/// `TEXT`, `"TEXT"` or `/EXPRESSION/`, then `in PATH` or `in GLOB`.
pub(super) fn search(rest: Phrase<'_>) -> Option<Json> {
    let rest = rest.after("for").unwrap_or(rest);
    let (what, place) = match rest.words() {
        [what] => (what, None),
        [what, _, place] if rest.is_word(1, "in") => (what, Some(place.value())),
        _ => return None,
    };
    let text = what.value();
    let expression = text.strip_prefix('/').and_then(|text| text.strip_suffix('/')).filter(|_| !what.is_quoted);
    let mut args = match expression {
        Some(expression) => json!({ "pattern": expression }),
        None => json!({ "pattern": text, "literal": true }),
    };
    if let Some(place) = place {
        args[if place.contains('*') { "glob" } else { "path" }] = json!(place);
    }
    (!args["pattern"].as_str()?.is_empty()).then_some(args)
}

/// `FILE`, `FILE line 7`, `FILE lines 1-20`.
pub(super) fn read(rest: Phrase<'_>) -> Option<Json> {
    let (file, lines) = match rest.words() {
        [file] => return path(file.value()).map(|path| json!({ "path": path })),
        [file, _, lines] if rest.is_word(1, "lines") || rest.is_word(1, "line") => (file, lines.value()),
        _ => return None,
    };
    let (first, last) = lines.split_once('-').unwrap_or((lines, lines));
    let (first, last) = (first.parse::<u64>().ok()?.max(1), last.parse::<u64>().ok()?);
    let count = last.checked_sub(first)?.saturating_add(1);
    path(file.value()).map(|path| json!({ "path": path, "offset": first, "limit": count }))
}

/// `FOLDER`, or nothing for the working folder; "list the files in src" as well.
pub(super) fn list(rest: Phrase<'_>) -> Option<Json> {
    const FILLERS: &[&str] = &["all", "the", "files", "folder", "in", "here", "of"];
    let is_filler = |word: &str| FILLERS.contains(&word.to_lowercase().as_str());
    let named: Vec<_> = rest.words().iter().filter(|word| word.is_quoted || !is_filler(word.value())).collect();
    match named.as_slice() {
        [] => Some(json!({})),
        [one] if !PROGRAM_NOUNS.contains(&one.value()) => path(one.value()).map(|path| json!({ "path": path })),
        _ => None,
    }
}

/// `"TEXT" to FILE`, or words without quotes where the file can be nothing else.
pub(super) fn write(rest: Phrase<'_>) -> Option<Json> {
    let at = rest.words().len().checked_sub(2).filter(|at| *at > 0 && rest.is_word(*at, "to"))?;
    let file = path(rest.words().last()?.value())?;
    let content = match rest.take(at).words() {
        [one] if one.is_quoted => one.text.replace("\\n", "\n").replace("\\t", "\t"),
        _ if file.contains(['.', '/']) => rest.take(at).raw().to_owned(),
        _ => return None,
    };
    Some(json!({ "path": file, "content": content }))
}

/// `write to FILE:` with the text on the lines below, in a code block or not.
pub(super) fn write_below(prompt: &str) -> Option<Json> {
    let (line, below) = prompt.trim().split_once('\n')?;
    let words = split(line.trim_end().strip_suffix(':')?);
    let [file] = Phrase::new(line, &words).after("write to")?.words() else { return None };
    let below = below.trim_matches('\n');
    let block = below.trim().strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    let content =
        block.and_then(|block| block.split_once('\n')).map_or(below, |(_, inside)| inside.trim_end_matches('\n'));
    path(file.value()).map(|path| json!({ "path": path, "content": format!("{content}\n") }))
}

/// `"OLD" with "NEW" in FILE`; `all` in front replaces every occurrence.
pub(super) fn replace(rest: Phrase<'_>) -> Option<Json> {
    let (rest, all) = rest.after("all").map_or((rest, false), |rest| (rest, true));
    let [old, _, new, _, file] = rest.words() else { return None };
    if !(rest.is_word(1, "with") && rest.is_word(3, "in")) {
        return None;
    }
    let mut args = json!({ "path": path(file.value())?, "old": old.text, "new": new.text });
    if all {
        args["all"] = json!(true);
    }
    Some(args)
}

/// A command, in quotes or not.
pub(super) fn run(rest: Phrase<'_>) -> Option<Json> {
    let command = match rest.words() {
        [] => return None,
        [one] if one.is_quoted => one.text.trim(),
        [first, ..] if first.is_quoted || ARTICLES.contains(&first.text.to_lowercase().as_str()) => return None,
        _ => rest.raw(),
    };
    (!command.is_empty()).then(|| json!({ "command": command }))
}

/// An address, with its scheme or without.
pub(super) fn fetch(rest: Phrase<'_>) -> Option<Json> {
    address(rest).or_else(|| {
        let [one] = rest.words() else { return None };
        let host = one.value().split(['/', ':']).next().unwrap_or_default();
        host.trim_matches('.').contains('.').then(|| json!({ "url": one.value() }))
    })
}

/// An address with its scheme.
pub(super) fn address(line: Phrase<'_>) -> Option<Json> {
    let [one] = line.words() else { return None };
    let url = one.value().trim_start_matches('<').trim_end_matches('>');
    let lower = url.to_ascii_lowercase();
    let host = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"))?;
    (!host.is_empty() && !host.contains(char::is_whitespace)).then(|| json!({ "url": url }))
}

/// Nothing, or `in ZONE`; "what time is it" as well.
pub(super) fn time(rest: Phrase<'_>) -> Option<Json> {
    let rest = rest.after("is it").or_else(|| rest.after("is it?")).unwrap_or(rest);
    match rest.words() {
        [] => Some(json!({})),
        [_, zone] if rest.is_word(0, "in") => Some(json!({ "zone": zone.value() })),
        _ => None,
    }
}

/// Returns a path as the tools take it: anything on one line that is no address.
fn path(text: &str) -> Option<&str> {
    (!text.is_empty() && !text.contains("://") && !text.starts_with('-')).then_some(text)
}
