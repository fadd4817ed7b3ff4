//! How an answer ends: the meaning of the stop reason, and the notice for an abnormal end.

use super::AnthropicDecoder;
use crate::dialect::error;
use crate::dialect::finish_reason::{self, WireFinishReason};
use crate::event::{
    Annotation, Fault, FaultKind, FinishReason, Json, NoticeCode, NoticeLevel, ReplyEvent, ReplyTarget, TurnOutcome,
};

impl AnthropicDecoder {
    pub(super) fn handle_stop_reason(
        &mut self,
        reason: Option<&str>,
        details: Option<&Json>,
        out: &mut Vec<ReplyEvent>,
    ) {
        let Some(reason) = reason else { return };
        self.finish_reason = Some(match reason {
            "max_tokens" => FinishReason::Length,
            "tool_use" => FinishReason::ToolCalls,
            "refusal" => {
                let detail =
                    |key: &str| details?.get(key)?.as_str().map(error::to_single_line).filter(|text| !text.is_empty());
                self.refusal_explanation =
                    Some(detail("explanation").or_else(|| detail("category")).unwrap_or_default());
                FinishReason::Refused
            }
            "model_context_window_exceeded" => {
                self.exceeds_context = true;
                FinishReason::Length
            }
            // The server wants it back unchanged, and continues it.
            "pause_turn" | "compaction" => {
                self.paused = true;
                FinishReason::End
            }
            // Proxies pass on the finish reasons of their upstream.
            other => {
                let reason = WireFinishReason::parse(other);
                match reason {
                    WireFinishReason::Unknown => out.push(finish_reason::unknown_reason_notice(other)),
                    WireFinishReason::Filtered => self.filtered = true,
                    WireFinishReason::Failed => {
                        let text = format!("the server aborted its response ({other}); retry");
                        self.fault = Some(Fault::new(FaultKind::Upstream, text));
                    }
                    _ => {}
                }
                reason.to_finish_reason()
            }
        });
    }

    pub(super) fn finish_reason(&self) -> FinishReason {
        let has_calls = self.blocks.has_call();
        match self.finish_reason {
            _ if self.fault.is_some() => FinishReason::Failed,
            None if !self.done => FinishReason::Interrupted,
            Some(FinishReason::End) | None if has_calls && !self.paused => FinishReason::ToolCalls,
            Some(FinishReason::ToolCalls) | None if !has_calls => FinishReason::End,
            Some(finish_reason) => finish_reason,
            None => FinishReason::End,
        }
    }

    /// Emits the notice for an abnormal end.
    pub(super) fn emit_finish_notice(&mut self, finish_reason: FinishReason, out: &mut Vec<ReplyEvent>) {
        if let Some(why) = self.refusal_explanation.take() {
            let why = if why.is_empty() { why } else { format!(" ({why})") };
            let text = format!("the model declined to answer{why}; rephrase the prompt, or start a new session");
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Refused, text });
        }
        if self.paused {
            self.calls.finish_paused(out);
            let on = ReplyTarget::Message(self.message.clone());
            out.push(ReplyEvent::Annotation { on, annotation: Annotation::Paused {} });
        }
        if !self.open && !self.closed && finish_reason == FinishReason::End {
            out.push(finish_reason::empty_response_notice());
        }
    }

    pub(super) fn turn_outcome(&mut self, finish_reason: FinishReason) -> TurnOutcome {
        match (self.fault.take(), finish_reason) {
            (Some(fault), _) => TurnOutcome::Failed(fault),
            (None, FinishReason::Interrupted) => TurnOutcome::Interrupted,
            (None, _) if self.filtered => {
                TurnOutcome::Failed(Fault::new(FaultKind::Refused, finish_reason::CONTENT_FILTER_MESSAGE))
            }
            (None, _) if self.exceeds_context => {
                let text = "the conversation filled the model's window during this response; start a new session, or choose a model with a larger window";
                TurnOutcome::Failed(Fault::new(FaultKind::ContextTooLong, text))
            }
            (None, _) => TurnOutcome::Completed,
        }
    }
}
