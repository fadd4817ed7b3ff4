//! Answers in a format: passed on to the model where its server takes that, refused otherwise.

use serde_json::{Value, json};

use crate::attach::home;
use crate::hosted::{HostedServer, client};
use crate::serve_acp::says;
use crate::support::ScriptedServer;

async fn post(server: &HostedServer, path: &str, body: &Value) -> (u16, Value) {
    let response = client().post(format!("{}{path}", server.url)).body(body.to_string()).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
}

/// A request in each API for an answer of the schema, under this name for the model.
fn requests(model: &str) -> Vec<(String, Value)> {
    let message = json!([{"role": "user", "content": "count"}]);
    let named = json!({"type": "json_schema", "name": "answer", "schema": schema()});
    let chat = json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": schema()}});
    let gemini = json!({"responseMimeType": "application/json", "responseJsonSchema": schema()});
    let said = json!([{"role": "user", "parts": [{"text": "count"}]}]);
    let anthropic = json!({"format": {"type": "json_schema", "schema": schema()}});
    vec![
        ("/v1/chat/completions".into(), json!({"model": model, "messages": message, "response_format": chat})),
        ("/v1/responses".into(), json!({"model": model, "input": "count", "text": {"format": named}})),
        (
            "/v1/messages".into(),
            json!({"model": model, "max_tokens": 9, "messages": message, "output_config": anthropic}),
        ),
        ("/api/chat".into(), json!({"model": model, "messages": message, "stream": false, "format": schema()})),
        (format!("/v1beta/models/{model}:generateContent"), json!({"contents": said, "generationConfig": gemini})),
    ]
}

#[tokio::test]
async fn every_api_passes_a_schema_on_to_the_model() {
    let home = home();
    let model = ScriptedServer::routed(vec![("/v1/chat/completions", vec![says("{\"n\": 3}")])]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    for (path, body) in requests("openai/mock") {
        let before = model.asked().len();
        let (status, answer) = post(&server, &path, &body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        assert!(answer.to_string().contains("{\\\"n\\\": 3}"), "{path}: {answer}");
        let asked = model.asked().split_off(before).pop().unwrap();
        let asked: Value = serde_json::from_str(asked.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(asked["response_format"]["json_schema"], json!({"name": "answer", "schema": schema()}), "{path}");
    }
}

#[tokio::test]
async fn what_answers_in_text_only_says_so_in_the_words_of_the_api() {
    let home = home();
    let server = HostedServer::start(home.path(), None, &[]).await;
    for (model, why) in [("offline/guide", "can't be told"), ("jarvis-tui", "the agent with its own tools")] {
        for (path, body) in requests(model) {
            let (status, answer) = post(&server, &path, &body).await;
            assert_eq!(status, 400, "{path}: {answer}");
            let message = answer["error"]["message"].as_str().or(answer["error"].as_str()).unwrap();
            assert!(message.contains(why), "{path}: {answer}");
        }
    }
}
