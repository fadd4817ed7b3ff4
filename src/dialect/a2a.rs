//! A2A, 0.3 and 1.0: each frame is a JSON-RPC response (or, in the REST binding, its result) with a task, a message, a
//! status update or a chunk of an artifact.
//!
//! Text arrives in three places that repeat each other: status messages, artifacts (streamed in chunks) and the task as
//! a whole. Each text is emitted once: an artifact is held back while it repeats an earlier status message, and a
//! status message that repeats an artifact is dropped. A task that waits for the person has completed its answer; the
//! ids that a follow-up must name are in the annotation `task`.

mod artifact;
mod calls;
pub mod encode;
mod events;
mod message_writer;
pub mod shapes;
mod wire;

use std::collections::VecDeque;

use self::artifact::Artifact;
use self::events::{annotate, emit_waiting_notice, failure_message, resolve_surrogates};
use self::message_writer::A2aMessageWriter;
use self::wire::{MessageParts, StreamResult, either_field, non_empty_str};
use super::agent_calls::AgentCalls;
use super::agent_reply::report_usage;
use super::borrowed_json::BorrowedJson;
use super::finish_reason::FinishTracker;
use super::surrogate;
use super::unknown_frames::UnknownFrames;
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, error, usage};
use crate::event::{
    Annotation, Fault, FaultKind, FinishReason, Json, LastContent, NoticeCode, NoticeLevel, ReplyEvent, TurnOutcome,
    Usage,
};

/// Also `--dialect a2a`.
pub const DIALECT: Dialect = Dialect {
    name: "a2a",
    title: "A2A",
    decode: |context: &DecodeContext| Box::new(A2aDecoder::new(context.prompt.is_some())),
    evidence,
    extends: None,
    limitations: "bytes of files; tool calls and usage but for those that a server adds",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    if first.has("jsonrpc") {
        let result = first.object()?.get("result");
        let is_one = result.is_some_and(|result| RESULT_KEYS.iter().any(|key| result.get(*key).is_some()));
        let is_error = first.has("error") && result.is_none();
        let is_answer = first.object()?.get("method").is_none() && (is_one || is_error);
        return is_answer.then(|| Evidence::shape("its frames are JSON-RPC answers about a task"));
    }
    let is_in_context = |key: &&str| ["contextId", "taskId", "messageId"].iter().any(|id| first.has_in(key, id));
    let has_update = ["task", "message", "statusUpdate", "artifactUpdate"].iter().any(is_in_context);
    has_update.then(|| Evidence::shape("its frames hold a task, a message or an update"))
}

/// Keys by which a result is one of A2A.
const RESULT_KEYS: &[&str] = &[
    "kind",
    "task",
    "message",
    "msg",
    "statusUpdate",
    "artifactUpdate",
    "status_update",
    "artifact_update",
    "status",
    "artifact",
    "parts",
    "messageId",
    "contextId",
];

/// Messages remembered to recognize repetitions.
const MAX_KNOWN_MESSAGES: usize = 1024;
/// Bytes of text remembered to recognize repetitions.
const MAX_KNOWN_TEXT_BYTES: usize = 8 * 1024 * 1024;

/// Bytes that an open message must have before a longer text that starts with it counts as the same message, grown.
const MIN_GROWING_TEXT_BYTES: usize = 4;

/// Decodes one answer.
#[derive(Debug, Default)]
pub struct A2aDecoder {
    is_prompted: bool,
    message_count: u64,
    /// The status message that may still grow.
    status_message: Option<StatusMessage>,
    artifacts: Vec<Artifact>,
    /// Ids and texts of the messages already emitted.
    seen_messages: VecDeque<(String, String)>,
    seen_bytes: usize,
    has_text: bool,
    non_text_parts: usize,
    /// Id and context id of the task, once annotated.
    task: Option<(String, Option<String>)>,
    outcome: Option<TurnOutcome>,
    calls: AgentCalls,
    usage: Option<Usage>,
    /// Finish reasons of the model that servers send besides the state of the task.
    finish_tracker: FinishTracker,
    /// A message names the finish reason.
    is_finish_noted: bool,
    done: bool,
    unknown_frames: UnknownFrames,
}

#[derive(Debug)]
struct StatusMessage {
    wire_id: String,
    writer: A2aMessageWriter,
    text: String,
}

