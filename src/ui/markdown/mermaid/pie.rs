//! Pies, as bars: a terminal has no circles.

use super::{DrawnRow, label_lines};
use crate::text::width::{str_width, truncate_with_ellipsis};
use crate::ui::theme::{Role, TextStyle};

const MAX_SLICES: usize = 40;
const MAX_NAME_CELLS: usize = 30;
/// Cells of the longest bar, and with fewer there is none.
const MAX_BAR_CELLS: usize = 40;
const MIN_BAR_CELLS: usize = 8;
/// Cells of the share and the gaps around it.
const SHARE_CELLS: usize = 10;

pub(super) fn draw<'a>(head: &str, lines: impl Iterator<Item = &'a str>, room: usize) -> Option<Vec<DrawnRow>> {
    let mut title = head.trim().trim_start_matches("showData").trim().strip_prefix("title").map(str::to_owned);
    let mut slices: Vec<(String, f64)> = Vec::new();
    for line in lines {
        if let Some(text) = line.strip_prefix("title") {
            title = Some(text.to_owned());
        } else if line != "showData" {
            let (name, value) = line.strip_prefix('"')?.split_once('"')?;
            let value: f64 = value.trim().strip_prefix(':')?.trim().parse().ok()?;
            if !(value.is_finite() && value >= 0.0) || slices.len() == MAX_SLICES {
                return None;
            }
            slices.push((label_lines(name).join(" "), value));
        }
    }
    let total: f64 = slices.iter().map(|(_, value)| value).sum();
    if !(total.is_finite() && total > 0.0) {
        return None;
    }
    let names = slices.iter().map(|(name, _)| str_width(name)).max()?.min(MAX_NAME_CELLS);
    let bar = room.checked_sub(names + SHARE_CELLS).filter(|cells| *cells >= MIN_BAR_CELLS)?.min(MAX_BAR_CELLS);
    let largest = slices.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let mut rows: Vec<DrawnRow> = Vec::new();
    if let Some(title) = title.map(|title| label_lines(&title).join(" ")).filter(|title| !title.is_empty()) {
        let shown = truncate_with_ellipsis(&title, room).into_owned();
        rows.push(vec![(shown, TextStyle::new(Role::Text).with(TextStyle::BOLD))]);
    }
    for (name, value) in &slices {
        let shown = truncate_with_ellipsis(name, names);
        let blanks = " ".repeat(names.saturating_sub(str_width(&shown)));
        let filled = (value / largest * bar as f64).round() as usize;
        rows.push(vec![
            (format!("{shown}{blanks} "), TextStyle::new(Role::Text)),
            ("█".repeat(filled.min(bar)), TextStyle::new(Role::Filled)),
            (format!(" {:.1}%", value / total * 100.0), TextStyle::new(Role::Dim)),
        ]);
    }
    Some(rows)
}
