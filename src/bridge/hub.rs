//! The hub: a ring of the newest events in front of the log, from which every consumer pulls at its own pace.
//!
//! Nothing is pushed to subscribers: each knows the last number it has, and reads what follows from the ring or, if it
//! fell behind, from the backlog. A slow or suspended consumer therefore delays nobody, costs nothing and misses
//! nothing. Invariant: a subscriber gets every number once and in order; only a reset starts over. The lock is never
//! held across an await or while a file is read.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{HubItem, LoggedEvent};
use crate::event::branches::{BranchPath, BranchStarts};
use crate::event::{Envelope, Seq};
use crate::journal::{Cursor, LogEntry, ReadLimits, Reader};

/// The usual size of the ring.
pub const DEFAULT_RING_BYTES: usize = 512 << 10;
/// How far events that are not yet in a file may exceed the ring's size.
const MAX_UNSAVED_BYTES: usize = 64 << 20;
/// Approximate cost of an event beyond its serialized line.
const EVENT_OVERHEAD_BYTES: usize = 256;

/// Where to find events that have left the ring.
#[derive(Debug)]
pub enum Backlog {
    /// Nowhere: the ring keeps everything.
    Memory,
    /// The session's log. Get the reader from the writer, so that events it could not write stay in the ring.
    Journal(Reader),
}

/// The end of a session: its first event and its last turns, without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionTail {
    pub opened: Option<Envelope>,
    /// Never empty.
    pub events: Vec<Envelope>,
}

/// Cheap to clone; all clones share one hub.
#[derive(Clone, Debug)]
pub struct Hub {
    ring: Arc<Mutex<EventRing>>,
    /// Notified whenever there may be something to pull.
    notifier: watch::Sender<()>,
}

#[derive(Debug)]
struct EventRing {
    backlog: Backlog,
    events: VecDeque<Arc<LoggedEvent>>,
    bytes: usize,
    max_bytes: usize,
    /// The last published number. Nothing after it is delivered, whatever the backlog contains.
    last: Seq,
    /// The number of resets so far.
    resets: u64,
    closed: bool,
    /// The branch to show, if not the newest.
    chosen_path: Option<BranchPath>,
}

impl Hub {
    /// Creates a hub that treats everything in the backlog as published.
    pub fn new(backlog: Backlog, ring_bytes: usize) -> Self {
        let last = match &backlog {
            Backlog::Memory => Seq(0),
            Backlog::Journal(reader) => match reader.find_end() {
                Ok(end) => end.last_seq,
                Err(error) => {
                    tracing::warn!(%error, "the log's end can't be read");
                    Seq(0)
                }
            },
        };
        Self::starting_after(last, backlog, ring_bytes)
    }

    /// Creates a hub that treats the backlog as published up to `last`.
    pub fn starting_after(last: Seq, backlog: Backlog, ring_bytes: usize) -> Self {
        let events = VecDeque::new();
        let ring = EventRing {
            backlog,
            events,
            bytes: 0,
            max_bytes: ring_bytes,
            last,
            resets: 0,
            closed: false,
            chosen_path: None,
        };
        Self { ring: Arc::new(Mutex::new(ring)), notifier: watch::Sender::new(()) }
    }

    /// Publishes events to all subscribers. Events come in order; one that isn't newer than the last is dropped.
    pub fn publish(&self, events: impl IntoIterator<Item = Arc<LoggedEvent>>) {
        let mut ring = self.lock();
        for event in events {
            ring.push(event);
        }
        ring.evict();
        drop(ring);
        self.notify();
    }

    pub fn publish_one(&self, event: LoggedEvent) {
        self.publish([Arc::new(event)]);
    }

    /// Marks everything in the backlog up to `seq` as published, without loading it into the ring.
    pub fn advance(&self, seq: Seq) {
        let mut ring = self.lock();
        if seq > ring.last {
            ring.last = seq;
            if matches!(ring.backlog, Backlog::Journal(_)) {
                // The ring must have no gaps, so it starts over after this number.
                ring.clear();
            }
        }
        drop(ring);
        self.notify();
    }

    /// Resets all subscribers: what is published next, or covered by [`Hub::advance`], is delivered from the first
    /// event on.
    pub fn reset(&self) {
        let mut ring = self.lock();
        ring.resets += 1;
        ring.last = Seq(0);
        ring.clear();
        drop(ring);
        self.notify();
    }

    /// Resets all subscribers, and marks the backlog up to `seq` as published: nobody sees the one without the other.
    pub fn rewind(&self, seq: Seq) {
        let mut ring = self.lock();
        ring.resets += 1;
        ring.last = seq;
        ring.clear();
        drop(ring);
        self.notify();
    }

