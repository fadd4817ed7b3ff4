//! What a host answers: requests of a client, and the events of the sessions that it subscribed to, each with the next
//! number of the client's ledger. Knows no IO.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;

use super::host::AhpHost;
use super::ledger::{ActionPlace, AhpLedger};
use super::listing::{session_page, session_summary};
use super::names::check_name;
use super::origins::ExpectedEvent;
use super::pending::{ChannelRequest, PendingChannels};
use super::session::{AhpSession, PROVIDER};
use crate::bridge::peer::rpc::{RpcMessage, RpcRequests};
use crate::dialect::ahp::encode::{AhpAction, AhpOrigin};
use crate::event::{CallId, Command, Decision, Envelope, Json, SessionId};
use crate::serve::error::ApiError;
use crate::serve::factory::{OpenRequest, SavedSession};

pub(super) const ROOT_CHANNEL: &str = "ahp-root://";
/// The versions of the protocol that are spoken here, by their first numbers.
const SPOKEN_VERSIONS: [(u64, Option<u64>); 2] = [(1, None), (0, Some(9))];
const SPOKEN_RANGES: [&str; 2] = ["^1.0.0", "^0.9.0"];
/// Requests that may wait for sessions or lists.
const MAX_PENDING_REQUESTS: usize = 64;
/// Characters of the name of a client, and of its id.
const MAX_NAME_CHARS: usize = 40;
const MAX_CLIENT_ID_CHARS: usize = 200;

/// Codes of errors: of JSON-RPC, and of the protocol.
const PARSE_ERROR_CODE: i64 = -32700;
const INVALID_REQUEST_CODE: i64 = -32600;
const METHOD_NOT_FOUND_CODE: i64 = -32601;
const INVALID_PARAMS_CODE: i64 = -32602;
const INTERNAL_ERROR_CODE: i64 = -32603;
pub(super) const SESSION_NOT_FOUND_CODE: i64 = -32001;
const PROVIDER_NOT_FOUND_CODE: i64 = -32002;
const SESSION_EXISTS_CODE: i64 = -32003;
const UNSUPPORTED_VERSION_CODE: i64 = -32005;
const PERMISSION_DENIED_CODE: i64 = -32009;

pub(super) type Refusal = (i64, String);

/// An action that a client dispatched.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dispatched {
    pub(super) channel: String,
    pub(super) action: Json,
    pub(super) client_seq: i64,
}

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AhpStep {
    Send(Json),
    /// A client of this id is connected.
    Register(String),
    /// Take over what the client of this id was sent; the result goes to [`AhpMachine::handle_ledger`].
    TakeLedger(String),
    /// List the models; the result goes to [`AhpMachine::handle_models`].
    ListModels,
    ListSessions(u64),
    /// Open a session; the result goes to [`AhpMachine::handle_created`] with the number.
    Create(u64, OpenRequest),
    /// Keep the line that names a session.
    KeepName(String),
    /// Open a session and fold it; the result goes to [`AhpMachine::handle_followed`], with the actions behind the place.
    Follow(SessionId, Option<ActionPlace>),
    Unfollow(SessionId),
    /// Pass something on to a session, and expect its event. If it takes it not, [`AhpMachine::reject`] is to say so.
    Command(SessionId, Command, Option<ExpectedEvent>, AhpOrigin, Dispatched),
    Decide(SessionId, CallId, Decision, AhpOrigin, Dispatched),
    /// Take a prompt out of the queue.
    Dequeue(SessionId, String),
    /// End a session in which nothing was said.
    Dispose(SessionId),
    /// Tell all clients on the root channel.
    Announce(Json),
}

/// A session that was opened for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CreatedSession {
    pub(super) id: SessionId,
    pub(super) folder: String,
    pub(super) wall_ms: u64,
}

#[derive(Debug)]
struct CreateRequest {
    request: Json,
    uri: String,
}

#[derive(Debug)]
struct ListRequest {
    request: Json,
    first: usize,
    limit: Option<u64>,
}

pub(super) struct AhpMachine {
    pub(super) host: Arc<AhpHost>,
    pub(super) rpc: RpcRequests<()>,
    /// The id that the client gave itself; none before its first request.
    client: Option<String>,
    client_name: Option<String>,
    pub(super) ledger: AhpLedger,
    /// A reconnect that waits for the ledger: its id, the number, the channels.
    reconnecting: Option<(Json, u64, Vec<String>)>,
    pub(super) sessions: HashMap<SessionId, AhpSession>,
    pub(super) following: HashSet<SessionId>,
    pub(super) subscribed: HashSet<String>,
    pub(super) root: Option<Json>,
    pub(super) pending: Vec<PendingChannels>,
    creating: BTreeMap<u64, CreateRequest>,
    listing: BTreeMap<u64, ListRequest>,
    request_count: u64,
    /// Messages that this client queued: session and text, by their ids.
    pub(super) queued: HashMap<String, (SessionId, String)>,
}

