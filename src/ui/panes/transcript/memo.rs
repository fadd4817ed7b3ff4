//! What the transcript's pane remembers between frames: outlines, rows and heights. Only memory: forgetting it changes
//! no pixel.
//!
//! The invariant: nothing here looks at all items, but when the width or a general fold setting changes, and then only
//! for arithmetic on numbers it has.

use std::collections::HashMap;
use std::rc::Rc;

use super::outline::{Outline, Part};
use crate::store::Store;
use crate::store::source::Field;
use crate::store::transcript::{Item, ItemId, Kind};
use crate::ui::lines::{Cache, Counters, Heights, Key, Laid, Place, Rows};
use crate::ui::panes::item::{self, Scene};

/// Laid-out rows kept, in bytes: several screens, whatever their size.
const CACHE_BYTES: usize = 1 << 20;
/// Outlines kept. One holds a few bytes per block of its item.
const OUTLINES: usize = 96;

/// What all rows depend on, apart from the item itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) width: u16,
    fold_thinking: bool,
    fold_outputs: bool,
    show_targets: bool,
}

impl Look {
    pub(super) fn new(store: &Store, width: u16) -> Self {
        Self {
            width,
            fold_thinking: store.fold_thinking,
            fold_outputs: store.fold_outputs,
            show_targets: store.show_targets,
        }
    }
}

/// What an estimate of an item's height needs.
#[derive(Clone, Copy, Debug)]
struct Shape {
    bytes: u32,
    lines: u32,
    class: Class,
}

#[derive(Clone, Copy, Debug)]
enum Class {
    Text,
    Thinking,
    Call,
    Line,
}

#[derive(Debug)]
pub(super) struct Memo {
    cache: Cache,
    pub(super) heights: Heights,
    outlines: HashMap<ItemId, Outline>,
    shapes: Vec<Shape>,
    /// Where the person's prompts are.
    pub(super) prompts: Vec<usize>,
    pub(super) look: Look,
    pub(super) counters: Counters,
    epoch: u64,
    /// The id of the first item, and how many items were put before it since the last frame.
    first: u64,
    pub(super) shifted: usize,
    frame: u64,
    /// The key that unfolds, as the keymap has it.
    pub(super) fold_key: String,
}

impl Memo {
    pub(super) fn new() -> Self {
        Self {
            cache: Cache::new(CACHE_BYTES),
            heights: Heights::default(),
            outlines: HashMap::new(),
            shapes: Vec::new(),
            prompts: Vec::new(),
            look: Look::default(),
            counters: Counters::default(),
            epoch: 0,
            first: 0,
            shifted: 0,
            frame: 0,
            fold_key: "Ctrl+O".into(),
        }
    }

    /// Takes note of what changed since the last frame. Returns false when everything was forgotten.
    pub(super) fn sync(&mut self, store: &Store, look: Look) -> bool {
        self.frame += 1;
        let items = store.transcript.items();
        let same = self.epoch == store.transcript.epoch() && items.len() >= self.shapes.len();
        if !same {
            self.epoch = store.transcript.epoch();
            self.forget();
        }
        // Earlier items were put before those that are known: numbers are taken again, what was laid out stays.
        let first = items.first().map_or(0, |item| item.id.0);
        self.shifted = if same && !self.shapes.is_empty() { self.first.saturating_sub(first) as usize } else { 0 };
        self.first = first;
        if self.shifted > 0 {
            self.heights = Heights::default();
            self.shapes.clear();
            self.prompts.clear();
        }
        if self.look != look {
            self.look = look;
            for outline in self.outlines.values_mut() {
                outline.forget();
            }
            let (shapes, look) = (&self.shapes, &self.look);
            self.heights.rebuild(shapes.iter().map(|shape| estimate(*shape, *look)));
        }
        for (index, item) in items.iter().enumerate().skip(self.shapes.len()) {
            let shape = shape(item);
            self.shapes.push(shape);
            self.heights.push(estimate(shape, look));
            if matches!(item.kind, Kind::Prompt { .. }) {
                self.prompts.push(index);
            }
        }
        self.grow_last(items);
        if self.outlines.len() > OUTLINES {
            let frame = self.frame;
            self.outlines.retain(|_, outline| outline.used + 1 >= frame);
        }
        same
    }

