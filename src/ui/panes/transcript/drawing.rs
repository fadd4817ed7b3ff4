//! The rows of one frame of the transcript, from the first down till the screen is full, and what stands at its edges.
//!
//! Not for where the first row is, nor for what is marked on the rows. The invariant: rows that are not on the screen are not touched.

use std::ops::Range;
use std::rc::Rc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::layout_cache::{LayoutCache, LayoutKey, TranscriptWalk};
use super::{Jump, TranscriptView};
use crate::store::Store;
use crate::store::search::Search;
use crate::store::transcript::{ItemKind, Items, TranscriptItem};
use crate::text::width::str_width;
use crate::ui::kept_rows::RowContent;
use crate::ui::panes::item::{self, LiveIndicator};
use crate::ui::text_layout::anchor::{Anchor, BlockPlace, RowSource};
use crate::ui::text_layout::laid_out::{LaidOut, draw_text};
use crate::ui::theme::{Role, Theme};

/// Narrower than this there is no room for a margin.
const MIN_MARGIN_COLUMNS: u16 = 24;

/// A piece of the screen: some rows of one part.
#[derive(Debug)]
pub(super) struct Strip {
    pub(super) index: usize,
    pub(super) part_row: u32,
    pub(super) rows: u16,
    pub(super) rows_above: u32,
    pub(super) laid: Rc<LaidOut>,
    pub(super) block: u32,
    /// Where its rows are on the screen, without the item's indent.
    pub(super) area: Rect,
}

/// The rows of a frame.
pub(super) struct Frame {
    pub(super) strips: Vec<Strip>,
}

/// Finds the rows that are on the screen and draws them, but for those that the buffer holds already; none where there is
/// nothing to draw.
pub(super) fn draw_rows(
    store: &Store,
    view: &mut TranscriptView,
    theme: Theme,
    focused: bool,
    holds_last_frame: bool,
    area: Rect,
    buf: &mut Buffer,
) -> Option<Frame> {
    let has_margins = area.width >= MIN_MARGIN_COLUMNS;
    let (left, right) = if has_margins { (1, 2) } else { (0, 0) };
    let text_area = Rect { x: area.x + left, width: area.width - left - right, ..area };
    sync(store, view, text_area);
    view.kept.begin(area, theme, holds_last_frame);
    let items = store.transcript.items();
    let top = view.resolve(store, u32::from(area.height));
    view.top = top;
    view.count_new(items);
    view.links.clear();
    #[cfg(feature = "images")]
    view.images.clear();
    let Some(first_row) = top else {
        view.selectable.clear();
        (area.top()..area.bottom()).for_each(|y| view.kept.renew(y, buf));
        return None;
    };
    let strips = collect(store, &mut view.cache, first_row, text_area);
    note_selectable(view, items, &strips);
    for strip in &strips {
        let from = strip.part_row.saturating_sub(strip.rows_above);
        strip.laid.note_links(
            from..(strip.part_row + u32::from(strip.rows)).saturating_sub(strip.rows_above),
            &mut view.links,
        );
        #[cfg(feature = "images")]
        strip.laid.images().iter().for_each(|shown| view.images.collect(shown, &store.images));
    }
    let bar = if has_margins { scroll_bar(store, view, first_row, area) } else { 0..0 };
    for strip in &strips {
        let Some(item) = items.get(strip.index) else { continue };
        let is_selected = focused && has_margins && view.selected == Some(item.id);
        for (y, row) in (strip.area.top()..).zip(strip.part_row..strip.part_row + u32::from(strip.rows)) {
            let row = row.checked_sub(strip.rows_above);
            let is_first = row == Some(0) && strip.block == 0;
            let live = if is_first { item::live_indicator(store, item) } else { None };
            let time = if is_first { item::time_label(store, item, view.utc_offset_secs) } else { None };
            let is_new = is_first && store.unseen.first_new() == Some(item.id);
            let content = RowContent {
                text: row.map(|row| (strip.laid.clone(), row, strip.area.x)),
                is_marked: is_selected && row.is_some(),
                has_bar: bar.contains(&y),
            };
            let (is_marked, has_bar) = (content.is_marked, content.has_bar);
            let has_mark = is_first && store.marks.contains(item);
            let parting = if is_first { parting_label(store, item) } else { None };
            if live.is_some() || time.is_some() || is_new || has_mark || parting.is_some() {
                view.kept.renew(y, buf);
            } else if view.kept.keep(y, content, buf) {
                continue;
            }
            if let Some(row) = row {
                strip.laid.draw_row(row, strip.area.x, y, strip.area.width, theme, buf);
                let line = Rect { y, height: 1, ..text_area };
                if let Some(live) = live {
                    draw_live(&live, &strip.laid, line, theme, buf);
                }
                let has_row_above = y > area.top() && strip.rows_above > 0;
                if is_new {
                    let line = if has_row_above {
                        view.kept.renew(y - 1, buf);
                        Rect { y: y - 1, height: 1, ..text_area }
                    } else {
                        Rect { y, height: 1, ..text_area }
                    };
                    draw_new_line(has_row_above, line, theme, buf);
                    draw_bar(bar.contains(&line.y), line.y, area, theme, buf);
                }
                if let Some(label) = &parting
                    && has_row_above
                    && !is_new
                {
                    view.kept.renew(y - 1, buf);
                    draw_parting(label, Rect { y: y - 1, height: 1, ..text_area }, theme, buf);
                    draw_bar(bar.contains(&(y - 1)), y - 1, area, theme, buf);
                }
                if let Some(time) = time {
                    let used = strip.area.x - text_area.x + str_width(strip.laid.row_text(0)) as u16;
                    let above = has_row_above && !is_new && parting.is_none();
                    if above {
                        view.kept.renew(y - 1, buf);
                        draw_bar(bar.contains(&(y - 1)), y - 1, area, theme, buf);
                    }
                    draw_time(&time, used, above, line, theme, buf);
                }
                view.cache.counters.rows_written += 1;
            }
            let sign = if is_marked { Some("▌") } else { has_mark.then_some("◆") };
            if let Some(sign) = sign {
                draw_text(sign, area.left(), y, text_area.x, theme.style(Role::Accent), buf);
            }
            draw_bar(has_bar, y, area, theme, buf);
        }
    }
    let used: u16 = strips.iter().map(|strip| strip.rows).sum();
    for y in area.top() + used..area.bottom() {
        let has_bar = bar.contains(&y);
        if !view.kept.keep(y, RowContent { has_bar, ..RowContent::default() }, buf) {
            draw_bar(has_bar, y, area, theme, buf);
        }
    }
    Some(Frame { strips })
}

