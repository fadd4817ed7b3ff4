//! Key bindings as data: chords, the default map, the person's bindings, and lookup by context.
//!
//! Not here: terminal events (`ui/keymap.rs`) and what an action does. Invariant: a binding names a row of [`ACTIONS`]
//! that is valid in its context; any other becomes a warning and is skipped.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use crate::store::action::Context;
use crate::store::action_table::{ACTIONS, ActionSpec, find_action};
use crate::text::suggestion::suggest;

/// Context → chord → action name, as in `assets/keymap.toml` and under `[keys]` in the config.
pub type Bindings = BTreeMap<String, BTreeMap<String, String>>;

const DEFAULT_KEYMAP: &str = include_str!("../../assets/keymap.toml");
const UNBIND_ACTION: &str = "none";

/// A key without its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// As typed: `G`, not shift and `g`.
    Char(char),
    Enter,
    Esc,
    Tab,
    Backspace,
    Delete,
    Insert,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// Names of keys: the canonical one, other accepted ones, and the one to display.
const KEY_NAMES: &[(Key, &[&str], &str)] = &[
    (Key::Enter, &["enter", "return"], "Enter"),
    (Key::Esc, &["esc", "escape"], "Esc"),
    (Key::Tab, &["tab"], "Tab"),
    (Key::Backspace, &["backspace"], "Backspace"),
    (Key::Delete, &["delete", "del"], "Delete"),
    (Key::Insert, &["insert", "ins"], "Insert"),
    (Key::Left, &["left"], "←"),
    (Key::Right, &["right"], "→"),
    (Key::Up, &["up"], "↑"),
    (Key::Down, &["down"], "↓"),
    (Key::Home, &["home"], "Home"),
    (Key::End, &["end"], "End"),
    (Key::PageUp, &["pgup", "pageup", "page-up"], "PgUp"),
    (Key::PageDown, &["pgdn", "pagedown", "page-down"], "PgDn"),
    (Key::Char(' '), &["space"], "Space"),
    (Key::Char('+'), &["plus"], "+"),
    (Key::Char('-'), &["minus"], "-"),
    (Key::Char(','), &["comma"], ","),
    (Key::Char('.'), &["period", "dot"], "."),
];

/// A key with its modifiers, in normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chord {
    pub ctrl: bool,
    pub alt: bool,
    pub shift: bool,
    pub key: Key,
}

impl Chord {
    /// Normalizes: shift is part of a typed character, and with ctrl or alt a letter is lower case, so that a binding
    /// means the same in every terminal.
    pub fn new(key: Key, ctrl: bool, alt: bool, shift: bool) -> Self {
        let Key::Char(c) = key else { return Self { ctrl, alt, shift, key } };
        if c.is_alphabetic() && (ctrl || alt) {
            let small = c.to_lowercase().next().unwrap_or(c);
            return Self { ctrl, alt, shift: shift || small != c, key: Key::Char(small) };
        }
        let c = if shift && c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c };
        Self { ctrl, alt, shift: false, key: Key::Char(c) }
    }

    pub fn plain(key: Key) -> Self {
        Self::new(key, false, false, false)
    }

    /// Returns the character that this chord types, if any.
    pub fn typed_char(self) -> Option<char> {
        match self.key {
            Key::Char(c) if !self.ctrl && !self.alt && !c.is_control() => Some(c),
            _ => None,
        }
    }

    /// Parses the notation of the settings: `ctrl+j`, `shift+enter`, `alt+up`, `f1`, `space`, `?`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let (mut ctrl, mut alt, mut shift) = (false, false, false);
        // `+` can be the key itself, so it ends a modifier only if something follows.
        while let Some((word, behind)) =
            rest.split_once('+').filter(|(word, behind)| !word.is_empty() && !behind.is_empty())
        {
            match word.trim().to_ascii_lowercase().as_str() {
                "ctrl" | "control" => ctrl = true,
                "alt" | "option" | "meta" => alt = true,
                "shift" => shift = true,
                _ => return None,
            }
            rest = behind.trim();
        }
        let mut chars = rest.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            // `Ctrl+J` means what `ctrl+j` means.
            let c = if ctrl || alt { c.to_lowercase().next().unwrap_or(c) } else { c };
            return (!c.is_control()).then(|| Self::new(Key::Char(c), ctrl, alt, shift));
        }
        let word = rest.to_ascii_lowercase();
        let key = KEY_NAMES.iter().find(|(_, names, _)| names.contains(&word.as_str())).map(|(key, ..)| *key).or_else(
            || {
                let number = word.strip_prefix('f')?.parse().ok()?;
                (1..=24).contains(&number).then_some(Key::F(number))
            },
        )?;
        Some(Self::new(key, ctrl, alt, shift))
    }

    /// Returns the name to display: `Ctrl+J`, `Shift+Enter`, `↑`.
    pub fn display_name(self) -> String {
        let name = match self.key {
            Key::Char(c) if (self.ctrl || self.alt) && c.is_alphabetic() => c.to_uppercase().collect(),
            key => KEY_NAMES
                .iter()
                .find(|(named, ..)| *named == key)
                .map_or_else(|| key.display_name(), |(.., label)| (*label).into()),
        };
        format!("{}{name}", self.modifier_prefix("Ctrl+", "Alt+", "Shift+"))
    }

    fn modifier_prefix(self, ctrl: &str, alt: &str, shift: &str) -> String {
        [(self.ctrl, ctrl), (self.alt, alt), (self.shift, shift)]
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, name)| *name)
            .collect()
    }
}

