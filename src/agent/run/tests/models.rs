//! Other models, and what their servers tell of them.

use super::*;
use crate::event::{AgentOption, AgentOptionKind, Effort};

#[tokio::test(start_paused = true)]
async fn another_model_answers_from_the_next_request_on_with_the_whole_past() {
    let (first, second) = (engine("a", vec![says("one"), calls(&["write"])]), engine("b", vec![]));
    let next = choice(&second);
    let switch: crate::agent::SwitchModel = Arc::new(move |_| {
        let next = next.clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            Ok(next)
        })
    });
    let mut bench = AgentRig::start(&first, &[("write", ToolBehavior::Return)], ApprovalMode::Full, switch);
    bench.prompt("first").await;
    bench.end().await;
    bench.prompt("second").await;
    bench.send(Command::SetModel { model: "b/m".into() }).await;
    bench.end().await;
    let asked = second.requests.lock().unwrap();
    assert_eq!((first.requests.lock().unwrap().len(), asked.len()), (2, 1));
    let users = asked[0].history.iter().filter(|past| matches!(past, HistoryMessage::User { .. })).count();
    assert_eq!(users, 2);
    let kept_metadata = asked[0].history.iter().any(|past| {
        matches!(past, HistoryMessage::Assistant { provider_metadata, calls, .. }
            if provider_metadata.is_some() || calls.iter().any(|HistoryCall { provider_metadata, .. }| provider_metadata.is_some()))
    });
    assert!(!kept_metadata, "what the first wanted back is not the second's: {:?}", asked[0].history);
}

