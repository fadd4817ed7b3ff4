//! The machine with ACP as its protocol: lines in, events and lines out.

use crate::event::{PromptContext, PromptImage};
use serde_json::json;

use super::super::acp::AcpPeer;
use super::super::protocol::PeerSession;
use super::*;
use crate::event::grammar;
use crate::event::{CallOutcome, Json};
use crate::testkit::events::opened;

mod hosting;
mod options;
mod work;

struct PeerRig {
    machine: PeerMachine,
    events: Vec<AgentEvent>,
    sent: Vec<Json>,
    tasks: Vec<PeerTask>,
    /// How often a connection was to be made, and ended.
    connected: usize,
    ended: usize,
}

impl PeerRig {
    fn with(policy: ApprovalPolicy, is_unattended: bool) -> Self {
        let session = PeerSession { folder: "/p".into(), mode: policy.mode, ..PeerSession::default() };
        Self::of(session, policy, is_unattended)
    }

    fn of(session: PeerSession, policy: ApprovalPolicy, is_unattended: bool) -> Self {
        Self::hosted(session, policy, is_unattended, None)
    }

    fn hosted(session: PeerSession, policy: ApprovalPolicy, is_unattended: bool, hosting: Option<PeerHosting>) -> Self {
        let machine = PeerMachine::new(PeerMachineSetup {
            opened: opened(),
            policy,
            is_unattended,
            decided_by: DecidedBy::Person,
            folder: "/p".into(),
            loads_session: session.session.is_some(),
            can_connect_again: true,
            ids: IdAllocator::default(),
            hosting,
            protocol: Box::new(AcpPeer::new(session)),
        });
        let (events, sent, tasks) = (Vec::new(), Vec::new(), Vec::new());
        let mut rig = Self { machine, events, sent, tasks, connected: 0, ended: 0 };
        rig.take();
        rig
    }

    /// One whose session is open.
    fn ready() -> Self {
        let mut rig = Self::with(ApprovalPolicy::default(), false);
        rig.open();
        rig
    }

    fn open(&mut self) {
        self.line(&json!({"id": 0, "result": {"protocolVersion": 1, "agentCapabilities": {"loadSession": true}}}));
        self.line(&json!({"id": 1, "result": {"sessionId": "s"}}));
    }

    fn take(&mut self) {
        let output = self.machine.take_output();
        self.connected += usize::from(output.connects_again);
        self.ended += usize::from(output.ends_connection);
        self.events.extend(output.events);
        self.tasks.extend(output.tasks);
        self.sent.extend(output.lines.iter().map(|line| serde_json::from_str::<Json>(line).unwrap()));
    }

    fn line(&mut self, line: &Json) {
        let mut line = line.clone();
        line["jsonrpc"] = "2.0".into();
        self.machine.handle_line(&line.to_string());
        self.take();
    }

    fn update(&mut self, update: &Json) {
        self.line(&json!({"method": "session/update", "params": {"sessionId": "s", "update": update}}));
    }

