//! PURE. Our side of `codex app-server`: a thread is started or resumed, a prompt starts a turn, and approvals are the
//! requests that it sends us.
//!
//! What its notifications say is `dialect::codex_app`'s to read.

use serde_json::json;

use super::codex_models::{CodexModels, EFFORT_OPTION, MODEL_OPTION};
use super::protocol::{LAST_SESSION, PeerSession};
use super::protocol::{PeerProtocol, PeerStep, QuestionNumber, end_reply};
use super::rpc::{RpcMessage, RpcRequests};
use crate::dialect::acp::to_rpc_fault;
use crate::dialect::codex_app::CodexAppDecoder;
use crate::event::{
    ApprovalMode, CallId, Fault, FaultKind, Json, NoticeCode, NoticeLevel, PromptImage, ReplyEvent, TurnOutcome,
};

/// By JSON-RPC, a method that is not there.
const METHOD_NOT_FOUND_CODE: i64 = -32601;

/// What a request of ours is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodexRequest {
    Initialize,
    ListThreads,
    OpenThread,
    ListModels,
    StartTurn,
    SteerTurn,
    Interrupt,
}

pub(super) struct CodexPeer {
    wanted: PeerSession,
    rpc: RpcRequests<CodexRequest>,
    decoder: CodexAppDecoder,
    thread: String,
    /// The turn that answers the prompt; empty between turns.
    turn: String,
    /// The turn that was left to itself.
    abandoned_turn: String,
    /// The turn is to be stopped as soon as it has a name.
    wants_interrupt: bool,
    /// The sandbox that the thread had at first.
    usual_sandbox: Json,
    /// The sandbox was narrowed for planning.
    is_narrowed: bool,
    /// A model that the next turn begins to use, and an effort.
    next_model: Option<String>,
    next_effort: Option<String>,
    models: CodexModels,
    /// The connection is not the first.
    is_again: bool,
}

impl CodexPeer {
    pub(super) fn new(wanted: PeerSession) -> Self {
        Self {
            next_model: wanted.model.clone(),
            wanted,
            rpc: RpcRequests::new(false),
            decoder: CodexAppDecoder::default(),
            thread: String::new(),
            turn: String::new(),
            abandoned_turn: String::new(),
            wants_interrupt: false,
            usual_sandbox: Json::Null,
            is_narrowed: false,
            next_effort: None,
            models: CodexModels::default(),
            is_again: false,
        }
    }

    fn send(&mut self, kind: CodexRequest, method: &str, params: &Json, out: &mut Vec<PeerStep>) {
        out.push(PeerStep::Send(self.rpc.request(kind, method, params)));
    }

    fn handle_request(&mut self, id: &Json, method: &str, params: &Json, out: &mut Vec<PeerStep>) {
        let mut events = Vec::new();
        let asked = self.decoder.handle_approval(method, params, &mut events);
        out.extend(events.into_iter().map(PeerStep::Reply));
        if let Some((number, asked)) =
            asked.and_then(|asked| Some((QuestionNumber(self.rpc.keep_question(id)?), asked)))
        {
            return out.push(PeerStep::Question { number, asked });
        }
        let text = format!("{method} is not offered here");
        out.push(PeerStep::Send(self.rpc.error(id, METHOD_NOT_FOUND_CODE, &text)));
    }

    /// Returns whether a notification is about our thread, and no turn that was left.
    fn is_ours(&self, params: &Json) -> bool {
        let word = |key: &str| params.get(key).and_then(Json::as_str).unwrap_or_default();
        let turn = [word("turnId"), params.pointer("/turn/id").and_then(Json::as_str).unwrap_or_default()].concat();
        let is_of_thread = word("threadId").is_empty() || word("threadId") == self.thread;
        is_of_thread && (turn.is_empty() || turn != self.abandoned_turn)
    }

    fn handle_notification(&mut self, method: &str, params: &Json, out: &mut Vec<PeerStep>) {
        if method == "serverRequest/resolved" {
            let question = params.get("requestId").and_then(|id| self.rpc.find_question(id));
            if let Some(number) = question {
                // It wants no answer any more.
                self.rpc.take_question(number);
                out.push(PeerStep::Withdrawn(QuestionNumber(number)));
            }
            return;
        }
        if !self.is_ours(params) {
            return;
        }
        let mut events = Vec::new();
        self.decoder.handle_notification(method, params, &mut events);
        out.extend(events.into_iter().map(PeerStep::Reply));
        if method == "turn/completed" {
            self.end_reply(TurnOutcome::Completed, out);
        }
    }

