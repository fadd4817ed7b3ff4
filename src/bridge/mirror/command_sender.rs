//! Wishes on their way to a session elsewhere, in order.
//!
//! A prompt of which no byte was sent waits for the line and goes when that is up again. One that was sent and not
//! answered may have arrived: it is told, and never sent twice.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::event::{Command, FaultKind, PromptContext, QueuedPrompt, UndeliveredCommand};
use crate::net::HttpClient;
use crate::net::failure::RequestFailure;
use crate::net::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};

/// How long a wish may take to be accepted.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// Before a prompt is tried again over a line that is up.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Prompts that may wait for the line.
const MAX_WAITING_PROMPTS: usize = 100;

/// How the line to the other is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MirrorConnection {
    Down,
    Up,
    /// For good; why.
    Lost(String),
}

/// What the follower has to say to everyone.
pub(super) enum CommandReport {
    Undelivered(UndeliveredCommand),
    /// What waits here now.
    Waiting(Vec<QueuedPrompt>),
    /// Somebody wants the next try at once.
    RetryNow,
}

pub(super) struct CommandSender {
    http: HttpClient,
    url: String,
    headers: Vec<(String, HttpHeaderValue)>,
    read_only: bool,
    reports: mpsc::Sender<CommandReport>,
    waiting: VecDeque<QueuedPrompt>,
    /// What goes with those that wait, by their numbers.
    contexts: HashMap<u64, Vec<PromptContext>>,
    last_id: u64,
}

impl CommandSender {
    pub(super) fn new(
        http: HttpClient,
        url: String,
        headers: Vec<(String, HttpHeaderValue)>,
        read_only: bool,
        tell: mpsc::Sender<CommandReport>,
    ) -> Self {
        Self {
            http,
            url,
            headers,
            read_only,
            reports: tell,
            waiting: VecDeque::new(),
            contexts: HashMap::new(),
            last_id: QueuedPrompt::FIRST_LOCAL_ID,
        }
    }

