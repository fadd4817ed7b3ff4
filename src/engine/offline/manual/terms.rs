//! PURE. The terms of a text in the index: lower-case stems without stop words.

use std::sync::LazyLock;

/// Words that say nothing about the subject.
const STOP_WORDS: &[&str] = &[
    "a", "about", "actually", "am", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could",
    "did", "do", "does", "during", "for", "from", "get", "give", "has", "have", "he", "hello", "her", "here", "hey",
    "hi", "his", "how", "i", "if", "in", "into", "is", "it", "its", "jarvis", "just", "know", "let", "like", "made",
    "make", "many", "may", "me", "mean", "much", "must", "my", "need", "no", "not", "of", "off", "ok", "on", "one",
    "or", "our", "out", "please", "really", "s", "shall", "she", "should", "so", "some", "tell", "than", "that", "the",
    "them", "then", "there", "these", "they", "thing", "this", "those", "to", "too", "tui", "use", "used", "using",
    "was", "way", "we", "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "without",
    "work", "works", "would", "you", "your",
];

/// Words that people use for one another, each in one group only.
const SYNONYM_GROUPS: &[&[&str]] = &[
    &["key", "shortcut", "hotkey", "keybinding", "binding", "chord"],
    &["quit", "exit", "leave", "close"],
    &["session", "conversation", "chat"],
    &["resume", "continue", "reopen", "restore"],
    &["folder", "directory", "dir"],
    &["approve", "approval", "permission", "permit", "consent", "confirm"],
    &["llm", "model"],
    &["script", "headless", "automation", "noninteractive", "batch"],
    &["configuration", "config", "configure", "setting", "option", "preference"],
    &["connect", "setup", "link", "attach"],
    &["interrupt", "stop", "cancel", "abort"],
    &["delete", "remove", "erase"],
    &["cost", "price", "money", "dollar"],
    &["theme", "color", "colour", "looks"],
    &["log", "transcript", "history"],
    &["replay", "playback", "play"],
    &["think", "reasoning"],
    &["newline", "multiline"],
    &["change", "switch", "swap"],
    &["start", "launch", "begin"],
    &["screen", "window", "pane"],
    &["store", "save", "kept", "keep"],
    &["secret", "credential", "password"],
    &["private", "privacy", "telemetry"],
    &["command", "cmd"],
    &["slow", "hang", "stuck", "freeze", "frozen", "hung"],
];

static STEMMED_SYNONYM_GROUPS: LazyLock<Vec<Vec<String>>> =
    LazyLock::new(|| SYNONYM_GROUPS.iter().map(|group| group.iter().map(|word| stem(word)).collect()).collect());

/// Returns the synonyms of a stem, itself included; none when it has none.
pub(super) fn synonyms_of(word: &str) -> impl Iterator<Item = &'static str> {
    STEMMED_SYNONYM_GROUPS
        .iter()
        .find(|group| group.iter().any(|one| one == word))
        .into_iter()
        .flatten()
        .map(String::as_str)
}

/// Returns the stems of a text in order, without stop words. A chord such as `ctrl+o` and a flag such as `-c` are terms
/// of their own.
pub(super) fn terms(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '|' | '`' | '"' | '(' | ')' | '[' | ']' | '*'))
        .flat_map(|word| {
            let word = word.trim_matches(|c: char| matches!(c, '.' | ':' | ';' | '?' | '!' | '\'' | '’' | '/' | '#'));
            let mut found = Vec::new();
            let flag = word.len() == 2 && word.starts_with('-') && word.ends_with(|c: char| c.is_ascii_alphabetic());
            let chord = word.contains('+') && word.len() > 2;
            if flag || chord {
                found.push(word.to_lowercase());
            }
            found.extend(
                word.split(|c: char| !c.is_alphanumeric())
                    .map(str::to_lowercase)
                    .filter(|part| part.chars().count() > 1 && !STOP_WORDS.contains(&part.as_str()))
                    .map(|part| stem(&part)),
            );
            found
        })
}

/// Strips the commonest English endings, so that *resuming*, *resumed* and *resume* match. Rough on purpose: both sides
/// of a comparison pass through here, so a stem need not be a word.
pub(super) fn stem(word: &str) -> String {
    let mut word = word.to_owned();
    if !word.is_ascii() {
        return word;
    }
    let long = |word: &str, ending: usize| word.len() >= ending + 3;
    if word.ends_with("ies") && long(&word, 3) {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if word.ends_with("sses") || (word.ends_with("xes") && long(&word, 2)) || word.ends_with("ches") {
        word.truncate(word.len() - 2);
    } else if word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") && long(&word, 1) {
        word.truncate(word.len() - 1);
    }
    for ending in ["ing", "ed"] {
        let vowel_left = word.len() > ending.len()
            && word.get(..word.len() - ending.len()).is_some_and(|rest| rest.contains(['a', 'e', 'i', 'o', 'u', 'y']));
        if word.ends_with(ending) && long(&word, ending.len()) && vowel_left {
            word.truncate(word.len() - ending.len());
            // running → run, but calling → call
            let bytes = word.as_bytes();
            if let [.., a, b] = bytes
                && a == b
                && !matches!(b, b'l' | b's' | b'z' | b'e' | b'o')
            {
                word.truncate(word.len() - 1);
            }
            break;
        }
    }
    if word.ends_with('e') && long(&word, 1) {
        word.truncate(word.len() - 1);
    }
    if word.ends_with('y') && word.len() > 6 && word.ends_with("ory") {
        word.truncate(word.len() - 1);
        if word == "director" {
            word.push('y');
        }
    }
    word
}

#[cfg(test)]
pub(super) fn groups() -> impl Iterator<Item = &'static Vec<String>> {
    STEMMED_SYNONYM_GROUPS.iter()
}
