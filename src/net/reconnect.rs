//! A stream that is only watched: opened, decoded, and opened again when it breaks.
//!
//! Nothing is asked for by such a request, so it may be made as often as need be: with the last id where the stream has
//! ids, dropping what was told before, saying whether it was resumed or something is missing. It ends when the server
//! closes it after a complete answer, when the server says that there is no more (204), when a refusal won't pass, or
//! when it breaks again and again. However it goes, the last thing told is one `End`; so is each answer that
//! is followed by another, be it on the same connection or after a break.

mod frame_dedup;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use self::frame_dedup::{FrameDedup, FrameVerdict, Resumption};
use super::batch_reader::{BatchReader, ReadBatch};
use super::durable_stream;
use super::failure::RequestFailure;
use super::http::{HttpClient, HttpResponse};
use super::redact::Redactor;
use super::request::{Framing, HttpHeaderValue, HttpRequest};
use super::retry::RetryCounter;
use super::sse::FrameSplitter;
use super::sse_lines::FramingError;
use super::timeouts::RequestPolicy;
use super::watchdog::{RequestEvent, WaitOutcome, Watchdog};
use crate::dialect::error::to_single_line;
use crate::dialect::{Decode, ResponseHead, SseFrame};
use crate::event::{Fault, FaultKind, LinkState, Millis, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome};
use crate::text::human;

/// A connection that held for so long counts as a good one, whatever came of it.
const STABLE_CONNECTION_DURATION: Duration = Duration::from_secs(10);
/// How often a stream is opened again that its server closed in order and that has nothing to go on by.
const MAX_RETRIES_AFTER_CLOSE: u32 = 2;
/// A durable stream whose server closes it sooner is opened again after a pause.
const MIN_CONTINUED_DURATION: Duration = Duration::from_secs(1);
/// Longest pause a server can ask for.
const MAX_SERVER_RETRY_DELAY: Millis = Millis(60_000);

/// Makes a decoder for an answer.
pub type DecoderFactory<'a> = &'a (dyn Fn() -> Box<dyn Decode> + Send + Sync);

/// Watches a stream until it ends for good.
pub async fn watch_stream(
    http: &HttpClient,
    call: &HttpRequest,
    decoders: DecoderFactory<'_>,
    patience: &RequestPolicy,
    out: &mpsc::Sender<RequestEvent>,
) {
    run(ResumingDial { client: http, request: call }, call, decoders, patience, out).await;
}

/// Opens the stream, after the frame with this id. The tests have one of their own.
trait Dial {
    fn dial(&mut self, after: Option<&str>) -> impl Future<Output = Result<HttpResponse, RequestFailure>> + Send;
}

struct ResumingDial<'a> {
    client: &'a HttpClient,
    request: &'a HttpRequest,
}

impl Dial for ResumingDial<'_> {
    async fn dial(&mut self, after: Option<&str>) -> Result<HttpResponse, RequestFailure> {
        let mut call = self.request.clone();
        if let Some(url) = after.and_then(|id| durable_stream::resumed_url(&call.url, id)) {
            call.url = url;
        } else if let Some(id) = after {
            call.headers.push(("last-event-id".to_owned(), HttpHeaderValue::Plain(id.to_owned())));
        }
        self.client.open_stream(&call).await
    }
}

