//! Tests of what the answers at a bare address tell.

use super::*;

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
        (vec![("/.well-known/agent-card.json", card.clone())], "the A2A agent \"x\"", &a2a::V0_3, "/rpc"),
        (
            vec![("/info", json!({"version": "1.75.0", "agents": {"stub": {}, "default": {}}}))],
            "CopilotKit's agent \"default\"",
            &ag_ui::RUN,
            "/agent/default/run",
        ),
        (vec![("/list-apps", json!(["stub"]))], "Google ADK", &adk::RUN, "/run_sse"),
        (
            vec![("/info", json!({"version": "0.16.7", "flags": {"assistants": true}}))],
            "LangGraph",
            &langgraph::RUN,
            "/runs/stream",
        ),
        (
            vec![("/agents", json!([{"id": "a", "name": "A", "model": {}}]))],
            "Agno's agent \"a\"",
            &agno::RUN,
            "/agents/a/runs",
        ),
        (
            vec![("/api/agents", json!({"b": {"name": "B", "instructions": ""}}))],
            "Mastra's agent \"b\"",
            &mastra::STREAM,
            "/api/agents/b/stream",
        ),
        (
            vec![
                ("/.well-known/agent-card.json", card.clone()),
                ("/api/v2", json!({"message": "gptme v2 API", "version": "0.35.1"})),
            ],
            "gptme 0.35.1",
            &gptme::STEP,
            "/api/v2/conversations",
        ),
        (
            vec![("/global/health", json!({"healthy": true, "version": "1.18.33"}))],
            "opencode 1.18.33",
            &opencode::PROMPT,
            "/session",
        ),
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
fn a_session_is_known_by_the_url_of_its_events() {
    for url in ["http://h:1/v1/sessions/s1/events?from=3", "http://h:1/v1/sessions/s1/", "http://h:1/v1/sessions/s1"] {
        assert_eq!(probe::session_url(url).as_deref(), Some("http://h:1/v1/sessions/s1"), "{url}");
    }
    for url in ["http://h/v1/sessions", "http://h/v1/sessions/", "http://h/v1/agents/events", "http://h"] {
        assert_eq!(probe::session_url(url), None, "{url}");
    }
}
