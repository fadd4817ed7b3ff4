//! PURE. Folds a run's events into the JSON object of `--output-format json`, and into an exit code.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::engine::{find_spec, openai};
use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, Envelope, Fault, FaultKind, FinishReason,
    LastContent, MessageId, Millis, NoticeCode, NoticeLevel, Role, TextKind, TurnId, TurnOutcome, Usage, UsageScope,
};
use crate::text::clean::one_line;

/// The result of a run.
#[derive(Clone, Debug, Default)]
pub struct RunSummary {
    session: String,
    source: &'static str,
    engine: String,
    model: String,
    /// The detected dialect of the responses.
    dialect: Option<String>,
    /// There was no engine, so no engine failed.
    has_no_engine: bool,
    outcome: Option<TurnOutcome>,
    messages: Vec<(MessageId, String)>,
    /// Messages of sub-agents: their finish reasons are not the answer's.
    sub_agent_messages: HashSet<MessageId>,
    /// The last content of each open message.
    last_parts: HashMap<MessageId, LastContent>,
    /// The finish reason of the answer's last message.
    finish_reason: Option<FinishReason>,
    /// The explanation for a message that the last event finished abnormally.
    remark: Option<&'static str>,
    reasoning: String,
    calls: Vec<CallSummary>,
    usage: HashMap<(TurnId, UsageScope), Usage>,
    /// What the source says that each turn cost, in US dollars.
    costs: HashMap<TurnId, f64>,
    open_turn: Option<(TurnId, Millis)>,
    first_token: Option<Millis>,
    total_time: Millis,
    notices: Vec<(NoticeCode, String, u64)>,
    was_denied: bool,
    has_usage: bool,
}

#[derive(Clone, Debug)]
struct CallSummary {
    id: CallId,
    name: String,
    args: String,
    outcome: CallOutcome,
    output: String,
    duration: Option<Millis>,
}

impl RunSummary {
    /// `source` is `agent`, `remote` or `replay`.
    pub fn new(session: &str, source: &'static str) -> Self {
        Self { session: session.to_owned(), source, ..Self::default() }
    }

    pub fn observe(&mut self, envelope: &Envelope) {
        self.remark = None;
        match &envelope.event {
            AgentEvent::SessionOpened { engine, model, .. } => {
                self.engine.clone_from(engine);
                self.model.clone_from(model);
            }
            AgentEvent::TurnStarted { turn, .. } => {
                self.open_turn = Some((turn.clone(), envelope.at));
                self.outcome = None;
                self.finish_reason = None;
            }
            AgentEvent::MessageStarted { .. }
            | AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::MessageFinished { .. } => self.message_changed(&envelope.event),
            AgentEvent::ToolCallStarted { .. }
            | AgentEvent::ToolCallReady { .. }
            | AgentEvent::ToolCallFinished { .. } => self.call_changed(&envelope.event),
            AgentEvent::Annotation { on, annotation } => self.apply_annotation(on, annotation),
            AgentEvent::UsageReported { scope, usage } => {
                if let Some((turn, _)) = &self.open_turn {
                    self.has_usage = true;
                    self.usage.insert((turn.clone(), *scope), *usage);
                }
            }
            AgentEvent::Notice { code, text, .. } => {
                self.has_no_engine |= *code == NoticeCode::NoEngine;
                // Reported for an answer whose messages were already finished.
                if *code == NoticeCode::OutputLimit {
                    self.finish_reason = Some(FinishReason::Length);
                }
                self.add_notice(code.clone(), text);
            }
            AgentEvent::TurnFinished { outcome: end, .. } => {
                if let Some((_, started)) = self.open_turn.take() {
                    self.total_time = self.total_time.plus(envelope.at.since(started));
                }
                self.outcome = Some(end.clone());
            }
            AgentEvent::UserMessage { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ApprovalRequested { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::Unknown(_) => {}
        }
    }

    fn message_changed(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent } => {
                // What a sub-agent says is not the answer; its call's output tells what came of it.
                if parent.is_some() {
                    self.sub_agent_messages.insert(message.clone());
                } else {
                    self.messages.push((message.clone(), String::new()));
                }
                self.last_parts.insert(message.clone(), LastContent::Nothing);
            }
            AgentEvent::TextDelta { message, text, kind } => {
                let part = if *kind == TextKind::Text { LastContent::Text } else { LastContent::Refusal };
                let is_other = self.replace_last_part(message, part).is_some_and(|last| last != part);
                if let Some(whole) = self.message_text(message) {
                    if is_other && part == LastContent::Refusal && !whole.is_empty() && !whole.ends_with('\n') {
                        whole.push_str("\n\n");
                    }
                    whole.push_str(text);
                }
            }
            AgentEvent::ReasoningDelta { message, text } => {
                self.replace_last_part(message, LastContent::Reasoning);
                self.reasoning.push_str(text);
            }
            AgentEvent::MessageFinished { message, finish_reason: stop, full_text: full, .. } => {
                if let Some(full) = full
                    && let Some(whole) = self.message_text(message)
                {
                    whole.clone_from(full);
                }
                self.finish_message(message, *stop);
            }
            _ => {}
        }
    }

