//! Sessions for the server: made like any other, each with its own folder, model, mode and grants.

pub(super) mod listen;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{Begun, Chooser, House, SessionState, replay};
use crate::agent::approval::Policy;
use crate::agent::history::History;
use crate::agent::names::Names;
use crate::agent::{Asks, EngineChoice, Limits};
use crate::bridge::Live;
use crate::bridge::session::notice;
use crate::event::{AgentEvent, DecidedBy, Level, Millis, SessionId, ToolSpec, TurnId};
use crate::journal::{self, OpenError, Reader, Want};
use crate::serve::ask::Ask;
use crate::serve::factory::{Answering, Factory, Model, Opening, Saved};
use crate::serve::refuse::Refused;
use crate::tool;

/// How long an engine that was found is taken without looking again.
const FRESH: Duration = Duration::from_mins(1);
/// Names of models that are remembered.
const REMEMBERED: usize = 64;
/// Names that stand for whatever the server uses by itself.
const USUAL: [&str; 4] = ["", "default", "jarvis", "jarvis-tui"];

/// The house as the server sees it.
pub struct Served {
    /// Gone once it is closed.
    house: Mutex<Option<House>>,
    /// What was found under a name, and when.
    found: Mutex<HashMap<String, (Instant, EngineChoice)>>,
    listed: Mutex<Option<(Instant, Vec<Model>)>>,
    recording: Option<Recording>,
    /// How long an ask waits for an answer.
    patience: Duration,
}

/// A log that is played in place of an agent.
struct Recording {
    reader: Reader,
    speed: f32,
    turns: Vec<(TurnId, Millis)>,
}

impl Served {
    /// Takes a house. `patience` is how long an ask waits for an answer.
    pub fn new(house: House, patience: Duration) -> Self {
        Self {
            house: Mutex::new(Some(house)),
            found: Mutex::default(),
            listed: Mutex::default(),
            recording: None,
            patience,
        }
    }

    /// Plays this log in place of an agent, so many times as fast.
    pub fn playing(mut self, path: &Path, speed: f32) -> anyhow::Result<Self> {
        let reader = Reader::open(path)?;
        let turns = turns(&reader)?;
        self.recording = Some(Recording { reader, speed, turns });
        Ok(self)
    }

    fn with<T>(&self, what: impl FnOnce(&mut House) -> T) -> Result<T, Refused> {
        let mut house = self.house.lock().unwrap_or_else(PoisonError::into_inner);
        let house = house.as_mut().ok_or_else(closing)?;
        // A server runs long: what has ended is not kept.
        while house.tasks.try_join_next().is_some() {}
        Ok(what(house))
    }

    async fn choice(&self, wanted: Option<&str>) -> Result<EngineChoice, Refused> {
        let usual = self.named("").await?;
        let wanted = wanted.unwrap_or_default();
        let is_usual = USUAL.contains(&wanted)
            || wanted == usual.model
            || wanted.strip_prefix(usual.engine.name()).and_then(|rest| rest.strip_prefix('/')) == Some(&usual.model);
        if is_usual { Ok(usual) } else { self.named(wanted).await }
    }

