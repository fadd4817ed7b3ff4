//! Which parts an item of the transcript is laid out in, kept up to date while the item grows.
//!
//! Not for layout. The invariant: a change costs what changed. Growing Markdown reads its tail, growing plain text its
//! last lines; a part that is finished keeps its place and its text.

mod answer;
mod plain;

use crate::event::FinishReason;
use crate::store::Store;
use crate::store::item_source::ItemField;
use crate::store::output_view::OutputView;
use crate::store::overlay::approval::ApprovalDialog;
use crate::store::tool_calls::CallState;
use crate::store::transcript::{ItemKind, TranscriptItem};
use crate::ui::markdown::{BlockKind, Definitions, MarkdownBlock};

use answer::AnswerParts;
pub(in crate::ui::panes) use plain::hides_output;
use plain::{call_parts, folded_prompt_parts, line_parts};

/// A piece of an item that is laid out, cached and measured on its own: a range of the text it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui::panes) struct ItemPart {
    pub(in crate::ui::panes) kind: PartKind,
    pub(in crate::ui::panes) start: u32,
    pub(in crate::ui::panes) end: u32,
    /// An empty row stands above it.
    pub(in crate::ui::panes) gap: bool,
    /// More of it may come.
    pub(in crate::ui::panes) open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui::panes) enum PartKind {
    /// There is nothing to see.
    Nothing,
    Prompt,
    /// What of a long prompt is folded away.
    PromptRest,
    Markdown(BlockKind),
    /// Why an answer is not whole.
    Remark,
    ThinkingHead,
    Thinking,
    CompactionHead,
    CallHead,
    /// A range of what was asked: a diff, or a command of several lines.
    Detail(RowLimit),
    /// What the arguments are about, laid out as one.
    Preview,
    /// A range of the output.
    Output(RowLimit),
    /// The whole output, which is JSON.
    Json,
    /// How much a call printed, and where all of it is.
    FullOutput,
    Notice,
    TurnSummary,
}

/// How many rows are shown of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui::panes) enum RowLimit {
    All,
    /// The first; then it is said how many lines are missing, also of those that begin behind the range, if any of the
    /// text is behind it.
    First {
        rows: u16,
        behind: Option<u32>,
    },
    Last(u16),
}

impl ItemPart {
    fn whole(kind: PartKind) -> Self {
        Self { kind, start: 0, end: 0, gap: false, open: false }
    }

    pub(in crate::ui::panes) fn source<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start as usize..self.end as usize).unwrap_or("")
    }
}

impl From<MarkdownBlock> for ItemPart {
    fn from(block: MarkdownBlock) -> Self {
        Self { kind: PartKind::Markdown(block.kind), start: block.start, end: block.end, gap: block.gap, open: false }
    }
}

#[derive(Debug)]
pub(super) struct ItemParts {
    rev: u32,
    folded: bool,
    /// Of a call: how much of it is shown.
    view: OutputView,
    /// The ask that is open is about this call.
    is_asked_above: bool,
    body: PartsBody,
    measured: Vec<PartMeasure>,
    known_rows: u64,
    known_bytes: u64,
    text_bytes: u64,
    /// Of a call: what was found in its arguments.
    args_preview: ArgsPreview,
    /// The frame that asked last.
    pub(super) used: u64,
}

/// Whether a call's arguments tell more than its headline: they are read once for each change of them.
#[derive(Clone, Copy, Debug, Default)]
struct ArgsPreview {
    /// As of these arguments, written to their end or not.
    as_of: Option<(u32, bool)>,
    has_more: bool,
    bytes_read: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct PartMeasure {
    rows: Option<u32>,
    bytes: u32,
    /// Of its source.
    hash: Option<u64>,
}

#[derive(Debug)]
enum PartsBody {
    Markdown(Box<AnswerParts>),
    Plain { parts: Vec<ItemPart>, seen: usize },
}

impl ItemParts {
    pub(super) fn new(store: &Store, item: TranscriptItem<'_>) -> Self {
        let body = match item.kind {
            ItemKind::Answer { .. } => PartsBody::Markdown(Box::default()),
            _ => PartsBody::Plain { parts: Vec::new(), seen: 0 },
        };
        let mut outline = Self {
            rev: item.rev.wrapping_sub(1),
            folded: store.is_folded(item),
            view: store.output_view(item),
            is_asked_above: is_asked_above(store, item),
            body,
            measured: Vec::new(),
            known_rows: 0,
            known_bytes: 0,
            text_bytes: 0,
            args_preview: ArgsPreview::default(),
            used: 0,
        };
        outline.update(store, item);
        outline
    }

