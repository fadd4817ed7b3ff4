use serde_json::json;

use super::*;
use crate::dialect::Decode as _;
use crate::event::Annotation;
use crate::event::{Risk, ToolKind};

fn updates(decoder: &mut AcpDecoder, updates: &[Json]) -> Vec<ReplyEvent> {
    let mut out = Vec::new();
    for update in updates {
        decoder.handle_update(update, &mut out);
    }
    out
}

fn chunk(kind: &str, text: &str) -> Json {
    json!({"sessionUpdate": kind, "content": {"type": "text", "text": text}})
}

fn asked(call: &Json) -> Option<PermissionRequest> {
    let options = json!([
        {"optionId": "a", "name": "Yes", "kind": "allow_once"},
        {"optionId": "b", "name": "Yes, here", "kind": "allow_once"},
        {"optionId": "c", "name": "", "kind": "reject_once"},
        {"optionId": "d", "name": "Odd", "kind": "ask_later"},
    ]);
    let params = json!({"sessionId": "s", "toolCall": call, "options": options});
    AcpDecoder::default().handle_permission_request(&params, &mut Vec::new())
}

#[test]
fn why_the_agent_stopped_is_told_honestly() {
    let outcome = |answer: Json| {
        let (mut decoder, mut out) = (AcpDecoder::default(), Vec::new());
        decoder.handle_answer(answer.get("result").ok_or(&answer["error"]), &mut out);
        decoder.finish(&mut out);
        let reason = out.iter().find_map(|event| match event {
            ReplyEvent::MessageFinished { finish_reason, .. } => Some(*finish_reason),
            _ => None,
        });
        match out.pop() {
            Some(ReplyEvent::End { outcome }) => (outcome, reason),
            other => panic!("{other:?}"),
        }
    };
    let stopped = |reason: &str| outcome(json!({"result": {"stopReason": reason}}));
    assert_eq!(stopped("end_turn"), (TurnOutcome::Completed, None));
    assert_eq!(stopped("cancelled"), (TurnOutcome::Cancelled, None));
    assert_eq!(stopped("max_tokens"), (TurnOutcome::Completed, Some(FinishReason::Length)));
    assert_eq!(stopped("refusal"), (TurnOutcome::Completed, Some(FinishReason::Refused)));
    assert!(
        matches!(stopped("max_turn_requests").0, TurnOutcome::Failed(fault) if fault.kind == FaultKind::LimitReached)
    );
    let failed = outcome(json!({"error": {"code": -32000, "message": "Authentication required"}})).0;
    assert!(matches!(&failed, TurnOutcome::Failed(fault) if fault.kind == FaultKind::Auth), "{failed:?}");
    let failed =
        outcome(json!({"error": {"code": -32603, "message": "Internal error", "data": {"details": "no model"}}}));
    assert!(matches!(&failed.0, TurnOutcome::Failed(fault) if fault.message.contains("no model")), "{failed:?}");
}

#[test]
fn a_permission_request_says_what_a_person_needs() {
    let command =
        asked(&json!({"toolCallId": "x", "title": "ls -l", "kind": "execute", "rawInput": {"command": "ls -l"}}));
    let PermissionRequest { request, .. } = command.unwrap();
    assert_eq!((request.kind, request.risk, request.subject.as_str()), (ToolKind::Execute, Risk::Execute, "ls -l"));
    assert_eq!(request.detail, "", "the subject says it all");
    let labels: Vec<&str> = request.answers.iter().map(|answer| answer.label.as_str()).collect();
    assert_eq!(labels, ["Yes", "Yes, here", "c"]);
    let edit = asked(&json!({
        "toolCallId": "x", "title": "Writing to n.txt", "kind": "edit", "locations": [{"path": "/p/n.txt"}],
        "content": [{"type": "diff", "path": "/p/n.txt", "oldText": "a\n", "newText": "b\n"}],
    }));
    let edit = edit.unwrap();
    assert_eq!((edit.request.risk, edit.request.subject.as_str()), (Risk::Write, "/p/n.txt"));
    assert!(edit.request.detail.contains("-a\n+b\n"), "{}", edit.request.detail);
    assert_eq!(edit.paths, ["/p/n.txt", "/p/n.txt"]);
    let unknown = asked(&json!({"toolCallId": "x", "title": "Do it", "kind": "newer"})).unwrap();
    assert_eq!((unknown.request.risk, unknown.request.subject.as_str()), (Risk::Execute, "Do it"));
    assert_eq!((asked(&json!({"title": "no id"})), asked(&json!(7))), (None, None));
}

