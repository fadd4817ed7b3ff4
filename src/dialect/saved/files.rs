//! Files of saved sessions: their beginnings, by which they are recognised, and their lines.

use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::sqlite::SQLITE_MAGIC;
use crate::dialect::surrogate;
use crate::event::Json;

/// A longer line is skipped.
const MAX_LINE_BYTES: usize = 64 << 20;
/// Lines of a beginning that are looked at.
const MAX_HEAD_LINES: usize = 64;

/// Which session a file belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedId {
    /// What the program calls what is in the file; empty where it has no name.
    pub id: String,
    /// The session or sub-agent that started it.
    pub parent: Option<String>,
}

impl SavedId {
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), parent: None }
    }
}

/// A file of a saved session.
#[derive(Clone, Debug)]
pub struct SavedFile {
    pub id: SavedId,
    pub bytes: Vec<u8>,
    /// The write-ahead log beside a database.
    pub log: Option<Vec<u8>>,
    /// When it was written last, in milliseconds since 1970; the time of what tells none.
    pub modified: u64,
}

/// The beginning of a file.
#[derive(Clone, Copy, Debug)]
pub struct FileHead<'a> {
    bytes: &'a [u8],
}

impl<'a> FileHead<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns whether it is a database, beside which newer rows may stand in a log.
    pub fn is_database(&self) -> bool {
        self.bytes.starts_with(SQLITE_MAGIC)
    }

    /// Returns the first lines that are objects of JSON; the last may be cut and is none then.
    pub(super) fn lines(&self) -> impl Iterator<Item = Json> {
        JsonLines::new(self.bytes).take(MAX_HEAD_LINES).filter_map(Result::ok)
    }

    /// Returns the members of the object that the file is, as far as the beginning goes: the last one may be cut, and has
    /// no value then.
    pub(super) fn members(&self) -> Option<serde_json::Map<String, Json>> {
        let mut members = serde_json::Map::new();
        self.is_json_of(b'{').then(|| {
            _ = serde_json::Deserializer::from_slice(self.bytes).deserialize_map(Members(&mut members));
            members
        })
    }

    /// Returns the first element of the array that the file is.
    pub(super) fn first_element(&self) -> Option<Json> {
        let mut first = None;
        if self.is_json_of(b'[') {
            _ = serde_json::Deserializer::from_slice(self.bytes).deserialize_seq(FirstElement(&mut first));
        }
        first
    }

    fn is_json_of(&self, start: u8) -> bool {
        self.bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&start)
    }
}

/// Collects what is whole of an object, though its end may be missing.
struct Members<'a>(&'a mut serde_json::Map<String, Json>);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            self.0.insert(key.clone(), Json::Null);
            let value = map.next_value()?;
            self.0.insert(key, value);
        }
        Ok(())
    }
}

struct FirstElement<'a>(&'a mut Option<Json>);

impl<'de> Visitor<'de> for FirstElement<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        *self.0 = seq.next_element()?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// The lines of a file, each an object of JSON or not. Empty lines are passed over.
pub(super) struct JsonLines<'a> {
    rest: &'a [u8],
}

/// A line that is no object of JSON.
pub(super) struct BadLine;

impl<'a> JsonLines<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) }
    }
}

impl Iterator for JsonLines<'_> {
    type Item = Result<Json, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.rest.is_empty() {
                return None;
            }
            let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
            let (line, rest) = self.rest.split_at(end);
            self.rest = rest.get(1..).unwrap_or_default();
            let line = line.trim_ascii();
            if !line.is_empty() {
                return Some(parse_line(line).ok_or(BadLine));
            }
        }
    }
}

fn parse_line(line: &[u8]) -> Option<Json> {
    if line.len() > MAX_LINE_BYTES || !line.starts_with(b"{") {
        return None;
    }
    surrogate::parse_json(std::str::from_utf8(line).ok()?).filter(Json::is_object)
}

/// Returns the time that a text or a number tells, in milliseconds since 1970.
pub(super) fn wall_time(json: Option<&Json>) -> Option<u64> {
    match json? {
        Json::String(text) => u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok(),
        // Seconds, where milliseconds would be in 1970.
        Json::Number(number) => {
            let number = number.as_f64().filter(|number| *number > 0.0 && *number < 1e15)?;
            Some(if number < 1e11 { number * 1000.0 } else { number } as u64)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_tells_what_of_an_object_is_whole() {
        let members = |text: &str| FileHead::new(text.as_bytes()).members();
        let cut = members(r#" {"info": {"id": "a"}, "messages": [{"info"#).unwrap();
        assert_eq!(cut.get("info").unwrap()["id"], "a");
        assert_eq!(cut.get("messages"), Some(&Json::Null));
        assert_eq!(members("[1]"), None);
        let first = FileHead::new(br#"[{"role":"user"},{"role":"#).first_element();
        assert_eq!(first.unwrap()["role"], "user");
    }

    #[test]
    fn lines_that_are_no_objects_are_told_apart() {
        let text = b"\xef\xbb\xbf{\"a\":1}\r\n\nnull\n{\"b\n\xff\n{\"c\":2}";
        let read: Vec<_> = JsonLines::new(text).map(|line| line.ok().map(|json| json.to_string())).collect();
        assert_eq!(read, [Some(r#"{"a":1}"#.into()), None, None, None, Some(r#"{"c":2}"#.to_owned())]);
    }

    #[test]
    fn times_are_texts_seconds_or_milliseconds() {
        let time = |json: Json| wall_time(Some(&json));
        assert_eq!(time("2026-11-30T20:33:00.847Z".into()), Some(1_796_070_780_847));
        assert_eq!(time(1_796_070_781.into()), Some(1_796_070_781_000));
        assert_eq!(time(1_796_070_781_580_u64.into()), Some(1_796_070_781_580));
        for wrong in [Json::Null, "yesterday".into(), "1969-01-01T00:00:00Z".into(), (-1).into(), 1e300.into()] {
            assert_eq!(time(wrong.clone()), None, "{wrong}");
        }
    }
}
