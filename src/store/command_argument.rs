//! What may follow a command: what it is called, the words there are, and how it is read.
//!
//! Not for the values that only a session knows ([`super::argument_values`]), nor for the commands themselves
//! ([`super::action_table`]).

use std::borrow::Cow;

use super::Timestamps;
use super::action::Action;
use super::tabs::{TabListSubject, TabTarget};
use crate::event::ApprovalMode;

/// What may follow a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argument {
    None,
    /// One of these words, each with what it stands for.
    Words(&'static [(&'static str, &'static str)]),
    Mode,
    Model,
    /// A saved session.
    Session,
    /// An answer, counted from the end.
    Answer,
    Theme,
    Effort,
    File,
    /// Any text; this is what it is called.
    Free(&'static str),
}

impl Argument {
    /// Returns how it is written where the command is explained; empty where nothing follows.
    pub fn hint(self) -> Cow<'static, str> {
        match self {
            Self::None => "".into(),
            Self::Words(words) => {
                format!("[{}]", words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join("|")).into()
            }
            Self::Mode => "[ask|auto-edit|plan|full]".into(),
            Self::Model => "[engine/model]".into(),
            Self::Session => "[id]".into(),
            Self::Answer => "[n]".into(),
            Self::Theme => "[name]".into(),
            Self::Effort => "[level]".into(),
            Self::File => "[file]".into(),
            Self::Free(name) => format!("[{name}]").into(),
        }
    }
}

/// Reads what follows a command, and returns what it asks for; the error says what may follow.
pub type RunCommand = fn(Option<&str>) -> Result<Action, String>;

pub(super) const TIMES_ARGUMENT: Argument = Argument::Words(&[
    ("off", "no times"),
    ("relative", "since the session began"),
    ("clock", "as clocks show it here"),
]);
/// The themes that are built in. The first four have the terminal's own colors; the others are files of the settings.
pub const THEMES: &[(&str, &str)] = &[
    ("auto", "as the terminal says"),
    ("dark", "for a dark background"),
    ("light", "for a light background"),
    ("mono", "without colors"),
    ("catppuccin-mocha", "soft colors on dark blue"),
    ("catppuccin-latte", "soft colors on light gray"),
    ("gruvbox-dark", "warm colors on dark gray"),
    ("gruvbox-light", "warm colors on cream"),
    ("solarized-dark", "muted colors on dark teal"),
    ("solarized-light", "muted colors on ivory"),
    ("rose-pine", "rose and gold on dark violet"),
    ("rose-pine-dawn", "rose and gold on light sand"),
    ("contrast-dark", "strong contrast on black"),
    ("contrast-light", "strong contrast on white"),
];
pub(super) const SHOW_ARGUMENT: Argument = Argument::Words(&[("show", "unfolded"), ("hide", "folded")]);

/// What is no mode here may be one of the agent.
pub(super) fn choose_mode(name: &str) -> Action {
    ApprovalMode::parse(&name.to_lowercase()).map_or_else(|| Action::SetAgentMode(name.to_owned()), Action::SetMode)
}

/// Where they are stands among what is used and why.
pub(super) fn config_command(what: Option<&str>) -> Result<Action, String> {
    match what {
        None => Ok(Action::OpenStatus),
        Some("reload") => Ok(Action::ReloadSettings),
        Some(_) => Err("/config reload reads keys and looks again; /config tells where the settings are".into()),
    }
}

pub(super) fn copy_nth(number: Option<&str>) -> Result<Action, String> {
    match number.map_or(Ok(1), str::parse) {
        Ok(nth) if nth > 0 => Ok(Action::CopyAnswer(nth)),
        _ => Err("/copy takes a number: 1 is the last answer".into()),
    }
}

pub(super) fn dequeue_nth(number: Option<&str>) -> Result<Action, String> {
    match number.map(str::parse) {
        None => Ok(Action::DequeuePrompt(None)),
        Some(Ok(number)) => Ok(Action::DequeuePrompt(Some(number))),
        Some(Err(_)) => Err("/queue takes the number of a queued prompt, counted from the first".into()),
    }
}

pub(super) fn go_to_tab(number: Option<&str>) -> Result<Action, String> {
    match number.map(str::parse) {
        None => Ok(Action::OpenTabList(TabListSubject::Sessions)),
        Some(Ok(number)) => Ok(Action::SwitchTab(TabTarget::Number(number))),
        Some(Err(_)) => Err("/tabs takes the number of an open session".into()),
    }
}

pub(super) fn show_times(name: Option<&str>) -> Result<Action, String> {
    let Some(name) = name else { return Ok(Action::CycleTimestamps) };
    let times = Timestamps::parse(&name.to_lowercase());
    times.map(Action::SetTimestamps).ok_or_else(|| format!("unknown value {name}; use off, relative or clock"))
}
