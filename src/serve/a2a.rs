//! A2A: our agent for other agents, at `/a2a` over JSON-RPC (1.0 and 0.3) and REST (1.0), with its card at
//! `/.well-known/agent-card.json`.
//!
//! A message makes a task: a session of its own, named alike. A context is a conversation: its next task begins with
//! what was said in the one before, and waits for its end. A task goes on without its client, which may subscribe again and then gets the task
//! as it stands and what follows. One that waits for an approval asks for input; the next message to it decides.

mod card;
mod errors;
mod loaded_task;
mod request;
mod tasks;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, Query, State as Shared};
use axum::http::header::{CONTENT_TYPE, HOST, HeaderValue};
use axum::http::{HeaderMap, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use self::errors::{
    CARD_NOT_CONFIGURED, METHOD_NOT_FOUND, TASK_NOT_CANCELABLE, TASK_NOT_FOUND, UNSUPPORTED_OPERATION, rest_error_body,
    rpc_error,
};
use self::loaded_task::{LoadedTask, check_nothing_is_asked, find_task, load_history, load_task};
use self::request::{A2aCaller, A2aOperation, A2aSend};
use self::tasks::{KnownTask, TaskIndex};
use super::Surface;
use super::access::BodyBytes;
use super::error::ApiError;
use super::fields::{self, Fields, get_string, wrong_type};
use super::oneshot::{self, Framing};
use super::request::OneShotRequest;
use super::responses::json_response;
use super::state::ServerState;
use crate::bridge::new_uuid;
use crate::dialect::Encode;
use crate::dialect::a2a::encode::{A2aEncoder, A2aTask};
use crate::dialect::wall_time::rfc3339;
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Envelope, Json};

pub(super) const SURFACE: Surface = Surface { routes, path_prefixes: &["/a2a"], error_format: rest_error_body };

/// Names the version that a client speaks.
const VERSION_HEADER: &str = "a2a-version";
const REST_MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/a2a+json");
/// The surface that a session's request came through.
const SURFACE_NAME: &str = "a2a";
const DEFAULT_PAGE_SIZE: u64 = 50;
const MAX_PAGE_SIZE: u64 = 100;

type A2aResult = Result<Response<Body>, ApiError>;

fn routes() -> Router<ServerState> {
    Router::new()
        .route("/.well-known/agent-card.json", get(show_card))
        // Where clients of 0.2 look.
        .route("/.well-known/agent.json", get(show_card))
        .route("/a2a", post(rpc))
        .route("/a2a/message:send", post(rest_send))
        .route("/a2a/message:stream", post(rest_stream))
        .route("/a2a/tasks", get(rest_list))
        .route("/a2a/tasks/{call}", get(rest_task).post(rest_task))
        .route("/a2a/tasks/{id}/pushNotificationConfigs", any(rest_push))
        .route("/a2a/tasks/{id}/pushNotificationConfigs/{config}", any(rest_push))
        .route("/a2a/extendedAgentCard", get(rest_extended_card))
        .layer(Extension(Arc::new(TaskIndex::default())))
}

async fn show_card(Shared(state): Shared<ServerState>, headers: HeaderMap) -> Response<Body> {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let settings = state.settings();
    let needs_token = settings.tokens.full.is_some() || settings.tokens.read.is_some();
    // Whoever comes through the proxy is led back to it.
    let is_public = |origin: &&String| origin.split_once("://").is_some_and(|(_, public)| public == host);
    let origin = settings.public_origin.as_ref().filter(is_public).cloned().unwrap_or_else(|| format!("http://{host}"));
    json_response(200, &card::agent_card(&format!("{origin}/a2a"), needs_token))
}

async fn rpc(
    Shared(state): Shared<ServerState>,
    Extension(tasks): Extension<Arc<TaskIndex>>,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    let refuse = |id: &Json, error: &ApiError| json_response(200, &rpc_error(id, error));
    let asked = match request::parse_rpc(&body) {
        Ok(asked) => asked,
        Err(refused) => return refuse(&refused.0, &refused.1),
    };
    let id = asked.caller.rpc_id.clone().unwrap_or_default();
    if let Err(error) = request::check_version(wanted_version(&headers)) {
        return refuse(&id, &error);
    }
    let answered = perform(&state, &tasks, &asked.caller, asked.operation, &asked.params).await;
    answered.unwrap_or_else(|error| refuse(&id, &error))
}

