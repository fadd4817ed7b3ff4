//! The live transcript: what has been said and done, from the reader's place down.
//!
//! ```text
//!  › prompt                               ┃  selection, text, scroll bar
//!    answer, block by block               ┃
//!  ✓ shell ls -la  0.3 s
//!    │ output                  ↓ 3 new
//! ```
//!
//! Here is where it is being read, and how that place moves. `drawing.rs` draws the rows, then search marks and the
//! letters of code blocks are put on them; how an item looks is in `panes::item`. Costs, which `tests/it/work.rs` holds:
//! a frame O(rows on screen), a token the open block of its item, a resize what is visible and one addition per item.
//! The invariant: all that is remembered here could be forgotten without changing a pixel, but for the anchor and the
//! selection.

mod code_letters;
mod drawing;
mod item_parts;
mod layout_cache;
mod pointer;
mod printed;
mod search_marks;

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::action::{Action, UiAction};
use crate::store::focus;
use crate::store::outline::OutlineSubject;
use crate::store::overlay::code_picker::CodePicker;
use crate::store::pane::Pane;
use crate::store::search::Search;
use crate::store::transcript::{ItemId, ItemKind, Items};
use crate::ui::kept_rows::KeptRows;
use crate::ui::layout::Place;
use crate::ui::pane::{PaneResponse, PaneScreen, PaneView};
use crate::ui::text_layout::anchor::{self, Anchor, BlockPlace, RowSource as _};
use crate::ui::text_layout::{LayoutCounters, ScreenLinks};
use crate::ui::theme::Theme;

use super::welcome;
pub(super) use item_parts::{ItemPart, PartKind, RowLimit, hides_output, quick_hash};
use layout_cache::{LayoutCache, TranscriptWalk};
pub use printed::{LooseRow, PrintedPlace};

/// What the terminal knows about the transcript: where it is being read, and what was laid out.
#[derive(Debug)]
pub struct TranscriptView {
    cache: LayoutCache,
    anchor: Anchor,
    /// Rows still to be scrolled; resolved when drawing, since only then heights are known.
    pending_scroll: i64,
    jump: Option<Jump>,
    selected: Option<ItemId>,
    /// Items on screen that can be selected, and one more on either side.
    selectable: Vec<ItemId>,
    /// The first row of the last frame.
    top: Option<(BlockPlace, u32)>,
    height: u16,
    /// How many items there were when following ended, and the last one's revision.
    unfollowed_at: Option<(usize, u32)>,
    new_below: usize,
    /// The last place that was asked for and shown.
    shown_serial: u64,
    /// Where the reader was before the search.
    before_search: Option<Anchor>,
    /// The code blocks that have letters while one is being picked.
    code_letters: Vec<code_letters::LetteredBlock>,
    /// Where the links on the screen go.
    links: ScreenLinks,
    pointer: pointer::PointerState,
    /// What its rows show in the buffer of the last frame.
    kept: KeptRows,
    /// The next frame goes into that buffer.
    holds_last_frame: bool,
    /// What of the pictures on the screen others must know.
    #[cfg(feature = "images")]
    pub images: crate::ui::image::VisibleImages,
    /// Seconds east of Greenwich, for times of the day.
    pub utc_offset_secs: i32,
}

#[derive(Clone, Copy, Debug)]
enum Jump {
    /// The item's first row goes to the top.
    To(usize),
    /// The item has to be on screen.
    Show(ItemId),
    /// The place has to be on screen, with some rows around it where it wasn't.
    Place(focus::TranscriptPlace),
}

impl Default for TranscriptView {
    fn default() -> Self {
        Self::new()
    }
}

