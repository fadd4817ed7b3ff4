//! Tests of what the log, the hub and the next run get.

use std::path::Path;

use tokio::task::JoinSet;

use super::*;
use crate::bridge::HubItem;
use crate::bridge::hub::{Backlog, Hub};
use crate::event::{
    CallOutcome, CallOutput, Capabilities, DecidedBy, Decision, FinishReason, NoticeCode, NoticeLevel, Risk, Seq,
    ToolKind, TurnOutcome,
};
use crate::journal::{LogHeader, Writer};
use crate::testkit::events::{
    call_finished, call_ready, call_started, message_finished, message_started, opened, text_delta, turn_finished,
    turn_started, user_message,
};
use crate::testkit::secrets::{PlantedSecret, planted_secrets};
use crate::testkit::session::{session_setup, start_session};

fn passed(events: Vec<AgentEvent>) -> Vec<AgentEvent> {
    let mut redaction = Redaction::default();
    let mut out = Vec::new();
    for event in events {
        redaction.push(event, &mut out);
    }
    out
}

fn secret() -> String {
    format!("{}{}", "ghp", "_q7Zr81KxTn45bVw2YcM09LpDs63HgJf8AaEu")
}

fn marked() -> String {
    secret_mark("github-token", &secret())
}

fn reasoning(message: &str, text: &str) -> AgentEvent {
    AgentEvent::ReasoningDelta { message: message.into(), text: text.into() }
}

fn output(call: &str, text: &str) -> AgentEvent {
    AgentEvent::ToolOutput { call: call.into(), stream: OutputStream::Stdout, text: text.into() }
}

fn all_text(events: &[AgentEvent]) -> String {
    events.iter().filter_map(|event| delta_text(&mut event.clone()).cloned()).collect()
}

/// Runs a session with a log over these events; returns what is on the disk and what the hub told.
async fn logged(folder: &Path, events: Vec<AgentEvent>) -> (String, Vec<String>) {
    let mut tasks = JoinSet::new();
    let writer = Writer::create(folder, &LogHeader::new("s".into(), 0)).unwrap();
    let path = writer.path().to_owned();
    let mut setup = session_setup("s".into());
    setup.hub = Hub::new(Backlog::Journal(writer.reader()), 64 << 20);
    setup.writer = Some(writer);
    let (live, source) = start_session(setup, Capabilities::default(), &mut tasks);
    let mut subscription = live.hub.subscribe(Seq(0));
    for event in events {
        source.events.send(event).await.unwrap();
    }
    drop((live, source));
    tasks.join_all().await;
    let mut told = Vec::new();
    let mut batch = Vec::new();
    while subscription.next_batch(512, &mut batch).await {}
    for item in batch {
        let HubItem::Event(event) = item else { continue };
        assert_eq!(event.line, serde_json::to_vec(&event.envelope).unwrap());
        told.push(String::from_utf8(event.line.to_vec()).unwrap());
    }
    (std::fs::read_to_string(path).unwrap(), told)
}

/// Events of two messages in turn, so that no two pieces of one are merged on their way.
fn in_turn(one: &[&str], other: &[&str]) -> Vec<AgentEvent> {
    let mut events = Vec::new();
    for nth in 0..one.len().max(other.len()) {
        events.extend(one.get(nth).map(|piece| text_delta("m2", piece)));
        events.extend(other.get(nth).map(|piece| output("c1", piece)));
    }
    events
}

fn turn(number: usize, inside: Vec<AgentEvent>) -> Vec<AgentEvent> {
    let turn = format!("t{number}");
    let mut events = vec![turn_started(&turn), message_started("m2"), call_started("c1", "m2", Some("shell"))];
    events.push(call_ready("c1", "shell", "{}"));
    events.extend(inside);
    events.push(call_finished("c1", CallOutcome::Ok, "done"));
    events.push(message_finished("m2", FinishReason::End));
    events.push(turn_finished(&turn, TurnOutcome::Completed));
    events
}

#[tokio::test(start_paused = true)]
async fn no_planted_secret_reaches_the_disk_or_the_hub_however_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let planted = planted_secrets(11, 1000);
    let mut events = vec![opened()];
    for (nth, pair) in planted.chunks(2).enumerate() {
        let letters: Vec<&str> = pair[0].text.split_inclusive(|_| true).collect();
        let other = &pair[1].text;
        let cut = other.floor_char_boundary(nth * 7 % other.len());
        events.extend(turn(nth, in_turn(&letters, &[&other[..cut], &other[cut..]])));
    }
    let (disk, told) = logged(folder.path(), events).await;
    let told = told.concat();
    for PlantedSecret { kind, secret, text } in &planted {
        let escaped = serde_json::to_string(secret).unwrap();
        let escaped = escaped.trim_matches('"');
        assert!(!disk.contains(escaped) && !told.contains(escaped), "{kind}: {text}");
    }
    assert!(disk.matches("[redacted:").count() >= 1000);
}

