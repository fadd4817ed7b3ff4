//! Ollama's `/api/chat`: one JSON object per line. Arguments are objects, calls arrive whole and have ids only in newer
//! versions, durations are nanoseconds. A stream without its `done` line was cut. `/api/generate` has its text in
//! `response` instead.
//!
//! A call is a repetition if its id and its arguments come again, or if it is in the last line with the name and the
//! arguments of an earlier one.

pub mod encode;

use std::borrow::Cow;

use serde::Deserialize;

use super::arguments::{self, ArgumentsAssembler};
use super::finish_reason::{self, FinishTracker};
use super::lenient::{LooseJson, LooseList, LooseObject, LooseStr, LooseU64};
use super::repeated_frame::RepeatedFrame;
use super::stray::Stray;
use super::surrogate;
use super::text_assembler::{ChannelAssembler, SegmentKind, TextAssembler};
use super::unknown_frames::UnknownFrames;
use super::{Decode, Dialect, Evidence, FirstFrame, SseFrame, error};
use crate::event::{
    Annotation, CallId, ExecutedBy, Fault, FaultKind, FinishReason, Json, MessageId, ReplyEvent, ReplyTarget, Role,
    TextKind, Timing, TurnOutcome, Usage, UsageScope,
};

/// Also `--dialect ollama`.
pub const DIALECT: Dialect = Dialect {
    name: "ollama",
    title: "Ollama",
    decode: |_| Box::new(OllamaDecoder::new()),
    evidence,
    extends: None,
    limitations: "call durations and results: the client runs the calls",
};

fn evidence(first: &FirstFrame<'_>) -> Option<Evidence> {
    let says_done = first.object()?.get("done").is_some_and(Json::is_boolean);
    if says_done && (first.has("message") || first.has("response")) {
        return Some(Evidence::shape("its lines say whether they are done"));
    }
    let is_line = first.context.response.content_type() == "application/x-ndjson" && first.name() != "error";
    let is_error = first.object()?.get("error").is_some() && first.is_error();
    (is_line && is_error).then(|| Evidence::weak("a line holds an error"))
}

const MAX_CALLS: usize = 128;
/// Notice for a line that is something else.
const NO_OBJECT: &str = "a line that is not a JSON object";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OllamaLine<'a> {
    #[serde(borrow)]
    message: LooseObject<OllamaMessage<'a>>,
    #[serde(borrow)]
    response: LooseStr<'a>,
    #[serde(borrow)]
    thinking: LooseStr<'a>,
    done: Option<bool>,
    #[serde(borrow)]
    done_reason: LooseStr<'a>,
    error: Option<Json>,
    load_duration: LooseU64,
    prompt_eval_count: LooseU64,
    prompt_eval_duration: LooseU64,
    eval_count: LooseU64,
    eval_duration: LooseU64,
    /// In OpenAI's shape, from servers that only resemble Ollama.
    usage: Option<Json>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OllamaMessage<'a> {
    #[serde(borrow)]
    content: LooseStr<'a>,
    #[serde(borrow)]
    thinking: LooseStr<'a>,
    #[serde(borrow)]
    tool_calls: LooseList<OllamaCallWire<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OllamaCallWire<'a> {
    #[serde(borrow)]
    id: LooseStr<'a>,
    #[serde(borrow)]
    function: LooseObject<OllamaFunction<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OllamaFunction<'a> {
    #[serde(borrow)]
    name: LooseStr<'a>,
    #[serde(borrow)]
    arguments: LooseJson<'a>,
}

#[derive(Debug)]
struct OllamaCall {
    wire_id: Option<String>,
    id: CallId,
    name: String,
    args: String,
}

/// Decodes one answer.
#[derive(Debug)]
pub struct OllamaDecoder {
    message: MessageId,
    open: bool,
    closed: bool,
    text: TextAssembler,
    reasoning: ChannelAssembler,
    calls: Vec<OllamaCall>,
    /// The finish reason, once the answer ended.
    finish_tracker: Option<FinishTracker>,
    /// The answer has text, and it has reasoning.
    has_text: bool,
    has_reasoning: bool,
    usage: Option<Usage>,
    timing: Option<Timing>,
    fault: Option<Fault>,
    stray: Stray,
    unknown_frames: UnknownFrames,
    /// The last line that was a token of a message and nothing else.
    token_line: RepeatedFrame<TokenField>,
}

