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
use crate::event::{ApprovalMode, ExportFormat, ExportRequest, Millis, SeekTarget};

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
pub(super) const MOMENT_ARGUMENT: Argument = Argument::Words(&[
    ("call", "a call of a tool"),
    ("error", "something that failed"),
    ("mark", "what was marked"),
    ("wait", "where nothing happened for a while"),
    ("turn", "a prompt"),
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
pub(super) fn export_session(what: Option<&str>) -> Action {
    let Some(what) = what else { return Action::Export(ExportRequest::default()) };
    let (first, rest) = what.split_once(char::is_whitespace).unwrap_or((what, ""));
    let file = |name: &str| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    Action::Export(match ExportFormat::parse(&first.to_lowercase()) {
        Some(format) => ExportRequest { format: Some(format), file: file(rest) },
        None => ExportRequest { format: None, file: file(what) },
    })
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

pub(super) fn seek_moment(what: Option<&str>, steps: i64) -> Result<Action, String> {
    let target = match what.unwrap_or("call") {
        "call" | "tool" => SeekTarget::Tools(steps),
        "error" => SeekTarget::Errors(steps),
        "mark" => SeekTarget::Marks(steps),
        "wait" => SeekTarget::Waits(steps),
        "turn" => SeekTarget::Turns(steps),
        other => return Err(format!("unknown value {other}; use call, error, mark, wait or turn")),
    };
    Ok(Action::Seek(target))
}

/// Reads `start`, `end`, `40%`, `1:30`, `90s`, and with a sign how far from here.
pub(super) fn seek_to(place: Option<&str>) -> Result<Action, String> {
    let wrong = || "/seek takes a time (1:30, 90s), a part (40%), start, end, or how far (+10s, -1:00)".to_owned();
    let target = match place.unwrap_or("start") {
        "start" => Some(SeekTarget::Start),
        "end" => Some(SeekTarget::End),
        place => match (place.strip_suffix('%'), place.strip_prefix('+'), place.strip_prefix('-')) {
            (Some(part), ..) => part
                .trim()
                .parse::<f64>()
                .ok()
                .filter(|part| (0.0..=100.0).contains(part))
                .map(|part| SeekTarget::Fraction((part * 100.0) as u16)),
            (_, Some(by), _) => parse_time(by).map(|by| SeekTarget::By(by.0.cast_signed())),
            (_, _, Some(by)) => parse_time(by).map(|by| SeekTarget::By(-by.0.cast_signed())),
            _ => parse_time(place).map(SeekTarget::At),
        },
    };
    target.map(Action::Seek).ok_or_else(wrong)
}

pub(super) fn set_speed(factor: Option<&str>) -> Result<Action, String> {
    let Some(factor) = factor else { return Ok(Action::RealTime) };
    let factor: Option<f32> = factor.trim_end_matches(['x', '×']).parse().ok();
    let factor = factor.filter(|factor| factor.is_finite() && *factor > 0.0);
    factor.map(Action::SetSpeed).ok_or_else(|| "/speed takes a factor such as 2 or 0.5".to_owned())
}

pub(super) fn cap_gaps(longest: Option<&str>) -> Result<Action, String> {
    match longest {
        None | Some("off") => Ok(Action::SetIdleCap(None)),
        Some(longest) => {
            let wrong = || "/gaps takes the longest wait, such as 2s or 300ms, or off".to_owned();
            Ok(Action::SetIdleCap(Some(parse_time(longest).ok_or_else(wrong)?)))
        }
    }
}

/// Reads hours, minutes and seconds with colons, or a number with `h`, `m`, `s` or `ms`; alone it is seconds.
fn parse_time(text: &str) -> Option<Millis> {
    const MAX_TIME_MS: f64 = 1e12;
    let ms = if text.contains(':') {
        let parts: Vec<&str> = text.split(':').collect();
        let (last, rest) = parts.split_last().filter(|(_, rest)| rest.len() <= 2)?;
        let whole = rest.iter().try_fold(0_u64, |sum, part| {
            sum.checked_mul(60)?.checked_add(part.parse::<u64>().ok().filter(|part| *part < 1_000_000)?)
        })?;
        (whole as f64).mul_add(60.0, last.parse::<f64>().ok().filter(|last| (0.0..60.0).contains(last))?) * 1_000.0
    } else {
        let units = [("ms", 1.0), ("s", 1_000.0), ("m", 60_000.0), ("h", 3_600_000.0)];
        let found = units.iter().find_map(|(unit, ms)| Some((text.strip_suffix(unit)?, *ms)));
        let (number, unit) = found.unwrap_or((text, 1_000.0));
        number.parse::<f64>().ok()? * unit
    };
    (0.0..MAX_TIME_MS).contains(&ms).then_some(Millis(ms as u64))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_a_replay_are_read() {
        let at = |ms| Ok(Action::Seek(SeekTarget::At(Millis(ms))));
        let cases = [
            ("1:30", at(90_000)),
            ("1:00:01.5", at(3_601_500)),
            ("90s", at(90_000)),
            ("2m", at(120_000)),
            ("250ms", at(250)),
            ("7", at(7_000)),
            ("40%", Ok(Action::Seek(SeekTarget::Fraction(4_000)))),
            ("+10s", Ok(Action::Seek(SeekTarget::By(10_000)))),
            ("-1:00", Ok(Action::Seek(SeekTarget::By(-60_000)))),
            ("start", Ok(Action::Seek(SeekTarget::Start))),
            ("end", Ok(Action::Seek(SeekTarget::End))),
        ];
        for (text, expected) in cases {
            assert_eq!(seek_to(Some(text)), expected, "{text}");
        }
        for text in ["", "x", "1:60", "1:2:3:4", "101%", "-5%", "nan", "infs", "1e30", "+-3", ":"] {
            assert!(seek_to(Some(text)).is_err(), "{text}");
        }
        assert_eq!(seek_to(None), Ok(Action::Seek(SeekTarget::Start)));
    }

    #[test]
    fn speeds_and_gaps_are_read() {
        assert_eq!(set_speed(Some("2x")), Ok(Action::SetSpeed(2.0)));
        assert_eq!(set_speed(None), Ok(Action::RealTime));
        assert!(["0", "-1", "nan", "inf", "fast"].iter().all(|text| set_speed(Some(text)).is_err()));
        assert_eq!(cap_gaps(Some("2s")), Ok(Action::SetIdleCap(Some(Millis(2_000)))));
        assert_eq!(
            (cap_gaps(Some("off")), cap_gaps(None)),
            (Ok(Action::SetIdleCap(None)), Ok(Action::SetIdleCap(None)))
        );
        assert!(cap_gaps(Some("soon")).is_err());
    }
}
