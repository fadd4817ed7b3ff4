//! Halves of surrogate pairs in JSON: some servers cut `\ud83d\ude00` between two frames.
//!
//! A JSON parser rejects a frame with a lone half. `mark_lone` replaces it by a private-use character, and
//! `SurrogateJoiner`, one per stream of text, joins the halves of neighboring pieces or replaces them by U+FFFD.

use std::borrow::Cow;

use crate::event::Json;

/// Lone halves are moved to U+10D800..=U+10DFFF, a part of the last private-use plane.
const MARK_OFFSET: u32 = 0x0010_0000;

/// Returns the JSON text with lone halves marked; none where there are none.
pub(super) fn mark_lone(json: &str) -> Option<String> {
    let mut marked = String::new();
    let mut rest = json;
    let mut found = false;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (before, escape) = rest.split_at(at);
        marked.push_str(before);
        let step = match parse_unit(escape) {
            Some(high @ 0xd800..=0xdbff) => {
                let low = escape.get(6..).and_then(parse_unit);
                if low.is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) {
                    12
                } else {
                    found = true;
                    marked.extend(char::from_u32(MARK_OFFSET + u32::from(high)));
                    rest = escape.get(6..).unwrap_or_default();
                    continue;
                }
            }
            Some(low @ 0xdc00..=0xdfff) => {
                found = true;
                marked.extend(char::from_u32(MARK_OFFSET + u32::from(low)));
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            Some(_) => 6,
            // The backslash and the character after it, whatever that is.
            None => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        marked.push_str(escape.get(..step).unwrap_or(escape));
        rest = escape.get(step..).unwrap_or_default();
    }
    marked.push_str(rest);
    found.then_some(marked)
}

/// As [`mark_lone`], but first checks for surrogate escapes at all, which costs next to nothing.
pub(super) fn mark_if_lone(json: &str) -> Option<String> {
    let has = |escape: &str| memchr::memmem::find(json.as_bytes(), escape.as_bytes()).is_some();
    if has("\\ud") || has("\\uD") { mark_lone(json) } else { None }
}

