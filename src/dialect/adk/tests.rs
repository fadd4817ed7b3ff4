use super::*;

fn decode(frames: &[Json]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = (AdkDecoder::default(), Vec::new());
    for data in frames {
        decoder.decode_frame(&SseFrame::data(data.to_string()), &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn event(parts: &Json, more: &Json) -> Json {
    let mut event = json!({"author": "a", "invocationId": "i", "content": {"role": "model", "parts": parts}});
    if let (Some(event), Some(more)) = (event.as_object_mut(), more.as_object()) {
        event.extend(more.clone());
    }
    event
}

fn outcome(frames: &[Json]) -> TurnOutcome {
    match decode(frames).pop() {
        Some(ReplyEvent::End { outcome }) => outcome,
        other => panic!("{other:?}"),
    }
}

fn usage_of(frames: &[Json]) -> Option<(u64, u64)> {
    decode(frames).iter().find_map(|event| match event {
        ReplyEvent::UsageReported { usage, .. } => Some((usage.input_tokens, usage.output_tokens)),
        _ => None,
    })
}

#[test]
fn a_run_is_whole_where_nothing_of_it_is_left_open() {
    let partial = event(&json!([{"text": "Hel"}]), &json!({"partial": true}));
    let whole = event(&json!([{"text": "Hello"}]), &json!({"finishReason": "STOP"}));
    let call = event(&json!([{"functionCall": {"id": "c", "name": "f"}}]), &json!({}));
    let long = event(&json!([{"functionCall": {"id": "c", "name": "f"}}]), &json!({"longRunningToolIds": ["c"]}));
    assert_eq!(outcome(std::slice::from_ref(&partial)), TurnOutcome::Interrupted);
    assert_eq!(outcome(&[partial, whole.clone()]), TurnOutcome::Completed);
    assert_eq!(outcome(&[whole, call]), TurnOutcome::Interrupted);
    assert_eq!(outcome(&[long]), TurnOutcome::Completed);
    assert_eq!(outcome(&[]), TurnOutcome::Interrupted);
}

#[test]
fn running_counts_of_a_request_are_replaced_and_requests_are_added_up() {
    let counted = |partial: bool, output: u64| {
        let usage = json!({"promptTokenCount": 10, "candidatesTokenCount": output});
        event(&json!([{"text": "x"}]), &json!({"partial": partial, "usageMetadata": usage}))
    };
    assert_eq!(usage_of(&[counted(true, 1), counted(true, 3), counted(false, 3)]), Some((10, 3)));
    assert_eq!(usage_of(&[counted(true, 1), counted(false, 3), counted(true, 2), counted(false, 4)]), Some((20, 7)));
    assert_eq!(usage_of(&[counted(true, 2)]), Some((10, 2)));
}

#[test]
fn reasons_of_the_model_and_errors_come_in_the_same_field() {
    let failed = |code: &str| outcome(&[event(&json!([]), &json!({"errorCode": code, "errorMessage": "words"}))]);
    assert_eq!(failed("MAX_TOKENS"), TurnOutcome::Completed);
    assert!(matches!(failed("SAFETY"), TurnOutcome::Failed(Fault { kind: FaultKind::Refused, .. })));
    assert!(matches!(failed("ResourceExhausted"), TurnOutcome::Failed(fault) if fault.message.contains("words")));
}

#[test]
fn calls_without_ids_meet_their_results_by_name_and_order() {
    let events = decode(&[
        event(
            &json!([{"function_call": {"name": "f", "args": {"n": 1}}}, {"function_call": {"name": "f"}}]),
            &json!({}),
        ),
        event(&json!([{"function_response": {"name": "f", "response": {"result": "one"}}}]), &json!({})),
        event(&json!([{"function_response": {"name": "f", "response": {"error": "two"}}}]), &json!({})),
    ]);
    let ends: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::ToolCallFinished { call, outcome, output, .. } => {
                Some((call.as_str(), *outcome, output.text.as_str()))
            }
            _ => None,
        })
        .collect();
    assert_eq!(ends, [("f_1", CallOutcome::Ok, "one"), ("f_2", CallOutcome::Failed, "two")]);
    let args: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::ToolCallReady { args, .. } => Some(args.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(args, [r#"{"n":1}"#, "{}"]);
}
