//! One prompt, one session, one response: what all one-shot surfaces have in common.
//!
//! A surface provides an [`OneShotRequest`] and an encoder; [`run`] opens the session, sends the prompt, and responds
//! with a stream or with the whole. [`replay`] responds again from the start of that turn, while it runs or from its
//! log, and skips the frames that the client has. An encoder gets the `SessionOpened` before its turn, and then the
//! events of the turn from `TurnStarted` to `TurnFinished`.
//!
//! Readers are counted. Once there have been none for [`ABANDONED_TURN_TIMEOUT`], the turn is cancelled, unless the
//! client asked to keep it running. Where the format has no way to come back, it is cancelled at once: such a client
//! asks again with the whole conversation, and its two turns must not run beside each other. An encoder may end its
//! stream where the client has to decide ([`Encode::is_paused`]); [`decide`] takes the decision, and [`replay`] sends the
//! rest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use super::request::{OneShotRequest, is_history_turn};
use super::running_session::{DecisionClaim, ReaderGuard, RunningSession, SessionKind};
use super::state::{ServerState, wait_until_idle};
use super::stream_body::{self, BodySource, MAX_WRITE_BYTES};
use super::turn_queue::TurnPlace;
use crate::bridge::HubItem;
use crate::bridge::hub::Subscription;
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::{
    AgentEvent, CallId, Command, Decision, Envelope, Json, Millis, Seq, SessionId, TurnId, check_images,
};

/// How long a turn without readers continues.
const ABANDONED_TURN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a turn may take to end, before the next one of its chat begins.
const SUPERSEDED_TURN_TIMEOUT: Duration = Duration::from_secs(1);
/// Events taken at once.
const MAX_BATCH_EVENTS: usize = 128;
/// Names the session of a response.
pub(super) const SESSION_HEADER: HeaderName = HeaderName::from_static("x-jarvis-session");
/// How many turns of the conversation were ahead of this one.
const QUEUED_HEADER: HeaderName = HeaderName::from_static("x-jarvis-queued");
/// `1` keeps the turn running without readers.
const KEEP_RUNNING_HEADER: &str = "x-jarvis-stay";

/// How the response is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Sse,
    Ndjson,
    /// Not streamed: sent as a whole at the end.
    Buffered,
}

/// Sends the prompt and responds. `encoder` gets the session's id, with which the client can come back.
pub(super) async fn run(
    state: &ServerState,
    request: OneShotRequest,
    framing: Framing,
    encoder: impl FnOnce(&SessionId) -> Box<dyn Encode>,
) -> Result<Response<Body>, ApiError> {
    run_in(state, None, request, framing, encoder).await
}

/// The same in a conversation, whose next turn waits for the end of this one.
pub(super) async fn run_in(
    state: &ServerState,
    place: Option<TurnPlace>,
    request: OneShotRequest,
    framing: Framing,
    encoder: impl FnOnce(&SessionId) -> Box<dyn Encode>,
) -> Result<Response<Body>, ApiError> {
    if let Some(prompt) = &request.prompt {
        state.check_prompt(prompt)?;
        check_images(&request.images).map_err(ApiError::too_large)?;
    }
    let (running, played) = state.open_one_shot(&request).await?;
    let reading = Some(running.add_reader());
    let subscription = running.handle.hub.subscribe(Seq(0));
    if !played {
        let context = request.images;
        let command = request.prompt.map_or(Command::Continue, |text| Command::Prompt { text, context, author: None });
        if running.handle.commands.try_send(command).is_err() {
            state.release(running.id());
            return Err(ApiError::internal("the session ended before its first prompt"));
        }
    }
    let (session, turn) = (running.id().clone(), answering_turn(&running));
    let max_abandoned = match (request.keep_running, request.ends_with_client) {
        (true, _) => None,
        (false, true) => Some(Duration::ZERO),
        (false, false) => Some(ABANDONED_TURN_TIMEOUT),
    };
    let ahead = place.as_ref().map_or(0, |place| place.ahead);
    if let Some(place) = place.as_ref().filter(|_| !request.keep_running) {
        place.set_running(&running);
    }
    state.spawn(supervise_turn(state.clone(), running, max_abandoned, place));
    let encoder = encoder(&session);
    let stop = state.shutdown().clone();
    let answer = TurnStream {
        events: subscription,
        turn,
        batch: Vec::new(),
        encoder,
        skip: 0,
        stage: StreamStage::NotStarted,
        reader_guard: reading,
        shutdown: stop,
    };
    let mut response = respond(answer, &session, framing).await;
    if ahead > 0 {
        response.headers_mut().insert(QUEUED_HEADER, ahead.into());
    }
    Ok(response)
}

