//! PURE. The path `/api/chat`, which Ollama and the apps of the AI SDK share: where no person said which, the list of
//! models tells. Nothing is run by that, while a prompt in the wrong form may be answered with any status.

use std::sync::{Arc, OnceLock};

use super::probe::{get_request, model_list_query};
use super::protocol::{EngineProtocol, Protocol};
use super::{AnnouncingDetector, RemoteTarget, ai_sdk};
use crate::engine::discover;
use crate::engine::ollama::OllamaEngine;
use crate::engine::{ModelRequest, Preparation, ReplyPlan};
use crate::event::{Fault, FaultKind, Json};

/// Asks whichever of the two listens.
pub(super) struct OllamaOrApp {
    ollama: EngineProtocol,
    app: Option<Box<dyn Protocol>>,
    /// Whether it is an app, once that is known.
    is_app: Arc<OnceLock<bool>>,
}

impl OllamaOrApp {
    pub(super) fn boxed(target: &RemoteTarget) -> Box<dyn Protocol> {
        let writer = Box::new(OllamaEngine::new(target.name.clone(), &target.url));
        let app = ai_sdk::CHAT.protocol.filter(|_| !target.keeps_request_kind).map(|protocol| protocol(target));
        Box::new(Self { ollama: EngineProtocol { writer, adjust: |_| {} }, app, is_app: Arc::default() })
    }
}

impl Protocol for OllamaOrApp {
    fn plan_reply(
        &self,
        target: &RemoteTarget,
        request: &ModelRequest,
        decode: AnnouncingDetector,
    ) -> Option<ReplyPlan> {
        let Some(app) = &self.app else { return self.ollama.plan_reply(target, request, decode) };
        match self.is_app.get() {
            Some(true) => app.plan_reply(target, request, decode),
            Some(false) => self.ollama.plan_reply(target, request, decode),
            None => {
                let list = model_list_query(target).and_then(|query| query.requests.into_iter().next());
                let list = list.unwrap_or_else(|| get_request(target.url.clone(), &target.headers));
                let (known, name, ollama) = (self.is_app.clone(), target.name.clone(), target.request_kind.name);
                let handle = move |answer: Result<Json, Fault>| {
                    let is_app = lists_no_models(&answer);
                    let is_new = known.set(is_app).is_ok() && is_app;
                    let app = ai_sdk::CHAT.name;
                    is_new.then(|| {
                        format!("{name} lists no models as Ollama does: requests by {app} (--request {ollama} keeps the other)")
                    })
                };
                Some(ReplyPlan::Prepare(Preparation { request: list, handle: Box::new(handle) }))
            }
        }
    }
}

/// Returns whether an answer shows that no Ollama listens. One that can't be reached, or that wants a key, shows nothing.
fn lists_no_models(answer: &Result<Json, Fault>) -> bool {
    match answer {
        Ok(list) => discover::ollama_models(list, None).is_none(),
        Err(fault) => matches!(fault.kind, FaultKind::BadRequest | FaultKind::Protocol),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_answer_that_is_no_list_shows_an_app() {
        let fault = |kind| Err(Fault::new(kind, "no"));
        for (answer, is_app) in [
            (Ok(json!({"models": []})), false),
            (Ok(json!({"models": [{"name": "q"}]})), false),
            (Ok(json!({"error": "not found"})), true),
            (fault(FaultKind::BadRequest), true),
            (fault(FaultKind::Protocol), true),
            (fault(FaultKind::Auth), false),
            (fault(FaultKind::Network), false),
            (fault(FaultKind::TimedOut), false),
        ] {
            assert_eq!(lists_no_models(&answer), is_app, "{answer:?}");
        }
    }
}