    fn end_reply(&mut self, outcome: TurnOutcome, out: &mut Vec<PeerStep>) {
        self.turn.clear();
        self.wants_interrupt = false;
        let next = self.decoder.next_turn();
        end_reply(&mut std::mem::replace(&mut self.decoder, next), outcome, out);
    }

    fn handle_answer(&mut self, kind: CodexRequest, answer: Result<&Json, &Json>, out: &mut Vec<PeerStep>) {
        match (kind, answer) {
            (CodexRequest::Initialize, Ok(result)) => self.handle_initialized(result, out),
            (CodexRequest::ListThreads, Ok(result)) => {
                if let Some(thread) = result.pointer("/data/0/id").and_then(Json::as_str) {
                    return self.resume_thread(thread, out);
                }
                let text = "Codex keeps no session of this folder";
                out.push(PeerStep::Failed(Fault::new(FaultKind::BadRequest, text)));
            }
            (CodexRequest::OpenThread, Ok(result)) => self.handle_opened(result, out),
            (CodexRequest::OpenThread, Err(_)) if self.wanted.starts_afresh && self.wanted.session.is_some() => {
                self.wanted.session = None;
                self.start_thread(out);
            }
            (CodexRequest::Initialize | CodexRequest::ListThreads | CodexRequest::OpenThread, Err(error)) => {
                out.push(PeerStep::Failed(to_rpc_fault(error)));
            }
            (CodexRequest::StartTurn, Ok(result)) => {
                let turn = result.pointer("/turn/id").and_then(Json::as_str).unwrap_or_default();
                turn.clone_into(&mut self.turn);
                if std::mem::take(&mut self.wants_interrupt) {
                    self.cancel(out);
                }
            }
            (CodexRequest::StartTurn, Err(error)) => {
                self.decoder.fail(error);
                self.end_reply(TurnOutcome::Completed, out);
            }
            (CodexRequest::SteerTurn, answer) => out.push(PeerStep::Steered { is_taken: answer.is_ok() }),
            (CodexRequest::ListModels, Ok(result)) => {
                self.models.read(result);
                out.push(PeerStep::Options(self.models.options()));
            }
            // It does without a list.
            (CodexRequest::ListModels, Err(_)) | (CodexRequest::Interrupt, _) => {}
        }
    }

    fn handle_initialized(&mut self, result: &Json, out: &mut Vec<PeerStep>) {
        out.push(PeerStep::Send(self.rpc.notification("initialized", &Json::Null)));
        let agent = result.get("userAgent").and_then(Json::as_str).unwrap_or_default();
        let version = agent.split(['/', ' ']).nth(1).unwrap_or_default();
        if !self.is_again {
            let whose = if self.wanted.is_remote { "where it runs" } else { "with your rights" };
            let text = format!("Codex {version} speaks its app-server protocol; it acts itself, {whose}");
            out.push(PeerStep::notice(NoticeLevel::Info, NoticeCode::Found, text));
        }
        self.send(CodexRequest::ListModels, "model/list", &json!({}), out);
        match self.wanted.session.clone() {
            None => self.start_thread(out),
            Some(session) if session == LAST_SESSION => {
                let params = json!({"cwd": self.wanted.folder, "limit": 1});
                self.send(CodexRequest::ListThreads, "thread/list", &params, out);
            }
            Some(session) => self.resume_thread(&session, out),
        }
    }

    fn start_thread(&mut self, out: &mut Vec<PeerStep>) {
        if self.is_again {
            out.push(PeerStep::Afresh);
        }
        let params = json!({"cwd": self.wanted.folder, "model": self.wanted.model});
        self.send(CodexRequest::OpenThread, "thread/start", &params, out);
    }

    fn resume_thread(&mut self, thread: &str, out: &mut Vec<PeerStep>) {
        let params = json!({"threadId": thread, "cwd": self.wanted.folder, "model": self.wanted.model});
        self.send(CodexRequest::OpenThread, "thread/resume", &params, out);
    }

