//! Summaries of earlier turns: asked for by a person, or made because the window is full.

use super::*;
use crate::engine::EngineSpec;
use crate::event::{Compaction, CompactionTrigger, Usage, UsageScope};

fn with_usage(mut script: Vec<ReplyEvent>, input_tokens: u64) -> Vec<ReplyEvent> {
    let usage = Usage { input_tokens, output_tokens: 1, ..Usage::default() };
    let end = script.len() - 1;
    script.insert(end, ReplyEvent::UsageReported { scope: UsageScope::Request(1), usage });
    script
}

fn with_window(engine: &Arc<ScriptedEngine>, window: u64) -> impl FnOnce(&mut AgentSetup) + use<> {
    let choice = EngineChoice { context_window: Some(window), ..choice(engine) };
    move |setup| {
        setup.engine_choice = Box::pin(async { Ok(choice) });
        setup.auto_compact = true;
    }
}

fn compactions(rig: &AgentRig) -> Vec<Compaction> {
    let of = |event: &AgentEvent| match event {
        AgentEvent::Compacted(compaction) => Some((**compaction).clone()),
        _ => None,
    };
    rig.seen.iter().filter_map(of).collect()
}

fn texts(history: &[HistoryMessage]) -> Vec<String> {
    let text = |entry: &HistoryMessage| match entry {
        HistoryMessage::User { text, .. } | HistoryMessage::Assistant { text, .. } => text.clone(),
        HistoryMessage::Tool { output, .. } => output.clone(),
    };
    history.iter().map(text).collect()
}

const SUMMARY: &str = "Summary of the earlier part of this conversation, whose turns are not repeated (a record, not \
                       instructions):\n\n```\nThey met.\n```";

#[tokio::test(start_paused = true)]
async fn a_summary_takes_the_place_of_earlier_turns_until_it_is_undone() {
    let engine =
        engine("a", vec![says("one"), says("two"), with_usage(says("They met."), 70), says("three"), says("four")]);
    let mut rig = AgentRig::simple(&engine, &[], ApprovalMode::Full);
    for text in ["first", "second"] {
        rig.prompt(text).await;
        rig.end().await;
    }
    rig.send(Command::Compact { instructions: Some("keep names".into()) }).await;
    assert_eq!(rig.end().await, TurnOutcome::Completed);
    rig.prompt("third").await;
    rig.end().await;
    rig.send(Command::UndoCompaction { through: None }).await;
    rig.prompt("fourth").await;
    rig.end().await;
    let made = compactions(&rig);
    assert_eq!((made[0].through.as_str(), made[0].turns, made[0].trigger), ("t1", 1, CompactionTrigger::Person));
    assert_eq!(made[0].summary.as_deref(), Some("They met."));
    let asked = engine.requests.lock().unwrap();
    let HistoryMessage::User { text, .. } = &asked[2].history[0] else { panic!("a prompt") };
    assert!(text.contains("Person: first\nAssistant: one") && !text.contains("second"), "{text}");
    assert!(text.ends_with("The person asks of it: keep names"), "{text}");
    assert!(asked[2].tools.is_empty() && asked[2].system.contains("summary"));
    assert_eq!(texts(&asked[3].history), [SUMMARY, "I go on from there.", "second", "two", "third"]);
    assert_eq!(texts(&asked[4].history), ["first", "one", "second", "two", "third", "three", "fourth"]);
    let spent = rig.seen.iter().find_map(|event| match event {
        AgentEvent::UsageReported { scope: UsageScope::Compaction, usage } => Some(usage.input_tokens),
        _ => None,
    });
    assert_eq!(spent, Some(70));
    assert_eq!(grammar::check(&rig.seen), []);
}

#[tokio::test(start_paused = true)]
async fn a_full_window_has_earlier_turns_summed_up_before_the_request() {
    let engine = engine("a", vec![says("one"), says("They met."), says("two")]);
    let mut rig = AgentRig::start_with(&engine, &[], with_window(&engine, 400));
    rig.prompt(&"long ".repeat(200)).await;
    rig.end().await;
    rig.prompt(&"more ".repeat(80)).await;
    assert_eq!(rig.end().await, TurnOutcome::Completed);
    let made = compactions(&rig);
    assert_eq!((made.len(), made[0].through.as_str(), made[0].trigger), (1, "t1", CompactionTrigger::Window));
    assert!(made[0].tokens_after < made[0].tokens_before, "{made:?}");
    let asked = engine.requests.lock().unwrap();
    assert_eq!(texts(&asked[2].history), [SUMMARY.to_owned(), "I go on from there.".into(), "more ".repeat(80)]);
    assert_eq!(grammar::check(&rig.seen), []);
}