/// The field of the message that a token stands in.
#[derive(Clone, Copy, Debug)]
enum TokenField {
    Content,
    Thinking,
}

impl Default for OllamaDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl OllamaDecoder {
    pub fn new() -> Self {
        Self {
            message: "m1".into(),
            open: false,
            closed: false,
            text: TextAssembler::default(),
            reasoning: ChannelAssembler::default(),
            calls: Vec::new(),
            finish_tracker: None,
            has_text: false,
            has_reasoning: false,
            usage: None,
            timing: None,
            fault: None,
            stray: Stray::default(),
            unknown_frames: UnknownFrames::default(),
            token_line: RepeatedFrame::default(),
        }
    }

    /// Handles a line. Returns false for an object without any known field.
    fn handle_line(&mut self, line: OllamaLine<'_>, marked: bool, out: &mut Vec<ReplyEvent>) -> bool {
        let is_done = line.done == Some(true);
        let mut known = is_done || line.message.0.is_some();
        if line.response.0.is_some() || line.thinking.0.is_some() {
            known = true;
            self.push_reasoning(line.thinking.0, marked, out);
            self.push_text(line.response.0, is_done, marked, out);
        }
        if let Some(message) = line.message.0 {
            self.push_reasoning(message.thinking.0, marked, out);
            self.push_text(message.content.0, is_done, marked, out);
            for call in message.tool_calls.0 {
                let Some(function) = call.function.0 else { continue };
                self.handle_call(call.id.non_empty(), &function, is_done, out);
            }
        }
        if let Some(server_error) = line.error.as_ref().and_then(error::parse_error_object) {
            self.fault = Some(error::to_fault(&server_error));
            return true;
        }
        if is_done {
            let tracker = self.finish_tracker.insert(FinishTracker::default());
            if let Some(word) = line.done_reason.non_empty() {
                tracker.observe(word, out);
            }
            self.fault = tracker.fault();
            let openai_usage = line.usage.as_ref().and_then(super::usage::parse);
            self.usage = parse_usage(line.prompt_eval_count.0, line.eval_count.0).or(openai_usage);
            self.timing =
                timing(line.load_duration.0, line.prompt_eval_duration.0, line.eval_duration.0, line.eval_count.0);
        }
        known
    }

    fn push_reasoning(&mut self, thinking: Option<Cow<'_, str>>, marked: bool, out: &mut Vec<ReplyEvent>) {
        let Some(thinking) = thinking.filter(|text| !text.is_empty()) else { return };
        let thinking = self.text.push_reasoning(&self.reasoning.push(thinking, marked));
        self.emit_segment(SegmentKind::Reasoning, thinking, out);
    }

    /// Appends text. Old versions leave the tags of reasoning in it.
    fn push_text(&mut self, content: Option<Cow<'_, str>>, is_last: bool, marked: bool, out: &mut Vec<ReplyEvent>) {
        let Some(content) = content.filter(|text| !text.is_empty()) else { return };
        let mut split = Vec::new();
        self.text.push(content, is_last, marked, &mut split);
        for (kind, text) in split {
            self.emit_segment(kind, text, out);
        }
    }

    fn emit_segment(&mut self, kind: SegmentKind, text: String, out: &mut Vec<ReplyEvent>) {
        let is_late = kind == SegmentKind::LateReasoning;
        if (text.is_empty() && !is_late) || (is_late && (!self.open || !self.calls.is_empty())) {
            return;
        }
        self.begin_message(out);
        let is_text = kind == SegmentKind::Text;
        self.has_text = (self.has_text && !is_late) || (is_text && !text.trim().is_empty());
        self.has_reasoning |= !is_text;
        let message = self.message.clone();
        match kind {
            SegmentKind::Text => out.push(ReplyEvent::TextDelta { message, text, kind: TextKind::Text }),
            SegmentKind::Reasoning | SegmentKind::LateReasoning if text.is_empty() => {}
            SegmentKind::Reasoning | SegmentKind::LateReasoning => {
                out.push(ReplyEvent::ReasoningDelta { message, text });
            }
        }
        if is_late {
            // The text emitted so far was reasoning; the answer is another message.
            (self.open, self.closed) = (false, true);
            let message = std::mem::replace(&mut self.message, "m2".into());
            out.push(ReplyEvent::MessageFinished {
                message,
                finish_reason: FinishReason::End,
                full_text: Some(String::new()),
                provider_metadata: None,
            });
        }
    }

