//! Reads part of a text file, with line numbers.
//!
//! A file of any size is read in one pass with a fixed buffer; only the requested lines are kept, and long ones are
//! cut.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};

use futures_util::future::BoxFuture;
use serde_json::json;

use super::args::ToolArgs;
use super::checked_path::{CheckedPath, resolve_path};
use super::truncate::size;
use super::{CallDescription, Tool, ToolContext, ToolResult, file, run_blocking, spawn_blocking_work};
use crate::event::{Json, Risk, ToolKind, ToolSpec};

pub(super) struct ReadFile;

const DEFAULT_LINE_LIMIT: usize = 2000;
const MAX_LINE_BYTES: usize = 2000;
const MAX_OUTPUT_BYTES: usize = 256 << 10;
/// How far a file is read just to count its lines.
const MAX_SCANNED_BYTES: u64 = 64 << 20;

impl Tool for ReadFile {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "read_file".into(),
            description: "Reads a text file. Each line comes with its number and a tab, which are not part of the \
                          file. Long files come in parts: continue with `offset`."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "The file, relative to the working folder."},
                    "offset": {"type": "integer", "minimum": 1, "description": "First line, from 1. Default 1."},
                    "limit": {"type": "integer", "minimum": 1, "description": "Number of lines. Default 2000."}
                },
                "required": ["path"]
            }),
            risk: Risk::ReadOnly,
        }
    }

    fn kind(&self) -> ToolKind {
        ToolKind::Read
    }

    fn describe<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        Box::pin(spawn_blocking_work(args, ctx, |args, ctx| {
            let ReadFileArgs { target: place, .. } = parse_args(args, ctx)?;
            let similar = place.similar().into_iter().collect();
            Ok(CallDescription { similar, ..CallDescription::new(Risk::ReadOnly, place.display_path) })
        }))
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        Box::pin(run_blocking(args, ctx, |args, ctx| read_lines(&parse_args(args, ctx)?, ctx)))
    }
}

struct ReadFileArgs {
    target: CheckedPath,
    offset: usize,
    limit: usize,
}

fn parse_args(args: &Json, ctx: &ToolContext) -> Result<ReadFileArgs, String> {
    let args = ToolArgs::new(args)?;
    Ok(ReadFileArgs {
        target: resolve_path(&args.string(&["path", "file_path", "file", "filename"])?, ctx)?,
        offset: args.integer(&["offset", "start_line", "line"], 1, 0, usize::MAX)?.max(1),
        limit: args.integer(&["limit", "lines"], DEFAULT_LINE_LIMIT, 1, usize::MAX)?,
    })
}

fn read_lines(
    ReadFileArgs { target: place, offset, limit }: &ReadFileArgs,
    ctx: &ToolContext,
) -> Result<ToolResult, String> {
    let shown = &place.display_path;
    let (file, bytes) = file::open_regular(place)?;
    let mut file = BufReader::with_capacity(64 << 10, file.take(MAX_SCANNED_BYTES));
    let fault = |error: std::io::Error| format!("`{shown}`: {error}");
    let start = file.fill_buf().map_err(fault)?;
    if let Some(kind) = binary_kind(start) {
        return Err(format!("`{shown}` is not a text file but {kind} of {}", size(bytes)));
    }
    if start.is_empty() {
        return Ok(ToolResult::ok("(the file is empty)"));
    }

    let last = offset.saturating_add(*limit).saturating_sub(1);
    let mut text = String::new();
    let mut line = Vec::new();
    // Bytes of the current line, bytes so far, lines ended so far, last line that was kept.
    let (mut length, mut passed, mut ended, mut kept) = (0_usize, 0_u64, 0_usize, 0_usize);
    loop {
        if ctx.cancel.is_cancelled() {
            return Ok(ToolResult::cancelled(text));
        }
        let buffer = file.fill_buf().map_err(fault)?;
        let newline = memchr::memchr(b'\n', buffer);
        let part = &buffer[..newline.unwrap_or(buffer.len())];
        let number = ended + 1;
        let wanted = number >= *offset && number <= last && text.len() < MAX_OUTPUT_BYTES;
        if wanted {
            line.extend_from_slice(&part[..part.len().min(MAX_LINE_BYTES.saturating_sub(line.len()))]);
        }
        length += part.len();
        let at_end = buffer.is_empty();
        if newline.is_some() || (at_end && length > 0) {
            if wanted {
                push_line(&mut text, number, &line, length);
                kept = number;
            }
            line.clear();
            length = 0;
            ended += 1;
        }
        if at_end {
            break;
        }
        let used = part.len() + usize::from(newline.is_some());
        passed += used as u64;
        file.consume(used);
    }

    let more = if passed < bytes && passed >= MAX_SCANNED_BYTES { "at least " } else { "" };
    if kept == 0 {
        return Err(format!("`{shown}` has {more}{ended} lines; the argument `offset` is {offset}"));
    }
    if *offset > 1 || kept < ended {
        let _ = write!(text, "[lines {offset} to {kept} of {more}{ended}");
        let _ = if kept < ended { write!(text, "; continue with offset {}]", kept + 1) } else { write!(text, "]") };
    }
    Ok(ToolResult::ok(text))
}

