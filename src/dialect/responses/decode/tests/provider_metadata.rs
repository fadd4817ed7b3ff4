//! What a model needs back verbatim.

use super::*;

#[test]
fn reasoning_is_carried_without_its_id_and_calls_say_where_they_stood() {
    let reasoning =
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA", "status": null});
    let mut text = message("msg_1", "Hi");
    text["phase"] = "commentary".into();
    let output = json!([reasoning, text, function("fc_1", "call_1", "{}")]);
    let end = json!({"type": "response.completed", "response": {"id": "r", "model": "gpt-5", "status": "completed", "output": output}});
    let events = decode(&[end]);
    let carries: Vec<&Json> = events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::MessageFinished { provider_metadata: metadata, .. }
            | ReplyEvent::ToolCallReady { provider_metadata: metadata, .. } => metadata.as_ref(),
            _ => None,
        })
        .collect();
    assert_eq!(
        carries,
        [
            &json!({"item_id": "fc_1"}),
            &json!({"responses": {"model": "gpt-5", "items": [
                {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
                {"type": "message", "phase": "commentary"},
                {"type": "function_call", "id": "fc_1"},
            ]}}),
        ]
    );
}

#[test]
fn reasoning_between_two_texts_is_carried_with_the_second() {
    let reasoning = |text: &str| json!({"type": "reasoning", "id": text, "summary": [], "encrypted_content": text});
    let events =
        decode(&[completed(json!([reasoning("A"), message("a", "One"), reasoning("B"), message("b", "Two")]))]);
    let carried: Vec<Json> = events
        .iter()
        .filter_map(|event| match event {
            ReplyEvent::MessageFinished { provider_metadata: metadata, .. } => {
                metadata.as_ref()?.pointer("/responses/items/0/encrypted_content").cloned()
            }
            _ => None,
        })
        .collect();
    assert_eq!(carried, ["A", "B"]);
}

#[test]
fn what_was_cut_carries_nothing() {
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"});
    let events = decode(&[done(0, reasoning), delta("output_text", "msg_1", 1, 0, "Hi")]);
    assert!(
        events.iter().all(|event| !matches!(event, ReplyEvent::MessageFinished { provider_metadata: Some(_), .. }))
    );
}
