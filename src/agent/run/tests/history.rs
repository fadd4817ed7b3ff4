//! What of the conversation a request has.

use super::*;

/// The past of a session of two turns, and how to read it back.
fn logged_past(read: ReadLog) -> impl FnOnce(&mut AgentSetup) {
    let mut history = History::new();
    for logged in &logged_turns() {
        history.observe_logged(logged);
    }
    move |setup| {
        setup.history_and_ids = Box::pin(async { (history, IdAllocator::default()) });
        setup.read_log = Some(read);
    }
}

fn logged_turns() -> Vec<Envelope> {
    let turn = |id: &str| {
        [
            AgentEvent::TurnStarted { turn: id.into(), parent: None },
            AgentEvent::UserMessage { message: id.into(), text: format!("ask {id}") },
            AgentEvent::TurnFinished { turn: id.into(), outcome: TurnOutcome::Completed },
        ]
    };
    let events = [turn("t1"), turn("t2")].into_iter().flatten();
    events.zip(1..).map(|(event, seq)| Envelope { seq: Seq(seq), at: Millis(0), event }).collect()
}

fn prompts_of(request: &ModelRequest) -> Vec<&str> {
    request
        .history
        .iter()
        .filter_map(|past| if let HistoryMessage::User { text, .. } = past { Some(text.as_str()) } else { None })
        .collect()
}

