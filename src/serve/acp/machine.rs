//! PURE. What an agent of the Agent Client Protocol answers: requests of the client, events of its sessions, and the
//! answers to what it was asked. A prompt never runs beside another one of its session.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde_json::json;

use super::listing::session_page;
use super::options::SessionOptions;
use super::permission::{AskedApproval, permission_options};
use super::prompt::BlockPrompt;
use super::replies::{
    INTERNAL_ERROR_CODE, INVALID_PARAMS_CODE, INVALID_REQUEST_CODE, METHOD_NOT_FOUND_CODE, NOT_FOUND_CODE,
    PARSE_ERROR_CODE, available_commands, message_update,
};
use super::session::{AcpSession, Catchup, ClientTurn, SessionStep, TurnWork};
use crate::bridge::peer::rpc::{RpcMessage, RpcRequests};
use crate::dialect::acp::META_KEY;
use crate::dialect::offered_decisions::offered_decisions;
use crate::event::{
    AgentEvent, ApprovalMode, ApprovalRequest, CallId, Command, Envelope, Json, NoticeLevel, Seq, SessionId, ToolKind,
};
use crate::serve::error::ApiError;
use crate::serve::factory::{OpenRequest, SavedSession};

/// The version of the protocol that is spoken here.
const PROTOCOL_VERSION: u64 = 1;
/// Characters of a client's name.
const MAX_NAME_CHARS: usize = 40;
/// Requests that may wait for a session to be opened, or for a list.
const MAX_OPENING_REQUESTS: usize = 64;

/// What is to be done, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AcpStep {
    Send(Json),
    /// Open a session; the result goes to [`AcpAgent::handle_opened`] with the number.
    Open(u64, OpenRequest),
    /// Open a saved session, to work in this folder.
    Load(u64, SessionId, String),
    /// List the saved sessions; the result goes to [`AcpAgent::handle_listed`].
    List(u64),
    /// Send the events of a session from the first one on.
    Watch(SessionId),
    Command(SessionId, Command),
    Close(SessionId),
}

/// A session that is open, the last event of its past, and what can be set in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OpenedSession {
    pub(super) id: SessionId,
    pub(super) last_seq: Seq,
    pub(super) options: SessionOptions,
}

/// A request that waits for something to be opened or listed.
#[derive(Debug)]
struct OpeningRequest {
    request: Json,
    kind: OpeningKind,
    /// Something is to be told about it, once it is open.
    remark: Option<String>,
}

#[derive(Debug)]
enum OpeningKind {
    New {
        folder: String,
    },
    /// Events up to here are not sent.
    Saved {
        folder: String,
        after: Seq,
    },
    List {
        folder: Option<String>,
        first: usize,
    },
}

pub(super) struct AcpAgent {
    /// What sessions may do without approval; a client can't get more.
    mode: ApprovalMode,
    kinds: Arc<HashMap<String, ToolKind>>,
    rpc: RpcRequests<AskedApproval>,
    sessions: HashMap<SessionId, AcpSession>,
    opening: BTreeMap<u64, OpeningRequest>,
    opening_count: u64,
    /// The client shows notices apart from the answer.
    shows_notices: bool,
    client_name: Option<String>,
}

impl AcpAgent {
    pub(super) fn new(mode: ApprovalMode, kinds: HashMap<String, ToolKind>) -> Self {
        Self {
            mode,
            kinds: Arc::new(kinds),
            rpc: RpcRequests::new(true),
            sessions: HashMap::new(),
            opening: BTreeMap::new(),
            opening_count: 0,
            shows_notices: false,
            client_name: None,
        }
    }

    /// Returns whether every request was answered.
    pub(super) fn is_idle(&self) -> bool {
        self.opening.is_empty() && self.sessions.values().all(AcpSession::is_idle)
    }

