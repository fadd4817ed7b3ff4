//! What the store asks for, done: at most one task an effect, and its result comes back as a message.
//!
//! Not here: what an effect means for the state (`store`). Invariant: every task belongs to the one [`JoinSet`]; one
//! that panics is told, not lost. What is kept for later runs is written one after another, in the order it came.

mod copying;
mod exporting;
mod frames;
mod running_command;
mod writing;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{self, JoinError, JoinSet};

pub use self::exporting::ExportSession;
pub use self::frames::frames_report;
use self::running_command::{RunningCommand, next_output};
use self::writing::Write;
use super::action_uses;
use super::clipboard::TerminalEnv;
use super::draft::DraftSave;
use super::git_branch::read_branch;
use super::git_diff::git_diff;
use super::live_settings::SettingsLook;
use super::notify_command::NotifyCommand;
use super::{clipboard_image, open_external, prompt_history};
use crate::bridge::SessionHandle;
use crate::event::{ApprovalMode, Command, RestoreStep, SessionId};
use crate::local_time::local_now;
use crate::runtime::day_usage;
use crate::runtime::{
    ListScope, McpWatch, MentionScope, MentionedFiles, RemoteModels, SavedSessions, SharedServer, StartMode, Workspace,
};
use crate::store::effect::MentioningPrompt;
use crate::store::links::LinkTarget;
use crate::store::models::ModelChoice;
use crate::store::msg::Report;
use crate::store::person_runs::RunResult;
use crate::store::spending::Spending;
use crate::store::user_commands::UserCommand;
use crate::store::workplace::Attachment;
use crate::text::one_line;

/// Names a session that is open on this screen, for as long as the program runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TabId(pub u64);

/// Finds out which models there are.
pub type ListModels<'a> = Box<dyn FnMut() -> BoxFuture<'static, Vec<ModelChoice>> + 'a>;
/// Begins an empty session, or resumes a saved one; the error is for the person.
pub type OpenSession<'a> = Box<dyn FnMut(StartMode) -> BoxFuture<'static, Result<ResumedSession, String>> + 'a>;

/// A session that is none of this program's own agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutsideSession {
    /// What is named as on the command line of `attach`; without a line what the program was started for.
    Attached { line: Option<String>, is_beside: bool },
    /// A saved session to be played, by its id or its file.
    Played(String),
}
/// Opens one; the error is for the person.
pub type OpenOutside<'a> = Box<dyn FnMut(OutsideSession) -> BoxFuture<'static, Result<ResumedSession, String>> + 'a>;

/// What is to be known of a session that runs outside.
#[derive(Clone, Default)]
pub struct OutsideFacts {
    pub attachment: Option<Attachment>,
    /// Host and port of what answers.
    pub host: Option<String>,
    /// What `/model` can offer in it.
    pub models: Option<RemoteModels>,
    /// It never takes the place of another.
    pub is_beside: bool,
}

/// A session that is ready to be shown.
pub struct ResumedSession {
    pub handle: SessionHandle,
    /// None for one of this program's own agent.
    pub outside: Option<OutsideFacts>,
    /// What stood in the composer when it was left.
    pub draft: Option<String>,
    /// What of it was restored, for the person.
    pub restored: Vec<String>,
}

/// How an effect ended.
pub enum EffectResult {
    Report(Report),
    /// The prompts of earlier sessions.
    History(Result<Vec<String>, Report>),
    /// What a mention may name.
    Paths(Vec<String>),
    /// The prompts that servers write.
    ServerPrompts(Vec<UserCommand>),
    CommandEnded(RunResult),
    /// Where the image on the clipboard was written, or why there is none.
    PastedImage(Result<PathBuf, String>),
    Session(Box<ResumedSession>),
    Settings(Box<SettingsLook>),
    /// The session is served.
    Serving(Box<SharedServer>),
    /// These bytes are for the terminal.
    Terminal(Vec<u8>, Report),
    Nothing,
}

