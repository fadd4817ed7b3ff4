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

/// Upper limit of a merged delta, so that an event stays a short line of the log.
pub const MAX_MERGED_BYTES: usize = 4 * 1024;

/// Appends what follows to a delta; returns false, with nothing done, where that would make it too long.
pub fn try_append(text: &mut String, more: &str) -> bool {
    if text.len() + more.len() > MAX_MERGED_BYTES {
        return false;
    }
    text.push_str(more);
    true
}

impl ReplyEvent {
    /// Takes in the text that follows, if the next event is a delta of the same message; returns whether it did.
    pub fn try_merge(&mut self, next: &Self) -> bool {
        match (self, next) {
            (
                Self::TextDelta { message, text, kind },
                Self::TextDelta { message: same, text: more, kind: same_kind },
            ) if message == same && kind == same_kind => try_append(text, more),
            (Self::ReasoningDelta { message, text }, Self::ReasoningDelta { message: same, text: more })
                if message == same =>
            {
                try_append(text, more)
            }
            _ => false,
        }
    }

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
                    AnnotationTarget::Session => return None,
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
            | AgentEvent::BranchStarted { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::UserMessage { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::Compacted(_)
            | AgentEvent::CompactionUndone { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::MAX_MERGED_BYTES;

    #[test]
    fn a_delta_takes_in_the_next_of_its_message_as_long_as_it_stays_short() {
        let delta =
            |message: &str, text: &str| ReplyEvent::ReasoningDelta { message: message.into(), text: text.into() };
        let mut first = delta("m1", "one ");
        assert!(first.try_merge(&delta("m1", "two")));
        assert!(!first.try_merge(&delta("m2", "three")));
        assert!(!first.try_merge(&delta("m1", &"x".repeat(MAX_MERGED_BYTES))));
        assert_eq!(first, delta("m1", "one two"));
    }
}
