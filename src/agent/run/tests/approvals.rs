//! Who decides a call, and what becomes of those that wait.

use super::*;
use crate::event::{HunkDecision, HunkNote};
use crate::net::request::{Framing, HttpMethod, HttpRequest};
use crate::testkit::server::{ScriptedServer, json};
use crate::tool::{BuiltinTools, ToolTimeouts};

#[tokio::test(start_paused = true)]
async fn what_has_changed_since_it_was_shown_is_not_done() {
    let engine = engine("a", vec![calls(&["write"])]);
    let mut bench = AgentRig::simple(&engine, &[("write", ToolBehavior::Return)], ApprovalMode::Ask);
    bench.prompt("go").await;
    bench.until(is_approval_request).await;
    *bench.shows.lock().unwrap() = "another diff".into();
    bench.send(allow()).await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    let (outcome, text) = bench.outcomes().remove(0);
    assert_eq!((outcome, bench.ran()), (CallOutcome::Failed, 0));
    assert!(text.contains("changed after this call"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn what_is_as_it_was_shown_is_done() {
    let engine = engine("a", vec![calls(&["write"])]);
    let mut bench = AgentRig::simple(&engine, &[("write", ToolBehavior::Return)], ApprovalMode::Ask);
    bench.prompt("go").await;
    bench.until(is_approval_request).await;
    bench.send(allow()).await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    assert_eq!((bench.outcomes(), bench.ran()), (vec![(CallOutcome::Ok, "did it".into())], 1));
}

#[tokio::test(start_paused = true)]
async fn another_mode_answers_what_waits() {
    for (mode, outcome) in [(ApprovalMode::AutoEdit, CallOutcome::Ok), (ApprovalMode::Plan, CallOutcome::Denied)] {
        let engine = engine("a", vec![calls_about_files(&["write", "write"])]);
        let mut bench = AgentRig::simple(&engine, &[("write", ToolBehavior::Return)], ApprovalMode::Ask);
        bench.prompt("go").await;
        bench.until(is_approval_request).await;
        bench.until(is_approval_request).await;
        bench.send(Command::SetMode { mode }).await;
        assert_eq!(bench.end().await, TurnOutcome::Completed);
        assert!(bench.outcomes().iter().all(|(how, _)| *how == outcome), "{:?}", bench.outcomes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_answers_the_other_asks_of_its_tool() {
    let engine = engine("a", vec![calls_about_files(&["write", "write"]), calls(&["write"])]);
    let mut bench = AgentRig::simple(&engine, &[("write", ToolBehavior::Return)], ApprovalMode::Ask);
    bench.prompt("go").await;
    bench.until(is_approval_request).await;
    bench.until(is_approval_request).await;
    bench.send(Command::Decide { call: "c0".into(), decision: Decision::Session }).await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    assert_eq!(bench.ran(), 3);
    assert_eq!(bench.seen.iter().filter(|event| is_approval_request(event)).count(), 2, "the third needed no asking");
}

#[tokio::test(start_paused = true)]
async fn a_grant_that_was_taken_back_asks_again_from_the_next_call_on() {
    let engine = engine("a", vec![calls(&["write"]), calls(&["write"]), calls(&["write"])]);
    let mut bench = AgentRig::simple(&engine, &[("write", ToolBehavior::Return)], ApprovalMode::Ask);
    bench.prompt("go").await;
    bench.until(is_approval_request).await;
    bench.send(Command::Decide { call: "c0".into(), decision: Decision::Pattern("write(*)".into()) }).await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    let grants = bench.permissions.borrow_and_update().grants.clone();
    assert_eq!(
        grants,
        [Grant {
            tool: "write".into(),
            glob: None,
            by: DecidedBy::Person,
            from_earlier_run: false,
            uses: u64::from(bench.ran()) - 1
        }]
    );
    bench.send(Command::RevokeGrant { pattern: "write".into() }).await;
    let revoked = |event: &AgentEvent| matches!(event, AgentEvent::Notice { code: NoticeCode::Revoked, .. });
    bench.until(revoked).await;
    assert_eq!(bench.permissions.borrow().grants, []);
    engine.scripts.lock().unwrap().push_back(calls(&["write"]));
    bench.prompt("again").await;
    bench.until(is_approval_request).await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_pattern_leaves_the_ask_open() {
    let engine = engine("a", vec![calls(&["write"])]);
    let mut bench = AgentRig::simple(&engine, &[("write", ToolBehavior::Return)], ApprovalMode::Ask);
    bench.prompt("go").await;
    bench.until(is_approval_request).await;
    for wrong in ["write(", "shell"] {
        bench.send(Command::Decide { call: "c0".into(), decision: Decision::Pattern(wrong.into()) }).await;
        let is_pattern_notice =
            |event: &AgentEvent| matches!(event, AgentEvent::Notice { code: NoticeCode::Pattern, .. });
        bench.until(is_pattern_notice).await;
    }
    bench.send(Command::Decide { call: "c0".into(), decision: Decision::Once }).await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    assert_eq!(bench.ran(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_a_denial_reaches_the_model() {
    let engine = engine("a", vec![calls(&["write"])]);
    let mut bench = AgentRig::simple(&engine, &[("write", ToolBehavior::Return)], ApprovalMode::Ask);
    bench.prompt("go").await;
    bench.until(is_approval_request).await;
    let decision = Decision::Deny(Some("use the other file".into()));
    bench.send(Command::Decide { call: "c0".into(), decision }).await;
    bench.end().await;
    let asked = engine.requests.lock().unwrap();
    let is_denied_with_reason = asked[1].history.iter().any(
        |past| matches!(past, HistoryMessage::Tool { output, outcome: CallOutcome::Denied, .. } if output.contains("use the other file")),
    );
    assert!(is_denied_with_reason, "{asked:?}");
}

/// A call that writes a file of forty lines anew, two of them changed far from each other.
async fn asked_about_two_hunks() -> (Arc<ScriptedEngine>, AgentRig) {
    let lines = |second: &str, last: &str| {
        let line = |number| match number {
            2 => format!("{second}\n"),
            39 => format!("{last}\n"),
            _ => format!("{number}\n"),
        };
        (1..=40).map(line).collect::<String>()
    };
    let mut script = calls(&["write_file"]);
    if let Some(ReplyEvent::ToolCallReady { args, .. }) = script.get_mut(2) {
        *args = serde_json::json!({"path": "x", "content": lines("A", "B")}).to_string();
    }
    let engine = engine("a", vec![script]);
    let minute = Duration::from_mins(1);
    let timeouts = ToolTimeouts { usual: minute, command: minute };
    let tools: Arc<dyn ToolSource> = Arc::new(BuiltinTools::new(timeouts));
    let mut bench = AgentRig::start_with(&engine, &[], |setup| {
        setup.tools = Registry::new([tools]);
        setup.folder = setup.folder.canonicalize().unwrap();
    });
    std::fs::write(bench.folder.path().join("x"), lines("a", "b")).unwrap();
    bench.prompt("go").await;
    let asked = bench.until(is_approval_request).await;
    assert!(matches!(asked, AgentEvent::ApprovalRequested { request: ApprovalRequest { hunks: 2, .. }, .. }));
    (engine, bench)
}

#[tokio::test]
async fn what_was_decided_about_hunks_is_done_and_told() {
    let notes = |text: &str| vec![HunkNote { hunk: 2, text: text.into() }];
    let hunks = |taken: &[u32], notes| Decision::Hunks(HunkDecision { taken: taken.to_vec(), notes });
    for (decision, logged, outcome, told, written) in [
        (
            hunks(&[1], notes("no")),
            hunks(&[1], notes("no")),
            CallOutcome::Ok,
            "the user left out hunk 2",
            (true, false),
        ),
        (hunks(&[1, 2], vec![]), Decision::Once, CallOutcome::Ok, "wrote `x`", (true, true)),
        (
            hunks(&[], notes("no, sorry")),
            Decision::Deny(Some("on hunk 2 (@@ -36,5 +36,5 @@): no, sorry".into())),
            CallOutcome::Denied,
            "no, sorry",
            (false, false),
        ),
        (hunks(&[], vec![]), Decision::Deny(None), CallOutcome::Denied, "denied by the user", (false, false)),
        (hunks(&[3], vec![]), Decision::Deny(None), CallOutcome::Denied, "denied by the user", (false, false)),
    ] {
        let (engine, mut bench) = asked_about_two_hunks().await;
        bench.send(Command::Decide { call: "c0".into(), decision }).await;
        bench.end().await;
        let resolved = bench.seen.iter().find_map(|event| match event {
            AgentEvent::ApprovalResolved { decision, .. } => Some(decision.clone()),
            _ => None,
        });
        assert_eq!(resolved, Some(logged));
        let text = std::fs::read_to_string(bench.folder.path().join("x")).unwrap();
        assert_eq!((text.contains("A\n"), text.contains("B\n")), written);
        let asked = engine.requests.lock().unwrap();
        let is_told = |past: &HistoryMessage| matches!(past, HistoryMessage::Tool { output, outcome: is, .. } if *is == outcome && output.contains(told));
        assert!(asked[1].history.iter().any(is_told), "{told}: {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_about_hunks_is_no_permission_for_a_call_without_any() {
    let engine = engine("a", vec![calls(&["write"])]);
    let mut bench = AgentRig::simple(&engine, &[("write", ToolBehavior::Return)], ApprovalMode::Ask);
    bench.prompt("go").await;
    bench.until(is_approval_request).await;
    let decision = Decision::Hunks(HunkDecision { taken: vec![1], notes: vec![] });
    bench.send(Command::Decide { call: "c0".into(), decision }).await;
    bench.end().await;
    assert_eq!((bench.ran(), bench.outcomes()[0].0), (0, CallOutcome::Denied));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_answers_in_time_is_denied_and_the_turn_goes_on() {
    let engine = engine("a", vec![calls(&["write"])]);
    let mut bench = AgentRig::start_with(&engine, &[("write", ToolBehavior::Return)], |setup| {
        setup.approvals = ApprovalSettings {
            decided_by: DecidedBy::Remote,
            timeout: Some(Duration::from_secs(2)),
            epoch_time: Millis(5_000),
        };
    });
    bench.prompt("x").await;
    let AgentEvent::ApprovalRequested { request, .. } = bench.until(is_approval_request).await else {
        panic!("nothing was asked")
    };
    let expires = request.expires_at.unwrap().0;
    assert!((7_000..7_100).contains(&expires), "on the session's clock: {expires}");
    let resolved = bench.until(|event| matches!(event, AgentEvent::ApprovalResolved { .. })).await;
    assert!(matches!(resolved, AgentEvent::ApprovalResolved { by: DecidedBy::TimedOut, .. }), "{resolved:?}");
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    assert_eq!(bench.ran(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tool_called_shell_whose_kind_is_another_is_not_judged_as_a_shell() {
    let engine = engine("a", vec![calls(&["shell"]), says("one")]);
    let mut bench = with_sources(&engine, &[&FakeSource::with_tools("far", &["shell"])], |setup| {
        setup.policy = ApprovalPolicy::new(ApprovalMode::Ask, &["shell(ask *)".into()], &[]).unwrap();
    });
    bench.prompt("one").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    assert!(!bench.seen.iter().any(is_approval_request), "its subject is no command line, so `;` is a character");
    assert_eq!(bench.outcomes().len(), 1);
}

/// A reply with a call that its server runs once it is allowed.
fn server_call() -> Vec<ReplyEvent> {
    let mut script = calls(&["delete"]);
    let annotation = Annotation::NeedsApproval { request: Json::from("ask"), reason: Some("Delete it?".into()) };
    script.insert(3, ReplyEvent::Annotation { on: crate::event::ReplyTarget::Call("c0".into()), annotation });
    script
}

#[tokio::test(start_paused = true)]
async fn a_server_s_call_is_shown_and_the_decision_goes_with_the_next_request() {
    let engine = engine("a", vec![server_call(), says("gone")]);
    let mut bench = AgentRig::start_with(&engine, &[], |setup| setup.runs_tools = false);
    bench.prompt("go").await;
    let asked = bench.until(is_approval_request).await;
    assert!(
        matches!(&asked, AgentEvent::ApprovalRequested { request, .. } if request.subject == "Delete it?" && request.tool == "delete"),
        "{asked:?}"
    );
    bench.send(allow()).await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    let requests = engine.requests.lock().unwrap();
    let decided: Vec<_> = requests[1].decided_calls().map(|(_, approval, decision)| (approval, decision)).collect();
    assert!(matches!(decided[..], [(approval, Decision::Once)] if approval.request == "ask"), "{decided:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_person_a_server_s_call_waits_unless_a_rule_decides() {
    for (mode, outcome, requests) in
        [(ApprovalMode::Ask, CallOutcome::Requested, 1), (ApprovalMode::Full, CallOutcome::Unknown, 2)]
    {
        let engine = engine("a", vec![server_call(), says("gone")]);
        let mut bench = AgentRig::start_with(&engine, &[], |setup| {
            (setup.is_unattended, setup.runs_tools, setup.policy.mode) = (true, false, mode);
        });
        bench.prompt("go").await;
        assert_eq!(bench.end().await, TurnOutcome::Completed);
        assert_eq!(bench.outcomes(), [(outcome, String::new())]);
        assert_eq!(engine.requests.lock().unwrap().len(), requests);
    }
}

/// Asks in mid-reply and never ends it; takes the answer at this address.
struct HoldingEngine(String);

impl Engine for HoldingEngine {
    fn name(&self) -> &'static str {
        "holding"
    }

    fn plan_reply(&self, _: &ModelRequest) -> ReplyPlan {
        let mut script = calls(&["delete"]);
        script.truncate(3);
        let annotation = Annotation::AwaitsAnswer { request: Json::from("ask"), reason: None, answers: Vec::new() };
        script.push(ReplyEvent::Annotation { on: crate::event::ReplyTarget::Call("c0".into()), annotation });
        let mut script: Vec<_> = script.into_iter().map(|event| ScriptedEvent { delay: Millis(0), event }).collect();
        let event = ReplyEvent::End { outcome: TurnOutcome::Completed };
        script.push(ScriptedEvent { delay: Millis(100_000_000), event });
        ReplyPlan::Scripted(script)
    }

    fn answer_request(&self, asked: &Json, decision: &Decision) -> Option<HttpRequest> {
        assert_eq!(asked, "ask");
        let url = format!("{}/{}", self.0, decision.allows());
        Some(HttpRequest { method: HttpMethod::Post, url, headers: Vec::new(), body: None, framing: Framing::Any })
    }
}

#[tokio::test]
async fn a_decision_goes_to_the_server_that_waits_and_one_that_is_lost_ends_the_turn() {
    let (sender, mut asked) = mpsc::unbounded_channel();
    let server = ScriptedServer::answering(move |request| {
        let _ = sender.send(request.split(" HTTP").next().unwrap_or_default().to_owned());
        let status = if request.contains("/true") { "200 OK" } else { "404 Not Found" };
        vec![json(status, "{}")]
    });
    let server = server.await;
    let holding = Arc::new(HoldingEngine(server.url()));
    let choice = EngineChoice::new(holding, "m".into(), "test".into());
    let mut bench = AgentRig::start_with(&engine("e", Vec::new()), &[], |setup| {
        setup.runs_tools = false;
        setup.engine_choice = Box::pin(async move { Ok(choice) });
    });
    bench.prompt("go").await;
    bench.until(is_approval_request).await;
    bench.send(allow()).await;
    assert_eq!(asked.recv().await.as_deref(), Some("POST /true"));
    bench.send(Command::Cancel).await;
    assert_eq!(bench.end().await, TurnOutcome::Cancelled);
    bench.prompt("again").await;
    let AgentEvent::ApprovalRequested { call, .. } = bench.until(is_approval_request).await else {
        panic!("nothing was asked")
    };
    bench.send(Command::Decide { call, decision: Decision::Deny(None) }).await;
    let TurnOutcome::Failed(fault) = bench.end().await else { panic!("it waits") };
    assert!(fault.message.starts_with("the decision was not delivered to the server"), "{fault}");
}
