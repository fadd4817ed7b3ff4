//! The sub-agents as a list, and what one of them said and called; Esc goes back from one to the other.

use super::search::open_search;
use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::{CallId, NoticeLevel};
use crate::store::Store;
use crate::store::action::{Action, Context, ScrollStep};
use crate::store::effect::Effect;
use crate::store::search::Search;
use crate::store::sub_agents::{label, state_word};
use crate::store::update::support::{open, with};

/// Looks for something in the transcript of a sub-agent, as in that of the session.
const SEARCH_KEY: char = '/';

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
    /// What is looked for in it is kept with what it said.
    phase: SearchPhase,
}

/// How far a search in the transcript is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum SearchPhase {
    #[default]
    None,
    Typing,
    Matches,
}

impl AgentTranscript {
    fn new(call: CallId) -> Self {
        Self { call, phase: SearchPhase::None }
    }

    /// Does something to the search, if there is one, and takes away what is over.
    fn search(
        &mut self,
        store: &mut Store,
        act: impl FnOnce(&mut Search, &mut Store) -> OverlayOutcome,
    ) -> OverlayOutcome {
        if let Some(agent) = store.sub_agents.find_mut(&self.call) {
            if with(&mut agent.store, act) == Some(OverlayOutcome::Close) {
                agent.store.focus.overlays.clear();
            }
            self.phase = match agent.store.focus.find::<Search>() {
                None => SearchPhase::None,
                Some(search) if search.is_typing => SearchPhase::Typing,
                Some(_) => SearchPhase::Matches,
            };
        }
        OverlayOutcome::Stay
    }
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
        open(store, AgentTranscript::new(call));
        OverlayOutcome::Stay
    }
}

impl OverlayState for AgentTranscript {
    fn key_contexts(&self) -> &'static [Context] {
        match self.phase {
            SearchPhase::None => &[Context::Overlay],
            SearchPhase::Typing => &[Context::Search, Context::Overlay],
            SearchPhase::Matches => &[Context::Matches, Context::Overlay],
        }
    }

    fn is_typing(&self) -> bool {
        self.phase == SearchPhase::Typing
    }

    fn letter_use(&self, letter: char) -> LetterUse {
        match self.phase {
            SearchPhase::Matches if letter != SEARCH_KEY => LetterUse::Match,
            SearchPhase::None if letter != SEARCH_KEY => LetterUse::Command(false),
            _ => LetterUse::Own,
        }
    }

    fn type_char(&mut self, c: char, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        if self.is_typing() {
            return self.search(store, |search, store| search.type_char(c, store, fx));
        }
        if c == SEARCH_KEY
            && let Some(agent) = store.sub_agents.find_mut(&self.call)
        {
            open_search(&mut agent.store, None, None);
        }
        self.search(store, |_, _| OverlayOutcome::Stay)
    }

    fn backspace(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.search(store, |search, store| search.backspace(store, fx))
    }

    fn clear(&mut self, store: &mut Store) -> OverlayOutcome {
        self.search(store, OverlayState::clear)
    }

    fn accept(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match self.phase {
            SearchPhase::None => OverlayOutcome::Close,
            _ => self.search(store, |search, store| search.accept(store, fx)),
        }
    }

    /// Of a search first that is left.
    fn close(&mut self, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match self.phase {
            SearchPhase::None => OverlayOutcome::Close,
            _ => self.search(store, |search, store| search.close(store, fx)),
        }
    }

    fn act(&mut self, action: &Action, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.search(store, |search, store| search.act(action, store, fx))
    }

    fn wants_work(&self, store: &Store) -> bool {
        let agent = store.sub_agents.find(&self.call);
        agent.is_some_and(|agent| {
            agent.store.focus.find::<Search>().is_some_and(|search| search.wants_work(&agent.store))
        })
    }

    fn work(&mut self, store: &mut Store) {
        self.search(store, |search, store| {
            search.work(store);
            OverlayOutcome::Stay
        });
    }
}

/// Lists the sub-agents, the newest selected.
pub(in crate::store) fn open_agents(store: &mut Store) {
    match store.sub_agents.all().len() {
        0 => store.toast = Some((NoticeLevel::Info, "the agent has started no sub-agents".into())),
        count => open(store, AgentList { selected: count - 1 }),
    }
}
