//! PURE. What an ACP session can be set to: its modes, its models and whatever else the agent names. Agents tell modes
//! and models in lists of their own or among their `configOptions`, and each is set by another request.

use serde_json::json;

use crate::event::{AgentOption, AgentOptionKind, AgentOptionValue, Json};

/// Names by which agents know a mode that only reads.
const PLAN_MODE_NAMES: [&str; 3] = ["plan", "architect", "read-only"];
/// Settings of an agent that are kept.
const MAX_OPTIONS: usize = 32;
/// Values of a setting that are kept.
const MAX_VALUES: usize = 1000;

/// How a setting is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SettingMethod {
    Mode,
    Model,
    ConfigOption,
    /// A configuration option that is on or off.
    ConfigSwitch,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SessionOptions {
    settings: Vec<(AgentOption, SettingMethod)>,
}

impl SessionOptions {
    /// Reads them from the answer that opened the session.
    pub(super) fn parse(opened: &Json) -> Self {
        let mut options = Self::default();
        options.replace_configured(opened);
        let lists = [
            ("modes", "availableModes", "id", "currentModeId", AgentOptionKind::Mode, SettingMethod::Mode),
            ("models", "availableModels", "modelId", "currentModelId", AgentOptionKind::Model, SettingMethod::Model),
        ];
        for (choice, list, id, current, kind, method) in lists {
            if options.of_kind(kind).is_none()
                && let Some(option) = opened.get(choice).and_then(|choice| listed(choice, (list, id, current), kind))
            {
                options.settings.push((option, method));
            }
        }
        options
    }

    /// Takes over the `configOptions` of an answer or an update, which are always all of them. Returns whether there
    /// were some.
    pub(super) fn replace_configured(&mut self, told: &Json) -> bool {
        let Some(configured) = told.get("configOptions").and_then(Json::as_array) else { return false };
        let mut settings: Vec<_> = configured.iter().filter_map(configured_option).take(MAX_OPTIONS).collect();
        let is_listed =
            |(_, method): &(AgentOption, SettingMethod)| matches!(method, SettingMethod::Mode | SettingMethod::Model);
        settings.extend(std::mem::take(&mut self.settings).into_iter().filter(is_listed));
        self.settings = settings;
        true
    }

    /// Returns all of them, for who chooses.
    pub(super) fn all(&self) -> Vec<AgentOption> {
        self.settings.iter().map(|(option, _)| option.clone()).collect()
    }

    pub(super) fn of_kind(&self, kind: AgentOptionKind) -> Option<&AgentOption> {
        self.settings.iter().map(|(option, _)| option).find(|option| option.kind == kind)
    }

    pub(super) fn find(&self, id: &str) -> Option<&AgentOption> {
        self.settings.iter().map(|(option, _)| option).find(|option| option.id == id)
    }

    /// Returns the mode in which the agent only reads, if it has one.
    pub(super) fn plan_mode(&self) -> Option<&str> {
        let modes = self.of_kind(AgentOptionKind::Mode)?;
        let is_plan = |mode: &&AgentOptionValue| {
            let last = mode.value.rsplit(['/', '#', ':']).next().unwrap_or_default();
            PLAN_MODE_NAMES.contains(&last)
        };
        modes.values.iter().find(is_plan).map(|mode| mode.value.as_str())
    }

    /// Notes that a setting has this value now. Returns whether it had another one.
    pub(super) fn note(&mut self, id: &str, value: &str) -> bool {
        let setting = self.settings.iter_mut().map(|(option, _)| option).find(|option| option.id == id);
        let Some(option) = setting.filter(|option| option.current != value) else { return false };
        value.clone_into(&mut option.current);
        true
    }

    /// Returns the method and the parameters that set it; none for what is not a setting.
    pub(super) fn request(&self, session: &str, id: &str, value: &str) -> Option<(&'static str, Json)> {
        let (_, method) = self.settings.iter().find(|(option, _)| option.id == id)?;
        Some(match method {
            SettingMethod::Mode => ("session/set_mode", json!({"sessionId": session, "modeId": value})),
            SettingMethod::Model => ("session/set_model", json!({"sessionId": session, "modelId": value})),
            SettingMethod::ConfigOption => {
                ("session/set_config_option", json!({"sessionId": session, "configId": id, "value": value}))
            }
            SettingMethod::ConfigSwitch => {
                let params = json!({"sessionId": session, "configId": id, "type": "boolean", "value": value == "true"});
                ("session/set_config_option", params)
            }
        })
    }
}

fn text(json: &Json, key: &str) -> String {
    json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()
}