    fn say(&mut self, text: &str) {
        self.update(&json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}}));
    }

    fn command(&mut self, command: Command) {
        self.machine.handle_command(command);
        self.take();
    }

    fn prompt(&mut self, text: &str) {
        self.command(Command::prompt(text));
    }

    fn ask(&mut self, id: &Json, call: &str, kind: &str, command: &str) {
        let options = json!([
            {"optionId": "once", "name": "Allow once", "kind": "allow_once"},
            {"optionId": "always", "name": "Always", "kind": "allow_always"},
            {"optionId": "no", "name": "Reject", "kind": "reject_once"},
        ]);
        let call = json!({"toolCallId": call, "title": command, "kind": kind, "rawInput": {"command": command}});
        let params = json!({"sessionId": "s", "toolCall": call, "options": options});
        self.line(&json!({"id": id, "method": "session/request_permission", "params": params}));
    }

    fn stop(&mut self, id: u64, reason: &str) {
        self.line(&json!({"id": id, "result": {"stopReason": reason}}));
    }

    fn last_sent(&self) -> &Json {
        self.sent.last().unwrap()
    }

    fn outcomes(&self) -> Vec<&TurnOutcome> {
        let ends = self.events.iter().filter_map(|event| match event {
            AgentEvent::TurnFinished { outcome, .. } => Some(outcome),
            _ => None,
        });
        ends.collect()
    }

    fn resolved(&self) -> Vec<(&Decision, DecidedBy)> {
        let resolved = self.events.iter().filter_map(|event| match event {
            AgentEvent::ApprovalResolved { decision, by, .. } => Some((decision, *by)),
            _ => None,
        });
        resolved.collect()
    }

    fn texts(&self) -> String {
        let texts = self.events.iter().filter_map(|event| match event {
            AgentEvent::TextDelta { text, .. } => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    fn assert_legal(&self) {
        assert_eq!(grammar::check(&self.events), [], "{:#?}", self.events);
    }
}

#[test]
fn a_conversation_has_a_turn_for_each_prompt() {
    let mut rig = PeerRig::with(ApprovalPolicy::default(), false);
    assert_eq!(rig.last_sent()["method"], "initialize");
    rig.prompt("one");
    assert_eq!(rig.sent.len(), 1, "the session is not open yet");
    rig.open();
    assert_eq!(rig.sent[1]["params"], json!({"cwd": "/p", "mcpServers": []}));
    assert_eq!(rig.last_sent()["params"], json!({"sessionId": "s", "prompt": [{"type": "text", "text": "one"}]}));
    rig.say("a");
    rig.stop(2, "end_turn");
    rig.prompt("two");
    rig.say("b");
    rig.stop(3, "end_turn");
    assert_eq!((rig.texts().as_str(), rig.outcomes()), ("ab", vec![&TurnOutcome::Completed; 2]));
    rig.assert_legal();
}

#[test]
fn a_question_waits_for_the_person_and_its_call_waits_for_the_answer() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    // The agent counts from 0 as well.
    rig.ask(&json!(0), "c", "execute", "ls");
    let request = rig.events.iter().find_map(|event| match event {
        AgentEvent::ApprovalRequested { request, .. } => Some(request),
        _ => None,
    });
    assert_eq!(request.map(|request| (request.answers.len(), request.folder.as_str())), Some((3, "/p")));
    rig.update(&json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "in_progress",
        "content": [{"type": "content", "content": {"type": "text", "text": "early"}}]}));
    assert!(!rig.events.iter().any(|event| matches!(event, AgentEvent::ToolOutput { .. })), "nobody has decided");
    rig.command(Command::Decide {
        call: "c".into(),
        decision: Decision::Offered { id: "always".into(), allows: false },
    });
    assert_eq!(rig.last_sent()["result"], json!({"outcome": {"outcome": "selected", "optionId": "always"}}));
    assert_eq!(rig.last_sent()["id"], 0);
    let always = Decision::Offered { id: "always".into(), allows: true };
    assert_eq!(rig.resolved(), [(&always, DecidedBy::Person)], "what an answer allows is the agent's to say");
    assert!(rig.events.iter().any(|event| matches!(event, AgentEvent::ToolOutput { .. })));
    let before = rig.sent.len();
    rig.command(Command::Decide { call: "c".into(), decision: Decision::Deny(None) });
    assert_eq!(rig.sent.len(), before, "the first answer is the only one");
    rig.stop(2, "end_turn");
    rig.assert_legal();
}

#[test]
fn a_denied_call_has_not_failed() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    rig.ask(&json!("x"), "c", "execute", "ls");
    rig.command(Command::Decide { call: "c".into(), decision: Decision::Deny(None) });
    assert_eq!(rig.last_sent()["result"]["outcome"]["optionId"], "no");
    rig.update(&json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "failed"}));
    rig.stop(2, "end_turn");
    let denied =
        |event: &AgentEvent| matches!(event, AgentEvent::ToolCallFinished { outcome: CallOutcome::Denied, .. });
    assert!(rig.events.iter().any(denied), "{:#?}", rig.events);
    rig.assert_legal();
}

