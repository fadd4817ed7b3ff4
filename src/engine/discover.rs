//! PURE. Which servers may run on this machine, the requests that identify them, and the meaning of the responses.
//!
//! `net::probe` sends the requests. A response must have the shape of the server it is taken for; whatever else listens
//! on these ports is not one. Everything from a server is only data here.

use super::model_details::context_window_in;
use crate::event::{Fault, FaultKind, Json};
use crate::net::failure::is_loading;
use crate::net::request::{Framing, HttpHeaderValue, HttpMethod, HttpRequest};
use crate::text::address::host_and_port;
use crate::text::human;

/// Context window requested from Ollama where nothing else sets one, in tokens.
const DEFAULT_CONTEXT_WINDOW_TOKENS: u64 = 16_384;
/// Models listed of one server.
const MAX_MODELS: usize = 2000;

/// A kind of local server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerKind {
    Ollama,
    LlamaCpp,
    LmStudio,
    Vllm,
    /// Speaks chat completions without identifying itself.
    Compatible,
}

impl ServerKind {
    pub const ALL: [Self; 5] = [Self::Ollama, Self::LlamaCpp, Self::LmStudio, Self::Vllm, Self::Compatible];

    /// Returns the name shown to people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ollama => "Ollama",
            Self::LlamaCpp => "llama.cpp",
            Self::LmStudio => "LM Studio",
            Self::Vllm => "vLLM",
            Self::Compatible => "an OpenAI-compatible server",
        }
    }

    /// Returns the engine name of servers of this kind.
    pub fn engine_name(self) -> &'static str {
        match self {
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llamacpp",
            Self::LmStudio => "lmstudio",
            Self::Vllm => "vllm",
            Self::Compatible => "local",
        }
    }
}

/// An address where a server may listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCandidate {
    pub kind: ServerKind,
    pub base_url: String,
}

/// A server that was identified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveredServer {
    pub kind: ServerKind,
    pub base_url: String,
    pub models: Vec<ModelInfo>,
    pub readiness: Readiness,
}

/// Whether a server can answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// It is loading its model.
    Loading,
    /// It answers nothing without a key, not even what it is.
    NeedsKey,
}

/// A model that can be selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelInfo {
    pub id: String,
    /// Size, family, "running": whatever the server reports, on one line.
    pub remark: String,
    /// Its context window in tokens, where the server reports it.
    pub context_window: Option<u64>,
}

/// The requests for an engine's models; the responses are parsed in the same order.
#[derive(Clone, Debug)]
pub struct ModelListQuery {
    pub requests: Vec<HttpRequest>,
    pub parse: fn(&[Option<&Json>]) -> Option<Vec<ModelInfo>>,
}

impl ModelListQuery {
    /// Requests a list in OpenAI's shape.
    pub(super) fn openai(list_url: &str, headers: Vec<(String, HttpHeaderValue)>) -> Self {
        Self {
            requests: vec![HttpRequest::get(list_url, headers, Framing::Ndjson)],
            parse: |answers| openai_models(answers.first().copied().flatten()?),
        }
    }

    /// Parses the responses. Only the first request must have succeeded.
    pub fn parse_answers(&self, answers: &[Result<Json, Fault>]) -> Result<Vec<ModelInfo>, Fault> {
        if let Some(Err(fault)) = answers.first() {
            return Err(fault.clone());
        }
        let answers: Vec<_> = answers.iter().map(|answer| answer.as_ref().ok()).collect();
        (self.parse)(&answers).ok_or_else(|| {
            let url = self.requests.first().map_or("the server", |call| &call.url);
            let text = format!("{url} did not return a list of models; check the base URL");
            Fault::new(FaultKind::Protocol, text)
        })
    }
}

/// Returns the usual addresses on this machine, the likeliest first: the default ports of known servers, and common
/// ports of servers with chat completions.
pub fn candidates() -> Vec<ServerCandidate> {
    [
        (ServerKind::Ollama, 11434),
        (ServerKind::LlamaCpp, 8080),
        (ServerKind::LmStudio, 1234),
        (ServerKind::Vllm, 8000),
        (ServerKind::LlamaCpp, 8081),
        (ServerKind::Vllm, 8001),
        (ServerKind::Compatible, 30000),
        (ServerKind::Compatible, 4000),
        (ServerKind::Compatible, 1337),
    ]
    .into_iter()
    .map(|(kind, port)| ServerCandidate::new(kind, port))
    .collect()
}

