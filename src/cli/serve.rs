//! Arguments of `serve`.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::ApprovalArgs;
use super::values::parse_speed;

#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct ServeArgs {
    /// Listen there; anything but this machine's own address needs a token.
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,

    /// Listen on this port; 0 takes one that is free and prints it.
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,

    /// The variable that holds the token.
    #[arg(long, value_name = "VAR")]
    pub token_env: Option<String>,

    /// The variable that holds a token for those who may only watch.
    #[arg(long, value_name = "VAR")]
    pub read_token_env: Option<String>,

    /// Let everyone only watch.
    #[arg(long)]
    pub read_only: bool,

    /// Let web pages of this origin ask; may be repeated.
    #[arg(long, value_name = "ORIGIN", action = ArgAction::Append)]
    pub allow_origin: Vec<String>,

    /// Engine and model, or an engine alone.
    #[arg(short, long, value_name = "ENGINE/MODEL")]
    pub model: Option<String>,

    #[command(flatten)]
    pub approvals: ApprovalArgs,

    /// System prompt in place of the usual one.
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,

    /// Play this session's log in place of an agent, in every dialect.
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,

    /// Times as fast as it was.
    #[arg(long, value_name = "X", default_value = "1", value_parser = parse_speed, requires = "replay")]
    pub speed: f64,

    /// Send OpenJarvis's events on chat completions to whoever sends tools.
    #[arg(long)]
    pub openjarvis_compat: bool,
}
