//! Stored responses: a response is stored only as the log of its session.
//!
//! Its id is derived from the session's name. The request's own fields are recorded in the log between the events of
//! earlier responses and those of this request.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Map;
use tokio::time::timeout;

use super::super::error::ApiError;
use super::super::oneshot;
use super::super::request::is_history_turn;
use super::super::state::ServerState;
use crate::dialect::Encode;
use crate::dialect::responses::encode::ResponsesEncoder;
use crate::dialect::responses::object::ResponseHead;
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Envelope, Json, SessionId};

/// The turn of the annotation that records a request: it precedes the request's own turn.
const REQUEST_TURN: &str = "request";
/// How long a session to be deleted may take to end.
const SESSION_END_TIMEOUT: Duration = Duration::from_secs(6);

/// The fields of a request that its response needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::serve) struct RequestRecord {
    /// The surface it came through.
    pub(in crate::serve) surface: String,
    /// Fields of the response that repeat the request.
    pub(in crate::serve) echo: Map<String, Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::serve) model: Option<String>,
    pub(in crate::serve) client_tools: bool,
    /// Estimated tokens of the prompt.
    #[serde(rename = "asked")]
    pub(in crate::serve) prompt_tokens: u64,
    /// Whether it may be retrieved later.
    pub(in crate::serve) store: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::serve) rounds: Option<u32>,
}

impl RequestRecord {
    /// Inserts it into the history, where the request's own events begin.
    pub(in crate::serve) fn insert_into(&self, past: &mut Vec<AgentEvent>, at: usize) {
        let data = serde_json::to_value(self).unwrap_or_default();
        let event = AgentEvent::Annotation {
            on: AnnotationTarget::Turn(REQUEST_TURN.into()),
            annotation: Annotation::Request(data),
        };
        past.insert(at.min(past.len()), event);
    }

    fn from_event(event: &AgentEvent) -> Option<Self> {
        match event {
            AgentEvent::Annotation { annotation: Annotation::Request(data), .. } => {
                serde_json::from_value(data.clone()).ok()
            }
            _ => None,
        }
    }

    /// Returns the head of its response.
    pub(in crate::serve) fn head(&self, session: &SessionId) -> ResponseHead {
        ResponseHead {
            id: response_id(session),
            model: self.model.clone(),
            client_tools: self.client_tools,
            prompt_tokens: self.prompt_tokens,
            echo: self.echo.clone(),
        }
    }

    /// Returns an encoder for OpenAI's format.
    pub(in crate::serve) fn openai_encoder(&self, session: &SessionId) -> ResponsesEncoder {
        ResponsesEncoder::new(self.head(session))
    }
}

/// A response as far as its log has it.
#[derive(Debug)]
pub(in crate::serve) struct StoredResponse {
    pub(in crate::serve) session: SessionId,
    pub(in crate::serve) record: RequestRecord,
    events: Vec<Envelope>,
    /// Where the request's own events begin.
    own_start: usize,
}

impl StoredResponse {
    /// Finds a response that may be retrieved; `None` if it doesn't exist.
    pub(in crate::serve) async fn find(state: &ServerState, id: &str) -> Result<Option<Self>, ApiError> {
        let Some(session) = session_of_response(id) else { return Ok(None) };
        let events = match oneshot::session_events(state, &session).await {
            Ok(events) => events,
            Err(refused) if refused.status == 404 => return Ok(None),
            Err(refused) => return Err(refused),
        };
        let record = events
            .iter()
            .enumerate()
            .rev()
            .find_map(|(at, envelope)| Some((at, RequestRecord::from_event(&envelope.event)?)));
        Ok(record.filter(|(_, record)| record.store).map(|(at, record)| Self {
            session,
            record,
            events,
            own_start: at + 1,
        }))
    }

    /// Finds a response, once it is finished: one that runs is waited for.
    pub(in crate::serve) async fn find_finished(state: &ServerState, id: &str) -> Result<Option<Self>, ApiError> {
        match Self::find(state, id).await? {
            Some(running) if !running.is_finished() => {
                state.wait_until_ended(&running.session).await;
                Self::find(state, id).await
            }
            found => Ok(found),
        }
    }

