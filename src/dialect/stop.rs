//! Why an answer ended, in the words of all servers.

use crate::event::{AgentEvent, Level, Stop};

/// What is told of an answer that a filter took away.
pub(super) const FILTERED: &str = "the provider's content filter stopped this answer; try to say it in another way";

/// What a word for the end of an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// As it should.
    End,
    ToolCalls,
    /// The output limit, or the window.
    Length,
    /// A filter took it away.
    Filtered,
    /// The model declined.
    Refused,
    /// Somebody stopped it.
    Interrupted,
    /// The server or the model broke down.
    Failed,
    /// A word that is not known: the answer ended, and the person is told the word.
    Unknown,
}

impl Reason {
    /// Reads a finish, stop or done reason. Case and the kind of dash do not count.
    pub(super) fn of(word: &str) -> Self {
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

    pub(super) fn stop(self) -> Stop {
        match self {
            Self::End | Self::Unknown => Stop::End,
            Self::ToolCalls => Stop::ToolCalls,
            Self::Length => Stop::Length,
            Self::Filtered | Self::Refused => Stop::Refused,
            Self::Interrupted => Stop::Interrupted,
            Self::Failed => Stop::Failed,
        }
    }
}

/// Tells the person of a word that is not known: the answer may not be what it seems.
pub(super) fn unknown(word: &str) -> AgentEvent {
    let word: String = word.chars().take(60).collect();
    let text = format!("the server ended the answer for a reason that this program does not know: {word}");
    AgentEvent::Noticed { level: Level::Warn, code: "unknown_stop".into(), text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_known_in_the_words_of_every_vendor() {
        for (words, reason) in [
            (&["stop", "end_turn", "eos", "STOP", "Complete"][..], Reason::End),
            (&["tool_calls", "function_call", "tool_use"], Reason::ToolCalls),
            (&["length", "max_tokens", "MAX_TOKENS", "max_output_tokens", "FINISH_REASON_MAX_TOKENS"], Reason::Length),
            (
                &["content_filter", "content-filter", "SAFETY", "PROHIBITED_CONTENT", "guardrail_intervened"],
                Reason::Filtered,
            ),
            (&["refusal"], Reason::Refused),
            (&["abort", "cancelled"], Reason::Interrupted),
            (&["error", "network_error", "MALFORMED_FUNCTION_CALL"], Reason::Failed),
            (&["of its own accord", ""], Reason::Unknown),
        ] {
            for word in words {
                assert_eq!(Reason::of(word), reason, "{word}");
            }
        }
    }
}
