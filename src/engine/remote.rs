//! A remote agent as an engine: each turn is one POST to a URL that is used unchanged, answered in whatever dialect the
//! stream turns out to be.
//!
//! How a prompt is put is the request kind's ([`REQUEST_KINDS`]), what else a server offers is its vendor's
//! ([`ServerExtras`]); neither is named here. Not for streams that are only watched, which belong to `bridge`.

mod a2a;
mod adk;
mod ag_ui;
mod agno;
mod ai_sdk;
mod announcing_detector;
mod bedrock;
mod chatkit;
mod enclava;
mod gemini;
mod gemini_interactions;
mod gptme;
mod interrupts;
mod langgraph;
mod mastra;
mod mistral;
mod model_apis;
mod ollama_or_app;
mod opencode;
mod openjarvis;
mod poe;
mod poe_bot;
pub mod probe;
mod protocol;
mod refusal;
mod request_kind;
mod server_extras;
mod server_thread;
#[cfg(test)]
mod tests;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use super::discover::ModelListQuery;
use super::server_approvals::ServerApprovals;
use super::{Engine, ModelRequest, ReplyPlan, ScriptedEvent};
use crate::dialect::{DIALECTS, DecodeContext};
use crate::event::{Decision, Fault, FaultKind, Json, Millis, ReplyEvent, TurnOutcome};
use crate::net::request::{HttpHeaderValue, HttpRequest};
use crate::text::address::path_and_query;

pub use a2a::{card_url, read_card};
pub use announcing_detector::AnnouncingDetector;
pub use model_apis::CHAT;
use probe::{ProbeAnswers, ProbedServer};
use protocol::{Protocol, last_prompt};
pub use request_kind::{ACP, AHP, CODEX_APP_SERVER, GET, RequestKind};
pub use server_extras::{FindServerExtras, ServerExtras};

/// Every kind. One that narrows another stands behind it.
pub static REQUEST_KINDS: [&RequestKind; 33] = [
    &CHAT,
    &openjarvis::BRIDGE,
    &openjarvis::MANAGED,
    &openjarvis::RESEARCH,
    &model_apis::RESPONSES,
    &enclava::RESPONSES,
    &poe::STREAM,
    &model_apis::ANTHROPIC,
    &model_apis::OLLAMA,
    &model_apis::COHERE,
    &gemini::GENERATE,
    &gemini_interactions::CREATE,
    &mistral::CONVERSATIONS,
    &bedrock::CONVERSE,
    &bedrock::INVOKE,
    &ag_ui::RUN,
    &ai_sdk::CHAT,
    &adk::RUN,
    &langgraph::RUN,
    &agno::RUN,
    &mastra::STREAM,
    &chatkit::THREADS,
    &gptme::STEP,
    &opencode::PROMPT,
    &poe_bot::QUERY,
    &a2a::V1,
    &a2a::REST_V1,
    &a2a::REST_V0_3,
    &a2a::V0_3,
    &ACP,
    &AHP,
    &CODEX_APP_SERVER,
    &GET,
];

/// The servers that are known by their answers at a bare address; the first that identifies itself counts.
static IDENTIFIERS: [fn(&ProbeAnswers<'_>) -> Option<ProbedServer>; 14] = [
    probe::identify_jarvis_tui,
    openjarvis::identify,
    // It has an agent card, too.
    gptme::identify,
    a2a::identify,
    adk::identify,
    ag_ui::identify,
    langgraph::identify,
    agno::identify,
    mastra::identify,
    probe::identify_acp,
    opencode::identify,
    model_apis::identify_ollama,
    model_apis::identify_chat,
    enclava::identify,
];

/// Returns the names of the dialects in which an answer may come.
pub fn dialect_names() -> impl Iterator<Item = &'static str> {
    DIALECTS.iter().map(|dialect| dialect.name)
}

/// A remote agent's address and protocol.
#[derive(Clone, Debug)]
pub struct RemoteTarget {
    /// Shown where engines are named.
    pub name: String,
    pub url: String,
    pub request_kind: &'static RequestKind,
    /// Credentials and other headers that the person set.
    pub headers: Vec<(String, HttpHeaderValue)>,
    /// The dialect, where the person named one.
    pub dialect: Option<String>,
    /// Identifies this conversation where a protocol needs that: unique and opaque.
    pub thread_id: String,
    /// Explains the detected dialect in every turn, not only in the first.
    pub explains_every_turn: bool,
    /// What the server was found to offer besides its answers.
    pub extras: Option<FindServerExtras>,
    /// The person named the kind of request, so that no refusal changes it.
    pub keeps_request_kind: bool,
}

impl RemoteTarget {
    /// Returns a target of which nothing else is known.
    pub fn new(name: &str, url: &str, request_kind: &'static RequestKind) -> Self {
        Self {
            name: name.to_owned(),
            url: url.to_owned(),
            request_kind,
            headers: Vec::new(),
            dialect: None,
            thread_id: String::new(),
            explains_every_turn: false,
            extras: None,
            keeps_request_kind: false,
        }
    }
}

