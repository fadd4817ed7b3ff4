//! PURE. A kind of request that a prompt can be put into: a row of [`REQUEST_KINDS`], in the file of its protocol.

use std::fmt;

use super::protocol::Protocol;
use super::{REQUEST_KINDS, RemoteTarget};
use crate::engine::discover::{self, ModelInfo};
use crate::event::Json;
use crate::net::durable_stream::is_live_query;
use crate::net::request::HttpRequest;
use crate::text::address::path_and_query;

/// A kind of request: what `--request` and the settings name.
pub struct RequestKind {
    pub name: &'static str,
    /// Where a server answers it, for an address without a path.
    pub default_path: &'static str,
    /// Returns whether a path and query are known for it.
    pub is_at: fn(&str, &str) -> bool,
    /// Whether a model must be named.
    pub needs_model: bool,
    /// Whether the answer may call tools on this side.
    pub supports_tools: bool,
    /// Whether it has a place for images.
    pub takes_images: bool,
    /// Whether the agent keeps the conversation and asks back.
    pub is_conversation: bool,
    /// The header for a token, instead of `authorization: Bearer`.
    pub token_header: Option<&'static str>,
    /// Where the models are listed.
    pub(super) model_list: Option<ModelListPath>,
    /// What its servers' validators miss in the requests of others: any of these sets of fields says that it is wanted.
    pub(super) wanted_fields: &'static [&'static [&'static str]],
    /// Cancels a task of the server, by its id.
    pub(super) cancel: Option<fn(&RemoteTarget, &str) -> Option<HttpRequest>>,
    /// Puts prompts into its requests; none where a stream is only watched.
    pub(super) protocol: Option<NewProtocol>,
}

/// Begins a conversation with a target.
pub(super) type NewProtocol = fn(&RemoteTarget) -> Box<dyn Protocol>;

/// Where a server lists its models, next to the path of its answers.
#[derive(Clone, Copy)]
pub(super) struct ModelListPath {
    /// The end of the path of its answers, which `path` replaces.
    pub(super) replaces: &'static str,
    pub(super) path: &'static str,
    /// The body of a list that is had by POST.
    pub(super) body: Option<&'static str>,
    pub(super) parse: fn(&[Option<&Json>]) -> Option<Vec<ModelInfo>>,
}

impl ModelListPath {
    /// Returns the list that OpenAI's API has at `/models`.
    pub(super) const fn openai(replaces: &'static str) -> Self {
        Self {
            replaces,
            path: "/models",
            body: None,
            parse: |answers| discover::openai_models(answers.first().copied().flatten()?),
        }
    }
}

/// No prompt is sent: the stream is watched.
pub static GET: RequestKind = RequestKind { name: "get", is_at: |_, query| is_live_query(query), ..RequestKind::NEW };

/// An agent with which a conversation is held: neither a request for each turn nor a stream that is watched.
pub static ACP: RequestKind = RequestKind {
    name: "acp",
    default_path: "/acp",
    is_at: |path, _| path.ends_with("/acp"),
    is_conversation: true,
    ..RequestKind::NEW
};

/// The same with a host of agents, which is reached by a WebSocket whose address holds a token.
pub static AHP: RequestKind = RequestKind {
    name: "ahp",
    is_at: |_, query| query.split('&').any(|pair| pair.starts_with("tkn=")),
    is_conversation: true,
    ..RequestKind::NEW
};

/// The same with what `codex app-server` speaks.
pub static CODEX_APP_SERVER: RequestKind =
    RequestKind { name: "codex-app-server", is_conversation: true, ..RequestKind::NEW };

impl RequestKind {
    /// A kind that no path is known for, and that needs nothing.
    pub(super) const NEW: Self = Self {
        name: "",
        default_path: "/",
        is_at: |_, _| false,
        needs_model: false,
        supports_tools: false,
        takes_images: false,
        is_conversation: false,
        token_header: None,
        model_list: None,
        wanted_fields: &[],
        cancel: None,
        protocol: None,
    };

    pub fn find(name: &str) -> Option<&'static Self> {
        REQUEST_KINDS.into_iter().find(|kind| kind.name == name)
    }

    /// Returns the kind that a path is known for.
    pub fn from_url(url: &str) -> Option<&'static Self> {
        let (path, query) = path_and_query(url);
        let path = path.trim_end_matches('/');
        REQUEST_KINDS.into_iter().rev().find(|kind| (kind.is_at)(path, query))
    }

    /// Returns whether prompts can be sent by it.
    pub fn takes_prompts(&self) -> bool {
        self.protocol.is_some()
    }
}

impl PartialEq for RequestKind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RequestKind {}

impl fmt::Debug for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
