//! Tests of the driver with scripted engines and tools, on paused time.

use std::collections::VecDeque;
use std::sync::Mutex as Lock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::agent::approval::ApprovalPolicy;
use crate::agent::{ApprovalSettings, TurnLimits};
use crate::engine::{Engine, HistoryCall, HistoryMessage, ReplyPlan, ScriptedEvent};
use crate::event::{
    CallOutcome, Envelope, FinishReason, Grant, Json, NoticeCode, OutputStream, ReplyEvent, Risk, Role, Seq, TextKind,
    ToolKind, grammar,
};
use crate::net::HttpClient;
use crate::tool::{CallDescription, ClientTools, FakeSource, Registry, ToolContext, ToolInfo, ToolResult, ToolSource};

/// Answers each request with one script and keeps the requests.
struct ScriptedEngine {
    name: &'static str,
    scripts: Lock<VecDeque<Vec<ReplyEvent>>>,
    requests: Lock<Vec<ModelRequest>>,
}

impl Engine for ScriptedEngine {
    fn name(&self) -> &str {
        self.name
    }

    fn plan_reply(&self, request: &ModelRequest) -> ReplyPlan {
        self.requests.lock().unwrap().push(request.clone());
        let script = self.scripts.lock().unwrap().pop_front().unwrap_or_else(|| says("done"));
        ReplyPlan::Scripted(script.into_iter().map(|event| ScriptedEvent { delay: Millis(1), event }).collect())
    }
}

fn says(text: &str) -> Vec<ReplyEvent> {
    vec![
        ReplyEvent::MessageStarted { message: "m".into(), role: Role::Assistant, parent: None },
        ReplyEvent::TextDelta { message: "m".into(), text: text.into(), kind: TextKind::Text },
        ReplyEvent::MessageFinished {
            message: "m".into(),
            finish_reason: FinishReason::End,
            full_text: None,
            provider_metadata: Some(Json::from(1)),
        },
        ReplyEvent::End { outcome: TurnOutcome::Completed },
    ]
}

fn calls(names: &[&str]) -> Vec<ReplyEvent> {
    let mut script = vec![ReplyEvent::MessageStarted { message: "m".into(), role: Role::Assistant, parent: None }];
    for (number, name) in names.iter().enumerate() {
        let call = CallId::new(format!("c{number}"));
        script.push(ReplyEvent::ToolCallStarted {
            call: call.clone(),
            message: "m".into(),
            name: None,
            parent: None,
            executed_by: crate::event::ExecutedBy::Client,
        });
        let name = (*name).to_owned();
        script.push(ReplyEvent::ToolCallReady {
            call,
            name,
            args: "{}".into(),
            provider_metadata: Some(Json::from(2)),
        });
    }
    script.push(ReplyEvent::MessageFinished {
        message: "m".into(),
        finish_reason: FinishReason::ToolCalls,
        full_text: None,
        provider_metadata: None,
    });
    script.push(ReplyEvent::End { outcome: TurnOutcome::Completed });
    script
}

fn engine(name: &'static str, scripts: Vec<Vec<ReplyEvent>>) -> Arc<ScriptedEngine> {
    Arc::new(ScriptedEngine { name, scripts: Lock::new(scripts.into()), requests: Lock::default() })
}

fn choice(engine: &Arc<ScriptedEngine>) -> EngineChoice {
    EngineChoice::new(engine.clone(), "m".into(), "test".into())
}

/// Gives the engine's server approvals at this address.
fn with_approvals(engine: &Arc<ScriptedEngine>, url: String) -> impl FnOnce(&mut AgentSetup) + use<> {
    let approvals = Arc::new(server_approvals::tests::TestServerApprovals(url));
    let choice = EngineChoice { server_approvals: Some(approvals), ..choice(engine) };
    move |setup| setup.engine_choice = Box::pin(async move { Ok(choice) })
}

/// What a scripted tool does when it runs.
#[derive(Clone, Copy)]
enum ToolBehavior {
    Return,
    Panic,
    PanicWhenAsked,
    HangForever,
    Print(usize),
}

struct ScriptedTool {
    name: &'static str,
    does: ToolBehavior,
    /// The content of its approval request; tests may change it.
    shows: Arc<Lock<String>>,
    ran: Arc<Lock<u32>>,
}

struct ScriptedSource(Vec<ScriptedTool>);

impl ScriptedSource {
    fn tool(&self, name: &str) -> &ScriptedTool {
        self.0.iter().find(|tool| tool.name == name).unwrap()
    }
}

