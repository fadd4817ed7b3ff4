use serde_json::json;

use super::*;
use crate::dialect::Decode;
use crate::event::AnswerKind;

fn act(decoder: &mut AhpDecoder, action: &Json) -> (Vec<ReplyEvent>, Option<PermissionRequest>) {
    let mut out = Vec::new();
    let asked = decoder.handle_action(action, &mut out);
    (out, asked)
}

fn texts(events: &[ReplyEvent]) -> (String, String) {
    let mut told = (String::new(), String::new());
    for event in events {
        match event {
            ReplyEvent::TextDelta { text, .. } => told.0.push_str(text),
            ReplyEvent::ReasoningDelta { text, .. } => told.1.push_str(text),
            _ => {}
        }
    }
    told
}

fn finished(events: &[ReplyEvent]) -> Vec<(CallOutcome, String)> {
    let ends = events.iter().filter_map(|event| match event {
        ReplyEvent::ToolCallFinished { outcome, output, .. } => Some((*outcome, output.text.clone())),
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_part_is_of_the_kind_it_was_made_as_and_may_begin_with_text() {
    let mut decoder = AhpDecoder::default();
    let part = |kind: &str, id: &str, content: &str| json!({"type": "chat/responsePart", "part": {"kind": kind, "id": id, "content": content}});
    let mut all = Vec::new();
    for action in [
        part("reasoning", "r", ""),
        json!({"type": "chat/reasoning", "partId": "r", "content": "Hm."}),
        part("markdown", "p", "Hel"),
        json!({"type": "chat/delta", "partId": "p", "content": "lo"}),
        json!({"type": "chat/activityChanged", "activity": "thinking"}),
    ] {
        all.extend(act(&mut decoder, &action).0);
    }
    assert_eq!(texts(&all), ("Hello".to_owned(), "Hm.".to_owned()));
}

#[test]
fn a_call_that_is_ready_and_not_confirmed_is_asked_about_with_the_hosts_answers() {
    let mut decoder = AhpDecoder::default();
    act(&mut decoder, &json!({"type": "chat/toolCallStart", "toolCallId": "c", "toolName": "bash"}));
    let options = json!([
        {"id": "once", "label": "Allow", "kind": "approve"},
        {"id": "always", "label": "Allow always", "kind": "approve"},
        {"id": "no", "label": "Deny", "kind": "deny"},
    ]);
    let ready = json!({
        "type": "chat/toolCallReady", "toolCallId": "c", "toolInput": "{\"command\":\"date\"}",
        "invocationMessage": {"markdown": "Run it"}, "options": options,
    });
    let asked = act(&mut decoder, &ready).1.unwrap().request;
    assert_eq!(
        (asked.tool.as_str(), asked.kind, asked.subject.as_str()),
        ("bash", crate::event::ToolKind::Execute, "date")
    );
    let kinds: Vec<AnswerKind> = asked.answers.iter().map(|answer| answer.kind).collect();
    assert_eq!(kinds, [AnswerKind::AllowOnce, AnswerKind::AllowAlways, AnswerKind::RejectOnce]);
    let mut confirmed = ready;
    confirmed["confirmed"] = "not-needed".into();
    assert!(act(&mut decoder, &confirmed).1.is_none());
}

#[test]
fn a_call_ends_with_its_result_its_error_or_a_denial() {
    for (actions, expected) in [
        (
            vec![json!({"type": "chat/toolCallComplete", "toolCallId": "c", "toolName": "t", "result": {
                "success": true, "content": [{"type": "text", "text": "out"}, {"type": "terminal", "title": "zsh"}],
            }})],
            (CallOutcome::Ok, "out\n[terminal zsh]"),
        ),
        (
            vec![json!({"type": "chat/toolCallComplete", "toolCallId": "c", "toolName": "t", "result": {
                "success": false, "error": {"message": "no such file"},
            }})],
            (CallOutcome::Failed, "no such file"),
        ),
        (
            vec![
                json!({"type": "chat/toolCallReady", "toolCallId": "c", "toolName": "t", "invocationMessage": "m"}),
                json!({"type": "chat/toolCallConfirmed", "toolCallId": "c", "approved": false, "reason": "denied"}),
            ],
            (CallOutcome::Denied, ""),
        ),
    ] {
        let mut decoder = AhpDecoder::default();
        let events: Vec<ReplyEvent> = actions.iter().flat_map(|action| act(&mut decoder, action).0).collect();
        assert_eq!(finished(&events), [(expected.0, expected.1.to_owned())]);
    }
}

#[test]
fn a_result_that_somebody_has_to_accept_is_the_calls_only_once_that_is_done() {
    for (approved, outcome) in [(true, CallOutcome::Ok), (false, CallOutcome::Denied)] {
        let mut decoder = AhpDecoder::default();
        let complete = json!({
            "type": "chat/toolCallComplete", "toolCallId": "c", "toolName": "t", "requiresResultConfirmation": true,
            "result": {"success": true, "content": [{"type": "text", "text": "secret"}]},
        });
        let (events, asked) = act(&mut decoder, &complete);
        assert!(finished(&events).is_empty() && asked.unwrap().request.detail.contains("secret"));
        let confirmed = json!({"type": "chat/toolCallResultConfirmed", "toolCallId": "c", "approved": approved});
        assert_eq!(finished(&act(&mut decoder, &confirmed).0)[0].0, outcome);
    }
}

#[test]
fn a_turn_of_a_state_is_told_whole() {
    let mut decoder = AhpDecoder::default();
    let turn = json!({
        "state": "complete", "usage": {"inputTokens": 5, "outputTokens": 2},
        "responseParts": [
            {"kind": "reasoning", "id": "r", "content": "Hm."},
            {"kind": "toolCall", "toolCall": {"toolCallId": "c", "toolName": "bash", "status": "completed",
                "success": true, "toolInput": "{}", "content": [{"type": "text", "text": "out"}]}},
            {"kind": "markdown", "id": "p", "content": "Done."},
        ],
    });
    let mut out = Vec::new();
    assert!(decoder.handle_turn(&turn, &mut out).is_empty());
    decoder.finish(&mut out);
    assert_eq!(texts(&out), ("Done.".to_owned(), "Hm.".to_owned()));
    assert_eq!(finished(&out), [(CallOutcome::Ok, "out".to_owned())]);
    assert!(matches!(out.last(), Some(ReplyEvent::End { outcome: TurnOutcome::Completed })));
    assert!(
        out.iter().any(|event| matches!(event, ReplyEvent::UsageReported { usage, .. } if usage.input_tokens == 5))
    );
}

#[test]
fn an_error_fails_the_turn_with_the_hosts_words_in_either_form() {
    let error = json!({"errorType": "model", "message": "the model is busy"});
    for action in [
        json!({"type": "chat/error", "part": {"kind": "error", "error": error}}),
        json!({"type": "chat/error", "error": error}),
    ] {
        let (mut decoder, mut out) = (AhpDecoder::default(), Vec::new());
        act(&mut decoder, &action);
        decoder.finish(&mut out);
        let Some(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }) = out.last() else { panic!("{out:?}") };
        assert!(fault.message.contains("the model is busy"));
    }
}
