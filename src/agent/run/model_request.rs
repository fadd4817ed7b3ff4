//! One request to the model: what it holds and waits for, what must precede it, the streamed response, or a script in
//! place of both.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Agent, RunningTurn};
use crate::agent::history::{FittedHistory, ReadLog, RestoredTurns, UnreadTurns, token_estimate};
use crate::agent::setup::EngineChoice;
use crate::engine::{Computation, HistoryMessage, ModelRequest, Preparation, ReplyPlan, ReplySink, ScriptedEvent};
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, Fault, FaultKind, Millis, NoticeCode, NoticeLevel, ReplyEvent,
    SamplingParams, ToolSpec, TurnOutcome, estimate_tokens,
};
use crate::net::{HttpClient, RequestEvent, RequestPolicy, perform_with_side_channel};

/// Time limit of one request before it.
const PREPARATION_TIMEOUT: Duration = Duration::from_secs(15);
/// The maximum number of requests before it, and of tries to put it.
const MAX_PREPARATIONS: usize = 100;

impl Agent {
    /// The tools that the model gets.
    fn offered_tools(&self) -> impl Iterator<Item = &ToolSpec> {
        self.setup.tools.specs().filter(|_| self.engine_choice.supports_tools)
    }

    /// Estimates the tokens that every request needs besides the conversation.
    pub(super) fn overhead_tokens(&self) -> u64 {
        let spec_tokens =
            |tool: &ToolSpec| estimate_tokens(&tool.description) + estimate_tokens(&tool.parameters.to_string()) + 16;
        estimate_tokens(&self.told_first()) + self.setup.tools.specs().map(spec_tokens).sum::<u64>()
    }

    /// Sends the pending request once what it waited for is available.
    pub(super) async fn send_pending_request(&mut self, running: &mut RunningTurn) {
        if std::mem::take(&mut running.request_pending) {
            self.request_model(running).await;
        }
    }

    pub(super) async fn restore_turns(&mut self, turns: io::Result<RestoredTurns>) {
        self.restoring = None;
        match turns {
            Ok(turns) => self.history.restore(turns),
            Err(error) => {
                self.history.forget_logged();
                let text = format!("the log can't be read, so earlier turns are not sent: {error}");
                self.emit(AgentEvent::Notice { level: NoticeLevel::Error, code: NoticeCode::HistoryCut, text }).await;
            }
        }
    }

    pub(super) async fn request_model(&mut self, running: &mut RunningTurn) {
        self.list_outdated_tools().await;
        let waits = self.switching.is_some()
            || self.describing.is_some()
            || self.listing.is_some()
            || self.restoring.is_some()
            || self.reading_instructions.is_some();
        if waits || running.compaction.is_some() {
            running.request_pending = true;
            return;
        }
        let budget = self.request_budget();
        if self.compact_for_window(budget, running).await {
            running.request_pending = true;
            return;
        }
        if let Some(turns) = self.history.unread_turns(budget) {
            self.restoring = Some(Box::pin(read_turns(turns, self.setup.read_log.clone())));
            running.request_pending = true;
            return;
        }
        let FittedHistory { messages: mut past, dropped_turns: left_out, shortened_outputs: shortened } =
            self.history.fit_to_window(budget);
        self.window.note_request(self.overhead_tokens() + past.iter().map(token_estimate).sum::<u64>());
        if (left_out, shortened) != (0, 0) && !std::mem::replace(&mut running.has_reported_history_cut, true) {
            let text = match (left_out, shortened) {
                (turns, 0) => {
                    format!("the {turns} oldest turns don't fit into the model's window and were not sent")
                }
                (0, _) => "old outputs of this turn don't fit into the model's window and were sent shortened".into(),
                (turns, _) => format!(
                    "the {turns} oldest turns and parts of this turn's outputs don't fit into the model's window \
                     and were not sent"
                ),
            };
            self.emit(AgentEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::HistoryCut, text }).await;
        }
        if let Some(name) = self.engine_choice.engine.dialect()
            && running.dialect.replace(name) != Some(name)
        {
            let annotation = AgentEvent::Annotation {
                on: AnnotationTarget::Turn(running.machine.turn().clone()),
                annotation: Annotation::Dialect { name: name.into(), because: "the engine speaks it".into() },
            };
            self.emit(annotation).await;
        }
        let takes_images = self.engine_choice.takes_images();
        let is_refused = !takes_images && leave_out_images(&mut past);
        let tuning = SamplingParams { effort: self.effort_of(running), ..self.setup.sampling };
        let request = ModelRequest {
            model: self.engine_choice.model.clone(),
            system: self.told_first().into_owned(),
            history: past,
            tools: self.offered_tools().cloned().collect(),
            sampling: SamplingParams {
                tool_choice_required: tuning.tool_choice_required && running.machine.round() == 1,
                ..tuning
            },
            output_format: self.setup.output_format.clone(),
        };
        // Capacity 64: the frames of one read; a larger backlog only means more merging later.
        let (out, receiver) = mpsc::channel(64);
        let choice = self.engine_choice.clone();
        let http = self.setup.http.clone();
        let epoch = self.setup.epoch;
        running.response_events = Some(receiver);
        running.response = Some(if is_refused {
            let fault = Fault::new(FaultKind::BadRequest, choice.image_refusal());
            let event = ReplyEvent::End { outcome: TurnOutcome::Failed(fault) };
            Box::pin(play_script(vec![ScriptedEvent { delay: Millis(0), event }], out))
        } else {
            Box::pin(send_request(choice, http, request, (epoch, self.retry_now.clone()), out))
        });
    }
}

