//! Sessions for the server: created like any other, each with its own folder, model, mode and grants.

mod hosting;
pub(super) mod listen;
mod model_choices;
mod recording;
pub(super) mod shared;
mod shared_logs;
mod spending;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use self::model_choices::ModelChoices;
use self::recording::Recording;
use super::{HostedAgent, PreparedSession, Runtime, replay, wall_clock};
use crate::agent::approval::ApprovalPolicy;
use crate::agent::history::History;
use crate::agent::ids::IdAllocator;
use crate::agent::{ApprovalSettings, EngineChoice, TurnLimits};
use crate::bridge::SessionHandle;
use crate::bridge::session::notice;
use crate::bridge::shared_log::ClaimError;
use crate::event::{
    AgentEvent, DecidedBy, Millis, NoticeCode, NoticeLevel, OutputFormat, SessionId, ToolKind, ToolSpec,
};
use crate::journal::{self, LogHeader, OpenError, Reader, StatePart};
use crate::serve::error::ApiError;
use crate::serve::factory::{Factory, Model, OneShotSession, OpenRequest, SavedSession};
use crate::serve::request::{OneShotRequest, WantedFormat};
use crate::tool::{ClientTools, Registry, ToolSource};

/// Creates sessions for the server.
pub struct SessionFactory {
    runtime: Arc<Runtime>,
    choices: ModelChoices,
    recording: Option<Recording>,
    /// The agent program that is served in place of our agent.
    hosted: Option<HostedAgent>,
    /// How long an approval waits for a decision; none where a person is always asked.
    approval_timeout: Option<Duration>,
    /// The client starts this program itself: sessions may work in any folder.
    allows_any_folder: bool,
}

/// What answers in a session that is resumed.
enum SessionSource<'a> {
    Program(&'a HostedAgent),
    Engine(Box<EngineChoice>),
}

impl SessionFactory {
    /// Creates the factory. Approvals wait for a decision for `approval_timeout`.
    pub fn new(runtime: Arc<Runtime>, approval_timeout: Duration) -> Self {
        Self {
            choices: ModelChoices::new(Arc::clone(&runtime)),
            runtime,
            recording: None,
            hosted: None,
            approval_timeout: Some(approval_timeout),
            allows_any_folder: false,
        }
    }

    /// Serves the program that started this one: it has the person's rights, and asks the person.
    #[must_use]
    pub fn for_parent_program(self) -> Self {
        Self { approval_timeout: None, allows_any_folder: true, ..self }
    }

    /// Tells warnings this way.
    #[must_use]
    pub fn with_warnings(mut self, warn: fn(&str)) -> Self {
        self.choices.warn = warn;
        self
    }

    /// Plays this log in place of an agent, at `speed` times the original speed.
    pub fn with_recording(mut self, path: &Path, speed: f32) -> anyhow::Result<Self> {
        self.recording = Some(Recording::open(path, speed)?);
        Ok(self)
    }

    /// Returns the runtime, unless it was closed.
    fn runtime(&self) -> Result<&Runtime, ApiError> {
        check_open(&self.runtime)
    }

    fn approval_settings(&self, base: Millis) -> ApprovalSettings {
        ApprovalSettings { decided_by: DecidedBy::Remote, timeout: self.approval_timeout, epoch_time: base }
    }

    /// Starts a session whose approvals are decided by its clients.
    fn start_shared(
        &self,
        runtime: &Runtime,
        policy: ApprovalPolicy,
        prepared: PreparedSession,
        choice: EngineChoice,
        folder: PathBuf,
    ) -> SessionHandle {
        let system = runtime.system_prompt_for(&folder);
        let last = prepared.resume_point.last_seq;
        let live = runtime.start_session(policy, prepared, |setup| {
            setup.engine_choice = Box::pin(async { Ok(choice) });
            setup.approvals = self.approval_settings(setup.approvals.epoch_time);
            setup.is_unattended = false;
            (setup.folder, setup.system_prompt) = (folder, system);
        });
        runtime.watch_spending(&live, last);
        live
    }

    /// Returns the folder of a session that a client opens.
    fn opening_folder(&self, runtime: &Runtime, opening: &OpenRequest) -> Result<PathBuf, ApiError> {
        match &opening.folder {
            Some(folder) => self.usable_folder(runtime, Path::new(folder)),
            None => Ok(runtime.folder.clone()),
        }
    }

