use super::*;
use crate::engine::{HistoryCall, HistoryMessage};
use crate::event::{CallId, CallOutcome};
use crate::testkit::engine::{clock, formatted_requests, sampling};

fn engine(base: &str) -> AnthropicEngine {
    AnthropicEngine::new("anthropic".into(), base, AnthropicAuth::None)
}

fn messages(past: Vec<HistoryMessage>) -> Json {
    let request = ModelRequest { model: "m".into(), history: past, ..ModelRequest::default() };
    engine("https://h").body(&request)["messages"].clone()
}

fn user(text: &str) -> HistoryMessage {
    HistoryMessage::user(text)
}

fn assistant(text: &str, calls: Vec<HistoryCall>, carry: Option<Json>) -> HistoryMessage {
    HistoryMessage::Assistant { text: text.into(), reasoning: "never sent".into(), calls, provider_metadata: carry }
}

fn call(id: &str, args: &str, carry: Option<Json>) -> HistoryCall {
    HistoryCall { call: id.into(), name: "clock".into(), args: args.into(), provider_metadata: carry, approval: None }
}

fn tool(id: &str, output: &str, outcome: CallOutcome) -> HistoryMessage {
    HistoryMessage::Tool { call: CallId::from(id), name: "clock".into(), output: output.into(), outcome }
}

#[test]
fn every_form_of_a_base_url_leads_to_the_same_place() {
    let cases = [
        ("https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        (" https://api.anthropic.com/ ", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1/messages", "https://api.anthropic.com/v1/messages"),
        ("https://h.example/anthropic", "https://h.example/anthropic/v1/messages"),
        ("http://127.0.0.1:4000?beta=true", "http://127.0.0.1:4000/v1/messages?beta=true"),
        ("api.anthropic.com", "https://api.anthropic.com/v1/messages"),
    ];
    for (given, url) in cases {
        assert_eq!(engine(given).url(), url, "{given}");
    }
    assert_eq!(engine("http://h/v1").model_list_query().unwrap().requests[0].url, "http://h/v1/models?limit=1000");
}

#[test]
fn a_request_with_tools_has_every_field_the_server_wants() {
    let request = ModelRequest {
        model: "claude-sonnet-4-5".into(),
        system: "be brief".into(),
        history: vec![user("time?")],
        tools: vec![clock()],
        sampling: SamplingParams { max_output_tokens: None, ..sampling() },
        output_format: None,
    };
    assert_eq!(
        engine("https://h").body(&request),
        json!({
            "model": "claude-sonnet-4-5",
            "max_tokens": 32_000,
            "messages": [{"role": "user", "content": "time?"}],
            "stream": true,
            "system": "be brief",
            "tools": [{"name": "clock", "description": "Tells the time", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any"},
            "temperature": 0.5,
            "top_p": 0.25,
        })
    );
}

#[test]
fn results_of_one_round_are_one_message_in_order() {
    let sent = messages(vec![
        user("time?"),
        assistant("Let me see. ", vec![call("a", "{\"zone\": \"UTC\"}", None), call("b.2", "", None)], None),
        tool("a", "12:00", CallOutcome::Ok),
        tool("b.2", "no zone", CallOutcome::Failed),
        user("and?"),
        assistant("noon", vec![], None),
    ]);
    assert_eq!(
        sent,
        json!([
            {"role": "user", "content": "time?"},
            {"role": "assistant", "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "a", "name": "clock", "input": {"zone": "UTC"}},
                {"type": "tool_use", "id": "b_2", "name": "clock", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "12:00"},
                {"type": "tool_result", "tool_use_id": "b_2", "content": "error: no zone", "is_error": true},
                {"type": "text", "text": "and?"},
            ]},
            {"role": "assistant", "content": "noon"},
        ])
    );
}

#[test]
fn signed_thinking_goes_back_verbatim_and_in_order() {
    let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "Eq"});
    let hidden = json!({"type": "redacted_thinking", "data": "xx"});
    let carry = json!({"content": [thinking, {"type": "text", "text": "So. "}, hidden, {"type": "tool_use", "id": "toolu_1", "name": "clock"}]});
    let sent = messages(vec![
        user("time?"),
        assistant("So. ", vec![call("toolu_1_2", "{}", Some(json!({"id": "toolu_1"})))], Some(carry)),
        tool("toolu_1_2", "12:00", CallOutcome::Ok),
    ]);
    assert_eq!(
        sent[1]["content"],
        json!([
            thinking,
            {"type": "text", "text": "So. "},
            hidden,
            {"type": "tool_use", "id": "toolu_1_2", "name": "clock", "input": {}},
        ])
    );
}