#[tokio::test]
async fn a_request_reads_the_turns_before_from_the_log_once() {
    let first = engine("a", vec![says("one"), says("two")]);
    let reads = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&reads);
    let read: ReadLog = Arc::new(move |from, through, tell| {
        counter.fetch_add(1, Ordering::Relaxed);
        logged_turns().iter().filter(|logged| (from..=through).contains(&logged.seq)).for_each(tell);
        Ok(())
    });
    let mut bench = AgentRig::start_with(&first, &[], logged_past(read));
    bench.prompt("now").await;
    bench.end().await;
    bench.prompt("then").await;
    bench.end().await;
    let asked = first.requests.lock().unwrap();
    assert_eq!(prompts_of(&asked[0]), ["ask t1", "ask t2", "now"]);
    assert_eq!(prompts_of(&asked[1]), ["ask t1", "ask t2", "now", "then"]);
    assert_eq!(reads.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_request_goes_without_the_turns_that_the_log_does_not_give() {
    let first = engine("a", vec![says("one")]);
    let read: ReadLog = Arc::new(|_, _, _| Err(io::Error::other("gone")));
    let mut bench = AgentRig::start_with(&first, &[], logged_past(read));
    bench.prompt("now").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    assert_eq!(prompts_of(&first.requests.lock().unwrap()[0]), ["ask t2", "now"]);
    assert!(bench.seen.iter().any(|event| matches!(event, AgentEvent::Notice { text, .. } if text.contains("gone"))));
}

#[tokio::test(start_paused = true)]
async fn a_turn_without_a_prompt_asks_with_the_past_as_it_is() {
    let engine = engine("a", vec![says("one"), says("two")]);
    let mut bench = AgentRig::start_with(&engine, &[], |setup| setup.sampling.max_output_tokens = Some(7));
    bench.prompt("x").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    bench.send(Command::Continue).await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    let asked = engine.requests.lock().unwrap();
    let prompts = asked[1].history.iter().filter(|entry| matches!(entry, HistoryMessage::User { .. })).count();
    assert_eq!((asked[1].history.len(), prompts, asked[1].sampling.max_output_tokens), (2, 1, Some(7)));
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_was_refused_as_too_long_is_not_sent_again_with_the_next() {
    let fault = Fault::new(crate::event::FaultKind::ContextTooLong, "too long");
    let refusal = vec![ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }];
    let first = engine("a", vec![refusal, says("short enough")]);
    let mut bench = AgentRig::simple(&first, &[], ApprovalMode::Full);
    bench.prompt("far too long").await;
    bench.end().await;
    bench.until(|event| matches!(event, AgentEvent::Notice { code: NoticeCode::PromptLeftOut, .. })).await;
    bench.prompt("hi").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    let asked = first.requests.lock().unwrap();
    assert_eq!(asked[1].history, [HistoryMessage::user("hi")]);
}

#[tokio::test(start_paused = true)]
async fn turns_that_do_not_fit_into_the_window_are_left_out_and_reported_once_a_turn() {
    let engine = engine("a", vec![says("one"), calls(&["write"]), says("two")]);
    let mut choice = choice(&engine);
    choice.context_window = Some(400);
    let mut bench = AgentRig::start_with(&engine, &[("write", ToolBehavior::Return)], |setup| {
        setup.engine_choice = Box::pin(async { Ok(choice) });
        setup.policy = ApprovalPolicy::new(ApprovalMode::Full, &[], &[]).unwrap();
    });
    bench.prompt(&"long ".repeat(1000)).await;
    bench.end().await;
    bench.prompt("short").await;
    bench.end().await;
    let notices = bench.seen.iter().filter_map(|event| match event {
        AgentEvent::Notice { code, text, .. } => Some((code.clone(), text.as_str())),
        _ => None,
    });
    let text = "the 1 oldest turns don't fit into the model's window and were not sent";
    assert_eq!(notices.collect::<Vec<_>>(), [(NoticeCode::HistoryCut, text)]);
    let requests = engine.requests.lock().unwrap();
    assert_eq!(requests[1].history, [HistoryMessage::user("short")]);
}

/// A log of two turns, as a function that reads the past of a branch.
fn branch_reader() -> crate::agent::ReadBranch {
    Arc::new(|after| {
        let path = crate::event::branches::BranchStarts::default().path_to(after);
        let mut past = crate::agent::BranchPast { history: History::on_path(path), opened: None };
        for logged in &logged_turns() {
            past.history.observe_logged(logged);
        }
        Ok(past)
    })
}

#[tokio::test]
async fn a_branch_sends_what_was_said_on_it_and_nothing_else() {
    let first = engine("a", vec![says("one"), says("two")]);
    let read: ReadLog = Arc::new(|from, through, tell| {
        logged_turns().iter().filter(|logged| (from..=through).contains(&logged.seq)).for_each(tell);
        Ok(())
    });
    let past = logged_past(read);
    let mut bench = AgentRig::start_with(&first, &[], |setup| {
        past(setup);
        setup.read_branch = Some(branch_reader());
    });
    bench.prompt("now").await;
    bench.end().await;
    bench.send(Command::Branch { after: Seq(3) }).await;
    bench.until(|event| *event == AgentEvent::BranchStarted { after: Seq(3) }).await;
    bench.prompt("instead").await;
    bench.end().await;
    let asked = first.requests.lock().unwrap();
    assert_eq!(prompts_of(&asked[0]), ["ask t1", "ask t2", "now"]);
    assert_eq!(prompts_of(&asked[1]), ["ask t1", "instead"]);
}

#[tokio::test]
async fn a_branch_whose_past_cannot_be_read_does_not_begin() {
    let first = engine("a", vec![says("one"), says("two")]);
    let mut bench = AgentRig::start_with(&first, &[], |setup| {
        setup.read_branch = Some(Arc::new(|_| Err(io::Error::other("gone"))));
    });
    bench.prompt("now").await;
    bench.end().await;
    bench.send(Command::Branch { after: Seq(1) }).await;
    bench.until(|event| matches!(event, AgentEvent::Notice { code: NoticeCode::Branch, .. })).await;
    bench.prompt("then").await;
    bench.end().await;
    assert!(!bench.seen.iter().any(|event| matches!(event, AgentEvent::BranchStarted { .. })));
    assert_eq!(prompts_of(&first.requests.lock().unwrap()[1]), ["now", "then"]);
}
