//! What the model is told before the conversation, to be read; and telling it something else.

use super::{LetterUse, OverlayState};
use crate::event::{AgentOption, AgentOptionKind, Command, NoticeLevel};
use crate::store::Store;
use crate::store::action::ScrollStep;
use crate::store::effect::{ComposerEdit, Effect};
use crate::store::update::support::{open, require};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SystemPromptText {
    /// Rows scrolled down.
    pub scroll: usize,
}

impl SystemPromptText {
    /// Returns what the agent lets a person tell it; none where it has a prompt of its own.
    fn option(store: &Store) -> Option<&AgentOption> {
        store.session.status.options.iter().find(|option| option.kind == AgentOptionKind::System)
    }

    /// Returns the prompt, and whether it is the one that the session began with; none where that isn't known.
    pub fn prompt(store: &Store) -> Option<(&str, bool)> {
        let option = Self::option(store)?;
        if option.current != AgentOption::DEFAULT_VALUE {
            return Some((&option.current, false));
        }
        Some((store.workplace.system_prompt.as_str(), true)).filter(|(own, _)| !own.is_empty())
    }
}

impl OverlayState for SystemPromptText {
    fn letter_use(&self, _letter: char) -> LetterUse {
        LetterUse::Reading(false)
    }

    fn scroll(&mut self, step: ScrollStep, end: usize, _store: &mut Store) {
        self.scroll = step.from(self.scroll, end);
    }
}

/// Shows the prompt, where it is known.
pub(in crate::store) fn open_system_prompt(store: &mut Store) {
    match (SystemPromptText::option(store), SystemPromptText::prompt(store)) {
        (Some(_), Some(_)) => open(store, SystemPromptText::default()),
        (Some(_), None) => {
            let told = "the agent has its own system prompt; /system TEXT puts another in its place";
            store.toast = Some((NoticeLevel::Info, told.into()));
        }
        (None, _) => tell_that_it_has_none(store),
    }
}

/// Tells the model something else from the next request on.
pub(in crate::store) fn set_system_prompt(store: &mut Store, text: String, fx: &mut Vec<Effect>) {
    let Some(option) = SystemPromptText::option(store).map(|option| option.id.clone()) else {
        tell_that_it_has_none(store);
        fx.push(Effect::Composer(ComposerEdit::Restore(format!("/system {text}"))));
        return;
    };
    if !require(store, |caps| caps.prompt, "the system prompt can't be changed here") {
        return;
    }
    let is_default = text == AgentOption::DEFAULT_VALUE;
    let told =
        if is_default { "the first system prompt holds again" } else { "the system prompt is another from now on" };
    store.toast = Some((NoticeLevel::Info, told.into()));
    fx.push(Effect::Send(Command::SetOption { option, value: text }));
}

fn tell_that_it_has_none(store: &mut Store) {
    store.toast = Some((NoticeLevel::Info, "what answers takes no system prompt from here".into()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SessionStatus;
    use crate::store::action::Action;
    use crate::store::msg::Msg;
    use crate::testkit::events::{LIVE, Opened};

    fn told(current: &str) -> Store {
        let mut store = Store::default();
        let event = Opened { capabilities: LIVE, ..Opened::default() }.event();
        let envelope = crate::event::Envelope { seq: crate::event::Seq(1), at: crate::event::Millis(0), event };
        store.update(Msg::Event(envelope), &mut Vec::new());
        let option = AgentOption {
            id: "system".into(),
            kind: AgentOptionKind::System,
            current: current.into(),
            ..AgentOption::default()
        };
        store.update(Msg::Status(SessionStatus { options: vec![option], ..SessionStatus::default() }), &mut Vec::new());
        store.workplace.system_prompt = "You are first.".into();
        store
    }

    #[test]
    fn the_prompt_is_shown_as_it_is_now() {
        assert_eq!(SystemPromptText::prompt(&told("default")), Some(("You are first.", true)));
        assert_eq!(SystemPromptText::prompt(&told("Be brief.")), Some(("Be brief.", false)));
        let mut store = told("default");
        store.update(Msg::Action(Action::OpenSystemPrompt), &mut Vec::new());
        assert!(store.focus.top_as::<SystemPromptText>().is_some());
        store.workplace.system_prompt.clear();
        assert_eq!(SystemPromptText::prompt(&store), None, "an agent elsewhere doesn't tell its own");
    }

    #[test]
    fn it_is_changed_where_the_agent_lets_it_be() {
        let change = |store: &mut Store| {
            let mut fx = Vec::new();
            store.update(Msg::Action(Action::SetSystemPrompt("Be brief.".into())), &mut fx);
            fx
        };
        let sent = Effect::Send(Command::SetOption { option: "system".into(), value: "Be brief.".into() });
        assert_eq!(change(&mut told("default")), [sent]);
        let mut none = Store::default();
        assert_eq!(change(&mut none), [Effect::Composer(ComposerEdit::Restore("/system Be brief.".into()))]);
        assert!(none.toast.is_some_and(|(_, text)| text.contains("takes no system prompt")));
    }
}
