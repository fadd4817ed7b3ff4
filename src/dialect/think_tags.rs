//! Reasoning inside the text, cut anywhere: blocks between tags, of which models have many kinds.
//!
//! What counts as a tag:
//! - an opening one at the very start of an answer, or after another block; once there was a block, anywhere; otherwise
//!   only at the start of a line;
//! - a closing one without an opening one, which the prompt's template contained: at the start or the end of a line, and
//!   only if there was no block before. The text so far was reasoning then ([`SegmentKind::LateReasoning`]);
//! - neither inside code, between fences or backticks: there the answer is about the tag.
//!
//! A block that is never closed is reasoning up to the end. White space around a block is not part of it, and not of
//! the answer either where the block came first. Several blocks are paragraphs of one reasoning.

mod code_tracker;

use self::code_tracker::CodeTracker;

/// Opening and closing tags. Case does not matter.
const THINK_TAGS: &[(&str, &str)] = &[
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<thoughts>", "</thoughts>"),
    ("<reasoning>", "</reasoning>"),
    ("<reason>", "</reason>"),
    // Mistral's, Kimi's, Seed-OSS's, Cohere's, OpenThinker's, harmony (gpt-oss), Gemma's.
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|channel|>analysis<|message|>", "<|end|>"),
    ("<|channel>thought", "<channel|>"),
];

/// Marks around the answer, in formats that mark every channel.
const CHANNEL_MARKS: &[&str] = &[
    "<|start|>assistant",
    "<|channel|>final<|message|>",
    "<|channel|>commentary<|message|>",
    "<|return|>",
    "<|end|>",
    "<|START_RESPONSE|>",
    "<|END_RESPONSE|>",
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
];

