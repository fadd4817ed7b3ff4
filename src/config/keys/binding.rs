//! PURE. Reads one binding: where it holds, its keys, and the action that it names.

use super::UNBIND_ACTION;
use super::chord::{Chord, KEY_NAMES};
use super::sequence::{KeySequence, SequenceError};
use crate::store::action::Context;
use crate::store::action_table::{ACTIONS, ActionSpec, find_action};
use crate::text::suggestion::suggest;

/// A binding as somebody wrote it.
#[derive(Clone, Debug)]
pub(super) struct BindingEntry {
    pub context: Context,
    pub keys: KeySequence,
    /// The keys as they were written.
    pub written: String,
    /// `None` unbinds the keys.
    pub row: Option<&'static ActionSpec>,
}

/// Parses one binding; the error is a sentence for people.
pub(super) fn parse_binding(context: &str, written: &str, action: &str) -> Result<BindingEntry, String> {
    // A hundred bindings are built in, and none of them is wrong.
    let place = format_args!("keys.{context}");
    let Some(known) = Context::parse(context) else {
        let names: Vec<&str> = Context::all().map(Context::name).collect();
        return Err(format!("{place}: unknown context{}", did_you_mean(context, &names)));
    };
    let keys = KeySequence::parse(written).map_err(|error| match error {
        SequenceError::NotAKey(word) => format!("{place}: {}{}", error.describe(), key_hint(word)),
        _ => format!("{place}: \"{written}\": {}", error.describe()),
    })?;
    let entry = BindingEntry { context: known, keys, written: written.to_owned(), row: None };
    if action == UNBIND_ACTION {
        return Ok(entry);
    }
    let Some(row) = find_action(action) else {
        return Err(format!("{place}: unknown action \"{action}\"{}", suggest_action(action, known)));
    };
    if row.context != known && row.context != Context::Global {
        return Err(format!("{place}: {action} works only in {}", row.context.name()));
    }
    let begins_with_letter = entry.keys.chords().first().is_some_and(|chord| chord.typed_char().is_some());
    if known.takes_text() && begins_with_letter {
        return Err(format!("{place}: \"{written}\" is needed for typing, add ctrl or alt"));
    }
    // A second letter there is text, and so is the first then.
    if matches!(known, Context::Approval | Context::Hunks) && begins_with_letter && entry.keys.chords().len() > 1 {
        return Err(format!("{place}: \"{written}\" would be text over an approval, begin it with ctrl or alt"));
    }
    Ok(BindingEntry { row: Some(row), ..entry })
}

fn key_hint(word: &str) -> String {
    let names: Vec<&str> = KEY_NAMES.iter().flat_map(|(_, names, _)| names.iter().copied()).collect();
    let (modifiers, bare) = word.rsplit_once('+').map_or(("", word), |(before, bare)| (before, bare));
    if modifiers.is_empty() || Chord::parse(bare).is_none() {
        did_you_mean(bare, &names)
    } else {
        ", modifiers are ctrl, alt and shift".to_owned()
    }
}

/// Suggests the action that was probably meant: one with the same ending, or one spelled similarly.
fn suggest_action(word: &str, context: Context) -> String {
    let ends_so = |row: &&ActionSpec| row.name.rsplit('.').next() == Some(word);
    let ending = ACTIONS.iter().filter(ends_so).max_by_key(|row| row.context == context);
    let names: Vec<&str> = ACTIONS.iter().map(|row| row.name).collect();
    let hint = ending.map_or_else(|| did_you_mean(word, &names), |row| format!(", did you mean {}?", row.name));
    if hint.is_empty() { "; `jarvis-tui config keys` lists them".to_owned() } else { hint }
}

fn did_you_mean(word: &str, names: &[&str]) -> String {
    suggest(word, names.iter().copied()).map_or_else(String::new, |name| format!(", did you mean {name}?"))
}
