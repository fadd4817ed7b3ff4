//! What is shown of a block while more of it may come: marks that are not decided yet are held back, and emphasis that
//! was begun is shown as such, so that nothing on the screen is read twice.
//!
//! Not for blocks that have ended: those are shown as they are. The invariant: what is held back is at the end, short
//! (see [`MOST_HELD`] and [`html::MOST_APART`]) and shown as soon as what follows decides it; nothing else is left out.
//! Cost: the block.

use std::borrow::Cow;

use super::blocks::BlockKind;
use super::html;

/// Bytes that a mark may hold back; what goes on for longer is no mark.
const MOST_HELD: usize = 160;
/// Where a link goes may be this long.
const MOST_TARGET: usize = 2000;
/// Emphasis inside each other; what is deeper is shown as it is written.
const DEEPEST: usize = 32;
/// A formula of its own may be this long.
const MOST_FORMULA: usize = 4096;
/// What is held back of a table's head: a longer one is shown as it comes.
const MOST_HEAD: usize = 4096;
/// Brackets inside each other, and parentheses in a target; deeper ones are text.
const MOST_BRACKETS: usize = 8;
const MOST_PARENTHESES: usize = 32;

/// Returns what to show of a block that is still being written.
pub fn settled(source: &str, kind: BlockKind) -> Cow<'_, str> {
    match kind {
        BlockKind::Code { first, .. } => Cow::Borrowed(code(source, first)),
        BlockKind::OpenTable | BlockKind::Rows { .. } => Cow::Borrowed(source),
        BlockKind::Flow | BlockKind::Item { .. } if ends_in_code(source) => Cow::Borrowed(code(source, false)),
        BlockKind::Flow | BlockKind::Item { .. } => flow(source),
    }
}

/// Holds back a label that is being written, and a line that may become the closing fence.
fn code(source: &str, first: bool) -> &str {
    let start = last_line(source);
    let line = source.get(start..).unwrap_or("");
    let opening = first && start == 0;
    let marks = line.trim_start_matches([' ', '>']);
    let fence = !marks.is_empty() && (marks.bytes().all(|b| b == b'`') || marks.bytes().all(|b| b == b'~'));
    if opening || fence { source.get(..start).unwrap_or("") } else { source }
}

/// Returns whether a fence inside a list or a quote is open. Only where there are marks of one the parser is asked.
fn ends_in_code(source: &str) -> bool {
    let bytes = source.as_bytes();
    if memchr::memmem::find(bytes, b"```").is_none() && memchr::memmem::find(bytes, b"~~~").is_none() {
        return false;
    }
    let whole = source.get(..last_line(source)).unwrap_or("");
    let (mut open, mut end) = (false, 0);
    let structure = super::nesting::structure(whole);
    for (event, range) in pulldown_cmark::Parser::new_ext(&structure, super::options()).into_offset_iter() {
        if let pulldown_cmark::Event::Start(pulldown_cmark::Tag::CodeBlock(pulldown_cmark::CodeBlockKind::Fenced(_))) =
            event
        {
            end = range.end;
            let block = whole.get(range).unwrap_or("");
            let closing = block.trim_end().rsplit('\n').next().unwrap_or("").trim_start_matches([' ', '>']);
            let closes = closing.len() >= 3
                && (closing.bytes().all(|b| b == b'`') || closing.bytes().all(|b| b == b'~'))
                && block.trim_end().contains('\n');
            open = !closes;
        }
    }
    open && whole.get(end..).is_none_or(|rest| rest.trim_matches([' ', '>', '\n']).is_empty())
}

