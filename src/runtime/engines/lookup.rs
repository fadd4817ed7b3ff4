//! PURE. Looks up models by name, and reports names that are ambiguous or unknown.

use std::collections::BTreeMap;

use super::EngineListing;
use crate::engine::{ENGINES, EngineSpec};
use crate::event::{Fault, FaultKind};
use crate::text::address::is_same_server;
use crate::text::suggestion::suggest;

/// How many names are suggested at most.
const MAX_SUGGESTIONS: usize = 5;

/// An available model, and its engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KnownModel {
    pub(super) engine: String,
    pub(super) model: String,
    base_url: Option<String>,
}

impl KnownModel {
    pub(super) fn from_listings(listed: &[EngineListing]) -> Vec<Self> {
        let of = |listed: &EngineListing| {
            let (engine, base_url) = (listed.engine.clone(), listed.base_url.clone());
            let models = listed.models.iter().flatten().map(|model| model.id.clone()).collect::<Vec<_>>();
            models.into_iter().map(move |model| Self { engine: engine.clone(), model, base_url: base_url.clone() })
        };
        listed.iter().flat_map(of).collect()
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.engine, self.model)
    }

    /// Several engines may stand for one server, each with its own protocol; the first one is used.
    fn is_same_model(&self, other: &Self) -> bool {
        let same_place = match (&self.base_url, &other.base_url) {
            (Some(one), Some(other)) => is_same_server(one, other),
            (one, other) => one == other,
        };
        self.model == other.model && same_place
    }
}

/// Returns the model with this name, or the only one with it apart from a tag or folder.
pub(super) fn find_unique<'a>(models: &'a [KnownModel], name: &str) -> Result<Option<&'a KnownModel>, Fault> {
    let ways: [&dyn Fn(&str) -> bool; 4] = [
        &|model| model == name,
        &|model| model.eq_ignore_ascii_case(name),
        &|model| model.split(':').next() == Some(name),
        &|model| model.rsplit('/').next() == Some(name),
    ];
    for fits in ways {
        let fitting: Vec<&KnownModel> = models.iter().filter(|known| fits(&known.model)).collect();
        let Some((first, rest)) = fitting.split_first() else { continue };
        if rest.iter().all(|other| other.is_same_model(first)) {
            return Ok(Some(first));
        }
        let names: Vec<String> = fitting.iter().take(MAX_SUGGESTIONS).map(|known| known.full_name()).collect();
        let text = format!("{name:?} could be {}; use one full name", names.join(" or "));
        return Err(Fault::new(FaultKind::BadRequest, text));
    }
    Ok(None)
}

/// Reports an unknown name, with suggestions.
pub(super) fn unknown_model_fault(name: &str, engines: &[&str], models: &[KnownModel]) -> Fault {
    let likely = suggestions(name, engines, models);
    let hint = match likely.as_slice() {
        [] => format!("write ENGINE/MODEL with one of {}.", engines.join(", ")),
        names => format!("did you mean {}?", names.join(" or ")),
    };
    let text = format!(
        "unknown model or engine {name:?}; {hint} `jarvis-tui models` lists the models; configure your own engine under [engines.NAME]"
    );
    Fault::new(FaultKind::BadRequest, text)
}

fn suggestions(name: &str, engines: &[&str], models: &[KnownModel]) -> Vec<String> {
    let lower = name.to_lowercase();
    // Names of known vendors that were not queried because there is no key.
    let is_vendors = |spec: &&&EngineSpec| spec.model_prefixes.iter().any(|prefix| lower.starts_with(prefix));
    if let Some(spec) = ENGINES.iter().filter(|spec| engines.contains(&spec.name)).find(is_vendors) {
        return vec![format!("{}/{name}", spec.name)];
    }
    let (engine, model) = name.split_once('/').map_or((name, None), |(engine, model)| (engine, Some(model)));
    if let Some(close) = suggest(engine, engines.iter().copied()) {
        return vec![model.map_or_else(|| close.to_owned(), |model| format!("{close}/{model}"))];
    }
    let mut by_model: BTreeMap<&str, &KnownModel> = BTreeMap::new();
    for known in models {
        by_model.entry(&known.model).or_insert(known);
    }
    let holding: Vec<String> = by_model
        .iter()
        .filter(|(model, _)| model.to_lowercase().contains(&lower))
        .take(MAX_SUGGESTIONS)
        .map(|(_, known)| known.full_name())
        .collect();
    if !holding.is_empty() {
        return holding;
    }
    let close = suggest(name, by_model.keys().copied()).and_then(|model| by_model.get(model));
    close.map(|known| known.full_name()).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(engine: &str, model: &str, base_url: &str) -> KnownModel {
        KnownModel { engine: engine.into(), model: model.into(), base_url: Some(base_url.into()) }
    }

    fn models() -> Vec<KnownModel> {
        vec![
            known("ollama", "qwen3:8b", "http://127.0.0.1:11434"),
            known("ollama", "gemma3:4b", "http://127.0.0.1:11434"),
            known("ollama", "gemma3:1b", "http://127.0.0.1:11434"),
            known("openai", "tiny", "http://localhost:4000/v1"),
            known("openai-responses", "tiny", "http://localhost:4000/v1"),
            known("router", "maker/large", "https://r.example/v1"),
            known("work", "gpt", "https://w.example/v1"),
            known("local", "gpt", "http://127.0.0.1:1/v1"),
        ]
    }

    #[test]
    fn a_model_is_found_by_its_name_alone_where_that_is_clear() {
        let models = models();
        let only = |name| find_unique(&models, name).unwrap().map(KnownModel::full_name);
        assert_eq!(only("qwen3").as_deref(), Some("ollama/qwen3:8b"));
        assert_eq!(only("gemma3:4b").as_deref(), Some("ollama/gemma3:4b"));
        assert_eq!(only("tiny").as_deref(), Some("openai/tiny"), "two engines, one server");
        assert_eq!(only("Tiny").as_deref(), Some("openai/tiny"));
        assert_eq!(only("maker/large").as_deref(), Some("router/maker/large"));
        assert_eq!(only("large").as_deref(), Some("router/maker/large"));
        assert_eq!((only("nobody"), only("")), (None, None));
        let unclear = |name| find_unique(&models, name).unwrap_err().message;
        assert_eq!(unclear("gpt"), "\"gpt\" could be work/gpt or local/gpt; use one full name");
        assert!(unclear("gemma3").contains("ollama/gemma3:4b or ollama/gemma3:1b"));
    }

    #[test]
    fn a_wrong_name_is_told_with_those_that_may_have_been_meant() {
        let engines = ["anthropic", "offline", "ollama", "openai"];
        let message = |name| unknown_model_fault(name, &engines, &models()).message;
        for (name, meant) in [
            ("gpt-4o", "did you mean openai/gpt-4o?"),
            ("claude-sonnet-4-5", "did you mean anthropic/claude-sonnet-4-5?"),
            ("opnai/gpt-4o", "did you mean openai/gpt-4o?"),
            ("olama", "did you mean ollama?"),
            ("qwen", "did you mean ollama/qwen3:8b?"),
            ("tinny", "did you mean openai/tiny?"),
            ("entirely-else", "write ENGINE/MODEL with one of anthropic, offline, ollama, openai. "),
        ] {
            assert!(message(name).contains(meant), "{name}: {}", message(name));
        }
    }
}