    /// Handles a line of the client.
    pub(super) fn handle_line(&mut self, line: &[u8], out: &mut Vec<AcpStep>) {
        if line.trim_ascii().is_empty() {
            return;
        }
        let message = match serde_json::from_slice::<Json>(line) {
            Ok(message) if message.is_object() => message,
            Ok(_) => return out.push(self.error(&Json::Null, INVALID_REQUEST_CODE, "a message is a JSON object")),
            Err(error) => {
                return out.push(self.error(&Json::Null, PARSE_ERROR_CODE, &format!("the line is no JSON: {error}")));
            }
        };
        match self.rpc.classify(&message) {
            RpcMessage::Request { id, method, params } => {
                if let Err((code, why)) = self.handle_request(id, method, params, out) {
                    out.push(self.error(id, code, &why));
                }
            }
            RpcMessage::Notification { method: "session/cancel", params } => self.cancel(params, out),
            RpcMessage::Answer { kind, answer } => {
                let (session, command) = kind.decide(answer);
                out.push(AcpStep::Command(session, command));
            }
            RpcMessage::Notification { .. } | RpcMessage::Stray => {}
        }
    }

    /// Handles an event of a session, in order.
    pub(super) fn handle_event(&mut self, session: &SessionId, envelope: &Envelope, out: &mut Vec<AcpStep>) {
        let Some(known) = self.sessions.get_mut(session) else { return };
        let mut steps = Vec::new();
        known.handle_event(envelope, &mut steps);
        // Before the answer of what changed them.
        if matches!(envelope.event, AgentEvent::SessionOpened { .. }) && !known.is_catching_up() {
            self.tell_options(session, out);
        }
        self.follow(session, steps, out);
    }

    /// Handles that a session was opened, or why it was not.
    pub(super) fn handle_opened(
        &mut self,
        number: u64,
        opened: Result<OpenedSession, ApiError>,
        out: &mut Vec<AcpStep>,
    ) {
        let Some(OpeningRequest { request, kind, remark }) = self.opening.remove(&number) else { return };
        let OpenedSession { id, last_seq, options } = match opened {
            Ok(opened) => opened,
            Err(error) => return out.push(self.refusal(&request, &error)),
        };
        let (folder, catchup) = match kind {
            OpeningKind::New { folder } => (folder, None),
            OpeningKind::Saved { folder, after } => {
                (folder, Some(Catchup { request: request.clone(), through: last_seq, after }))
            }
            OpeningKind::List { .. } => return,
        };
        let is_new = catchup.is_none();
        let mut session = AcpSession::new(Arc::clone(&self.kinds), folder, catchup, options);
        let mut steps = Vec::new();
        if is_new {
            let options = session.options.told(self.mode, self.offered_modes());
            let result = json!({"sessionId": id, "modes": self.modes(self.mode), "configOptions": options});
            out.push(AcpStep::Send(self.rpc.result(&request, &result)));
            out.push(self.update(&id, &available_commands()));
        }
        session.begin(&mut steps);
        if let Some(mut former) = self.sessions.insert(id.clone(), session) {
            former.end("the session was opened again", &mut steps);
        }
        self.follow(&id, steps, out);
        if let Some(remark) = remark {
            self.tell(&id, NoticeLevel::Warn, &remark, out);
        }
        out.push(AcpStep::Watch(id));
    }

    /// Handles the list of saved sessions.
    pub(super) fn handle_listed(
        &mut self,
        number: u64,
        listed: Result<Vec<SavedSession>, ApiError>,
        out: &mut Vec<AcpStep>,
    ) {
        let Some(OpeningRequest { request, kind: OpeningKind::List { folder, first }, .. }) =
            self.opening.remove(&number)
        else {
            return;
        };
        match listed {
            Ok(sessions) => {
                let result = session_page(sessions, folder.as_deref(), first);
                out.push(AcpStep::Send(self.rpc.result(&request, &result)));
            }
            Err(error) => out.push(self.refusal(&request, &error)),
        }
    }

