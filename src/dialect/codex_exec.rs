//! What `codex exec --json` prints: `thread.started`, `turn.started`, then items, each whole (`item.completed`; commands
//! and other work also with `item.started` and `item.updated`), and `turn.completed` with the usage or `turn.failed`.
//!
//! An item of type `error` is a warning. An `error` of its own is told again by `turn.failed`, or the program tries again.
//! After a resumed session the usage is that of all its runs.
//!
//! Source: recordings of Codex 0.171.0, and the documentation for the items that are not in them.

use super::program_reply::{CallStart, DecodeLines, MAIN_THREAD, ProgramReply, content_text, failed_as_told, word};
use super::{DecodeContext, Dialect, Evidence, FirstFrame, usage};
use crate::event::{CallOutcome, Json, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome, Usage, UsageScope};

/// Also `--dialect codex-exec`.
pub const DIALECT: Dialect = Dialect {
    name: "codex-exec",
    title: "the events of codex exec",
    decode: |_: &DecodeContext| Box::new(CodexExecDecoder::default()),
    evidence,
    extends: None,
    limitations: "text as it streams, the prompt, times, approvals, cost",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    let is_one = match kind {
        "thread.started" => first.has("thread_id"),
        "turn.started" => first.object().is_some_and(|json| json.as_object().is_some_and(|object| object.len() == 1)),
        "turn.completed" => first.has_in("usage", "input_tokens"),
        "turn.failed" => first.has_in("error", "message"),
        "item.started" | "item.updated" | "item.completed" => {
            first.has_in("item", "id") && first.has_in("item", "type")
        }
        _ => false,
    };
    is_one.then(|| Evidence::shape(format!("a line has the type {kind}")))
}

/// Fields of an item that are not what it was asked to do.
const NOT_ARGUMENTS: &[&str] =
    &["id", "type", "status", "aggregated_output", "exit_code", "result", "error", "server", "tool"];
/// How an error begins after which the program goes on by itself.
const RECONNECT_WORDS: &str = "Reconnecting";

/// Decodes one turn.
#[derive(Debug, Default)]
pub struct CodexExecDecoder {
    reply: ProgramReply,
    /// An error that may be the last word.
    pending_error: Option<String>,
    usage: Option<Usage>,
    outcome: Option<TurnOutcome>,
}

impl CodexExecDecoder {
    fn tell_pending_error(&mut self, out: &mut Vec<ReplyEvent>) {
        if let Some(text) = self.pending_error.take().filter(|text| !text.is_empty()) {
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Recoverable, text });
        }
    }

    fn handle_item(&mut self, item: &Json, is_complete: bool, out: &mut Vec<ReplyEvent>) {
        let (id, kind) = (word(item, "id"), word(item, "type"));
        match kind {
            // Each is a message of its own; the thoughts before it belong to it.
            "agent_message" if is_complete => {
                self.reply.enter_message(MAIN_THREAD, id, out);
                self.reply.push_text(MAIN_THREAD, word(item, "text"), out);
            }
            "reasoning" if is_complete => {
                self.reply.enter_message(MAIN_THREAD, id, out);
                self.reply.push_reasoning(MAIN_THREAD, word(item, "text"), out);
            }
            "agent_message" | "reasoning" => {}
            "error" => {
                let text = word(item, "message").to_owned();
                out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::Warning, text });
            }
            _ => self.handle_work(item, id, kind, is_complete, out),
        }
    }

    /// Handles an item that is work: a command, a change of files, a call of a tool, a search, a list.
    fn handle_work(&mut self, item: &Json, id: &str, kind: &str, is_complete: bool, out: &mut Vec<ReplyEvent>) {
        let (name, args) = describe(item, kind);
        self.reply.start_whole_call(CallStart { thread: MAIN_THREAD, id, name: &name }, Some(&args), out);
        // The same item with what is done by now.
        self.reply.plan.on_call(id, &name, &args.to_string(), out);
        if !is_complete {
            return self.reply.set_output(id, word(item, "aggregated_output"), out);
        }
        let exit_code = item.get("exit_code").and_then(Json::as_i64).unwrap_or_default();
        let outcome = match word(item, "status") {
            "declined" => CallOutcome::Denied,
            "failed" => CallOutcome::Failed,
            _ if exit_code != 0 => CallOutcome::Failed,
            "in_progress" => CallOutcome::Unknown,
            _ => CallOutcome::Ok,
        };
        self.reply.finish_call(id, outcome, output_of(item), None, out);
    }
}

