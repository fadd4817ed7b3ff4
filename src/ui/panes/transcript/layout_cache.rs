//! What the transcript's pane remembers between frames: outlines, rows and heights. Only memory: forgetting it changes
//! no pixel.
//!
//! The invariant: nothing here looks at all items, but when the width or a general fold setting changes, and then only
//! counts their lines.

use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::RandomState;

use super::item_parts::{ItemPart, ItemParts};
use crate::store::item_source::ItemField;
use crate::store::transcript::{ItemId, ItemKind, Items, TranscriptItem};
use crate::store::{Store, is_long_prompt};
use crate::ui::panes::item::{self, PartContext};
use crate::ui::text_layout::{BlockCache, BlockKey, BlockPlace, Heights, LaidOut, LayoutCounters, RowSource};

/// Laid-out rows kept, in bytes: several screens, whatever their size.
const MAX_CACHE_BYTES: usize = 1 << 20;
/// Rows of a folded prompt, about.
const LONG_PROMPT_ROWS: u32 = 9;
/// Outlines kept. One holds a few bytes per block of its item.
const MAX_KEPT_ITEMS: usize = 96;

/// What all rows depend on, apart from the item itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LayoutKey {
    pub(super) width: u16,
    fold_thinking: bool,
    outputs: (bool, bool, u32),
    show_targets: bool,
}

impl LayoutKey {
    pub(super) fn new(store: &Store, width: u16) -> Self {
        Self {
            width,
            fold_thinking: store.fold_thinking,
            outputs: store.outputs_stamp(),
            show_targets: store.show_link_targets,
        }
    }
}

#[derive(Debug)]
pub(super) struct LayoutCache {
    cache: BlockCache,
    pub(super) heights: Heights,
    item_parts: HashMap<ItemId, ItemParts, RandomState>,
    /// Bytes of the last item's text when its height was estimated.
    last_bytes: usize,
    /// Where the person's prompts are.
    pub(super) prompts: Vec<usize>,
    pub(super) key: LayoutKey,
    pub(super) counters: LayoutCounters,
    epoch: u64,
    /// The id of the first item, and how many items were put before it since the last frame.
    first: u64,
    pub(super) prepended: usize,
    frame: u64,
    /// The key that unfolds, as the keymap has it.
    pub(super) fold_key: String,
    /// Most columns of prose.
    pub(super) prose_columns: u16,
}

impl LayoutCache {
    pub(super) fn new() -> Self {
        Self {
            cache: BlockCache::new(MAX_CACHE_BYTES),
            heights: Heights::default(),
            item_parts: HashMap::default(),
            last_bytes: 0,
            prompts: Vec::new(),
            key: LayoutKey::default(),
            counters: LayoutCounters::default(),
            epoch: 0,
            first: 0,
            prepended: 0,
            frame: 0,
            fold_key: "Ctrl+O".into(),
            prose_columns: u16::MAX,
        }
    }

    /// Takes note of what changed since the last frame. Returns false when everything was forgotten.
    pub(super) fn sync(&mut self, store: &Store, look: LayoutKey) -> bool {
        self.frame += 1;
        let items = store.transcript.items();
        let same = self.epoch == store.transcript.epoch() && items.len() >= self.heights.len();
        if !same {
            self.epoch = store.transcript.epoch();
            self.forget();
        }
        // Earlier items were put before those that are known: numbers are taken again, what was laid out stays.
        let first = items.first().map_or(0, |item| item.id.0);
        self.prepended = if same && !self.heights.is_empty() { self.first.saturating_sub(first) as usize } else { 0 };
        self.first = first;
        if self.prepended > 0 {
            self.heights = Heights::default();
            self.prompts.clear();
        }
        if self.key != look {
            self.key = look;
            for outline in self.item_parts.values_mut() {
                outline.forget();
            }
            self.heights.rebuild(items.range(0..self.heights.len()).map(|item| estimated_rows(item.kind, look)));
        }
        for item in items.range(self.heights.len()..items.len()) {
            if matches!(item.kind, ItemKind::Prompt { .. }) {
                self.prompts.push(self.heights.len());
            }
            self.heights.push(estimated_rows(item.kind, look));
            self.last_bytes = item.kind.text().len();
        }
        self.grow_last(items);
        if self.item_parts.len() > MAX_KEPT_ITEMS {
            let frame = self.frame;
            self.item_parts.retain(|_, outline| outline.used + 1 >= frame);
        }
        same
    }

