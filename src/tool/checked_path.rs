//! Restricts file tools to the working folder and the folders the person added, symlinks resolved.
//!
//! A path is checked in its canonical form, and that form is opened. Changes that another program makes between check
//! and use are not covered; only the shell tool could run such a program, and it has no need to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::ToolContext;

/// A path that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckedPath {
    /// Canonical; if the file doesn't exist yet, its existing parents are.
    pub(super) path: PathBuf,
    /// Relative to the working folder, or absolute in one of the extra folders. Rules match against it.
    pub(super) display_path: String,
}

impl CheckedPath {
    /// Returns the subject with `*` that stands for "in this file's folder".
    pub(super) fn similar(&self) -> Option<String> {
        if self.display_path.contains(['*', '\n', '\r']) {
            return None;
        }
        Some(match self.display_path.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/*"),
            None => self.display_path.clone(),
        })
    }

    /// Returns whether a change here may cause programs to run: git hooks, settings of this program.
    pub(super) fn is_sensitive(&self) -> bool {
        self.path.components().any(|part| {
            let part = part.as_os_str();
            part.eq_ignore_ascii_case(".git") || part.eq_ignore_ascii_case(".jarvis")
        })
    }
}

/// Resolves the path that a model wrote, or returns why it can't be used.
pub(super) fn resolve_path(text: &str, ctx: &ToolContext) -> Result<CheckedPath, String> {
    resolve_in(text, &ctx.folder, &ctx.extra_folders)
}

/// Resolves a path in a folder, or in one of the extra folders; all of them canonical.
pub(super) fn resolve_in(text: &str, folder: &PathBuf, extra_folders: &[PathBuf]) -> Result<CheckedPath, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the argument `path` is empty".into());
    }
    let path = canonicalize_existing(&folder.join(expand_home(text))).map_err(|error| format!("`{text}`: {error}"))?;
    if let Ok(relative) = path.strip_prefix(folder) {
        let shown = relative.to_string_lossy();
        return Ok(CheckedPath { display_path: if shown.is_empty() { ".".into() } else { shown.into_owned() }, path });
    }
    if extra_folders.iter().any(|folder| path.starts_with(folder)) {
        return Ok(CheckedPath { display_path: path.to_string_lossy().into_owned(), path });
    }
    let allowed: Vec<_> = std::iter::once(folder).chain(extra_folders).map(|f| f.display().to_string()).collect();
    Err(format!(
        "`{text}` is outside {}; file tools stay inside, and only the setting `folders` under [tools] allows more",
        allowed.join(" and ")
    ))
}

/// Canonicalizes the deepest part that exists. The rest may not contain `..` or dangling links.
fn canonicalize_existing(path: &Path) -> Result<PathBuf, String> {
    let mut rest = Vec::new();
    let mut existing = path;
    loop {
        match fs::canonicalize(existing) {
            Ok(found) => {
                if !rest.is_empty() && !found.is_dir() {
                    return Err("a file is in the way where a folder is needed".into());
                }
                return Ok(rest.into_iter().rev().fold(found, |path, name| path.join(name)));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.to_string()),
            Err(_) if existing.is_symlink() => return Err("a symbolic link that leads nowhere".into()),
            Err(_) => {}
        }
        let (Some(parent), Some(name)) = (existing.parent(), existing.file_name()) else {
            return Err("no such file or folder".into());
        };
        rest.push(name);
        existing = parent;
    }
}

/// Resolves a `~` at the beginning.
pub fn expand_home(text: &str) -> PathBuf {
    let home = || std::env::home_dir().filter(|home| home.is_absolute());
    match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            home().map_or_else(|| text.into(), |home| home.join(rest.trim_start_matches('/')))
        }
        _ => text.into(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use super::*;

    /// A context for a new folder; what calls report goes nowhere.
    pub(crate) fn ctx(folder: &Path) -> ToolContext {
        ToolContext {
            folder: folder.canonicalize().unwrap(),
            extra_folders: Vec::new(),
            hidden_env_vars: [].into(),
            sandbox: None,
            check_subject: std::sync::Arc::new(|_| crate::tool::SubjectPermission::Allowed),
            resources: None,
            approved_hunks: None,
            keep_version: None,
            background: None,
            ask: None,
            progress: mpsc::channel(1).0,
            cancel: CancellationToken::new(),
        }
    }

    #[test]
    fn paths_inside_are_shown_relative_and_escapes_are_refused() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ctx = ctx(inside.path());
        fs::create_dir_all(inside.path().join("src/deep")).unwrap();
        fs::write(outside.path().join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret"), inside.path().join("file")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("absent"), inside.path().join("dangling")).unwrap();
        std::os::unix::fs::symlink("src/deep", inside.path().join("short")).unwrap();
        std::os::unix::fs::symlink("loop", inside.path().join("loop")).unwrap();
        fs::write(inside.path().join("plain"), "x").unwrap();

        let absolute = ctx.folder.join("src").display().to_string();
        for (text, shown) in [
            (".", "."),
            ("src/../src/deep", "src/deep"),
            ("new/er/file.txt", "new/er/file.txt"),
            ("short/x", "src/deep/x"),
            (absolute.as_str(), "src"),
        ] {
            assert_eq!(resolve_path(text, &ctx).map(|place| place.display_path), Ok(shown.into()), "{text}");
        }
        let secret = outside.path().join("secret").display().to_string();
        for text in
            ["..", "../x", "/etc/passwd", "link/secret", "link/new", "file", "src/../../x", secret.as_str(), "~/.ssh"]
        {
            let error = resolve_path(text, &ctx).unwrap_err();
            assert!(error.contains("`folders` under [tools]"), "{text}: {error}");
        }
        for text in ["", "dangling", "absent/../../x", "loop", "plain/x", "short/../../../x/.."] {
            resolve_path(text, &ctx).unwrap_err();
        }
    }

    #[test]
    fn further_folders_are_allowed_when_named() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut ctx = ctx(inside.path());
        let other = outside.path().canonicalize().unwrap();
        ctx.extra_folders.push(other.clone());
        let wanted = other.join("x").display().to_string();
        assert_eq!(resolve_path(&wanted, &ctx).unwrap().display_path, wanted);
    }

    #[test]
    fn patterns_name_the_folder() {
        let place = |shown: &str| CheckedPath { path: shown.into(), display_path: shown.into() };
        assert_eq!(place("src/a/b.rs").similar().unwrap(), "src/a/*");
        assert_eq!(place("README.md").similar().unwrap(), "README.md");
        assert_eq!(place("a*b").similar(), None);
        assert!(place("x/.git/hooks/pre-commit").is_sensitive() && !place("x/.github/y").is_sensitive());
    }
}
