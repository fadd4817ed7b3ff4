//! The models that the picker offers, and which of them a query keeps.

use crate::event::{AgentOption, AgentOptionKind, AgentOptionValue};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelChoice {
    /// Written `engine/model`.
    pub name: String,
    pub remark: String,
    /// The agent's setting and the value that it stands for, where it is no model.
    pub sets: Option<(String, String)>,
    /// Whether it holds now, where that is told apart.
    pub is_current: bool,
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

/// Returns the models whose name or remark has every word of the query, whatever the case.
pub fn matching_models<'a>(models: &'a [ModelChoice], query: &str) -> Vec<&'a ModelChoice> {
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let fits = |model: &&ModelChoice| {
        let text = format!("{} {}", model.name, model.remark).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    models.iter().filter(fits).collect()
}