#[tokio::test(start_paused = true)]
async fn looking_for_another_model_holds_up_no_cancel() {
    let first = engine("a", vec![]);
    let mut bench = AgentRig::start(&first, &[], ApprovalMode::Full, Arc::new(|_| Box::pin(std::future::pending())));
    bench.send(Command::SetModel { model: "slow/m".into() }).await;
    bench.prompt("go").await;
    bench.until(|event| matches!(event, AgentEvent::UserMessage { .. })).await;
    bench.send(Command::Cancel).await;
    assert_eq!(bench.end().await, TurnOutcome::Cancelled);
    assert!(first.requests.lock().unwrap().is_empty(), "the one before is not asked in its place");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_not_there_leaves_the_one_before() {
    let first = engine("a", vec![]);
    let mut bench = AgentRig::simple(&first, &[], ApprovalMode::Full);
    bench.send(Command::SetModel { model: "none/m".into() }).await;
    bench.prompt("go").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    assert!(bench.seen.iter().any(|event| matches!(event, AgentEvent::Notice { code: NoticeCode::Model, .. })));
    assert_eq!(first.requests.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_first_prompt_waits_for_what_the_server_tells_of_its_model() {
    let first = engine("a", vec![]);
    let mut described = choice(&first);
    described.describe = Some(Arc::new(|| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some(ModelDetails { context_window: Some(2048), supports_tools: Some(false), ..ModelDetails::default() })
        })
    }));
    let give = |setup: &mut AgentSetup| setup.engine_choice = Box::pin(async { Ok(described) });
    let mut bench = AgentRig::of(
        &first,
        &[("write", ToolBehavior::Return)],
        ApprovalMode::Full,
        Arc::new(|_| Box::pin(std::future::pending())),
        give,
    );
    bench.prompt("one").await;
    bench.end().await;
    bench.prompt("two").await;
    bench.end().await;
    let windows = bench.seen.iter().filter_map(|event| match event {
        AgentEvent::SessionOpened { context_window, .. } => Some(*context_window),
        _ => None,
    });
    assert_eq!(windows.collect::<Vec<_>>(), [None, Some(2048)]);
    let notices =
        bench.seen.iter().filter(|event| matches!(event, AgentEvent::Notice { code: NoticeCode::NoTools, .. }));
    assert_eq!(notices.count(), 1, "{:?}", bench.seen);
    assert!(first.requests.lock().unwrap().iter().all(|request| request.tools.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn a_server_is_asked_about_its_model_once_a_prompt_is_begun() {
    let first = engine("a", vec![]);
    let mut described = choice(&first);
    let asked = Arc::new(Lock::new(0));
    let count = asked.clone();
    described.describe = Some(Arc::new(move || {
        *count.lock().unwrap() += 1;
        Box::pin(async { Some(ModelDetails { context_window: Some(2048), ..ModelDetails::default() }) })
    }));
    let give = |setup: &mut AgentSetup| setup.engine_choice = Box::pin(async { Ok(described) });
    let mut bench = AgentRig::of(&first, &[], ApprovalMode::Full, Arc::new(|_| Box::pin(std::future::pending())), give);
    bench.until(|event| matches!(event, AgentEvent::SessionOpened { context_window: None, .. })).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(*asked.lock().unwrap(), 0);
    bench.commands.send(Command::WarmUp).await.unwrap();
    bench.until(|event| matches!(event, AgentEvent::SessionOpened { context_window: Some(2048), .. })).await;
    bench.commands.send(Command::WarmUp).await.unwrap();
    bench.prompt("one").await;
    bench.end().await;
    assert_eq!(*asked.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_could_not_tell_yet_is_asked_again_after_the_turn() {
    let first = engine("a", vec![]);
    let mut described = choice(&first);
    let asked = Arc::new(Lock::new(0));
    let count = asked.clone();
    described.describe = Some(Arc::new(move || {
        *count.lock().unwrap() += 1;
        let details = (*count.lock().unwrap() > 1)
            .then_some(ModelDetails { context_window: Some(2048), ..ModelDetails::default() });
        Box::pin(async move { details })
    }));
    let give = |setup: &mut AgentSetup| setup.engine_choice = Box::pin(async { Ok(described) });
    let mut bench = AgentRig::of(&first, &[], ApprovalMode::Full, Arc::new(|_| Box::pin(std::future::pending())), give);
    for prompt in ["one", "two", "three"] {
        bench.prompt(prompt).await;
        bench.end().await;
    }
    let details = |event: &&AgentEvent| matches!(event, AgentEvent::SessionOpened { context_window: Some(2048), .. });
    assert_eq!((bench.seen.iter().filter(details).count(), *asked.lock().unwrap()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_late_is_offered_when_it_does() {
    let first = engine("a", vec![]);
    let late = |setup: &mut AgentSetup| {
        let offers = futures_util::stream::unfold(1, |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            (seconds < 4).then(|| (format!("after {seconds} s"), seconds * 2))
        });
        setup.suggestions = Some(Box::pin(offers));
    };
    let mut bench = AgentRig::of(&first, &[], ApprovalMode::Full, Arc::new(|_| Box::pin(std::future::pending())), late);
    bench.prompt("not held up").await;
    bench.end().await;
    for expected in ["after 1 s", "after 2 s"] {
        let offer = bench.until(|event| matches!(event, AgentEvent::Notice { .. })).await;
        assert!(matches!(offer, AgentEvent::Notice { text, .. } if text == expected));
    }
}

#[tokio::test(start_paused = true)]
async fn the_effort_that_a_model_takes_is_told_set_and_sent() {
    let first = engine("a", vec![]);
    let mut thinking = choice(&first);
    thinking.efforts = vec![Effort::Low, Effort::High];
    let (options, told) = watch::channel(Vec::new());
    let give = |setup: &mut AgentSetup| {
        setup.engine_choice = Box::pin(async { Ok(thinking) });
        (setup.effort, setup.options) = (Some(Effort::High), Some(options));
    };
    let mut bench = AgentRig::of(&first, &[], ApprovalMode::Full, Arc::new(|_| Box::pin(std::future::pending())), give);
    let current = || told.borrow().first().map(|option: &AgentOption| option.current.clone());
    bench.prompt("one").await;
    bench.end().await;
    assert_eq!(current().as_deref(), Some("high"));
    for (value, expected) in [("low", "low"), ("max", "low"), ("default", "default")] {
        let (option, value) = ("effort".to_owned(), value.to_owned());
        bench.commands.send(Command::SetOption { option, value }).await.unwrap();
        bench.prompt("next").await;
        bench.end().await;
        assert_eq!(current().as_deref(), Some(expected));
    }
    let sent: Vec<_> = first.requests.lock().unwrap().iter().map(|request| request.sampling.effort).collect();
    assert_eq!(sent, [Some(Effort::High), Some(Effort::Low), Some(Effort::Low), None]);
}

#[tokio::test(start_paused = true)]
async fn another_system_prompt_holds_from_the_next_request_on_and_can_be_taken_back() {
    let first = engine("a", vec![]);
    let (options, told) = watch::channel(Vec::new());
    let give = |setup: &mut AgentSetup| {
        (setup.system_prompt, setup.options) = ("You are first.".to_owned(), Some(options));
    };
    let mut bench = AgentRig::of(&first, &[], ApprovalMode::Full, Arc::new(|_| Box::pin(std::future::pending())), give);
    let current = || {
        let options = told.borrow();
        let option = options.iter().find(|option: &&AgentOption| option.kind == AgentOptionKind::System);
        option.map(|option| option.current.clone())
    };
    for (value, shown) in [(None, "default"), (Some("Be brief."), "Be brief."), (Some("default"), "default")] {
        if let Some(value) = value {
            let command = Command::SetOption { option: "system".to_owned(), value: value.to_owned() };
            bench.commands.send(command).await.unwrap();
        }
        bench.prompt("next").await;
        bench.end().await;
        assert_eq!(current().as_deref(), Some(shown));
    }
    let sent: Vec<_> = first.requests.lock().unwrap().iter().map(|request| request.system.clone()).collect();
    assert_eq!(sent, ["You are first.", "Be brief.", "You are first."]);
}

#[tokio::test(start_paused = true)]
async fn an_effort_that_a_model_does_not_take_is_told_and_not_sent() {
    let first = engine("a", vec![]);
    let give = |setup: &mut AgentSetup| setup.effort = Some(Effort::High);
    let mut bench = AgentRig::of(&first, &[], ApprovalMode::Full, Arc::new(|_| Box::pin(std::future::pending())), give);
    bench.prompt("one").await;
    bench.end().await;
    let told =
        |event: &AgentEvent| matches!(event, AgentEvent::Notice { text, .. } if text.contains("high is not sent"));
    assert_eq!(bench.seen.iter().filter(|event| told(event)).count(), 1);
    assert_eq!(first.requests.lock().unwrap()[0].sampling.effort, None);
}
