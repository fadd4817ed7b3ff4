//! `/v1/responses` and `/v1/conversations` as OpenAI has them.
//!
//! Without tools of the client our agent works with its own, which the answer tells of as `mcp_call` items; with tools,
//! the model's calls go back to the client, which sends their outputs with `previous_response_id` or all items. A
//! response is stored as the log of its session: it can be asked for, streamed from any event on, gone on from and
//! removed, also after a restart. One that was not to be stored is removed once it is over.

pub(super) mod conversations;
pub(super) mod input;
pub(super) mod kept;
mod request;
pub(super) mod talk;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use futures_util::StreamExt;
use serde_json::json;

use self::input::Page;
use self::kept::{Kept, Record};
use self::talk::Talk;
use super::Surface;
use super::ask::Ask;
use super::chat::shape;
use super::guard::Whole;
use super::oneshot::{self, Framing};
use super::refuse::Refused;
use super::state::State;
use crate::dialect::responses::encode::Encoder;
use crate::dialect::{Encode, KeepAlive, SseFrame};
use crate::event::{Envelope, Json};

pub(super) const SURFACE: Surface = Surface { routes, under: &["/v1/responses", "/v1/conversations"], shape };

type Answer = Result<Response<Body>, Refused>;
type Asked = Query<Vec<(String, String)>>;

fn routes() -> Router<State> {
    Router::new()
        .route("/v1/responses", post(create))
        .route("/v1/responses/{id}", get(retrieve).delete(delete))
        .route("/v1/responses/{id}/cancel", post(cancel))
        .route("/v1/responses/{id}/input_items", get(input_items))
        .merge(conversations::official())
}

async fn create(Shared(state): Shared<State>, headers: HeaderMap, Whole(body): Whole) -> Response<Body> {
    said(answer(&state, &headers, &body).await)
}

async fn answer(state: &State, headers: &HeaderMap, body: &[u8]) -> Answer {
    let wanted = request::read(body)?;
    let mut talk = Talk::default();
    if let Some(instructions) = &wanted.instructions {
        talk.system(instructions);
    }
    if let Some(previous) = &wanted.previous {
        let kept = Kept::find(state, previous).await?.ok_or_else(|| unknown_previous(previous))?;
        if !kept.is_over() {
            let text = format!("response {previous} is still in progress; wait for its end or cancel it");
            return Err(Refused::bad(text).about("previous_response_id"));
        }
        // Nobody but the model that said it can read what it wants back verbatim.
        let carries = wanted.model.is_some() && wanted.model == kept.record.model;
        talk.again(kept.all(), carries);
    }
    if let Some(conversation) = &wanted.conversation {
        conversations::tell(state, conversation, &mut talk).await?;
    }
    let own = talk.mark();
    talk.input(&wanted.input, "input")?;
    let talked = talk.done("input")?;
    let record = Record {
        surface: "openai".into(),
        echo: wanted.echo,
        model: wanted.model.clone(),
        client_tools: wanted.client_tools.is_some(),
        asked: talked.tokens,
        store: wanted.store,
        rounds: None,
    };
    let mut past = talked.past;
    record.put(&mut past, own);
    let ask = Ask {
        past,
        prompt: talked.prompt,
        system: talked.system,
        model: wanted.model,
        client_tools: wanted.client_tools,
        max_rounds: None,
        max_calls: wanted.max_calls,
        tuning: wanted.tuning,
        resources: None,
        stays: wanted.background || oneshot::stays(headers),
    };
    let framing = if wanted.stream || wanted.background { Framing::Sse } else { Framing::Whole };
    let response = oneshot::run(state, ask, framing, |session| {
        if let Some(conversation) = wanted.conversation.filter(|_| record.store) {
            let response = kept::id_of(session);
            state.spawn(conversations::add_response(state.clone(), conversation, response));
        }
        if !record.store {
            state.spawn(kept::forget(state.clone(), session.clone()));
        }
        Box::new(record.encoder(session))
    })
    .await?;
    if wanted.background && !wanted.stream { first_word(response).await } else { Ok(response) }
}

