//! Engines: whatever answers a conversation. One file each; the house chooses among them.
//!
//! An engine describes a call and names the decoder of its answer; it opens no socket and keeps no conversation.
//! The embedded engine has nothing to call and scripts its answer instead; the agent treats both alike.

pub mod anthropic;
pub mod describe;
pub mod desk;
pub mod discover;
pub mod offline;
pub mod ollama;
pub mod openai;
pub mod openai_responses;
pub mod remote;

use crate::dialect::Decode;
use crate::event::{AgentEvent, CallId, Fault, Json, Millis, Outcome, ToolSpec, Tuning};
use crate::net::call::{Beside, HttpCall};

/// Whatever answers a conversation.
pub trait Engine: Send + Sync {
    /// The engine's name as written in `engine/model`.
    fn name(&self) -> &str;

    /// Says how to get the next message of the assistant.
    fn reply(&self, request: &Request) -> Reply;

    /// Returns the wire format it speaks, by the name that JSON output uses; none where only the answer tells.
    fn dialect(&self) -> Option<&'static str> {
        None
    }

    /// Returns whether its server can be told that the model must call a tool.
    fn can_oblige(&self) -> bool {
        false
    }

    /// Says what must be asked before the next reply can be had, one call at a time until there is none.
    fn prepare(&self, _request: &Request) -> Option<HttpCall> {
        None
    }

    /// Takes the answer to what [`Engine::prepare`] wanted. Returns what the person should know of it.
    fn prepared(&self, _request: &Request, _answer: Result<Json, Fault>) -> Option<String> {
        None
    }

    /// Says what tells of the answer besides its stream, where there is such a thing.
    fn beside(&self, _request: &Request) -> Option<Beside> {
        None
    }

    /// Returns where its server keeps what a person should decide outside of any turn.
    fn desk(&self) -> Option<Box<dyn desk::Desk>> {
        None
    }

    /// Says how to learn more of a model than its name, where that isn't known already.
    fn questions(&self) -> Option<describe::Questions> {
        None
    }

    /// Says how to list the models, where there is a server to ask.
    fn survey(&self) -> Option<discover::Survey> {
        None
    }
}

/// What the model is asked: always the whole conversation, since engines keep nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    pub model: String,
    pub system: String,
    pub past: Vec<Past>,
    pub tools: Vec<ToolSpec>,
    pub tuning: Tuning,
}

/// One entry of the conversation so far, oldest first.
#[derive(Clone, Debug, PartialEq)]
pub enum Past {
    User { text: String },
    Assistant { text: String, reasoning: String, calls: Vec<PastCall>, carry: Option<Json> },
    Tool { call: CallId, name: String, output: String, outcome: Outcome },
}

/// A call the assistant asked for. Its result is a later [`Past::Tool`].
#[derive(Clone, Debug, PartialEq)]
pub struct PastCall {
    pub call: CallId,
    pub name: String,
    /// JSON text as the model wrote it.
    pub args: String,
    pub carry: Option<Json>,
}

/// How to get an answer.
pub enum Reply {
    /// Make this call and decode what comes.
    Http { call: HttpCall, decode: Box<dyn Decode> },
    /// Nothing to call: these events, each after its pause. Same events as a decoder's, `TurnFinished` included.
    Script(Vec<Beat>),
}

/// One event of a scripted answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Beat {
    /// Pause before it.
    pub after: Millis,
    pub event: AgentEvent,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::DIALECTS;

    #[test]
    fn every_engine_names_the_dialect_that_it_speaks() {
        let engines: [Box<dyn Engine>; 4] = [
            Box::new(openai::OpenAi::new("work".into(), "h", None)),
            Box::new(openai_responses::OpenAiResponses::new("work".into(), "h", None)),
            Box::new(anthropic::Anthropic::new("work".into(), "h", anthropic::Pass::None)),
            Box::new(ollama::Ollama::new("work".into(), "h")),
        ];
        for engine in engines {
            let said = engine.dialect();
            assert!(DIALECTS.iter().any(|dialect| Some(dialect.name) == said), "{said:?}");
        }
    }
}
