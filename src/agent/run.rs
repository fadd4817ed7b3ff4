//! The driver: performs the steps of the turn machine. All IO of the agent is here or in what it calls.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::{Beat, Engine, Reply, Request};
use crate::event::{
    AgentEvent, Ask, CallId, Caps, Command, DecidedBy, Decision, Fault, Json, Level, LinkState, Millis, Mode, Outcome,
    Output, OutputStream, Risk, Subject, ToolSpec, TurnEnd,
};
use crate::net::{Heard, Http, Patience, perform};
use crate::tool::{Done, Tool, ToolCtx, caps::head_tail};

use super::approval::{Policy, Verdict};
use super::history::History;
use super::names::Names;
use super::turn::{Input, Machine, Step};

/// Bytes of a call's output that go into the log; all of a longer one goes to a file beside it.
const LOGGED_OUTPUT: usize = 1024 * 1024;
/// What a tool that was told to stop gets before it is dropped.
const STOP_GRACE: Duration = Duration::from_secs(3);
/// A server may load a model and read the prompt in silence.
const FIRST_BYTE: Duration = Duration::from_mins(5);
/// A live piece of output is cut to this, so that one event stays small.
const PIECE: usize = 16 * 1024;

/// Which engine and model answer, and why.
#[derive(Clone)]
pub struct EngineChoice {
    pub engine: Arc<dyn Engine>,
    pub model: String,
    pub why: String,
    pub window: Option<u64>,
    pub price: Option<(f64, f64)>,
    pub idle: Duration,
    pub no_output: Duration,
    pub retries: u32,
}

/// Finds the engine for a name written `engine/model`.
pub type Switch = Arc<dyn Fn(String) -> BoxFuture<'static, Result<EngineChoice, String>> + Send + Sync>;

/// Makes the path of the file that holds a call's whole output.
pub type Overflow = Arc<dyn Fn(&CallId) -> PathBuf + Send + Sync>;

/// Everything an agent is made of.
pub struct AgentSetup {
    /// Which engine to begin with; may look around on this machine, so it is awaited after the first frame.
    pub choice: BoxFuture<'static, Result<EngineChoice, Fault>>,
    pub switch: Switch,
    /// The past of a resumed session.
    pub past: BoxFuture<'static, (History, Names)>,
    pub http: Http,
    pub tools: Vec<Arc<dyn Tool>>,
    pub policy: Policy,
    pub folder: PathBuf,
    pub also: Vec<PathBuf>,
    pub system: String,
    pub max_rounds: u32,
    /// False for a remote whose calls are not ours to run.
    pub runs_tools: bool,
    pub tool_output: usize,
    pub tool_timeout: Duration,
    pub shell_timeout: Duration,
    /// Nobody can be asked: what needs an answer is denied.
    pub nobody_to_ask: bool,
    /// None where no log is kept.
    pub overflow: Option<Overflow>,
    pub epoch: Instant,
    /// Wall time in milliseconds since 1970.
    pub wall: u64,
}

/// What running tools say.
enum ToolMsg {
    Asked { call: CallId, name: String, ask: Result<Ask, String> },
    Output { call: CallId, stream: OutputStream, text: String },
    Done { call: CallId, done: Done, took: Millis },
}

/// The in-process agent. [`Agent::run`] is its whole life.
pub struct Agent {
    setup: AgentSetup,
    choice: EngineChoice,
    specs: Vec<ToolSpec>,
    history: History,
    names: Names,
    events: mpsc::Sender<AgentEvent>,
    link: watch::Sender<LinkState>,
    /// Held by tools that write or run: they go one after another.
    hands: Arc<Mutex<()>>,
}

/// What belongs to one running turn; dropped with it.
struct Running {
    machine: Machine,
    started: Instant,
    first_token: bool,
    reply: Option<BoxFuture<'static, ()>>,
    heard: Option<mpsc::Receiver<Heard>>,
    tools: JoinSet<()>,
    said: mpsc::Sender<ToolMsg>,
    hear_tools: mpsc::Receiver<ToolMsg>,
    stop: CancellationToken,
    waiting: Vec<(CallId, String, Ask)>,
    logged: std::collections::HashMap<CallId, usize>,
}

