//! Tests of the driver with scripted engines and tools, on paused time.

mod approvals;
mod compaction;
mod history;
mod images;
mod models;
mod remote_approvals;
mod sources;
mod steering;
mod sub_agents;
mod tool_calls;

use std::collections::VecDeque;
use std::sync::Mutex as Lock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::agent::approval::ApprovalPolicy;
use crate::agent::history::ReadLog;
use crate::agent::{ApprovalSettings, TurnLimits};
use crate::engine::{Engine, HistoryCall, HistoryMessage, ModelRequest, ReplyPlan, ScriptedEvent};
use crate::event::{
    CallOutcome, DecidedBy, Decision, Envelope, FinishReason, Grant, Json, NoticeCode, OutputStream, ReplyEvent, Risk,
    Role, SamplingParams, Seq, TextKind, ToolKind, ToolSpec, grammar,
};
use crate::net::HttpClient;
use crate::tool::{
    CallDescription, ClientTools, FakeSource, Hooks, Registry, ToolContext, ToolInfo, ToolResult, ToolSource,
};

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

    fn takes_images(&self) -> bool {
        self.name == "seeing"
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

/// Calls as above, each about a file of its own.
fn calls_about_files(names: &[&str]) -> Vec<ReplyEvent> {
    let mut script = calls(names);
    let ready = script.iter_mut().filter_map(|event| match event {
        ReplyEvent::ToolCallReady { args, .. } => Some(args),
        _ => None,
    });
    for (number, args) in ready.enumerate() {
        *args = format!(r#"{{"path":"file{number}"}}"#);
    }
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
        args: &'a Json,
        _: &'a ToolContext,
    ) -> BoxFuture<'a, Result<CallDescription, String>> {
        let tool = self.tool(tool);
        assert!(!matches!(tool.does, ToolBehavior::PanicWhenAsked), "asked");
        let detail = tool.shows.lock().unwrap().clone();
        let path = args["path"].as_str().unwrap_or("file").to_owned();
        Box::pin(async { Ok(CallDescription { detail, ..CallDescription::new(Risk::Write, path) }) })
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
            read_branch: None,
            snapshots: None,
            http: HttpClient::default(),
            tools: Registry::new([source]),
            policy: ApprovalPolicy::new(mode, &[], &[]).unwrap(),
            folder: folder.path().to_owned(),
            extra_folders: Vec::new(),
            hidden_env_vars: [].into(),
            sandbox: None,
            system_prompt: String::new(),
            is_told_instructions: false,
            instructions: None,
            limits: TurnLimits { max_rounds: 5, max_calls: None },
            runs_tools: true,
            auto_compact: false,
            max_tool_output_bytes: 2048,
            approvals: ApprovalSettings::default(),
            resources: None,
            sampling: SamplingParams::default(),
            output_format: None,
            effort: None,
            options: None,
            is_unattended: false,
            overflow_path: Some(Arc::new(move |call: &CallId| beside.join(format!("{call}.out")))),
            hooks: Hooks::default(),
            background: None,
            background_ends: None,
            side_effect_lock: Arc::default(),
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
        self.send(Command::prompt(text)).await;
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
