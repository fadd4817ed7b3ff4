//! The commands of the person that may run, one of each tab: their output as it comes, and their ends.

use std::future::poll_fn;
use std::task::Poll;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{EffectResult, TabId};
use crate::runtime::{ToolProgress, Workspace};
use crate::store::msg::Report;

/// Pieces that may wait for the screen: a command that prints faster waits.
const MAX_WAITING_PIECES: usize = 16;

pub(super) struct RunningCommand {
    pub(super) tab: TabId,
    output: mpsc::Receiver<ToolProgress>,
    cancel: CancellationToken,
}

impl RunningCommand {
    pub(super) fn start(
        tab: TabId,
        workspace: Workspace,
        command: String,
        tasks: &mut JoinSet<(TabId, EffectResult)>,
    ) -> Self {
        let (progress, output) = mpsc::channel(MAX_WAITING_PIECES);
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        tasks.spawn(
            async move { (tab, EffectResult::CommandEnded(workspace.run_command(&command, progress, stop).await)) },
        );
        Self { tab, output, cancel }
    }

    pub(super) fn stop(&self) {
        self.cancel.cancel();
    }
}

/// Returns the next piece of any of them; never completes once all was told. Cancel-safe.
pub(super) async fn next_output(running: &mut [RunningCommand]) -> (TabId, Report) {
    poll_fn(|context| {
        for command in running.iter_mut() {
            while let Poll::Ready(Some(progress)) = command.output.poll_recv(context) {
                if let ToolProgress::Output(stream, text) = progress {
                    return Poll::Ready((command.tab, Report::CommandOutput(stream, text)));
                }
            }
        }
        Poll::Pending
    })
    .await
}
