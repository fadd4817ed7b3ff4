//! Data inside of a text: addresses such as `data:image/png;base64,…` that hold a whole file.
//!
//! A picture of a megabyte in one line is nothing to read and nothing to lay out: [`DataUrlShortener`] hands on a text
//! that has only the head of such data, and behind it how much there was and a hash that finds it again. [`parse`]
//! reads an address in either form. Not for decoding. The invariants: while a text grows its short form grows at the
//! end only, and a text without long data is not copied.

use std::fmt;
use std::ops::Range;

use super::human::binary_size;

/// Letters that stay of long data: what a small icon takes.
const MAX_KEPT_CHARS: usize = 512;
const BASE64_MARKER: &[u8] = b";base64,";
/// How long the kind before the mark may be.
const MAX_MEDIA_TYPE_BYTES: usize = 128;

/// Names the data of one text: two that differ have different keys, if nobody tries to make them equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataKey {
    /// Letters of base64.
    pub chars: u64,
    pub hash: u64,
}

impl DataKey {
    const EMPTY: Self = Self { chars: 0, hash: 0xcbf2_9ce4_8422_2325 };

    pub fn hash_of(payload: &str) -> Self {
        let mut key = Self::EMPTY;
        key.update(payload.as_bytes());
        key
    }

    fn update(&mut self, bytes: &[u8]) {
        self.chars += bytes.len() as u64;
        self.hash = bytes.iter().fold(self.hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    }

    fn is_shortened(self) -> bool {
        self.chars > MAX_KEPT_CHARS as u64
    }
}

/// What stands behind the head of long data.
impl fmt::Display for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ".{}.{:016x}", self.chars, self.hash)
    }
}

/// What an address says about its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataUrl<'a> {
    /// Such as `image/png`. From outside.
    pub media_type: &'a str,
    /// None where it isn't base64, or not whole.
    pub key: Option<DataKey>,
    pub bytes: u64,
}

/// The name that stands for the address: `data: image/png, 12 KB`.
impl fmt::Display for DataUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "data: {}, {}",
            self.media_type.get(..MAX_MEDIA_TYPE_BYTES).unwrap_or(self.media_type),
            binary_size(self.bytes)
        )
    }
}

/// Reads an address that holds data, shortened or not.
pub fn parse(url: &str) -> Option<DataUrl<'_>> {
    let rest = url.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).and_then(|_| url.get(5..))?;
    let (head, payload) = rest.split_once(',')?;
    let kind = Some(head.split(';').next().unwrap_or("").trim()).filter(|kind| !kind.is_empty());
    let kind = kind.unwrap_or("text/plain");
    if !head.get(head.len().saturating_sub(7)..).is_some_and(|end| end.eq_ignore_ascii_case(";base64")) {
        return Some(DataUrl { media_type: kind, key: None, bytes: payload.len() as u64 });
    }
    let (letters, mark) = payload.split_at(base64_len(payload.as_bytes()));
    if mark.is_empty() {
        let padding = letters.bytes().rev().take(2).take_while(|byte| *byte == b'=').count();
        let bytes = (letters.len() / 4 * 3 + letters.len() % 4 * 3 / 4).saturating_sub(padding) as u64;
        return Some(DataUrl { media_type: kind, key: Some(DataKey::hash_of(letters)), bytes });
    }
    let key = mark.strip_prefix('.').and_then(|mark| mark.split_once('.')).and_then(|(letters, hash)| {
        Some(DataKey { chars: letters.parse().ok()?, hash: u64::from_str_radix(hash, 16).ok()? })
    });
    let bytes = key.map_or(payload.len() as u64, |key| key.chars);
    Some(DataUrl { media_type: kind, key, bytes: bytes / 4 * 3 })
}

/// Returns the letters of the data that a key names. O(text).
pub fn find_payload(text: &str, key: DataKey) -> Option<&str> {
    let is_it = |payload: &&str| payload.len() as u64 == key.chars && DataKey::hash_of(payload) == key;
    payloads(text).find(is_it)
}

/// Returns what of a short text was cut from `whole` with everything that it had there. O(text).
pub fn restore_payloads(short: &str, whole: &str) -> String {
    let mut text = short.to_owned();
    for payload in payloads(whole).filter(|payload| payload.len() > MAX_KEPT_CHARS) {
        let (head, key) = (payload.get(..MAX_KEPT_CHARS).unwrap_or(""), DataKey::hash_of(payload));
        text = text.replace(&format!("{head}{key}"), payload);
    }
    text
}

