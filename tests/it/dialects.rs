//! Every dialect against its recorded streams: cut into frames, detected, decoded, and folded to what a person should
//! see.
//!
//! To add a case: put `NAME.sse` (or `NAME.ndjson`, or `NAME.body` for one JSON value in place of a stream) and `NAME.json` into `tests/golden/<dialect>/`, where `<dialect>`
//! is the name of a row in `dialect::DIALECTS` (the folder `chat` is `openai-chat`). The JSON holds
//! `request.path`, `request.body`, `response.content_type` and `response.headers`, from which the decoder's context is made, and `expect`,
//! of which every key is compared: see [`ShownTurn::compare`]. A key that it does not know fails the test. Cases
//! written by hand may use `events` as well: the exact events, compared as JSON.
//!
//! Each case must give the same events however it is cut, survive damage, obey the grammar, be detected as the dialect
//! of its folder, and give the same result if that dialect is named explicitly.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod shown_turn;

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use jarvis_tui::dialect::detect::Detector;
use jarvis_tui::dialect::{DIALECTS, DecodeContext, ResponseHead, SseFrame, TEXT_PIECE_NAME};
use jarvis_tui::engine::remote::REQUEST_KINDS;
use jarvis_tui::event::grammar::{self, Sealer};
use jarvis_tui::event::{
    AgentEvent, Annotation, AnnotationTarget, CallId, CallOutcome, FinishReason, MessageId, NoticeCode, TurnOutcome,
    Usage, UsageScope,
};
use jarvis_tui::net::request::Framing;
use jarvis_tui::net::sse::FrameSplitter;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::replies::decode_reply;
use crate::testkit::events::{Opened, turn_started};
use shown_turn::*;

pub(super) struct GoldenCase {
    pub(super) name: String,
    dialect: String,
    framing: Framing,
    stream: Vec<u8>,
    context: DecodeContext,
    /// What a program printed, rather than the answer of a server.
    is_program: bool,
    expect: Value,
}

pub(super) fn cases() -> Vec<GoldenCase> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut streams: Vec<PathBuf> = fs::read_dir(golden)
        .unwrap()
        .flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "sse" || ext == "ndjson" || ext == "body"))
        .filter(|path| path.with_extension("json").exists())
        .collect();
    streams.sort();
    streams.iter().map(|path| GoldenCase::read(path)).collect()
}

/// Checks every recording, on all cores: these checks are the longest of all.
fn on_each_case(check: impl Fn(&GoldenCase) + Sync) {
    let (cases, next) = (cases(), AtomicUsize::new(0));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            check(case);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
    });
}

impl GoldenCase {
    fn read(path: &Path) -> Self {
        let about: Value = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let content_type = about["response"]["content_type"].as_str().unwrap_or("text/event-stream");
        let own = about["response"]["headers"].as_object().into_iter().flatten();
        let headers = own
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap().to_owned()))
            .chain([("content-type", content_type.to_owned())]);
        let path_of = about["request"]["path"].as_str().unwrap_or_default();
        let is_program = about["program"].is_string();
        Self {
            name: format!("{folder}/{}", path.file_name().unwrap().to_str().unwrap()),
            dialect: if folder == "chat" { "openai-chat".into() } else { folder.to_owned() },
            framing: match path.extension().and_then(|ext| ext.to_str()) {
                Some("sse") => Framing::Sse,
                Some("body") => Framing::Any,
                _ => Framing::Ndjson,
            },
            stream: fs::read(path).unwrap(),
            context: DecodeContext {
                prompt: prompt(&about["request"]["body"]),
                path: path_of.split('?').next().unwrap().to_owned(),
                response: if is_program { ResponseHead::default() } else { ResponseHead::new(200, headers) },
                ..DecodeContext::default()
            },
            is_program,
            expect: about["expect"].clone(),
        }
    }

    fn detector(&self) -> Detector {
        Detector::new(self.context.clone())
    }

    fn events<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<AgentEvent> {
        decode_reply(&mut self.detector(), &self.frames(chunks).0)
    }

    fn joined_events<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<AgentEvent> {
        joined_deltas(self.events(chunks), &self.dialect)
    }

    pub(super) fn whole(&self) -> Vec<AgentEvent> {
        self.events([&self.stream[..]])
    }

    fn frames<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<SseFrame>, FrameSplitter) {
        let (mut frames, mut out) =
            (FrameSplitter::for_content_type(self.framing, self.context.response.content_type()), Vec::new());
        for chunk in chunks {
            // Damage may be an error; what came before it counts.
            if frames.push(chunk, &mut out).is_err() {
                return (out, frames);
            }
        }
        frames.finish(&mut out);
        (out, frames)
    }
}

