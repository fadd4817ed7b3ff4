use super::*;
use crate::store::action::UiAction;
use crate::store::action_table::{ActionHandler, find_action};
use crate::store::pane::Pane;

/// Actions reached by another action's key, or from a list or a command.
const WITHOUT_KEY: &[&str] = &[
    "diff.open",
    "branch.rewind",
    "branch.redo",
    "branch.fork",
    "branch.tree",
    "system.open",
    "memory.open",
    "tasks.open",
    "memory.draft",
    "session.attach",
    "session.detach",
    "session.reconnect",
    "session.replay",
    "compaction.make",
    "layout.side",
    "status.parts",
    "notify.test",
    "keys.status",
    "session.serve",
    "mcp.open",
    "session.export",
    "session.peers",
    "mode.ask",
    "mode.auto-edit",
    "mode.plan",
    "mode.full",
    "mode.choose",
    "permissions.open",
    "turn.cancel",
    "session.new",
    "session.search",
    "session.import",
    "session.handoff",
    "app.status",
    "session.rename",
    "usage.open",
    "usage.context",
    "app.reload-settings",
    "tab.close",
    "tab.list",
    "inbox.open",
    "theme.choose",
    "theme.next",
    "effort.choose",
    "composer.vim",
    "composer.attach-file",
    "turn.steer",
];

fn chord(text: &str) -> Chord {
    Chord::parse(text).unwrap_or_else(|| panic!("{text}"))
}

fn user(context: &str, pairs: &[(&str, &str)]) -> KeyConfig {
    let keys = pairs.iter().map(|(keys, action)| ((*keys).to_owned(), (*action).to_owned())).collect();
    KeyConfig { bindings: BTreeMap::from([(context.to_owned(), keys)]), ..KeyConfig::default() }
}

fn problems(config: &KeyConfig) -> Vec<String> {
    Keymap::new(config).1.iter().map(ToString::to_string).collect()
}

#[test]
fn every_action_has_a_key_or_is_listed_as_having_none() {
    let keymap = Keymap::default();
    for row in ACTIONS {
        assert_ne!(keymap.key_for(row.name).is_some(), WITHOUT_KEY.contains(&row.name), "{}", row.name);
    }
}

fn typed(keys: &str) -> Vec<Chord> {
    KeySequence::parse(keys).unwrap_or_else(|_| panic!("{keys}")).chords().to_vec()
}

fn lookup(keymap: &Keymap, contexts: &[Context], keys: &str) -> &'static str {
    match keymap.lookup(contexts, &typed(keys)) {
        KeyMatch::Action(row) => row.name,
        KeyMatch::Beginning => "…",
        KeyMatch::Nothing => "",
    }
}

/// Where keys of a context are looked up.
fn contexts_from(context: Context) -> Vec<Context> {
    match context {
        Context::Global => vec![COMPOSER, Context::Global],
        Context::EmptyComposer => vec![context, COMPOSER, Context::Global],
        context => vec![context, Context::Global],
    }
}

const COMPOSER: Context = Context::Pane(Pane::Composer);

#[test]
fn the_tables_are_valid_toml_name_actions_and_hide_nothing_of_their_own() {
    for preset in KeyPreset::ALL {
        let keymap = Keymap::of_preset(preset);
        for (nth, table) in preset.tables().enumerate() {
            let file: Bindings = toml::from_str(table).unwrap();
            let written: Vec<_> =
                file.iter().flat_map(|(context, keys)| keys.iter().map(move |it| (context, it))).collect();
            assert_eq!(parse_table(table).len(), written.len(), "{}", preset.name());
            let (layer, problems) = read_layer(&file);
            assert_eq!((layer.len(), problems), (written.len(), vec![]), "{}", preset.name());
            if nth + 1 == preset.tables().count() {
                for (context, (keys, action)) in written {
                    let context = Context::parse(context).unwrap();
                    assert_eq!(lookup(&keymap, &[context], keys), action, "{} {keys}", preset.name());
                }
            }
        }
        let had_key = |row: &&ActionSpec| Keymap::default().key_for(row.name).is_some();
        for row in ACTIONS.iter().filter(had_key) {
            assert!(keymap.key_for(row.name).is_some(), "{}: {} has no key", preset.name(), row.name);
        }
        assert_eq!(KeyPreset::ALL.iter().filter(|other| other.name() == preset.name()).count(), 1);
    }
}