#[test]
fn the_arguments_of_a_call_are_those_it_runs_with() {
    let call = |more: Json| {
        let mut update = json!({"sessionUpdate": "tool_call_update", "toolCallId": "x"});
        update.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        update
    };
    let events = updates(
        &mut AcpDecoder::default(),
        &[
            call(
                json!({"sessionUpdate": "tool_call", "title": "bash", "status": "pending", "rawInput": {"cwd": "/p"}}),
            ),
            call(json!({"status": "in_progress", "title": "ls", "rawInput": {"cwd": "/p", "command": "ls"}})),
            call(json!({"status": "completed", "rawOutput": {"output": "a\n", "metadata": {"exit": 2}}})),
        ],
    );
    let ready = events.iter().find_map(|event| match event {
        ReplyEvent::ToolCallReady { name, args, .. } => Some((name.as_str(), args.as_str())),
        _ => None,
    });
    assert_eq!(ready, Some(("bash", r#"{"cwd":"/p","command":"ls"}"#)));
    let Some(ReplyEvent::ToolCallFinished { outcome, output, .. }) = events.last() else { panic!("{events:?}") };
    assert_eq!((*outcome, output.text.as_str()), (CallOutcome::Failed, "a\n"));
}

#[test]
fn a_call_that_was_denied_and_never_heard_of_again_is_denied() {
    let mut decoder = AcpDecoder::default();
    updates(
        &mut decoder,
        &[json!({"sessionUpdate": "tool_call", "toolCallId": "x", "title": "w", "status": "pending"})],
    );
    decoder.reject(&"x".into());
    let mut out = Vec::new();
    decoder.handle_answer(Ok(&json!({"stopReason": "end_turn"})), &mut out);
    decoder.finish(&mut out);
    assert!(
        out.iter().any(|event| matches!(event, ReplyEvent::ToolCallFinished { outcome: CallOutcome::Denied, .. })),
        "{out:?}"
    );
}

#[test]
fn pieces_without_an_id_of_their_message_are_parted_by_calls() {
    let call = json!({"sessionUpdate": "tool_call", "toolCallId": "x", "title": "read", "status": "completed"});
    let text = |text: &str| chunk("agent_message_chunk", text);
    let events = updates(
        &mut AcpDecoder::default(),
        &[chunk("agent_thought_chunk", "hm"), text("a"), text("b"), call, text("c")],
    );
    let started = events.iter().filter(|event| matches!(event, ReplyEvent::MessageStarted { .. })).count();
    assert_eq!(started, 2, "{events:?}");
}

#[test]
fn the_cost_of_a_turn_is_what_the_session_cost_more() {
    let spent = |decoder: &mut AcpDecoder, total: f64| {
        let cost = json!({"amount": total, "currency": "USD"});
        decoder.handle_update(
            &json!({"sessionUpdate": "usage_update", "used": 1, "size": 2, "cost": cost}),
            &mut Vec::new(),
        );
        let mut out = Vec::new();
        decoder.finish(&mut out);
        out.iter().find_map(|event| match event {
            ReplyEvent::Annotation { annotation: Annotation::Cost { usd }, .. } => Some(*usd),
            _ => None,
        })
    };
    let mut decoder = AcpDecoder::default();
    assert_eq!(spent(&mut decoder, 0.5), Some(0.5));
    let mut next = decoder.next_turn();
    assert_eq!(spent(&mut next, 0.75), Some(0.25));
    assert_eq!(spent(&mut next.next_turn(), 0.75), None);
}

#[test]
fn cached_tokens_beside_the_input_are_told_by_the_total() {
    let usage = |input: u64, cached: u64, total: u64| {
        let counts = json!({"inputTokens": input, "outputTokens": 5, "cachedReadTokens": cached, "totalTokens": total});
        parse_usage(&counts).map(|usage| (usage.input_tokens, usage.cached_tokens))
    };
    assert_eq!(usage(100, 40, 105), Some((100, 40)));
    assert_eq!(usage(100, 40, 145), Some((140, 40)));
    assert_eq!(parse_usage(&json!({"inputTokens": 0})), None);
}

#[test]
fn usage_that_only_extensions_tell_is_read() {
    let usage = |updates: &[Json], result: Json| {
        let (mut decoder, mut out) = (AcpDecoder::default(), Vec::new());
        for update in updates {
            decoder.handle_update(update, &mut out);
        }
        decoder.handle_answer(Ok(&result), &mut out);
        decoder.finish(&mut out);
        out.iter().find_map(|event| match event {
            ReplyEvent::UsageReported { usage, .. } => {
                Some((usage.input_tokens, usage.output_tokens, usage.cached_tokens))
            }
            _ => None,
        })
    };
    let end = json!({"stopReason": "end_turn"});
    let request = json!({
        "sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": ""},
        "_meta": {"usage": {"inputTokens": 282, "outputTokens": 21, "totalTokens": 303, "cachedReadTokens": 29}},
    });
    assert_eq!(usage(&[request.clone(), request], end.clone()), Some((564, 42, 58)));
    let quota = json!({"token_count": {"input_tokens": 618, "output_tokens": 64}});
    assert_eq!(usage(&[], json!({"stopReason": "end_turn", "_meta": {"quota": quota}})), Some((618, 64, 0)));
    assert_eq!(usage(&[], end), None);
}

#[test]
fn what_a_command_prints_may_be_told_piece_by_piece_beside_the_content() {
    let mut decoder = AcpDecoder::default();
    let update = |status: &str, meta: Json| {
        json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "name": "exec_command", "title": "Run it",
            "status": status, "rawOutput": {"exit_code": 0}, "_meta": meta})
    };
    let out = updates(
        &mut decoder,
        &[
            update("in_progress", json!({"terminal_output_delta": {"data": "one\n"}})),
            update("completed", json!({"terminal_output_delta": {"data": "two\n"}})),
        ],
    );
    let told: Vec<String> = out
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::ToolCallStarted { name, .. } => name.clone(),
            ReplyEvent::ToolOutput { text, .. } => Some(text.clone()),
            ReplyEvent::ToolCallFinished { output, .. } => Some(format!("= {}", output.text)),
            _ => None,
        })
        .collect();
    assert_eq!(told, ["exec_command", "one\n", "two\n", "= one\ntwo\n"]);
}

#[test]
fn a_remark_of_the_adapter_is_no_answer() {
    let mut remark = chunk("agent_message_chunk", "the gateway is old");
    remark["_meta"] = json!({"claudeCode": {"kind": "informational", "level": "warning"}});
    let out = updates(&mut AcpDecoder::default(), &[remark]);
    assert!(
        matches!(&out[..], [ReplyEvent::Notice { level: NoticeLevel::Warn, text, .. }] if text == "the gateway is old"),
        "{out:?}"
    );
}

#[test]
fn a_shell_that_tells_its_exit_among_its_contents_has_failed() {
    let call = json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "title": "bash", "status": "completed",
        "content": [{"type": "content", "content": {"type": "text", "text": "no"}}],
        "rawOutput": {"contents": [{"type": "shell_exit", "exitCode": 3}]}});
    let out = updates(&mut AcpDecoder::default(), &[call]);
    let failed = |event: &ReplyEvent| matches!(event, ReplyEvent::ToolCallFinished { outcome: CallOutcome::Failed, output, .. } if output.text == "no");
    assert!(out.iter().any(failed), "{out:?}");
}
