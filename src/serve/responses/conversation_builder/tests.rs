use serde_json::json;

use super::*;
use crate::event::{NoticeCode, grammar};

fn talked(input: &Json) -> Result<BuiltConversation, ApiError> {
    let mut builder = ConversationBuilder::default();
    builder.add_input(input, "input")?;
    builder.build("input")
}

/// Summarizes events, one line each, for comparison.
fn summaries(events: &[AgentEvent]) -> Vec<String> {
    let line = |event: &AgentEvent| match event {
        AgentEvent::UserMessage { text, .. } => Some(format!("user: {text}")),
        AgentEvent::TextDelta { text, .. } => Some(format!("assistant: {text}")),
        AgentEvent::ToolCallReady { call, name, args, .. } => Some(format!("{call} = {name} {args}")),
        AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
            Some(format!("{call} {outcome:?} {}", output.text))
        }
        _ => None,
    };
    events.iter().filter_map(line).collect()
}

fn call(id: &str) -> Json {
    json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": id, "name": "sum", "arguments": "{}"})
}

fn output(id: &str, text: &str) -> Json {
    json!({"type": "function_call_output", "call_id": id, "output": text})
}

#[test]
fn items_are_what_was_said_before_and_the_prompt() {
    let input = json!([
        {"role": "developer", "content": "be brief"},
        {"role": "user", "content": [{"type": "input_text", "text": "add"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "role": "assistant", "id": "msg_1", "content": [{"type": "output_text", "text": "so"}]},
        call("a"), call("b"),
        output("b", "2"), output("a", "1"),
        {"role": "assistant", "content": "3"},
        {"role": "user", "content": "and"},
        {"role": "user", "content": "now?"},
    ]);
    let talked = talked(&input).unwrap();
    assert_eq!(talked.system_prompt.as_deref(), Some("be brief"));
    assert_eq!(talked.prompt.as_deref(), Some("and\n\nnow?"));
    let expected = ["user: add", "assistant: so", "a = sum {}", "b = sum {}", "b Ok 2", "a Ok 1", "assistant: 3"];
    assert_eq!(summaries(&talked.history), expected);
}

#[test]
fn results_come_last_where_the_model_goes_on() {
    let talked = talked(&json!([{"role": "user", "content": "add"}, call("a"), output("a", "1")])).unwrap();
    assert_eq!(talked.prompt, None);
    assert_eq!(summaries(&talked.history), ["user: add", "a = sum {}", "a Ok 1"]);
}

#[test]
fn our_own_tools_come_back_with_their_results() {
    let ran = json!({"type": "mcp_call", "id": "mcp_1", "server_label": "jarvis-tui", "name": "clock", "arguments": "{}",
        "output": "noon", "error": null});
    let failed = json!({"type": "mcp_call", "id": "mcp_2", "name": "clock", "arguments": "{}", "error": "no"});
    let told_in_content = json!({"type": "mcp_call", "id": "mcp_3", "name": "clock", "arguments": "{}",
        "error": {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "late"}]}});
    let input = json!([{"role": "user", "content": "when?"}, ran, failed, told_in_content,
        {"role": "assistant", "content": "noon"},
        {"role": "user", "content": "thanks"}]);
    let expected = [
        "user: when?",
        "mcp_1 = clock {}",
        "mcp_2 = clock {}",
        "mcp_3 = clock {}",
        "mcp_1 Ok noon",
        "mcp_2 Failed no",
        "mcp_3 Failed late",
        "assistant: noon",
    ];
    assert_eq!(summaries(&talked(&input).unwrap().history), expected);
}

#[test]
fn an_answer_taken_over_gets_the_results_of_its_calls() {
    let mut before = ConversationBuilder::default();
    before.add_input(&json!([{"role": "user", "content": "add"}, call("a")]), "input").unwrap();
    let before = before.build("input").unwrap().history;
    let mut builder = ConversationBuilder::default();
    builder.replay(&before, false);
    let mark = builder.flush_and_count();
    // Some clients send the call again although they reference the response that made it.
    builder.add_input(&json!([call("a"), output("a", "1")]), "input").unwrap();
    let talked = builder.build("input").unwrap();
    assert_eq!(summaries(&talked.history), ["user: add", "a = sum {}", "a Ok 1"]);
    assert_eq!(summaries(&talked.history[mark..]), ["a Ok 1"]);
}

#[test]
fn what_can_not_be_taken_is_refused_by_name() {
    let param = |input: Json| talked(&input).unwrap_err().param.unwrap();
    assert_eq!(param(json!([output("x", "1")])), "input[0].call_id");
    assert_eq!(param(json!([{"role": "user", "content": [{"type": "input_image"}]}])), "input[0].content[0]");
    assert_eq!(param(json!([{"type": "item_reference", "id": "msg_1"}])), "input[0]");
    assert_eq!(param(json!([{"type": "computer_call"}])), "input[0].type");
    assert_eq!(param(json!([{"type": "function_call", "call_id": "a"}])), "input[0].name");
    assert_eq!(param(json!([1])), "input[0]");
    assert_eq!(param(json!(1)), "input");
    assert_eq!(param(json!([])), "input");
}

#[test]
fn whatever_repeats_or_lacks_its_place_is_grammatical() {
    let input = json!([call("a"), call("a"), output("a", "1"), {"role": "assistant", "content": "x"}, call(""), {"role": "user", "content": ""},
        {"role": "user", "content": "go"}, call("a"), {"role": "user", "content": "on"}]);
    let mut events = vec![AgentEvent::Notice {
        level: crate::event::NoticeLevel::Info,
        code: NoticeCode::Other("x".into()),
        text: String::new(),
    }];
    events.extend(talked(&input).unwrap().history);
    let violations = grammar::check(&events);
    assert!(violations.len() == 1 && violations[0].message.contains("open the session"), "{violations:?}");
}

#[test]
fn images_of_the_user_go_with_their_prompt_and_come_back_with_an_earlier_answer() {
    let image = PromptImage::new(crate::testkit::images::PNG_2X3).unwrap();
    let part = json!({"type": "input_image", "image_url": image.data_url(), "detail": "auto"});
    let input = json!([{"role": "user", "content": [{"type": "input_text", "text": "this?"}, part]}]);
    let built = talked(&input).unwrap();
    let expected = vec![PromptContext::from_image("image 1".into(), image)];
    assert_eq!((built.prompt.as_deref(), &built.images), (Some("this?"), &expected));
    let answered = json!([input[0], {"role": "assistant", "content": "a cat"}, {"role": "user", "content": "sure?"}]);
    let past = talked(&answered).unwrap().history;
    let mut builder = ConversationBuilder::default();
    builder.replay(&past, false);
    builder.add_input(&json!("sure?"), "input").unwrap();
    let again = builder.build("input").unwrap().history;
    let images = |events: &[AgentEvent]| {
        let parts = events.iter().filter_map(|event| match event {
            AgentEvent::Annotation { annotation: crate::event::Annotation::PromptContext(parts), .. } => {
                Some(parts.clone())
            }
            _ => None,
        });
        parts.flatten().collect::<Vec<_>>()
    };
    assert_eq!((images(&past), images(&again)), (expected.clone(), expected));
}
