//! A remote agent as an engine: each turn is one POST to a URL that is used as it is, answered in whatever dialect
//! the stream turns out to be.
//!
//! Bodies that an engine knows how to write are written by that engine; only its address and its credentials are
//! ours. Not for streams that are just watched, which belong to `bridge`.

mod body;
mod enclava;
mod named;
mod openjarvis;
pub mod probe;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::anthropic::{Anthropic, Pass};
use super::desk::Desk;
use super::discover::Survey;
use super::ollama::Ollama;
use super::openai::OpenAi;
use super::openai_responses::OpenAiResponses;
use super::{Engine, Past, Reply, Request};
use crate::dialect::Context;
use crate::event::{Fault, FaultKind, Json, TurnEnd};
use crate::net::call::{Beside, Framing, HttpCall, Method, Value};
use crate::text::address::{path_and_query, with_scheme};

use enclava::{Kept, Referring};
pub use named::Named;
pub use openjarvis::{is_newer, which};

/// How a turn is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// OpenAI chat completions, the whole conversation in each.
    Chat,
    /// The same with a tool that does nothing: OpenJarvis up to 1.0.2 then tells what its agent does.
    OpenJarvisBridge,
    /// A managed agent of OpenJarvis, which keeps the conversation itself.
    OpenJarvisManaged,
    /// One question for OpenJarvis's deep research.
    OpenJarvisResearch,
    /// OpenAI Responses.
    Responses,
    /// enclava's Responses: the stream is asked for in the query, the conversation is one text.
    Enclava,
    /// A host of the Poe proxy: a prompt, and the messages that led to it.
    Poe,
    Anthropic,
    Ollama,
    AgUi,
    /// A2A 0.3, over JSON-RPC.
    A2a,
    /// A2A 1.0, likewise.
    A2aOne,
    /// Nothing is asked: the stream is watched.
    Get,
}

impl Style {
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
        Self::A2aOne,
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
            Self::A2aOne => "a2a-1.0",
            Self::Get => "get",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|style| style.name() == name)
    }

    /// Returns the style that a path is known for.
    pub fn of_url(url: &str) -> Option<Self> {
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
            _ if ends("/message:stream") => Self::A2aOne,
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

    /// Returns whether the answer may ask for tools to be run here.
    pub fn takes_tools(self) -> bool {
        matches!(self, Self::Chat | Self::Responses | Self::Anthropic | Self::Ollama | Self::AgUi)
    }
}

/// What is known of a remote.
#[derive(Clone, Debug)]
pub struct Target {
    /// Shown where engines are named.
    pub name: String,
    pub url: String,
    pub style: Style,
    /// Credentials and whatever else the person wants sent.
    pub headers: Vec<(String, Value)>,
    /// The dialect, where the person named one.
    pub dialect: Option<String>,
    /// Names this conversation where a protocol wants that: unique and opaque.
    pub thread: String,
    /// Says in every turn, not only in the first, what the stream was taken for.
    pub explain: bool,
    /// An OpenJarvis whose chat says nothing of tools: its feed of events and its traces do.
    pub feeds: bool,
}

/// A remote agent that is asked by POST.
pub struct Remote {
    target: Target,
    /// Writes the bodies of its protocol.
    writer: Option<Box<dyn Engine>>,
    /// Whether the person was told what the stream was taken for.
    told: Arc<AtomicBool>,
    /// Whether it was said that the feed can't be had.
    told_feed: Arc<AtomicBool>,
    kept: Arc<Mutex<Kept>>,
}

impl Remote {
    pub fn new(target: Target) -> Self {
        let name = target.name.clone();
        let writer: Option<Box<dyn Engine>> = match target.style {
            Style::Chat | Style::OpenJarvisBridge => Some(Box::new(OpenAi::new(name, &target.url, None))),
            Style::Responses => Some(Box::new(OpenAiResponses::new(name, &target.url, None))),
            Style::Anthropic => Some(Box::new(Anthropic::new(name, &target.url, Pass::None))),
            Style::Ollama => Some(Box::new(Ollama::new(name, &target.url))),
            _ => None,
        };
        Self { target, writer, told: Arc::default(), told_feed: Arc::default(), kept: Arc::default() }
    }

    /// Returns the decoder of an answer to this prompt, whatever dialect it will be.
    pub fn decoder(&self, prompt: Option<String>) -> Named {
        let context =
            Context { prompt, path: path_and_query(&self.target.url).0.to_owned(), content_type: String::new() };
        Named::new(self.target.dialect.as_deref(), context, self.told.clone(), self.target.explain)
    }