    /// Resets all subscribers and drops the backlog, which has other events under these numbers. From here on the ring
    /// keeps everything.
    pub fn detach_log(&self) {
        self.lock().backlog = Backlog::Memory;
        self.reset();
    }

    /// Closes the hub. Subscribers still receive what was published before.
    pub fn close(&self) {
        self.lock().closed = true;
        self.notify();
    }

    pub fn last_seq(&self) -> Seq {
        self.lock().last
    }

    /// Returns the last number that is in the log; `None` if no log is written here.
    pub fn last_saved(&self) -> Option<Seq> {
        match &self.lock().backlog {
            Backlog::Memory => None,
            Backlog::Journal(reader) => reader.last_saved(),
        }
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Shows one path of the session from here on, not that of its newest branch. Everything is delivered all the same: who
    /// folds it heeds the path.
    pub fn choose_path(&self, path: BranchPath) {
        self.lock().chosen_path = Some(path);
    }

    pub fn chosen_path(&self) -> Option<BranchPath> {
        self.lock().chosen_path.clone()
    }

    /// Returns the path to show: that which was chosen, else that of the newest branch.
    pub fn shown_path(&self) -> BranchPath {
        self.chosen_path().unwrap_or_else(|| self.branch_starts().active_path())
    }

    /// Returns where branches begin in what was published. O(log), at the speed of finding a word.
    pub fn branch_starts(&self) -> BranchStarts {
        let (reader, last, recent) = {
            let ring = self.lock();
            let reader = match &ring.backlog {
                Backlog::Memory => None,
                Backlog::Journal(reader) => Some(reader.clone()),
            };
            (reader, ring.last, ring.events.iter().cloned().collect::<Vec<_>>())
        };
        let mut starts = match reader.map(|reader| reader.branch_starts(last)) {
            None => BranchStarts::default(),
            Some(Ok(starts)) => starts,
            Some(Err(error)) => {
                tracing::warn!(%error, "branches can't be looked for in the log");
                BranchStarts::default()
            }
        };
        for logged in &recent {
            starts.observe(logged.envelope.seq, &logged.envelope.event);
        }
        starts
    }

    /// Returns the first event and up to `turns` last turns, reading back at most `budget` bytes. `None` if no turn
    /// begins that close to the end of the log, or if nothing precedes it.
    pub fn tail(&self, turns: usize, budget: u64) -> Option<SessionTail> {
        let (reader, last) = {
            let ring = self.lock();
            let Backlog::Journal(reader) = &ring.backlog else { return None };
            (reader.clone(), ring.last)
        };
        // What is published may end before the log does, in a replay.
        let tail = match reader.tail_through(last, turns, budget) {
            Ok(tail) => tail.filter(|tail| !tail.is_whole)?,
            Err(error) => {
                tracing::warn!(%error, "the log's end can't be read");
                return None;
            }
        };
        let mut entries = tail.page.entries;
        entries.retain(|entry| entry.envelope.seq <= last);
        let first = entries.first()?.envelope.seq;
        let opened = tail.opened.map(|entry| entry.envelope).filter(|opened| opened.seq < first);
        Some(SessionTail { opened, events: entries.into_iter().map(|entry| entry.envelope).collect() })
    }

    /// Subscribes to the events after `from`.
    pub fn subscribe(&self, from: Seq) -> Subscription {
        let epoch = self.lock().resets;
        Subscription {
            hub: self.clone(),
            notifications: self.notifier.subscribe(),
            seq: from,
            resets: epoch,
            cursor: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, EventRing> {
        // No code under this lock panics halfway, so the data behind a poisoned lock is intact.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self) {
        self.notifier.send_replace(());
    }
}

impl EventRing {
    fn push(&mut self, event: Arc<LoggedEvent>) {
        if event.envelope.seq <= self.last {
            tracing::warn!(seq = event.envelope.seq.0, "a number was published twice");
            return;
        }
        self.last = event.envelope.seq;
        self.bytes += memory_cost(&event);
        self.events.push_back(event);
    }

    fn evict(&mut self) {
        let Backlog::Journal(reader) = &self.backlog else { return };
        let saved = reader.last_saved();
        while self.bytes > self.max_bytes
            && let Some(event) = self.events.front()
        {
            let only_here = saved.is_some_and(|saved| event.envelope.seq > saved);
            if only_here && self.bytes <= self.max_bytes.saturating_add(MAX_UNSAVED_BYTES) {
                return;
            }
            self.bytes = self.bytes.saturating_sub(memory_cost(event));
            self.events.pop_front();
        }
    }

    fn clear(&mut self) {
        self.events.clear();
        self.bytes = 0;
    }
}

fn memory_cost(event: &LoggedEvent) -> usize {
    event.line.len().saturating_mul(2).saturating_add(EVENT_OVERHEAD_BYTES)
}

/// A subscriber's position. It holds only numbers; dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    hub: Hub,
    notifications: watch::Receiver<()>,
    /// The last number delivered.
    seq: Seq,
    resets: u64,
    /// Where to continue in the backlog, while reading from it.
    cursor: Option<Cursor>,
}

impl Subscription {
    /// Waits for deliveries and appends at most `max` of them to `out`. Returns false once the hub is closed and
    /// drained.
    ///
    /// Cancel-safe: nothing is taken before the last await.
    pub async fn next_batch(&mut self, max: usize, out: &mut Vec<HubItem>) -> bool {
        loop {
            self.notifications.borrow_and_update();
            match self.pull(max.max(1), out) {
                PullResult::Items => return true,
                PullResult::Closed => return false,
                PullResult::Empty => {}
            }
            if self.notifications.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Waits for one delivery. Returns `None` once the hub is closed and drained. Cancel-safe.
    pub async fn next(&mut self) -> Option<HubItem> {
        let mut one = Vec::with_capacity(1);
        self.next_batch(1, &mut one).await;
        one.pop()
    }

    /// Takes what is available now, without waiting. Returns false if there was nothing.
    pub fn try_next_batch(&mut self, max: usize, out: &mut Vec<HubItem>) -> bool {
        matches!(self.pull(max.max(1), out), PullResult::Items)
    }

    /// Returns the last number delivered.
    pub fn seq(&self) -> Seq {
        self.seq
    }

    fn pull(&mut self, max: usize, out: &mut Vec<HubItem>) -> PullResult {
        loop {
            let ring = self.hub.ring.lock().unwrap_or_else(PoisonError::into_inner);
            if self.resets != ring.resets {
                self.resets = ring.resets;
                self.seq = Seq(0);
                self.cursor = None;
                out.push(HubItem::Reset);
                return PullResult::Items;
            }
            if self.seq >= ring.last {
                return if ring.closed { PullResult::Closed } else { PullResult::Empty };
            }
            let oldest = ring.events.front().map_or(ring.last.next(), |event| event.envelope.seq);
            let backlog = match &ring.backlog {
                Backlog::Journal(reader) if self.seq.next() < oldest => reader.clone(),
                Backlog::Journal(_) | Backlog::Memory => {
                    let start = ring.events.partition_point(|event| event.envelope.seq <= self.seq);
                    let from = out.len();
                    out.extend(ring.events.iter().skip(start).take(max).cloned().map(HubItem::Event));
                    self.cursor = None;
                    // No event is available: the remaining numbers were announced, but are stored nowhere.
                    self.seq = match out.get(from..).and_then(<[_]>::last) {
                        Some(HubItem::Event(event)) => event.envelope.seq,
                        Some(HubItem::Reset) | None => ring.last,
                    };
                    if out.len() > from {
                        return PullResult::Items;
                    }
                    continue;
                }
            };
            drop(ring);
            let want =
                ReadLimits { max_events: max, through: Seq(oldest.0.saturating_sub(1)), ..ReadLimits::one_page() };
            let entries = self.read_backlog(&backlog, want);
            let Some(last) = entries.last().map(|entry| entry.envelope.seq) else {
                // Events were lost on a full disk; continue with those that exist.
                tracing::warn!(after = self.seq.0, before = oldest.0, "events are missing from the log");
                self.seq = want.through;
                continue;
            };
            self.seq = last;
            out.extend(
                entries
                    .into_iter()
                    .map(|LogEntry { envelope, line }| HubItem::Event(Arc::new(LoggedEvent { envelope, line }))),
            );
            return PullResult::Items;
        }
    }

    fn read_backlog(&mut self, reader: &Reader, want: ReadLimits) -> Vec<LogEntry> {
        let read = || {
            let mut cursor = match self.cursor {
                Some(cursor) => cursor,
                None if self.seq == Seq(0) => reader.start_cursor(),
                None => reader.cursor_after(self.seq)?,
            };
            let page = reader.read(&mut cursor, want)?;
            Ok::<_, std::io::Error>((cursor, page.entries))
        };
        match read() {
            Ok((cursor, entries)) => {
                self.cursor = Some(cursor);
                entries
            }
            Err(error) => {
                tracing::warn!(%error, "the log can't be read");
                Vec::new()
            }
        }
    }
}

enum PullResult {
    Items,
    Empty,
    Closed,
}
