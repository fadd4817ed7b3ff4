//! PURE. Parses a stream request, in the format of the Poe proxy's tools or of a chat completion.

use serde_json::{Map, json};

use super::super::chat::request::{self, ToolOwner};
use super::super::error::ApiError;
use super::super::request::OneShotRequest;
use crate::event::Json;

/// The format of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StreamFormat {
    pub(super) is_warp: bool,
    pub(super) sends_aggregate: bool,
}

/// A parsed request.
#[derive(Debug, PartialEq)]
pub(super) struct StreamRequest {
    pub(super) one_shot: OneShotRequest,
    pub(super) is_streamed: bool,
    /// The name of its conversation.
    pub(super) thread: Option<String>,
}

/// Limit of a conversation's name.
const MAX_NAME_BYTES: usize = 256;

impl StreamFormat {
    pub(super) fn read(query: Option<&str>) -> Result<Self, ApiError> {
        let mut how = Self { is_warp: false, sends_aggregate: true };
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("format", "warp")) => how.is_warp = true,
                Some(("format", "poe" | "sse" | "")) => how.is_warp = false,
                Some(("format", _)) => {
                    return Err(ApiError::bad_request("format must be poe or warp").with_param("format"));
                }
                Some(("aggregate", value)) => how.sends_aggregate = !matches!(value, "0" | "false"),
                _ => {}
            }
        }
        Ok(how)
    }
}

/// Parses a request's body.
pub(super) fn parse(body: &[u8]) -> Result<StreamRequest, ApiError> {
    let json: Json = serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("the body of the request is not JSON: {error}")))?;
    let Json::Object(mut fields) = json else {
        return Err(ApiError::bad_request("the body of the request must be a JSON object"));
    };
    let streams = match fields.remove("stream") {
        None | Some(Json::Null) => true,
        Some(Json::Bool(streams)) => streams,
        Some(_) => return Err(ApiError::bad_request("stream must be true or false").with_param("stream")),
    };
    let thread = take_name(&mut fields, "session_id")?;
    if fields.get("model").is_none_or(Json::is_null)
        && let Some(bot) = fields.remove("bot")
    {
        fields.insert("model".into(), bot);
    }
    if fields.get("messages").is_none_or(Json::is_null) {
        let messages = take_message(&mut fields)?;
        fields.insert("messages".into(), messages);
    }
    let wanted = request::parse(Json::Object(fields).to_string().as_bytes(), |_| ToolOwner::Client)?;
    Ok(StreamRequest { one_shot: wanted.one_shot, is_streamed: streams, thread })
}

/// Returns the messages of a request with a single one, which is a string or a message object.
fn take_message(fields: &mut Map<String, Json>) -> Result<Json, ApiError> {
    let field = ["prompt", "message"].into_iter().find_map(|key| Some((key, fields.remove(key)?)));
    match field {
        Some((_, Json::String(text))) => Ok(json!([{"role": "user", "content": text}])),
        Some((_, message @ Json::Object(_))) => Ok(json!([message])),
        Some((key, _)) => Err(ApiError::bad_request(format!("{key} must be a string")).with_param(key)),
        None => Err(ApiError::bad_request("prompt or messages is missing").with_param("prompt")),
    }
}

fn take_name(fields: &mut Map<String, Json>, key: &str) -> Result<Option<String>, ApiError> {
    match fields.remove(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(name)) if name.len() <= MAX_NAME_BYTES => Ok(Some(name).filter(|name| !name.is_empty())),
        Some(_) => {
            Err(ApiError::bad_request(format!("{key} must be a string of at most {MAX_NAME_BYTES} bytes"))
                .with_param(key))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &Json) -> StreamRequest {
        parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_prompt_is_a_prompt_whatever_it_is_called() {
        for body in [
            json!({"bot": "engine/m", "prompt": "hi", "session_id": "s", "thinking": {"budget_tokens": 9}}),
            json!({"model": "engine/m", "message": "hi", "session_id": "s", "bot": "other"}),
            json!({"model": "engine/m", "message": {"role": "user", "content": "hi"}, "session_id": "s"}),
            json!({"bot": "engine/m", "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
                "prompt": "not this", "session_id": "s", "stream": null}),
        ] {
            let asked = asked(&body);
            assert_eq!(asked.one_shot.prompt.as_deref(), Some("hi"), "{body}");
            assert_eq!(asked.one_shot.model.as_deref(), Some("engine/m"), "{body}");
            assert_eq!((asked.is_streamed, asked.thread.as_deref()), (true, Some("s")));
            assert!(asked.one_shot.history.is_empty() && asked.one_shot.client_tools.is_none());
        }
        assert!(!asked(&json!({"prompt": "hi", "stream": false})).is_streamed);
    }

    #[test]
    fn what_can_t_be_meant_is_refused_by_name() {
        for (body, param) in [
            (json!({}), Some("prompt")),
            (json!({"prompt": 3}), Some("prompt")),
            (json!({"prompt": "hi", "session_id": 3}), Some("session_id")),
            (json!({"prompt": "hi", "stream": "yes"}), Some("stream")),
            (json!({"messages": []}), Some("messages")),
            (json!([]), None),
        ] {
            assert_eq!(parse(body.to_string().as_bytes()).unwrap_err().param.as_deref(), param, "{body}");
        }
        assert_eq!(StreamFormat::read(Some("format=xml")).unwrap_err().status, 400);
    }

    #[test]
    fn how_it_is_wanted_stands_in_the_query() {
        let how = |query| StreamFormat::read(query).unwrap();
        assert_eq!(how(None), StreamFormat { is_warp: false, sends_aggregate: true });
        assert_eq!(how(Some("aggregate=0")), StreamFormat { is_warp: false, sends_aggregate: false });
        assert_eq!(how(Some("x=1&format=warp&aggregate=1")), StreamFormat { is_warp: true, sends_aggregate: true });
    }
}
