//! PURE. enclava's Responses: the query requests the stream, the conversation is one text, or is kept by the server so
//! that the past need not be sent as one.
//!
//! Its streams are never stored and add nothing to a conversation, so the client appends prompt and answer before the
//! next turn refers to it. The first turn needs none. A server without conversations, or one that lost it, gets the
//! past as text from then on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;

use super::probe::{ProbeAnswers, ProbedServer};
use super::protocol::{Protocol, flatten_history, last_prompt};
use super::request_kind::{ModelListPath, RequestKind};
use super::{AnnouncingDetector, RemoteTarget};
use crate::dialect::{Decode, ResponseHead, SseFrame};
use crate::engine::{HistoryMessage, ModelRequest, Preparation, ReplyPlan};
use crate::event::{Fault, Json, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome};
use crate::net::request::{Framing, HttpRequest};
use crate::text::address::path_and_query;

/// Items appended in one request.
const MAX_ITEMS_PER_APPEND: usize = 200;
/// Requests that are worth it, to bring a conversation up to date.
const MAX_APPENDS: usize = 90;
/// The path of its answers.
const RESPONSES_PATH: &str = "/responses";

pub(super) static RESPONSES: RequestKind = RequestKind {
    name: "enclava",
    default_path: "/api/v1/responses",
    is_at: |path, query| {
        path.ends_with("/api/v1/responses")
            || path.ends_with("/api-internal/v1/responses")
            || (path.ends_with(RESPONSES_PATH) && query.split('&').any(|pair| pair == "stream=true"))
    },
    needs_model: true,
    model_list: Some(ModelListPath::openai(RESPONSES_PATH)),
    protocol: Some(|_| Box::<EnclavaProtocol>::default()),
    ..RequestKind::NEW
};

/// Identifies a server by its list of models or its name.
pub(super) fn identify(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let app = answers.get("/health").and_then(|health| health.get("app")?.as_str()).unwrap_or_default();
    let is_named = app.to_lowercase().contains("enclava");
    let models = answers.models("/api/v1/models").or_else(|| is_named.then(Vec::new))?;
    let evidence =
        if app.is_empty() { "/api/v1/models lists models".to_owned() } else { format!("/health says {app:?}") };
    Some(ProbedServer {
        description: "enclava".into(),
        evidence,
        models,
        ..answers.server(&RESPONSES, RESPONSES.default_path)
    })
}

/// One conversation with a server.
#[derive(Default)]
struct EnclavaProtocol(Arc<Mutex<ServerConversation>>);

impl Protocol for EnclavaProtocol {
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        decode: AnnouncingDetector,
    ) -> Option<ReplyPlan> {
        let conversation = lock(&self.0);
        if let Some(call) = conversation.preparation(target, request) {
            let (kept, request) = (self.0.clone(), request.clone());
            let handle = Box::new(move |answer| lock(&kept).handle_prepared(&request, answer));
            return Some(ReplyPlan::Prepare(Preparation { request: call, handle }));
        }
        let id = conversation.complete_id(request);
        let call = target.post(Vec::new(), &body(request, id));
        let call = HttpRequest { url: streaming_url(call.url), ..call };
        Some(match id {
            Some(_) => ReplyPlan::http(call, ConversationDecoder::new(decode, self.0.clone())),
            None => ReplyPlan::http(call, decode),
        })
    }
}

/// The server's current version fails on lists of items, so the conversation goes as one text. Where the server keeps
/// the conversation, only what is new is sent. Nothing else is to be stored.
fn body(request: &ModelRequest, conversation: Option<&str>) -> Json {
    let mut body = json!({"model": request.model, "stream": true, "store": false});
    match conversation {
        Some(id) => {
            body["conversation"] = Json::from(id);
            body["input"] = Json::from(last_prompt(request).unwrap_or_default());
        }
        None => body["input"] = Json::from(flatten_history(request)),
    }
    if !request.system.is_empty() {
        body["instructions"] = Json::from(request.system.as_str());
    }
    body
}

/// Returns the URL with the query that requests a stream.
fn streaming_url(url: String) -> String {
    let (_, query) = path_and_query(&url);
    if query.split('&').any(|pair| pair.starts_with("stream=")) {
        return url;
    }
    let (whole, _) = url.split_once('#').unwrap_or((&url, ""));
    format!("{whole}{}stream=true", if query.is_empty() { "?" } else { "&" })
}

fn lock(conversation: &Mutex<ServerConversation>) -> MutexGuard<'_, ServerConversation> {
    conversation.lock().unwrap_or_else(PoisonError::into_inner)
}

/// State of the conversation on the server.
#[derive(Debug, Default)]
enum ServerConversation {
    #[default]
    NotStarted,
    /// It has this id, and holds this many entries of the past.
    Active { id: String, entries: usize },
    /// The server can't keep it.
    Unavailable,
}

