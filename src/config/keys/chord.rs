//! PURE. Keys with their modifiers, and their notation in the settings.

use std::fmt;

/// A key without its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// As typed: `G`, not shift and `g`.
    Char(char),
    Enter,
    Esc,
    Tab,
    Backspace,
    Delete,
    Insert,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// Names of keys: the canonical one, other accepted ones, and the one to display.
pub(super) const KEY_NAMES: &[(Key, &[&str], &str)] = &[
    (Key::Enter, &["enter", "return"], "Enter"),
    (Key::Esc, &["esc", "escape"], "Esc"),
    (Key::Tab, &["tab"], "Tab"),
    (Key::Backspace, &["backspace"], "Backspace"),
    (Key::Delete, &["delete", "del"], "Delete"),
    (Key::Insert, &["insert", "ins"], "Insert"),
    (Key::Left, &["left"], "←"),
    (Key::Right, &["right"], "→"),
    (Key::Up, &["up"], "↑"),
    (Key::Down, &["down"], "↓"),
    (Key::Home, &["home"], "Home"),
    (Key::End, &["end"], "End"),
    (Key::PageUp, &["pgup", "pageup", "page-up"], "PgUp"),
    (Key::PageDown, &["pgdn", "pagedown", "page-down"], "PgDn"),
    (Key::Char(' '), &["space"], "Space"),
    (Key::Char('+'), &["plus"], "+"),
    (Key::Char('-'), &["minus"], "-"),
    (Key::Char(','), &["comma"], ","),
    (Key::Char('.'), &["period", "dot"], "."),
];

/// A key with its modifiers, in normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chord {
    pub ctrl: bool,
    pub alt: bool,
    pub shift: bool,
    pub key: Key,
}

impl Chord {
    /// Normalizes: shift is part of a typed character, and with ctrl or alt a letter is lower case, so that a binding
    /// means the same in every terminal.
    pub fn new(key: Key, ctrl: bool, alt: bool, shift: bool) -> Self {
        let Key::Char(c) = key else { return Self { ctrl, alt, shift, key } };
        if c.is_alphabetic() && (ctrl || alt) {
            let small = c.to_lowercase().next().unwrap_or(c);
            return Self { ctrl, alt, shift: shift || small != c, key: Key::Char(small) };
        }
        let c = if shift && c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c };
        Self { ctrl, alt, shift: false, key: Key::Char(c) }
    }

    pub fn plain(key: Key) -> Self {
        Self::new(key, false, false, false)
    }

    /// Returns the character that this chord types, if any.
    pub fn typed_char(self) -> Option<char> {
        match self.key {
            Key::Char(c) if !self.ctrl && !self.alt && !c.is_control() => Some(c),
            _ => None,
        }
    }

    /// Parses the notation of the settings: `ctrl+j`, `shift+enter`, `alt+up`, `f1`, `space`, `?`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let (mut ctrl, mut alt, mut shift) = (false, false, false);
        // `+` can be the key itself, so it ends a modifier only if something follows.
        while let Some((word, behind)) =
            rest.split_once('+').filter(|(word, behind)| !word.is_empty() && !behind.is_empty())
        {
            match word.trim().to_ascii_lowercase().as_str() {
                "ctrl" | "control" => ctrl = true,
                "alt" | "option" | "meta" => alt = true,
                "shift" => shift = true,
                _ => return None,
            }
            rest = behind.trim();
        }
        let mut chars = rest.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            // `Ctrl+J` means what `ctrl+j` means.
            let c = if ctrl || alt { c.to_lowercase().next().unwrap_or(c) } else { c };
            return (!c.is_control()).then(|| Self::new(Key::Char(c), ctrl, alt, shift));
        }
        let word = rest.to_ascii_lowercase();
        let key = KEY_NAMES.iter().find(|(_, names, _)| names.contains(&word.as_str())).map(|(key, ..)| *key).or_else(
            || {
                let number = word.strip_prefix('f')?.parse().ok()?;
                (1..=24).contains(&number).then_some(Key::F(number))
            },
        )?;
        Some(Self::new(key, ctrl, alt, shift))
    }

    /// Returns the name to display: `Ctrl+J`, `Shift+Enter`, `↑`.
    pub fn display_name(self) -> String {
        let name = match self.key {
            Key::Char(c) if (self.ctrl || self.alt) && c.is_alphabetic() => c.to_uppercase().collect(),
            key => KEY_NAMES
                .iter()
                .find(|(named, ..)| *named == key)
                .map_or_else(|| key.display_name(), |(.., label)| (*label).into()),
        };
        format!("{}{name}", self.modifier_prefix("Ctrl+", "Alt+", "Shift+"))
    }

    fn modifier_prefix(self, ctrl: &str, alt: &str, shift: &str) -> String {
        [(self.ctrl, ctrl), (self.alt, alt), (self.shift, shift)]
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, name)| *name)
            .collect()
    }
}

impl Key {
    fn display_name(self) -> String {
        match self {
            Self::Char(c) => c.to_string(),
            Self::F(number) => format!("F{number}"),
            _ => String::new(),
        }
    }
}

impl fmt::Display for Chord {
    /// Formats in the notation of [`Chord::parse`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KEY_NAMES.iter().find(|(key, ..)| *key == self.key).and_then(|(_, names, _)| names.first().copied());
        let modifiers = self.modifier_prefix("ctrl+", "alt+", "shift+");
        match name {
            Some(name) => write!(f, "{modifiers}{name}"),
            None => match self.key {
                Key::F(number) => write!(f, "{modifiers}f{number}"),
                key => write!(f, "{modifiers}{}", key.display_name()),
            },
        }
    }
}
