//! The names of keys as panes show them: looked up in the keymap once, so that what is shown can't lie.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::config::keys::Keymap;
use crate::store::Store;
use crate::store::action::Context;
use crate::store::action_table::{NUMBERED_TAB_HELP, NUMBERED_TENTH_HELP};
use crate::store::pane::Pane;

/// Actions worth showing where the keys are, most useful first, and what to say of each.
const HINTS: &[(Context, &[(&str, &str)])] = &[
    (
        Context::Pane(Pane::Composer),
        &[
            ("app.help", "help"),
            ("palette.open", "actions"),
            ("mode.cycle", "mode"),
            ("model.choose", "model"),
            ("composer.newline", "new line"),
            ("tool-panel.toggle", "tools"),
            ("focus.next", "panes"),
        ],
    ),
    (
        Context::Pane(Pane::Transcript),
        &[
            ("app.escape", "write"),
            ("app.help", "help"),
            ("transcript.select-up", "select"),
            ("transcript.fold", "fold"),
            ("transcript.undo", "take back"),
            ("transcript.copy", "copy"),
            ("transcript.links", "links"),
            ("transcript.previous-prompt", "previous prompt"),
            ("focus.next", "panes"),
        ],
    ),
    (
        Context::Pane(Pane::ToolPanel),
        &[
            ("app.escape", "write"),
            ("app.help", "help"),
            ("tool-panel.up", "select"),
            ("tool-panel.fold", "fold"),
            ("tool-panel.copy", "copy"),
            ("tool-panel.toggle", "hide"),
            ("focus.next", "panes"),
        ],
    ),
    (
        Context::Replay,
        &[
            ("app.help", "help"),
            ("replay.pause", "pause"),
            ("replay.forward", "5 s on"),
            ("replay.next-turn", "turn"),
            ("replay.next-tool", "call"),
            ("replay.next-error", "error"),
            ("replay.next-mark", "mark"),
            ("replay.loop", "loop"),
            ("replay.faster", "faster"),
            ("replay.squeeze", "squeeze"),
        ],
    ),
    (
        Context::Search,
        &[
            ("overlay.close", "back"),
            ("search.accept", "matches"),
            ("search.older", "older"),
            ("search.regex", "expression"),
        ],
    ),
    (
        Context::Matches,
        &[
            ("overlay.close", "back"),
            ("matches.stay", "stay"),
            ("matches.older", "older"),
            ("matches.newer", "newer"),
            ("search.open", "write"),
        ],
    ),
];

/// The same for the composer of a stream that takes no prompt.
const WATCHED_HINTS: &[(&str, &str)] =
    &[("app.help", "help"), ("frames.open", "raw frames"), ("tool-panel.toggle", "tools"), ("focus.next", "panes")];

/// Keys in words, such as `Ctrl+T`; empty where nothing is bound.
#[derive(Clone, Debug)]
pub struct KeyHints {
    /// For the help, which few open.
    keymap: Keymap,
    help: OnceLock<Vec<KeyHelp>>,
    pub show_help: String,
    pub cancel: String,
    pub dequeue_prompt: String,
    pub send: String,
    pub open_approval: String,
    pub once: String,
    pub session: String,
    pub pattern: String,
    pub deny: String,
    pub reason: String,
    pub show_all: String,
    pub hunks: String,
    pub answer: String,
    pub revoke: String,
    pub all_folders: String,
    pub delete_session: String,
    pub rename_session: String,
    pub archive_session: String,
    pub archived_sessions: String,
    pub accept: String,
    pub close: String,
    pub pause_frames: String,
    pub save_frames: String,
    /// By the name of the action.
    keys: HashMap<&'static str, String>,
    contexts: Vec<(Context, Vec<KeyHint>)>,
    /// Of a stream that takes no prompt.
    watched: Vec<KeyHint>,
}