/// Responds again with the turn of a session, without its first `skip` frames.
pub(super) async fn replay(
    state: &ServerState,
    session: &SessionId,
    framing: Framing,
    skip: usize,
    encoder: impl FnOnce(&SessionId) -> Box<dyn Encode>,
) -> Result<Response<Body>, ApiError> {
    let (subscription, turn, reading) = subscribe_to(state, session).await?;
    let encoder = encoder(session);
    let stop = state.shutdown().clone();
    let answer = TurnStream {
        events: subscription,
        turn,
        batch: Vec::new(),
        encoder,
        skip,
        stage: StreamStage::NotStarted,
        reader_guard: reading,
        shutdown: stop,
    };
    Ok(respond(answer, session, framing).await)
}

/// Cancels the turn of a one-shot session; returns false if it is already over.
pub(super) async fn cancel(state: &ServerState, session: &SessionId) -> Result<bool, ApiError> {
    match state.find_running(session) {
        Some(running) if matches!(running.kind, SessionKind::OneShot { .. }) => {
            let _ = running.handle.commands.send(Command::Cancel).await;
            Ok(true)
        }
        _ => state.read_saved(session).await.map(|_| false),
    }
}

/// Ends what still runs in a chat whose client asks anew, as one does that lost its answer.
pub(super) async fn supersede(state: &ServerState, session: &SessionId) {
    let Some(running) = state.find_running(session).filter(|running| !running.handle.capabilities.seek) else { return };
    // A second cancel does not wait for tools that are still stopping.
    for _ in 0..2 {
        let ended = running.handle.commands.send(Command::Cancel).await.is_err();
        let until = Instant::now() + SUPERSEDED_TURN_TIMEOUT;
        if ended || wait_until_idle(std::slice::from_ref(&running), until).await {
            return;
        }
    }
}

/// Decides an approval of a one-shot session, if it is open and nobody else did.
pub(super) async fn decide(state: &ServerState, session: &SessionId, call: CallId, decision: Decision) {
    let Some(running) = state.find_running(session) else { return };
    if running.claim_decision(&call, &decision) == DecisionClaim::First {
        // A session that is gone has denied it.
        let _ = running.handle.commands.send(Command::Decide { call, decision }).await;
    }
}

/// Returns whether a one-shot session works on its answer, and doesn't wait for its client.
pub(super) fn is_answering(state: &ServerState, session: &SessionId) -> bool {
    state.find_running(session).is_some_and(|running| running.snapshot().pending_approvals.is_empty())
}

/// Returns all events of a session so far, its history included.
pub(super) async fn session_events(state: &ServerState, session: &SessionId) -> Result<Vec<Envelope>, ApiError> {
    let (mut subscription, _, _) = subscribe_to(state, session).await?;
    let (mut all, mut got) = (Vec::new(), Vec::new());
    while subscription.try_next_batch(MAX_BATCH_EVENTS, &mut got) {
        all.extend(got.drain(..).filter_map(|delivery| match delivery {
            HubItem::Event(event) => Some(event.envelope.clone()),
            HubItem::Reset => None,
        }));
    }
    Ok(all)
}

