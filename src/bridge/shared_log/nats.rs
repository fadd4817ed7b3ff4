//! Shared logs on NATS JetStream: a subject per session, a message for the events that came at once.
//!
//! `NAME.log.SESSION` of the stream `NAME_log` has the log's lines in order: first the header, then events, the number of
//! the first in `Jarvis-Seq`. Every message names its writer, and the message it follows: the server refuses it where that
//! is not the last of the subject (`Nats-Expected-Last-Subject-Sequence`), so two writers can't interleave. Who takes a
//! session over writes an empty message first, and whatever its former owner still sends comes too late. Servers say
//! that they live on `NAME.server.ID` of `NAME_servers`, whose messages expire; a session of one that says nothing any
//! more is free.

mod copy;
mod lease;
mod log;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{Config, LastRawMessageErrorKind, StorageType, Stream};
use async_nats::jetstream::{self, Context};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::task::JoinSet;

use self::copy::read_into_copy;
use self::lease::Lease;
use self::log::NatsLog;
use super::{ClaimError, SharedLog, SharedStore};
use crate::bridge::new_uuid;
use crate::event::SessionId;
use crate::journal::LogHeader;
use crate::text::store_address::StoreAddress;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request of ours may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a session is claimed while its owner still writes.
const MAX_CLAIM_ATTEMPTS: usize = 8;
/// Of so many sessions the copies are brought up to date for a list.
const MAX_LISTED_SESSIONS: usize = 500;
/// Other messages need some room in one besides the events.
const HEADER_ROOM_BYTES: usize = 4 << 10;
const MAX_MESSAGE_BYTES: usize = 512 << 10;

/// Names the server that wrote a message; [`NOBODY`] where it gives the session up.
const OWNER_HEADER: &str = "Jarvis-Owner";
/// Tells messages of a writer apart.
const WRITE_HEADER: &str = "Jarvis-Write";
/// The number of the first event of a message.
const SEQ_HEADER: &str = "Jarvis-Seq";
/// Which part of a line that is too long for one message, and of how many: `2/3`.
const PART_HEADER: &str = "Jarvis-Part";
const NOBODY: &str = "nobody";

/// The logs of one store.
pub struct NatsStore {
    shared: Arc<Shared>,
    /// Renews the lease until this is dropped.
    _tasks: JoinSet<()>,
}

/// What every log needs.
struct Shared {
    context: Context,
    log: Stream,
    servers: Stream,
    name: String,
    /// This server, as others know it.
    owner: String,
    /// Where the copies are.
    dir: PathBuf,
    lease: Lease,
    lease_time: Duration,
    max_payload: usize,
}

impl NatsStore {
    /// Connects, and makes the streams if they don't exist; copies of logs will be in `dir`.
    pub async fn connect(address: &StoreAddress, dir: PathBuf) -> Result<Self, String> {
        let client = ConnectOptions::new()
            .name("jarvis-tui")
            .connection_timeout(CONNECT_TIMEOUT)
            .request_timeout(Some(REQUEST_TIMEOUT))
            .event_callback(|event| async move { tracing::info!("shared logs: {event}") })
            .connect(address.servers.as_slice())
            .await
            .map_err(|error| error.to_string())?;
        let info = client.server_info();
        let replicas = address.replicas.unwrap_or(if info.cluster.is_some() { 3 } else { 1 });
        let mut context = jetstream::new(client);
        context.set_timeout(REQUEST_TIMEOUT);
        let name = address.name.clone();
        let config = |kind: &str, subjects: &str| Config {
            name: format!("{name}_{kind}"),
            subjects: vec![format!("{name}.{subjects}.*")],
            storage: StorageType::File,
            num_replicas: replicas,
            ..Config::default()
        };
        let log = Config { deny_delete: true, ..config("log", "log") };
        let servers = Config { max_age: address.lease, max_messages_per_subject: 1, ..config("servers", "server") };
        let failed = |what: &str, error: &dyn std::fmt::Display| format!("the stream {name}_{what}: {error}");
        let log = context.get_or_create_stream(log).await.map_err(|error| failed("log", &error))?;
        let servers = context.get_or_create_stream(servers).await.map_err(|error| failed("servers", &error))?;
        let kept = servers.cached_info().config.max_age;
        if kept != address.lease {
            let (kept, wanted) = (kept.as_secs(), address.lease.as_secs());
            return Err(format!("the servers of {name} have a lease of {kept} s; use lease={kept}, not {wanted}"));
        }
        let owner = new_uuid().simple().to_string();
        let mut tasks = JoinSet::new();
        let subject = format!("{name}.server.{owner}");
        let lease = Lease::start(context.clone(), subject, address, &mut tasks).await?;
        let max_payload =
            info.max_payload.saturating_sub(HEADER_ROOM_BYTES).clamp(HEADER_ROOM_BYTES, MAX_MESSAGE_BYTES);
        let lease_time = address.lease;
        let shared = Shared { context, log, servers, name, owner, dir, lease, lease_time, max_payload };
        Ok(Self { shared: Arc::new(shared), _tasks: tasks })
    }
}

