//! Lists a folder: folders first, with sizes, without ignored files.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use ignore::WalkBuilder;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::ToolArgs;
use super::checked_path::{CheckedPath, resolve_path};
use super::truncate::size;
use super::{CallDescription, Tool, ToolContext, ToolResult, run_blocking, spawn_blocking_work};
use crate::event::{Json, Risk, ToolKind, ToolSpec};

pub(super) struct ListDir;

/// Limits on the entries shown, and on those read.
const MAX_SHOWN_ENTRIES: usize = 500;
const MAX_VISITED_ENTRIES: usize = 50_000;

impl Tool for ListDir {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "list_dir".into(),
            description: "Lists the files and folders in a folder, with sizes. What ignore files such as .gitignore \
                          name is left out unless `all` is true."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "The folder. Default: the working folder."},
                    "depth": {"type": "integer", "minimum": 1, "description": "Levels to descend. Default 1."},
                    "all": {"type": "boolean", "description": "List ignored files too. Default false."}
                }
            }),
            risk: Risk::ReadOnly,
        }
    }

    fn kind(&self) -> ToolKind {
        ToolKind::Read
    }

    fn describe<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, Result<CallDescription, String>> {
        Box::pin(spawn_blocking_work(args, ctx, |args, ctx| {
            let ListDirArgs { folder: place, .. } = parse_args(args, ctx)?;
            Ok(CallDescription::new(Risk::ReadOnly, place.display_path))
        }))
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        Box::pin(run_blocking(args, ctx, |args, ctx| list_folder(&parse_args(args, ctx)?, ctx)))
    }
}

struct ListDirArgs {
    folder: CheckedPath,
    depth: usize,
    all: bool,
}

fn parse_args(args: &Json, ctx: &ToolContext) -> Result<ListDirArgs, String> {
    let args = ToolArgs::new(args)?;
    let path = args.optional_string(&["path", "dir", "directory", "folder"])?.filter(|path| !path.trim().is_empty());
    Ok(ListDirArgs {
        folder: resolve_path(path.as_deref().unwrap_or("."), ctx)?,
        depth: args.integer(&["depth"], 1, 1, 20)?,
        all: args.boolean(&["all"])?,
    })
}

struct DirItem {
    path: PathBuf,
    is_folder: bool,
    note: String,
}

fn list_folder(ListDirArgs { folder, depth, all }: &ListDirArgs, ctx: &ToolContext) -> Result<ToolResult, String> {
    let text = list_entries(folder, *depth, *all, &ctx.cancel)?;
    Ok(if ctx.cancel.is_cancelled() { ToolResult::cancelled(text) } else { ToolResult::ok(text) })
}

/// Lists a folder; when that is cancelled, what was seen so far.
pub(super) fn list_entries(
    place: &CheckedPath,
    depth: usize,
    all: bool,
    cancel: &CancellationToken,
) -> Result<String, String> {
    let shown = &place.display_path;
    let meta = std::fs::metadata(&place.path).map_err(|error| format!("`{shown}`: {error}"))?;
    if !meta.is_dir() {
        return Err(format!("`{shown}` is not a folder; read_file reads files"));
    }
    let mut entries = Vec::new();
    let mut unreadable = 0_usize;
    let mut whole = true;
    for entry in walker(&place.path, all).max_depth(Some(depth)).build() {
        if cancel.is_cancelled() {
            return Ok(format_entries(entries, unreadable, false));
        }
        match entry {
            Ok(entry) if entry.depth() == 0 => {}
            Ok(entry) => match describe_entry(&entry, &place.path) {
                Some(entry) => entries.push(entry),
                None => unreadable += 1,
            },
            Err(_) => unreadable += 1,
        }
        if entries.len() >= MAX_VISITED_ENTRIES {
            whole = false;
            break;
        }
    }
    Ok(format_entries(entries, unreadable, whole))
}

/// Returns a walk that respects ignore files, in a repository or not, includes dot files except `.git`, and follows no
/// links.
pub(super) fn walker(root: &Path, all: bool) -> WalkBuilder {
    let mut walk = WalkBuilder::new(root);
    walk.standard_filters(!all).hidden(false).require_git(false).follow_links(false);
    walk.filter_entry(move |entry| all || entry.depth() == 0 || entry.file_name() != ".git");
    walk
}

