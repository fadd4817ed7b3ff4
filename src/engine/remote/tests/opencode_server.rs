//! Requests to opencode's server.

use super::*;

const BASE: &str = "http://h/session";

/// A conversation whose session is `s-1`, and what its greeting calls for.
fn begun(request: &ModelRequest) -> (RemoteEngine, HttpRequest) {
    let remote = remote(&opencode::PROMPT, BASE);
    let ReplyPlan::Prepare(made) = remote.plan_reply(request) else { panic!("no session is made") };
    assert_eq!((made.request.url.as_str(), body_of(&made.request)), (BASE, json!({})));
    (made.handle)(Ok(json!({"id": "s-1"})));
    let prompt = prompt_of(&remote, request);
    (remote, prompt)
}

/// What the greeting of the bus calls for.
fn prompt_of(remote: &RemoteEngine, request: &ModelRequest) -> HttpRequest {
    let plan = remote.plan_reply(request);
    let ReplyPlan::Http { request: events, side_channel: Some(mut aside), .. } = plan else { panic!("not asked") };
    assert_eq!((events.method, events.url.as_str()), (HttpMethod::Get, "http://h/event"));
    assert!(aside.answer_frame(&SseFrame::data(r#"{"type":"session.idle","properties":{}}"#)).is_empty());
    let greeting = SseFrame::data(r#"{"type":"server.connected","properties":{}}"#);
    let calls = aside.answer_frame(&greeting);
    assert!(aside.answer_frame(&greeting).is_empty(), "once is enough");
    assert_eq!(calls.len(), 1);
    calls.into_iter().next().unwrap()
}

#[test]
fn a_prompt_is_put_once_the_bus_has_greeted() {
    let one = ModelRequest { model: String::new(), ..request(&["one"]) };
    let (remote, prompt) = begun(&one);
    assert_eq!(prompt.url, "http://h/session/s-1/prompt_async");
    assert_eq!(body_of(&prompt), json!({"parts": [{"type": "text", "text": "one"}]}));
    let two = ModelRequest { model: "a/b/c".into(), ..request(&["one", "two"]) };
    let body = body_of(&prompt_of(&remote, &two));
    assert_eq!(body["parts"][0]["text"], "two", "the server has the rest");
    assert_eq!(body["model"], json!({"providerID": "a", "modelID": "b/c"}));
    let call = remote.cancel_request(None).expect("it has a session");
    assert_eq!(call.url, "http://h/session/s-1/abort");
}

#[test]
fn each_generation_of_permissions_is_answered_by_its_own_route() {
    let (remote, _) = begun(&request(&["one"]));
    let reply = |kind: &str, decision: &Decision| {
        let asked = json!({"ask": kind, "id": "per_1", "sessionID": "s-1"});
        remote
            .answer_request(&asked, decision)
            .map(|call| (call.url, serde_json::from_slice(&call.body.unwrap()).unwrap()))
    };
    let told = |path: &str, body: Json| Some((format!("http://h{path}"), body));
    let no = Decision::Deny(Some("not now".into()));
    let (new, old, next) =
        ("/permission/per_1/reply", "/session/s-1/permissions/per_1", "/api/session/s-1/permission/per_1/reply");
    assert_eq!(reply("permission.asked", &Decision::Session), told(new, json!({"reply": "once"})));
    assert_eq!(reply("permission.asked", &no), told(new, json!({"reply": "reject", "message": "not now"})));
    assert_eq!(reply("permission.updated", &Decision::Once), told(old, json!({"response": "once"})));
    assert_eq!(reply("permission.updated", &no), told(old, json!({"response": "reject"})));
    assert_eq!(reply("permission.v2.asked", &Decision::Once), told(next, json!({"reply": "once"})));
    let hostile = json!({"ask": "permission.asked", "id": "../../x", "sessionID": "s-1"});
    assert!(remote.answer_request(&hostile, &Decision::Once).is_none());
}

#[test]
fn questions_of_one_request_are_answered_together() {
    let (remote, _) = begun(&request(&["one"]));
    let reply = |index: usize, decision: Decision| {
        let asked = json!({"ask": "question.asked", "id": "que_1", "sessionID": "s-1", "index": index, "count": 2});
        let call = remote.answer_request(&asked, &decision)?;
        Some((call.url, serde_json::from_slice::<Json>(&call.body.unwrap()).unwrap()))
    };
    let red = || Decision::Offered { id: "red".into(), allows: true };
    assert_eq!(reply(1, Decision::Deny(Some("none of them".into()))), None, "one is left");
    let both = json!({"answers": [["red"], ["none of them"]]});
    assert_eq!(reply(0, red()), Some(("http://h/question/que_1/reply".into(), both)));
    assert_eq!(reply(0, red()), None);
    assert_eq!(reply(1, Decision::Deny(None)), Some(("http://h/question/que_1/reject".into(), json!({}))));
}