/// Replaces the marks in a text that has no continuation.
pub(super) fn resolve_marks(text: Cow<'_, str>, marked: bool) -> Cow<'_, str> {
    if !marked {
        return text;
    }
    let mut halves = SurrogateJoiner::default();
    let mut whole = halves.push(text, true).into_owned();
    whole.extend(halves.take_unpaired());
    Cow::Owned(whole)
}

/// Replaces the marks in every string of a value.
pub(super) fn resolve_marks_in_json(json: &mut Json, marked: bool) {
    match json {
        _ if !marked => {}
        Json::String(text) => *text = resolve_marks(Cow::Borrowed(text), true).into_owned(),
        Json::Array(list) => list.iter_mut().for_each(|json| resolve_marks_in_json(json, true)),
        Json::Object(object) => object.values_mut().for_each(|json| resolve_marks_in_json(json, true)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Parses JSON; lone halves become U+FFFD.
pub(super) fn parse_json(text: &str) -> Option<serde_json::Value> {
    let json = serde_json::from_str(text).ok();
    json.or_else(|| serde_json::from_str(&replace_lone(text)?).ok())
}

/// Returns the JSON with lone halves replaced by U+FFFD; none where there are none.
pub(super) fn replace_lone(json: &str) -> Option<String> {
    let is_half = |c: char| (MARK_OFFSET + 0xd800..=MARK_OFFSET + 0xdfff).contains(&u32::from(c));
    Some(mark_if_lone(json)?.replace(is_half, "\u{fffd}"))
}

/// Parses `\uXXXX` at the start of a string.
fn parse_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

/// Joins the halves of one stream of text.
#[derive(Debug, Default)]
pub(super) struct SurrogateJoiner {
    high: Option<u16>,
}

impl SurrogateJoiner {
    /// Takes a piece; `marked` says whether its frame went through [`mark_lone`].
    pub(super) fn push<'a>(&mut self, piece: Cow<'a, str>, marked: bool) -> Cow<'a, str> {
        if piece.is_empty() || (!marked && self.high.is_none()) {
            return piece;
        }
        let mut whole = String::with_capacity(piece.len() + 4);
        for c in piece.chars() {
            let half = u32::from(c).checked_sub(MARK_OFFSET).and_then(|half| u16::try_from(half).ok());
            match (half.filter(|_| marked), self.high.take()) {
                (Some(high @ 0xd800..=0xdbff), before) => {
                    whole.extend(before.map(|_| char::REPLACEMENT_CHARACTER));
                    self.high = Some(high);
                }
                (Some(low @ 0xdc00..=0xdfff), Some(high)) => {
                    whole.extend(char::decode_utf16([high, low]).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
                }
                (Some(0xdc00..=0xdfff), None) => whole.push(char::REPLACEMENT_CHARACTER),
                (_, before) => {
                    whole.extend(before.map(|_| char::REPLACEMENT_CHARACTER));
                    whole.push(c);
                }
            }
        }
        Cow::Owned(whole)
    }

    /// Returns U+FFFD for a half whose other half never came.
    pub(super) fn take_unpaired(&mut self) -> Option<char> {
        self.high.take().map(|_| char::REPLACEMENT_CHARACTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(frames: &[&str]) -> String {
        let mut halves = SurrogateJoiner::default();
        let mut whole = String::new();
        for json in frames {
            let marked = mark_lone(json);
            let text: String = serde_json::from_str(marked.as_deref().unwrap_or(json)).unwrap();
            whole.push_str(&halves.push(text.into(), marked.is_some()));
        }
        whole.extend(halves.take_unpaired());
        whole
    }

    #[test]
    fn a_pair_cut_between_frames_is_one_character() {
        assert_eq!(joined(&[r#""a\ud83d""#, r#""\ude00b""#]), "a😀b");
        assert_eq!(joined(&[r#""a\ud83d""#, r#""""#, r#""\ude00b""#]), "a😀b");
    }

    #[test]
    fn a_half_without_its_other_half_is_replaced() {
        assert_eq!(joined(&[r#""\ud83d\ud83d""#, r#""x\ude00""#, r#""\ud83d""#]), "\u{fffd}\u{fffd}x\u{fffd}\u{fffd}");
        assert_eq!(joined(&[r#""\ud83d""#, r#""plain""#]), "\u{fffd}plain");
    }

    #[test]
    fn whole_pairs_and_escaped_backslashes_are_left_alone() {
        assert_eq!(mark_lone(r#""\ud83d\ude00 \\ud83d \n \u00e9 \"""#), None);
        assert_eq!(joined(&[r#""\ud83d\ude00\\ud83d\ud83d""#]), "😀\\ud83d\u{fffd}");
    }

    #[test]
    fn a_value_without_continuation_is_settled_whole() {
        let text = r#"{"a": ["x\ud83d", {"b": "\ude00y"}], "c": "\ud83d\ude00"}"#;
        let mut json: Json = serde_json::from_str(&mark_if_lone(text).unwrap()).unwrap();
        resolve_marks_in_json(&mut json, true);
        assert_eq!(json, serde_json::json!({"a": ["x\u{fffd}", {"b": "\u{fffd}y"}], "c": "\u{1f600}"}));
        assert_eq!(mark_if_lone(r#"{"a": "\u00e9 \ud83d\ude00"}"#), None);
    }

    #[test]
    fn broken_escapes_do_no_harm() {
        for json in
            [r"\", r"\u", r"\ud83", r"\ud83d", r"\ud83d\", r"\ud83d\ude", "\\\u{1f600}", r"\u+123", "\\ud8\u{1f600}"]
        {
            let _ = mark_lone(json);
        }
    }
}
