//! Frames that are the one before but for one string.
//!
//! Of the frames of an answer most differ in the text of their token alone. Such a frame says what the last one said,
//! with another text: it needn't be parsed.

use std::ops::Range;

use super::SseFrame;

/// A frame with places in it that may hold something else, and what its reader keeps of the rest.
#[derive(Debug)]
pub(super) struct RepeatedFrame<T> {
    kept: Option<T>,
    event: String,
    data: String,
    /// Places in the data, in order; empty before anything was learned.
    places: Vec<(Range<usize>, FramePlace)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FramePlace {
    /// The string that is asked for.
    Text,
    /// A string that nobody reads.
    String,
    /// An integer that nobody reads.
    Integer,
}

impl<T> Default for RepeatedFrame<T> {
    fn default() -> Self {
        Self { kept: None, event: String::new(), data: String::new(), places: Vec::new() }
    }
}

impl<T> RepeatedFrame<T> {
    /// Remembers a frame. `text` is the string that may differ, borrowed from its data; so may the values of the keys that
    /// are `unread` by whoever reads it.
    pub(super) fn learn(&mut self, frame: &SseFrame, text: &str, unread: &[&str], kept: T) {
        self.places.clear();
        self.kept = Some(kept);
        let Some(start) = (text.as_ptr() as usize).checked_sub(frame.data.as_ptr() as usize) else { return };
        let end = start + text.len();
        let (Some(before), Some(after)) = (frame.data.get(..start), frame.data.get(end..)) else { return };
        if before.ends_with('"') && after.starts_with('"') && &frame.data[start..end] == text {
            self.event.clone_from(&frame.event);
            self.data.clone_from(&frame.data);
            unread_values(&self.data, unread, &mut self.places);
            self.places.retain(|(place, _)| place.end <= start || place.start >= end);
            self.places.push((start..end, FramePlace::Text));
            self.places.sort_by_key(|(place, _)| place.start);
        }
    }

    /// Returns what was kept and the string in the place of the one that may differ, if nothing else differs that is read.
    /// None also where it has escapes: that frame is to be parsed.
    pub(super) fn matching<'s, 'f>(&'s self, frame: &'f SseFrame) -> Option<(&'s T, &'f str)> {
        self.text_of(frame).and_then(|text| Some((self.kept.as_ref()?, text)))
    }

    /// The same for one whose use needs the whole reader: what was kept is to be [put back](Self::put_back).
    pub(super) fn take_matching<'f>(&mut self, frame: &'f SseFrame) -> Option<(T, &'f str)> {
        let text = self.text_of(frame)?;
        Some((self.kept.take()?, text))
    }

    pub(super) fn put_back(&mut self, kept: T) {
        self.kept = Some(kept);
    }

    fn text_of<'f>(&self, frame: &'f SseFrame) -> Option<&'f str> {
        if self.places.is_empty() || frame.event != self.event {
            return None;
        }
        let (mut rest, mut at, mut text) = (&*frame.data, 0, "");
        for (place, kind) in &self.places {
            rest = rest.strip_prefix(&self.data[at..place.start])?;
            let end = match kind {
                FramePlace::Text | FramePlace::String => memchr::memchr(b'"', rest.as_bytes())?,
                FramePlace::Integer => rest.bytes().take_while(u8::is_ascii_digit).count(),
            };
            let value;
            (value, rest) = rest.split_at(end);
            let is_plain = match kind {
                FramePlace::Text | FramePlace::String => value.bytes().all(|byte| byte >= b' ' && byte != b'\\'),
                FramePlace::Integer => value == "0" || !value.is_empty() && !value.starts_with('0'),
            };
            if !is_plain {
                return None;
            }
            if *kind == FramePlace::Text {
                text = value;
            }
            at = place.end;
        }
        (rest == &self.data[at..] && !text.is_empty()).then_some(text)
    }
}

/// Adds where the values of these keys are in a JSON text, if they are strings without escapes or integers.
fn unread_values(json: &str, keys: &[&str], out: &mut Vec<(Range<usize>, FramePlace)>) {
    let mut at = 0;
    while let Some(open) = memchr::memchr(b'"', json.get(at..).unwrap_or_default().as_bytes()).map(|found| at + found) {
        let Some(end) = string_end(json, open) else { return };
        at = end + 1;
        if !keys.contains(&&json[open + 1..end]) {
            continue;
        }
        let Some(value) = json[at..].trim_start().strip_prefix(':').map(str::trim_start) else { continue };
        let start = json.len() - value.len();
        if value.starts_with('"') {
            let Some(end) = string_end(json, start) else { return };
            if !json[start + 1..end].contains('\\') {
                out.push((start + 1..end, FramePlace::String));
            }
            at = end + 1;
        } else {
            let digits = value.bytes().take_while(u8::is_ascii_digit).count();
            let is_integer = digits > 0 && value[digits..].trim_start().starts_with([',', '}']);
            out.extend(is_integer.then_some((start..start + digits, FramePlace::Integer)));
        }
    }
}