impl SharedStore for NatsStore {
    fn begin(&self, header: &LogHeader) -> Box<dyn SharedLog> {
        Box::new(NatsLog::begin(Arc::clone(&self.shared), header))
    }

    fn claim<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<Box<dyn SharedLog>, ClaimError>> {
        Box::pin(async move {
            let last = self.shared.fence(session).await?;
            self.shared.update_copy(session, last).await?;
            let log: Box<dyn SharedLog> = Box::new(NatsLog::owned(Arc::clone(&self.shared), session, last));
            Ok(log)
        })
    }

    fn refresh<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<(), ClaimError>> {
        Box::pin(async move {
            let last = self.shared.last_message(session).await?.ok_or(ClaimError::Unknown)?;
            self.shared.update_copy(session, last.sequence).await
        })
    }

    fn refresh_all(&self) -> BoxFuture<'_, Result<(), ClaimError>> {
        Box::pin(async move {
            for session in self.shared.newest_sessions().await? {
                match self.refresh(&session).await {
                    Ok(()) | Err(ClaimError::Unknown) => {}
                    // It runs here.
                    Err(ClaimError::Open(crate::journal::OpenError::InUse { .. })) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, session: &'a SessionId) -> BoxFuture<'a, Result<(), ClaimError>> {
        Box::pin(async move {
            self.shared.fence(session).await?;
            let purged = self.shared.log.purge().filter(self.shared.subject(session)).await;
            purged.map(drop).map_err(|error| unreachable(&error))
        })
    }
}

impl Shared {
    fn subject(&self, session: &SessionId) -> String {
        format!("{}.log.{}", self.name, token_of(session))
    }

    /// Returns the last message of a session, as the stream's leader has it.
    async fn last_message(&self, session: &SessionId) -> Result<Option<StreamMessage>, ClaimError> {
        match self.log.get_last_raw_message_by_subject(&self.subject(session)).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(None),
            Err(error) => Err(unreachable(&error)),
        }
    }

    /// Returns whether a server renewed its lease in time.
    async fn is_alive(&self, owner: &str) -> Result<bool, ClaimError> {
        if !is_token(owner) {
            return Ok(false);
        }
        let subject = format!("{}.server.{owner}", self.name);
        match self.servers.get_last_raw_message_by_subject(&subject).await {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), LastRawMessageErrorKind::NoMessageFound) => Ok(false),
            Err(error) => Err(unreachable(&error)),
        }
    }

    /// Takes a session over unless its owner lives. What others write to it is refused from here on; returns where.
    async fn fence(&self, session: &SessionId) -> Result<u64, ClaimError> {
        for _ in 0..MAX_CLAIM_ATTEMPTS {
            if self.lease.lost_reason().is_some() {
                return Err(ClaimError::Unreachable("this server's lease has run out".to_owned()));
            }
            let last = self.last_message(session).await?.ok_or(ClaimError::Unknown)?;
            let owner = header(&last, OWNER_HEADER).unwrap_or(NOBODY);
            if owner != self.owner && owner != NOBODY && self.is_alive(owner).await? {
                let retry_after = u32::try_from(self.lease_time.as_secs()).unwrap_or(u32::MAX);
                return Err(ClaimError::Owned { owner: owner.chars().take(32).collect(), retry_after });
            }
            let fence = PublishMessage::build().header(OWNER_HEADER, self.owner.as_str());
            match self.publish(session, fence, last.sequence).await {
                Ok(sequence) => return Ok(sequence),
                Err((PublishErrorKind::WrongLastSequence, _)) => {}
                Err((_, error)) => return Err(ClaimError::Unreachable(error)),
            }
        }
        Err(ClaimError::Unreachable("another server keeps writing to this session".to_owned()))
    }

    /// Stores a message if the last one of the subject has this sequence; returns its own.
    async fn publish(
        &self,
        session: &SessionId,
        message: PublishMessage,
        after: u64,
    ) -> Result<u64, (PublishErrorKind, String)> {
        let message = message.expected_last_subject_sequence(after);
        let stored = async { self.context.send_publish(self.subject(session), message).await?.await };
        stored.await.map(|ack| ack.sequence).map_err(|error| (error.kind(), error.to_string()))
    }

    async fn update_copy(&self, session: &SessionId, through: u64) -> Result<(), ClaimError> {
        read_into_copy(&self.log, &self.subject(session), session, through, &self.dir).await
    }

    /// Returns the newest sessions: their names begin with when they began.
    async fn newest_sessions(&self) -> Result<Vec<SessionId>, ClaimError> {
        use futures_util::TryStreamExt as _;
        let filter = format!("{}.log.*", self.name);
        let mut subjects = self.log.info_with_subjects(&filter).await.map_err(|error| unreachable(&error))?;
        let mut sessions = Vec::new();
        while let Some((subject, _)) = subjects.try_next().await.map_err(|error| unreachable(&error))? {
            sessions.extend(subject.rsplit('.').next().and_then(session_of));
        }
        sessions.sort_unstable_by(|a, b| b.as_str().cmp(a.as_str()));
        sessions.truncate(MAX_LISTED_SESSIONS);
        Ok(sessions)
    }
}

fn unreachable(error: &dyn std::fmt::Display) -> ClaimError {
    ClaimError::Unreachable(error.to_string())
}

fn header<'a>(message: &'a StreamMessage, name: &str) -> Option<&'a str> {
    message.headers.get(name).map(async_nats::HeaderValue::as_str)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Returns a session's part of its subject. Its own name is one, unless a client made it up.
