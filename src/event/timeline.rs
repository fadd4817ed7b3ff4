//! What stands out in a recorded session: its turns, calls, errors, marks and waits, in order.

use std::collections::BTreeSet;

use super::{AgentEvent, Annotation, CallOutcome, Envelope, Millis, NoticeLevel, Seq, TurnOutcome};

/// From how long on nothing happening is a wait.
const MIN_WAIT: Millis = Millis(5_000);
/// Moments that are kept: a row of the screen has no room for more, and who seeks goes by the nearest ones.
const MAX_MOMENTS: usize = 50_000;

/// The kinds of events of which a timeline is made, by their names in JSON.
pub const TIMELINE_KINDS: [&str; 6] =
    ["turn_started", "tool_call_ready", "tool_call_finished", "noticed", "annotated", "turn_finished"];

/// Something that stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The event with which it is seen.
    pub seq: Seq,
    pub at: Millis,
    pub kind: MomentKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentKind {
    Turn,
    Call,
    /// A call, a turn or the session failed.
    Error,
    /// A person marked it.
    Mark,
    /// Nothing happened after it until then.
    Wait {
        until: Millis,
    },
}

impl MomentKind {
    fn is_same(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// The moments of a session, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeline {
    moments: Vec<Moment>,
}

impl Timeline {
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// Returns the moments whose events are shown.
    #[must_use]
    pub fn along(mut self, is_shown: impl Fn(Seq) -> bool) -> Self {
        self.moments.retain(|moment| is_shown(moment.seq));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }

    /// Returns the `steps`-th moment of a kind after the event `from`, or before it where `steps` is negative.
    pub fn step(&self, kind: MomentKind, from: Seq, steps: i64) -> Option<Moment> {
        let nth = usize::try_from(steps.unsigned_abs().checked_sub(1)?).ok()?;
        let split = self.moments.partition_point(|moment| moment.seq <= from);
        let is_meant = |moment: &&Moment| moment.kind.is_same(kind) && moment.seq != from;
        if steps > 0 {
            self.moments.get(split..)?.iter().filter(is_meant).nth(nth).copied()
        } else {
            self.moments.get(..split)?.iter().rev().filter(is_meant).nth(nth).copied()
        }
    }

    /// Returns how many moments of a kind there are.
    pub fn count(&self, kind: MomentKind) -> usize {
        self.moments.iter().filter(|moment| moment.kind.is_same(kind)).count()
    }
}

/// Makes a timeline of the events of a log, in their order.
#[derive(Debug, Default)]
pub struct TimelineBuilder {
    moments: Vec<Moment>,
    marks: BTreeSet<Seq>,
    last: Option<(Seq, Millis)>,
}

impl TimelineBuilder {
    /// Notes that there is an event, whatever it is.
    pub fn pass(&mut self, seq: Seq, at: Millis) {
        if let Some((last, since)) = self.last
            && at.since(since) >= MIN_WAIT
        {
            self.push(last, since, MomentKind::Wait { until: at });
        }
        self.last = Some((seq, at));
    }

    /// Notes what it is, after [`Self::pass`].
    pub fn observe(&mut self, Envelope { seq, at, event }: &Envelope) {
        let kind = match event {
            AgentEvent::TurnStarted { .. } => MomentKind::Turn,
            AgentEvent::ToolCallReady { .. } => MomentKind::Call,
            AgentEvent::ToolCallFinished { outcome: CallOutcome::Failed, .. }
            | AgentEvent::Notice { level: NoticeLevel::Error, .. }
            | AgentEvent::TurnFinished { outcome: TurnOutcome::Failed(_) | TurnOutcome::Interrupted, .. } => {
                MomentKind::Error
            }
            AgentEvent::Annotation { annotation: Annotation::Mark { seq, set }, .. } => {
                if *set {
                    self.marks.insert(*seq);
                } else {
                    self.marks.remove(seq);
                }
                return;
            }
            _ => return,
        };
        self.push(*seq, *at, kind);
    }