    async fn named(&self, name: &str) -> Result<EngineChoice, Refused> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if let Some((at, choice)) = known
            && at.elapsed() < FRESH
        {
            return Ok(choice);
        }
        let chooser = self.with(|house| house.chooser())?;
        let choice = if name.is_empty() { chooser.choose().await } else { chooser.asked(name).await }?;
        let choice = choice.described().await;
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= REMEMBERED {
            found.clear();
        }
        found.insert(name.to_owned(), (Instant::now(), choice.clone()));
        Ok(choice)
    }

    fn asks(&self, base: Millis) -> Asks {
        Asks { by: DecidedBy::Remote, expire: Some(self.patience), base }
    }

    /// Starts a session whose asks go to whoever watches it.
    fn shared(&self, house: &mut House, policy: Policy, begun: Begun, choice: EngineChoice, folder: PathBuf) -> Live {
        let system = house.system_for(&folder);
        house.start(policy, begun, |setup| {
            setup.choice = Box::pin(async { Ok(choice) });
            setup.asks = self.asks(setup.asks.base);
            setup.nobody_to_ask = false;
            (setup.folder, setup.system) = (folder, system);
        })
    }

    fn play(&self, recording: &Recording, options: replay::Options) -> Result<Live, Refused> {
        let reader = recording.reader.clone();
        self.with(|house| replay::start(reader, options, &mut house.tasks))?
            .map_err(|error| Refused::broken(format!("the recording can't be read: {error}")))
    }

    /// Answers with a turn of the recording: the one that stands where the client's conversation is.
    fn replayed(&self, recording: &Recording, ask: &Ask) -> Result<Answering, Refused> {
        let said = ask.past.iter().filter(|fact| matches!(fact, AgentEvent::UserMessage { .. })).count();
        let Some((turn, at)) = recording.turns.get(said).or(recording.turns.last()).cloned() else {
            return Err(Refused::new(503, "empty_recording", "nothing was said in the recording that is played here"));
        };
        let options = replay::Options { speed: recording.speed, from: at, ..replay::Options::default() };
        let mut live = self.play(recording, options)?;
        live.session = journal::new_session_id(super::wall_clock());
        Ok(Answering { live, turn: Some(turn), played: true })
    }

    fn only_played(&self) -> Result<(), Refused> {
        match self.recording {
            Some(_) => {
                Err(Refused::new(409, "only_played", "this server plays a recording; its session is the only one"))
            }
            None => Ok(()),
        }
    }

    fn dir(&self) -> Result<PathBuf, Refused> {
        self.with(|house| house.paths.sessions())
    }

    /// Returns the log of a session that was named in full: nobody finds one by guessing a letter.
    fn log(&self, id: &SessionId) -> Result<PathBuf, Refused> {
        let path = journal::log_path(&self.dir()?, id);
        if path.is_file() { Ok(path) } else { Err(Refused::not_found(format!("there is no session {id}"))) }
    }
}

impl Factory for Served {
    fn ask<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Answering, Refused>> {
        Box::pin(async move {
            if let Some(recording) = &self.recording {
                return self.replayed(recording, ask);
            }
            let choice = self.choice(ask.model.as_deref()).await?;
            if ask.tuning.must_call && !choice.engine.can_oblige() {
                let name = choice.engine.name();
                let text = format!("{name} can't be told that a tool must be called; leave tool_choice out");
                return Err(Refused::new(400, "unsupported_parameter", text).about("tool_choice"));
            }
            self.with(|house| {
                let policy = house.policy().map_err(broken)?;
                let mut begun = house.begin_with(|header| journal::ANSWER.clone_into(&mut header.kind));
                // Something is always said in it.
                house.begun.pop();
                let past = tell(&mut begun, &ask.past);
                let most = house.config().limits.max_rounds;
                let live = house.start(policy, begun, |setup| {
                    setup.choice = Box::pin(async { Ok(choice) });
                    setup.past = Box::pin(async { past });
                    setup.asks = self.asks(setup.asks.base);
                    setup.nobody_to_ask = true;
                    setup.tuning = ask.tuning;
                    setup.resources = ask.resources.clone().map(Arc::new);
                    // The answer takes a request of its own.
                    let rounds = ask.max_rounds.map_or(most, |rounds| rounds.saturating_add(1).min(most));
                    setup.limits = Limits { rounds, calls: ask.max_calls };
                    if let Some(specs) = &ask.client_tools {
                        setup.foreign_tools = Some(specs.clone());
                        setup.tools.clear();
                        setup.runs_tools = false;
                        setup.system.clear();
                    }
                    if let Some(system) = &ask.system {
                        setup.system.clone_from(system);
                    }
                });
                Ok(Answering { live, turn: None, played: false })
            })?
        })
    }