impl AhpMachine {
    pub(super) fn new(host: Arc<AhpHost>) -> Self {
        Self {
            host,
            rpc: RpcRequests::new(true),
            client: None,
            client_name: None,
            ledger: AhpLedger::default(),
            reconnecting: None,
            sessions: HashMap::new(),
            following: HashSet::new(),
            subscribed: HashSet::new(),
            root: None,
            pending: Vec::new(),
            creating: BTreeMap::new(),
            listing: BTreeMap::new(),
            request_count: 0,
            queued: HashMap::new(),
        }
    }

    /// What the client calls itself.
    pub(super) fn client_name(&self) -> Option<&str> {
        self.client_name.as_deref()
    }

    pub(super) fn client_id(&self) -> &str {
        self.client.as_deref().unwrap_or_default()
    }

    /// Returns what the client was sent, for its next connection.
    pub(super) fn into_ledger(self) -> AhpLedger {
        self.ledger
    }

    /// Handles a message of the client.
    pub(super) fn handle_line(&mut self, line: &[u8], out: &mut Vec<AhpStep>) {
        let message = match serde_json::from_slice::<Json>(line) {
            Ok(message) if message.is_object() => message,
            Ok(_) => return self.refuse(&Json::Null, INVALID_REQUEST_CODE, "a message is a JSON object", out),
            Err(error) => {
                return self.refuse(&Json::Null, PARSE_ERROR_CODE, &format!("the message is no JSON: {error}"), out);
            }
        };
        match self.rpc.classify(&message) {
            RpcMessage::Request { id, method, params } => {
                if let Err((code, why)) = self.handle_request(id, method, params, out) {
                    self.refuse(id, code, &why, out);
                }
            }
            RpcMessage::Notification { method: "unsubscribe", params } => self.unsubscribe(params, out),
            RpcMessage::Notification { method: "dispatchAction", params } => self.dispatch(params, out),
            RpcMessage::Notification { .. } | RpcMessage::Answer { .. } | RpcMessage::Stray => {}
        }
    }

    fn handle_request(
        &mut self,
        id: &Json,
        method: &str,
        params: &Json,
        out: &mut Vec<AhpStep>,
    ) -> Result<(), Refusal> {
        let is_first = matches!(method, "initialize" | "reconnect");
        if method == "ping" {
            out.push(AhpStep::Send(self.rpc.result(id, &Json::Null)));
            return Ok(());
        }
        if self.reconnecting.is_some() {
            return Err((INVALID_REQUEST_CODE, "wait for the answer of reconnect".to_owned()));
        }
        if is_first == self.client.is_some() {
            let why = if is_first { "this connection is set up already" } else { "begin with initialize or reconnect" };
            return Err((INVALID_REQUEST_CODE, why.to_owned()));
        }
        if self.pending.len() + self.creating.len() + self.listing.len() >= MAX_PENDING_REQUESTS {
            return Err((INVALID_REQUEST_CODE, "too many requests wait for an answer".to_owned()));
        }
        match method {
            "initialize" => self.initialize(id, params, out)?,
            "reconnect" => self.reconnect(id, params, out)?,
            "subscribe" => {
                let channel = string(params, "channel")?;
                if channel != ROOT_CHANNEL && self.host.names.session_of(channel).is_none() {
                    return Err((SESSION_NOT_FOUND_CODE, format!("there is no channel {channel}")));
                }
                self.ask_for(id, ChannelRequest::Subscribe, vec![channel.to_owned()], out);
            }
            "listSessions" => self.list(id, params, out)?,
            "createSession" => self.create(id, params, out)?,
            "disposeSession" => self.dispose(id, params, out)?,
            "createChat" | "disposeChat" | "moveChat" => {
                return Err((INVALID_REQUEST_CODE, "a session has one chat here, its defaultChat".to_owned()));
            }
            // All turns are in the state.
            "fetchTurns" => out.push(AhpStep::Send(self.rpc.result(id, &json!({})))),
            "authenticate" => {
                return Err((
                    INVALID_PARAMS_CODE,
                    "no resource here needs a token; keys are in the settings".to_owned(),
                ));
            }
            "resolveSessionConfig" => {
                let result = json!({"schema": {"type": "object", "properties": {}}, "values": {}});
                out.push(AhpStep::Send(self.rpc.result(id, &result)));
            }
            "completions" | "sessionConfigCompletions" => {
                out.push(AhpStep::Send(self.rpc.result(id, &json!({"items": []}))));
            }
            _ => return Err((METHOD_NOT_FOUND_CODE, format!("{method} is not offered here"))),
        }
        Ok(())
    }

