//! PURE. The requests that find out what listens at a bare address, and the meaning of the responses.
//!
//! All requests are sent in parallel. A status alone is no evidence: some servers answer any path with a web page. Of a
//! URL in a response only the path is used, so that credentials stay with the host that the person named.

use super::{RemoteTarget, RequestKind};
use crate::engine::discover::{self, ModelInfo, ModelListQuery};
use crate::event::{Fault, FaultKind, Json};
use crate::net::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};
use crate::text::address::path_and_query;

/// Requested from every address, in this order.
const PROBE_PATHS: [&str; 8] = [
    "/v1/info",
    "/v1/models",
    "/api/tags",
    "/.well-known/agent-card.json",
    "/.well-known/agent.json",
    "/v1/sessions",
    "/health",
    "/api/v1/models",
];

/// The server at an address.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbedServer {
    /// Shown to people, such as "OpenJarvis 1.0.2".
    pub description: String,
    /// What identified it.
    pub evidence: String,
    pub access: RemoteAccess,
    pub models: Vec<ModelInfo>,
    /// Its default model.
    pub model: Option<String>,
    /// An OpenJarvis with an agent, whose version is still unknown.
    pub has_agent: bool,
}

/// How to connect to it.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteAccess {
    /// Send prompts to this URL.
    Request { kind: RequestKind, url: String },
    /// Another jarvis-tui: watch one of its sessions, the newest first.
    Mirror { sessions: Vec<String> },
}

/// Returns whether a URL has nothing after the host.
pub fn is_origin(url: &str) -> bool {
    matches!(path_and_query(url), ("" | "/", ""))
}

/// Returns the URL of the session whose event stream this URL is.
pub fn session_url(url: &str) -> Option<String> {
    let path = path_and_query(url).0.trim_end_matches('/');
    let session = path.strip_suffix("/events").unwrap_or(path);
    let is_one =
        session.rsplit_once('/').is_some_and(|(before, id)| before.ends_with("/v1/sessions") && !id.is_empty());
    let end = url.find(path).filter(|_| is_one)?;
    url.get(..end + session.len()).map(str::to_owned)
}

/// Returns the requests for a server.
pub fn probe_requests(origin: &str, headers: &[(String, HttpHeaderValue)]) -> Vec<HttpRequest> {
    PROBE_PATHS.iter().map(|path| get_request(format!("{}{path}", origin.trim_end_matches('/')), headers)).collect()
}

/// Identifies the server by the responses, which are in the order of the requests.
pub fn identify(origin: &str, answers: &[Result<Json, Fault>]) -> Result<ProbedServer, Fault> {
    let origin = origin.trim_end_matches('/');
    let answer = |path: &str| {
        let at = PROBE_PATHS.iter().position(|known| *known == path)?;
        answers.get(at)?.as_ref().ok()
    };
    let text = |json: Option<&Json>, key: &str| json?.get(key)?.as_str().map(str::to_owned);
    let models = |path: &str| answer(path).and_then(discover::openai_models);
    let request_to =
        |style: RequestKind, path: &str| RemoteAccess::Request { kind: style, url: format!("{origin}{path}") };

    let info = answer("/v1/info");
    if text(info, "name").as_deref() == Some("jarvis-tui") {
        let list = answer("/v1/sessions").and_then(|json| json.get("sessions")?.as_array());
        let id = |session: &Json| session.get("id").or_else(|| session.get("session"))?.as_str().map(str::to_owned);
        let sessions: Vec<String> = list.into_iter().flatten().filter_map(id).collect();
        return Ok(ProbedServer {
            has_agent: false,
            description: "jarvis-tui".into(),
            evidence: "/v1/info says so".into(),
            access: RemoteAccess::Mirror { sessions },
            models: Vec::new(),
            model: None,
        });
    }
    if let Some(info) = info.filter(|info| info.get("engine").is_some() && info.get("agent").is_some()) {
        return Ok(ProbedServer {
            description: "OpenJarvis".into(),
            evidence: "/v1/info names a model, an agent and an engine".into(),
            has_agent: info.get("agent").is_some_and(Json::is_string),
            access: request_to(RequestKind::Chat, "/v1/chat/completions"),
            models: models("/v1/models").unwrap_or_default(),
            model: text(Some(info), "model").filter(|model| !model.is_empty()),
        });
    }
    for path in ["/.well-known/agent-card.json", "/.well-known/agent.json"] {
        let Some(card) = answer(path).filter(|card| card.get("name").is_some() && card.get("skills").is_some()) else {
            continue;
        };
        let name = text(Some(card), "name").unwrap_or_default();
        let (style, url) = a2a_access(card);
        return Ok(ProbedServer {
            has_agent: false,
            description: format!("the A2A agent {name:?}"),
            evidence: format!("{path} is an agent card"),
            access: request_to(style, &url),
            models: Vec::new(),
            model: None,
        });
    }
    if let Some(models) = answer("/api/tags").and_then(|tags| discover::ollama_models(tags, None)) {
        return Ok(ProbedServer {
            has_agent: false,
            description: "Ollama".into(),
            evidence: "/api/tags lists its models".into(),
            access: request_to(RequestKind::Ollama, "/api/chat"),
            model: None,
            models,
        });
    }
    if let Some(models) = models("/v1/models") {
        return Ok(ProbedServer {
            has_agent: false,
            description: "a server of chat completions".into(),
            evidence: "/v1/models lists models".into(),
            access: request_to(RequestKind::Chat, "/v1/chat/completions"),
            model: None,
            models,
        });
    }
    let app = text(answer("/health"), "app").unwrap_or_default();
    if let Some(models) = models("/api/v1/models").or_else(|| app.to_lowercase().contains("enclava").then(Vec::new)) {
        return Ok(ProbedServer {
            has_agent: false,
            description: "enclava".into(),
            evidence: if app.is_empty() {
                "/api/v1/models lists models".into()
            } else {
                format!("/health says {app:?}")
            },
            access: request_to(RequestKind::Enclava, "/api/v1/responses"),
            model: None,
            models,
        });
    }
    Err(unrecognized_fault(origin, answers))
}

