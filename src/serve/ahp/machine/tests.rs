use super::*;
use crate::event::{AgentEvent, DecidedBy, Decision, Millis, Seq, TurnOutcome};
use crate::serve::ahp::session::PlacedAction;
use crate::testkit::events::{
    Opened, call_finished, call_ready, call_started, message_started, shell_approval, text_delta, turn_finished,
    turn_started, user_message,
};

fn machine(host: &Arc<AhpHost>) -> AhpMachine {
    AhpMachine::new(Arc::clone(host))
}

fn ask(machine: &mut AhpMachine, id: u64, method: &str, params: &Json) -> Vec<AhpStep> {
    let mut steps = Vec::new();
    let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
    machine.handle_line(line.as_bytes(), &mut steps);
    steps
}

fn dispatch(machine: &mut AhpMachine, channel: &str, action: &Json) -> Vec<AhpStep> {
    let mut steps = Vec::new();
    let params = json!({"channel": channel, "clientSeq": 1, "action": action});
    let line = json!({"jsonrpc": "2.0", "method": "dispatchAction", "params": params}).to_string();
    machine.handle_line(line.as_bytes(), &mut steps);
    steps
}

/// The last message that is sent.
fn sent(steps: &[AhpStep]) -> &Json {
    let message = steps.iter().rev().find_map(|step| match step {
        AhpStep::Send(message) => Some(message),
        _ => None,
    });
    message.unwrap_or_else(|| panic!("nothing is sent: {steps:?}"))
}

/// The actions among what is sent.
fn actions(steps: &[AhpStep]) -> Vec<Json> {
    let action = |step: &AhpStep| match step {
        AhpStep::Send(message) if message["method"] == "action" => Some(message["params"].clone()),
        _ => None,
    };
    steps.iter().filter_map(action).collect()
}

fn log() -> Vec<Envelope> {
    let events = [
        Opened { folder: "/work", ..Opened::default() }.event(),
        turn_started("t1"),
        user_message("m1", "go"),
        message_started("m2"),
        text_delta("m2", "I look."),
        call_started("c1", "m2", Some("shell")),
        call_ready("c1", "shell", r#"{"command":"ls"}"#),
        AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("ls") },
        AgentEvent::ApprovalResolved { call: "c1".into(), decision: Decision::Once, by: DecidedBy::Remote },
        call_finished("c1", crate::event::CallOutcome::Ok, "a.txt"),
        text_delta("m2", "Done."),
        turn_finished("t1", TurnOutcome::Completed),
    ];
    events.into_iter().zip(1..).map(|(event, seq)| Envelope { seq: Seq(seq), at: Millis(seq), event }).collect()
}

/// Folds a log as a driver does.
fn fold(host: &AhpHost, log: &[Envelope], after: Option<ActionPlace>) -> (AhpSession, Vec<PlacedAction>) {
    let mut session = AhpSession::new(host.names.uris_of(&"s".into()));
    let actions = log.iter().flat_map(|envelope| session.handle_event(envelope, None)).collect::<Vec<_>>();
    let missed = actions.into_iter().filter(|(place, _)| after.is_some_and(|after| *place > after)).collect();
    (session, missed)
}

/// A client that watches the session whose log begins so.
fn watching(host: &Arc<AhpHost>, log: &[Envelope]) -> AhpMachine {
    let mut machine = machine(host);
    let params = json!({
        "channel": ROOT_CHANNEL, "protocolVersions": ["1.0.0"], "clientId": "c",
        "initialSubscriptions": ["ahp-session:/s", "ahp-chat:/s"],
    });
    let steps = ask(&mut machine, 1, "initialize", &params);
    assert_eq!(steps, [AhpStep::Register("c".into()), AhpStep::Follow("s".into(), None)]);
    let mut steps = Vec::new();
    machine.handle_followed(&"s".into(), Ok(fold(host, log, None)), &mut steps);
    let result = &sent(&steps)["result"];
    assert_eq!((&result["protocolVersion"], &result["serverSeq"]), (&json!("1.0.0"), &json!(0)));
    assert_eq!(result["snapshots"].as_array().unwrap().len(), 2);
    machine
}