    fn initialize(&mut self, id: &Json, params: &Json, out: &mut Vec<AhpStep>) -> Result<(), Refusal> {
        let offered: Vec<&str> = strings(params, "protocolVersions");
        let spoken = offered.iter().filter_map(|version| Some((parse_version(version)?, *version))).max();
        let Some((_, version)) = spoken else {
            let mut refused =
                self.rpc.error(id, UNSUPPORTED_VERSION_CODE, "no version of the protocol that is spoken here");
            refused["error"]["data"] = json!({ "supportedVersions": SPOKEN_RANGES });
            out.push(AhpStep::Send(refused));
            return Ok(());
        };
        self.set_client(params, out)?;
        let channels = strings(params, "initialSubscriptions").into_iter().map(str::to_owned).collect();
        self.ask_for(id, ChannelRequest::Initialize { version: version.to_owned() }, channels, out);
        Ok(())
    }

    fn reconnect(&mut self, id: &Json, params: &Json, out: &mut Vec<AhpStep>) -> Result<(), Refusal> {
        let seen = params.get("lastSeenServerSeq").and_then(Json::as_u64);
        let seen = seen.ok_or((INVALID_PARAMS_CODE, "lastSeenServerSeq: a whole number is expected".to_owned()))?;
        let client = string(params, "clientId")?.to_owned();
        let channels = strings(params, "subscriptions").into_iter().map(str::to_owned).collect();
        self.reconnecting = Some((id.clone(), seen, channels));
        self.client = Some(client.clone());
        out.push(AhpStep::TakeLedger(client));
        Ok(())
    }

    /// Goes on where the client was.
    pub(super) fn handle_ledger(&mut self, ledger: Option<AhpLedger>, out: &mut Vec<AhpStep>) {
        let Some((id, seen, channels)) = self.reconnecting.take() else { return };
        out.push(AhpStep::Register(self.client_id().to_owned()));
        self.ledger = ledger.unwrap_or_default();
        let mut is_replay = self.ledger.go_back_to(seen);
        for channel in &channels {
            let session = self.host.names.session_of(channel);
            is_replay &= session.is_none_or(|(session, _)| self.ledger.place_in(&session).is_some());
        }
        if !is_replay {
            self.ledger = AhpLedger::behind(seen.max(self.ledger.last()));
        }
        self.ask_for(&id, ChannelRequest::Reconnect { is_replay }, channels, out);
    }

    fn set_client(&mut self, params: &Json, out: &mut Vec<AhpStep>) -> Result<(), Refusal> {
        let client = string(params, "clientId")?;
        if client.chars().count() > MAX_CLIENT_ID_CHARS {
            return Err((INVALID_PARAMS_CODE, format!("clientId: at most {MAX_CLIENT_ID_CHARS} characters are taken")));
        }
        let named = ["/clientInfo/title", "/clientInfo/name"].iter().find_map(|at| params.pointer(at)?.as_str());
        let shown = |name: &str| name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
        self.client_name = named.map(shown);
        self.client = Some(client.to_owned());
        out.push(AhpStep::Register(client.to_owned()));
        Ok(())
    }