impl Key {
    fn display_name(self) -> String {
        match self {
            Self::Char(c) => c.to_string(),
            Self::F(number) => format!("F{number}"),
            _ => String::new(),
        }
    }
}

impl fmt::Display for Chord {
    /// Formats in the notation of [`Chord::parse`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KEY_NAMES.iter().find(|(key, ..)| *key == self.key).and_then(|(_, names, _)| names.first().copied());
        let modifiers = self.modifier_prefix("ctrl+", "alt+", "shift+");
        match name {
            Some(name) => write!(f, "{modifiers}{name}"),
            None => match self.key {
                Key::F(number) => write!(f, "{modifiers}f{number}"),
                key => write!(f, "{modifiers}{}", key.display_name()),
            },
        }
    }
}

/// The key bindings of every context.
#[derive(Clone, Debug)]
pub struct Keymap {
    /// In file order: the first key of an action is the one to display.
    bindings: Vec<(Context, Chord, &'static ActionSpec)>,
}

impl Default for Keymap {
    fn default() -> Self {
        static DEFAULTS: OnceLock<Keymap> = OnceLock::new();
        DEFAULTS
            .get_or_init(|| {
                let mut keymap = Self { bindings: Vec::new() };
                for (context, chord, action) in parse_in_order(DEFAULT_KEYMAP) {
                    // A test checks the default file; an invalid binding in it would be skipped.
                    if let Ok(BindingEntry { context, chord, row: Some(row) }) =
                        parse_binding(&context, &chord, &action)
                    {
                        keymap.bindings.push((context, chord, row));
                    }
                }
                keymap
            })
            .clone()
    }
}

impl Keymap {
    /// Applies the person's bindings to the defaults. The second value is the warnings.
    pub fn new(user: &Bindings) -> (Self, Vec<String>) {
        let mut keymap = Self::default();
        let mut warnings = Vec::new();
        let mut seen: BTreeMap<(Context, Chord), &str> = BTreeMap::new();
        for (context, chords) in user {
            for (chord, action) in chords {
                let entry = match parse_binding(context, chord, action) {
                    Ok(entry) => entry,
                    Err(warning) => {
                        warnings.push(warning);
                        continue;
                    }
                };
                if let Some(other) = seen.insert((entry.context, entry.chord), chord) {
                    warnings.push(format!("keys.{context}: \"{other}\" and \"{chord}\" are the same key"));
                }
                keymap.rebind(&entry);
            }
        }
        let defaults = Self::default();
        for row in ACTIONS {
            let had = defaults.bindings.iter().any(|(_, _, bound)| bound.name == row.name);
            let unbound = user.values().flatten().any(|(_, action)| action == UNBIND_ACTION);
            if had && !unbound && !keymap.bindings.iter().any(|(_, _, bound)| bound.name == row.name) {
                warnings.push(format!("keys: another action took the key of {}", row.name));
            }
        }
        (keymap, warnings)
    }

