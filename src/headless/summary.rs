//! PURE. Folds a run's events into the JSON object of `--output-format json`, and into an exit code.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::engine::{find_spec, openai};
use crate::event::answer::{Answer, AnswerCall, AnswerDelta, AnswerEvent, AnswerLimits};
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallOutcome, Envelope, Fault, FaultKind, FinishReason, LastContent,
    MessageId, Millis, NoticeCode, NoticeLevel, TextKind, TurnId, TurnOutcome, Usage,
};
use crate::text::clean::one_line;

/// The result of a run.
#[derive(Clone, Debug)]
pub struct RunSummary {
    session: String,
    source: &'static str,
    engine: String,
    model: String,
    /// The detected dialect of the responses.
    dialect: Option<String>,
    /// There was no engine, so no engine failed.
    has_no_engine: bool,
    /// The answer of the newest turn.
    answer: Answer,
    /// The messages of all turns.
    messages: Vec<(MessageId, String)>,
    /// The last content of each open message.
    last_parts: HashMap<MessageId, LastContent>,
    /// The explanation for a message that the last event finished abnormally.
    remark: Option<&'static str>,
    reasoning: String,
    /// Of the turns before.
    earlier_calls: Vec<AnswerCall>,
    earlier_usage: Option<Usage>,
    /// What the source says that each turn cost, in US dollars.
    costs: HashMap<TurnId, f64>,
    /// When the open turn started.
    turn_started_at: Option<Millis>,
    first_token: Option<Millis>,
    total_time: Millis,
    notices: Vec<(NoticeCode, String, u64)>,
    was_denied: bool,
}

impl RunSummary {
    /// `source` is `agent`, `remote` or `replay`.
    pub fn new(session: &str, source: &'static str) -> Self {
        Self {
            session: session.to_owned(),
            source,
            engine: String::new(),
            model: String::new(),
            dialect: None,
            has_no_engine: false,
            answer: Answer::new(AnswerLimits::NONE),
            messages: Vec::new(),
            last_parts: HashMap::new(),
            remark: None,
            reasoning: String::new(),
            earlier_calls: Vec::new(),
            earlier_usage: None,
            costs: HashMap::new(),
            turn_started_at: None,
            first_token: None,
            total_time: Millis::default(),
            notices: Vec::new(),
            was_denied: false,
        }
    }

    pub fn observe(&mut self, envelope: &Envelope) {
        self.remark = None;
        if matches!(envelope.event, AgentEvent::TurnStarted { .. }) {
            self.begin_turn(envelope.at);
        }
        self.observe_answer(&envelope.event);
        match &envelope.event {
            AgentEvent::SessionOpened { engine, model, .. } => {
                self.engine.clone_from(engine);
                self.model.clone_from(model);
            }
            AgentEvent::MessageFinished { message, finish_reason, .. } => self.explain_end(message, *finish_reason),
            AgentEvent::ToolCallFinished { outcome, .. } => self.was_denied |= *outcome == CallOutcome::Denied,
            AgentEvent::Annotation { on, annotation } => self.apply_annotation(on, annotation),
            AgentEvent::Notice { code, text, .. } => {
                self.has_no_engine |= *code == NoticeCode::NoEngine;
                // Reported for an answer whose messages were already finished.
                if *code == NoticeCode::OutputLimit {
                    self.answer.finish_reason = Some(FinishReason::Length);
                }
                self.add_notice(code.clone(), text);
            }
            AgentEvent::TurnFinished { .. } => {
                if let Some(started) = self.turn_started_at.take() {
                    self.total_time = self.total_time.plus(envelope.at.since(started));
                }
            }
            _ => {}
        }
    }

    fn begin_turn(&mut self, at: Millis) {
        self.turn_started_at = Some(at);
        let before = std::mem::replace(&mut self.answer, Answer::new(AnswerLimits::NONE));
        self.earlier_usage = sum_usage(self.earlier_usage, before.usage());
        self.earlier_calls.extend(before.calls);
    }

    /// Adds to the messages what an event adds to the answer. What a sub-agent says is not the answer; its call's output
    /// tells what came of it.
    fn observe_answer(&mut self, event: &AgentEvent) {
        if let Some(AnswerEvent::MessageStarted { message, has_parent: false }) = AnswerEvent::of(event) {
            self.messages.push((message.clone(), String::new()));
        }
        let before = self.track_part(event);
        match self.answer.observe(event) {
            AnswerDelta::Text { message, text, kind, .. } => {
                let is_other = kind == TextKind::Refusal && before != Some(LastContent::Refusal);
                if let Some(whole) = self.message_text(message) {
                    if is_other && !whole.is_empty() && !whole.ends_with('\n') {
                        whole.push_str("\n\n");
                    }
                    whole.push_str(text);
                }
            }
            AnswerDelta::Corrected { message, text } => {
                if let Some(whole) = self.message_text(message) {
                    text.clone_into(whole);
                }
            }
            AnswerDelta::Reasoning { text, .. } => self.reasoning.push_str(text),
            _ => {}
        }
    }

