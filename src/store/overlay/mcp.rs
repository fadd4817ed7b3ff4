//! The MCP servers, a row each; and what there is to tell of one, to which Enter goes and Esc back from.
//!
//! What changes is shown as it changes, for as long as one of the two is open.

use super::{LetterUse, OverlayOutcome, OverlayState};
use crate::event::{McpServerState, McpServerStatus};
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::Effect;
use crate::store::update::support::open;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct McpServerList {
    pub servers: Vec<McpServerStatus>,
    pub selected: usize,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct McpServerText {
    pub server: McpServerStatus,
    /// Rows scrolled down.
    pub scroll: usize,
}

impl McpServerText {
    /// Returns whether Enter starts it.
    pub fn can_start(&self) -> bool {
        matches!(self.server.state, McpServerState::Idle | McpServerState::Failed(_))
    }
}

impl OverlayState for McpServerList {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        self.selected = step.from(self.selected, self.servers.len().saturating_sub(1));
    }

    fn rows(&self, _store: &Store) -> Option<Vec<String>> {
        Some(self.servers.iter().map(|server| format!("{}: {}", server.name, server.summary())).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        let Some(server) = self.servers.get(self.selected).cloned() else { return OverlayOutcome::Close };
        open(store, McpServerText { server, scroll: 0 });
        OverlayOutcome::Stay
    }
}

impl OverlayState for McpServerText {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.scroll = step.from(self.scroll, end);
    }

    fn accept(&mut self, _store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        if !self.can_start() {
            return OverlayOutcome::Close;
        }
        fx.push(Effect::RestartMcp(self.server.name.clone()));
        self.scroll = 0;
        OverlayOutcome::Stay
    }
}

/// Shows how they are; what is open of them is brought up to date. `wanted` is what the person asked for: all of them, or
/// one.
#[expect(clippy::option_option, reason = "nobody asked, or for all, or for one")]
pub(in crate::store) fn show_mcp(
    store: &mut Store,
    servers: Vec<McpServerStatus>,
    wanted: Option<Option<&str>>,
    fx: &mut Vec<Effect>,
) {
    let named = |name: &str| servers.iter().position(|server| server.name == name);
    if let Some(shown) = store.focus.find_mut::<McpServerText>()
        && let Some(at) = named(&shown.server.name)
    {
        shown.server = servers[at].clone();
    }
    let chosen = wanted.flatten().and_then(named);
    let server = chosen.map(|at| servers[at].clone());
    if let Some(list) = store.focus.find_mut::<McpServerList>() {
        list.selected = chosen.unwrap_or(list.selected).min(servers.len().saturating_sub(1));
        list.servers = servers;
    } else if wanted.is_some() {
        open(store, McpServerList { selected: chosen.unwrap_or(0), servers });
    } else {
        return;
    }
    if let Some(server) = server {
        open(store, McpServerText { server, scroll: 0 });
    }
    fx.push(Effect::WatchMcp);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::action::Action;
    use crate::store::msg::{Msg, Report};

    fn server(name: &str, state: McpServerState) -> McpServerStatus {
        McpServerStatus { name: name.into(), state, ..McpServerStatus::default() }
    }

    #[expect(clippy::option_option, reason = "as the report has it")]
    fn told(store: &mut Store, servers: &[McpServerStatus], wanted: Option<Option<&str>>) -> Vec<Effect> {
        let mut fx = Vec::new();
        let wanted = wanted.map(|name| name.map(str::to_owned));
        store.update(Msg::Report(Report::Mcp { servers: servers.to_vec(), wanted }), &mut fx);
        fx
    }

    #[test]
    fn one_that_failed_is_started_again_and_what_becomes_of_it_is_shown() {
        let mut store = Store::default();
        let failed = [server("a", McpServerState::Ready), server("b", McpServerState::Failed("no key".into()))];
        assert_eq!(told(&mut store, &failed, Some(Some("b"))), [Effect::WatchMcp]);
        let mut fx = Vec::new();
        store.update(Msg::Action(Action::OverlayAccept), &mut fx);
        assert_eq!(fx, [Effect::RestartMcp("b".into())]);
        let ready = [server("a", McpServerState::Ready), server("b", McpServerState::Ready)];
        assert_eq!(told(&mut store, &ready, None), [Effect::WatchMcp], "it is looked at on");
        assert_eq!(store.focus.top_as::<McpServerText>().unwrap().server, ready[1]);
        store.update(Msg::Action(Action::OverlayAccept), &mut Vec::new());
        assert_eq!(store.focus.top_as::<McpServerList>().unwrap().selected, 1);
    }

    #[test]
    fn nobody_is_told_who_looks_elsewhere() {
        let mut store = Store::default();
        assert!(told(&mut store, &[server("a", McpServerState::Ready)], None).is_empty());
        assert!(store.focus.top_as::<McpServerList>().is_none());
    }
}
