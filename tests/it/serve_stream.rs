//! `/v1/stream` of a real server, with a scripted model.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hosted::{CuttingProxy, HostedServer, client, program};
use crate::support::{ScriptedServer, ServerAct, chunk, end, json as answer, stream};

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn says(text: &str) -> ServerAct {
    chunk(format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]})))
}

fn ends(reason: &str) -> Vec<ServerAct> {
    let usage = json!({"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18});
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage});
    vec![chunk(format!("data: {last}\n\n")), chunk("data: [DONE]\n\n"), end()]
}

fn calls(name: &str, args: &str) -> ServerAct {
    let call = json!({"index": 0, "id": "c1", "type": "function", "function": {"name": name, "arguments": args}});
    chunk(format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})))
}

fn script(acts: impl IntoIterator<Item = ServerAct>, reason: &str) -> Vec<ServerAct> {
    [stream()].into_iter().chain(acts).chain(ends(reason)).collect()
}

/// A model that writes text, uses our calculator, and writes text again.
fn rounds() -> Vec<Vec<ServerAct>> {
    vec![
        script([says("Let me "), says("see."), calls("calculator", r#"{"expression":"6*7"}"#)], "tool_calls"),
        script([says("It "), says("is 42 wörld 🌤.")], "stop"),
    ]
}

async fn model(scripts: Vec<Vec<ServerAct>>) -> ScriptedServer {
    ScriptedServer::routed(vec![("/v1/chat/completions", scripts)]).await
}

async fn post(server: &HostedServer, query: &str, body: &Value) -> reqwest::Response {
    client().post(format!("{}/v1/stream{query}", server.url)).body(body.to_string()).send().await.unwrap()
}

async fn get(server: &HostedServer, place: &str, last: Option<u64>) -> reqwest::Response {
    let mut request = client().get(format!("{}{place}", server.url));
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.send().await.unwrap()
}

fn place(response: &reqwest::Response) -> String {
    response.headers()["content-location"].to_str().unwrap().to_owned()
}

/// Returns the id, name and data of each frame.
fn frames(body: &str) -> Vec<(Option<u64>, String, Value)> {
    let frame = |text: &str| {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let data = serde_json::from_str(&field("data: ").unwrap()).unwrap();
        (field("id: ").map(|id| id.parse().unwrap()), field("event: ").unwrap_or_default(), data)
    };
    body.split("\n\n").filter(|text| !text.is_empty()).map(frame).collect()
}

#[tokio::test]
async fn an_answer_is_a_poe_stream_and_can_be_had_again_behind_any_frame_even_after_a_restart() {
    let home = home();
    let model = model(rounds()).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let response = post(&server, "", &json!({"bot": "openai/mock", "prompt": "what is 6*7?"})).await;
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
    ] {
        assert_eq!(response.headers()[name], value);
    }
    let place = place(&response);
    assert_eq!(place, format!("/v1/stream/{}", response.headers()["x-jarvis-session"].to_str().unwrap()));
    let whole = response.text().await.unwrap();
    let texts = frames(&whole);
    assert_eq!(texts[0].2["type"], "init");
    let ids: Vec<u64> = texts.iter().filter_map(|(id, ..)| *id).collect();
    assert_eq!(ids, (0..ids.len() as u64).collect::<Vec<_>>());
    let text: String =
        texts.iter().filter_map(|(.., data)| data.pointer("/choices/0/delta/content")?.as_str()).collect();
    assert_eq!(text, "Let me see.\n\nIt is 42 wörld 🌤.");
    let states: Vec<&str> =
        texts.iter().filter(|(_, name, _)| name == "tool_call").map(|f| f.2["status"].as_str().unwrap()).collect();
    assert_eq!(states, ["started", "running", "completed"]);
    let last = &texts.last().unwrap();
    assert_eq!((last.1.as_str(), last.2["content"].as_str()), ("complete", Some(text.as_str())));
    assert_eq!(last.2["tool_calls"][0]["function"]["name"], "calculator");
    let usage = texts.iter().find_map(|(.., data)| data.get("usage")).unwrap();
    assert_eq!((usage["prompt_tokens"].as_u64(), usage["completion_tokens"].as_u64()), (Some(22), Some(14)));

    let mut server = server;
    for round in 0..2 {
        assert_eq!(get(&server, &place, None).await.text().await.unwrap(), whole, "round {round}");
        for last in &ids {
            let cut = whole.find(&format!("id: {last}\n")).unwrap();
            let rest = cut + whole[cut..].find("\n\n").unwrap() + 2;
            let again = get(&server, &place, Some(*last)).await;
            let done = *last == ids[ids.len() - 1];
            assert_eq!(again.status(), if done { 204 } else { 200 });
            assert_eq!(again.text().await.unwrap(), whole[rest..], "behind {last}");
        }
        assert_eq!(get(&server, &place, Some(999)).await.status(), 400);
        if round == 0 {
            server.kill().await;
            server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
        }
    }
    let prompts = model.asked().iter().filter(|request| request.starts_with("POST ")).count();
    assert_eq!(prompts, 2, "nobody asked the model again");
}

#[tokio::test]
async fn who_was_cut_off_hears_the_rest_as_it_comes() {
    let home = home();
    let held = script([says("one "), ServerAct::Hold, says("two "), ServerAct::Hold, says("three")], "stop");
    let model = model(vec![held]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let mut response = post(&server, "", &json!({"message": "count"})).await;
    let place = place(&response);
    let mut received = String::new();
    while !received.contains("one ") {
        received.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    let last = frames(&received).iter().filter_map(|(id, ..)| *id).next_back().unwrap();
    drop(response);
    let again = get(&server, &place, Some(last));
    model.go();
    let mut again = again.await;
    let mut rest = String::new();
    while !rest.contains("two ") {
        rest.push_str(std::str::from_utf8(&again.chunk().await.unwrap().unwrap()).unwrap());
    }
    model.go();
    rest.push_str(&again.text().await.unwrap());
    let whole = format!("{received}{rest}");
    let ids: Vec<u64> = frames(&whole).iter().filter_map(|(id, ..)| *id).collect();
    assert_eq!(ids, (0..ids.len() as u64).collect::<Vec<_>>());
    assert_eq!(frames(&whole).last().unwrap().2["content"], "one two three");
    assert_eq!(get(&server, &place, None).await.text().await.unwrap(), whole);
}

#[tokio::test]
async fn warp_blocks_are_lines_and_the_last_one_holds_all() {
    let home = home();
    let model = model(rounds()).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let response = post(&server, "?format=warp", &json!({"messages": [{"role": "user", "content": "6*7"}]})).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let place = place(&response);
    assert!(place.ends_with("?format=warp"));
    let whole = response.text().await.unwrap();
    let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!((last["complete"].as_bool(), last["streaming"].as_bool()), (Some(true), Some(false)));
    assert_eq!(last["blocks"][0]["text"], "Let me see.\n\nIt is 42 wörld 🌤.");
    assert_eq!(last["blocks"][1]["tool"]["status"], "completed");
    assert!(lines[..lines.len() - 1].iter().all(|line| line["streaming"] == true));
    for (number, _) in lines.iter().enumerate() {
        let rest: String = whole.split_inclusive('\n').skip(number + 1).collect();
        assert_eq!(get(&server, &place, Some(number as u64)).await.text().await.unwrap(), rest);
    }
}

#[tokio::test]
async fn the_end_can_be_left_out_and_an_answer_can_come_whole() {
    let home = home();
    let model = model(vec![script([says("hi")], "stop")]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let body = post(&server, "?aggregate=0", &json!({"prompt": "hi"})).await.text().await.unwrap();
    assert!(frames(&body).iter().all(|(_, name, _)| name != "complete"), "{body}");
    let whole = post(&server, "", &json!({"prompt": "hi", "stream": false})).await;
    assert_eq!(whole.headers()["content-type"], "application/json");
    let whole: Value = serde_json::from_str(&whole.text().await.unwrap()).unwrap();
    assert_eq!((whole["content"].as_str(), whole["usage"]["total_tokens"].as_u64()), (Some("hi"), Some(18)));
}

#[tokio::test]
async fn the_client_s_own_tools_are_fragments_for_the_client() {
    let home = home();
    let model =
        model(vec![script([calls("lookup", r#"{"q":1}"#)], "tool_calls"), script([says("found")], "stop")]).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let tools = json!([{"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}]);
    let user = json!({"role": "user", "content": "look it up"});
    let response = post(&server, "", &json!({"messages": [user], "tools": tools})).await;
    let place = place(&response);
    let whole = response.text().await.unwrap();
    let text = frames(&whole);
    assert!(text.iter().all(|(_, name, _)| name != "tool_call"), "{whole}");
    let fragment =
        |data: &Value| data.pointer("/choices/0/delta/tool_calls/0/function/arguments")?.as_str().map(str::to_owned);
    let args: String = text.iter().filter_map(|(.., data)| fragment(data)).collect();
    assert_eq!(args, r#"{"q":1}"#);
    let reason = text.iter().rev().find_map(|(.., data)| data.pointer("/choices/0/finish_reason")?.as_str());
    assert_eq!(reason, Some("tool_calls"));
    assert_eq!(text.last().unwrap().2["tool_calls"][0]["id"], "c1");
    assert_eq!(get(&server, &place, None).await.text().await.unwrap(), whole);
    server.kill().await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    assert_eq!(get(&server, &place, None).await.text().await.unwrap(), whole, "after a restart");

    let call = json!({"id": "c1", "type": "function", "function": {"name": "lookup", "arguments": "{\"q\":1}"}});
    let result = json!({"role": "tool", "tool_call_id": "c1", "content": "a thing"});
    let assistant = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let body =
        post(&server, "", &json!({"messages": [user, assistant, result], "tools": tools})).await.text().await.unwrap();
    assert_eq!(frames(&body).last().unwrap().2["content"], "found");
    assert!(model.asked().last().unwrap().contains("a thing"));
}

#[tokio::test]
async fn a_conversation_goes_on_by_its_name_or_by_that_of_an_earlier_stream() {
    let home = home();
    let mut scripts = rounds();
    scripts.push(script([says("yes")], "stop"));
    let model = model(scripts).await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let first = post(&server, "", &json!({"prompt": "what is 6*7?", "session_id": "mine"})).await;
    let id = first.headers()["x-jarvis-session"].to_str().unwrap().to_owned();
    first.text().await.unwrap();
    let roles = |request: &str| -> Vec<String> {
        let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        let messages = body["messages"].as_array().unwrap();
        messages.iter().map(|message| message["role"].as_str().unwrap().to_owned()).collect()
    };
    post(&server, "", &json!({"prompt": "sure?", "session_id": "mine"})).await.text().await.unwrap();
    let asked = model.asked();
    assert_eq!(roles(asked.last().unwrap()), ["system", "user", "assistant", "tool", "assistant", "user"]);
    post(&server, "", &json!({"prompt": "really?", "session_id": "mine"})).await.text().await.unwrap();
    assert_eq!(roles(model.asked().last().unwrap()).len(), 8);
    server.kill().await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    post(&server, "", &json!({"prompt": "and?", "session_id": id})).await.text().await.unwrap();
    assert_eq!(roles(model.asked().last().unwrap()).len(), 6, "its log remembers");
    post(&server, "", &json!({"prompt": "new", "session_id": "another"})).await.text().await.unwrap();
    assert_eq!(roles(model.asked().last().unwrap()), ["system", "user"]);
}

#[tokio::test]
async fn a_model_that_is_asked_again_is_a_recoverable_error_and_one_that_refuses_is_not() {
    let home = home();
    let busy = || vec![answer("503 Service Unavailable", r#"{"error":{"message":"loading"}}"#)];
    let model = model(vec![
        busy(),
        script([says("up")], "stop"),
        vec![answer("400 Bad Request", r#"{"error":{"message":"no such thing"}}"#)],
    ])
    .await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let body = post(&server, "", &json!({"prompt": "hi"})).await.text().await.unwrap();
    let text = frames(&body);
    let errors: Vec<_> = text.iter().filter(|(_, name, _)| name == "error").collect();
    assert_eq!(errors.len(), 1, "{body}");
    assert_eq!(
        (errors[0].0, errors[0].2["recoverable"].as_bool(), errors[0].2["attempt"].as_u64()),
        (None, Some(true), Some(1))
    );
    assert_eq!(text.last().unwrap().2["content"], "up");
    let body = post(&server, "", &json!({"prompt": "hi"})).await.text().await.unwrap();
    let text = frames(&body);
    let error = &text.iter().find(|(_, name, _)| name == "error").unwrap().2;
    assert_eq!((error["recoverable"].as_bool(), error["code"].as_str()), (Some(false), Some("bad_request")));
    assert!(error["error"].as_str().unwrap().contains("no such thing"));
    assert_eq!(text.last().unwrap().1, "complete");
}

#[tokio::test]
async fn refusals_have_the_stream_s_own_shape() {
    let home = home();
    let options = ["-o", "server.message=1024", "-o", "server.any_model=false"];
    let server = HostedServer::start(home.path(), None, &options).await;
    for (body, status) in [
        (json!({"prompt": 7}).to_string(), 400),
        ("{".to_owned(), 400),
        (json!({"prompt": "x".repeat(2000)}).to_string(), 413),
        (json!({"prompt": "hi", "bot": "no-such-engine/m"}).to_string(), 404),
    ] {
        let response = client().post(format!("{}/v1/stream", server.url)).body(body.clone()).send().await.unwrap();
        assert_eq!(response.status(), status, "{body}");
        let error: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert!(error["error"].is_string() && error["recoverable"] == false, "{error}");
    }
    assert_eq!(get(&server, "/v1/stream/no-such-stream", None).await.status(), 404);
    let odd = client().get(format!("{}/v1/stream/x", server.url)).header("last-event-id", "abc").send().await.unwrap();
    assert_eq!(odd.status(), 400);
}

#[tokio::test]
async fn our_own_client_understands_all_of_it() {
    let (there, here) = (home(), home());
    let mut scripts = rounds();
    scripts.extend(rounds());
    let model = model(scripts).await;
    let server = HostedServer::start(there.path(), Some(&model.url()), &[]).await;
    for (query, dialect) in [("", "poe"), ("?format=warp", "warp")] {
        let url = format!("{}/v1/stream{query}", server.url);
        let args = ["attach", &url, "--request", "poe", "-p", "what is 6*7?", "--output-format", "json"];
        let ran = program(here.path()).args(args).output().await.unwrap();
        let object: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!((object["dialect"].as_str(), object["outcome"].as_str()), (Some(dialect), Some("completed")));
        assert_eq!(object["text"], "Let me see.\n\nIt is 42 wörld 🌤.", "{object}");
        assert_eq!(object["messages"].as_array().unwrap().len(), 2, "{object}");
        assert_eq!(object["tool_calls"][0]["status"], "ok");
        assert_eq!(object["tool_calls"][0]["arguments"]["expression"], "6*7");
        assert_eq!(object["usage"]["total_tokens"], 36);
    }
}

#[tokio::test]
async fn our_own_client_comes_back_until_it_has_all() {
    let (there, here) = (home(), home());
    let model = model(vec![
        script([says("Let me "), calls("calculator", r#"{"expression":"6*7"}"#)], "tool_calls"),
        script([says("It "), says("is "), says("42.")], "stop"),
    ])
    .await;
    let server = HostedServer::start(there.path(), Some(&model.url()), &[]).await;
    let first = post(&server, "", &json!({"prompt": "what is 6*7?"})).await;
    let place = place(&first);
    let count = frames(&first.text().await.unwrap()).len();
    for every in [2, 3, count] {
        let cuts = CuttingProxy::before(&server.url, every).await;
        let url = format!("{}{place}", cuts.url);
        let args = ["attach", &url, "--method", "get", "--output-format", "json"];
        let ran = program(here.path()).args(args).output().await.unwrap();
        let object: Value = serde_json::from_slice(&ran.stdout).unwrap();
        let shown = (object["outcome"].as_str(), object["text"].as_str(), object["tool_calls"][0]["output"].as_str());
        assert_eq!(shown, (Some("completed"), Some("Let me \n\nIt is 42."), Some("42")), "{every}: {object}");
        assert_eq!(object["usage"]["total_tokens"], 36, "{object}");
        assert_eq!(object["link"]["gaps"], 0, "{object}");
        assert!(every == count || object["link"]["resumed"].as_u64() > Some(0), "{every}: {object}");
    }
}
