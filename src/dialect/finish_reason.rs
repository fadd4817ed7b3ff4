//! Finish reasons, in the words of all servers.

use crate::event::{Fault, FaultKind, FinishReason, NoticeCode, NoticeLevel, ReplyEvent};

/// The message for an answer that a content filter removed.
pub(super) const CONTENT_FILTER_MESSAGE: &str =
    "the provider's content filter stopped this response; rephrase the prompt";

/// What a server's finish reason means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireFinishReason {
    /// Ended normally.
    End,
    ToolCalls,
    /// The output limit or the context window was reached.
    Length,
    /// Removed by a content filter.
    Filtered,
    /// The model refused.
    Refused,
    /// Somebody stopped it.
    Interrupted,
    /// The server or the model failed.
    Failed,
    /// Unknown: the answer ended, and a notice shows the word.
    Unknown,
}

impl WireFinishReason {
    /// Parses a finish, stop or done reason. Case and the kind of dash don't matter.
    pub(super) fn parse(word: &str) -> Self {
        let word = word.trim().to_ascii_lowercase().replace(['-', ' ', '.'], "_");
        match word.strip_prefix("finish_reason_").unwrap_or(&word) {
            "stop" | "end" | "end_turn" | "eos" | "eos_token" | "stop_sequence" | "stop_token" | "complete"
            | "completed" | "done" | "success" | "finish" | "finished" | "ok" | "normal" | "endoftext" | "null"
            | "none" | "unspecified" | "load" | "unload" => Self::End,
            "tool_calls" | "tool_call" | "function_call" | "function_calls" | "tool_use" | "tools" | "tool" => {
                Self::ToolCalls
            }
            "length"
            | "max_tokens"
            | "max_output_tokens"
            | "max_completion_tokens"
            | "max_new_tokens"
            | "max_length"
            | "max_tokens_reached"
            | "model_length"
            | "token_limit"
            | "output_limit"
            | "limit"
            | "error_limit"
            | "incomplete"
            | "context_length"
            | "context_length_exceeded"
            | "context_window"
            | "model_context_window_exceeded"
            | "truncated"
            | "max" => Self::Length,
            "content_filter"
            | "content_filtered"
            | "filtered"
            | "safety"
            | "recitation"
            | "blocklist"
            | "block"
            | "blocked"
            | "prohibited_content"
            | "spii"
            | "image_safety"
            | "image_prohibited_content"
            | "image_recitation"
            | "guardrail_intervened"
            | "guardrails"
            | "moderation"
            | "flagged"
            | "sensitive"
            | "error_toxic"
            | "policy"
            | "policy_violation"
            | "content_policy_violation"
            | "language" => Self::Filtered,
            "refusal" | "refused" | "model_refusal" => Self::Refused,
            "abort" | "aborted" | "cancel" | "cancelled" | "canceled" | "interrupted" | "user_cancel"
            | "user_cancelled" | "disconnect" | "disconnected" => Self::Interrupted,
            "error"
            | "failed"
            | "failure"
            | "network_error"
            | "server_error"
            | "internal_error"
            | "exception"
            | "insufficient_system_resource"
            | "malformed_function_call"
            | "malformed_response"
            | "unexpected_tool_call"
            | "too_many_tool_calls"
            | "missing_thought_signature"
            | "timeout"
            | "other_error" => Self::Failed,
            _ => Self::Unknown,
        }
    }

    pub(super) fn to_finish_reason(self) -> FinishReason {
        match self {
            Self::End | Self::Unknown => FinishReason::End,
            Self::ToolCalls => FinishReason::ToolCalls,
            Self::Length => FinishReason::Length,
            Self::Filtered | Self::Refused => FinishReason::Refused,
            Self::Interrupted => FinishReason::Interrupted,
            Self::Failed => FinishReason::Failed,
        }
    }
}