    pub(super) fn is_current(&self, store: &Store, item: TranscriptItem<'_>) -> bool {
        self.rev == item.rev
            && self.folded == store.is_folded(item)
            && self.view == store.output_view(item)
            && self.is_asked_above == is_asked_above(store, item)
    }

    /// Returns how many bytes were read to know the parts: by the splitter, or of a call's arguments.
    pub(super) fn bytes_read(&self) -> u64 {
        match &self.body {
            PartsBody::Markdown(markdown) => markdown.splitter.bytes_read(),
            PartsBody::Plain { .. } => self.args_preview.bytes_read,
        }
    }

    pub(super) fn folded(&self) -> bool {
        self.folded
    }

    /// Returns how many parts there are: at least one.
    pub(super) fn len(&self) -> u32 {
        let parts = match &self.body {
            PartsBody::Markdown(markdown) => {
                markdown.splitter.stable().len()
                    + markdown.cuts.len()
                    + usize::from(markdown.tail.is_some())
                    + usize::from(markdown.remark)
            }
            PartsBody::Plain { parts, .. } => parts.len(),
        };
        parts.max(1) as u32
    }

    /// Returns how many of the first parts stay as they are while it grows.
    pub(super) fn finished_len(&self) -> u32 {
        match &self.body {
            PartsBody::Markdown(markdown) => markdown.splitter.stable().len() as u32,
            PartsBody::Plain { .. } => 0,
        }
    }

    pub(super) fn part(&self, index: u32) -> ItemPart {
        let index = index as usize;
        let found = match &self.body {
            PartsBody::Markdown(markdown) => {
                let stable = markdown.splitter.stable();
                let cut = index.checked_sub(stable.len());
                let after = cut.and_then(|cut| cut.checked_sub(markdown.cuts.len()));
                let block = stable.get(index).or_else(|| markdown.cuts.get(cut?));
                match (block, after, markdown.tail) {
                    (Some(block), _, _) => Some(ItemPart::from(*block)),
                    (None, Some(0), Some(tail)) => Some(ItemPart { open: true, ..ItemPart::from(tail) }),
                    (None, Some(_), _) if markdown.remark => {
                        Some(ItemPart { gap: index > 0, ..ItemPart::whole(PartKind::Remark) })
                    }
                    _ => None,
                }
            }
            PartsBody::Plain { parts, .. } => parts.get(index).copied(),
        };
        found.unwrap_or(ItemPart::whole(PartKind::Nothing))
    }

    /// Returns the part that shows a place of the item's source, or the nearest to it.
    pub(super) fn find(&self, field: ItemField, offset: usize) -> (u32, ItemPart) {
        let offset = offset as u32;
        let index = match &self.body {
            PartsBody::Markdown(markdown) => {
                let stable = markdown.splitter.stable().partition_point(|block| block.end <= offset);
                stable + markdown.cuts.partition_point(|block| block.end <= offset)
            }
            PartsBody::Plain { parts, .. } => {
                let fits = |part: &ItemPart| match field {
                    ItemField::Text => matches!(part.kind, PartKind::Prompt | PartKind::Thinking),
                    ItemField::Detail => matches!(part.kind, PartKind::Detail(_)),
                    ItemField::Output => matches!(part.kind, PartKind::Output(_)),
                };
                parts.iter().rposition(|part| fits(part) && part.start <= offset).unwrap_or(0)
            }
        };
        let index = (index as u32).min(self.len() - 1);
        (index, self.part(index))
    }

