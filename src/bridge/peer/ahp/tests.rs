//! The peer alone: messages of a host in, steps and messages out.

use super::*;
use crate::bridge::peer::LAST_SESSION;
use crate::event::ReplyEvent;

struct HostRig {
    peer: AhpPeer,
    steps: Vec<PeerStep>,
}

fn wanted(session: Option<&str>) -> PeerSession {
    PeerSession {
        folder: "/p".into(),
        session: session.map(str::to_owned),
        client_id: "me".into(),
        ..PeerSession::default()
    }
}

impl HostRig {
    fn new(session: Option<&str>) -> Self {
        let mut rig = Self { peer: AhpPeer::new(wanted(session)), steps: Vec::new() };
        rig.peer.begin(&mut rig.steps);
        rig
    }

    /// One whose chat is open.
    fn ready() -> Self {
        let mut rig = Self::new(None);
        rig.initialize();
        rig.answer(1, json!(null));
        rig.answer(2, json!({"snapshot": {"state": {"lifecycle": "ready", "defaultChat": "chat:1"}}}));
        rig.answer(3, json!({"snapshot": {"fromSeq": 7, "state": {"turns": []}}}));
        rig.steps.clear();
        rig
    }

    fn line(&mut self, mut line: Json) {
        line["jsonrpc"] = "2.0".into();
        self.peer.handle_line(&line.to_string(), &mut self.steps);
    }

    fn answer(&mut self, id: u64, result: Json) {
        let mut line = json!({ "id": id });
        line["result"] = result;
        self.line(line);
    }

    fn initialize(&mut self) {
        let agent = json!({"provider": "stub", "models": [{"id": "stub/small"}]});
        let root = json!({"resource": ROOT_CHANNEL, "state": {"agents": [agent]}});
        self.answer(0, json!({"protocolVersion": "1.0.0", "serverSeq": 0, "snapshots": [root]}));
    }

    fn act(&mut self, action: Json) {
        let mut params = json!({"channel": "chat:1", "serverSeq": 9});
        params["action"] = action;
        self.line(json!({"method": "action", "params": params}));
    }

    fn sent(&self) -> Vec<&Json> {
        let sent = self.steps.iter().filter_map(|step| match step {
            PeerStep::Send(message) => Some(message),
            _ => None,
        });
        sent.collect()
    }

    fn last_action(&self) -> &Json {
        &self.sent().last().unwrap()["params"]["action"]
    }

