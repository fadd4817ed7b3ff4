//! Where the matches of a search are on laid-out rows.
//!
//! Rows are what is searched here, so that what is marked is what is seen. Cost: the rows given.

use std::cmp::Ordering;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::drawing::Strip;
use super::item_parts::ItemPart;
use super::layout_cache::LayoutCache;
use crate::store::Store;
use crate::store::focus;
use crate::store::item_source::field_text;
use crate::store::search::{Matcher, Search};
use crate::text::width::str_width;
use crate::ui::paint::restyle;
use crate::ui::text_layout::LaidOut;
use crate::ui::theme::{Role, Theme};

/// Cells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MatchMark {
    pub(super) row: u32,
    pub(super) start: u16,
    pub(super) end: u16,
    /// Which match it belongs to, counted in these rows.
    pub(super) nth: usize,
}

/// Returns how long the indent or the bar is that a row begins with.
fn lead_len(line: &str) -> usize {
    line.find(|c: char| !c.is_whitespace() && !matches!(c, '│' | '┊' | '▎')).unwrap_or(line.len())
}

/// Returns the cells of all matches in `rows`.
pub(super) fn marks(laid: &LaidOut, matcher: &Matcher, rows: std::ops::Range<u32>) -> Vec<MatchMark> {
    let mut text = String::new();
    // Where each row begins in the text, and how much of the row is left out: a word that goes on is one word, without
    // the indent or the bar that its next row begins with.
    let mut starts = Vec::new();
    let mut skipped = Vec::new();
    for row in rows.clone() {
        let line = laid.row_text(row);
        let joined = row > rows.start && laid.is_continued(row - 1);
        let skip = if joined { lead_len(line) } else { 0 };
        starts.push(text.len());
        skipped.push(skip);
        text.push_str(line.get(skip..).unwrap_or(""));
        if !laid.is_continued(row) {
            text.push('\n');
        }
    }
    let mut marks = Vec::new();
    for (nth, found) in matcher.matches(&text).into_iter().enumerate() {
        let mut at = starts.partition_point(|start| *start <= found.start).saturating_sub(1);
        while let Some(&start) = starts.get(at).filter(|start| **start < found.end) {
            let row = rows.start + at as u32;
            let line = laid.row_text(row);
            let skip = skipped.get(at).copied().unwrap_or(0);
            let to = (skip + found.end - start).min(line.len());
            let from = match found.start.cmp(&start) {
                Ordering::Less => lead_len(line).min(to),
                Ordering::Equal => skip,
                Ordering::Greater => skip + found.start - start,
            };
            if let (Some(before), Some(inside)) = (line.get(..from), line.get(from..to))
                && !inside.is_empty()
            {
                let left = str_width(before) as u16;
                marks.push(MatchMark { row, start: left, end: left.saturating_add(str_width(inside) as u16), nth });
            }
            at += 1;
        }
    }
    marks
}

/// Returns the row of the match at a place, and which of the matches on the part's rows it is: the one with as many
/// before it as in the source, since the rows may show less than the source has.
pub(super) fn match_at(
    store: &Store,
    laid: &LaidOut,
    part: ItemPart,
    wanted: focus::TranscriptPlace,
) -> Option<(u32, usize)> {
    let matcher = store.focus.find::<Search>()?.matcher()?;
    let item = store.transcript.item(wanted.item?)?;
    let text = field_text(item, &store.tool_calls, wanted.field);
    let start = text.floor_char_boundary(part.start as usize);
    let before = text.get(start..text.floor_char_boundary(wanted.offset)).unwrap_or("");
    let before = matcher.matches(before).len();
    let found = marks(laid, matcher, 0..laid.rows());
    let last = found.last()?.nth;
    let nth = before.min(last);
    found.iter().find(|mark| mark.nth == nth).map(|mark| (mark.row, nth))
}

