//! A unified diff in rows: line numbers, the sign, the code in its colours on a tint of its side, and within a changed
//! line what changed.
//!
//! Format: the unified format of GNU diff and git. Not for making diffs. The invariant: every line of the diff is told,
//! but for the names of the file that the reader is told anyway; a line that is no diff is shown as it is.

use std::ops::Range;

use crate::text::width::{expand_tabs, str_width};
use crate::text::wrap::wrap_hard;
use crate::ui::markdown::syntax::Syntax;
use crate::ui::text_layout::laid_out::{LayoutBuilder, StyledText};
use crate::ui::theme::{Role, TextStyle};

/// Cells of a line number.
const NUMBER_CELLS: usize = 4;
/// With less room there are no line numbers.
const MIN_NUMBERED_CELLS: usize = 36;
/// Lines of one side that are compared word by word with those of the other.
const MAX_PAIRED_LINES: usize = 200;
/// Longer lines are not compared.
const MAX_COMPARED_BYTES: usize = 2000;

/// What a line of a diff is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DiffLineKind {
    Added,
    Removed,
    Context,
    /// Between two places of the file.
    Gap,
    /// A file's name, or what is no diff.
    Other,
}

/// A line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DiffLine<'a> {
    kind: DiffLineKind,
    number: Option<u64>,
    text: &'a str,
    /// What of the text changed.
    changed: Range<usize>,
}

/// Where a reader of a diff is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct DiffReader {
    old: u64,
    new: u64,
    /// Lines of both sides that are still to come in this place; none where the header didn't say.
    left: Option<(u64, u64)>,
    in_hunk: bool,
    hunks: usize,
}

/// What a diff is drawn with.
#[derive(Clone, Copy, Debug)]
pub struct DiffView<'a> {
    /// The file that the reader is told: its names are left out, and its ending says the language.
    pub path: &'a str,
    /// What of the diff stands before the text.
    pub before: &'a str,
    /// At most so many rows.
    pub rows: usize,
    /// Nothing of the diff stands behind the text: a last row is shown where it would be the only one that is not.
    pub is_all: bool,
}

/// Lays out a cleaned text and returns how many of its lines are left out.
pub fn lay_diff(page: &mut LayoutBuilder, text: &str, view: DiffView<'_>) -> usize {
    let mut reader = DiffReader::default();
    view.before.lines().for_each(|line| {
        reader.read(line, view.path);
    });
    let lines: Vec<DiffLine<'_>> = text.split('\n').filter_map(|line| reader.read(line, view.path)).collect();
    let lines = paired(lines);
    let mut syntax = Syntax::named(view.path.rsplit(['/', '\\']).next().unwrap_or(view.path));
    let has_numbers = page.room() >= MIN_NUMBERED_CELLS && lines.iter().any(|line| line.number.is_some());
    let room = page.room().saturating_sub(gutter_cells(has_numbers)).max(1);
    let height = |line: &DiffLine<'_>| wrap_hard(&expand_tabs(line.text, 4), room).len().max(1);
    let mut shown = lines.len();
    if view.rows < usize::MAX {
        let mut used = 0;
        shown = lines
            .iter()
            .take_while(|line| {
                used += height(line);
                used <= view.rows
            })
            .count();
        let next = lines.get(shown).map_or(0, height);
        if view.is_all && shown + 1 == lines.len() && next == 1 {
            shown += 1;
        }
        // A line longer than all there is room for.
        shown = shown.max(usize::from(!lines.is_empty()));
    }
    for line in lines.iter().take(shown) {
        lay_line(page, line, &mut syntax, has_numbers, view.rows);
    }
    lines.len() - shown
}

fn gutter_cells(has_numbers: bool) -> usize {
    if has_numbers { NUMBER_CELLS + 3 } else { 2 }
}

