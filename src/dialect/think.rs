//! Reasoning written into the text, cut anywhere: blocks between tags, of which models have many kinds.
//!
//! What counts as a tag:
//! - an opening one at the very start of an answer, or behind another block; once there was a block, anywhere; else only
//!   where a line begins with it;
//! - a closing one without an opening one, which the prompt's template had written: where it begins a line, or ends one,
//!   and only if no block came before. What was said so far then was reasoning ([`Kind::Late`]);
//! - neither inside code, between fences or backticks: there it is what the answer is about.
//!
//! A block that is never closed is reasoning up to the end. White space around a block is no part of it, and none of the
//! answer where the block came first. Several blocks are paragraphs of one reasoning.

mod code;

use self::code::Code;

/// Opening and closing tags. Case does not count.
const TAGS: &[(&str, &str)] = &[
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

/// Marks around what is no reasoning, in formats that mark everything.
const MARKS: &[&str] = &[
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

/// White space that may stand before the first tag.
const LEAD: usize = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing decided yet; white space and a piece of a tag are held.
    #[default]
    Start,
    /// Behind an opening tag: white space before the reasoning is not part of it.
    Opened,
    /// Between the tags; what may be a piece of the closing one is held.
    Inside,
    /// Behind a closing tag.
    Behind,
    /// In the answer; what may be a piece of a tag is held.
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Reasoning,
    Text,
    /// All text before it was reasoning, and was not known to be. With it, what of that was not told as reasoning.
    Late,
}

/// Splits one text.
#[derive(Debug, Default)]
pub(super) struct Think {
    state: State,
    held: String,
    /// The tag that ends the open block.
    close: &'static str,
    /// A block was seen.
    had_block: bool,
    /// The format marks everything.
    is_marked: bool,
    /// An opening tag stood in the text, so a closing one may belong to it.
    has_open: bool,
    /// Text was told, and whether it ended with white space.
    spoke: Option<bool>,
    reasoned: bool,
    code: Code,
}

enum Found<T> {
    No,
    /// It may become one.
    Maybe,
    Yes(T, usize),
}

impl Think {
    /// Splits a piece; what can't be decided yet is held back.
    pub(super) fn feed(&mut self, piece: &str, out: &mut Vec<(Kind, String)>) {
        if self.held.is_empty() {
            return self.split(piece, out);
        }
        let mut joined = std::mem::take(&mut self.held);
        joined.push_str(piece);
        self.split(&joined, out);
    }

    /// Gives up what was held back. White space alone is nothing.
    pub(super) fn finish(&mut self, out: &mut Vec<(Kind, String)>) {
        let held = std::mem::take(&mut self.held);
        match std::mem::replace(&mut self.state, State::Text) {
            State::Start if held.trim().is_empty() => {}
            // Behind reasoning, and nothing was said so far.
            State::Behind if held.trim().is_empty() && self.spoke.is_none() => {}
            State::Inside => self.reason(&held, out),
            State::Text if !self.had_block && !self.has_open && matches!(tag(&held, CLOSING), Found::Yes(..)) => {
                self.had_block = true;
                out.push((Kind::Late, String::new()));
            }
            State::Start | State::Opened | State::Behind | State::Text => self.say(&held, out),
        }
    }

    fn split(&mut self, piece: &str, out: &mut Vec<(Kind, String)>) {
        let mut rest = piece;
        loop {
            match self.state {
                State::Start | State::Behind => {
                    let begun = rest.trim_start();
                    let lead = rest.len() - begun.len();
                    // White space behind a block belongs to the answer where that goes on.
                    let goes_on = self.state == State::Start || self.spoke == Some(false);
                    match self.first(begun) {
                        Found::Yes((), size) => rest = begun.get(size..).unwrap_or_default(),
                        Found::Maybe if lead <= LEAD => return rest.clone_into(&mut self.held),
                        Found::Maybe if !goes_on => return begun.clone_into(&mut self.held),
                        _ => {
                            self.state = State::Text;
                            rest = if goes_on { rest } else { begun };
                        }
                    }
                }
                State::Opened => {
                    rest = rest.trim_start();
                    if rest.is_empty() {
                        return;
                    }
                    self.state = State::Inside;
                    if self.reasoned {
                        push(Kind::Reasoning, "\n\n", out);
                    }
                }
                State::Inside => {
                    let Found::Yes(at, size) = find(rest, self.close) else {
                        let keep = tail(rest, self.close);
                        let (told, held) = rest.split_at(rest.len() - keep);
                        self.reason(told, out);
                        return held.clone_into(&mut self.held);
                    };
                    self.reason(rest.get(..at).unwrap_or_default(), out);
                    rest = rest.get(at + size..).unwrap_or_default();
                    self.state = State::Behind;
                }
                State::Text => match self.text(rest, out) {
                    Some(after) => rest = after,
                    None => return,
                },
            }
        }
    }

    /// Takes a tag at the start of what is to come. Returns whether there is one, and how long it is.
    fn first(&mut self, begun: &str) -> Found<()> {
        match (tag(begun, OPENING), mark(begun), tag(begun, CLOSING)) {
            (Found::Yes(close, size), ..) => {
                self.open(close);
                Found::Yes((), size)
            }
            (_, Found::Yes((), size), _) => {
                self.is_marked = true;
                Found::Yes((), size)
            }
            // The template had opened a block, and there was nothing in it.
            (_, _, Found::Yes(_, size)) if !self.had_block => {
                self.had_block = true;
                self.state = State::Behind;
                Found::Yes((), size)
            }
            (Found::Maybe, ..) | (_, Found::Maybe, _) => Found::Maybe,
            (_, _, Found::Maybe) if !self.had_block => Found::Maybe,
            _ if begun.is_empty() => Found::Maybe,
            _ => Found::No,
        }
    }

    fn open(&mut self, close: &'static str) {
        self.close = close;
        self.had_block = true;
        self.is_marked |= close.contains('|');
        self.state = State::Opened;
    }

    /// Tells text up to a tag, and returns what is behind that.
    fn text<'t>(&mut self, rest: &'t str, out: &mut Vec<(Kind, String)>) -> Option<&'t str> {
        let mut from = 0;
        while let Some(at) = self.code.next(rest, from) {
            from = at + 1;
            let (before, there) = rest.split_at(at);
            let is_first = self.code.is_line_start();
            self.code.other();
            match tag(there, OPENING) {
                Found::Yes(close, size) if self.had_block || is_first => {
                    self.say(before, out);
                    self.open(close);
                    return there.get(size..);
                }
                Found::Yes(..) => self.has_open = true,
                Found::Maybe => return self.hold(before, there, is_first, out),
                Found::No => {}
            }
            if self.is_marked {
                match mark(there) {
                    Found::Yes((), size) => {
                        self.say(before, out);
                        return there.get(size..);
                    }
                    Found::Maybe => return self.hold(before, there, is_first, out),
                    Found::No => {}
                }
            }
            if self.had_block || self.has_open {
                continue;
            }
            match tag(there, CLOSING) {
                Found::Yes(_, size) => {
                    let after = there.get(size..).unwrap_or_default();
                    if after.is_empty() {
                        return self.hold(before, there, is_first, out);
                    }
                    if is_first || after.starts_with(['\n', '\r']) {
                        self.say(before, out);
                        self.had_block = true;
                        self.state = State::Behind;
                        self.spoke = None;
                        out.push((Kind::Late, String::new()));
                        return Some(after);
                    }
                }
                Found::Maybe => return self.hold(before, there, is_first, out),
                Found::No => {}
            }
        }
        self.say(rest, out);
        None
    }

    /// Tells what is before a piece of a tag, and holds that.
    fn hold<'t>(&mut self, before: &str, held: &str, is_first: bool, out: &mut Vec<(Kind, String)>) -> Option<&'t str> {
        self.say(before, out);
        if is_first {
            self.code.line_start();
        }
        held.clone_into(&mut self.held);
        None
    }

    fn reason(&mut self, text: &str, out: &mut Vec<(Kind, String)>) {
        self.reasoned |= !text.is_empty();
        push(Kind::Reasoning, text, out);
    }

    fn say(&mut self, text: &str, out: &mut Vec<(Kind, String)>) {
        if !text.is_empty() {
            self.spoke = Some(text.ends_with(char::is_whitespace));
        }
        push(Kind::Text, text, out);
    }
}