/// Runs effects.
pub struct Effects<'a> {
    tasks: JoinSet<(TabId, EffectResult)>,
    /// Whose wishes are done just now: results go back there.
    pub tab: TabId,
    /// The task that writes.
    writing: Option<task::Id>,
    /// What is written after it.
    unwritten: VecDeque<Write>,
    list_models: ListModels<'a>,
    open_session: Option<OpenSession<'a>>,
    open_outside: Option<OpenOutside<'a>>,
    export_session: Option<ExportSession<'a>>,
    saved_sessions: Option<SavedSessions>,
    history: Option<PathBuf>,
    workspace: Workspace,
    /// At most one of a tab.
    running_commands: Vec<RunningCommand>,
    is_loading_history: bool,
    /// Somebody waits for a change of the MCP servers.
    is_watching_mcp: bool,
    /// Of what was told last.
    mcp_watch: Option<Arc<Mutex<McpWatch>>>,
}

impl<'a> Effects<'a> {
    pub fn new(list_models: ListModels<'a>, history: Option<PathBuf>) -> Self {
        let (tasks, unwritten) = (JoinSet::new(), VecDeque::new());
        let (workspace, running_commands) = (Workspace::default(), Vec::new());
        Self {
            tasks,
            tab: TabId::default(),
            writing: None,
            unwritten,
            list_models,
            open_session: None,
            open_outside: None,
            export_session: None,
            saved_sessions: None,
            history,
            workspace,
            running_commands,
            is_loading_history: false,
            is_watching_mcp: false,
            mcp_watch: None,
        }
    }

    /// Sets the folder in which mentioned files are found.
    #[must_use]
    pub fn with_workspace(self, workspace: Workspace) -> Self {
        Self { workspace, ..self }
    }

    /// Finds what a mention may name that begins like this.
    pub fn list_paths(&mut self, typed: String) {
        let workspace = self.workspace.clone();
        self.spawn(async move {
            let mut mentions = workspace.mcp_servers().resource_mentions(&typed).await;
            let listed = task::spawn_blocking(move || workspace.list_paths(&typed)).await;
            let mut paths = listed.unwrap_or_default();
            paths.append(&mut mentions);
            EffectResult::Paths(paths)
        });
    }

    /// Lists the prompts that servers write; one that is named is started for it.
    pub fn list_server_prompts(&mut self, named: Option<String>) {
        let servers = self.workspace.mcp_servers().clone();
        self.spawn(async move {
            let prompts = servers.prompts(named.as_deref()).await;
            let commands = prompts.iter().map(|(server, prompt)| UserCommand::of_server(server, prompt));
            EffectResult::ServerPrompts(commands.collect())
        });
    }

    /// Has a server write a prompt. What it writes mentions nothing: it is not the person's.
    pub fn write_server_prompt(&mut self, prompt: MentioningPrompt, words: String) {
        let servers = self.workspace.mcp_servers().clone();
        self.spawn(async move {
            match servers.write_prompt(&prompt.text, &words).await {
                Ok((text, context)) => {
                    let prompt = MentioningPrompt { text, ..prompt };
                    EffectResult::Report(Report::PromptContext { prompt, context, problems: Vec::new() })
                }
                Err(why) => EffectResult::Report(Report::NotSent { typed: prompt.typed, why }),
            }
        });
    }

    /// Reads what a prompt mentions.
    pub fn read_mentions(&mut self, prompt: MentioningPrompt) {
        let workspace = self.workspace.clone();
        self.spawn(async move {
            let resources = workspace.read_resources(&prompt.text).await;
            let text = prompt.text.clone();
            let read = task::spawn_blocking(move || workspace.read_mentions(&text, MentionScope::Anywhere)).await;
            let MentionedFiles { context, problems } = match read {
                Ok(read) => read.and(resources),
                Err(error) => return panic_report(&error),
            };
            EffectResult::Report(Report::PromptContext { prompt, context, problems })
        });
    }

    /// Writes the image on the clipboard to a file of its own.
    pub fn paste_image(&mut self, around: &TerminalEnv) {
        let (tools, folder) = (clipboard_image::tools(around), self.own_folder().join("pasted-images"));
        self.spawn(async move {
            let image = match clipboard_image::read(&tools).await {
                Ok(image) => image,
                Err(why) => return EffectResult::PastedImage(Err(why)),
            };
            let name = format!("pasted-{}", local_now().strftime("%Y%m%d-%H%M%S"));
            let written = task::spawn_blocking(move || clipboard_image::save(&folder, &name, &image));
            EffectResult::PastedImage(match written.await {
                Ok(written) => written.map_err(|error| format!("the image was not kept: {error}")),
                Err(error) => Err(format!("the image was not kept: {error}")),
            })
        });
    }

