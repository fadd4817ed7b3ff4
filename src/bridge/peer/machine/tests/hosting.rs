//! A program that is hosted: started when it is needed, and again.

use serde_json::json;

use super::*;

fn hosted(session: Option<&str>, hosting: PeerHosting) -> PeerRig {
    let session = PeerSession {
        folder: "/p".into(),
        session: session.map(str::to_owned),
        starts_afresh: true,
        ..PeerSession::default()
    };
    PeerRig::hosted(session, ApprovalPolicy::default(), false, Some(hosting))
}

fn started() -> PeerRig {
    let mut rig = hosted(None, PeerHosting::default());
    rig.open();
    rig
}

fn gone(rig: &mut PeerRig) {
    rig.machine.handle_closed(Fault::new(FaultKind::Upstream, "it exited"));
    rig.take();
}

fn methods(rig: &PeerRig) -> Vec<&str> {
    rig.sent.iter().filter_map(|message| message["method"].as_str()).collect()
}

fn notices(rig: &PeerRig) -> Vec<NoticeCode> {
    let code = |event: &AgentEvent| match event {
        AgentEvent::Notice { code, .. } => Some(code.clone()),
        _ => None,
    };
    rig.events.iter().filter_map(code).collect()
}

#[test]
fn a_program_that_ended_is_started_by_the_next_prompt_and_loads_the_session() {
    let mut rig = started();
    rig.prompt("one");
    rig.say("half");
    gone(&mut rig);
    assert!(matches!(rig.outcomes()[..], [TurnOutcome::Failed(fault)] if fault.message == "it exited"));
    assert_eq!(rig.connected, 1, "nothing is started without need");
    rig.sent.clear();
    rig.prompt("two");
    assert_eq!((rig.connected, methods(&rig)), (2, vec!["initialize"]));
    rig.line(&json!({"id": 0, "result": {"protocolVersion": 1, "agentCapabilities": {"loadSession": true}}}));
    rig.say("told again");
    rig.line(&json!({"id": 1, "result": {}}));
    assert_eq!(methods(&rig), ["initialize", "session/load", "session/prompt"]);
    rig.stop(2, "end_turn");
    assert_eq!((rig.texts().as_str(), rig.outcomes()[1]), ("half", &TurnOutcome::Completed));
    assert_eq!(notices(&rig), [NoticeCode::Resumed]);
    rig.assert_legal();
}

#[test]
fn where_the_session_is_lost_another_one_begins_and_that_is_told_if_there_was_a_turn() {
    for (has_past, told) in [(true, vec![NoticeCode::Conversation]), (false, vec![])] {
        let mut rig = hosted(Some("lost"), PeerHosting { starts_late: true, has_past, preamble: None });
        assert_eq!((rig.connected, rig.sent.len()), (0, 0), "nobody asked for anything");
        rig.prompt("go");
        rig.line(&json!({"id": 0, "result": {"protocolVersion": 1, "agentCapabilities": {"loadSession": true}}}));
        rig.line(&json!({"id": 1, "error": {"code": -32002, "message": "no such session"}}));
        rig.line(&json!({"id": 2, "result": {"sessionId": "s"}}));
        assert_eq!(methods(&rig), ["initialize", "session/load", "session/new", "session/prompt"]);
        assert_eq!((notices(&rig), rig.machine.agent_session()), (told, Some("s")));
        rig.stop(3, "end_turn");
        assert_eq!(rig.outcomes(), [&TurnOutcome::Completed]);
        rig.assert_legal();
    }
}

#[test]
fn a_program_that_does_not_stop_is_ended_before_the_next_turn() {
    let mut rig = started();
    rig.prompt("one");
    rig.command(Command::Cancel);
    assert_eq!((rig.last_sent()["method"].as_str(), rig.ended), (Some("session/cancel"), 0));
    rig.command(Command::Cancel);
    assert_eq!((rig.outcomes(), rig.ended), (vec![&TurnOutcome::Cancelled], 1));
    rig.prompt("two");
    assert_eq!((rig.last_sent()["method"].as_str(), rig.connected), (Some("initialize"), 2));
    rig.command(Command::Cancel);
    assert_eq!(rig.outcomes(), [&TurnOutcome::Cancelled; 2], "it was never sent");
    rig.assert_legal();
}

#[test]
fn a_setting_starts_the_program_and_waits_for_its_session() {
    let mut rig = hosted(Some("s"), PeerHosting { starts_late: true, has_past: true, preamble: None });
    rig.command(Command::SetModel { model: "b/y".into() });
    assert_eq!((rig.connected, methods(&rig)), (1, vec!["initialize"]));
    rig.line(&json!({"id": 0, "result": {"protocolVersion": 1, "agentCapabilities": {"loadSession": true}}}));
    let models = json!({"currentModelId": "a/x", "availableModels": [{"modelId": "a/x"}, {"modelId": "b/y"}]});
    rig.line(&json!({"id": 1, "result": {"models": models}}));
    assert_eq!(rig.last_sent()["params"]["modelId"], "b/y");
}

#[test]
fn what_goes_before_the_first_prompt_goes_once_and_is_none_of_its_words() {
    let mut rig = hosted(None, PeerHosting { preamble: Some("Be brief.".into()), ..PeerHosting::default() });
    rig.open();
    rig.prompt("one");
    assert_eq!(rig.last_sent()["params"]["prompt"][0]["text"], "Be brief.\none");
    rig.stop(2, "end_turn");
    rig.prompt("two");
    assert_eq!(rig.last_sent()["params"]["prompt"][0]["text"], "two");
    assert!(rig.events.iter().any(|event| matches!(event, AgentEvent::UserMessage { text, .. } if text == "one")));
}

#[test]
fn a_question_that_nobody_answers_in_time_is_denied() {
    let mut rig = started();
    rig.prompt("go");
    rig.ask(&json!("x"), "c", "execute", "ls");
    let open: Vec<CallId> = rig.machine.open_questions().cloned().collect();
    rig.machine.expire(&open[0]);
    rig.take();
    assert_eq!(rig.last_sent()["result"]["outcome"]["optionId"], "no");
    assert_eq!(rig.resolved(), [(&Decision::Deny(None), DecidedBy::TimedOut)]);
}
