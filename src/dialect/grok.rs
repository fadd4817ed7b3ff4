//! What Grok Build prints with `--output-format streaming-json`: pieces of `text` and of `thought` in `data`, `tool_call`
//! and `tool_call_update`, `usage`, and `end` with the reason and the sums. Its other form, `streaming-messages-json`, is
//! Claude Code's.
//!
//! Source: the documentation, which shows no call whole: their fields are read under the names of the Agent Client
//! Protocol, beside the `type` or in `data`. No recording was at hand.

use super::finish_reason::WireFinishReason;
use super::program_reply::{
    CallStart, DecodeLines, MAIN_THREAD, ProgramReply, content_text, cost_event, to_run_fault, word,
};
use super::{DecodeContext, Dialect, Evidence, FirstFrame, usage};
use crate::event::{
    CallOutcome, Fault, FaultKind, Json, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome, Usage, UsageScope,
};

/// Also `--dialect grok`.
pub const DIALECT: Dialect = Dialect {
    name: "grok",
    title: "Grok's streaming-json",
    decode: |_: &DecodeContext| Box::new(GrokDecoder::default()),
    evidence,
    extends: None,
    limitations: "the prompt, the ends of messages, times of calls, approvals",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    let is_piece = first.object()?.get("data").is_some_and(Json::is_string)
        && first.object().and_then(Json::as_object).is_some_and(|object| object.len() == 2);
    match kind {
        "end" if first.has("stopReason") && first.has("sessionId") => {
            Some(Evidence::shape("its last line has a stopReason and a sessionId"))
        }
        "thought" if is_piece => Some(Evidence::shape("a line is a thought with data")),
        "text" if is_piece => Some(Evidence::weak("a line is a text with data")),
        _ => None,
    }
}

/// Decodes one run.
#[derive(Debug, Default)]
pub struct GrokDecoder {
    reply: ProgramReply,
    usage: Option<Usage>,
    cost_usd: Option<f64>,
    reached_limit: bool,
    outcome: Option<TurnOutcome>,
}

impl GrokDecoder {
    fn handle_call(&mut self, call: &Json, out: &mut Vec<ReplyEvent>) {
        let first = |keys: &[&'static str]| keys.iter().map(|key| word(call, key)).find(|text| !text.is_empty());
        let field = |keys: &[&str]| keys.iter().find_map(|key| call.get(*key).filter(|value| !value.is_null()));
        let Some(id) = first(&["toolCallId", "tool_call_id", "id"]) else { return };
        let name = first(&["name", "toolName", "tool_name", "title", "kind"]).unwrap_or_default();
        let args = field(&["rawInput", "input", "arguments"]);
        if self.reply.start_call(CallStart { thread: MAIN_THREAD, id, name }, out) && args.is_some() {
            self.reply.make_ready(id, args, out);
        }
        let outcome = match word(call, "status") {
            "completed" | "success" => CallOutcome::Ok,
            "failed" | "error" => CallOutcome::Failed,
            "cancelled" | "canceled" => CallOutcome::Cancelled,
            "rejected" | "denied" => CallOutcome::Denied,
            _ => return,
        };
        if !self.reply.is_call_finished(id) {
            let text = field(&["rawOutput", "output", "content"]).map(output_text).unwrap_or_default();
            self.reply.finish_call(id, outcome, text, None, out);
        }
    }

    fn handle_end(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        self.reply.tell_server(Some(word(line, "sessionId")), None, out);
        self.usage = line.get("usage").and_then(usage::parse).or(self.usage);
        self.cost_usd = line.get("total_cost_usd").and_then(Json::as_f64);
        let reason = word(line, "stopReason");
        let outcome =
            match WireFinishReason::parse(&reason.replace("EndTurn", "end_turn").replace("MaxTokens", "length")) {
                _ if self.reached_limit => {
                    TurnOutcome::Failed(Fault::new(FaultKind::LimitReached, "the program reached its limit of turns"))
                }
                WireFinishReason::Interrupted => TurnOutcome::Interrupted,
                WireFinishReason::Failed => {
                    TurnOutcome::Failed(to_run_fault(&format!("the run ended with {reason}"), None))
                }
                meaning => {
                    if !matches!(meaning, WireFinishReason::Unknown | WireFinishReason::ToolCalls) {
                        self.reply.set_finish_reason(MAIN_THREAD, meaning.to_finish_reason());
                    }
                    TurnOutcome::Completed
                }
            };
        self.outcome = Some(outcome);
    }
}

/// Reads an output: text, blocks of it, or the content of such a block.
fn output_text(output: &Json) -> String {
    let blocks = output.as_array().map(|blocks| blocks.iter().map(|block| block.get("content").unwrap_or(block)));
    match blocks {
        Some(blocks) => content_text(&blocks.cloned().collect()),
        None => content_text(output),
    }
}

impl DecodeLines for GrokDecoder {
    fn reply(&mut self) -> &mut ProgramReply {
        &mut self.reply
    }

    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        let inside = line.get("data").filter(|data| data.is_object()).unwrap_or(line);
        match word(line, "type") {
            "text" => {
                if self.reply.has_calls(MAIN_THREAD) {
                    self.reply.finish_message(MAIN_THREAD, out);
                }
                self.reply.push_text(MAIN_THREAD, word(line, "data"), out);
            }
            "thought" => self.reply.push_reasoning(MAIN_THREAD, word(line, "data"), out),
            "tool_call" | "tool_call_update" => self.handle_call(inside, out),
            "usage" => self.usage = inside.get("usage").or(Some(inside)).and_then(usage::parse).or(self.usage),
            "max_turns_reached" => self.reached_limit = true,
            "auto_compact_started" | "auto_compact_start" => out.push(ReplyEvent::Notice {
                level: NoticeLevel::Info,
                code: NoticeCode::Compacting,
                text: "the program shortens the conversation".to_owned(),
            }),
            "error" => {
                let words = if word(line, "message").is_empty() { word(line, "data") } else { word(line, "message") };
                self.outcome = Some(TurnOutcome::Failed(to_run_fault(words, None)));
            }
            "end" => self.handle_end(line, out),
            // Lifecycle.
            _ => {}
        }
    }

    fn outcome(&self) -> Option<&TurnOutcome> {
        self.outcome.as_ref()
    }

    fn finish_run(&mut self, out: &mut Vec<ReplyEvent>) -> TurnOutcome {
        if let Some(usage) = self.usage.take() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
        }
        out.extend(self.cost_usd.take().map(cost_event));
        self.outcome.take().unwrap_or(TurnOutcome::Interrupted)
    }

    fn begins_run(&self, line: &Json) -> bool {
        matches!(word(line, "type"), "text" | "thought" | "tool_call")
    }
}