    fn open(&self, opening: Opening) -> BoxFuture<'_, Result<Live, Refused>> {
        Box::pin(async move {
            self.only_played()?;
            let choice = self.choice(opening.model.as_deref()).await?;
            self.with(|house| {
                let folder = match &opening.folder {
                    Some(folder) => house.allowed(Path::new(folder))?,
                    None => house.folder.clone(),
                };
                let mut policy = house.policy().map_err(broken)?;
                policy.mode = opening.mode.unwrap_or(policy.mode);
                let begun = house.begin_with(|header| header.folder = folder.display().to_string());
                Ok(self.shared(house, policy, begun, choice, folder))
            })?
        })
    }

    fn reopen<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Live, Refused>> {
        Box::pin(async move {
            self.only_played()?;
            let path = self.log(id)?;
            let choice = self.choice(None).await?;
            self.with(|house| {
                let header = Reader::open(&path).map_err(|error| unreadable(&error))?.header().clone();
                let only_read = |why: &str| Err(Refused::new(409, "only_read", format!("session {id} {why}")));
                if header.kind == journal::ANSWER {
                    return only_read("was for one question; it can only be read");
                }
                if header.mirror_of.is_some() {
                    return only_read("is a copy of one elsewhere; it can only be read");
                }
                // What the folder was may be gone, or no longer be allowed.
                let folder = house.allowed(Path::new(&header.folder)).unwrap_or_else(|_| house.folder.clone());
                let policy = house.policy().map_err(broken)?;
                let mut begun = house.reopen(&path, &folder).map_err(|error| match error.downcast_ref() {
                    Some(error) => unreadable(error),
                    None => broken(error),
                })?;
                let told = house.take_told().into_iter().map(|text| notice(Level::Info, "restored", text));
                begun.notices.extend(told);
                Ok(self.shared(house, policy, begun, choice, folder))
            })?
        })
    }

    fn read<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Live, Refused>> {
        Box::pin(async move {
            self.only_played()?;
            let path = self.log(id)?;
            let read = tokio::task::spawn_blocking(move || {
                let reader = Reader::open(&path).map_err(|error| unreadable(&error))?;
                replay::at_once(reader).map_err(|error| Refused::broken(format!("the log can't be read: {error}")))
            });
            read.await.map_err(|error| Refused::broken(error.to_string()))?
        })
    }

    fn remove<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<(), Refused>> {
        Box::pin(async move {
            self.only_played()?;
            self.log(id)?;
            let (dir, id) = (self.dir()?, id.clone());
            let removed = tokio::task::spawn_blocking(move || journal::remove(&dir, id.as_str())).await;
            let removed = removed.map_err(|error| Refused::broken(error.to_string()))?;
            let removed = removed.map_err(anyhow::Error::from);
            let state = self.with(|house| house.paths.session_state())?;
            removed
                .and_then(|summary| Ok(SessionState::new(&state, &summary.id).remove()?))
                .map_err(|error| Refused::broken(format!("the session can't be removed: {error:#}")))
        })
    }

    fn shelf(&self) -> Option<PathBuf> {
        if self.recording.is_some() {
            return None;
        }
        self.with(|house| house.paths.data.join("shelf")).ok()
    }

    fn given(&self) -> Option<Live> {
        let recording = self.recording.as_ref()?;
        // It begins when somebody comes to watch.
        let options = replay::Options { speed: recording.speed, paused: true, ..replay::Options::default() };
        self.play(recording, options).ok()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Saved>, Refused>> {
        Box::pin(async move {
            if self.recording.is_some() {
                return Ok(Vec::new());
            }
            let dir = self.dir()?;
            let listed = tokio::task::spawn_blocking(move || journal::list(&dir)).await;
            let listing = listed
                .map_err(|error| Refused::broken(error.to_string()))?
                .map_err(|error| Refused::broken(error.to_string()))?;
            let sessions = listing.sessions.into_iter().filter(|session| {
                // A copy of a session elsewhere is that one's, not ours to go on with.
                session.kind != journal::ANSWER && session.mirror_of.is_none()
            });
            let saved = |session: journal::Summary| Saved {
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
                let header = recording.reader.header();
                let (engine, remark) = (header.engine.clone(), "a recording".to_owned());
                return vec![Model { id: header.model.clone(), engine, remark }];
            }
            let known = self.listed.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some((at, models)) = known
                && at.elapsed() < FRESH
            {
                return models;
            }
            let Ok(chooser) = self.with(|house| house.chooser()) else { return Vec::new() };
            let mut models = Vec::new();
            if let Ok(usual) = self.choice(None).await {
                let engine = usual.engine.name().to_owned();
                models.push(Model { id: format!("{engine}/{}", usual.model), engine, remark: usual.why });
            }
            for choice in Chooser::choices(chooser).await {
                let engine = choice.name.split('/').next().unwrap_or_default().to_owned();
                if models.iter().all(|known| known.id != choice.name) {
                    models.push(Model { id: choice.name, engine, remark: choice.remark });
                }
            }
            *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), models.clone()));
            models
        })
    }

    fn tools(&self) -> Vec<ToolSpec> {
        if self.recording.is_some() { Vec::new() } else { tool::all().iter().map(|tool| tool.spec()).collect() }
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let house = self.house.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(house) = house {
                house.close().await;
            }
        })
    }
}

