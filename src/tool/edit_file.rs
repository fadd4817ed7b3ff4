//! Replaces a piece of text in a file.
//!
//! The piece has to be unique unless all occurrences are meant: a wrong guess would damage a file silently. If nothing
//! matches, the error shows similar text, since the model's next attempt depends on it.

use std::fmt::Write as _;

use futures_util::future::BoxFuture;
use serde_json::json;
use similar::get_close_matches;

use super::args::ToolArgs;
use super::checked_path::{CheckedPath, resolve_path};
use super::file::{ExistingContent, open_regular, replace_file};
use super::hunks::{self, FileDiff};
use super::write_file::describe_write;
use super::{CallDescription, Tool, ToolContext, ToolResult, run_blocking, spawn_blocking_work};
use crate::event::{Json, Risk, ToolKind, ToolSpec};

pub(super) struct EditFile;

impl Tool for EditFile {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "edit_file".into(),
            description:
                "Replaces a string in a file with another. `old` must occur exactly once, white space included, \
                          unless `all` is true."
                    .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "The file, relative to the working folder."},
                    "old": {"type": "string", "description": "The text to replace, without line numbers."},
                    "new": {"type": "string", "description": "What to put there; empty deletes."},
                    "all": {"type": "boolean", "description": "Replace every occurrence. Default false."}
                },
                "required": ["path", "old", "new"]
            }),
            risk: Risk::Write,
        }
    }

    fn kind(&self) -> ToolKind {
        ToolKind::Edit
    }

    fn describe<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        Box::pin(spawn_blocking_work(args, ctx, |args, ctx| {
            let FileEdit { target: place, before, after, .. } = plan_edit(args, ctx)?;
            let (detail, hunks) = FileDiff::new(&place.display_path, &before, &after).text();
            Ok(CallDescription { hunks, ..describe_write(&place, detail) })
        }))
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        Box::pin(run_blocking(args, ctx, |args, ctx| {
            let FileEdit { target: place, before, after, count } = plan_edit(args, ctx)?;
            if let Some(approved) = &ctx.approved_hunks {
                return hunks::apply(&place, &before, &after, approved, ctx);
            }
            if ctx.cancel.is_cancelled() {
                return Ok(ToolResult::cancelled("cancelled; nothing was written"));
            }
            replace_file(&place, &after, ctx)?;
            let times = if count == 1 { "once".into() } else { format!("{count} times") };
            Ok(ToolResult::ok(format!(
                "replaced {times} in `{}`\n{}",
                place.display_path,
                FileDiff::new(&place.display_path, &before, &after).text().0
            )))
        }))
    }
}

struct FileEdit {
    target: CheckedPath,
    before: String,
    after: String,
    count: usize,
}

fn plan_edit(args: &Json, ctx: &ToolContext) -> Result<FileEdit, String> {
    let args = ToolArgs::new(args)?;
    let path = args.string(&["path", "file_path", "file", "filename"])?;
    let old = args.string(&["old", "old_string", "old_text"])?;
    let new = args.string(&["new", "new_string", "new_text"])?;
    let all = args.boolean(&["all", "replace_all"])?;
    if old.is_empty() {
        return Err("the argument `old` is empty; to write a whole file use write_file".into());
    }
    if old == new {
        return Err("the arguments `old` and `new` are the same".into());
    }
    let place = resolve_path(&path, ctx)?;
    open_regular(&place)?;
    let before = match ExistingContent::read(&place)? {
        ExistingContent::Text(text) => text,
        ExistingContent::Absent => return Err(format!("`{}`: no such file", place.display_path)),
        ExistingContent::Other(what) => {
            return Err(format!("`{}` is {what}, which can't be edited", place.display_path));
        }
    };
    let (after, count) =
        substitute(&before, &old, &new, all).map_err(|error| format!("`{}`: {error}", place.display_path))?;
    Ok(FileEdit { target: place, before, after, count })
}

