//! What becomes of the mirror's own log: told as that of a session here is. Facts can't say it, their numbers being the
//! other's, so the weather does.

use std::sync::Arc;

use bytes::Bytes;

use super::super::session::{REMOVED, SaveEvent};
use super::{LoggedEvent, MirrorFollower};

impl MirrorFollower {
    pub(super) fn log(&mut self, facts: &[Arc<LoggedEvent>]) {
        let Some(writer) = &mut self.mirror.writer else { return };
        let lines: Vec<Bytes> = facts.iter().map(|fact| fact.line.clone()).collect();
        let trouble = match writer.append(&lines) {
            Ok(()) => writer.save_error(),
            Err(error) => writer.save_error().or_else(|| Some(error.to_string())),
        };
        self.say_saved(trouble);
        self.tell_rewritten();
    }

    /// Tries again to write what waits, and looks whether the log is still there.
    pub(super) fn retry(&mut self) {
        let Some(writer) = &mut self.mirror.writer else { return };
        let trouble = match writer.retry().and_then(|()| writer.sync()) {
            Ok(()) => writer.save_error(),
            Err(error) => writer.save_error().or_else(|| Some(error.to_string())),
        };
        self.say_saved(trouble);
        self.tell_rewritten();
    }

    /// Whether the log waits for the disk.
    pub(super) fn is_unsaved(&self) -> bool {
        self.save_error.is_some() && self.mirror.writer.is_some()
    }

    /// Says why the log is not whole now, or that it is again.
    pub(super) fn say_saved(&mut self, trouble: Option<String>) {
        if trouble == self.save_error {
            return;
        }
        if let Some(why) = &trouble {
            tracing::error!("the log can't be written: {why}");
        }
        self.tell_trouble(trouble.as_deref().map_or(SaveEvent::Recovered, SaveEvent::Failed));
        self.save_error = trouble;
        let not_saved = self.save_error.clone().or_else(|| self.remote_status.save_error.clone());
        self.status.send_modify(|weather| weather.save_error = not_saved);
    }

    fn tell_rewritten(&mut self) {
        let Some(writer) = &self.mirror.writer else { return };
        if std::mem::replace(&mut self.rewritten, writer.rewrites()) != writer.rewrites() {
            let text = format!("{REMOVED} {}", writer.path().display());
            tracing::error!("{text}");
            self.tell_trouble(SaveEvent::Rewritten(&text));
            self.status.send_modify(|weather| weather.rewritten = Some(text));
        }
    }

    fn tell_trouble(&self, what: SaveEvent<'_>) {
        if let Some(trouble) = &self.mirror.trouble {
            trouble(&self.mirror.session, what);
        }
    }
}
