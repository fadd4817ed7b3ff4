//! Wiring: settings in, running sessions out. Used by every mode of the program; holds no logic of its own beyond
//! "which parts go together".

mod attach;
mod choice;
mod saved;
mod serve;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::agent::approval::Policy;
use crate::agent::history::History;
use crate::agent::names::Names;
use crate::agent::{AgentSetup, Asks, Limits, Overflow, Switch};
use crate::bridge::frames::Frames;
use crate::bridge::hub::{Backlog, Hub, RING_BYTES};
use crate::bridge::session::{self, Past, Standing, notice};
use crate::bridge::{Live, local};
use crate::config::{Config, Loaded, Paths, environment};
use crate::event::{AgentEvent, CallId, Grant, Level, Millis, SessionId, Tuning};
use crate::journal::{self, Header, Reader, Want, Writer};
pub use crate::journal::{Claim, Part, SessionState};
use crate::net::record::Tap;
use crate::net::reel::Reel;
use crate::net::{self, Http};
use crate::tool;

pub use crate::bridge::replay;
pub use attach::{Attached, Models, Wrong};
use choice::Agreed;
pub use choice::{Chooser, Listed};
use saved::is_unfinished;
pub use serve::Served;
pub use serve::listen::Serving;

/// Which session to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    New,
    /// The newest of this folder.
    Continue,
    /// That one, by its name or the beginning of it; the newest of all without one.
    Resume(Option<String>),
}

/// Settings that can be read and not be worked with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

/// Who is on the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    Screen,
    /// Nobody can be asked, and nobody watches the embedded engine think.
    Pipe,
    /// Clients over the network: they are asked where their surface can, and watch.
    Network,
}

/// Everything that sessions are made from, and the tasks of those that run.
pub struct House {
    pub loaded: Arc<Loaded>,
    pub paths: Paths,
    pub folder: PathBuf,
    pub audience: Audience,
    /// In place of the embedded system prompt.
    pub system: Option<String>,
    http: Http,
    /// The newest bytes of every stream, local engines' too.
    reel: Reel,
    tasks: JoinSet<()>,
    begun: Vec<SessionId>,
    /// About what was restored, for the person.
    told: Vec<String>,
    trouble: Option<session::Trouble>,
    /// Variables that hold keys; commands don't see them.
    hidden: Vec<String>,
}

impl House {
    pub fn new(loaded: Loaded, paths: Paths, folder: PathBuf, audience: Audience, system: Option<String>) -> Self {
        let reel = Reel::default();
        environment::values().iter().chain(&loaded.config.literal_keys()).for_each(net::remember);
        Self {
            hidden: loaded.config.key_variables(&environment::variable),
            loaded: Arc::new(loaded),
            paths,
            folder,
            audience,
            system,
            http: Http::new(Duration::from_secs(10)).tapped(Tap::reel(reel.clone())),
            reel,
            tasks: JoinSet::new(),
            begun: Vec::new(),
            told: Vec::new(),
            trouble: None,
        }
    }

    pub fn config(&self) -> &Config {
        &self.loaded.config
    }

    /// Returns a view of the raw frames of all streams.
    pub fn frames(&self) -> Frames {
        Frames::new(self.reel.clone())
    }

    pub fn chooser(&self) -> Chooser {
        let pace = match self.audience {
            Audience::Screen | Audience::Network => 1.0,
            Audience::Pipe => 0.0,
        };
        Chooser {
            loaded: self.loaded.clone(),
            http: self.http.clone(),
            agreed: Agreed::at(self.paths.servers_file()),
            unattended: self.audience == Audience::Pipe,
            pace,
        }
    }

    /// Opens a session and starts everything that belongs to it. Returns before any engine was looked for.
    pub fn open(&mut self, start: &Start) -> anyhow::Result<Live> {
        let policy = self.policy()?;
        let begun = match start {
            Start::New => self.begin(),
            Start::Continue | Start::Resume(_) => {
                let path = self.find(start)?;
                let folder = self.folder.clone();
                self.reopen(&path, &folder)?
            }
        };
        Ok(self.start(policy, begun, |_| {}))
    }

