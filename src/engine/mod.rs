//! Engines: whatever answers a conversation. One file each; [`crate::runtime`] selects among them.
//!
//! An engine describes a request and names the decoder of the response; it opens no connection and keeps no
//! conversation. The embedded engine sends no request and scripts its answer instead; the agent treats both alike.

pub mod anthropic;
pub mod discover;
pub mod model_details;
pub mod offline;
pub mod ollama;
pub mod openai;
pub mod openai_responses;
pub mod remote;
pub mod server_approvals;

use crate::dialect::Decode;
use crate::event::{AgentEvent, CallId, CallOutcome, Fault, Json, Millis, SamplingParams, ToolSpec};
use crate::net::request::{HttpRequest, SideChannel};

/// Whatever answers a conversation.
pub trait Engine: Send + Sync {
    /// The engine's name as written in `engine/model`.
    fn name(&self) -> &str;

    /// Returns how to get the next message of the assistant.
    fn plan_reply(&self, request: &ModelRequest) -> ReplyPlan;

    /// Returns the dialect of its responses, by its name in JSON output; none where only a response shows it.
    fn dialect(&self) -> Option<&'static str> {
        None
    }

    /// Returns whether its server can be told that the model must call a tool.
    fn supports_required_tools(&self) -> bool {
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

/// A request to the model: always the whole conversation, since engines keep none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelRequest {
    pub model: String,
    pub system: String,
    pub history: Vec<HistoryMessage>,
    pub tools: Vec<ToolSpec>,
    pub sampling: SamplingParams,
}

/// One entry of the conversation so far, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub enum HistoryMessage {
    User { text: String },
    Assistant { text: String, reasoning: String, calls: Vec<HistoryCall>, provider_metadata: Option<Json> },
    Tool { call: CallId, name: String, output: String, outcome: CallOutcome },
}

/// A call that the assistant made. Its result is a later [`HistoryMessage::Tool`].
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryCall {
    pub call: CallId,
    pub name: String,
    /// JSON text as the model wrote it.
    pub args: String,
    pub provider_metadata: Option<Json>,
}

/// How to get an answer.
pub enum ReplyPlan {
    /// Send this request first, then plan again.
    Prepare(Preparation),
    /// Send this request and decode the response, and what completes it beyond its stream.
    Http { request: HttpRequest, decode: Box<dyn Decode>, side_channel: Option<Box<dyn SideChannel>> },
    /// No request: these events, each after its delay. The same events as a decoder's, `TurnFinished` included.
    Scripted(Vec<ScriptedEvent>),
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
    pub event: AgentEvent,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::DIALECTS;

    #[test]
    fn every_engine_names_the_dialect_that_it_speaks() {
        let engines: [Box<dyn Engine>; 4] = [
            Box::new(openai::OpenAiEngine::new("work".into(), "h", None)),
            Box::new(openai_responses::ResponsesEngine::new("work".into(), "h", None)),
            Box::new(anthropic::AnthropicEngine::new("work".into(), "h", anthropic::AnthropicAuth::None)),
            Box::new(ollama::OllamaEngine::new("work".into(), "h")),
        ];
        for engine in engines {
            let dialect_name = engine.dialect();
            assert!(DIALECTS.iter().any(|dialect| Some(dialect.name) == dialect_name), "{dialect_name:?}");
        }
    }
}
