//! Tasks as their logs have them.

use super::SURFACE_NAME;
use super::errors::{TASK_NOT_FOUND, UNSUPPORTED_OPERATION};
use super::request::A2aCaller;
use super::tasks::TaskIndex;
use crate::dialect::Encode as _;
use crate::dialect::a2a::encode::{A2aEncoder, A2aTask};
use crate::event::{AgentEvent, Annotation, Envelope, Seq, SessionId};
use crate::serve::error::ApiError;
use crate::serve::fields::{self, Fields};
use crate::serve::oneshot;
use crate::serve::request::{HistoryBuilder, is_history_turn};
use crate::serve::state::ServerState;

/// A task as far as its log has it.
pub(super) struct LoadedTask {
    pub(super) session: SessionId,
    pub(super) context: String,
    /// Has seen all of it.
    pub(super) encoder: A2aEncoder,
    pub(super) last: Seq,
    pub(super) is_running: bool,
}

impl LoadedTask {
    pub(super) fn about(&self, caller: &A2aCaller) -> A2aTask {
        A2aTask { id: self.session.to_string(), context: self.context.clone(), ..caller.task() }
    }
}

impl A2aCaller {
    pub(super) fn task(&self) -> A2aTask {
        A2aTask { version: self.version, rpc_id: self.rpc_id.clone(), ..A2aTask::default() }
    }
}

pub(super) async fn find_task(
    state: &ServerState,
    tasks: &TaskIndex,
    caller: &A2aCaller,
    params: &Fields,
) -> Result<LoadedTask, ApiError> {
    load_task(state, tasks, caller, fields::get_required_string(params, "id", "")?).await
}

pub(super) async fn load_task(
    state: &ServerState,
    tasks: &TaskIndex,
    caller: &A2aCaller,
    id: &str,
) -> Result<LoadedTask, ApiError> {
    let session = SessionId::from(id);
    let not_found = || ApiError::new(404, TASK_NOT_FOUND, format!("there is no task {id:?}"));
    let is_running = state.find_running(&session).is_some();
    let events = match oneshot::session_events(state, &session).await {
        Ok(events) => events,
        Err(error) if error.status == 404 => return Err(not_found()),
        Err(error) => return Err(error),
    };
    let context = tasks.context_of(&session).or_else(|| recorded_context(&events)).ok_or_else(not_found)?;
    let last = events.last().map_or(Seq(0), |envelope| envelope.seq);
    let about = A2aTask { id: id.to_owned(), context: context.clone(), ..caller.task() };
    let (mut encoder, mut frames, mut has_begun) = (A2aEncoder::new(about), Vec::new(), false);
    for envelope in &events {
        has_begun |= matches!(&envelope.event, AgentEvent::TurnStarted { turn, .. } if !is_history_turn(turn));
        if has_begun || matches!(envelope.event, AgentEvent::SessionOpened { .. }) {
            encoder.encode_event(envelope, &mut frames);
        }
        frames.clear();
    }
    if !is_running {
        encoder.mark_interrupted();
    }
    Ok(LoadedTask { session, context, encoder, last, is_running })
}

/// Returns the context that a session was begun in.
fn recorded_context(events: &[Envelope]) -> Option<String> {
    let recorded = events.iter().rev().find_map(|envelope| match &envelope.event {
        AgentEvent::Annotation { annotation: Annotation::Request(data), .. } => Some(data),
        _ => None,
    })?;
    (recorded.get("surface")? == SURFACE_NAME).then(|| recorded.get("context")?.as_str().map(str::to_owned))?
}

/// Refuses a message that would wait for an answer which the client is asked for.
pub(super) async fn check_nothing_is_asked(
    state: &ServerState,
    tasks: &TaskIndex,
    caller: &A2aCaller,
    context: &str,
) -> Result<(), ApiError> {
    let running = tasks.latest(context).filter(|latest| state.find_running(latest).is_some());
    let Some(latest) = running else { return Ok(()) };
    let task = load_task(state, tasks, caller, latest.as_str()).await?;
    if task.encoder.pending_call().is_none() {
        return Ok(());
    }
    let text =
        format!("task {latest} of this context asks whether a call may run; answer it by its taskId, or cancel it");
    Err(ApiError::new(400, UNSUPPORTED_OPERATION, text))
}

/// Returns what was said up to the end of a context's latest task.
pub(super) async fn load_history(state: &ServerState, latest: &SessionId) -> Result<Vec<AgentEvent>, ApiError> {
    let events = match oneshot::session_events(state, latest).await {
        Ok(events) => events,
        // It was deleted, or is part of a recording.
        Err(error) if matches!(error.status, 404 | 409) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut history = HistoryBuilder::new();
    history.replay(events.iter().map(|envelope| &envelope.event), false);
    Ok(history.into_events())
}
