//! Conversations: one append-only file of lines each.
//!
//! A line holds the conversation's header, an item added by a client, a response created in it, or a removal. The
//! content of a response is only in its own log: if that is deleted, it is gone from the conversation too.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::access::BodyBytes;
use super::super::error::ApiError;
use super::super::fields::{self, Fields, wrong_type};
use super::super::state::ServerState;
use super::conversation_builder::ConversationBuilder;
use super::input::{self, ItemPage};
use super::stored_response::StoredResponse;
use super::{QueryPairs, ResponsesResult, json_response, to_response};
use crate::bridge::new_uuid;
use crate::dialect::responses::object;
use crate::event::{AgentEvent, Json};
use crate::private;

/// Limit of lines in one conversation.
const MAX_CONVERSATION_LINES: usize = 10_000;
/// Limit of the file of one conversation.
const MAX_CONVERSATION_BYTES: u64 = 32 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ConversationLine {
    Conversation {
        /// Milliseconds since 1970.
        created: u64,
    },
    Metadata(Json),
    Item(Json),
    Response(String),
    /// The id of an item that was removed.
    Removed(String),
}

/// A conversation as stored in its file.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::serve) struct Conversation {
    pub(in crate::serve) id: String,
    pub(in crate::serve) created: u64,
    pub(in crate::serve) updated: u64,
    pub(in crate::serve) metadata: Json,
    lines: Vec<ConversationLine>,
}

impl Conversation {
    fn is_removed(&self, id: &str) -> bool {
        self.lines.iter().any(|line| matches!(line, ConversationLine::Removed(removed) if removed == id))
    }

    fn openai_json(&self) -> Json {
        json!({"id": self.id, "object": "conversation", "created_at": self.created / 1000, "metadata": self.metadata})
    }
}

/// What is known of a response in a conversation.
struct ConversationTurn {
    stored: StoredResponse,
    items: Vec<Json>,
}

pub(in crate::serve) fn openai_routes() -> Router<ServerState> {
    Router::new()
        .route("/v1/conversations", axum::routing::post(create))
        .route("/v1/conversations/{id}", get(show).post(update).delete(delete))
        .route("/v1/conversations/{id}/items", get(list_items).post(add_items))
        .route("/v1/conversations/{id}/items/{item}", get(show_item).delete(delete_item))
}

