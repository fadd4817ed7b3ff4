//! Why an answer ended, in the words of all servers.

use crate::event::{AgentEvent, Fault, FaultKind, Level, Stop};

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

/// What the words of a server came to, so far.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    reason: Option<Reason>,
    /// The word that means a failure.
    broke: Option<String>,
    filtered: bool,
    refused: bool,
}

impl Verdict {
    /// Takes a word. One that is not known hides nothing that is.
    pub(super) fn take(&mut self, word: &str, out: &mut Vec<AgentEvent>) {
        let reason = Reason::of(word);
        if reason == Reason::Unknown && self.reason.is_none() {
            out.push(unknown(word));
        }
        self.filtered |= reason == Reason::Filtered;
        self.refused |= reason == Reason::Refused;
        if reason != Reason::Unknown || self.reason.is_none() {
            self.reason = Some(reason);
        }
        if reason == Reason::Failed {
            self.broke = Some(word.chars().take(60).collect());
        }
    }

    /// Returns how the message stops, as far as words decide that.
    pub(super) fn stop(&self) -> Option<Stop> {
        self.reason.map(Reason::stop)
    }

    /// The same, where it is known whether there are calls, which not all words tell.
    pub(super) fn stop_with(&self, has_calls: bool) -> Stop {
        match self.stop() {
            Some(Stop::End) | None if has_calls => Stop::ToolCalls,
            Some(Stop::End) | None if self.refused => Stop::Refused,
            Some(Stop::ToolCalls) if !has_calls => Stop::End,
            stop => stop.unwrap_or(Stop::End),
        }
    }

    /// The model declined in words of its own.
    pub(super) fn refuse(&mut self) {
        self.refused = true;
    }

    /// A filter took the answer away.
    pub(super) fn is_filtered(&self) -> bool {
        self.filtered
    }

    /// Returns the fault that a word means.
    pub(super) fn fault(&self) -> Option<Fault> {
        let word = self.broke.as_deref()?;
        let word = if word == "error" { String::new() } else { format!(" ({word})") };
        let text = format!("the server gave up in the middle of its answer{word}; try again");
        Some(Fault::new(FaultKind::Upstream, text))
    }
}

/// Whether a message is told even if it is empty: an answer that ends otherwise than well is one.
pub(super) fn is_told(stop: Stop) -> bool {
    !matches!(stop, Stop::End | Stop::Interrupted | Stop::Failed)
}

/// Tells the person that an answer ended well and is none.
pub(super) fn empty() -> AgentEvent {
    let text = "the model ended its answer without saying anything".to_owned();
    AgentEvent::Noticed { level: Level::Warn, code: "empty_answer".into(), text }
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
