//! What an agent has us do, with the policy and without IO.

use serde_json::json;

use super::super::super::protocol::{QuestionNumber, WorkResult};
use super::*;
use crate::event::{ApprovalRequest, CallId, Risk, ToolKind};
use crate::tool::by_request::CommandExit;

fn described(tool: &str, kind: ToolKind, risk: Risk, subject: &str) -> ApprovalRequest {
    ApprovalRequest {
        tool: tool.into(),
        kind,
        risk,
        subject: subject.into(),
        folder: "/p".into(),
        detail: String::new(),
        pattern: None,
        expires_at: None,
        answers: Vec::new(),
        hunks: 0,
        sandbox: None,
    }
}

impl PeerRig {
    /// The agent wants something, and what it is becomes known.
    fn wants(&mut self, id: u64, method: &str, params: &Json) -> QuestionNumber {
        let mut params = params.clone();
        params["sessionId"] = "s".into();
        self.line(&json!({"id": id, "method": method, "params": params}));
        let Some(PeerTask::Describe(number, _)) = self.tasks.last() else { panic!("{:?}", self.tasks) };
        *number
    }

    fn wants_command(&mut self, id: u64, command: &str) -> QuestionNumber {
        let number = self.wants(id, "terminal/create", &json!({ "command": command }));
        self.machine.handle_described(number, Ok(described("shell", ToolKind::Execute, Risk::Execute, command)));
        self.take();
        number
    }

    fn wants_file(&mut self, id: u64, path: &str, content: &str) -> QuestionNumber {
        let number = self.wants(id, "fs/write_text_file", &json!({"path": path, "content": content}));
        self.machine.handle_described(number, Ok(described("write_file", ToolKind::Edit, Risk::Write, "a.txt")));
        self.take();
        number
    }

    fn runs(&self, number: QuestionNumber) -> bool {
        self.tasks.iter().any(|task| matches!(task, PeerTask::Run(run, _) if *run == number))
    }

    fn asked(&self) -> Vec<&CallId> {
        let asked = self.events.iter().filter_map(|event| match event {
            AgentEvent::ApprovalRequested { call, .. } => Some(call),
            _ => None,
        });
        asked.collect()
    }
}

#[test]
fn a_command_waits_for_the_person_and_prints_into_a_call() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    let number = rig.wants_command(7, "make");
    assert!(!rig.runs(number));
    let call = rig.asked()[0].clone();
    rig.command(Command::Decide { call: call.clone(), decision: Decision::Once });
    assert!(rig.runs(number));
    let name = terminal_name(number);
    rig.machine.handle_work_done(number, Ok(WorkResult::Terminal(name.clone())));
    rig.take();
    assert_eq!((&rig.last_sent()["id"], &rig.last_sent()["result"]), (&json!(7), &json!({ "terminalId": name })));
    rig.machine.handle_terminal_output(&name, "one\n");
    rig.machine.handle_terminal_end(&name, &CommandExit { code: Some(2), ..CommandExit::default() });
    rig.take();
    let told = rig.events.iter().find_map(|event| match event {
        AgentEvent::ToolCallFinished { call: of, outcome, output, .. } if *of == call => {
            Some((*outcome, &*output.text))
        }
        _ => None,
    });
    assert_eq!(told, Some((CallOutcome::Failed, "one\n")));
    rig.stop(2, "end_turn");
    rig.assert_legal();
}

#[test]
fn a_denied_request_is_an_error_with_the_reason() {
    let policy = ApprovalPolicy::new(ApprovalMode::Full, &[], &["shell(rm *)".into(), "read_file(.env)".into()]);
    let mut rig = PeerRig::with(policy.unwrap(), false);
    rig.open();
    rig.prompt("go");
    let number = rig.wants_command(7, "rm -rf x");
    assert!(!rig.runs(number));
    assert_eq!(rig.last_sent()["error"], json!({"code": -32001, "message": "denied by the rule `shell(rm *)`"}));
    let denied =
        |event: &AgentEvent| matches!(event, AgentEvent::ToolCallFinished { outcome: CallOutcome::Denied, .. });
    assert!(rig.events.iter().any(denied), "it is shown");
    let number = rig.wants(8, "fs/read_text_file", &json!({"path": "/p/.env"}));
    rig.machine.handle_described(number, Ok(described("read_file", ToolKind::Read, Risk::ReadOnly, ".env")));
    rig.take();
    assert_eq!((rig.runs(number), &rig.last_sent()["error"]["code"]), (false, &json!(-32001)));
    let number = rig.wants(9, "fs/read_text_file", &json!({"path": "/etc/passwd"}));
    rig.machine.handle_described(number, Err("it is outside".into()));
    rig.take();
    assert_eq!(rig.last_sent()["error"]["message"], "it is outside");
    rig.stop(2, "end_turn");
    rig.assert_legal();
}

