//! PURE. From the events of a session to spans: the turn, below it each answer of the model and each call of a tool.
//!
//! A turn is told when it is over, as a whole. An answer begins where the turn did, or where the last tool was done.

use std::collections::HashMap;

use crate::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, Envelope, ExecutedBy, FinishReason, Json, MessageId,
    Millis, Role, SessionId, TurnId, TurnOutcome, Usage, UsageScope,
};

/// Limit of a text in a span.
const MAX_CONTENT_BYTES: usize = 64 << 10;
/// Spans of one turn; what comes later is left out.
const MAX_TURN_SPANS: usize = 1_000;
const AGENT_NAME: &str = "jarvis-tui";

/// A piece of work with its times.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) trace: [u8; 16],
    pub(super) id: [u8; 8],
    pub(super) parent: Option<[u8; 8]>,
    pub(super) name: String,
    /// Whether it is a request to another program.
    pub(super) is_client: bool,
    /// Milliseconds since 1970.
    pub(super) start_ms: u64,
    pub(super) end_ms: u64,
    pub(super) attributes: Vec<(&'static str, AttributeValue)>,
    /// Why it failed, if it did.
    pub(super) error: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum AttributeValue {
    Text(String),
    Number(u64),
    Seconds(f64),
    Flag(bool),
    Texts(Vec<String>),
}

impl Span {
    /// Returns every text that may repeat what was said.
    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let values = self.attributes.iter_mut().filter_map(|(_, value)| match value {
            AttributeValue::Text(text) => Some(text),
            _ => None,
        });
        values.chain(self.error.as_mut())
    }
}

/// Makes spans of the turns of one session.
pub(super) struct TurnTracer<F> {
    session: SessionId,
    tells_content: bool,
    is_past: fn(&TurnId) -> bool,
    /// Makes 16 random bytes.
    mint: F,
    opened: Option<SessionModel>,
    turn: Option<Turn>,
}

/// What the last opening of the session said.
struct SessionModel {
    provider: String,
    model: String,
    version: String,
    /// The wall time at which the session's clock was 0.
    base_ms: u64,
}

struct Turn {
    trace: [u8; 16],
    id: [u8; 8],
    start: Millis,
    /// Where the next answer begins.
    boundary: Millis,
    prompt: String,
    usage: HashMap<UsageScope, Usage>,
    answers: Vec<Answer>,
    calls: Vec<TracedCall>,
}

struct Answer {
    message: MessageId,
    id: [u8; 8],
    parent: Option<CallId>,
    start: Millis,
    end: Option<Millis>,
    text: String,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
    first_token: Option<Millis>,
    served_by: (Option<String>, Option<String>),
}

struct TracedCall {
    call_id: CallId,
    id: [u8; 8],
    parent: Option<CallId>,
    name: String,
    args: String,
    start: Millis,
    end: Option<(Millis, CallOutcome)>,
    output: String,
    executed_by: ExecutedBy,
}

impl<F: FnMut() -> [u8; 16]> TurnTracer<F> {
    pub(super) fn new(session: SessionId, tells_content: bool, is_past: fn(&TurnId) -> bool, mint: F) -> Self {
        Self { session, tells_content, is_past, mint, opened: None, turn: None }
    }

    /// Forgets the turn that runs.
    pub(super) fn reset(&mut self) {
        self.turn = None;
    }

    /// Takes an event; the end of a turn adds its spans to `out`.
    pub(super) fn observe(&mut self, envelope: &Envelope, out: &mut Vec<Span>) {
        let at = envelope.at;
        match &envelope.event {
            AgentEvent::SessionOpened { wall_ms, engine, model, version, .. } => {
                self.opened = Some(SessionModel {
                    provider: engine.strip_suffix("-responses").unwrap_or(engine).to_owned(),
                    model: model.clone(),
                    version: version.clone(),
                    base_ms: wall_ms.saturating_sub(at.0),
                });
            }
            AgentEvent::TurnStarted { turn, .. } => {
                let is_ours = !(self.is_past)(turn);
                self.turn = is_ours.then(|| Turn {
                    trace: (self.mint)(),
                    id: span_id(&mut self.mint),
                    start: at,
                    boundary: at,
                    prompt: String::new(),
                    usage: HashMap::new(),
                    answers: Vec::new(),
                    calls: Vec::new(),
                });
            }
            AgentEvent::TurnFinished { outcome, .. } => {
                if let (Some(turn), Some(opened)) = (self.turn.take(), &self.opened) {
                    let told = Told { session: &self.session, opened, tells_content: self.tells_content };
                    told.turn(&turn, at, outcome, out);
                }
            }
            event => {
                if let Some(turn) = &mut self.turn {
                    turn.observe(event, at, self.tells_content, &mut self.mint);
                }
            }
        }
    }
}