    /// Like [`Self::find`], but both the offset and the part are of the item's own text.
    pub(super) fn find_in_source(&self, field: ItemField, offset: usize) -> (u32, ItemPart) {
        let PartsBody::Markdown(markdown) = &self.body else { return self.find(field, offset) };
        let (index, part) = self.find(field, markdown.shortener.to_short(offset));
        let whole = |at: u32| markdown.shortener.to_full(at as usize) as u32;
        (index, ItemPart { start: whole(part.start), end: whole(part.end), ..part })
    }

    /// Returns the range of the fenced block that a part belongs to. O(parts of the block).
    pub(super) fn fence(&self, block: u32) -> Option<(u32, u32)> {
        let first = |block: u32| match self.part(block).kind {
            PartKind::Markdown(BlockKind::Code { first, .. }) => Some(first),
            _ => None,
        };
        let (mut from, mut to) = (block, block);
        while !first(from)? && from > 0 && first(from - 1).is_some() {
            from -= 1;
        }
        while to + 1 < self.len() && first(to + 1) == Some(false) {
            to += 1;
        }
        Some((self.part(from).start, self.part(to).end))
    }

    /// Returns the text that the parts are ranges of, given the item's own.
    pub(super) fn text<'a>(&'a self, raw: &'a str) -> &'a str {
        match &self.body {
            PartsBody::Markdown(markdown) => {
                let cleaned = markdown.cleaned.as_ref().map(|cleaned| cleaned.text.as_str());
                markdown.shortener.short_text().or(cleaned).unwrap_or(raw)
            }
            PartsBody::Plain { .. } => raw,
        }
    }

    pub(super) fn definitions(&self) -> Option<&Definitions> {
        match &self.body {
            PartsBody::Markdown(markdown) => Some(&markdown.definitions),
            PartsBody::Plain { .. } => None,
        }
    }

    /// Takes the item as it is now.
    pub(super) fn update(&mut self, store: &Store, item: TranscriptItem<'_>) {
        self.rev = item.rev;
        let folded = store.is_folded(item);
        self.view = store.output_view(item);
        let view = self.view;
        self.is_asked_above = is_asked_above(store, item);
        let asked = self.is_asked_above;
        let fold_changed = std::mem::replace(&mut self.folded, folded) != folded;
        let unchanged = match (&mut self.body, item.kind) {
            (
                PartsBody::Markdown(markdown),
                ItemKind::Answer { text, open, finish_reason: stop, is_refusal: refusal, .. },
            ) => {
                self.text_bytes = text.len() as u64;
                markdown.remark =
                    !open && (refusal || matches!(stop, Some(FinishReason::Length | FinishReason::Refused)));
                markdown.update(text, open)
            }
            (PartsBody::Plain { parts, seen }, ItemKind::Thinking { text, .. }) => {
                self.text_bytes = if folded { 0 } else { text.len() as u64 };
                let text = text.trim_end();
                // Reasoning only grows: all but the last lines stay.
                if fold_changed || parts.is_empty() || text.len() < *seen {
                    *parts = vec![ItemPart::whole(PartKind::ThinkingHead)];
                } else if parts.len() > 1 {
                    parts.pop();
                }
                let stable = parts.len();
                *seen = text.len();
                if !folded {
                    let from = parts.last().map_or(0, |part| part.end as usize);
                    line_parts(text, from, text.len(), PartKind::Thinking, parts);
                }
                if fold_changed { 0 } else { stable }
            }
            (PartsBody::Plain { parts, .. }, kind) => {
                parts.clear();
                self.text_bytes = match kind {
                    ItemKind::Prompt { text } => {
                        if folded {
                            folded_prompt_parts(text.trim_end(), parts)
                        } else {
                            line_parts(text, 0, text.trim_end().len(), PartKind::Prompt, parts);
                            text.len() as u64
                        }
                    }
                    ItemKind::Notice { text, .. } => {
                        parts.push(ItemPart::whole(PartKind::Notice));
                        text.len() as u64
                    }
                    ItemKind::Compaction { text, .. } => {
                        parts.push(ItemPart::whole(PartKind::CompactionHead));
                        if folded {
                            0
                        } else {
                            line_parts(text, 0, text.trim_end().len(), PartKind::Thinking, parts);
                            text.len() as u64
                        }
                    }
                    ItemKind::TurnSummary { .. } => {
                        parts.push(ItemPart::whole(PartKind::TurnSummary));
                        0
                    }
                    ItemKind::Call { call } => {
                        parts.push(ItemPart::whole(PartKind::CallHead));
                        let told = &mut self.args_preview;
                        store.tool_calls.get(call).map_or(0, |call| call_parts(call, view, asked, told, parts))
                    }
                    ItemKind::Answer { .. } | ItemKind::Thinking { .. } => 0,
                };
                0
            }
            (PartsBody::Markdown(_), _) => 0,
        };
        self.forget_from(unchanged);
    }

