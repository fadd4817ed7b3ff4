//! Servers on this machine that nobody set up: looked for, offered, and used once the person said yes to them.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::{By, Chooser, LIST, config_of};
use crate::agent::{EngineChoice, Offers};
use crate::engine::discover::{self, Candidate, Found, Kind, Readiness};
use crate::event::{Fault, FaultKind};
use crate::net::probe;

/// How long looking around may hold up somebody who waits for it.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// How long a server that is found meanwhile may take to answer.
const LATE: Duration = Duration::from_secs(20);
/// What a server is asked for that doesn't say yet which models it has; llama.cpp takes any name.
pub(super) const ANY_MODEL: &str = "default";

impl Chooser {
    /// Returns the servers that answer here.
    pub(super) async fn probe(&self) -> Vec<Found> {
        let candidates = self.candidates();
        let calls: Vec<_> = candidates.iter().map(Candidate::call).collect();
        discover::found(&candidates, &probe::gather(&self.http, &calls, LOOK_AROUND).await)
    }

    /// Returns the usual places, and those the person said yes to.
    fn candidates(&self) -> Vec<Candidate> {
        let mut candidates = discover::candidates();
        let agreed = self.agreed.servers().into_iter().filter_map(|server| server.candidate());
        let new: Vec<_> = agreed.filter(|one| candidates.iter().all(|known| known.base_url != one.base_url)).collect();
        candidates.extend(new);
        candidates
    }

    /// Returns the server here that goes by this name.
    pub(super) async fn found_here(&self, name: &str) -> Option<Found> {
        let is_kind = Kind::ALL.into_iter().any(|kind| kind.engine_name() == name);
        if let Some(candidate) = discover::candidate_named(name) {
            let answers = probe::gather(&self.http, &[candidate.call()], LIST).await;
            return candidate.read(answers.first()?);
        }
        if !is_kind {
            return None;
        }
        let found = self.probe().await;
        let at = discover::names(&found).iter().position(|known| known == name)?;
        found.into_iter().nth(at)
    }

    /// A server that was merely found is no project's to choose.
    pub(super) async fn may_use(&self, engine: &str, by: By) -> Result<(), Fault> {
        if by == By::Person || self.config().engines.contains_key(engine) {
            return Ok(());
        }
        match self.found_here(engine).await {
            Some(found) if !self.agreed.holds(&found) => {
                let text = format!(
                    "the project's config names {engine}, a server at {} that you have not agreed to yet: choose it with \
                     -m {engine}, or once and for all with /model",
                    found.place()
                );
                Err(Fault::new(FaultKind::BadRequest, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Takes a server that the person said yes to before, else the embedded engine.
    pub(super) async fn unnamed(&self) -> Result<EngineChoice, Fault> {
        let mut gone = None;
        for server in self.agreed.servers() {
            let Some(candidate) = server.candidate() else { continue };
            let answers = probe::gather(&self.http, &[candidate.call()], LIST).await;
            let found = answers.first().and_then(|answer| candidate.read(answer));
            let Some(found) = found.filter(|found| self.agreed.holds(found)) else {
                let kind = candidate.kind.name();
                gone.get_or_insert(format!("{kind}, used here before, does not answer"));
                continue;
            };
            let listed = found.models.iter().find(|model| model.id == server.model).or(found.models.first());
            let model = match (listed, found.readiness) {
                (Some(model), _) => model.id.clone(),
                (None, Readiness::Loading) if server.model.is_empty() => ANY_MODEL.to_owned(),
                (None, Readiness::Loading) => server.model.clone(),
                (None, _) => continue,
            };
            let why = format!("found on {}, as agreed", found.place());
            let name = found.whole_name();
            if let Ok(choice) = self.chosen(&name, &config_of(&found), model, why).await {
                return Ok(choice);
            }
        }
        // Answers of the embedded engine must not pass for those of a model that is there.
        if self.unattended
            && let Some(found) = self.probe().await.iter().find(|found| found.can_answer())
        {
            let name = found.kind.engine_name();
            let text = format!(
                "no model was chosen, and {} at {} is used only if you say so: add -m {name}, or -m offline for the \
                 embedded engine",
                found.kind.name(),
                found.place()
            );
            return Err(Fault::new(FaultKind::BadRequest, text));
        }
        Ok(self.offline(gone.as_deref().unwrap_or("no model is set up")))
    }

    /// Tells of every server that could be used, as soon as it answers. Of nothing where a model was chosen.
    pub(crate) fn offers(self) -> Offers {
        if self.wanted(&super::env) != super::Wanted::Nothing {
            return futures_util::stream::empty().boxed();
        }
        let looking: FuturesUnordered<_> = self
            .candidates()
            .into_iter()
            .map(|candidate| {
                let http = self.http.clone();
                async move { candidate.read(&http.json(&candidate.call(), LATE).await) }
            })
            .collect();
        let agreed = self.agreed;
        let new = move |found: Option<Found>| {
            let offer = found.filter(|found| !agreed.holds(found)).map(|found| offer(&found));
            std::future::ready(offer)
        };
        looking.filter_map(new).boxed()
    }

    /// Remembers that the person chose a server that was found here, or says why it will have to be chosen again.
    pub(super) fn agree(&self, found: &Found, model: &str) -> Option<String> {
        let error = self.agreed.add(found, model).err()?;
        Some(format!("the choice of {} can't be remembered, so it holds for this session only: {error}", found.place()))
    }
}

/// Says what could be used, and how.
pub(super) fn offer(found: &Found) -> String {
    let (kind, place) = (found.kind.name(), found.place());
    match (found.readiness, found.models.as_slice()) {
        (Readiness::Loading, _) => {
            format!("{kind} at {place} is loading its model; choose it with /model, now or when it is ready")
        }
        (Readiness::WantsKey, _) => {
            let base = &found.base_url;
            format!("a server at {place} wants a key: start with OPENAI_BASE_URL={base} and OPENAI_API_KEY set")
        }
        (Readiness::Ready, []) if found.kind == Kind::Ollama => {
            format!("Ollama at {place} has no model yet; get one with `ollama pull qwen3:8b`")
        }
        (Readiness::Ready, []) => format!("{kind} at {place} has no model loaded"),
        (Readiness::Ready, [first, rest @ ..]) => {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            // Some servers name a model by the file it is in.
            let model = first.id.rsplit('/').next().unwrap_or_default();
            format!("found {kind} at {place} with {model}{more}; choose it with /model, and it is used from then on")
        }
    }
}
