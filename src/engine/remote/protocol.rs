//! PURE. How a kind of request puts prompts to its server.

use super::{AnnouncingDetector, RemoteTarget};
use crate::engine::{Engine, HistoryMessage, ModelRequest, ReplyPlan};
use crate::event::{Decision, Json, PromptImage};
use crate::net::request::{Framing, HttpHeaderValue, HttpRequest};
use crate::text::address::with_scheme;

/// Puts the prompts of one conversation to its server.
pub(super) trait Protocol: Send + Sync {
    /// Returns how to get the next message, decoded by `decode`; none where the request can't be written.
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        decode: AnnouncingDetector,
    ) -> Option<ReplyPlan>;

    /// Returns the request that has the server stop what it does for the newest prompt.
    fn cancel_request(&self, _target: &RemoteTarget) -> Option<HttpRequest> {
        None
    }

    /// Returns the request that answers what the server asks while its reply goes on.
    fn answer_request(&self, _target: &RemoteTarget, _asked: &Json, _decision: &Decision) -> Option<HttpRequest> {
        None
    }
}

/// A protocol whose body is a function of the conversation.
pub(super) struct JsonProtocol {
    pub(super) body: fn(&RemoteTarget, &ModelRequest) -> Json,
    /// Headers that belong to it.
    pub(super) headers: &'static [(&'static str, &'static str)],
}

impl JsonProtocol {
    pub(super) fn boxed(body: fn(&RemoteTarget, &ModelRequest) -> Json) -> Box<dyn Protocol> {
        Box::new(Self { body, headers: &[] })
    }
}

impl Protocol for JsonProtocol {
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        decode: AnnouncingDetector,
    ) -> Option<ReplyPlan> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), HttpHeaderValue::Plain((*value).to_owned()));
        let headers = self.headers.iter().map(own).collect();
        Some(ReplyPlan::http(target.post(headers, &(self.body)(target, request)), decode))
    }
}

/// A protocol whose body an engine of ours writes; only the address and the credentials are the target's.
pub(super) struct EngineProtocol {
    pub(super) writer: Box<dyn Engine>,
    pub(super) adjust: fn(&mut Json),
}

impl Protocol for EngineProtocol {
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        decode: AnnouncingDetector,
    ) -> Option<ReplyPlan> {
        let ReplyPlan::Http { request: call, .. } = self.writer.plan_reply(request) else { return None };
        let mut body: Json = serde_json::from_slice(call.body.as_deref()?).ok()?;
        (self.adjust)(&mut body);
        Some(ReplyPlan::http(target.post(call.headers, &body), decode))
    }
}

impl RemoteTarget {
    /// Returns a request with this body. Headers that the person set replace those of the protocol.
    pub(super) fn post(&self, mut headers: Vec<(String, HttpHeaderValue)>, body: &Json) -> HttpRequest {
        headers.retain(|(name, _)| !self.headers.iter().any(|(ours, _)| ours.eq_ignore_ascii_case(name)));
        headers.extend(self.headers.iter().cloned());
        HttpRequest::post(with_scheme(&self.url), headers, body.to_string(), Framing::Any)
    }
}

/// Returns the newest prompt.
pub(super) fn last_prompt(request: &ModelRequest) -> Option<&str> {
    request.history.iter().rev().find_map(|past| match past {
        HistoryMessage::User { text, .. } => Some(text.as_str()),
        _ => None,
    })
}

/// Returns the images that go with the newest prompt.
pub(super) fn last_images(request: &ModelRequest) -> &[PromptImage] {
    let last = request.history.iter().rev().find_map(|past| match past {
        HistoryMessage::User { images, .. } => Some(images.as_slice()),
        HistoryMessage::Assistant { .. } | HistoryMessage::Tool { .. } => None,
    });
    last.unwrap_or_default()
}

/// Writes the conversation as one text, for servers that take nothing else and keep nothing.
pub(super) fn flatten_history(request: &ModelRequest) -> String {
    let mut lines = Vec::new();
    for past in &request.history {
        match past {
            HistoryMessage::User { text, .. } => lines.push(format!("User: {text}")),
            HistoryMessage::Assistant { text, .. } if !text.is_empty() => lines.push(format!("Assistant: {text}")),
            HistoryMessage::Assistant { .. } | HistoryMessage::Tool { .. } => {}
        }
    }
    match (lines.as_slice(), last_prompt(request)) {
        ([_], Some(only)) => only.to_owned(),
        (lines, _) => lines.join("\n\n"),
    }
}