impl House {
    /// Returns a folder that a client may work in: ours or one below it, or one that the settings name.
    fn allowed(&self, wanted: &Path) -> Result<PathBuf, Refused> {
        let not = |why: &str| {
            let text = format!(
                "{}: {why}; start the server with --cd above it, or name it in tools.folders",
                wanted.display()
            );
            Refused::new(403, "folder_not_allowed", text).about("folder")
        };
        let folder = self.folder.join(wanted).canonicalize().map_err(|_| not("no such folder here"))?;
        let also = self.config().tools.folders.iter().filter_map(|folder| folder.canonicalize().ok());
        let is_below = std::iter::once(self.folder.clone()).chain(also).any(|above| folder.starts_with(above));
        if is_below && folder.is_dir() { Ok(folder) } else { Err(not("sessions of this server don't work there")) }
    }
}

impl Chooser {
    /// Finds the engine for a model that a client named.
    async fn asked(self, name: &str) -> Result<EngineChoice, crate::event::Fault> {
        self.find(name, "asked for by the client").await
    }
}

/// Says the past in the session's log and returns it as the agent remembers it.
fn tell(begun: &mut Begun, past: &[AgentEvent]) -> (History, Names) {
    let (mut history, mut names) = (History::new(), Names::default());
    for fact in past {
        history.observe(fact);
        names.observe(fact);
    }
    begun.notices.extend_from_slice(past);
    (history, names)
}

/// Returns the turns of a log and when they began. O(log).
fn turns(reader: &Reader) -> std::io::Result<Vec<(TurnId, Millis)>> {
    let mut turns = Vec::new();
    let mut cursor = reader.first();
    loop {
        let page = reader.read(&mut cursor, Want::page())?;
        for entry in &page.entries {
            if let AgentEvent::TurnStarted { turn, .. } = &entry.envelope.event {
                turns.push((turn.clone(), entry.envelope.at));
            }
        }
        if page.end {
            return Ok(turns);
        }
    }
}

fn closing() -> Refused {
    Refused { retry_after: Some(5), ..Refused::new(503, "closing", "the server is going down") }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` hands over")]
fn broken(error: anyhow::Error) -> Refused {
    Refused::broken(format!("{error:#}"))
}

fn unreadable(error: &OpenError) -> Refused {
    match error {
        OpenError::InUse { .. } => {
            Refused::new(409, "in_use", "another jarvis-tui has this session open; close it there first")
        }
        // It was removed this very moment.
        OpenError::Io { cause, .. } if cause.kind() == std::io::ErrorKind::NotFound => {
            Refused::not_found("this session was removed")
        }
        OpenError::Io { .. } | OpenError::NoHeader { .. } | OpenError::Empty { .. } | OpenError::Newer { .. } => {
            Refused::broken(error.to_string())
        }
    }
}