/// Returns the JSON of the first frame of a streamed response, and drops the rest.
pub(super) async fn first_frame(response: Response<Body>) -> Option<Json> {
    let mut pieces = response.into_body().into_data_stream();
    let mut begin = Vec::new();
    while let Some(Ok(piece)) = pieces.next().await {
        begin.extend_from_slice(&piece);
        let text = String::from_utf8_lossy(&begin);
        if let Some((frame, _)) = text.split_once("\n\n") {
            return serde_json::from_str(frame.lines().find_map(|line| line.strip_prefix("data: "))?).ok();
        }
    }
    None
}

/// Returns whether a client wants its turn to continue without it.
pub(super) fn should_keep_running(headers: &HeaderMap) -> bool {
    headers.get(KEEP_RUNNING_HEADER).is_some_and(|value| value == "1" || value == "true")
}

async fn subscribe_to(
    state: &ServerState,
    session: &SessionId,
) -> Result<(Subscription, Option<TurnId>, Option<ReaderGuard>), ApiError> {
    if let Some(running) = state.find_running(session) {
        return Ok((running.handle.hub.subscribe(Seq(0)), answering_turn(&running), Some(running.add_reader())));
    }
    let live = state.read_saved(session).await?;
    Ok((live.hub.subscribe(Seq(0)), None, None))
}

fn answering_turn(session: &RunningSession) -> Option<TurnId> {
    match &session.kind {
        SessionKind::OneShot { turn } => turn.clone(),
        SessionKind::Shared => None,
    }
}