    /// Returns a folder that a session may work in.
    fn usable_folder(&self, runtime: &Runtime, wanted: &Path) -> Result<PathBuf, ApiError> {
        if !self.allows_any_folder {
            return runtime.allowed_folder(wanted);
        }
        let folder = wanted.canonicalize().ok().filter(|folder| folder.is_dir());
        folder.ok_or_else(|| ApiError::bad_request(format!("{}: no such folder here", wanted.display())))
    }

    fn check_not_replaying(&self) -> Result<(), ApiError> {
        match self.recording {
            Some(_) => Err(ApiError::new(409, "only_played", "this server plays a recording and has only its session")),
            None => Ok(()),
        }
    }

    fn sessions_dir(&self) -> Result<PathBuf, ApiError> {
        Ok(self.runtime()?.paths.sessions_dir())
    }

    /// Brings the copy of a session up to date, where servers share the logs. One that runs here is.
    async fn refresh_copy(&self, id: &SessionId) -> Result<(), ApiError> {
        let Some(store) = &self.runtime.shared_store else { return Ok(()) };
        match store.refresh(id).await {
            Ok(()) | Err(ClaimError::Open(OpenError::InUse { .. })) => Ok(()),
            Err(error) => Err(claim_error(id, &error)),
        }
    }

    /// Returns the log of a session by its full name: prefixes can't be guessed.
    fn find_log(&self, id: &SessionId) -> Result<PathBuf, ApiError> {
        let path = journal::log_path(&self.sessions_dir()?, id);
        if path.is_file() { Ok(path) } else { Err(ApiError::not_found(format!("unknown session {id}"))) }
    }
}

impl Factory for SessionFactory {
    fn open_one_shot<'a>(&'a self, request: &'a OneShotRequest) -> BoxFuture<'a, Result<OneShotSession, ApiError>> {
        Box::pin(async move {
            if let Some(recording) = &self.recording {
                return recording.replay_turn(self.runtime()?, request);
            }
            self.check_limits().await?;
            if let Some(agent) = &self.hosted {
                return self.open_hosted_one_shot(agent, request);
            }
            let choice = self.choices.resolve_or_substitute(request.model.as_deref()).await?;
            if request.sampling.tool_choice_required && !choice.engine.supports_required_tools() {
                let name = choice.engine.name();
                let text = format!("{name} does not support tool_choice \"required\"; leave tool_choice out");
                return Err(ApiError::new(400, "unsupported_parameter", text).with_param("tool_choice"));
            }
            if let Some(wanted) = &request.output_format {
                check_output_format(wanted, request.client_tools.is_some(), &choice)?;
            }
            let runtime = self.runtime()?;
            let policy = runtime.approval_policy().map_err(internal_error)?;
            let mut prepared = runtime.create_log_with(|header| one_shot_header(header, request));
            let past = write_history(&mut prepared, &request.history);
            let left_out = request.left_out.iter().cloned();
            prepared.notices.extend(left_out.map(|text| notice(NoticeLevel::Warn, NoticeCode::LeftOut, text)));
            let last = prepared.resume_point.last_seq;
            let most = runtime.config().limits.max_rounds;
            let live = runtime.start_session(policy, prepared, |setup| {
                setup.engine_choice = Box::pin(async { Ok(choice) });
                setup.history_and_ids = Box::pin(async { past });
                setup.approvals = self.approval_settings(setup.approvals.epoch_time);
                setup.is_unattended = !request.asks_client;
                // The client keeps the conversation, and sends it again.
                setup.auto_compact = false;
                setup.sampling = request.sampling;
                setup.output_format = request.output_format.as_ref().map(|wanted| Arc::new(wanted.format.clone()));
                setup.effort = request.sampling.effort.or(setup.effort);
                setup.resources = request.resources.clone().map(Arc::new);
                // The final answer needs a request of its own.
                let rounds = request.max_rounds.map_or(most, |rounds| rounds.saturating_add(1).min(most));
                setup.limits = TurnLimits { max_rounds: rounds, max_calls: request.max_calls };
                if let Some(specs) = &request.client_tools {
                    let tools: Arc<dyn ToolSource> = Arc::new(ClientTools(specs.clone()));
                    setup.tools = Registry::new([tools]);
                    (setup.runs_tools, setup.is_told_instructions) = (false, false);
                    setup.system_prompt.clear();
                }
                if let Some(system) = &request.system_prompt {
                    setup.is_told_instructions = false;
                    setup.system_prompt.clone_from(system);
                }
            });
            runtime.watch_spending(&live, last);
            Ok(OneShotSession { handle: live, turn: None, is_replayed: false })
        })
    }

