//! Which branch is checked out, read from the files of git without git: the program need not be there, and is not asked
//! at every turn.
//!
//! Format: `gitrepository-layout(5)`: `.git` is a folder, or a file `gitdir: PATH` in a linked worktree or a submodule;
//! its `HEAD` is `ref: refs/heads/NAME`, or a commit.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Both files hold one line.
const MAX_LINE_BYTES: u64 = 4096;
/// Hexadecimal digits of a commit that are shown.
const COMMIT_DIGITS: usize = 7;

/// Returns the branch of the working tree that a folder lies in, or the beginning of its commit.
pub(super) fn read_branch(folder: &Path) -> Option<String> {
    let git = folder.ancestors().map(|folder| folder.join(".git")).find(|git| git.exists())?;
    branch_of(&read_line(&git_dir(git)?.join("HEAD"))?)
}

fn git_dir(git: PathBuf) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git);
    }
    let line = read_line(&git)?;
    let path = Path::new(line.strip_prefix("gitdir:")?.trim());
    Some(git.parent()?.join(path))
}

fn read_line(file: &Path) -> Option<String> {
    // A pipe would never end.
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(file).ok()?.take(MAX_LINE_BYTES).read_to_string(&mut text).ok()?;
    Some(text.lines().next()?.trim_end().to_owned())
}

fn branch_of(head: &str) -> Option<String> {
    match head.strip_prefix("ref:") {
        Some(name) => {
            let name = name.trim();
            let name = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/")).unwrap_or(name);
            // What git writes there when the references are kept in another format.
            Some(name.to_owned()).filter(|name| !name.is_empty() && name != ".invalid")
        }
        None if head.len() >= COMMIT_DIGITS && head.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Some(head[..COMMIT_DIGITS].to_owned())
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_branch_is_found_from_below_and_in_a_linked_worktree() {
        let root = tempfile::tempdir().unwrap();
        let (main, linked) = (root.path().join("main"), root.path().join("linked"));
        fs::create_dir_all(main.join(".git/worktrees/linked")).unwrap();
        fs::create_dir_all(main.join("src/deep")).unwrap();
        fs::create_dir_all(&linked).unwrap();
        assert_eq!(read_branch(&main), None);
        fs::write(main.join(".git/HEAD"), "ref: refs/heads/feature/x\n").unwrap();
        assert_eq!(read_branch(&main.join("src/deep")).as_deref(), Some("feature/x"));
        fs::write(main.join(".git/worktrees/linked/HEAD"), "0123456789abcdef0123456789abcdef01234567\n").unwrap();
        fs::write(linked.join(".git"), "gitdir: ../main/.git/worktrees/linked\n").unwrap();
        assert_eq!(read_branch(&linked).as_deref(), Some("0123456"));
    }

    #[test]
    fn what_is_no_head_is_no_branch() {
        let cases = ["", "ref: ", "ref: refs/heads/.invalid", "hello there", "0123", "漢字漢字漢字漢字"];
        assert!(cases.into_iter().all(|head| branch_of(head).is_none()));
    }
}