#[test]
fn whoever_comes_back_with_any_number_gets_exactly_what_followed_it() {
    let host = Arc::new(AhpHost::default());
    let log = log();
    for begun in 1..log.len() {
        let mut machine = watching(&host, &log[..begun]);
        let mut told = Vec::new();
        for envelope in &log[begun..] {
            let mut steps = Vec::new();
            machine.handle_event(&"s".into(), envelope, None, &mut steps);
            told.extend(actions(&steps));
        }
        let numbers: Vec<u64> = told.iter().map(|action| action["serverSeq"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=told.len() as u64).collect::<Vec<_>>());
        let ledger = machine.into_ledger();
        for seen in 0..=told.len() {
            let mut again = self::machine(&host);
            let params = json!({
                "channel": ROOT_CHANNEL, "clientId": "c", "lastSeenServerSeq": seen,
                "subscriptions": ["ahp-session:/s", "ahp-chat:/s"],
            });
            assert_eq!(ask(&mut again, 1, "reconnect", &params), [AhpStep::TakeLedger("c".into())]);
            let mut steps = Vec::new();
            again.handle_ledger(Some(ledger.clone()), &mut steps);
            let Some(AhpStep::Follow(session, after)) = steps.pop() else { panic!("{steps:?}") };
            let mut steps = Vec::new();
            // The last event comes while the others are read, unless the client has it.
            let last = log.last().unwrap().seq;
            let cut = if after.is_some_and(|after| after.event >= last) { log.len() } else { log.len() - 1 };
            again.handle_followed(&session, Ok(fold(&host, &log[..cut], after)), &mut steps);
            assert_eq!(sent(&steps)["result"]["type"], "replay");
            let mut replayed = sent(&steps)["result"]["actions"].as_array().unwrap().clone();
            for envelope in &log[cut..] {
                let mut steps = Vec::new();
                again.handle_event(&session, envelope, None, &mut steps);
                replayed.extend(actions(&steps));
            }
            assert_eq!(replayed, told[seen..], "begun {begun}, seen {seen}");
        }
    }
}

#[test]
fn whoever_is_not_known_gets_whole_states_and_numbers_that_go_on() {
    let host = Arc::new(AhpHost::default());
    let mut machine = machine(&host);
    let params = json!({
        "channel": ROOT_CHANNEL, "clientId": "c", "lastSeenServerSeq": 40,
        "subscriptions": ["ahp-chat:/s", "ahp-chat:/gone"],
    });
    ask(&mut machine, 1, "reconnect", &params);
    let mut steps = Vec::new();
    machine.handle_ledger(None, &mut steps);
    machine.handle_followed(&"gone".into(), Err(ApiError::not_found("gone")), &mut steps);
    machine.handle_followed(&"s".into(), Ok(fold(&host, &log(), None)), &mut steps);
    let result = &sent(&steps)["result"];
    assert_eq!((&result["type"], result["snapshots"].as_array().unwrap().len()), (&json!("snapshot"), 1));
    assert_eq!(
        (&result["snapshots"][0]["fromSeq"], &result["snapshots"][0]["state"]["turns"][0]["state"]),
        (&json!(40), &json!("complete"))
    );
}