/// Makes the short form of a text while it grows.
#[derive(Clone, Debug, Default)]
pub struct DataUrlShortener {
    /// None as long as there is nothing to shorten.
    short: Option<String>,
    /// Up to where the text was looked at.
    scanned: usize,
    /// The data that go on there.
    open_payload: Option<DataKey>,
    omitted: Vec<OmittedData>,
}

/// What was left out, and the mark in its place.
#[derive(Clone, Debug)]
struct OmittedData {
    full: Range<usize>,
    short: Range<usize>,
}

impl DataUrlShortener {
    /// Takes what has been added: `whole` begins with what was taken before. O(what was added). Nothing follows after
    /// the last time.
    pub fn extend(&mut self, whole: &str, last: bool) {
        if self.scanned > whole.len() || !whole.is_char_boundary(self.scanned) {
            *self = Self::default();
        }
        while self.scanned < whole.len() {
            let rest = whole.as_bytes().get(self.scanned..).unwrap_or(&[]);
            if self.open_payload.is_some() {
                let length = base64_len(rest);
                self.scan_payload(whole, length);
                if length < rest.len() {
                    self.end_payload();
                }
            } else {
                let begins = find_payload_start(whole, self.scanned);
                let end = begins.unwrap_or(whole.len());
                self.copy(whole, end);
                self.scanned = end;
                self.open_payload = begins.map(|_| DataKey::EMPTY);
            }
        }
        if last {
            self.end_payload();
        }
    }

    /// The short form; none where it is the text itself.
    pub fn short_text(&self) -> Option<&str> {
        self.short.as_deref()
    }

    /// Returns where a place of the text is in the short form.
    pub fn to_short(&self, at: usize) -> usize {
        match self.omitted.iter().rfind(|cut| cut.full.start <= at) {
            Some(cut) if at < cut.full.end => cut.short.start,
            Some(cut) => at - cut.full.end + cut.short.end,
            None => at,
        }
    }

    /// Returns where a place of the short form is in the text.
    pub fn to_full(&self, at: usize) -> usize {
        match self.omitted.iter().rfind(|cut| cut.short.start <= at) {
            Some(cut) if at < cut.short.end => cut.full.start,
            Some(cut) => at - cut.short.end + cut.full.end,
            None => at,
        }
    }

    /// Reads letters of the open data.
    fn scan_payload(&mut self, whole: &str, length: usize) {
        let Some(key) = &mut self.open_payload else { return };
        let left = MAX_KEPT_CHARS.saturating_sub(key.chars as usize);
        key.update(whole.as_bytes().get(self.scanned..self.scanned + length).unwrap_or(&[]));
        let becomes_long = length > left && left > 0;
        let kept = self.scanned + length.min(left);
        if becomes_long && self.short.is_none() {
            self.short = whole.get(..kept).map(ToOwned::to_owned);
        } else {
            self.copy(whole, kept);
        }
        self.scanned += length;
    }

    fn end_payload(&mut self) {
        let Some(key) = self.open_payload.take().filter(|key| key.is_shortened()) else { return };
        let Some(short) = &mut self.short else { return };
        let start = short.len();
        short.push_str(&key.to_string());
        let left_out = key.chars as usize - MAX_KEPT_CHARS;
        self.omitted.push(OmittedData { full: self.scanned - left_out..self.scanned, short: start..short.len() });
    }

    fn copy(&mut self, whole: &str, end: usize) {
        if let (Some(short), Some(piece)) = (&mut self.short, whole.get(self.scanned..end)) {
            short.push_str(piece);
        }
    }
}

/// Iterates over the letters of all data in a text.
fn payloads(text: &str) -> impl Iterator<Item = &str> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = find_payload_start(text, at)?;
        at = start + base64_len(text.as_bytes().get(start..)?);
        text.get(start..at)
    })
}

