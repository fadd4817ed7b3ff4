//! A saved session in other forms: for people, for programs, for players of recordings, for browsers.
//!
//! What is exported is the log and nothing else, so it can be made again at any time, here or elsewhere. What was said
//! is hostile in every format: it never becomes structure, code or a terminal's escape sequence. Not for files that
//! come in, nor for showing anything on the screen.

mod cast;
mod document;
pub mod file;
mod html;
mod json;
mod markdown;

use crate::cli::FrameFormat;
use crate::config::Config;
use crate::config::themes::ThemeFolder;
use crate::event::branches::BranchStarts;
use crate::event::{AgentEvent, Envelope, ExportFormat, Millis, Seq};
use crate::headless::screen_dump::SavedScreen;
use crate::runtime::SavedLog;

/// What of a session no event tells.
struct SessionFacts {
    id: String,
    folder: String,
    /// Milliseconds since 1970; 0 where it isn't known.
    started_at: u64,
    title: Option<String>,
}

impl SessionFacts {
    fn of(log: &SavedLog) -> Self {
        Self {
            id: log.header.session.to_string(),
            folder: log.header.folder.clone(),
            started_at: log.header.started_at,
            title: log.header.title.clone(),
        }
    }

    /// Returns when it began, the same wherever it is exported.
    fn started(&self) -> Option<String> {
        let ms = i64::try_from(self.started_at).ok().filter(|ms| *ms > 0)?;
        let time = jiff::Timestamp::from_millisecond(ms).ok()?;
        Some(time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
    }
}

/// A session as a file.
#[derive(Debug)]
pub struct Export {
    pub bytes: Vec<u8>,
    /// What to call a file that has no name yet.
    pub file_name: String,
}

/// How a screen is drawn, for the formats that show one.
pub struct ScreenOptions<'a> {
    pub config: &'a Config,
    pub themes: ThemeFolder,
    /// Columns and rows.
    pub size: (u16, u16),
    /// The last event that a picture shows; all if none.
    pub seq: Option<Seq>,
    /// Longer pauses of a recording are shortened to this.
    pub max_gap: Option<Millis>,
}

impl ScreenOptions<'_> {
    fn screen(&self) -> SavedScreen {
        SavedScreen::new(self.config, &self.themes, self.size)
    }
}

/// Writes a session in a format: the branch that ends with an event, or the one that is in use. The log itself has all
/// of them.
///
/// # Errors
///
/// Fails if this build has nothing for that format; the message says what to use instead.
pub fn export(
    log: &SavedLog,
    format: ExportFormat,
    branch: Option<Seq>,
    screen: &ScreenOptions<'_>,
) -> anyhow::Result<Export> {
    let facts = SessionFacts::of(log);
    let events = branch_of(log, branch);
    let document = document::Document::fold(facts.title.as_deref(), events.iter().copied());
    let title = document.title.as_deref();
    let bytes = match format {
        ExportFormat::Markdown => markdown::write(&facts, &document).into_bytes(),
        ExportFormat::Json => json::write(&facts, &document, events.iter().copied()).into_bytes(),
        ExportFormat::Jsonl => write_log(log)?,
        ExportFormat::Cast => cast::write(&facts, title, &events, screen.screen(), screen.max_gap).into_bytes(),
        ExportFormat::Svg => draw_svg(&events, screen).into_bytes(),
        ExportFormat::Html => html::write(&facts, &document).into_bytes(),
    };
    let file_name = file::default_name(title, &facts.id, format);
    Ok(Export { bytes, file_name })
}

fn draw_svg(events: &[&Envelope], options: &ScreenOptions<'_>) -> String {
    let mut screen = options.screen();
    let shown = events.iter().take_while(|envelope| options.seq.is_none_or(|last| envelope.seq <= last));
    shown.for_each(|envelope| screen.fold(envelope));
    screen.offer_approval();
    screen.to_text(FrameFormat::Svg)
}

/// Returns the events of a branch, as if there were no others.
fn branch_of(log: &SavedLog, tip: Option<Seq>) -> Vec<&Envelope> {
    let envelopes = || log.events.iter().map(|event| &event.envelope);
    let mut starts = BranchStarts::default();
    for envelope in envelopes() {
        starts.observe(envelope.seq, &envelope.event);
    }
    let path = tip.map_or_else(|| starts.active_path(), |tip| starts.path_to(tip));
    let is_told = |envelope: &&Envelope| {
        path.tells(envelope.seq, &envelope.event) && !matches!(envelope.event, AgentEvent::BranchStarted { .. })
    };
    envelopes().filter(is_told).collect()
}

/// Returns the log again: its header and its lines as they are, without what could not be read.
fn write_log(log: &SavedLog) -> anyhow::Result<Vec<u8>> {
    let size: usize = log.events.iter().map(|event| event.line.len() + 1).sum();
    let mut bytes = serde_json::to_vec(&log.header)?;
    bytes.reserve(size + 1);
    bytes.push(b'\n');
    for event in &log.events {
        bytes.extend_from_slice(&event.line);
        bytes.push(b'\n');
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
