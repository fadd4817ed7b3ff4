//! PURE. How the text of messages becomes items: a run of one voice is one item, until a call or another voice comes.

use super::{DocumentBuilder, ItemBody};
use crate::event::{FinishReason, MessageId, TextKind};

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Text,
    Refusal,
    Reasoning,
}

impl From<TextKind> for Voice {
    fn from(kind: TextKind) -> Self {
        match kind {
            TextKind::Text => Self::Text,
            TextKind::Refusal => Self::Refusal,
        }
    }
}

/// The runs of an open message.
#[derive(Debug, Default)]
pub(super) struct OpenRuns {
    is_person: bool,
    current: Option<(usize, Voice)>,
    /// Items with its text; reasoning is not among them.
    texts: Vec<usize>,
}

impl OpenRuns {
    pub(super) fn new(is_person: bool) -> Self {
        Self { is_person, ..Self::default() }
    }
}

impl DocumentBuilder {
    pub(super) fn on_text(&mut self, message: &MessageId, text: &str, voice: Voice) {
        if text.is_empty() {
            return;
        }
        let current = self.messages.get(message).and_then(|open| open.current);
        let index = match current {
            Some((index, known)) if known == voice => index,
            _ => self.start_run(message, voice),
        };
        let now = self.at;
        if let Some(item) = self.document.items.get_mut(index)
            && let Some(known) = text_of(&mut item.body)
        {
            known.push_str(text);
            let bytes = known.len();
            item.until = now;
            match item.growth.last_mut() {
                Some(last) if last.0 == now => last.1 = bytes,
                _ => item.growth.push((now, bytes)),
            }
        }
    }

    fn start_run(&mut self, message: &MessageId, voice: Voice) -> usize {
        let is_person = self.messages.get(message).is_some_and(|open| open.is_person);
        if is_person {
            self.on_prompt(message, "");
        } else {
            self.push(match voice {
                Voice::Text | Voice::Refusal => {
                    let is_refusal = voice == Voice::Refusal;
                    ItemBody::Answer { text: String::new(), is_refusal, finish_reason: None }
                }
                Voice::Reasoning => ItemBody::Reasoning { text: String::new() },
            });
        }
        let index = self.document.items.len() - 1;
        if let Some(item) = self.document.items.last_mut() {
            item.is_sub = self.sub_messages.contains(message);
        }
        let open = self.messages.entry(message.clone()).or_default();
        open.current = Some((index, voice));
        if voice != Voice::Reasoning {
            open.texts.push(index);
        }
        index
    }

    /// What comes next of a message is another item.
    pub(super) fn close_run(&mut self, message: &MessageId) {
        if let Some(open) = self.messages.get_mut(message) {
            open.current = None;
        }
    }

    pub(super) fn finish_message(&mut self, message: &MessageId, reason: FinishReason, full: Option<&str>) {
        let has_text = self.messages.get(message).is_some_and(|open| !open.texts.is_empty());
        if let Some(full) = full.filter(|_| !has_text) {
            self.close_run(message);
            self.on_text(message, full, Voice::Text);
        }
        let Some(open) = self.messages.remove(message) else { return };
        if let Some(full) = full.filter(|_| has_text) {
            self.reconcile(&open.texts, full);
        }
        let last = open.texts.last().and_then(|last| self.document.items.get_mut(*last));
        if let Some(ItemBody::Answer { finish_reason, .. }) = last.map(|item| &mut item.body) {
            *finish_reason = Some(reason);
        }
    }

    /// Makes the runs say the text that the wire repeated: those that agree stay, the first that doesn't has the rest.
    fn reconcile(&mut self, runs: &[usize], full: &str) {
        let mut rest = full;
        let mut has_parted = false;
        for (nth, index) in runs.iter().enumerate() {
            let Some(item) = self.document.items.get_mut(*index) else { continue };
            let Some(text) = text_of(&mut item.body) else { continue };
            let is_last = nth + 1 == runs.len();
            let more = rest.strip_prefix(text.as_str()).filter(|more| !has_parted && (!is_last || more.is_empty()));
            if let Some(more) = more {
                rest = more;
                continue;
            }
            text.clear();
            if !has_parted {
                text.push_str(rest);
            }
            has_parted = true;
            let bytes = text.len();
            item.growth.retain(|(_, grown)| *grown <= bytes);
        }
    }
}

fn text_of(body: &mut ItemBody) -> Option<&mut String> {
    match body {
        ItemBody::Prompt { text, .. } | ItemBody::Answer { text, .. } | ItemBody::Reasoning { text } => Some(text),
        ItemBody::Opened { .. }
        | ItemBody::Call(_)
        | ItemBody::Plan(_)
        | ItemBody::Notice { .. }
        | ItemBody::TurnEnd(_) => None,
    }
}