/// Takes over what has changed since the last frame: the items, the width, the place that is asked for.
fn sync(store: &Store, view: &mut TranscriptView, text_area: Rect) {
    view.height = text_area.height;
    if !view.cache.sync(store, LayoutKey::new(store, text_area.width)) {
        view.anchor = Anchor::Bottom;
        view.before_search = None;
        view.jump = None;
        view.selected = None;
        view.unfollowed_at = None;
    }
    view.shift(view.cache.prepended);
    let wanted = store.focus.requested_place;
    if store.focus.find::<Search>().is_none() {
        view.before_search = None;
    } else if view.before_search.is_none() {
        view.before_search = Some(view.anchor);
    }
    if wanted.serial != view.shown_serial {
        view.shown_serial = wanted.serial;
        view.pending_scroll = 0;
        view.jump = Some(Jump::Place(wanted));
        view.selected = wanted.item;
    }
}

/// Walks down from the first row until the screen is full.
fn collect(store: &Store, memo: &mut LayoutCache, top: (BlockPlace, u32), area: Rect) -> Vec<Strip> {
    let mut strips = Vec::new();
    let (mut place, mut skip) = top;
    let mut left = area.height;
    loop {
        let (laid, lead) = memo.part(store, place);
        let rows = (laid.rows() + lead).saturating_sub(skip).min(u32::from(left)) as u16;
        if rows > 0 {
            let item = store.transcript.items().get(place.index);
            let indent = item.map_or(0, |item| item::indent(item.kind, area.width));
            let y = area.bottom() - left;
            strips.push(Strip {
                index: place.index,
                part_row: skip,
                rows,
                rows_above: lead,
                laid,
                block: place.block,
                area: Rect { x: area.x + indent, y, width: area.width - indent, height: rows },
            });
        }
        left -= rows;
        skip = 0;
        let mut walk = TranscriptWalk { cache: memo, store };
        match walk.after(place) {
            Some(after) if left > 0 => place = after,
            _ => return strips,
        }
    }
}

