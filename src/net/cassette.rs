//! A cassette: what servers answered, byte by byte with its timing, recorded into a file and played from it.
//!
//! It stands between [`super::HttpClient`] and the network, below everything that reads an answer, so every engine has
//! it. A request is recorded without its headers' values, and both sides without secrets. Of what is played nothing
//! reaches the network: a request that was not recorded fails and says what differs from the nearest one that was.
//! Not for feeds over a WebSocket.

mod difference;
mod line;
mod player;
mod recorder;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use hyper::Response as HttpParts;
use reqwest::{Body, Response, ResponseBuilderExt as _, Url};
use tokio::time::Instant;

use self::line::{RecordedHead, RecordedRequest};
use self::player::Player;
use self::recorder::{CassetteRecorder, ExchangeRecorder};
use super::failure::RequestFailure;
use super::redact::Redactor;
use super::request::{HttpMethod, HttpRequest};
use crate::event::{FaultKind, Millis};

/// What a cassette is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CassetteMode {
    /// Plays a file that is there, and records into one that is not.
    #[default]
    Auto,
    /// Records in any case; an older recording is replaced with the first request.
    Record,
    /// Plays in any case.
    Play,
}

/// A text that differs from run to run, such as the date, and what stands for it in a cassette.
pub type StandIn = (String, &'static str);

/// A cassette that was opened. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Cassette {
    path: PathBuf,
    stand_ins: Arc<[StandIn]>,
    deck: Deck,
}

#[derive(Clone)]
enum Deck {
    Record(Arc<CassetteRecorder>),
    Play(Arc<Player>),
}

/// Why a cassette can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CassetteError {
    #[error("the cassette {path} can't be read: {error}")]
    Unreadable { path: String, error: io::Error },
    #[error("{path} is no cassette: {why}; to record into it, give --cassette-mode record")]
    NoCassette { path: String, why: String },
}

impl Cassette {
    /// Opens a cassette. `speed` is how fast it is played; 1 is as it was recorded.
    pub fn open(path: &Path, mode: CassetteMode, speed: f64, stand_ins: Vec<StandIn>) -> Result<Self, CassetteError> {
        let plays = match mode {
            CassetteMode::Record => false,
            CassetteMode::Play => true,
            CassetteMode::Auto => path.exists(),
        };
        let deck = if plays {
            Deck::Play(Arc::new(Player::load(path, speed)?))
        } else {
            Deck::Record(Arc::new(CassetteRecorder::new(path)))
        };
        let mut stand_ins: Vec<StandIn> = stand_ins.into_iter().filter(|(text, _)| !text.is_empty()).collect();
        // The longest first: a folder may be inside of another.
        stand_ins.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        Ok(Self { path: path.to_owned(), stand_ins: stand_ins.into(), deck })
    }

    pub fn is_playing(&self) -> bool {
        matches!(self.deck, Deck::Play(_))
    }

    /// Returns what a person has to know: that answers are not from a server, or that they are kept.
    pub fn describe(&self) -> String {
        let path = self.path.display();
        match &self.deck {
            Deck::Play(player) => {
                format!("answers are played from the cassette {path} ({} recorded); no server is asked", player.len())
            }
            Deck::Record(_) => format!("requests and answers are recorded into the cassette {path}"),
        }
    }

    /// Returns the answer to a request: the recorded one, or that of `exchange`, which asks the server.
    pub(super) async fn answer(
        &self,
        call: &HttpRequest,
        url: &Url,
        exchange: impl Future<Output = Result<Response, RequestFailure>> + Send,
    ) -> Result<Response, RequestFailure> {
        let secrets = Redactor::for_request(call);
        let request = RecordedRequest::of(call, &secrets, &self.stand_ins);
        match &self.deck {
            Deck::Play(player) => self.play(player, &request, url).await,
            Deck::Record(recorder) => {
                let began = Instant::now();
                let recording =
                    recorder.begin(request, call.method != HttpMethod::Get, secrets).map_err(cannot_record)?;
                record(recording, began, exchange.await)
            }
        }
    }

    async fn play(
        &self,
        player: &Arc<Player>,
        request: &RecordedRequest,
        url: &Url,
    ) -> Result<Response, RequestFailure> {
        let began = Instant::now();
        let tape = player.take(request).map_err(|miss| {
            let text = format!(
                "the cassette {} has no answer to this request: {miss}; to record it anew, give --cassette-mode record",
                self.path.display()
            );
            RequestFailure::permanent(FaultKind::BadRequest, text)
        })?;
        tokio::time::sleep_until(began + player.pause(tape.at)).await;
        match tape.head {
            Ok(head) => response(&head, url, player.clone().body(tape.pieces, tape.end, began)),
            Err(failure) => Err(failure),
        }
    }

    /// Says why another protocol can't be spoken; none where it can, unrecorded.
    pub(super) fn refuses_upgrade(&self) -> Option<RequestFailure> {
        let text = "a cassette has no WebSockets to play";
        self.is_playing().then(|| RequestFailure::permanent(FaultKind::BadRequest, text))
    }
}

impl fmt::Debug for Cassette {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cassette")
            .field("path", &self.path)
            .field("is_playing", &self.is_playing())
            .finish_non_exhaustive()
    }
}

/// Records an answer on its way.
fn record(
    mut recording: ExchangeRecorder,
    began: Instant,
    answer: Result<Response, RequestFailure>,
) -> Result<Response, RequestFailure> {
    let response = match answer {
        Ok(response) => response,
        Err(failure) => {
            recording.write_failure(since(began), &failure).map_err(cannot_record)?;
            return Err(failure);
        }
    };
    let values = response.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let head = RecordedHead::of(response.status().as_u16(), values, recording.redactor());
    recording.write_head(since(began), &head).map_err(cannot_record)?;
    let url = response.url().clone();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = stream::unfold(Some(Box::new((recording, response.bytes_stream().boxed()))), move |state| async move {
        let mut state = state?;
        let (recording, body) = &mut *state;
        let next = body.next().await;
        let kept = match &next {
            Some(Ok(bytes)) => recording.write_bytes(since(began), bytes),
            Some(Err(error)) => recording.write_end(since(began), &super::error_text::root_cause(error)),
            None => recording.write_end(since(began), line::ORDERLY_END),
        };
        match (kept, next) {
            (Err(error), _) => Some((Err(Box::<dyn std::error::Error + Send + Sync>::from(error)), None)),
            (Ok(()), Some(Ok(bytes))) => Some((Ok(bytes), Some(state))),
            (Ok(()), Some(Err(error))) => Some((Err(error.into()), None)),
            (Ok(()), None) => None,
        }
    });
    let mut builder = HttpParts::builder().status(status).url(url);
    if let Some(copy) = builder.headers_mut() {
        *copy = headers;
    }
    builder.body(Body::wrap_stream(body)).map(Response::from).map_err(|error| cannot_record(error.to_string()))
}

fn response(head: &RecordedHead, url: &Url, body: Body) -> Result<Response, RequestFailure> {
    let mut builder = HttpParts::builder().status(head.status).url(url.clone());
    for (name, value) in &head.headers {
        builder = builder.header(name, value);
    }
    builder.body(body).map(Response::from).map_err(|error| {
        RequestFailure::permanent(FaultKind::Protocol, format!("the cassette has an answer that is none: {error}"))
    })
}

fn since(began: Instant) -> Millis {
    began.elapsed().into()
}

fn cannot_record(why: String) -> RequestFailure {
    RequestFailure::permanent(FaultKind::Internal, why)
}
