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

mod post;
mod saving;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::post::{Line, Post, Told};
use super::hub::Hub;
use super::session::{RETRY, Trouble};
use super::{Live, Published};
use crate::dialect::SseFrame;
use crate::event::{Caps, Envelope, Fault, FaultKind, LinkState, Millis, Queued, Seq, SessionId, Weather};
use crate::journal::Writer;
use crate::net::call::{Framing, HttpCall, Method, Value};
use crate::net::sse::Frames;
use crate::net::status::Failure;
use crate::net::{Http, backoff};

/// Silence that is worth telling; keep-alives come more often.
const SILENT: Duration = Duration::from_secs(20);
/// A server that doesn't say when the past was told is taken to have told it after so long a pause.
const CAUGHT_UP: Duration = Duration::from_millis(500);
/// Tries in a row that bring nothing.
const RETRIES: u32 = 8;

/// What a mirror is made of.
pub struct Mirror {
    pub http: Http,
    /// The session's address, such as `http://host/v1/sessions/ID`.
    pub address: String,
    pub headers: Vec<(String, Value)>,
    /// Our name for it.
    pub session: SessionId,
    pub hub: Hub,
    /// None where no log is kept.
    pub writer: Option<Writer>,
    /// Told when the log can't be written, when it can again, and when it was removed.
    pub trouble: Option<Trouble>,
    /// Facts up to here are not asked for.
    pub after: Seq,
    /// Nothing is sent, and what is shown offers nothing.
    pub read_only: bool,
    /// Gives up after so long without a byte; zero waits for ever.
    pub idle: Duration,
    /// Told once the past was; dropped where that can't be had.
    pub known: Option<oneshot::Sender<()>>,
}

/// Starts mirroring; the task ends when every [`Live`] is gone or the other session ends.
pub fn start(mirror: Mirror, tasks: &mut JoinSet<()>) -> Live {
    // Capacity 64: a person's wishes.
    let (commands, wishes) = mpsc::channel(64);
    let (weather, watch) =
        watch::channel(Weather { link: LinkState::Connecting, watch_only: mirror.read_only, ..Weather::default() });
    // Capacity 16: what became of wishes; only the last counts.
    let (tell, told) = mpsc::channel(16);
    let (line, is_up) = watch::channel(Line::Down);
    let post = Post::new(
        mirror.http.clone(),
        format!("{}/commands", mirror.address),
        mirror.headers.clone(),
        mirror.read_only,
        tell,
    );
    // Beside the stream, which must not wait for an answer.
    tasks.spawn(post.run(wishes, is_up));
    let caps = Caps { prompt: !mirror.read_only, decide: !mirror.read_only, cancel: !mirror.read_only, seek: false };
    let live = Live { session: mirror.session.clone(), caps, hub: mirror.hub.clone(), commands, weather: watch };
    let follower = Follower {
        last: mirror.after,
        clock: (Millis(0), Instant::now()),
        caught_up: false,
        weather,
        theirs: Weather::default(),
        ours: Vec::new(),
        trouble: None,
        rewritten: 0,
        line,
        mirror,
    };
    tasks.spawn(follower.run(told));
    live
}

struct Follower {
    mirror: Mirror,
    last: Seq,
    /// The session's time at an instant of ours.
    clock: (Millis, Instant),
    caught_up: bool,
    weather: watch::Sender<Weather>,
    /// What the other said of its own.
    theirs: Weather,
    /// Prompts that wait here for the line.
    ours: Vec<Queued>,
    line: watch::Sender<Line>,
    /// Why the log is not whole.
    trouble: Option<String>,
    /// How often the log was written anew, as far as that was told.
    rewritten: u32,
}

/// Why a connection ended.
enum Ended {
    /// Worth another try, the sooner when it brought something.
    Cut {
        failure: Failure,
        moved: bool,
    },
    /// The other session is over.
    Over,
    Nobody,
}

