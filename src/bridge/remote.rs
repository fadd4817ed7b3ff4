//! A stream that is only followed, as an event source: watched over the network, read from a pipe or from a program
//! that was started for it, or played from a file of its bytes.
//!
//! Remotes that answer prompts are engines and belong to the agent. Here the stream cannot be prompted; its responses
//! become turns without a prompt.

mod pipe;
mod program;
mod recording;
mod response_feeder;
mod turns;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::program::ProgramSignal;
use super::session::SourceHandle;
use crate::dialect::Decode;
use crate::event::{AgentEvent, Capabilities, Command, Fault, FaultKind, LinkState, ReplyEvent, TurnOutcome};
use crate::net::request::HttpRequest;
use crate::net::traffic::TrafficRing;
use crate::net::{HttpClient, RequestEvent, RequestPolicy, reconnect};
pub use pipe::PipeSource;
pub use program::ProgramSource;
use turns::RemoteTurns;

/// Bytes per read.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Creates a decoder for each response.
pub type SharedDecoderFactory = Arc<dyn Fn() -> Box<dyn Decode> + Send + Sync>;

/// Where the bytes come from.
pub enum StreamSource {
    Stream {
        http: HttpClient,
        call: HttpRequest,
        timeouts: RequestPolicy,
    },
    /// A recording, or the plain bytes of a stream.
    File {
        path: PathBuf,
        paced: bool,
        /// Keeps the newest bytes.
        ring: TrafficRing,
    },
    Pipe(PipeSource),
    Program(ProgramSource),
}

/// What is needed to watch a stream.
pub struct WatchedStream {
    pub source: StreamSource,
    pub decoder_factory: SharedDecoderFactory,
    /// The first event, with the capabilities of the source.
    pub opened: AgentEvent,
    /// Whether the source stays open when the stream has ended, so that a person can read on.
    pub stays_open: bool,
}

/// Starts watching on `tasks` and returns the channels for the session.
pub fn start(watched: WatchedStream, tasks: &mut JoinSet<()>) -> SourceHandle {
    // The same capacities as for the agent.
    let (events, from_stream) = mpsc::channel(256);
    let (commands, to_stream) = mpsc::channel(16);
    let (link, state) = watch::channel(LinkState::Idle);
    let capabilities = match &watched.opened {
        AgentEvent::SessionOpened { capabilities, .. } => *capabilities,
        _ => Capabilities::default(),
    };
    tasks.spawn(run(watched, to_stream, events, link));
    SourceHandle { events: from_stream, link: state, permissions: None, options: None, commands, capabilities }
}

async fn run(
    watched: WatchedStream,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<AgentEvent>,
    link: watch::Sender<LinkState>,
) {
    let WatchedStream { source: from, decoder_factory: decoders, opened, stays_open: lingers } = watched;
    let mut turns = RemoteTurns::default();
    if events.send(opened).await.is_err() {
        return;
    }
    // Capacity 64: the frames of one read; a larger backlog only means more merging later.
    let (out, mut received) = mpsc::channel(64);
    // Capacity 4: a person asks twice at most, then the session ends.
    let (signals, from_person) = mpsc::channel(4);
    let signals = matches!(from, StreamSource::Program(_)).then_some(signals);
    let retry_now: Arc<Notify> = Arc::default();
    let retry = retry_now.clone();
    let mut bytes = Box::pin(async move {
        match from {
            StreamSource::Stream { http, call, timeouts } => {
                let timeouts = RequestPolicy { retry_now: Some(retry), ..timeouts };
                reconnect::watch_stream(&http, &call, &*decoders, &timeouts, &out).await;
            }
            StreamSource::File { path, paced, ring } => recording::play(&path, paced, ring, &*decoders, &out).await,
            StreamSource::Pipe(pipe) => pipe::follow(pipe, &*decoders, &out).await,
            StreamSource::Program(program) => program::follow(program, from_person, &*decoders, &out).await,
        }
    });
    let mut pending = Vec::new();
    turns.begin(&mut pending);
    let mut flowing = true;
    let mut open = true;
    // The session ended, and the program is being stopped.
    let mut is_left = false;
    while open {
        for event in pending.drain(..) {
            if is_left || events.send(event).await.is_ok() {
                continue;
            }
            let Some(signals) = &signals else { return };
            is_left = true;
            let _ = signals.try_send(ProgramSignal::Terminate);
        }
        tokio::select! {
            biased;
            command = commands.recv(), if !is_left => match (command, &signals) {
                // What it still says is followed.
                (Some(Command::Cancel), Some(signals)) => _ = signals.try_send(ProgramSignal::Interrupt),
                (Some(Command::Cancel), None) => break,
                (Some(Command::Reconnect), _) => retry_now.notify_waiters(),
                (Some(_), _) => {}
                (None, Some(signals)) => {
                    is_left = true;
                    let _ = signals.try_send(ProgramSignal::Terminate);
                }
                (None, None) => return,
            },
            next = received.recv() => match next {
                Some(RequestEvent::Event(event)) => turns.handle_event(event, &mut pending),
                Some(RequestEvent::Link(state)) => {
                    link.send_replace(state);
                }
                None => open = false,
            },
            () = &mut bytes, if flowing => flowing = false,
        }
        // The sender is dropped with the future, but events that it sent before are still in the channel.
        if !flowing && received.is_empty() {
            open = false;
        }
    }
    let was_cancelled = flowing;
    drop(bytes);
    if turns.is_open() {
        let end = if was_cancelled { TurnOutcome::Cancelled } else { TurnOutcome::Interrupted };
        turns.handle_event(ReplyEvent::End { outcome: end }, &mut pending);
        link.send_replace(LinkState::Idle);
    }
    for event in pending {
        if events.send(event).await.is_err() {
            return;
        }
    }
    while lingers && commands.recv().await.is_some() {}
}

fn silence_fault(name: &str, limit: Duration) -> Fault {
    let text = format!("nothing came from {name} for {} s (--idle-timeout)", limit.as_secs());
    Fault::new(FaultKind::TimedOut, text)
}

fn unreadable_error(path: &std::path::Path, error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Internal, format!("can't read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
