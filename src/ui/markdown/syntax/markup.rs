//! Tags and Markdown: text with marks in it, and other languages inside.

use super::LexerState;
use super::language::{Language, PLAIN_LANGUAGE};
use super::lexer::{LineScan, is_word};
use super::line_formats::{language_named, read_inner};
use crate::ui::theme::Role;

/// Between the brackets of a tag; the depth is the quote that is open in it.
const TAG_MODE: u8 = 50;
const COMMENT_MODE: u8 = 51;
/// In a script or style; the mode inside is added.
const SCRIPT_MODE: u8 = 100;
const STYLE_MODE: u8 = 160;
/// In a fenced block of Markdown, by its mark; the depth is how many opened it.
const BACKTICK_FENCE_MODE: u8 = 60;
const TILDE_FENCE_MODE: u8 = 61;

pub(super) fn markup(
    language: &Language,
    mut state: LexerState,
    line: &str,
    put: &mut dyn FnMut(&str, Role),
) -> LexerState {
    let mut scan = LineScan::new(line, put);
    while !scan.is_done() {
        state = match state.mode {
            TAG_MODE => tag(state, &mut scan),
            COMMENT_MODE => comment(language, &mut scan),
            STYLE_MODE.. => embedded("css", "</style", STYLE_MODE, state, &mut scan),
            SCRIPT_MODE.. => embedded("js", "</script", SCRIPT_MODE, state, &mut scan),
            _ => text(language, &mut scan),
        };
    }
    scan.flush_plain();
    state
}

fn text(language: &Language, scan: &mut LineScan<'_, '_>) -> LexerState {
    let Some(at) = memchr::memchr2(b'<', b'&', scan.rest().as_bytes()) else {
        scan.step(scan.rest().len());
        return LexerState::default();
    };
    scan.step(at);
    let rest = scan.rest();
    if let Some((open, _)) = &language.block_comment
        && rest.starts_with(open.as_str())
    {
        scan.take(scan.at + open.len(), Role::Comment);
        return LexerState { mode: COMMENT_MODE, depth: 0 };
    }
    if rest.starts_with('&') {
        let end = scan.run(scan.at + 1, |byte| byte.is_ascii_alphanumeric() || byte == b'#');
        if end > scan.at + 1 && scan.line.as_bytes().get(end) == Some(&b';') {
            scan.take(end + 1, Role::Number);
        } else {
            scan.step(1);
        }
        return LexerState::default();
    }
    let name = scan.run(scan.at + 1, |byte| matches!(byte, b'/' | b'!' | b'?'));
    let end = scan.run(name, |byte| is_word(byte) || matches!(byte, b'-' | b':' | b'.'));
    if end == name {
        scan.step(1);
        return LexerState::default();
    }
    let word = scan.line.get(name..end).unwrap_or("");
    let opens = name == scan.at + 1;
    // What the tag holds is read once it has ended.
    let depth = match word {
        _ if !opens => 0,
        "script" => 1,
        "style" => 2,
        _ => 0,
    };
    scan.take(end, Role::Keyword);
    LexerState { mode: TAG_MODE, depth: depth << 4 }
}

/// The depth's lower half is the open quote, its upper half what follows the tag.
fn tag(state: LexerState, scan: &mut LineScan<'_, '_>) -> LexerState {
    let (follows, quote) = (state.depth >> 4, state.depth & 0x0f);
    if quote > 0 {
        let mark = if quote == 1 { b'"' } else { b'\'' };
        let end = memchr::memchr(mark, scan.rest().as_bytes());
        scan.take(end.map_or(scan.line.len(), |at| scan.at + at + 1), Role::Literal);
        return LexerState { mode: TAG_MODE, depth: if end.is_some() { follows << 4 } else { state.depth } };
    }
    match scan.byte(0) {
        mark @ (b'"' | b'\'') => {
            scan.take(scan.at + 1, Role::Literal);
            return LexerState { mode: TAG_MODE, depth: follows << 4 | if mark == b'"' { 1 } else { 2 } };
        }
        b'>' => {
            scan.take(scan.at + 1, Role::Keyword);
            return match follows {
                1 => LexerState { mode: SCRIPT_MODE, depth: 0 },
                2 => LexerState { mode: STYLE_MODE, depth: 0 },
                _ => LexerState::default(),
            };
        }
        b'/' | b'?' => scan.take(scan.at + 1, Role::Keyword),
        byte if is_word(byte) || matches!(byte, b'@' | b':') => {
            let end = scan.run(scan.at + 1, |byte| is_word(byte) || matches!(byte, b'-' | b':' | b'.' | b'@'));
            scan.take(end, Role::Attribute);
        }
        _ => scan.step(1),
    }
    state
}

