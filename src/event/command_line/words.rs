//! Words of a command line without their quotes.

use std::borrow::Cow;

/// A word of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// Without quotes; where a part is only known when the command runs, that part as it is written.
    pub text: String,
    /// Whether all of it is known before the command runs.
    pub is_literal: bool,
}

impl Word {
    pub(super) fn literal(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_literal: true }
    }

    /// Reads a word as bash does. Globs and a leading tilde stay as they are: they stand for files.
    pub(super) fn read(source: &str) -> Self {
        let mut word = Self { text: String::with_capacity(source.len()), is_literal: true };
        let mut rest = source.chars().peekable();
        let mut has_brace = false;
        while let Some(c) = rest.next() {
            match c {
                '\\' => match rest.next() {
                    Some('\n') | None => {}
                    Some(escaped) => word.text.push(escaped),
                },
                '\'' => word.text.extend(rest.by_ref().take_while(|c| *c != '\'')),
                '"' => word.read_double_quoted(&mut rest),
                '$' => match rest.peek() {
                    Some('\'') => {
                        rest.next();
                        word.read_ansi_quoted(&mut rest);
                    }
                    Some('"') => {}
                    Some(next) if next.is_alphanumeric() || "_{(@*#?$!-[".contains(*next) => word.push_unknown(c),
                    _ => word.text.push(c),
                },
                '`' => word.push_unknown(c),
                '<' | '>' if rest.peek() == Some(&'(') => word.push_unknown(c),
                '{' => {
                    has_brace = true;
                    word.text.push(c);
                }
                ',' | '.' if has_brace && (c == ',' || rest.peek() == Some(&'.')) => word.push_unknown(c),
                _ => word.text.push(c),
            }
        }
        word
    }

    fn push_unknown(&mut self, c: char) {
        self.is_literal = false;
        self.text.push(c);
    }

    fn read_double_quoted(&mut self, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        while let Some(c) = rest.next() {
            match c {
                '"' => return,
                '\\' => match rest.next() {
                    Some('\n') | None => {}
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => self.text.push(escaped),
                    Some(other) => self.text.extend(['\\', other]),
                },
                '`' => self.push_unknown(c),
                '$' if rest.peek().is_some_and(|next| next.is_alphanumeric() || "_{(@*#?$!-[".contains(*next)) => {
                    self.push_unknown(c);
                }
                _ => self.text.push(c),
            }
        }
    }

    /// Reads what stands in `$'…'`. Rare escapes leave the word unknown.
    fn read_ansi_quoted(&mut self, rest: &mut std::iter::Peekable<std::str::Chars<'_>>) {
        while let Some(c) = rest.next() {
            match c {
                '\'' => return,
                '\\' => match rest.next() {
                    Some('n') => self.text.push('\n'),
                    Some('t') => self.text.push('\t'),
                    Some('r') => self.text.push('\r'),
                    Some(escaped @ ('\\' | '\'' | '"' | '?')) => self.text.push(escaped),
                    Some('x') => self.push_code(rest, 16, 2, 0),
                    Some('u') => self.push_code(rest, 16, 4, 0),
                    Some(digit @ '0'..='7') => self.push_code(rest, 8, 2, digit as u32 - '0' as u32),
                    Some(other) => {
                        self.text.push('\\');
                        self.push_unknown(other);
                    }
                    None => {}
                },
                _ => self.text.push(c),
            }
        }
    }

    fn push_code(
        &mut self,
        rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
        radix: u32,
        digits: usize,
        first: u32,
    ) {
        let mut code = first;
        for _ in 0..digits {
            let Some(digit) = rest.peek().and_then(|c| c.to_digit(radix)) else { break };
            code = code * radix + digit;
            rest.next();
        }
        match char::from_u32(code).filter(char::is_ascii) {
            // A NUL ends the string for bash.
            Some('\0') | None => self.push_unknown('\u{fffd}'),
            Some(c) => self.text.push(c),
        }
    }

    /// Returns the word as a shell would need it; what isn't known stays as it is written.
    pub(super) fn quoted(&self) -> Cow<'_, str> {
        let is_plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,~*?[]{}^!#".contains(c);
        if !self.is_literal || (!self.text.is_empty() && self.text.chars().all(is_plain)) {
            return Cow::Borrowed(&self.text);
        }
        Cow::Owned(format!("'{}'", self.text.replace('\'', "'\\''")))
    }

    /// Returns what follows the last slash.
    pub(super) fn program_name(&self) -> &str {
        self.text.rsplit('/').next().unwrap_or_default()
    }

    /// Returns whether it stands for file names or for several words, so that nobody knows what it becomes.
    pub(super) fn expands(&self) -> bool {
        !self.is_literal || self.text.contains(['*', '?', '[', '{'])
    }

    /// Returns whether it is `NAME=…`.
    pub(super) fn is_assignment(&self) -> bool {
        self.text.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty()
                && !name.starts_with(|c: char| c.is_ascii_digit())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "_[]+".contains(c))
        })
    }
}