async fn run(
    mut dial: impl Dial,
    call: &HttpRequest,
    decoders: DecoderFactory<'_>,
    patience: &RequestPolicy,
    out: &mpsc::Sender<RequestEvent>,
) {
    let mut watcher = StreamWatcher::new(call, decoders, patience, out);
    let mut retries = RetryCounter::new(&call.url, patience.epoch);
    let mut was_live = false;
    loop {
        watcher.watchdog.start_attempt().await;
        watcher.was_closed_in_order = false;
        let after = watcher.dedup.last_event_id().map(str::to_owned);
        let opened = Instant::now();
        let failure = match watcher.watchdog.wait(dial.dial(after.as_deref()), patience.first_byte_timeout).await {
            WaitOutcome::Ready(Ok(answer)) => {
                if was_live {
                    watcher.dedup.note_reconnect();
                }
                was_live = true;
                match watcher.read_response(answer, call.framing).await {
                    ConnectionEnd::Complete => return watcher.close(None).await,
                    ConnectionEnd::Unreadable(fault) => return watcher.close(Some(fault)).await,
                    ConnectionEnd::ReceiverDropped => return,
                    // Its server closes it now and then, and it goes on at once.
                    ConnectionEnd::Continued if opened.elapsed() >= MIN_CONTINUED_DURATION => {
                        retries.reset();
                        watcher.is_continued = true;
                        continue;
                    }
                    ConnectionEnd::Continued => RequestFailure::transient(
                        FaultKind::Network,
                        format!("{} closed the stream", watcher.watchdog.origin),
                    ),
                    ConnectionEnd::Dropped { failure, made_progress: moved } => {
                        if moved || opened.elapsed() >= STABLE_CONNECTION_DURATION {
                            retries.reset();
                        }
                        failure
                    }
                }
            }
            // The server may be on its way up again.
            WaitOutcome::Ready(Err(failure)) if was_live && failure.fault.kind == FaultKind::Network => {
                RequestFailure { is_retryable: true, ..failure }
            }
            WaitOutcome::Ready(Err(failure)) => failure,
            WaitOutcome::TimedOut(fault) => RequestFailure { is_retryable: true, ..fault.into() },
            WaitOutcome::ReceiverDropped => return,
        };
        let asked = watcher.server_retry_delay.map(|wait| wait.min(MAX_SERVER_RETRY_DELAY));
        let most = if watcher.was_closed_in_order {
            patience.max_retries.min(MAX_RETRIES_AFTER_CLOSE)
        } else {
            patience.max_retries
        };
        let Some(pause) = retries.next_watch_delay(&failure, asked, most) else {
            return watcher.give_up(failure.fault).await;
        };
        if !watcher.announce_retry(&failure.fault, retries.failed(), pause).await
            || !watcher.watchdog.pause(pause).await
        {
            return;
        }
    }
}

/// How a connection ended.
enum ConnectionEnd {
    Complete,
    /// A durable stream that was not closed for good.
    Continued,
    /// It can't be understood; the same would come again.
    Unreadable(Fault),
    /// Worth another try. `made_progress` says whether it brought the stream on.
    Dropped {
        failure: RequestFailure,
        made_progress: bool,
    },
    ReceiverDropped,
}

struct StreamWatcher<'a> {
    watchdog: Watchdog<'a>,
    redactor: Redactor,
    new_decoder: DecoderFactory<'a>,
    decode: Box<dyn Decode>,
    dedup: FrameDedup,
    server_retry_delay: Option<Millis>,
    /// The server closed the stream in order, and gave neither ids nor a time to come back.
    was_closed_in_order: bool,
    /// Something of the answer was decoded.
    has_decoded_any: bool,
    /// A durable stream goes on: nothing broke.
    is_continued: bool,
    /// Answers that were told to their end.
    finished_responses: u64,
    events: Vec<ReplyEvent>,
}

impl<'a> StreamWatcher<'a> {
    fn new(
        call: &'a HttpRequest,
        decoders: DecoderFactory<'a>,
        patience: &'a RequestPolicy,
        out: &'a mpsc::Sender<RequestEvent>,
    ) -> Self {
        Self {
            watchdog: Watchdog::new(call, patience, out),
            redactor: Redactor::for_request(call),
            new_decoder: decoders,
            decode: decoders(),
            dedup: FrameDedup::default(),
            server_retry_delay: None,
            was_closed_in_order: false,
            has_decoded_any: false,
            is_continued: false,
            finished_responses: 0,
            events: Vec::new(),
        }
    }

