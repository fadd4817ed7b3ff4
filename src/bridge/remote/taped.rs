//! Bytes of streams in a file: a recording with its timing, or a stream saved as it came.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::unreadable;
use crate::dialect::detect::{is_tail, may_begin};
use crate::dialect::{Decode, SseFrame};
use crate::event::{AgentEvent, Fault, FaultKind, Level, LinkState, Millis, TurnEnd};
use crate::net::Heard;
use crate::net::call::Framing;
use crate::net::guard::{Broken, Lines};
use crate::net::reconnect::Decoders;
use crate::net::record::{FORMAT, KIND, Line};
use crate::net::reel::Reel;
use crate::net::sse::Frames;

/// Bytes read at once.
const READ: usize = 64 * 1024;
/// A longer pause is played as this long.
const LONGEST: Duration = Duration::from_hours(1);

/// Plays a file to its end. Each recorded answer ends with one `TurnFinished`.
pub(super) async fn play(path: &Path, paced: bool, reel: Reel, decoders: Decoders<'_>, out: &mpsc::Sender<Heard>) {
    let start = Instant::now();
    let mut player =
        Player { decoders, out, answer: None, events: Vec::new(), start, paced, reel, number: 0, heard: false };
    let mut file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) => return player.fail(TurnEnd::Failed(unreadable(path, &error))).await,
    };
    let mut buffer = vec![0; READ];
    let mut lines = Lines::default();
    let mut mode = Mode::Unknown(Vec::new());
    loop {
        let read = match file.read(&mut buffer).await {
            Ok(read) => read,
            Err(error) => return player.fail(TurnEnd::Failed(unreadable(path, &error))).await,
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        if let Mode::Unknown(begun) = &mut mode {
            begun.extend_from_slice(bytes);
            if read > 0 && begun.len() < READ && !begun.contains(&b'\n') {
                continue;
            }
            let begun = std::mem::take(begun);
            if begun.is_empty() {
                let fault = Fault::new(FaultKind::Internal, format!("{} is empty", path.display()));
                return player.fail(TurnEnd::Failed(fault)).await;
            }
            mode = if is_recording(&begun) { Mode::Recording } else { Mode::Plain };
            let went_on = if matches!(mode, Mode::Recording) {
                player.lines(&mut lines, &begun, read == 0).await
            } else {
                player.plain(path);
                player.begin("").await;
                player.read(&begun).await
            };
            if !went_on {
                return;
            }
        } else {
            let went_on = match mode {
                Mode::Recording => player.lines(&mut lines, bytes, read == 0).await,
                _ => player.read(bytes).await,
            };
            if !went_on {
                return;
            }
        }
        if read == 0 {
            break;
        }
    }
    player.end().await;
}

enum Mode {
    Unknown(Vec<u8>),
    Recording,
    Plain,
}

fn is_recording(begun: &[u8]) -> bool {
    let line = begun.split(|byte| *byte == b'\n').next().unwrap_or_default();
    matches!(serde_json::from_slice(line), Ok(Line::Answer { kind, .. }) if kind == KIND)
}

struct Player<'a> {
    decoders: Decoders<'a>,
    out: &'a mpsc::Sender<Heard>,
    answer: Option<(Box<dyn Decode>, Frames)>,
    events: Vec<AgentEvent>,
    start: Instant,
    paced: bool,
    /// Hears the bytes as if they came over a network.
    reel: Reel,
    /// The answer's number there.
    number: u64,
    /// A frame of the answer came.
    heard: bool,
}

