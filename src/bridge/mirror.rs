//! A session of another `jarvis-tui` as if it were here: its numbered facts come over the network and go to the log
//! and the hub as they are, wishes go back.
//!
//! Nothing is numbered, merged or sealed here: number and time of a fact are the other's. So resuming is asking for
//! the number after the last; what was told already is dropped, and a hole is never published.
//!
//! `GET {session}/events?from=N` answers with server-sent events whose data is an envelope. Beside those come one named
//! `caught-up` when the past was told, `weather` when the other's queue or line changes, and `reset` when what is here
//! must be forgotten. `POST {session}/commands` takes a wish.

#[cfg(test)]
mod tests;

mod command_sender;
mod saving;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::command_sender::{CommandReport, CommandSender, MirrorConnection};
use super::hub::Hub;
use super::session::{SAVE_RETRY_INTERVAL, SaveListener};
use super::{LoggedEvent, SessionHandle};
use crate::dialect::SseFrame;
use crate::event::{
    Capabilities, Envelope, Fault, FaultKind, LinkState, Millis, QueuedPrompt, Seq, SessionId, SessionStatus,
};
use crate::journal::Writer;
use crate::net::HttpClient;
use crate::net::failure::RequestFailure;
use crate::net::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};
use crate::net::retry::RetryCounter;
use crate::net::sse::FrameSplitter;
use crate::net::timeouts::{KEEP_ALIVE_SILENCE_THRESHOLD, SilenceTimer, finite_timeout};

/// A server that doesn't say when the past was told is taken to have told it after so long a pause.
const CAUGHT_UP_TIMEOUT: Duration = Duration::from_millis(500);
/// Tries in a row that bring nothing.
const MAX_FRUITLESS_RETRIES: u32 = 8;

/// What a mirror is made of.
pub struct Mirror {
    pub http: HttpClient,
    /// The session's address, such as `http://host/v1/sessions/ID`.
    pub address: String,
    pub headers: Vec<(String, HttpHeaderValue)>,
    /// Our name for it.
    pub session: SessionId,
    pub hub: Hub,
    /// None where no log is kept.
    pub writer: Option<Writer>,
    /// Told when the log can't be written, when it can again, and when it was removed.
    pub trouble: Option<SaveListener>,
    /// Facts up to here are not asked for.
    pub after: Seq,
    /// Nothing is sent, and what is shown offers nothing.
    pub read_only: bool,
    /// Gives up after so long without a byte; zero waits for ever.
    pub idle_timeout: Duration,
    /// Told once the past was; dropped where that can't be had.
    pub on_caught_up: Option<oneshot::Sender<()>>,
}

/// Starts mirroring; the task ends when every [`SessionHandle`] is gone or the other session ends.
pub fn start(mirror: Mirror, tasks: &mut JoinSet<()>) -> SessionHandle {
    // Capacity 64: a person's wishes.
    let (commands, wishes) = mpsc::channel(64);
    let (weather, watch) = watch::channel(SessionStatus {
        link: LinkState::Connecting,
        read_only: mirror.read_only,
        ..SessionStatus::default()
    });
    // Capacity 16: what became of wishes; only the last counts.
    let (tell, told) = mpsc::channel(16);
    let (line, is_up) = watch::channel(MirrorConnection::Down);
    let post = CommandSender::new(
        mirror.http.clone(),
        format!("{}/commands", mirror.address),
        mirror.headers.clone(),
        mirror.read_only,
        tell,
    );
    // Beside the stream, which must not wait for an answer.
    tasks.spawn(post.run(wishes, is_up));
    let caps = Capabilities {
        prompt: !mirror.read_only,
        decide: !mirror.read_only,
        cancel: !mirror.read_only,
        ..Capabilities::default()
    };
    let live = SessionHandle {
        session: mirror.session.clone(),
        capabilities: caps,
        hub: mirror.hub.clone(),
        commands,
        status: watch,
    };
    let follower = MirrorFollower {
        last: mirror.after,
        clock: (Millis(0), Instant::now()),
        caught_up: false,
        status: weather,
        remote_status: SessionStatus::default(),
        local_queue: Vec::new(),
        save_error: None,
        rewritten: 0,
        connection: line,
        mirror,
    };
    tasks.spawn(follower.run(told));
    live
}

