//! PURE. A conversation that an enclava server keeps, so that the past need not go along as one text.
//!
//! Its streams are never stored and add nothing to a conversation, so the client appends what was said, prompt and
//! answer, before the next turn refers to it. The first turn needs none. A server that has no such thing, or lost it,
//! gets the past as text from then on.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::json;

use super::Target;
use crate::dialect::{Decode, SseFrame};
use crate::engine::{Past, Request};
use crate::event::{AgentEvent, Fault, Json, Level, TurnEnd};
use crate::net::call::{Framing, HttpCall, Method};
use crate::text::address::path_and_query;

/// Items that are appended at once.
const MOST: usize = 200;
/// Where its answers are asked for.
const RESPONSES: &str = "/responses";

/// How far it is.
#[derive(Debug, Default)]
pub(super) enum Kept {
    /// Not begun.
    #[default]
    No,
    /// It has this name, and the first so many entries of the past.
    As { id: String, entries: usize },
    /// It can't be had.
    Never,
}

impl Kept {
    /// Says what to ask next.
    pub(super) fn prepare(&self, target: &Target, request: &Request) -> Option<HttpCall> {
        let base = base(&target.url)?;
        let post = |path: String, body: Json| {
            let url = format!("{base}{path}");
            let body = Some(Bytes::from(body.to_string()));
            HttpCall { method: Method::Post, url, headers: target.headers.clone(), body, framing: Framing::Ndjson }
        };
        match self {
            Self::Never => None,
            Self::No if said(request) == 0 => None,
            Self::No => Some(post("/conversations".into(), json!({}))),
            Self::As { id, entries } => {
                let items = items(request, *entries);
                if items.is_empty() {
                    return None;
                }
                Some(post(format!("/conversations/{id}/items"), json!({ "items": items })))
            }
        }
    }

    /// Takes the answer. Returns what the person should know.
    pub(super) fn prepared(&mut self, request: &Request, answer: Result<Json, Fault>) -> Option<String> {
        let fault = match (&mut *self, answer) {
            (Self::No, Ok(answer)) => match answer.get("id").and_then(Json::as_str).filter(|id| is_plain(id)) {
                Some(id) => {
                    *self = Self::As { id: id.to_owned(), entries: 0 };
                    return None;
                }
                None => "it named none".to_owned(),
            },
            (Self::As { entries, .. }, Ok(_)) => {
                *entries = (*entries + chunk(request, *entries)).min(said(request));
                return None;
            }
            (_, Err(fault)) => fault.message,
            (Self::Never, Ok(_)) => return None,
        };
        *self = Self::Never;
        Some(format!("the server keeps no conversation, so the past goes along as text from here on: {fault}"))
    }

    /// Returns the conversation that holds all that was said before.
    pub(super) fn whole(&self, request: &Request) -> Option<&str> {
        match self {
            Self::As { id, entries } if *entries == said(request) => Some(id),
            _ => None,
        }
    }

    /// A turn that referred to it is over. Returns what the person should know.
    pub(super) fn ended(&mut self, end: &TurnEnd, spoke: bool) -> Option<String> {
        if !matches!((&*self, end), (Self::As { .. }, TurnEnd::Failed(_))) || spoke {
            return None;
        }
        *self = Self::Never;
        Some("the server may have failed over its own conversation; /retry sends the past as text".to_owned())
    }
}

/// Decodes an answer that refers to a conversation, and looks whether that did harm.
pub(super) struct Referring<D> {
    inner: D,
    kept: Arc<Mutex<Kept>>,
    spoke: bool,
}

impl<D: Decode> Referring<D> {
    pub(super) fn new(inner: D, kept: Arc<Mutex<Kept>>) -> Self {
        Self { inner, kept, spoke: false }
    }

    fn look(&mut self, events: &[AgentEvent]) {
        self.spoke |= events
            .iter()
            .any(|event| matches!(event, AgentEvent::TextDelta { .. } | AgentEvent::ToolCallStarted { .. }));
    }
}

impl<D: Decode> Decode for Referring<D> {
    fn content_type(&mut self, content_type: &str) {
        self.inner.content_type(content_type);
    }

    fn frame(&mut self, frame: &SseFrame, out: &mut Vec<AgentEvent>) {
        let from = out.len();
        self.inner.frame(frame, out);
        self.look(out.get(from..).unwrap_or_default());
    }

    fn finish(&mut self, out: &mut Vec<AgentEvent>) {
        self.inner.finish(out);
        let Some(AgentEvent::TurnFinished { end, .. }) = out.last() else { return };
        let told = self.kept.lock().unwrap_or_else(PoisonError::into_inner).ended(end, self.spoke);
        if let Some(text) = told {
            let at = out.len().saturating_sub(1);
            out.insert(at, AgentEvent::Noticed { level: Level::Warn, code: "conversation".into(), text });
        }
    }

    fn has_failed(&self) -> bool {
        self.inner.has_failed()
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }

    fn is_settled(&self) -> bool {
        self.inner.is_settled()
    }
}

