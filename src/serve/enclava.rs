//! `/api/v1/responses` and `/api/v1/conversations` as enclava has them.
//!
//! Whether the answer is streamed is said in the query, and in the body as well, which enclava itself ignores. Our agent
//! works with its own tools: those of the client are read and not offered, as there, but `tool_resources` is handed to
//! every tool. An answer ends after `max_tool_calls` rounds of tools, five where nothing is said. Unlike there, an
//! answer that was streamed is stored, and added to its conversation.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::routing::{get, post};
use serde_json::{Map, json};

use super::Surface;
use super::ask::Ask;
use super::fields::{self, Fields, said};
use super::guard::Whole;
use super::oneshot::{self, Framing};
use super::refuse::Refused;
use super::responses::conversations::{self, Conversation};
use super::responses::input::Page;
use super::responses::kept::{self, Kept, Record};
use super::responses::talk::Talk;
use super::responses::whole;
use super::state::State;
use crate::event::Json;

pub(super) const SURFACE: Surface = Surface { routes, under: &["/api/v1"], shape };

/// Rounds of tools where the request says nothing of them.
const ROUNDS: u32 = 5;

type Answer = Result<Response<Body>, Refused>;
type Asked = Query<Vec<(String, String)>>;

fn routes() -> Router<State> {
    Router::new()
        .route("/api/v1/responses", post(create))
        .route("/api/v1/responses/{id}", get(retrieve))
        .route("/api/v1/conversations", get(list).post(begin))
        .route("/api/v1/conversations/{id}", get(show).delete(remove))
        .route("/api/v1/conversations/{id}/items", get(items).post(put))
}

async fn create(
    Shared(state): Shared<State>,
    Query(query): Asked,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Response<Body> {
    answered(answer(&state, &query, &headers, &body).await)
}

async fn answer(state: &State, query: &[(String, String)], headers: &HeaderMap, body: &[u8]) -> Answer {
    let fields = &fields::object(body)?;
    let text = |name: &str| fields::text(fields, name, "");
    let streamed = query.iter().any(|(name, value)| name == "stream" && matches!(value.as_str(), "true" | "1"));
    let streamed = fields::flag(fields, "stream")?.unwrap_or(false) || streamed;
    let model = text("model")?.map(str::trim).filter(|model| !model.is_empty());
    let input = said(fields, "input").ok_or_else(|| fields::missing("input"))?;
    if said(fields, "prompt").is_some() {
        let text = "agent configurations are not kept here; send instructions";
        return Err(Refused::new(400, "unsupported_parameter", text).about("prompt"));
    }
    fields::list(fields, "tools", "")?;
    let rounds = fields::count(fields, "max_tool_calls")?.unwrap_or(ROUNDS);
    let (previous, conversation) = (text("previous_response_id")?, text("conversation")?);
    let store = fields::flag(fields, "store")?.unwrap_or(true);
    let mut talk = Talk::default();
    if let Some(instructions) = text("instructions")? {
        talk.system(instructions);
    }
    if let Some(conversation) = conversation {
        conversations::tell(state, conversation, &mut talk).await?;
    }
    // An answer that nobody knows is no context, as there.
    if let Some(previous) = previous
        && let Some(kept) = Kept::find(state, previous).await?
    {
        talk.again(kept.all(), model.is_some() && model == kept.record.model.as_deref());
    }
    let own = talk.mark();
    talk.input(input, "input")?;
    let talked = talk.done("input")?;
    let mut echo = Map::new();
    echo.insert("conversation".into(), conversation.map_or(Json::Null, |id| json!({ "id": id })));
    echo.insert("previous_response_id".into(), json!(previous));
    echo.insert("metadata".into(), json!(fields::map(fields, "metadata")?.cloned().unwrap_or_default()));
    let record = Record {
        surface: "enclava".into(),
        echo,
        model: model.map(Into::into),
        client_tools: false,
        asked: talked.tokens,
        store,
        rounds: Some(rounds),
    };
    let mut past = talked.past;
    record.put(&mut past, own);
    let ask = Ask {
        past,
        prompt: talked.prompt,
        system: talked.system,
        model: record.model.clone(),
        client_tools: None,
        // There the answer gets no request of its own.
        max_rounds: Some(rounds.saturating_sub(1)),
        max_calls: None,
        tuning: fields::tuning(fields, &["max_tokens"])?,
        resources: said(fields, "tool_resources").cloned(),
        stays: oneshot::stays(headers),
    };
    let framing = if streamed { Framing::Sse } else { Framing::Whole };
    oneshot::run(state, ask, framing, |session| {
        if let Some(conversation) = conversation.filter(|_| store) {
            let (conversation, response) = (conversation.to_owned(), kept::id_of(session));
            state.spawn(conversations::add_response(state.clone(), conversation, response));
        }
        if !store {
            state.spawn(kept::forget(state.clone(), session.clone()));
        }
        Box::new(record.flat_encoder(session))
    })
    .await
}

async fn retrieve(Shared(state): Shared<State>, Path(id): Path<String>) -> Response<Body> {
    let kept = Kept::find(&state, &id).await;
    let kept = kept.and_then(|kept| kept.ok_or_else(|| Refused::not_found("response not found")));
    answered(kept.map(|kept| whole(200, &kept.flat_response())))
}

async fn begin(Shared(state): Shared<State>, Whole(body): Whole) -> Response<Body> {
    let answer = async {
        let fields = if body.is_empty() { Fields::new() } else { fields::object(&body)? };
        let conversation = conversations::begin(&state, &fields).await?;
        Ok(whole(201, &told(&state, &conversation).await?))
    };
    answered(answer.await)
}

async fn list(Shared(state): Shared<State>, Query(query): Asked) -> Response<Body> {
    let answer = async {
        let page = Page::read(&query)?;
        let mut ids = conversations::list(&state).await?;
        // The page has its own order, which is the newest first as well.
        ids.reverse();
        let mut list = page.of(ids.into_iter().map(|id| json!({ "id": id })).collect());
        if let Some(rows) = list.get_mut("data").and_then(Json::as_array_mut) {
            for row in rows {
                let id = row.get("id").and_then(Json::as_str).unwrap_or_default().to_owned();
                if let Ok(conversation) = conversations::find(&state, &id).await {
                    *row = told(&state, &conversation).await?;
                }
            }
        }
        Ok(whole(200, &list))
    };
    answered(answer.await)
}

async fn show(Shared(state): Shared<State>, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        let conversation = conversations::find(&state, &id).await?;
        Ok(whole(200, &told(&state, &conversation).await?))
    };
    answered(answer.await)
}

