//! Runs that stop with a question.

use super::*;

#[test]
fn an_interrupt_of_a_call_asks_whether_it_may_run() {
    let interrupts = json!([
        {"id": "i1", "reason": "tool_call", "message": "May it?", "toolCallId": "c1"},
        {"id": "i2", "reason": "input", "message": "Which?"},
    ]);
    let events = decode(
        true,
        &[
            json!({"type": "RUN_STARTED", "threadId": "t", "runId": "r"}),
            json!({"type": "TOOL_CALL_START", "toolCallId": "c1", "toolCallName": "rm"}),
            json!({"type": "RUN_FINISHED", "outcome": {"type": "interrupt", "interrupts": interrupts}}),
        ],
    );
    let asked: Vec<_> = events.iter().filter(|event| matches!(event, ReplyEvent::Annotation { .. })).collect();
    let (request, reason) = (interrupts[0].clone(), Some("May it?".to_owned()));
    assert_eq!(
        asked,
        [
            &ReplyEvent::Annotation {
                on: ReplyTarget::Call("c1".into()),
                annotation: Annotation::NeedsApproval { request, reason }
            },
            &ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation: Annotation::Interrupt { interrupts } },
        ]
    );
}

fn interrupted(interrupts: &Json) -> Vec<ReplyEvent> {
    let outcome = json!({"type": "interrupt", "interrupts": interrupts});
    decode(true, &[json!({"type": "RUN_STARTED", "runId": "r"}), json!({"type": "RUN_FINISHED", "outcome": outcome})])
}

/// The calls that ask for approval, with what is asked.
fn asked(events: &[ReplyEvent]) -> Vec<(String, Option<String>)> {
    let line = |event: &ReplyEvent| match event {
        ReplyEvent::Annotation {
            on: ReplyTarget::Call(call),
            annotation: Annotation::NeedsApproval { reason, .. },
        } => Some((call.to_string(), reason.clone())),
        _ => None,
    };
    events.iter().filter_map(line).collect()
}

#[test]
fn a_question_of_yes_or_no_is_asked_as_an_approval() {
    let schema = json!({"type": "object", "properties": {"go": {"type": "boolean"}}, "required": ["go"]});
    let yes_or_no = json!({"id": "i1", "reason": "confirmation", "message": "Go on?", "responseSchema": schema});
    let events = interrupted(&json!([yes_or_no]));
    assert_eq!(asked(&events), [("question-i1".into(), Some("Go on?".into()))]);
    assert!(events.iter().any(|event| {
        matches!(event, ReplyEvent::ToolCallReady { name, args, .. } if name == "confirmation" && args == "{}")
    }));
    let open = json!({"id": "i2", "reason": "input", "message": "Which?", "responseSchema": {"type": "string"}});
    assert_eq!(asked(&interrupted(&json!([open]))), []);
    assert_eq!(asked(&interrupted(&json!([yes_or_no, open]))), [], "all are answered at once, by the next prompt");
    // The run that goes on ends it.
    let open_calls = vec![OpenCall { wire_id: "question-i1".into(), name: "confirmation".into() }];
    let context = DecodeContext { prompt: Some("go".into()), open_calls, ..DecodeContext::default() };
    let events = decode_with(&context, &[json!({"type": "RUN_STARTED", "runId": "r2"})]);
    assert!(matches!(&events[0], ReplyEvent::ToolCallFinished { call, .. } if call.as_str() == "question-i1"));
}
