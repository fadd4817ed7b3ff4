//! PURE. Our side of the Agent Host Protocol: we open a session of a host or join one, watch its chat, dispatch prompts,
//! decisions and cancellations as actions, and see what came of them in the actions that the host sends to all.
//!
//! The host keeps the conversation, and others may be in it: their prompts are told, and their decisions count. What its
//! actions say is `dialect::ahp`'s to read.

mod opening;

use std::collections::HashMap;

use serde_json::json;

use self::opening::{failure_words, find};
use super::protocol::{PeerProtocol, PeerSession, PeerStep, QuestionNumber, end_reply};
use super::rpc::{RpcMessage, RpcRequests};
use crate::dialect::acp::{PermissionRequest, to_rpc_fault};
use crate::dialect::ahp::{APPROVE_ANSWER, AhpDecoder, DENY_ANSWER};
use crate::event::{
    AnswerKind, ApprovalMode, CallId, Fault, FaultKind, Json, NoticeCode, NoticeLevel, PromptImage, ReplyEvent,
    TurnOutcome,
};

/// The versions that are spoken here, the best first.
const PROTOCOL_VERSIONS: [&str; 3] = ["1.0.0", "0.10.0", "0.9.0"];
const ROOT_CHANNEL: &str = "ahp-root://";
/// By JSON-RPC, a method that is not there.
const METHOD_NOT_FOUND_CODE: i64 = -32601;
/// Questions that wait for an answer.
const MAX_OPEN_QUESTIONS: usize = 64;

/// What a request of ours is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AhpRequest {
    Initialize,
    Reconnect,
    ListSessions,
    CreateSession,
    Session,
    CreateChat,
    Chat,
}

/// A call that somebody decides about.
struct AhpQuestion {
    turn: String,
    call: CallId,
    /// The answers that approve, and whether each is one of the host's.
    approvals: Vec<String>,
    /// It is about the result.
    is_result: bool,
}

pub(super) struct AhpPeer {
    wanted: PeerSession,
    rpc: RpcRequests<AhpRequest>,
    decoder: AhpDecoder,
    /// Actions that were dispatched.
    client_seq: u64,
    /// The number of the newest action.
    server_seq: u64,
    provider: Option<String>,
    models: Vec<String>,
    /// Where the host would work.
    host_folder: Option<String>,
    session: String,
    chat: String,
    /// The turn that is told; empty between turns.
    turn: String,
    /// Turns that were begun here.
    turn_count: u64,
    turn_began_ms: u64,
    questions: HashMap<u64, AhpQuestion>,
    question_count: u64,
    model: Option<String>,
    /// Set until the chat is open.
    is_opening: bool,
    /// The connection is not the first.
    is_again: bool,
}

impl AhpPeer {
    pub(super) fn new(wanted: PeerSession) -> Self {
        Self {
            model: wanted.model.clone(),
            wanted,
            rpc: RpcRequests::new(true),
            decoder: AhpDecoder::default(),
            client_seq: 0,
            server_seq: 0,
            provider: None,
            models: Vec::new(),
            host_folder: None,
            session: String::new(),
            chat: String::new(),
            turn: String::new(),
            turn_count: 0,
            turn_began_ms: 0,
            questions: HashMap::new(),
            question_count: 0,
            is_opening: true,
            is_again: false,
        }
    }

    fn send(&mut self, kind: AhpRequest, method: &str, params: &Json, out: &mut Vec<PeerStep>) {
        out.push(PeerStep::Send(self.rpc.request(kind, method, params)));
    }

    fn subscribe(&mut self, kind: AhpRequest, channel: &str, out: &mut Vec<PeerStep>) {
        self.send(kind, "subscribe", &json!({ "channel": channel }), out);
    }

    /// Has the host do something to the chat.
    fn dispatch(&mut self, action: &Json, out: &mut Vec<PeerStep>) {
        self.client_seq += 1;
        let params = json!({"channel": self.chat, "clientSeq": self.client_seq, "action": action});
        out.push(PeerStep::Send(self.rpc.notification("dispatchAction", &params)));
    }

