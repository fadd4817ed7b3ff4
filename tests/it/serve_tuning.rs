//! Sampling parameters of a client, on their way through a real server to the model.

use serde_json::{Value, json};

use crate::hosted::{HostedServer, client};
use crate::support::{ScriptedServer, ServerAct, chunk, end, stream};

fn data(delta: &Value, reason: &Value) -> ServerAct {
    chunk(format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})))
}

fn says(text: &str) -> Vec<ServerAct> {
    vec![stream(), data(&json!({"content": text}), &json!("stop")), chunk("data: [DONE]\n\n"), end()]
}

/// A response with so many calls of our calculator.
fn calculates(times: usize) -> Vec<ServerAct> {
    let call = |n: usize| {
        let args = json!({"expression": format!("{n}+1")}).to_string();
        json!({"index": n, "id": format!("c{n}"), "type": "function", "function": {"name": "calculator", "arguments": args}})
    };
    let calls: Vec<Value> = (0..times).map(call).collect();
    let delta = json!({ "tool_calls": calls });
    vec![stream(), data(&delta, &json!("tool_calls")), chunk("data: [DONE]\n\n"), end()]
}

async fn model(scripts: Vec<Vec<ServerAct>>) -> ScriptedServer {
    ScriptedServer::routed(vec![("/v1/chat/completions", scripts)]).await
}

async fn post(server: &HostedServer, path: &str, body: &Value) -> (u16, Value) {
    let response = client().post(format!("{}{path}", server.url)).body(body.to_string()).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// Returns the requests that the model got.
fn asked(model: &ScriptedServer) -> Vec<Value> {
    let body = |request: &String| serde_json::from_str(request.split_once("\r\n\r\n")?.1).ok();
    model.asked().iter().filter_map(body).collect()
}

#[tokio::test]
async fn settings_and_a_choice_of_tools_reach_the_model() {
    let home = tempfile::tempdir().unwrap();
    let model = model(vec![says("hi")]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}});
    let chat = json!({
        "messages": [{"role": "user", "content": "x"}], "temperature": 0.25, "top_p": 0.5, "max_tokens": 77,
        "tools": [tool], "tool_choice": "required",
    });
    assert_eq!(post(&server, "/v1/chat/completions", &chat).await.0, 200);
    let responses = json!({
        "input": "x", "temperature": 0.25, "top_p": 0.5, "max_output_tokens": 77,
        "tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "function", "name": "f"},
    });
    assert_eq!(post(&server, "/v1/responses", &responses).await.0, 200);
    let asked = asked(&model);
    assert_eq!(asked.len(), 2);
    for body in asked {
        assert_eq!(
            (&body["temperature"], &body["top_p"], &body["max_tokens"], &body["tool_choice"]),
            (&json!(0.25), &json!(0.5), &json!(77), &json!("required")),
            "{body}"
        );
        assert_eq!(body["tools"].as_array().map(Vec::len), Some(1), "{body}");
    }
}

#[tokio::test]
async fn no_more_calls_are_run_than_a_response_may_have() {
    let home = tempfile::tempdir().unwrap();
    let model = model(vec![calculates(3), says("enough")]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let (status, response) = post(&server, "/v1/responses", &json!({"input": "x", "max_tool_calls": 2})).await;
    assert_eq!((status, &response["status"]), (200, &json!("completed")), "{response}");
    let mut outputs: Vec<String> = asked(&model)[1]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["role"] == "tool")
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect();
    outputs.sort();
    let text = "(denied) not run: 2 calls were allowed for this response; answer with what is known";
    assert_eq!(outputs, [text, "1", "2"]);
}

#[tokio::test]
async fn an_engine_that_can_not_be_made_to_call_a_tool_says_so() {
    let home = tempfile::tempdir().unwrap();
    let server = HostedServer::start(home.path(), None, &[]).await;
    for (path, body) in [
        ("/v1/chat/completions", json!({"messages": [{"role": "user", "content": "hello"}]})),
        ("/v1/responses", json!({"input": "hello"})),
    ] {
        let mut body = body;
        assert_eq!(post(&server, path, &body).await.0, 200);
        body["tool_choice"] = "required".into();
        let (status, refused) = post(&server, path, &body).await;
        assert_eq!((status, &refused["error"]["param"]), (400, &json!("tool_choice")), "{refused}");
    }
}

#[tokio::test]
async fn a_request_past_a_limit_of_the_day_is_refused_before_a_model_is_asked() {
    let home = tempfile::tempdir().unwrap();
    let model = model(vec![says("one"), says("two")]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &["-o", "limits.day_turns=1"]).await;
    let chat = json!({"messages": [{"role": "user", "content": "x"}]});
    assert_eq!(post(&server, "/v1/chat/completions", &chat).await.0, 200);
    let (status, refused) = post(&server, "/v1/chat/completions", &chat).await;
    assert_eq!((status, &refused["error"]["code"]), (403, &json!("limit_reached")), "{refused}");
    let told = refused["error"]["message"].as_str().unwrap();
    assert_eq!(told, "the limit for the turns of today is reached (see [limits] in the settings)");
    assert_eq!(asked(&model).len(), 1);
}
