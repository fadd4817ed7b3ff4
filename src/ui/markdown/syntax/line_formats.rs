//! Languages whose lines have a shape of their own: diffs, settings, styles, recipes.

use super::LexerState;
use super::language::{LANGUAGES, Language, LanguageTable, LexerKind};
use super::lexer::{self, LineScan, is_word};
use crate::ui::theme::Role;

/// Returns what a line of a unified diff is.
pub fn diff_role(line: &str) -> Role {
    let head = ["diff ", "index ", "+++ ", "--- ", "new file", "deleted file", "similarity ", "rename "];
    match line.as_bytes().first() {
        _ if head.iter().any(|head| line.starts_with(head)) => Role::Dim,
        Some(b'+') => Role::Added,
        Some(b'-') => Role::Removed,
        Some(b'@') => Role::Info,
        _ => Role::Source,
    }
}

/// `key: value`, `- key: value`, `key = value`, `[section]`.
pub(super) fn key_value(
    language: &Language,
    state: LexerState,
    line: &str,
    put: &mut dyn FnMut(&str, Role),
) -> LexerState {
    let mut scan = LineScan::new(line, put);
    if state == LexerState::default() {
        let mut start = scan.run(0, |byte| byte == b' ');
        while line.get(start..).is_some_and(|rest| rest.starts_with("- ")) {
            start = scan.run(start + 2, |byte| byte == b' ');
        }
        scan.step(start);
        let rest = scan.rest();
        let equals = language.comments.len() > 1 || language.names.iter().any(|name| name == "toml");
        let mark = if equals { '=' } else { ':' };
        if equals && rest.starts_with('[') {
            let end = rest.rfind(']').map_or(line.len(), |at| start + at + 1);
            scan.take(end, Role::Heading);
        } else if rest.starts_with("---") || rest.starts_with("...") {
            scan.take_rest(Role::Dim);
        } else if !rest.starts_with(['#', ';', '{', '[', '|', '>'])
            && let Some(end) = key_end(rest, mark)
        {
            scan.take(start + end, Role::Attribute);
        }
    }
    let state = lexer::words(language, state, &mut scan);
    scan.flush_plain();
    state
}

/// Returns where a key ends: at the mark, which in YAML is followed by a blank.
fn key_end(rest: &str, mark: char) -> Option<usize> {
    let mut quoted = None;
    for (at, c) in rest.char_indices() {
        match (quoted, c) {
            (Some(open), c) if open == c => quoted = None,
            (Some(_), _) => {}
            (None, '"' | '\'') if at == 0 => quoted = Some(c),
            (None, '#') => return None,
            (None, c) if c == mark => {
                let after = rest.as_bytes().get(at + 1).copied().unwrap_or(b' ');
                if mark == '=' || after == b' ' {
                    return Some(rest.get(..at)?.trim_end().len());
                }
            }
            (None, _) => {}
        }
    }
    None
}

/// `selector {`, `property: value;`.
pub(super) fn css(language: &Language, state: LexerState, line: &str, put: &mut dyn FnMut(&str, Role)) -> LexerState {
    let mut scan = LineScan::new(line, put);
    if state == LexerState::default() {
        let start = scan.run(0, |byte| byte == b' ');
        let end = scan.run(start, |byte| is_word(byte) || matches!(byte, b'-' | b'$'));
        let after = line.get(end..).unwrap_or("").trim_start();
        let is_property = end > start && after.starts_with(':') && !line.trim_end().ends_with(['{', ',']);
        if is_property {
            scan.step(start);
            scan.take(end, Role::Attribute);
        } else if line.trim_end().ends_with(['{', ',']) && !line.trim_start().starts_with(['@', '/']) {
            let end = line.trim_end().trim_end_matches(['{', ',']).len();
            scan.take(end, Role::Type);
        }
        // A colour looks like a comment to none, but like a number to all.
        while let Some(at) = scan.rest().find('#').filter(|_| is_property) {
            let before = scan.rest().get(..at).unwrap_or("");
            if before.contains(['"', '\'', '/']) {
                break;
            }
            let from = scan.at + at;
            let end = scan.run(from + 1, |byte| byte.is_ascii_hexdigit());
            scan.step(at);
            scan.take(end, Role::Number);
        }
    }
    let state = lexer::words(language, state, &mut scan);
    scan.flush_plain();
    state
}

/// `RUN command`.
pub(super) fn docker(
    language: &Language,
    state: LexerState,
    line: &str,
    put: &mut dyn FnMut(&str, Role),
) -> LexerState {
    let mut scan = LineScan::new(line, put);
    if state == LexerState::default() {
        let start = scan.run(0, |byte| byte == b' ');
        let end = scan.run(start, is_word);
        let word = line.get(start..end).unwrap_or("");
        if !word.is_empty() && lexer::has_word(&language.keywords, &word.to_ascii_uppercase()) {
            scan.step(start);
            scan.take(end, Role::Keyword);
        }
    }
    let state = lexer::words(language, state, &mut scan);
    scan.flush_plain();
    state
}

/// `target: what it needs`, `NAME = value`, and recipes.
pub(super) fn make(language: &Language, state: LexerState, line: &str, put: &mut dyn FnMut(&str, Role)) -> LexerState {
    let mut scan = LineScan::new(line, put);
    if state == LexerState::default() && !line.starts_with([' ', '\t', '#']) {
        let name = line.find([':', '=', '?', '+']).filter(|at| *at > 0);
        if let Some(end) = name {
            let assigns = line.get(end..).is_some_and(|rest| rest.trim_start_matches([':', '?', '+']).starts_with('='));
            let word = line.get(..end).unwrap_or("").trim_end();
            if !word.contains('$') {
                scan.take(word.len(), if assigns { Role::Attribute } else { Role::Function });
            }
        }
    }
    while let Some(at) = scan.rest().find("$(") {
        let before = scan.rest().get(..at).unwrap_or("");
        if before.contains(['#', '"', '\'']) {
            break;
        }
        let end =
            scan.rest().get(at..).and_then(|rest| rest.find(')')).map_or(line.len(), |close| scan.at + at + close + 1);
        scan.step(at);
        scan.take(end, Role::Attribute);
    }
    let state = lexer::words(language, state, &mut scan);
    scan.flush_plain();
    state
}

/// A prompt and its command; anything else was printed.
pub(super) fn console(
    language: &Language,
    state: LexerState,
    line: &str,
    put: &mut dyn FnMut(&str, Role),
) -> LexerState {
    let command = ["$ ", "# ", "% ", "> ", ">>> ", "... "].iter().find(|prompt| line.starts_with(*prompt));
    if state == LexerState::default() && command.is_none() {
        put(line, Role::Source);
        return state;
    }
    let mut scan = LineScan::new(line, put);
    scan.take(command.map_or(0, |prompt| prompt.len()), Role::Dim);
    let state = lexer::words(language, state, &mut scan);
    scan.flush_plain();
    state
}

/// Returns the language inside another.
pub(super) fn language_named(name: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|row| row.names().any(|known| known == name)).map(LanguageTable::language)
}

/// Reads the scan's line up to `end` in another language.
pub(super) fn read_inner(
    language: &Language,
    state: LexerState,
    end: usize,
    scan: &mut LineScan<'_, '_>,
) -> LexerState {
    let (whole, start) = (scan.line, scan.at);
    let part = whole.get(start..end).unwrap_or("");
    scan.nested(part, |put| match language.lexer {
        LexerKind::Css => css(language, state, part, put),
        _ => lexer::line(language, state, part, put),
    })
}
