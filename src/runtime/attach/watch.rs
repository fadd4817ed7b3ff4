//! Sources that are only watched: a stream fetched by GET, a file of its bytes, a pipe, a program that is run for it, or
//! a session's log.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::time::Instant;

use super::target::{AttachTarget, LocalTarget, start_failure};
use super::{AttachedSession, RemoteModels, UsageError};
use crate::bridge::program::RunningProgram;
use crate::bridge::{remote, session};
use crate::cli;
use crate::config::environment;
use crate::dialect::{Decode, DecodeContext};
use crate::engine::remote::{AnnouncingDetector, RemoteTarget};
use crate::event::{AgentEvent, ApprovalMode, Capabilities, Seq};
use crate::journal::Reader;
use crate::net::request::{Framing, HttpMethod, HttpRequest};
use crate::net::traffic::TrafficTap;
use crate::net::{HttpClient, RequestPolicy};
use crate::runtime::{Frontend, PreparedSession, Runtime, replay, wall_clock};
use crate::text::address::path_and_query;

/// How often a watched stream is reopened without progress.
const MAX_RECONNECTS: u32 = 6;

/// Returns the command of a program that gets the environment of the person, without these variables.
pub(super) fn command_with_keys(program: &OsStr, args: &[OsString], folder: &Path, hidden: &[String]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder);
    environment::restore_keys(&mut command, hidden);
    command
}

impl Runtime {
    pub(super) fn watch_stream(
        &self,
        http: HttpClient,
        target: &RemoteTarget,
        aim: &AttachTarget,
        notices: Vec<AgentEvent>,
    ) -> AttachedSession {
        let call = HttpRequest {
            method: aim.method.unwrap_or(HttpMethod::Get),
            url: target.url.clone(),
            headers: target.headers.clone(),
            body: None,
            framing: Framing::Any,
        };
        let epoch = Instant::now();
        let timeouts = RequestPolicy {
            first_byte_timeout: aim.idle_timeout,
            idle_timeout: aim.idle_timeout,
            no_output_timeout: Duration::ZERO,
            max_retries: MAX_RECONNECTS,
            may_resend: true,
            epoch,
            retry_now: None,
        };
        let from = remote::StreamSource::Stream { http, call, timeouts };
        self.start_watching(
            from,
            aim,
            path_and_query(&target.url).0.to_owned(),
            target.explains_every_turn,
            notices,
            epoch,
        )
    }

    /// Watches what is on this machine.
    pub(super) fn watch_local(
        &self,
        local: &LocalTarget,
        tap: TrafficTap,
        target: &AttachTarget,
        typed: &cli::AttachArgs,
    ) -> anyhow::Result<AttachedSession> {
        let (name, idle_timeout) = (target.name.clone(), target.idle_timeout);
        let from = match local {
            LocalTarget::File(path) => return self.play_file(path.clone(), target, typed),
            LocalTarget::Stdin if std::io::stdin().is_terminal() => {
                let text = "standard input is a terminal: pipe the output of a program into it";
                return Err(UsageError(text.to_owned()).into());
            }
            LocalTarget::Stdin => {
                let input = Box::new(tokio::io::stdin());
                remote::StreamSource::Pipe(remote::PipeSource { input, name, tap, idle_timeout })
            }
            LocalTarget::Peer(_) => return Err(UsageError(format!("{name} is spoken with, not watched")).into()),
            LocalTarget::Program(program, args) => {
                let command = self.program_command(program, args);
                let program = RunningProgram::start(command, name).map_err(|error| start_failure(program, &error))?;
                remote::StreamSource::Program(remote::ProgramSource { program, tap, idle_timeout })
            }
        };
        Ok(self.start_watching(from, target, String::new(), typed.explain, Vec::new(), Instant::now()))
    }

    /// Returns the command of a program that gets the environment of the person, without the tokens of our own server.
    /// It gets a pipe or a file on standard input as well, but never the terminal.
    pub(super) fn program_command(&self, program: &OsStr, args: &[OsString]) -> Command {
        let mut command = command_with_keys(program, args, &self.folder, &self.config().server_token_variables());
        let stdin = std::io::stdin();
        command.stdin(if stdin.is_terminal() { Stdio::null() } else { Stdio::inherit() });
        command
    }