    fn new_session_id(&self) -> Option<SessionId> {
        self.runtime().ok().filter(|_| self.recording.is_none()).map(|runtime| runtime.new_session_id(wall_clock()))
    }

    fn open(&self, opening: OpenRequest) -> BoxFuture<'_, Result<SessionHandle, ApiError>> {
        Box::pin(async move {
            self.check_not_replaying()?;
            if let Some(agent) = &self.hosted {
                return self.open_hosted(agent, &opening);
            }
            let choice = self.choices.resolve(opening.model.as_deref()).await?;
            let runtime = self.runtime()?;
            let folder = self.opening_folder(runtime, &opening)?;
            let mut policy = runtime.approval_policy().map_err(internal_error)?;
            policy.mode = opening.mode.unwrap_or(policy.mode);
            let prepared = runtime.create_log_with(|header| header.folder = folder.display().to_string());
            Ok(self.start_shared(runtime, policy, prepared, choice, folder))
        })
    }

    fn reopen<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<SessionHandle, ApiError>> {
        self.reopen_in(id, None)
    }

    fn reopen_in<'a>(
        &'a self,
        id: &'a SessionId,
        folder: Option<&'a str>,
    ) -> BoxFuture<'a, Result<SessionHandle, ApiError>> {
        Box::pin(async move {
            self.check_not_replaying()?;
            let shared_log = match &self.runtime()?.shared_store {
                Some(store) => Some(store.claim(id).await.map_err(|error| claim_error(id, &error))?),
                None => None,
            };
            let path = self.find_log(id)?;
            let source = match &self.hosted {
                Some(agent) => SessionSource::Program(agent),
                None => SessionSource::Engine(Box::new(self.choices.resolve(None).await?)),
            };
            let runtime = self.runtime()?;
            let header = Reader::open(&path).map_err(|error| log_error(&error))?.header().clone();
            let only_read = |why: &str| Err(ApiError::new(409, "only_read", format!("session {id} {why}")));
            if header.kind == journal::ONE_SHOT_KIND {
                return only_read("was for a one-shot request and is read-only");
            }
            if header.mirror_of.is_some() {
                return only_read("is a copy of a remote one and is read-only");
            }
            let folder = match folder {
                Some(folder) => self.usable_folder(runtime, Path::new(folder))?,
                // It may no longer exist or be allowed.
                None => {
                    self.usable_folder(runtime, Path::new(&header.folder)).unwrap_or_else(|_| runtime.folder.clone())
                }
            };
            // What waited when it ran here before, another server may have answered.
            if let Some(state) = shared_log.is_some().then(|| runtime.session_state(id)).flatten() {
                let _ = state.clear(StatePart::Queue);
            }
            let mut prepared = runtime.reopen_log(&path, &folder).map_err(|error| match error.downcast_ref() {
                Some(error) => log_error(error),
                None => internal_error(error),
            })?;
            prepared.shared_log = shared_log;
            let notices = std::mem::take(&mut prepared.restored)
                .into_iter()
                .map(|text| notice(NoticeLevel::Info, NoticeCode::Restored, text));
            prepared.notices.extend(notices);
            match source {
                SessionSource::Program(agent) => self.reopen_hosted(runtime, agent, prepared, folder),
                SessionSource::Engine(choice) => {
                    let policy = runtime.approval_policy().map_err(internal_error)?;
                    Ok(self.start_shared(runtime, policy, prepared, *choice, folder))
                }
            }
        })
    }

    fn read<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<SessionHandle, ApiError>> {
        Box::pin(async move {
            self.check_not_replaying()?;
            self.refresh_copy(id).await?;
            let path = self.find_log(id)?;
            let read = tokio::task::spawn_blocking(move || {
                let reader = Reader::open(&path).map_err(|error| log_error(&error))?;
                replay::start_finished(reader)
                    .map_err(|error| ApiError::internal(format!("the log can't be read: {error}")))
            });
            read.await.map_err(|error| ApiError::internal(error.to_string()))?
        })
    }

    fn is_one_shot<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let _ = self.refresh_copy(id).await;
            let Ok(path) = self.check_not_replaying().and_then(|()| self.find_log(id)) else { return false };
            let opened = tokio::task::spawn_blocking(move || Reader::open(&path)).await;
            opened.is_ok_and(|opened| opened.is_ok_and(|reader| reader.header().kind == journal::ONE_SHOT_KIND))
        })
    }

    fn remove<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<(), ApiError>> {
        Box::pin(async move {
            self.check_not_replaying()?;
            self.refresh_copy(id).await?;
            self.find_log(id)?;
            if let Some(store) = &self.runtime()?.shared_store {
                store.remove(id).await.map_err(|error| claim_error(id, &error))?;
            }
            let (saved, id) = (self.runtime()?.saved_sessions(), id.clone());
            let removed = tokio::task::spawn_blocking(move || saved.remove(id.as_str())).await;
            let removed = removed.map_err(|error| ApiError::internal(error.to_string()))?;
            removed.map(drop).map_err(|error| ApiError::internal(format!("the session can't be removed: {error:#}")))
        })
    }

    fn storage_dir(&self) -> Option<PathBuf> {
        if self.recording.is_some() {
            return None;
        }
        self.runtime().ok().map(|runtime| runtime.paths.data.join("shelf"))
    }

    fn initial_session(&self) -> Option<SessionHandle> {
        let (recording, runtime) = (self.recording.as_ref()?, self.runtime().ok()?);
        recording.open_paused(runtime).ok()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<SavedSession>, ApiError>> {
        Box::pin(async move {
            if self.recording.is_some() {
                return Ok(Vec::new());
            }
            let dir = self.sessions_dir()?;
            if let Some(store) = &self.runtime()?.shared_store
                && let Err(error) = store.refresh_all().await
            {
                tracing::warn!("sessions of other servers are not listed: {error}");
            }
            let index = self.runtime().ok().map(|runtime| runtime.paths.session_index_file());
            let listed = tokio::task::spawn_blocking(move || journal::list(&dir, index.as_deref())).await;
            let listing = listed
                .map_err(|error| ApiError::internal(error.to_string()))?
                .map_err(|error| ApiError::internal(error.to_string()))?;
            let sessions = listing.sessions.into_iter().filter(|session| {
                // A copy of a remote session can't be resumed here.
                session.kind != journal::ONE_SHOT_KIND && session.mirror_of.is_none() && !session.is_archived
            });
            let saved = |session: journal::SessionSummary| SavedSession {
                id: session.id,
                title: session.title,
                folder: session.folder,
                started_at: session.started_at,
                modified: session.modified,
                engine: session.engine,
                model: session.model,
            };
            Ok(sessions.map(saved).collect())
        })
    }

    fn models(&self) -> BoxFuture<'_, Vec<Model>> {
        Box::pin(async move {
            if let Some(recording) = &self.recording {
                return vec![recording.model()];
            }
            if let Some(agent) = &self.hosted {
                return Self::hosted_models(agent);
            }
            self.choices.list().await
        })
    }

    fn tools(&self) -> BoxFuture<'_, Vec<ToolSpec>> {
        Box::pin(async move {
            if self.recording.is_some() || self.hosted.is_some() {
                return Vec::new();
            }
            let Ok(mut tools) = self.runtime().map(|runtime| runtime.tools.clone()) else { return Vec::new() };
            for problem in tools.refresh().await {
                tracing::warn!("{problem}");
            }
            tools.specs().cloned().collect()
        })
    }

    fn tool_kinds(&self) -> BoxFuture<'_, HashMap<String, ToolKind>> {
        Box::pin(async move {
            let Ok(mut tools) = self.runtime().map(|runtime| runtime.tools.clone()) else { return HashMap::new() };
            for problem in tools.refresh().await {
                tracing::warn!("{problem}");
            }
            let kind = |spec: &ToolSpec| Some((spec.name.clone(), tools.get(&spec.name)?.kind()));
            tools.specs().filter_map(kind).collect()
        })
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if !self.runtime.is_closed() {
                self.runtime.close().await;
            }
        })
    }
}