fn lay_line(page: &mut LayoutBuilder, line: &DiffLine<'_>, syntax: &mut Syntax, has_numbers: bool, most: usize) {
    let (sign, side, role) = match line.kind {
        DiffLineKind::Added => ("+", TextStyle::ADDED_SIDE, Role::Added),
        DiffLineKind::Removed => ("-", TextStyle::REMOVED_SIDE, Role::Removed),
        DiffLineKind::Context => (" ", 0, Role::Text),
        DiffLineKind::Gap => ("⋯", 0, Role::Dim),
        DiffLineKind::Other => (" ", 0, Role::Dim),
    };
    let text = expand_tabs(line.text, 4);
    let mut flow = StyledText::default();
    match line.kind {
        DiffLineKind::Added | DiffLineKind::Removed | DiffLineKind::Context => {
            let changed = expanded(line.text, &line.changed);
            let mut at = 0;
            syntax.line(&text, &mut |piece, role| {
                // What changed may begin and end inside of a piece.
                let (start, end) = (at, at + piece.len());
                at = end;
                let cut = |place: usize| place.clamp(start, end) - start;
                let (from, to) = (cut(changed.start), cut(changed.end));
                let style = TextStyle::new(role).with(side);
                for (range, style) in
                    [(0..from, style), (from..to, style.with(TextStyle::CHANGED_PART)), (to..piece.len(), style)]
                {
                    flow.push(piece.get(range).unwrap_or(""), style);
                }
            });
        }
        DiffLineKind::Gap | DiffLineKind::Other => flow.push(&text, TextStyle::new(Role::Dim)),
    }
    let number = match (has_numbers, line.number) {
        (false, _) => String::new(),
        (true, Some(number)) => format!("{number:>NUMBER_CELLS$} "),
        (true, None) => " ".repeat(NUMBER_CELLS + 1),
    };
    let blank = " ".repeat(str_width(&number));
    let sign = format!("{sign} ");
    let (number_style, sign_style) = (TextStyle::new(Role::Dim).with(side), TextStyle::new(role).with(side));
    page.add_guttered(
        &flow,
        [(&number, number_style), (&sign, sign_style)],
        [(&blank, number_style), (&sign, sign_style)],
        (side != 0).then_some(TextStyle::default().with(side)),
        most,
    );
}

/// Returns where a range of a text is once its tabs are expanded.
fn expanded(text: &str, range: &Range<usize>) -> Range<usize> {
    let place = |at: usize| expand_tabs(text.get(..at).unwrap_or(text), 4).len();
    if range.is_empty() { 0..0 } else { place(range.start)..place(range.end) }
}

