//! The command line: clap types, value parsers, and flags as settings. Only [`run`] runs anything.

mod acp;
mod attach;
mod bare_word;
mod chat;
mod compare;
mod completions;
mod export;
mod man_page;
pub mod mcp;
pub mod run;
mod serve;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::config::{Overrides, ScreenChoice, ThemeChoice};
use crate::event::ApprovalMode;

pub use acp::AcpArgs;
pub use attach::{AttachArgs, Method};
pub use chat::{ApprovalArgs, CassetteArgs, CassetteChoice, ChatArgs, ImageArgs, PrintArgs};
pub use compare::{CompareArgs, CompareFormat};
pub use completions::completions;
pub use export::ExportArgs;
pub use man_page::man_page;
pub use serve::ServeArgs;
pub use values::Size;
use values::{ThemeNameParser, parse_duration_arg, parse_position, parse_speed};

const EXAMPLES: &str = "\
Examples:
  jarvis-tui                              chat; without a key or server the built-in engine answers
  jarvis-tui \"explain src/main.rs\"        chat, starting with this prompt
  jarvis-tui -m ollama/qwen3              choose engine and model; `jarvis-tui models` lists them
  jarvis-tui -c                           continue the newest session of this folder
  git diff | jarvis-tui -p \"review this\"  one answer on standard output, no screen
  jarvis-tui attach http://host:8000      talk to a remote agent in any dialect
  jarvis-tui attach -- CMD ARGS           run an agent program and follow its JSON lines
  jarvis-tui serve --port 8000            serve programs and other screens over HTTP
  jarvis-tui acp                          be the agent of an editor that speaks ACP
  jarvis-tui replay session.jsonl         replay a saved session with its timing
  jarvis-tui doctor                       check the setup and suggest what to do

Exit codes:
  0 ok                   3 configuration              6 limit reached, or the answer cut off
  1 failed or declined   4 authentication             7 a call was denied, otherwise completed
  2 usage                5 network or stream lost     8 ok, but the session was not saved
                                                    130 interrupted";

/// A terminal chat client for AI agents.
#[derive(Clone, Debug, PartialEq, Parser)]
#[command(name = "jarvis-tui", version, after_help = EXAMPLES, subcommand_help_heading = "Commands")]
pub struct Cli {
    #[command(flatten)]
    pub chat: ChatArgs,
    #[command(flatten, next_help_heading = "Options of every command")]
    pub shared: CommonArgs,
    #[command(subcommand)]
    pub command: Option<CliCommand>,
}

/// What every command takes.
#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct CommonArgs {
    /// Work in this folder.
    #[arg(short = 'C', long = "cd", value_name = "DIR", global = true)]
    pub folder: Option<PathBuf>,

    /// Use the settings of this profile as well.
    #[arg(long, value_name = "NAME", global = true)]
    pub profile: Option<String>,

    /// Settings file to use instead of your own.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,

    /// Override a setting, such as ui.max_fps=30; repeatable.
    #[arg(short = 'o', long = "set", value_name = "KEY=VALUE", action = ArgAction::Append, global = true)]
    pub set: Vec<String>,

    /// Color theme: auto, dark, light, mono, or a name that /theme lists.
    #[arg(long, value_name = "NAME", value_parser = ThemeNameParser, hide_possible_values = true, global = true)]
    pub theme: Option<ThemeChoice>,

    /// No colors; short for `--theme mono`.
    #[arg(long, conflicts_with = "theme", global = true)]
    pub no_color: bool,

    /// Leave the mouse to the terminal.
    #[arg(long, global = true)]
    pub no_mouse: bool,

    /// Leave the text in the terminal's own scrollback; no alternate screen, no mouse.
    #[arg(long, conflicts_with = "screen_reader", global = true)]
    pub inline: bool,

    /// Use the alternate screen, whatever the settings say.
    #[arg(long, conflicts_with_all = ["inline", "screen_reader"], global = true)]
    pub alt_screen: bool,

    /// Chat in labelled lines, a paragraph at a time, for screen readers.
    #[arg(long, global = true)]
    pub screen_reader: bool,

    /// Print the last answer to the shell when the chat is left.
    #[arg(long, global = true)]
    pub print_on_exit: bool,

    /// How much is written to the program log.
    #[arg(long, value_name = "LEVEL", value_enum, global = true)]
    pub log_level: Option<LogLevel>,

    /// Short for `--log-level debug`.
    #[arg(long, conflicts_with = "log_level", global = true)]
    pub debug: bool,
}

