use super::*;
use crate::engine::HistoryApproval;
use crate::event::{CallOutcome, Effort, ReplyEvent};
use crate::testkit::engine::{clock, formatted_requests, sampling};

fn engine(base: &str) -> ResponsesEngine {
    ResponsesEngine::new("openai-responses".into(), base, None)
}

fn body_of(request: &ModelRequest) -> Json {
    let ReplyPlan::Http { request: call, .. } = engine("http://h").plan_reply(request) else { panic!("no call") };
    serde_json::from_slice(&call.body.unwrap()).unwrap()
}

fn request(past: Vec<HistoryMessage>) -> ModelRequest {
    ModelRequest { model: "gpt-5".into(), history: past, ..ModelRequest::default() }
}

fn past_call(id: &str, args: &str, metadata: Option<Json>) -> HistoryCall {
    HistoryCall {
        call: id.into(),
        name: "clock".into(),
        args: args.into(),
        provider_metadata: metadata,
        approval: None,
    }
}

fn output(id: &str, output: &str, outcome: CallOutcome) -> HistoryMessage {
    HistoryMessage::Tool { call: id.into(), name: "clock".into(), output: output.into(), outcome }
}

fn said(text: &str, calls: Vec<HistoryCall>, metadata: Option<Json>) -> HistoryMessage {
    HistoryMessage::Assistant { text: text.into(), reasoning: "not sent".into(), calls, provider_metadata: metadata }
}

