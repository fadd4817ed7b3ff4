//! A log that is played in place of an agent: as the server's one session, and turn by turn for one-shot requests.

use std::path::Path;

use crate::bridge::SessionHandle;
use crate::event::{AgentEvent, Millis, TurnId};
use crate::journal::{self, ReadLimits, Reader};
use crate::runtime::{Runtime, replay, wall_clock};
use crate::serve::error::ApiError;
use crate::serve::factory::{Model, OneShotSession};
use crate::serve::request::OneShotRequest;

pub(super) struct Recording {
    reader: Reader,
    speed: f32,
    /// The turns, and when they began.
    turns: Vec<(TurnId, Millis)>,
}

impl Recording {
    /// Opens a log, to be played at `speed` times the original speed.
    pub(super) fn open(path: &Path, speed: f32) -> anyhow::Result<Self> {
        let reader = Reader::open(path)?;
        let turns = read_turns(&reader)?;
        Ok(Self { reader, speed, turns })
    }

    /// Returns what is said to answer.
    pub(super) fn model(&self) -> Model {
        let header = self.reader.header();
        Model { id: header.model.clone(), engine: header.engine.clone(), remark: "a recording".to_owned() }
    }

    /// Opens all of it. It starts when the first client connects.
    pub(super) fn open_paused(&self, runtime: &Runtime) -> Result<SessionHandle, ApiError> {
        let options = replay::ReplayOptions { speed: self.speed, paused: true, ..replay::ReplayOptions::default() };
        self.start(runtime, options)
    }

    /// Responds with a turn: the one at the position of the client's conversation.
    pub(super) fn replay_turn(&self, runtime: &Runtime, request: &OneShotRequest) -> Result<OneShotSession, ApiError> {
        let user_messages =
            request.history.iter().filter(|event| matches!(event, AgentEvent::UserMessage { .. })).count();
        let Some((turn, at)) = self.turns.get(user_messages).or(self.turns.last()).cloned() else {
            return Err(ApiError::new(503, "empty_recording", "the recording has no turns"));
        };
        let options = replay::ReplayOptions { speed: self.speed, from: at, ..replay::ReplayOptions::default() };
        let mut live = self.start(runtime, options)?;
        live.session = journal::new_session_id(wall_clock());
        Ok(OneShotSession { handle: live, turn: Some(turn), is_replayed: true })
    }

    fn start(&self, runtime: &Runtime, options: replay::ReplayOptions) -> Result<SessionHandle, ApiError> {
        replay::start(self.reader.clone(), options, &mut runtime.running().tasks)
            .map_err(|error| ApiError::internal(format!("the recording can't be read: {error}")))
    }
}

/// Returns the turns of a log and when they began. O(log).
fn read_turns(reader: &Reader) -> std::io::Result<Vec<(TurnId, Millis)>> {
    let mut turns = Vec::new();
    let mut cursor = reader.start_cursor();
    loop {
        let page = reader.read(&mut cursor, ReadLimits::one_page())?;
        for entry in &page.entries {
            if let AgentEvent::TurnStarted { turn, .. } = &entry.envelope.event {
                turns.push((turn.clone(), entry.envelope.at));
            }
        }
        if page.at_end {
            return Ok(turns);
        }
    }
}
