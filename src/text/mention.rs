//! Mentions of files in a prompt: `@src/a.rs`, `@src/a.rs:10-40`, `@"a name with spaces.md"`.
//!
//! Not here: whether there is such a file. A mention begins a word, so that an address (`a@b.example`) is none.

use std::ops::Range;

/// A file or folder that a text names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMention {
    /// Where it stands, its `@` included.
    pub range: Range<usize>,
    pub path: String,
    /// The first and the last line, from 1, both included.
    pub lines: Option<(usize, usize)>,
}

impl FileMention {
    /// Returns it as it may be the address of a resource of a server: the server's name, and the address.
    pub fn resource(&self) -> Option<(&str, String)> {
        let (server, address) = self.path.split_once(':')?;
        let lines = match self.lines {
            Some((first, last)) if first == last => format!(":{first}"),
            Some((first, last)) => format!(":{first}-{last}"),
            None => String::new(),
        };
        (!server.is_empty() && !address.is_empty()).then(|| (server, format!("{address}{lines}")))
    }

    /// Tells whether it can only be meant as a file: a bare word may be a name, as of a person or an annotation.
    pub fn is_certain(&self) -> bool {
        self.lines.is_some() || self.path.contains(['/', '.', '~', ' '])
    }
}

/// Returns what a text mentions, in order. O(text).
pub fn file_mentions(text: &str) -> Vec<FileMention> {
    let mut found: Vec<FileMention> = Vec::new();
    for at in memchr::memchr_iter(b'@', text.as_bytes()) {
        if found.last().is_some_and(|last| at < last.range.end) || !begins_word(&text[..at]) {
            continue;
        }
        if let Some(mention) = mention_at(text, at) {
            found.push(mention);
        }
    }
    found
}

/// Returns where the mention begins that ends at the end of a text, and what was typed of its path. For completion.
pub fn open_mention(before_cursor: &str) -> Option<(usize, &str)> {
    let at = before_cursor.rfind('@').filter(|at| begins_word(&before_cursor[..*at]))?;
    let typed = &before_cursor[at + 1..];
    match typed.strip_prefix('"') {
        Some(quoted) => (!quoted.contains('"')).then_some((at, quoted)),
        None => (!typed.contains(char::is_whitespace)).then_some((at, typed)),
    }
}

/// Writes a mention of a path.
pub fn write_mention(path: &str) -> String {
    if path.contains(char::is_whitespace) || path.ends_with([',', '.', ';', ':', '!', '?', ')', ']', '}']) {
        format!("@\"{path}\"")
    } else {
        format!("@{path}")
    }
}

/// Returns the path that a dropped file comes as: a paste of one absolute path, quoted, escaped or as an address.
pub fn dropped_path(paste: &str) -> Option<String> {
    let text = paste.trim();
    if text.is_empty() || text.len() > MAX_PATH_BYTES || text.contains(['\n', '\r']) {
        return None;
    }
    let quoted = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote).filter(|inner| !inner.contains(quote));
    let path = match quoted('\'').or_else(|| quoted('"')) {
        Some(inner) => inner.to_owned(),
        // Terminals escape as for a shell; a space without it begins another word.
        None => unescape(text)?,
    };
    (path.starts_with('/') && path.len() > 1).then_some(path)
}

/// Longest path of a file on common systems.
const MAX_PATH_BYTES: usize = 4096;

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next()?),
            c if c.is_whitespace() => return None,
            c => out.push(c),
        }
    }
    Some(out)
}

fn begins_word(before: &str) -> bool {
    before.chars().next_back().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '[' | '{' | '"' | '\'' | '`'))
}

fn mention_at(text: &str, at: usize) -> Option<FileMention> {
    let rest = &text[at + 1..];
    let (path, length, lines) = match rest.strip_prefix('"').map(quoted_path) {
        Some(quoted) => quoted?,
        None => bare_path(rest)?,
    };
    let is_path = !path.is_empty() && path.len() <= MAX_PATH_BYTES && !path.contains('@');
    is_path.then(|| FileMention { range: at..at + 1 + length, path: path.to_owned(), lines })
}