    /// Handles an event of a session, in order, with what caused it.
    pub(super) fn handle_event(
        &mut self,
        id: &SessionId,
        envelope: &Envelope,
        origin: Option<&AhpOrigin>,
        out: &mut Vec<AhpStep>,
    ) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let actions = session.handle_event(envelope, origin);
        if let Some(held) = &mut session.held {
            held.extend(actions);
            return;
        }
        for action in actions {
            let summary = self.summary_change(id, &action.1);
            if let Some(envelope) = self.envelope_of(id, action) {
                out.push(AhpStep::Send(self.rpc.notification("action", &envelope)));
            }
            out.extend(summary.map(AhpStep::Send));
        }
    }

    /// Returns what lists of sessions are told of a change.
    fn summary_change(&self, id: &SessionId, action: &AhpAction) -> Option<Json> {
        if !self.subscribed.contains(ROOT_CHANNEL) || action.action["type"] != "session/chatUpdated" {
            return None;
        }
        let session = self.sessions.get(id)?;
        let params = json!({"channel": ROOT_CHANNEL, "session": session.uri, "changes": action.action["changes"]});
        Some(self.rpc.notification("root/sessionSummaryChanged", &params))
    }

    /// Handles that a session has ended here.
    pub(super) fn handle_ended(&mut self, id: &SessionId) {
        if let Some(session) = self.sessions.remove(id) {
            self.subscribed.retain(|channel| *channel != session.uri && *channel != session.chat_uri);
        }
    }

    /// Handles what is told on the root channel.
    pub(super) fn handle_news(&self, news: Json, out: &mut Vec<AhpStep>) {
        if self.subscribed.contains(ROOT_CHANNEL) {
            out.push(AhpStep::Send(news));
        }
    }

    fn unsubscribe(&mut self, params: &Json, out: &mut Vec<AhpStep>) {
        let Ok(channel) = string(params, "channel") else { return };
        self.subscribed.remove(channel);
        let Some((id, _)) = self.host.names.session_of(channel) else { return };
        let Some(session) = self.sessions.get(&id) else { return };
        if !self.subscribed.contains(&session.uri) && !self.subscribed.contains(&session.chat_uri) {
            self.sessions.remove(&id);
            out.push(AhpStep::Unfollow(id));
        }
    }

    fn list(&mut self, id: &Json, params: &Json, out: &mut Vec<AhpStep>) -> Result<(), Refusal> {
        let first = match params.get("cursor").filter(|cursor| !cursor.is_null()) {
            None => 0,
            Some(cursor) => cursor
                .as_str()
                .and_then(|cursor| cursor.parse().ok())
                .ok_or((INVALID_PARAMS_CODE, "cursor: not one of an earlier list".to_owned()))?,
        };
        let limit = params.get("limit").and_then(Json::as_u64);
        let number = self.next_number();
        self.listing.insert(number, ListRequest { request: id.clone(), first, limit });
        out.push(AhpStep::ListSessions(number));
        Ok(())
    }

    pub(super) fn handle_listed(
        &mut self,
        number: u64,
        listed: Result<Vec<SavedSession>, ApiError>,
        out: &mut Vec<AhpStep>,
    ) {
        let Some(ListRequest { request, first, limit }) = self.listing.remove(&number) else { return };
        match listed {
            Ok(sessions) => {
                let page = session_page(&sessions, &self.host.names, first, limit);
                out.push(AhpStep::Send(self.rpc.result(&request, &page)));
            }
            Err(error) => {
                let (code, why) = refusal_of(&error);
                self.refuse(&request, code, &why, out);
            }
        }
    }

    fn create(&mut self, id: &Json, params: &Json, out: &mut Vec<AhpStep>) -> Result<(), Refusal> {
        let uri = string(params, "channel")?.to_owned();
        check_name(&uri).map_err(|why| (INVALID_PARAMS_CODE, why))?;
        if self.host.names.is_taken(&uri) || self.creating.values().any(|creating| creating.uri == uri) {
            return Err((SESSION_EXISTS_CODE, format!("there is a session {uri}")));
        }
        if let Some(provider) = params.get("provider").and_then(Json::as_str).filter(|name| *name != PROVIDER) {
            return Err((PROVIDER_NOT_FOUND_CODE, format!("there is no provider {provider}; there is {PROVIDER}")));
        }
        let folders = strings(params, "workingDirectories");
        if folders.len() > 1 {
            return Err((INVALID_PARAMS_CODE, "workingDirectories: a session has one folder".to_owned()));
        }
        let path = |uri: &str| url::Url::parse(uri).ok()?.to_file_path().ok();
        let folder = match folders.first() {
            None => None,
            Some(uri) => {
                let path = path(uri)
                    .ok_or_else(|| (INVALID_PARAMS_CODE, format!("workingDirectories: {uri} is no file URI")))?;
                Some(path.display().to_string())
            }
        };
        let number = self.next_number();
        self.creating.insert(number, CreateRequest { request: id.clone(), uri });
        out.push(AhpStep::Create(number, OpenRequest { folder, ..OpenRequest::default() }));
        Ok(())
    }

    pub(super) fn handle_created(
        &mut self,
        number: u64,
        created: Result<CreatedSession, ApiError>,
        out: &mut Vec<AhpStep>,
    ) {
        let Some(CreateRequest { request, uri }) = self.creating.remove(&number) else { return };
        let CreatedSession { id, folder, wall_ms } = match created {
            Ok(created) => created,
            Err(error) => {
                let (code, why) = refusal_of(&error);
                return self.refuse(&request, code, &why, out);
            }
        };
        out.push(AhpStep::KeepName(self.host.names.add(&uri, &id)));
        out.push(AhpStep::Send(self.rpc.result(&request, &Json::Null)));
        let saved = SavedSession {
            id,
            title: None,
            folder,
            started_at: wall_ms,
            modified: wall_ms,
            engine: String::new(),
            model: String::new(),
        };
        let added = json!({"channel": ROOT_CHANNEL, "summary": session_summary(&saved, &self.host.names)});
        out.push(AhpStep::Announce(self.rpc.notification("root/sessionAdded", &added)));
    }

    fn dispose(&mut self, id: &Json, params: &Json, out: &mut Vec<AhpStep>) -> Result<(), Refusal> {
        let channel = string(params, "channel")?;
        let Some((session, false)) = self.host.names.session_of(channel) else {
            return Err((SESSION_NOT_FOUND_CODE, format!("there is no session {channel}")));
        };
        let is_empty = self.sessions.get(&session).is_some_and(AhpSession::is_empty);
        if !is_empty {
            let why = "sessions in which something was said are kept; delete them where they are, with jarvis-tui \
                       sessions rm";
            return Err((PERMISSION_DENIED_CODE, why.to_owned()));
        }
        let removed = json!({"channel": ROOT_CHANNEL, "session": channel});
        self.handle_ended(&session);
        out.push(AhpStep::Dispose(session));
        out.push(AhpStep::Send(self.rpc.result(id, &Json::Null)));
        out.push(AhpStep::Announce(self.rpc.notification("root/sessionRemoved", &removed)));
        Ok(())
    }

    /// Tells the client that an action of its own was taken, where no event will say so.
    pub(super) fn echo(&mut self, dispatched: &Dispatched, out: &mut Vec<AhpStep>) {
        let envelope = self.envelope_of_dispatched(dispatched);
        out.push(AhpStep::Send(self.rpc.notification("action", &envelope)));
    }

    /// Tells the client that an action of its own was not taken.
    pub(super) fn reject(&mut self, dispatched: &Dispatched, why: &str, out: &mut Vec<AhpStep>) {
        let mut envelope = self.envelope_of_dispatched(dispatched);
        envelope["rejectionReason"] = why.into();
        out.push(AhpStep::Send(self.rpc.notification("action", &envelope)));
    }

    fn envelope_of_dispatched(&mut self, Dispatched { channel, action, client_seq }: &Dispatched) -> Json {
        let origin = json!({"clientId": self.client_id(), "clientSeq": client_seq});
        json!({"channel": channel, "action": action, "serverSeq": self.ledger.next_unplaced(), "origin": origin})
    }

    fn next_number(&mut self) -> u64 {
        self.request_count += 1;
        self.request_count
    }

    pub(super) fn refuse(&self, id: &Json, code: i64, why: &str, out: &mut Vec<AhpStep>) {
        out.push(AhpStep::Send(self.rpc.error(id, code, why)));
    }
}

