//! What a model says, out of the pieces in which a server sends it: halves of characters joined, repetitions left out,
//! reasoning between tags set apart.

use std::borrow::Cow;

use super::repeat::Pieces;
use super::surrogate::{self, Halves};
pub(super) use super::think::Kind;
use super::think::Think;
use super::thoughts::{By, Thoughts};

/// One text of an answer.
#[derive(Debug, Default)]
pub(super) struct Speech {
    halves: Halves,
    pieces: Pieces,
    think: Think,
    thoughts: Thoughts,
    /// Bytes that were told as text.
    told: usize,
}

impl Speech {
    /// Takes a piece and adds what is to be told. With the last one, that it says all again is likelier.
    pub(super) fn take(&mut self, piece: Cow<'_, str>, is_last: bool, marked: bool, out: &mut Vec<(Kind, String)>) {
        let piece = self.halves.join(piece, marked);
        let piece = if is_last { self.pieces.take_last(piece) } else { self.pieces.take(piece) };
        self.split(&piece, out);
    }

    /// Nothing more is to come, or something that is no text: adds what was held back.
    pub(super) fn settle(&mut self, out: &mut Vec<(Kind, String)>) {
        if let Some(half) = self.halves.rest() {
            let piece = self.pieces.take(half.to_string().into()).into_owned();
            self.split(&piece, out);
        }
        let rest = self.pieces.settle();
        self.split(&rest, out);
        let from = out.len();
        self.think.finish(out);
        self.mark_late(from, out);
    }

    /// Takes the text as a whole: only what is missing is told. Returns false where it is another text than was said.
    pub(super) fn whole(&mut self, whole: &str, out: &mut Vec<(Kind, String)>) -> bool {
        // It knows both halves of a character that the pieces may have lost.
        let _ = self.halves.rest();
        if let Some(rest) = self.pieces.whole(whole) {
            self.split(rest, out);
            return true;
        }
        // The one may have its reasoning in it and the other not.
        let (text, whole) = (words(self.pieces.said()), words(whole));
        match whole.trim().strip_prefix(text.trim()) {
            Some(rest) => {
                self.settle(out);
                self.split(rest, out);
                true
            }
            None => false,
        }
    }

    /// The text is this, whatever was said.
    pub(super) fn correct(&mut self, whole: &str) {
        self.pieces.correct(whole);
    }

    /// Returns the text where it is another one than was told.
    pub(super) fn full(&self) -> Option<String> {
        self.pieces.corrected().map(words)
    }

    /// Adds text that is certainly new.
    pub(super) fn more(&mut self, text: &str, out: &mut Vec<(Kind, String)>) {
        self.pieces.more(text);
        self.split(text, out);
    }

    /// Returns the text as it came, reasoning and all, as far as it was told; empty where it is too long to be kept.
    pub(super) fn said(&self) -> &str {
        self.pieces.said()
    }

    /// Takes reasoning that came in a field of its own, and returns what of it is to be told: the text may have it
    /// between tags as well.
    pub(super) fn thought(&mut self, piece: &str) -> String {
        self.thoughts.take(By::Field, piece)
    }

    fn split(&mut self, piece: &str, out: &mut Vec<(Kind, String)>) {
        if piece.is_empty() {
            return;
        }
        let from = out.len();
        self.think.feed(piece, out);
        self.mark_late(from, out);
    }

    /// Leaves out what was told of reasoning, and puts the words that turned out to be reasoning where they belong, if
    /// that is to be.
    fn mark_late(&mut self, from: usize, out: &mut Vec<(Kind, String)>) {
        let mut at = from;
        while let Some((kind, text)) = out.get_mut(at) {
            let keep = match kind {
                Kind::Text => {
                    self.told += text.len();
                    true
                }
                Kind::Reasoning => {
                    *text = self.thoughts.take(By::Tags, text);
                    !text.is_empty()
                }
                Kind::Late => {
                    let said = self.pieces.said().get(..self.told).unwrap_or_default();
                    // Where reasoning has a field of its own, text is text unless it says the same.
                    let is_late = !said.is_empty() && (!self.thoughts.has_field() || self.thoughts.knows(said));
                    if is_late {
                        *text = self.thoughts.take(By::Tags, said);
                        self.told = 0;
                    }
                    is_late
                }
            };
            if keep {
                at += 1;
            } else {
                out.remove(at);
            }
        }
    }
}

/// A text without reasoning in it.
#[derive(Debug, Default)]
pub(super) struct Voice {
    halves: Halves,
    pieces: Pieces,
}

impl Voice {
    pub(super) fn take<'a>(&mut self, piece: Cow<'a, str>, marked: bool) -> Cow<'a, str> {
        self.pieces.take(self.halves.join(piece, marked))
    }

    /// Takes the whole text. One that does not begin with what was told is a piece, unless it `must_be` a whole.
    pub(super) fn whole(&mut self, whole: Cow<'_, str>, must_be: bool, marked: bool) -> String {
        let whole = surrogate::settled(whole, marked);
        match self.pieces.whole(&whole) {
            Some(rest) => rest.to_owned(),
            None if must_be => String::new(),
            None => self.take(whole, false).into_owned(),
        }
    }

    /// Returns what was held back: nothing more is to come.
    pub(super) fn settle(&mut self) -> String {
        let mut rest: String = self.halves.rest().into_iter().collect();
        rest.insert_str(0, &self.pieces.settle());
        rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// Returns a text without the reasoning in it.
pub(super) fn words(text: &str) -> String {
    let (mut think, mut out) = (Think::default(), Vec::new());
    think.feed(text, &mut out);
    think.finish(&mut out);
    let late = out.iter().rposition(|(kind, _)| *kind == Kind::Late).map_or(0, |at| at + 1);
    out.drain(..late);
    out.into_iter().filter(|(kind, _)| *kind == Kind::Text).map(|(_, text)| text).collect()
}
