//! The languages of `assets/languages.toml`: what begins a comment, what a string, which words are special.
//!
//! Not for reading lines. The invariant: a table is enough for [`super::lexer`]; only what is not a list of words (tags,
//! keys, headings) has code of its own, named by its [`LexerKind`].

use std::sync::{LazyLock, OnceLock};

use serde::Deserialize;

/// All of them, each read when its code is first shown: the whole file makes ten thousand small strings.
pub(super) static LANGUAGES: LazyLock<Vec<LanguageTable>> = LazyLock::new(|| {
    let tables = include_str!("../../../../assets/languages.toml").split("[[language]]\n").skip(1);
    tables.map(|text| LanguageTable { text, language: OnceLock::new() }).collect()
});

/// One table of the file; its first line has the names.
pub(super) struct LanguageTable {
    text: &'static str,
    language: OnceLock<Language>,
}

impl LanguageTable {
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.text.lines().next().unwrap_or_default().split('"').skip(1).step_by(2)
    }

    pub(super) fn language(&self) -> &Language {
        self.language.get_or_init(|| toml::from_str(self.text).unwrap_or_default())
    }
}

/// Code that nothing is known of.
pub(super) static PLAIN_LANGUAGE: LazyLock<Language> = LazyLock::new(Language::default);

/// How a language's lines are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LexerKind {
    #[default]
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
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StringQuote {
    pub(super) open: String,
    /// The opening again where nothing is said.
    close: Option<String>,
    /// A backslash takes the next character's meaning away.
    #[serde(default = "yes")]
    pub(super) escapes: bool,
    /// Goes on on the next line.
    #[serde(default, rename = "multiline")]
    pub(super) is_multiline: bool,
}

fn yes() -> bool {
    true
}

impl StringQuote {
    pub(super) fn close(&self) -> &str {
        self.close.as_deref().unwrap_or(&self.open)
    }
}

/// What else words can be.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
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

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Language {
    pub(super) names: Vec<String>,
    pub(super) lexer: LexerKind,
    pub(super) comments: Vec<String>,
    pub(super) block_comment: Option<(String, String)>,
    /// The longest opening first.
    pub(super) quotes: Vec<StringQuote>,
    /// Words between blanks; in small letters where case means nothing.
    pub(super) keywords: String,
    pub(super) types: String,
    pub(super) constants: String,
    pub(super) flags: LexerFlags,
}