/// Returns kind and path of an agent from its card. The URL in the card may only resolve on the agent's own machine.
fn a2a_access(card: &Json) -> (RequestKind, String) {
    let version = card.get("protocolVersion").and_then(Json::as_str).unwrap_or_default();
    let interfaces = card.get("supportedInterfaces").or_else(|| card.get("interfaces")).and_then(Json::as_array);
    let one = interfaces.into_iter().flatten().find(|interface| {
        let binding = interface.get("protocolBinding").or_else(|| interface.get("transport")).and_then(Json::as_str);
        binding.is_none_or(|binding| binding.eq_ignore_ascii_case("jsonrpc"))
    });
    let newer = |interface: &Json| {
        interface.get("protocolVersion").and_then(Json::as_str).is_none_or(|version| version.starts_with('1'))
    };
    let is_one = version.starts_with('1') || (version.is_empty() && one.is_some_and(newer));
    let url = card.get("url").or_else(|| one?.get("url")).and_then(Json::as_str).unwrap_or_default();
    let path = match path_and_query(url).0 {
        "" => "/",
        path => path,
    };
    (if is_one { RequestKind::A2aV1 } else { RequestKind::A2a }, path.to_owned())
}

/// Describes what answered instead.
fn unrecognized_fault(origin: &str, answers: &[Result<Json, Fault>]) -> Fault {
    let faults = || answers.iter().filter_map(|answer| answer.as_ref().err());
    if let Some(refused) = faults().find(|fault| fault.kind == FaultKind::Auth) {
        return refused.clone();
    }
    if faults().count() == answers.len()
        && let Some(unreachable) = faults().find(|fault| matches!(fault.kind, FaultKind::Network))
    {
        // Another path would not help.
        return unreachable.clone();
    }
    if faults().count() == answers.len() && faults().all(|fault| fault.kind == FaultKind::TimedOut) {
        let text = format!("{origin} responded to no probe in time; give the full URL and --request");
        return Fault::new(FaultKind::TimedOut, text);
    }
    let text = format!(
        "{origin} is not a known kind of server (tried {}); give the full URL of its stream, and --request for the request format",
        PROBE_PATHS.join(", ")
    );
    Fault::new(FaultKind::Protocol, text)
}

/// Returns the requests for the models of a target, at paths next to its own.
pub fn model_list_query(target: &RemoteTarget) -> Option<ModelListQuery> {
    let url = target.url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let sibling = |end: &str, path: &str| url.strip_suffix(end).map(|base| format!("{base}{path}"));
    let (url, read): (String, ReadModels) = match target.request_kind {
        RequestKind::Chat | RequestKind::OpenJarvisBridge => {
            (sibling("/chat/completions", "/models")?, read_openai_models)
        }
        RequestKind::Responses | RequestKind::Enclava => (sibling("/responses", "/models")?, read_openai_models),
        RequestKind::Anthropic => (sibling("/messages", "/models")?, read_openai_models),
        RequestKind::Ollama => {
            (sibling("/chat", "/tags")?, |answers| discover::ollama_models(answers.first().copied().flatten()?, None))
        }
        _ => return None,
    };
    Some(ModelListQuery { requests: vec![get_request(url, &target.headers)], parse: read })
}

type ReadModels = fn(&[Option<&Json>]) -> Option<Vec<ModelInfo>>;

fn read_openai_models(answers: &[Option<&Json>]) -> Option<Vec<ModelInfo>> {
    discover::openai_models(answers.first().copied().flatten()?)
}

pub(super) fn get_request(url: String, headers: &[(String, HttpHeaderValue)]) -> HttpRequest {
    HttpRequest { method: HttpMethod::Get, url, headers: headers.to_vec(), body: None, framing: Framing::Ndjson }
}
