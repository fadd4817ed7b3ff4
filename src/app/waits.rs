//! What the loop waits for, beside the session. Each wait may be dropped at any point and loses nothing.

use std::time::Instant;

use tokio::time::sleep_until;

use crate::bridge::frames::{Frames, Look};

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
