//! One call from its first try to its last event.
//!
//! Tries are repeated only before the first byte of an answer: later, the model has begun to speak. Two watchdogs run:
//! any byte calms the first, only something usable the second. However it goes, the last thing told is exactly one
//! `TurnFinished`. Dropping the future drops the connection.

mod aside;
mod ends;
mod patience;
pub(super) mod watch;

use std::time::Duration;

use futures_util::future::Either;
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::aside::Aside;
pub use self::patience::Patience;
use super::backoff;
use super::call::{Beside, HttpCall};
use super::gather::{Gather, Gathered};
use super::guard::Broken;
use super::http::{Answer, Http};
use super::redact::Redactor;
use super::sse::Frames;
use super::status::Failure;
use super::vigil::{Got, Vigil};
use crate::dialect::error::tidy;
use crate::dialect::{Decode, SseFrame};
use crate::event::{AgentEvent, Fault, FaultKind, LinkState, Millis, Subject};

/// How long extras are waited for once the answer is complete.
const EXTRAS: Duration = Duration::from_secs(10);

/// What is told while a call runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    Event(AgentEvent),
    Link(LinkState),
}

/// Makes the call and tells what comes of it, in the end exactly one `TurnFinished`. Ends early if nobody listens.
pub async fn perform(
    http: &Http,
    call: &HttpCall,
    decode: Box<dyn Decode>,
    patience: &Patience,
    out: &mpsc::Sender<Heard>,
) {
    perform_beside(http, call, None, decode, patience, out).await;
}