fn flow(source: &str) -> Cow<'_, str> {
    let start = last_line(source);
    let (prefix, line) = source.get(start..).unwrap_or("").split_at(lead(source.get(start..).unwrap_or("")));
    // A line that so far is nothing but marks.
    if source.len() > start && undecided(prefix, line) {
        return Cow::Borrowed(source.get(..start).unwrap_or(""));
    }
    let from = paragraph(source);
    let text = source.get(from..).unwrap_or("");
    if is_table_head(text) {
        return Cow::Borrowed(source.get(..from).unwrap_or(""));
    }
    let Ends { cut, skip, closers } = inline(text);
    let shown = text.get(..cut).unwrap_or(text);
    if cut == text.len() && skip.is_none() && closers.is_empty() {
        return Cow::Borrowed(source);
    }
    let mut out = source.get(..from).unwrap_or("").to_owned();
    match skip {
        Some(at) => {
            out.push_str(shown.get(..at).unwrap_or(""));
            out.push_str(shown.get(at + 1..).unwrap_or(""));
        }
        None => out.push_str(shown),
    }
    if !closers.is_empty() {
        // A mark behind a blank closes nothing.
        out.truncate(out.trim_end().len());
        out.push_str(&closers);
    }
    Cow::Owned(out)
}

/// Returns where the last line begins; behind the last newline where the text ends with one.
fn last_line(text: &str) -> usize {
    memchr::memrchr(b'\n', text.as_bytes()).map_or(0, |at| at + 1)
}

/// Returns how long the marks of quotes and items are that begin a line.
fn lead(line: &str) -> usize {
    let bytes = line.as_bytes();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or(&[]);
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        at += match rest {
            [b' ' | b'\t' | b'>', ..] => 1,
            [b'-' | b'+' | b'*', b' ', ..] => 2,
            _ if (1..=9).contains(&digits) && matches!(rest.get(digits..digits + 2), Some([b'.' | b')', b' '])) => {
                digits + 2
            }
            _ => return at,
        };
    }
}

/// Returns whether a line, less its lead, may still become a heading, a rule, an item, a fence, a checkbox …
fn undecided(prefix: &str, line: &str) -> bool {
    let item = prefix.trim_end().ends_with(['-', '+', '*', '.', ')']);
    let quote = prefix.contains('>');
    let only = |marks: &[u8]| line.bytes().all(|byte| marks.contains(&byte));
    if line.is_empty() {
        return item || quote;
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    only(b"# ") && line.len() <= 7
        || only(b"- ")
        || only(b"* ")
        || only(b"_ ")
        || only(b"=")
        || only(b"+")
        || only(b"`")
        || only(b"~")
        || (digits > 0 && digits <= 9 && matches!(line.get(digits..), Some("" | "." | ")")))
        || (item && matches!(line, "[" | "[ " | "[x" | "[X" | "[ ]" | "[x]" | "[X]" | "[ ] " | "[x] " | "[X] "))
        || (quote && line.len() < 16 && line.starts_with('[') && !line.contains(' ') && line.get(1..2) != Some("^"))
}

/// Returns where the last run of lines without a blank one begins, or the last line that begins a block by its marks.
fn paragraph(source: &str) -> usize {
    let mut end = source.len();
    loop {
        let start = last_line(source.get(..end.saturating_sub(1)).unwrap_or(""));
        let line = source.get(start..end).unwrap_or("");
        let lead = lead(line);
        let (prefix, rest) = line.split_at(lead);
        if rest.trim().is_empty() && line.ends_with('\n') {
            return end;
        }
        let marked = prefix.contains(['-', '+', '*', '.', ')']) || rest.starts_with("# ") || rest.starts_with("##");
        if marked || start == 0 {
            return start + if marked { lead } else { 0 };
        }
        end = start;
    }
}

/// Returns whether a paragraph looks like the first row of a table whose rule has not come yet.
fn is_table_head(text: &str) -> bool {
    if text.len() > MOST_HEAD {
        return false;
    }
    let mut lines = text.split('\n').map(|line| line.trim_start_matches([' ', '>']));
    let (head, rule, more) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""), lines.next());
    head.starts_with('|') && more.is_none() && rule.bytes().all(|byte| b"|:- \t".contains(&byte))
}

/// How a paragraph ends.
struct Ends {
    /// What is behind it is held back.
    cut: usize,
    /// The opening bracket of a link whose target is being written: not shown either.
    skip: Option<usize>,
    /// What would end the emphasis that is open.
    closers: String,
}

