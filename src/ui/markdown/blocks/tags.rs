//! A block of tags that was cut: what its next part has to know.
//!
//! Not for what tags mean. The invariant: a part ends where the block would have ended.

use super::BlockKind;
use crate::ui::markdown::html::{self, Raw};

/// A block of tags of which parts were taken off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tags {
    /// What begins a block that ends where this one does: the parser is given it before the rest (CommonMark 4.6).
    pub(super) lead: &'static str,
    /// Where the last part left it.
    inside: Option<Raw>,
}

/// A block that ends at a blank line.
const PLAIN: &str = "<div>\n";

impl Tags {
    /// Reads how a block begins.
    pub(super) fn begun_by(block: &str) -> Self {
        let block = block.trim_start_matches(' ');
        let lead = match Raw::begun_by(block) {
            Some(raw) => raw.opening(),
            None if html::is_named(block, "<pre") => "<pre>\n",
            None => PLAIN,
        };
        Self { lead, inside: None }
    }

    /// Returns it as it is behind one more part.
    pub(super) fn behind(self, part: &str) -> Self {
        Self { inside: html::split_html(part, self.inside).1, ..self }
    }

    pub(super) fn kind(self) -> BlockKind {
        BlockKind::Tags { inside: self.inside }
    }

    pub(super) fn ends_at_blank(self) -> bool {
        self.lead == PLAIN
    }
}
