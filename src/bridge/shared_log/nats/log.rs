//! The log of one session, owned by this server.

use std::sync::Arc;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{
    LogMessage, NOBODY, OWNER_HEADER, PART_HEADER, SEQ_HEADER, Shared, WRITE_HEADER, cut_into_messages, header,
};
use crate::bridge::shared_log::{AppendError, SharedLog};
use crate::bridge::{LoggedEvent, new_uuid};
use crate::event::SessionId;
use crate::journal::LogHeader;

pub(super) struct NatsLog {
    shared: Arc<Shared>,
    session: SessionId,
    /// The header of a log that is not stored yet.
    unstored_header: Option<Bytes>,
    /// The sequence of the last message of the subject.
    last: u64,
    /// The number of the last event that is stored.
    stored: u64,
    /// Parts of the next line that are stored.
    stored_parts: usize,
    /// Tells what this writer wrote from what an earlier one of this server did.
    writer: String,
    /// Counts what it wrote.
    writes: u64,
}

impl NatsLog {
    pub(super) fn begin(shared: Arc<Shared>, header: &LogHeader) -> Self {
        let line = serde_json::to_vec(header).unwrap_or_default();
        let log = Self::owned(shared, &header.session, 0);
        Self { unstored_header: Some(line.into()), ..log }
    }

    pub(super) fn owned(shared: Arc<Shared>, session: &SessionId, last: u64) -> Self {
        Self {
            shared,
            session: session.clone(),
            unstored_header: None,
            last,
            stored: 0,
            stored_parts: 0,
            writer: new_uuid().simple().to_string(),
            writes: 0,
        }
    }

    async fn append_all(&mut self, events: &[Arc<LoggedEvent>]) -> Result<(), AppendError> {
        if let Some(line) = self.unstored_header.clone() {
            self.store(PublishMessage::build().header(SEQ_HEADER, "0").payload(line)).await?;
            self.unstored_header = None;
        }
        let lines = events.iter().map(|event| (event.envelope.seq.0, &event.line));
        let messages = cut_into_messages(lines.filter(|(seq, _)| *seq > self.stored), self.shared.max_payload);
        for LogMessage { first, last, part, payload } in messages.into_iter().skip(self.stored_parts) {
            let is_part = part.is_some();
            let mut message =
                PublishMessage::build().header(SEQ_HEADER, first.to_string().as_str()).payload(payload.into());
            if let Some(part) = part {
                message = message.header(PART_HEADER, part.as_str());
            }
            self.store(message).await?;
            self.stored_parts = if is_part && last < first { self.stored_parts + 1 } else { 0 };
            self.stored = self.stored.max(last);
        }
        Ok(())
    }

    /// Stores one message. Where it is not known whether an attempt was stored, the next one finds out.
    async fn store(&mut self, message: PublishMessage) -> Result<(), AppendError> {
        let write = format!("{}.{}", self.writer, self.writes);
        let message = message.header(OWNER_HEADER, self.shared.owner.as_str()).header(WRITE_HEADER, write.as_str());
        let sequence = match self.shared.publish(&self.session, message, self.last).await {
            Ok(sequence) => sequence,
            Err((PublishErrorKind::WrongLastSequence, _)) => self.find_write(&write).await?,
            Err((_, error)) => return Err(AppendError::Unreachable(error)),
        };
        self.last = sequence;
        self.writes += 1;
        Ok(())
    }

    /// Returns the sequence of the last message if it is this one.
    async fn find_write(&self, write: &str) -> Result<u64, AppendError> {
        let last = self.shared.last_message(&self.session).await;
        let last = last.map_err(|error| AppendError::Unreachable(error.to_string()))?;
        let lost = |owner: &str| Err(AppendError::Lost(format!("server {owner} has taken over the session")));
        let Some(last) = last else { return lost("that removed its log") };
        if header(&last, WRITE_HEADER) == Some(write) {
            return Ok(last.sequence);
        }
        let by_this = header(&last, WRITE_HEADER).is_some_and(|write| write.starts_with(&self.writer));
        if by_this || last.sequence == self.last {
            // An attempt is on its way still.
            return Err(AppendError::Unreachable("an event is not acknowledged yet".to_owned()));
        }
        lost(&header(&last, OWNER_HEADER).unwrap_or(NOBODY).chars().take(32).collect::<String>())
    }
}

impl SharedLog for NatsLog {
    fn append<'a>(&'a mut self, events: &'a [Arc<LoggedEvent>]) -> BoxFuture<'a, Result<(), AppendError>> {
        Box::pin(async move {
            if let Some(why) = self.shared.lease.lost_reason() {
                return Err(AppendError::Lost(why.to_owned()));
            }
            self.append_all(events).await
        })
    }

    fn lost(&self) -> BoxFuture<'static, String> {
        self.shared.lease.lost()
    }

    fn release(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            if self.unstored_header.is_some() {
                return;
            }
            let message = PublishMessage::build().header(OWNER_HEADER, NOBODY);
            if let Err((_, error)) = self.shared.publish(&self.session, message, self.last).await {
                tracing::warn!("session {} is given up only when the lease runs out: {error}", self.session);
            }
        })
    }
}
