//! PURE. The APIs of models, whose bodies the engines for them write.

use super::RemoteTarget;
use super::ollama_or_app::OllamaOrApp;
use super::probe::{ProbeAnswers, ProbedServer};
use super::protocol::{EngineProtocol, Protocol};
use super::request_kind::{ModelListPath, RequestKind};
use crate::engine::anthropic::{AnthropicAuth, AnthropicEngine};
use crate::engine::discover;
use crate::engine::openai::OpenAiEngine;
use crate::engine::openai_responses::ResponsesEngine;
use crate::event::Json;

const CHAT_PATH: &str = "/chat/completions";
pub(super) const CHAT_MODEL_LIST: ModelListPath = ModelListPath::openai(CHAT_PATH);

/// OpenAI chat completions, with the whole conversation in each request.
pub static CHAT: RequestKind = RequestKind {
    name: "chat",
    wanted_fields: &[&["messages"]],
    default_path: "/v1/chat/completions",
    is_at: |path, _| path.ends_with(CHAT_PATH),
    needs_model: true,
    supports_tools: true,
    takes_images: true,
    model_list: Some(CHAT_MODEL_LIST),
    protocol: Some(|target| chat_protocol(target, replace_null_content)),
    ..RequestKind::NEW
};

pub(super) static RESPONSES: RequestKind = RequestKind {
    name: "responses",
    wanted_fields: &[&["input"]],
    default_path: "/v1/responses",
    is_at: |path, _| path.ends_with("/responses"),
    needs_model: true,
    supports_tools: true,
    takes_images: true,
    model_list: Some(ModelListPath::openai("/responses")),
    protocol: Some(|target| {
        let writer = Box::new(ResponsesEngine::new(target.name.clone(), &target.url, None));
        Box::new(EngineProtocol { writer, adjust: |_| {} })
    }),
    ..RequestKind::NEW
};

pub(super) static ANTHROPIC: RequestKind = RequestKind {
    cancel: None,
    name: "anthropic",
    wanted_fields: &[],
    default_path: "/v1/messages",
    is_at: |path, _| path.ends_with("/v1/messages"),
    needs_model: true,
    supports_tools: true,
    takes_images: true,
    is_conversation: false,
    // Its own service rejects two credentials; for gateways there is --header.
    token_header: Some("x-api-key"),
    model_list: Some(ModelListPath::openai("/messages")),
    protocol: Some(|target| {
        let writer = Box::new(AnthropicEngine::new(target.name.clone(), &target.url, AnthropicAuth::None));
        Box::new(EngineProtocol { writer, adjust: |_| {} })
    }),
};

pub(super) static OLLAMA: RequestKind = RequestKind {
    name: "ollama",
    default_path: "/api/chat",
    is_at: |path, _| path.ends_with("/api/chat"),
    needs_model: true,
    supports_tools: true,
    takes_images: true,
    model_list: Some(ModelListPath {
        body: None,
        replaces: "/chat",
        path: "/tags",
        parse: |answers| discover::ollama_models(answers.first().copied().flatten()?, None),
    }),
    protocol: Some(OllamaOrApp::boxed),
    ..RequestKind::NEW
};

/// Cohere's chat, whose messages and tools are written like those of chat completions.
pub(super) static COHERE: RequestKind = RequestKind {
    name: "cohere",
    default_path: "/v2/chat",
    is_at: |path, _| path.ends_with("/v2/chat"),
    needs_model: true,
    supports_tools: true,
    takes_images: true,
    protocol: Some(|target| chat_protocol(target, keep_cohere_fields)),
    ..RequestKind::NEW
};

/// Leaves out what Cohere has no field for.
fn keep_cohere_fields(body: &mut Json) {
    const FIELDS: [&str; 6] = ["model", "messages", "tools", "stream", "max_tokens", "temperature"];
    const MESSAGE_FIELDS: [&str; 4] = ["role", "content", "tool_calls", "tool_call_id"];
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|name, _| FIELDS.contains(&name.as_str()));
    }
    for message in body.get_mut("messages").and_then(Json::as_array_mut).into_iter().flatten() {
        if let Some(fields) = message.as_object_mut() {
            fields.retain(|name, value| MESSAGE_FIELDS.contains(&name.as_str()) && !value.is_null());
        }
    }
}

/// Identifies a server by the path at which it lists its models.
pub(super) fn identify_ollama(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let models = discover::ollama_models(answers.get("/api/tags")?, None)?;
    let (description, evidence) = ("Ollama".into(), "/api/tags lists its models".into());
    Some(ProbedServer { description, evidence, models, ..answers.server(&OLLAMA, OLLAMA.default_path) })
}

/// Identifies a server that lists models as OpenAI's does.
pub(super) fn identify_chat(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let models = answers.models("/v1/models")?;
    let (description, evidence) = ("a server of chat completions".into(), "/v1/models lists models".into());
    Some(ProbedServer { description, evidence, models, ..answers.server(&CHAT, CHAT.default_path) })
}

/// Returns chat completions whose body `adjust` changes.
pub(super) fn chat_protocol(target: &RemoteTarget, adjust: fn(&mut Json)) -> Box<dyn Protocol> {
    let writer = Box::new(OpenAiEngine::new(target.name.clone(), &target.url, None));
    Box::new(EngineProtocol { writer, adjust })
}

/// Some servers need a string where others allow null.
pub(super) fn replace_null_content(body: &mut Json) {
    let messages = body.get_mut("messages").and_then(Json::as_array_mut);
    for message in messages.into_iter().flatten() {
        if let Some(content @ Json::Null) = message.get_mut("content") {
            *content = Json::from("");
        }
    }
}
