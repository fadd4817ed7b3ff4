//! What a row of the languages says: what begins a comment, what a string, which words are special.
//!
//! Not for reading lines, nor the rows themselves. The invariant: a row is enough for [`super::lexer`]; only what is no
//! list of words (tags, keys, headings) has code of its own, named by its [`LexerKind`].

/// How a language's lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LexerKind {
    Generic,
    Diff,
    /// `key: value`, `key = value`, `[section]`.
    Keys,
    Markup,
    Css,
    Markdown,
    /// An instruction begins the line, the rest is shell.
    Docker,
    Make,
    /// `$ command`, and what it printed.
    Console,
}

/// A string: what begins and ends it.
#[derive(Clone, Copy, Debug)]
pub(super) struct StringQuote {
    pub(super) open: &'static str,
    pub(super) close: &'static str,
    /// A backslash takes the next character's meaning away.
    pub(super) escapes: bool,
    /// Goes on on the next line.
    pub(super) is_multiline: bool,
}

/// What else words can be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LexerFlags {
    /// A word that begins with a capital names a type.
    pub(super) capitals: bool,
    /// A word before a bracket is called.
    pub(super) calls: bool,
    /// Words mean the same in capitals.
    pub(super) any_case: bool,
    /// `#include` and the like, alone on their line.
    pub(super) directives: bool,
    /// `@name`.
    pub(super) at_words: bool,
    /// `$name`.
    pub(super) dollars: bool,
    /// `name!` is a macro, `'a` a lifetime, `r#"…"#` a string, `#[…]` an attribute.
    pub(super) rust: bool,
    /// A dash belongs to a word.
    pub(super) dashes: bool,
    /// A string before a colon is a key.
    pub(super) string_keys: bool,
    /// Comments nest.
    pub(super) nests: bool,
    /// A comment begins only at the start of a word.
    pub(super) spaced_comments: bool,
}

#[derive(Debug)]
pub(super) struct Language {
    pub(super) names: &'static [&'static str],
    pub(super) lexer: LexerKind,
    pub(super) comments: &'static [&'static str],
    pub(super) block_comment: Option<(&'static str, &'static str)>,
    /// The longest opening first.
    pub(super) quotes: &'static [StringQuote],
    /// Words between blanks; in small letters where case means nothing.
    pub(super) keywords: &'static str,
    pub(super) types: &'static str,
    pub(super) constants: &'static str,
    pub(super) flags: LexerFlags,
}
