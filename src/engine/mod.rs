//! Engines: whatever answers a conversation. One file each, with its [`EngineSpec`]; [`crate::runtime`] selects among
//! them.
//!
//! An engine describes a request and names the decoder of the response; it opens no connection and keeps no
//! conversation. The embedded engine sends no request and scripts its answer instead; the agent treats both alike.

pub mod anthropic;
pub mod discover;
pub mod gguf;
pub mod model_details;
pub mod offline;
pub mod ollama;
pub mod openai;
pub mod openai_responses;
pub mod remote;
pub mod server_approvals;
pub mod spec;

use std::sync::Arc;

use crate::dialect::{Decode, OpenCall};
use crate::event::{
    CallId, CallOutcome, Decision, Fault, Json, Millis, OutputFormat, PromptImage, ReplyEvent, SamplingParams, ToolSpec,
};
use crate::net::request::{HttpRequest, SideChannel};
pub use spec::EngineSpec;

/// Every kind of engine. The first whose variables are set is the default.
pub const ENGINES: &[&EngineSpec] =
    &[&offline::SPEC, &openai::SPEC, &openai_responses::SPEC, &anthropic::SPEC, &ollama::SPEC, &gguf::SPEC];

/// Finds a kind by its name.
pub fn find_spec(name: &str) -> Option<&'static EngineSpec> {
    ENGINES.iter().copied().find(|spec| spec.name == name)
}

/// Whatever answers a conversation.
pub trait Engine: Send + Sync {
    /// The engine's name as written in `engine/model`.
    fn name(&self) -> &str;

    /// Returns how to get the next message of the assistant.
    fn plan_reply(&self, request: &ModelRequest) -> ReplyPlan;

    /// Takes what a server said of a request that it refused for its form, and so did not run. Returns what to tell the
    /// person where the next plan is another one.
    fn replan(&self, _refusal: &str) -> Option<String> {
        None
    }

    /// Returns the request that has its server stop what it does for us; the id is that of its task, where it told one.
    fn cancel_request(&self, _task: Option<&str>) -> Option<HttpRequest> {
        None
    }

    /// Returns the request that answers what its server asks while its reply goes on (an `AwaitsAnswer` annotation); none
    /// while more answers are needed for it.
    fn answer_request(&self, _asked: &Json, _decision: &Decision) -> Option<HttpRequest> {
        None
    }

    /// Returns whether its requests have a place for images.
    fn takes_images(&self) -> bool {
        false
    }

    /// Returns whether it sums up a conversation when asked. An agent might act on what it is asked.
    fn writes_summaries(&self) -> bool {
        true
    }

    /// Returns the dialect of its responses, by its name in JSON output; none where only a response shows it.
    fn dialect(&self) -> Option<&'static str> {
        None
    }

    /// Returns whether its server can be told that the model must call a tool.
    fn supports_required_tools(&self) -> bool {
        false
    }

    /// Returns whether its server can be told that the answer must have this format.
    fn supports_output_format(&self, _format: &OutputFormat) -> bool {
        false
    }

    /// Returns the requests for the details of a model, where those aren't known already.
    fn model_details_query(&self) -> Option<model_details::ModelDetailsQuery> {
        None
    }

    /// Returns the requests for the list of models, where there is a server.
    fn model_list_query(&self) -> Option<discover::ModelListQuery> {
        None
    }
}

/// The key of a message's metadata under which it is kept what a remote agent waits for.
pub const INTERRUPTS_KEY: &str = "interrupts";
/// The key for the id of the conversation that a remote agent keeps.
pub const CONTEXT_KEY: &str = "contextId";

/// A request to the model: always the whole conversation, since engines keep none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelRequest {
    pub model: String,
    pub system: String,
    pub history: Vec<HistoryMessage>,
    pub tools: Vec<ToolSpec>,
    pub sampling: SamplingParams,
    /// The format of the answer, where its server was found to support that.
    pub output_format: Option<Arc<OutputFormat>>,
}

/// One entry of the conversation so far, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub enum HistoryMessage {
    User { text: String, images: Vec<PromptImage> },
    Assistant { text: String, reasoning: String, calls: Vec<HistoryCall>, provider_metadata: Option<Json> },
    Tool { call: CallId, name: String, output: String, outcome: CallOutcome },
}

impl HistoryMessage {
    /// Returns a prompt without images.
    pub fn user(text: impl Into<String>) -> Self {
        Self::User { text: text.into(), images: Vec::new() }
    }
}

/// A call that the assistant made. Its result is a later [`HistoryMessage::Tool`].
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryCall {
    pub call: CallId,
    pub name: String,
    /// JSON text as the model wrote it.
    pub args: String,
    pub provider_metadata: Option<Json>,
    /// Set where the server asked whether it may run the call.
    pub approval: Option<HistoryApproval>,
}

impl HistoryCall {
    /// Returns the id that its server knows it by.
    pub fn wire_id(&self) -> &str {
        let named = self.approval.as_ref().and_then(|approval| {
            ["toolCallId", "tool_call_id", "questionId"].iter().find_map(|key| approval.request.get(*key)?.as_str())
        });
        named.unwrap_or(self.call.as_str())
    }
}