struct MirrorFollower {
    mirror: Mirror,
    last: Seq,
    /// The session's time at an instant of ours.
    clock: (Millis, Instant),
    caught_up: bool,
    status: watch::Sender<SessionStatus>,
    /// What the other said of its own.
    remote_status: SessionStatus,
    /// Prompts that wait here for the line.
    local_queue: Vec<QueuedPrompt>,
    connection: watch::Sender<MirrorConnection>,
    /// Why the log is not whole.
    save_error: Option<String>,
    /// How often the log was written anew, as far as that was told.
    rewritten: u32,
}

/// Why a connection ended.
enum StreamEnd {
    /// Worth another try, the sooner when it brought something.
    Interrupted {
        failure: RequestFailure,
        made_progress: bool,
    },
    /// The other session is over.
    SessionEnded,
    NoClients,
}

impl MirrorFollower {
    async fn run(mut self, mut complaints: mpsc::Receiver<CommandReport>) {
        let mut retries = RetryCounter::new(&self.mirror.address, Instant::now());
        loop {
            self.set_link(LinkState::Connecting);
            let failure = match self.follow(&mut complaints).await {
                StreamEnd::SessionEnded => break,
                StreamEnd::NoClients => return self.close(),
                StreamEnd::Interrupted { failure, made_progress: moved } => {
                    if moved {
                        retries.reset();
                    }
                    failure
                }
            };
            let Some(pause) = retries.next_watch_delay(&failure, None, MAX_FRUITLESS_RETRIES) else {
                self.set_link(LinkState::Lost(Some(failure.fault)));
                self.mirror.on_caught_up = None;
                self.mirror.hub.close();
                // A person may still read what is there.
                while let Some(told) = complaints.recv().await {
                    self.handle_report(told);
                }
                return self.close();
            };
            let at = self.now().plus(pause.into());
            self.set_link(LinkState::Retrying { attempt: retries.failed(), at });
            let until = Instant::now() + pause;
            while let Ok(complaint) = tokio::time::timeout_at(until, complaints.recv()).await {
                match complaint {
                    Some(CommandReport::RetryNow) => break,
                    Some(told) => self.handle_report(told),
                    None => return self.close(),
                }
            }
        }
        self.set_link(LinkState::Idle);
        self.close();
    }

    async fn follow(&mut self, complaints: &mut mpsc::Receiver<CommandReport>) -> StreamEnd {
        let call = HttpRequest {
            method: HttpMethod::Get,
            url: format!("{}/events?from={}", self.mirror.address, self.last.next().0),
            headers: self.mirror.headers.clone(),
            body: None,
            framing: Framing::Sse,
        };
        let http = self.mirror.http.clone();
        let mut opening = Box::pin(async move { http.open_stream(&call).await });
        let answer = loop {
            tokio::select! {
                biased;
                complaint = complaints.recv() => match complaint {
                    Some(told) => self.handle_report(told),
                    None => return StreamEnd::NoClients,
                },
                answer = &mut opening => break answer,
            }
        };
        let answer = match answer {
            Ok(answer) if answer.head.status() == Some(204) => return StreamEnd::SessionEnded,
            Ok(answer) => answer,
            // It was there a moment ago.
            Err(failure) if self.caught_up && failure.fault.kind == FaultKind::Network => {
                return StreamEnd::Interrupted {
                    failure: RequestFailure { is_retryable: true, ..failure },
                    made_progress: false,
                };
            }
            Err(failure) => return StreamEnd::Interrupted { failure, made_progress: false },
        };
        let mut body = answer.body;
        let mut frames = FrameSplitter::for_content_type(Framing::Sse, answer.head.content_type());
        let mut batch = Vec::new();
        let mut moved = false;
        let mut silence = SilenceTimer::new(Instant::now());
        loop {
            let wake = self.next_wake(&silence);
            let next = tokio::select! {
                biased;
                complaint = complaints.recv() => match complaint {
                    Some(told) => {
                        // The line itself is well.
                        self.handle_report(told);
                        continue;
                    }
                    None => return StreamEnd::NoClients,
                },
                next = body.next() => next,
                () = tokio::time::sleep(SAVE_RETRY_INTERVAL), if self.is_unsaved() => {
                    self.retry();
                    continue;
                }
                () = tokio::time::sleep_until(wake) => match self.check_silence(&silence) {
                    Some(failure) => return StreamEnd::Interrupted { failure, made_progress: moved },
                    None => continue,
                },
            };
            silence.note_arrival(Instant::now());
            let failure = match next {
                Some(Ok(bytes)) => match frames.push(&bytes, &mut batch) {
                    Ok(()) => None,
                    Err(broken) => Some(broken.fault(&self.mirror.address).into()),
                },
                Some(Err(failure)) => Some(RequestFailure { is_retryable: true, ..failure }),
                None => {
                    let text = format!("{} closed the stream", self.mirror.address);
                    Some(RequestFailure::transient(FaultKind::Network, text))
                }
            };
            let (told, broken) = self.handle_frames(&mut batch);
            moved |= told;
            if let Some(fault) = broken {
                return StreamEnd::Interrupted {
                    failure: RequestFailure { is_retryable: true, ..fault.into() },
                    made_progress: moved,
                };
            }
            if let Some(failure) = failure {
                return StreamEnd::Interrupted { failure, made_progress: moved };
            }
        }
    }

