//! Wraps a text to byte ranges. Own wrapping, so that a frame never wraps what is not on the screen.
//!
//! Rows end at white space, and where the Unicode line breaking rules (UAX #14) let a line end that has none, as between
//! ideographs. In scripts that need a dictionary for that (Thai, Khmer …) they end between clusters.
//!
//! Not for styles: whoever has them maps the ranges. The invariant: ranges are in order and don't overlap, what lies
//! between two of them is white space, and no row is wider than asked (a grapheme that can't fit is marked).

use unicode_linebreak::{BreakClass, break_property, linebreaks};

use super::width::{Grapheme, graphemes, str_width};

/// One row of a wrapped text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrappedRow {
    pub start: usize,
    pub end: usize,
    pub width: usize,
    /// The row is one grapheme wider than the row may be; draw [`super::width::WIDE_GRAPHEME_PLACEHOLDER`] instead.
    pub too_wide: bool,
}

impl WrappedRow {
    /// Returns this row of the text that was wrapped.
    pub fn slice<'t>(&self, text: &'t str) -> &'t str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Wraps where a line may end; words longer than a row are cut at graphemes.
pub fn wrap(text: &str, width: usize) -> Vec<WrappedRow> {
    wrap_hanging(text, width, width)
}

/// Like [`wrap`], with another width for the first row than for the rest. Zero counts as one.
pub fn wrap_hanging(text: &str, first: usize, rest: usize) -> Vec<WrappedRow> {
    let mut rows = Vec::new();
    for_each_line(text, |start, line| wrap_line(line, start, first.max(1), rest.max(1), &mut rows));
    rows
}

/// Cuts every line after as many graphemes as fit: for code and program output, where white space matters.
pub fn wrap_hard(text: &str, width: usize) -> Vec<WrappedRow> {
    let width = width.max(1);
    let mut rows = Vec::new();
    for_each_line(text, |base, line| {
        let mut row = WrappedRow { start: base, end: base, width: 0, too_wide: false };
        for cell in graphemes(line) {
            if row.width + cell.width > width && row.width > 0 {
                rows.push(row);
                row = WrappedRow { start: row.end, end: row.end, width: 0, too_wide: false };
            }
            row.end = base + cell.at + cell.text.len();
            row.width += cell.width;
            if cell.width > width {
                rows.push(WrappedRow { width: 1, too_wide: true, ..row });
                row = WrappedRow { start: row.end, end: row.end, width: 0, too_wide: false };
            }
        }
        let line_began = rows.last().is_some_and(|last| last.start >= base && last.end > base);
        if row.end > row.start || !line_began {
            rows.push(row);
        }
    });
    rows
}

fn for_each_line(text: &str, mut each: impl FnMut(usize, &str)) {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', text.as_bytes()).chain([text.len()]) {
        each(start, &text[start..end]);
        start = end + 1;
    }
}

/// A place where a row may end: text up to `end`, and the next row from `next`.
#[derive(Clone, Copy)]
struct RowBreak {
    end: usize,
    width: usize,
    next: usize,
}

fn wrap_line(line: &str, base: usize, first: usize, rest: usize, rows: &mut Vec<WrappedRow>) {
    let before = rows.len();
    let breaks = break_opportunities(line);
    let mut start = 0;
    // Each row scans again what the row before could not take, which is less than a row.
    loop {
        let limit = if rows.is_empty() { first } else { rest };
        match fill_row(line, start, limit, &breaks) {
            RowFill::All { end, width } => {
                if end > 0 || rows.len() == before {
                    rows.push(WrappedRow { start: base + start, end: base + start + end, width, too_wide: false });
                }
                return;
            }
            RowFill::Row { end, width, next, too_wide } => {
                rows.push(WrappedRow { start: base + start, end: base + start + end, width, too_wide });
                start += next;
            }
            RowFill::DropIndent { next } => start += next,
        }
        // White space at the start of a continuing row is the one that the break replaced.
        if rows.len() > before {
            start += line[start..].len() - line[start..].trim_start_matches(' ').len();
            if start == line.len() {
                return;
            }
        }
    }
}