impl TranscriptView {
    pub fn new() -> Self {
        Self {
            cache: LayoutCache::new(),
            anchor: Anchor::Bottom,
            pending_scroll: 0,
            jump: None,
            selected: None,
            selectable: Vec::new(),
            top: None,
            height: 0,
            unfollowed_at: None,
            new_below: 0,
            shown_serial: 0,
            before_search: None,
            code_letters: Vec::new(),
            links: ScreenLinks::default(),
            pointer: pointer::PointerState::default(),
            kept: KeptRows::default(),
            holds_last_frame: false,
            #[cfg(feature = "images")]
            images: crate::ui::image::VisibleImages::default(),
            utc_offset_secs: 0,
        }
    }

    /// Says that the next frame goes into the buffer of the last one, whose rows may be kept.
    pub fn reuse_last_frame(&mut self) {
        self.holds_last_frame = true;
    }

    /// Says that something was drawn above the rows of this frame.
    pub fn forget_rows(&mut self) {
        self.kept.forget();
    }

    /// Returns which rows of a screen the last frame left as they were, and in which columns.
    pub fn unchanged_rows(&self, screen_rows: u16) -> (Range<u16>, Vec<bool>) {
        self.kept.unchanged_rows(screen_rows)
    }

    fn move_by(&mut self, action: UiAction) -> PaneResponse {
        match action {
            UiAction::ScrollUp => self.scroll(-1),
            UiAction::ScrollDown => self.scroll(1),
            UiAction::PageUp => self.page(-1),
            UiAction::PageDown => self.page(1),
            UiAction::HalfPageUp => self.half_page(-1),
            UiAction::HalfPageDown => self.half_page(1),
            UiAction::ScrollStart => self.to_start(),
            UiAction::ScrollEnd => self.to_end(),
            UiAction::PreviousPrompt => self.previous_prompt(),
            UiAction::NextPrompt => self.next_prompt(),
            UiAction::SelectUp => self.select_up(),
            UiAction::SelectDown => self.select_down(),
            _ => return PaneResponse::Ignored,
        }
        PaneResponse::Done
    }

    /// Moves by that many rows; down is positive.
    pub fn scroll(&mut self, rows: i32) {
        self.pending_scroll = self.pending_scroll.saturating_add(i64::from(rows));
    }

    /// Moves by that many screens, less two rows that stay in sight.
    pub fn page(&mut self, pages: i32) {
        let rows = i64::from(self.height.saturating_sub(2).max(1));
        self.pending_scroll = self.pending_scroll.saturating_add(rows * i64::from(pages));
    }

    pub fn half_page(&mut self, halves: i32) {
        let rows = i64::from((self.height / 2).max(1));
        self.pending_scroll = self.pending_scroll.saturating_add(rows * i64::from(halves));
    }

    pub fn to_start(&mut self) {
        self.pending_scroll = 0;
        self.jump = Some(Jump::To(0));
    }

    /// Goes to the end and follows.
    pub fn to_end(&mut self) {
        self.pending_scroll = 0;
        self.jump = None;
        self.anchor = Anchor::Bottom;
    }

    pub fn previous_prompt(&mut self) {
        let (index, within) = self.reading_position();
        let before = self.cache.prompts.partition_point(|&prompt| prompt < index + usize::from(within));
        match before.checked_sub(1).and_then(|before| self.cache.prompts.get(before)) {
            Some(&prompt) => self.jump_to(prompt),
            None => self.to_start(),
        }
    }

