//! PURE. The tools that a client offers to the model, and its tool choice.
//!
//! A tool choice that can't be parsed is an error: if the client relies on a call and the model is free to write text,
//! the client can't use the response.

use std::collections::HashSet;

use serde_json::json;

use super::error::ApiError;
use super::fields::{self, Fields, field_path, get_array, get_value, missing_field, wrong_type};
use crate::event::{Json, Risk, ToolSpec};

/// The tools in a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ClientTools {
    /// All tools that were sent.
    pub(super) specs: Vec<ToolSpec>,
    /// The tools that the model may choose from; `None` if the client sent none.
    pub(super) allowed: Option<Vec<ToolSpec>>,
    /// The model must call one.
    pub(super) tool_choice_required: bool,
}

/// Where a surface puts a tool's name: in `function`, as chat completions do, or beside its type. Both are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolFormat {
    Nested,
    Flat,
}

const TOOL_CHOICE_VALUES: &str = "\"none\", \"auto\", \"required\" or a function by its name";

/// Parses `tools` and `tool_choice`.
pub(super) fn parse(fields: &Fields, form: ToolFormat) -> Result<ClientTools, ApiError> {
    let specs = parse_specs(get_array(fields, "tools", "")?, form)?;
    let all = Some(specs.clone()).filter(|specs| !specs.is_empty());
    let (chosen, must_call) = match get_value(fields, "tool_choice") {
        None => (all, false),
        Some(Json::String(choice)) => match choice.as_str() {
            "auto" => (all, false),
            "none" => (Some(Vec::new()), false),
            "required" | "any" => (all, true),
            _ => return Err(wrong_type("tool_choice", TOOL_CHOICE_VALUES)),
        },
        Some(Json::Object(choice)) => parse_choice(&specs, choice)?,
        Some(_) => return Err(wrong_type("tool_choice", "a string or an object")),
    };
    Ok(ClientTools { specs, allowed: chosen, tool_choice_required: must_call })
}

/// Applies the tool choice: returns the allowed tools, and whether one must be called.
fn parse_choice(specs: &[ToolSpec], choice: &Fields) -> Result<(Option<Vec<ToolSpec>>, bool), ApiError> {
    let kind = fields::get_string(choice, "type", "tool_choice")?.unwrap_or("function");
    let inner = fields::get_object_at(choice, kind, "tool_choice")?;
    let at = if inner.is_some() { field_path("tool_choice", kind) } else { "tool_choice".to_owned() };
    let inner = inner.unwrap_or(choice);
    match kind {
        "function" => Ok((Some(vec![find_spec(specs, inner, &at)?]), true)),
        "allowed_tools" => {
            let must_call = fields::get_string(inner, "mode", &at)? == Some("required");
            let mut allowed = Vec::new();
            for (n, tool) in get_array(inner, "tools", &at)?.iter().enumerate() {
                let at = format!("{at}.tools[{n}]");
                let Json::Object(tool) = tool else { return Err(wrong_type(&at, "an object")) };
                let (tool, at) = match fields::get_object_at(tool, "function", &at)? {
                    Some(function) => (function, field_path(&at, "function")),
                    None => (tool, at),
                };
                allowed.push(find_spec(specs, tool, &at)?);
            }
            Ok((Some(allowed), must_call))
        }
        _ => Err(wrong_type("tool_choice", TOOL_CHOICE_VALUES)),
    }
}

fn find_spec(specs: &[ToolSpec], choice: &Fields, at: &str) -> Result<ToolSpec, ApiError> {
    let name = fields::get_required_string(choice, "name", at)?;
    specs.iter().find(|spec| spec.name == name).cloned().ok_or_else(|| {
        let text = format!("tool_choice names {name:?}, which is not in tools");
        ApiError::bad_request(text).with_param(field_path(at, "name"))
    })
}