    fn fail(text: impl Into<String>, out: &mut Vec<PeerStep>) {
        out.push(PeerStep::Failed(Fault::new(FaultKind::BadRequest, text)));
    }

    fn handle_answer(&mut self, kind: AhpRequest, answer: Result<&Json, &Json>, out: &mut Vec<PeerStep>) {
        let snapshot = |result: &Json| result.pointer("/snapshot/state").cloned().unwrap_or_default();
        match (kind, answer) {
            (AhpRequest::Initialize, Ok(result)) => self.handle_initialized(result, out),
            (AhpRequest::Reconnect, Ok(result)) => self.handle_reconnected(result, out),
            // The host was started anew, and may have kept the session all the same.
            (AhpRequest::Reconnect, Err(_)) => self.begin(out),
            (AhpRequest::ListSessions, Ok(result)) => self.handle_sessions(result, out),
            (AhpRequest::CreateSession, Ok(_)) => {
                let session = self.session.clone();
                self.subscribe(AhpRequest::Session, &session, out);
            }
            (AhpRequest::Session, Ok(result)) => self.handle_session(&snapshot(result), out),
            (AhpRequest::CreateChat, Ok(_)) => {
                let chat = self.chat.clone();
                self.subscribe(AhpRequest::Chat, &chat, out);
            }
            (AhpRequest::Chat, Ok(result)) => {
                if let Some(seq) = result.pointer("/snapshot/fromSeq").and_then(Json::as_u64) {
                    self.server_seq = self.server_seq.max(seq);
                }
                self.handle_chat(&snapshot(result), out);
            }
            (_, Err(error)) => out.push(PeerStep::Failed(to_rpc_fault(error))),
        }
    }

    fn handle_session_action(&mut self, action: &Json, out: &mut Vec<PeerStep>) {
        match word(action, "/type") {
            "session/ready" if self.is_opening && self.chat.is_empty() => {
                let session = self.session.clone();
                self.subscribe(AhpRequest::Session, &session, out);
            }
            "session/creationFailed" => Self::fail(failure_words(action.get("error")), out),
            _ => {}
        }
    }

    fn handle_action(&mut self, envelope: &Json, out: &mut Vec<PeerStep>) {
        self.server_seq = envelope.get("serverSeq").and_then(Json::as_u64).unwrap_or(self.server_seq);
        let action = envelope.get("action").unwrap_or(&Json::Null);
        let channel = word(envelope, "/channel");
        if channel == self.session {
            return self.handle_session_action(action, out);
        }
        if channel != self.chat || self.is_opening {
            return;
        }
        let (kind, turn) = (word(action, "/type"), word(action, "/turnId"));
        if let Some(reason) = envelope.get("rejectionReason").and_then(Json::as_str) {
            if word(envelope, "/origin/clientId") == self.wanted.client_id {
                self.handle_rejection(kind, turn, reason, out);
            }
            return;
        }
        if kind == "chat/turnStarted" {
            return self.handle_turn_started(turn, action, out);
        }
        if !turn.is_empty() && turn != self.turn {
            return;
        }
        let call = word(action, "/toolCallId");
        if matches!(kind, "chat/toolCallConfirmed" | "chat/toolCallResultConfirmed" | "chat/toolCallComplete") {
            self.withdraw(call, out);
        }
        let mut events = Vec::new();
        let asked = self.decoder.handle_action(action, &mut events);
        out.extend(events.into_iter().map(PeerStep::Reply));
        if let Some(asked) = asked {
            self.ask(asked, kind == "chat/toolCallComplete", out);
        }
        match kind {
            // Nobody would answer it.
            "chat/inputRequested" if self.is_own_turn() => {
                let request = word(action, "/request/id");
                self.dispatch(&json!({"type": "chat/inputCompleted", "requestId": request, "response": "cancel"}), out);
            }
            "chat/turnComplete" | "chat/turnCancelled" | "chat/error" => {
                self.turn.clear();
                self.questions.clear();
                self.end_reply(TurnOutcome::Completed, out);
            }
            _ => {}
        }
    }