impl DiffReader {
    /// Reads the next line; none where it names the file that the reader knows.
    fn read<'a>(&mut self, line: &'a str, path: &str) -> Option<DiffLine<'a>> {
        let one = |kind, number, text| Some(DiffLine { kind, number, text, changed: 0..0 });
        if line.starts_with("@@") {
            return self.begin_hunk(line);
        }
        if self.in_hunk {
            let (sign, rest) = line.split_at(line.len().min(1));
            match sign {
                "+" if self.take(0, 1) => {
                    self.new += 1;
                    return one(DiffLineKind::Added, self.number(self.new), rest);
                }
                "-" if self.take(1, 0) => {
                    self.old += 1;
                    return one(DiffLineKind::Removed, self.number(self.old), rest);
                }
                " " | "" if self.take(1, 1) => {
                    (self.old, self.new) = (self.old + 1, self.new + 1);
                    return one(DiffLineKind::Context, self.number(self.new), rest);
                }
                "\\" => return one(DiffLineKind::Other, None, line),
                _ => {}
            }
        }
        self.in_hunk &= self.left.is_none();
        let name = line.strip_prefix("--- ").or_else(|| line.strip_prefix("+++ "));
        let is_known = |name: &str| {
            let name = name.split('\t').next().unwrap_or(name);
            !path.is_empty()
                && (name == path || name.get(2..) == Some(path) && (name.starts_with("a/") || name.starts_with("b/")))
        };
        match name {
            Some(name) if is_known(name) => None,
            _ => one(DiffLineKind::Other, None, line),
        }
    }

    /// `@@ -12,7 +12,8 @@ fn near()`; without numbers the rest is taken as it comes.
    fn begin_hunk<'a>(&mut self, line: &'a str) -> Option<DiffLine<'a>> {
        let (inside, label) = line.get(2..).unwrap_or("").split_once("@@").unwrap_or(("", ""));
        let side = |mark: char| {
            let numbers = inside.split_whitespace().find_map(|word| word.strip_prefix(mark))?;
            let (start, count) = numbers.split_once(',').unwrap_or((numbers, "1"));
            Some((start.parse::<u64>().ok()?, count.parse::<u64>().ok()?))
        };
        self.left = None;
        if let (Some((old, old_count)), Some((new, new_count))) = (side('-'), side('+')) {
            // An empty side is told by the line before it.
            let before = |start: u64, count: u64| if count == 0 { start } else { start.saturating_sub(1) };
            (self.old, self.new) = (before(old, old_count), before(new, new_count));
            self.left = Some((old_count, new_count));
        }
        (self.in_hunk, self.hunks) = (true, self.hunks + 1);
        let text = label.trim();
        let is_first = self.hunks == 1 && text.is_empty();
        (!is_first).then_some(DiffLine { kind: DiffLineKind::Gap, number: None, text, changed: 0..0 })
    }

    /// Takes lines of both sides off those that are to come.
    fn take(&mut self, old: u64, new: u64) -> bool {
        let Some((old_left, new_left)) = &mut self.left else { return true };
        match (old_left.checked_sub(old), new_left.checked_sub(new)) {
            (Some(old), Some(new)) => {
                (*old_left, *new_left) = (old, new);
                true
            }
            _ => false,
        }
    }

    fn number(&self, number: u64) -> Option<u64> {
        self.left.map(|_| number)
    }
}

