//! The blocks of a message that stream, until a whole line repeats them.

use super::super::program_reply::word;
use crate::event::Json;

/// Blocks that are remembered of a message.
const MAX_BLOCKS: usize = 4096;
/// Bytes of text that are compared with the repeated one.
const MAX_COMPARED_BYTES: usize = 16 * 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    Text,
    Thinking,
    /// A call, by its id.
    Call(String),
    Other,
}

impl BlockKind {
    pub(super) fn of(block: &Json) -> Self {
        match word(block, "type") {
            "text" => Self::Text,
            "thinking" => Self::Thinking,
            "tool_use" | "server_tool_use" | "mcp_tool_use" => Self::Call(word(block, "id").to_owned()),
            _ => Self::Other,
        }
    }
}

#[derive(Debug)]
struct StreamedBlock {
    /// As the program numbers it; a later block may have the same number.
    index: u64,
    kind: BlockKind,
    text: String,
    is_open: bool,
    /// A whole line has repeated it.
    is_confirmed: bool,
}

/// The blocks of one message in their order.
#[derive(Debug, Default)]
pub(super) struct StreamedBlocks {
    blocks: Vec<StreamedBlock>,
    compared_bytes: usize,
}

impl StreamedBlocks {
    pub(super) fn start(&mut self, index: u64, kind: BlockKind) {
        for block in self.blocks.iter_mut().filter(|block| block.index == index) {
            block.is_open = false;
        }
        if self.blocks.len() < MAX_BLOCKS {
            self.blocks.push(StreamedBlock { index, kind, text: String::new(), is_open: true, is_confirmed: false });
        }
    }

    /// Appends text to the open block of this number and kind, which is begun if its start was lost.
    pub(super) fn push(&mut self, index: u64, kind: &BlockKind, text: &str) {
        if self.open(index).is_none_or(|block| block.kind != *kind) {
            self.start(index, kind.clone());
        }
        self.compared_bytes = self.compared_bytes.saturating_add(text.len());
        let is_kept = self.compared_bytes <= MAX_COMPARED_BYTES;
        if let Some(block) = self.open(index).filter(|_| is_kept) {
            block.text.push_str(text);
        }
    }

    /// Returns the id of the call that streams under this number.
    pub(super) fn call(&mut self, index: u64) -> Option<&str> {
        match &self.open(index)?.kind {
            BlockKind::Call(id) => Some(id),
            _ => None,
        }
    }

    /// Ends a block. Returns the id of the call that it was.
    pub(super) fn stop(&mut self, index: u64) -> Option<String> {
        let block = self.open(index)?;
        block.is_open = false;
        match &block.kind {
            BlockKind::Call(id) => Some(id.clone()),
            _ => None,
        }
    }

    /// Takes a whole block of text that repeats one that was streamed, and returns what that lacks; none where there is
    /// no such block.
    pub(super) fn confirm<'a>(&mut self, kind: &BlockKind, whole: &'a str) -> Option<&'a str> {
        let mut candidates = self.blocks.iter_mut().filter(|block| block.kind == *kind && !block.is_confirmed);
        let block = candidates.find(|block| {
            whole.starts_with(&block.text) || block.text.trim() == whole.trim() || block.text.starts_with(whole)
        })?;
        block.is_confirmed = true;
        Some(whole.strip_prefix(block.text.as_str()).unwrap_or_default())
    }

    /// Returns the calls among the blocks from this number on.
    pub(super) fn calls_from(&self, from: u64) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter(move |block| block.index >= from).filter_map(|block| match &block.kind {
            BlockKind::Call(id) => Some(id.as_str()),
            _ => None,
        })
    }

    /// Returns the number of the first text that has neither ended nor been repeated.
    pub(super) fn first_unfinished_text(&self) -> Option<u64> {
        let is_unfinished =
            |block: &&StreamedBlock| block.kind == BlockKind::Text && block.is_open && !block.is_confirmed;
        self.blocks.iter().find(is_unfinished).map(|block| block.index)
    }

    pub(super) fn has_text_from(&self, from: u64) -> bool {
        self.blocks.iter().any(|block| block.index >= from && block.kind == BlockKind::Text && !block.text.is_empty())
    }

    /// Returns the text of the blocks before this number.
    pub(super) fn text_before(&self, from: u64) -> String {
        let before = self.blocks.iter().filter(|block| block.index < from && block.kind == BlockKind::Text);
        before.map(|block| block.text.as_str()).collect()
    }

    fn open(&mut self, index: u64) -> Option<&mut StreamedBlock> {
        self.blocks.iter_mut().rev().find(|block| block.index == index && block.is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_block_confirms_the_streamed_one_that_it_goes_on() {
        let mut blocks = StreamedBlocks::default();
        blocks.push(0, &BlockKind::Text, "half");
        blocks.start(0, BlockKind::Text);
        blocks.push(0, &BlockKind::Text, "other");
        assert_eq!(blocks.confirm(&BlockKind::Text, "half and more"), Some(" and more"));
        assert_eq!(blocks.confirm(&BlockKind::Text, "nothing like it"), None);
        assert_eq!(blocks.confirm(&BlockKind::Text, "other"), Some(""));
        assert_eq!(blocks.text_before(1), "halfother");
    }
}
