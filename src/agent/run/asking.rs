//! One request to the model: what must be asked before it, the answer as it comes, or a script in place of both.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::agent::setup::EngineChoice;
use crate::engine::{Beat, Reply, Request};
use crate::event::{AgentEvent, Level};
use crate::net::{Heard, Http, Patience, perform_beside};

/// How long each thing that must be asked first may take.
const PREPARING: Duration = Duration::from_secs(15);
/// How many of those there may be.
const MOST: usize = 100;

/// Tells what comes of it; the last is one `TurnFinished`.
pub(super) async fn ask(choice: EngineChoice, http: Http, request: Request, epoch: Instant, out: mpsc::Sender<Heard>) {
    for _ in 0..MOST {
        let Some(call) = choice.engine.prepare(&request) else { break };
        let answer = http.json(&call, PREPARING).await;
        if let Some(text) = choice.engine.prepared(&request, answer) {
            let notice = AgentEvent::Noticed { level: Level::Warn, code: "prepared".into(), text };
            if out.send(Heard::Event(notice)).await.is_err() {
                return;
            }
        }
    }
    let beside = choice.engine.beside(&request);
    match choice.engine.reply(&request) {
        Reply::Http { call, decode } => {
            let patience = Patience {
                first_byte: choice.first_byte,
                idle: choice.idle,
                no_output: choice.no_output,
                retries: choice.retries,
                resend: choice.resend,
                epoch,
            };
            perform_beside(&http, &call, beside.as_ref(), decode, &patience, &out).await;
        }
        Reply::Script(beats) => play(beats, out).await,
    }
}

/// Plays a scripted answer, each event after its pause.
async fn play(beats: Vec<Beat>, out: mpsc::Sender<Heard>) {
    for Beat { after, event } in beats {
        if after.0 > 0 {
            tokio::time::sleep(after.into()).await;
        }
        if out.send(Heard::Event(event)).await.is_err() {
            return;
        }
    }
}
