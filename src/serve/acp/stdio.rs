//! The standard streams: lines of the client in, messages out, a line each.

use std::future::Future;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::driver::{AcpInput, AcpOutput, AcpServer, SessionOwner};
use crate::event::Json;
use crate::serve::run::close_sessions;
use crate::serve::state::ServerState;

/// Bytes of a line of the client: the largest images of a prompt, in base64.
const MAX_LINE_BYTES: u64 = 32 << 20;

/// Serves one client until it is gone or `stop` completes; then closes every session.
///
/// # Errors
///
/// Fails if the output can't be written.
pub async fn run(
    state: ServerState,
    input: impl AsyncBufRead + Send + Unpin + 'static,
    output: impl AsyncWrite + Send + Unpin,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    // Capacity 64: who reads slowly holds up the events, which the log keeps.
    let (sender, mut inbox) = mpsc::channel(64);
    let mut tasks = JoinSet::new();
    tasks.spawn(read_lines(input, sender.clone()));
    let mut server = AcpServer::new(&state, SessionOwner::Client, LineOutput(output), sender).await;
    let served = server.serve(&mut inbox, stop).await;
    tasks.shutdown().await;
    server.close().await;
    state.shutdown().cancel();
    close_sessions(&state).await;
    served
}

struct LineOutput<O>(O);

impl<O: AsyncWrite + Send + Unpin> AcpOutput for LineOutput<O> {
    async fn send(&mut self, messages: Vec<Json>) -> std::io::Result<()> {
        let mut lines = Vec::new();
        for message in messages {
            lines.extend_from_slice(message.to_string().as_bytes());
            lines.push(b'\n');
        }
        self.0.write_all(&lines).await?;
        self.0.flush().await
    }
}

/// Reads lines until there are no more. One that is too long is the end: what follows it can't be told apart.
async fn read_lines(mut input: impl AsyncBufRead + Unpin, sender: mpsc::Sender<AcpInput>) {
    loop {
        let mut line = Vec::new();
        let read = (&mut input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await;
        let is_whole = line.last() == Some(&b'\n') || (line.len() as u64) < MAX_LINE_BYTES;
        let input = match read {
            Ok(0) | Err(_) => AcpInput::Gone,
            Ok(_) if is_whole => AcpInput::Line(line),
            Ok(_) => {
                tracing::error!("a line of the client is longer than {MAX_LINE_BYTES} bytes");
                AcpInput::Gone
            }
        };
        let is_gone = matches!(input, AcpInput::Gone);
        if sender.send(input).await.is_err() || is_gone {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