    /// Handles that a session has ended.
    pub(super) fn handle_ended(&mut self, session: &SessionId, out: &mut Vec<AcpStep>) {
        let Some(mut ended) = self.sessions.remove(session) else { return };
        let mut steps = Vec::new();
        ended.end("the session has ended", &mut steps);
        self.follow(session, steps, out);
        self.rpc.forget(|asked| asked.session == *session);
    }

    /// The client is gone: what runs is cancelled.
    pub(super) fn handle_gone(&mut self, out: &mut Vec<AcpStep>) {
        for id in self.sessions.keys().cloned().collect::<Vec<_>>() {
            self.cancel(&json!({"sessionId": id}), out);
        }
    }

    fn handle_request(
        &mut self,
        id: &Json,
        method: &str,
        params: &Json,
        out: &mut Vec<AcpStep>,
    ) -> Result<(), (i64, String)> {
        match method {
            "initialize" => {
                let result = self.initialize(params);
                out.push(AcpStep::Send(self.rpc.result(id, &result)));
            }
            // Nobody has to log in: keys are in this program's settings.
            "authenticate" => out.push(AcpStep::Send(self.rpc.result(id, &json!({})))),
            "session/new" => self.open(id, params, out)?,
            "session/load" => {
                let after = params.pointer(&format!("/_meta/{META_KEY}/after")).and_then(Json::as_u64);
                self.load(id, params, Seq(after.unwrap_or_default()), out)?;
            }
            "session/resume" => self.load(id, params, Seq(u64::MAX), out)?,
            "session/list" => self.list(id, params, out)?,
            "session/prompt" => self.prompt(id, params, out)?,
            "session/set_mode" => self.set_mode(id, params, out)?,
            "session/set_config_option" => self.set_option(id, params, out)?,
            "session/close" => {
                let session = self.session_of(params)?;
                self.cancel(params, out);
                self.handle_ended(&session, out);
                out.push(AcpStep::Close(session));
                out.push(AcpStep::Send(self.rpc.result(id, &json!({}))));
            }
            _ => return Err((METHOD_NOT_FOUND_CODE, format!("{method} is not offered here"))),
        }
        Ok(())
    }

    /// Returns what the client calls itself.
    pub(super) fn client_name(&self) -> Option<&str> {
        self.client_name.as_deref()
    }

    fn initialize(&mut self, params: &Json) -> Json {
        let named = params.pointer("/clientInfo/name").and_then(Json::as_str);
        self.client_name = named.map(|name| name.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect());
        self.shows_notices = params.pointer("/clientCapabilities/session/notices").is_some_and(Json::is_object);
        json!({
            "protocolVersion": PROTOCOL_VERSION,
            "agentCapabilities": {
                "loadSession": true,
                "promptCapabilities": {"image": true, "audio": false, "embeddedContext": true},
                "mcpCapabilities": {"http": false, "sse": false},
                "sessionCapabilities": {"list": {}, "resume": {}, "close": {}},
            },
            "agentInfo": {"name": "jarvis-tui", "title": "jarvis-tui", "version": env!("CARGO_PKG_VERSION")},
            "authMethods": [],
        })
    }

    fn open(&mut self, id: &Json, params: &Json, out: &mut Vec<AcpStep>) -> Result<(), (i64, String)> {
        let folder = folder_of(params)?;
        let opening = OpenRequest { folder: Some(folder.clone()), ..OpenRequest::default() };
        let number = self.begin_opening(id, OpeningKind::New { folder }, mcp_remark(params))?;
        out.push(AcpStep::Open(number, opening));
        Ok(())
    }