    fn is_own_turn(&self) -> bool {
        self.turn.starts_with(&self.wanted.client_id)
    }

    fn handle_turn_started(&mut self, turn: &str, action: &Json, out: &mut Vec<PeerStep>) {
        // Our own were told when they were sent.
        if turn.starts_with(&self.wanted.client_id) {
            return;
        }
        self.end_reply(TurnOutcome::Completed, out);
        turn.clone_into(&mut self.turn);
        out.push(PeerStep::PersonSaid(word(action, "/message/text").to_owned()));
    }

    fn handle_rejection(&mut self, kind: &str, turn: &str, reason: &str, out: &mut Vec<PeerStep>) {
        if kind == "chat/turnStarted" && turn == self.turn {
            self.decoder.fail(Some(&json!({"message": format!("the host refused the prompt: {reason}")})));
            self.turn.clear();
            return self.end_reply(TurnOutcome::Completed, out);
        }
        let text = format!("the host refused {kind}: {reason}");
        out.push(PeerStep::notice(NoticeLevel::Warn, NoticeCode::Refused, text));
    }

    fn ask(&mut self, asked: PermissionRequest, is_result: bool, out: &mut Vec<PeerStep>) {
        if self.questions.len() >= MAX_OPEN_QUESTIONS {
            return;
        }
        self.question_count += 1;
        let approves = |kind: AnswerKind| matches!(kind, AnswerKind::AllowOnce | AnswerKind::AllowAlways);
        let approvals = asked.request.answers.iter().filter(|answer| approves(answer.kind));
        let question = AhpQuestion {
            turn: self.turn.clone(),
            call: asked.call.clone(),
            approvals: approvals.map(|answer| answer.id.clone()).collect(),
            is_result,
        };
        self.questions.insert(self.question_count, question);
        out.push(PeerStep::Question { number: QuestionNumber(self.question_count), asked });
    }

    /// Lets go the question about a call, which was answered elsewhere, or here just now.
    fn withdraw(&mut self, call: &str, out: &mut Vec<PeerStep>) {
        let asked = self.questions.iter().find(|(_, question)| question.call.as_str() == call);
        if let Some(number) = asked.map(|(number, _)| *number) {
            self.questions.remove(&number);
            out.push(PeerStep::Withdrawn(QuestionNumber(number)));
        }
    }

    fn end_reply(&mut self, outcome: TurnOutcome, out: &mut Vec<PeerStep>) {
        end_reply(&mut std::mem::take(&mut self.decoder), outcome, out);
    }
}

impl PeerProtocol for AhpPeer {
    fn begin(&mut self, out: &mut Vec<PeerStep>) {
        let params = json!({
            "channel": ROOT_CHANNEL,
            "protocolVersions": PROTOCOL_VERSIONS,
            "clientId": self.wanted.client_id,
            "clientInfo": {"name": env!("CARGO_PKG_NAME"), "title": "jarvis-tui", "version": env!("CARGO_PKG_VERSION")},
            "initialSubscriptions": [ROOT_CHANNEL],
        });
        self.send(AhpRequest::Initialize, "initialize", &params, out);
    }

    fn begin_again(&mut self, out: &mut Vec<PeerStep>) -> bool {
        if self.chat.is_empty() {
            return false;
        }
        self.rpc = RpcRequests::new(true);
        (self.is_opening, self.is_again) = (true, true);
        self.wanted.session = Some(self.session.clone());
        let params = json!({
            "channel": ROOT_CHANNEL,
            "clientId": self.wanted.client_id,
            "lastSeenServerSeq": self.server_seq,
            "subscriptions": [ROOT_CHANNEL, self.session, self.chat],
        });
        self.send(AhpRequest::Reconnect, "reconnect", &params, out);
        true
    }

    fn tells_ends(&self) -> bool {
        true
    }

    fn parse_line(&mut self, line: &str, out: &mut Vec<ReplyEvent>) -> Option<Json> {
        self.decoder.parse_line(line, out)
    }

