//! An answer: reads the model when it is first needed, writes token after token, and keeps what was computed for the next
//! request, which mostly goes on with the same conversation.
//!
//! What is written goes through Ollama's decoder, as the answer of a server with the same models would: it takes apart
//! reasoning and text, and counts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::json;

use super::calls::{CallReader, Written};
use super::decoder::{Decoder, Stop};
use super::file::{GgufFile, HeaderDepth};
use super::places;
use super::sampler::{Sampler, Sampling};
use super::shape::{DEFAULT_CONTEXT, ModelShape};
use super::template::ChatTemplate;
use super::tokenizer::Tokenizer;
use crate::dialect::ollama::OllamaDecoder;
use crate::dialect::{Decode, SseFrame};
use crate::engine::spec::EngineOptions;
use crate::engine::{Engine, ModelRequest, ReplyPlan, ReplySink};
use crate::event::{Annotation, Fault, FaultKind, Json, ReplyEvent, ReplyTarget, TurnOutcome};

/// Tokens of a prompt that are read before it is told how far that is.
const TOLD_TOKENS: usize = 256;
/// Bytes of text of an answer.
const MAX_ANSWER_BYTES: usize = 16 << 20;

pub(super) struct GgufEngine {
    name: String,
    context_window: Option<usize>,
    top_k: Option<u32>,
    seed: Option<u64>,
    loaded: Arc<Mutex<Option<LoadedModel>>>,
}

struct LoadedModel {
    path: PathBuf,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    decoder: Decoder,
    context: usize,
    /// The tokens whose keys and values the decoder has.
    tokens: Vec<u32>,
}

impl GgufEngine {
    pub(super) fn new(options: EngineOptions) -> Self {
        let context_window = options.context_window.and_then(|tokens| usize::try_from(tokens).ok());
        let (top_k, seed) = (options.top_k, options.seed);
        Self { name: options.name, context_window, top_k, seed, loaded: Arc::default() }
    }
}

impl Engine for GgufEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn dialect(&self) -> Option<&'static str> {
        Some(super::SPEC.dialect)
    }

    fn plan_reply(&self, request: &ModelRequest) -> ReplyPlan {
        let (loaded, window, request) = (self.loaded.clone(), self.context_window, request.clone());
        let sampling = Sampling {
            temperature: request.sampling.temperature.map_or(Sampling::default().temperature, |value| value as f32),
            top_p: request.sampling.top_p.map_or(Sampling::default().top_p, |value| value as f32),
            top_k: self.top_k.map_or(Sampling::default().top_k, |value| value as usize),
            ..Sampling::default()
        };
        let sampler = Sampler::new(sampling, self.seed.unwrap_or_else(random_seed));
        ReplyPlan::Computed(Box::new(move |sink| {
            // One answer at a time; what a panic left behind is read anew.
            let mut loaded = loaded.lock().unwrap_or_else(PoisonError::into_inner);
            let mut model = loaded.take();
            let mut answer = AnswerWriter::new(sink);
            let outcome = answer.write(&mut model, window, &request, sampler);
            *loaded = model;
            drop(loaded);
            answer.end(outcome);
        }))
    }
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

impl LoadedModel {
    fn read(path: &Path, window: Option<usize>, is_cancelled: &dyn Fn() -> bool) -> Result<Self, Stop> {
        let mut file = GgufFile::open(path, HeaderDepth::Whole).map_err(Stop::Failed)?;
        let shape = ModelShape::read(&file).map_err(Stop::Failed)?;
        let context = window.unwrap_or(DEFAULT_CONTEXT).min(shape.context);
        let template = ChatTemplate::new(file.text("tokenizer.chat_template"));
        let tokenizer = Tokenizer::read(&mut file, template.source()).map_err(Stop::Failed)?;
        let decoder = Decoder::read(&mut file, shape, tokenizer.count(), context, is_cancelled)?;
        Ok(Self { path: path.to_owned(), tokenizer, template, decoder, context, tokens: Vec::new() })
    }
}

