//! PURE. The requests that find out what listens at a bare address, and the meaning of the responses.
//!
//! All requests are sent in parallel. A status alone is no evidence: some servers answer any path with a web page. Of a
//! URL in a response only the path is used, so that credentials stay with the host that the person named.

use bytes::Bytes;

use super::request_kind::{ACP, GET, RequestKind};
use super::server_extras::FindServerExtras;
use super::{IDENTIFIERS, RemoteTarget};
use crate::engine::discover::{self, ModelInfo, ModelListQuery};
use crate::event::{Fault, FaultKind, Json};
use crate::net::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};
use crate::text::address::path_and_query;

/// Requested from every address, in this order.
const PROBE_PATHS: [&str; 16] = [
    "/v1/info",
    "/v1/models",
    "/api/tags",
    "/.well-known/agent-card.json",
    "/.well-known/agent.json",
    "/v1/sessions",
    "/health",
    "/api/v1/models",
    "/list-apps",
    "/info",
    "/agents",
    "/api/agents",
    "/global/health",
    "/api/copilotkit/info",
    "/api/v2",
    ACP.default_path,
];

/// The server at an address.
#[derive(Clone, Debug)]
pub struct ProbedServer {
    /// Shown to people, such as "OpenJarvis 1.0.2".
    pub description: String,
    /// What identified it.
    pub evidence: String,
    pub access: RemoteAccess,
    pub models: Vec<ModelInfo>,
    /// Its default model.
    pub model: Option<String>,
    /// What it offers besides its answers.
    pub extras: Option<FindServerExtras>,
    /// One more request tells more of it.
    pub follow_up: Option<FollowUp>,
}

/// A request that completes what is known of a server.
#[derive(Clone, Copy, Debug)]
pub struct FollowUp {
    pub path: &'static str,
    /// Takes the response, where there was one.
    pub conclude: fn(&mut ProbedServer, Option<&Json>),
}

/// How to connect to it.
#[derive(Clone, Debug, PartialEq)]
pub enum RemoteAccess {
    /// Send prompts to this URL.
    Request { kind: &'static RequestKind, url: String },
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
    let probe = |path: &str| {
        let mut request = get_request(format!("{}{path}", origin.trim_end_matches('/')), headers);
        if path == ACP.default_path {
            // What asks for less is refused for that.
            let accepted = HttpHeaderValue::Plain("text/event-stream, application/json".to_owned());
            request.headers.push(("accept".to_owned(), accepted));
        }
        request
    };
    PROBE_PATHS.iter().copied().map(probe).collect()
}

/// The responses to the probes of one address.
pub(super) struct ProbeAnswers<'a> {
    origin: &'a str,
    /// In the order of [`PROBE_PATHS`].
    answers: &'a [Result<Json, Fault>],
}

impl ProbeAnswers<'_> {
    pub(super) fn get(&self, path: &str) -> Option<&Json> {
        let at = PROBE_PATHS.iter().position(|known| *known == path)?;
        self.answers.get(at)?.as_ref().ok()
    }

    /// Returns why a path was refused.
    fn refusal(&self, path: &str) -> Option<&Fault> {
        let at = PROBE_PATHS.iter().position(|known| *known == path)?;
        self.answers.get(at)?.as_ref().err()
    }

    /// Returns the models that a path lists as OpenAI's API does.
    pub(super) fn models(&self, path: &str) -> Option<Vec<ModelInfo>> {
        self.get(path).and_then(discover::openai_models)
    }

    /// Returns a server that takes prompts at a path, of which nothing else is known.
    pub(super) fn server(&self, kind: &'static RequestKind, path: &str) -> ProbedServer {
        ProbedServer {
            description: String::new(),
            evidence: String::new(),
            access: RemoteAccess::Request { kind, url: format!("{}{path}", self.origin) },
            models: Vec::new(),
            model: None,
            extras: None,
            follow_up: None,
        }
    }
}

/// Identifies the server by the responses, which are in the order of the requests.
pub fn identify(origin: &str, answers: &[Result<Json, Fault>]) -> Result<ProbedServer, Fault> {
    let answers = ProbeAnswers { origin: origin.trim_end_matches('/'), answers };
    let found = IDENTIFIERS.iter().find_map(|identify| identify(&answers));
    found.ok_or_else(|| unrecognized_fault(answers.origin, answers.answers))
}

pub(super) fn identify_jarvis_tui(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    answers.get("/v1/info").filter(|info| info.get("name").and_then(Json::as_str) == Some("jarvis-tui"))?;
    let list = answers.get("/v1/sessions").and_then(|json| json.get("sessions")?.as_array());
    let id = |session: &Json| session.get("id").or_else(|| session.get("session"))?.as_str().map(str::to_owned);
    let sessions: Vec<String> = list.into_iter().flatten().filter_map(id).collect();
    Some(ProbedServer {
        description: "jarvis-tui".into(),
        evidence: "/v1/info says so".into(),
        access: RemoteAccess::Mirror { sessions },
        ..answers.server(&GET, "")
    })
}

/// Identifies an agent that speaks the Agent Client Protocol by how it misses the id of a connection, or, where it has
/// only a WebSocket, by what it wants instead.
pub(super) fn identify_acp(answers: &ProbeAnswers<'_>) -> Option<ProbedServer> {
    let said = answers.refusal(ACP.default_path)?.message.to_ascii_lowercase();
    let names_id = said.contains("acp-connection-id") || said.contains("connection id");
    let wants_socket = said.contains("returned 426");
    let evidence = match (names_id, wants_socket) {
        (true, _) => "/acp wants the id of a connection",
        (false, true) => "/acp wants a WebSocket",
        (false, false) => return None,
    };
    Some(ProbedServer {
        description: "an agent that speaks the Agent Client Protocol".into(),
        evidence: evidence.into(),
        ..answers.server(&ACP, ACP.default_path)
    })
}

/// Returns whether an id can be a part of a URL.
pub(super) fn is_path_segment(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 200
        && !id.starts_with('.')
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
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
    let list = target.request_kind.model_list?;
    let url = target.url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let url = format!("{}{}", url.strip_suffix(list.replaces)?, list.path);
    let mut request = get_request(url, &target.headers);
    if let Some(body) = list.body {
        (request.method, request.body) = (HttpMethod::Post, Some(Bytes::from_static(body.as_bytes())));
    }
    Some(ModelListQuery { requests: vec![request], parse: list.parse })
}

pub fn get_request(url: String, headers: &[(String, HttpHeaderValue)]) -> HttpRequest {
    HttpRequest { method: HttpMethod::Get, url, headers: headers.to_vec(), body: None, framing: Framing::Ndjson }
}
