//! Assembles the text of a model from the deltas of a server: joins halves of characters, drops repetitions, separates
//! reasoning between tags.

use std::borrow::Cow;

use super::dedup::DeltaDedup;
use super::reasoning_dedup::{ReasoningDedup, ReasoningSource};
use super::surrogate::{self, SurrogateJoiner};
pub(super) use super::think_tags::SegmentKind;
use super::think_tags::ThinkTagSplitter;

/// One text of an answer.
#[derive(Debug, Default)]
pub(super) struct TextAssembler {
    surrogates: SurrogateJoiner,
    dedup: DeltaDedup,
    tag_splitter: ThinkTagSplitter,
    reasoning_dedup: ReasoningDedup,
    /// Bytes that were emitted as text.
    text_bytes: usize,
}

impl TextAssembler {
    /// Takes a delta and adds the segments to emit. The last delta is likelier to repeat everything.
    pub(super) fn push(
        &mut self,
        piece: Cow<'_, str>,
        is_last: bool,
        marked: bool,
        out: &mut Vec<(SegmentKind, String)>,
    ) {
        let piece = self.surrogates.push(piece, marked);
        let piece = if is_last { self.dedup.push_last(piece) } else { self.dedup.push(piece) };
        self.split_tags(&piece, out);
    }

    /// Adds what was held back, when no text follows.
    pub(super) fn flush(&mut self, out: &mut Vec<(SegmentKind, String)>) {
        if let Some(half) = self.surrogates.take_unpaired() {
            let piece = self.dedup.push(half.to_string().into()).into_owned();
            self.split_tags(&piece, out);
        }
        let rest = self.dedup.flush();
        self.split_tags(&rest, out);
        let from = out.len();
        self.tag_splitter.flush(out);
        self.resolve_segments(from, out);
    }

    /// Takes the whole text: only the missing rest is added. Returns false where it differs from what was streamed.
    pub(super) fn reconcile(&mut self, whole: &str, out: &mut Vec<(SegmentKind, String)>) -> bool {
        // It knows both halves of a character that the deltas may have lost.
        let _ = self.surrogates.take_unpaired();
        if let Some(rest) = self.dedup.reconcile(whole) {
            self.split_tags(rest, out);
            return true;
        }
        // One may contain its reasoning and the other not.
        let (text, whole) = (strip_reasoning(self.dedup.text()), strip_reasoning(whole));
        match whole.trim().strip_prefix(text.trim()) {
            Some(rest) => {
                self.flush(out);
                self.split_tags(rest, out);
                true
            }
            None => false,
        }
    }

    /// Sets the text, whatever was streamed.
    pub(super) fn set_correction(&mut self, whole: &str) {
        self.dedup.set_correction(whole);
    }

    /// Returns the text where it differs from what was emitted.
    pub(super) fn corrected_text(&self) -> Option<String> {
        self.dedup.correction().map(strip_reasoning)
    }

    /// Adds text that is known to be new.
    pub(super) fn push_new(&mut self, text: &str, out: &mut Vec<(SegmentKind, String)>) {
        self.dedup.push_new(text);
        self.split_tags(text, out);
    }

    /// Returns the text as it came so far, reasoning included; empty where it is too long to be kept.
    pub(super) fn raw_text(&self) -> &str {
        self.dedup.text()
    }

    /// Takes reasoning from a field of its own, and returns the part to emit: the text may repeat it between tags.
    pub(super) fn push_reasoning(&mut self, piece: &str) -> String {
        self.reasoning_dedup.push(ReasoningSource::Field, piece)
    }

    fn split_tags(&mut self, piece: &str, out: &mut Vec<(SegmentKind, String)>) {
        if piece.is_empty() {
            return;
        }
        let from = out.len();
        self.tag_splitter.push(piece, out);
        self.resolve_segments(from, out);
    }

    /// Drops reasoning that was already emitted, and decides whether text before a lone closing tag becomes reasoning.
    fn resolve_segments(&mut self, from: usize, out: &mut Vec<(SegmentKind, String)>) {
        let mut at = from;
        while let Some((kind, text)) = out.get_mut(at) {
            let keep = match kind {
                SegmentKind::Text => {
                    self.text_bytes += text.len();
                    true
                }
                SegmentKind::Reasoning => {
                    *text = self.reasoning_dedup.push(ReasoningSource::Tags, text);
                    !text.is_empty()
                }
                SegmentKind::LateReasoning => {
                    let emitted = self.dedup.text().get(..self.text_bytes).unwrap_or_default();
                    // Where reasoning has a field of its own, text is text unless it repeats that.
                    let is_late = !emitted.is_empty()
                        && (!self.reasoning_dedup.has_field() || self.reasoning_dedup.matches(emitted));
                    if is_late {
                        *text = self.reasoning_dedup.push(ReasoningSource::Tags, emitted);
                        self.text_bytes = 0;
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

/// Assembles a text without reasoning in it.
#[derive(Debug, Default)]
pub(super) struct ChannelAssembler {
    surrogates: SurrogateJoiner,
    dedup: DeltaDedup,
}

impl ChannelAssembler {
    pub(super) fn push<'a>(&mut self, piece: Cow<'a, str>, marked: bool) -> Cow<'a, str> {
        self.dedup.push(self.surrogates.push(piece, marked))
    }

    /// Takes the whole text. One that does not start with what was emitted is a delta, unless it `must_be` a whole.
    pub(super) fn reconcile(&mut self, whole: Cow<'_, str>, must_be: bool, marked: bool) -> String {
        let whole = surrogate::resolve_marks(whole, marked);
        match self.dedup.reconcile(&whole) {
            Some(rest) => rest.to_owned(),
            None if must_be => String::new(),
            None => self.push(whole, false).into_owned(),
        }
    }

    /// Returns what was held back, when no text follows.
    pub(super) fn flush(&mut self) -> String {
        let mut rest: String = self.surrogates.take_unpaired().into_iter().collect();
        rest.insert_str(0, &self.dedup.flush());
        rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.dedup.is_empty()
    }
}

/// Returns a text without the reasoning in it.
pub(super) fn strip_reasoning(text: &str) -> String {
    let (mut think, mut out) = (ThinkTagSplitter::default(), Vec::new());
    think.push(text, &mut out);
    think.flush(&mut out);
    let late = out.iter().rposition(|(kind, _)| *kind == SegmentKind::LateReasoning).map_or(0, |at| at + 1);
    out.drain(..late);
    out.into_iter().filter(|(kind, _)| *kind == SegmentKind::Text).map(|(_, text)| text).collect()
}
