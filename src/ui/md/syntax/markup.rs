//! Tags and Markdown: text with marks in it, and other languages inside.

use super::State;
use super::lines::{inner, read_inner};
use super::table::Language;
use super::words::{Scan, is_word};
use crate::ui::theme::Role;

/// Between the brackets of a tag; the depth is the quote that is open in it.
const TAG: u8 = 50;
const COMMENT: u8 = 51;
/// In a script or style; the mode inside is added.
const SCRIPT: u8 = 100;
const STYLE: u8 = 160;
/// In a fenced block of Markdown, by its mark; the depth is how many opened it.
const TICKS: u8 = 60;
const TILDES: u8 = 61;

pub(super) fn markup(language: &Language, mut state: State, line: &str, put: &mut dyn FnMut(&str, Role)) -> State {
    let mut scan = Scan::new(line, put);
    while !scan.is_done() {
        state = match state.mode {
            TAG => tag(state, &mut scan),
            COMMENT => comment(language, &mut scan),
            STYLE.. => embedded("css", "</style", STYLE, state, &mut scan),
            SCRIPT.. => embedded("js", "</script", SCRIPT, state, &mut scan),
            _ => text(language, &mut scan),
        };
    }
    scan.settle();
    state
}

fn text(language: &Language, scan: &mut Scan<'_, '_>) -> State {
    let Some(at) = memchr::memchr2(b'<', b'&', scan.rest().as_bytes()) else {
        scan.step(scan.rest().len());
        return State::default();
    };
    scan.step(at);
    let rest = scan.rest();
    if let Some((open, _)) = language.block
        && rest.starts_with(open)
    {
        scan.take(scan.at + open.len(), Role::Comment);
        return State { mode: COMMENT, depth: 0 };
    }
    if rest.starts_with('&') {
        let end = scan.run(scan.at + 1, |byte| byte.is_ascii_alphanumeric() || byte == b'#');
        if end > scan.at + 1 && scan.line.as_bytes().get(end) == Some(&b';') {
            scan.take(end + 1, Role::Number);
        } else {
            scan.step(1);
        }
        return State::default();
    }
    let name = scan.run(scan.at + 1, |byte| matches!(byte, b'/' | b'!' | b'?'));
    let end = scan.run(name, |byte| is_word(byte) || matches!(byte, b'-' | b':' | b'.'));
    if end == name {
        scan.step(1);
        return State::default();
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
    State { mode: TAG, depth: depth << 4 }
}

/// The depth's lower half is the open quote, its upper half what follows the tag.
fn tag(state: State, scan: &mut Scan<'_, '_>) -> State {
    let (follows, quote) = (state.depth >> 4, state.depth & 0x0f);
    if quote > 0 {
        let mark = if quote == 1 { b'"' } else { b'\'' };
        let end = memchr::memchr(mark, scan.rest().as_bytes());
        scan.take(end.map_or(scan.line.len(), |at| scan.at + at + 1), Role::Literal);
        return State { mode: TAG, depth: if end.is_some() { follows << 4 } else { state.depth } };
    }
    match scan.byte(0) {
        mark @ (b'"' | b'\'') => {
            scan.take(scan.at + 1, Role::Literal);
            return State { mode: TAG, depth: follows << 4 | if mark == b'"' { 1 } else { 2 } };
        }
        b'>' => {
            scan.take(scan.at + 1, Role::Keyword);
            return match follows {
                1 => State { mode: SCRIPT, depth: 0 },
                2 => State { mode: STYLE, depth: 0 },
                _ => State::default(),
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

fn comment(language: &Language, scan: &mut Scan<'_, '_>) -> State {
    let close = language.block.map_or("-->", |(_, close)| close);
    if let Some(at) = scan.rest().find(close) {
        scan.take(scan.at + at + close.len(), Role::Comment);
        return State::default();
    }
    scan.take_rest(Role::Comment);
    State { mode: COMMENT, depth: 0 }
}

fn embedded(name: &str, close: &str, base: u8, state: State, scan: &mut Scan<'_, '_>) -> State {
    let end = scan.rest().find(close).map(|at| scan.at + at);
    let Some(language) = inner(name) else {
        scan.take_rest(Role::Source);
        return state;
    };
    let inside = State { mode: state.mode - base, depth: state.depth };
    let left = read_inner(language, inside, end.unwrap_or(scan.line.len()), scan);
    match end {
        Some(_) => text(language_of_tags(), scan),
        None => State { mode: base + left.mode, depth: left.depth },
    }
}

fn language_of_tags() -> &'static Language {
    inner("html").unwrap_or(&super::languages::PLAIN)
}

pub(super) fn markdown(state: State, line: &str, put: &mut dyn FnMut(&str, Role)) -> State {
    let trimmed = line.trim_start();
    let ticks = trimmed.len() - trimmed.trim_start_matches('`').len();
    let tildes = trimmed.len() - trimmed.trim_start_matches('~').len();
    match state.mode {
        TICKS | TILDES => {
            let marks = if state.mode == TICKS { ticks } else { tildes };
            let closes = marks >= usize::from(state.depth) && trimmed.trim_end().len() == marks;
            put(line, if closes { Role::Dim } else { Role::Literal });
            return if closes { State::default() } else { state };
        }
        _ if ticks >= 3 || tildes >= 3 => {
            put(line, Role::Dim);
            let (mode, marks) = if ticks >= 3 { (TICKS, ticks) } else { (TILDES, tildes) };
            return State { mode, depth: u8::try_from(marks).unwrap_or(u8::MAX) };
        }
        _ => {}
    }
    let mut scan = Scan::new(line, put);
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
    State::default()
}