impl Follower {
    async fn run(mut self, mut complaints: mpsc::Receiver<Told>) {
        let mut failed = 0;
        loop {
            self.say(LinkState::Connecting);
            let failure = match self.follow(&mut complaints).await {
                Ended::Over => break,
                Ended::Nobody => return self.close(),
                Ended::Cut { failure, moved } => {
                    if moved {
                        failed = 0;
                    }
                    failure
                }
            };
            failed += 1;
            let noise = self.clock.1.elapsed().subsec_nanos();
            let pause = (failure.retry && failed <= RETRIES)
                .then(|| backoff::watching(failed, failure.fault.retry_after, u64::from(noise)));
            let Some(pause) = pause else {
                self.say(LinkState::Lost(Some(failure.fault)));
                self.mirror.known = None;
                self.mirror.hub.close();
                // A person may still read what is there.
                while let Some(told) = complaints.recv().await {
                    self.hear(told);
                }
                return self.close();
            };
            let at = self.now().plus(pause.into());
            self.say(LinkState::Retrying { attempt: failed, at });
            let until = Instant::now() + pause;
            while let Ok(complaint) = tokio::time::timeout_at(until, complaints.recv()).await {
                match complaint {
                    Some(told) => self.hear(told),
                    None => return self.close(),
                }
            }
        }
        self.say(LinkState::Idle);
        self.close();
    }

    async fn follow(&mut self, complaints: &mut mpsc::Receiver<Told>) -> Ended {
        let call = HttpCall {
            method: Method::Get,
            url: format!("{}/events?from={}", self.mirror.address, self.last.next().0),
            headers: self.mirror.headers.clone(),
            body: None,
            framing: Framing::Sse,
        };
        let http = self.mirror.http.clone();
        let mut opening = Box::pin(async move { http.open(&call).await });
        let answer = loop {
            tokio::select! {
                biased;
                complaint = complaints.recv() => match complaint {
                    Some(told) => self.hear(told),
                    None => return Ended::Nobody,
                },
                answer = &mut opening => break answer,
            }
        };
        let answer = match answer {
            Ok(answer) if answer.status == 204 => return Ended::Over,
            Ok(answer) => answer,
            // It was there a moment ago.
            Err(failure) if self.caught_up && failure.fault.kind == FaultKind::Network => {
                return Ended::Cut { failure: Failure { retry: true, ..failure }, moved: false };
            }
            Err(failure) => return Ended::Cut { failure, moved: false },
        };
        let mut body = answer.body;
        let mut frames = Frames::of(Framing::Sse, &answer.content_type);
        let mut batch = Vec::new();
        let mut moved = false;
        let mut heard = Instant::now();
        loop {
            let patience = if self.caught_up { SILENT } else { CAUGHT_UP };
            let next = tokio::select! {
                biased;
                complaint = complaints.recv() => match complaint {
                    Some(told) => {
                        // The line itself is well.
                        self.hear(told);
                        continue;
                    }
                    None => return Ended::Nobody,
                },
                next = body.next() => next,
                () = tokio::time::sleep(RETRY), if self.is_unsaved() => {
                    self.retry();
                    continue;
                }
                () = tokio::time::sleep_until(heard + patience), if !self.is_silent() => {
                    if self.caught_up {
                        let since = self.now().since(heard.elapsed().into());
                        let limit = (!self.mirror.idle.is_zero()).then(|| self.mirror.idle.into());
                        self.say(LinkState::Silent { since: Millis(since.0), limit });
                    } else {
                        self.past_told();
                    }
                    continue;
                }
                () = tokio::time::sleep_until(heard + self.mirror.idle), if !self.mirror.idle.is_zero() => {
                    let text = format!("{} fell silent", self.mirror.address);
                    return Ended::Cut { failure: Failure::passing(FaultKind::TimedOut, text), moved };
                }
            };
            heard = Instant::now();
            let failure = match next {
                Some(Ok(bytes)) => match frames.push(&bytes, &mut batch) {
                    Ok(()) => None,
                    Err(broken) => Some(broken.fault(&self.mirror.address).into()),
                },
                Some(Err(failure)) => Some(Failure { retry: true, ..failure }),
                None => {
                    let text = format!("{} closed the stream", self.mirror.address);
                    Some(Failure::passing(FaultKind::Network, text))
                }
            };
            let (told, broken) = self.take(&mut batch);
            moved |= told;
            if let Some(fault) = broken {
                return Ended::Cut { failure: Failure { retry: true, ..fault.into() }, moved };
            }
            if let Some(failure) = failure {
                return Ended::Cut { failure, moved };
            }
        }
    }