    /// Starts the agent of a session whose log is ready. `change` has the last word on what it is made of.
    fn start(&mut self, mut policy: Policy, begun: Begun, change: impl FnOnce(&mut AgentSetup)) -> Live {
        let epoch = Instant::now();
        let Begun { session, hub, writer, not_saved, standing, past, sealed, notices, wall, waiting, grants } = begun;
        let granted = grants.iter().map(Grant::pattern).collect();
        policy.restore(grants);
        let is_kept = writer.as_ref().is_some_and(|writer| writer.header().kind != journal::ANSWER);
        let state = is_kept.then(|| self.state_of(&session)).flatten();
        let overflow: Option<Overflow> = writer.as_ref().map(|writer| {
            let log = writer.path().to_owned();
            let session = session.clone();
            Arc::new(move |call: &CallId| {
                journal::overflow_path(log.parent().unwrap_or(Path::new(".")), &session, call)
            }) as Overflow
        });
        let mut setup = self.agent(policy, epoch, wall, overflow, past);
        setup.asks.base = standing.base;
        change(&mut setup);
        let feed = local::start(setup, &mut self.tasks);
        let setup = session::Setup {
            session,
            hub,
            writer,
            not_saved,
            standing,
            state,
            waiting,
            granted,
            trouble: self.trouble.clone(),
            past: Box::pin(async move { sealed.await.unwrap_or_default() }),
            notices,
            epoch,
        };
        session::start(setup, feed, &mut self.tasks)
    }

    /// Opens a log to be played.
    pub fn replay(&mut self, path: &Path, options: replay::Options) -> anyhow::Result<Live> {
        let reader = Reader::open(path)?;
        Ok(replay::start(reader, options, &mut self.tasks)?)
    }

    /// Tells a whole log at once, to be printed.
    pub fn print(&self, path: &Path) -> anyhow::Result<Live> {
        Ok(replay::at_once(Reader::open(path)?)?)
    }

