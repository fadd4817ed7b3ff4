//! How many cells a text takes, by grapheme. The one measure of the program: its rows and the screen take it from here.
//!
//! Not for cleaning: control characters count nothing here and must be gone before text becomes cells.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Whether ambiguous characters take two cells. One for the program, since it has one terminal; set before anything is
/// measured.
#[cfg(not(test))]
static IS_AMBIGUOUS_WIDE: AtomicBool = AtomicBool::new(false);
// Tests run beside each other, each in a thread of its own.
#[cfg(test)]
thread_local! {
    static IS_AMBIGUOUS_WIDE: AtomicBool = const { AtomicBool::new(false) };
}

/// Sets whether the terminal gives two cells to characters that Unicode calls ambiguous (UAX #11). To be called before
/// anything is measured, for what was measured is kept.
pub fn set_ambiguous_wide(is_wide: bool) {
    #[cfg(not(test))]
    IS_AMBIGUOUS_WIDE.store(is_wide, Ordering::Relaxed);
    #[cfg(test)]
    IS_AMBIGUOUS_WIDE.with(|wide| wide.store(is_wide, Ordering::Relaxed));
}

pub fn is_ambiguous_wide() -> bool {
    #[cfg(not(test))]
    return IS_AMBIGUOUS_WIDE.load(Ordering::Relaxed);
    #[cfg(test)]
    IS_AMBIGUOUS_WIDE.with(|wide| wide.load(Ordering::Relaxed))
}

/// Returns the cells that one grapheme takes.
pub fn grapheme_width(grapheme: &str) -> usize {
    grapheme_width_in(grapheme, is_ambiguous_wide())
}

/// Returns the cells that one grapheme takes where ambiguous characters are wide, or narrow. Lines and marks are narrow
/// everywhere: where that would be wrong, [`narrow_stand_in`] stands for them.
pub fn grapheme_width_in(grapheme: &str, is_ambiguous_wide: bool) -> usize {
    if grapheme.chars().next().is_none_or(char::is_control) {
        return 0;
    }
    if is_ambiguous_wide && !grapheme.is_ascii() {
        let is_letter = grapheme.chars().next().is_some_and(is_ambiguous_letter);
        return match narrow_stand_in(grapheme) {
            Some(_) => 1,
            None if is_letter => 2,
            None => grapheme.width_cjk(),
        };
    }
    // A picture that is asked for as text keeps its two cells: terminals look at the first character.
    if grapheme.ends_with('\u{fe0e}') {
        return grapheme.trim_end_matches('\u{fe0e}').width();
    }
    grapheme.width()
}

/// Tells whether a letter or a mark above one is ambiguous. Terminals that have ambiguous characters wide have these wide
/// as well, while `width_cjk` leaves letters narrow.
fn is_ambiguous_letter(c: char) -> bool {
    let Ok(code) = u16::try_from(c as u32) else { return false };
    let next = AMBIGUOUS_LETTER_RANGES.partition_point(|(_, last)| *last < code);
    AMBIGUOUS_LETTER_RANGES.get(next).is_some_and(|(first, _)| *first <= code)
}

/// What EastAsianWidth.txt has as `A` and UnicodeData.txt as a letter or a modifier symbol.
#[rustfmt::skip]
const AMBIGUOUS_LETTER_RANGES: [(u16, u16); 61] = [
    (0x00a8, 0x00a8), (0x00aa, 0x00aa), (0x00b4, 0x00b4), (0x00b8, 0x00b8), (0x00ba, 0x00ba), (0x00c6, 0x00c6),
    (0x00d0, 0x00d0), (0x00d8, 0x00d8), (0x00de, 0x00e1), (0x00e6, 0x00e6), (0x00e8, 0x00ea), (0x00ec, 0x00ed),
    (0x00f0, 0x00f0), (0x00f2, 0x00f3), (0x00f8, 0x00fa), (0x00fc, 0x00fc), (0x00fe, 0x00fe), (0x0101, 0x0101),
    (0x0111, 0x0111), (0x0113, 0x0113), (0x011b, 0x011b), (0x0126, 0x0127), (0x012b, 0x012b), (0x0131, 0x0133),
    (0x0138, 0x0138), (0x013f, 0x0142), (0x0144, 0x0144), (0x0148, 0x014b), (0x014d, 0x014d), (0x0152, 0x0153),
    (0x0166, 0x0167), (0x016b, 0x016b), (0x01ce, 0x01ce), (0x01d0, 0x01d0), (0x01d2, 0x01d2), (0x01d4, 0x01d4),
    (0x01d6, 0x01d6), (0x01d8, 0x01d8), (0x01da, 0x01da), (0x01dc, 0x01dc), (0x0251, 0x0251), (0x0261, 0x0261),
    (0x02c4, 0x02c4), (0x02c7, 0x02c7), (0x02c9, 0x02cb), (0x02cd, 0x02cd), (0x02d0, 0x02d0), (0x02d8, 0x02db),
    (0x02dd, 0x02dd), (0x02df, 0x02df), (0x0391, 0x03a1), (0x03a3, 0x03a9), (0x03b1, 0x03c1), (0x03c3, 0x03c9),
    (0x0401, 0x0401), (0x0410, 0x044f), (0x0451, 0x0451), (0x207f, 0x207f), (0x2113, 0x2113), (0x2126, 0x2126),
    (0x212b, 0x212b),
];

/// Returns what stands in one cell for a line or a mark that would take two where ambiguous characters are wide; none for
/// what is no such sign.
pub fn narrow_stand_in(grapheme: &str) -> Option<&'static str> {
    let mut chars = grapheme.chars();
    let (sign, None) = (chars.next()?, chars.next()) else { return None };
    Some(match sign {
        '─' | '━' | '┄' | '┅' | '┈' | '┉' | '╌' | '╍' | '═' => "-",
        '│' | '┃' | '┆' | '┇' | '┊' | '┋' | '╎' | '╏' | '║' => "|",
        '╱' => "/",
        '╲' => "\\",
        '\u{2500}'..='\u{257f}' => "+",
        '\u{2580}'..='\u{2590}' | '\u{2594}'..='\u{259f}' => "#",
        '\u{2591}'..='\u{2593}' => ":",
        '←' => "<",
        '→' => ">",
        '↑' => "^",
        '↓' => "v",
        '…' => "~",
        '·' | '•' | '●' | '◆' | '■' | '★' => "*",
        '○' | '◌' | '◇' | '□' | '☆' | '◎' => "o",
        '▶' | '▷' => ">",
        '◀' | '◁' => "<",
        '▲' | '△' => "^",
        '▼' | '▽' => "v",
        _ => return None,
    })
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
    fn ambiguous_characters_are_as_wide_as_the_terminal_has_them_and_lines_stay_narrow() {
        for (text, narrow, wide) in
            [("α", 1, 2), ("Ж", 1, 2), ("“", 1, 2), ("①", 1, 2), ("é", 1, 2), ("a", 1, 1), ("漢", 2, 2), ("ｱ", 1, 1)]
        {
            assert_eq!((grapheme_width_in(text, false), grapheme_width_in(text, true)), (narrow, wide), "{text}");
        }
        for sign in ["─", "│", "╰", "…", "·", "●", "→", "━", "█"] {
            assert_eq!((grapheme_width_in(sign, false), grapheme_width_in(sign, true)), (1, 1), "{sign}");
            assert!(narrow_stand_in(sign).is_some_and(|sign| sign.len() == 1), "{sign}");
        }
        assert_eq!((narrow_stand_in("α"), narrow_stand_in("──")), (None, None));
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
