//! AG-UI: unnamed frames, each an event with a `type`, from `RUN_STARTED` to `RUN_FINISHED` or `RUN_ERROR`.
//!
//! `TOOL_CALL_END` only ends the arguments; a call ends with its `TOOL_CALL_RESULT`. The format does not say beforehand
//! whether the agent or its client runs a call, so each starts as the client's, and one without a result at the end of
//! the run is requested from the client. Shared state, steps and activities are annotations; raw events repeat other
//! events and are only counted.

pub mod encode;
mod interrupts;
mod messages;
mod rare_events;
mod result_outcome;
mod snapshot;
mod subagents;
mod wire;

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::json;

use self::messages::{AgUiMessages, Speaker};
use self::result_outcome::NewestResult;
use self::subagents::Subagents;
use self::wire::AgUiEventFields;
use super::agent_calls::{AgentCallStart, AgentCalls};
use super::finish_reason::WireFinishReason;
use super::lenient::{LooseObject, LooseStr};
use super::repeated_frame::RepeatedFrame;
use super::surrogate;
use super::unknown_frames::UnknownFrames;
use super::{Decode, DecodeContext, Dialect, Evidence, FirstFrame, SseFrame, error, usage};
use crate::event::{
    Annotation, CallOutcome, ExecutedBy, FinishReason, Json, LastContent, NoticeCode, NoticeLevel, ReplyEvent,
    ReplyTarget, Role, SharedState, StepState, TurnOutcome, Usage, UsageScope,
};

/// Also `--dialect ag-ui`.
pub const DIALECT: Dialect = Dialect {
    name: "ag-ui",
    title: "AG-UI",
    decode: |context: &DecodeContext| Box::new(AgUiDecoder::new(context)),
    evidence,
    extends: None,
    limitations: "call times, raw events, patches of an oversized state",
};

/// Prefixes of its types: `TEXT_MESSAGE_START`, `RUN_STARTED` …
const TYPE_PREFIXES: &[&str] = &[
    "RUN_",
    "STEP_",
    "TEXT_",
    "TOOL_",
    "STATE_",
    "MESSAGES_",
    "ACTIVITY_",
    "REASONING_",
    "THINKING_",
    "SUBAGENT_",
    "RAW",
    "CUSTOM",
];

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let kind = first.kind();
    let is_upper = kind.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let is_one = is_upper && TYPE_PREFIXES.iter().any(|word| kind.starts_with(word));
    is_one.then(|| Evidence::shape(format!("a frame has the type {kind}")))
}

/// Bytes of shared state and the like kept in one annotation.
const MAX_ANNOTATION_BYTES: usize = 64 * 1024;

/// Decodes one run, or several in a row.
#[derive(Debug, Default)]
pub struct AgUiDecoder {
    /// The stream answers our prompt, so user messages are our own.
    is_prompted: bool,
    messages: AgUiMessages,
    calls: AgentCalls,
    subagents: Subagents,
    run: Option<String>,
    /// Ids of runs inside this run.
    nested_runs: Vec<String>,
    newest_result: NewestResult,
    /// Calls of which pieces were lost.
    cut_calls: Vec<CutCall>,
    usage: Option<Usage>,
    raw_events: u64,
    outcome: Option<TurnOutcome>,
    /// The finish reason, where the run completed and its answer did not.
    early_finish_reason: Option<FinishReason>,
    failed: bool,
    unknown_frames: UnknownFrames,
    /// The last delta of a text.
    last_delta: RepeatedFrame<DeltaFields>,
}

/// What an event says of a delta besides its text.
#[derive(Debug)]
struct DeltaFields {
    kind: String,
    message_id: Option<String>,
    role: Option<String>,
    subagent_run_id: Option<String>,
}

/// Calls whose arguments may be completed by a snapshot.
const MAX_CUT_CALLS: usize = 64;

/// A call whose arguments ended short. A snapshot may have them whole, before which the result can't be told.
#[derive(Debug)]
struct CutCall {
    wire: String,
    result: Option<(CallOutcome, String)>,
}

impl AgUiDecoder {
    pub fn new(context: &DecodeContext) -> Self {
        let mut decoder = Self { is_prompted: context.prompt.is_some(), ..Self::default() };
        decoder.calls.adopt(&context.open_calls);
        decoder
    }

