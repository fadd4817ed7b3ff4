//! How many cells a text takes, by grapheme. The one measure of the program: its rows and the screen take it from here.
//!
//! Not for cleaning: control characters count nothing here and must be gone before text becomes cells.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Stands for a grapheme that is wider than the place it would have to go.
pub const WIDE_GRAPHEME_PLACEHOLDER: &str = "▯";

/// Bytes of a cluster: whoever hangs more marks on a letter gets the rest as a cluster of its own, so that a cell stays
/// small and any text is gone through once.
const MAX_GRAPHEME_BYTES: usize = 128;

/// One grapheme: where it starts, what it is, how many cells it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grapheme<'a> {
    pub at: usize,
    pub text: &'a str,
    pub width: usize,
}

/// Iterates over the graphemes of a text. Plain ASCII takes a short way.
pub fn graphemes(text: &str) -> Graphemes<'_> {
    Graphemes { text, at: 0 }
}

pub struct Graphemes<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Graphemes<'a> {
    type Item = Grapheme<'a>;

    fn next(&mut self) -> Option<Grapheme<'a>> {
        let at = self.at;
        let bytes = self.text.as_bytes();
        let first = *bytes.get(at)?;
        // A character that combines with this one would not be ASCII.
        if first.is_ascii() && bytes.get(at + 1).is_none_or(u8::is_ascii) {
            self.at += 1;
            return Some(Grapheme {
                at,
                text: &self.text[at..=at],
                width: usize::from(first >= 0x20 && first != 0x7f),
            });
        }
        let near = self.text.floor_char_boundary(at + MAX_GRAPHEME_BYTES);
        let text = self.text[at..near].graphemes(true).next()?;
        self.at += text.len();
        Some(Grapheme { at, text, width: grapheme_width(text) })
    }
}

/// Returns the cells that one grapheme takes.
pub fn grapheme_width(grapheme: &str) -> usize {
    if grapheme.chars().next().is_none_or(char::is_control) {
        return 0;
    }
    // A picture that is asked for as text keeps its two cells: terminals look at the first character.
    if grapheme.ends_with('\u{fe0e}') {
        return grapheme.trim_end_matches('\u{fe0e}').width();
    }
    grapheme.width()
}

/// Returns the cells that a text on one line takes.
pub fn str_width(text: &str) -> usize {
    graphemes(text).map(|cell| cell.width).sum()
}

/// Returns the longest prefix that fits into `max` cells, and its width.
pub fn truncate_to_width(text: &str, max: usize) -> (&str, usize) {
    let mut width = 0;
    for cell in graphemes(text) {
        if width + cell.width > max {
            return (&text[..cell.at], width);
        }
        width += cell.width;
    }
    (text, width)
}

/// Returns the text cut to `max` cells, with an ellipsis where something is missing.
pub fn truncate_with_ellipsis(text: &str, max: usize) -> Cow<'_, str> {
    // Cheap for a text of any length: looks at no more than fits.
    if truncate_to_width(text, max).0.len() == text.len() {
        return Cow::Borrowed(text);
    }
    match max {
        0 => Cow::Borrowed(""),
        max => Cow::Owned(format!("{}…", truncate_to_width(text, max - 1).0.trim_end())),
    }
}

/// Returns the text with tabs replaced by spaces up to the next multiple of `stop`.
pub fn expand_tabs(text: &str, stop: usize) -> Cow<'_, str> {
    if memchr::memchr(b'\t', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let stop = stop.max(1);
    let mut out = String::with_capacity(text.len() + 16);
    let mut column = 0;
    for cell in graphemes(text) {
        match cell.text {
            "\t" => {
                let spaces = stop - column % stop;
                out.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            "\n" => {
                out.push('\n');
                column = 0;
            }
            other => {
                out.push_str(other);
                column += cell.width;
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphemes_are_measured_whole() {
        let cases = [
            ("abc", 3),
            ("漢字", 4),
            ("e\u{301}", 1),
            ("👩\u{200d}👩\u{200d}👧", 2),
            ("🇩🇪", 2),
            ("\u{301}", 0),
            ("ｶﾞｷﾞﾊﾟ|x", 8),
            ("⌚\u{fe0e}", 2),
            ("\n", 0),
            ("", 0),
        ];
        for (text, width) in cases {
            assert_eq!(str_width(text), width, "{text:?}");
        }
    }

    #[test]
    fn a_cluster_of_any_length_is_gone_through_in_pieces() {
        for text in ["e".to_owned() + &"\u{301}".repeat(10_000), "👩\u{200d}".repeat(5000)] {
            let pieces: Vec<&str> = graphemes(&text).map(|cell| cell.text).collect();
            assert_eq!(pieces.concat(), text);
            assert!(pieces.iter().all(|piece| piece.len() <= MAX_GRAPHEME_BYTES));
        }
        assert_eq!(str_width(&("e".to_owned() + &"\u{301}".repeat(10_000))), 1);
    }

    #[test]
    fn cells_tile_the_text() {
        for text in ["a\u{301}b漢c", "ab\r\ncd", "é👩\u{200d}👧x"] {
            let joined: String = graphemes(text).map(|cell| cell.text).collect();
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn a_cut_never_splits_a_wide_grapheme() {
        assert_eq!(truncate_to_width("a漢字", 2), ("a", 1));
        assert_eq!(truncate_with_ellipsis("a漢字", 4), "a漢…");
        assert_eq!(truncate_with_ellipsis("abc", 3), "abc");
        assert_eq!(truncate_with_ellipsis("abc", 0), "");
    }

    #[test]
    fn tabs_reach_the_next_stop() {
        assert_eq!(expand_tabs("a\tb\n\tc", 4), "a   b\n    c");
        assert_eq!(expand_tabs("漢\tb", 8), "漢      b");
    }
}
