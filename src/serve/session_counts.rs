//! PURE. What is counted of sessions for `/metrics`: a fold over their events.

use std::collections::{BTreeMap, HashMap};

use super::request::is_history_turn;
use crate::event::{AgentEvent, Annotation, AnnotationTarget, Envelope, TurnOutcome, Usage, UsageScope};

/// Upper ends of the classes of times, in seconds.
const BUCKET_SECONDS: [f64; 11] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// The sums of one session, or of several. They only grow.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SessionCounts {
    pub(super) events: u64,
    /// Turns that ended, by how.
    pub(super) turns: BTreeMap<&'static str, u64>,
    /// Turns that failed, by the kind of fault.
    pub(super) failures: BTreeMap<&'static str, u64>,
    pub(super) tokens: Usage,
    /// From the start of a turn to the first token of its answer.
    pub(super) first_token: TimeHistogram,
    /// What was reported of the turn that runs: a later report of the same replaces it.
    running: HashMap<UsageScope, Usage>,
}

impl SessionCounts {
    pub(super) fn observe(&mut self, envelope: &Envelope) {
        self.events += 1;
        match &envelope.event {
            AgentEvent::TurnStarted { .. } => self.running.clear(),
            AgentEvent::UsageReported { scope, usage } => {
                self.running.insert(*scope, *usage);
            }
            AgentEvent::Annotation { on: AnnotationTarget::Turn(_), annotation: Annotation::FirstToken { ms } } => {
                self.first_token.add(ms.as_secs_f64());
            }
            AgentEvent::TurnFinished { turn, outcome } => {
                let reports = std::mem::take(&mut self.running);
                // The turns that a client told of are not ours.
                if is_history_turn(turn) {
                    return;
                }
                let whole = reports.get(&UsageScope::Turn).copied();
                let used = whole.unwrap_or_else(|| reports.values().fold(Usage::default(), |sum, one| sum.plus(*one)));
                self.tokens = self.tokens.plus(used);
                *self.turns.entry(outcome_name(outcome)).or_default() += 1;
                if let TurnOutcome::Failed(fault) = outcome {
                    *self.failures.entry(fault.kind.name()).or_default() += 1;
                }
            }
            _ => {}
        }
    }

    /// Adds the sums of a session.
    pub(super) fn add(&mut self, other: &Self) {
        self.events += other.events;
        for (name, count) in &other.turns {
            *self.turns.entry(name).or_default() += count;
        }
        for (name, count) in &other.failures {
            *self.failures.entry(name).or_default() += count;
        }
        self.tokens = self.tokens.plus(other.tokens);
        self.first_token.add_all(&other.first_token);
    }
}

fn outcome_name(outcome: &TurnOutcome) -> &'static str {
    match outcome {
        TurnOutcome::Completed => "completed",
        TurnOutcome::Cancelled => "cancelled",
        TurnOutcome::Interrupted => "interrupted",
        TurnOutcome::Failed(_) => "failed",
    }
}

/// How many times there were of each length.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TimeHistogram {
    /// By class; the last is for longer ones.
    counts: [u64; BUCKET_SECONDS.len() + 1],
    pub(super) sum_seconds: f64,
}

impl TimeHistogram {
    fn add(&mut self, seconds: f64) {
        let class = BUCKET_SECONDS.iter().position(|end| seconds <= *end).unwrap_or(BUCKET_SECONDS.len());
        self.counts[class] += 1;
        self.sum_seconds += seconds;
    }

    fn add_all(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_seconds += other.sum_seconds;
    }

    /// Returns how many were at most this long, class by class; the last has no end.
    pub(super) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let ends = BUCKET_SECONDS.into_iter().chain([f64::INFINITY]);
        ends.zip(self.counts).scan(0, |sum, (end, count)| {
            *sum += count;
            Some((end, *sum))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Fault, FaultKind, Millis, Seq};
    use crate::testkit::events::{opened, turn_finished, turn_started};

    fn counts(events: Vec<AgentEvent>) -> SessionCounts {
        let mut counts = SessionCounts::default();
        for (nth, event) in events.into_iter().enumerate() {
            counts.observe(&Envelope { seq: Seq(nth as u64 + 1), at: Millis(0), event });
        }
        counts
    }

    fn usage(scope: UsageScope, input_tokens: u64, output_tokens: u64) -> AgentEvent {
        AgentEvent::UsageReported { scope, usage: Usage { input_tokens, output_tokens, ..Usage::default() } }
    }

    #[test]
    fn tokens_are_counted_once_whatever_is_reported_again() {
        let counts = counts(vec![
            opened(),
            turn_started("t1"),
            usage(UsageScope::Request(1), 1, 1),
            usage(UsageScope::Request(1), 10, 2),
            usage(UsageScope::Request(2), 20, 3),
            turn_finished("t1", TurnOutcome::Completed),
            turn_started("t2"),
            usage(UsageScope::Request(1), 1, 1),
            usage(UsageScope::Turn, 100, 50),
            turn_finished("t2", TurnOutcome::Failed(Fault::new(FaultKind::Network, "gone"))),
        ]);
        assert_eq!((counts.events, counts.tokens.input_tokens, counts.tokens.output_tokens), (10, 130, 55));
        assert_eq!(counts.turns, BTreeMap::from([("completed", 1), ("failed", 1)]));
        assert_eq!(counts.failures, BTreeMap::from([("network", 1)]));
    }

    #[test]
    fn times_fall_into_classes_that_hold_the_shorter_ones_too() {
        let first = |ms| AgentEvent::Annotation {
            on: AnnotationTarget::Turn("t1".into()),
            annotation: Annotation::FirstToken { ms: Millis(ms) },
        };
        let mut sum = SessionCounts::default();
        sum.add(&counts(vec![first(50), first(51)]));
        sum.add(&counts(vec![first(400_000)]));
        let classes: Vec<u64> = sum.first_token.cumulative().map(|(_, count)| count).collect();
        assert_eq!(classes, [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3]);
        assert!((sum.first_token.sum_seconds - 400.101).abs() < 1e-9);
    }
}