/// On a Mac a terminal types characters with Alt, unless it is told otherwise.
#[test]
fn what_needs_alt_has_a_way_without_it() {
    for preset in KeyPreset::ALL {
        let keymap = Keymap::of_preset(preset);
        let needs_alt = |keys: &KeySequence| keys.chords().iter().any(|chord| chord.alt);
        for bound in keymap.bindings.iter().filter(|bound| needs_alt(&bound.keys)) {
            let contexts = contexts_from(bound.context);
            let is_way = |other: &&Binding| {
                other.row.name == bound.row.name
                    && contexts.contains(&other.context)
                    && !needs_alt(&other.keys)
                    && lookup(&keymap, &contexts, &other.keys.to_string()) == bound.row.name
            };
            assert!(
                keymap.bindings.iter().any(|other| is_way(&other)),
                "{}: {} {}",
                preset.name(),
                bound.keys,
                bound.row.name
            );
        }
    }
}

/// Returns the rows of the manual that say what a preset changes.
fn preset_rows() -> Vec<String> {
    let mut rows = Vec::new();
    for preset in KeyPreset::ALL.into_iter().skip(1) {
        let layer = parse_table(preset.tables().last().unwrap());
        for context in Context::all() {
            let here = || layer.iter().filter(|entry| entry.context == context);
            let mut told: Vec<(&str, Vec<String>)> = Vec::new();
            for entry in here() {
                let (help, keys) = (entry.row.unwrap().help, format!("`{}`", entry.keys.display_name()));
                match told.iter_mut().find(|(known, _)| *known == help) {
                    Some((_, all)) => all.push(keys),
                    None => told.push((help, vec![keys])),
                }
            }
            let told: Vec<String> = told.iter().map(|(help, keys)| format!("{} {help}", keys.join(" "))).collect();
            if !told.is_empty() {
                rows.push(format!("| {} | {} | {} |", preset.name(), context.title().to_lowercase(), told.join(" · ")));
            }
        }
    }
    rows
}

#[test]
fn the_manual_says_what_each_preset_changes() {
    let manual = include_str!("../../../assets/manual/keys.md");
    let table = manual.split("| preset | where | keys |\n| --- | --- | --- |\n").nth(1).unwrap();
    let told: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    let expected = preset_rows();
    assert_eq!(told, expected, "the manual should hold:\n{}", expected.join("\n"));
}

#[test]
fn keys_one_after_another_are_found_where_they_hold_and_say_how_they_go_on() {
    let (keymap, problems) =
        Keymap::new(&user("transcript", &[("g g", "transcript.start"), ("g e", "transcript.end")]));
    assert_eq!(problems, []);
    let transcript = [Context::Pane(Pane::Transcript), Context::Global];
    for (keys, expected) in [
        ("g", "…"),
        ("g g", "transcript.start"),
        ("g x", ""),
        ("ctrl+x", "…"),
        ("ctrl+x t", "thinking.toggle"),
        ("ctrl+x ctrl+e", ""),
        ("j", "transcript.scroll-down"),
    ] {
        assert_eq!(lookup(&keymap, &transcript, keys), expected, "{keys}");
    }
    assert_eq!(lookup(&keymap, &[COMPOSER, Context::Global], "ctrl+x ctrl+e"), "composer.editor");
    assert_eq!(lookup(&keymap, &[Context::Sessions, Context::Global], "ctrl+x"), "sessions.archive");
    let next = keymap.continuations(&transcript, &typed("g"));
    assert_eq!(next, [("e".to_owned(), "go to the end and follow"), ("g".to_owned(), "go to the start")]);
    assert_eq!(keymap.key_for("transcript.start").as_deref(), Some("g g"));
    let pairs: Vec<(String, &str)> = ["a", "b", "c"].map(|key| (format!("f7 {key}"), "app.help")).into();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(keys, action)| (keys.as_str(), *action)).collect();
    let (keymap, _) = Keymap::new(&user("global", &pairs));
    assert_eq!(keymap.continuations(&[Context::Global], &typed("f7")), [("a … c".to_owned(), "all keys")]);
}