#[test]
fn every_form_of_a_base_url_leads_to_the_same_place() {
    let cases = [
        ("https://api.openai.com", "https://api.openai.com/v1/responses"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/responses"),
        ("https://api.openai.com/v1/responses", "https://api.openai.com/v1/responses"),
        ("https://x.org/openai/v1?api-version=2", "https://x.org/openai/v1/responses?api-version=2"),
        ("localhost:1234", "http://localhost:1234/v1/responses"),
    ];
    for (given, url) in cases {
        assert_eq!(engine(given).url(), url, "{given}");
    }
    assert_eq!(engine("http://h/v1").model_list_query().unwrap().requests[0].url, "http://h/v1/models");
}

#[test]
fn a_short_request_has_only_what_it_needs() {
    assert_eq!(
        body_of(&ModelRequest { model: "gpt-4.1-mini".into(), ..request(vec![HistoryMessage::user("hi")]) }),
        json!({
            "model": "gpt-4.1-mini",
            "input": [{"type": "message", "role": "user", "content": "hi"}],
            "stream": true,
            "store": false,
        })
    );
}

#[test]
fn reasoning_is_asked_for_where_it_can_be() {
    for model in ["gpt-5", "o3-mini", "openai/gpt-oss-20b", "qwen3"] {
        assert_eq!(
            body_of(&ModelRequest { model: model.into(), ..request(vec![]) })["include"],
            json!(["reasoning.encrypted_content"])
        );
    }
    for model in ["gpt-4o", "openai/gpt-4.1", "ft:gpt-4o:me", "gpt-5-chat-latest", "chatgpt-4o-latest"] {
        assert_eq!(body_of(&ModelRequest { model: model.into(), ..request(vec![]) })["include"], Json::Null, "{model}");
    }
}

#[test]
fn a_conversation_with_tools_is_sent_whole() {
    let request = ModelRequest {
        system: "be brief".into(),
        tools: vec![clock()],
        sampling: sampling(),
        ..request(vec![
            HistoryMessage::user("time?"),
            said(
                "Let me see.",
                vec![
                    past_call("a", "{\"zone\": \"UTC\"}", None),
                    past_call("b", "", None),
                    past_call("c", "{\"zo", None),
                ],
                None,
            ),
            output("a", "12:00", CallOutcome::Ok),
            output("b", "no zone", CallOutcome::Failed),
            output("c", "not now", CallOutcome::Denied),
            said("noon", vec![], Some(json!({"reasoning_content": "of another server"}))),
        ])
    };
    assert_eq!(
        body_of(&request),
        json!({
            "model": "gpt-5",
            "instructions": "be brief",
            "input": [
                {"type": "message", "role": "user", "content": "time?"},
                {"type": "message", "role": "assistant", "content": "Let me see."},
                {"type": "function_call", "call_id": "a", "name": "clock", "arguments": "{\"zone\": \"UTC\"}"},
                {"type": "function_call", "call_id": "b", "name": "clock", "arguments": "{}"},
                {"type": "function_call", "call_id": "c", "name": "clock", "arguments": "{\"malformed_arguments\":\"{\\\"zo\"}"},
                {"type": "function_call_output", "call_id": "a", "output": "12:00"},
                {"type": "function_call_output", "call_id": "b", "output": "error: no zone"},
                {"type": "function_call_output", "call_id": "c", "output": "(denied) not now"},
                {"type": "message", "role": "assistant", "content": "noon"},
            ],
            "stream": true,
            "store": false,
            "tools": [{"type": "function", "name": "clock", "description": "Tells the time", "parameters": {"type": "object"}, "strict": false}],
            "max_output_tokens": 100,
            "temperature": 0.5,
            "top_p": 0.25,
            "tool_choice": "required",
            "include": ["reasoning.encrypted_content"],
        })
    );
}

fn reasoning(text: &str) -> Json {
    json!({"type": "reasoning", "summary": [], "encrypted_content": text})
}

fn metadata(model: &str) -> Json {
    json!({"responses": {"model": model, "items": [
        reasoning("A"),
        {"type": "message", "phase": "commentary"},
        reasoning("B"),
        {"type": "function_call", "id": "fc_1"},
    ]}})
}

fn was(id: &str) -> Json {
    json!({"item_id": id})
}

#[test]
fn reasoning_goes_back_where_it_stood() {
    let past = vec![
        said("Hm.", vec![past_call("a_2", "{}", Some(was("fc_1")))], Some(metadata("gpt-5-2025-08-07"))),
        output("a_2", "noon", CallOutcome::Ok),
    ];
    assert_eq!(
        body_of(&request(past))["input"],
        json!([
            reasoning("A"),
            {"type": "message", "role": "assistant", "content": "Hm.", "phase": "commentary"},
            reasoning("B"),
            {"type": "function_call", "call_id": "a_2", "name": "clock", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "a_2", "output": "noon"},
        ])
    );
}

#[test]
fn reasoning_whose_call_is_gone_is_gone_too() {
    // A cancelled turn leaves out the calls that have no output.
    assert_eq!(
        body_of(&request(vec![said("Hm.", vec![], Some(metadata("gpt-5")))]))["input"],
        json!([reasoning("A"), {"type": "message", "role": "assistant", "content": "Hm.", "phase": "commentary"}])
    );
}

#[test]
fn another_model_gets_no_reasoning() {
    for model in ["gpt-5-mini", "o3", "gpt-5.1"] {
        let past = vec![said("Hm.", vec![past_call("a", "{}", Some(was("fc_1")))], Some(metadata(model)))];
        assert_eq!(
            body_of(&request(past))["input"],
            json!([
                {"type": "message", "role": "assistant", "content": "Hm."},
                {"type": "function_call", "call_id": "a", "name": "clock", "arguments": "{}"},
            ]),
            "{model}"
        );
    }
}

#[test]
fn a_custom_call_goes_back_as_text() {
    let past = vec![
        said("", vec![past_call("a", "{\"input\":\"select \\\"x\\\"\"}", Some(json!({"custom": true})))], None),
        output("a", "1", CallOutcome::Ok),
    ];
    assert_eq!(
        body_of(&request(past))["input"],
        json!([
            {"type": "custom_tool_call", "call_id": "a", "name": "clock", "input": "select \"x\""},
            {"type": "custom_tool_call_output", "call_id": "a", "output": "1"},
        ])
    );
}

#[test]
fn what_the_decoder_carries_is_what_goes_back() {
    let output = json!([
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "A"},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "clock", "arguments": "{}", "status": "completed"},
    ]);
    let end = json!({"type": "response.completed", "response": {"model": "deployed-as-x", "status": "completed", "output": output}});
    let ReplyPlan::Http { mut decode, .. } = engine("http://h").plan_reply(&request(vec![])) else { panic!("no call") };
    let mut events = Vec::new();
    decode.decode_frame(&crate::dialect::SseFrame::data(end.to_string()), &mut events);
    decode.finish(&mut events);
    let (mut message, mut ready) = (None, None);
    for event in events {
        match event {
            ReplyEvent::MessageFinished { provider_metadata: metadata, .. } => message = metadata,
            ReplyEvent::ToolCallReady { provider_metadata: metadata, .. } => ready = metadata,
            _ => {}
        }
    }
    let items = body_of(&request(vec![said("", vec![past_call("call_1", "{}", ready)], message)]))["input"].clone();
    assert_eq!(
        items,
        json!([reasoning("A"), {"type": "function_call", "call_id": "call_1", "name": "clock", "arguments": "{}"}])
    );
}

