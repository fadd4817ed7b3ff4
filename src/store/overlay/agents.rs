//! The sub-agents as a list, and what one of them said and called; Esc goes back from one to the other.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::{CallId, NoticeLevel};
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::Effect;
use crate::store::sub_agents::{label, state_word};
use crate::store::update::support::open;

/// All sub-agents of the session, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentList {
    pub selected: usize,
}

/// The transcript of a sub-agent. Where it is scrolled to, only the view knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentTranscript {
    /// The call that started it.
    pub call: CallId,
}

impl OverlayState for AgentList {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Command(false)
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, store: &mut Store) {
        self.selected = step.from(self.selected, store.sub_agents.all().len().saturating_sub(1));
    }

    fn rows(&self, store: &Store) -> Option<Vec<String>> {
        let row = |call: &CallId| {
            store.tool_calls.get(call).map_or(String::new(), |call| format!("{}, {}", label(call), state_word(call)))
        };
        Some(store.sub_agents.all().into_iter().map(|(_, agent)| row(&agent.call)).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        let Some(call) = store.sub_agents.all().get(self.selected).map(|(_, agent)| agent.call.clone()) else {
            return OverlayOutcome::Close;
        };
        // It lies above the list, to which Esc goes back.
        open(store, AgentTranscript { call });
        OverlayOutcome::Stay
    }
}

impl OverlayState for AgentTranscript {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Command(false)
    }
}

/// Lists the sub-agents, the newest selected.
pub(in crate::store) fn open_agents(store: &mut Store) {
    match store.sub_agents.all().len() {
        0 => store.toast = Some((NoticeLevel::Info, "the agent has started no sub-agents".into())),
        count => open(store, AgentList { selected: count - 1 }),
    }
}
