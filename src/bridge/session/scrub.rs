//! Takes secrets out of a log that was written with them: the same events with the same numbers and times, in which a
//! secret that comes over several of them stands in the first.
//!
//! Works turn by turn, so that memory is one turn's.

use std::collections::HashMap;

use super::redaction::{Redaction, TextKey, delta_key, delta_text};
use crate::event::{AgentEvent, Envelope};
use crate::net::redact::secret_mark;
use crate::text::secrets::{MAX_HELD_BYTES, ScanState, SecretRules};

/// Events of a turn that is not over.
pub struct Scrubber<'a> {
    rules: &'a SecretRules,
    waiting: Vec<Envelope>,
    /// How many events were changed.
    changed: usize,
}

impl<'a> Scrubber<'a> {
    pub fn new(rules: &'a SecretRules) -> Self {
        Self { rules, waiting: Vec::new(), changed: 0 }
    }

    /// Takes the next event; returns those that are done, in order.
    pub fn push(&mut self, envelope: Envelope) -> Vec<Envelope> {
        let ends = matches!(envelope.event, AgentEvent::TurnFinished { .. } | AgentEvent::SessionOpened { .. });
        self.waiting.push(envelope);
        if ends { self.finish() } else { Vec::new() }
    }

    /// Returns what waits; nothing of its texts follows.
    pub fn finish(&mut self) -> Vec<Envelope> {
        let mut events = std::mem::take(&mut self.waiting);
        let before = events.clone();
        self.scrub_deltas(&mut events);
        for envelope in &mut events {
            if delta_key(&envelope.event).is_none() {
                let event = std::mem::replace(&mut envelope.event, AgentEvent::Unknown(crate::event::Json::Null));
                envelope.event = Redaction::default().redact_whole(self.rules, event);
            }
        }
        self.changed += before.iter().zip(&events).filter(|(old, new)| old != new).count();
        events
    }

    /// Returns how many events were changed so far.
    pub fn changed(&self) -> usize {
        self.changed
    }

    fn scrub_deltas(&self, events: &mut [Envelope]) {
        let mut texts: HashMap<TextKey, (String, Vec<usize>)> = HashMap::new();
        for (nth, envelope) in events.iter_mut().enumerate() {
            let Some(key) = delta_key(&envelope.event) else { continue };
            let Some(text) = delta_text(&mut envelope.event) else { continue };
            let (whole, places) = texts.entry(key).or_default();
            whole.push_str(text);
            places.push(nth);
        }
        for (whole, places) in texts.into_values() {
            let scan = self.rules.scan(whole.as_bytes(), 0, true, MAX_HELD_BYTES, &mut ScanState::default());
            if scan.matches.is_empty() {
                continue;
            }
            let mut start = 0;
            for nth in places {
                let Some(text) = delta_text(&mut events[nth].event) else { continue };
                let end = start + text.len();
                let mut told = String::with_capacity(text.len());
                let mut at = start;
                for found in scan.matches.iter().filter(|found| found.range.start < end && found.range.end > start) {
                    told.push_str(whole.get(at..found.range.start.max(at)).unwrap_or_default());
                    if found.range.start >= start {
                        let value = found.range.start..found.range.end.min(found.range.start + MAX_HELD_BYTES);
                        let value = whole.get(value).unwrap_or_default();
                        told.push_str(&secret_mark(found.kind.unwrap_or_default(), value));
                    }
                    at = found.range.end.min(end);
                }
                told.push_str(whole.get(at..end).unwrap_or_default());
                *text = told;
                start = end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Millis, Seq};
    use crate::testkit::events::{message_started, opened, text_delta, turn_finished, turn_started, user_message};
    use crate::testkit::secrets::planted_secrets;

    #[test]
    fn an_old_log_keeps_its_numbers_and_times_and_loses_its_secrets_wherever_they_are_cut() {
        let rules = crate::net::redact::secret_rules().unwrap();
        for planted in planted_secrets(21, 150) {
            let cut = planted.text.floor_char_boundary(planted.text.len() / 2);
            let (one, two) = planted.text.split_at(cut);
            let events = [
                opened(),
                turn_started("t1"),
                user_message("m1", &planted.text),
                message_started("m2"),
                text_delta("m2", one),
                text_delta("m2", two),
                turn_finished("t1", crate::event::TurnOutcome::Completed),
                user_message("m3", "harmless"),
            ];
            let mut scrubber = Scrubber::new(&rules);
            let mut out = Vec::new();
            for (nth, event) in events.iter().enumerate() {
                let seq = Seq(nth as u64 + 1);
                out.extend(scrubber.push(Envelope { seq, at: Millis(seq.0 * 10), event: event.clone() }));
            }
            out.extend(scrubber.finish());
            let numbers: Vec<_> = out.iter().map(|envelope| (envelope.seq.0, envelope.at.0)).collect();
            assert_eq!(numbers, (1..=events.len() as u64).map(|seq| (seq, seq * 10)).collect::<Vec<_>>());
            let said = serde_json::to_string(&out).unwrap();
            let secret = serde_json::to_string(&planted.secret).unwrap();
            assert!(!said.contains(secret.trim_matches('"')), "{}: {said}", planted.kind);
            assert!((2..=3).contains(&scrubber.changed()), "{}", scrubber.changed());
            assert_eq!(out[7].event, events[7]);
        }
    }
}
