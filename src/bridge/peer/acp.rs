//! PURE. Our side of the Agent Client Protocol: we begin, open or load a session, send prompts, and answer what the
//! agent asks. Files and terminals are offered to it; who may use them is not decided here.
//!
//! What its updates say is `dialect::acp`'s to read.

use serde_json::json;

use super::protocol::{
    LAST_SESSION, PeerProtocol, PeerSession, PeerStep, QuestionNumber, WorkError, WorkProtocol, WorkResult, end_reply,
};
use super::rpc::{RpcMessage, RpcRequests};
use super::session_options::SessionOptions;
use crate::dialect::acp::{AcpDecoder, ClientWork, current_model, to_rpc_fault};
use crate::event::{
    AgentOption, AgentOptionKind, ApprovalMode, CallId, CallOutcome, Fault, FaultKind, Json, NoticeCode, NoticeLevel,
    PromptImage, ReplyEvent, TurnOutcome,
};
use crate::tool::by_request::CommandExit;

/// The version of the protocol that is spoken here.
const PROTOCOL_VERSION: u64 = 1;
/// By JSON-RPC, a method that is not there.
const METHOD_NOT_FOUND_CODE: i64 = -32601;
/// By JSON-RPC, parameters that are not understood.
const INVALID_PARAMS_CODE: i64 = -32602;
/// By JSON-RPC, the request was understood and could not be carried out.
const INTERNAL_ERROR_CODE: i64 = -32603;
/// Of those that JSON-RPC leaves to the program: it was denied.
const DENIED_CODE: i64 = -32001;
/// Sessions that are named where the wanted one is not there.
const MAX_NAMED_SESSIONS: usize = 8;
/// What a request of ours is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum AcpRequest {
    Initialize,
    ListSessions,
    NewSession,
    LoadSession(String),
    Prompt,
    /// The setting and its new value.
    SetOption(String, String),
}

pub(super) struct AcpPeer {
    wanted: PeerSession,
    rpc: RpcRequests<AcpRequest>,
    decoder: AcpDecoder,
    session: String,
    capabilities: Json,
    options: SessionOptions,
    /// The mode that the session had at first.
    usual_mode: String,
    /// Set until the session is open.
    is_opening: bool,
    /// The connection is not the first.
    is_again: bool,
    /// What of an earlier prompt came so far, while a session is loaded.
    told_prompt: String,
}

impl AcpPeer {
    pub(super) fn new(wanted: PeerSession) -> Self {
        Self {
            wanted,
            rpc: RpcRequests::new(true),
            decoder: AcpDecoder::default(),
            session: String::new(),
            capabilities: Json::Null,
            options: SessionOptions::default(),
            usual_mode: String::new(),
            is_opening: true,
            is_again: false,
            told_prompt: String::new(),
        }
    }

    fn send(&mut self, kind: AcpRequest, method: &str, params: &Json, out: &mut Vec<PeerStep>) {
        out.push(PeerStep::Send(self.rpc.request(kind, method, params)));
    }

    fn handle_request(&mut self, id: &Json, method: &str, params: &Json, out: &mut Vec<PeerStep>) {
        let work = ClientWork::parse(method, params).filter(|_| !self.wanted.is_remote && self.is_ours(params));
        let refusal = if let Some(work) = work {
            match work.map(|work| (self.rpc.keep_question(id), work)) {
                Ok((Some(number), work)) => {
                    return out.push(PeerStep::Work { number: QuestionNumber(number), work });
                }
                Ok((None, _)) => self.rpc.error(id, INTERNAL_ERROR_CODE, "too many requests wait"),
                Err(error) => self.rpc.error(id, INVALID_PARAMS_CODE, &error),
            }
        } else if method == "session/request_permission" && self.is_ours(params) {
            let mut events = Vec::new();
            let asked = self.decoder.handle_permission_request(params, &mut events);
            out.extend(events.into_iter().map(PeerStep::Reply));
            match asked.and_then(|asked| Some((QuestionNumber(self.rpc.keep_question(id)?), asked))) {
                Some((number, asked)) => return out.push(PeerStep::Question { number, asked }),
                None => self.rpc.error(id, INVALID_PARAMS_CODE, "a call with answers of known kinds is expected"),
            }
        } else {
            self.rpc.error(id, METHOD_NOT_FOUND_CODE, &format!("{method} is not offered here"))
        };
        out.push(PeerStep::Send(refusal));
    }