    /// Logs and publishes what is new. Returns whether something was, and what is wrong with the stream.
    fn take(&mut self, batch: &mut Vec<SseFrame>) -> (bool, Option<Fault>) {
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
                    self.theirs = serde_json::from_str(&frame.data).unwrap_or_default();
                    continue;
                }
                "reset" => {
                    self.publish(&mut facts);
                    self.forget();
                    continue;
                }
                "ping" => continue,
                _ => {}
            }
            let Ok(envelope) = serde_json::from_str::<Envelope>(&frame.data) else {
                let text = format!("{} sent something that is no event of a session", self.mirror.address);
                broken = Some(Fault::new(FaultKind::Protocol, text));
                break;
            };
            if envelope.seq <= self.last {
                continue;
            }
            if envelope.seq != self.last.next() {
                let text = format!("{} left out event {}", self.mirror.address, self.last.next().0);
                broken = Some(Fault::new(FaultKind::Protocol, text));
                break;
            }
            let line = Bytes::from(frame.data);
            self.last = envelope.seq;
            self.clock = (envelope.at, Instant::now());
            facts.push(Arc::new(Published { envelope, line }));
        }
        let told = self.publish(&mut facts);
        if past_told {
            self.past_told();
        } else if self.caught_up {
            self.say(LinkState::Live);
        }
        (told, broken)
    }

    fn publish(&mut self, facts: &mut Vec<Arc<Published>>) -> bool {
        let told = !facts.is_empty();
        if told {
            self.log(facts);
            self.mirror.hub.publish(std::mem::take(facts));
        }
        told
    }

    /// What follows has the numbers of what was here, so the log ends as it is.
    fn forget(&mut self) {
        self.last = Seq(0);
        self.clock = (Millis(0), Instant::now());
        if let Some(mut writer) = self.mirror.writer.take() {
            let _ = writer.sync();
            self.say_saved(Some("the session was begun anew elsewhere".to_owned()));
        }
        self.mirror.hub.renounce();
    }

    fn past_told(&mut self) {
        self.caught_up = true;
        self.say(LinkState::Live);
        if let Some(known) = self.mirror.known.take() {
            let _ = known.send(());
        }
    }

    fn is_silent(&self) -> bool {
        matches!(self.weather.borrow().link, LinkState::Silent { .. })
    }

    fn now(&self) -> Millis {
        self.clock.0.plus(self.clock.1.elapsed().into())
    }

    /// Says what became of a wish, or what waits here.
    fn hear(&mut self, told: Told) {
        match told {
            Told::Waiting(waiting) => {
                self.ours = waiting;
                self.say_queue();
            }
            Told::Undelivered(mut undelivered) => self.weather.send_modify(|weather| {
                let before = weather.undelivered.as_ref().map_or(0, |before| before.count);
                undelivered.count = before.saturating_add(1);
                weather.undelivered = Some(undelivered);
            }),
        }
    }

    fn queue(&self) -> Vec<Queued> {
        self.theirs.queue.iter().filter(|queued| !queued.is_here()).chain(&self.ours).cloned().collect()
    }

    fn say_queue(&self) {
        let queue = self.queue();
        self.weather.send_modify(|weather| weather.queue = queue);
    }

    /// Says how the line to the other is; while that is well, how the other's own is.
    fn say(&self, link: LinkState) {
        match &link {
            LinkState::Live | LinkState::Silent { .. } | LinkState::Unproductive { .. } => self.set_line(&Line::Up),
            LinkState::Lost(fault) => {
                self.set_line(&Line::Lost(fault.as_ref().map_or_else(String::new, |fault| fault.message.clone())));
            }
            LinkState::Idle
            | LinkState::Connecting
            | LinkState::Waiting { .. }
            | LinkState::Loading { .. }
            | LinkState::Retrying { .. } => self.set_line(&Line::Down),
        }
        let link = match (link, &self.theirs.link) {
            (LinkState::Live, LinkState::Idle) => LinkState::Live,
            (LinkState::Live, theirs) => theirs.clone(),
            (ours, _) => ours,
        };
        let (queue, held) = (self.queue(), self.theirs.held);
        let replay = self.theirs.replay;
        let now = replay.map_or_else(|| self.now(), |replay| replay.position);
        let not_saved = self.trouble.clone().or_else(|| self.theirs.not_saved.clone());
        self.weather.send_if_modified(|weather| {
            let permissions = self.theirs.permissions.clone();
            let next = Weather { link, queue, held, not_saved, replay, permissions, now, ..weather.clone() };
            let changed = Weather { now, ..weather.clone() } != next;
            *weather = next;
            changed
        });
    }

    fn set_line(&self, line: &Line) {
        self.line.send_if_modified(|now| std::mem::replace(now, line.clone()) != *line);
    }

    /// The log is looked after once more: it may have been removed while nothing happened.
    fn close(mut self) {
        if self.last > self.mirror.after {
            self.retry();
        }
        self.mirror.hub.close();
    }
}
