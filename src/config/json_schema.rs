//! PURE. The settings as a JSON schema, for editors that check a file while it is written.
//!
//! Format: JSON Schema 2020-12. Names that the person chooses are additional properties. The invariant: what
//! `config check` takes, the schema takes; not the other way round, for some values only their reader can judge.

use serde_json::{Map, Value, json};

use super::schema::{PROFILES_TABLE, SETTINGS, SettingSpec};
use super::setting::ValueKind;
use super::value::SettingValue;

/// Returns the schema as JSON text.
pub fn json_schema() -> String {
    let mut root = table();
    for row in SETTINGS.iter() {
        let mut at = &mut root;
        let parts: Vec<&str> = row.key.split('.').collect();
        for (nth, part) in parts.iter().enumerate() {
            at = if *part == "*" { &mut at["additionalProperties"] } else { &mut at["properties"][*part] };
            let is_leaf = nth + 1 == parts.len();
            if is_leaf {
                *at = value(row);
            } else if !at.is_object() {
                *at = table();
            }
        }
    }
    root["properties"][PROFILES_TABLE] = json!({
        "description": "settings that hold while the profile of that name does",
        "type": "object",
        "additionalProperties": { "$ref": "#" },
    });
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "Settings of jarvis-tui".into();
    format!("{root:#}\n")
}

fn table() -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": false })
}

fn value(row: &SettingSpec) -> Value {
    let mut told = match &row.kind {
        ValueKind::Boolean => json!({ "type": "boolean" }),
        ValueKind::Integer(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        ValueKind::Number => json!({ "type": "number" }),
        ValueKind::Text => json!({ "type": "string" }),
        ValueKind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        ValueKind::Choice(words) => json!({ "enum": words }),
        ValueKind::Choices(words) => json!({ "type": "array", "items": { "enum": words } }),
        ValueKind::Any => json!({}),
    };
    told["description"] = row.expected.as_ref().into();
    if let Some(default) = row.default.as_ref().filter(|_| !row.is_secret()) {
        told["default"] = to_json(default);
    }
    told
}

fn to_json(value: &SettingValue) -> Value {
    match value {
        SettingValue::Bool(flag) => (*flag).into(),
        SettingValue::Int(number) => (*number).into(),
        SettingValue::Float(number) => (*number).into(),
        SettingValue::String(text) | SettingValue::Other(text) => text.as_str().into(),
        SettingValue::List(values) => values.iter().map(to_json).collect(),
        SettingValue::Table(table) => {
            table.iter().map(|(name, value)| (name.clone(), to_json(value))).collect::<Map<_, _>>().into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_place_type_and_default() {
        let schema: Value = serde_json::from_str(&json_schema()).unwrap();
        let at = |path: &str| schema.pointer(path).unwrap_or_else(|| panic!("nothing at {path}"));
        assert_eq!(at("/properties/ui/properties/max_fps/maximum"), 240);
        assert_eq!(at("/properties/ui/properties/max_fps/default"), 60);
        assert_eq!(at("/properties/ui/properties/mouse/type"), "boolean");
        assert_eq!(at("/properties/approvals/properties/mode/enum/0"), "ask");
        assert_eq!(at("/properties/engines/additionalProperties/properties/retries/type"), "integer");
        let headers = "/properties/remotes/additionalProperties/properties/headers/additionalProperties";
        assert!(at(headers)["description"].as_str().unwrap().contains("env:NAME"));
        assert_eq!(at("/properties/keys/properties/preset/default"), "default");
        assert_eq!(at("/properties/keys/additionalProperties/additionalProperties/type"), "string");
        assert_eq!(at("/properties/profiles/additionalProperties/$ref"), "#");
        assert_eq!(at("/additionalProperties"), false);
        for row in SETTINGS.iter() {
            let path: String = row
                .key
                .split('.')
                .map(|part| match part {
                    "*" => "/additionalProperties".to_owned(),
                    part => format!("/properties/{part}"),
                })
                .collect();
            assert_eq!(at(&path)["description"], row.expected.as_ref(), "{}", row.key);
        }
    }
}