fn listed(
    choice: &Json,
    (list, id, current): (&str, &'static str, &str),
    kind: AgentOptionKind,
) -> Option<AgentOption> {
    let values = choice.get(list)?.as_array()?.iter().filter_map(|value| option_value(value, id));
    let (id, name) = if kind == AgentOptionKind::Mode { ("mode", "Mode") } else { ("model", "Model") };
    Some(AgentOption {
        id: id.to_owned(),
        name: name.to_owned(),
        kind,
        current: choice.get(current)?.as_str()?.to_owned(),
        values: values.take(MAX_VALUES).collect(),
    })
}

fn option_value(value: &Json, key: &str) -> Option<AgentOptionValue> {
    let id = text(value, key);
    let name = Some(text(value, "name")).filter(|name| !name.trim().is_empty()).unwrap_or_else(|| id.clone());
    (!id.is_empty()).then(|| AgentOptionValue { value: id, name, description: text(value, "description") })
}

fn configured_option(told: &Json) -> Option<(AgentOption, SettingMethod)> {
    let id = told.get("id")?.as_str().filter(|id| !id.is_empty())?.to_owned();
    let kind_word = [text(told, "category"), id.clone()].into_iter().find(|word| !word.is_empty()).unwrap_or_default();
    let kind = match kind_word.as_str() {
        "model" => AgentOptionKind::Model,
        "mode" => AgentOptionKind::Mode,
        "thought_level" => AgentOptionKind::Effort,
        _ => AgentOptionKind::Other,
    };
    let name = Some(text(told, "name")).filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone());
    if let Some(is_on) = told.get("currentValue").and_then(Json::as_bool) {
        let switch = |value: &str, name: &str| AgentOptionValue {
            value: value.to_owned(),
            name: name.to_owned(),
            description: text(told, "description"),
        };
        let values = vec![switch("true", "on"), switch("false", "off")];
        return Some((AgentOption { id, name, kind, current: is_on.to_string(), values }, SettingMethod::ConfigSwitch));
    }
    let mut values = Vec::new();
    for entry in told.get("options")?.as_array()? {
        // Some group their values.
        let group = entry.get("options").and_then(Json::as_array).map_or(std::slice::from_ref(entry), Vec::as_slice);
        values.extend(group.iter().filter_map(|value| option_value(value, "value")));
    }
    values.truncate(MAX_VALUES);
    let current = told.get("currentValue")?.as_str()?.to_owned();
    Some((AgentOption { id, name, kind, current, values }, SettingMethod::ConfigOption))
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
        let set = options.request("s", "mode", "plan");
        assert_eq!(set, Some(("session/set_mode", json!({"sessionId": "s", "modeId": "plan"}))));
        let configured = json!({"configOptions": [
            {"id": "model", "category": "model", "currentValue": "a/x", "options": [{"value": "a/x"}, {"value": "b/y"}]},
            {"id": "m", "category": "mode", "currentValue": "build", "options": [{"options": [{"value": "build"}]}]},
            {"id": "t", "category": "thought_level", "currentValue": "low", "options": []},
            {"id": "web", "name": "Web", "type": "boolean", "currentValue": true},
        ], "modes": {"currentModeId": "build", "availableModes": [{"id": "build"}, {"id": "plan"}]}});
        let mut options = SessionOptions::parse(&configured);
        assert_eq!(options.plan_mode(), None, "the configuration counts");
        let kinds: Vec<_> = options.all().iter().map(|option| (option.id.clone(), option.kind)).collect();
        let expected = [
            ("model".to_owned(), AgentOptionKind::Model),
            ("m".to_owned(), AgentOptionKind::Mode),
            ("t".to_owned(), AgentOptionKind::Effort),
            ("web".to_owned(), AgentOptionKind::Other),
        ];
        assert_eq!(kinds, expected);
        let (method, params) = options.request("s", "model", "b/y").unwrap();
        assert_eq!(method, "session/set_config_option");
        assert_eq!(params, json!({"sessionId": "s", "configId": "model", "value": "b/y"}));
        assert_eq!(options.request("s", "web", "false").unwrap().1["value"], false);
        assert_eq!(options.request("s", "nothing", "x"), None);
        assert!(options.note("model", "b/y") && !options.note("model", "b/y"));
        let told = json!({"configOptions": [{"id": "model", "currentValue": "b/y", "options": []}]});
        assert!(options.replace_configured(&told) && !options.replace_configured(&json!({})));
        assert_eq!(options.all().len(), 1);
    }

    #[test]
    fn a_list_of_its_own_outlives_the_configuration() {
        let opened = json!({
            "models": {"currentModelId": "x", "availableModels": [{"modelId": "x", "name": "X", "description": "d"}]},
            "configOptions": [{"id": "e", "category": "thought_level", "currentValue": "a", "options": []}],
        });
        let mut options = SessionOptions::parse(&opened);
        options.replace_configured(&json!({"configOptions": []}));
        let all = options.all();
        assert_eq!((all.len(), all[0].values[0].name.as_str(), all[0].values[0].description.as_str()), (1, "X", "d"));
    }
}
