//! A change of a file of which the person took some hunks.
//!
//! The invariant: what is applied was shown. The diff is made anew and has to be the one that was decided about; then the
//! hunks that were left out stay as the file has them.

use std::fmt::Write as _;
use std::time::Duration;

use similar::{DiffOp, TextDiff};

use super::checked_path::CheckedPath;
use super::file::replace_file;
use super::truncate::truncate_middle;
use super::{ToolContext, ToolResult};
use crate::event::HunkDecision;
use crate::text::hunks::{hunk_ranges, notes_text};

/// Diffs are shown to a person and logged.
const MAX_DIFF_BYTES: usize = 256 << 10;
/// Lines around a change; two that are nearer than both their lines are one hunk.
const CONTEXT_LINES: usize = 3;

/// What a person decided about the hunks of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedHunks {
    /// The diff, as it was shown.
    pub diff: String,
    pub decision: HunkDecision,
}

impl ApprovedHunks {
    /// Returns the notes on the hunks as one text; none if there are none.
    pub fn notes(&self) -> Option<String> {
        notes_text(&self.diff, self.decision.notes.iter().map(|note| (note.hunk, note.text.as_str())))
    }
}

/// A text before and after, line by line.
pub(super) struct FileDiff<'a> {
    path: &'a str,
    lines: TextDiff<'a, 'a, str>,
}

impl<'a> FileDiff<'a> {
    /// Compares two texts, limited in time.
    pub(super) fn new(path: &'a str, before: &'a str, after: &'a str) -> Self {
        let lines = TextDiff::configure().timeout(Duration::from_millis(500)).diff_lines(before, after);
        Self { path, lines }
    }

    /// Returns the unified diff, limited in size, and how many hunks of it can be decided one by one: none of one that is
    /// not shown whole.
    pub(super) fn text(&self) -> (String, u32) {
        let (old, new) = (format!("a/{}", self.path), format!("b/{}", self.path));
        let text = self.lines.unified_diff().context_radius(CONTEXT_LINES).header(&old, &new).to_string();
        let (text, is_cut) = truncate_middle(&text, MAX_DIFF_BYTES);
        let hunks = hunk_ranges(&text).len();
        let is_whole = !is_cut && hunks > 1 && hunks == self.groups().count();
        let hunks = u32::try_from(hunks).unwrap_or(0);
        (text, if is_whole { hunks } else { 0 })
    }

    /// Returns the text with only these hunks changed.
    fn with_hunks(&self, taken: &[u32]) -> String {
        let old: Vec<&str> = self.lines.iter_old_slices().collect();
        let new: Vec<&str> = self.lines.iter_new_slices().collect();
        let mut text = String::new();
        let mut at = 0;
        for (_, ops) in (1..).zip(self.groups()).filter(|(number, _)| taken.contains(number)) {
            for op in ops.iter().filter(|op| !matches!(op, DiffOp::Equal { .. })) {
                text.extend(old.get(at..op.old_range().start).unwrap_or_default().iter().copied());
                text.extend(new.get(op.new_range()).unwrap_or_default().iter().copied());
                at = op.old_range().end;
            }
        }
        text.extend(old.get(at..).unwrap_or_default().iter().copied());
        text
    }

    fn groups(&self) -> impl Iterator<Item = Vec<DiffOp>> {
        self.lines.grouped_ops(CONTEXT_LINES).into_iter().filter(|ops| !ops.is_empty())
    }
}

/// Applies the hunks that were taken of a change, and tells which, which not and why.
pub(super) fn apply(
    place: &CheckedPath,
    before: &str,
    after: &str,
    approved: &ApprovedHunks,
    ctx: &ToolContext,
) -> Result<ToolResult, String> {
    let path = &place.display_path;
    let diff = FileDiff::new(path, before, after);
    let (shown, hunks) = diff.text();
    if shown != approved.diff || !approved.decision.fits(hunks) {
        return Err(format!(
            "`{path}` changed after its hunks were decided, so nothing was done; check it and repeat the call if it \
             still makes sense"
        ));
    }
    if ctx.cancel.is_cancelled() {
        return Ok(ToolResult::cancelled("cancelled; nothing was written"));
    }
    let merged = diff.with_hunks(&approved.decision.taken);
    replace_file(place, &merged, ctx)?;
    let applied = FileDiff::new(path, before, &merged).text().0;
    Ok(ToolResult::ok(report(path, &applied, hunks, approved)))
}

/// Tells what was applied and what not. The words of the person come first: a long diff is cut in its middle.
fn report(path: &str, applied: &str, hunks: u32, approved: &ApprovedHunks) -> String {
    let ApprovedHunks { diff: shown, decision } = approved;
    let left_out = decision.left_out(hunks);
    let mut text = format!("applied {} of {hunks} to `{path}`", numbered(&decision.taken));
    if left_out.is_empty() {
        text.push_str("; that is all of the change");
    } else {
        let are = if left_out.len() == 1 { "was" } else { "were" };
        let _ = write!(text, "; the user left out {}, which {are} not applied", numbered(&left_out));
    }
    if let Some(notes) = approved.notes() {
        let _ = write!(text, "\nnotes of the user:\n{notes}");
    }
    let _ = write!(text, "\napplied:\n{}", applied.trim_end_matches('\n'));
    if !left_out.is_empty() {
        text.push_str("\nnot applied:");
    }
    let ranges = hunk_ranges(shown);
    for range in left_out.iter().filter_map(|hunk| ranges.get(*hunk as usize - 1)) {
        let _ = write!(text, "\n{}", shown[range.clone()].trim_end_matches('\n'));
    }
    text
}

/// Returns `hunk 2`, `hunks 1 and 3` or `hunks 1, 2 and 4`.
fn numbered(hunks: &[u32]) -> String {
    let words: Vec<String> = hunks.iter().map(u32::to_string).collect();
    match words.as_slice() {
        [one] => format!("hunk {one}"),
        [rest @ .., last] => format!("hunks {} and {last}", rest.join(", ")),
        [] => "no hunk".to_owned(),
    }
}

#[cfg(test)]
mod tests;