    /// Returns whether something is about this session.
    fn is_ours(&self, params: &Json) -> bool {
        let named = params.get("sessionId").and_then(Json::as_str);
        self.session.is_empty() || named.is_none_or(|named| named == self.session)
    }

    fn handle_notification(&mut self, method: &str, params: &Json, out: &mut Vec<PeerStep>) {
        if method == "$/cancel_request" {
            let question = params.get("requestId").and_then(|id| self.rpc.find_question(id));
            return out.extend(question.map(|number| PeerStep::Withdrawn(QuestionNumber(number))));
        }
        let update = params.get("update").unwrap_or(&Json::Null);
        if method != "session/update" || !self.is_ours(params) {
            return;
        }
        if self.is_opening && update.get("sessionUpdate").and_then(Json::as_str) == Some("user_message_chunk") {
            self.told_prompt.push_str(update.pointer("/content/text").and_then(Json::as_str).unwrap_or_default());
            return;
        }
        if AcpDecoder::is_content(update) {
            self.tell_prompt(out);
        }
        self.follow_options(update, out);
        let mut events = Vec::new();
        self.decoder.handle_update(update, &mut events);
        out.extend(events.into_iter().map(PeerStep::Reply));
    }

    /// Takes over what the agent says of its settings.
    fn follow_options(&mut self, update: &Json, out: &mut Vec<PeerStep>) {
        match update.get("sessionUpdate").and_then(Json::as_str) {
            Some("config_option_update") => {
                self.options.replace_configured(update);
            }
            Some("current_mode_update") => {
                let mode = update.get("currentModeId").and_then(Json::as_str).unwrap_or_default();
                let Some(id) = self.options.of_kind(AgentOptionKind::Mode).map(|modes| modes.id.clone()) else {
                    return;
                };
                self.options.note(&id, mode);
            }
            _ => return,
        }
        if !self.is_opening {
            self.tell_options(out);
        }
    }

    /// Tells what may be set, and the model where that is told there.
    fn tell_options(&self, out: &mut Vec<PeerStep>) {
        out.push(PeerStep::Options(self.options.all()));
        if let Some(models) = self.options.of_kind(AgentOptionKind::Model).filter(|models| !models.current.is_empty()) {
            out.push(PeerStep::Model(models.current.clone()));
        }
    }

    fn current_model(&self) -> String {
        self.options.of_kind(AgentOptionKind::Model).map(|models| models.current.clone()).unwrap_or_default()
    }

    fn send_option(&mut self, id: String, value: String, out: &mut Vec<PeerStep>) {
        let Some((method, params)) = self.options.request(&self.session, &id, &value) else { return };
        self.send(AcpRequest::SetOption(id, value), method, &params, out);
    }

    /// Says how a setting is now; a model is told by how the session is opened.
    fn tell_setting(&self, id: &str, out: &mut Vec<PeerStep>) {
        let Some(option) = self.options.find(id).filter(|option| option.kind != AgentOptionKind::Model) else { return };
        let value = option.find(&option.current).map_or(option.current.as_str(), |value| value.name.as_str());
        let text = format!("the agent's {} is now {value}", option.name.to_lowercase());
        out.push(PeerStep::notice(NoticeLevel::Info, NoticeCode::Mode, text));
    }