/// Returns the fault for a server name (a kind, or a kind and its port) that does not answer; none for other names.
pub fn not_found_fault(name: &str) -> Option<Fault> {
    let usual = || candidates().into_iter().filter(|candidate| candidate.kind.engine_name() == name).collect();
    let places: Vec<ServerCandidate> = candidate_named(name).map_or_else(usual, |candidate| vec![candidate]);
    let kind = places.first()?.kind;
    let places: Vec<&str> = places.iter().map(|place| host_and_port(&place.base_url)).collect();
    let text = format!(
        "{} was not found at {}: start it, or set its address with \
         OPENAI_BASE_URL=http://HOST:PORT/v1 and -m openai/MODEL",
        kind.name(),
        places.join(" or ")
    );
    Some(Fault::new(FaultKind::Network, text))
}

/// Returns the candidate for a name such as `llamacpp-8090`: a kind, and a port of this machine.
pub fn candidate_named(name: &str) -> Option<ServerCandidate> {
    let (kind, port) = name.rsplit_once('-')?;
    let kind = ServerKind::ALL.into_iter().find(|known| known.engine_name() == kind)?;
    Some(ServerCandidate::new(kind, port.parse().ok().filter(|port| *port > 0)?))
}

/// Returns the engine names of servers: the kind's, and with its port for every further one of a kind.
pub fn engine_names(found: &[DiscoveredServer]) -> Vec<String> {
    let name = |(at, server): (usize, &DiscoveredServer)| {
        let kind = server.kind.engine_name();
        if found.iter().take(at).any(|before| before.kind == server.kind) {
            format!("{kind}-{}", server.port())
        } else {
            kind.to_owned()
        }
    };
    found.iter().enumerate().map(name).collect()
}

impl ServerCandidate {
    /// Returns the request that identifies the server.
    pub fn request(&self) -> HttpRequest {
        let path = if self.kind == ServerKind::Ollama { "/api/tags" } else { "/v1/models" };
        let url = format!("{}{path}", self.base_url);
        HttpRequest { method: HttpMethod::Get, url, headers: Vec::new(), body: None, framing: Framing::Ndjson }
    }

    /// Identifies a server by its response. What it says of itself outranks its port. A server that only says that it
    /// is loading, or that it wants a key, counts too.
    pub fn parse_answer(&self, answer: &Result<Json, Fault>) -> Option<DiscoveredServer> {
        let (kind, models, readiness) = match answer {
            Ok(answer) if self.kind == ServerKind::Ollama => {
                (ServerKind::Ollama, ollama_models(answer, None)?, Readiness::Ready)
            }
            Ok(answer) => (kind_by_owner(answer, self.kind), openai_models(answer)?, Readiness::Ready),
            Err(fault) if is_loading(fault) => (self.kind, Vec::new(), Readiness::Loading),
            Err(fault) if fault.kind == FaultKind::Auth && fault.message.contains(" 401 ") => {
                (self.kind, Vec::new(), Readiness::NeedsKey)
            }
            Err(_) => return None,
        };
        let base_url = if kind == ServerKind::Ollama { self.base_url.clone() } else { format!("{}/v1", self.base_url) };
        Some(DiscoveredServer { kind, base_url, models, readiness })
    }

    fn new(kind: ServerKind, port: u16) -> Self {
        Self { kind, base_url: format!("http://127.0.0.1:{port}") }
    }
}

impl DiscoveredServer {
    /// Returns whether it has a model, or is loading one.
    pub fn can_answer(&self) -> bool {
        match self.readiness {
            Readiness::Ready => !self.models.is_empty(),
            Readiness::Loading => true,
            Readiness::NeedsKey => false,
        }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        host_and_port(&self.base_url)
    }

    /// Returns the engine name with the port, which is unique.
    pub fn full_engine_name(&self) -> String {
        let kind = self.kind.engine_name();
        let usual = candidates().into_iter().find(|usual| usual.kind == self.kind);
        if usual.is_some_and(|usual| host_and_port(&usual.base_url) == self.address()) {
            kind.to_owned()
        } else {
            format!("{kind}-{}", self.port())
        }
    }

