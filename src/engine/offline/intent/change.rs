//! PURE. Requests to change files: write and edit.

use super::words::{MaskedPrompt, SpanKind, WordSlice, split_words};
use super::{PlanStep, is_path, json, path_of};

/// "write "text" to FILE", "create a file FILE with TEXT", "save this as FILE" with a block.
pub(super) fn write(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let (path, content) = parse_write(words)?;
    let content = content?;
    Some(vec![PlanStep::new("write_file", json!({ "path": path, "content": content }))])
}

/// "write to FILE:" and the content on the lines below.
pub(super) fn write_lines_below(masked: &MaskedPrompt, line: &str, below: &[String]) -> Option<PlanStep> {
    if below.is_empty() || !line.trim_end().ends_with(':') {
        return None;
    }
    let words = split_words(line);
    let words = super::strip_courtesies(WordSlice::new(masked, line, &words));
    let (path, None) = parse_write(words)? else { return None };
    let mut content = below.iter().map(|line| masked.restore(line)).collect::<Vec<_>>().join("\n");
    content.push('\n');
    Some(PlanStep::new("write_file", json!({ "path": path, "content": content })))
}

/// Returns the file, and the content where there is one.
fn parse_write(words: WordSlice<'_>) -> Option<(String, Option<String>)> {
    let plain = words.plain();
    let ["write" | "save" | "put" | "store" | "create" | "make" | "touch", _, ..] = plain.as_slice() else {
        return None;
    };
    let rest = words.skip(1);
    let block = rest.block_position().map(|at| rest.skip(at).take(1).value());
    into_file(rest, block.as_ref()).or_else(|| file_with(rest, block.as_ref()))
}

/// `CONTENT to FILE`, `this as FILE`, `to FILE: CONTENT`.
fn into_file(words: WordSlice<'_>, block: Option<&String>) -> Option<(String, Option<String>)> {
    let plain = words.plain();
    let (at, file) = plain.iter().enumerate().rev().find_map(|(at, word)| {
        matches!(*word, "to" | "into" | "in" | "as").then(|| file_at(words, at + 1).map(|file| (at, file))).flatten()
    })?;
    let path = path_of(words.skip(file).take(1));
    let before = words.take(at);
    let mut after = words.skip(file + 1);
    let pointing = before.is_empty() || is_reference(before);
    if let Some(block) = block {
        return Some((path, Some(block.clone())));
    }
    if !pointing {
        let trailing = after.is_empty() || matches!(after.plain().as_slice(), ["file"]);
        let mut content = before;
        while content.len() > 1
            && matches!(content.plain().as_slice(), ["the" | "a", "text" | "line" | "word" | "words" | "string", ..])
        {
            content = content.skip(2);
        }
        return trailing.then(|| (path, Some(content_text(content))));
    }
    if after.plain().first().is_some_and(|word| matches!(*word, "with" | "containing" | "saying")) {
        after = after.skip(1);
    }
    Some((path, (!after.is_empty()).then(|| content_text(after))))
}

/// Returns whether the words only refer to a content elsewhere.
fn is_reference(words: WordSlice<'_>) -> bool {
    match words.plain().as_slice() {
        [one] => matches!(*one, "this" | "it" | "that" | "code" | "text"),
        ["the", "following", ..] => words.len() <= 3,
        ["this", what] => matches!(*what, "text" | "code"),
        ["a", "file"] | ["a", "new", "file"] => true,
        _ => false,
    }
}

/// `a file called FILE with CONTENT`, `FILE containing CONTENT`, `an empty file FILE`.
fn file_with(words: WordSlice<'_>, block: Option<&String>) -> Option<(String, Option<String>)> {
    let plain = words.plain();
    let file = file_at(words, 0)?;
    let path = path_of(words.skip(file).take(1));
    let mut after = words.skip(file + 1);
    if let Some(block) = block {
        return Some((path, Some(block.clone())));
    }
    let empty = plain.get(..file).is_some_and(|before| before.contains(&"empty"));
    let introduces_content =
        |word: &str| matches!(word, "with" | "containing" | "saying" | "that" | "reading" | "holding");
    if after.is_empty() {
        return Some((path, empty.then(String::new)));
    }
    let colon = words.punctuation_before(file + 1) == Some(':');
    if !after.plain().first().is_some_and(|word| introduces_content(word)) && !colon {
        return None;
    }
    let fillers = ["with", "containing", "saying", "that", "reading", "holding", "says", "contains", "the", "this"];
    while after.len() > 1 && after.quoted().is_none() && after.plain().first().is_some_and(|w| fillers.contains(w)) {
        after = after.skip(1);
    }
    if after.len() > 1 && after.plain().first().is_some_and(|w| matches!(*w, "content" | "contents" | "text" | "line"))
    {
        after = after.skip(1);
    }
    if matches!(after.plain().as_slice(), ["content" | "contents" | "text" | "with" | "this" | "following"]) {
        return Some((path, None));
    }
    Some((path, Some(content_text(after))))
}