    /// Returns the action bound to the chord in the first of these contexts that binds it.
    pub fn find(&self, contexts: &[Context], chord: Chord) -> Option<&'static ActionSpec> {
        contexts.iter().find_map(|context| {
            self.bindings.iter().find(|(bound, key, _)| bound == context && *key == chord).map(|(.., row)| *row)
        })
    }

    /// Returns the first key of an action, for footers: `Ctrl+T`.
    pub fn key_for(&self, action: &str) -> Option<String> {
        self.bindings.iter().find(|(_, _, row)| row.name == action).map(|(_, chord, _)| chord.display_name())
    }

    /// Returns every bound action: context, keys, description. In the order of [`ACTIONS`], grouped by context.
    pub fn help(&self) -> Vec<(Context, String, &'static str)> {
        let mut lines = Vec::new();
        for context in Context::all() {
            let mut labels: HashMap<&str, Vec<String>> = HashMap::new();
            for (_, chord, row) in self.bindings.iter().filter(|(of, ..)| *of == context) {
                labels.entry(row.name).or_default().push(chord.display_name());
            }
            let bound = ACTIONS.iter().filter_map(|row| Some((context, labels.get(row.name)?.join("  "), row.help)));
            lines.extend(bound);
        }
        lines
    }

    /// Returns the first key of each bound action, by the name of the action.
    pub fn first_keys(&self) -> HashMap<&'static str, String> {
        let mut keys = HashMap::with_capacity(self.bindings.len());
        for (_, chord, row) in &self.bindings {
            keys.entry(row.name).or_insert_with(|| chord.display_name());
        }
        keys
    }

    /// Returns the current bindings as settings, with descriptions, and the unbound actions as comments.
    pub fn to_settings(&self) -> String {
        let mut text = String::new();
        for context in Context::all() {
            let _ = writeln!(text, "[keys.{}]", context.name());
            for row in ACTIONS {
                let bound =
                    self.bindings.iter().filter(|(bound, _, named)| *bound == context && named.name == row.name);
                for (_, chord, _) in bound.clone() {
                    let _ = writeln!(text, "{:44} # {}", format!("\"{chord}\" = \"{}\"", row.name), row.help);
                }
                if row.context == context && bound.count() == 0 {
                    let _ = writeln!(text, "{:44} # {}", format!("#\"\" = \"{}\"", row.name), row.help);
                }
            }
            text.push('\n');
        }
        text
    }

    fn rebind(&mut self, entry: &BindingEntry) {
        let place =
            self.bindings.iter().position(|(context, chord, _)| *context == entry.context && *chord == entry.chord);
        if let Some(place) = place {
            self.bindings.remove(place);
        }
        if let Some(row) = entry.row {
            // Bindings of the person come first, so that footers show them.
            self.bindings.insert(0, (entry.context, entry.chord, row));
        }
    }
}

struct BindingEntry {
    context: Context,
    chord: Chord,
    /// `None` unbinds the key.
    row: Option<&'static ActionSpec>,
}

/// Parses one binding; the error is a sentence for people.
fn parse_binding(context: &str, chord: &str, action: &str) -> Result<BindingEntry, String> {
    let place = format!("keys.{context}");
    let Some(known) = Context::parse(context) else {
        let names: Vec<&str> = Context::all().map(Context::name).collect();
        return Err(format!("{place}: unknown context{}", did_you_mean(context, &names)));
    };
    let Some(key) = Chord::parse(chord) else {
        let names: Vec<&str> = KEY_NAMES.iter().flat_map(|(_, names, _)| names.iter().copied()).collect();
        let (modifiers, bare) = chord.rsplit_once('+').map_or(("", chord), |(before, bare)| (before, bare));
        let hint = if modifiers.is_empty() || Chord::parse(bare).is_none() {
            did_you_mean(bare, &names)
        } else {
            ", modifiers are ctrl, alt and shift".to_owned()
        };
        return Err(format!("{place}: \"{chord}\" is not a key{hint}"));
    };
    if action == UNBIND_ACTION {
        return Ok(BindingEntry { context: known, chord: key, row: None });
    }
    let Some(row) = find_action(action) else {
        return Err(format!("{place}: unknown action \"{action}\"{}", suggest_action(action, known)));
    };
    if row.context != known && row.context != Context::Global {
        return Err(format!("{place}: {action} works only in {}", row.context.name()));
    }
    if known.takes_text() && key.typed_char().is_some() {
        return Err(format!("{place}: \"{chord}\" is needed for typing, add ctrl or alt"));
    }
    Ok(BindingEntry { context: known, chord: key, row: Some(row) })
}