/// A path, the bytes of the mention behind its `@`, and its lines.
type WrittenPath<'a> = (&'a str, usize, Option<(usize, usize)>);

/// Reads what stands behind the opening quote.
fn quoted_path(quoted: &str) -> Option<WrittenPath<'_>> {
    let end = quoted.find(['"', '\n'])?;
    let behind = quoted.get(end + 1..)?.split(char::is_whitespace).next()?;
    let number = behind.trim_end_matches(|c: char| !c.is_ascii_digit());
    let lines = number.strip_prefix(':').and_then(line_range);
    let digits = if lines.is_some() { number.len() } else { 0 };
    Some((&quoted[..end], end + 2 + digits, lines))
}

fn bare_path(rest: &str) -> Option<WrittenPath<'_>> {
    let word = rest.split(char::is_whitespace).next()?;
    // What closes a sentence or a bracket is none of the path.
    let word = word.trim_end_matches([',', '.', ';', ':', '!', '?', ')', ']', '}', '"', '\'', '`']);
    let numbered = word.rsplit_once(':').and_then(|(path, lines)| Some((path, line_range(lines)?)));
    Some(numbered.map_or((word, word.len(), None), |(path, lines)| (path, word.len(), Some(lines))))
}

fn line_range(text: &str) -> Option<(usize, usize)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_found_at_the_start_of_words() {
        type Found<'a> = &'a [(&'a str, &'a str, Option<(usize, usize)>)];
        let cases: &[(&str, Found<'_>)] = &[
            ("fix @src/a.rs, please", &[("@src/a.rs", "src/a.rs", None)]),
            (
                "@a.rs:10-40 and (@b.rs:7).",
                &[("@a.rs:10-40", "a.rs", Some((10, 40))), ("@b.rs:7", "b.rs", Some((7, 7)))],
            ),
            ("@\"a b.md\" @\"c d\":3-4, x", &[("@\"a b.md\"", "a b.md", None), ("@\"c d\":3-4", "c d", Some((3, 4)))]),
            ("see @src/ and @~/x", &[("@src/", "src/", None), ("@~/x", "~/x", None)]),
            ("@a:40-10 @b:0", &[("@a:40-10", "a:40-10", None), ("@b:0", "b:0", None)]),
            ("me@example.org @ @\"open @@x", &[]),
            ("@über.md\n@é", &[("@über.md", "über.md", None), ("@é", "é", None)]),
        ];
        for (text, expected) in cases {
            let found = file_mentions(text);
            let shown: Vec<_> =
                found.iter().map(|found| (&text[found.range.clone()], found.path.as_str(), found.lines)).collect();
            assert_eq!(shown, *expected, "{text}");
        }
        assert!(file_mentions("@a.rs @x:3").iter().all(FileMention::is_certain));
        assert!(!file_mentions("@Override")[0].is_certain());
    }

    #[test]
    fn what_is_being_typed_is_a_mention_until_its_word_ends() {
        let cases = [
            ("@", Some((0, ""))),
            ("see @sr", Some((4, "sr"))),
            ("@\"a b", Some((0, "a b"))),
            ("@a b", None),
            ("@\"a b\"", None),
            ("a@b", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(open_mention(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for path in ["src/a.rs", "a b.md", "src/", "odd.", "x)"] {
            let text = format!("see {}", write_mention(path));
            let found = file_mentions(&text);
            assert_eq!((found.len(), found[0].path.as_str()), (1, path));
        }
    }

    #[test]
    fn a_dropped_file_is_one_absolute_path() {
        let cases = [
            ("/tmp/a.rs", Some("/tmp/a.rs")),
            ("'/tmp/a b.png' ", Some("/tmp/a b.png")),
            ("\"/tmp/a b\"", Some("/tmp/a b")),
            ("/tmp/a\\ b", Some("/tmp/a b")),
            ("/tmp/a b", None),
            ("/", None),
            ("src/a.rs", None),
            ("/tmp/a\n/tmp/b", None),
            ("'/a' '/b'", None),
        ];
        for (paste, expected) in cases {
            assert_eq!(dropped_path(paste).as_deref(), expected, "{paste}");
        }
    }
}
