//! A text goes to the clipboard: by the terminal, by a program, else into a file.

use std::path::PathBuf;

use tokio::task;

use super::super::clipboard::{self, TerminalEnv};
use super::{EffectResult, Effects, panic_report};
use crate::store::effect::CopyRequest;
use crate::store::msg::Report;
use crate::text::clean;

impl Effects<'_> {
    /// Copies a text; returns the bytes for the terminal, if that is a way to begin with. The report says which ways it
    /// went.
    pub fn copy(&mut self, copy: &CopyRequest, around: &TerminalEnv) -> Option<Vec<u8>> {
        let text = clean(&copy.text).into_owned();
        let what = format!("copied {} ({})", copy.label, clipboard::describe_size(&text));
        let folder = self.history.as_deref().and_then(std::path::Path::parent).map(std::path::Path::to_owned);
        let folder = folder.unwrap_or_else(std::env::temp_dir);
        let (sequence, tools) = (around.osc52_sequence(&text), around.tools());
        if around.tmux {
            self.spawn(copy_in_tmux(what, text, sequence, tools, folder));
            return None;
        }
        let why = sequence.as_ref().err().copied();
        self.spawn(async move {
            let said = match (why, clipboard::copy_with_tool(&tools, &text).await) {
                (None, None) => format!("{what} by the terminal (OSC 52)"),
                (None, Some(tool)) => format!("{what} by the terminal (OSC 52) and {tool}"),
                (Some(_), Some(tool)) => format!("{what} by {tool}"),
                (Some(why), None) => match write_to_file(folder, text).await {
                    Ok(path) => format!("{what} to {}: {why}", path.display()),
                    Err(failed) => return failed,
                },
            };
            EffectResult::Report(Report::Info(said))
        });
        sequence.ok()
    }
}

/// Copies inside tmux. It drops a sequence without a word unless it is told otherwise, and makes a buffer of its own of
/// one that it takes: only its tool says what became of a text. Where that fails, the sequence is tried, and the text is
/// in a file too.
pub(super) async fn copy_in_tmux(
    what: String,
    text: String,
    sequence: Result<Vec<u8>, &'static str>,
    tools: Vec<clipboard::ClipboardTool>,
    folder: PathBuf,
) -> EffectResult {
    if let Some(tool) = clipboard::copy_with_tool(&tools, &text).await {
        return EffectResult::Report(Report::Info(format!("{what} by {tool}")));
    }
    let path = match write_to_file(folder, text).await {
        Ok(path) => path,
        Err(failed) => return failed,
    };
    let said = format!("{what} to {}: tmux didn't take it", path.display());
    match sequence {
        Ok(sequence) => {
            let said = format!("{said}, and may drop what was sent to the terminal (OSC 52)");
            EffectResult::Terminal(sequence, Report::Info(said))
        }
        Err(why) => EffectResult::Report(Report::Info(format!("{said}; {why}"))),
    }
}

async fn write_to_file(folder: PathBuf, text: String) -> Result<PathBuf, EffectResult> {
    match task::spawn_blocking(move || clipboard::write_to_file(&folder, &text)).await {
        Ok(Ok(path)) => Ok(path),
        Ok(Err(error)) => Err(EffectResult::Report(Report::Failed { what: "copying".into(), why: error.to_string() })),
        Err(error) => Err(panic_report(&error)),
    }
}
