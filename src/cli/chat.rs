//! Arguments of a conversation, and those that other commands share with it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum, ValueHint};

use super::values::{effort_parser, mode_parser, parse_dollars, parse_speed, parse_timeout};
use super::{AttachArgs, OutputFormat, resolve_format};
use crate::event::{ApprovalMode, Effort};

/// What belongs to a conversation; no subcommand takes these.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct ChatArgs {
    /// First prompt; `-` reads it from standard input.
    pub prompt: Option<String>,

    /// Engine and model, or an engine alone.
    #[arg(short, long, value_name = "ENGINE/MODEL")]
    pub model: Option<String>,

    /// Talk to this agent program, or to this remote of the settings, instead of a model. Like `attach`.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["continue_newest", "resume", "session", "system", "effort",
        "max_rounds", "max_budget_usd", "max_tokens", "files"])]
    pub agent: Option<String>,

    /// How much the model thinks, where it takes that: none, minimal, low, medium, high, xhigh or max; on for any.
    #[arg(long, value_name = "LEVEL", value_parser = effort_parser())]
    pub effort: Option<Effort>,

    /// Continue the newest session of this folder.
    #[arg(short = 'c', long = "continue", conflicts_with = "resume")]
    pub continue_newest: bool,

    /// Continue this saved session; without a name choose from a list (without a screen: the newest of all).
    #[arg(short, long, value_name = "ID")]
    pub resume: Option<Option<String>>,

    /// Continue the session of this folder that has this title, or start one with it.
    #[arg(short, long, value_name = "TITLE", conflicts_with_all = ["continue_newest", "resume"])]
    pub session: Option<String>,

    /// With a resumed session: show the place of this event, as `/link` writes it.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub seq: Option<u64>,

    #[command(flatten)]
    pub printing: PrintArgs,

    #[command(flatten)]
    pub approvals: ApprovalArgs,

    /// Maximum requests to the model per turn.
    #[arg(long, visible_alias = "max-turns", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub max_rounds: Option<u32>,

    /// Limit of what the session costs, in US dollars; without a screen a turn that passes it is stopped.
    #[arg(long, value_name = "X", value_parser = parse_dollars)]
    pub max_budget_usd: Option<f64>,

    /// Limit of the tokens of the session, in the same way.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub max_tokens: Option<u64>,

    /// Replace the default system prompt.
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,

    /// Send this file, or the listing of this folder, with the prompt; repeatable. Like @PATH in it.
    #[arg(short, long = "file", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub files: Vec<PathBuf>,

    #[command(flatten)]
    pub attached: ImageArgs,

    #[command(flatten)]
    pub cassette: CassetteArgs,
}

/// What goes with the first prompt.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct ImageArgs {
    /// Send this image with the prompt; repeatable. PNG, JPEG, GIF or WebP of up to 5 MB.
    #[arg(short, long = "image", value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub images: Vec<PathBuf>,
}

/// What prints an answer in place of the screen.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct PrintArgs {
    /// Print the answer and exit; a pipe or file on standard input joins the prompt.
    #[arg(short, long, value_name = "PROMPT")]
    pub print: Option<Option<String>>,

    /// Output format.
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub output_format: Option<OutputFormat>,

    /// Short for `--output-format stream-json`.
    #[arg(long, conflicts_with = "output_format")]
    pub json: bool,

    /// Give up after this time, such as 90s or 15m; with --print.
    #[arg(long, value_name = "DUR", value_parser = parse_timeout)]
    pub timeout: Option<Duration>,
}

/// Who is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub struct ApprovalArgs {
    /// What tools may do without asking.
    #[arg(long, value_name = "MODE", value_parser = mode_parser())]
    pub approval_mode: Option<ApprovalMode>,

    /// Never ask; short for `--approval-mode full`.
    #[arg(long, conflicts_with = "approval_mode")]
    pub yolo: bool,
}

/// Answers of servers that are recorded or played.
#[derive(Clone, Debug, PartialEq, Args)]
pub struct CassetteArgs {
    /// Record what servers answer into this file, or play it where it is there: a run like the one before, without a
    /// network.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub cassette: Option<PathBuf>,

    /// Whether to record or to play; auto plays a file that is there.
    #[arg(long, value_name = "MODE", value_enum, requires = "cassette", default_value = "auto")]
    pub cassette_mode: CassetteChoice,

    /// How fast it is played (1 = as it was recorded).
    #[arg(long, value_name = "X", default_value = "1", value_parser = parse_speed, requires = "cassette")]
    pub cassette_speed: f64,
}

impl Default for CassetteArgs {
    fn default() -> Self {
        Self { cassette: None, cassette_mode: CassetteChoice::default(), cassette_speed: 1.0 }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum CassetteChoice {
    #[default]
    Auto,
    /// Record anew, in place of an older recording.
    Record,
    /// Play; an error if there is no such file.
    Play,
}

impl ChatArgs {
    /// Returns how `--agent` attaches, and the first prompt for a screen. `is_remote` tells whether the settings have a
    /// remote of that name; else it is an agent program's.
    pub fn agent_args(self, has_screen: bool, is_remote: impl Fn(&str) -> bool) -> (AttachArgs, Option<String>) {
        let Self { prompt, model, printing, approvals, attached, agent, cassette, .. } = self;
        let name = agent.unwrap_or_default();
        let target = if is_remote(&name) || name.contains(':') { name } else { format!("acp:{name}") };
        let mut args = AttachArgs {
            target: Some(target),
            model,
            printing,
            attached,
            approvals,
            cassette,
            ..AttachArgs::default()
        };
        let prints = args.printing.is_headless() || !has_screen;
        if prints && args.printing.prompt().is_none() && prompt.is_some() {
            args.printing.print = Some(prompt);
            return (args, None);
        }
        (args, prompt)
    }

    /// Returns the prompt as `--print`'s value, the argument, or both with a blank line between.
    pub fn prompt_text(&self) -> Option<String> {
        let parts: Vec<&str> = [self.printing.prompt(), self.prompt.as_deref()].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }
}

impl PrintArgs {
    /// Returns whether to print instead of opening the screen.
    pub fn is_headless(&self) -> bool {
        self.print.is_some() || self.output_format.is_some() || self.json
    }

    /// Returns the value of `--print`.
    pub fn prompt(&self) -> Option<&str> {
        self.print.as_ref().and_then(Option::as_deref)
    }

    pub fn format(&self) -> OutputFormat {
        resolve_format(self.json, self.output_format)
    }
}
