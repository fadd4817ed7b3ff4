//! PURE. Blanks secrets out of what was decoded, where they may come in pieces: over several deltas of a text, of
//! thinking, of arguments, of output.
//!
//! A delta is passed on at once but for an end that goes on like a secret for [`MAX_SHOWN_PREFIX_BYTES`] characters;
//! that waits for the next delta of the same text, or for any other kind of event, which shows that the text is over.

use secrecy::SecretString;

use super::scan::{SecretMatches, find_secrets};
use super::{MIN_PARTIAL_SECRET_BYTES, REDACTION_MARK};
use crate::event::{Json, ReplyEvent};

/// Characters of a secret that may be shown when it comes in pieces. Waiting for fewer would hold up every word that
/// ends as a key begins.
const MAX_SHOWN_PREFIX_BYTES: usize = 3;

/// The texts of one answer.
#[derive(Default)]
pub struct EventRedactor {
    secrets: Vec<SecretString>,
    /// By what [`delta_text`] names each, in the order in which they came.
    held: Vec<(String, HeldText)>,
}

/// The end of a text that may be the beginning of a secret.
struct HeldText {
    /// As many of its bytes were passed on.
    shown_bytes: usize,
    text: String,
    /// A delta to be filled.
    template: ReplyEvent,
}

impl EventRedactor {
    pub(super) fn new(secrets: Vec<SecretString>) -> Self {
        Self { secrets, held: Vec::new() }
    }

    /// Passes an event on, without secrets.
    pub fn push(&mut self, mut event: ReplyEvent, out: &mut Vec<ReplyEvent>) {
        if self.secrets.is_empty() {
            out.push(event);
            return;
        }
        if self.held.is_empty()
            && let Some(text) = text_of(&mut event)
            && let SecretMatches { whole, partial_start: open } = find_secrets(text.as_bytes(), &self.secrets)
            && whole.is_empty()
            && open == text.len()
        {
            out.push(event);
            return;
        }
        let Some((key, text)) = delta_text(&mut event) else {
            self.flush(out);
            out.push(self.redacted(event));
            return;
        };
        let text = std::mem::take(text);
        let (shown, mut whole) = self.take_held(&key).map_or((0, String::new()), |open| (open.shown_bytes, open.text));
        whole.push_str(&text);
        let found = find_secrets(whole.as_bytes(), &self.secrets);
        let open = whole.floor_char_boundary(found.partial_start);
        let hold = if whole.len() - open > MAX_SHOWN_PREFIX_BYTES {
            whole.floor_char_boundary(open + MAX_SHOWN_PREFIX_BYTES).max(shown)
        } else {
            whole.len()
        };
        let mut told = String::with_capacity(hold - shown);
        let mut at = shown;
        for range in found.whole {
            told.push_str(whole.get(at..range.start).unwrap_or_default());
            told.push_str(REDACTION_MARK);
            at = range.end;
        }
        told.push_str(whole.get(at..hold).unwrap_or_default());
        if open < whole.len() {
            let like = with_text(&event, String::new());
            let open = HeldText { shown_bytes: hold - open, text: whole[open..].to_owned(), template: like };
            self.held.push((key, open));
        }
        if !told.is_empty() || text.is_empty() {
            out.push(with_text(&event, told));
        }
    }

    fn take_held(&mut self, key: &str) -> Option<HeldText> {
        let at = self.held.iter().position(|(name, _)| name == key)?;
        Some(self.held.remove(at).1)
    }

    /// Passes on what waited. So much of a secret that it is none by chance is blanked out.
    fn flush(&mut self, out: &mut Vec<ReplyEvent>) {
        for (_, open) in self.held.drain(..) {
            let rest = open.text.get(open.shown_bytes..).unwrap_or_default();
            if !rest.is_empty() {
                let is_secret = open.text.len() >= MIN_PARTIAL_SECRET_BYTES;
                out.push(with_text(
                    &open.template,
                    if is_secret { REDACTION_MARK.to_owned() } else { rest.to_owned() },
                ));
            }
        }
    }

    fn redacted(&self, event: ReplyEvent) -> ReplyEvent {
        let Ok(mut json) = serde_json::to_value(&event) else { return event };
        if !self.redact_json(&mut json) {
            return event;
        }
        serde_json::from_value(json).unwrap_or(event)
    }

    /// Blanks out what is escaped in JSON that is held as a text, as arguments are: `\/` and `\u0073` become letters
    /// when it is read.
    fn redact_escaped(&self, text: &mut String) -> bool {
        if !text.contains('\\') || !text.trim_start().starts_with(['{', '[', '"']) {
            return false;
        }
        let Ok(mut json) = serde_json::from_str(text) else { return false };
        let any = self.redact_json(&mut json);
        if any {
            *text = json.to_string();
        }
        any
    }

    /// Returns whether there was anything to blank out.
    pub(super) fn redact_json(&self, json: &mut Json) -> bool {
        match json {
            Json::String(text) => {
                let found = find_secrets(text.as_bytes(), &self.secrets).whole;
                for range in found.iter().rev() {
                    text.replace_range(range.clone(), REDACTION_MARK);
                }
                self.redact_escaped(text) || !found.is_empty()
            }
            Json::Array(items) => items.iter_mut().fold(false, |any, item| self.redact_json(item) | any),
            Json::Object(fields) => fields.values_mut().fold(false, |any, field| self.redact_json(field) | any),
            _ => false,
        }
    }
}

