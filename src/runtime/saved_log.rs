//! A whole session at once: its header and its events, for exports.

use std::path::Path;

use super::redaction::redacted;
use super::scrub::without_secrets;
use super::{Runtime, SavedSessions};
use crate::bridge::{HubItem, LoggedEvent, SessionHandle};
use crate::event::{AgentEvent, Envelope, Millis, Seq};
use crate::journal::{LogHeader, Reader};

/// A session as its log has it.
#[derive(Clone, Debug)]
pub struct SavedLog {
    pub header: LogHeader,
    pub events: Vec<LoggedEvent>,
    /// What could not be read of it, for the person.
    pub damage: Vec<String>,
}

impl SavedLog {
    /// Reads a log. Blocks.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let reader = Reader::open(path)?;
        let page = reader.read_all()?;
        let mut header = reader.header().clone();
        // The file name counts where the header was damaged.
        if header.session.as_str().is_empty()
            && let Some(stem) = path.file_stem()
        {
            header.session = stem.to_string_lossy().as_ref().into();
        }
        header.title = header.title.map(redacted);
        let entry = |entry: crate::journal::LogEntry| LoggedEvent { envelope: entry.envelope, line: entry.line };
        Ok(Self {
            header,
            events: redact_logged(page.entries.into_iter().map(entry).collect()),
            damage: page.damage.notices().into_iter().map(|(_, text)| text).collect(),
        })
    }

    /// Takes what a session published so far.
    pub async fn of_session(handle: &SessionHandle) -> Self {
        let through = handle.hub.last_seq();
        let mut subscription = handle.hub.subscribe(Seq(0));
        let (mut events, mut batch, mut last) = (Vec::new(), Vec::new(), Seq(0));
        while last < through && subscription.next_batch(512, &mut batch).await {
            for item in batch.drain(..) {
                match item {
                    HubItem::Event(event) => {
                        last = event.envelope.seq;
                        events.push((*event).clone());
                    }
                    HubItem::Reset => events.clear(),
                }
            }
        }
        let mut header = LogHeader::new(handle.session.clone(), 0);
        if let Some(opened) =
            events.iter().find(|event| matches!(event.envelope.event, AgentEvent::SessionOpened { .. }))
            && let AgentEvent::SessionOpened { wall_ms, engine, model, folder, .. } = &opened.envelope.event
        {
            let Millis(at) = opened.envelope.at;
            header.started_at = wall_ms.saturating_sub(at);
            (header.engine, header.model, header.folder) = (engine.clone(), model.clone(), folder.clone());
        }
        Self { header, events, damage: Vec::new() }
    }
}

/// A log of an earlier version may hold secrets; what is made of it doesn't. Other lines stay as they are.
fn redact_logged(events: Vec<LoggedEvent>) -> Vec<LoggedEvent> {
    let scrubbed = without_secrets(events.iter().map(|event| event.envelope.clone()).collect());
    let redact = |(event, envelope): (LoggedEvent, Envelope)| {
        if event.envelope == envelope {
            return event;
        }
        let line = serde_json::to_vec(&envelope).unwrap_or_default().into();
        LoggedEvent { envelope, line }
    };
    events.into_iter().zip(scrubbed).map(redact).collect()
}

impl SavedSessions {
    /// Returns a session as it is now: from its log, if it is kept here, else what it published so far.
    pub async fn log_or_published(saved: Option<&Self>, handle: &SessionHandle) -> anyhow::Result<SavedLog> {
        match saved.and_then(|saved| saved.log_of(&handle.session)) {
            Some(path) => tokio::task::spawn_blocking(move || SavedLog::read(&path)).await?,
            None => Ok(SavedLog::of_session(handle).await),
        }
    }
}

impl Runtime {
    /// Reads the log of a session, by its name or a prefix of it, or by the path of a log. Blocks.
    pub fn read_log(&self, wanted: &str) -> anyhow::Result<SavedLog> {
        SavedLog::read(&self.session_path(wanted)?)
    }
}