    fn handle_option_answer(
        &mut self,
        (id, value): (&str, &str),
        answer: Result<&Json, &Json>,
        out: &mut Vec<PeerStep>,
    ) {
        match answer {
            Ok(result) => {
                if !self.options.replace_configured(result) {
                    self.options.note(id, value);
                }
                self.tell_setting(id, out);
                // While it is being opened, the model is told once it is.
                if self.is_opening {
                    out.push(PeerStep::Options(self.options.all()));
                } else {
                    self.tell_options(out);
                }
            }
            Err(error) => {
                let is_model = self.options.find(id).is_some_and(|option| option.kind == AgentOptionKind::Model);
                let code = if is_model { NoticeCode::Model } else { NoticeCode::Mode };
                let text = format!("the agent refused: {}", to_rpc_fault(error).message);
                out.push(PeerStep::notice(NoticeLevel::Warn, code, text));
                out.push(PeerStep::Options(self.options.all()));
            }
        }
        if self.is_opening && !self.rpc.is_waiting(|kind| matches!(kind, AcpRequest::SetOption(..))) {
            self.open(self.current_model(), out);
        }
    }

    /// Tells an earlier prompt, once what follows it comes.
    fn tell_prompt(&mut self, out: &mut Vec<PeerStep>) {
        let prompt = std::mem::take(&mut self.told_prompt);
        if !prompt.is_empty() {
            self.end_reply(TurnOutcome::Completed, out);
            out.push(PeerStep::PersonSaid(prompt));
        }
    }

    /// Ends the reply so far; what follows belongs to the next one.
    fn end_reply(&mut self, outcome: TurnOutcome, out: &mut Vec<PeerStep>) {
        let next = self.decoder.next_turn();
        end_reply(&mut std::mem::replace(&mut self.decoder, next), outcome, out);
    }

    fn handle_answer(&mut self, kind: AcpRequest, answer: Result<&Json, &Json>, out: &mut Vec<PeerStep>) {
        match (kind, answer) {
            (AcpRequest::Initialize, Ok(result)) => self.handle_initialized(result, out),
            (AcpRequest::ListSessions, Ok(result)) => self.handle_sessions(result, out),
            (AcpRequest::NewSession, Ok(result)) => {
                let session = result.get("sessionId").and_then(Json::as_str).unwrap_or_default().to_owned();
                if session.is_empty() {
                    let text = "the agent opened a session without an id";
                    return out.push(PeerStep::Failed(Fault::new(FaultKind::Protocol, text)));
                }
                self.handle_opened(session, result, out);
            }
            (AcpRequest::LoadSession(session), Ok(result)) => {
                self.tell_prompt(out);
                self.end_reply(TurnOutcome::Completed, out);
                self.handle_opened(session, result, out);
            }
            (AcpRequest::LoadSession(_), Err(_)) if self.wanted.starts_afresh => {
                self.told_prompt.clear();
                self.decoder = self.decoder.next_turn();
                self.open_new(out);
            }
            (
                AcpRequest::Initialize | AcpRequest::ListSessions | AcpRequest::NewSession | AcpRequest::LoadSession(_),
                Err(error),
            ) => out.push(PeerStep::Failed(to_rpc_fault(error))),
            (AcpRequest::Prompt, answer) => {
                let mut events = Vec::new();
                self.decoder.handle_answer(answer, &mut events);
                out.extend(events.into_iter().map(PeerStep::Reply));
                self.end_reply(TurnOutcome::Completed, out);
            }
            (AcpRequest::SetOption(id, value), answer) => self.handle_option_answer((&id, &value), answer, out),
        }
    }

