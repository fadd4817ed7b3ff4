//! Leaving while something runs: what that is, and once more before it is left.

use std::fmt::Write as _;
use std::time::Instant;

use super::{ChatController, DOUBLE_PRESS_TIMEOUT};
use crate::event::NoticeLevel;
use crate::store::action::Action;
use crate::store::msg::Msg;
use crate::store::tool_calls::CallState;
use crate::text::one_line;

/// Calls that are named, and cells of a name.
const MAX_NAMED_CALLS: usize = 3;
const MAX_CALL_NAME_CELLS: usize = 30;

impl ChatController {
    /// Quits, or says what would be left running and asks for the key once more.
    pub(super) fn quit(&mut self, keys: &str, asked: Option<Instant>, now: Instant) {
        let again = asked.is_some_and(|asked| now.saturating_duration_since(asked) <= DOUBLE_PRESS_TIMEOUT);
        match self.describe_all_running().filter(|_| !again) {
            None => self.dispatch(Msg::Action(Action::Quit)),
            Some(running) => {
                self.quit_requested_at = Some(now);
                self.store.toast = Some((NoticeLevel::Warn, format!("{running}; {keys} again to quit")));
            }
        }
    }

    /// Says what goes on in any of the open sessions that leaving would end.
    fn describe_all_running(&self) -> Option<String> {
        let here = self.describe_running();
        let others = self.store.tabs.others().filter(|(_, tab)| tab.state.is_busy()).count();
        match (here, others) {
            (here, 0) => here,
            (None, 1) => Some("another session is still working".into()),
            (None, others) => Some(format!("{others} other sessions are still working")),
            (Some(here), others) => Some(format!("{} sessions are still working, here {here}", others + 1)),
        }
    }

    /// Says what goes on here that leaving would end or leave behind.
    fn describe_running(&self) -> Option<String> {
        let session = &self.store.session;
        if !session.capabilities().prompt || session.phase.is_idle() {
            return None;
        }
        let calls: Vec<String> = (self.store.tool_calls.open())
            .filter(|call| matches!(call.state, CallState::Running | CallState::AwaitingApproval))
            .map(|call| one_line(&call.name, MAX_CALL_NAME_CELLS))
            .collect();
        let more = calls.len().saturating_sub(MAX_NAMED_CALLS);
        let mut text = match calls.get(..calls.len().min(MAX_NAMED_CALLS)) {
            Some(named) if !named.is_empty() => format!("still open: {}", named.join(", ")),
            _ => "the turn is still running".to_owned(),
        };
        if more > 0 {
            _ = write!(text, " and {more} more");
        }
        match session.queue().len() {
            0 => {}
            1 => text.push_str(", 1 prompt is queued"),
            queued => _ = write!(text, ", {queued} prompts are queued"),
        }
        Some(text)
    }
}
