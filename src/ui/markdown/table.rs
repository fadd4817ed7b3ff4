//! Tables: columns where they fit, cells wrapped where they nearly fit, else one "key: value" below the other.

mod cells;

use pulldown_cmark::Alignment;

use crate::text::width::str_width;
use crate::text::wrap::wrap;
use crate::ui::text_layout::laid_out::{CellAlign, LayoutBuilder, StyledText, TableCell};
use crate::ui::theme::{Role, TextStyle};

pub(super) use cells::{column_count, escape_extra_bars, is_rule};

/// A table as it was read: the first row is the head.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) alignments: Vec<Alignment>,
    pub(super) rows: Vec<Vec<StyledText>>,
}

/// No column is made narrower than this, nor than its longest word up to [`MAX_UNBROKEN_WORD_CELLS`].
const MIN_COLUMN_CELLS: usize = 4;
const MAX_UNBROKEN_WORD_CELLS: usize = 16;
/// Cells that a column of a long table gets beyond what its first rows need.
const SPARE_COLUMN_CELLS: usize = 4;
const COLUMN_SEPARATOR: &str = " │ ";

pub(super) fn lay_out(page: &mut LayoutBuilder, table: &Table) {
    let columns = table.rows.iter().map(Vec::len).max().unwrap_or(0);
    match column_widths(table, columns, page.room()) {
        Some(widths) => lay_side_by_side(page, table, &widths, true),
        None => lay_stacked(page, table, true),
    }
}

/// Lays out rows of a table, in columns as wide as those of `measure`; `first` if its head is to be shown.
pub(super) fn lay_part(page: &mut LayoutBuilder, table: &Table, measure: &Table, first: bool) {
    let columns = measure.rows.iter().map(Vec::len).max().unwrap_or(0);
    match column_widths(measure, columns, page.room()) {
        Some(mut widths) => {
            // Numbers grow: where there is room, what comes later may be somewhat longer than what was measured.
            let used = widths.iter().sum::<usize>() + 3 * columns.saturating_sub(1);
            let spare = page.room().saturating_sub(used).checked_div(columns).unwrap_or(0).min(SPARE_COLUMN_CELLS);
            for width in &mut widths {
                *width += spare;
            }
            lay_side_by_side(page, table, &widths, first);
        }
        None => lay_stacked(page, table, first),
    }
}

/// Returns whether so many columns may stand side by side.
pub(super) fn may_fit(columns: usize, room: usize) -> bool {
    columns + 3 * columns.saturating_sub(1) <= room
}

/// Returns the columns' widths, or none where they can't stand side by side.
fn column_widths(table: &Table, columns: usize, room: usize) -> Option<Vec<usize>> {
    if columns == 0 || !may_fit(columns, room) {
        return None;
    }
    let room = room - 3 * (columns - 1);
    let mut natural = vec![1; columns];
    let mut least = vec![1; columns];
    for row in &table.rows {
        for ((cell, natural), least) in row.iter().zip(&mut natural).zip(&mut least) {
            let width = cell.text.split('\n').map(str_width).max().unwrap_or(0);
            let word = cell.text.split_whitespace().map(str_width).max().unwrap_or(0);
            *natural = width.max(*natural);
            *least = word.clamp(MIN_COLUMN_CELLS, MAX_UNBROKEN_WORD_CELLS).min(width).max(*least);
        }
    }
    let wanted: usize = natural.iter().sum();
    if wanted <= room {
        return Some(natural);
    }
    let mut extra = room.checked_sub(least.iter().sum())?;
    let mut missing: usize = wanted - least.iter().sum::<usize>();
    // Each column gets its part of what is left, in proportion to what it lacks.
    for (least, natural) in least.iter_mut().zip(natural) {
        let lacks = natural - *least;
        let part = (lacks * extra).checked_div(missing).unwrap_or(0).min(lacks);
        *least += part;
        extra -= part;
        missing -= lacks;
    }
    Some(least)
}

fn lay_side_by_side(page: &mut LayoutBuilder, table: &Table, widths: &[usize], first: bool) {
    let empty = StyledText::default();
    let edge = TextStyle::new(Role::Border);
    for (index, row) in table.rows.iter().enumerate().skip(usize::from(!first)) {
        let cells: Vec<TableCell<'_>> = widths
            .iter()
            .enumerate()
            .map(|(column, &width)| {
                let flow = row.get(column).unwrap_or(&empty);
                let side = match table.alignments.get(column) {
                    Some(Alignment::Center) => CellAlign::Center,
                    Some(Alignment::Right) => CellAlign::Right,
                    Some(Alignment::Left | Alignment::None) | None => CellAlign::Left,
                };
                TableCell { content: flow, rows: wrap(&flow.text, width), width, side }
            })
            .collect();
        page.add_columns(&cells, (COLUMN_SEPARATOR, edge));
        if index == 0 {
            let rule: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
            page.add_row([(rule.join("─┼─").as_str(), edge)]);
        }
    }
}

fn lay_stacked(page: &mut LayoutBuilder, table: &Table, first: bool) {
    let Some((head, body)) = table.rows.split_first() else { return };
    if body.is_empty() && first {
        for cell in head {
            page.add_wrapped(cell);
        }
    }
    for (index, row) in body.iter().enumerate() {
        if index > 0 || !first {
            page.add_row([("─".repeat(page.room().min(8)).as_str(), TextStyle::new(Role::Border))]);
        }
        for (column, cell) in row.iter().enumerate() {
            let key = head.get(column).filter(|key| !key.is_empty());
            let mut flow = StyledText::default();
            if let Some(key) = key {
                flow.append(key);
                flow.push(": ", TextStyle::new(Role::Dim));
            }
            flow.append(cell);
            page.add_wrapped(&flow);
        }
    }
}
