//! Finds the characters that pass for ASCII ones: `p\u{430}yload`, `\u{ff41}dmin`, a division sign for a slash.
//!
//! What looks like what is Unicode's own table of confusable characters (UTS #39), of which `assets/lookalikes.txt`
//! has those that look like one character of ASCII. A look-alike is nothing odd among its own kind, so letters are
//! let be where their word, or the word beside it, is clearly written in their alphabet and has no Latin letter.

use std::sync::OnceLock;

use super::width::str_width;

/// A class of characters, as an expression: sorted ranges.
pub(super) struct Class(Box<[(char, char)]>);

impl Class {
    pub(super) fn of(expression: &str) -> Self {
        let ranges = match regex_syntax::parse(expression).map(regex_syntax::hir::Hir::into_kind) {
            Ok(regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class))) => {
                class.ranges().iter().map(|range| (range.start(), range.end())).collect()
            }
            // A class that can't be read holds everything: too much is shown then, and the tests fail.
            _ => Box::from([('\0', char::MAX)]),
        };
        Self(ranges)
    }

    pub(super) fn contains(&self, c: char) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= c);
        after > 0 && self.0[after - 1].1 >= c
    }
}

/// The class of an expression, read once.
macro_rules! class {
    ($expression:expr) => {{
        static CLASS: std::sync::OnceLock<$crate::text::look_alike::Class> = std::sync::OnceLock::new();
        CLASS.get_or_init(|| $crate::text::look_alike::Class::of($expression))
    }};
}
pub(super) use class;

/// Letters that are drawn as two or three of ASCII; nobody types them.
const LIGATURE_CLASS: &str = r"[\x{132}\x{133}\x{1c7}-\x{1cc}\x{1f1}-\x{1f3}\x{fb00}-\x{fb06}]";

/// A run of letters, digits and marks.
#[derive(Clone, Copy, Default)]
struct ScriptWord {
    start: usize,
    end: usize,
    has_latin: bool,
    /// Has a letter of another alphabet that looks like nothing in ASCII.
    is_foreign: bool,
    /// Has a Latin letter beyond ASCII that looks like nothing in ASCII.
    is_accented: bool,
}

/// Returns where characters stand that are to be spelled out, in order. O(length).
pub(super) fn disguised_positions(text: &str) -> Vec<usize> {
    let words = split_words(text);
    let mut found = Vec::new();
    let mut next = 0;
    let (mut before, mut chars) = (None, text.char_indices().peekable());
    while let Some((at, c)) = chars.next() {
        while words.get(next).is_some_and(|word| word.end <= at) {
            next += 1;
        }
        let after = chars.peek().map(|(_, c)| *c);
        if !c.is_ascii() {
            let is_disguised = is_mark_on_symbol(c, before)
                || match words.get(next).filter(|word| word.start <= at) {
                    Some(word) => is_disguised_letter(c, word, || has_foreign_neighbor(text, &words, next)),
                    None => is_disguised_symbol(c, before, after),
                };
            if is_disguised {
                found.push(at);
            }
        }
        before = Some(c);
    }
    found
}

fn split_words(text: &str) -> Vec<ScriptWord> {
    let mut words: Vec<ScriptWord> = Vec::new();
    for (at, c) in text.char_indices() {
        if !c.is_alphanumeric() && !class!(r"\p{M}").contains(c) {
            continue;
        }
        let end = at + c.len_utf8();
        let word = match words.last_mut() {
            Some(word) if word.end == at => {
                word.end = end;
                word
            }
            _ => {
                words.push(ScriptWord { start: at, end, ..ScriptWord::default() });
                let Some(word) = words.last_mut() else { continue };
                word
            }
        };
        let is_latin = is_latin(c);
        word.has_latin |= is_latin;
        if !c.is_ascii() && c.is_alphabetic() && !is_like_ascii(c) {
            word.is_accented |= is_latin;
            word.is_foreign |= !is_latin;
        }
    }
    words
}