    fn port(&self) -> &str {
        self.address().rsplit(':').next().unwrap_or_default()
    }
}

/// Identifies the servers by the responses of all candidates, in their order.
pub fn discovered_servers(candidates: &[ServerCandidate], answers: &[Result<Json, Fault>]) -> Vec<DiscoveredServer> {
    candidates.iter().zip(answers).filter_map(|(candidate, answer)| candidate.parse_answer(answer)).collect()
}

fn kind_by_owner(answer: &Json, guess: ServerKind) -> ServerKind {
    let first = answer.pointer("/data/0");
    let owner = first.and_then(|model| model.get("owned_by")).and_then(Json::as_str).unwrap_or_default();
    match (owner, guess) {
        ("llamacpp", _) => ServerKind::LlamaCpp,
        ("vllm", _) => ServerKind::Vllm,
        ("organization_owner", _) | (_, ServerKind::LmStudio) => ServerKind::LmStudio,
        _ => ServerKind::Compatible,
    }
}

/// Parses OpenAI's list of models, with the context windows that some servers add. None if it is something else.
pub fn openai_models(answer: &Json) -> Option<Vec<ModelInfo>> {
    // Some servers send the bare list.
    let list = answer.as_array().or_else(|| answer.get("data")?.as_array())?;
    let mut models = Vec::new();
    for entry in list.iter().take(MAX_MODELS) {
        let id = entry.get("id")?.as_str()?;
        let window = context_window_in(entry);
        let name = entry.get("name").and_then(Json::as_str).filter(|name| *name != id);
        let owner = entry.get("owned_by").and_then(Json::as_str).filter(|owner| *owner != "organization_owner");
        let remark = name.or(owner).unwrap_or_default().to_owned();
        models.push(ModelInfo { id: id.to_owned(), remark, context_window: window });
    }
    Some(models)
}

/// Parses Ollama's installed models, and which of them are running. None if it is something else.
pub fn ollama_models(tags: &Json, running: Option<&Json>) -> Option<Vec<ModelInfo>> {
    let running = running.and_then(|answer| answer.get("models")?.as_array());
    let mut models = Vec::new();
    for entry in tags.get("models")?.as_array()?.iter().take(MAX_MODELS) {
        let id = entry.get("name").or_else(|| entry.get("model"))?.as_str()?;
        let runs =
            running.and_then(|list| list.iter().find(|model| model.get("name").and_then(Json::as_str) == Some(id)));
        let detail = |key: &str| {
            entry.pointer(&format!("/details/{key}")).and_then(Json::as_str).filter(|text| !text.is_empty())
        };
        let size = entry.get("size").and_then(Json::as_u64).filter(|size| *size > 0);
        let parts = [
            detail("parameter_size").map(Into::into),
            detail("quantization_level").map(Into::into),
            size.map(human::size),
            runs.map(|_| "running".to_owned()),
        ];
        let remark = parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let window = runs.and_then(|model| model.get("context_length")?.as_u64()).filter(|n| *n > 0);
        models.push(ModelInfo { id: id.to_owned(), remark, context_window: window });
    }
    Some(models)
}

/// Returns the context window to request from Ollama, in tokens, given its description of the model and the running
/// models.
///
/// A window set in the model file counts. Otherwise it is one that fits tools and a conversation and that a common
/// machine can hold: memory grows with it, and the 256k tokens that models are made for would not load. A model that
/// runs with more keeps that, since another size reloads it.
pub fn ollama_context_window(model: &str, show: Option<&Json>, running: Option<&Json>) -> u64 {
    let parameters = show.and_then(|show| show.get("parameters")?.as_str()).unwrap_or_default();
    let requested = parameters.lines().find_map(|line| line.trim().strip_prefix("num_ctx")?.trim().parse().ok());
    if let Some(requested) = requested.filter(|requested| *requested > 0) {
        return requested;
    }
    let info = show.and_then(|show| show.get("model_info")?.as_object());
    let max_tokens = info.and_then(|info| info.iter().find(|(key, _)| key.ends_with(".context_length"))?.1.as_u64());
    let names = [model.to_owned(), format!("{model}:latest")];
    let runs = running.and_then(|answer| {
        let named =
            |entry: &&Json| entry.get("name").and_then(Json::as_str).is_some_and(|n| names.iter().any(|m| m == n));
        answer.get("models")?.as_array()?.iter().find(named)?.get("context_length")?.as_u64()
    });
    let usual = DEFAULT_CONTEXT_WINDOW_TOKENS.max(runs.unwrap_or(0));
    max_tokens.filter(|max_tokens| *max_tokens > 0).map_or(usual, |max_tokens| max_tokens.min(usual))
}