/// Returns where data begin that nobody has looked at so far: behind a mark that ends after `from`.
fn find_payload_start(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from.saturating_sub(BASE64_MARKER.len() - 1);
    loop {
        let mark = at + memchr::memmem::find(bytes.get(at..)?, BASE64_MARKER)?;
        at = mark + BASE64_MARKER.len();
        let before = bytes.get(mark.saturating_sub(MAX_MEDIA_TYPE_BYTES)..mark).unwrap_or(&[]);
        let scheme = before.windows(5).rposition(|five| five.eq_ignore_ascii_case(b"data:"));
        let kind = scheme.and_then(|scheme| before.get(scheme + 5..));
        if at > from && kind.is_some_and(|kind| kind.iter().all(|byte| is_media_type_byte(*byte))) {
            return Some(at);
        }
    }
}

fn is_media_type_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/;=+-._".contains(&byte)
}

/// Returns how many letters of base64 stand there, those that an address escapes included.
fn base64_len(bytes: &[u8]) -> usize {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_%".contains(byte);
    bytes.iter().position(|byte| !is_letter(byte)).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn short(text: &str) -> DataUrlShortener {
        let mut shortener = DataUrlShortener::default();
        shortener.extend(text, true);
        shortener
    }

    #[test]
    fn data_are_named_by_kind_and_size() {
        for (url, expected) in [
            ("data:image/png;base64,AAAA", "data: image/png, 3 bytes"),
            ("DATA:image/png;x=y;BASE64,AAA=", "data: image/png, 2 bytes"),
            ("data:,hello", "data: text/plain, 5 bytes"),
            ("data:image/svg+xml,%3Csvg", "data: image/svg+xml, 6 bytes"),
            ("data:;base64,A", "data: text/plain, 0 bytes"),
        ] {
            assert_eq!(parse(url).unwrap().to_string(), expected, "{url}");
        }
        for url in ["data:", "date:,x", "https://x", "", "dataé,"] {
            assert_eq!(parse(url), None, "{url}");
        }
    }

    #[test]
    fn long_data_are_cut_and_found_again() {
        let payload = "abcd".repeat(40_000);
        let text = format!("One ![x](data:image/png;base64,{payload}) and `data:image/gif;base64,R0lG` two.");
        let shortener = short(&text);
        let cut = shortener.short_text().unwrap();
        assert!(cut.len() < 700 && cut.ends_with(") and `data:image/gif;base64,R0lG` two."), "{cut}");
        let url = cut.split(['(', ')']).nth(1).unwrap();
        let data = parse(url).unwrap();
        assert_eq!(data.to_string(), "data: image/png, 118 KB");
        assert_eq!(find_payload(&text, data.key.unwrap()), Some(payload.as_str()));
        assert_eq!(find_payload(&text, DataKey { hash: 1, ..data.key.unwrap() }), None);
        assert_eq!(restore_payloads(cut, &text), text);
        let (there, here) = (text.find(" and").unwrap(), cut.find(" and").unwrap());
        assert_eq!((shortener.to_short(there), shortener.to_full(here)), (here, there));
        assert_eq!((shortener.to_short(3), shortener.to_full(3)), (3, 3));
    }

    #[test]
    fn a_text_without_long_data_is_not_copied() {
        let icon = format!("data:image/png;base64,{}", "A".repeat(MAX_KEPT_CHARS));
        for text in ["plain", ";base64,", &icon, &format!("x;base64,{}", "A".repeat(9999))] {
            assert_eq!(short(text).short_text(), None);
        }
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_as_the_whole_and_only_append(
            parts in proptest::collection::vec("data:image/png;base64,|[A-D]{300}|[A-D]{700}|é|\\)|;base64,|\n| ", 0..12),
            cuts in proptest::collection::vec(0..4000_usize, 0..8),
        ) {
            let text = parts.concat();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|at| text.is_char_boundary(*at)).collect();
            cuts.sort_unstable();
            let (mut shortener, mut before) = (DataUrlShortener::default(), String::new());
            for at in cuts {
                shortener.extend(&text[..at], false);
                let now = shortener.short_text().unwrap_or(&text[..at]).to_owned();
                prop_assert!(now.starts_with(&before));
                before = now;
            }
            shortener.extend(&text, true);
            let now = shortener.short_text().unwrap_or(&text);
            prop_assert!(now.starts_with(&before));
            let whole = short(&text);
            prop_assert_eq!(now, whole.short_text().unwrap_or(&text));
            prop_assert_eq!(restore_payloads(now, &text), text);
        }
    }
}