/// Returns where the string ends that begins at `open`: the place of its closing quote.
fn string_end(json: &str, open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', json.get(at..)?.as_bytes())?;
        match json.as_bytes().get(at) {
            Some(b'"') => return Some(at),
            _ => at += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(data: &str, text: &str) -> (RepeatedFrame<()>, SseFrame) {
        let frame = SseFrame::data(data);
        let at = frame.data.find(text).unwrap();
        let mut repeated = RepeatedFrame::default();
        repeated.learn(&frame, &frame.data[at..at + text.len()], &["n", "pad"], ());
        (repeated, frame)
    }

    #[test]
    fn a_frame_that_differs_in_the_string_alone_has_another_text() {
        let (repeated, first) = learned(r#"{"id":"a","delta":"one","i":1}"#, "one");
        assert_eq!(repeated.text_of(&first), Some("one"));
        assert_eq!(repeated.text_of(&SseFrame::data(r#"{"id":"a","delta":"zwölf ü","i":1}"#)), Some("zwölf ü"));
        for other in [
            r#"{"id":"b","delta":"two","i":1}"#,
            r#"{"id":"a","delta":"two","i":2}"#,
            r#"{"id":"a","delta":"two","delta":"three","i":1}"#,
            r#"{"id":"a","delta":"two\n","i":1}"#,
            "{\"id\":\"a\",\"delta\":\"two\u{7}\n\",\"i\":1}",
            r#"{"id":"a","delta":"","i":1}"#,
            r#"{"id":"a","delta":null,"i":1}"#,
            r#"{"id":"a","delta":","i":1}"#,
            r#"{"id":"a","delta":"#,
            "",
        ] {
            assert_eq!(repeated.text_of(&SseFrame::data(other)), None, "{other}");
        }
        let named = SseFrame { event: "error".to_owned(), ..first };
        assert_eq!(repeated.text_of(&named), None, "another event");
    }

    #[test]
    fn what_is_no_string_of_the_frame_is_not_learned() {
        let (mut repeated, frame) = learned(r#"{"delta":"one"}"#, "one");
        repeated.learn(&frame, "one", &[], ());
        assert_eq!(repeated.text_of(&frame), None, "another string with the same text");
        let (repeated, frame) = learned(r#"{"delta":"one two"}"#, "one");
        assert_eq!(repeated.text_of(&frame), None, "a part of one");
        assert_eq!(RepeatedFrame::<()>::default().text_of(&SseFrame::default()), None);
    }

    #[test]
    fn what_nobody_reads_may_differ_too() {
        let (repeated, _) = learned(r#"{"n": 41, "delta":"one","pad":"x","in":{"n":7},"i":"n"}"#, "one");
        let text = |data: &str| repeated.text_of(&SseFrame::data(data)).map(str::to_owned);
        assert_eq!(text(r#"{"n": 42, "delta":"two","pad":"","in":{"n":0},"i":"n"}"#).as_deref(), Some("two"));
        for other in [
            r#"{"n": 042, "delta":"two","pad":"x","in":{"n":7},"i":"n"}"#,
            r#"{"n": , "delta":"two","pad":"x","in":{"n":7},"i":"n"}"#,
            r#"{"n": 4.2, "delta":"two","pad":"x","in":{"n":7},"i":"n"}"#,
            r#"{"n": 42, "delta":"two","pad":"\"","in":{"n":7},"i":"n"}"#,
            r#"{"n": 42, "delta":"two","pad":7,"in":{"n":7},"i":"n"}"#,
            r#"{"n": 42, "delta":"two","pad":"x","in":{"n":7},"i":"m"}"#,
            r#"{"n": 42, "delta":"two","pad":"x","in":{"n":7},"i":"n"}}"#,
        ] {
            assert_eq!(text(other), None, "{other}");
        }
        for odd in [r#"{"n":-1,"delta":"one"}"#, r#"{"n":1e3,"delta":"one"}"#, r#"{"pad":"\n","delta":"one"}"#] {
            let (repeated, frame) = learned(odd, "one");
            assert_eq!((repeated.text_of(&frame), repeated.places.len()), (Some("one"), 1), "{odd}");
        }
    }
}
