//! Where the matches of a search are on laid-out rows.
//!
//! Rows are what is searched here, so that what is marked is what is seen. Cost: the rows given.

use crate::store::search::Matcher;
use crate::text::width::str_width;
use crate::ui::lines::Laid;

/// Cells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) row: u32,
    pub(super) start: u16,
    pub(super) end: u16,
    /// Which match it belongs to, counted in these rows.
    pub(super) nth: usize,
}

/// Returns the cells of all matches in `rows`.
pub(super) fn marks(laid: &Laid, matcher: &Matcher, rows: std::ops::Range<u32>) -> Vec<Mark> {
    let mut text = String::new();
    let mut starts = Vec::new();
    for row in rows.clone() {
        starts.push(text.len());
        text.push_str(laid.row_text(row));
        text.push('\n');
    }
    let mut marks = Vec::new();
    for (nth, found) in matcher.matches(&text).into_iter().enumerate() {
        let mut at = starts.partition_point(|start| *start <= found.start).saturating_sub(1);
        while let Some(&start) = starts.get(at).filter(|start| **start < found.end) {
            let row = rows.start + at as u32;
            let line = laid.row_text(row);
            // A row that goes on begins with its indent or bar.
            let lead = line.find(|c: char| !c.is_whitespace() && c != '│' && c != '┊').unwrap_or(0);
            let from = if found.start > start { found.start - start } else { lead.min(found.end - start) };
            let from = if found.start == start { 0 } else { from };
            let to = (found.end - start).min(line.len());
            if let (Some(before), Some(inside)) = (line.get(..from), line.get(from..to))
                && !inside.is_empty()
            {
                let left = str_width(before) as u16;
                marks.push(Mark { row, start: left, end: left.saturating_add(str_width(inside) as u16), nth });
            }
            at += 1;
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::lines::laid::lay_plain;
    use crate::ui::theme::Role;

    #[test]
    fn a_match_is_marked_over_wrapped_rows() {
        let laid = lay_plain("one two three x漢字 two", Role::Text, 9);
        assert_eq!(laid.to_strings(), ["one two", "three x漢", "字 two"]);
        let matcher = Matcher::new("two three", false).unwrap().unwrap();
        let cells =
            |marks: Vec<Mark>| marks.into_iter().map(|mark| (mark.row, mark.start, mark.end)).collect::<Vec<_>>();
        assert_eq!(cells(marks(&laid, &matcher, 0..3)), [(0, 4, 7), (1, 0, 5)]);
        let matcher = Matcher::new("two", false).unwrap().unwrap();
        assert_eq!(cells(marks(&laid, &matcher, 0..3)), [(0, 4, 7), (2, 3, 6)]);
        assert_eq!(cells(marks(&laid, &matcher, 2..3)), [(2, 3, 6)]);
    }
}