    /// Forgets everything that was laid out or measured.
    pub(super) fn forget(&mut self) {
        self.cache.clear();
        self.heights = Heights::default();
        self.item_parts.clear();
        self.prompts.clear();
    }

    pub(super) fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Returns the rows of a part and the empty rows above it.
    pub(super) fn part(&mut self, store: &Store, place: BlockPlace) -> (Rc<LaidOut>, u32) {
        let Some(item) = store.transcript.items().get(place.index) else { return Default::default() };
        self.refresh(store, item);
        let Some(outline) = self.item_parts.get_mut(&item.id) else { return Default::default() };
        let part = outline.part(place.block);
        let width = self.key.width.saturating_sub(item::indent(item.kind, self.key.width));
        let text = outline.text(item.kind.text());
        let scene = PartContext {
            store,
            item,
            text,
            part,
            width,
            definitions: outline.definitions(),
            folded: outline.folded(),
            fold_key: &self.fold_key,
            prose_columns: self.prose_columns,
        };
        let key = BlockKey { item: item.id, block: place.block, width };
        let mut laid_out = 0;
        let source = outline.hash(place.block).unwrap_or_else(|| scene.source_hash());
        let laid = self.cache.get(key, scene.stamp(source), || {
            laid_out = 1;
            scene.lay_out()
        });
        self.counters.blocks_laid_out += laid_out;
        self.counters.bytes_laid_out += laid_out * u64::from(part.end - part.start);
        let lead = if laid.rows() == 0 { 0 } else { rows_above(store, place, part) };
        let is_news = outline.measure(place.block, laid.rows() + lead);
        outline.note_hash(place.block, source);
        if is_news {
            self.heights.set(place.index, outline.rows(self.key.width));
        }
        (laid, lead)
    }

    /// Returns how many parts the item has.
    pub(super) fn parts(&mut self, store: &Store, index: usize) -> u32 {
        let Some(item) = store.transcript.items().get(index) else { return 1 };
        self.refresh(store, item);
        self.item_parts.get(&item.id).map_or(1, ItemParts::len)
    }

    /// Returns how many parts of an item that still grows will stay as they are.
    pub(super) fn finished_parts(&self, item: TranscriptItem<'_>) -> u32 {
        self.item_parts.get(&item.id).map_or(0, ItemParts::finished_len)
    }

    /// Returns the part that shows a place of the item's source, and that part's range of the source.
    pub(super) fn find_in_source(
        &mut self,
        store: &Store,
        index: usize,
        field: ItemField,
        offset: usize,
    ) -> Option<(u32, ItemPart)> {
        let item = store.transcript.items().get(index)?;
        self.refresh(store, item);
        self.item_parts.get(&item.id).map(|outline| outline.find_in_source(field, offset))
    }

    /// Returns the part that shows a place of the text that parts are ranges of.
    pub(super) fn find(
        &mut self,
        store: &Store,
        index: usize,
        field: ItemField,
        offset: usize,
    ) -> Option<(u32, ItemPart)> {
        let item = store.transcript.items().get(index)?;
        self.refresh(store, item);
        self.item_parts.get(&item.id).map(|outline| outline.find(field, offset))
    }

    /// Returns a part as it was drawn last.
    pub(super) fn peek(&self, item: TranscriptItem<'_>, block: u32) -> Option<ItemPart> {
        self.item_parts.get(&item.id).map(|outline| outline.part(block))
    }

    /// Returns the text that the item's parts are ranges of.
    pub(super) fn text<'a>(&'a self, item: TranscriptItem<'a>) -> &'a str {
        self.item_parts.get(&item.id).map_or("", |outline| outline.text(item.kind.text()))
    }

    /// Returns the range of the fenced block that a part belongs to.
    pub(super) fn fence(&self, item: TranscriptItem<'_>, block: u32) -> Option<(u32, u32)> {
        self.item_parts.get(&item.id)?.fence(block)
    }

