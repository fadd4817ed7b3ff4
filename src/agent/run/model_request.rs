//! One request to the model: preflight requests, the streamed response, or a script in place of both.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::agent::setup::EngineChoice;
use crate::engine::{ModelRequest, ReplyPlan, ScriptedEvent};
use crate::event::{AgentEvent, NoticeLevel};
use crate::net::{HttpClient, RequestEvent, RequestPolicy, perform_with_side_channel};

/// Time limit of one preflight request.
const PREFLIGHT_TIMEOUT: Duration = Duration::from_secs(15);
/// The maximum number of preflight requests.
const MAX_PREFLIGHT_REQUESTS: usize = 100;

/// Sends the events of the response; the last one is `TurnFinished`.
pub(super) async fn send_request(
    choice: EngineChoice,
    http: HttpClient,
    request: ModelRequest,
    epoch: Instant,
    out: mpsc::Sender<RequestEvent>,
) {
    for _ in 0..MAX_PREFLIGHT_REQUESTS {
        let Some(call) = choice.engine.preflight(&request) else { break };
        let answer = http.request_json(&call, PREFLIGHT_TIMEOUT).await;
        if let Some(text) = choice.engine.handle_preflight(&request, answer) {
            let notice = AgentEvent::Notice { level: NoticeLevel::Warn, code: "prepared".into(), text };
            if out.send(RequestEvent::Event(notice)).await.is_err() {
                return;
            }
        }
    }
    let beside = choice.engine.side_channel(&request);
    match choice.engine.plan_reply(&request) {
        ReplyPlan::Http { request: call, decode } => {
            let policy = RequestPolicy {
                first_byte_timeout: choice.first_byte_timeout,
                idle_timeout: choice.idle_timeout,
                no_output_timeout: choice.no_output_timeout,
                max_retries: choice.max_retries,
                may_resend: choice.may_resend,
                epoch,
            };
            perform_with_side_channel(&http, &call, beside.as_ref(), decode, &policy, &out).await;
        }
        ReplyPlan::Scripted(beats) => play_script(beats, out).await,
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
