//! Requests to A2A agents, and what their cards tell.

use super::*;

#[test]
fn an_agent_is_told_which_context_goes_on_and_which_task_was_answered() {
    let mut two = request(&["one", "two"]);
    let mut keep = |kept: Json| {
        if let Some(HistoryMessage::Assistant { provider_metadata, .. }) = two.history.get_mut(1) {
            *provider_metadata = Some(kept);
        }
        two.clone()
    };
    let over = keep(json!({"contextId": "ctx", "other": 1}));
    let waits = keep(json!({"contextId": "ctx", "interrupts": [{"taskId": "t1", "contextId": "ctx"}]}));
    let message = |kind, url: &str, request: &ModelRequest| {
        let (_, body) = asked(&remote(kind, url), request);
        body.pointer("/params/message").unwrap_or(&body["message"]).clone()
    };
    for (kind, url) in [
        (&a2a::V0_3, "http://h/"),
        (&a2a::V1, "http://h/"),
        (&a2a::REST_V1, "http://h/message:stream"),
        (&a2a::REST_V0_3, "http://h/v1/message:stream"),
    ] {
        let (told, answered) = (message(kind, url, &over), message(kind, url, &waits));
        assert_eq!((&told["contextId"], told.get("taskId")), (&json!("ctx"), None), "{}", kind.name);
        assert_eq!((&answered["contextId"], &answered["taskId"]), (&json!("ctx"), &json!("t1")), "{}", kind.name);
    }
}

#[test]
fn each_binding_of_a2a_is_written_as_its_servers_read_it() {
    let two = request(&["one", "two"]);
    let (_, body) = asked(&remote(&a2a::V0_3, "http://h/"), &two);
    assert_eq!(body["method"], "message/stream");
    assert_eq!(body["params"]["message"]["parts"], json!([{"kind": "text", "text": "two"}]));
    let (call, body) = asked(&remote(&a2a::V1, "http://h/"), &two);
    assert_eq!(body["method"], "SendStreamingMessage");
    assert_eq!(body["params"]["message"]["role"], "ROLE_USER");
    assert!(call.headers.iter().any(|(name, _)| name == "a2a-version"));
    let (call, body) = asked(&remote(&a2a::REST_V1, "http://h/message:stream"), &two);
    assert_eq!((body.get("jsonrpc"), &body["message"]["parts"]), (None, &json!([{"text": "two"}])));
    assert!(call.headers.iter().any(|(name, _)| name == "a2a-version"));
    let (_, body) = asked(&remote(&a2a::REST_V0_3, "http://h/v1/message:stream"), &two);
    assert_eq!(body["message"]["content"], json!([{"text": "two"}]));
}

#[test]
fn a_task_is_cancelled_by_the_binding_that_began_it() {
    let cancelled = |kind, url: &str, task: &str| {
        let call = remote(kind, url).cancel_request(Some(task))?;
        let body: Json = serde_json::from_slice(call.body.as_deref().unwrap()).unwrap();
        Some((call.url, body["method"].as_str().unwrap_or_default().to_owned()))
    };
    let expected = |url: &str, method: &str| Some((url.to_owned(), method.to_owned()));
    assert_eq!(cancelled(&a2a::V0_3, "http://h/rpc", "t"), expected("http://h/rpc", "tasks/cancel"));
    assert_eq!(cancelled(&a2a::V1, "http://h/rpc", "t"), expected("http://h/rpc", "CancelTask"));
    let rest = "http://h/a/message:stream";
    assert_eq!(cancelled(&a2a::REST_V1, rest, "t"), expected("http://h/a/tasks/t:cancel", ""));
    assert_eq!(cancelled(&a2a::REST_V1, rest, "../x"), None);
    let old = "http://h/v1/message:stream";
    assert_eq!(cancelled(&a2a::REST_V0_3, old, "t"), expected("http://h/v1/tasks/t:cancel", ""));
    assert_eq!(cancelled(&CHAT, "http://h/x", "t"), None);
}

#[test]
fn a_card_is_found_where_a_url_names_it_and_read_for_its_own_host() {
    let card = "http://h:1/.well-known/agent-card.json?assistant_id=x";
    assert_eq!(card_url("http://h:1/?assistant_id=x").as_deref(), Some(card));
    assert_eq!(card_url(card).as_deref(), Some(card));
    assert_eq!(card_url("http://h:1/"), None);
    let read = json!({"name": "n", "skills": [], "url": "http://elsewhere/a2a/x", "protocolVersion": "0.3.0"});
    let (kind, url, _) = read_card(card, &read).unwrap();
    assert_eq!((kind, url.as_str()), (&a2a::V0_3, "http://h:1/a2a/x"));
    for (interfaces, kind, url) in [
        (
            json!([{"url": "http://e/r", "protocolBinding": "HTTP+JSON", "protocolVersion": "1.0"}]),
            &a2a::REST_V1,
            "http://h:1/r/message:stream",
        ),
        (
            json!([{"url": "http://e/r", "protocolBinding": "HTTP+JSON", "protocolVersion": "0.3"}]),
            &a2a::REST_V0_3,
            "http://h:1/r/v1/message:stream",
        ),
    ] {
        let (read, at, _) =
            read_card(card, &json!({"name": "n", "skills": [], "supportedInterfaces": interfaces})).unwrap();
        assert_eq!((read, at.as_str()), (kind, url));
    }
    let without_skills =
        json!({"name": "n", "supportedInterfaces": [{"url": "http://e/r", "protocolBinding": "JSONRPC"}]});
    assert!(read_card(card, &without_skills).is_some());
    assert!(read_card(card, &json!({"detail": "no"})).is_none());
}
