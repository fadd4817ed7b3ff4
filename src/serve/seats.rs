//! Who is connected, and who gets up when all places are taken.
//!
//! A connection that is being answered keeps its place. One that keeps the server waiting (it says nothing, or half a
//! request) gives it up to whoever comes, so nobody is kept out by silence, which costs a client nothing. Whoever holds
//! most such places loses one first. Before a token is looked at, a client has no more than the head of one request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A client that came so short a time ago is not taken for silent. What it has to say is under way with it, so this is
/// about what was accepted at once and not yet read; longer, those who come again and again would keep others out.
const PATIENCE: Duration = Duration::from_millis(50);
/// Likewise between two pieces of a body.
const PAUSE: Duration = Duration::from_millis(500);
/// A body that is slower than this makes room too: otherwise a byte now and then would keep a place. Bytes a second.
const PACE: u64 = 16 << 10;
/// With all places taken, a request that is longer on its way than this makes room.
const UPLOAD: Duration = Duration::from_secs(15);

/// The places there are. Cheap to clone.
#[derive(Clone)]
pub(super) struct Seats {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    seats: HashMap<u64, Arc<Seat>>,
}

/// One connection's place.
pub(super) struct Seat {
    peer: IpAddr,
    state: Mutex<Waiting>,
    /// Cancelled when the place is needed for another.
    pub(super) given_up: CancellationToken,
}

/// How long a client has been keeping the server waiting.
#[derive(Clone, Copy)]
enum Waiting {
    /// For the head of a request. `first` is false once one came.
    Head { since: Instant, first: bool },
    Body {
        since: Instant,
        heard: Instant,
        /// Bytes so far.
        read: u64,
    },
    /// It is being answered.
    No,
}

/// Holds a place until it is dropped.
pub(super) struct Held {
    number: u64,
    pub(super) seat: Arc<Seat>,
    taken: Arc<Mutex<Taken>>,
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// Takes a place; where none is left, that of a client that keeps us waiting. None if all are being answered.
    /// O(places) when they are all taken.
    pub(super) fn take(&self, peer: IpAddr) -> Option<Held> {
        let now = Instant::now();
        let mut taken = lock(&self.taken);
        if taken.seats.len() >= self.most {
            let number = idlest(&taken.seats, now)?;
            if let Some(seat) = taken.seats.remove(&number) {
                seat.given_up.cancel();
            }
        }
        let number = taken.next;
        taken.next += 1;
        let state = Mutex::new(Waiting::Head { since: now, first: true });
        let seat = Arc::new(Seat { peer, state, given_up: CancellationToken::new() });
        taken.seats.insert(number, Arc::clone(&seat));
        Some(Held { number, seat, taken: Arc::clone(&self.taken) })
    }
}

/// Returns the place that is given up first: of the peer that holds most of those that could be, the one that has
/// waited longest.
fn idlest(seats: &HashMap<u64, Arc<Seat>>, now: Instant) -> Option<u64> {
    let idle = || seats.iter().filter_map(|(number, seat)| Some((seat.idle_since(now)?, seat.peer, *number)));
    let mut held: HashMap<IpAddr, usize> = HashMap::new();
    for (_, peer, _) in idle() {
        *held.entry(peer).or_default() += 1;
    }
    let most = held.values().max().copied()?;
    idle().filter(|(_, peer, _)| held.get(peer) == Some(&most)).min().map(|(_, _, number)| number)
}

impl Seat {
    fn idle_since(&self, now: Instant) -> Option<Instant> {
        match *lock(&self.state) {
            Waiting::Head { since, .. } => (now.duration_since(since) >= PATIENCE).then_some(since),
            Waiting::Body { since, heard, read } => {
                let took = now.duration_since(since);
                let is_slow = took >= PAUSE && u128::from(read) * 1000 < u128::from(PACE) * took.as_millis();
                (is_slow || took >= UPLOAD || now.duration_since(heard) >= PAUSE).then_some(since)
            }
            Waiting::No => None,
        }
    }

