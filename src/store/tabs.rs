//! The sessions that are open on this screen beside each other, as each of them knows the others.
//!
//! Not here: which of them is shown, and what switching does (`app`). The invariant: with one session the list of
//! sessions is empty.

use crate::event::{CallId, SessionId};
use crate::text::display_url::redact_credentials;
use crate::text::one_line;

use super::Store;
use super::session::Phase;
use super::tool_calls::ToolCall;
use super::unseen::UnseenEnd;

/// Cells of a title, at most.
const MAX_TAB_TITLE_CELLS: usize = 60;

/// All open sessions, if there is more than one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenTabs {
    /// In the order of their numbers, which begin with 1.
    pub tabs: Vec<TabSummary>,
    /// The index of the one that is shown.
    pub active: usize,
    /// What waits for a decision in any of them, also where there is one, the oldest first.
    pub asks: Vec<WaitingAsk>,
}

/// A call that waits for a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingAsk {
    /// Of the tab, from 1.
    pub number: usize,
    pub session: SessionId,
    /// Of the session, cleaned and short.
    pub title: String,
    pub call: CallId,
    /// What is to be done by which tool, raw.
    pub tool: String,
    pub subject: String,
    /// When it came, as the clock here showed it.
    pub since: String,
}

/// An open session in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TabSummary {
    pub session: SessionId,
    /// Cleaned and short; empty before anything was asked.
    pub title: String,
    pub state: TabState,
}

/// What a session does, or what came of it since the person looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TabState {
    #[default]
    Idle,
    Working,
    /// Somebody has to decide before it goes on.
    AwaitingApproval,
    /// A turn ended that was not looked at.
    Unread,
    /// A turn failed, or the session was lost, and nobody looked.
    Failed,
}

impl TabState {
    pub fn is_busy(self) -> bool {
        matches!(self, Self::Working | Self::AwaitingApproval)
    }

    /// Returns it in words; nothing of one that rests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "",
            Self::Working => "working",
            Self::AwaitingApproval => "waiting for you",
            Self::Unread => "done, not read",
            Self::Failed => "failed",
        }
    }
}

/// Which tab is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TabTarget {
    /// Counted from 1.
    Number(usize),
    Next,
    Previous,
    Session(SessionId),
    /// The session of a call that waits, and that call.
    Ask(SessionId, CallId),
}

/// What a list of the open sessions is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TabListSubject {
    Sessions,
    /// The asks, in the order in which they came.
    Asks,
}

impl OpenTabs {
    /// Returns the index of the tab that is meant, if there is one.
    pub fn find(&self, target: &TabTarget) -> Option<usize> {
        let count = self.tabs.len();
        let index = match target {
            TabTarget::Number(number) => number.checked_sub(1)?,
            TabTarget::Next => (self.active + 1) % count.max(1),
            TabTarget::Previous => (self.active + count.saturating_sub(1)) % count.max(1),
            TabTarget::Session(session) | TabTarget::Ask(session, _) => self.position(session)?,
        };
        (index < count).then_some(index)
    }

    /// Returns the index of the tab of a session.
    pub fn position(&self, session: &SessionId) -> Option<usize> {
        self.tabs.iter().position(|tab| tab.session == *session)
    }

    /// Returns the asks of sessions that are not shown.
    pub fn asks_elsewhere(&self) -> impl Iterator<Item = &WaitingAsk> {
        self.asks.iter().filter(|ask| ask.number != self.active + 1)
    }

    /// Returns the next ask of another session, in the order in which they came, after the one that is shown; after the
    /// last comes the first.
    pub fn next_ask(&self, shown: Option<&CallId>) -> Option<&WaitingAsk> {
        let is_shown = |ask: &WaitingAsk| ask.number == self.active + 1 && Some(&ask.call) == shown;
        let after = self.asks.iter().position(is_shown).map_or(0, |at| at + 1);
        let (before, rest) = self.asks.split_at(after);
        rest.iter().chain(before).find(|ask| ask.number != self.active + 1)
    }

    /// Returns the tabs that are not shown, each with its number.
    pub fn others(&self) -> impl Iterator<Item = (usize, &TabSummary)> {
        self.tabs.iter().enumerate().filter(|(index, _)| *index != self.active).map(|(index, tab)| (index + 1, tab))
    }
}

impl Store {
    /// Returns what the session is called: its title, else its first prompt; empty before that.
    pub fn tab_title(&self) -> String {
        let given =
            self.session.title.as_deref().map(|title| one_line(&redact_credentials(title), MAX_TAB_TITLE_CELLS));
        given.filter(|title| !title.is_empty()).or_else(|| self.title()).unwrap_or_default()
    }

    pub fn tab_state(&self) -> TabState {
        match (&self.session.phase, self.unseen.end()) {
            (Phase::WaitingApproval { .. }, _) => TabState::AwaitingApproval,
            (Phase::Working { .. }, _) => TabState::Working,
            (Phase::Idle, Some(UnseenEnd::Failed)) => TabState::Failed,
            (Phase::Idle, Some(UnseenEnd::Done)) => TabState::Unread,
            (Phase::Idle, None) if self.person_runs.is_running() => TabState::Working,
            (Phase::Idle, None) => TabState::Idle,
        }
    }