    /// Records what an open message holds last, and returns what it held before.
    fn track_part(&mut self, event: &AgentEvent) -> Option<LastContent> {
        let (message, part) = match AnswerEvent::of(event)? {
            AnswerEvent::MessageStarted { message, .. } => {
                return self.last_parts.insert(message.clone(), LastContent::Nothing);
            }
            AnswerEvent::Text { message, kind: TextKind::Text, .. } => (message, LastContent::Text),
            AnswerEvent::Text { message, kind: TextKind::Refusal, .. } => (message, LastContent::Refusal),
            AnswerEvent::Reasoning { message, .. } => (message, LastContent::Reasoning),
            AnswerEvent::CallStarted(call) => (call.message, LastContent::Call),
            _ => return None,
        };
        Some(std::mem::replace(self.last_parts.get_mut(message)?, part))
    }

    fn apply_annotation(&mut self, on: &AnnotationTarget, annotation: &Annotation) {
        match (annotation, on) {
            (Annotation::FirstToken { ms }, _) => {
                self.first_token.get_or_insert(*ms);
            }
            (Annotation::Cost { usd }, AnnotationTarget::Turn(turn)) => {
                self.costs.insert(turn.clone(), *usd);
            }
            (Annotation::ServedBy { model: Some(model), .. }, _) if self.model.is_empty() => {
                self.model.clone_from(model);
            }
            (Annotation::Dialect { name, .. }, _) => self.dialect = Some(name.clone()),
            // It turned out to be another client's.
            (Annotation::Foreign(true), AnnotationTarget::Call(call)) => {
                self.answer.calls.retain(|known| known.id != *call);
            }
            _ => {}
        }
    }

    /// Explains a message that finished abnormally.
    fn explain_end(&mut self, message: &MessageId, finish_reason: FinishReason) {
        let Some(last) = self.last_parts.remove(message) else { return };
        let Some((code, text)) = finish_reason.explanation(last) else { return };
        // The dialect may have reported it with the server's own words.
        if code == NoticeCode::Refused && self.notices.iter().any(|(known, _, _)| *known == code) {
            return;
        }
        self.remark = Some(text);
        self.add_notice(code, text);
    }

    /// Returns the explanation if the last event finished an answer that was cut off or declined.
    pub fn remark(&self) -> Option<&'static str> {
        self.remark
    }

    /// Marks the run itself as failed, for example because its time limit was reached.
    pub fn set_failed(&mut self, fault: Fault) {
        self.answer.outcome = Some(TurnOutcome::Failed(fault));
    }

    /// Marks the run as cancelled by the person.
    pub fn set_cancelled(&mut self) {
        self.answer.outcome = Some(TurnOutcome::Cancelled);
    }

    /// Marks the run as abandoned, unless its end is already known.
    pub fn left(&mut self) {
        self.answer.outcome.get_or_insert(TurnOutcome::Cancelled);
    }

    pub fn add_notice(&mut self, code: NoticeCode, text: &str) {
        match self.notices.iter_mut().find(|(known, _, _)| *known == code) {
            Some((_, _, count)) => *count += 1,
            None => self.notices.push((code, text.to_owned(), 1)),
        }
    }

    pub fn outcome(&self) -> Option<&TurnOutcome> {
        self.answer.outcome.as_ref()
    }

    /// Returns the exit code: 0 ok, 1 failed or declined, 3 the settings name no usable engine, 4 authentication, 5
    /// network or stream lost, 6 a limit was reached (including the model's output limit), 7 a call was denied and the
    /// turn otherwise completed, 130 interrupted by the person. Whether it was saved (8) is known only to the run.
    pub fn exit_code(&self) -> u8 {
        let finish_reason = self.answer.finish_reason;
        match &self.answer.outcome {
            Some(TurnOutcome::Completed) if finish_reason == Some(FinishReason::Length) => 6,
            Some(TurnOutcome::Completed) if finish_reason == Some(FinishReason::Refused) => 1,
            Some(TurnOutcome::Completed) if self.was_denied => 7,
            Some(TurnOutcome::Completed) => 0,
            Some(TurnOutcome::Cancelled) => 130,
            Some(TurnOutcome::Interrupted) | None => 5,
            Some(TurnOutcome::Failed(fault)) if fault.kind == FaultKind::BadRequest && self.has_no_engine => 3,
            Some(TurnOutcome::Failed(fault)) => exit_code(fault),
        }
    }

    /// Returns the object that `--output-format json` prints.
    pub fn to_json(&self) -> Value {
        let texts: Vec<&str> =
            self.messages.iter().map(|(_, text)| text.as_str()).filter(|text| !text.is_empty()).collect();
        let (outcome, error) = match &self.answer.outcome {
            Some(TurnOutcome::Completed) => ("completed", Value::Null),
            Some(TurnOutcome::Cancelled) => ("cancelled", Value::Null),
            Some(TurnOutcome::Interrupted) | None => {
                ("interrupted", json!({ "kind": "interrupted", "message": self.disconnect_reason() }))
            }
            Some(TurnOutcome::Failed(fault)) => {
                ("failed", json!({ "kind": fault.kind.name(), "message": fault.message }))
            }
        };
        let calls = self.earlier_calls.iter().chain(&self.answer.calls);
        let usage = sum_usage(self.earlier_usage, self.answer.usage());
        let count =
            |code: NoticeCode| self.notices.iter().find(|(known, _, _)| *known == code).map_or(0, |(_, _, n)| *n);
        json!({
            "session": self.session,
            "source": self.source,
            "engine": self.engine,
            "dialect": self.dialect(),
            "model": self.model,
            "outcome": outcome,
            "stop": self.answer.finish_reason,
            "text": texts.join("\n\n"),
            "reasoning": self.reasoning,
            "messages": texts.iter().map(|text| json!({ "role": "assistant", "text": text })).collect::<Vec<_>>(),
            "tool_calls": calls.map(call_json).collect::<Vec<_>>(),
            "usage": usage.map(usage_json),
            "cost_usd": (!self.costs.is_empty()).then(|| self.costs.values().sum::<f64>()),
            "timing": { "first_token_ms": self.first_token, "total_ms": self.total_time },
            "error": error,
            "notices": self.notices.iter().map(|(code, message, count)| {
                json!({ "code": code, "message": message, "count": count })
            }).collect::<Vec<_>>(),
            "link": { "attempts": count(NoticeCode::Retry), "resumed": count(NoticeCode::Resumed), "gaps": count(NoticeCode::Gap) },
        })
    }

    /// Returns why an answer has no end: the last connection error, if there was one.
    pub(super) fn disconnect_reason(&self) -> &str {
        let cut = self.notices.iter().rfind(|(code, _, _)| *code == NoticeCode::Cut);
        cut.map_or("the answer was cut short", |(_, why, _)| why)
    }

    /// Returns the dialect of the responses: detected for a remote, known for an engine.
    fn dialect(&self) -> Option<&str> {
        let known = (self.source != "remote").then(|| dialect_of(&self.engine));
        self.dialect.as_deref().or(known)
    }

    fn message_text(&mut self, id: &MessageId) -> Option<&mut String> {
        self.messages.iter_mut().rev().find(|(known, _)| known == id).map(|(_, text)| text)
    }
}

