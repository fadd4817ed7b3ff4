//! What a transcript keeps of an item, and how others see it.

use std::ops::Range;

use crate::event::{CallId, Compaction, FinishReason, Millis, NoticeCode, NoticeLevel, Seq, TurnOutcome, Usage};

use super::Transcript;
use crate::store::chunks::{TextArena, TextRef};

/// Names an item for ever, wherever it stands. Anchors, heights and caches key on it, never on an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

/// One thing in the transcript.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TranscriptItem<'a> {
    pub id: ItemId,
    /// Grows with every change of this item: the only signal that the view's cache needs.
    pub rev: u32,
    /// When it began, on the session's clock.
    pub at: Millis,
    /// The event that it began with; of what no event told, the one before.
    pub seq: Seq,
    pub kind: ItemKind<'a>,
    /// The person's own choice; none follows the general setting.
    pub folded: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ItemKind<'a> {
    Prompt {
        text: &'a str,
    },
    /// A run of the assistant's text. Markdown.
    Answer {
        text: &'a str,
        is_refusal: bool,
        open: bool,
        finish_reason: Option<FinishReason>,
    },
    /// A run of reasoning. `duration` once it ended.
    Thinking {
        text: &'a str,
        open: bool,
        duration: Option<Millis>,
    },
    /// A tool call; all about it is in the tool board.
    Call {
        call: &'a CallId,
    },
    /// Repeats of one code in a row are counted, not listed.
    Notice {
        level: NoticeLevel,
        code: &'a NoticeCode,
        text: &'a str,
        count: u32,
    },
    /// Earlier turns that the model is no longer sent. The text tells of them, and is their summary.
    Compaction {
        compaction: &'a Compaction,
        text: &'a str,
        is_undone: bool,
    },
    /// The end of a turn, with what it took.
    TurnSummary {
        outcome: &'a TurnOutcome,
        duration: Millis,
        usage: Option<Usage>,
        first_token: Option<Millis>,
        /// In dollars, where the price is known.
        cost: Option<f64>,
    },
}

/// The items of a transcript, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Items<'a>(&'a Transcript);

/// An item as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ItemRecord {
    pub(super) at: Millis,
    pub(super) body: ItemBody,
    pub(super) rev: u32,
    /// Number of the event that it began with; of what no event told, of the one before.
    pub(super) seq: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ItemBody {
    /// A text that still grows.
    Open {
        kind: OpenKind,
        #[expect(clippy::box_collection, reason = "few are open, and all records are as large as the largest kind")]
        text: Box<String>,
    },
    Prompt {
        text: TextRef,
    },
    Answer {
        text: TextRef,
        is_refusal: bool,
        finish_reason: Option<FinishReason>,
    },
    Thinking {
        text: TextRef,
        duration: Millis,
    },
    Call(CallId),
    Notice(Box<Notice>),
    Compaction(Box<CompactionRecord>),
    TurnSummary(Box<TurnSummary>),
}

/// What an open text will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenKind {
    Prompt,
    Answer { is_refusal: bool },
    Thinking,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Notice {
    pub(super) level: NoticeLevel,
    pub(super) code: NoticeCode,
    pub(super) text: String,
    pub(super) count: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct CompactionRecord {
    /// Without its summary, which is in the text.
    pub(super) compaction: Compaction,
    pub(super) text: String,
    pub(super) is_undone: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct TurnSummary {
    pub(super) outcome: TurnOutcome,
    pub(super) duration: Millis,
    pub(super) usage: Option<Usage>,
    pub(super) first_token: Option<Millis>,
    pub(super) cost: Option<f64>,
}

impl<'a> Items<'a> {
    pub(super) fn new(transcript: &'a Transcript) -> Self {
        Self(transcript)
    }

    pub fn len(self) -> usize {
        self.0.records.len()
    }

    pub fn is_empty(self) -> bool {
        self.0.records.is_empty()
    }

    pub fn get(self, index: usize) -> Option<TranscriptItem<'a>> {
        Some(self.view(index, self.0.records.get(index)?))
    }

    pub fn first(self) -> Option<TranscriptItem<'a>> {
        self.get(0)
    }

    pub fn last(self) -> Option<TranscriptItem<'a>> {
        self.get(self.len().checked_sub(1)?)
    }

    pub fn iter(self) -> impl DoubleEndedIterator<Item = TranscriptItem<'a>> + ExactSizeIterator {
        self.0.records.iter().enumerate().map(move |(index, record)| self.view(index, record))
    }

    /// Returns the items with these indexes, as far as there are any.
    pub fn range(self, indexes: Range<usize>) -> impl DoubleEndedIterator<Item = TranscriptItem<'a>> {
        (indexes.start..indexes.end.min(self.len())).filter_map(move |index| self.get(index))
    }

    fn view(self, index: usize, record: &'a ItemRecord) -> TranscriptItem<'a> {
        let ItemRecord { at, ref body, rev, seq } = *record;
        let id = self.0.id_at(index);
        let folded = self.0.folds.get(&id).copied();
        TranscriptItem { id, rev, at, seq: Seq(seq.into()), kind: body.view(&self.0.texts), folded }
    }
}