    /// Forgets everything that was laid out or measured.
    pub(super) fn forget(&mut self) {
        self.cache.clear();
        self.heights = Heights::default();
        self.outlines.clear();
        self.shapes.clear();
        self.prompts.clear();
    }

    pub(super) fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Returns the rows of a part and the empty rows above it.
    pub(super) fn part(&mut self, store: &Store, place: Place) -> (Rc<Laid>, u32) {
        let Some(item) = store.transcript.items().get(place.index) else { return Default::default() };
        self.refresh(store, item);
        let Some(outline) = self.outlines.get_mut(&item.id) else { return Default::default() };
        let part = outline.part(place.block);
        let width = self.look.width.saturating_sub(item::indent(&item.kind, self.look.width));
        let text = outline.text(item::text(item));
        let scene = Scene {
            store,
            item,
            text,
            part,
            width,
            definitions: outline.definitions(),
            folded: outline.folded(),
            fold_key: &self.fold_key,
        };
        let key = Key { item: item.id, block: place.block, width };
        let mut laid_out = 0;
        let source = outline.hash(place.block).unwrap_or_else(|| scene.source_hash());
        let laid = self.cache.get(key, scene.stamp(source), || {
            laid_out = 1;
            scene.lay()
        });
        self.counters.blocks_laid_out += laid_out;
        self.counters.bytes_laid_out += laid_out * u64::from(part.end - part.start);
        let lead = if laid.rows() == 0 { 0 } else { lead(store, place, part) };
        let is_news = outline.measure(place.block, laid.rows() + lead);
        outline.note_hash(place.block, source);
        if is_news {
            self.heights.set(place.index, outline.rows(self.look.width));
        }
        (laid, lead)
    }

    /// Returns how many parts the item has.
    pub(super) fn parts(&mut self, store: &Store, index: usize) -> u32 {
        let Some(item) = store.transcript.items().get(index) else { return 1 };
        self.refresh(store, item);
        self.outlines.get(&item.id).map_or(1, Outline::len)
    }

    /// Returns the part that shows a place of the item's source, and that part's range of the source.
    pub(super) fn find_whole(
        &mut self,
        store: &Store,
        index: usize,
        field: Field,
        offset: usize,
    ) -> Option<(u32, Part)> {
        let item = store.transcript.items().get(index)?;
        self.refresh(store, item);
        self.outlines.get(&item.id).map(|outline| outline.find_whole(field, offset))
    }

    /// Returns the part that shows a place of the text that parts are ranges of.
    pub(super) fn find(&mut self, store: &Store, index: usize, field: Field, offset: usize) -> Option<(u32, Part)> {
        let item = store.transcript.items().get(index)?;
        self.refresh(store, item);
        self.outlines.get(&item.id).map(|outline| outline.find(field, offset))
    }

    /// Returns a part as it was drawn last.
    pub(super) fn peek(&self, item: &Item, block: u32) -> Option<Part> {
        self.outlines.get(&item.id).map(|outline| outline.part(block))
    }

    /// Returns the text that the item's parts are ranges of.
    pub(super) fn text<'a>(&'a self, item: &'a Item) -> &'a str {
        self.outlines.get(&item.id).map_or("", |outline| outline.text(item::text(item)))
    }

    /// Returns the range of the fenced block that a part belongs to.
    pub(super) fn fence(&self, item: &Item, block: u32) -> Option<(u32, u32)> {
        self.outlines.get(&item.id)?.fence(block)
    }

