//! Arguments of `attach`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args, ValueEnum};

use super::values::parse_timeout;
use super::{ApprovalArgs, PrintArgs};
use crate::config::remote::REQUEST_KINDS;

#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct AttachArgs {
    /// An origin, the full URL of a stream, a remote's name in the settings, or a file of recorded bytes.
    #[arg(value_name = "URL|NAME|FILE")]
    pub target: String,

    /// Read the stream as this dialect in place of finding out.
    #[arg(long, value_name = "NAME")]
    pub dialect: Option<String>,

    /// How a turn is asked for, where the path doesn't say.
    #[arg(long, value_name = "SHAPE", value_parser = PossibleValuesParser::new(REQUEST_KINDS))]
    pub request: Option<String>,

    /// GET watches, POST asks.
    #[arg(long, value_name = "METHOD", value_enum, ignore_case = true)]
    pub method: Option<Method>,

    /// Sent with each request, as NAME: VALUE; may be repeated.
    #[arg(short = 'H', long, value_name = "K:V", action = ArgAction::Append)]
    pub header: Vec<String>,

    /// The variable that holds the token.
    #[arg(long, value_name = "VAR")]
    pub token_env: Option<String>,

    /// The model to ask for.
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<String>,

    /// Which session of another jarvis-tui, or `new`; the newest without it.
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,

    /// Its events after this number only.
    #[arg(long, value_name = "N")]
    pub from_seq: Option<u64>,

    /// Watch, send nothing.
    #[arg(long, conflicts_with = "print")]
    pub read_only: bool,

    /// Say what it was taken for, and why.
    #[arg(long)]
    pub explain: bool,

    /// Run the tools that it asks for here, with your approval.
    #[arg(long)]
    pub local_tools: bool,

    /// Keep the bytes with their times in this file; `attach FILE` plays it.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,

    /// Give up when nothing at all came for so long; without it, silence is waited out.
    #[arg(long, value_name = "DUR", value_parser = parse_timeout)]
    pub idle_timeout: Option<Duration>,

    #[command(flatten)]
    pub printing: PrintArgs,

    #[command(flatten)]
    pub approvals: ApprovalArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Method {
    Get,
    Post,
}