    /// Returns all events, the history included.
    pub(in crate::serve) fn all_events(&self) -> impl Iterator<Item = &AgentEvent> {
        self.events.iter().map(|envelope| &envelope.event)
    }

    /// Returns the events of this request and its answer.
    pub(in crate::serve) fn own_events(&self) -> impl Iterator<Item = &AgentEvent> {
        self.events.iter().skip(self.own_start).map(|envelope| &envelope.event)
    }

    pub(in crate::serve) fn is_finished(&self) -> bool {
        let is_end =
            |event: &AgentEvent| matches!(event, AgentEvent::TurnFinished { turn, .. } if !is_history_turn(turn));
        self.own_events().any(is_end)
    }

    /// Feeds an encoder with the events so far, as if they were happening now.
    pub(in crate::serve) fn feed(&self, encoder: &mut dyn Encode) {
        let (mut frames, mut begun) = (Vec::new(), false);
        encoder.start(&mut frames);
        for envelope in &self.events {
            begun |= matches!(&envelope.event, AgentEvent::TurnStarted { turn, .. } if !is_history_turn(turn));
            if begun || matches!(envelope.event, AgentEvent::SessionOpened { .. }) {
                encoder.encode_event(envelope, &mut frames);
            }
            frames.clear();
        }
    }

    /// Returns the response in OpenAI's format.
    pub(in crate::serve) fn openai_response(&self) -> Json {
        let mut encoder = self.record.openai_encoder(&self.session);
        self.feed(&mut encoder);
        encoder.response()
    }
}

/// Deletes the session of a response, once it has ended.
pub(in crate::serve) async fn remove_response(state: &ServerState, session: &SessionId) -> Result<(), ApiError> {
    if timeout(SESSION_END_TIMEOUT, state.wait_until_ended(session)).await.is_err() {
        return Err(ApiError::new(409, "in_progress", "the response has not finished; retry"));
    }
    state.factory().remove(session).await
}

/// Deletes it as soon as it has ended, however long that takes.
pub(in crate::serve) async fn remove_when_ended(state: ServerState, session: SessionId) {
    state.wait_until_ended(&session).await;
    if let Err(refused) = state.factory().remove(&session).await {
        tracing::warn!("a response with store=false could not be removed: {refused}");
    }
}

/// Converts a session's name to the id of a response: `20261120-195114-7bbb` is `resp_20261120195114_7bbb`.
pub(in crate::serve) fn response_id(session: &SessionId) -> String {
    let name = session.as_str();
    match name.split('-').collect::<Vec<_>>().as_slice() {
        [day, time, rest] if is_digits(day, 8) && is_digits(time, 6) && is_word(rest) => {
            format!("resp_{day}{time}_{rest}")
        }
        _ => format!("resp_{name}"),
    }
}

/// Converts a response's id back to the session's name.
pub(in crate::serve) fn session_of_response(id: &str) -> Option<SessionId> {
    let name = id.strip_prefix("resp_").filter(|name| !name.is_empty() && name.len() <= 100)?;
    let parts = name.split_once('_').filter(|(stamp, rest)| is_digits(stamp, 14) && is_word(rest));
    Some(match parts.and_then(|(stamp, rest)| Some((stamp.split_at_checked(8)?, rest))) {
        Some(((day, time), rest)) => SessionId::new(format!("{day}-{time}-{rest}")),
        None => SessionId::from(name),
    })
}

fn is_digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_sessions_name() {
        let id = |name: &str| response_id(&name.into());
        assert_eq!(id("20261120-195114-7bbb"), "resp_20261120195114_7bbb");
        for name in ["20261120-195114-7bbb", "20261120-195114-7bbb0a1b", "demo", "s_1", "a-b-c", "20261120-195114-7b_b"]
        {
            assert_eq!(session_of_response(&id(name)), Some(name.into()), "{name}");
        }
        for wrong in ["", "resp_", "chatcmpl-1", "20261120-195114-7bbb"] {
            assert_eq!(session_of_response(wrong), None, "{wrong}");
        }
    }
}
