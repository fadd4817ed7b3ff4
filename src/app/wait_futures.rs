//! What the loop waits for, beside the session. Each wait may be dropped at any point and loses nothing.

use std::time::Instant;

use tokio::time::sleep_until;

use crate::bridge::traffic::{TrafficBatch, TrafficReader};

/// Sleeps until then; for ever without a time.
pub(super) async fn sleep_until_or_forever(at: Option<Instant>) {
    match at {
        // A timer sleeps in whole milliseconds, which a key would feel.
        Some(at) if at <= Instant::now() => {}
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits for raw frames, while somebody looks at them.
pub(super) async fn next_frames(frames: &mut Option<TrafficReader>) -> TrafficBatch {
    match frames {
        Some(frames) => frames.next_batch().await,
        None => std::future::pending().await,
    }
}
