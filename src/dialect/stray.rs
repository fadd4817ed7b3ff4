//! Lines between lines of JSON that are not JSON: a gateway's text, or an event in the framing of another protocol.
//!
//! Not for lines that report an error: those belong to [`error`]. The invariant: text counts only as the last lines of
//! an answer without an end, and no more of it is kept than is shown.

use std::borrow::Cow;

use super::{SseFrame, error};
use crate::event::Fault;

/// Bytes of text kept, before they are made a single line.
const MAX_STRAY_BYTES: usize = 2048;

/// The text since the last line of JSON.
#[derive(Debug, Default)]
pub(super) struct Stray {
    words: String,
    /// The name of a server-sent event whose data come next.
    event: String,
}

impl Stray {
    /// Parses a line: one of a server-sent event becomes its data. None for a line without content.
    pub(super) fn parse_line<'a>(&mut self, frame: &'a SseFrame) -> Option<Cow<'a, SseFrame>> {
        let line = frame.data.trim();
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        match field {
            "" | "id" | "retry" => None,
            "event" => {
                value.trim().clone_into(&mut self.event);
                None
            }
            "data" => Some(Cow::Owned(SseFrame::named(std::mem::take(&mut self.event), value.trim()))),
            _ => Some(Cow::Borrowed(frame)),
        }
    }

    /// Drops the text before a line of JSON: the answer continued after it.
    pub(super) fn clear(&mut self) {
        self.words.clear();
    }

    /// Keeps a line that is not JSON. One that starts like JSON was torn off, and is dropped.
    pub(super) fn push(&mut self, line: &str) {
        if !line.trim_start().starts_with(['{', '[']) && self.words.len() < MAX_STRAY_BYTES {
            self.words.push_str(line.get(..line.floor_char_boundary(MAX_STRAY_BYTES)).unwrap_or(line));
            self.words.push('\n');
        }
    }

    /// Returns the fault of an answer without an end, from the last text.
    pub(super) fn fault(&self) -> Option<Fault> {
        (!self.words.trim().is_empty()).then(|| error::to_fault(&error::parse_error_data(&self.words)))
    }
}

#[cfg(test)]
mod tests {
    use crate::dialect::{Decode, SseFrame, ollama::OllamaDecoder, warp::WarpDecoder};
    use crate::event::{ReplyEvent, TurnOutcome};

    /// The failures of these lines, in each of the line formats; none for a success.
    fn failures(has_content: bool, lines: &[&str]) -> [Option<String>; 2] {
        let text = [
            r#"{"message":{"content":"Half"}}"#,
            r#"{"blocks":[{"type":"text","text":"Half","streaming":true}],"streaming":true}"#,
        ];
        let mut decoders: [Box<dyn Decode>; 2] = [Box::new(OllamaDecoder::new()), Box::new(WarpDecoder::new())];
        std::array::from_fn(|nth| {
            let mut out = Vec::new();
            let lines = lines.iter().map(|line| if *line == "TEXT" { text[nth] } else { line });
            for line in Some(text[nth]).filter(|_| has_content).into_iter().chain(lines) {
                decoders[nth].decode_frame(&SseFrame::data(line), &mut out);
            }
            decoders[nth].finish(&mut out);
            match out.pop() {
                Some(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }) => Some(fault.message),
                Some(ReplyEvent::End { outcome: TurnOutcome::Interrupted }) => None,
                other => panic!("{other:?}"),
            }
        })
    }

    #[test]
    fn an_answer_that_ends_in_words_or_in_an_event_fails_with_its_words() {
        let long = "upstream is down ".repeat(1000);
        let cases: [(&[&str], &str); 8] = [
            (&["upstream connect error", "reset before headers."], "upstream connect error reset before headers"),
            (&["error: out of memory"], "out of memory"),
            (&[r#"data: {"error":"boom"}"#], "boom"),
            (&["id: 7", "event: error", r#"data: {"message":"boom"}"#], "boom"),
            (&["event: error", "data: boom"], "boom"),
            (&["data: error: boom", ""], "boom"),
            (&["502 Bad Gateway", ": alive"], "502 Bad Gateway"),
            (&[&long], "upstream is down…"),
        ];
        for (lines, words) in cases {
            for has_content in [false, true] {
                for found in failures(has_content, lines) {
                    let found = found.unwrap_or_default();
                    assert!(found.len() < 800 && found.contains(words.trim_end_matches('…')), "{lines:?}: {found}");
                }
            }
        }
    }

    #[test]
    fn words_before_more_of_an_answer_and_torn_lines_are_no_failure() {
        for lines in [&["loading the model", "TEXT"][..], &[r#"{"message":{"con"#], &["data: [", ": alive", ""]] {
            assert_eq!(failures(true, lines), [None, None], "{lines:?}");
        }
    }
}
