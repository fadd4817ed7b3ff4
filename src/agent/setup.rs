//! What an agent is made of: plain data and the few things that only the house can find.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use tokio::time::Instant;

use super::approval::Policy;
use super::history::History;
use super::names::Names;
use super::turn::Limits;
use crate::engine::describe::Description;
use crate::engine::{Beat, Engine, Reply, Request};
use crate::event::{AgentEvent, CallId, DecidedBy, Fault, Json, Millis, NO_ENGINE, ToolSpec, Tuning, TurnEnd};
use crate::net::Http;
use crate::tool::Tool;

/// Which engine and model answer, and why.
#[derive(Clone)]
pub struct EngineChoice {
    pub engine: Arc<dyn Engine>,
    pub model: String,
    pub why: String,
    pub window: Option<u64>,
    pub price: Option<(f64, f64)>,
    pub first_byte: Duration,
    pub idle: Duration,
    pub no_output: Duration,
    pub retries: u32,
    /// Whether a request that may have reached the server is sent again. An agent may have begun to act on it.
    pub resend: bool,
    /// Whether the model can be given tools.
    pub takes_tools: bool,
    /// What the person should know of it, each with a stable code: that what is said can be read on the way, for example.
    pub warnings: Vec<(&'static str, String)>,
    /// Asks the server what it tells of the model, where that isn't known.
    pub describe: Option<Describe>,
}

/// Asks a server for its [`Description`] of a model; none while it doesn't answer. It takes a short time only.
pub type Describe = Arc<dyn Fn() -> BoxFuture<'static, Option<Description>> + Send + Sync>;

/// Looks around for servers that nobody set up, and says of each that answers how to use it. Ends when none is left.
pub type Offers = BoxStream<'static, String>;

/// Finds the engine for a name written `engine/model`.
pub type Switch = Arc<dyn Fn(String) -> BoxFuture<'static, Result<EngineChoice, String>> + Send + Sync>;

/// Makes the path of the file that holds a call's whole output.
pub type Overflow = Arc<dyn Fn(&CallId) -> PathBuf + Send + Sync>;

/// Who answers what the agent asks, and how long that may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asks {
    pub by: DecidedBy,
    /// An ask denies itself after so long; never without.
    pub expire: Option<Duration>,
    /// The session's clock at the epoch.
    pub base: Millis,
}

impl Default for Asks {
    /// A person at the screen, who has all the time in the world.
    fn default() -> Self {
        Self { by: DecidedBy::Person, expire: None, base: Millis(0) }
    }
}

/// Everything an agent is made of.
pub struct AgentSetup {
    /// Which engine to begin with; may look around on this machine, so it is awaited after the first frame.
    pub choice: BoxFuture<'static, Result<EngineChoice, Fault>>,
    pub switch: Switch,
    /// Servers that could be used, told as they are found.
    pub offers: Option<Offers>,
    /// The past of a resumed session.
    pub past: BoxFuture<'static, (History, Names)>,
    pub http: Http,
    pub tools: Vec<Arc<dyn Tool>>,
    pub policy: Policy,
    pub folder: PathBuf,
    pub also: Vec<PathBuf>,
    /// Variables of the environment that commands don't see, since they hold keys.
    pub hidden: Arc<[String]>,
    pub system: String,
    pub limits: Limits,
    /// False for a remote whose calls are not ours to run.
    pub runs_tools: bool,
    pub tool_output: usize,
    pub tool_timeout: Duration,
    pub shell_timeout: Duration,
    /// Nobody can be asked: what needs an answer is denied.
    pub nobody_to_ask: bool,
    pub asks: Asks,
    /// Tools that somebody else runs: offered in place of ours, their calls stay requests.
    pub foreign_tools: Option<Vec<ToolSpec>>,
    /// What a client gives tools to work with.
    pub resources: Option<Arc<Json>>,
    /// How a client wants its answer.
    pub tuning: Tuning,
    /// None where no log is kept.
    pub overflow: Option<Overflow>,
    pub epoch: Instant,
    /// Wall time in milliseconds since 1970.
    pub wall: u64,
}

impl EngineChoice {
    /// Takes what the server told of the model.
    pub(super) fn learn(&mut self, told: Description) {
        self.window = told.window.or(self.window);
        self.takes_tools &= told.takes_tools != Some(false);
    }

    /// Waits for what the server tells of the model.
    #[must_use]
    pub async fn described(mut self) -> Self {
        if let Some(describe) = self.describe.take() {
            self.learn(describe().await.unwrap_or_default());
        }
        self
    }

    /// Stands in where no engine could be had: every prompt fails with the reason.
    pub(super) fn unusable(fault: Fault) -> Self {
        Self {
            why: fault.message.split("; ").next().unwrap_or_default().to_owned(),
            engine: Arc::new(Unusable(fault)),
            model: NO_ENGINE.to_owned(),
            window: None,
            price: None,
            first_byte: Duration::ZERO,
            idle: Duration::ZERO,
            no_output: Duration::ZERO,
            retries: 0,
            resend: true,
            takes_tools: true,
            warnings: Vec::new(),
            describe: None,
        }
    }
}

struct Unusable(Fault);

impl Engine for Unusable {
    fn name(&self) -> &'static str {
        NO_ENGINE
    }

    fn reply(&self, _: &Request) -> Reply {
        let end = TurnEnd::Failed(self.0.clone());
        Reply::Script(vec![Beat { after: Millis(0), event: AgentEvent::TurnFinished { turn: "t".into(), end } }])
    }
}
