//! Attaching to an agent: its program is started, or it is at an address, and the conversation with it is a session like
//! any other.

use tokio::time::Instant;

use super::target::{AttachTarget, PeerCommand, start_failure};
use super::{AttachedSession, RemoteModels, UsageError};
use crate::agent::ApprovalSettings;
use crate::agent::approval::ApprovalPolicy;
use crate::bridge::new_uuid;
use crate::bridge::peer::{
    self, PeerAddress, PeerClock, PeerConnection, PeerProtocolKind, PeerSession, PeerSource, PeerTools, PeerTransport,
    RemotePeer,
};
use crate::bridge::program::RunningProgram;
use crate::bridge::session;
use crate::cli;
use crate::engine::remote::probe::is_origin;
use crate::engine::remote::{ACP, AHP, CODEX_APP_SERVER, RequestKind};
use crate::event::{AgentEvent, Capabilities, Seq};
use crate::net::register_secrets_of;
use crate::net::request::{Framing, HttpHeaderValue, HttpRequest};
use crate::net::traffic::TrafficTap;
use crate::runtime::{Frontend, PreparedSession, Runtime, wall_clock};
use crate::text::address::{is_loopback, is_websocket};
use crate::text::display_url::redact_login;

impl Runtime {
    pub(super) fn attach_peer(
        &self,
        command: &PeerCommand,
        tap: TrafficTap,
        target: &AttachTarget,
        typed: &cli::AttachArgs,
    ) -> anyhow::Result<AttachedSession> {
        // An invalid setting is reported before anything is started.
        let policy = self.approval_policy()?;
        let mut starting = self.program_command(&command.program, &command.args);
        starting.stdin(std::process::Stdio::piped());
        let program = RunningProgram::start(starting, target.name.clone())
            .map_err(|error| start_failure(&command.program, &error))?;
        let session = self.peer_session(target, typed, &policy, false);
        let connection = PeerConnection::Program { program, tap };
        Ok(self.converse(protocol(command.request), connection, target, session, policy))
    }