fn is_disguised_letter(c: char, word: &ScriptWord, has_foreign_neighbour: impl FnOnce() -> bool) -> bool {
    // No word is written in two of these.
    if word.has_latin && class!(r"\p{Cyrillic}").contains(c) || class!(LIGATURE_CLASS).contains(c) {
        return true;
    }
    if !is_like_ascii(c) || is_wide(c) && !is_full_width(c) {
        return false;
    }
    if is_latin(c) {
        // The dotless i of a Turkish word, the thorn of an Icelandic one.
        return !(word.is_accented && matches!(c, '\u{c0}'..='\u{24f}'));
    }
    if !class!(r"[\p{Common}\p{Inherited}]").contains(c) || c.is_numeric() {
        return word.has_latin || !word.is_foreign && !has_foreign_neighbour();
    }
    // Letters of mathematics and their like, and apostrophes that count as letters.
    !word.is_foreign
}

/// A mark over a sign vanishes in it, as a stroke through a slash or a line below an underscore does; and a stroke
/// through an ASCII letter is no way to write one.
fn is_mark_on_symbol(c: char, before: Option<char>) -> bool {
    class!(r"\p{M}").contains(c)
        && before.is_some_and(|before| {
            let is_stroke = class!(r"[\x{334}-\x{338}\x{20d2}\x{20d3}\x{20d8}-\x{20da}\x{20e5}-\x{20eb}]").contains(c);
            before.is_ascii() && (is_stroke || !before.is_ascii_alphabetic())
        })
}

/// Quotation marks, dashes and the sign of multiplication are how prose is written, box drawings how trees are.
fn is_disguised_symbol(c: char, before: Option<char>, after: Option<char>) -> bool {
    let is_like = is_like_ascii(c) || is_full_width(c);
    if !is_like || class!(r"[\p{Pi}\p{Pf}×\x{2500}-\x{2570}\x{2574}-\x{257f}]").contains(c) {
        return false;
    }
    if c == '–' {
        let is_alone = |c: Option<char>| c.is_none_or(char::is_whitespace);
        return is_alone(before) && !is_alone(after);
    }
    if !is_wide(c) {
        return true;
    }
    let is_among_wide = |c: Option<char>| c.is_some_and(|c| is_wide(c) && !is_full_width(c));
    is_full_width(c) && !is_among_wide(before) && !is_among_wide(after)
}

/// Says whether a word that is next to this one, with nothing but a space or a comma between them, is clearly of
/// another alphabet.
fn has_foreign_neighbor(text: &str, words: &[ScriptWord], at: usize) -> bool {
    let is_near = |one: usize, other: usize| {
        let gap = words.get(one).zip(words.get(other)).and_then(|(one, other)| text.get(one.end..other.start));
        gap.is_some_and(|gap| gap.len() <= 2 && gap.chars().all(|c| matches!(c, ' ' | ',' | '.' | '-' | '_' | '\'')))
    };
    let is_foreign = |at: usize| words.get(at).is_some_and(|word| word.is_foreign && !word.has_latin);
    at.checked_sub(1).is_some_and(|before| is_foreign(before) && is_near(before, at))
        || (is_foreign(at + 1) && is_near(at, at + 1))
}

fn is_like_ascii(c: char) -> bool {
    static TABLE: OnceLock<Box<[char]>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        include_str!("../../assets/lookalikes.txt").chars().filter(|c| !c.is_ascii_whitespace()).collect()
    });
    table.binary_search(&c).is_ok()
}

fn is_latin(c: char) -> bool {
    c.is_ascii_alphabetic() || (!c.is_ascii() && class!(r"\p{Latin}").contains(c))
}

fn is_wide(c: char) -> bool {
    str_width(c.encode_utf8(&mut [0; 4])) == 2
}

