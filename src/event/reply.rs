//! What the reply to one request says: the vocabulary of decoders and of scripts.
//!
//! A reply knows nothing of sessions and turns. Its ids of messages and calls are its own, those of the stream where
//! it has any; `agent::assembler` makes both unique in the session, and events of a turn out of it.

use serde::{Deserialize, Serialize};

use super::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, CallOutput, ExecutedBy, FinishReason, Json,
    MessageId, Millis, NoticeCode, NoticeLevel, OutputStream, Role, TextKind, TurnOutcome, Usage, UsageScope,
};

/// An event of a reply; the last one is [`ReplyEvent::End`]. The fields are those of [`AgentEvent`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ReplyEvent {
    MessageStarted {
        message: MessageId,
        role: Role,
        parent: Option<CallId>,
    },
    TextDelta {
        message: MessageId,
        text: String,
        kind: TextKind,
    },
    ReasoningDelta {
        message: MessageId,
        text: String,
    },
    MessageFinished {
        message: MessageId,
        finish_reason: FinishReason,
        full_text: Option<String>,
        provider_metadata: Option<Json>,
    },
    ToolCallStarted {
        call: CallId,
        message: MessageId,
        name: Option<String>,
        parent: Option<CallId>,
        executed_by: ExecutedBy,
    },
    ToolArgsDelta {
        call: CallId,
        json: String,
    },
    ToolCallReady {
        call: CallId,
        name: String,
        args: String,
        provider_metadata: Option<Json>,
    },
    ToolOutput {
        call: CallId,
        stream: OutputStream,
        text: String,
    },
    ToolCallFinished {
        call: CallId,
        outcome: CallOutcome,
        output: CallOutput,
        duration: Option<Millis>,
    },
    Annotation {
        on: ReplyTarget,
        annotation: Annotation,
    },
    UsageReported {
        scope: UsageScope,
        usage: Usage,
    },
    Notice {
        level: NoticeLevel,
        code: NoticeCode,
        text: String,
    },
    /// The reply is over. What it left open is closed by who assembles it.
    End {
        outcome: TurnOutcome,
    },
    /// An event of a newer format, from another session.
    Unknown(Json),
}

/// What an annotation of a reply refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplyTarget {
    Reply,
    Message(MessageId),
    Call(CallId),
}

impl ReplyEvent {
    /// Returns what an event of a session says of a reply; none for those that only a session has. The end of a turn is
    /// the end of the reply.
    pub fn from_session(event: AgentEvent) -> Option<Self> {
        Some(match event {
            AgentEvent::MessageStarted { message, role, parent } => Self::MessageStarted { message, role, parent },
            AgentEvent::TextDelta { message, text, kind } => Self::TextDelta { message, text, kind },
            AgentEvent::ReasoningDelta { message, text } => Self::ReasoningDelta { message, text },
            AgentEvent::MessageFinished { message, finish_reason, full_text, provider_metadata } => {
                Self::MessageFinished { message, finish_reason, full_text, provider_metadata }
            }
            AgentEvent::ToolCallStarted { call, message, name, parent, executed_by } => {
                Self::ToolCallStarted { call, message, name, parent, executed_by }
            }
            AgentEvent::ToolArgsDelta { call, json } => Self::ToolArgsDelta { call, json },
            AgentEvent::ToolCallReady { call, name, args, provider_metadata } => {
                Self::ToolCallReady { call, name, args, provider_metadata }
            }
            AgentEvent::ToolOutput { call, stream, text } => Self::ToolOutput { call, stream, text },
            AgentEvent::ToolCallFinished { call, outcome, output, duration } => {
                Self::ToolCallFinished { call, outcome, output, duration }
            }
            AgentEvent::Annotation { on, annotation } => {
                let on = match on {
                    AnnotationTarget::Turn(_) => ReplyTarget::Reply,
                    AnnotationTarget::Message(message) => ReplyTarget::Message(message),
                    AnnotationTarget::Call(call) => ReplyTarget::Call(call),
                };
                Self::Annotation { on, annotation }
            }
            AgentEvent::UsageReported { scope, usage } => Self::UsageReported { scope, usage },
            AgentEvent::Notice { level, code, text } => Self::Notice { level, code, text },
            AgentEvent::TurnFinished { turn: _, outcome } => Self::End { outcome },
            AgentEvent::Unknown(json) => Self::Unknown(json),
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. } => return None,
        })
    }
}
