//! Tools that run, fail, hang and report.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_tool_that_breaks_down_fails_its_call_only() {
    for does in [ToolBehavior::Panic, ToolBehavior::PanicWhenAsked] {
        let engine = engine("a", vec![calls(&["bad", "good"])]);
        let mut bench = AgentRig::simple(&engine, &[("bad", does), ("good", ToolBehavior::Return)], ApprovalMode::Full);
        bench.prompt("go").await;
        assert_eq!(bench.end().await, TurnOutcome::Completed);
        let mut outcomes: Vec<CallOutcome> = bench.outcomes().into_iter().map(|(outcome, _)| outcome).collect();
        outcomes.sort_by_key(|outcome| *outcome == CallOutcome::Ok);
        assert_eq!(outcomes, [CallOutcome::Failed, CallOutcome::Ok]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_hangs_is_given_up_and_the_turn_goes_on() {
    let engine = engine("a", vec![calls(&["hang"])]);
    let mut bench = AgentRig::simple(&engine, &[("hang", ToolBehavior::HangForever)], ApprovalMode::Full);
    bench.prompt("go").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    let (outcome, text) = bench.outcomes().remove(0);
    assert_eq!(outcome, CallOutcome::Failed);
    assert!(text.starts_with("timed out after 5 s"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_tool_still_reports_its_outcome() {
    let engine = engine("a", vec![calls(&["hang"])]);
    let mut bench = AgentRig::simple(&engine, &[("hang", ToolBehavior::HangForever)], ApprovalMode::Full);
    bench.prompt("go").await;
    bench.until(|event| matches!(event, AgentEvent::ToolOutput { .. })).await;
    bench.send(Command::Cancel).await;
    assert_eq!(bench.end().await, TurnOutcome::Cancelled);
    assert_eq!(bench.outcomes(), [(CallOutcome::Cancelled, String::new())]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_for_the_log_is_in_a_private_file_beside_it() {
    let engine = engine("a", vec![calls(&["print"])]);
    let mut bench = AgentRig::simple(&engine, &[("print", ToolBehavior::Print(3_000_000))], ApprovalMode::Full);
    bench.prompt("go").await;
    bench.end().await;
    let logged: usize = bench
        .seen
        .iter()
        .map(|event| if let AgentEvent::ToolOutput { text, .. } = event { text.len() } else { 0 })
        .sum();
    assert_eq!(logged, tools::MAX_LOGGED_OUTPUT_BYTES);
    let whole = std::fs::read(bench.folder.path().join("c0.out")).unwrap();
    assert_eq!(whole.len(), 3_000_000);
    let AgentEvent::ToolCallFinished { output, .. } =
        bench.seen.iter().find(|event| matches!(event, AgentEvent::ToolCallFinished { .. })).unwrap()
    else {
        unreachable!("that was looked for")
    };
    assert!(output.text.len() <= 2048 && output.text.contains("left out"));
    assert_eq!((output.total_bytes, output.file.as_deref()), (Some(3_000_000), Some("c0.out")));
}

#[tokio::test(start_paused = true)]
async fn only_the_first_reply_must_call_a_tool() {
    let engine = engine("a", vec![calls(&["peek"]), says("done")]);
    let mut bench = AgentRig::start_with(&engine, &[], |setup| setup.sampling.tool_choice_required = true);
    bench.prompt("x").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    let asked: Vec<bool> =
        engine.requests.lock().unwrap().iter().map(|request| request.sampling.tool_choice_required).collect();
    assert_eq!(asked, [true, false]);
}

#[tokio::test(start_paused = true)]
async fn calls_of_tools_that_somebody_else_runs_stay_requests() {
    let engine = engine("a", vec![calls(&["theirs"])]);
    let spec =
        ToolSpec { name: "theirs".into(), description: String::new(), parameters: Json::Null, risk: Risk::Execute };
    let offered = vec![spec.clone()];
    let mut bench = AgentRig::start_with(&engine, &[], move |setup| {
        let tools: Arc<dyn ToolSource> = Arc::new(ClientTools(offered));
        setup.tools = Registry::new([tools]);
        setup.runs_tools = false;
    });
    bench.prompt("x").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    assert_eq!(engine.requests.lock().unwrap()[0].tools, [spec]);
    assert_eq!(bench.outcomes(), [(CallOutcome::Requested, String::new())]);
}

#[tokio::test(start_paused = true)]
async fn data_and_events_of_a_tool_reach_the_log_below_its_call() {
    let engine = engine("a", vec![calls(&["peek", "peek"]), says("one")]);
    let mut bench = with_sources(&engine, &[&FakeSource::with_tools("far", &["peek"])], |_| {});
    bench.prompt("one").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    let (mut annotated, mut nested, mut results) = (Vec::new(), Vec::new(), Vec::new());
    for event in &bench.seen {
        match event {
            AgentEvent::Annotation { on: AnnotationTarget::Call(call), annotation: Annotation::Result { value } } => {
                assert_eq!(value, "peek");
                annotated.push(call.as_str());
            }
            AgentEvent::MessageStarted { message, parent: Some(call), .. } => nested.push((message, call.as_str())),
            AgentEvent::ToolCallFinished { output, .. } => {
                results.push((output.text.as_str(), output.structured.clone()));
            }
            _ => {}
        }
    }
    assert_eq!(annotated, ["c0", "c1"]);
    assert_eq!(nested.iter().map(|(_, call)| *call).collect::<Vec<_>>(), ["c0", "c1"]);
    assert_ne!(nested[0].0, nested[1].0, "the log has one message of an id");
    let result = (r#"{"answer":42}"#, Some(serde_json::json!({"answer": 42})));
    assert_eq!(results, [result.clone(), result]);
    let deltas = bench.seen.iter().filter_map(|event| match event {
        AgentEvent::TextDelta { text, .. } => Some(text.as_str()),
        _ => None,
    });
    assert_eq!(deltas.collect::<Vec<_>>(), ["from a sub-agent", "from a sub-agent", "one"]);
    let turns = bench.seen.iter().filter(|event| matches!(event, AgentEvent::TurnStarted { .. })).count();
    assert_eq!(turns, 1, "a tool starts no turn");
}

#[tokio::test(start_paused = true)]
async fn data_that_is_too_large_for_an_event_is_dropped_with_a_notice_and_its_text_remains() {
    let engine = engine("a", vec![calls(&["flood"]), says("one")]);
    let mut bench = with_sources(&engine, &[&FakeSource::with_tools("far", &["flood"])], |_| {});
    bench.prompt("one").await;
    let finished = bench.until(|event| matches!(event, AgentEvent::ToolCallFinished { .. })).await;
    let AgentEvent::ToolCallFinished { output, outcome, .. } = finished else { unreachable!("that was waited for") };
    assert_eq!((outcome, output.structured, output.total_bytes), (CallOutcome::Ok, None, Some(100_002)));
    let is_notice =
        |event: &AgentEvent| matches!(event, AgentEvent::Notice { code, .. } if *code == NoticeCode::DataDropped);
    assert!(bench.seen.iter().any(is_notice));
}

/// A tool that reads files, for as many seconds as its call says; counts how many of its calls run at once.
#[derive(Default)]
struct SlowReader {
    running: AtomicUsize,
    most: AtomicUsize,
}

impl ToolSource for SlowReader {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ToolInfo>, String>> {
        let (name, description) = ("look".to_owned(), String::new());
        let spec = ToolSpec { name, description, parameters: Json::Null, risk: Risk::ReadOnly };
        let info = ToolInfo { spec, kind: ToolKind::Read, timeout: Duration::from_mins(1) };
        Box::pin(async { Ok(vec![info]) })
    }

    fn describe<'a>(
        &'a self,
        _: &'a str,
        args: &'a Json,
        _: &'a ToolContext,
    ) -> BoxFuture<'a, Result<CallDescription, String>> {
        Box::pin(async { Ok(CallDescription::new(Risk::ReadOnly, args["path"].as_str().unwrap_or_default())) })
    }

    fn call<'a>(&'a self, _: &'a str, args: &'a Json, _: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        Box::pin(async {
            let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(running, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(args["seconds"].as_u64().unwrap_or_default())).await;
            self.running.fetch_sub(1, Ordering::SeqCst);
            ToolResult::ok(args["path"].to_string())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_only_read_run_together_and_their_results_go_back_in_order() {
    let mut script = calls(&["look", "look", "look"]);
    let wanted = [("a", 3), ("b", 1), ("a", 2)];
    let ready = script.iter_mut().filter_map(|event| match event {
        ReplyEvent::ToolCallReady { args, .. } => Some(args),
        _ => None,
    });
    for (args, (path, seconds)) in ready.zip(wanted) {
        *args = serde_json::json!({"path": path, "seconds": seconds}).to_string();
    }
    let engine = engine("a", vec![script]);
    let reader = Arc::new(SlowReader::default());
    let source: Arc<dyn ToolSource> = reader.clone();
    let mut bench = AgentRig::start_with(&engine, &[], |setup| setup.tools = Registry::new([source]));
    let began = Instant::now();
    bench.prompt("go").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    assert_eq!((reader.most.load(Ordering::SeqCst), began.elapsed().as_secs()), (3, 3), "as long as the longest");
    let took = bench.seen.iter().filter_map(|event| match event {
        AgentEvent::ToolCallFinished { call, duration, .. } => {
            Some((call.as_str(), duration.map(|took| took.0 / 1000)))
        }
        _ => None,
    });
    assert_eq!(took.collect::<Vec<_>>(), [("c1", Some(1)), ("c2", Some(2)), ("c0", Some(3))]);
    let asked = engine.requests.lock().unwrap();
    let results = asked[1].history.iter().filter_map(|past| match past {
        HistoryMessage::Tool { call, .. } => Some(call.as_str()),
        _ => None,
    });
    assert_eq!(results.collect::<Vec<_>>(), ["c0", "c1", "c2"]);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_which_a_person_or_another_call_was_waited_for_is_not_that_of_the_call() {
    let engine = engine("a", vec![calls(&["hang", "write"])]);
    let tools = [("hang", ToolBehavior::HangForever), ("write", ToolBehavior::Return)];
    let mut bench = AgentRig::simple(&engine, &tools, ApprovalMode::Ask);
    bench.prompt("go").await;
    bench.until(is_approval_request).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    bench.send(allow()).await;
    bench.until(is_approval_request).await;
    bench.send(Command::Decide { call: "c1".into(), decision: Decision::Once }).await;
    bench.end().await;
    let took: Vec<u64> = bench
        .seen
        .iter()
        .filter_map(|event| match event {
            AgentEvent::ToolCallFinished { duration, .. } => duration.map(|took| took.0 / 1000),
            _ => None,
        })
        .collect();
    assert_eq!(took, [8, 0], "one runs to its limit and a while longer, the other was waiting for it");
}
