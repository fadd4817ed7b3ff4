// Values written in place read best.
#![allow(clippy::needless_pass_by_value)]

use serde_json::json;

use super::*;
use crate::event::{Annotation, OutputStream, TextKind};

mod provider_metadata;
mod tools;

fn feed(decoder: &mut ResponsesDecoder, events: &[Json], out: &mut Vec<ReplyEvent>) {
    for json in events {
        let event = json["type"].as_str().unwrap_or_default().to_owned();
        decoder.decode_frame(&SseFrame { event, ..SseFrame::data(json.to_string()) }, out);
    }
}

fn decode(events: &[Json]) -> Vec<ReplyEvent> {
    let (mut decoder, mut out) = (ResponsesDecoder::new(), Vec::new());
    feed(&mut decoder, events, &mut out);
    decoder.finish(&mut out);
    out
}

fn delta(kind: &str, item: &str, index: u64, part: u64, delta: &str) -> Json {
    let key = if kind.contains("summary") { "summary_index" } else { "content_index" };
    json!({"type": format!("response.{kind}.delta"), "item_id": item, "output_index": index, key: part, "delta": delta})
}

fn added(index: u64, item: Json) -> Json {
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn done(index: u64, item: Json) -> Json {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn message(id: &str, text: &str) -> Json {
    json!({"type": "message", "id": id, "status": "completed", "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

fn function(id: &str, call: &str, args: &str) -> Json {
    json!({"type": "function_call", "id": id, "call_id": call, "name": "clock", "arguments": args, "status": "completed"})
}

fn completed(output: Json) -> Json {
    json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": output}})
}

/// One line per event, enough to compare.
fn lines(events: &[ReplyEvent]) -> Vec<String> {
    let line = |event: &ReplyEvent| match event {
        ReplyEvent::MessageStarted { message, .. } => format!("+{message}"),
        ReplyEvent::TextDelta { message, text, kind: TextKind::Text } => format!("{message}: {text}"),
        ReplyEvent::TextDelta { message, text, kind: TextKind::Refusal } => format!("{message}! {text}"),
        ReplyEvent::ReasoningDelta { message, text } => format!("{message}? {text}"),
        ReplyEvent::MessageFinished { message, finish_reason, full_text: full, provider_metadata: metadata } => {
            let metadata = metadata.as_ref().map(|metadata| format!(" {metadata}")).unwrap_or_default();
            format!("-{message} {finish_reason:?} {}{metadata}", full.as_deref().unwrap_or("~"))
        }
        ReplyEvent::ToolCallStarted { call, message, name, executed_by: ran_by, .. } => {
            format!("{message} calls {call} {} {ran_by:?}", name.as_deref().unwrap_or("~"))
        }
        ReplyEvent::ToolArgsDelta { call, json } => format!("{call} << {json}"),
        ReplyEvent::ToolCallReady { call, name, args, provider_metadata: metadata } => {
            let metadata = metadata.as_ref().map(|metadata| format!(" {metadata}")).unwrap_or_default();
            format!("{call} = {name} {args}{metadata}")
        }
        ReplyEvent::ToolOutput { call, stream, text } => {
            format!("{call} {} {text}", if *stream == OutputStream::Stdout { ">" } else { "2>" })
        }
        ReplyEvent::ToolCallFinished { call, outcome, output, .. } => format!("{call} {outcome:?} {}", output.text),
        ReplyEvent::End { outcome: TurnOutcome::Failed(fault) } => {
            format!("failed {:?} {fault}", fault.kind)
        }
        ReplyEvent::End { outcome: end } => format!("{end:?}"),
        ReplyEvent::Notice { code, text, .. } => format!("notice {code} {text}"),
        ReplyEvent::Annotation { annotation: Annotation::Citation(data), .. } => format!("citation {data}"),
        ReplyEvent::Annotation { annotation: Annotation::ServedBy { .. }, .. } => String::new(),
        other => serde_json::to_string(other).unwrap(),
    };
    events.iter().map(line).filter(|line| !line.is_empty()).collect()
}

#[test]
fn text_is_emitted_once_though_the_wire_says_it_five_times() {
    let part = json!({"type": "output_text", "text": "Hello"});
    let at = |kind: &str, key: &str, value: Json| json!({"type": format!("response.{kind}"), "item_id": "msg_1", "output_index": 0, "content_index": 0, key: value});
    let events = decode(&[
        added(0, json!({"type": "message", "id": "msg_1", "status": "in_progress", "content": []})),
        at("content_part.added", "part", json!({"type": "output_text", "text": ""})),
        delta("output_text", "msg_1", 0, 0, "Hel"),
        delta("output_text", "msg_1", 0, 0, "lo"),
        at("output_text.done", "text", json!("Hello")),
        at("content_part.done", "part", part),
        done(0, message("msg_1", "Hello")),
        completed(json!([message("msg_1", "Hello")])),
    ]);
    assert_eq!(lines(&events), ["+m1", "m1: Hel", "m1: lo", "-m1 End Hello", "Completed"]);
}

#[test]
fn what_came_in_no_piece_is_told_from_the_whole() {
    let expected = ["+m1", "m1: Hello", "-m1 End Hello", "Completed"];
    assert_eq!(lines(&decode(&[completed(json!([message("msg_1", "Hello")]))])), expected);
    assert_eq!(lines(&decode(&[done(0, message("msg_1", "Hello")), completed(json!([]))])), expected);
    // A whole response instead of a stream, and one without the `response` around it.
    let flat = json!({"id": "r", "object": "response", "status": "completed", "output": [message("msg_1", "Hello")]});
    assert_eq!(lines(&decode(std::slice::from_ref(&flat))), expected);
    let mut named = flat;
    named["type"] = "response.completed".into();
    assert_eq!(lines(&decode(&[named])), expected);
}

#[test]
fn a_whole_that_differs_is_the_message() {
    let events = decode(&[
        delta("output_text", "msg_1", 0, 0, "Helo"),
        done(0, message("msg_1", "Hello")),
        completed(json!([])),
    ]);
    assert_eq!(lines(&events), ["+m1", "m1: Helo", "-m1 End Hello", "Completed"]);
}

#[test]
fn reasoning_parts_are_paragraphs_and_emitted_once() {
    let item = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "One."}, {"type": "summary_text", "text": "Two."}]});
    let events = decode(&[
        added(0, json!({"type": "reasoning", "id": "rs_1", "summary": []})),
        delta("reasoning_summary_text", "rs_1", 0, 0, "One."),
        json!({"type": "response.reasoning_summary_text.done", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "text": "One."}),
        json!({"type": "response.reasoning_summary_part.done", "item_id": "rs_1", "output_index": 0, "summary_index": 0, "part": {"type": "summary_text", "text": "One."}}),
        delta("reasoning_summary_text", "rs_1", 0, 1, "Tw"),
        delta("reasoning_summary_text", "rs_1", 0, 1, "o."),
        done(0, item.clone()),
        delta("output_text", "msg_1", 1, 0, "Hi"),
        completed(json!([item, message("msg_1", "Hi")])),
    ]);
    assert_eq!(lines(&events), ["+m1", "m1? One.", "m1? \n\nTw", "m1? o.", "m1: Hi", "-m1 End Hi", "Completed"]);
}

#[test]
fn reasoning_streamed_under_one_name_and_repeated_under_the_other_is_one() {
    let item =
        json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "content": []});
    let events =
        decode(&[delta("reasoning_text", "rs_1", 0, 0, "Hm."), done(0, item), completed(json!([message("m", "Hi")]))]);
    assert_eq!(lines(&events)[..3], ["+m1", "m1? Hm.", "m1: Hi"]);
}

