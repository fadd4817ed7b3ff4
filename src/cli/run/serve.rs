//! `serve`: until it is interrupted.

use anyhow::Context as _;

use super::{EXIT_FAILED, RunContext};
use crate::cli::ServeArgs;
use crate::headless::Interrupts;
use crate::headless::output::{self, print_error};
use crate::headless::save_errors::SaveErrors;
use crate::runtime::{Frontend, ServerPlan};
use crate::serve::{self, ServerListener, SocketFile};

/// Serves on the program's only thread: tokens of the agent reach clients sooner than across two, and slow work (tools,
/// listings) has threads of its own.
pub(super) async fn run(args: &ServeArgs, context: RunContext) -> anyhow::Result<u8> {
    let unsaved = SaveErrors::default();
    let runtime = context.runtime(Frontend::Server, args.system.clone()).with_save_listener(unsaved.listener(true));
    let ServerPlan { factory, settings, host, port, warnings } = runtime.plan_server(args, print_error).await?;
    for warning in &warnings {
        print_error(warning);
    }
    let (listener, address) = if let Some(path) = &args.socket {
        let socket = SocketFile::bind(path).with_context(|| format!("can't listen at {}", path.display()))?;
        (ServerListener::Socket(socket), path.display().to_string())
    } else {
        let listener = tokio::net::TcpListener::bind((host.as_str(), port))
            .await
            .with_context(|| format!("can't listen on {host} port {port}"))?;
        let address = listener.local_addr().context("the listening address is unknown")?;
        (ServerListener::Port(listener), format!("http://{address}"))
    };
    let mut interrupts = Interrupts::new();
    output::print(&format!("listening on {address}\n"))?;
    let state = serve::ServerState::new(factory, settings);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = serve::run(listener, state, async { drop(stopped.await) });
    let mut running = std::pin::pin!(running);
    tokio::select! {
        () = &mut running => return Ok(unsaved.exit_code(0)),
        () = interrupts.next() => drop(stop),
    }
    tokio::select! {
        () = running => Ok(unsaved.exit_code(0)),
        // A second interrupt stops at once.
        () = interrupts.next() => Ok(EXIT_FAILED),
    }
}