async fn remove(Shared(state): Shared<State>, Path(id): Path<String>) -> Response<Body> {
    answered(conversations::remove(&state, &id).await.map(|()| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        response
    }))
}

async fn items(Shared(state): Shared<State>, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        let conversation = conversations::find(&state, &id).await?;
        Ok(whole(200, &json!({ "items": conversations::items(&state, &conversation).await? })))
    };
    answered(answer.await)
}

async fn put(Shared(state): Shared<State>, Path(id): Path<String>, Whole(body): Whole) -> Response<Body> {
    let answer = async {
        let items = conversations::put(&state, &id, &fields::object(&body)?).await?;
        Ok(whole(200, &json!({ "items": items })))
    };
    answered(answer.await)
}

/// A conversation as enclava tells it.
async fn told(state: &State, conversation: &Conversation) -> Result<Json, Refused> {
    Ok(json!({
        "id": conversation.id,
        "object": "conversation",
        "items": conversations::items(state, conversation).await?,
        "metadata": conversation.metadata,
        "created_at": conversation.created / 1000,
        "updated_at": conversation.updated / 1000,
    }))
}

/// What can't be read is 422 there.
fn answered(answer: Answer) -> Response<Body> {
    answer.unwrap_or_else(|refused| {
        let status = if refused.status == 400 { 422 } else { refused.status };
        Refused { status, ..refused }.response(shape)
    })
}

/// An error as enclava has it.
fn shape(refused: &Refused) -> Json {
    if !matches!(refused.status, 400 | 422) {
        return json!({"error": "HTTP_ERROR", "message": refused.message});
    }
    let location: Vec<&str> = std::iter::once("body").chain(refused.param.as_deref()).collect();
    let detail = json!({"type": refused.code, "location": location, "message": refused.message, "input": null});
    json!({"error": "VALIDATION_ERROR", "message": "Invalid request data", "details": [detail]})
}