/// The same with what tells of the answer besides its stream.
pub async fn perform_beside(
    http: &Http,
    call: &HttpCall,
    beside: Option<&Beside>,
    decode: Box<dyn Decode>,
    patience: &Patience,
    out: &mpsc::Sender<Heard>,
) {
    let mut line = Line::new(call, decode, patience, out);
    if let Some(beside) = beside {
        let opening = Aside::open(http, beside, &mut line.events);
        tokio::select! {
            biased;
            () = out.closed() => return,
            aside = opening => line.aside = Some(aside),
        }
        if !line.tell_events().await {
            return;
        }
    }
    run(Real { http, call }, line).await;
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

async fn run(mut dial: impl Dial, mut line: Line<'_>) {
    let (patience, out) = (line.vigil.patience, line.vigil.out);
    let mut failed = 0;
    let mut loading = None;
    loop {
        match loading {
            None => line.vigil.begin().await,
            Some(_) => line.vigil.restart(),
        }
        let failure = match line.vigil.wait(dial.dial(), patience.first_byte).await {
            Got::It(Ok(answer)) => match line.listen(answer).await {
                Some(failure) => failure,
                None => return,
            },
            Got::It(Err(failure)) => failure,
            Got::Overdue(fault) => return line.give_up(fault).await,
            Got::Nobody => return,
        };
        if failure.loading {
            let is_first = loading.is_none();
            let since = *loading.get_or_insert_with(Instant::now);
            match line.wait_for_model(failure, since, is_first).await {
                Some(fault) => return line.give_up(fault).await,
                None if out.is_closed() => return,
                None => continue,
            }
        }
        loading = None;
        failed += 1;
        let may_send = failure.retry && (patience.resend || failure.unsent);
        let pause = if may_send && failed <= patience.retries {
            backoff::pause(failed, failure.fault.retry_after, line.vigil.noise(&line.call.url, failed))
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

struct Line<'a> {
    call: &'a HttpCall,
    redactor: Redactor,
    vigil: Vigil<'a>,
    decode: Box<dyn Decode>,
    aside: Option<Aside<'a>>,
    first_token: bool,
    frames: Vec<SseFrame>,
    events: Vec<AgentEvent>,
}

impl<'a> Line<'a> {
    fn new(call: &'a HttpCall, decode: Box<dyn Decode>, patience: &'a Patience, out: &'a mpsc::Sender<Heard>) -> Self {
        Self {
            call,
            redactor: Redactor::of(call),
            vigil: Vigil::new(call, patience, out),
            decode,
            aside: None,
            first_token: false,
            frames: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Hears an answer out. Returns a failure if it broke before its first byte.
    async fn listen(&mut self, answer: Answer) -> Option<Failure> {
        let mut aside = self.aside.take();
        let failure = self.hear_out(answer, &mut aside).await;
        self.aside = aside;
        failure
    }

    async fn hear_out(&mut self, answer: Answer, aside: &mut Option<Aside<'_>>) -> Option<Failure> {
        let Answer { content_type, mut body, .. } = answer;
        if content_type.starts_with("text/html") {
            self.give_up(Broken::Page.fault(&self.vigil.place)).await;
            return None;
        }
        self.decode.content_type(content_type.split(';').next().unwrap_or_default().trim());
        let mut frames = Frames::of(self.call.framing, &content_type);
        let mut heard_any = false;
        let mut gather = Gather::new();
        self.arrived().await;
        loop {
            let heard = async {
                tokio::select! {
                    biased;
                    told = aside::next(aside) => Either::Left(told),
                    next = body.next() => Either::Right(next),
                }
            };
            let next = match self.vigil.wait(heard, self.silence()).await {
                Got::It(Either::Right(next)) => next,
                Got::It(Either::Left(told)) => {
                    self.heard_aside(told, aside.as_ref());
                    if !self.events.is_empty() {
                        self.arrived().await;
                    }
                    if self.tell_events().await {
                        continue;
                    }
                    return None;
                }
                Got::Overdue(fault) => {
                    let fault = Some(fault).filter(|_| !self.decode.is_settled());
                    self.close(fault, aside).await;
                    return None;
                }
                Got::Nobody => return None,
            };
            let Gathered { taken, broken, end } = gather.take(next, &mut body, &mut frames, &mut self.frames).await;
            self.vigil.watch.begun |= taken > 0;
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
            gather.told();
            if let Some(broken) = broken {
                self.close(Some(broken.fault(&self.vigil.place)), aside).await;
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
                return self.body_over(end, unheard, whole, aside).await;
            }
        }
    }

    /// How long nothing may come now.
    fn silence(&self) -> Duration {
        if self.decode.is_settled() {
            EXTRAS
        } else if self.vigil.watch.begun {
            self.vigil.patience.idle
        } else {
            self.vigil.patience.first_byte
        }
    }

    /// Takes what came beside the answer.
    fn heard_aside(&mut self, told: Result<SseFrame, Fault>, aside: Option<&Aside<'_>>) {
        match (told, aside) {
            (Ok(frame), _) => self.decode.beside(&frame, &mut self.events),
            (Err(fault), Some(aside)) => aside.say(&fault.message, &mut self.events),
            (Err(_), None) => {}
        }
        if !self.events.is_empty() {
            self.note_first_token();
        }
    }

    /// Ends an answer whose body is over, well or not. A failure before its first byte is returned. `unheard` is what came
    /// of a body without a single frame.
    async fn body_over(
        &mut self,
        end: Result<(), Failure>,
        unheard: Option<String>,
        whole: Option<String>,
        aside: &mut Option<Aside<'_>>,
    ) -> Option<Failure> {
        let place = &self.vigil.place;
        match (end, unheard, whole) {
            (Err(failure), ..) if !self.vigil.watch.begun => return Some(failure),
            (Err(failure), ..) => self.close_cut(failure.fault, aside).await,
            (Ok(()), Some(strays), _) if !strays.is_empty() => {
                let mut head = tidy(&strays);
                self.redactor.blank_cut(&mut head);
                let text = format!("{place} answered with something that is not a stream: {head}; check the URL");
                self.give_up(Fault::new(FaultKind::Protocol, text)).await;
            }
            (Ok(()), Some(_), _) => {
                let text = format!(
                    "{place} ended its answer without a word, as some servers do where the conversation is too long for \
                     the model; try again, start a new session, or look at the server's log"
                );
                self.give_up(Fault::new(FaultKind::Protocol, text)).await;
            }
            (Ok(()), None, Some(whole)) if !self.first_token && !self.decode.is_settled() => {
                let head: String = whole.chars().take(80).collect();
                let text = format!("{place} answered with JSON that is not an answer: {head}; check the URL");
                self.close(Some(Fault::new(FaultKind::Protocol, text)), aside).await;
            }
            (Ok(()), None, _) => self.close_ended(aside).await,
        }
        None
    }

    /// Bytes came, or the answer's head.
    async fn arrived(&mut self) {
        self.vigil.arrived(self.events.iter().any(is_usable)).await;
    }

    fn decode_frames(&mut self) {
        for frame in self.frames.drain(..) {
            self.decode.frame(&frame, &mut self.events);
        }
        self.note_first_token();
    }

    fn note_first_token(&mut self) {
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
            let data = json!({ "ms": Millis::from(self.vigil.watch.asked.elapsed()).0 });
            let note = AgentEvent::Annotated { on: Subject::Message(message), kind: "first_token".into(), data };
            self.events.insert(at, note);
        }
    }

    /// Returns false if nobody listens any more.
    async fn tell_events(&mut self) -> bool {
        self.vigil.tell(&mut self.events).await
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

#[cfg(test)]
mod tests;
