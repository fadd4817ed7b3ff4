use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::*;
use crate::app::chat::ChatController;
use crate::app::draft::DraftSaver;
use crate::app::effects::ResumedSession;
use crate::config::Config;
use crate::config::UiConfig;
use crate::config::keys::{Chord, Keymap};
use crate::event::{AgentEvent, Command, Seq, TurnOutcome};
use crate::store::action::Action;
use crate::store::effect::Effect;
use crate::store::msg::Msg;
use crate::store::overlay::approval::ApprovalDialog;
use crate::store::tabs::{TabState, TabTarget};
use crate::store::{Store, StoreOptions};
use crate::testkit::events::{LIVE, Opened, call_ready, shell_approval, turn_finished, turn_started, user_message};
use crate::testkit::session::{TestSource, session_setup, start_session};
use crate::testkit::ui::dark_ui;
use crate::ui::keymap::Input;

/// Two sessions whose sources are the test: the second was opened beside the first, and is shown.
struct TwoTabs {
    tabs: TabSet,
    first: TestSource,
    second: TestSource,
    _tasks: JoinSet<()>,
}

fn ui_config() -> UiConfig {
    Config::default().ui
}

fn asked() -> [AgentEvent; 2] {
    let ask = AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("ls") };
    [call_ready("c1", "shell", "{}"), ask]
}

impl TwoTabs {
    /// On the heap, for there are two whole screens in it.
    fn new() -> impl Future<Output = Self> {
        Box::pin(Self::start())
    }

    async fn start() -> Self {
        let mut tasks = JoinSet::new();
        let (one, first) = start_session(session_setup("s1".into()), LIVE, &mut tasks);
        let (two, second) = start_session(session_setup("s2".into()), LIVE, &mut tasks);
        let options = StoreOptions::default();
        let chat = ChatController::new(Store::new(options), dark_ui(), Keymap::default());
        let mut tabs = TabSet::new(SessionTab::new(chat, one, DraftSaver::disabled(), options, String::new()));
        first.send([Opened { capabilities: LIVE, ..Opened::default() }.event(), turn_started("t1")]).await;
        first.send([user_message("m1", "Mend the parser")]).await;
        take_active(&mut tabs);
        assert!(tabs.active.stays_open());
        let chat = tabs.active.chat.beside(options, &ui_config());
        let opened = ResumedSession { handle: two, outside: None, draft: None, restored: Vec::new() };
        let tab = tabs.active.beside(chat, opened);
        tabs.add(tab);
        second.send([Opened { capabilities: LIVE, ..Opened::default() }.event()]).await;
        take_active(&mut tabs);
        Self { tabs, first, second, _tasks: tasks }
    }

    /// Takes all that the sessions told that are not shown.
    fn take_background(&mut self) {
        while let Some((id, change)) = self.tabs.split().1.next_change().now_or_never() {
            take(self.tabs.get_mut(id).unwrap(), change);
        }
    }

    fn press(&mut self, chord: &str) {
        self.tabs.active.input(Input::Key(Chord::parse(chord).unwrap()), Instant::now());
    }
}

fn take(tab: &mut SessionTab, change: TabChange) {
    match change {
        TabChange::Status => tab.take_status(Instant::now()),
        TabChange::Events(is_open) => drop(tab.take_events(is_open)),
    }
}

fn take_active(tabs: &mut TabSet) {
    while let Some(change) = tabs.active.next_change().now_or_never() {
        take(&mut tabs.active, change);
    }
}

fn states(tabs: &TabSet) -> Vec<(String, TabState)> {
    tabs.summary().tabs.into_iter().map(|tab| (tab.title, tab.state)).collect()
}

#[tokio::test]
async fn a_session_that_is_not_shown_goes_on_and_loses_nothing() {
    let mut rig = TwoTabs::new().await;
    assert_eq!(states(&rig.tabs), [("Mend the parser".into(), TabState::Working), (String::new(), TabState::Idle)]);
    rig.first.send(asked()).await;
    rig.take_background();
    assert_eq!(states(&rig.tabs)[0].1, TabState::AwaitingApproval);
    rig.first.send([turn_finished("t1", TurnOutcome::Completed)]).await;
    rig.take_background();
    assert_eq!(states(&rig.tabs)[0].1, TabState::Unread);
    let first = rig.tabs.iter().next().unwrap();
    assert_eq!(first.chat.store.last_seq(), first.session.hub.last_seq());
    assert!(first.chat.store.last_seq() > Seq(5) && first.queued_events() == 0);
    assert!(rig.tabs.show(0));
    assert_eq!((states(&rig.tabs)[0].1, rig.tabs.summary().active), (TabState::Idle, 0), "it was looked at");
}

#[tokio::test]
async fn an_idle_session_makes_room_unless_a_draft_was_begun_in_it() {
    let mut rig = TwoTabs::new().await;
    assert!(!rig.tabs.active.stays_open());
    rig.press("x");
    assert!(!rig.tabs.active.stays_open(), "nothing was said: the draft goes along");
    rig.second.send([turn_started("t1"), user_message("m1", "hi"), turn_finished("t1", TurnOutcome::Completed)]).await;
    take_active(&mut rig.tabs);
    assert!(rig.tabs.active.stays_open());
    rig.press("backspace");
    assert!(!rig.tabs.active.stays_open());
}

