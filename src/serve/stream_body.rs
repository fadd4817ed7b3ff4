//! The body of a streamed response: pending data is sent in one write, at most every 20 ms, and a quiet stream gets
//! keep-alives.
//!
//! Pulled by the connection: nothing is produced before the client has taken the previous data. Dropped with the
//! connection.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::time::{Instant, sleep_until};

/// The minimum interval between two writes.
const MIN_WRITE_INTERVAL: Duration = Duration::from_millis(20);
/// The maximum silence; proxies close a connection after 30 s or more.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Approximate limit of one write.
pub(super) const MAX_WRITE_BYTES: usize = 256 << 10;

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
    last_write: Option<Instant>,
    started: Instant,
    is_finished: bool,
}

/// Creates a body from a source.
pub(super) fn body(source: impl BodySource) -> Body {
    let flow = StreamBody { source, last_write: None, started: Instant::now(), is_finished: false };
    Body::from_stream(stream::unfold(flow, |mut flow| async move {
        let bytes = flow.next().await?;
        Some((Ok::<_, Infallible>(bytes), flow))
    }))
}

impl<S: BodySource> StreamBody<S> {
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        while !self.is_finished && out.is_empty() {
            // Data comes before keep-alives.
            tokio::select! {
                biased;
                () = self.source.ready() => {
                    if let Some(wrote) = self.last_write {
                        sleep_until(wrote + MIN_WRITE_INTERVAL).await;
                    }
                    self.is_finished = !self.source.write(&mut out);
                }
                () = sleep_until(self.last_write.unwrap_or(self.started) + KEEP_ALIVE_INTERVAL) => self.source.write_keep_alive(&mut out),
            }
        }
        if out.is_empty() {
            return None;
        }
        self.last_write = Some(Instant::now());
        Some(Bytes::from(out))
    }
}