    /// Plays a file: the bytes of a stream through a decoder, and a session's log, intact or damaged, as a replay.
    pub(super) fn play_file(
        &self,
        path: PathBuf,
        target: &AttachTarget,
        typed: &cli::AttachArgs,
    ) -> anyhow::Result<AttachedSession> {
        if target.dialect.is_none()
            && let Ok(log) = Reader::open(&path)
        {
            return self.play_log(log, &path);
        }
        let paced = self.frontend == Frontend::Tui;
        let from = remote::StreamSource::File { path, paced, ring: self.traffic.clone() };
        Ok(self.start_watching(from, target, String::new(), typed.explain, Vec::new(), Instant::now()))
    }

    fn play_log(&self, log: Reader, path: &Path) -> anyhow::Result<AttachedSession> {
        let on_screen = self.frontend == Frontend::Tui;
        let live = if on_screen {
            replay::start(log, replay::ReplayOptions::default(), &mut self.running().tasks)?
        } else {
            replay::start_finished(log)?
        };
        let models = RemoteModels { http: self.http.clone(), target: None, listed: Vec::new(), jarvis_server: None };
        let remarks = || {
            let played = format!("{} is a session log; playing it as `jarvis-tui replay` does", path.display());
            let damage = self.find_log_damage(path).into_iter().map(|(_, text)| text);
            damage.chain(std::iter::once(played)).collect::<Vec<_>>().join("; ")
        };
        Ok(AttachedSession {
            handle: live,
            history_end: Seq(0),
            opened_event: None,
            models,
            remarks: on_screen.then(remarks).into_iter().collect(),
            shared: false,
        })
    }

    fn start_watching(
        &self,
        from: remote::StreamSource,
        target: &AttachTarget,
        path: String,
        explain: bool,
        notices: Vec<AgentEvent>,
        epoch: Instant,
    ) -> AttachedSession {
        let mut prepared = self.create_log();
        prepared.notices.extend(notices);
        let PreparedSession {
            session,
            hub,
            writer,
            save_error: not_saved,
            shared_log: _,
            resume_point,
            past: _,
            sealed,
            notices,
            started_at: _,
            queued_prompts: _,
            grants: _,
            restored: _,
        } = prepared;
        let announced = Arc::new(AtomicBool::new(false));
        let dialect = target.dialect.clone();
        let decoders: remote::SharedDecoderFactory = Arc::new(move || {
            let context = DecodeContext { path: path.clone(), ..DecodeContext::default() };
            Box::new(AnnouncingDetector::new(dialect.as_deref(), context, announced.clone(), explain))
                as Box<dyn Decode>
        });
        let opened = AgentEvent::SessionOpened {
            wall_ms: wall_clock(),
            engine: target.name.clone(),
            model: String::new(),
            engine_reason: "watched".to_owned(),
            mode: ApprovalMode::default(),
            folder: self.folder.display().to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: Capabilities { cancel: true, ..Capabilities::default() },
            context_window: None,
            price: None,
        };
        let lingers = self.frontend == Frontend::Tui;
        let watched = remote::WatchedStream { source: from, decoder_factory: decoders, opened, stays_open: lingers };
        let feed = remote::start(watched, &mut self.running().tasks);
        let setup = session::SessionSetup {
            session,
            hub,
            writer,
            save_error: not_saved,
            shared_log: None,
            resume_point,
            state_store: None,
            queued_prompts: Vec::new(),
            saved_grants: Vec::new(),
            save_listener: self.save_listener.clone(),
            prior: Box::pin(async move { sealed.await.unwrap_or_default() }),
            notices,
            epoch,
        };
        let live = session::start(setup, feed, &mut self.running().tasks);
        let models = RemoteModels { http: self.http.clone(), target: None, listed: Vec::new(), jarvis_server: None };
        AttachedSession {
            handle: live,
            history_end: Seq(0),
            opened_event: None,
            models,
            remarks: Vec::new(),
            shared: false,
        }
    }
}