/// White space that may precede the first tag, in bytes.
const MAX_LEADING_BLANKS: usize = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ThinkState {
    /// Undecided; white space and a partial tag are held.
    #[default]
    Start,
    /// After an opening tag: white space before the reasoning is not part of it.
    AfterOpening,
    /// Between the tags; a possible start of the closing one is held.
    Inside,
    /// After a closing tag.
    AfterClosing,
    /// In the answer; a possible start of a tag is held.
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SegmentKind {
    Reasoning,
    Text,
    /// All text before was reasoning, without having been recognized. Carries the part of it that was not emitted.
    LateReasoning,
}

/// Splits one text.
#[derive(Debug, Default)]
pub(super) struct ThinkTagSplitter {
    state: ThinkState,
    held: String,
    /// The tag that ends the open block.
    closing_tag: &'static str,
    /// There was a block.
    had_block: bool,
    /// The format marks every channel.
    is_marked: bool,
    /// There was an opening tag in the text, so a closing one may belong to it.
    has_open: bool,
    /// Whether the emitted text ends with white space; none where there is no text yet.
    ends_with_blank: Option<bool>,
    has_reasoning: bool,
    code: CodeTracker,
}

enum TagMatch<T> {
    No,
    /// A longer text may match.
    Maybe,
    Yes(T, usize),
}

impl ThinkTagSplitter {
    /// Splits a piece; what is undecided is held back.
    pub(super) fn push(&mut self, piece: &str, out: &mut Vec<(SegmentKind, String)>) {
        if self.held.is_empty() {
            return self.split(piece, out);
        }
        let mut joined = std::mem::take(&mut self.held);
        joined.push_str(piece);
        self.split(&joined, out);
    }

    /// Emits what was held back. White space alone is dropped.
    pub(super) fn flush(&mut self, out: &mut Vec<(SegmentKind, String)>) {
        let held = std::mem::take(&mut self.held);
        match std::mem::replace(&mut self.state, ThinkState::Text) {
            ThinkState::Start if held.trim().is_empty() => {}
            // After reasoning, before any text.
            ThinkState::AfterClosing if held.trim().is_empty() && self.ends_with_blank.is_none() => {}
            ThinkState::Inside => self.push_reasoning(&held, out),
            ThinkState::Text
                if !self.had_block && !self.has_open && matches!(match_tag(&held, CLOSING_TAG), TagMatch::Yes(..)) =>
            {
                self.had_block = true;
                out.push((SegmentKind::LateReasoning, String::new()));
            }
            ThinkState::Start | ThinkState::AfterOpening | ThinkState::AfterClosing | ThinkState::Text => {
                self.push_text(&held, out);
            }
        }
    }

    fn split(&mut self, piece: &str, out: &mut Vec<(SegmentKind, String)>) {
        let mut rest = piece;
        loop {
            match self.state {
                ThinkState::Start | ThinkState::AfterClosing => {
                    let leading = rest.trim_start();
                    let lead = rest.len() - leading.len();
                    // White space after a block belongs to the answer once that has text.
                    let goes_on = self.state == ThinkState::Start || self.ends_with_blank == Some(false);
                    match self.match_leading_tag(leading) {
                        TagMatch::Yes((), size) => rest = leading.get(size..).unwrap_or_default(),
                        TagMatch::Maybe if lead <= MAX_LEADING_BLANKS => return rest.clone_into(&mut self.held),
                        TagMatch::Maybe if !goes_on => return leading.clone_into(&mut self.held),
                        _ => {
                            self.state = ThinkState::Text;
                            rest = if goes_on { rest } else { leading };
                        }
                    }
                }
                ThinkState::AfterOpening => {
                    rest = rest.trim_start();
                    if rest.is_empty() {
                        return;
                    }
                    self.state = ThinkState::Inside;
                    if self.has_reasoning {
                        push_segment(SegmentKind::Reasoning, "\n\n", out);
                    }
                }
                ThinkState::Inside => {
                    let TagMatch::Yes(at, size) = find_closing(rest, self.closing_tag) else {
                        let keep = partial_tag_bytes(rest, self.closing_tag);
                        let (emitted, held) = rest.split_at(rest.len() - keep);
                        self.push_reasoning(emitted, out);
                        return held.clone_into(&mut self.held);
                    };
                    self.push_reasoning(rest.get(..at).unwrap_or_default(), out);
                    rest = rest.get(at + size..).unwrap_or_default();
                    self.state = ThinkState::AfterClosing;
                }
                ThinkState::Text => match self.split_text(rest, out) {
                    Some(after) => rest = after,
                    None => return,
                },
            }
        }
    }

    /// Takes a tag at the start of the rest. Returns whether there is one, and its length in bytes.
    fn match_leading_tag(&mut self, leading: &str) -> TagMatch<()> {
        match (match_tag(leading, OPENING_TAG), match_mark(leading), match_tag(leading, CLOSING_TAG)) {
            (TagMatch::Yes(close, size), ..) => {
                self.open_block(close);
                TagMatch::Yes((), size)
            }
            (_, TagMatch::Yes((), size), _) => {
                self.is_marked = true;
                TagMatch::Yes((), size)
            }
            // The template had opened a block, which stayed empty.
            (_, _, TagMatch::Yes(_, size)) if !self.had_block => {
                self.had_block = true;
                self.state = ThinkState::AfterClosing;
                TagMatch::Yes((), size)
            }
            (TagMatch::Maybe, ..) | (_, TagMatch::Maybe, _) => TagMatch::Maybe,
            (_, _, TagMatch::Maybe) if !self.had_block => TagMatch::Maybe,
            _ if leading.is_empty() => TagMatch::Maybe,
            _ => TagMatch::No,
        }
    }

    fn open_block(&mut self, close: &'static str) {
        self.closing_tag = close;
        self.had_block = true;
        self.is_marked |= close.contains('|');
        self.state = ThinkState::AfterOpening;
    }

    /// Emits the text up to a tag, and returns the rest after it.
    fn split_text<'t>(&mut self, rest: &'t str, out: &mut Vec<(SegmentKind, String)>) -> Option<&'t str> {
        let mut from = 0;
        while let Some(at) = self.code.find_tag_start(rest, from) {
            from = at + 1;
            let (before, there) = rest.split_at(at);
            let is_first = self.code.is_line_start();
            self.code.skip_byte();
            match match_tag(there, OPENING_TAG) {
                TagMatch::Yes(close, size) if self.had_block || is_first => {
                    self.push_text(before, out);
                    self.open_block(close);
                    return there.get(size..);
                }
                TagMatch::Yes(..) => self.has_open = true,
                TagMatch::Maybe => return self.hold(before, there, is_first, out),
                TagMatch::No => {}
            }
            if self.is_marked {
                match match_mark(there) {
                    TagMatch::Yes((), size) => {
                        self.push_text(before, out);
                        return there.get(size..);
                    }
                    TagMatch::Maybe => return self.hold(before, there, is_first, out),
                    TagMatch::No => {}
                }
            }
            if self.had_block || self.has_open {
                continue;
            }
            match match_tag(there, CLOSING_TAG) {
                TagMatch::Yes(_, size) => {
                    let after = there.get(size..).unwrap_or_default();
                    if after.is_empty() {
                        return self.hold(before, there, is_first, out);
                    }
                    if is_first || after.starts_with(['\n', '\r']) {
                        self.push_text(before, out);
                        self.had_block = true;
                        self.state = ThinkState::AfterClosing;
                        self.ends_with_blank = None;
                        out.push((SegmentKind::LateReasoning, String::new()));
                        return Some(after);
                    }
                }
                TagMatch::Maybe => return self.hold(before, there, is_first, out),
                TagMatch::No => {}
            }
        }
        self.push_text(rest, out);
        None
    }

    /// Emits the text before a partial tag, and holds the tag.
    fn hold<'t>(
        &mut self,
        before: &str,
        held: &str,
        is_first: bool,
        out: &mut Vec<(SegmentKind, String)>,
    ) -> Option<&'t str> {
        self.push_text(before, out);
        if is_first {
            self.code.mark_line_start();
        }
        held.clone_into(&mut self.held);
        None
    }

    fn push_reasoning(&mut self, text: &str, out: &mut Vec<(SegmentKind, String)>) {
        self.has_reasoning |= !text.is_empty();
        push_segment(SegmentKind::Reasoning, text, out);
    }

    fn push_text(&mut self, text: &str, out: &mut Vec<(SegmentKind, String)>) {
        if !text.is_empty() {
            self.ends_with_blank = Some(text.ends_with(char::is_whitespace));
        }
        push_segment(SegmentKind::Text, text, out);
    }
}

