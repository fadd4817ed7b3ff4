//! Connection slots, and which connection is closed when all are taken.
//!
//! A connection whose request is being answered keeps its slot. One that keeps the server waiting (no request, or half
//! of one) is evicted for a new client, so that idle connections, which cost a client nothing, can't lock others out.
//! The address with the most such connections loses one first. Before its token is checked, a client can send no more
//! than the head of one request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A client that connected this recently doesn't count as idle: its request is still on the way. Kept short, because
/// clients that reconnect again and again could otherwise lock others out.
const HEAD_GRACE_DURATION: Duration = Duration::from_millis(50);
/// The same between two pieces of a body.
const BODY_GRACE_DURATION: Duration = Duration::from_millis(500);
/// A slower body can be evicted: otherwise a byte now and then would hold a slot.
const MIN_BODY_BYTES_PER_SECOND: u64 = 16 << 10;
/// When all slots are taken, an upload that takes longer can be evicted.
const UPLOAD_GRACE_DURATION: Duration = Duration::from_secs(15);

/// All slots. Cheap to clone.
#[derive(Clone)]
pub(super) struct ConnectionSlots {
    max_slots: usize,
    table: Arc<Mutex<SlotTable>>,
}

#[derive(Default)]
struct SlotTable {
    next_id: u64,
    slots: HashMap<u64, Arc<ConnectionSlot>>,
}

/// The slot of one connection.
pub(super) struct ConnectionSlot {
    peer: IpAddr,
    state: Mutex<SlotState>,
    /// Cancelled when the slot is needed for another client.
    pub(super) evicted: CancellationToken,
}

/// How long a client has kept the server waiting.
#[derive(Clone, Copy)]
enum SlotState {
    /// Waiting for the head of a request. `first` is false after the first one.
    ReadingHead { since: Instant, first: bool },
    ReadingBody {
        since: Instant,
        last_chunk: Instant,
        /// Bytes read so far.
        read: u64,
    },
    /// The response is being sent.
    Answering,
}

/// Holds a slot until dropped.
pub(super) struct SlotGuard {
    id: u64,
    pub(super) slot: Arc<ConnectionSlot>,
    table: Arc<Mutex<SlotTable>>,
}

impl ConnectionSlots {
    pub(super) fn new(most: usize) -> Self {
        Self { max_slots: most, table: Arc::default() }
    }

    /// Takes a slot; if none is free, evicts a client that keeps the server waiting. `None` if all are being answered.
    /// O(slots) when they are all taken.
    pub(super) fn acquire(&self, peer: IpAddr) -> Option<SlotGuard> {
        let now = Instant::now();
        let mut taken = lock(&self.table);
        if taken.slots.len() >= self.max_slots {
            let number = slot_to_evict(&taken.slots, now)?;
            if let Some(slot) = taken.slots.remove(&number) {
                slot.evicted.cancel();
            }
        }
        let number = taken.next_id;
        taken.next_id += 1;
        let state = Mutex::new(SlotState::ReadingHead { since: now, first: true });
        let slot = Arc::new(ConnectionSlot { peer, state, evicted: CancellationToken::new() });
        taken.slots.insert(number, Arc::clone(&slot));
        Some(SlotGuard { id: number, slot, table: Arc::clone(&self.table) })
    }
}

/// Returns the slot to evict: the one waiting longest, of the peer with the most evictable slots.
fn slot_to_evict(slots: &HashMap<u64, Arc<ConnectionSlot>>, now: Instant) -> Option<u64> {
    let idle = || slots.iter().filter_map(|(number, slot)| Some((slot.idle_since(now)?, slot.peer, *number)));
    let mut held: HashMap<IpAddr, usize> = HashMap::new();
    for (_, peer, _) in idle() {
        *held.entry(peer).or_default() += 1;
    }
    let most = held.values().max().copied()?;
    idle().filter(|(_, peer, _)| held.get(peer) == Some(&most)).min().map(|(_, _, number)| number)
}

impl ConnectionSlot {
    fn idle_since(&self, now: Instant) -> Option<Instant> {
        match *lock(&self.state) {
            SlotState::ReadingHead { since, .. } => (now.duration_since(since) >= HEAD_GRACE_DURATION).then_some(since),
            SlotState::ReadingBody { since, last_chunk: last, read } => {
                let took = now.duration_since(since);
                let is_slow = took >= BODY_GRACE_DURATION
                    && u128::from(read) * 1000 < u128::from(MIN_BODY_BYTES_PER_SECOND) * took.as_millis();
                (is_slow || took >= UPLOAD_GRACE_DURATION || now.duration_since(last) >= BODY_GRACE_DURATION)
                    .then_some(since)
            }
            SlotState::Answering => None,
        }
    }

