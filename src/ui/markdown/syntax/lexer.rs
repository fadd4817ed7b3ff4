//! Code that is words, strings, numbers and comments: most languages.

use super::LexerState;
use super::language::{Language, LexerFlags, StringQuote};
use crate::ui::theme::Role;

/// In a comment of several lines.
const COMMENT_MODE: u8 = 1;
/// In the string of that row of the language's table.
const STRING_MODE: u8 = 2;
/// In a string of Rust's between so many `#`.
const RAW_STRING_MODE: u8 = 40;

/// A place in a line. Every step moves on by at least one character.
pub(super) struct LineScan<'a, 'b> {
    pub(super) line: &'a str,
    /// What is before it was put.
    done: usize,
    pub(super) at: usize,
    put: &'b mut dyn FnMut(&str, Role),
}

impl<'a, 'b> LineScan<'a, 'b> {
    pub(super) fn new(line: &'a str, put: &'b mut dyn FnMut(&str, Role)) -> Self {
        Self { line, done: 0, at: 0, put }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.line.get(self.at..).unwrap_or("")
    }

    pub(super) fn byte(&self, ahead: usize) -> u8 {
        self.line.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    pub(super) fn is_done(&self) -> bool {
        self.at >= self.line.len()
    }

    /// Returns the byte before, or zero.
    pub(super) fn before(&self) -> u8 {
        self.at.checked_sub(1).and_then(|at| self.line.as_bytes().get(at)).copied().unwrap_or(0)
    }

    /// Puts what was stepped over as what it is, and then up to `end` as `role`.
    pub(super) fn take(&mut self, end: usize, role: Role) {
        self.flush_plain();
        let end = self.line.ceil_char_boundary(end);
        if let Some(text) = self.line.get(self.at..end).filter(|text| !text.is_empty()) {
            (self.put)(text, role);
        }
        self.at = end;
        self.done = end;
    }

    /// Steps over `bytes` that are nothing special.
    pub(super) fn step(&mut self, bytes: usize) {
        self.at = self.line.ceil_char_boundary(self.at + bytes);
    }

    pub(super) fn take_rest(&mut self, role: Role) {
        self.take(self.line.len(), role);
    }

    /// Puts what was only stepped over.
    pub(super) fn flush_plain(&mut self) {
        if let Some(text) = self.line.get(self.done..self.at).filter(|text| !text.is_empty()) {
            (self.put)(text, Role::Source);
        }
        self.done = self.at;
    }

    /// Hands the next `part` to someone else.
    pub(super) fn nested(
        &mut self,
        part: &str,
        read: impl FnOnce(&mut dyn FnMut(&str, Role)) -> LexerState,
    ) -> LexerState {
        self.flush_plain();
        let state = read(&mut *self.put);
        self.at += part.len();
        self.done = self.at;
        state
    }

    /// Returns the end of the run of bytes that are like that, from `from` on.
    pub(super) fn run(&self, from: usize, like: impl Fn(u8) -> bool) -> usize {
        let bytes = self.line.as_bytes().get(from..).unwrap_or(&[]);
        from + bytes.iter().position(|&byte| !like(byte)).unwrap_or(bytes.len())
    }
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// Returns whether a list of words between blanks has that one.
pub(super) fn has_word(list: &str, word: &str) -> bool {
    let ends = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_whitespace);
    let bytes = list.as_bytes();
    memchr::memmem::find_iter(bytes, word.as_bytes())
        .any(|at| ends(at.checked_sub(1).and_then(|at| bytes.get(at))) && ends(bytes.get(at + word.len())))
}

pub(super) fn line(language: &Language, state: LexerState, line: &str, put: &mut dyn FnMut(&str, Role)) -> LexerState {
    let mut scan = LineScan::new(line, put);
    let state = words(language, state, &mut scan);
    scan.flush_plain();
    state
}

/// Reads to the end of the line.
pub(super) fn words(language: &Language, mut state: LexerState, scan: &mut LineScan<'_, '_>) -> LexerState {
    if state == LexerState::default() && language.flags.directives {
        directive(scan);
    }
    while !scan.is_done() {
        state = match state.mode {
            COMMENT_MODE => comment(language, state, scan),
            RAW_STRING_MODE => hashed(state, scan),
            mode if mode >= STRING_MODE => {
                let quote = language.quotes.get(usize::from(mode - STRING_MODE));
                quote.map_or(LexerState::default(), |quote| string(quote, mode, scan, scan.at))
            }
            _ => token(language, scan),
        };
    }
    state
}

/// `#include <x>`, `#define X`.
fn directive(scan: &mut LineScan<'_, '_>) {
    let start = scan.run(0, |byte| byte == b' ');
    if scan.line.as_bytes().get(start) == Some(&b'#') {
        let name = scan.run(start + 1, |byte| byte == b' ');
        let end = scan.run(name, is_word);
        scan.take(end, Role::Attribute);
        if scan.rest().trim_start().starts_with('<') {
            let end = scan.rest().find('>').map_or(scan.line.len(), |at| scan.at + at + 1);
            scan.take(end, Role::Literal);
        }
    }
}

fn token(language: &Language, scan: &mut LineScan<'_, '_>) -> LexerState {
    let habits = language.flags;
    let byte = scan.byte(0);
    if byte == b' ' {
        scan.step(1);
        return LexerState::default();
    }
    if !is_word(byte)
        && let Some(state) = opening(language, scan)
    {
        return state;
    }
    match byte {
        b'0'..=b'9' => number(scan),
        b'.' if scan.byte(1).is_ascii_digit() && !is_word(scan.before()) && scan.before() != b'.' => number(scan),
        b'\'' if habits.rust => character(scan),
        b'#' if habits.rust && matches!(scan.byte(1), b'[' | b'!') => {
            let end = scan.rest().find(']').map_or(scan.line.len(), |at| scan.at + at + 1);
            scan.take(end, Role::Attribute);
        }
        b'@' if habits.at_words && is_word(scan.byte(1)) => {
            let end = scan.run(scan.at + 1, |byte| is_word(byte) || byte == b'.');
            scan.take(end, Role::Attribute);
        }
        b'$' if habits.dollars => {
            let end = match scan.byte(1) {
                b'{' => scan.rest().find('}').map_or(scan.line.len(), |at| scan.at + at + 1),
                b'?' | b'!' | b'#' | b'@' | b'*' | b'$' | b'-' => scan.at + 2,
                _ => scan.run(scan.at + 1, is_word),
            };
            scan.take(end, Role::Attribute);
        }
        _ if is_word(byte) => return word(language, scan),
        _ => scan.step(1),
    }
    LexerState::default()
}

/// Reads a comment or string that begins here, if one does.
fn opening(language: &Language, scan: &mut LineScan<'_, '_>) -> Option<LexerState> {
    let rest = scan.rest();
    if let Some((open, _)) = &language.block_comment
        && rest.starts_with(open.as_str())
    {
        scan.take(scan.at + open.len(), Role::Comment);
        return Some(LexerState { mode: COMMENT_MODE, depth: 1 });
    }
    let spaced = !language.flags.spaced_comments || matches!(scan.before(), 0 | b' ' | b'\t' | b';' | b'(');
    if spaced && language.comments.iter().any(|mark| rest.starts_with(mark.as_str())) {
        scan.take_rest(Role::Comment);
        return Some(LexerState::default());
    }
    let (index, quote) = language.quotes.iter().enumerate().find(|(_, quote)| rest.starts_with(&quote.open))?;
    let from = scan.at + quote.open.len();
    Some(quoted(language, quote, STRING_MODE + index as u8, scan, from))
}

/// Reads a string whose text begins at `from`; before a colon it may be a key.
fn quoted(language: &Language, quote: &StringQuote, mode: u8, scan: &mut LineScan<'_, '_>, from: usize) -> LexerState {
    if language.flags.string_keys
        && let Some(end) = string_end(quote, scan.line, from)
        && scan.line.get(end..).is_some_and(|after| after.trim_start().starts_with(':'))
    {
        scan.take(end, Role::Attribute);
        return LexerState::default();
    }
    string(quote, mode, scan, from)
}

fn string(quote: &StringQuote, mode: u8, scan: &mut LineScan<'_, '_>, from: usize) -> LexerState {
    if let Some(end) = string_end(quote, scan.line, from) {
        scan.take(end, Role::Literal);
        return LexerState::default();
    }
    let goes_on = quote.is_multiline || (quote.escapes && scan.line.ends_with('\\'));
    scan.take_rest(Role::Literal);
    if goes_on { LexerState { mode, depth: 0 } } else { LexerState::default() }
}

/// Returns where a string ends on this line.
fn string_end(quote: &StringQuote, line: &str, from: usize) -> Option<usize> {
    let bytes = line.as_bytes();
    let close = quote.close().as_bytes();
    let mut at = from;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'\\' && quote.escapes {
            at += 2;
        } else if bytes.get(at..).is_some_and(|rest| rest.starts_with(close)) {
            return Some(at + close.len());
        } else {
            at += 1;
        }
    }
    None
}