enum RowFill {
    /// The rest of the line fits.
    All {
        end: usize,
        width: usize,
    },
    Row {
        end: usize,
        width: usize,
        next: usize,
        too_wide: bool,
    },
    /// The indent leaves no room for the first word.
    DropIndent {
        next: usize,
    },
}

/// Returns the places, besides white space, before which a row may begin. A text in letters parted by blanks has none:
/// paths, options and words with hyphens stay in one piece.
fn break_opportunities(line: &str) -> Vec<usize> {
    // Most lines have no character of U+0590 or above, and are done with here.
    if !line.bytes().any(|byte| byte >= 0xd6) {
        return Vec::new();
    }
    let far = |c: char| c >= '\u{590}';
    let between = |at: usize| {
        let (before, after) = line.split_at(at);
        let (Some(before), Some(after)) = (before.chars().next_back(), after.chars().next()) else { return false };
        !before.is_whitespace() && (far(before) || far(after))
    };
    let mut all: Vec<usize> = linebreaks(line).map(|(at, _)| at).filter(|at| between(*at)).collect();
    let quotes = quote_breaks(line);
    if !quotes.is_empty() {
        all.extend(quotes);
        all.sort_unstable();
    }
    all
}

/// Returns the places before opening quotes and behind closing ones where a row may begin among ideographs. Of the
/// rules, later versions have them (LB19a).
fn quote_breaks(line: &str) -> Vec<usize> {
    let class = |c: char| break_property(u32::from(c));
    let wide = |c: char| str_width(c.encode_utf8(&mut [0; 4])) > 1;
    let ends = |c: char| {
        let class = class(c);
        let punctuation = matches!(
            class,
            BreakClass::ClosePunctuation
                | BreakClass::CloseParenthesis
                | BreakClass::Exclamation
                | BreakClass::NonStarter
        );
        wide(c) && (punctuation || class == BreakClass::Ideographic)
    };
    let begins = |c: char| wide(c) && matches!(class(c), BreakClass::Ideographic | BreakClass::OpenPunctuation);
    let mut found = Vec::new();
    for (at, quote) in line.char_indices().filter(|(_, c)| matches!(c, '“' | '‘' | '”' | '’')) {
        let end = at + quote.len_utf8();
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(end..).and_then(|after| after.chars().next());
        let (Some(before), Some(after)) = (before, after) else { continue };
        match quote {
            '“' | '‘' if ends(before) && wide(after) => found.push(at),
            '”' | '’' if wide(before) && begins(after) => found.push(end),
            _ => {}
        }
    }
    found
}

fn fill_row(line: &str, start: usize, limit: usize, breaks: &[usize]) -> RowFill {
    let text = &line[start..];
    let mut width = 0;
    let mut spaces: Option<(usize, usize)> = None;
    let mut last_break: Option<RowBreak> = None;
    // At a blank that belongs to a mark: only where there is no other.
    let mut poor_break: Option<RowBreak> = None;
    let mut breaks = breaks[breaks.partition_point(|at| *at <= start)..].iter().map(|at| at - start).peekable();
    for cell in graphemes(text) {
        if is_breaking_space(&cell) {
            spaces.get_or_insert((cell.at, width));
            width += cell.width;
            continue;
        }
        while breaks.next_if(|at| *at < cell.at).is_some() {}
        let may_break = breaks.peek() == Some(&cell.at);
        if let Some((end, width)) = spaces.take() {
            let found = Some(RowBreak { end, width, next: cell.at });
            if is_lone_mark(text, end, cell.at) { poor_break = found } else { last_break = found }
        } else if may_break && cell.at > 0 && cell.width > 0 {
            last_break = Some(RowBreak { end: cell.at, width, next: cell.at });
        }
        if width + cell.width > limit {
            return match last_break.or(poor_break) {
                Some(RowBreak { end, width, next }) if end > 0 && width <= limit => {
                    RowFill::Row { end, width, next, too_wide: false }
                }
                Some(RowBreak { end: 0, next, .. }) if next > 0 => RowFill::DropIndent { next },
                _ if cell.at == 0 || width == 0 => {
                    let end = cell.at + cell.text.len();
                    RowFill::Row { end, width: 1, next: end, too_wide: true }
                }
                _ => RowFill::Row { end: cell.at, width, next: cell.at, too_wide: false },
            };
        }
        width += cell.width;
    }
    match spaces {
        Some((end, before)) if width > limit => RowFill::All { end, width: before },
        _ => RowFill::All { end: text.len(), width },
    }
}

