//! The newest bytes of all streams, kept so that one can look at them after something odd has happened.
//!
//! Not a recording: that is a file and has everything of the streams. This is a ring of [`RecordLine`]s, bounded in
//! bytes, that says how much fell out of it, and it hears the messages of a WebSocket as well. Keeping a piece is a
//! copy of it and nothing more; who looks cuts it into frames.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::line::RecordLine;
use crate::net::redact::Redactor;
use crate::net::request::HttpRequest;

/// Bytes that are usually kept, with what it costs to keep them: the last answers.
const DEFAULT_RING_BYTES: usize = 256 * 1024;
/// Bytes that are kept of streams that somebody attached to, to see what they hold.
pub const ATTACHED_RING_BYTES: usize = 4 * 1024 * 1024;
/// What an entry costs beside its bytes.
const ENTRY_OVERHEAD_BYTES: usize = size_of::<RingEntry>();
/// Heads of answers whose first pieces fell out.
const MAX_RESPONSE_HEADS: usize = 32;

/// The ring. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct TrafficRing {
    state: Arc<Mutex<RingState>>,
    /// Said when something came that somebody waits for.
    changed: watch::Sender<()>,
}

/// A line and the answer it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct RingEntry {
    pub response: u64,
    pub line: RecordLine,
}

/// What was kept behind a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RingSlice {
    pub entries: Vec<RingEntry>,
    /// Where to go on.
    pub next: u64,
    /// Bytes of streams that fell out so far.
    pub dropped_bytes: u64,
}

#[derive(Debug, Default)]
struct RingState {
    entries: VecDeque<RingEntry>,
    /// Number of the first line that is left.
    first: u64,
    size_bytes: usize,
    /// Bytes that are kept.
    capacity_bytes: usize,
    response_count: u64,
    dropped_bytes: u64,
    /// Somebody has read everything, and nothing came since.
    is_awaited: bool,
    heads: VecDeque<RingEntry>,
    /// Answers that came beside another, in no order that a recording could tell.
    side_channels: BTreeSet<u64>,
    /// By answer: what must not be shown, since a secret may lie across two pieces.
    redactors: VecDeque<(u64, Redactor)>,
}

impl Default for TrafficRing {
    fn default() -> Self {
        let ring = RingState { capacity_bytes: DEFAULT_RING_BYTES, ..RingState::default() };
        Self { state: Arc::new(Mutex::new(ring)), changed: watch::Sender::new(()) }
    }
}

impl TrafficRing {
    /// Keeps that many bytes from now on.
    pub fn set_capacity(&self, most: usize) {
        self.lock().capacity_bytes = most;
    }

    /// Returns a number for an answer that begins.
    pub fn begin_response(&self) -> u64 {
        let mut ring = self.lock();
        ring.response_count += 1;
        ring.response_count
    }

    /// The same for an answer to a call that held secrets.
    pub(super) fn begin_response_to(&self, call: &HttpRequest) -> u64 {
        let mut ring = self.lock();
        ring.response_count += 1;
        let number = ring.response_count;
        let oldest = ring.entries.front().map_or(number, |kept| kept.response);
        ring.redactors.retain(|(answer, _)| *answer >= oldest);
        ring.redactors.push_back((number, Redactor::for_request(call)));
        number
    }

    /// The same for one that comes beside others: it can be looked at, and is left out of a recording, whose lines
    /// don't say which answer they belong to.
    pub(super) fn begin_side_channel(&self, call: &HttpRequest) -> u64 {
        let number = self.begin_response_to(call);
        let mut ring = self.lock();
        let oldest = ring.entries.front().map_or(number, |kept| kept.response);
        ring.side_channels = ring.side_channels.split_off(&oldest);
        ring.side_channels.insert(number);
        number
    }

    /// Blanks out the secrets of an answer's call in a text.
    pub fn redact(&self, answer: u64, text: &mut String) {
        if let Some((_, secrets)) = self.lock().redactors.iter().find(|(number, _)| *number == answer) {
            secrets.redact(text);
        }
    }

    /// Keeps a line of an answer; the oldest ones make room.
    pub fn push(&self, answer: u64, line: RecordLine) {
        let mut ring = self.lock();
        ring.push(RingEntry { response: answer, line });
        let is_awaited = std::mem::take(&mut ring.is_awaited);
        drop(ring);
        if is_awaited {
            self.changed.send_replace(());
        }
    }

    /// Returns what is left from line `from` on, up to about so many bytes. Where there is nothing, the next line that
    /// comes is told to all who [subscribed](Self::subscribe).
    pub fn read_from(&self, from: u64, bytes: usize) -> RingSlice {
        let mut ring = self.lock();
        let begin = from.max(ring.first);
        let mut taken = RingSlice { entries: Vec::new(), next: begin, dropped_bytes: ring.dropped_bytes };
        let mut size = 0;
        for kept in ring.entries.iter().skip((begin - ring.first) as usize) {
            if size >= bytes {
                break;
            }
            size += size_of_entry(kept);
            taken.next += 1;
            taken.entries.push(kept.clone());
        }
        ring.is_awaited |= taken.entries.is_empty();
        taken
    }