fn comment(language: &Language, state: LexerState, scan: &mut LineScan<'_, '_>) -> LexerState {
    let Some((open, close)) = &language.block_comment else { return LexerState::default() };
    let mut depth = state.depth;
    let mut at = scan.at;
    let bytes = scan.line.as_bytes();
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(close.as_bytes()) {
            at += close.len();
            depth -= 1;
            if depth == 0 {
                scan.take(at, Role::Comment);
                return LexerState::default();
            }
        } else if language.flags.nests && depth < u8::MAX && rest.starts_with(open.as_bytes()) {
            at += open.len();
            depth += 1;
        } else {
            at += 1;
        }
    }
    scan.take_rest(Role::Comment);
    LexerState { depth, ..state }
}

/// `r#"…"#` of Rust: ends at a quote with as many `#`.
fn hashed(state: LexerState, scan: &mut LineScan<'_, '_>) -> LexerState {
    let hashes = usize::from(state.depth);
    for (at, _) in scan.rest().match_indices('"') {
        let after = scan.at + at + 1;
        if scan.run(after, |byte| byte == b'#') - after >= hashes {
            scan.take(after + hashes, Role::Literal);
            return LexerState::default();
        }
    }
    scan.take_rest(Role::Literal);
    state
}

/// A character of Rust's, or a lifetime.
fn character(scan: &mut LineScan<'_, '_>) {
    let mut chars = scan.rest().char_indices().skip(1);
    let end = match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
        }
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1),
        None => None,
    };
    if let Some(end) = end {
        scan.take(scan.at + end, Role::Literal);
    } else {
        let end = scan.run(scan.at + 1, is_word);
        scan.take(end, Role::Attribute);
    }
}