#[test]
fn a_function_call_has_the_id_that_its_output_is_sent_back_with() {
    let args = |delta: &str| json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "output_index": 0, "delta": delta});
    let events = decode(&[
        added(
            0,
            json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "clock", "arguments": "", "status": "in_progress"}),
        ),
        args("{\"zone\":"),
        args("\"UTC\"}"),
        json!({"type": "response.function_call_arguments.done", "item_id": "fc_1", "output_index": 0, "arguments": "{\"zone\":\"UTC\"}"}),
        done(0, function("fc_1", "call_1", "{\"zone\":\"UTC\"}")),
        completed(json!([function("fc_1", "call_1", "{\"zone\":\"UTC\"}")])),
    ]);
    assert_eq!(
        lines(&events),
        [
            "+m1",
            "m1 calls call_1 clock Client",
            "call_1 << {\"zone\":",
            "call_1 << \"UTC\"}",
            "call_1 = clock {\"zone\":\"UTC\"}",
            "-m1 ToolCalls ~",
            "Completed",
        ]
    );
}

#[test]
fn calls_side_by_side_are_kept_apart() {
    let args = |item: &str, delta: &str| json!({"type": "response.function_call_arguments.delta", "item_id": item, "delta": delta});
    let begin = |id: &str, call: &str| json!({"type": "function_call", "id": id, "call_id": call, "name": "clock", "arguments": ""});
    let events = decode(&[
        added(0, begin("fc_1", "call_1")),
        added(1, begin("fc_2", "call_2")),
        args("fc_2", "{\"b\":"),
        args("fc_1", "{\"a\":1}"),
        args("fc_2", "2}"),
        completed(json!([function("fc_1", "call_1", "{\"a\":1}"), function("fc_2", "call_2", "{\"b\":2}")])),
    ]);
    let ready: Vec<String> = lines(&events).into_iter().filter(|line| line.contains(" = ")).collect();
    assert_eq!(ready, ["call_1 = clock {\"a\":1}", "call_2 = clock {\"b\":2}"]);
}

