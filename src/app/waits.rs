//! What the loop waits for, beside the session. Each wait may be dropped at any point and loses nothing.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use tokio::time::sleep_until;

use crate::bridge::frames::{Frames, Look};

/// Terminal events taken at once; a paste without brackets is a flood of keys.
const EVENTS: usize = 4096;

/// Sleeps until then; for ever without a time.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        // A timer sleeps in whole milliseconds, which a key would feel.
        Some(at) if at <= Instant::now() => {}
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits for raw frames, while somebody looks at them.
pub(super) async fn look(frames: &mut Option<Frames>) -> Look {
    match frames {
        Some(frames) => frames.next().await,
        None => std::future::pending().await,
    }
}

/// Takes all events that wait, at least one; false once the terminal is gone.
///
/// The stream keeps the first waker it is polled with until an event comes, so it must never be polled with another
/// one "just to look". And each look at it waits for a lock that its thread holds while it sleeps, yielding the processor
/// several times: `SelectAll` looks only once the thread has called.
pub(super) async fn next_events(events: &mut SelectAll<EventStream>, out: &mut Vec<Event>) -> bool {
    poll_fn(|cx| {
        while out.len() < EVENTS {
            match events.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(event))) => out.push(event),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(false),
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(true)
    })
    .await
}
