//! Wiring: settings in, running sessions out. Used by every mode of the program; contains only which parts belong
//! together.

pub mod day_usage;
pub mod redaction;
pub mod scrub;

mod attach;
mod cassette;
mod engines;
mod file_restore;
mod handoff;
mod import;
mod instructions;
mod mcp;
mod mcp_serve;
mod past;
mod saved_log;
mod server;
mod session_search;
mod sessions;
mod spend_guard;
mod tracing_export;
mod workspace;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::agent::approval::ApprovalPolicy;
use crate::agent::history::History;
use crate::agent::ids::IdAllocator;
use crate::agent::snapshots::SnapshotStore;
use crate::agent::{AgentSetup, ApprovalSettings, OverflowPath, SwitchModel, TurnLimits};
use crate::bridge::hub::{Backlog, DEFAULT_RING_BYTES, Hub};
use crate::bridge::session::{self, PriorSession, ResumePoint, UnsentPrompt, notice};
use crate::bridge::shared_log::{SharedLog, SharedStore};
use crate::bridge::traffic::TrafficReader;
use crate::bridge::{SessionHandle, local};
use crate::config::{Config, LoadedConfig, Origin, Paths, environment};
use crate::event::{AgentEvent, CallId, Effort, Grant, Millis, NoticeCode, NoticeLevel, SamplingParams, SessionId};
use crate::journal::{self, LogHeader, ReadLimits, Reader, Writer};
pub use crate::journal::{NameClaim, StatePart, StateStore};
use crate::local_time::local_now;
use crate::mcp::McpTools;
use crate::net::traffic::{TrafficRing, TrafficTap};
use crate::net::{self, HttpClient};
use crate::sandbox::{self, SandboxRules, SandboxSettings};
use crate::serve::request::is_history_turn;
use crate::telemetry::{self, SpanSender, export};
use crate::tool::{BackgroundCommands, BuiltinTools, Hooks, Registry, ToolSource, ToolTimeouts};

pub use self::mcp::{McpServers, McpWatch};
pub use crate::bridge::replay;
pub use crate::dialect::saved::describe_left_out;
pub use crate::journal::Imported;
pub use crate::net::cassette::{Cassette, CassetteMode};
use attach::HostedSession;
pub use attach::{AttachedSession, HostedAgent, RemoteModels, UsageError};
pub use cassette::open_cassette;
use engines::AcceptedServers;
pub use engines::{EngineListing, EngineResolver};
pub use file_restore::FileRestorer;
pub use handoff::Handoff;
pub use import::{ImportReport, ImportedSession, ProgramReport};
pub use instructions::InstructionReader;
use past::{read_branch, read_history, read_log};
pub use saved_log::SavedLog;
pub use server::SessionFactory;
pub use server::listen::{ChildServerPlan, ServerPlan};
pub use server::shared::SharedServer;
pub use session_search::{SearchStep, SessionHits, SessionQuery, TextHit};
use sessions::has_draft;
pub use sessions::{ListScope, SavedSessions, place_or_origin};
pub use spend_guard::SpendGuard;
pub use workspace::{MentionScope, MentionedFiles, ToolProgress, Workspace};

/// Which session to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartMode {
    New,
    /// The newest of this folder.
    Continue,
    /// The one with this name or name prefix; without one, the newest of all.
    Resume(Option<String>),
}

/// Settings that are readable but not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnusableSettings(String);

/// The kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frontend {
    Tui,
    /// Nobody can be prompted, and nobody watches the embedded engine's pauses.
    Headless,
    /// Clients over the network: they can approve where their surface allows it, and watch.
    Server,
}