#[test]
fn the_rules_of_the_person_answer_first() {
    let policy = |mode| ApprovalPolicy::new(mode, &["shell(ls *)".into()], &["shell(rm *)".into()]).unwrap();
    for (mode, unattended, kind, command, expected) in [
        (ApprovalMode::Ask, false, "execute", "ls -l", Some("once")),
        (ApprovalMode::Ask, false, "execute", "rm x", Some("no")),
        (ApprovalMode::Full, false, "execute", "rm x", Some("no")),
        (ApprovalMode::Full, false, "execute", "make", Some("once")),
        (ApprovalMode::Plan, false, "execute", "make", Some("no")),
        (ApprovalMode::Ask, false, "execute", "make", None),
        (ApprovalMode::Ask, true, "execute", "make", Some("no")),
        (ApprovalMode::Ask, false, "read", "secrets", None),
        (ApprovalMode::AutoEdit, false, "edit", "x", Some("once")),
    ] {
        let mut rig = PeerRig::with(policy(mode), unattended);
        rig.open();
        rig.prompt("go");
        rig.ask(&json!(7), "c", kind, command);
        let answer = rig.last_sent()["result"]["outcome"]["optionId"].as_str();
        assert_eq!(answer, expected, "{mode:?} {kind} {command}");
    }
}

#[test]
fn files_outside_the_folder_are_asked_about_whatever_the_mode_says_of_files() {
    for (path, expected) in
        [("/p/a.txt", Some("once")), ("/p/../etc/x", None), ("/etc/x", None), ("a.txt", Some("once"))]
    {
        let policy = ApprovalPolicy::new(ApprovalMode::AutoEdit, &[], &[]).unwrap();
        let mut rig = PeerRig::with(policy, false);
        rig.open();
        rig.prompt("go");
        let options = json!([{"optionId": "once", "kind": "allow_once"}, {"optionId": "no", "kind": "reject_once"}]);
        let call = json!({"toolCallId": "c", "kind": "edit", "locations": [{"path": path}]});
        let params = json!({"sessionId": "s", "toolCall": call, "options": options});
        rig.line(&json!({"id": 1, "method": "session/request_permission", "params": params}));
        assert_eq!(rig.last_sent()["result"]["outcome"]["optionId"].as_str(), expected, "{path}");
    }
}

#[test]
fn a_cancel_drops_the_questions_and_is_over_when_the_agent_says_so() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    rig.ask(&json!(0), "c", "execute", "ls");
    rig.command(Command::Cancel);
    let [.., dropped, cancel] = &*rig.sent else { panic!("{:?}", rig.sent) };
    assert_eq!((&dropped["id"], &dropped["result"]), (&json!(0), &json!({"outcome": {"outcome": "cancelled"}})));
    assert_eq!((cancel["method"].as_str(), cancel.get("id")), (Some("session/cancel"), None));
    assert_eq!(rig.outcomes(), [] as [&TurnOutcome; 0]);
    rig.ask(&json!(1), "d", "execute", "pwd");
    assert_eq!(rig.last_sent()["result"]["outcome"]["outcome"], "cancelled", "too late");
    rig.stop(2, "cancelled");
    assert_eq!(rig.outcomes(), [&TurnOutcome::Cancelled]);
    rig.assert_legal();
}

#[test]
fn an_agent_that_ignores_a_cancel_is_left() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    rig.command(Command::Cancel);
    rig.command(Command::Cancel);
    assert_eq!(rig.outcomes(), [&TurnOutcome::Cancelled]);
    rig.prompt("again");
    rig.stop(2, "end_turn");
    assert_eq!(rig.outcomes().len(), 1, "that answered the first prompt");
    rig.line(&json!({"id": 3, "error": {"code": -32603, "message": "no model"}}));
    assert!(matches!(rig.outcomes()[1], TurnOutcome::Failed(fault) if fault.message.contains("no model")));
    rig.assert_legal();
}

#[test]
fn what_is_not_offered_is_refused_and_not_left_unanswered() {
    let mut rig = PeerRig::ready();
    for (id, method) in [(json!(0), "fs/delete"), (json!("t"), "elicitation/create"), (json!(5), "craft/ask")] {
        rig.line(&json!({"id": id, "method": method, "params": {"sessionId": "s"}}));
        assert_eq!((&rig.last_sent()["id"], &rig.last_sent()["error"]["code"]), (&id, &json!(-32601)), "{method}");
    }
    rig.line(&json!({"id": 6, "method": "session/request_permission", "params": {"sessionId": "s", "options": []}}));
    assert_eq!(rig.last_sent()["error"]["code"], -32602);
    rig.assert_legal();
}

