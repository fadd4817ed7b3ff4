//! How the session keeps its log: written before anything is published, retried when the disk refuses, rewritten when
//! it was removed; each of these is reported.

use std::sync::Arc;

use bytes::Bytes;

use super::{LoggedEvent, REMOVED, SessionActor, notice};
use crate::event::{NoticeCode, NoticeLevel, SessionId};

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
        let lines: Vec<Bytes> = published.iter().map(|event| event.line.clone()).collect();
        let save_error = match writer.append(&lines) {
            Ok(()) => writer.save_error(),
            Err(error) => writer.save_error().or_else(|| Some(error.to_string())),
        };
        self.set_save_error(save_error);
    }

    pub(super) fn sync(&mut self) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.sync()
        {
            let save_error = Some(error.to_string());
            self.set_save_error(save_error);
        }
    }

    pub(super) fn retry(&mut self) {
        if let Some(writer) = &mut self.writer {
            let save_error = match writer.retry().and_then(|()| writer.sync()) {
                Ok(()) => writer.save_error(),
                Err(error) => writer.save_error().or_else(|| Some(error.to_string())),
            };
            self.set_save_error(save_error);
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
            self.publish_when_open(notice(NoticeLevel::Warn, NoticeCode::LogRewritten, text));
        }
    }

    pub(super) fn set_save_error(&mut self, error: Option<String>) {
        if error != self.save_error {
            if let Some(why) = &error {
                tracing::error!("the log can't be written: {why}");
            }
            self.notify_save_listener(error.as_deref().map_or(SaveEvent::Recovered, SaveEvent::Failed));
            self.save_error.clone_from(&error);
            let now = self.now();
            self.status.send_modify(|status| {
                status.save_error = error;
                status.now = now;
            });
        }
    }

    pub(super) fn notify_save_listener(&self, what: SaveEvent<'_>) {
        if let Some(error) = &self.save_listener {
            error(&self.session, what);
        }
    }
}