impl ItemRecord {
    /// Returns what was said; empty where nothing was.
    pub(super) fn text<'a>(&'a self, texts: &'a TextArena) -> &'a str {
        self.body.view(texts).text()
    }

    /// Takes another text, if it has one.
    pub(super) fn replace_text(&mut self, texts: &mut TextArena, new: &str) {
        match &mut self.body {
            ItemBody::Open { text, .. } => new.clone_into(text),
            ItemBody::Prompt { text } | ItemBody::Answer { text, .. } | ItemBody::Thinking { text, .. } => {
                *text = texts.push(new);
            }
            ItemBody::Call(_) | ItemBody::Notice(_) | ItemBody::Compaction(_) | ItemBody::TurnSummary(_) => {}
        }
    }
}

impl ItemBody {
    fn view<'a>(&'a self, texts: &'a TextArena) -> ItemKind<'a> {
        match self {
            Self::Open { kind, text } => match *kind {
                OpenKind::Prompt => ItemKind::Prompt { text },
                OpenKind::Answer { is_refusal } => {
                    ItemKind::Answer { text, is_refusal, open: true, finish_reason: None }
                }
                OpenKind::Thinking => ItemKind::Thinking { text, open: true, duration: None },
            },
            Self::Prompt { text } => ItemKind::Prompt { text: texts.get(*text) },
            Self::Answer { text, is_refusal, finish_reason } => ItemKind::Answer {
                text: texts.get(*text),
                is_refusal: *is_refusal,
                open: false,
                finish_reason: *finish_reason,
            },
            Self::Thinking { text, duration } => {
                ItemKind::Thinking { text: texts.get(*text), open: false, duration: Some(*duration) }
            }
            Self::Call(call) => ItemKind::Call { call },
            Self::Notice(notice) => {
                let Notice { level, code, text, count } = &**notice;
                ItemKind::Notice { level: *level, code, text, count: *count }
            }
            Self::Compaction(record) => {
                let CompactionRecord { compaction, text, is_undone } = &**record;
                ItemKind::Compaction { compaction, text, is_undone: *is_undone }
            }
            Self::TurnSummary(summary) => {
                let TurnSummary { outcome, duration, usage, first_token, cost } = &**summary;
                ItemKind::TurnSummary {
                    outcome,
                    duration: *duration,
                    usage: *usage,
                    first_token: *first_token,
                    cost: *cost,
                }
            }
        }
    }
}

impl<'a> ItemKind<'a> {
    /// Returns whether a person can mark it: something was said or done.
    pub fn can_be_marked(self) -> bool {
        match self {
            Self::Prompt { .. } | Self::Answer { .. } | Self::Thinking { .. } | Self::Call { .. } => true,
            Self::Notice { .. } | Self::Compaction { .. } | Self::TurnSummary { .. } => false,
        }
    }

    /// Returns what was said; empty for a call and the end of a turn.
    pub fn text(self) -> &'a str {
        match self {
            Self::Prompt { text }
            | Self::Answer { text, .. }
            | Self::Thinking { text, .. }
            | Self::Compaction { text, .. }
            | Self::Notice { text, .. } => text,
            Self::Call { .. } | Self::TurnSummary { .. } => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_session_pays_forty_bytes_for_an_item_beside_its_text() {
        assert!(size_of::<ItemRecord>() <= 40, "{}", size_of::<ItemRecord>());
    }
}