/// Joins the pieces of a text, which come as they are cut.
fn joined_frames(frames: Vec<SseFrame>) -> Vec<SseFrame> {
    let mut joined: Vec<SseFrame> = Vec::new();
    for frame in frames {
        match joined.last_mut() {
            Some(last) if frame.event == TEXT_PIECE_NAME && last.event == frame.event => {
                last.data.push_str(&frame.data);
            }
            _ => joined.push(frame),
        }
    }
    joined
}

/// Joins the deltas of a text, likewise. In every other dialect a frame's deltas are its own.
fn joined_deltas(events: Vec<AgentEvent>, dialect: &str) -> Vec<AgentEvent> {
    let mut joined: Vec<AgentEvent> = Vec::new();
    for event in events {
        match (joined.last_mut(), &event) {
            (Some(AgentEvent::TextDelta { text, .. }), AgentEvent::TextDelta { text: more, .. })
                if dialect == "text" =>
            {
                text.push_str(more);
            }
            _ => joined.push(event),
        }
    }
    joined
}

/// Finds the prompt in any request body.
fn prompt(body: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let parts = |message: &Value| text(&message["content"]).or_else(|| text(&message["parts"][0]["text"]));
    let last = body["messages"].as_array().and_then(|messages| messages.last()).and_then(parts);
    last.or_else(|| ["content", "input", "query", "prompt"].iter().find_map(|key| text(&body[*key])))
        .or_else(|| parts(&body["params"]["message"]))
        .or_else(|| parts(&body["message"]))
}

/// Returns the events as a session publishes them: opened, in a turn, sealed.
pub(super) fn published(events: &[AgentEvent]) -> Vec<AgentEvent> {
    let mut run = vec![Opened { engine: "remote", model: "m", ..Opened::default() }.event(), turn_started("t")];
    let (last, before) = events.split_last().expect("a turn ends");
    run.extend_from_slice(before);
    let mut sealer = Sealer::new();
    for event in &run {
        // `grammar::check` reports violations.
        let _ = sealer.observe(event);
    }
    let AgentEvent::TurnFinished { turn, outcome: end } = last else { panic!("the last event is {last:?}") };
    assert_eq!(turn.as_str(), "t");
    run.extend(sealer.close_contents(end));
    run.push(last.clone());
    run
}

fn is_dialect_notice(event: &AgentEvent) -> bool {
    matches!(event, AgentEvent::Notice { code: NoticeCode::Dialect, .. })
}

#[test]
fn every_recording_shows_what_it_should() {
    let cases = cases();
    assert!(!cases.is_empty());
    for case in &cases {
        let shown = ShownTurn::of(&published(&case.whole()), case);
        for (key, wanted) in case.expect.as_object().unwrap() {
            shown.compare(key, wanted, case);
        }
    }
}

#[test]
fn every_recording_is_recognised_and_the_reason_is_told_once() {
    for case in cases() {
        let mut detector = case.detector();
        let events = decode_reply(&mut detector, &case.frames([&case.stream[..]]).0);
        assert_eq!(detector.name(), case.dialect, "{}: {:?}", case.name, events.first());
        let notice_count = events.iter().filter(|event| is_dialect_notice(event)).count();
        let fails_at_once = events.len() == 1;
        assert!(notice_count == 1 || fails_at_once, "{}: {notice_count} reasons", case.name);
    }
}

#[test]
fn a_dialect_that_is_named_decodes_as_one_that_is_recognised() {
    for case in cases() {
        let frames = case.frames([&case.stream[..]]).0;
        let mut pinned = Detector::with_dialect(&case.dialect, case.context.clone())
            .unwrap_or_else(|| panic!("{} has no row in DIALECTS", case.dialect));
        let mut recognised = case.whole();
        recognised.retain(|event| !is_dialect_notice(event));
        let mut named = decode_reply(&mut pinned, &frames);
        named.retain(|event| !is_dialect_notice(event));
        assert_eq!(named, recognised, "{}", case.name);
        let row = DIALECTS.iter().find(|row| row.name == case.dialect).unwrap();
        assert_eq!(decode_reply(&mut *(row.decode)(&case.context), &frames), recognised, "{}", case.name);
    }
}

