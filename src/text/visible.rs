//! Shows a person what a text really holds, before they decide about it or while they look at its source.
//!
//! Not for answers, where joiners and selectors belong to the writing: see [`super::clean()`]. What has no ink of its own
//! is a matter of Unicode's properties, not of a list of ours, so a character that is assigned tomorrow hides nothing.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::clean::is_unclean;
use super::look_alike;

/// Characters that are drawn as nothing, or that move others; and what no Unicode known here has assigned.
const HIDDEN_CHAR_CLASS: &str =
    r"[\p{Default_Ignorable_Code_Point}\p{White_Space}\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Zl}\p{Zp}]";

/// Returns the text with every hidden character and every letter that passes for another one spelled out: for
/// approvals, where a person must see what is really there. `\n` and `\t` stay.
///
/// Words of one alphabet stay readable: `look_alike` says what counts as one. O(length).
pub fn visible(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let disguised = look_alike::disguised_positions(text);
    let mut disguised = disguised.iter().copied().peekable();
    escape_where(text, |at, c| disguised.next_if_eq(&at).is_some() || is_hidden(c))
}

/// Likewise for what stands on one line, such as a path: there a tab or a line break is as odd as any other control
/// character, and a terminal would draw it as nothing or as a space.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    match visible(text) {
        text if !text.contains(['\t', '\n']) => text,
        text => Cow::Owned(text.replace('\t', "␉").replace('\n', "␊")),
    }
}

/// Returns the text with every hidden character spelled out, and letters as they are: for a look at a source.
pub fn escape_hidden(text: &str) -> Cow<'_, str> {
    if is_plain(text) { Cow::Borrowed(text) } else { escape_where(text, |_, c| is_hidden(c)) }
}

/// Returns JSON text with every hidden character escaped as `\uXXXX`, so that a terminal shows it and a reader of JSON
/// gets the same. Outside of strings JSON has no such characters.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    if json.chars().all(|c| !is_hidden(c)) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~'))
}

fn escape_where(text: &str, mut is_spelled: impl FnMut(usize, char) -> bool) -> Cow<'_, str> {
    let mut out = String::new();
    let mut from = 0;
    for (at, c) in text.char_indices() {
        if !is_spelled(at, c) {
            continue;
        }
        out.push_str(&text[from..at]);
        from = at + c.len_utf8();
        match u32::from(c) {
            0x7f => out.push('␡'),
            code @ 0..0x20 => out.push(char::from_u32(0x2400 + code).unwrap_or('␀')),
            code => {
                let _ = write!(out, "\\u{{{code:x}}}");
            }
        }
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' | ' '..='~' => false,
        // Assigned, and of no class that says so, but fonts leave them blank: the empty Braille cell, the filler of the
        // Khitan script, the empty note head, the blanks of Egyptian.
        '\u{2800}' | '\u{16fe4}' | '\u{1d159}' | '\u{13441}' | '\u{13442}' => true,
        c => is_unclean(c) || look_alike::class!(HIDDEN_CHAR_CLASS).contains(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hidden_characters_become_visible() {
        assert_eq!(visible("rm\x1b[8m -rf\u{202e}\u{200b}\n"), "rm␛[8m -rf\\u{202e}\\u{200b}\n");
        assert_eq!(visible("a\r\x7f\u{9b}\tb"), "a␍␡\\u{9b}\tb");
    }

    #[test]
    fn on_one_line_tabs_and_line_breaks_are_no_spaces() {
        assert_eq!(visible_line("rm -rf a\t/b"), "rm -rf a␉/b");
        assert_eq!(visible_line("notes.txt\nin /tmp\u{200b}"), "notes.txt␊in /tmp\\u{200b}");
        assert!(matches!(visible_line("a b"), Cow::Borrowed(_)));
    }

    #[test]
    fn whatever_has_no_ink_is_spelled_out() {
        let hidden = "\u{a0}\u{ad}\u{34f}\u{61c}\u{115f}\u{1160}\u{1680}\u{17b4}\u{17b5}\u{180b}\u{180e}\u{180f}\u{2000}\
            \u{2003}\u{2009}\u{200a}\u{200b}\u{200c}\u{200d}\u{200e}\u{2028}\u{2029}\u{202e}\u{202f}\u{205f}\u{2060}\
            \u{2064}\u{2065}\u{206f}\u{2800}\u{3000}\u{3164}\u{fe00}\u{fe0f}\u{feff}\u{ffa0}\u{fff0}\u{fff9}\u{ffff}\
            \u{e000}\u{16fe4}\u{1bca0}\u{1bca3}\u{1d159}\u{1d173}\u{1d17a}\u{1fffe}\u{e0001}\u{e0041}\u{e0100}\u{e01ef}\
            \u{f0000}\u{10ffff}\u{378}";
        for c in hidden.chars() {
            let spelled = format!("notes\\u{{{:x}}}.txt", u32::from(c));
            assert_eq!(visible(&format!("notes{c}.txt")), spelled);
            assert_eq!(escape_hidden(&format!("notes{c}.txt")), spelled);
        }
    }

    #[test]
    fn a_source_keeps_its_letters() {
        assert_eq!(escape_hidden("p\u{430}yload \u{200d}"), "p\u{430}yload \\u{200d}");
    }

    #[test]
    fn json_keeps_its_meaning_and_loses_what_a_terminal_obeys() {
        let text = "a\u{9b}2J\u{202e}b\u{e0041}\u{7f}\u{feff} ü 漢\n";
        let json = serde_json::to_string(&[text]).unwrap() + "\n";
        let shown = escape_json(&json);
        assert!(shown.chars().all(|c| !is_hidden(c)), "{shown}");
        assert!(shown.contains(r"\u009b2J\u202eb\udb40\udc41\u007f\ufeff ü 漢"), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text]);
        assert!(matches!(escape_json("{\"a\":\"ü\"}\n"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn what_is_visible_holds_nothing_hidden(text in proptest::collection::vec(any::<char>(), 0..40)) {
            let text: String = text.into_iter().collect();
            prop_assert!(visible(&text).chars().all(|c| !is_hidden(c)));
            prop_assert!(escape_hidden(&text).chars().all(|c| !is_hidden(c)));
        }
    }
}