    fn handle_opened(&mut self, result: &Json, out: &mut Vec<PeerStep>) {
        let thread = result.pointer("/thread/id").and_then(Json::as_str).unwrap_or_default();
        if thread.is_empty() {
            let text = "Codex opened a thread without an id";
            return out.push(PeerStep::Failed(Fault::new(FaultKind::Protocol, text)));
        }
        thread.clone_into(&mut self.thread);
        self.usual_sandbox = result.get("sandbox").cloned().unwrap_or_default();
        let turns = result.pointer("/thread/turns").and_then(Json::as_array).into_iter().flatten();
        for item in turns.filter_map(|turn| turn.get("items")?.as_array()).flatten() {
            self.tell_past_item(item, out);
        }
        let word = |key: &str| result.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
        self.models.model = word("model");
        self.models.effort = word("reasoningEffort");
        out.push(PeerStep::Options(self.models.options()));
        out.push(PeerStep::Opened { model: self.models.model.clone() });
    }

    fn tell_past_item(&mut self, item: &Json, out: &mut Vec<PeerStep>) {
        if item.get("type").and_then(Json::as_str) == Some("userMessage") {
            let parts = item.get("content").and_then(Json::as_array).into_iter().flatten();
            let text: Vec<&str> = parts.filter_map(|part| part.get("text")?.as_str()).collect();
            self.end_reply(TurnOutcome::Completed, out);
            return out.push(PeerStep::PersonSaid(text.join("\n")));
        }
        let mut events = Vec::new();
        self.decoder.handle_past_item(item, &mut events);
        out.extend(events.into_iter().map(PeerStep::Reply));
    }
}

/// Returns what a person says, as the server's `UserInput`.
fn user_input(text: &str, images: &[&PromptImage]) -> Json {
    let image = |image: &&PromptImage| json!({"type": "image", "url": image.data_url()});
    [json!({"type": "text", "text": text})].into_iter().chain(images.iter().map(image)).collect()
}

impl PeerProtocol for CodexPeer {
    fn begin(&mut self, out: &mut Vec<PeerStep>) {
        let client =
            json!({"name": env!("CARGO_PKG_NAME"), "title": "jarvis-tui", "version": env!("CARGO_PKG_VERSION")});
        self.send(CodexRequest::Initialize, "initialize", &json!({"clientInfo": client}), out);
    }

    fn begin_again(&mut self, out: &mut Vec<PeerStep>) -> bool {
        let starts_afresh = self.wanted.starts_afresh;
        let kept = Some(self.thread.clone()).filter(|thread| !thread.is_empty());
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
        Some(self.thread.as_str()).filter(|thread| !thread.is_empty())
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
        true
    }

    fn can_steer(&self) -> bool {
        true
    }

    fn steer(&mut self, text: &str, images: &[&PromptImage], out: &mut Vec<PeerStep>) -> bool {
        if self.turn.is_empty() {
            return false;
        }
        let input = user_input(text, images);
        let params = json!({"threadId": self.thread, "expectedTurnId": self.turn, "input": input});
        self.send(CodexRequest::SteerTurn, "turn/steer", &params, out);
        true
    }

    fn send_prompt(&mut self, text: &str, images: &[&PromptImage], out: &mut Vec<PeerStep>) {
        let mut params = json!({"threadId": self.thread, "input": user_input(text, images)});
        if let Some(model) = self.next_model.take() {
            params["model"] = model.into();
        }
        if let Some(effort) = self.next_effort.take() {
            params["effort"] = effort.into();
        }
        // What is set for a turn stays for those after it.
        let plans = self.wanted.mode == ApprovalMode::Plan;
        if plans && !self.is_narrowed {
            params["sandboxPolicy"] = json!({"type": "readOnly"});
        } else if !plans && self.is_narrowed && !self.usual_sandbox.is_null() {
            params["sandboxPolicy"] = self.usual_sandbox.clone();
        }
        self.is_narrowed = plans;
        self.send(CodexRequest::StartTurn, "turn/start", &params, out);
    }

    fn answer(&mut self, question: QuestionNumber, answer: Option<&str>, out: &mut Vec<PeerStep>) {
        let Some(id) = self.rpc.take_question(question.0) else { return };
        let answer = answer.unwrap_or("decline");
        let object = answer.starts_with('{').then(|| serde_json::from_str::<Json>(answer).ok()).flatten();
        let decision = object.unwrap_or_else(|| answer.into());
        out.push(PeerStep::Send(self.rpc.result(&id, &json!({"decision": decision}))));
    }

    /// It says itself what was declined.
    fn note_denied(&mut self, _call: &CallId) {}

