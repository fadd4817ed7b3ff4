//! Leaving while something runs: what that is, and once more before it is left.

use std::fmt::Write as _;
use std::time::Instant;

use super::{Chat, TWICE};
use crate::config::keys::Chord;
use crate::event::Level;
use crate::store::action::Action;
use crate::store::msg::Msg;
use crate::store::tools::CallState;
use crate::text::one_line;

/// Calls that are named, and cells of a name.
const NAMED: usize = 3;
const LONGEST: usize = 30;

impl Chat {
    /// Quits, or says what would be left running and asks for the key once more.
    pub(super) fn quit(&mut self, chord: Chord, asked: Option<Instant>, now: Instant) {
        let again = asked.is_some_and(|asked| now.saturating_duration_since(asked) <= TWICE);
        match self.running().filter(|_| !again) {
            None => self.tell(Msg::Do(Action::Quit)),
            Some(running) => {
                self.quit_asked = Some(now);
                self.store.hint = Some((Level::Warn, format!("{running}; {} again to quit", chord.label())));
            }
        }
    }

    /// Says what goes on that leaving would end or leave behind.
    fn running(&self) -> Option<String> {
        let session = &self.store.session;
        if !session.caps().prompt || session.phase.is_idle() {
            return None;
        }
        let calls: Vec<String> = (self.store.tools.open())
            .filter(|call| matches!(call.state, CallState::Running | CallState::Waiting))
            .map(|call| one_line(&call.name, LONGEST))
            .collect();
        let more = calls.len().saturating_sub(NAMED);
        let mut text = match calls.get(..calls.len().min(NAMED)) {
            Some(named) if !named.is_empty() => format!("still open: {}", named.join(", ")),
            _ => "the answer is still coming".to_owned(),
        };
        if more > 0 {
            _ = write!(text, " and {more} more");
        }
        match session.weather.queue.len() {
            0 => {}
            1 => text.push_str(", 1 prompt is queued"),
            queued => _ = write!(text, ", {queued} prompts are queued"),
        }
        Some(text)
    }
}
