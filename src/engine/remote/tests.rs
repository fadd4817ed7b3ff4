use serde_json::json;

use super::probe::{RemoteAccess, identify};
use super::*;
use crate::engine::{HistoryCall, HistoryMessage};
use crate::event::{CallOutcome, Json, Risk, ToolSpec};
use crate::net::request::HttpRequest;

fn remote(kind: &'static RequestKind, url: &str) -> RemoteEngine {
    RemoteEngine::new(RemoteTarget {
        headers: vec![("authorization".into(), HttpHeaderValue::Secret("Bearer s3cret-token".into()))],
        thread_id: "th".into(),
        ..RemoteTarget::new("r", url, kind)
    })
}

fn request(prompts: &[&str]) -> ModelRequest {
    let mut past = Vec::new();
    for (index, text) in prompts.iter().enumerate() {
        if index > 0 {
            let calls = Vec::new();
            past.push(HistoryMessage::Assistant {
                text: format!("re {index}"),
                reasoning: String::new(),
                calls,
                provider_metadata: None,
            });
        }
        past.push(HistoryMessage::User { text: (*text).into() });
    }
    ModelRequest { model: "m".into(), history: past, ..ModelRequest::default() }
}

fn asked(remote: &RemoteEngine, request: &ModelRequest) -> (HttpRequest, Json) {
    let ReplyPlan::Http { request: call, .. } = remote.plan_reply(request) else { panic!("nothing is asked") };
    let body = serde_json::from_slice(call.body.as_deref().unwrap()).unwrap();
    (call, body)
}

#[test]
fn a_path_says_how_it_is_asked() {
    for (url, style) in [
        ("http://h/v1/chat/completions", Some(&CHAT)),
        ("http://h/v1/chat/completions/?x=1", Some(&CHAT)),
        ("http://h/v1/managed-agents/a1/messages", Some(&openjarvis::MANAGED)),
        ("http://h/api/research", Some(&openjarvis::RESEARCH)),
        ("http://h/v1/responses", Some(&model_apis::RESPONSES)),
        ("http://h/v1/responses?stream=true", Some(&enclava::RESPONSES)),
        ("http://h/api/v1/responses", Some(&enclava::RESPONSES)),
        ("http://h/v1/messages", Some(&model_apis::ANTHROPIC)),
        ("http://h/api/chat", Some(&model_apis::OLLAMA)),
        ("http://h/agent", None),
        ("http://h", None),
    ] {
        assert_eq!(RequestKind::from_url(url), style, "{url}");
    }
    assert!(REQUEST_KINDS.into_iter().all(|kind| RequestKind::find(kind.name) == Some(kind)));
}

#[test]
fn the_url_is_used_as_it_is_and_gets_our_headers() {
    let remote = remote(&CHAT, "http://h/odd/path?x=1");
    let (call, body) = asked(&remote, &request(&["hi"]));
    assert_eq!(call.url, "http://h/odd/path?x=1");
    assert_eq!(call.headers.len(), 1);
    assert!(!format!("{call:?}").contains("s3cret"));
    assert_eq!(body["messages"], json!([{"role": "user", "content": "hi"}]));
    assert!(body.get("tools").is_none());
}

#[test]
fn no_message_of_a_conversation_has_null_for_its_text() {
    let call = HistoryCall { call: "c".into(), name: "f".into(), args: "{}".into(), provider_metadata: None };
    let mut request = request(&["hi"]);
    let (text, reasoning) = (String::new(), String::new());
    request.history.push(HistoryMessage::Assistant { text, reasoning, calls: vec![call], provider_metadata: None });
    let (name, output) = ("f".into(), "4".into());
    request.history.push(HistoryMessage::Tool { call: "c".into(), name, output, outcome: CallOutcome::Ok });
    let (_, body) = asked(&remote(&CHAT, "http://h/v1/chat/completions"), &request);
    assert_eq!(body["messages"][1]["content"], "");
    assert_eq!(body["messages"][2]["tool_call_id"], "c");
}

