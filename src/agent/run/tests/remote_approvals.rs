//! What a server wants decided.

use super::*;

#[tokio::test]
async fn what_a_server_wants_decided_is_asked_once_and_answered_there() {
    let (url, mut requests, _server) = server_approvals::tests::server().await;
    let engine = engine("e", vec![says("hi")]);
    let mut bench = AgentRig::start_with(&engine, &[], with_approvals(&engine, url));
    bench.until(is_approval_request).await;
    bench.send(Command::Decide { call: "a1".into(), decision: Decision::Once }).await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    bench.until(is_approval_request).await;
    bench.send(Command::Decide { call: "a2".into(), decision: Decision::Deny(None) }).await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    bench.until(is_approval_request).await;
    bench.send(Command::Cancel).await;
    assert_eq!(bench.end().await, TurnOutcome::Cancelled);
    let outcomes: Vec<CallOutcome> = bench.outcomes().into_iter().map(|(outcome, _)| outcome).collect();
    assert_eq!(outcomes, [CallOutcome::Ok, CallOutcome::Denied, CallOutcome::Cancelled]);
    bench.prompt("hello").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    assert_eq!(
        engine.requests.lock().unwrap()[0].history,
        [HistoryMessage::user("hello")],
        "the model never hears of it"
    );
    let mut posts = Vec::new();
    while let Ok(request) = requests.try_recv() {
        posts.extend(request.starts_with("POST").then_some(request));
    }
    assert_eq!(posts, ["POST /a1/true", "POST /a2/false"]);
}

#[tokio::test]
async fn what_a_server_wants_decided_during_a_turn_is_said_and_asked_when_it_is_over() {
    let (url, _heard, _server) = server_approvals::tests::server().await;
    let engine = engine("e", vec![calls(&["write"])]);
    let tools = [("write", ToolBehavior::Return)];
    let mut bench = AgentRig::start_with(&engine, &tools, with_approvals(&engine, url));
    bench.prompt("x").await;
    let AgentEvent::ApprovalRequested { call, .. } = bench.until(is_approval_request).await else {
        panic!("nothing was asked")
    };
    let says = |event: &AgentEvent| matches!(event, AgentEvent::Notice { code: NoticeCode::Approval, .. });
    // They may have been sent before the turn's approval request.
    while bench.seen.iter().filter(|event| says(event)).count() < 3 {
        bench.until(says).await;
    }
    bench.send(Command::Decide { call, decision: Decision::Once }).await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    let AgentEvent::ApprovalRequested { call, .. } = bench.until(is_approval_request).await else {
        panic!("nothing was asked")
    };
    assert_eq!(call.as_str(), "a1");
}
