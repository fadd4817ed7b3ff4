//! What an agent is made of: plain data, and the few things that only the caller can provide.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::time::Instant;

use super::approval::ApprovalPolicy;
use super::history::{History, ReadBranch, ReadLog};
use super::ids::IdAllocator;
use super::snapshots::SnapshotStore;
use super::turn::TurnLimits;
use tokio::sync::{Mutex, mpsc, watch};

use crate::engine::model_details::ModelDetails;
use crate::engine::server_approvals::ServerApprovals;
use crate::engine::{Engine, ModelRequest, ReplyPlan, ScriptedEvent};
use crate::event::{
    AgentOption, CallId, Capabilities, DecidedBy, Effort, Fault, Json, Millis, NO_ENGINE, NoticeCode, OutputFormat,
    ReplyEvent, SamplingParams, TurnOutcome, who_answers,
};
use crate::net::HttpClient;
use crate::sandbox::SandboxRules;
use crate::tool::{Hooks, Registry, SessionBackground};

/// The chosen engine and model, and why they were chosen.
#[derive(Clone)]
pub struct EngineChoice {
    pub engine: Arc<dyn Engine>,
    pub model: String,
    pub reason: String,
    pub context_window: Option<u64>,
    pub price: Option<(f64, f64)>,
    pub first_byte_timeout: Duration,
    pub idle_timeout: Duration,
    pub no_output_timeout: Duration,
    pub max_retries: u32,
    /// Whether to resend a request that may have reached the server. An agent may already have begun to act on it.
    pub may_resend: bool,
    /// Whether the model supports tools.
    pub supports_tools: bool,
    /// Whether the model is known to take no images.
    pub is_text_only: bool,
    /// The levels of thinking that it takes.
    pub efforts: Vec<Effort>,
    /// Warnings for the person, each with a stable code: for example, that the connection is unencrypted.
    pub warnings: Vec<(NoticeCode, String)>,
    /// Queries the server's description of the model, if it isn't known.
    pub describe: Option<DescribeModel>,
    /// The approvals that its server has pending outside of any turn.
    pub server_approvals: Option<Arc<dyn ServerApprovals>>,
}

/// Queries a server's [`ModelDetails`]; `None` while it doesn't respond. Takes a short time only.
pub type DescribeModel = Arc<dyn Fn() -> BoxFuture<'static, Option<ModelDetails>> + Send + Sync>;

/// Searches for servers that are not configured, and yields for each a hint on how to use it. Ends when the search
/// does.
pub type ServerSuggestions = BoxStream<'static, String>;

/// Creates the engine for a name written `engine/model`.
pub type SwitchModel = Arc<dyn Fn(String) -> BoxFuture<'static, Result<EngineChoice, String>> + Send + Sync>;

/// Returns the path of the file for a call's whole output.
pub type OverflowPath = Arc<dyn Fn(&CallId) -> PathBuf + Send + Sync>;

/// Reads what the model is told besides the system prompt, as it is now. It blocks.
pub type ReadInstructions = Arc<dyn Fn() -> Instructions + Send + Sync>;

/// What the model is told besides the system prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instructions {
    /// Goes behind the system prompt.
    pub text: String,
    /// For the person.
    pub notice: Option<String>,
}

/// How approvals are decided, and how long that may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalSettings {
    pub decided_by: DecidedBy,
    /// Approvals are denied after this time; `None` means never.
    pub timeout: Option<Duration>,
    /// The session's clock at the epoch.
    pub epoch_time: Millis,
}

impl Default for ApprovalSettings {
    /// A person at the terminal, without a time limit.
    fn default() -> Self {
        Self { decided_by: DecidedBy::Person, timeout: None, epoch_time: Millis(0) }
    }
}

