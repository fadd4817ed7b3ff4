//! A server: started when it is needed, connected, started once more if it ends, and stopped with this program.
//!
//! | state | goes to |
//! | --- | --- |
//! | idle | starting, when its tools are asked for |
//! | starting | ready, or failed with the reason and the end of what it wrote |
//! | ready | starting, the first time that it ends within a minute; else failed |
//! | failed | starting, when the person says so |

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::model::{ProtocolVersion, ServerNotification, SubscriptionFilter, Tool};
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::connection::{Connection, failure};
use super::http_transport::McpHttp;
use super::program::{ServerProgram, is_there, server_command};
use super::spec::{McpConnection, McpServerSpec};
use super::stderr_tail::keep_tail;
use super::tool_list::summary;
use crate::event::{McpServerState, McpServerStatus};
use crate::net::request::HttpHeaderValue;
use crate::sandbox::SandboxSupport;
use crate::text::one_line;

/// A server that ran for so long before it ended is started again each time.
const STABLE_AFTER: Duration = Duration::from_mins(1);
/// What of a message from outside is told.
const MAX_REASON_CELLS: usize = 300;
/// How long the rest of standard error may take once a server has ended.
const STDERR_TIMEOUT: Duration = Duration::from_millis(200);

/// A server of the settings. Dropping it ends it.
pub struct McpServer {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
    stop: CancellationToken,
}

/// What the task of a server and everyone else share.
struct Shared {
    spec: McpServerSpec,
    state: watch::Sender<ServerState>,
    /// The tools as they were listed last.
    tools: watch::Sender<Vec<Tool>>,
    stderr: watch::Sender<String>,
    changes: watch::Sender<()>,
}

#[derive(Clone)]
enum ServerState {
    Idle,
    Starting,
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
            changes: watch::Sender::default(),
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

    /// Waits until its state or its tools are others. Cancel-safe.
    pub async fn status_changes(&self) {
        let (mut state, mut tools) = (self.shared.state.subscribe(), self.shared.tools.subscribe());
        // The senders live as long as this.
        tokio::select! {
            _ = state.changed() => {}
            _ = tools.changed() => {}
        }
    }

    /// Returns how it is just now.
    pub fn status(&self) -> McpServerStatus {
        let state = self.shared.state.borrow().clone();
        let peer = match &state {
            ServerState::Ready(connection) => connection.service.peer_info(),
            ServerState::Idle | ServerState::Starting | ServerState::Failed(_) => None,
        };
        let software = peer.as_ref().and_then(|peer| peer.server_info.as_ref());
        McpServerStatus {
            name: self.name().to_owned(),
            place: self.spec().place(),
            access: self.spec().access_words(SandboxSupport::known()),
            state: match state {
                ServerState::Idle => McpServerState::Idle,
                ServerState::Starting => McpServerState::Starting,
                ServerState::Ready(_) => McpServerState::Ready,
                ServerState::Failed(why) => McpServerState::Failed(why),
            },
            protocol: peer.as_ref().map(|peer| peer.protocol_version.to_string()),
            software: software.map(|software| format!("{} {}", software.name, software.version)),
            tools: self.shared.tools.borrow().iter().map(summary).collect(),
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
            Ok(ServerState::Idle | ServerState::Starting) | Err(_) => Err("it was stopped".to_owned()),
        }
    }

