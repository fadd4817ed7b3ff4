//! PURE. A session as one JSON document.
//!
//! ```text
//! { "format": "jarvis-tui/session", "version": 1,
//!   "session", "title", "folder", "started_at" (ms since 1970), "length_ms", "engine", "model",
//!   "usage", "cost_usd",
//!   "turns": [{ "turn", "at_ms", "prompts": [{ "at_ms", "text", "attached": [{ "kind", "name", "text", … }] }],
//!               …what `--output-format json` prints of a run: "outcome", "stop", "text", "reasoning", "messages",
//!                "tool_calls", "usage", "cost_usd", "timing", "error", "notices", "link", "engine", "model", "dialect" }] }
//! ```
//!
//! Fields may be added; the version grows when one changes its meaning.

use serde_json::{Map, Value, json};

use super::SessionFacts;
use super::document::Document;
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Envelope, MessageId, Millis, PromptContext};
use crate::headless::{RunSummary, usage_json};

/// Grows when a field changes its meaning.
const FORMAT_VERSION: u32 = 1;

/// Returns the document, indented.
pub(super) fn write<'e>(
    facts: &SessionFacts,
    document: &Document,
    events: impl IntoIterator<Item = &'e Envelope>,
) -> String {
    let mut turns = Turns::new(&facts.id);
    for envelope in events {
        turns.observe(envelope);
    }
    let (engine, model) = turns.answered_by();
    let whole = json!({
        "format": "jarvis-tui/session",
        "version": FORMAT_VERSION,
        "session": facts.id,
        "title": document.title,
        "folder": facts.folder,
        "started_at": facts.started_at,
        "length_ms": document.length,
        "engine": engine,
        "model": model,
        "usage": document.usage.map(usage_json),
        "cost_usd": document.cost,
        "turns": turns.finish(),
    });
    // A value with string keys is always written.
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}

struct Turns<'a> {
    session: &'a str,
    /// The newest, which a turn begins with.
    opened: Option<Envelope>,
    done: Vec<Value>,
    open: Option<OpenTurn>,
}

struct OpenTurn {
    turn: String,
    at: Millis,
    prompts: Vec<ExportedPrompt>,
    summary: RunSummary,
}

struct ExportedPrompt {
    message: MessageId,
    at: Millis,
    text: String,
    attached: Vec<PromptContext>,
}

impl<'a> Turns<'a> {
    fn new(session: &'a str) -> Self {
        Self { session, opened: None, done: Vec::new(), open: None }
    }

    fn observe(&mut self, envelope: &Envelope) {
        match &envelope.event {
            AgentEvent::SessionOpened { .. } => self.opened = Some(envelope.clone()),
            AgentEvent::TurnStarted { turn, .. } => {
                self.close();
                let mut summary = RunSummary::new(self.session, "replay");
                self.opened.iter().for_each(|opened| summary.observe(opened));
                let turn = turn.to_string();
                self.open = Some(OpenTurn { turn, at: envelope.at, prompts: Vec::new(), summary });
            }
            _ => {}
        }
        let Some(open) = &mut self.open else { return };
        open.summary.observe(envelope);
        match &envelope.event {
            AgentEvent::UserMessage { message, text } => open.prompts.push(ExportedPrompt {
                message: message.clone(),
                at: envelope.at,
                text: text.clone(),
                attached: Vec::new(),
            }),
            AgentEvent::Annotation {
                on: AnnotationTarget::Message(message),
                annotation: Annotation::PromptContext(parts),
            } => {
                if let Some(prompt) = open.prompts.iter_mut().find(|prompt| prompt.message == *message) {
                    prompt.attached.extend(parts.iter().cloned());
                }
            }
            _ => {}
        }
    }

    fn close(&mut self) {
        let Some(OpenTurn { turn, at, prompts, summary }) = self.open.take() else { return };
        let prompts: Vec<Value> = prompts
            .into_iter()
            .map(|prompt| json!({ "at_ms": prompt.at, "text": prompt.text, "attached": prompt.attached }))
            .collect();
        let mut fields = Map::new();
        fields.insert("turn".to_owned(), turn.into());
        fields.insert("at_ms".to_owned(), at.0.into());
        fields.insert("prompts".to_owned(), prompts.into());
        if let Value::Object(summary) = summary.to_json() {
            // These are the whole document's.
            let own = |name: &str| name != "session" && name != "source";
            fields.extend(summary.into_iter().filter(|(name, _)| own(name)));
        }
        self.done.push(fields.into());
    }

    fn answered_by(&self) -> (Option<&str>, Option<&str>) {
        match self.opened.as_ref().map(|opened| &opened.event) {
            Some(AgentEvent::SessionOpened { engine, model, .. }) => (Some(engine), Some(model)),
            _ => (None, None),
        }
    }

    fn finish(mut self) -> Vec<Value> {
        self.close();
        self.done
    }
}
