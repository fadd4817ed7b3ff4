use serde_json::json;

use super::*;
use crate::event::{AgentEvent, TextKind};
use crate::testkit::images::PNG_2X3;

fn read(body: &Json) -> Result<VendorRequest, String> {
    parse(body.as_object().unwrap()).map_err(|refused| refused.message)
}

fn ask(content: &Json) -> Json {
    json!({"model": "claude", "messages": [{"role": "user", "content": content}]})
}

#[test]
fn a_tool_loop_is_read_with_its_instructions() {
    let wanted = read(&json!({
        "model": "claude-x",
        "max_tokens": 64,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "stream": true,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [
            {"name": "Read", "description": "reads", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        "messages": [
            {"role": "user", "content": "read a"},
            {"role": "system", "content": "The day is Monday."},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "I read."},
                {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"path": "a"}},
            ]},
            {"role": "user", "content": [
                {
                    "type": "tool_result", "tool_use_id": "toolu_1", "is_error": true,
                    "content": [{"type": "text", "text": "gone"}],
                },
                {"type": "text", "text": "go on"},
            ]},
        ],
    }))
    .unwrap();
    let request = &wanted.one_shot;
    assert_eq!(request.system_prompt.as_deref(), Some("Be brief.\n\nThe day is Monday."));
    assert_eq!((request.prompt.as_deref(), request.model.as_deref()), (Some("go on"), Some("claude-x")));
    assert_eq!((request.sampling.max_output_tokens, request.sampling.effort), (Some(64), Some(Effort::On)));
    let names: Vec<&str> = request.client_tools.iter().flatten().map(|spec| spec.name.as_str()).collect();
    assert_eq!((names, request.left_out.len()), (vec!["Read"], 1));
    assert!(wanted.stream && wanted.sends_thoughts && request.ends_with_client);
    let result = request.history.iter().find_map(|event| match event {
        AgentEvent::ToolCallFinished { call, outcome, output, .. } => Some((call.as_str(), *outcome, &output.text)),
        _ => None,
    });
    assert_eq!(result, Some(("toolu_1", CallOutcome::Failed, &"gone".to_owned())));
    let text = AgentEvent::TextDelta { message: "past.m2".into(), text: "I read.".into(), kind: TextKind::Text };
    assert!(request.history.contains(&text), "{:?}", request.history);
}

#[test]
fn a_model_without_tools_gets_none_of_ours_and_the_agent_does() {
    let tools = |model: &str| {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "a title"}]});
        read(&body).unwrap().one_shot.client_tools
    };
    assert_eq!(tools("claude-haiku"), Some(Vec::new()));
    assert_eq!(tools("jarvis-tui"), None);
}

#[test]
fn images_go_with_the_prompt_also_those_of_a_result() {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(PNG_2X3);
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}});
    let asked = read(&ask(&json!([{"type": "text", "text": "see"}, image]))).unwrap().one_shot;
    assert_eq!((asked.prompt.as_deref(), asked.images.len()), (Some("see"), 1));
    let result = json!({"model": "claude", "messages": [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [image]}]},
    ]});
    let asked = read(&result).unwrap().one_shot;
    assert_eq!(asked.images.len(), 1);
    assert!(asked.prompt.is_some(), "images need a message to go with");
}

#[test]
fn the_choice_of_a_tool_is_kept() {
    let choose = |choice: Json| {
        let mut body = ask(&json!("x"));
        body["tools"] = json!([{"name": "a"}, {"name": "b"}]);
        body["tool_choice"] = choice;
        let request = read(&body)?.one_shot;
        let names = request.client_tools.unwrap_or_default().into_iter().map(|spec| spec.name).collect::<String>();
        Ok::<_, String>((names, request.sampling.tool_choice_required))
    };
    assert_eq!(choose(json!({"type": "auto"})), Ok(("ab".into(), false)));
    assert_eq!(choose(json!({"type": "any"})), Ok(("ab".into(), true)));
    assert_eq!(choose(json!({"type": "none"})), Ok((String::new(), false)));
    assert_eq!(choose(json!({"type": "tool", "name": "b"})), Ok(("b".into(), true)));
    assert_eq!(
        choose(json!({"type": "tool", "name": "c"})).unwrap_err(),
        "tool_choice.name names \"c\", which is not in tools"
    );
}

#[test]
fn what_can_not_be_had_is_named() {
    for (body, why) in [
        (json!({"thread": {"type": "create"}}), "conversations are not kept here; send all messages, without thread"),
        (json!({}), "messages is missing"),
        (json!({"messages": []}), "messages must be an array of at least one message"),
        (
            ask(&json!([{"type": "document"}])),
            "messages[0].content[0]: blocks of type \"document\" are not supported here",
        ),
        (
            ask(&json!([{"type": "image", "source": {"type": "url", "url": "https://h/a.png"}}])),
            "messages[0].content[0]: images at addresses and in files are not fetched; send base64",
        ),
        (
            ask(&json!([{"type": "tool_result", "tool_use_id": "t", "content": "x"}])),
            "messages[0].content[0]: unexpected tool_use_id \"t\": no tool_use of an earlier message has it",
        ),
        (json!({"messages": [{"role": "tool", "content": "x"}]}), "role must be \"user\", \"assistant\" or \"system\""),
        (json!({"messages": [{"role": "user"}]}), "messages[0].content is missing"),
    ] {
        assert_eq!(read(&body).unwrap_err(), why);
    }
}
