//! Surfaces of `serve` for clients of agents: a turn that needs an approval, whose stream ends there and goes on with the
//! client's answer.

use jarvis_tui::event::{AgentEvent, TurnOutcome};
use serde_json::{Value, json};

use crate::attach::home;
use crate::hosted::{HostedServer, client, logs, read_events};
use crate::serve_acp::model;

async fn post(server: &HostedServer, path: &str, body: &Value) -> reqwest::Response {
    client().post(format!("{}{path}", server.url)).body(body.to_string()).send().await.unwrap()
}

fn frames(body: &str) -> Vec<Value> {
    let data = body.split("\n\n").filter_map(|frame| frame.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn kinds(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_chat_of_the_ai_sdk_asks_and_goes_on() {
    let home = home();
    let model = model("echo made > made.txt").await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let user = json!({"id": "u", "role": "user", "parts": [{"type": "text", "text": "make it"}]});
    let response = post(&server, "/api/chat", &json!({"id": "chat", "messages": [user]})).await;
    assert_eq!(response.headers()["x-vercel-ai-ui-message-stream"], "v1");
    let first = frames(&response.text().await.unwrap());
    assert_eq!(kinds(&first)[kinds(&first).len() - 3..], ["tool-approval-request", "finish-step", "finish"]);
    assert!(!home.path().join("made.txt").exists(), "it waits for the answer");
    let waiting = client().get(format!("{}/api/chat/chat/stream", server.url)).send().await.unwrap();
    assert_eq!(waiting.status(), 204, "nothing is streamed while the client is asked");
    let approval = &first[first.len() - 3];
    let part = json!({
        "type": "dynamic-tool", "toolName": "shell", "toolCallId": approval["toolCallId"],
        "state": "approval-responded", "input": {}, "approval": {"id": approval["approvalId"], "approved": true},
    });
    let assistant = json!({"id": first[0]["messageId"], "role": "assistant", "parts": [part]});
    let response = post(&server, "/api/chat", &json!({"id": "chat", "messages": [user, assistant]})).await;
    let rest = frames(&response.text().await.unwrap());
    assert_eq!(rest[0]["messageId"], first[0]["messageId"], "it is the same message");
    assert!(kinds(&rest).contains(&"tool-output-available"), "{rest:?}");
    assert!(rest.iter().any(|chunk| chunk["delta"] == "Done."), "{rest:?}");
    assert_eq!(kinds(&rest).last(), Some(&"finish"));
    assert_eq!(std::fs::read_to_string(home.path().join("made.txt")).unwrap(), "made\n");
    let over = client().get(format!("{}/api/chat/chat/stream", server.url)).send().await.unwrap();
    assert_eq!(over.status(), 204);
}

#[tokio::test]
async fn a_run_of_ag_ui_is_interrupted_and_resumed() {
    let home = home();
    let model = model("echo made > made.txt").await;
    let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
    let mut input = json!({
        "threadId": "t", "runId": "r1", "state": {}, "tools": [], "context": [], "forwardedProps": {},
        "messages": [{"id": "1", "role": "user", "content": "make it"}],
    });
    let first = frames(&post(&server, "/agui", &input).await.text().await.unwrap());
    let last = first.last().unwrap();
    assert_eq!((&last["type"], &last["outcome"]["type"]), (&json!("RUN_FINISHED"), &json!("interrupt")));
    let interrupt = &last["outcome"]["interrupts"][0];
    input["runId"] = "r2".into();
    input["resume"] = json!([
        {"interruptId": interrupt["id"], "status": "resolved", "payload": {"approved": false, "reason": "not now"}}
    ]);
    let rest = frames(&post(&server, "/agui", &input).await.text().await.unwrap());
    assert_eq!(kinds(&rest)[..2], ["RUN_STARTED", "TOOL_CALL_RESULT"]);
    assert_eq!((&rest[0]["runId"], &rest[1]["toolCallId"]), (&json!("r2"), &interrupt["toolCallId"]));
    assert!(rest[1]["content"].as_str().unwrap().contains("not now"), "{rest:?}");
    assert_eq!(kinds(&rest).last(), Some(&"RUN_FINISHED"));
    assert!(!home.path().join("made.txt").exists());
}

#[tokio::test]
async fn a_new_prompt_ends_what_still_runs_in_its_chat() {
    for path in ["/api/chat", "/agui"] {
        let home = home();
        let model = model("echo made > made.txt").await;
        let server = HostedServer::start(home.path(), Some(&model.url()), &[]).await;
        let ask = async |words: &str| {
            let user =
                json!({"id": words, "role": "user", "content": words, "parts": [{"type": "text", "text": words}]});
            let asked = json!({"id": "c", "threadId": "c", "runId": words, "messages": [user]});
            post(&server, path, &asked).await.text().await.unwrap()
        };
        // It waits for an approval when the next one comes.
        assert!(!ask("make it").await.contains("Done."));
        assert!(ask("never mind").await.contains("Done."));
        let outcomes: Vec<Vec<_>> = logs(home.path())
            .iter()
            .map(|log| {
                let ends = read_events(log).into_iter();
                ends.filter_map(|event| match event {
                    AgentEvent::TurnFinished { outcome, .. } => Some(outcome),
                    _ => None,
                })
                .collect()
            })
            .collect();
        assert_eq!(outcomes, [[TurnOutcome::Cancelled], [TurnOutcome::Completed]], "{path}");
        assert!(!home.path().join("made.txt").exists());
    }
}