/// Everything that sessions are made from, and the tasks of the running ones. It is shared: any number of sessions can be
/// opened from one at the same time.
pub struct Runtime {
    pub loaded: Arc<LoadedConfig>,
    pub paths: Paths,
    pub folder: PathBuf,
    pub frontend: Frontend,
    /// Replaces the embedded system prompt.
    pub system_prompt: Option<String>,
    http: HttpClient,
    /// The newest bytes of every stream, including local engines.
    traffic: TrafficRing,
    running: Mutex<RunningSessions>,
    save_listener: Option<session::SaveListener>,
    /// Where the logs really are, if servers share them.
    shared_store: Option<Arc<dyn SharedStore>>,
    /// The tools of every session, not listed yet.
    tools: Registry,
    mcp: McpServers,
    /// Variables with keys, hidden from commands.
    hidden_variables: Vec<String>,
    /// The commands of all sessions that go on after their calls.
    background: BackgroundCommands,
    /// What every session is told of the cassette.
    cassette_remark: Option<String>,
    /// What commands are kept from.
    sandbox: Option<Arc<SandboxRules>>,
}

#[derive(Default)]
struct RunningSessions {
    tasks: JoinSet<()>,
    /// Those that were begun here, and may have stayed empty.
    begun: Vec<SessionId>,
    /// Where traces go: found out with the first session, `None` inside if nowhere.
    spans: OnceCell<Option<SpanSender>>,
    is_closed: bool,
}

/// A session that was opened.
pub struct StartedSession {
    pub handle: SessionHandle,
    /// What of an earlier run was restored, for the person.
    pub restored: Vec<String>,
}

impl Runtime {
    pub fn new(
        loaded: LoadedConfig,
        paths: Paths,
        folder: PathBuf,
        audience: Frontend,
        system: Option<String>,
    ) -> Self {
        let ring = TrafficRing::default();
        environment::taken_values().iter().chain(&loaded.config.literal_keys()).for_each(net::register_secret);
        let http = HttpClient::new(Duration::from_secs(10));
        let rules = sandbox_rules(&loaded.config, &paths);
        let mcp = McpServers::new(&loaded.config, &folder, &paths.mcp_logins_dir(), &http, rules.as_ref());
        Self {
            tools: Registry::new(tool_sources(&loaded.config, &mcp)),
            mcp,
            hidden_variables: loaded.config.key_variables(&environment::variable),
            sandbox: rules.filter(|_| loaded.config.sandbox.enabled),
            loaded: Arc::new(loaded),
            paths,
            folder,
            frontend: audience,
            system_prompt: system,
            http: http.with_tap(TrafficTap::to_ring(ring.clone())),
            traffic: ring,
            running: Mutex::default(),
            save_listener: None,
            shared_store: None,
            background: BackgroundCommands::default(),
            cassette_remark: None,
        }
    }

    /// Has what servers answer recorded, or played.
    #[must_use]
    pub fn with_cassette(self, cassette: Option<Cassette>) -> Self {
        let remark = cassette.as_ref().map(Cassette::describe);
        Self { http: self.http.with_cassette(cassette), cassette_remark: remark, ..self }
    }

    /// Sets the listener for changes in how sessions' logs are saved.
    #[must_use]
    pub fn with_save_listener(self, listener: session::SaveListener) -> Self {
        Self { save_listener: Some(listener), ..self }
    }

    /// Returns what commands are kept from; none where they run as they are.
    pub fn sandbox(&self) -> Option<&SandboxRules> {
        self.sandbox.as_deref()
    }

    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Returns the MCP servers of the settings.
    pub fn mcp_servers(&self) -> &McpServers {
        &self.mcp
    }

    /// Returns a reader of the raw frames of all streams.
    pub fn frames(&self) -> TrafficReader {
        TrafficReader::new(self.traffic.clone())
    }

    pub fn engine_resolver(&self) -> EngineResolver {
        let pace = match self.frontend {
            Frontend::Tui | Frontend::Server => 1.0,
            Frontend::Headless => 0.0,
        };
        EngineResolver {
            loaded: self.loaded.clone(),
            http: self.http.clone(),
            accepted: AcceptedServers::at(self.paths.servers_file()),
            is_unattended: self.frontend == Frontend::Headless,
            offline_pace: pace,
        }
    }

