//! PURE. What to ask at a bare address to find out what listens there, and what the answers mean.
//!
//! All questions go out side by side. Nothing is believed for its status alone: some servers answer any path with a
//! web page. An address that an answer names is used only for its path, so that credentials stay with the host that
//! the person named.

use super::{Style, Target};
use crate::engine::discover::{self, ModelInfo, Survey};
use crate::event::{Fault, FaultKind, Json};
use crate::net::call::{Framing, HttpCall, Method, Value};
use crate::text::address::path_and_query;

/// Asked of every address, in this order.
const PATHS: [&str; 8] = [
    "/v1/info",
    "/v1/models",
    "/api/tags",
    "/.well-known/agent-card.json",
    "/.well-known/agent.json",
    "/v1/sessions",
    "/health",
    "/api/v1/models",
];

/// What listens at an address.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// For people, such as "OpenJarvis 1.0.2".
    pub what: String,
    /// What gave it away.
    pub why: String,
    pub how: How,
    pub models: Vec<ModelInfo>,
    /// The one it uses by itself.
    pub model: Option<String>,
    /// An OpenJarvis with an agent, whose version is still to be found out.
    pub has_agent: bool,
}

/// How to talk to it.
#[derive(Clone, Debug, PartialEq)]
pub enum How {
    /// Ask it there.
    Ask { style: Style, url: String },
    /// Another program of this kind: watch one of its sessions, the newest first.
    Mirror { sessions: Vec<String> },
}

/// Returns whether a URL names a server and nothing on it.
pub fn is_origin(url: &str) -> bool {
    matches!(path_and_query(url), ("" | "/", ""))
}

/// Returns the address of the session that a URL of its events names.
pub fn session_of(url: &str) -> Option<String> {
    let path = path_and_query(url).0.trim_end_matches('/');
    let session = path.strip_suffix("/events").unwrap_or(path);
    let is_one =
        session.rsplit_once('/').is_some_and(|(before, id)| before.ends_with("/v1/sessions") && !id.is_empty());
    let end = url.find(path).filter(|_| is_one)?;
    url.get(..end + session.len()).map(str::to_owned)
}

/// Returns the questions for a server.
pub fn questions(origin: &str, headers: &[(String, Value)]) -> Vec<HttpCall> {
    PATHS.iter().map(|path| get(format!("{}{path}", origin.trim_end_matches('/')), headers)).collect()
}

/// Reads the answers, which stand in the questions' order.
pub fn read(origin: &str, answers: &[Result<Json, Fault>]) -> Result<Found, Fault> {
    let origin = origin.trim_end_matches('/');
    let answer = |path: &str| {
        let at = PATHS.iter().position(|known| *known == path)?;
        answers.get(at)?.as_ref().ok()
    };
    let text = |json: Option<&Json>, key: &str| json?.get(key)?.as_str().map(str::to_owned);
    let models = |path: &str| answer(path).and_then(discover::openai_models);
    let ask = |style: Style, path: &str| How::Ask { style, url: format!("{origin}{path}") };

    let info = answer("/v1/info");
    if text(info, "name").as_deref() == Some("jarvis-tui") {
        let list = answer("/v1/sessions").and_then(|json| json.get("sessions")?.as_array());
        let id = |session: &Json| session.get("id").or_else(|| session.get("session"))?.as_str().map(str::to_owned);
        let sessions: Vec<String> = list.into_iter().flatten().filter_map(id).collect();
        return Ok(Found {
            has_agent: false,
            what: "jarvis-tui".into(),
            why: "/v1/info says so".into(),
            how: How::Mirror { sessions },
            models: Vec::new(),
            model: None,
        });
    }
    if let Some(info) = info.filter(|info| info.get("engine").is_some() && info.get("agent").is_some()) {
        return Ok(Found {
            what: "OpenJarvis".into(),
            why: "/v1/info names a model, an agent and an engine".into(),
            has_agent: info.get("agent").is_some_and(Json::is_string),
            how: ask(Style::Chat, "/v1/chat/completions"),
            models: models("/v1/models").unwrap_or_default(),
            model: text(Some(info), "model").filter(|model| !model.is_empty()),
        });
    }
    for path in ["/.well-known/agent-card.json", "/.well-known/agent.json"] {
        let Some(card) = answer(path).filter(|card| card.get("name").is_some() && card.get("skills").is_some()) else {
            continue;
        };
        let name = text(Some(card), "name").unwrap_or_default();
        let (style, url) = a2a(card);
        return Ok(Found {
            has_agent: false,
            what: format!("the A2A agent {name:?}"),
            why: format!("{path} is an agent card"),
            how: ask(style, &url),
            models: Vec::new(),
            model: None,
        });
    }
    if let Some(models) = answer("/api/tags").and_then(|tags| discover::ollama_models(tags, None)) {
        return Ok(Found {
            has_agent: false,
            what: "Ollama".into(),
            why: "/api/tags lists its models".into(),
            how: ask(Style::Ollama, "/api/chat"),
            model: None,
            models,
        });
    }
    if let Some(models) = models("/v1/models") {
        return Ok(Found {
            has_agent: false,
            what: "a server of chat completions".into(),
            why: "/v1/models lists models".into(),
            how: ask(Style::Chat, "/v1/chat/completions"),
            model: None,
            models,
        });
    }
    let app = text(answer("/health"), "app").unwrap_or_default();
    if let Some(models) = models("/api/v1/models").or_else(|| app.to_lowercase().contains("enclava").then(Vec::new)) {
        return Ok(Found {
            has_agent: false,
            what: "enclava".into(),
            why: if app.is_empty() { "/api/v1/models lists models".into() } else { format!("/health says {app:?}") },
            how: ask(Style::Enclava, "/api/v1/responses"),
            model: None,
            models,
        });
    }
    Err(nothing(origin, answers))
}