    fn begin_message(&mut self, out: &mut Vec<ReplyEvent>) {
        if !std::mem::replace(&mut self.open, true) {
            let role = Role::Assistant;
            out.push(ReplyEvent::MessageStarted { message: self.message.clone(), role, parent: None });
        }
    }

    fn handle_call(
        &mut self,
        id: Option<&str>,
        function: &OllamaFunction<'_>,
        is_last: bool,
        out: &mut Vec<ReplyEvent>,
    ) {
        let name = function.name.non_empty().unwrap_or_default();
        let mut objects = ArgumentsAssembler::default();
        objects.push(function.arguments.0.as_deref().unwrap_or("{}"));
        for args in objects.take_calls(false) {
            let is_again = self.calls.iter().any(|call| {
                let is_known = (is_last && id.is_none()) || (id.is_some() && call.wire_id.as_deref() == id);
                is_known && call.name == name && arguments::is_same_json(&call.args, &args)
            });
            if is_again {
                continue;
            }
            if self.calls.len() >= MAX_CALLS {
                return self.unknown_frames.report("too many tool calls", out);
            }
            let mut unique = id.map_or_else(|| format!("call_{}", self.calls.len() + 1), ToOwned::to_owned);
            while self.calls.iter().any(|call| call.id.as_str() == unique) {
                unique.push_str("_2");
            }
            let call = CallId::new(unique);
            self.begin_message(out);
            let (wire_id, name) = (id.map(ToOwned::to_owned), name.to_owned());
            self.calls.push(OllamaCall { wire_id, id: call.clone(), name: name.clone(), args: args.clone() });
            out.push(ReplyEvent::ToolCallStarted {
                call: call.clone(),
                message: self.message.clone(),
                name: Some(name.clone()).filter(|name| !name.is_empty()),
                parent: None,
                executed_by: ExecutedBy::Client,
            });
            out.push(ReplyEvent::ToolCallReady { call, name, args, provider_metadata: None });
        }
    }

    fn flush_channels(&mut self, out: &mut Vec<ReplyEvent>) {
        let rest = self.text.push_reasoning(&self.reasoning.flush());
        self.emit_segment(SegmentKind::Reasoning, rest, out);
        let mut split = Vec::new();
        self.text.flush(&mut split);
        for (kind, text) in split {
            self.emit_segment(kind, text, out);
        }
    }
}

impl TokenField {
    /// Returns the text of a line that is a token and nothing else, if it stands in the line as it is.
    fn of<'a>(line: &OllamaLine<'a>) -> Option<(Self, &'a str)> {
        let OllamaLine {
            message: LooseObject(Some(OllamaMessage { content, thinking, tool_calls })),
            response: LooseStr(None),
            thinking: LooseStr(None),
            done: None | Some(false),
            error: None,
            ..
        } = line
        else {
            return None;
        };
        match (content.non_empty().and(content.0.as_ref()), thinking.non_empty().and(thinking.0.as_ref())) {
            (Some(Cow::Borrowed(text)), None) if tool_calls.0.is_empty() => Some((Self::Content, text)),
            (None, Some(Cow::Borrowed(text))) if tool_calls.0.is_empty() => Some((Self::Thinking, text)),
            _ => None,
        }
    }

    fn line(self, text: &str) -> OllamaLine<'_> {
        let (text, none) = (LooseStr(Some(Cow::Borrowed(text))), LooseStr(None));
        let (content, thinking) = match self {
            Self::Content => (text, none),
            Self::Thinking => (none, text),
        };
        let message = OllamaMessage { content, thinking, ..OllamaMessage::default() };
        OllamaLine { message: LooseObject(Some(message)), ..OllamaLine::default() }
    }
}

