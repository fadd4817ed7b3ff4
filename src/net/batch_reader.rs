//! Takes together the bytes that wait: one wake-up for all of them, and at most so many that telling is not put off.
//!
//! What comes word by word, and faster than screens are drawn, is taken once a frame: all that a wake-up costs, from the
//! connection to the log, is paid once for the words between two frames, and nobody sees them later for it.

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
/// Words that follow one another faster than this are taken together: a little longer than a frame, so that what was
/// taken is drawn at once.
const MIN_READ_INTERVAL: Duration = Duration::from_millis(17);
/// Larger batches are no words.
const MAX_PACED_BYTES: usize = 2 * 1024;
/// Bytes that are taken together before anything is told.
const MAX_BATCH_BYTES: usize = 64 * 1024;

pub(super) type ByteStream = BoxStream<'static, Result<Bytes, RequestFailure>>;
pub(super) type NextChunk = Option<Result<Bytes, RequestFailure>>;

/// One who takes the bytes of an answer.
#[derive(Debug)]
pub(super) struct BatchReader {
    delivered_at: Instant,
    /// When the batch was begun that was taken last.
    read_at: Option<Instant>,
    pace: Pace,
    /// Whether words come fast enough to wait for more of them.
    is_streaming: bool,
}

/// How the bytes were waited for that are taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// As they came.
    AsTheyCome,
    /// For the time of a frame.
    Paced,
    /// They were there.
    Backlog,
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
        Self { delivered_at: Instant::now(), read_at: None, pace: Pace::Backlog, is_streaming: false }
    }

    /// Waits for bytes. May be given up and called again: nothing is lost.
    pub(super) async fn next_chunk(&mut self, body: &mut ByteStream) -> NextChunk {
        if let Some(read_at) = self.read_at.filter(|_| self.is_streaming) {
            // What is there already was not taken by the batch before.
            if let Some(next) = body.next().now_or_never() {
                (self.pace, self.read_at) = (Pace::Backlog, Some(Instant::now()));
                return next;
            }
            tokio::time::sleep_until(read_at + MIN_READ_INTERVAL).await;
        }
        let asked_at = Instant::now();
        let next = body.next().await;
        let now = Instant::now();
        let has_waited = now - asked_at >= MAX_BURST_GAP;
        let is_soon = self.read_at.is_some_and(|read_at| now - read_at < MIN_READ_INTERVAL);
        self.pace = match (self.is_streaming, has_waited) {
            (true, false) => Pace::Paced,
            (false, true) if is_soon => Pace::AsTheyCome,
            _ => Pace::Backlog,
        };
        self.read_at = Some(now);
        next
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
        let dense = self.pace == Pace::Paced || self.delivered_at.elapsed() < MAX_BURST_GAP;
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

    /// What was taken has been told. `is_answering` is whether words of an answer are what comes: those before the
    /// first are taken at once.
    pub(super) fn note_delivered(&mut self, bytes_read: usize, is_answering: bool) {
        self.delivered_at = Instant::now();
        self.is_streaming = is_answering && self.pace != Pace::Backlog && bytes_read <= MAX_PACED_BYTES;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;
    use crate::net::request::Framing;

    /// A body whose words come at these times, in ms; they wait for whoever reads late.
    fn body(arrivals: Vec<u64>) -> ByteStream {
        let start = Instant::now();
        stream::iter(arrivals)
            .then(move |at| async move {
                tokio::time::sleep_until(start + Duration::from_millis(at)).await;
                Ok::<_, Infallible>(Bytes::from_static(b"data: word\n\n"))
            })
            .map(|word| word.map_err(|never| match never {}))
            .boxed()
    }

    /// Reads a body to its end; returns when each batch was begun, in ms, and how many words it held.
    async fn batches(arrivals: impl IntoIterator<Item = u64>, is_answering: bool) -> Vec<(u128, usize)> {
        let (mut body, mut reader) = (body(arrivals.into_iter().collect()), BatchReader::new());
        let mut frames = FrameSplitter::for_content_type(Framing::Sse, "text/event-stream");
        let (start, mut batches) = (Instant::now(), Vec::new());
        loop {
            let next = reader.next_chunk(&mut body).await;
            let (at, mut words) = (start.elapsed().as_millis(), Vec::new());
            let batch = reader.read_batch(next, &mut body, &mut frames, &mut words).await;
            if !words.is_empty() {
                batches.push((at, words.len()));
            }
            reader.note_delivered(batch.bytes_read, is_answering);
            if batch.end.is_some() {
                return batches;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fast_words_are_taken_once_a_frame() {
        let read = batches((0..100).map(|nth| 100 + nth * 5), true).await;
        assert_eq!(read.iter().map(|(_, words)| words).sum::<usize>(), 100);
        assert_eq!(read[..2], [(100, 1), (105, 1)], "the first at once");
        assert!((28..=32).contains(&read.len()), "{read:?}");
        assert!(read.windows(2).skip(2).all(|two| two[1].0 - two[0].0 <= 18), "{read:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn slow_words_are_taken_as_they_come() {
        let read = batches((1..20).map(|nth| nth * 30), true).await;
        assert_eq!(read, (1..20).map(|nth| (nth * 30, 1)).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn words_that_wait_already_are_taken_together_and_what_follows_at_once() {
        let read = batches([5, 5, 5, 5, 8, 40], true).await;
        assert_eq!(read, [(5, 4), (8, 1), (40, 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_before_the_answer_is_taken_as_it_comes() {
        let read = batches((1..20).map(|nth| nth * 5), false).await;
        assert_eq!(read, (1..20).map(|nth| (u128::from(nth * 5_u32), 1)).collect::<Vec<_>>());
    }
}
