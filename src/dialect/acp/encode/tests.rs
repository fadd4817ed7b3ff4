use super::*;
use crate::dialect::Decode as _;
use crate::dialect::acp::AcpDecoder;
use crate::event::{DecidedBy, Decision, Fault, Millis, OutputStream, PromptImage, ReplyEvent, Risk, Seq};
use crate::testkit::events::{
    Opened, call_finished, call_ready, call_started, message_finished, message_started, shell_approval, text_delta,
    turn_finished, turn_started, user_message,
};
use crate::testkit::images::PNG_2X3;

fn encoder() -> AcpEncoder {
    let kinds = [("read_file", ToolKind::Read), ("edit_file", ToolKind::Edit), ("write_file", ToolKind::Edit)];
    AcpEncoder::new(Arc::new(kinds.map(|(name, kind)| (name.to_owned(), kind)).into()))
}

fn opened() -> AgentEvent {
    Opened { folder: "/work", context_window: Some(1000), ..Opened::default() }.event()
}

fn encode(encoder: &mut AcpEncoder, events: &[AgentEvent], is_history: bool) -> Vec<Json> {
    let numbered =
        events.iter().zip(1..).map(|(event, seq)| Envelope { seq: Seq(seq), at: Millis(seq), event: event.clone() });
    numbered.flat_map(|envelope| encoder.encode(&envelope, is_history)).collect()
}

fn reasoning(message: &str, text: &str) -> AgentEvent {
    AgentEvent::ReasoningDelta { message: message.into(), text: text.into() }
}

fn annotated(annotation: Annotation) -> AgentEvent {
    AgentEvent::Annotation { on: AnnotationTarget::Session, annotation }
}

fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, cached_tokens: 2, reasoning_tokens: 1, estimated: false }
}

fn plan() -> Vec<PlanEntry> {
    [("look", PlanState::Done), ("write", PlanState::InProgress), ("test", PlanState::Pending)]
        .map(|(text, state)| PlanEntry { text: text.into(), state })
        .to_vec()
}

