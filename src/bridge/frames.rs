//! Raw frames to look at: what the reel kept, cut into frames with their times.
//!
//! Costs nothing until somebody looks: the bytes are cut when they are asked for. Not for decoding: that is done where
//! the stream is heard. A stream whose beginning fell out is joined at its next whole frame.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::dialect::SseFrame;
use crate::event::Millis;
use crate::net::call::Framing;
use crate::net::record::{self, Line};
use crate::net::reel::{Kept, Reel};
use crate::net::sse;

/// Bytes that are cut at once; more follows at the next look.
const BATCH: usize = 512 * 1024;

/// One who looks at the frames. Clones look for themselves.
pub struct Frames {
    reel: Reel,
    news: watch::Receiver<()>,
    next: u64,
    answers: HashMap<u64, Answer>,
}

/// Something of a stream, and when it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// Since the program's start.
    pub at: Millis,
    /// Since the answer began.
    pub since: Millis,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An answer began: what was asked, and its status and content type.
    Began {
        asked: String,
        status: u16,
        content_type: String,
    },
    /// Named by its event, or, where it has none, by the `type` or `kind` in its data.
    Frame {
        name: String,
        frame: SseFrame,
    },
    Ended(String),
}

/// What came since the last look.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    pub cuts: Vec<Cut>,
    /// Bytes that fell out before anybody could look at them, in all.
    pub fallen: u64,
}

struct Answer {
    frames: sse::Frames,
    began: Millis,
    /// Bytes are left out up to the next end of a frame: the end that is looked for.
    joining: Option<&'static [u8]>,
    broken: bool,
}

impl Clone for Frames {
    fn clone(&self) -> Self {
        Self::new(self.reel.clone())
    }
}

impl Frames {
    pub fn new(reel: Reel) -> Self {
        let news = reel.news();
        Self { reel, news, next: 0, answers: HashMap::new() }
    }

