//! The live transcript: what has been said and done, from the reader's place down.
//!
//! ```text
//!  › prompt                               ┃  selection, text, scroll bar
//!    answer, block by block               ┃
//!  ✓ shell ls -la  0.3 s
//!    │ output                  ↓ 3 new
//! ```
//!
//! Not for how an item looks. Costs, which `tests/it/work.rs` holds: a frame O(rows on screen), a token the open block
//! of its item, a resize what is visible and one addition per item. The invariant: all that is remembered here could be
//! forgotten without changing a pixel, but for the anchor and the selection.

mod blocks;
mod found;
mod memo;
mod outline;

use std::rc::Rc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::Store;
use crate::store::focus::{self, Overlay};
use crate::store::source::field;
use crate::store::transcript::{Item, ItemId, Kind};
use crate::text::width::str_width;
use crate::ui::lines::anchor::{self, Anchor, Place, Rows};
use crate::ui::lines::laid::{Laid, draw_text};
use crate::ui::lines::{Counters, Links};
use crate::ui::paint::restyle;
use crate::ui::panes::item;
use crate::ui::theme::{Role, Theme};

use memo::{Look, Memo, Walk};
pub(super) use outline::{Part, PartKind, hash};

/// Narrower than this there is no room for a margin.
const MARGIN_FROM: u16 = 24;

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

    pub fn clear_selection(&mut self) {
        self.selected = None;
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
    let (block, part) = walk.memo.find(store, index, wanted.field, wanted.offset)?;
    let place = Place { index, block };
    let (laid, lead) = walk.memo.part(store, place);
    let row = match_at(store, &laid, part, wanted).map(|(row, _)| row);
    let guess = || {
        let length = part.end.saturating_sub(part.start).max(1);
        let within = (wanted.offset as u32).saturating_sub(part.start).min(length);
        (u64::from(laid.rows()) * u64::from(within) / u64::from(length)) as u32
    };
    let row = row.unwrap_or_else(guess).min(laid.rows().saturating_sub(1));
    Some((place, lead + row))
}

/// Returns the row of the match at a place, and which of the matches on the part's rows it is: the one with as many
/// before it as in the source, since the rows may show less than the source has.
fn match_at(store: &Store, laid: &Laid, part: Part, wanted: focus::Place) -> Option<(u32, usize)> {
    let matcher = store.focus.search()?.matcher()?;
    let item = store.transcript.item(wanted.item?)?;
    let text = field(item, &store.tools, wanted.field);
    let start = text.floor_char_boundary(part.start as usize);
    let before = text.get(start..text.floor_char_boundary(wanted.offset)).unwrap_or("");
    let before = matcher.matches(before).len();
    let marks = found::marks(laid, matcher, 0..laid.rows());
    let last = marks.last()?.nth;
    let nth = before.min(last);
    marks.iter().find(|mark| mark.nth == nth).map(|mark| (mark.row, nth))
}

/// A piece of the screen: some rows of one part.
struct Strip {
    index: usize,
    part_row: u32,
    rows: u16,
    lead: u32,
    laid: Rc<Laid>,
    block: u32,
    is_head: bool,
}

