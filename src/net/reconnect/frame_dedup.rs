//! PURE. Which frames of a stream that was opened again are new, and whether something is missing between.
//!
//! With ids the stream itself says where it goes on. Without, a server that tells all from the beginning is known by
//! its first frames being the same as before; anything else is another answer.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use crate::dialect::SseFrame;

/// Frames that are remembered.
const MAX_REMEMBERED_FRAMES: usize = 16 * 1024;

/// What to do with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FrameVerdict {
    /// Decode it. The first new one after a reconnect also says how the two parts meet.
    New(Option<Resumption>),
    Repeated,
    /// The stream tells something else from the beginning; these frames come first.
    Restarted(Vec<SseFrame>),
}

/// How the stream goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resumption {
    Resumed,
    /// That many frames are missing, where it can be counted.
    Gap(Option<u64>),
}

#[derive(Debug, Default)]
pub(super) struct FrameDedup {
    /// The id to reconnect with.
    last_event_id: Option<String>,
    has_ids: bool,
    remembered_order: VecDeque<u64>,
    remembered: HashSet<u64>,
    /// Frames of a stream without ids, from its beginning.
    fingerprints_from_start: Vec<u64>,
    has_overflowed: bool,
    pending: Option<PendingResumption>,
}

#[derive(Debug, Default)]
struct PendingResumption {
    /// Frames met that were told before.
    repeated: Vec<SseFrame>,
}

impl FrameDedup {
    pub(super) fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    pub(super) fn has_ids(&self) -> bool {
        self.has_ids
    }

    /// The stream was opened again.
    pub(super) fn note_reconnect(&mut self) {
        if self.has_ids || !self.fingerprints_from_start.is_empty() || self.has_overflowed {
            self.pending = Some(PendingResumption::default());
        }
    }

    pub(super) fn classify(&mut self, frame: &SseFrame) -> FrameVerdict {
        let id = frame.id.as_deref().filter(|id| !id.is_empty());
        self.has_ids |= id.is_some();
        let verdict = match self.pending.take() {
            None => FrameVerdict::New(None),
            Some(joining) if self.has_ids => self.resume_by_id(joining, frame, id),
            Some(joining) => return self.resume_by_replay(joining, frame),
        };
        if verdict != FrameVerdict::Repeated {
            self.remember(frame);
        }
        if let (Some(id), FrameVerdict::New(_)) = (id, &verdict) {
            self.last_event_id = Some(id.to_owned());
        } else if frame.id.as_deref() == Some("") {
            self.last_event_id = None;
        }
        verdict
    }

    fn resume_by_id(&mut self, mut joining: PendingResumption, frame: &SseFrame, id: Option<&str>) -> FrameVerdict {
        if self.remembered.contains(&fingerprint(frame)) {
            if id.is_some() && joining.repeated.is_empty() {
                joining.repeated.push(SseFrame::default());
            }
            self.pending = Some(joining);
            return FrameVerdict::Repeated;
        }
        let Some(id) = id else {
            // A greeting or a sign of life: the join is still open.
            self.pending = Some(joining);
            return FrameVerdict::New(None);
        };
        if !joining.repeated.is_empty() {
            return FrameVerdict::New(Some(Resumption::Resumed));
        }
        let number = |text: &str| text.parse::<u64>().ok();
        FrameVerdict::New(Some(match (self.last_event_id.as_deref().and_then(number), number(id)) {
            (Some(last), Some(id)) if id == last.saturating_add(1) => Resumption::Resumed,
            (Some(last), Some(id)) if id > last => Resumption::Gap(Some(id - last - 1)),
            (Some(_), Some(_)) => Resumption::Gap(None),
            // It was told where to go on, and its ids say no more.
            _ => Resumption::Resumed,
        }))
    }

    fn resume_by_replay(&mut self, mut joining: PendingResumption, frame: &SseFrame) -> FrameVerdict {
        let at = joining.repeated.len();
        if !self.has_overflowed && self.fingerprints_from_start.get(at) == Some(&fingerprint(frame)) {
            joining.repeated.push(frame.clone());
            self.pending = Some(joining);
            return FrameVerdict::Repeated;
        }
        if !self.has_overflowed && at > 0 && at == self.fingerprints_from_start.len() {
            self.remember(frame);
            return FrameVerdict::New(Some(Resumption::Resumed));
        }
        *self = Self::default();
        for repeated in &joining.repeated {
            self.remember(repeated);
        }
        self.remember(frame);
        FrameVerdict::Restarted(joining.repeated)
    }