    fn text(&self) -> String {
        let texts = self.steps.iter().filter_map(|step| match step {
            PeerStep::Reply(ReplyEvent::TextDelta { text, .. }) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    fn outcomes(&self) -> Vec<&TurnOutcome> {
        let ends = self.steps.iter().filter_map(|step| match step {
            PeerStep::Reply(ReplyEvent::End { outcome }) => Some(outcome),
            _ => None,
        });
        ends.collect()
    }

    fn failure(&self) -> &str {
        let fault = self.steps.iter().find_map(|step| match step {
            PeerStep::Failed(fault) => Some(fault.message.as_str()),
            _ => None,
        });
        fault.expect("it fails")
    }
}

#[test]
fn a_session_is_made_here_and_its_chat_opened_once_it_is_ready() {
    let mut rig = HostRig::new(None);
    assert_eq!(rig.sent()[0]["params"]["protocolVersions"][0], "1.0.0");
    rig.initialize();
    let made = &rig.sent()[1]["params"];
    assert_eq!((&made["channel"], &made["provider"]), (&json!("ahp-session:/me"), &json!("stub")));
    assert_eq!(made["workingDirectories"], json!(["file:///p"]));
    rig.answer(1, json!(null));
    rig.answer(2, json!({"snapshot": {"state": {"lifecycle": "creating", "chats": []}}}));
    assert_eq!(rig.sent().len(), 3, "it waits");
    rig.line(json!({"method": "action", "params": {
        "channel": "ahp-session:/me", "serverSeq": 1, "action": {"type": "session/ready"}}}));
    rig.answer(3, json!({"snapshot": {"state": {"lifecycle": "ready", "chats": [{"resource": "chat:1"}]}}}));
    assert_eq!(rig.sent().last().unwrap()["params"], json!({"channel": "chat:1"}));
    rig.answer(4, json!({"snapshot": {"state": {"turns": []}}}));
    assert!(matches!(rig.steps.last(), Some(PeerStep::Opened { .. })));
}

#[test]
fn a_prompt_is_an_action_and_only_what_is_of_its_turn_is_its_answer() {
    let mut rig = HostRig::ready();
    rig.peer.send_prompt("hi", &[], &mut rig.steps);
    let started = rig.last_action().clone();
    assert_eq!((&started["turnId"], &started["message"]["text"]), (&json!("me-1"), &json!("hi")));
    assert_eq!(started["startedAt"], "1970-01-01T00:00:00Z");
    rig.act(started);
    for (turn, text) in [("other", "not this"), ("me-1", "this")] {
        let part = json!({"kind": "markdown", "id": turn, "content": text});
        rig.act(json!({"type": "chat/responsePart", "turnId": turn, "part": part}));
    }
    rig.act(json!({"type": "chat/turnComplete", "turnId": "me-1", "duration": 1}));
    assert_eq!((rig.text().as_str(), rig.outcomes()), ("this", vec![&TurnOutcome::Completed]));
}

#[test]
fn a_decision_is_dispatched_and_that_of_somebody_else_withdraws_the_question() {
    let ready = json!({"type": "chat/toolCallReady", "turnId": "me-1", "toolCallId": "c", "toolName": "bash",
        "invocationMessage": "m", "options": [{"id": "y", "label": "Yes", "kind": "approve"}]});
    for (answer, approved) in [(Some("y"), true), (Some(DENY_ANSWER), false), (None, false)] {
        let mut rig = HostRig::ready();
        rig.peer.send_prompt("go", &[], &mut rig.steps);
        rig.act(ready.clone());
        let Some(PeerStep::Question { number, .. }) = rig.steps.last().cloned() else { panic!("{:?}", rig.steps) };
        rig.peer.answer(number, answer, &mut rig.steps);
        let told = rig.last_action();
        assert_eq!((&told["type"], &told["approved"]), (&json!("chat/toolCallConfirmed"), &json!(approved)));
        assert_eq!(told["selectedOptionId"].as_str(), answer.filter(|answer| *answer == "y"));
    }
    let mut rig = HostRig::ready();
    rig.peer.send_prompt("go", &[], &mut rig.steps);
    rig.act(ready);
    rig.act(json!({"type": "chat/toolCallConfirmed", "turnId": "me-1", "toolCallId": "c", "approved": true}));
    let Some(PeerStep::Withdrawn(number)) = rig.steps.last().cloned() else { panic!("{:?}", rig.steps) };
    let before = rig.sent().len();
    rig.peer.answer(number, None, &mut rig.steps);
    assert_eq!(rig.sent().len(), before, "it was decided");
}

#[test]
fn what_others_say_in_the_chat_is_told_as_turns_of_theirs() {
    let mut rig = HostRig::ready();
    rig.act(json!({"type": "chat/turnStarted", "turnId": "x", "message": {"text": "from elsewhere"}}));
    assert!(rig.steps.contains(&PeerStep::PersonSaid("from elsewhere".into())));
    rig.act(
        json!({"type": "chat/responsePart", "turnId": "x", "part": {"kind": "markdown", "id": "p", "content": "ok"}}),
    );
    assert_eq!(rig.text(), "ok");
}

#[test]
fn a_session_that_is_joined_tells_its_turns_and_goes_on_with_the_one_that_runs() {
    let mut rig = HostRig::new(Some("abc"));
    rig.initialize();
    assert_eq!(rig.sent()[1]["params"]["channel"], "ahp-session:/abc");
    rig.answer(1, json!({"snapshot": {"state": {"lifecycle": "ready", "defaultChat": "chat:1"}}}));
    let part = |id: &str, text: &str| json!([{"kind": "markdown", "id": id, "content": text}]);
    let past =
        json!({"id": "t1", "message": {"text": "one"}, "state": "complete", "responseParts": part("a", "first. ")});
    let active = json!({"id": "t2", "message": {"text": "two"}, "responseParts": part("b", "sec")});
    rig.answer(2, json!({"snapshot": {"state": {"turns": [past], "activeTurn": active}}}));
    rig.act(json!({"type": "chat/delta", "turnId": "t2", "partId": "b", "content": "ond"}));
    assert_eq!(rig.text(), "first. second");
    let said: Vec<&PeerStep> = rig.steps.iter().filter(|step| matches!(step, PeerStep::PersonSaid(_))).collect();
    assert_eq!(said, [&PeerStep::PersonSaid("one".into()), &PeerStep::PersonSaid("two".into())]);
}

#[test]
fn a_refused_prompt_fails_with_the_reason_and_a_cancelled_turn_ends_so() {
    let mut rig = HostRig::ready();
    rig.peer.send_prompt("go", &[], &mut rig.steps);
    let action = json!({"type": "chat/turnStarted", "turnId": "me-1"});
    rig.line(json!({"method": "action", "params": {"channel": "chat:1", "serverSeq": 9, "action": action,
        "origin": {"clientId": "me", "clientSeq": 1}, "rejectionReason": "a turn is running"}}));
    assert!(matches!(rig.outcomes()[..], [TurnOutcome::Failed(fault)] if fault.message.contains("a turn is running")));
    rig.peer.send_prompt("again", &[], &mut rig.steps);
    rig.peer.cancel(&mut rig.steps);
    assert_eq!(
        (&rig.last_action()["type"], &rig.last_action()["turnId"]),
        (&json!("chat/turnCancelled"), &json!("me-2"))
    );
    rig.act(json!({"type": "chat/turnCancelled", "turnId": "me-2", "duration": 0}));
    assert_eq!(rig.outcomes().last(), Some(&&TurnOutcome::Cancelled));
}

#[test]
fn a_lost_connection_is_taken_up_where_it_was_or_from_the_start_by_a_host_that_forgot() {
    let mut rig = HostRig::ready();
    assert!(rig.peer.begin_again(&mut rig.steps));
    let asked = &rig.sent()[0]["params"];
    assert_eq!((&asked["lastSeenServerSeq"], &asked["subscriptions"][2]), (&json!(7), &json!("chat:1")));
    rig.answer(0, json!({"type": "replay", "actions": [], "missing": []}));
    assert!(matches!(rig.steps.last(), Some(PeerStep::Opened { .. })));
    assert!(rig.peer.begin_again(&mut rig.steps));
    rig.line(json!({"id": 0, "error": {"code": -32600, "message": "who?"}}));
    assert_eq!(rig.sent().last().unwrap()["method"], "initialize");
    assert!(rig.peer.begin_again(&mut rig.steps));
    rig.answer(0, json!({"type": "replay", "actions": [], "missing": ["chat:1"]}));
    assert!(rig.failure().contains("no longer has"));
}

#[test]
fn what_can_not_be_spoken_or_opened_says_why() {
    let mut rig = HostRig::new(None);
    rig.answer(0, json!({"protocolVersion": "2.0.0", "serverSeq": 0, "snapshots": []}));
    assert!(rig.failure().contains("2.0.0"));
    let mut rig = HostRig::new(Some(LAST_SESSION));
    rig.initialize();
    rig.answer(1, json!({"items": [{"resource": "x:/1", "workingDirectories": ["file:///q"]}]}));
    assert!(rig.failure().contains("x:/1"));
    let mut rig = HostRig::new(None);
    rig.initialize();
    rig.answer(1, json!(null));
    let error = json!({"message": "no disk"});
    rig.answer(2, json!({"snapshot": {"state": {"lifecycle": "failed", "creationError": error}}}));
    assert!(rig.failure().contains("no disk"));
}

#[test]
fn a_form_that_nobody_can_fill_in_here_is_cancelled_and_told() {
    let mut rig = HostRig::ready();
    rig.peer.send_prompt("go", &[], &mut rig.steps);
    rig.act(json!({"type": "chat/inputRequested", "request": {"id": "q", "message": "Which city?"}}));
    assert_eq!((&rig.last_action()["requestId"], &rig.last_action()["response"]), (&json!("q"), &json!("cancel")));
}