    /// Returns the timeline; `time_of` tells when the event of a number was.
    pub fn finish(mut self, time_of: impl Fn(Seq) -> Option<Millis>) -> Timeline {
        for seq in std::mem::take(&mut self.marks) {
            if let Some(at) = time_of(seq) {
                self.push(seq, at, MomentKind::Mark);
            }
        }
        self.moments.sort_by_key(|moment| moment.seq);
        Timeline { moments: self.moments }
    }

    fn push(&mut self, seq: Seq, at: Millis, kind: MomentKind) {
        if self.moments.len() < MAX_MOMENTS {
            self.moments.push(Moment { seq, at, kind });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AnnotationTarget, NoticeCode};
    use crate::testkit::events::{call_finished, call_ready, turn_finished, turn_started};

    fn mark(seq: u64, set: bool) -> AgentEvent {
        AgentEvent::Annotation { on: AnnotationTarget::Session, annotation: Annotation::Mark { seq: Seq(seq), set } }
    }

    fn built(events: Vec<(u64, AgentEvent)>) -> Timeline {
        let mut builder = TimelineBuilder::default();
        let times: Vec<Millis> = events.iter().map(|(at, _)| Millis(*at)).collect();
        for (seq, (at, event)) in (1..).zip(events) {
            builder.pass(Seq(seq), Millis(at));
            builder.observe(&Envelope { seq: Seq(seq), at: Millis(at), event });
        }
        builder.finish(|seq| times.get(usize::try_from(seq.0).ok()?.checked_sub(1)?).copied())
    }

    fn session() -> Timeline {
        let notice = AgentEvent::Notice { level: NoticeLevel::Error, code: NoticeCode::NoEngine, text: String::new() };
        built(vec![
            (0, turn_started("t1")),
            (10, call_ready("c1", "run", "{}")),
            (20, call_finished("c1", CallOutcome::Failed, "")),
            (9_000, call_ready("c2", "run", "{}")),
            (9_010, call_finished("c2", CallOutcome::Ok, "")),
            (9_020, turn_finished("t1", TurnOutcome::Completed)),
            (9_030, mark(4, true)),
            (9_040, mark(5, true)),
            (9_050, mark(5, false)),
            (9_060, mark(99, true)),
            (9_070, notice),
        ])
    }

    #[test]
    fn what_stands_out_is_told_in_order_and_marks_where_they_are_set() {
        let found: Vec<_> = session().moments().iter().map(|moment| (moment.seq.0, moment.kind)).collect();
        let expected = [
            (1, MomentKind::Turn),
            (2, MomentKind::Call),
            (3, MomentKind::Error),
            (3, MomentKind::Wait { until: Millis(9_000) }),
            (4, MomentKind::Call),
            (4, MomentKind::Mark),
            (11, MomentKind::Error),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn steps_go_to_the_nearest_of_a_kind_and_never_stay() {
        let timeline = session();
        let step = |kind, from, steps| timeline.step(kind, Seq(from), steps).map(|moment| moment.seq.0);
        let cases = [
            (MomentKind::Call, 0, 1, Some(2)),
            (MomentKind::Call, 2, 1, Some(4)),
            (MomentKind::Call, 0, 2, Some(4)),
            (MomentKind::Call, 4, 1, None),
            (MomentKind::Call, 4, -1, Some(2)),
            (MomentKind::Call, 3, -1, Some(2)),
            (MomentKind::Error, 11, -1, Some(3)),
            (MomentKind::Mark, 0, 1, Some(4)),
            (MomentKind::Wait { until: Millis(0) }, 0, 1, Some(3)),
            (MomentKind::Turn, 5, 0, None),
            (MomentKind::Turn, 5, i64::MIN, None),
        ];
        for (kind, from, steps, expected) in cases {
            assert_eq!(step(kind, from, steps), expected, "{kind:?} {from} {steps}");
        }
        assert_eq!((timeline.count(MomentKind::Call), timeline.count(MomentKind::Error)), (2, 2));
    }
}