#[test]
fn a_call_without_a_result_is_not_told_and_thinking_is_not_left_at_the_end() {
    let carry = json!({"content": [{"type": "thinking", "thinking": "hm", "signature": "Eq"}, {"type": "tool_use", "id": "x", "name": "clock"}]});
    let sent = messages(vec![
        user("one"),
        assistant("", vec![call("x", "{}", Some(json!({"id": "x"})))], Some(carry)),
        user("two"),
    ]);
    assert_eq!(
        sent,
        json!([
            {"role": "user", "content": "one"},
            {"role": "user", "content": "two"},
        ])
    );
}

#[test]
fn a_paused_turn_goes_back_as_it_is_and_its_rest_joins_it() {
    let search = json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "oslo"}});
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "s1", "content": []});
    let server = |id: &str| call(id, "{}", Some(json!({"server": true})));
    let paused = assistant(
        "Looking. ",
        vec![server("s1")],
        Some(json!({"content": [{"type": "text", "text": "Looking. "}, search]})),
    );
    let mut past = vec![user("oslo?"), paused, tool("s1", "goes on", CallOutcome::Unknown)];
    assert_eq!(
        messages(past.clone())[1],
        json!({"role": "assistant", "content": [{"type": "text", "text": "Looking. "}, search]})
    );
    past.push(assistant(
        "12°",
        vec![server("s1_2")],
        Some(json!({"content": [found, {"type": "text", "text": "12°"}]})),
    ));
    past.push(tool("s1_2", "found", CallOutcome::Ok));
    past.push(user("thanks"));
    assert_eq!(
        messages(past)[1],
        json!({"role": "assistant", "content": [
            {"type": "text", "text": "Looking. "}, search, found, {"type": "text", "text": "12°"},
        ]})
    );
}

#[test]
fn a_servers_call_that_never_came_back_is_dropped_once_the_talk_goes_on() {
    let search = json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}});
    let sent = messages(vec![
        user("oslo?"),
        assistant("Looking.", vec![], Some(json!({"content": [{"type": "text", "text": "Looking."}, search]}))),
        user("well?"),
    ]);
    assert_eq!(sent[1]["content"], json!("Looking."));
}

#[test]
fn what_another_dialect_kept_is_not_sent() {
    let sent =
        messages(vec![user("hi"), assistant("yo\n", vec![], Some(json!({"reasoning_content": "x"}))), user("so")]);
    assert_eq!(sent[1]["content"], json!("yo"));
}

#[test]
fn text_that_was_added_later_is_kept_beside_the_blocks() {
    let carry = json!({"content": [{"type": "text", "text": "half", "citations": []}]});
    let sent = messages(vec![user("hi"), assistant("half\n\n[interrupted]", vec![], Some(carry)), user("go on")]);
    assert_eq!(
        sent[1]["content"],
        json!([{"type": "text", "text": "half", "citations": []}, {"type": "text", "text": "[interrupted]"}])
    );
}

#[test]
fn only_the_service_itself_gets_a_mark_for_its_cache() {
    let request = ModelRequest { model: "m".into(), history: vec![user("hi")], ..ModelRequest::default() };
    let content = |base: &str| engine(base).body(&request)["messages"][0]["content"].clone();
    assert_eq!(content("https://api.anthropic.com/v1")[0]["cache_control"], json!({"type": "ephemeral"}));
    assert_eq!(content("https://api.anthropic.com.evil.example"), json!("hi"));
}

#[test]
fn the_output_limit_is_one_the_model_can_give() {
    let cases = [
        ("claude-3-haiku-20240307", 4096),
        ("claude-3-5-sonnet-latest", 8192),
        ("anthropic/claude-opus-4-1", 32_000),
        ("us.anthropic.claude-sonnet-4-5-v1:0", 32_000),
        ("kimi-k2", 8192),
    ];
    for (model, limit) in cases {
        assert_eq!(default_max_tokens(model), limit, "{model}");
    }
    let tuning = SamplingParams { max_output_tokens: Some(9), ..SamplingParams::default() };
    let request = ModelRequest { model: "claude-opus-4-1".into(), sampling: tuning, ..ModelRequest::default() };
    assert_eq!(engine("https://h").body(&request)["max_tokens"], 9);
}

