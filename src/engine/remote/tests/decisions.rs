//! Tests of how what a person decided goes back to the agent that asked.

use super::*;

/// A call that its server asked to approve, with the decision.
pub(super) fn decided_call(id: &str, request: Json, decision: Decision) -> HistoryMessage {
    let call = HistoryCall {
        call: id.into(),
        name: "rm".into(),
        args: r#"{"path":"a"}"#.into(),
        provider_metadata: None,
        approval: Some(HistoryApproval { request, decision: Some(decision) }),
    };
    let (text, reasoning) = (String::new(), String::new());
    HistoryMessage::Assistant { text, reasoning, calls: vec![call], provider_metadata: None }
}

#[test]
fn ag_ui_is_told_what_was_decided_and_what_answers_a_question() {
    let agent = remote(&ag_ui::RUN, "http://h/agent");
    let mut one = request(&["one"]);
    one.history.push(decided_call("c_2", json!({"id": "i1", "toolCallId": "c"}), Decision::Deny(Some("no".into()))));
    let (_, body) = asked(&agent, &one);
    assert_eq!(body["messages"][1]["toolCalls"][0]["id"], "c", "as the server knows it");
    let payload = json!({"approved": false, "reason": "no"});
    assert_eq!(body["resume"], json!([{"interruptId": "i1", "status": "resolved", "payload": payload}]));
    let mut two = request(&["one", "Paris"]);
    if let Some(HistoryMessage::Assistant { provider_metadata, .. }) = two.history.get_mut(1) {
        *provider_metadata = Some(json!({"interrupts": [{"id": "i2"}, {"id": "i3", "toolCallId": "c"}]}));
    }
    let (_, body) = asked(&agent, &two);
    let (answered, left) = (
        json!({"interruptId": "i2", "status": "resolved", "payload": "Paris"}),
        json!({"interruptId": "i3", "status": "cancelled"}),
    );
    assert_eq!(body["resume"], json!([answered, left]));
    let (_, body) = asked(&agent, &request(&["one", "two"]));
    assert!(body.get("resume").is_none());
}

#[test]
fn an_app_of_the_ai_sdk_is_told_what_was_decided() {
    let agent = remote(&ai_sdk::CHAT, "http://h/api/chat");
    let asks = json!({"type": "tool-approval-request", "approvalId": "ap", "toolCallId": "c", "signature": "s"});
    let mut one = request(&["one"]);
    one.history.push(decided_call("c", asks.clone(), Decision::Deny(Some("no".into()))));
    let part = |request: &ModelRequest| asked(&agent, request).1["messages"][1]["parts"][1].clone();
    let approval = json!({"id": "ap", "approved": false, "reason": "no", "signature": "s"});
    let expected = json!({"type": "tool-rm", "toolCallId": "c", "state": "approval-responded",
        "input": {"path": "a"}, "approval": approval});
    assert_eq!(part(&one), expected);
    let (name, output) = ("rm".into(), "denied".into());
    one.history.push(HistoryMessage::Tool { call: "c".into(), name, output, outcome: CallOutcome::Denied });
    assert_eq!(part(&one)["state"], "output-denied");
}

#[test]
fn a_conversation_of_mistral_is_told_what_was_decided_at_the_call() {
    let server = remote(&mistral::CONVERSATIONS, "http://h/v1/conversations");
    for (decision, status) in [(Decision::Once, "allowed"), (Decision::Deny(None), "denied")] {
        let mut one = request(&["one"]);
        let asks = json!({"tool_call_id": "c", "confirmation_status": "pending"});
        one.history.push(decided_call("c_2", asks, decision));
        let (name, output) = ("rm".into(), String::new());
        one.history.push(HistoryMessage::Tool { call: "c_2".into(), name, output, outcome: CallOutcome::Denied });
        let (_, body) = asked(&server, &one);
        let entry = json!({"type": "function.call", "tool_call_id": "c", "name": "rm",
            "arguments": "{\"path\":\"a\"}", "confirmation_status": status});
        assert_eq!(body["inputs"].as_array().unwrap()[1..], [entry], "the server has no result from us");
    }
}