    /// Logs and publishes what is new. Returns whether something was, and what is wrong with the stream.
    fn handle_frames(&mut self, batch: &mut Vec<SseFrame>) -> (bool, Option<Fault>) {
        let mut facts = Vec::new();
        let mut broken = None;
        let mut past_told = false;
        for frame in batch.drain(..) {
            match frame.event.as_str() {
                "caught-up" => {
                    past_told = true;
                    continue;
                }
                "weather" => {
                    self.remote_status = serde_json::from_str(&frame.data).unwrap_or_default();
                    continue;
                }
                "reset" => {
                    self.publish(&mut facts);
                    self.reset();
                    continue;
                }
                "ping" => continue,
                _ => {}
            }
            let Ok(envelope) = serde_json::from_str::<Envelope>(&frame.data) else {
                let text = format!("{} sent data that is not a session event", self.mirror.address);
                broken = Some(Fault::new(FaultKind::Protocol, text));
                break;
            };
            if envelope.seq <= self.last {
                continue;
            }
            if envelope.seq != self.last.next() {
                let text = format!("{} skipped event {}", self.mirror.address, self.last.next().0);
                broken = Some(Fault::new(FaultKind::Protocol, text));
                break;
            }
            let line = Bytes::from(frame.data);
            self.last = envelope.seq;
            self.clock = (envelope.at, Instant::now());
            facts.push(Arc::new(LoggedEvent { envelope, line }));
        }
        let told = self.publish(&mut facts);
        if past_told {
            self.mark_caught_up();
        } else if self.caught_up {
            self.set_link(LinkState::Live);
        }
        (told, broken)
    }

    fn publish(&mut self, facts: &mut Vec<Arc<LoggedEvent>>) -> bool {
        let told = !facts.is_empty();
        if told {
            self.log(facts);
            self.mirror.hub.publish(std::mem::take(facts));
        }
        told
    }

    /// What follows has the numbers of what was here, so the log ends as it is.
    fn reset(&mut self) {
        self.last = Seq(0);
        self.clock = (Millis(0), Instant::now());
        if let Some(mut writer) = self.mirror.writer.take() {
            let _ = writer.sync();
            self.say_saved(Some("the session was restarted on the server".to_owned()));
        }
        self.mirror.hub.detach_log();
    }

    fn mark_caught_up(&mut self) {
        self.caught_up = true;
        self.set_link(LinkState::Live);
        if let Some(known) = self.mirror.on_caught_up.take() {
            let _ = known.send(());
        }
    }

    /// Says when the silence is to be looked at again.
    fn next_wake(&self, silence: &SilenceTimer) -> Instant {
        let threshold = if self.caught_up { KEEP_ALIVE_SILENCE_THRESHOLD } else { CAUGHT_UP_TIMEOUT };
        silence.next_wake(Instant::now(), &[threshold], self.mirror.idle_timeout)
    }