    /// Returns how an answer began, where that fell out.
    pub fn response_head(&self, answer: u64) -> Option<RecordLine> {
        self.lock().heads.iter().find(|kept| kept.response == answer).map(|kept| kept.line.clone())
    }

    /// Returns everything that stands in an order of its own as the lines of a recording.
    pub fn recording_lines(&self) -> Vec<RecordLine> {
        let ring = self.lock();
        let goes_on = |head: &&RingEntry| ring.entries.iter().any(|kept| kept.response == head.response);
        let all = ring.heads.iter().filter(goes_on).chain(&ring.entries);
        all.filter(|kept| !ring.side_channels.contains(&kept.response)).map(|kept| kept.line.clone()).collect()
    }

    /// Returns what says when something came, after a read that found nothing.
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, RingState> {
        // Every change is whole before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RingState {
    fn push(&mut self, kept: RingEntry) {
        self.size_bytes += size_of_entry(&kept);
        self.entries.push_back(kept);
        while self.size_bytes > self.capacity_bytes {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.size_bytes = self.size_bytes.saturating_sub(size_of_entry(&oldest));
            self.first += 1;
            match &oldest.line {
                RecordLine::Response { .. } => {
                    if self.heads.len() >= MAX_RESPONSE_HEADS {
                        self.heads.pop_front();
                    }
                    self.heads.push_back(oldest);
                }
                RecordLine::Chunk { bytes, .. } => self.dropped_bytes += bytes.len() as u64,
                RecordLine::End { .. } => self.heads.retain(|head| head.response != oldest.response),
            }
        }
    }
}

fn size_of_entry(kept: &RingEntry) -> usize {
    ENTRY_OVERHEAD_BYTES
        + match &kept.line {
            RecordLine::Response { url, content_type, .. } => url.len() + content_type.len(),
            RecordLine::Chunk { bytes, .. } => bytes.len(),
            RecordLine::End { end, .. } => end.len(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Millis;
    use crate::net::traffic::line::{RECORDING_FORMAT, RECORDING_KIND};

    fn head() -> RecordLine {
        RecordLine::Response {
            kind: RECORDING_KIND.into(),
            format: RECORDING_FORMAT,
            at: Millis(0),
            method: "GET".into(),
            url: "http://h/".into(),
            status: 200,
            content_type: "text/event-stream".into(),
        }
    }

    fn piece(text: String) -> RecordLine {
        RecordLine::Chunk { at: Millis(1), bytes: text, encoding: None }
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_fell_out_is_counted() {
        let reel = TrafficRing::default();
        reel.set_capacity(ATTACHED_RING_BYTES);
        let answer = reel.begin_response();
        reel.push(answer, head());
        for _ in 0..100 {
            reel.push(answer, piece("x".repeat(100_000)));
        }
        let all = reel.read_from(0, usize::MAX);
        assert!(all.entries.len() < 43 && all.next == 101, "{} {}", all.entries.len(), all.next);
        assert_eq!(all.dropped_bytes, (100 - all.entries.len() as u64) * 100_000);
        assert_eq!(reel.response_head(answer), Some(head()));
        assert_eq!(reel.recording_lines().first(), Some(&head()), "a recording begins with a head");
        for _ in 0..1_000_000 {
            reel.push(answer, piece(String::new()));
        }
        assert!(reel.read_from(0, usize::MAX).entries.len() * ENTRY_OVERHEAD_BYTES <= ATTACHED_RING_BYTES);
    }

    #[test]
    fn who_has_read_everything_is_told_once_of_what_comes() {
        let reel = TrafficRing::default();
        let mut news = reel.subscribe();
        reel.push(1, piece("a".into()));
        assert!(!news.has_changed().unwrap(), "nobody waits");
        let all = reel.read_from(0, usize::MAX);
        assert_eq!(reel.read_from(all.next, usize::MAX).entries, []);
        reel.push(1, piece("b".into()));
        assert!(news.has_changed().unwrap());
        news.mark_unchanged();
        reel.push(1, piece("c".into()));
        assert!(!news.has_changed().unwrap(), "what is to be read was told");
        assert_eq!(reel.read_from(all.next, usize::MAX).entries.len(), 2);
    }

    #[test]
    fn reading_goes_on_where_it_stopped() {
        let reel = TrafficRing::default();
        for text in ["a", "b", "c"] {
            reel.push(1, piece(text.into()));
        }
        let first = reel.read_from(0, 1);
        assert_eq!((first.entries.len(), first.next), (1, 1));
        let rest = reel.read_from(first.next, usize::MAX);
        assert_eq!((rest.entries.len(), rest.next), (2, 3));
        assert!(reel.read_from(rest.next, usize::MAX).entries.is_empty());
    }
}