/// Parses the keymap file in its order, which a map would lose. The file is ours: sections in brackets, then quoted
/// pairs, one per line.
fn parse_in_order(file: &str) -> Vec<(String, String, String)> {
    let mut context = String::new();
    let mut entries = Vec::new();
    for line in file.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut context);
        } else if let Some((chord, action)) = line.split_once("\" = \"") {
            let (chord, action) = (chord.trim_start_matches('"'), action.trim_end_matches('"'));
            entries.push((context.clone(), chord.to_owned(), action.to_owned()));
        }
    }
    entries
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::action::UiAction;
    use crate::store::action_table::ActionHandler;
    use crate::store::pane::Pane;

    /// Actions reached by another action's key, or from a list or a command.
    const WITHOUT_KEY: &[&str] = &[
        "mode.ask",
        "mode.auto-edit",
        "mode.plan",
        "mode.full",
        "mode.choose",
        "permissions.open",
        "turn.cancel",
        "session.new",
        "app.status",
        "session.rename",
        "usage.open",
        "usage.context",
    ];

    fn chord(text: &str) -> Chord {
        Chord::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    fn user(context: &str, pairs: &[(&str, &str)]) -> Bindings {
        let chords = pairs.iter().map(|(chord, action)| ((*chord).to_owned(), (*action).to_owned())).collect();
        BTreeMap::from([(context.to_owned(), chords)])
    }

    #[test]
    fn every_action_has_a_key_or_is_listed_as_having_none() {
        let keymap = Keymap::default();
        for row in ACTIONS {
            assert_ne!(keymap.key_for(row.name).is_some(), WITHOUT_KEY.contains(&row.name), "{}", row.name);
        }
    }

    #[test]
    fn the_default_file_is_valid_toml_and_says_what_is_bound() {
        let file: Bindings = toml::from_str(DEFAULT_KEYMAP).unwrap();
        let mut count = 0;
        for (context, chords) in &file {
            for (chord, action) in chords {
                let entry = parse_binding(context, chord, action).unwrap();
                let found = Keymap::default().find(&[entry.context], entry.chord).unwrap();
                assert_eq!(found.name, action, "{context} {chord}");
                count += 1;
            }
        }
        assert_eq!(Keymap::default().bindings.len(), count);
        assert_eq!(Keymap::new(&file).1, Vec::<String>::new());
    }

    #[test]
    fn a_chord_reads_what_it_writes() {
        for text in
            ["ctrl+j", "shift+enter", "alt+up", "f1", "space", "?", "plus", "ctrl+plus", "G", "alt+shift+t", "pgup"]
        {
            assert_eq!(chord(text).to_string(), text);
        }
        assert_eq!(chord("Ctrl+J"), chord("control+j"));
        assert_eq!(chord("+"), chord("plus"));
        assert_eq!(chord("ctrl++"), chord("ctrl+plus"));
        assert_eq!(chord("shift+g"), chord("G"));
        assert_eq!(chord("alt+T"), chord("alt+t"));
        assert_eq!(Chord::new(Key::Char('T'), false, true, true), chord("alt+shift+t"));
        for text in ["", "ctrl+", "hyper+x", "f0", "f25", "fx", "ctrl+nope", "\u{7}"] {
            assert_eq!(Chord::parse(text), None, "{text}");
        }
    }

    #[test]
    fn labels_are_what_people_say() {
        assert_eq!(chord("ctrl+j").display_name(), "Ctrl+J");
        assert_eq!(chord("shift+tab").display_name(), "Shift+Tab");
        assert_eq!(chord("alt+up").display_name(), "Alt+↑");
        assert_eq!(chord("f6").display_name(), "F6");
        assert_eq!(chord("g").display_name(), "g");
    }

    #[test]
    fn a_pane_comes_before_global() {
        let keymap = Keymap::default();
        let name = |contexts: &[Context], key: &str| keymap.find(contexts, chord(key)).map(|row| row.name);
        assert_eq!(name(&[Context::Approval, Context::Global], "up"), Some("approval.up"));
        assert_eq!(name(&[Context::Pane(Pane::Composer), Context::Global], "esc"), Some("app.escape"));
        assert_eq!(name(&[Context::Pane(Pane::Transcript), Context::Global], "pgup"), Some("transcript.page-up"));
        assert_eq!(name(&[Context::Pane(Pane::Composer), Context::Global], "?"), None);
    }

    #[test]
    fn the_person_rebinds_and_unbinds() {
        let (keymap, warnings) = Keymap::new(&user("global", &[("ctrl+x", "tool-panel.toggle"), ("ctrl+t", "none")]));
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(keymap.find(&[Context::Global], chord("ctrl+t")).map(|row| row.name), None);
        assert_eq!(keymap.key_for("tool-panel.toggle").as_deref(), Some("Ctrl+X"));
        assert_eq!(
            keymap.find(&[Context::Global], chord("ctrl+x")).map(|row| row.handler),
            Some(find_action("tool-panel.toggle").unwrap().handler)
        );
    }

    #[test]
    fn the_keys_in_force_are_printed_as_settings_that_say_the_same() {
        let (keymap, _) = Keymap::new(&user("global", &[("ctrl+x", "tool-panel.toggle"), ("ctrl+t", "none")]));
        let text = keymap.to_settings();
        for row in ACTIONS {
            assert!(text.contains(&format!("= \"{}\"", row.name)), "{}", row.name);
        }
        let read: BTreeMap<String, Bindings> = toml::from_str(&text).unwrap();
        let (again, warnings) = Keymap::new(&read["keys"]);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(again.find(&[Context::Global], chord("ctrl+x")).map(|row| row.name), Some("tool-panel.toggle"));
        assert!(!text.contains("\"ctrl+t\" ="), "{text}");
    }

    #[test]
    fn what_is_wrong_is_told_with_the_nearest_name() {
        let check = |context: &str, chord: &str, action: &str, expected: &str| {
            assert_eq!(Keymap::new(&user(context, &[(chord, action)])).1, [expected]);
        };
        check("globl", "f9", "app.help", "keys.globl: unknown context, did you mean global?");
        check("global", "f9", "app.hepl", "keys.global: unknown action \"app.hepl\", did you mean app.help?");
        check("global", "ctrl+q", "quit", "keys.global: unknown action \"quit\", did you mean app.quit?");
        check("global", "f9", "fly", "keys.global: unknown action \"fly\"; `jarvis-tui config keys` lists them");
        check("global", "ctrl+entr", "app.help", "keys.global: \"ctrl+entr\" is not a key, did you mean enter?");
        check("global", "cmd+x", "app.help", "keys.global: \"cmd+x\" is not a key, modifiers are ctrl, alt and shift");
        check("transcript", "f9", "composer.send", "keys.transcript: composer.send works only in composer");
        check("composer", "x", "composer.send", "keys.composer: \"x\" is needed for typing, add ctrl or alt");
        check("global", "ctrl+t", "app.help", "keys: another action took the key of tool-panel.toggle");
    }

    #[test]
    fn two_spellings_of_one_key_are_a_conflict() {
        let (_, warnings) = Keymap::new(&user("global", &[("ctrl+f9", "app.help"), ("control+F9", "app.quit")]));
        assert_eq!(warnings, ["keys.global: \"control+F9\" and \"ctrl+f9\" are the same key"]);
    }

    #[test]
    fn help_groups_the_keys_of_an_action() {
        let help = Keymap::default().help();
        assert!(help.contains(&(
            Context::Pane(Pane::Composer),
            "Ctrl+J  Shift+Enter  Alt+Enter".to_owned(),
            "new line"
        )));
        assert_eq!(
            find_action("composer.newline").map(|row| row.handler),
            Some(ActionHandler::View(UiAction::Newline))
        );
    }
}
