use super::*;
use crate::dialect::model_answer::tests::{assert_round_trips, encode_own_rounds};
use crate::dialect::ollama::OllamaDecoder;

fn options() -> ModelAnswerOptions {
    ModelAnswerOptions { model: "m".into(), sends_thoughts: true, client_tools: false, prompt_tokens: 7 }
}

#[test]
fn our_own_decoder_reads_it_back() {
    assert_round_trips(
        |options| Box::new(OllamaEncoder::new(OllamaApi::Chat, options)),
        || Box::new(OllamaDecoder::new()),
        |(input, output, _, _)| (input, output, 0, 0),
    );
}

#[test]
fn the_last_line_counts_and_tells_durations() {
    let (lines, whole) = encode_own_rounds(Box::new(OllamaEncoder::new(OllamaApi::Chat, options())));
    let contents: Vec<&str> = lines.iter().map(|line| line["message"]["content"].as_str().unwrap()).collect();
    assert_eq!(contents, ["", "I look.", "\n\nNoon.", ""]);
    assert_eq!(lines[0]["message"]["thinking"], "Hm.");
    assert_eq!(lines[1]["created_at"], "2026-11-20T19:51:14.44Z");
    let last = lines.last().unwrap();
    // The first of ten milliseconds each after the turn began is that of the reasoning.
    let durations = ["total_duration", "prompt_eval_duration", "eval_duration"].map(|name| last[name].as_u64());
    assert_eq!(durations, [Some(110_000_000), Some(20_000_000), Some(90_000_000)]);
    assert_eq!(
        (&last["done"], &last["done_reason"], &last["prompt_eval_count"]),
        (&json!(true), &json!("stop"), &json!(7))
    );
    assert_eq!(whole["message"], json!({"role": "assistant", "content": "I look.\n\nNoon.", "thinking": "Hm."}));
}

#[test]
fn a_completion_has_its_text_in_another_field() {
    let (lines, whole) = encode_own_rounds(Box::new(OllamaEncoder::new(OllamaApi::Generate, options())));
    assert_eq!((&lines[1]["response"], &lines[0]["thinking"]), (&json!("I look."), &json!("Hm.")));
    assert!(lines[1].get("message").is_none());
    assert_eq!((&whole["response"], &whole["done"]), (&json!("I look.\n\nNoon."), &json!(true)));
    let KeepAlive::Frame(line) = OllamaEncoder::new(OllamaApi::Generate, options()).keep_alive() else {
        panic!("a blank line is none of JSON");
    };
    let line: Json = serde_json::from_str(&line.data).unwrap();
    assert_eq!((&line["response"], &line["done"]), (&json!(""), &json!(false)));
}