    fn handle_event(
        &mut self,
        kind: &str,
        head: AgUiEventFields<'_>,
        text: &str,
        marked: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        let speaker = match head.subagent_run_id.non_empty() {
            Some(run) if !kind.starts_with("SUBAGENT_") => {
                self.subagents.speaker(Some(run), &mut self.messages, &mut self.calls, out)
            }
            _ => Speaker::default(),
        };
        if ends_chunks(kind) {
            self.messages.close_chunks(None, out);
            self.calls.close_chunks(None, out);
        }
        match kind {
            "TEXT_MESSAGE_START" | "TEXT_MESSAGE_CONTENT" | "TEXT_MESSAGE_END" | "TEXT_MESSAGE_CHUNK" => {
                self.handle_text(kind, head, marked, &speaker, out);
            }
            "TOOL_CALL_START" | "TOOL_CALL_ARGS" | "TOOL_CALL_END" | "TOOL_CALL_CHUNK" | "TOOL_CALL_RESULT" => {
                self.handle_call(kind, head, marked, &speaker, out);
            }
            "REASONING_MESSAGE_START"
            | "REASONING_MESSAGE_CONTENT"
            | "REASONING_MESSAGE_CHUNK"
            | "THINKING_TEXT_MESSAGE_CONTENT" => {
                let piece = head.delta.0.unwrap_or_default();
                self.messages.push_reasoning(head.message_id.0.as_deref(), piece, marked, &speaker, out);
            }
            "REASONING_START"
            | "REASONING_END"
            | "REASONING_MESSAGE_END"
            | "THINKING_START"
            | "THINKING_END"
            | "THINKING_TEXT_MESSAGE_START"
            | "THINKING_TEXT_MESSAGE_END" => {}
            "RUN_STARTED" => {
                self.run_started(&head);
                self.finish_answered(out);
            }
            "RUN_FINISHED" => self.run_finished(&head, &parse_event(text, marked), out),
            "RUN_ERROR" => self.run_error(&head, &parse_event(text, marked), marked),
            "STEP_STARTED" | "STEP_FINISHED" => {
                let state = if kind == "STEP_STARTED" { StepState::Started } else { StepState::Finished };
                let name = surrogate::resolve_marks(head.step_name.0.unwrap_or_default(), marked).into_owned();
                annotate(Annotation::Step { name, state }, out);
            }
            "RAW" => self.raw_events += 1,
            _ => self.handle_rare_event(kind, &head, &parse_event(text, marked), out),
        }
    }

    fn handle_text(
        &mut self,
        kind: &str,
        head: AgUiEventFields<'_>,
        marked: bool,
        speaker: &Speaker,
        out: &mut Vec<ReplyEvent>,
    ) {
        let wire = head.message_id.non_empty();
        let role = parse_role(&head.role);
        if kind == "TEXT_MESSAGE_END" {
            return self.messages.mark_ended(wire, out);
        }
        if kind == "TEXT_MESSAGE_START" {
            let hidden = role == Role::User && self.is_prompted;
            return self.messages.start(wire, role, hidden, speaker, out);
        }
        let is_chunk = kind == "TEXT_MESSAGE_CHUNK";
        let goes_on = if is_chunk && wire.is_none() { self.messages.chunked_message(speaker) } else { None };
        if is_chunk {
            let keep = goes_on.or_else(|| wire.and_then(|wire| self.messages.find_by_wire_id(wire)));
            self.messages.close_chunks(keep, out);
            self.calls.close_chunks(None, out);
        }
        let at = match goes_on {
            Some(at) => at,
            None => self.messages.open_for_text(wire, role, speaker, out),
        };
        if is_chunk {
            self.messages.mark_chunked(at);
        }
        self.messages.push_text(at, head.delta.0.unwrap_or_default(), marked, out);
    }