    /// Goes to the next prompt; past the last one to the end.
    pub fn next_prompt(&mut self) {
        let (index, _) = self.reading_position();
        let after = self.cache.prompts.partition_point(|&prompt| prompt <= index);
        match self.cache.prompts.get(after) {
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
    pub fn reading_item(&self, store: &Store) -> Option<ItemId> {
        if self.is_following() {
            return None;
        }
        let selectable = self.selectable.get(self.selectable.len().saturating_sub(2)).or(self.selectable.last());
        self.selected.or(selectable.copied()).filter(|item| store.transcript.index_of(*item).is_some())
    }

    /// Returns the source of the code block that shows this letter.
    pub fn picked_code(&mut self, store: &Store, letter: char) -> Option<String> {
        code_letters::picked_code(store, &mut self.cache, &self.code_letters, letter)
    }

    /// Returns whether a code block shows this letter.
    pub fn has_letter(&self, letter: char) -> bool {
        self.code_letters.iter().any(|block| block.letter == letter)
    }

    /// Returns whether any code block shows a letter.
    pub fn has_letters(&self) -> bool {
        !self.code_letters.is_empty()
    }

    /// Goes back to where the reader was before the search.
    pub fn return_to_search_start(&mut self) {
        if let Some(before) = self.before_search.take() {
            self.anchor = before;
            self.pending_scroll = 0;
            self.jump = None;
        }
    }

    /// Returns whether new text moves into sight by itself.
    pub fn is_following(&self) -> bool {
        self.anchor == Anchor::Bottom
            && self.pending_scroll >= 0
            && !matches!(self.jump, Some(Jump::To(_) | Jump::Place(_)))
    }

    /// Returns how many items came since following ended.
    pub fn new_below(&self) -> usize {
        self.new_below
    }

    /// Takes the marks of what the pointer selected away.
    pub fn clear_selection(&mut self) {
        if self.pointer.has_selection() {
            self.pointer.forget();
            self.kept.forget();
        }
    }

    /// Returns where the links of the last frame go.
    pub fn links(&self) -> &ScreenLinks {
        &self.links
    }

    pub fn counters(&self) -> LayoutCounters {
        self.cache.counters
    }

    /// Returns the bytes of rows that are kept.
    pub fn cached_bytes(&self) -> usize {
        self.cache.cached_bytes()
    }

    /// Names the key that unfolds outputs, for the line that says there is more. Empty where none is bound.
    pub fn set_fold_key(&mut self, key: &str) {
        if self.cache.fold_key != key {
            key.clone_into(&mut self.cache.fold_key);
            self.cache.forget();
        }
    }

    /// Prose is laid out in no more columns.
    pub fn set_prose_columns(&mut self, columns: u16) {
        if self.cache.prose_columns != columns {
            self.cache.prose_columns = columns;
            self.cache.forget();
        }
    }

    /// Forgets everything that was laid out. No pixel changes by it.
    pub fn forget(&mut self) {
        self.cache.forget();
    }

    /// So many items were put before those that were known.
    fn shift(&mut self, by: usize) {
        if let Some((then, _)) = &mut self.unfollowed_at {
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
    fn reading_position(&self) -> (usize, bool) {
        match (self.jump, self.top) {
            (Some(Jump::To(index)), _) => (index, false),
            (_, Some((place, row))) => (place.index, place.block > 0 || row > 1),
            _ => (0, false),
        }
    }

    fn jump_to(&mut self, index: usize) {
        self.pending_scroll = 0;
        self.jump = Some(Jump::To(index));
    }

    fn select(&mut self, step: impl Fn(usize, usize) -> usize) {
        let Some(last) = self.selectable.len().checked_sub(1) else { return };
        let now = self.selected.and_then(|selected| self.selectable.iter().position(|id| *id == selected));
        // Nothing selected in sight: begin at the newest in sight.
        let at = now.map_or(last, |at| step(at, last));
        self.selected = self.selectable.get(at).copied();
        self.jump = self.selected.map(Jump::Show);
    }

    /// Finds the first row of the frame, and moves the anchor there.
    fn resolve(&mut self, store: &Store, height: u32) -> Option<(BlockPlace, u32)> {
        let items = store.transcript.items();
        let mut walk = TranscriptWalk { cache: &mut self.cache, store };
        let mut moved = true;
        let mut top = match self.anchor {
            Anchor::At { item, block, row } if store.transcript.index_of(item).is_some() => {
                let index = store.transcript.index_of(item)?;
                let block = block.min(walk.cache.parts(store, index) - 1);
                let place = BlockPlace { index, block };
                (place, row.min(walk.rows(place).saturating_sub(1)))
            }
            Anchor::At { .. } | Anchor::Bottom => {
                moved = false;
                anchor::top_at_bottom(&mut walk, height)?
            }
        };
        match self.jump.take() {
            Some(Jump::To(index)) if index < items.len() => {
                let place = BlockPlace { index, block: 0 };
                let (_, lead) = walk.cache.part(store, place);
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
                        (place, row) >= top && anchor::walk_up(&mut walk, place, row, height.saturating_sub(1)) <= top;
                    if !on_screen {
                        top = anchor::walk_up(&mut walk, place, row, height / 3);
                    }
                    moved = true;
                }
            }
            _ => {}
        }
        let by = u32::try_from(self.pending_scroll.unsigned_abs()).unwrap_or(u32::MAX);
        if self.pending_scroll < 0 {
            top = anchor::walk_up(&mut walk, top.0, top.1, by);
            moved = true;
        } else if self.pending_scroll > 0 && moved {
            top = anchor::walk_down(&mut walk, top.0, top.1, by);
        }
        self.pending_scroll = 0;
        // With no row below the screen there is nothing else to hold on to: the end is followed.
        if !moved {
            self.anchor = Anchor::Bottom;
            return Some(top);
        }
        if !anchor::has_rows_below(&mut walk, top.0, top.1, height.saturating_add(1)) {
            self.anchor = Anchor::Bottom;
            return anchor::top_at_bottom(&mut walk, height);
        }
        let item = items.get(top.0.index)?;
        self.anchor = Anchor::At { item: item.id, block: top.0.block, row: top.1 };
        Some(top)
    }

    fn count_new(&mut self, items: Items<'_>) {
        if self.anchor == Anchor::Bottom {
            self.unfollowed_at = None;
            self.new_below = 0;
            return;
        }
        let last_rev = items.last().map_or(0, |item| item.rev);
        let (then, _) = *self.unfollowed_at.get_or_insert((items.len(), last_rev));
        self.new_below = items.len().saturating_sub(then);
    }

    /// Returns whether the item that was the last when following ended has grown since.
    fn has_grown(&self, items: Items<'_>) -> bool {
        self.unfollowed_at.is_some_and(|(then, rev)| {
            then.checked_sub(1).and_then(|last| items.get(last)).is_some_and(|item| item.rev != rev)
        })
    }
}

impl PaneView for TranscriptView {
    fn pane(&self) -> Option<Pane> {
        Some(Pane::Transcript)
    }

    fn place(&mut self, _screen: &PaneScreen<'_>) -> Place {
        Place::Main
    }

    fn draw(&mut self, screen: &PaneScreen<'_>, area: Rect, buf: &mut Buffer) -> Option<(u16, u16)> {
        let PaneScreen { store, key_hints, theme, .. } = *screen;
        if store.transcript.is_untouched() {
            self.kept.forget();
            welcome::draw(store, key_hints, theme, area, buf);
        } else if !area.is_empty() {
            let among_matches = store.focus.find::<Search>().is_some_and(|search| !search.is_typing);
            draw(store, self, &theme, among_matches || screen.has_keys(Pane::Transcript), area, buf);
        } else {
            // What covers it leaves nothing of its rows.
            self.kept.forget();
        }
        None
    }

    fn handle(&mut self, store: &Store, action: UiAction) -> PaneResponse {
        let selected = self.selected.map(|item| item.0);
        let reading = || self.reading_item(store).map(|item| item.0);
        let told = match action {
            UiAction::FoldSelected => selected.map(Action::ToggleFold),
            UiAction::CopySelected => selected.map(Action::CopyItem),
            UiAction::RawSelected => Some(Action::OpenRaw { item: selected }),
            UiAction::LinksSelected => Some(Action::OpenLinks { item: selected }),
            UiAction::Search => Some(Action::OpenSearch { from: reading(), query: None }),
            UiAction::SearchAgain => {
                let query = Some(store.focus.last_query.clone()).filter(|query| !query.is_empty());
                Some(Action::OpenSearch { from: reading(), query })
            }
            UiAction::MarkSelected => selected.map(|item| Action::ToggleMark { item: Some(item) }),
            UiAction::UndoSelected => selected.map(|item| Action::UndoCompaction { item: Some(item) }),
            UiAction::CopySelectedLink => selected.map(|item| Action::CopyLink { item: Some(item) }),
            UiAction::Outline => Some(Action::OpenOutline { subject: OutlineSubject::Everything, from: reading() }),
            action => return self.move_by(action),
        };
        told.into()
    }

    fn press(&mut self, _store: &Store, at: (u16, u16)) {
        self.press_at(at);
    }

    fn drag(&mut self, _store: &Store, at: (u16, u16)) -> bool {
        self.drag_to(at);
        self.pointer.has_selection()
    }

    fn release(&mut self, store: &Store, at: (u16, u16)) -> Option<Action> {
        self.release_at(store, at)
    }

    fn has_effect(&self, store: &Store, action: UiAction) -> bool {
        match action {
            UiAction::CopySelected | UiAction::CopySelectedLink | UiAction::MarkSelected => self.selected.is_some(),
            UiAction::UndoSelected => {
                let item = self.selected.and_then(|item| store.transcript.item(item));
                matches!(item.map(|item| item.kind), Some(ItemKind::Compaction { is_undone: false, .. }))
            }
            UiAction::SearchAgain => !store.focus.last_query.is_empty(),
            _ => true,
        }
    }
}

/// Draws the transcript into an area that is empty so far.
pub fn draw(store: &Store, view: &mut TranscriptView, theme: &Theme, focused: bool, area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let holds_last_frame = std::mem::take(&mut view.holds_last_frame);
    if view.pointer.has_selection() {
        view.kept.forget();
    }
    let Some(frame) = drawing::draw_rows(store, view, *theme, focused, holds_last_frame, area, buf) else { return };
    if store.focus.find::<Search>().is_some() || store.focus.top_as::<CodePicker>().is_some() {
        view.kept.forget();
    }
    for strip in &frame.strips {
        search_marks::draw(store, strip, &mut view.cache, *theme, buf);
    }
    if store.focus.top_as::<CodePicker>().is_some() {
        code_letters::draw(store, &view.cache, &frame.strips, &mut view.code_letters, *theme, buf);
    } else {
        view.code_letters.clear();
    }
    view.pointer.note_frame(store, frame.strips, area);
    if view.pointer.has_selection() {
        view.pointer.draw(store, *theme, buf);
        view.kept.forget();
    }
    drawing::draw_new_marker(view, store.transcript.items(), *theme, area, buf);
}

/// Moves the first row as little as needed to have an item on screen; of a long one its beginning.
fn show(
    walk: &mut TranscriptWalk<'_>,
    store: &Store,
    index: usize,
    top: (BlockPlace, u32),
    height: u32,
) -> (BlockPlace, u32) {
    let first = BlockPlace { index, block: 0 };
    if (first, 1) <= top {
        return (first, 0);
    }
    let last = BlockPlace { index, block: walk.cache.parts(store, index) - 1 };
    let from_end = anchor::up_from_end(walk, last, height);
    from_end.max(top).min((first, 0).max(top))
}

/// Returns the row that shows a place of an item's source.
fn find(walk: &mut TranscriptWalk<'_>, store: &Store, wanted: focus::TranscriptPlace) -> Option<(BlockPlace, u32)> {
    let index = store.transcript.index_of(wanted.item?)?;
    walk.cache.parts(store, index);
    let (block, part) = walk.cache.find_in_source(store, index, wanted.field, wanted.offset)?;
    let place = BlockPlace { index, block };
    let (laid, lead) = walk.cache.part(store, place);
    let row = search_marks::match_at(store, &laid, part, wanted).map(|(row, _)| row);
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
