//! Conversations: a file each, of lines that are only added.
//!
//! A line names the conversation, an item that a client put there, a response that was given in it, or what was taken
//! out. What a response said is in its own log and nowhere else: where that is removed, it is gone here too.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State as Shared};
use axum::http::Response;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::fields::{self, Fields, wrong};
use super::super::guard::Whole;
use super::super::refuse::Refused;
use super::super::state::State;
use super::input::{self, Page};
use super::kept::Kept;
use super::talk::Talk;
use super::{Answer, Asked, said, whole};
use crate::bridge::unique;
use crate::event::{AgentEvent, Json};

/// Lines of one conversation.
const MOST_LINES: usize = 10_000;
/// Bytes of one conversation's file.
const MOST_BYTES: u64 = 32 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Conversation {
        /// Milliseconds since 1970.
        created: u64,
    },
    Metadata(Json),
    Item(Json),
    Response(String),
    /// The id of an item that is no longer in it.
    Removed(String),
}

/// A conversation as its file has it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::serve) struct Conversation {
    pub(in crate::serve) id: String,
    pub(in crate::serve) created: u64,
    pub(in crate::serve) updated: u64,
    pub(in crate::serve) metadata: Json,
    lines: Vec<Line>,
}

impl Conversation {
    fn is_removed(&self, id: &str) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Removed(removed) if removed == id))
    }

    fn official(&self) -> Json {
        json!({"id": self.id, "object": "conversation", "created_at": self.created / 1000, "metadata": self.metadata})
    }
}

/// What is known of a response in a conversation.
struct Turn {
    kept: Kept,
    items: Vec<Json>,
}

pub(in crate::serve) fn official() -> Router<State> {
    Router::new()
        .route("/v1/conversations", axum::routing::post(create))
        .route("/v1/conversations/{id}", get(show).post(update).delete(delete))
        .route("/v1/conversations/{id}/items", get(list_items).post(add_items))
        .route("/v1/conversations/{id}/items/{item}", get(show_item).delete(delete_item))
}

