//! `export`: a saved session in another form, as a file or on standard output.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;

use super::RunContext;
use crate::bridge::SessionHandle;
use crate::cli::ExportArgs;
use crate::config::themes::ThemeFolder;
use crate::event::{ExportFormat, ExportRequest, Millis, Seq};
use crate::export::file::{Written, write_beside, write_over};
use crate::export::{Export, ScreenOptions, export};
use crate::headless::output::{self, print_error, print_progress};
use crate::runtime::{Frontend, Runtime, SavedSessions};

pub(super) fn run(args: &ExportArgs, context: RunContext) -> anyhow::Result<u8> {
    let format = args.format();
    let runtime = context.runtime(Frontend::Headless, None);
    let log = runtime.read_log(&args.session)?;
    for damage in &log.damage {
        print_error(damage);
    }
    let screen = ScreenOptions {
        config: runtime.config(),
        themes: ThemeFolder(runtime.paths.themes_dir()),
        size: (args.size.width, args.size.height),
        seq: args.seq.map(Seq),
        max_gap: args.max_gap.map(Millis::from),
    };
    let Export { bytes, file_name } = export(&log, format, args.branch.map(Seq), &screen)?;
    if args.is_to_stdout() {
        output::print(&String::from_utf8_lossy(&bytes))?;
        return Ok(0);
    }
    let written = match args.output.as_deref() {
        Some(file) if !file.is_dir() => {
            write_over(file, &bytes).with_context(|| format!("can't write {}", file.display()))?
        }
        folder => write_new(&folder.unwrap_or(&runtime.folder).join(&file_name), &bytes)?,
    };
    if written.is_replaced {
        print_progress(&format!("replaced {}", written.path.display()));
    }
    output::print(&format!("{}\n", written.path.display()))?;
    Ok(0)
}

fn write_new(path: &Path, bytes: &[u8]) -> anyhow::Result<Written> {
    write_beside(path, bytes).with_context(|| format!("can't write {}", path.display()))
}

/// Exports a session that is on the screen, over no other file; returns the path, or why there is none.
pub(super) async fn export_shown(
    runtime: Arc<Runtime>,
    session: SessionHandle,
    request: ExportRequest,
    size: (u16, u16),
) -> Result<String, String> {
    let written = async {
        let log = SavedSessions::log_or_published(Some(&runtime.saved_sessions()), &session).await?;
        tokio::task::spawn_blocking(move || {
            let named = || ExportFormat::of_file(request.file.as_deref()?);
            let format = request.format.or_else(named).unwrap_or(ExportFormat::Markdown);
            let themes = ThemeFolder(runtime.paths.themes_dir());
            let screen = ScreenOptions { config: runtime.config(), themes, size, seq: None, max_gap: None };
            let Export { bytes, file_name } = export(&log, format, None, &screen)?;
            let path = request.file.map_or_else(PathBuf::new, PathBuf::from);
            let path = runtime.folder.join(path);
            write_new(&if path.is_dir() { path.join(file_name) } else { path }, &bytes)
        })
        .await?
    };
    let written = written.await.map_err(|error: anyhow::Error| format!("{error:#}"))?;
    Ok(written.path.display().to_string())
}