/// Looks through a paragraph for what is open at its end.
fn inline(text: &str) -> Ends {
    let bytes = text.as_bytes();
    let length = bytes.len();
    let mut open: Vec<(u8, usize)> = Vec::new();
    let mut cut = length;
    let mut skip = None;
    let mut at = 0;
    // Where TeX's own brackets close next, so that a text without them is searched once. Zero is not looked for yet.
    let mut closes = [Some(0), Some(0)];
    // Tags with meaning: where each stands, and the emphasis that is open there.
    let mut tags: Vec<(usize, Vec<(u8, usize)>)> = Vec::new();
    let mut partners = html::Partners::default();
    let mut ticks = 0;
    while let Some(found) = bytes.get(at..).unwrap_or(&[]).iter().position(|byte| b"*_`~[<$&\\".contains(byte)) {
        let here = at + found;
        let byte = bytes.get(here).copied().unwrap_or(0);
        let rest = text.get(here..).unwrap_or("");
        let run = match byte {
            b'*' | b'_' | b'~' | b'`' => run_length(bytes, here),
            // Whether it is more than one is all that matters.
            b'$' => 1 + usize::from(bytes.get(here + 1) == Some(&b'$')),
            _ => 1,
        };
        let held = rest.len() <= MOST_HELD;
        at = here + 1;
        match byte {
            b'\\' => match rest.as_bytes().get(1) {
                None => cut = here,
                Some(mark @ (b'(' | b'[')) => {
                    let close = if *mark == b'(' { "\\)" } else { "\\]" };
                    let next = &mut closes[usize::from(*mark == b'[')];
                    if next.is_some_and(|next| next < here + 2) {
                        *next = text.get(here + 2..).and_then(|rest| rest.find(close)).map(|at| here + 2 + at);
                    }
                    match next.filter(|end| end - here <= MOST_FORMULA) {
                        Some(end) => at = end + 2,
                        None if rest.len() <= MOST_FORMULA => cut = here,
                        None => at = here + 2,
                    }
                }
                Some(_) => at = here + 2,
            },
            b'`' => match closing_ticks(rest, run) {
                Some(end) => at = here + end,
                None if run == rest.len() => cut = here,
                None => {
                    ticks = run;
                    break;
                }
            },
            b'$' => {
                let mark = if run >= 2 { "$$" } else { "$" };
                let inside = rest.get(mark.len()..).unwrap_or("");
                let formula = run >= 2 || inside.starts_with(|c: char| !c.is_whitespace() && !c.is_ascii_digit());
                let most = if run >= 2 { MOST_FORMULA } else { MOST_HELD / 2 };
                let formula = formula && (run >= 2 || !window(inside, most).contains('\n'));
                match window(inside, most).find(mark) {
                    Some(end) if formula => at = here + end + mark.len() * 2,
                    None if (formula || inside.is_empty()) && rest.len() <= most => cut = here,
                    _ => at = here + mark.len(),
                }
            }
            b'<' => {
                let tag = rest.get(1..).is_none_or(|inside| {
                    inside.is_empty() || inside.starts_with(|c: char| c.is_ascii_alphabetic() || "/!?".contains(c))
                });
                match window(rest, MOST_HELD).find('>') {
                    Some(end) if tag => {
                        let tag = rest.get(..=end).unwrap_or("");
                        // Another tag begins before this one has an end.
                        let is_text = !tag.contains(['"', '\'', '!', '?']) && tag.rfind('<') != Some(0);
                        at = if is_text { here + 1 } else { here + end + 1 };
                        if !is_text && html::meaning(tag).is_some() {
                            // Far from the end, its partner has come or comes too late.
                            let near = rest.len() <= html::MOST_APART;
                            tags.push((here, if near { open.clone() } else { Vec::new() }));
                            partners.tag(tag, tags.len() - 1, here);
                        }
                    }
                    None if tag && may_be_tag(rest) => cut = here,
                    _ => {}
                }
            }
            b'&' => {
                let name = rest.get(1..).unwrap_or("");
                if name.len() <= 10 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'#') {
                    cut = here;
                }
            }
            b'[' => match bracket(text, here) {
                Bracket::Closed(end) => at = end,
                Bracket::Text => {}
                Bracket::Held if held => {
                    cut = here - usize::from(here > 0 && bytes.get(here - 1) == Some(&b'!'));
                }
                Bracket::Held => {}
                Bracket::Target(close) => {
                    // Its name is shown, its target isn't there yet.
                    let image = here > 0 && bytes.get(here - 1) == Some(&b'!');
                    cut = if image { here - 1 } else { close };
                    skip = (!image).then_some(here);
                    at = length;
                }
            },
            _ => {
                at = here + run;
                if at == length {
                    cut = here;
                } else {
                    emphasis(text, here, run, &mut open);
                }
            }
        }
        if cut < length {
            break;
        }
    }
    // A tag is one once its partner is there.
    if let Some((at, marks)) = partners.awaits(length).and_then(|number| tags.into_iter().nth(number))
        && at < cut
    {
        (cut, open, ticks) = (at, marks, 0);
    }
    if ticks > 0 {
        return Ends { cut: length, skip: None, closers: closers(&open_marks(bytes, &open), &"`".repeat(ticks)) };
    }
    let kept = text.get(..cut).unwrap_or("").trim_end().len();
    // What is open right at the end has nothing in it yet.
    let mut closed = cut;
    while let Some(&(_, start)) = open.last() {
        let run = run_length(bytes, start);
        if start + run < kept {
            break;
        }
        closed = start;
        open.pop();
    }
    Ends { cut: closed, skip: skip.filter(|at| *at < closed), closers: closers(&open_marks(bytes, &open), "") }
}

