//! Engines: whatever answers a conversation. One file each; the house chooses among them.
//!
//! An engine describes a call and names the decoder of its answer; it opens no socket and keeps no conversation.
//! The embedded engine has nothing to call and scripts its answer instead; the agent treats both alike.

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

    /// Says how to get the next message of the assistant.
    fn plan_reply(&self, request: &ModelRequest) -> ReplyPlan;

    /// Returns the wire format it speaks, by the name that JSON output uses; none where only the answer tells.
    fn dialect(&self) -> Option<&'static str> {
        None
    }

    /// Returns whether its server can be told that the model must call a tool.
    fn supports_required_tools(&self) -> bool {
        false
    }

    /// Says what must be asked before the next reply can be had, one call at a time until there is none.
    fn preflight(&self, _request: &ModelRequest) -> Option<HttpRequest> {
        None
    }

    /// Takes the answer to what [`Engine::preflight`] wanted. Returns what the person should know of it.
    fn handle_preflight(&self, _request: &ModelRequest, _answer: Result<Json, Fault>) -> Option<String> {
        None
    }

    /// Says what tells of the answer besides its stream, where there is such a thing.
    fn side_channel(&self, _request: &ModelRequest) -> Option<SideChannel> {
        None
    }

    /// Returns where its server keeps what a person should decide outside of any turn.
    fn server_approvals(&self) -> Option<Box<dyn server_approvals::ServerApprovals>> {
        None
    }

    /// Says how to learn more of a model than its name, where that isn't known already.
    fn model_details_query(&self) -> Option<model_details::ModelDetailsQuery> {
        None
    }

    /// Says how to list the models, where there is a server to ask.
    fn model_list_query(&self) -> Option<discover::ModelListQuery> {
        None
    }
}

/// What the model is asked: always the whole conversation, since engines keep nothing.
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

/// A call the assistant asked for. Its result is a later [`HistoryMessage::Tool`].
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
    /// Make this call and decode what comes.
    Http { request: HttpRequest, decode: Box<dyn Decode> },
    /// Nothing to call: these events, each after its pause. Same events as a decoder's, `TurnFinished` included.
    Scripted(Vec<ScriptedEvent>),
}

/// One event of a scripted answer.
#[derive(Clone, Debug, PartialEq)]
pub struct ScriptedEvent {
    /// Pause before it.
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
            let said = engine.dialect();
            assert!(DIALECTS.iter().any(|dialect| Some(dialect.name) == said), "{said:?}");
        }
    }
}