fn push_line(text: &mut String, number: usize, line: &[u8], length: usize) {
    let content = String::from_utf8_lossy(line);
    let _ = write!(text, "{number:>6}\t{}", content.strip_suffix('\r').unwrap_or(&content));
    if length > line.len() {
        let _ = write!(text, " [… {} more]", size((length - line.len()) as u64));
    }
    text.push('\n');
}

/// Returns the kind of a binary file, judging by its first bytes.
pub(super) fn binary_kind(start: &[u8]) -> Option<&'static str> {
    const MAGIC_NUMBERS: &[(&[u8], &str)] = &[
        (b"\x89PNG\r\n", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"%PDF-", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive (or a document of that kind)"),
        (b"\x1f\x8b", "gzip-compressed data"),
        (b"\x28\xb5\x2f\xfd", "zstd-compressed data"),
        (b"\x7fELF", "a program"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\xff\xfe", "UTF-16 text"),
        (b"\xfe\xff", "UTF-16 text"),
    ];
    if start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP") {
        return Some("a WebP image");
    }
    MAGIC_NUMBERS
        .iter()
        .find_map(|(magic, kind)| start.starts_with(magic).then_some(*kind))
        .or_else(|| memchr::memchr(0, start).map(|_| "binary data"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::checked_path::tests::ctx;
    use super::*;

    fn check(folder: &Path, args: &Json) -> Result<String, String> {
        let ctx = ctx(folder);
        read_lines(&parse_args(args, &ctx)?, &ctx).map(|done| done.text)
    }

    #[test]
    fn a_piece_comes_with_numbers_and_says_how_to_go_on() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "one\r\ntwo\nthree\nfour").unwrap();
        let check = |args| check(folder.path(), &args).unwrap();
        assert_eq!(check(json!({"path": "a"})), "     1\tone\n     2\ttwo\n     3\tthree\n     4\tfour\n");
        assert_eq!(
            check(json!({"path": "a", "offset": 2, "limit": "2"})),
            "     2\ttwo\n     3\tthree\n[lines 2 to 3 of 4; continue with offset 4]"
        );
        assert_eq!(check(json!({"path": "a", "offset": 4})), "     4\tfour\n[lines 4 to 4 of 4]");
    }

    #[test]
    fn long_lines_and_long_files_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(200_000);
        std::fs::write(folder.path().join("a"), format!("{long}\nend\n")).unwrap();
        let text = check(folder.path(), &json!({"path": "a"})).unwrap();
        assert!(text.len() < 2100 && text.contains("[… 198.0 kB more]") && text.contains("2\tend"), "{text}");

        std::fs::write(folder.path().join("b"), "some line of text\n".repeat(100_000)).unwrap();
        let text = check(folder.path(), &json!({"path": "b", "limit": 1_000_000})).unwrap();
        assert!(text.len() < MAX_OUTPUT_BYTES + 100 && text.contains("of 100000; continue with offset"));
    }

    #[test]
    fn what_is_not_text_is_named_and_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.png"), b"\x89PNG\r\n\x1a\n\0\0").unwrap();
        std::fs::write(folder.path().join("nul"), b"ab\0c").unwrap();
        std::fs::write(folder.path().join("empty"), b"").unwrap();
        std::fs::write(folder.path().join("short"), b"1\n").unwrap();
        let fails = |args| check(folder.path(), &args).unwrap_err();
        assert!(fails(json!({"path": "x.png"})).contains("a PNG image of 10 bytes"));
        assert!(fails(json!({"path": "nul"})).contains("binary"));
        assert!(fails(json!({"path": "."})).contains("list_dir"));
        assert!(fails(json!({"path": "shrt"})).contains("there is short"));
        assert!(fails(json!({"path": "short", "offset": 9})).contains("has 1 lines"));
        assert_eq!(check(folder.path(), &json!({"path": "empty"})).unwrap(), "(the file is empty)");
    }

    #[test]
    fn devices_and_pipes_are_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        assert!(check(folder.path(), &json!({"path": "socket"})).unwrap_err().contains("not a regular file"));
    }
}
