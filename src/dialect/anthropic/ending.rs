//! How an answer ends: what the stop reason says, and what is said of an answer that did not just end.

use serde_json::json;

use super::Anthropic;
use crate::dialect::error;
use crate::dialect::stop::{self, Reason};
use crate::event::{AgentEvent, Fault, FaultKind, Json, Level, Stop, Subject, TurnEnd};

impl Anthropic {
    pub(super) fn stop_reason(&mut self, reason: Option<&str>, details: Option<&Json>, out: &mut Vec<AgentEvent>) {
        let Some(reason) = reason else { return };
        self.stop = Some(match reason {
            "max_tokens" => Stop::Length,
            "tool_use" => Stop::ToolCalls,
            "refusal" => {
                let said = |key: &str| details?.get(key)?.as_str().map(error::tidy).filter(|text| !text.is_empty());
                self.declined = Some(said("explanation").or_else(|| said("category")).unwrap_or_default());
                Stop::Refused
            }
            "model_context_window_exceeded" => {
                self.overfull = true;
                Stop::Length
            }
            // It is to be given back as it is, and goes on.
            "pause_turn" | "compaction" => {
                self.paused = true;
                Stop::End
            }
            // Proxies use the words of those they ask.
            other => {
                let reason = Reason::of(other);
                match reason {
                    Reason::Unknown => out.push(stop::unknown(other)),
                    Reason::Filtered => self.filtered = true,
                    Reason::Failed => {
                        let text = format!("the server gave up in the middle of its answer ({other}); try again");
                        self.fault = Some(Fault::new(FaultKind::Upstream, text));
                    }
                    _ => {}
                }
                reason.stop()
            }
        });
    }

    pub(super) fn stop(&self) -> Stop {
        let has_calls = self.blocks.has_call();
        match self.stop {
            _ if self.fault.is_some() => Stop::Failed,
            None if !self.done => Stop::Interrupted,
            Some(Stop::End) | None if has_calls && !self.paused => Stop::ToolCalls,
            Some(Stop::ToolCalls) | None if !has_calls => Stop::End,
            Some(stop) => stop,
            None => Stop::End,
        }
    }

    /// Says how an answer ended that did not just end.
    pub(super) fn remark(&mut self, stop: Stop, out: &mut Vec<AgentEvent>) {
        if let Some(why) = self.declined.take() {
            let why = if why.is_empty() { why } else { format!(" ({why})") };
            let text = format!("the model declined to answer{why}; say it in another way, or start a new session");
            out.push(AgentEvent::Noticed { level: Level::Warn, code: "refused".into(), text });
        }
        if self.paused {
            self.calls.pause(out);
            let on = Subject::Message(self.message.clone());
            out.push(AgentEvent::Annotated { on, kind: "paused".into(), data: json!({}) });
        }
        if !self.open && !self.closed && stop == Stop::End {
            out.push(stop::empty());
        }
    }

    pub(super) fn end(&mut self, stop: Stop) -> TurnEnd {
        match (self.fault.take(), stop) {
            (Some(fault), _) => TurnEnd::Failed(fault),
            (None, Stop::Interrupted) => TurnEnd::Interrupted,
            (None, _) if self.filtered => TurnEnd::Failed(Fault::new(FaultKind::Refused, stop::FILTERED)),
            (None, _) if self.overfull => {
                let text = "the conversation filled the model's window in the middle of this answer; start a new \
                            session, or choose a model with a larger window";
                TurnEnd::Failed(Fault::new(FaultKind::ContextTooLong, text))
            }
            (None, _) => TurnEnd::Completed,
        }
    }
}