/// Finds what changed in lines that stand for each other: as many that came as went, right behind them.
fn paired(mut lines: Vec<DiffLine<'_>>) -> Vec<DiffLine<'_>> {
    let mut at = 0;
    while at < lines.len() {
        let run = |from: usize, kind| lines.iter().skip(from).take_while(|line| line.kind == kind).count();
        let removed = run(at, DiffLineKind::Removed);
        let added = run(at + removed, DiffLineKind::Added);
        if removed == added && (1..=MAX_PAIRED_LINES).contains(&removed) {
            for nth in at..at + removed {
                if let Some((old, new)) = changed_ranges(lines[nth].text, lines[nth + removed].text) {
                    lines[nth].changed = old;
                    lines[nth + removed].changed = new;
                }
            }
        }
        at += (removed + added).max(1);
    }
    lines
}

/// Returns what differs between two lines that are alike; none where hardly anything is the same.
fn changed_ranges(old: &str, new: &str) -> Option<(Range<usize>, Range<usize>)> {
    if old.len().max(new.len()) > MAX_COMPARED_BYTES {
        return None;
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let same: usize =
        old.chars().zip(new.chars()).take_while(|(one, other)| one == other).map(|(c, _)| c.len_utf8()).sum();
    // Whole words: from the start of the one in which they part.
    let inside = |text: &str| text.get(same..).and_then(|rest| rest.chars().next()).is_some_and(is_word);
    let start = if inside(old) || inside(new) { old.get(..same)?.trim_end_matches(is_word).len() } else { same };
    let (old_rest, new_rest) = (old.get(start..)?, new.get(start..)?);
    let ends = old_rest.chars().rev().zip(new_rest.chars().rev());
    let tail: usize = ends.take_while(|(one, other)| one == other).map(|(c, _)| c.len_utf8()).sum();
    let kept = old_rest.get(old_rest.len() - tail..)?;
    let before =
        |rest: &str| rest.get(..rest.len() - tail).and_then(|head| head.chars().next_back()).is_some_and(is_word);
    let tail = if before(old_rest) || before(new_rest) { kept.trim_start_matches(is_word).len() } else { tail };
    let shared = old.get(..start)?.trim().len() + kept.get(kept.len() - tail..)?.trim().len();
    if shared * 3 < old.trim().len().max(new.trim().len()) {
        return None;
    }
    Some((start..old.len() - tail, start..new.len() - tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIFF: &str = "--- a/src/a.rs\n+++ b/src/a.rs\n@@ -9,4 +9,4 @@\n fn a() {\n-    let x = one(1);\n+    let x = \
                        two(1);\n }\n \n@@ -20 +20,2 @@ impl B\n x\n+y\n";

    fn laid(text: &str, width: u16, rows: usize) -> (Vec<String>, usize) {
        let mut page = LayoutBuilder::new(width);
        let view = DiffView { path: "src/a.rs", before: "", rows, is_all: true };
        let left = lay_diff(&mut page, text.trim_end(), view);
        (page.finish().to_strings().iter().map(|row| row.trim_end().to_owned()).collect(), left)
    }

    #[test]
    fn lines_have_their_numbers_and_the_known_file_is_not_named_again() {
        let (rows, left) = laid(DIFF, 60, usize::MAX);
        assert_eq!(
            rows,
            [
                "   9   fn a() {",
                "  10 -     let x = one(1);",
                "  10 +     let x = two(1);",
                "  11   }",
                "  12",
                "     ⋯ impl B",
                "  20   x",
                "  21 + y",
            ]
        );
        assert_eq!(left, 0);
        assert_eq!(laid(DIFF, 20, usize::MAX).0[1..3], ["-     let x = one(1)", "- ;"]);
    }

    #[test]
    fn a_single_line_is_not_left_out() {
        assert_eq!(laid(DIFF, 60, 7).1, 0);
        assert_eq!((laid(DIFF, 60, 6).0.len(), laid(DIFF, 60, 6).1), (6, 2));
    }

    #[test]
    fn a_part_goes_on_where_the_text_before_it_ended() {
        let at = DIFF.find("-    let").unwrap();
        let mut page = LayoutBuilder::new(60);
        let view = DiffView { path: "src/a.rs", before: &DIFF[..at], rows: usize::MAX, is_all: true };
        lay_diff(&mut page, &DIFF[at..], view);
        assert!(page.finish().row_text(0).starts_with("  10 - "));
    }

    #[test]
    fn dashes_inside_of_a_hunk_are_lines_and_other_files_are_named() {
        let text = "--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1 @@\n--- a/src/a.rs\n keep\n";
        let (rows, _) = laid(text, 60, usize::MAX);
        assert_eq!(rows, ["       --- a/x.sql", "       +++ b/x.sql", "   1 - -- a/src/a.rs", "   1   keep"]);
        assert_eq!(laid("@@\n-a\n+b", 60, usize::MAX).0, ["- a", "+ b"]);
    }

    #[test]
    fn what_changed_in_a_line_is_found_in_whole_words() {
        let changed = |old: &str, new: &str| {
            changed_ranges(old, new).map(|(one, other)| (old[one].to_owned(), new[other].to_owned()))
        };
        let pair = |one: &str, other: &str| Some((one.to_owned(), other.to_owned()));
        assert_eq!(changed("let total = 10;", "let total = 12;"), pair("10", "12"));
        assert_eq!(changed("call(alpha, beta)", "call(alpha, beta, gamma)"), pair("", ", gamma"));
        assert_eq!(changed("über = alt", "über = älter"), pair("alt", "älter"));
        assert_eq!(changed("completely", "different words"), None);
    }

    #[test]
    fn no_text_panics() {
        for text in ["", "@@", "@@ -x +y @@", "@@ -1 +1 @@\n", "+\n-\n\\ No newline", "@@ -0,0 +1,1 @@\n+漢字\t漢"] {
            for width in [1, 2, 10, 80] {
                laid(text, width, 3);
                laid(text, width, usize::MAX);
            }
        }
    }
}