    fn load(&mut self, id: &Json, params: &Json, after: Seq, out: &mut Vec<AcpStep>) -> Result<(), (i64, String)> {
        let folder = folder_of(params)?;
        let session = named_session(params)?;
        if self.sessions.get(&session).is_some_and(|known| !known.is_idle()) {
            return Err((INVALID_REQUEST_CODE, format!("session {session} is open here and works on a prompt")));
        }
        let kind = OpeningKind::Saved { folder: folder.clone(), after };
        let number = self.begin_opening(id, kind, mcp_remark(params))?;
        out.push(AcpStep::Load(number, session, folder));
        Ok(())
    }

    fn list(&mut self, id: &Json, params: &Json, out: &mut Vec<AcpStep>) -> Result<(), (i64, String)> {
        let first = match params.get("cursor") {
            None | Some(Json::Null) => 0,
            Some(cursor) => cursor
                .as_str()
                .and_then(|cursor| cursor.parse().ok())
                .ok_or((INVALID_PARAMS_CODE, "cursor: not one of an earlier list".to_owned()))?,
        };
        let folder = params.get("cwd").and_then(Json::as_str).map(str::to_owned);
        let number = self.begin_opening(id, OpeningKind::List { folder, first }, None)?;
        out.push(AcpStep::List(number));
        Ok(())
    }

    fn prompt(&mut self, id: &Json, params: &Json, out: &mut Vec<AcpStep>) -> Result<(), (i64, String)> {
        let session = self.session_of(params)?;
        let Some(known) = self.sessions.get_mut(&session) else { return Ok(()) };
        let prompt = BlockPrompt::parse(params.get("prompt").unwrap_or(&Json::Null), &known.folder)
            .map_err(|why| (INVALID_PARAMS_CODE, why))?;
        if prompt.has_images() && known.takes_images == Some(false) {
            return Err((INVALID_PARAMS_CODE, "the model of this session takes no images".to_owned()));
        }
        let mut steps = Vec::new();
        match prompt.text.trim().split_once(char::is_whitespace) {
            Some(("/title", title)) => {
                steps.push(SessionStep::Command(Command::SetTitle { title: title.trim().to_owned() }));
                steps.push(SessionStep::Answer(id.clone(), Ok(json!({"stopReason": "end_turn"}))));
            }
            first => {
                let work = match first {
                    Some(("/model", model)) => TurnWork::SetModel(model.trim().to_owned()),
                    _ => TurnWork::Prompt { text: prompt.text, context: prompt.context },
                };
                known
                    .prompt(ClientTurn { request: id.clone(), work }, &mut steps)
                    .map_err(|why| (INVALID_REQUEST_CODE, why))?;
            }
        }
        self.follow(&session, steps, out);
        Ok(())
    }

    fn set_mode(&mut self, id: &Json, params: &Json, out: &mut Vec<AcpStep>) -> Result<(), (i64, String)> {
        let session = self.session_of(params)?;
        let name = params.get("modeId").and_then(Json::as_str).unwrap_or_default();
        let offered: Vec<&str> = self.offered_modes().map(ApprovalMode::name).collect();
        let Some(mode) = ApprovalMode::parse(name).filter(|mode| !mode.is_more_permissive_than(self.mode)) else {
            let text = format!("modeId: one of {} is expected", offered.join(", "));
            return Err((INVALID_PARAMS_CODE, text));
        };
        out.push(AcpStep::Command(session, Command::SetMode { mode }));
        out.push(AcpStep::Send(self.rpc.result(id, &json!({}))));
        Ok(())
    }

    fn set_option(&mut self, id: &Json, params: &Json, out: &mut Vec<AcpStep>) -> Result<(), (i64, String)> {
        let session = self.session_of(params)?;
        let text = |name: &str| params.get(name).and_then(Json::as_str).unwrap_or_default();
        let (modes, most) = (self.offered_modes(), self.mode);
        let Some(known) = self.sessions.get_mut(&session) else { return Ok(()) };
        let command =
            known.options.set(text("configId"), text("value"), most).map_err(|why| (INVALID_PARAMS_CODE, why))?;
        // It will hold once the session has it; the client shows what it chose meanwhile.
        let mut mode = known.encoder.mode().unwrap_or(most);
        match &command {
            Command::SetMode { mode: wanted } => mode = *wanted,
            Command::SetModel { model } => {
                let (engine, model) = model.split_once('/').unwrap_or((model, ""));
                known.options.set_model(engine, model);
            }
            _ => {}
        }
        let options = known.options.told(mode, modes);
        out.push(AcpStep::Command(session, command));
        out.push(AcpStep::Send(self.rpc.result(id, &json!({ "configOptions": options }))));
        Ok(())
    }

