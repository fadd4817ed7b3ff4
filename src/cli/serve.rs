//! Arguments of `serve`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::values::parse_speed;
use super::{ApprovalArgs, CassetteArgs};

#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct ServeArgs {
    /// Agent program to serve in place of our own agent: `acp:NAME`, as with `attach`.
    #[arg(value_name = "acp:NAME")]
    pub agent: Option<String>,

    /// The same, by its command and arguments.
    #[arg(last = true, value_name = "CMD", conflicts_with = "agent")]
    pub command: Vec<OsString>,

    /// Address to listen on; anything but loopback needs a token.
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,

    /// Port to listen on; 0 picks a free one and prints it.
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,

    /// Listen on a socket at this path, which only you can open, instead of a port.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["host", "port"])]
    pub socket: Option<PathBuf>,

    /// Environment variable that holds the token.
    #[arg(long, value_name = "VAR")]
    pub token_env: Option<String>,

    /// Environment variable that holds a read-only token.
    #[arg(long, value_name = "VAR")]
    pub read_token_env: Option<String>,

    /// Clients may watch but not send.
    #[arg(long)]
    pub read_only: bool,

    /// Address under which a proxy offers the server; needs a token.
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,

    /// Keep the logs where several servers share them: `nats://HOST[,HOST…][/NAME]`.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,

    /// Accept requests from web pages of this origin; repeatable.
    #[arg(long, value_name = "ORIGIN", action = ArgAction::Append)]
    pub allow_origin: Vec<String>,

    /// Engine and model, or an engine alone; for an agent program, a model of its own.
    #[arg(short, long, value_name = "ENGINE/MODEL")]
    pub model: Option<String>,

    #[command(flatten)]
    pub approvals: ApprovalArgs,

    /// Replace the default system prompt.
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,

    /// Play this session, by its name or its log, instead of running an agent, in every dialect.
    #[arg(long, value_name = "ID|FILE")]
    pub replay: Option<PathBuf>,

    /// Playback speed (1 = real time).
    #[arg(long, value_name = "X", default_value = "1", value_parser = parse_speed, requires = "replay")]
    pub speed: f64,

    /// Add OpenJarvis's events to chat completions that carry tools.
    #[arg(long)]
    pub openjarvis_compat: bool,

    #[command(flatten)]
    pub cassette: CassetteArgs,
}