fn number(scan: &mut LineScan<'_, '_>) {
    let bytes = scan.line.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let hex = at(scan.at) == b'0' && matches!(at(scan.at + 1), b'x' | b'X');
    let mut end = scan.at + 1;
    loop {
        let byte = at(end);
        let exponent = !hex && matches!(byte, b'+' | b'-') && matches!(at(end - 1), b'e' | b'E');
        // `1..2` is a range and `1.max()` a call.
        let point = byte == b'.' && at(end + 1).is_ascii_digit();
        if byte.is_ascii_alphanumeric() || byte == b'_' || (exponent && at(end + 1).is_ascii_digit()) || point {
            end += 1;
        } else {
            break;
        }
    }
    scan.take(end, Role::Number);
}

fn word(language: &Language, scan: &mut LineScan<'_, '_>) -> LexerState {
    let habits = language.flags;
    let end = word_end(habits, scan);
    let word = scan.line.get(scan.at..end).unwrap_or("");
    let after = scan.line.as_bytes().get(end).copied().unwrap_or(0);
    if habits.rust && matches!(word, "r" | "br" | "cr") && matches!(after, b'"' | b'#') {
        let hashes = scan.run(end, |byte| byte == b'#');
        if scan.line.as_bytes().get(hashes) == Some(&b'"') {
            let depth = u8::try_from(hashes - end).unwrap_or(u8::MAX);
            scan.take(hashes + 1, Role::Literal);
            return LexerState { mode: RAW_STRING_MODE, depth };
        }
    }
    // `f"…"`, `b'…'`, `L"…"`: a letter or two before a string belong to it.
    if word.len() <= 2
        && matches!(after, b'"' | b'\'')
        && !habits.dashes
        && let Some((index, quote)) = language.quotes.iter().enumerate().find(|(_, quote)| {
            quote.open.len() <= 3 && scan.line.get(end..).is_some_and(|rest| rest.starts_with(&quote.open))
        })
    {
        return string(quote, STRING_MODE + index as u8, scan, end + quote.open.len());
    }
    let role = word_role(language, word, scan, end);
    if role == Role::Source {
        scan.step(word.len());
    } else {
        scan.take(end, role);
    }
    LexerState::default()
}

fn word_end(habits: LexerFlags, scan: &LineScan<'_, '_>) -> usize {
    if habits.dashes { scan.run(scan.at, |byte| is_word(byte) || byte == b'-') } else { scan.run(scan.at, is_word) }
}

fn word_role(language: &Language, word: &str, scan: &LineScan<'_, '_>, end: usize) -> Role {
    let habits = language.flags;
    let is =
        |list: &str| if habits.any_case { has_word(list, &word.to_ascii_lowercase()) } else { has_word(list, word) };
    // What hangs on a dot is a name, whatever it is called.
    let hangs = scan.before() == b'.';
    if !hangs && is(&language.keywords) {
        return Role::Keyword;
    }
    if !hangs && is(&language.constants) {
        return Role::Number;
    }
    if is(&language.types) {
        return Role::Type;
    }
    let after = scan.line.as_bytes().get(end).copied().unwrap_or(0);
    if habits.rust && after == b'!' && scan.line.as_bytes().get(end + 1) != Some(&b'=') {
        return Role::Function;
    }
    if habits.calls && after == b'(' {
        return Role::Function;
    }
    if habits.capitals && word.starts_with(|c: char| c.is_ascii_uppercase()) {
        let all = word.len() > 1 && !word.contains(|c: char| c.is_ascii_lowercase());
        return if all { Role::Number } else { Role::Type };
    }
    Role::Source
}