    /// Tells what holds now, if that is something else than was told.
    fn tell_options(&mut self, session: &SessionId, out: &mut Vec<AcpStep>) {
        let (modes, most) = (self.offered_modes(), self.mode);
        let Some(known) = self.sessions.get_mut(session) else { return };
        let mode = known.encoder.mode().unwrap_or(most);
        if let Some(options) = known.options.changed(mode, modes) {
            let update = json!({"sessionUpdate": "config_option_update", "configOptions": options});
            out.push(self.update(session, &update));
        }
    }

    fn cancel(&mut self, params: &Json, out: &mut Vec<AcpStep>) {
        let Ok(session) = self.session_of(params) else { return };
        let mut steps = Vec::new();
        if let Some(known) = self.sessions.get_mut(&session) {
            known.cancel(&mut steps);
        }
        self.follow(&session, steps, out);
    }

    /// Keeps a request until it can be answered.
    fn begin_opening(
        &mut self,
        request: &Json,
        kind: OpeningKind,
        remark: Option<String>,
    ) -> Result<u64, (i64, String)> {
        if self.opening.len() >= MAX_OPENING_REQUESTS {
            return Err((INVALID_REQUEST_CODE, "too many requests wait for an answer".to_owned()));
        }
        self.opening_count += 1;
        self.opening.insert(self.opening_count, OpeningRequest { request: request.clone(), kind, remark });
        Ok(self.opening_count)
    }

    fn follow(&mut self, session: &SessionId, steps: Vec<SessionStep>, out: &mut Vec<AcpStep>) {
        for step in steps {
            match step {
                SessionStep::Update(update) => out.push(self.update(session, &update)),
                SessionStep::Tell(level, text) => self.tell(session, level, &text, out),
                SessionStep::Command(command) => out.push(AcpStep::Command(session.clone(), command)),
                SessionStep::Answer(request, Ok(result)) => out.push(AcpStep::Send(self.rpc.result(&request, &result))),
                SessionStep::Answer(request, Err((code, why))) => out.push(self.error(&request, code, &why)),
                SessionStep::Ask(call, request) => self.ask(session, call, &request, out),
                SessionStep::Withdraw(call) => {
                    for id in self.rpc.withdraw(|asked| asked.session == *session && asked.call == call) {
                        let withdrawn = json!({ "requestId": id });
                        out.push(AcpStep::Send(self.rpc.notification("$/cancel_request", &withdrawn)));
                    }
                }
                SessionStep::Opened(request) => {
                    let mode = self.sessions.get(session).and_then(|known| known.encoder.mode()).unwrap_or(self.mode);
                    let modes = self.offered_modes();
                    let options = self.sessions.get_mut(session).map(|known| known.options.told(mode, modes));
                    let result = json!({"modes": self.modes(mode), "configOptions": options});
                    out.push(AcpStep::Send(self.rpc.result(&request, &result)));
                    out.push(self.update(session, &available_commands()));
                }
            }
        }
    }

    fn ask(&mut self, session: &SessionId, call: CallId, request: &ApprovalRequest, out: &mut Vec<AcpStep>) {
        let Some(known) = self.sessions.get(session) else { return };
        let offered = offered_decisions(request);
        let params = json!({
            "sessionId": session, "toolCall": known.encoder.asked_call(&call, request),
            "options": permission_options(&offered),
        });
        let asked = AskedApproval { session: session.clone(), call, offered };
        out.push(AcpStep::Send(self.rpc.request(asked, "session/request_permission", &params)));
    }