fn span_id(mint: &mut impl FnMut() -> [u8; 16]) -> [u8; 8] {
    let [_, _, _, _, _, _, _, _, id @ ..] = mint();
    id
}

/// Appends as much as a span may hold.
fn append(text: &mut String, more: &str, tells_content: bool) {
    if tells_content {
        let room = MAX_CONTENT_BYTES.saturating_sub(text.len());
        text.push_str(&more[..more.floor_char_boundary(room)]);
    }
}

impl Turn {
    fn observe(&mut self, event: &AgentEvent, at: Millis, tells: bool, mint: &mut impl FnMut() -> [u8; 16]) {
        match event {
            AgentEvent::UserMessage { text, .. } => append(&mut self.prompt, text, tells),
            AgentEvent::MessageStarted { message, role: Role::Assistant, parent } if self.has_room() => {
                let start = if parent.is_some() { at } else { self.boundary };
                self.answers.push(Answer {
                    message: message.clone(),
                    id: span_id(mint),
                    parent: parent.clone(),
                    start,
                    end: None,
                    text: String::new(),
                    finish: None,
                    usage: None,
                    first_token: None,
                    served_by: (None, None),
                });
            }
            AgentEvent::TextDelta { message, text, .. } => {
                if let Some(answer) = self.answer(message) {
                    append(&mut answer.text, text, tells);
                }
            }
            AgentEvent::MessageFinished { message, finish_reason, full_text, .. } => {
                if let Some(answer) = self.answer(message) {
                    (answer.end, answer.finish) = (Some(at), Some(*finish_reason));
                    if let Some(full) = full_text {
                        answer.text.clear();
                        append(&mut answer.text, full, tells);
                    }
                }
                self.boundary = at;
            }
            AgentEvent::UsageReported { scope, usage } => {
                self.usage.insert(*scope, *usage);
                if matches!(scope, UsageScope::Request(_))
                    && let Some(answer) = self.answers.iter_mut().rfind(|answer| answer.parent.is_none())
                {
                    answer.usage = Some(*usage);
                }
            }
            AgentEvent::Annotation { on: AnnotationTarget::Message(message), annotation } => {
                let Some(answer) = self.answer(message) else { return };
                match annotation {
                    Annotation::FirstToken { ms } => answer.first_token = Some(*ms),
                    Annotation::ServedBy { id, model } => answer.served_by = (id.clone(), model.clone()),
                    _ => {}
                }
            }
            AgentEvent::ToolCallStarted { call, name, parent, executed_by, .. } if self.has_room() => {
                self.calls.push(TracedCall {
                    call_id: call.clone(),
                    id: span_id(mint),
                    parent: parent.clone(),
                    name: name.clone().unwrap_or_default(),
                    args: String::new(),
                    start: at,
                    end: None,
                    output: String::new(),
                    executed_by: *executed_by,
                });
            }
            AgentEvent::ToolCallReady { call, name, args, .. } => {
                if let Some(call) = self.call(call) {
                    (call.start, call.name) = (at, name.clone());
                    append(&mut call.args, args, tells);
                }
            }
            // What a person took to decide is not the tool's time.
            AgentEvent::ApprovalResolved { call, .. } => {
                if let Some(call) = self.call(call) {
                    call.start = at;
                }
            }
            AgentEvent::ToolCallFinished { call, outcome, output, duration } => {
                if let Some(call) = self.call(call) {
                    call.end = Some((at, *outcome));
                    if let Some(took) = duration {
                        call.start = Millis(at.0.saturating_sub(took.0));
                    }
                    call.output.clear();
                    append(&mut call.output, &output.text, tells);
                }
                self.boundary = at;
            }
            _ => {}
        }
    }

    fn has_room(&self) -> bool {
        self.answers.len() + self.calls.len() < MAX_TURN_SPANS
    }

    fn answer(&mut self, message: &MessageId) -> Option<&mut Answer> {
        self.answers.iter_mut().rfind(|answer| answer.message == *message)
    }