/// Returns how often the byte at a place is repeated there.
fn run_length(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or(&[]);
    rest.iter().take_while(|byte| Some(*byte) == rest.first()).count()
}

/// Returns the beginning of a text: whatever is looked for is not far, so that any block is looked through in linear
/// time.
fn window(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// Returns whether what follows an opening angle may be a tag or an address: a comparison has blanks soon.
fn may_be_tag(rest: &str) -> bool {
    if rest.len() > MOST_HELD {
        return false;
    }
    let attributes = rest.contains('=') || rest.contains("://") || rest.starts_with("<!");
    rest.len() <= if attributes { MOST_HELD } else { 24 }
}

/// Returns where a run of as many ticks ends behind the opening one.
fn closing_ticks(rest: &str, run: usize) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = run;
    while let Some(found) = memchr::memchr(b'`', bytes.get(at..).unwrap_or(&[])) {
        let here = at + found;
        let length = run_length(bytes, here);
        at = here + length;
        if length == run {
            return Some(at);
        }
    }
    None
}

enum Bracket {
    /// Ends there.
    Closed(usize),
    /// Is a bracket and nothing more.
    Text,
    /// May become a link or a note.
    Held,
    /// Is a link; its text ends there, its target is being written.
    Target(usize),
}

fn bracket(text: &str, start: usize) -> Bracket {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut close = None;
    for (at, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'[' => depth += 1,
            b']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            close = Some(at);
            break;
        }
        if at - start > MOST_HELD * 2 || depth > MOST_BRACKETS {
            return Bracket::Text;
        }
    }
    let Some(close) = close else { return Bracket::Held };
    let after = bytes.get(close + 1..).unwrap_or(&[]);
    match after.first() {
        None => Bracket::Held,
        Some(b'(') => {
            let mut depth = 0usize;
            for (nth, byte) in after.iter().enumerate() {
                match byte {
                    b'(' => depth += 1,
                    b')' => depth -= 1,
                    _ => {}
                }
                if nth > MOST_TARGET || depth > MOST_PARENTHESES {
                    return Bracket::Text;
                }
                if depth == 0 {
                    return Bracket::Closed(close + 2 + nth);
                }
            }
            Bracket::Target(close)
        }
        Some(b'[') if after.len() <= MOST_HELD && !after.contains(&b']') => Bracket::Held,
        Some(b':')
            if text.get(..start).is_some_and(|text| text.trim_start().is_empty())
                && memchr::memchr(b'\n', after).is_none() =>
        {
            // A note is shown as it comes; where a link goes isn't read.
            if bytes.get(start + 1) == Some(&b'^') && after.len() > 1 {
                Bracket::Closed(close + 1)
            } else {
                Bracket::Held
            }
        }
        Some(_) => Bracket::Text,
    }
}

