//! PURE. Requests to look at files: read and list.

use super::words::WordSlice;
use super::{PlanStep, is_path, json, path_of};

/// Nouns of the program itself: "list sessions" and "what's in the log" are questions for the manual.
const PROGRAM_NOUNS: &[&str] = &[
    "sessions",
    "session",
    "models",
    "model",
    "keys",
    "key",
    "tools",
    "tool",
    "commands",
    "command",
    "modes",
    "mode",
    "shortcuts",
    "options",
    "settings",
    "engines",
    "engine",
    "logs",
    "log",
    "config",
    "configuration",
    "manual",
    "approvals",
    "approval",
    "replay",
    "help",
];

/// Folders that are recognized by their name alone.
const COMMON_FOLDERS: &[&str] = &[
    "src", "tests", "test", "docs", "doc", "assets", "target", "lib", "bin", "examples", "scripts", "build", "dist",
    "public", "crates", "packages", "app", "include", "benches", "data",
];

/// "read a.txt and b.txt", "show lines 10-20 of src/main.rs", "what does x.toml say".
pub(super) fn read(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let plain = words.plain();
    let rest = match plain.as_slice() {
        ["read" | "show" | "open" | "print" | "cat" | "display" | "view" | "see" | "head" | "type", _, ..] => {
            words.skip(1)
        }
        ["look", "at", _, ..] | ["give", "me" | "us", _, ..] => words.skip(2),
        ["let", "me", "see" | "read", _, ..] => words.skip(3),
        ["what's" | "whats", "in" | "inside", _, ..] => words.skip(2),
        ["what", "is", "in" | "inside", _, ..] => words.skip(3),
        ["what", "does", _, ..] => {
            let verb = plain.iter().position(|word| matches!(*word, "say" | "contain" | "hold"));
            let verb = verb.or_else(|| plain.ends_with(&["do"]).then_some(plain.len() - 1))?;
            words.take(verb).skip(2)
        }
        ["first" | "line" | "lines", _, ..] => words,
        _ => return None,
    };
    let question = plain.first().is_some_and(|first| first.starts_with("what"));
    let (lines, skip) = line_range(rest);
    let mut paths = Vec::new();
    for at in 0..rest.len() {
        let word = rest.skip(at).take(1);
        let name = rest.plain().get(at).copied().unwrap_or_default();
        if skip.contains(&at) {
            continue;
        }
        if is_path(word) && !(question && is_folder(&word.value())) && !word.value().ends_with('/') {
            paths.push(path_of(word));
        } else if !is_filler(name) {
            return None;
        }
    }
    if paths.is_empty() || (paths.len() > 1 && question && !plain.contains(&"and")) {
        return None;
    }
    let step = |path: String| {
        let mut args = json!({ "path": path });
        if let Some((offset, limit)) = lines {
            args["offset"] = json!(offset);
            if let Some(limit) = limit {
                args["limit"] = json!(limit);
            }
        }
        PlanStep::new("read_file", args)
    };
    Some(paths.into_iter().map(step).collect())
}

fn is_filler(word: &str) -> bool {
    matches!(
        word,
        "me" | "us"
            | "the"
            | "a"
            | "my"
            | "file"
            | "files"
            | "content"
            | "contents"
            | "of"
            | "in"
            | "from"
            | "whole"
            | "entire"
            | "text"
            | "and"
            | "all"
            | "both"
            | "what"
            | "is"
            | "what's"
            | "inside"
            | "out"
            | "source"
            | "&"
    )
}

/// Returns (first line, number of lines) and the indexes of the words for it.
fn line_range(words: WordSlice<'_>) -> (Option<(u64, Option<u64>)>, Vec<usize>) {
    let plain = words.plain();
    let number = |at: usize| plain.get(at).and_then(|word| word.parse::<u64>().ok());
    let span = |first: u64, last: u64| Some((first.max(1), Some(last.saturating_sub(first.max(1)).saturating_add(1))));
    for (at, word) in plain.iter().enumerate() {
        match *word {
            "line" | "lines" => {
                let pair = plain.get(at + 1).and_then(|word| word.split_once(['-', '–', ':']));
                if let Some((Ok(first), Ok(last))) = pair.map(|(a, b)| (a.parse::<u64>(), b.parse::<u64>()))
                    && first <= last
                {
                    return (span(first, last), vec![at, at + 1]);
                }
                let joint = matches!(plain.get(at + 2), Some(&("to" | "through" | "until" | "and" | "-" | "–")));
                match (number(at + 1), number(at + 3)) {
                    (Some(first), Some(last)) if joint && first <= last => {
                        return (span(first, last), vec![at, at + 1, at + 2, at + 3]);
                    }
                    (Some(line), _) if at > 0 && matches!(plain.get(at - 1), Some(&("from" | "at"))) => {
                        return (Some((line.max(1), None)), vec![at, at + 1]);
                    }
                    (Some(line), _) => return (span(line, line), vec![at, at + 1]),
                    _ => {}
                }
            }
            "first" | "top" => {
                if let Some(count) = number(at + 1) {
                    return (Some((1, Some(count.max(1)))), vec![at, at + 1, at + 2]);
                }
            }
            _ => {}
        }
    }
    (None, Vec::new())
}