#[test]
fn a_secret_in_every_text_is_cut_at_every_byte_and_blanked_out() {
    for PlantedSecret { kind, text, secret } in planted_secrets(12, 130) {
        let step = if text.len() > 200 { 11 } else { 1 };
        for cut in (1..text.len()).step_by(step).filter(|cut| text.is_char_boundary(*cut)) {
            let (one, two) = text.split_at(cut);
            let out = passed(turn(
                1,
                vec![text_delta("m2", one), output("c1", one), text_delta("m2", two), output("c1", two)],
            ));
            let said = serde_json::to_string(&out).unwrap();
            let escaped = serde_json::to_string(&secret).unwrap();
            assert!(!said.contains(escaped.trim_matches('"')), "{kind} at {cut}: {said}");
        }
    }
}

#[test]
fn what_is_whole_in_an_event_is_blanked_out_in_every_kind_of_it() {
    let secret = secret();
    let ask = ApprovalRequest {
        tool: "shell".into(),
        kind: ToolKind::Execute,
        risk: Risk::Execute,
        subject: format!("echo {secret}"),
        folder: "/x".into(),
        detail: format!("echo {secret}"),
        pattern: Some(format!("shell(echo {secret}*)")),
        expires_at: None,
        answers: Vec::new(),
        hunks: 0,
        sandbox: None,
    };
    let on = crate::event::AnnotationTarget::Session;
    let events = vec![
        user_message("m1", &format!("use {secret}")),
        AgentEvent::Annotation { on: on.clone(), annotation: Annotation::Title(format!("about {secret}")) },
        AgentEvent::Annotation {
            on,
            annotation: Annotation::Custom { name: "x".into(), value: serde_json::json!({"token": secret}) },
        },
        AgentEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Note, text: secret.clone() },
        call_ready("c1", "shell", &format!("{{\"command\":\"echo {secret}\"}}")),
        AgentEvent::ApprovalRequested { call: "c1".into(), request: ask },
        AgentEvent::ApprovalResolved {
            call: "c1".into(),
            decision: Decision::Deny(Some(format!("never {secret}"))),
            by: DecidedBy::Person,
        },
        AgentEvent::ToolCallFinished {
            call: "c1".into(),
            outcome: CallOutcome::Ok,
            output: CallOutput {
                structured: Some(serde_json::json!([secret])),
                ..CallOutput::from_text(secret.clone())
            },
            duration: None,
        },
        AgentEvent::MessageFinished {
            message: "m2".into(),
            finish_reason: FinishReason::End,
            full_text: Some(secret.clone()),
            provider_metadata: None,
        },
        AgentEvent::Unknown(serde_json::json!({"type": "newer", "x": {"y": secret}})),
        turn_finished(
            "t1",
            TurnOutcome::Failed(crate::event::Fault::new(crate::event::FaultKind::Tool, format!("no {secret}"))),
        ),
    ];
    let count = events.len();
    let out = passed(events);
    assert_eq!(out.len(), count);
    for event in &out {
        let said = serde_json::to_string(event).unwrap();
        assert!(!said.contains(&secret) && said.contains("[redacted:"), "{said}");
        assert_eq!(serde_json::from_str::<AgentEvent>(&said).unwrap(), *event);
    }
    assert!(serde_json::to_string(&out).unwrap().matches(&marked()).count() >= 10, "the same mark everywhere");
}

#[test]
fn an_ask_is_kept_as_it_is_until_it_is_answered() {
    let request = |subject: String| ApprovalRequest {
        tool: "shell".into(),
        kind: ToolKind::Execute,
        risk: Risk::Execute,
        subject,
        folder: "/x".into(),
        detail: String::new(),
        pattern: None,
        expires_at: None,
        answers: Vec::new(),
        hunks: 0,
        sandbox: None,
    };
    let mut redaction = Redaction::default();
    let mut out = Vec::new();
    let raw = request(format!("echo {}", secret()));
    redaction.push(AgentEvent::ApprovalRequested { call: "c1".into(), request: raw.clone() }, &mut out);
    redaction.push(AgentEvent::ApprovalRequested { call: "c2".into(), request: request("ls".into()) }, &mut out);
    assert_eq!(redaction.unredacted_asks(), [("c1".into(), raw)], "one without a secret is as the log has it");
    let by = DecidedBy::Person;
    redaction.push(AgentEvent::ApprovalResolved { call: "c1".into(), decision: Decision::Once, by }, &mut out);
    assert_eq!(redaction.unredacted_asks(), []);
}

#[test]
fn metadata_that_tells_a_secret_is_not_kept_and_what_only_the_provider_reads_is() {
    let finished = |metadata: Json| AgentEvent::MessageFinished {
        message: "m2".into(),
        finish_reason: FinishReason::End,
        full_text: None,
        provider_metadata: Some(metadata),
    };
    let thinking =
        |text: &str| serde_json::json!({"content": [{"type": "thinking", "thinking": text, "signature": secret()}]});
    let kept = |event: &AgentEvent| match event {
        AgentEvent::MessageFinished { provider_metadata, .. } => provider_metadata.clone(),
        _ => None,
    };
    let out = passed(vec![finished(thinking("hm")), finished(thinking(&format!("so {}", secret())))]);
    assert_eq!(kept(&out[0]), Some(thinking("hm")));
    assert_eq!(kept(&out[1]), None, "a changed signature must not be sent");
}

