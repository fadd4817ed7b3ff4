//! Emits what the blocks of a message say: its start, its texts, its reasoning and the calls of its server.

use serde_json::json;

use super::super::reasoning_dedup::ReasoningSource;
use super::super::text_assembler;
use super::{AnthropicDecoder, results};
use crate::event::{Annotation, CallId, FinishReason, Json, ReplyEvent, ReplyTarget, Role, TextKind};

impl AnthropicDecoder {
    pub(super) fn emit_segments(
        &mut self,
        split: Vec<(text_assembler::SegmentKind, String)>,
        out: &mut Vec<ReplyEvent>,
    ) {
        for (kind, text) in split {
            match kind {
                text_assembler::SegmentKind::Text => self.emit(false, text, out),
                text_assembler::SegmentKind::Reasoning => self.push_reasoning(ReasoningSource::Tags, &text, out),
                text_assembler::SegmentKind::LateReasoning if !self.open || self.blocks.has_call() => {}
                text_assembler::SegmentKind::LateReasoning
                    if self.reasoning_dedup.has_field() && !self.reasoning_dedup.matches(&text) => {}
                // The text emitted so far was reasoning; the answer is another message.
                text_assembler::SegmentKind::LateReasoning => {
                    self.push_reasoning(ReasoningSource::Tags, &text, out);
                    (self.open, self.closed) = (false, true);
                    let message = std::mem::replace(&mut self.message, "m2".into());
                    let (finish_reason, full) = (FinishReason::End, Some(String::new()));
                    out.push(ReplyEvent::MessageFinished {
                        message,
                        finish_reason,
                        full_text: full,
                        provider_metadata: None,
                    });
                }
            }
        }
    }

    pub(super) fn start_call(&mut self, wire: &Json, by_server: bool, out: &mut Vec<ReplyEvent>) -> Option<CallId> {
        self.begin_message(out);
        self.calls.start(wire, by_server, &self.message, out)
    }

    /// Finishes a server call. After a pause the call itself was in the previous message, so it is emitted again.
    pub(super) fn finish_server_call(&mut self, wire: &Json, kind: &str, out: &mut Vec<ReplyEvent>) {
        let id = wire.get("tool_use_id").and_then(Json::as_str).unwrap_or_default();
        let call = if let Some(call) = self.calls.server_call(id) {
            call
        } else {
            let name = results::tool_name(kind).to_owned();
            let Some(call) = self.start_call(&json!({ "id": id, "name": name }), true, out) else {
                return self.unknown_frames.report("too many tool calls", out);
            };
            self.calls.mark_ready(&call, name, "{}".into(), id, out);
            call
        };
        if let Some((name, args)) = self.blocks.partial_call(&call) {
            self.calls.mark_ready(&call, name, args, id, out);
        }
        let (outcome, text) = results::parse_tool_result(wire);
        self.calls.finish(&call, outcome, text, out);
    }

    pub(super) fn annotate_citation(&mut self, citation: Json, out: &mut Vec<ReplyEvent>) {
        self.begin_message(out);
        let on = ReplyTarget::Message(self.message.clone());
        out.push(ReplyEvent::Annotation { on, annotation: Annotation::Citation(citation) });
    }

    pub(super) fn push_reasoning(&mut self, by: ReasoningSource, text: &str, out: &mut Vec<ReplyEvent>) {
        let text = self.reasoning_dedup.push(by, text);
        self.emit(true, text, out);
    }

    pub(super) fn emit(&mut self, is_thinking: bool, text: String, out: &mut Vec<ReplyEvent>) {
        if text.is_empty() {
            return;
        }
        self.begin_message(out);
        let message = self.message.clone();
        out.push(if is_thinking {
            ReplyEvent::ReasoningDelta { message, text }
        } else {
            ReplyEvent::TextDelta { message, text, kind: TextKind::Text }
        });
    }

    pub(super) fn begin_message(&mut self, out: &mut Vec<ReplyEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let (message, role) = (self.message.clone(), Role::Assistant);
            out.push(ReplyEvent::MessageStarted { message, role, parent: None });
        }
    }
}
