//! Arguments of `attach`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{ArgAction, Args, Command, FromArgMatches as _, ValueEnum};

use super::values::{KnownNameParser, parse_timeout};
use super::{ApprovalArgs, CassetteArgs, ImageArgs, PrintArgs};
use crate::config::remote::{dialect_names, request_names};
use crate::text::words::split_words;

#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct AttachArgs {
    /// A server's origin, the full URL of a stream, a configured remote, a recording or saved stream, or `-` for
    /// standard input.
    #[arg(value_name = "URL|NAME|FILE|-", required_unless_present = "command")]
    pub target: Option<String>,

    /// Program to run and follow instead, with its arguments.
    #[arg(last = true, value_name = "CMD", conflicts_with = "target")]
    pub command: Vec<OsString>,

    /// Decode the stream as this dialect instead of detecting it.
    #[arg(long, value_name = "NAME", value_parser = KnownNameParser(dialect_names), hide_possible_values = true)]
    pub dialect: Option<String>,

    /// Request format, where the path doesn't imply it.
    #[arg(long, value_name = "SHAPE", value_parser = PossibleValuesParser::new(request_names()))]
    pub request: Option<String>,

    /// GET watches a stream, POST sends prompts.
    #[arg(long, value_name = "METHOD", value_enum, ignore_case = true)]
    pub method: Option<Method>,

    /// Extra request header, as NAME: VALUE; repeatable.
    #[arg(short = 'H', long, value_name = "K:V", action = ArgAction::Append)]
    pub header: Vec<String>,

    /// Environment variable that holds the token.
    #[arg(long, value_name = "VAR")]
    pub token_env: Option<String>,

    /// Model to request.
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,

    /// Session of another jarvis-tui, or `new`; by default the newest. Session of an agent, or `last`; by default a new
    /// one.
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,

    /// Only events after this number.
    #[arg(long, value_name = "N")]
    pub from_seq: Option<u64>,

    /// Watch without sending anything.
    #[arg(long, conflicts_with = "print")]
    pub read_only: bool,

    /// Explain what was detected, and why.
    #[arg(long)]
    pub explain: bool,

    /// Run the tools it requests here, with your approval.
    #[arg(long)]
    pub local_tools: bool,

    /// Record the bytes with their times to this file; `attach FILE` plays it.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Give up after this long without any data; by default wait forever.
    #[arg(long, value_name = "DUR", value_parser = parse_timeout)]
    pub idle_timeout: Option<Duration>,

    #[command(flatten)]
    pub printing: PrintArgs,

    #[command(flatten)]
    pub attached: ImageArgs,

    #[command(flatten)]
    pub approvals: ApprovalArgs,

    #[command(flatten)]
    pub cassette: CassetteArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    Get,
    Post,
}

/// The arguments that mean something beside a session that is open. Headers are not among them: what is typed is kept in
/// the history of prompts.
const TYPED_ARGS: [&str; 10] =
    ["target", "command", "dialect", "request", "token_env", "model", "session", "read_only", "explain", "local_tools"];

impl AttachArgs {
    /// Reads what was typed behind `/attach`: of the arguments those that mean something beside an open session.
    pub fn parse_line(line: &str) -> Result<Self, String> {
        let words = split_words(line);
        if words.first().is_some_and(|target| target == "-") {
            return Err("standard input belongs to this screen".to_owned());
        }
        let told = |error: clap::Error| {
            let told = error.to_string();
            let first = told.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        };
        let parser = Self::augment_args(Command::new("/attach").no_binary_name(true).disable_help_flag(true));
        let is_refused = |arg: &&clap::Arg| !TYPED_ARGS.contains(&arg.get_id().as_str());
        let refused: Vec<clap::Arg> = parser.get_arguments().filter(is_refused).cloned().collect();
        let typed = parser.try_get_matches_from(words).map_err(told)?;
        let is_given = |arg: &&clap::Arg| typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
        match refused.iter().find(is_given) {
            Some(arg) => Err(format!("--{} can't be typed here", arg.get_long().unwrap_or_default())),
            None => Self::from_arg_matches(&typed).map_err(told),
        }
    }

    /// Returns whether standard input is read as data, or passed on, so that keys come from elsewhere.
    pub fn uses_stdin(&self) -> bool {
        self.target.as_deref() == Some("-") || !self.command.is_empty()
    }

    /// Returns a flag that a conversation with an agent has no use for.
    pub(crate) fn conversation_misfit(&self) -> Option<&'static str> {
        if self.read_only {
            return Some("--read-only");
        }
        self.given(&["--method", "--from-seq", "--local-tools"])
    }

    /// Returns a flag that a program has no use for.
    pub(crate) fn program_misfit(&self) -> Option<&'static str> {
        self.given(&["--header", "--token-env"])
    }

    fn given(&self, flags: &[&str]) -> Option<&'static str> {
        self.request_flags().into_iter().find(|flag| flags.contains(flag))
    }

    /// Returns the flags that are only for what takes requests.
    pub(crate) fn request_flags(&self) -> Vec<&'static str> {
        let flags = [
            (self.request.is_some(), "--request"),
            (self.method.is_some(), "--method"),
            (!self.header.is_empty(), "--header"),
            (self.token_env.is_some(), "--token-env"),
            (self.model.is_some(), "--model"),
            (self.session.is_some(), "--session"),
            (self.from_seq.is_some(), "--from-seq"),
            (self.local_tools, "--local-tools"),
        ];
        flags.into_iter().filter_map(|(given, name)| given.then_some(name)).collect()
    }
}