/// Returns which text a delta belongs to, and the delta.
fn delta_text(event: &mut ReplyEvent) -> Option<(String, &mut String)> {
    let key = match event {
        ReplyEvent::TextDelta { message, kind, .. } => format!("{kind:?} {message}"),
        ReplyEvent::ReasoningDelta { message, .. } => format!("thinking {message}"),
        ReplyEvent::ToolArgsDelta { call, .. } => format!("arguments {call}"),
        ReplyEvent::ToolOutput { call, stream, .. } => format!("{stream:?} {call}"),
        _ => return None,
    };
    Some((key, text_of(event)?))
}

/// Returns the text of a delta.
fn text_of(event: &mut ReplyEvent) -> Option<&mut String> {
    match event {
        ReplyEvent::TextDelta { text, .. }
        | ReplyEvent::ReasoningDelta { text, .. }
        | ReplyEvent::ToolArgsDelta { json: text, .. }
        | ReplyEvent::ToolOutput { text, .. } => Some(text),
        _ => None,
    }
}

fn with_text(like: &ReplyEvent, told: String) -> ReplyEvent {
    let mut event = like.clone();
    if let Some((_, text)) = delta_text(&mut event) {
        *text = told;
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FinishReason, TextKind, TurnOutcome};

    const KEY: &str = "sk-12345678-abcdef";

    fn text(text: &str) -> ReplyEvent {
        ReplyEvent::TextDelta { message: "m".into(), text: text.into(), kind: TextKind::Text }
    }

    fn told(events: Vec<ReplyEvent>) -> Vec<ReplyEvent> {
        let mut pieces = EventRedactor::new(vec![KEY.to_owned().into()]);
        let mut out = Vec::new();
        for event in events {
            pieces.push(event, &mut out);
        }
        pieces.push(ReplyEvent::End { outcome: TurnOutcome::Completed }, &mut out);
        out.pop();
        out
    }

    fn said(events: &[ReplyEvent]) -> String {
        events
            .iter()
            .map(|event| delta_text(&mut event.clone()).map_or(String::new(), |(_, text)| text.clone()))
            .collect()
    }

    #[test]
    fn a_key_is_blanked_out_wherever_it_is_cut() {
        let whole = format!("you sent {KEY}, sorry");
        for first in 0..whole.len() {
            for second in (first..whole.len()).step_by(3) {
                let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                let said = said(&told(pieces.map(text).into()));
                assert!(
                    !said.contains("sk-1") && said.starts_with("you sent ") && said.ends_with("•••, sorry"),
                    "{said}"
                );
            }
        }
        let letters = said(&told(whole.chars().map(|c| text(&c.to_string())).collect()));
        assert_eq!(letters, "you sent sk-•••, sorry");
    }

    #[test]
    fn other_texts_are_passed_on_as_they_came_and_at_once() {
        let events: Vec<_> = ["as", "k ", "sk", "-", "12", " – é"].map(text).into();
        let out = told(events.clone());
        assert_eq!(said(&out), said(&events));
        assert_eq!(out[..3], events[..3], "nothing is held up for a few letters");
        let mut pieces = EventRedactor::new(vec![KEY.to_owned().into()]);
        let mut out = Vec::new();
        pieces.push(text("a sk-123"), &mut out);
        assert_eq!(out, [text("a sk-")], "what goes on like a key waits");
        pieces.push(text("9"), &mut out);
        assert_eq!(said(&out), "a sk-1239");
    }

    #[test]
    fn texts_beside_each_other_are_held_apart() {
        let thinks = |text: &str| ReplyEvent::ReasoningDelta { message: "m".into(), text: text.into() };
        let writes = |json: &str| ReplyEvent::ToolArgsDelta { call: "c".into(), json: json.into() };
        let (one, two) = KEY.split_at(9);
        let out = told(vec![text(one), thinks(one), writes(one), text(two), thinks(two), writes(two)]);
        assert_eq!(said(&out), "sk-sk-sk-•••••••••");
    }

    #[test]
    fn an_end_that_is_cut_off_and_what_comes_whole_are_blanked_out() {
        assert_eq!(said(&told(vec![text("it is sk-1234567")])), "it is sk-•••");
        assert_eq!(said(&told(vec![text("ask-12")])), "ask-12", "so little is none");
        let end = ReplyEvent::MessageFinished {
            message: "m".into(),
            finish_reason: FinishReason::End,
            full_text: Some(format!("x {KEY}")),
            provider_metadata: None,
        };
        let ReplyEvent::MessageFinished { full_text: full, .. } = &told(vec![end])[0] else { panic!() };
        assert_eq!(full.as_deref(), Some("x •••"));
        let args = format!("{{\"key\":\"{KEY}\"}}");
        let ready = ReplyEvent::ToolCallReady { call: "c".into(), name: "n".into(), args, provider_metadata: None };
        let ReplyEvent::ToolCallReady { args, .. } = &told(vec![ready])[0] else { panic!() };
        assert_eq!(args, "{\"key\":\"•••\"}");
    }

    #[test]
    fn a_key_that_is_escaped_in_arguments_is_blanked_out() {
        let escaped = KEY.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<Vec<_>>().concat();
        for (args, told_as) in [
            (format!("{{\"a\":[\"x {escaped}\"]}}"), "{\"a\":[\"x •••\"]}"),
            ("{\"a\":\"one\\ntwo\",  \"b\":1}".to_owned(), "{\"a\":\"one\\ntwo\",  \"b\":1}"),
            ("no JSON \\u0041".to_owned(), "no JSON \\u0041"),
        ] {
            let ready = ReplyEvent::ToolCallReady { call: "c".into(), name: "n".into(), args, provider_metadata: None };
            let ReplyEvent::ToolCallReady { args, .. } = &told(vec![ready])[0] else { panic!() };
            assert_eq!(args, told_as);
        }
    }
}