    /// Opens a session and starts everything it needs. Returns before searching for an engine.
    pub fn open(&self, start: &StartMode) -> anyhow::Result<StartedSession> {
        let mut policy = self.approval_policy()?;
        let mut restored = Vec::new();
        let mut kept_model = None;
        let mut kept_effort = None;
        let mut prepared = match start {
            StartMode::New => self.create_log(),
            StartMode::Continue | StartMode::Resume(_) => {
                let path = self.resolve_log(start, &mut restored)?;
                let prepared = self.reopen_log(&path, &self.folder)?;
                let settings = self.load_settings(&prepared.session, &mut restored);
                kept_model = Some(settings.model).filter(|model| !model.is_empty());
                restored.extend(self.restore_mode(&mut policy, settings.mode));
                let origin = self.loaded.entries.get("effort").map(|entry| &entry.origin);
                let is_asked_for = matches!(origin, Some(Origin::Flag(_)));
                kept_effort = settings.effort.as_deref().and_then(Effort::parse).filter(|_| !is_asked_for);
                prepared
            }
        };
        restored.append(&mut prepared.restored);
        let handle = self.start_session(policy, prepared, |setup| {
            if let Some(model) = kept_model {
                setup.engine_choice = Box::pin(self.engine_resolver().resolve_kept(model));
            }
            setup.effort = kept_effort.or(setup.effort);
        });
        Ok(StartedSession { handle, restored })
    }

    /// Starts the agent of a session whose log is ready. `change` is applied last to its setup.
    fn start_session(
        &self,
        mut policy: ApprovalPolicy,
        prepared: PreparedSession,
        change: impl FnOnce(&mut AgentSetup),
    ) -> SessionHandle {
        let epoch = Instant::now();
        let PreparedSession {
            session,
            hub,
            writer,
            save_error: not_saved,
            shared_log,
            resume_point,
            past,
            sealed,
            mut notices,
            started_at: wall,
            queued_prompts: waiting,
            grants,
            restored: _,
        } = prepared;
        notices.extend(self.cassette_remark.iter().map(|text| notice(NoticeLevel::Info, NoticeCode::Cassette, text)));
        let granted = grants.iter().map(Grant::pattern).collect();
        policy.restore_grants(grants);
        let is_kept = writer.as_ref().is_some_and(|writer| writer.header().kind != journal::ONE_SHOT_KIND);
        let state = is_kept.then(|| self.session_state(&session)).flatten();
        let overflow: Option<OverflowPath> = writer.as_ref().map(|writer| {
            let log = writer.path().to_owned();
            let session = session.clone();
            Arc::new(move |call: &CallId| {
                journal::overflow_path(log.parent().unwrap_or(Path::new(".")), &session, call)
            }) as OverflowPath
        });
        let mut setup = self.agent_setup(policy, epoch, wall, overflow, past);
        setup.read_log = writer.as_ref().map(|writer| read_log(writer.reader()));
        setup.snapshots = writer
            .as_ref()
            .filter(|_| is_kept)
            .map(|_| Arc::new(SnapshotStore::new(&journal::snapshots_dir(&self.paths.session_state_dir(), &session))));
        setup.read_branch = writer.as_ref().filter(|_| is_kept).map(|writer| read_branch(writer.reader()));
        setup.approvals.epoch_time = resume_point.base;
        change(&mut setup);
        let (background, ends) = self.background.for_session(session.as_str());
        (setup.background, setup.background_ends) = (Some(background), Some(ends));
        if setup.is_told_instructions {
            self.add_instructions(&mut setup);
        }
        let mut running = self.running();
        let feed = local::start(setup, &mut running.tasks);
        let setup = session::SessionSetup {
            session,
            hub,
            writer,
            save_error: not_saved,
            shared_log,
            resume_point,
            state_store: state,
            queued_prompts: waiting,
            saved_grants: granted,
            save_listener: self.save_listener.clone(),
            prior: Box::pin(async move { sealed.await.unwrap_or_default() }),
            notices,
            epoch,
        };
        self.trace(&mut running, &setup.session, &setup.hub);
        session::start(setup, feed, &mut running.tasks)
    }

