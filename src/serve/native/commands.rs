//! A client's wishes: read, checked, passed on, and answered with what became of them where that is known at once.

use std::time::Duration;

use axum::extract::{Path, State as Shared};
use serde_json::json;
use tokio::time::timeout;

use super::{Answer, answer, refuse};
use crate::event::{CallId, Command, DecidedBy, Decision, Pattern, SessionId};
use crate::serve::guard::Whole;
use crate::serve::refuse::Refused;
use crate::serve::room::{Claim, Room};
use crate::serve::state::State;

/// How long a decision may take to become a fact.
const DECIDED: Duration = Duration::from_secs(5);
/// The longest name of a model.
const NAME: usize = 256;

pub(super) async fn wish(Shared(state): Shared<State>, Path(id): Path<String>, Whole(body): Whole) -> Answer {
    let wish: Command = serde_json::from_slice(&body).map_err(|error| {
        refuse(Refused::bad(format!("a command is {{\"type\": \"prompt\", \"text\": …}} or another: {error}")))
    })?;
    let room = state.room(&SessionId::from(id.as_str())).await.map_err(refuse)?;
    check(&state, &room, &wish).map_err(refuse)?;
    room.touch();
    if let Command::Decide { call, decision } = wish {
        return decide(&room, call, decision).await.map_err(refuse);
    }
    let seen = room.live.hub.last();
    let waits = matches!(wish, Command::Prompt { .. }) && room.is_busy();
    send(&room, wish).map_err(refuse)?;
    Ok(answer(202, &json!({ "accepted": true, "after": seen, "queued": waits })))
}

/// Refuses what can't be meant, before it is passed on.
fn check(state: &State, room: &Room, wish: &Command) -> Result<(), Refused> {
    let caps = room.live.caps;
    let able = |able: bool, why: &str| if able { Ok(()) } else { Err(Refused::new(409, "not_here", why)) };
    match wish {
        Command::Prompt { text } => {
            able(caps.prompt, "this session takes no prompts")?;
            if text.trim().is_empty() {
                return Err(Refused::bad("the prompt is empty").about("text"));
            }
            state.check_message(text)
        }
        Command::SetModel { model } => {
            able(caps.prompt, "the model can't be changed here")?;
            if model.trim().is_empty() || model.len() > NAME {
                return Err(Refused::bad("a model is written engine/model").about("model"));
            }
            Ok(())
        }
        Command::Revoke { .. } => able(caps.decide, "nothing is allowed or taken back here"),
        Command::SetMode { mode } => {
            able(caps.prompt, "the mode can't be changed here")?;
            state.check_mode(*mode)
        }
        Command::Prepare | Command::GoOn | Command::SendQueued | Command::Unqueue { .. } => {
            able(caps.prompt, "this session takes no prompts")
        }
        Command::Decide { .. } => able(caps.decide, "nothing can be decided here"),
        Command::Cancel => able(caps.cancel, "nothing can be cancelled here"),
        Command::Seek { .. }
        | Command::Speed { .. }
        | Command::Pause { .. }
        | Command::Step { .. }
        | Command::SqueezeIdle { .. } => able(caps.seek, "only a recording can be moved"),
    }
}

async fn decide(room: &Room, call: CallId, decision: Decision) -> Result<super::Response<super::Body>, Refused> {
    if let Decision::Pattern(text) | Decision::Deny(Some(text)) = &decision
        && text.len() > 4096
    {
        return Err(Refused::too_large("a pattern or reason is one line").about("decision"));
    }
    if let Decision::Pattern(text) = &decision
        && let Some((_, ask)) = room.now().asks.iter().find(|(waiting, _)| *waiting == call)
        && let Err(wrong) = Pattern::parse_for(&ask.tool, text)
    {
        return Err(Refused::bad(wrong).about("decision"));
    }
    let mut facts = room.live.hub.subscribe(room.live.hub.last());
    match room.claim(&call, &decision) {
        Claim::First => {}
        Claim::Late(winner, by) => return Ok(late(&winner, by)),
        Claim::Unknown => return Err(Refused::not_found(format!("nothing waits to be decided about {call}"))),
    }
    let wish = Command::Decide { call: call.clone(), decision: decision.clone() };
    if room.live.commands.try_send(wish).is_err() {
        room.unclaim(&call);
        return Err(stuck());
    }
    // It counts once it is a fact: the turn may have been cancelled, or the time been up, an instant before.
    let known = timeout(DECIDED, async {
        loop {
            if let Some(known) = room.resolution(&call) {
                return Some(known);
            }
            facts.next().await?;
        }
    });
    match known.await {
        Ok(Some((known, DecidedBy::Remote))) => {
            Ok(answer(200, &json!({ "call": call, "decision": known, "by": DecidedBy::Remote })))
        }
        Ok(Some((known, by))) => Ok(late(&known, Some(by))),
        Ok(None) => Err(Refused::new(410, "over", "the session ended before that was decided")),
        Err(_) => Ok(answer(202, &json!({ "accepted": true, "call": call, "decision": decision }))),
    }
}

/// Tells the loser of a race what was decided.
fn late(decision: &Decision, by: Option<DecidedBy>) -> super::Response<super::Body> {
    let text = "this was decided already";
    answer(409, &json!({ "error": { "code": "decided", "message": text }, "decision": decision, "by": by }))
}

fn send(room: &Room, wish: Command) -> Result<(), Refused> {
    room.live.commands.try_send(wish).map_err(|_| stuck())
}

fn stuck() -> Refused {
    Refused { retry_after: Some(1), ..Refused::new(503, "stuck", "the session takes nothing just now") }
}
