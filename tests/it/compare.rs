//! `compare`: saved sessions, and one prompt to several models.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::attach::home;
use crate::headless::{OFFLINE, run};
use crate::support::{ScriptedServer, ServerAct, head};

/// Asks the offline engine, and returns the name of the session.
async fn asked(home: &TempDir, prompts: &[&str]) -> String {
    let mut session = String::new();
    for (nth, prompt) in prompts.iter().enumerate() {
        let again = ["-r", &session];
        let args = [if nth == 0 { &[][..] } else { &again }, &["-p", prompt, "--output-format", "json"]].concat();
        let ran = run(home, &args, &[OFFLINE]).await;
        ran.json()["session"].as_str().unwrap().clone_into(&mut session);
    }
    session
}

#[tokio::test]
async fn two_sessions_part_at_the_first_other_prompt() {
    let home = home();
    let one = asked(&home, &["what is 6*7", "what is 1+1"]).await;
    let other = asked(&home, &["what is 6*7", "what is 2+2"]).await;
    let report = run(&home, &["compare", &one, &other, "--json"], &[OFFLINE]).await;
    assert_eq!(report.code, 0, "{}", report.err);
    let report = report.json();
    let parted = &report["comparisons"][0];
    let difference = json!({ "turn": 1, "part": "prompt", "call": null, "a": "what is 1+1", "b": "what is 2+2" });
    assert_eq!((&parted["same"], &parted["first_difference"]), (&json!(false), &difference));
    assert_eq!((&parted["turns"][0]["same"], &parted["turns"][1]["same"]), (&json!(true), &json!(false)));
    assert_eq!(report["sessions"][1]["name"], json!(other));
    let text = run(&home, &["compare", &one, &other], &[OFFLINE]).await;
    assert!(text.out.contains("part at turn 2: prompt\n  - what is 1+1\n  + what is 2+2\n"), "{}", text.out);
    let same = run(&home, &["compare", &one, &one, "--json"], &[OFFLINE]).await.json();
    assert_eq!(same["comparisons"][0]["same"], json!(true));
    let unknown = run(&home, &["compare", &one, "no-such-session"], &[OFFLINE]).await;
    assert_eq!((unknown.code, unknown.out.as_str()), (1, ""), "{}", unknown.err);
}

fn answer(text: &str) -> Vec<ServerAct> {
    let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": "stop" }] });
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15 } });
    let body = format!("data: {chunk}\n\ndata: {usage}\n\ndata: [DONE]\n\n");
    vec![head("200 OK", "content-type: text/event-stream\r\n"), ServerAct::Send(body.into_bytes())]
}

#[tokio::test]
async fn one_prompt_goes_to_several_models_and_one_that_fails_leaves_the_others_alone() {
    let home = home();
    let server = ScriptedServer::routed(vec![("/v1/chat/completions", vec![answer("It is 42.")])]).await;
    let base = format!("{}/v1", server.url());
    let env = [OFFLINE, ("OPENAI_BASE_URL", base.as_str()), ("OPENAI_API_KEY", "x")];
    let prompt = ["compare", "--prompt", "what is 6*7", "-m", "offline/guide", "-m", "openai/x", "--json"];
    let ran = run(&home, &prompt, &env).await;
    assert_eq!(ran.code, 0, "{}", ran.err);
    let report = ran.json();
    let names: Vec<&Value> = report["sessions"].as_array().unwrap().iter().map(|one| &one["model"]).collect();
    assert_eq!(names, ["offline/guide", "openai/x"]);
    assert_eq!(report["comparisons"][0]["turns"][0]["figures"][1]["input_tokens"], json!(10));
    let broken = ["compare", "--prompt", "hi", "-m", "offline/guide", "-m", "nothing/x", "--json"];
    let ran = run(&home, &broken, &env).await;
    assert_eq!((ran.code, ran.json()["sessions"][0]["turns"].clone()), (1, json!(1)), "{}", ran.err);
    assert!(ran.err.contains("nothing/x: "), "{}", ran.err);
    let alone = run(&home, &["compare", "--prompt", "hi", "-m", "offline/guide"], &env).await;
    assert_eq!((alone.code, alone.err.contains("name at least two")), (2, true), "{}", alone.err);
}