/// Adds the content of a conversation to a builder.
pub(in crate::serve) async fn replay_into(
    state: &ServerState,
    id: &str,
    builder: &mut ConversationBuilder,
) -> Result<(), ApiError> {
    let conversation = load_conversation(state, id).await?;
    for (n, line) in conversation.lines.iter().enumerate() {
        match line {
            ConversationLine::Item(item) if !conversation.is_removed(item_id(item)) => {
                builder.add_item(item, &format!("conversation.items[{n}]"))?;
            }
            ConversationLine::Response(response) => {
                let Some(turn) = load_turn(state, response).await? else { continue };
                let is_whole = turn.items.iter().all(|item| !conversation.is_removed(item_id(item)));
                if is_whole {
                    let events: Vec<&AgentEvent> = turn.stored.own_events().collect();
                    builder.replay(events, false);
                    continue;
                }
                let left = turn.items.iter().filter(|item| !conversation.is_removed(item_id(item)));
                for item in left {
                    // Items that depend on a removed one are removed as well.
                    let _ = builder.add_item(item, "conversation.items");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Records a response created in a conversation.
pub(in crate::serve) async fn add_response(state: ServerState, id: String, response: String) {
    if let Err(refused) = append_lines(&state, &id, vec![ConversationLine::Response(response)]).await {
        tracing::warn!("a response could not be added to its conversation: {refused}");
    }
}

/// Creates a conversation.
pub(in crate::serve) async fn start_conversation(
    state: &ServerState,
    fields: &Fields,
) -> Result<Conversation, ApiError> {
    let metadata = fields::get_object(fields, "metadata")?.cloned().unwrap_or_default();
    let items = read_items(ConversationBuilder::default(), fields)?;
    // The first 48 bits are the time in milliseconds, the last are random.
    let stamp = new_uuid().as_u128();
    let created = u64::try_from(stamp >> 80).unwrap_or_default();
    let id = format!("conv_{created}_{:08x}", stamp & 0xffff_ffff);
    let mut lines =
        vec![ConversationLine::Conversation { created }, ConversationLine::Metadata(Json::Object(metadata))];
    lines.extend(items.into_iter().map(ConversationLine::Item));
    write_lines(conversation_path(state, &id)?, lines, true).await?;
    load_conversation(state, &id).await
}

/// Adds items, and returns them as they are stored.
pub(in crate::serve) async fn append_items(
    state: &ServerState,
    id: &str,
    fields: &Fields,
) -> Result<Vec<Json>, ApiError> {
    let mut builder = ConversationBuilder::default();
    replay_into(state, id, &mut builder).await?;
    let items = read_items(builder, fields)?;
    if items.is_empty() {
        return Err(wrong_type("items", "an array of at least one item"));
    }
    append_lines(state, id, items.iter().cloned().map(ConversationLine::Item).collect()).await?;
    Ok(items)
}

pub(in crate::serve) async fn load_conversation(state: &ServerState, id: &str) -> Result<Conversation, ApiError> {
    let unknown = || ApiError::not_found(format!("conversation with id {id:?} not found"));
    let path =
        conversation_path(state, id).map_err(|refused| if refused.status == 404 { unknown() } else { refused })?;
    let read = tokio::task::spawn_blocking(move || {
        let text = fs::read_to_string(&path)?;
        let modified = fs::metadata(&path)?.modified()?;
        let updated = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok::<_, io::Error>((text, u64::try_from(updated.as_millis()).unwrap_or(u64::MAX)))
    });
    let (text, updated) = match read.await.map_err(|error| ApiError::internal(error.to_string()))? {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()),
        Err(error) => return Err(ApiError::internal(format!("the conversation can't be read: {error}"))),
    };
    // A torn line is skipped.
    let lines: Vec<ConversationLine> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut conversation = Conversation { id: id.to_owned(), created: 0, updated, metadata: json!({}), lines };
    for line in &conversation.lines {
        match line {
            ConversationLine::Conversation { created } => conversation.created = *created,
            ConversationLine::Metadata(metadata) => conversation.metadata = metadata.clone(),
            ConversationLine::Item(_) | ConversationLine::Response(_) | ConversationLine::Removed(_) => {}
        }
    }
    Ok(conversation)
}

/// Returns every item of a conversation, oldest first.
pub(in crate::serve) async fn load_items(
    state: &ServerState,
    conversation: &Conversation,
) -> Result<Vec<Json>, ApiError> {
    let mut items = Vec::new();
    for line in &conversation.lines {
        match line {
            ConversationLine::Item(item) => items.push(item.clone()),
            ConversationLine::Response(response) => {
                items.extend(load_turn(state, response).await?.map_or(Vec::new(), |turn| turn.items));
            }
            ConversationLine::Conversation { .. } | ConversationLine::Metadata(_) | ConversationLine::Removed(_) => {}
        }
    }
    items.retain(|item| !conversation.is_removed(item_id(item)));
    Ok(items)
}

/// Lists the existing conversations, newest first.
pub(in crate::serve) async fn list_ids(state: &ServerState) -> Result<Vec<String>, ApiError> {
    let shelf = storage_dir(state)?;
    let names = tokio::task::spawn_blocking(move || {
        let Ok(folder) = fs::read_dir(shelf) else { return Vec::new() };
        let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names
            .filter_map(|name| Some(name.strip_suffix(".jsonl").filter(|name| is_conversation_id(name))?.to_owned()))
            .collect();
        names.sort_by(|one, other| other.cmp(one));
        names
    });
    names.await.map_err(|error| ApiError::internal(error.to_string()))
}

/// Deletes a conversation. The responses created in it stay.
pub(in crate::serve) async fn remove(state: &ServerState, id: &str) -> Result<(), ApiError> {
    load_conversation(state, id).await?;
    fs::remove_file(conversation_path(state, id)?).map_err(|error| write_error(&error))
}

/// Parses items to be stored; the builder checks whether they fit the existing ones.
fn read_items(mut builder: ConversationBuilder, fields: &Fields) -> Result<Vec<Json>, ApiError> {
    let mut items = Vec::new();
    for (n, item) in fields::get_array(fields, "items", "")?.iter().enumerate() {
        builder.add_item(item, &format!("items[{n}]"))?;
        items.push(to_stored_item(item));
    }
    Ok(items)
}

/// Completes an item with the fields that the official client requires.
fn to_stored_item(item: &Json) -> Json {
    let mut item = item.as_object().cloned().unwrap_or_default();
    let kind = item.get("type").and_then(Json::as_str).unwrap_or("message").to_owned();
    let prefix = match kind.as_str() {
        "message" => "msg",
        "function_call" => "fc",
        "function_call_output" => "fco",
        "reasoning" => "rs",
        _ => "item",
    };
    item.insert("type".into(), kind.as_str().into());
    item.insert("id".into(), format!("{prefix}_{}", new_uuid().simple()).into());
    item.entry("status").or_insert("completed".into());
    if kind == "message" {
        let role = item.entry("role").or_insert("user".into()).clone();
        if let Some(text) = item.get("content").and_then(Json::as_str).map(ToOwned::to_owned) {
            let part = match role.as_str() {
                Some("assistant") => object::output_text(&text, &[]),
                _ => object::input_text(&text),
            };
            item.insert("content".into(), json!([part]));
        }
    }
    Json::Object(item)
}

async fn load_turn(state: &ServerState, response: &str) -> Result<Option<ConversationTurn>, ApiError> {
    let Some(kept) = StoredResponse::find(state, response).await? else { return Ok(None) };
    let key = response.strip_prefix("resp_").unwrap_or(response);
    let mut items = input::request_items(kept.own_events(), key);
    if let Some(Json::Array(output)) = kept.openai_response().get_mut("output").map(Json::take) {
        items.extend(output);
    }
    Ok(Some(ConversationTurn { stored: kept, items }))
}

fn item_id(item: &Json) -> &str {
    item.get("id").and_then(Json::as_str).unwrap_or_default()
}

async fn append_lines(state: &ServerState, id: &str, lines: Vec<ConversationLine>) -> Result<(), ApiError> {
    let conversation = load_conversation(state, id).await?;
    if conversation.lines.len() + lines.len() > MAX_CONVERSATION_LINES {
        return Err(ApiError::too_large(format!(
            "a conversation holds at most {MAX_CONVERSATION_LINES} items; start another"
        )));
    }
    write_lines(conversation_path(state, id)?, lines, false).await
}

/// Appends lines in one write.
async fn write_lines(path: PathBuf, lines: Vec<ConversationLine>, new: bool) -> Result<(), ApiError> {
    let mut text = String::new();
    for line in &lines {
        text.push_str(&serde_json::to_string(line).map_err(|error| ApiError::internal(error.to_string()))?);
        text.push('\n');
    }
    let written = tokio::task::spawn_blocking(move || {
        if let Some(folder) = path.parent() {
            private::create_dir(folder)?;
        }
        let mut file = private::open_options().append(true).create_new(new).open(&path)?;
        if file.metadata()?.len() + text.len() as u64 > MAX_CONVERSATION_BYTES {
            return Err(io::Error::other(format!(
                "a conversation holds at most {MAX_CONVERSATION_BYTES} bytes; start another"
            )));
        }
        file.write_all(text.as_bytes())
    });
    written.await.map_err(|error| ApiError::internal(error.to_string()))?.map_err(|error| write_error(&error))
}

fn write_error(error: &io::Error) -> ApiError {
    ApiError::internal(format!("the conversation can't be written: {error}"))
}

fn storage_dir(state: &ServerState) -> Result<PathBuf, ApiError> {
    let shelf = state.factory().storage_dir();
    shelf.ok_or_else(|| ApiError::new(409, "only_played", "this server plays a recording and stores no conversations"))
}

/// Only a valid id of ours becomes part of a path.
fn conversation_path(state: &ServerState, id: &str) -> Result<PathBuf, ApiError> {
    if !is_conversation_id(id) {
        return Err(ApiError::not_found("unknown conversation"));
    }
    Ok(storage_dir(state)?.join(format!("{id}.jsonl")))
}

fn is_conversation_id(id: &str) -> bool {
    let parts = id.strip_prefix("conv_").and_then(|rest| rest.split_once('_'));
    let is = |text: &str, most: usize| !text.is_empty() && text.len() <= most;
    parts.is_some_and(|(ms, rest)| {
        is(ms, 20)
            && ms.bytes().all(|byte| byte.is_ascii_digit())
            && is(rest, 16)
            && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

async fn create(Shared(state): Shared<ServerState>, BodyBytes(body): BodyBytes) -> Response<Body> {
    let answer = async {
        let fields = if body.is_empty() { Fields::new() } else { fields::parse_object(&body)? };
        Ok(json_response(200, &start_conversation(&state, &fields).await?.openai_json()))
    };
    to_response(answer.await)
}

async fn show(Shared(state): Shared<ServerState>, Path(id): Path<String>) -> Response<Body> {
    to_response(
        load_conversation(&state, &id).await.map(|conversation| json_response(200, &conversation.openai_json())),
    )
}

async fn update(
    Shared(state): Shared<ServerState>,
    Path(id): Path<String>,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    let answer = async {
        let fields = fields::parse_object(&body)?;
        let metadata = fields::get_object(&fields, "metadata")?.cloned().unwrap_or_default();
        append_lines(&state, &id, vec![ConversationLine::Metadata(Json::Object(metadata))]).await?;
        Ok(json_response(200, &load_conversation(&state, &id).await?.openai_json()))
    };
    to_response(answer.await)
}

async fn delete(Shared(state): Shared<ServerState>, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        remove(&state, &id).await?;
        Ok(json_response(200, &json!({"id": id, "object": "conversation.deleted", "deleted": true})))
    };
    to_response(answer.await)
}

async fn list_items(
    Shared(state): Shared<ServerState>,
    Path(id): Path<String>,
    Query(query): QueryPairs,
) -> Response<Body> {
    let answer = async {
        let (page, conversation) = (ItemPage::read(&query)?, load_conversation(&state, &id).await?);
        Ok(json_response(200, &page.list_object(load_items(&state, &conversation).await?)))
    };
    to_response(answer.await)
}

async fn add_items(
    Shared(state): Shared<ServerState>,
    Path(id): Path<String>,
    BodyBytes(body): BodyBytes,
) -> Response<Body> {
    let answer = async {
        let items = append_items(&state, &id, &fields::parse_object(&body)?).await?;
        Ok(json_response(200, &object::list_object(&items, false)))
    };
    to_response(answer.await)
}

async fn show_item(Shared(state): Shared<ServerState>, Path((id, item)): Path<(String, String)>) -> Response<Body> {
    to_response(find_item(&state, &id, &item).await.map(|item| json_response(200, &item)))
}

async fn delete_item(Shared(state): Shared<ServerState>, Path((id, item)): Path<(String, String)>) -> Response<Body> {
    let answer: ResponsesResult = async {
        find_item(&state, &id, &item).await?;
        append_lines(&state, &id, vec![ConversationLine::Removed(item)]).await?;
        Ok(json_response(200, &load_conversation(&state, &id).await?.openai_json()))
    }
    .await;
    to_response(answer)
}

async fn find_item(state: &ServerState, id: &str, item: &str) -> Result<Json, ApiError> {
    let items = load_items(state, &load_conversation(state, id).await?).await?;
    let found = items.into_iter().find(|known| item_id(known) == item);
    found.ok_or_else(|| ApiError::not_found(format!("item with id {item:?} not found in {id}")))
}