impl ServerConversation {
    /// Returns the next request before the prompt.
    fn preparation(&self, target: &RemoteTarget, request: &ModelRequest) -> Option<HttpRequest> {
        let base = base_url(&target.url)?;
        let post = |path: String, body: Json| {
            HttpRequest::post(format!("{base}{path}"), target.headers.clone(), body.to_string(), Framing::Ndjson)
        };
        match self {
            Self::Unavailable => None,
            _ if self.is_too_far_behind(request) => None,
            Self::NotStarted if entries_before_prompt(request) == 0 => None,
            Self::NotStarted => Some(post("/conversations".into(), json!({}))),
            Self::Active { id, entries } => {
                let items = items(request, *entries);
                if items.is_empty() {
                    return None;
                }
                Some(post(format!("/conversations/{id}/items"), json!({ "items": items })))
            }
        }
    }

    /// Returns whether the past would take too many requests to append.
    fn is_too_far_behind(&self, request: &ModelRequest) -> bool {
        let known = if let Self::Active { entries, .. } = self { *entries } else { 0 };
        entries_before_prompt(request).saturating_sub(known) > MAX_APPENDS * MAX_ITEMS_PER_APPEND
    }

    /// Takes the response. Returns a message for the person, if any.
    fn handle_prepared(&mut self, request: &ModelRequest, answer: Result<Json, Fault>) -> Option<String> {
        let fault = match (&mut *self, answer) {
            (Self::NotStarted, Ok(answer)) => match answer.get("id").and_then(Json::as_str).filter(|id| is_plain(id)) {
                Some(id) => {
                    *self = Self::Active { id: id.to_owned(), entries: 0 };
                    return None;
                }
                None => "it returned none".to_owned(),
            },
            (Self::Active { entries, .. }, Ok(_)) => {
                *entries = (*entries + next_chunk_len(request, *entries)).min(entries_before_prompt(request));
                return None;
            }
            (_, Err(fault)) => fault.message,
            (Self::Unavailable, Ok(_)) => return None,
        };
        *self = Self::Unavailable;
        Some(format!("the server keeps no conversation, so requests include the history as text from now on: {fault}"))
    }

    /// Returns the id of the conversation, if it holds everything before the prompt.
    fn complete_id(&self, request: &ModelRequest) -> Option<&str> {
        match self {
            Self::Active { id, entries } if *entries == entries_before_prompt(request) => Some(id),
            _ => None,
        }
    }

    /// Handles the end of a turn that referred to it. Returns a message for the person, if any.
    fn handle_turn_end(&mut self, outcome: &TurnOutcome, spoke: bool) -> Option<String> {
        if !matches!((&*self, outcome), (Self::Active { .. }, TurnOutcome::Failed(_))) || spoke {
            return None;
        }
        *self = Self::Unavailable;
        Some("the server may have failed on its own conversation; /retry sends the history as text".to_owned())
    }
}

/// Decodes an answer that refers to a conversation, and watches for failures that this may have caused.
struct ConversationDecoder<D> {
    inner: D,
    conversation: Arc<Mutex<ServerConversation>>,
    has_output: bool,
}

impl<D: Decode> ConversationDecoder<D> {
    fn new(inner: D, kept: Arc<Mutex<ServerConversation>>) -> Self {
        Self { inner, conversation: kept, has_output: false }
    }

    fn note_output(&mut self, events: &[ReplyEvent]) {
        self.has_output |= events
            .iter()
            .any(|event| matches!(event, ReplyEvent::TextDelta { .. } | ReplyEvent::ToolCallStarted { .. }));
    }
}

impl<D: Decode> Decode for ConversationDecoder<D> {
    fn begin_response(&mut self, head: &ResponseHead) {
        self.inner.begin_response(head);
    }

    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let from = out.len();
        self.inner.decode_frame(frame, out);
        self.note_output(out.get(from..).unwrap_or_default());
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.inner.finish(out);
        let Some(ReplyEvent::End { outcome }) = out.last() else { return };
        let told = lock(&self.conversation).handle_turn_end(outcome, self.has_output);
        if let Some(text) = told {
            let at = out.len().saturating_sub(1);
            out.insert(at, ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Conversation, text });
        }
    }

    fn has_failed(&self) -> bool {
        self.inner.has_failed()
    }

    fn is_done(&self) -> bool {
        self.inner.is_done()
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }

    fn begins_next(&self, frame: &SseFrame) -> bool {
        self.inner.begins_next(frame)
    }
}

/// Number of entries before the current prompt.
fn entries_before_prompt(request: &ModelRequest) -> usize {
    request.history.iter().rposition(|past| matches!(past, HistoryMessage::User { .. })).unwrap_or(0)
}

fn next_chunk_len(request: &ModelRequest, from: usize) -> usize {
    entries_before_prompt(request).saturating_sub(from).min(MAX_ITEMS_PER_APPEND)
}

fn items(request: &ModelRequest, from: usize) -> Vec<Json> {
    let item = |role: &str, text: &str| json!({ "type": "message", "role": role, "content": text });
    let entries = request.history.iter().skip(from).take(next_chunk_len(request, from));
    entries
        .filter_map(|past| match past {
            HistoryMessage::User { text, .. } => Some(item("user", text)),
            HistoryMessage::Assistant { text, .. } => Some(item("assistant", text)),
            HistoryMessage::Tool { .. } => None,
        })
        .collect()
}

