//! Background responses that wait for another turn of their conversation: the client has their id at once, and asks how
//! they are.

use axum::http::HeaderMap;

use super::request::ResponsesRequest;
use super::stored_response::{RequestRecord, StoredResponse, session_of_response};
use super::{ResponsesResult, create_response, json_response};
use crate::bridge::new_uuid;
use crate::event::{Json, SessionId};
use crate::serve::error::ApiError;
use crate::serve::state::ServerState;

/// Returns a response as it is, if it has not begun.
pub(super) fn find(state: &ServerState, id: &str) -> Option<Json> {
    state.queued_responses().find(&session_of_response(id)?)
}

/// Takes a response out of the queue; returns it if it was there.
pub(super) fn cancel(state: &ServerState, id: &str) -> Option<Json> {
    state.queued_responses().cancel(&session_of_response(id)?)
}

/// Forgets a response that has not begun; returns whether it was there.
pub(super) fn remove(state: &ServerState, id: &str) -> bool {
    session_of_response(id).is_some_and(|session| state.queued_responses().remove(&session))
}

/// Waits until a response has begun, or can't.
pub(super) async fn wait_until_begun(state: &ServerState, id: &str) {
    if let Some(session) = session_of_response(id) {
        state.queued_responses().wait_until_begun(&session).await;
    }
}

/// Returns whether a request has to wait for another turn.
pub(super) async fn has_to_wait(state: &ServerState, wanted: &ResponsesRequest) -> Result<bool, ApiError> {
    if wanted.conversation.as_ref().is_some_and(|conversation| state.is_turn_waited_for("conversation", conversation)) {
        return Ok(true);
    }
    let Some(previous) = &wanted.previous_response else { return Ok(false) };
    if let Some(object) = find(state, previous) {
        return Ok(object["status"] == "queued");
    }
    Ok(StoredResponse::find(state, previous).await?.is_some_and(|response| !response.is_finished()))
}

/// Has a response wait, and answers with it as it is.
pub(super) fn queue(
    state: &ServerState,
    headers: &HeaderMap,
    body: &[u8],
    wanted: &ResponsesRequest,
    session: SessionId,
) -> ResponsesResult {
    let record = RequestRecord { echo: wanted.echo.clone(), model: wanted.model.clone(), ..RequestRecord::default() };
    let mut object = record.openai_encoder(&session).response();
    object["status"] = "queued".into();
    object["created_at"] = new_uuid().get_timestamp().map_or(0, |time| time.to_unix().0).into();
    let cancel = state.queued_responses().add(&session, object.clone())?;
    let (task, headers, body) = (state.clone(), headers.clone(), body.to_vec());
    state.spawn(async move {
        let created = tokio::select! {
            () = cancel.cancelled() => return,
            () = task.shutdown().cancelled() => return,
            created = create_response(&task, &headers, &body, false, Some(session.clone())) => created,
        };
        task.queued_responses().settle(&session, created.as_ref().map(drop));
    });
    Ok(json_response(200, &object))
}
