//! Commands of clients: parsed, checked, forwarded, and answered with the result if that is known at once.

use std::time::Duration;

use axum::extract::{Path, State as Shared};
use serde_json::json;
use tokio::time::timeout;

use super::{NativeResult, error_response, json_response};
use crate::event::{CallId, Command, DecidedBy, Decision, Pattern, SessionId};
use crate::serve::access::BodyBytes;
use crate::serve::error::ApiError;
use crate::serve::running_session::{DecisionClaim, RunningSession};
use crate::serve::state::ServerState;

/// How long it may take until a decision becomes an event.
const DECISION_TIMEOUT: Duration = Duration::from_secs(5);
/// Limit of a model's name.
const MAX_MODEL_NAME_BYTES: usize = 256;

pub(super) async fn post_command(
    Shared(state): Shared<ServerState>,
    Path(id): Path<String>,
    BodyBytes(body): BodyBytes,
) -> NativeResult {
    let wish: Command = serde_json::from_slice(&body).map_err(|error| {
        error_response(ApiError::bad_request(format!(
            "a command is {{\"type\": \"prompt\", \"text\": …}} or another: {error}"
        )))
    })?;
    let room = state.get_or_reopen(&SessionId::from(id.as_str())).await.map_err(error_response)?;
    check(&state, &room, &wish).map_err(error_response)?;
    room.touch();
    if let Command::Decide { call, decision } = wish {
        return decide(&room, call, decision).await.map_err(error_response);
    }
    let seen = room.handle.hub.last_seq();
    let waits = matches!(wish, Command::Prompt { .. }) && room.is_busy();
    send(&room, wish).map_err(error_response)?;
    Ok(json_response(202, &json!({ "accepted": true, "after": seen, "queued": waits })))
}

/// Rejects invalid commands before they are forwarded.
fn check(state: &ServerState, room: &RunningSession, wish: &Command) -> Result<(), ApiError> {
    let caps = room.handle.capabilities;
    let able = |able: bool, why: &str| if able { Ok(()) } else { Err(ApiError::new(409, "not_here", why)) };
    match wish {
        Command::Prompt { text } => {
            able(caps.prompt, "this session takes no prompts")?;
            if text.trim().is_empty() {
                return Err(ApiError::bad_request("the prompt is empty").with_param("text"));
            }
            state.check_prompt(text)
        }
        Command::SetModel { model } => {
            able(caps.prompt, "the model can't be changed here")?;
            if model.trim().is_empty() || model.len() > MAX_MODEL_NAME_BYTES {
                return Err(ApiError::bad_request("a model is written engine/model").with_param("model"));
            }
            Ok(())
        }
        Command::RevokeGrant { .. } => able(caps.decide, "nothing is allowed or taken back here"),
        Command::SetMode { mode } => {
            able(caps.prompt, "the mode can't be changed here")?;
            state.check_mode(*mode)
        }
        Command::WarmUp | Command::Continue | Command::SendQueued | Command::DequeuePrompt { .. } => {
            able(caps.prompt, "this session takes no prompts")
        }
        Command::Decide { .. } => able(caps.decide, "nothing can be decided here"),
        Command::Cancel => able(caps.cancel, "nothing can be cancelled here"),
        Command::Seek { .. }
        | Command::SetSpeed { .. }
        | Command::SetPaused { .. }
        | Command::Step { .. }
        | Command::CapIdle { .. } => able(caps.seek, "only a recording can be moved"),
    }
}

async fn decide(
    room: &RunningSession,
    call: CallId,
    decision: Decision,
) -> Result<super::Response<super::Body>, ApiError> {
    if let Decision::Pattern(text) | Decision::Deny(Some(text)) = &decision
        && text.len() > 4096
    {
        return Err(ApiError::too_large("a pattern or reason is one line").with_param("decision"));
    }
    if let Decision::Pattern(text) = &decision
        && let Some((_, ask)) = room.snapshot().pending_approvals.iter().find(|(waiting, _)| *waiting == call)
        && let Err(wrong) = Pattern::parse_for(&ask.tool, text)
    {
        return Err(ApiError::bad_request(wrong).with_param("decision"));
    }
    let mut facts = room.handle.hub.subscribe(room.handle.hub.last_seq());
    match room.claim_decision(&call, &decision) {
        DecisionClaim::First => {}
        DecisionClaim::Late(winner, by) => return Ok(already_decided(&winner, by)),
        DecisionClaim::Unknown => return Err(ApiError::not_found(format!("nothing waits to be decided about {call}"))),
    }
    let wish = Command::Decide { call: call.clone(), decision: decision.clone() };
    if room.handle.commands.try_send(wish).is_err() {
        room.release_decision(&call);
        return Err(session_stuck());
    }
    // It counts once it is an event: the turn may have been cancelled, or the approval expired, an instant before.
    let known = timeout(DECISION_TIMEOUT, async {
        loop {
            if let Some(known) = room.resolution(&call) {
                return Some(known);
            }
            facts.next().await?;
        }
    });
    match known.await {
        Ok(Some((known, DecidedBy::Remote))) => {
            Ok(json_response(200, &json!({ "call": call, "decision": known, "by": DecidedBy::Remote })))
        }
        Ok(Some((known, by))) => Ok(already_decided(&known, Some(by))),
        Ok(None) => Err(ApiError::new(410, "over", "the session ended before that was decided")),
        Err(_) => Ok(json_response(202, &json!({ "accepted": true, "call": call, "decision": decision }))),
    }
}

/// The error for a decision that came too late: it has the one that counted.
fn already_decided(decision: &Decision, by: Option<DecidedBy>) -> super::Response<super::Body> {
    let text = "this was decided already";
    json_response(409, &json!({ "error": { "code": "decided", "message": text }, "decision": decision, "by": by }))
}

fn send(room: &RunningSession, wish: Command) -> Result<(), ApiError> {
    room.handle.commands.try_send(wish).map_err(|_| session_stuck())
}

fn session_stuck() -> ApiError {
    ApiError { retry_after: Some(1), ..ApiError::new(503, "stuck", "the session takes nothing just now") }
}
