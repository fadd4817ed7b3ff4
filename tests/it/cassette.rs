//! Cassettes over the real binary: what every engine is answered is recorded, and played without a server.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::attach::{CommandOutput, home};
use crate::headless::run;
use crate::support::{ScriptedServer, ServerAct, head};

const CALL: &str = concat!(
    r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":"#,
    r#"{"name":"calculator","arguments":"{\"expression\":\"6*7\"}"}}]}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}"#,
    "\n\ndata: [DONE]\n\n",
);
const ANSWER: &str = concat!(
    r#"data: {"choices":[{"delta":{"content":"It is 42, says sk-12345678x"}}]}"#,
    "\n\n",
    r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    "\n\ndata: [DONE]\n\n",
);
const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"It is 42\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);
const RESPONSE: &str = concat!(
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"delta\":\"It is 42\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"id\":\"m\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"It is 42\"}]}]}}\n\n",
);
const LINES: &str = concat!(
    "{\"message\":{\"role\":\"assistant\",\"content\":\"It is \"},\"done\":false}\n",
    "{\"message\":{\"role\":\"assistant\",\"content\":\"42\"},\"done\":true,\"done_reason\":\"stop\"}\n",
);

fn answer(kind: &str, body: &str) -> Vec<ServerAct> {
    vec![head("200 OK", &format!("content-type: {kind}\r\n")), ServerAct::Send(body.as_bytes().to_vec())]
}

fn sse(body: &str) -> Vec<ServerAct> {
    answer("text/event-stream", body)
}

async fn ask(home: &TempDir, model: &str, prompt: &str, base: &str, more: &[&str]) -> CommandOutput {
    let args = ["-m", model, "-p", prompt, "--yolo", "--output-format", "json", "--cassette", "c.jsonl"];
    let args: Vec<&str> = args.into_iter().chain(["--cassette-speed", "1000"]).chain(more.iter().copied()).collect();
    let openai = format!("{base}/v1");
    let env = [
        ("OPENAI_BASE_URL", openai.as_str()),
        ("OPENAI_API_KEY", "sk-12345678x"),
        ("ANTHROPIC_BASE_URL", base),
        ("ANTHROPIC_API_KEY", "sk-12345678x"),
        ("OLLAMA_HOST", base),
    ];
    run(home, &args, &env).await
}

fn text(output: &CommandOutput) -> String {
    let json: Value = serde_json::from_str(&output.out).unwrap_or_default();
    json["text"].as_str().unwrap_or_default().to_owned()
}

fn kept(home: &Path) -> String {
    std::fs::read_to_string(home.join("c.jsonl")).unwrap()
}

#[tokio::test]
async fn every_engine_is_recorded_and_played_without_a_server() {
    for (model, path, scripts) in [
        ("openai/x", "/v1/chat/completions", vec![sse(CALL), sse(ANSWER)]),
        ("openai-responses/x", "/v1/responses", vec![sse(RESPONSE)]),
        ("anthropic/x", "/v1/messages", vec![sse(MESSAGES)]),
        ("ollama/x", "/api/chat", vec![answer("application/x-ndjson", LINES)]),
    ] {
        let server = ScriptedServer::routed(vec![(path, scripts)]).await;
        let (home, base) = (home(), server.url());
        let recorded = ask(&home, model, "what is 6*7?", &base, &[]).await;
        assert_eq!(recorded.code, 0, "{model}: {}", recorded.err);
        assert!(text(&recorded).contains("It is 42"), "{model}: {}", recorded.out);
        assert!(recorded.out.contains("are recorded into the cassette c.jsonl"), "{model}: {}", recorded.out);
        drop(server);
        let played = ask(&home, model, "what is 6*7?", &base, &[]).await;
        assert_eq!(played.code, 0, "{model}: {}", played.err);
        // A key that comes back is a mark in the file and dots in an answer.
        let shown = text(&recorded).replace("•••", "");
        assert!(text(&played).starts_with(shown.trim_end()), "{model}: {} {}", text(&played), text(&recorded));
        assert!(played.out.contains("are played from the cassette c.jsonl"), "{model}: {}", played.out);
        assert!(!kept(home.path()).contains("sk-12345678x"), "{model}");

        let missed = ask(&home, model, "what is 6*8?", &base, &[]).await;
        assert_ne!(missed.code, 0, "{model}");
        let said = &missed.err;
        assert!(
            said.contains("has no answer to this request") && said.contains("6*7?") && said.contains("6*8?"),
            "{model}: {said}"
        );
    }
}

#[tokio::test]
async fn a_recording_is_replaced_only_when_that_is_asked_for() {
    let server = ScriptedServer::routed(vec![("/v1/chat/completions", vec![sse(ANSWER)])]).await;
    let (home, base) = (home(), server.url());
    ask(&home, "openai/x", "one", &base, &[]).await;
    let first = kept(home.path());
    let missed = ask(&home, "openai/x", "two", &base, &[]).await;
    assert_eq!((missed.code != 0, kept(home.path())), (true, first.clone()));
    let again = ask(&home, "openai/x", "two", &base, &["--cassette-mode", "record"]).await;
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(kept(home.path()).contains("two") && !kept(home.path()).contains("\"one\""));
    std::fs::remove_file(home.path().join("c.jsonl")).unwrap();
    let none = ask(&home, "openai/x", "two", &base, &["--cassette-mode", "play"]).await;
    assert!(none.code != 0 && none.err.contains("c.jsonl can't be read"), "{}", none.err);
    std::fs::write(home.path().join("c.jsonl"), "not one\n").unwrap();
    let other = ask(&home, "openai/x", "two", &base, &[]).await;
    assert!(other.err.contains("c.jsonl is no cassette"), "{}", other.err);
    assert_eq!(kept(home.path()), "not one\n", "what is somebody else's file stays");
}
