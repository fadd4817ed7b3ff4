use serde_json::json;

use super::*;
use crate::event::AgentEvent;
use crate::testkit::images::PNG_2X3;

fn read(body: &Json) -> Result<VendorRequest, String> {
    parse(body.as_object().unwrap()).map_err(|refused| refused.message)
}

fn ask(part: &Json) -> Json {
    json!({"contents": [{"role": "user", "parts": [part]}]})
}

#[test]
fn a_tool_loop_is_read_in_either_spelling() {
    for (system, call, result, declarations) in [
        ("systemInstruction", "functionCall", "functionResponse", "functionDeclarations"),
        ("system_instruction", "function_call", "function_response", "function_declarations"),
    ] {
        let wanted = read(&json!({
            system: {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "what"}, {"text": "time"}]},
                {"role": "model", "parts": [
                    {"text": "hm", "thought": true},
                    {"text": "I look."},
                    {call: {"name": "clock", "args": {"zone": "UTC"}}},
                    {call: {"id": "x", "name": "clock", "args": {}}},
                ]},
                {"role": "user", "parts": [
                    {result: {"id": "x", "name": "clock", "response": {"error": "no"}}},
                    {result: {"name": "clock", "response": {"output": "noon"}}},
                ]},
            ],
            "tools": [
                {declarations: [{"name": "clock", "parameters": {
                    "type": "OBJECT", "properties": {"type": {"type": "STRING", "enum": ["A"]}},
                }}]},
                {"googleSearch": {}},
            ],
        }))
        .unwrap()
        .with_model(Some("gemini-x"));
        let request = wanted.one_shot;
        assert_eq!((request.prompt.as_deref(), request.system_prompt.as_deref()), (None, Some("Be brief.")));
        assert!(
            request
                .history
                .iter()
                .any(|event| matches!(event, AgentEvent::UserMessage { text, .. } if text == "what\n\ntime"))
        );
        let results: Vec<_> = request
            .history
            .iter()
            .filter_map(|event| match event {
                AgentEvent::ToolCallFinished { call, outcome, output, .. } => {
                    Some((call.as_str(), *outcome, output.text.as_str()))
                }
                _ => None,
            })
            .collect();
        assert_eq!(results, [("x", CallOutcome::Failed, "no"), ("call", CallOutcome::Ok, "noon")]);
        let tools = request.client_tools.unwrap();
        let schema = json!({"type": "object", "properties": {"type": {"type": "string", "enum": ["A"]}}});
        assert_eq!((tools[0].name.as_str(), &tools[0].parameters, tools.len()), ("clock", &schema, 1));
        assert_eq!(request.left_out.len(), 1, "{:?}", request.left_out);
    }
}

#[test]
fn a_result_that_is_sent_again_changes_nothing() {
    let result = |id: &str, output: &str| json!({"functionResponse": {"id": id, "name": "clock", "response": {"output": output}}});
    let (first, second) = (result("a", "noon"), result("b", "night"));
    let call = |id: &str| json!({"functionCall": {"id": id, "name": "clock", "args": {}}});
    let request = read(&json!({"contents": [
        {"role": "user", "parts": [{"text": "what time"}]},
        {"role": "model", "parts": [call("a"), call("b")]},
        {"role": "user", "parts": [first, first, second, second]},
    ]}));
    let results: Vec<_> = request
        .unwrap()
        .one_shot
        .history
        .into_iter()
        .filter_map(|event| match event {
            AgentEvent::ToolCallFinished { call, output, .. } => Some((call.to_string(), output.text)),
            _ => None,
        })
        .collect();
    assert_eq!(results, [("a".to_owned(), "noon".to_owned()), ("b".to_owned(), "night".to_owned())]);
}