    fn handle_message(&mut self, message: &Json, out: &mut Vec<PeerStep>) {
        match self.rpc.classify(message) {
            RpcMessage::Request { id, method, .. } => {
                let text = format!("{method} is not offered here");
                out.push(PeerStep::Send(self.rpc.error(id, METHOD_NOT_FOUND_CODE, &text)));
            }
            RpcMessage::Notification { method: "action", params } => self.handle_action(params, out),
            RpcMessage::Answer { kind, answer } => self.handle_answer(kind, answer, out),
            RpcMessage::Notification { .. } | RpcMessage::Stray => {}
        }
    }

    fn send_prompt(&mut self, text: &str, _images: &[&PromptImage], out: &mut Vec<PeerStep>) {
        self.turn_count += 1;
        self.turn = format!("{}-{}", self.wanted.client_id, self.turn_count);
        self.turn_began_ms = self.wanted.clock.now_ms();
        let mut message = json!({"text": text, "origin": {"kind": "user"}});
        if let Some(model) = &self.model {
            message["model"] = json!({ "id": model });
        }
        let action = json!({
            "type": "chat/turnStarted",
            "turnId": self.turn,
            "startedAt": iso_time(self.turn_began_ms),
            "message": message,
        });
        self.dispatch(&action, out);
    }

    fn answer(&mut self, question: QuestionNumber, answer: Option<&str>, out: &mut Vec<PeerStep>) {
        let Some(AhpQuestion { turn, call, approvals, is_result }) = self.questions.remove(&question.0) else { return };
        let is_approved = answer.is_some_and(|answer| approvals.iter().any(|approval| approval == answer));
        let call = call.as_str();
        if is_result {
            let action = json!({
                "type": "chat/toolCallResultConfirmed", "turnId": turn, "toolCallId": call, "approved": is_approved,
            });
            return self.dispatch(&action, out);
        }
        let mut action = json!({
            "type": "chat/toolCallConfirmed", "turnId": turn, "toolCallId": call, "approved": is_approved,
        });
        if is_approved {
            action["confirmed"] = "user-action".into();
        } else {
            action["reason"] = if answer.is_some() { "denied" } else { "skipped" }.into();
        }
        if let Some(option) = answer.filter(|answer| ![APPROVE_ANSWER, DENY_ANSWER].contains(answer)) {
            action["selectedOptionId"] = option.into();
        }
        self.dispatch(&action, out);
    }

    /// The host tells everyone what was denied.
    fn note_denied(&mut self, _call: &CallId) {}

    fn cancel(&mut self, out: &mut Vec<PeerStep>) {
        if !self.turn.is_empty() {
            let duration = self.wanted.clock.now_ms().saturating_sub(self.turn_began_ms);
            self.dispatch(&json!({"type": "chat/turnCancelled", "turnId": self.turn, "duration": duration}), out);
        }
    }

    fn abandon(&mut self, outcome: TurnOutcome, out: &mut Vec<PeerStep>) {
        self.turn.clear();
        self.questions.clear();
        self.end_reply(outcome, out);
    }

    fn set_mode(&mut self, mode: ApprovalMode, out: &mut Vec<PeerStep>) {
        self.wanted.mode = mode;
        if mode == ApprovalMode::Plan {
            let text = "the host has no mode that only reads: what its agents do without asking is not stopped";
            out.push(PeerStep::notice(NoticeLevel::Warn, NoticeCode::Mode, text));
        }
    }

    fn set_model(&mut self, model: &str, out: &mut Vec<PeerStep>) {
        // One that is not listed is the host's to refuse.
        let model = find(&self.models, model).unwrap_or(model).to_owned();
        self.model = Some(model.clone());
        out.push(PeerStep::Model(model));
    }

    fn set_option(&mut self, option: &str, _value: &str, out: &mut Vec<PeerStep>) {
        let text = format!("the host has no setting {option}");
        out.push(PeerStep::notice(NoticeLevel::Warn, NoticeCode::Mode, text));
    }
}

fn iso_time(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}

/// Returns a string at a place, empty where there is none.
fn word<'a>(json: &'a Json, place: &str) -> &'a str {
    json.pointer(place).and_then(Json::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
