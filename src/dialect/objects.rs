//! The arguments of a call, out of what a server sent as such: one JSON object, but some say it twice, or first a
//! placeholder, or put the objects of several calls behind one another.
//!
//! The rules, for a text that is not JSON as it is:
//! - Values behind one another are as many calls. One that says the same as an earlier one is a repetition, and `{}`,
//!   `null` and `""` beside an object were placeholders.
//! - Else, where the last piece is an object by itself and begins with all the pieces before it, that piece is the
//!   whole. (So `{"a":` and `{"b":1}`, cut off, stays what it is.)
//! - Anything else is left as it came, for whoever runs the call to complain of.

use serde_json::value::RawValue;

use crate::event::Json;

/// Values that are read out of one text.
const MOST: usize = 64;
/// Pieces that may be wholes, of which the newest are remembered.
const MOST_STARTS: usize = 8;

/// Arguments that are being written.
#[derive(Debug, Default)]
pub(super) struct Objects {
    text: String,
    scan: Scan,
    /// Where pieces begin that may say all again.
    starts: Vec<usize>,
    /// Where the first value ends.
    end: Option<usize>,
    /// From here on pieces may be repetitions.
    doubt: Option<usize>,
}

/// How far into a JSON value a text has come. Goes over each byte once.
#[derive(Debug, Default)]
struct Scan {
    depth: u32,
    in_text: bool,
    is_escaped: bool,
}

impl Scan {
    /// Takes more of the text and returns where in it the outermost object ends.
    fn take(&mut self, piece: &str) -> Option<usize> {
        for (at, byte) in piece.bytes().enumerate() {
            match byte {
                _ if std::mem::take(&mut self.is_escaped) => {}
                b'\\' if self.in_text => self.is_escaped = true,
                b'"' => self.in_text = !self.in_text,
                _ if self.in_text => {}
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

impl Objects {
    /// Adds a piece, and returns what of it is surely part of the first value, to be told at once.
    pub(super) fn push<'a>(&mut self, piece: &'a str) -> &'a str {
        let from = self.text.len();
        if self.is_empty() && !piece.trim_start().is_empty() && !begins_object(piece) {
            self.doubt = Some(from);
        }
        if from > 0 && begins_object(piece) && self.end.is_none() {
            note_start(&mut self.starts, from, piece);
            // Only what is longer can say it all again.
            if piece.len() > from && piece.starts_with(self.text.as_str()) {
                self.doubt.get_or_insert(from);
            }
        }
        self.text.push_str(piece);
        if self.end.is_some() {
            return "";
        }
        self.end = self.scan.take(piece).map(|end| from + end);
        if self.end.is_some_and(|end| is_placeholder(self.text.get(..end).unwrap_or_default())) {
            self.doubt.get_or_insert(from);
        }
        if self.doubt.is_some() {
            return "";
        }
        self.end.map_or(piece, |end| piece.get(..end - from).unwrap_or_default())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.trim_start().is_empty()
    }

    /// Whether there is a whole value.
    pub(super) fn is_complete(&self) -> bool {
        self.end.is_some()
    }

    /// Returns what was told of it, where all pieces were.
    pub(super) fn told(&self) -> &str {
        let end = self.doubt.or(self.end).unwrap_or(self.text.len());
        self.text.get(..end).unwrap_or_default()
    }

    /// The server says that these are the arguments.
    pub(super) fn replace(&mut self, whole: &str) {
        whole.clone_into(&mut self.text);
        self.starts.clear();
        self.end = Scan::default().take(whole);
        self.doubt = None;
    }

    /// Returns the arguments of each call that the text is of, at least one. `is_cut` says that the answer was cut off, so
    /// that what is no JSON is left alone.
    pub(super) fn take(&mut self, is_cut: bool) -> Vec<String> {
        let text = std::mem::take(&mut self.text);
        let starts = std::mem::take(&mut self.starts);
        if serde_json::from_str::<&RawValue>(&text).is_ok() || text.trim().is_empty() {
            return vec![text];
        }
        let (values, rest) = values(&text);
        if rest.is_empty() && !values.is_empty() {
            return unique(&values).unwrap_or_else(|| vec![text]);
        }
        if !is_cut && let Some(whole) = said_again(&text, &starts) {
            return vec![whole.to_owned()];
        }
        // One or more wholes, and one that was not finished.
        if let Some(mut objects) = unique(&values) {
            let repeats = objects.iter().any(|object| object.starts_with(rest));
            if begins_object(rest) {
                objects.extend((!repeats).then(|| rest.to_owned()));
                return objects;
            }
        }
        vec![text]
    }
}

/// As [`Objects::take`], of arguments of whose pieces nothing is known.
pub(super) fn settled(text: String) -> Vec<String> {
    settled_from(text, Vec::new())
}

/// As [`Objects::take`], of arguments of which is known where pieces begin that may say all again.
pub(super) fn settled_from(text: String, starts: Vec<usize>) -> Vec<String> {
    Objects { text, starts, ..Objects::default() }.take(false)
}

/// Takes note of where a piece begins that may say all again; of the newest ones only.
pub(super) fn note_start(starts: &mut Vec<usize>, from: usize, piece: &str) {
    if from > 0 && begins_object(piece) {
        if starts.len() >= MOST_STARTS {
            starts.remove(0);
        }
        starts.push(from);
    }
}

/// Whether two texts say the same JSON.
pub(super) fn is_same(one: &str, other: &str) -> bool {
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

/// Returns the values at the start of a text, and what is behind them.
fn values(text: &str) -> (Vec<&str>, &str) {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let mut values = Vec::new();
    let mut end = 0;
    while let Some(Ok(value)) = stream.next() {
        end = stream.byte_offset();
        values.push(value.get());
        if values.len() > MOST {
            return (Vec::new(), text);
        }
    }
    (values, text.get(end..).unwrap_or_default().trim())
}

/// Returns the objects among values, each once; none where there is something else than objects and placeholders.
fn unique(values: &[&str]) -> Option<Vec<String>> {
    let mut objects: Vec<&str> = Vec::new();
    for value in values.iter().filter(|value| !is_placeholder(value)) {
        if !value.starts_with('{') {
            return None;
        }
        if !objects.iter().any(|known| is_same(known, value)) {
            objects.push(value);
        }
    }
    if objects.is_empty() {
        objects.extend(values.iter().find(|value| value.starts_with('{')));
    }
    (!objects.is_empty()).then(|| objects.into_iter().map(str::to_owned).collect())
}

/// Returns the last piece where that says all again.
fn said_again<'t>(text: &'t str, starts: &[usize]) -> Option<&'t str> {
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

    fn taken(pieces: &[&str]) -> Vec<String> {
        let mut objects = Objects::default();
        let mut told = String::new();
        for piece in pieces {
            told.push_str(objects.push(piece));
        }
        assert_eq!(objects.told(), told, "{pieces:?}");
        let taken = objects.take(false);
        assert!(taken.first().is_some_and(|first| first.starts_with(&told)), "{told} of {taken:?}");
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
            assert_eq!(taken(pieces), [pieces.concat()]);
        }
    }