#[test]
fn a_key_takes_the_place_of_those_that_begin_with_it_and_the_other_way_round() {
    let (keymap, problems) = Keymap::new(&user("global", &[("ctrl+x", "tool-panel.toggle")]));
    assert_eq!(problems, [], "what lost a sequence has another key");
    assert_eq!(lookup(&keymap, &[Context::Global], "ctrl+x"), "tool-panel.toggle");
    let (keymap, _) = Keymap::new(&user("global", &[("ctrl+x", "none")]));
    assert_eq!(lookup(&keymap, &[Context::Global], "ctrl+x"), "");
    let (keymap, _) = Keymap::new(&user("global", &[("ctrl+t t", "tool-panel.toggle")]));
    assert_eq!(lookup(&keymap, &[Context::Global], "ctrl+t"), "…");
    let (keymap, _) = Keymap::new(&user("global", &[("ctrl+t t", "none")]));
    assert_eq!(lookup(&keymap, &[Context::Global], "ctrl+t"), "tool-panel.toggle", "nothing began with it");
}

#[test]
fn keys_that_are_in_each_others_way_are_told() {
    let check = |context: &str, pairs: &[(&str, &str)], expected: &str| {
        assert_eq!(problems(&user(context, pairs)), [expected]);
    };
    check(
        "global",
        &[("ctrl+q", "app.help"), ("ctrl+q x", "app.debug")],
        "keys.global: \"ctrl+q\" hides \"ctrl+q x\", which begins with it",
    );
    check(
        "global",
        &[("ctrl+k t", "app.debug")],
        "keys.global: \"ctrl+k t\" does nothing in the composer, where \"ctrl+k\" is composer.delete-to-end",
    );
    check(
        "global",
        &[("f7 esc", "app.help")],
        "keys.global: \"f7 esc\": Esc leaves a sequence, so it can't be one of several keys",
    );
    check("global", &[("f7 a b c d", "app.help")], "keys.global: \"f7 a b c d\": more than 4 keys");
    check("global", &[("f7 ctrl+entr", "app.help")], "keys.global: \"ctrl+entr\" is not a key, did you mean enter?");
    check("composer", &[("g g", "app.help")], "keys.composer: \"g g\" is needed for typing, add ctrl or alt");
    check(
        "approval",
        &[("y y", "approval.once")],
        "keys.approval: \"y y\" would be text over an approval, begin it with ctrl or alt",
    );
    let (keymap, _) = Keymap::new(&user("global", &[("ctrl+q", "app.help"), ("ctrl+q x", "app.debug")]));
    assert_eq!(lookup(&keymap, &[Context::Global], "ctrl+q"), "app.help");
}

#[test]
fn the_persons_keys_lie_over_those_of_a_preset() {
    let config = KeyConfig { preset: KeyPreset::Emacs, ..user("composer", &[("ctrl+p", "palette.open")]) };
    let (keymap, problems) = Keymap::new(&config);
    assert_eq!(problems, []);
    let contexts = [COMPOSER, Context::Global];
    assert_eq!(lookup(&keymap, &contexts, "ctrl+p"), "palette.open");
    assert_eq!(lookup(&keymap, &contexts, "ctrl+f"), "composer.right");
    assert_eq!(lookup(&keymap, &contexts, "ctrl+t"), "tool-panel.toggle");
}

#[test]
fn a_chord_reads_what_it_writes() {
    for text in ["ctrl+j", "shift+enter", "alt+up", "f1", "space", "?", "plus", "ctrl+plus", "G", "alt+shift+t", "pgup"]
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
    assert_eq!(warnings, []);
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
    let (again, warnings) = Keymap::new(&KeyConfig { bindings: read["keys"].clone(), ..KeyConfig::default() });
    assert_eq!(warnings, []);
    assert_eq!(again.find(&[Context::Global], chord("ctrl+x")).map(|row| row.name), Some("tool-panel.toggle"));
    assert!(!text.contains("\"ctrl+t\" ="), "{text}");
}

