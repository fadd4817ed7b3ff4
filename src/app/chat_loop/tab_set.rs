//! The sessions that are open on this screen: one is shown, the others go on beside it.
//!
//! Who opens one session pays nothing for the others: there is no list, no task and nothing to wait for.

use std::iter::once;
use std::time::Instant;

use futures_util::future::select_all;

use super::ask_arrivals::AskArrivals;
use super::session_tab::{SessionTab, TabChange};
use crate::app::effects::TabId;
use crate::event::SessionId;
use crate::store::tabs::{OpenTabs, TabSummary};

pub(super) struct TabSet {
    /// The one that is shown.
    pub(super) active: SessionTab,
    /// Those that are not, in the order of their numbers.
    others: Vec<SessionTab>,
    /// How many of them stand before the one that is shown.
    place: usize,
    last_id: TabId,
    arrivals: AskArrivals,
}

impl TabSet {
    pub(super) fn new(first: SessionTab) -> Self {
        Self { last_id: first.id, active: first, others: Vec::new(), place: 0, arrivals: AskArrivals::default() }
    }

    pub(super) fn is_single(&self) -> bool {
        self.others.is_empty()
    }

    /// Returns all of them in the order of their numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SessionTab> + Clone {
        let (before, after) = self.others.split_at(self.place);
        before.iter().chain(once(&self.active)).chain(after)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut SessionTab> {
        let (before, after) = self.others.split_at_mut(self.place);
        before.iter_mut().chain(once(&mut self.active)).chain(after)
    }

    pub(super) fn get_mut(&mut self, id: TabId) -> Option<&mut SessionTab> {
        self.iter_mut().find(|tab| tab.id == id)
    }

    /// Returns the session that has this id, or an id that begins like this.
    pub(super) fn find_session(&self, name: &str) -> Option<SessionId> {
        let named = |tab: &&SessionTab| tab.session.session.as_str() == name;
        let begun = |tab: &&SessionTab| !name.is_empty() && tab.session.session.as_str().starts_with(name);
        let found = self.iter().find(named).or_else(|| self.iter().find(begun));
        found.map(|tab| tab.session.session.clone())
    }

    /// Adds a session behind the others, and shows it.
    pub(super) fn add(&mut self, mut tab: SessionTab) {
        self.last_id = TabId(self.last_id.0 + 1);
        tab.id = self.last_id;
        self.others.push(tab);
        self.show(self.others.len());
    }

    /// Shows the one with that index; false if it is shown already, or there is none.
    pub(super) fn show(&mut self, index: usize) -> bool {
        if index == self.place || index > self.others.len() {
            return false;
        }
        let next = self.others.remove(if index > self.place { index - 1 } else { index });
        let left = self.replace_active(next);
        self.others.insert(if index > self.place { self.place } else { self.place - 1 }, left);
        self.place = index;
        true
    }

    /// Takes the one that is shown out, and shows the next, or the one before where there is none. None if it is the only
    /// one.
    pub(super) fn close_active(&mut self) -> Option<SessionTab> {
        if self.others.is_empty() {
            return None;
        }
        let at = self.place.min(self.others.len() - 1);
        let next = self.others.remove(at);
        self.place = at;
        Some(self.replace_active(next))
    }

    fn replace_active(&mut self, mut next: SessionTab) -> SessionTab {
        self.active.chat.leave();
        let clock = next.clock.now(Instant::now());
        next.chat.enter(&self.active.chat, clock);
        std::mem::replace(&mut self.active, next)
    }

    /// Returns the one that is shown, and the others to be waited for.
    pub(super) fn split(&mut self) -> (&mut SessionTab, BackgroundTabs<'_>) {
        (&mut self.active, BackgroundTabs(&mut self.others))
    }

    /// Takes note of what waits for the person now; `clock` is asked when something new does.
    pub(super) fn note_asks(&mut self, clock: impl Fn() -> String) {
        let (before, after) = self.others.split_at(self.place);
        self.arrivals.update(before.iter().chain(once(&self.active)).chain(after), clock);
    }

    /// Returns how they stand, as each of them knows the others; without sessions while there is one.
    pub(super) fn summary(&self) -> OpenTabs {
        let asks = self.arrivals.list(&self.iter());
        if self.is_single() {
            return OpenTabs { asks, ..OpenTabs::default() };
        }
        let tabs = self.iter().map(|tab| TabSummary {
            session: tab.session.session.clone(),
            title: tab.chat.store.tab_title(),
            state: tab.chat.store.tab_state(),
        });
        OpenTabs { tabs: tabs.collect(), active: self.place, asks }
    }
}

/// Those that are not shown.
pub(super) struct BackgroundTabs<'a>(&'a mut [SessionTab]);

impl BackgroundTabs<'_> {
    /// Waits for one of them to tell something; for ever if there is none. Cancel-safe.
    pub(super) async fn next_change(self) -> (TabId, TabChange) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let waiting = self.0.iter_mut().map(|tab| Box::pin(async move { (tab.id, tab.next_change().await) }));
        select_all(waiting).await.0
    }
}

#[cfg(test)]
mod tests;