#[test]
fn the_bridge_is_switched_on_by_a_tool_that_does_nothing() {
    let (_, body) = asked(&remote(&openjarvis::BRIDGE, "http://h/v1/chat/completions"), &request(&["hi"]));
    assert_eq!(body["tools"].as_array().unwrap().len(), 1);
    assert_eq!(body["stream"], true);
}

#[test]
fn enclava_gets_one_text_and_is_asked_for_a_stream_in_the_query() {
    let remote = remote(&enclava::RESPONSES, "http://h/api/v1/responses?api_key=k");
    let (call, body) = asked(&remote, &request(&["one", "two"]));
    assert_eq!(call.url, "http://h/api/v1/responses?api_key=k&stream=true");
    assert_eq!(body["input"], "User: one\n\nAssistant: re 1\n\nUser: two");
    let (_, body) = asked(&remote, &request(&["only"]));
    assert_eq!(body["input"], "only");
}

#[test]
fn servers_that_remember_get_only_the_newest_prompt() {
    let two = request(&["one", "two"]);
    let (_, body) = asked(&remote(&openjarvis::MANAGED, "http://h/"), &two);
    assert_eq!(body, json!({"content": "two", "mode": "immediate", "stream": true}));
    let (_, body) = asked(&remote(&openjarvis::RESEARCH, "http://h/"), &two);
    assert_eq!(body, json!({"query": "two", "model": "m"}));
}

#[test]
fn an_agent_is_told_which_context_goes_on() {
    let mut two = request(&["one", "two"]);
    if let Some(HistoryMessage::Assistant { provider_metadata: carry, .. }) = two.history.get_mut(1) {
        *carry = Some(json!({"contextId": "ctx", "taskId": "t1", "other": 1}));
    }
    let (_, body) = asked(&remote(&a2a::V0_3, "http://h/"), &two);
    assert_eq!(body["method"], "message/stream");
    assert_eq!(body["params"]["message"]["contextId"], "ctx");
    assert_eq!(body["params"]["message"]["taskId"], "t1");
    assert_eq!(body["params"]["message"]["parts"], json!([{"kind": "text", "text": "two"}]));
    let (call, body) = asked(&remote(&a2a::V1, "http://h/"), &two);
    assert_eq!(body["method"], "SendStreamingMessage");
    assert_eq!(body["params"]["message"]["role"], "ROLE_USER");
    assert!(call.headers.iter().any(|(name, _)| name == "a2a-version"));
}

#[test]
fn ag_ui_gets_messages_and_tools_in_its_own_words() {
    let mut request = request(&["one", "two"]);
    request.tools.push(ToolSpec {
        name: "clock".into(),
        description: "tells the time".into(),
        parameters: json!({"type": "object"}),
        risk: Risk::ReadOnly,
    });
    let (_, body) = asked(&remote(&ag_ui::RUN, "http://h/agent"), &request);
    assert_eq!(body["threadId"], "th");
    assert_eq!(body["messages"][2]["content"], "two");
    assert_eq!(body["tools"][0]["name"], "clock");
    let ids: std::collections::HashSet<_> =
        body["messages"].as_array().unwrap().iter().map(|message| message["id"].to_string()).collect();
    assert_eq!(ids.len(), 3, "every message has an id of its own");
}

/// Answers by path; everything else is not found.
fn answers(given: &[(&str, Json)]) -> Vec<Result<Json, Fault>> {
    probe::probe_requests("http://h", &[])
        .iter()
        .map(|call| {
            let path = call.url.strip_prefix("http://h").unwrap();
            let known = given.iter().find(|(known, _)| *known == path);
            known.map(|(_, json)| json.clone()).ok_or_else(|| Fault::new(FaultKind::BadRequest, "404"))
        })
        .collect()
}

