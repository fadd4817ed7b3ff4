//! Takes secrets out of events before they are numbered: log, hub, clients and recordings get the same event, and only
//! the running turn has the text as it is.
//!
//! A text that comes in deltas is passed on as it comes; an end that may begin a secret waits for the next delta, for
//! what ends the text, or for what stands behind it on the screen. What is whole in an event is looked at whole.
//! Arguments in which letters are escaped are passed on no further until they are whole.
//! What an ask really runs is put aside for the screen of the person who decides.

mod escapes;

use std::sync::Arc;

use self::escapes::EscapeWatch;
use crate::event::{
    AgentEvent, Annotation, ApprovalRequest, CallId, Json, MessageId, OutputStream, PromptContext, TextKind,
};
use crate::net::redact::{redact_json, redact_json_text, redact_text, secret_mark, secret_rules};
use crate::text::secrets::{SecretRules, SecretSettings, SecretStream};

/// Fields of provider metadata that only the provider can read: what looks like a key in them is none.
const OPAQUE_FIELDS: &[&str] =
    &["signature", "thought_signature", "thoughtSignature", "encrypted_content", "encrypted_index", "data", "id"];

/// The texts of a session that come in deltas.
#[derive(Default)]
pub(super) struct Redaction {
    texts: Vec<OpenText>,
    /// Asks of which the log says less, as they are.
    asks: Vec<(CallId, ApprovalRequest)>,
}

struct OpenText {
    key: TextKey,
    stream: SecretStream,
    escapes: EscapeWatch,
    /// The beginning of an escape, which waits for the rest of it.
    carry: String,
    /// Nothing more of it is passed on: letters are escaped in it. What is ready has it whole.
    is_muted: bool,
}

impl OpenText {
    /// Keeps back an escape that is not complete at the end of a piece of arguments; returns whether nothing of the
    /// piece is to be passed on.
    fn hold_escapes(&mut self, text: &mut String) -> bool {
        if !self.is_muted && self.escapes.hides_letters(text) {
            (self.is_muted, self.stream) = (true, SecretStream::default());
        }
        if self.is_muted {
            self.carry.clear();
            return true;
        }
        let open = self.escapes.open_len();
        if open == 0 && self.carry.is_empty() {
            return false;
        }
        let mut whole = std::mem::take(&mut self.carry) + text;
        self.carry = whole.split_off(whole.len() - open.min(whole.len()));
        *text = whole;
        text.is_empty()
    }

    /// Returns what waits, as if nothing followed.
    fn pause(&mut self, rules: &SecretRules) -> String {
        let carry = std::mem::take(&mut self.carry);
        let told = if carry.is_empty() { None } else { self.stream.push(rules, &carry, &secret_mark) };
        told.unwrap_or(carry) + &self.stream.pause(rules, &secret_mark)
    }
}

/// Which text a delta belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum TextKey {
    Text(MessageId, TextKind),
    Reasoning(MessageId),
    Arguments(CallId),
    Output(CallId, OutputStream),
}

impl Redaction {
    /// Passes an event on without its secrets, after what waited for it. Unchanged and at once where nothing in it
    /// looks like one.
    pub(super) fn push(&mut self, event: AgentEvent, out: &mut Vec<AgentEvent>) {
        let Some(rules) = secret_rules() else {
            self.release(|_| true, out);
            out.push(event);
            return;
        };
        if let Some(key) = delta_key(&event) {
            self.push_delta(&rules, key, event, out);
        } else {
            self.settle_before(&rules, &event, out);
            out.push(self.redact_whole(&rules, event));
        }
    }

    /// Returns the asks that wait and of which the log says less.
    pub(super) fn unredacted_asks(&self) -> &[(CallId, ApprovalRequest)] {
        &self.asks
    }

    fn push_delta(&mut self, rules: &Arc<SecretRules>, key: TextKey, mut event: AgentEvent, out: &mut Vec<AgentEvent>) {
        self.pause_beside(rules, &key, out);
        let Some(text) = delta_text(&mut event) else { return };
        let at = self.texts.iter().rposition(|open| open.key == key).unwrap_or_else(|| {
            let (stream, escapes) = (SecretStream::default(), EscapeWatch::default());
            self.texts.push(OpenText { key, stream, escapes, carry: String::new(), is_muted: false });
            self.texts.len() - 1
        });
        let open = &mut self.texts[at];
        if matches!(open.key, TextKey::Arguments(_)) && open.hold_escapes(text) {
            return;
        }
        let Some(told) = open.stream.push(rules, text, &secret_mark) else {
            out.push(event);
            return;
        };
        if !told.is_empty() || text.is_empty() {
            *text = told;
            out.push(event);
        }
    }

