//! What is told twice: in a snapshot, or as a message that is sent again.

use super::*;

#[test]
fn a_snapshot_tells_nothing_twice() {
    let streamed = [
        text("START", "a", ""),
        text("CONTENT", "a", "Hello"),
        text("END", "a", ""),
        call("START", "c1", json!({"toolCallName": "f", "parentMessageId": "a"})),
        call("ARGS", "c1", json!({"delta": "{}"})),
        call("END", "c1", json!({})),
    ];
    let list = json!([
        {"id": "u0", "role": "user", "content": "before"},
        {"id": "old", "role": "assistant", "content": "an old answer"},
        {"id": "u1", "role": "user", "content": "hi"},
        {"id": "other", "role": "assistant", "content": "Hello", "toolCalls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{\"x\":1}"}},
        ]},
        {"id": "r1", "role": "tool", "toolCallId": "c1", "content": "done"},
        {"id": "new", "role": "assistant", "content": "Bye"},
    ]);
    let snapshot = json!({"type": "MESSAGES_SNAPSHOT", "messages": list});
    let mut frames = streamed.to_vec();
    frames.extend([snapshot.clone(), snapshot]);
    let events = run(&frames);
    let texts: Vec<String> = texts(&events).into_iter().filter(|text| !text.is_empty()).collect();
    assert_eq!(texts, ["Hello", "Bye"]);
    let calls: Vec<String> = ready(&events).into_iter().map(|(id, _, _)| id).collect();
    assert_eq!(calls, ["c1", "c2"]);
    assert_eq!(finished(&events), [("c1".into(), CallOutcome::Ok, "done".into())]);
}

#[test]
fn a_snapshot_completes_a_message_that_is_still_open() {
    let with = |whole: &str| {
        let list = json!([{"id": "a", "role": "assistant", "content": whole}]);
        messages(&run(&[
            text("START", "a", ""),
            text("CONTENT", "a", "Hel"),
            json!({"type": "MESSAGES_SNAPSHOT", "messages": list}),
        ]))
    };
    assert_eq!(with("Hello")[0].text, "Hello");
    let other = with("Good day");
    assert_eq!((other[0].text.as_str(), other[0].full.as_deref()), ("Hel", Some("Good day")));
}

/// A whole message, sent in deltas.
fn whole_message(id: &str, pieces: &[&str]) -> Vec<Json> {
    let start = json!({"type": "TEXT_MESSAGE_START", "messageId": id, "role": "assistant"});
    let content = |piece: &&str| json!({"type": "TEXT_MESSAGE_CONTENT", "messageId": id, "delta": piece});
    let end = json!({"type": "TEXT_MESSAGE_END", "messageId": id});
    std::iter::once(start).chain(pieces.iter().map(content)).chain([end]).collect()
}

#[test]
fn a_message_that_is_sent_again_is_emitted_once_and_another_one_of_its_id_too() {
    let first = whole_message("a", &["Rain ", "in Spain."]);
    let after = |again: &[Json]| texts(&run(&[first.clone(), again.to_vec()].concat()));
    for pieces in [&["Rain ", "in Spain."][..], &["Rain in Spain."], &["R", "ain i", "n Spain."], &[]] {
        let again = whole_message("a", pieces);
        assert_eq!(after(&again), ["Rain in Spain."], "{pieces:?}");
        assert_eq!(after(&[again.clone(), again].concat()), ["Rain in Spain."], "{pieces:?}");
    }
    let chunk = |delta: &str| json!({"type": "TEXT_MESSAGE_CHUNK", "messageId": "a", "delta": delta});
    assert_eq!(after(&[chunk("Rain "), chunk("in Spain.")]), ["Rain in Spain."]);
    for pieces in [&["Sun."][..], &["Rain ", "in Rome."], &["Rain ", "in Spain.", " Sun."], &["Rain "]] {
        assert_eq!(after(&whole_message("a", pieces)), ["Rain in Spain.", &pieces.concat()], "{pieces:?}");
    }
    assert_eq!(after(&whole_message("b", &["Rain ", "in Spain."])), ["Rain in Spain.", "Rain in Spain."]);
}

#[test]
fn what_breaks_off_while_it_is_sent_again_was_told() {
    let mut frames = whole_message("a", &["Rain ", "in Spain."]);
    frames.extend(whole_message("a", &["Rain "]));
    frames.pop();
    assert_eq!(texts(&decode(true, &frames)), ["Rain in Spain."]);
}

#[test]
fn calls_of_a_message_that_is_sent_again_belong_to_the_one_that_was_told() {
    let mut frames = whole_message("a", &["Looking."]);
    frames.extend(whole_message("a", &["Looking."]));
    frames.push(json!({"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "f", "parentMessageId": "a"}));
    frames.push(json!({"type": "TOOL_CALL_END", "toolCallId": "c"}));
    let events = run(&frames);
    let owner = events.iter().find_map(|event| match event {
        ReplyEvent::ToolCallStarted { message, .. } => Some(message.as_str()),
        _ => None,
    });
    assert_eq!((owner, texts(&events).len()), (Some("m1"), 1));
}