async fn rest_send(
    Shared(state): Shared<ServerState>,
    Extension(tasks): Extension<Arc<TaskIndex>>,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    rest(&state, &tasks, &headers, A2aOperation::Send, fields::parse_object(&body)).await
}

async fn rest_stream(
    Shared(state): Shared<ServerState>,
    Extension(tasks): Extension<Arc<TaskIndex>>,
    headers: HeaderMap,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    rest(&state, &tasks, &headers, A2aOperation::SendStreaming, fields::parse_object(&body)).await
}

async fn rest_list(
    Shared(state): Shared<ServerState>,
    Extension(tasks): Extension<Arc<TaskIndex>>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response<Body> {
    rest(&state, &tasks, &headers, A2aOperation::ListTasks, Ok(query_fields(query))).await
}

/// `GET /a2a/tasks/ID`, and `ID:cancel` and `ID:subscribe` by POST.
async fn rest_task(
    Shared(state): Shared<ServerState>,
    Extension(tasks): Extension<Arc<TaskIndex>>,
    Path(call): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    method: axum::http::Method,
    headers: HeaderMap,
) -> Response<Body> {
    let (id, operation) = match call.rsplit_once(':') {
        Some((id, "cancel")) if method == axum::http::Method::POST => (id, Ok(A2aOperation::CancelTask)),
        Some((id, "subscribe")) => (id, Ok(A2aOperation::Subscribe)),
        None if method == axum::http::Method::GET => (call.as_str(), Ok(A2aOperation::GetTask)),
        _ => {
            let text = format!("tasks have no method {method} {call:?}");
            (call.as_str(), Err(ApiError::new(404, METHOD_NOT_FOUND, text)))
        }
    };
    let mut params = query_fields(query);
    params.insert("id".into(), id.into());
    match operation {
        Ok(operation) => rest(&state, &tasks, &headers, operation, Ok(params)).await,
        Err(error) => error.to_response(rest_error_body),
    }
}

async fn rest_push() -> Response<Body> {
    request::push_not_supported().to_response(rest_error_body)
}

async fn rest_extended_card() -> Response<Body> {
    no_extended_card().to_response(rest_error_body)
}

async fn rest(
    state: &ServerState,
    tasks: &TaskIndex,
    headers: &HeaderMap,
    operation: A2aOperation,
    params: Result<Fields, ApiError>,
) -> Response<Body> {
    let answered = async {
        request::check_version(wanted_version(headers))?;
        perform(state, tasks, &A2aCaller::default(), operation, &params?).await
    };
    let mut response = answered.await.unwrap_or_else(|error| error.to_response(rest_error_body));
    if response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/json") {
        response.headers_mut().insert(CONTENT_TYPE, REST_MEDIA_TYPE);
    }
    response
}

fn wanted_version(headers: &HeaderMap) -> Option<&str> {
    headers.get(VERSION_HEADER).and_then(|version| version.to_str().ok())
}

fn query_fields(query: Vec<(String, String)>) -> Fields {
    query.into_iter().map(|(name, value)| (name, Json::String(value))).collect()
}

async fn perform(
    state: &ServerState,
    tasks: &TaskIndex,
    caller: &A2aCaller,
    operation: A2aOperation,
    params: &Fields,
) -> A2aResult {
    tasks.load(state).await;
    match operation {
        A2aOperation::Send => send(state, tasks, caller, request::parse_send(params)?, Framing::Buffered).await,
        A2aOperation::SendStreaming => {
            let wanted = A2aSend { returns_at_once: false, ..request::parse_send(params)? };
            send(state, tasks, caller, wanted, Framing::Sse).await
        }
        A2aOperation::GetTask => {
            let task = find_task(state, tasks, caller, params).await?;
            Ok(reply(caller, &task.encoder.task_json(number(params, "historyLength")?, true)))
        }
        A2aOperation::ListTasks => list(state, tasks, caller, params).await,
        A2aOperation::CancelTask => {
            let task = find_task(state, tasks, caller, params).await?;
            cancel(state, caller, task).await
        }
        A2aOperation::Subscribe => {
            let task = find_task(state, tasks, caller, params).await?;
            if !task.is_running || task.encoder.state().is_terminal() {
                return Err(unsupported(format!(
                    "task {} is over; get it in place of subscribing to it",
                    task.session
                )));
            }
            let about = A2aTask { begin_at: Some(task.last), ..task.about(caller) };
            follow(state, &task, Framing::Sse, Box::new(A2aEncoder::new(about))).await
        }
        A2aOperation::PushConfig => Err(request::push_not_supported()),
        A2aOperation::ExtendedCard => Err(no_extended_card()),
    }
}

