//! Key bindings as data: sequences of chords, presets, the person's bindings, and lookup by context.
//!
//! Layers lie above each other: the default table, a preset, the person's own. In a layer above, keys take the place of
//! the same ones, of those that they begin and of those that begin them, so that nothing waits for a second key in vain.
//! Not here: terminal events (`ui/keymap.rs`) and what an action does. Invariant: a binding names a row of [`ACTIONS`]
//! that is valid in its context; any other becomes a problem and is skipped.

mod binding;
mod chord;
mod preset;
mod sequence;

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};
use std::sync::{Arc, OnceLock};

use self::binding::{BindingEntry, parse_binding};
pub use self::chord::{Chord, Key};
pub use self::preset::KeyPreset;
use self::preset::parse_table;
pub use self::sequence::{KeySequence, display_names};
use super::KeyConfig;
use crate::store::action::Context;
use crate::store::action_table::{ACTIONS, ActionSpec};
use crate::store::pane::Pane;

/// Context → keys → action name, as in `assets/keys` and under `[keys]` in the config.
pub type Bindings = BTreeMap<String, BTreeMap<String, String>>;

const UNBIND_ACTION: &str = "none";

/// The key bindings of every context.
#[derive(Clone, Debug)]
pub struct Keymap {
    /// The upper layer first, each in the order of its file: the first keys of an action are those to display.
    bindings: Arc<Vec<Binding>>,
}

#[derive(Clone, Debug)]
struct Binding {
    context: Context,
    keys: KeySequence,
    row: &'static ActionSpec,
}

/// What keys mean that were pressed one after another.
#[derive(Clone, Copy, Debug)]
pub enum KeyMatch {
    Action(&'static ActionSpec),
    /// Nothing yet: they begin a longer sequence.
    Beginning,
    Nothing,
}

/// What is wrong with a binding of the person's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyProblem {
    /// Where and how it is written.
    pub context: String,
    pub keys: String,
    message: String,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Default for Keymap {
    fn default() -> Self {
        static DEFAULTS: OnceLock<Keymap> = OnceLock::new();
        DEFAULTS.get_or_init(|| Self::of_preset(KeyPreset::Default)).clone()
    }
}

impl Keymap {
    /// Lays the person's bindings over those of their preset. The second value is what is wrong with them.
    pub fn new(config: &KeyConfig) -> (Self, Vec<KeyProblem>) {
        let mut keymap = match config.preset {
            KeyPreset::Default => Self::default(),
            preset => Self::of_preset(preset),
        };
        if config.bindings.is_empty() {
            return (keymap, Vec::new());
        }
        let (layer, mut problems) = read_layer(&config.bindings);
        let before = keymap.clone();
        keymap.lay_over(&layer);
        problems.extend(keymap.lost_actions(&before, &layer));
        problems.extend(keymap.keys_without_effect(&layer));
        (keymap, problems)
    }

    fn of_preset(preset: KeyPreset) -> Self {
        let mut keymap = Self { bindings: Arc::default() };
        for table in preset.tables() {
            keymap.lay_over(&parse_table(table));
        }
        keymap
    }

    /// Returns the action bound to the chord alone in the first of these contexts that binds it.
    pub fn find(&self, contexts: &[Context], chord: Chord) -> Option<&'static ActionSpec> {
        contexts.iter().find_map(|context| self.find_exact(*context, &[chord]))
    }

    /// Returns what keys mean that were pressed one after another; the first of these contexts that knows them decides.
    pub fn lookup(&self, contexts: &[Context], typed: &[Chord]) -> KeyMatch {
        for context in contexts {
            if let Some(row) = self.find_exact(*context, typed) {
                return KeyMatch::Action(row);
            }
            if self.bindings.iter().any(|bound| bound.context == *context && bound.keys.chords().starts_with(typed)) {
                return KeyMatch::Beginning;
            }
        }
        KeyMatch::Nothing
    }

