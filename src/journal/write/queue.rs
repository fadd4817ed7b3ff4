//! Lines on their way into a file, in order, across write errors.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::journal::line::LineHead;

/// Limit of lines that wait for a disk that refuses; about half a million tokens.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// A larger buffer is freed once it is empty.
const MAX_IDLE_BUFFER_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct WriteQueue<W> {
    sink: W,
    waiting: Vec<u8>,
    /// The end offset in `waiting` and the number of each line.
    line_ends: VecDeque<(usize, u64)>,
    last_saved: Arc<AtomicU64>,
    max_waiting_bytes: usize,
    error: Option<String>,
    /// Lines lost because too much waited.
    lost_lines: u64,
}

impl<W: Write> WriteQueue<W> {
    pub(super) fn new(sink: W, saved: Arc<AtomicU64>) -> Self {
        let (waiting, ends) = (Vec::new(), VecDeque::new());
        Self {
            sink,
            waiting,
            line_ends: ends,
            last_saved: saved,
            max_waiting_bytes: MAX_WAITING_BYTES,
            error: None,
            lost_lines: 0,
        }
    }

    pub(super) fn append(&mut self, lines: &[Bytes]) -> io::Result<()> {
        // Waiting lines are written first: there may be space again, and then nothing new is lost.
        let mut outcome = if self.waiting.is_empty() { Ok(()) } else { self.flush() };
        for line in lines {
            if outcome.is_err() && self.waiting.len().saturating_add(line.len()) > self.max_waiting_bytes {
                self.lost_lines += 1;
                continue;
            }
            self.waiting.extend_from_slice(line);
            self.waiting.push(b'\n');
            self.line_ends.push_back((self.waiting.len(), LineHead::parse(line).map_or(0, |head| head.seq.0)));
        }
        if outcome.is_ok() {
            outcome = self.flush();
        }
        outcome
    }

    pub(super) fn sync(&mut self, sync: impl FnOnce(&W) -> io::Result<()>) -> io::Result<()> {
        let outcome = self.flush().and_then(|()| sync(&self.sink));
        if let Err(error) = &outcome {
            self.error = Some(error.to_string());
        }
        outcome
    }

    pub(super) fn save_error(&self) -> Option<String> {
        match (&self.error, self.lost_lines) {
            (None, 0) => None,
            (None, lost) => Some(format!("{lost} events are missing from the log: the disk is full")),
            (Some(problem), 0) => Some(problem.clone()),
            (Some(problem), lost) => Some(format!("{problem}; {lost} events are lost")),
        }
    }

    pub(super) fn sink(&self) -> &W {
        &self.sink
    }

    /// Continues with another file that has the same bytes up to here.
    pub(super) fn switch_sink(&mut self, sink: W) {
        self.sink = sink;
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut sent = 0;
        let mut outcome = Ok(());
        while let Some(rest) = self.waiting.get(sent..).filter(|rest| !rest.is_empty()) {
            match self.sink.write(rest) {
                Ok(0) => outcome = Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => outcome = Err(error),
            }
            if outcome.is_err() {
                break;
            }
        }
        self.mark_written(sent);
        self.error = outcome.as_ref().err().map(ToString::to_string);
        outcome
    }

    fn mark_written(&mut self, count: usize) {
        while let Some((end, seq)) = self.line_ends.front().copied()
            && end <= count
        {
            self.last_saved.fetch_max(seq, Ordering::AcqRel);
            self.line_ends.pop_front();
        }
        self.waiting.drain(..count.min(self.waiting.len()));
        self.waiting.shrink_to(MAX_IDLE_BUFFER_BYTES);
        for (end, _) in &mut self.line_ends {
            *end -= count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with space for a limited number of bytes.
    #[derive(Debug, Default)]
    struct Disk {
        bytes: Vec<u8>,
        space: usize,
    }

    impl Write for Disk {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            let count = buffer.len().min(self.space);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.space -= count;
            self.bytes.extend_from_slice(&buffer[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line(seq: u64) -> Bytes {
        Bytes::from(format!("{{\"seq\":{seq},\"at\":0,\"event\":{{}}}}"))
    }

    fn text(seqs: impl IntoIterator<Item = u64>) -> String {
        seqs.into_iter().map(|seq| String::from_utf8(line(seq).to_vec()).unwrap() + "\n").collect()
    }

    fn queue(space: usize) -> (WriteQueue<Disk>, Arc<AtomicU64>) {
        let saved = Arc::new(AtomicU64::new(0));
        (WriteQueue::new(Disk { space, ..Disk::default() }, Arc::clone(&saved)), saved)
    }

    #[test]
    fn a_full_disk_delays_and_loses_nothing_wherever_it_stops() {
        let whole = text(1..=6);
        for space in 0..whole.len() {
            let (mut queue, saved) = queue(space);
            let failed = (1..=6).filter(|seq| queue.append(&[line(*seq)]).is_err()).count();
            assert!(failed > 0 && queue.save_error().is_some());
            let lines = (space / line(1).len().saturating_add(1)) as u64;
            assert_eq!(saved.load(Ordering::Relaxed), lines, "room for {space}");
            queue.sink.space = usize::MAX;
            queue.append(&[line(7), line(8)]).unwrap();
            assert_eq!(String::from_utf8_lossy(&queue.sink.bytes), text(1..=8));
            assert_eq!((queue.save_error(), saved.load(Ordering::Relaxed)), (None, 8));
        }
    }

    #[test]
    fn room_may_come_back_without_a_new_line() {
        let (mut queue, _) = queue(5);
        assert!(queue.append(&[line(1)]).is_err());
        assert!(queue.append(&[]).is_err());
        queue.sink.space = 1_000;
        queue.append(&[]).unwrap();
        assert_eq!(String::from_utf8_lossy(&queue.sink.bytes), text([1]));
    }

    #[test]
    fn what_waits_is_bounded_and_what_is_lost_is_told() {
        let (mut queue, saved) = queue(0);
        queue.max_waiting_bytes = 100;
        for seq in 1..=50 {
            assert!(queue.append(&[line(seq)]).is_err());
            assert!(queue.waiting.len() <= 140);
        }
        queue.sink.space = usize::MAX;
        queue.append(&[line(51)]).unwrap();
        let kept = String::from_utf8(queue.sink.bytes.clone()).unwrap();
        assert!(kept.starts_with(&text(1..=3)) && kept.ends_with(&text([51])), "{kept}");
        assert_eq!(saved.load(Ordering::Relaxed), 51);
        assert!(queue.save_error().unwrap().contains("missing from the log"));
    }

    #[test]
    fn a_batch_is_one_write() {
        #[derive(Debug, Default)]
        struct Counting(usize);
        impl Write for Counting {
            fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                Ok(buffer.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut queue = WriteQueue::new(Counting::default(), Arc::default());
        queue.append(&(1..=100).map(line).collect::<Vec<_>>()).unwrap();
        assert_eq!(queue.sink.0, 1);
    }
}