    /// Waits for something and returns it; the first time, all that is kept, piece by piece. Cancel-safe.
    pub async fn next(&mut self) -> Look {
        loop {
            self.news.mark_unchanged();
            let taken = self.reel.after(self.next, BATCH);
            if !taken.lines.is_empty() {
                self.next = taken.next;
                let mut cuts = Vec::new();
                for kept in taken.lines {
                    self.cut(kept, &mut cuts);
                }
                return Look { cuts, fallen: taken.fallen };
            }
            if self.news.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Writes what is kept as a recording into a new file.
    pub async fn save(self, path: &Path) -> io::Result<()> {
        let lines = self.reel.lines();
        if lines.is_empty() {
            return Err(io::Error::other("nothing was heard yet"));
        }
        record::save(path, &lines).await
    }

    fn cut(&mut self, Kept { answer: number, line }: Kept, out: &mut Vec<Cut>) {
        let at = line.at();
        if let Line::Answer { method, url, status, content_type, .. } = line {
            let asked = format!("{method} {url}");
            self.answers.insert(number, Answer::new(at, &content_type));
            return out.push(Cut { at, since: Millis(0), what: What::Began { asked, status, content_type } });
        }
        let reel = &self.reel;
        let answer = self.answers.entry(number).or_insert_with(|| Answer::joined(reel.head(number), at));
        let since = at.since(answer.began);
        let mut batch = Vec::new();
        let end = match &line {
            Line::End { end, .. } => {
                answer.frames.finish(&mut batch);
                Some(end.clone())
            }
            piece => answer.push(&piece.bytes().unwrap_or_default(), &mut batch),
        };
        for mut frame in batch {
            reel.blank(number, &mut frame.data);
            out.push(Cut { at, since, what: What::Frame { name: name(&frame), frame } });
        }
        out.extend(end.map(|why| Cut { at, since, what: What::Ended(why) }));
        if matches!(line, Line::End { .. }) {
            self.answers.remove(&number);
        }
    }
}

impl Answer {
    fn new(began: Millis, content_type: &str) -> Self {
        let framing = if content_type == record::WEBSOCKET { Framing::Ndjson } else { Framing::Any };
        Self { frames: sse::Frames::of(framing, content_type), began, joining: None, broken: false }
    }

    /// One whose beginning fell out.
    fn joined(head: Option<Line>, at: Millis) -> Self {
        let (began, content_type) = match head {
            Some(Line::Answer { at, content_type, .. }) => (at, content_type),
            _ => (at, String::new()),
        };
        let lines = ["ndjson", "jsonl", "jsonlines", "stream+json", record::WEBSOCKET]
            .iter()
            .any(|kind| content_type.contains(kind));
        let joining: &[u8] = if lines { b"\n" } else { b"\n\n" };
        Self { joining: Some(joining), ..Self::new(began, &content_type) }
    }

    /// Returns why nothing more can be cut, once.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<SseFrame>) -> Option<String> {
        if self.broken {
            return None;
        }
        let mut bytes = bytes;
        if let Some(end) = self.joining {
            let at = bytes.windows(end.len()).position(|window| window == end)?;
            bytes = bytes.get(at + end.len()..).unwrap_or_default();
            self.joining = None;
        }
        let broken = self.frames.push(bytes, out).err()?;
        self.broken = true;
        Some(format!("the server {broken}"))
    }
}

fn name(frame: &SseFrame) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Named<'a> {
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
        #[serde(borrow)]
        event: Option<&'a RawValue>,
        #[serde(borrow)]
        result: Option<&'a RawValue>,
        #[serde(borrow, rename = "kind")]
        other: Option<Cow<'a, str>>,
    }
    fn within(data: &str, depth: usize) -> Option<String> {
        let named: Named<'_> = serde_json::from_str(data).ok()?;
        let own = named.kind.or(named.other).filter(|name| !name.is_empty());
        // Native envelopes and JSON-RPC wrap what they are.
        let inner = || named.event.or(named.result).filter(|_| depth > 0);
        own.map(Cow::into_owned).or_else(|| within(inner()?.get(), depth - 1))
    }
    let named = Some(frame.event.clone()).filter(|event| !event.is_empty());
    named.or_else(|| within(&frame.data, 1)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::record::{FORMAT, KIND};

    fn head(content_type: &str) -> Line {
        Line::Answer {
            kind: KIND.into(),
            format: FORMAT,
            at: Millis(5),
            method: "GET".into(),
            url: "http://h/x".into(),
            status: 200,
            content_type: content_type.into(),
        }
    }

    fn piece(at: u64, text: &str) -> Line {
        Line::Piece { at: Millis(at), bytes: text.into(), encoding: None }
    }

    fn frame(at: u64, data: &str) -> Cut {
        let what = What::Frame { name: String::new(), frame: SseFrame::data(data) };
        Cut { at: Millis(at), since: Millis(at - 5), what }
    }

    #[tokio::test]
    async fn pieces_become_frames_with_the_time_of_their_last_byte() {
        let reel = Reel::default();
        let mut frames = Frames::new(reel.clone());
        let answer = reel.answer();
        reel.push(answer, head("text/event-stream"));
        reel.push(answer, piece(10, "data: a\n\ndata: "));
        reel.push(answer, piece(30, "b\n\n"));
        reel.push(answer, Line::End { at: Millis(40), end: "eof".into() });
        let look = frames.next().await;
        let began =
            What::Began { asked: "GET http://h/x".into(), status: 200, content_type: "text/event-stream".into() };
        let at = |at: u64, what| Cut { at: Millis(at), since: Millis(at - 5), what };
        assert_eq!(look.cuts, [at(5, began), frame(10, "a"), frame(30, "b"), at(40, What::Ended("eof".into()))]);
    }

    #[tokio::test]
    async fn a_feed_of_messages_has_a_frame_a_message() {
        let reel = Reel::default();
        let answer = reel.answer();
        reel.push(answer, head(record::WEBSOCKET));
        reel.push(answer, piece(10, "{\"type\":\"tool_call_start\",\"data\":{}}\nno json\n"));
        let cuts = Frames::new(reel).next().await.cuts;
        let names = |cut: &Cut| match &cut.what {
            What::Frame { name, frame } => Some((name.clone(), frame.data.clone())),
            _ => None,
        };
        let expected = [("tool_call_start", "{\"type\":\"tool_call_start\",\"data\":{}}"), ("", "no json")];
        assert_eq!(
            cuts.iter().filter_map(names).collect::<Vec<_>>(),
            expected.map(|(name, data)| (name.to_owned(), data.to_owned()))
        );
    }

    #[tokio::test]
    async fn two_streams_at_once_are_not_mixed_up() {
        let reel = Reel::default();
        let (one, two) = (reel.answer(), reel.answer());
        for (answer, line) in [
            (one, head("text/event-stream")),
            (two, head("text/event-stream")),
            (one, piece(10, "data: a")),
            (two, piece(11, "data: x\n\n")),
            (one, piece(12, "b\n\n")),
        ] {
            reel.push(answer, line);
        }
        let look = Frames::new(reel).next().await;
        assert_eq!(look.cuts[2..], [frame(11, "x"), frame(12, "ab")]);
    }

    #[tokio::test]
    async fn a_stream_whose_start_fell_out_is_joined_at_a_whole_frame() {
        let reel = Reel::default();
        reel.keep(crate::net::reel::MANY);
        let answer = reel.answer();
        reel.push(answer, head("text/event-stream"));
        reel.push(answer, piece(6, &"x".repeat(3_000_000)));
        reel.push(answer, piece(7, &format!("{}\n\ndata: a\n\n", "x".repeat(2_000_000))));
        reel.push(answer, piece(8, "data: b\n\n"));
        let mut frames = Frames::new(reel);
        let mut cuts = frames.next().await.cuts;
        cuts.extend(frames.next().await.cuts);
        assert_eq!(cuts, [frame(7, "a"), frame(8, "b")]);
    }

    #[tokio::test]
    async fn what_was_kept_is_saved_as_a_recording() {
        let reel = Reel::default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saved.jsonl");
        assert!(Frames::new(reel.clone()).save(&path).await.is_err(), "there is nothing to save");
        reel.push(1, head("text/event-stream"));
        reel.push(1, piece(10, "data: a\n\n"));
        Frames::new(reel.clone()).save(&path).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert!(Frames::new(reel).save(&path).await.is_err(), "no file is written over");
    }
}
