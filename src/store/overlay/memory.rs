//! What the agent is told besides its system prompt: which files with instructions were read and which not, and the skills.

use super::{LetterUse, OverlayState};
use crate::event::NoticeLevel;
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::Effect;
use crate::store::update::support::open;

/// What `/init` asks the agent.
const DRAFT_PROMPT: &str = include_str!("../../../assets/prompts/init.md");

/// A file with instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryFile {
    pub path: String,
    /// How much of it was read, or why it was not.
    pub note: String,
}

/// What there is to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    pub files: Vec<MemoryFile>,
    /// Each skill with what it says of itself, and what is none with the reason.
    pub skills: Vec<(String, String)>,
    /// Whether something waits for the project to be trusted.
    pub needs_trust: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryText {
    /// Rows scrolled down.
    pub scroll: usize,
    pub report: MemoryReport,
}

impl OverlayState for MemoryText {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.scroll = step.from(self.scroll, end);
    }
}

/// Asks what was read; with `trusts` the project is trusted first.
pub(in crate::store) fn ask_memory(store: &mut Store, trusts: bool, fx: &mut Vec<Effect>) {
    if store.workplace.host.is_some() || store.workplace.attachment.is_some() || store.session.capabilities().seek {
        let told = "what answers here reads its own instructions: this program tells it none";
        store.toast = Some((NoticeLevel::Info, told.into()));
        return;
    }
    fx.push(if trusts { Effect::TrustFolder } else { Effect::ReadMemory });
}

/// Shows it; one that is open is brought up to date.
pub(in crate::store) fn show_memory(store: &mut Store, report: MemoryReport) {
    match store.focus.find_mut::<MemoryText>() {
        Some(shown) => shown.report = report,
        None => open(store, MemoryText { scroll: 0, report }),
    }
}

/// Returns the prompt that has the agent draft a file with instructions.
pub(in crate::store) fn draft_prompt() -> String {
    DRAFT_PROMPT.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::action::Action;
    use crate::store::msg::{Msg, Report};

    #[test]
    fn what_was_read_is_asked_for_and_shown_where_the_agent_is_this_programs_own() {
        let ask = |store: &mut Store, action| {
            let mut fx = Vec::new();
            store.update(Msg::Action(action), &mut fx);
            fx
        };
        let mut store = Store::default();
        assert_eq!(ask(&mut store, Action::OpenMemory), [Effect::ReadMemory]);
        assert_eq!(ask(&mut store, Action::TrustFolder), [Effect::TrustFolder]);
        let report = MemoryReport { needs_trust: true, ..MemoryReport::default() };
        for report in [MemoryReport::default(), report.clone()] {
            store.update(Msg::Report(Report::Memory(report)), &mut Vec::new());
        }
        assert_eq!(store.focus.top_as::<MemoryText>().map(|shown| &shown.report), Some(&report));
        let mut elsewhere = Store::default();
        elsewhere.workplace.host = Some("h:80".into());
        assert_eq!(ask(&mut elsewhere, Action::OpenMemory), []);
        assert!(elsewhere.toast.is_some());
    }
}
