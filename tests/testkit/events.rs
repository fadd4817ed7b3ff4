//! Events with everything that a test doesn't care about filled in.

use jarvis_tui::event::{
    AgentEvent, ApprovalMode, ApprovalRequest, CallOutcome, CallOutput, Capabilities, DecidedBy, Decision, ExecutedBy,
    FinishReason, Risk, Role, TextKind, ToolKind, TurnOutcome,
};

/// What a session can do whose agent is at hand.
pub(crate) const LIVE: Capabilities =
    Capabilities { prompt: true, decide: true, cancel: true, seek: false, images: false, steer: false, branch: false };

/// The fields of [`AgentEvent::SessionOpened`], for `Opened { model: "m", ..Opened::default() }.event()`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened<'a> {
    pub(crate) wall_ms: u64,
    pub(crate) engine: &'a str,
    pub(crate) model: &'a str,
    pub(crate) engine_reason: &'a str,
    pub(crate) mode: ApprovalMode,
    pub(crate) folder: &'a str,
    pub(crate) capabilities: Capabilities,
    pub(crate) context_window: Option<u64>,
    pub(crate) price: Option<(f64, f64)>,
}

impl Default for Opened<'_> {
    fn default() -> Self {
        Self {
            wall_ms: 0,
            engine: "offline",
            model: "guide",
            engine_reason: "",
            mode: ApprovalMode::Ask,
            folder: "/",
            capabilities: Capabilities::default(),
            context_window: None,
            price: None,
        }
    }
}

impl Opened<'_> {
    pub(crate) fn event(self) -> AgentEvent {
        AgentEvent::SessionOpened {
            wall_ms: self.wall_ms,
            engine: self.engine.into(),
            model: self.model.into(),
            engine_reason: self.engine_reason.into(),
            mode: self.mode,
            folder: self.folder.into(),
            version: "0.1.0".into(),
            capabilities: self.capabilities,
            context_window: self.context_window,
            price: self.price,
        }
    }
}

pub(crate) fn opened() -> AgentEvent {
    Opened::default().event()
}

pub(crate) fn turn_started(turn: &str) -> AgentEvent {
    AgentEvent::TurnStarted { turn: turn.into(), parent: None }
}

pub(crate) fn turn_finished(turn: &str, outcome: TurnOutcome) -> AgentEvent {
    AgentEvent::TurnFinished { turn: turn.into(), outcome }
}

pub(crate) fn user_message(message: &str, text: &str) -> AgentEvent {
    AgentEvent::UserMessage { message: message.into(), text: text.into() }
}

pub(crate) fn message_started(message: &str) -> AgentEvent {
    AgentEvent::MessageStarted { message: message.into(), role: Role::Assistant, parent: None }
}

pub(crate) fn text_delta(message: &str, text: &str) -> AgentEvent {
    AgentEvent::TextDelta { message: message.into(), text: text.into(), kind: TextKind::Text }
}

pub(crate) fn message_finished(message: &str, finish_reason: FinishReason) -> AgentEvent {
    AgentEvent::MessageFinished { message: message.into(), finish_reason, full_text: None, provider_metadata: None }
}

/// A call that the client runs.
pub(crate) fn call_started(call: &str, message: &str, name: Option<&str>) -> AgentEvent {
    AgentEvent::ToolCallStarted {
        call: call.into(),
        message: message.into(),
        name: name.map(Into::into),
        parent: None,
        executed_by: ExecutedBy::Client,
    }
}

pub(crate) fn call_ready(call: &str, name: &str, args: &str) -> AgentEvent {
    AgentEvent::ToolCallReady { call: call.into(), name: name.into(), args: args.into(), provider_metadata: None }
}

pub(crate) fn call_finished(call: &str, outcome: CallOutcome, output: &str) -> AgentEvent {
    AgentEvent::ToolCallFinished { call: call.into(), outcome, output: CallOutput::from_text(output), duration: None }
}

/// A command of the shell that waits for a decision.
pub(crate) fn shell_approval(command: &str) -> ApprovalRequest {
    ApprovalRequest {
        tool: "shell".into(),
        kind: ToolKind::Execute,
        risk: Risk::Execute,
        subject: command.into(),
        folder: "/".into(),
        detail: String::new(),
        pattern: None,
        expires_at: None,
        answers: Vec::new(),
        hunks: 0,
        sandbox: None,
    }
}

/// A turn with a command that somebody at a remote decides about, and a word after it.
pub(crate) fn decided_turn(decision: Decision, outcome: CallOutcome, output: &str) -> Vec<AgentEvent> {
    vec![
        turn_started("t1"),
        message_started("m2"),
        text_delta("m2", "I run it."),
        call_started("c1", "m2", Some("shell")),
        call_ready("c1", "shell", r#"{"command":"ls"}"#),
        message_finished("m2", FinishReason::ToolCalls),
        AgentEvent::ApprovalRequested { call: "c1".into(), request: shell_approval("ls") },
        AgentEvent::ApprovalResolved { call: "c1".into(), decision, by: DecidedBy::Remote },
        call_finished("c1", outcome, output),
        message_started("m3"),
        text_delta("m3", "Well."),
        message_finished("m3", FinishReason::End),
        turn_finished("t1", TurnOutcome::Completed),
    ]
}

/// A turn that ends with a call of `sum`, a tool of the client's.
pub(crate) fn client_call_turn() -> Vec<AgentEvent> {
    vec![
        turn_started("t1"),
        message_started("m2"),
        call_started("c1", "m2", Some("sum")),
        call_ready("c1", "sum", "{}"),
        message_finished("m2", FinishReason::ToolCalls),
        call_finished("c1", CallOutcome::Requested, ""),
        turn_finished("t1", TurnOutcome::Completed),
    ]
}
