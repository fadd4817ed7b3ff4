//! The link definitions and notes of a whole text, of which each block is given those that it may use.
//!
//! Not for what they lead to. The invariant: what a block is given depends on its own size, not on how many there are.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use pulldown_cmark::{Event, Parser, Tag};

use super::{nesting, options};

/// Definitions up to this many bytes are handed to every block.
const MAX_SHARED_BYTES: usize = 4 * 1024;
/// CommonMark's limit of a name.
const MAX_LABEL_CHARS: usize = 999;
/// Notes of one block that are known before they come.
const MAX_AWAITED_FOOTNOTES: usize = 64;

/// What a text defines: where the names of links lead, and which notes there are.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    /// One below the other, as they are written; notes without their text.
    all: String,
    /// Where those of a name are in it.
    places: HashMap<String, Range<usize>>,
    stamp: u64,
}

impl Definitions {
    /// Reads a whole text. O(text).
    pub fn parse(text: &str) -> Self {
        if memchr::memmem::find(text.as_bytes(), b"]:").is_none() {
            return Self::default();
        }
        let structure = &*nesting::structure_only(text);
        let parser = Parser::new_ext(structure, options());
        let mut spans: Vec<Range<usize>> =
            parser.reference_definitions().iter().map(|(_, definition)| definition.span.clone()).collect();
        spans.sort_by_key(|span| span.start);
        let mut found = Self::default();
        for definition in spans.into_iter().filter_map(|span| text.get(span)) {
            found.add(definition);
        }
        if memchr::memmem::find(text.as_bytes(), b"[^").is_some() {
            for event in parser {
                if let Event::Start(Tag::FootnoteDefinition(name)) = event {
                    found.add(&["\n[^", &name, "]: ."].concat());
                }
            }
        }
        if !found.all.is_empty() {
            let mut hasher = DefaultHasher::new();
            found.all.hash(&mut hasher);
            found.stamp = hasher.finish();
        }
        found
    }

    fn add(&mut self, definition: &str) {
        if !self.all.is_empty() {
            self.all.push('\n');
        }
        let start = self.all.len();
        self.all.push_str(definition);
        if let Some((name, _)) = definition.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
            // Of two of a name the first counts.
            self.places.entry(normalize_label(name)).or_insert(start..self.all.len());
        }
    }

    /// All of them as they are written.
    pub fn as_str(&self) -> &str {
        &self.all
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// A number that is another one for other definitions; zero without any.
    pub fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Returns those that a block may use. O(block).
    pub(super) fn used_by(&self, source: &str) -> Cow<'_, str> {
        if self.all.len() <= MAX_SHARED_BYTES {
            return Cow::Borrowed(&self.all);
        }
        let mut out = String::new();
        let mut seen = HashSet::new();
        let places = bracket_labels(source).into_iter().filter_map(|name| self.places.get(&normalize_label(name)));
        for place in places.filter(|place| seen.insert(place.start)) {
            out.push_str(self.all.get(place.clone()).unwrap_or(""));
            out.push('\n');
        }
        Cow::Owned(out)
    }
}

/// Returns whether a text may define where links lead: there is a name in brackets with a colon that names no note.
pub fn may_define_links(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut from = 0;
    memchr::memmem::find_iter(bytes, b"]:").any(|end| {
        let name = bytes.get(std::mem::replace(&mut from, end + 2)..end).unwrap_or(&[]);
        memchr::memrchr(b'[', name).is_some_and(|open| {
            let escaped = open > 0 && name.get(open - 1) == Some(&b'\\');
            escaped || name.get(open + 1) != Some(&b'^')
        })
    })
}

/// Returns that there will be a note for each number in brackets with a roof: notes come last, and must not change what
/// has been read by then.
pub(super) fn awaited_footnotes(source: &str) -> String {
    let mut out = String::new();
    for at in memchr::memmem::find_iter(source.as_bytes(), b"[^").take(MAX_AWAITED_FOOTNOTES) {
        let digits = source.get(at + 2..).unwrap_or("");
        let length = digits.bytes().take_while(u8::is_ascii_digit).count();
        if (1..=3).contains(&length) && digits.get(length..).is_some_and(|rest| rest.starts_with(']')) {
            let note = format!("\n\n[^{}]: .", digits.get(..length).unwrap_or(""));
            if !out.contains(&note) {
                out.push_str(&note);
            }
        }
    }
    out
}

/// Returns what stands between brackets that hold no other ones.
fn bracket_labels(source: &str) -> Vec<&str> {
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let mut open = None;
    for at in memchr::memchr2_iter(b'[', b']', bytes) {
        let escaped = at > 0 && bytes.get(at - 1) == Some(&b'\\');
        match bytes.get(at) {
            _ if escaped => {}
            Some(b'[') => open = Some(at + 1),
            _ => {
                let name =
                    open.take().filter(|start| at - start <= MAX_LABEL_CHARS).and_then(|start| source.get(start..at));
                found.extend(name);
            }
        }
    }
    found
}

fn normalize_label(name: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return name.to_ascii_lowercase();
    }
    name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_definitions_a_block_is_given_those_it_names() {
        let text = (0..2000).map(|nth| format!("[Name  {nth}]: /{nth}\n'title\n{nth}'\n")).collect::<Vec<_>>().concat();
        let definitions = Definitions::parse(&text);
        let used = definitions.used_by("[name\n7] [x][NAME 8] ![y [name 9]] [name 7] [a\\[b] [none] ]] [[");
        let expected = [7, 8, 9].map(|nth| format!("[Name  {nth}]: /{nth}\n'title\n{nth}'\n")).concat();
        assert_eq!(used, expected);
        let few = Definitions::parse("[a]: /b\n\n[^c]: d\n");
        assert_eq!(few.used_by("x"), "[a]: /b\n\n[^c]: .");
        assert!(Definitions::parse("[a] b").is_empty());
    }

    #[test]
    fn notes_define_no_links() {
        for text in ["[a]: /b", "see\n\n[a\nb]: /c", "[^1]: x\n[a]: y", "[a\\[^b]: /c", "x [y]: z"] {
            assert!(may_define_links(text), "{text}");
        }
        for text in ["", "[a] b: c", "[^1]: x\n\n[^2]: y]: z", "a ]: b", "]:]:]:"] {
            assert!(!may_define_links(text), "{text}");
        }
    }

    #[test]
    fn of_two_definitions_of_a_name_the_first_counts() {
        let more: Vec<String> = (0..1000).map(|nth| format!("[b{nth}]: /c\n")).collect();
        let text = "[a]: /first\n[A]: /second\n".to_owned() + &more.concat();
        assert_eq!(Definitions::parse(&text).used_by("[a]"), "[a]: /first\n");
    }
}
