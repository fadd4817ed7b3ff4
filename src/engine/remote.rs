//! A remote agent as an engine: each turn is one POST to a URL that is used unchanged, answered in whatever dialect the
//! stream turns out to be.
//!
//! Bodies in the format of another engine are written by that engine; only the address and the credentials are ours.
//! Not for streams that are only watched, which belong to `bridge`.

mod announcing_detector;
mod body;
mod enclava;
mod openjarvis;
pub mod probe;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::anthropic::{AnthropicAuth, AnthropicEngine};
use super::discover::ModelListQuery;
use super::ollama::OllamaEngine;
use super::openai::OpenAiEngine;
use super::openai_responses::ResponsesEngine;
use super::server_approvals::ServerApprovals;
use super::{Engine, HistoryMessage, ModelRequest, ReplyPlan};
use crate::dialect::DecodeContext;
use crate::event::{Fault, FaultKind, Json, TurnOutcome};
use crate::net::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest, SideChannel};
use crate::text::address::{path_and_query, with_scheme};

pub use announcing_detector::AnnouncingDetector;
use enclava::{ConversationDecoder, ServerConversation};
pub use openjarvis::{is_newer_than_1_0_2, openapi_request};

/// The protocol of a turn's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestKind {
    /// OpenAI chat completions, with the whole conversation in each request.
    Chat,
    /// The same with a tool that does nothing: OpenJarvis up to 1.0.2 then streams the events of its agent.
    OpenJarvisBridge,
    /// A managed agent of OpenJarvis, which keeps the conversation itself.
    OpenJarvisManaged,
    /// One question for OpenJarvis's deep research.
    OpenJarvisResearch,
    /// OpenAI Responses.
    Responses,
    /// enclava's Responses: the query requests the stream, the conversation is one text.
    Enclava,
    /// A host of the Poe proxy: a prompt, and the messages before it.
    Poe,
    Anthropic,
    Ollama,
    AgUi,
    /// A2A 0.3, over JSON-RPC.
    A2a,
    /// A2A 1.0, likewise.
    A2aV1,
    /// No prompt is sent: the stream is watched.
    Get,
}

impl RequestKind {
    pub const ALL: [Self; 13] = [
        Self::Chat,
        Self::OpenJarvisBridge,
        Self::OpenJarvisManaged,
        Self::OpenJarvisResearch,
        Self::Responses,
        Self::Enclava,
        Self::Poe,
        Self::Anthropic,
        Self::Ollama,
        Self::AgUi,
        Self::A2a,
        Self::A2aV1,
        Self::Get,
    ];

    /// Returns the name that `--request` takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::OpenJarvisBridge => "openjarvis-bridge",
            Self::OpenJarvisManaged => "openjarvis-managed",
            Self::OpenJarvisResearch => "openjarvis-research",
            Self::Responses => "responses",
            Self::Enclava => "enclava",
            Self::Poe => "poe",
            Self::Anthropic => "anthropic",
            Self::Ollama => "ollama",
            Self::AgUi => "ag-ui",
            Self::A2a => "a2a",
            Self::A2aV1 => "a2a-1.0",
            Self::Get => "get",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|style| style.name() == name)
    }

    /// Returns the kind that a path is known for.
    pub fn from_url(url: &str) -> Option<Self> {
        let (path, query) = path_and_query(url);
        let path = path.trim_end_matches('/');
        let ends = |end: &str| path.ends_with(end);
        Some(match path {
            _ if ends("/chat/completions") => Self::Chat,
            _ if path.contains("/managed-agents/") && ends("/messages") => Self::OpenJarvisManaged,
            _ if ends("/api/research") => Self::OpenJarvisResearch,
            _ if ends("/api/v1/responses") || ends("/api-internal/v1/responses") => Self::Enclava,
            _ if ends("/responses") && query.split('&').any(|pair| pair == "stream=true") => Self::Enclava,
            _ if ends("/responses") => Self::Responses,
            _ if ends("/v1/messages") => Self::Anthropic,
            _ if ends("/api/chat") => Self::Ollama,
            _ if ends("/v1/stream") => Self::Poe,
            _ if ends("/message:stream") => Self::A2aV1,
            _ => return None,
        })
    }

    /// Returns whether a model must be named.
    pub fn needs_model(self) -> bool {
        matches!(
            self,
            Self::Chat | Self::OpenJarvisBridge | Self::Responses | Self::Enclava | Self::Anthropic | Self::Ollama
        )
    }

    /// Returns whether the answer may call tools on this side.
    pub fn supports_tools(self) -> bool {
        matches!(self, Self::Chat | Self::Responses | Self::Anthropic | Self::Ollama | Self::AgUi)
    }
}