    /// Returns the calls that wait for a decision that can be made here and was not made yet.
    pub fn waiting_calls(&self) -> impl Iterator<Item = &ToolCall> {
        let decides = self.session.capabilities().decide;
        self.tool_calls.pending().filter(move |call| decides && !self.focus.was_answered(&call.id))
    }

    /// Returns whether something goes on here, or waits, that leaving the session would end.
    pub fn is_busy(&self) -> bool {
        let works = self.session.capabilities().prompt && !self.session.phase.is_idle();
        let goes_on = !self.session.queue().is_empty() && !self.session.status.queue_held;
        works || goes_on || self.person_runs.is_running()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AgentEvent, Fault, FaultKind, TurnOutcome};
    use crate::store::action::{Action, ScrollStep};
    use crate::store::effect::Effect;
    use crate::store::msg::Msg;
    use crate::store::overlay::approval::ApprovalDialog;
    use crate::testkit::events::{LIVE, Opened, shell_approval, turn_finished, turn_started, user_message};
    use crate::testkit::store::fold;

    fn live() -> Store {
        let mut store = Store::default();
        fold(&mut store, [Opened { capabilities: LIVE, ..Opened::default() }.event()]);
        store
    }

    #[test]
    fn a_tab_is_found_by_number_and_in_a_round() {
        let tab = |id: &str| TabSummary { session: id.into(), title: String::new(), state: TabState::Idle };
        let mut tabs = OpenTabs { tabs: vec![tab("a"), tab("b"), tab("c")], active: 2, asks: Vec::new() };
        assert_eq!(tabs.find(&TabTarget::Number(1)), Some(0));
        assert_eq!([0, 4].map(|number| tabs.find(&TabTarget::Number(number))), [None, None]);
        assert_eq!((tabs.find(&TabTarget::Next), tabs.find(&TabTarget::Previous)), (Some(0), Some(1)));
        tabs.active = 0;
        assert_eq!((tabs.find(&TabTarget::Next), tabs.find(&TabTarget::Previous)), (Some(1), Some(2)));
        assert_eq!(tabs.find(&TabTarget::Session("b".into())), Some(1));
        assert_eq!(tabs.others().map(|(number, _)| number).collect::<Vec<_>>(), [2, 3]);
        let none = OpenTabs::default();
        assert!([TabTarget::Number(1), TabTarget::Next, TabTarget::Previous].iter().all(|to| none.find(to).is_none()));
    }

    fn ask(number: usize, call: &str) -> WaitingAsk {
        WaitingAsk {
            number,
            session: format!("s{number}").as_str().into(),
            title: format!("Session {number}"),
            call: call.into(),
            tool: "shell".into(),
            subject: "ls".into(),
            since: "14:03".into(),
        }
    }

    /// Three sessions, of which the first is shown: asks came in the third, the first, the second and the third.
    fn asked() -> OpenTabs {
        let tab = |id: &str| TabSummary { session: id.into(), title: String::new(), state: TabState::AwaitingApproval };
        let asks = vec![ask(3, "c1"), ask(1, "c1"), ask(2, "c1"), ask(3, "c2")];
        OpenTabs { tabs: vec![tab("s1"), tab("s2"), tab("s3")], active: 0, asks }
    }

    #[test]
    fn asks_elsewhere_are_walked_in_the_order_in_which_they_came() {
        let mut tabs = asked();
        let next = |tabs: &OpenTabs, shown: Option<&str>| {
            let shown = shown.map(CallId::from);
            tabs.next_ask(shown.as_ref()).map(|ask| (ask.number, ask.call.to_string()))
        };
        assert_eq!(tabs.asks_elsewhere().count(), 3);
        assert_eq!(next(&tabs, None), Some((3, "c1".into())), "the oldest");
        assert_eq!(next(&tabs, Some("c1")), Some((2, "c1".into())));
        tabs.active = 1;
        assert_eq!(next(&tabs, Some("c1")), Some((3, "c2".into())));
        tabs.active = 2;
        assert_eq!(next(&tabs, Some("c2")), Some((1, "c1".into())), "round, without its own");
        tabs.asks.retain(|ask| ask.number == 3);
        assert_eq!(next(&tabs, Some("c1")), None);
    }

