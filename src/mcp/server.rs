//! A server: started when it is needed, connected, started once more if it ends, and stopped with this program.
//!
//! | state | goes to |
//! | --- | --- |
//! | idle | starting, when its tools are asked for |
//! | starting | ready, or failed with the reason and the end of what it wrote |
//! | ready | starting, the first time that it ends within a minute; else failed |
//! | failed | starting, when the person says so |

mod lists;
mod open;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{ProtocolVersion, ServerNotification, SubscriptionFilter, Tool};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::open::{open, stderr_while};
use super::client::Client;
use super::connection::{Connection, failure};
use super::login::log_in;
use super::offers::McpOffers;
use super::spec::{McpConnection, McpServerSpec};
use super::tool_list::summary;
use crate::event::{McpServerState, McpServerStatus};
use crate::sandbox::SandboxSupport;
use crate::text::one_line;

/// A server that ran for so long before it ended is started again each time.
const STABLE_AFTER: Duration = Duration::from_mins(1);
/// What of a message from outside is told.
const MAX_REASON_CELLS: usize = 300;

/// A server of the settings. Dropping it ends it.
pub struct McpServer {
    pub(super) shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
    stop: CancellationToken,
}

/// What the task of a server and everyone else share.
pub(super) struct Shared {
    pub(super) spec: McpServerSpec,
    state: watch::Sender<ServerState>,
    /// The tools as they were listed last.
    tools: watch::Sender<Vec<Tool>>,
    pub(super) stderr: watch::Sender<String>,
    /// What a server said that wants a login.
    challenge: Mutex<Option<String>>,
    changes: watch::Sender<()>,
    /// How often the list of tools became another one, and which of these was listed last.
    changed: Arc<AtomicU64>,
    listed: AtomicU64,
    /// What else it offers; none before it was listed, and once that is out of date.
    pub(super) offers: watch::Sender<Option<Arc<McpOffers>>>,
}

/// Waits for changes of a server, of which none is missed.
pub struct McpServerWatch {
    state: watch::Receiver<ServerState>,
    tools: watch::Receiver<Vec<Tool>>,
    changes: watch::Receiver<()>,
    offers: watch::Receiver<Option<Arc<McpOffers>>>,
}

impl McpServerWatch {
    /// Waits until its status is another one. Cancel-safe.
    pub async fn changed(&mut self) {
        let Self { state, tools, changes, offers } = self;
        let is_gone = tokio::select! {
            changed = state.changed() => changed.is_err(),
            changed = tools.changed() => changed.is_err(),
            changed = changes.changed() => changed.is_err(),
            changed = offers.changed() => changed.is_err(),
        };
        if is_gone {
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Clone)]
enum ServerState {
    Idle,
    Starting,
    /// The person has to open that address.
    Login(String),
    Ready(Arc<Connection>),
    Failed(String),
}

impl McpServer {
    pub fn new(spec: McpServerSpec) -> Self {
        let shared = Shared {
            spec,
            state: watch::Sender::new(ServerState::Idle),
            tools: watch::Sender::default(),
            stderr: watch::Sender::default(),
            challenge: Mutex::default(),
            changes: watch::Sender::default(),
            changed: Arc::default(),
            listed: AtomicU64::default(),
            offers: watch::Sender::default(),
        };
        Self { shared: Arc::new(shared), tasks: Mutex::default(), stop: CancellationToken::new() }
    }

    pub fn name(&self) -> &str {
        &self.shared.spec.name
    }

    pub fn spec(&self) -> &McpServerSpec {
        &self.shared.spec
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.shared.changes.subscribe()
    }

    /// Returns what waits for each change of its status from now on.
    pub fn watch(&self) -> McpServerWatch {
        McpServerWatch {
            state: self.shared.state.subscribe(),
            tools: self.shared.tools.subscribe(),
            changes: self.changes(),
            offers: self.shared.offers.subscribe(),
        }
    }

    /// Lists anew what a server that runs said to be out of date.
    pub async fn refresh(&self) {
        if !matches!(&*self.shared.state.borrow(), ServerState::Ready(_)) {
            return;
        }
        let is_listed = self.shared.listed.load(Ordering::Acquire) == self.shared.changed.load(Ordering::Acquire);
        // What fails stays as it was.
        if !is_listed {
            let _ = self.list_tools().await;
        }
        let _ = self.list_offers().await;
    }

