//! One call from its first try to its last event.
//!
//! Tries are repeated only before the first byte of an answer: later, the model has begun to speak. Two watchdogs run:
//! any byte calms the first, only something usable the second. However it goes, the last thing told is exactly one
//! `End`. Dropping the future drops the connection.

mod finish;
mod side_channel;

use std::time::Duration;

use futures_util::future::Either;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::side_channel::{BesideEvent, SideChannelReader};
use super::batch_reader::{BatchReader, ReadBatch};
use super::failure::RequestFailure;
use super::http::{HttpClient, HttpResponse};
use super::redact::Redactor;
use super::request::{HttpRequest, SideChannel};
use super::retry::RetryCounter;
use super::sse::FrameSplitter;
use super::sse_lines::FramingError;
use super::timeouts::RequestPolicy;
use super::watchdog::{RequestEvent, WaitOutcome, Watchdog};
use crate::dialect::error::to_single_line;
use crate::dialect::{Decode, SseFrame};
use crate::event::{Annotation, Fault, FaultKind, ReplyEvent, ReplyTarget};

/// How long extras are waited for once the answer is complete.
const TRAILING_DATA_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes the call and tells what comes of it, in the end exactly one `End`. Ends early if nobody listens.
pub async fn perform(
    http: &HttpClient,
    call: &HttpRequest,
    decode: Box<dyn Decode>,
    patience: &RequestPolicy,
    out: &mpsc::Sender<RequestEvent>,
) {
    perform_with_side_channel(http, call, None, decode, patience, &|_| None, out).await;
}

/// The same with what tells of the answer besides its stream, and with somebody who can make another request of a refusal:
/// where `replan` says with which words, they are returned and no `End` is told.
pub async fn perform_with_side_channel(
    http: &HttpClient,
    call: &HttpRequest,
    beside: Option<Box<dyn SideChannel>>,
    decode: Box<dyn Decode>,
    patience: &RequestPolicy,
    replan: Replan<'_>,
    out: &mpsc::Sender<RequestEvent>,
) -> Option<String> {
    let mut line = RequestDriver::new(call, decode, patience, out);
    if let Some(beside) = beside {
        let opening = SideChannelReader::open(http, beside, &mut line.events);
        tokio::select! {
            biased;
            () = out.closed() => return None,
            aside = opening => line.side_channel = Some(aside),
        }
        if !line.send_events().await {
            return None;
        }
    }
    run(HttpDial { client: http, request: call }, line, replan).await
}

/// Takes what a server said of a request that it refused for its form.
pub type Replan<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// Opens an answer. The tests have one of their own.
trait Dial {
    fn dial(&mut self) -> impl Future<Output = Result<HttpResponse, RequestFailure>> + Send;
}

struct HttpDial<'a> {
    client: &'a HttpClient,
    request: &'a HttpRequest,
}

impl Dial for HttpDial<'_> {
    async fn dial(&mut self) -> Result<HttpResponse, RequestFailure> {
        self.client.open_stream(self.request).await
    }
}

async fn run(mut dial: impl Dial, mut line: RequestDriver<'_>, replan: Replan<'_>) -> Option<String> {
    let (patience, out) = (line.watchdog.policy, line.watchdog.out);
    let mut retries = RetryCounter::new(&line.request.url, patience.epoch);
    let mut loading = None;
    loop {
        match loading {
            None => line.watchdog.start_attempt().await,
            Some(_) => line.watchdog.restart_timers(),
        }
        let failure = match line.watchdog.wait(dial.dial(), patience.first_byte_timeout).await {
            WaitOutcome::Ready(Ok(answer)) => match line.read_response(answer).await {
                Some(failure) => failure,
                None => return None,
            },
            WaitOutcome::Ready(Err(failure)) => failure,
            WaitOutcome::TimedOut(fault) => fault.into(),
            WaitOutcome::ReceiverDropped => return None,
        };
        if let Some(words) = failure.refusal.as_deref().and_then(replan) {
            return Some(words);
        }
        if failure.is_loading {
            let is_first = loading.is_none();
            let since = *loading.get_or_insert_with(Instant::now);
            match line.wait_for_model(failure, since, is_first).await {
                Some(fault) => {
                    line.fail(fault).await;
                    return None;
                }
                None if out.is_closed() => return None,
                None => continue,
            }
        }
        loading = None;
        let Some(pause) = retries.next_request_delay(&failure, patience) else {
            line.fail(failure.fault).await;
            return None;
        };
        line.announce_retry(&failure.fault, retries.failed(), pause).await;
        if !line.watchdog.pause(pause).await {
            return None;
        }
    }
}

