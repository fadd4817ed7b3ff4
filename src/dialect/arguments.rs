//! Recovers the arguments of a call from what a server sent: one JSON object, but some servers send it twice, or after
//! a placeholder, or concatenate the objects of several calls.
//!
//! Rules for a string that is not valid JSON:
//! - Concatenated values are as many calls. One that equals an earlier one is a repetition, and `{}`, `null` and `""`
//!   next to an object are placeholders.
//! - Otherwise, where the last piece is an object by itself and starts with all pieces before it, that piece is the
//!   whole. (So `{"a":` and `{"b":1}`, cut off, stays as it is.)
//! - Anything else is left as it came, for the caller of the tool to reject.

use serde_json::value::RawValue;

use crate::event::Json;

/// Values read from one string.
const MAX_VALUES: usize = 64;
/// Newest pieces remembered that may repeat everything before them.
const MAX_RESTARTS: usize = 8;

/// Arguments while they stream.
#[derive(Debug, Default)]
pub(super) struct ArgumentsAssembler {
    text: String,
    scan: JsonScanner,
    /// Where pieces start that may repeat everything before them.
    restart_offsets: Vec<usize>,
    /// Where the first value ends.
    first_value_end: Option<usize>,
    /// From here on pieces may be repetitions.
    repeat_offset: Option<usize>,
}

/// Scans a JSON value piece by piece, in one pass.
#[derive(Debug, Default)]
struct JsonScanner {
    depth: u32,
    in_string: bool,
    is_escaped: bool,
}

