//! A tiny random model answers.

use std::cell::{Cell, RefCell};

use super::super::SPEC;
use super::super::decoder::{Decoder, Stop};
use super::super::file::{GgufFile, HeaderDepth};
use super::super::places;
use super::super::shape::ModelShape;
use super::tiny::{TEMPLATE, model};
use crate::engine::spec::EngineOptions;
use crate::engine::{Engine, HistoryMessage, ModelRequest, ReplyPlan, ReplySink};
use crate::event::{Annotation, FaultKind, ReplyEvent, SamplingParams, TurnOutcome, Usage};

/// Takes events, up to a number of them.
struct Listener {
    events: RefCell<Vec<ReplyEvent>>,
    asked: Cell<usize>,
    patience: usize,
}

impl ReplySink for Listener {
    fn send(&self, event: ReplyEvent) -> bool {
        self.events.borrow_mut().push(event);
        !self.is_cancelled()
    }

    fn is_cancelled(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.asked.get() > self.patience
    }
}

fn answer(engine: &dyn Engine, request: &ModelRequest, patience: usize) -> (Vec<ReplyEvent>, usize) {
    let ReplyPlan::Computed(compute) = engine.plan_reply(request) else { panic!("it computes") };
    let listener = Listener { events: RefCell::default(), asked: Cell::new(0), patience };
    compute(&listener);
    (listener.events.into_inner(), listener.asked.get())
}

fn request(path: &std::path::Path, prompt: &str) -> ModelRequest {
    ModelRequest {
        model: path.to_str().unwrap().to_owned(),
        history: vec![HistoryMessage::user(prompt)],
        sampling: SamplingParams { max_output_tokens: Some(12), temperature: Some(0.0), ..SamplingParams::default() },
        ..ModelRequest::default()
    }
}

fn engine() -> std::sync::Arc<dyn Engine> {
    (SPEC.build)(EngineOptions { name: "gguf".into(), ..EngineOptions::default() })
}

fn text(events: &[ReplyEvent]) -> String {
    let text = |event: &ReplyEvent| match event {
        ReplyEvent::TextDelta { text, .. } => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

fn usage(events: &[ReplyEvent]) -> Usage {
    let usage = |event: &ReplyEvent| match event {
        ReplyEvent::UsageReported { usage, .. } => Some(*usage),
        _ => None,
    };
    events.iter().find_map(usage).unwrap()
}

#[test]
fn a_file_answers_and_the_next_request_computes_only_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(TEMPLATE).write(&folder);
    let (engine, other) = (engine(), engine());
    let (first, _) = answer(&*engine, &request(&path, "the cat"), usize::MAX);
    assert!(matches!(first.last(), Some(ReplyEvent::End { outcome: TurnOutcome::Completed })), "{first:?}");
    assert_eq!(usage(&first).cached_tokens, 0);
    assert!(usage(&first).output_tokens > 0 && usage(&first).input_tokens > 5);

    let (again, _) = answer(&*engine, &request(&path, "the cat and the hat"), usize::MAX);
    let (fresh, _) = answer(&*other, &request(&path, "the cat and the hat"), usize::MAX);
    assert!(usage(&again).cached_tokens > 5, "{again:?}");
    assert_eq!((text(&again), usage(&fresh).cached_tokens), (text(&fresh), 0));
}

#[test]
fn how_far_a_long_prompt_is_read_is_told_before_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(TEMPLATE).write(&folder);
    let told = |prompt: &str| {
        let (events, _) = answer(&*engine(), &request(&path, prompt), usize::MAX);
        let label = |event: &ReplyEvent| match event {
            ReplyEvent::Annotation { annotation: Annotation::Progress(data), .. } => Some(data["label"].to_string()),
            _ => None,
        };
        events.iter().map_while(label).collect::<Vec<_>>()
    };
    let long = told(&"x".repeat(400));
    assert!(long.len() == 2 && long[0].contains("reading the prompt: 0 %"), "{long:?}");
    assert_eq!(told("the cat"), Vec::<String>::new());
}

