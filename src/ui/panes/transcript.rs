//! The live transcript: what has been said and done, from the reader's place down.
//!
//! ```text
//!  › prompt                               ┃  selection, text, scroll bar
//!    answer, block by block               ┃
//!  ✓ shell ls -la  0.3 s
//!    │ output                  ↓ 3 new
//! ```
//!
//! Here is where it is being read, and how that place moves; drawing is in `drawing.rs`, how an item looks in
//! `panes::item`. Costs, which `tests/it/work.rs` holds: a frame O(rows on screen), a token the open block
//! of its item, a resize what is visible and one addition per item. The invariant: all that is remembered here could be
//! forgotten without changing a pixel, but for the anchor and the selection.

mod blocks;
mod drawing;
mod found;
mod memo;
mod outline;

use crate::store::Store;
use crate::store::focus;
use crate::store::transcript::{Item, ItemId};
use crate::ui::lines::anchor::{self, Anchor, Place, Rows as _};
use crate::ui::lines::{Counters, Links};

pub use drawing::draw;
use memo::{Memo, Walk};
pub(super) use outline::{Part, PartKind, Rows, hash};

/// What the terminal knows about the transcript: where it is being read, and what was laid out.
#[derive(Debug)]
pub struct TranscriptView {
    memo: Memo,
    anchor: Anchor,
    /// Rows still to be scrolled; resolved when drawing, since only then heights are known.
    pending: i64,
    jump: Option<Jump>,
    selected: Option<ItemId>,
    /// Items on screen that can be selected, and one more on either side.
    near: Vec<ItemId>,
    /// The first row of the last frame.
    top: Option<(Place, u32)>,
    height: u16,
    /// How many items there were when following ended, and the last one's revision.
    left_at: Option<(usize, u32)>,
    new_below: usize,
    /// The last place that was asked for and shown.
    shown: u64,
    /// Where the reader was before the search.
    before: Option<Anchor>,
    /// The code blocks that have letters while one is being picked.
    letters: Vec<blocks::Lettered>,
    /// Where the links on the screen go.
    links: Links,
    /// What of the pictures on the screen others must know.
    #[cfg(feature = "images")]
    pub images: crate::ui::image::OnScreen,
    /// Seconds east of Greenwich, for times of the day.
    pub zone: i32,
}

#[derive(Clone, Copy, Debug)]
enum Jump {
    /// The item's first row goes to the top.
    To(usize),
    /// The item has to be on screen.
    Show(ItemId),
    /// The place has to be on screen, with some rows around it where it wasn't.
    Place(focus::Place),
}

impl Default for TranscriptView {
    fn default() -> Self {
        Self::new()
    }
}

impl TranscriptView {
    pub fn new() -> Self {
        Self {
            memo: Memo::new(),
            anchor: Anchor::Bottom,
            pending: 0,
            jump: None,
            selected: None,
            near: Vec::new(),
            top: None,
            height: 0,
            left_at: None,
            new_below: 0,
            shown: 0,
            before: None,
            letters: Vec::new(),
            links: Links::default(),
            #[cfg(feature = "images")]
            images: crate::ui::image::OnScreen::default(),
            zone: 0,
        }
    }

    /// Moves by that many rows; down is positive.
    pub fn scroll(&mut self, rows: i32) {
        self.pending = self.pending.saturating_add(i64::from(rows));
    }

    /// Moves by that many screens, less two rows that stay in sight.
    pub fn page(&mut self, pages: i32) {
        let rows = i64::from(self.height.saturating_sub(2).max(1));
        self.pending = self.pending.saturating_add(rows * i64::from(pages));
    }

    pub fn half_page(&mut self, halves: i32) {
        let rows = i64::from((self.height / 2).max(1));
        self.pending = self.pending.saturating_add(rows * i64::from(halves));
    }

    pub fn to_start(&mut self) {
        self.pending = 0;
        self.jump = Some(Jump::To(0));
    }

    /// Goes to the end and follows.
    pub fn to_end(&mut self) {
        self.pending = 0;
        self.jump = None;
        self.anchor = Anchor::Bottom;
    }

    pub fn previous_prompt(&mut self) {
        let (index, within) = self.reading();
        let before = self.memo.prompts.partition_point(|&prompt| prompt < index + usize::from(within));
        match before.checked_sub(1).and_then(|before| self.memo.prompts.get(before)) {
            Some(&prompt) => self.jump_to(prompt),
            None => self.to_start(),
        }
    }