/// Draws the transcript into an area that is empty so far.
pub fn draw(store: &Store, view: &mut TranscriptView, theme: &Theme, focused: bool, area: Rect, buf: &mut Buffer) {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return;
    }
    let margins = area.width >= MARGIN_FROM;
    let (left, right) = if margins { (1, 2) } else { (0, 0) };
    let width = area.width - left - right;
    view.height = area.height;
    if !view.memo.sync(store, Look::new(store, width)) {
        view.anchor = Anchor::Bottom;
        view.before = None;
        view.jump = None;
        view.selected = None;
        view.left_at = None;
    }
    view.shift(view.memo.shifted);
    let wanted = store.focus.place;
    if store.focus.search().is_none() {
        view.before = None;
    } else if view.before.is_none() {
        view.before = Some(view.anchor);
    }
    if wanted.nth != view.shown {
        view.shown = wanted.nth;
        view.pending = 0;
        view.jump = Some(Jump::Place(wanted));
        view.selected = wanted.item;
    }
    let items = store.transcript.items();
    let top = view.resolve(store, u32::from(area.height));
    view.top = top;
    view.count_new(items);
    view.links.clear();
    let Some(top) = top else {
        view.near.clear();
        return;
    };
    let mut strips = collect(store, &mut view.memo, top, area.height);
    note_near(view, items, &strips);
    for strip in &strips {
        strip.laid.note_links(&mut view.links);
    }

    let mut y = area.top();
    let x = area.left() + left;
    for strip in &strips {
        let Some(item) = items.get(strip.index) else { continue };
        let indent = item::indent(&item.kind, width);
        let marked = focused && margins && view.selected == Some(item.id);
        let top = y;
        for step in 0..strip.rows {
            let row = strip.part_row + u32::from(step);
            if let Some(row) = row.checked_sub(strip.lead) {
                strip.laid.draw_row(row, x + indent, y, width - indent, *theme, buf);
                if row == 0 && strip.is_head {
                    draw_live(store, item, &strip.laid, Rect { x, y, width, height: 1 }, *theme, buf);
                    if let Some(time) = item::time(store, item, view.zone) {
                        let used = indent + str_width(strip.laid.row_text(0)) as u16;
                        let above = y > area.top() && strip.lead > 0;
                        draw_time(&time, used, above, Rect { x, y, width, height: 1 }, *theme, buf);
                    }
                }
                if marked {
                    draw_text("▌", area.left(), y, x, theme.style(Role::Accent), buf);
                }
                view.memo.counters.rows_written += 1;
            }
            y += 1;
        }
        let area = Rect { x: x + indent, y: top, width: width - indent, height: strip.rows };
        draw_found(store, strip, item, &mut view.memo, area, *theme, buf);
    }
    if matches!(store.focus.top(), Some(Overlay::Blocks)) {
        let mut y = area.top();
        let mut placed = Vec::new();
        for strip in strips.drain(..) {
            let indent = items.get(strip.index).map_or(0, |item| item::indent(&item.kind, width));
            let place = Rect { x: x + indent, y, width: width - indent, height: strip.rows };
            y += strip.rows;
            placed.push((strip, place));
        }
        blocks::draw(store, &view.memo, &placed, &mut view.letters, *theme, buf);
    } else {
        view.letters.clear();
    }
    if margins {
        draw_scroll_bar(store, view, top, area, *theme, buf);
    }
    draw_new_marker(view, items, area, *theme, buf);
}

/// Walks down from the first row until the screen is full.
fn collect(store: &Store, memo: &mut Memo, top: (Place, u32), height: u16) -> Vec<Strip> {
    let mut strips = Vec::new();
    let (mut place, mut skip) = top;
    let mut left = height;
    loop {
        let (laid, lead) = memo.part(store, place);
        let rows = (laid.rows() + lead).saturating_sub(skip).min(u32::from(left)) as u16;
        if rows > 0 {
            strips.push(Strip {
                index: place.index,
                part_row: skip,
                rows,
                lead,
                laid,
                block: place.block,
                is_head: place.block == 0,
            });
        }
        left -= rows;
        skip = 0;
        let mut walk = Walk { memo, store };
        match walk.after(place) {
            Some(after) if left > 0 => place = after,
            _ => return strips,
        }
    }
}

fn note_near(view: &mut TranscriptView, items: &[Item], strips: &[Strip]) {
    view.near.clear();
    let (Some(first), Some(last)) = (strips.first(), strips.last()) else { return };
    let selectable = |item: &&Item| !matches!(item.kind, Kind::Ended { .. });
    let before = items.get(..first.index).and_then(|before| before.iter().rev().take(8).find(selectable));
    let after = items.get(last.index + 1..).and_then(|after| after.iter().take(8).find(selectable));
    let on_screen = items.get(first.index..=last.index).unwrap_or(&[]).iter().filter(selectable);
    view.near.extend(before.into_iter().chain(on_screen).chain(after).map(|item| item.id));
}

/// Writes a time at the right of a row that has room for it, else of the empty row above.
fn draw_time(time: &str, used: u16, above: bool, row: Rect, theme: Theme, buf: &mut Buffer) {
    let width = str_width(time) as u16;
    // Running times stand behind the text of their row.
    let fits = used.saturating_add(width + 10) <= row.width;
    let y = match (fits, above) {
        (true, _) => row.y,
        (false, true) if width <= row.width => row.y - 1,
        (false, _) => return,
    };
    draw_text(time, row.right() - width, y, row.right(), theme.style(Role::Dim), buf);
}