    /// Says what the silence means by now; it is a failure once it has lasted too long.
    fn check_silence(&mut self, silence: &SilenceTimer) -> Option<RequestFailure> {
        let (now, limit) = (Instant::now(), self.mirror.idle_timeout);
        if silence.is_timed_out(now, limit) {
            let text = format!("{} stopped sending data", self.mirror.address);
            return Some(RequestFailure::transient(FaultKind::TimedOut, text));
        }
        if !self.caught_up && silence.silent_since(now, CAUGHT_UP_TIMEOUT).is_some() {
            self.mark_caught_up();
        }
        if let Some(since) = silence.silent_since(now, KEEP_ALIVE_SILENCE_THRESHOLD) {
            let since = self.now().since(now.duration_since(since).into());
            self.set_link(LinkState::Silent { since, limit: finite_timeout(limit).map(Into::into) });
        }
        None
    }

    fn now(&self) -> Millis {
        self.clock.0.plus(self.clock.1.elapsed().into())
    }

    /// Says what became of a wish, or what waits here.
    fn handle_report(&mut self, told: CommandReport) {
        match told {
            CommandReport::Waiting(waiting) => {
                self.local_queue = waiting;
                self.publish_queue();
            }
            CommandReport::Undelivered(mut undelivered) => self.status.send_modify(|weather| {
                let before = weather.undelivered.as_ref().map_or(0, |before| before.count);
                undelivered.count = before.saturating_add(1);
                weather.undelivered = Some(undelivered);
            }),
            // Nothing waits.
            CommandReport::RetryNow => {}
        }
    }

    fn queue(&self) -> Vec<QueuedPrompt> {
        self.remote_status.queue.iter().filter(|queued| !queued.is_local()).chain(&self.local_queue).cloned().collect()
    }

    fn publish_queue(&self) {
        let queue = self.queue();
        self.status.send_modify(|weather| weather.queue = queue);
    }

    /// Says how the line to the other is; while that is well, how the other's own is.
    fn set_link(&self, link: LinkState) {
        match &link {
            LinkState::Live | LinkState::Silent { .. } | LinkState::Unproductive { .. } => {
                self.set_connection(&MirrorConnection::Up);
            }
            LinkState::Lost(fault) => {
                self.set_connection(&MirrorConnection::Lost(
                    fault.as_ref().map_or_else(String::new, |fault| fault.message.clone()),
                ));
            }
            LinkState::Idle
            | LinkState::Connecting
            | LinkState::Waiting { .. }
            | LinkState::Loading { .. }
            | LinkState::Retrying { .. } => self.set_connection(&MirrorConnection::Down),
        }
        let link = match (link, &self.remote_status.link) {
            (LinkState::Live, LinkState::Idle) => LinkState::Live,
            (LinkState::Live, theirs) => theirs.clone(),
            (ours, _) => ours,
        };
        let (queue, held) = (self.queue(), self.remote_status.queue_held);
        let replay = self.remote_status.replay;
        let now = replay.map_or_else(|| self.now(), |replay| replay.position);
        let not_saved = self.save_error.clone().or_else(|| self.remote_status.save_error.clone());
        self.status.send_if_modified(|weather| {
            let permissions = self.remote_status.permissions.clone();
            let options = self.remote_status.options.clone();
            let next = SessionStatus {
                link,
                queue,
                queue_held: held,
                steering: self.remote_status.steering.clone(),
                save_error: not_saved,
                replay,
                permissions,
                options,
                now,
                ..weather.clone()
            };
            let changed = SessionStatus { now, ..weather.clone() } != next;
            *weather = next;
            changed
        });
    }

    fn set_connection(&self, line: &MirrorConnection) {
        self.connection.send_if_modified(|now| std::mem::replace(now, line.clone()) != *line);
    }

    /// The log is looked after once more: it may have been removed while nothing happened.
    fn close(mut self) {
        if self.last > self.mirror.after {
            self.retry();
        }
        self.mirror.hub.close();
    }
}