    /// Goes to the next prompt; past the last one to the end.
    pub fn next_prompt(&mut self) {
        let (index, _) = self.reading();
        let after = self.memo.prompts.partition_point(|&prompt| prompt <= index);
        match self.memo.prompts.get(after) {
            Some(&prompt) => self.jump_to(prompt),
            None => self.to_end(),
        }
    }

    pub fn select_up(&mut self) {
        self.select(|at, _| at.saturating_sub(1));
    }

    pub fn select_down(&mut self) {
        self.select(|at, last| (at + 1).min(last));
    }

    pub fn selected(&self) -> Option<ItemId> {
        self.selected
    }

    /// Returns the item at the lower end of the screen; none at the end of all.
    pub fn reads(&self, store: &Store) -> Option<ItemId> {
        if self.is_following() {
            return None;
        }
        let selectable = self.near.get(self.near.len().saturating_sub(2)).or(self.near.last());
        self.selected.or(selectable.copied()).filter(|item| store.transcript.index_of(*item).is_some())
    }

    /// Returns the source of the code block that shows this letter.
    pub fn pick(&mut self, store: &Store, letter: char) -> Option<String> {
        blocks::pick(store, &mut self.memo, &self.letters, letter)
    }

    /// Returns whether a code block shows this letter.
    pub fn has_letter(&self, letter: char) -> bool {
        self.letters.iter().any(|block| block.letter == letter)
    }

    /// Returns whether any code block shows a letter.
    pub fn has_letters(&self) -> bool {
        !self.letters.is_empty()
    }

    /// Goes back to where the reader was before the search.
    pub fn go_back(&mut self) {
        if let Some(before) = self.before.take() {
            self.anchor = before;
            self.pending = 0;
            self.jump = None;
        }
    }

    /// Returns whether new text moves into sight by itself.
    pub fn is_following(&self) -> bool {
        self.anchor == Anchor::Bottom && self.pending >= 0 && !matches!(self.jump, Some(Jump::To(_) | Jump::Place(_)))
    }

    /// Returns how many items came since following ended.
    pub fn new_below(&self) -> usize {
        self.new_below
    }

    /// Returns where the links of the last frame go.
    pub fn links(&self) -> &Links {
        &self.links
    }

    pub fn counters(&self) -> Counters {
        self.memo.counters
    }

    /// Returns the bytes of rows that are kept.
    pub fn cached_bytes(&self) -> usize {
        self.memo.cached_bytes()
    }

    /// Names the key that unfolds outputs, for the line that says there is more. Empty where none is bound.
    pub fn set_fold_key(&mut self, key: &str) {
        if self.memo.fold_key != key {
            key.clone_into(&mut self.memo.fold_key);
            self.memo.forget();
        }
    }

    /// Forgets everything that was laid out. No pixel changes by it.
    pub fn forget(&mut self) {
        self.memo.forget();
    }

    /// So many items were put before those that were known.
    fn shift(&mut self, by: usize) {
        if let Some((then, _)) = &mut self.left_at {
            *then += by;
        }
        if let Some((place, _)) = &mut self.top {
            place.index += by;
        }
        if let Some(Jump::To(index)) = &mut self.jump {
            *index += by;
        }
    }

    /// Where the next jump starts from: the item, and whether its first rows are above the screen.
    fn reading(&self) -> (usize, bool) {
        match (self.jump, self.top) {
            (Some(Jump::To(index)), _) => (index, false),
            (_, Some((place, row))) => (place.index, place.block > 0 || row > 1),
            _ => (0, false),
        }
    }

    fn jump_to(&mut self, index: usize) {
        self.pending = 0;
        self.jump = Some(Jump::To(index));
    }

    fn select(&mut self, step: impl Fn(usize, usize) -> usize) {
        let Some(last) = self.near.len().checked_sub(1) else { return };
        let now = self.selected.and_then(|selected| self.near.iter().position(|id| *id == selected));
        // Nothing selected in sight: begin at the newest in sight.
        let at = now.map_or(last, |at| step(at, last));
        self.selected = self.near.get(at).copied();
        self.jump = self.selected.map(Jump::Show);
    }