/// Returns whether blanks stand before a mark that would begin a row alone, or behind one that would end it: `« oui » !`
fn is_lone_mark(text: &str, end: usize, next: usize) -> bool {
    let (before, after) = (&text.as_bytes()[..end], &text.as_bytes()[next..]);
    let closes = match after {
        [b'!' | b'?' | b':' | b';', rest @ ..] | [0xc2, 0xbb, rest @ ..] => {
            matches!(rest, [] | [b' ' | b'.' | b',', ..])
        }
        _ => false,
    };
    closes || matches!(before, [0xc2, 0xab] | [.., b' ' | b'(', 0xc2, 0xab])
}

fn is_breaking_space(cell: &Grapheme<'_>) -> bool {
    cell.text == " " || cell.text.starts_with(['\t', '\u{2003}', '\u{2002}', '\u{2009}', '\u{3000}'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str, width: usize) -> Vec<&str> {
        wrap(text, width).into_iter().map(|row| &text[row.start..row.end]).collect()
    }

    #[test]
    fn words_wrap_at_spaces() {
        let cases: &[(&str, usize, &[&str])] = &[
            ("", 5, &[""]),
            ("hello world", 5, &["hello", "world"]),
            ("hello world", 11, &["hello world"]),
            ("hello   world", 8, &["hello", "world"]),
            ("abcdefgh", 3, &["abc", "def", "gh"]),
            ("a bcdefgh", 3, &["a", "bcd", "efg", "h"]),
            ("one\n\ntwo", 9, &["one", "", "two"]),
            ("  indent stays", 9, &["  indent", "stays"]),
            ("    longword", 8, &["longword"]),
            ("trailing   ", 8, &["trailing"]),
            ("漢字漢字", 5, &["漢字", "漢字"]),
            ("well-known/path stays", 6, &["well-k", "nown/p", "ath", "stays"]),
            ("Bonjour à tous !", 14, &["Bonjour à", "tous !"]),
            ("il dit « oui » :", 8, &["il dit", "« oui »", ":"]),
            ("hello ! x", 5, &["hello", "! x"]),
            ("ab漢字", 3, &["ab", "漢", "字"]),
        ];
        for (text, width, expected) in cases {
            assert_eq!(rows(text, *width), *expected, "{text:?} at {width}");
        }
    }

    #[test]
    fn lines_end_where_the_rules_of_unicode_let_them() {
        let cases: &[(&str, usize, &[&str])] = &[
            // No word of a script that has blanks is cut.
            ("क्षमा कीजिए। पाँच वाक्य", 8, &["क्षमा", "कीजिए।", "पाँच वाक्य"]),
            ("আমি বাংলায় গান গাই", 9, &["আমি বাংলায়", "গান গাই"]),
            ("எனக்கு தமிழ் தெரியும்", 10, &["எனக்கு தமிழ்", "தெரியும்"]),
            // A longer one only between its clusters, and so is what has none.
            ("कीजिए", 3, &["की", "जिए"]),
            ("สวัสดีครับ", 4, &["สวัสดี", "ครับ"]),
            ("ab สวัสดีครับ", 6, &["ab", "สวัสดีครั", "บ"]),
            ("ខ្ញុំស្រលាញ់", 3, &["ខ្ញុំស្រ", "លាញ់"]),
            ("ก (ข)", 3, &["ก", "(ข)"]),
            ("“தமிழ்” மொழி", 8, &["“தமிழ்”", "மொழி"]),
            ("他说：“好的！”", 8, &["他说：", "“好的！”"]),
            ("好：“坏”，对", 6, &["好：", "“坏”，", "对"]),
            ("他“好”吗", 5, &["他", "“好”", "吗"]),
            ("a“b”c 漢“b”漢", 5, &["a“b”c", "漢“b”", "漢"]),
            ("『二重』、…", 7, &["『二", "重』、…"]),
            // No row begins with what closes, with a small kana or a mark of length, and none ends with what opens.
            ("漢字、漢字。", 4, &["漢", "字、", "漢", "字。"]),
            ("これ「漢字」で", 6, &["これ", "「漢", "字」で"]),
            ("コンピューター", 6, &["コン", "ピュー", "ター"]),
            ("きょう", 2, &["き", "ょ", "う"]),
            ("漢字（注）", 6, &["漢字", "（注）"]),
            ("価格は￥100です", 9, &["価格は", "￥100です"]),
            // Words of letters between ideographs stay whole.
            ("漢字abc漢字", 6, &["漢字", "abc漢", "字"]),
            ("한국어 문장", 5, &["한국", "어 문", "장"]),
            ("一—二", 3, &["一—", "二"]),
            ("🚀🚀🚀", 4, &["🚀🚀", "🚀"]),
        ];
        for (text, width, expected) in cases {
            assert_eq!(rows(text, *width), *expected, "{text:?} at {width}");
        }
    }

    #[test]
    fn a_grapheme_wider_than_the_row_is_marked() {
        let marked: Vec<bool> = wrap("a漢b", 1).into_iter().map(|row| row.too_wide).collect();
        assert_eq!(marked, [false, true, false]);
        assert!(wrap_hard("a漢b", 1).iter().all(|row| row.width == 1));
    }

    #[test]
    fn the_first_row_may_have_another_width() {
        let text = "aaa bbb ccc";
        let rows: Vec<&str> = wrap_hanging(text, 4, 7).into_iter().map(|row| &text[row.start..row.end]).collect();
        assert_eq!(rows, ["aaa", "bbb ccc"]);
    }

    #[test]
    fn code_keeps_its_white_space() {
        let text = "    let x;\n\nab";
        let rows: Vec<&str> = wrap_hard(text, 6).into_iter().map(|row| &text[row.start..row.end]).collect();
        assert_eq!(rows, ["    le", "t x;", "", "ab"]);
    }

    proptest! {
        #[test]
        fn rows_hold_everything_but_breaking_space(text in "([a-z]{1,9}|漢|、|「|“|”|ょ|की|สวั|👩\u{200d}👧|é| [!:«»] |  ?|\n){0,40}", first in 0usize..30, rest in 0usize..30) {
            for (rows, chopped) in [(wrap_hanging(&text, first, rest), false), (wrap_hard(&text, rest), true)] {
                let mut at = 0;
                for (index, row) in rows.iter().enumerate() {
                    let between = &text[at..row.start];
                    prop_assert!(between.chars().all(|c| c == '\n' || (c == ' ' && !chopped)), "{:?}", between);
                    at = row.end;
                    let limit = if index == 0 && !chopped { first.max(1) } else { rest.max(1) };
                    prop_assert!(row.width <= limit, "{row:?} {limit}");
                    if !row.too_wide {
                        prop_assert_eq!(str_width(&text[row.start..row.end]), row.width);
                    }
                }
                prop_assert!(text[at..].chars().all(|c| c == '\n' || c == ' '));
                prop_assert!(rows.len() > text.matches('\n').count());
            }
        }
    }
}