impl Agent {
    /// Lives until the command channel closes. Emits `SessionOpened` first.
    pub async fn run(
        mut setup: AgentSetup,
        mut commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<AgentEvent>,
        link: watch::Sender<LinkState>,
    ) {
        let choice = std::mem::replace(&mut setup.choice, Box::pin(std::future::pending()));
        let past = std::mem::replace(&mut setup.past, Box::pin(std::future::pending()));
        let (choice, (history, names)) = tokio::join!(choice, past);
        let specs = setup.tools.iter().map(|tool| tool.spec()).collect();
        // A session that opens can answer; one that can't still says why, and `/model` may mend it.
        let (choice, trouble) = match choice {
            Ok(choice) => (choice, None),
            Err(fault) => (EngineChoice::unusable(fault.clone()), Some(fault)),
        };
        let mut agent = Self { setup, choice, specs, history, names, events, link, hands: Arc::new(Mutex::new(())) };
        agent.say_opened().await;
        if let Some(fault) = trouble {
            let event = AgentEvent::Noticed { level: Level::Error, code: "no_engine".into(), text: fault.message };
            agent.emit(event).await;
        }
        while let Some(command) = commands.recv().await {
            match command {
                Command::Prompt { text } => agent.turn(&text, &mut commands).await,
                other => agent.between_turns(other).await,
            }
        }
    }

    async fn say_opened(&mut self) {
        let event = AgentEvent::SessionOpened {
            wall: self.setup.wall + Millis::from(self.setup.epoch.elapsed()).0,
            engine: self.choice.engine.name().to_owned(),
            model: self.choice.model.clone(),
            why: self.choice.why.clone(),
            mode: self.setup.policy.mode,
            folder: self.setup.folder.display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            caps: Caps { prompt: true, decide: !self.setup.nobody_to_ask, cancel: true, seek: false },
            window: self.choice.window,
            price: self.choice.price,
        };
        self.emit(event).await;
    }

    async fn emit(&mut self, event: AgentEvent) {
        self.history.observe(&event);
        // A closed channel means that the session is going down; the command loop ends soon.
        let _ = self.events.send(event).await;
    }

    async fn between_turns(&mut self, command: Command) {
        match command {
            Command::SetMode { mode } => self.set_mode(mode).await,
            Command::SetModel { model } => self.set_model(model).await,
            Command::Prompt { .. }
            | Command::Unqueue { .. }
            | Command::Decide { .. }
            | Command::Cancel
            | Command::Seek { .. }
            | Command::Speed { .. }
            | Command::Pause { .. }
            | Command::Step { .. }
            | Command::SqueezeIdle { .. } => {}
        }
    }

    async fn set_mode(&mut self, mode: Mode) {
        if self.setup.policy.mode != mode {
            self.setup.policy.mode = mode;
            self.say_opened().await;
        }
    }

    async fn set_model(&mut self, model: String) {
        match (self.setup.switch)(model).await {
            Ok(choice) => {
                self.choice = choice;
                self.say_opened().await;
            }
            Err(text) => {
                self.emit(AgentEvent::Noticed { level: Level::Error, code: "model".into(), text }).await;
            }
        }
    }