impl ToolSource for ScriptedSource {
    fn name(&self) -> &'static str {
        "script"
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<ToolInfo>, String>> {
        let info = |tool: &ScriptedTool| {
            let (name, description) = (tool.name.to_owned(), String::new());
            let spec = ToolSpec { name, description, parameters: Json::Null, risk: Risk::Write };
            ToolInfo { spec, kind: ToolKind::Edit, timeout: Duration::from_secs(5) }
        };
        let tools = self.0.iter().map(info).collect();
        Box::pin(async { Ok(tools) })
    }

    fn describe<'a>(
        &'a self,
        tool: &'a str,
        _: &'a Json,
        _: &'a ToolContext,
    ) -> BoxFuture<'a, Result<CallDescription, String>> {
        let tool = self.tool(tool);
        assert!(!matches!(tool.does, ToolBehavior::PanicWhenAsked), "asked");
        let detail = tool.shows.lock().unwrap().clone();
        Box::pin(async { Ok(CallDescription { detail, ..CallDescription::new(Risk::Write, "file") }) })
    }

    fn call<'a>(&'a self, tool: &'a str, _: &'a Json, ctx: &'a ToolContext) -> BoxFuture<'a, ToolResult> {
        let tool = self.tool(tool);
        *tool.ran.lock().unwrap() += 1;
        Box::pin(async {
            match tool.does {
                ToolBehavior::Return => ToolResult::ok("did it"),
                ToolBehavior::Panic | ToolBehavior::PanicWhenAsked => panic!("broken"),
                ToolBehavior::HangForever => {
                    let _ = ctx.progress.send(ToolProgress::Output(OutputStream::Stdout, "so far".into())).await;
                    std::future::pending().await
                }
                ToolBehavior::Print(bytes) => ToolResult::ok("y\n".repeat(bytes / 2)),
            }
        })
    }
}