/// Returns style and path of an agent by its card. The card may name an address that only the agent's own machine
/// knows.
fn a2a(card: &Json) -> (Style, String) {
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
    (if is_one { Style::A2aOne } else { Style::A2a }, path.to_owned())
}

/// Says what was met instead.
fn nothing(origin: &str, answers: &[Result<Json, Fault>]) -> Fault {
    let faults = || answers.iter().filter_map(|answer| answer.as_ref().err());
    if let Some(refused) = faults().find(|fault| fault.kind == FaultKind::Auth) {
        return refused.clone();
    }
    if faults().count() == answers.len()
        && let Some(unreachable) = faults().find(|fault| matches!(fault.kind, FaultKind::Network))
    {
        // It can't be helped with another path.
        return unreachable.clone();
    }
    if faults().count() == answers.len() && faults().all(|fault| fault.kind == FaultKind::TimedOut) {
        let text = format!("{origin} answered none of the usual questions in time; give the full URL and --request");
        return Fault::new(FaultKind::TimedOut, text);
    }
    let text = format!(
        "{origin} is nothing that attach knows by itself (asked for {}); give the full URL of its stream, and \
         --request to say how it is asked",
        PATHS.join(", ")
    );
    Fault::new(FaultKind::Protocol, text)
}

/// Says how to list the models of a target, by what stands beside its path.
pub fn models(target: &Target) -> Option<Survey> {
    let url = target.url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let beside = |end: &str, path: &str| url.strip_suffix(end).map(|base| format!("{base}{path}"));
    let (url, read): (String, Read) = match target.style {
        Style::Chat | Style::OpenJarvisBridge => (beside("/chat/completions", "/models")?, first_openai),
        Style::Responses | Style::Enclava => (beside("/responses", "/models")?, first_openai),
        Style::Anthropic => (beside("/messages", "/models")?, first_openai),
        Style::Ollama => {
            (beside("/chat", "/tags")?, |answers| discover::ollama_models(answers.first().copied().flatten()?, None))
        }
        _ => return None,
    };
    Some(Survey { calls: vec![get(url, &target.headers)], read })
}

type Read = fn(&[Option<&Json>]) -> Option<Vec<ModelInfo>>;

fn first_openai(answers: &[Option<&Json>]) -> Option<Vec<ModelInfo>> {
    discover::openai_models(answers.first().copied().flatten()?)
}

pub(super) fn get(url: String, headers: &[(String, Value)]) -> HttpCall {
    HttpCall { method: Method::Get, url, headers: headers.to_vec(), body: None, framing: Framing::Ndjson }
}
