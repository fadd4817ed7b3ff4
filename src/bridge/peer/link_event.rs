//! What comes of a connection with an agent.

use crate::event::{Fault, NoticeLevel};

/// What comes of a connection.
pub(super) enum LinkEvent {
    /// Whole lines, in their order.
    Lines(Vec<String>),
    /// Lines of a program's standard error.
    Remarks(Vec<String>),
    /// The agent is gone.
    Closed(LinkEnd),
}

/// How a connection ended.
pub(super) struct LinkEnd {
    pub(super) fault: Fault,
    /// The agent may live on: only the way to it broke.
    pub(super) is_lost: bool,
    /// What else its program printed.
    pub(super) last_words: Vec<String>,
    /// How its program ended.
    pub(super) remark: Option<(NoticeLevel, String)>,
}

impl LinkEnd {
    pub(super) fn of(fault: Fault) -> Self {
        Self { fault, is_lost: false, last_words: Vec::new(), remark: None }
    }
}