    /// Tells something apart from the answer, where the client can show that; else what matters is a message.
    fn tell(&self, session: &SessionId, level: NoticeLevel, text: &str, out: &mut Vec<AcpStep>) {
        let severity = match level {
            NoticeLevel::Info => "info",
            NoticeLevel::Warn => "warning",
            NoticeLevel::Error => "error",
        };
        if self.shows_notices {
            let update = json!({"sessionUpdate": "notice", "severity": severity, "title": text});
            out.push(self.update(session, &update));
        } else if level != NoticeLevel::Info {
            out.push(self.update(session, &message_update(&format!("[{severity}: {text}]\n\n"))));
        }
    }

    fn session_of(&self, params: &Json) -> Result<SessionId, (i64, String)> {
        let session = named_session(params)?;
        if self.sessions.contains_key(&session) {
            return Ok(session);
        }
        Err((NOT_FOUND_CODE, format!("no session {session} is open; load it first")))
    }

    fn offered_modes(&self) -> impl Iterator<Item = ApprovalMode> + use<> {
        let most = self.mode;
        let all = [ApprovalMode::Plan, ApprovalMode::Ask, ApprovalMode::AutoEdit, ApprovalMode::Full];
        all.into_iter().filter(move |mode| !mode.is_more_permissive_than(most))
    }

    fn modes(&self, current: ApprovalMode) -> Json {
        let mode = |mode: ApprovalMode| {
            let (name, description) = match mode {
                ApprovalMode::Plan => ("Plan", "Read only: everything else is denied"),
                ApprovalMode::Ask => ("Ask", "Ask before writing, running or fetching"),
                ApprovalMode::AutoEdit => ("Auto-edit", "Like Ask, but files in the working folder may be changed"),
                ApprovalMode::Full => ("Full", "Never ask"),
            };
            json!({"id": mode.name(), "name": name, "description": description})
        };
        json!({"currentModeId": current.name(), "availableModes": self.offered_modes().map(mode).collect::<Vec<_>>()})
    }

    fn update(&self, session: &SessionId, update: &Json) -> AcpStep {
        AcpStep::Send(self.rpc.notification("session/update", &json!({"sessionId": session, "update": update})))
    }

    fn error(&self, id: &Json, code: i64, message: &str) -> AcpStep {
        AcpStep::Send(self.rpc.error(id, code, message))
    }

    fn refusal(&self, request: &Json, error: &ApiError) -> AcpStep {
        let code = match error.status {
            404 => NOT_FOUND_CODE,
            400..500 => INVALID_PARAMS_CODE,
            _ => INTERNAL_ERROR_CODE,
        };
        self.error(request, code, &error.message)
    }
}

fn named_session(params: &Json) -> Result<SessionId, (i64, String)> {
    let id = params.get("sessionId").and_then(Json::as_str).filter(|id| !id.is_empty());
    id.map(SessionId::from).ok_or((INVALID_PARAMS_CODE, "sessionId: a string is expected".to_owned()))
}

fn folder_of(params: &Json) -> Result<String, (i64, String)> {
    let folder = params.get("cwd").and_then(Json::as_str).filter(|folder| folder.starts_with('/'));
    folder.map(str::to_owned).ok_or((INVALID_PARAMS_CODE, "cwd: an absolute path is expected".to_owned()))
}

/// Says that servers of tools were left out, if there are any.
fn mcp_remark(params: &Json) -> Option<String> {
    let servers = params.get("mcpServers").and_then(Json::as_array)?;
    let names: Vec<&str> = servers.iter().filter_map(|server| server.get("name")?.as_str()).take(8).collect();
    (!servers.is_empty()).then(|| format!("MCP servers are not used here: {}", names.join(", ")))
}

#[cfg(test)]
mod tests;