    fn handle_call(
        &mut self,
        kind: &str,
        head: AgUiEventFields<'_>,
        marked: bool,
        speaker: &Speaker,
        out: &mut Vec<ReplyEvent>,
    ) {
        let goes_on = if kind == "TOOL_CALL_CHUNK" { self.calls.chunked_call() } else { None };
        let Some(wire) = head.tool_call_id.non_empty().map(str::to_owned).or(goes_on) else {
            return self.unknown_frames.report("a call without an id", out);
        };
        match kind {
            "TOOL_CALL_START" => {
                if !self.calls.is_running(&wire) {
                    self.start_call(&wire, &head, speaker, out);
                }
            }
            "TOOL_CALL_ARGS" => {
                if !self.calls.is_known(&wire) {
                    self.start_call(&wire, &head, speaker, out);
                }
                if let Err(odd) = self.calls.push_args(&wire, head.delta.0.unwrap_or_default(), marked, out) {
                    self.unknown_frames.report(odd, out);
                }
            }
            "TOOL_CALL_END" if self.calls.has_whole_args(&wire) || self.cut_calls.len() >= MAX_CUT_CALLS => {
                self.calls.mark_ready(&wire, out);
            }
            "TOOL_CALL_END" => self.cut_calls.push(CutCall { wire, result: None }),
            "TOOL_CALL_CHUNK" => {
                self.calls.close_chunks(Some(&wire), out);
                self.messages.close_chunks(None, out);
                if !self.calls.is_running(&wire) {
                    self.start_call(&wire, &head, speaker, out);
                }
                self.calls.mark_chunked(&wire);
                if let Err(odd) = self.calls.push_args(&wire, head.delta.0.unwrap_or_default(), marked, out) {
                    self.unknown_frames.report(odd, out);
                }
            }
            _ => {
                if !self.calls.is_known(&wire) {
                    self.start_call(&wire, &head, speaker, out);
                }
                let failed = head.error.non_empty().is_some();
                let text = head.content.0.filter(|text| !text.is_empty() || !failed).or(head.error.0);
                let text = surrogate::resolve_marks(text.unwrap_or_default(), marked).into_owned();
                let outcome = if failed { CallOutcome::Failed } else { CallOutcome::Ok };
                if let Some(cut) = self.cut_calls.iter_mut().find(|cut| cut.wire == wire) {
                    cut.result = Some((outcome, text));
                    return self.messages.end_round(speaker, out);
                }
                self.newest_result = NewestResult {
                    message_id: head.message_id.0.unwrap_or_default().into_owned(),
                    call: wire.clone(),
                    text: text.clone(),
                };
                self.calls.finish(&wire, outcome, text, out);
                self.messages.end_round(speaker, out);
            }
        }
    }

    /// Tells what became of calls whose arguments ended short: a snapshot has completed them, or nothing will.
    fn settle_cut_calls(&mut self, out: &mut Vec<ReplyEvent>) {
        for CutCall { wire, result } in std::mem::take(&mut self.cut_calls) {
            self.calls.mark_ready(&wire, out);
            if let Some((outcome, text)) = result.filter(|_| self.calls.is_running(&wire)) {
                self.calls.finish(&wire, outcome, text, out);
            }
        }
    }

    fn start_call(&mut self, wire: &str, head: &AgUiEventFields<'_>, speaker: &Speaker, out: &mut Vec<ReplyEvent>) {
        let message = self.messages.open_for_call(head.parent_message_id.non_empty(), speaker, out);
        let (name, parent) = (head.tool_call_name.non_empty(), speaker.parent.clone());
        self.calls.start(AgentCallStart { wire_id: wire, name, message, parent, ran_by: ExecutedBy::Client }, out);
    }

    fn run_started(&mut self, head: &AgUiEventFields<'_>) {
        let run = head.run_id.non_empty().unwrap_or_default();
        if self.run.is_none() || self.outcome.is_some() {
            self.run = Some(run.to_owned());
            self.outcome = None;
        } else if self.run.as_deref() != Some(run) && self.nested_runs.len() < 64 {
            self.nested_runs.push(run.to_owned());
        }
    }

    fn run_finished(&mut self, head: &AgUiEventFields<'_>, event: &Json, out: &mut Vec<ReplyEvent>) {
        self.usage = sum_usage(event.get("usage").or_else(|| event.get("result")?.get("usage")), self.usage);
        self.settle_cut_calls(out);
        let run = head.run_id.non_empty().unwrap_or_default();
        if let Some(at) = self.nested_runs.iter().position(|nested| nested == run) {
            self.nested_runs.remove(at);
            return;
        }
        let outcome = event.get("outcome").unwrap_or(&Json::Null);
        let kind = outcome.as_str().or_else(|| outcome.get("type")?.as_str()).unwrap_or_default();
        // The drafts had a single interrupt next to the outcome.
        let interrupts =
            outcome.get("interrupts").or_else(|| event.get("interrupts")).or_else(|| event.get("interrupt"));
        let interrupts = match interrupts {
            Some(Json::Array(list)) => list.clone(),
            Some(one @ Json::Object(_)) => vec![one.clone()],
            _ => Vec::new(),
        };
        if kind == "interrupt" || !interrupts.is_empty() {
            self.ask_approvals(&interrupts, out);
            emit_waiting_notices(&interrupts, out);
        }
        if let Some(result) = event.get("result").filter(|result| !result.is_null()) {
            annotate(Annotation::Result { value: capped(result) }, out);
        }
        // An outcome that the format does not define, and fields that servers add for the model's finish reason.
        let added = ["finishReason", "finish_reason", "stopReason", "stop_reason"];
        let added = added.iter().find_map(|key| event.get(*key).or_else(|| event.get("result")?.get(*key))?.as_str());
        let words = [Some(kind).filter(|kind| !matches!(*kind, "" | "interrupt")), added];
        let reason =
            words.into_iter().flatten().map(WireFinishReason::parse).find(|reason| *reason != WireFinishReason::End);
        self.outcome = Some(match reason {
            Some(WireFinishReason::Interrupted) => TurnOutcome::Cancelled,
            Some(WireFinishReason::Failed) => {
                let server_error =
                    event.get("error").or_else(|| outcome.get("error")).and_then(error::parse_error_object);
                TurnOutcome::Failed(error::to_fault(
                    &server_error.unwrap_or_else(|| error::parse_error_data(&outcome.to_string())),
                ))
            }
            reason => {
                // Its messages are already closed.
                let finish_reason = reason.map_or(FinishReason::End, WireFinishReason::to_finish_reason);
                self.early_finish_reason =
                    matches!(finish_reason, FinishReason::Length | FinishReason::Refused).then_some(finish_reason);
                TurnOutcome::Completed
            }
        });
    }

