//! The one boundary for hostile text: what passes [`clean`] may become cells, a window title or a clipboard.
//!
//! Not for Markdown or HTML, which are harmless as text. The invariant: the result holds no control character but
//! `\n` and `\t`, nothing that reorders text, and cleaning a prefix gives a prefix of cleaning the whole (so a text
//! that streams in never shows what a later piece would hide).

use std::borrow::Cow;

use super::width;

/// Returns the text without escape sequences, control characters, bidi controls and invisible tags.
///
/// A sequence of the string kind (OSC, DCS, APC, PM, SOS) ends at its terminator or at the end of the line, so an
/// unterminated one can't swallow the rest of an answer.
pub fn clean(text: &str) -> Cow<'_, str> {
    let Some(first) = first_unclean(text) else { return Cow::Borrowed(text) };
    let mut out = String::with_capacity(text.len());
    out.push_str(&text[..first]);
    let mut chars = text[first..].chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut chars),
            '\u{2028}' | '\u{2029}' => out.push('\n'),
            c if is_unclean(c) => {}
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Returns whether [`clean`] would change the text.
pub fn is_clean(text: &str) -> bool {
    first_unclean(text).is_none()
}

/// Returns the text cleaned, on one line, and cut to `max` cells with an ellipsis. For titles and subjects.
pub fn one_line(text: &str, max: usize) -> String {
    // Far more than fits, so that a huge argument costs nothing.
    let end = text.floor_char_boundary(max.saturating_mul(8).saturating_add(2048));
    let cleaned = clean(&text[..end]);
    let mut line = String::with_capacity(cleaned.len().min(max.saturating_mul(4)));
    for word in cleaned.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if end < text.len() {
        line.push('…');
    }
    width::truncate_with_ellipsis(&line, max).into_owned()
}

fn first_unclean(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(offset) = bytes[at..].iter().position(|&b| is_suspect(b)) {
        at += offset;
        // A suspect byte is ASCII or leads a character, so this is a boundary.
        let c = text[at..].chars().next()?;
        if is_unclean(c) {
            return Some(at);
        }
        at += c.len_utf8();
    }
    None
}

/// First bytes of everything that [`is_unclean`] knows.
fn is_suspect(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\n' && byte != b'\t') || matches!(byte, 0x7f | 0xc2 | 0xd8 | 0xe2 | 0xef | 0xf3)
}

pub(super) fn is_unclean(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => true,
        '\u{61c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        _ => false,
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// After ESC.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_csi(chars);
        }
        // `k` is the window title of screen and tmux.
        Some(']' | 'P' | '_' | '^' | 'X' | 'k') => {
            chars.next();
            skip_string(chars);
        }
        Some(' '..='/') => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            let _ = chars.next_if(|c| matches!(c, '0'..='~'));
        }
        Some('0'..='~') => {
            chars.next();
        }
        _ => {}
    }
}

/// After CSI: parameters, intermediates, one final character.
fn skip_csi(chars: &mut Chars<'_>) {
    while chars.next_if(|c| matches!(c, '0'..='?')).is_some() {}
    while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
    let _ = chars.next_if(|c| matches!(c, '@'..='~'));
}

/// After OSC and its like: up to BEL, ST, CAN, SUB, the next escape or the end of the line.
fn skip_string(chars: &mut Chars<'_>) {
    loop {
        match chars.peek() {
            None | Some('\n' | '\x1b') => return,
            Some('\x07' | '\x18' | '\x1a' | '\u{9c}') => {
                chars.next();
                return;
            }
            Some(_) => {
                chars.next();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequences_vanish_whole() {
        let cases = [
            ("plain\ttext\n", "plain\ttext\n"),
            ("a\x1b[31mred\x1b[0m", "ared"),
            ("a\u{9b}31mred", "ared"),
            ("x\x1b]52;c;ZXZpbA==\x07y", "xy"),
            ("x\x1b]8;;http://a\x1b\\link\x1b]8;;\x1b\\y", "xlinky"),
            ("x\x1bP1;2q#data\x1b\\y", "xy"),
            ("x\x1b_apc\u{9c}y\u{9e}pm\x1b\\z", "xyz"),
            ("x\x1b]0;never ended\nnext", "x\nnext"),
            ("x\x1b(0y\x1b7z", "xyz"),
            ("a\r\nb\rc\x08\x7f", "a\nbc"),
            ("safe\u{202e}evil\u{2066}\u{feff}\u{e0041}", "safeevil"),
            ("👩\u{200d}👧 é\u{301}", "👩\u{200d}👧 é\u{301}"),
        ];
        for (given, expected) in cases {
            assert_eq!(clean(given), expected, "{given:?}");
        }
    }

    #[test]
    fn ordinary_text_is_borrowed() {
        assert!(matches!(clean("naïve – “quoted” 漢字 ✓ €"), Cow::Borrowed(_)));
    }

    #[test]
    fn one_line_collapses_and_cuts() {
        assert_eq!(one_line("  a\n\n b\tc\x1b[1m ", 20), "a b c");
        assert_eq!(one_line("abcdefgh", 5), "abcd…");
        assert_eq!(one_line("漢字漢字", 5), "漢字…");
        assert_eq!(one_line(&"x".repeat(1_000_000), 3), "xx…");
        assert_eq!(one_line("abc", 0), "");
    }

    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("\x1b".to_owned()),
            Just("\x1b]".to_owned()),
            Just("\x1b\\".to_owned()),
            Just("\u{9b}".to_owned()),
            Just("\u{9d}0;".to_owned()),
            Just("\x07".to_owned()),
            Just("\n".to_owned()),
            "[ -~]{0,5}",
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_hostile_is_left(text in hostile()) {
            let cleaned = clean(&text).into_owned();
            prop_assert!(cleaned.chars().all(|c| !is_unclean(c)));
            prop_assert!(cleaned.chars().all(|c| !c.is_control() || c == '\n' || c == '\t'));
            prop_assert_eq!(clean(&cleaned), cleaned.as_str());
        }

        #[test]
        fn a_prefix_shows_nothing_that_the_whole_hides(text in hostile(), cut in any::<prop::sample::Index>()) {
            let boundaries: Vec<usize> = text.char_indices().map(|(i, _)| i).chain([text.len()]).collect();
            let prefix = &text[..boundaries[cut.index(boundaries.len())]];
            prop_assert!(clean(&text).starts_with(&*clean(prefix)));
        }

        #[test]
        fn ordinary_text_is_unchanged(text in "[ -~\n\tà-ü一-三]{0,80}") {
            prop_assert_eq!(clean(&text), text.as_str());
        }
    }
}