#[test]
fn settings_are_read() {
    let mut body = ask(&json!({"text": "x"}));
    body["generationConfig"] = json!({
        "temperature": 0.5, "topP": 0.9, "maxOutputTokens": 9,
        "thinkingConfig": {"includeThoughts": true, "thinkingLevel": "HIGH"},
    });
    let wanted = read(&body).unwrap();
    let sampling = SamplingParams {
        max_output_tokens: Some(9),
        temperature: Some(0.5),
        top_p: Some(0.9),
        effort: Some(Effort::High),
        ..SamplingParams::default()
    };
    assert_eq!((wanted.sends_thoughts, wanted.one_shot.sampling), (true, sampling));
    body["generationConfig"] = json!({"thinkingConfig": {"thinkingBudget": 0}});
    assert_eq!(read(&body).unwrap().one_shot.sampling.effort, Some(Effort::None));
}

#[test]
fn the_choice_of_functions_is_kept() {
    let choose = |config: Json| {
        let mut body = ask(&json!({"text": "x"}));
        body["tools"] = json!([{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}]);
        body["toolConfig"] = json!({ "functionCallingConfig": config });
        let request = read(&body).unwrap().one_shot;
        let names: String = request.client_tools.unwrap().into_iter().map(|spec| spec.name).collect();
        (names, request.sampling.tool_choice_required)
    };
    assert_eq!(choose(json!({"mode": "AUTO"})), ("ab".into(), false));
    assert_eq!(choose(json!({"mode": "NONE"})), (String::new(), false));
    assert_eq!(choose(json!({"mode": "ANY"})), ("ab".into(), true));
    assert_eq!(choose(json!({"mode": "ANY", "allowedFunctionNames": ["b"]})), ("b".into(), true));
}

#[test]
fn images_and_counts() {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(PNG_2X3);
    let body = ask(&json!({"inlineData": {"mimeType": "image/png", "data": data}}));
    assert_eq!(read(&body).unwrap().one_shot.images.len(), 1);
    let body = ask(&json!({"text": "eight letters, and more of them"}));
    let whole = json!({ "generateContentRequest": body });
    let count = |body: &Json| count_tokens(body.as_object().unwrap()).unwrap();
    assert_eq!((count(&body), count(&whole)), (7, 7));
}

#[test]
fn what_can_not_be_had_is_named() {
    let with = |config: Json| {
        let mut body = ask(&json!({"text": "x"}));
        body["generationConfig"] = config;
        body
    };
    for (body, why) in [
        (json!({}), "contents is missing"),
        (
            ask(&json!({"fileData": {"fileUri": "x"}})),
            "contents[0].parts[0]: parts with \"fileData\" are not supported here",
        ),
        (
            ask(&json!({"functionResponse": {"name": "clock", "response": {}}})),
            "contents[0].parts[0].functionResponse is the result of a call that no earlier content makes",
        ),
        (
            with(json!({"responseMimeType": "text/x.enum"})),
            "answers of type \"text/x.enum\" are not supported; application/json and text/plain are",
        ),
        (with(json!({"candidateCount": 2})), "only one candidate is supported"),
    ] {
        assert_eq!(read(&body).unwrap_err(), why);
    }
}

#[test]
fn an_answer_in_json_has_a_schema_in_the_words_of_either() {
    let format = |config: Json| {
        let body = json!({"contents": [{"parts": [{"text": "x"}]}], "generationConfig": config});
        parse(body.as_object().unwrap()).unwrap().one_shot.output_format.map(|wanted| wanted.format)
    };
    let schema = |schema: Json| Some(OutputFormat::Schema(OutputSchema::new(schema)));
    let lower = json!({"type": "object", "properties": {"n": {"type": "integer"}}});
    let upper = json!({"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}});
    assert_eq!(format(json!({"responseMimeType": "text/plain"})), None);
    assert_eq!(format(json!({"responseMimeType": "application/json"})), Some(OutputFormat::Json));
    let with = |name: &str, value: &Json| format(json!({"responseMimeType": "application/json", name: value}));
    assert_eq!(with("responseSchema", &upper), schema(lower.clone()));
    assert_eq!(with("responseJsonSchema", &lower), schema(lower));
}
