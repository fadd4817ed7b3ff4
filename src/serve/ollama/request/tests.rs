use serde_json::json;

use super::*;
use crate::event::AgentEvent;
use crate::testkit::images::PNG_2X3;

fn asked(body: &Json) -> VendorRequest {
    match parse_chat(body.as_object().unwrap()) {
        Ok(OllamaRequest::Ask(wanted)) => *wanted,
        other => panic!("{other:?}"),
    }
}

#[test]
fn results_find_their_call_by_id_by_name_or_by_turn() {
    let result = |message: Json| {
        let call = |id: &str, name: &str| json!({"id": id, "function": {"name": name, "arguments": {"a": 1}}});
        let body = json!({"model": "llama3", "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "", "tool_calls": [call("", "clock"), call("x", "sum")]},
            message,
        ]});
        asked(&body).one_shot.history.iter().find_map(|event| match event {
            AgentEvent::ToolCallFinished { call, output, .. } if output.text == "42" => Some(call.as_str().to_owned()),
            _ => None,
        })
    };
    let tool = |key: &str, value: &str| json!({"role": "tool", "content": "42", key: value});
    assert_eq!(result(tool("tool_call_id", "x")).as_deref(), Some("x"));
    assert_eq!(result(tool("tool_name", "sum")).as_deref(), Some("x"));
    assert_eq!(result(tool("tool_name", "clock")).as_deref(), Some("call"));
    assert_eq!(result(json!({"role": "tool", "content": "42"})).as_deref(), Some("call"));
}

#[test]
fn it_streams_and_thinks_unless_told_otherwise() {
    let with = |more: Json| {
        let mut body = json!({"model": "llama3", "messages": [{"role": "user", "content": "go"}]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let wanted = asked(&body);
        (wanted.stream, wanted.sends_thoughts, wanted.one_shot.sampling)
    };
    let plain = SamplingParams::default();
    assert_eq!(with(json!({})), (true, true, plain));
    let no = SamplingParams { effort: Some(Effort::None), ..plain };
    assert_eq!(with(json!({"stream": false, "think": false, "options": {"num_predict": -1}})), (false, false, no));
    let high =
        SamplingParams { effort: Some(Effort::High), max_output_tokens: Some(9), temperature: Some(0.5), ..plain };
    let options = json!({"num_predict": 9, "temperature": 0.5, "num_ctx": 4096});
    assert_eq!(with(json!({"think": "high", "options": options, "format": ""})), (true, true, high));
}

#[test]
fn a_completion_has_one_prompt_with_its_images() {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(PNG_2X3);
    let body = json!({"model": "m", "prompt": "what is it", "system": "Be brief.", "images": [data]});
    let Ok(OllamaRequest::Ask(wanted)) = parse_generate(body.as_object().unwrap()) else { panic!("a prompt") };
    let request = wanted.one_shot;
    assert_eq!((request.prompt.as_deref(), request.images.len()), (Some("what is it"), 1));
    assert_eq!((request.system_prompt.as_deref(), request.client_tools), (Some("Be brief."), Some(Vec::new())));
}

#[test]
fn without_a_question_the_model_is_only_loaded() {
    let body = json!({"model": "m", "keep_alive": 0});
    let load = Ok(OllamaRequest::Load { model: "m".into() });
    assert_eq!(
        (parse_chat(body.as_object().unwrap()), parse_generate(body.as_object().unwrap())),
        (load.clone(), load)
    );
}

#[test]
fn what_can_not_be_had_is_named() {
    let ask = |key: &str, value: Json| json!({"prompt": "x", key: value});
    for (body, named) in [
        (ask("format", json!("yaml")), "format"),
        (ask("suffix", json!("}")), "suffix"),
        (ask("think", json!(3)), "think"),
        (ask("images", json!(["!"])), "images[0]"),
        (ask("images", json!([1])), "images[0]"),
    ] {
        let refused = parse_generate(body.as_object().unwrap()).unwrap_err();
        assert_eq!(refused.param.as_deref(), Some(named), "{body}");
    }
    let lost = json!({"messages": [{"role": "tool", "content": "42"}]});
    assert_eq!(parse_chat(lost.as_object().unwrap()).unwrap_err().param.as_deref(), Some("messages[0]"));
}
