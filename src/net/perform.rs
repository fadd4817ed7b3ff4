//! One call from its first try to its last event.
//!
//! Tries are repeated only before the first byte of an answer: later, the model has begun to speak. Two watchdogs run:
//! any byte calms the first, only something usable the second. However it goes, the last thing told is exactly one
//! `TurnFinished`. Dropping the future drops the connection.

pub(super) mod watch;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::pin::pin;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::watch::Watch;
use super::backoff;
use super::call::HttpCall;
use super::guard::Broken;
use super::http::{Answer, Http};
use super::redact::Redactor;
use super::sse::Frames;
use super::status::Failure;
use crate::dialect::error::tidy;
use crate::dialect::{Decode, SseFrame};
use crate::event::{AgentEvent, Fault, FaultKind, Level, LinkState, Millis, Subject, TurnEnd};

/// How long extras are waited for once the answer is complete.
const EXTRAS: Duration = Duration::from_secs(10);
/// Chunks that follow one another faster than this belong to a burst.
const DENSE: Duration = Duration::from_millis(2);
/// Bytes that are taken together before anything is told.
const BATCH: usize = 64 * 1024;

/// What is told while a call runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Event(AgentEvent),
    Link(LinkState),
}

/// How long to wait for what, and how often to try. A time of zero is no limit.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From the request to the first byte. The server loads a model and reads the prompt in silence.
    pub first_byte: Duration,
    /// Without any byte after that.
    pub idle: Duration,
    /// Without anything usable.
    pub no_output: Duration,
    /// Tries after the first.
    pub retries: u32,
    /// Whether a request that may have reached the server is sent again.
    pub resend: bool,
    /// The session's start; times of [`LinkState`] count from it.
    pub epoch: Instant,
}

impl Patience {
    pub fn new(epoch: Instant) -> Self {
        Self {
            first_byte: Duration::from_mins(5),
            idle: Duration::from_secs(90),
            no_output: Duration::from_mins(15),
            retries: 3,
            resend: true,
            epoch,
        }
    }
}

/// Makes the call and tells what comes of it, in the end exactly one `TurnFinished`. Ends early if nobody listens.
pub async fn perform(
    http: &Http,
    call: &HttpCall,
    decode: Box<dyn Decode>,
    patience: &Patience,
    out: &mpsc::Sender<Heard>,
) {
    let dial = Real { http, call };
    run(dial, call, decode, patience, out).await;
}

/// Opens an answer. The tests have one of their own.
trait Dial {
    fn dial(&mut self) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

struct Real<'a> {
    http: &'a Http,
    call: &'a HttpCall,
}

impl Dial for Real<'_> {
    async fn dial(&mut self) -> Result<Answer, Failure> {
        self.http.open(self.call).await
    }
}

