//! Text that opens more than anybody would read: what is nested too deep is shown as text, so is a table of too many
//! columns, and what only costs time is taken out before the parser is asked where blocks begin.
//!
//! The parser's time, and ours, grows with the depth of containers, with the columns that each row of a table has and with
//! brackets that are never closed. The invariants: no text is changed that has no line with more than
//! [`MAX_CONTAINER_DEPTH`] containers or [`MAX_TABLE_COLUMNS`] columns, code is never changed, and [`structure_only`]
//! changes no byte's place.

use std::borrow::Cow;
use std::ops::Range;

use pulldown_cmark::{Event, Parser, Tag};

use super::{options, table};

/// Quotes and items that one line may begin inside each other.
const MAX_CONTAINER_DEPTH: usize = 100;
/// Columns of a table: no screen has room for more.
pub(super) const MAX_TABLE_COLUMNS: usize = 128;
/// A table with so many columns has wide rows: what they lack is made up for by the parser, cell by cell.
pub(super) const WIDE_TABLE_COLUMNS: usize = 8;
/// Of a line with so many marks, which are that part of it, none say what block it is but those in front.
const MIN_DENSE_MARKS: usize = 24;
const MAX_BYTES_PER_DENSE_MARK: usize = 32;
/// What tells the kind of a line stands in front, and the name of a definition may be so long.
const KEPT_PREFIX_BYTES: usize = 16;
const MAX_LABEL_BYTES: usize = 1000;

/// Returns the text with a backslash before what would be nested too deep.
pub(super) fn limit_depth(source: &str) -> Cow<'_, str> {
    let mut at = 0;
    let mut marks = Vec::new();
    for line in source.split_inclusive('\n') {
        marks.extend(excess_mark(line).map(|mark| at + mark));
        at += line.len();
    }
    if marks.is_empty() {
        return Cow::Borrowed(source);
    }
    let literal = literal_ranges(source);
    let means_itself = |at: usize| {
        literal.get(literal.partition_point(|range| range.end <= at)).is_some_and(|range| range.start <= at)
    };
    let mut out = String::with_capacity(source.len() + marks.len());
    let mut done = 0;
    for mark in marks.into_iter().filter(|mark| !means_itself(*mark)) {
        out.push_str(source.get(done..mark).unwrap_or(""));
        out.push('\\');
        done = mark;
    }
    out.push_str(source.get(done..).unwrap_or(""));
    Cow::Owned(out)
}

/// Returns where code and tags stand, in which a backslash would be seen. Sorted.
fn literal_ranges(source: &str) -> Vec<Range<usize>> {
    let structure = structure_only(source);
    let blocks = Parser::new_ext(&structure, options()).into_offset_iter();
    blocks
        .filter_map(|(event, range)| match event {
            Event::Start(Tag::CodeBlock(_) | Tag::HtmlBlock) => Some(range),
            _ => None,
        })
        .collect()
}

/// Returns a text with the same blocks in the same places, and with letters for marks that make it slow to read.
pub(super) fn structure_only(source: &str) -> Cow<'_, str> {
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    let mut before = "";
    for line in source.split_inclusive('\n') {
        let mark = excess_mark(line);
        if mark.is_none()
            && let Some((names, rule)) = narrowable_table(before, line)
        {
            let all = out.get_or_insert_with(|| source.as_bytes().to_vec());
            replace_bars(all.get_mut(at - before.len() + names..at), b'x');
            replace_bars(all.get_mut(at + rule..at + line.len()), b'-');
        }
        before = line;
        if mark.is_some() || is_dense(line) {
            let all = out.get_or_insert_with(|| source.as_bytes().to_vec());
            if let Some(byte) = mark.and_then(|mark| all.get_mut(at + mark)) {
                *byte = b'x';
            }
            if let Some(bytes) = all.get_mut(at..at + line.len()).filter(|_| is_dense(line)) {
                mask_marks(bytes);
            }
        }
        at += line.len();
    }
    // Only ASCII was changed, to ASCII.
    out.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(source), Cow::Owned)
}

/// Returns from where on the names of a wide table and the rule below them may hold no bars: two columns are left. None
/// if it is no such table for sure.
fn narrowable_table(names: &str, rule: &str) -> Option<(usize, usize)> {
    let start = |line: &str| line.len() - line.trim_start_matches([' ', '\t', '>']).len();
    let line = rule.get(start(rule)..)?.trim_end();
    if !table::is_rule(line) || table::column_count(line) < WIDE_TABLE_COLUMNS || names.contains('\\') {
        return None;
    }
    let cells = line.strip_prefix('|').unwrap_or(line);
    let whole = cells.strip_suffix('|').unwrap_or(cells).split('|').all(|cell| cell.contains('-'));
    let row = names.get(start(names)..)?.trim_end();
    // Behind the mark of an item a bar may be the first of its line, or not.
    let marked = row.starts_with(['-', '+', '*']) || row.starts_with(|first: char| first.is_ascii_digit());
    if !whole || marked || table::column_count(row) != table::column_count(line) {
        return None;
    }
    let behind = |row: &str| row.bytes().skip(1).position(|byte| byte == b'|').map(|at| at + 2);
    Some((start(names) + behind(row)?, start(rule) + behind(line)?))
}