    fn handle_initialized(&mut self, result: &Json, out: &mut Vec<PeerStep>) {
        let version = result.get("protocolVersion").and_then(Json::as_u64).unwrap_or_default();
        if version != PROTOCOL_VERSION {
            let text =
                format!("the agent speaks version {version} of the protocol; version {PROTOCOL_VERSION} is needed");
            return out.push(PeerStep::Failed(Fault::new(FaultKind::Protocol, text)));
        }
        self.capabilities = result.get("agentCapabilities").cloned().unwrap_or_default();
        let word = |key: &str| result.pointer(&format!("/agentInfo/{key}")).and_then(Json::as_str).unwrap_or_default();
        let name = if word("title").is_empty() { word("name") } else { word("title") };
        if !name.is_empty() && !self.is_again {
            let version = Some(word("version")).filter(|version| !version.is_empty());
            let version = version.map(|version| format!(" {version}")).unwrap_or_default();
            let whose = if self.wanted.is_remote { "where it runs" } else { "with your rights" };
            let text = format!("{name}{version} speaks the Agent Client Protocol; it acts itself, {whose}");
            out.push(PeerStep::notice(NoticeLevel::Info, NoticeCode::Found, text));
        }
        let can_list = self.capabilities.pointer("/sessionCapabilities/list").is_some_and(Json::is_object);
        let can_load = self.can_load();
        match self.wanted.session.clone() {
            None => self.open_new(out),
            Some(_) if !can_load && self.wanted.starts_afresh => self.open_new(out),
            Some(_) if !can_load => {
                let text = "this agent loads no earlier sessions: remove --session";
                out.push(PeerStep::Failed(Fault::new(FaultKind::BadRequest, text)));
            }
            Some(session) if session == LAST_SESSION && !can_list => {
                let text = "this agent lists no sessions: name one with --session ID";
                out.push(PeerStep::Failed(Fault::new(FaultKind::BadRequest, text)));
            }
            Some(session) if session == LAST_SESSION => {
                let params = json!({"cwd": self.wanted.folder});
                self.send(AcpRequest::ListSessions, "session/list", &params, out);
            }
            Some(session) => self.load(session, out),
        }
    }

    fn can_load(&self) -> bool {
        self.capabilities.get("loadSession").and_then(Json::as_bool) == Some(true)
    }

    fn open_new(&mut self, out: &mut Vec<PeerStep>) {
        if self.is_again {
            out.push(PeerStep::Afresh);
        }
        self.session.clear();
        let params = json!({"cwd": self.wanted.folder, "mcpServers": []});
        self.send(AcpRequest::NewSession, "session/new", &params, out);
    }

    fn load(&mut self, session: String, out: &mut Vec<PeerStep>) {
        self.session.clone_from(&session);
        let params = json!({"sessionId": session, "cwd": self.wanted.folder, "mcpServers": []});
        self.send(AcpRequest::LoadSession(session), "session/load", &params, out);
    }

    fn handle_sessions(&mut self, result: &Json, out: &mut Vec<PeerStep>) {
        let sessions = result.get("sessions").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let word = |session: &Json, key: &str| session.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        let here = sessions.iter().filter(|session| word(session, "cwd") == self.wanted.folder);
        let newest = here.max_by_key(|session| word(session, "updatedAt"));
        if let Some(session) = newest.map(|session| word(session, "sessionId")).filter(|id| !id.is_empty()) {
            return self.load(session, out);
        }
        let known: Vec<String> =
            sessions.iter().take(MAX_NAMED_SESSIONS).map(|session| word(session, "sessionId")).collect();
        let known = if known.is_empty() { String::new() } else { format!("; elsewhere: {}", known.join(", ")) };
        let text = format!("the agent keeps no session of this folder{known}");
        out.push(PeerStep::Failed(Fault::new(FaultKind::BadRequest, text)));
    }

    fn handle_opened(&mut self, session: String, result: &Json, out: &mut Vec<PeerStep>) {
        self.session = session;
        self.options = SessionOptions::parse(result);
        let modes = self.options.of_kind(AgentOptionKind::Mode);
        self.usual_mode = modes.map(|modes| modes.current.clone()).unwrap_or_default();
        out.push(PeerStep::Options(self.options.all()));
        if self.wanted.mode == ApprovalMode::Plan {
            self.set_mode(ApprovalMode::Plan, out);
        }
        if let Some(model) = self.wanted.model.clone() {
            self.set_model(&model, out);
        }
        if !self.rpc.is_waiting(|kind| matches!(kind, AcpRequest::SetOption(..))) {
            self.open(current_model(result).unwrap_or_default().to_owned(), out);
        }
    }

    fn open(&mut self, model: String, out: &mut Vec<PeerStep>) {
        self.is_opening = false;
        out.push(PeerStep::Opened { model });
    }
}

