//! What an agent is made of: plain data and the few things that only the house can find.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::time::Instant;

use super::approval::ApprovalPolicy;
use super::history::History;
use super::ids::IdAllocator;
use super::turn::TurnLimits;
use crate::engine::model_details::ModelDetails;
use crate::engine::{Engine, ModelRequest, ReplyPlan, ScriptedEvent};
use crate::event::{
    AgentEvent, CallId, DecidedBy, Fault, Json, Millis, NO_ENGINE, SamplingParams, ToolSpec, TurnOutcome,
};
use crate::net::HttpClient;
use crate::tool::Tool;

/// Which engine and model answer, and why.
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
    /// Whether a request that may have reached the server is sent again. An agent may have begun to act on it.
    pub may_resend: bool,
    /// Whether the model can be given tools.
    pub supports_tools: bool,
    /// What the person should know of it, each with a stable code: that what is said can be read on the way, for example.
    pub warnings: Vec<(&'static str, String)>,
    /// Asks the server what it tells of the model, where that isn't known.
    pub describe: Option<DescribeModel>,
}

/// Asks a server for its [`ModelDetails`] of a model; none while it doesn't answer. It takes a short time only.
pub type DescribeModel = Arc<dyn Fn() -> BoxFuture<'static, Option<ModelDetails>> + Send + Sync>;

/// Looks around for servers that nobody set up, and says of each that answers how to use it. Ends when none is left.
pub type ServerSuggestions = BoxStream<'static, String>;

/// Finds the engine for a name written `engine/model`.
pub type SwitchModel = Arc<dyn Fn(String) -> BoxFuture<'static, Result<EngineChoice, String>> + Send + Sync>;

/// Makes the path of the file that holds a call's whole output.
pub type OverflowPath = Arc<dyn Fn(&CallId) -> PathBuf + Send + Sync>;

/// Who answers what the agent asks, and how long that may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApprovalSettings {
    pub decided_by: DecidedBy,
    /// An ask denies itself after so long; never without.
    pub timeout: Option<Duration>,
    /// The session's clock at the epoch.
    pub epoch_time: Millis,
}

impl Default for ApprovalSettings {
    /// A person at the screen, who has all the time in the world.
    fn default() -> Self {
        Self { decided_by: DecidedBy::Person, timeout: None, epoch_time: Millis(0) }
    }
}

/// Everything an agent is made of.
pub struct AgentSetup {
    /// Which engine to begin with; may look around on this machine, so it is awaited after the first frame.
    pub engine_choice: BoxFuture<'static, Result<EngineChoice, Fault>>,
    pub switch_model: SwitchModel,
    /// Servers that could be used, told as they are found.
    pub suggestions: Option<ServerSuggestions>,
    /// The past of a resumed session.
    pub history_and_ids: BoxFuture<'static, (History, IdAllocator)>,
    pub http: HttpClient,
    pub tools: Vec<Arc<dyn Tool>>,
    pub policy: ApprovalPolicy,
    pub folder: PathBuf,
    pub extra_folders: Vec<PathBuf>,
    /// Variables of the environment that commands don't see, since they hold keys.
    pub hidden_env_vars: Arc<[String]>,
    pub system_prompt: String,
    pub limits: TurnLimits,
    /// False for a remote whose calls are not ours to run.
    pub runs_tools: bool,
    pub max_tool_output_bytes: usize,
    pub tool_timeout: Duration,
    pub shell_timeout: Duration,
    /// Nobody can be asked: what needs an answer is denied.
    pub is_unattended: bool,
    pub approvals: ApprovalSettings,
    /// Tools that somebody else runs: offered in place of ours, their calls stay requests.
    pub client_tools: Option<Vec<ToolSpec>>,
    /// What a client gives tools to work with.
    pub resources: Option<Arc<Json>>,
    /// How a client wants its answer.
    pub sampling: SamplingParams,
    /// None where no log is kept.
    pub overflow_path: Option<OverflowPath>,
    pub epoch: Instant,
    /// Wall time in milliseconds since 1970.
    pub wall_ms: u64,
}

impl EngineChoice {
    /// Takes what the server told of the model.
    pub(super) fn apply_description(&mut self, told: ModelDetails) {
        self.context_window = told.context_window.or(self.context_window);
        self.supports_tools &= told.supports_tools != Some(false);
    }

    /// Waits for what the server tells of the model.
    #[must_use]
    pub async fn with_description(mut self) -> Self {
        if let Some(describe) = self.describe.take() {
            self.apply_description(describe().await.unwrap_or_default());
        }
        self
    }

    /// Stands in where no engine could be had: every prompt fails with the reason.
    pub(super) fn unusable(fault: Fault) -> Self {
        Self {
            reason: fault.message.split("; ").next().unwrap_or_default().to_owned(),
            engine: Arc::new(UnusableEngine(fault)),
            model: NO_ENGINE.to_owned(),
            context_window: None,
            price: None,
            first_byte_timeout: Duration::ZERO,
            idle_timeout: Duration::ZERO,
            no_output_timeout: Duration::ZERO,
            max_retries: 0,
            may_resend: true,
            supports_tools: true,
            warnings: Vec::new(),
            describe: None,
        }
    }
}

struct UnusableEngine(Fault);

impl Engine for UnusableEngine {
    fn name(&self) -> &'static str {
        NO_ENGINE
    }

    fn plan_reply(&self, _: &ModelRequest) -> ReplyPlan {
        let outcome = TurnOutcome::Failed(self.0.clone());
        ReplyPlan::Scripted(vec![ScriptedEvent {
            delay: Millis(0),
            event: AgentEvent::TurnFinished { turn: "t".into(), outcome },
        }])
    }
}
