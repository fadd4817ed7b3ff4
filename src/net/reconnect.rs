//! A stream that is only watched: opened, decoded, and opened again when it breaks.
//!
//! Nothing is asked for by such a request, so it may be made as often as need be: with the last id where the stream has
//! ids, dropping what was told before, saying whether it was resumed or something is missing. It ends when the server
//! closes it after a complete answer, when the server says that there is no more (204), when a refusal won't pass, or
//! when it breaks again and again. However it goes, the last thing told is one `TurnFinished`; so is each answer that
//! is followed by another, be it on the same connection or after a break.

mod seen;
#[cfg(test)]
mod tests;

use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::seen::{Joint, Seen, Verdict};
use super::backoff;
use super::call::{Framing, HttpCall, Value};
use super::gather::{Gather, Gathered};
use super::guard::Broken;
use super::http::{Answer, Http};
use super::perform::{Heard, Patience};
use super::redact::Redactor;
use super::sse::Frames;
use super::status::Failure;
use super::vigil::{Got, Vigil};
use crate::dialect::detect::is_tail;
use crate::dialect::error::tidy;
use crate::dialect::{Decode, SseFrame};
use crate::event::{AgentEvent, Fault, FaultKind, Level, LinkState, Millis, TurnEnd};

/// A connection that held for so long counts as a good one, whatever came of it.
const GOOD: Duration = Duration::from_secs(10);
/// How often a stream is opened again that its server closed in order and that has nothing to go on by.
const AFTER_AN_END: u32 = 2;
/// Longest pause a server can ask for.
const LONGEST: Millis = Millis(60_000);

/// Makes a decoder for an answer.
pub type Decoders<'a> = &'a (dyn Fn() -> Box<dyn Decode> + Send + Sync);

/// Watches a stream until it ends for good.
pub async fn watch(
    http: &Http,
    call: &HttpCall,
    decoders: Decoders<'_>,
    patience: &Patience,
    out: &mpsc::Sender<Heard>,
) {
    run(Real { http, call }, call, decoders, patience, out).await;
}

/// Opens the stream, after the frame with this id. The tests have one of their own.
trait Dial {
    fn dial(&mut self, after: Option<&str>) -> impl Future<Output = Result<Answer, Failure>> + Send;
}

struct Real<'a> {
    http: &'a Http,
    call: &'a HttpCall,
}

impl Dial for Real<'_> {
    async fn dial(&mut self, after: Option<&str>) -> Result<Answer, Failure> {
        let mut call = self.call.clone();
        if let Some(id) = after {
            call.headers.push(("last-event-id".to_owned(), Value::Plain(id.to_owned())));
        }
        self.http.open(&call).await
    }
}

