//! OpenJarvis's agent bridge: the named events of the agent between the chunks of a chat completion, on request.

use axum::http::HeaderMap;

use super::error::{ApiError, openai_error_body};
use super::state::Settings;
use crate::dialect::Encode;
use crate::dialect::chat::chunk::ChunkHead;
use crate::dialect::openjarvis::encode::OpenJarvisEncoder;
use crate::event::Json;

/// Requests the agent's events; as a header, and in the query.
const EVENTS_HEADER: &str = "x-jarvis-events";
const AGENT_EVENTS: &str = "agent";

/// Returns whether the client requested named events.
pub(super) fn asks_for_events(headers: &HeaderMap, query: Option<&str>) -> bool {
    let header = headers.get(EVENTS_HEADER).and_then(|value| value.to_str().ok());
    let requested = query.unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("events="));
    header.into_iter().chain(requested).any(|value| value.trim().eq_ignore_ascii_case(AGENT_EVENTS))
}

/// Returns whether a client gets named events: on request, and in compatibility mode if it sent tools.
pub(super) fn has_events(settings: &Settings, is_requested: bool, has_tools: bool) -> bool {
    is_requested || (settings.openjarvis_compat && has_tools)
}

/// Returns an encoder of an answer; `messages` counts those of its first request to the model.
pub(super) fn encoder(head: ChunkHead, prompt_tokens: u64, messages: u64) -> Box<dyn Encode> {
    Box::new(OpenJarvisEncoder::new(head, prompt_tokens, messages))
}

/// An error in OpenJarvis's format.
pub(super) fn error_body(refused: &ApiError) -> Json {
    let mut body = openai_error_body(refused);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("detail".into(), refused.message.as_str().into());
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_only_where_they_are_asked_for() {
        let header = |value: &str| HeaderMap::from_iter([(EVENTS_HEADER.parse().unwrap(), value.parse().unwrap())]);
        assert!(asks_for_events(&header("agent"), None));
        assert!(asks_for_events(&header("Agent"), Some("events=none")));
        assert!(asks_for_events(&HeaderMap::new(), Some("x=1&events=agent")));
        for query in [None, Some(""), Some("events"), Some("events="), Some("events=agents"), Some("noevents=agent")] {
            assert!(!asks_for_events(&header("yes"), query), "{query:?}");
        }
    }
}
