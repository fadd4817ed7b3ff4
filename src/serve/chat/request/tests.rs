use serde_json::json;

use super::*;
use crate::event::{AgentEvent, SamplingParams};

fn clients(_: bool) -> ToolOwner {
    ToolOwner::Client
}

fn read_json(body: &Json) -> Result<ChatRequest, ApiError> {
    parse(body.to_string().as_bytes(), clients)
}

fn asked(body: &Json) -> ChatRequest {
    read_json(body).unwrap_or_else(|refused| panic!("{refused:?}"))
}

/// Summarizes the conversation of a request.
fn past(wanted: &ChatRequest) -> Vec<String> {
    let short = |event: &AgentEvent| {
        Some(match event {
            AgentEvent::UserMessage { text, .. } => format!("user {text}"),
            AgentEvent::TextDelta { text, .. } => format!("says {text}"),
            AgentEvent::ToolCallReady { call, name, args, .. } => format!("calls {call} {name} {args}"),
            AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
                format!("{} {call} {}", outcome.name(), output.text)
            }
            AgentEvent::TurnFinished { .. } => "over".into(),
            _ => return None,
        })
    };
    wanted.one_shot.history.iter().filter_map(short).collect()
}

#[test]
fn a_conversation_becomes_facts_and_a_prompt() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}});
    let wanted = asked(&json!({
        "model": " openai/m ",
        "max_tokens": 70_000_000_000_u64,
        "stream": true,
        "stream_options": {"include_usage": true},
        "temperature": 0.5,
        "top_p": 1,
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "developer", "content": [{"type": "text", "text": "and "}, {"type": "text", "text": "kind"}]},
            {"role": "user", "content": "add"},
            {"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "tool_call_id": "b", "content": "2"},
            {"role": "tool", "content": "1"},
            {"role": "assistant", "content": "done"},
            {"role": "critic", "content": "well?"},
        ],
    }));
    assert_eq!(
        past(&wanted),
        ["user add", "calls a add {\"a\":1}", "calls b add {\"a\":1}", "ok b 2", "ok a 1", "says done", "over"]
    );
    let ChatRequest {
        one_shot: request,
        stream,
        include_usage,
        has_tools,
        message_count: messages,
        prompt_tokens: tokens,
    } = wanted;
    assert_eq!(request.prompt.as_deref(), Some("well?"));
    assert_eq!(request.system_prompt.as_deref(), Some("be brief\n\nand kind"));
    assert_eq!((request.model.as_deref(), request.client_tools), (Some("openai/m"), None));
    let tuning = SamplingParams {
        max_output_tokens: Some(u32::MAX),
        temperature: Some(0.5),
        top_p: Some(1.0),
        effort: None,
        tool_choice_required: false,
    };
    assert_eq!(request.sampling, tuning);
    assert!(stream && include_usage && !has_tools);
    assert_eq!((messages, tokens), (7, 2 + 2 + 1 + (1 + 1 + 1) + 1 + 1 + 1 + 1));
}

#[test]
fn results_of_the_clients_tools_are_answered_without_a_prompt() {
    let wanted = asked(&json!({"messages": [
        {"role": "user", "content": "add"},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "add", "arguments": {"n": 1}}}]},
        {"role": "tool", "tool_call_id": "a", "content": "2"},
    ]}));
    assert_eq!(wanted.one_shot.prompt, None);
    assert_eq!(past(&wanted), ["user add", "calls a add {\"n\":1}", "ok a 2", "over"]);
}

#[test]
fn an_id_that_two_answers_gave_their_calls_is_two_calls() {
    let round = |n: u32| {
        [
            json!({"role": "user", "content": format!("q{n}")}),
            json!({"role": "assistant", "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": ""}}]}),
            json!({"role": "tool", "tool_call_id": "call_1", "content": format!("r{n}")}),
        ]
    };
    let messages = [round(1), round(2)].concat();
    let wanted = asked(&json!({"messages": messages}));
    let results: Vec<String> = past(&wanted).into_iter().filter(|line| line.starts_with("ok")).collect();
    assert_eq!(results, ["ok call_1 r1", "ok call_1_2 r2"]);
}

#[test]
fn nothing_but_instructions_is_what_is_asked() {
    let wanted = asked(&json!({"messages": [{"role": "system", "content": "hi"}]}));
    assert_eq!((wanted.one_shot.prompt.as_deref(), wanted.one_shot.system_prompt), (Some("hi"), None));
}