/// Returns whether this is probably a folder: its last part has no extension.
fn is_folder(path: &str) -> bool {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    path.ends_with('/')
        || matches!(path, "." | ".." | "~")
        || (!last.trim_start_matches('.').contains('.') && super::known_file(last).is_none())
}

/// "list files", "ls src", "what's in src", "which files are in tests".
pub(super) fn list(words: WordSlice<'_>) -> Option<Vec<PlanStep>> {
    let plain = words.plain();
    let (rest, verb) = match plain.as_slice() {
        ["ls" | "dir", ..] => (words.skip(1), true),
        ["list", _, ..] => (words.skip(1), true),
        ["show" | "display" | "see" | "give" | "open" | "read", _, ..] => (words.skip(1), false),
        ["what's" | "whats", "in" | "inside" | "here" | "there", ..] => (words.skip(1), false),
        ["what", "is" | "are", "in" | "inside" | "here", ..] => (words.skip(2), false),
        ["what" | "which", "files" | "folders" | "directories", ..] => (words.skip(1), false),
        ["how", "many", "files" | "folders" | "directories" | "entries", ..] => (words.skip(2), false),
        ["files"] => (words, true),
        ["files", "in" | "of" | "under", ..] => (words, true),
        _ => return None,
    };
    let mut named = plain.first().is_some_and(|first| matches!(*first, "ls" | "dir"));
    let mut said_files = named;
    let mut paths: Vec<String> = Vec::new();
    let mut joined = true;
    for at in 0..rest.len() {
        let name = rest.plain().get(at).copied().unwrap_or_default();
        let word = rest.skip(at).take(1);
        match name {
            "files" | "file" | "folders" | "folder" | "directory" | "directories" | "dir" | "contents" | "content"
            | "entries" | "everything" => said_files = true,
            "in" | "inside" | "under" | "of" | "from" => named = true,
            "here" | "this" | "current" | "working" | "project" | "repo" => said_files = true,
            "and" | "&" => joined = true,
            "all" | "the" | "me" | "us" | "my" | "a" | "are" | "is" | "there" | "do" | "we" | "i" | "you" | "have"
            | "what" | "what's" | "out" | "up" | "exist" | "-l" | "-la" | "-a" | "-al" => {}
            _ if PROGRAM_NOUNS.contains(&name) && word.quoted().is_none() => return None,
            _ => {
                let path = word.value();
                let like_path = is_path(word) || path.chars().all(|c| c.is_ascii_alphanumeric() || "._-/~".contains(c));
                let sure = is_path(word) || named || said_files || COMMON_FOLDERS.contains(&name);
                if !like_path || !(sure || (verb && following_says_folder(rest, at))) || !joined {
                    return None;
                }
                paths.push(path);
                joined = word.raw().ends_with(',');
            }
        }
    }
    // "show notes" means a file; without the word *files* only list and ls mean a folder.
    let folders =
        !paths.is_empty() && paths.iter().all(|path| path.ends_with('/') || COMMON_FOLDERS.contains(&path.as_str()));
    if !(verb || said_files || named || folders) || (paths.is_empty() && !said_files) {
        return None;
    }
    if paths.is_empty() {
        return Some(vec![PlanStep::new("list_dir", json!({}))]);
    }
    Some(paths.into_iter().map(|path| PlanStep::new("list_dir", json!({ "path": path }))).collect())
}

fn following_says_folder(words: WordSlice<'_>, at: usize) -> bool {
    words.plain().get(at + 1).is_some_and(|next| matches!(*next, "folder" | "directory" | "dir" | "files" | "contents"))
}
