//! Reads a cassette and plays it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream;
use reqwest::Body;
use tokio::time::Instant;

use super::CassetteError;
use super::difference::{Difference, is_same};
use super::line::{
    CASSETTE_FORMAT, CASSETTE_KIND, CassetteHeader, CassetteLine, CassettePart, ORDERLY_END, RecordedHead,
    RecordedRequest,
};
use crate::event::{FaultKind, Millis};
use crate::net::failure::RequestFailure;
use crate::text::human::size_limit;

/// Bytes of a cassette that are read.
const MAX_CASSETTE_BYTES: u64 = 512 * 1024 * 1024;
/// A line is nothing more than that.
const MAX_PAUSE: Duration = Duration::from_hours(1);

pub(super) struct Player {
    exchanges: Vec<RecordedExchange>,
    /// Which were played.
    played: Mutex<Vec<bool>>,
    speed: f64,
}

struct RecordedExchange {
    /// Its number in the file.
    number: u64,
    request: RecordedRequest,
    at: Millis,
    head: Option<Result<RecordedHead, RequestFailure>>,
    pieces: Arc<Vec<(Millis, Bytes)>>,
    end: Option<(Millis, String)>,
}

/// An answer to play.
pub(super) struct Tape {
    pub(super) at: Millis,
    pub(super) head: Result<RecordedHead, RequestFailure>,
    pub(super) pieces: Arc<Vec<(Millis, Bytes)>>,
    pub(super) end: Option<(Millis, String)>,
}

/// Why there is nothing to play.
pub(super) enum Miss {
    Empty,
    AllPlayed { times: usize },
    Unlike { count: usize, number: u64, difference: Box<Difference> },
}

impl Player {
    pub(super) fn load(path: &Path, speed: f64) -> Result<Self, CassetteError> {
        let shown = path.display().to_string();
        let unreadable = |error| CassetteError::Unreadable { path: shown.clone(), error };
        let mut text = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_CASSETTE_BYTES + 1).read_to_end(&mut text).map_err(unreadable)?;
        let none = |why: String| CassetteError::NoCassette { path: shown.clone(), why };
        if text.len() as u64 > MAX_CASSETTE_BYTES {
            let limit = usize::try_from(MAX_CASSETTE_BYTES).unwrap_or(usize::MAX);
            return Err(none(format!("it is larger than {}", size_limit(limit))));
        }
        let exchanges = parse(&text).map_err(none)?;
        Ok(Self { played: Mutex::new(vec![false; exchanges.len()]), exchanges, speed })
    }

    pub(super) fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Returns the next answer to a request. What is only looked up may be asked more often than it was recorded.
    pub(super) fn take(&self, request: &RecordedRequest) -> Result<Tape, Miss> {
        let mut played = self.played.lock().unwrap_or_else(PoisonError::into_inner);
        let equal = |at: &usize| self.exchanges.get(*at).is_some_and(|known| is_same(&known.request, request));
        let equals: Vec<usize> = (0..self.exchanges.len()).filter(equal).collect();
        let is_new = |at: &&usize| played.get(**at) == Some(&false);
        let next = equals.iter().find(is_new).or_else(|| equals.last().filter(|_| request.method == "GET"));
        if let Some(at) = next {
            if let Some(mark) = played.get_mut(*at) {
                *mark = true;
            }
            return self.exchanges.get(*at).map(RecordedExchange::tape).ok_or(Miss::Empty);
        }
        if !equals.is_empty() {
            return Err(Miss::AllPlayed { times: equals.len() });
        }
        let differences = self.exchanges.iter().enumerate().map(|(at, known)| {
            let is_played = played.get(at) == Some(&true);
            (Difference::between(&known.request, request), is_played, known.number)
        });
        let nearest =
            differences.min_by_key(|(difference, is_played, number)| (difference.distance(), *is_played, *number));
        Err(nearest.map_or(Miss::Empty, |(difference, _, number)| Miss::Unlike {
            count: self.exchanges.len(),
            number,
            difference: Box::new(difference),
        }))
    }

    /// Returns how long a time of the recording is here.
    pub(super) fn pause(&self, at: Millis) -> Duration {
        Duration::try_from_secs_f64(Duration::from(at).as_secs_f64() / self.speed).unwrap_or(MAX_PAUSE).min(MAX_PAUSE)
    }

    /// Returns a body that comes as it was recorded.
    pub(super) fn body(
        self: Arc<Self>,
        pieces: Arc<Vec<(Millis, Bytes)>>,
        end: Option<(Millis, String)>,
        began: Instant,
    ) -> Body {
        let parts = stream::unfold(Some(0), move |at| {
            let (player, pieces, end) = (Arc::clone(&self), Arc::clone(&pieces), end.clone());
            async move {
                let at: usize = at?;
                if let Some((time, bytes)) = pieces.get(at) {
                    tokio::time::sleep_until(began + player.pause(*time)).await;
                    return Some((Ok(bytes.clone()), Some(at + 1)));
                }
                let (time, why) = end.unwrap_or_else(|| (Millis(0), "the recording ends here".to_owned()));
                tokio::time::sleep_until(began + player.pause(time)).await;
                let why = match why.as_str() {
                    ORDERLY_END => return None,
                    super::line::UNREAD_END => "the rest was not waited for when it was recorded".to_owned(),
                    _ => why,
                };
                Some((Err(std::io::Error::other(why)), None))
            }
        });
        Body::wrap_stream(parts)
    }
}

