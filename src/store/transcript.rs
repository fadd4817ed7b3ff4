//! The transcript: items in order, each with a revision that grows with every change. Data only, no layout.

use crate::event::{CallId, Level, MessageId, Millis, Stop, TurnEnd, TurnId, Usage};

/// Names an item for ever, wherever it stands. Anchors, heights and caches key on it, never on an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub u64);

/// One thing in the transcript.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub id: ItemId,
    /// Grows with every change of this item: the only signal that the view's cache needs.
    pub rev: u32,
    /// When it began, on the session's clock.
    pub at: Millis,
    pub turn: Option<TurnId>,
    pub kind: Kind,
    /// The person's own choice; none follows the general setting.
    pub folded: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Prompt {
        text: String,
    },
    /// A run of the assistant's text. Markdown.
    Answer {
        message: MessageId,
        text: String,
        refusal: bool,
        open: bool,
        stop: Option<Stop>,
    },
    /// A run of reasoning. `took` once it ended.
    Thinking {
        message: MessageId,
        text: String,
        open: bool,
        took: Option<Millis>,
    },
    /// A tool call; all about it is in the tool board.
    Call {
        call: CallId,
    },
    /// Repeats of one code in a row are counted, not listed.
    Notice {
        level: Level,
        code: String,
        text: String,
        count: u32,
    },
    /// The end of a turn, with what it took.
    Ended {
        end: TurnEnd,
        took: Millis,
        usage: Option<Usage>,
        first_token: Option<Millis>,
    },
}
