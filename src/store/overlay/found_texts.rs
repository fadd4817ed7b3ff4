//! What is found in all saved sessions: a field for the words, and the texts that have them, the newest session first.

use std::ops::Range;

use super::{OverlayOutcome, OverlayState};
use crate::event::{Seq, SessionId};
use crate::store::Store;
use crate::store::action::{Action, ScrollStep};
use crate::store::effect::Effect;
use crate::store::update::support::open;

/// A text of a saved session with what was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundText {
    pub session: SessionId,
    /// Of the session; raw.
    pub title: String,
    /// How long ago that was used last.
    pub age: String,
    /// Whether it is a prompt, an answer, a call, an output or a note.
    pub kind: &'static str,
    /// The event to show it at.
    pub seq: Seq,
    /// The line of it that matches; raw.
    pub line: String,
    /// Where in the line the match is.
    pub range: Range<usize>,
}

/// The texts found, of which there may be more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundTextList {
    pub texts: Vec<FoundText>,
    pub total: usize,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionsSearch {
    pub query: String,
    /// What was looked for last.
    searched: String,
    pub selected: usize,
    /// None while it is looked for.
    found: Option<Result<FoundTextList, String>>,
}

impl SessionsSearch {
    /// Returns what was found, or why nothing can be; none before that is known.
    pub fn found(&self) -> Option<&Result<FoundTextList, String>> {
        self.found.as_ref()
    }

    /// Returns whether what is shown is what the field says.
    pub fn is_current(&self) -> bool {
        self.query.trim() == self.searched
    }

    /// Takes what was found for a query, unless another was asked for meanwhile.
    pub(in crate::store) fn set_found(&mut self, query: &str, found: Result<FoundTextList, String>) {
        if self.searched == query {
            (self.found, self.selected) = (Some(found), 0);
        }
    }

    fn texts(&self) -> &[FoundText] {
        match &self.found {
            Some(Ok(list)) => &list.texts,
            _ => &[],
        }
    }

    fn search(&mut self, fx: &mut Vec<Effect>) {
        self.query.trim().clone_into(&mut self.searched);
        self.selected = 0;
        if self.searched.is_empty() {
            self.found = Some(Ok(FoundTextList::default()));
        } else {
            self.found = None;
            fx.push(Effect::SearchSessions(self.searched.clone()));
        }
    }
}

impl OverlayState for SessionsSearch {
    fn is_typing(&self) -> bool {
        true
    }

    fn field(&mut self) -> Option<&mut String> {
        Some(&mut self.query)
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        self.selected = step.from(self.selected, self.texts().len().saturating_sub(1));
    }

    fn rows(&self, _store: &Store) -> Option<Vec<String>> {
        Some(self.texts().iter().map(|text| format!("{}: {}", text.title, text.line.trim())).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, _store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        if !self.is_current() {
            self.search(fx);
            return OverlayOutcome::Stay;
        }
        match self.texts().get(self.selected) {
            Some(text) => OverlayOutcome::Then(Action::GoToSession(text.session.clone(), text.seq)),
            None => OverlayOutcome::Stay,
        }
    }
}

/// Looks through all saved sessions, for words that were given or are typed now.
pub(in crate::store) fn open_sessions_search(store: &mut Store, query: Option<String>, fx: &mut Vec<Effect>) {
    let mut search = SessionsSearch { query: query.unwrap_or_default(), ..SessionsSearch::default() };
    search.search(fx);
    open(store, search);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::msg::{Msg, Report};

    fn act(store: &mut Store, action: Action) -> Vec<Effect> {
        let mut fx = Vec::new();
        store.update(Msg::Action(action), &mut fx);
        fx
    }

    fn found(store: &mut Store, query: &str, seqs: &[u64]) {
        let text = |seq: &u64| FoundText {
            session: "s1".into(),
            title: "a title".into(),
            age: "3 d".into(),
            kind: "answer",
            seq: Seq(*seq),
            line: "a line".into(),
            range: 2..6,
        };
        let list = FoundTextList { texts: seqs.iter().map(text).collect(), total: seqs.len() };
        let report = Report::FoundTexts { query: query.into(), found: Ok(list) };
        store.update(Msg::Report(report), &mut Vec::new());
    }

    #[test]
    fn words_are_looked_for_and_a_text_that_is_chosen_is_gone_to() {
        let mut store = Store::default();
        let wanted = Effect::SearchSessions("a line".into());
        assert_eq!(act(&mut store, Action::SearchSessions(Some(" a line ".into()))), [wanted]);
        assert_eq!(act(&mut store, Action::OverlayAccept), [], "nothing is there yet");
        found(&mut store, "another", &[9]);
        assert_eq!(act(&mut store, Action::OverlayAccept), [], "that was asked for before");
        found(&mut store, "a line", &[3, 7]);
        act(&mut store, Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
        assert_eq!(act(&mut store, Action::OverlayAccept), [Effect::GoToSession("s1".into(), Seq(7))]);
        assert!(store.focus.top().is_none());
    }

    #[test]
    fn enter_looks_anew_once_the_words_are_others() {
        let mut store = Store::default();
        assert_eq!(act(&mut store, Action::SearchSessions(None)), []);
        act(&mut store, Action::OverlayChar('x'));
        assert_eq!(act(&mut store, Action::OverlayAccept), [Effect::SearchSessions("x".into())]);
        found(&mut store, "x", &[3]);
        act(&mut store, Action::OverlayChar('y'));
        assert_eq!(act(&mut store, Action::OverlayAccept), [Effect::SearchSessions("xy".into())]);
        assert_eq!(act(&mut store, Action::OverlayAccept), []);
    }
}