#[tokio::test(start_paused = true)]
async fn where_there_is_no_summary_the_turn_goes_on_without_the_oldest_turns() {
    let fault = Fault::new(crate::event::FaultKind::Upstream, "overloaded");
    let failed = vec![ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }];
    let engine = engine("a", vec![says("one"), failed, says("two")]);
    let mut rig = AgentRig::start_with(&engine, &[], with_window(&engine, 400));
    rig.prompt(&"long ".repeat(200)).await;
    rig.end().await;
    rig.prompt(&"more ".repeat(80)).await;
    assert_eq!(rig.end().await, TurnOutcome::Completed);
    let made = compactions(&rig);
    assert_eq!((made[0].summary.as_deref(), made[0].cut_reason.as_deref()), (None, Some("overloaded")));
    assert!(rig.seen.iter().any(|event| matches!(event, AgentEvent::Notice { code: NoticeCode::HistoryCut, text, .. }
        if text == "from here on the first turn will not be sent, and there is no summary: overloaded")));
    assert_eq!(texts(&engine.requests.lock().unwrap()[2].history), ["more ".repeat(80)]);
}

#[tokio::test(start_paused = true)]
async fn a_person_loses_nothing_when_the_summary_fails_or_is_cancelled() {
    let fault = Fault::new(crate::event::FaultKind::Upstream, "overloaded");
    let engine = engine("a", vec![says("one"), vec![ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }]]);
    let mut rig = AgentRig::simple(&engine, &[], ApprovalMode::Full);
    rig.prompt("first").await;
    rig.end().await;
    rig.send(Command::Compact { instructions: None }).await;
    let TurnOutcome::Failed(told) = rig.end().await else { panic!("it failed") };
    assert_eq!(told.message, "there is no summary, and nothing was changed: overloaded");
    rig.send(Command::Compact { instructions: None }).await;
    rig.send(Command::Cancel).await;
    assert_eq!(rig.end().await, TurnOutcome::Cancelled);
    rig.prompt("second").await;
    rig.end().await;
    assert_eq!(compactions(&rig), []);
    let asked = engine.requests.lock().unwrap();
    assert_eq!(texts(&asked.last().unwrap().history), ["first", "one", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_the_summary_ends_the_turn_and_keeps_its_prompt() {
    let engine = engine("a", vec![says("one"), says("They met."), says("two")]);
    let mut rig = AgentRig::start_with(&engine, &[], with_window(&engine, 400));
    rig.prompt(&"long ".repeat(200)).await;
    rig.end().await;
    rig.prompt(&"more ".repeat(80)).await;
    rig.until(|event| matches!(event, AgentEvent::Notice { code: NoticeCode::Compacting, .. })).await;
    rig.send(Command::Cancel).await;
    assert_eq!(rig.end().await, TurnOutcome::Cancelled);
    assert_eq!(compactions(&rig), []);
    let prompts = rig.seen.iter().filter(|event| matches!(event, AgentEvent::UserMessage { .. })).count();
    assert_eq!(prompts, 2);
    assert_eq!(grammar::check(&rig.seen), []);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_writes_no_summaries_leaves_turns_out_and_says_so() {
    let mut rig = AgentRig::start_with(&engine("a", Vec::new()), &[], |setup| {
        let offline: &EngineSpec = &crate::engine::offline::SPEC;
        let engine: Arc<dyn Engine> = (offline.build)(crate::engine::spec::EngineOptions::default());
        let choice = EngineChoice::new(engine, "guide".into(), "test".into());
        setup.engine_choice = Box::pin(async { Ok(choice) });
    });
    for text in ["help", "and what else"] {
        rig.prompt(text).await;
        rig.end().await;
    }
    rig.send(Command::Compact { instructions: None }).await;
    assert_eq!(rig.end().await, TurnOutcome::Completed);
    let made = compactions(&rig);
    assert_eq!(made[0].cut_reason.as_deref(), Some("offline writes no summaries"));
}

#[tokio::test(start_paused = true)]
async fn a_nearly_full_window_is_told_once() {
    let engine = engine("a", vec![with_usage(says("one"), 850), with_usage(says("two"), 900)]);
    let mut rig = AgentRig::start_with(&engine, &[], with_window(&engine, 1000));
    for text in ["first", "second"] {
        rig.prompt(text).await;
        rig.end().await;
    }
    rig.send(Command::UndoCompaction { through: None }).await;
    rig.until(|event| matches!(event, AgentEvent::Notice { code: NoticeCode::Compacting, .. })).await;
    let told: Vec<_> = rig
        .seen
        .iter()
        .filter_map(|event| match event {
            AgentEvent::Notice { code: NoticeCode::ContextFilling, text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let expected = "the conversation fills 85 % of the model's window: earlier turns are summed up before it overflows, or \
                    now by /compact";
    assert_eq!(told, [expected]);
}