struct AnswerWriter<'a> {
    sink: &'a dyn ReplySink,
    decode: OllamaDecoder,
    calls: CallReader,
    cached: usize,
    has_called: bool,
}

impl<'a> AnswerWriter<'a> {
    fn new(sink: &'a dyn ReplySink) -> Self {
        Self { sink, decode: OllamaDecoder::new(), calls: CallReader::new(Vec::new()), cached: 0, has_called: false }
    }

    /// Writes the answer, all but its end.
    fn write(
        &mut self,
        loaded: &mut Option<LoadedModel>,
        window: Option<usize>,
        request: &ModelRequest,
        mut sampler: Sampler,
    ) -> Result<(), Fault> {
        let sink = self.sink;
        let is_cancelled = || sink.is_cancelled();
        let begin = Instant::now();
        let path = places::resolve(&request.model, &|name| std::env::var(name).ok())?;
        let known = loaded.take().filter(|model| model.path == path);
        let model = match known {
            Some(model) => model,
            None => LoadedModel::read(&path, window, &is_cancelled).map_err(|stop| fault(stop, &path))?,
        };
        let model = loaded.insert(model);
        let load_time = begin.elapsed();

        let prompt = model.template.render(request, &model.tokenizer);
        let prompt = prompt.map_err(|reason| fault(Stop::Failed(reason), &path))?;
        let tokens = model.tokenizer.encode(&prompt);
        if tokens.len() >= model.context {
            let text = format!(
                "the conversation has {} tokens, the model's window {}; set a larger one in the settings ([windows]), \
                 or begin a new session",
                tokens.len(),
                model.context
            );
            return Err(Fault::new(FaultKind::ContextTooLong, text));
        }
        let same = tokens.iter().zip(&model.tokens).take_while(|(new, old)| new == old).count();
        let same = same.min(tokens.len().saturating_sub(1)).min(model.decoder.position());
        self.cached = same;
        self.calls = CallReader::new(request.tools.iter().map(|tool| tool.name.clone()).collect());
        if prompt.trim_end().ends_with("<think>") {
            self.push("<think>\n");
        }
        let begin = Instant::now();
        let mut scores = self.read_prompt(model, &tokens, same, &path)?;
        let prompt_time = begin.elapsed();

        let begin = Instant::now();
        let room = model.context - tokens.len();
        let limit = request.sampling.max_output_tokens.map_or(room, |limit| room.min(limit as usize));
        let (mut count, mut bytes, mut written) = (0, Vec::new(), 0);
        let mut reason = "length";
        while count < limit {
            let token = sampler.pick(&scores);
            count += 1;
            if model.tokenizer.is_end(token) {
                reason = "stop";
                break;
            }
            match model.tokenizer.mark_text(token).filter(|mark| is_shown(mark)) {
                Some(mark) => bytes.extend_from_slice(mark.as_bytes()),
                None => model.tokenizer.decode(token, &mut bytes),
            }
            let text = take_text(&mut bytes);
            written += text.len();
            if !self.push(&text) || written > MAX_ANSWER_BYTES {
                break;
            }
            if count < limit {
                let position = model.tokens.len();
                scores = model.advance(position, &[token], &is_cancelled, &path)?;
            }
        }
        self.push(&String::from_utf8_lossy(&bytes));
        let mut rest = Vec::new();
        std::mem::replace(&mut self.calls, CallReader::new(Vec::new())).finish(&mut rest);
        self.emit(rest);
        self.frame(&json!({
            "done": true,
            "done_reason": reason,
            "load_duration": nanos(load_time),
            "prompt_eval_count": tokens.len(),
            "prompt_eval_duration": nanos(prompt_time),
            "eval_count": count,
            "eval_duration": nanos(begin.elapsed()),
        }));
        Ok(())
    }