/// The double-width forms of ASCII, which stand among Chinese and Japanese, and the small ones.
fn is_full_width(c: char) -> bool {
    matches!(c, '\u{ff01}'..='\u{ff5e}' | '\u{fe50}'..='\u{fe6b}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::visible;

    #[test]
    fn letters_that_pass_for_others_are_spelled_out() {
        for (given, shown) in [
            ("p\u{430}yload", "p\\u{430}yload"),
            ("\u{441}\u{43e}\u{440}\u{443} a b", "\\u{441}\\u{43e}\\u{440}\\u{443} a b"),
            ("\u{455}udo ls", "\\u{455}udo ls"),
            ("g\u{456}t push \u{43e}rigin", "g\\u{456}t push \\u{43e}rigin"),
            ("pa\u{442}h", "pa\\u{442}h"),
            ("\u{3bf}ut/\u{391}.txt", "\\u{3bf}ut/\\u{391}.txt"),
            ("\u{ff52}\u{ff4d} x", "\\u{ff52}\\u{ff4d} x"),
            ("\u{1d41a}dmin", "\\u{1d41a}dmin"),
            ("\u{251}dmin f\u{131}le \u{212a}ey", "\\u{251}dmin f\\u{131}le \\u{212a}ey"),
            (
                "src\u{2215}x a\u{2044}b \u{2212}rf \u{2010}x \u{2013}rf",
                "src\\u{2215}x a\\u{2044}b \\u{2212}rf \\u{2010}x \\u{2013}rf",
            ),
            ("a\u{37e}b https\u{a789}//x\u{ff0f}y", "a\\u{37e}b https\\u{a789}//x\\u{ff0f}y"),
            ("\u{fb01}le.txt \u{1c9}x", "\\u{fb01}le.txt \\u{1c9}x"),
            ("src\u{2571}x \u{ff0d}rf \u{fe63}x", "src\\u{2571}x \\u{ff0d}rf \\u{fe63}x"),
            ("a-\u{336}b /\u{338} l\u{335}s 1\u{301}", "a-\\u{336}b /\\u{338} l\\u{335}s 1\\u{301}"),
            ("\u{13aa}\u{13bb} \u{a4d3}", "\\u{13aa}\\u{13bb} \\u{a4d3}"),
            ("\u{430}", "\\u{430}"),
        ] {
            assert_eq!(visible(given), shown);
        }
    }

    #[test]
    fn what_is_written_in_one_alphabet_stays_readable() {
        for text in [
            "Документы/отчёт за год.txt",
            "git commit -m 'исправлено в коде, а не в тесте'",
            "хор поёт",
            "IT-отдел",
            "Ελλάδα και αλήθεια",
            "Δt αβ",
            "naïve café façade – “quoted” ‘so’ … 3×4",
            "ışık kılıç",
            "漢字、ひらがな：カタカナ（ノート）。git提交",
            "한국어 문서",
            "צו הזה",
            "كتاب ١٢٣",
            "हिन्दी ०",
            "└── src │ tree",
            "naïve 日本語 ✓ € 👍",
            "e\u{301}tude",
        ] {
            assert_eq!(visible(text), text);
        }
    }

    /// The look of an emoji and the joints of a Persian word are spelled out, the rest stays.
    #[test]
    fn joiners_are_shown_and_what_they_join_stays() {
        assert_eq!(visible("می\u{200c}خواهم.txt"), "می\\u{200c}خواهم.txt");
        assert_eq!(visible("👩\u{200d}👧 ❤\u{fe0f}"), "👩\\u{200d}👧 ❤\\u{fe0f}");
    }

    #[test]
    fn the_table_is_unicodes() {
        let like = |c: char| unicode_security::confusable_detection::skeleton(c.encode_utf8(&mut [0; 4])).collect();
        let ascii: std::collections::HashSet<String> = ('!'..='~').map(like).collect();
        // Beyond are ideographs and what is not assigned.
        for c in ('\u{a1}'..'\u{4e00}').chain('\u{a000}'..'\u{ac00}').chain('\u{f900}'..'\u{20000}') {
            let is_blank = c.is_whitespace() || c.is_control() || c == '\u{2800}';
            assert_eq!(is_like_ascii(c), !is_blank && ascii.contains(&like(c)), "{c:?}");
        }
    }
}