    async fn turn(&mut self, prompt: &str, commands: &mut mpsc::Receiver<Command>) {
        let (machine, steps) = Machine::begin(&mut self.names, prompt, self.setup.max_rounds, self.setup.runs_tools);
        // Capacity 64: live output of several tools; a slow log slows the tools, never loses a piece.
        let (said, hear_tools) = mpsc::channel(64);
        let mut running = Running {
            machine,
            started: Instant::now(),
            first_token: false,
            reply: None,
            heard: None,
            tools: JoinSet::new(),
            said,
            hear_tools,
            stop: CancellationToken::new(),
            waiting: Vec::new(),
            logged: std::collections::HashMap::new(),
        };
        self.perform(steps, &mut running).await;
        let mut closed = false;
        while !running.machine.is_over() {
            // Wishes first: cancelling must not wait behind a flood. The reply's own future comes last: what it has
            // already said is taken before it is polled again.
            tokio::select! {
                biased;
                command = commands.recv(), if !closed => {
                    // Nobody is left to wish for anything: the program is ending.
                    closed = command.is_none();
                    self.wish(command.unwrap_or(Command::Cancel), &mut running).await;
                }
                Some(msg) = running.hear_tools.recv() => self.tool_said(msg, &mut running).await,
                heard = hear(&mut running.heard) => self.heard(heard, &mut running).await,
                () = drive(&mut running.reply) => running.reply = None,
                Some(ended) = running.tools.join_next() => {
                    if let Err(error) = ended && error.is_panic() {
                        tracing::error!("a tool panicked: {error}");
                    }
                }
            }
        }
        self.link.send_replace(LinkState::Idle);
        // Dropping the set ends whatever lingers after a second cancel.
        running.tools.shutdown().await;
    }

    async fn wish(&mut self, command: Command, running: &mut Running) {
        let input = match command {
            Command::Decide { call, decision } => {
                self.grant(&call, &decision, &running.waiting).await;
                let steps = running
                    .machine
                    .handle(Input::Decided { call: call.clone(), decision, by: DecidedBy::Person }, &mut self.names);
                running.waiting.retain(|(waiting, _, _)| *waiting != call);
                self.perform(steps, running).await;
                return self.judge_again(running).await;
            }
            Command::SetMode { mode } => {
                self.set_mode(mode).await;
                return self.judge_again(running).await;
            }
            Command::SetModel { model } => return self.set_model(model).await,
            Command::Cancel => Input::Cancel,
            Command::Prompt { .. }
            | Command::Unqueue { .. }
            | Command::Seek { .. }
            | Command::Speed { .. }
            | Command::Pause { .. }
            | Command::Step { .. }
            | Command::SqueezeIdle { .. } => return,
        };
        let steps = running.machine.handle(input, &mut self.names);
        self.perform(steps, running).await;
    }

    /// Remembers a decision that reaches further than one call. Only an ask that still waits can grant.
    async fn grant(&mut self, call: &CallId, decision: &Decision, waiting: &[(CallId, String, Ask)]) {
        let Some((_, name, _)) = waiting.iter().find(|(waiting, _, _)| waiting == call) else { return };
        if let Err(text) = self.setup.policy.grant(name, decision) {
            let text = format!("this call is allowed once, and no more: {text}");
            self.emit(AgentEvent::Noticed { level: Level::Warn, code: "grant".into(), text }).await;
        }
    }

    /// A grant or another mode may answer asks that are still open.
    async fn judge_again(&mut self, running: &mut Running) {
        let waiting = std::mem::take(&mut running.waiting);
        for (call, name, ask) in waiting {
            let decision = match self.setup.policy.judge(&name, ask.risk, &ask.subject) {
                Verdict::Ask => {
                    running.waiting.push((call, name, ask));
                    continue;
                }
                Verdict::Allow => Decision::Once,
                Verdict::Deny(reason) => Decision::Deny(Some(reason)),
            };
            let input = Input::Decided { call, decision, by: DecidedBy::Policy };
            let steps = running.machine.handle(input, &mut self.names);
            self.perform(steps, running).await;
        }
    }

