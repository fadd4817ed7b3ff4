use super::*;
use crate::dialect::gemini::GeminiDecoder;
use crate::dialect::model_answer::tests::{assert_round_trips, encode_own_rounds};

fn encoder(is_list: bool) -> Box<dyn Encode> {
    let options = ModelAnswerOptions { model: "m".into(), sends_thoughts: true, client_tools: false, prompt_tokens: 7 };
    Box::new(GeminiEncoder::new("r", options, is_list))
}

#[test]
fn our_own_decoder_reads_it_back() {
    assert_round_trips(
        |options| Box::new(GeminiEncoder::new("r", options, false)),
        || Box::<GeminiDecoder>::default(),
        |counts| counts,
    );
}

#[test]
fn the_last_chunk_has_the_reason_and_the_counts() {
    let (chunks, whole) = encode_own_rounds(encoder(false));
    let parts: Vec<&Json> = chunks.iter().map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]).collect();
    let thought = json!({"text": "Hm.", "thought": true});
    assert_eq!(parts, [&thought, &json!({"text": "I look."}), &json!({"text": "\n\nNoon."}), &empty_part()]);
    let reasons: Vec<Option<&str>> =
        chunks.iter().map(|chunk| chunk["candidates"][0]["finishReason"].as_str()).collect();
    assert_eq!(reasons, [None, None, None, Some("STOP")]);
    assert_eq!(chunks[3]["usageMetadata"]["promptTokenCount"], 7);
    assert_eq!(whole["candidates"][0]["content"]["parts"], json!([thought, {"text": "I look.\n\nNoon."}]));
    let (_, list) = encode_own_rounds(encoder(true));
    assert_eq!(list, json!([whole]));
}

#[test]
fn errors_have_the_name_of_their_status() {
    for (status, name) in [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (429, "RESOURCE_EXHAUSTED"),
        (500, "INTERNAL"),
        (502, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ] {
        assert_eq!(error_json(status, "no")["error"], json!({"code": status, "message": "no", "status": name}));
    }
}
