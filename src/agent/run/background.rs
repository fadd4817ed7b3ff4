//! Commands in the background: the person is told when one has ended.

use tokio::sync::mpsc;

use super::Agent;
use crate::event::{AgentEvent, NoticeCode, NoticeLevel};

/// Returns what to tell of the next command that ends; waits forever where none can.
pub(super) async fn next_end(ends: &mut Option<mpsc::Receiver<String>>) -> String {
    let next = match ends {
        Some(ends) => ends.recv().await,
        None => None,
    };
    match next {
        Some(told) => told,
        None => std::future::pending().await,
    }
}

impl Agent {
    pub(super) async fn tell_background_end(&mut self, text: String) {
        self.emit(AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Background, text }).await;
    }
}
