//! The links and files that were mentioned, to be opened: what each really points to, and what may be opened at all.
//!
//! Not for opening (`app`). The invariant: a target is shown and opened as one and the same text, and only schemes on
//! the list are opened.

use std::collections::HashSet;
use std::sync::LazyLock;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, TextMergeStream};
use regex::Regex;
use serde_json::Value;

use super::item_source::{ItemField, field_text};
use super::tool_calls::ToolCalls;
use super::transcript::{ItemKind, TranscriptItem};

/// Links listed at once: as many as there are letters for them.
pub const MAX_LINKS: usize = LINK_LETTERS.len();
/// The letters of a list, in its order.
const LINK_LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxz";
/// Copies what is chosen, and so is no letter of a list.
pub const COPY_KEY: char = 'y';
/// Bytes of one item that are looked through.
const MAX_SCANNED_BYTES: usize = 256 << 10;
/// Items looked through for the newest links.
const MAX_SCANNED_ITEMS: usize = 200;
/// What may be opened.
const OPENABLE_SCHEMES: [&str; 3] = ["http", "https", "mailto"];
/// Arguments that name a file.
const PATH_ARGUMENTS: [&str; 5] = ["path", "file_path", "file", "filename", "filepath"];

/// Returns the letter of a link in its list.
pub fn letter(nth: usize) -> Option<char> {
    LINK_LETTERS.get(nth).copied().map(char::from)
}

/// Returns which link has this letter, small or capital.
pub fn index_of_letter(letter: char) -> Option<usize> {
    LINK_LETTERS.iter().position(|known| char::from(*known) == letter.to_ascii_lowercase())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LinkTarget {
    /// With a scheme that may be opened.
    Url(String),
    /// Relative to the session's folder, or absolute.
    File(String),
    /// With a scheme that is never opened; it can be copied.
    Other(String),
}

impl LinkTarget {
    /// Reads what a link points to; places in the same text are none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        // One letter before the colon is a drive, not a scheme.
        let scheme = text.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| {
            scheme.len() > 1 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        Some(match scheme.map(str::to_ascii_lowercase) {
            Some(scheme) if OPENABLE_SCHEMES.contains(&scheme.as_str()) => Self::Url(text.to_owned()),
            Some(scheme) if scheme == "file" => {
                let path = text.get(5..).unwrap_or_default();
                Self::File(path.strip_prefix("//").unwrap_or(path).to_owned())
            }
            Some(_) => Self::Other(text.to_owned()),
            None => Self::File(text.split('#').next().unwrap_or(text).to_owned()),
        })
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Url(text) | Self::File(text) | Self::Other(text) => text,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What the text calls it; empty where it is called by its target.
    pub text: String,
    pub target: LinkTarget,
}

/// Returns the links of these items, given newest first; those of one item in its order.
pub fn links<'a>(items: impl Iterator<Item = TranscriptItem<'a>>, tools: &ToolCalls) -> Vec<Link> {
    let mut all = Vec::new();
    let mut known = HashSet::new();
    for item in items.take(MAX_SCANNED_ITEMS) {
        for link in item_links(item, tools) {
            if all.len() < MAX_LINKS && known.insert(link.target.clone()) {
                all.push(link);
            }
        }
    }
    all
}

fn item_links(item: TranscriptItem<'_>, tools: &ToolCalls) -> Vec<Link> {
    let mut found = Vec::new();
    match item.kind {
        ItemKind::Answer { text, .. } => find_markdown_links(scanned_part(text), &mut found),
        ItemKind::Prompt { text } => find_bare_urls(scanned_part(text), &mut found),
        ItemKind::Call { call } => {
            let args = tools.get(call).and_then(|call| serde_json::from_str::<Value>(&call.args).ok());
            for name in PATH_ARGUMENTS {
                let path = args.as_ref().and_then(|args| args.get(name)).and_then(Value::as_str);
                if let Some(path) = path.filter(|path| !path.is_empty()) {
                    let target = LinkTarget::parse(path).filter(|target| matches!(target, LinkTarget::Url(_)));
                    let target = target.unwrap_or_else(|| LinkTarget::File(path.to_owned()));
                    found.push(Link { text: String::new(), target });
                }
            }
            for name in [ItemField::Text, ItemField::Output] {
                find_bare_urls(scanned_part(&field_text(item, tools, name)), &mut found);
            }
        }
        ItemKind::Thinking { .. }
        | ItemKind::Notice { .. }
        | ItemKind::Compaction { .. }
        | ItemKind::TurnSummary { .. } => {}
    }
    found
}

fn scanned_part(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_SCANNED_BYTES)]
}

