//! Events of a task, and the outcome that its states stand for.

use super::super::{error, surrogate};
use crate::event::{Annotation, FinishReason, MessageId, NoticeCode, NoticeLevel, ReplyEvent, ReplyTarget, TextKind};

pub(super) fn resolve_surrogates(text: &str, marked: bool) -> String {
    surrogate::resolve_marks(text.into(), marked).into_owned()
}

pub(super) fn text_delta(message: &MessageId, text: &str) -> ReplyEvent {
    ReplyEvent::TextDelta { message: message.clone(), text: text.to_owned(), kind: TextKind::Text }
}

pub(super) fn message_finished(message: MessageId, finish_reason: FinishReason, full: Option<String>) -> ReplyEvent {
    ReplyEvent::MessageFinished { message, finish_reason, full_text: full, provider_metadata: None }
}

pub(super) fn annotate(annotation: Annotation, out: &mut Vec<ReplyEvent>) {
    out.push(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation });
}

pub(super) fn failure_message(what: &str, words: &str) -> String {
    let words = error::to_single_line(words);
    if words.is_empty() { format!("{what} without giving a reason") } else { format!("{what}: {words}") }
}

pub(super) fn emit_waiting_notice(state: &str, words: &str, out: &mut Vec<ReplyEvent>) {
    let (code, what) = match state {
        "auth-required" => (NoticeCode::AuthRequired, "the agent needs authorization"),
        _ => (NoticeCode::InputRequired, "the agent needs your input"),
    };
    let words = error::to_single_line(words);
    let text = if words.is_empty() { what.to_owned() } else { format!("{what}: {words}") };
    out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code, text });
}
