//! One request to the model: what must precede it, the streamed response, or a script in place of both.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::agent::setup::EngineChoice;
use crate::engine::{ModelRequest, Preparation, ReplyPlan, ScriptedEvent};
use crate::event::{Fault, FaultKind, Millis, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome};
use crate::net::{HttpClient, RequestEvent, RequestPolicy, perform_with_side_channel};

/// Time limit of one request before it.
const PREPARATION_TIMEOUT: Duration = Duration::from_secs(15);
/// The maximum number of requests before it.
const MAX_PREPARATIONS: usize = 100;

/// Sends the events of the response; the last one is `End`.
pub(super) async fn send_request(
    choice: EngineChoice,
    http: HttpClient,
    request: ModelRequest,
    epoch: Instant,
    out: mpsc::Sender<RequestEvent>,
) {
    let mut plan = choice.engine.plan_reply(&request);
    for _ in 0..MAX_PREPARATIONS {
        let ReplyPlan::Prepare(Preparation { request: call, handle }) = plan else { break };
        let answer = http.request_json(&call, PREPARATION_TIMEOUT).await;
        if let Some(text) = handle(answer) {
            let notice = ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Prepared, text };
            if out.send(RequestEvent::Event(notice)).await.is_err() {
                return;
            }
        }
        plan = choice.engine.plan_reply(&request);
    }
    match plan {
        ReplyPlan::Http { request: call, decode, side_channel } => {
            let policy = RequestPolicy {
                first_byte_timeout: choice.first_byte_timeout,
                idle_timeout: choice.idle_timeout,
                no_output_timeout: choice.no_output_timeout,
                max_retries: choice.max_retries,
                may_resend: choice.may_resend,
                epoch,
            };
            perform_with_side_channel(&http, &call, side_channel, decode, &policy, &out).await;
        }
        ReplyPlan::Scripted(beats) => play_script(beats, out).await,
        ReplyPlan::Prepare(_) => {
            let fault = Fault::new(FaultKind::Internal, "the engine never got to the prompt");
            let event = ReplyEvent::End { outcome: TurnOutcome::Failed(fault) };
            play_script(vec![ScriptedEvent { delay: Millis(0), event }], out).await;
        }
    }
}

/// Plays a scripted response, each event after its pause.
async fn play_script(beats: Vec<ScriptedEvent>, out: mpsc::Sender<RequestEvent>) {
    for ScriptedEvent { delay: after, event } in beats {
        if after.0 > 0 {
            tokio::time::sleep(after.into()).await;
        }
        if out.send(RequestEvent::Event(event)).await.is_err() {
            return;
        }
    }
}