impl Decode for OllamaDecoder {
    fn decode_frame(&mut self, frame: &SseFrame, out: &mut Vec<ReplyEvent>) {
        if self.is_done() {
            return;
        }
        if let Some((field, text)) = self.token_line.matching(frame) {
            let line = field.line(text);
            self.stray.clear();
            self.handle_line(line, false, out);
            return;
        }
        let Some(frame) = self.stray.parse_line(frame) else { return };
        let odd = if let Ok(LooseObject(Some(line))) = serde_json::from_str::<LooseObject<OllamaLine<'_>>>(&frame.data)
        {
            if let Some((field, text)) = TokenField::of(&line) {
                self.token_line.learn(&frame, text, &["created_at"], field);
            }
            self.stray.clear();
            (!self.handle_line(line, false, out)).then_some("a line without a message")
        } else {
            let repaired = surrogate::mark_lone(&frame.data);
            match repaired.as_deref().and_then(|json| serde_json::from_str(json).ok()) {
                Some(LooseObject(Some(line))) => {
                    self.stray.clear();
                    (!self.handle_line(line, true, out)).then_some("a line without a message")
                }
                _ => Some(NO_OBJECT),
            }
        };
        let Some(odd) = odd else { return };
        match error::find_error_in_unparsed(&frame) {
            Some(server_error) => self.fault = Some(error::to_fault(&server_error)),
            None if matches!(frame.data.trim(), "" | "[DONE]") => {}
            None => {
                if odd == NO_OBJECT {
                    self.stray.push(&frame.data);
                }
                self.unknown_frames.report(odd, out);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<ReplyEvent>) {
        self.flush_channels(out);
        if !self.is_done() {
            self.fault = self.stray.fault();
        }
        let finish_reason = match (&self.fault, &self.finish_tracker) {
            (Some(_), _) => FinishReason::Failed,
            (None, Some(tracker)) => tracker.finish_reason_with(!self.calls.is_empty()),
            (None, None) => FinishReason::Interrupted,
        };
        if finish_reason::is_worth_showing(finish_reason) {
            self.begin_message(out);
        }
        if let Some(timing) = self.timing.take() {
            let on = if self.open { ReplyTarget::Message(self.message.clone()) } else { ReplyTarget::Reply };
            out.push(ReplyEvent::Annotation { on, annotation: Annotation::Timing(timing) });
        }
        // There was reasoning and nothing else.
        if finish_reason == FinishReason::End && self.has_reasoning && !self.has_text {
            out.push(finish_reason::empty_response_notice());
        }
        if self.open {
            out.push(ReplyEvent::MessageFinished {
                message: self.message.clone(),
                finish_reason,
                full_text: None,
                provider_metadata: None,
            });
        } else if finish_reason == FinishReason::End && !self.closed && !self.has_reasoning {
            out.push(finish_reason::empty_response_notice());
        }
        if let Some(usage) = self.usage.take() {
            out.push(ReplyEvent::UsageReported { scope: UsageScope::Request(1), usage });
        }
        let outcome = match (self.fault.take(), finish_reason) {
            (Some(fault), _) => TurnOutcome::Failed(fault),
            (None, FinishReason::Interrupted) => TurnOutcome::Interrupted,
            (None, _) if self.finish_tracker.as_ref().is_some_and(FinishTracker::is_filtered) => {
                TurnOutcome::Failed(Fault::new(FaultKind::Refused, finish_reason::CONTENT_FILTER_MESSAGE))
            }
            (None, _) => TurnOutcome::Completed,
        };
        out.push(ReplyEvent::End { outcome });
    }

    fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    fn is_done(&self) -> bool {
        self.fault.is_some() || self.finish_tracker.is_some()
    }
}

/// Ollama omits the prompt's count where all of it was cached; the usage is then an estimate.
fn parse_usage(prompt: Option<u64>, answer: Option<u64>) -> Option<Usage> {
    let (input_tokens, output_tokens) = (prompt.unwrap_or(0), answer.unwrap_or(0));
    let estimated = prompt.is_none() || answer.is_none();
    (input_tokens.saturating_add(output_tokens) > 0).then(|| Usage {
        input_tokens,
        output_tokens,
        estimated,
        ..Usage::default()
    })
}

fn timing(load: Option<u64>, prompt: Option<u64>, decode: Option<u64>, tokens: Option<u64>) -> Option<Timing> {
    let round = |n: f64| (n * 100.0).round() / 100.0;
    let millis = |nanos: u64| round(nanos as f64 / 1e6);
    let tokens_per_second = match (tokens, decode) {
        (Some(tokens), Some(nanos @ 1..)) => Some(round(tokens as f64 / nanos as f64 * 1e9)),
        _ => None,
    };
    let timing = Timing {
        load_ms: load.map(millis),
        prompt_ms: prompt.map(millis),
        decode_ms: decode.map(millis),
        tokens_per_second,
    };
    (timing != Timing::default()).then_some(timing)
}