    /// Returns how it is just now.
    pub fn status(&self) -> McpServerStatus {
        let state = self.shared.state.borrow().clone();
        let peer = match &state {
            ServerState::Ready(connection) => connection.service.peer_info(),
            ServerState::Idle | ServerState::Starting | ServerState::Login(_) | ServerState::Failed(_) => None,
        };
        let offers = self.known_offers();
        let software = peer.as_ref().and_then(|peer| peer.server_info.as_ref());
        McpServerStatus {
            name: self.name().to_owned(),
            place: self.spec().place(),
            access: self.spec().access_words(SandboxSupport::known()),
            state: match state {
                ServerState::Idle => McpServerState::Idle,
                ServerState::Starting => McpServerState::Starting,
                ServerState::Login(url) => McpServerState::Login(url),
                ServerState::Ready(_) => McpServerState::Ready,
                ServerState::Failed(why) => McpServerState::Failed(why),
            },
            protocol: peer.as_ref().map(|peer| peer.protocol_version.to_string()),
            software: software.map(|software| format!("{} {}", software.name, software.version)),
            tools: self.shared.tools.borrow().iter().map(summary).collect(),
            prompts: offers.iter().flat_map(|offers| offers.prompts()).map(|prompt| prompt.name).collect(),
            resources: offers.iter().flat_map(|offers| offers.addresses()).collect(),
            stderr: self.shared.stderr.borrow().clone(),
        }
    }

    /// Starts it if it is not needed for the first time, and waits until it speaks.
    pub(super) async fn connection(&self) -> Result<Arc<Connection>, String> {
        self.start(false);
        let mut state = self.shared.state.subscribe();
        let settled = state.wait_for(|state| matches!(state, ServerState::Ready(_) | ServerState::Failed(_))).await;
        match settled.as_deref() {
            Ok(ServerState::Ready(connection)) => Ok(Arc::clone(connection)),
            Ok(ServerState::Failed(why)) => Err(why.clone()),
            Ok(ServerState::Idle | ServerState::Starting | ServerState::Login(_)) | Err(_) => {
                Err("it was stopped".to_owned())
            }
        }
    }

    /// Lists its tools, starting it if need be.
    ///
    /// # Errors
    ///
    /// Fails with the reason if it can't be started or lists none.
    pub async fn list_tools(&self) -> Result<Vec<Tool>, String> {
        let connection = self.connection().await?;
        let changed = self.shared.changed.load(Ordering::Acquire);
        let offers_tools = connection.service.peer_info().is_none_or(|peer| peer.capabilities.tools.is_some());
        let tools = if offers_tools {
            let listed = connection.service.list_all_tools().await;
            listed.map_err(|error| one_line(&failure(&error), MAX_REASON_CELLS))?
        } else {
            Vec::new()
        };
        self.shared.listed.store(changed, Ordering::Release);
        self.shared.tools.send_replace(tools.clone());
        Ok(tools)
    }

    pub(super) fn known_tool(&self, name: &str) -> Option<Tool> {
        self.shared.tools.borrow().iter().find(|tool| tool.name == name).cloned()
    }

    /// Starts it once more, whatever its state.
    pub fn restart(&self) {
        self.start(true);
    }

    fn start(&self, again: bool) {
        let is_needed = |state: &ServerState| match state {
            ServerState::Idle => true,
            // Of an address nobody tells that it is gone; of a program its end does.
            ServerState::Ready(connection) => {
                let is_address = matches!(self.shared.spec.connection, McpConnection::Address(_));
                again || (is_address && connection.service.is_transport_closed())
            }
            ServerState::Starting | ServerState::Login(_) | ServerState::Failed(_) => again,
        };
        let begins = self.shared.state.send_if_modified(|state| {
            let begins = is_needed(state);
            if begins {
                *state = ServerState::Starting;
            }
            begins
        });
        if begins {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            // The program of an earlier run ends with its task.
            tasks.abort_all();
            tasks.spawn(run(Arc::clone(&self.shared), self.stop.clone(), again));
        }
    }

