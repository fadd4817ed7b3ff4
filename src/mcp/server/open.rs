//! How a server is opened: its program started or its address reached, and the first words exchanged.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use tokio::sync::watch;

use super::super::connection::Connection;
use super::super::http_transport::McpHttp;
use super::super::login::McpLogin;
use super::super::program::{ServerProgram, is_there, server_command};
use super::super::spec::McpConnection;
use super::super::stderr_tail::keep_tail;
use super::Shared;
use crate::net::request::HttpHeaderValue;

/// How long the rest of standard error may take once a server has ended.
const STDERR_TIMEOUT: Duration = Duration::from_millis(200);

pub(super) type Stderr = tokio::process::ChildStderr;
pub(super) type OpenedServer = (Connection, Option<(ServerProgram, Option<Stderr>)>);

/// Starts or reaches a server, until it speaks.
pub(super) async fn open(shared: &Shared) -> Result<OpenedServer, String> {
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
            let headers: Arc<[_]> =
                values.into_iter().map(|(name, value)| (name, HttpHeaderValue::Secret(value))).collect();
            let http = shared.spec.http.clone();
            let has_own = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
            let login = if has_own { None } else { McpLogin::kept(url, &shared.spec.login_file, &http).await };
            let client = McpHttp { http, headers, login };
            let config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
            let transport = StreamableHttpClientTransport::with_client(client, config);
            let opening = shared.client().serve_with_lifecycle(transport, newest_lifecycle());
            let opened = Box::pin(opening).await;
            let service = opened.map_err(|error| {
                if !has_own {
                    shared.want_login(wanted_login(&error));
                }
                opening_failure(&error, &shared.spec.name)
            })?;
            Ok((Connection { service }, None))
        }
    }
}

/// Returns what a server said of the login that it wants; none where it wants none.
fn wanted_login(error: &ClientInitializeError) -> Option<String> {
    let challenge = error.auth_challenge().map(str::to_owned);
    match error {
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => challenge.or_else(|| wanted_login(fallback)),
        error => challenge.or_else(|| error.is_authorization_required().then(String::new)),
    }
}

/// Says why a server at an address can't be used.
fn opening_failure(error: &ClientInitializeError, name: &str) -> String {
    if error.is_authorization_required() || error.auth_challenge().is_some() {
        return format!(
            "it wants a login: `/mcp {name}` or `jarvis-tui mcp login {name}` begins one; or set mcp.{name}.token"
        );
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
pub(super) async fn stderr_while<T>(
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