    /// Returns whether no request has come at all.
    pub(super) fn is_silent(&self) -> bool {
        matches!(*lock(&self.state), Waiting::Head { first: true, .. })
    }

    /// A piece of a body is awaited, the first or another, after so many bytes.
    pub(super) fn awaits_body(&self, read: u64) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let since = if let Waiting::Body { since, .. } = *state { since } else { now };
        *state = Waiting::Body { since, heard: now, read };
    }

    /// It is being answered from now on.
    pub(super) fn is_answered(&self) {
        *lock(&self.state) = Waiting::No;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.taken).seats.remove(&self.number);
    }
}

/// The time from a request's head to the end of its answer.
pub(super) struct Answered(Arc<Seat>);

impl Answered {
    pub(super) fn from_now(seat: Arc<Seat>) -> Self {
        seat.is_answered();
        Self(seat)
    }

    /// Returns a body that ends it.
    pub(super) fn with(self, body: Body) -> Body {
        Body::new(Last { body, _answered: self })
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        *lock(&self.0.state) = Waiting::Head { since: Instant::now(), first: false };
    }
}

struct Last {
    body: Body,
    _answered: Answered,
}

impl HttpBody for Last {
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
    // Every change is one step, so what a poisoned lock guards is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[tokio::test(start_paused = true)]
    async fn who_keeps_the_server_waiting_makes_room_and_who_is_answered_does_not() {
        let seats = Seats::new(2);
        let (silent, busy) = (seats.take(ONE).unwrap(), seats.take(ONE).unwrap());
        let answered = Answered::from_now(Arc::clone(&busy.seat));
        assert!(seats.take(ONE).is_none(), "it may only be slow to begin");
        tokio::time::advance(PATIENCE).await;
        let next = seats.take(OTHER).unwrap();
        assert!(silent.seat.given_up.is_cancelled() && !busy.seat.given_up.is_cancelled());
        let _next = Answered::from_now(Arc::clone(&next.seat));
        tokio::time::advance(Duration::from_secs(100)).await;
        assert!(seats.take(OTHER).is_none(), "both are being answered");
        drop(answered);
        tokio::time::advance(PATIENCE).await;
        assert!(seats.take(OTHER).is_some() && busy.seat.given_up.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_holds_most_silent_places_loses_one_first() {
        let seats = Seats::new(3);
        let alone = seats.take(OTHER).unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let many = [seats.take(ONE).unwrap(), seats.take(ONE).unwrap()];
        tokio::time::advance(Duration::from_secs(1)).await;
        let _next = seats.take(ONE).unwrap();
        assert!(!alone.seat.given_up.is_cancelled(), "longest, but one only");
        assert_eq!(many.iter().filter(|held| held.seat.given_up.is_cancelled()).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_goes_on_keeps_its_place_for_a_while() {
        let seats = Seats::new(1);
        let upload = seats.take(ONE).unwrap();
        for tenths in 0..100 {
            upload.seat.awaits_body((tenths + 1) * PACE);
            tokio::time::advance(Duration::from_millis(100)).await;
            assert!(seats.take(OTHER).is_none());
        }
        tokio::time::advance(UPLOAD).await;
        upload.seat.awaits_body(PACE * 1000);
        assert!(seats.take(OTHER).is_some() && upload.seat.given_up.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_keeps_no_place() {
        let seats = Seats::new(1);
        let drip = seats.take(ONE).unwrap();
        for bytes in 0..6 {
            drip.seat.awaits_body(bytes);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert!(seats.take(OTHER).is_some() && drip.seat.given_up.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_free_again_when_its_connection_is_gone() {
        let seats = Seats::new(1);
        let held = seats.take(ONE).unwrap();
        assert!(held.seat.is_silent());
        drop(held);
        assert!(seats.take(OTHER).is_some());
    }
}
