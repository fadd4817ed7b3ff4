//! Frames that are the one before but for one string.
//!
//! Of the frames of an answer most differ in the text of their token alone. Such a frame says what the last one said,
//! with another text: it needn't be parsed.

use super::SseFrame;

/// A frame with one string left out of it.
#[derive(Debug, Default)]
pub(super) struct RepeatedFrame {
    event: String,
    /// The data up to the string, with its opening quote; empty before anything was learned.
    before: String,
    /// The data from the closing quote on.
    after: String,
}

impl RepeatedFrame {
    /// Remembers a frame. `text` is the string in it that may differ, borrowed from its data.
    pub(super) fn learn(&mut self, frame: &SseFrame, text: &str) {
        self.before.clear();
        let Some(start) = (text.as_ptr() as usize).checked_sub(frame.data.as_ptr() as usize) else { return };
        let end = start + text.len();
        let (Some(before), Some(after)) = (frame.data.get(..start), frame.data.get(end..)) else { return };
        if before.ends_with('"') && after.starts_with('"') && &frame.data[start..end] == text {
            self.event.clone_from(&frame.event);
            self.before.push_str(before);
            self.after.clear();
            self.after.push_str(after);
        }
    }

    /// Returns the string in the place of the one that may differ, if nothing else differs. None also where it has
    /// escapes: that frame is to be parsed.
    pub(super) fn text_of<'f>(&self, frame: &'f SseFrame) -> Option<&'f str> {
        if self.before.is_empty() || frame.event != self.event {
            return None;
        }
        let text = frame.data.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        let is_plain = text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        (is_plain && !text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(data: &str, text: &str) -> (RepeatedFrame, SseFrame) {
        let frame = SseFrame::data(data);
        let at = frame.data.find(text).unwrap();
        let mut repeated = RepeatedFrame::default();
        repeated.learn(&frame, &frame.data[at..at + text.len()]);
        (repeated, frame)
    }

    #[test]
    fn a_frame_that_differs_in_the_string_alone_has_another_text() {
        let (repeated, first) = learned(r#"{"id":"a","delta":"one","n":1}"#, "one");
        assert_eq!(repeated.text_of(&first), Some("one"));
        assert_eq!(repeated.text_of(&SseFrame::data(r#"{"id":"a","delta":"zwölf ü","n":1}"#)), Some("zwölf ü"));
        for other in [
            r#"{"id":"b","delta":"two","n":1}"#,
            r#"{"id":"a","delta":"two","n":2}"#,
            r#"{"id":"a","delta":"two","delta":"three","n":1}"#,
            r#"{"id":"a","delta":"two\n","n":1}"#,
            "{\"id\":\"a\",\"delta\":\"two\u{7}\n\",\"n\":1}",
            r#"{"id":"a","delta":"","n":1}"#,
            r#"{"id":"a","delta":null,"n":1}"#,
            r#"{"id":"a","delta":","n":1}"#,
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
        repeated.learn(&frame, "one");
        assert_eq!(repeated.text_of(&frame), None, "another string with the same text");
        let (repeated, frame) = learned(r#"{"delta":"one two"}"#, "one");
        assert_eq!(repeated.text_of(&frame), None, "a part of one");
        assert_eq!(RepeatedFrame::default().text_of(&SseFrame::default()), None);
    }
}