    async fn heard(&mut self, heard: Option<Heard>, running: &mut Running) {
        let event = match heard {
            Some(Heard::Event(event)) => event,
            Some(Heard::Link(state)) => {
                self.link.send_replace(state);
                return;
            }
            None => {
                // The reply is gone. `perform` always ends it with `TurnFinished`, so this is only a safety net.
                running.heard = None;
                AgentEvent::TurnFinished { turn: "t".into(), end: TurnEnd::Interrupted }
            }
        };
        if !running.first_token
            && matches!(
                event,
                AgentEvent::TextDelta { .. } | AgentEvent::ReasoningDelta { .. } | AgentEvent::ToolCallStarted { .. }
            )
        {
            running.first_token = true;
            let annotation = AgentEvent::Annotated {
                on: Subject::Turn(running.machine.turn().clone()),
                kind: "first_token".into(),
                data: serde_json::json!({ "ms": Millis::from(running.started.elapsed()).0 }),
            };
            self.emit(annotation).await;
        }
        if matches!(event, AgentEvent::TurnFinished { .. }) {
            running.reply = None;
            running.heard = None;
            self.link.send_replace(LinkState::Idle);
        }
        let steps = running.machine.handle(Input::Model(event), &mut self.names);
        self.perform(steps, running).await;
    }

    async fn perform(&mut self, steps: Vec<Step>, running: &mut Running) {
        for step in steps {
            match step {
                Step::Emit(event) => self.emit(event).await,
                Step::AskModel { .. } => self.ask_model(running).await,
                Step::DropModel => {
                    running.reply = None;
                    running.heard = None;
                }
                Step::Judge { call, name, args } => self.find_out(call, name, args, running),
                Step::Run { call, name, args } => self.start_tool(call, &name, args, running),
                Step::StopTools => running.stop.cancel(),
                Step::Over => {}
            }
        }
    }

    async fn ask_model(&mut self, running: &mut Running) {
        // Leave a quarter of the window for the answer, the tools and the error of the estimate.
        let budget = self.choice.window.map_or(u64::MAX, |window| window / 4 * 3);
        let (past, left_out) = self.history.within(budget);
        if left_out > 0 {
            let text = format!("{left_out} oldest turns do not fit into the model's window and were not sent");
            self.emit(AgentEvent::Noticed { level: Level::Warn, code: "history_cut".into(), text }).await;
        }
        let request = Request {
            model: self.choice.model.clone(),
            system: self.setup.system.clone(),
            past,
            tools: self.specs.clone(),
            max_output: None,
        };
        // Capacity 64: frames of one read; more waiting only means more merging later.
        let (out, heard) = mpsc::channel(64);
        let choice = self.choice.clone();
        let http = self.setup.http.clone();
        let epoch = self.setup.epoch;
        running.heard = Some(heard);
        running.reply = Some(match choice.engine.reply(&request) {
            Reply::Http { call, decode } => Box::pin(async move {
                let patience = Patience {
                    first_byte: choice.idle.max(FIRST_BYTE),
                    idle: choice.idle,
                    no_output: choice.no_output,
                    retries: choice.retries,
                    epoch,
                };
                perform(&http, &call, decode, &patience, &out).await;
            }),
            Reply::Script(beats) => Box::pin(play(beats, out)),
        });
    }

    fn context(&self, call: &CallId, running: &Running) -> (ToolCtx, BoxFuture<'static, ()>) {
        // Capacity 16: pieces of a few kB; a tool that prints faster than the log can write waits.
        let (live, mut pieces) = mpsc::channel::<(OutputStream, String)>(16);
        let said = running.said.clone();
        let name = call.clone();
        let forward = Box::pin(async move {
            while let Some((stream, text)) = pieces.recv().await {
                if said.send(ToolMsg::Output { call: name.clone(), stream, text }).await.is_err() {
                    return;
                }
            }
        });
        let ctx = ToolCtx {
            folder: self.setup.folder.clone(),
            also: self.setup.also.clone(),
            live,
            cancel: running.stop.child_token(),
        };
        (ctx, forward)
    }

    fn tool(&self, name: &str) -> Option<Arc<dyn Tool>> {
        let index = self.specs.iter().position(|spec| spec.name == name)?;
        self.setup.tools.get(index).cloned()
    }

