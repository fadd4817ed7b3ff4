//! The session picker: a filter and a list of saved sessions.

use std::collections::HashMap;

use super::title::TitleField;
use super::{OverlayOutcome, OverlayState};
use crate::event::{NoticeLevel, SessionId};
use crate::store::Store;
use crate::store::action::{Action, Context, ScrollStep};
use crate::store::effect::Effect;
use crate::store::sessions::{PreviewMessage, SessionChoice};
use crate::store::update::support::open;
use crate::text::fuzzy::FuzzyQuery;
use crate::text::one_line;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionPicker {
    pub query: String,
    pub selected: usize,
    /// Also those of other folders.
    pub all_folders: bool,
    /// Those that are archived, instead of the others.
    pub archived: bool,
    /// None until they were listed.
    sessions: Option<Vec<SessionChoice>>,
    /// Which of them the query keeps, the best first.
    found: Vec<usize>,
    /// Deleted if the key is pressed again.
    removing: Option<SessionId>,
    /// What was said last in sessions that were selected; none while that is being read.
    previews: HashMap<SessionId, Option<Vec<PreviewMessage>>>,
}

/// Cells of a title that is offered to be edited.
const MAX_TITLE_CELLS: usize = 200;
/// Previews kept; with more they are read anew.
const MAX_PREVIEWS: usize = 64;

impl SessionPicker {
    pub fn is_loading(&self) -> bool {
        self.sessions.is_none()
    }

    /// Returns how many there are, whatever the query keeps.
    pub fn total(&self) -> usize {
        self.sessions.as_ref().map_or(0, Vec::len)
    }

    /// Returns those that the query keeps, the newest first, or the best where something was typed.
    pub fn found(&self) -> impl ExactSizeIterator<Item = &SessionChoice> {
        let sessions = self.sessions.as_deref().unwrap_or_default();
        self.found.iter().map(move |place| &sessions[*place])
    }

    /// Returns what was said last in the selected session; none while it is not known.
    pub fn preview(&self) -> Option<&[PreviewMessage]> {
        self.previews.get(&self.chosen()?.id)?.as_deref()
    }

    /// Takes what was read of a session's end; of one that can't be read there is nothing to show.
    pub fn set_preview(&mut self, id: SessionId, messages: Option<Vec<PreviewMessage>>) {
        self.previews.insert(id, Some(messages.unwrap_or_default()));
    }

    /// Takes a new title; one that is empty leaves it to the next listing to find the first prompt.
    pub fn rename(&mut self, id: &SessionId, title: &str) {
        let session = self.sessions.iter_mut().flatten().find(|session| session.id == *id);
        if let Some(session) = session.filter(|_| !title.is_empty()) {
            session.title = Some(title.to_owned());
        }
        self.filter();
    }

    fn chosen(&self) -> Option<&SessionChoice> {
        self.found().nth(self.selected)
    }

    /// Takes what was listed.
    pub fn set_sessions(&mut self, sessions: Vec<SessionChoice>) {
        self.sessions = Some(sessions);
        self.filter();
        self.selected = self.selected.min(self.found.len().saturating_sub(1));
    }

    /// Forgets a session that was deleted.
    pub fn remove(&mut self, id: &SessionId) {
        let mut sessions = self.sessions.take().unwrap_or_default();
        sessions.retain(|session| session.id != *id);
        self.set_sessions(sessions);
    }

    fn filter(&mut self) {
        let sessions = self.sessions.as_deref().unwrap_or_default();
        self.found = if self.query.trim().is_empty() {
            (0..sessions.len()).collect()
        } else {
            FuzzyQuery::new(&self.query).rank(sessions.iter().map(SessionChoice::searched_text))
        };
    }

    fn list(&mut self, fx: &mut Vec<Effect>) {
        self.sessions = None;
        self.found.clear();
        self.selected = 0;
        fx.push(Effect::ListSessions { all_folders: self.all_folders, archived: self.archived });
    }

    /// What is deleted can't be brought back: the key is pressed twice.
    fn remove_chosen(&mut self, store: &mut Store, fx: &mut Vec<Effect>) {
        let Some((id, title)) = self.chosen().map(|session| (session.id.clone(), session.title.clone())) else {
            return;
        };
        if self.removing.as_ref() == Some(&id) {
            self.removing = None;
            fx.push(Effect::RemoveSession(id));
        } else {
            let title = one_line(title.as_deref().unwrap_or(id.as_str()), 40);
            store.toast = Some((NoticeLevel::Warn, format!("press again to delete \u{201c}{title}\u{201d} for good")));
            self.removing = Some(id);
        }
    }
}