async fn run(
    mut dial: impl Dial,
    call: &HttpCall,
    decoders: Decoders<'_>,
    patience: &Patience,
    out: &mpsc::Sender<Heard>,
) {
    let mut watcher = Watcher::new(call, decoders, patience, out);
    let mut failed = 0;
    let mut was_live = false;
    loop {
        watcher.vigil.begin().await;
        watcher.is_at_an_end = false;
        let after = watcher.seen.last_id().map(str::to_owned);
        let opened = Instant::now();
        let failure = match watcher.vigil.wait(dial.dial(after.as_deref()), patience.first_byte).await {
            Got::It(Ok(answer)) => {
                if was_live {
                    watcher.seen.reconnected();
                }
                was_live = true;
                match watcher.listen(answer, call.framing).await {
                    Ended::Complete => return watcher.close(None).await,
                    Ended::Broken(fault) => return watcher.close(Some(fault)).await,
                    Ended::Nobody => return,
                    Ended::Cut { failure, moved } => {
                        if moved || opened.elapsed() >= GOOD {
                            failed = 0;
                        }
                        failure
                    }
                }
            }
            // The server may be on its way up again.
            Got::It(Err(failure)) if was_live && failure.fault.kind == FaultKind::Network => {
                Failure { retry: true, ..failure }
            }
            Got::It(Err(failure)) => failure,
            Got::Overdue(fault) => Failure { retry: true, ..fault.into() },
            Got::Nobody => return,
        };
        failed += 1;
        let asked = failure.fault.retry_after.or(watcher.retry.map(|wait| wait.min(LONGEST)));
        let most = if watcher.is_at_an_end { patience.retries.min(AFTER_AN_END) } else { patience.retries };
        let pause = (failure.retry && failed <= most)
            .then(|| backoff::watching(failed, asked, watcher.vigil.noise(&call.url, failed)));
        let Some(pause) = pause else { return watcher.lose(failure.fault).await };
        if !watcher.announce_retry(&failure.fault, failed, pause).await {
            return;
        }
        tokio::select! {
            biased;
            () = out.closed() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// How a connection ended.
enum Ended {
    Complete,
    /// It can't be understood; the same would come again.
    Broken(Fault),
    /// Worth another try. `moved` says whether it brought the stream on.
    Cut {
        failure: Failure,
        moved: bool,
    },
    Nobody,
}

struct Watcher<'a> {
    vigil: Vigil<'a>,
    redactor: Redactor,
    decoders: Decoders<'a>,
    decode: Box<dyn Decode>,
    seen: Seen,
    retry: Option<Millis>,
    /// The server closed the stream in order, and gave neither ids nor a time to come back.
    is_at_an_end: bool,
    /// Something of the answer was decoded.
    heard_any: bool,
    /// Answers that were told to their end.
    answers: u64,
    events: Vec<AgentEvent>,
}

impl<'a> Watcher<'a> {
    fn new(call: &'a HttpCall, decoders: Decoders<'a>, patience: &'a Patience, out: &'a mpsc::Sender<Heard>) -> Self {
        Self {
            vigil: Vigil::new(call, patience, out),
            redactor: Redactor::of(call),
            decoders,
            decode: decoders(),
            seen: Seen::default(),
            retry: None,
            is_at_an_end: false,
            heard_any: false,
            answers: 0,
            events: Vec::new(),
        }
    }

    async fn listen(&mut self, answer: Answer, framing: Framing) -> Ended {
        let Answer { status, content_type, mut body } = answer;
        if status == 204 {
            // After a whole answer that is how it should be.
            if self.heard_any && !self.decode.is_settled() {
                let text = format!("{} says that there is no more to come (204)", self.vigil.place);
                self.notice(Level::Info, "no_more", text);
            }
            return Ended::Complete;
        }
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if kind == "text/html" {
            return Ended::Broken(Broken::Page.fault(&self.vigil.place));
        }
        self.decode.content_type(kind);
        let mut frames = Frames::of(framing, &content_type);
        let mut batch = Vec::new();
        let mut gather = Gather::new();
        let mut moved = false;
        self.vigil.arrived(false).await;
        loop {
            let next = match self.vigil.wait(body.next(), self.vigil.patience.idle).await {
                Got::It(next) => next,
                Got::Overdue(_) if self.is_between() => return Ended::Complete,
                Got::Overdue(fault) => {
                    return Ended::Cut { failure: Failure { retry: true, ..fault.into() }, moved };
                }
                Got::Nobody => return Ended::Nobody,
            };
            let Gathered { taken, broken, end } = gather.take(next, &mut body, &mut frames, &mut batch).await;
            self.vigil.watch.begun |= taken > 0;
            let closed = matches!(end, Some(Ok(())));
            let whole = (closed && frames.is_whole()).then(|| batch.first().map(head)).flatten();
            let failure = end.map(|end| match end {
                Err(failure) => Failure { retry: true, ..failure },
                Ok(()) => Failure::passing(FaultKind::Network, format!("{} closed the stream", self.vigil.place)),
            });
            self.retry = frames.retry().map(Millis).or(self.retry);
            let before = self.events.len();
            for mut frame in batch.drain(..) {
                self.redactor.blank(&mut frame.data);
                moved |= self.take(&frame, kind);
            }
            self.is_at_an_end = closed && self.retry.is_none() && !self.seen.has_ids();
            self.vigil.arrived(self.events.len() > before).await;
            if !self.tell_events().await {
                return Ended::Nobody;
            }
            gather.told();
            if let Some(broken) = broken {
                return Ended::Broken(broken.fault(&self.vigil.place));
            }
            match failure {
                // What has ids may have more to tell.
                Some(_) if self.is_between() && (closed || !self.seen.has_ids()) => return Ended::Complete,
                Some(_) if let Some(head) = whole => {
                    let text =
                        format!("{} answered with JSON that is not a stream: {head}; check the URL", self.vigil.place);
                    return Ended::Broken(Fault::new(FaultKind::Protocol, text));
                }
                Some(failure) => return Ended::Cut { failure, moved },
                None => {}
            }
        }
    }

    /// Decodes a frame unless it was told before. Returns whether it brought the stream on: a server that begins anew
    /// each time does not.
    fn take(&mut self, frame: &SseFrame, content_type: &str) -> bool {
        if self.decode.is_done() && is_tail(frame) {
            return false;
        }
        if self.decode.is_done() {
            // Another answer follows.
            self.decode = (self.decoders)();
            self.decode.content_type(content_type);
            self.heard_any = false;
        }
        match self.seen.judge(frame) {
            Verdict::Repeated => return false,
            Verdict::New(joint) => {
                match joint {
                    Some(Joint::Resumed) => {
                        self.notice(Level::Info, "resumed", "the stream goes on where it broke".into());
                    }
                    Some(Joint::Gap(missing)) => self.say_gap(missing),
                    None => {}
                }
                self.decode.frame(frame, &mut self.events);
            }
            Verdict::Anew(first) => {
                if self.heard_any {
                    if !self.decode.is_done() {
                        self.decode.finish(&mut self.events);
                    }
                    self.say_gap(None);
                }
                self.decode = (self.decoders)();
                self.decode.content_type(content_type);
                for frame in first.iter().chain([frame]) {
                    self.decode.frame(frame, &mut self.events);
                }
                self.heard_any = true;
                if self.decode.is_done() {
                    self.end_answer();
                }
                return false;
            }
        }
        self.heard_any = true;
        if self.decode.is_done() {
            self.end_answer();
        }
        true
    }

    /// Says that an answer is over. The stream may hold another.
    fn end_answer(&mut self) {
        self.decode.finish(&mut self.events);
        self.answers = self.answers.saturating_add(1);
    }

    /// Returns whether nothing is missing if the stream ends here.
    fn is_between(&self) -> bool {
        self.decode.is_settled() || (self.answers > 0 && !self.heard_any)
    }

    fn say_gap(&mut self, missing: Option<u64>) {
        let text = match missing {
            Some(1) => "one frame of the stream was missed while it was broken".to_owned(),
            Some(missing) => format!("{missing} frames of the stream were missed while it was broken"),
            None => "the stream began anew; what was said while it was broken may be missing".to_owned(),
        };
        self.notice(Level::Warn, "gap", text);
    }

    fn notice(&mut self, level: Level, code: &str, text: String) {
        self.events.push(AgentEvent::Noticed { level, code: code.to_owned(), text });
    }

    /// Returns false if nobody listens any more.
    async fn tell_events(&mut self) -> bool {
        self.vigil.tell(&mut self.events).await
    }

    async fn announce_retry(&mut self, fault: &Fault, failed: u32, pause: Duration) -> bool {
        let at = self.vigil.watch.clock(Instant::now() + pause);
        self.vigil.tell_link(LinkState::Retrying { attempt: failed, at }).await;
        let text = format!(
            "{fault}; trying again in {} (try {failed} of {})",
            backoff::spoken(pause),
            self.vigil.patience.retries
        );
        self.notice(Level::Info, "retry", text);
        self.tell_events().await
    }

    /// No more tries: what was heard stays, and how it ended is told.
    async fn lose(&mut self, fault: Fault) {
        self.vigil.tell_link(LinkState::Lost(Some(fault.clone()))).await;
        if self.heard_any {
            self.notice(Level::Warn, "cut", format!("{fault}; what came until then is kept"));
            self.close(None).await;
        } else {
            self.close(Some(fault)).await;
        }
    }

    /// Lets the decoder close what is open. A fault of ours outranks its verdict.
    async fn close(&mut self, fault: Option<Fault>) {
        let from = self.events.len();
        if !self.decode.is_done() || self.answers == 0 {
            self.decode.finish(&mut self.events);
        }
        // What begins after an answer and says nothing is no answer.
        if self.answers > 0 && self.events.len() == from + 1 && !self.heard_any {
            self.events.truncate(from);
        }
        match (fault, self.events.get_mut(from..).and_then(<[_]>::last_mut)) {
            (Some(fault), Some(AgentEvent::TurnFinished { end, .. })) => *end = TurnEnd::Failed(fault),
            (Some(fault), _) => self.notice(Level::Error, "stream", fault.message),
            (None, _) => {}
        }
        if self.tell_events().await && !matches!(self.vigil.told, LinkState::Lost(_)) {
            self.vigil.tell_link(LinkState::Idle).await;
        }
    }
}

/// The first words of an answer.
fn head(frame: &SseFrame) -> String {
    tidy(&frame.data).chars().take(80).collect()
}