/// A remote agent's address and protocol.
#[derive(Clone, Debug)]
pub struct RemoteTarget {
    /// Shown where engines are named.
    pub name: String,
    pub url: String,
    pub request_kind: RequestKind,
    /// Credentials and other headers that the person set.
    pub headers: Vec<(String, HttpHeaderValue)>,
    /// The dialect, where the person named one.
    pub dialect: Option<String>,
    /// Identifies this conversation where a protocol needs that: unique and opaque.
    pub thread_id: String,
    /// Explains the detected dialect in every turn, not only in the first.
    pub explains_every_turn: bool,
    /// An OpenJarvis whose chat has no tool events: its feed and its traces have them.
    pub has_event_feed: bool,
}

/// A remote agent that takes prompts by POST.
pub struct RemoteEngine {
    target: RemoteTarget,
    /// Writes the bodies of its protocol.
    body_writer: Option<Box<dyn Engine>>,
    /// The detected dialect has been explained.
    has_explained: Arc<AtomicBool>,
    /// The unavailable feed has been reported.
    has_reported_feed: Arc<AtomicBool>,
    conversation: Arc<Mutex<ServerConversation>>,
}

impl RemoteEngine {
    pub fn new(target: RemoteTarget) -> Self {
        let name = target.name.clone();
        let writer: Option<Box<dyn Engine>> = match target.request_kind {
            RequestKind::Chat | RequestKind::OpenJarvisBridge => {
                Some(Box::new(OpenAiEngine::new(name, &target.url, None)))
            }
            RequestKind::Responses => Some(Box::new(ResponsesEngine::new(name, &target.url, None))),
            RequestKind::Anthropic => Some(Box::new(AnthropicEngine::new(name, &target.url, AnthropicAuth::None))),
            RequestKind::Ollama => Some(Box::new(OllamaEngine::new(name, &target.url))),
            _ => None,
        };
        Self {
            target,
            body_writer: writer,
            has_explained: Arc::default(),
            has_reported_feed: Arc::default(),
            conversation: Arc::default(),
        }
    }

    /// Returns the decoder of an answer to this prompt, whatever its dialect.
    pub fn decoder(&self, prompt: Option<String>) -> AnnouncingDetector {
        let path = path_and_query(&self.target.url).0.to_owned();
        let context = DecodeContext { prompt, path, ..DecodeContext::default() };
        AnnouncingDetector::new(
            self.target.dialect.as_deref(),
            context,
            self.has_explained.clone(),
            self.target.explains_every_turn,
        )
    }

    /// Returns the body in its protocol, and headers that belong to it.
    fn body(&self, request: &ModelRequest) -> Option<(Bytes, Vec<(String, HttpHeaderValue)>)> {
        if let Some(writer) = &self.body_writer {
            let ReplyPlan::Http { request: call, .. } = writer.plan_reply(request) else { return None };
            let mut json: Json = serde_json::from_slice(call.body.as_deref()?).ok()?;
            match self.target.request_kind {
                RequestKind::Chat => body::replace_null_content(&mut json),
                RequestKind::OpenJarvisBridge => {
                    body::replace_null_content(&mut json);
                    body::add_dummy_tool(&mut json);
                }
                _ => {}
            }
            return Some((Bytes::from(json.to_string()), call.headers));
        }
        let json = match self.target.request_kind {
            RequestKind::OpenJarvisManaged => body::managed(request),
            RequestKind::OpenJarvisResearch => body::research(request),
            RequestKind::Enclava => body::enclava(request, self.lock_conversation().complete_id(request)),
            RequestKind::Poe => body::poe(request),
            RequestKind::AgUi => body::ag_ui(request, &self.target.thread_id),
            RequestKind::A2a => body::a2a(request, &self.target.thread_id),
            RequestKind::A2aV1 => body::a2a_v1(request, &self.target.thread_id),
            _ => return None,
        };
        let version = [("a2a-version".to_owned(), HttpHeaderValue::Plain("1.0".into()))];
        let own = if self.target.request_kind == RequestKind::A2aV1 { version.to_vec() } else { Vec::new() };
        Some((Bytes::from(json.to_string()), own))
    }

