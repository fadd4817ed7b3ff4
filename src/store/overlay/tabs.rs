//! The open sessions as a list, or what waits for a decision in any of them; Enter goes there.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::NoticeLevel;
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::effect::Effect;
use crate::store::tabs::{TabListSubject, TabTarget};
use crate::store::update::support::open;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TabList {
    pub subject: TabListSubject,
    pub selected: usize,
}

impl TabList {
    fn len(&self, store: &Store) -> usize {
        match self.subject {
            TabListSubject::Sessions => store.tabs.tabs.len(),
            TabListSubject::Asks => store.tabs.asks.len(),
        }
    }
}

impl OverlayState for TabList {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Command(false)
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, store: &mut Store) {
        self.selected = step.from(self.selected, self.len(store).saturating_sub(1));
    }

    fn rows(&self, store: &Store) -> Option<Vec<String>> {
        let joined =
            |parts: [&str; 4]| parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        Some(match self.subject {
            TabListSubject::Sessions => {
                let open = store.tabs.tabs.iter();
                open.map(|tab| joined([&tab.title, tab.state.name(), tab.session.as_str(), ""])).collect()
            }
            TabListSubject::Asks => {
                let asks = store.tabs.asks.iter();
                asks.map(|ask| joined([&ask.title, &ask.tool, &ask.subject, &ask.since])).collect()
            }
        })
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        let selected = self.selected.min(self.len(store).saturating_sub(1));
        if self.subject == TabListSubject::Sessions {
            return OverlayOutcome::Then(Action::SwitchTab(TabTarget::Number(selected + 1)));
        }
        match store.tabs.asks.get(selected) {
            None => OverlayOutcome::Close,
            Some(ask) if ask.number == store.tabs.active + 1 => {
                OverlayOutcome::Then(Action::OpenApprovalOf(ask.call.clone()))
            }
            Some(ask) => OverlayOutcome::Then(Action::SwitchTab(TabTarget::Ask(ask.session.clone(), ask.call.clone()))),
        }
    }
}

pub(in crate::store) fn open_tab_list(store: &mut Store, subject: TabListSubject) {
    let (told, selected) = match subject {
        TabListSubject::Sessions => {
            ("one session is open; another stands beside it when this one works", store.tabs.active)
        }
        TabListSubject::Asks => ("nothing waits for you", 0),
    };
    let list = TabList { subject, selected };
    if list.len(store) == 0 {
        store.toast = Some((NoticeLevel::Info, told.into()));
    } else {
        open(store, list);
    }
}
