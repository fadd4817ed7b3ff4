//! Reads a log from its subject into the copy here.

use std::path::Path;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::Stream;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::{PART_HEADER, SEQ_HEADER, unreachable};
use crate::bridge::shared_log::ClaimError;
use crate::event::{Seq, SessionId};
use crate::journal::{LogHeader, Writer, log_path};

/// How long the next message may take.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// A longer line is not one of ours.
const MAX_LINE_BYTES: usize = 64 << 20;

/// Brings the copy up to date with the messages of a subject, up to one with this sequence.
pub(super) async fn read_into_copy(
    stream: &Stream,
    subject: &str,
    session: &SessionId,
    through: u64,
    dir: &Path,
) -> Result<(), ClaimError> {
    let config = OrderedConfig {
        filter_subject: subject.to_owned(),
        deliver_policy: DeliverPolicy::All,
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.map_err(|error| unreachable(&error))?;
    let mut messages = consumer.messages().await.map_err(|error| unreachable(&error))?;
    let mut copy = LogCopy::open(dir, session)?;
    let mut lines = LineAssembler::default();
    loop {
        let next = timeout(MESSAGE_TIMEOUT, messages.next()).await;
        let message = next
            .map_err(|_| unreachable(&"the log's messages don't come"))?
            .ok_or_else(|| unreachable(&"the log's messages end too early"))?
            .map_err(|error| unreachable(&error))?;
        let sequence = message.info().map_err(|error| unreachable(&error))?.stream_sequence;
        for (seq, line) in lines.push(message.headers.as_ref(), &message.payload) {
            copy.push(seq, line)?;
        }
        if sequence >= through {
            return copy.finish(lines.last_seq);
        }
    }
}

/// Makes lines of messages.
#[derive(Debug, Default)]
pub(super) struct LineAssembler {
    /// What there is of a line that comes in parts.
    parts: Vec<u8>,
    next_part: usize,
    /// The greatest number so far.
    last_seq: u64,
}

impl LineAssembler {
    /// Returns the lines that are whole with a message, each with its number; the header has none.
    pub(super) fn push(&mut self, headers: Option<&HeaderMap>, payload: &Bytes) -> Vec<(u64, Bytes)> {
        let named = |name: &str| headers?.get(name).map(async_nats::HeaderValue::as_str);
        let Some(first) = named(SEQ_HEADER).and_then(|seq| seq.parse::<u64>().ok()) else { return Vec::new() };
        let part = named(PART_HEADER).and_then(|part| {
            let (index, count) = part.split_once('/')?;
            Some((index.parse::<usize>().ok()?, count.parse::<usize>().ok()?))
        });
        let text = match part {
            None => payload.clone(),
            Some((index, count)) => {
                if index == 1 {
                    self.parts.clear();
                } else if index != self.next_part || self.parts.len() + payload.len() > MAX_LINE_BYTES {
                    self.next_part = 0;
                    return Vec::new();
                }
                self.parts.extend_from_slice(payload);
                self.next_part = index + 1;
                if index < count {
                    return Vec::new();
                }
                Bytes::from(std::mem::take(&mut self.parts))
            }
        };
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let numbered: Vec<(u64, Bytes)> =
            lines.enumerate().map(|(index, line)| (first + index as u64, text.slice_ref(line))).collect();
        self.last_seq = numbered.last().map_or(self.last_seq, |(seq, _)| self.last_seq.max(*seq));
        numbered
    }
}

/// The copy of a log, which gets what it lacks.
struct LogCopy<'a> {
    dir: &'a Path,
    session: &'a SessionId,
    writer: Option<Writer>,
    pending: Vec<Bytes>,
    pending_bytes: usize,
}

impl<'a> LogCopy<'a> {
    fn open(dir: &'a Path, session: &'a SessionId) -> Result<Self, ClaimError> {
        let path = log_path(dir, session);
        let mut writer = None;
        if path.exists() {
            let (opened, end) = Writer::open(&path)?;
            // It was cut where this program ended, and there is a whole one.
            if end.torn.is_some() {
                drop(opened);
                std::fs::remove_file(&path)?;
            } else {
                writer = Some(opened);
            }
        }
        Ok(Self { dir, session, writer, pending: Vec::new(), pending_bytes: 0 })
    }

    fn push(&mut self, seq: u64, line: Bytes) -> Result<(), ClaimError> {
        let Some(writer) = &self.writer else {
            let header: LogHeader =
                serde_json::from_slice(&line).map_err(|error| ClaimError::Copy(std::io::Error::other(error)))?;
            // The name decides about the path.
            let header = LogHeader { session: self.session.clone(), ..header };
            self.writer = Some(Writer::create(self.dir, &header)?);
            return Ok(());
        };
        if seq > 0 && Seq(seq) > writer.last_saved() {
            self.pending_bytes += line.len();
            self.pending.push(line);
            if self.pending_bytes > 1 << 20 {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ClaimError> {
        self.pending_bytes = 0;
        if let Some(writer) = &mut self.writer {
            writer.append(&std::mem::take(&mut self.pending))?;
        }
        Ok(())
    }

    /// A copy that has more than the log is one of another log; it is read anew next time.
    fn finish(mut self, last_seq: u64) -> Result<(), ClaimError> {
        self.flush()?;
        if self.writer.as_ref().is_some_and(|writer| writer.last_saved() > Seq(last_seq)) {
            drop(self.writer.take());
            std::fs::remove_file(log_path(self.dir, self.session))?;
            return Err(unreachable(&"the copy here was of another log and is removed; try again"));
        }
        Ok(())
    }
}