    /// Runs a command of the person; one at a time.
    pub fn run_command(&mut self, command: String) {
        let running = RunningCommand::start(self.tab, self.workspace.clone(), command, &mut self.tasks);
        self.running_commands.push(running);
    }

    pub fn stop_command(&self) {
        self.running_commands.iter().filter(|running| running.tab == self.tab).for_each(RunningCommand::stop);
    }

    /// Lets sessions be begun and resumed.
    #[must_use]
    pub fn with_sessions(mut self, open: Option<OpenSession<'a>>, saved: Option<SavedSessions>) -> Self {
        (self.open_session, self.saved_sessions) = (open, saved);
        self
    }

    /// Waits for the next result; none while nothing runs. Cancel-safe.
    pub async fn next(&mut self) -> Option<(TabId, EffectResult)> {
        let ended = tokio::select! {
            biased;
            (tab, output) = next_output(&mut self.running_commands) => {
                return Some((tab, EffectResult::Report(output)));
            }
            ended = self.tasks.join_next_with_id() => ended?,
        };
        let (id, (tab, done)) = match ended {
            Ok(ended) => ended,
            Err(error) => (error.id(), (self.tab, panic_report(&error))),
        };
        self.is_loading_history &= !matches!(done, EffectResult::History(_));
        self.is_watching_mcp &= !matches!(done, EffectResult::Report(Report::Mcp { wanted: None, .. }));
        if matches!(done, EffectResult::CommandEnded(_)) {
            self.running_commands.retain(|running| running.tab != tab);
        }
        if self.writing == Some(id) {
            self.writing = None;
            self.write_next();
        }
        Some((tab, done))
    }

    fn spawn(&mut self, task: impl Future<Output = EffectResult> + Send + 'static) {
        let tab = self.tab;
        self.tasks.spawn(async move { (tab, task.await) });
    }

    fn spawn_blocking(&mut self, work: impl FnOnce() -> EffectResult + Send + 'static) -> task::Id {
        let tab = self.tab;
        self.tasks.spawn_blocking(move || (tab, work())).id()
    }

    fn write(&mut self, write: Write) {
        self.unwritten.retain(|waiting| !waiting.is_replaced_by(&write));
        self.unwritten.push_back(write);
        self.write_next();
    }

    fn write_next(&mut self) {
        if self.writing.is_none()
            && let Some(write) = self.unwritten.pop_front()
        {
            self.writing = Some(self.spawn_blocking(|| write.run()));
        }
    }

    pub fn list_models(&mut self) {
        let models = (self.list_models)();
        self.spawn(async { EffectResult::Report(Report::Models(models.await)) });
    }

    /// Begins or resumes a session; where that is not possible, the report says so.
    pub fn open_session(&mut self, start: StartMode) -> Option<Report> {
        let what = if start == StartMode::New { "a new session" } else { "another session" };
        let Some(open) = &mut self.open_session else {
            return Some(Report::Info(format!("{what} can't be opened here")));
        };
        let session = open(start);
        self.spawn(async move {
            match session.await {
                Ok(opened) => EffectResult::Session(Box::new(opened)),
                Err(why) => EffectResult::Report(Report::Failed { what: what.into(), why }),
            }
        });
        None
    }

    /// Lets sessions be opened that run outside.
    #[must_use]
    pub fn with_outside(self, open: Option<OpenOutside<'a>>) -> Self {
        Self { open_outside: open, ..self }
    }

    /// Attaches to another session, or plays one; where that is not possible, the report says so.
    pub fn open_outside(&mut self, wanted: OutsideSession) -> Option<Report> {
        let what = match &wanted {
            OutsideSession::Attached { .. } => "not attached",
            OutsideSession::Played(_) => "not played",
        };
        let Some(open) = &mut self.open_outside else {
            return Some(Report::Info("no other session can be opened here".into()));
        };
        let session = open(wanted);
        self.spawn(async move {
            match session.await {
                Ok(opened) => EffectResult::Session(Box::new(opened)),
                Err(why) => EffectResult::Report(Report::Failed { what: what.into(), why }),
            }
        });
        None
    }