#[test]
fn every_recording_cut_at_any_byte_is_the_same() {
    on_each_case(|case| {
        // A decoder sees only frames, so the same frames give the same events.
        let whole = joined_frames(case.frames([&case.stream[..]]).0);
        for size in [1, 2, 3, 7] {
            let cut = joined_frames(case.frames(case.stream.chunks(size)).0);
            assert_eq!(cut, whole, "{} in pieces of {size}", case.name);
        }
        // Quadratic, so only the short ones; a program's lines are cut one by one.
        let cuts = if !case.is_program && case.stream.len() <= 2560 { 0..=case.stream.len() } else { 0..=0 };
        for at in cuts {
            let (left, right) = case.stream.split_at(at);
            assert_eq!(joined_frames(case.frames([left, right]).0), whole, "{} at {at}", case.name);
        }
        let mut end = 0;
        for line in case.stream.split_inclusive(|byte| *byte == b'\n').filter(|_| case.is_program) {
            let alone = case.frames([line]).0;
            let cuts = if end < 8 * 1024 { 0..=line.len().min(8 * 1024) } else { 0..=0 };
            for at in cuts {
                let (left, right) = line.split_at(at);
                assert_eq!(case.frames([left, right]).0, alone, "{} at {}", case.name, end + at);
            }
            end += line.len();
            let (left, right) = case.stream.split_at(end);
            assert_eq!(case.frames([left, right]).0, whole, "{} at the line that ends at {end}", case.name);
        }
        assert_eq!(case.joined_events(case.stream.chunks(1)), case.whole(), "{} byte by byte", case.name);
    });
}

/// The events of chat completions must not depend on whether they might be OpenJarvis's.
#[test]
fn chat_completions_that_are_recognised_are_those_of_the_chat_decoder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/chat");
    let mut seen = 0;
    for path in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        if path.extension().is_none_or(|ext| ext != "sse") {
            continue;
        }
        let (mut frames, mut cut) = (FrameSplitter::new(Framing::Sse), Vec::new());
        frames.push(&fs::read(&path).unwrap(), &mut cut).unwrap();
        frames.finish(&mut cut);
        let mut detector = Detector::new(DecodeContext::default());
        let mut events = decode_reply(&mut detector, &cut);
        let notice_count = events.iter().filter(|event| is_dialect_notice(event)).count();
        events.retain(|event| !is_dialect_notice(event));
        if detector.name() == "plain" {
            // An error or nothing at all came in place of an answer.
            let completed =
                matches!(events.last(), Some(AgentEvent::TurnFinished { outcome: TurnOutcome::Completed, .. }));
            assert!(!completed, "{}: {events:?}", path.display());
            continue;
        }
        seen += 1;
        assert_eq!((detector.name(), notice_count), ("openai-chat", 1), "{}", path.display());
        let mut chat =
            (DIALECTS.iter().find(|row| row.name == "openai-chat").unwrap().decode)(&DecodeContext::default());
        assert_eq!(events, decode_reply(&mut *chat, &cut), "{}", path.display());
    }
    assert!(seen > 20, "{seen} goldens");
}

/// Decoders may skip parsing a frame that repeats the one before but for its text; spaces at its end make it another.
#[test]
fn a_frame_like_the_one_before_says_what_it_would_say_after_another() {
    on_each_case(|case| {
        let row = DIALECTS.iter().find(|row| row.name == case.dialect).unwrap();
        let (frames, _) = case.frames([&case.stream[..]]);
        let mut spaced = frames.clone();
        for (at, frame) in spaced.iter_mut().enumerate().filter(|(_, frame)| frame.data.ends_with('}')) {
            frame.data.push_str(&" ".repeat(at % 64));
        }
        let decode = |frames: &[SseFrame]| decode_reply(&mut *(row.decode)(&case.context), frames);
        assert_eq!(decode(&frames), decode(&spaced), "{}", case.name);
    });
}

