use super::*;
use crate::event::{
    AgentEvent, CallOutcome, CallOutput, ExecutedBy, Fault, FaultKind, FinishReason, MessageId, Seq, TurnOutcome,
    Usage, UsageScope,
};
use crate::testkit::events::{
    call_ready as ready, message_finished as finished, message_started as started, text_delta as text, turn_finished,
};

const HEAD: &str =
    r#"{"id":"chatcmpl-0a1b2c3d4e5f","object":"chat.completion.chunk","created":7,"model":"m","choices":["#;

fn chunks(options: ChatEncoderOptions) -> ChatEncoder {
    ChatEncoder::new(ChunkHead { id: "chatcmpl-0a1b2c3d4e5f".into(), created: 7, model: "m".into() }, options, 5)
}

fn encode(encoder: &mut ChatEncoder, events: Vec<AgentEvent>) -> Vec<SseFrame> {
    let mut out = Vec::new();
    encoder.start(&mut out);
    for (seq, event) in events.into_iter().enumerate() {
        encoder.encode_event(&Envelope { seq: Seq(seq as u64 + 1), at: Millis(0), event }, &mut out);
    }
    encoder.finish(&mut out);
    out
}

/// The frames, without the head that all have.
fn deltas(frames: &[SseFrame]) -> Vec<String> {
    assert!(frames.iter().all(|frame| frame.event.is_empty() && frame.id.is_none() && frame.retry.is_none()));
    frames.iter().map(|frame| frame.data.strip_prefix(HEAD).unwrap_or(&frame.data).to_owned()).collect()
}

fn usage(n: u32, input: u64, output: u64) -> AgentEvent {
    let usage = Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
    AgentEvent::UsageReported { scope: UsageScope::Request(n), usage }
}

fn call(message: &str, id: &str, name: Option<&str>) -> AgentEvent {
    AgentEvent::ToolCallStarted {
        call: id.into(),
        message: MessageId::from(message),
        name: name.map(Into::into),
        parent: None,
        executed_by: ExecutedBy::Client,
    }
}

#[test]
fn text_of_all_rounds_and_the_sum_of_their_counts() {
    let events = vec![
        started("a"),
        text("a", "One moment."),
        call("a", "c", Some("clock")),
        ready("c", "clock", "{}"),
        finished("a", FinishReason::ToolCalls),
        usage(1, 10, 2),
        AgentEvent::ToolCallFinished {
            call: "c".into(),
            outcome: CallOutcome::Ok,
            output: CallOutput::from_text("noon"),
            duration: Some(Millis(3)),
        },
        started("b"),
        text("b", "It is"),
        text("b", " noon."),
        finished("b", FinishReason::End),
        usage(2, 20, 4),
        turn_finished("t", TurnOutcome::Completed),
    ];
    let mut encoder = chunks(ChatEncoderOptions::default());
    assert_eq!(
        deltas(&encode(&mut encoder, events)),
        [
            r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"index":0,"delta":{"content":"One moment."},"finish_reason":null}]}"#,
            r#"{"index":0,"delta":{"content":"\n\nIt is"},"finish_reason":null}]}"#,
            r#"{"index":0,"delta":{"content":" noon."},"finish_reason":null}]}"#,
            r#"{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":6,"total_tokens":36}}"#,
            "[DONE]",
        ]
    );
    let (status, body) = encoder.full_response();
    assert_eq!(status, 200);
    assert_eq!(
        body.to_string(),
        r#"{"id":"chatcmpl-0a1b2c3d4e5f","object":"chat.completion","created":7,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"One moment.\n\nIt is noon.","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":6,"total_tokens":36}}"#
    );
}

