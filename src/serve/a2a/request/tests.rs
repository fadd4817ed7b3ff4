use serde_json::json;

use super::*;
use crate::testkit::images::PNG_2X3;

fn send(params: &Json) -> Result<A2aSend, ApiError> {
    parse_send(params.as_object().unwrap())
}

fn rpc(body: &Json) -> Result<A2aRpc, (Json, &'static str)> {
    parse_rpc(body.to_string().as_bytes()).map_err(|refused| (refused.0, refused.1.code))
}

#[test]
fn a_method_tells_the_version() {
    for (method, operation, version) in [
        ("SendMessage", A2aOperation::Send, A2aVersion::V1_0),
        ("message/stream", A2aOperation::SendStreaming, A2aVersion::V0_3),
        ("tasks/pushNotificationConfig/set", A2aOperation::PushConfig, A2aVersion::V0_3),
        ("SubscribeToTask", A2aOperation::Subscribe, A2aVersion::V1_0),
    ] {
        let request = rpc(&json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": {"id": "t"}})).unwrap();
        let caller = A2aCaller { version, rpc_id: Some(json!("a")) };
        assert_eq!((request.operation, request.caller), (operation, caller), "{method}");
        assert_eq!(request.params["id"], "t");
    }
}

#[test]
fn what_is_no_request_is_refused_under_its_id() {
    for (body, id, code) in [
        (json!([]), Json::Null, INVALID_REQUEST),
        (json!({"jsonrpc": "2.0", "method": "GetTask"}), Json::Null, INVALID_REQUEST),
        (json!({"jsonrpc": "1.0", "id": 1, "method": "GetTask"}), json!(1), INVALID_REQUEST),
        (json!({"jsonrpc": "2.0", "id": 1}), json!(1), INVALID_REQUEST),
        (json!({"jsonrpc": "2.0", "id": 1, "method": "Dance"}), json!(1), METHOD_NOT_FOUND),
        (json!({"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": 3}), json!(1), "invalid_request"),
    ] {
        assert_eq!(rpc(&body), Err((id, code)), "{body}");
    }
    assert_eq!(parse_rpc(b"{").unwrap_err().1.code, PARSE_ERROR);
}

#[test]
fn versions_count_without_their_patch() {
    for version in [None, Some(""), Some("1.0"), Some("1.0.1"), Some("0.3"), Some("0.3.0")] {
        assert_eq!(check_version(version), Ok(()), "{version:?}");
    }
    for version in ["1", "1.1", "0.2.5", "2.0", "latest"] {
        assert_eq!(check_version(Some(version)).unwrap_err().code, VERSION_NOT_SUPPORTED, "{version}");
    }
}

#[test]
fn parts_of_both_versions_make_a_prompt() {
    let image = PromptImage::new(PNG_2X3).unwrap();
    let raw = image.base64();
    for file in [
        json!({"raw": raw, "filename": "a.png", "mediaType": "image/png"}),
        json!({"kind": "file", "file": {"bytes": raw, "name": "a.png", "mimeType": "image/png"}}),
    ] {
        let parts = json!([
            {"kind": "text", "text": "look"}, {"data": {"n": 1}}, file,
            {"raw": "aGk=", "filename": "b.txt", "mediaType": "text/plain"},
        ]);
        let message = json!({"contextId": "c", "taskId": "t", "parts": parts, "metadata": {"model": "e/m"}});
        let sent = send(&json!({"message": message, "configuration": {"blocking": false}})).unwrap();
        assert_eq!(sent.prompt.text, "look\n{\"n\":1}\nb.txt:\nhi");
        assert_eq!(sent.prompt.images, [PromptContext::from_image("a.png".into(), image.clone())]);
        assert_eq!((sent.context.as_deref(), sent.task.as_deref()), (Some("c"), Some("t")));
        assert_eq!((sent.model.as_deref(), sent.returns_at_once), (Some("e/m"), true));
    }
}

#[test]
fn what_can_not_be_had_is_refused_with_the_reason() {
    let with = |parts: Json| json!({"message": {"parts": parts}});
    for (params, code) in [
        (json!({}), "invalid_request"),
        (with(json!([])), "invalid_request"),
        (with(json!([{"url": "https://h/a.png"}])), CONTENT_NOT_SUPPORTED),
        (with(json!([{"raw": "aGk="}])), CONTENT_NOT_SUPPORTED),
        (json!({"message": {"contextId": "c".repeat(257), "parts": [{"text": "x"}]}}), "invalid_request"),
        (
            json!({"message": {"parts": [{"text": "x"}]}, "configuration": {"taskPushNotificationConfig": {"url": "h"}}}),
            PUSH_NOT_SUPPORTED,
        ),
    ] {
        assert_eq!(send(&params).unwrap_err().code, code, "{params}");
    }
}

#[test]
fn only_a_clear_word_decides() {
    let decision = |parts: Json| send(&json!({"message": {"parts": parts}})).unwrap().decision;
    let said = |text: &str| decision(json!([{ "text": text }]));
    assert_eq!(said(" Yes. "), Some(Decision::Once));
    assert_eq!(said("no"), Some(Decision::Deny(None)));
    assert_eq!(said("No, not on this machine"), Some(Decision::Deny(Some("not on this machine".into()))));
    for unclear in ["yes, but only the second", "what does it do?", "okay then no", "note"] {
        assert_eq!(said(unclear), None, "{unclear}");
    }
    assert_eq!(decision(json!([{"data": {"approved": true}}])), Some(Decision::Once));
    let denied = decision(json!([{"data": {"approved": false, "reason": "r"}}, {"text": "yes"}]));
    assert_eq!(denied, Some(Decision::Deny(Some("r".into()))), "data is clearer than words");
}
