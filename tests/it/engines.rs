//! Decodes recorded and hand-made streams: each golden has its events beside it, and gives the same events however the
//! network cuts it. `UPDATE_GOLDEN=1` rewrites the expected events; look at the difference before you commit it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use jarvis_tui::dialect::Decode;
use jarvis_tui::dialect::chat::ChatDecoder;
use jarvis_tui::dialect::ollama::OllamaDecoder;
use jarvis_tui::event::{AgentEvent, TurnOutcome};
use jarvis_tui::net::request::Framing;
use jarvis_tui::net::sse::FrameSplitter;
use proptest::prelude::*;

use crate::replies::assembled;

struct EngineCase {
    path: PathBuf,
    stream: Vec<u8>,
    framing: Framing,
    decoder: fn() -> Box<dyn Decode>,
}

fn cases() -> Vec<EngineCase> {
    let folder = |name: &str, ext: &str, framing: Framing, decoder: fn() -> Box<dyn Decode>| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|found| found == ext));
        paths.sort();
        paths.into_iter().map(move |path| EngineCase { stream: fs::read(&path).unwrap(), path, framing, decoder })
    };
    let chat = folder("chat", "sse", Framing::Sse, || Box::new(ChatDecoder::new()));
    chat.chain(folder("ollama", "ndjson", Framing::Ndjson, || Box::new(OllamaDecoder::new()))).collect()
}

impl EngineCase {
    fn decode<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<AgentEvent> {
        let (mut frames, mut decoder) = (FrameSplitter::new(self.framing), (self.decoder)());
        let (mut cut, mut events) = (Vec::new(), Vec::new());
        for chunk in chunks {
            frames.push(chunk, &mut cut).unwrap();
            for frame in cut.drain(..) {
                decoder.decode_frame(&frame, &mut events);
            }
        }
        frames.finish(&mut cut);
        for frame in &cut {
            decoder.decode_frame(frame, &mut events);
        }
        decoder.finish(&mut events);
        assembled(events)
    }

    /// Decodes whatever can be cut into frames; a damaged stream may be an error.
    fn try_decode(&self) -> Vec<AgentEvent> {
        let (mut frames, mut decoder) = (FrameSplitter::new(self.framing), (self.decoder)());
        let (mut cut, mut events) = (Vec::new(), Vec::new());
        if frames.push(&self.stream, &mut cut).is_ok() {
            frames.finish(&mut cut);
        }
        for frame in &cut {
            decoder.decode_frame(frame, &mut events);
        }
        decoder.finish(&mut events);
        assembled(events)
    }
}

#[test]
fn goldens_decode_to_the_events_beside_them() {
    let cases = cases();
    assert!(cases.len() > 30, "{} goldens", cases.len());
    for case in cases {
        let events = case.decode([&case.stream[..]]);
        let text: String = events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect();
        let path = case.path.with_extension("events.jsonl");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, text).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected.lines().collect::<Vec<_>>(), "{}", case.path.display());
    }
}

#[test]
fn every_golden_ends_its_turn_once_and_closes_what_it_opens() {
    for case in cases() {
        // Cut after each byte as well: no prefix may leave a message open.
        for end in 0..=case.stream.len() {
            let events = case.decode([&case.stream[..end]]);
            let count = |wanted: fn(&AgentEvent) -> bool| events.iter().filter(|event| wanted(event)).count();
            let shown = format!("{} up to {end}", case.path.display());
            assert_eq!(count(|event| matches!(event, AgentEvent::TurnFinished { .. })), 1, "{shown}");
            assert!(matches!(events.last(), Some(AgentEvent::TurnFinished { .. })), "{shown}");
            let opened = count(|event| matches!(event, AgentEvent::MessageStarted { .. }));
            assert_eq!(opened, count(|event| matches!(event, AgentEvent::MessageFinished { .. })), "{shown}");
            // Two only if text at the start turned out to be reasoning.
            let is_late = case.path.file_stem().is_some_and(|name| name.to_string_lossy().contains("end_tag"));
            assert!(opened <= 1 + usize::from(is_late), "{shown}");
        }
    }
}

#[test]
fn a_stream_cut_before_its_finish_reason_is_never_a_success() {
    for case in cases().iter().filter(|case| case.path.ends_with("chat/text.sse")) {
        let reason = case.stream.windows(6).position(|bytes| bytes == b"\"stop\"").unwrap();
        for end in 0..reason {
            let events = case.decode([&case.stream[..end]]);
            let end = events.last().unwrap();
            assert!(matches!(end, AgentEvent::TurnFinished { outcome: TurnOutcome::Interrupted, .. }), "{end:?}");
        }
    }
}

#[test]
fn one_byte_at_a_time_gives_the_same_events() {
    for case in cases() {
        assert_eq!(case.decode(case.stream.chunks(1)), case.decode([&case.stream[..]]), "{}", case.path.display());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_golden_may_be_cut_anywhere(cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..24)) {
        for case in cases() {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(case.stream.len() + 1)).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([case.stream.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let chunks = starts.zip(ends).map(|(from, to)| &case.stream[from..to]);
            prop_assert_eq!(case.decode(chunks), case.decode([&case.stream[..]]), "{}", case.path.display());
        }
    }

    #[test]
    fn a_damaged_golden_still_ends_its_turn(at in any::<prop::sample::Index>(), junk in prop::collection::vec(any::<u8>(), 0..6), cut in 0_usize..6) {
        for case in cases() {
            let at = at.index(case.stream.len());
            let mut stream = case.stream.clone();
            stream.splice(at..(at + cut).min(case.stream.len()), junk.iter().copied());
            let damaged = EngineCase { stream, ..case };
            let events = damaged.try_decode();
            let ended = matches!(events.last(), Some(AgentEvent::TurnFinished { .. }));
            prop_assert!(ended, "{:?}", events);
        }
    }
}
