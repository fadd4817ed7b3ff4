#[cfg(not(feature = "local"))]
#[test]
fn without_the_feature_a_file_is_refused_with_how_to_build_it() {
    use super::{SPEC, imp};
    use crate::engine::spec::EngineOptions;
    use crate::engine::{ModelRequest, ReplyPlan};

    let refused = (imp::MODELS.describe)("model.gguf", &|_| None).unwrap_err();
    assert!(refused.message.contains("--features local"), "{}", refused.message);
    assert!((imp::MODELS.list)(&|_| None).is_empty());
    let engine = (SPEC.build)(EngineOptions { name: "gguf".into(), ..EngineOptions::default() });
    assert!(matches!(engine.plan_reply(&ModelRequest::default()), ReplyPlan::Scripted(_)));
}

#[cfg(feature = "local")]
mod hostile;
#[cfg(feature = "local")]
mod judged;
#[cfg(feature = "local")]
mod running;
#[cfg(feature = "local")]
mod tiny;
#[cfg(feature = "local")]
mod words;
