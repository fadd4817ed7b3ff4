//! In which order the asks came that wait, over all open sessions, and when.

use crate::app::effects::TabId;
use crate::event::CallId;
use crate::store::tabs::WaitingAsk;

use super::session_tab::SessionTab;

#[derive(Default)]
pub(super) struct AskArrivals {
    asks: Vec<AskArrival>,
}

struct AskArrival {
    tab: TabId,
    call: CallId,
    /// As the clock here showed it.
    at: String,
}

impl AskArrivals {
    /// Takes note of what waits now; `clock` tells the time, and is asked only if there is something new.
    pub(super) fn update<'t>(
        &mut self,
        tabs: impl Iterator<Item = &'t SessionTab> + Clone,
        clock: impl Fn() -> String,
    ) {
        self.asks.retain(|ask| {
            tabs.clone().any(|tab| tab.id == ask.tab && tab.chat.store.waiting_calls().any(|call| call.id == ask.call))
        });
        for tab in tabs {
            for call in tab.chat.store.waiting_calls() {
                if !self.asks.iter().any(|ask| ask.tab == tab.id && ask.call == call.id) {
                    self.asks.push(AskArrival { tab: tab.id, call: call.id.clone(), at: clock() });
                }
            }
        }
    }

    /// Returns them as they are shown, the oldest first.
    pub(super) fn list<'t>(&self, tabs: &(impl Iterator<Item = &'t SessionTab> + Clone)) -> Vec<WaitingAsk> {
        let asks = self.asks.iter().filter_map(|ask| {
            let (number, tab) = (1..).zip(tabs.clone()).find(|(_, tab)| tab.id == ask.tab)?;
            let call = tab.chat.store.waiting_calls().find(|call| call.id == ask.call)?;
            Some(WaitingAsk {
                number,
                session: tab.session.session.clone(),
                title: tab.chat.store.tab_title(),
                call: ask.call.clone(),
                tool: call.name.to_string(),
                subject: call.approval_request().map_or_else(String::new, |ask| ask.subject.clone()),
                since: ask.at.clone(),
            })
        });
        asks.collect()
    }
}