    fn find_out(&self, call: CallId, name: String, args: Json, running: &mut Running) {
        let said = running.said.clone();
        let Some(tool) = self.tool(&name) else {
            let known: Vec<&str> = self.specs.iter().map(|spec| spec.name.as_str()).collect();
            let ask = Err(format!("unknown tool: {name}; there are {}", known.join(", ")));
            running.tools.spawn(async move {
                let _ = said.send(ToolMsg::Asked { call, name, ask }).await;
            });
            return;
        };
        let (ctx, _) = self.context(&call, running);
        running.tools.spawn(async move {
            let ask = tool.ask(&args, &ctx).await;
            let _ = said.send(ToolMsg::Asked { call, name, ask }).await;
        });
    }

    fn start_tool(&self, call: CallId, name: &str, args: Json, running: &mut Running) {
        let Some(tool) = self.tool(name) else { return };
        let (ctx, forward) = self.context(&call, running);
        let said = running.said.clone();
        let spec = tool.spec();
        let limit = if spec.risk == Risk::Execute { self.setup.shell_timeout } else { self.setup.tool_timeout };
        let hands = matches!(spec.risk, Risk::Write | Risk::Execute).then(|| self.hands.clone());
        running.tools.spawn(async move {
            let cancel = ctx.cancel.clone();
            let started = Instant::now();
            let work = async {
                let _one_at_a_time = match &hands {
                    Some(hands) => tokio::select! {
                        guard = hands.lock() => Some(guard),
                        () = cancel.cancelled() => return Done { outcome: Outcome::Cancelled, text: String::new() },
                    },
                    None => None,
                };
                let begun = Instant::now();
                let done = run_limited(tool.as_ref(), &args, &ctx, limit).await;
                tracing::debug!("tool took {:?}", begun.elapsed());
                drop(ctx);
                done
            };
            let (done, ()) = tokio::join!(work, forward);
            let took = Millis::from(started.elapsed());
            let _ = said.send(ToolMsg::Done { call, done, took }).await;
        });
    }

    async fn tool_said(&mut self, msg: ToolMsg, running: &mut Running) {
        let input = match msg {
            ToolMsg::Asked { call, name, ask } => {
                let judgement = ask.map(|ask| {
                    let verdict = self.setup.policy.judge(&name, ask.risk, &ask.subject);
                    (ask, verdict)
                });
                if let Ok((ask, Verdict::Ask)) = &judgement {
                    running.waiting.push((call.clone(), name, ask.clone()));
                }
                let steps = running.machine.handle(Input::Judged { call: call.clone(), judgement }, &mut self.names);
                self.perform(steps, running).await;
                if !self.setup.nobody_to_ask || !running.waiting.iter().any(|(waiting, _, _)| *waiting == call) {
                    return;
                }
                running.waiting.retain(|(waiting, _, _)| *waiting != call);
                let reason = "nobody can be asked without a terminal; allow it with --approval-mode or a rule in \
                              [approvals] allow";
                Input::Decided { call, decision: Decision::Deny(Some(reason.to_owned())), by: DecidedBy::Policy }
            }
            ToolMsg::Output { call, stream, text } => {
                let logged = running.logged.entry(call.clone()).or_insert(0);
                if *logged >= LOGGED_OUTPUT {
                    return;
                }
                let text = clip(text, LOGGED_OUTPUT - *logged);
                *logged += text.len();
                Input::Output { call, stream, text }
            }
            ToolMsg::Done { call, done, took } => {
                let output = self.settle_output(&call, &done, running).await;
                Input::Done { call, outcome: done.outcome, output, took }
            }
        };
        let steps = running.machine.handle(input, &mut self.names);
        self.perform(steps, running).await;
    }

