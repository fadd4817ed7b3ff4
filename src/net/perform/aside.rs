//! What tells of an answer besides its stream: a feed that is listened to meanwhile, records that are asked for at its
//! end. Best effort throughout: what fails here is at most told, once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};

use crate::dialect::{Decode, SseFrame};
use crate::event::{AgentEvent, Fault, Json, Level};
use crate::net::call::Beside;
use crate::net::http::Http;
use crate::net::probe::gather;
use crate::net::redact::Redactor;
use crate::net::ws::{self, Feed, Pass};

/// How long a turn waits for its feed to open: what comes before is not heard.
const OPENING: Duration = Duration::from_secs(2);
/// How long records may take.
const RECORDS: Duration = Duration::from_secs(2);
/// How long all of it may.
const SETTLING: Duration = Duration::from_secs(3);
/// The pauses before records that don't hold the answer yet are asked for again.
const AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(400)];
/// Events of the feed that are taken together once the answer is complete.
const MOST: usize = 4096;

pub(super) struct Aside<'a> {
    http: &'a Http,
    beside: &'a Beside,
    redactor: Redactor,
    feed: Option<Feed>,
}

/// Returns the next event, where there is a feed.
pub(super) async fn next(aside: &mut Option<Aside<'_>>) -> Result<SseFrame, Fault> {
    match aside {
        Some(aside) => aside.next().await,
        None => std::future::pending().await,
    }
}

impl<'a> Aside<'a> {
    /// Opens the feed, or says why there is none.
    pub(super) async fn open(http: &'a Http, beside: &'a Beside, out: &mut Vec<AgentEvent>) -> Self {
        let pass = Pass::Headers(beside.feed.headers.clone());
        let opened = tokio::time::timeout(OPENING, ws::open(http, &beside.feed.url, &pass)).await;
        let redactor = Redactor::of(&beside.feed);
        let mut aside = Self { http, beside, redactor, feed: None };
        match opened {
            Ok(Ok(feed)) => aside.feed = Some(feed),
            Ok(Err(fault)) => aside.say(&fault.message, out),
            Err(_) => aside.say("the server did not open its feed of events in time", out),
        }
        aside
    }

    /// Returns the next event; waits for ever once there is none to come.
    async fn next(&mut self) -> Result<SseFrame, Fault> {
        while let Some(feed) = &mut self.feed {
            match feed.next().await {
                Some(Ok(message)) => {
                    if let Some(frame) = self.frame(&message) {
                        return Ok(frame);
                    }
                }
                Some(Err(fault)) => {
                    self.feed = None;
                    return Err(fault);
                }
                None => self.feed = None,
            }
        }
        std::future::pending().await
    }

    /// Says once in a session that there is no feed.
    pub(super) fn say(&self, why: &str, out: &mut Vec<AgentEvent>) {
        if !self.beside.told.swap(true, Ordering::Relaxed) {
            let text = format!("tools of this server are shown when a turn is over, not while they run: {why}");
            out.push(AgentEvent::Noticed { level: Level::Warn, code: "feed".into(), text });
        }
    }

    /// The answer is complete: takes what the feed has left, and asks for the records.
    pub(super) async fn settle(&mut self, decode: &mut dyn Decode, out: &mut Vec<AgentEvent>) {
        // Too late is as good as never: the answer itself waits.
        let _ = tokio::time::timeout(SETTLING, self.settled(decode, out)).await;
    }

    async fn settled(&mut self, decode: &mut dyn Decode, out: &mut Vec<AgentEvent>) {
        for _ in 0..MOST {
            let Some(feed) = &mut self.feed else { break };
            match feed.next().now_or_never() {
                Some(Some(Ok(message))) => {
                    if let Some(frame) = self.frame(&message) {
                        decode.beside(&frame, out);
                    }
                }
                Some(_) => self.feed = None,
                None => break,
            }
        }
        self.feed = None;
        let mut pauses = AGAIN.iter();
        loop {
            let answers = gather(self.http, &self.beside.records, RECORDS).await;
            let records: Vec<Option<&Json>> = answers.iter().map(|answer| answer.as_ref().ok()).collect();
            if decode.settle(&records, out) {
                return;
            }
            let Some(pause) = pauses.next() else { return };
            tokio::time::sleep(*pause).await;
        }
    }

    fn frame(&self, message: &str) -> Option<SseFrame> {
        let mut frame = ws::frame(message)?;
        self.redactor.blank(&mut frame.data);
        Some(frame)
    }
}