    /// Returns the body as its protocol wants it, and headers that belong to it.
    fn body(&self, request: &Request) -> Option<(Bytes, Vec<(String, Value)>)> {
        if let Some(writer) = &self.writer {
            let Reply::Http { call, .. } = writer.reply(request) else { return None };
            let mut json: Json = serde_json::from_slice(call.body.as_deref()?).ok()?;
            match self.target.style {
                Style::Chat => body::say_nothing_with_text(&mut json),
                Style::OpenJarvisBridge => {
                    body::say_nothing_with_text(&mut json);
                    body::add_dummy_tool(&mut json);
                }
                _ => {}
            }
            return Some((Bytes::from(json.to_string()), call.headers));
        }
        let json = match self.target.style {
            Style::OpenJarvisManaged => body::managed(request),
            Style::OpenJarvisResearch => body::research(request),
            Style::Enclava => body::enclava(request, self.kept().whole(request)),
            Style::Poe => body::poe(request),
            Style::AgUi => body::ag_ui(request, &self.target.thread),
            Style::A2a => body::a2a(request, &self.target.thread),
            Style::A2aOne => body::a2a_one(request, &self.target.thread),
            _ => return None,
        };
        let version = [("a2a-version".to_owned(), Value::Plain("1.0".into()))];
        let own = if self.target.style == Style::A2aOne { version.to_vec() } else { Vec::new() };
        Some((Bytes::from(json.to_string()), own))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self) -> String {
        let url = with_scheme(&self.target.url);
        let (_, query) = path_and_query(&url);
        if self.target.style != Style::Enclava || query.split('&').any(|pair| pair.starts_with("stream=")) {
            return url;
        }
        let (whole, _) = url.split_once('#').unwrap_or((&url, ""));
        format!("{whole}{}stream=true", if query.is_empty() { "?" } else { "&" })
    }
}

impl Engine for Remote {
    fn name(&self) -> &str {
        &self.target.name
    }

    fn reply(&self, request: &Request) -> Reply {
        let Some((body, mut headers)) = self.body(request) else {
            let text = format!("nothing can be asked by --request {}", self.target.style.name());
            let end = TurnEnd::Failed(Fault::new(FaultKind::BadRequest, text));
            return Reply::Script(vec![super::Beat {
                after: crate::event::Millis(0),
                event: crate::event::AgentEvent::TurnFinished { turn: "t".into(), end },
            }]);
        };
        headers.retain(|(name, _)| !self.target.headers.iter().any(|(ours, _)| ours.eq_ignore_ascii_case(name)));
        headers.extend(self.target.headers.iter().cloned());
        let call = HttpCall { method: Method::Post, url: self.url(), headers, body: Some(body), framing: Framing::Any };
        let decode = self.decoder(prompt(request).map(str::to_owned));
        if self.target.style == Style::Enclava && self.kept().whole(request).is_some() {
            return Reply::Http { call, decode: Box::new(Referring::new(decode, self.kept.clone())) };
        }
        Reply::Http { call, decode: Box::new(decode) }
    }

    fn prepare(&self, request: &Request) -> Option<HttpCall> {
        if self.target.style == Style::Enclava { self.kept().prepare(&self.target, request) } else { None }
    }

    fn prepared(&self, request: &Request, answer: Result<Json, Fault>) -> Option<String> {
        self.kept().prepared(request, answer)
    }

    fn beside(&self, request: &Request) -> Option<Beside> {
        // With tools of ours, the server's stay at rest and the stream tells all.
        let feeds = self.target.feeds && self.target.style == Style::Chat && request.tools.is_empty();
        let is_its = self.target.dialect.as_deref().is_none_or(|name| name == "openjarvis");
        if feeds && is_its { openjarvis::beside(&self.target, self.told_feed.clone()) } else { None }
    }

    fn desk(&self) -> Option<Box<dyn Desk>> {
        let desk = self.target.feeds.then(|| openjarvis::Approvals::of(&self.target)).flatten()?;
        Some(Box::new(desk))
    }

    fn survey(&self) -> Option<Survey> {
        probe::models(&self.target)
    }
}

/// Returns what the person said last.
fn prompt(request: &Request) -> Option<&str> {
    request.past.iter().rev().find_map(|past| match past {
        Past::User { text } => Some(text.as_str()),
        _ => None,
    })
}