    fn lock_conversation(&self) -> MutexGuard<'_, ServerConversation> {
        self.conversation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self) -> String {
        let url = with_scheme(&self.target.url);
        let (_, query) = path_and_query(&url);
        if self.target.request_kind != RequestKind::Enclava || query.split('&').any(|pair| pair.starts_with("stream="))
        {
            return url;
        }
        let (whole, _) = url.split_once('#').unwrap_or((&url, ""));
        format!("{whole}{}stream=true", if query.is_empty() { "?" } else { "&" })
    }
}

impl Engine for RemoteEngine {
    fn name(&self) -> &str {
        &self.target.name
    }

    fn plan_reply(&self, request: &ModelRequest) -> ReplyPlan {
        let Some((body, mut headers)) = self.body(request) else {
            let text = format!("--request {} does not take prompts", self.target.request_kind.name());
            let outcome = TurnOutcome::Failed(Fault::new(FaultKind::BadRequest, text));
            return ReplyPlan::Scripted(vec![super::ScriptedEvent {
                delay: crate::event::Millis(0),
                event: crate::event::AgentEvent::TurnFinished { turn: "t".into(), outcome },
            }]);
        };
        headers.retain(|(name, _)| !self.target.headers.iter().any(|(ours, _)| ours.eq_ignore_ascii_case(name)));
        headers.extend(self.target.headers.iter().cloned());
        let call =
            HttpRequest { method: HttpMethod::Post, url: self.url(), headers, body: Some(body), framing: Framing::Any };
        let decode = self.decoder(last_prompt(request).map(str::to_owned));
        if self.target.request_kind == RequestKind::Enclava && self.lock_conversation().complete_id(request).is_some() {
            return ReplyPlan::Http {
                request: call,
                decode: Box::new(ConversationDecoder::new(decode, self.conversation.clone())),
            };
        }
        ReplyPlan::Http { request: call, decode: Box::new(decode) }
    }

    fn preflight(&self, request: &ModelRequest) -> Option<HttpRequest> {
        if self.target.request_kind == RequestKind::Enclava {
            self.lock_conversation().preflight(&self.target, request)
        } else {
            None
        }
    }

    fn handle_preflight(&self, request: &ModelRequest, answer: Result<Json, Fault>) -> Option<String> {
        self.lock_conversation().handle_preflight(request, answer)
    }

    fn side_channel(&self, request: &ModelRequest) -> Option<SideChannel> {
        // With tools of ours, the server's are unused and the stream is complete.
        let feeds =
            self.target.has_event_feed && self.target.request_kind == RequestKind::Chat && request.tools.is_empty();
        let is_its = self.target.dialect.as_deref().is_none_or(|name| name == "openjarvis");
        if feeds && is_its { openjarvis::side_channel(&self.target, self.has_reported_feed.clone()) } else { None }
    }

    fn server_approvals(&self) -> Option<Box<dyn ServerApprovals>> {
        let approvals =
            self.target.has_event_feed.then(|| openjarvis::OpenJarvisApprovals::for_target(&self.target)).flatten()?;
        Some(Box::new(approvals))
    }

    fn model_list_query(&self) -> Option<ModelListQuery> {
        probe::model_list_query(&self.target)
    }
}

/// Returns the newest prompt.
fn last_prompt(request: &ModelRequest) -> Option<&str> {
    request.history.iter().rev().find_map(|past| match past {
        HistoryMessage::User { text } => Some(text.as_str()),
        _ => None,
    })
}
