//! What an agent program has its client do, by the limits of the tools: files as they are, and commands with their exit
//! status. What a tool returns is made for a model.
//!
//! Not here: whether it may. `agent::approval` judges what the tools' descriptions say.

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;

use nix::sys::signal::Signal;
use serde_json::json;

use super::checked_path::resolve_path;
use super::file::{MAX_FILE_BYTES, open_regular};
use super::truncate::size;
use super::{ToolContext, shell, spawn_blocking_work};
use crate::event::Json;

/// Some lines of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineRange {
    /// The first line, from 1.
    pub first: Option<usize>,
    /// So many lines.
    pub count: Option<usize>,
}

/// How a command ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandExit {
    pub code: Option<i32>,
    /// Its name, such as `SIGKILL`.
    pub signal: Option<String>,
    /// All output that was kept.
    pub output: String,
    /// Whether something of it was left out.
    pub is_cut: bool,
}

/// Reads a text file of the working folders, or some of its lines, with their ends.
///
/// # Errors
///
/// Fails, with words for the agent, where the path leads elsewhere, or to no text.
pub async fn read_text(path: &str, lines: LineRange, ctx: &ToolContext) -> Result<String, String> {
    let read = move |args: &Json, ctx: &ToolContext| {
        let place = resolve_path(args["path"].as_str().unwrap_or_default(), ctx)?;
        let (file, bytes) = open_regular(&place)?;
        let shown = &place.display_path;
        if bytes > MAX_FILE_BYTES {
            return Err(format!("`{shown}` has {}; at most {} are read", size(bytes), size(MAX_FILE_BYTES)));
        }
        let mut content = Vec::new();
        file.take(MAX_FILE_BYTES).read_to_end(&mut content).map_err(|error| format!("`{shown}`: {error}"))?;
        let text = String::from_utf8(content).map_err(|_| format!("`{shown}` is not UTF-8 text"))?;
        Ok(lines.of(text))
    };
    spawn_blocking_work(&json!({ "path": path }), ctx, read).await
}

/// Returns the context in another folder, which has to be one of the working folders or in one.
///
/// # Errors
///
/// Fails, with words for the agent, where it is elsewhere or no folder.
pub fn in_folder(folder: &str, ctx: &ToolContext) -> Result<ToolContext, String> {
    let place = resolve_path(folder, ctx)?;
    if !place.path.is_dir() {
        return Err(format!("`{}` is not a folder", place.display_path));
    }
    Ok(ToolContext { folder: place.path, ..ctx.clone() })
}

/// Runs a command line as the shell tool does, until it ends or is cancelled.
///
/// # Errors
///
/// Fails, with words for the agent, where it can't be started.
pub async fn run_command(command: &str, ctx: &ToolContext) -> Result<CommandExit, String> {
    let ended = shell::run_command(command, ctx).await;
    let ended = ended.map_err(|error| format!("the shell could not be started: {error}"))?;
    let status = ended.status.and_then(Result::ok);
    Ok(CommandExit {
        code: status.and_then(|status| status.code()),
        signal: status.and_then(|status| status.signal()).map(signal_name),
        is_cut: ended.printed_bytes.is_some(),
        output: ended.text,
    })
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| number.to_string(), |signal| signal.as_str().to_owned())
}

impl LineRange {
    fn of(self, text: String) -> String {
        if self == Self::default() {
            return text;
        }
        let lines = text.split_inclusive('\n').skip(self.first.unwrap_or(1).saturating_sub(1));
        lines.take(self.count.unwrap_or(usize::MAX)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::checked_path::tests::ctx;
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_as_it_is_and_only_inside() {
        let folder = tempfile::tempdir().unwrap();
        let ctx = ctx(folder.path());
        std::fs::write(folder.path().join("a"), "one\r\ntwo\nthree").unwrap();
        std::fs::write(folder.path().join("b"), b"\xff\xfe").unwrap();
        let absolute = ctx.folder.join("a").display().to_string();
        let range = |first, count| LineRange { first, count };
        for (lines, text) in [
            (LineRange::default(), "one\r\ntwo\nthree"),
            (range(Some(2), None), "two\nthree"),
            (range(Some(1), Some(1)), "one\r\n"),
            (range(None, Some(2)), "one\r\ntwo\n"),
            (range(Some(9), Some(2)), ""),
        ] {
            assert_eq!(read_text(&absolute, lines, &ctx).await.as_deref(), Ok(text), "{lines:?}");
        }
        for path in ["/etc/passwd", "../x", "b", "absent"] {
            read_text(path, LineRange::default(), &ctx).await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn a_command_runs_in_its_folder_and_tells_its_exit_status() {
        let folder = tempfile::tempdir().unwrap();
        let ctx = ctx(folder.path());
        std::fs::create_dir(folder.path().join("in")).unwrap();
        let inner = in_folder(&ctx.folder.join("in").display().to_string(), &ctx).unwrap();
        let ended = run_command("basename \"$PWD\"; exit 3", &inner).await.unwrap();
        assert_eq!((ended.code, ended.signal, ended.output.as_str()), (Some(3), None, "in\n"));
        let ended = run_command("kill -9 $$", &ctx).await.unwrap();
        assert_eq!((ended.code, ended.signal.as_deref()), (None, Some("SIGKILL")));
        assert!(in_folder("/", &ctx).is_err() && in_folder("absent", &ctx).is_err());
    }
}