    /// Attaches to an agent at an address.
    pub(super) fn attach_remote_peer(
        &self,
        (kind, url): (&'static RequestKind, &str),
        headers: &[(String, HttpHeaderValue)],
        tap: Option<TrafficTap>,
        target: &AttachTarget,
        typed: &cli::AttachArgs,
    ) -> anyhow::Result<AttachedSession> {
        if let Some(flag) = typed.conversation_misfit() {
            let text = format!("--request {} is a conversation with an agent: remove {flag}", kind.name);
            return Err(UsageError(text).into());
        }
        let policy = self.approval_policy()?;
        // The agent may repeat them in whatever it says.
        register_secrets_of(headers);
        let mut addresses = addresses(kind, url, headers).into_iter();
        let Some(address) = addresses.next() else { anyhow::bail!("{} has no address", target.name) };
        let remote = RemotePeer {
            name: target.name.clone(),
            place: redact_login(&address.request.url),
            http: self.http.for_attached_remote(),
            tap: tap.unwrap_or_else(|| TrafficTap::to_ring(self.traffic.clone())),
            address,
            others: addresses.collect(),
        };
        let session = self.peer_session(target, typed, &policy, !is_loopback(url));
        Ok(self.converse(protocol(kind), PeerConnection::Remote(remote), target, session, policy))
    }

    fn peer_session(
        &self,
        target: &AttachTarget,
        typed: &cli::AttachArgs,
        policy: &ApprovalPolicy,
        is_remote: bool,
    ) -> PeerSession {
        PeerSession {
            folder: self.folder.display().to_string(),
            session: typed.session.clone().filter(|session| session != "new"),
            model: target.model.clone(),
            mode: policy.mode,
            starts_afresh: false,
            is_remote,
            client_id: new_uuid().to_string(),
            clock: PeerClock(wall_clock),
        }
    }

    fn converse(
        &self,
        protocol: PeerProtocolKind,
        connection: PeerConnection,
        target: &AttachTarget,
        session: PeerSession,
        policy: ApprovalPolicy,
    ) -> AttachedSession {
        let epoch = Instant::now();
        let is_unattended = self.frontend == Frontend::Headless;
        let opened = peer_opening(&target.name, &session, !is_unattended);
        let PreparedSession { session: id, hub, writer, save_error, resume_point, sealed, notices, .. } =
            self.create_log();
        let tools = PeerTools {
            tools: self.tools.clone(),
            folder: self.folder.clone(),
            extra_folders: self.tool_folders(),
            hidden_env_vars: self.hidden_variables.clone().into(),
        };
        let approvals = ApprovalSettings::default();
        let source = PeerSource {
            protocol,
            connection,
            session,
            opened,
            policy,
            tools,
            is_unattended,
            approvals,
            host: None,
            epoch,
        };
        let mut running = self.running();
        let feed = peer::start(source, &mut running.tasks);
        let setup = session::SessionSetup {
            state_store: writer.is_some().then(|| self.session_state(&id)).flatten(),
            session: id,
            hub,
            writer,
            save_error,
            shared_log: None,
            resume_point,
            queued_prompts: Vec::new(),
            saved_grants: Vec::new(),
            save_listener: self.save_listener.clone(),
            prior: Box::pin(async move { sealed.await.unwrap_or_default() }),
            notices,
            epoch,
        };
        let live = session::start(setup, feed, &mut running.tasks);
        AttachedSession {
            handle: live,
            history_end: Seq(0),
            opened_event: None,
            models: RemoteModels { http: self.http.clone(), target: None, listed: Vec::new(), jarvis_server: None },
            remarks: Vec::new(),
            shared: false,
        }
    }
}

/// Returns the first event of a session with an agent.
pub(super) fn peer_opening(name: &str, session: &PeerSession, can_decide: bool) -> AgentEvent {
    let place = if session.is_remote { "where it runs" } else { "with your rights" };
    AgentEvent::SessionOpened {
        wall_ms: wall_clock(),
        engine: name.to_owned(),
        model: String::new(),
        engine_reason: format!("acts itself, {place}"),
        mode: session.mode,
        folder: session.folder.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        capabilities: Capabilities {
            prompt: true,
            decide: can_decide,
            cancel: true,
            // Until it has said what it is capable of.
            images: true,
            ..Capabilities::default()
        },
        context_window: None,
        price: None,
    }
}

pub(super) fn protocol(kind: &RequestKind) -> PeerProtocolKind {
    match kind {
        kind if *kind == CODEX_APP_SERVER => PeerProtocolKind::CodexAppServer,
        kind if *kind == AHP => PeerProtocolKind::Ahp,
        _ => PeerProtocolKind::Acp,
    }
}

/// Returns where the agent may be, the likeliest first: an address of a WebSocket is one, any other may be both.
fn addresses(kind: &RequestKind, url: &str, headers: &[(String, HttpHeaderValue)]) -> Vec<PeerAddress> {
    let address = |transport: PeerTransport, url: String| PeerAddress {
        transport,
        request: HttpRequest::get(url, headers.to_vec(), Framing::Any),
    };
    let usual = is_origin(url).then(|| format!("{}{}", url.trim_end_matches('/'), kind.default_path));
    let place = usual.clone().unwrap_or_else(|| url.to_owned());
    if *kind != ACP {
        return vec![address(PeerTransport::WebSocket, place)];
    }
    if !is_websocket(url) {
        return vec![address(PeerTransport::Http, place.clone()), address(PeerTransport::WebSocket, place)];
    }
    let bare = usual.map(|_| url.to_owned());
    [Some(place), bare].into_iter().flatten().map(|url| address(PeerTransport::WebSocket, url)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(kind: &RequestKind, url: &str) -> Vec<(PeerTransport, String)> {
        addresses(kind, url, &[]).into_iter().map(|address| (address.transport, address.request.url)).collect()
    }

    #[test]
    fn an_agent_is_looked_for_where_its_address_may_mean() {
        let (socket, http) = (PeerTransport::WebSocket, PeerTransport::Http);
        let at = |transport: PeerTransport, url: &str| (transport, url.to_owned());
        assert_eq!(tried(&ACP, "ws://h/agent?x=1"), [at(socket, "ws://h/agent?x=1")]);
        assert_eq!(tried(&ACP, "ws://h:1"), [at(socket, "ws://h:1/acp"), at(socket, "ws://h:1")]);
        assert_eq!(tried(&ACP, "https://h/"), [at(http, "https://h/acp"), at(socket, "https://h/acp")]);
        assert_eq!(tried(&CODEX_APP_SERVER, "ws://h:1"), [at(socket, "ws://h:1/")]);
    }
}
