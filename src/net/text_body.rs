//! PURE. A body that is a text without frames: its characters as they come, nothing added or left out.

use crate::dialect::{SseFrame, TEXT_PIECE_NAME};

const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Cuts a text into the pieces that came at once, never inside a character.
#[derive(Debug, Default)]
pub(super) struct TextSplitter {
    /// The beginning of a character.
    torn: Vec<u8>,
    has_begun: bool,
}

impl TextSplitter {
    /// Adds the characters that these bytes complete.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<SseFrame>) {
        self.torn.extend_from_slice(bytes);
        let mut whole = self.torn.len();
        // The last character may have three of its four bytes.
        for end in (self.torn.len().saturating_sub(3)..self.torn.len()).rev() {
            let rest = self.torn.get(end..).unwrap_or_default();
            if std::str::from_utf8(rest).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none()) {
                whole = end;
            }
        }
        let rest = self.torn.split_off(whole);
        let piece = std::mem::replace(&mut self.torn, rest);
        self.emit(&piece, out);
    }

    /// Ends the text.
    pub(super) fn finish(&mut self, out: &mut Vec<SseFrame>) {
        let piece = std::mem::take(&mut self.torn);
        self.emit(&piece, out);
    }

    fn emit(&mut self, piece: &[u8], out: &mut Vec<SseFrame>) {
        if piece.is_empty() {
            return;
        }
        let text = String::from_utf8_lossy(piece);
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let text = text.strip_prefix(BYTE_ORDER_MARK).filter(|_| is_first).unwrap_or(&text);
        if !text.is_empty() {
            out.push(SseFrame::named(TEXT_PIECE_NAME, text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(chunks: &[&[u8]]) -> Vec<String> {
        let (mut splitter, mut out) = (TextSplitter::default(), Vec::new());
        for chunk in chunks {
            splitter.push(chunk, &mut out);
        }
        splitter.finish(&mut out);
        assert!(out.iter().all(|frame| frame.event == TEXT_PIECE_NAME));
        out.into_iter().map(|frame| frame.data).collect()
    }

    #[test]
    fn a_text_comes_as_it_is_cut_but_never_inside_a_character() {
        assert_eq!(pieces(&[b" a\r\n", b"\n", b"b "]), [" a\r\n", "\n", "b "]);
        assert_eq!(pieces(&[b"\xe2\x8f", b"\xb3!", b"\xf0\x9f", b"\x98", b"\x80"]), ["\u{23f3}!", "\u{1f600}"]);
    }

    #[test]
    fn bad_bytes_are_replaced_and_only_a_first_mark_is_left_out() {
        assert_eq!(pieces(&[b"\xff!", b"x\xe2\x8f"]), ["\u{fffd}!", "x", "\u{fffd}"]);
        assert_eq!(pieces(&[b"\xef\xbb\xbfa", b"\xef\xbb\xbfb"]), ["a", "\u{feff}b"]);
    }
}