    fn refresh(&mut self, store: &Store, item: &Item) {
        let mut before = 0;
        let outline = self
            .outlines
            .entry(item.id)
            .and_modify(|outline| {
                before = outline.bytes_read();
                if !outline.is_current(store, item) {
                    outline.update(store, item);
                }
            })
            .or_insert_with(|| Outline::new(store, item));
        outline.used = self.frame;
        self.counters.bytes_split += outline.bytes_read().saturating_sub(before);
    }

    /// The last item grows mostly; its height is kept near the truth even while it isn't on screen.
    fn grow_last(&mut self, items: &[Item]) {
        let (Some(item), Some(index)) = (items.last(), items.len().checked_sub(1)) else { return };
        let bytes = item::text(item).len() as u32;
        if let Some(shape) = self.shapes.get_mut(index)
            && shape.bytes != bytes
        {
            shape.bytes = bytes;
            let rows = estimate(*shape, self.look);
            let seen = self.outlines.get(&item.id).is_some_and(|outline| outline.used + 1 >= self.frame);
            if !seen {
                self.heights.set(index, rows);
            }
        }
    }
}

/// The transcript as a walk sees it.
pub(super) struct Walk<'a> {
    pub(super) memo: &'a mut Memo,
    pub(super) store: &'a Store,
}

impl Rows for Walk<'_> {
    fn last(&mut self) -> Option<Place> {
        let index = self.store.transcript.items().len().checked_sub(1)?;
        Some(Place { index, block: self.memo.parts(self.store, index) - 1 })
    }

    fn before(&mut self, place: Place) -> Option<Place> {
        if let Some(block) = place.block.checked_sub(1) {
            return Some(Place { block, ..place });
        }
        let index = place.index.checked_sub(1)?;
        Some(Place { index, block: self.memo.parts(self.store, index) - 1 })
    }

    fn after(&mut self, place: Place) -> Option<Place> {
        if place.block + 1 < self.memo.parts(self.store, place.index) {
            return Some(Place { block: place.block + 1, ..place });
        }
        let index = place.index + 1;
        (index < self.store.transcript.items().len()).then_some(Place { index, block: 0 })
    }

    fn rows(&mut self, place: Place) -> u32 {
        let (laid, lead) = self.memo.part(self.store, place);
        laid.rows() + lead
    }
}

/// Empty rows above a part.
fn lead(store: &Store, place: Place, part: Part) -> u32 {
    if place.block > 0 {
        return u32::from(part.gap);
    }
    let items = store.transcript.items();
    let before = place.index.checked_sub(1).and_then(|before| items.get(before));
    match (before.map(|item| &item.kind), items.get(place.index).map(|item| &item.kind)) {
        (None, _) => 0,
        (Some(Kind::Call { .. }), Some(Kind::Call { .. })) => 0,
        (Some(Kind::Notice { .. }), Some(Kind::Notice { .. })) => 0,
        (Some(Kind::Thinking { .. }), Some(Kind::Call { .. })) => 0,
        (Some(_), Some(Kind::Ended { .. })) => 0,
        _ => 1,
    }
}

fn shape(item: &Item) -> Shape {
    let text = item::text(item);
    let class = match &item.kind {
        Kind::Prompt { .. } | Kind::Answer { .. } => Class::Text,
        Kind::Thinking { .. } => Class::Thinking,
        Kind::Call { .. } => Class::Call,
        Kind::Notice { .. } | Kind::Ended { .. } => Class::Line,
    };
    let lines = memchr::memchr_iter(b'\n', text.as_bytes()).count() as u32;
    Shape { bytes: text.len() as u32, lines, class }
}

fn estimate(shape: Shape, look: Look) -> u32 {
    let text = (shape.bytes / u32::from(look.width.max(1))).max(shape.lines) + 1;
    match shape.class {
        Class::Text => text + 1,
        Class::Thinking if look.fold_thinking => 2,
        Class::Thinking => text + 2,
        Class::Call if look.fold_outputs => 4,
        Class::Call => 12,
        Class::Line => 1,
    }
}