    /// Lets go of what stands before a delta on the screen: thinking before text, one stream of a call's output before
    /// the other.
    fn pause_beside(&mut self, rules: &SecretRules, key: &TextKey, out: &mut Vec<AgentEvent>) {
        if !self.texts.iter().any(|open| open.stream.is_waiting()) {
            return;
        }
        self.pause(rules, |other| other != key && is_beside(other, key), out);
    }

    /// Lets go of what an event ends, or stands behind.
    fn settle_before(&mut self, rules: &SecretRules, event: &AgentEvent, out: &mut Vec<AgentEvent>) {
        match event {
            AgentEvent::MessageFinished { message, .. } => {
                self.finish(rules, |key| message_of(key) == Some(message), out);
            }
            AgentEvent::ToolCallStarted { message, .. } => {
                self.pause(rules, |key| message_of(key) == Some(message), out);
            }
            AgentEvent::ToolCallReady { call, .. } => {
                self.finish(rules, |key| matches!(key, TextKey::Arguments(of) if of == call), out);
            }
            AgentEvent::ToolCallFinished { call, .. } => {
                self.finish(rules, |key| call_of(key) == Some(call), out);
                self.asks.retain(|(asked, _)| asked != call);
            }
            AgentEvent::ApprovalResolved { call, .. } => self.asks.retain(|(asked, _)| asked != call),
            AgentEvent::TurnStarted { .. } | AgentEvent::TurnFinished { .. } => {
                self.finish(rules, |_| true, out);
                self.asks.clear();
            }
            _ => {}
        }
    }

    fn pause(&mut self, rules: &SecretRules, which: impl Fn(&TextKey) -> bool, out: &mut Vec<AgentEvent>) {
        for open in self.texts.iter_mut().filter(|open| which(&open.key)) {
            let rest = open.pause(rules);
            if !rest.is_empty() {
                out.push(delta_of(&open.key, rest));
            }
        }
    }

    fn finish(&mut self, rules: &SecretRules, which: impl Fn(&TextKey) -> bool, out: &mut Vec<AgentEvent>) {
        self.pause(rules, &which, out);
        self.texts.retain(|open| !which(&open.key));
    }

    /// Lets go of everything as it is: nothing is looked for any more.
    fn release(&mut self, which: impl Fn(&TextKey) -> bool, out: &mut Vec<AgentEvent>) {
        if let Some(rules) = (!self.texts.is_empty()).then(|| SecretRules::new(&SecretSettings::default())) {
            self.finish(&rules, which, out);
        }
    }

    /// Takes secrets out of an event that is no delta.
    pub(super) fn redact_whole(&mut self, rules: &SecretRules, mut event: AgentEvent) -> AgentEvent {
        match &mut event {
            AgentEvent::UserMessage { text, .. } | AgentEvent::Notice { text, .. } => {
                redact_text(rules, text);
            }
            AgentEvent::MessageFinished { full_text, provider_metadata, .. } => {
                if let Some(text) = full_text {
                    redact_text(rules, text);
                }
                drop_telling(rules, provider_metadata);
            }
            AgentEvent::ToolCallReady { args, provider_metadata, .. } => {
                redact_json_text(rules, args);
                drop_telling(rules, provider_metadata);
            }
            AgentEvent::ApprovalRequested { call, request } => {
                let before = request.clone();
                redact_request(rules, request);
                if before != *request {
                    self.asks.retain(|(asked, _)| asked != call);
                    self.asks.push((call.clone(), before));
                }
            }
            AgentEvent::ToolCallFinished { output, .. } => {
                redact_text(rules, &mut output.text);
                if let Some(json) = &mut output.structured {
                    redact_json(rules, json);
                }
            }
            AgentEvent::Annotation { annotation: Annotation::PromptContext(parts), .. } => {
                for PromptContext { name, text, .. } in parts {
                    redact_text(rules, name);
                    redact_text(rules, text);
                }
            }
            AgentEvent::Annotation { .. }
            | AgentEvent::ApprovalResolved { .. }
            | AgentEvent::TurnFinished { .. }
            | AgentEvent::Compacted(_)
            | AgentEvent::Unknown(_) => return redact_as_json(rules, event),
            // Deltas are looked at where they come; the others have names and numbers only.
            AgentEvent::SessionOpened { .. }
            | AgentEvent::TurnStarted { .. }
            | AgentEvent::MessageStarted { .. }
            | AgentEvent::TextDelta { .. }
            | AgentEvent::ReasoningDelta { .. }
            | AgentEvent::ToolCallStarted { .. }
            | AgentEvent::ToolArgsDelta { .. }
            | AgentEvent::ToolOutput { .. }
            | AgentEvent::BranchStarted { .. }
            | AgentEvent::CompactionUndone { .. }
            | AgentEvent::UsageReported { .. } => {}
        }
        event
    }
}