pub(super) fn refusal_of(error: &ApiError) -> Refusal {
    let code = match error.status {
        404 => SESSION_NOT_FOUND_CODE,
        403 => PERMISSION_DENIED_CODE,
        400..500 => INVALID_PARAMS_CODE,
        _ => INTERNAL_ERROR_CODE,
    };
    (code, error.message.clone())
}

fn string<'a>(params: &'a Json, key: &str) -> Result<&'a str, Refusal> {
    let text = params.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
    text.ok_or_else(|| (INVALID_PARAMS_CODE, format!("{key}: a string is expected")))
}

fn strings<'a>(params: &'a Json, key: &str) -> Vec<&'a str> {
    params.get(key).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect()
}

/// Reads a version that is spoken here.
fn parse_version(version: &str) -> Option<(u64, u64, u64)> {
    let mut numbers = version.split('.').map(|number| number.parse::<u64>().ok());
    let parsed = (numbers.next()??, numbers.next()??, numbers.next()??);
    let is_spoken =
        |(major, minor): &(u64, Option<u64>)| parsed.0 == *major && minor.is_none_or(|minor| parsed.1 == minor);
    (numbers.next().is_none() && SPOKEN_VERSIONS.iter().any(is_spoken)).then_some(parsed)
}

#[cfg(test)]
mod tests;
