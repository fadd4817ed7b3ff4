//! One question, one session, one answer: what every one-shot surface has in common.
//!
//! A surface makes an [`Ask`] and an encoder; [`run`] opens the session, asks, and answers with a stream or with the
//! whole. [`again`] answers once more from the start of that turn, while it runs or from its log, and drops the frames
//! that the client has. An encoder is told the `SessionOpened` before its turn, and then the facts of the turn from
//! `TurnStarted` to `TurnFinished`.
//!
//! Whoever reads is counted. When nobody has for [`LEFT`], the turn is cancelled, unless it was asked to stay.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::ask::{Ask, is_told};
use super::flow::{self, Source, WRITE};
use super::refuse::Refused;
use super::room::{Kind, Reading, Room};
use super::state::State;
use crate::bridge::Delivery;
use crate::bridge::hub::Subscription;
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::{AgentEvent, Command, Envelope, Millis, Seq, SessionId, TurnId};

/// How long a turn goes on that nobody reads.
const LEFT: Duration = Duration::from_secs(30);
/// Facts taken at once.
const BATCH: usize = 512;
/// Names the session that a request is answered from.
pub(super) const SESSION: HeaderName = HeaderName::from_static("x-jarvis-session");
/// `1` lets the turn go on when nobody reads it any more.
const STAY: &str = "x-jarvis-stay";

/// How the answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Sse,
    Ndjson,
    /// Not streamed: all of it at the end.
    Whole,
}

/// Asks and answers. `encoder` is given the session's name, which the client can come back with.
pub(super) async fn run(
    state: &State,
    ask: Ask,
    framing: Framing,
    encoder: impl FnOnce(&SessionId) -> Box<dyn Encode>,
) -> Result<Response<Body>, Refused> {
    if let Some(prompt) = &ask.prompt {
        state.check_message(prompt)?;
    }
    let (room, played) = state.ask(&ask).await?;
    let reading = Some(room.read());
    let facts = room.live.hub.subscribe(Seq(0));
    if !played {
        let wish = ask.prompt.map_or(Command::GoOn, |text| Command::Prompt { text });
        if room.live.commands.try_send(wish).is_err() {
            state.leave(room.id());
            return Err(Refused::broken("the session ended before it was asked anything"));
        }
    }
    let (session, turn) = (room.id().clone(), turn_of(&room));
    state.spawn(attend(state.clone(), room, ask.stays));
    let encoder = encoder(&session);
    let stop = state.stop().clone();
    let answer = Answer { facts, turn, got: Vec::new(), encoder, skip: 0, stage: Stage::New, reading, stop };
    Ok(respond(answer, &session, framing).await)
}

/// Answers once more with the turn of a session, without its first `skip` frames.
pub(super) async fn again(
    state: &State,
    session: &SessionId,
    framing: Framing,
    skip: usize,
    encoder: impl FnOnce(&SessionId) -> Box<dyn Encode>,
) -> Result<Response<Body>, Refused> {
    let (facts, turn, reading) = facts_of(state, session).await?;
    let encoder = encoder(session);
    let stop = state.stop().clone();
    let answer = Answer { facts, turn, got: Vec::new(), encoder, skip, stage: Stage::New, reading, stop };
    Ok(respond(answer, session, framing).await)
}

/// Cancels the turn of a session of one question; false where it is over already.
pub(super) async fn cancel(state: &State, session: &SessionId) -> Result<bool, Refused> {
    match state.running(session) {
        Some(room) if matches!(room.kind, Kind::One { .. }) => {
            let _ = room.live.commands.send(Command::Cancel).await;
            Ok(true)
        }
        _ => state.saved(session).await.map(|_| false),
    }
}

/// Returns all that was said in a session so far, its past included.
pub(super) async fn told(state: &State, session: &SessionId) -> Result<Vec<Envelope>, Refused> {
    let (mut facts, _, _) = facts_of(state, session).await?;
    let (mut all, mut got) = (Vec::new(), Vec::new());
    while facts.try_batch(BATCH, &mut got) {
        all.extend(got.drain(..).filter_map(|delivery| match delivery {
            Delivery::Fact(fact) => Some(fact.envelope.clone()),
            Delivery::Reset => None,
        }));
    }
    Ok(all)
}

/// Returns whether a client asks for its turn to go on without it.
pub(super) fn stays(headers: &HeaderMap) -> bool {
    headers.get(STAY).is_some_and(|value| value == "1" || value == "true")
}

async fn facts_of(
    state: &State,
    session: &SessionId,
) -> Result<(Subscription, Option<TurnId>, Option<Reading>), Refused> {
    if let Some(room) = state.running(session) {
        return Ok((room.live.hub.subscribe(Seq(0)), turn_of(&room), Some(room.read())));
    }
    let live = state.saved(session).await?;
    Ok((live.hub.subscribe(Seq(0)), None, None))
}

