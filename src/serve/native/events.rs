//! A session's facts as a stream: each an event named by its type, its number the id, its data the line of the log.
//!
//! Beside the numbered facts, without an id: `caught-up` once the past was told, `weather` when the state of the line
//! or the queue changes, `reset` when the client must forget what it has. Nothing is ever left out in silence.

use std::io::Write as _;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::watch;

use super::{Answer, refuse};
use crate::bridge::hub::{Hub, Subscription};
use crate::bridge::{Delivery, Live, Published};
use crate::event::{Command, Seq, SessionId, Weather};
use crate::serve::flow::{self, Source, WRITE};
use crate::serve::guard::Access;
use crate::serve::oneshot::unbuffered;
use crate::serve::refuse::Refused;
use crate::serve::room::Reading;
use crate::serve::state::State;

/// Facts taken at once.
const BATCH: usize = 512;

#[derive(Debug, Deserialize)]
pub(super) struct From {
    /// The first number wanted.
    from: Option<String>,
}

pub(super) async fn watch(
    Shared(state): Shared<State>,
    Extension(access): Extension<Access>,
    Path(id): Path<String>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Answer {
    let id = SessionId::from(id.as_str());
    let after = after(&from, &headers).map_err(refuse)?;
    let (live, reading) = find(&state, &id, access).await.map_err(refuse)?;
    let last = live.hub.last();
    if live.hub.is_closed() && after == last && last > Seq(0) {
        let mut nothing = Response::new(Body::empty());
        *nothing.status_mut() = StatusCode::NO_CONTENT;
        return Ok(nothing);
    }
    // A recording begins when the first comes to watch.
    if state.is_first(&id) {
        let _ = live.commands.try_send(Command::Pause { paused: false });
    }
    // Who has more than there is has something else.
    let beyond = after > last;
    let facts = live.hub.subscribe(if beyond { Seq(0) } else { after });
    let watching = Watching {
        got: Vec::new(),
        facts,
        hub: live.hub.clone(),
        weather: live.weather.clone(),
        weather_open: true,
        changed: false,
        reset: beyond,
        until: Some(last),
        ended: false,
        new: true,
        _reading: reading,
    };
    let mut response = Response::new(flow::body(watching));
    let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    unbuffered(response.headers_mut());
    Ok(response)
}

/// Who may only watch opens nothing: a session that does not run is read as it is.
async fn find(state: &State, id: &SessionId, access: Access) -> Result<(Live, Option<Reading>), Refused> {
    if access == Access::Read && state.running(id).is_none() {
        return Ok((state.saved(id).await?, None));
    }
    match state.room(id).await {
        Ok(room) => Ok((room.live.clone(), Some(room.read()))),
        Err(refused) if refused.code == "only_read" => Ok((state.saved(id).await?, None)),
        Err(refused) => Err(refused),
    }
}

/// Returns the number after which the client wants to go on.
fn after(from: &From, headers: &HeaderMap) -> Result<Seq, Refused> {
    let number = |name: &str, text: &str| {
        text.trim().parse::<u64>().map_err(|_| Refused::bad(format!("{name} is the number of an event")).about(name))
    };
    if let Some(id) = headers.get("last-event-id").filter(|id| !id.is_empty()) {
        return number("Last-Event-ID", id.to_str().unwrap_or_default()).map(Seq);
    }
    match &from.from {
        Some(text) => number("from", text).map(|first| Seq(first.saturating_sub(1))),
        None => Ok(Seq(0)),
    }
}

struct Watching {
    facts: Subscription,
    got: Vec<Delivery>,
    hub: Hub,
    weather: watch::Receiver<Weather>,
    weather_open: bool,
    /// The weather changed and was not told.
    changed: bool,
    /// The client must forget what it has.
    reset: bool,
    /// The past ends there; nothing once that was said.
    until: Option<Seq>,
    ended: bool,
    new: bool,
    _reading: Option<Reading>,
}

impl Source for Watching {
    async fn ready(&mut self) {
        if self.new {
            return;
        }
        // Facts before weather.
        tokio::select! {
            biased;
            more = self.facts.batch(BATCH, &mut self.got), if self.got.is_empty() => self.ended = !more,
            // This counts as seen from here on.
            changed = self.weather.changed(), if self.weather_open => {
                self.weather_open = changed.is_ok();
                self.changed = true;
            }
        }
    }

    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        self.new = false;
        if std::mem::take(&mut self.reset) {
            self.say("reset", "{}", out);
        }
        loop {
            for delivery in std::mem::take(&mut self.got) {
                match delivery {
                    Delivery::Fact(fact) => {
                        write_fact(&fact, out);
                        self.past_told(fact.envelope.seq, out);
                    }
                    Delivery::Reset => {
                        self.say("reset", "{}", out);
                        self.until = Some(self.hub.last());
                    }
                }
            }
            if out.len() >= WRITE || !self.facts.try_batch(BATCH, &mut self.got) {
                break;
            }
        }
        let seq = self.facts.seq();
        self.past_told(seq, out);
        if self.until.is_none() && (self.changed || self.weather.has_changed().unwrap_or(false)) {
            self.say_weather(out);
        }
        !self.ended
    }

    fn sign_of_life(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": keep-alive\n\n");
    }
}

impl Watching {
    fn past_told(&mut self, seq: Seq, out: &mut Vec<u8>) {
        if self.until.is_some_and(|until| seq >= until) {
            self.until = None;
            self.say_weather(out);
            self.say("caught-up", "{}", out);
        }
    }

    fn say_weather(&mut self, out: &mut Vec<u8>) {
        self.changed = false;
        let weather = self.weather.borrow_and_update().clone();
        if let Ok(text) = serde_json::to_string(&weather) {
            self.say("weather", &text, out);
        }
    }

    #[expect(clippy::unused_self, reason = "reads as what it does")]
    fn say(&self, name: &str, data: &str, out: &mut Vec<u8>) {
        // Writing into memory doesn't fail.
        let _ = write!(out, "event: {name}\ndata: {data}\n\n");
    }
}

/// JSON text has no raw line ends, so a line is one line of data.
fn write_fact(fact: &Published, out: &mut Vec<u8>) {
    let kind = fact.envelope.event.kind();
    let named = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let kind = if named { kind } else { "unknown" };
    let _ = write!(out, "event: {kind}\nid: {}\ndata: ", fact.envelope.seq.0);
    out.extend_from_slice(&fact.line);
    out.extend_from_slice(b"\n\n");
}
