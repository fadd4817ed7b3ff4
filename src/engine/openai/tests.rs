use super::*;
use crate::event::Effort;
use crate::testkit::engine::{clock, formatted_requests, sampling};

fn engine(base: &str) -> OpenAiEngine {
    OpenAiEngine::new("openai".into(), base, None)
}

fn body(engine: &OpenAiEngine, request: &ModelRequest) -> Json {
    let ReplyPlan::Http { request: call, .. } = engine.plan_reply(request) else { panic!("no call") };
    serde_json::from_slice(&call.body.unwrap()).unwrap()
}

#[test]
fn every_form_of_a_base_url_leads_to_the_same_place() {
    let cases = [
        ("https://api.openai.com", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1", "https://api.openai.com/v1/chat/completions"),
        (" https://api.openai.com/v1/ ", "https://api.openai.com/v1/chat/completions"),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        ("https://api.perplexity.ai/chat/completions", "https://api.perplexity.ai/chat/completions"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1/chat/completions"),
        ("https://x.org/v1beta/openai/", "https://x.org/v1beta/openai/chat/completions"),
        ("https://x.org/v1?api-version=2", "https://x.org/v1/chat/completions?api-version=2"),
        ("localhost:8000", "http://localhost:8000/v1/chat/completions"),
        ("192.168.1.7:8080/v1", "http://192.168.1.7:8080/v1/chat/completions"),
        ("api.groq.com/openai/v1", "https://api.groq.com/openai/v1/chat/completions"),
    ];
    for (given, url) in cases {
        assert_eq!(engine(given).url(), url, "{given}");
    }
    assert_eq!(engine("http://h/v1").model_list_query().unwrap().requests[0].url, "http://h/v1/models");
}

#[test]
fn a_short_request_has_only_what_every_server_takes() {
    let request =
        ModelRequest { model: "m".into(), history: vec![HistoryMessage::user("hi")], ..ModelRequest::default() };
    assert_eq!(
        body(&engine("http://h"), &request),
        json!({
            "model": "m",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": true,
            "stream_options": {"include_usage": true},
        })
    );
}

#[test]
fn a_conversation_with_tools_is_sent_whole() {
    let call = |id: &str, args: &str, metadata| HistoryCall {
        call: id.into(),
        name: "clock".into(),
        args: args.into(),
        provider_metadata: metadata,
        approval: None,
    };
    let tool = |id: &str, output: &str, outcome| HistoryMessage::Tool {
        call: id.into(),
        name: "clock".into(),
        output: output.into(),
        outcome,
    };
    let request = ModelRequest {
        model: "m".into(),
        system: "be brief".into(),
        history: vec![
            HistoryMessage::user("time?"),
            HistoryMessage::Assistant {
                text: String::new(),
                reasoning: "hm".into(),
                calls: vec![
                    call(
                        "a",
                        "{\"zone\": \"UTC\"}",
                        Some(json!({"extra_content": {"google": {"thought_signature": "s"}}})),
                    ),
                    call("b", "", None),
                    call("c", "{\"zone", None),
                ],
                provider_metadata: Some(json!({"reasoning_content": "hm", "role": "ignored"})),
            },
            tool("a", "12:00", CallOutcome::Ok),
            tool("b", "no zone", CallOutcome::Failed),
            tool("c", "not now", CallOutcome::Denied),
            HistoryMessage::Assistant {
                text: "noon".into(),
                reasoning: String::new(),
                calls: vec![],
                provider_metadata: None,
            },
        ],
        tools: vec![clock()],
        sampling: sampling(),
        output_format: None,
    };
    let function = |args: &str| json!({"name": "clock", "arguments": args});
    assert_eq!(
        body(&engine("http://h"), &request),
        json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "time?"},
                {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                    {"id": "a", "type": "function", "function": function("{\"zone\": \"UTC\"}"),
                        "extra_content": {"google": {"thought_signature": "s"}}},
                    {"id": "b", "type": "function", "function": function("{}")},
                    {"id": "c", "type": "function", "function": function("{\"malformed_arguments\":\"{\\\"zone\"}")},
                ]},
                {"role": "tool", "tool_call_id": "a", "content": "12:00"},
                {"role": "tool", "tool_call_id": "b", "content": "error: no zone"},
                {"role": "tool", "tool_call_id": "c", "content": "(denied) not now"},
                {"role": "assistant", "content": "noon"},
            ],
            "stream": true,
            "stream_options": {"include_usage": true},
            "tools": [{"type": "function", "function": {"name": "clock", "description": "Tells the time", "parameters": {"type": "object"}}}],
            "max_tokens": 100,
            "temperature": 0.5,
            "top_p": 0.25,
            "tool_choice": "required",
        })
    );
}

#[test]
fn the_output_limit_has_the_name_the_server_knows() {
    let tuning = SamplingParams { max_output_tokens: Some(9), tool_choice_required: true, ..SamplingParams::default() };
    let request = ModelRequest { sampling: tuning, ..ModelRequest::default() };
    assert_eq!(body(&engine("https://api.openai.com"), &request)["max_completion_tokens"], 9);
    assert_eq!(body(&engine("http://h"), &request).get("tool_choice"), None, "there is no tool to choose");
}

#[test]
fn a_key_travels_as_a_secret_bearer_and_an_empty_one_not_at_all() {
    let keyed = OpenAiEngine::new("openai".into(), "http://h", Some("sk-1 \n".into()));
    let [(name, HttpHeaderValue::Secret(secret))] = &keyed.headers()[..] else { panic!("no secret") };
    assert_eq!((name.as_str(), secret.expose_secret()), ("authorization", "Bearer sk-1"));
    assert!(OpenAiEngine::new("openai".into(), "http://h", Some(" ".into())).headers().is_empty());
}

#[test]
fn images_stand_beside_the_text_as_parts() {
    let image = PromptImage::new(crate::testkit::images::PNG_2X3).unwrap();
    let past = |text: &str| vec![HistoryMessage::User { text: text.into(), images: vec![image.clone()] }];
    let messages = |text: &str| {
        let request = ModelRequest { history: past(text), ..ModelRequest::default() };
        body(&engine("http://h"), &request)["messages"].clone()
    };
    let part = json!({"type": "image_url", "image_url": {"url": image.data_url()}});
    let text = json!({"type": "text", "text": "what is it?"});
    assert_eq!(messages("what is it?"), json!([{"role": "user", "content": [text, part]}]));
    assert_eq!(messages(""), json!([{"role": "user", "content": [part]}]));
}

#[test]
fn the_effort_is_sent_where_one_is_set() {
    let mut asked = ModelRequest { model: "gpt-5".into(), ..ModelRequest::default() };
    assert_eq!(body(&engine("http://h"), &asked).get("reasoning_effort"), None);
    asked.sampling.effort = Some(Effort::Minimal);
    assert_eq!(body(&engine("http://h"), &asked)["reasoning_effort"], "minimal");
}

#[test]
fn a_format_is_the_response_format() {
    let [schema, json] =
        formatted_requests().map(|request| body(&engine("http://h"), &request)["response_format"].take());
    let named = json!({"name": "n", "schema": {"type": "object"}, "strict": true});
    assert_eq!(schema, json!({"type": "json_schema", "json_schema": named}));
    assert_eq!(json, json!({"type": "json_object"}));
}
