//! Lists a folder: folders first, sizes, ignored files left out.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use futures_util::future::BoxFuture;
use ignore::WalkBuilder;
use serde_json::json;

use super::args::Args;
use super::caps::size;
use super::place::{Place, locate};
use super::{Done, Tool, ToolCtx, ask, blocking, run_blocking};
use crate::event::{Ask, Json, Risk, ToolSpec};

pub(super) struct ListDir;

/// Entries that are shown, and that are looked at.
const SHOWN: usize = 500;
const SEEN: usize = 50_000;

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

    fn ask<'a>(&'a self, args: &'a Json, ctx: &'a ToolCtx) -> BoxFuture<'a, Result<Ask, String>> {
        Box::pin(blocking(args, ctx, |args, ctx| {
            let Listing { place, .. } = listing(args, ctx)?;
            Ok(ask("list_dir", Risk::ReadOnly, place.shown, ctx))
        }))
    }

    fn run<'a>(&'a self, args: &'a Json, ctx: &'a ToolCtx) -> BoxFuture<'a, Done> {
        Box::pin(run_blocking(args, ctx, |args, ctx| list(&listing(args, ctx)?, ctx)))
    }
}

struct Listing {
    place: Place,
    depth: usize,
    all: bool,
}

fn listing(args: &Json, ctx: &ToolCtx) -> Result<Listing, String> {
    let args = Args::new(args)?;
    let path = args.text_if(&["path", "dir", "directory", "folder"])?.filter(|path| !path.trim().is_empty());
    Ok(Listing {
        place: locate(path.as_deref().unwrap_or("."), ctx)?,
        depth: args.count(&["depth"], 1, 1, 20)?,
        all: args.flag(&["all"])?,
    })
}

struct Entry {
    path: PathBuf,
    is_folder: bool,
    note: String,
}

fn list(Listing { place, depth, all }: &Listing, ctx: &ToolCtx) -> Result<Done, String> {
    let shown = &place.shown;
    let meta = std::fs::metadata(&place.path).map_err(|error| format!("`{shown}`: {error}"))?;
    if !meta.is_dir() {
        return Err(format!("`{shown}` is not a folder; read_file reads files"));
    }
    let mut entries = Vec::new();
    let mut unreadable = 0_usize;
    let mut whole = true;
    for entry in walker(&place.path, *all).max_depth(Some(*depth)).build() {
        if ctx.cancel.is_cancelled() {
            return Ok(Done::cancelled(show(entries, unreadable, false)));
        }
        match entry {
            Ok(entry) if entry.depth() == 0 => {}
            Ok(entry) => match described(&entry, &place.path) {
                Some(entry) => entries.push(entry),
                None => unreadable += 1,
            },
            Err(_) => unreadable += 1,
        }
        if entries.len() >= SEEN {
            whole = false;
            break;
        }
    }
    Ok(Done::ok(show(entries, unreadable, whole)))
}

/// Returns a walk that honours ignore files, in a repository or not, shows dot files but `.git`, and follows no links.
pub(super) fn walker(root: &Path, all: bool) -> WalkBuilder {
    let mut walk = WalkBuilder::new(root);
    walk.standard_filters(!all).hidden(false).require_git(false).follow_links(false);
    walk.filter_entry(move |entry| all || entry.depth() == 0 || entry.file_name() != ".git");
    walk
}

fn described(entry: &ignore::DirEntry, root: &Path) -> Option<Entry> {
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
    Some(Entry { path: entry.path().strip_prefix(root).ok()?.to_owned(), is_folder: kind.is_dir(), note })
}

fn show(mut entries: Vec<Entry>, unreadable: usize, whole: bool) -> String {
    entries.sort_by(in_order);
    let mut text = String::new();
    for entry in entries.iter().take(SHOWN) {
        // A line break in a name would forge an entry.
        let name = entry.path.to_string_lossy().replace(['\n', '\r'], "\u{fffd}");
        let _ = writeln!(text, "{name}{}{}", if entry.is_folder { "/" } else { "" }, entry.note);
    }
    if entries.len() > SHOWN {
        let more = if whole { "" } else { "at least " };
        let _ = writeln!(text, "[{more}{} more; name a deeper folder to see them]", entries.len() - SHOWN);
    }
    if unreadable > 0 {
        let _ = writeln!(text, "[{unreadable} could not be read]");
    }
    if text.is_empty() { "(nothing here)".into() } else { text }
}

/// Folders come before files on each level, with what is in them right behind.
fn in_order(a: &Entry, b: &Entry) -> Ordering {
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

    use super::super::place::tests::ctx;
    use super::*;

    fn check(folder: &Path, args: &Json) -> Result<String, String> {
        let ctx = ctx(folder);
        list(&listing(args, &ctx)?, &ctx).map(|done| done.text)
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
        for n in 0..SHOWN + 7 {
            fs::write(folder.path().join(n.to_string()), "").unwrap();
        }
        let text = check(folder.path(), &json!({})).unwrap();
        assert_eq!(text.lines().count(), SHOWN + 1);
        assert!(text.ends_with("[7 more; name a deeper folder to see them]\n"));
    }
}