impl OverlayState for SessionPicker {
    fn key_contexts(&self) -> &'static [Context] {
        &[Context::Sessions, Context::Overlay]
    }

    fn is_typing(&self) -> bool {
        true
    }

    fn field(&mut self) -> Option<&mut String> {
        Some(&mut self.query)
    }

    fn on_edit(&mut self, _store: &mut Store) {
        (self.selected, self.removing) = (0, None);
        self.filter();
    }

    fn scroll(&mut self, step: ScrollStep, _end: usize, _store: &mut Store) {
        self.removing = None;
        self.selected = step.from(self.selected, self.found.len().saturating_sub(1));
    }

    fn rows(&self, _store: &Store) -> Option<Vec<String>> {
        let row = |session: &SessionChoice| {
            let title = session.title.as_deref().unwrap_or("no prompt yet");
            let folder = if self.all_folders { session.folder.as_str() } else { "" };
            let parts = [title, &session.age, &session.engine, folder];
            parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
        };
        Some(self.found().map(row).collect())
    }

    fn choose_row(&mut self, nth: usize, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        self.selected = nth;
        self.accept(store, fx)
    }

    fn accept(&mut self, _store: &mut Store, _fx: &mut Vec<Effect>) -> OverlayOutcome {
        match self.chosen() {
            Some(session) => OverlayOutcome::Then(Action::ResumeSession(session.id.as_str().to_owned())),
            None => OverlayOutcome::Stay,
        }
    }

    fn act(&mut self, action: &Action, store: &mut Store, fx: &mut Vec<Effect>) -> OverlayOutcome {
        match action {
            Action::ToggleAllFolders => {
                (self.all_folders, self.removing) = (!self.all_folders, None);
                self.list(fx);
            }
            Action::ToggleArchived => {
                (self.archived, self.removing) = (!self.archived, None);
                self.list(fx);
            }
            Action::RemoveSession => self.remove_chosen(store, fx),
            Action::ArchiveSession => {
                let chosen = self.chosen().map(|session| session.id.clone());
                fx.extend(chosen.map(|id| Effect::ArchiveSession { id, is_archived: !self.archived }));
            }
            Action::RenameSelected => {
                if let Some(session) = self.chosen() {
                    let title = one_line(session.title.as_deref().unwrap_or_default(), MAX_TITLE_CELLS);
                    open(store, TitleField { text: title, session: Some(session.id.clone()) });
                }
            }
            _ => {}
        }
        OverlayOutcome::Stay
    }

    fn ask(&mut self, fx: &mut Vec<Effect>) {
        let Some(id) = self.chosen().map(|session| session.id.clone()) else { return };
        if self.previews.contains_key(&id) {
            return;
        }
        if self.previews.len() >= MAX_PREVIEWS {
            self.previews.clear();
        }
        self.previews.insert(id.clone(), None);
        fx.push(Effect::PreviewSession(id));
    }
}