async fn send(
    state: &ServerState,
    tasks: &TaskIndex,
    caller: &A2aCaller,
    wanted: A2aSend,
    framing: Framing,
) -> A2aResult {
    let returns_at_once = wanted.returns_at_once;
    let framing = if returns_at_once { Framing::Sse } else { framing };
    let response = match &wanted.task {
        Some(id) => decide(state, load_task(state, tasks, caller, id).await?, caller, &wanted, framing).await?,
        None => begin(state, tasks, caller, wanted, framing).await?,
    };
    if !returns_at_once {
        return Ok(response);
    }
    let first = oneshot::first_frame(response).await;
    first.map(|first| json_response(200, &first)).ok_or_else(|| ApiError::internal("the task ended before it started"))
}

/// Begins a task, after what was said in its context and once no other task runs there.
async fn begin(
    state: &ServerState,
    tasks: &TaskIndex,
    caller: &A2aCaller,
    wanted: A2aSend,
    framing: Framing,
) -> A2aResult {
    let context = wanted.context.unwrap_or_else(|| format!("ctx-{}", new_uuid().simple()));
    check_nothing_is_asked(state, tasks, caller, &context).await?;
    let place = state.turn_in(SURFACE_NAME, &context).await;
    let mut history = match tasks.latest(&context) {
        Some(latest) => load_history(state, &latest).await?,
        None => Vec::new(),
    };
    history.push(AgentEvent::Annotation {
        on: AnnotationTarget::Turn("request".into()),
        annotation: Annotation::Request(json!({"surface": SURFACE_NAME, "context": context})),
    });
    let request = OneShotRequest {
        history,
        prompt: Some(wanted.prompt.text),
        images: wanted.prompt.images,
        model: wanted.model,
        asks_client: true,
        // It is the client's to cancel it.
        keep_running: true,
        ..OneShotRequest::default()
    };
    oneshot::run_in(state, Some(place), request, framing, |session| {
        let about = A2aTask { id: session.to_string(), context: context.clone(), ..caller.task() };
        tasks.add(state, KnownTask { task: session.clone(), context });
        Box::new(A2aEncoder::new(about))
    })
    .await
}

/// Takes a message to a task: only one that asks for an approval takes some.
async fn decide(
    state: &ServerState,
    task: LoadedTask,
    caller: &A2aCaller,
    wanted: &A2aSend,
    framing: Framing,
) -> A2aResult {
    let id = &task.session;
    if wanted.context.as_ref().is_some_and(|context| *context != task.context) {
        let text = format!("task {id} belongs to the context {}", task.context);
        return Err(ApiError::bad_request(text).with_param("message.contextId"));
    }
    let Some(call) = task.encoder.pending_call().cloned() else {
        let text = if task.encoder.state().is_terminal() {
            format!("task {id} is over; send the message with its contextId and without taskId")
        } else {
            format!("task {id} is at work and takes no message; wait for its end or cancel it")
        };
        return Err(unsupported(text));
    };
    let Some(decision) = wanted.decision.clone() else {
        let text =
            format!("task {id} asks whether a call may run: answer yes or no, or {{\"approved\": true}} as data");
        return Err(ApiError::bad_request(text).with_param("message.parts"));
    };
    oneshot::decide(state, id, call.clone(), decision).await;
    let about = A2aTask { begin_at: Some(task.last), decided: Some(call), ..task.about(caller) };
    follow(state, &task, framing, Box::new(A2aEncoder::new(about))).await
}

/// Answers with a task that exists, to its end or its next question.
async fn follow(state: &ServerState, task: &LoadedTask, framing: Framing, encoder: Box<dyn Encode>) -> A2aResult {
    oneshot::replay(state, &task.session, framing, 0, |_| encoder).await
}