#[test]
fn every_recording_obeys_the_grammar_wherever_it_ends() {
    on_each_case(|case| {
        let step = case.stream.len().div_ceil(200).max(1);
        let edges = case.stream.iter().enumerate().filter(|(_, byte)| case.is_program && **byte == b'\n');
        let edges: Vec<usize> = edges.flat_map(|(at, _)| [at, at + 1]).collect();
        for end in (0..case.stream.len()).step_by(step).chain([case.stream.len()]).chain(edges) {
            let events = case.events([&case.stream[..end]]);
            let ends = events.iter().filter(|event| matches!(event, AgentEvent::TurnFinished { .. })).count();
            assert_eq!(ends, 1, "{} up to {end}", case.name);
            let run = published(&events);
            assert_eq!(grammar::check(&run), [], "{} up to {end}: {run:#?}", case.name);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_recording_may_be_cut_often(cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..24)) {
        for case in cases() {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(case.stream.len() + 1)).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([case.stream.len()]);
            let starts = [0].into_iter().chain(cuts.iter().copied());
            let chunks = starts.zip(ends).map(|(from, to)| &case.stream[from..to]);
            prop_assert_eq!(case.joined_events(chunks), case.whole(), "{}", case.name);
        }
    }

    #[test]
    fn a_damaged_recording_obeys_the_grammar(
        at in any::<prop::sample::Index>(),
        junk in prop::collection::vec(any::<u8>(), 0..6),
        cut in 0_usize..40,
    ) {
        for case in cases() {
            let at = at.index(case.stream.len());
            let mut stream = case.stream.clone();
            stream.splice(at..(at + cut).min(case.stream.len()), junk.iter().copied());
            let run = published(&case.events([&stream[..]]));
            prop_assert_eq!(grammar::check(&run), [], "{}: {:#?}", case.name, run);
        }
    }

    #[test]
    fn frames_lost_or_doubled_or_moved_obey_the_grammar(
        at in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        what in 0..3,
    ) {
        for case in cases() {
            let mut frames = case.frames([&case.stream[..]]).0;
            let (at, to) = (at.index(frames.len()), to.index(frames.len()));
            match what {
                0 => drop(frames.remove(at)),
                1 => frames.insert(to, frames[at].clone()),
                _ => frames.swap(at, to),
            }
            let run = published(&decode_reply(&mut case.detector(), &frames));
            prop_assert_eq!(grammar::check(&run), [], "{}: {:#?}", case.name, run);
        }
    }

    #[test]
    fn every_decoder_survives_frames_of_any_other(at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
        let cases = cases();
        let (one, two) = (&cases[at.index(cases.len())], &cases[other.index(cases.len())]);
        let mut frames = one.frames([&one.stream[..]]).0;
        frames.truncate(frames.len() / 2);
        frames.extend(two.frames([&two.stream[..]]).0);
        for row in DIALECTS {
            let run = published(&decode_reply(&mut *(row.decode)(&one.context), &frames));
            prop_assert_eq!(grammar::check(&run), [], "{} and {} as {}: {:#?}", one.name, two.name, row.name, run);
        }
    }
}

#[test]
fn every_dialect_has_a_name_of_its_own_and_recordings() {
    let recorded: Vec<String> = cases().into_iter().map(|case| case.dialect).collect();
    for row in DIALECTS {
        assert_eq!(DIALECTS.iter().filter(|other| other.name == row.name).count(), 1, "{}", row.name);
        assert_eq!(DIALECTS.iter().filter(|other| other.title == row.title).count(), 1, "{}", row.title);
        assert!(recorded.iter().any(|name| name == row.name), "{} has no recording", row.name);
        let base = row.extends.map_or(row.name, |extension| extension.base);
        assert!(DIALECTS.iter().any(|other| other.name == base), "{} extends {base}", row.name);
    }
}

#[test]
fn readme_manual_and_settings_name_every_dialect_and_request() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    for path in ["README.md", "assets/manual/attaching.md"] {
        let text = read(path);
        for name in DIALECTS.iter().map(|row| row.name).chain(REQUEST_KINDS.map(|kind| kind.name)) {
            assert!(text.contains(&format!("`{name}`")), "{path} does not name {name}");
        }
    }
    let settings = read("assets/config.toml");
    for kind in REQUEST_KINDS {
        assert!(settings.contains(&format!("\"{}\"", kind.name)), "the settings do not name {}", kind.name);
    }
}

#[test]
fn every_request_has_a_name_of_its_own() {
    for kind in REQUEST_KINDS {
        assert_eq!(REQUEST_KINDS.iter().filter(|other| other.name == kind.name).count(), 1, "{}", kind.name);
    }
}