    async fn read_response(&mut self, answer: HttpResponse, framing: Framing) -> ConnectionEnd {
        let HttpResponse { head, mut body, .. } = answer;
        if head.status() == Some(204) {
            // After a whole answer that is how it should be.
            if self.has_decoded_any && !self.decode.is_complete() {
                let text = format!("{} reports the end of the stream (204)", self.watchdog.origin);
                self.push_notice(NoticeLevel::Info, NoticeCode::NoMore, text);
            }
            return ConnectionEnd::Complete;
        }
        if head.content_type() == "text/html" {
            return ConnectionEnd::Unreadable(FramingError::WebPage.fault(&self.watchdog.origin));
        }
        self.decode.begin_response(&head);
        let mut frames = FrameSplitter::for_content_type(framing, head.content_type());
        if let Some(id) = self.dedup.last_event_id() {
            frames.resume_at(id);
        }
        let mut batch = Vec::new();
        let mut gather = BatchReader::new();
        let mut moved = false;
        self.watchdog.note_arrival(false).await;
        loop {
            let next = match self.watchdog.wait(gather.next_chunk(&mut body), self.watchdog.policy.idle_timeout).await {
                WaitOutcome::Ready(next) => next,
                WaitOutcome::TimedOut(_) if self.is_between_responses() => return ConnectionEnd::Complete,
                WaitOutcome::TimedOut(fault) => {
                    return ConnectionEnd::Dropped {
                        failure: RequestFailure { is_retryable: true, ..fault.into() },
                        made_progress: moved,
                    };
                }
                WaitOutcome::ReceiverDropped => return ConnectionEnd::ReceiverDropped,
            };
            let ReadBatch { bytes_read: taken, framing_error: broken, end } =
                gather.read_batch(next, &mut body, &mut frames, &mut batch).await;
            self.watchdog.timers.has_begun |= taken > 0;
            let closed = matches!(end, Some(Ok(())));
            let whole = (closed && frames.is_single_json()).then(|| batch.first().map(preview)).flatten();
            let failure = end.map(|end| match end {
                Err(failure) => RequestFailure { is_retryable: true, ..failure },
                Ok(()) => {
                    RequestFailure::transient(FaultKind::Network, format!("{} closed the stream", self.watchdog.origin))
                }
            });
            self.server_retry_delay = frames.retry_millis().map(Millis).or(self.server_retry_delay);
            let before = self.events.len();
            for mut frame in batch.drain(..) {
                self.redactor.redact(&mut frame.data);
                moved |= self.handle_frame(&frame, &head);
            }
            self.was_closed_in_order = closed && self.server_retry_delay.is_none() && !self.dedup.has_ids();
            self.watchdog.note_arrival(self.events.len() > before).await;
            if !self.send_events().await {
                return ConnectionEnd::ReceiverDropped;
            }
            gather.note_delivered(taken, true);
            if let Some(broken) = broken {
                return ConnectionEnd::Unreadable(broken.fault(&self.watchdog.origin));
            }
            match frames.durable_stream() {
                Some(stream) if stream.is_closed() => return ConnectionEnd::Complete,
                Some(_) if closed => return ConnectionEnd::Continued,
                _ => {}
            }
            match failure {
                // What has ids may have more to tell.
                Some(_) if self.is_between_responses() && (closed || !self.dedup.has_ids()) => {
                    return ConnectionEnd::Complete;
                }
                Some(_) if let Some(head) = whole => {
                    let text =
                        format!("{} returned JSON that is not a stream: {head}; check the URL", self.watchdog.origin);
                    return ConnectionEnd::Unreadable(Fault::new(FaultKind::Protocol, text));
                }
                Some(failure) => return ConnectionEnd::Dropped { failure, made_progress: moved },
                None => {}
            }
        }
    }

    /// Decodes a frame unless it was told before. Returns whether it brought the stream on: a server that begins anew
    /// each time does not.
    fn handle_frame(&mut self, frame: &SseFrame, head: &ResponseHead) -> bool {
        if self.decode.is_done() && !self.decode.begins_next(frame) {
            return false;
        }
        if self.decode.is_done() {
            // Another answer follows.
            self.decode = (self.new_decoder)();
            self.decode.begin_response(head);
            self.has_decoded_any = false;
        }
        match self.dedup.classify(frame) {
            FrameVerdict::Repeated => return false,
            FrameVerdict::New(joint) => {
                match joint {
                    Some(Resumption::Resumed) if std::mem::take(&mut self.is_continued) => {}
                    Some(Resumption::Resumed) => {
                        self.push_notice(
                            NoticeLevel::Info,
                            NoticeCode::Resumed,
                            "the stream continues where it was cut".into(),
                        );
                    }
                    Some(Resumption::Gap(missing)) => self.report_gap(missing),
                    None => {}
                }
                self.decode.decode_frame(frame, &mut self.events);
            }
            FrameVerdict::Restarted(first) => {
                if self.has_decoded_any {
                    if !self.decode.is_done() {
                        self.decode.finish(&mut self.events);
                    }
                    self.report_gap(None);
                }
                self.decode = (self.new_decoder)();
                self.decode.begin_response(head);
                for frame in first.iter().chain([frame]) {
                    self.decode.decode_frame(frame, &mut self.events);
                }
                self.has_decoded_any = true;
                if self.decode.is_done() {
                    self.finish_response();
                }
                return false;
            }
        }
        self.has_decoded_any = true;
        if self.decode.is_done() {
            self.finish_response();
        }
        true
    }