fn turn_of(room: &Room) -> Option<TurnId> {
    match &room.kind {
        Kind::One { turn } => turn.clone(),
        Kind::Shared => None,
    }
}

async fn respond(mut answer: Answer, session: &SessionId, framing: Framing) -> Response<Body> {
    let mut response = match framing {
        Framing::Whole => {
            answer.finish_all().await;
            let (status, body) = answer.encoder.answer();
            let mut response = Response::new(Body::from(body.to_string()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Framing::Sse | Framing::Ndjson => {
            let mut response = Response::new(flow::body(Streamed::new(answer, framing)));
            let kind =
                if framing == Framing::Sse { "text/event-stream; charset=utf-8" } else { "application/x-ndjson" };
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            unbuffered(response.headers_mut());
            response
        }
    };
    if let Ok(name) = HeaderValue::from_str(session.as_str()) {
        response.headers_mut().insert(SESSION, name);
    }
    response
}

/// Tells caches and proxies to pass on what comes as it comes.
pub(super) fn unbuffered(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
}

/// One turn on its way to one client.
struct Answer {
    facts: Subscription,
    /// None is the first that was not told as past.
    turn: Option<TurnId>,
    got: Vec<Delivery>,
    encoder: Box<dyn Encode>,
    /// Frames that the client has.
    skip: usize,
    stage: Stage,
    reading: Option<Reading>,
    /// The server goes down: nothing is held back any more.
    stop: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    /// The turn has not begun.
    Before,
    In,
    /// All was told.
    Over,
}

impl Answer {
    /// Waits for facts; false when none follow. Cancel-safe.
    async fn wait(&mut self) -> bool {
        !self.got.is_empty() || self.facts.batch(BATCH, &mut self.got).await
    }

    /// Lets the encoder say what the facts at hand are worth. Stops after a fact whose frames want pauses between
    /// them: returns how many frames come before those, and the pause.
    fn encode(&mut self, frames: &mut Vec<SseFrame>) -> Option<(usize, Millis)> {
        if self.stage == Stage::New {
            self.encoder.start(frames);
            self.stage = Stage::Before;
        }
        let mut got = std::mem::take(&mut self.got).into_iter();
        while let Some(delivery) = got.next() {
            let Delivery::Fact(fact) = delivery else { continue };
            let before = frames.len();
            self.fact(&fact.envelope, frames);
            if let Some(pause) = self.encoder.pause().filter(|_| self.stage == Stage::In) {
                self.got = got.collect();
                return Some((before, pause));
            }
        }
        None
    }

    /// Takes facts that are there already, if there is room for them, and returns whether the answer goes on.
    fn goes_on(&mut self) -> bool {
        if self.got.len() < BATCH {
            self.facts.try_batch(BATCH, &mut self.got);
        }
        let goes_on = |delivery: &Delivery| match delivery {
            Delivery::Fact(fact) => !matches!(
                fact.envelope.event,
                AgentEvent::MessageFinished { .. }
                    | AgentEvent::UsageReported { .. }
                    | AgentEvent::Annotated { .. }
                    | AgentEvent::Noticed { .. }
                    | AgentEvent::TurnFinished { .. }
            ),
            Delivery::Reset => true,
        };
        self.got.iter().any(goes_on)
    }

    fn fact(&mut self, told: &Envelope, frames: &mut Vec<SseFrame>) {
        match (&told.event, self.stage) {
            (AgentEvent::SessionOpened { .. }, Stage::Before) => self.encoder.fact(told, frames),
            (AgentEvent::TurnStarted { turn, .. }, Stage::Before) if is_it(self.turn.as_ref(), turn) => {
                self.stage = Stage::In;
                self.encoder.fact(told, frames);
            }
            (AgentEvent::TurnFinished { .. }, Stage::In) => {
                self.encoder.fact(told, frames);
                self.finish(frames);
            }
            (_, Stage::In) => self.encoder.fact(told, frames),
            (_, Stage::New | Stage::Before | Stage::Over) => {}
        }
    }

    fn finish(&mut self, frames: &mut Vec<SseFrame>) {
        if self.stage != Stage::Over {
            self.stage = Stage::Over;
            self.encoder.finish(frames);
            self.reading = None;
        }
    }

    async fn finish_all(&mut self) {
        let mut frames = Vec::new();
        while self.stage != Stage::Over {
            if self.wait().await {
                self.encode(&mut frames);
            } else {
                self.encode(&mut frames);
                self.finish(&mut frames);
            }
            frames.clear();
        }
    }
}

struct Streamed {
    answer: Answer,
    framing: Framing,
    /// Words of an answer that came in one piece. Facts that come after them wait.
    words: VecDeque<SseFrame>,
    /// When the next word is told, and how long after it the one after that.
    due: Instant,
    pause: Duration,
    /// No fact follows, whether the turn is over or not.
    ended: bool,
}

impl Source for Streamed {
    async fn ready(&mut self) {
        if !self.words.is_empty() {
            return tokio::select! {
                biased;
                () = sleep_until(self.due) => {}
                () = self.answer.stop.cancelled() => {}
            };
        }
        // What comes before the first fact goes out at once.
        if self.answer.stage != Stage::New && !self.answer.wait().await {
            self.ended = true;
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        let mut frames = Vec::new();
        loop {
            if self.tell_words(out) {
                return true;
            }
            let paused = self.answer.encode(&mut frames);
            if self.ended && paused.is_none() {
                self.answer.finish(&mut frames);
            }
            let at_once = paused.map_or(frames.len(), |(before, _)| before);
            for (n, frame) in frames.drain(..).enumerate() {
                if self.answer.skip > 0 {
                    self.answer.skip -= 1;
                } else if n >= at_once {
                    self.words.push_back(frame);
                } else {
                    put(&frame, self.framing, out);
                }
            }
            if let Some((_, pause)) = paused {
                (self.due, self.pause) = (Instant::now(), pause.into());
                continue;
            }
            if self.answer.stage == Stage::Over {
                return false;
            }
            if out.len() >= WRITE || !self.answer.facts.try_batch(BATCH, &mut self.answer.got) {
                return true;
            }
        }
    }

    fn sign_of_life(&self, out: &mut Vec<u8>) {
        match (self.answer.encoder.keep_alive(), self.framing) {
            (KeepAlive::Frame(frame), Framing::Ndjson) => frame.write_line(out),
            (KeepAlive::Frame(frame), _) => frame.write(out),
            (KeepAlive::Comment, Framing::Ndjson) => out.push(b'\n'),
            (KeepAlive::Comment, _) => out.extend_from_slice(b": keep-alive\n"),
        }
    }
}

impl Streamed {
    fn new(answer: Answer, framing: Framing) -> Self {
        Self { answer, framing, words: VecDeque::new(), due: Instant::now(), pause: Duration::ZERO, ended: false }
    }

    /// Tells the words that are due; true while some are left. Once there is more than the end of the answer, nothing
    /// is held back.
    fn tell_words(&mut self, out: &mut Vec<u8>) -> bool {
        if self.words.is_empty() {
            return false;
        }
        let (now, hurry) = (Instant::now(), self.answer.goes_on() || self.answer.stop.is_cancelled());
        while let Some(word) = self.words.pop_front_if(|_| hurry || self.due <= now) {
            put(&word, self.framing, out);
            self.due += self.pause;
        }
        !self.words.is_empty()
    }
}

fn put(frame: &SseFrame, framing: Framing, out: &mut Vec<u8>) {
    if framing == Framing::Ndjson {
        frame.write_line(out);
    } else {
        frame.write(out);
    }
}

fn is_it(wanted: Option<&TurnId>, turn: &TurnId) -> bool {
    wanted.map_or_else(|| !is_told(turn), |wanted| wanted == turn)
}

/// Sees a turn to its end, cancels it when nobody reads it any more, and then lets its session go.
async fn attend(state: State, room: Arc<Room>, stays: bool) {
    let mut readers = room.readers();
    let mut facts = room.live.hub.subscribe(Seq(0));
    let turn = turn_of(&room);
    let mut left = stays;
    let ended = async {
        let mut begun = false;
        while let Some(delivery) = facts.next().await {
            let Delivery::Fact(fact) = delivery else { continue };
            match &fact.envelope.event {
                AgentEvent::TurnStarted { turn: this, .. } => begun |= is_it(turn.as_ref(), this),
                AgentEvent::TurnFinished { .. } if begun => return,
                _ => {}
            }
        }
    };
    let mut ended = std::pin::pin!(ended);
    loop {
        tokio::select! {
            biased;
            () = &mut ended => break,
            () = state.gone().cancelled() => break,
            () = nobody(&mut readers), if !left => {
                left = true;
                if room.live.caps.seek || room.live.commands.send(Command::Cancel).await.is_err() {
                    break;
                }
            }
        }
    }
    state.leave(room.id());
}

/// Waits until nobody has read for a while.
async fn nobody(readers: &mut watch::Receiver<usize>) {
    loop {
        if readers.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(LEFT) => return,
            _ = readers.wait_for(|count| *count > 0) => {}
        }
    }
}

#[cfg(test)]
mod tests;