    /// Finds the first row of the frame, and moves the anchor there.
    fn resolve(&mut self, store: &Store, height: u32) -> Option<(Place, u32)> {
        let items = store.transcript.items();
        let mut walk = Walk { memo: &mut self.memo, store };
        let mut moved = true;
        let mut top = match self.anchor {
            Anchor::At { item, block, row } if store.transcript.index_of(item).is_some() => {
                let index = store.transcript.index_of(item)?;
                let block = block.min(walk.memo.parts(store, index) - 1);
                let place = Place { index, block };
                (place, row.min(walk.rows(place).saturating_sub(1)))
            }
            Anchor::At { .. } | Anchor::Bottom => {
                moved = false;
                anchor::top_of_bottom(&mut walk, height)?
            }
        };
        match self.jump.take() {
            Some(Jump::To(index)) if index < items.len() => {
                let place = Place { index, block: 0 };
                let (_, lead) = walk.memo.part(store, place);
                top = (place, lead);
                moved = true;
            }
            Some(Jump::Show(id)) => {
                if let Some(index) = store.transcript.index_of(id) {
                    let shown = show(&mut walk, store, index, top, height);
                    moved |= shown != top;
                    top = shown;
                }
            }
            Some(Jump::Place(wanted)) => {
                if let Some((place, row)) = find(&mut walk, store, wanted) {
                    // From the last row of the screen up, the place is on it; from the first row down likewise.
                    let on_screen =
                        (place, row) >= top && anchor::up(&mut walk, place, row, height.saturating_sub(1)) <= top;
                    if !on_screen {
                        top = anchor::up(&mut walk, place, row, height / 3);
                    }
                    moved = true;
                }
            }
            _ => {}
        }
        let by = u32::try_from(self.pending.unsigned_abs()).unwrap_or(u32::MAX);
        if self.pending < 0 {
            top = anchor::up(&mut walk, top.0, top.1, by);
            moved = true;
        } else if self.pending > 0 && moved {
            top = anchor::down(&mut walk, top.0, top.1, by);
        }
        self.pending = 0;
        // With no row below the screen there is nothing else to hold on to: the end is followed.
        if !moved {
            self.anchor = Anchor::Bottom;
            return Some(top);
        }
        if !anchor::reaches(&mut walk, top.0, top.1, height.saturating_add(1)) {
            self.anchor = Anchor::Bottom;
            return anchor::top_of_bottom(&mut walk, height);
        }
        let item = items.get(top.0.index)?;
        self.anchor = Anchor::At { item: item.id, block: top.0.block, row: top.1 };
        Some(top)
    }

    fn count_new(&mut self, items: &[Item]) {
        if self.anchor == Anchor::Bottom {
            self.left_at = None;
            self.new_below = 0;
            return;
        }
        let last_rev = items.last().map_or(0, |item| item.rev);
        let (then, _) = *self.left_at.get_or_insert((items.len(), last_rev));
        self.new_below = items.len().saturating_sub(then);
    }

    /// Returns whether the item that was the last when following ended has grown since.
    fn has_grown(&self, items: &[Item]) -> bool {
        self.left_at.is_some_and(|(then, rev)| {
            then.checked_sub(1).and_then(|last| items.get(last)).is_some_and(|item| item.rev != rev)
        })
    }
}

/// Moves the first row as little as needed to have an item on screen; of a long one its beginning.
fn show(walk: &mut Walk<'_>, store: &Store, index: usize, top: (Place, u32), height: u32) -> (Place, u32) {
    let first = Place { index, block: 0 };
    if (first, 1) <= top {
        return (first, 0);
    }
    let last = Place { index, block: walk.memo.parts(store, index) - 1 };
    let from_end = anchor::up_from_end(walk, last, height);
    from_end.max(top).min((first, 0).max(top))
}

/// Returns the row that shows a place of an item's source.
fn find(walk: &mut Walk<'_>, store: &Store, wanted: focus::Place) -> Option<(Place, u32)> {
    let index = store.transcript.index_of(wanted.item?)?;
    walk.memo.parts(store, index);
    let (block, part) = walk.memo.find_whole(store, index, wanted.field, wanted.offset)?;
    let place = Place { index, block };
    let (laid, lead) = walk.memo.part(store, place);
    let row = found::match_at(store, &laid, part, wanted).map(|(row, _)| row);
    let guess = || {
        let length = part.end.saturating_sub(part.start).max(1);
        let within = (wanted.offset as u32).saturating_sub(part.start).min(length);
        (u64::from(laid.rows()) * u64::from(within) / u64::from(length)) as u32
    };
    let row = row.unwrap_or_else(guess).min(laid.rows().saturating_sub(1));
    Some((place, lead + row))
}

#[cfg(test)]
mod tests;
