//! What becomes of the mirror's own log: told as that of a session here is. Facts can't say it, their numbers being the
//! other's, so the weather does.

use std::sync::Arc;

use bytes::Bytes;

use super::super::session::{Kept, REMOVED};
use super::{Follower, Published};

impl Follower {
    pub(super) fn log(&mut self, facts: &[Arc<Published>]) {
        let Some(writer) = &mut self.mirror.writer else { return };
        let lines: Vec<Bytes> = facts.iter().map(|fact| fact.line.clone()).collect();
        let trouble = match writer.append(&lines) {
            Ok(()) => writer.not_saved(),
            Err(error) => writer.not_saved().or_else(|| Some(error.to_string())),
        };
        self.say_saved(trouble);
        self.tell_rewritten();
    }

    /// Tries again to write what waits, and looks whether the log is still there.
    pub(super) fn retry(&mut self) {
        let Some(writer) = &mut self.mirror.writer else { return };
        let trouble = match writer.retry().and_then(|()| writer.sync()) {
            Ok(()) => writer.not_saved(),
            Err(error) => writer.not_saved().or_else(|| Some(error.to_string())),
        };
        self.say_saved(trouble);
        self.tell_rewritten();
    }

    /// Whether the log waits for the disk.
    pub(super) fn is_unsaved(&self) -> bool {
        self.trouble.is_some() && self.mirror.writer.is_some()
    }

    /// Says why the log is not whole now, or that it is again.
    pub(super) fn say_saved(&mut self, trouble: Option<String>) {
        if trouble == self.trouble {
            return;
        }
        if let Some(why) = &trouble {
            tracing::error!("the log can't be written: {why}");
        }
        self.tell_trouble(trouble.as_deref().map_or(Kept::Again, Kept::Not));
        self.trouble = trouble;
        let not_saved = self.trouble.clone().or_else(|| self.theirs.not_saved.clone());
        self.weather.send_modify(|weather| weather.not_saved = not_saved);
    }

    fn tell_rewritten(&mut self) {
        let Some(writer) = &self.mirror.writer else { return };
        if std::mem::replace(&mut self.rewritten, writer.rewritten()) != writer.rewritten() {
            let text = format!("{REMOVED} {}", writer.path().display());
            tracing::error!("{text}");
            self.tell_trouble(Kept::Anew(&text));
            self.weather.send_modify(|weather| weather.rewritten = Some(text));
        }
    }

    fn tell_trouble(&self, what: Kept<'_>) {
        if let Some(trouble) = &self.mirror.trouble {
            trouble(&self.mirror.session, what);
        }
    }
}