    fn remember(&mut self, frame: &SseFrame) {
        let print = fingerprint(frame);
        if self.fingerprints_from_start.len() < MAX_REMEMBERED_FRAMES {
            self.fingerprints_from_start.push(print);
        } else {
            self.has_overflowed = true;
        }
        if self.remembered.insert(print) {
            self.remembered_order.push_back(print);
        }
        while self.remembered_order.len() > MAX_REMEMBERED_FRAMES
            && let Some(oldest) = self.remembered_order.pop_front()
        {
            self.remembered.remove(&oldest);
        }
    }
}

fn fingerprint(frame: &SseFrame) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&frame.event, &frame.id, &frame.data).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> SseFrame {
        match text.split_once('=') {
            Some((id, data)) => SseFrame { id: Some(id.into()), ..SseFrame::data(data) },
            None => SseFrame::data(text),
        }
    }

    /// Tells the parts, each after a reconnect, and returns what comes of each frame.
    fn run(parts: &[&[&str]]) -> Vec<FrameVerdict> {
        let mut seen = FrameDedup::default();
        let mut out = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                seen.note_reconnect();
            }
            out.extend(part.iter().map(|text| seen.classify(&frame(text))));
        }
        out
    }

    use FrameVerdict::{New, Repeated, Restarted};

    const RESUMED: FrameVerdict = New(Some(Resumption::Resumed));

    #[test]
    fn ids_say_where_a_stream_goes_on() {
        assert_eq!(run(&[&["0=a", "1=b"], &["2=c", "3=d"]]), [New(None), New(None), RESUMED, New(None)]);
        assert_eq!(run(&[&["0=a", "1=b"], &["0=a", "1=b", "2=c"]])[2..], [Repeated, Repeated, RESUMED]);
        assert_eq!(run(&[&["0=a", "1=b"], &["5=c"]])[2..], [New(Some(Resumption::Gap(Some(3))))]);
        assert_eq!(run(&[&["7=a", "8=b"], &["0=x"]])[2..], [New(Some(Resumption::Gap(None)))]);
        assert_eq!(run(&[&["x=a", "y=b"], &["z=c"]])[2..], [RESUMED]);
    }

    #[test]
    fn a_greeting_is_not_told_twice_and_joins_nothing() {
        assert_eq!(run(&[&["init", "0=a"], &["init", "hello", "1=b"]])[2..], [Repeated, New(None), RESUMED]);
    }

    #[test]
    fn the_same_text_under_the_same_id_is_dropped_only_while_joining() {
        assert_eq!(run(&[&["0=a", "0=a"]]), [New(None), New(None)]);
    }

    #[test]
    fn a_stream_told_from_the_beginning_goes_on_where_it_broke() {
        assert_eq!(run(&[&["a", "b"], &["a", "b", "c", "d"]])[2..], [Repeated, Repeated, RESUMED, New(None)]);
        assert_eq!(run(&[&["a", "b"], &["a"], &["a", "b", "c"]])[2..], [Repeated, Repeated, Repeated, RESUMED]);
    }

    #[test]
    fn another_answer_is_not_mixed_into_the_first() {
        assert_eq!(run(&[&["a", "b"], &["x"]])[2..], [Restarted(vec![])]);
        assert_eq!(run(&[&["a", "b"], &["a", "x", "y"]])[2..], [Repeated, Restarted(vec![frame("a")]), New(None)]);
    }

    #[test]
    fn what_is_remembered_has_a_limit() {
        let mut seen = FrameDedup::default();
        for n in 0..MAX_REMEMBERED_FRAMES * 2 {
            seen.classify(&frame(&format!("{n}")));
        }
        assert!(
            seen.remembered.len() <= MAX_REMEMBERED_FRAMES
                && seen.fingerprints_from_start.len() <= MAX_REMEMBERED_FRAMES
        );
        seen.note_reconnect();
        assert_eq!(seen.classify(&frame("0")), Restarted(vec![]));
    }
}
