//! What the pointer does to the transcript: it selects text, folds items and follows markers.
//!
//! What was selected is copied as its source: the words on the screen are found again in the text that they were made of.
//! Not for drawing rows. The invariant: a selection is about the content and not about the screen, so that it stays where
//! it was while the transcript moves.

use std::ops::Range;
use std::rc::Rc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::drawing::Strip;
use super::layout_cache::LayoutCache;
use super::{ItemPart, PartKind, TranscriptView};
use crate::store::Store;
use crate::store::action::Action;
use crate::store::transcript::{ItemId, ItemKind, TranscriptItem};
use crate::text::width::{graphemes, str_width};
use crate::ui::paint::select_row;
use crate::ui::text_layout::LaidOut;
use crate::ui::text_layout::anchor::BlockPlace;
use crate::ui::theme::Theme;

/// A word of the screen is looked for in so many bytes of the source.
const MAX_WORD_DISTANCE_BYTES: usize = 4096;
/// Other characters are looked for in so many: they may not be in the source at all.
const MAX_MARK_DISTANCE_BYTES: usize = 16;
/// Most bytes that are copied.
const MAX_COPIED_BYTES: usize = 4 << 20;

/// A place in the content: a cell of a row of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ContentPoint {
    item: ItemId,
    block: u32,
    row: u32,
    column: u16,
}

/// What the pointer is doing.
#[derive(Debug, Default)]
pub(super) struct PointerState {
    /// The rows of the last frame.
    strips: Vec<(ItemId, Strip)>,
    area: Rect,
    /// The marker that there is more below, where it was drawn.
    pub(super) marker: Rect,
    pressed: Option<ContentPoint>,
    dragged: Option<ContentPoint>,
}

impl PointerState {
    /// Remembers where the rows of a frame are.
    pub(super) fn note_frame(&mut self, store: &Store, strips: Vec<Strip>, area: Rect) {
        let items = store.transcript.items();
        self.strips.clear();
        self.strips.extend(strips.into_iter().filter_map(|strip| Some((items.get(strip.index)?.id, strip))));
        self.area = area;
    }

    fn point_at(&self, at: (u16, u16)) -> Option<ContentPoint> {
        let last_row = self.area.bottom().saturating_sub(1);
        let y = at.1.clamp(self.area.top(), last_row);
        let is_at = |(_, strip): &&(ItemId, Strip)| (strip.area.top()..strip.area.bottom()).contains(&y);
        let (item, strip) = self.strips.iter().find(is_at).or(self.strips.last())?;
        let below = u32::from(y.saturating_sub(strip.area.top()).min(strip.rows.saturating_sub(1)));
        let row = (strip.part_row + below).checked_sub(strip.rows_above);
        let column = row.map_or(0, |_| at.0.saturating_sub(strip.area.x));
        Some(ContentPoint { item: *item, block: strip.block, row: row.unwrap_or(0), column })
    }

    pub(super) fn forget(&mut self) {
        (self.pressed, self.dragged) = (None, None);
    }

    /// Returns whether anything is selected.
    pub(super) fn has_selection(&self) -> bool {
        self.pressed.is_some() && self.dragged.is_some()
    }

    fn ends(&self, store: &Store) -> Option<(ContentPoint, ContentPoint)> {
        let (one, other) = (self.pressed?, self.dragged?);
        let key = |point: &ContentPoint| (store.transcript.index_of(point.item), point.block, point.row, point.column);
        key(&one).0?;
        key(&other).0?;
        Some(if key(&one) <= key(&other) { (one, other) } else { (other, one) })
    }

    /// Marks what is selected.
    pub(super) fn draw(&self, store: &Store, theme: Theme, buf: &mut Buffer) {
        let Some((from, to)) = self.ends(store) else { return };
        let index = |item: ItemId| store.transcript.index_of(item);
        let place = |point: &ContentPoint| (index(point.item), point.block, point.row);
        for (item, strip) in &self.strips {
            for (y, row) in (strip.area.top()..).zip(strip.part_row..strip.part_row + u32::from(strip.rows)) {
                let Some(row) = row.checked_sub(strip.rows_above) else { continue };
                let here = (index(*item), strip.block, row);
                if here < place(&from) || here > place(&to) {
                    continue;
                }
                let width = str_width(strip.laid.row_text(row).trim_end()) as u16;
                let start = if here == place(&from) { from.column.min(width) } else { 0 };
                let end = if here == place(&to) { to.column.saturating_add(1).min(width) } else { width };
                let line = Rect { x: strip.area.x + start, y, width: end.saturating_sub(start), height: 1 };
                select_row(line.intersection(strip.area), theme, buf);
            }
        }
    }
}

impl TranscriptView {
    pub(super) fn press_at(&mut self, at: (u16, u16)) {
        if self.pointer.has_selection() {
            self.kept.forget();
        }
        (self.pointer.pressed, self.pointer.dragged) = (self.pointer.point_at(at), None);
    }

