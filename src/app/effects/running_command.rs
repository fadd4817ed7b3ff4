//! The one command of the person that may run: its output as it comes, and its end.

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::EffectResult;
use crate::runtime::{ToolProgress, Workspace};
use crate::store::msg::Report;

/// Pieces that may wait for the screen: a command that prints faster waits.
const MAX_WAITING_PIECES: usize = 16;

pub(super) struct RunningCommand {
    output: mpsc::Receiver<ToolProgress>,
    cancel: CancellationToken,
}

impl RunningCommand {
    pub(super) fn start(workspace: Workspace, command: String, tasks: &mut JoinSet<EffectResult>) -> Self {
        let (progress, output) = mpsc::channel(MAX_WAITING_PIECES);
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        tasks.spawn(async move { EffectResult::CommandEnded(workspace.run_command(&command, progress, stop).await) });
        Self { output, cancel }
    }

    pub(super) fn stop(&self) {
        self.cancel.cancel();
    }

    /// Returns the next piece; never completes once all was told. Cancel-safe.
    pub(super) async fn next(running: &mut Option<Self>) -> Report {
        let Some(running) = running else { return std::future::pending().await };
        loop {
            match running.output.recv().await {
                Some(ToolProgress::Output(stream, text)) => return Report::CommandOutput(stream, text),
                Some(ToolProgress::Event(_)) => {}
                None => return std::future::pending().await,
            }
        }
    }
}