fn find_markdown_links(text: &str, out: &mut Vec<Link>) {
    let mut open: Option<Link> = None;
    for event in TextMergeStream::new(Parser::new_ext(text, Options::ENABLE_GFM | Options::ENABLE_TABLES)) {
        match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                open = LinkTarget::parse(&dest_url).map(|target| Link { text: String::new(), target });
            }
            Event::End(TagEnd::Link | TagEnd::Image) => out.extend(open.take().map(|mut link| {
                if link.text == link.target.as_str() {
                    link.text.clear();
                }
                link
            })),
            Event::Text(words) | Event::Code(words) => match &mut open {
                Some(link) => link.text.push_str(&words),
                None => find_bare_urls(&words, out),
            },
            _ => {}
        }
    }
}

/// Finds bare addresses.
fn find_bare_urls(text: &str, out: &mut Vec<Link>) {
    static URL_REGEX: LazyLock<Option<Regex>> = LazyLock::new(|| {
        let mail = r"\b[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+";
        Regex::new(&format!(r#"\bhttps?://[^\s<>"'`\\^{{}}|\p{{Cc}}\p{{Cf}}]+|{mail}"#)).ok()
    });
    let Some(address) = URL_REGEX.as_ref() else { return };
    for found in address.find_iter(text) {
        if !found.as_str().contains("://") {
            // `git@host:path` is no mail.
            let after = text.get(found.end()..).unwrap_or("");
            if !after.starts_with('/') && after.strip_prefix(':').is_none_or(|path| path.starts_with([' ', '\n'])) {
                out.push(Link { text: String::new(), target: LinkTarget::Url(format!("mailto:{}", found.as_str())) });
            }
            continue;
        }
        let mut url = found.as_str().trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_']);
        // A bracket that was opened before the address ends it.
        while let Some(rest) = url.strip_suffix([')', ']']) {
            if url.matches(['(', '[']).count() >= url.matches([')', ']']).count() {
                break;
            }
            url = rest.trim_end_matches(['.', ',']);
        }
        out.push(Link { text: String::new(), target: LinkTarget::Url(url.to_owned()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, LinkTarget)> {
        let mut out = Vec::new();
        find_markdown_links(text, &mut out);
        out.into_iter().map(|link| (link.text, link.target)).collect()
    }

    fn url(text: &str) -> LinkTarget {
        LinkTarget::Url(text.into())
    }

    #[test]
    fn links_are_found_with_what_they_really_point_to() {
        let text = "See [the docs](https://docs.example/a \"t\"), <https://b.example>, https://c.example/x_(y). \
                    And [code](src/main.rs#L3), [up](#here), ![shot](./a.png)";
        let expected = [
            ("the docs", url("https://docs.example/a")),
            ("", url("https://b.example")),
            ("", url("https://c.example/x_(y)")),
            ("code", LinkTarget::File("src/main.rs".into())),
            ("shot", LinkTarget::File("./a.png".into())),
        ];
        assert_eq!(found(text), expected.map(|(text, target)| (text.to_owned(), target)));
    }

    #[test]
    fn a_mail_address_is_a_link_and_a_remote_is_none() {
        let mail = |address: &str| (String::new(), url(&format!("mailto:{address}")));
        assert_eq!(found("ask ada@example.org, or b.c+d@e.f: now"), [mail("ada@example.org"), mail("b.c+d@e.f")]);
        assert_eq!(found("clone git@host.org:a/b, see @you and a@b"), []);
    }

    #[test]
    fn only_known_schemes_can_be_opened() {
        for text in ["javascript:alert(1)", "data:text/html,x", "vscode://x", "JavaScript:x"] {
            assert_eq!(LinkTarget::parse(text), Some(LinkTarget::Other(text.into())));
        }
        assert_eq!(LinkTarget::parse("HTTPS://a"), Some(url("HTTPS://a")));
        assert_eq!(LinkTarget::parse("mailto:a@b.c"), Some(url("mailto:a@b.c")));
        assert_eq!(LinkTarget::parse("file:///etc/hosts"), Some(LinkTarget::File("/etc/hosts".into())));
        assert_eq!(LinkTarget::parse("#part"), None);
    }

    #[test]
    fn an_address_ends_before_what_surrounds_it() {
        let cases = [
            ("(https://a.example/b)", "https://a.example/b"),
            ("https://a.example/b\u{202e}c", "https://a.example/b"),
            ("\"https://a.example/?q=1&r=[2]\".", "https://a.example/?q=1&r=[2]"),
            ("**https://a.example**", "https://a.example"),
        ];
        for (text, expected) in cases {
            let mut out = Vec::new();
            find_bare_urls(text, &mut out);
            assert_eq!(out.first().map(|link| link.target.as_str()), Some(expected), "{text}");
        }
    }
}