/// A server's request for the approval of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryApproval {
    /// As the server wrote it.
    pub request: Json,
    /// None while nobody has decided.
    pub decision: Option<Decision>,
}

impl ModelRequest {
    /// Returns whether images go with any prompt.
    pub fn has_images(&self) -> bool {
        self.history.iter().any(|past| matches!(past, HistoryMessage::User { images, .. } if !images.is_empty()))
    }

    /// Returns those same calls as a decoder knows them.
    pub fn open_calls(&self) -> Vec<OpenCall> {
        let call = |call: &HistoryCall| OpenCall { wire_id: call.wire_id().to_owned(), name: call.name.clone() };
        self.decided_calls().map(|(known, _, _)| call(known)).collect()
    }

    /// Returns the calls of the running turn that were decided and whose results the server has not told yet.
    pub fn decided_calls(&self) -> impl Iterator<Item = (&HistoryCall, &HistoryApproval, &Decision)> {
        let last_prompt = self.history.iter().rposition(|past| matches!(past, HistoryMessage::User { .. }));
        let turn = self.history.get(last_prompt.map_or(0, |at| at + 1)..).unwrap_or_default();
        let is_open = |call: &CallId| {
            !turn.iter().any(|past| matches!(past, HistoryMessage::Tool { call: done, .. } if done == call))
        };
        let calls = turn.iter().flat_map(|past| match past {
            HistoryMessage::Assistant { calls, .. } => calls.as_slice(),
            HistoryMessage::User { .. } | HistoryMessage::Tool { .. } => &[],
        });
        calls.filter(move |call| is_open(&call.call)).filter_map(|call| {
            let approval = call.approval.as_ref()?;
            Some((call, approval, approval.decision.as_ref()?))
        })
    }
}

/// How to get an answer.
pub enum ReplyPlan {
    /// Send this request first, then plan again.
    Prepare(Preparation),
    /// Send this request and decode the response, and what completes it beyond its stream.
    Http { request: HttpRequest, decode: Box<dyn Decode>, side_channel: Option<Box<dyn SideChannel>> },
    /// No request: these events, each after its delay. The same events as a decoder's, `End` included.
    Scripted(Vec<ScriptedEvent>),
    /// No request: what this thread computes; it may take long, and runs on a thread of its own.
    Computed(Computation),
}

/// Tells the events of a reply, `End` included, as they are computed.
pub type Computation = Box<dyn FnOnce(&dyn ReplySink) + Send>;

/// Who takes the events of a computed reply.
pub trait ReplySink {
    /// Waits for room; returns false if nobody listens any more.
    fn send(&self, event: ReplyEvent) -> bool;

    /// Returns whether the reply is no longer wanted. It is asked often.
    fn is_cancelled(&self) -> bool;
}

/// A request that must precede the next message.
pub struct Preparation {
    pub request: HttpRequest,
    /// Takes the response. Returns a message for the person, if any.
    pub handle: Box<dyn FnOnce(Result<Json, Fault>) -> Option<String> + Send>,
}

impl ReplyPlan {
    /// Returns the plan to send a request whose response is complete in itself.
    pub fn http(request: HttpRequest, decode: impl Decode + 'static) -> Self {
        Self::Http { request, decode: Box::new(decode), side_channel: None }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct ScriptedEvent {
    /// Delay before it.
    pub delay: Millis,
    pub event: ReplyEvent,
}

#[cfg(test)]
mod tests {
    use super::spec::EngineOptions;
    use super::*;
    use crate::dialect::DIALECTS;

    #[test]
    fn every_engine_is_built_with_its_name_and_speaks_a_known_dialect() {
        for spec in ENGINES {
            let base_url = spec.default_address.unwrap_or_default().to_owned();
            let engine = (spec.build)(EngineOptions { name: spec.name.into(), base_url, ..EngineOptions::default() });
            assert_eq!((engine.name(), engine.dialect()), (spec.name, Some(spec.dialect)));
            assert!(DIALECTS.iter().any(|dialect| dialect.name == spec.dialect), "{}", spec.dialect);
        }
    }

    #[test]
    fn the_name_of_an_engine_is_its_own() {
        for spec in ENGINES {
            assert_eq!(ENGINES.iter().filter(|other| *other == spec).count(), 1, "{}", spec.name);
            assert_eq!(find_spec(spec.name), Some(*spec));
        }
        assert_eq!(find_spec("OpenAI"), None);
    }

    #[test]
    fn an_engine_has_a_default_model_or_a_server_that_lists_some() {
        for spec in ENGINES {
            let (address, model) = (spec.default_address.map(|own| spec.is_vendor(own)), spec.default_model);
            assert!(address == Some(false) || model.is_some() || spec.embedded.is_some(), "{}", spec.name);
            assert_eq!(address.is_none(), spec.embedded.is_some(), "{}", spec.name);
        }
    }
}