#[test]
fn keys_and_tokens_travel_as_secrets_and_blank_ones_not_at_all() {
    let headers = |auth: AnthropicAuth| AnthropicEngine::new("anthropic".into(), "https://h", auth).headers();
    let secret = |auth: AnthropicAuth| match &headers(auth)[..] {
        [(version, HttpHeaderValue::Plain(_)), (name, HttpHeaderValue::Secret(secret))]
            if version == "anthropic-version" =>
        {
            (name.clone(), secret.expose_secret().to_owned())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(secret(AnthropicAuth::ApiKey("sk-1\n".into())), ("x-api-key".to_owned(), "sk-1".to_owned()));
    assert_eq!(secret(AnthropicAuth::BearerToken("tk".into())), ("authorization".to_owned(), "Bearer tk".to_owned()));
    assert_eq!(headers(AnthropicAuth::ApiKey(" ".into())).len(), 1);
}

#[test]
fn models_are_read_with_their_names_and_windows() {
    let answer = json!({"data": [
        {"type": "model", "id": "claude-x", "display_name": "Claude X", "max_input_tokens": 200_000},
        {"type": "model", "id": "claude-y"},
    ], "has_more": false});
    let model =
        |id: &str, remark: &str, window| ModelInfo { id: id.into(), remark: remark.into(), context_window: window };
    assert_eq!(models(&answer).unwrap(), [model("claude-x", "Claude X", Some(200_000)), model("claude-y", "", None)]);
    assert_eq!(models(&json!({"models": []})), None);
}

#[test]
fn images_stand_beside_the_text_as_blocks() {
    let image = crate::event::PromptImage::new(crate::testkit::images::PNG_2X3).unwrap();
    let past = |text: &str| vec![HistoryMessage::User { text: text.into(), images: vec![image.clone()] }];
    let source = json!({"type": "base64", "media_type": "image/png", "data": image.base64()});
    let block = json!({"type": "image", "source": source});
    let text = json!({"type": "text", "text": "what is it?"});
    let asked = messages(past("what is it?"));
    assert_eq!(asked[0]["content"][0], block);
    assert_eq!(asked[0]["content"][1]["text"], text["text"]);
    assert_eq!(messages(past(" "))[0]["content"][0]["source"], block["source"]);
}

#[test]
fn newer_models_take_an_effort_and_older_ones_a_limit_of_thought() {
    let fields = |model: &str, sampling: SamplingParams| {
        let request = ModelRequest { model: model.into(), sampling, ..ModelRequest::default() };
        let body = engine("https://h").body(&request);
        (body.get("output_config").cloned(), body.get("thinking").cloned())
    };
    let effort = |effort| SamplingParams { effort: Some(effort), ..SamplingParams::default() };
    assert_eq!(fields("claude-opus-4-5", SamplingParams::default()), (None, None));
    assert_eq!(fields("claude-opus-4-5", effort(Effort::Low)), (Some(json!({"effort": "low"})), None));
    let budget = |tokens: u64| Some(json!({"type": "enabled", "budget_tokens": tokens}));
    assert_eq!(fields("anthropic.claude-sonnet-4-5-20250929-v1:0", effort(Effort::Medium)), (None, budget(10_000)));
    let short = SamplingParams { max_output_tokens: Some(6000), ..effort(Effort::High) };
    assert_eq!(fields("claude-sonnet-4-20250514", short), (None, budget(3000)), "room is left for the answer");
    let shorter = SamplingParams { max_output_tokens: Some(2000), ..effort(Effort::High) };
    assert_eq!(fields("claude-sonnet-4-20250514", shorter), (None, None), "the server wants at least 1024");
    let cool = SamplingParams { temperature: Some(0.1), ..effort(Effort::High) };
    assert_eq!(fields("claude-sonnet-4-20250514", cool), (None, None), "the server refuses both at once");
}

#[test]
fn only_a_schema_is_a_format() {
    let [schema, any] = formatted_requests();
    let supports =
        |request: &ModelRequest| engine("https://h").supports_output_format(request.output_format.as_ref().unwrap());
    assert_eq!((supports(&schema), supports(&any)), (true, false));
    let request =
        ModelRequest { sampling: SamplingParams { effort: Some(Effort::High), ..SamplingParams::default() }, ..schema };
    let config = json!({"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}});
    assert_eq!(engine("https://h").body(&request)["output_config"], config);
}
