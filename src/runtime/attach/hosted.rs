//! An agent program that a server hosts: each session has a program of its own, which is started when it is needed.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::known_agents;
use super::peer::{peer_opening, protocol};
use super::target::{LocalTarget, PeerCommand};
use super::watch::command_with_keys;
use crate::agent::ApprovalSettings;
use crate::agent::approval::ApprovalPolicy;
use crate::agent::ids::IdAllocator;
use crate::bridge::peer::{
    self, HostedProgram, KeepSession, PeerClock, PeerConnection, PeerHost, PeerSession, PeerSource, PeerTools,
};
use crate::bridge::program::RunningProgram;
use crate::bridge::{SessionHandle, new_uuid, session};
use crate::cli;
use crate::config::Config;
use crate::engine::remote::ACP;
use crate::event::{Grant, Seq};
use crate::journal::{self, AgentSession, StatePart};
use crate::net::traffic::TrafficTap;
use crate::runtime::{PreparedSession, Runtime, UsageError, wall_clock};

/// The agent program that a server hosts.
#[derive(Clone, Debug)]
pub struct HostedAgent {
    name: String,
    command: PeerCommand,
    model: Option<String>,
    /// Variables with tokens of the server, which are none of its business.
    hidden_variables: Vec<String>,
}

/// What a session of it is to be.
pub(in crate::runtime) struct HostedSession {
    pub(in crate::runtime) prepared: PreparedSession,
    pub(in crate::runtime) policy: ApprovalPolicy,
    pub(in crate::runtime) folder: PathBuf,
    /// In place of the model with which the server was started.
    pub(in crate::runtime) model: Option<String>,
    pub(in crate::runtime) approvals: ApprovalSettings,
    /// Nobody can decide: what needs that is denied.
    pub(in crate::runtime) is_unattended: bool,
    /// Only a prompt or a setting starts the program.
    pub(in crate::runtime) starts_late: bool,
    /// Goes before the first prompt.
    pub(in crate::runtime) preamble: Option<String>,
    /// Knows the ids of a history that a client sent; otherwise the log has them.
    pub(in crate::runtime) past_ids: Option<IdAllocator>,
}

impl HostedAgent {
    /// Returns the program that the arguments of a server name, if they do.
    pub(in crate::runtime) fn resolve(args: &cli::ServeArgs, config: &Config) -> Result<Option<Self>, UsageError> {
        let Some(command) = Self::command(args, config)? else { return Ok(None) };
        let misfits = [(args.system.is_some(), "--system"), (args.replay.is_some(), "--replay")];
        if let Some((_, flag)) = misfits.iter().find(|(is_given, _)| *is_given) {
            return Err(UsageError(format!("an agent program answers for itself: remove {flag}")));
        }
        let name = LocalTarget::Peer(command.clone()).name();
        let flags = [&args.token_env, &args.read_token_env].into_iter().flatten().cloned();
        let hidden_variables = config.server_token_variables().into_iter().chain(flags).collect();
        Ok(Some(Self { name, command, model: args.model.clone(), hidden_variables }))
    }

    fn command(args: &cli::ServeArgs, config: &Config) -> Result<Option<PeerCommand>, UsageError> {
        if let Some((program, words)) = args.command.split_first() {
            let request = known_agents::recognize(program, words).unwrap_or(&ACP);
            return Ok(Some(PeerCommand::new(program.clone(), words.to_vec(), request)));
        }
        let Some(target) = args.agent.as_deref() else { return Ok(None) };
        let found = PeerCommand::find(target, config)?;
        let text =
            || format!("{target:?} is no agent program: name one as acp:NAME, or start it with `serve -- COMMAND`");
        found.map(Some).ok_or_else(|| UsageError(text()))
    }

    pub(in crate::runtime) fn name(&self) -> &str {
        &self.name
    }
}