    fn call_changed(&mut self, event: &AgentEvent) {
        match event {
            AgentEvent::ToolCallStarted { call, message, name, .. } => {
                self.replace_last_part(message, LastContent::Call);
                self.calls.push(CallSummary {
                    id: call.clone(),
                    name: name.clone().unwrap_or_default(),
                    args: String::new(),
                    outcome: CallOutcome::Unknown,
                    output: String::new(),
                    duration: None,
                });
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                if let Some(known) = self.find_call(call) {
                    known.name.clone_from(name);
                    known.args.clone_from(args);
                }
            }
            AgentEvent::ToolCallFinished { call, outcome, output, duration: took } => {
                self.was_denied |= *outcome == CallOutcome::Denied;
                if let Some(known) = self.find_call(call) {
                    known.outcome = *outcome;
                    known.output.clone_from(&output.text);
                    known.duration = took.or(known.duration);
                }
            }
            _ => {}
        }
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
            (Annotation::Foreign(true), AnnotationTarget::Call(call)) => self.calls.retain(|known| known.id != *call),
            _ => {}
        }
    }

    /// Returns the previous value.
    fn replace_last_part(&mut self, message: &MessageId, part: LastContent) -> Option<LastContent> {
        Some(std::mem::replace(self.last_parts.get_mut(message)?, part))
    }

    fn finish_message(&mut self, message: &MessageId, stop: FinishReason) {
        let Some(last) = self.last_parts.remove(message) else { return };
        if !self.sub_agent_messages.remove(message) {
            self.finish_reason = Some(stop);
        }
        let Some((code, text)) = stop.explanation(last) else { return };
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
        self.outcome = Some(TurnOutcome::Failed(fault));
    }

    /// Marks the run as cancelled by the person.
    pub fn set_cancelled(&mut self) {
        self.outcome = Some(TurnOutcome::Cancelled);
    }

    /// Marks the run as abandoned, unless its end is already known.
    pub fn left(&mut self) {
        self.outcome.get_or_insert(TurnOutcome::Cancelled);
    }

    pub fn add_notice(&mut self, code: NoticeCode, text: &str) {
        match self.notices.iter_mut().find(|(known, _, _)| *known == code) {
            Some((_, _, count)) => *count += 1,
            None => self.notices.push((code, text.to_owned(), 1)),
        }
    }

    pub fn outcome(&self) -> Option<&TurnOutcome> {
        self.outcome.as_ref()
    }

    /// Returns the exit code: 0 ok, 1 failed or declined, 3 the settings name no usable engine, 4 authentication, 5
    /// network or stream lost, 6 a limit was reached (including the model's output limit), 7 a call was denied and the
    /// turn otherwise completed, 130 interrupted by the person. Whether it was saved (8) is known only to the run.
    pub fn exit_code(&self) -> u8 {
        match &self.outcome {
            Some(TurnOutcome::Completed) if self.finish_reason == Some(FinishReason::Length) => 6,
            Some(TurnOutcome::Completed) if self.finish_reason == Some(FinishReason::Refused) => 1,
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
        let (outcome, error) = match &self.outcome {
            Some(TurnOutcome::Completed) => ("completed", Value::Null),
            Some(TurnOutcome::Cancelled) => ("cancelled", Value::Null),
            Some(TurnOutcome::Interrupted) | None => {
                ("interrupted", json!({ "kind": "interrupted", "message": self.disconnect_reason() }))
            }
            Some(TurnOutcome::Failed(fault)) => {
                ("failed", json!({ "kind": fault.kind.name(), "message": fault.message }))
            }
        };
        let usage = if self.has_usage {
            let sum = self.total_usage();
            json!({
                "input_tokens": sum.input_tokens,
                "output_tokens": sum.output_tokens,
                "total_tokens": sum.total(),
                "cached_tokens": sum.cached_tokens,
                "reasoning_tokens": sum.reasoning_tokens,
                "estimated": sum.estimated,
            })
        } else {
            Value::Null
        };
        let count =
            |code: NoticeCode| self.notices.iter().find(|(known, _, _)| *known == code).map_or(0, |(_, _, n)| *n);
        json!({
            "session": self.session,
            "source": self.source,
            "engine": self.engine,
            "dialect": self.dialect(),
            "model": self.model,
            "outcome": outcome,
            "stop": self.finish_reason,
            "text": texts.join("\n\n"),
            "reasoning": self.reasoning,
            "messages": texts.iter().map(|text| json!({ "role": "assistant", "text": text })).collect::<Vec<_>>(),
            "tool_calls": self.calls.iter().map(CallSummary::to_json).collect::<Vec<_>>(),
            "usage": usage,
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

    /// Adds up the requests of a turn; if the source reports a sum for the turn, that counts instead.
    fn total_usage(&self) -> Usage {
        let whole_turns: Vec<&TurnId> =
            self.usage.keys().filter(|(_, scope)| *scope == UsageScope::Turn).map(|(turn, _)| turn).collect();
        self.usage
            .iter()
            .filter(|((turn, scope), _)| *scope == UsageScope::Turn || !whole_turns.contains(&turn))
            .fold(Usage::default(), |sum, (_, usage)| sum.plus(*usage))
    }

    fn message_text(&mut self, id: &MessageId) -> Option<&mut String> {
        self.messages.iter_mut().rev().find(|(known, _)| known == id).map(|(_, text)| text)
    }

    fn find_call(&mut self, id: &CallId) -> Option<&mut CallSummary> {
        self.calls.iter_mut().rev().find(|call| call.id == *id)
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

impl CallSummary {
    fn to_json(&self) -> Value {
        let arguments = serde_json::from_str(&self.args).unwrap_or_else(|_| Value::String(self.args.clone()));
        json!({
            "id": self.id,
            "name": self.name,
            "arguments": arguments,
            "status": self.outcome.name(),
            "output": self.output,
            "duration_ms": self.duration,
        })
    }
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
