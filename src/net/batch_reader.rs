//! Takes together the bytes that wait: one wake-up for all of them, and at most so many that telling is not put off.

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::time::Instant;

use super::failure::RequestFailure;
use super::sse::FrameSplitter;
use super::sse_lines::FramingError;
use crate::dialect::SseFrame;

/// Chunks that follow one another faster than this belong to a burst.
const MAX_BURST_GAP: Duration = Duration::from_millis(2);
/// Bytes that are taken together before anything is told.
const MAX_BATCH_BYTES: usize = 64 * 1024;

pub(super) type ByteStream = BoxStream<'static, Result<Bytes, RequestFailure>>;
pub(super) type NextChunk = Option<Result<Bytes, RequestFailure>>;

/// One who takes the bytes of an answer.
#[derive(Debug)]
pub(super) struct BatchReader {
    delivered_at: Instant,
}

/// What was there.
#[derive(Debug)]
pub(super) struct ReadBatch {
    /// Bytes that came.
    pub(super) bytes_read: usize,
    /// They can't be cut into frames.
    pub(super) framing_error: Option<FramingError>,
    /// How the body ended, if it did.
    pub(super) end: Option<Result<(), RequestFailure>>,
}

impl BatchReader {
    pub(super) fn new() -> Self {
        Self { delivered_at: Instant::now() }
    }

    /// Takes what was waited for and all that is there already, cut into frames. At the end in order, what the body
    /// still held.
    pub(super) async fn read_batch(
        &mut self,
        next: NextChunk,
        body: &mut ByteStream,
        frames: &mut FrameSplitter,
        out: &mut Vec<SseFrame>,
    ) -> ReadBatch {
        // A stream that comes at its own pace has nothing waiting; looking for it would cost a turn of the loop.
        let dense = self.delivered_at.elapsed() < MAX_BURST_GAP;
        let mut next = next;
        let mut got = ReadBatch { bytes_read: 0, framing_error: None, end: None };
        while let Some(Ok(chunk)) = &next {
            got.bytes_read += chunk.len();
            got.framing_error = frames.push(chunk, out).err();
            if got.framing_error.is_some() || got.bytes_read >= MAX_BATCH_BYTES {
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
    pub(super) fn note_delivered(&mut self) {
        self.delivered_at = Instant::now();
    }
}