fn draw_live(store: &Store, item: &Item, laid: &Laid, row: Rect, theme: Theme, buf: &mut Buffer) {
    let Some(live) = item::live(store, item) else { return };
    let end = row.right();
    draw_text(live.glyph, row.x, row.y, end, theme.style(Role::Accent), buf);
    if let Some(time) = live.time {
        let used = str_width(laid.row_text(0)) as u16;
        draw_text(&time, row.x.saturating_add(used + 2), row.y, end, theme.style(Role::Dim), buf);
    }
}

/// Marks what the search found on the rows of a strip. Looks at one row more on either side: a match may begin there.
fn draw_found(store: &Store, strip: &Strip, item: &Item, memo: &mut Memo, area: Rect, theme: Theme, buf: &mut Buffer) {
    let Some(search) = store.focus.search() else { return };
    let Some(matcher) = search.matcher() else { return };
    let first = strip.part_row.saturating_sub(strip.lead);
    let last = (strip.part_row + u32::from(strip.rows)).saturating_sub(strip.lead);
    let marks = found::marks(&strip.laid, matcher, first.saturating_sub(1)..(last + 1).min(strip.laid.rows()));
    if marks.is_empty() {
        return;
    }
    let place = store.focus.place;
    let here = (search.current_item() == Some(item.id) && place.item == Some(item.id))
        .then(|| memo.find(store, strip.index, place.field, place.offset))
        .flatten()
        .filter(|(block, _)| *block == strip.block)
        .and_then(|(_, part)| match_at(store, &strip.laid, part, place));
    let here: Vec<(u32, u16)> = here.map_or_else(Vec::new, |(_, nth)| {
        let all = found::marks(&strip.laid, matcher, 0..strip.laid.rows());
        all.iter().filter(|mark| mark.nth == nth).map(|mark| (mark.row, mark.start)).collect()
    });
    for mark in marks {
        if mark.row < first || mark.row >= last {
            continue;
        }
        let y = area.y + (mark.row + strip.lead - strip.part_row) as u16;
        let x = area.x.saturating_add(mark.start);
        let end = area.x.saturating_add(mark.end).min(area.right());
        let role = if here.contains(&(mark.row, mark.start)) { Role::FoundHere } else { Role::Found };
        restyle(Rect { x, y, width: end.saturating_sub(x), height: 1 }, theme.style(role), buf);
    }
}

/// Draws where the screen is in the whole, by what is known and guessed of its height.
fn draw_scroll_bar(
    store: &Store,
    view: &mut TranscriptView,
    top: (Place, u32),
    area: Rect,
    theme: Theme,
    buf: &mut Buffer,
) {
    let height = u64::from(area.height);
    let total = view.memo.heights.total().max(1);
    let start = if view.anchor == Anchor::Bottom {
        total.saturating_sub(height)
    } else {
        let parts = u64::from(view.memo.parts(store, top.0.index)).max(1);
        let within = u64::from(view.memo.heights.get(top.0.index)) * u64::from(top.0.block) / parts;
        view.memo.heights.prefix(top.0.index) + within + u64::from(top.1)
    };
    if total <= height || (view.anchor == Anchor::Bottom && top == (Place { index: 0, block: 0 }, 0)) {
        return;
    }
    let size = (height * height / total).clamp(1, height);
    let free = height - size;
    let at = (start * free / total.saturating_sub(height).max(1)).min(free);
    let x = area.right() - 1;
    for row in at..at + size {
        draw_text("┃", x, area.top() + row as u16, area.right(), theme.style(Role::Border), buf);
    }
}

fn draw_new_marker(view: &TranscriptView, items: &[Item], area: Rect, theme: Theme, buf: &mut Buffer) {
    let text = match view.new_below {
        0 if view.has_grown(items) => " ↓ more ".to_owned(),
        0 => return,
        n => format!(" ↓ {n} new "),
    };
    let width = str_width(&text) as u16;
    let x = area.right().saturating_sub(width + 2).max(area.left());
    draw_text(&text, x, area.bottom() - 1, area.right(), theme.style(Role::Selection), buf);
}

#[cfg(test)]
mod tests;