    fn cancel(&mut self, out: &mut Vec<PeerStep>) {
        if self.turn.is_empty() {
            self.wants_interrupt = self.rpc.is_waiting(|kind| *kind == CodexRequest::StartTurn);
            return;
        }
        let params = json!({"threadId": self.thread, "turnId": self.turn});
        self.send(CodexRequest::Interrupt, "turn/interrupt", &params, out);
    }

    fn abandon(&mut self, outcome: TurnOutcome, out: &mut Vec<PeerStep>) {
        self.rpc.forget(|kind| *kind == CodexRequest::StartTurn);
        if !self.turn.is_empty() {
            self.abandoned_turn = std::mem::take(&mut self.turn);
        }
        self.end_reply(outcome, out);
    }

    fn set_mode(&mut self, mode: ApprovalMode, _out: &mut Vec<PeerStep>) {
        self.wanted.mode = mode;
    }

    fn set_model(&mut self, model: &str, out: &mut Vec<PeerStep>) {
        let model = self.models.listed().find(model).map_or(model, |known| &known.value).to_owned();
        self.next_model = Some(model.clone());
        self.models.choose(&model);
        out.push(PeerStep::Options(self.models.options()));
        out.push(PeerStep::Model(model));
    }

    fn set_option(&mut self, option: &str, value: &str, out: &mut Vec<PeerStep>) {
        match option {
            MODEL_OPTION => self.set_model(value, out),
            EFFORT_OPTION => {
                self.next_effort = Some(value.to_owned());
                value.clone_into(&mut self.models.effort);
                out.push(PeerStep::Options(self.models.options()));
            }
            other => {
                let text = format!("Codex has no setting {other}");
                out.push(PeerStep::notice(NoticeLevel::Warn, NoticeCode::Mode, text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ReplyEvent;

    fn open(mode: ApprovalMode) -> CodexPeer {
        let mut peer = CodexPeer::new(PeerSession { folder: "/p".into(), mode, ..PeerSession::default() });
        let mut out = Vec::new();
        peer.begin(&mut out);
        peer.handle_line(r#"{"id":0,"result":{"userAgent":"jarvis-tui/0.171.0 (x)"}}"#, &mut out);
        peer.handle_line(
            r#"{"id":2,"result":{"thread":{"id":"t"},"model":"m","sandbox":{"type":"workspaceWrite"}}}"#,
            &mut out,
        );
        let sent: Vec<_> = sent(&out).into_iter().map(|message| message["method"].clone()).collect();
        assert_eq!(sent, ["initialize", "initialized", "model/list", "thread/start"]);
        assert_eq!(out.last(), Some(&PeerStep::Opened { model: "m".into() }));
        peer
    }

    fn sent(out: &[PeerStep]) -> Vec<&Json> {
        let sent = out.iter().filter_map(|step| match step {
            PeerStep::Send(message) => Some(message),
            _ => None,
        });
        sent.collect()
    }

    fn prompt(peer: &mut CodexPeer) -> Json {
        let mut out = Vec::new();
        peer.send_prompt("hi", &[], &mut out);
        sent(&out)[0]["params"].clone()
    }

    #[test]
    fn planning_narrows_the_sandbox_and_its_end_restores_it() {
        let mut peer = open(ApprovalMode::Plan);
        assert_eq!(prompt(&mut peer)["sandboxPolicy"], json!({"type": "readOnly"}));
        assert_eq!(prompt(&mut peer).get("sandboxPolicy"), None);
        peer.set_mode(ApprovalMode::Ask, &mut Vec::new());
        assert_eq!(prompt(&mut peer)["sandboxPolicy"], json!({"type": "workspaceWrite"}));
    }

    #[test]
    fn a_model_and_an_effort_are_chosen_for_the_next_turn() {
        let (mut peer, mut out) = (open(ApprovalMode::Ask), Vec::new());
        peer.handle_line(
            r#"{"id":1,"result":{"data":[{"id":"m2","model":"m2","supportedReasoningEfforts":[{"reasoningEffort":"high"}]}]}}"#,
            &mut out,
        );
        peer.set_option("model", "m2", &mut out);
        peer.set_option("effort", "high", &mut out);
        assert!(out.contains(&PeerStep::Model("m2".into())));
        let params = prompt(&mut peer);
        assert_eq!((&params["model"], &params["effort"]), (&json!("m2"), &json!("high")));
        assert_eq!(prompt(&mut peer).get("effort"), None, "it stays for the turns after");
        let Some(PeerStep::Options(options)) = out.last() else { panic!("{out:?}") };
        assert_eq!((options[0].current.as_str(), options[1].current.as_str()), ("m2", "high"));
    }

    #[test]
    fn an_image_is_an_input_beside_the_text() {
        let image = PromptImage::new(crate::testkit::images::PNG_2X3).unwrap();
        let (mut peer, mut out) = (open(ApprovalMode::Ask), Vec::new());
        peer.send_prompt("see", &[&image], &mut out);
        let image = json!({"type": "image", "url": image.data_url()});
        assert_eq!(sent(&out)[0]["params"]["input"], json!([{"type": "text", "text": "see"}, image]));
    }

    #[test]
    fn a_steer_names_the_turn_that_it_is_for_and_says_whether_it_was_taken() {
        let (mut peer, mut out) = (open(ApprovalMode::Ask), Vec::new());
        peer.send_prompt("hi", &[], &mut out);
        assert!(!peer.steer("too soon", &[], &mut out), "the turn has no name so far");
        peer.handle_line(r#"{"id":3,"result":{"turn":{"id":"u"}}}"#, &mut out);
        out.clear();
        assert!(peer.steer("left", &[], &mut out));
        let input = json!([{"type": "text", "text": "left"}]);
        assert_eq!(sent(&out)[0]["method"], "turn/steer");
        assert_eq!(sent(&out)[0]["params"], json!({"threadId": "t", "expectedTurnId": "u", "input": input}));
        peer.handle_line(r#"{"id":4,"result":{"turnId":"u"}}"#, &mut out);
        assert_eq!(out.last(), Some(&PeerStep::Steered { is_taken: true }));
        assert!(peer.steer("right", &[], &mut out));
        peer.handle_line(r#"{"id":5,"error":{"code":-32600,"message":"no active turn to steer"}}"#, &mut out);
        assert_eq!(out.last(), Some(&PeerStep::Steered { is_taken: false }));
    }

    #[test]
    fn an_interrupt_waits_for_the_name_of_the_turn() {
        let (mut peer, mut out) = (open(ApprovalMode::Ask), Vec::new());
        peer.send_prompt("hi", &[], &mut out);
        peer.cancel(&mut out);
        assert_eq!(sent(&out).len(), 1);
        peer.handle_line(r#"{"id":3,"result":{"turn":{"id":"u"}}}"#, &mut out);
        assert_eq!(sent(&out)[1]["params"], json!({"threadId": "t", "turnId": "u"}));
        peer.handle_line(
            r#"{"method":"turn/completed","params":{"threadId":"t","turn":{"id":"u","status":"interrupted"}}}"#,
            &mut out,
        );
        assert_eq!(out.last(), Some(&PeerStep::Reply(ReplyEvent::End { outcome: TurnOutcome::Cancelled })));
    }

    #[test]
    fn an_answer_is_a_word_or_an_object_and_goes_once() {
        let (mut peer, mut out) = (open(ApprovalMode::Ask), Vec::new());
        let line = r#"{"method":"item/commandExecution/requestApproval","id":0,"params":{"threadId":"t","itemId":"c","command":"ls"}}"#;
        peer.handle_line(line, &mut out);
        let number = out.iter().find_map(|step| match step {
            PeerStep::Question { number, .. } => Some(*number),
            _ => None,
        });
        out.clear();
        peer.answer(number.unwrap(), Some(r#"{"a":1}"#), &mut out);
        peer.answer(number.unwrap(), Some("accept"), &mut out);
        assert_eq!(sent(&out), [&json!({"id": 0, "result": {"decision": {"a": 1}}})]);
        out.clear();
        peer.handle_line(r#"{"method":"item/tool/requestUserInput","id":"x","params":{"threadId":"t"}}"#, &mut out);
        assert_eq!(sent(&out)[0]["error"]["code"], METHOD_NOT_FOUND_CODE);
    }

    #[test]
    fn what_a_turn_says_after_it_was_left_is_not_told() {
        let (mut peer, mut out) = (open(ApprovalMode::Ask), Vec::new());
        peer.send_prompt("hi", &[], &mut out);
        peer.handle_line(r#"{"id":3,"result":{"turn":{"id":"u"}}}"#, &mut out);
        peer.abandon(TurnOutcome::Cancelled, &mut out);
        out.clear();
        let late =
            r#"{"method":"item/agentMessage/delta","params":{"threadId":"t","turnId":"u","itemId":"m","delta":"x"}}"#;
        peer.handle_line(late, &mut out);
        assert_eq!(out, []);
    }
}
