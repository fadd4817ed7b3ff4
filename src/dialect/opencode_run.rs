//! What `opencode run --format json` prints: finished parts of messages (`text`, `reasoning`, `tool_use`), the
//! `step_start` and `step_finish` of each request to the model, and `error`.
//!
//! There is no last line. A run is complete when the last step ended with any reason but more calls, and what it uses
//! and costs is the sum over its steps. That a command failed stands only in the exit code among its metadata.
//!
//! Source: recordings of opencode 1.18.33.

use super::finish_reason::WireFinishReason;
use super::program_reply::{CallStart, DecodeLines, MAIN_THREAD, ProgramReply, cost_event, to_run_fault, word};
use super::{DecodeContext, Dialect, Evidence, FirstFrame, error, usage};
use crate::event::{CallOutcome, Json, Millis, ReplyEvent, TurnOutcome, Usage, UsageScope};

/// Also `--dialect opencode-run`.
pub const DIALECT: Dialect = Dialect {
    name: "opencode-run",
    title: "the parts of opencode run",
    decode: |_: &DecodeContext| Box::new(OpencodeRunDecoder::default()),
    evidence,
    extends: None,
    limitations: "text as it streams, the prompt, calls that run, approvals",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    if first.text("sessionID").is_empty() || !first.has("timestamp") {
        return None;
    }
    let is_one = match kind {
        "step_start" | "step_finish" | "text" | "reasoning" | "tool_use" => first.has_in("part", "type"),
        "error" => first.has("error"),
        _ => false,
    };
    is_one.then(|| Evidence::shape(format!("a line with a sessionID has the type {kind}")))
}

/// Decodes one run.
#[derive(Debug, Default)]
pub struct OpencodeRunDecoder {
    reply: ProgramReply,
    step_count: u32,
    cost_usd: Option<f64>,
    /// How it would end if nothing more came.
    outcome: Option<TurnOutcome>,
}

impl OpencodeRunDecoder {
    fn handle_call(&mut self, part: &Json, out: &mut Vec<ReplyEvent>) {
        let state = part.get("state").unwrap_or(&Json::Null);
        let (id, name) = (word(part, "callID"), word(part, "tool"));
        self.reply.start_whole_call(CallStart { thread: MAIN_THREAD, id, name }, state.get("input"), out);
        let exit_code = state.pointer("/metadata/exit").and_then(Json::as_i64).unwrap_or_default();
        let outcome = match word(state, "status") {
            "completed" if exit_code == 0 => CallOutcome::Ok,
            "completed" | "error" => CallOutcome::Failed,
            // It still runs.
            _ => return,
        };
        let output = [word(state, "output"), word(state, "error")].into_iter().find(|text| !text.is_empty());
        let time = |key: &str| state.pointer("/time")?.get(key)?.as_u64().map(Millis);
        let duration = time("start").zip(time("end")).map(|(start, end)| end.since(start));
        self.reply.finish_call(id, outcome, output.unwrap_or_default(), duration, out);
    }

    fn finish_step(&mut self, part: &Json, out: &mut Vec<ReplyEvent>) {
        if let Some(tokens) = part.get("tokens").filter(|tokens| tokens.is_object()) {
            self.step_count = self.step_count.saturating_add(1);
            let reasoning_tokens = tokens.get("reasoning").and_then(Json::as_u64).unwrap_or_default();
            let usage = Usage { reasoning_tokens, ..usage::parse(tokens).unwrap_or_default() };
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Request(self.step_count), usage });
        }
        if let Some(cost) = part.get("cost").and_then(Json::as_f64) {
            let sum = self.cost_usd.unwrap_or_default() + cost;
            self.cost_usd = Some(sum);
            out.push(cost_event(sum));
        }
        let reason = word(part, "reason");
        let meaning = WireFinishReason::parse(reason);
        match meaning {
            WireFinishReason::ToolCalls => return,
            WireFinishReason::Length | WireFinishReason::Filtered | WireFinishReason::Refused => {
                self.reply.set_finish_reason(MAIN_THREAD, meaning.to_finish_reason());
            }
            WireFinishReason::Failed if self.outcome.is_none() => {
                let words = format!("the last step ended with {reason}");
                self.outcome = Some(TurnOutcome::Failed(to_run_fault(&words, None)));
            }
            _ => {}
        }
        self.outcome.get_or_insert(TurnOutcome::Completed);
    }
}

impl DecodeLines for OpencodeRunDecoder {
    fn reply(&mut self) -> &mut ProgramReply {
        &mut self.reply
    }

    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        self.reply.tell_server(Some(word(line, "sessionID")), None, out);
        let part = line.get("part").unwrap_or(&Json::Null);
        let kind = word(line, "type");
        if !matches!(kind, "step_finish" | "error") {
            // What came before was not the end.
            self.outcome.take_if(|outcome| *outcome == TurnOutcome::Completed);
        }
        match kind {
            "step_start" => self.reply.finish_message(MAIN_THREAD, out),
            "text" => {
                self.reply.enter_message(MAIN_THREAD, word(part, "id"), out);
                self.reply.push_text(MAIN_THREAD, word(part, "text"), out);
            }
            "reasoning" => {
                self.reply.enter_message(MAIN_THREAD, word(part, "id"), out);
                self.reply.push_reasoning(MAIN_THREAD, word(part, "text"), out);
            }
            "tool_use" => self.handle_call(part, out),
            "step_finish" => self.finish_step(part, out),
            "error" => {
                let told = line.get("error").unwrap_or(&Json::Null);
                let data = told.get("data").unwrap_or(told);
                let message = error::parse_error_object(data).or_else(|| error::parse_error_object(told));
                let words = message.map_or_else(|| word(told, "name").to_owned(), |error| error.message);
                let status = data.get("statusCode").and_then(Json::as_u64);
                let is_abort = word(told, "name") == "MessageAbortedError";
                self.outcome = Some(if is_abort {
                    TurnOutcome::Interrupted
                } else {
                    TurnOutcome::Failed(to_run_fault(&words, status))
                });
            }
            other => self.reply.unknown_frames.report(other, out),
        }
    }

    fn outcome(&self) -> Option<&TurnOutcome> {
        self.outcome.as_ref()
    }

    fn finish_run(&mut self, _out: &mut Vec<ReplyEvent>) -> TurnOutcome {
        self.outcome.take().unwrap_or(TurnOutcome::Interrupted)
    }

    /// Only the end of the stream is the end.
    fn is_settled(&self) -> bool {
        false
    }
}
