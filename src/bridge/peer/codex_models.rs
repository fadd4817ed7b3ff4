//! PURE. The models of Codex as its app-server lists them, each with the efforts that it takes.
//!
//! Source: the schema that Codex 0.171.0 generates, `ModelListResponse`.

use crate::event::{AgentOption, AgentOptionKind, AgentOptionValue, Json};

/// The id under which the model is set.
pub(super) const MODEL_OPTION: &str = "model";
/// The id under which the effort is set.
pub(super) const EFFORT_OPTION: &str = "effort";
/// Models that are kept.
const MAX_MODELS: usize = 500;

/// What is listed, and what holds now.
#[derive(Debug, Default)]
pub(super) struct CodexModels {
    models: Vec<CodexModel>,
    pub(super) model: String,
    pub(super) effort: String,
}

#[derive(Debug)]
struct CodexModel {
    shown: AgentOptionValue,
    efforts: Vec<AgentOptionValue>,
    default_effort: String,
}

impl CodexModels {
    /// Takes over the answer of `model/list`.
    pub(super) fn read(&mut self, result: &Json) {
        let listed = result.get("data").and_then(Json::as_array).into_iter().flatten();
        self.models = listed.filter_map(CodexModel::parse).take(MAX_MODELS).collect();
    }

    /// Another model answers: its own effort holds where it doesn't take the one so far.
    pub(super) fn choose(&mut self, model: &str) {
        model.clone_into(&mut self.model);
        let Some(chosen) = self.models.iter().find(|known| known.shown.value == model) else { return };
        if !chosen.efforts.iter().any(|effort| effort.value == self.effort) {
            self.effort.clone_from(&chosen.default_effort);
        }
    }

    /// Returns the models as a setting.
    pub(super) fn listed(&self) -> AgentOption {
        AgentOption {
            id: MODEL_OPTION.to_owned(),
            name: "Model".to_owned(),
            kind: AgentOptionKind::Model,
            current: self.model.clone(),
            values: self.models.iter().map(|model| model.shown.clone()).collect(),
        }
    }

    /// Returns what may be set: the model, and the effort where the model takes one.
    pub(super) fn options(&self) -> Vec<AgentOption> {
        if self.models.is_empty() {
            return Vec::new();
        }
        let current = self.models.iter().find(|known| known.shown.value == self.model);
        let efforts = current.map(|model| model.efforts.clone()).unwrap_or_default();
        let effort = (!efforts.is_empty()).then(|| AgentOption {
            id: EFFORT_OPTION.to_owned(),
            name: "Reasoning effort".to_owned(),
            kind: AgentOptionKind::Effort,
            current: self.effort.clone(),
            values: efforts,
        });
        std::iter::once(self.listed()).chain(effort).collect()
    }
}

impl CodexModel {
    fn parse(told: &Json) -> Option<Self> {
        let word = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let id = Some(word(told, "model")).filter(|model| !model.is_empty()).unwrap_or_else(|| word(told, "id"));
        if id.is_empty() || told.get("hidden").and_then(Json::as_bool) == Some(true) {
            return None;
        }
        let name = Some(word(told, "displayName")).filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone());
        let efforts = told.get("supportedReasoningEfforts").and_then(Json::as_array).into_iter().flatten();
        let effort = |effort: &Json| AgentOptionValue {
            value: word(effort, "reasoningEffort"),
            name: word(effort, "reasoningEffort"),
            description: word(effort, "description"),
        };
        Some(Self {
            shown: AgentOptionValue { value: id, name, description: word(told, "description") },
            efforts: efforts.map(effort).filter(|effort| !effort.value.is_empty()).collect(),
            default_effort: word(told, "defaultReasoningEffort"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_model_brings_its_efforts_and_its_own_effort() {
        let mut models = CodexModels { model: "a".into(), effort: "high".into(), ..CodexModels::default() };
        assert_eq!(models.options(), []);
        models.read(&json!({"data": [
            {"id": "1", "model": "a", "displayName": "A", "defaultReasoningEffort": "medium",
             "supportedReasoningEfforts": [{"reasoningEffort": "medium", "description": "usual"}, {"reasoningEffort": "high"}]},
            {"id": "b", "defaultReasoningEffort": "low", "supportedReasoningEfforts": [{"reasoningEffort": "low"}]},
            {"id": "c", "hidden": true},
        ]}));
        let shown = |models: &CodexModels| {
            let options = models.options();
            let values = options[1].values.iter().map(|value| value.value.clone()).collect::<Vec<_>>();
            (options[0].values.len(), options[0].current.clone(), options[1].current.clone(), values)
        };
        assert_eq!(shown(&models), (2, "a".into(), "high".into(), vec!["medium".into(), "high".into()]));
        models.choose("b");
        assert_eq!(shown(&models), (2, "b".into(), "low".into(), vec!["low".into()]));
        models.choose("unlisted");
        assert_eq!(models.options().len(), 1, "nothing is known of its efforts");
    }
}