#[test]
fn tools_are_the_clients_unless_they_are_only_a_switch() {
    let body = |choice: Json| {
        let tool =
            |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}});
        json!({"messages": [{"content": "x"}], "tools": [tool("one"), tool("two")], "tool_choice": choice})
    };
    let names = |choice: Json| -> Vec<String> {
        asked(&body(choice)).one_shot.client_tools.unwrap().into_iter().map(|spec| spec.name).collect()
    };
    assert_eq!(names(json!("auto")), ["one", "two"]);
    assert_eq!(names(json!("required")), ["one", "two"]);
    assert_eq!(names(json!({"type": "function", "function": {"name": "two"}})), ["two"]);
    assert!(names(json!("none")).is_empty());
    assert!(
        asked(&body(json!("required"))).one_shot.sampling.tool_choice_required
            && !asked(&body(json!("auto"))).one_shot.sampling.tool_choice_required
    );
    // If they only act as a switch, tools may have any form.
    let body = json!({"messages": [{"content": "x"}], "tools": [17]}).to_string();
    let wanted =
        parse(body.as_bytes(), |has_tools| if has_tools { ToolOwner::Server } else { ToolOwner::Client }).unwrap();
    assert!(wanted.has_tools && wanted.one_shot.client_tools.is_none());
    let none = asked(&json!({"messages": [{"content": "x"}], "tools": []}));
    assert_eq!(none.one_shot.client_tools, Some(Vec::new()), "an empty list is one, so that ours don't run");
}

#[test]
fn what_is_wrong_is_named() {
    let wrong = |field: &str, value: Json| {
        let mut body = json!({"messages": [{"role": "user", "content": "x"}]});
        body[field] = value;
        let refused = read_json(&body).expect_err(field);
        assert_eq!(refused.status, 400, "{refused:?}");
        refused.param.unwrap_or_default()
    };
    let message = |message: Json| wrong("messages", json!([message]));
    assert_eq!(wrong("messages", json!("x")), "messages");
    assert_eq!(wrong("messages", json!([])), "messages");
    assert_eq!(wrong("messages", json!(["x"])), "messages[0]");
    assert_eq!(wrong("model", json!(4)), "model");
    assert_eq!(wrong("stream", json!("yes")), "stream");
    assert_eq!(wrong("stream_options", json!(true)), "stream_options");
    assert_eq!(wrong("stream_options", json!({"include_usage": 1})), "stream_options.include_usage");
    assert_eq!(wrong("max_tokens", json!(-1)), "max_tokens");
    assert_eq!(wrong("max_completion_tokens", json!("5")), "max_completion_tokens");
    assert_eq!(wrong("temperature", json!("hot")), "temperature");
    assert_eq!(wrong("top_p", json!(1.5)), "top_p");
    assert_eq!(wrong("n", json!(2)), "n");
    assert_eq!(wrong("response_format", json!({"type": "grammar"})), "response_format");
    assert_eq!(wrong("tools", json!({})), "tools");
    assert_eq!(wrong("tools", json!([{"type": "function"}])), "tools[0].function");
    assert_eq!(wrong("tools", json!([{"function": {"name": ""}}])), "tools[0].function.name");
    assert_eq!(message(json!({"role": 1})), "messages[0].role");
    assert_eq!(message(json!({"content": 1})), "messages[0].content");
    assert_eq!(message(json!({"content": [1]})), "messages[0].content[0]");
    assert_eq!(message(json!({"content": [{"type": "text"}]})), "messages[0].content[0].text");
    assert_eq!(message(json!({"content": [{"type": "image_url", "image_url": {}}]})), "messages[0].content[0]");
    assert_eq!(message(json!({"role": "tool", "tool_call_id": "z"})), "messages[0].tool_call_id");
    assert_eq!(message(json!({"role": "tool", "content": "stray"})), "messages[0].tool_call_id");
    assert_eq!(
        message(json!({"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]})),
        "messages[0].tool_calls[0].function.name"
    );
    for body in ["", "[]", "{", "{\"messages\":[{\"content\":\"\\ud800\"}]}", "\u{0}"] {
        assert_eq!(parse(body.as_bytes(), clients).expect_err(body).status, 400);
    }
    assert_eq!(parse(b"{}", clients).unwrap_err().param.as_deref(), Some("messages"));
}

#[test]
fn images_of_the_user_go_with_their_prompts_and_others_are_refused() {
    let image = PromptImage::new(crate::testkit::images::PNG_2X3).unwrap();
    let part = json!({"type": "image_url", "image_url": {"url": image.data_url()}});
    let said = |text: &str| json!({"role": "user", "content": [{"type": "text", "text": text}, part]});
    let body = json!({"messages": [said("this"), {"role": "assistant", "content": "a cat"}, said("and this?")]});
    let request = parse(body.to_string().as_bytes(), |_| ToolOwner::Server).unwrap().one_shot;
    let expected = vec![PromptContext::from_image("image 1".into(), image)];
    assert_eq!((request.prompt.as_deref(), &request.images), (Some("and this?"), &expected));
    let past = request.history.iter().filter_map(|event| match event {
        AgentEvent::Annotation { annotation: crate::event::Annotation::PromptContext(parts), .. } => Some(parts),
        _ => None,
    });
    assert_eq!(past.collect::<Vec<_>>(), [&expected]);
    let body = json!({"messages": [{"role": "assistant", "content": [part]}]});
    let refused = parse(body.to_string().as_bytes(), |_| ToolOwner::Server).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("messages[0].content[0]"));
}