/// Takes a run of marks: it closes what is open, or opens.
fn emphasis(text: &str, at: usize, run: usize, open: &mut Vec<(u8, usize)>) {
    let bytes = text.as_bytes();
    let mark = bytes.get(at).copied().unwrap_or(0);
    let before = text.get(..at).and_then(|text| text.chars().next_back());
    let after = text.get(at + run..).and_then(|text| text.chars().next());
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let (mut closes, mut opens) = (!blank(before), !blank(after));
    // Inside a word an underscore is a letter, and a star mostly stands for a product.
    if mark == b'_' || (mark == b'*' && run == 1) {
        opens &= !word(before);
        closes &= mark != b'_' || !word(after);
    }
    if mark == b'~' {
        (closes, opens) = (closes && run == 2, opens && run == 2);
    }
    let mut left = run;
    while closes && left > 0 {
        let Some((_, start)) = open.iter().rposition(|(other, _)| *other == mark).map(|nth| open.remove(nth)) else {
            break;
        };
        let width = run_length(bytes, start);
        left = left.saturating_sub(width);
    }
    if opens && left == run && run <= 3 && open.len() < DEEPEST {
        open.push((mark, at));
    }
}

/// Returns the open runs with their lengths.
fn open_marks(bytes: &[u8], open: &[(u8, usize)]) -> Vec<(u8, usize)> {
    open.iter().map(|(mark, start)| (*mark, run_length(bytes, *start))).collect()
}