struct RequestDriver<'a> {
    request: &'a HttpRequest,
    redactor: Redactor,
    watchdog: Watchdog<'a>,
    decode: Box<dyn Decode>,
    side_channel: Option<SideChannelReader<'a>>,
    has_first_token: bool,
    frames: Vec<SseFrame>,
    events: Vec<ReplyEvent>,
}

impl<'a> RequestDriver<'a> {
    fn new(
        call: &'a HttpRequest,
        decode: Box<dyn Decode>,
        patience: &'a RequestPolicy,
        out: &'a mpsc::Sender<RequestEvent>,
    ) -> Self {
        Self {
            request: call,
            redactor: Redactor::for_request(call),
            watchdog: Watchdog::new(call, patience, out),
            decode,
            side_channel: None,
            has_first_token: false,
            frames: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Hears an answer out. Returns a failure if it broke before its first byte.
    async fn read_response(&mut self, answer: HttpResponse) -> Option<RequestFailure> {
        let mut aside = self.side_channel.take();
        let failure = self.read_body(answer, &mut aside).await;
        self.side_channel = aside;
        failure
    }

    async fn read_body(
        &mut self,
        answer: HttpResponse,
        aside: &mut Option<SideChannelReader<'_>>,
    ) -> Option<RequestFailure> {
        let HttpResponse { head, mut body, .. } = answer;
        if head.content_type() == "text/html" {
            self.fail(FramingError::WebPage.fault(&self.watchdog.origin)).await;
            return None;
        }
        self.decode.begin_response(&head);
        let mut frames = FrameSplitter::for_content_type(self.request.framing, head.content_type());
        let mut heard_any = false;
        let mut gather = BatchReader::new();
        self.note_arrival().await;
        loop {
            let heard = async {
                tokio::select! {
                    biased;
                    told = side_channel::next_event(aside) => Either::Left(told),
                    next = gather.next_chunk(&mut body) => Either::Right(next),
                }
            };
            let next = match self.watchdog.wait(heard, self.silence_timeout()).await {
                WaitOutcome::Ready(Either::Right(next)) => next,
                WaitOutcome::Ready(Either::Left(BesideEvent::Refused(fault))) => {
                    self.close(Some(fault), aside).await;
                    return None;
                }
                WaitOutcome::Ready(Either::Left(told)) => {
                    self.handle_side_channel(told, aside.as_mut());
                    if !self.events.is_empty() {
                        self.note_arrival().await;
                    }
                    if self.send_events().await {
                        continue;
                    }
                    return None;
                }
                WaitOutcome::TimedOut(fault) => {
                    let fault = Some(fault).filter(|_| !self.decode.is_complete());
                    self.close(fault, aside).await;
                    return None;
                }
                WaitOutcome::ReceiverDropped => return None,
            };
            let ReadBatch { bytes_read: taken, framing_error: broken, end } =
                gather.read_batch(next, &mut body, &mut frames, &mut self.frames).await;
            self.watchdog.timers.has_begun |= taken > 0;
            heard_any |= !self.frames.is_empty();
            for frame in &mut self.frames {
                self.redactor.redact(&mut frame.data);
                if let Some(aside) = aside {
                    aside.take_frame(frame);
                }
            }
            let whole =
                frames.is_single_json().then(|| self.frames.first().map(|frame| to_single_line(&frame.data))).flatten();
            self.decode_frames();
            if taken > 0 {
                self.note_arrival().await;
            }
            if !self.send_events().await {
                return None;
            }
            gather.note_delivered(taken, self.has_first_token);
            if let Some(broken) = broken {
                self.close(Some(broken.fault(&self.watchdog.origin)), aside).await;
                return None;
            }
            if self.decode.is_done() {
                // The end of the body is often there too; with it read, the connection can be used again.
                if end.is_none() {
                    let _ = body.next().now_or_never();
                }
                self.close(None, aside).await;
                return None;
            }
            if let Some(end) = end {
                let unheard = (!heard_any).then(|| frames.strays().to_owned());
                return self.finish_body(end, unheard, whole, aside).await;
            }
        }
    }

    /// How long nothing may come now.
    fn silence_timeout(&self) -> Duration {
        if self.decode.is_complete() {
            TRAILING_DATA_TIMEOUT
        } else if self.watchdog.timers.has_begun {
            self.watchdog.policy.idle_timeout
        } else {
            self.watchdog.policy.first_byte_timeout
        }
    }

    /// Takes what came beside the answer.
    fn handle_side_channel(&mut self, told: BesideEvent, aside: Option<&mut SideChannelReader<'_>>) {
        let Some(aside) = aside else { return };
        match told {
            BesideEvent::Frame(frame) => aside.decode_feed(&frame, &mut *self.decode, &mut self.events),
            BesideEvent::FeedLost(fault) | BesideEvent::Refused(fault) => {
                aside.report_failure(&fault.message, &mut self.events);
            }
        }
        if !self.events.is_empty() {
            self.note_first_token();
        }
    }

    /// Ends an answer whose body is over, well or not. A failure before its first byte is returned. `unheard` is what came
    /// of a body without a single frame.
    async fn finish_body(
        &mut self,
        end: Result<(), RequestFailure>,
        unheard: Option<String>,
        whole: Option<String>,
        aside: &mut Option<SideChannelReader<'_>>,
    ) -> Option<RequestFailure> {
        let place = &self.watchdog.origin;
        match (end, unheard, whole) {
            (Err(failure), ..) if !self.watchdog.timers.has_begun => return Some(failure),
            (Err(failure), ..) => self.close_broken(failure.fault, aside).await,
            (Ok(()), Some(strays), _) if !strays.is_empty() => {
                let mut head = to_single_line(&strays);
                self.redactor.redact_truncated(&mut head);
                let text = format!("{place} did not return a stream: {head}; check the URL");
                self.fail(Fault::new(FaultKind::Protocol, text)).await;
            }
            (Ok(()), Some(_), _) => {
                let text = format!(
                    "{place} sent an empty response, as some servers do when the conversation is too long for the model; retry, start a new session, or check the server's log"
                );
                self.fail(Fault::new(FaultKind::Protocol, text)).await;
            }
            (Ok(()), None, Some(whole)) if !self.has_first_token && !self.decode.is_complete() => {
                let head: String = whole.chars().take(80).collect();
                let text = format!("{place} returned JSON that is not a response: {head}; check the URL");
                self.close(Some(Fault::new(FaultKind::Protocol, text)), aside).await;
            }
            (Ok(()), None, _) => self.close_ended(aside).await,
        }
        None
    }

    /// Bytes came, or the answer's head.
    async fn note_arrival(&mut self) {
        self.watchdog.note_arrival(self.events.iter().any(is_usable)).await;
    }

    fn decode_frames(&mut self) {
        for frame in self.frames.drain(..) {
            let count = self.events.len();
            self.decode.decode_frame(&frame, &mut self.events);
            // A burst is one event and not one a token, which it would be from here to the session.
            if let (before, [next, ..]) = self.events.split_at_mut(count)
                && before.last_mut().is_some_and(|last| last.try_merge(next))
            {
                self.events.remove(count);
            }
        }
        self.note_first_token();
    }

    fn note_first_token(&mut self) {
        if self.has_first_token {
            return;
        }
        let first = self.events.iter().enumerate().find_map(|(at, event)| match event {
            ReplyEvent::TextDelta { message, .. }
            | ReplyEvent::ReasoningDelta { message, .. }
            | ReplyEvent::ToolCallStarted { message, .. } => Some((at, message.clone())),
            _ => None,
        });
        if let Some((at, message)) = first {
            self.has_first_token = true;
            let annotation = Annotation::FirstToken { ms: self.watchdog.timers.sent_at.elapsed().into() };
            let note = ReplyEvent::Annotation { on: ReplyTarget::Message(message), annotation };
            self.events.insert(at, note);
        }
    }

    /// Returns false if nobody listens any more.
    async fn send_events(&mut self) -> bool {
        self.watchdog.send_events(&mut self.events).await
    }
}

fn is_usable(event: &ReplyEvent) -> bool {
    matches!(
        event,
        ReplyEvent::MessageStarted { .. }
            | ReplyEvent::TextDelta { .. }
            | ReplyEvent::ReasoningDelta { .. }
            | ReplyEvent::MessageFinished { .. }
            | ReplyEvent::ToolCallStarted { .. }
            | ReplyEvent::ToolArgsDelta { .. }
            | ReplyEvent::ToolCallReady { .. }
            | ReplyEvent::ToolOutput { .. }
            | ReplyEvent::ToolCallFinished { .. }
    )
}

#[cfg(test)]
mod tests;