/// Marks what the search found on the rows of a strip. Looks at one row more on either side: a match may begin there.
pub(super) fn draw(store: &Store, strip: &Strip, memo: &mut LayoutCache, theme: Theme, buf: &mut Buffer) {
    let Some(search) = store.focus.find::<Search>() else { return };
    let Some(item) = store.transcript.items().get(strip.index) else { return };
    let area = strip.area;
    let Some(matcher) = search.matcher() else { return };
    let first = strip.part_row.saturating_sub(strip.rows_above);
    let last = (strip.part_row + u32::from(strip.rows)).saturating_sub(strip.rows_above);
    let found = marks(&strip.laid, matcher, first.saturating_sub(1)..(last + 1).min(strip.laid.rows()));
    if found.is_empty() {
        return;
    }
    let place = store.focus.requested_place;
    let here = (search.current_item() == Some(item.id) && place.item == Some(item.id))
        .then(|| memo.find_in_source(store, strip.index, place.field, place.offset))
        .flatten()
        .filter(|(block, _)| *block == strip.block)
        .and_then(|(_, part)| match_at(store, &strip.laid, part, place));
    let here: Vec<(u32, u16)> = here.map_or_else(Vec::new, |(_, nth)| {
        let all = marks(&strip.laid, matcher, 0..strip.laid.rows());
        all.iter().filter(|mark| mark.nth == nth).map(|mark| (mark.row, mark.start)).collect()
    });
    for mark in found {
        if mark.row < first || mark.row >= last {
            continue;
        }
        let y = area.y + (mark.row + strip.rows_above - strip.part_row) as u16;
        let x = area.x.saturating_add(mark.start);
        let end = area.x.saturating_add(mark.end).min(area.right());
        let role = if here.contains(&(mark.row, mark.start)) { Role::CurrentMatch } else { Role::Match };
        restyle(Rect { x, y, width: end.saturating_sub(x), height: 1 }, theme.style(role), buf);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::text_layout::laid_out::{LayoutBuilder, lay_out_plain};
    use crate::ui::theme::Role;

    #[test]
    fn a_match_is_marked_over_wrapped_rows() {
        let laid = lay_out_plain("one two three x漢字 two", Role::Text, 9);
        assert_eq!(laid.to_strings(), ["one two", "three x漢", "字 two"]);
        let matcher = Matcher::new("two three", false).unwrap().unwrap();
        let cells =
            |marks: Vec<MatchMark>| marks.into_iter().map(|mark| (mark.row, mark.start, mark.end)).collect::<Vec<_>>();
        assert_eq!(cells(marks(&laid, &matcher, 0..3)), [(0, 4, 7), (1, 0, 5)]);
        let matcher = Matcher::new("two", false).unwrap().unwrap();
        assert_eq!(cells(marks(&laid, &matcher, 0..3)), [(0, 4, 7), (2, 3, 6)]);
        assert_eq!(cells(marks(&laid, &matcher, 2..3)), [(2, 3, 6)]);
    }

    #[test]
    fn a_match_that_the_edge_breaks_is_marked_on_both_rows() {
        let cells = |laid: &LaidOut, query| {
            let matcher = Matcher::new(query, false).unwrap().unwrap();
            marks(laid, &matcher, 0..laid.rows())
                .iter()
                .map(|mark| (mark.row, mark.start, mark.end))
                .collect::<Vec<_>>()
        };
        let laid = lay_out_plain("abcdefgh 漢字かな", Role::Text, 5);
        assert_eq!(laid.to_strings(), ["abcde", "fgh", "漢字", "かな"]);
        assert_eq!(cells(&laid, "def"), [(0, 3, 5), (1, 0, 1)]);
        assert_eq!(cells(&laid, "字か"), [(2, 2, 4), (3, 0, 2)]);
        assert_eq!(cells(&laid, "gh 漢"), [(1, 1, 3), (2, 0, 2)]);
        assert_eq!(cells(&laid, "ghijk"), []);
        let mut page = LayoutBuilder::new(10);
        page.add_edged("let number = 1;", ("│ ", "┊ "), Role::Border.into(), |line, flow| {
            flow.push(line, Role::Source.into());
        });
        let laid = page.finish();
        assert_eq!(laid.to_strings(), ["│ let numb", "┊ er = 1;"]);
        assert_eq!(cells(&laid, "number"), [(0, 6, 10), (1, 2, 4)]);
        assert_eq!(cells(&laid, "er ="), [(1, 2, 6)]);
    }
}
