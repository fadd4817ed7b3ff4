//! The models that the picker offers, and which of them a query keeps.

use crate::event::{AgentOption, AgentOptionKind, AgentOptionValue};
use crate::text::fuzzy::FuzzyQuery;
use crate::text::suggestion::nearest_first;

/// What is known of a model; what is not stays empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// Its context window in tokens.
    pub window: Option<u64>,
    /// US dollars per million tokens, input and output.
    pub price: Option<(f64, f64)>,
    /// Where it answers.
    pub origin: String,
    /// What it can do, such as "vision".
    pub abilities: Vec<String>,
    /// The levels of thinking that it takes.
    pub efforts: Vec<String>,
    /// Why there is no answer from where it is.
    pub trouble: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelChoice {
    /// Written `engine/model`.
    pub name: String,
    pub remark: String,
    /// The agent's setting and the value that it stands for, where it is no model.
    pub sets: Option<(String, String)>,
    /// Whether it holds now, where that is told apart.
    pub is_current: bool,
    pub facts: ModelFacts,
}

impl ModelChoice {
    pub fn new(name: impl Into<String>, remark: impl Into<String>) -> Self {
        Self { name: name.into(), remark: remark.into(), ..Self::default() }
    }
}

/// Returns the models that an agent offers, and the efforts of the one that answers; none where it offers no models.
pub fn agent_models(engine: &str, options: &[AgentOption]) -> Option<Vec<ModelChoice>> {
    let of_kind = |kind| options.iter().filter(move |option| option.kind == kind);
    let mut choices = Vec::new();
    for option in of_kind(AgentOptionKind::Model) {
        choices.extend(option.values.iter().map(|value| ModelChoice {
            is_current: value.value == option.current,
            ..ModelChoice::new(format!("{engine}/{}", value.value), remark(value))
        }));
    }
    if choices.is_empty() {
        return None;
    }
    for option in of_kind(AgentOptionKind::Effort) {
        choices.extend(option.values.iter().map(|value| ModelChoice {
            is_current: value.value == option.current,
            sets: Some((option.id.clone(), value.value.clone())),
            ..ModelChoice::new(format!("{}: {}", option.name, value.name), value.description.as_str())
        }));
    }
    Some(choices)
}

fn remark(value: &AgentOptionValue) -> String {
    let name = if value.name == value.value { "" } else { value.name.as_str() };
    [name, value.description.as_str()].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" · ")
}

/// Returns the models that the query fits, the best first: some of their letters, in order.
pub fn matching_models<'a>(models: &'a [ModelChoice], query: &str) -> Vec<&'a ModelChoice> {
    if query.trim().is_empty() {
        return models.iter().collect();
    }
    let texts = models.iter().map(|model| format!("{} {}", model.name, model.remark));
    FuzzyQuery::new(&query.to_lowercase()).rank(texts).into_iter().filter_map(|place| models.get(place)).collect()
}

/// Returns all models, those that may be meant by a name first: what it fits, then what is written like it.
pub fn nearest_models<'a>(models: &'a [ModelChoice], name: &str) -> Vec<&'a ModelChoice> {
    let mut nearest = matching_models(models, name);
    let wanted = own_name(name);
    let by_name = nearest_first(wanted, models.iter().map(|model| own_name(&model.name)));
    for model in by_name.into_iter().filter_map(|place| models.get(place)) {
        if !nearest.iter().any(|known| std::ptr::eq(*known, model)) {
            nearest.push(model);
        }
    }
    nearest
}

/// Returns a model's name without its engine.
fn own_name(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, model)| model)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models() -> Vec<ModelChoice> {
        ["ollama/qwen3:8b", "openai/gpt-4o", "openai/gpt-4o-mini", "local/tiny"]
            .map(|name| ModelChoice::new(name, ""))
            .into()
    }

    fn names(models: Vec<&ModelChoice>) -> Vec<&str> {
        models.into_iter().map(|model| model.name.as_str()).collect()
    }

    #[test]
    fn some_letters_in_order_find_a_model() {
        assert_eq!(names(matching_models(&models(), "g4om")), ["openai/gpt-4o-mini"]);
        assert_eq!(names(matching_models(&models(), " ")).len(), 4);
        assert!(matching_models(&models(), "tinny").is_empty());
    }

    #[test]
    fn the_nearest_to_a_name_that_nothing_fits_comes_first_and_none_is_left_out() {
        let models = models();
        assert_eq!(names(nearest_models(&models, "tinny"))[0], "local/tiny");
        assert_eq!(names(nearest_models(&models, "gpt4o"))[..2], ["openai/gpt-4o", "openai/gpt-4o-mini"]);
        assert_eq!(names(nearest_models(&models, "opnai/gtp-4o"))[0], "openai/gpt-4o");
        assert_eq!(nearest_models(&models, "zzz").len(), 4);
    }
}
