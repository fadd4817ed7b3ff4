//! Colors for code: what each piece of a line is, by tables of words for some fifty languages.
//!
//! Not a parser: it may take a word for what it isn't, and nobody is hurt. The invariants: the pieces of a line joined
//! are the line; a line costs O(line) and needs only the [`LexerState`] that the line before left; nothing here can
//! fail or loop. That is why it isn't a grammar engine: regular expressions with look-around have no such bound,
//! and their grammars take more memory than the rest of the program.

mod language;
mod lexer;
mod line_formats;
mod markup;

use crate::ui::theme::Role;

use language::{LANGUAGES, Language, LexerKind};

/// Lines are read up to here; what follows is shown without colours.
const MAX_LINE_BYTES: usize = 4096;
/// Longest name of a language.
const MAX_NAME_BYTES: usize = 24;

/// What a line of code ends in: nothing, or the middle of a string, a comment, a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LexerState {
    mode: u8,
    depth: u8,
}

/// A language, and where its code stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Syntax {
    /// One more than its row in the table; zero is no language.
    language: u8,
    state: LexerState,
}

impl Syntax {
    /// Returns the language that a code block's label names, at the start of its code.
    pub fn named(label: &str) -> Self {
        let name = label.trim_start_matches("language-").trim_start_matches(['{', '.']);
        let end = name.find([' ', '\t', ',', '{', '}', ':', ';', '=']).unwrap_or(name.len());
        let name = name.get(..end).unwrap_or("");
        // A file's name is as good as its ending.
        let name = name.rsplit_once('.').map_or(name, |(_, ending)| ending);
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Self::default();
        }
        let found = LANGUAGES.iter().position(|row| row.names().any(|known| known.eq_ignore_ascii_case(name)));
        Self { language: found.map_or(0, |at| at as u8 + 1), state: LexerState::default() }
    }

    pub fn is_none(self) -> bool {
        self.language == 0
    }

    /// Returns a number that tells it from any other.
    pub fn stamp(self) -> u64 {
        u64::from(self.language) << 16 | u64::from(self.state.mode) << 8 | u64::from(self.state.depth)
    }

    /// Reads one line, without its newline, and calls `put` for each piece of it in order.
    pub fn line(&mut self, line: &str, put: &mut dyn FnMut(&str, Role)) {
        let Some(language) = usize::from(self.language).checked_sub(1).and_then(|row| LANGUAGES.get(row)) else {
            put(line, Role::Source);
            return;
        };
        let (read, rest) = line.split_at(line.floor_char_boundary(MAX_LINE_BYTES));
        self.state = read_line(language.language(), self.state, read, put);
        if !rest.is_empty() {
            put(rest, Role::Source);
            self.state = LexerState::default();
        }
    }

    /// Reads lines for what they leave.
    pub fn advance(&mut self, lines: &str) {
        if !self.is_none() {
            for line in lines.lines() {
                self.line(line, &mut |_, _| {});
            }
        }
    }
}

fn read_line(language: &Language, state: LexerState, line: &str, put: &mut dyn FnMut(&str, Role)) -> LexerState {
    match language.lexer {
        LexerKind::Generic => lexer::line(language, state, line, put),
        LexerKind::Diff => {
            put(line, diff_role(line));
            LexerState::default()
        }
        LexerKind::Keys => line_formats::key_value(language, state, line, put),
        LexerKind::Css => line_formats::css(language, state, line, put),
        LexerKind::Docker => line_formats::docker(language, state, line, put),
        LexerKind::Make => line_formats::make(language, state, line, put),
        LexerKind::Console => line_formats::console(language, state, line, put),
        LexerKind::Markup => markup::markup(language, state, line, put),
        LexerKind::Markdown => markup::markdown(state, line, put),
    }
}

pub use line_formats::diff_role;

#[cfg(test)]
mod tests;
