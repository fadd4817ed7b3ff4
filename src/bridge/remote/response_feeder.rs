//! Feeds the bytes of responses to their decoders and sends on what these say: one reply after another, each with
//! exactly one `End`, and without the secrets that are known.

use tokio::sync::mpsc;

use crate::dialect::detect::can_begin_answer;
use crate::dialect::{Decode, ResponseHead, SseFrame};
use crate::event::{Fault, FaultKind, LinkState, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome};
use crate::net::RequestEvent;
use crate::net::reconnect::DecoderFactory;
use crate::net::request::Framing;
use crate::net::sse::FrameSplitter;
use crate::net::sse_lines::FramingError;
use crate::net::{EventRedactor, registered_event_redactor};

/// What of a source a message names.
#[derive(Clone, Debug)]
pub(super) struct SourceWords {
    /// As the subject of a sentence.
    pub(super) place: String,
    /// What is wrong where no frame came at all.
    pub(super) empty: String,
}

pub(super) struct ResponseFeeder<'a> {
    decoder_factory: DecoderFactory<'a>,
    out: &'a mpsc::Sender<RequestEvent>,
    words: SourceWords,
    response: Option<FedResponse>,
    head: ResponseHead,
    events: Vec<ReplyEvent>,
    redactor: EventRedactor,
    /// Ends a reply at its end mark: nobody knows when the next one comes.
    is_live: bool,
}

struct FedResponse {
    decode: Box<dyn Decode>,
    frames: FrameSplitter,
    has_frames: bool,
    /// The reply of the decoder has ended.
    has_ended: bool,
}

impl<'a> ResponseFeeder<'a> {
    pub(super) fn new(
        decoder_factory: DecoderFactory<'a>,
        out: &'a mpsc::Sender<RequestEvent>,
        words: SourceWords,
    ) -> Self {
        Self {
            decoder_factory,
            out,
            words,
            response: None,
            head: ResponseHead::default(),
            events: Vec::new(),
            redactor: registered_event_redactor(),
            is_live: false,
        }
    }

    /// Tells the end of a reply once its end mark came.
    pub(super) fn live(self) -> Self {
        Self { is_live: true, ..self }
    }

    pub(super) fn is_in_response(&self) -> bool {
        self.response.is_some()
    }

    pub(super) async fn begin_response(&mut self, head: ResponseHead) {
        let mut decode = (self.decoder_factory)();
        decode.begin_response(&head);
        let frames = FrameSplitter::for_content_type(Framing::Any, head.content_type());
        self.response = Some(FedResponse { decode, frames, has_frames: false, has_ended: false });
        self.head = head;
        let _ = self.out.send(RequestEvent::Link(LinkState::Live)).await;
    }

    /// Feeds bytes of the response. Returns false if the receiver is gone or the bytes can't be cut into frames.
    pub(super) async fn feed(&mut self, bytes: &[u8]) -> bool {
        let Some(response) = &mut self.response else { return true };
        let mut batch: Vec<SseFrame> = Vec::new();
        let pushed = response.frames.push(bytes, &mut batch);
        for frame in &batch {
            response.has_frames = true;
            if response.decode.is_done() {
                // A trailing end mark or usage report, or what follows an error, doesn't begin a response.
                let is_rest = response.decode.has_failed() && !can_begin_answer(frame);
                if is_rest || !response.decode.begins_next(frame) {
                    continue;
                }
                // The stream contains another response.
                if !std::mem::take(&mut response.has_ended) {
                    response.decode.finish(&mut self.events);
                }
                response.decode = (self.decoder_factory)();
                response.decode.begin_response(&self.head);
            }
            response.decode.decode_frame(frame, &mut self.events);
        }
        if self.is_live && !response.has_ended && response.decode.is_done() {
            response.has_ended = true;
            response.decode.finish(&mut self.events);
        }
        if let Err(broken) = pushed {
            self.fail_broken(broken).await;
            return false;
        }
        self.send_events().await
    }

    pub(super) async fn fail_broken(&mut self, broken: FramingError) {
        if let Some(mut response) = self.response.take() {
            response.decode.finish(&mut self.events);
            if let Some(ReplyEvent::End { outcome: end }) = self.events.last_mut() {
                *end = TurnOutcome::Failed(broken.fault(&self.words.place));
            }
        }
        self.send_events().await;
    }

    /// Ends the response, if there is one.
    pub(super) async fn finish_response(&mut self) {
        self.finish_response_with(|_| {}).await;
    }

    /// The same where more than the stream decides about the outcome.
    pub(super) async fn finish_response_with(&mut self, settle: impl FnOnce(&mut TurnOutcome)) {
        let Some(mut response) = self.response.take() else { return };
        let mut batch = Vec::new();
        response.frames.finish(&mut batch);
        for frame in batch.iter().filter(|_| !response.has_ended) {
            response.decode.decode_frame(frame, &mut self.events);
        }
        if !response.has_ended {
            response.decode.finish(&mut self.events);
            let is_empty = !response.has_frames && batch.is_empty();
            if let Some(ReplyEvent::End { outcome }) = self.events.last_mut() {
                if is_empty && *outcome == TurnOutcome::Interrupted {
                    *outcome = TurnOutcome::Failed(Fault::new(FaultKind::Protocol, self.words.empty.clone()));
                }
                settle(outcome);
                if *outcome == TurnOutcome::Interrupted {
                    let text = "the stream ends before the response is complete; the partial response is kept";
                    self.insert_before_end(NoticeLevel::Warn, NoticeCode::Cut, text);
                }
            }
        }
        self.send_events().await;
        let _ = self.out.send(RequestEvent::Link(LinkState::Idle)).await;
    }

    fn insert_before_end(&mut self, level: NoticeLevel, code: NoticeCode, text: &str) {
        let notice = ReplyEvent::Notice { level, code, text: text.to_owned() };
        self.events.insert(self.events.len().saturating_sub(1), notice);
    }

    /// Ends the reply with this outcome, whatever came of it.
    pub(super) async fn fail(&mut self, outcome: TurnOutcome) {
        match self.response.take() {
            Some(mut response) if !response.has_ended => {
                response.decode.finish(&mut self.events);
                self.events.retain(|event| !matches!(event, ReplyEvent::End { .. }));
            }
            _ => {}
        }
        self.events.push(ReplyEvent::End { outcome });
        self.send_events().await;
    }

    /// Says something about the source. Returns false if the receiver is gone.
    pub(super) async fn notify(&mut self, level: NoticeLevel, code: NoticeCode, text: impl Into<String>) -> bool {
        self.events.push(ReplyEvent::Notice { level, code, text: text.into() });
        self.send_events().await
    }

    async fn send_events(&mut self) -> bool {
        let mut clean = Vec::new();
        for event in self.events.drain(..) {
            self.redactor.push(event, &mut clean);
        }
        for event in clean {
            if self.out.send(RequestEvent::Event(event)).await.is_err() {
                return false;
            }
        }
        true
    }
}
