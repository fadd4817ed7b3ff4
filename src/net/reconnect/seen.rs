//! PURE. Which frames of a stream that was opened again are new, and whether something is missing between.
//!
//! With ids the stream itself says where it goes on. Without, a server that tells all from the beginning is known by
//! its first frames being the same as before; anything else is another answer.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};

use crate::dialect::SseFrame;

/// Frames that are remembered.
const KEPT: usize = 16 * 1024;

/// What to do with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Decode it. The first new one after a reconnect also says how the two parts meet.
    New(Option<Joint>),
    Repeated,
    /// The stream tells something else from the beginning; these frames come first.
    Anew(Vec<SseFrame>),
}

/// How the stream goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    Resumed,
    /// That many frames are missing, where it can be counted.
    Gap(Option<u64>),
}

#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The id to reconnect with.
    last: Option<String>,
    has_ids: bool,
    order: VecDeque<u64>,
    known: HashSet<u64>,
    /// Frames of a stream without ids, from its beginning.
    script: Vec<u64>,
    too_long: bool,
    joining: Option<Joining>,
}

#[derive(Debug, Default)]
struct Joining {
    /// Frames met that were told before.
    repeated: Vec<SseFrame>,
}

impl Seen {
    pub(super) fn last_id(&self) -> Option<&str> {
        self.last.as_deref()
    }

    pub(super) fn has_ids(&self) -> bool {
        self.has_ids
    }

    /// The stream was opened again.
    pub(super) fn reconnected(&mut self) {
        if self.has_ids || !self.script.is_empty() || self.too_long {
            self.joining = Some(Joining::default());
        }
    }

    pub(super) fn judge(&mut self, frame: &SseFrame) -> Verdict {
        let id = frame.id.as_deref().filter(|id| !id.is_empty());
        self.has_ids |= id.is_some();
        let verdict = match self.joining.take() {
            None => Verdict::New(None),
            Some(joining) if self.has_ids => self.join_by_id(joining, frame, id),
            Some(joining) => return self.join_by_replay(joining, frame),
        };
        if verdict != Verdict::Repeated {
            self.remember(frame);
        }
        if let (Some(id), Verdict::New(_)) = (id, &verdict) {
            self.last = Some(id.to_owned());
        } else if frame.id.as_deref() == Some("") {
            self.last = None;
        }
        verdict
    }

    fn join_by_id(&mut self, mut joining: Joining, frame: &SseFrame, id: Option<&str>) -> Verdict {
        if self.known.contains(&fingerprint(frame)) {
            if id.is_some() && joining.repeated.is_empty() {
                joining.repeated.push(SseFrame::default());
            }
            self.joining = Some(joining);
            return Verdict::Repeated;
        }
        let Some(id) = id else {
            // A greeting or a sign of life: the join is still open.
            self.joining = Some(joining);
            return Verdict::New(None);
        };
        if !joining.repeated.is_empty() {
            return Verdict::New(Some(Joint::Resumed));
        }
        let number = |text: &str| text.parse::<u64>().ok();
        Verdict::New(Some(match (self.last.as_deref().and_then(number), number(id)) {
            (Some(last), Some(id)) if id == last.saturating_add(1) => Joint::Resumed,
            (Some(last), Some(id)) if id > last => Joint::Gap(Some(id - last - 1)),
            (Some(_), Some(_)) => Joint::Gap(None),
            // It was told where to go on, and its ids say no more.
            _ => Joint::Resumed,
        }))
    }

    fn join_by_replay(&mut self, mut joining: Joining, frame: &SseFrame) -> Verdict {
        let at = joining.repeated.len();
        if !self.too_long && self.script.get(at) == Some(&fingerprint(frame)) {
            joining.repeated.push(frame.clone());
            self.joining = Some(joining);
            return Verdict::Repeated;
        }
        if !self.too_long && at > 0 && at == self.script.len() {
            self.remember(frame);
            return Verdict::New(Some(Joint::Resumed));
        }
        *self = Self::default();
        for repeated in &joining.repeated {
            self.remember(repeated);
        }
        self.remember(frame);
        Verdict::Anew(joining.repeated)
    }

    fn remember(&mut self, frame: &SseFrame) {
        let print = fingerprint(frame);
        if self.script.len() < KEPT {
            self.script.push(print);
        } else {
            self.too_long = true;
        }
        if self.known.insert(print) {
            self.order.push_back(print);
        }
        while self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
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
    fn run(parts: &[&[&str]]) -> Vec<Verdict> {
        let mut seen = Seen::default();
        let mut out = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                seen.reconnected();
            }
            out.extend(part.iter().map(|text| seen.judge(&frame(text))));
        }
        out
    }

    use Verdict::{Anew, New, Repeated};

    const RESUMED: Verdict = New(Some(Joint::Resumed));

    #[test]
    fn ids_say_where_a_stream_goes_on() {
        assert_eq!(run(&[&["0=a", "1=b"], &["2=c", "3=d"]]), [New(None), New(None), RESUMED, New(None)]);
        assert_eq!(run(&[&["0=a", "1=b"], &["0=a", "1=b", "2=c"]])[2..], [Repeated, Repeated, RESUMED]);
        assert_eq!(run(&[&["0=a", "1=b"], &["5=c"]])[2..], [New(Some(Joint::Gap(Some(3))))]);
        assert_eq!(run(&[&["7=a", "8=b"], &["0=x"]])[2..], [New(Some(Joint::Gap(None)))]);
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
        assert_eq!(run(&[&["a", "b"], &["x"]])[2..], [Anew(vec![])]);
        assert_eq!(run(&[&["a", "b"], &["a", "x", "y"]])[2..], [Repeated, Anew(vec![frame("a")]), New(None)]);
    }

    #[test]
    fn what_is_remembered_has_a_limit() {
        let mut seen = Seen::default();
        for n in 0..KEPT * 2 {
            seen.judge(&frame(&format!("{n}")));
        }
        assert!(seen.known.len() <= KEPT && seen.script.len() <= KEPT);
        seen.reconnected();
        assert_eq!(seen.judge(&frame("0")), Anew(vec![]));
    }
}