    /// At the edges the transcript moves on.
    pub(super) fn drag_to(&mut self, at: (u16, u16)) {
        if self.pointer.pressed.is_none() {
            return;
        }
        let area = self.pointer.area;
        let point = self.pointer.point_at(at);
        if self.pointer.dragged.is_none() && point == self.pointer.pressed {
            return;
        }
        self.pointer.dragged = point;
        if at.1 <= area.top() {
            self.scroll(-1);
        } else if at.1 + 1 >= area.bottom() {
            self.scroll(1);
        }
    }

    /// Copies what was selected; without a selection it is a click.
    pub(super) fn release_at(&mut self, store: &Store, at: (u16, u16)) -> Option<Action> {
        if let Some((from, to)) = self.pointer.ends(store) {
            let text = selected_source(store, &mut self.cache, from, to);
            return (!text.trim().is_empty()).then_some(Action::CopySelection(text));
        }
        let pressed = self.pointer.pressed.take()?;
        if self.pointer.marker.contains(at.into()) {
            self.to_end();
            return None;
        }
        let item = store.transcript.item(pressed.item)?;
        let folds = match item.kind {
            ItemKind::Call { .. } | ItemKind::Thinking { .. } | ItemKind::Compaction { .. } => true,
            ItemKind::Prompt { text } => crate::store::is_long_prompt(text),
            ItemKind::Answer { .. } | ItemKind::Notice { .. } | ItemKind::TurnSummary { .. } => false,
        };
        folds.then_some(Action::ToggleFold(item.id.0))
    }
}

/// Returns the source of what is selected, item by item.
fn selected_source(store: &Store, cache: &mut LayoutCache, from: ContentPoint, to: ContentPoint) -> String {
    let index = |point: ContentPoint| store.transcript.index_of(point.item);
    let (Some(first), Some(last)) = (index(from), index(to)) else { return String::new() };
    let mut all = String::new();
    for index in first..=last {
        let ends = ((index == first).then_some(from), (index == last).then_some(to));
        let source = item_source(store, cache, index, ends);
        if source.is_empty() {
            continue;
        }
        if !all.is_empty() {
            all.push_str("\n\n");
        }
        all.push_str(&source);
        if all.len() > MAX_COPIED_BYTES {
            break;
        }
    }
    all
}

/// Returns what is selected of an item; without an end all from its start, or up to its end.
fn item_source(
    store: &Store,
    cache: &mut LayoutCache,
    index: usize,
    (from, to): (Option<ContentPoint>, Option<ContentPoint>),
) -> String {
    let Some(item) = store.transcript.items().get(index) else { return String::new() };
    let parts = cache.parts(store, index);
    let blocks = from.map_or(0, |point| point.block)..=to.map_or(parts - 1, |point| point.block);
    let mut pieces: Vec<String> = Vec::new();
    // Parts of the item's own text stand behind each other in it.
    let mut own: Option<Range<usize>> = None;
    for block in blocks {
        let (laid, _) = cache.part(store, BlockPlace { index, block });
        let Some(part) = cache.peek(item, block) else { continue };
        let cell = |point: ContentPoint, more| (point.row, point.column.saturating_add(more));
        let start = from.filter(|point| point.block == block).map(|point| cell(point, 0));
        let end = to.filter(|point| point.block == block).map(|point| cell(point, 1));
        let Some((text, base)) = source_of(store, cache, item, part) else {
            pieces.push(shown_rows(&laid, start, end));
            continue;
        };
        let range = selected_range(&text, &laid, start, end);
        match base {
            Some(base) => own.get_or_insert(base + range.start..base + range.end).end = base + range.end,
            None => pieces.push(text.get(range).unwrap_or("").trim_end().to_owned()),
        }
    }
    if let Some(range) = own {
        pieces.insert(0, cache.text(item).get(range).unwrap_or("").trim_end().to_owned());
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces.join("\n")
}

/// Returns the text of which a part shows a range, and where in the item's own text it begins, where it is that. None for
/// what is only words of ours.
fn source_of(
    store: &Store,
    cache: &LayoutCache,
    item: TranscriptItem<'_>,
    part: ItemPart,
) -> Option<(String, Option<usize>)> {
    let call = || match item.kind {
        ItemKind::Call { call } => store.tool_calls.get(call),
        _ => None,
    };
    match part.kind {
        PartKind::Markdown(_) | PartKind::Prompt | PartKind::PromptRest | PartKind::Thinking => {
            Some((part.source(cache.text(item)).to_owned(), Some(part.start as usize)))
        }
        PartKind::Output(_) | PartKind::Json => Some((part.source(&call()?.output).to_owned(), None)),
        PartKind::Detail(_) => Some((part.source(&call()?.approval_request()?.detail).to_owned(), None)),
        _ => None,
    }
}

/// Returns which bytes of a source stand between two cells of what was made of it; none is its start or end.
fn selected_range(
    source: &str,
    laid: &Rc<LaidOut>,
    start: Option<(u32, u16)>,
    end: Option<(u32, u16)>,
) -> Range<usize> {
    let from = start.map_or(0, |cell| source_offset(source, laid, cell, true));
    let to = end.map_or(source.len(), |cell| source_offset(source, laid, cell, false));
    from..to.max(from)
}

/// Finds the words before a cell in the source, one after another; what is not in it was added by us.
fn source_offset(source: &str, laid: &LaidOut, cell: (u32, u16), is_start: bool) -> usize {
    let mut at = 0;
    for row in 0..=cell.0.min(laid.rows().saturating_sub(1)) {
        let text = laid.row_text(row);
        let limit = if row == cell.0 { usize::from(cell.1) } else { usize::MAX };
        let mut column = 0;
        for word in words(text) {
            let width = str_width(word);
            let found = find_near(source, at, word);
            if column + width > limit {
                // The cell is inside of this word, or before it.
                let inside: usize = graphemes(word)
                    .scan(column, |end, cell| {
                        *end += cell.width;
                        Some((*end, cell.text.len()))
                    })
                    .take_while(|(end, _)| *end <= limit)
                    .map(|(_, bytes)| bytes)
                    .sum();
                return match found {
                    Some(found) if is_start || inside > 0 => found + inside,
                    _ => at,
                };
            }
            if let Some(found) = found {
                at = found + word.len();
            }
            column += width;
        }
    }
    if is_start { at + source.get(at..).map_or(0, |rest| rest.len() - rest.trim_start().len()) } else { at }
}

/// Splits a text into words, runs of white space, and other characters one by one.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let kind = |c: char| if c.is_alphanumeric() || c == '_' { 0 } else { usize::from(!c.is_whitespace()) + 1 };
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = kind(rest.chars().next()?);
        let other = |c: char| kind(c) != first;
        let mut end = if first == 2 { None } else { rest.find(other) }.unwrap_or(rest.len());
        if first == 2 {
            end = rest.chars().next().map_or(0, char::len_utf8);
        }
        let (word, left) = rest.split_at(end);
        rest = left;
        Some(word)
    })
}