    /// Notes how many rows a part takes. Returns whether that is news.
    pub(super) fn measure(&mut self, index: u32, rows: u32) -> bool {
        let part = self.part(index);
        let index = index as usize;
        if self.measured.len() <= index {
            self.measured.resize(index + 1, PartMeasure::default());
        }
        let Some(measured) = self.measured.get_mut(index) else { return false };
        if measured.rows == Some(rows) {
            return false;
        }
        self.known_rows -= u64::from(measured.rows.unwrap_or(0));
        self.known_bytes -= u64::from(measured.bytes);
        *measured = PartMeasure { rows: Some(rows), bytes: part.end - part.start, ..*measured };
        self.known_rows += u64::from(rows);
        self.known_bytes += u64::from(measured.bytes);
        true
    }

    /// Returns what was noted of a part since it changed last.
    pub(super) fn hash(&self, index: u32) -> Option<u64> {
        self.measured.get(index as usize)?.hash
    }

    /// Notes what the hash of a part's source is. A part that is still open has none that lasts.
    pub(super) fn note_hash(&mut self, index: u32, hash: u64) {
        let is_open = self.part(index).open;
        if let Some(measured) = self.measured.get_mut(index as usize).filter(|_| !is_open) {
            measured.hash = Some(hash);
        }
    }

    /// Forgets all measures: the width is another one.
    pub(super) fn forget(&mut self) {
        self.forget_from(0);
    }

    /// Returns the rows of the item: what was measured, and an estimate of the rest.
    pub(super) fn rows(&self, width: u16) -> u32 {
        let rest = self.text_bytes.saturating_sub(self.known_bytes);
        let unmeasured = u64::from(self.len()).saturating_sub(self.measured.len() as u64);
        let rows = self.known_rows + rest / u64::from(width.max(1)) + unmeasured;
        u32::try_from(rows).unwrap_or(u32::MAX)
    }

    fn forget_from(&mut self, index: usize) {
        for measured in self.measured.iter().skip(index) {
            self.known_rows -= u64::from(measured.rows.unwrap_or(0));
            self.known_bytes -= u64::from(measured.bytes);
        }
        self.measured.truncate(index);
    }
}

/// Returns whether the ask that is open shows all about this call.
fn is_asked_above(store: &Store, item: TranscriptItem<'_>) -> bool {
    let ItemKind::Call { call } = item.kind else { return false };
    store.focus.find::<ApprovalDialog>().is_some_and(|ask| ask.call == *call)
        && store.tool_calls.get(call).is_some_and(|call| call.state == CallState::AwaitingApproval)
}

/// A quick hash of a text: tells whether it is the same, nothing more.
pub(in crate::ui::panes) fn quick_hash(bytes: &[u8]) -> u64 {
    const HASH_MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(HASH_MULTIPLIER).rotate_left(23);
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(HASH_MULTIPLIER).rotate_left(23);
    }
    hash ^ (hash >> 31)
}
