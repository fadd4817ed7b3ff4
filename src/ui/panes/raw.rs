//! The source of an item as it came, hidden characters made visible.
//!
//! Rows are found as far as the reader has come and no further, so a text of any length opens at once. The invariant:
//! what is remembered could be forgotten without changing a pixel.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::store::item_source;
use crate::store::overlay::raw::RawText;
use crate::store::transcript::ItemId;
use crate::text::human::whole_size;
use crate::text::visible::escape_hidden;
use crate::text::width::{graphemes, str_width};
use crate::ui::paint::draw_box;
use crate::ui::pane::{DrawnOverlay, OverlayScreen};
use crate::ui::text_layout::laid_out::draw_text;
use crate::ui::theme::Role;

const TAB_CELLS: usize = 4;

/// Where rows begin, as far as they are known.
#[derive(Debug, Default)]
pub struct RawView {
    item: Option<ItemId>,
    width: usize,
    length: usize,
    starts: Vec<u32>,
    /// Where the next row begins.
    next: usize,
}

impl RawView {
    /// Knows at least that many rows, if there are so many.
    fn find_rows(&mut self, item: ItemId, text: &str, width: usize, rows: usize) {
        if self.item != Some(item) || self.width != width || text.len() < self.length {
            *self = Self { item: Some(item), width, ..Self::default() };
        } else if text.len() > self.length && self.next >= self.length {
            // It has grown: its last row may go on.
            self.next = self.starts.pop().unwrap_or(0) as usize;
        }
        self.length = text.len();
        while self.starts.len() < rows && self.next < text.len() && text.is_char_boundary(self.next) {
            self.starts.push(self.next as u32);
            self.next = row_end(text, self.next, width);
        }
    }

    fn row<'a>(&self, text: &'a str, row: usize) -> Option<&'a str> {
        let start = *self.starts.get(row)? as usize;
        let end = self.starts.get(row + 1).map_or(self.next, |end| *end as usize);
        text.get(start..end)
    }
}

/// Returns where the row that begins at `start` ends: behind the end of its line, or where the width is used up.
fn row_end(text: &str, start: usize, width: usize) -> usize {
    let rest = &text[start..];
    // A row has no more bytes than this, however long the line.
    let peek = &rest[..rest.ceil_char_boundary(width.saturating_mul(32))];
    let line = memchr::memchr(b'\n', peek.as_bytes());
    let body = line.map_or(peek, |end| &peek[..end]);
    if body.len() <= width && body.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return start + line.map_or(peek.len(), |end| end + 1);
    }
    let mut used = 0;
    for cell in graphemes(body) {
        let taken = visible_width(cell.text, used);
        if used + taken > width && used > 0 {
            return start + cell.at;
        }
        used += taken;
    }
    start + line.map_or(peek.len(), |end| end + 1)
}

fn visible_width(grapheme: &str, at: usize) -> usize {
    if grapheme == "\t" { TAB_CELLS - at % TAB_CELLS } else { str_width(&escape_hidden(grapheme)) }
}

pub fn draw(source: &RawText, view: &mut RawView, screen: &OverlayScreen<'_>, buf: &mut Buffer) -> DrawnOverlay {
    let OverlayScreen { store, key_hints: labels, theme, stage: area, .. } = *screen;
    let RawText { item, scroll } = *source;
    let Some(found) = store.transcript.item(item) else { return DrawnOverlay::default() };
    let text = item_source::full_text(found, &store.tool_calls);
    let place = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let width = usize::from(place.width.saturating_sub(4)).max(1);
    let height = usize::from(place.height.saturating_sub(2));
    view.find_rows(item, &text, width, scroll.saturating_add(height).saturating_add(1));
    let all = (view.next >= text.len()).then_some(view.starts.len());
    let most = all.map_or(usize::MAX, |rows| rows.saturating_sub(height));
    let first = scroll.min(most);
    let last = (first + height).min(view.starts.len());
    let whole = if let Some(rows) = all {
        format!("of {rows} rows")
    } else {
        let at = view.starts.get(last.saturating_sub(1)).copied().unwrap_or(0) as usize;
        format!("· {} % of {}", at * 100 / text.len().max(1), whole_size(text.len() as u64))
    };
    let footer = format!("{}–{last} {whole} · ↑↓ · {} closes · y copies", (first + 1).min(last), labels.close);
    let inner = draw_box("Source", &footer, Role::BorderFocused, theme, place, buf);
    for y in 0..inner.height {
        let Some(row) = view.row(&text, first + usize::from(y)) else { break };
        let row = row.strip_suffix('\n').unwrap_or(row);
        let mut line = String::with_capacity(row.len());
        for cell in graphemes(row) {
            if cell.text == "\t" {
                let spaces = TAB_CELLS - str_width(&line) % TAB_CELLS;
                line.extend(std::iter::repeat_n(' ', spaces));
            } else {
                line.push_str(&escape_hidden(cell.text));
            }
        }
        draw_text(&line, inner.x, inner.y + y, inner.right(), theme.style(Role::Text), buf);
    }
    DrawnOverlay::with_scroll_end(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, width: usize) -> Vec<String> {
        let mut view = RawView::default();
        view.find_rows(ItemId(1), text, width, usize::MAX);
        (0..view.starts.len()).filter_map(|row| view.row(text, row)).map(str::to_owned).collect()
    }

    #[test]
    fn rows_hold_every_byte_in_order() {
        for text in ["one\ntwo\n\nthree", "漢字漢字\u{1b}[31mx\ty\r\nz", "", "\n", "abcdefghij"] {
            for width in 1..12 {
                assert_eq!(rows(text, width).concat(), text, "{width}");
            }
        }
        assert_eq!(rows("abcdefgh\nx", 3), ["abc", "def", "gh\n", "x"]);
        assert_eq!(rows("漢字a", 3), ["漢", "字a"]);
        assert_eq!(rows("\u{1b}[1m", 2), ["\u{1b}[", "1m"]);
    }

    #[test]
    fn a_long_text_is_read_as_far_as_it_is_shown() {
        let text = "x".repeat(5 << 20);
        let mut view = RawView::default();
        view.find_rows(ItemId(1), &text, 80, 25);
        assert_eq!((view.starts.len(), view.next), (25, 2000));
    }

    #[test]
    fn what_grows_goes_on() {
        let mut view = RawView::default();
        view.find_rows(ItemId(1), "abcd", 3, 99);
        view.find_rows(ItemId(1), "abcdef\ng", 3, 99);
        assert_eq!(view.starts, [0, 3, 7]);
    }
}