type TagSide = fn(&(&'static str, &'static str)) -> (&'static str, &'static str);

/// Matches opening tags, and returns the closing ones.
const OPENING_TAG: TagSide = |(open, close)| (open, close);
const CLOSING_TAG: TagSide = |(_, close)| (close, close);

/// Matches the start of a text with the tags of that side.
fn match_tag(text: &str, side: TagSide) -> TagMatch<&'static str> {
    if !text.starts_with(['<', '[', '◁']) {
        return TagMatch::No;
    }
    let mut found = TagMatch::No;
    for (wanted, close) in THINK_TAGS.iter().map(side) {
        // The mark at the end of a message is shared by all channels.
        if wanted == "<|end|>" {
            continue;
        }
        match starts_with_partial(text, wanted) {
            Some(true) => return TagMatch::Yes(close, wanted.len()),
            Some(false) => found = TagMatch::Maybe,
            None => {}
        }
    }
    found
}

fn match_mark(text: &str) -> TagMatch<()> {
    let mut found = TagMatch::No;
    for wanted in CHANNEL_MARKS {
        match starts_with_partial(text, wanted) {
            Some(true) => return TagMatch::Yes((), wanted.len()),
            Some(false) if !text.is_empty() => found = TagMatch::Maybe,
            _ => {}
        }
    }
    found
}

/// Returns whether a text starts with a word: all of it, or as much as the text has.
fn starts_with_partial(text: &str, wanted: &str) -> Option<bool> {
    let size = text.len().min(wanted.len());
    let (text, start) = (text.as_bytes().get(..size)?, wanted.as_bytes().get(..size)?);
    text.eq_ignore_ascii_case(start).then_some(size == wanted.len())
}

/// Finds a closing tag.
fn find_closing(text: &str, close: &str) -> TagMatch<usize> {
    let first = close.as_bytes().first().copied().unwrap_or_default();
    for at in memchr::memchr_iter(first, text.as_bytes()) {
        if text.get(at..).and_then(|there| starts_with_partial(there, close)) == Some(true) {
            return TagMatch::Yes(at, close.len());
        }
    }
    TagMatch::No
}

/// Returns how many bytes at the end may be the start of a closing tag.
fn partial_tag_bytes(text: &str, close: &str) -> usize {
    let is_it = |size: &usize| {
        let end = text.len().checked_sub(*size).and_then(|at| text.get(at..));
        end.is_some_and(|end| starts_with_partial(end, close) == Some(false))
    };
    (1..close.len()).rev().find(is_it).unwrap_or(0)
}

fn push_segment(kind: SegmentKind, text: &str, out: &mut Vec<(SegmentKind, String)>) {
    if !text.is_empty() {
        out.push((kind, text.to_owned()));
    }
}

#[cfg(test)]
mod tests;
