//! What may follow a command, as far as it is known: the values that completion offers.
//!
//! Not here: paths, which only a look at the disk can tell, and which of the values a text fits (`ui/completion.rs`).

use super::Store;
use super::command_argument::Argument;
use super::overlay::efforts::EffortList;
use super::permissions::mode_description;
use super::transcript::ItemKind;
use crate::event::ApprovalMode;
use crate::text::one_line;

/// Answers that are offered, counted from the end.
const MAX_OFFERED_ANSWERS: usize = 9;
const MAX_ABOUT_CELLS: usize = 80;

/// A value that a command takes, and what is to be known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentValue {
    pub value: String,
    pub about: String,
}

impl ArgumentValue {
    pub fn new(value: impl Into<String>, about: &str) -> Self {
        Self { value: value.into(), about: one_line(about, MAX_ABOUT_CELLS) }
    }
}

/// Something that is listed elsewhere before it can be offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueList {
    Models,
    Sessions,
}

/// Returns the values that are known.
pub fn argument_values(store: &Store, argument: Argument) -> Vec<ArgumentValue> {
    match argument {
        Argument::Words(words) => words.iter().map(|(word, about)| ArgumentValue::new(*word, about)).collect(),
        Argument::Mode => modes(store),
        Argument::Model => {
            let models = store
                .session
                .models
                .iter()
                .flatten()
                .filter(|model| model.sets.is_none() && model.facts.trouble.is_empty());
            models.map(|model| ArgumentValue::new(model.name.as_str(), &model.remark)).collect()
        }
        Argument::Session | Argument::Recording => {
            let sessions = store.saved_sessions.iter().flatten();
            let about =
                |title: &Option<String>, age: &str| format!("{} · {age}", title.as_deref().unwrap_or("untitled"));
            sessions.map(|it| ArgumentValue::new(it.id.as_str(), &about(&it.title, &it.age))).collect()
        }
        Argument::Answer => answers(store),
        Argument::Effort => {
            let values = EffortList::option(store).map_or(&[][..], |option| option.values.as_slice());
            values.iter().map(|value| ArgumentValue::new(value.value.as_str(), &value.description)).collect()
        }
        Argument::Theme => store.themes.rows().map(|(name, about)| ArgumentValue::new(name, about)).collect(),
        Argument::AttachTarget => {
            store.workplace.attach_targets.iter().map(|(name, about)| ArgumentValue::new(name, about)).collect()
        }
        Argument::None | Argument::File | Argument::Free(_) => Vec::new(),
    }
}

/// Returns what has to be listed before the values are known.
pub fn unknown_values(store: &Store, argument: Argument) -> Option<ValueList> {
    match argument {
        Argument::Model => store.session.models.is_none().then_some(ValueList::Models),
        Argument::Session | Argument::Recording => store.saved_sessions.is_none().then_some(ValueList::Sessions),
        _ => None,
    }
}

fn modes(store: &Store) -> Vec<ArgumentValue> {
    let own = ApprovalMode::ALL.into_iter().map(|mode| ArgumentValue::new(mode.name(), mode_description(mode)));
    let agents = store.session.agent_modes().map(|(_, value)| ArgumentValue::new(value.value.as_str(), &value.name));
    own.chain(agents).collect()
}

/// The last answers, by their first lines.
fn answers(store: &Store) -> Vec<ArgumentValue> {
    let texts = store.transcript.items().iter().rev().filter_map(|item| match item.kind {
        ItemKind::Answer { text, .. } => Some(text.to_owned()),
        _ => None,
    });
    let first_lines = texts.filter_map(|text| text.lines().find(|line| !line.trim().is_empty()).map(str::to_owned));
    (1..)
        .zip(first_lines.take(MAX_OFFERED_ANSWERS))
        .map(|(nth, line)| ArgumentValue::new(nth.to_string(), &line))
        .collect()
}