/// Everything an agent is made of.
pub struct AgentSetup {
    /// The engine to begin with. Finding it may probe local servers, so it is awaited after the first frame.
    pub engine_choice: BoxFuture<'static, Result<EngineChoice, Fault>>,
    pub switch_model: SwitchModel,
    /// Servers that could be used, as they are found.
    pub suggestions: Option<ServerSuggestions>,
    /// The past of a resumed session.
    pub history_and_ids: BoxFuture<'static, (History, IdAllocator)>,
    /// Reads the turns back that the history has only places of. It blocks; `None` if no log is kept.
    pub read_log: Option<ReadLog>,
    /// Reads what was said on the way to an event. It blocks; `None` if no log is kept.
    pub read_branch: Option<ReadBranch>,
    /// Keeps versions of files that are changed; `None` if no session is kept.
    pub snapshots: Option<Arc<SnapshotStore>>,
    pub http: HttpClient,
    pub tools: Registry,
    pub policy: ApprovalPolicy,
    pub folder: PathBuf,
    pub extra_folders: Vec<PathBuf>,
    /// Environment variables that are hidden from commands because they hold keys.
    pub hidden_env_vars: Arc<[String]>,
    /// What commands are kept from; none where they run as they are.
    pub sandbox: Option<Arc<SandboxRules>>,
    pub system_prompt: String,
    /// Whether instructions are added to it: not where the agent is another, or a client tells all.
    pub is_told_instructions: bool,
    /// What is told besides that.
    pub instructions: Option<ReadInstructions>,
    pub limits: TurnLimits,
    /// False if the calls are not run here: a remote or a client runs them.
    pub runs_tools: bool,
    /// Earlier turns are summed up before a request that would not fit into the model's window.
    pub auto_compact: bool,
    pub max_tool_output_bytes: usize,
    /// Nobody can approve anything: calls that need approval are denied.
    pub is_unattended: bool,
    pub approvals: ApprovalSettings,
    /// Resources that a client passes to tools.
    pub resources: Option<Arc<Json>>,
    /// Sampling parameters of the client.
    pub sampling: SamplingParams,
    /// The format of answers.
    pub output_format: Option<Arc<OutputFormat>>,
    /// How much the model is to think, where it takes that.
    pub effort: Option<Effort>,
    /// Told what a client may set.
    pub options: Option<watch::Sender<Vec<AgentOption>>>,
    /// `None` if no log is kept.
    pub overflow_path: Option<OverflowPath>,
    /// What the person has told of calls and turns.
    pub hooks: Hooks,
    /// Runs commands that go on after their call.
    pub background: Option<SessionBackground>,
    /// Tells which of them have ended.
    pub background_ends: Option<mpsc::Receiver<String>>,
    /// Held by what writes or runs something, here and in sub-agents.
    pub side_effect_lock: Arc<Mutex<()>>,
    pub epoch: Instant,
    /// Wall time in milliseconds since 1970.
    pub wall_ms: u64,
}

impl AgentSetup {
    /// Returns what a client can do here, before it is known what the model takes.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            prompt: true,
            decide: !self.is_unattended,
            cancel: true,
            // Where the agent is another, its turn is one reply, and it keeps the conversation.
            steer: self.runs_tools,
            branch: self.runs_tools && self.read_branch.is_some(),
            ..Capabilities::default()
        }
    }
}

impl EngineChoice {
    /// Applies the server's description of the model.
    pub(super) fn apply_description(&mut self, details: ModelDetails) {
        self.context_window = details.context_window.or(self.context_window);
        self.supports_tools &= details.supports_tools != Some(false);
        self.is_text_only |= details.takes_images == Some(false);
    }

    /// Returns whether images may go with a prompt, as far as is known.
    pub(super) fn takes_images(&self) -> bool {
        self.engine.takes_images() && !self.is_text_only
    }

    /// Says that images can't go with a prompt, and what can be done.
    pub(super) fn image_refusal(&self) -> String {
        let name = who_answers(self.engine.name(), &self.model);
        format!("{name} takes no images; choose another model, or send the prompt without them")
    }

    /// Waits for the server's description of the model.
    #[must_use]
    pub async fn with_description(mut self) -> Self {
        if let Some(describe) = self.describe.take() {
            self.apply_description(describe().await.unwrap_or_default());
        }
        self
    }

    /// Stands in if no engine is available: every prompt fails with this fault.
    pub(super) fn unusable(fault: Fault) -> Self {
        let reason = fault.message.split("; ").next().unwrap_or_default().to_owned();
        Self::new(Arc::new(UnusableEngine(fault)), NO_ENGINE.to_owned(), reason)
    }

    /// Returns a choice without time limits and without retries, of which nothing further is known.
    pub fn new(engine: Arc<dyn Engine>, model: String, reason: String) -> Self {
        Self {
            engine,
            model,
            reason,
            context_window: None,
            price: None,
            first_byte_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            no_output_timeout: Duration::ZERO,
            max_retries: 0,
            may_resend: true,
            supports_tools: true,
            is_text_only: false,
            efforts: Vec::new(),
            warnings: Vec::new(),
            describe: None,
            server_approvals: None,
        }
    }
}

struct UnusableEngine(Fault);

impl Engine for UnusableEngine {
    fn name(&self) -> &'static str {
        NO_ENGINE
    }

    fn writes_summaries(&self) -> bool {
        false
    }

    fn plan_reply(&self, _: &ModelRequest) -> ReplyPlan {
        let outcome = TurnOutcome::Failed(self.0.clone());
        ReplyPlan::Scripted(vec![ScriptedEvent { delay: Millis(0), event: ReplyEvent::End { outcome } }])
    }
}
