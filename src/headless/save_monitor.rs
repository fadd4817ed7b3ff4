//! What a run tells of its log while it is written.

use tokio::sync::watch;

use super::save_errors;
use crate::bridge::SessionHandle;
use crate::event::{AgentEvent, Envelope, NoticeCode, SessionStatus};

/// Watches whether the log is complete.
pub(super) struct SaveMonitor {
    status: watch::Receiver<SessionStatus>,
    is_open: bool,
    /// The last reported error.
    last_reported: Option<String>,
    /// Whether the log was removed while in use.
    is_removed: bool,
    /// The last reported rewrite, if no event reports it.
    rewritten: Option<String>,
}

impl SaveMonitor {
    pub(super) fn new(live: &SessionHandle) -> Self {
        Self { status: live.status.clone(), is_open: true, last_reported: None, is_removed: false, rewritten: None }
    }

    fn current_error(&self) -> Option<String> {
        self.status.borrow().save_error.as_ref().map(|why| format!("this session is not saved: {why}"))
    }

    /// Waits until the log can't be written for a new reason, is complete again, or was rewritten; returns that as a
    /// line. Cancel-safe.
    pub(super) async fn next_error(&mut self) -> String {
        loop {
            let rewritten = self.status.borrow().rewritten.clone();
            if rewritten != self.rewritten {
                self.is_removed = true;
                self.rewritten.clone_from(&rewritten);
                return format!("! {}", rewritten.unwrap_or_default());
            }
            let now = self.current_error();
            if now != self.last_reported {
                self.last_reported.clone_from(&now);
                return match now {
                    Some(why) => format!("! {why}"),
                    None => "· the session is saved again".to_owned(),
                };
            }
            if !self.is_open {
                return std::future::pending().await;
            }
            self.is_open = self.status.changed().await.is_ok();
        }
    }

    pub(super) fn observe(&mut self, envelope: &Envelope, source: &str) {
        // In a replay this happened to the log of another run.
        self.is_removed |=
            source != "replay" && matches!(&envelope.event, AgentEvent::Notice { code: NoticeCode::LogRewritten, .. });
    }

    /// Returns why the log is incomplete, and whether that was not reported yet.
    pub(super) fn final_error(&self) -> Option<(String, bool)> {
        let now = self.current_error()?;
        let is_news = self.last_reported.as_ref() != Some(&now);
        Some((now, is_news))
    }

    /// A complete answer that isn't saved is not a plain success.
    pub(super) fn exit_code(&self, code: u8) -> u8 {
        save_errors::exit_code_for(code, self.is_removed || self.current_error().is_some())
    }
}