    /// Reads the tokens of a prompt that are not known yet, and tells how far it is where that takes a while.
    fn read_prompt(
        &self,
        model: &mut LoadedModel,
        tokens: &[u32],
        known: usize,
        path: &Path,
    ) -> Result<Vec<f32>, Fault> {
        let new = tokens.get(known..).unwrap_or_default();
        let (mut scores, mut done) = (Vec::new(), 0);
        for piece in new.chunks(TOLD_TOKENS) {
            if new.len() > TOLD_TOKENS {
                let label = format!("reading the prompt: {} %", done * 100 / new.len());
                let annotation = Annotation::Progress(json!({"step": "prompt", "label": label}));
                self.sink.send(ReplyEvent::Annotation { on: ReplyTarget::Reply, annotation });
            }
            scores = model.advance(known + done, piece, &|| self.sink.is_cancelled(), path)?;
            done += piece.len();
        }
        Ok(scores)
    }

    /// Ends the answer. Nobody listens any more where it was cancelled.
    fn end(mut self, outcome: Result<(), Fault>) {
        let mut events = Vec::new();
        match outcome {
            Ok(()) => self.decode.finish(&mut events),
            Err(fault) => events.push(ReplyEvent::End { outcome: TurnOutcome::Failed(fault) }),
        }
        self.send(events);
    }

    /// Takes a piece of text; returns false if nobody listens.
    fn push(&mut self, text: &str) -> bool {
        if text.is_empty() {
            return !self.sink.is_cancelled();
        }
        let mut written = Vec::new();
        self.calls.push(text, &mut written);
        self.emit(written) && !self.sink.is_cancelled()
    }

    fn emit(&mut self, written: Vec<Written>) -> bool {
        for part in written {
            let message = match part {
                // Line breaks around calls are nobody's text.
                Written::Text(text) if self.has_called && text.trim().is_empty() => continue,
                Written::Text(text) => json!({"role": "assistant", "content": text}),
                Written::Call { name, args } => {
                    self.has_called = true;
                    let call = json!({"function": {"name": name, "arguments": args}});
                    json!({"role": "assistant", "content": "", "tool_calls": [call]})
                }
            };
            if !self.frame(&json!({"message": message, "done": false})) {
                return false;
            }
        }
        true
    }

    fn frame(&mut self, line: &Json) -> bool {
        let mut events = Vec::new();
        self.decode.decode_frame(&SseFrame::data(line.to_string()), &mut events);
        self.send(events)
    }

    fn send(&self, events: Vec<ReplyEvent>) -> bool {
        events.into_iter().all(|mut event| {
            if let ReplyEvent::UsageReported { usage, .. } = &mut event {
                usage.cached_tokens = self.cached as u64;
            }
            self.sink.send(event)
        })
    }
}

impl LoadedModel {
    /// Computes tokens that follow the first `keep`.
    fn advance(
        &mut self,
        keep: usize,
        tokens: &[u32],
        is_cancelled: &dyn Fn() -> bool,
        path: &Path,
    ) -> Result<Vec<f32>, Fault> {
        self.tokens.truncate(keep);
        self.decoder.truncate(keep);
        let scores = self.decoder.advance(tokens, is_cancelled);
        let done = self.decoder.position() - keep;
        self.tokens.extend(tokens.iter().take(done));
        scores.map_err(|stop| fault(stop, path))
    }
}

/// Returns whether a mark is told to who reads the answer: those around calls and thoughts.
fn is_shown(mark: &str) -> bool {
    ["tool", "python_tag", "think", "function"].iter().any(|part| mark.to_lowercase().contains(part))
}

/// Takes the whole characters out of bytes; those that never become one are replaced.
fn take_text(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    loop {
        match std::str::from_utf8(bytes) {
            Ok(whole) => {
                text.push_str(whole);
                bytes.clear();
                return text;
            }
            Err(error) => {
                let valid = error.valid_up_to();
                text.push_str(&String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default()));
                let Some(wrong) = error.error_len() else {
                    bytes.drain(..valid);
                    return text;
                };
                text.push(char::REPLACEMENT_CHARACTER);
                bytes.drain(..valid + wrong);
            }
        }
    }
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn fault(stop: Stop, path: &Path) -> Fault {
    match stop {
        Stop::Cancelled => Fault::new(FaultKind::Internal, "cancelled"),
        Stop::Failed(reason) => places::file_fault(path, &reason),
    }
}