    /// Lists the models of a session that is attached.
    pub fn list_remote_models(&mut self, models: RemoteModels) {
        self.spawn(async { EffectResult::Report(Report::Models(models.model_choices().await)) });
    }

    /// Begins to serve a session.
    pub fn serve_session(&mut self, handle: SessionHandle, mode: ApprovalMode) {
        self.spawn(async move {
            match SharedServer::start(handle, mode).await {
                Ok(server) => EffectResult::Serving(Box::new(server)),
                Err(error) => {
                    EffectResult::Report(Report::Failed { what: "not served".into(), why: error.to_string() })
                }
            }
        });
    }

    /// Tells how the MCP servers are; one that is named and doesn't run is started.
    pub fn list_mcp(&mut self, name: Option<String>) {
        let servers = self.workspace.mcp_servers().clone();
        // From before they are told: nothing is missed.
        self.mcp_watch.get_or_insert_with(|| Arc::new(Mutex::new(servers.watch())));
        if let Some(name) = &name {
            if let Err(why) = servers.find(name) {
                let failed = Report::Failed { what: "not started".into(), why };
                return self.spawn(async { EffectResult::Report(failed) });
            }
            self.restart_mcp(name.clone());
        }
        self.spawn(async move {
            EffectResult::Report(Report::Mcp { servers: servers.told_statuses().await, wanted: Some(name) })
        });
    }

    /// Tells it once one of them is another than it was told last; who tells that already goes on with it.
    pub fn watch_mcp(&mut self) {
        if std::mem::replace(&mut self.is_watching_mcp, true) {
            return;
        }
        let servers = self.workspace.mcp_servers().clone();
        let watch = Arc::clone(self.mcp_watch.get_or_insert_with(|| Arc::new(Mutex::new(servers.watch()))));
        self.spawn(async move {
            watch.lock().await.changed().await;
            EffectResult::Report(Report::Mcp { servers: servers.told_statuses().await, wanted: None })
        });
    }

    /// Starts one again, and lists its tools.
    pub fn restart_mcp(&mut self, name: String) {
        let servers = self.workspace.mcp_servers().clone();
        self.spawn(async move {
            // How that went stands in its status.
            let _ = servers.restart(&name).await;
            EffectResult::Report(Report::Mcp { servers: servers.told_statuses().await, wanted: None })
        });
    }

    /// Finds out what differs in a folder from what git has.
    pub fn diff_folder(&mut self, folder: PathBuf) {
        self.spawn(async move { EffectResult::Report(Report::FolderDiff(git_diff(&folder).await)) });
    }

    /// Finds out which commands of a session run in the background.
    pub fn list_tasks(&mut self, session: &SessionId, is_wanted: bool) {
        let rows = self.workspace.background_commands(session);
        self.spawn(async move { EffectResult::Report(Report::Tasks { rows, is_wanted }) });
    }

    /// Stops one of them.
    pub fn stop_task(&mut self, session: &SessionId, id: &str) {
        let is_stopped = self.workspace.stop_background_command(session, id);
        let told = if is_stopped { "it is being stopped" } else { "it runs no longer" };
        self.spawn(async move { EffectResult::Report(Report::Info(told.into())) });
    }

    /// Finds out which instructions the agent has, once the project is trusted, if that is asked for.
    pub fn read_memory(&mut self, trusts: bool) {
        let reader = self.workspace.instructions.clone();
        self.spawn_blocking(move || {
            if trusts && let Err(why) = reader.trust() {
                return EffectResult::Report(Report::Failed { what: "not trusted".into(), why });
            }
            EffectResult::Report(Report::Memory(reader.report()))
        });
    }

    /// Looks at files that a session changed.
    pub fn check_files(&mut self, session: &SessionId, steps: Vec<RestoreStep>) {
        let restorer = self.workspace.file_restorer(session);
        self.spawn_blocking(move || EffectResult::Report(Report::FilesChecked(restorer.check(steps))));
    }

    /// Puts them back.
    pub fn restore_files(&mut self, session: &SessionId, steps: Vec<RestoreStep>) {
        let restorer = self.workspace.file_restorer(session);
        self.spawn_blocking(move || EffectResult::Report(Report::FilesRestored(restorer.restore(&steps))));
    }