/// A key and what it does.
pub type KeyHint = (String, &'static str);

/// Context, keys, description.
pub type KeyHelp = (Context, String, &'static str);

impl KeyHints {
    pub fn new(keymap: &Keymap) -> Self {
        let keys = keymap.first_keys();
        let key = |action: &str| keys.get(action).cloned().unwrap_or_default();
        let hints = |wanted: &[(&str, &'static str)]| -> Vec<KeyHint> {
            wanted.iter().filter_map(|(action, what)| Some((keys.get(action)?.clone(), *what))).collect()
        };
        Self {
            keymap: keymap.clone(),
            help: OnceLock::new(),
            show_help: key("app.help"),
            cancel: key("app.escape"),
            dequeue_prompt: key("prompt.take-back"),
            send: key("composer.send"),
            open_approval: key("approval.open"),
            once: key("approval.once"),
            session: key("approval.session"),
            pattern: key("approval.pattern"),
            deny: key("approval.deny"),
            reason: key("approval.deny-with-reason"),
            show_all: key("approval.view"),
            hunks: key("approval.hunks"),
            answer: key("approval.answer"),
            revoke: key("permissions.revoke"),
            all_folders: key("sessions.all-folders"),
            delete_session: key("sessions.delete"),
            rename_session: key("sessions.rename"),
            archive_session: key("sessions.archive"),
            archived_sessions: key("sessions.archived"),
            accept: key("overlay.accept"),
            close: key("overlay.close"),
            pause_frames: key("frames.pause"),
            save_frames: key("frames.save"),
            contexts: HINTS.iter().map(|(context, wanted)| (*context, hints(wanted))).collect(),
            watched: hints(WATCHED_HINTS),
            keys,
        }
    }

    /// Returns every bound action, for the help.
    pub fn help(&self) -> &[KeyHelp] {
        self.help.get_or_init(|| join_numbered(self.keymap.help()))
    }

    /// Returns the key of an action; empty where nothing is bound.
    pub fn keys_of(&self, action: &str) -> &str {
        self.keys.get(action).map_or("", String::as_str)
    }

    /// Returns the keys worth showing now, most useful first.
    pub fn hints(&self, store: &Store) -> &[KeyHint] {
        let context = match (store.focus.top(), store.focus.pane) {
            (Some(overlay), _) => overlay.state().key_contexts().first().copied(),
            (None, Pane::Composer) if store.session.capabilities().seek => Some(Context::Replay),
            (None, Pane::Composer) if store.session.opened.is_some() && !store.session.capabilities().prompt => {
                return &self.watched;
            }
            (None, pane) => Some(Context::Pane(pane)),
        };
        self.contexts.iter().find(|(of, _)| Some(*of) == context).map_or(&[], |(_, hints)| hints)
    }
}

/// Puts the keys that differ only by a number into one row: the first and the last.
fn join_numbered(rows: Vec<KeyHelp>) -> Vec<KeyHelp> {
    [NUMBERED_TAB_HELP, NUMBERED_TENTH_HELP].iter().fold(rows, |rows, help| join_rows(rows, help))
}

fn join_rows(rows: Vec<KeyHelp>, help: &str) -> Vec<KeyHelp> {
    let is_numbered = |row: &&KeyHelp| row.2 == help;
    let last = rows.iter().rfind(is_numbered).map(|row| row.1.clone()).unwrap_or_default();
    let mut joined: Vec<KeyHelp> = Vec::new();
    for row in rows {
        if !is_numbered(&&row) {
            joined.push(row);
        } else if joined.last().is_none_or(|before| before.2 != help) {
            let ends = row.1.split("  ").zip(last.split("  "));
            let keys: Vec<String> = ends.map(|(first, last)| format!("{first} – {last}")).collect();
            joined.push((row.0, keys.join("  "), row.2));
        }
    }
    joined
}

impl Default for KeyHints {
    fn default() -> Self {
        Self::new(&Keymap::default())
    }
}