impl RecordedExchange {
    fn tape(&self) -> Tape {
        let unanswered = || {
            let text = "the cassette has this request without an answer; record it anew with --cassette-mode record";
            Err(RequestFailure::permanent(FaultKind::Network, text))
        };
        Tape {
            at: self.at,
            head: self.head.clone().unwrap_or_else(unanswered),
            pieces: Arc::clone(&self.pieces),
            end: self.end.clone(),
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::AllPlayed { times: 1 } => f.write_str("it was recorded once, and that was played"),
            Self::AllPlayed { times } => write!(f, "it was recorded {times} times, and all of them were played"),
            Self::Unlike { count, number, difference } => {
                write!(f, "of its {count} the nearest is number {number}, where {difference}")
            }
        }
    }
}

/// Reads all exchanges. A last line that is torn is left out: whoever recorded it was killed.
fn parse(text: &[u8]) -> Result<Vec<RecordedExchange>, String> {
    let whole = memchr::memrchr(b'\n', text).map_or(0, |end| end + 1);
    let mut lines = text.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').enumerate();
    let header = lines.next().and_then(|(_, line)| serde_json::from_slice::<CassetteHeader>(line).ok());
    match header {
        Some(header) if header.kind != CASSETTE_KIND => {
            return Err("its first line says that it is something else".into());
        }
        Some(header) if header.format > CASSETTE_FORMAT => {
            return Err(format!("its format {} is of a newer version", header.format));
        }
        Some(_) => {}
        None => return Err("its first line doesn't say so".into()),
    }
    let mut exchanges: BTreeMap<u64, RecordedExchange> = BTreeMap::new();
    for (index, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
        let broken = |why: &str| format!("line {}: {why}", index + 1);
        let CassetteLine { n, at, part } = serde_json::from_slice(line).map_err(|error| broken(&error.to_string()))?;
        if let CassettePart::Request(request) = part {
            let pieces = Arc::default();
            exchanges.insert(n, RecordedExchange { number: n, request, at, head: None, pieces, end: None });
            continue;
        }
        let Some(exchange) = exchanges.get_mut(&n) else {
            return Err(broken("it belongs to a request that isn't there"));
        };
        let bytes = match part {
            CassettePart::Chunk(text) => Bytes::from(text),
            CassettePart::Base64(text) => {
                STANDARD.decode(text).map(Bytes::from).map_err(|error| broken(&error.to_string()))?
            }
            CassettePart::Response(head) => {
                (exchange.at, exchange.head) = (at, Some(Ok(head)));
                continue;
            }
            CassettePart::Failure(failure) => {
                (exchange.at, exchange.head) = (at, Some(Err(failure.into())));
                continue;
            }
            CassettePart::End(why) => {
                exchange.end = Some((at, why));
                continue;
            }
            CassettePart::Request(_) => continue,
        };
        Arc::make_mut(&mut exchange.pieces).push((at, bytes));
    }
    Ok(exchanges.into_values().collect())
}