struct AgentRig {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<AgentEvent>,
    seen: Vec<AgentEvent>,
    permissions: watch::Receiver<Permissions>,
    shows: Arc<Lock<String>>,
    ran: Arc<Lock<u32>>,
    folder: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

impl AgentRig {
    fn start(
        first: &Arc<ScriptedEngine>,
        tools: &[(&'static str, ToolBehavior)],
        mode: ApprovalMode,
        switch: crate::agent::SwitchModel,
    ) -> Self {
        Self::of(first, tools, mode, switch, |_| {})
    }

    fn start_with(
        first: &Arc<ScriptedEngine>,
        tools: &[(&'static str, ToolBehavior)],
        change: impl FnOnce(&mut AgentSetup),
    ) -> Self {
        let switch: crate::agent::SwitchModel = Arc::new(|_| Box::pin(async { Err("no".to_owned()) }));
        Self::of(first, tools, ApprovalMode::Ask, switch, change)
    }

    fn of(
        first: &Arc<ScriptedEngine>,
        tools: &[(&'static str, ToolBehavior)],
        mode: ApprovalMode,
        switch: crate::agent::SwitchModel,
        change: impl FnOnce(&mut AgentSetup),
    ) -> Self {
        let (shows, ran) = (Arc::new(Lock::new("diff".to_owned())), Arc::default());
        let folder = tempfile::tempdir().unwrap();
        let tools = tools
            .iter()
            .map(|(name, does)| {
                let (shows, ran) = (Arc::clone(&shows), Arc::clone(&ran));
                ScriptedTool { name, does: *does, shows, ran }
            })
            .collect();
        let source: Arc<dyn ToolSource> = Arc::new(ScriptedSource(tools));
        let choice = choice(first);
        let beside = folder.path().to_owned();
        let mut setup = AgentSetup {
            engine_choice: Box::pin(async move { Ok(choice) }),
            switch_model: switch,
            suggestions: None,
            history_and_ids: Box::pin(async { (History::new(), IdAllocator::default()) }),
            read_log: None,
            http: HttpClient::default(),
            tools: Registry::new([source]),
            policy: ApprovalPolicy::new(mode, &[], &[]).unwrap(),
            folder: folder.path().to_owned(),
            extra_folders: Vec::new(),
            hidden_env_vars: [].into(),
            system_prompt: String::new(),
            limits: TurnLimits { max_rounds: 5, max_calls: None },
            runs_tools: true,
            max_tool_output_bytes: 2048,
            approvals: ApprovalSettings::default(),
            resources: None,
            sampling: SamplingParams::default(),
            is_unattended: false,
            overflow_path: Some(Arc::new(move |call: &CallId| beside.join(format!("{call}.out")))),
            epoch: Instant::now(),
            wall_ms: 0,
        };
        change(&mut setup);
        let (commands, command_receiver) = mpsc::channel(16);
        let (sender, events) = mpsc::channel(4096);
        let (link, _) = watch::channel(LinkState::Idle);
        let (allowed, permissions) = watch::channel(Permissions::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(Agent::run(setup, command_receiver, sender, link, allowed));
        Self { commands, events, seen: Vec::new(), permissions, shows, ran, folder, _tasks: tasks }
    }

    fn simple(first: &Arc<ScriptedEngine>, tools: &[(&'static str, ToolBehavior)], mode: ApprovalMode) -> Self {
        Self::start(first, tools, mode, Arc::new(|_| Box::pin(async { Err("no such model".into()) })))
    }

    async fn send(&self, command: Command) {
        self.commands.send(command).await.unwrap();
    }

    async fn prompt(&self, text: &str) {
        self.send(Command::Prompt { text: text.into() }).await;
    }

    /// Runs until an event matches.
    async fn until(&mut self, wanted: impl Fn(&AgentEvent) -> bool) -> AgentEvent {
        loop {
            let event = tokio::time::timeout(Duration::from_mins(10), self.events.recv()).await.unwrap().unwrap();
            self.seen.push(event.clone());
            if wanted(&event) {
                return event;
            }
        }
    }

    async fn end(&mut self) -> TurnOutcome {
        let AgentEvent::TurnFinished { outcome: end, .. } =
            self.until(|event| matches!(event, AgentEvent::TurnFinished { .. })).await
        else {
            unreachable!("that was waited for")
        };
        assert_eq!(grammar::check(&self.seen), []);
        end
    }

    /// Returns the outcomes of the calls, as the model gets them.
    fn outcomes(&self) -> Vec<(CallOutcome, String)> {
        let finished = |event: &AgentEvent| match event {
            AgentEvent::ToolCallFinished { outcome, output, .. } => Some((*outcome, output.text.clone())),
            _ => None,
        };
        self.seen.iter().filter_map(finished).collect()
    }

    fn ran(&self) -> u32 {
        *self.ran.lock().unwrap()
    }
}

fn is_approval_request(event: &AgentEvent) -> bool {
    matches!(event, AgentEvent::ApprovalRequested { .. })
}

fn allow() -> Command {
    Command::Decide { call: "c0".into(), decision: Decision::Once }
}

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
        let engine = engine("a", vec![calls(&["write", "write"])]);
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
    let engine = engine("a", vec![calls(&["write", "write"]), calls(&["write"])]);
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
        .filter_map(|past| if let HistoryMessage::User { text } = past { Some(text.as_str()) } else { None })
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
        [HistoryMessage::User { text: "hello".into() }],
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
async fn the_first_prompt_waits_for_what_the_server_tells_of_its_model() {
    let first = engine("a", vec![]);
    let mut described = choice(&first);
    described.describe = Some(Arc::new(|| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some(ModelDetails { context_window: Some(2048), supports_tools: Some(false) })
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
        Box::pin(async { Some(ModelDetails { context_window: Some(2048), supports_tools: None }) })
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
        let details =
            (*count.lock().unwrap() > 1).then_some(ModelDetails { context_window: Some(2048), supports_tools: None });
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
async fn a_prompt_that_was_refused_as_too_long_is_not_sent_again_with_the_next() {
    let fault = crate::event::Fault::new(crate::event::FaultKind::ContextTooLong, "too long");
    let refusal = vec![ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }];
    let first = engine("a", vec![refusal, says("short enough")]);
    let mut bench = AgentRig::simple(&first, &[], ApprovalMode::Full);
    bench.prompt("far too long").await;
    bench.end().await;
    bench.until(|event| matches!(event, AgentEvent::Notice { code: NoticeCode::PromptLeftOut, .. })).await;
    bench.prompt("hi").await;
    assert_eq!(bench.end().await, TurnOutcome::Completed);
    let asked = first.requests.lock().unwrap();
    assert_eq!(asked[1].history, [HistoryMessage::User { text: "hi".into() }]);
}

/// Starts an agent whose tools are those of these sources.
fn with_sources(
    engine: &Arc<ScriptedEngine>,
    sources: &[&Arc<FakeSource>],
    change: impl FnOnce(&mut AgentSetup),
) -> AgentRig {
    let tools = Registry::new(sources.iter().map(|source| Arc::clone(source) as Arc<dyn ToolSource>));
    AgentRig::start_with(engine, &[], |setup| {
        setup.tools = tools;
        setup.policy = ApprovalPolicy::new(ApprovalMode::Full, &[], &[]).unwrap();
        change(setup);
    })
}

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
    assert_eq!(requests[1].history, [HistoryMessage::User { text: "short".into() }]);
}