#[tokio::test]
async fn what_is_typed_and_asked_stays_with_its_session() {
    let mut rig = TwoTabs::new().await;
    for c in ["h", "i"] {
        rig.press(c);
    }
    rig.first.send(asked()).await;
    rig.take_background();
    assert_eq!(rig.tabs.active.chat.ui.panes.composer.text(), "hi", "an ask elsewhere takes no key");
    assert!(rig.tabs.active.chat.store.focus.top().is_none());
    rig.press("alt+1");
    assert!(rig.tabs.active.chat.effects.iter().all(|effect| !effect.is_about_tabs()), "not told of the others yet");
    let summary = rig.tabs.summary();
    rig.tabs.active.chat.update(Msg::Tabs(summary));
    rig.press("alt+1");
    assert!(rig.tabs.active.chat.effects.iter().any(Effect::is_about_tabs));
    assert!(rig.tabs.show(0));
    let chat = &rig.tabs.active.chat;
    assert_eq!(chat.ui.panes.composer.text(), "");
    assert!(chat.store.focus.top_as::<ApprovalDialog>().is_some_and(|ask| ask.shown_at.is_none()));
    rig.tabs.show(1);
    assert_eq!(rig.tabs.active.chat.ui.panes.composer.text(), "hi");
    rig.press("enter");
    let sent: Vec<_> = rig.tabs.active.chat.effects.iter().filter(|effect| matches!(effect, Effect::Send(_))).collect();
    assert_eq!(sent, [&Effect::Send(Command::prompt("hi"))]);
    rig.second.send([turn_started("t1"), user_message("m1", "hi")]).await;
    take_active(&mut rig.tabs);
    rig.tabs.show(0);
    assert_eq!(rig.tabs.active.chat.ui.panes.composer.history(), ["hi"], "prompts are the person's");
}

#[tokio::test]
async fn an_ask_takes_no_answer_until_it_was_seen_again() {
    let mut rig = TwoTabs::new().await;
    rig.tabs.show(0);
    rig.first.send(asked()).await;
    take_active(&mut rig.tabs);
    rig.tabs.active.chat.update(Msg::ApprovalShown);
    rig.tabs.show(1);
    rig.tabs.show(0);
    let before = rig.tabs.active.chat.effects.len();
    for key in ["y", "enter", "enter"] {
        rig.press(key);
    }
    let decided = |effect: &Effect| matches!(effect, Effect::Send(Command::Decide { .. }));
    assert!(!rig.tabs.active.chat.effects.iter().skip(before).any(decided));
}

#[tokio::test]
async fn asks_are_known_in_the_order_in_which_they_came() {
    let mut rig = TwoTabs::new().await;
    rig.tabs.note_asks(|| panic!("nothing came"));
    rig.second.send([turn_started("t1")]).await;
    rig.second.send(asked()).await;
    take_active(&mut rig.tabs);
    rig.tabs.note_asks(|| "14:03".into());
    rig.first.send(asked()).await;
    rig.take_background();
    rig.tabs.note_asks(|| "14:05".into());
    let known = |tabs: &TabSet| -> Vec<(usize, String, String)> {
        tabs.summary().asks.into_iter().map(|ask| (ask.number, ask.since, ask.subject)).collect()
    };
    let (two, one) = ((2, "14:03".into(), "ls".into()), (1, "14:05".into(), "ls".into()));
    assert_eq!(known(&rig.tabs), [two, one]);
    rig.second.send([turn_finished("t1", TurnOutcome::Cancelled)]).await;
    take_active(&mut rig.tabs);
    rig.tabs.note_asks(|| "14:06".into());
    assert_eq!(known(&rig.tabs).len(), 1);
    let summary = rig.tabs.summary();
    rig.tabs.active.chat.update(Msg::Tabs(summary));
    for c in ["h", "i"] {
        rig.press(c);
    }
    rig.press("f4");
    let switch = Effect::SwitchTab(TabTarget::Session("s1".into()));
    assert!(rig.tabs.active.chat.effects.contains(&switch));
    rig.tabs.show(0);
    assert!(rig.tabs.active.chat.store.visible_approval().is_some(), "nothing is being written there");
    rig.tabs.close_active();
    rig.tabs.note_asks(|| "14:07".into());
    assert_eq!(rig.tabs.summary(), OpenTabs::default());
}

#[tokio::test]
async fn closing_shows_the_one_beside_it_and_leaving_asks_about_all() {
    let mut rig = TwoTabs::new().await;
    assert_eq!(rig.tabs.find_session("s1").map(|session| session.to_string()).as_deref(), Some("s1"));
    assert_eq!(rig.tabs.find_session("s"), rig.tabs.find_session("s1"));
    assert_eq!(rig.tabs.find_session(""), None);
    let summary = rig.tabs.summary();
    rig.tabs.active.chat.update(Msg::Tabs(summary));
    rig.press("ctrl+d");
    let toast = rig.tabs.active.chat.store.toast.clone().unwrap().1;
    assert!(toast.starts_with("another session is still working"), "{toast}");
    let closed = rig.tabs.close_active().unwrap();
    assert_eq!((closed.session.session.as_str(), rig.tabs.active.session.session.as_str()), ("s2", "s1"));
    assert!(rig.tabs.is_single() && rig.tabs.close_active().is_none());
    assert_eq!(rig.tabs.summary(), OpenTabs::default());
}

#[tokio::test]
async fn a_turn_that_runs_is_closed_when_asked_twice() {
    let mut rig = TwoTabs::new().await;
    rig.tabs.show(0);
    let summary = rig.tabs.summary();
    let chat = &mut rig.tabs.active.chat;
    chat.update(Msg::Tabs(summary));
    chat.effects.clear();
    chat.update(Msg::Action(Action::CloseTab));
    assert_eq!(chat.effects, []);
    chat.update(Msg::Action(Action::CloseTab));
    assert_eq!(chat.effects, [Effect::CloseTab]);
}