    /// Says that an answer is over. The stream may hold another.
    fn finish_response(&mut self) {
        self.decode.finish(&mut self.events);
        self.finished_responses = self.finished_responses.saturating_add(1);
    }

    /// Returns whether nothing is missing if the stream ends here.
    fn is_between_responses(&self) -> bool {
        self.decode.is_complete() || (self.finished_responses > 0 && !self.has_decoded_any)
    }

    fn report_gap(&mut self, missing: Option<u64>) {
        let text = match missing {
            Some(1) => "one frame of the stream was missed while disconnected".to_owned(),
            Some(missing) => format!("{missing} frames of the stream were missed while disconnected"),
            None => "the stream restarted; content sent while disconnected may be missing".to_owned(),
        };
        self.push_notice(NoticeLevel::Warn, NoticeCode::Gap, text);
    }

    fn push_notice(&mut self, level: NoticeLevel, code: NoticeCode, text: String) {
        self.events.push(ReplyEvent::Notice { level, code, text });
    }

    /// Returns false if nobody listens any more.
    async fn send_events(&mut self) -> bool {
        self.watchdog.send_events(&mut self.events).await
    }

    async fn announce_retry(&mut self, fault: &Fault, failed: u32, pause: Duration) -> bool {
        let at = self.watchdog.timers.session_time(Instant::now() + pause);
        self.watchdog.send_link_state(LinkState::Retrying { attempt: failed, at }).await;
        let text = format!(
            "{fault}; retrying in {} (attempt {failed} of {})",
            human::pause(pause),
            self.watchdog.policy.max_retries
        );
        self.push_notice(NoticeLevel::Info, NoticeCode::Retry, text);
        self.send_events().await
    }

    /// No more tries: what was heard stays, and how it ended is told.
    async fn give_up(&mut self, fault: Fault) {
        self.watchdog.send_link_state(LinkState::Lost(Some(fault.clone()))).await;
        if self.has_decoded_any {
            self.push_notice(NoticeLevel::Warn, NoticeCode::Cut, format!("{fault}; the partial response is kept"));
            self.close(None).await;
        } else {
            self.close(Some(fault)).await;
        }
    }

    /// Lets the decoder close what is open. A fault of ours outranks its verdict.
    async fn close(&mut self, fault: Option<Fault>) {
        let from = self.events.len();
        if !self.decode.is_done() || self.finished_responses == 0 {
            self.decode.finish(&mut self.events);
        }
        // What begins after an answer and says nothing is no answer.
        if self.finished_responses > 0 && self.events.len() == from + 1 && !self.has_decoded_any {
            self.events.truncate(from);
        }
        match (fault, self.events.get_mut(from..).and_then(<[_]>::last_mut)) {
            (Some(fault), Some(ReplyEvent::End { outcome: end })) => *end = TurnOutcome::Failed(fault),
            (Some(fault), _) => self.push_notice(NoticeLevel::Error, NoticeCode::Stream, fault.message),
            (None, _) => {}
        }
        if self.send_events().await && !matches!(self.watchdog.last_link_state, LinkState::Lost(_)) {
            self.watchdog.send_link_state(LinkState::Idle).await;
        }
    }
}

/// The first words of an answer.
fn preview(frame: &SseFrame) -> String {
    to_single_line(&frame.data).chars().take(80).collect()
}