fn find_near(source: &str, at: usize, word: &str) -> Option<usize> {
    if word.trim().is_empty() {
        return None;
    }
    let is_word = word.chars().all(char::is_alphanumeric);
    let distance = if is_word { MAX_WORD_DISTANCE_BYTES } else { MAX_MARK_DISTANCE_BYTES };
    let end = source.floor_char_boundary((at + distance).min(source.len()));
    memchr::memmem::find(source.get(at..end)?.as_bytes(), word.as_bytes()).map(|found| at + found)
}

/// Returns the words of rows that have no source.
fn shown_rows(laid: &LaidOut, start: Option<(u32, u16)>, end: Option<(u32, u16)>) -> String {
    let (first, from) = start.unwrap_or((0, 0));
    let (last, to) = end.unwrap_or((laid.rows().saturating_sub(1), u16::MAX));
    let mut rows = Vec::new();
    for row in first..=last.min(laid.rows().saturating_sub(1)) {
        let mut column = 0;
        let text = graphemes(laid.row_text(row)).filter(|cell| {
            let here = column;
            column += cell.width;
            (row != first || here >= usize::from(from)) && (row != last || here < usize::from(to))
        });
        rows.push(text.map(|cell| cell.text).collect::<String>().trim_end().to_owned());
    }
    rows.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::markdown::{BlockKind, RenderContext, lay_block};

    fn selected(source: &str, width: u16, from: (u32, u16), to: (u32, u16)) -> String {
        let laid = Rc::new(lay_block(
            source,
            BlockKind::Paragraphs,
            RenderContext { width, text: source, ..RenderContext::default() },
        ));
        source[selected_range(source, &laid, Some(from), Some((to.0, to.1 + 1)))].to_owned()
    }

    #[test]
    fn what_is_selected_is_found_in_the_source() {
        let source = "Some **bold** words and a [link](http://x.y/z) here.\n";
        assert_eq!(selected(source, 80, (0, 5), (0, 8)), "bold");
        assert_eq!(selected(source, 80, (0, 5), (0, 14)), "bold** words");
        assert_eq!(selected(source, 80, (0, 0), (0, 99)), "Some **bold** words and a [link](http://x.y/z) here.");
        assert_eq!(selected(source, 80, (0, 11), (0, 12)), "or");
        // Wrapped rows are one line of the source.
        assert_eq!(selected("one two three four five\n", 10, (0, 4), (1, 9)), "two three four");
        assert_eq!(selected("- first\n- second thing\n", 40, (1, 2), (1, 7)), "second");
        assert_eq!(selected("漢字 and 字\n", 40, (0, 2), (0, 7)), "字 and");
    }

    #[test]
    fn rows_of_ours_are_copied_as_they_are_shown() {
        let laid = crate::ui::text_layout::laid_out::lay_out_plain("one two\nthree", crate::ui::theme::Role::Text, 40);
        assert_eq!(shown_rows(&laid, Some((0, 4)), Some((1, 2))), "two\nth");
        assert_eq!(shown_rows(&laid, None, None), "one two\nthree");
    }
}
