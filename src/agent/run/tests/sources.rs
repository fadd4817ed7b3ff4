//! Sources of tools that list late, anew or never.

use super::*;

/// Returns the names of the tools that each request offered.
fn offered(engine: &ScriptedEngine) -> Vec<Vec<String>> {
    let requests = engine.requests.lock().unwrap();
    requests.iter().map(|request| request.tools.iter().map(|spec| spec.name.clone()).collect()).collect()
}

#[tokio::test(start_paused = true)]
async fn tools_of_a_late_source_are_waited_for_and_listed_anew_at_each_request_after_a_change() {
    let engine = engine("a", vec![calls(&["far__peek"]), says("one")]);
    let (own, far) = (FakeSource::with_tools("own", &["look"]), FakeSource::new("far", true));
    let mut bench = with_sources(&engine, &[&own, &far], |_| {});
    bench.prompt("one").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(offered(&engine), Vec::<Vec<String>>::new());
    far.offer(&["peek"]);
    bench.until(|event| matches!(event, AgentEvent::ToolCallStarted { .. })).await;
    far.change(&["poke"]);
    bench.end().await;
    bench.prompt("two").await;
    bench.end().await;
    assert_eq!(offered(&engine), [["look", "far__peek"], ["look", "far__poke"], ["look", "far__poke"]]);
    assert_eq!((own.times_listed(), far.times_listed()), (1, 2));
    assert!(!bench.seen.iter().any(|event| matches!(event, AgentEvent::Notice { .. })), "{:?}", bench.seen);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_list_delays_one_request_and_is_left_out_until_it_gives_notice() {
    let engine = engine("a", vec![]);
    let (own, far) = (FakeSource::with_tools("own", &["look"]), FakeSource::new("far", false));
    let mut bench = with_sources(&engine, &[&own, &far], |_| {});
    bench.prompt("one").await;
    bench.end().await;
    let begun = Instant::now();
    bench.prompt("two").await;
    bench.end().await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    far.change(&["look", "peek"]);
    bench.prompt("three").await;
    bench.end().await;
    assert_eq!(offered(&engine), [vec!["look"], vec!["look"], vec!["look", "peek"]]);
    let notices = bench.seen.iter().filter_map(|event| match event {
        AgentEvent::Notice { code, text, .. } => Some((code, text.as_str())),
        _ => None,
    });
    let expected = [
        (&NoticeCode::Tools, "the tools of far can't be listed: no list within 10 s"),
        (&NoticeCode::Tools, "a second tool look, from far, is left out: own has one"),
    ];
    assert_eq!(notices.collect::<Vec<_>>(), expected);
}

#[tokio::test(start_paused = true)]
async fn cancelling_does_not_wait_for_a_source() {
    let engine = engine("a", vec![]);
    let far = FakeSource::new("far", false);
    let mut bench = with_sources(&engine, &[&far], |_| {});
    let begun = Instant::now();
    bench.prompt("one").await;
    bench.send(Command::Cancel).await;
    assert_eq!(bench.end().await, TurnOutcome::Cancelled);
    assert!(begun.elapsed() < Duration::from_secs(1));
}