/// Puts another mark for bars.
fn replace_bars(bytes: Option<&mut [u8]>, with: u8) {
    for byte in bytes.into_iter().flatten().filter(|byte| **byte == b'|') {
        *byte = with;
    }
}

/// Returns where the first mark of a line stands that opens more than may be open.
fn excess_mark(line: &str) -> Option<usize> {
    excess_depth_at(line).filter(|_| !is_rule(line)).or_else(|| excess_columns_at(line))
}

/// Returns whether a line is a rule, however many marks it is made of.
fn is_rule(line: &str) -> bool {
    let mark = line.trim_ascii().bytes().next().unwrap_or(b' ');
    b"*_-".contains(&mark) && line.bytes().all(|byte| byte == mark || byte.is_ascii_whitespace())
}

/// Returns where the rule below a table's head begins, if it has more columns than may be.
fn excess_columns_at(line: &str) -> Option<usize> {
    let start = line.bytes().position(|byte| !b" \t>".contains(&byte))?;
    let bytes = line.as_bytes().get(start..)?;
    // Most lines end here: with another mark.
    let is_rule = bytes.iter().all(|byte| b"|:- \t\r\n".contains(byte));
    (is_rule && memchr::memchr_iter(b'|', bytes).nth(MAX_TABLE_COLUMNS).is_some()).then_some(start)
}

/// Returns where the first mark of a container stands that is deeper than may be.
fn excess_depth_at(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let mut at = 0;
    let mut depth = 0;
    loop {
        let rest = bytes.get(at..)?;
        let ends = |nth: usize| matches!(rest.get(nth), None | Some(b' ' | b'\t' | b'\n' | b'\r'));
        let mark = match rest.first()? {
            b' ' | b'\t' => {
                at += 1;
                continue;
            }
            b'>' => 0,
            b'-' | b'+' | b'*' if ends(1) => 0,
            b'0'..=b'9' => {
                let digits = rest.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
                if digits > 9 || !matches!(rest.get(digits), Some(b'.' | b')')) || !ends(digits + 1) {
                    return None;
                }
                digits
            }
            _ => return None,
        };
        if depth == MAX_CONTAINER_DEPTH {
            return Some(at + mark);
        }
        depth += 1;
        at += mark + 1;
    }
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'[' | b']' | b'!' | b'*' | b'_' | b'`' | b'$' | b'~' | b'<' | b'&' | b'(' | b'\\')
}

fn is_dense(line: &str) -> bool {
    line.len() > MIN_DENSE_MARKS && {
        let marks = line.bytes().filter(|byte| is_mark(*byte)).count();
        marks >= MIN_DENSE_MARKS && marks * MAX_BYTES_PER_DENSE_MARK >= line.len()
    }
}

