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
    /// The tools that the model may choose from; `None` if the client sent no list.
    pub(super) allowed: Option<Vec<ToolSpec>>,
    /// A sentence for each kind of tools that can't be had.
    pub(super) left_out: Vec<String>,
    /// The model must call one.
    pub(super) tool_choice_required: bool,
}

impl ClientTools {
    /// Leaves the model only these, of which it must call one. `at` is the field that names them.
    pub(super) fn choose(&mut self, names: &[&str], at: &str) -> Result<(), ApiError> {
        let find = |name: &&str| {
            self.specs.iter().find(|spec| spec.name == *name).cloned().ok_or_else(|| {
                ApiError::bad_request(format!("{at} names {name:?}, which is not in tools")).with_param(at)
            })
        };
        self.allowed = Some(names.iter().map(find).collect::<Result<_, _>>()?);
        self.tool_choice_required = true;
        Ok(())
    }
}

/// Where a surface puts a tool's name: in `function`, as chat completions do, or beside its type. Both are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToolFormat {
    Nested,
    Flat,
}

/// Characters of a tool's type that are told.
const MAX_TYPE_CHARS: usize = 60;

const TOOL_CHOICE_VALUES: &str = "\"none\", \"auto\", \"required\" or a function by its name";

/// Parses `tools` and `tool_choice`.
pub(super) fn parse(fields: &Fields, form: ToolFormat) -> Result<ClientTools, ApiError> {
    let list = get_array(fields, "tools", "")?;
    let (specs, left_out) = parse_specs(list, form)?;
    let all = get_value(fields, "tools").map(|_| specs.clone());
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
    Ok(ClientTools { specs, allowed: chosen, left_out, tool_choice_required: must_call })
}

/// Records that tools of this type are not offered.
pub(super) fn leave_out(kind: &str, left_out: &mut Vec<String>) {
    let kind: String = kind.chars().take(MAX_TYPE_CHARS).collect();
    let text = format!("tools of type {kind:?} can't be had here and are not offered to the model");
    if !left_out.contains(&text) {
        left_out.push(text);
    }
}

/// Creates the specification of a client's tool. It never runs here, so it needs no approval.
pub(super) fn tool_spec(name: &str, description: &str, parameters: Option<Json>) -> ToolSpec {
    let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
    ToolSpec { name: name.to_owned(), description: description.to_owned(), parameters, risk: Risk::ReadOnly }
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

/// Parses the specifications of the client's tools, and says what can't be had.
fn parse_specs(list: &[Json], form: ToolFormat) -> Result<(Vec<ToolSpec>, Vec<String>), ApiError> {
    let (mut specs, mut left_out) = (Vec::with_capacity(list.len()), Vec::new());
    let mut names = HashSet::new();
    for (n, tool) in list.iter().enumerate() {
        let at = format!("tools[{n}]");
        let Json::Object(tool) = tool else { return Err(wrong_type(&at, "an object")) };
        let kind = fields::get_string(tool, "type", &at)?.unwrap_or("function");
        if kind != "function" {
            leave_out(kind, &mut left_out);
            continue;
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
        let parameters = fields::get_object_at(inner, "parameters", &at)?.cloned().map(Json::Object);
        let description = fields::get_string(inner, "description", &at)?.unwrap_or_default();
        specs.push(tool_spec(name, description, parameters));
    }
    Ok((specs, left_out))
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
        assert_eq!(asked(&json!({"tools": [], "tool_choice": "auto"})), Ok((some(&[]), false)), "none");
        assert_eq!(asked(&json!({"tools": null})), Ok((None, false)));
    }

    #[test]
    fn tools_that_can_not_be_had_are_left_out_and_told_once_a_type() {
        let tools = json!([
            {"type": "web_search"},
            {"type": "function", "name": "a"},
            {"type": "namespace", "name": "n", "tools": []},
            {"type": "web_search", "name": "again"},
        ]);
        let offered = parse(json!({ "tools": tools }).as_object().unwrap(), ToolFormat::Flat).unwrap();
        assert_eq!(offered.allowed.unwrap().iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["a"]);
        let told = |kind: &str| format!("tools of type {kind:?} can't be had here and are not offered to the model");
        assert_eq!(offered.left_out, [told("web_search"), told("namespace")]);
        let only = json!({"tools": [{"type": "web_search"}]});
        assert_eq!(asked(&only), Ok((Some(Vec::new()), false)), "ours don't stand in");
    }

    #[test]
    fn a_name_stands_for_one_tool() {
        let twice = json!([{"name": "a"}, {"function": {"name": "a"}}]);
        assert_eq!(asked(&json!({ "tools": twice })), Err("tools[1].function.name".to_owned()));
    }
}
