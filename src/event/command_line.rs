//! What a command line would run, read as bash reads it, for rules that allow and deny.
//!
//! The syntax is read by tree-sitter's grammar of bash; what a command runs in turn (`sh -c`, `find -exec`, `xargs`,
//! `trap` …) is read from its words. Where the commands are only known when they run, [`CommandLine::unread`] says so:
//! no rule allows such a line, and one that denies some commands makes it a question.

mod nested;
mod syntax;
#[cfg(test)]
mod tests;
mod words;

use super::glob::{MatchScope, glob_matches};
use nested::InputText;
use words::Word;

/// Nothing that a person would allow by a rule is longer.
const MAX_LINE_BYTES: usize = 64 << 10;
/// How deep commands stand in strings of other commands.
const MAX_DEPTH: usize = 8;

/// The parts of a command line, in the order in which they stand; what a part runs in turn comes after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    pub parts: Vec<CommandPart>,
    /// Why it may run other commands as well.
    pub unread: Option<String>,
    /// It hides what it runs deeper than an honest line does.
    is_evasive: bool,
    /// What may be commands in a line that can't be read.
    suspected: Vec<CommandPart>,
}

/// A command with its arguments, or a redirection of it to or from a file, such as `> out.txt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandPart {
    /// As it is written.
    pub text: String,
    words: Vec<Word>,
    /// The place in `words` of what is run, behind programs that only limit it, such as `timeout 5`.
    program_at: usize,
    /// Whether it does more than to run other parts.
    needs_rule: bool,
    /// 0 for what stands in the line itself, more for what another part runs in turn.
    depth: usize,
}

impl CommandLine {
    /// Reads a command line. O(length), but for commands in strings of commands, of which eight may stand in each other.
    pub fn read(line: &str) -> Self {
        let mut read = Self::default();
        nested::read_into(line, &InputText::None, 0, &mut read);
        if read.unread.is_some() {
            read.suspected = nested::suspected(line);
        }
        read
    }

    /// Returns the parts that a rule has to allow: all but those that only run other parts.
    pub fn parts_with_rules(&self) -> impl Iterator<Item = &CommandPart> {
        self.parts.iter().filter(|part| part.needs_rule)
    }

    /// Returns whether all of it stands in the line itself: nothing is run in turn, or known only when it runs.
    pub(super) fn is_flat(&self) -> bool {
        self.unread.is_none() && self.parts.iter().all(|part| part.depth == 0)
    }

    /// Returns whether a denying glob matches one of its parts, or may.
    pub fn is_denied_by(&self, glob: &str) -> bool {
        self.is_evasive || self.parts.iter().chain(&self.suspected).any(|part| part.is_denied_by(glob))
    }

    fn set_unread(&mut self, why: impl Into<String>) {
        self.unread.get_or_insert_with(|| why.into());
    }
}

impl CommandPart {
    /// Returns whether an allowing glob matches it. A `*` stands for any text, but not for what is only known when the
    /// command runs.
    pub fn is_allowed_by(&self, glob: &str) -> bool {
        let scope = if self.is_literal() { MatchScope::Anything } else { MatchScope::NoOperators };
        let matches = |text: &str| glob_matches(glob, text, scope);
        matches(&self.text) || (self.is_literal() && (matches(&self.plain(0)) || matches(&self.plain(self.program_at))))
    }

    /// Returns whether a denying glob matches it, however its words are quoted, whatever the folder of its program and
    /// behind whatever program that runs it.
    pub fn is_denied_by(&self, glob: &str) -> bool {
        let matches = |text: &str| glob_matches(glob, text, MatchScope::Anything);
        matches(&self.text) || nested::denied_forms(&self.words).iter().any(|form| matches(form))
    }

    /// Returns whether its words are known before it runs.
    pub fn is_literal(&self) -> bool {
        self.words.iter().all(|word| word.is_literal)
    }

    /// Returns the program's name, without its folder; none for a redirection.
    pub fn program(&self) -> Option<&str> {
        let word = self.words.get(self.program_at)?;
        (!self.is_redirection()).then(|| word.program_name())
    }

    /// Returns the words from the program on.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.words.get(self.program_at..).unwrap_or_default().iter().map(|word| word.text.as_str())
    }

    /// Returns whether it is a redirection to or from a file.
    pub fn is_redirection(&self) -> bool {
        self.text.starts_with(['<', '>'])
    }

    /// Returns its words from this one on, quoted where they have to be.
    fn plain(&self, from: usize) -> String {
        let words = self.words.get(from..).unwrap_or_default();
        words.iter().map(Word::quoted).collect::<Vec<_>>().join(" ")
    }
}
