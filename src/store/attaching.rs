//! Going to sessions that run elsewhere and leaving them, and playing one that is saved.
//!
//! Not here: opening them, which takes a network or a disk (`cli/run`). The invariant: what would be stopped by leaving is
//! told before.

use super::Store;
use super::effect::Effect;
use super::update::support::require;
use crate::event::{Command, LinkState, NoticeLevel};

/// Opens what is named beside this session.
pub(super) fn attach(store: &mut Store, line: String, fx: &mut Vec<Effect>) {
    if line.trim().is_empty() {
        let told = "name what to attach to: /attach URL, a remote of the settings, acp:AGENT or -- COMMAND";
        store.toast = Some((NoticeLevel::Info, told.into()));
        return;
    }
    store.toast = Some((NoticeLevel::Info, "attaching…".into()));
    fx.push(Effect::Attach { line: Some(line), is_beside: true });
}

/// Leaves a session that runs elsewhere; where nothing else is open, the program ends.
pub(super) fn detach(store: &mut Store, fx: &mut Vec<Effect>) {
    let Some(attachment) = &store.workplace.attachment else {
        let told = "this session runs here and is attached to nothing; /close closes it";
        store.toast = Some((NoticeLevel::Info, told.into()));
        return;
    };
    let stops = store.is_busy() && !attachment.goes_on;
    if stops && !std::mem::replace(&mut store.is_closing_asked, true) {
        let told = "what runs in this session would be stopped: once more to leave it";
        store.toast = Some((NoticeLevel::Warn, told.into()));
    } else if store.tabs.tabs.len() < 2 {
        fx.push(Effect::Quit);
    } else {
        fx.push(Effect::CloseTab);
    }
}

/// Tries the link again: at once where it waits to, and from the start where it was given up.
pub(super) fn reconnect(store: &mut Store, fx: &mut Vec<Effect>) {
    match (&store.session.status.link, &store.workplace.attachment) {
        (LinkState::Retrying { .. }, _) => {
            store.toast = Some((NoticeLevel::Info, "trying again now".into()));
            fx.push(Effect::Send(Command::Reconnect));
        }
        (LinkState::Lost(_), Some(attachment)) => {
            store.toast = Some((NoticeLevel::Info, "attaching again…".into()));
            fx.push(Effect::Attach { line: attachment.line.clone(), is_beside: false });
        }
        (LinkState::Lost(_), None) => {
            store.toast = Some((NoticeLevel::Info, "the next prompt connects again; /retry sends the last one".into()));
        }
        _ => store.toast = Some((NoticeLevel::Info, "the link is not broken: there is nothing to try again".into())),
    }
}

/// Serves the session that runs here, or no longer.
pub(super) fn toggle_serving(store: &mut Store, fx: &mut Vec<Effect>) {
    if store.workplace.attachment.is_some() || store.session.capabilities().seek {
        let told = "only a session that runs here is served from here";
        store.toast = Some((NoticeLevel::Info, told.into()));
    } else {
        fx.push(Effect::ToggleServing);
    }
}

/// Plays a saved session in a tab; without a name, this one as far as it has come.
pub(super) fn play_session(store: &mut Store, name: Option<String>, fx: &mut Vec<Effect>) {
    if name.is_some() || require(store, |caps| !caps.seek, "this is a replay already") {
        fx.push(Effect::PlaySession(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SessionStatus;
    use crate::store::action::Action;
    use crate::store::msg::Msg;
    use crate::store::tabs::{OpenTabs, TabState, TabSummary};
    use crate::store::workplace::Attachment;

    fn attached(goes_on: bool) -> Store {
        let mut store = Store::default();
        store.workplace.attachment = Some(Attachment { line: Some("office".into()), goes_on });
        store
    }

    fn asked(store: &mut Store, action: Action) -> Vec<Effect> {
        let mut fx = Vec::new();
        store.update(Msg::Action(action), &mut fx);
        fx
    }

    fn with_link(mut store: Store, link: LinkState) -> Store {
        store.update(Msg::Status(SessionStatus { link, ..SessionStatus::default() }), &mut Vec::new());
        store
    }

    #[test]
    fn attach_opens_what_is_named_beside_this_session() {
        let mut store = Store::default();
        let wanted = Effect::Attach { line: Some("http://h/x --read-only".into()), is_beside: true };
        assert_eq!(asked(&mut store, Action::Attach("http://h/x --read-only".into())), [wanted]);
        assert_eq!(asked(&mut store, Action::Attach(" ".into())), []);
        assert!(store.toast.is_some_and(|(_, text)| text.contains("/attach URL")));
    }

    #[test]
    fn detach_leaves_what_runs_elsewhere_and_asks_before_it_stops_anything() {
        let mut store = Store::default();
        assert_eq!(asked(&mut store, Action::Detach), []);
        assert!(store.toast.is_some_and(|(_, text)| text.contains("/close")));
        assert_eq!(asked(&mut attached(true), Action::Detach), [Effect::Quit]);
        let mut store = attached(true);
        let tab = |name: &str| TabSummary { session: name.into(), title: String::new(), state: TabState::Idle };
        store.update(
            Msg::Tabs(OpenTabs { tabs: vec![tab("a"), tab("b")], active: 1, ..OpenTabs::default() }),
            &mut Vec::new(),
        );
        assert_eq!(asked(&mut store, Action::Detach), [Effect::CloseTab]);
    }

    #[test]
    fn reconnect_ends_the_pause_or_attaches_again_where_the_link_was_given_up() {
        let at = crate::event::Millis(9000);
        let mut waiting = with_link(attached(true), LinkState::Retrying { attempt: 1, at });
        assert_eq!(asked(&mut waiting, Action::Reconnect), [Effect::Send(Command::Reconnect)]);
        let mut lost = with_link(attached(true), LinkState::Lost(None));
        let again = Effect::Attach { line: Some("office".into()), is_beside: false };
        assert_eq!(asked(&mut lost, Action::Reconnect), [again]);
        let mut live = with_link(attached(true), LinkState::Live);
        assert_eq!(asked(&mut live, Action::Reconnect), []);
        assert_eq!(asked(&mut with_link(Store::default(), LinkState::Lost(None)), Action::Reconnect), []);
    }

    #[test]
    fn only_what_runs_here_is_served_from_here() {
        assert_eq!(asked(&mut Store::default(), Action::ToggleServing), [Effect::ToggleServing]);
        let mut store = attached(true);
        assert_eq!(asked(&mut store, Action::ToggleServing), []);
        assert!(store.toast.is_some());
    }

    #[test]
    fn a_session_is_played_by_its_name_and_this_one_without() {
        let mut store = Store::default();
        assert_eq!(asked(&mut store, Action::PlaySession(None)), [Effect::PlaySession(None)]);
        let named = Some("2026".to_owned());
        assert_eq!(asked(&mut store, Action::PlaySession(named.clone())), [Effect::PlaySession(named)]);
    }
}