    /// Lists its tools, starting it if need be.
    ///
    /// # Errors
    ///
    /// Fails with the reason if it can't be started or lists none.
    pub async fn list_tools(&self) -> Result<Vec<Tool>, String> {
        let connection = self.connection().await?;
        let offers_tools = connection.service.peer_info().is_none_or(|peer| peer.capabilities.tools.is_some());
        let tools = if offers_tools {
            let listed = connection.service.list_all_tools().await;
            listed.map_err(|error| one_line(&failure(&error), MAX_REASON_CELLS))?
        } else {
            Vec::new()
        };
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
            ServerState::Starting | ServerState::Failed(_) => again,
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
            tasks.spawn(run(Arc::clone(&self.shared), self.stop.clone()));
        }
    }

    /// Ends it, giving it time to go by itself.
    pub async fn close(&self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

/// Keeps a server running until it is stopped or can't be.
async fn run(shared: Arc<Shared>, stop: CancellationToken) {
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
            Err(why) => return shared.fail(&why),
        };
        let connection = Arc::new(connection);
        shared.state.send_replace(ServerState::Ready(Arc::clone(&connection)));
        shared.changes.send_replace(());
        let ended = {
            let changes = follow_changes(connection, &shared.changes);
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
async fn follow_changes(connection: Arc<Connection>, changes: &watch::Sender<()>) {
    let peer = connection.service.peer_info();
    let follows = peer.is_some_and(|peer| {
        let tells = peer.capabilities.tools.as_ref().and_then(|tools| tools.list_changed);
        peer.protocol_version >= ProtocolVersion::V_2026_07_28 && tells == Some(true)
    });
    if follows {
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        // A server that refuses has a list that stays.
        if let Ok(mut stream) = connection.service.listen(filter).await {
            drop(connection);
            while let Ok(Some(told)) = stream.next().await {
                if matches!(told, ServerNotification::ToolListChangedNotification(_)) {
                    changes.send_replace(());
                }
            }
        }
    }
    std::future::pending::<()>().await;
}

impl Shared {
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

    fn client(&self) -> Client {
        Client {
            name: self.spec.name.clone(),
            folder: self.spec.folder.clone(),
            calls: Mutex::default(),
            changes: self.changes.clone(),
        }
    }
}

type Stderr = tokio::process::ChildStderr;
type OpenedServer = (Connection, Option<(ServerProgram, Option<Stderr>)>);

async fn open(shared: &Shared) -> Result<OpenedServer, String> {
    let spec = shared.spec.clone();
    let prepare = move || (spec.values)().map(|values| (values, spec.supervised()));
    let (values, supervised) = tokio::task::spawn_blocking(prepare).await.map_err(|error| error.to_string())??;
    match &shared.spec.connection {
        McpConnection::Program(words) => {
            // A server that ends when it is asked what newer ones are asked is started again for the older handshake.
            let mut failed = String::new();
            for lifecycle in [newest_lifecycle(), ClientLifecycleMode::Initialize] {
                shared.stderr.send_replace(String::new());
                let ours = |name: &str| std::env::var(name).ok();
                let command = server_command(&shared.spec, words, &values, supervised.as_ref(), ours);
                let program = words.first().map_or("", String::as_str);
                match open_program(shared, program, command, supervised.is_some(), lifecycle).await {
                    Ok(opened) => return Ok(opened),
                    Err(OpenError::Ended(why)) => failed = why,
                    Err(OpenError::Final(why)) => return Err(why),
                }
            }
            Err(failed)
        }
        McpConnection::Address(url) => {
            let headers = values.into_iter().map(|(name, value)| (name, HttpHeaderValue::Secret(value))).collect();
            let client = McpHttp { http: shared.spec.http.clone(), headers };
            let config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
            let transport = StreamableHttpClientTransport::with_client(client, config);
            let opening = shared.client().serve_with_lifecycle(transport, newest_lifecycle());
            let service = Box::pin(opening).await.map_err(|error| opening_failure(&error, &shared.spec.name))?;
            Ok((Connection { service }, None))
        }
    }
}

/// Says why a server at an address can't be used.
fn opening_failure(error: &ClientInitializeError, name: &str) -> String {
    if error.is_authorization_required() || error.auth_challenge().is_some() {
        return format!("it wants a login: set mcp.{name}.token in the settings, such as \"env:NAME\"");
    }
    // The innermost reason is the one with words for a person.
    let mut source: &dyn std::error::Error = match error {
        ClientInitializeError::TransportError { error, .. } => error.error.as_ref(),
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => return opening_failure(fallback, name),
        error => error,
    };
    while let Some(inner) = source.source() {
        source = inner;
    }
    source.to_string()
}

enum OpenError {
    /// The program ended before it answered.
    Ended(String),
    Final(String),
}

async fn open_program(
    shared: &Shared,
    name: &str,
    command: std::process::Command,
    is_supervised: bool,
    lifecycle: ClientLifecycleMode,
) -> Result<OpenedServer, OpenError> {
    let absent = || {
        let what = "is not installed, or not in PATH; install it, or write its whole path in the settings";
        OpenError::Final(format!("`{name}` {what}"))
    };
    let path = command.get_envs().find_map(|(name, value)| (name == "PATH").then_some(value?));
    if is_supervised && !is_there(name, &shared.spec.folder, path.unwrap_or_default()) {
        return Err(absent());
    }
    let mut program = ServerProgram::start(command, is_supervised).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => absent(),
        _ => OpenError::Final(format!("`{name}` can't be started: {error}")),
    })?;
    let child = &mut program.running.child;
    let (stdin, stdout) = (child.stdin().take(), child.stdout().take());
    let mut stderr = child.stderr().take();
    let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
        return Err(OpenError::Final("its standard streams can't be used".to_owned()));
    };
    let transport = AsyncRwTransport::new_client(stdout, stdin);
    let handshake = shared.client().serve_with_lifecycle(transport, lifecycle);
    let answered = stderr_while(&mut stderr, &shared.stderr, Box::pin(handshake)).await;
    match answered {
        Ok(service) => Ok((Connection { service }, Some((program, stderr)))),
        Err(error) => {
            let ended = tokio::time::timeout(STDERR_TIMEOUT, program.ended()).await.ok();
            if let Some(stderr) = &mut stderr {
                let _ = tokio::time::timeout(STDERR_TIMEOUT, keep_tail(stderr, &shared.stderr)).await;
            }
            Err(match ended {
                Some(ended) => OpenError::Ended(format!("{ended} before it answered")),
                None => OpenError::Final(format!("it does not speak the protocol: {error}")),
            })
        }
    }
}

/// Does some work while standard error is read, so that a program never waits for that.
async fn stderr_while<T>(
    stderr: &mut Option<Stderr>,
    tail: &watch::Sender<String>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    if let Some(reader) = stderr {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = keep_tail(reader, tail) => {}
        }
        *stderr = None;
    }
    work.await
}

/// Asks for the newest revision, and falls back to the handshake of the older ones.
fn newest_lifecycle() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: Some(ProtocolVersion::V_2025_11_25),
    }
}

#[cfg(test)]
pub(super) mod tests;