#[test]
fn a_cancelled_answer_ends_at_the_next_layer() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(TEMPLATE).write(&folder);
    for patience in [0, 1, 3, 6, 9] {
        let (_, asked) = answer(&*engine(), &request(&path, "the cat"), patience);
        assert!(asked <= patience + 6, "{patience}: asked {asked} times");
    }
}

#[test]
fn a_conversation_that_is_too_long_is_refused_with_its_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(TEMPLATE).write(&folder);
    let (events, _) = answer(&*engine(), &request(&path, &"x".repeat(600)), usize::MAX);
    let Some(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }) = events.last() else { panic!("{events:?}") };
    assert_eq!(fault.kind, FaultKind::ContextTooLong);
    assert!(fault.message.contains("window 512"), "{}", fault.message);
}

#[test]
fn tokens_together_and_one_by_one_give_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = model(TEMPLATE).write(&folder);
    let decoder = || {
        let mut file = GgufFile::open(&path, HeaderDepth::Whole).unwrap();
        let shape = ModelShape::read(&file).unwrap();
        Decoder::read(&mut file, shape, 36, 512, &|| false).unwrap()
    };
    let tokens: Vec<u32> = (0..300).map(|at| at * 7 % 36).collect();
    let together = decoder().advance(&tokens, &|| false).unwrap();
    let mut single = decoder();
    let mut last = Vec::new();
    for token in &tokens {
        last = single.advance(&[*token], &|| false).unwrap();
    }
    let apart = together.iter().zip(&last).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-3, "{apart}");
    assert!(matches!(decoder().advance(&tokens, &|| true), Err(Stop::Cancelled)));
}

#[test]
fn a_missing_or_misshapen_tensor_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = model(TEMPLATE).number("llama.feed_forward_length", 48).write(&folder);
    let (events, _) = answer(&*engine(), &request(&wrong, "hi"), usize::MAX);
    let Some(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }) = events.last() else { panic!("{events:?}") };
    assert!(fault.message.contains("blk.0.ffn_gate.weight has the shape [32, 16] instead of [48, 16]"), "{fault:?}");
}

#[test]
fn models_are_found_where_other_programs_keep_them() {
    let home = tempfile::tempdir().unwrap();
    let bytes = model(TEMPLATE).bytes();
    let digest = "a".repeat(64);
    let write = |path: &str, bytes: &[u8]| {
        let path = home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write(".cache/llama.cpp/one.gguf", &bytes);
    write(".lmstudio/models/maker/two/two.GGUF", &bytes);
    write(".lmstudio/models/maker/two/mmproj-two.gguf", &bytes);
    write(".lmstudio/models/broken.gguf", b"GGUF");
    write(&format!(".ollama/models/blobs/sha256-{digest}"), &bytes);
    let layer = format!(
        r#"{{"layers": [{{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:{digest}"}}]}}"#
    );
    write(".ollama/models/manifests/registry.ollama.ai/library/tiny/1b", layer.as_bytes());
    let outside = layer.replace(&digest, "../../../../etc/passwd");
    write(".ollama/models/manifests/registry.ollama.ai/library/evil/1b", outside.as_bytes());
    let env = |name: &str| (name == "HOME").then(|| home.path().to_str().unwrap().to_owned());
    let listed = places::list(&env);
    let names: Vec<_> = listed.iter().map(|model| model.id.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["tiny:1b", "one.gguf", "two.GGUF"]);
    assert!(listed[0].remark.starts_with("llama, 0M, F32, "), "{}", listed[0].remark);
    assert_eq!(listed[0].context_window, Some(512));
    assert_eq!(places::describe("tiny:1b", &env).unwrap().context_window, Some(512));
    assert_eq!(places::describe("tiny", &env).unwrap().takes_images, Some(false));
}
