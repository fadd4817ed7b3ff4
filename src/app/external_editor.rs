//! The draft in the person's own editor: `$VISUAL`, else `$EDITOR`, else vi.
//!
//! Not here: giving the terminal over (`term.rs`). Invariants: the file is its owner's only and is removed; an editor
//! that fails changes nothing; no key is in its environment.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use tokio::process::{Child, Command};

use crate::config::environment::{variable, without_keys};
use crate::private;

const FALLBACK_EDITOR: &str = "vi";
/// A longer text is no prompt.
const MAX_DRAFT_BYTES: u64 = 8 << 20;

/// Returns the command line of the person's editor.
pub fn editor_command() -> String {
    let named = |name: &str| variable(name).filter(|command| !command.trim().is_empty());
    named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| FALLBACK_EDITOR.to_owned())
}

/// A draft in a file. Dropping it removes the file.
pub struct DraftFile {
    path: PathBuf,
}

impl DraftFile {
    pub fn create(folder: &Path, draft: &str) -> io::Result<Self> {
        let started = jiff::Timestamp::now().as_nanosecond();
        let path = folder.join(format!("jarvis-draft-{}-{started}.md", std::process::id()));
        let mut file = private::open_options().write(true).create_new(true).open(&path)?;
        let created = Self { path };
        file.write_all(draft.as_bytes())?;
        Ok(created)
    }

    /// Starts the editor on it, in the terminal. A command line may have arguments, so that a shell reads it.
    pub fn open_in(&self, editor: &str) -> io::Result<Child> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{editor} \"$@\"")).arg("editor").arg(&self.path).kill_on_drop(true);
        without_keys(command.as_std_mut());
        command.spawn()
    }

    /// Returns what the person wrote, without the line end that editors add.
    pub fn read(&self) -> io::Result<String> {
        let mut text = String::new();
        fs::File::open(&self.path)?.take(MAX_DRAFT_BYTES).read_to_string(&mut text)?;
        let length = text.trim_end_matches(['\n', '\r']).len();
        text.truncate(length);
        Ok(text)
    }
}

impl Drop for DraftFile {
    fn drop(&mut self) {
        // It may be gone already.
        _ = fs::remove_file(&self.path);
    }
}

/// Says why an editor's text is not taken.
pub fn describe_failure(editor: &str, ended: &io::Result<ExitStatus>) -> Option<String> {
    match ended {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("{editor}: {status}; the draft is as it was")),
        Err(error) => Some(format!("{editor}: {error}; the draft is as it was")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    async fn edited(editor: &str) -> (Option<String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = DraftFile::create(folder.path(), "half a\nthought").unwrap();
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        let ended = file.open_in(editor).unwrap().wait().await;
        let came_back = (describe_failure(editor, &ended), file.read().unwrap());
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "the file is removed");
        came_back
    }

    #[tokio::test]
    async fn what_was_written_comes_back_and_an_editor_that_fails_is_told() {
        let (failure, text) = edited("printf 'a whole\\nthought\\n\\n' >").await;
        assert_eq!((failure, text.as_str()), (None, "a whole\nthought"));
        let (failure, text) = edited("true").await;
        assert_eq!((failure, text.as_str()), (None, "half a\nthought"));
        let (failure, _) = edited("exit 3;").await;
        assert_eq!(failure.as_deref(), Some("exit 3;: exit status: 3; the draft is as it was"));
        assert!(edited("no-such-editor").await.0.is_some());
    }
}