impl Runtime {
    /// Returns a folder that a client may work in: ours or one below it, or one from the settings.
    fn allowed_folder(&self, wanted: &Path) -> Result<PathBuf, ApiError> {
        let not = |why: &str| {
            let text =
                format!("{}: {why}; start the server with --cd above it, or add it to tools.folders", wanted.display());
            ApiError::new(403, "folder_not_allowed", text).with_param("folder")
        };
        let folder = self.folder.join(wanted).canonicalize().map_err(|_| not("no such folder here"))?;
        let also = self.config().tools.folders.iter().filter_map(|folder| folder.canonicalize().ok());
        let is_below = std::iter::once(self.folder.clone()).chain(also).any(|above| folder.starts_with(above));
        if is_below && folder.is_dir() { Ok(folder) } else { Err(not("outside the folders of this server")) }
    }
}

/// Marks the log of a session that was opened for a single prompt.
fn one_shot_header(header: &mut LogHeader, request: &OneShotRequest) {
    journal::ONE_SHOT_KIND.clone_into(&mut header.kind);
    if let Some(session) = &request.session {
        header.session.clone_from(session);
    }
}

/// Writes the history into the session's log and returns it in the agent's form.
fn write_history(prepared: &mut PreparedSession, past: &[AgentEvent]) -> (History, IdAllocator) {
    let (mut history, mut names) = (History::new(), IdAllocator::default());
    for event in past {
        history.observe(event);
        names.observe(event);
    }
    prepared.notices.extend_from_slice(past);
    (history, names)
}

