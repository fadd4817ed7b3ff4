//! Frames that a decoder doesn't know: each kind is reported once.

use crate::event::{NoticeCode, NoticeLevel, ReplyEvent};

/// Kinds that are remembered; later ones share one notice.
const MAX_KINDS: usize = 16;

#[derive(Debug, Default)]
pub(super) struct UnknownFrames {
    kinds: Vec<String>,
}

impl UnknownFrames {
    /// Reports a kind the first time it is seen.
    pub(super) fn report(&mut self, kind: &str, out: &mut Vec<ReplyEvent>) {
        let kind: String = kind.chars().take(60).collect();
        if self.kinds.len() > MAX_KINDS || self.kinds.contains(&kind) {
            return;
        }
        let text = if self.kinds.len() == MAX_KINDS {
            "the server sends many unknown kinds of frames; they are skipped".to_owned()
        } else {
            format!("the server sent an unknown kind of frame, which is skipped: {kind}")
        };
        self.kinds.push(kind);
        out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::UnknownFrame, text });
    }
}
