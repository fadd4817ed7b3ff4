//! Arguments of `acp`.

use clap::Args;

use super::{ApprovalArgs, CassetteArgs};

#[derive(Clone, Debug, Default, PartialEq, Args)]
pub struct AcpArgs {
    /// Engine and model, or an engine alone.
    #[arg(short, long, value_name = "ENGINE/MODEL")]
    pub model: Option<String>,

    #[command(flatten)]
    pub approvals: ApprovalArgs,

    /// Replace the default system prompt.
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,

    #[command(flatten)]
    pub cassette: CassetteArgs,
}
