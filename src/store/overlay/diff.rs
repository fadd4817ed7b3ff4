//! What the session changed in files, to be read: what its calls say, and what git says of the folder.
//!
//! Not here: finding the changes in calls, which is done as they are laid out (`ui/panes/diff.rs`).

use super::{LetterUse, OverlayState};
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::Effect;
use crate::store::update::support::open;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiffText {
    /// Rows scrolled down.
    pub scroll: usize,
    /// What git says, once it was asked: a unified diff, or why it has none.
    pub of_git: Option<Result<String, String>>,
}

impl OverlayState for DiffText {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.scroll = step.from(self.scroll, end);
    }
}

/// Shows what the calls say at once, and asks git.
pub(in crate::store) fn open_diff(store: &mut Store, fx: &mut Vec<Effect>) {
    open(store, DiffText::default());
    // What runs elsewhere changes files elsewhere.
    if store.workplace.host.is_none() && !store.session.capabilities().seek {
        fx.push(Effect::DiffFolder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::action::Action;
    use crate::store::msg::{Msg, Report};

    #[test]
    fn git_is_asked_for_what_runs_here_only() {
        let asked = |store: &mut Store| {
            let mut fx = Vec::new();
            store.update(Msg::Action(Action::OpenDiff), &mut fx);
            fx
        };
        let mut store = Store::default();
        assert_eq!(asked(&mut store), [Effect::DiffFolder]);
        store.update(Msg::Report(Report::FolderDiff(Ok("diff --git".into()))), &mut Vec::new());
        let shown = store.focus.top_as::<DiffText>().and_then(|shown| shown.of_git.clone());
        assert_eq!(shown, Some(Ok("diff --git".into())));
        let mut elsewhere = Store::default();
        elsewhere.workplace.host = Some("h:80".into());
        assert_eq!(asked(&mut elsewhere), []);
        assert!(elsewhere.focus.top_as::<DiffText>().is_some());
    }
}
