//! What an agent program lets its client set: its models, its modes, and whatever else it names. Status, never logged.

use serde::{Deserialize, Serialize};

/// A setting of an agent with the values that it offers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentOption {
    /// As the agent knows it.
    pub id: String,
    pub name: String,
    pub kind: AgentOptionKind,
    /// The value that holds now.
    pub current: String,
    pub values: Vec<AgentOptionValue>,
}

/// A value of a setting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentOptionValue {
    pub value: String,
    pub name: String,
    pub description: String,
}

/// What a setting is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentOptionKind {
    Model,
    /// How much the model thinks.
    Effort,
    /// How the agent works, and what it asks about.
    Mode,
    /// What the model is told before the conversation: free text, so its values are not listed.
    System,
    #[default]
    #[serde(other)]
    Other,
}

impl AgentOption {
    /// The value of a setting that leaves it as it is of itself.
    pub const DEFAULT_VALUE: &str = "default";

    /// Returns the value that a person means: it, its name, or its end behind a slash.
    pub fn find(&self, wanted: &str) -> Option<&AgentOptionValue> {
        let exact = |value: &&AgentOptionValue| value.value == wanted;
        let named = |value: &&AgentOptionValue| {
            value.name.eq_ignore_ascii_case(wanted) || value.value.eq_ignore_ascii_case(wanted)
        };
        let ends = |value: &&AgentOptionValue| value.value.rsplit('/').next() == Some(wanted);
        let values = || self.values.iter();
        values().find(exact).or_else(|| values().find(named)).or_else(|| values().find(ends))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_as_people_write_it() {
        let value = |value: &str, name: &str| AgentOptionValue {
            value: value.into(),
            name: name.into(),
            description: String::new(),
        };
        let option = AgentOption {
            values: vec![value("a/x", "First"), value("b/y", "Second one"), value("first", "Third")],
            ..AgentOption::default()
        };
        for (wanted, found) in [
            ("a/x", Some("a/x")),
            ("y", Some("b/y")),
            ("second ONE", Some("b/y")),
            ("first", Some("first")),
            ("FIRST", Some("a/x")),
            ("z", None),
        ] {
            assert_eq!(option.find(wanted).map(|value| value.value.as_str()), found, "{wanted}");
        }
    }
}
