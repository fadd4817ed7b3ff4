//! Takes together the bytes that wait: one wake-up for all of them, and at most so many that telling is not put off.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::time::Instant;

use super::guard::Broken;
use super::sse::Frames;
use super::status::Failure;
use crate::dialect::SseFrame;

/// Chunks that follow one another faster than this belong to a burst.
const DENSE: Duration = Duration::from_millis(2);
/// Bytes that are taken together before anything is told.
const BATCH: usize = 64 * 1024;

pub(super) type Body = BoxStream<'static, Result<Bytes, Failure>>;
pub(super) type Next = Option<Result<Bytes, Failure>>;

/// One who takes the bytes of an answer.
#[derive(Debug)]
pub(super) struct Gather {
    heard_at: Instant,
}

/// What was there.
#[derive(Debug)]
pub(super) struct Gathered {
    /// Bytes that came.
    pub(super) taken: usize,
    /// They can't be cut into frames.
    pub(super) broken: Option<Broken>,
    /// How the body ended, if it did.
    pub(super) end: Option<Result<(), Failure>>,
}

impl Gather {
    pub(super) fn new() -> Self {
        Self { heard_at: Instant::now() }
    }

    /// Takes what was waited for and all that is there already, cut into frames. At the end in order, what the body
    /// still held.
    pub(super) async fn take(
        &mut self,
        next: Next,
        body: &mut Body,
        frames: &mut Frames,
        out: &mut Vec<SseFrame>,
    ) -> Gathered {
        // A stream that comes at its own pace has nothing waiting; looking for it would cost a turn of the loop.
        let dense = self.heard_at.elapsed() < DENSE;
        let mut next = next;
        let mut got = Gathered { taken: 0, broken: None, end: None };
        while let Some(Ok(chunk)) = &next {
            got.taken += chunk.len();
            got.broken = frames.push(chunk, out).err();
            if got.broken.is_some() || got.taken >= BATCH {
                return got;
            }
            let mut more = body.next().now_or_never();
            if more.is_none() && dense {
                // The connection's own task hands chunks over one by one; let it, then look once more.
                tokio::task::yield_now().await;
                more = body.next().now_or_never();
            }
            match more {
                Some(more) => next = more,
                None => return got,
            }
        }
        if next.is_none() {
            frames.finish(out);
        }
        got.end = Some(next.and_then(Result::err).map_or(Ok(()), Err));
        got
    }

    /// What was taken has been told.
    pub(super) fn told(&mut self) {
        self.heard_at = Instant::now();
    }
}