/// Parses the specifications of the client's tools.
fn parse_specs(list: &[Json], form: ToolFormat) -> Result<Vec<ToolSpec>, ApiError> {
    let mut specs: Vec<ToolSpec> = Vec::with_capacity(list.len());
    let mut names = HashSet::new();
    for (n, tool) in list.iter().enumerate() {
        let at = format!("tools[{n}]");
        let Json::Object(tool) = tool else { return Err(wrong_type(&at, "an object")) };
        let kind = fields::get_string(tool, "type", &at)?.unwrap_or("function");
        if kind != "function" {
            let text = format!("{at}: tools of type {kind:?} are not supported, only functions");
            return Err(ApiError::new(400, "unsupported_tool", text).with_param(field_path(&at, "type")));
        }
        let (inner, at) = match fields::get_object_at(tool, "function", &at)? {
            Some(function) => (function, field_path(&at, "function")),
            None if form == ToolFormat::Nested && get_value(tool, "name").is_none() => {
                return Err(missing_field(&field_path(&at, "function")));
            }
            None => (tool, at),
        };
        let name = fields::get_required_string(inner, "name", &at)?;
        if name.is_empty() || !names.insert(name) {
            return Err(wrong_type(&field_path(&at, "name"), "a unique name"));
        }
        let parameters = match fields::get_object_at(inner, "parameters", &at)? {
            None => json!({"type": "object", "properties": {}}),
            Some(schema) => Json::Object(schema.clone()),
        };
        let description = fields::get_string(inner, "description", &at)?.unwrap_or_default().to_owned();
        // It never runs here, so it needs no approval.
        specs.push(ToolSpec { name: name.to_owned(), description, parameters, risk: Risk::ReadOnly });
    }
    Ok(specs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &Json) -> Result<(Option<Vec<String>>, bool), String> {
        let offered = parse(body.as_object().unwrap(), ToolFormat::Flat);
        let offered = offered.map_err(|refused| refused.param.unwrap_or_default())?;
        let names = |specs: Vec<ToolSpec>| specs.into_iter().map(|spec| spec.name).collect();
        Ok((offered.allowed.map(names), offered.tool_choice_required))
    }

    #[test]
    fn a_choice_says_which_may_and_whether_one_must_be_called() {
        let tools = json!([{"type": "function", "name": "a"}, {"type": "function", "function": {"name": "b"}}]);
        let choose = |choice: Json| asked(&json!({"tools": tools, "tool_choice": choice}));
        let some = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        for (choice, expected) in [
            (Json::Null, Ok((some(&["a", "b"]), false))),
            (json!("auto"), Ok((some(&["a", "b"]), false))),
            (json!("none"), Ok((some(&[]), false))),
            (json!("required"), Ok((some(&["a", "b"]), true))),
            (json!({"type": "function", "name": "b"}), Ok((some(&["b"]), true))),
            (json!({"type": "function", "function": {"name": "a"}}), Ok((some(&["a"]), true))),
            (json!({"type": "allowed_tools", "mode": "required", "tools": [{"name": "b"}]}), Ok((some(&["b"]), true))),
            (
                json!({"type": "allowed_tools", "allowed_tools": {"tools": [{"function": {"name": "b"}}]}}),
                Ok((some(&["b"]), false)),
            ),
            (json!("always"), Err("tool_choice".to_owned())),
            (json!({"type": "web_search"}), Err("tool_choice".to_owned())),
            (json!({"type": "function"}), Err("tool_choice.name".to_owned())),
            (json!({"name": "c"}), Err("tool_choice.name".to_owned())),
            (json!(7), Err("tool_choice".to_owned())),
        ] {
            assert_eq!(choose(choice.clone()), expected, "{choice}");
        }
        assert_eq!(asked(&json!({"tool_choice": "required"})), Ok((None, true)), "ours");
        assert_eq!(asked(&json!({"tools": [], "tool_choice": "auto"})), Ok((None, false)));
    }

    #[test]
    fn a_name_stands_for_one_tool() {
        let twice = json!([{"name": "a"}, {"function": {"name": "a"}}]);
        assert_eq!(asked(&json!({ "tools": twice })), Err("tools[1].function.name".to_owned()));
    }
}
