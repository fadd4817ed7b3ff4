//! PURE. The tools that a client offers the model, and which of them it wants to be called.
//!
//! A choice that can't be understood is refused: a model that is free where the client counts on a call would answer
//! with something that the client can't read.

use std::collections::HashSet;

use serde_json::json;

use super::fields::{self, Fields, list, missing, of, said, wrong};
use super::refuse::Refused;
use crate::event::{Json, Risk, ToolSpec};

/// What a request says of tools.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Offered {
    /// All that were sent.
    pub(super) specs: Vec<ToolSpec>,
    /// Those that the model may choose from; none of the client's is our own.
    pub(super) chosen: Option<Vec<ToolSpec>>,
    /// One must be called.
    pub(super) must_call: bool,
}

/// Where a surface has a tool's name: in `function`, as chat completions do, or beside its type. Either is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Nested,
    Flat,
}

const CHOICES: &str = "\"none\", \"auto\", \"required\" or a function by its name";

/// Reads `tools` and `tool_choice`.
pub(super) fn read(fields: &Fields, form: Form) -> Result<Offered, Refused> {
    let specs = specs(list(fields, "tools", "")?, form)?;
    let all = Some(specs.clone()).filter(|specs| !specs.is_empty());
    let (chosen, must_call) = match said(fields, "tool_choice") {
        None => (all, false),
        Some(Json::String(choice)) => match choice.as_str() {
            "auto" => (all, false),
            "none" => (Some(Vec::new()), false),
            "required" | "any" => (all, true),
            _ => return Err(wrong("tool_choice", CHOICES)),
        },
        Some(Json::Object(choice)) => one(&specs, choice)?,
        Some(_) => return Err(wrong("tool_choice", "a string or an object")),
    };
    Ok(Offered { specs, chosen, must_call })
}

/// Leaves the tool that the choice names, or the few that it allows.
fn one(specs: &[ToolSpec], choice: &Fields) -> Result<(Option<Vec<ToolSpec>>, bool), Refused> {
    let kind = fields::text(choice, "type", "tool_choice")?.unwrap_or("function");
    let inner = fields::map_at(choice, kind, "tool_choice")?;
    let at = if inner.is_some() { of("tool_choice", kind) } else { "tool_choice".to_owned() };
    let inner = inner.unwrap_or(choice);
    match kind {
        "function" => Ok((Some(vec![named(specs, inner, &at)?]), true)),
        "allowed_tools" => {
            let must_call = fields::text(inner, "mode", &at)? == Some("required");
            let mut allowed = Vec::new();
            for (n, tool) in list(inner, "tools", &at)?.iter().enumerate() {
                let at = format!("{at}.tools[{n}]");
                let Json::Object(tool) = tool else { return Err(wrong(&at, "an object")) };
                let (tool, at) = match fields::map_at(tool, "function", &at)? {
                    Some(function) => (function, of(&at, "function")),
                    None => (tool, at),
                };
                allowed.push(named(specs, tool, &at)?);
            }
            Ok((Some(allowed), must_call))
        }
        _ => Err(wrong("tool_choice", CHOICES)),
    }
}

fn named(specs: &[ToolSpec], choice: &Fields, at: &str) -> Result<ToolSpec, Refused> {
    let name = fields::needed(choice, "name", at)?;
    specs.iter().find(|spec| spec.name == name).cloned().ok_or_else(|| {
        let text = format!("tool_choice names {name:?}, and tools has none of that name");
        Refused::bad(text).about(of(at, "name"))
    })
}

/// Reads what the model is told of the client's tools.
fn specs(list: &[Json], form: Form) -> Result<Vec<ToolSpec>, Refused> {
    let mut specs: Vec<ToolSpec> = Vec::with_capacity(list.len());
    let mut names = HashSet::new();
    for (n, tool) in list.iter().enumerate() {
        let at = format!("tools[{n}]");
        let Json::Object(tool) = tool else { return Err(wrong(&at, "an object")) };
        let kind = fields::text(tool, "type", &at)?.unwrap_or("function");
        if kind != "function" {
            let text = format!("{at}: tools of type {kind:?} can't be had here, only functions");
            return Err(Refused::new(400, "unsupported_tool", text).about(of(&at, "type")));
        }
        let (inner, at) = match fields::map_at(tool, "function", &at)? {
            Some(function) => (function, of(&at, "function")),
            None if form == Form::Nested && said(tool, "name").is_none() => return Err(missing(&of(&at, "function"))),
            None => (tool, at),
        };
        let name = fields::needed(inner, "name", &at)?;
        if name.is_empty() || !names.insert(name) {
            return Err(wrong(&of(&at, "name"), "a name that no other tool has"));
        }
        let parameters = match fields::map_at(inner, "parameters", &at)? {
            None => json!({"type": "object", "properties": {}}),
            Some(schema) => Json::Object(schema.clone()),
        };
        let description = fields::text(inner, "description", &at)?.unwrap_or_default().to_owned();
        // We never run it, so there is nothing to ask anybody.
        specs.push(ToolSpec { name: name.to_owned(), description, parameters, risk: Risk::ReadOnly });
    }
    Ok(specs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &Json) -> Result<(Option<Vec<String>>, bool), String> {
        let offered = read(body.as_object().unwrap(), Form::Flat);
        let offered = offered.map_err(|refused| refused.param.unwrap_or_default())?;
        let names = |specs: Vec<ToolSpec>| specs.into_iter().map(|spec| spec.name).collect();
        Ok((offered.chosen.map(names), offered.must_call))
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