#[test]
fn events_without_secrets_are_the_same_events_at_the_same_time() {
    let events = turn(
        1,
        vec![
            reasoning("m2", "Let me see: it = 3."),
            text_delta("m2", "The answer"),
            text_delta("m2", " is 42.\n"),
            output("c1", "total 3\n"),
            AgentEvent::ToolArgsDelta { call: "c2".into(), json: "{\"path\": \"src\"}".into() },
        ],
    );
    let mut redaction = Redaction::default();
    for event in events {
        let mut out = Vec::new();
        redaction.push(event.clone(), &mut out);
        assert_eq!(out, [event]);
    }
}

#[test]
fn what_waits_comes_before_what_stands_behind_it() {
    let kinds = |events: Vec<AgentEvent>| {
        passed(events)
            .iter()
            .map(|event| (event.kind().to_owned(), all_text(std::slice::from_ref(event))))
            .collect::<Vec<_>>()
    };
    let pair = |kind: &str, text: &str| (kind.to_owned(), text.to_owned());
    assert_eq!(
        kinds(vec![text_delta("m2", "ask gh"), reasoning("m2", "hm"), text_delta("m2", "osts")]),
        [
            pair("text_delta", "ask "),
            pair("text_delta", "gh"),
            pair("reasoning_delta", "hm"),
            pair("text_delta", "osts")
        ]
    );
    assert_eq!(
        kinds(vec![text_delta("m2", "ask gh"), message_finished("m2", FinishReason::End)]),
        [pair("text_delta", "ask "), pair("text_delta", "gh"), pair("message_finished", "")]
    );
    assert_eq!(
        kinds(vec![text_delta("m2", "ask gh"), turn_finished("t1", TurnOutcome::Cancelled)])[1],
        pair("text_delta", "gh")
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_in_a_secret_keeps_what_it_said_before() {
    let folder = tempfile::tempdir().unwrap();
    let key = secret();
    let events =
        vec![opened(), turn_started("t1"), message_started("m2"), text_delta("m2", &format!("it is {}", &key[..20]))];
    let (disk, _) = logged(folder.path(), events).await;
    assert!(disk.contains("\"it is \"") && disk.contains("[redacted:github-token:"), "{disk}");
    assert!(!disk.contains(&key[..20]), "{disk}");
    let last = disk.lines().last().unwrap();
    assert!(last.contains("turn_finished"), "{last}");
}

#[test]
fn a_key_that_is_escaped_in_arguments_is_blanked_out_wherever_it_is_cut() {
    let secret = secret();
    let escape = |text: &str| text.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<Vec<_>>().concat();
    let all = escape(&secret);
    let half = format!("{}{}", &secret[..18], escape(&secret[18..]));
    let one = format!("{}{}{}", &secret[..2], escape(&secret[2..3]), &secret[3..]);
    for args in [all, half, one].map(|key| format!("{{\"a\":\"use {key}\",\"b\":1}}")) {
        for cut in 1..args.len() {
            let (one, two) = args.split_at(cut);
            let delta = |json: &str| AgentEvent::ToolArgsDelta { call: "c1".into(), json: json.into() };
            let ready = call_ready("c1", "shell", &args);
            let out = passed(vec![call_started("c1", "m2", Some("shell")), delta(one), delta(two), ready]);
            let mut told = all_text(&out);
            for letter in secret.chars() {
                told = told.replace(&format!("\\u{:04x}", letter as u32), &letter.to_string());
            }
            assert!(!told.contains(&secret[4..14]) && !told.contains(&secret[20..30]), "{cut} {told}");
            let Some(AgentEvent::ToolCallReady { args, .. }) = out.last() else { panic!("{out:?}") };
            assert!(args.contains(&marked()) && !args.contains("\\u00"), "{args}");
        }
    }
}

#[test]
fn a_summary_of_earlier_turns_tells_no_secret() {
    let compaction = crate::event::Compaction {
        through: "t1".into(),
        turns: 1,
        unread_turns: 0,
        summary: Some(format!("They deployed with {}.\nexport DB_PASSWORD=hunter2hunter2", secret())),
        cut_reason: Some(format!("the server refused {}", secret())),
        tokens_before: 10,
        tokens_after: 5,
        trigger: crate::event::CompactionTrigger::Person,
    };
    let out = passed(vec![AgentEvent::Compacted(Box::new(compaction))]);
    let [AgentEvent::Compacted(told)] = &out[..] else { panic!("{out:?}") };
    assert_eq!((told.through.clone(), told.turns, told.tokens_after), ("t1".into(), 1, 5));
    let (summary, reason) = (told.summary.as_deref().unwrap(), told.cut_reason.as_deref().unwrap());
    assert!(summary.starts_with(&format!("They deployed with {}.", marked())), "{summary}");
    assert!(!summary.contains("hunter2") && !reason.contains(&secret()), "{summary} {reason}");
}