    /// Of a screen without a history nothing is kept.
    pub fn load_action_uses(&mut self) {
        let Some(path) = self.action_uses_file() else { return };
        self.spawn_blocking(move || EffectResult::Report(Report::ActionUses(action_uses::load(&path))));
    }

    pub fn save_action_uses(&mut self, uses: BTreeMap<String, u32>) {
        if let Some(path) = self.action_uses_file() {
            self.write(Write::ActionUses(path, uses));
        }
    }

    /// Returns the folder that is this program's own.
    pub fn own_folder(&self) -> PathBuf {
        let folder = self.history.as_deref().and_then(std::path::Path::parent).filter(|folder| folder.is_dir());
        folder.map_or_else(std::env::temp_dir, std::path::Path::to_owned)
    }

    /// It lies beside the history.
    fn action_uses_file(&self) -> Option<PathBuf> {
        Some(self.history.as_ref()?.with_file_name("action-uses.json"))
    }

    /// Finds out what was used today, and adds a turn to it, if one ended.
    pub fn count_day_usage(&mut self, turn: Option<Spending>) {
        let file = self.history.as_deref().map(day_usage::file_beside);
        // A session that is only watched is counted where it runs.
        let Some(path) = file.filter(|_| self.can_resume()) else { return };
        let day = day_usage::today();
        self.spawn_blocking(move || {
            let Some(turn) = turn else {
                return EffectResult::Report(Report::DayUsage(day_usage::load(&path, &day)));
            };
            match day_usage::add(&path, &day, turn) {
                Ok(today) => EffectResult::Report(Report::DayUsage(today)),
                Err(error) => failed("adding up what was used", &path, &error),
            }
        });
    }

    /// Tells whether the sessions of this screen can be found again.
    pub fn can_resume(&self) -> bool {
        self.saved_sessions.is_some()
    }

    pub fn list_sessions(&mut self, scope: ListScope) {
        let Some(saved) = self.saved_sessions.clone() else {
            self.spawn(async { EffectResult::Report(Report::Sessions(Vec::new())) });
            return;
        };
        self.spawn_blocking(move || {
            EffectResult::Report(match saved.choices(scope) {
                Ok(choices) => Report::Sessions(choices),
                Err(error) => Report::Failed { what: "the saved sessions".into(), why: format!("{error:#}") },
            })
        });
    }

    /// Looks for something in all saved sessions.
    pub fn search_sessions(&mut self, query: String) {
        let saved = self.saved_sessions.clone();
        self.spawn_blocking(move || {
            let found = match saved {
                Some(saved) => saved.find_texts(&query),
                None => Err("there are no saved sessions here".to_owned()),
            };
            EffectResult::Report(Report::FoundTexts { query, found })
        });
    }

    /// Imports sessions of other programs, off the loop.
    pub fn import_sessions(&mut self, path: Option<String>) {
        let folder = self.workspace.folder.clone();
        self.with_saved("the import", move |saved| {
            let paths =
                path.map_or_else(|| saved.import_places(), |path| vec![SavedSessions::import_place(&folder, &path)]);
            Ok(Report::Info(saved.import(&paths, false).summary()))
        });
    }

    /// Tells once which other programs keep sessions here.
    pub fn offer_import(&mut self) {
        let Some(saved) = self.saved_sessions.clone() else { return };
        self.spawn_blocking(move || match saved.import_offer() {
            Some(offer) => EffectResult::Report(Report::Info(offer)),
            None => EffectResult::Nothing,
        });
    }

    /// Writes a session for another agent.
    pub fn hand_off(&mut self, session: SessionId, format: String, file: Option<String>) {
        self.with_saved("the handoff", move |saved| {
            let handoff = saved.hand_off(session.as_str(), &format)?;
            let file = file.unwrap_or_else(|| handoff.file_name.clone());
            let written = saved.write_handoff(&handoff, std::path::Path::new(&file))?;
            Ok(Report::Info(format!("wrote {}: {}", written.display(), handoff.remark())))
        });
    }

    /// Does something to a saved session, off the loop; where that fails, `what` did not happen.
    pub fn with_saved(
        &mut self,
        what: &'static str,
        act: impl FnOnce(&SavedSessions) -> anyhow::Result<Report> + Send + 'static,
    ) {
        let Some(saved) = self.saved_sessions.clone() else { return };
        self.spawn_blocking(move || {
            EffectResult::Report(
                act(&saved).unwrap_or_else(|error| Report::Failed { what: what.into(), why: format!("{error:#}") }),
            )
        });
    }