/// Puts words in the place of images, for a model that takes none. Returns whether some went with the last prompt, which
/// must not be answered without them.
fn leave_out_images(past: &mut [HistoryMessage]) -> bool {
    let mut is_last = true;
    let mut is_of_last = false;
    for entry in past.iter_mut().rev() {
        if let HistoryMessage::User { text, images } = entry {
            is_of_last |= is_last && !images.is_empty();
            is_last = false;
            for image in images.drain(..) {
                let pixels = image.pixels().map_or_else(String::new, |pixels| format!(", {pixels}"));
                let _ = write!(text, "\n\n[{} image{pixels}: not sent]", image.media_type.name());
            }
        }
    }
    is_of_last
}

async fn read_turns(turns: UnreadTurns, log: Option<ReadLog>) -> io::Result<RestoredTurns> {
    let log = log.ok_or_else(|| io::Error::other("it is not kept"))?;
    tokio::task::spawn_blocking(move || turns.read(&log)).await?
}

/// Sends the events of the response; the last one is `End`.
pub(super) async fn send_request(
    choice: EngineChoice,
    http: HttpClient,
    request: ModelRequest,
    (epoch, retry_now): (Instant, Arc<Notify>),
    out: mpsc::Sender<RequestEvent>,
) {
    let policy = RequestPolicy {
        first_byte_timeout: choice.first_byte_timeout,
        idle_timeout: choice.idle_timeout,
        no_output_timeout: choice.no_output_timeout,
        max_retries: choice.max_retries,
        may_resend: choice.may_resend,
        epoch,
        retry_now: Some(retry_now),
    };
    for _ in 0..MAX_PREPARATIONS {
        let (level, text) = match choice.engine.plan_reply(&request) {
            ReplyPlan::Prepare(Preparation { request: call, handle }) => {
                let answer = http.request_json(&call, PREPARATION_TIMEOUT).await;
                (NoticeLevel::Warn, handle(answer))
            }
            ReplyPlan::Http { request: call, decode, side_channel } => {
                let replan = |refusal: &str| choice.engine.replan(refusal);
                let replanned =
                    perform_with_side_channel(&http, &call, side_channel, decode, &policy, &replan, &out).await;
                match replanned {
                    Some(text) => (NoticeLevel::Info, Some(text)),
                    None => return,
                }
            }
            ReplyPlan::Scripted(beats) => return play_script(beats, out).await,
            ReplyPlan::Computed(computation) => return compute(computation, out).await,
        };
        if let Some(text) = text {
            let notice = ReplyEvent::Notice { level, code: NoticeCode::Prepared, text };
            if out.send(RequestEvent::Event(notice)).await.is_err() {
                return;
            }
        }
    }
    let fault = Fault::new(FaultKind::Internal, "the engine never got to the prompt");
    let event = ReplyEvent::End { outcome: TurnOutcome::Failed(fault) };
    play_script(vec![ScriptedEvent { delay: Millis(0), event }], out).await;
}

/// Runs a computed response on a thread of its own. It ends when this is dropped.
async fn compute(computation: Computation, out: mpsc::Sender<RequestEvent>) {
    let stopped = CancellationToken::new();
    let sink = ComputationSink { out: out.clone(), stopped: stopped.clone() };
    let _stop = stopped.drop_guard();
    if let Err(error) = tokio::task::spawn_blocking(move || computation(&sink)).await {
        let fault = Fault::new(FaultKind::Internal, format!("the model failed: {error}"));
        let event = ReplyEvent::End { outcome: TurnOutcome::Failed(fault) };
        play_script(vec![ScriptedEvent { delay: Millis(0), event }], out).await;
    }
}

struct ComputationSink {
    out: mpsc::Sender<RequestEvent>,
    stopped: CancellationToken,
}

impl ReplySink for ComputationSink {
    fn send(&self, event: ReplyEvent) -> bool {
        !self.stopped.is_cancelled() && self.out.blocking_send(RequestEvent::Event(event)).is_ok()
    }

    fn is_cancelled(&self) -> bool {
        self.stopped.is_cancelled() || self.out.is_closed()
    }
}

/// Plays a scripted response, each event after its pause.
async fn play_script(beats: Vec<ScriptedEvent>, out: mpsc::Sender<RequestEvent>) {
    for ScriptedEvent { delay: after, event } in beats {
        if after.0 > 0 {
            tokio::time::sleep(after.into()).await;
        }
        if out.send(RequestEvent::Event(event)).await.is_err() {
            return;
        }
    }
}