/// Returns the index of the file's name, after words such as "a new file called".
fn file_at(words: WordSlice<'_>, from: usize) -> Option<usize> {
    let plain = words.plain();
    let mut said_file = false;
    for (at, word) in plain.iter().enumerate().skip(from) {
        match *word {
            "a" | "an" | "the" | "new" | "empty" | "text" if words.skip(at).take(1).quoted().is_none() => {}
            "file" | "called" | "named" => said_file = true,
            _ => {
                let one = words.skip(at).take(1);
                let bare = said_file && one.value().chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
                return ((is_path(one) || bare) && one.kind() != Some(SpanKind::Block)).then_some(at);
            }
        }
    }
    None
}

/// Returns a content: the inside of quotes, where `\n` is a line end, or the words as typed.
fn content_text(words: WordSlice<'_>) -> String {
    match words.quoted() {
        Some(inner) if words.kind() == Some(SpanKind::Quote) => inner.replace("\\n", "\n").replace("\\t", "\t"),
        Some(inner) => inner.to_owned(),
        None => words.raw(),
    }
}

/// "replace "a" with "b" in FILE", "change a to b everywhere in FILE", "remove "a" from FILE".
pub(super) fn edit(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let plain = words.plain();
    // "in FILE replace …" and "in FILE, change …"
    if let ["in", _, verb, ..] = plain.as_slice()
        && matches!(*verb, "replace" | "change" | "swap" | "rename" | "substitute")
        && is_path(words.skip(1).take(1))
    {
        let (old, new, all) = old_and_new(words.skip(2))?;
        return Some(vec![edit_step(&path_of(words.skip(1).take(1)), &old, &new, all)]);
    }
    let place = plain.iter().rposition(|word| matches!(*word, "in" | "inside" | "within" | "from"))?;
    let mut file = words.skip(place + 1);
    let mut everywhere = false;
    while let Some(last) = file.plain().last()
        && matches!(*last, "everywhere" | "throughout" | "file")
    {
        everywhere |= *last != "file";
        file = file.take(file.len() - 1);
    }
    while file.len() > 1 && file.plain().first().is_some_and(|w| matches!(*w, "the" | "file")) {
        file = file.skip(1);
    }
    if file.len() != 1 || !is_path(file) {
        return None;
    }
    let (old, new, all) = old_and_new(words.take(place))?;
    Some(vec![edit_step(&path_of(file), &old, &new, all || everywhere)])
}

fn edit_step(path: &str, old: &str, new: &str, all: bool) -> PlanStep {
    let mut args = json!({ "path": path, "old": old, "new": new });
    if all {
        args["all"] = json!(true);
    }
    PlanStep::new("edit_file", args)
}

fn old_and_new(words: WordSlice<'_>) -> Option<(String, String, bool)> {
    let plain = words.plain();
    let verb = *plain.first()?;
    let removing = matches!(verb, "remove" | "delete");
    if !removing && !matches!(verb, "replace" | "change" | "swap" | "rename" | "substitute") {
        return None;
    }
    let mut rest = words.skip(1);
    let mut all = verb == "rename";
    loop {
        let word = rest.plain().first().copied()?;
        match word {
            "all" | "every" | "each" | "everywhere" | "occurrences" | "occurrence" => all = true,
            "the" | "text" | "word" | "string" | "of" | "line" if rest.len() > 1 => {}
            _ => break,
        }
        rest = rest.skip(1);
    }
    if rest.plain().last() == Some(&"everywhere") {
        all = true;
        rest = rest.take(rest.len() - 1);
    }
    if removing {
        // Unquoted, it might as well be the file that is meant.
        let old = rest.quoted()?;
        return (!old.is_empty()).then(|| (old.to_owned(), String::new(), all));
    }
    let at =
        rest.plain().iter().position(|word| matches!(*word, "with" | "by" | "to" | "for" | "into" | "->" | "→"))?;
    let (old, new) = (content_text(rest.take(at)), content_text(rest.skip(at + 1)));
    (!old.is_empty() && !rest.skip(at + 1).is_empty()).then_some((old, new, all))
}
