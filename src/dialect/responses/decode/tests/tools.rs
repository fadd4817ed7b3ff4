//! Tools that the server runs, and custom ones.

use super::*;
use crate::event::CallOutput;

#[test]
fn what_follows_a_tool_of_the_servers_is_another_message() {
    let search = |status: &str| {
        json!({"type": "web_search_call", "id": "ws_1", "status": status,
        "action": {"type": "search", "query": "oslo", "sources": [{"type": "url", "url": "https://a.no"}, {"type": "url", "url": "https://b.no"}]}})
    };
    let step =
        |step: &str| json!({"type": format!("response.web_search_call.{step}"), "item_id": "ws_1", "output_index": 0});
    let events = decode(&[
        added(0, json!({"type": "web_search_call", "id": "ws_1", "status": "in_progress"})),
        step("in_progress"),
        step("searching"),
        step("completed"),
        done(0, search("completed")),
        delta("output_text", "msg_1", 1, 0, "Rain"),
        completed(json!([search("completed"), message("msg_1", "Rain")])),
    ]);
    assert_eq!(
        lines(&events),
        [
            "+m1",
            "m1 calls ws_1 web_search Server",
            "ws_1 = web_search {\"type\":\"search\",\"query\":\"oslo\"}",
            "ws_1 Ok https://a.no\nhttps://b.no",
            "-m1 ToolCalls ~",
            "+m2",
            "m2: Rain",
            "-m2 End Rain",
            "Completed",
        ]
    );
}

#[test]
fn each_tool_of_the_servers_tells_what_it_did() {
    let cases = [
        (
            json!({"type": "file_search_call", "queries": ["q"], "status": "completed", "results": [{"filename": "a.md", "score": 0.5, "text": "hit"}]}),
            "file_search {\"queries\":[\"q\"]}",
            "Ok a.md (0.50): hit",
        ),
        (
            json!({"type": "code_interpreter_call", "code": "print(1)", "status": "completed", "outputs": [{"type": "logs", "logs": "1\n"}, {"type": "image", "url": "https://i"}]}),
            "code_interpreter {\"code\":\"print(1)\"}",
            "Ok 1\nimage: https://i",
        ),
        (
            json!({"type": "image_generation_call", "status": "completed", "result": "A".repeat(4096), "output_format": "png", "revised_prompt": "a cat"}),
            "image_generation {\"revised_prompt\":\"a cat\",\"output_format\":\"png\"}",
            "Ok png, 3 KB",
        ),
        (
            json!({"type": "mcp_call", "name": "roll", "server_label": "dice", "arguments": "{\"n\":2}", "output": "7", "error": null}),
            "roll {\"n\":2}",
            "Ok 7",
        ),
        (
            json!({"type": "mcp_call", "name": "roll", "arguments": "{}", "output": null, "error": {"type": "mcp_protocol_error", "code": 32, "message": "no dice"}}),
            "roll {}",
            "Failed no dice",
        ),
        (
            json!({"type": "mcp_call", "name": "roll", "arguments": "{}", "output": null, "error": {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "no dice"}]}}),
            "roll {}",
            "Failed no dice",
        ),
        (
            json!({"type": "mcp_list_tools", "server_label": "dice", "tools": [{"name": "roll"}, {"name": "toss"}]}),
            "mcp_list_tools {\"server_label\":\"dice\"}",
            "Ok roll\ntoss",
        ),
        (json!({"type": "x_search_call", "status": "failed", "input": "q"}), "x_search q", "Failed "),
    ];
    for (mut item, ready, finished) in cases {
        item["id"] = "i_1".into();
        let lines = lines(&decode(&[completed(json!([item]))]));
        assert_eq!(lines[2..4], [format!("i_1 = {ready}"), format!("i_1 {finished}")], "{item}");
    }
}

