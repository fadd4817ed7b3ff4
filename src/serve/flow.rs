//! The body of a streamed answer: what waits goes out in one write, at most every 20 ms, and a quiet stream gives a
//! sign of life.
//!
//! Pulled by the connection: nothing is made before the client took what came before. Dropped with the connection.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::time::{Instant, sleep_until};

/// The shortest time between two writes.
const PACE: Duration = Duration::from_millis(20);
/// The longest silence; proxies cut a connection after 30 s or more.
const QUIET: Duration = Duration::from_secs(10);
/// What one write may have, roughly.
pub(super) const WRITE: usize = 256 << 10;

/// What a stream is made of.
pub(super) trait Source: Send + 'static {
    /// Waits until there is something to write. Cancel-safe.
    fn ready(&mut self) -> impl Future<Output = ()> + Send;

    /// Writes what waits, about [`WRITE`] bytes at most; false when nothing follows.
    fn write(&mut self, out: &mut Vec<u8>) -> bool;

    /// Writes what says that the stream is alive.
    fn sign_of_life(&self, out: &mut Vec<u8>);
}

struct Flow<S> {
    source: S,
    wrote: Option<Instant>,
    begun: Instant,
    over: bool,
}

/// Makes a body of a source.
pub(super) fn body(source: impl Source) -> Body {
    let flow = Flow { source, wrote: None, begun: Instant::now(), over: false };
    Body::from_stream(stream::unfold(flow, |mut flow| async move {
        let bytes = flow.next().await?;
        Some((Ok::<_, Infallible>(bytes), flow))
    }))
}

impl<S: Source> Flow<S> {
    async fn next(&mut self) -> Option<Bytes> {
        let mut out = Vec::new();
        while !self.over && out.is_empty() {
            // What there is to say goes before what says that there is nothing.
            tokio::select! {
                biased;
                () = self.source.ready() => {
                    if let Some(wrote) = self.wrote {
                        sleep_until(wrote + PACE).await;
                    }
                    self.over = !self.source.write(&mut out);
                }
                () = sleep_until(self.wrote.unwrap_or(self.begun) + QUIET) => self.source.sign_of_life(&mut out),
            }
        }
        if out.is_empty() {
            return None;
        }
        self.wrote = Some(Instant::now());
        Some(Bytes::from(out))
    }
}