impl JsonScanner {
    /// Takes a piece and returns where in it the outermost object ends.
    fn advance(&mut self, piece: &str) -> Option<usize> {
        for (at, byte) in piece.bytes().enumerate() {
            match byte {
                _ if std::mem::take(&mut self.is_escaped) => {}
                b'\\' if self.in_string => self.is_escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

impl ArgumentsAssembler {
    /// Appends a piece and returns the part of it that certainly belongs to the first value, to be emitted at once.
    pub(super) fn push<'a>(&mut self, piece: &'a str) -> &'a str {
        let from = self.text.len();
        if self.is_empty() && !piece.trim_start().is_empty() && !begins_object(piece) {
            self.repeat_offset = Some(from);
        }
        if from > 0 && begins_object(piece) && self.first_value_end.is_none() {
            note_restart(&mut self.restart_offsets, from, piece);
            // Only a longer piece can repeat everything.
            if piece.len() > from && piece.starts_with(self.text.as_str()) {
                self.repeat_offset.get_or_insert(from);
            }
        }
        self.text.push_str(piece);
        if self.first_value_end.is_some() {
            return "";
        }
        self.first_value_end = self.scan.advance(piece).map(|end| from + end);
        if self.first_value_end.is_some_and(|end| is_placeholder(self.text.get(..end).unwrap_or_default())) {
            self.repeat_offset.get_or_insert(from);
        }
        if self.repeat_offset.is_some() {
            return "";
        }
        self.first_value_end.map_or(piece, |end| piece.get(..end - from).unwrap_or_default())
    }

    /// Returns the arguments as they came so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.trim_start().is_empty()
    }

    /// Returns whether there is a complete value.
    pub(super) fn is_complete(&self) -> bool {
        self.first_value_end.is_some()
    }

    /// Returns the part that was emitted, if every piece went through [`Self::push`].
    pub(super) fn emitted(&self) -> &str {
        let end = self.repeat_offset.or(self.first_value_end).unwrap_or(self.text.len());
        self.text.get(..end).unwrap_or_default()
    }

    /// Replaces the arguments by those that the server repeats.
    pub(super) fn replace(&mut self, whole: &str) {
        whole.clone_into(&mut self.text);
        self.restart_offsets.clear();
        self.first_value_end = JsonScanner::default().advance(whole);
        self.repeat_offset = None;
    }

    /// Returns the arguments of each call in the string, at least one. `is_cut` means that the answer was cut off, so
    /// that invalid JSON is left alone.
    pub(super) fn take_calls(&mut self, is_cut: bool) -> Vec<String> {
        let text = std::mem::take(&mut self.text);
        let starts = std::mem::take(&mut self.restart_offsets);
        if serde_json::from_str::<&RawValue>(&text).is_ok() || text.trim().is_empty() {
            return vec![text];
        }
        let (values, rest) = parse_values(&text);
        if rest.is_empty() && !values.is_empty() {
            return unique_objects(&values).unwrap_or_else(|| vec![text]);
        }
        if !is_cut && let Some(whole) = repeated_whole(&text, &starts) {
            return vec![whole.to_owned()];
        }
        // One or more complete values, and an incomplete one.
        if let Some(mut objects) = unique_objects(&values) {
            let repeats = objects.iter().any(|object| object.starts_with(rest));
            if begins_object(rest) {
                objects.extend((!repeats).then(|| rest.to_owned()));
                return objects;
            }
        }
        vec![text]
    }
}

/// As [`ArgumentsAssembler::take_calls`], where nothing is known of the pieces.
pub(super) fn split_calls(text: String) -> Vec<String> {
    split_calls_from(text, Vec::new())
}

/// As [`ArgumentsAssembler::take_calls`], with the offsets of pieces that may repeat everything before them.
pub(super) fn split_calls_from(text: String, starts: Vec<usize>) -> Vec<String> {
    ArgumentsAssembler { text, restart_offsets: starts, ..ArgumentsAssembler::default() }.take_calls(false)
}

/// Records the offset of a piece that may repeat everything before it; keeps the newest ones only.
pub(super) fn note_restart(starts: &mut Vec<usize>, from: usize, piece: &str) {
    if from > 0 && begins_object(piece) {
        if starts.len() >= MAX_RESTARTS {
            starts.remove(0);
        }
        starts.push(from);
    }
}

/// Returns whether two strings are the same JSON value.
pub(super) fn is_same_json(one: &str, other: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Json>(text).ok();
    one.trim() == other.trim() || read(one).is_some_and(|one| read(other) == Some(one))
}

pub(super) fn begins_object(piece: &str) -> bool {
    piece.trim_start().starts_with('{')
}

fn is_placeholder(value: &str) -> bool {
    let mut bare = value.chars().filter(|c| !c.is_whitespace());
    let start: String = bare.by_ref().take(5).collect();
    matches!(start.as_str(), "{}" | "null" | "\"\"" | "[]") && bare.next().is_none()
}

/// Returns the values at the start of a string, and the rest.
fn parse_values(text: &str) -> (Vec<&str>, &str) {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut values = Vec::new();
    let mut end = 0;
    while let Some(Ok(value)) = stream.next() {
        end = stream.byte_offset();
        values.push(value.get());
        if values.len() > MAX_VALUES {
            return (Vec::new(), text);
        }
    }
    (values, text.get(end..).unwrap_or_default().trim())
}

/// Returns the distinct objects among the values; none where there is anything but objects and placeholders.
fn unique_objects(values: &[&str]) -> Option<Vec<String>> {
    let mut objects: Vec<&str> = Vec::new();
    for value in values.iter().filter(|value| !is_placeholder(value)) {
        if !value.starts_with('{') {
            return None;
        }
        if !objects.iter().any(|known| is_same_json(known, value)) {
            objects.push(value);
        }
    }
    if objects.is_empty() {
        objects.extend(values.iter().find(|value| value.starts_with('{')));
    }
    (!objects.is_empty()).then(|| objects.into_iter().map(str::to_owned).collect())
}

/// Returns the last piece, where it repeats everything before it.
fn repeated_whole<'t>(text: &'t str, starts: &[usize]) -> Option<&'t str> {
    for (nth, start) in starts.iter().enumerate().rev() {
        let before = nth.checked_sub(1).and_then(|nth| starts.get(nth)).copied().unwrap_or(0);
        let (before, whole) = (text.get(before..*start)?, text.get(*start..)?);
        let mut bare = whole.chars().filter(|c| !c.is_whitespace());
        let is_begun = before.chars().filter(|c| !c.is_whitespace()).all(|c| bare.next() == Some(c));
        if is_begun && serde_json::from_str::<&RawValue>(whole).is_ok() {
            return Some(whole);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&str]) -> Vec<String> {
        let mut objects = ArgumentsAssembler::default();
        let mut emitted = String::new();
        for piece in pieces {
            emitted.push_str(objects.push(piece));
        }
        assert_eq!(objects.emitted(), emitted, "{pieces:?}");
        let taken = objects.take_calls(false);
        assert!(taken.first().is_some_and(|first| first.starts_with(&emitted)), "{emitted} of {taken:?}");
        taken
    }

    #[test]
    fn arguments_that_are_json_are_left_as_they_are() {
        for pieces in [
            &["{\"a\": ", "{\"a\": 1}}"][..],
            &["{\"a\":", "{\"b\":{}}", "}"],
            &["{\"t\":\"{}{}\\\"}\"}"],
            &["{}"],
            &[" { } "],
            &[""],
        ] {
            assert_eq!(split(pieces), [pieces.concat()]);
        }
    }

    #[test]
    fn arguments_that_are_said_again_count_once() {
        let whole = ["{\"e\": \"6*7\"}"];
        assert_eq!(split(&["{\"e\": ", "\"6*7\"", "}", "{\"e\": \"6*7\"}"]), whole);
        assert_eq!(split(&["{\"e\": ", "\"6*7\"", "}", "{\"e\":", "\"6*7\"}"]), whole);
        assert_eq!(split(&["{\"e\": ", "\"6*7\"", "{\"e\": \"6*7\"}"]), whole);
        assert_eq!(split(&["{\"e\"", "{\"e\": \"6", "{\"e\": \"6*7\"}"]), whole);
        assert_eq!(split(&["{\"e\": \"6*7\"}{\"e\": \"6*7\"}"]), whole);
        assert_eq!(split(&["{\"e\": \"6*7\"}", "{\"e\": \""]), whole);
    }

    #[test]
    fn a_placeholder_gives_way_to_the_arguments() {
        for placeholder in ["{}", "null", "\"\"", " {} ", "{ }"] {
            assert_eq!(split(&[placeholder, "{\"a\"", ":1}"]), ["{\"a\":1}"], "{placeholder}");
            assert_eq!(split(&["{\"a\":1}", placeholder]), ["{\"a\":1}"], "{placeholder}");
        }
        assert_eq!(split(&["{}", "{}"]), ["{}"]);
    }

    #[test]
    fn objects_behind_one_another_are_calls() {
        assert_eq!(split(&["{\"p\":\".\"}", "{\"p\":\"sub\"}"]), ["{\"p\":\".\"}", "{\"p\":\"sub\"}"]);
        assert_eq!(split(&["{\"p\":1}{\"p\":2}\n{\"p\":1}"]), ["{\"p\":1}", "{\"p\":2}"]);
        assert_eq!(split(&["{\"p\":1}{\"q\":\"un"]), ["{\"p\":1}", "{\"q\":\"un"]);
    }

    #[test]
    fn what_was_cut_or_is_no_json_stays_what_it_is() {
        for pieces in [&["{\"a\":", "{\"b\":1}"][..], &["{\"path\":\"x", "y"], &["{\"a\":1} and more"], &["not json"]] {
            assert_eq!(split(pieces), [pieces.concat()]);
        }
        let mut objects = ArgumentsAssembler::default();
        objects.push("{\"a\":");
        objects.push("{\"a\":1}");
        assert_eq!(objects.take_calls(true), ["{\"a\":{\"a\":1}"]);
    }
}