fn token_of(session: &SessionId) -> String {
    let name = session.as_str();
    if is_token(name) && !name.starts_with("x_") {
        return name.to_owned();
    }
    name.bytes().fold("x_".to_owned(), |token, byte| format!("{token}{byte:02x}"))
}

fn session_of(token: &str) -> Option<SessionId> {
    let Some(digits) = token.strip_prefix("x_") else { return Some(SessionId::from(token)) };
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    Some(SessionId::from(String::from_utf8(bytes?).ok()?.as_str()))
}

/// Cuts lines into messages: whole lines together up to a size, a longer line alone in parts.
fn cut_into_messages<'a>(lines: impl IntoIterator<Item = (u64, &'a Bytes)>, max_bytes: usize) -> Vec<LogMessage> {
    let mut messages: Vec<LogMessage> = Vec::new();
    for (seq, line) in lines {
        if line.len() > max_bytes {
            let count = line.len().div_ceil(max_bytes);
            let part = |(index, bytes): (usize, &[u8])| LogMessage {
                first: seq,
                last: if index + 1 == count { seq } else { seq - 1 },
                part: Some(format!("{}/{count}", index + 1)),
                payload: bytes.to_vec(),
            };
            messages.extend(line.chunks(max_bytes).enumerate().map(part));
            continue;
        }
        match messages.last_mut().filter(|last| last.part.is_none() && last.payload.len() + line.len() < max_bytes) {
            Some(message) => {
                message.last = seq;
                message.payload.push(b'\n');
                message.payload.extend_from_slice(line);
            }
            None => messages.push(LogMessage { first: seq, last: seq, part: None, payload: line.to_vec() }),
        }
    }
    messages
}

/// A message with lines of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LogMessage {
    first: u64,
    /// The last number that is whole with it.
    last: u64,
    part: Option<String>,
    payload: Vec<u8>,
}

#[cfg(test)]
mod tests;
