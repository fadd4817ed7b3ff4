//! PURE. What a request for a stream asks: as the Poe proxy's tools take it, or as a chat completion has it.

use serde_json::{Map, json};

use super::super::ask::Ask;
use super::super::chat::request::{self, Tools};
use super::super::refuse::Refused;
use crate::event::Json;

/// How the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct How {
    pub(super) warp: bool,
    pub(super) aggregates: bool,
}

/// A request, understood.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) ask: Ask,
    pub(super) streams: bool,
    /// Names the conversation that it belongs to.
    pub(super) thread: Option<String>,
}

/// Bytes of a conversation's name.
const LONGEST_NAME: usize = 256;

impl How {
    pub(super) fn read(query: Option<&str>) -> Result<Self, Refused> {
        let mut how = Self { warp: false, aggregates: true };
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("format", "warp")) => how.warp = true,
                Some(("format", "poe" | "sse" | "")) => how.warp = false,
                Some(("format", _)) => {
                    return Err(Refused::bad("a stream comes as format=poe or format=warp").about("format"));
                }
                Some(("aggregate", said)) => how.aggregates = !matches!(said, "0" | "false"),
                _ => {}
            }
        }
        Ok(how)
    }
}

/// Reads a request's body.
pub(super) fn read(body: &[u8]) -> Result<Asked, Refused> {
    let json: Json = serde_json::from_slice(body)
        .map_err(|error| Refused::bad(format!("the body of the request is not JSON: {error}")))?;
    let Json::Object(mut fields) = json else {
        return Err(Refused::bad("the body of the request must be a JSON object"));
    };
    let streams = match fields.remove("stream") {
        None | Some(Json::Null) => true,
        Some(Json::Bool(streams)) => streams,
        Some(_) => return Err(Refused::bad("stream must be true or false").about("stream")),
    };
    let thread = name(&mut fields, "session_id")?;
    if fields.get("model").is_none_or(Json::is_null)
        && let Some(bot) = fields.remove("bot")
    {
        fields.insert("model".into(), bot);
    }
    if fields.get("messages").is_none_or(Json::is_null) {
        let messages = message(&mut fields)?;
        fields.insert("messages".into(), messages);
    }
    let wanted = request::read(Json::Object(fields).to_string().as_bytes(), |_| Tools::Clients)?;
    Ok(Asked { ask: wanted.ask, streams, thread })
}

/// Makes the list of messages of a single one, which is a text or a message as they are in lists.
fn message(fields: &mut Map<String, Json>) -> Result<Json, Refused> {
    let said = ["prompt", "message"].into_iter().find_map(|key| Some((key, fields.remove(key)?)));
    match said {
        Some((_, Json::String(text))) => Ok(json!([{"role": "user", "content": text}])),
        Some((_, message @ Json::Object(_))) => Ok(json!([message])),
        Some((key, _)) => Err(Refused::bad(format!("{key} must be a text")).about(key)),
        None => Err(Refused::bad("prompt is missing, and so is messages").about("prompt")),
    }
}

fn name(fields: &mut Map<String, Json>, key: &str) -> Result<Option<String>, Refused> {
    match fields.remove(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(name)) if name.len() <= LONGEST_NAME => Ok(Some(name).filter(|name| !name.is_empty())),
        Some(_) => Err(Refused::bad(format!("{key} must be a text of at most {LONGEST_NAME} bytes")).about(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &Json) -> Asked {
        read(body.to_string().as_bytes()).unwrap()
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
            assert_eq!(asked.ask.prompt.as_deref(), Some("hi"), "{body}");
            assert_eq!(asked.ask.model.as_deref(), Some("engine/m"), "{body}");
            assert_eq!((asked.streams, asked.thread.as_deref()), (true, Some("s")));
            assert!(asked.ask.past.is_empty() && asked.ask.client_tools.is_none());
        }
        assert!(!asked(&json!({"prompt": "hi", "stream": false})).streams);
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
            assert_eq!(read(body.to_string().as_bytes()).unwrap_err().param.as_deref(), param, "{body}");
        }
        assert_eq!(How::read(Some("format=xml")).unwrap_err().status, 400);
    }

    #[test]
    fn how_it_is_wanted_stands_in_the_query() {
        let how = |query| How::read(query).unwrap();
        assert_eq!(how(None), How { warp: false, aggregates: true });
        assert_eq!(how(Some("aggregate=0")), How { warp: false, aggregates: false });
        assert_eq!(how(Some("x=1&format=warp&aggregate=1")), How { warp: true, aggregates: true });
    }
}
