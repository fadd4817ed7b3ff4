//! The newest bytes of all streams, kept so that one can look at them after something odd has happened.
//!
//! Not a recording: that is a file and has everything of the streams. This is a ring of [`Line`]s, bounded in bytes,
//! that says how much fell out of it, and it hears the messages of a WebSocket as well. Keeping a piece is a copy of it
//! and nothing more; who looks cuts it into frames.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::call::HttpCall;
use super::record::Line;
use super::redact::Redactor;

/// Bytes that are usually kept, with what it costs to keep them: the last answers.
const FEW: usize = 256 * 1024;
/// Bytes that are kept of streams that somebody attached to, to see what they hold.
pub const MANY: usize = 4 * 1024 * 1024;
/// What an entry costs beside its bytes.
const ENTRY: usize = size_of::<Kept>();
/// Heads of answers whose first pieces fell out.
const HEADS: usize = 32;

/// The ring. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Reel {
    ring: Arc<Mutex<Ring>>,
    /// Said whenever something came.
    news: watch::Sender<()>,
}

/// A line and the answer it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub answer: u64,
    pub line: Line,
}

/// What was kept behind a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Taken {
    pub lines: Vec<Kept>,
    /// Where to go on.
    pub next: u64,
    /// Bytes of streams that fell out so far.
    pub fallen: u64,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Kept>,
    /// Number of the first line that is left.
    first: u64,
    size: usize,
    /// Bytes that are kept.
    most: usize,
    answers: u64,
    fallen: u64,
    heads: VecDeque<Kept>,
    /// Answers that came beside another, in no order that a recording could tell.
    beside: BTreeSet<u64>,
    /// By answer: what must not be shown, since a secret may lie across two pieces.
    secrets: VecDeque<(u64, Redactor)>,
}

impl Default for Reel {
    fn default() -> Self {
        let ring = Ring { most: FEW, ..Ring::default() };
        Self { ring: Arc::new(Mutex::new(ring)), news: watch::Sender::new(()) }
    }
}

impl Reel {
    /// Keeps that many bytes from now on.
    pub fn keep(&self, most: usize) {
        self.ring().most = most;
    }

    /// Returns a number for an answer that begins.
    pub fn answer(&self) -> u64 {
        let mut ring = self.ring();
        ring.answers += 1;
        ring.answers
    }

    /// The same for an answer to a call that held secrets.
    pub(super) fn answer_to(&self, call: &HttpCall) -> u64 {
        let mut ring = self.ring();
        ring.answers += 1;
        let number = ring.answers;
        let oldest = ring.lines.front().map_or(number, |kept| kept.answer);
        ring.secrets.retain(|(answer, _)| *answer >= oldest);
        ring.secrets.push_back((number, Redactor::of(call)));
        number
    }

    /// The same for one that comes beside others: it can be looked at, and is left out of a recording, whose lines
    /// don't say which answer they belong to.
    pub(super) fn beside(&self, call: &HttpCall) -> u64 {
        let number = self.answer_to(call);
        let mut ring = self.ring();
        let oldest = ring.lines.front().map_or(number, |kept| kept.answer);
        ring.beside = ring.beside.split_off(&oldest);
        ring.beside.insert(number);
        number
    }

    /// Blanks out the secrets of an answer's call in a text.
    pub fn blank(&self, answer: u64, text: &mut String) {
        if let Some((_, secrets)) = self.ring().secrets.iter().find(|(number, _)| *number == answer) {
            secrets.blank(text);
        }
    }

    /// Keeps a line of an answer; the oldest ones make room.
    pub fn push(&self, answer: u64, line: Line) {
        self.ring().push(Kept { answer, line });
        if self.news.receiver_count() > 0 {
            self.news.send_replace(());
        }
    }

