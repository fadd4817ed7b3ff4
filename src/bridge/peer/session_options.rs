//! PURE. What an ACP session can be set to: its modes and its models. Agents tell each in a list of its own or among
//! their `configOptions`, and each is set by another request.

use serde_json::json;

use crate::event::Json;

/// Names by which agents know a mode that only reads.
const PLAN_MODE_NAMES: [&str; 3] = ["plan", "architect", "read-only"];

/// A choice between values, one of which is current.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SessionChoice {
    pub(super) current: String,
    pub(super) values: Vec<String>,
    /// The id of the configuration option, where it is one.
    option: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SessionOptions {
    pub(super) modes: Option<SessionChoice>,
    pub(super) models: Option<SessionChoice>,
}

impl SessionOptions {
    /// Reads them from the answer that opened the session.
    pub(super) fn parse(opened: &Json) -> Self {
        let modes = || listed(opened.get("modes")?, "availableModes", "id", "currentModeId");
        let models = || listed(opened.get("models")?, "availableModels", "modelId", "currentModelId");
        Self { modes: configured(opened, "mode").or_else(modes), models: configured(opened, "model").or_else(models) }
    }

    /// Returns the mode in which the agent only reads, if it has one.
    pub(super) fn plan_mode(&self) -> Option<&str> {
        let modes = self.modes.as_ref()?;
        let is_plan = |mode: &&String| PLAN_MODE_NAMES.contains(&mode.as_str());
        modes.values.iter().find(is_plan).map(String::as_str)
    }
}

impl SessionChoice {
    /// Returns the method and the parameters that set it; `own` is its method where it is in a list of its own, with
    /// the name of the value.
    pub(super) fn request(&self, session: &str, value: &str, own: (&'static str, &str)) -> (&'static str, Json) {
        match &self.option {
            Some(option) => {
                let params = json!({"sessionId": session, "configId": option, "value": value});
                ("session/set_config_option", params)
            }
            None => (own.0, json!({"sessionId": session, own.1: value})),
        }
    }

    /// Returns the value that a person means: it, or its end behind a slash.
    pub(super) fn find(&self, wanted: &str) -> Option<&str> {
        let ends = |value: &&String| value.rsplit('/').next() == Some(wanted);
        let exact = self.values.iter().find(|value| *value == wanted);
        exact.or_else(|| self.values.iter().find(ends)).map(String::as_str)
    }
}

fn listed(choice: &Json, list: &str, id: &str, current: &str) -> Option<SessionChoice> {
    let values = choice.get(list)?.as_array()?.iter().filter_map(|value| value.get(id)?.as_str().map(str::to_owned));
    let current = choice.get(current)?.as_str()?.to_owned();
    Some(SessionChoice { current, values: values.collect(), option: None })
}

fn configured(opened: &Json, category: &str) -> Option<SessionChoice> {
    let mut options = opened.get("configOptions")?.as_array()?.iter();
    let is_it =
        |option: &&Json| ["category", "id"].iter().any(|key| option.get(key).and_then(Json::as_str) == Some(category));
    let option = options.find(is_it)?;
    let mut values = Vec::new();
    for entry in option.get("options")?.as_array()? {
        // Some group their values.
        let group = entry.get("options").and_then(Json::as_array).map_or(std::slice::from_ref(entry), Vec::as_slice);
        values.extend(group.iter().filter_map(|value| value.get("value")?.as_str().map(str::to_owned)));
    }
    Some(SessionChoice {
        current: option.get("currentValue")?.as_str()?.to_owned(),
        values,
        option: Some(option.get("id")?.as_str()?.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_read_and_set_as_the_agent_has_it() {
        let listed =
            json!({"modes": {"currentModeId": "default", "availableModes": [{"id": "default"}, {"id": "plan"}]}});
        let options = SessionOptions::parse(&listed);
        assert_eq!(options.plan_mode(), Some("plan"));
        let (method, params) = options.modes.unwrap().request("s", "plan", ("session/set_mode", "modeId"));
        assert_eq!((method, params), ("session/set_mode", json!({"sessionId": "s", "modeId": "plan"})));
        let configured = json!({"configOptions": [
            {"id": "model", "category": "model", "currentValue": "a/x", "options": [{"value": "a/x"}, {"value": "b/y"}]},
            {"id": "m", "category": "mode", "currentValue": "build", "options": [{"options": [{"value": "build"}]}]},
        ]});
        let options = SessionOptions::parse(&configured);
        assert_eq!(options.plan_mode(), None);
        assert_eq!(options.modes.unwrap().values, ["build"]);
        let models = options.models.unwrap();
        assert_eq!((models.find("y"), models.find("z")), (Some("b/y"), None));
        let (method, params) = models.request("s", "b/y", ("session/set_model", "modelId"));
        assert_eq!(method, "session/set_config_option");
        assert_eq!(params, json!({"sessionId": "s", "configId": "model", "value": "b/y"}));
    }
}
