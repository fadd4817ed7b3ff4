//! Writes a whole file, in one step.

use futures_util::future::BoxFuture;
use serde_json::json;

use super::args::Args;
use super::caps::size;
use super::file::{Before, LARGEST, diff, lines_changed, replace};
use super::place::{Place, locate};
use super::{Done, Tool, ToolCtx, ask, blocking, run_blocking};
use crate::event::{Ask, Json, Risk, ToolSpec};

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

    fn ask<'a>(&'a self, args: &'a Json, ctx: &'a ToolCtx) -> BoxFuture<'a, Result<Ask, String>> {
        Box::pin(blocking(args, ctx, |args, ctx| {
            let (place, content) = wanted(args, ctx)?;
            let detail = match Before::read(&place)? {
                Before::Nothing => diff(&place.shown, "", &content),
                Before::Text(text) if text == content => "(the file already has this content)".into(),
                Before::Text(text) => diff(&place.shown, &text, &content),
                Before::Other(what) => format!("replaces {what}\n{}", diff(&place.shown, "", &content)),
            };
            Ok(asked("write_file", &place, detail, ctx))
        }))
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolCtx) -> BoxFuture<'a, Done> {
        Box::pin(run_blocking(args, ctx, |args, ctx| {
            let (place, content) = wanted(args, ctx)?;
            let before = Before::read(&place)?;
            if ctx.cancel.is_cancelled() {
                return Ok(Done::cancelled("cancelled; nothing was written"));
            }
            replace(&place, &content)?;
            let bytes = size(content.len() as u64);
            Ok(Done::ok(match before {
                Before::Nothing => {
                    format!("created `{}`: {bytes}, {} lines", place.shown, content.lines().count())
                }
                Before::Text(text) => {
                    format!("wrote `{}`: {bytes}, {}", place.shown, lines_changed(&text, &content))
                }
                Before::Other(what) => format!("wrote `{}`: {bytes}, in place of {what}", place.shown),
            }))
        }))
    }
}

fn wanted(args: &Json, ctx: &ToolCtx) -> Result<(Place, String), String> {
    let args = Args::new(args)?;
    let path = args.text(&["path", "file_path", "file", "filename"])?;
    let content = args.text(&["content", "contents", "text"])?;
    if path.ends_with('/') {
        return Err(format!("`{path}` names a folder, not a file"));
    }
    if content.len() as u64 > LARGEST {
        return Err(format!(
            "the argument `content` has {}; {} are allowed",
            size(content.len() as u64),
            size(LARGEST)
        ));
    }
    Ok((locate(&path, ctx)?, content))
}

/// What the person is shown about a change. Where a change can make programs run, it counts as running one.
pub(super) fn asked(tool: &str, place: &Place, detail: String, ctx: &ToolCtx) -> Ask {
    let risk = if place.is_sensitive() { Risk::Execute } else { Risk::Write };
    Ask { detail, pattern: place.pattern(tool), ..ask(tool, risk, place.shown.clone(), ctx) }
}