/// The id becomes a part of a URL.
fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.len() <= 200 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Returns the URL up to the path of the answers; none where there is a query, which may hold a key.
fn base_url(url: &str) -> Option<&str> {
    let (_, query) = path_and_query(url);
    let is_plain = query.is_empty() || query == "stream=true";
    url.split(['?', '#']).next()?.trim_end_matches('/').strip_suffix(RESPONSES_PATH).filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FaultKind;

    fn request(turns: usize) -> ModelRequest {
        let mut past = Vec::new();
        for turn in 0..turns {
            past.push(HistoryMessage::user(format!("q{turn}")));
            let text = format!("a{turn}");
            past.push(HistoryMessage::Assistant {
                text,
                reasoning: String::new(),
                calls: Vec::new(),
                provider_metadata: None,
            });
        }
        past.push(HistoryMessage::user("now"));
        ModelRequest { model: "m".into(), history: past, ..ModelRequest::default() }
    }

    fn target(url: &str) -> RemoteTarget {
        RemoteTarget::new("e", url, &RESPONSES)
    }

    fn body_of(call: &HttpRequest) -> Json {
        serde_json::from_slice(call.body.as_deref().unwrap()).unwrap()
    }

    #[test]
    fn a_conversation_begins_with_the_second_turn_and_gets_what_was_said() {
        let target = target("http://h/api/v1/responses");
        let mut kept = ServerConversation::default();
        assert!(kept.preparation(&target, &request(0)).is_none() && kept.complete_id(&request(0)).is_none());
        let second = request(1);
        assert_eq!(kept.preparation(&target, &second).unwrap().url, "http://h/api/v1/conversations");
        assert_eq!(kept.handle_prepared(&second, Ok(json!({"id": "conv_1_a"}))), None);
        assert_eq!(kept.complete_id(&second), None, "not before it has the past");
        let call = kept.preparation(&target, &second).unwrap();
        assert_eq!(call.url, "http://h/api/v1/conversations/conv_1_a/items");
        let item = |role: &str, text: &str| json!({"type": "message", "role": role, "content": text});
        assert_eq!(body_of(&call)["items"], json!([item("user", "q0"), item("assistant", "a0")]));
        assert_eq!(kept.handle_prepared(&second, Ok(json!({}))), None);
        assert!(kept.preparation(&target, &second).is_none());
        assert_eq!(kept.complete_id(&second), Some("conv_1_a"));
        let third = request(2);
        assert_eq!(kept.complete_id(&third), None);
        assert_eq!(body_of(&kept.preparation(&target, &third).unwrap())["items"][0], item("user", "q1"));
    }

    #[test]
    fn a_conversation_that_is_not_to_be_had_or_gone_is_told_once() {
        let target = target("http://h/api/v1/responses?stream=true");
        let gone = || Err(Fault::new(FaultKind::BadRequest, "404 not found"));
        let mut kept = ServerConversation::default();
        assert!(kept.handle_prepared(&request(1), gone()).is_some_and(|text| text.contains("404")));
        assert!(kept.preparation(&target, &request(1)).is_none() && kept.complete_id(&request(1)).is_none());
        let mut kept = ServerConversation::Active { id: "c".into(), entries: 2 };
        assert!(kept.handle_prepared(&request(2), gone()).is_some());
        assert!(kept.preparation(&target, &request(2)).is_none());
        let mut odd = ServerConversation::default();
        assert!(odd.handle_prepared(&request(1), Ok(json!({"id": "../x"}))).is_some());
    }

    #[test]
    fn a_turn_that_fails_without_a_word_gives_the_conversation_up() {
        let failed = TurnOutcome::Failed(Fault::new(FaultKind::Upstream, "not JSON serializable"));
        let mut kept = ServerConversation::Active { id: "c".into(), entries: 2 };
        assert_eq!(kept.handle_turn_end(&failed, true), None);
        assert_eq!(kept.handle_turn_end(&TurnOutcome::Completed, false), None);
        assert!(kept.handle_turn_end(&failed, false).is_some());
        assert_eq!(kept.handle_turn_end(&failed, false), None);
    }

    #[test]
    fn a_past_that_takes_too_many_requests_goes_as_text() {
        let target = target("http://h/api/v1/responses");
        let long = request(MAX_APPENDS * MAX_ITEMS_PER_APPEND / 2 + 1);
        let kept = ServerConversation::Active { id: "c".into(), entries: 1 };
        assert!(kept.preparation(&target, &long).is_none() && kept.complete_id(&long).is_none());
        assert!(ServerConversation::Active { id: "c".into(), entries: 2 }.preparation(&target, &long).is_some());
    }

    #[test]
    fn an_address_with_a_key_in_it_has_no_conversations() {
        let target = target("http://h/api/v1/responses?api_key=k");
        assert!(ServerConversation::default().preparation(&target, &request(1)).is_none());
    }
}