async fn cancel(state: &ServerState, caller: &A2aCaller, task: LoadedTask) -> A2aResult {
    let is_over = task.encoder.state().is_terminal();
    if is_over || !oneshot::cancel(state, &task.session).await? {
        let text = format!("task {} is over", task.session);
        return Err(ApiError::new(400, TASK_NOT_CANCELABLE, text));
    }
    let about = A2aTask { never_pauses: true, ..task.about(caller) };
    follow(state, &task, Framing::Buffered, Box::new(BareTask(A2aEncoder::new(about)))).await
}

async fn list(state: &ServerState, tasks: &TaskIndex, caller: &A2aCaller, params: &Fields) -> A2aResult {
    let context = get_string(params, "contextId", "")?.filter(|context| !context.is_empty());
    let status = get_string(params, "status", "")?.filter(|status| !status.is_empty());
    let after = get_string(params, "statusTimestampAfter", "")?.filter(|after| !after.is_empty());
    let page_size = number(params, "pageSize")?.unwrap_or(DEFAULT_PAGE_SIZE).clamp(1, MAX_PAGE_SIZE);
    let history_length = number(params, "historyLength")?;
    let with_artifacts = matches!(params.get("includeArtifacts"), Some(Value::Bool(true)))
        || params.get("includeArtifacts").and_then(Json::as_str) == Some("true");
    let first = match get_string(params, "pageToken", "")?.filter(|token| !token.is_empty()) {
        None => 0,
        Some(token) => token.parse::<usize>().map_err(|_| wrong_type("pageToken", "a token of an earlier page"))?,
    };
    let (mut total, mut page) = (0, Vec::new());
    for known in tasks.list(context) {
        let task = match load_task(state, tasks, caller, known.task.as_str()).await {
            Ok(task) => task,
            // It was deleted.
            Err(error) if error.code == TASK_NOT_FOUND => continue,
            Err(error) => return Err(error),
        };
        let fits = status.is_none_or(|status| task.encoder.state().name(caller.version) == status)
            && after.is_none_or(|after| rfc3339(task.encoder.updated_ms()).as_str() > after);
        if !fits {
            continue;
        }
        if total >= first && (page.len() as u64) < page_size {
            page.push(task.encoder.task_json(history_length, with_artifacts));
        }
        total += 1;
    }
    let next = first.saturating_add(page.len());
    let next = if next < total { next.to_string() } else { String::new() };
    let found = json!({"tasks": page, "nextPageToken": next, "pageSize": page_size, "totalSize": total});
    Ok(reply(caller, &found))
}

/// A task that is the whole answer, where a message would be answered with one in a field.
struct BareTask(A2aEncoder);

impl Encode for BareTask {
    fn encode_event(&mut self, envelope: &Envelope, out: &mut Vec<crate::dialect::SseFrame>) {
        self.0.encode_event(envelope, out);
    }

    fn finish(&mut self, out: &mut Vec<crate::dialect::SseFrame>) {
        self.0.finish(out);
    }

    fn full_response(&mut self) -> (u16, Json) {
        (200, self.0.answer_json(self.0.task_json(None, true)))
    }
}

fn reply(caller: &A2aCaller, result: &Json) -> Response<Body> {
    match &caller.rpc_id {
        Some(id) => json_response(200, &json!({"jsonrpc": "2.0", "id": id, "result": result})),
        None => json_response(200, result),
    }
}

/// Returns a count, which a query has as text.
fn number(params: &Fields, name: &str) -> Result<Option<u64>, ApiError> {
    let wrong = || wrong_type(name, "a whole number");
    match fields::get_value(params, name) {
        None => Ok(None),
        Some(Json::String(text)) if text.is_empty() => Ok(None),
        Some(Json::String(text)) => text.parse().map(Some).map_err(|_| wrong()),
        Some(value) => value.as_u64().map(Some).ok_or_else(wrong),
    }
}

fn unsupported(text: String) -> ApiError {
    ApiError::new(400, UNSUPPORTED_OPERATION, text)
}

fn no_extended_card() -> ApiError {
    ApiError::new(400, CARD_NOT_CONFIGURED, "there is no other card than the public one")
}