    fn refresh(&mut self, store: &Store, item: TranscriptItem<'_>) {
        let mut before = 0;
        let outline = self
            .item_parts
            .entry(item.id)
            .and_modify(|outline| {
                before = outline.bytes_read();
                if !outline.is_current(store, item) {
                    outline.update(store, item);
                }
            })
            .or_insert_with(|| ItemParts::new(store, item));
        outline.used = self.frame;
        self.counters.bytes_split += outline.bytes_read().saturating_sub(before);
    }

    /// The last item grows mostly; its height is kept near the truth even while it isn't on screen.
    fn grow_last(&mut self, items: Items<'_>) {
        let (Some(item), Some(index)) = (items.last(), items.len().checked_sub(1)) else { return };
        let bytes = item.kind.text().len();
        if self.last_bytes != bytes {
            self.last_bytes = bytes;
            let seen = self.item_parts.get(&item.id).is_some_and(|outline| outline.used + 1 >= self.frame);
            if !seen {
                self.heights.set(index, estimated_rows(item.kind, self.key));
            }
        }
    }
}

/// The transcript as a walk sees it.
pub(super) struct TranscriptWalk<'a> {
    pub(super) cache: &'a mut LayoutCache,
    pub(super) store: &'a Store,
}

impl RowSource for TranscriptWalk<'_> {
    fn last(&mut self) -> Option<BlockPlace> {
        let index = self.store.transcript.items().len().checked_sub(1)?;
        Some(BlockPlace { index, block: self.cache.parts(self.store, index) - 1 })
    }

    fn before(&mut self, place: BlockPlace) -> Option<BlockPlace> {
        if let Some(block) = place.block.checked_sub(1) {
            return Some(BlockPlace { block, ..place });
        }
        let index = place.index.checked_sub(1)?;
        Some(BlockPlace { index, block: self.cache.parts(self.store, index) - 1 })
    }

    fn after(&mut self, place: BlockPlace) -> Option<BlockPlace> {
        if place.block + 1 < self.cache.parts(self.store, place.index) {
            return Some(BlockPlace { block: place.block + 1, ..place });
        }
        let index = place.index + 1;
        (index < self.store.transcript.items().len()).then_some(BlockPlace { index, block: 0 })
    }

    fn rows(&mut self, place: BlockPlace) -> u32 {
        let (laid, lead) = self.cache.part(self.store, place);
        laid.rows() + lead
    }
}

/// Empty rows above a part.
fn rows_above(store: &Store, place: BlockPlace, part: ItemPart) -> u32 {
    if place.block > 0 {
        return u32::from(part.gap);
    }
    let items = store.transcript.items();
    let before = place.index.checked_sub(1).and_then(|before| items.get(before));
    match (before.map(|item| item.kind), items.get(place.index).map(|item| item.kind)) {
        (None, _) => 0,
        (Some(ItemKind::Call { .. }), Some(ItemKind::Call { .. })) => 0,
        (Some(ItemKind::Notice { .. }), Some(ItemKind::Notice { .. })) => 0,
        (Some(ItemKind::Thinking { .. }), Some(ItemKind::Call { .. })) => 0,
        (Some(_), Some(ItemKind::TurnSummary { .. })) => 0,
        _ => 1,
    }
}

fn estimated_rows(kind: ItemKind<'_>, look: LayoutKey) -> u32 {
    let text = || {
        let text = kind.text();
        let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count() as u32;
        (text.len() as u32 / u32::from(look.width.max(1))).max(lines) + 1
    };
    match kind {
        ItemKind::Prompt { text } if is_long_prompt(text) => LONG_PROMPT_ROWS,
        ItemKind::Prompt { .. } | ItemKind::Answer { .. } => text() + 1,
        ItemKind::Thinking { .. } if look.fold_thinking => 2,
        ItemKind::Thinking { .. } => text() + 2,
        ItemKind::Call { .. } if look.outputs.0 => 4,
        ItemKind::Call { .. } => 12,
        ItemKind::Notice { .. } | ItemKind::Compaction { .. } | ItemKind::TurnSummary { .. } => 1,
    }
}