/// Tells a talk what was said in a conversation.
pub(in crate::serve) async fn tell(state: &State, id: &str, talk: &mut Talk) -> Result<(), Refused> {
    let conversation = find(state, id).await?;
    for (n, line) in conversation.lines.iter().enumerate() {
        match line {
            Line::Item(item) if !conversation.is_removed(id_of(item)) => {
                talk.item(item, &format!("conversation.items[{n}]"))?;
            }
            Line::Response(response) => {
                let Some(turn) = turn(state, response).await? else { continue };
                let is_whole = turn.items.iter().all(|item| !conversation.is_removed(id_of(item)));
                if is_whole {
                    let facts: Vec<&AgentEvent> = turn.kept.own().collect();
                    talk.again(facts, false);
                    continue;
                }
                let left = turn.items.iter().filter(|item| !conversation.is_removed(id_of(item)));
                for item in left {
                    // What belongs to an item that was taken out goes with it.
                    let _ = talk.item(item, "conversation.items");
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Notes a response that is given in a conversation.
pub(in crate::serve) async fn add_response(state: State, id: String, response: String) {
    if let Err(refused) = append(&state, &id, vec![Line::Response(response)]).await {
        tracing::warn!("a response could not be added to its conversation: {refused}");
    }
}

/// Begins a conversation.
pub(in crate::serve) async fn begin(state: &State, fields: &Fields) -> Result<Conversation, Refused> {
    let metadata = fields::map(fields, "metadata")?.cloned().unwrap_or_default();
    let items = read_items(Talk::default(), fields)?;
    // Its first 48 bits are the time in milliseconds, its last are chance.
    let stamp = unique().as_u128();
    let created = u64::try_from(stamp >> 80).unwrap_or_default();
    let id = format!("conv_{created}_{:08x}", stamp & 0xffff_ffff);
    let mut lines = vec![Line::Conversation { created }, Line::Metadata(Json::Object(metadata))];
    lines.extend(items.into_iter().map(Line::Item));
    write(path(state, &id)?, lines, true).await?;
    find(state, &id).await
}

/// Adds items, and returns them as they are kept.
pub(in crate::serve) async fn put(state: &State, id: &str, fields: &Fields) -> Result<Vec<Json>, Refused> {
    let mut talk = Talk::default();
    tell(state, id, &mut talk).await?;
    let items = read_items(talk, fields)?;
    if items.is_empty() {
        return Err(wrong("items", "an array of at least one item"));
    }
    append(state, id, items.iter().cloned().map(Line::Item).collect()).await?;
    Ok(items)
}

pub(in crate::serve) async fn find(state: &State, id: &str) -> Result<Conversation, Refused> {
    let unknown = || Refused::not_found(format!("conversation with id {id:?} not found"));
    let path = path(state, id).map_err(|refused| if refused.status == 404 { unknown() } else { refused })?;
    let read = tokio::task::spawn_blocking(move || {
        let text = fs::read_to_string(&path)?;
        let modified = fs::metadata(&path)?.modified()?;
        let updated = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Ok::<_, io::Error>((text, u64::try_from(updated.as_millis()).unwrap_or(u64::MAX)))
    });
    let (text, updated) = match read.await.map_err(|error| Refused::broken(error.to_string()))? {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()),
        Err(error) => return Err(Refused::broken(format!("the conversation can't be read: {error}"))),
    };
    // A line that was torn is no line.
    let lines: Vec<Line> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let mut conversation = Conversation { id: id.to_owned(), created: 0, updated, metadata: json!({}), lines };
    for line in &conversation.lines {
        match line {
            Line::Conversation { created } => conversation.created = *created,
            Line::Metadata(metadata) => conversation.metadata = metadata.clone(),
            Line::Item(_) | Line::Response(_) | Line::Removed(_) => {}
        }
    }
    Ok(conversation)
}

/// Returns every item of a conversation, oldest first.
pub(in crate::serve) async fn items(state: &State, conversation: &Conversation) -> Result<Vec<Json>, Refused> {
    let mut items = Vec::new();
    for line in &conversation.lines {
        match line {
            Line::Item(item) => items.push(item.clone()),
            Line::Response(response) => {
                items.extend(turn(state, response).await?.map_or(Vec::new(), |turn| turn.items));
            }
            Line::Conversation { .. } | Line::Metadata(_) | Line::Removed(_) => {}
        }
    }
    items.retain(|item| !conversation.is_removed(id_of(item)));
    Ok(items)
}

/// Lists the conversations there are, the newest first.
pub(in crate::serve) async fn list(state: &State) -> Result<Vec<String>, Refused> {
    let shelf = shelf(state)?;
    let names = tokio::task::spawn_blocking(move || {
        let Ok(folder) = fs::read_dir(shelf) else { return Vec::new() };
        let names = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> =
            names.filter_map(|name| Some(name.strip_suffix(".jsonl").filter(|name| is_id(name))?.to_owned())).collect();
        names.sort_by(|one, other| other.cmp(one));
        names
    });
    names.await.map_err(|error| Refused::broken(error.to_string()))
}

/// Removes a conversation. The responses that were given in it stay.
pub(in crate::serve) async fn remove(state: &State, id: &str) -> Result<(), Refused> {
    find(state, id).await?;
    fs::remove_file(path(state, id)?).map_err(|error| broken(&error))
}

/// Reads items that are to be kept: the talk says whether they fit to what is there.
fn read_items(mut talk: Talk, fields: &Fields) -> Result<Vec<Json>, Refused> {
    let mut items = Vec::new();
    for (n, item) in fields::list(fields, "items", "")?.iter().enumerate() {
        talk.item(item, &format!("items[{n}]"))?;
        items.push(as_kept(item));
    }
    Ok(items)
}

/// An item with all that the official client wants of it.
fn as_kept(item: &Json) -> Json {
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
    item.insert("id".into(), format!("{prefix}_{}", unique().simple()).into());
    item.entry("status").or_insert("completed".into());
    if kind == "message" {
        let role = item.entry("role").or_insert("user".into()).clone();
        if let Some(text) = item.get("content").and_then(Json::as_str).map(ToOwned::to_owned) {
            let part = match role.as_str() {
                Some("assistant") => json!({"type": "output_text", "text": text, "annotations": []}),
                _ => json!({"type": "input_text", "text": text}),
            };
            item.insert("content".into(), json!([part]));
        }
    }
    Json::Object(item)
}

async fn turn(state: &State, response: &str) -> Result<Option<Turn>, Refused> {
    let Some(kept) = Kept::find(state, response).await? else { return Ok(None) };
    let key = response.strip_prefix("resp_").unwrap_or(response);
    let mut items = input::items(kept.own(), key);
    if let Some(Json::Array(output)) = kept.response().get_mut("output").map(Json::take) {
        items.extend(output);
    }
    Ok(Some(Turn { kept, items }))
}

fn id_of(item: &Json) -> &str {
    item.get("id").and_then(Json::as_str).unwrap_or_default()
}

async fn append(state: &State, id: &str, lines: Vec<Line>) -> Result<(), Refused> {
    let conversation = find(state, id).await?;
    if conversation.lines.len() + lines.len() > MOST_LINES {
        return Err(Refused::too_large(format!("a conversation takes {MOST_LINES} items; begin another")));
    }
    write(path(state, id)?, lines, false).await
}

/// Adds lines in one write.
async fn write(path: PathBuf, lines: Vec<Line>, new: bool) -> Result<(), Refused> {
    let mut text = String::new();
    for line in &lines {
        text.push_str(&serde_json::to_string(line).map_err(|error| Refused::broken(error.to_string()))?);
        text.push('\n');
    }
    let written = tokio::task::spawn_blocking(move || {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = OpenOptions::new().append(true).create_new(new).mode(0o600).open(&path)?;
        if file.metadata()?.len() + text.len() as u64 > MOST_BYTES {
            return Err(io::Error::other(format!("a conversation takes {MOST_BYTES} bytes; begin another")));
        }
        file.write_all(text.as_bytes())
    });
    written.await.map_err(|error| Refused::broken(error.to_string()))?.map_err(|error| broken(&error))
}

fn broken(error: &io::Error) -> Refused {
    Refused::broken(format!("the conversation can't be written: {error}"))
}

fn shelf(state: &State) -> Result<PathBuf, Refused> {
    let shelf = state.factory().shelf();
    shelf.ok_or_else(|| Refused::new(409, "only_played", "this server plays a recording; it keeps no conversations"))
}

/// Only what is a name of ours becomes part of a path.
fn path(state: &State, id: &str) -> Result<PathBuf, Refused> {
    if !is_id(id) {
        return Err(Refused::not_found("no such conversation"));
    }
    Ok(shelf(state)?.join(format!("{id}.jsonl")))
}

fn is_id(id: &str) -> bool {
    let parts = id.strip_prefix("conv_").and_then(|rest| rest.split_once('_'));
    let is = |text: &str, most: usize| !text.is_empty() && text.len() <= most;
    parts.is_some_and(|(ms, rest)| {
        is(ms, 20)
            && ms.bytes().all(|byte| byte.is_ascii_digit())
            && is(rest, 16)
            && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

async fn create(Shared(state): Shared<State>, Whole(body): Whole) -> Response<Body> {
    let answer = async {
        let fields = if body.is_empty() { Fields::new() } else { fields::object(&body)? };
        Ok(whole(200, &begin(&state, &fields).await?.official()))
    };
    said(answer.await)
}

async fn show(Shared(state): Shared<State>, Path(id): Path<String>) -> Response<Body> {
    said(find(&state, &id).await.map(|conversation| whole(200, &conversation.official())))
}

async fn update(Shared(state): Shared<State>, Path(id): Path<String>, Whole(body): Whole) -> Response<Body> {
    let answer = async {
        let fields = fields::object(&body)?;
        let metadata = fields::map(&fields, "metadata")?.cloned().unwrap_or_default();
        append(&state, &id, vec![Line::Metadata(Json::Object(metadata))]).await?;
        Ok(whole(200, &find(&state, &id).await?.official()))
    };
    said(answer.await)
}

async fn delete(Shared(state): Shared<State>, Path(id): Path<String>) -> Response<Body> {
    let answer = async {
        remove(&state, &id).await?;
        Ok(whole(200, &json!({"id": id, "object": "conversation.deleted", "deleted": true})))
    };
    said(answer.await)
}

async fn list_items(Shared(state): Shared<State>, Path(id): Path<String>, Query(query): Asked) -> Response<Body> {
    let answer = async {
        let (page, conversation) = (Page::read(&query)?, find(&state, &id).await?);
        Ok(whole(200, &page.of(items(&state, &conversation).await?)))
    };
    said(answer.await)
}

async fn add_items(Shared(state): Shared<State>, Path(id): Path<String>, Whole(body): Whole) -> Response<Body> {
    let answer = async {
        let items = put(&state, &id, &fields::object(&body)?).await?;
        let (first, last) = (items.first().map_or("", id_of), items.last().map_or("", id_of));
        Ok(whole(200, &json!({"object": "list", "first_id": first, "last_id": last, "has_more": false, "data": items})))
    };
    said(answer.await)
}

async fn show_item(Shared(state): Shared<State>, Path((id, item)): Path<(String, String)>) -> Response<Body> {
    said(one(&state, &id, &item).await.map(|item| whole(200, &item)))
}

async fn delete_item(Shared(state): Shared<State>, Path((id, item)): Path<(String, String)>) -> Response<Body> {
    let answer: Answer = async {
        one(&state, &id, &item).await?;
        append(&state, &id, vec![Line::Removed(item)]).await?;
        Ok(whole(200, &find(&state, &id).await?.official()))
    }
    .await;
    said(answer)
}

async fn one(state: &State, id: &str, item: &str) -> Result<Json, Refused> {
    let items = items(state, &find(state, id).await?).await?;
    let found = items.into_iter().find(|known| id_of(known) == item);
    found.ok_or_else(|| Refused::not_found(format!("item with id {item:?} not found in {id}")))
}
