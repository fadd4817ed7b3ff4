//! What belongs to an answer besides its stream: a feed that is listened to meanwhile, requests that its frames call
//! for, records that are asked for at its end. A feed and records are best effort: what fails there is at most told,
//! once.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};

use crate::dialect::{Decode, SseFrame};
use crate::event::{Fault, Json, NoticeCode, NoticeLevel, ReplyEvent};
use crate::net::http::HttpClient;
use crate::net::probe::join_json;
use crate::net::redact::Redactor;
use crate::net::request::SideChannel;
use crate::net::ws::{self, EventSocket};

/// How long a turn waits for its feed to open: what comes before is not heard.
const FEED_OPEN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long records may take.
const RECORDS_TIMEOUT: Duration = Duration::from_secs(2);
/// How long all of it may.
const SIDE_CHANNEL_TIMEOUT: Duration = Duration::from_secs(3);
/// The pauses before records that don't hold the answer yet are asked for again.
const RECORDS_RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// How long a request may take that a frame called for.
const CALLED_FOR_TIMEOUT: Duration = Duration::from_secs(30);
/// Events of the feed that are taken together once the answer is complete.
const MAX_LATE_EVENTS: usize = 4096;

pub(super) struct SideChannelReader<'a> {
    client: &'a HttpClient,
    channel: Box<dyn SideChannel>,
    redactor: Redactor,
    feed: Option<EventSocket>,
    /// The requests that frames called for.
    sending: Option<BoxFuture<'a, Result<(), Fault>>>,
}

/// What comes besides an answer.
pub(super) enum BesideEvent {
    Frame(SseFrame),
    FeedLost(Fault),
    /// What the answer needs was refused.
    Refused(Fault),
}

/// Returns the next event, where any can come.
pub(super) async fn next_event(aside: &mut Option<SideChannelReader<'_>>) -> BesideEvent {
    match aside {
        Some(aside) => aside.next_event().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever where there is nothing to wait for.
async fn next_of(sending: &mut Option<BoxFuture<'_, Result<(), Fault>>>) -> Result<(), Fault> {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

async fn next_message(feed: &mut Option<EventSocket>) -> Option<Result<String, Fault>> {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}

impl<'a> SideChannelReader<'a> {
    /// Opens the feed, or says why there is none.
    pub(super) async fn open(http: &'a HttpClient, beside: Box<dyn SideChannel>, out: &mut Vec<ReplyEvent>) -> Self {
        let Some(request) = beside.feed() else {
            return Self {
                client: http,
                channel: beside,
                redactor: Redactor::for_registered(),
                feed: None,
                sending: None,
            };
        };
        let opened = tokio::time::timeout(FEED_OPEN_TIMEOUT, ws::open(http, request)).await;
        let redactor = Redactor::for_request(request);
        let mut aside = Self { client: http, channel: beside, redactor, feed: None, sending: None };
        match opened {
            Ok(Ok(feed)) => aside.feed = Some(feed),
            Ok(Err(fault)) => aside.report_failure(&fault.message, out),
            Err(_) => aside.report_failure("the server did not open its event feed in time", out),
        }
        aside
    }

    /// Returns the next event; waits for ever once there is none to come.
    async fn next_event(&mut self) -> BesideEvent {
        loop {
            let message = tokio::select! {
                biased;
                sent = next_of(&mut self.sending) => {
                    self.sending = None;
                    match sent {
                        Ok(()) => continue,
                        Err(fault) => return BesideEvent::Refused(fault),
                    }
                }
                message = next_message(&mut self.feed) => message,
            };
            match message {
                Some(Ok(message)) => {
                    if let Some(frame) = self.frame(&message) {
                        return BesideEvent::Frame(frame);
                    }
                }
                Some(Err(fault)) => {
                    self.feed = None;
                    return BesideEvent::FeedLost(fault);
                }
                None => self.feed = None,
            }
        }
    }

    /// Sends what a frame of the answer calls for.
    pub(super) fn take_frame(&mut self, frame: &SseFrame) {
        let calls = self.channel.answer_frame(frame);
        if calls.is_empty() {
            return;
        }
        let (client, before) = (self.client, self.sending.take());
        self.sending = Some(
            async move {
                if let Some(before) = before {
                    before.await?;
                }
                for call in &calls {
                    client.send_expecting_success(call, CALLED_FOR_TIMEOUT).await.map_err(|failure| failure.fault)?;
                }
                Ok(())
            }
            .boxed(),
        );
    }

    /// Decodes an event of the feed.
    pub(super) fn decode_feed(
        &mut self,
        frame: &SseFrame,
        decode: &mut (dyn Decode + 'static),
        out: &mut Vec<ReplyEvent>,
    ) {
        self.channel.decode_feed(frame, decode, out);
    }

    /// Says that there is no feed, where that has not been said.
    pub(super) fn report_failure(&mut self, why: &str, out: &mut Vec<ReplyEvent>) {
        if let Some(text) = self.channel.report_unavailable(why) {
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Feed, text });
        }
    }

    /// The answer is complete: takes what the feed has left, and asks for the records.
    pub(super) async fn finish(&mut self, decode: &mut (dyn Decode + 'static), out: &mut Vec<ReplyEvent>) {
        // Too late is as good as never: the answer itself waits.
        let _ = tokio::time::timeout(SIDE_CHANNEL_TIMEOUT, self.drain_and_fetch_records(decode, out)).await;
    }

    async fn drain_and_fetch_records(&mut self, decode: &mut (dyn Decode + 'static), out: &mut Vec<ReplyEvent>) {
        for _ in 0..MAX_LATE_EVENTS {
            let Some(feed) = &mut self.feed else { break };
            match feed.next().now_or_never() {
                Some(Some(Ok(message))) => {
                    if let Some(frame) = self.frame(&message) {
                        self.channel.decode_feed(&frame, decode, out);
                    }
                }
                Some(_) => self.feed = None,
                None => break,
            }
        }
        self.feed = None;
        let mut pauses = RECORDS_RETRY_DELAYS.iter();
        loop {
            let answers = join_json(self.client, self.channel.records(), RECORDS_TIMEOUT).await;
            let records: Vec<Option<&Json>> = answers.iter().map(|answer| answer.as_ref().ok()).collect();
            if self.channel.decode_records(&records, decode, out) {
                return;
            }
            let Some(pause) = pauses.next() else { return };
            tokio::time::sleep(*pause).await;
        }
    }

    fn frame(&self, message: &str) -> Option<SseFrame> {
        let mut frame = ws::parse_frame(message)?;
        self.redactor.redact(&mut frame.data);
        Some(frame)
    }
}