impl Runtime {
    /// Starts a session of a program that is hosted.
    pub(in crate::runtime) fn host_session(&self, agent: &HostedAgent, hosted: HostedSession) -> SessionHandle {
        let HostedSession {
            prepared,
            mut policy,
            folder,
            model,
            mut approvals,
            is_unattended,
            starts_late,
            preamble,
            past_ids,
        } = hosted;
        let epoch = Instant::now();
        let PreparedSession {
            session: id,
            hub,
            writer,
            save_error,
            shared_log,
            resume_point,
            past,
            sealed,
            notices,
            ..
        } = prepared;
        let granted = prepared.grants.iter().map(Grant::pattern).collect();
        policy.restore_grants(prepared.grants);
        approvals.epoch_time = resume_point.base;
        let is_kept = writer.as_ref().is_some_and(|writer| writer.header().kind != journal::ONE_SHOT_KIND);
        let state_store = is_kept.then(|| self.session_state(&id)).flatten();
        let kept: AgentSession = self.load_state(&id, StatePart::AgentSession, &mut Vec::new());
        let session = PeerSession {
            folder: folder.display().to_string(),
            session: Some(kept.session).filter(|session| kept.agent == agent.name && !session.is_empty()),
            model: model.or_else(|| agent.model.clone()),
            mode: policy.mode,
            starts_afresh: true,
            is_remote: false,
            client_id: new_uuid().to_string(),
            clock: PeerClock(wall_clock),
        };
        let past_ids: BoxFuture<'static, IdAllocator> = match past_ids {
            Some(ids) => Box::pin(async { ids }),
            None => Box::pin(async { past.await.unwrap_or_default().1 }),
        };
        let host = PeerHost {
            past_ids,
            has_past: resume_point.last_seq > Seq(0),
            starts_late,
            preamble,
            keep_session: state_store.clone().map(|state| {
                let agent = agent.name.clone();
                let keep = move |session: &str| {
                    let kept = AgentSession { agent: agent.clone(), session: session.to_owned() };
                    if let Err(error) = state.save(StatePart::AgentSession, &kept) {
                        tracing::warn!("the agent's session can't be kept for the next run: {error}");
                    }
                };
                Box::new(keep) as KeepSession
            }),
            hub: hub.clone(),
        };
        let source = PeerSource {
            protocol: protocol(agent.command.request),
            connection: PeerConnection::Hosted(self.hosted_program(agent, folder.clone())),
            opened: peer_opening(&agent.name, &session, !is_unattended),
            session,
            policy,
            tools: PeerTools {
                tools: self.tools.clone(),
                folder,
                extra_folders: self.tool_folders(),
                hidden_env_vars: self.hidden_variables.clone().into(),
            },
            is_unattended,
            approvals,
            host: Some(host),
            epoch,
        };
        let mut running = self.running();
        let feed = peer::start(source, &mut running.tasks);
        let setup = session::SessionSetup {
            session: id,
            hub,
            writer,
            save_error,
            shared_log,
            resume_point,
            state_store,
            queued_prompts: prepared.queued_prompts,
            saved_grants: granted,
            save_listener: self.save_listener.clone(),
            prior: Box::pin(async move { sealed.await.unwrap_or_default() }),
            notices,
            epoch,
        };
        self.trace(&mut running, &setup.session, &setup.hub);
        session::start(setup, feed, &mut running.tasks)
    }

    fn hosted_program(&self, agent: &HostedAgent, folder: PathBuf) -> HostedProgram {
        let HostedAgent { name, command, hidden_variables, .. } = agent.clone();
        let (program, args): (OsString, Vec<OsString>) = (command.program, command.args);
        let label = name.clone();
        let start = move || {
            let mut command = command_with_keys(&program, &args, &folder, &hidden_variables);
            command.stdin(Stdio::piped());
            RunningProgram::start(command, label.clone())
        };
        HostedProgram { name, start: Box::new(start), tap: TrafficTap::to_ring(self.traffic.clone()) }
    }
}
