//! Which keys of a sequence were pressed and how they can go on, in rows above the composer.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::text::width::str_width;
use crate::ui::key_hints::KeyHint;
use crate::ui::paint::{RowWriter, clear};
use crate::ui::theme::{Role, Theme};

/// Rows of the list at most, without the one that names the keys.
const MAX_LISTED_ROWS: usize = 8;
/// Cells between two columns, and those of the widest one.
const COLUMN_GAP_CELLS: usize = 2;
const MAX_COLUMN_CELLS: usize = 37;

/// Keys that wait for the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingKeys {
    /// Those that were pressed, in words.
    pub typed: String,
    pub next: Vec<KeyHint>,
}

/// Draws them in the rows that end at the bottom of `above`.
pub fn draw(pending: &PendingKeys, theme: Theme, above: Rect, buf: &mut Buffer) {
    let keys = pending.next.iter().map(|(key, _)| str_width(key)).max().unwrap_or_default();
    let entries = pending.next.iter().map(|(_, what)| keys + 1 + str_width(what)).max().unwrap_or_default();
    let column = entries.min(MAX_COLUMN_CELLS).min(usize::from(above.width).saturating_sub(COLUMN_GAP_CELLS)).max(1);
    let columns = (usize::from(above.width) / (column + COLUMN_GAP_CELLS)).max(1);
    let room = usize::from(above.height).saturating_sub(1).min(MAX_LISTED_ROWS);
    let rows = pending.next.len().div_ceil(columns).min(room);
    let height = (rows as u16 + 1).min(above.height);
    let area = Rect { y: above.bottom() - height, height, ..above };
    clear(area, buf);
    let mut pen = RowWriter::new(buf, area, 0);
    pen.skip(1).write(&pending.typed, theme.style(Role::Key)).write(" …", theme.style(Role::Key));
    pen.skip(2).write("Esc", theme.style(Role::Key)).write(" leaves", theme.style(Role::Dim));
    let hidden = pending.next.len().saturating_sub(rows * columns);
    if hidden > 0 {
        pen.skip(2).write(&format!("{hidden} more"), theme.style(Role::Dim));
    }
    for (nth, (key, what)) in pending.next.iter().take(rows * columns).enumerate() {
        let (across, row) = (nth / rows, nth % rows);
        let x = (across * (column + COLUMN_GAP_CELLS)) as u16 + 1;
        let place = Rect { x: area.x + x, width: (column as u16).min(area.width.saturating_sub(x)), ..area };
        let mut pen = RowWriter::new(buf, place, row as u16 + 1);
        let begin = pen.column();
        pen.write(key, theme.style(Role::Key));
        let used = usize::from(pen.column() - begin);
        pen.skip((keys + 1).saturating_sub(used)).write_truncated(what, 0, theme.style(Role::Dim));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: u16, height: u16, count: usize) -> Vec<String> {
        let next = (0..count).map(|nth| (format!("k{nth}"), "does something")).collect();
        let (area, pending) = (Rect::new(0, 0, width, height), PendingKeys { typed: "Ctrl+X".into(), next });
        let mut buf = Buffer::empty(area);
        draw(&pending, Theme::default(), area, &mut buf);
        (0..height)
            .map(|y| (0..width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned())
            .collect()
    }

    #[test]
    fn the_keys_stand_in_columns_below_what_was_pressed() {
        assert_eq!(
            drawn(50, 4, 4),
            [
                "",
                " Ctrl+X …  Esc leaves",
                " k0 does something  k2 does something",
                " k1 does something  k3 does something"
            ]
        );
        assert_eq!(drawn(20, 2, 3), [" Ctrl+X …  Esc leave", " k0 does something"].map(str::to_owned));
    }

    #[test]
    fn any_size_is_drawn() {
        for width in 0..30 {
            for height in 0..5 {
                drawn(width, height, 7);
            }
        }
    }
}