#[test]
fn what_comes_after_an_answer_is_a_turn_that_ends_when_the_agent_is_quiet() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    rig.say("a");
    rig.stop(2, "end_turn");
    rig.update(&json!({"sessionUpdate": "usage_update", "used": 1, "size": 9}));
    assert!(!rig.machine.awaits_quiet(), "it says nothing");
    rig.say("late");
    assert!(rig.machine.awaits_quiet());
    rig.machine.handle_quiet();
    rig.take();
    assert_eq!(rig.outcomes(), [&TurnOutcome::Completed; 2]);
    rig.assert_legal();
}

#[test]
fn a_call_that_ends_while_somebody_decides_did_not_wait() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    rig.ask(&json!(0), "c", "execute", "ls");
    rig.update(&json!({"sessionUpdate": "tool_call_update", "toolCallId": "c", "status": "completed"}));
    assert_eq!(rig.resolved(), [(&Decision::Deny(None), DecidedBy::Cancelled)]);
    rig.stop(2, "end_turn");
    rig.assert_legal();
}

#[test]
fn the_end_of_the_agent_fails_the_turn_and_every_later_one() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    rig.say("so");
    rig.machine.handle_closed(Fault::new(FaultKind::Upstream, "x exited with code 3"));
    rig.take();
    rig.prompt("again");
    for outcome in rig.outcomes() {
        assert!(matches!(outcome, TurnOutcome::Failed(fault) if fault.message.contains("code 3")), "{outcome:?}");
    }
    assert_eq!(rig.outcomes().len(), 2);
    rig.assert_legal();
}

#[test]
fn a_session_that_can_not_be_opened_fails_the_prompt_that_waits() {
    let mut rig = PeerRig::with(ApprovalPolicy::default(), false);
    rig.prompt("go");
    rig.line(&json!({"id": 0, "result": {"protocolVersion": 2}}));
    assert!(matches!(rig.outcomes()[..], [TurnOutcome::Failed(fault)] if fault.message.contains("version 2")));
    rig.assert_legal();
}

/// What is told of an earlier session that is loaded: its prompts and the new one, and how many turns there are.
fn loaded(is_unattended: bool) -> (Vec<String>, usize) {
    let session = PeerSession { folder: "/p".into(), session: Some("s".into()), ..PeerSession::default() };
    let mut rig = PeerRig::of(session, ApprovalPolicy::default(), is_unattended);
    rig.prompt("new");
    rig.line(&json!({"id": 0, "result": {"protocolVersion": 1, "agentCapabilities": {"loadSession": true}}}));
    assert_eq!(rig.last_sent()["method"], "session/load");
    let said = |text: &str| json!({"sessionUpdate": "user_message_chunk", "content": {"type": "text", "text": text}});
    for text in ["one", "two"] {
        rig.update(&said(text));
        rig.say(&format!("answer to {text}; "));
    }
    rig.line(&json!({"id": 1, "result": null}));
    assert_eq!(rig.last_sent()["method"], "session/prompt");
    rig.stop(2, "end_turn");
    rig.assert_legal();
    let prompts = rig.events.iter().filter_map(|event| match event {
        AgentEvent::UserMessage { text, .. } => Some(text.clone()),
        _ => None,
    });
    (prompts.collect(), rig.outcomes().len())
}

#[test]
fn a_loaded_session_is_told_before_the_prompt_is_sent_where_somebody_looks() {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(loaded(false), (words(&["one", "two", "new"]), 3));
    assert_eq!(loaded(true), (words(&["new"]), 1), "a run without a screen ends with the first turn");
}

#[test]
fn plan_mode_is_the_agents_own_where_it_has_one() {
    let mut rig = PeerRig::with(ApprovalPolicy::default(), false);
    rig.line(&json!({"id": 0, "result": {"protocolVersion": 1}}));
    let modes =
        json!({"currentModeId": "default", "availableModes": [{"id": "default"}, {"id": "plan"}, {"id": "yolo"}]});
    rig.line(&json!({"id": 1, "result": {"sessionId": "s", "modes": modes}}));
    for (mode, sent) in
        [(ApprovalMode::Plan, Some("plan")), (ApprovalMode::Full, Some("default")), (ApprovalMode::Ask, None)]
    {
        let before = rig.sent.len();
        rig.command(Command::SetMode { mode });
        let told = rig.sent.get(before).map(|sent| sent["params"]["modeId"].as_str().unwrap());
        assert_eq!(told, sent, "{mode:?}");
    }
    rig.assert_legal();
}