/// Lists the sessions of this folder.
pub(in crate::store) fn open_sessions(store: &mut Store, fx: &mut Vec<Effect>) {
    let mut picker = SessionPicker::default();
    picker.list(fx);
    open(store, picker);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Envelope, Millis, Seq};
    use crate::store::msg::{Msg, Report};
    use crate::testkit::events::{LIVE, Opened, turn_started};

    fn choice(id: &str, title: &str, folder: &str) -> SessionChoice {
        SessionChoice {
            id: id.into(),
            title: Some(title.into()),
            folder: folder.into(),
            engine: "offline".into(),
            age: "now".into(),
            turns: Some(2),
        }
    }

    fn opened() -> (Store, Vec<Effect>) {
        let (mut store, mut fx) = (Store::default(), Vec::new());
        open_sessions(&mut store, &mut fx);
        let sessions =
            vec![choice("s3", "Mend the parser", "/a"), choice("s2", "Write docs", "/a"), choice("s1", "Hi", "/b")];
        store.update(Msg::Report(Report::Sessions(sessions)), &mut Vec::new());
        (store, fx)
    }

    fn act(store: &mut Store, action: Action) -> Vec<Effect> {
        let mut fx = Vec::new();
        store.update(Msg::Action(action), &mut fx);
        fx
    }

    fn found(store: &Store) -> Vec<String> {
        let picker = store.focus.top_as::<SessionPicker>().unwrap();
        picker.found().map(|session| session.id.to_string()).collect()
    }

    #[test]
    fn some_letters_of_a_title_or_a_folder_find_a_session_and_enter_resumes_it() {
        let (mut store, fx) = opened();
        assert_eq!(fx, [Effect::ListSessions { all_folders: false, archived: false }]);
        assert_eq!(found(&store), ["s3", "s2", "s1"]);
        for c in "wdcs".chars() {
            act(&mut store, Action::OverlayChar(c));
        }
        assert_eq!(found(&store), ["s2"]);
        assert_eq!(act(&mut store, Action::OverlayAccept), [Effect::ResumeSession("s2".into())]);
        assert!(store.focus.top().is_none());
    }

    #[test]
    fn a_session_is_deleted_by_the_second_press_and_only_on_the_same_one() {
        let (mut store, _) = opened();
        assert_eq!(act(&mut store, Action::RemoveSession), []);
        assert!(store.toast.as_ref().unwrap().1.contains("Mend the parser"));
        act(&mut store, Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 });
        assert_eq!(act(&mut store, Action::RemoveSession), []);
        assert_eq!(act(&mut store, Action::RemoveSession), [Effect::RemoveSession("s2".into())]);
        store.update(Msg::Report(Report::SessionRemoved("s2".into())), &mut Vec::new());
        assert_eq!(found(&store), ["s3", "s1"]);
    }

    #[test]
    fn a_turn_that_runs_keeps_nobody_from_another_session() {
        let (mut store, _) = opened();
        let live = Opened { capabilities: LIVE, ..Opened::default() }.event();
        for (seq, event) in (1..).zip([live, turn_started("t1")]) {
            store.update(Msg::Event(Envelope { seq: Seq(seq), at: Millis(seq), event }), &mut Vec::new());
        }
        assert!(store.is_busy());
        assert_eq!(act(&mut store, Action::OverlayAccept), [Effect::ResumeSession("s3".into())]);
        assert_eq!(act(&mut store, Action::NewSession), [Effect::NewSession]);
        assert_eq!(act(&mut store, Action::ResumeSession("s2".into())), [Effect::ResumeSession("s2".into())]);
    }

    #[test]
    fn other_folders_are_listed_when_they_are_asked_for() {
        let (mut store, _) = opened();
        let listed = act(&mut store, Action::ToggleAllFolders);
        assert_eq!(listed, [Effect::ListSessions { all_folders: true, archived: false }]);
        assert!(store.focus.top_as::<SessionPicker>().unwrap().is_loading());
        let listed = act(&mut store, Action::ToggleArchived);
        assert_eq!(listed, [Effect::ListSessions { all_folders: true, archived: true }]);
    }

    fn preview_of(fx: &[Effect]) -> Option<&str> {
        fx.iter().find_map(|effect| match effect {
            Effect::PreviewSession(id) => Some(id.as_str()),
            _ => None,
        })
    }

    #[test]
    fn what_was_said_last_is_asked_for_once_for_each_that_is_selected() {
        let (mut store, mut fx) = (Store::default(), Vec::new());
        open_sessions(&mut store, &mut fx);
        store.update(Msg::Report(Report::Sessions(vec![choice("s3", "a", "/a"), choice("s2", "b", "/a")])), &mut fx);
        assert_eq!(preview_of(&fx), Some("s3"));
        let down = Action::ScrollOverlay { step: ScrollStep::Forward(1), end: 0 };
        let up = Action::ScrollOverlay { step: ScrollStep::Back(1), end: 0 };
        assert_eq!(preview_of(&act(&mut store, down)), Some("s2"));
        assert_eq!(preview_of(&act(&mut store, up)), None);
        let said = vec![PreviewMessage { is_prompt: true, text: "hello".into() }];
        store.update(Msg::Report(Report::SessionPreview("s3".into(), Some(said.clone()))), &mut fx);
        assert_eq!(store.focus.top_as::<SessionPicker>().unwrap().preview(), Some(&said[..]));
    }

    #[test]
    fn a_session_is_renamed_and_archived_from_the_list() {
        let (mut store, _) = opened();
        act(&mut store, Action::RenameSelected);
        assert_eq!(store.focus.top_as::<TitleField>().unwrap().text, "Mend the parser");
        act(&mut store, Action::OverlayClear);
        "New".chars().for_each(|c| drop(act(&mut store, Action::OverlayChar(c))));
        let fx = act(&mut store, Action::OverlayAccept);
        assert!(fx.contains(&Effect::RenameSession { id: "s3".into(), title: "New".into() }), "{fx:?}");
        let renamed = Report::SessionRenamed { id: "s3".into(), title: "New".into() };
        store.update(Msg::Report(renamed), &mut Vec::new());
        let picker = store.focus.top_as::<SessionPicker>().expect("the list is still there");
        assert_eq!(picker.found().next().unwrap().title.as_deref(), Some("New"));
        let fx = act(&mut store, Action::ArchiveSession);
        assert!(fx.contains(&Effect::ArchiveSession { id: "s3".into(), is_archived: true }), "{fx:?}");
        store.update(Msg::Report(Report::SessionRemoved("s3".into())), &mut Vec::new());
        assert_eq!(found(&store), ["s2", "s1"]);
    }
}