#[test]
fn a_server_that_renames_its_items_in_each_event_says_nothing_twice() {
    let args =
        json!({"type": "response.function_call_arguments.delta", "item_id": "y2", "output_index": 1, "delta": "{}"});
    let events = decode(&[
        added(0, json!({"type": "message", "id": "x1", "content": []})),
        delta("output_text", "x2", 0, 0, "Hi"),
        done(0, message("x3", "Hi")),
        added(1, json!({"type": "function_call", "id": "y1", "call_id": "call_1", "name": "clock", "arguments": ""})),
        args,
        done(1, function("y3", "call_1", "{}")),
        completed(json!([message("x4", "Hi"), function("y4", "call_1", "{}")])),
    ]);
    assert_eq!(
        lines(&events),
        [
            "+m1",
            "m1: Hi",
            "m1 calls call_1 clock Client",
            "call_1 << {}",
            "call_1 = clock {}",
            "-m1 ToolCalls Hi",
            "Completed"
        ]
    );
}

#[test]
fn a_call_id_that_two_items_share_is_two_calls() {
    let output = json!([function("fc_1", "call_0", "{\"a\":1}"), function("fc_2", "call_0", "{\"b\":2}")]);
    let expected = ["call_0 = clock {\"a\":1}", "call_0_2 = clock {\"b\":2}"];
    let ready = |events: &[Json]| -> Vec<String> {
        lines(&decode(events)).into_iter().filter(|line| line.contains(" = ")).collect()
    };
    assert_eq!(ready(&[completed(output.clone())]), expected);
    let [one, two] = [0, 1].map(|at| output[at].clone());
    assert_eq!(
        ready(&[added(0, one.clone()), done(0, one), added(1, two.clone()), done(1, two), completed(output)]),
        expected
    );
}

#[test]
fn arguments_without_an_announcement_wait_for_the_item() {
    let args = json!({"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": "{}"});
    let events = decode(&[args.clone(), done(0, function("fc_1", "call_1", "{}")), completed(json!([]))]);
    assert_eq!(lines(&events)[1..4], ["m1 calls call_1 clock Client", "call_1 << {}", "call_1 = clock {}"]);
    assert_eq!(lines(&decode(&[args])), ["Interrupted"]);
}

#[test]
fn a_call_cut_at_the_output_limit_is_not_ready() {
    let mut cut = function("fc_1", "call_1", "{\"zo");
    cut["status"] = "incomplete".into();
    let begin = json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "clock", "arguments": ""});
    let end = json!({"type": "response.incomplete", "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": [cut.clone()]}});
    let events = decode(&[added(0, begin), done(0, cut), end]);
    assert_eq!(lines(&events), ["+m1", "m1 calls call_1 clock Client", "-m1 Length ~", "Completed"]);
}

