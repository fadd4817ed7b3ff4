//! What is shown of a block while more of it may come: marks that are not decided yet are held back, and emphasis that
//! was begun is shown as such, so that nothing on the screen is read twice.
//!
//! Not for blocks that have ended: those are shown as they are. The invariant: what is held back is at the end, short
//! (see [`inline`]) and shown as soon as what follows decides it; nothing else is left out.
//! Cost: the block.

use std::borrow::Cow;

use super::blocks::BlockKind;
use inline::{ParagraphEnd, paragraph_end};

mod inline;

/// What is held back of a table's head: a longer one is shown as it comes.
const MAX_HELD_HEAD_BYTES: usize = 4096;

/// Returns what to show of a block that is still being written.
pub fn stabilize(source: &str, kind: BlockKind) -> Cow<'_, str> {
    match kind {
        BlockKind::Code { first, .. } => Cow::Borrowed(stabilize_code(source, first)),
        BlockKind::OpenTable | BlockKind::TableRows { .. } => Cow::Borrowed(source),
        BlockKind::Tags { .. } => Cow::Borrowed(tags(source)),
        BlockKind::Paragraphs | BlockKind::Item { .. } if ends_in_code(source) => {
            Cow::Borrowed(stabilize_code(source, false))
        }
        BlockKind::Paragraphs | BlockKind::Item { .. } => stabilize_paragraphs(source),
    }
}

/// Holds back a label that is being written, and a line that may become the closing fence.
fn stabilize_code(source: &str, first: bool) -> &str {
    let start = last_line_start(source);
    let line = source.get(start..).unwrap_or("");
    let opening = first && start == 0;
    let marks = line.trim_start_matches([' ', '>']);
    let fence = !marks.is_empty() && (marks.bytes().all(|b| b == b'`') || marks.bytes().all(|b| b == b'~'));
    if opening || fence { source.get(..start).unwrap_or("") } else { source }
}

/// Holds back a tag that is being written.
fn tags(source: &str) -> &str {
    let end = source.floor_char_boundary(source.len().saturating_sub(inline::MAX_HELD_BACK_BYTES));
    let last = source.get(end..).and_then(|text| text.rfind(['<', '>'])).map_or(source.len(), |at| end + at);
    if source.as_bytes().get(last) == Some(&b'<') { source.get(..last).unwrap_or("") } else { source }
}

/// Returns whether a fence inside a list or a quote is open. Only where there are marks of one the parser is asked.
fn ends_in_code(source: &str) -> bool {
    let bytes = source.as_bytes();
    if memchr::memmem::find(bytes, b"```").is_none() && memchr::memmem::find(bytes, b"~~~").is_none() {
        return false;
    }
    let whole = source.get(..last_line_start(source)).unwrap_or("");
    let (mut open, mut end) = (false, 0);
    let structure = super::nesting::structure_only(whole);
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

fn stabilize_paragraphs(source: &str) -> Cow<'_, str> {
    let start = last_line_start(source);
    let (prefix, line) = source.get(start..).unwrap_or("").split_at(lead_len(source.get(start..).unwrap_or("")));
    // A line that so far is nothing but marks.
    if source.len() > start && is_undecided(prefix, line) {
        return Cow::Borrowed(source.get(..start).unwrap_or(""));
    }
    let from = paragraph_start(source);
    let text = source.get(from..).unwrap_or("");
    if is_table_head(text) {
        return Cow::Borrowed(source.get(..from).unwrap_or(""));
    }
    let ParagraphEnd { cut, skip, closers } = paragraph_end(text);
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
fn last_line_start(text: &str) -> usize {
    memchr::memrchr(b'\n', text.as_bytes()).map_or(0, |at| at + 1)
}

/// Returns how long the marks of quotes and items are that begin a line.
fn lead_len(line: &str) -> usize {
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
fn is_undecided(prefix: &str, line: &str) -> bool {
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
fn paragraph_start(source: &str) -> usize {
    let mut end = source.len();
    loop {
        let start = last_line_start(source.get(..end.saturating_sub(1)).unwrap_or(""));
        let line = source.get(start..end).unwrap_or("");
        let lead = lead_len(line);
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
    if text.len() > MAX_HELD_HEAD_BYTES {
        return false;
    }
    let mut lines = text.split('\n').map(|line| line.trim_start_matches([' ', '>']));
    let (head, rule, more) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""), lines.next());
    head.starts_with('|') && more.is_none() && rule.bytes().all(|byte| b"|:- \t".contains(&byte))
}

#[cfg(test)]
mod tests;