    /// Ends when nobody is left to wish; that closes the channel of what is told.
    pub(super) async fn run(
        mut self,
        mut wishes: mpsc::Receiver<Command>,
        mut line: watch::Receiver<MirrorConnection>,
    ) {
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                wish = wishes.recv() => match wish {
                    // About the line to here, and none of the session's.
                    Some(Command::Reconnect) => _ = self.reports.send(CommandReport::RetryNow).await,
                    Some(_) if self.read_only => {}
                    Some(wish) => self.handle_command(wish).await,
                    None => return,
                },
                up = wait_for_connection(&mut line, pause), if !self.waiting.is_empty() => match up {
                    Ok(()) => pause = if self.send_next_waiting().await { Duration::ZERO } else { RETRY_INTERVAL },
                    Err(why) => self.return_waiting(&why).await,
                },
            }
        }
    }

    async fn handle_command(&mut self, wish: Command) {
        match wish {
            // The agent over there prepares for those who sit there; an older one would not know the word.
            Command::WarmUp => {}
            // It ran here, and the log is over there.
            Command::KeepRun { .. } => {}
            Command::DequeuePrompt { id } if id >= QueuedPrompt::FIRST_LOCAL_ID => {
                self.waiting.retain(|queued| queued.id != id);
                self.contexts.remove(&id);
                self.report_waiting().await;
            }
            Command::Prompt { text, context, .. } if !self.waiting.is_empty() => self.enqueue(text, context).await,
            Command::Prompt { text, context, author } => {
                let prompt = Command::Prompt { text, context, author };
                let sent = self.send(&prompt).await;
                let Command::Prompt { text, context, .. } = prompt else { return };
                match sent {
                    Err(failure) if failure.is_unsent => self.enqueue(text, context).await,
                    sent => self.report_failure(sent, Some(text)).await,
                }
            }
            Command::Steer { text, context } => {
                let sent = self.send(&Command::Steer { text: text.clone(), context: context.clone() }).await;
                match sent {
                    // By the time the line is up again it is a prompt.
                    Err(failure) if failure.is_unsent => self.enqueue(text, context).await,
                    sent => self.report_failure(sent, Some(text)).await,
                }
            }
            wish => {
                let sent = self.send(&wish).await;
                // Somebody else was first; the fact of that comes with the stream.
                let lost_race = matches!(wish, Command::Decide { .. })
                    && matches!(&sent, Err(failure) if failure.fault.kind == FaultKind::BadRequest);
                if !lost_race {
                    self.report_failure(sent, None).await;
                }
            }
        }
    }

    /// Sends the first that waits; false if the line is not up after all.
    async fn send_next_waiting(&mut self) -> bool {
        let Some(next) = self.waiting.front().cloned() else { return true };
        let context = self.contexts.get(&next.id).cloned().unwrap_or_default();
        let sent = self.send(&Command::Prompt { text: next.text.clone(), context, author: None }).await;
        if sent.as_ref().is_err_and(|failure| failure.is_unsent) {
            return false;
        }
        self.waiting.pop_front();
        self.contexts.remove(&next.id);
        self.report_waiting().await;
        self.report_failure(sent, Some(next.text)).await;
        true
    }

    async fn enqueue(&mut self, text: String, context: Vec<PromptContext>) {
        if self.waiting.len() >= MAX_WAITING_PROMPTS {
            let why = format!("{MAX_WAITING_PROMPTS} prompts are already waiting for the connection");
            return self
                .report_undelivered(UndeliveredCommand {
                    reason: why,
                    prompt: Some(text),
                    ..UndeliveredCommand::default()
                })
                .await;
        }
        self.last_id += 1;
        if !context.is_empty() {
            self.contexts.insert(self.last_id, context);
        }
        self.waiting.push_back(QueuedPrompt::new(self.last_id, text));
        self.report_waiting().await;
    }

    /// The line is lost: what waits goes back to the person.
    async fn return_waiting(&mut self, why: &str) {
        let texts: Vec<_> = self.waiting.drain(..).map(|queued| queued.text).collect();
        self.contexts.clear();
        self.report_waiting().await;
        let text = Some(texts.join("\n\n"));
        self.report_undelivered(UndeliveredCommand {
            reason: why.to_owned(),
            prompt: text,
            ..UndeliveredCommand::default()
        })
        .await;
    }

    async fn send(&self, wish: &Command) -> Result<(), RequestFailure> {
        let body = serde_json::to_vec(wish).map_err(|error| {
            RequestFailure::permanent(FaultKind::Internal, format!("it can't be written as JSON: {error}"))
        })?;
        let call = HttpRequest {
            method: HttpMethod::Post,
            url: self.url.clone(),
            headers: self.headers.clone(),
            body: Some(Bytes::from(body)),
            framing: Framing::Ndjson,
        };
        self.http.send_expecting_success(&call, COMMAND_TIMEOUT).await
    }

    async fn report_failure(&self, sent: Result<(), RequestFailure>, text: Option<String>) {
        let Err(failure) = sent else { return };
        tracing::warn!("a command was rejected: {}", failure.fault);
        let unknown = !failure.is_unsent && matches!(failure.fault.kind, FaultKind::Network | FaultKind::TimedOut);
        let text = text.filter(|_| !unknown);
        self.report_undelivered(UndeliveredCommand {
            reason: failure.fault.message,
            may_have_arrived: unknown,
            prompt: text,
            count: 0,
        })
        .await;
    }

    async fn report_undelivered(&self, undelivered: UndeliveredCommand) {
        // Nobody is told when nobody is left.
        let _ = self.reports.send(CommandReport::Undelivered(undelivered)).await;
    }

    async fn report_waiting(&self) {
        let _ = self.reports.send(CommandReport::Waiting(self.waiting.iter().cloned().collect())).await;
    }
}

/// Waits until the line is up, at least for that long; the error says why it never will be.
async fn wait_for_connection(line: &mut watch::Receiver<MirrorConnection>, pause: Duration) -> Result<(), String> {
    tokio::time::sleep(pause).await;
    let now = line.wait_for(|line| *line != MirrorConnection::Down).await;
    match now.as_deref() {
        Ok(MirrorConnection::Lost(why)) => Err(why.clone()),
        Ok(MirrorConnection::Up | MirrorConnection::Down) => Ok(()),
        Err(_) => Err("the session on the server has ended".to_owned()),
    }
}