/// Makes letters of the marks behind the start of a line. A rule stays one, and so does what may end a block of tags.
fn mask_marks(line: &mut [u8]) {
    let (blanks, first) = (b" \t\r\n", line.trim_ascii().first().copied().unwrap_or(b' '));
    let only_marks = b"*_-~=`".contains(&first) && line.iter().all(|byte| *byte == first || blanks.contains(byte));
    let is_fence = matches!(first, b'`' | b'~');
    if only_marks && (!is_fence || line.trim_ascii().iter().all(|byte| *byte == first)) {
        return;
    }
    let holds = |what: &[u8]| memchr::memmem::find(line, what).is_some();
    // What ends data, and scripts and their like.
    let data = holds(b"]]>");
    let tags = [b"</s", b"</p", b"</t", b"</S", b"</P", b"</T"].iter().any(|end| holds(*end));
    let name =
        memchr::memmem::find(line.get(..MAX_LABEL_BYTES.min(line.len())).unwrap_or(line), b"]:").map_or(0, |at| at + 2);
    for at in name.max(KEPT_PREFIX_BYTES)..line.len() {
        let next = line.get(at + 1).copied();
        let Some(byte) = line.get_mut(at) else { return };
        // A bar behind a backslash ends no cell.
        let kept = *byte == b']' && data || *byte == b'<' && tags || *byte == b'\\' && next == Some(b'|');
        if is_mark(*byte) && !kept {
            *byte = b'x';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::markdown::{BlockKind, RenderContext, Splitter, html, lay_block};

    /// Openings without an end.
    const OPENINGS: [&str; 41] = [
        "[",
        "![",
        "[a](",
        "[[a](b",
        "+ ",
        "* - ",
        "1. ",
        "> ",
        ">",
        "> - ",
        "- > 1. ",
        "*a ",
        "**a ",
        "_a ",
        "~~a ",
        "` ``",
        "<",
        "<a ",
        "<b>",
        "</b>",
        "<!--",
        "<?",
        "<![CDATA[",
        "<!A",
        "<div>",
        "$",
        "$a ",
        "$$a ",
        "\\(",
        "\\[",
        "[^a",
        "[^a]: ",
        "<http://a",
        "&",
        "(",
        "[a](b(",
        "[a]: ",
        "]",
        "[a][b]",
        "*_",
        "- [ ] ",
    ];

    /// Returns how many events there are, and how deep the deepest.
    fn work(source: &str) -> (usize, usize) {
        let (mut events, mut depth, mut deepest) = (0, 0_usize, 0);
        for event in Parser::new_ext(source, options()) {
            events += 1;
            match event {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        (events, deepest)
    }

    #[test]
    fn however_many_are_opened_the_depth_has_an_end_and_the_rest_is_text() {
        for opening in OPENINGS {
            let text = opening.repeat(20_000 / opening.len()) + "end\n";
            let (_, deepest) = work(&limit_depth(&text));
            assert!(deepest <= 2 * MAX_CONTAINER_DEPTH + 4, "{opening:?}: {deepest}");
        }
        let text = "> ".repeat(MAX_CONTAINER_DEPTH + 3) + "x\n> y\n";
        let setting = RenderContext { width: 300, ..RenderContext::default() };
        let shown = lay_block(&text, BlockKind::Paragraphs, setting).to_strings().join("\n");
        assert!(shown.contains("> > > x"), "{shown}");
        let rule = "- ".repeat(MAX_CONTAINER_DEPTH + 3) + "\n";
        for text in ["> > a\n", "1. - + * > a\n- - -\n", "a > b", "1234567890. x", &rule] {
            assert!(matches!(limit_depth(text), Cow::Borrowed(_)), "{text}");
        }
        assert_eq!(lay_block(&rule, BlockKind::Paragraphs, setting).to_strings(), ["─".repeat(300)]);
    }

    #[test]
    fn code_keeps_what_would_be_too_deep_elsewhere() {
        let (deep, wide) = ("> ".repeat(MAX_CONTAINER_DEPTH + 3) + "x", "|-".repeat(MAX_TABLE_COLUMNS + 3) + "|");
        for line in [deep, wide] {
            for text in
                [format!("```\n{line}\n```\n"), format!("- a\n\n  ```\n  {line}\n  ```\n"), format!("<div>\n{line}\n")]
            {
                assert_eq!(limit_depth(&text), text);
            }
            assert_ne!(limit_depth(&format!("a\n\n{line}\n")), format!("a\n\n{line}\n"));
        }
    }

    #[test]
    fn a_table_of_more_columns_than_a_screen_has_is_text() {
        let table = |columns: usize| {
            format!("{}|\n{}|\n{}|\n", "|a".repeat(columns), "|-".repeat(columns), "|b".repeat(columns))
        };
        let has_table =
            |text: &str| Parser::new_ext(text, options()).any(|event| matches!(event, Event::Start(Tag::Table(_))));
        let (fits, wide) = (table(MAX_TABLE_COLUMNS - 1), table(MAX_TABLE_COLUMNS));
        assert!(has_table(&limit_depth(&fits)) && has_table(&structure_only(&fits)));
        assert!(!has_table(&limit_depth(&wide)) && !has_table(&structure_only(&wide)));
        let setting = RenderContext { width: 300, ..RenderContext::default() };
        let shown = lay_block(&wide, BlockKind::Paragraphs, setting).to_strings().join("");
        assert!(shown.contains("|a|a") && shown.contains("|-|-") && shown.contains("|b|b") && !shown.contains('\\'));
    }

    #[test]
    fn blocks_are_found_by_reading_each_byte_a_few_times_and_few_marks() {
        for opening in OPENINGS {
            let line = opening.repeat(2000 / opening.len()) + "\n";
            let of = |size: usize| {
                let text = line.repeat(size / line.len());
                let splitter = Splitter::split(&text);
                splitter.bytes_read() as f64 / text.len() as f64
            };
            let (small, large) = (of(70_000), of(280_000));
            assert!(large <= small.max(2.0) * 1.3, "{opening:?}: {small} and {large} for a byte");
            let (events, _) = work(&structure_only(&line));
            assert!(events <= 4 * MAX_CONTAINER_DEPTH + 200, "{opening:?}: {events} events of {} bytes", line.len());
        }
    }

    #[test]
    fn a_long_line_of_openings_is_no_more_work_for_a_byte_than_a_short_one() {
        let tags = |html: &str, inside| html::split_html(html, inside).0.len();
        let paragraphs = |source: &str| -> usize {
            let source = limit_depth(source);
            let events = Parser::new_ext(&source, options());
            events.map(|event| if let Event::Html(html) = event { tags(&html, None) } else { 1 }).sum()
        };
        for opening in OPENINGS {
            let of = |size: usize| {
                let text = opening.repeat(size / opening.len());
                let mut work = 0;
                for block in Splitter::split(&text).stable() {
                    let source = block.source(&text);
                    work += match block.kind {
                        BlockKind::Tags { inside } => tags(source, inside),
                        _ => paragraphs(source),
                    };
                }
                work as f64 / text.len() as f64
            };
            let (small, large) = (of(100_000), of(400_000));
            // Next to nothing may double.
            assert!(large <= small.max(0.001) * 1.3, "{opening:?}: {small} and {large} for a byte");
        }
    }

    #[test]
    fn what_the_rows_of_a_wide_table_lack_is_no_work_for_finding_blocks() {
        for (before, edge) in [("", "|"), ("> ", "|"), ("", "")] {
            let (names, rule) = (edge.to_owned() + &"a|".repeat(90) + "a", edge.to_owned() + &"-|".repeat(90) + "-");
            let row = format!("{before}|b|\n");
            let text = format!("{before}{names}\n{before}{rule}\n{}", row.repeat(1000));
            let (events, _) = work(&structure_only(&text));
            assert!(events <= 10 * 1000, "{before:?} {edge:?}: {events} events");
        }
    }

    #[test]
    fn blocks_stay_where_they_are() {
        let row = "[".repeat(40);
        for text in [
            format!("{row}\n\n{row}](b)\n\n- {row}\n- b\n\n> {row}\n"),
            format!("a\n{}\nb\n\n```{}\n{row}\n```\n", "*".repeat(90), "[".repeat(40)),
            format!("<!-- {row}\n{row} -->\n\n{row}\n<![CDATA[ {row}\n\n{row}]]>\n\nb\n"),
            format!("|a|b|\n|-|-|\n|{row}|`|`|\n\nx\n"),
            format!("|a{row}\\|b\\|c|d|\n|-|-|\n|a|b|\n"),
            format!("{}\n{}\nb\n|b|c|d|\n\nx\n", "|a".repeat(9), "|-".repeat(9)),
            format!("x\n{}|\n{}:|\n|b|\n# x\n\nx\n", "|a".repeat(20), "|--".repeat(20)),
            format!("a{}\n-{}\nb\n\nx\n", "|a".repeat(9), "|-".repeat(9)),
            format!("> {}|\n> {}|\n> b\nc\n\nx\n", "|a".repeat(9), "|-".repeat(9)),
            format!(
                "- {}|\n  {}|\n  b\n\n1. {}\n   {}\n",
                "|a".repeat(9),
                "|-".repeat(9),
                "a|".repeat(9),
                "-|".repeat(9)
            ),
            // No tables: names that are too few, a column without a rule, a rule in code.
            format!("{}|\n{}|\nb\n\nx\n", "|a".repeat(9), "|-".repeat(10)),
            format!("{}|\n{}||-|\nb\n\nx\n", "|a".repeat(12), "|-".repeat(10)),
            format!("2. {}|\n{}|\nb\n\nx\n", "|a".repeat(9), "|-".repeat(10)),
            format!("a\n2. {}|\n{}|\nb\n\nx\n", "|a".repeat(9), "|-".repeat(10)),
            format!("```\n{}|\n{}|\n```\nx\n", "|a".repeat(9), "|-".repeat(9)),
            format!("x\n\n[^a-note-with-a-long-name]: {row}\n\n[a link with a long name]: /{}\n\nx\n", "*_".repeat(20)),
        ] {
            let starts = |text: &str| {
                let events = Parser::new_ext(text, options()).into_offset_iter();
                let mut depth = 0;
                let mut found = Vec::new();
                for (event, range) in events {
                    match event {
                        Event::Start(_) => {
                            if depth == 0 {
                                found.push(range);
                            }
                            depth += 1;
                        }
                        Event::End(_) => depth -= 1,
                        _ => {}
                    }
                }
                found
            };
            assert_eq!(starts(&structure_only(&text)), starts(&text), "{text}");
        }
    }
}