async fn run(
    mut dial: impl Dial,
    call: &HttpCall,
    decode: Box<dyn Decode>,
    patience: &Patience,
    out: &mpsc::Sender<Heard>,
) {
    let mut line = Line::new(call, decode, patience, out);
    let mut failed = 0;
    loop {
        line.reset().await;
        let failure = match line.wait(dial.dial(), patience.first_byte).await {
            Got::It(Ok(answer)) => match line.listen(answer).await {
                Some(failure) => failure,
                None => return,
            },
            Got::It(Err(failure)) => failure,
            Got::Overdue(fault) => return line.give_up(fault).await,
            Got::Nobody => return,
        };
        failed += 1;
        let may_send = failure.retry && (patience.resend || failure.unsent);
        let pause = if may_send && failed <= patience.retries {
            backoff::pause(failed, failure.fault.retry_after, line.noise(failed))
        } else {
            None
        };
        let Some(pause) = pause else { return line.give_up(failure.fault).await };
        line.announce_retry(&failure.fault, failed, pause).await;
        tokio::select! {
            biased;
            () = out.closed() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

enum Got<T> {
    It(T),
    Overdue(Fault),
    Nobody,
}

struct Line<'a> {
    call: &'a HttpCall,
    redactor: Redactor,
    place: String,
    decode: Box<dyn Decode>,
    patience: &'a Patience,
    out: &'a mpsc::Sender<Heard>,
    told: LinkState,
    watch: Watch,
    first_token: bool,
    frames: Vec<SseFrame>,
    events: Vec<AgentEvent>,
}

impl<'a> Line<'a> {
    fn new(call: &'a HttpCall, decode: Box<dyn Decode>, patience: &'a Patience, out: &'a mpsc::Sender<Heard>) -> Self {
        Self {
            call,
            redactor: Redactor::of(call),
            place: origin(&call.url),
            decode,
            patience,
            out,
            told: LinkState::Idle,
            watch: Watch::new(patience, Instant::now()),
            first_token: false,
            frames: Vec::new(),
            events: Vec::new(),
        }
    }

    async fn reset(&mut self) {
        self.watch = Watch::new(self.patience, Instant::now());
        self.tell_link(LinkState::Connecting).await;
    }

    /// Waits for something while the watchdogs run. `silence` is what the first one allows.
    async fn wait<T>(&mut self, what: impl Future<Output = T>, silence: Duration) -> Got<T> {
        let mut what = pin!(what);
        let out = self.out;
        loop {
            let wake = self.watch.next_look(Instant::now(), silence);
            // What has come counts before the clock: after a suspend both are ready.
            tokio::select! {
                biased;
                got = &mut what => return Got::It(got),
                () = out.closed() => return Got::Nobody,
                () = tokio::time::sleep_until(wake) => {}
            }
            let now = Instant::now();
            if let Some(fault) = self.watch.overdue(&self.place, now, silence) {
                return Got::Overdue(fault);
            }
            self.tell_link(self.watch.link(now, silence)).await;
        }
    }

    /// Hears an answer out. Returns a failure if it broke before its first byte.
    async fn listen(&mut self, answer: Answer) -> Option<Failure> {
        let Answer { content_type, mut body, .. } = answer;
        if content_type.starts_with("text/html") {
            self.give_up(Broken::Page.fault(&self.place)).await;
            return None;
        }
        self.decode.content_type(content_type.split(';').next().unwrap_or_default().trim());
        let mut frames = Frames::of(self.call.framing, &content_type);
        let mut heard_any = false;
        let mut heard_at = Instant::now();
        self.arrived().await;
        loop {
            let silence = if self.decode.is_settled() {
                EXTRAS
            } else if self.watch.begun {
                self.patience.idle
            } else {
                self.patience.first_byte
            };
            let mut next = match self.wait(body.next(), silence).await {
                Got::It(next) => next,
                Got::Overdue(fault) => {
                    let fault = Some(fault).filter(|_| !self.decode.is_settled());
                    self.close(fault).await;
                    return None;
                }
                Got::Nobody => return None,
            };
            // A stream that comes at its own pace has nothing waiting; looking for it would cost a turn of the loop.
            let dense = heard_at.elapsed() < DENSE;
            let mut taken = 0;
            let mut broken = None;
            // One wake-up for all that is there already.
            while let Some(Ok(chunk)) = &next {
                self.watch.begun |= !chunk.is_empty();
                taken += chunk.len();
                broken = frames.push(chunk, &mut self.frames).err();
                if broken.is_some() || taken >= BATCH {
                    break;
                }
                let mut more = body.next().now_or_never();
                if more.is_none() && dense {
                    // The connection's own task hands chunks over one by one; let it, then look once more.
                    tokio::task::yield_now().await;
                    more = body.next().now_or_never();
                }
                match more {
                    Some(more) => next = more,
                    None => break,
                }
            }
            let ended = !matches!(next, Some(Ok(_)));
            if next.is_none() {
                frames.finish(&mut self.frames);
            }
            heard_any |= !self.frames.is_empty();
            for frame in &mut self.frames {
                self.redactor.blank(&mut frame.data);
            }
            let whole = frames.is_whole().then(|| self.frames.first().map(|frame| tidy(&frame.data))).flatten();
            self.decode_frames();
            if taken > 0 {
                self.arrived().await;
            }
            if !self.tell_events().await {
                return None;
            }
            heard_at = Instant::now();
            if let Some(broken) = broken {
                self.close(Some(broken.fault(&self.place))).await;
                return None;
            }
            if self.decode.is_done() {
                // The end of the body is often there too; with it read, the connection can be used again.
                if !ended {
                    let _ = body.next().now_or_never();
                }
                self.close(None).await;
                return None;
            }
            if !ended {
                continue;
            }
            match next {
                Some(Err(failure)) if !self.watch.begun => return Some(failure),
                Some(Err(failure)) => self.close_cut(failure.fault).await,
                _ if !heard_any => {
                    let text = format!("{} ended its answer without a word; try again, or look at its log", self.place);
                    self.give_up(Fault::new(FaultKind::Protocol, text)).await;
                }
                _ if !self.first_token && !self.decode.is_settled() && whole.is_some() => {
                    let head: String = whole.unwrap_or_default().chars().take(80).collect();
                    let text =
                        format!("{} answered with JSON that is no answer: {head}; check the base URL", self.place);
                    self.close(Some(Fault::new(FaultKind::Protocol, text))).await;
                }
                _ => self.close(None).await,
            }
            return None;
        }
    }

    /// Bytes came, or the answer's head.
    async fn arrived(&mut self) {
        let now = Instant::now();
        self.watch.arrived(now, self.events.iter().any(is_usable));
        self.tell_link(self.watch.link(now, self.patience.idle)).await;
    }

    fn decode_frames(&mut self) {
        for frame in self.frames.drain(..) {
            self.decode.frame(&frame, &mut self.events);
        }
        if self.first_token {
            return;
        }
        let first = self.events.iter().enumerate().find_map(|(at, event)| match event {
            AgentEvent::TextDelta { message, .. }
            | AgentEvent::ReasoningDelta { message, .. }
            | AgentEvent::ToolCallStarted { message, .. } => Some((at, message.clone())),
            _ => None,
        });
        if let Some((at, message)) = first {
            self.first_token = true;
            let data = json!({ "ms": Millis::from(self.watch.asked.elapsed()).0 });
            let note = AgentEvent::Annotated { on: Subject::Message(message), kind: "first_token".into(), data };
            self.events.insert(at, note);
        }
    }

    /// Returns false if nobody listens any more.
    async fn tell_events(&mut self) -> bool {
        for event in self.events.drain(..) {
            if self.out.send(Heard::Event(event)).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn tell_link(&mut self, link: LinkState) {
        if link != self.told {
            self.told = link.clone();
            // A closed channel is noticed where it matters.
            let _ = self.out.send(Heard::Link(link)).await;
        }
    }

    async fn announce_retry(&mut self, fault: &Fault, failed: u32, pause: Duration) {
        let (attempt, at) = (failed + 1, self.watch.clock(Instant::now() + pause));
        self.tell_link(LinkState::Retrying { attempt, at }).await;
        let seconds = pause.as_secs_f64();
        let of = self.patience.retries.saturating_add(1);
        let text = format!("{fault}; trying again in {seconds:.1} s (try {attempt} of {of})");
        self.events.push(AgentEvent::Noticed { level: Level::Info, code: "retry".into(), text });
        self.tell_events().await;
    }

    /// Ends a call that got no answer.
    async fn give_up(&mut self, fault: Fault) {
        self.last_words(TurnEnd::Failed(fault)).await;
    }

    /// The connection broke in mid-answer: the text stays.
    async fn close_cut(&mut self, fault: Fault) {
        if !self.decode.is_settled() {
            let text = format!("{}; what came until then is kept", fault.message);
            self.events.push(AgentEvent::Noticed { level: Level::Warn, code: "cut".into(), text });
            self.tell_link(LinkState::Lost(Some(fault))).await;
        }
        self.close(None).await;
    }

    /// Lets the decoder close what is open. A fault of ours outranks its verdict.
    async fn close(&mut self, fault: Option<Fault>) {
        self.decode.finish(&mut self.events);
        let told = match self.events.pop() {
            Some(AgentEvent::TurnFinished { end, .. }) => end,
            other => {
                self.events.extend(other);
                TurnEnd::Interrupted
            }
        };
        self.last_words(fault.map_or(told, TurnEnd::Failed)).await;
    }

    async fn last_words(&mut self, end: TurnEnd) {
        if !self.tell_events().await {
            return;
        }
        let link = match &end {
            TurnEnd::Failed(fault) if matches!(fault.kind, FaultKind::Network | FaultKind::TimedOut) => {
                LinkState::Lost(Some(fault.clone()))
            }
            // Told when the connection broke.
            TurnEnd::Interrupted if matches!(self.told, LinkState::Lost(_)) => self.told.clone(),
            _ => LinkState::Idle,
        };
        self.tell_link(link).await;
        self.events.push(AgentEvent::TurnFinished { turn: "t".into(), end });
        self.tell_events().await;
    }

    /// A number that differs between clients and tries.
    fn noise(&self, failed: u32) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.call.url.hash(&mut hasher);
        failed.hash(&mut hasher);
        self.patience.epoch.elapsed().as_nanos().hash(&mut hasher);
        hasher.finish()
    }
}

fn is_usable(event: &AgentEvent) -> bool {
    matches!(
        event,
        AgentEvent::MessageStarted { .. }
            | AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::MessageFinished { .. }
            | AgentEvent::ToolCallStarted { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ToolCallReady { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::ToolCallFinished { .. }
    )
}

/// Scheme, host and port, without what may be a secret.
pub(super) fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{}", authority.rsplit('@').next().unwrap_or_default())
}

#[cfg(test)]
mod tests;
