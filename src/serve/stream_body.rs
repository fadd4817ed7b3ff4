//! The body of a streamed response: pending data is sent in one write, at most every 20 ms, and a quiet stream gets
//! keep-alives.
//!
//! Pulled by the connection: nothing is produced before the client has taken the previous data, and nothing is taken
//! from the source before it can be written, so that a client which waits holds no events. Dropped with the connection.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::time::{Instant, sleep_until};

/// The minimum interval between two writes, unless a write is full: a client that is behind gets the rest at once.
const MIN_WRITE_INTERVAL: Duration = Duration::from_millis(20);
/// The maximum silence; proxies close a connection after 30 s or more.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Approximate limit of one write. Each client may have some of them in memory.
pub(super) const MAX_WRITE_BYTES: usize = 16 << 10;

/// The source of a stream.
pub(super) trait BodySource: Send + 'static {
    /// Waits until there is something to write. Cancel-safe.
    fn ready(&mut self) -> impl Future<Output = ()> + Send;

    /// Writes pending data, at most about [`MAX_WRITE_BYTES`] bytes; returns false if nothing follows.
    fn write(&mut self, out: &mut Vec<u8>) -> bool;

    /// Writes a keep-alive.
    fn write_keep_alive(&self, out: &mut Vec<u8>);
}

struct StreamBody<S> {
    source: S,
    /// When the last write was, or the start.
    last_write: Instant,
    /// When the next one may be.
    next_write: Instant,
    is_finished: bool,
}

/// Creates a body from a source.
pub(super) fn body(source: impl BodySource) -> Body {
    let now = Instant::now();
    let flow = StreamBody { source, last_write: now, next_write: now, is_finished: false };
    Body::from_stream(stream::unfold(flow, |mut flow| async move {
        let bytes = flow.next().await?;
        Some((Ok::<_, Infallible>(bytes), flow))
    }))
}

impl<S: BodySource> StreamBody<S> {
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        if !self.is_finished {
            sleep_until(self.next_write).await;
        }
        while !self.is_finished && out.is_empty() {
            // Data comes before keep-alives.
            tokio::select! {
                biased;
                () = self.source.ready() => self.is_finished = !self.source.write(&mut out),
                () = sleep_until(self.last_write + KEEP_ALIVE_INTERVAL) => self.source.write_keep_alive(&mut out),
            }
        }
        if out.is_empty() {
            return None;
        }
        self.last_write = Instant::now();
        let pause = if out.len() < MAX_WRITE_BYTES { MIN_WRITE_INTERVAL } else { Duration::ZERO };
        self.next_write = self.last_write + pause;
        Some(Bytes::from(out))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    /// Writes pieces of these sizes.
    struct Pieces(Vec<usize>);

    impl BodySource for Pieces {
        async fn ready(&mut self) {}

        fn write(&mut self, out: &mut Vec<u8>) -> bool {
            out.resize(self.0.remove(0), b'.');
            !self.0.is_empty()
        }

        fn write_keep_alive(&self, _: &mut Vec<u8>) {}
    }

    #[tokio::test(start_paused = true)]
    async fn small_writes_keep_their_distance_and_a_full_one_is_followed_at_once() {
        let begun = Instant::now();
        let mut pieces = body(Pieces(vec![1, MAX_WRITE_BYTES, 2, 3])).into_data_stream();
        let mut seen = Vec::new();
        while let Some(piece) = pieces.next().await {
            seen.push((piece.unwrap().len(), begun.elapsed().as_millis()));
        }
        // Whole milliseconds are what the timer has.
        let close = |at: u128, wanted: u128| at.abs_diff(wanted) <= 2;
        assert_eq!(seen.iter().map(|(size, _)| *size).collect::<Vec<_>>(), [1, MAX_WRITE_BYTES, 2, 3]);
        assert!(seen.iter().zip([0, 20, 20, 40]).all(|((_, at), wanted)| close(*at, wanted)), "{seen:?}");
    }
}
