//! How the session keeps its log: written before anything is shown, tried again where the disk refuses, written anew
//! where it was removed, and told in every case.

use std::sync::Arc;

use bytes::Bytes;

use super::{Published, REMOVED, REWRITTEN, Spine, notice};
use crate::event::{Level, SessionId};

/// What becomes of a session's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept<'a> {
    /// It can't be written, and why.
    Not(&'a str),
    /// It has everything again.
    Again,
    /// It was removed and written anew, in words.
    Anew(&'a str),
}

/// Hears what becomes of the logs of sessions.
pub type Trouble = Arc<dyn Fn(&SessionId, Kept<'_>) + Send + Sync>;

impl Spine {
    pub(super) fn write(&mut self, published: &[Arc<Published>]) {
        let Some(writer) = &mut self.writer else { return };
        let lines: Vec<Bytes> = published.iter().map(|fact| fact.line.clone()).collect();
        let trouble = match writer.append(&lines) {
            Ok(()) => writer.not_saved(),
            Err(error) => writer.not_saved().or_else(|| Some(error.to_string())),
        };
        self.say_saved(trouble);
    }

    pub(super) fn sync(&mut self) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.sync()
        {
            let trouble = Some(error.to_string());
            self.say_saved(trouble);
        }
    }

    pub(super) fn retry(&mut self) {
        if let Some(writer) = &mut self.writer {
            let trouble = match writer.retry().and_then(|()| writer.sync()) {
                Ok(()) => writer.not_saved(),
                Err(error) => writer.not_saved().or_else(|| Some(error.to_string())),
            };
            self.say_saved(trouble);
        }
        self.tell_rewritten();
    }

    /// Looks after the log once more before it is left: it may have been removed while nothing happened.
    pub(super) fn finish(&mut self) {
        if self.has_turns {
            self.retry();
        }
        self.sync();
    }

    /// Says that the log was removed and is there again.
    pub(super) fn tell_rewritten(&mut self) {
        let Some(writer) = &self.writer else { return };
        if std::mem::replace(&mut self.rewritten, writer.rewritten()) != writer.rewritten() {
            let text = format!("{REMOVED} {}", writer.path().display());
            tracing::error!("{text}");
            self.tell_trouble(Kept::Anew(&text));
            self.say(notice(Level::Warn, REWRITTEN, text));
        }
    }

    fn say_saved(&mut self, trouble: Option<String>) {
        if trouble != self.not_saved {
            if let Some(why) = &trouble {
                tracing::error!("the log can't be written: {why}");
            }
            self.tell_trouble(trouble.as_deref().map_or(Kept::Again, Kept::Not));
            self.not_saved.clone_from(&trouble);
            let now = self.now();
            self.weather.send_modify(|weather| {
                weather.not_saved = trouble;
                weather.now = now;
            });
        }
    }

    pub(super) fn tell_trouble(&self, what: Kept<'_>) {
        if let Some(trouble) = &self.trouble {
            trouble(&self.session, what);
        }
    }
}