    fn call(&mut self, id: &CallId) -> Option<&mut TracedCall> {
        self.calls.iter_mut().rfind(|call| call.call_id == *id)
    }

    fn usage(&self) -> Option<Usage> {
        let whole = self.usage.get(&UsageScope::Turn).copied();
        whole.or_else(|| self.usage.values().copied().reduce(Usage::plus))
    }
}

/// What all spans of a turn tell.
struct Told<'a> {
    session: &'a SessionId,
    opened: &'a SessionModel,
    tells_content: bool,
}

impl Told<'_> {
    fn turn(&self, turn: &Turn, end: Millis, outcome: &TurnOutcome, out: &mut Vec<Span>) {
        let mut attributes = self.model_attributes("invoke_agent");
        attributes.push(("gen_ai.agent.name", AttributeValue::Text(AGENT_NAME.to_owned())));
        attributes.push(("gen_ai.agent.version", AttributeValue::Text(self.opened.version.clone())));
        push_usage(turn.usage(), &mut attributes);
        if self.tells_content {
            attributes.push(("gen_ai.input.messages", message("user", &text_part(&turn.prompt), None)));
            let last = turn.answers.iter().rfind(|answer| answer.parent.is_none());
            if let Some(last) = last {
                attributes.push(("gen_ai.output.messages", last.output(&turn.calls)));
            }
        }
        let error = match outcome {
            TurnOutcome::Completed => None,
            TurnOutcome::Cancelled => Some(("cancelled", "cancelled".to_owned())),
            TurnOutcome::Interrupted => Some(("interrupted", "interrupted".to_owned())),
            TurnOutcome::Failed(fault) => Some((fault.kind.name(), fault.message.clone())),
        };
        if let Some((kind, _)) = &error {
            attributes.push(("error.type", AttributeValue::Text((*kind).to_owned())));
        }
        out.push(Span {
            trace: turn.trace,
            id: turn.id,
            parent: None,
            name: format!("invoke_agent {AGENT_NAME}"),
            is_client: false,
            start_ms: self.wall(turn.start),
            end_ms: self.wall(end),
            attributes,
            // Who stops a turn doesn't fail.
            error: error.filter(|_| matches!(outcome, TurnOutcome::Failed(_))).map(|(_, message)| message),
        });
        let parent_of = |call: &Option<CallId>| {
            let call = call.as_ref().and_then(|id| turn.calls.iter().find(|call| call.call_id == *id));
            Some(call.map_or(turn.id, |call| call.id))
        };
        for answer in &turn.answers {
            out.push(self.answer(answer, turn, parent_of(&answer.parent), end));
        }
        // The client runs what is only requested.
        for call in turn.calls.iter().filter(|call| !matches!(call.end, Some((_, CallOutcome::Requested)))) {
            out.push(self.call(call, turn, parent_of(&call.parent), end));
        }
    }

    fn answer(&self, answer: &Answer, turn: &Turn, parent: Option<[u8; 8]>, end: Millis) -> Span {
        let mut attributes = self.model_attributes("chat");
        attributes.push(("gen_ai.request.stream", AttributeValue::Flag(true)));
        let (id, model) = &answer.served_by;
        attributes.extend(id.clone().map(|id| ("gen_ai.response.id", AttributeValue::Text(id))));
        attributes.extend(model.clone().map(|model| ("gen_ai.response.model", AttributeValue::Text(model))));
        if let Some(finish) = answer.finish {
            let reasons = AttributeValue::Texts(vec![finish_reason(finish).to_owned()]);
            attributes.push(("gen_ai.response.finish_reasons", reasons));
        }
        if let Some(first) = answer.first_token {
            let seconds = AttributeValue::Seconds(first.as_secs_f64());
            attributes.push(("gen_ai.response.time_to_first_chunk", seconds));
        }
        push_usage(answer.usage, &mut attributes);
        if self.tells_content {
            attributes.push(("gen_ai.output.messages", answer.output(&turn.calls)));
        }
        let failed = matches!(answer.finish, Some(FinishReason::Failed | FinishReason::Interrupted));
        if failed {
            attributes
                .push(("error.type", AttributeValue::Text(answer.finish.map_or("", FinishReason::name).to_owned())));
        }
        Span {
            trace: turn.trace,
            id: answer.id,
            parent,
            name: format!("chat {}", self.opened.model).trim_end().to_owned(),
            is_client: true,
            start_ms: self.wall(answer.start),
            end_ms: self.wall(answer.end.unwrap_or(end)),
            attributes,
            error: failed.then(|| "the answer broke off".to_owned()),
        }
    }

    fn call(&self, call: &TracedCall, turn: &Turn, parent: Option<[u8; 8]>, end: Millis) -> Span {
        let (ended, outcome) = call.end.unwrap_or((end, CallOutcome::Unknown));
        let kind = match call.executed_by {
            ExecutedBy::Client => "function",
            ExecutedBy::Server => "extension",
        };
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        let mut attributes = vec![
            ("gen_ai.operation.name", text("execute_tool")),
            ("gen_ai.tool.name", text(&call.name)),
            ("gen_ai.tool.call.id", text(call.call_id.as_str())),
            ("gen_ai.tool.type", text(kind)),
            ("gen_ai.conversation.id", text(self.session.as_str())),
        ];
        if self.tells_content {
            attributes.push(("gen_ai.tool.call.arguments", text(&call.args)));
            attributes.push(("gen_ai.tool.call.result", text(&call.output)));
        }
        let error = (outcome != CallOutcome::Ok).then(|| outcome.name().to_owned());
        attributes.extend(error.clone().map(|kind| ("error.type", AttributeValue::Text(kind))));
        Span {
            trace: turn.trace,
            id: call.id,
            parent,
            name: format!("execute_tool {}", call.name),
            is_client: false,
            start_ms: self.wall(call.start),
            end_ms: self.wall(ended),
            attributes,
            error: error.filter(|_| outcome == CallOutcome::Failed),
        }
    }

    fn model_attributes(&self, operation: &str) -> Vec<(&'static str, AttributeValue)> {
        let mut attributes = vec![
            ("gen_ai.operation.name", AttributeValue::Text(operation.to_owned())),
            ("gen_ai.provider.name", AttributeValue::Text(self.opened.provider.clone())),
            ("gen_ai.conversation.id", AttributeValue::Text(self.session.as_str().to_owned())),
        ];
        if !self.opened.model.is_empty() {
            attributes.push(("gen_ai.request.model", AttributeValue::Text(self.opened.model.clone())));
        }
        attributes
    }

    fn wall(&self, at: Millis) -> u64 {
        self.opened.base_ms.saturating_add(at.0)
    }
}