/// A turn with everything that an update can say.
fn turn() -> Vec<AgentEvent> {
    vec![
        opened(),
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        reasoning("m2", "hmm"),
        text_delta("m2", "I look."),
        call_started("c1", "m2", Some("read_file")),
        AgentEvent::ToolArgsDelta { call: "c1".into(), json: "{\"path\":".into() },
        call_ready("c1", "read_file", r#"{"path":"src/a.rs","offset":7}"#),
        call_started("c2", "m2", None),
        call_ready("c2", "shell", r#"{"command":"ls"}"#),
        message_finished("m2", FinishReason::ToolCalls),
        AgentEvent::UsageReported { scope: UsageScope::Request(1), usage: usage(10, 5) },
        annotated(Annotation::Cost { usd: 0.5 }),
        AgentEvent::ApprovalRequested { call: "c2".into(), request: shell_approval("ls") },
        AgentEvent::ApprovalResolved { call: "c2".into(), decision: Decision::Once, by: DecidedBy::Remote },
        AgentEvent::ToolOutput { call: "c2".into(), stream: OutputStream::Stdout, text: "a\n".into() },
        AgentEvent::ToolOutput { call: "c2".into(), stream: OutputStream::Stdout, text: "b\n".into() },
        call_finished("c1", CallOutcome::Ok, "fn a() {}"),
        call_finished("c2", CallOutcome::Failed, "a\nb\nno"),
        annotated(Annotation::Plan(plan())),
        message_started("m3"),
        text_delta("m3", "Do"),
        AgentEvent::MessageFinished {
            message: "m3".into(),
            finish_reason: FinishReason::End,
            full_text: Some("Done.".into()),
            provider_metadata: None,
        },
        AgentEvent::UsageReported { scope: UsageScope::Request(2), usage: usage(20, 7) },
        turn_finished("t1", TurnOutcome::Completed),
    ]
}

#[test]
fn our_own_client_reads_all_of_a_turn() {
    let mut encoder = encoder();
    let updates = encode(&mut encoder, &turn(), false);
    let (mut decoder, mut out) = (AcpDecoder::default(), Vec::new());
    for update in &updates {
        decoder.handle_update(update, &mut out);
    }
    let answer = encoder.prompt_answer();
    decoder.handle_answer(Ok(answer.as_ref().unwrap()), &mut out);
    decoder.finish(&mut out);
    let (mut texts, mut calls, mut seen) = (String::new(), Vec::new(), Vec::new());
    let mut live = String::new();
    for event in &out {
        match event {
            ReplyEvent::MessageStarted { .. } => texts.push('|'),
            ReplyEvent::TextDelta { text, .. } => texts.push_str(text),
            ReplyEvent::ReasoningDelta { text, .. } => texts.extend(["(", text, ")"]),
            ReplyEvent::ToolCallReady { name, args, .. } => calls.push(format!("{name} {args}")),
            ReplyEvent::ToolOutput { text, .. } => live.push_str(text),
            ReplyEvent::ToolCallFinished { outcome, output, .. } => calls.push(format!("{outcome:?} {}", output.text)),
            ReplyEvent::Annotation { annotation: Annotation::Plan(entries), .. } => assert_eq!(*entries, plan()),
            ReplyEvent::UsageReported { usage, .. } => seen.push((usage.input_tokens, usage.output_tokens)),
            ReplyEvent::End { outcome } => assert_eq!(*outcome, TurnOutcome::Completed),
            _ => {}
        }
    }
    assert_eq!(texts, "|(hmm)I look.|Done.");
    assert_eq!(
        calls,
        [r#"shell {"command":"ls"}"#, r#"read_file {"path":"src/a.rs","offset":7}"#, "Ok fn a() {}", "Failed a\nb\nno",]
    );
    assert_eq!((live.as_str(), seen), ("a\nb\n", vec![(30, 12)]));
    assert!(!out.iter().any(|event| matches!(event, ReplyEvent::Notice { .. })), "{out:?}");
}

#[test]
fn the_last_update_of_each_event_has_its_number() {
    let numbers: Vec<u64> = encode(&mut encoder(), &turn(), true)
        .iter()
        .filter_map(|update| update.pointer("/_meta/jarvis-tui/seq")?.as_u64())
        .collect();
    assert!(numbers.is_sorted() && numbers.first() == Some(&3), "{numbers:?}");
    let mut parts = encoder();
    encode(&mut parts, &[opened(), turn_started("t")], true);
    let context = ["a.rs", "b.rs"].map(|name| PromptContext {
        kind: PromptContextKind::File,
        name: name.into(),
        text: String::new(),
    });
    let on = AnnotationTarget::Message("m1".into());
    let two = AgentEvent::Annotation { on, annotation: Annotation::PromptContext(context.to_vec()) };
    let numbers: Vec<Option<u64>> = parts
        .encode(&Envelope { seq: Seq(9), at: Millis(0), event: two }, true)
        .iter()
        .map(|update| update.pointer("/_meta/jarvis-tui/seq").and_then(Json::as_u64))
        .collect();
    assert_eq!(numbers, [None, Some(9)]);
}

#[test]
fn what_a_call_does_is_shown_with_places_and_changes() {
    let mut encoder = encoder();
    encode(&mut encoder, &[opened(), turn_started("t"), message_started("m")], false);
    let call = |encoder: &mut AcpEncoder, id: &str, name: &str, args: &str| {
        encode(encoder, &[call_started(id, "m", Some(name)), call_ready(id, name, args)], false).pop().unwrap()
    };
    let read = call(&mut encoder, "c1", "read_file", r#"{"path":"./src/a.rs","offset":7}"#);
    assert_eq!(read["locations"], json!([{"path": "/work/src/a.rs", "line": 7}]));
    assert_eq!(read["title"], "read_file: ./src/a.rs");
    let edit = call(&mut encoder, "c2", "edit_file", r#"{"path":"/tmp/b","old":"x","new":"y"}"#);
    assert_eq!(edit["content"], json!([{"type": "diff", "path": "/tmp/b", "oldText": "x", "newText": "y"}]));
    let write = call(&mut encoder, "c3", "write_file", r#"{"path":"n.txt","content":"hi"}"#);
    assert_eq!(write["content"], json!([{"type": "diff", "path": "/work/n.txt", "newText": "hi"}]));
    let finished = encode(&mut encoder, &[call_finished("c2", CallOutcome::Ok, "replaced once")], false);
    assert_eq!((&finished[0]["status"], &finished[0]["content"]), (&json!("completed"), &edit["content"]));
    assert_eq!(finished[0]["rawOutput"], "replaced once");
    let denied = encode(&mut encoder, &[call_finished("c3", CallOutcome::Denied, "")], false);
    assert_eq!(
        (&denied[0]["status"], &denied[0]["content"][0]["content"]["text"]),
        (&json!("failed"), &json!("denied"))
    );
    let broken = call(&mut encoder, "c4", "shell", "{\"comm");
    assert_eq!((&broken["rawInput"], &broken["title"]), (&json!("{\"comm"), &json!("shell")));
}

#[test]
fn who_is_asked_sees_the_command_or_the_change() {
    let mut encoder = encoder();
    let args = r#"{"path":"b","old":"x","new":"y"}"#;
    encode(
        &mut encoder,
        &[opened(), turn_started("t"), message_started("m"), call_started("c", "m", Some("edit_file"))],
        false,
    );
    encode(&mut encoder, &[call_ready("c", "edit_file", args)], false);
    let request = ApprovalRequest {
        tool: "edit_file".into(),
        kind: ToolKind::Edit,
        risk: Risk::Write,
        subject: "b".into(),
        detail: "--- a/b\n".into(),
        ..shell_approval("")
    };
    let asked = encoder.asked_call(&"c".into(), &request);
    assert_eq!((&asked["kind"], &asked["content"][0]["newText"]), (&json!("edit"), &json!("y")));
    assert_eq!(asked["locations"][0]["path"], "/work/b");
    let shell = ApprovalRequest { detail: "ls\n# all".into(), ..shell_approval("ls") };
    let asked = encoder.asked_call(&"unknown".into(), &shell);
    assert_eq!((&asked["title"], &asked["kind"]), (&json!("shell: ls"), &json!("execute")));
    assert_eq!(asked["content"][0]["content"]["text"], "ls\n# all");
}

#[test]
fn a_history_has_the_prompts_and_what_went_along_and_a_running_session_has_not() {
    let image = PromptImage::new(PNG_2X3).unwrap();
    let file = |kind, name: &str| PromptContext { kind, name: name.into(), text: "text".into() };
    let parts = vec![
        file(PromptContextKind::File, "a b.rs"),
        file(PromptContextKind::Command, "ls"),
        PromptContext::from_image("image 1".into(), image.clone()),
    ];
    let on = AnnotationTarget::Message("m1".into());
    let said = [
        opened(),
        turn_started("t"),
        user_message("m1", "hi"),
        AgentEvent::Annotation { on, annotation: Annotation::PromptContext(parts) },
    ];
    assert_eq!(encode(&mut encoder(), &said, false), [] as [Json; 0]);
    let updates = encode(&mut encoder(), &said, true);
    assert!(
        updates.iter().all(|update| update["sessionUpdate"] == "user_message_chunk" && update["messageId"] == "m1")
    );
    let contents: Vec<&Json> = updates.iter().map(|update| &update["content"]).collect();
    assert_eq!(contents[0], &json!({"type": "text", "text": "hi"}));
    assert_eq!(contents[1]["resource"]["uri"], "file:///work/a%20b.rs");
    assert_eq!(contents[2]["resource"]["uri"], "command:ls");
    assert_eq!(contents[3], &json!({"type": "image", "data": image.base64(), "mimeType": "image/png"}));
}

#[test]
fn the_mode_is_told_when_it_changes() {
    let mode = |mode| Opened { mode, ..Opened::default() }.event();
    let switched = [mode(ApprovalMode::Ask), mode(ApprovalMode::Ask), mode(ApprovalMode::Plan)];
    let updates = encode(&mut encoder(), &switched, false);
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0]["currentModeId"], "plan");
    let mut past = encoder();
    assert_eq!(encode(&mut past, &switched, true), [] as [Json; 0]);
    assert_eq!(past.mode(), Some(ApprovalMode::Plan));
}

#[test]
fn usage_is_told_with_the_size_of_the_context_only() {
    let reported = AgentEvent::UsageReported { scope: UsageScope::Request(1), usage: usage(10, 5) };
    let with = [opened(), annotated(Annotation::Cost { usd: 0.25 }), reported.clone()];
    let updates = encode(&mut encoder(), &with, false);
    let told = &updates[0];
    assert_eq!((&told["used"], &told["size"], &told["cost"]["amount"]), (&json!(15), &json!(1000), &json!(0.25)));
    assert_eq!(encode(&mut encoder(), &[Opened::default().event(), reported], false), [] as [Json; 0]);
}

#[test]
fn work_of_sub_agents_is_not_the_answer() {
    let sub = AgentEvent::MessageStarted {
        message: "m9".into(),
        role: crate::event::Role::Assistant,
        parent: Some("c1".into()),
    };
    let events = [opened(), turn_started("t"), sub, text_delta("m9", "inner"), call_started("c9", "m9", Some("shell"))];
    assert_eq!(encode(&mut encoder(), &events, false), [] as [Json; 0]);
}

#[test]
fn what_a_sub_agent_says_is_output_of_the_call_that_it_works_for() {
    let by = |message: &str, parent: &str| AgentEvent::MessageStarted {
        message: message.into(),
        role: crate::event::Role::Assistant,
        parent: Some(parent.into()),
    };
    let mut encoder = encoder();
    let events = [
        opened(),
        turn_started("t"),
        message_started("m"),
        call_started("c1", "m", Some("task")),
        by("m9", "c1"),
        text_delta("m9", "I look. "),
        call_started("c9", "m9", Some("task")),
        message_finished("m9", FinishReason::ToolCalls),
        by("m10", "c9"),
        text_delta("m10", "Deeper."),
        message_finished("m10", FinishReason::End),
    ];
    let updates = encode(&mut encoder, &events, false);
    let shown: Vec<_> = updates.iter().filter(|update| update["sessionUpdate"] == "tool_call_update").collect();
    assert!(shown.iter().all(|update| update["toolCallId"] == "c1") && shown.len() == 2, "{updates:?}");
    assert_eq!(shown[1]["content"][0]["content"]["text"], "I look.\n\nDeeper.\n\n");
}

#[test]
fn what_a_running_call_prints_is_sent_as_far_as_its_end() {
    let mut encoder = encoder();
    let start = [opened(), turn_started("t"), message_started("m"), call_started("c", "m", Some("shell"))];
    encode(&mut encoder, &start, false);
    let output = |text: String| AgentEvent::ToolOutput { call: "c".into(), stream: OutputStream::Stdout, text };
    encode(&mut encoder, &[output("é".repeat(MAX_LIVE_OUTPUT_BYTES))], false);
    let update = encode(&mut encoder, &[output("end".into())], false).pop().unwrap();
    let text = update["content"][0]["content"]["text"].as_str().unwrap().to_owned();
    assert!(text.len() <= MAX_LIVE_OUTPUT_BYTES && text.ends_with("éend"));
}

#[test]
fn every_end_of_a_turn_has_its_reason_or_its_error() {
    let end = |reason: Option<FinishReason>, outcome: TurnOutcome| {
        let mut encoder = encoder();
        let mut events = vec![turn_started("t")];
        if let Some(reason) = reason {
            events.extend([message_started("m"), message_finished("m", reason)]);
        }
        events.push(turn_finished("t", outcome));
        encode(&mut encoder, &events, false);
        match encoder.prompt_answer() {
            Ok(result) => result["stopReason"].as_str().unwrap().to_owned(),
            Err((code, why)) => format!("{code} {why}"),
        }
    };
    let failed = |kind| TurnOutcome::Failed(Fault::new(kind, "why"));
    for (reason, outcome, expected) in [
        (Some(FinishReason::End), TurnOutcome::Completed, "end_turn"),
        (None, TurnOutcome::Completed, "end_turn"),
        (Some(FinishReason::Length), TurnOutcome::Completed, "max_tokens"),
        (Some(FinishReason::Refused), TurnOutcome::Completed, "refusal"),
        (None, TurnOutcome::Cancelled, "cancelled"),
        (None, failed(FaultKind::LimitReached), "max_turn_requests"),
        (None, failed(FaultKind::Refused), "refusal"),
        (None, failed(FaultKind::Network), "-32603 why"),
        (None, TurnOutcome::Interrupted, "-32603 the answer was cut short"),
    ] {
        assert_eq!(end(reason, outcome.clone()), expected, "{reason:?} {outcome:?}");
    }
}