    fn run_error(&mut self, head: &AgUiEventFields<'_>, event: &Json, marked: bool) {
        self.usage = sum_usage(event.get("usage"), self.usage);
        let server_error = if let Some(words) = head.message.non_empty() {
            let message = surrogate::resolve_marks(words.into(), marked);
            let code = head.code.non_empty().unwrap_or_default().to_owned();
            let status = code.parse().ok().filter(|status| *status >= 100);
            error::ServerError { message: error::to_single_line(&message), code, status }
        } else {
            error::parse_error_data(&event.to_string())
        };
        self.outcome = Some(TurnOutcome::Failed(error::to_fault(&server_error)));
        self.failed = true;
    }
}

impl DeltaFields {
    /// Returns the text of an event that is a delta of it, if it stands in the frame as it is.
    fn of<'a>(kind: &str, head: &AgUiEventFields<'a>) -> Option<(Self, &'a str)> {
        let is_delta = matches!(kind, "TEXT_MESSAGE_CONTENT" | "TEXT_MESSAGE_CHUNK" | "REASONING_MESSAGE_CONTENT");
        let Some(Cow::Borrowed(text)) = head.delta.0.as_ref().filter(|_| is_delta) else { return None };
        let owned = |field: &LooseStr<'_>| field.0.as_deref().map(str::to_owned);
        let fields = Self {
            kind: kind.to_owned(),
            message_id: owned(&head.message_id),
            role: owned(&head.role),
            subagent_run_id: owned(&head.subagent_run_id),
        };
        Some((fields, text))
    }

    fn event<'a>(&'a self, text: &'a str) -> AgUiEventFields<'a> {
        let borrowed = |field: &'a Option<String>| LooseStr(field.as_deref().map(Cow::Borrowed));
        AgUiEventFields {
            message_id: borrowed(&self.message_id),
            role: borrowed(&self.role),
            subagent_run_id: borrowed(&self.subagent_run_id),
            delta: LooseStr(Some(Cow::Borrowed(text))),
            ..AgUiEventFields::default()
        }
    }
}

