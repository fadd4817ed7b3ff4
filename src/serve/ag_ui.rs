//! `POST /agui`: a run of AG-UI, as its clients and CopilotKit ask for it.
//!
//! The client sends the whole conversation, and its tools: with some the model gets those in place of ours. A run that
//! needs an approval ends with an interrupt; the next run answers it in `resume`, and gets the rest of the same turn.
//! Another run of a thread ends the one before it.

mod input;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, State as Shared};
use axum::http::{HeaderMap, Response};
use axum::routing::post;

use self::input::{AgUiInput, AgUiWork, ResumedCall};
use super::Surface;
use super::access::BodyBytes;
use super::error::{ApiError, native_error_body};
use super::oneshot::{self, Framing};
use super::running_chats::RunningChats;
use super::state::ServerState;
use crate::dialect::Encode;
use crate::dialect::agui::encode::{AgUiEncoder, AgUiRun};
use crate::event::{CallId, SessionId};

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &["/agui"], error_format: native_error_body };

/// Which session answers in which thread.
#[derive(Debug, Default)]
pub(super) struct RunningThreads(RunningChats);

fn routes() -> Router<ServerState> {
    Router::new().route("/agui", post(run))
}

async fn run(
    Shared(state): Shared<ServerState>,
    Extension(threads): Extension<Arc<RunningThreads>>,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    answer(&state, &threads.0, &headers, &body).await.unwrap_or_else(|refused| refused.to_response(native_error_body))
}

async fn answer(
    state: &ServerState,
    threads: &RunningChats,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, ApiError> {
    let AgUiInput { thread_id, run_id, work } = input::parse(body)?;
    match work {
        AgUiWork::Run(mut request) => {
            request.asks_client = true;
            request.keep_running = oneshot::should_keep_running(headers);
            let thread = thread_id.clone();
            threads
                .run(state, &thread, *request, |running| {
                    encoder(&running.session, thread_id, run_id, running.client_tools, None)
                })
                .await
        }
        AgUiWork::Resume(answers) => {
            let Some(ResumedCall { session, call, .. }) = answers.last().cloned() else {
                return Err(ApiError::bad_request("no interrupt is answered").with_param("resume"));
            };
            for ResumedCall { session, call, decision } in answers {
                oneshot::decide(state, &session, call, decision).await;
            }
            oneshot::replay(state, &session, Framing::Sse, 0, |session| {
                encoder(session, thread_id, run_id, false, Some(call))
            })
            .await
        }
    }
}

fn encoder(
    session: &SessionId,
    thread_id: String,
    run_id: String,
    client_tools: bool,
    after: Option<CallId>,
) -> Box<dyn Encode> {
    Box::new(AgUiEncoder::new(AgUiRun { thread_id, run_id, session: session.to_string(), client_tools, after }))
}