/// Returns the runtime, unless it was closed.
fn check_open(runtime: &Runtime) -> Result<&Runtime, ApiError> {
    if runtime.is_closed() {
        return Err(ApiError { retry_after: Some(5), ..ApiError::new(503, "closing", "the server is shutting down") });
    }
    Ok(runtime)
}

/// Refuses a format that can't be had: a model alone answers in one, where its server supports that.
fn check_output_format(wanted: &WantedFormat, is_model_alone: bool, choice: &EngineChoice) -> Result<(), ApiError> {
    let refuse = |text: String| Err(ApiError::new(400, "unsupported_parameter", text).with_param(wanted.param));
    if !is_model_alone {
        let text = "the agent with its own tools answers in text only; name a model (see GET /v1/models) for an answer \
                    in a format, or send tools";
        return refuse(text.to_owned());
    }
    if choice.engine.supports_output_format(&wanted.format) {
        return Ok(());
    }
    let (what, name) =
        (if matches!(wanted.format, OutputFormat::Json) { "JSON" } else { "a schema" }, choice.engine.name());
    refuse(format!("{name} can't be told to answer in {what}; leave {} out", wanted.param))
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn internal_error(error: anyhow::Error) -> ApiError {
    ApiError::internal(format!("{error:#}"))
}

fn claim_error(id: &SessionId, error: &ClaimError) -> ApiError {
    let text = error.to_string();
    match error {
        ClaimError::Unknown => ApiError::not_found(format!("unknown session {id}")),
        ClaimError::Owned { retry_after, .. } => ApiError {
            retry_after: Some(*retry_after),
            ..ApiError::new(409, "in_use", format!("{text}: ask it, or try again once it is gone"))
        },
        ClaimError::Unreachable(_) => ApiError { retry_after: Some(5), ..ApiError::new(503, "unreachable", text) },
        ClaimError::Open(error) => log_error(error),
        ClaimError::Copy(_) => ApiError::internal(text),
    }
}

fn log_error(error: &OpenError) -> ApiError {
    match error {
        OpenError::InUse { .. } => {
            ApiError::new(409, "in_use", "another jarvis-tui has this session open; close it there first")
        }
        // It was just deleted.
        OpenError::Io { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => {
            ApiError::not_found("this session was removed")
        }
        OpenError::Io { .. } | OpenError::NoHeader { .. } | OpenError::Empty { .. } | OpenError::Newer { .. } => {
            ApiError::internal(error.to_string())
        }
    }
}
