//! Commands of clients: parsed, checked, forwarded, and answered with the result if that is known at once.

use std::time::Duration;

use axum::extract::{Path, State as Shared};
use axum::http::HeaderMap;
use serde_json::json;
use tokio::time::timeout;

use super::client_name::{client_name, shown_name};
use super::{NativeResult, error_response, json_response};
use crate::event::{
    CallId, Command, DecidedBy, Decision, MAX_PROMPT_CONTEXT_BYTES, Pattern, PromptContext, Seq, SessionId,
    check_images,
};
use crate::serve::access::BodyBytes;
use crate::serve::error::ApiError;
use crate::serve::running_session::{DecisionClaim, RunningSession};
use crate::serve::state::ServerState;

/// Limit of the title of a session.
const MAX_TITLE_BYTES: usize = 1000;
/// How long it may take until a decision becomes an event.
const DECISION_TIMEOUT: Duration = Duration::from_secs(5);
/// How often other tasks run before a session counts as stuck.
const MAX_YIELDS: usize = 1000;
/// Limit of a note.
const MAX_NOTE_BYTES: usize = 8192;
/// Limit of a model's name.
const MAX_MODEL_NAME_BYTES: usize = 256;
/// Limit of the id and of the value of an agent's setting.
const MAX_OPTION_BYTES: usize = 256;

