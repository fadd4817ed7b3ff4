//! Writes a whole file, in one step.

use futures_util::future::BoxFuture;
use serde_json::json;

use super::args::ToolArgs;
use super::checked_path::{CheckedPath, resolve_path};
use super::file::{ExistingContent, MAX_FILE_BYTES, count_changes, replace_file};
use super::hunks::{self, FileDiff};
use super::truncate::size;
use super::{CallDescription, Tool, ToolContext, ToolResult, run_blocking, spawn_blocking_work};
use crate::event::{Json, Risk, ToolKind, ToolSpec};

pub(super) struct WriteFile;

impl Tool for WriteFile {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "write_file".into(),
            description: "Writes a text file, replacing what was there; missing folders are created. To change a part \
                          of a file use edit_file."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "The file, relative to the working folder."},
                    "content": {"type": "string", "description": "The whole new content."}
                },
                "required": ["path", "content"]
            }),
            risk: Risk::Write,
        }
    }

    fn kind(&self) -> ToolKind {
        ToolKind::Edit
    }

    fn describe<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        Box::pin(spawn_blocking_work(args, ctx, |args, ctx| {
            let (place, content) = parse_args(args, ctx)?;
            let diff = |before: &str| FileDiff::new(&place.display_path, before, &content).text();
            let (detail, hunks) = match ExistingContent::read(&place)? {
                ExistingContent::Absent => (diff("").0, 0),
                ExistingContent::Text(text) if text == content => ("(the file already has this content)".into(), 0),
                ExistingContent::Text(text) => diff(&text),
                ExistingContent::Other(what) => (format!("replaces {what}\n{}", diff("").0), 0),
            };
            Ok(CallDescription { hunks, ..describe_write(&place, detail) })
        }))
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        Box::pin(run_blocking(args, ctx, |args, ctx| {
            let (place, content) = parse_args(args, ctx)?;
            let before = ExistingContent::read(&place)?;
            if let Some(approved) = &ctx.approved_hunks {
                let text = if let ExistingContent::Text(text) = &before { text } else { "" };
                return hunks::apply(&place, text, &content, approved, ctx);
            }
            if ctx.cancel.is_cancelled() {
                return Ok(ToolResult::cancelled("cancelled; nothing was written"));
            }
            replace_file(&place, &content, ctx)?;
            let bytes = size(content.len() as u64);
            Ok(ToolResult::ok(match before {
                ExistingContent::Absent => {
                    format!("created `{}`: {bytes}, {} lines", place.display_path, content.lines().count())
                }
                ExistingContent::Text(text) => {
                    format!("wrote `{}`: {bytes}, {}", place.display_path, count_changes(&text, &content))
                }
                ExistingContent::Other(what) => format!("wrote `{}`: {bytes}, in place of {what}", place.display_path),
            }))
        }))
    }
}

fn parse_args(args: &Json, ctx: &ToolContext) -> Result<(CheckedPath, String), String> {
    let args = ToolArgs::new(args)?;
    let path = args.string(&["path", "file_path", "file", "filename"])?;
    let content = args.string(&["content", "contents", "text"])?;
    if path.ends_with('/') {
        return Err(format!("`{path}` names a folder, not a file"));
    }
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(format!(
            "the argument `content` has {}; at most {} are allowed",
            size(content.len() as u64),
            size(MAX_FILE_BYTES)
        ));
    }
    Ok((resolve_path(&path, ctx)?, content))
}

/// Describes a change of a file. If it can cause programs to run, it counts as running one.
pub(super) fn describe_write(place: &CheckedPath, detail: String) -> CallDescription {
    let risk = if place.is_sensitive() { Risk::Execute } else { Risk::Write };
    CallDescription {
        detail,
        similar: place.similar().into_iter().collect(),
        ..CallDescription::new(risk, place.display_path.clone())
    }
}