    /// Ends it, giving it time to go by itself.
    pub async fn close(&self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

/// Keeps a server running until it is stopped or can't be. Where the person started it, it may have them log in.
async fn run(shared: Arc<Shared>, stop: CancellationToken, mut may_log_in: bool) {
    let mut was_respawned = false;
    loop {
        let begun = Instant::now();
        let opening = tokio::time::timeout(shared.spec.start_timeout, open(&shared));
        let opened = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            opened = opening => opened.unwrap_or_else(|_| {
                Err(format!(
                    "it said nothing within {} s; give it longer with mcp.{}.start_timeout",
                    shared.spec.start_timeout.as_secs(),
                    shared.spec.name
                ))
            }),
        };
        let (connection, mut program) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                let challenge = shared.take_challenge().filter(|_| std::mem::take(&mut may_log_in));
                let Some(challenge) = challenge else { return shared.fail(&why) };
                let done = tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    done = shared.log_in(&challenge) => done,
                };
                match done {
                    Ok(()) => {
                        shared.state.send_replace(ServerState::Starting);
                        continue;
                    }
                    Err(why) => return shared.fail(&why),
                }
            }
        };
        let connection = Arc::new(connection);
        shared.offers.send_replace(None);
        shared.state.send_replace(ServerState::Ready(Arc::clone(&connection)));
        shared.tools_changed();
        let ended = {
            let changes = follow_changes(connection, &shared);
            let follow = async {
                match &mut program {
                    Some((program, stderr)) => {
                        let _ = stderr_while(stderr, &shared.stderr, program.ended()).await;
                        program.ended().await
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => None,
                ended = follow => Some(ended),
                () = Box::pin(changes) => None,
            }
        };
        let Some(ended) = ended else {
            // The last one who holds the connection closes the program's input.
            shared.state.send_replace(ServerState::Idle);
            if let Some((program, _)) = program {
                program.stop().await;
            }
            return;
        };
        if begun.elapsed() > STABLE_AFTER {
            was_respawned = false;
        }
        if std::mem::replace(&mut was_respawned, true) {
            return shared.fail(&format!("{ended}, and did so again after it was started once more"));
        }
        tracing::warn!("the MCP server {} ended ({ended}); it is started once more", shared.spec.name);
        shared.state.send_replace(ServerState::Starting);
    }
}

/// Follows the changes of a server of the newest revision, which tells them on a stream of their own; never ends. Older
/// ones tell them unasked.
async fn follow_changes(connection: Arc<Connection>, shared: &Shared) {
    let peer = connection.service.peer_info();
    let filter = peer.filter(|peer| peer.protocol_version >= ProtocolVersion::V_2026_07_28).and_then(|peer| {
        let all = &peer.capabilities;
        let tools = all.tools.as_ref().and_then(|tools| tools.list_changed) == Some(true);
        let prompts = all.prompts.as_ref().and_then(|prompts| prompts.list_changed) == Some(true);
        let resources = all.resources.as_ref().and_then(|resources| resources.list_changed) == Some(true);
        let mut filter = SubscriptionFilter::builder();
        if tools {
            filter = filter.tools_list_changed();
        }
        if prompts {
            filter = filter.prompts_list_changed();
        }
        if resources {
            filter = filter.resources_list_changed();
        }
        (tools || prompts || resources).then(|| filter.build())
    });
    if let Some(filter) = filter {
        // A server that refuses has a list that stays.
        if let Ok(mut stream) = connection.service.listen(filter).await {
            drop(connection);
            while let Ok(Some(told)) = stream.next().await {
                match told {
                    ServerNotification::ToolListChangedNotification(_) => shared.tools_changed(),
                    ServerNotification::PromptListChangedNotification(_)
                    | ServerNotification::ResourceListChangedNotification(_) => {
                        shared.offers.send_replace(None);
                    }
                    _ => {}
                }
            }
        }
    }
    std::future::pending::<()>().await;
}

impl Shared {
    pub(super) fn want_login(&self, challenge: Option<String>) {
        *self.challenge.lock().unwrap_or_else(PoisonError::into_inner) = challenge;
    }

    fn take_challenge(&self) -> Option<String> {
        self.challenge.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has the person log in, whom the state tells where.
    async fn log_in(&self, challenge: &str) -> Result<(), String> {
        let McpConnection::Address(url) = &self.spec.connection else { return Err("it has no address".to_owned()) };
        let show = |address| {
            self.state.send_replace(ServerState::Login(address));
        };
        Box::pin(log_in(url, challenge, &self.spec.login_file, &self.spec.http, show)).await
    }

    fn tools_changed(&self) {
        self.changed.fetch_add(1, Ordering::AcqRel);
        self.changes.send_replace(());
    }

    fn fail(&self, why: &str) {
        let stderr = self.stderr.borrow();
        let last = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let last = one_line(last, MAX_REASON_CELLS);
        let said = if last.is_empty() { String::new() } else { format!("; its last words: {last}") };
        let refused = self.spec.refusal(&stderr).map(|why| format!("; {}", one_line(&why, MAX_REASON_CELLS)));
        let why = format!("{}{said}{}", one_line(why, MAX_REASON_CELLS), refused.unwrap_or_default());
        drop(stderr);
        self.state.send_replace(ServerState::Failed(why));
        self.tools.send_replace(Vec::new());
        self.changes.send_replace(());
    }

    pub(super) fn client(&self) -> Client {
        Client {
            name: self.spec.name.clone(),
            folder: self.spec.folder.clone(),
            calls: Mutex::default(),
            changes: self.changes.clone(),
            changed: Arc::clone(&self.changed),
            offers: self.offers.clone(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
