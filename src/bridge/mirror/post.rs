//! Wishes on their way to a session elsewhere, in order.
//!
//! A prompt of which no byte was sent waits for the line and goes when that is up again. One that was sent and not
//! answered may have arrived: it is told, and never sent twice.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::event::{Command, FaultKind, Queued, Undelivered};
use crate::net::Http;
use crate::net::call::{Framing, HttpCall, Method, Value};
use crate::net::status::Failure;

/// How long a wish may take to be accepted.
const WISH: Duration = Duration::from_secs(10);
/// Before a prompt is tried again over a line that is up.
const AGAIN: Duration = Duration::from_secs(1);
/// Prompts that may wait for the line.
const MOST: usize = 100;

/// How the line to the other is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Down,
    Up,
    /// For good; why.
    Lost(String),
}

/// What the follower has to say to everyone.
pub(super) enum Told {
    Undelivered(Undelivered),
    /// What waits here now.
    Waiting(Vec<Queued>),
}

pub(super) struct Post {
    http: Http,
    url: String,
    headers: Vec<(String, Value)>,
    read_only: bool,
    tell: mpsc::Sender<Told>,
    waiting: VecDeque<Queued>,
    numbers: u64,
}

impl Post {
    pub(super) fn new(
        http: Http,
        url: String,
        headers: Vec<(String, Value)>,
        read_only: bool,
        tell: mpsc::Sender<Told>,
    ) -> Self {
        Self { http, url, headers, read_only, tell, waiting: VecDeque::new(), numbers: Queued::HERE }
    }

    /// Ends when nobody is left to wish; that closes the channel of what is told.
    pub(super) async fn run(mut self, mut wishes: mpsc::Receiver<Command>, mut line: watch::Receiver<Line>) {
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                wish = wishes.recv() => match wish {
                    Some(_) if self.read_only => {}
                    Some(wish) => self.wish(wish).await,
                    None => return,
                },
                up = settled(&mut line, pause), if !self.waiting.is_empty() => match up {
                    Ok(()) => pause = if self.send_waiting().await { Duration::ZERO } else { AGAIN },
                    Err(why) => self.give_back(&why).await,
                },
            }
        }
    }

    async fn wish(&mut self, wish: Command) {
        match wish {
            // The agent over there prepares for those who sit there; an older one would not know the word.
            Command::Prepare => {}
            Command::Unqueue { id } if id >= Queued::HERE => {
                self.waiting.retain(|queued| queued.id != id);
                self.say_waiting().await;
            }
            Command::Prompt { text } if !self.waiting.is_empty() => self.wait(text).await,
            Command::Prompt { text } => match self.send(&Command::Prompt { text: text.clone() }).await {
                Err(failure) if failure.unsent => self.wait(text).await,
                sent => self.complain(sent, Some(text)).await,
            },
            wish => {
                let sent = self.send(&wish).await;
                // Somebody else was first; the fact of that comes with the stream.
                let lost_race = matches!(wish, Command::Decide { .. })
                    && matches!(&sent, Err(failure) if failure.fault.kind == FaultKind::BadRequest);
                if !lost_race {
                    self.complain(sent, None).await;
                }
            }
        }
    }

    /// Sends the first that waits; false if the line is not up after all.
    async fn send_waiting(&mut self) -> bool {
        let Some(next) = self.waiting.front().cloned() else { return true };
        let sent = self.send(&Command::Prompt { text: next.text.clone() }).await;
        if sent.as_ref().is_err_and(|failure| failure.unsent) {
            return false;
        }
        self.waiting.pop_front();
        self.say_waiting().await;
        self.complain(sent, Some(next.text)).await;
        true
    }

    async fn wait(&mut self, text: String) {
        if self.waiting.len() >= MOST {
            let why = format!("{MOST} prompts wait for the line already");
            return self.undelivered(Undelivered { why, text: Some(text), ..Undelivered::default() }).await;
        }
        self.numbers += 1;
        self.waiting.push_back(Queued { id: self.numbers, text });
        self.say_waiting().await;
    }

    /// The line is lost: what waits goes back to the person.
    async fn give_back(&mut self, why: &str) {
        let texts: Vec<_> = self.waiting.drain(..).map(|queued| queued.text).collect();
        self.say_waiting().await;
        let text = Some(texts.join("\n\n"));
        self.undelivered(Undelivered { why: why.to_owned(), text, ..Undelivered::default() }).await;
    }

    async fn send(&self, wish: &Command) -> Result<(), Failure> {
        let body = serde_json::to_vec(wish)
            .map_err(|error| Failure::last(FaultKind::Internal, format!("it can't be written as JSON: {error}")))?;
        let call = HttpCall {
            method: Method::Post,
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: Some(Bytes::from(body)),
            framing: Framing::Ndjson,
        };
        self.http.tell(&call, WISH).await
    }

    async fn complain(&self, sent: Result<(), Failure>, text: Option<String>) {
        let Err(failure) = sent else { return };
        tracing::warn!("a wish was not taken: {}", failure.fault);
        let unknown = !failure.unsent && matches!(failure.fault.kind, FaultKind::Network | FaultKind::TimedOut);
        let text = text.filter(|_| !unknown);
        self.undelivered(Undelivered { why: failure.fault.message, unknown, text, count: 0 }).await;
    }

    async fn undelivered(&self, undelivered: Undelivered) {
        // Nobody is told when nobody is left.
        let _ = self.tell.send(Told::Undelivered(undelivered)).await;
    }

    async fn say_waiting(&self) {
        let _ = self.tell.send(Told::Waiting(self.waiting.iter().cloned().collect())).await;
    }
}

/// Waits until the line is up, at least for that long; the error says why it never will be.
async fn settled(line: &mut watch::Receiver<Line>, pause: Duration) -> Result<(), String> {
    tokio::time::sleep(pause).await;
    let now = line.wait_for(|line| *line != Line::Down).await;
    match now.as_deref() {
        Ok(Line::Lost(why)) => Err(why.clone()),
        Ok(Line::Up | Line::Down) => Ok(()),
        Err(_) => Err("the session elsewhere is over".to_owned()),
    }
}
