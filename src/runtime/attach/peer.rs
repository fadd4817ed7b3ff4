//! Attaching to an agent program: it is started, and the conversation with it is a session like any other.

use tokio::time::Instant;

use super::target::{AttachTarget, PeerCommand, start_failure};
use super::{AttachedSession, RemoteModels};
use crate::agent::approval::ApprovalPolicy;
use crate::bridge::peer::{self, PeerProtocolKind, PeerSession, PeerSource, PeerTools};
use crate::bridge::program::RunningProgram;
use crate::bridge::session;
use crate::cli;
use crate::engine::remote::CODEX_APP_SERVER;
use crate::event::{AgentEvent, Capabilities, Seq};
use crate::net::traffic::TrafficTap;
use crate::runtime::{Frontend, PreparedSession, Runtime, wall_clock};

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
        let session = PeerSession {
            folder: self.folder.display().to_string(),
            session: typed.session.clone().filter(|session| session != "new"),
            model: target.model.clone(),
            mode: policy.mode,
        };
        let protocol =
            if *command.request == CODEX_APP_SERVER { PeerProtocolKind::CodexAppServer } else { PeerProtocolKind::Acp };
        Ok(self.converse((protocol, program, tap), target, session, policy))
    }

    fn converse(
        &self,
        (protocol, program, tap): (PeerProtocolKind, RunningProgram, TrafficTap),
        target: &AttachTarget,
        session: PeerSession,
        policy: ApprovalPolicy,
    ) -> AttachedSession {
        let epoch = Instant::now();
        let is_unattended = self.frontend == Frontend::Headless;
        let opened = AgentEvent::SessionOpened {
            wall_ms: wall_clock(),
            engine: target.name.clone(),
            model: String::new(),
            engine_reason: "acts itself, with your rights".to_owned(),
            mode: policy.mode,
            folder: session.folder.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: Capabilities { prompt: true, decide: !is_unattended, cancel: true, seek: false },
            context_window: None,
            price: None,
        };
        let PreparedSession { session: id, hub, writer, save_error, resume_point, sealed, notices, .. } =
            self.create_log();
        let tools = PeerTools {
            tools: self.tools.clone(),
            folder: self.folder.clone(),
            extra_folders: self.tool_folders(),
            hidden_env_vars: self.hidden_variables.clone().into(),
        };
        let source = PeerSource { protocol, program, tap, session, opened, policy, tools, is_unattended, epoch };
        let mut running = self.running();
        let feed = peer::start(source, &mut running.tasks);
        let setup = session::SessionSetup {
            state_store: writer.is_some().then(|| self.session_state(&id)).flatten(),
            session: id,
            hub,
            writer,
            save_error,
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