fn substitute(before: &str, old: &str, new: &str, all: bool) -> Result<(String, usize), String> {
    // Models write LF; a file with CRLF keeps its line endings.
    let (old, new) = if !before.contains(old) && before.contains("\r\n") && !old.contains('\r') {
        (old.replace('\n', "\r\n"), new.replace("\r\n", "\n").replace('\n', "\r\n"))
    } else {
        (old.to_owned(), new.to_owned())
    };
    match before.matches(&old).count() {
        0 => Err(near_miss(before, &old)),
        1 => Ok((before.replacen(&old, &new, 1), 1)),
        count if all => Ok((before.replace(&old, &new), count)),
        count => {
            let mut lines: Vec<_> = before
                .match_indices(&old)
                .take(10)
                .map(|(at, _)| (before[..at].matches('\n').count() + 1).to_string())
                .collect();
            if count > lines.len() {
                lines.push("…".into());
            }
            Err(format!(
                "`old` occurs {count} times, at lines {}; add lines around it to make it unique, or set `all`",
                lines.join(", ")
            ))
        }
    }
}

/// Finds the text that the model may have meant.
fn near_miss(before: &str, old: &str) -> String {
    const MAX_COMPARED_LINES: usize = 20_000;
    let lines: Vec<&str> = before.lines().take(MAX_COMPARED_LINES).collect();
    let wanted: Vec<&str> = old.trim_matches(['\n', '\r']).lines().map(str::trim).collect();
    let mut text = "`old` does not occur in the file".to_owned();
    if wanted.iter().all(|line| line.is_empty()) {
        return text;
    }
    let same = |window: &[&str]| window.iter().zip(&wanted).all(|(line, wanted)| line.trim() == *wanted);
    if let Some(at) = lines.windows(wanted.len()).position(same) {
        let _ = write!(text, "; lines {} to {} differ from it only in white space:", at + 1, at + wanted.len());
        for line in lines.iter().skip(at).take(wanted.len().min(20)) {
            let _ = write!(text, "\n{line}");
        }
        return text;
    }
    if wanted.iter().any(|line| line.split_once('\t').is_some_and(|(n, _)| n.trim().parse::<u32>().is_ok())) {
        text.push_str("; leave out the line numbers that read_file adds");
        return text;
    }
    let first = wanted.iter().find(|line| line.len() > 2).copied().unwrap_or_default();
    let near: Vec<&str> = lines.iter().map(|line| line.trim()).filter(|l| (3..400).contains(&l.len())).collect();
    if first.len() < 400
        && let Some(close) = get_close_matches(first, &near, 1, 0.6).first()
        && let Some(at) = lines.iter().position(|line| line.trim() == *close)
    {
        let _ = write!(text, "; the line closest to its start is {}:\n{}", at + 1, lines[at]);
    } else {
        text.push_str("; read the file again, it may have changed");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_text_is_replaced() {
        assert_eq!(substitute("a b c", "b", "x", false), Ok(("a x c".into(), 1)));
        assert_eq!(substitute("a b b", "b", "x", true), Ok(("a x x".into(), 2)));
        assert_eq!(substitute("a\r\nb\r\nc\r\n", "a\nb", "x\ny", false), Ok(("x\r\ny\r\nc\r\n".into(), 1)));
    }

    #[test]
    fn a_repeated_text_is_refused_with_its_lines() {
        let error = substitute("b\n\nb\nab", "b", "x", false).unwrap_err();
        assert!(error.contains("3 times, at lines 1, 3, 4"), "{error}");
    }

    #[test]
    fn an_absent_text_is_refused_with_a_hint() {
        let file = "fn main() {\n    let total = 1;\n    work(total);\n}\n";
        let hint = |old| substitute(file, old, "x", false).unwrap_err();
        assert!(hint("let total = 1;\nwork(total);").contains("lines 2 to 3 differ from it only in white space"));
        assert!(hint("let totals = 1;").contains("closest to its start is 2"));
        assert!(hint("     2\tlet total = 1;").contains("line numbers"));
        assert!(hint("something else entirely").contains("read the file again"));
        assert!(hint("\n\n\n").contains("does not occur"));
    }
}