/// Answers with the response as it begins, and leaves the rest to whoever asks for it.
async fn first_word(response: Response<Body>) -> Answer {
    let session = response.headers().get(oneshot::SESSION).cloned();
    let mut pieces = response.into_body().into_data_stream();
    let mut begin = Vec::new();
    while let Some(Ok(piece)) = pieces.next().await {
        begin.extend_from_slice(&piece);
        let text = String::from_utf8_lossy(&begin);
        let Some((event, _)) = text.split_once("\n\n") else { continue };
        let data = event.lines().find_map(|line| line.strip_prefix("data: "));
        let event: Option<Json> = data.and_then(|data| serde_json::from_str(data).ok());
        if let Some(begun) = event.as_ref().and_then(|event| event.get("response")) {
            let mut response = whole(200, begun);
            if let Some(session) = session {
                response.headers_mut().insert(oneshot::SESSION, session);
            }
            return Ok(response);
        }
    }
    Err(Refused::broken("the session ended before it began"))
}

async fn retrieve(Shared(state): Shared<State>, Path(id): Path<String>, Query(query): Asked) -> Response<Body> {
    let answer = async {
        let kept = find(&state, &id).await?;
        let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if !matches!(value("stream"), Some("true" | "1" | "True")) {
            return Ok(whole(200, &kept.response()));
        }
        let skip = match value("starting_after").map(str::parse::<usize>) {
            None => 0,
            Some(Ok(after)) => after.saturating_add(1),
            Some(Err(_)) => return Err(super::fields::wrong("starting_after", "the number of an event")),
        };
        oneshot::again(&state, &kept.session, Framing::Sse, skip, |session| Box::new(kept.record.encoder(session)))
            .await
    };
    said(answer.await)
}

async fn delete(Shared(state): Shared<State>, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        let kept = find(&state, &id).await?;
        oneshot::cancel(&state, &kept.session).await?;
        kept::remove(&state, &kept.session).await?;
        Ok(whole(200, &json!({"id": id, "object": "response", "deleted": true})))
    };
    said(answer.await)
}

async fn cancel(Shared(state): Shared<State>, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        let kept = find(&state, &id).await?;
        oneshot::cancel(&state, &kept.session).await?;
        let encoder = |session: &_| -> Box<dyn Encode> { Box::new(Plainly(kept.record.encoder(session))) };
        oneshot::again(&state, &kept.session, Framing::Whole, 0, encoder).await
    };
    said(answer.await)
}

async fn input_items(Shared(state): Shared<State>, Path(id): Path<String>, Query(query): Asked) -> Response<Body> {
    let answer = async {
        let (kept, page) = (find(&state, &id).await?, Page::read(&query)?);
        let key = id.strip_prefix("resp_").unwrap_or(&id);
        Ok(whole(200, &page.of(input::items(kept.own(), key))))
    };
    said(answer.await)
}

async fn find(state: &State, id: &str) -> Result<Kept, Refused> {
    Kept::find(state, id).await?.ok_or_else(|| Refused::not_found(format!("response with id {id:?} not found")))
}

fn unknown_previous(id: &str) -> Refused {
    let text = format!("previous response with id {id:?} not found");
    Refused::new(400, "previous_response_not_found", text).about("previous_response_id")
}

/// Answers in OpenAI's shape.
pub(super) fn said(answer: Answer) -> Response<Body> {
    answer.unwrap_or_else(|refused| refused.response(shape))
}

pub(super) fn whole(status: u16, body: &Json) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The response however it ended: who asks for a stored one does not ask for an answer.
struct Plainly(Encoder);

impl Encode for Plainly {
    fn start(&mut self, out: &mut Vec<SseFrame>) {
        self.0.start(out);
    }

    fn fact(&mut self, told: &Envelope, out: &mut Vec<SseFrame>) {
        self.0.fact(told, out);
    }

    fn finish(&mut self, out: &mut Vec<SseFrame>) {
        self.0.finish(out);
    }

    fn keep_alive(&self) -> KeepAlive {
        self.0.keep_alive()
    }

    fn answer(&mut self) -> (u16, Json) {
        (200, self.0.response())
    }
}
