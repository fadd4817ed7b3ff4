//! How the session keeps its log: written before anything is published, retried when the disk refuses, rewritten when
//! it was removed; each of these is reported.

use std::sync::Arc;

use bytes::Bytes;

use super::{LOG_REWRITTEN_CODE, LoggedEvent, REMOVED, SessionActor, notice};
use crate::event::{NoticeLevel, SessionId};

/// A change in how a session's log is saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveEvent<'a> {
    /// It can't be written; the error as text.
    Failed(&'a str),
    /// Everything is written again.
    Recovered,
    /// It was removed and rewritten; a text for people.
    Rewritten(&'a str),
}

/// Is called with changes in how logs are saved.
pub type SaveListener = Arc<dyn Fn(&SessionId, SaveEvent<'_>) + Send + Sync>;

impl SessionActor {
    pub(super) fn append_to_log(&mut self, published: &[Arc<LoggedEvent>]) {
        let Some(writer) = &mut self.writer else { return };
        let lines: Vec<Bytes> = published.iter().map(|fact| fact.line.clone()).collect();
        let trouble = match writer.append(&lines) {
            Ok(()) => writer.save_error(),
            Err(error) => writer.save_error().or_else(|| Some(error.to_string())),
        };
        self.set_save_error(trouble);
    }

    pub(super) fn sync(&mut self) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.sync()
        {
            let trouble = Some(error.to_string());
            self.set_save_error(trouble);
        }
    }

    pub(super) fn retry(&mut self) {
        if let Some(writer) = &mut self.writer {
            let trouble = match writer.retry().and_then(|()| writer.sync()) {
                Ok(()) => writer.save_error(),
                Err(error) => writer.save_error().or_else(|| Some(error.to_string())),
            };
            self.set_save_error(trouble);
        }
        self.report_rewrite();
    }

    /// Checks the log a last time before it is closed: it may have been removed while the session was idle.
    pub(super) fn finish_log(&mut self) {
        if self.has_turns {
            self.retry();
        }
        self.sync();
    }

    /// Reports that the log was removed and has been rewritten.
    pub(super) fn report_rewrite(&mut self) {
        let Some(writer) = &self.writer else { return };
        if std::mem::replace(&mut self.reported_rewrites, writer.rewrites()) != writer.rewrites() {
            let text = format!("{REMOVED} {}", writer.path().display());
            tracing::error!("{text}");
            self.notify_save_listener(SaveEvent::Rewritten(&text));
            self.publish_notice(notice(NoticeLevel::Warn, LOG_REWRITTEN_CODE, text));
        }
    }

    fn set_save_error(&mut self, trouble: Option<String>) {
        if trouble != self.save_error {
            if let Some(why) = &trouble {
                tracing::error!("the log can't be written: {why}");
            }
            self.notify_save_listener(trouble.as_deref().map_or(SaveEvent::Recovered, SaveEvent::Failed));
            self.save_error.clone_from(&trouble);
            let now = self.now();
            self.status.send_modify(|weather| {
                weather.save_error = trouble;
                weather.now = now;
            });
        }
    }

    pub(super) fn notify_save_listener(&self, what: SaveEvent<'_>) {
        if let Some(trouble) = &self.save_listener {
            trouble(&self.session, what);
        }
    }
}
