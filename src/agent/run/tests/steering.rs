//! What the person says while a turn runs, up to the request.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_steer_is_a_message_of_the_user_behind_the_results_in_the_next_request() {
    let first = engine("a", vec![calls(&["write"]), says("as you like")]);
    let mut rig = AgentRig::simple(&first, &[("write", ToolBehavior::Return)], ApprovalMode::Ask);
    rig.prompt("hi").await;
    rig.until(is_approval_request).await;
    rig.send(Command::Steer { text: "be brief".into(), context: Vec::new() }).await;
    rig.send(allow()).await;
    assert_eq!(rig.end().await, TurnOutcome::Completed);
    let asked = first.requests.lock().unwrap();
    let last = &asked[1].history[asked[1].history.len() - 2..];
    assert!(matches!(&last[0], HistoryMessage::Tool { .. }), "{last:?}");
    assert_eq!(last[1], HistoryMessage::user("be brief"));
}

#[tokio::test(start_paused = true)]
async fn a_steer_without_a_turn_is_left_to_the_session() {
    let first = engine("a", vec![says("hello")]);
    let mut rig = AgentRig::simple(&first, &[], ApprovalMode::Ask);
    rig.send(Command::Steer { text: "too late".into(), context: Vec::new() }).await;
    rig.prompt("hi").await;
    assert_eq!(rig.end().await, TurnOutcome::Completed);
    assert_eq!(first.requests.lock().unwrap()[0].history, [HistoryMessage::user("hi")]);
}