#[test]
fn a_client_prompts_decides_and_cancels_by_actions() {
    let host = Arc::new(AhpHost::default());
    let log = log();
    let mut machine = watching(&host, &log[..8]);
    let decided = json!({"type": "chat/toolCallConfirmed", "turnId": "t1", "toolCallId": "c1", "approved": true,
        "confirmed": "user-action", "selectedOptionId": "session"});
    let steps = dispatch(&mut machine, "ahp-chat:/s", &decided);
    let [AhpStep::Decide(_, call, Decision::Session, origin, _)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((call.as_str(), origin.option.as_deref()), ("c1", Some("session")));

    let cancelled = json!({"type": "chat/turnCancelled", "turnId": "t1", "duration": 1});
    let steps = dispatch(&mut machine, "ahp-chat:/s", &cancelled);
    assert!(matches!(steps.as_slice(), [AhpStep::Command(_, Command::Cancel, Some(ExpectedEvent::Cancellation), ..)]));
    let other = json!({"type": "chat/turnCancelled", "turnId": "t0", "duration": 1});
    assert_eq!(actions(&dispatch(&mut machine, "ahp-chat:/s", &other))[0]["rejectionReason"], "this turn does not run");

    let started = json!({"type": "chat/turnStarted", "turnId": "mine", "startedAt": "2026-01-01T00:00:00Z",
        "message": {"text": "next", "origin": {"kind": "user"}, "attachments": [
            {"type": "resource", "label": "a", "uri": "file:///work/a.rs"}]}});
    let steps = dispatch(&mut machine, "ahp-chat:/s", &started);
    let [AhpStep::Command(_, Command::Prompt { text, .. }, Some(ExpectedEvent::Prompt(expected)), origin, _)] =
        steps.as_slice()
    else {
        panic!("{steps:?}")
    };
    assert_eq!((text.as_str(), expected == text), ("next\n\nAttached: `/work/a.rs`", true));
    assert_eq!(origin.turn.as_deref(), Some("mine"));

    let foreign = json!({"type": "session/activeClientSet", "activeClient": {"clientId": "c"}});
    let rejected = &actions(&dispatch(&mut machine, "ahp-session:/s", &foreign))[0];
    assert_eq!(rejected["origin"], json!({"clientId": "c", "clientSeq": 1}));
    let steps = dispatch(&mut machine, "ahp-chat:/other", &started);
    assert_eq!(actions(&steps)[0]["rejectionReason"], "ahp-chat:/other is not subscribed to");
}

#[test]
fn what_waits_is_said_to_wait_and_named_when_it_begins() {
    let host = Arc::new(AhpHost::default());
    let mut machine = watching(&host, &log()[..4]);
    let waits = json!({"type": "chat/pendingMessageSet", "kind": "queued", "id": "q1",
        "message": {"text": "later", "origin": {"kind": "user"}}});
    let steps = dispatch(&mut machine, "ahp-chat:/s", &waits);
    assert_eq!(actions(&steps)[0]["action"], waits);
    let Some(AhpStep::Command(_, Command::Prompt { .. }, _, origin, _)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!(origin.queued_message.as_deref(), Some("q1"));
    let back = json!({"type": "chat/pendingMessageRemoved", "kind": "queued", "id": "q1"});
    let steps = dispatch(&mut machine, "ahp-chat:/s", &back);
    assert_eq!(steps[0], AhpStep::Dequeue("s".into(), "later".into()));
}

#[test]
fn what_is_not_offered_is_refused_in_the_words_of_the_protocol() {
    let host = Arc::new(AhpHost::default());
    let mut machine = machine(&host);
    let early = ask(&mut machine, 1, "listSessions", &json!({"channel": ROOT_CHANNEL}));
    assert_eq!(sent(&early)["error"]["code"], INVALID_REQUEST_CODE);
    assert_eq!(sent(&ask(&mut machine, 2, "ping", &json!({})))["result"], Json::Null);
    let old = json!({"channel": ROOT_CHANNEL, "protocolVersions": ["0.1.0", "2.0.0"], "clientId": "c"});
    let refused = ask(&mut machine, 3, "initialize", &old);
    assert_eq!(sent(&refused)["error"]["data"], json!({"supportedVersions": SPOKEN_RANGES}));
    let params = json!({"channel": ROOT_CHANNEL, "protocolVersions": ["0.9.0", "1.2.3", "1.0.0"], "clientId": "c"});
    assert_eq!(sent(&ask(&mut machine, 4, "initialize", &params))["result"]["protocolVersion"], "1.2.3");
    for (method, params, code) in [
        ("subscribe", json!({"channel": "ahp-terminal:/x"}), SESSION_NOT_FOUND_CODE),
        ("createSession", json!({"channel": "x"}), INVALID_PARAMS_CODE),
        ("createSession", json!({"channel": "ahp-session:/n", "provider": "other"}), PROVIDER_NOT_FOUND_CODE),
        ("createChat", json!({"channel": "ahp-session:/n"}), INVALID_REQUEST_CODE),
        ("resourceRead", json!({"channel": ROOT_CHANNEL}), METHOD_NOT_FOUND_CODE),
        ("disposeSession", json!({"channel": "ahp-session:/n"}), PERMISSION_DENIED_CODE),
    ] {
        assert_eq!(sent(&ask(&mut machine, 5, method, &params))["error"]["code"], code, "{method}");
    }
}

#[test]
fn a_session_that_is_made_is_found_under_its_name_and_told_to_all() {
    let host = Arc::new(AhpHost::default());
    let mut machine = watching(&host, &log());
    let params = json!({"channel": "ahp-session:/n", "workingDirectories": ["file:///work/a%20b"]});
    let steps = ask(&mut machine, 2, "createSession", &params);
    let [AhpStep::Create(number, opening)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(opening.folder.as_deref(), Some("/work/a b"));
    let mut steps = Vec::new();
    let created = CreatedSession { id: "s9".into(), folder: "/work/a b".into(), wall_ms: 1_790_000_000_000 };
    machine.handle_created(*number, Ok(created), &mut steps);
    assert_eq!(sent(&steps)["result"], Json::Null);
    let Some(AhpStep::Announce(told)) = steps.last() else { panic!("{steps:?}") };
    assert_eq!(told["params"]["summary"]["resource"], "ahp-session:/n");
    assert_eq!(host.names.session_of("ahp-chat:/n"), Some(("s9".into(), true)));
    assert_eq!(sent(&ask(&mut machine, 3, "createSession", &params))["error"]["code"], SESSION_EXISTS_CODE);
}