#[test]
fn a_bare_origin_is_told_by_its_answers() {
    let models = json!({"object": "list", "data": [{"id": "a"}, {"id": "b"}]});
    let tags = json!({"models": [{"name": "q"}]});
    let card = json!({"name": "x", "skills": [], "url": "http://elsewhere:9/rpc", "protocolVersion": "0.3.0"});
    let new_card = json!({"name": "x", "skills": [], "supportedInterfaces": [
        {"url": "https://h/grpc", "protocolBinding": "GRPC"},
        {"url": "https://h/v1rpc", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}]});
    let info = json!({"model": "b", "agent": null, "engine": "ollama"});
    for (given, what, style, url) in [
        (vec![("/v1/info", info), ("/v1/models", models.clone())], "OpenJarvis", &CHAT, "/v1/chat/completions"),
        (vec![("/v1/models", models.clone())], "a server of chat completions", &CHAT, "/v1/chat/completions"),
        (vec![("/api/tags", tags), ("/v1/models", models.clone())], "Ollama", &model_apis::OLLAMA, "/api/chat"),
        (vec![("/api/v1/models", models)], "enclava", &enclava::RESPONSES, "/api/v1/responses"),
        (vec![("/.well-known/agent-card.json", card)], "the A2A agent \"x\"", &a2a::V0_3, "/rpc"),
        (vec![("/.well-known/agent-card.json", new_card)], "the A2A agent \"x\"", &a2a::V1, "/v1rpc"),
    ] {
        let found = identify("http://h/", &answers(&given)).unwrap();
        assert_eq!(found.description, what);
        assert_eq!(
            found.access,
            RemoteAccess::Request { kind: style, url: format!("http://h{url}") },
            "{what}: credentials stay there"
        );
    }
    let given = [("/v1/info", json!({"name": "jarvis-tui"})), ("/v1/sessions", json!({"sessions": [{"id": "s1"}]}))];
    assert_eq!(
        identify("http://h", &answers(&given)).unwrap().access,
        RemoteAccess::Mirror { sessions: vec!["s1".into()] }
    );
}

#[test]
fn an_origin_that_is_nothing_says_what_to_try() {
    let fault = identify("http://h", &answers(&[("/health", json!({"status": "ok"}))])).unwrap_err();
    assert!(fault.message.contains("--request"), "{fault}");
    let mut all = answers(&[]);
    all[1] = Err(Fault::new(FaultKind::Auth, "http://h returned 401; check the token"));
    let fault = identify("http://h", &all).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Auth);
    assert!(fault.message.contains("check the token"), "{fault}");
}

#[test]
fn origins_are_told_from_urls() {
    for url in ["http://h", "http://h:1/", "h:8000", "https://u:p@h/"] {
        assert!(probe::is_origin(url), "{url}");
    }
    for url in ["http://h/v1", "http://h/?x", "h/agent"] {
        assert!(!probe::is_origin(url), "{url}");
    }
}

#[test]
fn every_style_that_asks_has_a_body_of_json() {
    for style in REQUEST_KINDS.into_iter().filter(|kind| kind.takes_prompts()) {
        let (call, body) = asked(&remote(style, "http://h/x"), &request(&["hi"]));
        assert!(body.is_object(), "{}", style.name);
        assert!(call.url.starts_with("http://h/x"), "{}", style.name);
        assert!(body.to_string().contains("hi"), "{}", style.name);
    }
    assert!(matches!(remote(&GET, "http://h/x").plan_reply(&request(&["hi"])), ReplyPlan::Scripted(_)));
    let (call, _) = asked(&remote(&model_apis::ANTHROPIC, "http://h/v1/messages"), &request(&["hi"]));
    assert!(call.headers.iter().any(|(name, _)| name == "anthropic-version"));
}

#[test]
fn a_session_is_known_by_the_url_of_its_events() {
    for url in ["http://h:1/v1/sessions/s1/events?from=3", "http://h:1/v1/sessions/s1/", "http://h:1/v1/sessions/s1"] {
        assert_eq!(probe::session_url(url).as_deref(), Some("http://h:1/v1/sessions/s1"), "{url}");
    }
    for url in ["http://h/v1/sessions", "http://h/v1/sessions/", "http://h/v1/agents/events", "http://h"] {
        assert_eq!(probe::session_url(url), None, "{url}");
    }
}