/// Blanks secrets out of what a person is asked.
fn redact_request(rules: &SecretRules, request: &mut ApprovalRequest) {
    let labels = request.answers.iter_mut().map(|answer| &mut answer.label);
    for text in [&mut request.subject, &mut request.folder, &mut request.detail]
        .into_iter()
        .chain(&mut request.pattern)
        .chain(labels)
    {
        redact_text(rules, text);
    }
}

/// For events that are rare or small, whatever they hold.
fn redact_as_json(rules: &SecretRules, event: AgentEvent) -> AgentEvent {
    let Ok(line) = serde_json::to_vec(&event) else { return event };
    if !rules.may_match(&line) {
        return event;
    }
    let Ok(mut json) = serde_json::from_slice::<Json>(&line) else { return event };
    if !redact_json(rules, &mut json) {
        return event;
    }
    serde_json::from_value(json).unwrap_or_else(|error| {
        tracing::error!("an event was left out, since its secrets could not be taken out of it: {error}");
        AgentEvent::Unknown(serde_json::json!({ "type": event.kind() }))
    })
}

/// Provider metadata is signed: with a change it would be refused, so what tells a secret is not kept at all. The turn
/// that runs has it; a later run does without.
fn drop_telling(rules: &SecretRules, metadata: &mut Option<Json>) {
    if metadata.as_ref().is_some_and(|json| tells_secret(rules, json)) {
        *metadata = None;
    }
}

fn tells_secret(rules: &SecretRules, json: &Json) -> bool {
    match json {
        Json::String(text) => redact_json_text(rules, &mut text.clone()),
        Json::Array(items) => items.iter().any(|item| tells_secret(rules, item)),
        Json::Object(fields) => fields.iter().any(|(name, field)| {
            let is_opaque = OPAQUE_FIELDS.contains(&name.as_str());
            let is_value = field.as_str().is_some_and(|value| rules.kind_of_value(name, value).is_some());
            !is_opaque && (is_value || tells_secret(rules, field))
        }),
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

pub(super) fn delta_key(event: &AgentEvent) -> Option<TextKey> {
    Some(match event {
        AgentEvent::TextDelta { message, kind, .. } => TextKey::Text(message.clone(), *kind),
        AgentEvent::ReasoningDelta { message, .. } => TextKey::Reasoning(message.clone()),
        AgentEvent::ToolArgsDelta { call, .. } => TextKey::Arguments(call.clone()),
        AgentEvent::ToolOutput { call, stream, .. } => TextKey::Output(call.clone(), *stream),
        _ => return None,
    })
}

pub(super) fn delta_text(event: &mut AgentEvent) -> Option<&mut String> {
    match event {
        AgentEvent::TextDelta { text, .. }
        | AgentEvent::ReasoningDelta { text, .. }
        | AgentEvent::ToolArgsDelta { json: text, .. }
        | AgentEvent::ToolOutput { text, .. } => Some(text),
        _ => None,
    }
}

fn delta_of(key: &TextKey, text: String) -> AgentEvent {
    match key.clone() {
        TextKey::Text(message, kind) => AgentEvent::TextDelta { message, text, kind },
        TextKey::Reasoning(message) => AgentEvent::ReasoningDelta { message, text },
        TextKey::Arguments(call) => AgentEvent::ToolArgsDelta { call, json: text },
        TextKey::Output(call, stream) => AgentEvent::ToolOutput { call, stream, text },
    }
}

fn message_of(key: &TextKey) -> Option<&MessageId> {
    match key {
        TextKey::Text(message, _) | TextKey::Reasoning(message) => Some(message),
        TextKey::Arguments(_) | TextKey::Output(..) => None,
    }
}

fn call_of(key: &TextKey) -> Option<&CallId> {
    match key {
        TextKey::Arguments(call) | TextKey::Output(call, _) => Some(call),
        TextKey::Text(..) | TextKey::Reasoning(_) => None,
    }
}

/// Whether two texts stand in one order on the screen.
fn is_beside(one: &TextKey, other: &TextKey) -> bool {
    message_of(one).is_some_and(|message| message_of(other) == Some(message))
        || matches!((one, other), (TextKey::Output(one, _), TextKey::Output(other, _)) if one == other)
}

#[cfg(test)]
mod tests;