/// Returns whether a model is capable of something (`tools`, `vision`), where its description lists that.
pub fn ollama_has_capability(show: Option<&Json>, name: &str) -> Option<bool> {
    let list = show?.get("capabilities")?.as_array()?;
    Some(list.iter().any(|capability| capability.as_str() == Some(name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(kind: ServerKind) -> ServerCandidate {
        ServerCandidate { kind, base_url: "http://127.0.0.1:1".into() }
    }

    fn model(id: &str, remark: &str, window: Option<u64>) -> ModelInfo {
        ModelInfo { id: id.into(), remark: remark.into(), context_window: window }
    }

    #[test]
    fn a_kind_of_server_that_does_not_answer_is_told_with_its_usual_places() {
        let message = |name| not_found_fault(name).map(|fault| fault.message).unwrap_or_default();
        for (name, words) in [
            ("llamacpp", "llama.cpp was not found at 127.0.0.1:8080 or 127.0.0.1:8081: start it"),
            ("lmstudio", "LM Studio was not found at 127.0.0.1:1234: start it"),
            ("vllm-9000", "vLLM was not found at 127.0.0.1:9000: start it"),
        ] {
            assert!(message(name).contains(words), "{}", message(name));
            assert!(message(name).contains("OPENAI_BASE_URL"), "{}", message(name));
        }
        assert_eq!((not_found_fault("gpt-5"), not_found_fault("openai")), (None, None));
    }

    #[test]
    fn servers_are_known_by_what_they_say() {
        let list = |owner: &str| json!({"object": "list", "data": [{"id": "m", "owned_by": owner}]});
        let kind = |candidate: ServerKind, owner: &str| at(candidate).parse_answer(&Ok(list(owner))).unwrap().kind;
        assert_eq!(kind(ServerKind::LlamaCpp, "llamacpp"), ServerKind::LlamaCpp);
        assert_eq!(kind(ServerKind::LlamaCpp, "vllm"), ServerKind::Vllm);
        assert_eq!(kind(ServerKind::LmStudio, "organization_owner"), ServerKind::LmStudio);
        assert_eq!(kind(ServerKind::Vllm, "someone"), ServerKind::Compatible);
    }

    #[test]
    fn something_else_on_a_port_is_not_taken_for_a_server() {
        let other_servers = [
            json!({"status": "ok"}),
            json!({"models": "none"}),
            json!({"models": [{"title": "x"}]}),
            json!({"data": [{"name": "x"}]}),
            json!({"data": {"id": "x"}}),
            json!(["x"]),
            json!("Ollama is running"),
            json!(null),
        ];
        for stranger in other_servers {
            for kind in [ServerKind::Ollama, ServerKind::LlamaCpp, ServerKind::LmStudio, ServerKind::Vllm] {
                assert_eq!(at(kind).parse_answer(&Ok(stranger.clone())), None, "{kind:?} {stranger}");
            }
        }
    }

    #[test]
    fn a_server_that_loads_or_wants_a_key_is_one_all_the_same() {
        let readiness = |kind: FaultKind, text: &str| {
            let place = "http://127.0.0.1:1 answered";
            at(ServerKind::LlamaCpp)
                .parse_answer(&Err(Fault::new(kind, format!("{place} {text}"))))
                .map(|found| found.readiness)
        };
        let loading = readiness(FaultKind::Upstream, "503 service unavailable: Loading model; wait until it has");
        assert_eq!(loading, Some(Readiness::Loading));
        assert_eq!(readiness(FaultKind::Auth, "401 unauthorized: Invalid API Key; x"), Some(Readiness::NeedsKey));
        assert_eq!(readiness(FaultKind::Auth, "403 forbidden; x"), None, "many that are no models' server say so");
        assert_eq!(readiness(FaultKind::Network, "nothing answers"), None);
        assert_eq!(readiness(FaultKind::BadRequest, "404 not found; x"), None);
    }

    #[test]
    fn two_servers_of_one_kind_have_two_names_and_any_port_has_one() {
        let server = |kind, port| {
            at_port(kind, port).parse_answer(&Ok(json!({"data": [{"id": "m", "owned_by": "llamacpp"}]}))).unwrap()
        };
        let found =
            [server(ServerKind::LlamaCpp, 8080), server(ServerKind::Vllm, 8000), server(ServerKind::LlamaCpp, 8081)];
        assert_eq!(engine_names(&found), ["llamacpp", "llamacpp-8000", "llamacpp-8081"]);
        assert_eq!(candidate_named("llamacpp-8090"), Some(at_port(ServerKind::LlamaCpp, 8090)));
        assert_eq!(candidate_named("local-1"), Some(at_port(ServerKind::Compatible, 1)));
        for name in ["llamacpp", "llamacpp-", "llamacpp-0", "llamacpp-99999", "gpt-4", "openai-responses"] {
            assert_eq!(candidate_named(name), None, "{name}");
        }
    }

    fn at_port(kind: ServerKind, port: u16) -> ServerCandidate {
        ServerCandidate::new(kind, port)
    }

    #[test]
    fn an_openai_list_may_tell_windows() {
        let list = json!({"data": [
            {"id": "a", "owned_by": "vllm", "max_model_len": 8192},
            {"id": "b", "name": "B by X", "context_length": 131_072},
            {"id": "c", "owned_by": "llamacpp", "meta": {"n_ctx_train": 40960}},
            {"id": "d"},
        ]});
        assert_eq!(
            openai_models(&list).unwrap(),
            [
                model("a", "vllm", Some(8192)),
                model("b", "B by X", Some(131_072)),
                model("c", "llamacpp", Some(40960)),
                model("d", "", None)
            ]
        );
    }

    #[test]
    fn installed_and_running_models_are_told_apart() {
        let tags = json!({"models": [
            {"name": "qwen3:8b", "size": 5_200_000_000_u64, "details": {"parameter_size": "8.2B", "quantization_level": "Q4_K_M"}},
            {"name": "tiny", "size": 0},
        ]});
        let ps = json!({"models": [{"name": "qwen3:8b", "context_length": 4096}]});
        assert_eq!(
            ollama_models(&tags, Some(&ps)).unwrap(),
            [model("qwen3:8b", "8.2B, Q4_K_M, 5.2 GB, running", Some(4096)), model("tiny", "", None)]
        );
        assert_eq!(ollama_models(&json!({"models": []}), None), Some(vec![]));
    }

    #[test]
    fn what_an_installed_model_can_do_is_listed() {
        let has = |show: Json, name| ollama_has_capability(Some(&show), name);
        assert_eq!(has(json!({"capabilities": ["completion", "tools"]}), "tools"), Some(true));
        assert_eq!(has(json!({"capabilities": ["completion", "tools"]}), "vision"), Some(false));
        assert_eq!((has(json!({}), "tools"), ollama_has_capability(None, "tools")), (None, None));
    }

    #[test]
    fn a_window_is_what_the_model_file_asks_for_or_what_a_common_machine_can_hold() {
        let made_for = |tokens: u64| json!({"model_info": {"qwen3.context_length": tokens, "general.type": "model"}});
        let window = |show: &Json, running: Option<&Json>| ollama_context_window("qwen3", Some(show), running);
        assert_eq!(window(&made_for(262_144), None), 16_384);
        assert_eq!(window(&made_for(2048), None), 2048);
        let mut asking = made_for(262_144);
        asking["parameters"] = "temperature 0.6\nnum_ctx                        131072".into();
        assert_eq!(window(&asking, None), 131_072);
        let running = |tokens: u64| json!({"models": [{"name": "qwen3:latest", "context_length": tokens}]});
        assert_eq!(window(&made_for(262_144), Some(&running(65_536))), 65_536, "a model that runs is not loaded anew");
        assert_eq!(window(&made_for(262_144), Some(&running(4096))), 16_384, "tools alone would fill that");
        assert_eq!(window(&made_for(40_960), Some(&running(65_536))), 40_960);
        assert_eq!(ollama_context_window("qwen3", None, None), 16_384);
        assert_eq!(window(&json!({"models": 1, "model_info": [], "parameters": 3}), Some(&json!(7))), 16_384);
    }
}