#[test]
fn a_graph_is_told_what_was_decided_in_the_thread_that_waits() {
    let server = remote(&langgraph::RUN, "http://h/runs/stream");
    let mut one = request(&["one"]);
    prepared(&server, &one, &[json!({"thread_id": "t"})]);
    let asks = |form: &str| json!({"interruptId": "i", "form": form, "index": 0, "count": 1, "toolCallId": "c"});
    for (form, decision, resume) in [
        ("decisions", Decision::Once, json!({"decisions": [{"type": "approve"}]})),
        ("decision", Decision::Deny(Some("no".into())), json!({"type": "reject", "message": "no"})),
        ("human", Decision::Deny(None), json!([{"type": "ignore", "args": null}])),
    ] {
        one.history.truncate(1);
        one.history.push(decided_call("c", asks(form), decision));
        let (call, body) = asked(&server, &one);
        assert_eq!(call.url, "http://h/threads/t/runs/stream", "no other thread is made");
        assert_eq!((&body["command"]["resume"], body.get("input")), (&resume, None), "{form}");
    }
    let mut two = request(&["one", "Paris"]);
    if let Some(HistoryMessage::Assistant { provider_metadata, .. }) = two.history.get_mut(1) {
        *provider_metadata = Some(json!({"interrupts": [{"id": "i", "value": "Where?"}]}));
    }
    let (_, body) = asked(&server, &two);
    assert_eq!((&body["command"]["resume"], body.get("input")), (&json!("Paris"), None));
    let (_, body) = asked(&server, &request(&["one", "two", "three"]));
    assert_eq!(body["input"]["messages"][0]["content"], "three");
}

#[test]
fn a_yes_or_no_without_a_call_goes_back_to_ag_ui_as_its_answer_alone() {
    let agent = remote(&ag_ui::RUN, "http://h/agent");
    let schema = json!({"properties": {"go": {"type": "boolean"}}, "required": ["go"]});
    let question = json!({"id": "i1", "responseSchema": schema, "questionId": "question-i1"});
    let mut one = request(&["one"]);
    one.history.push(decided_call("question-i1_2", question, Decision::Once));
    let (_, body) = asked(&agent, &one);
    assert_eq!(body["messages"].as_array().unwrap().len(), 1, "the server knows no such call: {body}");
    assert_eq!(body["resume"], json!([{"interruptId": "i1", "status": "resolved", "payload": {"go": true}}]));
    assert_eq!(one.open_calls()[0].wire_id, "question-i1");
    let (name, output) = ("confirm".into(), String::new());
    one.history.push(HistoryMessage::Tool { call: "question-i1_2".into(), name, output, outcome: CallOutcome::Ok });
    one.history.push(HistoryMessage::user("two"));
    let (_, body) = asked(&agent, &one);
    assert_eq!((body["messages"].as_array().unwrap().len(), body.get("resume")), (2, None));
}

#[test]
fn a_path_that_two_kinds_share_is_asked_as_the_list_of_models_tells() {
    for (answer, path) in
        [(json!({"models": [{"name": "q"}]}), "/messages/0/content"), (json!({}), "/messages/0/parts")]
    {
        let server = remote(&model_apis::OLLAMA, "http://h/api/chat");
        let (before, call) = prepared(&server, &request(&["hi"]), &[answer]);
        assert_eq!((before.len(), before[0].method, before[0].url.as_str()), (1, HttpMethod::Get, "http://h/api/tags"));
        assert!(body_of(&call).pointer(path).is_some(), "{}", body_of(&call));
        let (before, _) = prepared(&server, &request(&["hi", "there"]), &[]);
        assert!(before.is_empty(), "once is enough");
    }
    let target =
        RemoteTarget { keeps_request_kind: true, ..RemoteTarget::new("r", "http://h/api/chat", &model_apis::OLLAMA) };
    assert!(prepared(&RemoteEngine::new(target), &request(&["hi"]), &[]).0.is_empty());
}