impl Player<'_> {
    /// A stream as it came, of which no more is known.
    fn plain(&mut self, path: &Path) {
        self.number = self.reel.answer();
        let line = Line::Answer {
            kind: KIND.to_owned(),
            format: FORMAT,
            at: Millis(0),
            method: "FILE".to_owned(),
            url: path.display().to_string(),
            status: 200,
            content_type: String::new(),
        };
        self.reel.push(self.number, line);
    }

    /// Takes bytes of such a stream.
    async fn read(&mut self, bytes: &[u8]) -> bool {
        if !bytes.is_empty() {
            self.reel.push(self.number, Line::of(self.start.elapsed().into(), bytes.to_vec()));
        }
        self.piece(bytes).await
    }

    /// Takes the lines of a recording. Returns false if nobody listens or the file is broken.
    async fn lines(&mut self, lines: &mut Lines, bytes: &[u8], is_last: bool) -> bool {
        let mut whole = Vec::new();
        let pushed = lines.push(bytes, &mut |line| {
            whole.push(line.to_owned());
            Ok(())
        });
        if is_last {
            whole.extend(lines.rest());
        }
        for line in whole {
            if line.trim().is_empty() {
                continue;
            }
            let Ok(line) = serde_json::from_str::<Line>(&line) else {
                self.notice("a line of the recording can't be read and is left out");
                continue;
            };
            if self.paced {
                let at = Duration::from(line.at()).min(LONGEST.saturating_mul(24));
                tokio::select! {
                    () = self.out.closed() => return false,
                    () = sleep_until(self.start + at) => {}
                }
            }
            if matches!(line, Line::Answer { .. }) {
                self.number = self.reel.answer();
            }
            self.reel.push(self.number, line.clone());
            let went_on = match &line {
                Line::Answer { content_type, .. } => {
                    self.end().await;
                    self.begin(content_type).await;
                    true
                }
                Line::Piece { .. } => match line.bytes() {
                    Some(bytes) => self.recorded(&bytes).await,
                    None => true,
                },
                Line::End { .. } => {
                    self.end().await;
                    true
                }
            };
            if !went_on {
                return false;
            }
        }
        match pushed {
            Ok(()) => true,
            Err(broken) => {
                self.broke(broken).await;
                false
            }
        }
    }

    async fn recorded(&mut self, bytes: &Bytes) -> bool {
        self.answer.is_none() || self.piece(bytes).await
    }

    async fn begin(&mut self, content_type: &str) {
        let mut decode = (self.decoders)();
        decode.content_type(content_type.split(';').next().unwrap_or_default().trim());
        self.answer = Some((decode, Frames::of(Framing::Any, content_type)));
        let _ = self.out.send(Heard::Link(LinkState::Live)).await;
    }

    async fn piece(&mut self, bytes: &[u8]) -> bool {
        let Some((decode, frames)) = &mut self.answer else { return true };
        let mut batch: Vec<SseFrame> = Vec::new();
        let pushed = frames.push(bytes, &mut batch);
        for frame in &batch {
            self.heard = true;
            if decode.is_done() {
                // An end mark or counts behind the end, and what follows an error, begin nothing.
                if is_tail(frame) || (decode.has_failed() && !may_begin(frame)) {
                    continue;
                }
                // The stream held another answer.
                decode.finish(&mut self.events);
                *decode = (self.decoders)();
            }
            decode.frame(frame, &mut self.events);
        }
        if let Err(broken) = pushed {
            self.broke(broken).await;
            return false;
        }
        self.tell().await
    }

    async fn broke(&mut self, broken: Broken) {
        if let Some((mut decode, _)) = self.answer.take() {
            decode.finish(&mut self.events);
            if let Some(AgentEvent::TurnFinished { end, .. }) = self.events.last_mut() {
                *end = TurnEnd::Failed(broken.fault("the file"));
            }
        }
        self.tell().await;
    }

    async fn end(&mut self) {
        if let Some((mut decode, mut frames)) = self.answer.take() {
            let mut batch = Vec::new();
            frames.finish(&mut batch);
            for frame in &batch {
                decode.frame(frame, &mut self.events);
            }
            decode.finish(&mut self.events);
            let is_empty = !std::mem::take(&mut self.heard) && batch.is_empty();
            if let Some(AgentEvent::TurnFinished { end: end @ TurnEnd::Interrupted, .. }) = self.events.last_mut() {
                if is_empty {
                    let text = "the stream is empty: the server ended its answer without a word, as some do where the \
                                conversation is too long for the model; start a new session, or look at the server's \
                                log";
                    *end = TurnEnd::Failed(Fault::new(FaultKind::Protocol, text));
                } else {
                    let text = "the stream ends before the answer was whole; what came until then is kept";
                    let notice = AgentEvent::Noticed { level: Level::Warn, code: "cut".into(), text: text.into() };
                    self.events.insert(self.events.len() - 1, notice);
                }
            }
            self.tell().await;
            let _ = self.out.send(Heard::Link(LinkState::Idle)).await;
        }
    }

    async fn fail(&mut self, end: TurnEnd) {
        self.events.push(AgentEvent::TurnFinished { turn: "t".into(), end });
        self.tell().await;
    }

    fn notice(&mut self, text: &str) {
        let event = AgentEvent::Noticed { level: Level::Warn, code: "recording".into(), text: text.to_owned() };
        if !self.events.contains(&event) {
            self.events.push(event);
        }
    }

    async fn tell(&mut self) -> bool {
        for event in self.events.drain(..) {
            if self.out.send(Heard::Event(event)).await.is_err() {
                return false;
            }
        }
        true
    }
}
