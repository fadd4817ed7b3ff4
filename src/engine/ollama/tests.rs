use secrecy::ExposeSecret;

use super::*;
use crate::event::CallOutcome;
use crate::net::request::HttpHeaderValue;
use crate::testkit::engine::{clock, formatted_requests, sampling};

#[test]
fn a_conversation_with_tools_is_sent_whole() {
    let request = ModelRequest {
        model: "qwen3".into(),
        system: "be brief".into(),
        history: vec![
            HistoryMessage::user("time?"),
            HistoryMessage::Assistant {
                text: String::new(),
                reasoning: "hm".into(),
                calls: vec![HistoryCall {
                    call: "a".into(),
                    name: "clock".into(),
                    args: "{\"zone\":\"UTC\"}".into(),
                    provider_metadata: None,
                    approval: None,
                }],
                provider_metadata: None,
            },
            HistoryMessage::Tool {
                call: "a".into(),
                name: "clock".into(),
                output: "12:00".into(),
                outcome: CallOutcome::Ok,
            },
            HistoryMessage::Assistant {
                text: "noon".into(),
                reasoning: "easy".into(),
                calls: vec![],
                provider_metadata: None,
            },
        ],
        tools: vec![clock()],
        sampling: sampling(),
        output_format: None,
    };
    let engine = OllamaEngine::new("ollama".into(), "").with_context_window(Some(16384));
    let ReplyPlan::Http { request: call, .. } = engine.plan_reply(&request) else { panic!("no call") };
    assert_eq!((call.url.as_str(), call.framing), ("http://127.0.0.1:11434/api/chat", Framing::Ndjson));
    assert_eq!(
        serde_json::from_slice::<Json>(&call.body.unwrap()).unwrap(),
        json!({
            "model": "qwen3",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": "time?"},
                {"role": "assistant", "content": "", "thinking": "hm",
                    "tool_calls": [{"id": "a", "function": {"name": "clock", "arguments": {"zone": "UTC"}}}]},
                {"role": "tool", "content": "12:00", "tool_name": "clock", "tool_call_id": "a"},
                {"role": "assistant", "content": "noon"},
            ],
            "stream": true,
            "tools": [{"type": "function", "function": {"name": "clock", "description": "Tells the time", "parameters": {"type": "object"}}}],
            "options": {"num_predict": 100, "temperature": 0.5, "top_p": 0.25, "num_ctx": 16384},
        })
    );
}

#[test]
fn a_short_request_leaves_everything_to_the_server() {
    let request =
        ModelRequest { model: "m".into(), history: vec![HistoryMessage::user("hi")], ..ModelRequest::default() };
    assert_eq!(
        OllamaEngine::new("ollama".into(), "").body(&request),
        json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true})
    );
}

#[test]
fn a_key_goes_with_every_request() {
    let engine =
        OllamaEngine::new("ollama".into(), "https://ollama.com").with_key(Some("k-12345678".to_owned().into()));
    let ReplyPlan::Http { request: call, .. } = engine.plan_reply(&ModelRequest::default()) else { panic!("no call") };
    let mut calls = vec![call];
    calls.extend(engine.model_list_query().unwrap().requests);
    calls.extend(engine.show_requests("qwen3"));
    for call in calls {
        let [(name, HttpHeaderValue::Secret(value))] = &call.headers[..] else { panic!("{:?}", call.headers) };
        assert_eq!((name.as_str(), value.expose_secret()), ("authorization", "Bearer k-12345678"));
    }
}

#[test]
fn images_stand_beside_the_text_as_their_bytes() {
    let image = PromptImage::new(crate::testkit::images::PNG_2X3).unwrap();
    let past = |text: &str| vec![HistoryMessage::User { text: text.into(), images: vec![image.clone()] }];
    let request = ModelRequest { model: "m".into(), history: past("what is it?"), ..ModelRequest::default() };
    assert_eq!(
        OllamaEngine::new("ollama".into(), "").body(&request)["messages"],
        json!([{"role": "user", "content": "what is it?", "images": [image.base64()]}])
    );
}

#[test]
fn thinking_is_switched_or_has_levels() {
    let think = |effort: Option<Effort>| {
        let mut request = ModelRequest { model: "m".into(), ..ModelRequest::default() };
        request.sampling.effort = effort;
        OllamaEngine::new("ollama".into(), "").body(&request).get("think").cloned()
    };
    assert_eq!(think(None), None);
    assert_eq!(
        [Effort::None, Effort::On, Effort::High].map(|effort| think(Some(effort)).unwrap()),
        [json!(false), json!(true), json!("high"),]
    );
}

#[test]
fn a_format_is_the_schema_itself() {
    let formats =
        formatted_requests().map(|request| OllamaEngine::new("ollama".into(), "").body(&request)["format"].take());
    assert_eq!(formats, [json!({"type": "object"}), json!("json")]);
}