type Side = fn(&(&'static str, &'static str)) -> (&'static str, &'static str);

/// Looks for opening tags, and tells what closes them.
const OPENING: Side = |(open, close)| (open, close);
const CLOSING: Side = |(_, close)| (close, close);

/// Says whether a text begins with a tag of that side.
fn tag(text: &str, side: Side) -> Found<&'static str> {
    if !text.starts_with(['<', '[', '◁']) {
        return Found::No;
    }
    let mut found = Found::No;
    for (wanted, close) in TAGS.iter().map(side) {
        // The end of a message is none of its own.
        if wanted == "<|end|>" {
            continue;
        }
        match begins(text, wanted) {
            Some(true) => return Found::Yes(close, wanted.len()),
            Some(false) => found = Found::Maybe,
            None => {}
        }
    }
    found
}

fn mark(text: &str) -> Found<()> {
    let mut found = Found::No;
    for wanted in MARKS {
        match begins(text, wanted) {
            Some(true) => return Found::Yes((), wanted.len()),
            Some(false) if !text.is_empty() => found = Found::Maybe,
            _ => {}
        }
    }
    found
}

/// Whether a text begins with a word: wholly, or as far as the text goes.
fn begins(text: &str, wanted: &str) -> Option<bool> {
    let size = text.len().min(wanted.len());
    let (text, start) = (text.as_bytes().get(..size)?, wanted.as_bytes().get(..size)?);
    text.eq_ignore_ascii_case(start).then_some(size == wanted.len())
}

/// Finds a closing tag.
fn find(text: &str, close: &str) -> Found<usize> {
    let first = close.as_bytes().first().copied().unwrap_or_default();
    for at in memchr::memchr_iter(first, text.as_bytes()) {
        if text.get(at..).and_then(|there| begins(there, close)) == Some(true) {
            return Found::Yes(at, close.len());
        }
    }
    Found::No
}

/// Returns how many bytes at the end may be the beginning of a closing tag.
fn tail(text: &str, close: &str) -> usize {
    let is_it = |size: &usize| {
        let end = text.len().checked_sub(*size).and_then(|at| text.get(at..));
        end.is_some_and(|end| begins(end, close) == Some(false))
    };
    (1..close.len()).rev().find(is_it).unwrap_or(0)
}

fn push(kind: Kind, text: &str, out: &mut Vec<(Kind, String)>) {
    if !text.is_empty() {
        out.push((kind, text.to_owned()));
    }
}

#[cfg(test)]
mod tests;