    /// Finds out the branch of a folder and where the session's log is.
    pub fn survey(&mut self, logs: SavedSessions, session: SessionId, folder: PathBuf) {
        self.spawn_blocking(move || {
            let session_log = logs.log_of(&session).map(|log| log.display().to_string());
            EffectResult::Report(Report::Surroundings { branch: read_branch(&folder), session_log })
        });
    }

    /// Starts the person's program that calls them; it is told only if it can't be.
    pub fn run_notify_command(&mut self, command: NotifyCommand) {
        self.spawn(async {
            match command.run().await {
                Ok(()) => EffectResult::Nothing,
                Err(why) => EffectResult::Report(Report::Failed { what: "notify.command".into(), why }),
            }
        });
    }

    /// Opens a link or a file; what can't be opened is told with its target, to be copied from there.
    pub fn open(&mut self, target: &LinkTarget, around: &TerminalEnv, folder: &std::path::Path) {
        let planned = open_external::open_command(around, target, folder);
        let shown = one_line(target.as_str(), 200);
        self.spawn(async move {
            let opened = match planned {
                Ok((program, what)) => open_external::open(program, &what).await.map(|()| program),
                Err(why) => Err(why),
            };
            EffectResult::Report(match opened {
                Ok(program) => Report::Info(format!("opened by {program}: {shown}")),
                Err(why) => Report::Info(format!("not opened, {why}: {shown}")),
            })
        });
    }

    /// Runs what ends in a report.
    #[cfg(feature = "images")]
    pub fn report(&mut self, task: impl Future<Output = Report> + Send + 'static) {
        self.spawn(async { EffectResult::Report(task.await) });
    }

    /// Looks at the settings files.
    pub fn look_at_settings(&mut self, look: impl FnOnce() -> SettingsLook + Send + 'static) {
        self.spawn_blocking(move || EffectResult::Settings(Box::new(look())));
    }

    pub fn load_history(&mut self) {
        let Some(path) = self.history.clone() else { return };
        self.is_loading_history = true;
        self.spawn_blocking(move || {
            let prompts = prompt_history::load(&path);
            EffectResult::History(prompts.map_err(|error| failure("reading earlier prompts", &path, &error)))
        });
    }

    /// Returns whether earlier prompts are being read. What can wait for that needs no thread of its own.
    pub fn is_loading_history(&self) -> bool {
        self.is_loading_history
    }

    pub fn append_history(&mut self, prompts: Vec<String>) {
        if let Some(path) = self.history.clone() {
            self.write(Write::Prompts(path, prompts));
        }
    }

    pub fn save_draft(&mut self, save: DraftSave) {
        self.write(Write::Draft(save));
    }

    /// Waits for what is to be written; what only reads is dropped.
    pub async fn finish(mut self) {
        self.history = None;
        // A new session or a list of models may hang on a network; a line in a file doesn't.
        let enough = tokio::time::sleep(std::time::Duration::from_millis(200));
        tokio::pin!(enough);
        loop {
            tokio::select! {
                biased;
                done = self.next() => if done.is_none() {
                    return;
                },
                () = &mut enough, if self.writing.is_none() => return,
            }
        }
    }
}

/// Hands a wish to the session; gives it back with the reason when that is impossible.
pub fn send(commands: &mpsc::Sender<Command>, command: Command) -> Result<(), (Command, &'static str)> {
    commands.try_send(command).map_err(|error| match error {
        TrySendError::Full(command) => (command, "the session does not respond"),
        TrySendError::Closed(command) => (command, "the session has ended"),
    })
}

fn failed(what: &str, path: &std::path::Path, error: &std::io::Error) -> EffectResult {
    EffectResult::Report(failure(what, path, error))
}

fn failure(what: &str, path: &std::path::Path, error: &std::io::Error) -> Report {
    Report::Failed { what: format!("{what} ({})", path.display()), why: error.to_string() }
}

fn panic_report(error: &JoinError) -> EffectResult {
    EffectResult::Report(Report::Failed { what: "a task".into(), why: error.to_string() })
}

#[cfg(test)]
mod tests;