#[test]
fn calls_of_the_clients_tools_come_in_fragments_and_counts_in_a_chunk_of_their_own() {
    let piece = |json: &str| AgentEvent::ToolArgsDelta { call: "c".into(), json: json.into() };
    let events = vec![
        started("a"),
        call("a", "c", Some("add")),
        piece(r#"{"a":"#),
        // The name of this call comes late.
        call("a", "d", None),
        AgentEvent::ToolArgsDelta { call: "d".into(), json: "{".into() },
        piece("1"),
        ready("c", "add", r#"{"a":1}"#),
        ready("d", "now", ""),
        finished("a", FinishReason::ToolCalls),
        usage(1, 10, 2),
        turn_finished("t", TurnOutcome::Completed),
    ];
    let mut encoder = chunks(ChatEncoderOptions { include_usage: true, client_tools: true });
    let fragment = |fragment: &str| {
        format!(r#"{{"index":0,"delta":{{"tool_calls":[{fragment}]}},"finish_reason":null}}],"usage":null}}"#)
    };
    assert_eq!(
        deltas(&encode(&mut encoder, events))[1..],
        [
            fragment(r#"{"index":0,"id":"c","type":"function","function":{"name":"add","arguments":""}}"#),
            fragment(r#"{"index":0,"function":{"arguments":"{\"a\":"}}"#),
            fragment(r#"{"index":0,"function":{"arguments":"1"}}"#),
            fragment(r#"{"index":0,"function":{"arguments":"}"}}"#),
            fragment(r#"{"index":1,"id":"d","type":"function","function":{"name":"now","arguments":""}}"#),
            fragment(r#"{"index":1,"function":{"arguments":"{}"}}"#),
            r#"{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}"#.to_owned(),
            r#"],"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}}"#.to_owned(),
            "[DONE]".to_owned(),
        ]
    );
    let message = &encoder.full_response().1["choices"][0]["message"];
    assert_eq!(
        message.to_string(),
        r#"{"role":"assistant","content":null,"refusal":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"add","arguments":"{\"a\":1}"}},{"id":"d","type":"function","function":{"name":"now","arguments":"{}"}}]}"#
    );
}

#[test]
fn every_end_has_its_reason_or_its_error() {
    let response = |finish_reason: FinishReason, outcome: TurnOutcome| {
        let mut encoder = chunks(ChatEncoderOptions::default());
        let frames = deltas(&encode(
            &mut encoder,
            vec![started("a"), text("a", "so"), finished("a", finish_reason), turn_finished("t", outcome)],
        ));
        let [.., last, done] = frames.as_slice() else { panic!("{frames:?}") };
        assert_eq!(done, "[DONE]");
        let json: Json = serde_json::from_str(last)
            .unwrap_or_else(|_| serde_json::from_str(&format!("{HEAD}{last}")).expect("a chunk"));
        let (status, body) = encoder.full_response();
        let reason = &json["choices"][0]["finish_reason"];
        if reason.is_null() {
            assert_eq!(body, json, "the same error, streaming or not");
            (status, json["error"]["code"].clone())
        } else {
            assert_eq!(&body["choices"][0]["finish_reason"], reason);
            (status, reason.clone())
        }
    };
    let failed = |kind: FaultKind| TurnOutcome::Failed(Fault::new(kind, "it went wrong"));
    assert_eq!(response(FinishReason::End, TurnOutcome::Completed), (200, "stop".into()));
    assert_eq!(response(FinishReason::Length, TurnOutcome::Completed), (200, "length".into()));
    assert_eq!(response(FinishReason::Refused, TurnOutcome::Completed), (200, "content_filter".into()));
    assert_eq!(response(FinishReason::Refused, failed(FaultKind::Refused)), (200, "content_filter".into()));
    assert_eq!(response(FinishReason::Failed, failed(FaultKind::RateLimited)), (429, "rate_limit_exceeded".into()));
    assert_eq!(
        response(FinishReason::Failed, failed(FaultKind::ContextTooLong)),
        (400, "context_length_exceeded".into())
    );
    assert_eq!(response(FinishReason::Failed, failed(FaultKind::Auth)), (502, "upstream_auth".into()));
    assert_eq!(response(FinishReason::Interrupted, TurnOutcome::Interrupted), (502, "upstream".into()));
    assert_eq!(response(FinishReason::Cancelled, TurnOutcome::Cancelled), (502, "upstream".into()));
}

#[test]
fn events_that_just_stop_are_an_error_and_an_end_mark() {
    let mut encoder = chunks(ChatEncoderOptions::default());
    let frames = deltas(&encode(&mut encoder, vec![started("a"), text("a", "so")]));
    assert_eq!(
        frames[2..],
        [
            r#"{"error":{"message":"the response was cut off before its end; retry","type":"upstream_error","param":null,"code":"upstream"}}"#,
            "[DONE]"
        ]
    );
}

#[test]
fn counts_that_nobody_said_are_guessed() {
    let events = vec![
        started("a"),
        text("a", "twelve chars"),
        finished("a", FinishReason::End),
        turn_finished("t", TurnOutcome::Completed),
    ];
    let mut encoder = chunks(ChatEncoderOptions::default());
    let frames = deltas(&encode(&mut encoder, events));
    let usage = r#""usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}"#;
    assert!(frames[2].ends_with(usage), "{frames:?}");
}

#[test]
fn an_answer_in_one_piece_is_told_in_words_and_a_stream_as_it_comes() {
    let whole = "this whole answer came in one piece after some time";
    let mut encoder = chunks(ChatEncoderOptions::default());
    let mut out = Vec::new();
    encoder.start(&mut out);
    let mut take = |event: AgentEvent| {
        out.clear();
        encoder.encode_event(&Envelope { seq: Seq(1), at: Millis(0), event }, &mut out);
        (out.len(), encoder.pacing_delay())
    };
    assert_eq!(take(started("a")), (0, None));
    assert_eq!(take(text("a", whole)), (10, Some(Millis(12))));
    assert_eq!(take(text("a", whole)), (1, None));
    // A server that only sends the whole at the end.
    assert_eq!(take(started("b")), (0, None));
    let full = Some(whole.to_owned());
    let finished = AgentEvent::MessageFinished {
        message: "b".into(),
        finish_reason: FinishReason::End,
        full_text: full,
        provider_metadata: None,
    };
    assert_eq!(take(finished), (10, Some(Millis(12))));
    assert_eq!(take(started("c")), (0, None));
    assert_eq!(take(text("c", "a few words only")), (1, None));
}
