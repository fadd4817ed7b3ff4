//! Language models in the program, from GGUF files; with the feature `local`.
//!
//! `-m gguf/PATH` reads the file once, on first use. One decoder runs all architectures, on candle's products of quantized
//! matrices; tokens, template and sizes are read from the file, which is not trusted.

#[cfg(feature = "local")]
mod calls;
#[cfg(feature = "local")]
mod decoder;
#[cfg(feature = "local")]
mod file;
#[cfg(feature = "local")]
mod places;
#[cfg(feature = "local")]
mod reply;
#[cfg(feature = "local")]
mod sampler;
#[cfg(feature = "local")]
mod shape;
#[cfg(feature = "local")]
mod template;
#[cfg(feature = "local")]
mod tokenizer;

use super::spec::{EmbeddedModels, EngineSpec, Pricing};

/// Models from files.
pub const SPEC: EngineSpec = EngineSpec {
    name: "gguf",
    dialect: "ollama",
    address_variables: &[],
    key_variable: None,
    token_variable: None,
    model_variable: None,
    default_address: None,
    default_model: None,
    embedded: Some(imp::MODELS),
    model_prefixes: &[],
    loads_by_name: false,
    setup_hint: imp::SETUP_HINT,
    no_model_hint: "name a file, as in `-m gguf/PATH.gguf`",
    base_url: |_, _| String::new(),
    pricing: |_, _| Pricing::Free,
    description: None,
    build: imp::build,
};

/// Whether this program was built with it.
pub const IS_BUILT_IN: bool = cfg!(feature = "local");

#[cfg(feature = "local")]
mod imp {
    use std::sync::Arc;

    use super::EmbeddedModels;
    use super::reply::GgufEngine;
    use crate::engine::Engine;
    use crate::engine::spec::EngineOptions;

    pub(super) const MODELS: EmbeddedModels =
        EmbeddedModels { list: super::places::list, describe: super::places::describe };
    pub(super) const SETUP_HINT: &str = "built in; name a file, as in `-m gguf/PATH.gguf`";

    pub(super) fn build(options: EngineOptions) -> Arc<dyn Engine> {
        Arc::new(GgufEngine::new(options))
    }
}

#[cfg(not(feature = "local"))]
mod imp {
    use std::sync::Arc;

    use super::EmbeddedModels;
    use crate::engine::spec::EngineOptions;
    use crate::engine::{Engine, ModelRequest, ReplyPlan, ScriptedEvent};
    use crate::event::{Fault, FaultKind, Millis, ReplyEvent, TurnOutcome};

    pub(super) const MODELS: EmbeddedModels =
        EmbeddedModels { list: |_| Vec::new(), describe: |_, _| Err(absent_fault()) };
    pub(super) const SETUP_HINT: &str = "not in this build: `cargo install --path . --features local` adds it";

    pub(super) fn build(options: EngineOptions) -> Arc<dyn Engine> {
        Arc::new(AbsentEngine(options.name))
    }

    struct AbsentEngine(String);

    impl Engine for AbsentEngine {
        fn name(&self) -> &str {
            &self.0
        }

        fn dialect(&self) -> Option<&'static str> {
            Some(super::SPEC.dialect)
        }

        fn plan_reply(&self, _: &ModelRequest) -> ReplyPlan {
            let outcome = TurnOutcome::Failed(absent_fault());
            ReplyPlan::Scripted(vec![ScriptedEvent { delay: Millis(0), event: ReplyEvent::End { outcome } }])
        }
    }

    fn absent_fault() -> Fault {
        let text = "this jarvis-tui was built without local models; build it with them: \
                    `cargo install --path . --features local`, or choose another engine with -m or /model";
        Fault::new(FaultKind::BadRequest, text)
    }
}

#[cfg(test)]
mod tests;
