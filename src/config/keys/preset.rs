//! PURE. Tables of keys with a name, which lie below the person's own.

use super::binding::{BindingEntry, parse_binding};

/// What the keys are like before the person changes any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPreset {
    Default,
    Vim,
    Emacs,
    Claude,
    Codex,
}

const DEFAULT_TABLE: &str = include_str!("../../../assets/keys/default.toml");

impl KeyPreset {
    pub const ALL: [Self; 5] = [Self::Default, Self::Vim, Self::Emacs, Self::Claude, Self::Codex];

    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Vim => "vim",
            Self::Emacs => "emacs",
            Self::Claude => "claude",
            Self::Codex => "codex",
        }
    }

    /// Returns its table, and those below it, the lowest first.
    pub(super) fn tables(self) -> impl Iterator<Item = &'static str> {
        let own = match self {
            Self::Default => None,
            Self::Vim => Some(include_str!("../../../assets/keys/vim.toml")),
            Self::Emacs => Some(include_str!("../../../assets/keys/emacs.toml")),
            Self::Claude => Some(include_str!("../../../assets/keys/claude.toml")),
            Self::Codex => Some(include_str!("../../../assets/keys/codex.toml")),
        };
        [DEFAULT_TABLE].into_iter().chain(own)
    }
}

/// Parses a table in its order, which a map would lose. The files are ours: sections in brackets, then quoted pairs, one
/// per line. A test checks them; an invalid binding would be skipped.
pub(super) fn parse_table(table: &str) -> Vec<BindingEntry> {
    let mut context = "";
    let mut entries = Vec::new();
    for line in table.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            context = name;
        } else if let Some((keys, action)) = line.split_once("\" = \"") {
            let (keys, action) = (keys.trim_start_matches('"'), action.trim_end_matches('"'));
            entries.extend(parse_binding(context, keys, action));
        }
    }
    entries
}