impl A2aDecoder {
    /// `is_prompted` says whether the stream answers our prompt.
    pub fn new(is_prompted: bool) -> Self {
        Self { is_prompted, ..Self::default() }
    }

    fn handle_result(&mut self, json: &BorrowedJson<'_>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let Some((result, is_new)) = wire::parse_result(json) else {
            return self.unknown_frames.report("a result that is not a task, message or update", out);
        };
        if let Some(word) = wire::finish_reason_word(result) {
            self.finish_tracker.observe(word, out);
        }
        match result {
            StreamResult::Task(task) => {
                self.note_task(task, non_empty_str(task, "id"), out);
                self.replay_history(task, marked, out);
                for artifact in task.get("artifacts").into_iter().flat_map(BorrowedJson::elements) {
                    self.handle_artifact(artifact, false, false, marked, out);
                }
                if let Some(status) = task.get("status") {
                    self.handle_status(status, is_new, false, marked, out);
                }
            }
            StreamResult::Message(message) => {
                if wire::is_from_agent(message) {
                    self.handle_message(message, marked, out);
                    // A message instead of a task is the whole answer.
                    self.outcome.get_or_insert(TurnOutcome::Completed);
                }
            }
            StreamResult::Status(update) => {
                self.note_task(update, either_field(update, "taskId", "task_id").and_then(BorrowedJson::as_str), out);
                self.note_call(update, out);
                let is_final = update.get("final") == Some(&BorrowedJson::Bool(true));
                if let Some(status) = update.get("status") {
                    self.handle_status(status, is_new, is_final, marked, out);
                }
            }
            StreamResult::Artifact(update) => {
                self.note_task(update, either_field(update, "taskId", "task_id").and_then(BorrowedJson::as_str), out);
                let flag = |one: &str, other: &str| either_field(update, one, other) == Some(&BorrowedJson::Bool(true));
                if let Some(artifact) = update.get("artifact") {
                    self.handle_artifact(
                        artifact,
                        flag("append", "append"),
                        flag("lastChunk", "last_chunk"),
                        marked,
                        out,
                    );
                }
            }
        }
    }

    /// Annotates the ids of the task, once.
    fn note_task(&mut self, holder: &BorrowedJson<'_>, id: Option<&str>, out: &mut Vec<ReplyEvent>) {
        let Some(id) = id else { return };
        let context = either_field(holder, "contextId", "context_id").and_then(BorrowedJson::as_str);
        if self.task.as_ref().is_some_and(|(known, of)| known == id && of.as_deref() == context) {
            return;
        }
        self.task = Some((id.to_owned(), context.map(str::to_owned)));
        annotate(Annotation::Task { id: id.to_owned(), context: context.map(str::to_owned) }, out);
    }

    /// Names the task that waits: the next prompt goes on with it.
    fn annotate_waiting(&self, state: &str, words: &str, out: &mut Vec<ReplyEvent>) {
        let Some((id, context)) = &self.task else { return };
        let interrupts = serde_json::json!([{"taskId": id, "contextId": context, "reason": state, "message": words}]);
        annotate(Annotation::Interrupt { interrupts }, out);
    }

    /// Replays the conversation behind a task. What precedes our own prompt is known and skipped.
    fn replay_history(&mut self, task: &BorrowedJson<'_>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let list = task.get("history").map(BorrowedJson::elements).unwrap_or_default();
        let prompt = list.iter().rposition(|message| !wire::is_from_agent(message)).filter(|_| self.is_prompted);
        let from = prompt.map_or(0, |at| at + 1).max(list.len().saturating_sub(MAX_KNOWN_MESSAGES));
        for message in list.iter().skip(from).filter(|message| wire::is_from_agent(message)) {
            if let Some(metrics) = message.get("metadata").and_then(|metadata| metadata.get("metrics")) {
                self.usage = usage::parse(&metrics.to_json()).or(self.usage);
            }
            self.handle_message(message, marked, out);
        }
    }

    fn handle_status(
        &mut self,
        status: &BorrowedJson<'_>,
        is_new: bool,
        is_final: bool,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        let state = wire::normalize_state(status);
        let is_failure = matches!(state.as_str(), "failed" | "rejected");
        let message = status.get("message").filter(|message| message.is_object() && wire::is_from_agent(message));
        let mut words =
            message.map(|message| resolve_surrogates(&wire::parse_parts(message).text, marked)).unwrap_or_default();
        if let Some(message) = message.filter(|_| !is_failure || words.is_empty()) {
            self.handle_message(message, marked, out);
        }
        if let Some(code) = message.filter(|_| is_failure).and_then(wire::error_code) {
            words = if words.is_empty() { code.to_owned() } else { format!("{words} ({code})") };
        }
        let end = match state.as_str() {
            "completed" => TurnOutcome::Completed,
            "canceled" => TurnOutcome::Cancelled,
            "failed" => {
                TurnOutcome::Failed(Fault::new(FaultKind::Upstream, failure_message("the agent's task failed", &words)))
            }
            "rejected" => TurnOutcome::Failed(Fault::new(
                FaultKind::Refused,
                failure_message("the agent refused the task", &words),
            )),
            "input-required" | "auth-required" => {
                if self.outcome.is_none() {
                    emit_waiting_notice(&state, &words, out);
                    self.annotate_waiting(&state, &words, out);
                }
                TurnOutcome::Completed
            }
            _ if is_final => {
                let text =
                    "the agent ended its response while its task is still running; send another prompt for the rest"
                        .to_owned();
                out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::TaskOpen, text });
                TurnOutcome::Completed
            }
            // The task works again after it waited.
            _ => return,
        };
        // The first terminal state counts, except that a task which waited may still complete.
        if !matches!(self.outcome, Some(TurnOutcome::Failed(_) | TurnOutcome::Cancelled)) {
            self.outcome = Some(end);
        }
        // Before 1.0 the whole task may follow.
        self.done |= is_new;
    }

    /// Emits a message unless its text was already emitted, as a message or as an artifact.
    fn handle_message(&mut self, message: &BorrowedJson<'_>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let id = either_field(message, "messageId", "message_id").and_then(BorrowedJson::as_str).unwrap_or_default();
        let MessageParts { text, reasoning, non_text: others } = wire::parse_parts(message);
        let (text, reasoning) = (resolve_surrogates(&text, marked), resolve_surrogates(&reasoning, marked));
        // The same message again; some servers change its id whenever it grows.
        let goes_on = |open: &StatusMessage| {
            (!id.is_empty() && open.wire_id == id)
                || (open.text.len() >= MIN_GROWING_TEXT_BYTES && text.starts_with(open.text.as_str()))
        };
        if let Some(open) = self.status_message.as_mut().filter(|open| goes_on(open)) {
            id.clone_into(&mut open.wire_id);
            let more = match text.strip_prefix(open.text.as_str()) {
                Some(more) => more,
                None if open.text.starts_with(&text) => "",
                // A chunk of it.
                None => &text,
            };
            if !more.is_empty() {
                open.writer.push_text(more, &mut self.message_count, out);
                let more = more.to_owned();
                open.text.push_str(&more);
            }
            return;
        }
        if self.is_message_seen(id, &text) {
            return;
        }
        self.close_status(None, out);
        self.annotate_parts(&others, marked, out);
        if text.is_empty() && reasoning.is_empty() {
            return;
        }
        let mut writer = A2aMessageWriter::begin(&mut self.message_count, out);
        writer.push_reasoning(&reasoning, out);
        self.has_text |= !text.is_empty();
        writer.push_text(&text, &mut self.message_count, out);
        self.status_message = Some(StatusMessage { wire_id: id.to_owned(), writer, text });
    }

    fn close_status(&mut self, finish_reason: Option<FinishReason>, out: &mut Vec<ReplyEvent>) {
        let Some(StatusMessage { wire_id: wire, writer, text }) = self.status_message.take() else { return };
        writer.finish(finish_reason.unwrap_or(FinishReason::End), &mut self.message_count, out);
        self.seen_bytes = self.seen_bytes.saturating_add(text.len());
        if self.seen_bytes <= MAX_KNOWN_TEXT_BYTES {
            if self.seen_messages.len() >= MAX_KNOWN_MESSAGES {
                self.seen_messages.pop_front();
            }
            self.seen_messages.push_back((wire, text));
        }
    }

    /// Texts of known messages, the newest last.
    fn known_texts(&self) -> impl Iterator<Item = &str> + Clone {
        self.seen_messages
            .iter()
            .map(|(_, text)| text.as_str())
            .chain(self.status_message.iter().map(|open| open.text.as_str()))
    }

    /// Returns whether a known message, or several in a row, start with this text or, if `whole`, equal it.
    fn is_text_seen(&self, text: &str, whole: bool) -> bool {
        let text = if whole { text.trim() } else { text.trim_start() };
        let mut from = self.known_texts();
        loop {
            let mut rest = Some(text);
            for (at, known) in from.clone().enumerate() {
                let Some(left) = rest else { break };
                let known = if at == 0 { known.trim_start() } else { known };
                if known.trim_end() == left || (!whole && known.starts_with(left)) {
                    return true;
                }
                rest = left.strip_prefix(known);
            }
            if from.next().is_none() {
                return false;
            }
        }
    }

    fn is_message_seen(&self, id: &str, text: &str) -> bool {
        if !id.is_empty() && self.seen_messages.iter().any(|(known, _)| known == id) {
            return true;
        }
        let text = text.trim();
        if text.is_empty() {
            return false;
        }
        let open = self.status_message.as_ref().map(|open| open.text.as_str());
        let newest = open.or_else(|| self.seen_messages.back().map(|(_, text)| text.as_str()));
        let artifacts = || self.artifacts.iter().map(|artifact| artifact.text.trim());
        let joined = |between: &str| {
            let size = artifacts().map(|text| text.len() + between.len()).sum::<usize>();
            size == text.len() + between.len() && artifacts().collect::<Vec<_>>().join(between) == text
        };
        artifacts().any(|artifact| artifact == text)
            || newest.is_some_and(|newest| newest.trim() == text)
            || ["", "\n", "\n\n"].into_iter().any(joined)
    }

    fn annotate_parts(&mut self, others: &[Json], marked: bool, out: &mut Vec<ReplyEvent>) {
        for part in others {
            let mut part = part.clone();
            surrogate::resolve_marks_in_json(&mut part, marked);
            if self.take_calls(&part, out) {
                continue;
            }
            self.non_text_parts += 1;
            annotate(Annotation::Part(part), out);
        }
    }

    fn fail(&mut self, fault: Fault) {
        self.outcome = Some(TurnOutcome::Failed(fault));
        self.done = true;
    }
}