async fn respond(mut answer: TurnStream, session: &SessionId, framing: Framing) -> Response<Body> {
    let mut response = match framing {
        Framing::Buffered => {
            answer.run_to_end().await;
            let (status, body) = answer.encoder.full_response();
            let mut response = Response::new(Body::from(body.to_string()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Framing::Sse | Framing::Ndjson => {
            let mut response = Response::new(stream_body::body(TurnStreamSource::new(answer, framing)));
            let kind =
                if framing == Framing::Sse { "text/event-stream; charset=utf-8" } else { "application/x-ndjson" };
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            disable_buffering(response.headers_mut());
            response
        }
    };
    if let Ok(name) = HeaderValue::from_str(session.as_str()) {
        response.headers_mut().insert(SESSION_HEADER, name);
    }
    response
}

/// Tells caches and proxies to forward data as it comes.
pub(super) fn disable_buffering(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
}

/// One turn being sent to one client.
struct TurnStream {
    events: Subscription,
    /// `None` means the first one after the history.
    turn: Option<TurnId>,
    batch: Vec<HubItem>,
    encoder: Box<dyn Encode>,
    /// How many frames the client already has.
    skip: usize,
    stage: StreamStage,
    reader_guard: Option<ReaderGuard>,
    /// Cancelled when the server shuts down: frames are no longer paced.
    shutdown: CancellationToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamStage {
    NotStarted,
    /// The turn has not started.
    WaitingForTurn,
    InTurn,
    /// Everything was sent.
    Finished,
}

impl TurnStream {
    /// Waits for events; returns false if none follow. Cancel-safe.
    async fn wait_for_events(&mut self) -> bool {
        !self.batch.is_empty() || self.events.next_batch(MAX_BATCH_EVENTS, &mut self.batch).await
    }

    /// Encodes the pending events. Stops after an event whose frames are to be paced: returns how many frames come
    /// before those, and the pause.
    fn encode(&mut self, frames: &mut Vec<SseFrame>) -> Option<(usize, Millis)> {
        if self.stage == StreamStage::NotStarted {
            self.encoder.start(frames);
            self.stage = StreamStage::WaitingForTurn;
        }
        let mut got = std::mem::take(&mut self.batch).into_iter();
        while let Some(delivery) = got.next() {
            let HubItem::Event(event) = delivery else { continue };
            let before = frames.len();
            self.encode_event(&event.envelope, frames);
            if let Some(pause) = self.encoder.pacing_delay().filter(|_| self.stage == StreamStage::InTurn) {
                self.batch = got.collect();
                return Some((before, pause));
            }
        }
        None
    }

    /// Takes events that are already available, if there is room, and returns whether the answer continues.
    fn has_more_content(&mut self) -> bool {
        if self.batch.len() < MAX_BATCH_EVENTS {
            self.events.try_next_batch(MAX_BATCH_EVENTS, &mut self.batch);
        }
        let goes_on = |delivery: &HubItem| match delivery {
            HubItem::Event(event) => !matches!(
                event.envelope.event,
                AgentEvent::MessageFinished { .. }
                    | AgentEvent::UsageReported { .. }
                    | AgentEvent::Annotation { .. }
                    | AgentEvent::Notice { .. }
                    | AgentEvent::TurnFinished { .. }
            ),
            HubItem::Reset => true,
        };
        self.batch.iter().any(goes_on)
    }

    fn encode_event(&mut self, envelope: &Envelope, frames: &mut Vec<SseFrame>) {
        match (&envelope.event, self.stage) {
            (AgentEvent::SessionOpened { .. }, StreamStage::WaitingForTurn) => {
                self.encoder.encode_event(envelope, frames);
            }
            (AgentEvent::TurnStarted { turn, .. }, StreamStage::WaitingForTurn)
                if is_answering_turn(self.turn.as_ref(), turn) =>
            {
                self.stage = StreamStage::InTurn;
                self.encoder.encode_event(envelope, frames);
            }
            (AgentEvent::TurnFinished { .. }, StreamStage::InTurn) => {
                self.encoder.encode_event(envelope, frames);
                self.finish(frames);
            }
            (_, StreamStage::InTurn) => {
                self.encoder.encode_event(envelope, frames);
                if self.encoder.is_paused() {
                    self.finish(frames);
                }
            }
            (_, StreamStage::NotStarted | StreamStage::WaitingForTurn | StreamStage::Finished) => {}
        }
    }

    fn finish(&mut self, frames: &mut Vec<SseFrame>) {
        if self.stage != StreamStage::Finished {
            self.stage = StreamStage::Finished;
            self.encoder.finish(frames);
            self.reader_guard = None;
        }
    }

    async fn run_to_end(&mut self) {
        let mut frames = Vec::new();
        while self.stage != StreamStage::Finished {
            if self.wait_for_events().await {
                self.encode(&mut frames);
            } else {
                self.encode(&mut frames);
                self.finish(&mut frames);
            }
            frames.clear();
        }
    }
}

struct TurnStreamSource {
    stream: TurnStream,
    framing: Framing,
    /// Frames of an answer that came in one piece. Later events wait behind them.
    paced_frames: VecDeque<SseFrame>,
    /// When the next frame is sent, and the pause after it.
    next_frame_at: Instant,
    pause: Duration,
    /// No event follows, whether the turn is over or not.
    has_ended: bool,
}

impl BodySource for TurnStreamSource {
    async fn ready(&mut self) {
        if !self.paced_frames.is_empty() {
            return tokio::select! {
                biased;
                () = sleep_until(self.next_frame_at) => {}
                () = self.stream.shutdown.cancelled() => {}
            };
        }
        // What comes before the first event is sent at once.
        if self.stream.stage != StreamStage::NotStarted && !self.stream.wait_for_events().await {
            self.has_ended = true;
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        let mut frames = Vec::new();
        loop {
            if self.write_paced_frames(out) {
                return true;
            }
            let paused = self.stream.encode(&mut frames);
            if self.has_ended && paused.is_none() {
                self.stream.finish(&mut frames);
            }
            let at_once = paused.map_or(frames.len(), |(before, _)| before);
            for (n, frame) in frames.drain(..).enumerate() {
                if self.stream.skip > 0 {
                    self.stream.skip -= 1;
                } else if n >= at_once {
                    self.paced_frames.push_back(frame);
                } else {
                    write_frame(&frame, self.framing, out);
                }
            }
            if let Some((_, pause)) = paused {
                (self.next_frame_at, self.pause) = (Instant::now(), pause.into());
                continue;
            }
            if self.stream.stage == StreamStage::Finished {
                return false;
            }
            if out.len() >= MAX_WRITE_BYTES
                || !self.stream.events.try_next_batch(MAX_BATCH_EVENTS, &mut self.stream.batch)
            {
                return true;
            }
        }
    }

    fn write_keep_alive(&self, out: &mut Vec<u8>) {
        match (self.stream.encoder.keep_alive(), self.framing) {
            (KeepAlive::Frame(frame), Framing::Ndjson) => frame.write_ndjson(out),
            (KeepAlive::Frame(frame), _) => frame.write_sse(out),
            (KeepAlive::Comment, Framing::Ndjson) => out.push(b'\n'),
            (KeepAlive::Comment, _) => out.extend_from_slice(b": keep-alive\n"),
        }
    }
}

impl TurnStreamSource {
    fn new(answer: TurnStream, framing: Framing) -> Self {
        Self {
            stream: answer,
            framing,
            paced_frames: VecDeque::new(),
            next_frame_at: Instant::now(),
            pause: Duration::ZERO,
            has_ended: false,
        }
    }

    /// Writes the frames that are due; returns true while some are left. Once more than the end of the answer is
    /// available, nothing is held back.
    fn write_paced_frames(&mut self, out: &mut Vec<u8>) -> bool {
        if self.paced_frames.is_empty() {
            return false;
        }
        let (now, hurry) = (Instant::now(), self.stream.has_more_content() || self.stream.shutdown.is_cancelled());
        while let Some(word) = self.paced_frames.pop_front_if(|_| hurry || self.next_frame_at <= now) {
            write_frame(&word, self.framing, out);
            self.next_frame_at += self.pause;
        }
        !self.paced_frames.is_empty()
    }
}

fn write_frame(frame: &SseFrame, framing: Framing, out: &mut Vec<u8>) {
    if framing == Framing::Ndjson {
        frame.write_ndjson(out);
    } else {
        frame.write_sse(out);
    }
}

fn is_answering_turn(wanted: Option<&TurnId>, turn: &TurnId) -> bool {
    wanted.map_or_else(|| !is_history_turn(turn), |wanted| wanted == turn)
}

/// Follows a turn to its end, cancels it when it has had no readers for this time, and then releases its session.
/// Without a time it is never cancelled.
async fn supervise_turn(
    state: ServerState,
    session: Arc<RunningSession>,
    max_abandoned: Option<Duration>,
    place: Option<TurnPlace>,
) {
    let mut readers = session.readers();
    let mut subscription = session.handle.hub.subscribe(Seq(0));
    let turn = answering_turn(&session);
    let mut left = max_abandoned.is_none();
    let max_abandoned = max_abandoned.unwrap_or(ABANDONED_TURN_TIMEOUT);
    let ended = async {
        let mut begun = false;
        while let Some(delivery) = subscription.next().await {
            let HubItem::Event(event) = delivery else { continue };
            match &event.envelope.event {
                AgentEvent::TurnStarted { turn: this, .. } => begun |= is_answering_turn(turn.as_ref(), this),
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
            () = state.force_stop().cancelled() => break,
            () = wait_until_abandoned(&session, &mut readers, max_abandoned), if !left => {
                left = true;
                if session.handle.capabilities.seek || session.handle.commands.send(Command::Cancel).await.is_err() {
                    break;
                }
            }
        }
    }
    state.release(session.id());
    drop(place);
}

/// Waits until there have been no readers for this time. A client that was asked something is not gone.
async fn wait_until_abandoned(session: &RunningSession, readers: &mut watch::Receiver<usize>, time: Duration) {
    loop {
        if readers.wait_for(|count| *count == 0).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(time) => {
                if session.snapshot().pending_approvals.is_empty() {
                    return;
                }
            }
            _ = readers.wait_for(|count| *count > 0) => {}
        }
    }
}

#[cfg(test)]
mod tests;