#[test]
fn a_key_travels_as_a_secret_bearer() {
    let keyed = ResponsesEngine::new("x".into(), "http://h", Some("sk-1 \n".into()));
    let [(name, HttpHeaderValue::Secret(secret))] = &keyed.headers()[..] else { panic!("no secret") };
    assert_eq!((name.as_str(), secret.expose_secret()), ("authorization", "Bearer sk-1"));
    assert!(!format!("{keyed:?}").contains("sk-1"));
}

#[test]
fn the_decision_about_an_mcp_call_follows_its_request_until_there_is_a_result() {
    let asked = json!({"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "dice", "name": "roll",
        "arguments": "{}"});
    let call = |decision: Decision| HistoryCall {
        approval: Some(HistoryApproval { request: asked.clone(), decision: Some(decision) }),
        ..past_call("mcpr_1", "{}", None)
    };
    let prompt = HistoryMessage::user("roll");
    for (decision, answer) in [
        (Decision::Session, json!({"approve": true})),
        (Decision::Deny(Some("no".into())), json!({"approve": false, "reason": "no"})),
    ] {
        let past = vec![prompt.clone(), said("", vec![call(decision)], None)];
        let input = body_of(&request(past.clone()))["input"].take();
        let mut response = answer;
        response["type"] = "mcp_approval_response".into();
        response["approval_request_id"] = "mcpr_1".into();
        assert_eq!(input.as_array().unwrap()[1..], [asked.clone(), response]);
        // Approved again, it would run again.
        let ran = [past, vec![output("mcpr_1", "7", CallOutcome::Ok)]].concat();
        let input = body_of(&request(ran))["input"].take();
        let kinds: Vec<&str> = input.as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["message", "function_call", "function_call_output"]);
    }
}

#[test]
fn images_stand_beside_the_text_as_input_parts() {
    let image = PromptImage::new(crate::testkit::images::PNG_2X3).unwrap();
    let past = |text: &str| vec![HistoryMessage::User { text: text.into(), images: vec![image.clone()] }];
    let part = json!({"type": "input_image", "detail": "auto", "image_url": image.data_url()});
    let text = json!({"type": "input_text", "text": "what is it?"});
    assert_eq!(
        body_of(&request(past("what is it?")))["input"],
        json!([{"type": "message", "role": "user", "content": [text, part]}])
    );
}

#[test]
fn the_effort_is_sent_where_one_is_set() {
    let mut asked = request(vec![]);
    assert_eq!(body_of(&asked).get("reasoning"), None);
    asked.sampling.effort = Some(Effort::Xhigh);
    assert_eq!(body_of(&asked)["reasoning"], json!({"effort": "xhigh"}));
}

#[test]
fn a_format_is_that_of_the_text() {
    let [schema, json] = formatted_requests().map(|request| body_of(&request)["text"]["format"].take());
    let named = json!({"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true});
    assert_eq!((schema, json), (named, json!({"type": "json_object"})));
}