impl Decode for A2aDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        if self.done || data.is_empty() || frame.event == "ping" {
            return;
        }
        let repaired = surrogate::mark_if_lone(data);
        let Ok(json) = serde_json::from_str::<BorrowedJson<'_>>(repaired.as_deref().unwrap_or(data)) else {
            return match error::find_error_in_unparsed(frame) {
                Some(server_error) => self.fail(error::to_fault(&server_error)),
                None => self.unknown_frames.report("data that is not JSON", out),
            };
        };
        let marked = repaired.is_some();
        if let Some(fault) = wire::parse_fault(&json) {
            return self.fail(fault);
        }
        let result = json.get("result").unwrap_or(&json);
        match wire::parse_result(result).is_none().then(|| error::find_error(frame)).flatten() {
            Some(server_error) => self.fail(error::to_fault(&server_error)),
            None => self.handle_result(result, marked, out),
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        let outcome = self.outcome.take().unwrap_or(TurnOutcome::Interrupted);
        let outcome = if outcome == TurnOutcome::Completed {
            self.finish_tracker.fault().map_or(outcome, TurnOutcome::Failed)
        } else {
            outcome
        };
        let finish_reason = match outcome {
            TurnOutcome::Completed => self.finish_tracker.finish_reason_with(false),
            _ => outcome.finish_reason(),
        };
        for at in 0..self.artifacts.len() {
            self.close_artifact(at, Some(finish_reason), out);
        }
        self.is_finish_noted |= self.status_message.is_some();
        self.close_status(Some(finish_reason), out);
        // The interrupted message is already closed.
        if let Some((code, text)) = finish_reason.explanation(LastContent::Text).filter(|_| !self.is_finish_noted) {
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code, text: text.into() });
        }
        if !self.has_text && self.non_text_parts > 0 {
            let text = format!("the response has no text, but {} parts of data or files", self.non_text_parts);
            out.push(ReplyEvent::Notice { level: NoticeLevel::Info, code: NoticeCode::Parts, text });
        }
        report_usage(self.usage.take(), out);
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        matches!(self.outcome, Some(TurnOutcome::Failed(_)))
    }

    fn is_done(&self) -> bool {
        self.done
    }

    fn is_complete(&self) -> bool {
        self.outcome.is_some()
    }
}

#[cfg(test)]
mod tests;