impl Answer {
    /// Returns the message in the conventions' form.
    fn output(&self, calls: &[TracedCall]) -> AttributeValue {
        let mut parts = text_part(&self.text);
        if self.finish == Some(FinishReason::ToolCalls) {
            let until = self.end.unwrap_or_default();
            let own = calls.iter().filter(|call| call.parent == self.parent);
            let own = own.filter(|call| call.start >= self.start && (call.end.is_none_or(|(end, _)| end >= until)));
            parts.extend(own.map(|call| {
                serde_json::json!({ "type": "tool_call", "id": call.call_id, "name": call.name, "arguments": call.args })
            }));
        }
        message("assistant", &parts, Some(self.finish.map_or("stop", finish_reason)))
    }
}

fn text_part(text: &str) -> Vec<Json> {
    if text.is_empty() { Vec::new() } else { vec![serde_json::json!({ "type": "text", "content": text })] }
}

fn message(role: &str, parts: &[Json], finish: Option<&str>) -> AttributeValue {
    let mut message = serde_json::json!({ "role": role, "parts": parts });
    if let (Some(finish), Some(fields)) = (finish, message.as_object_mut()) {
        fields.insert("finish_reason".into(), finish.into());
    }
    AttributeValue::Text(Json::Array(vec![message]).to_string())
}

/// Names a reason as the conventions do.
fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::End => "stop",
        FinishReason::ToolCalls => "tool_call",
        FinishReason::Length => "length",
        FinishReason::Refused => "content_filter",
        FinishReason::Cancelled | FinishReason::Interrupted | FinishReason::Failed => "error",
    }
}

fn push_usage(usage: Option<Usage>, attributes: &mut Vec<(&'static str, AttributeValue)>) {
    let Some(usage) = usage else { return };
    attributes.push(("gen_ai.usage.input_tokens", AttributeValue::Number(usage.input_tokens)));
    attributes.push(("gen_ai.usage.output_tokens", AttributeValue::Number(usage.output_tokens)));
    for (name, value) in [
        ("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens),
    ] {
        if value > 0 {
            attributes.push((name, AttributeValue::Number(value)));
        }
    }
}

#[cfg(test)]
mod tests;