    /// Caps what the model gets; sees to it that the log, or a file beside it, has all of it.
    async fn settle_output(&mut self, call: &CallId, done: &Done, running: &mut Running) -> Output {
        let (text, cut) = head_tail(&done.text, self.setup.tool_output);
        if !cut {
            return Output::of(text);
        }
        if !running.logged.contains_key(call) {
            let mut rest = &done.text[..];
            let mut room = LOGGED_OUTPUT;
            while !rest.is_empty() && room > 0 {
                let end = floor_boundary(rest, PIECE.min(room));
                let (piece, after) = rest.split_at(end);
                let input = Input::Output { call: call.clone(), stream: OutputStream::Stdout, text: piece.to_owned() };
                for step in running.machine.handle(input, &mut self.names) {
                    if let Step::Emit(event) = step {
                        self.emit(event).await;
                    }
                }
                room -= piece.len();
                rest = after;
            }
        }
        let mut output = Output { text, bytes: Some(done.text.len() as u64), file: None };
        if done.text.len() > LOGGED_OUTPUT
            && let Some(overflow) = &self.setup.overflow
        {
            let path = overflow(call);
            let whole = done.text.clone();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let written = tokio::task::spawn_blocking(move || write_private(&path, whole.as_bytes())).await;
            match written {
                Ok(Ok(())) => output.file = name,
                Ok(Err(error)) => self.not_kept(&error.to_string()).await,
                Err(error) => self.not_kept(&error.to_string()).await,
            }
        }
        output
    }

    async fn not_kept(&mut self, why: &str) {
        let text = format!("the whole output of a tool could not be saved beside the log: {why}");
        self.emit(AgentEvent::Noticed { level: Level::Warn, code: "output_not_saved".into(), text }).await;
    }
}

/// Runs a tool under its time limit; one that ignores the wish to stop is dropped after a grace period.
async fn run_limited(tool: &dyn Tool, args: &Json, ctx: &ToolCtx, limit: Duration) -> Done {
    let mut work = tool.run(args, ctx);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(limit) => {}
        () = ctx.cancel.cancelled() => {
            return tokio::time::timeout(STOP_GRACE, work)
                .await
                .unwrap_or(Done { outcome: Outcome::Cancelled, text: String::new() });
        }
    }
    ctx.cancel.cancel();
    let so_far = tokio::time::timeout(STOP_GRACE, work).await.map(|done| done.text).unwrap_or_default();
    let mut text = format!("timed out after {} s", limit.as_secs());
    if !so_far.is_empty() {
        text.push_str("; its output until then:\n");
        text.push_str(&so_far);
    }
    Done { outcome: Outcome::Failed, text }
}

/// Plays a scripted answer, each event after its pause.
async fn play(beats: Vec<Beat>, out: mpsc::Sender<Heard>) {
    for Beat { after, event } in beats {
        if after.0 > 0 {
            tokio::time::sleep(after.into()).await;
        }
        if out.send(Heard::Event(event)).await.is_err() {
            return;
        }
    }
}

/// Polls the reply while there is one.
async fn drive(reply: &mut Option<BoxFuture<'static, ()>>) {
    match reply {
        Some(reply) => reply.await,
        None => std::future::pending().await,
    }
}

async fn hear(heard: &mut Option<mpsc::Receiver<Heard>>) -> Option<Heard> {
    match heard {
        Some(heard) => heard.recv().await,
        None => std::future::pending().await,
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    let floor = (0..=at).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
    if floor == 0 { text.chars().next().map_or(0, char::len_utf8) } else { floor }
}

fn clip(mut text: String, room: usize) -> String {
    if text.len() > room {
        text.truncate(floor_boundary(&text, room));
    }
    text
}

fn write_private(path: &std::path::Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

impl EngineChoice {
    /// Stands in where no engine could be had: every prompt fails with the reason.
    fn unusable(fault: Fault) -> Self {
        Self {
            engine: Arc::new(Unusable(fault)),
            model: "none".to_owned(),
            why: "the one that was asked for can't be used".to_owned(),
            window: None,
            price: None,
            idle: Duration::ZERO,
            no_output: Duration::ZERO,
            retries: 0,
        }
    }
}

struct Unusable(Fault);

impl Engine for Unusable {
    fn name(&self) -> &'static str {
        "none"
    }

    fn reply(&self, _: &Request) -> Reply {
        let end = TurnEnd::Failed(self.0.clone());
        Reply::Script(vec![Beat { after: Millis(0), event: AgentEvent::TurnFinished { turn: "t".into(), end } }])
    }
}