    fn find_exact(&self, context: Context, typed: &[Chord]) -> Option<&'static ActionSpec> {
        let exact = |bound: &&Binding| bound.context == context && bound.keys.chords() == typed;
        self.bindings.iter().find(exact).map(|bound| bound.row)
    }

    /// Returns how a sequence can go on: the keys that are left, and what they do; those that do the like in one.
    pub fn continuations(&self, contexts: &[Context], typed: &[Chord]) -> Vec<(String, &'static str)> {
        let mut found: Vec<(&[Chord], &'static str)> = Vec::new();
        for context in contexts {
            let bound = self.bindings.iter().filter(|bound| bound.context == *context);
            for Binding { keys, row, .. } in bound {
                if let Some(rest) = keys.chords().strip_prefix(typed).filter(|rest| !rest.is_empty())
                    && !found.iter().any(|(known, _)| *known == rest)
                {
                    found.push((rest, row.help));
                }
            }
        }
        let mut told: Vec<(Vec<String>, &'static str)> = Vec::new();
        for (rest, help) in found {
            match told.iter_mut().find(|(_, known)| *known == help) {
                Some((keys, _)) => keys.push(display_names(rest)),
                None => told.push((vec![display_names(rest)], help)),
            }
        }
        told.into_iter().map(|(keys, help)| (join_keys(&keys), help)).collect()
    }

    /// Returns the first keys of an action, for footers: `Ctrl+T`.
    pub fn key_for(&self, action: &str) -> Option<String> {
        self.bindings.iter().find(|bound| bound.row.name == action).map(|bound| bound.keys.display_name())
    }

    /// Returns every bound action: context, keys, description. In the order of [`ACTIONS`], grouped by context.
    pub fn help(&self) -> Vec<(Context, String, &'static str)> {
        let mut lines = Vec::new();
        for context in Context::all() {
            let mut labels: HashMap<&str, Vec<String>> = HashMap::new();
            for bound in self.bindings.iter().filter(|bound| bound.context == context) {
                labels.entry(bound.row.name).or_default().push(bound.keys.display_name());
            }
            let bound = ACTIONS.iter().filter_map(|row| Some((context, labels.get(row.name)?.join("  "), row.help)));
            lines.extend(bound);
        }
        lines
    }

    /// Returns the first keys of each bound action, by the name of the action.
    pub fn first_keys(&self) -> HashMap<&'static str, String> {
        let mut keys = HashMap::with_capacity(self.bindings.len());
        for bound in self.bindings.iter() {
            keys.entry(bound.row.name).or_insert_with(|| bound.keys.display_name());
        }
        keys
    }

    /// Returns the current bindings as settings, with descriptions, and the unbound actions as comments.
    pub fn to_settings(&self) -> String {
        let mut text = String::new();
        for context in Context::all() {
            let _ = writeln!(text, "[keys.{}]", context.name());
            for row in ACTIONS {
                let mut is_bound = false;
                for keys in self.bound(context, row) {
                    is_bound = true;
                    let _ = writeln!(text, "{:44} # {}", format!("\"{keys}\" = \"{}\"", row.name), row.help);
                }
                if row.context == context && !is_bound {
                    let _ = writeln!(text, "{:44} # {}", format!("#\"\" = \"{}\"", row.name), row.help);
                }
            }
            text.push('\n');
        }
        text
    }

    fn bound<'a>(&'a self, context: Context, row: &ActionSpec) -> impl Iterator<Item = &'a KeySequence> {
        let name = row.name;
        let is_bound = move |bound: &&Binding| bound.context == context && bound.row.name == name;
        self.bindings.iter().filter(is_bound).map(|bound| &bound.keys)
    }

    fn lay_over(&mut self, layer: &[BindingEntry]) {
        Arc::make_mut(&mut self.bindings).retain(|bound| !layer.iter().any(|entry| entry.replaces(bound)));
        let fresh = layer
            .iter()
            .filter_map(|entry| Some(Binding { context: entry.context, keys: entry.keys.clone(), row: entry.row? }));
        Arc::make_mut(&mut self.bindings).splice(0..0, fresh.collect::<Vec<_>>());
    }

    /// Reports actions whose only keys were given to others.
    fn lost_actions(&self, before: &Self, layer: &[BindingEntry]) -> Vec<KeyProblem> {
        let is_lost = |bound: &&Binding| !self.bindings.iter().any(|left| left.row.name == bound.row.name);
        let mut problems: Vec<KeyProblem> = Vec::new();
        for bound in before.bindings.iter().filter(is_lost) {
            let message = format!("keys: another action took the key of {}", bound.row.name);
            let taken_by = layer.iter().find(|entry| entry.row.is_some() && entry.replaces(bound));
            if let Some(entry) = taken_by.filter(|_| problems.iter().all(|problem| problem.message != message)) {
                problems.push(entry.problem(message));
            }
        }
        problems
    }

    /// Reports keys for everywhere that the composer, where one mostly is, has other uses for.
    fn keys_without_effect(&self, layer: &[BindingEntry]) -> Vec<KeyProblem> {
        let composer = Context::Pane(Pane::Composer);
        let mut problems = Vec::new();
        for entry in layer.iter().filter(|entry| entry.context == Context::Global && entry.row.is_some()) {
            let is_meant = |other: &BindingEntry| other.context == composer && other.keys == entry.keys;
            let hides = |keys: &KeySequence| keys.is_beginning_of(&entry.keys) || entry.keys.is_beginning_of(keys);
            let hidden_by = self.bindings.iter().find(|bound| bound.context == composer && hides(&bound.keys));
            if let Some(bound) = hidden_by.filter(|_| !layer.iter().any(is_meant)) {
                problems.push(entry.problem(format!(
                    "keys.global: \"{}\" does nothing in the composer, where \"{}\" is {}",
                    entry.written, bound.keys, bound.row.name
                )));
            }
        }
        problems
    }
}

