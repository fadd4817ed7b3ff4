//! `acp`: until the editor that started it is gone, or an interrupt.

use anyhow::Context as _;

use super::RunContext;
use crate::cli::AcpArgs;
use crate::headless::Interrupts;
use crate::headless::save_errors::SaveErrors;
use crate::runtime::{ChildServerPlan, Frontend};
use crate::serve;

/// Standard output has messages of the protocol and nothing else.
pub(super) async fn run(args: &AcpArgs, context: RunContext) -> anyhow::Result<u8> {
    let unsaved = SaveErrors::default();
    let runtime = context.runtime(Frontend::Server, args.system.clone()).with_save_listener(unsaved.listener(true));
    let ChildServerPlan { factory, settings } = runtime.plan_child_server()?;
    let state = serve::ServerState::new(factory, settings);
    let mut interrupts = Interrupts::new();
    let input = tokio::io::BufReader::new(tokio::io::stdin());
    let served = serve::acp::run(state, input, tokio::io::stdout(), interrupts.next()).await;
    served.context("writing to standard output")?;
    Ok(unsaved.exit_code(0))
}
