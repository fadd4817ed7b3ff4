use super::*;
use crate::dialect::a2a::DIALECT;
use crate::event::{DecidedBy, Decision, Fault, FinishReason, Millis, ReplyEvent, TextKind, Usage, UsageScope};
use crate::testkit::events::{
    call_finished, call_ready, call_started, message_finished, message_started, opened, shell_approval, text_delta,
    turn_finished, turn_started, user_message,
};

fn about(version: A2aVersion) -> A2aTask {
    A2aTask { id: "s1".into(), context: "ctx".into(), version, ..A2aTask::default() }
}

fn envelopes(events: &[AgentEvent]) -> Vec<Envelope> {
    let number = |(event, seq): (&AgentEvent, u64)| Envelope { seq: Seq(seq), at: Millis(seq), event: event.clone() };
    events.iter().zip(1..).map(number).collect()
}

/// The results of a stream; it ends early where the client has to decide.
fn results(task: A2aTask, events: &[AgentEvent]) -> Vec<Json> {
    let (mut encoder, mut out) = (A2aEncoder::new(task), Vec::new());
    encoder.start(&mut out);
    for envelope in envelopes(events) {
        encoder.encode_event(&envelope, &mut out);
        if encoder.is_paused() {
            break;
        }
    }
    encoder.finish(&mut out);
    out.iter().map(|frame| serde_json::from_str(&frame.data).unwrap()).collect()
}

fn decode(frames: &[Json]) -> Vec<ReplyEvent> {
    let context = crate::dialect::DecodeContext { prompt: Some("go".into()), ..Default::default() };
    let (mut decoder, mut out) = ((DIALECT.decode)(&context), Vec::new());
    for frame in frames {
        decoder.decode_frame(&SseFrame::data(frame.to_string()), &mut out);
    }
    decoder.finish(&mut out);
    out
}