/// How many entries stand before what is asked now.
fn said(request: &Request) -> usize {
    request.past.iter().rposition(|past| matches!(past, Past::User { .. })).unwrap_or(0)
}

fn chunk(request: &Request, from: usize) -> usize {
    said(request).saturating_sub(from).min(MOST)
}

fn items(request: &Request, from: usize) -> Vec<Json> {
    let item = |role: &str, text: &str| json!({ "type": "message", "role": role, "content": text });
    let entries = request.past.iter().skip(from).take(chunk(request, from));
    entries
        .filter_map(|past| match past {
            Past::User { text } => Some(item("user", text)),
            Past::Assistant { text, .. } => Some(item("assistant", text)),
            Past::Tool { .. } => None,
        })
        .collect()
}

/// It becomes a part of an address.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.len() <= 200 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// What comes before the path of the answers; the query may hold a key, so there is none with one.
fn base(url: &str) -> Option<&str> {
    let (_, query) = path_and_query(url);
    let is_plain = query.is_empty() || query == "stream=true";
    url.split(['?', '#']).next()?.trim_end_matches('/').strip_suffix(RESPONSES).filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FaultKind;

    fn request(turns: usize) -> Request {
        let mut past = Vec::new();
        for turn in 0..turns {
            past.push(Past::User { text: format!("q{turn}") });
            let text = format!("a{turn}");
            past.push(Past::Assistant { text, reasoning: String::new(), calls: Vec::new(), carry: None });
        }
        past.push(Past::User { text: "now".into() });
        Request { model: "m".into(), past, ..Request::default() }
    }

    fn target(url: &str) -> Target {
        Target {
            name: "e".into(),
            url: url.into(),
            style: super::super::Style::Enclava,
            headers: Vec::new(),
            dialect: None,
            thread: "t".into(),
            explain: false,
            feeds: false,
        }
    }

    fn body(call: &HttpCall) -> Json {
        serde_json::from_slice(call.body.as_deref().unwrap()).unwrap()
    }

    #[test]
    fn a_conversation_begins_with_the_second_turn_and_gets_what_was_said() {
        let target = target("http://h/api/v1/responses");
        let mut kept = Kept::default();
        assert!(kept.prepare(&target, &request(0)).is_none() && kept.whole(&request(0)).is_none());
        let second = request(1);
        assert_eq!(kept.prepare(&target, &second).unwrap().url, "http://h/api/v1/conversations");
        assert_eq!(kept.prepared(&second, Ok(json!({"id": "conv_1_a"}))), None);
        assert_eq!(kept.whole(&second), None, "not before it has the past");
        let call = kept.prepare(&target, &second).unwrap();
        assert_eq!(call.url, "http://h/api/v1/conversations/conv_1_a/items");
        let item = |role: &str, text: &str| json!({"type": "message", "role": role, "content": text});
        assert_eq!(body(&call)["items"], json!([item("user", "q0"), item("assistant", "a0")]));
        assert_eq!(kept.prepared(&second, Ok(json!({}))), None);
        assert!(kept.prepare(&target, &second).is_none());
        assert_eq!(kept.whole(&second), Some("conv_1_a"));
        let third = request(2);
        assert_eq!(kept.whole(&third), None);
        assert_eq!(body(&kept.prepare(&target, &third).unwrap())["items"][0], item("user", "q1"));
    }

    #[test]
    fn a_conversation_that_is_not_to_be_had_or_gone_is_told_once() {
        let target = target("http://h/api/v1/responses?stream=true");
        let gone = || Err(Fault::new(FaultKind::BadRequest, "404 not found"));
        let mut kept = Kept::default();
        assert!(kept.prepared(&request(1), gone()).is_some_and(|text| text.contains("404")));
        assert!(kept.prepare(&target, &request(1)).is_none() && kept.whole(&request(1)).is_none());
        let mut kept = Kept::As { id: "c".into(), entries: 2 };
        assert!(kept.prepared(&request(2), gone()).is_some());
        assert!(kept.prepare(&target, &request(2)).is_none());
        let mut odd = Kept::default();
        assert!(odd.prepared(&request(1), Ok(json!({"id": "../x"}))).is_some());
    }

    #[test]
    fn a_turn_that_fails_without_a_word_gives_the_conversation_up() {
        let failed = TurnEnd::Failed(Fault::new(FaultKind::Upstream, "not JSON serializable"));
        let mut kept = Kept::As { id: "c".into(), entries: 2 };
        assert_eq!(kept.ended(&failed, true), None);
        assert_eq!(kept.ended(&TurnEnd::Completed, false), None);
        assert!(kept.ended(&failed, false).is_some());
        assert_eq!(kept.ended(&failed, false), None);
    }

    #[test]
    fn an_address_with_a_key_in_it_has_no_conversations() {
        let target = target("http://h/api/v1/responses?api_key=k");
        assert!(Kept::default().prepare(&target, &request(1)).is_none());
    }
}
