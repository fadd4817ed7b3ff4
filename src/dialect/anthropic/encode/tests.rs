use super::*;
use crate::dialect::anthropic::AnthropicDecoder;
use crate::dialect::model_answer::tests::{assert_round_trips, encode_own_rounds};

fn options(sends_thoughts: bool) -> ModelAnswerOptions {
    ModelAnswerOptions { model: "m".into(), sends_thoughts, client_tools: false, prompt_tokens: 7 }
}

#[test]
fn our_own_decoder_reads_it_back() {
    assert_round_trips(
        |options| Box::new(AnthropicEncoder::new("msg_1", options)),
        || Box::new(AnthropicDecoder::new()),
        |counts| counts,
    );
}

#[test]
fn blocks_follow_each_other_and_what_runs_here_is_left_out() {
    let (frames, whole) = encode_own_rounds(Box::new(AnthropicEncoder::new("msg_1", options(true))));
    let told: Vec<(&str, Option<u64>)> =
        frames.iter().map(|frame| (frame["type"].as_str().unwrap(), frame["index"].as_u64())).collect();
    let expected = [
        ("message_start", None),
        ("content_block_start", Some(0)),
        ("content_block_delta", Some(0)),
        ("content_block_stop", Some(0)),
        ("content_block_start", Some(1)),
        ("content_block_delta", Some(1)),
        ("content_block_delta", Some(1)),
        ("content_block_stop", Some(1)),
        ("message_delta", None),
        ("message_stop", None),
    ];
    assert_eq!(told, expected);
    assert_eq!(whole["content"][1], json!({"type": "text", "text": "I look.\n\nNoon."}));
    assert_eq!((whole["stop_reason"].as_str(), whole["id"].as_str()), (Some("end_turn"), Some("msg_1")));
    // Nobody counted: the prompt is as estimated, in the start too.
    assert_eq!(
        (&whole["usage"]["input_tokens"], &frames[0]["message"]["usage"]["input_tokens"]),
        (&json!(7), &json!(7))
    );
    let (_, whole) = encode_own_rounds(Box::new(AnthropicEncoder::new("msg_1", options(false))));
    assert_eq!(whole["content"].as_array().unwrap().len(), 1, "thoughts were not asked for");
}

#[test]
fn errors_have_the_type_of_their_status_and_the_words_that_clients_look_for() {
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ] {
        assert_eq!(error_json(status, "no")["error"]["type"], kind, "{status}");
    }
    let too_long = fault_json(400, &Fault::new(FaultKind::ContextTooLong, "9 tokens"));
    assert_eq!(too_long["error"]["message"], "prompt is too long: 9 tokens");
}