#[test]
fn the_mode_and_nobody_at_the_screen_decide_as_for_our_own_tools() {
    for (mode, unattended, runs) in [
        (ApprovalMode::Full, false, true),
        (ApprovalMode::AutoEdit, true, true),
        (ApprovalMode::Plan, false, false),
        (ApprovalMode::Ask, true, false),
        (ApprovalMode::Ask, false, false),
    ] {
        let mut rig = PeerRig::with(ApprovalPolicy::new(mode, &[], &[]).unwrap(), unattended);
        rig.open();
        rig.prompt("go");
        let number = rig.wants_file(7, "/p/a.txt", "x");
        assert_eq!(rig.runs(number), runs, "{mode:?}");
        let waits = mode == ApprovalMode::Ask && !unattended;
        assert_eq!(rig.last_sent().get("error").is_some(), !runs && !waits, "{mode:?} {unattended}");
        rig.stop(2, "end_turn");
        rig.assert_legal();
    }
}

#[test]
fn what_was_allowed_for_the_call_of_the_agent_is_not_asked_again() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    let options = json!([{"optionId": "once", "kind": "allow_once"}, {"optionId": "no", "kind": "reject_once"}]);
    let content = json!([{"type": "diff", "path": "/p/a.txt", "oldText": "", "newText": "right"}]);
    let call = json!({"toolCallId": "c", "kind": "edit", "locations": [{"path": "/p/a.txt"}], "content": content});
    let params = json!({"sessionId": "s", "toolCall": call, "options": options});
    rig.line(&json!({"id": 1, "method": "session/request_permission", "params": params}));
    rig.command(Command::Decide { call: "c".into(), decision: Decision::Once });
    let number = rig.wants_file(7, "/p/a.txt", "all right");
    assert!(rig.runs(number) && rig.asked().len() == 1, "{:#?}", rig.asked());
    for (id, path, content) in [(8, "/p/a.txt", "something else"), (9, "/p/b.txt", "right")] {
        let number = rig.wants_file(id, path, content);
        assert!(!rig.runs(number), "{path} {content}");
    }
    rig.ask(&json!(3), "d", "execute", "make");
    let call = rig.asked().last().map(|call| (*call).clone()).unwrap();
    rig.command(Command::Decide { call, decision: Decision::Once });
    let number = rig.wants_command(10, "make");
    assert!(rig.runs(number));
    let number = rig.wants_command(11, "make install");
    assert!(!rig.runs(number));
    rig.stop(2, "end_turn");
    rig.assert_legal();
}

#[test]
fn a_grant_for_the_session_allows_the_next_one() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    rig.wants_command(7, "make");
    let second = rig.wants_command(8, "make install");
    let call = rig.asked()[0].clone();
    rig.command(Command::Decide { call, decision: Decision::Session });
    assert!(rig.runs(second), "it was waiting");
    let third = rig.wants_command(9, "ls");
    assert!(rig.runs(third));
    rig.stop(2, "end_turn");
    rig.assert_legal();
}

#[test]
fn a_cancel_answers_what_waits_and_begins_nothing_more() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    let waits = rig.wants_command(7, "make");
    rig.line(&json!({"id": 8, "method": "fs/read_text_file", "params": {"sessionId": "s", "path": "/p/a"}}));
    rig.command(Command::Cancel);
    let answered: Vec<_> = rig.sent.iter().filter(|sent| sent.get("error").is_some()).map(|sent| &sent["id"]).collect();
    assert_eq!(answered, [&json!(7), &json!(8)]);
    rig.line(&json!({"id": 9, "method": "terminal/create", "params": {"sessionId": "s", "command": "ls"}}));
    assert_eq!((&rig.last_sent()["id"], rig.runs(waits)), (&json!(9), false));
    rig.stop(2, "cancelled");
    assert_eq!(rig.outcomes(), [&TurnOutcome::Cancelled]);
    rig.assert_legal();
}

#[test]
fn a_request_that_is_taken_back_is_answered_and_a_late_result_is_nothing() {
    let mut rig = PeerRig::ready();
    rig.prompt("go");
    rig.line(&json!({"id": 7, "method": "terminal/wait_for_exit", "params": {"sessionId": "s", "terminalId": "t"}}));
    let Some(PeerTask::Run(number, _)) = rig.tasks.last().cloned() else { panic!("{:?}", rig.tasks) };
    rig.line(&json!({"method": "$/cancel_request", "params": {"requestId": 7}}));
    assert!(rig.last_sent().get("error").is_some());
    let before = rig.sent.len();
    rig.machine.handle_work_done(number, Ok(WorkResult::Done));
    rig.take();
    assert_eq!(rig.sent.len(), before);
    rig.stop(2, "end_turn");
    rig.assert_legal();
}
