//! The tools of a server as the agent knows them. Their words come from outside: they are cleaned and bounded, and what
//! they say of their risk only adds to what a person is told.

use std::time::Duration;

use rmcp::model::Tool;
use serde_json::Value;

use crate::event::{McpToolSummary, Risk, ToolKind, ToolSpec};
use crate::text::clean::clean;
use crate::tool::ToolInfo;

/// Tools of one server that are taken; a request has to hold them all.
const MAX_TOOLS: usize = 256;
const MAX_DESCRIPTION_BYTES: usize = 8 * 1024;
const MAX_SCHEMA_BYTES: usize = 64 * 1024;
/// How deep a schema may nest.
const MAX_SCHEMA_DEPTH: usize = 32;

/// Returns the tools of a list; one that can't be told to a model is left out.
pub(super) fn tool_infos(tools: &[Tool], timeout: Duration) -> Vec<ToolInfo> {
    let info = |tool| Some(ToolInfo { spec: tool_spec(tool)?, kind: ToolKind::Other, timeout });
    tools.iter().filter_map(info).take(MAX_TOOLS).collect()
}

fn tool_spec(tool: &Tool) -> Option<ToolSpec> {
    let mut parameters = Value::Object((*tool.input_schema).clone());
    clean_schema(&mut parameters, MAX_SCHEMA_DEPTH)?;
    if parameters.to_string().len() > MAX_SCHEMA_BYTES || tool.name.trim().is_empty() {
        return None;
    }
    Some(ToolSpec { name: tool.name.to_string(), description: description(tool), parameters, risk: risk(tool) })
}

fn description(tool: &Tool) -> String {
    let text = tool.description.as_deref().or(tool.title.as_deref()).unwrap_or_default();
    let cleaned = clean(text);
    cleaned[..cleaned.floor_char_boundary(MAX_DESCRIPTION_BYTES)].trim().to_owned()
}

/// Cleans the texts of a schema; `None` if it nests too deep.
fn clean_schema(schema: &mut Value, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match schema {
        Value::String(text) => {
            if let std::borrow::Cow::Owned(cleaned) = clean(text) {
                *text = cleaned;
            }
        }
        Value::Array(items) => return items.iter_mut().try_for_each(|item| clean_schema(item, depth)),
        Value::Object(members) => return members.values_mut().try_for_each(|member| clean_schema(member, depth)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Some(())
}

/// Returns the risk of a tool's calls: never one that needs no rule, for it is the server that says what its tools do.
pub(super) fn risk(tool: &Tool) -> Risk {
    if claims_read_only(tool) { Risk::Network } else { Risk::Execute }
}

pub(super) fn claims_read_only(tool: &Tool) -> bool {
    tool.annotations.as_ref().and_then(|annotations| annotations.read_only_hint) == Some(true)
}

/// Returns what a server says that a tool does, for the person who decides.
pub(super) fn claims(tool: &Tool) -> String {
    let Some(annotations) = &tool.annotations else {
        return "the server does not say what this tool may change".to_owned();
    };
    let mut claims = vec![match annotations.read_only_hint {
        Some(true) => "changes nothing",
        _ if annotations.is_destructive() => "may change or delete things",
        _ => "only adds things",
    }];
    match annotations.open_world_hint {
        Some(false) => claims.push("stays on its own"),
        _ => claims.push("may reach other systems"),
    }
    format!("the server says of this tool: {}", claims.join(", "))
}

pub(super) fn summary(tool: &Tool) -> McpToolSummary {
    McpToolSummary {
        name: tool.name.to_string(),
        description: description(tool),
        claims_read_only: claims_read_only(tool),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(data: Value) -> Tool {
        serde_json::from_value(data).unwrap()
    }

    #[test]
    fn no_tool_of_a_server_may_run_without_a_rule() {
        let reads = tool(json!({"name": "r", "inputSchema": {}, "annotations": {"readOnlyHint": true}}));
        let writes = tool(json!({"name": "w", "inputSchema": {}, "annotations": {"destructiveHint": false}}));
        assert_eq!((risk(&reads), risk(&writes)), (Risk::Network, Risk::Execute));
        assert!(claims(&reads).contains("changes nothing") && claims(&writes).contains("only adds"));
        assert!(claims(&tool(json!({"name": "x", "inputSchema": {}}))).contains("does not say"));
    }

    #[test]
    fn words_of_a_server_are_cleaned() {
        let hostile = tool(json!({
            "name": "t", "description": "a\u{1b}]0;x\u{7}b\u{202e}c",
            "inputSchema": {"type": "object", "properties": {"p": {"description": "d\u{200b}\u{1b}[2Je"}}},
        }));
        let infos = tool_infos(&[hostile], Duration::ZERO);
        assert_eq!(infos[0].spec.description, "abc");
        assert!(!infos[0].spec.parameters.to_string().contains("\\u001b"));
    }

    #[test]
    fn a_schema_without_end_is_left_out() {
        let mut deep = json!({});
        for _ in 0..MAX_SCHEMA_DEPTH {
            deep = json!({ "p": deep });
        }
        let long = json!({"enum": ["x".repeat(MAX_SCHEMA_BYTES)]});
        let tools = [("deep", deep), ("long", long), ("plain", json!({}))]
            .map(|(name, schema)| tool(json!({"name": name, "inputSchema": schema})));
        let names: Vec<_> = tool_infos(&tools, Duration::ZERO).into_iter().map(|info| info.spec.name).collect();
        assert_eq!(names, ["plain"]);
    }
}