/// Returns the exit code for a fault.
pub fn exit_code(fault: &Fault) -> u8 {
    match fault.kind {
        FaultKind::Auth => 4,
        FaultKind::Network | FaultKind::TimedOut | FaultKind::Protocol => 5,
        FaultKind::LimitReached => 6,
        FaultKind::RateLimited
        | FaultKind::ContextTooLong
        | FaultKind::BadRequest
        | FaultKind::Refused
        | FaultKind::Tool
        | FaultKind::Upstream
        | FaultKind::Internal => 1,
    }
}

fn sum_usage(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    [one, other].into_iter().flatten().reduce(Usage::plus)
}

fn call_json(call: &AnswerCall) -> Value {
    // Arguments that were cut off are not shown as if they were whole.
    let args = if call.is_ready { call.args.as_str() } else { "" };
    json!({
        "id": call.id,
        "name": call.name,
        "arguments": serde_json::from_str(args).unwrap_or_else(|_| Value::from(args)),
        "status": call.outcome.unwrap_or(CallOutcome::Unknown).name(),
        "output": call.output,
        "duration_ms": call.took,
    })
}

/// Returns tokens as JSON.
pub fn usage_json(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        "cached_tokens": usage.cached_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "estimated": usage.estimated,
    })
}

/// Guesses the dialect by an engine's name, for logs that don't contain it. The embedded one emits events directly.
fn dialect_of(engine: &str) -> &'static str {
    find_spec(engine).unwrap_or(&openai::SPEC).dialect
}

/// Returns the prefix of a notice of this level on stderr.
pub(super) fn level_prefix(level: NoticeLevel) -> &'static str {
    match level {
        NoticeLevel::Info => "·",
        NoticeLevel::Warn => "!",
        NoticeLevel::Error => "✗",
    }
}

/// Describes in one line a call that did not simply succeed. Calls that were not to run here are not errors.
pub(super) fn call_outcome_line(name: &str, outcome: CallOutcome, output: &str) -> String {
    let sign = if outcome == CallOutcome::Requested { "·" } else { "!" };
    let words = outcome.label();
    let head = if words.contains(' ') { format!("{sign} {name}: {words}") } else { format!("{sign} {name} {words}") };
    let why = one_line(output.strip_prefix("denied: ").unwrap_or(output), 200);
    if why.is_empty() { head } else { format!("{head}: {why}") }
}

#[cfg(test)]
mod tests;