pub(super) async fn post_command(
    Shared(state): Shared<ServerState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> NativeResult {
    let mut command: Command = serde_json::from_slice(&body).map_err(|error| {
        error_response(ApiError::bad_request(format!(
            "a command is {{\"type\": \"prompt\", \"text\": …}} or another: {error}"
        )))
    })?;
    let session = state.get_or_reopen(&SessionId::from(id.as_str())).await.map_err(error_response)?;
    check(&state, &session, &command).map_err(error_response)?;
    if let Command::Prompt { author, .. } = &mut command {
        *author = author.as_deref().and_then(shown_name).or_else(|| client_name(&headers));
    }
    session.touch();
    if let Command::Decide { call, decision } = command {
        return decide(&session, call, decision).await.map_err(error_response);
    }
    let seen = session.handle.hub.last_seq();
    let prompt = match &command {
        Command::Prompt { text, .. } => Some(text.clone()),
        _ => None,
    };
    send(&session, command).map_err(error_response)?;
    let place = match prompt {
        Some(text) => place_in_queue(&session, &text).await,
        None => None,
    };
    let answer = json!({ "accepted": true, "after": seen, "queued": place.is_some(), "place": place });
    Ok(json_response(202, &answer))
}

/// Returns the place of a prompt that was just sent among those that wait, from 1; none if it is sent on.
async fn place_in_queue(session: &RunningSession, text: &str) -> Option<usize> {
    let RunningSession { handle, .. } = session;
    // The session takes its commands at once, unless it is stuck.
    for _ in 0..MAX_YIELDS {
        if handle.commands.capacity() == handle.commands.max_capacity() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let status = handle.status.borrow();
    status.queue.iter().rposition(|queued| queued.text == text).map(|index| index + 1)
}

/// Rejects invalid commands before they are forwarded.
fn check(state: &ServerState, session: &RunningSession, command: &Command) -> Result<(), ApiError> {
    let capabilities = session.handle.capabilities;
    let able = |able: bool, why: &str| if able { Ok(()) } else { Err(ApiError::new(409, "not_here", why)) };
    match command {
        Command::Prompt { text, context, .. } | Command::Steer { text, context } => {
            able(capabilities.prompt, "this session takes no prompts")?;
            if text.trim().is_empty() {
                return Err(ApiError::bad_request("the prompt is empty").with_param("text"));
            }
            // Files, and as much of what commands printed.
            let most = 2 * MAX_PROMPT_CONTEXT_BYTES;
            if PromptContext::total_bytes(context) > most {
                let text = format!("at most {most} bytes go with a prompt");
                return Err(ApiError::too_large(text).with_param("context"));
            }
            check_images(context).map_err(|why| ApiError::too_large(why).with_param("context"))?;
            for (nth, image) in context.iter().filter_map(PromptContext::image).enumerate() {
                let wrong = |why| ApiError::bad_request(format!("image {}: {why}", nth + 1)).with_param("context");
                image.check().map_err(wrong)?;
            }
            state.check_prompt(text)
        }
        Command::KeepRun { .. } => able(false, "what runs at a client stays there"),
        Command::Note { text } => {
            able(capabilities.prompt, "this session takes no notes")?;
            if text.trim().is_empty() || text.len() > MAX_NOTE_BYTES {
                let what = format!("a note has 1 to {MAX_NOTE_BYTES} bytes");
                return Err(ApiError::bad_request(what).with_param("text"));
            }
            Ok(())
        }
        Command::Mark { seq, .. } => {
            able(capabilities.prompt, "nothing can be marked here")?;
            if !(Seq(1)..=session.handle.hub.last_seq()).contains(seq) {
                return Err(ApiError::bad_request("there is no event of that number").with_param("seq"));
            }
            Ok(())
        }
        Command::Branch { after } => {
            able(capabilities.branch, "this session can't branch: its agent keeps the conversation elsewhere")?;
            able(!session.is_busy(), "a turn is running: cancel it first")?;
            if *after > session.handle.hub.last_seq() {
                return Err(ApiError::bad_request("there is no event of that number").with_param("after"));
            }
            Ok(())
        }
        Command::SetModel { model } => {
            able(capabilities.prompt, "the model can't be changed here")?;
            if model.trim().is_empty() || model.len() > MAX_MODEL_NAME_BYTES {
                return Err(ApiError::bad_request("a model is written engine/model").with_param("model"));
            }
            Ok(())
        }
        Command::RevokeGrant { .. } => able(capabilities.decide, "this session takes no permission changes"),
        Command::SetMode { mode } => {
            able(capabilities.prompt, "the mode can't be changed here")?;
            state.check_mode(*mode)
        }
        Command::SetTitle { title } => {
            able(capabilities.prompt, "the session can't be named here")?;
            if title.len() > MAX_TITLE_BYTES {
                return Err(ApiError::bad_request("a title is one line").with_param("title"));
            }
            Ok(())
        }
        Command::SetOption { option, value } => {
            able(capabilities.prompt, "the agent's settings can't be changed here")?;
            if option.is_empty() || option.len().max(value.len()) > MAX_OPTION_BYTES {
                return Err(ApiError::bad_request("an option has an id and a value").with_param("option"));
            }
            Ok(())
        }
        Command::WarmUp
        | Command::Reconnect
        | Command::Continue
        | Command::Compact { .. }
        | Command::UndoCompaction { .. }
        | Command::SendQueued
        | Command::DequeuePrompt { .. } => able(capabilities.prompt, "this session takes no prompts"),
        Command::Decide { .. } | Command::DecideByLink { .. } => {
            able(capabilities.decide, "this session takes no decisions")
        }
        Command::Cancel => able(capabilities.cancel, "this session can't be cancelled"),
        Command::Seek { .. }
        | Command::SetSpeed { .. }
        | Command::SetPaused { .. }
        | Command::Step { .. }
        | Command::SetLoop { .. }
        | Command::CapIdle { .. } => able(capabilities.seek, "only a replay can be controlled"),
    }
}

async fn decide(
    session: &RunningSession,
    call: CallId,
    decision: Decision,
) -> Result<super::Response<super::Body>, ApiError> {
    if let Decision::Pattern(text) | Decision::Deny(Some(text)) = &decision
        && text.len() > 4096
    {
        return Err(ApiError::too_large("a pattern or reason must be one line").with_param("decision"));
    }
    if let Decision::Pattern(text) = &decision
        && let Some((_, request)) = session.snapshot().pending_approvals.iter().find(|(waiting, _)| *waiting == call)
        && let Err(wrong) = Pattern::parse_list_for(&request.tool, text)
    {
        return Err(ApiError::bad_request(wrong).with_param("decision"));
    }
    if let Decision::Offered { id, .. } = &decision
        && let Some((_, request)) = session.snapshot().pending_approvals.iter().find(|(waiting, _)| *waiting == call)
        && request.offered_answer(&decision).is_none()
    {
        let known: Vec<&str> = request.answers.iter().map(|answer| answer.id.as_str()).collect();
        let text = format!("no answer {id:?} is offered; there is {}", known.join(", "));
        return Err(ApiError::bad_request(text).with_param("decision"));
    }
    let mut subscription = session.handle.hub.subscribe(session.handle.hub.last_seq());
    match session.claim_decision(&call, &decision) {
        DecisionClaim::First => {}
        DecisionClaim::Late(winner, by) => return Ok(already_decided(&winner, by)),
        DecisionClaim::Unknown => return Err(ApiError::not_found(format!("no pending approval for {call}"))),
    }
    let command = Command::Decide { call: call.clone(), decision: decision.clone() };
    if session.handle.commands.try_send(command).is_err() {
        session.release_decision(&call);
        return Err(session_stuck());
    }
    // It counts once it is an event: the turn may have been cancelled, or the approval expired, an instant before.
    let known = timeout(DECISION_TIMEOUT, async {
        loop {
            if let Some(known) = session.resolution(&call) {
                return Some(known);
            }
            subscription.next().await?;
        }
    });
    match known.await {
        Ok(Some((known, DecidedBy::Remote))) => {
            Ok(json_response(200, &json!({ "call": call, "decision": known, "by": DecidedBy::Remote })))
        }
        Ok(Some((known, by))) => Ok(already_decided(&known, Some(by))),
        Ok(None) => Err(ApiError::new(410, "over", "the session ended before the decision")),
        Err(_) => Ok(json_response(202, &json!({ "accepted": true, "call": call, "decision": decision }))),
    }
}

/// The error for a decision that came too late: it has the one that counted.
fn already_decided(decision: &Decision, by: Option<DecidedBy>) -> super::Response<super::Body> {
    let text = "already decided";
    json_response(409, &json!({ "error": { "code": "decided", "message": text }, "decision": decision, "by": by }))
}

fn send(session: &RunningSession, command: Command) -> Result<(), ApiError> {
    session.handle.commands.try_send(command).map_err(|_| session_stuck())
}

fn session_stuck() -> ApiError {
    ApiError { retry_after: Some(1), ..ApiError::new(503, "stuck", "the session is not accepting commands right now") }
}