/// Returns what an item is called as a call, and its arguments: what it holds before it is done.
fn describe(item: &Json, kind: &str) -> (String, Json) {
    let name = match (word(item, "server"), word(item, "tool")) {
        ("", "") => kind.to_owned(),
        ("", tool) => tool.to_owned(),
        (server, tool) => format!("{server}.{tool}"),
    };
    if let Some(args) = item.get("arguments").filter(|_| kind.ends_with("tool_call")) {
        return (name, args.clone());
    }
    let fields = item.as_object().into_iter().flatten().filter(|(key, _)| !NOT_ARGUMENTS.contains(&key.as_str()));
    (name, fields.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn output_of(item: &Json) -> String {
    if let Some(error) = item.get("error").filter(|error| !error.is_null()) {
        let message = word(error, "message");
        return if message.is_empty() { content_text(error) } else { message.to_owned() };
    }
    match item.get("result").filter(|result| !result.is_null()) {
        Some(result) => content_text(result.get("content").unwrap_or(result)),
        None => word(item, "aggregated_output").to_owned(),
    }
}

impl DecodeLines for CodexExecDecoder {
    fn reply(&mut self) -> &mut ProgramReply {
        &mut self.reply
    }

    fn handle_line(&mut self, line: &Json, out: &mut Vec<ReplyEvent>) {
        let kind = word(line, "type");
        if kind != "turn.failed" {
            self.tell_pending_error(out);
        }
        match kind {
            "thread.started" => self.reply.tell_server(Some(word(line, "thread_id")), None, out),
            "turn.started" => {}
            "item.started" | "item.updated" | "item.completed" => {
                if let Some(item) = line.get("item") {
                    self.handle_item(item, kind == "item.completed", out);
                }
            }
            "turn.completed" => {
                let counts = line.get("usage").filter(|counts| counts.is_object());
                self.usage = counts.map(|counts| usage::parse(counts).unwrap_or_default());
                self.outcome = Some(TurnOutcome::Completed);
            }
            "turn.failed" => {
                let told = line.get("error").map_or("", |error| word(error, "message"));
                let pending = self.pending_error.take().unwrap_or_default();
                let words = if told.is_empty() { pending.as_str() } else { told };
                self.outcome = Some(failed_as_told(words, out));
            }
            "error" => self.pending_error = Some(word(line, "message").to_owned()),
            other => self.reply.unknown_frames.report(other, out),
        }
    }

    fn outcome(&self) -> Option<&TurnOutcome> {
        self.outcome.as_ref()
    }

    fn finish_run(&mut self, out: &mut Vec<ReplyEvent>) -> TurnOutcome {
        if let Some(usage) = self.usage.take() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
        }
        match (self.outcome.take(), self.pending_error.take()) {
            (Some(outcome), _) => outcome,
            (None, Some(words)) if !words.starts_with(RECONNECT_WORDS) => failed_as_told(&words, out),
            (None, _) => TurnOutcome::Interrupted,
        }
    }

    fn begins_run(&self, line: &Json) -> bool {
        matches!(word(line, "type"), "thread.started" | "turn.started")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{Decode as _, SseFrame};
    use crate::event::{Annotation, FaultKind, ReplyTarget};

    fn decode(lines: &[&str]) -> Vec<ReplyEvent> {
        let (mut decoder, mut out) = (CodexExecDecoder::default(), Vec::new());
        for line in lines {
            decoder.decode_frame(&SseFrame::data(*line), &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    const START: &str = r#"{"type":"thread.started","thread_id":"t"}"#;
    const RECONNECT: &str = r#"{"type":"error","message":"Reconnecting... 1/5"}"#;

    #[test]
    fn an_error_after_which_the_program_goes_on_is_a_notice() {
        let events = decode(&[
            START,
            RECONNECT,
            r#"{"type":"item.completed","item":{"id":"i0","type":"agent_message","text":"Hi"}}"#,
            r#"{"type":"turn.completed","usage":{"input_tokens":1,"output_tokens":1}}"#,
        ]);
        assert!(matches!(&events[1], ReplyEvent::Notice { code: NoticeCode::Recoverable, .. }), "{events:?}");
        assert_eq!(events.last(), Some(&ReplyEvent::End { outcome: TurnOutcome::Completed }));
        assert_eq!(decode(&[START, RECONNECT]).last(), Some(&ReplyEvent::End { outcome: TurnOutcome::Interrupted }));
    }

    #[test]
    fn a_refusal_is_told_in_its_own_words_and_kept_as_it_came() {
        let body = r#"{"type":"error","error":{"type":"invalid_request_error","code":400,"message":"no such model"}}"#;
        let failed = serde_json::json!({"type": "turn.failed", "error": {"message": body}}).to_string();
        let events = decode(&[START, r#"{"type":"turn.started"}"#, &failed]);
        let Some(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }) = events.last() else { panic!("{events:?}") };
        assert_eq!((fault.message.as_str(), fault.kind), ("no such model", FaultKind::BadRequest));
        let raw = serde_json::from_str::<Json>(body).unwrap();
        let annotation = Annotation::Custom { name: "error".into(), value: raw };
        assert!(events.contains(&ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation }), "{events:?}");
    }

    #[test]
    fn work_of_every_kind_is_a_call() {
        let item = |item: &str| format!(r#"{{"type":"item.completed","item":{item}}}"#);
        let lines = [
            item(r#"{"id":"a","type":"file_change","changes":[{"path":"x","kind":"add"}],"status":"completed"}"#),
            item(
                r#"{"id":"b","type":"mcp_tool_call","server":"s","tool":"t","arguments":{"q":1},"result":{"content":[{"type":"text","text":"r"}]},"status":"completed"}"#,
            ),
            item(
                r#"{"id":"c","type":"command_execution","command":"x","aggregated_output":"no","exit_code":1,"status":"declined"}"#,
            ),
        ];
        let events = decode(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let ends: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                ReplyEvent::ToolCallReady { name, args, .. } => Some(format!("{name} {args}")),
                ReplyEvent::ToolCallFinished { outcome, output, .. } => {
                    Some(format!("{} {}", outcome.name(), output.text))
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            ends,
            [
                r#"file_change {"changes":[{"path":"x","kind":"add"}]}"#,
                "ok ",
                r#"s.t {"q":1}"#,
                "ok r",
                r#"command_execution {"command":"x"}"#,
                "denied no",
            ]
        );
    }
}