impl PeerProtocol for AcpPeer {
    fn begin(&mut self, out: &mut Vec<PeerStep>) {
        // What is here is none of the business of an agent that runs elsewhere.
        let serves = !self.wanted.is_remote;
        let params = json!({
            "protocolVersion": PROTOCOL_VERSION,
            "clientCapabilities": {"fs": {"readTextFile": serves, "writeTextFile": serves}, "terminal": serves},
            "clientInfo": {"name": env!("CARGO_PKG_NAME"), "title": "jarvis-tui", "version": env!("CARGO_PKG_VERSION")},
        });
        self.send(AcpRequest::Initialize, "initialize", &params, out);
    }

    fn begin_again(&mut self, out: &mut Vec<PeerStep>) -> bool {
        let starts_afresh = self.wanted.starts_afresh;
        let kept = Some(self.session.clone()).filter(|session| !session.is_empty() && self.can_load());
        let session = kept.or_else(|| self.wanted.session.clone().filter(|_| self.is_again || starts_afresh));
        if session.is_none() && !starts_afresh {
            return false;
        }
        let wanted = PeerSession { session, ..std::mem::take(&mut self.wanted) };
        *self = Self { decoder: self.decoder.next_turn(), is_again: true, ..Self::new(wanted) };
        self.begin(out);
        true
    }

    fn session(&self) -> Option<&str> {
        (!self.is_opening).then_some(self.session.as_str())
    }

    fn parse_line(&mut self, line: &str, out: &mut Vec<ReplyEvent>) -> Option<Json> {
        self.decoder.parse_line(line, out)
    }

    fn handle_message(&mut self, message: &Json, out: &mut Vec<PeerStep>) {
        match self.rpc.classify(message) {
            RpcMessage::Request { id, method, params } => self.handle_request(id, method, params, out),
            RpcMessage::Notification { method, params } => self.handle_notification(method, params, out),
            RpcMessage::Answer { kind, answer } => self.handle_answer(kind, answer, out),
            RpcMessage::Stray => {}
        }
    }

    fn takes_images(&self) -> bool {
        self.capabilities.pointer("/promptCapabilities/image").and_then(Json::as_bool) == Some(true)
    }

    fn send_prompt(&mut self, text: &str, images: &[&PromptImage], out: &mut Vec<PeerStep>) {
        let image = |image: &&PromptImage| json!({"type": "image", "mimeType": image.media_type.media_type(), "data": image.base64()});
        let prompt: Vec<Json> =
            [json!({"type": "text", "text": text})].into_iter().chain(images.iter().map(image)).collect();
        let params = json!({"sessionId": self.session, "prompt": prompt});
        self.send(AcpRequest::Prompt, "session/prompt", &params, out);
    }

    fn answer(&mut self, question: QuestionNumber, answer: Option<&str>, out: &mut Vec<PeerStep>) {
        let Some(id) = self.rpc.take_question(question.0) else { return };
        let outcome = match answer {
            Some(option) => json!({"outcome": "selected", "optionId": option}),
            None => json!({"outcome": "cancelled"}),
        };
        out.push(PeerStep::Send(self.rpc.result(&id, &json!({"outcome": outcome}))));
    }

    fn note_denied(&mut self, call: &CallId) {
        self.decoder.reject(call);
    }

    fn cancel(&mut self, out: &mut Vec<PeerStep>) {
        if self.rpc.is_waiting(|kind| *kind == AcpRequest::Prompt) {
            out.push(PeerStep::Send(self.rpc.notification("session/cancel", &json!({"sessionId": self.session}))));
        }
    }

    fn abandon(&mut self, outcome: TurnOutcome, out: &mut Vec<PeerStep>) {
        self.rpc.forget(|kind| *kind == AcpRequest::Prompt);
        self.end_reply(outcome, out);
    }

    fn work(&mut self) -> Option<&mut dyn WorkProtocol> {
        Some(self)
    }

    /// Only the mode that reads is the agent's business; what the others allow is answered when it asks.
    fn set_mode(&mut self, mode: ApprovalMode, out: &mut Vec<PeerStep>) {
        self.wanted.mode = mode;
        let wanted = match (mode, self.options.plan_mode()) {
            (ApprovalMode::Plan, Some(plan)) => plan.to_owned(),
            (ApprovalMode::Plan, None) if !self.session.is_empty() => {
                let text = "the agent has no mode that only reads: what it does without asking is not stopped";
                return out.push(PeerStep::notice(NoticeLevel::Warn, NoticeCode::Mode, text));
            }
            _ => self.usual_mode.clone(),
        };
        let is_other = |modes: &&AgentOption| modes.current != wanted && !wanted.is_empty();
        let Some(id) = self.options.of_kind(AgentOptionKind::Mode).filter(is_other).map(|modes| modes.id.clone())
        else {
            return;
        };
        self.options.note(&id, &wanted);
        self.send_option(id, wanted, out);
    }