    /// Waits until every session has written its last line, and removes the logs in which nothing was said.
    pub async fn close(mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // Tools get their grace period; whatever still lingers then is dropped.
        if tokio::time::timeout(Duration::from_secs(5), all).await.is_err() {
            self.tasks.shutdown().await;
        }
        for session in &self.begun {
            let path = journal::log_path(&self.paths.sessions(), session);
            // What was typed and not sent belongs to it.
            if is_empty(&path) && !is_unfinished(&self.paths.session_state(), session) {
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    fn fresh_name(&self, wall: u64) -> SessionId {
        // Many may begin in one second: a name that is taken is not given again.
        let dir = self.paths.sessions();
        let mut name = journal::new_session_id(wall);
        for _ in 0..16 {
            if !journal::log_path(&dir, &name).exists() {
                break;
            }
            name = journal::new_session_id(wall);
        }
        name
    }

    fn begin(&mut self) -> Begun {
        self.begin_with(|_| {})
    }

    /// Begins a log; `change` has the last word on its header.
    fn begin_with(&mut self, change: impl FnOnce(&mut Header)) -> Begun {
        let wall = wall_clock();
        let session = self.fresh_name(wall);
        let mut header = Header::new(session.clone(), wall);
        header.folder = self.folder.display().to_string();
        change(&mut header);
        let (writer, not_saved) = match Writer::create(&self.paths.sessions(), &header) {
            Ok(writer) => (Some(writer), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let backlog = writer.as_ref().map_or(Backlog::Memory, |writer| Backlog::Journal(writer.reader()));
        self.begun.push(session.clone());
        // Dropped senders mean "nothing in the past".
        let (_, past) = oneshot::channel();
        let (_, sealed) = oneshot::channel();
        Begun {
            session,
            hub: Hub::new(backlog, RING_BYTES),
            writer,
            not_saved,
            standing: Standing::default(),
            past,
            sealed,
            notices: Vec::new(),
            wall,
            waiting: Vec::new(),
            grants: Vec::new(),
        }
    }

    /// Goes on with a log; its tools work in `folder` from now on.
    fn reopen(&mut self, path: &Path, folder: &Path) -> anyhow::Result<Begun> {
        let (writer, end) = Writer::open(path)?;
        let header = writer.header().clone();
        let reader = writer.reader();
        let wall = wall_clock();
        let elapsed = Millis(wall.saturating_sub(header.started_at));
        let standing = Standing { last: end.last, at: end.at, base: end.at.max(elapsed) };
        let mut notices = Vec::new();
        if let Some(bytes) = end.torn {
            let text = format!("the log ended in a torn line of {bytes} bytes, which was left out");
            notices.push(notice(Level::Warn, "torn_line", text));
        }
        // What the file is called counts: so it is listed, and a damaged header may say anything.
        let session = path.file_stem().map_or(header.session, |stem| stem.to_string_lossy().as_ref().into());
        let (waiting, grants) = (self.waiting(&session), self.grants(&session));
        let folder = folder.display().to_string();
        if header.folder != folder && !header.folder.is_empty() {
            let text = format!("this session began in {}; its tools work in {folder} now", header.folder);
            notices.push(notice(Level::Warn, "other_folder", text));
        }
        let (tell_past, past) = oneshot::channel();
        let (tell_sealed, sealed) = oneshot::channel();
        let through = reader.clone();
        self.tasks.spawn_blocking(move || {
            let (history, names, past) = read_past(&through, end.torn.is_some());
            // Nobody listens when the session was closed at once.
            let _ = tell_sealed.send(past);
            let _ = tell_past.send((history, names));
        });
        Ok(Begun {
            session,
            hub: Hub::starting_after(end.last, Backlog::Journal(reader), RING_BYTES),
            writer: Some(writer),
            not_saved: None,
            standing,
            past,
            sealed,
            notices,
            wall,
            waiting,
            grants,
        })
    }

    /// Lets someone hear when a session's log can't be written.
    pub fn on_trouble(&mut self, trouble: session::Trouble) {
        self.trouble = Some(trouble);
    }

    fn policy(&self) -> anyhow::Result<Policy> {
        let approvals = &self.config().approvals;
        let origin = |kind, pattern: &str| self.loaded.rule_origin(kind, pattern);
        Policy::new(approvals.mode, &approvals.allow, &approvals.deny)
            .map(|policy| policy.with_origins(origin))
            .map_err(|text| Unfit(format!("in [approvals]: {text}")).into())
    }

    fn agent(
        &self,
        policy: Policy,
        epoch: Instant,
        wall: u64,
        overflow: Option<Overflow>,
        past: oneshot::Receiver<(History, Names)>,
    ) -> AgentSetup {
        let config = self.config();
        let chooser = self.chooser();
        let switch: Switch = {
            let chooser = chooser.clone();
            Arc::new(move |name| Box::pin(chooser.clone().switch(name)))
        };
        let offers = (self.audience == Audience::Screen).then(|| chooser.clone().offers());
        AgentSetup {
            choice: Box::pin(chooser.choose()),
            switch,
            offers,
            past: Box::pin(async move { past.await.unwrap_or_default() }),
            http: self.http.clone(),
            tools: tool::all(),
            policy,
            folder: self.folder.clone(),
            hidden: self.hidden.clone().into(),
            also: config.tools.folders.iter().filter_map(|folder| folder.canonicalize().ok()).collect(),
            system: self.system_for(&self.folder),
            limits: Limits { rounds: config.limits.max_rounds, calls: None },
            runs_tools: true,
            tool_output: config.limits.tool_output,
            tool_timeout: config.tools.timeout,
            shell_timeout: config.tools.shell_timeout,
            nobody_to_ask: self.audience == Audience::Pipe,
            asks: Asks::default(),
            foreign_tools: None,
            resources: None,
            tuning: Tuning::default(),
            overflow,
            epoch,
            wall,
        }
    }

    fn system_for(&self, folder: &Path) -> String {
        if let Some(system) = &self.system {
            return system.clone();
        }
        include_str!("../../assets/prompts/system.md")
            .replace("{date}", &jiff::Zoned::now().strftime("%A, %Y-%m-%d").to_string())
            .replace("{os}", std::env::consts::OS)
            .replace("{folder}", &folder.display().to_string())
    }
}

/// A log made ready, new or old.
struct Begun {
    session: SessionId,
    hub: Hub,
    writer: Option<Writer>,
    not_saved: Option<String>,
    standing: Standing,
    past: oneshot::Receiver<(History, Names)>,
    sealed: oneshot::Receiver<Past>,
    notices: Vec<AgentEvent>,
    wall: u64,
    /// Prompts of an earlier run that were never sent.
    waiting: Vec<String>,
    /// What the person allowed in an earlier run, until the session ends.
    grants: Vec<Grant>,
}

/// Folds a whole log into what the agent must remember, what is still open and what is wrong. O(log).
///
/// `was_torn`: the log ended in a torn line, which was told; it has been ended since.
fn read_past(reader: &Reader, was_torn: bool) -> (History, Names, Past) {
    let (mut history, mut names) = (History::new(), Names::default());
    let told = reader.go_through(|envelope| {
        history.observe(&envelope.event);
        names.observe(&envelope.event);
    });
    let past = match told {
        Ok((mut damage, sealer)) => {
            damage.unreadable = damage.unreadable.saturating_sub(u64::from(was_torn));
            let notices = damage.notices().into_iter().map(|(code, text)| notice(Level::Warn, code, text));
            Past { sealer, notices: notices.collect() }
        }
        Err(error) => {
            tracing::error!("the past of the session can't be read: {error}");
            let text = format!("the log can't be read further, so what was said is not all remembered: {error}");
            Past { notices: vec![notice(Level::Error, "unreadable_lines", text)], ..Past::default() }
        }
    };
    (history, names, past)
}

/// Returns whether nothing was ever said in a session.
fn is_empty(path: &Path) -> bool {
    let Ok(reader) = Reader::open(path) else { return false };
    let mut cursor = reader.first();
    reader.read(&mut cursor, Want::page()).is_ok_and(|page| {
        page.end && !page.entries.iter().any(|entry| matches!(entry.envelope.event, AgentEvent::TurnStarted { .. }))
    })
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock for sessions")]
fn wall_clock() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