#[test]
fn code_is_told_while_it_is_written() {
    let code = |delta: &str| json!({"type": "response.code_interpreter_call_code.delta", "item_id": "ci_1", "output_index": 0, "delta": delta});
    let item = json!({"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "print(\"a\")\n", "outputs": null});
    let lines = lines(&decode(&[
        added(0, json!({"type": "code_interpreter_call", "id": "ci_1", "status": "in_progress", "code": ""})),
        code("print(\""),
        code("a\")\n"),
        done(0, item),
        completed(json!([])),
    ]));
    let pieces: String = lines.iter().filter_map(|line| line.strip_prefix("ci_1 << ")).collect();
    assert_eq!(pieces, r#"{"code":"print(\"a\")\n"}"#);
    assert!(lines.contains(&format!("ci_1 = code_interpreter {pieces}")), "{lines:?}");
}

#[test]
fn a_shell_tells_its_output_as_it_comes() {
    let shell = json!({"type": "shell_call", "id": "sh_1", "call_id": "call_1", "status": "completed", "action": {"commands": ["ls"]}});
    let output = |status: &str, list: Json| json!({"type": "shell_call_output", "id": "so_1", "call_id": "call_1", "status": status, "output": list});
    let events = [
        added(0, json!({"type": "shell_call", "id": "sh_1", "call_id": "call_1", "action": {"commands": []}})),
        json!({"type": "response.shell_call_command.delta", "output_index": 0, "command_index": 0, "delta": "ls"}),
        done(0, shell.clone()),
        added(1, output("in_progress", json!([]))),
        json!({"type": "response.shell_call_output_content.delta", "item_id": "so_1", "output_index": 1, "command_index": 0, "delta": {"stdout": "a\n", "stderr": "oh\n"}}),
        done(
            1,
            output(
                "completed",
                json!([{"stdout": "a\n", "stderr": "oh\n", "outcome": {"type": "exit", "exit_code": 2}}]),
            ),
        ),
        completed(json!([])),
    ];
    let events = lines(&decode(&events));
    assert_eq!(
        events[1..7],
        [
            "m1 calls call_1 shell Server",
            "call_1 = shell {\"commands\":[\"ls\"]}",
            "call_1 > a\n",
            "call_1 2> oh\n",
            "call_1 Failed a\noh\nexit code 2\n",
            "-m1 End ~",
        ]
    );
    // A shell on the client's side is the client's to run.
    let lines = lines(&decode(&[done(0, shell), completed(json!([]))]));
    assert!(lines.contains(&"call_1 Requested ".to_owned()), "{lines:?}");
}

#[test]
fn a_custom_tool_gets_its_text_as_json_and_goes_back_as_what_it_was() {
    let item =
        json!({"type": "custom_tool_call", "id": "ct_1", "call_id": "call_1", "name": "sql", "input": "select \"a\""});
    let lines = lines(&decode(&[
        added(0, json!({"type": "custom_tool_call", "id": "ct_1", "call_id": "call_1", "name": "sql", "input": ""})),
        json!({"type": "response.custom_tool_call_input.delta", "item_id": "ct_1", "output_index": 0, "delta": "select "}),
        json!({"type": "response.custom_tool_call_input.done", "item_id": "ct_1", "output_index": 0, "input": "select \"a\""}),
        done(0, item),
        completed(json!([])),
    ]));
    assert_eq!(
        lines[1..5],
        [
            "m1 calls call_1 sql Client",
            r#"call_1 << {"input":"select "#,
            r#"call_1 << \"a\""}"#,
            r#"call_1 = sql {"input":"select \"a\""} {"custom":true}"#,
        ]
    );
}

#[test]
fn a_search_for_tools_and_a_program_are_calls_with_results() {
    let search = json!({"type": "tool_search_call", "id": "ts_1", "execution": "server", "status": "completed",
        "arguments": {"query": "weather"}});
    let found = json!({"type": "tool_search_output", "id": "to_1", "execution": "server", "status": "completed",
        "tools": [{"type": "function", "name": "get_weather"}, {"type": "mcp", "server_label": "maps"}]});
    let program = json!({"type": "program", "id": "p_1", "call_id": "call_p", "code": "1+1", "fingerprint": "f"});
    let result = json!({"type": "program_output", "id": "po_1", "call_id": "call_p", "result": "2",
        "status": "completed"});
    let events = decode(&[
        done(0, search),
        done(1, found),
        done(2, program),
        done(3, result),
        delta("output_text", "msg_1", 4, 0, "Two."),
        completed(json!([message("msg_1", "Two.")])),
    ]);
    let told = lines(&events);
    for line in [
        "ts_1 = tool_search {\"query\":\"weather\"}",
        "ts_1 Ok get_weather\nmaps",
        "call_p = program {\"code\":\"1+1\"}",
        "call_p Ok 2",
    ] {
        assert!(told.iter().any(|known| known == line), "{line}: {told:?}");
    }
}

#[test]
fn what_the_server_did_to_the_conversation_is_a_notice() {
    let compaction = json!({"type": "compaction", "id": "c", "encrypted_content": "e"});
    let events = decode(&[
        done(0, compaction.clone()),
        done(
            1,
            json!({"type": "additional_tools", "id": "a", "role": "developer", "tools": [
            {"type": "function", "name": "clock"}]}),
        ),
        done(2, json!({"type": "mcp_approval_response", "id": "r", "approval_request_id": "q", "approve": true})),
        delta("output_text", "msg_1", 3, 0, "Hi"),
        completed(json!([compaction, message("msg_1", "Hi")])),
    ]);
    let notices = events.iter().filter_map(|event| match event {
        ReplyEvent::Notice { code, .. } => Some(code.clone()),
        _ => None,
    });
    assert_eq!(notices.collect::<Vec<_>>(), [NoticeCode::Compacting, NoticeCode::Tools]);
}

#[test]
fn an_mcp_call_that_needs_approval_is_asked_and_goes_on_in_the_next_answer() {
    let request = json!({"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "dice", "name": "roll",
        "arguments": "{\"n\":2}"});
    let events = decode(&[added(0, request.clone()), done(0, request.clone()), completed(json!([request]))]);
    let asked: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::Annotation {
                on: ReplyTarget::Call(call),
                annotation: Annotation::NeedsApproval { request, reason },
            } => Some((call.as_str(), request, reason.as_deref())),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [("mcpr_1", &request, Some(r#"dice: roll {"n":2}"#))]);
    assert!(!events.iter().any(|event| matches!(event, ReplyEvent::ToolCallFinished { .. })), "{events:?}");
    let call = json!({"type": "mcp_call", "id": "mcp_1", "approval_request_id": "mcpr_1", "server_label": "dice",
        "name": "roll", "arguments": "{\"n\":2}", "output": "7", "error": null, "status": "completed"});
    let answer = [added(0, call.clone()), done(0, call.clone()), delta("output_text", "msg_1", 1, 0, "Seven")];
    let read = |known: &[OpenCall]| {
        let mut decoder = ResponsesDecoder::new().with_open_calls(known);
        let mut out = Vec::new();
        for event in &answer {
            decoder.decode_frame(&SseFrame::data(event.to_string()), &mut out);
        }
        out
    };
    let finished = ReplyEvent::ToolCallFinished {
        call: "mcpr_1".into(),
        outcome: CallOutcome::Ok,
        output: CallOutput::from_text("7"),
        duration: None,
    };
    let approved = [OpenCall { wire_id: "mcpr_1".into(), name: "roll".into() }];
    assert_eq!(read(&approved)[0], finished, "no message stands for a call that was told");
    assert!(matches!(read(&[])[0], ReplyEvent::MessageStarted { .. }));
}