/// A remote agent that takes prompts by POST.
pub struct RemoteEngine {
    protocol: Option<Box<dyn Protocol>>,
    /// The protocol that the server's first refusal asked for.
    wanted_protocol: OnceLock<(&'static RequestKind, Box<dyn Protocol>)>,
    extras: Option<Box<dyn ServerExtras>>,
    /// The detected dialect has been explained.
    has_explained: Arc<AtomicBool>,
    target: RemoteTarget,
}

impl RemoteEngine {
    pub fn new(target: RemoteTarget) -> Self {
        Self {
            protocol: target.request_kind.protocol.map(|protocol| protocol(&target)),
            wanted_protocol: OnceLock::new(),
            extras: target.extras.and_then(|extras| extras(&target)),
            has_explained: Arc::default(),
            target,
        }
    }

    /// Returns access to the approvals that its server has pending outside of any turn.
    pub fn server_approvals(&self) -> Option<Arc<dyn ServerApprovals>> {
        self.extras.as_ref()?.approvals()
    }

    fn protocol(&self) -> Option<&dyn Protocol> {
        self.wanted_protocol.get().map(|(_, protocol)| protocol).or(self.protocol.as_ref()).map(|protocol| &**protocol)
    }

    /// Returns how prompts are put, as far as the server's refusals have shown.
    fn request_kind(&self) -> &'static RequestKind {
        self.wanted_protocol.get().map_or(self.target.request_kind, |(kind, _)| kind)
    }

    fn failed_plan(text: String) -> ReplyPlan {
        let outcome = TurnOutcome::Failed(Fault::new(FaultKind::BadRequest, text));
        let event = ReplyEvent::End { outcome };
        ReplyPlan::Scripted(vec![ScriptedEvent { delay: Millis(0), event }])
    }

    /// Returns the decoder of an answer to this prompt, whatever its dialect.
    fn decoder(&self, request: &ModelRequest) -> AnnouncingDetector {
        let prompt = last_prompt(request).map(str::to_owned);
        let path = path_and_query(&self.target.url).0.to_owned();
        let open_calls = request.open_calls();
        let context = DecodeContext { prompt, path, open_calls, ..DecodeContext::default() };
        AnnouncingDetector::new(
            self.target.dialect.as_deref(),
            context,
            self.has_explained.clone(),
            self.target.explains_every_turn,
        )
    }
}

impl Engine for RemoteEngine {
    fn name(&self) -> &str {
        &self.target.name
    }

    fn takes_images(&self) -> bool {
        self.request_kind().takes_images
    }

    fn writes_summaries(&self) -> bool {
        false
    }

    fn plan_reply(&self, request: &ModelRequest) -> ReplyPlan {
        // A refusal may have changed it since the prompt was accepted.
        if request.has_images() && !self.takes_images() {
            let kind = self.request_kind().name;
            return Self::failed_plan(format!("{} is asked by --request {kind}, which takes no images", self.name()));
        }
        let decode = self.decoder(request);
        let plan = self.protocol().and_then(|protocol| protocol.plan_reply(&self.target, request, decode));
        match plan {
            Some(ReplyPlan::Http { request: call, decode, side_channel: None }) => {
                let side_channel = self.extras.as_ref().and_then(|extras| extras.side_channel(request));
                ReplyPlan::Http { request: call, decode, side_channel }
            }
            Some(plan) => plan,
            None => {
                let text = format!("--request {} does not take prompts", self.target.request_kind.name);
                Self::failed_plan(text)
            }
        }
    }

    fn replan(&self, refusal: &str) -> Option<String> {
        let (kind, fields) = refusal::wanted_kind(refusal)?;
        let known = self.target.request_kind;
        // No model is made up for it.
        if self.target.keeps_request_kind || kind == known || (kind.needs_model && !known.needs_model) {
            return None;
        }
        self.wanted_protocol.set((kind, kind.protocol?(&self.target))).ok()?;
        let (name, fields) = (&self.target.name, fields.join(" and "));
        Some(format!("{name} wants {fields}: the prompt is sent once more, by {} (as with --request {0})", kind.name))
    }

    fn cancel_request(&self, task: Option<&str>) -> Option<HttpRequest> {
        match (self.target.request_kind.cancel, task) {
            (Some(cancel), Some(task)) => cancel(&self.target, task),
            _ => self.protocol()?.cancel_request(&self.target),
        }
    }

    fn answer_request(&self, asked: &Json, decision: &Decision) -> Option<HttpRequest> {
        self.protocol()?.answer_request(&self.target, asked, decision)
    }

    fn model_list_query(&self) -> Option<ModelListQuery> {
        probe::model_list_query(&self.target)
    }
}
