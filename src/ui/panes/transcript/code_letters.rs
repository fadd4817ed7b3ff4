//! Letters on the code blocks that are on the screen, so that one can be copied with a key.
//!
//! A letter keeps its block while the letters are shown, whatever streams in. Not for copying itself. Cost: the parts
//! on the screen, and only while letters are shown.

use ratatui::buffer::Buffer;

use super::drawing::Strip;
use super::item_parts::{ItemPart, PartKind};
use super::layout_cache::LayoutCache;
use crate::store::Store;
use crate::store::item_source::ItemField;
use crate::store::transcript::{ItemId, TranscriptItem};
use crate::text::data_url::restore_payloads;
use crate::text::width::str_width;
use crate::ui::markdown::BlockKind;
use crate::ui::markdown::code_blocks::code_blocks;
use crate::ui::text_layout::laid_out::draw_text;
use crate::ui::theme::{Role, Theme};

/// Letters, the easiest first; enough for any screen.
const BLOCK_LETTERS: &str = "asdfghjklqwertyuiopzxcvbnmASDFGHJKLQWERTYUIOPZXCVBNM";

/// A code block that has a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LetteredBlock {
    pub(super) letter: char,
    item: ItemId,
    /// Where it begins in the item's text.
    start: u32,
}

/// A code block on the screen.
struct VisibleBlock {
    item: ItemId,
    start: u32,
    row: u16,
    /// The column behind the row's text.
    after: u16,
}

/// Draws the letters beside the blocks that are on these strips.
pub(super) fn draw(
    store: &Store,
    memo: &LayoutCache,
    strips: &[Strip],
    letters: &mut Vec<LetteredBlock>,
    theme: Theme,
    buf: &mut Buffer,
) {
    let items = store.transcript.items();
    let mut seen: Vec<VisibleBlock> = Vec::new();
    for strip in strips {
        let Some(item) = items.get(strip.index) else { continue };
        for (start, row) in starts(memo, item, strip) {
            if seen.iter().all(|seen| (seen.item, seen.start) != (item.id, start)) {
                let shown = row.saturating_add(strip.rows_above).max(strip.part_row);
                if shown >= strip.part_row + u32::from(strip.rows) {
                    continue;
                }
                let text = strip.laid.row_text(shown.saturating_sub(strip.rows_above));
                let after = strip.area.x.saturating_add(str_width(text) as u16 + 1);
                seen.push(VisibleBlock {
                    item: item.id,
                    start,
                    row: strip.area.y + (shown - strip.part_row) as u16,
                    after,
                });
            }
        }
    }
    // The nearest to the composer gets the easiest letter.
    for block in seen.iter().rev() {
        let known = letters.iter().any(|known| (known.item, known.start) == (block.item, block.start));
        if !known && let Some(letter) = BLOCK_LETTERS.chars().nth(letters.len()) {
            letters.push(LetteredBlock { letter, item: block.item, start: block.start });
        }
    }
    for block in seen {
        let known = letters.iter().find(|known| (known.item, known.start) == (block.item, block.start));
        if let Some(known) = known {
            let end = buf.area.right();
            let x = block.after.min(end.saturating_sub(4));
            draw_text(&format!(" {} ", known.letter), x, block.row, end, theme.style(Role::CurrentMatch), buf);
        }
    }
}

/// Returns where the code blocks that are on a strip begin in the item's text, and on which row of the part.
fn starts(memo: &LayoutCache, item: TranscriptItem<'_>, strip: &Strip) -> Vec<(u32, u32)> {
    let Some(part) = memo.peek(item, strip.block) else { return Vec::new() };
    match part.kind {
        PartKind::Markdown(BlockKind::Code { .. }) => {
            memo.fence(item, strip.block).map(|(start, _)| (start, 0)).into_iter().collect()
        }
        PartKind::Markdown(BlockKind::Paragraphs | BlockKind::Item { .. }) => nested(part, memo.text(item), strip),
        _ => Vec::new(),
    }
}

/// Blocks inside a list or a quote: their row is the one that shows their first line.
fn nested(part: ItemPart, text: &str, strip: &Strip) -> Vec<(u32, u32)> {
    let mut from = 0;
    let mut found = Vec::new();
    for code in code_blocks(part.source(text)) {
        let first = code.text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").trim();
        let head: String = first.chars().take(12).collect();
        let row = (from..strip.laid.rows()).find(|row| strip.laid.row_text(*row).contains(&head));
        if let Some(row) = row {
            from = row + 1;
            found.push((part.start + code.start as u32, row));
        }
    }
    found
}

/// Returns the source of the block that has this letter.
pub(super) fn picked_code(
    store: &Store,
    memo: &mut LayoutCache,
    letters: &[LetteredBlock],
    letter: char,
) -> Option<String> {
    let block = letters.iter().find(|known| known.letter == letter)?;
    let item = store.transcript.item(block.item)?;
    let index = store.transcript.index_of(block.item)?;
    let (place, part) = memo.find(store, index, ItemField::Text, block.start as usize)?;
    let (start, end) = memo.fence(item, place).unwrap_or((part.start, part.end));
    let text = memo.text(item);
    let source = text.get(start as usize..end as usize)?;
    let code = code_blocks(source).into_iter().find(|code| start + code.start as u32 >= block.start)?;
    Some(restore_payloads(&code.text, item.kind.text()))
}
