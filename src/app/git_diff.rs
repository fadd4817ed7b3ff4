//! What differs in a folder from the last commit, as git tells it, and the files that git doesn't know yet.
//!
//! Not for the branch, for which no program is started (`git_branch.rs`). Invariant: nothing that the repository's own
//! settings name is run, neither for the diff nor beside it, and git writes nothing.

mod untracked;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::config::environment::without_keys;
use crate::text::one_line;

/// Bytes of a diff that are read.
const MAX_DIFF_BYTES: u64 = 4 << 20;
/// Bytes of a complaint that are read.
const MAX_ERROR_BYTES: u64 = 4096;
const DIFF_TIMEOUT: Duration = Duration::from_secs(10);
/// What keeps git from running what a repository names.
const SAFE_SETTINGS: [&str; 4] = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"];

/// Returns the unified diff of the working tree; the error is for the person.
pub(super) async fn git_diff(folder: &Path) -> Result<String, String> {
    // Those can't be switched off.
    if has_filters(folder).await? {
        return Err("git: the settings of this repository name programs that filter files".to_owned());
    }
    let mut command = git(folder);
    command.args(["diff", "HEAD", "--relative"]).args([
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        "--submodule=short",
    ]);
    let mut diff = said(command.args(["--", "."])).await?;
    let mut command = git(folder);
    let names = said(command.args(["ls-files", "--others", "--exclude-standard", "-z", "--", "."])).await?;
    let folder = folder.to_owned();
    let added = tokio::task::spawn_blocking(move || untracked::diff_of_files(&folder, &names)).await;
    diff.push_str(&added.map_err(|error| error.to_string())?);
    Ok(diff)
}

/// Runs git and returns what it prints, up to [`MAX_DIFF_BYTES`]; the error is for the person.
async fn said(command: &mut Command) -> Result<String, String> {
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| format!("git: {error}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let read = async move {
        let (mut told, mut complaint) = (Vec::new(), Vec::new());
        if let Some(out) = out {
            out.take(MAX_DIFF_BYTES).read_to_end(&mut told).await?;
        }
        if let Some(err) = err {
            err.take(MAX_ERROR_BYTES).read_to_end(&mut complaint).await?;
        }
        Ok::<_, std::io::Error>((told, complaint))
    };
    let (told, complaint) = match tokio::time::timeout(DIFF_TIMEOUT, read).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return Err(format!("git: {error}")),
        Err(_) => return Err(format!("git did not end within {} s", DIFF_TIMEOUT.as_secs())),
    };
    // Of what is longer the rest is not read, and git ends by that.
    if told.len() as u64 == MAX_DIFF_BYTES {
        return Ok(String::from_utf8_lossy(&told).into_owned());
    }
    match child.wait().await {
        Ok(status) if status.success() => Ok(String::from_utf8_lossy(&told).into_owned()),
        Ok(status) => {
            let told = String::from_utf8_lossy(&complaint);
            let line = told.lines().next().unwrap_or_default();
            let line = line.trim_start_matches("fatal: ").trim_start_matches("error: ");
            Err(if line.is_empty() { format!("git: {status}") } else { one_line(&format!("git: {line}"), 120) })
        }
        Err(error) => Err(format!("git: {error}")),
    }
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    without_keys(command.as_std_mut());
    command.args(SAFE_SETTINGS).args(["--no-pager", "--no-optional-locks"]);
    command.current_dir(folder).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Tells whether the repository's own settings name filters, which git would run to compare files.
async fn has_filters(folder: &Path) -> Result<bool, String> {
    let mut command = git(folder);
    let asked = command
        .args(["config", "--local", "--includes", "--name-only", "--get-regexp", "^filter[.]"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match tokio::time::timeout(DIFF_TIMEOUT, asked).await {
        Ok(Ok(status)) => Ok(status.success()),
        Ok(Err(error)) => Err(format!("git: {error}")),
        Err(_) => Err(format!("git did not end within {} s", DIFF_TIMEOUT.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_git(folder: &Path, args: &[&str]) {
        let status = std::process::Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b"])
            .args(args)
            .current_dir(folder)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(status.status.success(), "{status:?}");
    }

    #[tokio::test]
    async fn the_working_tree_is_compared_with_the_last_commit_and_nothing_of_the_repository_is_run() {
        let folder = tempfile::tempdir().unwrap();
        let why = git_diff(folder.path()).await.unwrap_err();
        assert!(why.starts_with("git: "), "{why}");
        run_git(folder.path(), &["init", "-q"]);
        std::fs::write(folder.path().join("a.txt"), "one\n").unwrap();
        std::fs::write(folder.path().join(".gitattributes"), "*.txt diff=evil\n").unwrap();
        run_git(folder.path(), &["add", "."]);
        run_git(folder.path(), &["commit", "-q", "-m", "first"]);
        assert_eq!(git_diff(folder.path()).await.as_deref(), Ok(""));
        let ran = folder.path().join("ran");
        let evil = format!("touch {}; cat", ran.display());
        for name in ["diff.external", "diff.evil.command", "diff.evil.textconv", "core.fsmonitor"] {
            run_git(folder.path(), &["config", name, &evil]);
        }
        std::fs::write(folder.path().join("a.txt"), "two\n").unwrap();
        std::fs::write(folder.path().join("b.txt"), "three\n").unwrap();
        std::fs::write(folder.path().join(".gitignore"), "*.log\n").unwrap();
        std::fs::write(folder.path().join("left.log"), "four\n").unwrap();
        let diff = git_diff(folder.path()).await.unwrap();
        assert!(diff.contains("+++ b/a.txt") && diff.contains("-one") && diff.contains("+two"), "{diff}");
        let new = diff.split("diff --git a/b.txt b/b.txt\n").nth(1).unwrap();
        assert_eq!(new, "new file\n--- /dev/null\n+++ b/b.txt\n@@ -0,0 +1,1 @@\n+three\n");
        assert!(!diff.contains("left.log"), "{diff}");
        assert!(!ran.exists());
        run_git(folder.path(), &["config", "filter.evil.clean", &evil]);
        let why = git_diff(folder.path()).await.unwrap_err();
        assert!(why.contains("filter files"), "{why}");
    }
}