#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum CliCommand {
    /// Talk to a remote agent or watch its stream, in any dialect.
    Attach(Box<AttachArgs>),
    /// Replay a saved session on the screen, with its timing.
    Replay(ReplayArgs),
    /// Put sessions, or several answers to one prompt, side by side.
    Compare(CompareArgs),
    /// Serve programs and other screens over HTTP.
    Serve(Box<ServeArgs>),
    /// Answer an editor over standard streams, in the Agent Client Protocol.
    Acp(AcpArgs),
    /// Print one screen of a saved session, for bug reports and screenshots.
    Frame(FrameArgs),
    /// Write a saved session as Markdown, JSON, a page, a recording or a picture.
    Export(Box<ExportArgs>),
    /// List, show and remove saved sessions.
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// List the models of all reachable engines.
    Models {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show where keys and tokens are looked for, and whether they are there; never what they are.
    Auth {
        /// What to do; this is all there is, for keys are kept by you.
        #[arg(value_enum, default_value = "status", hide_possible_values = true)]
        what: AuthCommand,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Use servers of the Model Context Protocol, which give the agent tools.
    #[command(subcommand)]
    Mcp(mcp::McpCommand),
    /// Check the setup on this machine and suggest what to do.
    Doctor,
    /// Show, check and write settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the completion script of a shell.
    Completions {
        /// The shell that reads it.
        shell: Shell,
    },
    /// Print the manual page, for `man -l -`.
    Man,
}

#[derive(Clone, Debug, PartialEq, Args)]
pub struct ReplayArgs {
    /// Session name, or the beginning of it, or a session log.
    #[arg(value_name = "ID|FILE")]
    pub file: PathBuf,

    /// Playback speed (1 = real time).
    #[arg(long, value_name = "X", default_value = "1", value_parser = parse_speed)]
    pub speed: f64,

    /// Start at this time, such as 90s or 1:30.
    #[arg(long, value_name = "T", value_parser = parse_position)]
    pub from: Option<Duration>,

    /// Shorten longer pauses to this.
    #[arg(long, value_name = "DUR", value_parser = parse_duration_arg)]
    pub max_idle: Option<Duration>,

    /// Show this branch of the session, counted as they began; by default the one that it was on last.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub branch: Option<u64>,

    /// Print everything at once instead of playing.
    #[arg(long, conflicts_with_all = ["speed", "from", "max_idle"])]
    pub headless: bool,

    /// Output format.
    #[arg(long, value_name = "FORMAT", value_enum, requires = "headless")]
    pub output_format: Option<OutputFormat>,

    /// Short for `--output-format stream-json`.
    #[arg(long, requires = "headless", conflicts_with = "output_format")]
    pub json: bool,
}

#[derive(Clone, Debug, PartialEq, Args)]
pub struct FrameArgs {
    /// Session name, or the beginning of it, or a session log.
    #[arg(value_name = "ID|FILE")]
    pub file: PathBuf,

    /// Show the screen after this event; by default after the last.
    #[arg(long, value_name = "N")]
    pub seq: Option<u64>,

    /// Columns and rows of the screen.
    #[arg(long, value_name = "WxH", default_value = "80x24")]
    pub size: Size,

    /// Output format.
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub format: FrameFormat,
}

#[derive(Clone, Debug, PartialEq, Subcommand)]
pub enum SessionsCommand {
    /// List the sessions of this folder, newest first.
    List {
        /// List the sessions of all folders.
        #[arg(long)]
        all: bool,
        /// List the archived sessions instead.
        #[arg(long)]
        archived: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a session.
    Show {
        /// Session name, or the beginning of it.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Find words, or /expression/, in prompts, answers, calls and outputs of all sessions.
    Search {
        /// All of these words, in any order, in one text; small letters match capitals too.
        #[arg(required = true, value_name = "WORDS|/EXPRESSION/")]
        words: Vec<String>,
        /// Hits printed of a session; JSON has all.
        #[arg(short = 'n', long, value_name = "N", default_value = "5")]
        max: usize,
        /// Print JSON, a line a hit.
        #[arg(long)]
        json: bool,
    },
    /// Bring sessions here that Claude Code, Codex, Gemini CLI, opencode or pi kept, or arrays of messages.
    Import {
        /// Files and folders; without any it looks where each program keeps its own.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Read everything, write nothing.
        #[arg(long)]
        dry_run: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write a session in the form that another agent takes: what is handed over of its active branch.
    Handoff {
        /// Session name, or the beginning of it.
        id: String,
        /// openai, anthropic, markdown, claude-code, codex or pi.
        #[arg(long, value_name = "FORMAT")]
        to: String,
        /// A new file; otherwise, or with -, standard output.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Name a session.
    Rename {
        /// Session name, or the beginning of it.
        id: String,
        /// Its title; an empty one names it after its first prompt again.
        title: String,
    },
    /// Write a session anew without the keys and passwords that an earlier version left in it; the session stays as it is.
    Scrub {
        /// Session name, the beginning of it, or a log.
        #[arg(value_name = "ID|FILE")]
        id: String,
        /// The file to write; otherwise NAME.scrubbed.jsonl in this folder.
        #[arg(short = 'o', long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Override a setting, such as ui.max_fps=30; repeatable.
        // The same as of every command, whose short form is another here.
        #[arg(id = "set", long = "set", value_name = "KEY=VALUE", action = ArgAction::Append)]
        settings: Vec<String>,
    },
    /// Leave sessions out of the lists. They can still be shown and resumed.
    Archive {
        /// Session names.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Take sessions out of the archive.
    Unarchive {
        /// Session names.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Delete sessions permanently.
    Rm {
        /// Session names.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Show which files are used.
    Path,
    /// Print every setting and where its value came from.
    Show,
    /// Print the current keys and all actions, as settings.
    Keys,
    /// Print a JSON schema of the settings, for editors that check files.
    Schema,
    /// Check for mistakes, unknown keys included.
    Check,
    /// Write a settings file that documents everything and changes nothing.
    Init,
    /// Trust the settings of this project as they are now.
    Trust {
        /// Stop trusting them.
        #[arg(long)]
        remove: bool,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum AuthCommand {
    #[default]
    Status,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// The answer as it streams.
    #[default]
    Text,
    /// One JSON object at the end.
    Json,
    /// One event per line, as in the log.
    StreamJson,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FrameFormat {
    Text,
    Ansi,
    Svg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Cli {
    /// Parses the command line; the program's name comes first. The error prints itself and has its exit code.
    pub fn parse_args<T: Into<std::ffi::OsString> + Clone>(
        args: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let args: Vec<std::ffi::OsString> = args.into_iter().map(Into::into).collect();
        let read = Self::try_parse_from(&args);
        bare_word::check_bare_word(&args, &read)?;
        let cli = read?;
        match cli.misplaced_flag() {
            Some(flag) => {
                let text = format!("{flag} is for conversations and can't be used with a command");
                Err(Self::command().error(ErrorKind::ArgumentConflict, text))
            }
            None => Ok(cli),
        }
    }

    /// Returns the settings given by flags.
    pub fn overrides(&self) -> Overrides {
        let ApprovalArgs { approval_mode, yolo } = match &self.command {
            Some(CliCommand::Attach(attach)) => attach.approvals,
            Some(CliCommand::Serve(serve)) => serve.approvals,
            Some(CliCommand::Acp(acp)) => acp.approvals,
            Some(CliCommand::Mcp(mcp::McpCommand::Serve(serve))) => serve.approvals,
            _ => self.chat.approvals,
        };
        let model = match &self.command {
            Some(CliCommand::Serve(serve)) => &serve.model,
            Some(CliCommand::Acp(acp)) => &acp.model,
            Some(CliCommand::Mcp(mcp::McpCommand::Serve(serve))) => &serve.model,
            _ => &self.chat.model,
        };
        Overrides {
            model: model.clone(),
            profile: self.shared.profile.clone(),
            theme: if self.shared.no_color { Some(ThemeChoice::Mono) } else { self.shared.theme.clone() },
            mode: if yolo { Some(ApprovalMode::Full) } else { approval_mode },
            mouse: self.shared.no_mouse.then_some(false),
            screen: self.shared.screen(),
            print_on_exit: self.shared.print_on_exit.then_some(true),
            effort: self.chat.effort,
            max_rounds: self.chat.max_rounds,
            max_cost: self.chat.max_budget_usd,
            max_tokens: self.chat.max_tokens,
            assignments: self.shared.set.clone(),
        }
    }

    /// Returns what is recorded or played.
    pub fn cassette(&self) -> &CassetteArgs {
        match &self.command {
            Some(CliCommand::Attach(attach)) => &attach.cassette,
            Some(CliCommand::Serve(serve)) => &serve.cassette,
            Some(CliCommand::Acp(acp)) => &acp.cassette,
            _ => &self.chat.cassette,
        }
    }

    /// Returns the variables that flags name as holding tokens.
    pub fn key_variables(&self) -> Vec<String> {
        let named = match &self.command {
            Some(CliCommand::Attach(attach)) => [attach.token_env.clone(), None],
            Some(CliCommand::Serve(serve)) => [serve.token_env.clone(), serve.read_token_env.clone()],
            _ => [None, None],
        };
        named.into_iter().flatten().collect()
    }

    /// Clap would accept a chat's flags before a subcommand and ignore them.
    fn misplaced_flag(&self) -> Option<&'static str> {
        self.command.as_ref()?;
        let chat = &self.chat;
        [
            (chat.prompt.is_some(), "a prompt"),
            (chat.model.is_some(), "--model"),
            (chat.agent.is_some(), "--agent"),
            (chat.continue_newest, "--continue"),
            (chat.resume.is_some(), "--resume"),
            (chat.seq.is_some(), "--seq"),
            (chat.printing.print.is_some(), "--print"),
            (chat.printing.output_format.is_some(), "--output-format"),
            (chat.printing.json, "--json"),
            (chat.approvals.approval_mode.is_some(), "--approval-mode"),
            (chat.approvals.yolo, "--yolo"),
            (chat.session.is_some(), "--session"),
            (chat.max_rounds.is_some(), "--max-rounds"),
            (chat.max_budget_usd.is_some(), "--max-budget-usd"),
            (chat.max_tokens.is_some(), "--max-tokens"),
            (chat.printing.timeout.is_some(), "--timeout"),
            (chat.system.is_some(), "--system"),
            (!chat.files.is_empty(), "--file"),
            (!chat.attached.images.is_empty(), "--image"),
            (chat.cassette.cassette.is_some(), "--cassette"),
        ]
        .into_iter()
        .find_map(|(given, name)| given.then_some(name))
    }
}

impl ReplayArgs {
    pub fn format(&self) -> OutputFormat {
        resolve_format(self.json, self.output_format)
    }
}

impl CommonArgs {
    /// Returns how the terminal is to be used, and the flag that says so.
    fn screen(&self) -> Option<(&'static str, ScreenChoice)> {
        let choices = [
            (self.screen_reader, "--screen-reader", ScreenChoice::Linear),
            (self.inline, "--inline", ScreenChoice::Inline),
            (self.alt_screen, "--alt-screen", ScreenChoice::Alternate),
        ];
        choices.into_iter().find_map(|(is_given, flag, choice)| is_given.then_some((flag, choice)))
    }

    /// Returns the requested log level.
    pub fn log_level(&self) -> Option<LogLevel> {
        if self.debug { Some(LogLevel::Debug) } else { self.log_level }
    }
}

impl LogLevel {
    /// Returns the name that log filters use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

fn resolve_format(json: bool, format: Option<OutputFormat>) -> OutputFormat {
    if json { OutputFormat::StreamJson } else { format.unwrap_or_default() }
}

#[cfg(test)]
mod tests;
