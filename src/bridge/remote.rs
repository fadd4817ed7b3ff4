//! A stream that nobody was asked for as a source: watched over the network, or played from a file of its bytes.
//!
//! Remotes that answer prompts are engines and belong to the agent; here a stream is only followed. Its answers become
//! turns without a prompt.

mod taped;
mod turns;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::session::Feed;
use crate::dialect::Decode;
use crate::event::{AgentEvent, Caps, Command, Fault, FaultKind, LinkState, TurnEnd};
use crate::net::call::HttpCall;
use crate::net::reel::Reel;
use crate::net::{Heard, Http, Patience, reconnect};
use turns::Turns;

/// Makes a decoder for each answer.
pub type Decoders = Arc<dyn Fn() -> Box<dyn Decode> + Send + Sync>;

/// Where the bytes are.
pub enum From {
    Stream {
        http: Http,
        call: HttpCall,
        patience: Patience,
    },
    /// A recording, or the plain bytes of a stream.
    File {
        path: PathBuf,
        paced: bool,
        /// Keeps the newest bytes.
        reel: Reel,
    },
}

/// What a watched stream is made of.
pub struct Watched {
    pub from: From,
    pub decoders: Decoders,
    /// What is said first; the capabilities in it count.
    pub opened: AgentEvent,
    /// The source stays when the stream has ended, so that a person can read on.
    pub lingers: bool,
}

/// Starts watching on `tasks` and returns what the session needs of it.
pub fn start(watched: Watched, tasks: &mut JoinSet<()>) -> Feed {
    // Capacities as for the agent.
    let (events, from_stream) = mpsc::channel(256);
    let (commands, to_stream) = mpsc::channel(16);
    let (link, state) = watch::channel(LinkState::Idle);
    let caps = match &watched.opened {
        AgentEvent::SessionOpened { caps, .. } => *caps,
        _ => Caps::default(),
    };
    tasks.spawn(run(watched, to_stream, events, link));
    Feed { events: from_stream, link: state, permissions: None, commands, caps }
}

async fn run(
    watched: Watched,
    mut commands: mpsc::Receiver<Command>,
    events: mpsc::Sender<AgentEvent>,
    link: watch::Sender<LinkState>,
) {
    let Watched { from, decoders, opened, lingers } = watched;
    let mut turns = Turns::new();
    if events.send(opened).await.is_err() {
        return;
    }
    // Capacity 64: frames of one read; more waiting only means more merging later.
    let (out, mut heard) = mpsc::channel(64);
    let mut bytes = Box::pin(async move {
        match from {
            From::Stream { http, call, patience } => {
                reconnect::watch(&http, &call, &*decoders, &patience, &out).await;
            }
            From::File { path, paced, reel } => taped::play(&path, paced, reel, &*decoders, &out).await,
        }
    });
    let mut told = Vec::new();
    turns.begin(&mut told);
    let mut flowing = true;
    let mut open = true;
    while open {
        for event in told.drain(..) {
            if events.send(event).await.is_err() {
                return;
            }
        }
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(Command::Cancel) => break,
                Some(_) => {}
                None => return,
            },
            next = heard.recv() => match next {
                Some(Heard::Event(event)) => turns.hear(event, &mut told),
                Some(Heard::Link(state)) => {
                    link.send_replace(state);
                }
                None => open = false,
            },
            () = &mut bytes, if flowing => flowing = false,
        }
        // The sender goes with the future: what it said last is still taken.
        if !flowing && heard.is_empty() {
            open = false;
        }
    }
    let was_cancelled = flowing;
    drop(bytes);
    if turns.is_open() {
        let end = if was_cancelled { TurnEnd::Cancelled } else { TurnEnd::Interrupted };
        turns.hear(AgentEvent::TurnFinished { turn: "t".into(), end }, &mut told);
        link.send_replace(LinkState::Idle);
    }
    for event in told {
        if events.send(event).await.is_err() {
            return;
        }
    }
    while lingers && commands.recv().await.is_some() {}
}

fn unreadable(path: &std::path::Path, error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::Internal, format!("can't read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