    #[test]
    fn arguments_that_are_said_again_count_once() {
        let whole = ["{\"e\": \"6*7\"}"];
        assert_eq!(taken(&["{\"e\": ", "\"6*7\"", "}", "{\"e\": \"6*7\"}"]), whole);
        assert_eq!(taken(&["{\"e\": ", "\"6*7\"", "}", "{\"e\":", "\"6*7\"}"]), whole);
        assert_eq!(taken(&["{\"e\": ", "\"6*7\"", "{\"e\": \"6*7\"}"]), whole);
        assert_eq!(taken(&["{\"e\"", "{\"e\": \"6", "{\"e\": \"6*7\"}"]), whole);
        assert_eq!(taken(&["{\"e\": \"6*7\"}{\"e\": \"6*7\"}"]), whole);
        assert_eq!(taken(&["{\"e\": \"6*7\"}", "{\"e\": \""]), whole);
    }

    #[test]
    fn a_placeholder_gives_way_to_the_arguments() {
        for placeholder in ["{}", "null", "\"\"", " {} ", "{ }"] {
            assert_eq!(taken(&[placeholder, "{\"a\"", ":1}"]), ["{\"a\":1}"], "{placeholder}");
            assert_eq!(taken(&["{\"a\":1}", placeholder]), ["{\"a\":1}"], "{placeholder}");
        }
        assert_eq!(taken(&["{}", "{}"]), ["{}"]);
    }

    #[test]
    fn objects_behind_one_another_are_calls() {
        assert_eq!(taken(&["{\"p\":\".\"}", "{\"p\":\"sub\"}"]), ["{\"p\":\".\"}", "{\"p\":\"sub\"}"]);
        assert_eq!(taken(&["{\"p\":1}{\"p\":2}\n{\"p\":1}"]), ["{\"p\":1}", "{\"p\":2}"]);
        assert_eq!(taken(&["{\"p\":1}{\"q\":\"un"]), ["{\"p\":1}", "{\"q\":\"un"]);
    }

    #[test]
    fn what_was_cut_or_is_no_json_stays_what_it_is() {
        for pieces in [&["{\"a\":", "{\"b\":1}"][..], &["{\"path\":\"x", "y"], &["{\"a\":1} and more"], &["not json"]] {
            assert_eq!(taken(pieces), [pieces.concat()]);
        }
        let mut objects = Objects::default();
        objects.push("{\"a\":");
        objects.push("{\"a\":1}");
        assert_eq!(objects.take(true), ["{\"a\":{\"a\":1}"]);
    }
}