fn closers(open: &[(u8, usize)], inner: &str) -> String {
    let mut out = inner.to_owned();
    for (mark, length) in open.iter().rev() {
        out.extend(std::iter::repeat_n(char::from(*mark), *length));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(source: &str) -> String {
        settled(source, BlockKind::Flow).into_owned()
    }

    #[test]
    fn what_is_not_decided_is_held_back() {
        for (source, expected) in [
            ("plain wor", "plain wor"),
            ("#", ""),
            ("text\n---", "text\n"),
            ("- one\n- ", "- one\n"),
            ("- one\n-", "- one\n"),
            ("- [x", ""),
            ("- [x] d", "- [x] d"),
            ("1. one\n12", "1. one\n"),
            ("12 apples", "12 apples"),
            ("> [!NO", ""),
            ("> a\n> ", "> a\n"),
            ("``", ""),
            ("| a | b", ""),
            ("| a | b |\n", ""),
            ("| a | b |\n|:--", ""),
            ("| a | b |\n| c", "| a | b |\n| c"),
            ("text\n\n| a", "text\n\n"),
            ("a [link", "a "),
            ("a [link]", "a "),
            ("a [link] b", "a [link] b"),
            ("a [link](htt", "a link"),
            ("an ![image](htt", "an "),
            ("a [link](x) b", "a [link](x) b"),
            ("[1]: htt", ""),
            ("a <b", "a "),
            ("H<sub>2", "H"),
            ("H<sub>2</sub>", "H<sub>2</sub>"),
            ("a <b>bo", "a "),
            ("a <b>bold</b> c", "a <b>bold</b> c"),
            ("a <b>b <i>c</b> d", "a <b>b <i>c</b> d"),
            ("a **b <u>c **d", "a **b**"),
            ("a <u>c `d", "a "),
            ("a </b> c", "a </b> c"),
            ("a <br> <foo> <a href=x> c", "a <br> <foo> <a href=x> c"),
            ("x <a <b>c</b>", "x <a <b>c</b>"),
            ("a < b and so on", "a < b and so on"),
            ("if a<b and c is more than that", "if a<b and c is more than that"),
            ("x &am", "x "),
            ("so $x^2 + y", "so "),
            ("it costs $5 or", "it costs $5 or"),
            ("so $$\n\\frac{a", "so "),
            ("so \\(x", "so "),
            ("a\\", "a"),
        ] {
            assert_eq!(shown(source), expected, "{source:?}");
        }
    }

    #[test]
    fn what_is_behind_a_tag_is_held_back_until_its_partner_is_too_far() {
        let text = |bytes: usize| format!("x <b>{}", "y".repeat(bytes));
        let most = html::MOST_APART - "<b>".len();
        assert_eq!(shown(&text(most)), "x ");
        assert_eq!(shown(&text(most + 1)), text(most + 1));
    }

    #[test]
    fn emphasis_that_was_begun_is_shown_as_such() {
        for (source, expected) in [
            ("a **bo", "a **bo**"),
            ("a **", "a "),
            ("a **bold*", "a **bold**"),
            ("a **bold** b", "a **bold** b"),
            ("a ***bo", "a ***bo***"),
            ("a **b *c", "a **b *c***"),
            ("a *it ", "a *it*"),
            ("a ~~st", "a ~~st~~"),
            ("run `car", "run `car`"),
            ("**run `car", "**run `car`**"),
            ("a * b", "a * b"),
            ("2*3 and 4", "2*3 and 4"),
            ("snake_case and", "snake_case and"),
            ("`**` and", "`**` and"),
            ("**one\n\ntwo", "**one\n\ntwo"),
            ("**one\n\n", "**one\n\n"),
            ("- **one", "- **one**"),
        ] {
            assert_eq!(shown(source), expected, "{source:?}");
        }
    }

    #[test]
    fn code_holds_back_its_label_and_what_may_close_it() {
        let first =
            BlockKind::Code { first: true, closed: false, indent: 0, syntax: super::super::syntax::Syntax::default() };
        for (source, expected) in
            [("```py", ""), ("```python\n", "```python\n"), ("```\na\n``", "```\na\n"), ("```\na `", "```\na `")]
        {
            assert_eq!(settled(source, first), expected, "{source:?}");
        }
        assert_eq!(shown("- a\n  ```sh\n  # **no"), "- a\n  ```sh\n  # **no");
        assert_eq!(shown("- a\n  ```sh\n  x\n  ``"), "- a\n  ```sh\n  x\n");
        assert_eq!(shown("- a\n  ```sh\n  x\n  ```\n  **b"), "- a\n  ```sh\n  x\n  ```\n  **b**");
    }

    #[test]
    fn a_flood_of_marks_stays_cheap() {
        for piece in [
            "<",
            "<b>",
            "**<i>",
            "<b>x</b>",
            "[",
            "[x](",
            "*a ",
            "_a *b ~~c ",
            "$x ",
            "\\\\(",
            "`` ` ",
            "&",
            "**",
            "> ",
        ] {
            settled(&piece.repeat(64 * 1024 / piece.len()), BlockKind::Flow);
        }
    }

    proptest! {
        #[test]
        fn little_is_held_back_and_nothing_else_changes(
            text in r"([a-z é]{0,6}|[*_~`\[\]()<>$&#|!\\-]{1,3}|\n|\n\n|- |> |1\. |```\n){0,30}"
        ) {
            for kind in [BlockKind::Flow, BlockKind::Item { number: None }] {
                let shown = settled(&text, kind);
                let same = text.bytes().zip(shown.bytes()).take_while(|(a, b)| a == b).count();
                // Behind the first difference there is at most a link's text and what closes emphasis.
                prop_assert!(shown.len() - same <= MOST_HELD * 3, "{text:?} {shown:?}");
            }
        }
    }
}