    /// Has the turns of a session told to the collector, if there is one.
    fn trace(&self, running: &mut RunningSessions, session: &SessionId, hub: &Hub) {
        let RunningSessions { tasks, spans, .. } = running;
        let sender = spans.get_or_init(|| {
            let collector = tracing_export::collector(&self.config().telemetry)?;
            Some(export::start(collector, self.http.with_cassette(None), tasks))
        });
        if let Some(sender) = sender {
            telemetry::follow(sender.clone(), session.clone(), hub, is_history_turn, tasks);
        }
    }

    /// Opens a log for playing.
    pub fn open_replay(&self, path: &Path, options: replay::ReplayOptions) -> anyhow::Result<SessionHandle> {
        let reader = Reader::open(path)?;
        Ok(replay::start(reader, options, &mut self.running().tasks)?)
    }

    /// Publishes a whole log at once, for printing.
    pub fn open_whole_log(&self, path: &Path) -> anyhow::Result<SessionHandle> {
        Ok(replay::start_finished(Reader::open(path)?)?)
    }

    pub fn is_closed(&self) -> bool {
        self.running().is_closed
    }

    /// Waits until every session has written its last line, and deletes the logs without a turn.
    pub async fn close(&self) {
        let RunningSessions { mut tasks, begun, spans, .. } =
            std::mem::replace(&mut *self.running(), RunningSessions { is_closed: true, ..RunningSessions::default() });
        self.mcp.close().await;
        // The last ones are sent once nobody can tell more.
        drop(spans);
        let all = async { while tasks.join_next().await.is_some() {} };
        self.background.close().await;
        // Tools get their grace period; those still running after it are dropped.
        if tokio::time::timeout(Duration::from_secs(5), all).await.is_err() {
            tasks.shutdown().await;
        }
        for session in &begun {
            let path = journal::log_path(&self.paths.sessions_dir(), session);
            // An unsent draft belongs to the log.
            if is_log_empty(&path) && !has_draft(&self.paths.session_state_dir(), session) {
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    /// Returns the running sessions. Tasks that have finished are removed first: a server runs for a long time.
    fn running(&self) -> MutexGuard<'_, RunningSessions> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while running.tasks.try_join_next().is_some() {}
        running
    }

    fn new_session_id(&self, wall: u64) -> SessionId {
        // Many sessions may begin in one second: an existing name is not used again.
        let dir = self.paths.sessions_dir();
        let mut name = journal::new_session_id(wall);
        for _ in 0..16 {
            if !journal::log_path(&dir, &name).exists() {
                break;
            }
            name = journal::new_session_id(wall);
        }
        name
    }

    fn create_log(&self) -> PreparedSession {
        self.create_log_with(|_| {})
    }

    /// Creates a log; `change` is applied last to its header.
    fn create_log_with(&self, change: impl FnOnce(&mut LogHeader)) -> PreparedSession {
        let wall = wall_clock();
        let session = self.new_session_id(wall);
        let mut header = LogHeader::new(session.clone(), wall);
        header.folder = self.folder.display().to_string();
        change(&mut header);
        let session = header.session.clone();
        let (writer, not_saved) = match Writer::create(&self.paths.sessions_dir(), &header) {
            Ok(writer) => (Some(writer), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let shared_log = self.shared_store.as_ref().map(|store| store.begin(&header));
        let backlog = writer.as_ref().map_or(Backlog::Memory, |writer| Backlog::Journal(writer.reader()));
        // A one-shot session always has a turn.
        if header.kind != journal::ONE_SHOT_KIND {
            self.running().begun.push(session.clone());
        }
        // A dropped sender means that there is no history.
        let (_, past) = oneshot::channel();
        let (_, sealed) = oneshot::channel();
        PreparedSession {
            session,
            hub: Hub::new(backlog, DEFAULT_RING_BYTES),
            writer,
            save_error: not_saved,
            shared_log,
            resume_point: ResumePoint::default(),
            past,
            sealed,
            notices: Vec::new(),
            started_at: wall,
            queued_prompts: Vec::new(),
            grants: Vec::new(),
            restored: Vec::new(),
        }
    }

    /// Resumes a log; its tools work in `folder` from now on.
    fn reopen_log(&self, path: &Path, folder: &Path) -> anyhow::Result<PreparedSession> {
        let (writer, end) = Writer::open(path)?;
        let header = writer.header().clone();
        let reader = writer.reader();
        let wall = wall_clock();
        let elapsed = Millis(wall.saturating_sub(header.started_at));
        let resume_point = ResumePoint { last_seq: end.last_seq, at: end.at, base: end.at.max(elapsed) };
        let mut notices = Vec::new();
        if let Some(bytes) = end.torn {
            let text = format!("the log ended in a torn line of {bytes} bytes, which was skipped");
            notices.push(notice(NoticeLevel::Warn, NoticeCode::TornLine, text));
        }
        // The file name counts: listings use it, and a damaged header may contain anything.
        let session = path.file_stem().map_or(header.session, |stem| stem.to_string_lossy().as_ref().into());
        let mut restored = Vec::new();
        let waiting = self.load_queued_prompts(&session, &mut restored);
        let grants = self.load_grants(&session, &mut restored);
        restored.extend(self.workspace().file_restorer(&session).take_unfinished());
        let folder = folder.display().to_string();
        if header.folder != folder && !header.folder.is_empty() {
            let text = format!("this session started in {}; its tools now work in {folder}", header.folder);
            notices.push(notice(NoticeLevel::Warn, NoticeCode::OtherFolder, text));
        }
        let (tell_past, past) = oneshot::channel();
        let (tell_sealed, sealed) = oneshot::channel();
        let through = reader.clone();
        self.running().tasks.spawn_blocking(move || {
            let (history, names, past) = read_history(&through, end.torn.is_some());
            // The receiver is gone if the session was closed at once.
            let _ = tell_sealed.send(past);
            let _ = tell_past.send((history, names));
        });
        Ok(PreparedSession {
            session,
            hub: Hub::starting_after(end.last_seq, Backlog::Journal(reader), DEFAULT_RING_BYTES),
            writer: Some(writer),
            save_error: None,
            shared_log: None,
            resume_point,
            past,
            sealed,
            notices,
            started_at: wall,
            queued_prompts: waiting,
            grants,
            restored,
        })
    }

    fn approval_policy(&self) -> anyhow::Result<ApprovalPolicy> {
        let approvals = &self.config().approvals;
        let origin = |kind, pattern: &str| self.loaded.rule_origin(kind, pattern);
        ApprovalPolicy::new(approvals.mode, &approvals.allow, &approvals.deny)
            .map(|policy| policy.with_origins(origin))
            .map_err(|text| UnusableSettings(format!("in [approvals]: {text}")).into())
    }

    fn agent_setup(
        &self,
        policy: ApprovalPolicy,
        epoch: Instant,
        wall: u64,
        overflow: Option<OverflowPath>,
        past: oneshot::Receiver<(History, IdAllocator)>,
    ) -> AgentSetup {
        let config = self.config();
        let resolver = self.engine_resolver();
        let switch: SwitchModel = {
            let resolver = resolver.clone();
            Arc::new(move |name| Box::pin(resolver.clone().switch_to(name)))
        };
        let offers = (self.frontend == Frontend::Tui).then(|| resolver.clone().server_offers());
        AgentSetup {
            engine_choice: Box::pin(resolver.resolve()),
            switch_model: switch,
            suggestions: offers,
            history_and_ids: Box::pin(async move { past.await.unwrap_or_default() }),
            read_log: None,
            read_branch: None,
            snapshots: None,
            http: self.http.clone(),
            tools: self.tools.clone(),
            policy,
            folder: self.folder.clone(),
            hidden_env_vars: self.hidden_variables.clone().into(),
            sandbox: self.sandbox.clone(),
            extra_folders: self.tool_folders(),
            system_prompt: self.system_prompt_for(&self.folder),
            is_told_instructions: true,
            instructions: None,
            limits: TurnLimits { max_rounds: config.limits.max_rounds, max_calls: None },
            runs_tools: true,
            auto_compact: config.limits.auto_compact,
            max_tool_output_bytes: config.limits.max_tool_output_bytes,
            is_unattended: self.frontend == Frontend::Headless,
            approvals: ApprovalSettings::default(),
            resources: None,
            sampling: SamplingParams::default(),
            output_format: None,
            effort: config.effort,
            options: None,
            overflow_path: overflow,
            hooks: self.hooks(),
            background: None,
            background_ends: None,
            side_effect_lock: Arc::default(),
            epoch,
            wall_ms: wall,
        }
    }

    fn hooks(&self) -> Hooks {
        let hooks = &self.config().hooks;
        Hooks {
            before_call: hooks.before_call.clone().into(),
            after_call: hooks.after_call.clone().into(),
            turn_end: hooks.turn_end.clone().into(),
            time_limit: hooks.timeout,
            hidden_env_vars: self.hidden_variables.clone().into(),
            sandbox: self.sandbox.clone(),
        }
    }

    /// Returns the further folders that file tools may use.
    fn tool_folders(&self) -> Vec<PathBuf> {
        self.config().tools.folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect()
    }

    /// Returns what a model is told before a conversation in this folder.
    pub fn own_system_prompt(&self) -> String {
        self.system_prompt_for(&self.folder)
    }

    fn system_prompt_for(&self, folder: &Path) -> String {
        if let Some(system) = &self.system_prompt {
            return system.clone();
        }
        include_str!("../../assets/prompts/system.md")
            .replace("{date}", &local_now().strftime("%A, %Y-%m-%d").to_string())
            .replace("{os}", std::env::consts::OS)
            .replace("{folder}", &folder.display().to_string())
    }
}

/// The sources of the agent's tools; where names collide the earlier one wins.
fn tool_sources(config: &Config, mcp: &McpServers) -> Vec<Arc<dyn ToolSource>> {
    let timeouts = ToolTimeouts { usual: config.tools.timeout, command: config.tools.shell_timeout };
    let mut sources: Vec<Arc<dyn ToolSource>> =
        vec![Arc::new(BuiltinTools::new(timeouts)), Arc::new(BuiltinTools::for_agent(timeouts))];
    sources.extend(mcp.all().iter().map(|server| Arc::new(McpTools(Arc::clone(server))) as Arc<dyn ToolSource>));
    sources
}

/// Returns what commands are kept from, as the person set it; none where there is no supervisor.
fn sandbox_rules(config: &Config, paths: &Paths) -> Option<Arc<SandboxRules>> {
    let set = &config.sandbox;
    let supervisor = sandbox::supervisor()?;
    let settings = SandboxSettings {
        network: set.network,
        write: set.write.clone(),
        env: set.env.clone(),
        memory_bytes: set.memory_mib << 20,
        processes: set.processes,
    };
    let own = [paths.config.clone(), paths.data.clone(), paths.state.clone()];
    let home = environment::variable("HOME").map(PathBuf::from);
    Some(Arc::new(SandboxRules::new(settings, own, home, supervisor.to_owned())))
}

/// A log that is ready, new or existing.
struct PreparedSession {
    session: SessionId,
    hub: Hub,
    writer: Option<Writer>,
    save_error: Option<String>,
    /// Set where servers share the log.
    shared_log: Option<Box<dyn SharedLog>>,
    resume_point: ResumePoint,
    past: oneshot::Receiver<(History, IdAllocator)>,
    sealed: oneshot::Receiver<PriorSession>,
    notices: Vec<AgentEvent>,
    started_at: u64,
    /// Prompts of an earlier run that were never sent.
    queued_prompts: Vec<UnsentPrompt>,
    /// Grants of an earlier run that last until the session ends.
    grants: Vec<Grant>,
    /// What of that the person should be told.
    restored: Vec<String>,
}

/// Returns whether a session has no turn.
fn is_log_empty(path: &Path) -> bool {
    let Ok(reader) = Reader::open(path) else { return false };
    let mut cursor = reader.start_cursor();
    reader.read(&mut cursor, ReadLimits::one_page()).is_ok_and(|page| {
        page.at_end && !page.entries.iter().any(|entry| matches!(entry.envelope.event, AgentEvent::TurnStarted { .. }))
    })
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock for sessions")]
fn wall_clock() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
