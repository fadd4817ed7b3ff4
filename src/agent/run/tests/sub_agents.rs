//! Sub-agents: their events, what they ask, their limits and their end.

use super::*;
use crate::event::{Usage, UsageScope};
use crate::tool::{BuiltinTools, ToolTimeouts};

const TIMEOUTS: ToolTimeouts = ToolTimeouts { usual: Duration::from_secs(5), command: Duration::from_secs(5) };

/// Calls of `task` with these arguments.
fn tasks(args: &[Json]) -> Vec<ReplyEvent> {
    let mut script = calls(&vec!["task"; args.len()]);
    let ready = script.iter_mut().filter_map(|event| match event {
        ReplyEvent::ToolCallReady { args, .. } => Some(args),
        _ => None,
    });
    for (place, wanted) in ready.zip(args) {
        *place = wanted.to_string();
    }
    script
}

fn task(prompt: &str) -> Json {
    serde_json::json!({"description": prompt, "prompt": prompt})
}

fn used(tokens: u64, mut script: Vec<ReplyEvent>) -> Vec<ReplyEvent> {
    let usage = Usage { input_tokens: tokens, ..Usage::default() };
    script.insert(0, ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
    script
}

fn rig(engine: &Arc<ScriptedEngine>, tools: &[(&'static str, ToolBehavior)]) -> AgentRig {
    AgentRig::start_with(engine, tools, |setup| setup.tools.add_source(Arc::new(BuiltinTools::for_agent(TIMEOUTS))))
}

fn asked(rig: &AgentRig) -> CallId {
    let ask = rig.seen.iter().rev().find(|event| is_approval_request(event)).and_then(AgentEvent::call);
    ask.cloned().unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_several_sub_agents_ask_comes_to_the_person_and_a_grant_holds_for_all() {
    let pen = || calls(&["pen"]);
    let scripts = vec![tasks(&[task("one"), task("two")]), pen(), pen(), says("A"), says("B"), says("both")];
    let engine = engine("a", scripts);
    let mut rig = rig(&engine, &[("pen", ToolBehavior::Return)]);
    rig.prompt("hi").await;
    rig.until(is_approval_request).await;
    let first = asked(&rig);
    rig.until(is_approval_request).await;
    assert_ne!(asked(&rig), first, "both wait at the same time");
    rig.send(Command::Decide { call: first, decision: Decision::Session }).await;
    assert_eq!(rig.end().await, TurnOutcome::Completed);
    let decided_by = |wanted: DecidedBy| {
        let resolved = |event: &&AgentEvent| matches!(event, AgentEvent::ApprovalResolved { by, .. } if *by == wanted);
        rig.seen.iter().filter(resolved).count()
    };
    // Either may be told first: the two run side by side.
    assert_eq!((decided_by(DecidedBy::Person), decided_by(DecidedBy::Policy), rig.ran()), (1, 1, 2));
    let parents = rig.seen.iter().filter(|event| matches!(event, AgentEvent::MessageStarted { parent: Some(_), .. }));
    assert_eq!(parents.count(), 4);
    let requests = engine.requests.lock().unwrap();
    let names = |request: &ModelRequest| request.tools.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&requests[0]), ["pen", "todo", "task", "task_output"]);
    assert_eq!(names(&requests[1]), ["pen", "task_output"], "it starts no others");
    let mut contexts = [requests[1].history.clone(), requests[2].history.clone()];
    contexts.sort_by_key(|history| format!("{history:?}"));
    let results = requests.last().unwrap().history.iter().filter_map(|message| match message {
        HistoryMessage::Tool { output, .. } => Some(output.clone()),
        _ => None,
    });
    let mut results: Vec<_> = results.collect();
    results.sort();
    assert_eq!(results, ["A", "B"]);
    assert_eq!(contexts, ["one", "two"].map(|prompt| vec![HistoryMessage::user(prompt)]), "its context is its own");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_reaches_a_sub_agent_in_its_call_and_in_its_ask() {
    for waits in [true, false] {
        let engine = engine("a", vec![tasks(&[task("x")]), calls(&["pen"])]);
        let mut rig = rig(&engine, &[("pen", ToolBehavior::HangForever)]);
        rig.prompt("hi").await;
        rig.until(is_approval_request).await;
        if !waits {
            rig.send(Command::Decide { call: asked(&rig), decision: Decision::Once }).await;
            rig.until(|event| matches!(event, AgentEvent::ToolOutput { .. })).await;
        }
        rig.send(Command::Cancel).await;
        assert_eq!(rig.end().await, TurnOutcome::Cancelled, "waits: {waits}");
        assert!(rig.outcomes().iter().all(|(outcome, _)| *outcome == CallOutcome::Cancelled), "{:?}", rig.outcomes());
    }
}

#[tokio::test(start_paused = true)]
async fn limits_of_a_sub_agent_end_it_and_say_so() {
    let limited = |key: &str, limit: u64| {
        let mut args = task("x");
        args[key] = limit.into();
        args
    };
    for (args, why) in [
        (limited("max_turns", 1), "the sub-agent failed: stopped after 1 requests"),
        (limited("max_tokens", 50), "the sub-agent was stopped: it used more than 50 tokens"),
        (serde_json::json!({"prompt": "x", "tools": ["nib"]}), "there is no tool `nib`"),
        (serde_json::json!({"prompt": "x", "model": "b/c"}), "the sub-agent failed: no"),
    ] {
        let engine = engine("a", vec![tasks(&[args]), used(60, calls(&["pen"])), says("more")]);
        let mut rig = rig(&engine, &[("pen", ToolBehavior::Return)]);
        rig.send(Command::SetMode { mode: ApprovalMode::Full }).await;
        rig.prompt("hi").await;
        assert_eq!(rig.end().await, TurnOutcome::Completed);
        let outcomes = rig.outcomes();
        let (_, text) = outcomes.iter().find(|(outcome, _)| *outcome == CallOutcome::Failed).unwrap();
        assert!(text.starts_with(why), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_sub_agents_use_is_used_by_the_turn() {
    let scripts = vec![tasks(&[task("one"), task("two")]), used(5, says("A")), used(7, says("B")), says("both")];
    let mut rig = rig(&engine("a", scripts), &[]);
    rig.prompt("hi").await;
    rig.end().await;
    let mut reported = rig.seen.iter().filter_map(|event| match event {
        AgentEvent::UsageReported { scope: UsageScope::SubAgents, usage } => Some(usage.total()),
        _ => None,
    });
    assert_eq!(reported.next_back(), Some(12));
    let told = rig.seen.iter().filter_map(|event| match event {
        AgentEvent::Annotation { annotation: Annotation::SubAgent { tokens, .. }, .. } => *tokens,
        _ => None,
    });
    // Whichever ends first.
    let mut told: Vec<u64> = told.collect();
    told.sort_unstable();
    assert_eq!(told, [5, 7]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_told_on_the_turn() {
    let mut script = calls(&["todo"]);
    for event in &mut script {
        if let ReplyEvent::ToolCallReady { args, .. } = event {
            *args = r#"{"todos":[{"content":"look","status":"in_progress"}]}"#.into();
        }
    }
    let mut rig = rig(&engine("a", vec![script]), &[]);
    rig.prompt("hi").await;
    rig.end().await;
    let is_plan = |event: &&AgentEvent| matches!(event, AgentEvent::Annotation { on: AnnotationTarget::Turn(_), annotation: Annotation::Plan(plan) } if plan.len() == 1);
    assert_eq!(rig.seen.iter().filter(is_plan).count(), 1);
}