fn turn() -> Vec<AgentEvent> {
    let usage = Usage { input_tokens: 10, output_tokens: 5, cached_tokens: 4, reasoning_tokens: 2, estimated: false };
    vec![
        opened(),
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        AgentEvent::ReasoningDelta { message: "m2".into(), text: "hm".into() },
        AgentEvent::ReasoningDelta { message: "m2".into(), text: "m".into() },
        text_delta("m2", "I "),
        text_delta("m2", "look."),
        call_started("c1", "m2", Some("read_file")),
        call_ready("c1", "read_file", r#"{"path":"a"}"#),
        message_finished("m2", FinishReason::ToolCalls),
        call_finished("c1", CallOutcome::Ok, "fn a() {}"),
        message_started("m3"),
        text_delta("m3", "Do"),
        AgentEvent::MessageFinished {
            message: "m3".into(),
            finish_reason: FinishReason::End,
            full_text: Some("Done.".into()),
            provider_metadata: None,
        },
        AgentEvent::UsageReported { scope: UsageScope::Request(1), usage },
        turn_finished("t1", TurnOutcome::Completed),
    ]
}

fn asking() -> Vec<AgentEvent> {
    vec![
        opened(),
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        text_delta("m2", "I run it."),
        call_started("c1", "m2", Some("shell")),
        call_ready("c1", "shell", r#"{"command":"ls"}"#),
        message_finished("m2", FinishReason::ToolCalls),
        AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("ls") },
    ]
}

#[test]
fn a_turn_is_a_task_in_both_versions() {
    let new = results(about(A2aVersion::V1_0), &turn());
    assert_eq!(new[0]["task"]["status"]["state"], "TASK_STATE_WORKING");
    assert_eq!(new[0]["task"]["history"][0]["parts"], json!([{"text": "go"}]));
    let last = &new.last().unwrap()["statusUpdate"];
    assert_eq!(last["status"]["state"], "TASK_STATE_COMPLETED");
    assert_eq!(last["metadata"]["usage"]["total_tokens"], 15);
    assert!(last["status"]["timestamp"].as_str().unwrap().ends_with('Z'), "{last}");

    let old = results(about(A2aVersion::V0_3), &turn());
    assert_eq!((&old[0]["kind"], &old[0]["history"][0]["role"]), (&json!("task"), &json!("user")));
    assert_eq!(
        old[1]["status"]["message"]["parts"][0],
        json!({"kind": "text", "text": "hmm", "metadata": {"thought": true}})
    );
    assert_eq!(old.len(), new.len());
    let finals: Vec<&Json> = old.iter().filter(|result| result["final"] == true).collect();
    assert_eq!(finals, [old.last().unwrap()]);
    assert_eq!(finals[0]["status"]["state"], "completed");
}

#[test]
fn what_we_write_we_read_back() {
    for version in [A2aVersion::V0_3, A2aVersion::V1_0] {
        let rpc_id = Some(json!(7));
        let frames = results(A2aTask { rpc_id, ..about(version) }, &turn());
        assert!(frames.iter().all(|frame| frame["id"] == 7 && frame["jsonrpc"] == "2.0"));
        let events = decode(&frames);
        let joined = |pick: fn(&ReplyEvent) -> Option<&str>| events.iter().filter_map(pick).collect::<String>();
        assert_eq!(
            joined(|event| match event {
                ReplyEvent::TextDelta { text, kind: TextKind::Text, .. } => Some(text),
                _ => None,
            }),
            "I look.Done.",
            "{events:#?}"
        );
        assert_eq!(
            joined(|event| match event {
                ReplyEvent::ReasoningDelta { text, .. } => Some(text),
                _ => None,
            }),
            "hmm"
        );
        let is_call = |event: &&ReplyEvent| matches!(event, ReplyEvent::ToolCallReady { name, args, .. } if name == "read_file" && args == r#"{"path":"a"}"#);
        assert_eq!(events.iter().filter(is_call).count(), 1, "{events:#?}");
        let is_result = |event: &&ReplyEvent| matches!(event, ReplyEvent::ToolCallFinished { outcome: CallOutcome::Ok, output, .. } if output.text == "fn a() {}");
        assert_eq!(events.iter().filter(is_result).count(), 1, "{events:#?}");
        assert!(matches!(events.last(), Some(ReplyEvent::End { outcome: TurnOutcome::Completed, .. })), "{events:?}");
    }
}

#[test]
fn an_approval_asks_for_input_and_what_follows_it_is_another_stream() {
    let mut events = asking();
    let first = results(about(A2aVersion::V1_0), &events);
    let last = &first.last().unwrap()["statusUpdate"]["status"];
    assert_eq!(last["state"], "TASK_STATE_INPUT_REQUIRED");
    let parts = &last["message"]["parts"];
    assert!(parts[0]["text"].as_str().unwrap().starts_with("May this run? shell: "), "{parts}");
    assert_eq!(parts[1]["data"]["approval"]["toolCallId"], "c1");

    let asked = Seq(events.len() as u64);
    events.extend([
        AgentEvent::ApprovalResolved { call: "c1".into(), decision: Decision::Once, by: DecidedBy::Remote },
        call_finished("c1", CallOutcome::Ok, "a"),
        message_started("m3"),
        text_delta("m3", "Done."),
        message_finished("m3", FinishReason::End),
        turn_finished("t1", TurnOutcome::Completed),
    ]);
    let back = A2aTask { begin_at: Some(asked), decided: Some("c1".into()), ..about(A2aVersion::V1_0) };
    let rest = results(back, &events);
    let task = &rest[0]["task"];
    assert_eq!(task["status"]["state"], "TASK_STATE_WORKING");
    assert_eq!(task["artifacts"][0]["parts"], json!([{"text": "I run it."}]), "it stands as it was left");
    assert!(!rest[1..].iter().any(|result| result.to_string().contains("I run it.")), "{rest:?}");
    assert_eq!(rest[1]["statusUpdate"]["status"]["message"]["parts"][0]["data"]["tool_results"][0]["content"], "a");
    assert_eq!(rest.last().unwrap()["statusUpdate"]["status"]["state"], "TASK_STATE_COMPLETED");
}

#[test]
fn who_comes_back_gets_the_task_as_it_stands_wherever_it_was_cut() {
    let all = turn();
    let whole = |frames: &[Json]| {
        // Artifacts as a client puts them together.
        let mut texts: Vec<(String, String)> = Vec::new();
        let mut take = |artifact: &Json, append: bool| {
            let id = artifact["artifactId"].as_str().unwrap().to_owned();
            let text: String =
                artifact["parts"].as_array().unwrap().iter().map(|part| part["text"].as_str().unwrap()).collect();
            match texts.iter_mut().find(|(known, _)| *known == id) {
                Some((_, known)) if append => known.push_str(&text),
                Some((_, known)) => *known = text,
                None => texts.push((id, text)),
            }
        };
        for frame in frames {
            for artifact in frame["task"]["artifacts"].as_array().into_iter().flatten() {
                take(artifact, false);
            }
            if let Some(update) = frame.get("artifactUpdate") {
                take(&update["artifact"], update["append"] == true);
            }
        }
        texts
    };
    let expected = whole(&results(about(A2aVersion::V1_0), &all));
    assert_eq!(expected, [("m2".to_owned(), "I look.".to_owned()), ("m3".to_owned(), "Done.".to_owned())]);
    for cut in 1..=all.len() as u64 {
        let frames = results(A2aTask { begin_at: Some(Seq(cut)), ..about(A2aVersion::V1_0) }, &all);
        assert!(frames[0].get("task").is_some(), "cut at {cut}");
        assert_eq!(frames.iter().filter(|frame| frame.get("task").is_some()).count(), 1, "cut at {cut}");
        assert_eq!(whole(&frames), expected, "cut at {cut}");
    }
}

#[test]
fn the_end_says_how_it_went() {
    let with = |end: TurnOutcome| {
        let mut events = asking()[..5].to_vec();
        events.extend([message_finished("m2", FinishReason::End), turn_finished("t1", end)]);
        results(about(A2aVersion::V1_0), &events).pop().unwrap()["statusUpdate"]["status"].take()
    };
    assert_eq!(with(TurnOutcome::Cancelled)["state"], "TASK_STATE_CANCELED");
    let failed = with(TurnOutcome::Failed(Fault::new(FaultKind::Upstream, "the model is gone")));
    assert_eq!(
        (&failed["state"], &failed["message"]["parts"][0]["text"]),
        (&json!("TASK_STATE_FAILED"), &json!("the model is gone"))
    );
    assert_eq!(with(TurnOutcome::Failed(Fault::new(FaultKind::Refused, "no")))["state"], "TASK_STATE_REJECTED");
    let cut = results(about(A2aVersion::V1_0), &asking()[..5]).pop().unwrap();
    assert_eq!(cut["statusUpdate"]["status"]["state"], "TASK_STATE_FAILED", "the turn never ended");
}

#[test]
fn a_text_that_was_corrected_replaces_the_artifact() {
    let mut events = asking()[..5].to_vec();
    events.extend([
        AgentEvent::MessageFinished {
            message: "m2".into(),
            finish_reason: FinishReason::End,
            full_text: Some("Other.".into()),
            provider_metadata: None,
        },
        turn_finished("t1", TurnOutcome::Completed),
    ]);
    let frames = results(about(A2aVersion::V1_0), &events);
    let update =
        frames.iter().find(|frame| frame["artifactUpdate"]["append"] == false && frame.to_string().contains("Other."));
    assert!(update.is_some(), "{frames:?}");
}

#[test]
fn one_who_waits_for_the_end_is_not_asked() {
    let task = A2aTask { never_pauses: true, ..about(A2aVersion::V0_3) };
    let mut events = asking();
    events.extend([
        AgentEvent::ApprovalResolved { call: "c1".into(), decision: Decision::Deny(None), by: DecidedBy::Cancelled },
        call_finished("c1", CallOutcome::Denied, ""),
        turn_finished("t1", TurnOutcome::Cancelled),
    ]);
    let frames = results(task, &events);
    assert_eq!(frames.iter().filter(|frame| frame["final"] == true).count(), 1);
    assert_eq!(frames.last().unwrap()["status"]["state"], "canceled");
}
