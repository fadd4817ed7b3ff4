//! Text that opens more than anybody would read: what is nested too deep is shown as text, and what only costs time is
//! taken out before the parser is asked where blocks begin.
//!
//! The parser's time, and ours, grows with the depth of containers and with brackets that are never closed. The
//! invariants: no text is changed that has no line with more than [`DEEPEST`] containers, and [`structure`] changes no
//! byte's place.

use std::borrow::Cow;

/// Quotes and items that one line may begin inside each other.
const DEEPEST: usize = 100;
/// A line with so many marks, which are a twelfth of it, is hardly prose, and none of them say what block it is.
const DENSE: usize = 24;
/// What tells the kind of a line stands in front, and the name of a definition may be so long.
const KEPT: usize = 16;
const NAME: usize = 1000;

/// Returns the text with a backslash before what would be nested too deep.
pub(super) fn shallow(source: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let (mut at, mut done) = (0, 0);
    for line in source.split_inclusive('\n') {
        if let Some(deep) = too_deep(line) {
            out.push_str(source.get(done..at + deep).unwrap_or(""));
            out.push('\\');
            done = at + deep;
        }
        at += line.len();
    }
    if done == 0 {
        return Cow::Borrowed(source);
    }
    out.push_str(source.get(done..).unwrap_or(""));
    Cow::Owned(out)
}

/// Returns a text with the same blocks in the same places, and with letters for marks that make it slow to read.
pub(super) fn structure(source: &str) -> Cow<'_, str> {
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let deep = too_deep(line);
        if deep.is_some() || is_dense(line) {
            let all = out.get_or_insert_with(|| source.as_bytes().to_vec());
            if let Some(byte) = deep.and_then(|deep| all.get_mut(at + deep)) {
                *byte = b'x';
            }
            if let Some(bytes) = all.get_mut(at..at + line.len()).filter(|_| is_dense(line)) {
                blur(bytes);
            }
        }
        at += line.len();
    }
    // Only ASCII was changed, to ASCII.
    out.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(source), Cow::Owned)
}

/// Returns where the first mark of a container stands that is deeper than may be.
fn too_deep(line: &str) -> Option<usize> {
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
        if depth == DEEPEST {
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
    line.len() > DENSE && {
        let marks = line.bytes().filter(|byte| is_mark(*byte)).count();
        marks >= DENSE && marks * 12 >= line.len()
    }
}

/// Makes letters of the marks behind the start of a line. A rule stays one, and so does what may end a block of tags.
fn blur(line: &mut [u8]) {
    let (blanks, first) = (b" \t\r\n", line.trim_ascii().first().copied().unwrap_or(b' '));
    let is_rule = b"*_-~=`".contains(&first) && line.iter().all(|byte| *byte == first || blanks.contains(byte));
    let is_fence = matches!(first, b'`' | b'~');
    if is_rule && (!is_fence || line.trim_ascii().iter().all(|byte| *byte == first)) {
        return;
    }
    let holds = |what: &[u8]| memchr::memmem::find(line, what).is_some();
    // What ends data, and scripts and their like.
    let data = holds(b"]]>");
    let tags = [b"</s", b"</p", b"</t", b"</S", b"</P", b"</T"].iter().any(|end| holds(*end));
    let name = memchr::memmem::find(line.get(..NAME.min(line.len())).unwrap_or(line), b"]:").map_or(0, |at| at + 2);
    for byte in line.iter_mut().skip(name.max(KEPT)) {
        let kept = *byte == b']' && data || *byte == b'<' && tags;
        if is_mark(*byte) && !kept {
            *byte = b'x';
        }
    }
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Parser};

    use super::*;
    use crate::ui::md::{BlockKind, Setting, Splitter, lay_block, options};

    /// Openings without an end.
    const OPENINGS: [&str; 40] = [
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
            let (_, deepest) = work(&shallow(&text));
            assert!(deepest <= 2 * DEEPEST + 4, "{opening:?}: {deepest}");
        }
        let text = "> ".repeat(DEEPEST + 3) + "x\n> y\n";
        let setting = Setting { width: 300, ..Setting::default() };
        let shown = lay_block(&text, BlockKind::Flow, setting).to_strings().join("\n");
        assert!(shown.contains("> > > x"), "{shown}");
        for text in ["> > a\n", "1. - + * > a\n- - -\n", "a > b", "1234567890. x"] {
            assert!(matches!(shallow(text), Cow::Borrowed(_)), "{text}");
        }
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
            let (events, _) = work(&structure(&line));
            assert!(events <= 4 * DEEPEST + 200, "{opening:?}: {events} events of {} bytes", line.len());
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
            assert_eq!(starts(&structure(&text)), starts(&text), "{text}");
        }
    }
}