/// The finish reasons of a server so far.
#[derive(Debug, Default)]
pub(super) struct FinishTracker {
    reason: Option<WireFinishReason>,
    /// The word that means a failure.
    failure_word: Option<String>,
    filtered: bool,
    refused: bool,
}

impl FinishTracker {
    /// Records a finish reason. An unknown one does not replace a known one.
    pub(super) fn observe(&mut self, word: &str, out: &mut Vec<ReplyEvent>) {
        let reason = WireFinishReason::parse(word);
        if reason == WireFinishReason::Unknown && self.reason.is_none() {
            out.push(unknown_reason_notice(word));
        }
        self.filtered |= reason == WireFinishReason::Filtered;
        self.refused |= reason == WireFinishReason::Refused;
        if reason != WireFinishReason::Unknown || self.reason.is_none() {
            self.reason = Some(reason);
        }
        if reason == WireFinishReason::Failed {
            self.failure_word = Some(word.chars().take(60).collect());
        }
    }

    /// Returns the finish reason, as far as the server's words decide it.
    pub(super) fn finish_reason(&self) -> Option<FinishReason> {
        self.reason.map(WireFinishReason::to_finish_reason)
    }

    /// As [`Self::finish_reason`], where it is known whether there are calls, which some words leave open.
    pub(super) fn finish_reason_with(&self, has_calls: bool) -> FinishReason {
        match self.finish_reason() {
            Some(FinishReason::End) | None if has_calls => FinishReason::ToolCalls,
            Some(FinishReason::End) | None if self.refused => FinishReason::Refused,
            Some(FinishReason::ToolCalls) if !has_calls => FinishReason::End,
            finish_reason => finish_reason.unwrap_or(FinishReason::End),
        }
    }

    /// Records that the model refused in a field of its own.
    pub(super) fn mark_refused(&mut self) {
        self.refused = true;
    }

    /// Returns whether a content filter removed the answer.
    pub(super) fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// Returns the fault that the finish reason stands for.
    pub(super) fn fault(&self) -> Option<Fault> {
        let word = self.failure_word.as_deref()?;
        let word = if word == "error" { String::new() } else { format!(" ({word})") };
        let text = format!("the server aborted its response{word}; retry");
        Some(Fault::new(FaultKind::Upstream, text))
    }
}

/// Returns whether a message is shown even if it is empty, since its end was abnormal.
pub(super) fn is_worth_showing(finish_reason: FinishReason) -> bool {
    !matches!(finish_reason, FinishReason::End | FinishReason::Interrupted | FinishReason::Failed)
}

/// The notice for an answer that ended normally and is empty.
pub(super) fn empty_response_notice() -> ReplyEvent {
    let text = "the model returned an empty response".to_owned();
    ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::EmptyAnswer, text }
}

/// The notice for an unknown finish reason: the answer may be incomplete.
pub(super) fn unknown_reason_notice(word: &str) -> ReplyEvent {
    let word: String = word.chars().take(60).collect();
    let text = format!("the server ended the response for an unknown reason: {word}");
    ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::UnknownStop, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_known_in_the_words_of_every_vendor() {
        for (words, reason) in [
            (&["stop", "end_turn", "eos", "STOP", "Complete"][..], WireFinishReason::End),
            (&["tool_calls", "function_call", "tool_use"], WireFinishReason::ToolCalls),
            (
                &["length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "FINISH_REASON_MAX_TOKENS"],
                WireFinishReason::Length,
            ),
            (
                &["content_filter", "content-filter", "SAFETY", "PROHIBITED_CONTENT", "guardrail_intervened"],
                WireFinishReason::Filtered,
            ),
            (&["refusal"], WireFinishReason::Refused),
            (&["abort", "cancelled"], WireFinishReason::Interrupted),
            (&["error", "network_error", "MALFORMED_FUNCTION_CALL"], WireFinishReason::Failed),
            (&["of its own accord", ""], WireFinishReason::Unknown),
        ] {
            for word in words {
                assert_eq!(WireFinishReason::parse(word), reason, "{word}");
            }
        }
    }
}
