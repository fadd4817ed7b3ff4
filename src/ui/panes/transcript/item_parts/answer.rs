//! The parts of an answer: the blocks of its Markdown while they stream in, and once more when it has ended.
//!
//! Not for other items. The invariant: while it streams, a change costs the tail; finished blocks stay.

use super::quick_hash;
use crate::text::clean::{clean, is_clean};
use crate::text::data_url::DataUrlShortener;
use crate::ui::markdown::{BlockKind, Definitions, MarkdownBlock, Splitter, may_define_links};

/// The unfinished block of an answer that is longer is shown in pieces.
const MAX_TAIL_BYTES: u32 = 64 * 1024;
/// So is a paragraph or a line that is longer: wherever it is cut, its pieces are lines of text.
const MAX_PARAGRAPH_BYTES: u32 = 16 * 1024;
/// Bytes of a piece that is cut off a long tail.
const MAX_PIECE_BYTES: usize = 6 * 1024;

#[derive(Debug, Default)]
pub(super) struct AnswerParts {
    pub(super) splitter: Splitter,
    /// Pieces of a tail that is too long to be laid out anew with each token; they are gone once it has ended.
    pub(super) cuts: Vec<MarkdownBlock>,
    pub(super) tail: Option<MarkdownBlock>,
    pub(super) remark: bool,
    finished: bool,
    /// Of the raw text that was split when the message ended; a later change is seen by it.
    hash: u64,
    pub(super) definitions: Definitions,
    /// Only where the text holds something that must not be shown.
    pub(super) cleaned: Option<CleanedText>,
    /// The text without the whole of the files that it holds.
    pub(super) shortener: DataUrlShortener,
    seen: usize,
}

/// A growing text as it may be shown.
#[derive(Debug, Default)]
pub(super) struct CleanedText {
    pub(super) text: String,
    /// How much of the text won't change any more, and what of the raw one that is: no sequence goes on over the end of
    /// a line or over the beginning of another one.
    stable_len: usize,
    raw_stable_len: usize,
}

impl CleanedText {
    /// Takes what has been added. Costs that, and what wasn't settled before.
    fn grow(&mut self, raw: &str) {
        self.text.truncate(self.stable_len);
        let rest = raw.get(self.raw_stable_len..).unwrap_or("");
        let last = memchr::memrchr2(b'\n', 0x1b, rest.as_bytes());
        let (settled, open) = rest.split_at(last.map_or(0, |at| at + usize::from(rest[at..].starts_with('\n'))));
        self.text.push_str(&clean(settled));
        self.stable_len = self.text.len();
        self.raw_stable_len += settled.len();
        self.text.push_str(&clean(open));
    }
}

impl AnswerParts {
    /// Returns how many parts are as they were.
    pub(super) fn update(&mut self, raw: &str, open: bool) -> usize {
        if self.finished {
            if quick_hash(raw.as_bytes()) == self.hash {
                return usize::MAX;
            }
            *self = Self { remark: self.remark, ..Self::default() };
        }
        if raw.len() < self.seen || !raw.is_char_boundary(self.seen) {
            *self = Self { remark: self.remark, ..Self::default() };
        }
        let mut stable = self.splitter.stable().len();
        let added = raw.get(self.seen..).unwrap_or("");
        if self.cleaned.is_some() || !is_clean(added) {
            let cleaned = self.cleaned.get_or_insert_default();
            cleaned.grow(raw);
            if self.seen > 0 && self.splitter.seen() > cleaned.text.len() {
                self.splitter = Splitter::default();
                stable = 0;
            }
        }
        self.seen = raw.len();
        let text = self.cleaned.as_ref().map_or(raw, |cleaned| &cleaned.text);
        self.shortener.extend(text, !open);
        let text = self.shortener.short_text().unwrap_or(text);
        if open {
            self.splitter.advance(text);
            self.tail = self.splitter.tail(text);
            let cuts = self.cuts.len();
            let moved = cut_tail(&mut self.tail, &mut self.cuts, text);
            return if moved { stable } else { stable + cuts };
        }
        self.cuts.clear();
        // Only the definitions of links change what came before, and looking at all of it once more takes its time.
        let same = if may_define_links(text) {
            let whole = Splitter::split(text);
            let same = whole.stable().starts_with(self.splitter.stable());
            self.splitter = whole;
            same
        } else {
            self.splitter.finish(text);
            true
        };
        self.definitions = Definitions::parse(text);
        self.tail = None;
        self.finished = true;
        self.hash = quick_hash(raw.as_bytes());
        if same && self.definitions.is_empty() { stable } else { 0 }
    }
}

/// Cuts pieces off a tail that is too long. Returns whether the pieces are not those of before.
fn cut_tail(tail: &mut Option<MarkdownBlock>, cuts: &mut Vec<MarkdownBlock>, text: &str) -> bool {
    let Some(tail) = tail else {
        cuts.clear();
        return true;
    };
    let moved = cuts.first().is_none_or(|first| first.start != tail.start);
    if moved {
        cuts.clear();
    }
    if let Some(last) = cuts.last() {
        tail.start = last.end;
        tail.gap = false;
    }
    if tail.end - tail.start > MAX_TAIL_BYTES && matches!(tail.kind, BlockKind::OpenTable | BlockKind::TableRows { .. })
    {
        // Nothing that is held back is that long but a row without an end.
        tail.kind = BlockKind::Paragraphs;
    }
    let longest = if cuts.is_empty() && !is_lines(tail, text) { MAX_TAIL_BYTES } else { MAX_PARAGRAPH_BYTES };
    if tail.end - tail.start <= longest {
        return moved;
    }
    while tail.end - tail.start > MAX_PARAGRAPH_BYTES {
        let start = tail.start as usize;
        let piece = text.as_bytes().get(start..start + MAX_PIECE_BYTES).unwrap_or(&[]);
        let end = memchr::memrchr(b'\n', piece).or_else(|| memchr::memrchr(b' ', piece)).map(|at| start + at + 1);
        let end = end.unwrap_or_else(|| text.floor_char_boundary(start + MAX_PIECE_BYTES)) as u32;
        cuts.push(MarkdownBlock { end, ..*tail });
        tail.start = end;
        tail.gap = false;
        if let BlockKind::Code { first, .. } = &mut tail.kind {
            *first = false;
        }
    }
    moved
}

/// Returns whether a block is a paragraph, or whether it begins with a line so long that nothing else is in sight.
fn is_lines(block: &MarkdownBlock, text: &str) -> bool {
    let source = block.source(text).as_bytes();
    let line = source.get(..MAX_PARAGRAPH_BYTES as usize).unwrap_or(source);
    let begins_text = |byte: &u8| !byte.is_ascii_whitespace() && !b"><[|".contains(byte);
    block.kind == BlockKind::Paragraphs && source.first().is_some_and(begins_text)
        || memchr::memchr(b'\n', line).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_cleaned_as_the_whole_is_and_each_byte_about_once() {
        let raw =
            "plain\n\x1b[31mred\x1b[0m é\u{9b}1m\x1b]0;never ended\nnext\x1b]52;c;Z\x07 \u{202e}end\x1b[".repeat(20);
        for step in 1..9 {
            let mut cleaned = CleanedText::default();
            for at in (0..raw.len()).step_by(step).filter(|at| raw.is_char_boundary(*at)) {
                cleaned.grow(&raw[..at]);
                assert_eq!(cleaned.text, clean(&raw[..at]), "{at}");
                assert!(at - cleaned.raw_stable_len < 32, "{at}");
            }
        }
    }
}