#[test]
fn what_is_wrong_is_told_with_the_nearest_name() {
    let check = |context: &str, chord: &str, action: &str, expected: &str| {
        assert_eq!(problems(&user(context, &[(chord, action)])), [expected]);
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
    let warnings = problems(&user("global", &[("ctrl+f9", "app.help"), ("control+F9", "app.quit")]));
    assert_eq!(warnings, ["keys.global: \"control+F9\" and \"ctrl+f9\" are the same key"]);
}

#[test]
fn help_groups_the_keys_of_an_action() {
    let help = Keymap::default().help();
    assert!(help.contains(&(Context::Pane(Pane::Composer), "Ctrl+J  Shift+Enter  Alt+Enter".to_owned(), "new line")));
    assert_eq!(find_action("composer.newline").map(|row| row.handler), Some(ActionHandler::View(UiAction::Newline)));
}

/// Keys that people know from shells, pagers and other clients: where, the keys, and what they do.
const KNOWN_KEYS: &[(Context, &str, &str)] = &[
    (COMPOSER, "enter", "composer.send"),
    (COMPOSER, "tab", "composer.complete"),
    (COMPOSER, "shift+enter", "composer.newline"),
    (COMPOSER, "alt+enter", "composer.newline"),
    (COMPOSER, "ctrl+j", "composer.newline"),
    (COMPOSER, "esc", "app.escape"),
    (COMPOSER, "ctrl+c", "app.interrupt"),
    (COMPOSER, "ctrl+d", "composer.delete-or-quit"),
    (COMPOSER, "up", "composer.up"),
    (COMPOSER, "down", "composer.down"),
    (COMPOSER, "ctrl+r", "composer.history"),
    (COMPOSER, "alt+up", "prompt.take-back"),
    (COMPOSER, "ctrl+s", "composer.stash"),
    (COMPOSER, "ctrl+g", "composer.editor"),
    (COMPOSER, "ctrl+x ctrl+e", "composer.editor"),
    (COMPOSER, "ctrl+v", "composer.paste-image"),
    (COMPOSER, "alt+v", "composer.paste-image"),
    (COMPOSER, "ctrl+a", "composer.line-start"),
    (COMPOSER, "ctrl+e", "composer.line-end"),
    (COMPOSER, "ctrl+b", "composer.left"),
    (COMPOSER, "ctrl+k", "composer.delete-to-end"),
    (COMPOSER, "ctrl+u", "composer.delete-to-start"),
    (COMPOSER, "ctrl+w", "composer.delete-word-left"),
    (COMPOSER, "ctrl+y", "composer.yank"),
    (COMPOSER, "alt+b", "composer.word-left"),
    (COMPOSER, "alt+f", "composer.word-right"),
    (COMPOSER, "alt+d", "composer.delete-word-right"),
    (COMPOSER, "alt+left", "composer.word-left"),
    (COMPOSER, "alt+right", "composer.word-right"),
    (COMPOSER, "ctrl+_", "composer.undo"),
    (Context::EmptyComposer, "?", "app.help"),
    (Context::EmptyComposer, "ctrl+y", "copy.answer"),
    (Context::Global, "f1", "app.help"),
    (Context::Global, "ctrl+p", "palette.open"),
    (Context::Global, "ctrl+f", "search.open"),
    (Context::Matches, "n", "matches.older"),
    (Context::Matches, "N", "matches.newer"),
    (Context::Global, "ctrl+o", "output.toggle"),
    (Context::Global, "ctrl+t", "tool-panel.toggle"),
    (Context::Global, "alt+t", "thinking.toggle"),
    (Context::Global, "alt+p", "model.choose"),
    (Context::Global, "f2", "model.choose"),
    (Context::Global, "alt+,", "effort.lower"),
    (Context::Global, "alt+.", "effort.higher"),
    (Context::Global, "shift+tab", "mode.cycle"),
    (Context::Global, "alt+c", "copy.code"),
    (Context::Global, "pgup", "transcript.page-up"),
    (Context::Global, "pgdn", "transcript.page-down"),
    (Context::Global, "ctrl+home", "transcript.start"),
    (Context::Global, "ctrl+end", "transcript.end"),
    (Context::Global, "alt+shift+up", "transcript.previous-prompt"),
    (Context::Global, "alt+shift+down", "transcript.next-prompt"),
    (Context::Global, "alt+1", "tab.first"),
    (Context::Global, "alt+9", "tab.ninth"),
    (Context::Global, "ctrl+pgup", "tab.previous"),
    (Context::Global, "ctrl+pgdn", "tab.next"),
    (Context::Global, "f4", "approval.open"),
    (Context::Global, "f6", "focus.next"),
    (Context::Global, "shift+f6", "focus.previous"),
    (Context::Global, "ctrl+l", "app.redraw"),
    (Context::Global, "ctrl+z", "app.suspend"),
    (TRANSCRIPT, "j", "transcript.scroll-down"),
    (TRANSCRIPT, "k", "transcript.scroll-up"),
    (TRANSCRIPT, "d", "transcript.half-page-down"),
    (TRANSCRIPT, "u", "transcript.half-page-up"),
    (TRANSCRIPT, "f", "transcript.page-down"),
    (TRANSCRIPT, "b", "transcript.page-up"),
    (TRANSCRIPT, "g", "transcript.start"),
    (TRANSCRIPT, "G", "transcript.end"),
    (TRANSCRIPT, "/", "search.open"),
    (TRANSCRIPT, "n", "transcript.search-again"),
    (TRANSCRIPT, "space", "transcript.fold"),
    (TRANSCRIPT, "enter", "transcript.fold"),
    (TRANSCRIPT, "y", "transcript.copy"),
    (TRANSCRIPT, "Y", "copy.code"),
    (TRANSCRIPT, "[", "transcript.previous-prompt"),
    (TRANSCRIPT, "]", "transcript.next-prompt"),
    (TRANSCRIPT, "o", "transcript.links"),
    (TRANSCRIPT, "m", "transcript.mark"),
    (Context::Approval, "y", "approval.once"),
    (Context::Approval, "a", "approval.session"),
    (Context::Approval, "p", "approval.pattern"),
    (Context::Approval, "n", "approval.deny"),
    (Context::Approval, "d", "approval.deny-with-reason"),
    (Context::Approval, "v", "approval.view"),
    (Context::Approval, "enter", "approval.answer"),
    (Context::Replay, "space", "replay.pause"),
    (Context::Replay, "left", "replay.back"),
    (Context::Replay, "right", "replay.forward"),
    (Context::Replay, "shift+left", "replay.far-back"),
    (Context::Replay, "shift+right", "replay.far-forward"),
    (Context::Replay, "comma", "replay.step-back"),
    (Context::Replay, "period", "replay.step"),
    (Context::Replay, "[", "replay.previous-turn"),
    (Context::Replay, "]", "replay.next-turn"),
    (Context::Replay, "plus", "replay.faster"),
    (Context::Replay, "minus", "replay.slower"),
    (Context::Replay, "backspace", "replay.real-time"),
    (Context::Replay, "0", "replay.start"),
    (Context::Replay, "5", "replay.fifth-tenth"),
    (Context::Replay, "l", "replay.loop"),
    (Context::Replay, "g", "replay.start"),
    (Context::Replay, "G", "replay.end"),
    (Context::Replay, "i", "replay.squeeze"),
];

const TRANSCRIPT: Context = Context::Pane(Pane::Transcript);

#[test]
fn keys_that_people_know_do_what_they_know_them_for() {
    let keymap = Keymap::default();
    let wrong: Vec<_> = KNOWN_KEYS
        .iter()
        .map(|(context, keys, action)| (keys, lookup(&keymap, &contexts_from(*context), keys), action))
        .filter(|(_, found, action)| found != *action)
        .collect();
    assert_eq!(wrong, []);
}