#[test]
fn an_answer_ends_as_the_wire_says() {
    let end = |event: &str, response: Json| {
        let text = delta("output_text", "msg_1", 0, 0, "Hi");
        let lines = lines(&decode(&[text, json!({"type": format!("response.{event}"), "response": response})]));
        lines[lines.len() - 2..].join(" / ")
    };
    let incomplete = |reason: &str| json!({"status": "incomplete", "incomplete_details": {"reason": reason}});
    assert_eq!(end("incomplete", incomplete("max_output_tokens")), "-m1 Length ~ / Completed");
    assert_eq!(end("completed", incomplete("max_output_tokens")), "-m1 Length ~ / Completed");
    assert!(end("incomplete", incomplete("content_filter")).starts_with("-m1 Refused ~ / failed Refused "));
    let error = json!({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "Slow down."}});
    assert_eq!(
        end("failed", error),
        "-m1 Failed ~ / failed RateLimited the server reported an error in its response: Slow down"
    );
    assert!(end("failed", json!({"error": null})).contains("without giving a reason"));
    assert_eq!(end("cancelled", json!({})), "-m1 Interrupted ~ / Interrupted");
    assert_eq!(end("completed", json!({})), "-m1 End ~ / Completed");
}

#[test]
fn errors_come_flat_nested_or_as_prose() {
    let end = |data: &str| {
        let (mut decoder, mut out) = (ResponsesDecoder::new(), Vec::new());
        decoder.decode_frame(&SseFrame { event: "error".into(), ..SseFrame::data(data) }, &mut out);
        assert!(decoder.is_done());
        decoder.finish(&mut out);
        lines(&out).join(" / ")
    };
    let upstream = "failed Upstream the server reported an error in its response: It broke";
    assert_eq!(end(r#"{"type":"error","code":"server_error","message":"It broke.","param":null}"#), upstream);
    assert_eq!(end(r#"{"type":"error","error":{"type":"server_error","message":"It broke."}}"#), upstream);
    assert_eq!(end("It broke."), upstream);
    assert!(end(r#"{"code":"context_length_exceeded","message":"x"}"#).starts_with("failed ContextTooLong"));
}

#[test]
fn a_stream_that_stops_is_interrupted_and_done_is_an_end() {
    assert_eq!(lines(&decode(&[])), ["Interrupted"]);
    let text = delta("output_text", "msg_1", 0, 0, "Hi");
    assert_eq!(lines(&decode(std::slice::from_ref(&text))), ["+m1", "m1: Hi", "-m1 Interrupted ~", "Interrupted"]);
    let (mut decoder, mut out) = (ResponsesDecoder::new(), Vec::new());
    feed(&mut decoder, &[text], &mut out);
    decoder.decode_frame(&SseFrame::data("[DONE]"), &mut out);
    decoder.finish(&mut out);
    assert_eq!(lines(&out).last().unwrap(), "Completed");
}

#[test]
fn refusals_are_marked() {
    let item = json!({"type": "message", "id": "msg_1", "status": "completed", "content": [{"type": "refusal", "refusal": "I can't."}]});
    let events = decode(&[
        delta("refusal", "msg_1", 0, 0, "I can"),
        delta("refusal", "msg_1", 0, 0, "'t."),
        json!({"type": "response.refusal.done", "item_id": "msg_1", "output_index": 0, "content_index": 0, "refusal": "I can't."}),
        completed(json!([item])),
    ]);
    assert_eq!(lines(&events), ["+m1", "m1! I can", "m1! 't.", "-m1 Refused I can't.", "Completed"]);
}

#[test]
fn two_texts_are_two_messages_unless_calls_wait_for_us() {
    let two = json!([message("a", "One"), message("b", "Two")]);
    assert_eq!(
        lines(&decode(&[completed(two)])),
        ["+m1", "m1: One", "-m1 End One", "+m2", "m2: Two", "-m2 End Two", "Completed"]
    );
    let between = json!([message("a", "One"), function("fc_1", "call_1", "{}"), message("b", "Two")]);
    assert_eq!(
        lines(&decode(&[completed(between)])),
        [
            "+m1",
            "m1: One",
            "m1 calls call_1 clock Client",
            "call_1 = clock {}",
            "m1: \n\n",
            "m1: Two",
            "-m1 ToolCalls ~",
            "Completed"
        ]
    );
}

#[test]
fn sources_are_emitted_once() {
    let source = json!({"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 2});
    let mut text = message("msg_1", "Hi");
    text["content"][0]["annotations"] = json!([source]);
    let streamed = json!({"type": "response.output_text.annotation.added", "item_id": "msg_1", "output_index": 0, "content_index": 0, "annotation_index": 0, "annotation": source});
    for events in [
        vec![delta("output_text", "msg_1", 0, 0, "Hi"), streamed, completed(json!([text]))],
        vec![completed(json!([text]))],
    ] {
        let lines = lines(&decode(&events));
        assert_eq!(lines.iter().filter(|line| line.starts_with("citation ")).count(), 1, "{lines:?}");
    }
}

#[test]
fn usage_has_its_details() {
    let usage = json!({"input_tokens": 20, "input_tokens_details": {"cached_tokens": 8}, "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 29});
    let end = json!({"type": "response.completed", "response": {"status": "completed", "output": [message("a", "x")], "usage": usage}});
    let expected =
        Usage { input_tokens: 20, output_tokens: 9, cached_tokens: 8, reasoning_tokens: 4, estimated: false };
    assert!(decode(&[end]).contains(&ReplyEvent::UsageReported { scope: UsageScope::Request(1), usage: expected }));
}

#[test]
fn unknown_events_and_items_are_emitted_once_each() {
    let mystery = json!({"type": "response.mystery.delta", "delta": "x"});
    let item = added(0, json!({"type": "hologram", "id": "h_1"}));
    let lines = lines(&decode(&[mystery.clone(), mystery, item.clone(), item, json!([1]), json!("x"), json!({})]));
    assert_eq!(lines.iter().filter(|line| line.starts_with("notice unknown_frame")).count(), 4, "{lines:?}");
    assert_eq!(lines.last().unwrap(), "Interrupted");
}

#[test]
fn every_kind_of_event_is_known() {
    let names = "created queued in_progress output_item.added output_item.done content_part.added content_part.done \
        output_text.delta output_text.done output_text.annotation.added refusal.delta refusal.done \
        reasoning_text.delta reasoning_text.done reasoning_summary_part.added reasoning_summary_part.done \
        reasoning_summary_text.delta reasoning_summary_text.done function_call_arguments.delta \
        function_call_arguments.done custom_tool_call_input.delta custom_tool_call_input.done \
        mcp_call_arguments.delta mcp_call_arguments.done mcp_call.in_progress mcp_call.completed mcp_call.failed \
        mcp_list_tools.in_progress mcp_list_tools.completed mcp_list_tools.failed web_search_call.in_progress \
        web_search_call.searching web_search_call.completed file_search_call.in_progress file_search_call.searching \
        file_search_call.completed code_interpreter_call.in_progress code_interpreter_call.interpreting \
        code_interpreter_call.completed code_interpreter_call_code.delta code_interpreter_call_code.done \
        image_generation_call.in_progress image_generation_call.generating image_generation_call.partial_image \
        image_generation_call.completed shell_call_command.added shell_call_command.delta shell_call_command.done \
        shell_call_output_content.delta shell_call_output_content.done audio.done audio.transcript.delta \
        audio.transcript.done";
    for name in names.split_whitespace() {
        let item = json!({"type": "message", "id": "m", "content": []});
        let lines = lines(&decode(&[
            json!({"type": format!("response.{name}"), "delta": "x", "text": "x", "item": item, "annotation": {}}),
        ]));
        assert!(lines.iter().all(|line| !line.starts_with("notice")), "{name}: {lines:?}");
    }
}

#[test]
fn an_emoji_cut_between_deltas_is_whole() {
    let frame = |text: &str| {
        SseFrame::data(format!(r#"{{"type":"response.output_text.delta","item_id":"a","delta":"{text}"}}"#))
    };
    let (mut decoder, mut out) = (ResponsesDecoder::new(), Vec::new());
    for text in [r"a\ud83d", r"\ude00b", r"\ud83d"] {
        decoder.decode_frame(&frame(text), &mut out);
    }
    let whole = r#"{"type":"response.output_text.done","item_id":"a","text":"a\ud83d\ude00b\ud83d"}"#;
    decoder.decode_frame(&SseFrame::data(whole), &mut out);
    decoder.finish(&mut out);
    assert_eq!(lines(&out), ["+m1", "m1: a", "m1: 😀b", "m1: \u{fffd}", "-m1 Interrupted a😀b\u{fffd}", "Interrupted"]);
}

#[test]
fn hostile_lists_are_bounded() {
    let events: Vec<Json> = (0..2000).map(|n| delta("output_text", &format!("i{n}"), n, n, "x")).collect();
    assert!(decode(&events).len() < 3000);
    let parts: Vec<Json> = (0..2000).map(|n| delta("output_text", "i", 0, n, "x")).collect();
    assert!(decode(&parts).len() < 300);
}