fn note_selectable(view: &mut TranscriptView, items: Items<'_>, strips: &[Strip]) {
    view.selectable.clear();
    let (Some(first), Some(last)) = (strips.first(), strips.last()) else { return };
    let selectable = |item: &TranscriptItem<'_>| !matches!(item.kind, ItemKind::TurnSummary { .. });
    let before = items.range(first.index.saturating_sub(8)..first.index).rfind(selectable);
    let after = items.range(last.index + 1..last.index + 9).find(selectable);
    let on_screen = items.range(first.index..last.index + 1).filter(selectable);
    view.selectable.extend(before.into_iter().chain(on_screen).chain(after).map(|item| item.id));
}

/// Says that what the person has not seen begins here: in the empty row above, else at the end of the first.
fn draw_new_line(is_above: bool, row: Rect, theme: Theme, buf: &mut Buffer) {
    const NEW_LABEL: &str = " new since you looked ";
    let style = theme.style(Role::Info);
    let width = (str_width(NEW_LABEL) as u16).min(row.width);
    if is_above {
        for x in row.left()..row.right() {
            draw_text("─", x, row.y, row.right(), style, buf);
        }
    }
    draw_text(NEW_LABEL, row.right() - width, row.y, row.right(), style, buf);
}

/// Says which of how many branches begins with a prompt, where there are several.
fn parting_label(store: &Store, item: TranscriptItem<'_>) -> Option<String> {
    let ItemKind::Prompt { .. } = item.kind else { return None };
    let parting = store.branches.parting(item.seq)?;
    Some(format!(" branch {} of {} · /tree ", parting.number, parting.count))
}

/// Draws the line where branches part into the empty row above a prompt.
fn draw_parting(label: &str, row: Rect, theme: Theme, buf: &mut Buffer) {
    let style = theme.style(Role::Dim);
    let width = (str_width(label) as u16).min(row.width);
    for x in row.left()..row.right() {
        draw_text("┄", x, row.y, row.right(), style, buf);
    }
    draw_text(label, row.right() - width, row.y, row.right(), style, buf);
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

fn draw_live(live: &LiveIndicator, laid: &LaidOut, row: Rect, theme: Theme, buf: &mut Buffer) {
    let end = row.right();
    draw_text(live.glyph, row.x, row.y, end, theme.style(Role::Accent), buf);
    if let Some(time) = &live.time {
        let used = str_width(laid.row_text(0)) as u16;
        draw_text(time, row.x.saturating_add(used + 2), row.y, end, theme.style(Role::Dim), buf);
    }
}

/// Returns the rows that the scroll bar takes: where the screen is in the whole, by what is known and guessed of its
/// height.
fn scroll_bar(store: &Store, view: &mut TranscriptView, top: (BlockPlace, u32), area: Rect) -> Range<u16> {
    let height = u64::from(area.height);
    let total = view.cache.heights.total().max(1);
    let start = if view.anchor == Anchor::Bottom {
        total.saturating_sub(height)
    } else {
        let parts = u64::from(view.cache.parts(store, top.0.index)).max(1);
        let within = u64::from(view.cache.heights.get(top.0.index)) * u64::from(top.0.block) / parts;
        view.cache.heights.prefix(top.0.index) + within + u64::from(top.1)
    };
    if total <= height || (view.anchor == Anchor::Bottom && top == (BlockPlace { index: 0, block: 0 }, 0)) {
        return 0..0;
    }
    let size = (height * height / total).clamp(1, height);
    let free = height - size;
    let at = (start * free / total.saturating_sub(height).max(1)).min(free);
    area.top() + at as u16..area.top() + (at + size) as u16
}

fn draw_bar(has_bar: bool, y: u16, area: Rect, theme: Theme, buf: &mut Buffer) {
    if has_bar {
        draw_text("┃", area.right() - 1, y, area.right(), theme.style(Role::Border), buf);
    }
}

/// Says at the end of the last row that there is more below.
pub(super) fn draw_new_marker(view: &mut TranscriptView, items: Items<'_>, theme: Theme, area: Rect, buf: &mut Buffer) {
    view.pointer.marker = Rect::ZERO;
    let text = match view.new_below {
        0 if view.has_grown(items) => " ↓ more ".to_owned(),
        0 => return,
        n => format!(" ↓ {n} new "),
    };
    let width = str_width(&text) as u16;
    let x = area.right().saturating_sub(width + 2).max(area.left());
    view.kept.forget_row(area.bottom() - 1);
    view.pointer.marker = Rect { x, y: area.bottom() - 1, width, height: 1 };
    draw_text(&text, x, area.bottom() - 1, area.right(), theme.style(Role::Selection), buf);
}