    fn set_model(&mut self, model: &str, out: &mut Vec<PeerStep>) {
        // One that is not listed is the agent's to refuse.
        let wanted = |models: &AgentOption| models.find(model).map_or(model, |known| &known.value).to_owned();
        let models = self.options.of_kind(AgentOptionKind::Model);
        let Some((id, model)) = models.map(|models| (models.id.clone(), wanted(models))) else {
            let text = "this agent lists no models";
            return out.push(PeerStep::notice(NoticeLevel::Warn, NoticeCode::Model, text));
        };
        self.send_option(id, model, out);
    }

    fn set_option(&mut self, option: &str, value: &str, out: &mut Vec<PeerStep>) {
        let Some(known) = self.options.find(option) else {
            let text = format!("the agent has no setting {option}");
            return out.push(PeerStep::notice(NoticeLevel::Warn, NoticeCode::Mode, text));
        };
        let value = known.find(value).map_or(value, |known| &known.value).to_owned();
        if known.kind == AgentOptionKind::Mode {
            // The one to go back to from planning.
            self.usual_mode.clone_from(&value);
        }
        self.send_option(option.to_owned(), value, out);
    }
}

impl WorkProtocol for AcpPeer {
    fn place(&mut self, tool: &str, work: &ClientWork, out: &mut Vec<PeerStep>) -> (CallId, bool) {
        let mut events = Vec::new();
        let placed = self.decoder.place_work(tool, work, &mut events);
        out.extend(events.into_iter().map(PeerStep::Reply));
        placed
    }

    fn begin_terminal(&mut self, terminal: &str, call: &CallId) {
        self.decoder.begin_terminal(terminal, call);
    }

    fn push_terminal(&mut self, terminal: &str, piece: &str, out: &mut Vec<PeerStep>) {
        let mut events = Vec::new();
        self.decoder.push_terminal(terminal, piece, &mut events);
        out.extend(events.into_iter().map(PeerStep::Reply));
    }

    fn end_terminal(&mut self, terminal: &str, exit_code: Option<i32>) -> String {
        self.decoder.end_terminal(terminal, exit_code).to_owned()
    }

    fn finish(&mut self, call: &CallId, outcome: CallOutcome, output: &str, out: &mut Vec<PeerStep>) {
        let mut events = Vec::new();
        self.decoder.finish_work(call, outcome, output, &mut events);
        out.extend(events.into_iter().map(PeerStep::Reply));
    }

    fn answer_work(&mut self, request: QuestionNumber, result: Result<WorkResult, WorkError>, out: &mut Vec<PeerStep>) {
        let Some(id) = self.rpc.take_question(request.0) else { return };
        let answer = match result {
            Ok(result) => self.rpc.result(&id, &work_result(result)),
            Err(WorkError::Denied(why)) => self.rpc.error(&id, DENIED_CODE, &why),
            Err(WorkError::Failed(why)) => self.rpc.error(&id, INTERNAL_ERROR_CODE, &why),
        };
        out.push(PeerStep::Send(answer));
    }
}

fn work_result(result: WorkResult) -> Json {
    let status = |exit: &CommandExit| json!({"exitCode": exit.code, "signal": exit.signal});
    match result {
        WorkResult::Text(text) => json!({ "content": text }),
        WorkResult::Terminal(terminal) => json!({ "terminalId": terminal }),
        WorkResult::Output { text, is_cut, exit } => {
            json!({"output": text, "truncated": is_cut, "exitStatus": exit.as_ref().map(status)})
        }
        WorkResult::Exited(exit) => status(&exit),
        WorkResult::Done => json!({}),
    }
}
