use serde_json::json;

use super::*;
use crate::dialect::ResponseHead;

fn decode(frames: &[(&str, Json)]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = (LangGraphDecoder::default(), Vec::new());
    for (name, data) in frames {
        decoder.decode_frame(&SseFrame::named(*name, data.to_string()), &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn texts(events: &[ReplyEvent]) -> Vec<String> {
    let mut texts: Vec<(String, String)> = Vec::new();
    for event in events {
        if let ReplyEvent::TextDelta { message, text, .. } = event {
            match texts.iter_mut().find(|(known, _)| known == message.as_str()) {
                Some((_, known)) => known.push_str(text),
                None => texts.push((message.as_str().to_owned(), text.clone())),
            }
        }
    }
    texts.into_iter().map(|(_, text)| text).collect()
}

fn usage_of(events: &[ReplyEvent]) -> Option<(u64, u64)> {
    events.iter().find_map(|event| match event {
        ReplyEvent::UsageReported { usage, .. } => Some((usage.input_tokens, usage.output_tokens)),
        _ => None,
    })
}

fn piece(id: &str, text: &str, more: &Json) -> (&'static str, Json) {
    let mut message = json!({"type": "AIMessageChunk", "id": id, "content": text, "tool_call_chunks": []});
    if let (Some(message), Some(more)) = (message.as_object_mut(), more.as_object()) {
        message.extend(more.clone());
    }
    ("messages", json!([message, {"langgraph_node": "n"}]))
}

#[test]
fn a_message_has_one_id_in_all_modes() {
    let uuid = "01a2243d-2a86-7756-acfa-ff7f00783ccc";
    for id in [format!("lc_run--{uuid}"), format!("run--{uuid}-0"), format!("run-{uuid}"), uuid.to_owned()] {
        assert_eq!(content::bare_id(&id), uuid, "{id}");
    }
    for id in ["msg_1-0", "chatcmpl-9", "", "01a2243d-2a86-7756-acfa-ff7f00783ccc-x"] {
        assert_eq!(content::bare_id(id), id);
    }
}

#[test]
fn messages_that_are_written_side_by_side_stay_apart() {
    let events = decode(&[
        piece("a", "One ", &json!({})),
        piece("b", "Two ", &json!({})),
        piece("a", "and a half.", &json!({})),
        piece("b", "to go.", &json!({})),
    ]);
    assert_eq!(texts(&events), ["One and a half.", "Two to go."]);
}

#[test]
fn counts_of_pieces_add_up_and_a_whole_message_replaces_them() {
    let counted = |input: u64, output: u64| json!({"usage_metadata": {"input_tokens": input, "output_tokens": output}});
    let pieces = [piece("a", "x", &counted(10, 1)), piece("a", "y", &counted(0, 4))];
    assert_eq!(usage_of(&decode(&pieces)), Some((10, 5)));
    let whole = json!({"n": {"messages": [{"type": "ai", "id": "a", "content": "xy",
        "usage_metadata": {"input_tokens": 10, "output_tokens": 6}}]}});
    let [one, two] = pieces;
    assert_eq!(usage_of(&decode(&[one, two, ("updates", whole)])), Some((10, 6)));
}

#[test]
fn a_subgraph_is_told_as_the_graph_itself() {
    let (name, data) = piece("a", "Inside.", &json!({}));
    assert_eq!(name, "messages");
    assert_eq!(texts(&decode(&[("messages|sub:1", data)])), ["Inside."]);
}

#[test]
fn frames_are_known_by_name_and_shape_or_by_where_the_response_is() {
    let is_one = |name: &str, data: &Json, location: &str| {
        let response = ResponseHead::new(200, [("content-location", location.to_owned())]);
        let context = DecodeContext { response, ..DecodeContext::default() };
        evidence(&FirstFrame::new(&SseFrame::named(name, data.to_string()), &context)).is_some()
    };
    let (_, tuple) = piece("a", "x", &json!({}));
    for (name, data) in [
        ("metadata", json!({"run_id": "r"})),
        ("messages", tuple),
        ("messages/partial", json!([])),
        ("values|sub:1", json!({"messages": []})),
        ("updates", json!({"n": {"messages": []}})),
        ("", json!({"type": "event", "method": "messages", "params": {"namespace": [], "data": {}}})),
    ] {
        assert!(is_one(name, &data, ""), "{name} {data}");
    }
    for (name, data) in [
        ("metadata", json!({"title": "x"})),
        ("messages", json!([1, 2])),
        ("values", json!({"a": 1})),
        ("error", json!({"error": "x", "message": "y"})),
        ("", json!({"type": "event", "method": "messages"})),
    ] {
        assert!(!is_one(name, &data, ""), "{name} {data}");
        assert_eq!(is_one(name, &data, "/threads/t/runs/r"), !name.is_empty(), "{name}");
    }
}