impl Decode for AgUiDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        let data = frame.data.trim();
        if self.failed || data.is_empty() || data == "[DONE]" {
            return;
        }
        if let Some((fields, text)) = self.last_delta.take_matching(frame) {
            self.handle_event(&fields.kind, fields.event(text), "", false, out);
            return self.last_delta.put_back(fields);
        }
        let repaired = surrogate::mark_if_lone(data);
        let (text, marked) = (repaired.as_deref().unwrap_or(data), repaired.is_some());
        if let Ok(LooseObject(Some(head))) = serde_json::from_str::<LooseObject<AgUiEventFields<'_>>>(text) {
            let kind = head.kind.non_empty().unwrap_or(&frame.event).to_owned();
            if let Some((fields, text)) = DeltaFields::of(&kind, &head) {
                self.last_delta.learn(frame, text, &["timestamp"], fields);
            }
            return self.handle_event(&kind, head, text, marked, out);
        }
        // The slow path accepts repeated keys.
        let json: Option<Json> = serde_json::from_str(text).ok();
        match json.as_ref().filter(|json| json.is_object()).and_then(|json| AgUiEventFields::deserialize(json).ok()) {
            Some(head) => {
                let kind = head.kind.non_empty().unwrap_or(&frame.event).to_owned();
                self.handle_event(&kind, head, text, marked, out);
            }
            None => match error::find_error_in_unparsed(frame) {
                Some(server_error) => {
                    self.outcome = Some(TurnOutcome::Failed(error::to_fault(&server_error)));
                    self.failed = true;
                }
                None => self.unknown_frames.report("data that is not a JSON object", out),
            },
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.settle_cut_calls(out);
        let outcome = self.outcome.take().unwrap_or(TurnOutcome::Interrupted);
        let finish_reason = match outcome {
            TurnOutcome::Completed => self.early_finish_reason,
            _ => Some(outcome.finish_reason()),
        };
        if outcome == TurnOutcome::Completed {
            self.calls.close_chunks(None, out);
        }
        let was_closed = !self.messages.close_all(finish_reason, out);
        if let Some((code, text)) = self
            .early_finish_reason
            .and_then(|finish_reason| finish_reason.explanation(LastContent::Text))
            .filter(|_| was_closed)
        {
            out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code, text: text.into() });
        }
        if self.raw_events > 0 {
            annotate(Annotation::Custom { name: "raw events".into(), value: self.raw_events.into() }, out);
        }
        if let Some(usage) = self.usage.take() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Turn, usage });
        }
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        self.failed
    }

    fn is_done(&self) -> bool {
        self.failed
    }

    /// Another run may follow in the same stream.
    fn is_complete(&self) -> bool {
        self.outcome.is_some()
    }
}

/// Returns whether an event ends open chunks. Chunks continue after state, steps and the like.
fn ends_chunks(kind: &str) -> bool {
    let transparent = ["STATE_", "ACTIVITY_", "STEP_", "SUBAGENT_", "CUSTOM", "RAW", "REASONING_ENCRYPTED_VALUE"];
    !kind.ends_with("_CHUNK") && !transparent.iter().any(|word| kind.starts_with(word))
}

fn parse_role(role: &LooseStr<'_>) -> Role {
    match role.non_empty() {
        Some("user") => Role::User,
        Some("system" | "developer") => Role::System,
        Some("tool") => Role::Tool,
        _ => Role::Assistant,
    }
}

/// Parses the whole event where its frequent fields are not enough.
fn parse_event(text: &str, marked: bool) -> Json {
    let mut json: Json = serde_json::from_str(text).unwrap_or_default();
    surrogate::resolve_marks_in_json(&mut json, marked);
    json
}

fn annotate(annotation: Annotation, out: &mut Vec<ReplyEvent>) {
    out.push(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation });
}

fn shared_state(kept: fn(Json) -> SharedState, value: &Json) -> Annotation {
    Annotation::State(match excess_size(value) {
        Some(size) => SharedState::Bytes(size as u64),
        None => kept(value.clone()),
    })
}

/// Returns the value, or its size in bytes where it is too large to keep.
fn capped(value: &Json) -> Json {
    excess_size(value).map_or_else(|| value.clone(), |size| json!({ "left_out_bytes": size }))
}

/// Returns the size of a value that is too large to keep.
fn excess_size(value: &Json) -> Option<usize> {
    Some(value.to_string().len()).filter(|size| *size > MAX_ANNOTATION_BYTES)
}

fn emit_waiting_notices(interrupts: &[Json], out: &mut Vec<ReplyEvent>) {
    let word = |interrupt: &Json, key: &str| {
        interrupt.get(key).and_then(Json::as_str).map(error::to_single_line).filter(|text| !text.is_empty())
    };
    let reasons: Vec<String> =
        interrupts.iter().filter_map(|one| word(one, "message").or_else(|| word(one, "reason"))).collect();
    let reasons = if reasons.is_empty() { "no reason given".to_owned() } else { reasons.join("; ") };
    let text = format!("the agent needs an answer before it continues: {reasons}");
    out.push(ReplyEvent::Notice { level: NoticeLevel::Warn, code: NoticeCode::InputRequired, text });
    annotate(Annotation::Interrupt { interrupts: capped(&interrupts.into()) }, out);
}

/// Adds up the usage of all models.
fn sum_usage(usage: Option<&Json>, before: Option<Usage>) -> Option<Usage> {
    let entries = match usage {
        Some(Json::Array(entries)) => entries.as_slice(),
        Some(one @ Json::Object(_)) => std::slice::from_ref(one),
        _ => return before,
    };
    let mut sum = before.unwrap_or_default();
    for entry in entries {
        sum = sum.plus(usage::parse(entry).unwrap_or_default());
    }
    (sum.total() > 0).then_some(sum)
}

#[cfg(test)]
mod tests;
