mod a2a_agents;
mod decisions;
mod gptme_server;
mod images;
mod opencode_server;
mod probes;

use serde_json::json;

use super::probe::{RemoteAccess, identify};
use super::*;
use crate::dialect::SseFrame;
use crate::engine::{HistoryApproval, HistoryCall, HistoryMessage};
use crate::event::{CallOutcome, Decision, Json, Risk, ToolSpec};
use crate::net::request::{HttpMethod, HttpRequest};

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
        past.push(HistoryMessage::user(*text));
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
        ("http://h/v2/chat", Some(&model_apis::COHERE)),
        ("http://h/chatkit", Some(&chatkit::THREADS)),
        ("http://h/v1/conversations", Some(&mistral::CONVERSATIONS)),
        ("http://h/model/m/converse-stream", Some(&bedrock::CONVERSE)),
        ("http://h/model/m/invoke-with-response-stream", Some(&bedrock::INVOKE)),
        ("http://h/run_sse", Some(&adk::RUN)),
        ("http://h/teams/t/runs", Some(&agno::RUN)),
        ("http://h/v1beta/models/g:streamGenerateContent?alt=sse", Some(&gemini::GENERATE)),
        ("http://h/v1beta/interactions", Some(&gemini_interactions::CREATE)),
        ("http://h/threads/t/runs/stream", Some(&langgraph::RUN)),
        ("http://h/api/agents/a/stream", Some(&mastra::STREAM)),
        ("http://h/chat/1?offset=-1&live=sse", Some(&GET)),
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
    let call =
        HistoryCall { call: "c".into(), name: "f".into(), args: "{}".into(), provider_metadata: None, approval: None };
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
fn cohere_gets_no_field_that_it_does_not_know() {
    let call =
        HistoryCall { call: "c".into(), name: "f".into(), args: "{}".into(), provider_metadata: None, approval: None };
    let mut request = request(&["hi"]);
    let (text, reasoning) = (String::new(), "a plan".into());
    let provider_metadata = Some(json!({"reasoning_content": "a plan"}));
    request.history.push(HistoryMessage::Assistant { text, reasoning, calls: vec![call], provider_metadata });
    let (name, output) = ("f".into(), "4".into());
    request.history.push(HistoryMessage::Tool { call: "c".into(), name, output, outcome: CallOutcome::Ok });
    let (_, body) = asked(&remote(&model_apis::COHERE, "http://h/v2/chat"), &request);
    let function = json!({"name": "f", "arguments": "{}"});
    let messages = json!([
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": "c", "content": "4"},
    ]);
    assert_eq!(body, json!({"model": "m", "messages": messages, "stream": true}));
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

#[test]
fn an_app_of_the_ai_sdk_gets_ui_messages_with_the_calls_that_have_a_result() {
    let call = |id: &str| HistoryCall {
        call: id.into(),
        name: "weather".into(),
        args: r#"{"city":"Paris"}"#.into(),
        provider_metadata: None,
        approval: None,
    };
    let said = |text: &str, calls: Vec<HistoryCall>| HistoryMessage::Assistant {
        text: text.into(),
        reasoning: "Hm.".into(),
        calls,
        provider_metadata: None,
    };
    let result = |id: &str, output: &str, outcome| HistoryMessage::Tool {
        call: id.into(),
        name: "weather".into(),
        output: output.into(),
        outcome,
    };
    let mut request = request(&["one"]);
    request.history.extend([
        said("Let me look.", vec![call("c1"), call("c2"), call("c3")]),
        result("c1", r#"{"temp":12}"#, CallOutcome::Ok),
        result("c2", "no such city", CallOutcome::Failed),
        result("c3", "", CallOutcome::Requested),
        said("It is 12.", Vec::new()),
        HistoryMessage::user("two"),
    ]);
    let (_, body) = asked(&remote(&ai_sdk::CHAT, "http://h/api/chat"), &request);
    assert_eq!((&body["id"], &body["trigger"]), (&json!("th"), &json!("submit-message")));
    assert!(body.get("model").is_none());
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&Json> = messages.iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    let input = json!({"city": "Paris"});
    let parts = json!([
        {"type": "step-start"},
        {"type": "text", "text": "Let me look."},
        {"type": "tool-weather", "toolCallId": "c1", "state": "output-available", "input": input, "output": {"temp": 12}},
        {"type": "tool-weather", "toolCallId": "c2", "state": "output-error", "input": input, "errorText": "no such city"},
        {"type": "step-start"},
        {"type": "text", "text": "It is 12."},
    ]);
    assert_eq!(messages[1]["parts"], parts);
}

/// Answers the preparations of a plan with these, and returns the request that then asks.
fn prepared(remote: &RemoteEngine, request: &ModelRequest, answers: &[Json]) -> (Vec<HttpRequest>, HttpRequest) {
    let (mut before, mut answers) = (Vec::new(), answers.iter());
    loop {
        match remote.plan_reply(request) {
            ReplyPlan::Prepare(made) => {
                before.push(made.request);
                (made.handle)(Ok(answers.next().expect("an answer for each preparation").clone()));
            }
            ReplyPlan::Http { request: call, .. } => return (before, call),
            ReplyPlan::Scripted(_) | ReplyPlan::Computed(_) => panic!("nothing is asked"),
        }
    }
}

fn body_of(call: &HttpRequest) -> Json {
    serde_json::from_slice(call.body.as_deref().unwrap()).unwrap()
}

#[test]
fn a_session_is_made_for_an_app_and_gets_only_what_is_new() {
    let remote = remote(&adk::RUN, "http://h/run_sse");
    let (before, call) = prepared(&remote, &request(&["one"]), &[json!({"id": "s-1", "appName": "m"})]);
    let body = body_of(&call);
    let urls: Vec<&str> = before.iter().map(|call| call.url.as_str()).collect();
    assert_eq!(urls, ["http://h/apps/m/users/user/sessions"]);
    assert_eq!((call.url.as_str(), before[0].headers.len()), ("http://h/run_sse", 1));
    assert_eq!((&body["appName"], &body["sessionId"], &body["streaming"]), (&json!("m"), &json!("s-1"), &json!(true)));
    let (before, call) = prepared(&remote, &request(&["one", "two"]), &[]);
    let body = body_of(&call);
    assert_eq!((before.len(), &body["newMessage"]["parts"]), (0, &json!([{"text": "two"}])));
}

#[test]
fn a_refusal_that_names_fields_changes_the_request_once_unless_the_person_named_it() {
    let refusal = r#"[{"type":"missing","loc":["threadId"]},{"type":"missing","loc":["runId"]}]"#;
    let engine = remote(&CHAT, "http://h/agent");
    let told = engine.replan(refusal).unwrap();
    assert!(told.contains("threadId and runId") && told.contains("--request ag-ui"), "{told}");
    let (_, call) = prepared(&engine, &request(&["one"]), &[]);
    assert_eq!((call.url.as_str(), body_of(&call)["messages"][0]["content"].as_str()), ("http://h/agent", Some("one")));
    assert!(body_of(&call)["threadId"].is_string());
    assert_eq!(engine.replan(refusal), None, "once");
    let named = RemoteTarget { keeps_request_kind: true, ..RemoteTarget::new("r", "http://h/agent", &CHAT) };
    assert_eq!(RemoteEngine::new(named).replan(refusal), None);
    assert_eq!(remote(&CHAT, "http://h/agent").replan(r#"[{"type":"missing","loc":["model"]}]"#), None);
}

#[test]
fn a_thread_is_made_unless_the_address_names_one() {
    let own = remote(&langgraph::RUN, "http://h/runs/stream");
    let (before, call) = prepared(&own, &request(&["one"]), &[json!({"thread_id": "t-1"})]);
    let body = body_of(&call);
    assert_eq!((before[0].url.as_str(), call.url.as_str()), ("http://h/threads", "http://h/threads/t-1/runs/stream"));
    assert_eq!((&body["assistant_id"], &body["input"]["messages"][0]["content"]), (&json!("m"), &json!("one")));
    assert_eq!(body["on_disconnect"], "cancel", "who interrupts stops the run");
    let (_, call) = prepared(&own, &request(&["one", "two"]), &[]);
    assert_eq!(body_of(&call)["input"]["messages"][0]["content"], "two");
    let named = remote(&langgraph::RUN, "http://h/threads/t-9/runs/stream");
    let (before, call) = prepared(&named, &request(&["one", "two"]), &[]);
    assert_eq!((before.len(), call.url.as_str()), (0, "http://h/threads/t-9/runs/stream"));
}

#[test]
fn assistants_and_apps_are_listed_as_models() {
    let query = |kind, url: &str| probe::model_list_query(&RemoteTarget::new("r", url, kind)).unwrap();
    let names =
        |models: Vec<crate::engine::discover::ModelInfo>| models.into_iter().map(|model| model.id).collect::<Vec<_>>();
    let apps = query(&adk::RUN, "http://h/run_sse");
    assert_eq!(apps.requests[0].url, "http://h/list-apps");
    assert_eq!(names(apps.parse_answers(&[Ok(json!(["a", "b"]))]).unwrap()), ["a", "b"]);
    let assistants = query(&langgraph::RUN, "http://h/runs/stream");
    assert_eq!(assistants.requests[0].url, "http://h/assistants/search");
    assert_eq!(assistants.requests[0].body.as_deref(), Some(&b"{}"[..]));
    let list = json!([
        {"assistant_id": "u1", "graph_id": "agent", "name": "agent"},
        {"assistant_id": "u2", "graph_id": "agent", "name": "Shouting agent"},
    ]);
    assert_eq!(names(assistants.parse_answers(&[Ok(list)]).unwrap()), ["agent", "u2"]);
}

#[test]
fn a_bot_of_poe_gets_the_conversation_in_its_roles_and_some_key() {
    let (call, body) = asked(&remote(&poe_bot::QUERY, "http://h/"), &request(&["one", "two"]));
    let said: Vec<_> = body["query"].as_array().unwrap().iter().map(|past| (&past["role"], &past["content"])).collect();
    let wanted = [("user", "one"), ("bot", "re 1"), ("user", "two")].map(|(role, text)| (json!(role), json!(text)));
    assert_eq!(said, wanted.iter().map(|(role, text)| (role, text)).collect::<Vec<_>>());
    assert_eq!((&body["type"], &body["conversation_id"]), (&json!("query"), &json!("th")));
    assert_eq!(call.headers.len(), 1, "the person's key replaces ours");
    let keyless = RemoteEngine::new(RemoteTarget::new("r", "http://h/", &poe_bot::QUERY));
    assert!(asked(&keyless, &request(&["one"])).0.headers.iter().any(|(name, _)| name == "authorization"));
}

#[test]
fn an_agent_of_agno_gets_a_form_with_what_is_new_and_a_session_of_ours() {
    let remote = remote(&agno::RUN, "http://h/agents/a/runs");
    let asked = |prompts: &[&str]| {
        let ReplyPlan::Http { request: call, .. } = remote.plan_reply(&request(prompts)) else { panic!("not asked") };
        let is_form = |(name, value): &(String, HttpHeaderValue)| {
            name == "content-type" && matches!(value, HttpHeaderValue::Plain(kind) if kind.ends_with("urlencoded"))
        };
        assert!(call.headers.iter().any(is_form));
        String::from_utf8(call.body.unwrap().to_vec()).unwrap()
    };
    assert_eq!(asked(&["one & only"]), "message=one+%26+only&stream=true&session_id=th-1");
    assert_eq!(asked(&["one & only", "two"]), "message=two&stream=true&session_id=th-1");
}

#[test]
fn gemini_is_asked_for_events_and_gets_back_what_it_signed() {
    let mut two = request(&["one", "two"]);
    let call = HistoryCall {
        call: "c".into(),
        name: "f".into(),
        args: r#"{"n":1}"#.into(),
        provider_metadata: Some(json!({"thought_signature": "c2ln"})),
        approval: None,
    };
    if let Some(HistoryMessage::Assistant { calls, .. }) = two.history.get_mut(1) {
        calls.push(call);
    }
    let result = |output: &str| HistoryMessage::Tool {
        call: "c".into(),
        name: "f".into(),
        output: output.into(),
        outcome: CallOutcome::Ok,
    };
    two.history.insert(2, result("4"));
    let url = "http://h/v1beta/models/g:streamGenerateContent";
    let (call, body) = asked(&remote(&gemini::GENERATE, url), &two);
    assert_eq!(call.url, format!("{url}?alt=sse"));
    let contents = json!([
        {"role": "user", "parts": [{"text": "one"}]},
        {"role": "model", "parts": [
            {"text": "re 1"},
            {"functionCall": {"name": "f", "args": {"n": 1}}, "thoughtSignature": "c2ln"},
        ]},
        {"role": "user", "parts": [
            {"functionResponse": {"name": "f", "response": {"result": "4"}}},
            {"text": "two"},
        ]},
    ]);
    assert_eq!(body["contents"], contents);
    let (call, _) = asked(&remote(&gemini::GENERATE, &format!("{url}?alt=sse&key=k")), &two);
    assert_eq!(call.url, format!("{url}?alt=sse&key=k"));
}

#[test]
fn an_interaction_gets_the_conversation_in_steps_and_an_agent_is_no_model() {
    let mut two = request(&["one", "two"]);
    let provider_metadata = Some(json!({"thought_signature": "c2ln"}));
    let call = HistoryCall {
        call: "c".into(),
        name: "f".into(),
        args: r#"{"n":1}"#.into(),
        provider_metadata,
        approval: None,
    };
    if let Some(HistoryMessage::Assistant { calls, .. }) = two.history.get_mut(1) {
        calls.push(call);
    }
    let (name, output) = ("f".into(), "no".into());
    two.history.insert(2, HistoryMessage::Tool { call: "c".into(), name, output, outcome: CallOutcome::Failed });
    let remote = remote(&gemini_interactions::CREATE, "http://h/v1beta/interactions");
    let (_, body) = asked(&remote, &two);
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    let steps = json!([
        {"type": "user_input", "content": text("one")},
        {"type": "model_output", "content": text("re 1")},
        {"type": "thought", "signature": "c2ln"},
        {"type": "function_call", "id": "c", "name": "f", "arguments": {"n": 1}},
        {"type": "function_result", "call_id": "c", "name": "f", "result": "no", "is_error": true},
        {"type": "user_input", "content": text("two")},
    ]);
    assert_eq!(body, json!({"model": "m", "input": steps, "stream": true}));
    let (_, body) = asked(&remote, &ModelRequest { model: "agents/deep-research".into(), ..request(&["one"]) });
    assert_eq!((&body["agent"], body.get("model")), (&json!("deep-research"), None));
}

/// Two prompts with a call of the model and its failed result between them.
fn request_with_a_failed_call() -> ModelRequest {
    let mut two = request(&["one", "two"]);
    let call = HistoryCall {
        call: "c".into(),
        name: "f".into(),
        args: r#"{"n":1}"#.into(),
        provider_metadata: None,
        approval: None,
    };
    if let Some(HistoryMessage::Assistant { calls, .. }) = two.history.get_mut(1) {
        calls.push(call);
    }
    let (name, output) = ("f".into(), "no".into());
    two.history.insert(2, HistoryMessage::Tool { call: "c".into(), name, output, outcome: CallOutcome::Failed });
    two.system = "be brief".into();
    two
}

#[test]
fn mistral_gets_the_conversation_as_entries_and_keeps_nothing() {
    let remote = remote(&mistral::CONVERSATIONS, "http://h/v1/conversations");
    let (_, body) = asked(&remote, &request_with_a_failed_call());
    let inputs = json!([
        {"type": "message.input", "role": "user", "content": "one"},
        {"type": "message.output", "role": "assistant", "content": "re 1"},
        {"type": "function.call", "tool_call_id": "c", "name": "f", "arguments": r#"{"n":1}"#},
        {"type": "function.result", "tool_call_id": "c", "result": "error: no"},
        {"type": "message.input", "role": "user", "content": "two"},
    ]);
    assert_eq!(body["inputs"], inputs);
    assert_eq!(
        (&body["model"], &body["instructions"], &body["store"]),
        (&json!("m"), &json!("be brief"), &json!(false))
    );
    let agent = ModelRequest { model: "agents/ag_1".into(), ..request_with_a_failed_call() };
    let (_, body) = asked(&remote, &agent);
    assert_eq!((&body["agent_id"], body.get("model"), body.get("instructions")), (&json!("ag_1"), None, None));
}

#[test]
fn bedrock_gets_turns_of_blocks_or_the_body_of_the_model_itself() {
    let request = request_with_a_failed_call();
    let (_, body) = asked(&remote(&bedrock::CONVERSE, "http://h/model/m/converse-stream"), &request);
    let result = json!({"toolUseId": "c", "content": [{"text": "no"}], "status": "error"});
    let messages = json!([
        {"role": "user", "content": [{"text": "one"}]},
        {"role": "assistant", "content": [
            {"text": "re 1"},
            {"toolUse": {"toolUseId": "c", "name": "f", "input": {"n": 1}}},
        ]},
        {"role": "user", "content": [{"toolResult": result}, {"text": "two"}]},
    ]);
    assert_eq!(body, json!({"messages": messages, "system": [{"text": "be brief"}]}));
    let (_, body) = asked(&remote(&bedrock::INVOKE, "http://h/model/m/invoke-with-response-stream"), &request);
    assert_eq!(body["anthropic_version"], "bedrock-2023-05-31");
    assert_eq!((body.get("model"), body.get("stream"), body["messages"].as_array().unwrap().len()), (None, None, 3));
}

#[test]
fn a_thread_of_chatkit_goes_on_with_prompts_and_with_results() {
    let remote = remote(&chatkit::THREADS, "http://h/chatkit");
    let (_, body) = asked(&remote, &request(&["one"]));
    assert_eq!(
        (&body["type"], body.pointer("/params/input/content/0/text")),
        (&json!("threads.create"), Some(&json!("one")))
    );
    let mut two = request(&["one", "two"]);
    if let Some(HistoryMessage::Assistant { provider_metadata, .. }) = two.history.get_mut(1) {
        *provider_metadata = Some(json!({"thread_id": "thr_1"}));
    }
    let (_, body) = asked(&remote, &two);
    assert_eq!((&body["type"], &body["params"]["thread_id"]), (&json!("threads.add_user_message"), &json!("thr_1")));
    assert_eq!(body["params"]["input"]["content"][0]["text"], "two");
    let (name, output) = ("f".into(), r#"{"n":4}"#.into());
    two.history.push(HistoryMessage::Tool { call: "c".into(), name, output, outcome: CallOutcome::Ok });
    let (_, body) = asked(&remote, &two);
    let params = json!({"thread_id": "thr_1", "result": {"n": 4}});
    assert_eq!(body, json!({"type": "threads.add_client_tool_output", "params": params}));
}

#[test]
fn an_agent_on_mastra_is_given_no_model() {
    let (_, body) = asked(&remote(&mastra::STREAM, "http://h/api/agents/a/stream"), &request(&["one", "two"]));
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(3));
    assert!(body.get("model").is_none());
}

#[test]
fn every_style_that_asks_puts_the_prompt_to_its_address() {
    // The side channel of opencode's events has the prompt.
    for style in REQUEST_KINDS.into_iter().filter(|kind| kind.takes_prompts() && **kind != opencode::PROMPT) {
        let made = json!({"id": "i", "thread_id": "t", "conversation_id": "c"});
        let (before, call) = prepared(&remote(style, "http://h/x"), &request(&["hi"]), &[made.clone(), made]);
        assert!(call.url.starts_with("http://h/x"), "{}", style.name);
        let has_prompt =
            |call: &HttpRequest| call.body.as_ref().is_some_and(|body| String::from_utf8_lossy(body).contains("hi"));
        assert!(before.iter().chain([&call]).any(has_prompt), "{}", style.name);
    }
}