fn describe_entry(entry: &ignore::DirEntry, root: &Path) -> Option<DirItem> {
    let kind = entry.file_type()?;
    let note = if kind.is_dir() {
        String::new()
    } else if kind.is_symlink() {
        std::fs::read_link(entry.path()).map(|to| format!(" -> {}", to.display())).unwrap_or_default()
    } else if kind.is_file() {
        format!("  {}", size(entry.metadata().ok()?.len()))
    } else {
        "  (special file)".into()
    };
    Some(DirItem { path: entry.path().strip_prefix(root).ok()?.to_owned(), is_folder: kind.is_dir(), note })
}

fn format_entries(mut entries: Vec<DirItem>, unreadable: usize, whole: bool) -> String {
    entries.sort_by(compare_entries);
    let mut text = String::new();
    for entry in entries.iter().take(MAX_SHOWN_ENTRIES) {
        // A newline in a name would forge an entry.
        let name = entry.path.to_string_lossy().replace(['\n', '\r'], "\u{fffd}");
        let _ = writeln!(text, "{name}{}{}", if entry.is_folder { "/" } else { "" }, entry.note);
    }
    if entries.len() > MAX_SHOWN_ENTRIES {
        let more = if whole { "" } else { "at least " };
        let _ = writeln!(text, "[{more}{} more; name a deeper folder to see them]", entries.len() - MAX_SHOWN_ENTRIES);
    }
    if unreadable > 0 {
        let _ = writeln!(text, "[{unreadable} could not be read]");
    }
    if text.is_empty() { "(nothing here)".into() } else { text }
}

/// Sorts folders before files on each level, their contents right behind them.
fn compare_entries(a: &DirItem, b: &DirItem) -> Ordering {
    let (mut left, mut right) = (a.path.components().peekable(), b.path.components().peekable());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, _) => return Ordering::Less,
            (_, None) => return Ordering::Greater,
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => {
                let x_is_folder = left.peek().is_some() || a.is_folder;
                let y_is_folder = right.peek().is_some() || b.is_folder;
                return y_is_folder.cmp(&x_is_folder).then_with(|| x.cmp(&y));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::checked_path::tests::ctx;
    use super::*;

    fn check(folder: &Path, args: &Json) -> Result<String, String> {
        let ctx = ctx(folder);
        list_folder(&parse_args(args, &ctx)?, &ctx).map(|done| done.text)
    }

    #[test]
    fn folders_come_first_and_ignored_files_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("src/deep")).unwrap();
        fs::create_dir_all(at("target")).unwrap();
        fs::create_dir_all(at(".git")).unwrap();
        fs::write(at(".gitignore"), "target\n*.log\n").unwrap();
        fs::write(at("a.log"), "x").unwrap();
        fs::write(at("README.md"), "x".repeat(1500)).unwrap();
        fs::write(at("src/main.rs"), "x").unwrap();
        std::os::unix::fs::symlink("README.md", at("link")).unwrap();
        assert_eq!(
            check(folder.path(), &json!({})).unwrap(),
            "src/\n.gitignore  13 bytes\nREADME.md  1.5 kB\nlink -> README.md\n"
        );
        assert_eq!(check(folder.path(), &json!({"path": "src", "depth": 2})).unwrap(), "deep/\nmain.rs  1 byte\n");
        assert!(check(folder.path(), &json!({"all": true})).unwrap().starts_with(".git/\nsrc/\ntarget/\n"));
        let deep = check(folder.path(), &json!({"depth": 3})).unwrap();
        assert!(deep.starts_with("src/\nsrc/deep/\nsrc/main.rs  1 byte\n.gitignore"), "{deep}");
        assert_eq!(check(folder.path(), &json!({"path": "src/deep"})).unwrap(), "(nothing here)");
        assert!(check(folder.path(), &json!({"path": "README.md"})).unwrap_err().contains("read_file"));
        assert!(check(folder.path(), &json!({"path": "absent"})).is_err());
    }

    #[test]
    fn long_listings_are_cut_and_say_so() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..MAX_SHOWN_ENTRIES + 7 {
            fs::write(folder.path().join(n.to_string()), "").unwrap();
        }
        let text = check(folder.path(), &json!({})).unwrap();
        assert_eq!(text.lines().count(), MAX_SHOWN_ENTRIES + 1);
        assert!(text.ends_with("[7 more; name a deeper folder to see them]\n"));
    }
}
