//! Local servers that are not configured: discovered, offered, and used once the person accepts them.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{EngineResolver, LIST_MODELS_TIMEOUT, RequestedBy, discovered_config};
use crate::agent::{EngineChoice, ServerSuggestions};
use crate::engine::discover::{self, DiscoveredServer, Readiness, ServerCandidate, ServerKind};
use crate::event::{Fault, FaultKind};
use crate::net::probe;

/// Time limit of a probe that somebody waits for.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// Time limit of a background probe.
const OFFER_PROBE_TIMEOUT: Duration = Duration::from_secs(20);
/// The model to request from a server that doesn't list any yet; llama.cpp accepts any name.
pub(super) const PLACEHOLDER_MODEL: &str = "default";

impl EngineResolver {
    /// Returns the local servers that respond.
    pub(super) async fn probe_local_servers(&self) -> Vec<DiscoveredServer> {
        let candidates = self.candidates();
        let calls: Vec<_> = candidates.iter().map(ServerCandidate::request).collect();
        discover::discovered_servers(&candidates, &probe::join_json(&self.http, &calls, PROBE_TIMEOUT).await)
    }

    /// Returns the default addresses, and those of accepted servers.
    fn candidates(&self) -> Vec<ServerCandidate> {
        let mut candidates = discover::candidates();
        let agreed = self.accepted.servers().into_iter().filter_map(|server| server.candidate());
        let new: Vec<_> = agreed.filter(|one| candidates.iter().all(|known| known.base_url != one.base_url)).collect();
        candidates.extend(new);
        candidates
    }

    /// Returns the local server with this name.
    pub(super) async fn find_local_server(&self, name: &str) -> Option<DiscoveredServer> {
        let is_kind = ServerKind::ALL.into_iter().any(|kind| kind.engine_name() == name);
        if let Some(candidate) = discover::candidate_named(name) {
            let answers = probe::join_json(&self.http, &[candidate.request()], LIST_MODELS_TIMEOUT).await;
            return candidate.parse_answer(answers.first()?);
        }
        if !is_kind {
            return None;
        }
        let found = self.probe_local_servers().await;
        let at = discover::engine_names(&found).iter().position(|known| known == name)?;
        found.into_iter().nth(at)
    }

    /// A project can't choose a server that was merely discovered.
    pub(super) async fn check_allowed(&self, engine: &str, by: RequestedBy) -> Result<(), Fault> {
        if by == RequestedBy::Person || self.config().engines.contains_key(engine) {
            return Ok(());
        }
        match self.find_local_server(engine).await {
            Some(found) if !self.accepted.contains(&found) => {
                let text = format!(
                    "the project's config names {engine}, a server at {} that you have not accepted yet: choose it with -m {engine}, or permanently with /model",
                    found.address()
                );
                Err(Fault::new(FaultKind::BadRequest, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Uses a server that was accepted before, else the embedded engine.
    pub(super) async fn resolve_unspecified(&self) -> Result<EngineChoice, Fault> {
        let mut gone = None;
        for server in self.accepted.servers() {
            let Some(candidate) = server.candidate() else { continue };
            let answers = probe::join_json(&self.http, &[candidate.request()], LIST_MODELS_TIMEOUT).await;
            let found = answers.first().and_then(|answer| candidate.parse_answer(answer));
            let Some(found) = found.filter(|found| self.accepted.contains(found)) else {
                let kind = candidate.kind.name();
                gone.get_or_insert(format!("{kind}, used here before, does not respond"));
                continue;
            };
            let listed = found.models.iter().find(|model| model.id == server.model).or(found.models.first());
            let model = match (listed, found.readiness) {
                (Some(model), _) => model.id.clone(),
                (None, Readiness::Loading) if server.model.is_empty() => PLACEHOLDER_MODEL.to_owned(),
                (None, Readiness::Loading) => server.model.clone(),
                (None, _) => continue,
            };
            let why = format!("found on {}, chosen before", found.address());
            let name = found.full_engine_name();
            if let Ok(choice) = self.describe_and_build(&name, &discovered_config(&found), model, why).await {
                return Ok(choice);
            }
        }
        // Answers of the embedded engine must not be mistaken for those of an available model.
        if self.is_unattended
            && let Some(found) = self.probe_local_servers().await.iter().find(|found| found.can_answer())
        {
            let name = found.kind.engine_name();
            let text = format!(
                "no model was chosen, and {} at {} is used only if you choose it: add -m {name}, or -m offline for the \
                 embedded engine",
                found.kind.name(),
                found.address()
            );
            return Err(Fault::new(FaultKind::BadRequest, text));
        }
        Ok(self.offline_choice(gone.as_deref().unwrap_or("no model is set up")))
    }

    /// Yields every usable server as soon as it responds; none if a model was chosen.
    pub(crate) fn server_offers(self) -> ServerSuggestions {
        if self.requested(&super::env_variable) != super::RequestedEngine::Unspecified {
            return futures_util::stream::empty().boxed();
        }
        let looking: FuturesUnordered<_> =
            self.candidates()
                .into_iter()
                .map(|candidate| {
                    let http = self.http.clone();
                    async move {
                        candidate.parse_answer(&http.request_json(&candidate.request(), OFFER_PROBE_TIMEOUT).await)
                    }
                })
                .collect();
        let agreed = self.accepted;
        let new = move |found: Option<DiscoveredServer>| {
            let offer = found.filter(|found| !agreed.contains(found)).map(|found| offer_text(&found));
            std::future::ready(offer)
        };
        looking.filter_map(new).boxed()
    }

    /// Accepts a discovered server; if that can't be stored, returns a message that it has to be chosen again.
    pub(super) fn accept_server(&self, found: &DiscoveredServer, model: &str) -> Option<String> {
        let error = self.accepted.add(found, model).err()?;
        Some(format!("the choice of {} can't be saved and applies to this session only: {error}", found.address()))
    }
}

/// Says what could be used, and how.
pub(super) fn offer_text(found: &DiscoveredServer) -> String {
    let (kind, place) = (found.kind.name(), found.address());
    match (found.readiness, found.models.as_slice()) {
        (Readiness::Loading, _) => {
            format!("{kind} at {place} is loading its model; choose it with /model, now or when it is ready")
        }
        (Readiness::NeedsKey, _) => {
            let base = &found.base_url;
            format!("a server at {place} needs a key: start with OPENAI_BASE_URL={base} and OPENAI_API_KEY set")
        }
        (Readiness::Ready, []) if found.kind == ServerKind::Ollama => {
            format!("Ollama at {place} has no model yet; get one with `ollama pull qwen3:8b`")
        }
        (Readiness::Ready, []) => format!("{kind} at {place} has no model loaded"),
        (Readiness::Ready, [first, rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            // Some servers name a model after its file.
            let model = first.id.rsplit('/').next().unwrap_or_default();
            format!("found {kind} at {place} with {model}{more}; choose it with /model to use it from then on")
        }
    }
}