    /// Returns whether no request has come yet.
    pub(super) fn has_no_request(&self) -> bool {
        matches!(*lock(&self.state), SlotState::ReadingHead { first: true, .. })
    }

    /// Marks the slot as waiting for a piece of a body, after `read` bytes.
    pub(super) fn set_reading_body(&self, read: u64) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let since = if let SlotState::ReadingBody { since, .. } = *state { since } else { now };
        *state = SlotState::ReadingBody { since, last_chunk: now, read };
    }

    /// Marks the slot as being answered.
    pub(super) fn set_answering(&self) {
        *lock(&self.state) = SlotState::Answering;
    }
}

impl Drop for SlotGuard {
    fn drop(&mut self) {
        lock(&self.table).slots.remove(&self.id);
    }
}

/// Holds a slot beyond its connection's requests: a connection may become something else.
#[derive(Clone)]
pub(super) struct SlotHold(pub(super) Arc<SlotGuard>);

impl SlotHold {
    pub(super) fn set_answering(&self) {
        self.0.slot.set_answering();
    }
}

/// Lives from a request's head to the end of its response.
pub(super) struct AnswerGuard(Arc<ConnectionSlot>);

impl AnswerGuard {
    pub(super) fn start(slot: Arc<ConnectionSlot>) -> Self {
        slot.set_answering();
        Self(slot)
    }

    /// Returns a body that holds this guard.
    pub(super) fn guard_body(self, body: Body) -> Body {
        Body::new(GuardedBody { body, _guard: self })
    }
}

impl Drop for AnswerGuard {
    fn drop(&mut self) {
        *lock(&self.0.state) = SlotState::ReadingHead { since: Instant::now(), first: false };
    }
}

struct GuardedBody {
    body: Body,
    _guard: AnswerGuard,
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is one step, so the data behind a poisoned lock is intact.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[tokio::test(start_paused = true)]
    async fn who_keeps_the_server_waiting_makes_room_and_who_is_answered_does_not() {
        let slots = ConnectionSlots::new(2);
        let (silent, busy) = (slots.acquire(ONE).unwrap(), slots.acquire(ONE).unwrap());
        let answered = AnswerGuard::start(Arc::clone(&busy.slot));
        assert!(slots.acquire(ONE).is_none(), "it may only be slow to begin");
        tokio::time::advance(HEAD_GRACE_DURATION).await;
        let next = slots.acquire(OTHER).unwrap();
        assert!(silent.slot.evicted.is_cancelled() && !busy.slot.evicted.is_cancelled());
        let _next = AnswerGuard::start(Arc::clone(&next.slot));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(slots.acquire(OTHER).is_none(), "both are being answered");
        drop(answered);
        tokio::time::advance(HEAD_GRACE_DURATION).await;
        assert!(slots.acquire(OTHER).is_some() && busy.slot.evicted.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_holds_most_silent_places_loses_one_first() {
        let slots = ConnectionSlots::new(3);
        let alone = slots.acquire(OTHER).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let many = [slots.acquire(ONE).unwrap(), slots.acquire(ONE).unwrap()];
        tokio::time::advance(Duration::from_secs(1)).await;
        let _next = slots.acquire(ONE).unwrap();
        assert!(!alone.slot.evicted.is_cancelled(), "longest, but one only");
        assert_eq!(many.iter().filter(|held| held.slot.evicted.is_cancelled()).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_goes_on_keeps_its_place_for_a_while() {
        let slots = ConnectionSlots::new(1);
        let upload = slots.acquire(ONE).unwrap();
        for tenths in 0..100 {
            upload.slot.set_reading_body((tenths + 1) * MIN_BODY_BYTES_PER_SECOND);
            tokio::time::advance(Duration::from_millis(100)).await;
            assert!(slots.acquire(OTHER).is_none());
        }
        tokio::time::advance(UPLOAD_GRACE_DURATION).await;
        upload.slot.set_reading_body(MIN_BODY_BYTES_PER_SECOND * 1000);
        assert!(slots.acquire(OTHER).is_some() && upload.slot.evicted.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_keeps_no_place() {
        let slots = ConnectionSlots::new(1);
        let drip = slots.acquire(ONE).unwrap();
        for bytes in 0..6 {
            drip.slot.set_reading_body(bytes);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(slots.acquire(OTHER).is_some() && drip.slot.evicted.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_again_when_its_connection_is_gone() {
        let slots = ConnectionSlots::new(1);
        let held = slots.acquire(ONE).unwrap();
        assert!(held.slot.has_no_request());
        drop(held);
        assert!(slots.acquire(OTHER).is_some());
    }
}