/// Of many keys that do the like, the first and the last are named.
fn join_keys(keys: &[String]) -> String {
    match keys {
        [first, _, .., last] => format!("{first} … {last}"),
        few => few.join(" "),
    }
}

impl BindingEntry {
    /// Tells whether a binding of a lower layer gives way to it. A key for everywhere waits nowhere for a second one.
    fn replaces(&self, lower: &Binding) -> bool {
        let hides = self.keys.is_beginning_of(&lower.keys);
        let is_hidden = self.row.is_some() && lower.keys.is_beginning_of(&self.keys);
        let is_everywhere = self.context == Context::Global && self.keys != lower.keys;
        if lower.context == self.context { hides || is_hidden } else { hides && is_everywhere }
    }

    fn problem(&self, message: String) -> KeyProblem {
        KeyProblem { context: self.context.name().to_owned(), keys: self.written.clone(), message }
    }
}

/// Reads the bindings of a layer; those that can't hold beside the others are left out and reported.
fn read_layer(bindings: &Bindings) -> (Vec<BindingEntry>, Vec<KeyProblem>) {
    let (mut layer, mut problems): (Vec<BindingEntry>, Vec<KeyProblem>) = Default::default();
    let written =
        bindings.iter().flat_map(|(context, keys)| keys.iter().map(move |(keys, action)| (context, keys, action)));
    for (context, keys, action) in written {
        match parse_binding(context, keys, action) {
            Ok(entry) => layer.push(entry),
            Err(message) => problems.push(KeyProblem { context: context.clone(), keys: keys.clone(), message }),
        }
    }
    let mut kept: Vec<BindingEntry> = Vec::new();
    for entry in &layer {
        let same = |other: &BindingEntry| other.context == entry.context && other.keys == entry.keys;
        if let Some(place) = kept.iter().position(same) {
            let other = kept.remove(place);
            let (place, one, two) = (entry.context.name(), &other.written, &entry.written);
            problems.push(entry.problem(format!("keys.{place}: \"{one}\" and \"{two}\" are the same key")));
        }
        let hides = |other: &&BindingEntry| {
            other.context == entry.context
                && other.row.is_some()
                && other.keys != entry.keys
                && other.keys.is_beginning_of(&entry.keys)
        };
        match layer.iter().find(hides).filter(|_| entry.row.is_some()) {
            Some(other) => problems.push(entry.problem(format!(
                "keys.{}: \"{}\" hides \"{}\", which begins with it",
                entry.context.name(),
                other.written,
                entry.written
            ))),
            None => kept.push(entry.clone()),
        }
    }
    (kept, problems)
}

#[cfg(test)]
mod tests;
