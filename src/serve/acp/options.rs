//! PURE. The settings of a session as the protocol has them: mode, model, and what the agent lets its client set besides.

use serde_json::json;

use crate::event::{AgentOption, AgentOptionKind, ApprovalMode, Command, Json};

/// Models that are offered; more are to be named by `/model`.
const MAX_MODELS: usize = 200;
const MODE_ID: &str = "mode";
const MODEL_ID: &str = "model";

/// What holds in a session, and what could.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SessionOptions {
    /// `engine/model`, once it is known.
    model: String,
    models: Vec<String>,
    /// Of the agent: how much it thinks, for example.
    others: Vec<AgentOption>,
    /// What was told last.
    told: Option<Json>,
}

impl SessionOptions {
    pub(super) fn new(models: Vec<String>, others: Vec<AgentOption>) -> Self {
        let others = others.into_iter().filter(|option| !option.values.is_empty()).collect();
        Self { models: models.into_iter().take(MAX_MODELS).collect(), others, ..Self::default() }
    }

    /// Takes note of who answers.
    pub(super) fn set_model(&mut self, engine: &str, model: &str) {
        self.model = if model.is_empty() { engine.to_owned() } else { format!("{engine}/{model}") };
    }

    /// Returns all settings with their values, as an answer has them.
    pub(super) fn told(&mut self, mode: ApprovalMode, modes: impl Iterator<Item = ApprovalMode>) -> Json {
        let mut all = vec![json!({
            "id": MODE_ID, "name": "Mode", "category": "mode", "type": "select", "currentValue": mode.name(),
            "options": modes.map(|mode| value(mode.name(), mode.name(), "")).collect::<Vec<_>>(),
        })];
        if !self.model.is_empty() {
            let known = self.models.contains(&self.model);
            let models = std::iter::once(&self.model).filter(|_| !known).chain(&self.models);
            all.push(json!({
                "id": MODEL_ID, "name": "Model", "category": "model", "type": "select", "currentValue": self.model,
                "options": models.map(|model| value(model, model, "")).collect::<Vec<_>>(),
            }));
        }
        all.extend(self.others().map(|option| {
            let values = option.values.iter().map(|one| value(&one.value, &one.name, &one.description));
            json!({
                "id": option.id, "name": option.name, "type": "select", "currentValue": option.current,
                "category": if option.kind == AgentOptionKind::Effort { "thought_level" } else { "_other" },
                "options": values.collect::<Vec<_>>(),
            })
        }));
        let all = Json::Array(all);
        self.told = Some(all.clone());
        all
    }

    /// Returns the settings if they are others than were told; none before they were told once.
    pub(super) fn changed(&mut self, mode: ApprovalMode, modes: impl Iterator<Item = ApprovalMode>) -> Option<Json> {
        let before = self.told.clone()?;
        Some(self.told(mode, modes)).filter(|now| *now != before)
    }

    /// Returns what sets a value; an error says what would be one.
    pub(super) fn set(&mut self, id: &str, wanted: &str, most: ApprovalMode) -> Result<Command, String> {
        match id {
            MODE_ID => {
                let mode = ApprovalMode::parse(wanted).filter(|mode| !mode.is_more_permissive_than(most));
                mode.map(|mode| Command::SetMode { mode }).ok_or_else(|| format!("value: no mode {wanted:?} here"))
            }
            MODEL_ID if wanted == self.model || self.models.iter().any(|model| model == wanted) => {
                Ok(Command::SetModel { model: wanted.to_owned() })
            }
            MODEL_ID => Err(format!("value: no model {wanted:?} is offered")),
            _ => {
                let option = self.others.iter_mut().find(|option| option.id == id);
                let option = option.ok_or_else(|| format!("configId: there is no setting {id:?}"))?;
                if !option.values.iter().any(|value| value.value == wanted) {
                    return Err(format!("value: {id} has no value {wanted:?}"));
                }
                wanted.clone_into(&mut option.current);
                Ok(Command::SetOption { option: id.to_owned(), value: wanted.to_owned() })
            }
        }
    }

    /// Those of the agent that have no place of their own.
    fn others(&self) -> impl Iterator<Item = &AgentOption> {
        self.others.iter().filter(|option| {
            let is_own =
                matches!(option.kind, AgentOptionKind::Mode | AgentOptionKind::Model | AgentOptionKind::System);
            !is_own && option.id != MODE_ID && option.id != MODEL_ID
        })
    }
}

fn value(value: &str, name: &str, description: &str) -> Json {
    let name = if name.is_empty() { value } else { name };
    if description.is_empty() {
        return json!({"value": value, "name": name});
    }
    json!({"value": value, "name": name, "description": description})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::AgentOptionValue;

    fn effort() -> AgentOption {
        let value = |name: &str| AgentOptionValue { value: name.to_owned(), ..AgentOptionValue::default() };
        AgentOption {
            id: "effort".to_owned(),
            name: "Effort".to_owned(),
            kind: AgentOptionKind::Effort,
            current: "low".to_owned(),
            values: vec![value("low"), value("high")],
        }
    }

    fn modes() -> impl Iterator<Item = ApprovalMode> {
        [ApprovalMode::Plan, ApprovalMode::Ask].into_iter()
    }

    #[test]
    fn mode_model_and_what_the_agent_has_are_told_and_set() {
        let mut options = SessionOptions::new(vec!["a/x".to_owned()], vec![effort()]);
        options.set_model("b", "y");
        let told = options.told(ApprovalMode::Ask, modes());
        let pairs = |told: &Json| -> Vec<String> {
            let pair = |one: &Json| format!("{}={}", one["id"], one["currentValue"]).replace('"', "");
            told.as_array().unwrap().iter().map(pair).collect()
        };
        assert_eq!(pairs(&told), ["mode=ask", "model=b/y", "effort=low"]);
        assert_eq!(told[1]["options"][0]["value"], "b/y", "the model that answers is one of its values");
        assert_eq!(told[2]["category"], "thought_level");
        let most = ApprovalMode::Ask;
        assert_eq!(options.set("mode", "plan", most), Ok(Command::SetMode { mode: ApprovalMode::Plan }));
        assert_eq!(options.set("model", "a/x", most), Ok(Command::SetModel { model: "a/x".to_owned() }));
        let high = Command::SetOption { option: "effort".to_owned(), value: "high".to_owned() };
        assert_eq!(options.set("effort", "high", most), Ok(high));
        assert_eq!(
            pairs(&options.changed(ApprovalMode::Plan, modes()).unwrap()),
            ["mode=plan", "model=b/y", "effort=high"]
        );
        assert_eq!(options.changed(ApprovalMode::Plan, modes()), None);
    }

    #[test]
    fn what_is_not_offered_is_refused() {
        let mut options = SessionOptions::new(vec!["a/x".to_owned()], vec![effort()]);
        for (id, value) in [("mode", "full"), ("mode", ""), ("model", "c/z"), ("effort", "max"), ("other", "x")] {
            let refused = options.set(id, value, ApprovalMode::Ask).unwrap_err();
            assert!(refused.contains(if id == "other" { "configId" } else { "value" }), "{refused}");
        }
        assert_eq!(options.changed(ApprovalMode::Ask, modes()), None, "nothing was told");
    }
}