    /// Returns what is left from line `from` on, up to about so many bytes.
    pub fn after(&self, from: u64, bytes: usize) -> Taken {
        let ring = self.ring();
        let begin = from.max(ring.first);
        let mut taken = Taken { lines: Vec::new(), next: begin, fallen: ring.fallen };
        let mut size = 0;
        for kept in ring.lines.iter().skip((begin - ring.first) as usize) {
            if size >= bytes {
                break;
            }
            size += weight(kept);
            taken.next += 1;
            taken.lines.push(kept.clone());
        }
        taken
    }

    /// Returns how an answer began, where that fell out.
    pub fn head(&self, answer: u64) -> Option<Line> {
        self.ring().heads.iter().find(|kept| kept.answer == answer).map(|kept| kept.line.clone())
    }

    /// Returns everything that stands in an order of its own as the lines of a recording.
    pub fn lines(&self) -> Vec<Line> {
        let ring = self.ring();
        let goes_on = |head: &&Kept| ring.lines.iter().any(|kept| kept.answer == head.answer);
        let all = ring.heads.iter().filter(goes_on).chain(&ring.lines);
        all.filter(|kept| !ring.beside.contains(&kept.answer)).map(|kept| kept.line.clone()).collect()
    }

    /// Returns what says when something came.
    pub fn news(&self) -> watch::Receiver<()> {
        self.news.subscribe()
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Every change is whole before anything can panic.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, kept: Kept) {
        self.size += weight(&kept);
        self.lines.push_back(kept);
        while self.size > self.most {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.size = self.size.saturating_sub(weight(&oldest));
            self.first += 1;
            match &oldest.line {
                Line::Answer { .. } => {
                    if self.heads.len() >= HEADS {
                        self.heads.pop_front();
                    }
                    self.heads.push_back(oldest);
                }
                Line::Piece { bytes, .. } => self.fallen += bytes.len() as u64,
                Line::End { .. } => self.heads.retain(|head| head.answer != oldest.answer),
            }
        }
    }
}

fn weight(kept: &Kept) -> usize {
    ENTRY
        + match &kept.line {
            Line::Answer { url, content_type, .. } => url.len() + content_type.len(),
            Line::Piece { bytes, .. } => bytes.len(),
            Line::End { end, .. } => end.len(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Millis;
    use crate::net::record::{FORMAT, KIND};

    fn head() -> Line {
        Line::Answer {
            kind: KIND.into(),
            format: FORMAT,
            at: Millis(0),
            method: "GET".into(),
            url: "http://h/".into(),
            status: 200,
            content_type: "text/event-stream".into(),
        }
    }

    fn piece(text: String) -> Line {
        Line::Piece { at: Millis(1), bytes: text, encoding: None }
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_fell_out_is_counted() {
        let reel = Reel::default();
        reel.keep(MANY);
        let answer = reel.answer();
        reel.push(answer, head());
        for _ in 0..100 {
            reel.push(answer, piece("x".repeat(100_000)));
        }
        let all = reel.after(0, usize::MAX);
        assert!(all.lines.len() < 43 && all.next == 101, "{} {}", all.lines.len(), all.next);
        assert_eq!(all.fallen, (100 - all.lines.len() as u64) * 100_000);
        assert_eq!(reel.head(answer), Some(head()));
        assert_eq!(reel.lines().first(), Some(&head()), "a recording begins with a head");
        for _ in 0..1_000_000 {
            reel.push(answer, piece(String::new()));
        }
        assert!(reel.after(0, usize::MAX).lines.len() * ENTRY <= MANY);
    }

    #[test]
    fn reading_goes_on_where_it_stopped() {
        let reel = Reel::default();
        for text in ["a", "b", "c"] {
            reel.push(1, piece(text.into()));
        }
        let first = reel.after(0, 1);
        assert_eq!((first.lines.len(), first.next), (1, 1));
        let rest = reel.after(first.next, usize::MAX);
        assert_eq!((rest.lines.len(), rest.next), (2, 3));
        assert!(reel.after(rest.next, usize::MAX).lines.is_empty());
    }
}