fn comment(language: &Language, scan: &mut LineScan<'_, '_>) -> LexerState {
    let close = language.block_comment.as_ref().map_or("-->", |(_, close)| close.as_str());
    if let Some(at) = scan.rest().find(close) {
        scan.take(scan.at + at + close.len(), Role::Comment);
        return LexerState::default();
    }
    scan.take_rest(Role::Comment);
    LexerState { mode: COMMENT_MODE, depth: 0 }
}

fn embedded(name: &str, close: &str, base: u8, state: LexerState, scan: &mut LineScan<'_, '_>) -> LexerState {
    let end = scan.rest().find(close).map(|at| scan.at + at);
    let Some(language) = language_named(name) else {
        scan.take_rest(Role::Source);
        return state;
    };
    let inside = LexerState { mode: state.mode - base, depth: state.depth };
    let left = read_inner(language, inside, end.unwrap_or(scan.line.len()), scan);
    match end {
        Some(_) => text(language_of_tags(), scan),
        None => LexerState { mode: base + left.mode, depth: left.depth },
    }
}

fn language_of_tags() -> &'static Language {
    language_named("html").unwrap_or(&PLAIN_LANGUAGE)
}

pub(super) fn markdown(state: LexerState, line: &str, put: &mut dyn FnMut(&str, Role)) -> LexerState {
    let trimmed = line.trim_start();
    let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
    let tildes = trimmed.len() - trimmed.trim_start_matches('~').len();
    match state.mode {
        BACKTICK_FENCE_MODE | TILDE_FENCE_MODE => {
            let marks = if state.mode == BACKTICK_FENCE_MODE { ticks } else { tildes };
            let closes = marks >= usize::from(state.depth) && trimmed.trim_end().len() == marks;
            put(line, if closes { Role::Dim } else { Role::Literal });
            return if closes { LexerState::default() } else { state };
        }
        _ if ticks >= 3 || tildes >= 3 => {
            put(line, Role::Dim);
            let (mode, marks) = if ticks >= 3 { (BACKTICK_FENCE_MODE, ticks) } else { (TILDE_FENCE_MODE, tildes) };
            return LexerState { mode, depth: u8::try_from(marks).unwrap_or(u8::MAX) };
        }
        _ => {}
    }
    let mut scan = LineScan::new(line, put);
    if trimmed.starts_with('#') {
        scan.take_rest(Role::Heading);
    } else if trimmed.starts_with('>') {
        scan.take_rest(Role::Quote);
    } else if trimmed.starts_with(['-', '*', '+']) && trimmed.get(1..2) == Some(" ") {
        scan.take(line.len() - trimmed.len() + 1, Role::Keyword);
    }
    while let Some(at) = scan.rest().find(['`', '*', '_', '[']) {
        let open = scan.at + at;
        let mark = scan.line.as_bytes().get(open).copied().unwrap_or(0);
        let width = scan.run(open, |byte| byte == mark) - open;
        let close = if mark == b'[' { "]" } else { scan.line.get(open..open + width).unwrap_or("]") };
        let found = scan.line.get(open + width..).and_then(|rest| rest.find(close)).filter(|at| *at > 0);
        scan.step(at);
        match found {
            Some(found) => {
                let end = open + width + found + close.len();
                let role = match mark {
                    b'`' => Role::Literal,
                    b'[' => Role::Link,
                    _ => Role::Type,
                };
                scan.take(end, role);
            }
            None => scan.step(width),
        }
    }
    scan.take_rest(Role::Source);
    LexerState::default()
}