#[test]
fn a_connection_that_is_lost_interrupts_the_turn_and_says_so() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    rig.say("so f");
    rig.machine.handle_lost(Fault::new(FaultKind::Network, "h:1 closed the connection"));
    rig.take();
    assert_eq!((rig.texts().as_str(), rig.outcomes()), ("so f", vec![&TurnOutcome::Interrupted]));
    let told = rig.events.iter().any(|event| {
        matches!(event, AgentEvent::Notice { code: NoticeCode::Cut, text, .. } if text.contains("closed the connection"))
    });
    assert!(told, "{:#?}", rig.events);
    rig.assert_legal();
}

#[test]
fn a_prompt_after_a_loss_connects_again_and_goes_on_in_the_session_without_telling_it_twice() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    rig.say("so f");
    rig.machine.handle_lost(Fault::new(FaultKind::Network, "lost"));
    rig.take();
    // The first try finds nobody.
    rig.prompt("again");
    rig.machine.handle_closed(Fault::new(FaultKind::Network, "nobody there"));
    rig.take();
    assert!(matches!(rig.outcomes()[..], [_, TurnOutcome::Failed(fault)] if fault.message == "nobody there"));
    let before = rig.sent.len();
    rig.machine.handle_command(Command::prompt("and again"));
    let output = rig.machine.take_output();
    assert!(output.connects_again);
    assert_eq!(output.lines.len(), 1, "{output:?}");
    rig.events.extend(output.events);
    rig.line(&json!({"id": 0, "result": {"protocolVersion": 1, "agentCapabilities": {"loadSession": true}}}));
    assert_eq!(rig.sent[before]["params"]["sessionId"], "s");
    rig.update(&json!({"sessionUpdate": "user_message_chunk", "content": {"type": "text", "text": "go"}}));
    rig.say("so far");
    rig.line(&json!({"id": 1, "result": null}));
    assert_eq!(rig.last_sent()["params"]["prompt"][0]["text"], "and again");
    rig.say(", so good");
    rig.stop(2, "end_turn");
    assert_eq!((rig.texts().as_str(), rig.outcomes().last()), ("so f, so good", Some(&&TurnOutcome::Completed)));
    rig.assert_legal();
}

#[test]
fn what_keeps_no_session_is_not_connected_to_again() {
    let mut rig = PeerRig::with(ApprovalPolicy::default(), false);
    rig.line(&json!({"id": 0, "result": {"protocolVersion": 1}}));
    rig.line(&json!({"id": 1, "result": {"sessionId": "s"}}));
    rig.machine.handle_lost(Fault::new(FaultKind::Network, "lost"));
    rig.take();
    rig.prompt("again");
    assert!(matches!(rig.outcomes()[..], [TurnOutcome::Failed(fault)] if fault.message == "lost"));
    rig.assert_legal();
}

#[test]
fn an_image_is_a_block_where_the_agent_takes_some_and_is_refused_elsewhere() {
    let image = PromptImage::new(crate::testkit::images::PNG_2X3).unwrap();
    let prompt = Command::Prompt {
        text: "see".into(),
        context: vec![PromptContext::from_image("a.png".into(), image.clone())],
        author: None,
    };
    let mut rig = PeerRig::with(ApprovalPolicy::default(), false);
    let capabilities = json!({"promptCapabilities": {"image": true}});
    rig.line(&json!({"id": 0, "result": {"protocolVersion": 1, "agentCapabilities": capabilities}}));
    rig.line(&json!({"id": 1, "result": {"sessionId": "s"}}));
    let told = rig.events.iter().rev().find_map(|event| match event {
        AgentEvent::SessionOpened { capabilities, .. } => Some(capabilities.images),
        _ => None,
    });
    assert_eq!(told, Some(true));
    rig.command(prompt.clone());
    let block = json!({"type": "image", "mimeType": "image/png", "data": image.base64()});
    assert_eq!(rig.last_sent()["params"]["prompt"], json!([{"type": "text", "text": "see"}, block]));

    let mut rig = PeerRig::ready();
    let sent = rig.sent.len();
    rig.command(prompt);
    assert_eq!(rig.sent.len(), sent, "nothing goes out");
    let [TurnOutcome::Failed(fault)] = rig.outcomes()[..] else { panic!("{:?}", rig.outcomes()) };
    assert!(fault.message.contains("takes no images"), "{}", fault.message);
    assert_eq!(grammar::check(&rig.events), []);
}