    #[test]
    fn the_key_of_asks_opens_ones_own_first_and_goes_on_to_the_others() {
        let mut store = live();
        let go = |store: &mut Store, action| {
            let mut fx = Vec::new();
            store.update(Msg::Action(action), &mut fx);
            fx
        };
        assert_eq!(go(&mut store, Action::OpenApproval), []);
        let ready = AgentEvent::ToolCallReady {
            call: "c1".into(),
            name: "shell".into(),
            args: "{}".into(),
            provider_metadata: None,
        };
        let request = AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("ls") };
        fold(&mut store, [turn_started("t1"), ready, request]);
        store.update(Msg::Tabs(asked()), &mut Vec::new());
        assert_eq!(go(&mut store, Action::OpenApproval), []);
        assert!(store.visible_approval().is_some());
        let to = |number: &str| vec![Effect::SwitchTab(TabTarget::Session(number.into()))];
        assert_eq!(go(&mut store, Action::OpenApproval), to("s2"));
        store.update(Msg::Action(Action::CloseOverlay), &mut Vec::new());
        store.focus.overlays.clear();
        store.focus.mark_answered("c1".into());
        assert_eq!(store.waiting_calls().count(), 0);
        assert_eq!(go(&mut store, Action::OpenApproval), to("s3"), "what was answered waits no more");
    }

    #[test]
    fn a_list_of_asks_and_of_sessions_leads_there() {
        let mut store = live();
        store.update(Msg::Tabs(asked()), &mut Vec::new());
        let mut go = |action| {
            let mut fx = Vec::new();
            store.update(Msg::Action(action), &mut fx);
            fx
        };
        go(Action::OpenTabList(TabListSubject::Asks));
        go(Action::ScrollOverlay { step: ScrollStep::Forward(2), end: 0 });
        assert_eq!(go(Action::OverlayAccept), [Effect::SwitchTab(TabTarget::Ask("s2".into(), "c1".into()))]);
        go(Action::OpenTabList(TabListSubject::Asks));
        go(Action::ScrollOverlay { step: ScrollStep::Forward(3), end: 0 });
        assert_eq!(go(Action::OverlayAccept), [Effect::SwitchTab(TabTarget::Ask("s3".into(), "c2".into()))]);
        go(Action::OpenTabList(TabListSubject::Sessions));
        go(Action::ScrollOverlay { step: ScrollStep::Forward(9), end: 0 });
        assert_eq!(go(Action::OverlayAccept), [Effect::SwitchTab(TabTarget::Number(3))]);
        let mut single = live();
        for subject in [TabListSubject::Asks, TabListSubject::Sessions] {
            single.update(Msg::Action(Action::OpenTabList(subject)), &mut Vec::new());
            assert!(single.focus.top().is_none() && single.toast.is_some());
        }
    }

    #[test]
    fn the_ask_that_was_chosen_takes_the_place_of_the_oldest() {
        let mut store = live();
        fold(&mut store, [turn_started("t1")]);
        for call in ["c1", "c2"] {
            let ready = AgentEvent::ToolCallReady {
                call: call.into(),
                name: "shell".into(),
                args: "{}".into(),
                provider_metadata: None,
            };
            fold(
                &mut store,
                [ready, AgentEvent::ApprovalRequested { call: call.into(), request: shell_approval("ls") }],
            );
        }
        let shown = |store: &Store| store.focus.top_as::<ApprovalDialog>().map(|shown| shown.call.to_string());
        store.update(Msg::OfferApproval, &mut Vec::new());
        assert_eq!(shown(&store).as_deref(), Some("c1"));
        store.update(Msg::Action(Action::OpenApprovalOf("c2".into())), &mut Vec::new());
        assert_eq!((shown(&store).as_deref(), store.focus.overlays.len()), (Some("c2"), 1));
        store.update(Msg::Action(Action::OpenApprovalOf("c9".into())), &mut Vec::new());
        assert!(shown(&store).as_deref() == Some("c2") && store.toast.is_some());
    }

    #[test]
    fn a_tab_tells_what_it_does_and_what_came_of_it_while_nobody_looked() {
        let mut store = live();
        assert_eq!((store.tab_state(), store.tab_title()), (TabState::Idle, String::new()));
        fold(&mut store, [turn_started("t1"), user_message("m1", "Mend it\nnow")]);
        assert_eq!(
            (store.tab_state(), store.tab_title().as_str(), store.is_busy()),
            (TabState::Working, "Mend it", true)
        );
        let ready = AgentEvent::ToolCallReady {
            call: "c1".into(),
            name: "shell".into(),
            args: "{}".into(),
            provider_metadata: None,
        };
        let ask = AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("ls") };
        fold(&mut store, [ready, ask]);
        assert_eq!(store.tab_state(), TabState::AwaitingApproval);
        fold(&mut store, [turn_finished("t1", TurnOutcome::Completed)]);
        assert_eq!((store.tab_state(), store.is_busy()), (TabState::Idle, false), "somebody looked");
        store.update(Msg::Looking(false), &mut Vec::new());
        fold(&mut store, [turn_started("t2"), turn_finished("t2", TurnOutcome::Completed)]);
        assert_eq!(store.tab_state(), TabState::Unread);
        let failed = TurnOutcome::Failed(Fault::new(FaultKind::Network, "no route"));
        fold(&mut store, [turn_started("t3"), turn_finished("t3", failed)]);
        assert_eq!(store.tab_state(), TabState::Failed);
        store.update(Msg::Looking(true), &mut Vec::new());
        assert_eq!(store.tab_state(), TabState::Idle);
    }
}
