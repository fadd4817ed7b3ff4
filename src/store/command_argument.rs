//! What may follow a command: what it is called, the words there are, and how it is read.
//!
//! Not for the values that only a session knows ([`super::argument_values`]), nor for the commands themselves
//! ([`super::action_table`]).

use std::borrow::Cow;

use super::Timestamps;
use super::action::Action;
use super::notification::NotifyWish;
use super::pane::{Pane, PanelSide};
use super::status_parts::StatusPart;
use super::tabs::{TabListSubject, TabTarget};
use crate::event::{ApprovalMode, ExportFormat, ExportRequest};

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
    /// Likewise, or a file.
    Recording,
    /// An answer, counted from the end.
    Answer,
    Theme,
    Effort,
    File,
    /// What can be attached to; the settings and the program know some by name.
    AttachTarget,
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
            Self::Recording => "[id or file]".into(),
            Self::Answer => "[n]".into(),
            Self::Theme => "[name]".into(),
            Self::Effort => "[level]".into(),
            Self::File => "[file]".into(),
            Self::AttachTarget => "[target]".into(),
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
pub(super) const LAYOUT_ARGUMENT: Argument = Argument::Words(&[
    ("left", "side panes left of the transcript"),
    ("right", "side panes right of the transcript"),
    ("tools", "show or hide the tool panel"),
    ("plan", "all of the agent's plan, none of it, or some rows"),
]);
pub(super) const STATUS_ARGUMENT: Argument = Argument::Words(&[
    ("all", "every part"),
    (StatusPart::Model.name(), "who answers"),
    (StatusPart::Effort.name(), "how much the model thinks"),
    (StatusPart::Folder.name(), "the working folder"),
    (StatusPart::Branch.name(), "the branch, or the host of what answers"),
    (StatusPart::Grants.name(), "what you allowed"),
    (StatusPart::Queue.name(), "prompts that wait"),
    (StatusPart::Keys.name(), "keys that do something now"),
    (StatusPart::Context.name(), "how full the context is"),
    (StatusPart::Tokens.name(), "tokens in and out"),
    (StatusPart::Cost.name(), "what the session cost"),
    (StatusPart::FirstToken.name(), "how long the first token took"),
    (StatusPart::Rate.name(), "tokens a second"),
    (StatusPart::Time.name(), "how long the turn takes"),
]);
pub(super) const NOTIFY_ARGUMENT: Argument = Argument::Words(&[
    ("test", "call me now"),
    ("off", "never call me"),
    ("unfocused", "call me while I look elsewhere"),
    ("always", "call me in any case"),
]);
pub(super) const EXPORT_ARGUMENT: Argument = Argument::Words(&[
    (ExportFormat::Markdown.name(), ExportFormat::Markdown.about()),
    (ExportFormat::Json.name(), ExportFormat::Json.about()),
    (ExportFormat::Jsonl.name(), ExportFormat::Jsonl.about()),
    (ExportFormat::Html.name(), ExportFormat::Html.about()),
    (ExportFormat::Cast.name(), ExportFormat::Cast.about()),
    (ExportFormat::Svg.name(), ExportFormat::Svg.about()),
]);
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

/// A format, a file, or both; what is no format is a file.
pub(super) fn export_session(what: Option<&str>) -> Result<Action, String> {
    let Some(what) = what else { return Ok(Action::Export(ExportRequest::default())) };
    let (first, rest) = what.split_once(char::is_whitespace).unwrap_or((what, ""));
    let file = |name: &str| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    Ok(Action::Export(match ExportFormat::parse(&first.to_lowercase()) {
        Some(format) => ExportRequest { format: Some(format), file: file(rest) },
        None => ExportRequest { format: None, file: file(what) },
    }))
}

pub(super) fn dequeue_nth(number: Option<&str>) -> Result<Action, String> {
    match number.map(str::parse) {
        None => Ok(Action::DequeuePrompt(None)),
        Some(Ok(number)) => Ok(Action::DequeuePrompt(Some(number))),
        Some(Err(_)) => Err("/queue takes the number of a queued prompt, counted from the first".into()),
    }
}

pub(super) fn rewind_by(count: Option<&str>) -> Result<Action, String> {
    match count.map(str::parse) {
        None => Ok(Action::OpenRewind),
        Some(Ok(count)) if count > 0 => Ok(Action::Rewind(count)),
        Some(_) => Err("/rewind takes a number: 1 goes back to before your last prompt".into()),
    }
}

pub(super) fn fork_from(count: Option<&str>) -> Result<Action, String> {
    match count.map(str::parse) {
        None => Ok(Action::Fork(None)),
        Some(Ok(count)) if count > 0 => Ok(Action::Fork(Some(count))),
        Some(_) => Err("/fork takes a number: 1 branches off before your last prompt".into()),
    }
}

pub(super) fn go_to_tab(number: Option<&str>) -> Result<Action, String> {
    match number.map(str::parse) {
        None => Ok(Action::OpenTabList(TabListSubject::Sessions)),
        Some(Ok(number)) => Ok(Action::SwitchTab(TabTarget::Number(number))),
        Some(Err(_)) => Err("/tabs takes the number of an open session".into()),
    }
}

pub(super) fn lay_panes(what: Option<&str>) -> Result<Action, String> {
    match what {
        None => Ok(Action::SetPanelSide(None)),
        Some("left") => Ok(Action::SetPanelSide(Some(PanelSide::Left))),
        Some("right") => Ok(Action::SetPanelSide(Some(PanelSide::Right))),
        Some("tools") => Ok(Action::TogglePane(Pane::ToolPanel)),
        Some("plan") => Ok(Action::CycleTodos),
        Some(other) => Err(format!("unknown value {other}; use left, right, tools or plan")),
    }
}

pub(super) fn toggle_status_part(name: Option<&str>) -> Result<Action, String> {
    let Some(name) = name else { return Ok(Action::ToggleStatusPart(None)) };
    if name == "all" {
        return Ok(Action::ShowStatusParts);
    }
    let names = || StatusPart::ALL.map(StatusPart::name).join(", ");
    let part = StatusPart::parse(name).ok_or_else(|| format!("unknown part {name}; there are {}", names()))?;
    Ok(Action::ToggleStatusPart(Some(part)))
}

pub(super) fn set_notify(when: Option<&str>) -> Result<Action, String> {
    Ok(Action::SetNotify(match when {
        None | Some("test") => NotifyWish::Test,
        Some("off") => NotifyWish::Off,
        Some("unfocused") => NotifyWish::Unfocused,
        Some("always") => NotifyWish::Always,
        Some(other) => return Err(format!("unknown value {other}; use test, off, unfocused or always")),
    }))
}

pub(super) fn show_times(name: Option<&str>) -> Result<Action, String> {
    let Some(name) = name else { return Ok(Action::CycleTimestamps) };
    let times = Timestamps::parse(&name.to_lowercase());
    times.map(Action::SetTimestamps).ok_or_else(|| format!("unknown value {name}; use off, relative or clock"))
}
